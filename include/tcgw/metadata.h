#ifndef TCGW_METADATA_H
#define TCGW_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * TinyContainer metadata: what a device agent needs to know of a container, signed (docs/device-protocol.md, section
 * "Metadata"). CBOR under tag 6082514239057121876 ("TinyPART").
 */

#define METADATA_TAG 6082514239057121876ULL /* the ASCII of "TinyPART" */
#define METADATA_UID_MAX 63
#define METADATA_MAX_ENDPOINTS 32
#define METADATA_TOKEN_SIZE 111 /* a hash token is always this long */
#define METADATA_MAX_SIZE 4096
#define METADATA_SIGNATURE_SIZE 64
#define METADATA_DIGEST_SIZE 32

enum container_type {
    CONTAINER_TYPE_UNDEFINED = 0,
    CONTAINER_TYPE_NATIVE = 1,
    CONTAINER_TYPE_SHELL = 2,
    CONTAINER_TYPE_RBPF = 3,
    CONTAINER_TYPE_WASM = 4,
    CONTAINER_TYPE_JAVACARD = 5,
    CONTAINER_TYPE_JAVASCRIPT = 6,
    CONTAINER_TYPE_PYTHON = 7,
    CONTAINER_TYPE_SUIT = 8, /* the gateway's own: a SUIT envelope, which no metadata describes */
    CONTAINER_TYPE_COUNT
};

/* "wasm", "rbpf", "native", ...; "undefined" for numbers that are not in the table. */
const char *container_type_name(enum container_type type);
/* CONTAINER_TYPE_COUNT when the name is not known. */
enum container_type container_type_from_name(const char *name);

/* System calls: the bit in a mask is 1 << (id - 1). */
enum container_syscall {
    CONTAINER_SYSCALL_HEARTBEAT = 1,
    CONTAINER_SYSCALL_OPEN = 2,
    CONTAINER_SYSCALL_CLOSE = 3,
    CONTAINER_SYSCALL_READ = 4,
    CONTAINER_SYSCALL_WRITE = 5,
    CONTAINER_SYSCALL_COUNT = 6
};

/* "heartbeat", "open", "close", "read", "write"; NULL for another id. */
const char *container_syscall_name(unsigned id);
/* 0 when the name is not known. */
unsigned container_syscall_from_name(const char *name);

enum endpoint_peer { ENDPOINT_PEER_CONTAINER = 0, ENDPOINT_PEER_LOCAL = 1, ENDPOINT_PEER_REMOTE = 2 };
enum endpoint_direction { ENDPOINT_IN = 0, ENDPOINT_OUT = 1, ENDPOINT_BOTH = 2 };

const char *endpoint_peer_name(enum endpoint_peer peer);          /* "container", "local", "remote" */
const char *endpoint_direction_name(enum endpoint_direction dir); /* "in", "out", "both" */
/* The number of a name, -1 when it is not known. */
int endpoint_peer_from_name(const char *name);
int endpoint_direction_from_name(const char *name);

struct container_endpoint {
    uint32_t id; /* what the container passes to open() */
    enum endpoint_peer peer;
    char peer_uid[METADATA_UID_MAX + 1]; /* required for a container as peer; empty: absent */
    uint32_t peer_endpoint;              /* the sensor or actuator (local), or the endpoint of the peer */
    enum endpoint_direction direction;
};

/* Milliseconds, but for loop_max_lifetime, which counts calls of loop(); 0 means no limit for a limit. */
struct container_limits {
    uint32_t start_max_duration;
    uint32_t loop_period;
    uint32_t loop_max_duration;
    uint32_t loop_max_lifetime;
    uint32_t stop_max_duration;
};

/* What the metadata says, without its tokens. */
struct metadata {
    char uid[METADATA_UID_MAX + 1];
    size_t uid_length; /* 1 to 63 */
    enum container_type type;
    uint32_t syscall_mask;
    size_t endpoint_count;
    struct container_endpoint endpoints[METADATA_MAX_ENDPOINTS];
    struct container_limits limits;
};

/* Signs size bytes of data with Ed25519. Returns 0, or negative when the key cannot sign. */
typedef int (*metadata_sign_fn)(void *arg, const uint8_t *data, size_t size,
                                uint8_t signature[METADATA_SIGNATURE_SIZE]);

/*
 * Builds signed metadata for a container made of data (may be empty) and code. Always writes all three parts. The
 * hash in the metadata token covers all bytes but the last METADATA_TOKEN_SIZE.
 * Returns the number of bytes written, 0 when out is too small or md is not valid, negative when signing failed.
 */
int metadata_build(const struct metadata *md, const void *data, size_t data_size, const void *code, size_t code_size,
                   metadata_sign_fn sign, void *arg, uint8_t *out, size_t size);

/* The size that metadata_build would return, without signing; 0 when md is not valid: a uid of another length, a type,
 * peer or direction that is not in its table, too many endpoints, an id twice, a container as peer without a uid. */
size_t metadata_size(const struct metadata *md);

/* What metadata_parse found besides the plain fields: the tokens, as views into the input. */
struct metadata_tokens {
    uint8_t data_digest[METADATA_DIGEST_SIZE];
    uint8_t code_digest[METADATA_DIGEST_SIZE];
    uint8_t metadata_digest[METADATA_DIGEST_SIZE];
    const uint8_t *claims[4]; /* syscall mask, data, code, metadata: the signed bytes */
    size_t claims_size[4];
    const uint8_t *signatures[4];                 /* METADATA_SIGNATURE_SIZE bytes each */
    uint8_t covered_digest[METADATA_DIGEST_SIZE]; /* SHA-256 of all bytes but the last token's */
    uint8_t zeroed_digest[METADATA_DIGEST_SIZE];  /* SHA-256 of all bytes with the last token's set to zero, as an
                                                     older tool computed it */
};

/*
 * Parses metadata strictly: unknown keys, missing parts, wrong types, a uid of 0 or over 63 bytes and trailing bytes
 * are refused. Tokens may be NULL. Returns 0, or 1 with a sentence in reason (at least 128 bytes) that says what and
 * where. Verifies no signature.
 */
int metadata_parse(const void *input, size_t size, struct metadata *md, struct metadata_tokens *tokens, char *reason,
                   size_t reason_size) __attribute__((warn_unused_result));

/* Which of the checks of metadata_verify failed. */
enum metadata_check {
    METADATA_OK = 0,
    METADATA_E_SIGNATURE = 1,
    METADATA_E_DATA_DIGEST,
    METADATA_E_CODE_DIGEST,
    METADATA_E_METADATA_DIGEST,
};

/* Checks all four signatures with an Ed25519 public key and the three digests against data and code. */
int metadata_verify(const struct metadata_tokens *tokens, const uint8_t public_key[32], const void *data,
                    size_t data_size, const void *code, size_t code_size) __attribute__((warn_unused_result));

#endif
