#include "codec/ca.h"

#include "base/text.h"
#include "codec/pemfile.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#define NOT_BEFORE "20200101000000Z"
#define FOR_EVER "99991231235959Z" /* RFC 5280 section 4.1.2.5: no well-defined expiration date */
#define SERIAL_SIZE 16
#define DAY 86400
#define LAST_YEAR 253402300799 /* s: the end of 9999 */

struct ca {
    EVP_PKEY *key;
    X509 *certificate;
    char pem[CA_PEM_MAX];
};

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void free_certificate(X509 **certificate)
{
    X509_free(*certificate);
}

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

#define cleanup_key cleanup(free_key)
#define cleanup_certificate cleanup(free_certificate)
#define cleanup_bio cleanup(free_bio)

/* Certificates ---------------------------------------------------------------------------------------------------- */

static bool set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_SIZE];
    BIGNUM *number = NULL;
    bool good = RAND_bytes(bytes, sizeof bytes) == 1;

    bytes[0] &= 0x7f; /* positive, in as many bytes */
    bytes[0] |= 0x40;
    number = good ? BN_bin2bn(bytes, sizeof bytes, NULL) : NULL;
    good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return good;
}

static bool set_subject(X509 *certificate, const char *common_name)
{
    return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)common_name, -1, -1, 0) == 1;
}

