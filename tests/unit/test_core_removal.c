#include "core_fixture.h"
#include "fake_store.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* What is removed or cancelled while its records are being committed. On a store in memory. */

static struct core_fixture f;
static struct device *v1;
static const char *job;

static void setup(void)
{
    fake_store_wipe();
    core_setup(&f);
    v1 = add_device(&f, "one", AGENT_V1);
    job = add_artifact(&f, "loop()", NULL);
}

static void teardown(void)
{
    core_teardown(&f);
    fake_store_wipe();
}

/* An operation that ends while its container is being forgotten must not stay at the head of its device's queue. */
START_TEST(operation_cancelled_while_its_container_is_forgotten)
{
    char id[UUID_SIZE];

    (void)put(&f, v1, "ahead", job, "running");
    (void)text_copy(id, sizeof id, put(&f, v1, "job", job, "running")->id);
    ck_assert_int_eq(core_forget_container(f.core, core_find_container(v1, "job"), NULL, NULL, NULL), 0);
    ck_assert_int_eq(core_cancel_operation(f.core, core_find_operation(f.core, id), NULL, NULL, NULL), 0);
    ends(&f, id, OPERATION_CANCELLED, FAULT_CANCELLED);
    deploys(&f, v1, "next", job, OPERATION_SUCCEEDED, FAULT_NONE);
    core_restart(&f);
    ck_assert_ptr_null(core_find_container(core_find_device(f.core, "one"), "job"));
    ends(&f, id, OPERATION_CANCELLED, FAULT_CANCELLED);
}
END_TEST

START_TEST(operation_that_expires_while_its_container_is_forgotten)
{
    char id[UUID_SIZE];

    f.sim.latency = 4 * (int64_t)f.options.operation_ttl_ms; /* the device is silent */
    (void)text_copy(id, sizeof id, put(&f, v1, "job", job, "running")->id);
    ck_assert_int_eq(core_forget_container(f.core, core_find_container(v1, "job"), NULL, NULL, NULL), 0);
    clock_manual_advance(&f.clock, f.options.operation_ttl_ms);
    core_run(f.core);
    f.sim.latency = 20;
    ends(&f, id, OPERATION_EXPIRED, FAULT_EXPIRED);
    deploys(&f, v1, "next", job, OPERATION_SUCCEEDED, FAULT_NONE);
}
END_TEST

/* Nobody was told yet that it is there: its cancellation could be stored and its creation not. */
START_TEST(operation_is_not_cancelled_before_it_is_stored)
{
    struct outcome outcome = {.called = false};
    json_t *body = json_pack("{s:s}", "artifact", job);
    struct operation *op;
    struct fault fault;

    ck_assert_int_eq(core_put_container(f.core, v1, "job", body, 0, note_done, &outcome, NULL, &op), 0);
    ck_assert_int_eq(core_cancel_operation(f.core, op, NULL, NULL, &fault), 1);
    ck_assert_str_eq(fault_info(fault.code)->slug, fault_info(FAULT_CONFLICT)->slug);
    fake_store_fail(1, -ENOSPC);
    core_flush(&f);
    ck_assert(outcome.called);
    core_restart(&f);
    ck_assert_uint_eq(fake_store_rows("operation"), 0);
    ck_assert_uint_eq(fake_store_rows("container"), 0);
    json_decref(body);
}
END_TEST

/* A change of a device whose creation failed does not bring it back after a restart. */
START_TEST(device_that_was_not_stored_stays_away)
{
    json_t *body = json_of("{'address':'coap://a','id':'two'}"), *patch = json_of("{'name':'new'}");
    struct outcome outcome = {.called = false};
    struct device *device;

    ck_assert_int_eq(core_add_device(f.core, body, note_done, &outcome, NULL, &device), 0);
    ck_assert_int_eq(core_patch_device(f.core, device, patch, NULL, NULL, NULL), 0);
    fake_store_fail(1, -ENOSPC);
    core_flush(&f);
    ck_assert(outcome.called);
    ck_assert_ptr_null(core_find_device(f.core, "two"));
    core_restart(&f);
    ck_assert_ptr_null(core_find_device(f.core, "two"));
    json_decref(patch);
    json_decref(body);
}
END_TEST

static void ignore_query(void *arg, const struct core_query_result *result)
{
    (void)result;
    ++*(unsigned *)arg;
}

