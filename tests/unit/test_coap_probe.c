#include "coap_fixture.h"
#include "suite.h"

#include <string.h>

/* The probe, against scripted agents of both kinds and others. */

static struct box *const box = &world.box;

struct probe_row {
    const char *links; /* NULL: 4.04 */
    bool tc;           /* answers GET /tc */
    const char *id;    /* NULL: 4.04 */
    enum agent_outcome outcome;
    enum agent_kind kind;
    const char *reported_id;
};

static const struct probe_row probes[] = {
    {"</tc>;rt=\"tinycontainer\",</tc/c>;obs", true, NULL, AGENT_OK, AGENT_V2, "k\\xc3\\xbchlbox"},
    {"</x>;rt=\"a tinycontainer\"", true, NULL, AGENT_GARBAGE, AGENT_UNKNOWN, ""}, /* elsewhere */
    {"</tc>;rt=\"tinycontainer\"", false, NULL, AGENT_GARBAGE, AGENT_UNKNOWN, ""},
    {"</container/>,</device-id/>", false, "box 7\x01", AGENT_OK, AGENT_V1, "box 7\\x01"},
    {"</container/>,</device-id/>", false, NULL, AGENT_OK, AGENT_V1, ""},
    {"</container/>,</tc>;rt=\"tinycontainer\"", true, NULL, AGENT_OK, AGENT_V2, "k\\xc3\\xbchlbox"},
    {"</suit/slot/active>,</riot/board>", false, NULL, AGENT_GARBAGE, AGENT_UNKNOWN, ""},
    {"</suit/trigger>;rt=\"nothing", false, NULL, AGENT_GARBAGE, AGENT_UNKNOWN, ""},
    {"", false, NULL, AGENT_GARBAGE, AGENT_UNKNOWN, ""},
    {NULL, true, NULL, AGENT_OK, AGENT_V2, "k\\xc3\\xbchlbox"},
    {NULL, false, "7", AGENT_OK, AGENT_V1, "7"},
    {NULL, false, NULL, AGENT_GARBAGE, AGENT_UNKNOWN, ""},
};

static void answer_probe(struct box *p)
{
    const struct probe_row *row = &probes[p->step];

    ck_assert_int_eq(p->request.code, COAPMSG_GET);
    if (coapmsg_path_is(&p->request, "/.well-known/core"))
        box_answer(p, row->links ? COAPMSG_CONTENT : COAPMSG_NOT_FOUND, row->links ? row->links : "");
    else if (coapmsg_path_is(&p->request, "/tc") && row->tc)
        box_answer_info(p, NULL, 0);
    else if (coapmsg_path_is(&p->request, "/device-id/") && row->id)
        box_answer(p, COAPMSG_CONTENT, row->id);
    else
        box_answer(p, COAPMSG_NOT_FOUND, "");
}

START_TEST(a_probe_tells_the_kinds_apart)
{
    const struct probe_row *row = &probes[_i];
    const struct agent_probe *probe = &world.call.probe;

    world.device.agent = AGENT_UNKNOWN;
    box->script = answer_probe;
    box->step = _i;
    ck_assert_int_eq(world_call(AGENT_CALL_PROBE), row->outcome);
    ck_assert_int_eq(probe->kind, row->kind);
    ck_assert_str_eq(probe->reported_id, row->reported_id);
    ck_assert_str_eq(probe->version, row->kind == AGENT_V2 ? "tcagent 0.1.0" : "");
    ck_assert_uint_eq(probe->caps.slots, row->kind == AGENT_V2 ? 4 : 0);
    ck_assert_uint_eq(probe->caps.package_max, row->kind == AGENT_V2 ? 65536 : 0);
    ck_assert_uint_eq(probe->caps.runtimes,
                      row->kind == AGENT_V2 ? 1u << CONTAINER_TYPE_WASM | 1u << CONTAINER_TYPE_RBPF : 0);
    ck_assert_int_eq(row->outcome == AGENT_GARBAGE, world.call.detail[0] != 0);
}
END_TEST

static void answer_long_id(struct box *p)
{
    static const char id[65] = "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
                               "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
                               "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01";

    box_answer(p, COAPMSG_CONTENT, coapmsg_path_is(&p->request, "/device-id/") ? id : "</container/>");
}

START_TEST(a_long_device_id_is_cut_between_bytes)
{
    box->script = answer_long_id;
    ck_assert_int_eq(world_call(AGENT_CALL_PROBE), AGENT_OK);
    ck_assert_uint_eq(strlen(world.call.probe.reported_id), 128); /* 32 of 48 bytes, \x01 each */
}
END_TEST

START_TEST(a_probe_of_nobody_is_not_answered)
{
    ck_assert_int_eq(world_call(AGENT_CALL_PROBE), AGENT_NO_ANSWER);
    ck_assert_int_eq(world.call.probe.kind, AGENT_UNKNOWN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap probe");
    TCase *tc = world_case("probe", world_set_up_v2);

    tcase_add_loop_test(tc, a_probe_tells_the_kinds_apart, 0, (int)array_size(probes));
    tcase_add_test(tc, a_long_device_id_is_cut_between_bytes);
    tcase_add_test(tc, a_probe_of_nobody_is_not_answered);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
