#ifndef TC_COAP_EXCHANGE_H
#define TC_COAP_EXCHANGE_H

#include "coap/endpoint.h"

/*
 * One request and its answer, with deadlines of our own: the message layer forgets a request as soon as it is
 * acknowledged, and an answer that never follows would never be missed.
 */

enum exchange_result {
    EXCHANGE_ANSWERED,
    EXCHANGE_NO_ANSWER,   /* what the device did is not known */
    EXCHANGE_UNREACHABLE, /* the network refused it before anything can have been processed; error says how */
    EXCHANGE_RESET,       /* the device answered RST */
    EXCHANGE_DENIED,      /* DTLS, TLS: the handshake failed: nothing was sent */
    EXCHANGE_FAILED,      /* the gateway could not send it; error says how */
};

struct exchange_times {
    uint32_t ack_timeout_ms;    /* RFC 7252 section 4.8, from 1000 */
    uint32_t max_retransmit;    /* from 1; 0: exactly one datagram leaves: an RST or ICMP error is then NO_ANSWER */
    uint32_t answer_timeout_ms; /* after an acknowledgement, or with max_retransmit 0 after sending */
};

struct exchange;

/* Called once per start (but see EXCHANGE_KEEP), never from within it; the exchange may be started again from there.
 * The response is NULL unless the result is EXCHANGE_ANSWERED, and lives until the call returns; error is a negative
 * errno or 0. */
typedef void (*exchange_fn)(struct exchange *exchange, enum exchange_result result, const struct coapmsg *response,
                            int error);

/* What the owner says of a response. */
enum exchange_verdict {
    EXCHANGE_TAKE,   /* it is the answer */
    EXCHANGE_IGNORE, /* it is none: the answer is waited for as if it had not come */
    EXCHANGE_KEEP,   /* it is the first of several (RFC 7641), or a further one: `done` is called with each, and the
                        exchange lasts without a deadline until one is taken, something breaks, or it is stopped */
};
typedef enum exchange_verdict (*exchange_judge_fn)(struct exchange *exchange, const struct coapmsg *response,
                                                   bool separate);

/* Embedded in its owner. */
struct exchange {
    struct endpoint *endpoint;
    struct channel *channel; /* NULL: none under way */
    uv_timer_t timer;
    struct exchange_times times;
    exchange_judge_fn judge; /* the owner's; NULL: every response is the answer */
    exchange_fn done;
    uint64_t started, give_up; /* loop time, ms */
    bool sent;                 /* a datagram has left */
    bool lasts;                /* it was answered, and further responses may come */
    bool acknowledged;
    enum exchange_result result; /* to be told by the timer */
    int error;
    unsigned retransmissions; /* of the request that was answered */
};

/* What the endpoint must be made with. */
extern const struct endpoint_handlers exchange_handlers;

/* Prepares an exchange; it ends with exchange_close. */
void exchange_init(struct exchange *exchange, uv_loop_t *loop, struct endpoint *endpoint);

/* Sends a request, whose token is set here; neither it nor `security` (channel_security, NULL for coap and coap+tcp)
 * need outlive the call. Failures come through done, too. */
void exchange_start(struct exchange *exchange, const char *address, const struct channel_security *security,
                    struct coapmsg *request, const struct exchange_times *times, exchange_fn done);
/* One that lasts: sends a request with the token of the one before, whose answer ends the exchange. 0, or negative
 * errno when nothing was sent; the exchange is as it was then. */
int exchange_continue(struct exchange *exchange, struct coapmsg *request, const struct exchange_times *times,
                      exchange_fn done) must_check;
/* From within the judge, for a response that it ignores: the answer is waited for at most this long. */
void exchange_wait_at_most(struct exchange *exchange, uint32_t ms);
/* Sends nothing: done comes from the loop with EXCHANGE_FAILED and error 0. */
void exchange_defer(struct exchange *exchange, exchange_fn done);
/* Gives up what is under way, if anything: done will not be called. */
void exchange_stop(struct exchange *exchange);
/* Stops it, and calls closed from the loop, when its owner may be freed. */
void exchange_close(struct exchange *exchange, uv_close_cb closed);

#endif
