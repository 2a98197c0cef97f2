#include "core/internal.h"
#include "core/reconcile.h"
#include "core/rollout.h"
#include "core/trust.h"
#include "fake_store.h"
#include "suite.h"
#include "trust_fixture.h"

#include <errno.h>
#include <string.h>

/* What publishers, releases, services and rollouts need is not taken away from under them: by people, by the collection
 * of what nobody needs, by a disk that is full, or by rows that are damaged. On a store in memory. */

static void setup(void)
{
    fake_store_wipe();
    trust_setup();
}

static void teardown(void)
{
    trust_teardown();
    fake_store_wipe();
}

static enum fault_code removes_artifact(const char *id)
{
    struct outcome outcome = {0};
    int r = core_remove_artifact(f.core, core_find_artifact(f.core, id), note_done, &outcome, &fault);

    core_flush(&f);
    return r ? fault.code : outcome.fault.code;
}

static enum fault_code removes_release(const char *release)
{
    struct outcome outcome = {0};
    int r = core_remove_release(f.core, release, note_done, &outcome, &fault);

    core_flush(&f);
    return r ? fault.code : outcome.fault.code;
}

static enum fault_code puts_service(const char *name, const char *text)
{
    struct outcome outcome = {0};
    json_t *body = json_of(text);
    int r = core_put_service(f.core, name, body, note_done, &outcome, &fault);

    json_decref(body);
    core_flush(&f);
    return r ? fault.code : outcome.fault.code;
}

static void collects(void)
{
    struct core_collection collection;

    ck_assert_int_eq(core_collect_artifacts(f.core, false, NULL, NULL, &fault, &collection), 0);
    json_decref(collection.ids);
    core_flush(&f);
}

/* A signed release names its artifacts in its signature only. */
START_TEST(the_collection_spares_the_newest_releases)
{
    char three[CORE_DIGEST_TEXT], four[CORE_DIGEST_TEXT];

    (void)text_copy(three, sizeof three, add_artifact(&f, "3", NULL));
    (void)text_copy(four, sizeof four, add_artifact(&f, "4", NULL));
    f.options.keep.releases = 1;
    f.options.keep.count = 0;
    core_configure(f.core, &f.options);
    if (_i)
        ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(_i ? adds_signed("door", "1", 1, one, acme) : adds_plain("door", "1", 1, one), 0);
    ck_assert_int_eq(_i ? adds_signed("door", "2", 2, two, acme) : adds_plain("door", "2", 2, two), 0);
    ck_assert_int_eq(_i ? adds_signed("lamp", "1", 1, three, acme) : adds_plain("lamp", "1", 1, three), 0);
    collects();
    ck_assert_ptr_null(core_find_artifact(f.core, one));
    ck_assert_ptr_nonnull(core_find_artifact(f.core, two));
    ck_assert_ptr_nonnull(core_find_artifact(f.core, three));
    ck_assert_ptr_null(core_find_artifact(f.core, four));
}
END_TEST

/* Those of an older release go unless somebody wants it. */
START_TEST(the_collection_spares_what_a_service_wants)
{
    f.options.keep.releases = 0;
    f.options.keep.count = 0;
    core_configure(f.core, &f.options);
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(adds_signed("door", "1", 1, one, acme), 0);
    ck_assert_int_eq(
        puts_service("all", "{'devices':{'groups':['attic']},'containers':[{'uid':'a','release':'door@1'}]}"), 0);
    collects();
    ck_assert_ptr_nonnull(core_find_artifact(f.core, one));
    ck_assert_ptr_null(core_find_artifact(f.core, two));
    ck_assert_int_eq(removes_release("door@1"), FAULT_IN_USE);
    ck_assert_int_eq(removes_artifact(one), FAULT_IN_USE);
    ck_assert_int_eq(core_remove_service(f.core, "all", NULL, NULL, &fault), 0);
    core_flush(&f);
    ck_assert_int_eq(removes_artifact(one), FAULT_IN_USE); /* the release */
    ck_assert_int_eq(removes_release("door@1"), 0);
    ck_assert_int_eq(removes_artifact(one), 0);
}
END_TEST

