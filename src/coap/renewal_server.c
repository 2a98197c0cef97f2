#include "coap/server_private.h"

#include <string.h>

/*
 * RFC 8613 Appendix B.2 as server. A first request is protected with a context derived from an ID Context that the
 * client chose; its answer, with one derived from R2 || that. A second request is protected with one derived from
 * R2 || R3, which becomes the credential's context. Nothing is stored between the two (proof.h).
 */

static struct proof_subject subject_of(const struct credential *credential)
{
    const struct oscore_credentials *c = oscore_context_credentials(credential->context);

    return (struct proof_subject){credential->number, c->has_id_context ? c->id_context : NULL, c->id_context_size};
}

static int64_t now(const struct server *server)
{
    return clock_monotonic_ms(server->options.clock);
}

/* The first answer: 4.01 under R2 || id1, with R2. */
static bool offer(struct inbound *in, const struct credential *credential, const void *id1, size_t size)
{
    struct server *server = in->server;
    struct proof_subject subject = subject_of(credential);
    uint8_t id2[OSCORE_ID_CONTEXT_MAX];
    struct oscore_context *context;
    struct coapmsg response, sealed;
    int r;

    if (PROOF_SIZE + size > sizeof id2 || !proof_make_r2(&server->proof, now(server), &subject, id2))
        return false;
    if (size)
        memcpy(id2 + PROOF_SIZE, id1, size);
    if (oscore_context_rederive(&context, credential->context, id2, PROOF_SIZE + size, NULL))
        return false;
    (void)oscore_context_set_sequence(context, 0, 1); /* nobody has derived it before */
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_UNAUTHORIZED);
    r = oscore_protect_response(context, &in->binding, &response,
                                OSCORE_WITH_PIV | OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED |
                                    OSCORE_KID_CONTEXT_R2,
                                &sealed, server->sealed, SERVER_MESSAGE_MAX);
    (void)oscore_context_free(context);
    if (r)
        return false;
    server->stats.renewals_offered++;
    inbound_deliver(in, &sealed);
    return true;
}

void renewal_offer(struct inbound *in, struct credential *credential)
{
    const struct oscore_credentials *c = oscore_context_credentials(credential->context);

    if (!limiter_take(&in->server->challenges, credential->number)) {
        in->server->stats.rate_limited++;
        inbound_drop(in, false);
        return;
    }
    if (!offer(in, credential, c->id_context, c->id_context_size))
        inbound_refuse(in, COAPMSG_UNAUTHORIZED, "Security context not found");
}

/* A context with this ID Context, when it opens the message; else NULL. */
static struct oscore_context *open_with_derived(struct inbound *in, struct credential *credential, const uint8_t *id,
                                                size_t size, const struct coapmsg *outer,
                                                const struct oscore_option *option, struct coapmsg *plain)
{
    static const struct oscore_window empty = {.known = true};
    struct oscore_context *context;

    if (oscore_context_rederive(&context, credential->context, id, size, credential))
        return NULL;
    oscore_context_set_window(context, &empty); /* nobody can have used it before */
    if (oscore_unprotect_request(context, outer, option, &in->binding, plain, in->server->plain, SERVER_MESSAGE_MAX) !=
        0)
        return oscore_context_free(context);
    return context;
}

static bool is_being_renewed(const struct server *server, const struct credential *credential)
{
    list_each(node, &server->held)
    {
        const struct inbound *in = container_of(node, struct inbound, node);

        if (in->is_renewing && in->credential == credential)
            return true;
    }
    return false;
}

static void on_renewed(struct reservation *reservation, int result)
{
    struct inbound *in = container_of(reservation, struct inbound, reservation);
    struct coapmsg request;

    in->is_renewing = false;
    if (result < 0 || coapmsg_decode(&request, in->message, in->message_size) != 0) {
        inbound_drop(in, false);
        return;
    }
    in->server->stats.renewals++;
    in->server->stats.protected_requests++;
    inbound_verified(in);
    server_dispatch(in, &request);
}

/* Takes the context over, and goes on with the request when that is durable. */
static void renew(struct inbound *in, struct credential *credential, struct oscore_context *context,
                  const struct coapmsg *plain)
{
    in->is_protected = true;
    if (is_being_renewed(in->server, credential) || !inbound_set_credential(in, credential) ||
        !inbound_hold(in, plain)) {
        (void)oscore_context_free(context);
        inbound_drop(in, false);
        return;
    }
    in->is_renewing = true;
    in->reservation.done = on_renewed;
    keyring_renew(in->server->core, credential, context, &in->reservation);
}

/* What the message is when it is this credential's: a second request, whose R2 is ours, or a first. */
static bool take_for(struct inbound *in, struct credential *credential, const uint8_t *id, size_t size,
                     const struct coapmsg *outer, const struct oscore_option *option)
{
    struct proof_subject subject = subject_of(credential);
    bool is_second = proof_check_r2(&in->server->proof, now(in->server), &subject, id, size);
    struct coapmsg plain;
    struct oscore_context *context = open_with_derived(in, credential, id, size, outer, option, &plain);

    if (!context)
        return false;
    if (is_second) {
        renew(in, credential, context, &plain);
        return true;
    }
    (void)oscore_context_free(context);
    return offer(in, credential, id, size);
}

bool renewal_take(struct inbound *in, const struct coapmsg *outer, const struct oscore_option *option)
{
    struct server *server = in->server;
    struct credential *credential = NULL;
    uint64_t peer = limiter_peer_key(incoming_peer(in->incoming));
    const uint8_t *id;
    size_t size;

    if (!unprotect_unwrap(option, &id, &size))
        return false;
    for (unsigned i = 0; i < SERVER_CANDIDATES; i++) {
        credential = keyring_find_oscore(server->core, option->kid, option->kid_size, NULL, 0, credential);
        if (!credential)
            return false;
        if (!limiter_take(&server->derivations, peer)) {
            server->stats.rate_limited++;
            inbound_drop(in, false);
            return true;
        }
        if (take_for(in, credential, id, size, outer, option))
            return true;
        server->stats.renewal_failures++;
    }
    return false;
}
