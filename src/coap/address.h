#ifndef TC_COAP_ADDRESS_H
#define TC_COAP_ADDRESS_H

#include "base/cleanup.h"
#include "base/fault.h"
#include "core/model.h"

#include <sys/socket.h>

#define ADDRESS_DEFAULT_PORT 5683 /* RFC 7252 section 6.1 */

/*
 * Reads a device's address: a literal IPv4 or IPv6 address with or without port, in brackets or not, as a coap:// URI
 * without path or not. A link-local address needs its zone ("fe80::1%eth0", in a URI "%25eth0", RFC 6874). Names,
 * multicast and unspecified addresses are refused. Writes the canonical form, which always has the port, to out
 * (CORE_ADDRESS_MAX + 1 bytes): "coap://192.0.2.1:5683", "coap://[fe80::1%25eth0]:5683".
 * Returns 0, or 1 with FAULT_INVALID_FIELD (fault may be NULL).
 */
int address_parse(const char *text, char *out, struct fault *fault) must_check;

/* The socket address of a canonical address. Returns its size, -ENODEV when the zone names no interface of this
 * machine now, -EINVAL when the text is not canonical. */
int address_resolve(const char *canonical, struct sockaddr_storage *out) must_check;

#endif
