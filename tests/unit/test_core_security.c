#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* Default secure: who may be used without protection; groups; agents that ask to join. */

static struct core_fixture f;
static struct device *one;
static const char *job;
static struct fault fault;

static void configure(const char *groups)
{
    f.options.allow_plain_groups = groups;
    core_configure(f.core, &f.options);
}

static void setup(void)
{
    core_setup(&f);
    configure("");
    one = add_device(&f, "one", AGENT_V2);
    job = add_artifact(&f, "code", NULL);
}

static void teardown(void)
{
    core_teardown(&f);
}

static void restart(void)
{
    core_restart(&f);
    one = core_find_device(f.core, "one");
}

static int patches(const char *text)
{
    json_t *body = json_of(text);
    int r = core_patch_device(f.core, one, body, NULL, NULL, &fault);

    json_decref(body);
    if (r == 0)
        core_flush(&f);
    return r;
}

static const char *shown(const char *member)
{
    static char text[256];
    size_t size;
    json_t *json = json_loads(core_render_device(one, &size), 0, NULL);
    char *dumped = json_dumps(json_object_get(json, member), JSON_ENCODE_ANY | JSON_COMPACT);

    (void)snprintf(text, sizeof text, "%s", dumped);
    free(dumped);
    json_decref(json);
    return text;
}

static int puts_container(void)
{
    json_t *body = json_pack("{s:s}", "artifact", job);
    struct operation *op;
    int r;

    fault.code = FAULT_NONE;
    r = core_put_container(f.core, one, "c", body, 0, NULL, NULL, &fault, &op);
    json_decref(body);
    core_flush(&f);
    return r;
}

static void ignore(void *arg, const struct core_resource_result *result)
{
    (void)arg;
    (void)result;
}

static int requests(uint8_t method)
{
    const struct agent_resource resource = {.method = method, .path = "/x", .format = -1, .accept = -1};

    fault.code = FAULT_NONE;
    return core_request_resource(f.core, one, &resource, 1000, ignore, NULL, &fault);
}

START_TEST(without_credentials_nothing_is_changed)
{
    struct operation *op;
    struct container *c;

    ck_assert_str_eq(shown("security"), "\"none\"");
    ck_assert_int_eq(puts_container(), 1);
    ck_assert_int_eq(fault.code, FAULT_CREDENTIALS_REQUIRED);
    for (uint8_t method = 1; method <= 7; method++) {
        bool reads = method == 1 || method == 5; /* GET, FETCH */

        ck_assert_int_eq(requests(method), !reads);
        ck_assert(reads || fault.code == FAULT_CREDENTIALS_REQUIRED);
    }
    ck_assert_int_eq(core_probe_device(f.core, one, 0, NULL, NULL, &fault, &op), 0); /* it only asks */
    ck_assert_int_eq(patches("{'allow_plain':true}"), 0);
    ck_assert_int_eq(puts_container(), 0);
    ck_assert_int_eq(patches("{'allow_plain':null}"), 0);
    c = core_find_container(one, "c");
    for (enum operation_kind kind = OPERATION_START; kind <= OPERATION_REMOVE; kind++) {
        ck_assert_int_eq(core_act_on_container(f.core, c, kind, 0, NULL, NULL, &fault, &op), 1);
        ck_assert_int_eq(fault.code, FAULT_CREDENTIALS_REQUIRED);
    }
}
END_TEST

START_TEST(an_operation_that_waited_too_long_is_refused)
{
    struct sim_device *sim = sim_device(&f.sim, "one", AGENT_V2);
    struct operation *op;
    char id[UUID_SIZE];

    (void)enrol(&f, one, "{}");
    sim_script(&f.sim, AGENT_CALL_RESOURCE, SIM_LOSE_REQUEST);
    ck_assert_int_eq(requests(1), 0); /* the operation waits behind it */
    op = put(&f, one, "c", job, "running");
    (void)text_copy(id, sizeof id, op->id);
    ck_assert_int_eq(core_revoke_credentials(f.core, one, 0, NULL, NULL, &fault), 0);
    ends(&f, id, OPERATION_FAILED, FAULT_CREDENTIALS_REQUIRED);
    ck_assert_uint_eq(sim->loads, 0);
}
END_TEST