/* Nor does what a query saw of a container bring that back. */
START_TEST(container_that_was_not_stored_stays_away)
{
    struct device *device = add_device(&f, "two", AGENT_V2);
    json_t *body = json_pack("{s:s}", "artifact", job);
    struct outcome outcome = {.called = false};
    struct operation *op;
    unsigned asked = 0;

    ck_assert_int_eq(core_put_container(f.core, device, "job", body, 0, note_done, &outcome, NULL, &op), 0);
    ck_assert_int_eq(core_query_container(f.core, core_find_container(device, "job"), CORE_QUERY_STATUS, 1000,
                                          ignore_query, &asked, NULL),
                     0);
    for (int i = 0; i < 100 && !asked; i++) {
        clock_manual_advance(&f.clock, 5);
        sim_run(&f.sim);
    }
    ck_assert_uint_eq(asked, 1);
    fake_store_fail(1, -ENOSPC);
    core_flush(&f);
    ck_assert(outcome.called);
    core_restart(&f);
    ck_assert_ptr_null(core_find_container(core_find_device(f.core, "two"), "job"));
    json_decref(body);
}
END_TEST

/* Answers that grew too old while the gateway was down leave the disk, too. */
START_TEST(old_answers_leave_the_disk)
{
    const struct core_answer answer = {"digest", 200, NULL, "{}"};
    struct core_answer found;

    ck_assert_int_eq(core_keep_answer(f.core, "key", &answer, NULL, NULL), 0);
    core_flush(&f);
    clock_manual_advance(&f.clock, INT64_C(25) * 3600 * 1000);
    core_restart(&f);
    ck_assert(!core_find_answer(f.core, "key", &found));
    core_advance(&f, INT64_C(2) * 3600 * 1000);
    ck_assert_uint_eq(fake_store_rows("answer"), 0);
}
END_TEST

/* A clock that was set back by a day must not keep the gateway from storing when it last heard a device. */
START_TEST(last_seen_is_stored_after_the_clock_was_set_back)
{
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_int_ge(v1->last_seen_saved, WALL_START);
    f.clock.wall -= INT64_C(24) * 3600 * 1000;
    deploys(&f, v1, "next", job, OPERATION_SUCCEEDED, FAULT_NONE);
    core_restart(&f);
    ck_assert_int_lt(core_find_device(f.core, "one")->last_seen, WALL_START);
}
END_TEST

/* Two devices that are sent the same artifact share its parts, and one that goes takes none away from the other. */
START_TEST(parts_are_shared_while_they_are_loaded)
{
    struct device *other = add_device(&f, "two", AGENT_V1);
    const struct artifact *artifact = core_find_artifact(f.core, job);
    struct operation *op, *second;
    char id[UUID_SIZE];

    f.sim.latency = 1000;
    op = put(&f, v1, "job", job, "running");
    second = put(&f, other, "job", job, "running");
    (void)text_copy(id, sizeof id, second->id);
    core_advance(&f, 1300); /* asked, and now loading */
    ck_assert_ptr_nonnull(artifact->parts);
    ck_assert_ptr_eq(op->parts, artifact->parts);
    ck_assert_ptr_eq(second->parts, artifact->parts);
    ck_assert_int_eq(core_remove_device(f.core, v1, NULL, NULL, NULL), 0);
    core_flush(&f);
    ck_assert_ptr_eq(second->parts, artifact->parts);
    ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_ptr_null(artifact->parts);
    ck_assert_uint_eq(artifact->users, 1);
}
END_TEST

/* An artifact whose row was lost is uploaded again: it belongs to those that name it. */
START_TEST(lost_artifact_that_comes_back_is_in_use)
{
    struct store_batch *batch = store_batch_new();
    struct fault fault;

    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    store_batch_delete_artifact(batch, job);
    store_submit(f.store, batch, NULL, NULL);
    core_flush(&f);
    core_restart(&f);
    ck_assert_ptr_null(core_find_artifact(f.core, job));
    ck_assert_str_eq(add_artifact(&f, "loop()", NULL), job);
    ck_assert_int_eq(core_remove_artifact(f.core, core_find_artifact(f.core, job), NULL, NULL, &fault), 1);
    ck_assert_str_eq(fault_info(fault.code)->slug, fault_info(FAULT_IN_USE)->slug);
    v1 = core_find_device(f.core, "one");
    ck_assert_int_eq(core_forget_container(f.core, core_find_container(v1, "job"), NULL, NULL, NULL), 0);
    core_flush(&f);
    ck_assert_uint_eq(core_find_artifact(f.core, job)->users, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_removal");
    TCase *tcase = tcase_create("removal");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, operation_cancelled_while_its_container_is_forgotten);
    tcase_add_test(tcase, operation_that_expires_while_its_container_is_forgotten);
    tcase_add_test(tcase, operation_is_not_cancelled_before_it_is_stored);
    tcase_add_test(tcase, device_that_was_not_stored_stays_away);
    tcase_add_test(tcase, container_that_was_not_stored_stays_away);
    tcase_add_test(tcase, old_answers_leave_the_disk);
    tcase_add_test(tcase, last_seen_is_stored_after_the_clock_was_set_back);
    tcase_add_test(tcase, parts_are_shared_while_they_are_loaded);
    tcase_add_test(tcase, lost_artifact_that_comes_back_is_in_use);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
