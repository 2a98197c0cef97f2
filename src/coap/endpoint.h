#ifndef TC_COAP_ENDPOINT_H
#define TC_COAP_ENDPOINT_H

#include "base/cleanup.h"
#include "tcgw/coapmsg.h"

#include <uv.h>

/*
 * libcoap on a libuv loop. This is the only module that knows libcoap: it carries one confirmable request at a time per
 * channel, retransmits it, and hands the answer on as a struct coapmsg. Deadlines are the exchange's business.
 *
 * A channel is a connected UDP socket towards one device. Those that were given back unharmed are kept open for the
 * next request to the same address, the least recently used dropped over the limit, since libcoap walks all sessions
 * in every pass.
 */
struct endpoint;
struct channel;

/* Why a request will not be answered. */
enum channel_event {
    CHANNEL_GIVEN_UP, /* never acknowledged, after all retransmissions */
    CHANNEL_RESET,    /* the device answered RST (RFC 7252 section 4.2) */
    CHANNEL_REFUSED,  /* an ICMP error came back; retransmission goes on */
};

/* The loop thread's callbacks; both may open, send on and close channels, and close the endpoint. */
struct endpoint_handlers {
    /* The response with the request's token; it lives until the call returns. A separate one (not in the ACK) means
     * that the device may still retransmit it. */
    void (*response)(void *owner, const struct coapmsg *response, bool separate);
    void (*event)(void *owner, enum channel_event event);
};

/* Creates an endpoint that keeps at most max_idle unused channels. The handlers must outlive it. Negative errno. */
int endpoint_new(struct endpoint **out, uv_loop_t *loop, uint32_t max_idle,
                 const struct endpoint_handlers *handlers) must_check;
/* Takes over another limit, and the present log level for libcoap's own messages, which are all logged as debug. */
void endpoint_configure(struct endpoint *endpoint, uint32_t max_idle);
/* Every channel must be closed. The endpoint frees itself in the loop's close callback, then closed(arg) is called. */
void endpoint_close(struct endpoint *endpoint, void (*closed)(void *arg), void *arg);
/* Open channels, idle ones included. */
uint32_t endpoint_count_channels(const struct endpoint *endpoint);

/* A channel to a canonical address (address.h): an idle one unless `fresh`, else a new one. The owner is what the
 * handlers are called with. Negative errno. */
int endpoint_open_channel(struct endpoint *endpoint, const char *address, bool fresh, void *owner,
                          struct channel **out) must_check;

/*
 * Sends a confirmable request with a new token (request->token is set) and retransmits it with the given times (RFC
 * 7252 section 4.8; ack_timeout_ms from 1000, max_retransmit from 1) until it is acknowledged. With max_retransmit 0
 * exactly one datagram leaves, and no event tells of it: libcoap reports only on what it would send again. Returns 0,
 * or negative errno when nothing was sent: -EMSGSIZE when it does not fit a datagram, otherwise what the system said.
 */
int channel_send(struct channel *channel, struct coapmsg *request, uint32_t ack_timeout_ms,
                 uint32_t max_retransmit) must_check;

/* True while the last request was neither acknowledged nor answered nor given up; never for one that leaves once. */
bool channel_awaits_ack(struct channel *channel);

/* Gives a channel back. It is kept for the next request only if `keep`: what was sent on it must have been answered
 * and no copy of it may be under way. NULL is fine. Returns NULL. */
struct channel *channel_close(struct channel *channel, bool keep);

#endif
