#ifndef TC_CODEC_SUIT_H
#define TC_CODEC_SUIT_H

#include "base/buffer.h"
#include "base/cleanup.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * SUIT manifests in two dialects: the early draft that RIOT's sys/suit accepts (untagged envelope, Ed25519, at most 640
 * bytes; docs/suit.md), and draft-ietf-suit-manifest-37 (tag 107, ES256 or Ed25519, severable elements). Bytes in,
 * bytes and a status out.
 */

enum suit_dialect { SUIT_RIOT, SUIT_IETF, SUIT_DIALECT_COUNT };

#define SUIT_RIOT_MAX 640 /* bytes of a manifest with its envelope that RIOT takes */
#define SUIT_COMPONENTS_MAX 8
#define SUIT_SEGMENTS_MAX 4
#define SUIT_SEGMENT_MAX 32
#define SUIT_URI_MAX 255
#define SUIT_IETF_MAX 65536   /* bytes of an envelope of the other dialect, with payloads that it integrates */
#define SUIT_RIOT_URI_MAX 127 /* RIOT copies URIs into a buffer of 128 bytes without a look at their size */
#define SUIT_RIOT_NAME_MAX 31 /* a component's segments with a separator between them */

struct suit_component {
    struct {
        uint8_t bytes[SUIT_SEGMENT_MAX];
        size_t size;
    } id[SUIT_SEGMENTS_MAX];
    size_t id_count;
    uint8_t vendor[16], class_id[16];
    bool has_vendor, has_class;
    uint8_t digest[32]; /* SHA-256 of the payload */
    bool has_digest;
    uint64_t size;
    bool has_size;
    uint64_t offset; /* of the slot that it is for; RIOT's firmware slots */
    bool has_offset;
    char uri[SUIT_URI_MAX + 1]; /* empty: none */
};

/* Command sequences, in the order in which they run. */
enum suit_section {
    SUIT_SHARED,
    SUIT_PAYLOAD_FETCH,
    SUIT_INSTALL,
    SUIT_VALIDATE,
    SUIT_LOAD,
    SUIT_INVOCATION,
    SUIT_SECTION_COUNT
};

/* Components with the same id are one component with several slots: each of them is for another offset. */
struct suit_manifest {
    enum suit_dialect dialect;
    uint64_t sequence;
    struct suit_component components[SUIT_COMPONENTS_MAX];
    size_t component_count;
    /* of one that was parsed: views into the message */
    const uint8_t *manifest; /* with its CBOR header, as it is digested */
    size_t manifest_size;
    uint8_t digest[32];
    bool digest_matches;           /* the authentication block's digest is that of the manifest */
    const uint8_t *authentication; /* the first COSE_Sign1; NULL: not signed */
    size_t authentication_size;
    const uint8_t *signatures; /* all of them: byte strings, one after the other */
    size_t signatures_size, signature_count;
    const uint8_t *digest_block; /* what they sign where the dialect is IETF's */
    size_t digest_block_size;
    const uint8_t *severed; /* the members of the envelope behind the manifest */
    size_t severed_size, severed_count;
    struct {
        const uint8_t *data; /* NULL: there is none, or it was severed and is not here */
        size_t size;
    } sections[SUIT_SECTION_COUNT];
    const char *reference_uri; /* not terminated; NULL: none */
    size_t reference_uri_size;
};

/* 0; 1 with a sentence in reason (malformed, over a limit, a command or parameter that is not understood). */
int suit_parse(struct suit_manifest *out, const void *data, size_t size, char *reason, size_t reason_size) must_check;
/* 0: signed with this key; 1 with a sentence. */
int suit_verify(const struct suit_manifest *manifest, EVP_PKEY *key, char *reason, size_t reason_size) must_check;
/* Appends an envelope for what the components say; key NULL: unsigned. In RIOT's dialect components need vendor, class,
 * digest, size and URI. 0; 1 with a sentence (over RIOT's limits, a key that the dialect does not
 * take); negative. */
int suit_make(struct buffer *out, const struct suit_manifest *manifest, EVP_PKEY *key, char *reason,
              size_t reason_size) must_check;
/* Appends the envelope again, signed with this key alone. 0; 1 with a sentence; negative. */
int suit_sign(struct buffer *out, const struct suit_manifest *manifest, EVP_PKEY *key, char *reason,
              size_t reason_size) must_check;
/* For people: every command with its arguments, as JSON text (malloc'ed). NULL: out of memory. */
char *suit_describe(const struct suit_manifest *manifest);

/* RFC 4122 version 5 UUIDs: vendor = UUIDv5(DNS, domain), class = UUIDv5(vendor, board). */
void suit_vendor_id(const char *domain, uint8_t out[16]);
void suit_class_id(const uint8_t vendor[16], const char *name, uint8_t out[16]);

#endif
