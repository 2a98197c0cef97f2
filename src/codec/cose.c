#include "codec/cose.h"

#include "codec/cborio.h"

#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#define TAG_SIGN1 18
#define SIGNATURE_SIZE 64 /* of both algorithms: R and S of 32 bytes each */
#define INTEGER_SIZE (SIGNATURE_SIZE / 2)
#define DER_MAX 80          /* an ECDSA-Sig-Value of P-256 takes at most 72 */
#define HEADS_MAX 64        /* room for the CBOR heads of a message or a Sig_structure, and its fixed content */
#define HEADER_PAIRS_MAX 32 /* parameters in a header */
#define KID_MAX 64          /* bytes */
#define PROVIDER_QUERY_MAX 64
#define CRITICAL_LABELS_MAX 8

/* RFC 9052 section 3.1 */
enum { HEADER_ALGORITHM = 1, HEADER_CRITICAL, HEADER_CONTENT_TYPE, HEADER_KID };

printf_like(3, 4) static int refuse(char *reason, size_t reason_size, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(reason, reason_size, format, ap);
    va_end(ap);
    ERR_clear_error();
    return 1;
}

/* Keys ------------------------------------------------------------------------------------------------------------ */

static bool is_p256(const EVP_PKEY *key)
{
    char group[32] = "";

    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           (strcasecmp(group, "prime256v1") == 0 || strcasecmp(group, "P-256") == 0);
}

int64_t cose_key_algorithm(const EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "ED25519"))
        return COSE_EDDSA;
    return is_p256(key) ? COSE_ES256 : 0;
}

bool cose_is_algorithm_of(int64_t algorithm, const EVP_PKEY *key)
{
    switch (cose_key_algorithm(key)) {
    case COSE_EDDSA:
        return algorithm == COSE_EDDSA || algorithm == COSE_ED25519;
    case COSE_ES256:
        return algorithm == COSE_ES256 || algorithm == COSE_ES256_ESP;
    default:
        return false;
    }
}

int cose_key_id(EVP_PKEY *key, uint8_t out[8])
{
    uint8_t *der = NULL, digest[32];
    int size = i2d_PUBKEY(key, &der);
    bool good = size > 0 && EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)size, digest, NULL) == 1;

    OPENSSL_free(der);
    ERR_clear_error();
    if (!good)
        return -EINVAL;
    memcpy(out, digest, 8);
    return 0;
}

/* Parsing --------------------------------------------------------------------------------------------------------- */

/* Section 3.1: crit holds labels that must be understood. */
static bool is_critical_understood(struct cborio_reader *r)
{
    size_t count = cborio_get_array(r);

    if (count == 0 || count > CRITICAL_LABELS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t label = cborio_get_int(r);

        if (cborio_failed(r) || label < HEADER_ALGORITHM || label > HEADER_KID)
            return false;
    }
    return true;
}

static int read_known(struct cborio_reader *r, int64_t label, bool is_protected, struct cose_sign1 *out, char *reason,
                      size_t reason_size)
{
    switch (label) {
    case HEADER_ALGORITHM:
        if (cborio_peek(r) == CBORIO_TEXT) /* none that has a name is known here */
            cborio_skip(r);
        else
            out->algorithm = cborio_get_int(r);
        return 0;
    case HEADER_CRITICAL:
        if (!is_protected || !is_critical_understood(r))
            return refuse(reason, reason_size, "The COSE header has critical parameters that are not understood.");
        return 0;
    case HEADER_KID:
        out->kid = cborio_get_bytes(r, &out->kid_size);
        if (out->kid_size > KID_MAX)
            return refuse(reason, reason_size, "The COSE key id is longer than %d bytes.", KID_MAX);
        return 0;
    default:
        cborio_skip(r);
        return 0;
    }
}

/* No label may occur twice, not even once in each of the two headers. */
static int read_header(struct cborio_reader *r, bool is_protected, unsigned *seen, struct cose_sign1 *out, char *reason,
                       size_t reason_size)
{
    size_t pairs = cborio_get_map(r);

    if (pairs > HEADER_PAIRS_MAX)
        return refuse(reason, reason_size, "The COSE header has more than %d parameters.", HEADER_PAIRS_MAX);
    for (size_t i = 0; i < pairs && !cborio_failed(r); i++) {
        int64_t label = 0;

        if (cborio_peek(r) == CBORIO_TEXT)
            cborio_skip(r);
        else
            label = cborio_get_int(r);
        if (label >= HEADER_ALGORITHM && label <= HEADER_KID) {
            if (*seen & 1U << label)
                return refuse(reason, reason_size, "The COSE header parameter %d occurs twice.", (int)label);
            *seen |= 1U << label;
        }
        if (read_known(r, label, is_protected, out, reason, reason_size))
            return 1;
    }
    return 0;
}

