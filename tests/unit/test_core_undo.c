#include "core/trust.h"
#include "core_fixture.h"
#include "fake_store.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* Commits that fail: what was not acknowledged is undone, what devices did is written later. On a store in memory. */

static struct core_fixture f;
static struct device *v1, *v2;
static struct sim_device *sim1;
static const char *job, *other;

static void setup(void)
{
    fake_store_wipe();
    core_setup(&f);
    v1 = add_device(&f, "one", AGENT_V1);
    v2 = add_device(&f, "two", AGENT_V2);
    sim1 = sim_device(&f.sim, "one", AGENT_V1);
    job = add_artifact(&f, "loop()", NULL);
    other = add_artifact(&f, "loop2()", NULL);
}

static void teardown(void)
{
    ck_assert_uint_eq(sim1->double_loads, 0);
    core_teardown(&f);
    fake_store_wipe();
}

static void is_failed(const struct outcome *outcome, enum fault_code code)
{
    ck_assert(outcome->called);
    ck_assert_str_eq(fault_info(outcome->fault.code)->slug, fault_info(code)->slug);
}

START_TEST(added_device_goes_again)
{
    struct outcome outcome = {.called = false};
    json_t *body = json_of("{'address':'coap://a','id':'three'}");
    struct device *added;

    ck_assert_int_eq(core_add_device(f.core, body, note_done, &outcome, NULL, &added), 0);
    ck_assert_ptr_eq(core_find_device(f.core, "three"), added);
    fake_store_fail(1, -ENOSPC);
    core_flush(&f);
    is_failed(&outcome, FAULT_STORAGE_FULL);
    ck_assert_ptr_null(core_find_device(f.core, "three"));
    (void)add_device(&f, "three", AGENT_V1);
    json_decref(body);
}
END_TEST

static void patch_name(const char *name, struct outcome *outcome)
{
    json_t *body = json_pack("{s:s}", "name", name);

    ck_assert_int_eq(core_patch_device(f.core, v1, body, note_done, outcome, NULL), 0);
    json_decref(body);
}

/* Three changes under way, some of which fail: what stays is what the last that did not fail left. */
START_TEST(changes_are_undone_in_any_order)
{
    static const struct {
        unsigned fails_first, fails_last; /* of three */
        const char *name;
    } cases[] = {{1, 0, "c"}, {2, 0, "c"}, {3, 0, "old"}, {0, 1, "b"}, {0, 2, "a"}, {1, 1, "b"}};

    for (size_t i = 0; i < array_size(cases); i++) {
        struct outcome outcomes[3] = {{.called = false}};

        patch_name("old", &outcomes[0]);
        core_flush(&f);
        outcomes[0].called = false;
        patch_name("a", &outcomes[0]);
        patch_name("b", &outcomes[1]);
        patch_name("c", &outcomes[2]);
        ck_assert_str_eq(v1->name, "c");
        fake_store_fail(cases[i].fails_first, -EIO);
        fake_store_commit(f.store, 3 - cases[i].fails_last);
        fake_store_fail(cases[i].fails_last, -EIO);
        core_flush(&f);
        ck_assert(outcomes[0].called && outcomes[1].called && outcomes[2].called);
        ck_assert_str_eq(v1->name, cases[i].name);
        core_restart(&f);
        v1 = core_find_device(f.core, "one");
        ck_assert_str_eq(v1->name, cases[i].name);
    }
}
END_TEST

