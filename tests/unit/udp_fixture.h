#ifndef TC_TESTS_UDP_FIXTURE_H
#define TC_TESTS_UDP_FIXTURE_H

#include "coap/udp_private.h"

#include <check.h>

/* The message layer without sockets, on a clock that is set by hand. */

#define NET_SENT_MAX 8192

struct net_sent {
    struct peer to;
    uint64_t at;
    size_t size;
    uint8_t data[64]; /* the beginning */
};

struct net {
    struct udp udp;
    struct endpoint endpoint;
    uint64_t now, armed;
    struct net_sent sent[NET_SENT_MAX];
    unsigned sent_count;
    int send_error;
    struct peer a, b;
    struct { /* what handlers were called with */
        unsigned responses, events, requests, notified;
        bool separate, failed;
        uint8_t code;
        void *owner;
        enum channel_event event;
        int result;
        struct incoming *incoming;
        void (*on_request)(struct incoming *incoming);
    } seen;
};
extern struct net net;
extern const struct endpoint_handlers net_client_handlers; /* of an endpoint that serves nobody */

void net_set_up(void);
void net_tear_down(void);
/* Lets time pass, as a timer would. */
void net_pass(uint64_t ms);

const struct net_sent *net_last(void);
struct coapmsg *net_last_message(void);
void net_check_empty(enum coapmsg_type type, uint16_t id); /* of the last message */
void net_receive(const struct peer *from, const struct coapmsg *msg);
void net_receive_empty(const struct peer *from, enum coapmsg_type type, uint16_t id);
void net_receive_request(const struct peer *from, enum coapmsg_type type, uint16_t id);
/* A response to a request. */
void net_receive_response(const struct peer *from, const struct coapmsg *request, enum coapmsg_type type, uint16_t id,
                          const char *text);

struct channel *net_open_channel(const struct peer *peer, void *owner);
int net_try_send(struct channel *channel, uint32_t max_retransmit, struct coapmsg *request);
void net_send_request(struct channel *channel, uint32_t max_retransmit, struct coapmsg *request);

#endif
