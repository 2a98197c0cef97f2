#include "core/bodycheck.h"
#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* What people send: devices, artifacts, containers; every wrong member is named by its pointer. */

static struct core_fixture f;

static void setup(void)
{
    core_setup(&f);
}

static void teardown(void)
{
    core_teardown(&f);
}

#define LONG32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG64 LONG32 LONG32
#define LONG128 LONG64 LONG64
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct bad {
    const char *body;
    enum fault_code code;
    const char *pointer;
};

static void check_fault(const struct bad *bad, const struct fault *fault)
{
    ck_assert_msg(fault->code == bad->code, "%s: %s (%s)", bad->body, fault_info(fault->code)->slug, fault->detail);
    ck_assert_msg(strcmp(fault->pointer, bad->pointer) == 0, "%s: pointer %s (%s)", bad->body, fault->pointer,
                  fault->detail);
    ck_assert_msg(*fault->detail, "%s: no detail", bad->body);
}

static const struct bad bad_devices[] = {
    {"[]", FAULT_INVALID_FIELD, ""},
    {"1", FAULT_INVALID_FIELD, ""},
    {"null", FAULT_INVALID_FIELD, ""},
    {"{}", FAULT_INVALID_FIELD, "/address"},
    {"{'address':1}", FAULT_INVALID_FIELD, "/address"},
    {"{'address':null}", FAULT_INVALID_FIELD, "/address"},
    {"{'address':''}", FAULT_INVALID_FIELD, "/address"},
    {"{'address':'nowhere'}", FAULT_INVALID_FIELD, "/address"},
    {"{'address':'coap://" LONG128 "'}", FAULT_INVALID_FIELD, "/address"},
    {"{'address':'coap://a','adress':'b'}", FAULT_UNKNOWN_FIELD, "/adress"},
    {"{'address':'coap://a','a/b~c':1}", FAULT_UNKNOWN_FIELD, "/a~1b~0c"},
    {"{'address':'coap://a','" LONG128 "':1}", FAULT_UNKNOWN_FIELD, "/" LONG64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    {"{'address':'coap://a','id':1}", FAULT_INVALID_FIELD, "/id"},
    {"{'address':'coap://a','id':''}", FAULT_INVALID_ID, "/id"},
    {"{'address':'coap://a','id':'a b'}", FAULT_INVALID_ID, "/id"},
    {"{'address':'coap://a','id':'..'}", FAULT_INVALID_ID, "/id"},
    {"{'address':'coap://a','id':'a/b'}", FAULT_INVALID_ID, "/id"},
    {"{'address':'coap://a','id':'" LONG64 "'}", FAULT_INVALID_ID, "/id"},
    {"{'address':'coap://a','id':'box'}", FAULT_ALREADY_EXISTS, "/id"},
    {"{'address':'coap://a','name':5}", FAULT_INVALID_FIELD, "/name"},
    {"{'address':'coap://a','name':'" LONG128 "'}", FAULT_INVALID_FIELD, "/name"},
    {"{'address':'coap://a','name':'a\\u0007'}", FAULT_INVALID_FIELD, "/name"},
    {"{'address':'coap://a','agent':'v3'}", FAULT_INVALID_FIELD, "/agent"},
    {"{'address':'coap://a','agent':2}", FAULT_INVALID_FIELD, "/agent"},
    {"{'address':'coap://a','agent':'v1 v2'}", FAULT_INVALID_FIELD, "/agent"},
    {"{'address':'coap://a','capabilities':[]}", FAULT_INVALID_FIELD, "/capabilities"},
    {"{'address':'coap://a','capabilities':{'ram':1}}", FAULT_UNKNOWN_FIELD, "/capabilities/ram"},
    {"{'address':'coap://a','capabilities':{'pdu_size':63}}", FAULT_INVALID_FIELD, "/capabilities/pdu_size"},
    {"{'address':'coap://a','capabilities':{'pdu_size':65536}}", FAULT_INVALID_FIELD, "/capabilities/pdu_size"},
    {"{'address':'coap://a','capabilities':{'pdu_size':1204.5}}", FAULT_INVALID_FIELD, "/capabilities/pdu_size"},
    {"{'address':'coap://a','capabilities':{'pdu_size':'1204'}}", FAULT_INVALID_FIELD, "/capabilities/pdu_size"},
    {"{'address':'coap://a','capabilities':{'slots':0}}", FAULT_INVALID_FIELD, "/capabilities/slots"},
    {"{'address':'coap://a','capabilities':{'slots':-1}}", FAULT_INVALID_FIELD, "/capabilities/slots"},
    {"{'address':'coap://a','capabilities':{'slots':true}}", FAULT_INVALID_FIELD, "/capabilities/slots"},
    {"{'address':'coap://a','capabilities':{'runtimes':'wasm'}}", FAULT_INVALID_FIELD, "/capabilities/runtimes"},
    {"{'address':'coap://a','capabilities':{'runtimes':['wasm','perl']}}", FAULT_INVALID_FIELD,
     "/capabilities/runtimes/1"},
    {"{'address':'coap://a','capabilities':{'runtimes':[1]}}", FAULT_INVALID_FIELD, "/capabilities/runtimes/0"},
    {"{'address':'coap://a','capabilities':{'package_max':99999999}}", FAULT_INVALID_FIELD,
     "/capabilities/package_max"},
};

START_TEST(devices_that_are_refused)
{
    const struct bad *bad = &bad_devices[_i];
    struct fault fault = {.code = FAULT_NONE};
    json_t *body = json_of(bad->body);
    struct device *added;

    (void)add_device(&f, "box", AGENT_V1);
    ck_assert_int_eq(core_add_device(f.core, body, NULL, NULL, &fault, &added), 1);
    check_fault(bad, &fault);
    ck_assert_uint_eq(core_count_devices(f.core), 1);
    json_decref(body);
}
END_TEST

static void patch(const char *text, int result, struct fault *fault)
{
    struct outcome outcome = {.called = false};
    json_t *body = json_of(text);

    ck_assert_int_eq(core_patch_device(f.core, core_find_device(f.core, "box"), body, note_done, &outcome, fault),
                     result);
    json_decref(body);
    core_flush(&f);
    ck_assert_int_eq(outcome.called, result == 0);
    if (result == 0)
        ck_assert_int_eq(outcome.fault.code, FAULT_NONE);
}

START_TEST(device_is_patched)
{
    struct device *box = add_device(&f, "box", AGENT_V1);
    uint64_t revision = box->revision;
    struct fault fault = {.code = FAULT_NONE};

    patch("{'name':'K\u00fcche \\\"1\\\"','capabilities':{'pdu_size':2048,'runtimes':['wasm','rbpf'],'slots':2}}", 0,
          &fault);
    for (int round = 0; round < 2; round++) {
        size_t size;
        json_t *json;

        box = core_find_device(f.core, "box");
        ck_assert_str_eq(box->name, "K\u00fcche \"1\"");
        ck_assert_str_eq(box->address, "coap://[::1]:5683");
        ck_assert_uint_eq(box->caps.pdu_size, 2048);
        ck_assert_uint_eq(box->caps.runtimes, 1u << CONTAINER_TYPE_WASM | 1u << CONTAINER_TYPE_RBPF);
        ck_assert_uint_eq(box->caps_configured, DEVICE_CAP_PDU_SIZE | DEVICE_CAP_RUNTIMES | DEVICE_CAP_SLOTS);
        ck_assert_uint_eq(box->revision, revision + 1);
        json = json_loads(core_render_device(box, &size), 0, NULL);
        ck_assert_str_eq(json_string_value(json_object_get(json, "name")), box->name);
        ck_assert_uint_eq(json_array_size(json_object_get(json_object_get(json, "capabilities"), "runtimes")), 2);
        json_decref(json);
        core_restart(&f);
    }
    patch("{'name':null,'agent':null,'capabilities':{'pdu_size':null,'runtimes':[]}}", 0, &fault);
    box = core_find_device(f.core, "box");
    ck_assert_str_eq(box->name, "");
    ck_assert_int_eq(box->agent, AGENT_UNKNOWN);
    ck_assert(!box->agent_configured);
    ck_assert_uint_eq(box->caps.pdu_size, 0);
    ck_assert_uint_eq(box->caps_configured, DEVICE_CAP_SLOTS);
    patch("{'capabilities':null}", 0, &fault);
    ck_assert_uint_eq(box->caps_configured, 0);
    patch("{'id':'other'}", 1, &fault);
    ck_assert_int_eq(fault.code, FAULT_UNKNOWN_FIELD);
    patch("{'name':'x','capabilities':{'slots':1000}}", 1, &fault);
    ck_assert_str_eq(box->name, ""); /* as a whole or not at all */
}
END_TEST

START_TEST(device_ids_and_limit)
{
    struct device *list[20], *added;
    struct fault fault = {.code = FAULT_NONE};
    json_t *body = json_of("{'address':'coap://a','agent':'unknown'}");

    (void)add_device(&f, "b", AGENT_V1);
    (void)add_device(&f, "c", AGENT_V1);
    (void)add_device(&f, "a", AGENT_V1);
    ck_assert_uint_eq(core_list_devices(f.core, NULL, list, 20), 3);
    ck_assert_str_eq(list[0]->id, "a");
    ck_assert_str_eq(list[2]->id, "c");
    ck_assert_uint_eq(core_list_devices(f.core, "a", list, 1), 1);
    ck_assert_str_eq(list[0]->id, "b");
    ck_assert_uint_eq(core_list_devices(f.core, "c", list, 1), 0);
    for (int i = 3; i < 10; i++) {
        ck_assert_int_eq(core_add_device(f.core, body, NULL, NULL, &fault, &added), 0);
        ck_assert(text_is_name(added->id, CORE_ID_MAX));
    }
    ck_assert_int_eq(core_add_device(f.core, body, NULL, NULL, &fault, &added), 1);
    ck_assert_int_eq(fault.code, FAULT_LIMIT_REACHED);
    json_decref(body);
}
END_TEST

/* Artifacts ------------------------------------------------------------------------------------------------------- */

static const struct bad bad_artifacts[] = {
    {"[]", FAULT_INVALID_FIELD, ""},
    {"{}", FAULT_INVALID_FIELD, "/type"},
    {"{'type':'cobol'}", FAULT_INVALID_FIELD, "/type"},
    {"{'type':'undefined'}", FAULT_INVALID_FIELD, "/type"},
    {"{'type':4}", FAULT_INVALID_FIELD, "/type"},
    {"{'type':'native','id':'" HEX64 "'}", FAULT_UNKNOWN_FIELD, "/id"},
    {"{'type':'native','code':{}}", FAULT_UNKNOWN_FIELD, "/code"},
    {"{'type':'native','name':[]}", FAULT_INVALID_FIELD, "/name"},
    {"{'type':'native','syscalls':'open'}", FAULT_INVALID_FIELD, "/syscalls"},
    {"{'type':'native','syscalls':['open','format-disk']}", FAULT_INVALID_FIELD, "/syscalls/1"},
    {"{'type':'native','syscalls':['open','open']}", FAULT_INVALID_FIELD, "/syscalls/1"},
    {"{'type':'native','syscalls':[1]}", FAULT_INVALID_FIELD, "/syscalls/0"},
    {"{'type':'native','syscalls':['open','close','read','write','heartbeat','open']}", FAULT_INVALID_FIELD,
     "/syscalls"},
    {"{'type':'native','endpoints':{}}", FAULT_INVALID_FIELD, "/endpoints"},
    {"{'type':'native','endpoints':[1]}", FAULT_INVALID_FIELD, "/endpoints/0"},
    {"{'type':'native','endpoints':[{'id':1}]}", FAULT_INVALID_FIELD, "/endpoints/0/peer"},
    {"{'type':'native','endpoints':[{'id':1,'peer':'moon','peer_endpoint':1,'direction':'in'}]}", FAULT_INVALID_FIELD,
     "/endpoints/0/peer"},
    {"{'type':'native','endpoints':[{'id':1,'peer':'local','peer_endpoint':1,'direction':'up'}]}", FAULT_INVALID_FIELD,
     "/endpoints/0/direction"},
    {"{'type':'native','endpoints':[{'id':-1,'peer':'local','peer_endpoint':1,'direction':'in'}]}", FAULT_INVALID_FIELD,
     "/endpoints/0/id"},
    {"{'type':'native','endpoints':[{'id':4294967296,'peer':'local','peer_endpoint':1,'direction':'in'}]}",
     FAULT_INVALID_FIELD, "/endpoints/0/id"},
    {"{'type':'native','endpoints':[{'id':1,'peer':'local','peer_endpoint':1,'direction':'in','x':1}]}",
     FAULT_UNKNOWN_FIELD, "/endpoints/0/x"},
    {"{'type':'native','endpoints':[{'id':1,'peer':'container','peer_endpoint':1,'direction':'in'}]}",
     FAULT_INVALID_FIELD, "/endpoints/0/peer_uid"},
    {"{'type':'native','endpoints':[{'id':1,'peer':'local','peer_uid':'a','peer_endpoint':1,'direction':'in'}]}",
     FAULT_INVALID_FIELD, "/endpoints/0/peer_uid"},
    {"{'type':'native','endpoints':[{'id':1,'peer':'container','peer_uid':'a b','peer_endpoint':1,'direction':'in'}]}",
     FAULT_INVALID_FIELD, "/endpoints/0/peer_uid"},
    {"{'type':'native','endpoints':[{'id':1,'peer':'local','peer_endpoint':1,'direction':'in'},"
     "{'id':1,'peer':'local','peer_endpoint':2,'direction':'in'}]}",
     FAULT_INVALID_FIELD, "/endpoints/1/id"},
    {"{'type':'native','limits':[]}", FAULT_INVALID_FIELD, "/limits"},
    {"{'type':'native','limits':{'loop_period':1}}", FAULT_UNKNOWN_FIELD, "/limits/loop_period"},
    {"{'type':'native','limits':{'loop_period_ms':0}}", FAULT_INVALID_FIELD, "/limits/loop_period_ms"},
    {"{'type':'native','limits':{'loop_period_ms':'fast'}}", FAULT_INVALID_FIELD, "/limits/loop_period_ms"},
    {"{'type':'native','limits':{'stop_max_duration_ms':-5}}", FAULT_INVALID_FIELD, "/limits/stop_max_duration_ms"},
    {"{'type':'wasm'}", FAULT_INVALID_WASM, ""},
    {"{'type':'rbpf'}", FAULT_INVALID_RBPF, ""},
};

START_TEST(artifacts_that_are_refused)
{
    const struct bad *bad = &bad_artifacts[_i];
    struct outcome outcome = {.called = false};
    struct artifact *artifact;
    bool created;

    ck_assert_int_eq(upload(&f, bad->body, "nothing to run", 14, NULL, 0, &outcome, &artifact, &created), 1);
    check_fault(bad, &outcome.fault);
    ck_assert_uint_eq(core_list_artifacts(f.core, NULL, &artifact, 1), 0);
}
END_TEST

START_TEST(artifact_parts_are_checked)
{
    static uint8_t large[65536 + 1];
    struct outcome outcome = {.called = false};
    struct artifact *artifact;
    bool created;

    ck_assert_int_eq(upload(&f, "{'type':'native'}", "", 0, NULL, 0, &outcome, &artifact, &created), 1);
    ck_assert_int_eq(outcome.fault.code, FAULT_INVALID_ARTIFACT);
    ck_assert_int_eq(upload(&f, "{'type':'native'}", large, sizeof large, NULL, 0, &outcome, &artifact, &created), 1);
    ck_assert_int_eq(outcome.fault.code, FAULT_BODY_TOO_LARGE);
    ck_assert_int_eq(upload(&f, "{'type':'native'}", large, 65536, "x", 1, &outcome, &artifact, &created), 1);
    ck_assert_int_eq(outcome.fault.code, FAULT_BODY_TOO_LARGE);
    ck_assert_int_eq(upload(&f, "{'type':'native'}", large, 65535, "x", 1, &outcome, &artifact, &created), 0);
    ck_assert(created);
}
END_TEST

/* (module (type (func (result i32))) (func (type 0) i32.const 0) (export "loop" (func 0))) */
static const uint8_t wasm[] = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x05, 0x01, 0x60, 0x00,
                               0x01, 0x7f, 0x03, 0x02, 0x01, 0x00, 0x07, 0x08, 0x01, 0x04, 0x6c, 0x6f, 0x6f,
                               0x70, 0x00, 0x00, 0x0a, 0x06, 0x01, 0x04, 0x00, 0x41, 0x00, 0x0b};

