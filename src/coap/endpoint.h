#ifndef TC_COAP_ENDPOINT_H
#define TC_COAP_ENDPOINT_H

#include "base/cleanup.h"
#include "coap/peer.h"
#include "tcgw/coapmsg.h"

#include <uv.h>

/*
 * The message layer (RFC 7252 section 4) on a libuv loop, for all transports, in both roles: it sends requests,
 * retransmits them and finds their responses by token; it receives requests, keeps their answers for retransmissions
 * (section 4.5) and sends answers and notifications. Deadlines of exchanges are the exchange's business. UDP is our own
 * (udp.c); DTLS, TCP and TLS are carried by libcoap (endpoint_libcoap.c).
 */
struct endpoint;
struct channel;
struct incoming;
struct notice;

#define CHANNEL_TOKEN_SIZE 8 /* of requests: random bytes, against those who guess (RFC 7252 section 5.3.1) */

/* Why a message will not be answered. */
enum channel_event {
    CHANNEL_GIVEN_UP, /* never acknowledged, after all retransmissions */
    CHANNEL_RESET,    /* the device answered RST (RFC 7252 section 4.2) */
    CHANNEL_REFUSED, /* an ICMP error came back, or a connection could not be made or broke; for UDP retransmission goes
                        on */
    CHANNEL_DENIED,  /* DTLS, TLS: the handshake failed: the peer is not who it should be, or does not take us */
};

/* The loop thread's callbacks; all may open, send on and close channels, answer, and close the endpoint. */
struct endpoint_handlers {
    /* A response with the token of the channel's last request; it lives until the call returns. While the channel is
     * open there may be more than one (notifications; copies of one are not passed on). A separate one (not in the ACK)
     * means that the device may still retransmit it. */
    void (*response)(void *owner, const struct coapmsg *response, bool separate);
    void (*event)(void *owner, enum channel_event event);
    /* A new request (never a copy of one that is being answered or whose answer is kept). `server` is that of the
     * options. It must be answered or dropped, now or later; see incoming. NULL: all are refused with RST. */
    void (*request)(void *server, struct incoming *incoming, const struct coapmsg *request);
    /* What became of a confirmable notification: -1 acknowledged, else the event. The notice is gone afterwards. Of one
     * that is not confirmable only a reset is told; its notice lasts until then or until it is cancelled. */
    void (*notified)(void *owner, int event);
};

/* What proves who is on the other side of a DTLS or TLS session. */
struct channel_security {
    bool has_psk;         /* else certificates */
    const char *identity; /* PSK identity that we present; NULL: none */
    const void *psk;
    size_t psk_size;
    const char *peer_name; /* certificates: what the peer's certificate must say (its device id) */
};

/* Who takes part in DTLS and TLS; asked during handshakes. */
struct endpoint_trust {
    void *arg;
    /* The key of a PSK identity (bytes of a peer, not NUL-terminated); false: unknown or revoked. *key_size is the room
     * at first. */
    bool (*find_psk)(void *arg, const void *identity, size_t size, uint8_t *key, size_t *key_size);
    /* Whether a verified certificate with this common name is that of a device which may use it; `fingerprint` is the
     * SHA-256 of the certificate's DER. */
    bool (*check_certificate)(void *arg, const char *common_name, const uint8_t fingerprint[32]);
};

struct endpoint_options {
    uv_loop_t *loop;
    const struct endpoint_handlers *handlers; /* must outlive it */
    void *server;
    uint32_t max_idle;     /* idle channels of the connected transports that are kept, least recently used dropped */
    uint32_t max_sessions; /* sessions that peers opened (DTLS, TCP, TLS) */
    uint32_t ack_timeout_ms, max_retransmit; /* of separate answers and notifications */
    uint64_t kept_bytes; /* of answers that are kept for retransmissions, over all peers; the oldest go first */
    struct endpoint_trust trust;
    /* PEM files of our own certificate and key and of the CA that signs devices' certificates; NULL: PSK only. */
    const char *certificate, *private_key, *client_ca;
};

/* Negative errno. */
int endpoint_new(struct endpoint **out, const struct endpoint_options *options) must_check;
/* Takes over what may change: limits and times; and the present log level for libcoap's own messages (all debug). */
void endpoint_configure(struct endpoint *endpoint, const struct endpoint_options *options);
/* Serves a literal address ("[::]:5683", "127.0.0.1:0"); once per transport. An unspecified IPv6 address takes IPv4
 * too. Requests to UDP peers leave from there as well; without a listener they leave from a port of the system's
 * choice. 0, or negative errno with a sentence in reason. */
int endpoint_listen(struct endpoint *endpoint, enum peer_transport transport, const char *address, char *reason,
                    size_t reason_size) must_check;
