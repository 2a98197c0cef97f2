#include "rest/api.h"
#include "rest/change.h"
#include "rest/condition.h"
#include "rest/page.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "rest/upload.h"

#include <errno.h>
#include <string.h>

/* As core_list_artifacts, of those that are there for the caller. */
static size_t list_artifacts(const struct http_request *req, const char *after, struct artifact **out, size_t max)
{
    struct core *core = rest_core(req);
    size_t count = 0, n;

    do {
        size_t kept = count;

        n = core_list_artifacts(core, after, out + count, max - count);
        if (n)
            after = out[count + n - 1]->id;
        for (size_t i = 0; i < n; i++)
            if (caller_sees_artifact(core, &req->caller, out[kept + i]))
                out[count++] = out[kept + i];
    } while (n && count < max);
    return count;
}

void api_list_artifacts(struct http_request *req)
{
    struct artifact *artifacts[PAGE_LIMIT_MAX + 1];
    struct page page;
    size_t n;

    if (!page_begin(&page, req))
        return;
    n = list_artifacts(req, page.after, artifacts, page.limit + 1);
    for (size_t i = 0; i < n && i < page.limit; i++)
        page_add_json(&page, core_artifact_json(rest_core(req), artifacts[i]));
    page_end(&page, n > page.limit ? artifacts[page.limit - 1]->id : NULL);
}

static void answer_added(struct http_request *req)
{
    struct artifact *artifact = core_find_artifact(rest_core(req), req->record);

    if (artifact && !caller_sees_artifact(rest_core(req), &req->caller, artifact)) {
        reply_problem(req, FAULT_CONFLICT, "This content is there already, under a name that is not the tenant's");
        return;
    }
    if (!artifact) {
        reply_problem(req, FAULT_NOT_FOUND, "The artifact %s was removed meanwhile", req->record);
        return;
    }
    http_add_copy(req, "Location", "/v1/artifacts/%s", artifact->id);
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, req->created_status, core_artifact_json(rest_core(req), artifact));
}

void api_add_artifact(struct http_request *req)
{
    struct artifact *artifact;
    struct fault fault;
    bool created;
    int r;

    r = core_add_artifact(rest_core(req), upload_description(req->upload), upload_code(req->upload),
                          upload_data(req->upload), change_done, change_begin(req, answer_added), &fault, &artifact,
                          &created);
    if (change_was_refused(req, r, &fault))
        return;
    (void)text_copy(req->record, sizeof req->record, artifact->id);
    req->created_status = created ? 201 : 200;
}

void api_show_artifact(struct http_request *req)
{
    struct artifact *artifact = resolve_artifact(req);

    if (!artifact)
        return;
    http_add(req, "Cache-Control", "no-store"); /* its users change */
    reply_json(req, 200, core_artifact_json(rest_core(req), artifact));
}

void api_remove_artifact(struct http_request *req)
{
    struct artifact *artifact = resolve_artifact(req);
    struct fault fault;
    int r;

    if (!artifact)
        return;
    r = core_remove_artifact(rest_core(req), artifact, change_done, change_begin(req, change_answer_empty), &fault);
    (void)change_was_refused(req, r, &fault);
}

static void answer_kept(struct http_request *req)
{
    const struct artifact *artifact = core_find_artifact(rest_core(req), req->params[0]);

    http_add(req, "Cache-Control", "no-store");
    if (artifact)
        reply_json(req, 200, core_artifact_json(rest_core(req), artifact));
    else
        reply_problem(req, FAULT_NOT_FOUND, "The artifact was removed meanwhile");
}

static void pin(struct http_request *req, bool pinned)
{
    struct artifact *artifact = resolve_artifact(req);
    struct fault fault;
    int r;

    if (!artifact)
        return;
    r = core_pin_artifact(rest_core(req), artifact, pinned, change_done, change_begin(req, answer_kept), &fault);
    (void)change_was_refused(req, r, &fault);
}

void api_pin_artifact(struct http_request *req)
{
    pin(req, true);
}

void api_unpin_artifact(struct http_request *req)
{
    pin(req, false);
}

static void answer_collected(struct http_request *req)
{
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200, json_incref(req->json));
}

void api_collect_artifacts(struct http_request *req)
{
    const char *dry = http_parameter(req, "dry_run");
    struct core_collection collection;
    bool dry_run = dry && strcmp(dry, "true") == 0;
    struct fault fault;
    int r;

    if (dry && !dry_run && strcmp(dry, "false") != 0) {
        reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter dry_run is true or false");
        return;
    }
    r = core_collect_artifacts(rest_core(req), dry_run, change_done, change_begin(req, answer_collected), &fault,
                               &collection);
    if (change_was_refused(req, r, &fault))
        return;
    req->json = json_pack("{s:o, s:I, s:b}", "artifacts", collection.ids, "bytes", (json_int_t)collection.bytes,
                          "dry_run", dry_run);
    if (!dry_run)
        return;
    answer_collected(req);
    http_release(req);
}

static void reply_part(struct http_request *req, int result, uint8_t **part, size_t size)
{
    if (result == 0)
        reply_owned(req, 200, HTTP_OCTETS, steal_pointer(*part), size);
    else if (result == -ENOENT)
        reply_problem(req, FAULT_NOT_FOUND, "The artifact was removed meanwhile");
    else
        reply_problem(req, FAULT_STORAGE_FAILED, "The artifact cannot be read: %s", strerror(-result));
}

static void blobs_read(struct http_request *req, int result, struct store_blobs *blobs, bool code)
{
    if (!req->answered && code)
        reply_part(req, result, &blobs->code, blobs->code_size);
    else if (!req->answered)
        reply_part(req, result, &blobs->data, blobs->data_size);
    if (result == 0) {
        free(blobs->code);
        free(blobs->data);
    }
    http_release(req);
}

static void code_read(void *arg, int result, struct store_blobs *blobs)
{
    blobs_read(arg, result, blobs, true);
}

static void data_read(void *arg, int result, struct store_blobs *blobs)
{
    blobs_read(arg, result, blobs, false);
}

/* A part never changes; its tag is its SHA-256. */
static void show_part(struct http_request *req, const struct artifact *artifact, const char *digest,
                      store_blobs_fn done)
{
    char tag[CORE_DIGEST_TEXT + 2];

    (void)snprintf(tag, sizeof tag, "\"%.64s\"", digest);
    http_add(req, "Cache-Control", "no-cache");
    http_add_copy(req, "ETag", "%s", tag);
    if (condition_is_current(req, tag)) {
        reply_empty(req, 304);
        return;
    }
    http_hold(req);
    if (store_read_blobs(req->rest->options.store, artifact->id, done, req) == 0)
        return;
    reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
    http_release(req);
}

void api_show_code(struct http_request *req)
{
    struct artifact *artifact = resolve_artifact(req);

    if (artifact)
        show_part(req, artifact, artifact->code_digest, code_read);
}

void api_show_data(struct http_request *req)
{
    struct artifact *artifact = resolve_artifact(req);

    if (artifact)
        show_part(req, artifact, artifact->data_digest, data_read);
}
