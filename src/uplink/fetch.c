#include "uplink/fetch.h"

#include "base/log.h"
#include "base/text.h"
#include "store/spool.h"
#include "uplink/http.h"
#include "uplink/sink.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 60000
#define FORGET_MS 30000 /* a failure is told for so long before another attempt is made */
#define ATTEMPTS_MAX 8  /* in a row without a byte */

enum stage { FETCH_MANIFEST, FETCH_CODE, FETCH_DATA, FETCH_STORING, FETCH_FAILED };

struct fetch {
    struct list node; /* in fetches->list */
    struct fetches *fetches;
    char id[CORE_DIGEST_TEXT];
    enum stage stage;
    struct http_call call;
    struct buffer manifest;
    json_t *description;
    struct spool *spools[2];
    char digests[2][CORE_DIGEST_TEXT];
    uint64_t sizes[2];
    uint64_t skip; /* bytes of the answer that are held already: the store does not know Range */
    bool answered; /* the first byte of an answer was looked at */
    unsigned attempts;
    struct fault fault; /* FETCH_FAILED, or found while bytes came */
    uv_timer_t timer;
};

struct fetches {
    struct uplink *uplink;
    struct list list;
};

static void begin_call(struct fetch *fetch);

static unsigned part_of(const struct fetch *fetch)
{
    return fetch->stage == FETCH_DATA;
}

/* Its end ---------------------------------------------------------------------------------------------------------- */

static void timer_closed(uv_handle_t *handle)
{
    struct fetch *fetch = handle->data;
    struct uplink *uplink = fetch->fetches->uplink;

    free(fetch);
    uplink_release(uplink);
}

static void drop_spools(struct fetch *fetch, bool discard)
{
    for (int i = 0; i < 2; i++) {
        if (fetch->spools[i] && discard)
            spool_discard(fetch->spools[i]);
        fetch->spools[i] = spool_free(fetch->spools[i]);
    }
}

static void end(struct fetch *fetch)
{
    list_unlink(&fetch->node);
    http_call_clear(&fetch->call);
    drop_spools(fetch, false);
    buffer_clear(&fetch->manifest);
    json_decref(fetch->description);
    uv_close((uv_handle_t *)&fetch->timer, timer_closed);
}

static void forget(uv_timer_t *timer)
{
    end(timer->data);
}

/* For good: fetch->fault says why, and is told for a while. */
static void fail(struct fetch *fetch)
{
    log_warning("artifact cannot be fetched", "artifact", fetch->id, "error", fault_info(fetch->fault.code)->slug,
                "detail", fetch->fault.detail, NULL);
    fetch->stage = FETCH_FAILED;
    drop_spools(fetch, true);
    (void)uv_timer_start(&fetch->timer, forget, FORGET_MS, 0);
}

static void try_again(uv_timer_t *timer)
{
    begin_call(timer->data);
}

/* Later, since that may pass. */
static void wait(struct fetch *fetch, const char *why)
{
    uint64_t pause = PAUSE_MIN_MS;
    uint64_t asked = (uint64_t)fetch->call.retry_after_s * 1000;

    for (unsigned i = 0; i < fetch->attempts && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    (void)fault_set(&fetch->fault, FAULT_UPSTREAM_FAILED, "The store did not deliver artifact %.12s: %s", fetch->id,
                    why);
    if (++fetch->attempts >= ATTEMPTS_MAX) {
        fail(fetch);
        return;
    }
    log_info("artifact is fetched again later", "artifact", fetch->id, "reason", why, NULL);
    pause = pause < asked ? asked : pause;
    (void)uv_timer_start(&fetch->timer, try_again, pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS, 0);
}

/* The description -------------------------------------------------------------------------------------------------- */

static const char *const manifest_members[] = {"type", "syscalls", "endpoints", "limits", "code", "data"};

static bool has_id(const struct fetch *fetch, const json_t *manifest)
{
    cleanup_free char *text = json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS);
    char seen[CORE_DIGEST_TEXT];
    uint8_t digest[32];

    return text && EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) == 1 &&
           strcmp(text_hex(digest, sizeof digest, seen), fetch->id) == 0;
}

static bool read_part(struct fetch *fetch, const json_t *manifest, unsigned part)
{
    const json_t *object = json_object_get(manifest, part ? "data" : "code");
    const char *digest = json_string_value(json_object_get(object, "sha256"));
    json_int_t size = json_integer_value(json_object_get(object, "size"));

    if (!digest || strlen(digest) != CORE_DIGEST_TEXT - 1 || size < 0)
        return false;
    (void)text_copy(fetch->digests[part], sizeof fetch->digests[part], digest);
    fetch->sizes[part] = (uint64_t)size;
    return true;
}

