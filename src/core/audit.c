#include "core/audit.h"

#include "base/buffer.h"
#include "base/log.h"
#include "core/internal.h"
#include "core/journal.h"

#include <errno.h>
#include <string.h>

#define ANCHOR_MS 30000   /* an entry waits for an anchor at most so long */
#define WINDOW_MS 60000   /* of refusals that count together */
#define WINDOW_ENTRIES 10 /* of one source that are told each by itself */
#define SOURCES 32        /* that are told apart in a window */

/* Who was refused in the present window. */
struct source {
    char who[128], from[64];
    unsigned told, suppressed;
};

/* An entry's text but for what it gets when it is added: that goes in at `split`. */
struct entry {
    struct buffer text;
    size_t split;
    int status; /* 0: none */
};

struct audit {
    struct core *core;
    struct audit_stats stats;
    struct timer anchor, window;
    uint64_t anchored; /* number */
    uint64_t trim_at;  /* stats.entries of the next look at what is too much */
    bool trimming;
    size_t source_count;
    struct source sources[SOURCES];
    struct { /* core_expect_audit */
        void *arg;
        struct entry entry;
        char device[CORE_ID_MAX + 1];
        bool *taken;
    } expected;
};

/* Entries ---------------------------------------------------------------------------------------------------------- */

/* A device's name that no device can have is not in a column of ids. */
static const char *device_of(const struct audit_request *request)
{
    return request->device && text_is_name(request->device, CORE_ID_MAX) ? request->device : NULL;
}

/* A member of text, whatever bytes it has; NULL: none. */
static void put_text(struct buffer *out, const char *name, const char *text)
{
    bool utf8;

    if (!text)
        return;
    utf8 = text_is_utf8(text, strlen(text));
    buffer_append_text(out, out->size ? ",\"" : "{\"");
    buffer_append_text(out, name);
    buffer_append_text(out, "\":\"");
    while (*text) {
        size_t plain = 0;

        while ((unsigned char)text[plain] >= ' ' && text[plain] != '"' && text[plain] != '\\' &&
               (utf8 || (unsigned char)text[plain] < 0x80))
            plain++;
        buffer_append(out, text, plain);
        text += plain;
        if (*text == '"' || *text == '\\')
            buffer_append_u8(out, '\\');
        if (*text)
            buffer_append_u8(out, *text == '"' || *text == '\\' ? (uint8_t)*text : '?');
        text += *text != 0;
    }
    buffer_append_u8(out, '"');
}

/* The names are in the order in which they are sorted (codec/audit.h). count 0, error NULL: none. */
static struct entry make_entry(const char *event, const struct audit_request *request, unsigned count,
                               const char *error)
{
    struct entry entry = {.text = buffer_init(0)};
    struct buffer *out = &entry.text;

    put_text(out, "action", request->action);
    put_text(out, "container", request->container);
    if (count)
        buffer_printf(out, ",\"count\":%u", count);
    put_text(out, "device", device_of(request));
    put_text(out, "error", error);
    put_text(out, "event", event);
    put_text(out, "from", request->from);
    put_text(out, "path", request->path);
    put_text(out, "request", request->request);
    entry.split = out->size;
    put_text(out, "who", request->who);
    buffer_append_u8(out, '}');
    return entry;
}

static struct entry make_failure(const char *event, const struct audit_request *request, int status, const char *error)
{
    struct entry entry = make_entry(event, request, 0, error);

    entry.status = status;
    return entry;
}

/* The whole text, which is the trail's and the journal's; NULL: out of memory. */
static char *finish_entry(const struct entry *entry, uint64_t seq, int64_t now)
{
    struct buffer out = buffer_init(0);
    char time[RFC3339_SIZE];
    size_t size;

    if (entry->text.failed)
        return NULL;
    buffer_append(&out, entry->text.data, entry->split);
    buffer_printf(&out, ",\"seq\":%llu", (unsigned long long)seq);
    if (entry->status)
        buffer_printf(&out, ",\"status\":%d", entry->status);
    buffer_printf(&out, ",\"time\":\"%s\"", clock_format_rfc3339(now, time));
    buffer_append(&out, entry->text.data + entry->split, entry->text.size - entry->split);
    buffer_append_u8(&out, 0);
    return (char *)buffer_steal(&out, &size);
}

/* Takes the entry over. */
static void add_entry(struct audit *audit, struct store_batch *batch, const char *device, struct entry entry)
{
    struct core *core = audit->core;
    int64_t now = core_wall(core);
    cleanup_free char *text = finish_entry(&entry, journal_next_number(core), now);

    buffer_clear(&entry.text);
    if (!text || !journal_add_audit(core, batch, device, now, text)) {
        audit->stats.failed++;
        log_error("an entry of the audit trail is lost: out of memory", NULL);
        return;
    }
    audit->stats.entries++;
    if (!audit->anchor.armed)
        core_arm(core, &audit->anchor, core_now(core) + ANCHOR_MS);
}

