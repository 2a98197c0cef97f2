/* A series of datagrams into one agent, of the kind FUZZ_KIND. Input: records of one byte (bit 0: from which peer, bit
 * 1: let time pass first), a length of two bytes, and the datagram. */
#include "agent/agent.h"
#include "base/cursor.h"

#include <arpa/inet.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *arg, const struct peer *peer, const uint8_t *data, size_t size)
{
    (void)arg, (void)peer, (void)data;
    if (size == 0 || size > SERVER_DATAGRAM_MAX)
        abort();
}

static void pass(struct agent *a, struct clock_manual *clock)
{
    for (int i = 0; i < 4; i++) {
        clock_manual_advance(clock, 700);
        agent_tick(a);
    }
    (void)agent_deadline(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct agent_options options = {
        .device = {.kind = FUZZ_KIND, .slots = 2, .package_max = 16384}, .suit = {.femto = true}, .pdu_size = 1204};
    struct journal journal = {.fd = -1};
    struct cursor c = cursor_init(data, size);
    struct clock_manual clock;
    struct agent agent;

    clock_manual_init(&clock, 1000, 1000);
    if (agent_init(&agent, &options, 0, &clock.clock, &journal, ignore, NULL))
        abort();
    while (cursor_left(&c) > 0) {
        struct peer peer = {.size = sizeof peer.address.v4};
        uint8_t flags = cursor_u8(&c);
        size_t said = cursor_u16be(&c), left = cursor_left(&c), length = said < left ? said : left;
        const uint8_t *datagram = cursor_take(&c, length);

        peer.address.v4.sin_family = AF_INET;
        peer.address.v4.sin_port = htons(flags & 1);
        if (flags & 2)
            pass(&agent, &clock);
        if (datagram)
            agent_input(&agent, &peer, datagram, length);
    }
    agent_clear(&agent);
    return 0;
}
