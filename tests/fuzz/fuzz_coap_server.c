#include "server_fixture.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A record is one byte of what happens, two bytes of length, and a message. */
enum happening {
    PROTECTED = 1, /* the message is a plain one, which the device protects */
    DAMAGED = 2,   /* and somebody flips a bit */
    WITHOUT_WINDOW = 4,
    AT_ONCE = 8, /* the core's callbacks come */
    SECOND_DEVICE = 16,
    MODIFIED = 32, /* its desired shadow */
    NOTICED = 64,  /* something becomes of the first notification */
    LATER = 128,
};

#define REQUESTS 32

static struct incoming requests[REQUESTS];
static size_t count;
static struct gadget *gadgets[2];

/* What the first device may fetch. */
static void add_update(void)
{
    static const char digest[CORE_DIGEST_TEXT] = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd";
    static const uint8_t payload[1000];
    struct update *update = update_new(&world.updates, "a", &gadgets[0]->peer, digest, payload, sizeof payload);

    if (!update)
        abort();
    buffer_append(&update->manifest, payload, 150);
    update_seal(&world.updates, update);
}

/* What the device would send; 0: no engine protects that. */
static size_t protect(struct gadget *gadget, uint8_t what, const uint8_t *data, size_t size, uint8_t *out)
{
    static uint8_t buffer[8192];
    struct coapmsg plain, outer;

    if (coapmsg_decode(&plain, data, size) != 0 ||
        oscore_protect_request(gadget->client, &plain, what & LATER ? OSCORE_WITH_KID_CONTEXT : 0, &gadget->binding,
                               &outer, buffer, sizeof buffer) != 0 ||
        coapmsg_size(&outer) > 4096)
        return 0;
    return world_encode(&outer, out);
}

static void send_one(struct gadget *gadget, uint8_t what, const uint8_t *data, size_t size)
{
    uint8_t datagram[4096];
    unsigned verified = gadgets[0]->verified + gadgets[1]->verified;
    struct incoming *to = &requests[count++];

    size = size < sizeof datagram ? size : sizeof datagram;
    memcpy(datagram, data, size);
    if (what & PROTECTED)
        size = protect(gadget, what, data, size, datagram);
    if (size && what & PROTECTED && what & DAMAGED)
        datagram[size - 1] ^= 1; /* its tag */
    to->identity = what & PROTECTED || !(what & DAMAGED) ? NULL : "second";
    world_send(to, &gadget->peer, datagram, size);
    /* who has no keys is nobody */
    if ((what & (PROTECTED | DAMAGED)) != PROTECTED && gadgets[0]->verified + gadgets[1]->verified != verified)
        abort();
}

static void happen(uint8_t what, const uint8_t *data, size_t size)
{
    struct gadget *gadget = gadgets[what & SECOND_DEVICE ? 1 : 0];

    if (what & WITHOUT_WINDOW)
        world_forget_window(gadget);
    if (what & MODIFIED)
        world_write_desired(gadget, what & LATER ? -1 : 60, data, size);
    else
        send_one(gadget, what, data, size);
    if (what & LATER) {
        clock_manual_advance(&world.clock, 3000);
        observers_run(world.server);
    }
    if (what & AT_ONCE)
        world_run();
    if (what & NOTICED && world_first_notice() && world_first_notice()->owner)
        world_take_notice(world_first_notice(), what & AT_ONCE ? -1 : CHANNEL_RESET);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct server_stats stats;

    world_open();
    world.directory_answer = "</a>;rt=\"temperature\";anchor=\"coap://[2001:db8::1]\",</b>;rt=\"light\";if=x;ct=50";
    gadgets[0] = world_add("a", false);
    gadgets[1] = world_add("b", true);
    add_update();
    count = 0;
    memset(requests, 0, sizeof requests);
    for (size_t at = 0; at + 3 <= size && count < REQUESTS;) {
        size_t length = (size_t)(data[at + 1] << 8 | data[at + 2]);
        uint8_t what = data[at];

        at += 3;
        length = length < size - at ? length : size - at;
        happen(what, data + at, length);
        at += length;
    }
    world_run();
    stats = world_stats();
    if (stats.held || stats.transfers > 64 || stats.observers > 6)
        abort();
    for (size_t i = 0; i < count; i++)
        if (requests[i].state == INCOMING_HELD)
            abort();
    world_close();
    return 0;
}
