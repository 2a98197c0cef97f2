#include "core/deadletter.h"
#include "rest/api.h"
#include "rest/change.h"
#include "rest/reply.h"
#include "rest/state.h"

#include <errno.h>

/* The sinks of the uplink, through the daemon's port. */

static const struct sinks_port *port_of(const struct http_request *req)
{
    return &req->rest->options.sinks;
}

/* The sink of the path as JSON; NULL when there is none, which is answered then. */
static json_t *resolve_sink(struct http_request *req)
{
    const struct sinks_port *port = port_of(req);
    json_t *sink = port->show ? port->show(port->arg, req->params[0]) : NULL;

    if (!sink)
        reply_problem(req, FAULT_NOT_FOUND, "There is no sink '%.64s'", req->params[0]);
    return sink;
}

static bool has_sink(struct http_request *req)
{
    json_t *sink = resolve_sink(req);

    json_decref(sink);
    return sink != NULL;
}

static void answer(struct http_request *req, int status, json_t *json)
{
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, status, json);
}

void api_list_sinks(struct http_request *req)
{
    const struct sinks_port *port = port_of(req);

    answer(req, 200, port->list ? port->list(port->arg) : json_pack("{s:[], s:n}", "items", "next"));
}

void api_show_sink(struct http_request *req)
{
    json_t *sink = resolve_sink(req);

    if (sink)
        answer(req, 200, sink);
}

void api_retry_sink(struct http_request *req)
{
    const struct sinks_port *port = port_of(req);

    if (port->retry)
        (void)port->retry(port->arg, req->params[0]);
    api_show_sink(req);
}

void api_list_letters(struct http_request *req)
{
    if (has_sink(req))
        answer(req, 200, port_of(req)->letters(port_of(req)->arg, req->params[0]));
}

/* The dead letter of the path; NULL when there is none, which is answered then. */
static struct dead_letter *resolve_letter(struct http_request *req)
{
    struct dead_letter *letter = NULL;
    int64_t first;

    if (!has_sink(req))
        return NULL;
    if (text_parse_int(req->params[1], 1, INT64_MAX, &first))
        letter = core_find_dead_letter(rest_core(req), req->params[0], (uint64_t)first);
    if (!letter)
        reply_problem(req, FAULT_NOT_FOUND, "The sink has no dead letter '%.32s'", req->params[1]);
    return letter;
}

void api_show_letter(struct http_request *req)
{
    const struct dead_letter *letter = resolve_letter(req);

    if (letter)
        answer(req, 200, port_of(req)->letter(port_of(req)->arg, req->params[0], letter->first));
}

void api_retry_letter(struct http_request *req)
{
    const struct dead_letter *letter = resolve_letter(req);
    const struct sinks_port *port = port_of(req);

    if (!letter)
        return;
    if (port->retry_letter(port->arg, req->params[0], letter->first) == 0)
        answer(req, 202, port->letter(port->arg, req->params[0], letter->first));
    else
        reply_problem(req, FAULT_CONFLICT, "Another dead letter of the sink is being sent, or the sink cannot be used");
}

void api_remove_letter(struct http_request *req)
{
    const struct dead_letter *letter = resolve_letter(req);
    struct fault fault;
    int r;

    if (!letter)
        return;
    r = core_drop_dead_letter(rest_core(req), letter, change_done, change_begin(req, change_answer_empty), &fault);
    (void)change_was_refused(req, r, &fault);
}
