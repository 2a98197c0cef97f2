#include "uplink/http.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

/*
 * One batch at a time, so that order is kept: gathered, sent until the platform takes it or it is given up, and only
 * followed by the next one when the cursor behind it is on the disk.
 */
struct webhook {
    struct sink *sink;
    struct http_call call;
    struct buffer secret, password, body, scratch;
    uint64_t first, last; /* of the batch; first 0: none */
    uint64_t end;         /* the cursor behind it */
    uint64_t missing;     /* entries before it that were not kept */
    unsigned count;
    bool complete; /* its body is closed: it goes as it is from now on */
    bool saving;   /* the platform has it, and its cursor is on the way to the disk */
    unsigned attempts, refusals;
    uint64_t failing_since; /* uv_now at the first answer that says later; 0: none */
    uint64_t posted;        /* uv_now at the last attempt */
    bool of_letter;         /* the call sends a dead letter */
    uint64_t letter;        /* that waits for its turn; 0: none */
};

static void send_batch(struct webhook *hook);

/* The batch -------------------------------------------------------------------------------------------------------- */

static bool is_senml(const struct webhook *hook)
{
    return hook->sink->conf->format == CONF_FORMAT_SENML;
}

static void clear_batch(struct webhook *hook)
{
    hook->body.size = 0;
    hook->first = hook->last = hook->missing = 0;
    hook->count = hook->attempts = hook->refusals = 0;
    hook->failing_since = 0;
    hook->complete = false;
}

/* A pack without its brackets continues the one before. */
static void append_entry(struct webhook *hook, const char *text, size_t size)
{
    if (is_senml(hook)) {
        text++;
        size -= 2;
    }
    buffer_append_u8(&hook->body, hook->count ? ',' : is_senml(hook) ? '[' : ' ');
    buffer_append(&hook->body, text, size);
}

static bool is_full(const struct webhook *hook)
{
    const struct conf_sink *conf = hook->sink->conf;

    return hook->count >= (unsigned)conf->batch_max || hook->body.size >= (size_t)conf->batch_bytes;
}

static void add_entry(struct webhook *hook, const struct journal_entry *entry)
{
    size_t size;
    const char *text = entry_render(hook->sink, entry, &hook->scratch, &size);

    if (!text || size < 2) {
        log_error("an entry of the journal cannot be read and is left out", "sink", hook->sink->conf->name, NULL);
        return;
    }
    append_entry(hook, text, size);
    if (!hook->first)
        hook->first = entry->seq;
    hook->last = entry->seq;
    hook->count++;
}

/* {"gateway", "sink", "first", "last", "missing", "entries": [...]}, or one SenML pack. */
static bool close_batch(struct webhook *hook)
{
    cleanup_buffer struct buffer whole = {0};

    hook->end = journal_position(hook->sink->reader);
    hook->complete = true;
    if (is_senml(hook)) {
        buffer_append_u8(&hook->body, ']');
        return !hook->body.failed;
    }
    buffer_printf(&whole,
                  "{\"gateway\":\"%s\",\"sink\":\"%s\",\"first\":%llu,\"last\":%llu,\"missing\":%llu,\"entries\":[",
                  hook->sink->uplink->gateway_id, hook->sink->conf->name, (unsigned long long)hook->first,
                  (unsigned long long)hook->last, (unsigned long long)hook->missing);
    buffer_append(&whole, hook->body.data + 1, hook->body.size - 1);
    buffer_append_text(&whole, "]}");
    if (whole.failed || hook->body.failed)
        return false;
    buffer_clear(&hook->body);
    hook->body = whole;
    whole = (struct buffer){0};
    return true;
}

/* Memory has run out: what was gathered is read again. */
static void give_back(struct webhook *hook)
{
    buffer_clear(&hook->body);
    clear_batch(hook);
    sink_rewind(hook->sink);
    sink_fail(hook->sink, 0, "out of memory");
}

