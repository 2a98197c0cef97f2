#include "coap/update.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* Pending updates: who may have what, and what counts as fetched. */

#define DIGEST_A "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"
#define DIGEST_B "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct clock_manual manual;
static struct updates updates;
static struct peer box, other_port, stranger;
static uint8_t payload[1000];

static struct peer peer_at(const char *address)
{
    struct peer peer;

    ck_assert_int_eq(peer_parse(address, &peer), 0);
    return peer;
}

static void set_up(void)
{
    clock_manual_init(&manual, 1000, 0);
    updates_init(&updates, &manual.clock);
    box = peer_at("coap://[fd00::1]:5683");
    other_port = peer_at("coap://[fd00::1]:40000");
    stranger = peer_at("coap://[fd00::2]:5683");
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 3);
}

static void tear_down(void)
{
    updates_clear(&updates);
    ck_assert_ptr_null(updates.images);
    ck_assert_ptr_null(updates.by_alias);
}

static struct update *add(const char *device, const struct peer *host, const char *digest)
{
    struct update *update = update_new(&updates, device, host, digest, payload, sizeof payload);

    ck_assert_ptr_nonnull(update);
    buffer_append(&update->manifest, payload, 150);
    update_seal(&updates, update);
    return update;
}

static struct update *manifest(const char *name, const char *device, const struct peer *peer)
{
    struct update_caller caller = {device, peer};

    return update_of_manifest(&updates, name, strlen(name), &caller);
}

static struct update *image(const char *digits, const char *device, const struct peer *peer, size_t offset)
{
    struct update_caller caller = {device, peer};

    return update_of_payload(&updates, digits, strlen(digits), &caller, offset);
}

START_TEST(a_manifest_goes_to_its_device_alone)
{
    struct update *update = add("box-1", &box, DIGEST_A);

    ck_assert_ptr_eq(update_find(&updates, "box-1"), update);
    ck_assert_ptr_eq(manifest("box-1", NULL, &box), update);
    ck_assert_ptr_eq(manifest("box-1", NULL, &other_port), update); /* RIOT fetches from another port */
    ck_assert_ptr_eq(manifest(update->alias, NULL, &other_port), update);
    ck_assert_ptr_eq(manifest("box-1", "box-1", &stranger), update); /* who proves who he is may come from anywhere */
    ck_assert_ptr_null(manifest("box-1", NULL, &stranger));
    ck_assert_ptr_null(manifest(update->alias, NULL, &stranger));
    ck_assert_ptr_null(manifest("box-1", "box-2", &box));
    ck_assert_ptr_null(manifest("box-2", NULL, &box));
    ck_assert_ptr_null(manifest("", NULL, &box));
    update_free(&updates, update);
    ck_assert_ptr_null(manifest("box-1", NULL, &box));
}
END_TEST

START_TEST(nothing_is_given_before_the_manifest_is_there)
{
    struct update *update = update_new(&updates, "box-1", &box, DIGEST_A, payload, sizeof payload);

    ck_assert_ptr_nonnull(update);
    ck_assert_ptr_null(manifest("box-1", NULL, &box));
    ck_assert_ptr_null(image(DIGEST_A, NULL, &box, 0));
}
END_TEST

START_TEST(a_payload_is_found_by_digits_of_its_digest)
{
    struct update *update = add("box-1", &box, DIGEST_A);

    (void)add("box-2", &stranger, DIGEST_B);
    ck_assert_ptr_eq(image(DIGEST_A, NULL, &box, 0), update);
    ck_assert_ptr_eq(image("aaaaaaaaaaaaaaaab", NULL, &other_port, 64), update);
    ck_assert_ptr_eq(image("aaaaaaaaaaaaaaaa", "box-1", &stranger, 0), update);
    ck_assert_ptr_null(image("aaaaaaaaaaaaaaa", NULL, &box, 0)); /* too few to be sure */
    ck_assert_ptr_null(image("AAAAAAAAAAAAAAAA", NULL, &box, 0));
    ck_assert_ptr_null(image(DIGEST_A "0", NULL, &box, 0));
    ck_assert_ptr_null(image(DIGEST_A, NULL, &stranger, 0));
    ck_assert_ptr_null(image(DIGEST_B, NULL, &box, 0));
}
END_TEST

START_TEST(devices_that_share_an_address_are_told_apart)
{
    struct peer second = peer_at("coap://[fd00::1]:5684");
    struct update *a = add("box-1", &box, DIGEST_A), *b = add("box-2", &second, DIGEST_A);

    ck_assert_ptr_eq(a->image, b->image);
    ck_assert_ptr_eq(image(DIGEST_A, NULL, &box, 0), a);
    ck_assert_ptr_eq(image(DIGEST_A, NULL, &second, 0), b);
    ck_assert_ptr_eq(image(DIGEST_A, "box-2", &box, 0), b);
    b->payload_taken = 128; /* by other ports: the one that would go on there */
    ck_assert_ptr_eq(image(DIGEST_A, NULL, &other_port, 128), b);
    ck_assert_ptr_eq(image(DIGEST_A, NULL, &other_port, 0), a);
    ck_assert_ptr_eq(image(DIGEST_A, NULL, &other_port, 64), b);
}
END_TEST

