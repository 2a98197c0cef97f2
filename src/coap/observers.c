#include "coap/server_private.h"

#include "core/budget.h"
#include "core/trace.h"

#include <errno.h>
#include <string.h>

#define CONTACT_MS (24 * 3600 * 1000) /* a device that was not heard of for so long is told again (RFC 7641, 4.5) */
#define UNANSWERED_MS                                                                                                  \
    120000 /* of notifications that each replaced the one before: longer than one is retransmitted                     \
            */
#define VALUE_MASK 0xffffff

struct observer {
    struct list node;         /* in its credential's list */
    struct list contact_node; /* in observers.by_contact */
    struct list pending_node; /* in observers.pending, or alone */
    struct server *server;
    struct credential *credential;
    uint64_t number;
    struct peer peer;
    uint8_t token[COAPMSG_MAX_TOKEN], token_length;
    struct oscore_binding binding;
    struct block_exchange blocks; /* of the registration */
    int accept;
    bool is_protected;
    bool is_gone; /* freed when the read that is due came */
    bool reading;
    struct notice *notice; /* under way */
    struct reservation reservation;
    int64_t sent;       /* the last notification */
    int64_t unanswered; /* since when nothing was acknowledged; 0: all was */
    int64_t contact;    /* when something was acknowledged last, or a new attempt made */
};

struct observers_of {
    uint64_t number;
    struct list observers; /* oldest first */
    unsigned count;
    UT_hash_handle hh;
};

static int64_t now(const struct server *server)
{
    return clock_monotonic_ms(server->options.clock);
}

/* The table ------------------------------------------------------------------------------------------------------- */

void observers_init(struct observers *observers)
{
    *observers = (struct observers){.by_credential = NULL};
    list_init(&observers->by_contact);
    list_init(&observers->pending);
}

static struct observers_of *find_of(const struct observers *observers, uint64_t number)
{
    struct observers_of *of;

    HASH_FIND(hh, observers->by_credential, &number, sizeof number, of);
    return of;
}

static void stop_notice(struct observer *o)
{
    if (o->notice)
        notice_cancel(steal_pointer(o->notice));
}

static void remove_observer(struct observer *o)
{
    struct observers *observers = &o->server->observers;
    struct observers_of *of = find_of(observers, o->number);

    stop_notice(o);
    keyring_cancel_reservation(&o->reservation);
    list_unlink(&o->node);
    list_unlink(&o->contact_node);
    list_unlink(&o->pending_node);
    observers->count--;
    if (--of->count == 0) {
        HASH_DEL(observers->by_credential, of);
        free(of);
    }
    o->is_gone = true;
    if (!o->reading)
        free(o);
}

static struct observer *find_observer(const struct observers_of *of, const struct inbound *in)
{
    if (!of)
        return NULL;
    list_each(node, &of->observers)
    {
        struct observer *o = container_of(node, struct observer, node);

        if (o->token_length == in->token_length && memcmp(o->token, in->token, in->token_length) == 0)
            return o;
    }
    return NULL;
}

bool observers_have_room(const struct server *server, uint64_t number)
{
    return server->observers.count < server->options.max_observers || find_of(&server->observers, number);
}

uint32_t observers_next_value(struct observers *observers)
{
    return observers->value = (observers->value + 1) & VALUE_MASK;
}

static struct observers_of *add_of(struct observers *observers, uint64_t number)
{
    struct observers_of *of = calloc(1, sizeof *of);

    if (!of)
        return NULL;
    of->number = number;
    list_init(&of->observers);
    HASH_ADD(hh, observers->by_credential, number, sizeof of->number, of);
    return of;
}

static void fill_in(struct observer *o, const struct inbound *in)
{
    o->server = in->server;
    o->credential = in->credential;
    o->number = in->number;
    o->peer = *incoming_peer(in->incoming);
    o->token_length = in->token_length;
    memcpy(o->token, in->token, sizeof o->token);
    o->binding = in->binding;
    o->blocks = in->blocks;
    o->blocks.owned = NULL;
    o->accept = in->accept;
    o->is_protected = in->is_protected;
    o->contact = now(in->server);
    list_init(&o->pending_node);
    list_init(&o->reservation.node);
}