static void gather(struct webhook *hook)
{
    struct sink *sink = hook->sink;
    enum journal_result result = JOURNAL_ENTRY;
    struct journal_entry entry;
    uint64_t missing;

    while (!is_full(hook) && result != JOURNAL_WAIT && result != JOURNAL_FAILED) {
        result = sink_read(sink, &entry, &missing);
        if (result == JOURNAL_MISSING)
            hook->missing += missing;
        if (result == JOURNAL_ENTRY)
            add_entry(hook, &entry);
    }
}

/* The request ------------------------------------------------------------------------------------------------------ */

static bool add_signature(struct webhook *hook, const void *body, size_t size)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1], stamp[24];
    cleanup_buffer struct buffer text = {0};
    unsigned mac_size = 0;

    (void)snprintf(stamp, sizeof stamp, "%lld", (long long)(clock_wall_ms(clock_system()) / 1000));
    if (!http_call_header(&hook->call, "Tcgw-Timestamp: %s", stamp) || !hook->secret.size)
        return hook->secret.size == 0;
    buffer_printf(&text, "%s.", stamp);
    buffer_append(&text, body, size);
    if (text.failed ||
        !HMAC(EVP_sha256(), hook->secret.data, (int)hook->secret.size, text.data, text.size, mac, &mac_size))
        return false;
    return http_call_header(&hook->call, "Tcgw-Signature: sha256=%s", text_hex(mac, mac_size, hex));
}

static bool add_headers(struct webhook *hook, uint64_t first, uint64_t last, unsigned attempt)
{
    struct http_call *call = &hook->call;
    const struct uplink *uplink = hook->sink->uplink;
    unsigned long long from = first, to = last;

    return http_call_header(call, "Content-Type: application/%sjson", is_senml(hook) ? "senml+" : "") &&
           http_call_header(call, "Expect:") && http_call_header(call, "User-Agent: tcgw/%s", uplink->version) &&
           http_call_header(call, "Tcgw-Gateway: %s", uplink->gateway_id) &&
           http_call_header(call, "Tcgw-Batch: %llu-%llu", from, to) &&
           http_call_header(call, "Tcgw-Attempt: %u", attempt) &&
           http_call_header(call, "Idempotency-Key: %s-%s-%llu-%llu", uplink->gateway_id, hook->sink->conf->name, from,
                            to);
}

static bool post(struct webhook *hook, const void *body, size_t size, uint64_t first, uint64_t last, unsigned attempt)
{
    CURL *curl = hook->call.curl;

    http_call_cancel(&hook->call);
    if (!add_headers(hook, first, last, attempt) || !add_signature(hook, body, size))
        return false;
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    hook->sink->stats.attempts++;
    hook->sink->stats.bytes += size;
    hook->posted = uv_now(hook->sink->uplink->options.loop);
    return http_call_begin(&hook->call);
}

/* What became of it ------------------------------------------------------------------------------------------------ */

/* The answer may not be said at length to whoever reads logs. */
static void describe(const struct http_call *call, char out[160])
{
    if (call->problem[0])
        (void)snprintf(out, 160, "%.150s", call->problem);
    else
        (void)snprintf(out, 160, "the platform answers %ld %.100s", call->status, call->text);
    text_repair_utf8(out);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
}

static bool is_taken(const struct http_call *call)
{
    return call->status >= 200 && call->status < 300;
}

/* The platform refuses the batch itself, which will be no better next time. */
static bool is_final(const struct http_call *call)
{
    static const long statuses[] = {400, 409, 411, 413, 414, 415, 422, 431};

    for (size_t i = 0; i < array_size(statuses); i++)
        if (call->status == statuses[i])
            return true;
    return false;
}

/* It is there and says later. Whatever else it answers (401, 404, a redirect) speaks of how the sink is set up, or
 * comes from somebody on the way: no batch is given up for that. */
static bool is_busy(const struct http_call *call)
{
    return call->status == 408 || call->status == 425 || call->status == 429 || call->status >= 500;
}

