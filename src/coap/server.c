#include "coap/server_private.h"

#include "base/memory.h"
#include "base/text.h"
#include "core/budget.h"

#include <errno.h>
#include <openssl/rand.h>
#include <string.h>

#define TICK_MS 1000
#define OUTER_TRANSFERS 32 /* protected messages that are put together from outer blocks at once */
/* Answers a second to those who are not authenticated: so few and so small that the gateway is of no use to flood
 * somebody else with. */
#define STRANGERS_RATE 1000
#define STRANGER_RATE 32
#define DERIVATIONS_RATE 1000 /* about 3 % of a processor */
#define DERIVATION_RATE 16
#define CHALLENGE_RATE 4 /* to one credential */
#define LOOKUPS_RATE 20  /* each walks through the whole directory */
#define LOOKUP_RATE 8

/* The plain request ----------------------------------------------------------------------------------------------- */

static resource_fn find_handler(const struct resource *resource, uint8_t method)
{
    switch (method) {
    case COAPMSG_GET:
        return resource->get;
    case COAPMSG_POST:
        return resource->post;
    case COAPMSG_PUT:
        return resource->put;
    case COAPMSG_DELETE:
        return resource->remove;
    default:
        return NULL;
    }
}

static void note_observe(struct inbound *in, const struct coapmsg *request)
{
    uint32_t observe;

    if (!in->resource->is_observable || request->code != COAPMSG_GET ||
        !coapmsg_get_uint(request, COAPMSG_OPT_OBSERVE, &observe))
        return;
    in->wants_observe = observe == 0;
    if (observe == 1)
        observers_remove(in);
}

static void run(struct inbound *in, const struct coapmsg *request, resource_fn handler)
{
    struct coapmsg response;
    uint32_t accept;

    if (block_server_take(in->server->blocks, in->number, request, &in->blocks, &response) == BLOCK_SERVER_ANSWERED) {
        inbound_send(in, &response);
        return;
    }
    if (coapmsg_get_uint(request, COAPMSG_OPT_ACCEPT, &accept))
        in->accept = (int)accept;
    note_observe(in, request);
    handler(in, request, in->blocks.body, in->blocks.size);
}

bool inbound_take_budget(struct inbound *in, const char *payer, const struct coapmsg *request)
{
    const struct budget_request cost = {.bytes = coapmsg_size(request), .incoming = true};
    struct coapmsg response;
    struct fault fault;
    uint32_t retry_s;

    (void)text_copy(in->payer, sizeof in->payer, payer);
    if (budget_take(in->server->core, in->payer, &cost, &fault, &retry_s) == 0)
        return true;
    in->server->stats.over_budget++;
    coapmsg_init(&response, COAPMSG_ACK,
                 fault.code == FAULT_QUARANTINED ? COAPMSG_FORBIDDEN : COAPMSG_TOO_MANY_REQUESTS);
    if (fault.code == FAULT_BUDGET_EXCEEDED)
        coapmsg_add_uint(&response, COAPMSG_OPT_MAX_AGE, retry_s);
    inbound_send(in, &response);
    return false;
}

void server_dispatch(struct inbound *in, const struct coapmsg *request)
{
    struct server_stats *stats = &in->server->stats;
    const char *problem = resource_check_options(request);
    resource_fn handler;

    inbound_trace(in, false, request);
    if (in->device && !inbound_take_budget(in, in->device->id, request))
        return;
    in->resource = resource_find(request);
    if (in->resource)
        ++*(uint64_t *)(void *)((char *)stats + in->resource->counter);
    else
        stats->other_requests++;
    if (problem && request->type == COAPMSG_NON && !in->is_protected) {
        stats->bad_options++;
        inbound_drop(in, false); /* RFC 7252 section 5.4.1 */
    } else if (problem) {
        stats->bad_options++;
        inbound_reply_text(in, COAPMSG_BAD_OPTION, problem);
    } else if (coapmsg_find(request, COAPMSG_OPT_PROXY_URI) || coapmsg_find(request, COAPMSG_OPT_PROXY_SCHEME)) {
        inbound_reply_text(in, COAPMSG_PROXYING_NOT_SUPPORTED, "the gateway is no forward proxy");
    } else if (!in->resource) {
        inbound_reply_text(in, COAPMSG_NOT_FOUND, "");
    } else if (!in->resource->is_open && !in->credential && !(in->resource->allows_plain && in->device)) {
        stats->unprotected_refused++;
        inbound_reply_text(in, COAPMSG_UNAUTHORIZED, "only for devices that prove who they are");
    } else if (!(handler = find_handler(in->resource, request->code))) {
        inbound_reply_text(in, COAPMSG_METHOD_NOT_ALLOWED, "");
    } else {
        run(in, request, handler);
    }
}

