#include "coap/secure_private.h"

#include "codec/cborio.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/*
 * RFC 8613 appendix B.2 in the role of the client. Both requests are harmless ones, so that whatever the exchange is
 * about leaves only when the new context has been confirmed and is durable.
 *
 *     request #1   ID Context R1, or that of a present context
 *     response #1  4.01, protected with ID Context R2 || ID1, kid context R2
 *     request #2   ID Context R2 || R3
 */

#define PERIOD_MS 60000 /* between two attempts that a forged message may have caused */
#define MAX_RENEWALS 2  /* attempts in one exchange */
#define MAX_R2_TRIES 4  /* kid contexts of responses that are looked into in one exchange: each costs a derivation */
#define NUMBERS 16      /* sequence numbers of a context that is not the credential's yet */

struct renewal {
    uint64_t number; /* of the credential */
    uint64_t at;     /* loop time, ms */
    struct secure *runner;
    UT_hash_handle hh;
};

static uint64_t now(const struct secure *s)
{
    return uv_now(s->agents->options.loop);
}

static struct renewal *find(const struct secure *s)
{
    struct renewal *found;

    HASH_FIND(hh, s->agents->renewals, &s->number, sizeof s->number, found);
    return found;
}

static void forget(struct agents *agents, struct renewal *renewal)
{
    HASH_DEL(agents->renewals, renewal);
    free(renewal);
}

/* The table keeps the order of their times. */
static void forget_old(struct secure *s)
{
    struct renewal *oldest;

    while ((oldest = s->agents->renewals) && !oldest->runner && now(s) - oldest->at >= PERIOD_MS)
        forget(s->agents, oldest);
}

void renewal_forget_all(struct agents *agents)
{
    while (agents->renewals)
        forget(agents, agents->renewals);
}

enum claim { CLAIMED, TAKEN, REFUSED };

/* Only one exchange at a time renews a credential. `always`: no forged message can have caused it. */
static enum claim claim(struct secure *s, struct credential *credential, bool always)
{
    struct renewal *renewal;

    s->number = credential->number;
    renewal = find(s);
    if (renewal && renewal->runner)
        return renewal->runner == s ? CLAIMED : TAKEN;
    if (s->renewals >= MAX_RENEWALS || (renewal && !always && now(s) - renewal->at < PERIOD_MS))
        return REFUSED;
    forget_old(s);
    renewal = find(s);
    if (renewal)
        forget(s->agents, renewal);
    renewal = calloc(1, sizeof *renewal);
    if (!renewal)
        return REFUSED;
    *renewal = (struct renewal){.number = s->number, .at = now(s), .runner = s};
    HASH_ADD(hh, s->agents->renewals, number, sizeof renewal->number, renewal);
    s->renewals++;
    return CLAIMED;
}

void renewal_end(struct secure *s)
{
    struct renewal *renewal = s->number ? find(s) : NULL;

    if (!renewal || renewal->runner != s)
        return;
    renewal->runner = NULL;
    list_each(node, &s->agents->secures)
    {
        struct secure *other = container_of(node, struct secure, node);

        if (other->phase == SECURE_WAITING && other->number == s->number)
            secure_resume_later(other);
    }
}

/* Takes a context of another ID Context into use for this exchange. */
static int derive(struct secure *s, const struct oscore_context *from, const void *id_context, size_t size)
{
    struct oscore_context *context;
    int r = oscore_context_rederive(&context, from, id_context, size, s->credential);

    if (r)
        return r;
    (void)oscore_context_free(s->derived);
    s->derived = context;
    (void)oscore_context_set_sequence(context, 0, NUMBERS);
    oscore_context_set_window(context, &(struct oscore_window){.known = true}); /* nobody can have used these keys */
    return 0;
}

