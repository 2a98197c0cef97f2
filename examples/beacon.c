/* Logs its version and how often it ran. Version 2 divides by the number of its neighbours, of which it has none, so
 * that it traps on its third run: what a canary is there to find (scripts/demo-fleet). */
#include "tcgw_container.h"

#ifndef VERSION
#define VERSION 1
#endif

static uint32_t runs, neighbours;

void tcgw_start(void)
{
    tcgw_log("beacon begins");
}

int32_t tcgw_loop(void)
{
    char line[32], *end;

    runs++;
    if (VERSION == 2 && runs == 3)
        runs /= *(volatile uint32_t *)&neighbours;
    end = tcgw_put_unsigned(tcgw_put_text(line, "version "), VERSION);
    end = tcgw_put_unsigned(tcgw_put_text(end, ", run "), runs);
    *end = 0;
    tcgw_log(line);
    return 0;
}