/* The credential of a DTLS or TLS session: the one that it was made with, since names of one kind may be those of
 * another device's other kind. */
static struct credential *find_session_credential(const struct core *core, const struct incoming *incoming)
{
    const char *name = incoming_identity(incoming);
    const uint8_t *fingerprint = incoming_fingerprint(incoming);

    if (!name)
        return NULL;
    return fingerprint ? keyring_find_certificate(core, name, fingerprint) : keyring_find_psk(core, name, strlen(name));
}

/* Without an OSCORE option: by the session, if that is enough for the device, else by the address, where that is. One
 * that has OSCORE credentials is heard with OSCORE only. */
static void take_unprotected(struct inbound *in, const struct coapmsg *request)
{
    struct credential *credential = find_session_credential(in->server->core, in->incoming);
    bool is_enough = credential && keyring_of_device(credential->device)->kind != CREDENTIAL_OSCORE;
    struct device *plain = credential ? NULL : inbound_find_plain(in);

    if ((is_enough && !inbound_set_credential(in, credential)) || (plain && !inbound_set_plain(in, plain))) {
        in->server->stats.overloaded++;
        inbound_reply_text(in, COAPMSG_UNAVAILABLE, "");
        return;
    }
    if (is_enough)
        inbound_verified(in);
    else if (plain)
        keyring_heard_plain(plain);
    server_dispatch(in, request);
}

void server_request(void *server, struct incoming *incoming, const struct coapmsg *request)
{
    struct server *s = server;
    struct inbound *in = inbound_begin(s, incoming, request);

    if (!in) {
        s->stats.overloaded++;
        incoming_drop(incoming, false);
    } else if (coapmsg_find(request, COAPMSG_OPT_OSCORE)) {
        unprotect_take(in, request);
    } else {
        take_unprotected(in, request);
    }
}

/* The whole ------------------------------------------------------------------------------------------------------- */

static void on_shadow(void *arg, struct device *device, enum shadow_kind kind)
{
    if (kind == SHADOW_DESIRED)
        observers_notify(arg, device);
}

static void on_tick(uv_timer_t *timer)
{
    struct server *server = timer->data;

    observers_run(server);
    if (server->observers.count == 0)
        (void)uv_timer_stop(timer);
}

void server_watch(struct server *server)
{
    if (!uv_is_active((uv_handle_t *)&server->timer))
        (void)uv_timer_start(&server->timer, on_tick, TICK_MS, TICK_MS);
}

static struct server *free_server(struct server *server)
{
    (void)block_server_free(server->blocks);
    (void)block_server_free(server->outer_blocks);
    senml_clear(&server->pack);
    proof_wipe(&server->proof);
    directory_forget_lookups(server);
    free(server->plain);
    free(server->sealed);
    free(server);
    return NULL;
}

static void take_options(struct server *server, const struct server_options *options)
{
    uv_loop_t *loop = server->options.loop;

    server->options = *options;
    server->options.loop = loop;
}

static struct block_server_options inner_options(const struct server *server)
{
    return (struct block_server_options){server->options.clock, server->options.max_transfers, server->options.max_body,
                                         false};
}

static struct block_server_options outer_options(const struct server *server)
{
    return (struct block_server_options){server->options.clock, OUTER_TRANSFERS, server->options.max_unfragmented,
                                         true};
}