static void notify(struct observer *o);

void observers_add(struct inbound *in)
{
    struct observers *observers = &in->server->observers;
    struct observers_of *of;
    struct observer *o;

    observers_remove(in);
    o = calloc(1, sizeof *o);
    of = find_of(observers, in->number);
    if (o && !of)
        of = add_of(observers, in->number);
    if (!of || !o) {
        free(o);
        return;
    }
    fill_in(o, in);
    list_append(&of->observers, &o->node);
    list_append(&observers->by_contact, &o->contact_node);
    observers->count++;
    if (++of->count > OBSERVERS_PER_CREDENTIAL)
        remove_observer(list_first(&of->observers, struct observer, node));
    server_watch(in->server);
    if (core_shadow(o->credential->device, SHADOW_DESIRED).revision != in->revision)
        notify(o); /* it has changed since it was read */
}

void observers_remove(struct inbound *in)
{
    struct observer *o = find_observer(find_of(&in->server->observers, in->number), in);

    if (o)
        remove_observer(o);
}

void observers_forget(struct server *server, uint64_t number)
{
    struct observers_of *of;

    while ((of = find_of(&server->observers, number)))
        remove_observer(list_first(&of->observers, struct observer, node));
}

void observers_clear(struct server *server)
{
    struct list *all = &server->observers.by_contact;

    while (!list_empty(all))
        remove_observer(list_first(all, struct observer, contact_node));
}

/* Notifications --------------------------------------------------------------------------------------------------- */

static void heard_of(struct observer *o)
{
    o->contact = now(o->server);
    list_unlink(&o->contact_node);
    list_append(&o->server->observers.by_contact, &o->contact_node);
}

/* To be told of the present state as soon as that is right. */
static void postpone(struct observer *o)
{
    list_unlink(&o->pending_node);
    list_append(&o->server->observers.pending, &o->pending_node);
}

static void on_reserved(struct reservation *reservation, int result)
{
    struct observer *o = container_of(reservation, struct observer, reservation);

    if (result < 0)
        remove_observer(o);
    else
        notify(o);
}

/* 0 with the message to send; negative: wait for numbers; positive: it cannot be sent at all. */
static int protect(struct observer *o, struct coapmsg *plain, struct coapmsg *sealed)
{
    struct server *server = o->server;
    int r = o->credential->state == CREDENTIAL_STALE
                ? OSCORE_E_EXHAUSTED
                : oscore_protect_response(o->credential->context, &o->binding, plain, 0, sealed, server->sealed,
                                          SERVER_MESSAGE_MAX);

    if (r == OSCORE_E_RESERVE) {
        o->reservation.done = on_reserved;
        keyring_reserve(server->core, o->credential, &o->reservation);
        return -EAGAIN;
    }
    if (r == 0)
        keyring_spent(server->core, o->credential);
    return r;
}

static bool may_tell(const struct observer *o, const struct coapmsg *plain)
{
    const struct budget_request cost = {.bytes = coapmsg_size(plain)};
    struct fault fault;
    uint32_t retry_s;

    return budget_take(o->server->core, o->credential->device->id, &cost, &fault, &retry_s) == 0;
}

