#include "oscore/context.h"
#include "oscore/sort.h"

#include <string.h>

#define HEADER_SIZE 4    /* of a CoAP message without a token */
#define INNER_MARGIN 128 /* what options may take more inside than outside: a split Proxy-Uri */
#define CBOR_BYTES 0x40
#define CBOR_BYTES_8 0x58 /* one byte of length follows */
#define CBOR_SHORT_MAX 23

/* A message on its way out. */
struct outgoing {
    struct oscore_context *context;
    struct coapmsg *to;
    struct space space; /* what is left of the caller's buffer */
    uint8_t *scratch;
    size_t scratch_size;
    const uint8_t *plaintext;
    size_t plaintext_size;
    struct oscore_option option; /* its parts may stand below */
    uint8_t piv[OSCORE_PIV_MAX], kid_context[2 + OSCORE_ID_CONTEXT_MAX];
    uint8_t nonce[CRYPTO_NONCE_MAX];
};

/*
 * Writes the plaintext (section 5.3): the code, then options and payload as in any message. So it is encoded as a
 * message without a token whose code moved to the end of the header.
 */
static int write_plaintext(struct outgoing *out, const struct coapmsg *from)
{
    struct coapmsg inner;
    size_t half = out->scratch_size / 2, length;
    struct space decoded = {out->scratch + half, half};
    int r;

    coapmsg_init(&inner, COAPMSG_CON, from->code);
    coapmsg_set_payload(&inner, from->payload, from->payload_size);
    r = sort_outgoing(from, &inner, out->to, &out->space, &decoded);
    if (r)
        return r;
    length = coapmsg_encode(&inner, out->scratch, half);
    if (length == 0)
        return OSCORE_E_LIMIT;
    out->scratch[HEADER_SIZE - 1] = from->code;
    out->plaintext = out->scratch + HEADER_SIZE - 1;
    out->plaintext_size = length - (HEADER_SIZE - 1);
    return 0;
}

/* The code says only whether proxies may hold the message as an observation (section 4.2). */
static uint8_t outer_code(const struct coapmsg *from)
{
    bool observe = coapmsg_find(from, COAPMSG_OPT_OBSERVE) != NULL;

    if (COAPMSG_CLASS(from->code) == 0)
        return observe ? COAPMSG_FETCH : COAPMSG_POST;
    return observe ? COAPMSG_CONTENT : COAPMSG_CHANGED;
}

/* All that can fail for the message's sake, before a sequence number is used up. */
static int prepare(struct outgoing *out, const struct coapmsg *from)
{
    size_t half = coapmsg_size(from) + INNER_MARGIN;
    int r;

    if (from->failed || half > CRYPTO_TEXT_MAX)
        return OSCORE_E_LIMIT;
    out->scratch_size = 2 * half;
    out->scratch = crypto_scratch(out->context->crypto, out->scratch_size);
    if (!out->scratch)
        return OSCORE_E_CRYPTO;
    coapmsg_init(out->to, from->type, outer_code(from));
    coapmsg_set_token(out->to, from->token, from->token_length);
    out->to->id = from->id;
    r = write_plaintext(out, from);
    if (r)
        return r;
    if (out->to->option_count == COAPMSG_MAX_OPTIONS ||
        out->space.left < OSCORE_OPTION_MAX + out->plaintext_size + out->context->aead->tag_size)
        return OSCORE_E_LIMIT;
    return 0;
}

/* The plain ID Context, or (Appendix B.2) as a CBOR byte string. */
static void set_kid_context(struct outgoing *out, unsigned flags)
{
    const struct oscore_credentials *credentials = &out->context->credentials;
    uint8_t size = credentials->id_context_size, head = 0;

    if (!(flags & OSCORE_WITH_KID_CONTEXT) || !credentials->has_id_context)
        return;
    if (flags & OSCORE_KID_CONTEXT_R2 && size > OSCORE_R2_SIZE)
        size = OSCORE_R2_SIZE;
    if (flags & OSCORE_KID_CONTEXT_WRAPPED && size > CBOR_SHORT_MAX) {
        out->kid_context[head++] = CBOR_BYTES_8;
        out->kid_context[head++] = size;
    } else if (flags & OSCORE_KID_CONTEXT_WRAPPED) {
        out->kid_context[head++] = (uint8_t)(CBOR_BYTES | size);
    }
    memcpy(out->kid_context + head, credentials->id_context, size);
    out->option.kid_context = out->kid_context;
    out->option.kid_context_size = (uint8_t)(head + size);
}

