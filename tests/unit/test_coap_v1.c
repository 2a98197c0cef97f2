#include "coap_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* The driver for agents of kind v1, against scripted ones. */

enum { OPT_ACTION = 65001, OPT_METADATA, OPT_DATA, OPT_CODE, OPT_UID, OPT_STATUS };

static struct box *const box = &world.box;

static void answer_created(struct box *p)
{
    box_answer(p, COAPMSG_CREATED, "");
}

static void answer_status(struct box *p, const void *status, size_t length)
{
    struct coapmsg response;

    box_prepare(p, &response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add(&response, OPT_STATUS, status, length);
    box_send(p, &response);
}

static void answer_running(struct box *p)
{
    answer_status(p, "\x01", 1);
}

static uint32_t get_action(void)
{
    uint32_t action = 0;

    ck_assert(coapmsg_get_uint(&box->request, OPT_ACTION, &action));
    return action;
}

static void check_option(uint16_t number, const void *value, size_t length)
{
    const struct coapmsg_option *option = coapmsg_find(&box->request, number);

    ck_assert_ptr_nonnull(option);
    ck_assert_uint_eq(option->length, length);
    ck_assert_mem_eq(option->value, value, length);
}

/* Load ------------------------------------------------------------------------------------------------------------ */

static void check_metadata(void)
{
    const struct coapmsg_option *option = coapmsg_find(&box->request, OPT_METADATA);
    struct metadata_tokens tokens;
    uint8_t public_key[KEY_PUBLIC_SIZE];
    char reason[128] = "";
    struct metadata md;

    ck_assert_ptr_nonnull(option);
    ck_assert_msg(metadata_parse(option->value, option->length, &md, &tokens, reason, sizeof reason) == 0, "%s",
                  reason);
    key_public(world.key, public_key);
    ck_assert_int_eq(metadata_verify(&tokens, public_key, world.data, 10, world.code, 300), METADATA_OK);
    ck_assert_str_eq(md.uid, "door");
    ck_assert_int_eq(md.type, CONTAINER_TYPE_WASM);
    ck_assert_uint_eq(md.syscall_mask, 0x1e);
    ck_assert_uint_eq(md.endpoint_count, 1);
    ck_assert_uint_eq(md.endpoints[0].id, 7);
    ck_assert_uint_eq(md.limits.loop_period, 1000);
}

START_TEST(load_carries_a_whole_signed_container)
{
    struct container_endpoint endpoint = {.id = 7, .peer = ENDPOINT_PEER_LOCAL, .peer_endpoint = 3};

    world.artifact.endpoints = &endpoint;
    world.artifact.endpoint_count = 1;
    box->script = answer_created;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    ck_assert_uint_eq(world.call.code_received, COAPMSG_CREATED);
    ck_assert_int_eq(box->request.type, COAPMSG_CON);
    ck_assert_int_eq(box->request.code, COAPMSG_POST);
    ck_assert_uint_gt(box->request.token_length, 0);
    ck_assert(coapmsg_path_is(&box->request, "/container/"));
    ck_assert_uint_eq(get_action(), 1);
    ck_assert_ptr_null(coapmsg_find(&box->request, OPT_UID));
    check_option(OPT_DATA, world.data, 10);
    check_option(OPT_CODE, world.code, 300);
    check_metadata();
}
END_TEST

START_TEST(load_sends_empty_data_as_an_empty_option)
{
    world.artifact.data_size = 0;
    box->script = answer_created;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    ck_assert_ptr_nonnull(coapmsg_find(&box->request, OPT_DATA));
    ck_assert_uint_eq(coapmsg_find(&box->request, OPT_DATA)->length, 0);
}
END_TEST

/* The size that check() goes by is the size that arrives, at every length where an option's head grows. */
START_TEST(check_knows_the_exact_size)
{
    static const size_t sizes[] = {1, 12, 13, 14, 268, 269, 270, 1000, 1300, 9000, 60000};
    struct fault fault;

    box->script = answer_created;
    world.artifact.code_size = sizes[_i];
    world.artifact.data_size = sizes[_i] < 64 ? sizes[_i] - 1 : 0;
    world.device.caps.pdu_size = 65000;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    world.device.caps.pdu_size = (uint32_t)box->size;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 0);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    world.device.caps.pdu_size--;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_PACKAGE_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(fault.detail, "1 bytes too large"));
}
END_TEST

START_TEST(what_does_not_fit_is_refused_with_the_sizes_and_not_sent)
{
    struct fault fault;
    unsigned needed;

    box->script = answer_created;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    needed = (unsigned)box->size - 300;
    world.artifact.code_size = 1204 - needed; /* the default of 1204 bytes */
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 0);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    ck_assert_uint_eq(box->size, 1204);
    world.artifact.code_size += 5;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_PACKAGE_TOO_LARGE);
    ck_assert_str_eq(fault.detail, "container 'door' needs a request of 1209 bytes, but device 'box-1' takes at most "
                                   "1204: it is 5 bytes too large");
    box->datagrams = 0;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_LOCAL);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "1209"));
    world_run_for(50);
    ck_assert_uint_eq(box->datagrams, 0);
    world.artifact.code_size = 5000000000; /* beyond any option */
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 1);
    ck_assert_ptr_nonnull(strstr(fault.detail, "50000"));
}
END_TEST

