#include "core/document.h"

#include "base/log.h"
#include "core/access_private.h"
#include "core/budget.h"
#include "core/emergency.h"
#include "core/event.h"
#include "core/internal.h"
#include "core/link.h"
#include "core/service.h"
#include "core/trust_private.h"

#include <errno.h>
#include <string.h>

static const struct document_class classes[DOCUMENT_KIND_COUNT] = {
    [DOCUMENT_PUBLISHER] = {.name = "publisher",
                            .max = 256,
                            .keep_damaged = true,
                            .parse = publisher_parse,
                            .free = publisher_free,
                            .changed = publishers_changed},
    [DOCUMENT_RELEASE] = {.name = "release",
                          .max = 2000,
                          .parse = release_parse_document,
                          .free = release_free,
                          .changed = trust_changed},
    [DOCUMENT_POLICY] = {.name = "policy",
                         .max = 256,
                         .keep_damaged = true,
                         .parse = policy_parse,
                         .free = policy_free,
                         .changed = trust_changed},
    [DOCUMENT_LINK] = {.name = "link", .max = 100, .parse = link_parse, .free = free},
    [DOCUMENT_EMERGENCY_STOP] = {.name = "emergency-stop",
                                 .max = 100,
                                 .keep_damaged = true,
                                 .parse = emergency_parse,
                                 .changed = emergency_changed},
    [DOCUMENT_QUARANTINE] = {.name = "quarantine",
                             .max = 100000,
                             .keep_damaged = true,
                             .parse = emergency_parse,
                             .changed = quarantine_changed},
    [DOCUMENT_BUDGET] = {.name = "budget", .max = 100000, .parse = budget_parse},
    [DOCUMENT_ROLLOUT] = {.name = "rollout", .load = rollout_load},
    [DOCUMENT_ROLLOUT_DEVICE] = {.name = "rollout-device", .load = rollout_load_member},
    [DOCUMENT_TENANT] = {.name = "tenant", .max = 100, .parse = tenant_parse},
    [DOCUMENT_GRANT] = {.name = "grant", .max = 256, .parse = grant_parse, .free = free},
    [DOCUMENT_TOKEN] = {.name = "token", .max = 1000, .parse = bearer_parse, .free = free},
    [DOCUMENT_SERVICE] = {.name = "service",
                          .max = SERVICES_MAX,
                          .keep_damaged = true,
                          .parse = service_parse,
                          .free = service_free,
                          .changed = service_changed},
};

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

struct document *document_find(const struct core *core, enum document_kind kind, const char *key)
{
    struct document *document = NULL;

    HASH_FIND_STR(core->documents[kind].table, key, document);
    return document;
}

static void add(struct documents *documents, struct document *document)
{
    const struct document *last =
        documents->table ? ELMT_FROM_HH(documents->table->hh.tbl, documents->table->hh.tbl->tail) : NULL;

    documents->unsorted |= last && strcmp(last->key, document->key) > 0;
    HASH_ADD_STR(documents->table, key, document);
}

static int compare(const struct document *a, const struct document *b)
{
    return strcmp(a->key, b->key);
}

static void sort(struct documents *documents)
{
    HASH_SORT(documents->table, compare);
}

