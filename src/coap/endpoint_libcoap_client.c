#include "coap/endpoint_libcoap_private.h"

#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

/* Requests that we send. */

#define TOKEN_SIZE 4
#define KEY_SIZE 32

struct libcoap_channel {
    struct channel base; /* owner NULL: idle */
    struct libcoap *libcoap;
    struct link *link;     /* NULL: lost */
    uint8_t key[KEY_SIZE]; /* of address and credential */
    UT_hash_handle hh;     /* in idle_by_key */
    struct list node;      /* in idle */

    /* for the handshake */
    char identity[KEYRING_IDENTITY_MAX + 1], peer_name[KEYRING_IDENTITY_MAX + 1];
    uint8_t psk[KEYRING_PSK_MAX];
    coap_dtls_cpsk_info_t psk_info;

    struct list event_node;
    enum channel_event event;
    bool keeps_token, acknowledged;
    coap_mid_t mid;
    uint8_t token[TOKEN_SIZE];
};

const char *channel_peer_name(const struct libcoap_channel *channel)
{
    return channel->peer_name[0] ? channel->peer_name : NULL;
}

/* What comes back -------------------------------------------------------------------------------------------------- */

/* RFC 7252 section 5.3.2: the token decides, and a piggybacked response has the request's message ID besides. */
static bool is_answer(const struct libcoap_channel *channel, const coap_pdu_t *pdu)
{
    coap_bin_const_t token = coap_pdu_get_token(pdu);

    return channel->base.owner && token.length == TOKEN_SIZE && memcmp(token.s, channel->token, TOKEN_SIZE) == 0 &&
           (coap_pdu_get_type(pdu) != COAP_MESSAGE_ACK || coap_pdu_get_mid(pdu) == channel->mid);
}

/* libcoap asks whether to refuse it with RST; there is none in connections. */
static coap_response_t refuse(struct libcoap *l, const struct link *link, const coap_pdu_t *pdu)
{
    l->stats.unmatched++;
    return link->reliable || coap_pdu_get_type(pdu) == COAP_MESSAGE_ACK ? COAP_RESPONSE_OK : COAP_RESPONSE_FAIL;
}

coap_response_t libcoap_handle_response(coap_session_t *session, const coap_pdu_t *sent, const coap_pdu_t *received,
                                        coap_mid_t mid)
{
    struct link *link = link_of(session);
    struct libcoap_channel *channel;
    struct coapmsg response;

    (void)sent;
    (void)mid;
    if (!link || !link->ready)
        return COAP_RESPONSE_OK;
    channel = link->channel;
    link->owner->stats.received++;
    if (!channel || !is_answer(channel, received))
        return refuse(link->owner, link, received);
    libcoap_view(&response, received);
    channel->acknowledged = true;
    list_unlink(&channel->event_node);
    libcoap_options(link->owner)
        ->handlers->response(channel->base.owner, &response,
                             !link->reliable && coap_pdu_get_type(received) != COAP_MESSAGE_ACK);
    return COAP_RESPONSE_OK;
}

static void queue_event(struct libcoap_channel *channel, enum channel_event event)
{
    channel->event = event;
    list_unlink(&channel->event_node);
    list_append(&channel->libcoap->channel_events, &channel->event_node);
    libcoap_wake(channel->libcoap);
}

void channel_failed(struct libcoap_channel *channel, coap_mid_t mid, enum channel_event event)
{
    if (channel->base.owner && channel->mid == mid)
        queue_event(channel, event);
}

void channel_proved(struct libcoap_channel *channel)
{
    channel->acknowledged = true;
}

void libcoap_tell_channels(struct libcoap *libcoap)
{
    while (!list_empty(&libcoap->channel_events)) {
        struct libcoap_channel *channel = list_first(&libcoap->channel_events, struct libcoap_channel, event_node);

        list_unlink(&channel->event_node);
        libcoap_options(libcoap)->handlers->event(channel->base.owner, channel->event);
    }
}

/* Lifetime --------------------------------------------------------------------------------------------------------- */

static struct libcoap_channel *take_idle(struct libcoap_channel *channel)
{
    /* An idle channel is in the table, which the analyzer cannot know. NOLINTNEXTLINE */
    HASH_DEL(channel->libcoap->idle_by_key, channel);
    list_unlink(&channel->node);
    return channel;
}

/* Leaves the link to libcoap_settle. */
static void free_channel(struct libcoap_channel *channel)
{
    if (channel->link) {
        channel->link->channel = NULL;
        link_end(channel->link, CHANNEL_REFUSED);
    }
    list_unlink(&channel->event_node);
    OPENSSL_cleanse(channel->psk, sizeof channel->psk);
    channel->libcoap->channel_count--;
    free(channel);
}

