#include "base/text.h"
#include "cli/display.h"
#include "cli/dry_run.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <string.h>

#define POLL_MS 500
#define AWAY_POLLS 40 /* for which a gateway that restarts may be away */

/* Finding one ------------------------------------------------------------------------------------------------------ */

/* The rollout with that id, or the newest with that name. */
static int find(struct cli *cli, const char *typed, json_t **out)
{
    cleanup_json json_t *list = NULL;
    json_t *rollout;
    size_t i;
    int rc;

    if (text_is_uuid(typed))
        return gateway_get(cli, client_path("/v1/rollouts/%s", typed), out);
    rc = gateway_get(cli, client_path("/v1/rollouts"), &list);
    if (rc)
        return rc;
    json_array_foreach(json_object_get(list, "items"), i, rollout)
    {
        if (strcmp(view_string(rollout, "id"), typed) == 0 || strcmp(view_string(rollout, "name"), typed) == 0) {
            *out = json_incref(rollout);
            return 0;
        }
    }
    return cli_error(cli, CLI_NOT_FOUND, "See: tcgw rollout list", "there is no rollout '%s'", typed);
}

int rollout_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/rollouts"), &view_rollout);
}

int rollout_show(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *rollout = NULL;
    int rc = find(cli, args->words[0], &rollout);

    if (!rc)
        cli->writer->object(cli->writer, &view_rollout, rollout);
    return rc;
}

int rollout_devices(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *rollout = NULL, *list = NULL;
    char *path;
    int rc = find(cli, args->words[0], &rollout);

    if (rc)
        return rc;
    path = client_path("/v1/rollouts/%s/devices", view_string(rollout, "id"));
    if (path && arguments_value(args, "state"))
        client_add_query(&path, "state", arguments_value(args, "state"));
    rc = gateway_get(cli, path, &list);
    if (!rc)
        cli->writer->list(cli->writer, &view_rollout_device, list);
    return rc;
}

/* Watching --------------------------------------------------------------------------------------------------------- */

static long long count_of(const json_t *rollout, const char *state)
{
    return (long long)json_integer_value(json_object_get(json_object_get(rollout, "counts"), state));
}

static bool is_under_way(const json_t *rollout)
{
    const char *state = view_string(rollout, "state");

    return strcmp(state, "running") == 0 || strcmp(state, "rolling-back") == 0;
}

static char *progress_text(const json_t *rollout)
{
    long long waves = (long long)json_array_size(json_object_get(rollout, "waves"));

    if (strcmp(view_string(rollout, "state"), "rolling-back") == 0)
        return wait_sentence("rolling back: %lld reverted, %lld reverting", count_of(rollout, "reverted"),
                             count_of(rollout, "reverting"));
    return wait_sentence("%s, wave %lld of %lld: %lld of %lld done, %lld updating, %lld failed",
                         view_string(rollout, "state"), (long long)json_integer_value(json_object_get(rollout, "wave")),
                         waves, count_of(rollout, "done"), count_of(rollout, "total"), count_of(rollout, "updating"),
                         count_of(rollout, "failed"));
}

/* On a terminal one line that changes, else a line per change; nothing for scripts. */
static void show_progress(struct cli *cli, const json_t *rollout, char **before)
{
    cleanup_free char *text = progress_text(rollout);

    if (!text || cli->style != CLI_STYLE_TEXT || (*before && strcmp(*before, text) == 0))
        return;
    if (cli->err_terminal)
        (void)fputs("\r\033[K", cli->err);
    display_put(cli->err, text, strlen(text), false);
    if (!cli->err_terminal)
        (void)fputc('\n', cli->err);
    (void)fflush(cli->err);
    free(*before);
    *before = steal_pointer(text);
}

