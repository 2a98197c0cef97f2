#ifndef TESTS_SUIT_BUILDER_H
#define TESTS_SUIT_BUILDER_H

#include "agent/suitdev_plan.h"
#include "base/buffer.h"
#include "codec/cborio.h"

/* Manifests of RIOT's dialect, right ones and wrong ones, signed. */
struct builder {
    uint64_t sequence; /* the members of the manifest, unless the test writes others */
    const char *slot;  /* of ["ram", slot] */
    const char *uri;
    const uint8_t *digest;
    uint64_t size;
    uint8_t vendor[16], class_id[16];
    enum {
        BUILD_WELL,
        BUILD_KEYS_IN_OTHER_ORDER, /* of the manifest */
        BUILD_COMMON_IN_OTHER_ORDER,
        BUILD_PARAMETERS_IN_OTHER_ORDER,
        BUILD_UNKNOWN_KEY,
        BUILD_UNKNOWN_COMMAND,
        BUILD_UNKNOWN_PARAMETER,
        BUILD_NESTED_SEQUENCE, /* an array for each command, as later drafts never had either */
        BUILD_ODD_SEQUENCE,
        BUILD_NO_VENDOR_CHECK,
        BUILD_NO_IMAGE_CHECK,
        BUILD_NO_FETCH,
        BUILD_FETCH_TWICE,
        BUILD_NO_SEQUENCE_NUMBER,
        BUILD_LONG, /* over 640 bytes by conditions that are repeated */
        BUILD_COUNT
    } flaw;
};

void builder_init(struct builder *b);
/* Appends the envelope. */
void builder_write(const struct builder *b, EVP_PKEY *key, struct buffer *out);

#endif