START_TEST(check_refuses_what_no_agent_takes)
{
    struct container_endpoint endpoints[METADATA_MAX_ENDPOINTS + 1] = {{.id = 1}};
    char uid[CORE_ID_MAX + 2];
    struct fault fault;

    memset(uid, 'u', sizeof uid);
    uid[sizeof uid - 1] = 0;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, uid, &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_INVALID_ID);
    uid[CORE_ID_MAX] = 0;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, uid, &world.artifact, &fault), 0);
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "", &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_INVALID_ID);
    world.device.caps.runtimes = 1u << CONTAINER_TYPE_RBPF;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_RUNTIME_UNSUPPORTED);
    world.device.caps.runtimes = 0;
    world.artifact.endpoints = endpoints;
    world.artifact.endpoint_count = METADATA_MAX_ENDPOINTS + 1;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_INVALID_ARTIFACT);
    world.artifact.endpoint_count = 0;
    world.artifact.code_size = 0;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_INVALID_ARTIFACT);
}
END_TEST

START_TEST(requests_without_a_uid_are_not_sent)
{
    world_begin(AGENT_CALL_LOG); /* for the call's other members */
    world.port.cancel(world.port.arg, &world.call);
    for (enum agent_verb verb = AGENT_CALL_START; verb <= AGENT_CALL_REMOVE; verb++) {
        world.call.verb = verb;
        world.call.uid[0] = 0;
        world.done = 0;
        world.port.begin(world.port.arg, &world.call);
        ck_assert_uint_eq(world.done, 0);
        ck_assert(world_run(1000));
        ck_assert_int_eq(world.call.outcome, AGENT_LOCAL);
        world_run_for(20);
        ck_assert_uint_eq(box->datagrams, 0);
    }
}
END_TEST

static int fail_to_sign(void *arg, const uint8_t *data, size_t size, uint8_t signature[METADATA_SIGNATURE_SIZE])
{
    (void)arg;
    (void)data;
    (void)size;
    (void)signature;
    return -1;
}

START_TEST(without_a_signature_nothing_is_sent)
{
    world.options.sign = fail_to_sign;
    agents_configure(world.agents, &world.options);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_LOCAL);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "signed"));
    ck_assert_uint_eq(box->datagrams, 0);
}
END_TEST

/* Twice the time in which libcoap would retransmit; the answer comes when nobody waits for it any more. */
START_TEST(load_leaves_once_and_a_late_answer_is_ignored)
{
    world.options.load_timeout_ms = 2500;
    agents_configure(world.agents, &world.options);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_NO_ANSWER);
    ck_assert_uint_eq(world.call.code_received, 0);
    ck_assert_uint_eq(box->datagrams, 1);
    answer_created(box);
    world_run_for(1500);
    ck_assert_uint_eq(world.done, 1);
    ck_assert_uint_eq(box->datagrams, 1);
    box->script = answer_running;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_RUNNING);
}
END_TEST

static const struct {
    enum agent_verb verb;
    uint8_t code;
    enum agent_outcome outcome;
    const char *detail;
} answers[] = {
    {AGENT_CALL_LOAD, COAPMSG_INTERNAL_ERROR, AGENT_REFUSED, "slot"},
    {AGENT_CALL_LOAD, COAPMSG_BAD_OPTION, AGENT_GARBAGE, "4.02"},
    {AGENT_CALL_LOAD, COAPMSG_METHOD_NOT_ALLOWED, AGENT_GARBAGE, "4.05"},
    {AGENT_CALL_LOAD, COAPMSG_NOT_FOUND, AGENT_GARBAGE, "kind"},
    {AGENT_CALL_LOAD, COAPMSG_TOO_LARGE, AGENT_TOO_LARGE, ""},
    {AGENT_CALL_LOAD, COAPMSG_CONTENT, AGENT_GARBAGE, "2.05"},
    {AGENT_CALL_LOAD, COAPMSG_CODE(2, 9), AGENT_GARBAGE, "2.09"},
    {AGENT_CALL_START, COAPMSG_CHANGED, AGENT_OK, ""},
    {AGENT_CALL_START, COAPMSG_INTERNAL_ERROR, AGENT_REFUSED, "5.00"},
    {AGENT_CALL_START, COAPMSG_CREATED, AGENT_GARBAGE, "2.01"},
    {AGENT_CALL_STOP, COAPMSG_NOT_IMPLEMENTED, AGENT_UNSUPPORTED, "stop"},
    {AGENT_CALL_STOP, COAPMSG_CHANGED, AGENT_OK, ""},
    {AGENT_CALL_STOP, COAPMSG_DELETED, AGENT_GARBAGE, "2.02"},
    {AGENT_CALL_REMOVE, COAPMSG_NOT_IMPLEMENTED, AGENT_UNSUPPORTED, "delete"},
    {AGENT_CALL_REMOVE, COAPMSG_DELETED, AGENT_OK, ""},
    {AGENT_CALL_STATUS, COAPMSG_CONTENT, AGENT_GARBAGE, "no STATUS"},
    {AGENT_CALL_STATUS, COAPMSG_BAD_OPTION, AGENT_GARBAGE, "4.02"},
};

