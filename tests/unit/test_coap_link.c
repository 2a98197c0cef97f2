#include "coap/link.h"

#include "base/cleanup.h"
#include "coap/pace.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* Who may send how much over a link when, and in how large pieces. */

static uv_loop_t loop;
static struct links links;
static unsigned calls; /* of ready */

struct sender {
    struct link_place place;
    unsigned called; /* the number of the last call, from 1; 0: none */
    bool again;      /* asks again when it is called */
    bool taken;      /* and got it */
    size_t bytes;
    uint64_t at; /* when, loop ms */
};

static void on_ready(struct link_place *place)
{
    struct sender *sender = container_of(place, struct sender, place);

    sender->called = ++calls;
    sender->at = uv_now(&loop);
    if (sender->again)
        sender->taken = link_take(&links, place, sender->bytes);
}

static struct agent_link link_of(uint32_t parallel, uint32_t rate)
{
    return (struct agent_link){.name = "radio", .parallel = parallel, .rate = rate};
}

/* Whether it may send at once. */
static bool comes(struct sender *sender, const struct agent_link *link, uint64_t turn)
{
    sender->called = 0;
    sender->again = true;
    ck_assert(link_enter(&links, &sender->place, link, turn, on_ready));
    return sender->taken = link_take(&links, &sender->place, sender->bytes);
}

static void setup(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    links_init(&links, &loop);
    calls = 0;
}

static void note_closed(void *arg)
{
    *(bool *)arg = true;
}

