#include "rest/tls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

/* TLS 1.2 and 1.3 (RFC 9325): ephemeral keys and AEAD only. RSA with PKCS #1 signs in TLS 1.2, and certificates. */
#define PRIORITIES                                                                                                     \
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD:"       \
    "+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+SIGN-EDDSA-ED25519:+SIGN-ECDSA-SECP256R1-SHA256:"                \
    "+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SHA384:+SIGN-RSA-PSS-RSAE-SHA256:"                    \
    "+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-SHA256:+SIGN-RSA-SHA256:+SIGN-RSA-SHA384:+SIGN-RSA-SHA512:+COMP-NULL:"    \
    "+CTYPE-X509:%SERVER_PRECEDENCE"

struct tls {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    int64_t expires_at;
    gnutls_certificate_request_t request;
    unsigned references;
};

/* Files ----------------------------------------------------------------------------------------------------------- */

static void close_tls(struct tls **tls)
{
    (void)tls_unref(*tls);
}

printf_like(4, 5) static int refuse(char *reason, size_t reason_size, const char *path, const char *format, ...)
{
    char why[160];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(why, sizeof why, format, ap);
    va_end(ap);
    (void)snprintf(reason, reason_size, "%s: %s", path, why);
    return 1;
}

static int check_file(const char *path, bool secret, char *reason, size_t reason_size)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return refuse(reason, reason_size, path, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)TLS_FILE_MAX)
        return refuse(reason, reason_size, path, "this is not a file of at most %u bytes", TLS_FILE_MAX);
    if (secret && (st.st_mode & S_IROTH))
        return refuse(reason, reason_size, path, "everybody may read this key; chmod o-r, and replace it");
    return 0;
}

/* Also because GnuTLS 3.7 leaks where it reads a broken certificate together with its key. */
static int check_certificates(const char *path, char *reason, size_t reason_size)
{
    gnutls_datum_t text = {NULL, 0};
    gnutls_x509_crt_t *list = NULL;
    unsigned count = 0;
    int r = check_file(path, false, reason, reason_size) ? 1 : gnutls_load_file(path, &text);

    if (r == 1)
        return 1;
    if (r == 0)
        r = gnutls_x509_crt_list_import2(&list, &count, &text, GNUTLS_X509_FMT_PEM, 0);
    if (r < 0)
        (void)refuse(reason, reason_size, path, "there is no certificate in this file that can be used: %s",
                     gnutls_strerror(r));
    for (unsigned i = 0; r >= 0 && i < count; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
    gnutls_free(text.data);
    return r < 0;
}

static int64_t expiry_of(const gnutls_datum_t *der)
{
    gnutls_x509_crt_t certificate;
    time_t end = -1;

    if (gnutls_x509_crt_init(&certificate) < 0)
        return 0;
    if (gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER) == 0)
        end = gnutls_x509_crt_get_expiration_time(certificate);
    gnutls_x509_crt_deinit(certificate);
    return end == (time_t)-1 ? 0 : (int64_t)end;
}

static int64_t first_expiry(gnutls_certificate_credentials_t credentials)
{
    int64_t first = INT64_MAX;
    gnutls_datum_t der;

    for (unsigned i = 0; gnutls_certificate_get_crt_raw(credentials, 0, i, &der) == 0; i++) {
        int64_t end = expiry_of(&der);

        first = end < first ? end : first;
    }
    return first;
}

/* The handshake fails unless a certificate that the client shows is good, and for clients. GnuTLS itself sees to it
 * that one is shown where that is required. */
static int verify_client(gnutls_session_t session)
{
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned status = 0, count = 0;

    if (!gnutls_certificate_get_peers(session, &count))
        return 0;
    if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) == 0 && status == 0)
        return 0;
    (void)gnutls_alert_send(session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE); /* MHD tells the client nothing */
    return GNUTLS_E_CERTIFICATE_ERROR;
}

