#ifndef TC_TESTS_CONF_FIXTURE_H
#define TC_TESTS_CONF_FIXTURE_H

#include "conf/conf.h"

/* A configuration with the defaults, and the last reason; the check fixtures make and end it. */
extern struct conf *conf;
extern char reason[CONF_REASON_SIZE];

void conf_set_up(void);
void conf_tear_down(void);

#endif