static int poll_once(struct cli *cli, const char *path, unsigned *away, json_t **rollout)
{
    cleanup_reply struct client_reply reply = {0};
    struct client_request request = {.method = "GET", .path = path};
    int error = gateway_try(cli, &request, &reply);

    if ((error == CLIENT_E_REFUSED || error == CLIENT_E_LOST || (!error && reply.status == 503)) &&
        ++*away < AWAY_POLLS)
        return 0;
    if (error)
        return gateway_explain(cli, error);
    if (reply.status != 200)
        return gateway_refusal(cli, &reply);
    *away = 0;
    json_decref(*rollout);
    *rollout = json_incref(reply.json);
    return 0;
}

static int report(struct cli *cli, const json_t *rollout)
{
    const char *state = view_string(rollout, "state");
    cleanup_free char *sentence =
        wait_sentence("Rollout %s: %s. %s", view_string(rollout, "id"), state, view_string(rollout, "reason"));

    if (sentence)
        cli->writer->outcome(cli->writer, &view_rollout, rollout, sentence);
    return strcmp(state, "succeeded") == 0 || strcmp(state, "rolled-back") == 0 ? CLI_OK : CLI_FAILED;
}

/* Until it has ended or waits for a person. Takes the reference. */
static int watch(struct cli *cli, json_t *rollout)
{
    cleanup_free char *path = client_path("/v1/rollouts/%s", view_string(rollout, "id"));
    cleanup_free char *shown = NULL;
    unsigned away = 0;
    int rc = 0;

    show_progress(cli, rollout, &shown);
    while (!rc && is_under_way(rollout) && !cli_interrupted) {
        cli_sleep_ms(POLL_MS);
        rc = poll_once(cli, path, &away, &rollout);
        if (!rc)
            show_progress(cli, rollout, &shown);
    }
    if (shown && cli->err_terminal)
        (void)fputs("\r\033[K", cli->err);
    if (!rc)
        rc = cli_interrupted ? CLI_INTERRUPTED : report(cli, rollout);
    json_decref(rollout);
    return rc;
}

int rollout_watch(struct cli *cli, const struct arguments *args)
{
    json_t *rollout = NULL;
    int rc = find(cli, args->words[0], &rollout);

    return rc ? rc : watch(cli, rollout);
}

/* Acting ----------------------------------------------------------------------------------------------------------- */

static int act(struct cli *cli, const struct arguments *args, const char *action)
{
    cleanup_json json_t *rollout = NULL;
    cleanup_free char *path = NULL, *sentence = NULL;
    json_t *after = NULL;
    int rc = find(cli, args->words[0], &rollout);

    if (rc)
        return rc;
    path = client_path("/v1/rollouts/%s/%s", view_string(rollout, "id"), action);
    rc = gateway_call(cli, &(struct client_request){.method = "POST", .path = path}, &after);
    if (rc)
        return rc;
    if (arguments_given(args, "watch"))
        return watch(cli, after);
    sentence = wait_sentence("Rollout %s is %s.", view_string(after, "id"), view_string(after, "state"));
    if (sentence)
        cli->writer->outcome(cli->writer, &view_rollout, after, sentence);
    json_decref(after);
    return 0;
}

int rollout_pause(struct cli *cli, const struct arguments *args)
{
    return act(cli, args, "pause");
}

int rollout_resume(struct cli *cli, const struct arguments *args)
{
    return act(cli, args, "resume");
}

int rollout_abort(struct cli *cli, const struct arguments *args)
{
    return act(cli, args, "abort");
}

int rollout_rollback(struct cli *cli, const struct arguments *args)
{
    return act(cli, args, "rollback");
}

int rollout_remove(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *rollout = NULL;
    int rc = find(cli, args->words[0], &rollout);

    if (rc)
        return rc;
    return gateway_change(cli, "DELETE", client_path("/v1/rollouts/%s", view_string(rollout, "id")), NULL,
                          &view_rollout, wait_sentence("Rollout %s was removed.", args->words[0]));
}

/* Creating --------------------------------------------------------------------------------------------------------- */