static int init(struct server *server)
{
    const struct clock *clock = server->options.clock;
    struct block_server_options inner = inner_options(server), outer = outer_options(server);
    uint64_t seed = 0;
    int r = proof_init(&server->proof);

    if (r == 0 && RAND_bytes((uint8_t *)&seed, sizeof seed) != 1)
        r = -EIO;
    if (r == 0)
        r = block_server_new(&server->blocks, &inner);
    if (r == 0)
        r = block_server_new(&server->outer_blocks, &outer);
    server->plain = malloc(SERVER_MESSAGE_MAX);
    server->sealed = malloc(SERVER_MESSAGE_MAX);
    if (r < 0 || !server->plain || !server->sealed)
        return r < 0 ? r : -ENOMEM;
    limiter_init(&server->strangers, clock, seed, STRANGERS_RATE, STRANGER_RATE);
    limiter_init(&server->derivations, clock, seed, DERIVATIONS_RATE, DERIVATION_RATE);
    limiter_init(&server->challenges, clock, seed, 0, CHALLENGE_RATE);
    limiter_init(&server->lookups, clock, seed, LOOKUPS_RATE, LOOKUP_RATE);
    list_init(&server->held);
    observers_init(&server->observers);
    return uv_timer_init(server->options.loop, &server->timer);
}

int server_new(struct server **out, const struct server_options *options)
{
    struct server *server = calloc(1, sizeof *server);
    int r;

    if (!server)
        return -ENOMEM;
    server->options = *options;
    server->core = options->core;
    server->endpoint = options->endpoint;
    server->quiet_until = clock_monotonic_ms(options->clock) + options->quiet_ms;
    r = init(server);
    if (r < 0) {
        (void)free_server(server);
        return r;
    }
    server->timer.data = server;
    core_on_shadow(server->core, on_shadow, server);
    *out = server;
    return 0;
}

void server_configure(struct server *server, const struct server_options *options)
{
    struct block_server_options inner, outer;

    take_options(server, options);
    inner = inner_options(server);
    outer = outer_options(server);
    block_server_configure(server->blocks, &inner);
    block_server_configure(server->outer_blocks, &outer);
}

void server_dropped(struct server *server, struct credential *credential)
{
    list_each(node, &server->held)
    {
        struct inbound *in = container_of(node, struct inbound, node);

        /* keyring_renew tells the one whose renewal replaces the context */
        if (in->credential == credential && !in->is_renewing)
            inbound_refuse(in, COAPMSG_UNAUTHORIZED, "Security context not found");
    }
    block_server_forget(server->blocks, credential->number);
    observers_forget(server, credential->number);
}

void server_get_stats(const struct server *server, struct server_stats *out)
{
    struct block_server_stats inner, outer;

    block_server_get_stats(server->blocks, &inner);
    block_server_get_stats(server->outer_blocks, &outer);
    *out = server->stats;
    out->observers = server->observers.count;
    out->blocks_refused = inner.refused + outer.refused;
    out->blocks_abandoned = inner.abandoned + outer.abandoned;
    out->transfers_refused = inner.too_large + outer.too_large;
    out->transfers = inner.transfers + outer.transfers;
    out->transfer_bytes = inner.bytes + outer.bytes;
}

static void on_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;
    void (*closed)(void *arg) = server->closed;
    void *arg = server->closed_arg;

    (void)free_server(server);
    if (closed)
        closed(arg);
}

static void close_if_idle(struct server *server)
{
    if (server->closing && server->due == 0)
        uv_close((uv_handle_t *)&server->timer, on_closed);
}

void server_await(struct server *server)
{
    server->due++;
}

void server_came(struct server *server)
{
    server->due--;
    close_if_idle(server);
}

void server_close(struct server *server, void (*closed)(void *arg), void *arg)
{
    server->closed = closed;
    server->closed_arg = arg;
    core_on_shadow(server->core, NULL, server);
    list_each(node, &server->held) inbound_drop(container_of(node, struct inbound, node), false);
    observers_clear(server);
    server->closing = true;
    close_if_idle(server);
}
