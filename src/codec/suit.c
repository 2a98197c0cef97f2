#include "codec/suit.h"

#include "codec/cose.h"
#include "codec/suit_private.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define COMMON_COMMANDS                                                                                                \
    (SUIT_BIT(SUIT_CONDITION_VENDOR) | SUIT_BIT(SUIT_CONDITION_CLASS) | SUIT_BIT(SUIT_CONDITION_IMAGE_MATCH) |         \
     SUIT_BIT(SUIT_CONDITION_SLOT) | SUIT_BIT(SUIT_SET_COMPONENT_INDEX) | SUIT_BIT(SUIT_TRY_EACH) |                    \
     SUIT_BIT(SUIT_OVERRIDE_PARAMETERS) | SUIT_BIT(SUIT_FETCH))
#define COMMON_PARAMETERS                                                                                              \
    (SUIT_BIT(SUIT_VENDOR_ID) | SUIT_BIT(SUIT_CLASS_ID) | SUIT_BIT(SUIT_IMAGE_DIGEST) | SUIT_BIT(SUIT_SLOT) |          \
     SUIT_BIT(SUIT_IMAGE_SIZE) | SUIT_BIT(SUIT_URI))

static const struct suit_form forms[SUIT_DIALECT_COUNT] = {
    [SUIT_RIOT] =
        {
            .name = "riot",
            .max = SUIT_RIOT_MAX,
            .number_max = UINT32_MAX,
            .digest_algorithm = 2,
            .set_parameters = SUIT_SET_PARAMETERS,
            .commands = COMMON_COMMANDS | SUIT_BIT(SUIT_SET_PARAMETERS),
            .parameters = COMMON_PARAMETERS,
            .sections = {[SUIT_INSTALL] = 9, [SUIT_VALIDATE] = 10},
        },
    [SUIT_IETF] =
        {
            .name = "ietf",
            .max = SUIT_IETF_MAX,
            .number_max = INT64_MAX, /* as JSON has them */
            .digest_algorithm = -16,
            .set_parameters = SUIT_OVERRIDE_PARAMETERS,
            .commands = COMMON_COMMANDS | SUIT_BIT(SUIT_CONDITION_CONTENT) | SUIT_BIT(SUIT_CONDITION_ABORT) |
                        SUIT_BIT(SUIT_WRITE) | SUIT_BIT(SUIT_COPY) | SUIT_BIT(SUIT_INVOKE) |
                        SUIT_BIT(SUIT_CONDITION_DEVICE) | SUIT_BIT(SUIT_SWAP) | SUIT_BIT(SUIT_RUN_SEQUENCE),
            .parameters = COMMON_PARAMETERS | SUIT_BIT(SUIT_STRICT_ORDER) | SUIT_BIT(SUIT_SOFT_FAILURE) |
                          SUIT_BIT(SUIT_CONTENT) | SUIT_BIT(SUIT_SOURCE_COMPONENT) | SUIT_BIT(SUIT_INVOKE_ARGUMENTS) |
                          SUIT_BIT(SUIT_DEVICE_ID),
            .sections = {[SUIT_PAYLOAD_FETCH] = 16,
                         [SUIT_INSTALL] = 20,
                         [SUIT_VALIDATE] = 7,
                         [SUIT_LOAD] = 8,
                         [SUIT_INVOCATION] = 9},
            .severable = SUIT_BIT(16) | SUIT_BIT(20) | SUIT_BIT(23),
            .indexes_all = true,
        },
};

const struct suit_form *suit_form_of(enum suit_dialect dialect)
{
    return &forms[dialect];
}

int suit_refuse(char *reason, size_t reason_size, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(reason, reason_size, format, ap);
    va_end(ap);
    return 1;
}

bool suit_read_digest(struct cborio_reader *r, const struct suit_form *form, const uint8_t **digest)
{
    size_t size;

    if (cborio_get_array(r) != 2 || cborio_get_int(r) != form->digest_algorithm)
        return false;
    *digest = cborio_get_bytes(r, &size);
    return cborio_ended(r) && size == SUIT_DIGEST_SIZE;
}

bool suit_hash(const uint8_t *start, size_t size, uint8_t out[SUIT_DIGEST_SIZE])
{
    return EVP_Q_digest(NULL, "SHA256", NULL, start, size, out, NULL) == 1;
}

/* RFC 9562 section 5.5 */
static void make_uuid(const uint8_t space[16], const char *name, uint8_t out[16])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t hash[20] = {0};

    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) != 1 || EVP_DigestUpdate(ctx, space, 16) != 1 ||
        EVP_DigestUpdate(ctx, name, strlen(name)) != 1 || EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        memset(hash, 0, sizeof hash);
    EVP_MD_CTX_free(ctx);
    memcpy(out, hash, 16);
    out[6] = (out[6] & 0x0f) | 0x50;
    out[8] = (out[8] & 0x3f) | 0x80;
}

void suit_vendor_id(const char *domain, uint8_t out[16])
{
    static const uint8_t dns[16] = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                                    0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

    make_uuid(dns, domain, out);
}

void suit_class_id(const uint8_t vendor[16], const char *name, uint8_t out[16])
{
    make_uuid(vendor, name, out);
}

/* In RIOT's dialect the digest is the payload of each signature, in IETF's it stands before them. */
static int verify_one(const struct suit_manifest *m, const uint8_t *data, size_t size, EVP_PKEY *key)
{
    const struct suit_form *form = suit_form_of(m->dialect);
    struct cborio_reader payload;
    const uint8_t *digest;
    struct cose_sign1 message;
    char unused[128];

    if (cose_parse_sign1(&message, data, size, unused, sizeof unused))
        return 1;
    if (m->dialect == SUIT_IETF)
        return cose_verify_sign1(&message, key, m->digest_block, m->digest_block_size, NULL, 0);
    payload = cborio_reader_init(message.payload, message.payload_size);
    if (!message.tagged || !message.payload || !suit_read_digest(&payload, form, &digest) ||
        memcmp(digest, m->digest, SUIT_DIGEST_SIZE) != 0)
        return 1;
    return cose_verify_sign1(&message, key, NULL, 0, NULL, 0);
}

int suit_verify(const struct suit_manifest *manifest, EVP_PKEY *key, char *reason, size_t reason_size)
{
    struct cborio_reader r = cborio_reader_init(manifest->signatures, manifest->signatures_size);
    int result = 1;

    if (manifest->signature_count == 0)
        return suit_refuse(reason, reason_size, "The manifest is not signed.");
    if (!manifest->digest_matches)
        return suit_refuse(reason, reason_size, "What is signed is the digest of another manifest.");
    for (size_t i = 0; i < manifest->signature_count && result != 0; i++) {
        size_t size;
        const uint8_t *data = cborio_get_bytes(&r, &size);

        result = verify_one(manifest, data, size, key);
    }
    if (result == 0)
        return 0;
    if (manifest->dialect == SUIT_RIOT && cose_key_algorithm(key) != COSE_EDDSA)
        return suit_refuse(reason, reason_size, "RIOT takes Ed25519 keys only, and this is another one.");
    return suit_refuse(reason, reason_size, "No signature of the manifest is by this key.");
}