static int read_protected(struct cborio_reader *r, unsigned *seen, struct cose_sign1 *out, char *reason,
                          size_t reason_size)
{
    struct cborio_reader header;

    out->protected_header = cborio_get_bytes(r, &out->protected_size);
    if (cborio_failed(r) || out->protected_size == 0)
        return 0;
    header = cborio_reader_init(out->protected_header, out->protected_size);
    if (read_header(&header, true, seen, out, reason, reason_size))
        return 1;
    if (!cborio_ended(&header))
        return refuse(reason, reason_size, "The protected COSE header is malformed.");
    if (out->protected_size == 1) /* an empty map is signed as an empty string (section 4.4) */
        out->protected_size = 0;
    return 0;
}

int cose_parse_sign1(struct cose_sign1 *out, const void *data, size_t size, char *reason, size_t reason_size)
{
    struct cborio_reader r = cborio_reader_init(data, size);
    unsigned seen = 0;

    *out = (struct cose_sign1){.tagged = cborio_peek(&r) == CBORIO_TAG};
    if (out->tagged && cborio_get_tag(&r) != TAG_SIGN1)
        return refuse(reason, reason_size, "This is not a COSE_Sign1 message: it has another tag.");
    if (cborio_get_array(&r) != 4)
        return refuse(reason, reason_size, "This is not a COSE_Sign1 message: it is no array of four items.");
    if (read_protected(&r, &seen, out, reason, reason_size) || read_header(&r, false, &seen, out, reason, reason_size))
        return 1;
    if (cborio_peek(&r) == CBORIO_NULL)
        cborio_skip(&r);
    else
        out->payload = cborio_get_bytes(&r, &out->payload_size);
    out->signature = cborio_get_bytes(&r, &out->signature_size);
    if (!cborio_ended(&r))
        return refuse(reason, reason_size, "The COSE_Sign1 message is malformed.");
    return 0;
}

/* Signatures ------------------------------------------------------------------------------------------------------ */

/* Section 4.4: ["Signature1", protected header, external data, payload]. */
static void put_signed_bytes(struct buffer *out, const void *header, size_t header_size, const void *external,
                             size_t external_size, const void *payload, size_t payload_size)
{
    size_t room = HEADS_MAX + header_size + external_size + payload_size;
    uint8_t *start = buffer_reserve(out, room);
    struct cborio_writer w = cborio_writer_init(start, room);

    if (!start)
        return;
    cborio_put_array(&w, 4);
    cborio_put_text(&w, "Signature1");
    cborio_put_bytes(&w, header, header_size);
    cborio_put_bytes(&w, external, external_size);
    cborio_put_bytes(&w, payload, payload_size);
    out->size += cborio_written(&w);
}

static const char *digest_of(const EVP_PKEY *key)
{
    return cose_key_algorithm(key) == COSE_ES256 ? "SHA256" : NULL;
}

/* COSE has R and S side by side, OpenSSL an ASN.1 sequence of them. Returns the size, 0 for no memory. */
static size_t to_der(const uint8_t raw[SIGNATURE_SIZE], uint8_t der[DER_MAX])
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, INTEGER_SIZE, NULL), *s = BN_bin2bn(raw + INTEGER_SIZE, INTEGER_SIZE, NULL);
    int size = 0;

    if (signature && r && s && ECDSA_SIG_set0(signature, r, s) == 1) {
        size = i2d_ECDSA_SIG(signature, &der);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(signature);
    return size > 0 ? (size_t)size : 0;
}

static bool from_der(const uint8_t *der, size_t size, uint8_t raw[SIGNATURE_SIZE])
{
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)size);
    bool good = signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, INTEGER_SIZE) == INTEGER_SIZE &&
                BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + INTEGER_SIZE, INTEGER_SIZE) == INTEGER_SIZE;

    ECDSA_SIG_free(signature);
    return good;
}

