#ifndef TC_COAP_ENDPOINT_PRIVATE_H
#define TC_COAP_ENDPOINT_PRIVATE_H

#include "coap/endpoint.h"

/*
 * What the facade (endpoint.c) and its transports share. There are two: UDP, our own (udp.c), and libcoap, which
 * carries the connected ones (endpoint_libcoap.c). Each embeds these base structures at the head of its own; the facade
 * looks at nothing else. A transport calls endpoint->options.handlers itself.
 */

struct transport;

/* All results must be looked at. */
struct transport_ops {
    /* As the function of the same name in endpoint.h, for the kinds that the transport carries. `address` has been
     * read; `text` is for the reason. */
    int (*listen)(struct transport *transport, enum peer_transport kind, const struct peer *address, const char *text,
                  char *reason, size_t reason_size);
    int (*adopt)(struct transport *transport, int fd);                             /* of UDP only */
    uint16_t (*port)(const struct transport *transport, enum peer_transport kind); /* 0: not served */
    /* `peer` is the address, read; the transport fills in *out, base included. */
    int (*open_channel)(struct transport *transport, const struct peer *peer, const char *address,
                        const struct channel_security *security, bool fresh, void *owner, struct channel **out);
    int (*send)(struct channel *channel, struct coapmsg *request, uint32_t ack_timeout_ms, uint32_t max_retransmit);
    bool (*awaits_ack)(const struct channel *channel);
    void (*keep_token)(struct channel *channel);
    void (*close_channel)(struct channel *channel, bool keep);
    void (*answer)(struct incoming *incoming, struct coapmsg *response, bool keep);
    void (*drop)(struct incoming *incoming, bool keep);
    void (*wait)(struct incoming *incoming); /* NULL: nothing to do */
    /* *out is NULL when there is nothing that could be cancelled. */
    int (*notify)(struct transport *transport, const struct peer *peer, struct coapmsg *notification, bool confirmable,
                  void *owner, struct notice **out);
    void (*cancel)(struct notice *notice);
    void (*drop_identity)(struct transport *transport, const char *identity); /* NULL: no identities here */
    /* endpoint->options have changed. */
    void (*configure)(struct transport *transport);
    void (*add_stats)(const struct transport *transport, struct endpoint_stats *stats); /* adds its own */
    /* Drops held requests and closes; endpoint_transport_closed is the last that it calls, from the loop, after freeing
     * itself. No handler is called any more. */
    void (*close)(struct transport *transport);
};

struct transport {
    const struct transport_ops *ops;
    struct endpoint *endpoint;
};

struct endpoint {
    struct endpoint_options options;   /* as they are now; max_idle and the like are looked up here */
    struct transport *udp, *connected; /* connected: NULL until it is needed */
    unsigned open_transports;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct channel {
    struct transport *transport;
    void *owner;              /* what handlers are called with */
    unsigned retransmissions; /* of the last request */
};

struct incoming {
    struct transport *transport;
    const char *identity;       /* NULL: none */
    const uint8_t *fingerprint; /* of incoming_fingerprint */
    struct peer peer;
};

struct notice {
    struct transport *transport;
    void *owner; /* NULL: nobody asks */
};

/* The transports. Negative errno. */
int udp_new(struct endpoint *endpoint, struct transport **out) must_check;
/* Made when a coaps, coap+tcp or coaps+tcp address is first listened to or spoken to. */
int libcoap_new(struct endpoint *endpoint, struct transport **out) must_check;

/* Of transport_ops.close: the endpoint goes with its last transport. */
void endpoint_transport_closed(struct endpoint *endpoint);

/* Bytes that nobody can foresee; the kernel is asked for many at a time. False when there are none. */
bool endpoint_random(void *out, size_t size) must_check;

#endif
