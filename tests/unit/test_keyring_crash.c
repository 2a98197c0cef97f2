#include "core_fixture.h"
#include "fake_store.h"
#include "suite.h"

#include "base/log.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <uthash.h>

/* Power cuts and failing disks at any moment: no sequence number is used twice, and nothing that was refused comes
 * back. On a store in memory. */

static struct core_fixture f;

static void setup(void)
{
    fake_store_wipe();
    core_setup(&f);
}

static void teardown(void)
{
    core_teardown(&f);
    fake_store_wipe();
}

static void open_gateway(void)
{
    const struct store_options options = {.directory = f.directory};

    ck_assert_int_eq(store_open(&f.store, &options, NULL, 0), 0);
    f.options.store = f.store;
    ck_assert_int_eq(core_new(&f.core, &f.options), 0);
    core_start(f.core);
}

static void power_cut(void)
{
    fake_store_crash(f.store);
    f.core = core_free(f.core);
    f.store = store_close(f.store);
    open_gateway();
}

/* Failures --------------------------------------------------------------------------------------------------------- */

START_TEST(what_could_not_be_revoked_comes_back)
{
    struct device *one = add_device(&f, "one", AGENT_V2);
    struct credential *c = enrol(&f, one, "{}");
    struct outcome outcome = {.called = false};

    ck_assert_int_eq(core_revoke_credentials(f.core, one, c->number, note_done, &outcome, NULL), 0);
    ck_assert_ptr_null(heard(&f, c));
    fake_store_fail(1, -EIO);
    core_flush(&f);
    ck_assert_int_eq(outcome.fault.code, FAULT_STORAGE_FAILED);
    ck_assert_ptr_eq(heard(&f, c), c);
    ck_assert_int_eq(core_remove_device(f.core, one, NULL, NULL, NULL), 0);
    ck_assert_ptr_null(heard(&f, c));
    fake_store_fail(1, -EIO);
    core_flush(&f);
    ck_assert_ptr_eq(heard(&f, c), c);
    ck_assert_uint_eq(take_number(&f, c), 0);
}
END_TEST

START_TEST(what_could_not_be_enrolled_is_gone_and_the_former_back)
{
    struct device *one = add_device(&f, "one", AGENT_V2);
    struct credential *former = enrol(&f, one, "{}");

    fake_store_fail(1, -ENOSPC);
    ck_assert_int_eq(enrols(&f, one, "{}", NULL), FAULT_STORAGE_FULL);
    ck_assert_ptr_eq(one->credentials, former);
    ck_assert_ptr_null(former->next);
    ck_assert_ptr_eq(heard(&f, former), former);
    power_cut();
    ck_assert_uint_eq(credential_of(core_find_device(f.core, "one"), CREDENTIAL_OSCORE, CREDENTIAL_NEW)->number, 1);
}
END_TEST

START_TEST(numbers_that_could_not_be_reserved_are_not_there)
{
    struct device *one = add_device(&f, "one", AGENT_V2);
    struct credential *c = enrol(&f, one, "{}");

    fake_store_fail(1, -ENOSPC);
    ck_assert_int_eq(reserves(&f, c), -ENOSPC);
    ck_assert_uint_eq(oscore_context_sequence_left(c->context), 256);
    fake_store_fail(1, -EIO);
    ck_assert_int_eq(reserves(&f, c), -EIO);
    ck_assert_int_eq(reserves(&f, c), 0);
    ck_assert_uint_gt(oscore_context_sequence_left(c->context), 256);
}
END_TEST

START_TEST(a_promotion_that_failed_is_tried_again)
{
    struct device *one = add_device(&f, "one", AGENT_V2);
    struct credential *old = enrol(&f, one, "{}"), *fresh;

    keyring_verified(f.core, old, NULL);
    core_flush(&f);
    fresh = enrol(&f, one, "{}");
    keyring_verified(f.core, fresh, NULL);
    fake_store_fail(1, -EIO);
    core_flush(&f);
    ck_assert_int_eq(fresh->state, CREDENTIAL_NEW);
    ck_assert_ptr_eq(heard(&f, old), old);
    keyring_verified(f.core, fresh, NULL);
    core_flush(&f);
    ck_assert_ptr_eq(one->credentials, fresh);
    ck_assert_ptr_null(fresh->next);
}
END_TEST