/* The batch is done with, at the platform or as a dead letter: on with the next one, when that is on the disk. */
static void complete(struct webhook *hook)
{
    struct sink *sink = hook->sink;

    sink->stats.sent += hook->count;
    sink->sent_count += hook->count;
    sink_advance(sink, hook->end, hook->count);
    clear_batch(hook);
    hook->saving = true;
    sink_save(sink);
    sink->driver->pump(sink);
}

/* True when the batch became a dead letter. */
static bool gives_up(struct webhook *hook, const char *why)
{
    const struct http_call *call = &hook->call;
    const struct conf_sink *conf = hook->sink->conf;
    uint64_t now = uv_now(hook->sink->uplink->options.loop);
    bool late;

    if (is_busy(call) && !hook->failing_since)
        hook->failing_since = now;
    if (is_final(call))
        hook->refusals++;
    late = is_busy(call) && hook->failing_since && conf->give_up_after_ms &&
           now - hook->failing_since >= (uint64_t)conf->give_up_after_ms;
    if (hook->refusals < (unsigned)conf->max_refusals && !late)
        return false;
    sink_bury(hook->sink, hook->first, hook->last, hook->attempts, why, hook->body.data, hook->body.size);
    return true;
}

static void batch_done(struct webhook *hook)
{
    struct http_call *call = &hook->call;
    struct sink *sink = hook->sink;
    char why[160];

    if (is_taken(call)) {
        histogram_add(&sink->stats.took_ms, &histogram_millis, uv_now(sink->uplink->options.loop) - hook->posted);
        sink_succeeded(sink);
        complete(hook);
        return;
    }
    describe(call, why);
    if (gives_up(hook, why)) {
        sink->failures = 0;
        sink_set_state(sink, SINK_CONNECTING);
        complete(hook);
    } else {
        sink_fail(sink, (uint32_t)call->retry_after_s * 1000, "%s", why);
    }
}

static void letter_done(struct webhook *hook)
{
    char why[160];

    hook->of_letter = false;
    describe(&hook->call, why);
    sink_letter_done(hook->sink, is_taken(&hook->call) ? NULL : why);
    if (hook->sink->state == SINK_WAITING)
        return;
    if (hook->complete)
        send_batch(hook);
    else
        hook->sink->driver->pump(hook->sink);
}

static void call_done(struct http_call *call)
{
    struct webhook *hook = call->arg;

    if (hook->of_letter)
        letter_done(hook);
    else
        batch_done(hook);
}

/* Turns ------------------------------------------------------------------------------------------------------------ */

static bool send_waiting_letter(struct webhook *hook)
{
    const struct dead_letter *letter = NULL;

    if (!hook->letter)
        return false;
    letter = core_find_dead_letter(hook->sink->uplink->options.core, hook->sink->conf->name, hook->letter);
    hook->letter = 0;
    if (letter) {
        hook->scratch.size = 0; /* the letter may go while it is sent */
        buffer_append(&hook->scratch, letter->body, letter->size);
        hook->of_letter = !hook->scratch.failed && post(hook, hook->scratch.data, hook->scratch.size, letter->first,
                                                        letter->last, letter->attempts + 1);
    }
    if (!hook->of_letter)
        sink_letter_done(hook->sink, "it cannot be sent now");
    return hook->of_letter;
}

static void send_batch(struct webhook *hook)
{
    if (send_waiting_letter(hook))
        return;
    hook->attempts++;
    if (!post(hook, hook->body.data, hook->body.size, hook->first, hook->last, hook->attempts))
        sink_fail(hook->sink, 0, "the request cannot be made");
}

static void finish_batch(struct webhook *hook)
{
    if (close_batch(hook))
        send_batch(hook);
    else
        give_back(hook);
}