/* Serves UDP on a socket that is bound already, and taken over when the result is 0. */
int endpoint_adopt(struct endpoint *endpoint, int fd) must_check;
/* The port that is served, 0: none. */
uint16_t endpoint_port(const struct endpoint *endpoint, enum peer_transport transport);
/* Closes peers' sessions that belong to a PSK identity or common name, at once. */
void endpoint_drop_identity(struct endpoint *endpoint, const char *identity);
/* Every channel must be closed; held requests are dropped. The endpoint frees itself in the loop's close callback, then
 * closed(arg) is called. */
void endpoint_close(struct endpoint *endpoint, void (*closed)(void *arg), void *arg);

struct endpoint_stats {
    uint32_t channels, sessions; /* open, idle ones included; DTLS, TCP and TLS sessions in both directions */
    uint32_t peers;              /* UDP peers that are remembered */
    uint32_t held;               /* requests that are neither answered nor dropped */
    uint64_t kept, kept_bytes;   /* answers */
    uint64_t received, sent, retransmitted, duplicates, malformed, unmatched, refused;
    uint64_t denied; /* handshakes of peers that failed */
};
void endpoint_get_stats(const struct endpoint *endpoint, struct endpoint_stats *out);

/* Requests that we send ------------------------------------------------------------------------------------------- */

/* A channel to a canonical address (address.h). `security` is needed for coaps and coaps+tcp. `fresh`: for the
 * connected transports a new session. Negative errno. */
int endpoint_open_channel(struct endpoint *endpoint, const char *address, const struct channel_security *security,
                          bool fresh, void *owner, struct channel **out) must_check;

/*
 * Sends a confirmable request with a new token (request->token is set) and retransmits it with the given times (RFC
 * 7252 section 4.8) until it is acknowledged. With max_retransmit 0 exactly one datagram leaves; a reset or an ICMP
 * error to it is told as an event. Returns 0, or negative errno when nothing was sent: -EMSGSIZE when it does not fit a
 * datagram; -EAGAIN when so many messages went to that peer in the last EXCHANGE_LIFETIME (at least 49,152 in 247 s)
 * that no message ID is free (section 4.4); otherwise what the system said. The times are not used by reliable
 * transports (RFC 8323).
 */
int channel_send(struct channel *channel, struct coapmsg *request, uint32_t ack_timeout_ms,
                 uint32_t max_retransmit) must_check;

/* How often the last request was sent again, as far as is known: 0 for the connected transports. */
unsigned channel_retransmissions(const struct channel *channel);

/* True while the last request was neither acknowledged nor answered nor given up. */
bool channel_awaits_ack(const struct channel *channel);

/* The next request keeps this one's token (for an observation that is refreshed or ended, RFC 7641 section 3.6). */
void channel_keep_token(struct channel *channel);

/* Gives a channel back: nothing is retransmitted any more, late answers are refused with RST. `keep` as it was: what
 * was sent on it has been answered. NULL is fine. Returns NULL. */
struct channel *channel_close(struct channel *channel, bool keep);

/* Requests that we answer ----------------------------------------------------------------------------------------- */

/* Good until it is answered or dropped. An answer that does not come at once goes into the ACK when it comes within 200
 * ms; else an empty ACK is sent and the answer is a message of its own. */
const struct peer *incoming_peer(const struct incoming *incoming);
/* Who it is by PSK identity or certificate, NULL for plain transports. */
const char *incoming_identity(const struct incoming *incoming);
/* Of the certificate whose common name that is (SHA-256 of its DER); NULL: it is a PSK identity, or there is none. */
const uint8_t *incoming_fingerprint(const struct incoming *incoming);

/* Sends the answer; type, message ID and token are set here. `keep`: retransmissions of the request get it again.
 * Without it they are handled as new, which is right for errors that cost and change nothing and are sent to anybody.
 */
void incoming_answer(struct incoming *incoming, struct coapmsg *response, bool keep);
/* No answer; copies of a confirmable request are ignored as long as its answer would be kept, if `keep`. */
void incoming_drop(struct incoming *incoming, bool keep);
/* Its answer goes into the ACK however long it takes: copies of the request are ignored meanwhile. For devices that
 * take no other answer. Transports without ACK have nothing of it. */
void incoming_wait(struct incoming *incoming);

/* Sends a notification (or any response that is not asked for anew) with its own token to a peer. NULL owner: nobody
 * asks what became of it, and there is no notice. *out (may be NULL) is the notice, to be cancelled. Negative errno. */
int endpoint_notify(struct endpoint *endpoint, const struct peer *peer, struct coapmsg *notification, bool confirmable,
                    void *owner, struct notice **out) must_check;
/* `notified` is not called any more, nothing is retransmitted. */
void notice_cancel(struct notice *notice);

#endif
