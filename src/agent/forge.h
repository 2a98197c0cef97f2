#ifndef TC_AGENT_FORGE_H
#define TC_AGENT_FORGE_H

#include "base/cleanup.h"
#include "tcgw/oscore.h"

/*
 * What an engine refuses to protect, for attacks of a device that has keys: any plaintext, under any sequence number.
 * Requests of a sender with AES-CCM-16-64-128 only. Written apart from the engine, so it is also a second opinion.
 */
#define FORGE_TAG 8

/* Encrypts (RFC 8613 section 5); out has room for size + FORGE_TAG. False for another algorithm or a failure. */
bool forge_seal(const struct oscore_credentials *credentials, uint64_t piv, const void *plaintext, size_t size,
                uint8_t *out) must_check;

#endif
