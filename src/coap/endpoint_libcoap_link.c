#include "coap/endpoint_libcoap_private.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

/* Sessions, whoever opened them. */

#define PING_INTERVAL_MS 300   /* libcoap as a peer answers four a second */
#define DOUBT_MS 3000          /* for an answer to a ping, of which a copy is sent after a second or two */
#define PROVE_AFTER 16384      /* bytes that may be under way in a connection before the peer is asked for progress */
#define NEVER_S 65535          /* libcoap's longest time */
#define UNPROVED_MAX (1 << 20) /* bytes; a peer that reads nothing would have us keep them all */

struct link *link_of(const coap_session_t *session)
{
    struct link *link = coap_session_get_app_data(session);

    return link && !link->dead ? link : NULL;
}

static struct link_group *group_of(struct link *link)
{
    struct libcoap *l = link->owner;

    return link->is_ours ? &l->ours : link->identity[0] ? &l->acquaintances : &l->strangers;
}

static void leave_group(struct link *link)
{
    if (link->group)
        link->group->count--;
    link->group = NULL;
    list_unlink(&link->node);
}

void link_touch(struct link *link)
{
    leave_group(link);
    link->group = group_of(link);
    link->group->count++;
    list_append(&link->group->links, &link->node);
}

static enum peer_transport transport_of(const coap_session_t *session)
{
    switch (coap_session_get_proto(session)) {
    case COAP_PROTO_TCP:
        return PEER_TCP;
    case COAP_PROTO_TLS:
        return PEER_TLS;
    default:
        return PEER_DTLS;
    }
}

static void describe_peer(struct link *link)
{
    const coap_address_t *address = coap_session_get_addr_remote(link->session);
    struct peer *peer = &link->peer;

    peer->transport = transport_of(link->session);
    if (address->addr.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->addr.sin6.sin6_addr)) {
        peer->address.v4.sin_family = AF_INET;
        peer->address.v4.sin_port = address->addr.sin6.sin6_port;
        memcpy(&peer->address.v4.sin_addr, &address->addr.sin6.sin6_addr.s6_addr[12], 4);
    } else if (address->addr.sa.sa_family == AF_INET6) {
        peer->address.v6 = address->addr.sin6;
    } else {
        peer->address.v4 = address->addr.sin;
    }
    peer->session = link->owner->last_serial;
}

struct link *link_new(struct libcoap *libcoap, coap_session_t *session, struct libcoap_channel *channel)
{
    struct link *link = calloc(1, sizeof *link);

    if (!link)
        return NULL;
    link->owner = libcoap;
    link->session = coap_session_reference(session);
    link->channel = channel;
    link->is_ours = channel != NULL;
    libcoap->last_serial++;
    describe_peer(link);
    link->reliable = link->peer.transport != PEER_DTLS;
    list_init(&link->incomings);
    list_init(&link->notices);
    list_init(&link->node);
    list_init(&link->prove_node);
    list_init(&link->doubt_node);
    link_touch(link);
    coap_session_set_app_data(session, link);
    if (!channel)
        HASH_ADD(hh, libcoap->by_serial, peer.session, sizeof link->peer.session, link);
    return link;
}

/* The session is new, or has a proven identity now. Over the limit the longest unused of its kind is closed: whoever
 * has proved nothing cannot drive out those who have. */
static void admit(struct link *link)
{
    link_touch(link);
    while (link->group->count > libcoap_options(link->owner)->max_sessions) {
        struct link *victim = list_first(&link->group->links, struct link, node);

        link->owner->stats.refused++;
        link_end(victim, CHANNEL_REFUSED);
        if (victim == link)
            return;
    }
}

void link_end(struct link *link, enum channel_event event)
{
    struct libcoap *l = link->owner;

    if (link->dead)
        return;
    link->dead = true;
    link->event = event;
    leave_group(link);
    list_unlink(&link->prove_node);
    list_unlink(&link->doubt_node);
    list_append(&l->dying, &link->node);
    if (!link->is_ours)
        HASH_DEL(l->by_serial, link);
    libcoap_wake(l);
}

static void release(struct link *link)
{
    list_unlink(&link->node);
    server_forget_link(link);
    notices_forget_link(link);
    if (link->channel)
        channel_lost(link->channel, link->event);
    coap_session_set_app_data(link->session, NULL);
    coap_session_disconnected(link->session, COAP_NACK_NOT_DELIVERABLE);
    coap_session_release(link->session);
    free(link);
}

