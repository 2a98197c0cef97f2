#ifndef TC_COAP_ENDPOINT_LIBCOAP_PRIVATE_H
#define TC_COAP_ENDPOINT_LIBCOAP_PRIVATE_H

#include "base/list.h"
#include "coap/endpoint_private.h"
#include "core/keyring.h"

#include <coap3/coap.h>
#include <uthash.h>

/*
 * DTLS, TCP and TLS by libcoap (RFC 7252 section 9, RFC 8323): what the files endpoint_libcoap*.c share.
 *
 * libcoap calls us in the middle of its work and does not take it well when its sessions change then. So nothing is
 * freed and nobody is told of an event before libcoap_settle, which the loop calls when libcoap is not on the stack.
 */

#define LIBCOAP_UNRELIABLE_MAX                                                                                         \
    1400 /* bytes of a message in DTLS; libcoap receives 1472 at most, DTLS's own included                             \
          */
/* Bytes of a message that we take from TCP and TLS. What is more would ask for blocks of more than 1024 bytes (BERT,
 * RFC 8323 section 6), since libcoap offers block-wise transfer whether we like it or not. */
#define LIBCOAP_RELIABLE_MAX 1152
#define LIBCOAP_BASE_MAX 1152 /* what everybody takes before its CSM has come (RFC 8323 section 5.3.1) */

/* libcoap keeps one way to authenticate for all client sessions of a context. */
enum carrier_kind { CARRIER_SERVER, CARRIER_PSK, CARRIER_CERTIFICATE, CARRIER_KIND_COUNT };

struct carrier {
    struct libcoap *owner;
    coap_context_t *context; /* NULL: not needed yet */
    uv_poll_t poll;
};

struct link_group {
    struct list links; /* least recently used first */
    uint32_t count;
};

struct libcoap {
    struct transport base;
    struct carrier carriers[CARRIER_KIND_COUNT];
    uv_timer_t timer;
    unsigned handles;    /* that uv has not closed */
    bool closing, awake; /* awake: the timer is about to settle */
    uint16_t ports[PEER_TRANSPORT_COUNT];

    char *certificate, *private_key, *client_ca; /* PEM, NULL: none */
    uint8_t psk[KEYRING_PSK_MAX];                /* what libcoap was given last; wiped when it has copied it */
    coap_bin_const_t psk_view;

    struct link_group strangers, acquaintances; /* peers' links without and with an identity */
    struct link_group ours;                     /* of channels */
    struct list dying;                          /* links to release */
    struct list proving;                        /* links that are to send a ping */
    struct list doubted;                        /* links whose peer may have begun anew, longest first */
    struct link *by_serial;                     /* uthash: peers' links */
    uint64_t last_serial;

    struct list channel_events, notice_events; /* to tell */
    struct list idle;                          /* channels, least recently used first */
    struct libcoap_channel *idle_by_key;       /* uthash */
    uint32_t channel_count;

    struct list unacknowledged;      /* struct libcoap_incoming, longest first */
    struct libcoap_incoming *by_mid; /* uthash: those of DTLS, held and kept */
    struct list kept;                /* answers, oldest first */
    struct list orphans;             /* held requests whose link is gone */
    struct endpoint_stats stats;
};

/* A session of libcoap's to which we hold a reference. */
struct link {
    struct libcoap *owner;
    coap_session_t *session;
    struct libcoap_channel *channel; /* whose it is; NULL: nobody's any more, or a peer opened it */
    struct link_group *group;        /* NULL: dying */
    struct list node, prove_node, doubt_node;
    uint64_t doubted_at; /* ms */
    bool is_ours;        /* we opened it */
    bool reliable;
    bool ready; /* handshake and CSM are done */
    bool dead;  /* nothing is sent or received any more */
    bool met;   /* the peer has shown or asked for a credential */
    bool denied;
    enum channel_event event; /* why it is dead */

    struct peer peer;
    char identity[KEYRING_IDENTITY_MAX + 1];
    bool has_fingerprint; /* the identity is a certificate's */
    uint8_t fingerprint[32];
    struct list incomings, notices;
    uint32_t held;
    UT_hash_handle hh;

    /* What was sent before a ping has been dealt with when its answer comes: see link_prove. */
    bool pinging;
    uint64_t pinged_at; /* ms; 0: never */
    coap_mid_t ping;
    size_t unproved, covered; /* bytes sent; of them before the ping */
    uint32_t sent, proved;    /* messages sent; of them before the last ping that was answered or is under way */
};

/* endpoint_libcoap.c */
const struct endpoint_options *libcoap_options(const struct libcoap *libcoap);
/* The loop will settle. */
void libcoap_wake(struct libcoap *libcoap);
/* The loop will see to acknowledgements and pings, if any are due. */
void libcoap_tick(struct libcoap *libcoap);
/* The context of a kind, made when it is not there. Negative errno. */
int libcoap_carrier(struct libcoap *libcoap, enum carrier_kind kind, coap_context_t **out) must_check;

