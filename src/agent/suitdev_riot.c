#include "agent/suitdev_plan.h"
#include "base/text.h"
#include "codec/cborio.h"
#include "codec/token.h"

#include <stdarg.h>
#include <string.h>

#define DIGEST_SIZE 32
#define SIGNATURE_SIZE 64
#define COSE_SIGN1_TAG 18
#define SHA256_OF_DRAFT 2 /* the algorithm's number in that draft */
#define NESTING_MAX 2     /* a sequence, and the alternatives in it */
#define SIGNED_MAX 128

enum { ENVELOPE_AUTHENTICATION = 2, ENVELOPE_MANIFEST = 3 };
enum { MANIFEST_VERSION = 1, MANIFEST_SEQUENCE, MANIFEST_COMMON, MANIFEST_INSTALL = 9, MANIFEST_VALIDATE };
enum { COMMON_COMPONENTS = 2, COMMON_COMMANDS = 4 };
enum {
    COMMAND_VENDOR = 1,
    COMMAND_CLASS = 2,
    COMMAND_IMAGE = 3,
    COMMAND_OFFSET = 5,
    COMMAND_COMPONENT = 12,
    COMMAND_TRY_EACH = 15,
    COMMAND_SET = 19,
    COMMAND_OVERRIDE = 20,
    COMMAND_FETCH = 21
};
enum {
    PARAMETER_VENDOR = 1,
    PARAMETER_CLASS = 2,
    PARAMETER_DIGEST = 3,
    PARAMETER_OFFSET = 5,
    PARAMETER_SIZE = 14,
    PARAMETER_URI = 21
};

/* A condition is what an alternative may fail with; anything else ends all. */
enum verdict { FINE, CONDITION, INVALID };

struct span {
    const uint8_t *data; /* NULL: not set */
    size_t size;
};

struct component {
    struct span vendor, class_id, digest, uri;
    uint64_t size, offset;
    bool has_size, has_offset, vendor_fits, class_fits, matched;
};

struct reading {
    struct suitdev_plan *plan;
    const struct suitdev_identity *identity;
    struct component components[SUITDEV_COMPONENTS];
    size_t current;
    unsigned nesting;
    char *reason;
    size_t reason_size;
};

printf_like(2, 3) static enum verdict refuse(const struct reading *r, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(r->reason, r->reason_size, format, ap);
    va_end(ap);
    return INVALID;
}

/* A key that is greater than the one before; both for maps whose keys the device takes in their order only. */
static bool next_key(struct cborio_reader *map, uint64_t *key)
{
    uint64_t before = *key;

    *key = cborio_get_uint(map, UINT32_MAX);
    return !cborio_failed(map) && *key > before;
}

/* Authentication --------------------------------------------------------------------------------------------------- */

/* What is signed (RFC 9052 section 4.4). Returns its size. */
static size_t write_signed(uint8_t out[SIGNED_MAX], const struct span *protected, const struct span *payload)
{
    struct cborio_writer w = cborio_writer_init(out, SIGNED_MAX);

    cborio_put_array(&w, 4);
    cborio_put_text(&w, "Signature1");
    cborio_put_bytes(&w, protected->data, protected->size);
    cborio_put_bytes(&w, NULL, 0);
    cborio_put_bytes(&w, payload->data, payload->size);
    return cborio_written(&w);
}

static bool is_signed_with(EVP_PKEY *key, const uint8_t *data, size_t size, const uint8_t *signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool fine = context && EVP_PKEY_is_a(key, "ED25519") && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, SIGNATURE_SIZE, data, size) == 1;

    EVP_MD_CTX_free(context);
    return fine;
}

/* [2, SHA-256]; false when it is anything else. */
static bool read_digest(const struct span *encoded, const uint8_t **digest)
{
    struct cborio_reader r = cborio_reader_init(encoded->data, encoded->size);
    size_t size;

    if (cborio_get_array(&r) != 2 || cborio_get_uint(&r, SHA256_OF_DRAFT) != SHA256_OF_DRAFT)
        return false;
    *digest = cborio_get_bytes(&r, &size);
    return cborio_ended(&r) && size == DIGEST_SIZE;
}

/* The COSE_Sign1 of the authentication. Fills in the digest that it attaches. */
static enum verdict read_sign1(const struct reading *r, struct cborio_reader in, const uint8_t **digest)
{
    static const uint8_t eddsa[] = {0xa1, 0x01, 0x27};
    struct span protected, payload, signature;
    uint8_t bytes[SIGNED_MAX];
    size_t size;