START_TEST(a_renewal_that_failed_leaves_the_old_context)
{
    struct device *one = add_device(&f, "one", AGENT_V2);
    struct credential *c = enrol(&f, one, "{}");
    struct oscore_context *context, *before = c->context;
    struct reservation never = {.done = NULL};

    ck_assert_int_eq(oscore_context_rederive(&context, c->context, "x", 1, c), 0);
    fake_store_fail(1, -EIO);
    keyring_renew(f.core, c, context, &never);
    keyring_cancel_reservation(&never); /* nobody waits any more */
    core_flush(&f);
    ck_assert_ptr_eq(c->context, before);
    ck_assert_ptr_eq(heard(&f, c), c);
    ck_assert_int_eq(reserves(&f, c), 0);
}
END_TEST

static void note_nothing(struct reservation *reservation, int result)
{
    (void)reservation;
    ck_assert_int_eq(result, 0);
}

static struct oscore_window window_of(const struct device *device)
{
    struct oscore_window window;

    oscore_context_get_window(device->credentials->context, &window);
    return window;
}

START_TEST(windows_do_not_outlive_a_crash)
{
    struct device *one = add_device(&f, "one", AGENT_V2);

    (void)enrol(&f, one, "{}");
    oscore_context_set_window(one->credentials->context, &(struct oscore_window){true, 9, 1});
    core_restart(&f);
    ck_assert_uint_eq(window_of(core_find_device(f.core, "one")).highest, 9);
    power_cut();
    ck_assert(!window_of(core_find_device(f.core, "one")).known);
    core_restart(&f); /* what is in the row is of before the crash */
    ck_assert(!window_of(core_find_device(f.core, "one")).known);
    oscore_context_set_window(core_find_device(f.core, "one")->credentials->context,
                              &(struct oscore_window){true, 30, 3});
    core_restart(&f);
    ck_assert_uint_eq(window_of(core_find_device(f.core, "one")).highest, 30);
}
END_TEST

START_TEST(windows_are_not_taken_where_that_cannot_be_written)
{
    struct device *one = add_device(&f, "one", AGENT_V2);

    (void)enrol(&f, one, "{}");
    oscore_context_set_window(one->credentials->context, &(struct oscore_window){true, 9, 1});
    f.core = core_free(f.core);
    f.store = store_close(f.store);
    fake_store_fail(1, -EIO);
    open_gateway();
    ck_assert(!window_of(core_find_device(f.core, "one")).known);
}
END_TEST

/* Not taken over, but still in the rows: a further start must not take what was accepted since a second time. */
START_TEST(windows_that_were_not_taken_do_not_come_back)
{
    struct device *one = add_device(&f, "one", AGENT_V2);

    (void)enrol(&f, one, "{}");
    oscore_context_set_window(one->credentials->context, &(struct oscore_window){true, 9, 1});
    f.core = core_free(f.core);
    f.store = store_close(f.store);
    fake_store_fail(1, -ENOSPC);
    open_gateway();
    one = core_find_device(f.core, "one");
    ck_assert_uint_eq(take_number(&f, one->credentials), UINT64_MAX); /* no Echo can be asked for before */
    ck_assert_int_eq(reserves(&f, one->credentials), 0);
    power_cut();
    ck_assert(!window_of(core_find_device(f.core, "one")).known);
}
END_TEST

/* As the client's part of appendix B.2 makes one: some numbers were good without a reservation. */
START_TEST(a_renewed_context_is_reserved_as_far_as_it_goes)
{
    static struct reservation done;
    struct device *one = add_device(&f, "one", AGENT_V2);
    struct credential *c = enrol(&f, one, "{}");
    struct oscore_context *context;
    uint64_t number, highest = 0;

    ck_assert_int_eq(oscore_context_rederive(&context, c->context, "x", 1, c), 0);
    ck_assert(oscore_context_set_sequence(context, 2, 16));
    done = (struct reservation){.done = note_nothing};
    keyring_renew(f.core, c, context, &done);
    core_flush(&f);
    ck_assert_ptr_eq(c->context, context);
    fake_store_fail(1000, -ENOSPC); /* the disk is full from now on */
    while ((number = take_number(&f, c)) != UINT64_MAX) {
        highest = number;
        core_flush(&f);
    }
    ck_assert_uint_gt(highest, 200);
    fake_store_fail(0, 0);
    power_cut();
    c = core_find_device(f.core, "one")->credentials;
    ck_assert_int_eq(reserves(&f, c), 0);
    ck_assert_uint_gt(take_number(&f, c), highest);
}
END_TEST

