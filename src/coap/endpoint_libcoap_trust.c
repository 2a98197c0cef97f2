#include "coap/endpoint_libcoap_private.h"

#include "base/text.h"
#include "codec/pemfile.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

/*
 * Who may speak with us over DTLS and TLS. libcoap's own notion of a peer's name is not used: it looks for "CN=" in the
 * whole subject, so that any other part of it could pretend to be one, and a PSK identity is remembered for a handshake
 * that was not finished with it.
 */

/* RFC 7925 section 4.4 and what is like it: authenticated encryption only. */
#define CIPHERS "AESCCM:AESGCM:CHACHA20:!aNULL:!kRSA"

/* Pre-shared keys -------------------------------------------------------------------------------------------------- */

static const coap_bin_const_t *find_psk(coap_bin_const_t *identity, coap_session_t *session, void *arg)
{
    struct libcoap *l = arg;
    const struct endpoint_trust *trust = &libcoap_options(l)->trust;
    size_t size = sizeof l->psk;

    (void)session;
    if (!trust->find_psk || !identity->length || identity->length > KEYRING_IDENTITY_MAX ||
        !trust->find_psk(trust->arg, identity->s, identity->length, l->psk, &size) || !size)
        return NULL;
    libcoap_wake(l); /* to wipe it */
    l->psk_view = (coap_bin_const_t){.s = l->psk, .length = size};
    return &l->psk_view;
}

/* Certificates ----------------------------------------------------------------------------------------------------- */

/* False unless there is exactly one common name that can be a device's. */
static bool copy_common_name(X509 *certificate, char out[KEYRING_IDENTITY_MAX + 1])
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *name = NULL;
    int n;

    out[0] = 0;
    if (index < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, index) >= 0)
        return false;
    n = ASN1_STRING_to_UTF8(&name, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
    if (n > 0 && n <= KEYRING_IDENTITY_MAX && text_is_utf8(name, (size_t)n)) {
        memcpy(out, name, (size_t)n);
        out[n] = 0;
    }
    OPENSSL_free(name);
    return out[0];
}

static bool check_certificate(struct libcoap *l, X509 *certificate, const char *expected)
{
    const struct endpoint_trust *trust = &libcoap_options(l)->trust;
    char name[KEYRING_IDENTITY_MAX + 1];
    uint8_t fingerprint[32];
    unsigned size = sizeof fingerprint;

    return copy_common_name(certificate, name) && (!expected || strcmp(name, expected) == 0) &&
           trust->check_certificate && X509_digest(certificate, EVP_sha256(), fingerprint, &size) == 1 &&
           trust->check_certificate(trust->arg, name, fingerprint);
}

/* A coap_dtls_cn_callback_t: the chain is good. */
static int handle_certificate(const char *cn, const uint8_t *der, size_t size, coap_session_t *session, unsigned depth,
                              int validated, void *arg)
{
    struct link *link = coap_session_get_app_data(session);
    const char *expected = link && link->channel ? channel_peer_name(link->channel) : NULL;
    X509 *certificate;
    bool good;

    (void)cn;
    if (!validated)
        return 0;
    if (depth > 0)
        return 1;
    if (link)
        link->met = true;
    if (coap_session_get_type(session) == COAP_SESSION_TYPE_CLIENT && !expected)
        return 0;
    certificate = d2i_X509(NULL, &der, (long)size);
    good = certificate && check_certificate(arg, certificate, expected);
    X509_free(certificate);
    return good;
}

/*
 * Called for each handshake with a peer before anything is chosen. A session that is resumed would be one that nobody
 * was asked about, so there are neither tickets nor a cache. TLS 1.3 does not tell with which of the offered keys the
 * handshake was done. And libcoap leaves errors of its own in OpenSSL's queue, where they are taken for failures.
 */
static int restrict_handshake(void *tls, coap_dtls_pki_t *setup)
{
    SSL *ssl = tls;

    (void)setup;
    (void)SSL_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_session_cache_mode(SSL_get_SSL_CTX(ssl), SSL_SESS_CACHE_OFF);
    if (!SSL_is_dtls(ssl))
        (void)SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    (void)SSL_set_cipher_list(ssl, CIPHERS);
    ERR_clear_error();
    return 1;
}

static int load(const char *path, char **out, char *reason, size_t reason_size)
{
    char text[PEMFILE_MAX + 1];
    int r = 0;

    if (pemfile_read(path, false, text, reason, reason_size))
        return -EINVAL;
    free(*out);
    *out = strdup(text);
    if (!*out)
        r = -ENOMEM;
    OPENSSL_cleanse(text, sizeof text);
    return r;
}

