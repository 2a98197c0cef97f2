#include "core_fixture.h"
#include "fake_store.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* Shadow documents: durable before they are seen. On a store in memory. */

static struct core_fixture f;
static struct device *one;
static unsigned changes[SHADOW_KIND_COUNT], more_changes;

static void note_change(void *arg, struct device *device, enum shadow_kind kind)
{
    (void)arg;
    ck_assert_str_eq(device->id, "one");
    changes[kind]++;
}

static void note_more(void *arg, struct device *device, enum shadow_kind kind)
{
    (void)arg;
    (void)device;
    (void)kind;
    more_changes++;
}

static void setup(void)
{
    fake_store_wipe();
    core_setup(&f);
    one = add_device(&f, "one", AGENT_V2);
    memset(changes, 0, sizeof changes);
    more_changes = 0;
    core_on_shadow(f.core, note_change, changes);
    core_on_shadow(f.core, note_more, &more_changes);
}

static void teardown(void)
{
    core_teardown(&f);
    fake_store_wipe();
}

static uint64_t start_put(enum shadow_kind kind, const char *body, struct outcome *outcome)
{
    struct shadow shadow = {.format = 50, .size = strlen(body)};

    *outcome = (struct outcome){.called = false};
    ck_assert_int_eq(core_put_shadow(f.core, one, kind, &shadow, body, note_done, outcome, NULL), 0);
    return shadow.revision;
}

static uint64_t put_document(enum shadow_kind kind, const char *body)
{
    struct outcome outcome;
    uint64_t revision = start_put(kind, body, &outcome);

    core_flush(&f);
    ck_assert(outcome.called && outcome.fault.code == FAULT_NONE);
    return revision;
}

struct got {
    int result;
    struct shadow shadow;
    char body[1001];
};

static void note_read(void *arg, int result, const struct shadow *shadow, const void *body)
{
    struct got *got = arg;

    got->result = result;
    if (result)
        return;
    got->shadow = *shadow;
    memcpy(got->body, body, shadow->size);
    got->body[shadow->size] = 0;
}

static struct got reads(enum shadow_kind kind)
{
    struct got got = {.result = 1};

    ck_assert_int_eq(core_read_shadow(f.core, one, kind, note_read, &got), 0);
    ck_assert_int_eq(got.result, 1);
    core_flush(&f);
    ck_assert_int_le(got.result, 0);
    return got;
}

START_TEST(a_document_is_seen_when_it_is_durable)
{
    struct outcome outcome;
    uint64_t revision;
    struct got got;

    ck_assert_uint_eq(core_shadow(one, SHADOW_DESIRED).revision, 0);
    ck_assert_int_eq(reads(SHADOW_DESIRED).result, -ENOENT);
    revision = start_put(SHADOW_DESIRED, "{\"on\":true}", &outcome);
    ck_assert_uint_ne(revision, 0);
    ck_assert_uint_eq(core_shadow(one, SHADOW_DESIRED).revision, 0);
    ck_assert_uint_eq(core_shadow_latest(one, SHADOW_DESIRED), revision);
    ck_assert_uint_eq(changes[SHADOW_DESIRED], 0);
    core_flush(&f);
    ck_assert(outcome.called && outcome.fault.code == FAULT_NONE);
    ck_assert_uint_eq(core_shadow(one, SHADOW_DESIRED).revision, revision);
    ck_assert_uint_eq(core_shadow(one, SHADOW_DESIRED).size, 11);
    ck_assert_int_eq(core_shadow(one, SHADOW_DESIRED).format, 50);
    ck_assert(changes[SHADOW_DESIRED] == 1 && changes[SHADOW_REPORTED] == 0 && more_changes == 1);
    got = reads(SHADOW_DESIRED);
    ck_assert_str_eq(got.body, "{\"on\":true}");
    ck_assert_uint_eq(got.shadow.revision, revision);
    ck_assert_int_eq(reads(SHADOW_REPORTED).result, -ENOENT);
    ck_assert_uint_gt(put_document(SHADOW_DESIRED, ""), revision);
    ck_assert_str_eq(reads(SHADOW_DESIRED).body, "");
    core_on_shadow(f.core, NULL, changes);
    (void)put_document(SHADOW_DESIRED, "x");
    ck_assert(changes[SHADOW_DESIRED] == 2 && more_changes == 3);
}
END_TEST

START_TEST(documents_outlive_a_restart_and_a_crash)
{
    uint64_t revision = put_document(SHADOW_REPORTED, "known");
    struct outcome outcome;

    (void)start_put(SHADOW_REPORTED, "lost", &outcome);
    fake_store_crash(f.store);
    core_restart(&f);
    one = core_find_device(f.core, "one");
    ck_assert_uint_eq(core_shadow(one, SHADOW_REPORTED).revision, revision);
    ck_assert_uint_eq(core_shadow(one, SHADOW_REPORTED).size, 5);
    ck_assert_str_eq(reads(SHADOW_REPORTED).body, "known");
    ck_assert_uint_gt(put_document(SHADOW_REPORTED, "more"), revision);
}
END_TEST

