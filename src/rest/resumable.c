#define _GNU_SOURCE /* asprintf */

#include "rest/resumable.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/bodycheck.h"
#include "rest/api.h"
#include "rest/change.h"
#include "rest/dispatch.h"
#include "rest/reply.h"
#include "rest/state.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "partial-"
#define SUFFIX ".json"
#define ID_SIZE 64
#define TUS_VERSION "1.0.0"
#define RECORD_MAX (256u << 10) /* bytes of a stored record that are read */

enum { PIECE_CODE, PIECE_DATA, PIECE_COUNT };

static const char *const piece_names[PIECE_COUNT] = {"code", "data"};

struct piece {
    uint64_t size;
    char sha256[65];
    struct spool *spool; /* NULL: it has no bytes, or the upload is finished */
    bool checked;
};

struct resumable {
    struct list node; /* in rest->resumables */
    struct rest *rest;
    char id[ID_SIZE + 1];
    json_t *body; /* what made it: {"description", "code", "data"} */
    struct piece pieces[PIECE_COUNT];
    int64_t touched;            /* wall ms */
    char artifact[ID_SIZE + 1]; /* what it became; empty: not yet */
    struct http_request *taken; /* by which it is continued now */
};

static int64_t now_ms(void)
{
    return clock_wall_ms(clock_system());
}

static uint64_t length_of(const struct resumable *upload)
{
    return upload->pieces[PIECE_CODE].size + upload->pieces[PIECE_DATA].size;
}

static uint64_t offset_of(const struct resumable *upload)
{
    uint64_t offset = 0;

    if (*upload->artifact)
        return length_of(upload);
    for (int i = 0; i < PIECE_COUNT; i++)
        offset += upload->pieces[i].spool ? spool_size(upload->pieces[i].spool) : 0;
    return offset;
}

static struct resumable *find(const struct rest *rest, const char *id)
{
    list_each(node, &rest->resumables)
    {
        struct resumable *upload = container_of(node, struct resumable, node);

        if (strcmp(upload->id, id) == 0)
            return upload;
    }
    return NULL;
}

/* Its record on the disk ------------------------------------------------------------------------------------------- */

static char *record_path(const struct resumable *upload, const char *suffix)
{
    char *path = NULL;

    return asprintf(&path, "%s/spool/" PREFIX "%s%s", upload->rest->state_directory, upload->id, suffix) < 0 ? NULL
                                                                                                             : path;
}

/* Appears under its name when it is complete. */
static int write_record(const struct resumable *upload)
{
    cleanup_free char *path = record_path(upload, SUFFIX), *fresh = record_path(upload, ".new");
    json_t *record = json_pack("{s:O, s:s}", "body", upload->body, "artifact", upload->artifact);
    int r = path && fresh && record && json_dump_file(record, fresh, JSON_COMPACT) == 0 ? 0 : -EIO;

    json_decref(record);
    if (r == 0 && rename(fresh, path) < 0)
        r = -errno;
    return r;
}

static void drop_spools(struct resumable *upload)
{
    for (int i = 0; i < PIECE_COUNT; i++) {
        if (upload->pieces[i].spool)
            spool_discard(upload->pieces[i].spool);
        upload->pieces[i].spool = spool_free(upload->pieces[i].spool);
    }
}

static struct resumable *resumable_free(struct resumable *upload)
{
    if (!upload)
        return NULL;
    list_unlink(&upload->node);
    for (int i = 0; i < PIECE_COUNT; i++)
        (void)spool_free(upload->pieces[i].spool);
    json_decref(upload->body);
    free(upload);
    return NULL;
}

/* With all that is on the disk. */
static void forget(struct resumable *upload)
{
    cleanup_free char *path = record_path(upload, SUFFIX);

    drop_spools(upload);
    if (path)
        (void)unlink(path);
    resumable_free(upload);
}

