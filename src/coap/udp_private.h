#ifndef TC_COAP_UDP_PRIVATE_H
#define TC_COAP_UDP_PRIVATE_H

#include "base/list.h"
#include "coap/endpoint_private.h"

#include <uthash.h>

/* Strangers choose what most tables are looked up by, so the hash has a key here. */
#undef HASH_FUNCTION
#define HASH_FUNCTION(key, size, value) ((value) = udp_hash(key, size))

/*
 * CoAP's messages over UDP (RFC 7252 section 4) without sockets: datagrams come in through udp_input, ICMP errors
 * through udp_refuse, time through udp_run; what goes out and when to run is told to the driver. udp_socket.c is the
 * one of the gateway, tests have others.
 */

#define UDP_MAX_DATAGRAM 65507 /* over IPv4 */

/* RFC 7252 section 4.8.2. */
#define UDP_EXCHANGE_LIFETIME_MS 247000
#define UDP_NON_LIFETIME_MS 145000

#define UDP_ACK_DELAY_MS 200 /* an answer goes into the ACK until then */
#define UDP_HELD_MAX 4096    /* requests that are neither answered nor dropped */
#define UDP_BUSY_MAX_AGE 5   /* s; of the 5.03 to further ones */
#define UDP_ANSWERS_MAX 4096 /* separate answers that are retransmitted; further ones leave once */
#define UDP_PEERS_MAX 65536  /* whose message IDs are remembered */
#define UDP_RESETS_PER_S 256 /* RSTs to messages that nobody expects */

struct udp;

/* Whose message, and which: the key of most tables; mid is 0 where the peer alone is meant. No padding. */
struct udp_key {
    uint8_t ip[16]; /* IPv4-mapped for IPv4 */
    uint32_t scope;
    uint16_t port, mid; /* port in network order */
    uint32_t content;   /* of what comes: a hash; else 0 */
};

struct udp_alarm {
    uint64_t due;    /* ms */
    size_t position; /* in the heap, from 1; 0: not set */
    void (*ring)(struct udp *udp, struct udp_alarm *alarm);
};

/* A binary heap, the earliest on top. */
struct udp_alarms {
    struct udp_alarm **heap;
    size_t count, room;
};

enum udp_kind { UDP_CHANNEL, UDP_ANSWER, UDP_NOTICE };

/* A message that an ACK, an RST or an ICMP error may come back for. Embedded in what sent it. */
struct udp_outgoing {
    enum udp_kind kind;
    bool waiting;    /* in udp->outgoing */
    bool renumbered; /* key.mid is not its first */
    struct udp_key key;
    struct peer peer;
    uint8_t *data; /* for retransmissions; NULL: none */
    size_t size;
    uint32_t timeout_ms, left; /* the present one; retransmissions to come */
    struct udp_alarm alarm;
    UT_hash_handle hh;
};

struct udp_channel {
    struct channel base;
    struct peer peer;
    uint8_t token[CHANNEL_TOKEN_SIZE];
    bool listed, keep_token; /* in udp->channels */
    bool has_answer;         /* in an ACK, to the last request: its digest */
    uint32_t digest;
    struct udp_outgoing out;
    UT_hash_handle hh;
};

struct udp_incoming {
    struct incoming base;
    struct udp_key key;
    enum coapmsg_type type; /* CON or NON */
    bool acknowledged;
    uint8_t token_length, token[COAPMSG_MAX_TOKEN];
    struct udp_alarm alarm;
    UT_hash_handle hh;
};

struct udp_notice {
    struct notice base;
    struct udp_outgoing out;
    struct list node; /* in udp->notices */
};

struct udp_peer {
    struct udp_key key;
    uint32_t used[4];   /* when each quarter of the message IDs was last used: s, 0: not yet */
    uint16_t next;      /* message ID */
    uint64_t last_used; /* ms */
    struct list node;   /* in udp->peers_by_use */
    UT_hash_handle hh;
};