START_TEST(put_is_undone)
{
    struct outcome first = {.called = false}, second = {.called = false};
    json_t *body = json_pack("{s:s}", "artifact", job);
    struct operation *op;
    char id[UUID_SIZE];
    uint64_t revision;

    fake_store_fail(2, -ENOSPC);
    ck_assert_int_eq(core_put_container(f.core, v2, "job", body, 0, note_done, &first, NULL, &op), 0);
    ck_assert_int_eq(core_put_container(f.core, v2, "job", body, 0, note_done, &second, NULL, &op), 0);
    ck_assert_ptr_nonnull(core_find_container(v2, "job"));
    core_flush(&f);
    is_failed(&first, FAULT_STORAGE_FULL);
    is_failed(&second, FAULT_STORAGE_FULL);
    ck_assert_ptr_null(core_find_container(v2, "job"));
    ck_assert_uint_eq(core_list_operations(f.core, NULL, NULL, &op, 1), 0);
    ck_assert_uint_eq(v2->operation_count, 0);
    ck_assert_uint_eq(core_find_artifact(f.core, job)->users, 0);
    core_advance(&f, 1000);
    ck_assert_uint_eq(fake_store_rows("container"), 0);
    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    json_decref(body);
    /* Over one that is there already. */
    revision = core_find_container(v2, "job")->revision;
    body = json_pack("{s:s}", "artifact", other);
    first.called = false;
    ck_assert_int_eq(core_put_container(f.core, v2, "job", body, 0, note_done, &first, NULL, &op), 0);
    (void)text_copy(id, sizeof id, op->id);
    fake_store_fail(1, -EIO);
    core_flush(&f);
    is_failed(&first, FAULT_STORAGE_FAILED);
    ck_assert_str_eq(core_find_container(v2, "job")->desired_artifact, job);
    ck_assert_uint_eq(core_find_container(v2, "job")->revision, revision);
    ck_assert_ptr_null(core_find_operation(f.core, id));
    core_advance(&f, 1000);
    ck_assert_str_eq(sim_find(sim_device(&f.sim, "two", AGENT_V2), "job")->artifact, job);
    json_decref(body);
}
END_TEST

START_TEST(artifact_goes_again)
{
    struct outcome first = {.called = false}, second = {.called = false};
    struct spool *spool = spool_of(&f, "code", 4);
    json_t *body = json_of("{'type':'native'}");
    struct artifact *artifact, *again;
    char id[CORE_DIGEST_TEXT];
    bool created;

    ck_assert_int_eq(core_add_artifact(f.core, body, spool, NULL, note_done, &first, NULL, &artifact, &created), 0);
    ck_assert(created);
    ck_assert_int_eq(core_add_artifact(f.core, body, spool, NULL, note_done, &second, NULL, &again, &created), 0);
    ck_assert(!created);
    (void)text_copy(id, sizeof id, artifact->id);
    ck_assert_ptr_null(core_find_artifact(f.core, id)); /* nobody builds on what is not durable */
    fake_store_fail(1, -EIO);
    core_flush(&f);
    is_failed(&first, FAULT_STORAGE_FAILED);
    is_failed(&second, FAULT_STORAGE_FAILED);
    ck_assert_ptr_null(core_find_artifact(f.core, id));
    first.called = false;
    ck_assert_int_eq(core_add_artifact(f.core, body, spool, NULL, note_done, &first, NULL, &artifact, &created), 0);
    core_flush(&f);
    ck_assert_ptr_nonnull(core_find_artifact(f.core, id));
    first.called = false;
    fake_store_fail(1, -EIO);
    ck_assert_int_eq(core_remove_artifact(f.core, core_find_artifact(f.core, id), note_done, &first, NULL), 0);
    core_flush(&f);
    is_failed(&first, FAULT_STORAGE_FAILED);
    ck_assert_ptr_nonnull(core_find_artifact(f.core, id));
    json_decref(body);
    (void)spool_free(spool);
}
END_TEST

