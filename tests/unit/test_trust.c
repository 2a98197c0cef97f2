#include "base/base64.h"
#include "codec/cose.h"
#include "codec/release.h"
#include "core/internal.h"
#include "core/journal.h"
#include "core/reconcile.h"
#include "core/trust.h"
#include "suite.h"
#include "trust_fixture.h"

#include <string.h>

/* Publishers, releases, policies, sequence numbers: what may go to a device. */

START_TEST(a_signed_release_runs)
{
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['door*'],'devices':{'groups':['lab']}}"), 0);
    ck_assert_int_eq(adds_signed("door", "1.0", 1, one, acme), 0);
    ck_assert_str_eq(state_of("door@1.0"), "good");
    ck_assert_int_eq(deploys_release("door@1.0"), 0);
    ck_assert_str_eq(container_release(core_find_container(box, "job")), "door@1.0");
    ck_assert_uint_eq(sequence_highest(box, "door"), 1);
    core_restart(&f);
    box = core_find_device(f.core, "box");
    ck_assert_str_eq(state_of("door@1.0"), "good");
    ck_assert_str_eq(container_release(core_find_container(box, "job")), "door@1.0");
    ck_assert_uint_eq(sequence_highest(box, "door"), 1);
}
END_TEST

START_TEST(keys_of_both_algorithms_sign)
{
    ck_assert_int_eq(puts_publisher("acme", other, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(adds_signed("door", "1.0", 1, one, other), 0);
    ck_assert_int_eq(deploys_release("door@1.0"), 0);
}
END_TEST

START_TEST(without_publishers_nothing_needs_a_signature)
{
    char text[128];

    ck_assert_int_eq(adds_plain("door", "1.0", 1, one), 0);
    ck_assert_str_eq(state_of("door@1.0"), "unsigned");
    ck_assert_int_eq(deploys_release("door@1.0"), 0);
    /* From the first publisher on everything does; what runs goes on. */
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_str_eq(state_of("door@1.0"), "unsigned");
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_UNSIGNED);
    ck_assert_int_eq(adds_plain("door", "2.0", 2, two), FAULT_UNSIGNED);
    (void)snprintf(text, sizeof text, "{'artifact':'%s'}", two);
    ck_assert_int_eq(deploys_to(box, text), FAULT_UNSIGNED);
    ck_assert_int_eq(sim_find(sim_device(&f.sim, "box", AGENT_V2), "job")->state, CONTAINER_RUNNING);
    f.options.require_signature = SIGNATURE_NOT_REQUIRED;
    core_configure(f.core, &f.options);
    ck_assert_int_eq(deploys_to(box, text), 0);
}
END_TEST

START_TEST(a_signature_may_be_required_from_the_start)
{
    f.options.require_signature = SIGNATURE_REQUIRED;
    core_configure(f.core, &f.options);
    ck_assert_int_eq(adds_plain("door", "1.0", 1, one), FAULT_UNSIGNED);
}
END_TEST

START_TEST(a_wrong_signature_is_refused)
{
    struct release_statement statement = statement_of("door", "1.0", 1, one);
    uint8_t bytes[512];
    size_t size;
    json_t *body;
    char *text;

    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(adds(sign(&statement, other, other)), FAULT_PUBLISHER_UNKNOWN);
    ck_assert_int_eq(adds(sign(&statement, other, acme)), FAULT_SIGNATURE_INVALID);
    /* Each byte of a good one counts. */
    body = sign(&statement, acme, acme);
    text = strdup(json_string_value(json_object_get(body, "signature")));
    json_decref(body);
    ck_assert(base64_decode(text, strlen(text), bytes, &size));
    free(text);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 1;
        text = base64_encode(bytes, size);
        ck_assert_int_ne(adds(json_pack("{s:s}", "signature", text)), 0);
        free(text);
        bytes[i] ^= 1;
    }
    ck_assert_ptr_null(core_release_json(f.core, "door@1.0"));
}
END_TEST