/* Takes a sequence number for the message's Partial IV and nonce. */
static int set_piv(struct outgoing *out)
{
    const struct oscore_credentials *credentials = &out->context->credentials;
    uint64_t number;
    int r = context_take_number(out->context, &number);

    if (r)
        return r;
    out->option.piv = out->piv;
    out->option.piv_size = context_put_piv(out->piv, number);
    context_nonce(out->context, credentials->sender_id, credentials->sender_id_size, out->piv, out->option.piv_size,
                  out->nonce);
    return 0;
}

/* Adds the option and seals the plaintext. */
static int finish(struct outgoing *out, const struct oscore_binding *request)
{
    struct oscore_context *context = out->context;
    uint8_t aad[CONTEXT_AAD_MAX], *value = out->space.at;
    struct crypto_text text = {.aead = context->aead,
                               .nonce = out->nonce,
                               .aad = aad,
                               .aad_size = context_aad(context, request, aad),
                               .in = out->plaintext,
                               .in_size = out->plaintext_size};
    size_t option_size = oscore_option_encode(&out->option, value);

    coapmsg_add(out->to, COAPMSG_OPT_OSCORE, space_take(&out->space, option_size), option_size);
    if (!crypto_seal(context->crypto, &context->sender, &text, out->space.at))
        return OSCORE_E_CRYPTO;
    coapmsg_set_payload(out->to, out->space.at, text.in_size + context->aead->tag_size);
    return 0;
}

static int protect_request(struct outgoing *out, const struct coapmsg *from, struct oscore_binding *binding)
{
    const struct oscore_credentials *credentials = &out->context->credentials;
    uint32_t observe;
    int r = set_piv(out);

    if (r)
        return r;
    out->option.kid = credentials->sender_id;
    out->option.kid_size = credentials->sender_id_size;
    *binding = (struct oscore_binding){.kid_size = credentials->sender_id_size, .piv_size = out->option.piv_size};
    memcpy(binding->kid, credentials->sender_id, sizeof binding->kid);
    memcpy(binding->piv, out->piv, sizeof binding->piv);
    memcpy(binding->nonce, out->nonce, sizeof binding->nonce);
    binding->has_nonce = true;
    binding->observe = coapmsg_get_uint(from, COAPMSG_OPT_OBSERVE, &observe) && observe == 0;
    return finish(out, binding);
}

/* The nonce of the request serves one response; all others need a Partial IV of their own (section 8.3), so that no
 * nonce is used twice. */
static int protect_response(struct outgoing *out, const struct coapmsg *from, bool own_piv,
                            struct oscore_binding *binding)
{
    int r;

    if (own_piv || binding->nonce_used || coapmsg_find(from, COAPMSG_OPT_OBSERVE)) {
        r = set_piv(out);
        if (r)
            return r;
    } else if (binding->has_nonce) {
        memcpy(out->nonce, binding->nonce, sizeof out->nonce);
    } else {
        context_nonce(out->context, binding->kid, binding->kid_size, binding->piv, binding->piv_size, out->nonce);
    }
    binding->nonce_used = true;
    return finish(out, binding);
}

static int protect(struct outgoing *out, bool request, const struct coapmsg *from, unsigned flags,
                   struct oscore_binding *binding)
{
    int r;

    if (!sort_code_is_right(from->code, request))
        return OSCORE_E_OPTION;
    r = prepare(out, from);
    set_kid_context(out, flags);
    if (!r)
        r = request ? protect_request(out, from, binding)
                    : protect_response(out, from, flags & OSCORE_WITH_PIV, binding);
    if (out->scratch)
        crypto_wipe(out->scratch, out->scratch_size);
    return r;
}

int oscore_protect_request(struct oscore_context *context, const struct coapmsg *from, unsigned flags,
                           struct oscore_binding *binding, struct coapmsg *to, uint8_t *buffer, size_t size)
{
    struct outgoing out = {.context = context, .to = to, .space = {buffer, size}};

    return protect(&out, true, from, flags, binding);
}

int oscore_protect_response(struct oscore_context *context, struct oscore_binding *binding, const struct coapmsg *from,
                            unsigned flags, struct coapmsg *to, uint8_t *buffer, size_t size)
{
    struct outgoing out = {.context = context, .to = to, .space = {buffer, size}};

    return protect(&out, false, from, flags, binding);
}