static void forget_old(struct rest *rest)
{
    struct list *next;

    for (struct list *node = rest->resumables.next; node != &rest->resumables; node = next) {
        struct resumable *upload = container_of(node, struct resumable, node);

        next = node->next;
        if (!upload->taken && now_ms() - upload->touched > INT64_C(1000) * RESUMABLE_EXPIRY_S)
            forget(upload);
    }
}

/* Made of a body --------------------------------------------------------------------------------------------------- */

static const struct body_rule body_rules[] = {
    {"description", BODY_OBJECT, true, false, 0, 0, NULL},
    {"code", BODY_OBJECT, true, false, 0, 0, NULL},
    {"data", BODY_OBJECT, false, true, 0, 0, NULL},
};

static const struct body_rule piece_rules[] = {
    {"size", BODY_NUMBER, true, false, 0, INT64_MAX, NULL},
    {"sha256", BODY_TEXT, true, false, ID_SIZE, ID_SIZE, NULL},
};

static int read_piece(struct piece *piece, const json_t *body, int which, struct fault *fault)
{
    const json_t *object = json_object_get(body, piece_names[which]);
    char pointer[FAULT_POINTER_SIZE];

    if (!object || json_is_null(object))
        return 0;
    (void)snprintf(pointer, sizeof pointer, "/%s", piece_names[which]);
    if (body_check(object, pointer, piece_rules, array_size(piece_rules), fault))
        return 1;
    piece->size = (uint64_t)body_number(object, "size", 0);
    (void)text_copy(piece->sha256, sizeof piece->sha256, body_text(object, "sha256"));
    if (strspn(piece->sha256, "0123456789abcdef") == ID_SIZE)
        return 0;
    return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s/sha256 is not 64 lower-case hexadecimal digits",
                        pointer);
}

static int read_body(struct resumable *upload, json_t *body, struct fault *fault)
{
    uint64_t limit = upload->rest->options.max_artifact_bytes;

    if (body_check(body, "", body_rules, array_size(body_rules), fault))
        return 1;
    for (int i = 0; i < PIECE_COUNT; i++)
        if (read_piece(&upload->pieces[i], body, i, fault))
            return 1;
    if (upload->pieces[PIECE_CODE].size == 0)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/code/size", "The code is empty");
    if (upload->pieces[PIECE_CODE].size > limit ||
        upload->pieces[PIECE_DATA].size > limit - upload->pieces[PIECE_CODE].size)
        return fault_set(fault, FAULT_BODY_TOO_LARGE, "Code and data have more than %llu bytes together",
                         (unsigned long long)limit);
    upload->body = json_incref(body);
    return 0;
}

