#include "tcgw/metadata.h"

#include "base/cleanup.h"
#include "codec/token.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum token_index { TOKEN_MASK, TOKEN_DATA, TOKEN_CODE, TOKEN_METADATA, TOKEN_COUNT };

struct parse {
    struct metadata *md;
    struct token tokens[TOKEN_COUNT];
    char *reason;
    size_t reason_size;
};

printf_like(2, 3) static int refuse(struct parse *p, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(p->reason, p->reason_size, format, ap);
    va_end(ap);
    return 1;
}

/* Takes the key of a map's next entry and notes it in *seen; 0 when it is out of range, no number, or there twice. */
static unsigned take_key(struct cborio_reader *r, unsigned max, unsigned *seen)
{
    unsigned key = (unsigned)cborio_get_uint(r, max);

    if (cborio_failed(r) || *seen & 1u << key)
        return 0;
    *seen |= 1u << key;
    return key;
}

/* Takes a byte string as text with a NUL; false for 0 or more than METADATA_UID_MAX bytes, or a NUL among them. */
static bool take_uid(struct cborio_reader *r, char out[METADATA_UID_MAX + 1], size_t *length)
{
    size_t size;
    const uint8_t *bytes = cborio_get_bytes(r, &size);

    if (!bytes || size < 1 || size > METADATA_UID_MAX || memchr(bytes, 0, size))
        return false;
    memcpy(out, bytes, size);
    out[size] = 0;
    if (length)
        *length = size;
    return true;
}

static bool take_token(struct cborio_reader *r, int64_t claim, struct token *token)
{
    size_t size;
    const uint8_t *bytes = cborio_get_bytes(r, &size);

    return bytes && token_parse(bytes, size, claim, token);
}

/* A hash token has one length only, because the agent finds the last one by counting back from the end. */
static bool take_hash_token(struct cborio_reader *r, struct token *token)
{
    size_t before = cursor_left(&r->cursor);

    return take_token(r, TOKEN_CLAIM_DIGEST, token) && token->value_size == METADATA_DIGEST_SIZE &&
           before - cursor_left(&r->cursor) == 2 + METADATA_TOKEN_SIZE;
}

static int take_mask(struct parse *p, struct cborio_reader *r)
{
    struct token *token = &p->tokens[TOKEN_MASK];

    if (!take_token(r, TOKEN_CLAIM_MASK, token))
        return refuse(p, "the system-call mask (1.3) is not a token with the claim %d", TOKEN_CLAIM_MASK);
    if (token->value_size > TOKEN_MASK_MAX)
        return refuse(p, "the system-call mask has %zu bytes, at most %d are allowed", token->value_size,
                      TOKEN_MASK_MAX);
    p->md->syscall_mask = 0;
    for (size_t i = 0; i < token->value_size; i++)
        p->md->syscall_mask = p->md->syscall_mask << 8 | token->value[i];
    return 0;
}

static int take_container_entry(struct parse *p, struct cborio_reader *r, unsigned key)
{
    switch (key) {
    case 1:
        return take_uid(r, p->md->uid, &p->md->uid_length)
                   ? 0
                   : refuse(p, "the uid (1.1) is not a byte string of 1 to %d bytes without zero bytes",
                            METADATA_UID_MAX);
    case 2:
        p->md->type = (enum container_type)cborio_get_uint(r, CONTAINER_TYPE_SUIT - 1);
        return cborio_failed(r)
                   ? refuse(p, "the container type (1.2) is not a number from 0 to %d", CONTAINER_TYPE_COUNT - 1)
                   : 0;
    case 3:
        return take_mask(p, r);
    default:
        return refuse(p, "the container part (1) has a key that is unknown, no number, or there twice");
    }
}

static int take_container(struct parse *p, struct cborio_reader r)
{
    unsigned seen = 0;

    for (size_t n = cborio_get_map(&r); n > 0; n--)
        if (take_container_entry(p, &r, take_key(&r, 3, &seen)))
            return 1;
    if (!cborio_ended(&r))
        return refuse(p, "the container part (1) is not one map in a byte string");
    if (seen != 0xe)
        return refuse(p, "the container part (1) needs uid (1), type (2) and system-call mask (3)");
    return 0;
}

static bool take_endpoint_entry(struct cborio_reader *r, unsigned key, struct container_endpoint *e)
{
    switch (key) {
    case 1:
        e->id = (uint32_t)cborio_get_uint(r, UINT32_MAX);
        break;
    case 2:
        e->peer = (enum endpoint_peer)cborio_get_uint(r, ENDPOINT_PEER_REMOTE);
        break;
    case 3:
        return take_uid(r, e->peer_uid, NULL);
    case 4:
        e->peer_endpoint = (uint32_t)cborio_get_uint(r, UINT32_MAX);
        break;
    case 5:
        e->direction = (enum endpoint_direction)cborio_get_uint(r, ENDPOINT_BOTH);
        break;
    default:
        return false;
    }
    return !cborio_failed(r);
}