static void tell(struct observer *o, struct coapmsg *plain)
{
    struct server *server = o->server;
    struct coapmsg sealed;
    char address[CORE_ADDRESS_MAX + 1];
    bool is_last = COAPMSG_CLASS(plain->code) != 2; /* RFC 7641 section 4.2 */
    int r;

    if (!may_tell(o, plain)) { /* it observes again after Max-Age */
        remove_observer(o);
        return;
    }
    r = o->is_protected ? protect(o, plain, &sealed) : 0;
    if (r < 0)
        return;
    if (r == 0) {
        struct coapmsg *message = o->is_protected ? &sealed : plain;

        stop_notice(o);
        coapmsg_set_token(message, o->token, o->token_length);
        core_trace_message(o->credential->device, true, o->is_protected ? TRACE_OSCORE : TRACE_SESSION,
                           peer_format(&o->peer, address), plain, message);
        r = endpoint_notify(server->endpoint, &o->peer, message, true, is_last ? NULL : o, is_last ? NULL : &o->notice);
    }
    if (r == 0) {
        server->stats.notifications++;
        o->credential->counters.sent += o->is_protected;
        o->sent = now(server);
        if (!o->unanswered)
            o->unanswered = o->sent;
    }
    if (r || is_last)
        remove_observer(o);
}

static void on_read(void *arg, int result, const struct shadow *shadow, const void *body)
{
    static const struct shadow none = {.format = -1};
    struct observer *o = arg;
    struct coapmsg plain;
    uint8_t etag[SHADOW_ETAG_MAX];

    o->reading = false;
    server_came(o->server);
    if (o->is_gone) {
        free(o);
        return;
    }
    if (result != 0 && result != -ENOENT) {
        postpone(o);
        return;
    }
    if (result == -ENOENT)
        shadow = &none;
    shadow_describe(&plain, shadow, body, etag);
    if (o->accept >= 0 && shadow->format >= 0 && o->accept != shadow->format) {
        coapmsg_init(&plain, COAPMSG_CON, COAPMSG_NOT_ACCEPTABLE);
    } else {
        block_server_answer(o->server->blocks, &o->blocks, &plain);
        coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, observers_next_value(&o->server->observers));
        coapmsg_add_uint(&plain, COAPMSG_OPT_MAX_AGE, OBSERVERS_MAX_AGE);
    }
    tell(o, &plain);
}

/* Tells the present state, once what is under way has been acknowledged or may be replaced (RFC 7641 section 4.5.2). */
static void notify(struct observer *o)
{
    struct server *server = o->server;

    if (o->unanswered && now(server) - o->unanswered > UNANSWERED_MS) {
        remove_observer(o);
        return;
    }
    if (!list_empty(&o->reservation.node)) /* when there are numbers, what is the state by then is told */
        return;
    if (o->reading || (o->notice && now(server) - o->sent < server->options.ack_timeout_ms)) {
        postpone(o);
        return;
    }
    list_unlink(&o->pending_node);
    o->reading = true;
    server_await(server);
    if (core_read_shadow(server->core, o->credential->device, SHADOW_DESIRED, on_read, o) != 0) {
        o->reading = false;
        server_came(server);
        postpone(o);
    }
}

void observers_notify(struct server *server, const struct device *device)
{
    for (const struct credential *credential = device->credentials, *next; credential; credential = next) {
        struct observers_of *of = find_of(&server->observers, credential->number);

        next = credential->next;
        for (unsigned left = of ? of->count : 0; left > 0; left--) { /* each may go, and the last takes `of` along */
            struct observer *o = list_first(&of->observers, struct observer, node);

            list_unlink(&o->node);
            list_append(&of->observers, &o->node);
            notify(o);
        }
    }
}

void server_notified(void *owner, int event)
{
    struct observer *o = owner;

    o->notice = NULL;
    if (event >= 0) {
        remove_observer(o); /* it does not want them, or is not there any more */
        return;
    }
    o->unanswered = 0;
    heard_of(o);
    if (!list_empty(&o->pending_node))
        notify(o);
}

void observers_run(struct server *server)
{
    struct observers *observers = &server->observers;

    for (uint32_t left = observers->count; left > 0 && !list_empty(&observers->pending); left--) {
        struct observer *o = list_first(&observers->pending, struct observer, pending_node);

        list_unlink(&o->pending_node);
        notify(o);
    }
    while (!list_empty(&observers->by_contact)) {
        struct observer *o = list_first(&observers->by_contact, struct observer, contact_node);

        if (now(server) - o->contact < CONTACT_MS)
            break;
        heard_of(o);
        notify(o);
    }
}