static void take_out(struct documents *documents, struct document *document)
{
    HASH_DEL(documents->table, document);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

struct document *document_first(struct core *core, enum document_kind kind)
{
    struct documents *documents = &core->documents[kind];

    if (documents->unsorted)
        sort(documents);
    documents->unsorted = false;
    return documents->table;
}

size_t document_count(const struct core *core, enum document_kind kind)
{
    return HASH_COUNT(core->documents[kind].table);
}

static struct document *document_free(enum document_kind kind, struct document *document)
{
    if (!document)
        return NULL;
    if (document->object && classes[kind].free)
        classes[kind].free(document->object);
    json_decref(document->body);
    free(document);
    return NULL;
}

void documents_free(struct core *core)
{
    for (int kind = 0; kind < DOCUMENT_KIND_COUNT; kind++) {
        struct documents *documents = &core->documents[kind];

        while (documents->table) {
            struct document *document = documents->table;

            take_out(documents, document);
            document_free((enum document_kind)kind, document);
        }
    }
}

static struct document *document_new(const char *key, json_t *body)
{
    size_t size = strlen(key) + 1;
    struct document *document = body ? calloc(1, sizeof *document + size) : NULL;

    if (!document) {
        json_decref(body);
        return NULL;
    }
    memcpy(document->key, key, size);
    document->body = body;
    return document;
}

/* A document that is in no table; the body is taken over. */
static int make(struct document **out, struct core *core, enum document_kind kind, const char *key, json_t *body,
                struct fault *fault)
{
    struct document *document = document_new(key, body);
    int r = 0;

    if (!document)
        return -ENOMEM;
    if (classes[kind].parse)
        r = classes[kind].parse(core, key, body, &document->object, fault);
    *out = r ? document_free(kind, document) : document;
    return r;
}

static int kind_of(const char *name)
{
    int kind = 0;

    while (kind < DOCUMENT_KIND_COUNT && (!classes[kind].name || strcmp(classes[kind].name, name) != 0))
        kind++;
    return kind;
}

static int skip_row(const struct store_document *row, const char *why)
{
    log_warning("database row skipped", "kind", row->kind, "id", row->key, "reason", why, NULL);
    return 0;
}

/* One that cannot be read. */
static int load_damaged(struct core *core, enum document_kind kind, const struct store_document *row, const char *why)
{
    struct document *document;
    json_t *body;

    if (!classes[kind].keep_damaged)
        return skip_row(row, why);
    body = json_loads(row->body, 0, NULL);
    document = document_new(row->key, body ? body : json_object());
    if (!document)
        return -ENOMEM;
    log_error("a record cannot be read and has to be set anew", "kind", row->kind, "id", row->key, "reason", why, NULL);
    add(&core->documents[kind], document);
    return 0;
}

int document_load(void *arg, const struct store_document *row)
{
    struct core *core = arg;
    struct document *document;
    struct fault fault = {0};
    int kind = kind_of(row->kind), r;
    json_t *body;

    if (kind == DOCUMENT_KIND_COUNT)
        return skip_row(row, "unknown kind of document");
    if (classes[kind].load)
        return classes[kind].load(core, row);
    body = json_loads(row->body, 0, NULL);
    if (!body)
        return load_damaged(core, (enum document_kind)kind, row, "bad JSON");
    r = make(&document, core, (enum document_kind)kind, row->key, body, &fault);
    if (r == 0)
        add(&core->documents[kind], document);
    return r > 0 ? load_damaged(core, (enum document_kind)kind, row, fault.detail) : r;
}

/* Changes ---------------------------------------------------------------------------------------------------------- */

/* What a change goes back to: commit->old. */
struct past {
    enum document_kind kind;
    struct document *document; /* NULL: there was none */
};

static void past_free(void *old)
{
    struct past *past = old;

    document_free(past->kind, past->document);
    free(past);
}

/* Puts a document (NULL: none) where the one with this key is, which is returned. */
static struct document *replace(struct core *core, enum document_kind kind, const char *key, struct document *document)
{
    struct document *present = document_find(core, kind, key);

    if (present)
        take_out(&core->documents[kind], present);
    if (document)
        add(&core->documents[kind], document);
    return present;
}

static void tell_kind(struct core *core, enum document_kind kind, const char *key)
{
    if (classes[kind].changed)
        classes[kind].changed(core, key);
}

static void settle(struct commit *commit, bool durable, struct fault *fault);

static struct commit *find_later(const struct commit *commit)
{
    const struct past *past = commit->old;

    list_each(node, &commit->core->commits)
    {
        struct commit *other = container_of(node, struct commit, node);

        if (other->settle == settle && ((struct past *)other->old)->kind == past->kind &&
            strcmp(other->key, commit->key) == 0)
            return other;
    }
    return NULL;
}

static void settle(struct commit *commit, bool durable, struct fault *fault)
{
    struct past *past = commit->old, *between;
    struct commit *later;

    (void)fault;
    if (durable) {
        log_info("record changed", "kind", classes[past->kind].name, "id", commit->key, NULL);
        return;
    }
    later = find_later(commit);
    if (later) { /* what that one would go back to */
        between = later->old;
        later->old = past;
        commit->old = between;
    } else {
        past->document = replace(commit->core, past->kind, commit->key, past->document);
        tell_kind(commit->core, past->kind, commit->key);
    }
}

static int begin(struct commit **out, struct core *core, enum document_kind kind, const char *key, core_done_fn done,
                 void *arg)
{
    struct commit *commit;
    struct past *past;

    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    commit->key = strdup(key);
    commit->old = past = calloc(1, sizeof *past);
    if (!commit->key || !past) {
        commit_free(commit);
        return -ENOMEM;
    }
    past->kind = kind;
    commit->release = past_free;
    commit->settle = settle;
    *out = commit;
    return 0;
}

/* Submits what is in the commit's batch, with the document (NULL: none) in its place. */
static void finish(struct commit *commit, struct document *document)
{
    struct past *past = commit->old;

    past->document = replace(commit->core, past->kind, commit->key, document);
    event_add(commit->core, commit->batch, document ? EVENT_RECORD_CHANGED : EVENT_RECORD_REMOVED, NULL, "{s:s, s:s}",
              "record", classes[past->kind].name, "name", commit->key);
    commit_submit(commit);
    tell_kind(commit->core, past->kind, commit->key);
}

int document_put(struct core *core, enum document_kind kind, const char *key, const json_t *body, core_done_fn done,
                 void *arg, struct fault *fault)
{
    cleanup_free char *text = NULL;
    struct document *document;
    struct commit *commit;
    int r;

    if (core_check_accepting(core, fault))
        return 1;
    if (!document_find(core, kind, key) && document_count(core, kind) >= classes[kind].max)
        return fault_set(fault, FAULT_LIMIT_REACHED, "There are %zu records of kind %s, which is the limit.",
                         classes[kind].max, classes[kind].name);
    r = make(&document, core, kind, key, json_deep_copy(body), fault);
    if (r)
        return r;
    text = json_dumps(document->body, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text || begin(&commit, core, kind, key, done, arg)) {
        document_free(kind, document);
        return -ENOMEM;
    }
    store_batch_put_document(commit->batch,
                             &(struct store_document){.kind = classes[kind].name, .key = key, .body = text});
    finish(commit, document);
    return 0;
}

int document_remove(struct core *core, enum document_kind kind, const char *key, core_done_fn done, void *arg,
                    struct fault *fault)
{
    struct commit *commit;

    if (core_check_accepting(core, fault))
        return 1;
    if (!document_find(core, kind, key))
        return fault_set(fault, FAULT_NOT_FOUND, "There is no %s '%s'.", classes[kind].name, key);
    if (begin(&commit, core, kind, key, done, arg))
        return -ENOMEM;
    store_batch_delete_document(commit->batch, classes[kind].name, key);
    finish(commit, NULL);
    return 0;
}