void channel_lost(struct libcoap_channel *channel, enum channel_event event)
{
    channel->link = NULL;
    if (channel->base.owner)
        queue_event(channel, event);
    else
        free_channel(take_idle(channel));
}

void libcoap_trim_idle(struct libcoap *libcoap, uint32_t max)
{
    while (HASH_COUNT(libcoap->idle_by_key) > max)
        free_channel(take_idle(list_first(&libcoap->idle, struct libcoap_channel, node)));
}

void libcoap_close_channel(struct channel *base, bool keep)
{
    struct libcoap_channel *channel = container_of(base, struct libcoap_channel, base), *present = NULL;
    struct libcoap *l = channel->libcoap;
    uint32_t max_idle = libcoap_options(l)->max_idle;

    list_unlink(&channel->event_node);
    if (keep)
        HASH_FIND(hh, l->idle_by_key, channel->key, KEY_SIZE, present);
    if (!keep || present || !max_idle || l->closing || !channel->link || channel->link->dead) {
        free_channel(channel);
        return;
    }
    libcoap_trim_idle(l, max_idle - 1);
    channel->base.owner = NULL;
    HASH_ADD(hh, l->idle_by_key, key, KEY_SIZE, channel);
    list_append(&l->idle, &channel->node);
}

/* Sessions --------------------------------------------------------------------------------------------------------- */

/* A coap_dtls_ih_callback_t. That there is one makes libcoap stay below TLS 1.3, where it would take any certificate in
 * the place of the key. */
static const coap_dtls_cpsk_info_t *give_psk(coap_str_const_t *hint, coap_session_t *session, void *arg)
{
    struct libcoap_channel *channel = arg;

    (void)hint;
    (void)session;
    if (channel->link)
        channel->link->met = true;
    return &channel->psk_info;
}

static int copy_security(struct libcoap_channel *channel, const struct channel_security *security)
{
    if (!security || !security->has_psk) {
        bool fits = security && security->peer_name &&
                    text_copy(channel->peer_name, sizeof channel->peer_name, security->peer_name);

        return fits && channel->peer_name[0] ? 0 : -EINVAL;
    }
    if (!security->identity || !text_copy(channel->identity, sizeof channel->identity, security->identity) ||
        !security->psk_size || security->psk_size > KEYRING_PSK_MAX)
        return -EINVAL;
    memcpy(channel->psk, security->psk, security->psk_size);
    channel->psk_info = (coap_dtls_cpsk_info_t){
        .identity = {.s = (const uint8_t *)channel->identity, .length = strlen(channel->identity)},
        .key = {.s = channel->psk, .length = security->psk_size}};
    return 0;
}

static coap_session_t *open_psk(struct libcoap_channel *channel, coap_context_t *context, const coap_address_t *to,
                                coap_proto_t proto)
{
    coap_dtls_cpsk_t setup = {.version = COAP_DTLS_CPSK_SETUP_VERSION,
                              .validate_ih_call_back = give_psk,
                              .ih_call_back_arg = channel,
                              .psk_info = channel->psk_info};

    return coap_new_client_session_psk2(context, NULL, to, proto, &setup);
}

static coap_session_t *open_certificate(struct libcoap *l, coap_context_t *context, const coap_address_t *to,
                                        coap_proto_t proto)
{
    coap_dtls_pki_t setup;

    trust_describe(l, &setup);
    return coap_new_client_session_pki(context, NULL, to, proto, &setup);
}

static int load_certificates(struct libcoap *l)
{
    char reason[256];
    int r = trust_load(l, reason, sizeof reason);

    if (r < 0)
        log_debug("certificates cannot be used", "reason", reason, NULL);
    return r < 0 ? r : l->client_ca ? 0 : -EINVAL;
}

static int open_session(struct libcoap_channel *channel, const struct peer *peer, coap_session_t **out)
{
    static const coap_proto_t protos[] = {
        [PEER_DTLS] = COAP_PROTO_DTLS, [PEER_TCP] = COAP_PROTO_TCP, [PEER_TLS] = COAP_PROTO_TLS};
    coap_proto_t proto = protos[peer->transport];
    bool by_certificate = channel->peer_name[0];
    coap_context_t *context;
    coap_address_t to;
    int r = libcoap_carrier(channel->libcoap, by_certificate ? CARRIER_CERTIFICATE : CARRIER_PSK, &context);

    if (r == 0 && by_certificate)
        r = load_certificates(channel->libcoap);
    if (r < 0)
        return r;
    coap_address_init(&to);
    to.size = peer->address.any.sa_family == AF_INET ? sizeof peer->address.v4 : sizeof peer->address.v6;
    memcpy(&to.addr, &peer->address, to.size);
    errno = 0;
    *out = proto == COAP_PROTO_TCP ? coap_new_client_session(context, NULL, &to, proto)
           : by_certificate        ? open_certificate(channel->libcoap, context, &to, proto)
                                   : open_psk(channel, context, &to, proto);
    return *out ? 0 : errno ? -errno : -ECONNREFUSED;
}