/* Each of many takes a number, or asks again when none is left. */
static unsigned served;

static void take_or_ask_again(struct reservation *reservation, int result)
{
    struct credential *c = core_find_device(f.core, "one")->credentials;

    ck_assert_int_eq(result, 0);
    if (take_number(&f, c) == UINT64_MAX)
        keyring_reserve(f.core, c, reservation);
    else
        served++;
}

START_TEST(more_may_wait_than_numbers_are_reserved)
{
    static struct reservation waiting[700];
    struct device *one = add_device(&f, "one", AGENT_V2);

    (void)enrol(&f, one, "{}");
    power_cut();
    one = core_find_device(f.core, "one");
    for (size_t i = 0; i < array_size(waiting); i++) {
        waiting[i] = (struct reservation){.done = take_or_ask_again};
        keyring_reserve(f.core, one->credentials, &waiting[i]);
    }
    for (int i = 0; i < 10 && served < array_size(waiting); i++)
        core_flush(&f);
    ck_assert_uint_eq(served, array_size(waiting));
}
END_TEST

static void count_reserved(struct reservation *reservation, int result)
{
    (void)reservation;
    ck_assert_int_eq(result, 0);
    served++;
}

/* As when an observation is to be refreshed while its last refresh still waits. */
START_TEST(who_asks_twice_is_told_once)
{
    static struct reservation first, second;
    struct credential *c = enrol(&f, add_device(&f, "one", AGENT_V2), "{}");

    first = second = (struct reservation){.done = count_reserved};
    keyring_reserve(f.core, c, &first);
    keyring_reserve(f.core, c, &first);
    keyring_reserve(f.core, c, &second);
    keyring_reserve(f.core, c, &first);
    core_flush(&f);
    ck_assert_uint_eq(served, 2);
}
END_TEST

/* Histories -------------------------------------------------------------------------------------------------------- */

/* A number that was used, with the key that it was used with: the secret's first bytes, and the ID Context. */
struct used {
    struct {
        uint8_t secret[16], id_context[32];
        uint64_t number;
    } key;
    UT_hash_handle hh;
};

static struct used *used;
static uint64_t state;
static struct reservation renewals[4096]; /* a cut leaves some that nobody is told of */
static json_t *secrets[4096];
static unsigned renewal_count, secret_count;

static uint32_t draw(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 11) % n;
}

static void use_number(struct credential *c)
{
    const struct oscore_credentials *ids = oscore_context_credentials(c->context);
    struct used *entry = calloc(1, sizeof *entry), *before = NULL;

    memcpy(entry->key.secret, ids->secret, 16);
    memcpy(entry->key.id_context, ids->id_context, ids->id_context_size);
    entry->key.number = take_number(&f, c);
    if (entry->key.number != UINT64_MAX) {
        HASH_FIND(hh, used, &entry->key, sizeof entry->key, before);
        ck_assert_msg(!before, "number %llu was used twice", (unsigned long long)entry->key.number);
        HASH_ADD(hh, used, key, sizeof entry->key, entry);
    } else {
        free(entry);
    }
}

static void free_used(void)
{
    struct used *entry, *next;

    HASH_ITER(hh, used, entry, next)
    {
        HASH_DEL(used, entry);
        free(entry);
    }
}

static void note_reserved(struct reservation *reservation, int result)
{
    (void)reservation;
    (void)result;
}

