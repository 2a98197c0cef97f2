#ifndef TC_CLI_PROGRESS_H
#define TC_CLI_PROGRESS_H

#include "cli/cli.h"

/*
 * One line on the terminal for what takes longer than a second; nothing when stderr is no terminal or the output is
 * for scripts. It stands on stderr and is gone when it ends.
 */
struct progress {
    struct cli *cli;
    char doing[160];        /* "deploying door to box-1" */
    char step[128];         /* "loading", may be empty */
    int64_t done, total;    /* bytes of the step; total 0: it has none */
    char pace[64];          /* "48.0 KiB/s, 2 s left", may be empty */
    int64_t started, drawn; /* monotonic ms */
    bool shown;
};

void progress_begin(struct progress *progress, struct cli *cli, const char *doing);
/* What it is at; drawn when it is time. */
void progress_step(struct progress *progress, const char *step);
/* The same with a bar. rate: bytes per second, 0: not known. */
void progress_transfer(struct progress *progress, const char *step, int64_t done, int64_t total, int64_t rate);
/* A client_request's progress function; arg is the progress. Shows a bar while bytes flow. */
void progress_bytes(void *progress, int64_t sent, int64_t to_send, int64_t received, int64_t to_receive);
void progress_end(struct progress *progress);

#endif