static int make_id(struct resumable *upload)
{
    cleanup_free char *text = json_dumps(upload->body, JSON_COMPACT | JSON_SORT_KEYS);
    uint8_t digest[32];

    if (!text || EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    text_hex(digest, sizeof digest, upload->id);
    return 0;
}

static int open_spools(struct resumable *upload)
{
    char name[ID_SIZE + 8];
    int r = 0;

    for (int i = 0; i < PIECE_COUNT && r == 0; i++) {
        struct piece *piece = &upload->pieces[i];

        (void)snprintf(name, sizeof name, "%s.%s", upload->id, piece_names[i]);
        if (piece->size)
            r = spool_resume(&piece->spool, upload->rest->state_directory, name, piece->size);
    }
    return r;
}

/* 0, 1 with a fault, or negative. */
static int make(struct resumable **out, struct rest *rest, json_t *body, struct fault *fault)
{
    struct resumable *upload = calloc(1, sizeof *upload);
    int r;

    if (!upload)
        return -ENOMEM;
    list_init(&upload->node);
    upload->rest = rest;
    upload->touched = now_ms();
    r = read_body(upload, body, fault);
    if (r == 0)
        r = make_id(upload);
    *out = r ? resumable_free(upload) : upload;
    return r;
}

/* At the start ----------------------------------------------------------------------------------------------------- */

/* When the last of its bytes came. */
static int64_t last_change(const struct resumable *upload, int64_t otherwise)
{
    const struct spool *code = upload->pieces[PIECE_CODE].spool, *data = upload->pieces[PIECE_DATA].spool;
    struct stat st;

    if (data && stat(spool_path(data), &st) == 0 && (int64_t)st.st_mtime > otherwise)
        otherwise = (int64_t)st.st_mtime;
    if (code && stat(spool_path(code), &st) == 0 && (int64_t)st.st_mtime > otherwise)
        otherwise = (int64_t)st.st_mtime;
    return otherwise * 1000;
}

static void load(struct rest *rest, const char *path)
{
    struct resumable *upload = NULL;
    struct fault fault = {0};
    json_t *record = json_load_file(path, 0, NULL);
    const char *artifact = json_string_value(json_object_get(record, "artifact"));
    struct stat st;

    if (artifact && stat(path, &st) == 0 && st.st_size < RECORD_MAX &&
        make(&upload, rest, json_object_get(record, "body"), &fault) == 0) {
        (void)text_copy(upload->artifact, sizeof upload->artifact, artifact);
        if (*artifact || open_spools(upload) == 0) {
            upload->touched = last_change(upload, (int64_t)st.st_mtime);
            list_append(&rest->resumables, &steal_pointer(upload)->node);
        }
    }
    resumable_free(upload);
    json_decref(record);
}

static bool is_record(const char *name)
{
    return strlen(name) == sizeof PREFIX - 1 + ID_SIZE + sizeof SUFFIX - 1 &&
           strcmp(name + sizeof PREFIX - 1 + ID_SIZE, SUFFIX) == 0;
}

/* What was begun to be fetched from the platform's store goes on, unless nobody asks for it any more. */
static bool is_fetched_today(const char *directory, const char *name)
{
    cleanup_free char *path = NULL;
    struct stat st;

    return strncmp(name, PREFIX "fetch-", sizeof PREFIX "fetch-" - 1) == 0 &&
           asprintf(&path, "%s/%s", directory, name) >= 0 && stat(path, &st) == 0 &&
           now_ms() / 1000 - (int64_t)st.st_mtime < RESUMABLE_EXPIRY_S;
}

/* A file that belongs to no upload. */
static void remove_stray(const struct rest *rest, const char *directory, const char *name)
{
    cleanup_free char *path = NULL;
    char id[ID_SIZE + 1];

    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0 || is_fetched_today(directory, name))
        return;
    (void)snprintf(id, sizeof id, "%s", name + sizeof PREFIX - 1);
    if (!find(rest, id) && asprintf(&path, "%s/%s", directory, name) >= 0)
        (void)unlink(path);
}

static void close_directory(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
}

int resumables_open(struct rest *rest)
{
    cleanup_free char *path = NULL;
    cleanup(close_directory) DIR *entries = NULL;
    const struct dirent *entry;
    size_t count = 0;

    if (asprintf(&path, "%s/spool", rest->state_directory) < 0)
        return -ENOMEM;
    entries = opendir(path);
    while (entries && (entry = readdir(entries)) && count < RESUMABLE_MAX) {
        cleanup_free char *file = NULL;

        if (!is_record(entry->d_name) || asprintf(&file, "%s/%s", path, entry->d_name) < 0)
            continue;
        load(rest, file);
        count++;
    }
    forget_old(rest);
    if (entries)
        rewinddir(entries);
    while (entries && (entry = readdir(entries)))
        remove_stray(rest, path, entry->d_name);
    return 0;
}

void resumables_close(struct rest *rest)
{
    while (!list_empty(&rest->resumables)) {
        struct resumable *upload = list_first(&rest->resumables, struct resumable, node);

        if (upload->taken)
            upload->taken->resumable = NULL;
        resumable_free(upload);
    }
}

/* Answers ---------------------------------------------------------------------------------------------------------- */

