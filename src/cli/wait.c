#include "config.h"

#include "cli/wait.h"

#include "cli/gateway.h"
#include "cli/progress.h"

#include <stdarg.h>
#include <string.h>

#define ROUND_S 30          /* how long one request waits for the end */
#define ROUND_TERMINAL_S 1  /* somebody watches the steps */
#define QUICK_ANSWER_MS 200 /* a gateway that does not wait is not asked more often */
#define AWAY_MS 10000       /* how long a gateway that restarts may be away */
#define RETRY_MS 500
#define SLEEP_TEXT_SIZE 128

char *wait_sentence(const char *format, ...)
{
    va_list ap;
    char *text = NULL;

    va_start(ap, format);
    if (vasprintf(&text, format, ap) < 0)
        text = NULL;
    va_end(ap);
    return text;
}

bool wait_has_ended(const json_t *operation)
{
    static const char *const states[] = {"succeeded", "failed", "expired", "cancelled"};
    const char *state = view_string(operation, "state");

    for (size_t i = 0; i < array_size(states); i++)
        if (strcmp(state, states[i]) == 0)
            return true;
    return false;
}

/* "box-1 sleeps and is expected in 20 s" of an operation that waits for a device that sleeps; empty for others. */
static const char *sleep_text(const struct cli *cli, const json_t *operation, char out[SLEEP_TEXT_SIZE])
{
    char expected[DISPLAY_SIZE];
    int64_t at;

    *out = 0;
    if (strcmp(view_string(operation, "waiting_for"), "device") != 0)
        return out;
    if (clock_parse_rfc3339(view_string(operation, "expected_at"), &at))
        (void)snprintf(out, SLEEP_TEXT_SIZE, "%.64s sleeps and is expected %s", view_string(operation, "device"),
                       display_ago(at / 1000, clock_wall_ms(cli->clock), expected));
    else
        (void)snprintf(out, SLEEP_TEXT_SIZE, "%.64s sleeps", view_string(operation, "device"));
    return out;
}

/* One operation that is being followed. */
struct follow {
    struct cli *cli;
    json_t *operation;
    struct progress progress;
    int64_t deadline; /* monotonic ms; negative: none */
    int64_t away_since;
    void (*changed)(struct cli *cli, const json_t *operation);
};

static int64_t now_ms(const struct follow *f)
{
    return clock_monotonic_ms(f->cli->clock);
}

static void take_answer(struct follow *f, json_t *answer)
{
    bool new = strcmp(view_string(f->operation, "state"), view_string(answer, "state")) != 0 ||
               strcmp(view_string(f->operation, "step"), view_string(answer, "step")) != 0;

    json_decref(f->operation);
    f->operation = json_incref(answer);
    f->away_since = 0;
    if (new && f->changed) {
        progress_end(&f->progress);
        f->changed(f->cli, answer);
    }
}

/* A gateway that restarts keeps its operations, so it may be away for a while. True while that is to be borne. */
static bool bear_absence(struct follow *f, int error, const struct client_reply *reply)
{
    if (error ? error != CLIENT_E_REFUSED && error != CLIENT_E_LOST : reply->status != 503)
        return false;
    if (!f->away_since)
        f->away_since = now_ms(f);
    if (now_ms(f) - f->away_since > AWAY_MS)
        return false;
    progress_step(&f->progress, "waiting for the gateway");
    cli_sleep_ms(RETRY_MS);
    return true;
}

static unsigned round_of(const struct follow *f)
{
    unsigned most =
        f->changed || (f->cli->err_terminal && f->cli->style == CLI_STYLE_TEXT) ? ROUND_TERMINAL_S : ROUND_S;
    int64_t left = (f->deadline - now_ms(f) + 999) / 1000;

    if (f->deadline >= 0 && left < most)
        return left > 0 ? (unsigned)left : 1;
    return most;
}

static int ask(struct follow *f)
{
    cleanup_free char *path = client_path("/v1/operations/%s", view_string(f->operation, "id"));
    cleanup_reply struct client_reply reply = {0};
    struct client_request request = {
        .method = "GET", .path = path, .wait_s = round_of(f), .progress = progress_bytes, .progress_arg = &f->progress};
    int64_t asked = now_ms(f);
    int error = gateway_try(f->cli, &request, &reply);

    if (cli_interrupted || bear_absence(f, error, &reply))
        return 0;
    if (error || reply.status != 200 || !*view_string(reply.json, "state")) {
        progress_end(&f->progress);
        return error ? gateway_explain(f->cli, error) : gateway_refusal(f->cli, &reply);
    }
    take_answer(f, reply.json);
    if (!wait_has_ended(f->operation) && now_ms(f) - asked < QUICK_ANSWER_MS)
        cli_sleep_ms(QUICK_ANSWER_MS);
    return 0;
}

static int give_up(struct follow *f, int code, const char *why)
{
    char advice[160], sleeps[SLEEP_TEXT_SIZE];

    progress_end(&f->progress);
    (void)sleep_text(f->cli, f->operation, sleeps);
    (void)snprintf(advice, sizeof advice, "Follow it with: tcgw operation watch %.64s",
                   view_string(f->operation, "id"));
    return cli_error(f->cli, code, advice, "%s%s%s; the operation %s goes on", why, *sleeps ? "; " : "", sleeps,
                     view_string(f->operation, "id"));
}