/* endpoint_libcoap_link.c: sessions */
/* Makes the link of a session; libcoap's reference is not taken over. NULL without memory. */
struct link *link_new(struct libcoap *libcoap, coap_session_t *session, struct libcoap_channel *channel);
struct link *link_of(const coap_session_t *session); /* NULL: none, or it is dead */
/* It was used. */
void link_touch(struct link *link);
/* Nothing goes over it any more; it is released when the loop settles. Twice is fine. */
void link_end(struct link *link, enum channel_event event);
void link_end_all(struct link_group *group, const char *identity); /* NULL: whoever it is */
void link_release_dying(struct libcoap *libcoap);
/* Hands a PDU over to libcoap, which frees it. Returns its message ID or a negative errno. */
int link_send(struct link *link, coap_pdu_t *pdu);
/* Of what is confirmable. max_retransmit 0: it leaves once. */
void link_set_times(struct link *link, uint32_t ack_timeout_ms, uint32_t max_retransmit);
/* Finds out what the peer has dealt with: channel_proved and notices_proved are called then. */
void link_prove(struct link *link);
void link_prove_all(struct libcoap *libcoap); /* for whom it is time */
/* Somebody says hello from where the peer is. Unless the peer shows soon that it is still there, the link ends. */
void link_doubt(struct link *link);
void link_end_doubted(struct libcoap *libcoap); /* for whom it is time */
void libcoap_handle_nack(coap_session_t *session, const coap_pdu_t *sent, coap_nack_reason_t reason, coap_mid_t mid);
void libcoap_handle_pong(coap_session_t *session, const coap_pdu_t *received, coap_mid_t mid);
int libcoap_handle_event(coap_session_t *session, coap_event_t event);

/* endpoint_libcoap_message.c */
void libcoap_view(struct coapmsg *msg, const coap_pdu_t *pdu);
/* libcoap's PDU with the message's type, ID and token; NULL when it does not fit or memory is short. */
coap_pdu_t *libcoap_make_pdu(const struct link *link, const struct coapmsg *msg);
void libcoap_follow_log_level(void);
void libcoap_start(void); /* of the library; once is enough */

/* endpoint_libcoap_trust.c */
/* Reads the files of the options, once. Negative errno with a sentence in reason. */
int trust_load(struct libcoap *libcoap, char *reason, size_t reason_size) must_check;
void trust_forget(struct libcoap *libcoap);
bool trust_set_up_server(struct libcoap *libcoap, coap_context_t *context);
void trust_describe(struct libcoap *libcoap, coap_dtls_pki_t *out);
/* Who is at the other side, proven by the handshake. False: nobody that we trust. */
bool trust_prove(struct link *link);

/* endpoint_libcoap_client.c */
int libcoap_open_channel(struct transport *transport, const struct peer *peer, const char *address,
                         const struct channel_security *security, bool fresh, void *owner,
                         struct channel **out) must_check;
int libcoap_send(struct channel *base, struct coapmsg *request, uint32_t ack_timeout_ms,
                 uint32_t max_retransmit) must_check;
bool libcoap_awaits_ack(const struct channel *base);
void libcoap_keep_token(struct channel *base);
void libcoap_close_channel(struct channel *base, bool keep);
void libcoap_trim_idle(struct libcoap *libcoap, uint32_t max);
void libcoap_tell_channels(struct libcoap *libcoap);
coap_response_t libcoap_handle_response(coap_session_t *session, const coap_pdu_t *sent, const coap_pdu_t *received,
                                        coap_mid_t mid);
/* Its link is gone; an idle one goes with it. */
void channel_lost(struct libcoap_channel *channel, enum channel_event event);
void channel_failed(struct libcoap_channel *channel, coap_mid_t mid, enum channel_event event);
void channel_proved(struct libcoap_channel *channel);
/* What the peer's certificate must say; NULL: not a session with certificates. */
const char *channel_peer_name(const struct libcoap_channel *channel);

/* endpoint_libcoap_server.c */
bool libcoap_add_resources(coap_context_t *context);
bool libcoap_refuse_resources(coap_context_t *context);
void libcoap_answer(struct incoming *base, struct coapmsg *response, bool keep);
void libcoap_drop(struct incoming *base, bool keep);
void libcoap_acknowledge_late(struct libcoap *libcoap);
void libcoap_trim_kept(struct libcoap *libcoap);
void server_forget_link(struct link *link);
void server_free_orphans(struct libcoap *libcoap);

/* endpoint_libcoap_notify.c */
int libcoap_notify(struct transport *transport, const struct peer *peer, struct coapmsg *notification, bool confirmable,
                   void *owner, struct notice **out) must_check;
void libcoap_cancel(struct notice *base);
void libcoap_tell_notices(struct libcoap *libcoap);
void notices_proved(struct link *link);
void notices_failed(struct link *link, coap_mid_t mid, enum channel_event event);
void notices_forget_link(struct link *link);
void notices_free(struct libcoap *libcoap);

#endif