    if (cborio_get_tag(&in) != COSE_SIGN1_TAG || cborio_get_array(&in) != 4)
        return refuse(r, "the authentication is no tagged COSE_Sign1");
    protected.data = cborio_get_bytes(&in, &protected.size);
    if (cborio_get_map(&in) != 0)
        return refuse(r, "the unprotected header is not empty");
    payload.data = cborio_get_bytes(&in, &payload.size);
    signature.data = cborio_get_bytes(&in, &signature.size);
    if (!cborio_ended(&in) || signature.size != SIGNATURE_SIZE || !read_digest(&payload, digest))
        return refuse(r, "the COSE_Sign1 is malformed, or its digest is not attached");
    if (protected.size != sizeof eddsa || memcmp(protected.data, eddsa, sizeof eddsa) != 0)
        return refuse(r, "the signature is not of Ed25519");
    size = write_signed(bytes, &protected, &payload);
    if (!size || (r->identity->key && !is_signed_with(r->identity->key, bytes, size, signature.data)))
        return refuse(r, "the signature is not of the trusted key");
    return FINE;
}

static enum verdict read_authentication(const struct reading *r, struct cborio_reader in, const uint8_t **digest)
{
    if (cborio_get_array(&in) != 1)
        return refuse(r, "the authentication has not one block");
    return read_sign1(r, cborio_get_nested(&in), digest);
}

/* Conditions and directives ---------------------------------------------------------------------------------------- */

static struct component *current(struct reading *r)
{
    return &r->components[r->current];
}

static enum verdict compare(const struct reading *r, const struct span *id, const uint8_t own[16], const char *what,
                            bool *fits)
{
    if (!id->data || id->size != 16)
        return refuse(r, "the %s id is missing", what);
    *fits = memcmp(id->data, own, 16) == 0;
    if (*fits)
        return FINE;
    (void)refuse(r, "the %s id is another device's", what);
    return CONDITION;
}

static enum verdict compare_offset(struct reading *r)
{
    if (!current(r)->has_offset)
        return refuse(r, "the offset is missing");
    if (current(r)->offset == r->identity->offset)
        return FINE;
    (void)refuse(r, "the offset is not that of the slot that does not run");
    return CONDITION;
}

static enum verdict choose_component(struct reading *r, struct cborio_reader *in)
{
    r->current = (size_t)cborio_get_uint(in, r->plan->count - 1);
    return cborio_failed(in) ? refuse(r, "there is no such component") : FINE;
}

static bool take_bytes(struct cborio_reader *in, struct span *out)
{
    out->data = cborio_get_bytes(in, &out->size);
    return !cborio_failed(in);
}

static bool take_parameter(struct cborio_reader *in, struct component *c, uint64_t key)
{
    switch (key) {
    case PARAMETER_VENDOR:
        return take_bytes(in, &c->vendor);
    case PARAMETER_CLASS:
        return take_bytes(in, &c->class_id);
    case PARAMETER_DIGEST:
        return take_bytes(in, &c->digest);
    case PARAMETER_OFFSET:
        c->offset = cborio_get_uint(in, UINT32_MAX);
        c->has_offset = true;
        return !cborio_failed(in);
    case PARAMETER_SIZE:
        c->size = cborio_get_uint(in, UINT32_MAX);
        c->has_size = true;
        return !cborio_failed(in);
    case PARAMETER_URI:
        c->uri.data = (const uint8_t *)cborio_get_text(in, &c->uri.size);
        return !cborio_failed(in);
    default:
        return false;
    }
}

static enum verdict set_parameters(struct reading *r, struct cborio_reader *in)
{
    uint64_t key = 0;

    for (size_t n = cborio_get_map(in); n > 0; n--) {
        if (!next_key(in, &key))
            return refuse(r, "the keys of the parameters do not ascend");
        if (!take_parameter(in, current(r), key))
            return refuse(r, "parameter %llu is not known, or not of its type", (unsigned long long)key);
    }
    return FINE;
}

static enum verdict fetch(struct reading *r)
{
    struct component *c = current(r);
    struct suitdev_step *step = &r->plan->steps[r->current];
    const uint8_t *digest;

    if (!c->vendor_fits || !c->class_fits)
        return refuse(r, "it would fetch before it has compared vendor and class");
    if (step->fetches)
        return refuse(r, "it would fetch a component twice");
    if (!c->has_size || !c->uri.data || c->uri.size >= sizeof step->uri || !read_digest(&c->digest, &digest))
        return refuse(r, "size, URI or digest of what it would fetch is missing, or too long");
    step->fetches = true;
    step->size = c->size;
    memcpy(step->digest, digest, sizeof step->digest);
    memcpy(step->uri, c->uri.data, c->uri.size);
    step->uri[c->uri.size] = 0;
    return FINE;
}