void link_release_dying(struct libcoap *libcoap)
{
    while (!list_empty(&libcoap->dying))
        release(list_first(&libcoap->dying, struct link, node));
}

/* What is sent ----------------------------------------------------------------------------------------------------- */

/*
 * libcoap tells neither when a confirmable message is acknowledged nor when bytes that a connection does not take at
 * once have left, and keeps any number of both. But a ping is answered after what was sent before it: over DTLS it is
 * confirmable and waits until those before it were acknowledged or given up (NSTART is 1; its answer is a RST, RFC 7252
 * section 4.3), and in a connection messages are in order (RFC 8323 section 5.4).
 */
void link_prove(struct link *link)
{
    struct libcoap *l = link->owner;

    if (link->pinging || link->dead || !link->ready || !list_empty(&link->prove_node))
        return;
    list_append(&l->proving, &link->prove_node);
    link_prove_all(l);
    libcoap_tick(l);
}

static void ping(struct link *link, uint64_t now)
{
    list_unlink(&link->prove_node);
    link->pinged_at = now;
    link->ping = coap_session_send_ping(link->session);
    if (link->ping == COAP_INVALID_MID)
        return;
    link->pinging = true;
    link->covered = link->unproved;
    link->proved = link->sent;
}

void link_prove_all(struct libcoap *libcoap)
{
    uint64_t now = uv_now(libcoap->timer.loop);

    list_each(node, &libcoap->proving)
    {
        struct link *link = container_of(node, struct link, prove_node);

        if (!link->pinged_at || now - link->pinged_at >= PING_INTERVAL_MS)
            ping(link, now);
    }
}

static void link_answered(struct link *link)
{
    if (!link->pinging)
        return;
    link->pinging = false;
    link->unproved -= link->covered;
    if (link->channel)
        channel_proved(link->channel);
    notices_proved(link);
}

/*
 * A device that lost its session says hello again, often from the same port, which libcoap and OpenSSL take for garbage
 * as long as they have the old session. But hellos can be forged, so the old peer is asked whether it is still there
 * (RFC 6347 section 4.2.8).
 */
void link_doubt(struct link *link)
{
    struct libcoap *l = link->owner;

    if (link->dead || !list_empty(&link->doubt_node))
        return;
    link->doubted_at = uv_now(l->timer.loop);
    list_append(&l->doubted, &link->doubt_node);
    libcoap_wake(l); /* OpenSSL is on the stack */
}

void link_end_doubted(struct libcoap *libcoap)
{
    uint64_t now = uv_now(libcoap->timer.loop);

    list_each(node, &libcoap->doubted)
    {
        struct link *link = container_of(node, struct link, doubt_node);

        if (now - link->doubted_at > DOUBT_MS)
            link_end(link, CHANNEL_REFUSED);
        else
            link_prove(link);
    }
}

/* Whether libcoap may have to keep it. */
static bool is_kept(const struct link *link, const coap_pdu_t *pdu)
{
    return link->reliable || coap_pdu_get_type(pdu) == COAP_MESSAGE_CON;
}

static size_t pdu_size(const struct link *link, const coap_pdu_t *pdu)
{
    const uint8_t *payload;
    size_t size = 0;

    (void)coap_get_data(pdu, &size, &payload);
    return is_kept(link, pdu) ? size + 256 : 0;
}

int link_send(struct link *link, coap_pdu_t *pdu)
{
    size_t size = pdu_size(link, pdu);
    coap_mid_t mid;

    if (link->dead || (size && link->unproved > UNPROVED_MAX)) {
        coap_delete_pdu(pdu);
        link_end(link, CHANNEL_REFUSED);
        return -ENOTCONN;
    }
    errno = 0;
    mid = coap_send(link->session, pdu);
    if (mid == COAP_INVALID_MID)
        return errno ? -errno : -ENOTCONN;
    link->owner->stats.sent++;
    link->sent++;
    link->unproved += size;
    if (link->unproved > PROVE_AFTER)
        link_prove(link);
    return mid;
}

void link_set_times(struct link *link, uint32_t ack_timeout_ms, uint32_t max_retransmit)
{
    coap_fixed_point_t timeout = {NEVER_S, 0};

    if (max_retransmit && ack_timeout_ms < NEVER_S * 1000u)
        timeout = (coap_fixed_point_t){(uint16_t)(ack_timeout_ms / 1000), (uint16_t)(ack_timeout_ms % 1000)};
    coap_session_set_ack_timeout(link->session, timeout);
    /* of handshakes too */
    coap_session_set_max_retransmit(link->session,
                                    max_retransmit ? (uint16_t)max_retransmit : COAP_DEFAULT_MAX_RETRANSMIT);
}

