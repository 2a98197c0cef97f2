#ifndef TC_REST_TLS_H
#define TC_REST_TLS_H

#include "base/cleanup.h"
#include "rest/http.h"

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What HTTPS shows and trusts: certificate, key and the CA of clients, as their files were when they were read. New
 * files make a new object; a connection keeps the one that it began with.
 */
struct tls;

#define TLS_FILE_MAX (256u << 10) /* bytes of a chain of certificates, or of a set of CAs */

struct tls_files {
    const char *certificate; /* PEM, its issuers behind it */
    const char *key;         /* PEM, without passphrase; not readable by everybody */
    const char *client_ca;   /* PEM; empty: clients are not asked for certificates */
    bool require_client;     /* a client without a certificate is refused */
};

/* Reads the files. 0, or 1 with a sentence in reason (at least 256 bytes) that names the file and what is wrong. */
int tls_load(struct tls **out, const struct tls_files *files, char *reason, size_t reason_size) must_check;
struct tls *tls_ref(struct tls *tls);
struct tls *tls_unref(struct tls *tls); /* takes NULL; returns NULL */

/* When the first certificate of the chain ends that does (Unix time, seconds). */
int64_t tls_expires_at(const struct tls *tls);

/* Makes a server's session, before its handshake, show and ask what tls says; tls must live as long as the session.
 * False when out of memory. */
bool tls_attach(struct tls *tls, gnutls_session_t session) must_check;

/* After the handshake: kind, and subject and fingerprint of the client's certificate, if it showed one (a handshake
 * with one that does not verify fails). The subject is its one common name; it is empty where there are several, or
 * where it is not plain UTF-8 of at most 127 bytes. Returns when the certificate ends (Unix time, seconds; INT64_MAX:
 * none). */
int64_t tls_identify(struct http_peer *peer, gnutls_session_t session);

#endif
