#include "rest/resumable_private.h"

#include "base/log.h"
#include "rest/api.h"
#include "rest/change.h"
#include "rest/dispatch.h"
#include "rest/reply.h"

#include <errno.h>
#include <string.h>

#define TUS_VERSION "1.0.0"

/* Answers ---------------------------------------------------------------------------------------------------------- */

static json_t *upload_json(const struct resumable *upload)
{
    char expires[RFC3339_SIZE];

    return json_pack("{s:s, s:I, s:I, s:O, s:s, s:o}", "id", upload->id, "offset", (json_int_t)resumable_offset(upload),
                     "length", (json_int_t)resumable_length(upload), "description",
                     json_object_get(upload->body, "description"), "expires_at",
                     clock_format_rfc3339(upload->touched + INT64_C(1000) * RESUMABLE_EXPIRY_S, expires), "artifact",
                     *upload->artifact ? json_string(upload->artifact) : json_null());
}

static void add_headers(struct http_request *req, const struct resumable *upload)
{
    http_add(req, "Tus-Resumable", TUS_VERSION);
    http_add(req, "Cache-Control", "no-store");
    http_add_copy(req, "Upload-Offset", "%llu", (unsigned long long)resumable_offset(upload));
    http_add_copy(req, "Upload-Length", "%llu", (unsigned long long)resumable_length(upload));
}

static struct resumable *resolve(struct http_request *req)
{
    struct resumable *upload = resumable_find(req->rest, req->params[0]);

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
    struct resumable *upload = resumable_find(req->rest, req->params[0] ? req->params[0] : req->record);

    if (!upload) {
        reply_problem(req, FAULT_NOT_FOUND, "The upload was removed meanwhile");
        return;
    }
    resumable_drop_spools(upload);
    if (resumable_write(upload) < 0) /* then the same upload makes the same artifact again */
        log_warning("an upload's record was not stored", "upload", upload->id, NULL);
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
    struct resumable *upload = resumable_find(req->rest, req->params[0] ? req->params[0] : req->record);

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
        resumable_forget(upload);
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
    if ((uint64_t)number != resumable_offset(upload))
        return fault_set(fault, FAULT_CONFLICT, "Upload-Offset is %lld, and the upload has %llu bytes",
                         (long long)number, (unsigned long long)resumable_offset(upload));
    if (length != UINT64_MAX && length > resumable_length(upload) - resumable_offset(upload))
        return fault_set(fault, FAULT_BODY_TOO_LARGE, "The body is longer than what is missing of the upload");
    return 0;
}

int resumable_begin(struct http_request *req, uint64_t length, struct fault *fault)
{
    struct resumable *upload = resumable_find(req->rest, req->params[0]);

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
              resumable_piece_names[which], seen, piece->sha256);
    req->resumable = NULL;
    resumable_forget(upload);
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

    req->resumable->touched = resumable_now();
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
    if (!*upload->artifact && resumable_offset(upload) == resumable_length(upload)) {
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
    r = resumable_write(upload);
    if (r == 0)
        r = resumable_open_spools(upload);
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
            resumable_forget(upload);
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

    resumable_forget_old(req->rest);
    r = resumable_make(&upload, req->rest, req->json, &fault);
    if (r) {
        reply_refusal(req, r, &fault);
        return;
    }
    present = resumable_find(req->rest, upload->id);
    if (present) {
        resumable_free(upload);
        present->touched = resumable_now();
        answer_begun(req, present, 200);
    } else if (count(req->rest) >= RESUMABLE_MAX) {
        resumable_free(upload);
        reply_problem(req, FAULT_LIMIT_REACHED, "There are %d uploads, which is the limit", RESUMABLE_MAX);
    } else if (keep(req, upload)) {
        list_append(&req->rest->resumables, &upload->node);
        req->changed = true;
        answer_begun(req, upload, 201);
    } else {
        resumable_forget(upload);
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
    resumable_forget(upload);
    req->changed = true;
    http_add(req, "Tus-Resumable", TUS_VERSION);
    reply_empty(req, 204);
}