START_TEST(groups_and_settings_allow_plain_use)
{
    ck_assert(!keyring_allows_plain(one));
    ck_assert_int_eq(patches("{'groups':['lab','attic','lab']}"), 0);
    ck_assert_str_eq(shown("groups"), "[\"attic\",\"lab\"]");
    configure("labs la attic.");
    ck_assert(!keyring_allows_plain(one));
    configure("x lab");
    ck_assert(keyring_allows_plain(one));
    ck_assert_str_eq(shown("security"), "\"plain\"");
    configure("attic");
    ck_assert(keyring_allows_plain(one));
    configure("");
    ck_assert(!keyring_allows_plain(one));
    ck_assert_str_eq(shown("security"), "\"none\"");
    ck_assert_int_eq(patches("{'allow_plain':true}"), 0);
    ck_assert_str_eq(shown("allow_plain"), "true");
    ck_assert_str_eq(shown("security"), "\"plain\"");
    restart();
    ck_assert_str_eq(shown("groups"), "[\"attic\",\"lab\"]");
    ck_assert(keyring_allows_plain(one));
    ck_assert_int_eq(patches("{'allow_plain':false}"), 0);
    configure("*");
    ck_assert(keyring_allows_plain(one));
}
END_TEST

START_TEST(credentials_end_plain_use)
{
    configure("*");
    ck_assert_str_eq(shown("security"), "\"plain\"");
    (void)enrol(&f, one, "{'kind':'psk'}");
    ck_assert(!keyring_allows_plain(one));
    ck_assert_str_eq(shown("security"), "\"dtls\"");
    (void)enrol(&f, one, "{}");
    ck_assert_str_eq(shown("security"), "\"oscore\"");
    ck_assert_int_eq(core_distrust_contexts(f.core, NULL, NULL, NULL), 0);
    core_flush(&f);
    ck_assert(!keyring_allows_plain(one)); /* nor do they when they are stale */
    ck_assert_str_eq(shown("security"), "\"oscore\"");
    ck_assert_int_eq(core_revoke_credentials(f.core, one, 0, NULL, NULL, NULL), 0);
    core_flush(&f);
    ck_assert_str_eq(shown("security"), "\"plain\"");
}
END_TEST

static const char *const bad_groups[] = {
    "{'groups':'lab'}",   "{'groups':[1]}",
    "{'groups':['']}",    "{'groups':['*']}",
    "{'groups':['a b']}", "{'groups':['0123456789012345678901234567890x']}",
    "{'groups':['..']}",  "{'groups':{}}",
    "{'groups':[['a']]}", "{'allow_plain':1}",
    "{'allow_plain':''}", "{'groups':['1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17']}",
};

START_TEST(bad_groups_are_refused)
{
    ck_assert_int_eq(patches(bad_groups[_i]), 1);
    ck_assert_int_eq(fault.code, FAULT_INVALID_FIELD);
    ck_assert_str_eq(shown("groups"), "[]");
}
END_TEST

START_TEST(as_many_groups_as_there_may_be)
{
    json_t *body = json_object(), *names = json_array();
    char name[CORE_GROUP_MAX + 1];

    for (int i = 0; i < CORE_GROUPS_MAX; i++) {
        (void)snprintf(name, sizeof name, "%031d", i);
        (void)json_array_append_new(names, json_string(name));
    }
    (void)json_object_set_new(body, "groups", names);
    ck_assert_int_eq(core_patch_device(f.core, one, body, NULL, NULL, &fault), 0);
    core_flush(&f);
    restart();
    ck_assert_uint_eq(strlen(one->groups), CORE_GROUPS_MAX * 32 - 1);
    configure("0000000000000000000000000000015");
    ck_assert(keyring_allows_plain(one));
    json_decref(body);
}
END_TEST

/* Joining ---------------------------------------------------------------------------------------------------------- */

static enum fault_code notes(const char *id)
{
    fault.code = FAULT_NONE;
    (void)!keyring_note_pending(f.core, id, "coap://[::2]:5683", &fault);
    return fault.code;
}

static size_t listed(void)
{
    json_t *json = core_join_json(f.core);
    size_t n = json_array_size(json_object_get(json, "pending"));

    json_decref(json);
    return n;
}

static bool open_now(void)
{
    json_t *json = core_join_json(f.core);
    bool open = json_is_true(json_object_get(json, "open"));

    ck_assert_int_eq(open, json_is_string(json_object_get(json, "closes_at")));
    json_decref(json);
    return open;
}