/* What core_add_artifact takes: no parts, but the name. */
static int describe(struct fetch *fetch, const json_t *answer, json_t *manifest)
{
    const uint64_t limit = fetch->fetches->uplink->options.max_artifact_bytes;
    json_t *name = json_object_get(answer, "name");

    if (!read_part(fetch, manifest, 0) || !read_part(fetch, manifest, 1))
        return fault_set(&fetch->fault, FAULT_UPSTREAM_FAILED, "The store's description of %.12s has no parts",
                         fetch->id);
    if (fetch->sizes[0] > limit || fetch->sizes[1] > limit - fetch->sizes[0])
        return fault_set(&fetch->fault, FAULT_BODY_TOO_LARGE, "Artifact %.12s has more than %llu bytes", fetch->id,
                         (unsigned long long)limit);
    (void)json_object_del(manifest, "code");
    (void)json_object_del(manifest, "data");
    if (json_is_string(name))
        (void)json_object_set(manifest, "name", name);
    fetch->description = json_incref(manifest);
    return 0;
}

static int take_manifest(struct fetch *fetch)
{
    json_t *answer = json_loadb(buffer_text(&fetch->manifest), fetch->manifest.size, JSON_REJECT_DUPLICATES, NULL);
    json_t *manifest = json_object();
    int r;

    for (size_t i = 0; i < array_size(manifest_members) && manifest; i++)
        if (json_object_get(answer, manifest_members[i]))
            (void)json_object_set(manifest, manifest_members[i], json_object_get(answer, manifest_members[i]));
    if (!has_id(fetch, manifest))
        r = fault_set(&fetch->fault, FAULT_DIGEST_MISMATCH, "What the store describes is not artifact %s", fetch->id);
    else
        r = describe(fetch, answer, manifest);
    json_decref(manifest);
    json_decref(answer);
    return r;
}

/* Bytes ------------------------------------------------------------------------------------------------------------ */

/* The beginning of an answer that does not begin where it was asked to. */
static bool look_at_answer(struct fetch *fetch)
{
    long status = 0;

    (void)curl_easy_getinfo(fetch->call.curl, CURLINFO_RESPONSE_CODE, &status);
    if (!fetch->answered && fetch->stage != FETCH_MANIFEST && status == 200)
        fetch->skip = spool_size(fetch->spools[part_of(fetch)]);
    fetch->answered = true;
    return status == 200 || status == 206;
}

static size_t take_part(struct fetch *fetch, const char *data, size_t size)
{
    size_t skipped = size < fetch->skip ? size : (size_t)fetch->skip;
    int r = spool_write(fetch->spools[part_of(fetch)], data + skipped, size - skipped);

    fetch->skip -= skipped;
    if (r == 0) {
        fetch->attempts = size > skipped ? 0 : fetch->attempts;
        return size;
    }
    if (r > 0)
        (void)fault_set(&fetch->fault, FAULT_DIGEST_MISMATCH,
                        "The store sends more of artifact %.12s than its description says", fetch->id);
    else
        (void)fault_set(&fetch->fault, r == -ENOSPC ? FAULT_STORAGE_FULL : FAULT_STORAGE_FAILED,
                        "Artifact %.12s cannot be stored: %s", fetch->id, strerror(-r));
    return 0;
}

static size_t take_bytes(char *data, size_t size, size_t count, void *arg)
{
    struct fetch *fetch = arg;
    size_t n = size * count;

    if (!look_at_answer(fetch)) /* of an error nothing is read but the status */
        return (fetch->call.received += n) > HTTP_BODY_MAX ? 0 : n;
    if (fetch->stage != FETCH_MANIFEST)
        return take_part(fetch, data, n);
    buffer_append(&fetch->manifest, data, n);
    if (!fetch->manifest.failed)
        return n;
    (void)fault_set(&fetch->fault, FAULT_UPSTREAM_FAILED, "The store's description of %.12s has more than %d bytes",
                    fetch->id, FETCH_MANIFEST_MAX);
    return 0;
}

/* Storing ---------------------------------------------------------------------------------------------------------- */

struct storing {
    struct uplink *uplink;
    char id[CORE_DIGEST_TEXT];
};

static struct fetch *find(const struct fetches *fetches, const char *id)
{
    list_each(node, &fetches->list)
    {
        struct fetch *fetch = container_of(node, struct fetch, node);

        if (strcmp(fetch->id, id) == 0)
            return fetch;
    }
    return NULL;
}

