#ifndef TC_CODEC_CA_H
#define TC_CODEC_CA_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The gateway's own certificate authority: for devices that use DTLS or TLS with certificates and for an operator who
 * has no authority of his own. Keys are EC P-256, certificates X.509 (RFC 5280).
 */

#define CA_FILE "ca.pem"              /* what devices are to trust */
#define CA_KEY_FILE "ca-key.pem"      /* signs; nobody but its owner may read it */
#define CA_GATEWAY_FILE "gateway.pem" /* what the gateway shows to devices */
#define CA_GATEWAY_KEY_FILE "gateway-key.pem"
#define CA_GATEWAY_NAME "tcgw-gateway" /* its common name */
#define CA_COMMON_NAME_MAX 63
#define CA_PEM_MAX 4096 /* of a certificate, or of a certificate with its key, as text with its NUL */

struct ca;

struct ca_certificate {
    char common_name[CA_COMMON_NAME_MAX + 1];
    uint8_t fingerprint[32]; /* SHA-256 of the DER */
};

/*
 * Opens the authority in a directory. Files that are missing are made: complete or not at all, keys with mode 0600, and
 * on the disk when this returns. They are valid for ever (from 2020 on), since the gateway may have no clock when it
 * starts for the first time. Returns 0, or 1 with a sentence in reason (256 bytes are enough) that names the file and
 * what to do. The caller ends *out with ca_free.
 */
must_check int ca_open(struct ca **out, const char *directory, char *reason, size_t reason_size);

/* Takes NULL; returns NULL. */
struct ca *ca_free(struct ca *ca);

/* The authority's own certificate as text; it lives as long as ca. */
const char *ca_pem(const struct ca *ca);

/*
 * A new key and a certificate with this common name (1 to 63 bytes of UTF-8) for both roles, client and server, good
 * for that many days after wall_ms (0: for ever). pem gets both as text, the key (PKCS #8) first; it is secret. Returns
 * 0, or a negative errno: -EINVAL for a name or a time that no certificate can have, -ENOMEM.
 */
must_check int ca_issue(const struct ca *ca, const char *common_name, uint32_t days, int64_t wall_ms,
                        char pem[CA_PEM_MAX], struct ca_certificate *out);

/* Reads the first certificate of a PEM text, whatever else is in it. False when there is none, or its subject has not
 * exactly one common name of 1 to 63 bytes of UTF-8 without NUL. */
bool ca_read(const char *pem, size_t size, struct ca_certificate *out);

static inline void ca_cleanup(struct ca **ca)
{
    *ca = ca_free(*ca);
}

#define cleanup_ca cleanup(ca_cleanup)

#endif
