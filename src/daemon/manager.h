#ifndef TC_DAEMON_MANAGER_H
#define TC_DAEMON_MANAGER_H

#include "conf/conf.h"
#include "daemon/options.h"

/*
 * Owns every module: starts them in order, runs the loop until a signal asks to stop, and stops them in reverse.
 */

/* Reads the configuration that the options name. 0, or 1 with a sentence in reason (at least 256 bytes). */
int manager_read_conf(struct conf **out, const struct options *options, char *reason, size_t reason_size) must_check;

/* Runs the daemon until it is told to stop. Takes the configuration over. Returns the exit status. */
int manager_run(struct conf *conf, const struct options *options);

#endif
