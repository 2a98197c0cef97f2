#ifndef TC_CLI_WAIT_H
#define TC_CLI_WAIT_H

#include "cli/command.h"

#include <jansson.h>

/* What needs a device becomes an operation: sending it, and waiting for its end. */

struct submission {
    const char *method;
    char *path; /* taken over */
    const json_t *body;
    const void *raw; /* instead of body, with its type (NULL: none) */
    size_t raw_size;
    const char *body_type;
    bool async;    /* it becomes an operation because it is asked to */
    bool detached; /* its end is not waited for */
    char *doing;   /* "deploying door to box-1"; taken over */
    char *done;    /* "door runs on box-1."; taken over */
    /* In place of done, for one that has succeeded: malloc'ed; NULL: done it is. */
    char *(*tell)(const json_t *operation);
};

/*
 * Sends the request and, unless --no-wait, follows its operation to the end: writes the outcome. The request itself
 * does not wait, so that the operation's id is known when the user interrupts. Returns a cli_exit code.
 */
int wait_submit(struct cli *cli, const struct arguments *args, struct submission submission) must_check;

/*
 * Follows an operation (a reference that is taken) until it ends or limit_ms (negative: none) have passed. `changed` is
 * called with each new representation, may be NULL. *ended is the last one. Returns 0 when it ended, however it did.
 */
int wait_follow(struct cli *cli, json_t *operation, const char *doing, int64_t limit_ms,
                void (*changed)(struct cli *cli, const json_t *operation), json_t **ended) must_check;

/* Writes how an ended operation ended and returns its exit code. */
int wait_report(struct cli *cli, const json_t *operation, const char *doing, const char *done);

bool wait_has_ended(const json_t *operation);

/* printf into memory; the caller frees it. */
char *wait_sentence(const char *format, ...) printf_like(1, 2);

#endif
