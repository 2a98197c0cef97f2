/* Answers to what one agent sends by itself: it registers and sends telemetry. Input: records of one byte (low half:
 * how much time passes first; highest bit: as a message of its own instead of an acknowledgement), the code, the
 * length, and the bytes behind the token, options and payload. Message ID and token are those of its latest request. */
#include "agent/agent.h"
#include "base/cursor.h"

#include <arpa/inet.h>
#include <string.h>

#define STEP_MS 400
#define HEADER 4

struct latest {
    uint8_t header[HEADER + COAPMSG_MAX_TOKEN];
    size_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep(void *arg, const struct peer *peer, const uint8_t *data, size_t size)
{
    struct latest *latest = arg;

    (void)peer;
    if (size < HEADER || size > SERVER_DATAGRAM_MAX)
        abort();
    if (COAPMSG_CLASS(data[1]) != 0 || data[1] == COAPMSG_EMPTY)
        return;
    latest->size = HEADER + (data[0] & 0xf);
    memcpy(latest->header, data, latest->size);
}

static void answer(struct agent *a, const struct latest *latest, const struct peer *peer, uint8_t flags,
                   struct cursor *c)
{
    uint8_t code = cursor_u8(c), datagram[HEADER + COAPMSG_MAX_TOKEN + UINT8_MAX];
    size_t said = cursor_u8(c), left = cursor_left(c), length = said < left ? said : left;
    const uint8_t *rest = cursor_take(c, length);

    memcpy(datagram, latest->header, latest->size);
    datagram[0] = (uint8_t)((datagram[0] & 0xcf) | (flags & 0x80 ? COAPMSG_CON : COAPMSG_ACK) << 4);
    datagram[1] = code;
    if (rest && length)
        memcpy(datagram + latest->size, rest, length);
    agent_input(a, peer, datagram, latest->size + length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct agent_options options = {
        .device = {.kind = DEVICE_V2, .slots = 2, .package_max = 16384},
        .traffic = {.count = 1,
                    .gateway = {.size = sizeof(struct sockaddr_in)},
                    .registration = {.kind = REGISTRATION_FULL, .lifetime = 3, .name = "box"},
                    .outbox = {.samples = true, .interval_ms = 1000, .records = 3, .buffer = 30}},
        .pdu_size = 1204};
    struct journal journal = {.fd = -1};
    struct cursor c = cursor_init(data, size);
    struct latest latest = {.size = HEADER};
    struct clock_manual clock;
    struct agent agent;

    clock_manual_init(&clock, 1000, 1000);
    if (agent_init(&agent, &options, 0, &clock.clock, &journal, keep, &latest))
        abort();
    agent_tick(&agent);
    while (cursor_left(&c) > 0) {
        uint8_t flags = cursor_u8(&c);

        for (int left = flags & 0xf; left > 0; left--) {
            clock_manual_advance(&clock, STEP_MS);
            agent_tick(&agent);
        }
        answer(&agent, &latest, &options.traffic.gateway, flags, &c);
        (void)agent_deadline(&agent);
    }
    (void)agent_end(&agent);
    agent_tick(&agent);
    agent_clear(&agent);
    return 0;
}