START_TEST(a_publisher_out_of_scope_is_refused)
{
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['lamp','*-door'],'devices':{'groups':['attic']}}"), 0);
    ck_assert_int_eq(adds_signed("door", "1.0", 1, one, acme), FAULT_OUT_OF_SCOPE);
    ck_assert_int_eq(adds_signed("front-door", "1.0", 1, one, acme), 0);
    ck_assert_int_eq(deploys_release("front-door@1.0"), FAULT_OUT_OF_SCOPE); /* another group */
    ck_assert_uint_eq(sim_device(&f.sim, "box", AGENT_V2)->calls[AGENT_CALL_STATUS], 0);
}
END_TEST

START_TEST(a_revoked_publisher_is_refused)
{
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(adds_signed("door", "1.0", 1, one, acme), 0);
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*'],'revoked':true}"), 0);
    ck_assert_str_eq(state_of("door@1.0"), "publisher-revoked");
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_PUBLISHER_REVOKED);
    ck_assert_int_eq(adds_signed("door", "2.0", 2, two, acme), FAULT_PUBLISHER_REVOKED);
    /* Not known any more at all. */
    ck_assert_int_eq(core_remove_publisher(f.core, "acme", NULL, NULL, &fault), 0);
    core_flush(&f);
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_PUBLISHER_UNKNOWN);
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(deploys_release("door@1.0"), 0);
}
END_TEST

START_TEST(revoked_while_it_waits)
{
    struct sim_device *sim = sim_device(&f.sim, "box", AGENT_V2);
    json_t *body = json_of("{'release':'door@1.0'}");
    struct outcome outcome = {0};
    struct operation *op;
    char id[UUID_SIZE];

    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(adds_signed("door", "1.0", 1, one, acme), 0);
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_REQUEST);
    ck_assert_int_eq(core_put_container(f.core, box, "job", body, 0, note_done, &outcome, &fault, &op), 0);
    json_decref(body);
    (void)text_copy(id, sizeof id, op->id);
    while (!sim->calls[AGENT_CALL_LOAD])
        core_advance(&f, 10);
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*'],'revoked':true}"), 0);
    ends(&f, id, OPERATION_FAILED, FAULT_PUBLISHER_REVOKED);
    ck_assert_uint_eq(sim->loads, 0);
    ck_assert_uint_eq(sim->calls[AGENT_CALL_LOAD], 1);
}
END_TEST

START_TEST(a_version_stays_what_it_is)
{
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(adds_signed("door", "1.0", 1, one, acme), 0);
    ck_assert_int_eq(adds_signed("door", "1.0", 1, one, acme), 0); /* the same again */
    ck_assert_int_eq(adds_signed("door", "1.0", 1, two, acme), FAULT_ALREADY_EXISTS);
    ck_assert_int_eq(adds_signed("door", "1.0", 2, one, acme), FAULT_ALREADY_EXISTS);
    ck_assert_int_eq(adds_signed("door", "1.1", 1, two, acme), FAULT_CONFLICT);
    ck_assert_int_eq(adds_signed("lamp", "1.1", 1, two, acme), 0);
    ck_assert_int_eq(deploys_release("door@1.0"), 0);
    ck_assert_int_eq(core_remove_release(f.core, "door@1.0", NULL, NULL, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_IN_USE);
    ck_assert_int_eq(core_remove_release(f.core, "lamp@1.1", NULL, NULL, &fault), 0);
    core_flush(&f);
    ck_assert_int_eq(deploys_release("lamp@1.1"), FAULT_NOT_FOUND);
}
END_TEST

START_TEST(no_way_back)
{
    ck_assert_int_eq(adds_plain("door", "1.0", 1, one), 0);
    ck_assert_int_eq(adds_plain("door", "2.0", 2, two), 0);
    ck_assert_int_eq(deploys_release("door@2.0"), 0);
    ck_assert_uint_eq(sequence_highest(box, "door"), 2);
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_ROLLBACK_REFUSED);
    ck_assert_str_eq(container_release(core_find_container(box, "job")), "door@2.0");
    core_restart(&f);
    box = core_find_device(f.core, "box");
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_ROLLBACK_REFUSED);
    /* The record goes, the number stays. */
    ck_assert_int_eq(core_forget_container(f.core, core_find_container(box, "job"), NULL, NULL, &fault), 0);
    core_flush(&f);
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_ROLLBACK_REFUSED);
    /* On purpose. */
    ck_assert_int_eq(deploys_to(box, "{'release':'door@1.0','rollback':true}"), 0);
    ck_assert_uint_eq(sequence_highest(box, "door"), 1);
    core_restart(&f);
    box = core_find_device(f.core, "box");
    ck_assert_uint_eq(sequence_highest(box, "door"), 1);
    ck_assert_int_eq(deploys_release("door@2.0"), 0);
    ck_assert_uint_eq(sequence_highest(box, "door"), 2);
}
END_TEST

