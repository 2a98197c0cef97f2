#include "coap/pace.h"

#define SZX_MIN 2   /* 64 bytes */
#define LOST_MANY 3 /* of PACE_BLOCKS */
#define HOLD 8      /* measurements after a trial that failed */

static void measure_anew(struct pace *pace)
{
    pace->blocks = pace->lost = 0;
    pace->bytes = pace->ms = 0;
}

void pace_begin(struct pace *pace, uint8_t szx, uint8_t max)
{
    *pace = (struct pace){.szx = szx, .max = max};
}

static void judge(struct pace *pace)
{
    double rate = (double)pace->bytes / (double)(pace->ms ? pace->ms : 1);
    bool worse = pace->before > 0 && rate < pace->before;

    pace->before = 0;
    pace->held -= pace->held > 0;
    if (worse && pace->szx < pace->max) {
        pace->szx++;
        pace->held = HOLD;
    } else if (pace->lost == 0 && pace->szx < pace->max) {
        pace->szx++;
    } else if (pace->lost >= LOST_MANY && pace->szx > SZX_MIN && !pace->held) {
        pace->before = rate;
        pace->szx--;
    }
}

void pace_note(struct pace *pace, uint32_t bytes, uint64_t ms, bool lost)
{
    pace->blocks++;
    pace->lost += lost;
    pace->bytes += bytes;
    pace->ms += ms;
    if (pace->blocks < PACE_BLOCKS)
        return;
    judge(pace);
    measure_anew(pace);
}
