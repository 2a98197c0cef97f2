#ifndef TC_CODEC_SUIT_PRIVATE_H
#define TC_CODEC_SUIT_PRIVATE_H

#include "codec/cborio.h"
#include "codec/suit.h"

/* What the parts of suit*.c share: the numbers of both dialects, which are mostly the same. */

#define SUIT_TAG 107
#define SUIT_DIGEST_SIZE 32

/* Members of envelope and manifest (draft-ietf-suit-manifest-37 section 8). */
enum { SUIT_AUTHENTICATION = 2, SUIT_MANIFEST = 3 };
enum { SUIT_VERSION = 1, SUIT_SEQUENCE = 2, SUIT_COMMON = 3, SUIT_REFERENCE_URI = 4 };
enum { SUIT_COMMON_COMPONENTS = 2, SUIT_COMMON_SHARED = 4 };

enum suit_command {
    SUIT_CONDITION_VENDOR = 1,
    SUIT_CONDITION_CLASS = 2,
    SUIT_CONDITION_IMAGE_MATCH = 3,
    SUIT_CONDITION_SLOT = 5,
    SUIT_CONDITION_CONTENT = 6,
    SUIT_SET_COMPONENT_INDEX = 12,
    SUIT_CONDITION_ABORT = 14,
    SUIT_TRY_EACH = 15,
    SUIT_WRITE = 18,
    SUIT_SET_PARAMETERS = 19,
    SUIT_OVERRIDE_PARAMETERS = 20,
    SUIT_FETCH = 21,
    SUIT_COPY = 22,
    SUIT_INVOKE = 23,
    SUIT_CONDITION_DEVICE = 24,
    SUIT_SWAP = 31,
    SUIT_RUN_SEQUENCE = 32,
};

enum suit_parameter {
    SUIT_VENDOR_ID = 1,
    SUIT_CLASS_ID = 2,
    SUIT_IMAGE_DIGEST = 3,
    SUIT_SLOT = 5,
    SUIT_STRICT_ORDER = 12,
    SUIT_SOFT_FAILURE = 13,
    SUIT_IMAGE_SIZE = 14,
    SUIT_CONTENT = 18,
    SUIT_URI = 21,
    SUIT_SOURCE_COMPONENT = 22,
    SUIT_INVOKE_ARGUMENTS = 23,
    SUIT_DEVICE_ID = 24,
};

#define SUIT_NUMBER_MAX 63 /* commands and parameters fit a mask */
#define SUIT_BIT(n) (UINT64_C(1) << (n))
#define SUIT_NESTING_MAX 4
#define SUIT_COMMANDS_MAX 256 /* in all sequences of a manifest */

/* What sets the dialects apart. */
struct suit_form {
    const char *name;
    size_t max;               /* bytes of an envelope */
    uint64_t number_max;      /* of sequence numbers, sizes and offsets */
    int64_t digest_algorithm; /* what it calls SHA-256 */
    uint64_t set_parameters;  /* the command before fetch */
    uint64_t commands, parameters;
    uint64_t sections[SUIT_SECTION_COUNT]; /* their members of the manifest; 0: it has none such */
    uint64_t severable;                    /* mask of these members */
    bool indexes_all;                      /* set-component-index may name all components, or a list */
};

const struct suit_form *suit_form_of(enum suit_dialect dialect);

/* A sentence for the caller's reason; returns 1. */
printf_like(3, 4) int suit_refuse(char *reason, size_t reason_size, const char *format, ...);

/* Reads a digest, [algorithm, bytes], and all of the input. False: it is malformed, or not SHA-256. */
bool suit_read_digest(struct cborio_reader *r, const struct suit_form *form, const uint8_t **digest) must_check;
/* The SHA-256 over a byte string with its head. */
bool suit_hash(const uint8_t *start, size_t size, uint8_t out[SUIT_DIGEST_SIZE]) must_check;

/* Runs over the sequences of a manifest whose envelope was read, checks them, and notes what they say about the
 * components, of which there are component_count. 0; 1 with a sentence. */
int suit_interpret(struct suit_manifest *manifest, char *reason, size_t reason_size) must_check;

#endif
