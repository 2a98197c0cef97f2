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

int main(void)
{
    Suite *suite = suite_create("trust keep");
    TCase *tc = suite_add_case(suite, "keep", setup, teardown);

    tcase_add_loop_test(tc, the_collection_spares_the_newest_releases, 0, 2);
    tcase_add_test(tc, the_collection_spares_what_a_service_wants);
    tcase_add_test(tc, an_artifact_that_a_service_wants_stays);
    tcase_add_test(tc, a_release_that_a_rollout_may_bring_back_stays);
    tcase_add_test(tc, pins_are_undone);
    return suite_run(suite);
}
