#include "rest/api.h"
#include "rest/change.h"
#include "rest/reply.h"
#include "rest/scope.h"
#include "rest/state.h"

#include "core/rollout.h"

#include <string.h>

static void show(struct http_request *req, const char *id)
{
    json_t *json = core_rollout_json(rest_core(req), id, false);

    http_add(req, "Cache-Control", "no-store");
    if (json)
        reply_json(req, 200, json);
    else
        reply_problem(req, FAULT_NOT_FOUND, "There is no rollout %.80s", id);
}

void api_list_rollouts(struct http_request *req)
{
    http_add(req, "Cache-Control", "no-store");
    reply_json(
        req, 200,
        json_pack("{s:o}", "items", scope_filter(req, core_rollouts_json(rest_core(req)), "name", caller_sees_name)));
}

void api_show_rollout(struct http_request *req)
{
    show(req, req->params[0]);
}

/* Leaves those in one state. */
static void filter(json_t *devices, const char *state)
{
    for (size_t i = json_array_size(devices); state && i-- > 0;) {
        const char *is = json_string_value(json_object_get(json_array_get(devices, i), "state"));

        if (strcmp(is, state) != 0)
            (void)json_array_remove(devices, i);
    }
}

void api_list_rollout_devices(struct http_request *req)
{
    json_t *json = core_rollout_json(rest_core(req), req->params[0], true);
    json_t *devices = json_object_get(json, "devices");

    http_add(req, "Cache-Control", "no-store");
    if (json) {
        filter(devices, http_parameter(req, "state"));
        (void)scope_filter(req, devices, "device", caller_sees_device_id);
        reply_json(req, 200, json_pack("{s:O}", "items", devices));
    } else {
        reply_problem(req, FAULT_NOT_FOUND, "There is no rollout %.80s", req->params[0]);
    }
    json_decref(json);
}

static void plan(struct http_request *req)
{
    struct fault fault;
    json_t *json;
    int r = core_plan_rollout(rest_core(req), req->json, &json, &fault);

    if (r)
        reply_refusal(req, r, &fault);
    else
        reply_json(req, 200, json);
}

static void answer_added(struct http_request *req)
{
    json_t *json = core_rollout_json(rest_core(req), req->record, false);

    http_add_copy(req, "Location", "/v1/rollouts/%s", req->record);
    reply_json(req, 201, json);
}

void api_add_rollout(struct http_request *req)
{
    const char *dry = http_parameter(req, "dry_run");
    struct fault fault;
    int r;

    if (dry && strcmp(dry, "true") == 0) {
        plan(req);
    } else if (dry && strcmp(dry, "false") != 0) {
        reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter dry_run is not true or false");
    } else {
        r = core_add_rollout(rest_core(req), req->json, change_done, change_begin(req, answer_added), &fault,
                             req->record);
        (void)change_was_refused(req, r, &fault);
    }
}

static void answer_acted(struct http_request *req)
{
    show(req, req->params[0]);
}

static void act(struct http_request *req, enum rollout_action action)
{
    struct fault fault;
    int r = core_act_on_rollout(rest_core(req), req->params[0], action, change_done, change_begin(req, answer_acted),
                                &fault);

    (void)change_was_refused(req, r, &fault);
}

void api_pause_rollout(struct http_request *req)
{
    act(req, ROLLOUT_PAUSE);
}

void api_resume_rollout(struct http_request *req)
{
    act(req, ROLLOUT_RESUME);
}

void api_abort_rollout(struct http_request *req)
{
    act(req, ROLLOUT_ABORT);
}

void api_roll_back(struct http_request *req)
{
    act(req, ROLLOUT_ROLL_BACK);
}

void api_remove_rollout(struct http_request *req)
{
    struct fault fault;
    int r = core_remove_rollout(rest_core(req), req->params[0], change_done, change_begin(req, change_answer_empty),
                                &fault);

    (void)change_was_refused(req, r, &fault);
}