static void webhook_pump(struct sink *sink)
{
    struct webhook *hook = sink->link;

    if (sink->state == SINK_WAITING || sink->state == SINK_FAILED || hook->call.running || hook->complete)
        return;
    if (hook->saving && sink->cursor != sink->durable) {
        sink_save(sink);
        return;
    }
    hook->saving = false;
    if (send_waiting_letter(hook))
        return;
    gather(hook);
    if (hook->body.failed) {
        give_back(hook);
    } else if (!hook->count) {
        sink_advance(sink, journal_position(sink->reader), 0);
    } else if (is_full(hook) || sink->conf->batch_delay_ms == 0) {
        finish_batch(hook);
    } else if (!uv_is_active((uv_handle_t *)&sink->timer)) {
        sink_arm(sink, (uint64_t)sink->conf->batch_delay_ms);
    }
}

static void webhook_expire(struct sink *sink)
{
    struct webhook *hook = sink->link;

    if (hook->call.running || hook->complete || hook->saving)
        return;
    gather(hook);
    if (hook->count)
        finish_batch(hook);
}

static void webhook_attempt(struct sink *sink)
{
    struct webhook *hook = sink->link;

    if (hook->complete && !hook->call.running)
        send_batch(hook);
    else
        webhook_pump(sink);
}

static void webhook_tick(struct sink *sink)
{
    webhook_pump(sink);
}

static void webhook_send_letter(struct sink *sink, const struct dead_letter *letter)
{
    struct webhook *hook = sink->link;

    hook->letter = letter->first;
    if (!hook->call.running)
        (void)send_waiting_letter(hook);
}

/* Life ------------------------------------------------------------------------------------------------------------- */

static void set_options(struct webhook *hook)
{
    const struct conf_sink *conf = hook->sink->conf;
    CURL *curl = hook->call.curl;

    (void)curl_easy_setopt(curl, CURLOPT_URL, conf->url);
    (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)conf->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)conf->timeout_ms);
    if (*conf->ca)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, conf->ca);
    if (*conf->certificate) {
        (void)curl_easy_setopt(curl, CURLOPT_SSLCERT, conf->certificate);
        (void)curl_easy_setopt(curl, CURLOPT_SSLKEY, conf->private_key);
    }
    if (*conf->username) {
        (void)curl_easy_setopt(curl, CURLOPT_USERNAME, conf->username);
        (void)curl_easy_setopt(curl, CURLOPT_PASSWORD, buffer_text(&hook->password));
    }
}

static int read_secrets(struct webhook *hook)
{
    struct sink *sink = hook->sink;
    const struct conf_sink *conf = sink->conf;
    int r = 0;

    if (*conf->secret_file)
        r = sink_read_secret(sink, "secret_file", conf->secret_file, &hook->secret);
    if (r == 0 && *conf->password_file)
        r = sink_read_secret(sink, "password_file", conf->password_file, &hook->password);
    if (r == 0 && *conf->private_key)
        r = sink_check_secret(sink, "private_key", conf->private_key);
    return r;
}

static int webhook_open(struct sink *sink)
{
    struct webhook *hook = calloc(1, sizeof *hook);
    int r;

    if (!hook)
        return -ENOMEM;
    sink->link = hook;
    hook->sink = sink;
    r = http_call_init(&hook->call, sink->uplink->http);
    hook->call.done = call_done;
    hook->call.arg = hook;
    if (r == 0)
        r = read_secrets(hook);
    if (r == 0)
        set_options(hook);
    return r;
}

static void webhook_close(struct sink *sink)
{
    struct webhook *hook = sink->link;

    if (!hook)
        return;
    if (hook->call.curl)
        http_call_clear(&hook->call);
    secret_clear(&hook->secret);
    secret_clear(&hook->password);
    buffer_clear(&hook->body);
    buffer_clear(&hook->scratch);
    free(hook);
    sink->link = NULL;
}

const struct sink_driver webhook_driver = {
    .open = webhook_open,
    .attempt = webhook_attempt,
    .pump = webhook_pump,
    .expire = webhook_expire,
    .tick = webhook_tick,
    .send_letter = webhook_send_letter,
    .close = webhook_close,
};