/* The same with (import "env" "open" (func (param i32) (result i32))) and (memory 2 3). */
static const uint8_t opener[] = {0x00, 'a',  's',  'm',  0x01, 0x00, 0x00, 0x00, 0x01, 0x0a, 0x02, 0x60, 0x00,
                                 0x01, 0x7f, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x02, 0x0c, 0x01, 0x03, 'e',  'n',
                                 'v',  0x04, 'o',  'p',  'e',  'n',  0x00, 0x01, 0x03, 0x02, 0x01, 0x00, 0x05,
                                 0x04, 0x01, 0x01, 0x02, 0x03, 0x07, 0x08, 0x01, 0x04, 'l',  'o',  'o',  'p',
                                 0x00, 0x01, 0x0a, 0x06, 0x01, 0x04, 0x00, 0x41, 0x00, 0x0b};

START_TEST(a_module_imports_only_what_its_description_asks_for)
{
    struct outcome outcome = {.called = false};
    struct artifact *artifact;
    bool created;
    int r = upload(&f, "{'type':'wasm','syscalls':['read']}", opener, sizeof opener, NULL, 0, &outcome, &artifact,
                   &created);

    ck_assert_int_eq(r, 1);
    ck_assert_int_eq(outcome.fault.code, FAULT_INVALID_WASM);
    ck_assert_str_eq(outcome.fault.pointer, "/syscalls");
    ck_assert_ptr_nonnull(strstr(outcome.fault.detail, "env.open"));
    outcome.called = false;
    r = upload(&f, "{'type':'wasm','syscalls':['read','open']}", opener, sizeof opener, NULL, 0, &outcome, &artifact,
               &created);
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(artifact->memory, 2 * 65536);
    ck_assert_uint_eq(artifact->memory_max, 3 * 65536);
    outcome.called = false;
    ck_assert_int_eq(upload(&f, "{'type':'wasm'}", opener, sizeof opener, NULL, 0, &outcome, &artifact, &created), 0);
    ck_assert_uint_eq(artifact->syscall_mask, 1u << (CONTAINER_SYSCALL_OPEN - 1));
}
END_TEST