START_TEST(an_artifact_that_a_service_wants_stays)
{
    char text[200];

    (void)snprintf(text, sizeof text, "{'devices':{'groups':['attic']},'containers':[{'uid':'a','artifact':'%s'}]}",
                   one);
    ck_assert_int_eq(puts_service("all", text), 0);
    ck_assert_int_eq(removes_artifact(one), FAULT_IN_USE);
    ck_assert_int_eq(removes_artifact(two), 0);
}
END_TEST

START_TEST(a_release_that_a_rollout_may_bring_back_stays)
{
    char id[UUID_SIZE];
    json_t *body = json_of("{'devices':{'all':true},'container':'job','release':'door@2'}");

    ck_assert_int_eq(adds_plain("door", "1", 1, one), 0);
    ck_assert_int_eq(adds_plain("door", "2", 2, two), 0);
    ck_assert_int_eq(deploys_release("door@1"), 0);
    ck_assert_int_eq(core_add_rollout(f.core, body, NULL, NULL, &fault, id), 0);
    json_decref(body);
    core_advance(&f, 60000);
    ck_assert_str_eq(core_find_container(box, "job")->desired_release, "door@2");
    ck_assert_int_eq(core_forget_container(f.core, core_find_container(box, "job"), NULL, NULL, &fault), 0);
    core_flush(&f);
    ck_assert_int_eq(removes_release("door@1"), FAULT_IN_USE);
    ck_assert_int_eq(removes_release("door@2"), 0); /* that one has ended */
    ck_assert_int_eq(core_remove_rollout(f.core, id, NULL, NULL, &fault), 0);
    core_flush(&f);
    ck_assert_int_eq(removes_release("door@1"), 0);
}
END_TEST

/* A service is applied when what it waits for is here. */
START_TEST(a_service_waits_for_its_artifact)
{
    f.options.keep.releases = 0;
    f.options.keep.count = 0;
    core_configure(f.core, &f.options);
    ck_assert_int_eq(adds_plain("door", "1", 1, one), 0);
    collects();
    ck_assert_int_eq(puts_service("all", "{'devices':{'all':true},'containers':[{'uid':'job','release':'door@1'}]}"),
                     0);
    core_advance(&f, 60000);
    ck_assert_ptr_null(core_find_container(box, "job"));
    ck_assert_str_eq(add_artifact(&f, "1", NULL), one);
    core_advance(&f, 60000);
    ck_assert_int_eq(core_find_container(box, "job")->reported, CONTAINER_RUNNING);
}
END_TEST

static void is_pending(void *arg, const char *id, struct fault *found)
{
    if (strcmp(id, arg) == 0)
        (void)fault_set(found, FAULT_ARTIFACT_PENDING, "It is on its way.");
}

/* Of several builds a device gets the first that it can run, not what happens to be here before. */
START_TEST(builds_do_not_take_turns)
{
    json_t *body =
        json_pack("{s:s, s:s, s:i, s:[s, s]}", "name", "door", "version", "1", "sequence", 1, "artifacts", one, two);

    f.options.keep.releases = 0;
    f.options.keep.count = 0;
    core_configure(f.core, &f.options);
    ck_assert_int_eq(core_pin_artifact(f.core, core_find_artifact(f.core, two), true, NULL, NULL, &fault), 0);
    collects();
    ck_assert_ptr_null(core_find_artifact(f.core, one));
    f.options.pull = (struct pull_port){.pull = is_pending, .arg = one};
    core_restart(&f);
    box = core_find_device(f.core, "box");
    ck_assert_int_eq(adds(body), 0);
    ck_assert_int_eq(deploys_release("door@1"), FAULT_ARTIFACT_PENDING);
    ck_assert_str_eq(add_artifact(&f, "1", NULL), one);
    ck_assert_int_eq(deploys_release("door@1"), 0);
    ck_assert_str_eq(core_find_container(box, "job")->reported_artifact, one);
}
END_TEST

/* Each pin is its own: what fails of one does not count for another, and what fails twice goes back to the first. */
START_TEST(pins_are_undone)
{
    struct artifact *first = core_find_artifact(f.core, one), *second = core_find_artifact(f.core, two);

    ck_assert_int_eq(core_pin_artifact(f.core, first, true, NULL, NULL, &fault), 0);
    ck_assert_int_eq(core_pin_artifact(f.core, second, true, NULL, NULL, &fault), 0);
    fake_store_fail(1, -ENOSPC);
    core_flush(&f);
    ck_assert(!first->pinned);
    ck_assert(second->pinned);
    ck_assert_int_eq(core_pin_artifact(f.core, first, true, NULL, NULL, &fault), 0);
    ck_assert_int_eq(core_pin_artifact(f.core, first, true, NULL, NULL, &fault), 0);
    fake_store_fail(2, -ENOSPC);
    core_flush(&f);
    ck_assert(!first->pinned);
}
END_TEST

