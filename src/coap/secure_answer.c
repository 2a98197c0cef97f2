#include "coap/secure_private.h"

#include "core/budget.h"

#include <string.h>

/* What an answer is worth, and what follows from it. */

#define MAX_ECHOES 2 /* times that a device may ask for Echo in one exchange */

static void note_hint(struct secure *s, const struct coapmsg *response, int error, bool separate)
{
    struct agents *agents = s->agents;
    bool unprotected = error == OSCORE_E_UNPROTECTED;

    if (unprotected)
        agents->stats.security.hints++;
    else
        agents->stats.security.failures++;
    s->credential->counters.failures += !unprotected;
    if (s->exchange.lasts) /* nothing cancels an observation but the device */
        return;
    s->hint = !unprotected                         ? SECURE_UNVERIFIED
              : COAPMSG_CLASS(response->code) == 4 ? SECURE_REFUSED
                                                   : SECURE_UNPROTECTED;
    s->hint_code = unprotected ? response->code : 0;
    /* An answer in the ACK is the device's last word, were it not that others can forge it: the genuine one has the
     * time of one more round trip. Where trying again could do harm, it has all the time there is. */
    if (!separate && !(s->flags & SECURE_UNREPEATABLE && s->left))
        exchange_wait_at_most(&s->exchange, s->times.ack_timeout_ms);
}

static int verify(struct secure *s, const struct coapmsg *outer)
{
    struct secure_scratch *scratch = s->agents->scratch;
    struct oscore_option option;
    int r = oscore_message_option(outer, &option);

    if (r)
        return r;
    if (option.kid_context && renewal_take_r2(s, outer, &option))
        return 0;
    if (s->phase == SECURE_RENEWING) /* only response #1 counts */
        return OSCORE_E_DECRYPT;
    return oscore_unprotect_response(s->derived ? s->derived : s->credential->context, &s->binding, outer,
                                     &scratch->inner, scratch->in, sizeof scratch->in);
}

static enum exchange_verdict admit(const struct secure *s, const struct coapmsg *response)
{
    bool observes = s->flags & SECURE_OBSERVE && (s->phase == SECURE_SENT || s->exchange.lasts) && !s->repairing;

    return observes && COAPMSG_CLASS(response->code) == 2 && coapmsg_find(response, COAPMSG_OPT_OBSERVE)
               ? EXCHANGE_KEEP
               : EXCHANGE_TAKE;
}

enum exchange_verdict secure_judge(struct exchange *exchange, const struct coapmsg *response, bool separate)
{
    struct secure *s = container_of(exchange, struct secure, exchange);
    int r;

    if (!s->credential)
        return admit(s, response);
    r = verify(s, response);
    if (r == 0)
        return admit(s, &s->agents->scratch->inner);
    if (r == OSCORE_E_STALE)
        s->credential->counters.replays++;
    else
        note_hint(s, response, r, separate);
    return EXCHANGE_IGNORE;
}

/* The device says that it did not process what it answers. */
static void note_unprocessed(struct secure *s)
{
    if (s->phase == SECURE_SENT && !s->repairing)
        s->left = false;
}

/* RFC 9175 section 2.3: the request is to be sent again with this value. */
static bool take_echo(struct secure *s, const struct coapmsg *response, unsigned max)
{
    const struct coapmsg_option *echo = coapmsg_find(response, COAPMSG_OPT_ECHO);

    if (response->code != COAPMSG_UNAUTHORIZED || !echo || echo->length == 0 || echo->length > SECURE_ECHO_MAX ||
        s->exchange.lasts || s->echoes >= max)
        return false;
    s->echoes++;
    s->agents->stats.security.echoes++;
    memcpy(s->echo, echo->value, echo->length);
    s->echo_size = (uint8_t)echo->length;
    note_unprocessed(s);
    return true;
}

static void deliver(struct secure *s, const struct coapmsg *response)
{
    s->agents->stats.responses++;
    if (s->agents->core)
        budget_charge(s->agents->core, s->device->id,
                      coapmsg_size(response) + s->exchange.retransmissions * s->request.size);
    if (s->session)
        keyring_verified(s->agents->core, s->session, NULL);
    s->lasts = s->exchange.lasts;
    s->detail[0] = 0;
    if (s->lasts)
        s->done(s, AGENT_OK, response);
    else
        secure_finish(s, AGENT_OK, response);
}

static void on_plain(struct secure *s, const struct coapmsg *response)
{
    /* Nobody vouches for that 4.01, so what may leave only once does not leave again because of it. */
    if (s->times.max_retransmit && take_echo(s, response, 1)) {
        secure_send_plain(s);
        return;
    }
    deliver(s, response);
}

static void on_verified(struct secure *s)
{
    const struct coapmsg *inner = &s->agents->scratch->inner;

    s->agents->stats.security.verified_responses++;
    s->credential->counters.received++;
    if (s->r2_size) {
        note_unprocessed(s);
        renewal_confirm(s);
    } else if (take_echo(s, inner, MAX_ECHOES)) {
        if (s->phase == SECURE_CONFIRMING)
            renewal_confirm_again(s);
        else
            secure_send_request(s);
    } else if (s->phase == SECURE_CONFIRMING) {
        renewal_store(s);
    } else {
        keyring_verified(s->agents->core, s->credential, NULL);
        if (s->repairing)
            secure_end_untrusted(s);
        else
            deliver(s, inner);
    }
}

/* The device may have moved to the new credentials of a rotation. */
static bool try_new_session(struct secure *s)
{
    struct credential *fresh = keyring_find(s->device, s->session->kind, CREDENTIAL_NEW);

    if (!fresh || fresh == s->session)
        return false;
    s->session = fresh;
    if (s->credential)
        secure_proceed(s);
    else
        secure_send_plain(s);
    return true;
}

void secure_on_exchange_done(struct exchange *exchange, enum exchange_result result, const struct coapmsg *response,
                             int error)
{
    struct secure *s = container_of(exchange, struct secure, exchange);

    if (result == EXCHANGE_ANSWERED)
        secure_trace_response(s, s->credential ? &s->agents->scratch->inner : response, response);
    if (result == EXCHANGE_ANSWERED && s->credential) {
        on_verified(s);
    } else if (result == EXCHANGE_ANSWERED) {
        on_plain(s, response);
    } else if (result == EXCHANGE_DENIED && try_new_session(s)) {
        return;
    } else if (s->hint == SECURE_NO_HINT) {
        secure_end_unanswered(s, result, error);
    } else {
        s->repairing = s->repairing || (s->left && s->flags & SECURE_UNREPEATABLE);
        s->stage = s->phase == SECURE_SENT ? s->stage + 1 : SECURE_TRIED;
        secure_proceed(s);
    }
}