static bool verify(EVP_PKEY *key, const struct buffer *data, const uint8_t raw[SIGNATURE_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[DER_MAX];
    const uint8_t *signature = raw;
    size_t size = SIGNATURE_SIZE;
    bool good;

    if (digest_of(key)) {
        signature = der;
        size = to_der(raw, der);
    }
    good = ctx && size && EVP_DigestVerifyInit_ex(ctx, NULL, digest_of(key), NULL, NULL, key, NULL) == 1 &&
           EVP_DigestVerify(ctx, signature, size, data->data, data->size) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

/* A token's key signs in its own provider; others, which OpenSSL would try first, have its public part only. */
static const char *provider_of(const EVP_PKEY *key, char query[PROVIDER_QUERY_MAX])
{
    const OSSL_PROVIDER *provider = EVP_PKEY_get0_provider(key);

    if (!provider)
        return NULL;
    (void)snprintf(query, PROVIDER_QUERY_MAX, "?provider=%s", OSSL_PROVIDER_get0_name(provider));
    return query;
}

static bool sign(EVP_PKEY *key, const struct buffer *data, uint8_t raw[SIGNATURE_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    char query[PROVIDER_QUERY_MAX];
    uint8_t signature[DER_MAX];
    size_t size = sizeof signature;
    bool good = ctx &&
                EVP_DigestSignInit_ex(ctx, NULL, digest_of(key), NULL, provider_of(key, query), key, NULL) == 1 &&
                EVP_DigestSign(ctx, signature, &size, data->data, data->size) == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    if (!good)
        return false;
    if (digest_of(key))
        return from_der(signature, size, raw);
    memcpy(raw, signature, SIGNATURE_SIZE);
    return size == SIGNATURE_SIZE;
}

/* The one that is signed: the message's own, or the given one, which may not contradict it. */
static bool select_payload(const struct cose_sign1 *message, const void **payload, size_t *size)
{
    if (!*payload) {
        *payload = message->payload;
        *size = message->payload_size;
        return message->payload != NULL;
    }
    return !message->payload ||
           (message->payload_size == *size && (!*size || memcmp(message->payload, *payload, *size) == 0));
}

int cose_verify_sign1(const struct cose_sign1 *message, EVP_PKEY *key, const void *payload, size_t payload_size,
                      const void *external_aad, size_t external_size)
{
    cleanup_buffer struct buffer data = buffer_init(0);

    if (!cose_is_algorithm_of(message->algorithm, key) || message->signature_size != SIGNATURE_SIZE ||
        !select_payload(message, &payload, &payload_size))
        return 1;
    put_signed_bytes(&data, message->protected_header, message->protected_size, external_aad, external_size, payload,
                     payload_size);
    if (data.failed)
        return -ENOMEM;
    return verify(key, &data, message->signature) ? 0 : 1;
}

struct unsigned_message {
    uint8_t header[8]; /* the protected one: {1: algorithm} */
    size_t header_size;
    const void *kid;
    size_t kid_size;
    const void *payload; /* NULL: detached */
    size_t payload_size;
    bool tagged;
};

static int put_message(struct buffer *out, const struct unsigned_message *m, const uint8_t signature[SIGNATURE_SIZE])
{
    size_t room = HEADS_MAX + m->kid_size + m->payload_size + SIGNATURE_SIZE;
    uint8_t *start = buffer_reserve(out, room);
    struct cborio_writer w = cborio_writer_init(start, room);

    if (!start)
        return -ENOMEM;
    if (m->tagged)
        cborio_put_tag(&w, TAG_SIGN1);
    cborio_put_array(&w, 4);
    cborio_put_bytes(&w, m->header, m->header_size);
    cborio_put_map(&w, m->kid ? 1 : 0);
    if (m->kid) {
        cborio_put_uint(&w, HEADER_KID);
        cborio_put_bytes(&w, m->kid, m->kid_size);
    }
    if (m->payload)
        cborio_put_bytes(&w, m->payload, m->payload_size);
    else
        cborio_put_null(&w);
    cborio_put_bytes(&w, signature, SIGNATURE_SIZE);
    out->size += cborio_written(&w);
    return 0;
}

int cose_make_sign1(struct buffer *out, EVP_PKEY *key, const void *kid, size_t kid_size, const void *payload,
                    size_t payload_size, bool detached, bool tagged)
{
    struct unsigned_message m = {.kid = kid, .kid_size = kid ? kid_size : 0, .tagged = tagged};
    struct cborio_writer w = cborio_writer_init(m.header, sizeof m.header);
    cleanup_buffer struct buffer data = buffer_init(0);
    uint8_t signature[SIGNATURE_SIZE];
    int64_t algorithm = cose_key_algorithm(key);

    if (algorithm == 0 || m.kid_size > KID_MAX)
        return -EINVAL;
    cborio_put_map(&w, 1);
    cborio_put_uint(&w, HEADER_ALGORITHM);
    cborio_put_int(&w, algorithm);
    m.header_size = cborio_written(&w);
    if (!detached) {
        m.payload = payload ? payload : "";
        m.payload_size = payload_size;
    }
    put_signed_bytes(&data, m.header, m.header_size, NULL, 0, payload, payload_size);
    if (data.failed)
        return -ENOMEM;
    if (!sign(key, &data, signature))
        return -EKEYREJECTED;
    return put_message(out, &m, signature);
}
