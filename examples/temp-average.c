/* Averages the temperature over a window, writes every average to an output endpoint and logs it. The first byte of
 * the data part is the number of readings in a window (1 to 64); without one it is 8. */
#include "tcgw_container.h"

enum { TEMPERATURE = 1, AVERAGE = 2 };

TCGW_DATA(4);

static int32_t in, out;
static uint32_t window, count;
static int32_t sum;

void tcgw_start(void)
{
    window = tcgw_data.size > 0 ? tcgw_data.bytes[0] : 8;
    if (window < 1 || window > 64)
        window = 8;
    in = tcgw_open(TEMPERATURE);
    out = tcgw_open(AVERAGE);
}

/* "average 21.345 C": thousandths of a degree */
static void log_average(int32_t average)
{
    char line[32], *end = tcgw_put_text(line, "average ");

    if (average < 0) {
        *end++ = '-';
        average = -average;
    }
    /* 1000 is added so that the fraction keeps its leading zeros; the point takes the place of the 1 */
    end = tcgw_put_unsigned(end, (uint32_t)average / 1000);
    tcgw_put_text(tcgw_put_unsigned(end, (uint32_t)average % 1000 + 1000), " C")[0] = '\0';
    *end = '.';
    tcgw_log(line);
}

int32_t tcgw_loop(void)
{
    int32_t value;

    if (tcgw_read(in, &value, sizeof value) != sizeof value) {
        tcgw_log("temperature cannot be read");
        return 1;
    }
    sum += value;
    if (++count < window)
        return 0;
    value = sum / (int32_t)count;
    sum = 0;
    count = 0;
    log_average(value);
    return tcgw_write(out, &value, sizeof value) < 0;
}

void tcgw_stop(void)
{
    tcgw_close(in);
    tcgw_close(out);
}