START_TEST(agents_are_listed_while_the_window_is_open)
{
    ck_assert(!open_now());
    ck_assert_int_eq(notes("new"), FAULT_JOIN_CLOSED);
    core_open_join(f.core, 60);
    ck_assert(open_now());
    ck_assert_int_eq(notes("new"), FAULT_NONE);
    ck_assert_int_eq(notes("new"), FAULT_NONE);
    ck_assert_int_eq(notes("a/b"), FAULT_INVALID_ID);
    ck_assert_uint_eq(listed(), 1);
    ck_assert_ptr_null(core_find_device(f.core, "new"));
    core_advance(&f, 60001);
    ck_assert(!open_now());
    ck_assert_int_eq(notes("other"), FAULT_JOIN_CLOSED);
    ck_assert_uint_eq(listed(), 1); /* for a person to decide */
    core_open_join(f.core, 60);
    core_open_join(f.core, 0);
    ck_assert(!open_now());
    restart();
    ck_assert_uint_eq(listed(), 0);
}
END_TEST

START_TEST(the_list_is_bounded)
{
    core_open_join(f.core, 60);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(notes((const char *const[]){"a", "b", "c", "d", "e"}[i]), FAULT_NONE);
    ck_assert_int_eq(notes("f"), FAULT_LIMIT_REACHED);
    ck_assert_int_eq(notes("a"), FAULT_NONE);
}
END_TEST

START_TEST(an_approved_agent_is_a_device)
{
    struct outcome outcome = {.called = false};
    json_t *body = json_of("{'name':'n','groups':['lab']}"), *bad = json_of("{'address':'coap://x'}");
    struct device *added;

    core_open_join(f.core, 60);
    ck_assert_int_eq(notes("new"), FAULT_NONE);
    ck_assert_int_eq(core_approve_pending(f.core, "old", body, NULL, NULL, &fault, &added), 1);
    ck_assert_int_eq(fault.code, FAULT_NOT_FOUND);
    ck_assert_int_eq(core_approve_pending(f.core, "new", bad, NULL, NULL, &fault, &added), 1);
    ck_assert_int_eq(fault.code, FAULT_UNKNOWN_FIELD);
    ck_assert_int_eq(core_approve_pending(f.core, "new", body, note_done, &outcome, &fault, &added), 0);
    core_flush(&f);
    ck_assert(outcome.called && outcome.fault.code == FAULT_NONE);
    ck_assert_str_eq(core_find_device(f.core, "new")->address, "coap://[::2]:5683");
    ck_assert_str_eq(core_find_device(f.core, "new")->groups, "lab");
    ck_assert(!keyring_allows_plain(core_find_device(f.core, "new"))); /* approval alone deploys nothing */
    ck_assert_uint_eq(listed(), 0);
    ck_assert_int_eq(notes("new"), FAULT_NONE); /* it asks on: that changes nothing */
    ck_assert_uint_eq(listed(), 0);
    ck_assert_int_eq(notes("one"), FAULT_NONE);
    (void)enrol(&f, one, "{}");
    ck_assert_int_eq(notes("one"), FAULT_ALREADY_EXISTS);
    json_decref(body);
    json_decref(bad);
}
END_TEST

START_TEST(a_rejected_agent_is_not_heard_before_the_next_opening)
{
    core_open_join(f.core, 60);
    ck_assert_int_eq(notes("new"), FAULT_NONE);
    ck_assert_int_eq(core_reject_pending(f.core, "new", &fault), 0);
    ck_assert_int_eq(core_reject_pending(f.core, "new", &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_NOT_FOUND);
    ck_assert_uint_eq(listed(), 0);
    ck_assert_int_eq(notes("new"), FAULT_JOIN_CLOSED);
    core_open_join(f.core, 60);
    ck_assert_int_eq(notes("new"), FAULT_NONE);
    ck_assert_uint_eq(listed(), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_security");
    TCase *tcase = tcase_create("plain");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, without_credentials_nothing_is_changed);
    tcase_add_test(tcase, an_operation_that_waited_too_long_is_refused);
    tcase_add_test(tcase, groups_and_settings_allow_plain_use);
    tcase_add_test(tcase, credentials_end_plain_use);
    tcase_add_loop_test(tcase, bad_groups_are_refused, 0, (int)array_size(bad_groups));
    tcase_add_test(tcase, as_many_groups_as_there_may_be);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("join");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, agents_are_listed_while_the_window_is_open);
    tcase_add_test(tcase, the_list_is_bounded);
    tcase_add_test(tcase, an_approved_agent_is_a_device);
    tcase_add_test(tcase, a_rejected_agent_is_not_heard_before_the_next_opening);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
