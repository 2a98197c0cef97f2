#ifndef TC_AGENT_SUITDEV_PLAN_H
#define TC_AGENT_SUITDEV_PLAN_H

#include "base/cleanup.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a SUIT device is to do for a manifest that it accepted, whichever dialect that is written in. */
#define SUITDEV_COMPONENTS 4
#define SUITDEV_NAME_SIZE 48
#define SUITDEV_URI_SIZE 128

struct suitdev_step {
    char name[SUITDEV_NAME_SIZE]; /* of the component: its segments with dots between; "00" for the firmware */
    bool fetches;                 /* from uri; what came must have this size and digest */
    char uri[SUITDEV_URI_SIZE];
    uint64_t size;
    uint8_t digest[32];
};

struct suitdev_plan {
    uint64_t sequence;
    size_t count;
    struct suitdev_step steps[SUITDEV_COMPONENTS];
};

/* What a device compares a manifest with. */
struct suitdev_identity {
    uint8_t vendor[16], class_id[16];
    EVP_PKEY *key;     /* that manifests must be signed with; NULL: any signature will do */
    uint64_t sequence; /* of the last manifest; a new one must be above */
    uint32_t offset;   /* of the firmware slot that does not run */
};

/* Fills in the ids of a board: UUIDv5(DNS, vendor) and UUIDv5(that, board) (RFC 4122 section 4.3). */
void suitdev_identify(struct suitdev_identity *identity, const char *vendor, const char *board);

/*
 * A strict reader of what RIOT's sys/suit accepts (docs/suit.md): at most SUITDEV_RIOT_MAX bytes; the envelope a map of
 * the authentication (2) and the manifest (3); the manifest a map of the keys 1, 2, 3, 9 and 10; all keys ascending;
 * sequences flat arrays of commands and arguments. It runs the sequences as the device does, up to the fetches.
 * Returns 0, or 1 with a sentence in reason.
 */
#define SUITDEV_RIOT_MAX 640
int suitdev_read_riot(struct suitdev_plan *plan, const struct suitdev_identity *identity, const uint8_t *data,
                      size_t size, char *reason, size_t reason_size) must_check;

/* The same for the current form (draft-ietf-suit-manifest-37), with the reader of codec/suit.h. */
int suitdev_read_ietf(struct suitdev_plan *plan, const struct suitdev_identity *identity, const uint8_t *data,
                      size_t size, char *reason, size_t reason_size) must_check;

#endif