static void answer_row(struct box *p)
{
    box_answer(p, answers[p->step].code, "");
}

START_TEST(answers_become_outcomes)
{
    box->script = answer_row;
    box->step = _i;
    ck_assert_int_eq(world_call(answers[_i].verb), answers[_i].outcome);
    ck_assert_uint_eq(world.call.code_received, answers[_i].code);
    ck_assert_ptr_nonnull(strstr(world.call.detail, answers[_i].detail));
    ck_assert_int_eq(answers[_i].outcome == AGENT_OK, world.call.detail[0] == 0);
}
END_TEST

START_TEST(requests_are_as_the_protocol_says)
{
    static const struct {
        enum agent_verb verb;
        uint8_t code, action;
    } requests[] = {{AGENT_CALL_START, COAPMSG_PUT, 2},
                    {AGENT_CALL_STATUS, COAPMSG_GET, 3},
                    {AGENT_CALL_STOP, COAPMSG_PUT, 4},
                    {AGENT_CALL_REMOVE, COAPMSG_DELETE, 5}};

    box->script = answer_created;
    (void)world_call(requests[_i].verb);
    ck_assert_int_eq(box->request.code, requests[_i].code);
    ck_assert_uint_eq(get_action(), requests[_i].action);
    ck_assert(coapmsg_path_is(&box->request, "/container/"));
    check_option(OPT_UID, "door", 4);
    ck_assert_uint_eq(box->request.option_count, 4);
}
END_TEST

/* Status ---------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *value;
    size_t length;
    enum agent_outcome outcome;
    enum container_state state;
} statuses[] = {
    {"\x01", 1, AGENT_OK, CONTAINER_RUNNING},
    {"", 0, AGENT_OK, CONTAINER_STOPPED},
    {"\x00", 1, AGENT_OK, CONTAINER_STOPPED},
    {"\x00\x00\x00\x01", 4, AGENT_OK, CONTAINER_RUNNING},
    {"\x02", 1, AGENT_GARBAGE, CONTAINER_UNKNOWN},
    {"\x01\x00", 2, AGENT_GARBAGE, CONTAINER_UNKNOWN},
    {"\x00\x00\x00\x00\x01", 5, AGENT_GARBAGE, CONTAINER_UNKNOWN},
};

static void answer_status_row(struct box *p)
{
    answer_status(p, statuses[p->step].value, statuses[p->step].length);
}

START_TEST(status_is_read_strictly)
{
    box->script = answer_status_row;
    box->step = _i;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), statuses[_i].outcome);
    ck_assert_int_eq(world.call.state, statuses[_i].state);
    ck_assert_str_eq(world.call.artifact_seen, "");
}
END_TEST

START_TEST(features_are_those_of_the_public_agent)
{
    const struct agent_features *f = world.port.features(world.port.arg, AGENT_V1);

    ck_assert(!f->load_is_idempotent && !f->can_replace && !f->can_stop && !f->can_remove && !f->can_log &&
              !f->start_is_true);
    f = world.port.features(world.port.arg, AGENT_UNKNOWN);
    ck_assert(!f->load_is_idempotent && !f->can_stop && !f->can_log);
}
END_TEST

START_TEST(no_request_reads_a_log)
{
    ck_assert_int_eq(world_call(AGENT_CALL_LOG), AGENT_UNSUPPORTED);
    ck_assert_uint_eq(box->datagrams, 0);
}
END_TEST

START_TEST(an_unknown_kind_is_not_spoken_to)
{
    world.device.agent = AGENT_UNKNOWN;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_LOCAL);
    ck_assert_uint_eq(box->datagrams, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap v1");
    TCase *tc = world_case("v1", world_set_up);

    tcase_add_test(tc, load_carries_a_whole_signed_container);
    tcase_add_test(tc, load_sends_empty_data_as_an_empty_option);
    tcase_add_loop_test(tc, check_knows_the_exact_size, 0, 11);
    tcase_add_test(tc, what_does_not_fit_is_refused_with_the_sizes_and_not_sent);
    tcase_add_test(tc, check_refuses_what_no_agent_takes);
    tcase_add_test(tc, requests_without_a_uid_are_not_sent);
    tcase_add_test(tc, without_a_signature_nothing_is_sent);
    tcase_add_test(tc, load_leaves_once_and_a_late_answer_is_ignored);
    tcase_add_loop_test(tc, answers_become_outcomes, 0, (int)array_size(answers));
    tcase_add_loop_test(tc, requests_are_as_the_protocol_says, 0, 4);
    tcase_add_loop_test(tc, status_is_read_strictly, 0, (int)array_size(statuses));
    tcase_add_test(tc, features_are_those_of_the_public_agent);
    tcase_add_test(tc, no_request_reads_a_log);
    tcase_add_test(tc, an_unknown_kind_is_not_spoken_to);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
