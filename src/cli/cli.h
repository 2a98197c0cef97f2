#ifndef TC_CLI_CLI_H
#define TC_CLI_CLI_H

#include "base/cleanup.h"
#include "base/clock.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct client;
struct writer;

/* The exit codes, which scripts rely on; the man page and `tcgw help` list them. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* the operation or the device failed */
    CLI_USAGE = 2,       /* the command line is wrong */
    CLI_NOT_FOUND = 3,   /* 404 */
    CLI_CONFLICT = 4,    /* 409, 412 */
    CLI_INVALID = 5,     /* any other 4xx, and files that cannot be used */
    CLI_UNREACHABLE = 6, /* no gateway answers */
    CLI_TIMEOUT = 7,     /* no end in time; the operation expired */
    CLI_UNSUPPORTED = 8, /* the device's agent cannot do it (501) */
    CLI_GATEWAY = 9,     /* 5xx */
    CLI_INTERRUPTED = 130,
    CLI_PLANNED = -1, /* within the program: --dry-run has told what would be sent, which is a success */
};

enum cli_style { CLI_STYLE_TEXT, CLI_STYLE_JSON, CLI_STYLE_IDS };

/* One run of the program. The caller fills in the first part; cli_run the second from the command line. */
struct cli {
    const struct clock *clock;
    FILE *out, *err;
    bool out_terminal, err_terminal;

    enum cli_style style;
    bool colour_out, colour_err;
    char *socket; /* NULL when url is used */
    char *url;
    char *token; /* a bearer token; NULL: none */
    char *ca;    /* PEM file that the gateway's certificate is checked with; NULL: the system's */
    int64_t timeout_ms;
    bool dry_run;  /* what would change something is told instead of being sent */
    bool watching; /* the command runs again and again, so it may only read */
    struct writer *writer;
    struct client *client; /* made by the first request */
};

/* Set by the handler of SIGINT; whatever waits ends soon afterwards. */
extern volatile sig_atomic_t cli_interrupted;

/* Runs one command line. Returns a cli_exit code; everything that is to be said about an error has been written. */
int cli_run(struct cli *cli, int argc, char *const argv[]) must_check;

/*
 * Writes an error that arose on this side of the connection: what happened, and what to do about it (advice may be
 * NULL). Returns code.
 */
int cli_error(struct cli *cli, int code, const char *advice, const char *format, ...) printf_like(4, 5);

/* Sleeps; shorter when interrupted. */
void cli_sleep_ms(int64_t ms);

#endif