static enum sim_mishap lose_after_load(void *arg, const struct agent_call *call)
{
    const struct sim_device *sim = arg;

    (void)call;
    return sim->calls[AGENT_CALL_LOAD] > 1 ? SIM_LOSE_ANSWER : SIM_FINE;
}

/* Nobody knows whether the device has the new one, so that the old one may not go there. */
START_TEST(a_load_without_answer_counts)
{
    struct sim_device *sim = sim_device(&f.sim, "box", AGENT_V2);

    ck_assert_int_eq(adds_plain("door", "1.0", 1, one), 0);
    ck_assert_int_eq(adds_plain("door", "2.0", 2, two), 0);
    ck_assert_int_eq(deploys_release("door@1.0"), 0);
    sim_script(&f.sim, AGENT_CALL_LOAD, _i ? SIM_LOSE_ANSWER : SIM_LOSE_REQUEST);
    f.sim.decide = lose_after_load;
    f.sim.decide_arg = sim;
    ck_assert_int_eq(deploys_release("door@2.0"), FAULT_DEVICE_TIMEOUT);
    ck_assert_int_eq(core_find_container(box, "job")->load, LOAD_SENT);
    ck_assert_uint_eq(sequence_highest(box, "door"), 1);
    core_restart(&f);
    box = core_find_device(f.core, "box");
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_ROLLBACK_REFUSED);
    f.sim.decide = NULL;
    core_advance(&f, 1200000); /* the reconciler goes on */
    ck_assert_uint_eq(sim->loads, 2);
    ck_assert_uint_eq(sequence_highest(box, "door"), 2);
}
END_TEST

START_TEST(a_load_that_is_refused_does_not_count)
{
    ck_assert_int_eq(adds_plain("door", "1.0", 1, one), 0);
    ck_assert_int_eq(adds_plain("door", "2.0", 2, two), 0);
    ck_assert_int_eq(deploys_release("door@1.0"), 0);
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_REFUSE);
    ck_assert_int_eq(deploys_release("door@2.0"), FAULT_LOAD_REFUSED);
    ck_assert_uint_eq(sequence_highest(box, "door"), 1);
    ck_assert_int_eq(deploys_release("door@1.0"), 0);
    ck_assert_uint_eq(sim_device(&f.sim, "box", AGENT_V2)->loads, 1);
}
END_TEST

START_TEST(the_same_code_under_a_higher_number)
{
    ck_assert_int_eq(adds_plain("door", "1.0", 1, one), 0);
    ck_assert_int_eq(adds_plain("door", "1.1", 2, one), 0);
    ck_assert_int_eq(deploys_release("door@1.0"), 0);
    ck_assert_int_eq(deploys_release("door@1.1"), 0);
    ck_assert_uint_eq(sim_device(&f.sim, "box", AGENT_V2)->loads, 1);
    ck_assert_uint_eq(sequence_highest(box, "door"), 2);
}
END_TEST

