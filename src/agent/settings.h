#ifndef TC_AGENT_SETTINGS_H
#define TC_AGENT_SETTINGS_H

#include "agent/device.h"

#include <stdio.h>

/* The command line of tcagent, from one table: parsing, --help, and the list that the manual page is checked against.
 */
struct settings {
    const char *address;
    uint16_t port;
    unsigned count;
    size_t pdu_size;
    const char *journal; /* NULL: none */
    struct device_options device;
    bool help;
    bool version;
};

/* Fills in the defaults and then what the arguments say. Returns 0, or 1 with a sentence in reason. */
int settings_parse(struct settings *s, int argc, char **argv, char *reason, size_t reason_size) must_check;

void settings_print_help(FILE *out);

#endif