static void stored(void *arg, const struct fault *fault)
{
    struct storing *storing = arg;
    struct fetch *fetch = storing->uplink->fetches ? find(storing->uplink->fetches, storing->id) : NULL;

    if (fetch && fault->code) {
        fetch->fault = *fault;
        fail(fetch);
    } else if (fetch) {
        log_info("artifact fetched", "artifact", fetch->id, NULL);
        drop_spools(fetch, true);
        end(fetch);
    }
    uplink_release(storing->uplink);
    free(storing);
}

static void store(struct fetch *fetch)
{
    struct uplink *uplink = fetch->fetches->uplink;
    struct storing *storing = calloc(1, sizeof *storing);
    struct artifact *artifact;
    bool created;
    int r = -ENOMEM;

    fetch->stage = FETCH_STORING;
    if (storing) {
        storing->uplink = uplink;
        (void)text_copy(storing->id, sizeof storing->id, fetch->id);
        uplink->holds++;
        r = core_add_artifact(uplink->options.core, fetch->description, fetch->spools[0], fetch->spools[1], stored,
                              storing, &fetch->fault, &artifact, &created);
    }
    if (r == 0)
        return;
    if (storing)
        uplink_release(uplink);
    free(storing);
    if (r < 0)
        (void)fault_set(&fetch->fault, FAULT_INTERNAL, "The gateway is out of memory");
    fail(fetch);
}

/* A part that has all its bytes. */
static bool is_genuine(struct fetch *fetch, unsigned part)
{
    char seen[CORE_DIGEST_TEXT];

    if (!fetch->spools[part] || spool_finish(fetch->spools[part]) < 0)
        return !fetch->spools[part];
    if (strcmp(text_hex(spool_digest(fetch->spools[part]), 32, seen), fetch->digests[part]) == 0)
        return true;
    (void)fault_set(&fetch->fault, FAULT_DIGEST_MISMATCH, "The %s of artifact %.12s from the store has the SHA-256 %s",
                    part ? "data" : "code", fetch->id, seen);
    return false;
}

/* Goes to the next stage that has something to fetch. */
static void go_on(struct fetch *fetch)
{
    struct uplink *uplink = fetch->fetches->uplink;
    char name[CORE_DIGEST_TEXT + 16];
    unsigned part;
    int r = 0;

    for (fetch->stage++; fetch->stage < FETCH_STORING; fetch->stage++) {
        part = part_of(fetch);
        (void)snprintf(name, sizeof name, "fetch-%s.%s", fetch->id, part ? "data" : "code");
        if (fetch->sizes[part])
            r = spool_resume(&fetch->spools[part], uplink->options.state_directory, name, fetch->sizes[part]);
        if (r < 0)
            (void)fault_set(&fetch->fault, FAULT_STORAGE_FAILED, "Artifact %.12s cannot be stored: %s", fetch->id,
                            strerror(-r));
        if (r == 0 && fetch->spools[part] && spool_size(fetch->spools[part]) < fetch->sizes[part]) {
            begin_call(fetch);
            return;
        }
        if (r < 0 || !is_genuine(fetch, part)) {
            fail(fetch);
            return;
        }
    }
    store(fetch);
}

static bool is_passing(long status)
{
    return status == 0 || status == 408 || status == 425 || status == 429 || status >= 500;
}

static void call_done(struct http_call *call)
{
    struct fetch *fetch = call->arg;
    unsigned part = part_of(fetch);
    bool part_stage = fetch->stage != FETCH_MANIFEST;
    char why[80];

    if (fetch->fault.code) {
        fail(fetch);
    } else if (call->status != 200 && call->status != 206) {
        (void)snprintf(why, sizeof why, "it answers %ld", call->status);
        if (is_passing(call->status)) {
            wait(fetch, call->status ? why : call->problem);
            return;
        }
        (void)fault_set(&fetch->fault, call->status == 404 ? FAULT_NOT_FOUND : FAULT_UPSTREAM_FAILED,
                        "The store has no artifact %.12s for this gateway: %s", fetch->id, why);
        fail(fetch);
    } else if (part_stage && spool_size(fetch->spools[part]) < fetch->sizes[part]) {
        wait(fetch, "it stopped before the end");
    } else if (part_stage ? !is_genuine(fetch, part) : take_manifest(fetch) != 0) {
        fail(fetch);
    } else {
        go_on(fetch);
    }
}

/* The request ------------------------------------------------------------------------------------------------------ */