/* until: wall s; 0: for ever. */
static bool set_validity(X509 *certificate, int64_t until)
{
    return ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), NOT_BEFORE) == 1 &&
           (until ? ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)until) != NULL
                  : ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), FOR_EVER) == 1);
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool good;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    good = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool add_extensions(X509 *certificate, X509 *issuer)
{
    bool is_ca = certificate == issuer;

    return add_extension(certificate, issuer, NID_basic_constraints,
                         is_ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
           add_extension(certificate, issuer, NID_key_usage,
                         is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") &&
           (is_ca || add_extension(certificate, issuer, NID_ext_key_usage, "clientAuth,serverAuth")) &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
}

/* A certificate for a key, signed by the authority; issuer NULL: the authority's own. NULL without memory. */
static X509 *make_certificate(EVP_PKEY *key, const char *common_name, int64_t until, const struct ca *issuer)
{
    cleanup_certificate X509 *made = X509_new();
    X509 *by = issuer ? issuer->certificate : made;

    if (!made || X509_set_version(made, X509_VERSION_3) != 1 || !set_serial(made) || !set_subject(made, common_name) ||
        X509_set_issuer_name(made, X509_get_subject_name(by)) != 1 || !set_validity(made, until) ||
        X509_set_pubkey(made, key) != 1 || !add_extensions(made, by) ||
        X509_sign(made, issuer ? issuer->key : key, EVP_sha256()) <= 0)
        return NULL;
    return steal_pointer(made);
}

static bool take_text(BIO *bio, char out[CA_PEM_MAX])
{
    int n = bio ? BIO_read(bio, out, CA_PEM_MAX - 1) : 0;

    out[n > 0 ? n : 0] = 0;
    return n > 0 && BIO_pending(bio) == 0;
}

/* The key (NULL: none) and the certificate. */
static bool write_pem(const EVP_PKEY *key, const X509 *certificate, char out[CA_PEM_MAX])
{
    cleanup_bio BIO *bio = BIO_new(BIO_s_secmem());

    out[0] = 0;
    return bio && (!key || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) &&
           PEM_write_bio_X509(bio, certificate) == 1 && take_text(bio, out);
}

static X509 *parse_certificate(const char *pem, size_t size)
{
    cleanup_bio BIO *bio = size <= INT_MAX ? BIO_new_mem_buf(pem, (int)size) : NULL;

    return bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
}

/* The files ------------------------------------------------------------------------------------------------------- */

/* Two files that belong together. */
struct pair {
    char key_path[PATH_MAX], certificate_path[PATH_MAX];
    const char *common_name;
    const struct ca *issuer; /* NULL: itself */
};

static bool exists(const char *path)
{
    return access(path, F_OK) == 0 || errno != ENOENT;
}

static int open_key(EVP_PKEY **key, const struct pair *pair, char *reason, size_t reason_size)
{
    cleanup_key EVP_PKEY *made = NULL;

    *key = NULL;
    if (exists(pair->key_path))
        return pemfile_read_key(key, pair->key_path, reason, reason_size);
    made = EVP_EC_gen("P-256");
    if (!made)
        return pemfile_refuse(pair->key_path, reason, reason_size, "OpenSSL could not make an EC key");
    if (!pemfile_create_key(made, pair->key_path))
        return pemfile_refuse(pair->key_path, reason, reason_size, "a new key cannot be written: %s", strerror(errno));
    *key = steal_pointer(made);
    return 0;
}

static int check_certificate(X509 *certificate, EVP_PKEY *key, const struct pair *pair, char *reason,
                             size_t reason_size)
{
    EVP_PKEY *signer = pair->issuer ? pair->issuer->key : key;

    if (!certificate)
        return pemfile_refuse(pair->certificate_path, reason, reason_size, "this is not a certificate in PEM form");
    if (X509_check_private_key(certificate, key) != 1)
        return pemfile_refuse(pair->certificate_path, reason, reason_size,
                              "this certificate is not that of the key %s; remove it, and a new one is made",
                              pair->key_path);
    if (X509_verify(certificate, signer) != 1)
        return pemfile_refuse(pair->certificate_path, reason, reason_size,
                              "this certificate is not signed by the key of " CA_FILE
                              "; remove it, and a new one is made");
    return 0;
}

static int read_certificate(X509 **out, EVP_PKEY *key, const struct pair *pair, char *reason, size_t reason_size)
{
    cleanup_certificate X509 *read = NULL;
    char pem[PEMFILE_MAX + 1];

    if (pemfile_read(pair->certificate_path, false, pem, reason, reason_size))
        return 1;
    read = parse_certificate(pem, strlen(pem));
    if (check_certificate(read, key, pair, reason, reason_size))
        return 1;
    *out = steal_pointer(read);
    return 0;
}

static int open_certificate(X509 **out, EVP_PKEY *key, const struct pair *pair, char *reason, size_t reason_size)
{
    cleanup_certificate X509 *made = NULL;
    char pem[CA_PEM_MAX];

    *out = NULL;
    if (exists(pair->certificate_path))
        return read_certificate(out, key, pair, reason, reason_size);
    made = make_certificate(key, pair->common_name, 0, pair->issuer);
    if (!made || !write_pem(NULL, made, pem))
        return pemfile_refuse(pair->certificate_path, reason, reason_size, "OpenSSL could not make a certificate");
    if (!pemfile_create(pair->certificate_path, false, pem))
        return pemfile_refuse(pair->certificate_path, reason, reason_size, "a new certificate cannot be written: %s",
                              strerror(errno));
    *out = steal_pointer(made);
    return 0;
}

static int open_pair(EVP_PKEY **key, X509 **certificate, const struct pair *pair, char *reason, size_t reason_size)
{
    return open_key(key, pair, reason, reason_size) || open_certificate(certificate, *key, pair, reason, reason_size);
}

static bool join(char out[PATH_MAX], const char *directory, const char *file)
{
    return (size_t)snprintf(out, PATH_MAX, "%s/%s", directory, file) < PATH_MAX;
}

static int open_gateway(const struct ca *ca, const char *directory, char *reason, size_t reason_size)
{
    struct pair pair = {.common_name = CA_GATEWAY_NAME, .issuer = ca};
    cleanup_certificate X509 *certificate = NULL;
    cleanup_key EVP_PKEY *key = NULL;

    if (!join(pair.key_path, directory, CA_GATEWAY_KEY_FILE) ||
        !join(pair.certificate_path, directory, CA_GATEWAY_FILE))
        return pemfile_refuse(directory, reason, reason_size, "this name is too long");
    return open_pair(&key, &certificate, &pair, reason, reason_size);
}

int ca_open(struct ca **out, const char *directory, char *reason, size_t reason_size)
{
    struct pair pair = {.common_name = "tcgw CA"};
    cleanup_ca struct ca *ca = NULL;

    *out = NULL;
    if (!join(pair.key_path, directory, CA_KEY_FILE) || !join(pair.certificate_path, directory, CA_FILE))
        return pemfile_refuse(directory, reason, reason_size, "this name is too long");
    ca = calloc(1, sizeof *ca);
    if (!ca)
        return pemfile_refuse(directory, reason, reason_size, "%s", strerror(ENOMEM));
    if (open_pair(&ca->key, &ca->certificate, &pair, reason, reason_size))
        return 1;
    if (!write_pem(NULL, ca->certificate, ca->pem))
        return pemfile_refuse(pair.certificate_path, reason, reason_size, "this certificate is too large");
    if (open_gateway(ca, directory, reason, reason_size))
        return 1;
    *out = steal_pointer(ca);
    return 0;
}

struct ca *ca_free(struct ca *ca)
{
    if (!ca)
        return NULL;
    EVP_PKEY_free(ca->key);
    X509_free(ca->certificate);
    free(ca);
    return NULL;
}

const char *ca_pem(const struct ca *ca)
{
    return ca->pem;
}

/* Devices' certificates ------------------------------------------------------------------------------------------- */

static bool is_common_name(const char *name, size_t size)
{
    return size > 0 && size <= CA_COMMON_NAME_MAX && text_is_utf8(name, size);
}

static bool describe(X509 *certificate, struct ca_certificate *out)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *name = NULL;
    unsigned size = sizeof out->fingerprint;
    int n;

    memset(out, 0, sizeof *out);
    if (index < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, index) >= 0)
        return false;
    n = ASN1_STRING_to_UTF8(&name, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
    if (n > 0 && is_common_name((char *)name, (size_t)n))
        memcpy(out->common_name, name, (size_t)n);
    OPENSSL_free(name);
    return out->common_name[0] && X509_digest(certificate, EVP_sha256(), out->fingerprint, &size) == 1;
}

int ca_issue(const struct ca *ca, const char *common_name, uint32_t days, int64_t wall_ms, char pem[CA_PEM_MAX],
             struct ca_certificate *out)
{
    int64_t until = days ? wall_ms / 1000 + (int64_t)days * DAY : 0;
    cleanup_certificate X509 *certificate = NULL;
    cleanup_key EVP_PKEY *key = NULL;

    pem[0] = 0;
    if (!is_common_name(common_name, strlen(common_name)) || wall_ms < 0 || until > LAST_YEAR)
        return -EINVAL;
    key = EVP_EC_gen("P-256");
    certificate = key ? make_certificate(key, common_name, until, ca) : NULL;
    if (!certificate || !describe(certificate, out) || !write_pem(key, certificate, pem)) {
        OPENSSL_cleanse(pem, CA_PEM_MAX);
        return -ENOMEM;
    }
    return 0;
}

bool ca_read(const char *pem, size_t size, struct ca_certificate *out)
{
    cleanup_certificate X509 *certificate = parse_certificate(pem, size);

    return certificate && describe(certificate, out);
}
