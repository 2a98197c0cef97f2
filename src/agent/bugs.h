#ifndef TC_AGENT_BUGS_H
#define TC_AGENT_BUGS_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The bugs of public agents and of bad links, each to be switched on by itself. A counter says how many more times the
 * bug happens and is counted down; BUGS_ALWAYS never ends.
 */
#define BUGS_ALWAYS UINT32_MAX

struct bugs {
    uint32_t no_dedup;
    uint32_t lose_answer;      /* counter of answers */
    uint32_t lose_load_answer; /* counter of answers to loads and packages */
    uint32_t slow_load;        /* milliseconds */
    uint32_t start_dies;
    uint32_t duplicate_uid;
    uint32_t no_stop;
    uint32_t ended_not_restartable;
    uint32_t garbage_answer;   /* counter of answers */
    uint32_t malformed_answer; /* counter of answers */
    uint32_t separate;         /* milliseconds from the empty ACK to the answer */
    uint32_t old_hash;
    uint32_t silent;
    uint32_t restart_after; /* requests until a restart, 0: none */
    /* with OSCORE; counters of answers, or of notifications */
    uint32_t other_answer, other_token, flip_answer, unprotected_answer, false_hint;
    uint32_t replay_notification, reorder_notification;
    /* of the sensors' resources */
    uint32_t sensor_error; /* counter of answers and notifications */
    uint32_t sensor_endless, observe_forever;
    uint32_t no_version; /* of SUIT devices */
};

struct bug_info {
    const char *name;
    const char *argument; /* NULL: a switch without a value */
    uint32_t unset_value; /* what the name alone means, where a value may be left out; 0: it may not */
    size_t offset;
    const char *help;
};

/* The table, in the order of the help text. */
const struct bug_info *bugs_table(size_t *count);

/* Adds "NAME[=VALUE][,...]" to bugs. Returns 0, or 1 with a sentence in reason. */
int bugs_parse(struct bugs *bugs, const char *text, char *reason, size_t reason_size) must_check;

/* True when a counted bug happens now; counts it. */
bool bugs_happens(uint32_t *counter);

#endif
