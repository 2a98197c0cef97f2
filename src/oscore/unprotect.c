#include "oscore/context.h"
#include "oscore/sort.h"

#include <string.h>

#define HEADER_SIZE 4 /* of a CoAP message without a token */
#define VERSION_1 0x40
#define OBSERVE_SIZE 3 /* bytes of an Observe value (RFC 7641 section 2) */

/* A message on its way in. */
struct incoming {
    struct oscore_context *context;
    const struct coapmsg *from;
    struct coapmsg *to;
    struct space space; /* the caller's buffer */
};

/* Opens the ciphertext behind room for a header, so that it can be read as a message: 0, OSCORE_E_DECRYPT,
 * OSCORE_E_LIMIT or OSCORE_E_CRYPTO. */
static int open_payload(struct incoming *in, const struct oscore_binding *request, const uint8_t *nonce,
                        uint8_t **message, size_t *size)
{
    struct oscore_context *context = in->context;
    uint8_t aad[CONTEXT_AAD_MAX];
    struct crypto_text text = {.aead = context->aead,
                               .nonce = nonce,
                               .aad = aad,
                               .aad_size = context_aad(context, request, aad),
                               .in = in->from->payload,
                               .in_size = in->from->payload_size};
    size_t tag = context->aead->tag_size;

    if (text.in_size <= tag || text.in_size - tag > CRYPTO_TEXT_MAX)
        return OSCORE_E_DECRYPT;
    *size = HEADER_SIZE - 1 + text.in_size - tag;
    *message = space_take(&in->space, *size);
    if (!*message)
        return OSCORE_E_LIMIT;
    return crypto_open(context->crypto, &context->recipient, &text, *message + HEADER_SIZE - 1);
}

/* Reads what was authenticated; its code (section 5.3) moves to its place in the header. */
static int read_message(struct incoming *in, bool request, uint8_t *message, size_t size)
{
    const struct coapmsg *from = in->from;
    int r;

    message[0] = VERSION_1;
    message[1] = message[HEADER_SIZE - 1];
    message[2] = message[3] = 0;
    r = coapmsg_decode(in->to, message, size);
    if (r)
        return r == COAPMSG_E_LIMIT ? OSCORE_E_LIMIT : OSCORE_E_INNER;
    if (!sort_code_is_right(in->to->code, request) || coapmsg_find(in->to, COAPMSG_OPT_OSCORE))
        return OSCORE_E_INNER;
    in->to->type = from->type;
    in->to->id = from->id;
    coapmsg_set_token(in->to, from->token, from->token_length);
    return sort_incoming(from, in->to, &in->space);
}

static void bind_request(struct oscore_binding *binding, const struct oscore_context *context,
                         const struct oscore_option *option)
{
    memset(binding, 0, sizeof *binding);
    binding->kid_size = context->credentials.recipient_id_size;
    memcpy(binding->kid, context->credentials.recipient_id, sizeof binding->kid);
    binding->piv_size = option->piv_size;
    memcpy(binding->piv, option->piv, option->piv_size);
}

static bool is_kid(const struct oscore_context *context, const uint8_t *kid, size_t size)
{
    const struct oscore_credentials *credentials = &context->credentials;

    return size == credentials->recipient_id_size && memcmp(kid, credentials->recipient_id, size) == 0;
}

