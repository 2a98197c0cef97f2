#include "coap/exchange.h"

#include <errno.h>

static void finish(struct exchange *x, enum exchange_result result, const struct coapmsg *response, bool keep_channel)
{
    (void)uv_timer_stop(&x->timer);
    x->retransmissions = x->channel ? channel_retransmissions(x->channel) : 0;
    x->channel = channel_close(x->channel, keep_channel);
    x->lasts = false;
    x->done(x, result, response, x->error);
}

/* True when no retransmission can have left yet. With a wide margin, since two clocks are involved. */
static bool is_young(const struct exchange *x)
{
    return x->times.max_retransmit == 0 || (uv_now(x->timer.loop) - x->started) * 2 < x->times.ack_timeout_ms;
}

/* A copy of the request that is still under way, or our acknowledgement of a separate response, could meet a closed
 * port later, and its ICMP error would be taken for one of the next request: such a channel is not used again. */
static void on_response(void *owner, const struct coapmsg *response, bool separate)
{
    struct exchange *x = owner;

    switch (x->judge ? x->judge(x, response, separate) : EXCHANGE_TAKE) {
    case EXCHANGE_TAKE:
        finish(x, EXCHANGE_ANSWERED, response, !separate && !x->lasts && is_young(x));
        break;
    case EXCHANGE_KEEP:
        x->lasts = true;
        (void)uv_timer_stop(&x->timer);
        x->done(x, EXCHANGE_ANSWERED, response, 0);
        break;
    case EXCHANGE_IGNORE:
        break;
    }
}

/* What must leave once has left: an RST or an ICMP error, which anybody can make up, does not prove that nothing came
 * of it, but there is nothing to wait for any more. */
static void on_event(void *owner, enum channel_event event)
{
    struct exchange *x = owner;
    bool once = x->times.max_retransmit == 0;

    switch (event) {
    case CHANNEL_GIVEN_UP:
        finish(x, EXCHANGE_NO_ANSWER, NULL, false);
        break;
    case CHANNEL_RESET:
        finish(x, once ? EXCHANGE_NO_ANSWER : EXCHANGE_RESET, NULL, false);
        break;
    case CHANNEL_DENIED:
        finish(x, EXCHANGE_DENIED, NULL, false);
        break;
    case CHANNEL_REFUSED:
        x->error = -ECONNREFUSED;
        /* Later on, the first copy may have been processed and only a further one refused: wait for an answer. */
        if (x->lasts || is_young(x))
            finish(x, x->lasts || once ? EXCHANGE_NO_ANSWER : EXCHANGE_UNREACHABLE, NULL, false);
        break;
    }
}

const struct endpoint_handlers exchange_handlers = {.response = on_response, .event = on_event};

static void on_deferred(uv_timer_t *timer)
{
    struct exchange *x = container_of(timer, struct exchange, timer);

    finish(x, x->result, NULL, false);
}

/* Ticks once per answer_timeout: an answer is due within it once the device has acknowledged the request. */
static void on_tick(uv_timer_t *timer)
{
    struct exchange *x = container_of(timer, struct exchange, timer);

    if (x->times.max_retransmit == 0 || x->acknowledged || uv_now(timer->loop) >= x->give_up)
        finish(x, EXCHANGE_NO_ANSWER, NULL, false);
    else
        x->acknowledged = !channel_awaits_ack(x->channel);
}

static void defer(struct exchange *x, enum exchange_result result, int error)
{
    x->result = result;
    x->error = error;
    (void)uv_timer_start(&x->timer, on_deferred, 0, 0);
}

/* MAX_TRANSMIT_WAIT (RFC 7252 section 4.8.2) with the default ACK_RANDOM_FACTOR of 1.5. The endpoint gives up by then,
 * unless libcoap carries the message and the wall clock that it goes by was set back. */
static uint64_t transmit_wait(const struct exchange_times *times)
{
    return (uint64_t)times->ack_timeout_ms * 3 / 2 * ((2ull << times->max_retransmit) - 1);
}

static int send_request(struct exchange *x, const char *address, const struct channel_security *security,
                        struct coapmsg *request, bool fresh)
{
    int r = endpoint_open_channel(x->endpoint, address, security, fresh, x, &x->channel);

    if (r == 0)
        r = channel_send(x->channel, request, x->times.ack_timeout_ms, x->times.max_retransmit);
    if (r < 0)
        x->channel = channel_close(x->channel, false);
    return r;
}

static bool is_local(int error)
{
    return error == -ENOMEM || error == -EMSGSIZE || error == -EMFILE || error == -ENFILE || error == -ENOBUFS ||
           error == -EINVAL || error == -EIO || error == -EAGAIN;
}

void exchange_init(struct exchange *exchange, uv_loop_t *loop, struct endpoint *endpoint)
{
    *exchange = (struct exchange){.endpoint = endpoint};
    (void)uv_timer_init(loop, &exchange->timer);
}

static void begin(struct exchange *x, const struct exchange_times *times, exchange_fn done)
{
    x->times = *times;
    x->done = done;
    x->error = 0;
    x->sent = x->lasts = x->acknowledged = false;
}

static void await(struct exchange *x)
{
    x->sent = true;
    x->started = uv_now(x->timer.loop);
    x->give_up = x->started + transmit_wait(&x->times);
    (void)uv_timer_start(&x->timer, on_tick, x->times.answer_timeout_ms, x->times.answer_timeout_ms);
}

void exchange_start(struct exchange *exchange, const char *address, const struct channel_security *security,
                    struct coapmsg *request, const struct exchange_times *times, exchange_fn done)
{
    struct exchange *x = exchange;
    int r;

    begin(x, times, done);
    r = send_request(x, address, security, request, times->max_retransmit == 0);
    /* An idle socket may hold an old error, or an address that this machine has lost since. */
    if (r < 0 && !is_local(r))
        r = send_request(x, address, security, request, true);
    if (r < 0)
        defer(x, is_local(r) ? EXCHANGE_FAILED : EXCHANGE_UNREACHABLE, r);
    else
        await(x);
}

int exchange_continue(struct exchange *exchange, struct coapmsg *request, const struct exchange_times *times,
                      exchange_fn done)
{
    int r;

    channel_keep_token(exchange->channel);
    r = channel_send(exchange->channel, request, times->ack_timeout_ms, times->max_retransmit);
    if (r < 0)
        return r;
    begin(exchange, times, done);
    await(exchange);
    return 0;
}

void exchange_wait_at_most(struct exchange *exchange, uint32_t ms)
{
    if (exchange->lasts || uv_timer_get_due_in(&exchange->timer) <= ms)
        return;
    exchange->give_up = 0;
    (void)uv_timer_start(&exchange->timer, on_tick, ms, 0);
}

void exchange_defer(struct exchange *exchange, exchange_fn done)
{
    exchange->done = done;
    defer(exchange, EXCHANGE_FAILED, 0);
}

void exchange_stop(struct exchange *exchange)
{
    (void)uv_timer_stop(&exchange->timer);
    exchange->channel = channel_close(exchange->channel, false);
    exchange->lasts = false;
}

void exchange_close(struct exchange *exchange, uv_close_cb closed)
{
    exchange_stop(exchange);
    uv_close((uv_handle_t *)&exchange->timer, closed);
}
