#include "rest/api.h"
#include "rest/change.h"
#include "rest/condition.h"
#include "rest/media.h"
#include "rest/reply.h"
#include "rest/state.h"

#include <errno.h>
#include <string.h>

#define TAG_SIZE 24

static const char *const kind_names[SHADOW_KIND_COUNT] = {"desired", "reported"};

static void format_tag(uint64_t revision, char tag[TAG_SIZE])
{
    (void)snprintf(tag, TAG_SIZE, "\"%llu\"", (unsigned long long)revision);
}

static void add_tag(struct http_request *req, uint64_t revision)
{
    char tag[TAG_SIZE];

    format_tag(revision, tag);
    http_add(req, "Cache-Control", "no-cache");
    http_add_copy(req, "ETag", "%s", tag);
}

static void reply_missing(struct http_request *req, enum shadow_kind kind)
{
    reply_problem(req, FAULT_NOT_FOUND, "The device %s has no %s state", req->about.device, kind_names[kind]);
}

static void shadow_read(void *arg, int result, const struct shadow *shadow, const void *body)
{
    struct http_request *req = arg;
    char *copy = result == 0 && !req->answered ? malloc(shadow->size + 1) : NULL;

    if (copy) {
        add_tag(req, shadow->revision);
        media_reply(req, 200, shadow->format, shadow->size ? memcpy(copy, body, shadow->size) : copy, shadow->size);
    } else if (!req->answered && result == -ENOENT) {
        reply_problem(req, FAULT_NOT_FOUND, "The document was removed meanwhile");
    } else if (!req->answered) {
        reply_problem(req, FAULT_INTERNAL, "The document could not be read: %s", strerror(result ? -result : ENOMEM));
    }
    http_release(req);
}

static void show(struct http_request *req, enum shadow_kind kind)
{
    struct device *device = resolve_device(req);
    struct shadow shadow;
    char tag[TAG_SIZE];
    int r;

    if (!device)
        return;
    shadow = core_shadow(device, kind);
    if (!shadow.revision) {
        reply_missing(req, kind);
        return;
    }
    format_tag(shadow.revision, tag);
    if (condition_is_current(req, tag)) {
        add_tag(req, shadow.revision);
        reply_empty(req, 304);
        return;
    }
    http_hold(req);
    r = core_read_shadow(rest_core(req), device, kind, shadow_read, req);
    if (r == 0)
        return;
    reply_refusal(req, r, NULL);
    http_release(req);
}

void api_show_desired(struct http_request *req)
{
    show(req, SHADOW_DESIRED);
}

void api_show_reported(struct http_request *req)
{
    show(req, SHADOW_REPORTED);
}

/* The device, and the revision of its document that was written last, when the request's conditions hold. False when it
 * was answered. */
static bool resolve_for_write(struct http_request *req, struct device **device, uint64_t *revision)
{
    struct fault fault;

    *device = resolve_device(req);
    if (!*device)
        return false;
    *revision = core_shadow_latest(*device, SHADOW_DESIRED);
    if (condition_check_write(req, *revision != 0, *revision, &fault) == 0)
        return true;
    reply_fault(req, &fault);
    return false;
}

static void answer_put(struct http_request *req)
{
    add_tag(req, req->revision);
    reply_empty(req, req->created_status);
}

void api_put_desired(struct http_request *req)
{
    struct shadow shadow;
    struct device *device;
    uint64_t revision;
    struct fault fault;
    int r;

    if (!resolve_for_write(req, &device, &revision))
        return;
    req->created_status = revision ? 204 : 201;
    shadow = (struct shadow){.format = req->format, .size = req->body.size};
    r = core_put_shadow(rest_core(req), device, SHADOW_DESIRED, &shadow, req->body.data, change_done,
                        change_begin(req, answer_put), &fault);
    req->revision = shadow.revision;
    (void)change_was_refused(req, r, &fault);
}

void api_remove_desired(struct http_request *req)
{
    struct device *device;
    uint64_t revision;
    struct fault fault;
    int r;

    if (!resolve_for_write(req, &device, &revision))
        return;
    if (!revision) {
        reply_missing(req, SHADOW_DESIRED);
        return;
    }
    r = core_delete_shadow(rest_core(req), device, SHADOW_DESIRED, change_done, change_begin(req, change_answer_empty),
                           &fault);
    (void)change_was_refused(req, r, &fault);
}