int oscore_unprotect_request(struct oscore_context *context, const struct coapmsg *from,
                             const struct oscore_option *option, struct oscore_binding *binding, struct coapmsg *to,
                             uint8_t *buffer, size_t size)
{
    struct incoming in = {.context = context, .from = from, .to = to, .space = {buffer, size}};
    uint8_t nonce[CRYPTO_NONCE_MAX], *message;
    size_t message_size;
    uint32_t observe;
    uint64_t number;
    int r;

    if (!option->piv || !option->kid || !sort_code_is_right(from->code, true))
        return OSCORE_E_OPTION;
    if (!is_kid(context, option->kid, option->kid_size))
        return OSCORE_E_CONTEXT;
    number = context_get_piv(option->piv, option->piv_size);
    if (!context_is_fresh(context, number))
        return OSCORE_E_REPLAY;
    bind_request(binding, context, option);
    context_nonce(context, binding->kid, binding->kid_size, binding->piv, binding->piv_size, nonce);
    memcpy(binding->nonce, nonce, sizeof binding->nonce);
    binding->has_nonce = true;
    r = open_payload(&in, binding, nonce, &message, &message_size);
    if (r)
        return r;
    if (context->window.known)
        context_accept(context, number); /* authentic: from here on it is used up, whatever it says */
    r = read_message(&in, true, message, message_size);
    if (r)
        return r;
    binding->observe = coapmsg_get_uint(to, COAPMSG_OPT_OBSERVE, &observe) && observe == 0;
    /* the same request may have been answered with its nonce before the window was lost */
    binding->nonce_used = !context->window.known;
    return context->window.known ? 0 : OSCORE_UNSYNCHRONIZED;
}

/* Whether a response to an observation comes after the last one (section 7.4.1). Only a first one may have no number.
 */
static bool is_next(const struct oscore_binding *binding, const struct oscore_option *option)
{
    if (!binding->observe)
        return true;
    return option->piv ? context_get_piv(option->piv, option->piv_size) >= binding->next_piv : !binding->notified;
}

static void note_response(struct oscore_binding *binding, const struct oscore_option *option)
{
    binding->notified = true;
    if (option->piv)
        binding->next_piv = context_get_piv(option->piv, option->piv_size) + 1;
}

/* For those who order notifications by RFC 7641, they get the end of their Partial IV as number (section 4.1.3.5.2). */
static int number_notification(struct incoming *in, const struct oscore_option *option)
{
    size_t size = option->piv_size < OBSERVE_SIZE ? option->piv_size : OBSERVE_SIZE;
    const struct coapmsg_option *observe = coapmsg_find(in->to, COAPMSG_OPT_OBSERVE);
    uint8_t *value;

    if (!observe || !option->piv)
        return 0;
    value = space_take(&in->space, size);
    if (!value)
        return OSCORE_E_LIMIT;
    memcpy(value, option->piv + option->piv_size - size, size);
    in->to->options[observe - in->to->options].value = value;
    in->to->options[observe - in->to->options].length = (uint16_t)size;
    return 0;
}

int oscore_unprotect_response(struct oscore_context *context, struct oscore_binding *binding,
                              const struct coapmsg *from, struct coapmsg *to, uint8_t *buffer, size_t size)
{
    struct incoming in = {.context = context, .from = from, .to = to, .space = {buffer, size}};
    const struct oscore_credentials *credentials = &context->credentials;
    uint8_t nonce[CRYPTO_NONCE_MAX], *message;
    struct oscore_option option;
    size_t message_size;
    int r = oscore_message_option(from, &option);

    if (r)
        return r;
    if (!sort_code_is_right(from->code, false))
        return OSCORE_E_OPTION;
    if (option.kid && !is_kid(context, option.kid, option.kid_size))
        return OSCORE_E_CONTEXT;
    if (!is_next(binding, &option))
        return OSCORE_E_STALE;
    if (option.piv)
        context_nonce(context, credentials->recipient_id, credentials->recipient_id_size, option.piv, option.piv_size,
                      nonce);
    else if (binding->has_nonce)
        memcpy(nonce, binding->nonce, sizeof nonce);
    else
        context_nonce(context, binding->kid, binding->kid_size, binding->piv, binding->piv_size, nonce);
    r = open_payload(&in, binding, nonce, &message, &message_size);
    if (!r)
        r = read_message(&in, false, message, message_size);
    if (r)
        return r;
    if (!binding->observe && coapmsg_find(to, COAPMSG_OPT_OBSERVE))
        return OSCORE_E_INNER; /* section 4.1.3.5.2 */
    r = number_notification(&in, &option);
    if (!r)
        note_response(binding, &option);
    return r;
}