static json_t *upload_json(const struct resumable *upload)
{
    char expires[RFC3339_SIZE];

    return json_pack("{s:s, s:I, s:I, s:O, s:s, s:o}", "id", upload->id, "offset", (json_int_t)offset_of(upload),
                     "length", (json_int_t)length_of(upload), "description",
                     json_object_get(upload->body, "description"), "expires_at",
                     clock_format_rfc3339(upload->touched + INT64_C(1000) * RESUMABLE_EXPIRY_S, expires), "artifact",
                     *upload->artifact ? json_string(upload->artifact) : json_null());
}

static void add_headers(struct http_request *req, const struct resumable *upload)
{
    http_add(req, "Tus-Resumable", TUS_VERSION);
    http_add(req, "Cache-Control", "no-store");
    http_add_copy(req, "Upload-Offset", "%llu", (unsigned long long)offset_of(upload));
    http_add_copy(req, "Upload-Length", "%llu", (unsigned long long)length_of(upload));
}

static struct resumable *resolve(struct http_request *req)
{
    struct resumable *upload = find(req->rest, req->params[0]);

    if (!upload)
        reply_problem(req, FAULT_NOT_FOUND, "There is no upload %.64s (any more)", req->params[0]);
    return upload;
}

static int set_store_fault(struct fault *fault, int r)
{
    return fault_set(fault, r == -ENOSPC ? FAULT_STORAGE_FULL : FAULT_STORAGE_FAILED, "The upload cannot be stored: %s",
                     strerror(-r));
}

/* The end: an artifact --------------------------------------------------------------------------------------------- */

/* What no further attempt makes better. */
static bool is_final(enum fault_code code)
{
    return fault_info(code)->status == 422 || fault_info(code)->status == 400 || code == FAULT_BODY_TOO_LARGE;
}

static void answer_finished(struct http_request *req)
{
    struct resumable *upload = find(req->rest, req->params[0] ? req->params[0] : req->record);

    if (!upload) {
        reply_problem(req, FAULT_NOT_FOUND, "The upload was removed meanwhile");
        return;
    }
    drop_spools(upload);
    (void)write_record(upload); /* without it the same upload makes the same artifact again */
    add_headers(req, upload);
    http_add_copy(req, "Location", "/v1/artifacts/%s", upload->artifact);
    if (req->method == HTTP_PATCH)
        reply_empty(req, 204);
    else
        reply_json(req, 200, upload_json(upload));
}

static void artifact_added(void *arg, const struct fault *fault)
{
    struct http_request *req = arg;
    struct resumable *upload = find(req->rest, req->params[0] ? req->params[0] : req->record);

    if (upload && fault->code)
        upload->artifact[0] = 0;
    change_done(arg, fault);
}

/* All bytes are there: they become the artifact, and the request is answered then. */
static void finish(struct http_request *req, struct resumable *upload)
{
    struct artifact *artifact;
    struct fault fault;
    bool created;
    int r = 0;

    for (int i = 0; i < PIECE_COUNT && r == 0; i++)
        r = upload->pieces[i].spool ? spool_finish(upload->pieces[i].spool) : 0;
    if (r < 0)
        set_store_fault(&fault, r);
    if (r < 0) {
        reply_fault(req, &fault);
        return;
    }
    upload->taken = req;
    req->resumable = upload;
    (void)text_copy(req->record, sizeof req->record, upload->id);
    r = core_add_artifact(rest_core(req), json_object_get(upload->body, "description"),
                          upload->pieces[PIECE_CODE].spool, upload->pieces[PIECE_DATA].spool, artifact_added,
                          change_begin(req, answer_finished), &fault, &artifact, &created);
    if (r == 0) {
        (void)text_copy(upload->artifact, sizeof upload->artifact, artifact->id);
        return;
    }
    if (r > 0 && is_final(fault.code)) {
        req->resumable = NULL;
        forget(upload);
    }
    (void)change_was_refused(req, r, &fault);
}