/* Rows of the database that are damaged --------------------------------------------------------------------------- */

static void damages(const char *kind, const char *key, const char *body)
{
    struct store_batch *batch = store_batch_new();

    store_batch_put_document(batch, &(struct store_document){.kind = kind, .key = key, .body = body});
    store_submit(f.store, batch, NULL, NULL);
    core_flush(&f);
    core_restart(&f);
    box = core_find_device(f.core, "box");
    core_advance(&f, 1000);
}

/* Nobody knows its keys; that signatures are required is known. */
START_TEST(a_damaged_publisher_lets_nothing_pass)
{
    char text[100];

    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(adds_signed("door", "1", 1, one, acme), 0);
    damages("publisher", "acme", _i ? "{\"keys\":[]}" : "{");
    (void)snprintf(text, sizeof text, "{'artifact':'%s'}", one);
    ck_assert_int_eq(deploys_to(box, text), FAULT_UNSIGNED);
    ck_assert_int_eq(deploys_release("door@1"), FAULT_PUBLISHER_UNKNOWN);
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(deploys_release("door@1"), 0);
}
END_TEST

START_TEST(a_damaged_policy_lets_nothing_pass)
{
    char text[100];

    ck_assert_int_eq(puts_policy("house", "{'allow':true,'types':['wasm']}"), 0);
    damages("policy", "house", "{\"allow\":7}");
    (void)snprintf(text, sizeof text, "{'artifact':'%s'}", one);
    ck_assert_int_eq(deploys_to(box, text), FAULT_POLICY_DENIED);
    ck_assert_int_eq(core_remove_policy(f.core, "house", NULL, NULL, &fault), 0);
    core_flush(&f);
    ck_assert_int_eq(deploys_to(box, text), 0);
}
END_TEST

START_TEST(a_damaged_service_takes_nothing_away)
{
    json_t *json;
    char text[200];

    (void)snprintf(text, sizeof text, "{'devices':{'all':true},'containers':[{'uid':'job','artifact':'%s'}]}", one);
    ck_assert_int_eq(puts_service("all", text), 0);
    core_advance(&f, 60000);
    ck_assert_int_eq(core_find_container(box, "job")->reported, CONTAINER_RUNNING);
    damages("service", "all", "{}");
    core_advance(&f, 600000);
    ck_assert_int_eq(core_find_container(box, "job")->desired, CONTAINER_RUNNING);
    json = core_service_json(f.core, "all");
    ck_assert_ptr_nonnull(json);
    json_decref(json);
    ck_assert_int_eq(core_remove_service(f.core, "all", NULL, NULL, &fault), 0);
    core_flush(&f);
    core_advance(&f, 600000);
    ck_assert_ptr_null(core_find_container(box, "job"));
}
END_TEST

/* Sequence numbers ------------------------------------------------------------------------------------------------- */

static enum fault_code deploys_as(const char *uid, const char *text)
{
    struct outcome outcome = {0};
    json_t *body = json_of(text);
    struct operation *op;
    int r = core_put_container(f.core, box, uid, body, 0, note_done, &outcome, &fault, &op);
    char id[UUID_SIZE];

    json_decref(body);
    if (r)
        return fault.code;
    (void)text_copy(id, sizeof id, op->id);
    core_flush(&f);
    for (int i = 0; i < 100 && !operation_is_finished(core_find_operation(f.core, id)); i++)
        core_advance(&f, 1000);
    return core_find_operation(f.core, id)->fault.code;
}

static void two_versions(void)
{
    ck_assert_int_eq(adds_plain("door", "1", 1, one), 0);
    ck_assert_int_eq(adds_plain("door", "2", 2, two), 0);
}

