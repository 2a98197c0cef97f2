#include "conf_fixture.h"

#include <check.h>
#include <stdlib.h>

struct conf *conf;
char reason[CONF_REASON_SIZE];

/* The defaults do not depend on who runs the tests. */
void conf_set_up(void)
{
    ck_assert_int_eq(setenv("STATE_DIRECTORY", "/var/lib/tcgw", 1), 0);
    ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", "/run/tcgw", 1), 0);
    ck_assert_int_eq(conf_new(&conf), 0);
    reason[0] = 0;
}

void conf_tear_down(void)
{
    conf = conf_free(conf);
}
