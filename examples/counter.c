/* Counts its runs in its data section, which keeps its content from run to run, sends a heartbeat, logs the count and
 * writes it to an output endpoint. The first four bytes of the data part are where it begins. */
#include "tcgw_container.h"

enum { OUTPUT = 1 };

static uint32_t count;

int64_t counter(const struct tcgw_context *context)
{
    char line[sizeof "count " + 10];
    int64_t output;

    if (count == 0 && context && context->size >= sizeof count)
        count = *(const uint32_t *)context->data;
    count++;
    tcgw_heartbeat();
    tcgw_log_bytes(line, (uint64_t)(tcgw_put_unsigned(tcgw_put_text(line, "count "), count) - line));
    output = tcgw_open(OUTPUT);
    if (output >= 0) {
        tcgw_write(output, &count, sizeof count);
        tcgw_close(output);
    }
    return count;
}
