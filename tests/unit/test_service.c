#include "core/document.h"
#include "core/internal.h"
#include "core_fixture.h"

#include "suite.h"

#include <string.h>

static struct core_fixture f;

static void setup(void)
{
    core_setup(&f);
    f.options.reconcile.retry_min_ms = 30000;
    f.options.reconcile.retry_max_ms = 600000;
    core_configure(f.core, &f.options);
}

static void teardown(void)
{
    core_teardown(&f);
}

/* %1 and %2 in the text are the artifacts. */
static json_t *body_of(const char *text, const char *one, const char *two)
{
    char filled[2000];
    size_t used = 0;

    for (const char *at = text; *at; at++) {
        if (*at == '%')
            used += (size_t)snprintf(filled + used, sizeof filled - used, "%s", *++at == '1' ? one : two);
        else
            filled[used++] = *at;
    }
    filled[used] = 0;
    return json_of(filled);
}

static enum fault_code puts_service(const char *name, const char *text, const char *one, const char *two)
{
    struct outcome outcome = {.called = false};
    struct fault fault = {.code = FAULT_NONE};
    json_t *body = body_of(text, one, two);
    int r = core_put_service(f.core, name, body, note_done, &outcome, &fault);

    json_decref(body);
    ck_assert_int_ge(r, 0);
    core_flush(&f);
    ck_assert_int_eq(outcome.called, r == 0);
    ck_assert_int_eq(outcome.fault.code, FAULT_NONE);
    return fault.code;
}

static void removes_service(const char *name)
{
    struct outcome outcome = {.called = false};
    struct fault fault;

    ck_assert_int_eq(core_remove_service(f.core, name, note_done, &outcome, &fault), 0);
    core_flush(&f);
    ck_assert_int_eq(outcome.fault.code, FAULT_NONE);
}

static enum fault_code patches(struct device *device, const char *text)
{
    struct outcome outcome = {.called = false};
    struct fault fault = {.code = FAULT_NONE};
    json_t *body = json_of(text);

    ck_assert_int_eq(core_patch_device(f.core, device, body, note_done, &outcome, &fault), 0);
    json_decref(body);
    core_flush(&f);
    return outcome.fault.code;
}

static bool runs(const char *device, const char *uid)
{
    const struct sim_slot *slot = sim_find(sim_device(&f.sim, device, AGENT_V2), uid);

    return slot && slot->state == CONTAINER_RUNNING;
}

static json_int_t status_of(const char *name, const char *member)
{
    json_t *json = core_service_json(f.core, name);
    json_int_t n = json_integer_value(json_object_get(json_object_get(json, "status"), member));

    json_decref(json);
    return n;
}

#define PAIR                                                                                                           \
    "{'devices':{'groups':['lab']},'containers':[{'uid':'app','artifact':'%1','needs':['db']},"                        \
    "{'uid':'db','artifact':'%2','parameters':'b25l'}]}"

START_TEST(membership_is_dynamic)
{
    struct device *a = add_device(&f, "a", AGENT_V2), *b = add_device(&f, "b", AGENT_V2);
    const char *one = add_artifact(&f, "1", NULL), *two = add_artifact(&f, "2", NULL);

    ck_assert_int_eq(patches(a, "{'groups':['lab']}"), FAULT_NONE);
    ck_assert_int_eq(puts_service("pair", PAIR, one, two), FAULT_NONE);
    core_settle(&f);
    ck_assert(runs("a", "app"));
    ck_assert_str_eq(sim_find(sim_device(&f.sim, "a", AGENT_V2), "db")->data, "one");
    ck_assert_ptr_null(core_find_container(b, "app"));
    ck_assert_str_eq(service_of(a, "db"), "pair");
    ck_assert_ptr_null(service_of(b, "db"));
    ck_assert_int_eq(status_of("pair", "devices"), 1);
    ck_assert_int_eq(status_of("pair", "converged"), 1);

    ck_assert_int_eq(patches(b, "{'groups':['lab']}"), FAULT_NONE);
    ck_assert_int_eq(patches(a, "{'groups':[]}"), FAULT_NONE);
    core_settle(&f);
    ck_assert(runs("b", "app") && runs("b", "db"));
    ck_assert_ptr_null(core_find_container(a, "app"));
    ck_assert_ptr_null(sim_find(sim_device(&f.sim, "a", AGENT_V2), "db"));

    /* A new device of the group. */
    ck_assert_int_eq(patches(add_device(&f, "c", AGENT_V2), "{'groups':['lab']}"), FAULT_NONE);
    core_settle(&f);
    ck_assert(runs("c", "app"));
    ck_assert_int_eq(status_of("pair", "converged"), 2);
}
END_TEST