void renewal_prepare_harmless(struct coapmsg *message)
{
    coapmsg_init(message, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_path(message, "/.well-known/core");
}

static void send_harmless(struct secure *s, enum secure_phase phase)
{
    struct coapmsg message;

    renewal_prepare_harmless(&message);
    if (s->echo_size)
        coapmsg_add(&message, COAPMSG_OPT_ECHO, s->echo, s->echo_size);
    secure_send_protected(s, s->derived, &message, OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED, phase);
}

static bool take_random(void *out, size_t size)
{
    return getrandom(out, size, 0) == (ssize_t)size;
}

static void derive_and_send(struct secure *s, const uint8_t *id_context, size_t size, enum secure_phase phase)
{
    s->echo_size = 0;
    if (derive(s, s->credential->context, id_context, size))
        secure_end(s, AGENT_LOCAL, "the new security context could not be derived");
    else
        send_harmless(s, phase);
}

bool renewal_begin(struct secure *s, struct credential *credential)
{
    uint8_t r1[SECURE_NONCE];

    switch (claim(s, credential, credential->state == CREDENTIAL_STALE)) {
    case REFUSED:
        return false;
    case TAKEN:
        s->phase = SECURE_WAITING;
        return true;
    case CLAIMED:
        break;
    }
    if (take_random(r1, sizeof r1))
        derive_and_send(s, r1, sizeof r1, SECURE_RENEWING);
    else
        secure_end(s, AGENT_LOCAL, "no random numbers for a new security context");
    return true;
}

bool renewal_take_r2(struct secure *s, const struct coapmsg *outer, const struct oscore_option *option)
{
    struct oscore_context *from = s->derived ? s->derived : s->credential->context, *context;
    const struct oscore_credentials *inputs = oscore_context_credentials(from);
    struct cborio_reader r = cborio_reader_init(option->kid_context, option->kid_context_size);
    struct secure_scratch *scratch = s->agents->scratch;
    uint8_t id_context[OSCORE_ID_CONTEXT_MAX];
    size_t size;
    const uint8_t *r2 = cborio_get_bytes(&r, &size);
    int result;

    if (s->exchange.lasts || s->r2_tries >= MAX_R2_TRIES || !cborio_ended(&r) || !size ||
        size + SECURE_NONCE > sizeof id_context || size + inputs->id_context_size > sizeof id_context)
        return false;
    s->r2_tries++;
    memcpy(id_context, r2, size);
    memcpy(id_context + size, inputs->id_context, inputs->id_context_size);
    if (oscore_context_rederive(&context, from, id_context, size + inputs->id_context_size, NULL))
        return false;
    result = oscore_unprotect_response(context, &s->binding, outer, &scratch->inner, scratch->in, sizeof scratch->in);
    (void)oscore_context_free(context);
    if (result || scratch->inner.code != COAPMSG_UNAUTHORIZED)
        return false;
    memcpy(s->r2, r2, size);
    s->r2_size = (uint8_t)size;
    return true;
}

void renewal_confirm(struct secure *s)
{
    uint8_t id_context[OSCORE_ID_CONTEXT_MAX];
    size_t size = s->r2_size;

    memcpy(id_context, s->r2, size);
    s->r2_size = 0;
    switch (claim(s, s->credential, true)) {
    case REFUSED:
        s->stage = SECURE_TRIED;
        secure_proceed(s);
        return;
    case TAKEN:
        s->phase = SECURE_WAITING;
        return;
    case CLAIMED:
        break;
    }
    if (take_random(id_context + size, SECURE_NONCE))
        derive_and_send(s, id_context, size + SECURE_NONCE, SECURE_CONFIRMING);
    else
        secure_end(s, AGENT_LOCAL, "no random numbers for a new security context");
}

void renewal_confirm_again(struct secure *s)
{
    send_harmless(s, SECURE_CONFIRMING);
}

static void on_stored(struct reservation *reservation, int result)
{
    struct secure *s = container_of(reservation, struct secure, reservation);

    exchange_stop(&s->exchange);                       /* secure_drop may have deferred it */
    if (result < 0 && !keyring_of_device(s->device)) { /* revoked meanwhile */
        secure_resume_later(s);
        return;
    }
    if (result < 0) {
        secure_end(s, AGENT_LOCAL, "the new security context could not be stored: %s", strerror(-result));
        return;
    }
    s->agents->stats.security.renewals++;
    renewal_end(s);
    s->stage = SECURE_TRY_ACTIVE;
    secure_proceed(s);
}

void renewal_store(struct secure *s)
{
    struct credential *credential = steal_pointer(s->credential);

    s->echo_size = 0;
    s->echoes = 0;
    s->phase = SECURE_STORING;
    s->reservation.done = on_stored;
    keyring_renew(s->agents->core, credential, steal_pointer(s->derived), &s->reservation);
}
