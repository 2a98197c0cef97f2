#include "server_fixture.h"
#include "suite.h"

#include <string.h>

/* What SUIT devices fetch from the gateway: protected, or in plain CoAP from their address. */

#define DIGEST "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"

static struct gadget *a, *b;
static struct update *update;
static struct coapmsg request, answer;
static uint8_t datagram[4096], payload[1000];
static struct incoming incoming;
static unsigned moves;

static void on_served(struct update *served, bool moved)
{
    ck_assert_ptr_eq(served, update);
    moves += moved;
}

static void set_up(void)
{
    world_open();
    a = world_add("a", false);
    b = world_add("b", false);
    memset(payload, 7, sizeof payload);
    update = update_new(&world.updates, "a", &a->peer, DIGEST, payload, sizeof payload);
    ck_assert_ptr_nonnull(update);
    buffer_append(&update->manifest, "manifest", 8);
    update_seal(&world.updates, update);
    update->served = on_served;
    moves = 0;
}

static void make(uint8_t code, const char *path, uint32_t block)
{
    coapmsg_init(&request, COAPMSG_CON, code);
    coapmsg_add_path(&request, path);
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){block, false, 2});
}

static uint8_t plain(const struct peer *peer)
{
    incoming = (struct incoming){.identity = NULL};
    world_send(&incoming, peer, datagram, world_encode(&request, datagram));
    world_run();
    if (incoming.state != INCOMING_ANSWERED)
        return 0;
    world_read_answer(&incoming, &answer);
    return answer.code;
}

/* From another port of its address, as RIOT's client does. */
static struct peer other_port(const struct gadget *gadget)
{
    struct peer peer = gadget->peer;

    if (peer.address.any.sa_family == AF_INET)
        peer.address.v4.sin_port ^= 0x0101;
    else
        peer.address.v6.sin6_port ^= 0x0101;
    return peer;
}

static struct peer other_host(const struct gadget *gadget)
{
    struct peer peer = gadget->peer;

    if (peer.address.any.sa_family == AF_INET)
        peer.address.v4.sin_addr.s_addr ^= htonl(0xff00);
    else
        peer.address.v6.sin6_addr.s6_addr[7] ^= 0xff;
    return peer;
}

START_TEST(a_device_with_keys_gets_its_update_protected)
{
    make(COAPMSG_GET, "/m/a", 0);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
    ck_assert(answer.payload_size == 8 && memcmp(answer.payload, "manifest", 8) == 0);
    ck_assert_uint_eq(moves, 1);
    make(COAPMSG_GET, "/a/" DIGEST, 1);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
    ck_assert_uint_eq(answer.payload_size, 64);
    ck_assert_uint_eq(moves, 1); /* the first block was not fetched */
    make(COAPMSG_GET, "/m/a", 0);
    ck_assert_uint_eq(world_exchange(b, &request, &answer), COAPMSG_NOT_FOUND);
    make(COAPMSG_GET, "/a/" DIGEST, 0);
    ck_assert_uint_eq(world_exchange(b, &request, &answer), COAPMSG_NOT_FOUND);
}
END_TEST