START_TEST(a_release_has_builds_for_several_runtimes)
{
    json_t *body = json_of("{'capabilities':{'runtimes':['wasm']}}");

    ck_assert_int_eq(adds_plain("door", "1.0", 1, one), 0); /* javascript */
    ck_assert_int_eq(core_patch_device(f.core, box, body, NULL, NULL, &fault), 0);
    json_decref(body);
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_RUNTIME_UNSUPPORTED);
    ck_assert_int_eq(
        adds(json_pack("{s:s, s:s, s:i, s:[s, s]}", "name", "lamp", "version", "1", "sequence", 1, "artifacts", one,
                       "00000000000000000000000000000000000000000000000000000000000000aa")),
        0);
    ck_assert_int_eq(deploys_release("lamp@1"), FAULT_NOT_FOUND); /* of one that is not here it is not known */
    ck_assert_int_eq(deploys_release("lamp@2"), FAULT_NOT_FOUND);
    ck_assert_int_eq(deploys_to(box, "{'release':'door@1.0','artifact':'x'}"), FAULT_INVALID_FIELD);
    ck_assert_int_eq(deploys_to(box, "{'state':'running'}"), FAULT_INVALID_FIELD);
}
END_TEST

START_TEST(the_build_that_fits_is_picked)
{
    static const char *const sizes[] = {"{'capabilities':{'package_max':1000}}",
                                        "{'capabilities':{'package_max':3000}}"};
    char code[2001], first[CORE_DIGEST_TEXT];

    memset(code, 'x', sizeof code - 1);
    code[sizeof code - 1] = 0;
    (void)text_copy(first, sizeof first, add_artifact(&f, code, NULL));
    ck_assert_int_eq(adds(json_pack("{s:s, s:s, s:i, s:[s, s]}", "name", "lamp", "version", "1", "sequence", 1,
                                    "artifacts", first, one)),
                     0);
    ck_assert_int_eq(
        adds(json_pack("{s:s, s:s, s:i, s:[s]}", "name", "lamp", "version", "2", "sequence", 2, "artifacts", first)),
        0);
    for (size_t i = 0; i < array_size(sizes); i++) {
        json_t *body = json_of(sizes[i]);

        ck_assert_int_eq(core_patch_device(f.core, box, body, NULL, NULL, &fault), 0);
        json_decref(body);
        ck_assert_str_eq(release_pick(box, "lamp@1", &fault)->id, i ? first : one);
        ck_assert_str_eq(release_pick(box, "lamp@2", &fault)->id, first); /* the driver says by how much */
    }
}
END_TEST

START_TEST(what_the_device_can_run_is_learnt_late)
{
    json_t *put = json_of("{'release':'door@1'}"), *patch = json_of("{'capabilities':{'runtimes':['native']}}");
    struct outcome outcome = {0}, uploaded = {0};
    struct artifact *native;
    struct operation *op;
    char id[UUID_SIZE];
    bool created;

    ck_assert_int_eq(upload(&f, "{'name':'n','type':'native'}", "code", 4, NULL, 0, &uploaded, &native, &created), 0);
    (void)text_copy(two, sizeof two, native->id);
    core_flush(&f);
    ck_assert_int_eq(adds(json_pack("{s:s, s:s, s:i, s:[s, s]}", "name", "door", "version", "1", "sequence", 1,
                                    "artifacts", one, two)),
                     0);
    ck_assert_int_eq(core_put_container(f.core, box, "job", put, 0, note_done, &outcome, &fault, &op), 0);
    (void)text_copy(id, sizeof id, op->id);
    ck_assert_str_eq(op->artifact, one);
    ck_assert_int_eq(core_patch_device(f.core, box, patch, NULL, NULL, &fault), 0);
    ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_str_eq(core_find_operation(f.core, id)->artifact, two);
    ck_assert_str_eq(sim_find(sim_device(&f.sim, "box", AGENT_V2), "job")->artifact, two);
    ck_assert_uint_eq(core_find_artifact(f.core, one)->users, 0);
    ck_assert_uint_eq(core_find_artifact(f.core, two)->users, 1);
    json_decref(put);
    json_decref(patch);
}
END_TEST

/* Policies --------------------------------------------------------------------------------------------------------- */