static void forget_expected(struct audit *audit)
{
    buffer_clear(&audit->expected.entry.text);
    audit->expected.arg = NULL;
}

void core_expect_audit(struct core *core, void *arg, const struct audit_request *request, bool *taken)
{
    struct audit *audit = core->audit;

    if (!core_has_audit(core))
        return;
    forget_expected(audit);
    audit->expected.entry = make_entry("done", request, 0, NULL);
    audit->expected.arg = arg;
    audit->expected.taken = taken;
    (void)text_copy(audit->expected.device, sizeof audit->expected.device, request->device ? request->device : "");
}

void core_forget_audit(struct core *core, const void *arg)
{
    if (core->audit && core->audit->expected.arg == arg)
        forget_expected(core->audit);
}

void audit_take(struct core *core, struct store_batch *batch, const void *arg)
{
    struct audit *audit = core->audit;

    if (!audit || !arg || audit->expected.arg != arg)
        return;
    *audit->expected.taken = true;
    add_entry(audit, batch, audit->expected.device[0] ? audit->expected.device : NULL, audit->expected.entry);
    audit->expected.entry = (struct entry){.split = 0};
    forget_expected(audit);
}

int core_add_audit(struct core *core, const struct audit_request *request, int status, core_done_fn done, void *arg)
{
    struct commit *commit;

    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    add_entry(core->audit, commit->batch, device_of(request), make_failure("done", request, status, NULL));
    commit_submit(commit);
    return 0;
}

static void submit(struct audit *audit, const char *device, struct entry entry)
{
    struct store_batch *batch = store_batch_new();

    if (!batch) {
        audit->stats.failed++;
        buffer_clear(&entry.text);
        return;
    }
    add_entry(audit, batch, device, entry);
    journal_submit(audit->core, batch, NULL, NULL);
}

void core_note_audit(struct core *core, const char *action)
{
    const struct audit_request request = {.who = "gateway", .from = "gateway", .action = action, .path = ""};

    if (core_has_audit(core))
        submit(core->audit, NULL, make_entry("done", &request, 0, NULL));
}

/* Refusals --------------------------------------------------------------------------------------------------------- */

static void end_window(struct timer *timer)
{
    struct audit *audit = container_of(timer, struct audit, window);

    for (size_t i = 0; i < audit->source_count; i++) {
        const struct source *source = &audit->sources[i];

        const struct audit_request more = {.who = source->who, .from = source->from, .action = "more", .path = ""};

        if (source->suppressed)
            submit(audit, NULL, make_entry("refused", &more, source->suppressed, NULL));
    }
    audit->source_count = 0;
}

/* The last place is for all that find none. */
static struct source *find_source(struct audit *audit, const struct audit_request *request)
{
    bool last = audit->source_count == SOURCES - 1;
    struct source *source;

    for (size_t i = 0; i < audit->source_count; i++) {
        source = &audit->sources[i];
        if (strcmp(source->who, request->who) == 0 && strcmp(source->from, request->from) == 0)
            return source;
    }
    if (audit->source_count == SOURCES)
        return &audit->sources[SOURCES - 1];
    source = &audit->sources[audit->source_count++];
    *source = (struct source){.told = last ? WINDOW_ENTRIES : 0};
    (void)text_copy(source->who, sizeof source->who, last ? "others" : request->who);
    (void)text_copy(source->from, sizeof source->from, last ? "others" : request->from);
    if (!audit->window.armed)
        core_arm(audit->core, &audit->window, core_now(audit->core) + WINDOW_MS);
    return source;
}

void core_note_refusal(struct core *core, const struct audit_request *request, int status, const char *error)
{
    struct audit *audit = core->audit;
    struct source *source;

    if (!core_has_audit(core) || core->stopped)
        return;
    audit->stats.refusals++;
    source = find_source(audit, request);
    if (source->told == WINDOW_ENTRIES) {
        source->suppressed++;
        audit->stats.suppressed++;
        return;
    }
    source->told++;
    submit(audit, device_of(request), make_failure("refused", request, status, error));
}

void core_note_failure(struct core *core, const struct audit_request *request, int status, const char *error)
{
    if (core_has_audit(core) && !core->stopped)
        submit(core->audit, device_of(request), make_failure("failed", request, status, error));
}

/* Anchors ---------------------------------------------------------------------------------------------------------- */