static enum verdict match_image(struct reading *r)
{
    if (!r->plan->steps[r->current].fetches)
        return refuse(r, "it would verify what it has not fetched");
    current(r)->matched = true; /* once it is here; what does not match ends the update */
    return FINE;
}

static enum verdict run(struct reading *r, struct cborio_reader in);

static enum verdict try_each(struct reading *r, struct cborio_reader *in)
{
    enum verdict verdict = CONDITION;

    for (size_t n = cborio_get_array(in); n > 0; n--) {
        struct cborio_reader alternative = cborio_get_nested(in);

        if (verdict == CONDITION)
            verdict = run(r, alternative);
    }
    return cborio_failed(in) ? refuse(r, "an alternative is malformed") : verdict;
}

/* Those whose argument is the reporting policy. */
static enum verdict run_condition(struct reading *r, uint64_t command)
{
    struct component *c = current(r);

    switch (command) {
    case COMMAND_VENDOR:
        return compare(r, &c->vendor, r->identity->vendor, "vendor", &c->vendor_fits);
    case COMMAND_CLASS:
        return compare(r, &c->class_id, r->identity->class_id, "class", &c->class_fits);
    case COMMAND_OFFSET:
        return compare_offset(r);
    case COMMAND_IMAGE:
        return match_image(r);
    case COMMAND_FETCH:
        return fetch(r);
    default:
        return refuse(r, "command %llu is not known", (unsigned long long)command);
    }
}

static enum verdict run_command(struct reading *r, uint64_t command, struct cborio_reader *in)
{
    switch (command) {
    case COMMAND_COMPONENT:
        return choose_component(r, in);
    case COMMAND_TRY_EACH:
        return try_each(r, in);
    case COMMAND_SET:
    case COMMAND_OVERRIDE:
        return set_parameters(r, in);
    default:
        (void)cborio_get_uint(in, UINT32_MAX);
        if (cborio_failed(in))
            return refuse(r, "the reporting policy of command %llu is missing", (unsigned long long)command);
        return run_condition(r, command);
    }
}

/* A flat array: command, argument, command, argument. */
static enum verdict run(struct reading *r, struct cborio_reader in)
{
    size_t count = cborio_get_array(&in);
    enum verdict verdict = FINE;

    if (cborio_failed(&in) || count % 2 || r->nesting == NESTING_MAX)
        return refuse(r, "a sequence is no flat array of commands and arguments");
    r->nesting++;
    for (; count > 0 && verdict == FINE; count -= 2) {
        uint64_t command = cborio_get_uint(&in, UINT32_MAX);

        if (cborio_failed(&in))
            return refuse(r, "a command is no number");
        verdict = run_command(r, command, &in);
    }
    r->nesting--;
    return verdict == FINE && !cborio_ended(&in) ? refuse(r, "a sequence is malformed") : verdict;
}

/* The manifest ----------------------------------------------------------------------------------------------------- */

/* The segments of an identifier with dots between; one that is no text in hexadecimal. */
static enum verdict read_component(const struct reading *r, struct cborio_reader *in, char name[SUITDEV_NAME_SIZE])
{
    size_t used = 0, count = cborio_get_array(in);

    for (size_t i = 0; i < count; i++) {
        char hex[2 * SUITDEV_NAME_SIZE];
        size_t size;
        const uint8_t *segment = cborio_get_bytes(in, &size);
        bool is_text = segment && size && text_is_utf8(segment, size) && !memchr(segment, 0, size);
        int n;

        if (!segment || size < 1 || size >= SUITDEV_NAME_SIZE / 2)
            break;
        n = snprintf(name + used, SUITDEV_NAME_SIZE - used, "%s%.*s", i ? "." : "",
                     is_text ? (int)size : (int)(2 * size),
                     is_text ? (const char *)segment : text_hex(segment, size, hex));
        if (n < 0 || (used += (size_t)n) >= SUITDEV_NAME_SIZE)
            break;
        if (i + 1 == count)
            return FINE;
    }
    return refuse(r, "the identifier of a component is malformed, or too long");
}

static enum verdict read_components(struct reading *r, struct cborio_reader *in)
{
    r->plan->count = cborio_get_array(in);
    if (r->plan->count < 1 || r->plan->count > SUITDEV_COMPONENTS)
        return refuse(r, "it has no component, or more than %d", SUITDEV_COMPONENTS);
    for (size_t i = 0; i < r->plan->count; i++)
        if (read_component(r, in, r->plan->steps[i].name))
            return INVALID;
    return FINE;
}