START_TEST(artifact_is_known_by_its_content)
{
    struct outcome outcome = {.called = false};
    struct artifact *artifact, *other;
    char id[CORE_DIGEST_TEXT];
    bool created;
    json_t *json;

    ck_assert_int_eq(upload(&f,
                            "{'type':'wasm','name':'first','syscalls':['write','open'],'endpoints':["
                            "{'id':7,'peer':'local','peer_endpoint':3,'direction':'in'},"
                            "{'id':2,'peer':'container','peer_uid':'box','peer_endpoint':1,'direction':'both'}],"
                            "'limits':{'loop_max_lifetime':9}}",
                            wasm, sizeof wasm, NULL, 0, &outcome, &artifact, &created),
                     0);
    ck_assert(created);
    (void)text_copy(id, sizeof id, artifact->id);
    ck_assert_uint_eq(strlen(id), 64);
    /* Both computed independently. */
    ck_assert_str_eq(artifact->manifest,
                     "{\"code\":{\"sha256\":\"cb4f513322fd35fa1d421ebc5a932ab151993974c8c21be6b1269c7ff007b"
                     "4c6\",\"size\":37},\"data\":{\"sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b93"
                     "4ca495991b7852b855\",\"size\":0},\"endpoints\":[{\"direction\":\"both\",\"id\":2,\"peer\":\"co"
                     "ntainer\",\"peer_endpoint\":1,\"peer_uid\":\"box\"},{\"direction\":\"in\",\"id\":7,\"peer\":\"lo"
                     "cal\",\"peer_endpoint\":3}],\"limits\":{\"loop_max_duration_ms\":0,\"loop_max_lifetime\":"
                     "9,\"loop_period_ms\":1000,\"start_max_duration_ms\":0,\"stop_max_duration_ms\":0},\"sys"
                     "calls\":[\"open\",\"write\"],\"type\":\"wasm\"}");
    ck_assert_str_eq(id, "126bc65e1f383583d69cd90ff2f37e7e175049b292141bfdc9789baa68b3a7ad");
    /* The same in another order, with another name and defaults spelt out. */
    outcome.called = false;
    ck_assert_int_eq(upload(&f,
                            "{'name':'second','limits':{'loop_period_ms':1000,'loop_max_lifetime':9},'endpoints':["
                            "{'peer_uid':'box','id':2,'peer':'container','peer_endpoint':1,'direction':'both'},"
                            "{'id':7,'peer':'local','peer_endpoint':3,'direction':'in','peer_uid':null}],"
                            "'syscalls':['open','write'],'type':'wasm'}",
                            wasm, sizeof wasm, "", 0, &outcome, &other, &created),
                     0);
    ck_assert(!created);
    ck_assert_ptr_eq(other, artifact);
    core_restart(&f);
    artifact = core_find_artifact(f.core, id);
    ck_assert_str_eq(artifact->name, "first");
    ck_assert_uint_eq(artifact->endpoint_count, 2);
    ck_assert_uint_eq(artifact->endpoints[0].id, 2);
    ck_assert_str_eq(artifact->endpoints[0].peer_uid, "box");
    ck_assert_uint_eq(artifact->limits.loop_max_lifetime, 9);
    ck_assert_uint_eq(artifact->limits.loop_period, 1000);
    ck_assert_uint_eq(artifact->syscall_mask, 1u << (CONTAINER_SYSCALL_OPEN - 1) | 1u << (CONTAINER_SYSCALL_WRITE - 1));
    ck_assert_uint_eq(artifact->code_size, sizeof wasm);
    json = core_artifact_json(f.core, artifact);
    ck_assert_uint_eq(json_object_size(json), 14);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json, "syscalls"), 0)), "open");
    json_decref(json);
}
END_TEST