static bool sign_anchor(const struct core *core, struct audit_anchor *anchor)
{
    anchor->time = core_wall(core);
    return core->options.audit.sign &&
           audit_anchor_sign(anchor, core->options.audit.sign, core->options.audit.sign_arg) == 0;
}

static bool make_anchor(const struct core *core, struct audit_anchor *anchor)
{
    *anchor = (struct audit_anchor){.base = false};
    store_get_audit_head(core->options.store, &anchor->seq, anchor->hash);
    return anchor->seq && sign_anchor(core, anchor);
}

static void add_anchor(struct audit *audit)
{
    struct store_batch *batch;
    struct audit_anchor anchor;

    if (!make_anchor(audit->core, &anchor) || anchor.seq <= audit->anchored)
        return;
    batch = store_batch_new();
    if (!batch)
        return;
    audit->anchored = anchor.seq;
    store_batch_add_anchor(batch, &anchor);
    store_submit(audit->core->options.store, batch, NULL, NULL);
}

json_t *audit_anchor_json(const struct audit_anchor *anchor)
{
    char hash[2 * AUDIT_HASH_SIZE + 1], signature[2 * AUDIT_SIGNATURE_SIZE + 1];
    json_t *json = json_pack("{s:I, s:I, s:s, s:s}", "seq", (json_int_t)anchor->seq, "time", (json_int_t)anchor->time,
                             "hash", text_hex(anchor->hash, AUDIT_HASH_SIZE, hash), "signature",
                             text_hex(anchor->signature, AUDIT_SIGNATURE_SIZE, signature));

    if (anchor->base)
        (void)json_object_set_new(json, "base", json_true());
    return json;
}

json_t *core_audit_anchor(const struct core *core)
{
    struct audit_anchor anchor;

    return make_anchor(core, &anchor) ? audit_anchor_json(&anchor) : NULL;
}

/* What is too much goes ------------------------------------------------------------------------------------------- */

static void trim(void *arg, int result, const struct audit_anchor *last)
{
    struct audit *audit = arg;
    struct audit_anchor base = *last;
    struct store_batch *batch;

    audit->trimming = false;
    if (result == -EBADMSG) {
        log_error("the audit trail was changed: nothing of it is let go; see tcgw audit verify", NULL);
        audit->stats.broken = true;
    }
    base.base = true;
    if (result < 0 || base.seq == 0 || !sign_anchor(audit->core, &base) || !(batch = store_batch_new()))
        return;
    store_batch_add_anchor(batch, &base);
    store_batch_trim_audit(batch, base.seq);
    store_submit(audit->core->options.store, batch, NULL, NULL);
}

static void look_for_surplus(struct audit *audit)
{
    uint32_t keep = audit->core->options.audit.keep;

    if (audit->trimming || audit->stats.entries < audit->trim_at || audit->stats.broken)
        return;
    audit->trim_at = audit->stats.entries + keep / 16 + 1;
    audit->trimming = store_find_audit_floor(audit->core->options.store, keep, trim, audit) == 0;
}

static void fire(struct timer *timer)
{
    struct audit *audit = container_of(timer, struct audit, anchor);

    add_anchor(audit);
    look_for_surplus(audit);
}

/* Begin and end ---------------------------------------------------------------------------------------------------- */

int audit_init(struct core *core)
{
    struct audit *audit = calloc(1, sizeof *audit);

    if (!audit)
        return -ENOMEM;
    audit->core = core;
    audit->anchor.fire = fire;
    audit->window.fire = end_window;
    core->audit = audit;
    return 0;
}

/* Numbers are not given again, whatever the journal has let go. What was not yet anchored is. */
void audit_begin(struct core *core)
{
    uint64_t seq;
    uint8_t hash[AUDIT_HASH_SIZE];

    store_get_audit_head(core->options.store, &seq, hash);
    journal_load_number(core, seq);
}

void audit_start(struct core *core)
{
    if (!core_has_audit(core))
        return;
    add_anchor(core->audit);
    look_for_surplus(core->audit);
    if (store_is_restored(core->options.store))
        core_note_audit(core, "restored");
}

void audit_end(struct core *core)
{
    if (!core->audit || !core_has_audit(core))
        return;
    end_window(&core->audit->window);
    add_anchor(core->audit);
}

void audit_free(struct core *core)
{
    if (!core->audit)
        return;
    forget_expected(core->audit);
    core_disarm(core, &core->audit->anchor);
    core_disarm(core, &core->audit->window);
    free(core->audit);
    core->audit = NULL;
}

bool core_has_audit(const struct core *core)
{
    return core->options.audit.keep > 0;
}

void core_get_audit_stats(const struct core *core, struct audit_stats *out)
{
    *out = core->audit->stats;
}