/* Removals that fail while a container is being loaded: the operation finds out where it stands, and goes on. */
START_TEST(removals_are_undone)
{
    struct outcome outcome = {.called = false};
    char id[UUID_SIZE], uid[16];

    for (int ms = 0; ms < 600; ms += 9) {
        sim_restart(sim1);
        (void)snprintf(uid, sizeof uid, "job-%d", ms);
        (void)text_copy(id, sizeof id, put(&f, v1, uid, job, "running")->id);
        core_advance(&f, ms);
        outcome.called = false;
        fake_store_fail(1, -EIO);
        if (ms % 2)
            ck_assert_int_eq(core_remove_device(f.core, v1, note_done, &outcome, NULL), 0);
        else
            ck_assert_int_eq(core_forget_container(f.core, core_find_container(v1, uid), note_done, &outcome, NULL), 0);
        core_flush(&f);
        is_failed(&outcome, FAULT_STORAGE_FAILED);
        ck_assert_ptr_eq(core_find_device(f.core, "one"), v1);
        ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
        ck_assert_int_eq(sim_find(sim1, uid)->state, CONTAINER_RUNNING);
        ck_assert_int_eq(core_forget_container(f.core, core_find_container(v1, uid), NULL, NULL, NULL), 0);
        core_flush(&f);
    }
}
END_TEST

START_TEST(nothing_is_sent_before_the_intention_is_durable)
{
    struct operation *op = put(&f, v1, "job", job, "running");
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, op->id);
    fake_store_fail(1000, -ENOSPC);
    core_advance(&f, 900);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_STATUS], 1);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 0);
    core_advance(&f, 3000);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 0);
    fake_store_fail(0, 0);
    ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

START_TEST(full_disk_until_the_time_to_live)
{
    struct operation *op = put(&f, v1, "job", job, "running");
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, op->id);
    fake_store_fail(1000, -ENOSPC);
    core_advance(&f, f.options.operation_ttl_ms + 5000);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 0);
    ck_assert_int_eq(core_find_operation(f.core, id)->state, OPERATION_RUNNING); /* its end is not durable */
    fake_store_fail(0, 0);
    ends(&f, id, OPERATION_EXPIRED, FAULT_EXPIRED);
    ck_assert_int_eq(core_find_container(v1, "job")->load, LOAD_NONE); /* it was never sent */
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

/* The time to live ends while the intention to load is being written: nothing was sent, and that is what is kept. */
START_TEST(expires_while_its_row_is_written)
{
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, put(&f, v1, "job", job, "running")->id);
    for (int i = 0; i < 2; i++) {
        clock_manual_advance(&f.clock, f.sim.latency / 2);
        sim_run(&f.sim);
    }
    fake_store_tell(f.store, 1); /* the artifact's parts */
    ck_assert_int_eq(core_find_container(v1, "job")->load, LOAD_SENT);
    clock_manual_advance(&f.clock, f.options.operation_ttl_ms);
    core_run(f.core);
    ck_assert_int_eq(core_find_operation(f.core, id)->state, OPERATION_RUNNING);
    core_flush(&f);
    ck_assert_int_eq(core_find_operation(f.core, id)->state, OPERATION_EXPIRED);
    core_restart(&f);
    ck_assert_int_eq(core_find_operation(f.core, id)->fault.code, FAULT_EXPIRED);
    ck_assert_int_eq(core_find_container(core_find_device(f.core, "one"), "job")->load, LOAD_NONE);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 0);
}
END_TEST

static void ignore_query(void *arg, const struct core_query_result *result)
{
    (void)result;
    ++*(unsigned *)arg;
}

START_TEST(what_a_query_saw_is_written_later)
{
    unsigned called = 0;

    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    sim_find(sim_device(&f.sim, "two", AGENT_V2), "job")->state = CONTAINER_FAILED;
    fake_store_fail(2, -EIO);
    ck_assert_int_eq(core_query_container(f.core, core_find_container(v2, "job"), CORE_QUERY_STATUS, 1000, ignore_query,
                                          &called, NULL),
                     0);
    core_advance(&f, 3000);
    ck_assert_uint_eq(called, 1);
    core_restart(&f);
    ck_assert_int_eq(core_find_container(core_find_device(f.core, "two"), "job")->reported, CONTAINER_FAILED);
}
END_TEST