static const char description[] =
    "{'name':'greedy','type':'javascript','syscalls':['read','write'],'endpoints':[{'id':1,'peer':'local',"
    "'peer_endpoint':3,'direction':'both'}],'limits':{'loop_period_ms':100,'loop_max_lifetime':1000}}";

static const struct {
    const char *limit, *word; /* word NULL: it is let through */
} limits[] = {
    {"'types':['javascript']", NULL},
    {"'types':['wasm','rbpf']", "type javascript"},
    {"'syscalls':['read','write','open']", NULL},
    {"'syscalls':['read']", "system call write"},
    {"'syscalls':[]", "system call read"},
    {"'endpoints':{'peers':['local'],'directions':['in','out']}", NULL},
    {"'endpoints':{'directions':['both']}", NULL},
    {"'endpoints':{'directions':['in']}", "endpoint 1"},
    {"'endpoints':{'peers':['container','remote']}", "endpoint 1 (peer local, direction both)"},
    {"'loop_period_ms_min':100", NULL},
    {"'loop_period_ms_min':101", "loop period of 100 ms"},
    {"'loop_max_lifetime_max':1000", NULL},
    {"'loop_max_lifetime_max':999", "lifetime of 1000 loops"},
    {"'size_max':7", NULL},
    {"'size_max':6", "7 bytes"},
};

START_TEST(a_policy_limits)
{
    struct outcome outcome = {.called = false};
    struct artifact *artifact;
    char text[256];
    bool created;

    ck_assert_int_eq(upload(&f, description, "code", 4, "abc", 3, &outcome, &artifact, &created), 0);
    (void)text_copy(one, sizeof one, artifact->id);
    core_flush(&f);
    (void)snprintf(text, sizeof text, "{'allow':true,%s}", limits[_i].limit);
    ck_assert_int_eq(puts_policy("house", text), 0);
    (void)snprintf(text, sizeof text, "{'artifact':'%s'}", one);
    if (!limits[_i].word) {
        ck_assert_int_eq(deploys_to(box, text), 0);
        return;
    }
    ck_assert_int_eq(deploys_to(box, text), FAULT_POLICY_DENIED);
    ck_assert_msg(strstr(fault.detail, limits[_i].word) && strstr(fault.detail, "'house'"), "%s", fault.detail);
    ck_assert_uint_eq(sim_device(&f.sim, "box", AGENT_V2)->calls[AGENT_CALL_STATUS], 0);
    ck_assert_ptr_null(core_find_container(box, "job"));
}
END_TEST

START_TEST(a_lifetime_without_limit_is_over_any)
{
    ck_assert_int_eq(puts_policy("house", "{'allow':true,'loop_max_lifetime_max':4000000000}"), 0);
    ck_assert_int_eq(adds_plain("door", "1.0", 1, one), 0);
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_POLICY_DENIED);
}
END_TEST

START_TEST(the_first_policy_that_matches_decides)
{
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(adds_signed("door", "1.0", 1, one, acme), 0);
    ck_assert_int_eq(puts_policy("last", "{'priority':900,'allow':false,'reason':'ask Bob'}"), 0);
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_POLICY_DENIED);
    ck_assert_ptr_nonnull(strstr(fault.detail, "'last'"));
    ck_assert_ptr_nonnull(strstr(fault.detail, "ask Bob"));
    ck_assert_int_eq(puts_policy("b", "{'publishers':['ac*'],'artifacts':['lamp'],'allow':true}"), 0);
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_POLICY_DENIED);
    ck_assert_int_eq(puts_policy("b", "{'publishers':['ac*'],'artifacts':['d*r'],'allow':true,'devices':"
                                      "{'groups':['attic']}}"),
                     0);
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_POLICY_DENIED);
    ck_assert_int_eq(puts_policy("b", "{'publishers':['ac*'],'artifacts':['d*r'],'allow':true,'devices':"
                                      "{'groups':['lab']}}"),
                     0);
    ck_assert_int_eq(deploys_release("door@1.0"), 0);
    /* Of the same priority the names decide. */
    ck_assert_int_eq(puts_policy("a", "{'allow':false}"), 0);
    ck_assert_int_eq(adds_signed("door", "2.0", 2, two, acme), 0);
    ck_assert_int_eq(deploys_release("door@2.0"), FAULT_POLICY_DENIED);
    ck_assert_ptr_nonnull(strstr(fault.detail, "'a'"));
}
END_TEST

