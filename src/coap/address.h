#ifndef TC_COAP_ADDRESS_H
#define TC_COAP_ADDRESS_H

#include "base/cleanup.h"
#include "base/fault.h"
#include "coap/peer.h"

#define ADDRESS_DEFAULT_PORT 5683        /* RFC 7252 section 6.1: coap; RFC 8323 section 8.1: coap+tcp */
#define ADDRESS_DEFAULT_SECURE_PORT 5684 /* RFC 7252 section 6.2: coaps; RFC 8323 section 8.2: coaps+tcp */

/*
 * Reads a device's address: a literal IPv4 or IPv6 address with or without port, in brackets or not, as a URI without
 * path (coap, coaps, coap+tcp, coaps+tcp) or not (coap). A link-local address needs its zone ("fe80::1%eth0", in a URI
 * "%25eth0", RFC 6874). Names, multicast and unspecified addresses are refused. Writes the canonical form, which always
 * has the port and has IPv4-mapped addresses as IPv4, to out (CORE_ADDRESS_MAX + 1 bytes): "coap://192.0.2.1:5683",
 * "coaps://[fe80::1%25eth0]:5684".
 * Returns 0, or 1 with FAULT_INVALID_FIELD (fault may be NULL).
 */
int address_parse(const char *text, char *out, struct fault *fault) must_check;

/* Reads an address to serve: literal, with a port, which may be 0: "[::]:5683", "127.0.0.1:0". -EINVAL when it is none,
 * -ENODEV when its zone names no interface. */
int address_parse_listen(const char *text, enum peer_transport transport, struct peer *out) must_check;

#endif