enum udp_kept_kind {
    UDP_KEPT_ANSWER,  /* the same bytes again */
    UDP_KEPT_ACK,     /* the same empty ACK again; the answer is, or was, a message of its own */
    UDP_KEPT_SILENCE, /* copies are ignored */
};

/* What copies of a message get. There may be hundreds of thousands, so it has a table of its own. */
struct udp_kept {
    struct udp_kept *next_in_bucket, *next_in_time;
    struct udp_key key;
    uint32_t at;   /* s */
    uint16_t size; /* of data */
    uint8_t kind;
    bool confirmable;
    uint8_t data[];
};

struct udp_kept_table {
    struct udp_kept **buckets;
    size_t bucket_count; /* a power of two; 0: no table yet */
    struct udp_kept *oldest, *newest;
    size_t count;
    uint64_t bytes;
};

struct udp_driver {
    /* Milliseconds that never step. */
    uint64_t (*now)(struct udp *udp);
    /* Sends a datagram. `later`: it may wait for others until the loop sleeps, and nobody asks what became of it.
     * Negative errno. */
    int (*send)(struct udp *udp, const struct peer *to, const void *data, size_t size, bool later);
    /* udp_run is to be called then, not only later. */
    void (*arm)(struct udp *udp, uint64_t due);
};

struct udp {
    struct transport base;
    const struct udp_driver *driver;
    bool closing;
    struct udp_channel *channels;  /* by token */
    struct udp_outgoing *outgoing; /* by peer and message ID */
    struct udp_incoming *held;     /* by peer and message ID */
    struct udp_peer *peers;        /* by peer */
    struct list peers_by_use;      /* the longest unused first */
    struct list notices;
    struct udp_kept_table kept;
    struct udp_alarms alarms;
    uint32_t channel_count, answer_count;
    uint32_t resets_left;
    uint64_t resets_since; /* ms */
    struct endpoint_stats stats;
    uint8_t scratch[UDP_MAX_DATAGRAM]; /* the datagram that is being made */
};

/* udp.c: the whole. The driver sets base and driver first. */
void udp_init(struct udp *udp);
void udp_clear(struct udp *udp); /* frees all; calls nobody */
void udp_configure(struct transport *transport);
void udp_add_stats(const struct transport *transport, struct endpoint_stats *stats);
/* All but listen, port and close, which are the driver's. */
#define UDP_COMMON_OPS                                                                                                 \
    .open_channel = udp_open_channel, .send = udp_send_request, .awaits_ack = udp_awaits_ack,                          \
    .keep_token = udp_keep_token, .close_channel = udp_close_channel, .answer = udp_answer, .drop = udp_drop,          \
    .wait = udp_wait, .notify = udp_notify, .cancel = udp_cancel, .configure = udp_configure,                          \
    .add_stats = udp_add_stats
/* Takes a datagram of a peer, with the local address that it was sent to. */
void udp_input(struct udp *udp, const struct peer *from, const void *data, size_t size);
/* An ICMP error came back for a datagram, of which at least the beginning is known. */
void udp_refuse(struct udp *udp, const struct peer *to, const void *data, size_t size);
struct udp *udp_of(struct transport *transport);
void udp_send_empty(struct udp *udp, const struct peer *to, enum coapmsg_type type, uint16_t mid);
/* RST to a message that is not expected: not to more than UDP_RESETS_PER_S. */
void udp_reject(struct udp *udp, const struct peer *to, const struct coapmsg *msg);

/* udp_table.c: keys, hash, alarms, message IDs. */
uint32_t udp_hash(const void *key, size_t size);
struct udp_key udp_make_key(const struct peer *peer, uint16_t mid);
/* Of a message that came: what has another token or payload is no copy, though its message ID be the same. Many a
 * device counts both from the same number after each restart, and what is protected differs all the same. */