/* One container that was brought back does not bring the number below that of another. */
START_TEST(a_rollback_is_of_one_container)
{
    two_versions();
    ck_assert_int_eq(deploys_as("a", "{'release':'door@2'}"), 0);
    ck_assert_int_eq(deploys_as("b", "{'release':'door@2'}"), 0);
    ck_assert_int_eq(deploys_as("a", "{'release':'door@1','rollback':true}"), 0);
    ck_assert_uint_eq(sequence_highest(box, "door"), 2);
    container_write(core_find_container(box, "a"));
    core_flush(&f);
    core_restart(&f);
    box = core_find_device(f.core, "box");
    ck_assert_uint_eq(sequence_highest(box, "door"), 2);
    ck_assert_int_eq(deploys_as("c", "{'release':'door@1'}"), FAULT_ROLLBACK_REFUSED);
    ck_assert_int_eq(deploys_as("b", "{'release':'door@1','rollback':true}"), 0);
    ck_assert_uint_eq(sequence_highest(box, "door"), 1);
}
END_TEST

/* Nobody knows whether the device took number 2 as "a": not as "b", not after the record is gone, and not when
 * something else is wanted as "a" since may number 1 go there. */
START_TEST(a_load_without_answer_counts_everywhere)
{
    two_versions();
    ck_assert_int_eq(adds_plain("lamp", "1", 1, one), 0);
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_ANSWER);
    sim_script(&f.sim, AGENT_CALL_STATUS, SIM_LOSE_REQUEST);
    ck_assert_int_ne(deploys_as("a", "{'release':'door@2'}"), 0);
    ck_assert_int_eq(core_find_container(box, "a")->load, LOAD_SENT);
    ck_assert_int_eq(deploys_as("b", "{'release':'door@1'}"), FAULT_ROLLBACK_REFUSED);
    if (_i == 0) {
        ck_assert_int_eq(core_forget_container(f.core, core_find_container(box, "a"), NULL, NULL, &fault), 0);
        core_flush(&f);
    } else {
        ck_assert_int_eq(deploys_as("a", "{'release':'lamp@1'}"), 0);
    }
    core_restart(&f);
    box = core_find_device(f.core, "box");
    ck_assert_uint_eq(sequence_highest(box, "door"), 2);
    ck_assert_int_eq(deploys_as("b", "{'release':'door@1'}"), FAULT_ROLLBACK_REFUSED);
}
END_TEST

/* What was refused leaves the release that runs. */
START_TEST(the_release_that_runs_is_shown)
{
    two_versions();
    ck_assert_int_eq(deploys_as("a", "{'release':'door@1'}"), 0);
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_REFUSE);
    ck_assert_int_eq(deploys_as("a", "{'release':'door@2'}"), FAULT_LOAD_REFUSED);
    ck_assert_str_eq(container_release(core_find_container(box, "a")), "door@1");
    core_restart(&f);
    box = core_find_device(f.core, "box");
    ck_assert_str_eq(container_release(core_find_container(box, "a")), "door@1");
    ck_assert_int_eq(removes_release("door@1"), FAULT_IN_USE);
}
END_TEST

/* Commits that fail ------------------------------------------------------------------------------------------------ */

/* What a change that may have to be undone was made of is not collected meanwhile. */
START_TEST(what_may_come_back_stays)
{
    struct outcome outcome = {0};
    char text[100];
    json_t *body;
    struct operation *op;

    f.options.keep.count = 0;
    core_configure(f.core, &f.options);
    (void)snprintf(text, sizeof text, "{'artifact':'%s'}", one);
    ck_assert_int_eq(deploys_as("a", text), 0);
    ck_assert_int_eq(act(&f, box, "a", OPERATION_STOP) != NULL, 1);
    core_advance(&f, 10000);
    ck_assert_int_eq(core_find_artifact(f.core, one)->users, 1);
    /* The device takes the other one before anybody hears that the change could not be stored. */
    (void)snprintf(text, sizeof text, "{'artifact':'%s'}", two);
    body = json_of(text);
    ck_assert_int_eq(core_put_container(f.core, box, "a", body, 0, note_done, &outcome, &fault, &op), 0);
    json_decref(body);
    container_set_artifact(core_find_container(box, "a"), core_find_container(box, "a")->reported_artifact, "");
    ck_assert_int_gt(core_find_artifact(f.core, one)->users, 0);
    fake_store_fail(1, -ENOSPC);
    collects();
    ck_assert_int_eq(outcome.fault.code, FAULT_STORAGE_FULL);
    ck_assert_ptr_nonnull(core_find_artifact(f.core, one));
    ck_assert_int_eq(core_find_artifact(f.core, one)->users, 1);
    ck_assert_str_eq(core_find_container(box, "a")->desired_artifact, one);
}
END_TEST

