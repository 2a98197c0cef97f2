#define _GNU_SOURCE /* memmem */
#include "codec/cborio.h"
#include "codec/cose.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#define KEY_MAX 4096 /* bytes of a public key in any form */
#define COORDINATE_SIZE 32
#define PARAMETERS_MAX 16

/* RFC 9052 section 7.1, RFC 9053 section 7 */
enum { KTY_OKP = 1, KTY_EC2 = 2 };
enum { CURVE_P256 = 1, CURVE_ED25519 = 6 };
enum { LABEL_KTY = 1, LABEL_ALGORITHM = 3, LABEL_CURVE = -1, LABEL_X = -2, LABEL_Y = -3, LABEL_D = -4 };

struct cose_key {
    int64_t kty, algorithm, curve;
    const uint8_t *x, *y;
    size_t x_size, y_size;
    bool y_is_sign, sign; /* a compressed point: y is only told by its sign */
    bool is_private;
};

static void read_y(struct cborio_reader *r, struct cose_key *out)
{
    out->y_is_sign = cborio_peek(r) == CBORIO_BOOL;
    if (out->y_is_sign)
        out->sign = cborio_get_bool(r);
    else
        out->y = cborio_get_bytes(r, &out->y_size);
}

static void read_parameter(struct cborio_reader *r, int64_t label, struct cose_key *out)
{
    switch (label) {
    case LABEL_KTY:
        out->kty = cborio_get_int(r);
        break;
    case LABEL_ALGORITHM:
        out->algorithm = cborio_get_int(r);
        break;
    case LABEL_CURVE:
        out->curve = cborio_get_int(r);
        break;
    case LABEL_X:
        out->x = cborio_get_bytes(r, &out->x_size);
        break;
    case LABEL_Y:
        read_y(r, out);
        break;
    case LABEL_D:
        out->is_private = true;
        cborio_skip(r);
        break;
    default:
        cborio_skip(r);
    }
}

static bool read_cose_key(struct cborio_reader *r, struct cose_key *out)
{
    size_t pairs = cborio_get_map(r);

    *out = (struct cose_key){.kty = 0};
    if (pairs > PARAMETERS_MAX)
        return false;
    for (size_t i = 0; i < pairs && !cborio_failed(r); i++)
        read_parameter(r, cborio_get_int(r), out);
    return cborio_ended(r);
}

static EVP_PKEY *key_of_point(const uint8_t *point, size_t size)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){"P-256"}, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, size),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* SEC 1 section 2.3.3: 04 x y, or 02 or 03 and x. */
static EVP_PKEY *make_ec(const struct cose_key *k)
{
    uint8_t point[1 + 2 * COORDINATE_SIZE];

    if (k->curve != CURVE_P256 || k->x_size != COORDINATE_SIZE || (!k->y_is_sign && k->y_size != COORDINATE_SIZE))
        return NULL;
    memcpy(point + 1, k->x, COORDINATE_SIZE);
    if (k->y_is_sign) {
        point[0] = k->sign ? 3 : 2;
        return key_of_point(point, 1 + COORDINATE_SIZE);
    }
    point[0] = 4;
    memcpy(point + 1 + COORDINATE_SIZE, k->y, COORDINATE_SIZE);
    return key_of_point(point, sizeof point);
}

static EVP_PKEY *make_okp(const struct cose_key *k)
{
    if (k->curve != CURVE_ED25519 || k->x_size != COORDINATE_SIZE)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->x, k->x_size);
}

static EVP_PKEY *parse_pem(const void *data, size_t size)
{
    BIO *bio = BIO_new_mem_buf(data, (int)size);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    return key;
}

static EVP_PKEY *parse_der(const uint8_t *data, size_t size)
{
    const uint8_t *end = data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &end, (long)size);

    if (key && end != data + size) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

/* In whichever form it is; *is_private: it is a private key, which has no business here. */
static EVP_PKEY *parse_any(const void *data, size_t size, bool *is_private)
{
    struct cborio_reader r = cborio_reader_init(data, size);
    struct cose_key k;
    EVP_PKEY *key;

    *is_private = memmem(data, size, "PRIVATE KEY-----", 16) != NULL;
    if (*is_private)
        return NULL;
    if (cborio_peek(&r) == CBORIO_MAP && read_cose_key(&r, &k)) {
        *is_private = k.is_private;
        if (k.is_private || (k.kty != KTY_EC2 && k.kty != KTY_OKP))
            return NULL;
        key = k.kty == KTY_EC2 ? make_ec(&k) : make_okp(&k);
        if (key && k.algorithm && !cose_is_algorithm_of(k.algorithm, key)) {
            EVP_PKEY_free(key);
            return NULL;
        }
        return key;
    }
    key = parse_pem(data, size);
    return key ? key : parse_der(data, size);
}

EVP_PKEY *cose_read_public_key(const void *data, size_t size, char *reason, size_t reason_size)
{
    bool is_private = false;
    EVP_PKEY *key = size && size <= KEY_MAX ? parse_any(data, size, &is_private) : NULL;

    if (is_private)
        (void)snprintf(reason, reason_size, "This is a private key; only its public part is wanted here.");
    else if (!key)
        (void)snprintf(reason, reason_size, "This is not a public key in PEM form, DER or COSE_Key form.");
    if (key && cose_key_algorithm(key) == 0) {
        (void)snprintf(reason, reason_size, "The key is neither an Ed25519 nor a P-256 (ES256) key.");
        EVP_PKEY_free(key);
        key = NULL;
    }
    ERR_clear_error();
    return key;
}