/* Continuing ------------------------------------------------------------------------------------------------------- */

static int check_head(struct http_request *req, const struct resumable *upload, uint64_t length, struct fault *fault)
{
    const char *type = http_header(req, "Content-Type"), *offset = http_header(req, "Upload-Offset");
    const char *version = http_header(req, "Tus-Resumable");
    int64_t number;

    if (version && strcmp(version, TUS_VERSION) != 0)
        return fault_set(fault, FAULT_PRECONDITION_FAILED, "Tus-Resumable is %.16s; " TUS_VERSION " is spoken here",
                         version);
    if (!type || !http_is_type(type, RESUMABLE_TYPE))
        return fault_set(fault, FAULT_UNSUPPORTED_MEDIA_TYPE, "The body has to be " RESUMABLE_TYPE);
    if (!offset || !text_parse_int(offset, 0, INT64_MAX, &number))
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The header Upload-Offset is missing, or no number");
    if (upload->taken)
        return fault_set(fault, FAULT_CONFLICT, "Another request continues this upload");
    if ((uint64_t)number != offset_of(upload))
        return fault_set(fault, FAULT_CONFLICT, "Upload-Offset is %lld, and the upload has %llu bytes",
                         (long long)number, (unsigned long long)offset_of(upload));
    if (length != UINT64_MAX && length > length_of(upload) - offset_of(upload))
        return fault_set(fault, FAULT_BODY_TOO_LARGE, "The body is longer than what is missing of the upload");
    return 0;
}

int resumable_begin(struct http_request *req, uint64_t length, struct fault *fault)
{
    struct resumable *upload = find(req->rest, req->params[0]);

    if (!upload)
        return fault_set(fault, FAULT_NOT_FOUND, "There is no upload %.64s (any more)", req->params[0]);
    if (check_head(req, upload, length, fault)) {
        add_headers(req, upload);
        return 1;
    }
    upload->taken = req;
    req->resumable = upload;
    return 0;
}

/* A part that is complete is what it was said to be, or the upload is worth nothing. */
static int check_piece(struct http_request *req, int which, struct fault *fault)
{
    struct resumable *upload = req->resumable;
    struct piece *piece = &upload->pieces[which];
    char seen[65];
    int r;

    if (piece->checked || !piece->spool || spool_size(piece->spool) < piece->size)
        return 0;
    r = spool_finish(piece->spool);
    if (r < 0)
        return set_store_fault(fault, r);
    piece->checked = true;
    if (strcmp(text_hex(spool_digest(piece->spool), 32, seen), piece->sha256) == 0)
        return 0;
    fault_set(fault, FAULT_DIGEST_MISMATCH, "The %s has the SHA-256 %s instead of %s; the upload was dropped",
              piece_names[which], seen, piece->sha256);
    req->resumable = NULL;
    forget(upload);
    return 1;
}

/* As much as belongs to one part. 0, or 1 with a fault. */
static int take_piece(struct http_request *req, int which, const uint8_t **data, size_t *size, struct fault *fault)
{
    struct piece *piece = &req->resumable->pieces[which];
    uint64_t room = piece->spool ? piece->size - spool_size(piece->spool) : 0;
    size_t n = *size < room ? *size : (size_t)room;
    int r = n ? spool_write(piece->spool, *data, n) : 0;

    if (r < 0)
        return set_store_fault(fault, r);
    *data += n;
    *size -= n;
    return check_piece(req, which, fault);
}

int resumable_take(struct http_request *req, const void *data, size_t size, struct fault *fault)
{
    const uint8_t *at = data;

    req->resumable->touched = now_ms();
    for (int i = 0; i < PIECE_COUNT; i++)
        if (take_piece(req, i, &at, &size, fault))
            return 1;
    if (size)
        return fault_set(fault, FAULT_BODY_TOO_LARGE, "The body is longer than what is missing of the upload");
    return 0;
}

