/* Sends the temperature to the platform: each reading as the text of degrees Celsius, and its number, which grows by
 * one, so that somebody who gets them sees whether one is missing. */
#include "tcgw_container.h"

enum { TEMPERATURE = 1, READING = 2, NUMBER = 3 };

static int32_t in, reading, number;
static uint32_t count;

void tcgw_start(void)
{
    in = tcgw_open(TEMPERATURE);
    reading = tcgw_open(READING);
    number = tcgw_open(NUMBER);
    tcgw_log("the platform hears of the temperature");
}

/* "21.345" from thousandths of a degree; returns where it ends */
static char *put_degrees(char *out, int32_t value)
{
    char *point;

    if (value < 0) {
        *out++ = '-';
        value = -value;
    }
    /* 1000 is added so that the fraction keeps its leading zeros; the point takes the place of the 1 */
    point = tcgw_put_unsigned(out, (uint32_t)value / 1000);
    out = tcgw_put_unsigned(point, (uint32_t)value % 1000 + 1000);
    *point = '.';
    return out;
}

static int32_t send(int32_t descriptor, const char *text, const char *end)
{
    return tcgw_write(descriptor, text, (uint32_t)(end - text)) < 0;
}

int32_t tcgw_loop(void)
{
    char text[24];
    int32_t value;

    if (tcgw_read(in, &value, sizeof value) != sizeof value || send(reading, text, put_degrees(text, value))) {
        tcgw_log("no sensor, or no way to the platform");
        return 1;
    }
    return send(number, text, tcgw_put_unsigned(text, ++count));
}

void tcgw_stop(void)
{
    tcgw_close(in);
    tcgw_close(reading);
    tcgw_close(number);
}