/* The words of an option that may be given several times and has commas; NULL: it was not given. */
static json_t *names_of(const struct arguments *args, const char *option)
{
    json_t *names = arguments_given(args, option) ? json_array() : NULL;
    size_t next = 0;

    for (const char *list; names && (list = arguments_next(args, option, &next));)
        for (; *list; list += strcspn(list, ","), list += *list == ',')
            (void)json_array_append_new(names, json_stringn(list, strcspn(list, ",")));
    return names;
}

static int add_selector(struct cli *cli, const struct arguments *args, json_t *body)
{
    cleanup_json json_t *selector = json_pack("{s:o*, s:o*, s:s*}", "devices", names_of(args, "device"), "groups",
                                              names_of(args, "group"), "expression", arguments_value(args, "select"));

    if (arguments_given(args, "all"))
        (void)json_object_set_new(selector, "all", json_true());
    if (json_object_size(selector) == 0)
        return cli_error(cli, CLI_USAGE, "Name them with --select, --group, --device or --all", "no devices are named");
    return json_object_set(body, "devices", selector) ? CLI_FAILED : 0;
}

/* "10" as a count, "10%" as a percentage. */
static int read_share(struct cli *cli, const char *option, const char *text, bool *percent, json_int_t *number)
{
    char *end;

    *number = strtol(text, &end, 10);
    *percent = *end == '%';
    if (end == text || *number < 0 || end[*percent])
        return cli_error(cli, CLI_USAGE, NULL, "--%s takes a number or a percentage, not '%s'", option, text);
    return 0;
}

static int add_waves(struct cli *cli, const struct arguments *args, json_t *body)
{
    cleanup_json json_t *waves = json_array();
    json_int_t number;
    size_t next = 0;
    bool percent;
    int rc;

    for (const char *text; (text = arguments_next(args, "wave", &next));) {
        rc = read_share(cli, "wave", text, &percent, &number);
        if (rc)
            return rc;
        (void)json_array_append_new(waves, json_pack("{s:I}", percent ? "percent" : "count", number));
    }
    if (json_array_size(waves))
        (void)json_object_set(body, "waves", waves);
    if (!arguments_given(args, "max-failures"))
        return 0;
    rc = read_share(cli, "max-failures", arguments_value(args, "max-failures"), &percent, &number);
    if (!rc)
        (void)json_object_set_new(body, percent ? "max_failures_percent" : "max_failures", json_integer(number));
    return rc;
}

/* NAME=MIN..MAX, either of which may be left out. */
static int add_success(struct cli *cli, const struct arguments *args, json_t *body)
{
    cleanup_json json_t *success = json_object();
    const char *text = arguments_value(args, "telemetry"), *equals, *dots;
    json_t *condition;

    if (arguments_given(args, "running-for"))
        (void)json_object_set_new(success, "running_for_s",
                                  json_integer(arguments_duration(args, "running-for", 0) / 1000));
    if (text) {
        equals = strchr(text, '=');
        dots = equals ? strstr(equals, "..") : NULL;
        if (!dots)
            return cli_error(cli, CLI_USAGE, NULL, "--telemetry takes NAME=MIN..MAX, not '%s'", text);
        condition = json_pack("{s:s%}", "name", text, (size_t)(equals - text));
        if (dots > equals + 1)
            (void)json_object_set_new(condition, "min", json_real(strtod(equals + 1, NULL)));
        if (dots[2])
            (void)json_object_set_new(condition, "max", json_real(strtod(dots + 2, NULL)));
        (void)json_object_set_new(success, "telemetry", condition);
    }
    if (json_object_size(success))
        (void)json_object_set(body, "success", success);
    return 0;
}

