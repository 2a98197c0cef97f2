#include "base/cursor.h"
#include "oscore/context.h"

#include <string.h>

/* Flag byte 000hknnn (section 6.1). */
#define FLAG_RESERVED 0xe0
#define FLAG_KID_CONTEXT 0x10
#define FLAG_KID 0x08
#define FLAG_PIV_SIZE 0x07
#define OPTION_VALUE_MAX 255

static const struct {
    uint8_t code;
    const char *text;
} errors[] = {
    [OSCORE_E_OPTION] = {COAPMSG_BAD_OPTION, "malformed OSCORE option or message"},
    [OSCORE_E_CONTEXT] = {COAPMSG_UNAUTHORIZED, "security context not found"},
    [OSCORE_E_REPLAY] = {COAPMSG_UNAUTHORIZED, "replay detected"},
    [OSCORE_E_DECRYPT] = {COAPMSG_BAD_REQUEST, "decryption failed"},
    [OSCORE_E_INNER] = {COAPMSG_BAD_REQUEST, "what was protected is not acceptable"},
    [OSCORE_UNSYNCHRONIZED] = {0, "replay window not known"},
    [OSCORE_E_UNPROTECTED] = {0, "not protected"},
    [OSCORE_E_STALE] = {0, "notification older than the last one"},
    [OSCORE_E_RESERVE] = {0, "no sequence number reserved"},
    [OSCORE_E_EXHAUSTED] = {0, "sequence numbers exhausted"},
    [OSCORE_E_LIMIT] = {0, "message too large"},
    [OSCORE_E_CRYPTO] = {0, "cryptographic library failed"},
};

const char *oscore_error_text(int error)
{
    if (error == 0)
        return "no error";
    return error > 0 && (size_t)error < array_size(errors) ? errors[error].text : "unknown error";
}

uint8_t oscore_error_code(int error)
{
    return error > 0 && (size_t)error < array_size(errors) ? errors[error].code : 0;
}

/* The shortest form, so that one number has one Partial IV. */
static bool piv_is_shortest(const struct oscore_option *option)
{
    return option->piv_size <= 1 || option->piv[0] != 0;
}

int oscore_option_decode(struct oscore_option *out, const void *value, size_t size)
{
    struct cursor c = cursor_init(value, size);
    uint8_t flags;

    memset(out, 0, sizeof *out);
    if (size == 0)
        return 0;
    flags = cursor_u8(&c);
    out->piv_size = flags & FLAG_PIV_SIZE;
    /* all flags zero is written as an empty value */
    if (size > OPTION_VALUE_MAX || flags == 0 || flags & FLAG_RESERVED || out->piv_size > OSCORE_PIV_MAX)
        return OSCORE_E_OPTION;
    if (out->piv_size)
        out->piv = cursor_take(&c, out->piv_size);
    if (flags & FLAG_KID_CONTEXT) {
        out->kid_context_size = cursor_u8(&c);
        out->kid_context = cursor_take(&c, out->kid_context_size);
    }
    if (flags & FLAG_KID) {
        out->kid_size = (uint8_t)cursor_left(&c);
        out->kid = cursor_take(&c, out->kid_size);
    }
    if (cursor_failed(&c) || cursor_left(&c) || !piv_is_shortest(out))
        return OSCORE_E_OPTION;
    return 0;
}

static uint8_t *put(uint8_t *out, const uint8_t *bytes, size_t size)
{
    if (size)
        memcpy(out, bytes, size);
    return out + size;
}

size_t oscore_option_encode(const struct oscore_option *option, uint8_t out[OSCORE_OPTION_MAX])
{
    uint8_t *to = out + 1;

    out[0] = (uint8_t)((option->kid_context ? FLAG_KID_CONTEXT : 0) | (option->kid ? FLAG_KID : 0) |
                       (option->piv ? option->piv_size : 0));
    if (out[0] == 0)
        return 0;
    if (option->piv)
        to = put(to, option->piv, option->piv_size);
    if (option->kid_context) {
        *to++ = option->kid_context_size;
        to = put(to, option->kid_context, option->kid_context_size);
    }
    if (option->kid)
        to = put(to, option->kid, option->kid_size);
    return (size_t)(to - out);
}

int oscore_message_option(const struct coapmsg *outer, struct oscore_option *out)
{
    const struct coapmsg_option *option = coapmsg_find(outer, COAPMSG_OPT_OSCORE);

    if (!option)
        return OSCORE_E_UNPROTECTED;
    if (coapmsg_find_next(outer, option) || outer->payload_size == 0)
        return OSCORE_E_OPTION;
    return oscore_option_decode(out, option->value, option->length);
}