static int load_pair(struct tls *tls, const struct tls_files *files, char *reason, size_t reason_size)
{
    int r;

    if (check_certificates(files->certificate, reason, reason_size) ||
        check_file(files->key, true, reason, reason_size))
        return 1;
    r = gnutls_certificate_set_x509_key_file2(tls->credentials, files->certificate, files->key, GNUTLS_X509_FMT_PEM,
                                              NULL, 0);
    if (r == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return refuse(reason, reason_size, files->certificate, "the key in %.100s is of another certificate",
                      files->key);
    if (r < 0)
        return refuse(reason, reason_size, files->certificate, "this and the key in %.60s cannot be used: %.60s",
                      files->key, gnutls_strerror(r));
    tls->expires_at = first_expiry(tls->credentials);
    return 0;
}

static int load_client_ca(struct tls *tls, const struct tls_files *files, char *reason, size_t reason_size)
{
    int r;

    tls->request = GNUTLS_CERT_IGNORE;
    if (!*files->client_ca)
        return 0;
    if (check_certificates(files->client_ca, reason, reason_size))
        return 1;
    r = gnutls_certificate_set_x509_trust_file(tls->credentials, files->client_ca, GNUTLS_X509_FMT_PEM);
    if (r <= 0)
        return refuse(reason, reason_size, files->client_ca, "this cannot be used: %s", gnutls_strerror(r));
    gnutls_certificate_set_verify_function(tls->credentials, verify_client);
    tls->request = files->require_client ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_REQUEST;
    return 0;
}

int tls_load(struct tls **out, const struct tls_files *files, char *reason, size_t reason_size)
{
    cleanup(close_tls) struct tls *tls = calloc(1, sizeof *tls);

    *out = NULL;
    if (tls)
        tls->references = 1;
    if (!tls || gnutls_certificate_allocate_credentials(&tls->credentials) < 0 ||
        gnutls_priority_init(&tls->priorities, PRIORITIES, NULL) < 0)
        return refuse(reason, reason_size, files->certificate, "%s", strerror(ENOMEM));
    if (load_pair(tls, files, reason, reason_size) || load_client_ca(tls, files, reason, reason_size))
        return 1;
    *out = steal_pointer(tls);
    return 0;
}

struct tls *tls_ref(struct tls *tls)
{
    tls->references++;
    return tls;
}

struct tls *tls_unref(struct tls *tls)
{
    if (!tls || --tls->references > 0)
        return NULL;
    if (tls->credentials)
        gnutls_certificate_free_credentials(tls->credentials);
    if (tls->priorities)
        gnutls_priority_deinit(tls->priorities);
    free(tls);
    return NULL;
}

int64_t tls_expires_at(const struct tls *tls)
{
    return tls->expires_at;
}

/* Sessions -------------------------------------------------------------------------------------------------------- */

bool tls_attach(struct tls *tls, gnutls_session_t session)
{
    gnutls_certificate_server_set_request(session, tls->request);
    return gnutls_priority_set(session, tls->priorities) == 0 &&
           gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) == 0;
}

static void read_name(struct http_peer *peer, gnutls_x509_crt_t certificate)
{
    char name[sizeof peer->certificate];
    size_t size = sizeof name, none = 0;

    if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size) < 0 ||
        gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 1, 0, NULL, &none) !=
            GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ||
        !text_is_utf8(name, size))
        return;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return;
    memcpy(peer->certificate, name, size);
    peer->certificate[size] = 0;
}

int64_t tls_identify(struct http_peer *peer, gnutls_session_t session)
{
    unsigned count = 0;
    const gnutls_datum_t *der = gnutls_certificate_get_peers(session, &count);
    uint8_t digest[32];
    size_t size = sizeof digest;
    gnutls_x509_crt_t certificate;

    peer->kind = HTTP_PEER_TLS;
    if (!der || count == 0 || gnutls_x509_crt_init(&certificate) < 0)
        return INT64_MAX;
    if (gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER) == 0 &&
        gnutls_fingerprint(GNUTLS_DIG_SHA256, der, digest, &size) == 0) {
        text_hex(digest, sizeof digest, peer->fingerprint);
        read_name(peer, certificate);
    }
    gnutls_x509_crt_deinit(certificate);
    return expiry_of(der);
}