START_TEST(start_order)
{
    struct device *a = add_device(&f, "a", AGENT_V2);
    const char *one = add_artifact(&f, "1", NULL), *two = add_artifact(&f, "2", NULL);
    json_t *why;

    sim_device(&f.sim, "a", AGENT_V2)->present = false;
    ck_assert_int_eq(patches(a, "{'groups':['lab']}"), FAULT_NONE);
    ck_assert_int_eq(puts_service("pair", PAIR, one, two), FAULT_NONE);
    core_settle(&f);
    why = core_explain_container(core_find_container(a, "app"));
    ck_assert_ptr_nonnull(why);
    ck_assert_str_eq(json_string_value(json_object_get(why, "waits_for")), "container db");
    ck_assert(!json_boolean_value(json_object_get(why, "converged")));
    json_decref(why);
    why = core_explain_container(core_find_container(a, "db"));
    ck_assert_str_eq(json_string_value(json_object_get(why, "waits_for")), "time");
    ck_assert_int_eq(json_integer_value(json_object_get(why, "attempts")), 1);
    ck_assert(json_is_string(json_object_get(why, "next_attempt_at")));
    json_decref(why);
    ck_assert_int_eq(status_of("pair", "pending"), 1);
    sim_device(&f.sim, "a", AGENT_V2)->present = true;
    core_advance(&f, 60000);
    ck_assert(runs("a", "db") && runs("a", "app"));
}
END_TEST

START_TEST(change_and_removal)
{
    struct device *a = add_device(&f, "a", AGENT_V2);
    const char *one = add_artifact(&f, "1", NULL), *two = add_artifact(&f, "2", NULL);
    static const char text[] = "{'devices':{'all':true},'containers':[{'uid':'x','artifact':'%1'}]}";

    ck_assert_int_eq(puts_service("s", text, one, two), FAULT_NONE);
    core_settle(&f);
    ck_assert(runs("a", "x"));
    ck_assert_int_eq(puts_service("s", text, two, one), FAULT_NONE);
    core_settle(&f);
    ck_assert_str_eq(sim_find(sim_device(&f.sim, "a", AGENT_V2), "x")->artifact, two);
    ck_assert_uint_eq(sim_device(&f.sim, "a", AGENT_V2)->loads, 2);
    removes_service("s");
    core_settle(&f);
    ck_assert_ptr_null(core_find_container(a, "x"));
    ck_assert_ptr_null(core_service_json(f.core, "s"));
}
END_TEST

/* Removed, and killed before any device heard of it. */
START_TEST(removal_goes_on_after_a_restart)
{
    const char *one;

    (void)add_device(&f, "a", AGENT_V2);
    one = add_artifact(&f, "1", NULL);
    ck_assert_int_eq(puts_service("s", "{'devices':{'all':true},'containers':[{'uid':'x','artifact':'%1'}]}", one, one),
                     FAULT_NONE);
    core_settle(&f);
    removes_service("s");
    core_restart(&f);
    core_settle(&f);
    ck_assert_ptr_null(core_find_container(core_find_device(f.core, "a"), "x"));
    ck_assert_ptr_null(sim_find(sim_device(&f.sim, "a", AGENT_V2), "x"));
}
END_TEST