/* A change that could not be stored does not take back what somebody wanted after it. */
START_TEST(what_was_wanted_later_stays)
{
    struct outcome outcome = {0};
    struct store_batch *batch = store_batch_new();
    char text[100];
    struct operation *op;
    json_t *body;

    (void)snprintf(text, sizeof text, "{'artifact':'%s'}", one);
    ck_assert_int_eq(deploys_as("a", text), 0);
    body = json_of("{'artifact':'', 'state':'stopped'}");
    (void)json_object_set_new(body, "artifact", json_string(one));
    ck_assert_int_eq(core_put_container(f.core, box, "a", body, 0, note_done, &outcome, &fault, &op), 0);
    json_decref(body);
    ck_assert_int_eq(
        container_desire(box, "a", &(struct desired){.state = CONTAINER_RUNNING, .artifact = two}, batch, &fault), 0);
    store_submit(f.store, batch, NULL, NULL);
    fake_store_fail(1, -EIO);
    core_flush(&f);
    ck_assert_int_eq(outcome.fault.code, FAULT_STORAGE_FAILED);
    ck_assert_str_eq(core_find_container(box, "a")->desired_artifact, two);
}
END_TEST

/* Admission after a long wait ---------------------------------------------------------------------------------------
 */

/* The load is written ahead, and the device falls asleep before it can leave. */
START_TEST(revoked_while_the_load_waits)
{
    struct sim_device *sim = sim_device(&f.sim, "box", AGENT_V2);
    struct outcome outcome = {0};
    json_t *body = json_of("{'release':'door@1'}");
    struct operation *op;
    char id[UUID_SIZE];

    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(adds_signed("door", "1", 1, one, acme), 0);
    ck_assert_int_eq(core_put_container(f.core, box, "job", body, 0, note_done, &outcome, &fault, &op), 0);
    json_decref(body);
    (void)text_copy(id, sizeof id, op->id);
    for (int i = 0; i < 100000 && op->machine != STEP_LOADING; i++) {
        fake_store_commit(f.store, 1);
        fake_store_tell(f.store, 1);
        core_run(f.core);
    }
    ck_assert_int_eq(op->machine, STEP_LOADING);
    ck_assert(op->writing);
    if (_i == 0)
        ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*'],'revoked':true}"), 0);
    else
        ck_assert_int_eq(puts_policy("house", "{'allow':false}"), 0);
    ends(&f, id, OPERATION_FAILED, _i ? FAULT_POLICY_DENIED : FAULT_PUBLISHER_REVOKED);
    ck_assert_uint_eq(sim->calls[AGENT_CALL_LOAD], 0);
    ck_assert_int_eq(core_find_container(box, "job")->load, LOAD_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trust keep");
    TCase *tc = suite_add_case(suite, "keep", setup, teardown);

    tcase_add_loop_test(tc, the_collection_spares_the_newest_releases, 0, 2);
    tcase_add_test(tc, the_collection_spares_what_a_service_wants);
    tcase_add_test(tc, an_artifact_that_a_service_wants_stays);
    tcase_add_test(tc, a_release_that_a_rollout_may_bring_back_stays);
    tcase_add_test(tc, a_service_waits_for_its_artifact);
    tcase_add_test(tc, builds_do_not_take_turns);
    tcase_add_test(tc, pins_are_undone);
    tcase_add_loop_test(tc, a_damaged_publisher_lets_nothing_pass, 0, 2);
    tcase_add_test(tc, a_damaged_policy_lets_nothing_pass);
    tcase_add_test(tc, a_damaged_service_takes_nothing_away);
    tcase_add_test(tc, a_rollback_is_of_one_container);
    tcase_add_loop_test(tc, a_load_without_answer_counts_everywhere, 0, 2);
    tcase_add_test(tc, the_release_that_runs_is_shown);
    tcase_add_test(tc, what_may_come_back_stays);
    tcase_add_test(tc, what_was_wanted_later_stays);
    tcase_add_loop_test(tc, revoked_while_the_load_waits, 0, 2);
    return suite_run(suite);
}