void resumable_leave(struct http_request *req)
{
    if (req->resumable)
        req->resumable->taken = NULL;
    req->resumable = NULL;
}

/* Handlers --------------------------------------------------------------------------------------------------------- */

void api_continue_upload(struct http_request *req)
{
    struct resumable *upload = req->resumable;
    struct fault fault;

    /* Also what was complete before, but for whose end the gateway did not live long enough. */
    for (int i = 0; i < PIECE_COUNT; i++)
        if (check_piece(req, i, &fault)) {
            reply_fault(req, &fault);
            return;
        }
    if (!*upload->artifact && offset_of(upload) == length_of(upload)) {
        finish(req, upload);
        return;
    }
    add_headers(req, upload);
    if (*upload->artifact)
        http_add_copy(req, "Location", "/v1/artifacts/%s", upload->artifact);
    reply_empty(req, 204);
}

/* Without a record nothing could go on. False when that was answered, and the upload is to be forgotten. */
static bool keep(struct http_request *req, struct resumable *upload)
{
    struct fault fault;
    int r = 0;

    if (core_check_description(rest_core(req), json_object_get(upload->body, "description"), &fault)) {
        reply_fault(req, &fault);
        return false;
    }
    r = write_record(upload);
    if (r == 0)
        r = open_spools(upload);
    if (r < 0) {
        set_store_fault(&fault, r);
        reply_fault(req, &fault);
    }
    return r == 0;
}

static size_t count(const struct rest *rest)
{
    size_t n = 0;

    list_each(node, &rest->resumables) n++;
    return n;
}

static void answer_begun(struct http_request *req, struct resumable *upload, int status)
{
    if (*upload->artifact && !core_find_artifact(rest_core(req), upload->artifact)) { /* removed since: anew */
        upload->artifact[0] = 0;
        if (!keep(req, upload)) {
            forget(upload);
            return;
        }
    }
    add_headers(req, upload);
    http_add_copy(req, "Location", "/v1/uploads/%s", upload->id);
    reply_json(req, status, upload_json(upload));
}

void api_begin_upload(struct http_request *req)
{
    struct resumable *upload, *present;
    struct fault fault;
    int r;

    forget_old(req->rest);
    r = make(&upload, req->rest, req->json, &fault);
    if (r) {
        reply_refusal(req, r, &fault);
        return;
    }
    present = find(req->rest, upload->id);
    if (present) {
        resumable_free(upload);
        present->touched = now_ms();
        answer_begun(req, present, 200);
    } else if (count(req->rest) >= RESUMABLE_MAX) {
        resumable_free(upload);
        reply_problem(req, FAULT_LIMIT_REACHED, "There are %d uploads, which is the limit", RESUMABLE_MAX);
    } else if (keep(req, upload)) {
        list_append(&req->rest->resumables, &upload->node);
        req->changed = true;
        answer_begun(req, upload, 201);
    } else {
        forget(upload);
    }
}

void api_show_upload(struct http_request *req)
{
    const struct resumable *upload = resolve(req);

    if (!upload)
        return;
    add_headers(req, upload);
    if (*upload->artifact)
        http_add_copy(req, "Location", "/v1/artifacts/%s", upload->artifact);
    reply_json(req, 200, upload_json(upload));
}

void api_list_uploads(struct http_request *req)
{
    json_t *items = json_array();

    list_each(node, &req->rest->resumables)(void)
        json_array_append_new(items, upload_json(container_of(node, struct resumable, node)));
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

void api_remove_upload(struct http_request *req)
{
    struct resumable *upload = resolve(req);

    if (!upload)
        return;
    if (upload->taken) {
        reply_problem(req, FAULT_CONFLICT, "A request continues this upload");
        return;
    }
    forget(upload);
    req->changed = true;
    http_add(req, "Tus-Resumable", TUS_VERSION);
    reply_empty(req, 204);
}
