#include "coap/server_private.h"

#include "codec/cborio.h"
#include "core/telemetry.h"

/* Errors ---------------------------------------------------------------------------------------------------------- */

/* Answers with the unprotected error of RFC 8613 section 8.2. */
static void refuse(struct inbound *in, int error)
{
    struct server_stats *stats = &in->server->stats;

    switch (error) {
    case OSCORE_E_OPTION:
        stats->malformed_option++;
        inbound_refuse(in, COAPMSG_BAD_OPTION, "Failed to decode COSE");
        break;
    case OSCORE_E_CONTEXT:
        stats->unknown_context++;
        inbound_refuse(in, COAPMSG_UNAUTHORIZED, "Security context not found");
        break;
    case OSCORE_E_REPLAY:
        stats->replays++;
        inbound_refuse(in, COAPMSG_UNAUTHORIZED, "Replay detected");
        break;
    case OSCORE_E_DECRYPT:
        stats->decrypt_failures++;
        inbound_refuse(in, COAPMSG_BAD_REQUEST, "Decryption failed");
        break;
    case OSCORE_E_INNER:
    case OSCORE_E_LIMIT:
        stats->inner_malformed++;
        inbound_refuse(in, COAPMSG_BAD_REQUEST, "The protected message is malformed");
        break;
    default:
        log_error("a request could not be unprotected", "error", oscore_error_text(error), NULL);
        inbound_drop(in, false);
        break;
    }
}

/* What is authentic ----------------------------------------------------------------------------------------------- */

/* An authentic request of in->credential, which may take effect. */
static void take_fresh(struct inbound *in, const struct coapmsg *plain)
{
    in->server->stats.protected_requests++;
    inbound_verified(in);
    server_dispatch(in, plain);
}

/* Whether something may be sent that costs a sequence number, for a request that may be an old one. */
static bool may_send(struct inbound *in)
{
    if (limiter_take(&in->server->challenges, in->number))
        return true;
    in->server->stats.rate_limited++;
    inbound_drop(in, false);
    return false;
}

/* Telemetry that was taken before the gateway restarted, and whose answer was lost: that it comes again, or is sent by
 * somebody else, changes nothing. */
static void answer_again(struct inbound *in, const struct coapmsg *plain)
{
    struct coapmsg_block block;
    struct coapmsg response;

    if (!may_send(in))
        return;
    in->flags = OSCORE_WITH_PIV;
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CHANGED);
    if (coapmsg_get_block(plain, COAPMSG_OPT_BLOCK1, &block) == 0)
        coapmsg_add_block(&response, COAPMSG_OPT_BLOCK1, block);
    inbound_send(in, &response);
}

/* The window is not known: the request may be an old one. It has to be made again with an Echo, which shows that it is
 * not (Appendix B.1.2). */
static void challenge(struct inbound *in)
{
    struct server *server = in->server;
    struct coapmsg response;
    uint8_t echo[PROOF_SIZE];

    if (!may_send(in))
        return;
    if (!proof_make_echo(&server->proof, clock_monotonic_ms(server->options.clock), in->number, echo)) {
        inbound_drop(in, false);
        return;
    }
    server->stats.echo_challenges++;
    in->flags = OSCORE_WITH_PIV;
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_UNAUTHORIZED);
    coapmsg_add(&response, COAPMSG_OPT_ECHO, echo, sizeof echo);
    inbound_send(in, &response);
}

static void take_unsynchronized(struct inbound *in, const struct coapmsg *plain)
{
    struct server *server = in->server;
    const struct coapmsg_option *echo = coapmsg_find(plain, COAPMSG_OPT_ECHO);

    if (echo && proof_check_echo(&server->proof, clock_monotonic_ms(server->options.clock), in->number, echo->value,
                                 echo->length)) {
        oscore_context_synchronize(in->credential->context, &in->binding);
        take_fresh(in, plain);
        return;
    }
    server->stats.echo_failures += echo != NULL;
    if (core_knows_origin(server->core, telemetry_protected_origin(in)))
        answer_again(in, plain);
    else
        challenge(in);
}

/* Whose it is ----------------------------------------------------------------------------------------------------- */

/* The kid context that is looked for. */
struct kid_context {
    const uint8_t *value; /* NULL: none */
    size_t size;
};

/* 0 or OSCORE_UNSYNCHRONIZED with the credential whose context opened the message; else the error that tells most. */
static int open_with_any(struct inbound *in, const struct coapmsg *outer, const struct oscore_option *option,
                         struct kid_context where, struct coapmsg *plain, struct credential **found)
{
    struct server *server = in->server;
    struct credential *credential = NULL;
    int result = OSCORE_E_CONTEXT;

