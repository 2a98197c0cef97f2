/* Bad links, and devices that have gone wild. */
#include "agent_plain.h"
#include "suite.h"

#include <string.h>

#define PASSED 10000

struct seen {
    unsigned count, last;
    unsigned older; /* came after a newer one */
    int64_t now, latest_delay;
};

/* Each datagram holds its number and when it was sent. */
struct numbered {
    unsigned number;
    int64_t sent;
};

static void deliver(void *arg, enum link_direction direction, const struct peer *peer, const uint8_t *data, size_t size)
{
    struct seen *seen = arg;
    struct numbered what;

    ck_assert_uint_eq(size, sizeof what);
    ck_assert(direction == LINK_IN && peer->size);
    memcpy(&what, data, sizeof what);
    seen->count++;
    seen->older += what.number < seen->last;
    seen->last = what.number;
    if (seen->now - what.sent > seen->latest_delay)
        seen->latest_delay = seen->now - what.sent;
}

static struct seen pass_all(const struct link_options *options)
{
    struct seen seen = {0};
    struct link link = {.options = options, .deliver = deliver, .arg = &seen, .random = 42};
    const struct peer peer = fixture_peer(1);

    link_init(&link);
    for (unsigned i = 1; i <= PASSED; i++) {
        const struct numbered what = {i, seen.now};

        link_pass(&link, LINK_IN, &peer, (const uint8_t *)&what, sizeof what, seen.now);
        seen.now++;
        if (link_deadline(&link) <= seen.now)
            link_tick(&link, seen.now);
    }
    while (link_deadline(&link) != LINK_NEVER) {
        seen.now = link_deadline(&link);
        link_tick(&link, seen.now);
    }
    link_clear(&link);
    return seen;
}

START_TEST(test_links)
{
    static const struct {
        struct link_options options;
        unsigned least, most, older_least, older_most;
        int64_t delay;
    } cases[] = {{{0}, PASSED, PASSED, 0, 0, 0},
                 {{.lose = 30}, 6800, 7200, 0, 0, 0},
                 {{.lose = 100}, 0, 0, 0, 0, 0},
                 {{.delay_ms = 50}, PASSED, PASSED, 0, 0, 50},
                 {{.duplicate = 20}, 11800, 12200, 0, 0, 0},
                 {{.reorder = 10}, PASSED, PASSED, 800, 1100, 20},
                 {{.reorder = 10, .delay_ms = 30, .lose = 10, .duplicate = 5}, 9200, 9700, 700, 1100, 60}};

    for (size_t i = 0; i < array_size(cases); i++) {
        struct seen seen = pass_all(&cases[i].options);

        ck_assert_msg(seen.count >= cases[i].least && seen.count <= cases[i].most, "%zu: %u passed", i, seen.count);
        ck_assert_msg(seen.older >= cases[i].older_least && seen.older <= cases[i].older_most, "%zu: %u overtaken", i,
                      seen.older);
        ck_assert_int_eq(seen.latest_delay, cases[i].delay);
    }
}
END_TEST

START_TEST(test_what_waits_is_bounded)
{
    static const struct link_options slow = {.delay_ms = LINK_DELAY_MAX};
    struct seen seen = {0};
    struct link link = {.options = &slow, .deliver = deliver, .arg = &seen, .random = 1};
    const struct numbered what = {1, 0};
    const struct peer peer = fixture_peer(1);

    link_init(&link);
    for (unsigned i = 0; i < 2 * LINK_QUEUE_MAX; i++)
        link_pass(&link, LINK_IN, &peer, (const uint8_t *)&what, sizeof what, 0);
    ck_assert_uint_eq(link.waiting, LINK_QUEUE_MAX);
    ck_assert_uint_eq(link.lost, LINK_QUEUE_MAX);
    link_clear(&link);
    ck_assert_uint_eq(seen.count, 0);
}
END_TEST

/* Two devices that talk over a bad link, the other one being the test: all arrives in the end. */
START_TEST(test_telemetry_over_a_bad_link)
{
    struct agent_options options = {
        .traffic.outbox = {.samples = true, .interval_ms = 1000, .records = 4, .buffer = 10000},
        .link = {.lose = 30, .delay_ms = 20, .reorder = 10, .duplicate = 10},
        .ack_timeout_ms = 200};
    struct fixture *f;
    unsigned answered = 0;

    f = plain_new(&options);
    for (int i = 0; i < 300000 && f->agent.traffic.outbox.counters.messages < 100; i++) {
        f->sent_count = 0;
        fixture_pass(f, 1);
        if (plain_take(f)) {
            plain_reply_code(f, COAPMSG_CHANGED);
            answered++;
        }
    }
    ck_assert_uint_eq(f->agent.traffic.outbox.counters.messages, 100);
    ck_assert_uint_gt(answered, 110);
    ck_assert_uint_eq(fixture_journal_count(f, "\"telemetry\"", "acknowledged"), 100);
    fixture_end(f);
}
END_TEST

START_TEST(test_flood)
{
    struct agent_options options = {.flood = {.rate = 50}};
    struct fixture *f;
    unsigned count = 0;

    for (int i = 0; i < 2; i++) {
        options.flood.register_names = i;
        f = plain_new(&options);
        for (count = 0; count < 100 && plain_wait(f, 100); count++) {
            plain_expect(f, COAPMSG_POST, i ? "/rd" : "/t/flood");
            ck_assert_uint_eq(f->answer.type, COAPMSG_NON);
            plain_reply_code(f, COAPMSG_CODE(4, 29));
        }
        ck_assert_int_le(clock_monotonic_ms(&f->clock.clock), 1000000 + 2200);
        ck_assert_int_ge(clock_monotonic_ms(&f->clock.clock), 1000000 + 1900);
        fixture_end(f);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent link");
    TCase *tcase = tcase_create("agent link");

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_links);
    tcase_add_test(tcase, test_what_waits_is_bounded);
    tcase_add_test(tcase, test_telemetry_over_a_bad_link);
    tcase_add_test(tcase, test_flood);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