static int64_t number_of(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member)); /* 0 for null */
}

static void show_step(struct follow *f)
{
    const json_t *transfer = json_object_get(f->operation, "progress");
    char sleeps[SLEEP_TEXT_SIZE];

    if (*sleep_text(f->cli, f->operation, sleeps))
        progress_step(&f->progress, sleeps);
    else
        progress_transfer(&f->progress, view_string(f->operation, "step"), number_of(transfer, "bytes"),
                          number_of(transfer, "total"), number_of(transfer, "rate"));
}

static int follow_to_end(struct follow *f)
{
    while (!wait_has_ended(f->operation)) {
        int rc;

        if (cli_interrupted)
            return give_up(f, CLI_INTERRUPTED, "interrupted");
        if (f->deadline >= 0 && now_ms(f) >= f->deadline)
            return give_up(f, CLI_TIMEOUT, "not done in the time that --wait allows");
        show_step(f);
        rc = ask(f);
        if (rc)
            return rc;
    }
    return 0;
}

int wait_follow(struct cli *cli, json_t *operation, const char *doing, int64_t limit_ms,
                void (*changed)(struct cli *cli, const json_t *operation), json_t **ended)
{
    struct follow f = {.cli = cli, .operation = operation, .deadline = -1, .changed = changed};
    int rc;

    if (limit_ms >= 0)
        f.deadline = now_ms(&f) + limit_ms;
    progress_begin(&f.progress, cli, doing);
    if (changed)
        changed(cli, operation);
    rc = follow_to_end(&f);
    progress_end(&f.progress);
    *ended = f.operation;
    return rc;
}

int wait_report(struct cli *cli, const json_t *operation, const char *doing, const char *done)
{
    const char *state = view_string(operation, "state"), *id = view_string(operation, "id");
    const json_t *error = json_object_get(operation, "error");
    cleanup_free char *title = NULL;

    if (cli->style != CLI_STYLE_TEXT || strcmp(state, "succeeded") == 0)
        cli->writer->outcome(cli->writer, &view_operation, operation, done);
    if (strcmp(state, "succeeded") == 0)
        return CLI_OK;
    if (cli->style != CLI_STYLE_JSON) {
        title = wait_sentence("%s %s%s%s", doing, state, *view_string(error, "title") ? ": " : "",
                              view_string(error, "title"));
        gateway_write_problem(cli, error, title ? title : state, id);
    }
    if (strcmp(state, "expired") == 0)
        return CLI_TIMEOUT;
    return strcmp(state, "cancelled") == 0 ? CLI_FAILED : gateway_exit_code(view_string(error, "type"), 0);
}

static int report_submitted(struct cli *cli, const json_t *operation, const char *doing)
{
    char sleeps[SLEEP_TEXT_SIZE];
    const char *id = view_string(operation, "id"), *state = view_string(operation, "state");
    cleanup_free char *sentence = NULL;

    (void)sleep_text(cli, operation, sleeps);
    sentence = wait_sentence("%s: %s as operation %s%s%s.", doing, state, id, *sleeps ? "; " : "", sleeps);

    if (sentence)
        cli->writer->outcome(cli->writer, &view_operation, operation, sentence);
    return CLI_OK;
}

static void add_ttl(const struct arguments *args, char **path)
{
    char text[24];

    if (!arguments_given(args, "ttl"))
        return;
    (void)snprintf(text, sizeof text, "%lld", (long long)(arguments_duration(args, "ttl", 0) / 1000));
    client_add_query(path, "ttl", text);
}

static int submit_and_wait(struct cli *cli, const struct arguments *args, const struct submission *s)
{
    struct client_request request = {.method = s->method,
                                     .path = s->path,
                                     .body = s->body,
                                     .raw = s->raw,
                                     .raw_size = s->raw_size,
                                     .body_type = s->body_type,
                                     .async = s->async};
    cleanup_json json_t *answer = NULL, *ended = NULL;
    cleanup_free char *told = NULL;
    int rc = gateway_call(cli, &request, &answer);

    if (rc)
        return rc;
    if (!*view_string(answer, "kind")) { /* nothing was left to do */
        cli->writer->outcome(cli->writer, &view_operation, answer, s->done);
        return CLI_OK;
    }
    if (s->detached || arguments_given(args, "no-wait"))
        return report_submitted(cli, answer, s->doing);
    rc = wait_follow(cli, steal_pointer(answer), s->doing, arguments_duration(args, "wait", -1), NULL, &ended);
    if (!rc && s->tell)
        told = s->tell(ended);
    return rc ? rc : wait_report(cli, ended, s->doing, told ? told : s->done);
}

int wait_submit(struct cli *cli, const struct arguments *args, struct submission s)
{
    int rc = CLI_FAILED;

    if (s.path && s.doing && s.done) {
        add_ttl(args, &s.path);
        rc = submit_and_wait(cli, args, &s);
    }
    free(s.path);
    free(s.doing);
    free(s.done);
    return rc;
}