static enum verdict read_common(struct reading *r, struct cborio_reader in)
{
    if (cborio_get_map(&in) != 2 || cborio_get_uint(&in, COMMON_COMPONENTS) != COMMON_COMPONENTS)
        return refuse(r, "the common part is no map of the keys 2 and 4");
    if (read_components(r, &in) != FINE)
        return INVALID;
    if (cborio_get_uint(&in, COMMON_COMMANDS) != COMMON_COMMANDS)
        return refuse(r, "the common part is no map of the keys 2 and 4");
    return run(r, cborio_get_nested(&in));
}

static enum verdict read_sequence(struct reading *r, struct cborio_reader *in)
{
    r->plan->sequence = cborio_get_uint(in, UINT32_MAX);
    if (cborio_failed(in))
        return refuse(r, "the sequence number is no number of 32 bits");
    if (r->plan->sequence <= r->identity->sequence)
        return refuse(r, "the sequence number %llu is not above %llu", (unsigned long long)r->plan->sequence,
                      (unsigned long long)r->identity->sequence);
    return FINE;
}

static enum verdict read_entry(struct reading *r, uint64_t key, struct cborio_reader *in)
{
    switch (key) {
    case MANIFEST_VERSION:
        return cborio_get_uint(in, UINT32_MAX) == 1 ? FINE : refuse(r, "the manifest is not of version 1");
    case MANIFEST_SEQUENCE:
        return read_sequence(r, in);
    case MANIFEST_COMMON:
        return read_common(r, cborio_get_nested(in));
    case MANIFEST_INSTALL:
    case MANIFEST_VALIDATE:
        return run(r, cborio_get_nested(in));
    default:
        return refuse(r, "key %llu of the manifest is not known", (unsigned long long)key);
    }
}

static enum verdict read_manifest(struct reading *r, struct cborio_reader in)
{
    unsigned seen = 0;
    uint64_t key = 0;

    for (size_t n = cborio_get_map(&in); n > 0; n--) {
        if (!next_key(&in, &key))
            return refuse(r, "the keys of the manifest do not ascend");
        if (seen < MANIFEST_COMMON && key != ++seen) /* what comes first makes the rest safe to run */
            return refuse(r, "version, sequence number or common part is missing");
        if (read_entry(r, key, &in) != FINE)
            return INVALID;
    }
    return cborio_ended(&in) && seen == MANIFEST_COMMON ? FINE : refuse(r, "the manifest is malformed");
}

static enum verdict check_steps(const struct reading *r)
{
    size_t fetches = 0;

    for (size_t i = 0; i < r->plan->count; i++) {
        fetches += r->plan->steps[i].fetches;
        if (r->plan->steps[i].fetches && !r->components[i].matched)
            return refuse(r, "it would not verify what it fetches");
    }
    return fetches ? FINE : refuse(r, "it fetches nothing");
}

static bool is_digest_of(const uint8_t *digest, const uint8_t *data, size_t size)
{
    uint8_t actual[DIGEST_SIZE];

    token_digest(data, size, NULL, 0, actual);
    return memcmp(actual, digest, sizeof actual) == 0;
}

/* The digest is of the manifest with its head, up to the end of the envelope. */
static enum verdict read_envelope(struct reading *r, const uint8_t *data, size_t size)
{
    struct cborio_reader in = cborio_reader_init(data, size), manifest;
    const uint8_t *digest = NULL;
    enum verdict verdict;
    size_t left;

    if (cborio_get_map(&in) != 2 || cborio_get_uint(&in, UINT32_MAX) != ENVELOPE_AUTHENTICATION)
        return refuse(r, "the envelope is no map of the keys 2 and 3");
    verdict = read_authentication(r, cborio_get_nested(&in), &digest);
    if (verdict != FINE)
        return verdict;
    if (cborio_get_uint(&in, UINT32_MAX) != ENVELOPE_MANIFEST)
        return refuse(r, "the envelope is no map of the keys 2 and 3");
    left = cursor_left(&in.cursor);
    manifest = cborio_get_nested(&in);
    if (!cborio_ended(&in))
        return refuse(r, "the envelope is malformed, or was cut off");
    if (!digest || !is_digest_of(digest, data + size - left, left))
        return refuse(r, "the digest is not that of the manifest");
    verdict = read_manifest(r, manifest);
    return verdict == FINE ? check_steps(r) : verdict;
}

int suitdev_read_riot(struct suitdev_plan *plan, const struct suitdev_identity *identity, const uint8_t *data,
                      size_t size, char *reason, size_t reason_size)
{
    struct reading r = {.plan = plan, .identity = identity, .reason = reason, .reason_size = reason_size};

    *plan = (struct suitdev_plan){.count = 0};
    if (size > SUITDEV_RIOT_MAX)
        (void)refuse(&r, "it has %zu bytes; the limit is %d", size, SUITDEV_RIOT_MAX);
    else if (read_envelope(&r, data, size) == FINE)
        return 0;
    return 1;
}