/* Events ----------------------------------------------------------------------------------------------------------- */

static struct link *link_of_peer(coap_session_t *session)
{
    struct link *link = link_of(session);
    struct carrier *carrier = coap_get_app_data(coap_session_get_context(session));

    if (!link && coap_session_get_type(session) == COAP_SESSION_TYPE_SERVER && !coap_session_get_app_data(session))
        link = link_new(carrier->owner, session, NULL);
    return link;
}

static void on_secured(coap_session_t *session)
{
    struct link *link = link_of_peer(session);

    if (!link)
        return;
    if (!trust_prove(link)) {
        link_end(link, CHANNEL_DENIED);
        return;
    }
    if (!link->reliable) {
        link->ready = true;
        coap_session_set_mtu(session, COAP_RXBUFFER_SIZE);
    }
    if (!link->is_ours)
        admit(link);
}

/* What went wrong: libcoap itself does not say whether a handshake failed or was never answered. */
static enum channel_event diagnose(const struct link *link)
{
    if (link->ready)
        return CHANNEL_REFUSED;
    if (link->denied || link->met)
        return CHANNEL_DENIED;
    return link->reliable ? CHANNEL_REFUSED : CHANNEL_GIVEN_UP;
}

static void on_closed(coap_session_t *session)
{
    struct link *link = link_of(session);

    if (link)
        link_end(link, diagnose(link));
}

static void on_accepted(coap_session_t *session)
{
    struct link *link;

    if (coap_session_get_proto(session) == COAP_PROTO_DTLS)
        return; /* it has proved nothing yet, not even its address */
    link = link_of_peer(session);
    if (link)
        admit(link);
}

/* libcoap walks its queue while it calls this. */
void libcoap_handle_nack(coap_session_t *session, const coap_pdu_t *sent, coap_nack_reason_t reason, coap_mid_t mid)
{
    struct link *link = coap_session_get_app_data(session);
    enum channel_event event = reason == COAP_NACK_RST ? CHANNEL_RESET : CHANNEL_GIVEN_UP;

    (void)sent;
    if (link && reason == COAP_NACK_ICMP_ISSUE && !link->met)
        link->event = CHANNEL_REFUSED;
    if (!link || link->dead || (reason != COAP_NACK_RST && reason != COAP_NACK_TOO_MANY_RETRIES))
        return;
    if (link->pinging && mid == link->ping) {
        if (reason == COAP_NACK_RST)
            list_unlink(&link->doubt_node);
        link_answered(link);
        return;
    }
    if (link->channel)
        channel_failed(link->channel, mid, event);
    notices_failed(link, mid, event);
}

void libcoap_handle_pong(coap_session_t *session, const coap_pdu_t *received, coap_mid_t mid)
{
    struct link *link = link_of(session);

    (void)received;
    (void)mid;
    if (link && link->reliable)
        link_answered(link);
}

int libcoap_handle_event(coap_session_t *session, coap_event_t event)
{
    struct link *link = link_of(session);

    switch (event) {
    case COAP_EVENT_SERVER_SESSION_NEW:
        on_accepted(session);
        break;
    case COAP_EVENT_DTLS_CONNECTED:
        on_secured(session);
        break;
    case COAP_EVENT_SESSION_CONNECTED:
        if (link)
            link->ready = true;
        break;
    case COAP_EVENT_DTLS_ERROR:
        if (link)
            link->denied = true;
        if (coap_session_get_type(session) == COAP_SESSION_TYPE_SERVER)
            ((struct carrier *)coap_get_app_data(coap_session_get_context(session)))->owner->stats.denied++;
        break;
    case COAP_EVENT_DTLS_CLOSED:
    case COAP_EVENT_TCP_CLOSED:
    case COAP_EVENT_TCP_FAILED:
    case COAP_EVENT_SESSION_CLOSED:
    case COAP_EVENT_SESSION_FAILED:
        on_closed(session);
        break;
    default:
        break;
    }
    return 0;
}

void link_end_all(struct link_group *group, const char *identity)
{
    list_each(node, &group->links)
    {
        struct link *link = container_of(node, struct link, node);

        if (!identity || strcmp(link->identity, identity) == 0)
            link_end(link, CHANNEL_DENIED);
    }
}