static void teardown(void)
{
    bool closed = false;

    links_close(&links, note_closed, &closed);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert(closed);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

/* Until it was called, at most ten seconds. */
static void waits_for(const struct sender *sender)
{
    uint64_t end = uv_now(&loop) + 10000;

    while (!sender->called && uv_now(&loop) < end)
        (void)uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_ne(sender->called, 0);
}

START_TEST(places_are_given_in_the_order_of_asking)
{
    const struct agent_link link = link_of(1, 0);
    struct sender a = {.bytes = 100}, b = a, c = a;
    uint64_t turn;

    ck_assert(comes(&a, &link, 0));
    turn = a.place.turn;
    ck_assert(!comes(&b, &link, 0));
    ck_assert(!comes(&c, &link, 0));
    ck_assert(link_take(&links, &a.place, 100)); /* it has its place */
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(calls, 0);
    link_leave(&links, &a.place); /* made room for a request to its device */
    waits_for(&b);
    ck_assert(b.taken);
    ck_assert_uint_eq(c.called, 0);
    ck_assert(!comes(&a, &link, turn)); /* and stands where it stood: before c */
    link_leave(&links, &b.place);
    waits_for(&a);
    ck_assert(a.taken);
    ck_assert_uint_eq(c.called, 0);
    link_leave(&links, &a.place);
    waits_for(&c);
    ck_assert(c.taken);
    link_leave(&links, &c.place);
    ck_assert_ptr_null(links.table);
}
END_TEST

START_TEST(a_place_may_be_left_at_any_time)
{
    const struct agent_link link = link_of(1, 0);
    struct sender a = {.bytes = 100}, b = a, c = a;

    ck_assert(comes(&a, &link, 0));
    ck_assert(!comes(&b, &link, 0));
    ck_assert(!comes(&c, &link, 0));
    link_leave(&links, &b.place); /* while it waits */
    link_leave(&links, &b.place);
    link_leave(&links, &a.place);
    waits_for(&c);
    ck_assert_uint_eq(b.called, 0);
    link_leave(&links, &c.place);
    ck_assert_ptr_null(links.table);
}
END_TEST

START_TEST(more_places_come_with_new_settings)
{
    const struct agent_link narrow = link_of(1, 0), wide = link_of(3, 0);
    struct sender a = {.bytes = 100}, b = a, c = a;

    ck_assert(comes(&a, &narrow, 0));
    ck_assert(!comes(&b, &narrow, 0));
    ck_assert(!comes(&c, &wide, 0)); /* not before b */
    waits_for(&c);
    ck_assert_uint_eq(b.called, 1);
    ck_assert(b.taken && c.taken);
    link_leave(&links, &a.place);
    link_leave(&links, &b.place);
    link_leave(&links, &c.place);
}
END_TEST

/* What needs no place stands in one queue with transfers' blocks, and tells how long it will take. */
START_TEST(guests_wait_for_bytes_only)
{
    const struct agent_link link = link_of(1, 10000);
    struct sender a = {.bytes = 2000}, b = a, guest = {.again = true, .bytes = 1000};

    ck_assert(comes(&a, &link, 0));
    ck_assert(link_enter_guest(&links, &guest.place, &link, on_ready));
    ck_assert(!link_take(&links, &guest.place, guest.bytes)); /* a's bytes come first */
    ck_assert_uint_ge(link_delay(&guest.place), 200);
    ck_assert_uint_le(link_delay(&guest.place), 300);
    ck_assert(!comes(&b, &link, 0)); /* a has the place */
    waits_for(&guest);
    ck_assert(guest.taken);
    ck_assert_uint_eq(b.called, 0);
    link_leave(&links, &a.place);
    waits_for(&b);
    link_leave(&links, &b.place);
    ck_assert(links.table != NULL); /* guest is still there */
    ck_assert(!link_take(&links, &guest.place, guest.bytes) || guest.taken);
    link_leave(&links, &guest.place); /* also while it waits */
    link_leave(&links, &guest.place);
}
END_TEST

/* Two senders for a while: never more than the rate and what had gathered, and both get their share. */
START_TEST(bytes_go_at_the_rate)
{
    const struct agent_link link = link_of(0, 100000);
    struct sender senders[2] = {{.bytes = 1000}, {.bytes = 1000}};
    uint64_t began, sent[2] = {0}, total;

    uv_update_time(&loop);
    began = uv_now(&loop);
    for (size_t i = 0; i < 2; i++)
        sent[i] = comes(&senders[i], &link, 0) ? 1000 : 0;
    while (uv_now(&loop) < began + 500) {
        for (size_t i = 0; i < 2; i++) {
            if (senders[i].taken) {
                senders[i].taken = false;
                senders[i].called = 0;
                senders[i].taken = link_take(&links, &senders[i].place, 1000);
                sent[i] += senders[i].taken ? 1000 : 0;
            } else if (senders[i].called) {
                senders[i].called = 0;
            }
        }
        (void)uv_run(&loop, UV_RUN_ONCE);
        for (size_t i = 0; i < 2; i++)
            sent[i] += senders[i].called && senders[i].taken ? 1000 : 0;
    }
    total = sent[0] + sent[1];
    ck_assert_uint_le(total, (uv_now(&loop) - began) * 100 + 100000 / 10 + 2000);
    ck_assert_uint_ge(sent[0] + 3000, sent[1]);
    ck_assert_uint_ge(sent[1] + 3000, sent[0]);
    for (size_t i = 0; i < 2; i++)
        link_leave(&links, &senders[i].place);
}
END_TEST

START_TEST(what_others_send_counts)
{
    const struct agent_link link = link_of(0, 10000), other = {.name = "other", .rate = 10};
    struct sender a = {.bytes = 1};
    uint64_t began;

    link_charge(&links, &link, 1 << 20); /* nothing is on it */
    ck_assert(comes(&a, &link, 0));
    link_charge(&links, &other, 1 << 20);
    uv_update_time(&loop);
    began = uv_now(&loop);
    link_charge(&links, &link, 1500);
    ck_assert(!link_take(&links, &a.place, 1));
    waits_for(&a);
    ck_assert(a.taken);
    ck_assert_uint_ge(a.at - began, 100);
    link_leave(&links, &a.place);
}
END_TEST

START_TEST(what_others_send_does_not_count_for_ever)
{
    const struct agent_link link = link_of(0, 1000000);
    struct sender a = {.bytes = 1};

    ck_assert(comes(&a, &link, 0));
    for (int i = 0; i < 1000; i++)
        link_charge(&links, &link, 1 << 30);
    ck_assert(!link_take(&links, &a.place, 1));
    waits_for(&a); /* two seconds */
    ck_assert(a.taken);
    link_leave(&links, &a.place);
}
END_TEST

START_TEST(no_link_has_no_limits)
{
    const struct agent_link none = {.name = "", .parallel = 1, .rate = 1};
    struct sender a = {.bytes = 1 << 20}, b = a;

    ck_assert(!link_enter(&links, &a.place, &none, 0, on_ready));
    ck_assert(!link_enter(&links, &b.place, &none, 0, on_ready));
    ck_assert(link_take(&links, &a.place, a.bytes));
    ck_assert(link_take(&links, &b.place, b.bytes));
    link_leave(&links, &a.place);
    link_leave(&links, &b.place);
    ck_assert_ptr_null(links.table);
}
END_TEST

/* Blocks ----------------------------------------------------------------------------------------------------------- */

/* A measurement of blocks of which so many were lost. */
static void measures(struct pace *pace, uint32_t bytes, uint64_t ms, unsigned lost)
{
    for (unsigned i = 0; i < PACE_BLOCKS; i++)
        pace_note(pace, bytes, ms, i < lost);
}

START_TEST(blocks_stay_large_where_none_is_lost)
{
    struct pace pace;

    pace_begin(&pace, 6, 6);
    for (unsigned i = 0; i < 20; i++)
        measures(&pace, 1024, 200, i % 2); /* one here and there */
    ck_assert_uint_eq(pace.szx, 6);
    pace_begin(&pace, 3, 5); /* grow from where they were, as far as they may */
    for (unsigned i = 0; i < 20; i++)
        measures(&pace, 128, 200, 0);
    ck_assert_uint_eq(pace.szx, 5);
}
END_TEST

START_TEST(smaller_blocks_are_kept_where_they_are_faster)
{
    struct pace pace;

    pace_begin(&pace, 6, 6);
    measures(&pace, 1024, 4000, 4);
    ck_assert_uint_eq(pace.szx, 5);
    measures(&pace, 512, 1000, 3); /* faster, and still many lost */
    ck_assert_uint_eq(pace.szx, 4);
    measures(&pace, 256, 300, 1);
    ck_assert_uint_eq(pace.szx, 4);
    measures(&pace, 256, 100, 0);
    ck_assert_uint_eq(pace.szx, 5);
}
END_TEST

START_TEST(smaller_blocks_are_given_up_where_they_are_slower)
{
    struct pace pace;

    pace_begin(&pace, 6, 6);
    measures(&pace, 1024, 1000, 4);
    ck_assert_uint_eq(pace.szx, 5);
    measures(&pace, 512, 900, 4); /* it is not their size that they are lost for */
    ck_assert_uint_eq(pace.szx, 6);
    measures(&pace, 1024, 1000, 4);
    ck_assert_uint_eq(pace.szx, 6); /* not tried again at once */
    for (int i = 0; i < 7; i++)
        measures(&pace, 1024, 1000, 4);
    ck_assert_uint_eq(pace.szx, 5);
}
END_TEST

START_TEST(blocks_have_a_smallest_size)
{
    struct pace pace;

    pace_begin(&pace, 6, 6);
    for (int i = 0; i < 50; i++)
        measures(&pace, 16u << pace.szx, 1u << 2 * pace.szx, PACE_BLOCKS); /* the smaller the faster */
    ck_assert_uint_eq(pace.szx, 2);                                        /* 64 bytes */
    measures(&pace, 64, 0, PACE_BLOCKS);                                   /* in no time */
    ck_assert_uint_ge(pace.szx, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap_link");
    TCase *tc = suite_add_case(suite, "links", setup, teardown), *pace = tcase_create("blocks");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, places_are_given_in_the_order_of_asking);
    tcase_add_test(tc, a_place_may_be_left_at_any_time);
    tcase_add_test(tc, more_places_come_with_new_settings);
    tcase_add_test(tc, guests_wait_for_bytes_only);
    tcase_add_test(tc, bytes_go_at_the_rate);
    tcase_add_test(tc, what_others_send_counts);
    tcase_add_test(tc, what_others_send_does_not_count_for_ever);
    tcase_add_test(tc, no_link_has_no_limits);
    tcase_add_test(pace, blocks_stay_large_where_none_is_lost);
    tcase_add_test(pace, smaller_blocks_are_kept_where_they_are_faster);
    tcase_add_test(pace, smaller_blocks_are_given_up_where_they_are_slower);
    tcase_add_test(pace, blocks_have_a_smallest_size);
    suite_add_tcase(suite, pace);
    return suite_run(suite);
}