START_TEST(what_could_not_be_written_was_not)
{
    uint64_t revision = put_document(SHADOW_DESIRED, "first");
    struct outcome second, third;

    fake_store_fail(1, -ENOSPC);
    (void)start_put(SHADOW_DESIRED, "second", &second);
    core_flush(&f);
    ck_assert_int_eq(second.fault.code, FAULT_STORAGE_FULL);
    ck_assert_uint_eq(core_shadow(one, SHADOW_DESIRED).revision, revision);
    ck_assert_uint_eq(core_shadow_latest(one, SHADOW_DESIRED), revision);
    ck_assert_uint_eq(changes[SHADOW_DESIRED], 1);
    fake_store_fail(1, -EIO);
    (void)start_put(SHADOW_DESIRED, "second", &second);
    revision = start_put(SHADOW_DESIRED, "third", &third);
    core_flush(&f);
    ck_assert_int_eq(second.fault.code, FAULT_STORAGE_FAILED);
    ck_assert_int_eq(third.fault.code, FAULT_NONE);
    ck_assert_uint_eq(core_shadow(one, SHADOW_DESIRED).revision, revision);
    ck_assert_str_eq(reads(SHADOW_DESIRED).body, "third");
}
END_TEST

START_TEST(a_deleted_document_comes_back_with_another_revision)
{
    uint64_t revision = put_document(SHADOW_DESIRED, "first");
    struct outcome outcome = {.called = false};
    struct fault fault;

    ck_assert_int_eq(core_delete_shadow(f.core, one, SHADOW_REPORTED, NULL, NULL, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_NOT_FOUND);
    ck_assert_int_eq(core_delete_shadow(f.core, one, SHADOW_DESIRED, note_done, &outcome, NULL), 0);
    ck_assert_uint_eq(core_shadow(one, SHADOW_DESIRED).revision, revision);
    ck_assert_uint_eq(core_shadow_latest(one, SHADOW_DESIRED), 0);
    ck_assert_int_eq(core_delete_shadow(f.core, one, SHADOW_DESIRED, NULL, NULL, &fault), 1);
    core_flush(&f);
    ck_assert(outcome.called && outcome.fault.code == FAULT_NONE);
    ck_assert_uint_eq(core_shadow(one, SHADOW_DESIRED).revision, 0);
    ck_assert_uint_eq(changes[SHADOW_DESIRED], 2);
    ck_assert_int_eq(reads(SHADOW_DESIRED).result, -ENOENT);
    ck_assert_uint_gt(put_document(SHADOW_DESIRED, "second"), revision);
    revision = core_shadow(one, SHADOW_DESIRED).revision;
    fake_store_fail(1, -EIO);
    ck_assert_int_eq(core_delete_shadow(f.core, one, SHADOW_DESIRED, NULL, NULL, NULL), 0);
    core_flush(&f);
    ck_assert_uint_eq(core_shadow_latest(one, SHADOW_DESIRED), revision);
    ck_assert_int_eq(core_remove_device(f.core, one, NULL, NULL, NULL), 0);
    ck_assert_int_eq(core_put_shadow(f.core, one, SHADOW_DESIRED, &(struct shadow){.format = -1, .size = 1}, "x", NULL,
                                     NULL, &fault),
                     1);
    core_flush(&f);
    ck_assert_uint_eq(fake_store_rows("shadow"), 0);
    clock_manual_advance(&f.clock, 1000);
    one = add_device(&f, "one", AGENT_V2);
    ck_assert_uint_gt(put_document(SHADOW_DESIRED, "third"), revision);
}
END_TEST

START_TEST(documents_are_bounded)
{
    char body[1001];
    struct fault fault;

    memset(body, 'x', sizeof body);
    ck_assert_int_eq(core_put_shadow(f.core, one, SHADOW_DESIRED, &(struct shadow){.format = -1, .size = 1001}, body,
                                     NULL, NULL, &fault),
                     1);
    ck_assert_int_eq(fault.code, FAULT_BODY_TOO_LARGE);
    ck_assert_int_eq(core_put_shadow(f.core, one, SHADOW_DESIRED, &(struct shadow){.format = -1, .size = 1000}, body,
                                     NULL, NULL, &fault),
                     0);
    core_flush(&f);
    ck_assert_uint_eq(core_shadow(one, SHADOW_DESIRED).size, 1000);
    core_stop(f.core);
    ck_assert_int_eq(core_put_shadow(f.core, one, SHADOW_DESIRED, &(struct shadow){.format = -1, .size = 1}, body, NULL,
                                     NULL, &fault),
                     1);
    ck_assert_int_eq(fault.code, FAULT_SHUTTING_DOWN);
}
END_TEST

START_TEST(a_read_that_is_under_way_at_the_end_is_forgotten)
{
    struct got got = {.result = 1};

    (void)put_document(SHADOW_DESIRED, "x");
    ck_assert_int_eq(core_read_shadow(f.core, one, SHADOW_DESIRED, note_read, &got), 0);
    core_restart(&f);
    ck_assert_int_eq(got.result, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_shadow");
    TCase *tcase = tcase_create("shadow");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_document_is_seen_when_it_is_durable);
    tcase_add_test(tcase, documents_outlive_a_restart_and_a_crash);
    tcase_add_test(tcase, what_could_not_be_written_was_not);
    tcase_add_test(tcase, a_deleted_document_comes_back_with_another_revision);
    tcase_add_test(tcase, documents_are_bounded);
    tcase_add_test(tcase, a_read_that_is_under_way_at_the_end_is_forgotten);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