START_TEST(conflicts)
{
    struct device *a = add_device(&f, "a", AGENT_V2);
    const char *one = add_artifact(&f, "1", NULL), *two = add_artifact(&f, "2", NULL);
    static const char text[] = "{'devices':{'all':true},'containers':[{'uid':'x','artifact':'%1'}]}";
    struct operation *op;
    struct fault fault = {.code = FAULT_NONE};
    json_t *body = json_pack("{s:s}", "artifact", two);

    /* With what a person wants; the same is taken over. */
    deploys(&f, a, "x", one, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_int_eq(puts_service("s", text, two, one), FAULT_CONFLICT);
    ck_assert_int_eq(puts_service("s", text, one, two), FAULT_NONE);
    core_settle(&f);
    ck_assert_str_eq(core_find_container(a, "x")->service, "s");
    ck_assert_uint_eq(sim_device(&f.sim, "a", AGENT_V2)->loads, 1);

    /* With another service, and of a person with a service. */
    ck_assert_int_eq(puts_service("t", text, one, two), FAULT_CONFLICT);
    ck_assert_int_eq(core_put_container(f.core, a, "x", body, 0, note_done, NULL, &fault, &op), 1);
    ck_assert_int_eq(fault.code, FAULT_CONFLICT);
    ck_assert_int_eq(
        core_act_on_container(f.core, core_find_container(a, "x"), OPERATION_STOP, 0, note_done, NULL, &fault, &op), 1);
    ck_assert_int_eq(fault.code, FAULT_CONFLICT);
    json_decref(body);
}
END_TEST

START_TEST(bad_bodies)
{
    static const struct {
        const char *text;
        enum fault_code code;
    } bodies[] = {
        {"{'containers':[]}", FAULT_INVALID_FIELD},
        {"{'devices':{'all':true}}", FAULT_INVALID_FIELD},
        {"{'devices':{},'containers':[]}", FAULT_INVALID_FIELD},
        {"{'devices':{'all':true},'containers':[1]}", FAULT_INVALID_FIELD},
        {"{'devices':{'all':true},'containers':[{'uid':'a','artifact':'%1','x':1}]}", FAULT_UNKNOWN_FIELD},
        {"{'devices':{'all':true},'containers':[{'uid':'..','artifact':'%1'}]}", FAULT_INVALID_FIELD},
        {"{'devices':{'all':true},'containers':[{'uid':'a','artifact':'abc'}]}", FAULT_INVALID_FIELD},
        {"{'devices':{'all':true},'containers':[{'uid':'a','artifact':'%2'}]}", FAULT_NOT_FOUND},
        {"{'devices':{'all':true},'containers':[{'uid':'a','artifact':'%1','state':'absent'}]}", FAULT_INVALID_FIELD},
        {"{'devices':{'all':true},'containers':[{'uid':'a','artifact':'%1'},{'uid':'a','artifact':'%1'}]}",
         FAULT_INVALID_FIELD},
        {"{'devices':{'all':true},'containers':[{'uid':'a','artifact':'%1','parameters':'?'}]}", FAULT_INVALID_FIELD},
        {"{'devices':{'all':true},'containers':[{'uid':'a','artifact':'%1','needs':['b']}]}", FAULT_INVALID_FIELD},
        {"{'devices':{'all':true},'containers':[{'uid':'a','artifact':'%1','needs':['a']}]}", FAULT_INVALID_FIELD},
        {"{'devices':{'all':true},'containers':[{'uid':'a','artifact':'%1','needs':['b']},"
         "{'uid':'b','artifact':'%1','needs':['c']},{'uid':'c','artifact':'%1','needs':['a']}]}",
         FAULT_INVALID_FIELD},
    };
    const char *one = add_artifact(&f, "1", NULL);
    char none[CORE_DIGEST_TEXT];

    memset(none, '0', sizeof none - 1);
    none[sizeof none - 1] = 0;
    for (size_t i = 0; i < array_size(bodies); i++)
        ck_assert_msg(puts_service("s", bodies[i].text, one, none) == bodies[i].code, "%zu", i);
    ck_assert_uint_eq(document_count(f.core, DOCUMENT_SERVICE), 0);
}
END_TEST

/* What a device cannot have is told, and does not keep others from theirs. */
START_TEST(refused_is_visible)
{
    const char *one;

    (void)add_device(&f, "a", AGENT_V2);
    one = add_artifact(&f, "1", NULL);
    f.sim.package_max = 0;
    ck_assert_int_eq(puts_service("s", "{'devices':{'all':true},'containers':[{'uid':'x','artifact':'%1'}]}", one, one),
                     FAULT_NONE);
    core_settle(&f);
    ck_assert_int_eq(status_of("s", "refused"), 1);
    f.sim.package_max = 1000;
    ck_assert_int_eq(patches(core_find_device(f.core, "a"), "{'name':'bigger'}"), FAULT_NONE);
    core_settle(&f);
    ck_assert_int_eq(status_of("s", "converged"), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("service");
    TCase *tcase = tcase_create("service");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, membership_is_dynamic);
    tcase_add_test(tcase, start_order);
    tcase_add_test(tcase, change_and_removal);
    tcase_add_test(tcase, removal_goes_on_after_a_restart);
    tcase_add_test(tcase, conflicts);
    tcase_add_test(tcase, bad_bodies);
    tcase_add_test(tcase, refused_is_visible);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
