#include "rest/api.h"
#include "rest/change.h"
#include "rest/reply.h"
#include "rest/state.h"

#include <string.h>

/* What a body has that brings credentials along instead of having them made. */
static const char *const imported[] = {"master_secret", "master_salt",     "sender_id",  "recipient_id",
                                       "id_context",    "sequence_number", "fresh",      "identity",
                                       "key",           "common_name",     "fingerprint"};

/* The first of them that is there, NULL when there is none. */
static const char *find_imported(const json_t *body)
{
    for (size_t i = 0; i < array_size(imported); i++)
        if (json_object_get(body, imported[i]))
            return imported[i];
    return NULL;
}

/* The member without which there is nothing to import. */
static const char *secret_of(const json_t *body)
{
    const char *kind = json_string_value(json_object_get(body, "kind"));

    if (kind && strcmp(kind, "psk") == 0)
        return "key";
    return kind && strcmp(kind, "certificate") == 0 ? "fingerprint" : "master_secret";
}

static void reply_credentials(struct http_request *req, int status, const struct device *device)
{
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, status, json_pack("{s:o, s:n}", "items", core_credentials_json(device), "next"));
}

void api_list_credentials(struct http_request *req)
{
    struct device *device = resolve_device(req);

    if (device)
        reply_credentials(req, 200, device);
}

/* The only time that secrets are told. */
static void answer_enrolled(struct http_request *req)
{
    char *text = req->secrets ? json_dumps(req->secrets, JSON_COMPACT) : NULL;

    if (!text) {
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory; revoke the credentials and enrol again");
        return;
    }
    http_add(req, "Cache-Control", "no-store");
    req->response.secret = true;
    reply_owned(req, 201, HTTP_JSON, text, strlen(text));
}

static void answer_imported(struct http_request *req)
{
    struct device *device = core_find_device(rest_core(req), req->record);

    if (device)
        reply_credentials(req, 201, device);
    else
        reply_problem(req, FAULT_NOT_FOUND, "The device %s was removed meanwhile", req->record);
}

static void enrol(struct http_request *req, struct device *device, void (*then)(struct http_request *req))
{
    struct fault fault;
    int r;

    (void)text_copy(req->record, sizeof req->record, device->id);
    r = core_enrol_device(rest_core(req), device, req->json, change_done, change_begin(req, then), &fault,
                          &req->secrets);
    (void)change_was_refused(req, r, &fault);
}

static void reply_field(struct http_request *req, const char *member, const char *format)
{
    char pointer[32];
    struct fault fault;

    (void)snprintf(pointer, sizeof pointer, "/%s", member);
    fault_set_at(&fault, FAULT_INVALID_FIELD, pointer, format, member); /* NOLINT: the literals below */
    reply_fault(req, &fault);
}

void api_enrol_device(struct http_request *req)
{
    struct device *device = resolve_device(req);
    const char *member = find_imported(req->json);

    if (device && member)
        reply_field(req, member, "\"%s\" is made by the gateway; use PUT to bring credentials along");
    else if (device)
        enrol(req, device, answer_enrolled);
}

void api_import_credentials(struct http_request *req)
{
    struct device *device = resolve_device(req);
    const char *member = secret_of(req->json);

    if (device && !json_object_get(req->json, member))
        reply_field(req, member, "\"%s\" is missing; use POST to have credentials made");
    else if (device)
        enrol(req, device, answer_imported);
}

void api_revoke_credentials(struct http_request *req)
{
    struct device *device = resolve_device(req);
    int64_t number = 0;
    struct fault fault;
    int r;

    if (!device)
        return;
    if (req->params[1] && !text_parse_int(req->params[1], 1, INT64_MAX, &number)) {
        reply_problem(req, FAULT_INVALID_ID, "\"%.80s\" is not the number of credentials", req->params[1]);
        return;
    }
    r = core_revoke_credentials(rest_core(req), device, (uint64_t)number, change_done,
                                change_begin(req, change_answer_empty), &fault);
    (void)change_was_refused(req, r, &fault);
}

void api_distrust_contexts(struct http_request *req)
{
    struct fault fault;
    int r;

    r = core_distrust_contexts(rest_core(req), change_done, change_begin(req, change_answer_empty), &fault);
    (void)change_was_refused(req, r, &fault);
}