START_TEST(its_address_gets_it_in_plain_coap)
{
    struct peer near = other_port(a), far = other_host(a);

    make(COAPMSG_GET, "/m/a", 0);
    ck_assert_uint_eq(plain(&near), COAPMSG_CONTENT);
    ck_assert(!incoming.keep);
    ck_assert_uint_eq(plain(&far), COAPMSG_NOT_FOUND);
    make(COAPMSG_GET, "/a/aaaaaaaaaaaaaaaabbbb", 0);
    ck_assert_uint_eq(plain(&near), COAPMSG_CONTENT);
    ck_assert_uint_eq(plain(&far), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(world_stats().update_requests, 4);
}
END_TEST

START_TEST(it_is_not_held_up_as_a_stranger_is)
{
    struct peer near = other_port(a), far = other_host(a);
    unsigned given = 0, refused = 0;

    for (unsigned i = 0; i < 200; i++) {
        make(COAPMSG_GET, "/a/" DIGEST, i % 15);
        given += plain(&near) == COAPMSG_CONTENT;
        refused += plain(&far) == 0;
    }
    ck_assert_uint_eq(given, 200);
    ck_assert_uint_gt(refused, 100);
    ck_assert_uint_eq(world_stats().transfers, 0); /* nothing is kept of it */
}
END_TEST

START_TEST(what_was_not_there_is_there_later)
{
    world_use_plain(a);
    make(COAPMSG_GET, "/m/b", 1); /* a later block, of nothing */
    ck_assert_uint_eq(plain(&a->peer), COAPMSG_NOT_FOUND);
    update = update_new(&world.updates, "b", &a->peer, DIGEST, payload, sizeof payload);
    buffer_append(&update->manifest, payload, 100);
    ck_assert_uint_eq(plain(&a->peer), COAPMSG_CONTENT);
    ck_assert_uint_eq(answer.payload_size, 36);
}
END_TEST

START_TEST(nothing_else_is_answered)
{
    static const char *const paths[] = {"/m", "/m/", "/m/a/x", "/a", "/a/", "/a/x", "/a/aaaaaaaaaaaaaaa", "/m/b"};

    for (size_t i = 0; i < array_size(paths); i++) {
        make(COAPMSG_GET, paths[i], 0);
        ck_assert_uint_eq(plain(&a->peer), COAPMSG_NOT_FOUND);
    }
    make(COAPMSG_PUT, "/m/a", 0);
    ck_assert_uint_eq(plain(&a->peer), COAPMSG_METHOD_NOT_ALLOWED);
    make(COAPMSG_DELETE, "/a/" DIGEST, 0);
    ck_assert_uint_eq(plain(&a->peer), COAPMSG_METHOD_NOT_ALLOWED);
    make(COAPMSG_GET, "/m/a", 1);
    ck_assert_uint_eq(plain(&a->peer), COAPMSG_BAD_REQUEST); /* there is no such block */
    ck_assert_uint_eq(moves, 0);
}
END_TEST

static void make_of_size(const char *path, uint32_t block, uint8_t szx)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_path(&request, path);
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){block, false, szx});
}

/* An address may be forged: what goes there is not much larger than what came. */
START_TEST(plain_answers_are_small)
{
    struct coapmsg_block block;

    make_of_size("/a/" DIGEST, 2, 4);
    ck_assert_uint_eq(plain(&a->peer), COAPMSG_CONTENT);
    ck_assert_uint_eq(answer.payload_size, 64);
    ck_assert_int_eq(coapmsg_get_block(&answer, COAPMSG_OPT_BLOCK2, &block), 0);
    ck_assert(block.num == 8 && block.szx == 2 && block.more);
    make_of_size("/a/" DIGEST, (1u << 20) - 1, 6);
    ck_assert_uint_eq(plain(&a->peer), COAPMSG_BAD_REQUEST);
    make_of_size("/a/" DIGEST, 0, 6);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
    ck_assert_uint_eq(answer.payload_size, sizeof payload);
}
END_TEST

/* A device that was in the middle of it before a restart of the gateway asks again when it hears nothing. */
START_TEST(nothing_is_denied_at_first)
{
    world.server->quiet_until = clock_monotonic_ms(&world.clock.clock) + 1000;
    make(COAPMSG_GET, "/m/b", 0);
    ck_assert_uint_eq(plain(&b->peer), 0);
    ck_assert_uint_eq(world_exchange(b, &request, &answer), COAPMSG_NOT_FOUND);
    make(COAPMSG_GET, "/m/a", 0);
    ck_assert_uint_eq(plain(&a->peer), COAPMSG_CONTENT);
    clock_manual_advance(&world.clock, 1000);
    make(COAPMSG_GET, "/m/b", 0);
    ck_assert_uint_eq(plain(&b->peer), COAPMSG_NOT_FOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap server update");
    TCase *tc = suite_add_case(suite, "update", set_up, world_close);

    tcase_add_test(tc, a_device_with_keys_gets_its_update_protected);
    tcase_add_test(tc, its_address_gets_it_in_plain_coap);
    tcase_add_test(tc, it_is_not_held_up_as_a_stranger_is);
    tcase_add_test(tc, what_was_not_there_is_there_later);
    tcase_add_test(tc, nothing_else_is_answered);
    tcase_add_test(tc, plain_answers_are_small);
    tcase_add_test(tc, nothing_is_denied_at_first);
    return suite_run(suite);
}
