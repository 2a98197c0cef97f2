#include "oscore/context.h"

#include "codec/cborio.h"

#include <string.h>

#define SECRET_MIN 16 /* as strong as the weakest key that is derived from it */
#define INFO_MAX 64

const char *oscore_credentials_check(const struct oscore_credentials *credentials)
{
    const struct crypto_aead *aead = crypto_aead_find(credentials->algorithm);
    size_t id_max;

    if (!aead)
        return "The algorithm is not one of 1, 10, 24 and 30.";
    id_max = aead->nonce_size - 6u;
    if (credentials->secret_size < SECRET_MIN || credentials->secret_size > OSCORE_SECRET_MAX)
        return "A Master Secret has 16 to 64 bytes.";
    if (credentials->salt_size > OSCORE_SALT_MAX)
        return "A Master Salt has at most 32 bytes.";
    if (credentials->sender_id_size > id_max || credentials->recipient_id_size > id_max)
        return "Sender and Recipient ID have at most 7 bytes, with the algorithms 1 and 24 at most 6.";
    if (credentials->id_context_size > OSCORE_ID_CONTEXT_MAX)
        return "An ID Context has at most 32 bytes.";
    if (credentials->id_context_size && !credentials->has_id_context)
        return "An ID Context is given and said to be absent.";
    if (credentials->sender_id_size == credentials->recipient_id_size &&
        memcmp(credentials->sender_id, credentials->recipient_id, credentials->sender_id_size) == 0)
        return "Sender and Recipient ID must differ."; /* else both sides would use the same key and nonces */
    return NULL;
}

/* The info of section 3.2.1; returns its size. */
static size_t write_info(const struct oscore_credentials *credentials, const uint8_t *id, size_t id_size,
                         const char *type, size_t size, uint8_t out[INFO_MAX])
{
    struct cborio_writer w = cborio_writer_init(out, INFO_MAX);

    cborio_put_array(&w, 5);
    cborio_put_bytes(&w, id, id_size);
    if (credentials->has_id_context)
        cborio_put_bytes(&w, credentials->id_context, credentials->id_context_size);
    else
        cborio_put_null(&w);
    cborio_put_int(&w, credentials->algorithm);
    cborio_put_text(&w, type);
    cborio_put_uint(&w, size);
    return cborio_written(&w);
}

static bool derive(struct oscore_context *context, const uint8_t *id, size_t id_size, const char *type, uint8_t *out,
                   size_t size)
{
    const struct oscore_credentials *credentials = &context->credentials;
    uint8_t info[INFO_MAX];
    struct crypto_derivation from = {
        .secret = credentials->secret,
        .secret_size = credentials->secret_size,
        .salt = credentials->salt,
        .salt_size = credentials->salt_size,
        .info = info,
        .info_size = write_info(credentials, id, id_size, type, size, info),
    };

    return crypto_derive(context->crypto, &from, out, size);
}

int oscore_context_new(struct oscore_context **out, struct oscore_crypto *crypto,
                       const struct oscore_credentials *credentials, void *owner)
{
    struct oscore_context *context;
    const struct crypto_aead *aead;

    if (oscore_credentials_check(credentials))
        return OSCORE_E_OPTION;
    context = calloc(1, sizeof *context);
    if (!context)
        return OSCORE_E_CRYPTO;
    aead = crypto_aead_find(credentials->algorithm);
    context->credentials = *credentials;
    context->crypto = crypto;
    context->aead = aead;
    context->owner = owner;
    if (!derive(context, credentials->sender_id, credentials->sender_id_size, "Key", context->sender.bytes,
                aead->key_size) ||
        !derive(context, credentials->recipient_id, credentials->recipient_id_size, "Key", context->recipient.bytes,
                aead->key_size) ||
        !derive(context, NULL, 0, "IV", context->common_iv, aead->nonce_size)) {
        oscore_context_free(context);
        return OSCORE_E_CRYPTO;
    }
    *out = context;
    return 0;
}

int oscore_context_rederive(struct oscore_context **out, const struct oscore_context *from, const void *id_context,
                            size_t size, void *owner)
{
    struct oscore_credentials credentials = from->credentials;
    int r;

    if (size > OSCORE_ID_CONTEXT_MAX)
        return OSCORE_E_OPTION;
    credentials.has_id_context = true;
    credentials.id_context_size = (uint8_t)size;
    if (size)
        memcpy(credentials.id_context, id_context, size);
    r = oscore_context_new(out, from->crypto, &credentials, owner);
    crypto_wipe(&credentials, sizeof credentials);
    return r;
}

struct oscore_context *oscore_context_free(struct oscore_context *context)
{
    if (!context)
        return NULL;
    crypto_key_wipe(context->crypto, &context->sender);
    crypto_key_wipe(context->crypto, &context->recipient);
    crypto_wipe(context, sizeof *context);
    free(context);
    return NULL;
}