START_TEST(artifacts_in_use_stay)
{
    struct device *box = add_device(&f, "box", AGENT_V2);
    const char *job = add_artifact(&f, "loop()", NULL), *other = add_artifact(&f, "loop2()", NULL);
    struct outcome outcome = {.called = false};
    struct fault fault = {.code = FAULT_NONE};
    struct artifact *list[3];

    deploys(&f, box, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(core_find_artifact(f.core, job)->users, 1);
    ck_assert_int_eq(core_remove_artifact(f.core, core_find_artifact(f.core, job), NULL, NULL, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_IN_USE);
    deploys(&f, box, "job", other, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_int_eq(core_remove_artifact(f.core, core_find_artifact(f.core, job), note_done, &outcome, &fault), 0);
    ck_assert_ptr_null(core_find_artifact(f.core, job));
    core_flush(&f);
    ck_assert(outcome.called);
    core_restart(&f);
    ck_assert_uint_eq(core_list_artifacts(f.core, NULL, list, 3), 1);
    ck_assert_str_eq(list[0]->id, other);
}
END_TEST

START_TEST(artifacts_are_limited)
{
    struct outcome outcome = {.called = false};
    struct artifact *artifact;
    char code[8];
    bool created;

    for (int i = 0; i < 10; i++) {
        (void)snprintf(code, sizeof code, "c%d", i);
        (void)add_artifact(&f, code, NULL);
    }
    ck_assert_int_eq(upload(&f, "{'type':'native'}", "x", 1, NULL, 0, &outcome, &artifact, &created), 1);
    ck_assert_int_eq(outcome.fault.code, FAULT_LIMIT_REACHED);
}
END_TEST

/* Containers ------------------------------------------------------------------------------------------------------ */

static const struct bad bad_containers[] = {
    {"{}", FAULT_INVALID_FIELD, "/artifact"},
    {"[]", FAULT_INVALID_FIELD, ""},
    {"{'artifact':1}", FAULT_INVALID_FIELD, "/artifact"},
    {"{'artifact':'short'}", FAULT_INVALID_FIELD, "/artifact"},
    {"{'artifact':'" HEX64 "'}", FAULT_NOT_FOUND, "/artifact"},
    {"{'artifact':'" HEX64 "','state':'absent'}", FAULT_INVALID_FIELD, "/state"},
    {"{'artifact':'" HEX64 "','state':1}", FAULT_INVALID_FIELD, "/state"},
    {"{'artifact':'" HEX64 "','more':1}", FAULT_UNKNOWN_FIELD, "/more"},
};

START_TEST(containers_that_are_refused)
{
    const struct bad *bad = &bad_containers[_i];
    struct device *box = add_device(&f, "box", AGENT_V1);
    struct fault fault = {.code = FAULT_NONE};
    json_t *body = json_of(bad->body);
    struct operation *op;

    ck_assert_int_eq(core_put_container(f.core, box, "job", body, 0, NULL, NULL, &fault, &op), 1);
    check_fault(bad, &fault);
    ck_assert_ptr_null(core_find_container(box, "job"));
    json_decref(body);
}
END_TEST

START_TEST(uids_that_are_refused)
{
    static const char *const uids[] = {"", "a b", "a/b", "..", "\xc3\xa9", LONG64};
    struct device *box = add_device(&f, "box", AGENT_V1);
    json_t *body = json_pack("{s:s}", "artifact", add_artifact(&f, "loop()", NULL));
    struct fault fault;
    struct operation *op;

    for (size_t i = 0; i < array_size(uids); i++) {
        fault.code = FAULT_NONE;
        ck_assert_int_eq(core_put_container(f.core, box, uids[i], body, 0, NULL, NULL, &fault, &op), 1);
        ck_assert_int_eq(fault.code, FAULT_INVALID_ID);
    }
    json_decref(body);
    deploys(&f, box, LONG32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", add_artifact(&f, "loop()", NULL), OPERATION_SUCCEEDED,
            FAULT_NONE);
}
END_TEST

/* Answers kept for Idempotency-Key -------------------------------------------------------------------------------- */

START_TEST(answers_are_kept_for_a_day)
{
    const struct core_answer kept = {"digest", 201, "/v1/x", "{}"}, bare = {"other", 204, NULL, NULL};
    struct outcome outcome = {.called = false};
    struct core_answer found;

    ck_assert_int_eq(core_keep_answer(f.core, "key", &kept, note_done, &outcome), 0);
    core_flush(&f);
    ck_assert(outcome.called);
    ck_assert_int_eq(core_keep_answer(f.core, "bare", &bare, NULL, NULL), 0);
    core_flush(&f);
    for (int round = 0; round < 2; round++) {
        ck_assert(core_find_answer(f.core, "key", &found));
        ck_assert_str_eq(found.digest, "digest");
        ck_assert_str_eq(found.location, "/v1/x");
        ck_assert_str_eq(found.body, "{}");
        ck_assert_int_eq(found.status, 201);
        ck_assert(core_find_answer(f.core, "bare", &found));
        ck_assert_ptr_null(found.location);
        ck_assert(!core_find_answer(f.core, "none", &found));
        core_restart(&f);
    }
    core_advance(&f, INT64_C(24) * 3600 * 1000 + 1);
    ck_assert(!core_find_answer(f.core, "key", &found));
    core_advance(&f, 3600 * 1000);
    core_restart(&f);
    ck_assert(!core_find_answer(f.core, "key", &found));
}
END_TEST

/* Timers
 * --------------------------------------------------------------------------------------------------------------- */

START_TEST(timers_come_in_order)
{
    enum { COUNT = 500 };
    static struct timer timer[COUNT];
    struct timers timers = {NULL};
    unsigned seed = 1, armed = 0;
    int64_t last = 0;

    for (unsigned step = 0; step < 20000; step++) {
        struct timer *t;

        seed = seed * 1103515245u + 12345u;
        t = &timer[(seed >> 16) % COUNT];
        armed -= t->armed;
        if (seed >> 30 == 0) {
            timer_stop(&timers, t);
            timer_stop(&timers, t);
        } else {
            timer_set(&timers, t, (int64_t)(seed >> 8 & 0xfff));
            armed++;
        }
    }
    ck_assert_uint_gt(armed, 100);
    for (; armed > 0; armed--) {
        struct timer *t;
        int64_t next = timers_next(&timers);

        ck_assert_ptr_null(timer_take(&timers, next - 1));
        t = timer_take(&timers, next);
        ck_assert_ptr_nonnull(t);
        ck_assert(!t->armed);
        ck_assert_int_ge(t->due, last);
        last = t->due;
    }
    ck_assert_int_eq(timers_next(&timers), INT64_MAX);
}
END_TEST

START_TEST(names_have_inverses)
{
    for (unsigned i = 0; i < OPERATION_STATE_COUNT; i++)
        ck_assert_uint_eq(operation_state_from_name(operation_state_name((enum operation_state)i)), i);
    for (unsigned i = 0; i < CONTAINER_STATE_COUNT; i++)
        ck_assert_uint_eq(container_state_from_name(container_state_name((enum container_state)i)), i);
    for (unsigned i = 0; i < OPERATION_KIND_COUNT; i++)
        ck_assert_uint_eq(operation_kind_from_name(operation_kind_name((enum operation_kind)i)), i);
    for (unsigned i = 0; i < LOAD_COUNT; i++)
        ck_assert_uint_eq(container_load_from_name(container_load_name((enum container_load)i)), i);
    for (unsigned i = 0; i < AGENT_KIND_COUNT; i++)
        ck_assert_uint_eq(agent_kind_from_name(agent_kind_name((enum agent_kind)i)), i);
    ck_assert_int_eq(agent_kind_from_name("v9"), AGENT_KIND_COUNT);
    ck_assert_int_eq(operation_state_from_name(""), OPERATION_STATE_COUNT);
    ck_assert_str_eq(agent_verb_name(AGENT_CALL_COUNT), "invalid");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_input");
    TCase *tcase = tcase_create("input");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, devices_that_are_refused, 0, (int)array_size(bad_devices));
    tcase_add_test(tcase, device_is_patched);
    tcase_add_test(tcase, device_ids_and_limit);
    tcase_add_loop_test(tcase, artifacts_that_are_refused, 0, (int)array_size(bad_artifacts));
    tcase_add_test(tcase, artifact_parts_are_checked);
    tcase_add_test(tcase, a_module_imports_only_what_its_description_asks_for);
    tcase_add_test(tcase, artifact_is_known_by_its_content);
    tcase_add_test(tcase, artifacts_in_use_stay);
    tcase_add_test(tcase, artifacts_are_limited);
    tcase_add_loop_test(tcase, containers_that_are_refused, 0, (int)array_size(bad_containers));
    tcase_add_test(tcase, uids_that_are_refused);
    tcase_add_test(tcase, answers_are_kept_for_a_day);
    tcase_add_test(tcase, timers_come_in_order);
    tcase_add_test(tcase, names_have_inverses);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