/* Asks for a block; returns the answer's payload size. */
static size_t ask(struct update *update, bool is_payload, uint32_t num, uint8_t szx, bool moves, bool more)
{
    struct coapmsg_block asked = {num, false, szx}, told;
    struct coapmsg response;
    uint32_t size2 = 0;
    size_t whole = is_payload ? sizeof payload : 150;

    ck_assert_int_eq(update_answer(&updates, update, is_payload, &asked, &response), moves);
    ck_assert_int_eq(response.code, COAPMSG_CONTENT);
    ck_assert_int_eq(coapmsg_get_block(&response, COAPMSG_OPT_BLOCK2, &told), 0);
    ck_assert_uint_eq(told.num, num);
    ck_assert_uint_eq(told.szx, szx);
    ck_assert_int_eq(told.more, more);
    ck_assert_int_eq(coapmsg_get_uint(&response, COAPMSG_OPT_SIZE2, &size2), num == 0 && more);
    ck_assert_uint_eq(size2, num == 0 && more ? whole : 0);
    ck_assert_mem_eq(response.payload, payload + ((size_t)num << (szx + 4)), response.payload_size);
    return response.payload_size;
}

START_TEST(what_was_fetched_counts_once_and_in_order)
{
    struct update *update = add("box-1", &box, DIGEST_A);

    clock_manual_advance(&manual, 500);
    ck_assert_uint_eq(ask(update, false, 0, 2, true, true), 64);
    ck_assert_int_eq(update->active_at, 1500);
    ck_assert_uint_eq(ask(update, false, 0, 2, false, true), 64);  /* repeated */
    ck_assert_uint_eq(ask(update, false, 2, 2, false, false), 22); /* what is between was not fetched */
    ck_assert_uint_eq(update->manifest_taken, 64);
    ck_assert_uint_eq(ask(update, false, 1, 2, true, true), 64);
    ck_assert_uint_eq(ask(update, false, 2, 2, true, false), 22);
    ck_assert_uint_eq(update->manifest_taken, 150);
    ck_assert(!update->complete);
    for (uint32_t i = 0; i < 15; i++)
        ck_assert_uint_eq(ask(update, true, i, 2, true, true), 64);
    ck_assert(!update->complete);
    clock_manual_advance(&manual, 100);
    ck_assert_uint_eq(ask(update, true, 15, 2, true, false), 40);
    ck_assert(update->complete);
    ck_assert_int_eq(update->complete_at, 1600);
}
END_TEST

START_TEST(blocks_may_be_of_any_size_or_none)
{
    struct update *update = add("box-1", &box, DIGEST_A);
    struct coapmsg response;
    struct coapmsg_block block;

    ck_assert_uint_eq(ask(update, true, 0, 0, true, true), 16);
    ck_assert_uint_eq(ask(update, true, 0, 6, true, false), 1000);
    ck_assert(update_answer(&updates, update, false, NULL, &response)); /* without Block2: 64 bytes, and more */
    ck_assert_uint_eq(response.payload_size, 64);
    ck_assert_int_eq(coapmsg_get_block(&response, COAPMSG_OPT_BLOCK2, &block), 0);
    ck_assert_uint_eq(block.szx, 2);
    ck_assert(block.more);
    block = (struct coapmsg_block){16, false, 2};
    ck_assert(!update_answer(&updates, update, true, &block, &response)); /* behind the end */
    ck_assert_int_eq(response.code, COAPMSG_BAD_REQUEST);
    block = (struct coapmsg_block){0xfffff, false, 6};
    ck_assert(!update_answer(&updates, update, true, &block, &response));
    ck_assert_int_eq(response.code, COAPMSG_BAD_REQUEST);
}
END_TEST

START_TEST(one_whose_payload_is_elsewhere_ends_with_its_manifest)
{
    struct update *update = add("box-1", &box, DIGEST_A);

    update->fetches_payload = false;
    (void)ask(update, false, 0, 4, true, false);
    ck_assert(update->complete);
}
END_TEST

START_TEST(there_is_a_limit)
{
    char id[16];

    for (unsigned i = 0; i < UPDATES_MAX; i++) {
        (void)snprintf(id, sizeof id, "box-%u", i);
        (void)add(id, &box, i % 2 ? DIGEST_A : DIGEST_B);
    }
    ck_assert_uint_eq(HASH_COUNT(updates.images), 2);
    ck_assert_ptr_null(update_new(&updates, "more", &box, DIGEST_A, payload, sizeof payload));
    update_free(&updates, update_find(&updates, "box-7"));
    (void)add("more", &box, DIGEST_A);
    update_free(&updates, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap_update");
    TCase *tc = suite_add_case(suite, "update", set_up, tear_down);

    tcase_add_test(tc, a_manifest_goes_to_its_device_alone);
    tcase_add_test(tc, nothing_is_given_before_the_manifest_is_there);
    tcase_add_test(tc, a_payload_is_found_by_digits_of_its_digest);
    tcase_add_test(tc, devices_that_share_an_address_are_told_apart);
    tcase_add_test(tc, what_was_fetched_counts_once_and_in_order);
    tcase_add_test(tc, blocks_may_be_of_any_size_or_none);
    tcase_add_test(tc, one_whose_payload_is_elsewhere_ends_with_its_manifest);
    tcase_add_test(tc, there_is_a_limit);
    return suite_run(suite);
}