/* FROM-TO[,DAY]... */
static int add_window(struct cli *cli, const struct arguments *args, json_t *body)
{
    const char *text = arguments_value(args, "window");
    cleanup_json json_t *days = json_array();
    char from[6], to[6];

    if (!text)
        return 0;
    if (strlen(text) < 11 || text[5] != '-' || (text[11] && text[11] != ','))
        return cli_error(cli, CLI_USAGE, NULL, "--window takes FROM-TO[,DAY]..., as 22:00-05:00,sat,sun, not '%s'",
                         text);
    (void)snprintf(from, sizeof from, "%.5s", text);
    (void)snprintf(to, sizeof to, "%.5s", text + 6);
    for (const char *day = text + 11; *day; day += strcspn(day, ",")) {
        day++;
        (void)json_array_append_new(days, json_stringn(day, strcspn(day, ",")));
    }
    (void)json_object_set_new(
        body, "window",
        json_pack("{s:s, s:s, s:O*}", "from", from, "to", to, "days", json_array_size(days) ? days : NULL));
    return 0;
}

static int add_numbers(struct cli *cli, const struct arguments *args, json_t *body)
{
    static const struct {
        const char *option, *member;
    } numbers[] = {
        {"canaries", "canaries"},
        {"max-attempts", "max_attempts"},
        {"parallel", "max_parallel"},
        {"parallel-per-link", "max_parallel_per_link"},
    };

    for (size_t i = 0; i < array_size(numbers); i++) {
        int64_t number = 0;
        int rc = arguments_integer(cli, args, numbers[i].option, 0, INT32_MAX, &number);

        if (rc)
            return rc;
        if (arguments_given(args, numbers[i].option))
            (void)json_object_set_new(body, numbers[i].member, json_integer(number));
    }
    if (arguments_given(args, "device-timeout"))
        (void)json_object_set_new(body, "device_timeout_s",
                                  json_integer(arguments_duration(args, "device-timeout", 0) / 1000));
    return 0;
}

static int add_target(struct cli *cli, const struct arguments *args, json_t *body)
{
    const char *target = args->words[1];
    char artifact[GATEWAY_DIGEST_TEXT];
    int rc;

    if (strchr(target, '@'))
        return json_object_set_new(body, "release", json_string(target)) ? CLI_FAILED : 0;
    rc = gateway_find_artifact(cli, target, artifact);
    if (!rc)
        (void)json_object_set_new(body, "artifact", json_string(artifact));
    return rc;
}

static int make_body(struct cli *cli, const struct arguments *args, json_t *body)
{
    static const char *const switches[][2] = {{"pause-after-wave", "pause_after_wave"},
                                              {"auto-rollback", "auto_rollback"}};
    int rc = add_selector(cli, args, body);

    if (arguments_value(args, "name"))
        (void)json_object_set_new(body, "name", json_string(arguments_value(args, "name")));
    if (arguments_given(args, "dynamic"))
        (void)json_object_set_new(body, "membership", json_string("dynamic"));
    if (arguments_given(args, "stopped"))
        (void)json_object_set_new(body, "state", json_string("stopped"));
    for (size_t i = 0; i < array_size(switches); i++)
        if (arguments_given(args, switches[i][0]))
            (void)json_object_set_new(body, switches[i][1], json_true());
    if (!rc)
        rc = add_waves(cli, args, body);
    if (!rc)
        rc = add_success(cli, args, body);
    if (!rc)
        rc = add_window(cli, args, body);
    if (!rc)
        rc = add_numbers(cli, args, body);
    return rc ? rc : add_target(cli, args, body);
}

int rollout_create(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = json_pack("{s:s}", "container", args->words[0]);
    cleanup_free char *sentence = NULL;
    json_t *rollout = NULL;
    bool refused = false;
    int rc = body ? make_body(cli, args, body) : CLI_USAGE;

    if (rc)
        return rc;
    if (cli->dry_run)
        return dry_run_plan(cli, body, &refused);
    rc = gateway_call(cli, &(struct client_request){.method = "POST", .path = "/v1/rollouts", .body = body}, &rollout);
    if (rc)
        return rc;
    if (arguments_given(args, "watch"))
        return watch(cli, rollout);
    sentence = wait_sentence("Rollout %s has begun; follow it with: tcgw rollout watch %s", view_string(rollout, "id"),
                             view_string(rollout, "id"));
    if (sentence)
        cli->writer->outcome(cli->writer, &view_rollout, rollout, sentence);
    json_decref(rollout);
    return 0;
}