struct udp_key udp_make_key_of(const struct peer *from, const struct coapmsg *msg);
/* -ENOMEM; never when the alarm is set already or was when this function was last called. */
int udp_set_alarm(struct udp *udp, struct udp_alarm *alarm, uint64_t due) must_check;
void udp_clear_alarm(struct udp *udp, struct udp_alarm *alarm);
/* Rings what is due, and arms the driver anew. */
void udp_run(struct udp *udp);
/* A message ID that was not used for that peer in EXCHANGE_LIFETIME; -EAGAIN when there is none. Peers that were not
 * used for so long are forgotten, and beyond UDP_PEERS_MAX the longest unused, too: then it begins anew. */
int udp_take_mid(struct udp *udp, const struct peer *peer, uint16_t *mid) must_check;
void udp_forget_peers(struct udp *udp);

/* udp_outgoing.c: what is sent until somebody answers. */
/*
 * Sends a message with a new message ID. A confirmable one is sent again until it is acknowledged; with max_retransmit
 * 0, and when it is not confirmable, it leaves once, and waits for RST and ICMP until udp_stop.
 */
int udp_post(struct udp *udp, struct udp_outgoing *out, const struct peer *to, struct coapmsg *msg,
             uint32_t ack_timeout_ms, uint32_t max_retransmit, bool later) must_check;
struct udp_outgoing *udp_find_outgoing(struct udp *udp, const struct peer *from, uint16_t mid);
/* The peer gave the answer to an older message that had this message ID: it took this one for a copy and did not look
 * at it. So it leaves again under another number, which counts as a retransmission; what leaves once does not. */
void udp_renumber(struct udp *udp, struct udp_outgoing *out);
void udp_stop(struct udp *udp, struct udp_outgoing *out); /* may be called twice */
/* Empty ACK, RST, ICMP error or the end of the retransmissions: told to what sent it. event -1: ACK. */
void udp_tell(struct udp *udp, struct udp_outgoing *out, int event);
int udp_notify(struct transport *transport, const struct peer *peer, struct coapmsg *notification, bool confirmable,
               void *owner, struct notice **out) must_check;
void udp_cancel(struct notice *notice);

/* udp_channel.c: requests that we send. */
int udp_open_channel(struct transport *transport, const struct peer *peer, const char *address,
                     const struct channel_security *security, bool fresh, void *owner, struct channel **out) must_check;
int udp_send_request(struct channel *channel, struct coapmsg *request, uint32_t ack_timeout_ms,
                     uint32_t max_retransmit) must_check;
bool udp_awaits_ack(const struct channel *channel);
void udp_keep_token(struct channel *channel);
void udp_close_channel(struct channel *channel, bool keep);
void udp_take_response(struct udp *udp, const struct peer *from, const struct coapmsg *response);
void udp_tell_channel(struct udp_channel *channel, int event);

/* udp_incoming.c: requests that we answer. */
void udp_take_request(struct udp *udp, const struct peer *from, const struct coapmsg *request);
void udp_answer(struct incoming *incoming, struct coapmsg *response, bool keep);
void udp_drop(struct incoming *incoming, bool keep);
void udp_wait(struct incoming *incoming);
void udp_free_answer(struct udp *udp, struct udp_outgoing *out);
void udp_free_held(struct udp *udp);

/* udp_kept.c: what copies of messages get (RFC 7252 section 4.5). */
/* Remembers it for EXCHANGE_LIFETIME or NON_LIFETIME, if memory lets it. Data only for UDP_KEPT_ANSWER. */
void udp_keep(struct udp *udp, const struct udp_key *key, bool confirmable, enum udp_kept_kind kind, const void *data,
              size_t size);
/* True when the message is a copy: what it gets was sent. */
bool udp_answer_copy(struct udp *udp, const struct udp_key *key, const struct peer *from);
void udp_trim_kept(struct udp *udp, uint64_t max_bytes);
void udp_free_kept(struct udp *udp);

static inline uint64_t udp_now(struct udp *udp)
{
    return udp->driver->now(udp);
}

static inline const struct endpoint_options *udp_options(const struct udp *udp)
{
    return &udp->base.endpoint->options;
}

#endif