static void renew(struct credential *c)
{
    struct reservation *done = &renewals[renewal_count++ % array_size(renewals)];
    struct oscore_context *context;
    uint8_t id_context[8];

    for (size_t i = 0; i < sizeof id_context; i++)
        id_context[i] = (uint8_t)draw(256);
    ck_assert_int_eq(oscore_context_rederive(&context, c->context, id_context, sizeof id_context, c), 0);
    done->done = note_reserved;
    keyring_renew(f.core, c, context, done);
}

static void ignore_done(void *arg, const struct fault *fault)
{
    (void)fault;
    json_decref(*(json_t **)arg);
}

static void start_enrolment(struct device *device)
{
    json_t **out = &secrets[secret_count++ % array_size(secrets)], *body = json_object();
    struct fault fault;

    *out = NULL;
    if (core_enrol_device(f.core, device, body, ignore_done, out, &fault, out))
        ck_assert_int_eq(fault.code, FAULT_CONFLICT); /* the one before is not stored yet */
    json_decref(body);
}

static void step(struct device *device)
{
    struct credential *c = device->credentials;

    for (uint32_t n = draw(3); c && c->next && n > 0; n--)
        c = c->next;
    if (!c || c->hidden) {
        if (draw(10) == 0)
            start_enrolment(device);
        return;
    }
    for (uint32_t n = draw(200); n > 0; n--)
        use_number(c);
    switch (draw(12)) {
    case 0:
        start_enrolment(device);
        break;
    case 1:
        renew(c);
        break;
    case 2:
        if (draw(8) == 0)
            (void)!core_revoke_credentials(f.core, device, c->number, NULL, NULL, NULL);
        break;
    case 3:
        if (draw(8) == 0)
            (void)!core_distrust_contexts(f.core, NULL, NULL, NULL);
        break;
    case 4:
    case 5:
    case 6:
        keyring_verified(f.core, c, NULL);
        break;
    default:
        break;
    }
}

static void check_bounds(const struct device *device)
{
    unsigned count = 0, active = 0;

    for (const struct credential *c = device->credentials; c; c = c->next) {
        count++;
        active += c->state == CREDENTIAL_ACTIVE && !c->hidden;
        ck_assert(!c->next || c->number != c->next->number);
    }
    ck_assert_uint_le(count, 12); /* those on their way in and out, too */
    ck_assert_uint_le(active, 2);
}

START_TEST(no_number_is_used_twice)
{
    unsigned cuts = 0;

    state = (uint64_t)(_i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < 3; i++)
        (void)add_device(&f, (const char *const[]){"a", "b", "c"}[i], AGENT_V2);
    for (int i = 0; i < 2000; i++) {
        struct device *device = core_find_device(f.core, (const char *const[]){"a", "b", "c"}[draw(3)]);

        step(device);
        check_bounds(device);
        if (draw(40) == 0)
            fake_store_fail(1 + draw(3), -EIO);
        fake_store_commit(f.store, draw(4));
        fake_store_tell(f.store, draw(4));
        clock_manual_advance(&f.clock, draw(2000));
        core_run(f.core);
        if (draw(100) == 0) {
            power_cut();
            cuts++;
        } else if (draw(150) == 0) {
            core_restart(&f);
        }
    }
    ck_assert_uint_gt(cuts, 5);
    ck_assert_uint_gt(HASH_COUNT(used), 5000);
    free_used();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyring_crash");
    TCase *tcase = tcase_create("crash");

    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_could_not_be_revoked_comes_back);
    tcase_add_test(tcase, what_could_not_be_enrolled_is_gone_and_the_former_back);
    tcase_add_test(tcase, numbers_that_could_not_be_reserved_are_not_there);
    tcase_add_test(tcase, a_promotion_that_failed_is_tried_again);
    tcase_add_test(tcase, a_renewal_that_failed_leaves_the_old_context);
    tcase_add_test(tcase, windows_do_not_outlive_a_crash);
    tcase_add_test(tcase, windows_are_not_taken_where_that_cannot_be_written);
    tcase_add_test(tcase, windows_that_were_not_taken_do_not_come_back);
    tcase_add_test(tcase, a_renewed_context_is_reserved_as_far_as_it_goes);
    tcase_add_test(tcase, more_may_wait_than_numbers_are_reserved);
    tcase_add_test(tcase, who_asks_twice_is_told_once);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("histories");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, no_number_is_used_twice, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