/* Secrets and names of one length cannot be taken for one another, and no secret is kept. */
static bool make_key(struct libcoap_channel *channel, const char *address)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, address, strlen(address) + 1) == 1 &&
                EVP_DigestUpdate(context, channel->peer_name, sizeof channel->peer_name) == 1 &&
                EVP_DigestUpdate(context, channel->identity, sizeof channel->identity) == 1 &&
                EVP_DigestUpdate(context, channel->psk, sizeof channel->psk) == 1 &&
                EVP_DigestFinal_ex(context, channel->key, NULL) == 1;

    EVP_MD_CTX_free(context);
    return good;
}

static int connect_channel(struct libcoap_channel *channel, const struct peer *peer)
{
    coap_session_t *session;
    int r = open_session(channel, peer, &session);

    if (r < 0)
        return r;
    channel->link = link_new(channel->libcoap, session, channel);
    coap_session_release(session); /* the link has its own reference */
    if (!channel->link)
        return -ENOMEM;
    channel->link->ready = false;
    libcoap_wake(channel->libcoap); /* libcoap sets its timer for the handshake in its next pass */
    return 0;
}

/* The idle channel to the same place with the same credential, or NULL. */
static struct libcoap_channel *find_idle(const struct libcoap_channel *like)
{
    struct libcoap_channel *found = NULL;

    HASH_FIND(hh, like->libcoap->idle_by_key, like->key, KEY_SIZE, found);
    return found && found->link && !found->link->dead ? take_idle(found) : NULL;
}

int libcoap_open_channel(struct transport *transport, const struct peer *peer, const char *address,
                         const struct channel_security *security, bool fresh, void *owner, struct channel **out)
{
    struct libcoap *l = container_of(transport, struct libcoap, base);
    struct libcoap_channel *channel = calloc(1, sizeof *channel), *idle = NULL;
    int r = -ENOMEM;

    if (!channel)
        return r;
    channel->base.transport = transport;
    channel->libcoap = l;
    list_init(&channel->node);
    list_init(&channel->event_node);
    l->channel_count++;
    r = peer->transport == PEER_TCP ? 0 : copy_security(channel, security);
    if (r == 0 && !make_key(channel, address))
        r = -ENOMEM;
    if (r == 0 && !fresh)
        idle = find_idle(channel);
    if (r == 0 && !idle)
        r = connect_channel(channel, peer);
    if (r < 0 || idle)
        free_channel(channel);
    if (r < 0)
        return r;
    channel = idle ? idle : channel;
    channel->base.owner = owner;
    *out = &channel->base;
    return 0;
}

/* Sending ---------------------------------------------------------------------------------------------------------- */

int libcoap_send(struct channel *base, struct coapmsg *request, uint32_t ack_timeout_ms, uint32_t max_retransmit)
{
    struct libcoap_channel *channel = container_of(base, struct libcoap_channel, base);
    struct link *link = channel->link;
    coap_pdu_t *pdu;
    int r;

    if (!link || link->dead)
        return -ENOTCONN;
    if (!channel->keeps_token && !endpoint_random(channel->token, TOKEN_SIZE))
        return -EIO;
    channel->keeps_token = false;
    channel->acknowledged = link->reliable;
    coapmsg_set_token(request, channel->token, TOKEN_SIZE);
    request->type = COAPMSG_CON;
    request->id = coap_new_message_id(link->session);
    pdu = libcoap_make_pdu(link, request);
    if (!pdu)
        return -EMSGSIZE;
    link_set_times(link, ack_timeout_ms, max_retransmit);
    r = link_send(link, pdu);
    if (r < 0)
        return r;
    channel->mid = r;
    return 0;
}

bool libcoap_awaits_ack(const struct channel *base)
{
    struct libcoap_channel *channel = (struct libcoap_channel *)(uintptr_t)base;

    if (!channel->link)
        return false;
    if (!channel->link->ready)
        return true;
    if (!channel->acknowledged)
        link_prove(channel->link);
    return !channel->acknowledged;
}

void libcoap_keep_token(struct channel *base)
{
    container_of(base, struct libcoap_channel, base)->keeps_token = true;
}