START_TEST(answers_and_cancels)
{
    const struct core_answer answer = {"digest", 200, NULL, "{}"};
    struct outcome outcome = {.called = false};
    struct core_answer found;
    char id[UUID_SIZE];

    fake_store_fail(1, -ENOSPC);
    ck_assert_int_eq(core_keep_answer(f.core, "key", &answer, note_done, &outcome), 0);
    ck_assert(core_find_answer(f.core, "key", &found));
    core_flush(&f);
    is_failed(&outcome, FAULT_STORAGE_FULL);
    ck_assert(!core_find_answer(f.core, "key", &found));
    (void)put(&f, v1, "ahead", job, "running");
    (void)text_copy(id, sizeof id, put(&f, v1, "job", job, "running")->id);
    outcome.called = false;
    fake_store_fail(2, -ENOSPC);
    ck_assert_int_eq(core_cancel_operation(f.core, core_find_operation(f.core, id), note_done, &outcome, NULL), 0);
    core_flush(&f);
    is_failed(&outcome, FAULT_STORAGE_FULL);
    ends(&f, id, OPERATION_CANCELLED, FAULT_CANCELLED);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

static int64_t priority_of(const char *policy)
{
    json_t *json = core_policy_json(f.core, policy);
    int64_t priority = json ? json_integer_value(json_object_get(json, "priority")) : -1;

    json_decref(json);
    return priority;
}

/* Of three changes of one record, of which the second takes it away: what stays is what the last that did not fail
 * left, here and after the next start. */
START_TEST(records_are_undone_in_any_order)
{
    static const struct {
        unsigned fails_first, fails_last; /* of three */
        int64_t priority;                 /* -1: there is none */
    } cases[] = {{0, 0, 3}, {1, 0, 3}, {2, 0, 3}, {3, 0, 7}, {0, 1, -1}, {0, 2, 1}, {1, 1, -1}};
    struct outcome outcomes[4] = {{.called = false}};
    json_t *body = json_pack("{s:b, s:i}", "allow", 1, "priority", 7);

    ck_assert_int_eq(core_put_policy(f.core, "house", body, note_done, &outcomes[3], NULL), 0);
    core_flush(&f);
    (void)json_object_set_new(body, "priority", json_integer(1));
    ck_assert_int_eq(core_put_policy(f.core, "house", body, note_done, &outcomes[0], NULL), 0);
    ck_assert_int_eq(core_remove_policy(f.core, "house", note_done, &outcomes[1], NULL), 0);
    ck_assert_int_eq(priority_of("house"), -1);
    (void)json_object_set_new(body, "priority", json_integer(3));
    ck_assert_int_eq(core_put_policy(f.core, "house", body, note_done, &outcomes[2], NULL), 0);
    ck_assert_int_eq(priority_of("house"), 3);
    json_decref(body);
    fake_store_fail(cases[_i].fails_first, -ENOSPC);
    fake_store_commit(f.store, 3 - cases[_i].fails_last);
    fake_store_fail(cases[_i].fails_last, -EIO);
    core_flush(&f);
    for (size_t i = 0; i < 3; i++)
        ck_assert(outcomes[i].called);
    ck_assert_int_eq(priority_of("house"), cases[_i].priority);
    core_restart(&f);
    ck_assert_int_eq(priority_of("house"), cases[_i].priority);
    v1 = core_find_device(f.core, "one");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_undo");
    TCase *tcase = tcase_create("undo");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, added_device_goes_again);
    tcase_add_test(tcase, changes_are_undone_in_any_order);
    tcase_add_test(tcase, put_is_undone);
    tcase_add_test(tcase, artifact_goes_again);
    tcase_add_test(tcase, removals_are_undone);
    tcase_add_test(tcase, nothing_is_sent_before_the_intention_is_durable);
    tcase_add_test(tcase, full_disk_until_the_time_to_live);
    tcase_add_test(tcase, expires_while_its_row_is_written);
    tcase_add_test(tcase, what_a_query_saw_is_written_later);
    tcase_add_test(tcase, answers_and_cancels);
    tcase_add_loop_test(tcase, records_are_undone_in_any_order, 0, 7);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
