#ifndef TC_DAEMON_RESTORE_H
#define TC_DAEMON_RESTORE_H

#include "conf/conf.h"

/* Restores a backup into the state directory of the configuration, which is taken over, and says on standard output
 * what that means. Returns the exit status. */
int restore_run(struct conf *conf, const char *path);

#endif
