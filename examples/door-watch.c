/* Watches the door and the tilt of a delivery box: the lamp is on while the door is open, the buzzer sounds while the
 * box is tilted, and every change is logged. */
#include "tcgw_container.h"

enum { DOOR = 1, TILT = 2, LAMP = 3, BUZZER = 4 };

#define TILT_LIMIT 30000 /* thousandths of a degree */

struct watch {
    int32_t actuator;
    const char *on, *off;
    uint8_t state;
};

static int32_t door, tilt;
static struct watch lamp = {.on = "door opened", .off = "door closed"};
static struct watch buzzer = {.on = "box tilted", .off = "box upright again"};

static void set(struct watch *watch, uint8_t state)
{
    if (watch->state == state)
        return;
    watch->state = state;
    tcgw_log(state ? watch->on : watch->off);
    tcgw_write(watch->actuator, &watch->state, 1);
}

void tcgw_start(void)
{
    door = tcgw_open(DOOR);
    tilt = tcgw_open(TILT);
    lamp.actuator = tcgw_open(LAMP);
    buzzer.actuator = tcgw_open(BUZZER);
    tcgw_log("watching door and tilt");
}

int32_t tcgw_loop(void)
{
    uint8_t is_open = 0;
    int32_t angle = 0;

    if (tcgw_read(door, &is_open, sizeof is_open) < 0 || tcgw_read(tilt, &angle, sizeof angle) < 0) {
        tcgw_log("sensors cannot be read");
        return 1;
    }
    set(&lamp, is_open);
    set(&buzzer, angle > TILT_LIMIT);
    return 0;
}

void tcgw_stop(void)
{
    set(&lamp, 0);
    set(&buzzer, 0);
}
