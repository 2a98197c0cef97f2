#ifndef TC_DAEMON_OPTIONS_H
#define TC_DAEMON_OPTIONS_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_MAX_SETTINGS 32

/* What the command line of tcgwd says. Strings are views into argv. */
struct options {
    const char *config;                         /* NULL: the default file, if there is one */
    const char *settings[OPTIONS_MAX_SETTINGS]; /* "section.key=value" */
    size_t setting_count;
    const char *restore; /* a backup, NULL: none */
    bool check_config, print_config, help, version;
};

/* Exit statuses of tcgwd, as its man page lists them; the numbers are those of sysexits.h where it has one. */
enum daemon_exit {
    DAEMON_EXIT_OK = 0,
    DAEMON_EXIT_FAILURE = 1,
    DAEMON_EXIT_USAGE = 64,
    DAEMON_EXIT_DATABASE = 65, /* corrupt, or from a newer version */
    DAEMON_EXIT_LISTEN = 69,   /* a port or socket cannot be listened on */
    DAEMON_EXIT_STATE = 73,    /* the state directory cannot be used, or another daemon uses it */
    DAEMON_EXIT_CONFIG = 78,
};

/* Reads argv. 0, or 1 with a sentence in reason (at least 128 bytes). */
int options_parse(struct options *options, int argc, char **argv, char *reason, size_t reason_size) must_check;

/* Writes the help text to standard output. */
void options_print_help(void);

#endif
