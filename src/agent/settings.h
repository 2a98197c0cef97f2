#ifndef TC_AGENT_SETTINGS_H
#define TC_AGENT_SETTINGS_H

#include "agent/agent.h"
#include "agent/enrolment.h"

#include <stdio.h>

/* The command line of tcagent, from one table: parsing, --help, and the list that the manual page is checked against.
 */
struct settings {
    const char *address;
    uint16_t port;
    unsigned count;
    const char *journal;        /* NULL: none */
    struct enrolment enrolment; /* what agent.security.credentials points to */
    EVP_PKEY *suit_key;         /* what agent.suit.key points to */
    struct agent_options agent;
    bool help;
    bool version;
};

/* Fills in the defaults and then what the arguments say. Returns 0, or 1 with a sentence in reason; settings_clear ends
 * it in both cases. */
int settings_parse(struct settings *s, int argc, char **argv, char *reason, size_t reason_size) must_check;

void settings_clear(struct settings *s);

void settings_print_help(FILE *out);

#endif