    for (unsigned i = 0; i < SERVER_CANDIDATES; i++) {
        int r;

        credential =
            keyring_find_oscore(server->core, option->kid, option->kid_size, where.value, where.size, credential);
        if (!credential)
            break;
        r = oscore_unprotect_request(credential->context, outer, option, &in->binding, plain, server->plain,
                                     SERVER_MESSAGE_MAX);
        *found = credential;
        if (r != OSCORE_E_REPLAY && r != OSCORE_E_DECRYPT)
            return r;
        credential->counters.replays += r == OSCORE_E_REPLAY;
        credential->counters.failures += r == OSCORE_E_DECRYPT;
        if (result != OSCORE_E_REPLAY)
            result = r;
    }
    return result;
}

/* The ID Context is in the message as it is or, by a peer that made it with Appendix B.2, as a CBOR byte string. */
static int open_message(struct inbound *in, const struct coapmsg *outer, const struct oscore_option *option,
                        struct coapmsg *plain, struct credential **found)
{
    struct kid_context where = {option->kid_context, option->kid_context_size};
    int r = open_with_any(in, outer, option, where, plain, found);

    if (r != OSCORE_E_CONTEXT || !unprotect_unwrap(option, &where.value, &where.size))
        return r;
    return open_with_any(in, outer, option, where, plain, found);
}

bool unprotect_unwrap(const struct oscore_option *option, const uint8_t **value, size_t *size)
{
    struct cborio_reader r = cborio_reader_init(option->kid_context, option->kid_context_size);

    if (!option->kid_context)
        return false;
    *value = cborio_get_bytes(&r, size);
    return cborio_ended(&r) && *size > 0;
}

static void unprotect(struct inbound *in, const struct coapmsg *outer)
{
    struct credential *credential = NULL;
    struct oscore_option option;
    struct coapmsg_block block;
    struct coapmsg plain;
    int r = oscore_message_option(outer, &option);

    if (r == 0 && (!option.piv || !option.kid))
        r = OSCORE_E_OPTION;
    /* We cut answers inside of the protection only, so nobody can ask for a later outer block. */
    if (r == 0 && coapmsg_get_block(outer, COAPMSG_OPT_BLOCK2, &block) == 0 && block.num > 0)
        r = OSCORE_E_OPTION;
    if (r == 0)
        r = open_message(in, outer, &option, &plain, &credential);
    if (r == OSCORE_E_CONTEXT && renewal_take(in, outer, &option))
        return;
    if (!credential || (r != 0 && r != OSCORE_UNSYNCHRONIZED)) {
        refuse(in, r);
        return;
    }
    if (credential->state == CREDENTIAL_STALE) {
        renewal_offer(in, credential);
        return;
    }
    in->is_protected = true;
    if (!inbound_set_credential(in, credential)) {
        in->server->stats.overloaded++;
        inbound_reply_text(in, COAPMSG_UNAVAILABLE, "");
    } else if (r == OSCORE_UNSYNCHRONIZED) {
        take_unsynchronized(in, &plain);
    } else {
        take_fresh(in, &plain);
    }
}

/* Outer blocks ---------------------------------------------------------------------------------------------------- */

/* The message that the blocks were made of: all options but those of the blocks. */
static void put_together(struct coapmsg *whole, const struct coapmsg *last, const struct block_exchange *blocks)
{
    coapmsg_init(whole, last->type, last->code);
    whole->id = last->id;
    coapmsg_set_token(whole, last->token, last->token_length);
    for (size_t i = 0; i < last->option_count; i++)
        if (last->options[i].number != COAPMSG_OPT_BLOCK1 && last->options[i].number != COAPMSG_OPT_SIZE1)
            coapmsg_add(whole, last->options[i].number, last->options[i].value, last->options[i].length);
    coapmsg_set_payload(whole, blocks->body, blocks->size);
}

/* A proxy may have cut the protected message (RFC 8613 section 4.1.3.4.2). Nobody has proven anything by then. */
void unprotect_take(struct inbound *in, const struct coapmsg *outer)
{
    struct block_server *outer_blocks = in->server->outer_blocks;
    struct block_exchange blocks = {.owned = NULL};
    struct coapmsg whole, response;

    if (!coapmsg_find(outer, COAPMSG_OPT_BLOCK1)) {
        unprotect(in, outer);
        return;
    }
    if (block_server_take(outer_blocks, limiter_peer_key(incoming_peer(in->incoming)) | 1, outer, &blocks, &response) ==
        BLOCK_SERVER_ANSWERED) {
        inbound_send(in, &response);
        return;
    }
    in->in_outer_blocks = true;
    in->outer_block = (struct coapmsg_block){blocks.block1.num, false, blocks.block1.szx};
    put_together(&whole, outer, &blocks);
    unprotect(in, &whole);
    block_exchange_end(&blocks);
}