static int take_endpoint(struct parse *p, struct cborio_reader *r, size_t index)
{
    struct container_endpoint *e = &p->md->endpoints[index];
    unsigned seen = 0, key;

    *e = (struct container_endpoint){0};
    for (size_t n = cborio_get_map(r); n > 0; n--) {
        key = take_key(r, 5, &seen);
        if (!take_endpoint_entry(r, key, e))
            return key ? refuse(p, "endpoint %zu (2): the value of key %u has a wrong type or range", index, key)
                       : refuse(p, "endpoint %zu (2) has a key that is unknown, no number, or there twice", index);
    }
    if (cborio_failed(r))
        return refuse(p, "endpoint %zu (2) is not a map", index);
    if ((seen & 0x36) != 0x36)
        return refuse(p, "endpoint %zu (2) needs id (1), peer type (2), peer endpoint (4) and direction (5)", index);
    if (e->peer == ENDPOINT_PEER_CONTAINER && !e->peer_uid[0])
        return refuse(p, "endpoint %zu (2) has a container as its peer, but no peer uid (3)", index);
    for (size_t i = 0; i < index; i++)
        if (p->md->endpoints[i].id == e->id)
            return refuse(p, "endpoints %zu and %zu (2) have the same id", i, index);
    return 0;
}

static int take_endpoints(struct parse *p, struct cborio_reader r)
{
    size_t count = cborio_get_array(&r);

    if (count > METADATA_MAX_ENDPOINTS)
        return refuse(p, "there are %zu endpoints, at most %d are allowed", count, METADATA_MAX_ENDPOINTS);
    for (size_t i = 0; i < count; i++)
        if (take_endpoint(p, &r, i))
            return 1;
    if (!cborio_ended(&r))
        return refuse(p, "the endpoints (2) are not one array in a byte string");
    p->md->endpoint_count = count;
    return 0;
}

static int take_security(struct parse *p, struct cborio_reader r)
{
    static const char *const names[TOKEN_COUNT] = {"mask", "data", "code", "metadata"};
    struct container_limits *limits = &p->md->limits;
    uint32_t *const numbers[] = {&limits->start_max_duration, &limits->loop_period, &limits->loop_max_duration,
                                 &limits->loop_max_lifetime, &limits->stop_max_duration};

    if (cborio_get_array(&r) != array_size(numbers) + 3)
        return refuse(p, "the security part (3) is not an array of five limits and three tokens");
    for (size_t i = 0; i < array_size(numbers); i++)
        *numbers[i] = (uint32_t)cborio_get_uint(&r, UINT32_MAX);
    if (cborio_failed(&r))
        return refuse(p, "a limit in the security part (3) is not a number of 32 bits");
    for (unsigned i = TOKEN_DATA; i < TOKEN_COUNT; i++)
        if (!take_hash_token(&r, &p->tokens[i]))
            return refuse(p, "the %s token in the security part (3) is not a token of %d bytes with a SHA-256",
                          names[i], METADATA_TOKEN_SIZE);
    return cborio_ended(&r) ? 0 : refuse(p, "bytes follow the array of the security part (3)");
}

static int take_parts(struct parse *p, struct cborio_reader *r)
{
    unsigned seen = 0;
    int bad = 0;

    for (size_t n = cborio_get_map(r); n > 0 && !bad; n--) {
        unsigned key = take_key(r, 3, &seen);
        struct cborio_reader part = cborio_get_nested(r);

        if (key == 0 || cborio_failed(r))
            return refuse(p, "the metadata has a key that is unknown or there twice, or a part that is no byte string");
        bad = key == 1 ? take_container(p, part) : key == 2 ? take_endpoints(p, part) : take_security(p, part);
    }
    if (bad)
        return 1;
    if (!cborio_ended(r))
        return refuse(p, "the metadata is not one map, or bytes follow it");
    if (seen != 0xe)
        return refuse(p, "the metadata needs the parts container (1), endpoints (2) and security (3)");
    return 0;
}

static void digest_input(const uint8_t *input, size_t size, struct metadata_tokens *out)
{
    static const uint8_t zeros[METADATA_TOKEN_SIZE];
    size_t covered = size - METADATA_TOKEN_SIZE;

    token_digest(input, covered, NULL, 0, out->covered_digest);
    token_digest(input, covered, zeros, sizeof zeros, out->zeroed_digest);
}

static void copy_tokens(const struct parse *p, struct metadata_tokens *out)
{
    for (size_t i = 0; i < TOKEN_COUNT; i++) {
        out->claims[i] = p->tokens[i].claims;
        out->claims_size[i] = p->tokens[i].claims_size;
        out->signatures[i] = p->tokens[i].signature;
    }
    memcpy(out->data_digest, p->tokens[TOKEN_DATA].value, METADATA_DIGEST_SIZE);
    memcpy(out->code_digest, p->tokens[TOKEN_CODE].value, METADATA_DIGEST_SIZE);
    memcpy(out->metadata_digest, p->tokens[TOKEN_METADATA].value, METADATA_DIGEST_SIZE);
}

int metadata_parse(const void *input, size_t size, struct metadata *md, struct metadata_tokens *tokens, char *reason,
                   size_t reason_size)
{
    struct parse p = {.md = md, .reason = reason, .reason_size = reason_size};
    struct cborio_reader r = cborio_reader_init(input, size);
    const uint8_t *end = (const uint8_t *)input + size;

    *md = (struct metadata){0};
    if (size > METADATA_MAX_SIZE)
        return refuse(&p, "the metadata has %zu bytes, at most %d are allowed", size, METADATA_MAX_SIZE);
    if (cborio_get_tag(&r) != METADATA_TAG)
        return refuse(&p, "the metadata does not begin with the CBOR tag %llu", METADATA_TAG);
    if (take_parts(&p, &r))
        return 1;
    /* The agent takes the last 111 bytes for the metadata token without looking where it stands. */
    if (p.tokens[TOKEN_METADATA].signature + METADATA_SIGNATURE_SIZE != end)
        return refuse(&p, "the metadata token is not at the end, so that nothing says what it covers");
    if (tokens) {
        copy_tokens(&p, tokens);
        digest_input(input, size, tokens);
    }
    return 0;
}
