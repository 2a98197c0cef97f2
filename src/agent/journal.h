#ifndef TC_AGENT_JOURNAL_H
#define TC_AGENT_JOURNAL_H

#include "base/buffer.h"
#include "base/clock.h"
#include "tcgw/oscore.h"

#include <stddef.h>
#include <stdint.h>

/*
 * What really happened on the simulated devices, for tests: one JSON object a line, written at once. Members: "time",
 * "device" (its port), "event" ("load", "start", "stop", "remove", "duplicate", "state", "damaged", "restart", and
 * those of OSCORE and of what the device sends by itself; tcagent(1) has them all), and where they apply "uid",
 * "outcome", "code" (of an answer, or of a message), "sha256" (of the container's code), "message_id", "counter",
 * "role", "kid", "id_context", "piv", "hash", "records", "detail".
 */
struct journal {
    int fd; /* negative: write nothing */
    const struct clock *clock;
};

/* A protected message. */
struct journal_protected {
    const char *role;   /* of the device: "server" or "client" */
    const uint8_t *kid; /* NULL: none */
    size_t kid_size;
    const struct oscore_credentials *context; /* NULL: none was found; its ID Context is written, nothing else */
    const char *number; /* "piv", or "request_piv" for an answer under its request's number; NULL: none */
    uint64_t piv;
    uint64_t hash; /* the last 8 bytes of the ciphertext, of its authentication tag; 0: none */
};

struct journal_entry {
    const char *device;
    const char *event;
    const void *uid; /* bytes; what is not ASCII is written as \u00XX */
    size_t uid_size;
    const char *outcome;                       /* NULL: none */
    uint8_t code;                              /* 0: none */
    const uint8_t *digest;                     /* 32 bytes, NULL: none */
    int32_t message_id;                        /* negative: none */
    const char *detail;                        /* NULL: none */
    uint64_t counter;                          /* 0: none */
    const struct journal_protected *protected; /* NULL: none */
    const char *records;                       /* JSON: [[name, microseconds or null, value], ...]; NULL: none */
};

/* Opens a file to append to, which is created when it is not there. Returns 0 or a negative errno. */
int journal_open(struct journal *j, const char *path, const struct clock *clock) must_check;
/* Appends bytes as a string of the journal: those that are not ASCII as \u00XX. */
void journal_put_string(struct buffer *line, const void *text, size_t size);
void journal_write(const struct journal *j, const struct journal_entry *entry);
void journal_close(struct journal *j);

#endif