START_TEST(nobody_is_no_publisher)
{
    ck_assert_int_eq(adds_plain("door", "1.0", 1, one), 0);
    ck_assert_int_eq(puts_policy("a", "{'allow':true,'publishers':['*']}"), 0);
    ck_assert_int_eq(puts_policy("b", "{'allow':false}"), 0);
    ck_assert_int_eq(deploys_release("door@1.0"), FAULT_POLICY_DENIED);
    ck_assert_ptr_nonnull(strstr(fault.detail, "'b'"));
}
END_TEST

START_TEST(what_a_service_wants_is_admitted_too)
{
    struct store_batch *batch = store_batch_new();
    struct desired desired = {.state = CONTAINER_RUNNING, .artifact = one, .release = "door@1.0"};

    ck_assert_int_eq(adds_plain("door", "1.0", 1, one), 0);
    ck_assert_int_eq(puts_policy("a", "{'allow':false}"), 0);
    ck_assert_int_eq(container_desire(box, "job", &desired, batch, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_POLICY_DENIED);
    journal_free_batch(f.core, batch);
}
END_TEST

/* What is no document ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *body, *pointer;
} bad_publishers[] = {
    {"[]", ""},
    {"{'artifacts':['*']}", "/keys"},
    {"{'keys':[],'artifacts':['*']}", "/keys"},
    {"{'keys':['x'],'artifacts':['*']}", "/keys/0"},
    {"{'keys':[{'id':'a'}],'artifacts':['*']}", "/keys/0"},
    {"{'keys':[{'public_key':'no PEM'}],'artifacts':['*']}", "/keys/0"},
    {"{'keys':[{'public_key':'x','who':1}],'artifacts':['*']}", "/keys/0/who"},
    {"{'keys':[{'public_key':'x','id':''}],'artifacts':['*']}", "/keys/0/id"},
    {"{'keys':[{'public_key':'x'}]}", "/artifacts"},
    {"{'keys':[{'public_key':'x'}],'artifacts':[7]}", "/artifacts/0"},
    {"{'keys':[{'public_key':'x'}],'artifacts':['*'],'name':'b'}", "/name"},
    {"{'keys':[{'public_key':'x'}],'artifacts':['*'],'more':1}", "/more"},
};

START_TEST(a_bad_publisher)
{
    json_t *body = json_of(bad_publishers[_i].body);

    ck_assert_int_eq(core_put_publisher(f.core, "acme", body, NULL, NULL, &fault), 1);
    ck_assert_str_eq(fault.pointer, bad_publishers[_i].pointer);
    json_decref(body);
    ck_assert_ptr_null(core_publisher_json(f.core, "acme"));
}
END_TEST

START_TEST(a_key_is_of_one_publisher)
{
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*']}"), 0);
    ck_assert_int_eq(puts_publisher("evil", acme, "{'artifacts':['*']}"), FAULT_CONFLICT);
    ck_assert_int_eq(puts_publisher("evil", acme, "{'artifacts':['*'],'devices':{'any':1}}"), FAULT_CONFLICT);
    ck_assert_int_eq(puts_publisher("evil", other, "{'artifacts':['*'],'devices':{'any':1}}"), FAULT_UNKNOWN_FIELD);
    ck_assert_int_eq(puts_publisher("a/b", other, "{'artifacts':['*']}"), FAULT_INVALID_ID);
    ck_assert_int_eq(puts_publisher("acme", acme, "{'artifacts':['*'],'name':'acme'}"), 0);
}
END_TEST

static const struct {
    const char *body;
    enum fault_code code;
} bad_releases[] = {
    {"{}", FAULT_INVALID_FIELD},
    {"{'signature':7}", FAULT_INVALID_FIELD},
    {"{'signature':'AAAA','name':'x'}", FAULT_UNKNOWN_FIELD},
    {"{'signature':'AA=A'}", FAULT_INVALID_FIELD},
    {"{'signature':'AAAA'}", FAULT_INVALID_FIELD},
    {"{'signature':'0oRDoQEnoPb2'}", FAULT_INVALID_FIELD},
    {"{'name':'a','version':'1','sequence':0,'artifacts':[]}", FAULT_INVALID_FIELD},
    {"{'name':'a','version':'1','sequence':1,'artifacts':[]}", FAULT_INVALID_FIELD},
    {"{'name':'a','version':'1','sequence':1,'artifacts':['short']}", FAULT_INVALID_FIELD},
    {"{'name':'a@b','version':'1','sequence':1,'artifacts':"
     "['00000000000000000000000000000000000000000000000000000000000000aa']}",
     FAULT_INVALID_FIELD},
    {"{'name':'a','version':'','sequence':1,'artifacts':[]}", FAULT_INVALID_FIELD},
};

START_TEST(a_bad_release)
{
    ck_assert_int_eq(adds(json_of(bad_releases[_i].body)), bad_releases[_i].code);
}
END_TEST

static const char *const bad_policies[] = {
    "{}",
    "{'allow':'yes'}",
    "{'allow':true,'types':['cobol']}",
    "{'allow':true,'syscalls':['fork']}",
    "{'allow':true,'endpoints':{'peers':['moon']}}",
    "{'allow':true,'endpoints':{'directions':['up']}}",
    "{'allow':true,'endpoints':['local']}",
    "{'allow':true,'priority':-1}",
    "{'allow':true,'devices':{}}",
    "{'allow':true,'publishers':'acme'}",
    "{'allow':true,'artifacts':['']}",
};

START_TEST(a_bad_policy)
{
    ck_assert_int_eq(puts_policy("house", bad_policies[_i]), FAULT_INVALID_FIELD);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trust");
    TCase *tc = suite_add_case(suite, "trust", trust_setup, trust_teardown);

    tcase_add_test(tc, a_signed_release_runs);
    tcase_add_test(tc, keys_of_both_algorithms_sign);
    tcase_add_test(tc, without_publishers_nothing_needs_a_signature);
    tcase_add_test(tc, a_signature_may_be_required_from_the_start);
    tcase_add_test(tc, a_wrong_signature_is_refused);
    tcase_add_test(tc, a_publisher_out_of_scope_is_refused);
    tcase_add_test(tc, a_revoked_publisher_is_refused);
    tcase_add_test(tc, revoked_while_it_waits);
    tcase_add_test(tc, a_version_stays_what_it_is);
    tcase_add_test(tc, no_way_back);
    tcase_add_loop_test(tc, a_load_without_answer_counts, 0, 2);
    tcase_add_test(tc, a_load_that_is_refused_does_not_count);
    tcase_add_test(tc, the_same_code_under_a_higher_number);
    tcase_add_test(tc, a_release_has_builds_for_several_runtimes);
    tcase_add_test(tc, the_build_that_fits_is_picked);
    tcase_add_test(tc, what_the_device_can_run_is_learnt_late);
    tcase_add_loop_test(tc, a_policy_limits, 0, array_size(limits));
    tcase_add_test(tc, a_lifetime_without_limit_is_over_any);
    tcase_add_test(tc, the_first_policy_that_matches_decides);
    tcase_add_test(tc, nobody_is_no_publisher);
    tcase_add_test(tc, what_a_service_wants_is_admitted_too);
    tcase_add_loop_test(tc, a_bad_publisher, 0, array_size(bad_publishers));
    tcase_add_test(tc, a_key_is_of_one_publisher);
    tcase_add_loop_test(tc, a_bad_release, 0, array_size(bad_releases));
    tcase_add_loop_test(tc, a_bad_policy, 0, array_size(bad_policies));
    return suite_run(suite);
}