static void set_url(struct fetch *fetch)
{
    static const char *const tails[] = {"", "/code", "/data"};
    const char *base = fetch->fetches->uplink->options.store->artifacts_store_url;
    cleanup_buffer struct buffer url = {0};
    size_t n = strlen(base);

    while (n && base[n - 1] == '/')
        n--;
    buffer_printf(&url, "%.*s/%s%s", (int)n, base, fetch->id, tails[fetch->stage]);
    (void)curl_easy_setopt(fetch->call.curl, CURLOPT_URL, buffer_text(&url));
}

/* False with *why. */
static bool set_headers(struct fetch *fetch, char why[SECRET_ERROR_SIZE])
{
    const char *path = fetch->fetches->uplink->options.store->artifacts_store_token_file;
    cleanup_secret struct buffer token = {0};

    (void)text_copy(why, SECRET_ERROR_SIZE, "the request cannot be made");
    if (!http_call_header(&fetch->call, "User-Agent: tcgw/%s", fetch->fetches->uplink->version))
        return false;
    if (!*path)
        return true;
    if (secret_read("artifacts.store_token_file", path, &token, why))
        return false;
    if (strpbrk(buffer_text(&token), " \t\r\n"))
        (void)text_copy(why, SECRET_ERROR_SIZE, "artifacts.store_token_file holds more than one word");
    else if (http_call_header(&fetch->call, "Authorization: Bearer %s", buffer_text(&token)))
        return true;
    return false;
}

static void begin_call(struct fetch *fetch)
{
    const struct conf *conf = fetch->fetches->uplink->options.store;
    uint64_t held = fetch->stage == FETCH_MANIFEST ? 0 : spool_size(fetch->spools[part_of(fetch)]);
    CURL *curl = fetch->call.curl;
    char range[32], why[SECRET_ERROR_SIZE];

    http_call_cancel(&fetch->call);
    fetch->answered = false;
    fetch->skip = 0;
    fetch->fault.code = FAULT_NONE;
    fetch->manifest.size = 0;
    set_url(fetch);
    (void)snprintf(range, sizeof range, "%llu-", (unsigned long long)held);
    (void)curl_easy_setopt(curl, CURLOPT_RANGE, held ? range : NULL);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 64L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 30L);
    if (*conf->artifacts_store_ca)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, conf->artifacts_store_ca);
    if (!set_headers(fetch, why) || !http_call_begin(&fetch->call))
        wait(fetch, why);
}

/* Life ------------------------------------------------------------------------------------------------------------- */

static struct fetch *begin(struct fetches *fetches, const char *id)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);

    if (!fetch || http_call_init(&fetch->call, fetches->uplink->http)) {
        free(fetch);
        return NULL;
    }
    fetch->fetches = fetches;
    fetch->call.done = call_done;
    fetch->call.arg = fetch;
    fetch->manifest = buffer_init(FETCH_MANIFEST_MAX);
    (void)text_copy(fetch->id, sizeof fetch->id, id);
    (void)uv_timer_init(fetches->uplink->options.loop, &fetch->timer);
    fetch->timer.data = fetch;
    fetches->uplink->holds++;
    list_append(&fetches->list, &fetch->node);
    begin_call(fetch);
    return fetch;
}

static size_t count(const struct fetches *fetches)
{
    size_t n = 0;

    list_each(node, &fetches->list) n++;
    return n;
}

void fetches_want(struct fetches *fetches, const char *id, struct fault *fault)
{
    struct fetch *fetch = find(fetches, id);

    if (!fetch && count(fetches) < FETCH_MAX)
        fetch = begin(fetches, id);
    if (fetch && fetch->stage == FETCH_FAILED)
        (void)fault_set(fault, fetch->fault.code, "%s", fetch->fault.detail);
    else if (fetch)
        (void)fault_set(fault, FAULT_ARTIFACT_PENDING, "Artifact %.12s is being fetched from the platform's store.%s%s",
                        id, fetch->attempts ? " " : "", fetch->attempts ? fetch->fault.detail : "");
    else
        (void)fault_set(fault, FAULT_ARTIFACT_PENDING,
                        "Artifact %.12s is to be fetched from the platform's store, behind %d others.", id, FETCH_MAX);
}

int fetches_new(struct fetches **out, struct uplink *uplink)
{
    struct fetches *fetches = calloc(1, sizeof *fetches);

    if (!fetches)
        return -ENOMEM;
    fetches->uplink = uplink;
    list_init(&fetches->list);
    *out = fetches;
    return 0;
}

void fetches_close(struct fetches *fetches)
{
    struct list *next;

    if (!fetches)
        return;
    for (struct list *node = fetches->list.next; node != &fetches->list; node = next) {
        next = node->next;
        end(container_of(node, struct fetch, node));
    }
}