int trust_load(struct libcoap *libcoap, char *reason, size_t reason_size)
{
    const struct endpoint_options *options = libcoap_options(libcoap);
    int r;

    if (libcoap->client_ca || !options->certificate || !options->private_key || !options->client_ca)
        return 0;
    r = load(options->certificate, &libcoap->certificate, reason, reason_size);
    if (r == 0)
        r = load(options->private_key, &libcoap->private_key, reason, reason_size);
    return r < 0 ? r : load(options->client_ca, &libcoap->client_ca, reason, reason_size);
}

void trust_forget(struct libcoap *libcoap)
{
    if (libcoap->private_key)
        OPENSSL_cleanse(libcoap->private_key, strlen(libcoap->private_key));
    free(libcoap->private_key);
    free(libcoap->certificate);
    free(libcoap->client_ca);
}

void trust_describe(struct libcoap *libcoap, coap_dtls_pki_t *out)
{
    coap_pki_key_pem_buf_t *pem = &out->pki_key.key.pem_buf;

    *out = (coap_dtls_pki_t){.version = COAP_DTLS_PKI_SETUP_VERSION,
                             .verify_peer_cert = 1,
                             .check_common_ca = 1,
                             .cert_chain_validation = 1,
                             .cert_chain_verify_depth = 2,
                             .validate_cn_call_back = handle_certificate,
                             .cn_call_back_arg = libcoap,
                             .additional_tls_setup_call_back = restrict_handshake};
    out->pki_key.key_type = COAP_PKI_KEY_PEM_BUF;
    if (!libcoap->client_ca)
        return;
    pem->ca_cert = (const uint8_t *)libcoap->client_ca;
    pem->ca_cert_len = strlen(libcoap->client_ca) + 1;
    pem->public_cert = (const uint8_t *)libcoap->certificate;
    pem->public_cert_len = strlen(libcoap->certificate) + 1;
    pem->private_key = (const uint8_t *)libcoap->private_key;
    pem->private_key_len = strlen(libcoap->private_key) + 1;
}

/* Without certificates too, since only so restrict_handshake is called. */
bool trust_set_up_server(struct libcoap *libcoap, coap_context_t *context)
{
    coap_dtls_spsk_t psk = {
        .version = COAP_DTLS_SPSK_SETUP_VERSION, .validate_id_call_back = find_psk, .id_call_back_arg = libcoap};
    coap_dtls_pki_t pki;

    trust_describe(libcoap, &pki);
    return coap_context_set_psk2(context, &psk) && coap_context_set_pki(context, &pki);
}

/* Identity --------------------------------------------------------------------------------------------------------- */

/* OpenSSL notes the identity in the session that the handshake made. */
static bool copy_psk_identity(const SSL *ssl, char out[KEYRING_IDENTITY_MAX + 1])
{
    const char *identity = SSL_get_psk_identity(ssl);
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    int exchange = cipher ? SSL_CIPHER_get_kx_nid(cipher) : NID_undef;
    bool is_psk = exchange == NID_kx_psk || exchange == NID_kx_ecdhe_psk || exchange == NID_kx_dhe_psk ||
                  exchange == NID_kx_rsa_psk;

    return is_psk && identity && text_copy(out, KEYRING_IDENTITY_MAX + 1, identity) && out[0];
}

/* OpenSSL shows the header of each record: this finds handshakes in clear where one was finished long ago. */
static void watch_records(int sent, int version, int type, const void *data, size_t size, SSL *ssl, void *arg)
{
    const uint8_t *header = data;

    (void)version;
    (void)ssl;
    if (!sent && type == SSL3_RT_HEADER && size >= 5 && header[0] == SSL3_RT_HANDSHAKE && !header[3] && !header[4])
        link_doubt(arg);
}

bool trust_prove(struct link *link)
{
    coap_tls_library_t library;
    SSL *ssl = coap_session_get_tls(link->session, &library);
    unsigned size = sizeof link->fingerprint;
    X509 *certificate;

    if (!ssl || library != COAP_TLS_LIBRARY_OPENSSL || SSL_session_reused(ssl))
        return false;
    if (!link->is_ours && !link->reliable) {
        SSL_set_msg_callback(ssl, watch_records);
        SSL_set_msg_callback_arg(ssl, link);
    }
    if (copy_psk_identity(ssl, link->identity))
        return true;
    certificate = SSL_get0_peer_certificate(ssl);
    link->has_fingerprint = certificate && SSL_get_verify_result(ssl) == X509_V_OK &&
                            X509_digest(certificate, EVP_sha256(), link->fingerprint, &size) == 1 &&
                            copy_common_name(certificate, link->identity);
    return link->has_fingerprint;
}
