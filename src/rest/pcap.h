#ifndef TC_REST_PCAP_H
#define TC_REST_PCAP_H

#include "base/buffer.h"

#include <stdbool.h>

/*
 * A capture file (draft-ietf-opsawg-pcap) of CoAP messages as they are inside of what protects them: each becomes a
 * datagram between the device's address and port 5683 of an address that stands for the gateway (RFC 3849, RFC 5737),
 * so that Wireshark dissects it as CoAP and joins requests and answers.
 */

/* The file's header: raw IP (LINKTYPE_RAW), microseconds. */
void pcap_begin(struct buffer *out);
/* One message: `bytes` is a CoAP datagram of at most 65,000 bytes; peer the device's address as text
 * ("coap://[fd00::1]:5683"); time in wall milliseconds. A peer that is no literal address is left out; false then. */
bool pcap_add(struct buffer *out, int64_t time, bool sent, const char *peer, const void *bytes, size_t size);

#endif