void *oscore_context_owner(const struct oscore_context *context)
{
    return context->owner;
}

const struct oscore_credentials *oscore_context_credentials(const struct oscore_context *context)
{
    return &context->credentials;
}

bool oscore_context_set_sequence(struct oscore_context *context, uint64_t next, uint64_t limit)
{
    if (next < context->sequence)
        return false;
    context->sequence = next < OSCORE_SEQUENCE_END ? next : OSCORE_SEQUENCE_END;
    context->limit = limit < OSCORE_SEQUENCE_END ? limit : OSCORE_SEQUENCE_END;
    return true;
}

uint64_t oscore_context_sequence(const struct oscore_context *context)
{
    return context->sequence;
}

uint64_t oscore_context_sequence_left(const struct oscore_context *context)
{
    return context->limit > context->sequence ? context->limit - context->sequence : 0;
}

int context_take_number(struct oscore_context *context, uint64_t *number)
{
    if (context->sequence >= OSCORE_SEQUENCE_END)
        return OSCORE_E_EXHAUSTED;
    if (context->sequence >= context->limit)
        return OSCORE_E_RESERVE;
    *number = context->sequence++;
    return 0;
}

void oscore_context_get_window(const struct oscore_context *context, struct oscore_window *out)
{
    *out = context->window;
}

void oscore_context_set_window(struct oscore_context *context, const struct oscore_window *window)
{
    context->window = *window;
}

bool context_is_fresh(const struct oscore_context *context, uint64_t number)
{
    const struct oscore_window *window = &context->window;
    uint64_t behind;

    if (!window->known || number > window->highest)
        return true;
    behind = window->highest - number;
    return behind < OSCORE_WINDOW && !(window->seen >> behind & 1);
}

void context_accept(struct oscore_context *context, uint64_t number)
{
    struct oscore_window *window = &context->window;
    uint64_t ahead;

    if (number <= window->highest) {
        window->seen |= UINT32_C(1) << (window->highest - number);
        return;
    }
    ahead = number - window->highest;
    window->seen = (ahead < OSCORE_WINDOW ? window->seen << ahead : 0) | 1;
    window->highest = number;
}

void oscore_context_synchronize(struct oscore_context *context, const struct oscore_binding *binding)
{
    uint64_t number = context_get_piv(binding->piv, binding->piv_size);

    if (!context->window.known) /* what is older may have been accepted before the window was lost */
        context->window = (struct oscore_window){.known = true, .highest = number, .seen = UINT32_MAX};
    else if (context_is_fresh(context, number))
        context_accept(context, number);
}

void context_nonce(const struct oscore_context *context, const uint8_t *id, size_t id_size, const uint8_t *piv,
                   size_t piv_size, uint8_t *out)
{
    size_t size = context->aead->nonce_size;

    memset(out, 0, size);
    out[0] = (uint8_t)id_size;
    if (id_size)
        memcpy(out + size - OSCORE_PIV_MAX - id_size, id, id_size);
    memcpy(out + size - piv_size, piv, piv_size);
    for (size_t i = 0; i < size; i++)
        out[i] ^= context->common_iv[i];
}

/* ["Encrypt0", h'', external_aad]; the strings are short enough that each has a head of one byte. */
size_t context_aad(const struct oscore_context *context, const struct oscore_binding *request,
                   uint8_t out[CONTEXT_AAD_MAX])
{
    static const uint8_t head[] = {0x83, 0x68, 'E', 'n', 'c', 'r', 'y', 'p', 't', '0', 0x40};
    struct cborio_writer w = cborio_writer_init(out + sizeof head + 1, CONTEXT_AAD_MAX - sizeof head - 1);

    memcpy(out, head, sizeof head);
    cborio_put_array(&w, 5);
    cborio_put_uint(&w, 1); /* oscore_version */
    cborio_put_array(&w, 1);
    cborio_put_int(&w, context->credentials.algorithm);
    cborio_put_bytes(&w, request->kid, request->kid_size);
    cborio_put_bytes(&w, request->piv, request->piv_size);
    cborio_put_bytes(&w, NULL, 0); /* no Class I options */
    out[sizeof head] = (uint8_t)(0x40 | w.used);
    return sizeof head + 1 + w.used;
}

uint8_t context_put_piv(uint8_t out[OSCORE_PIV_MAX], uint64_t number)
{
    uint8_t size = 1;

    while (size < OSCORE_PIV_MAX && number >> (8 * size))
        size++;
    for (uint8_t i = 0; i < size; i++)
        out[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
    return size;
}

uint64_t context_get_piv(const uint8_t *piv, size_t size)
{
    uint64_t number = 0;

    for (size_t i = 0; i < size; i++)
        number = number << 8 | piv[i];
    return number;
}
