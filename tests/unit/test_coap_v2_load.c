#include "coap_fixture.h"
#include "suite.h"

#include "codec/cborio.h"
#include "codec/token.h"

#include <string.h>

/* Load by the driver for agents of kind v2, against a scripted agent. */

static struct box *const box = &world.box;

/* An agent that takes uploads as docs/device-protocol.md section 3.2 says. */
static struct {
    uint8_t body[80000];
    size_t size;
    uint8_t szx;            /* largest block that it takes */
    uint8_t code;           /* of the final answer */
    const char *text;       /* with it */
    unsigned forget_at;     /* the request at which it forgets what it holds; 0: never */
    unsigned silent_from;   /* the request from which on it is silent; 0: never */
    uint64_t told_held;     /* in /tc; 0: no upload */
    unsigned infos, blocks; /* requests */
    bool wrong_etag;
} agent;

static void set_up(void)
{
    world_set_up_v2();
    memset(&agent, 0, sizeof agent);
    agent.szx = 6;
    agent.code = COAPMSG_CREATED;
    agent.text = "";
}

static void digest_package(uint8_t digest[METADATA_DIGEST_SIZE])
{
    token_digest(agent.body, agent.size, NULL, 0, digest);
}

static void answer_info(struct box *p)
{
    uint8_t digest[METADATA_DIGEST_SIZE];

    agent.infos++;
    digest_package(digest);
    box_answer_info(p, digest, agent.told_held);
}

static void answer_incomplete(struct box *p)
{
    struct coapmsg response;
    uint8_t out[16];
    struct cborio_writer w = cborio_writer_init(out, sizeof out);

    cborio_put_map(&w, 1);
    cborio_put_uint(&w, 1);
    cborio_put_uint(&w, agent.size);
    box_prepare(p, &response, COAPMSG_ACK, COAPMSG_INCOMPLETE);
    coapmsg_set_payload(&response, out, cborio_written(&w));
    box_send(p, &response);
}

static void answer_upload(struct box *p, uint8_t code, const struct coapmsg_block *block)
{
    uint8_t digest[METADATA_DIGEST_SIZE];
    struct coapmsg response;

    digest_package(digest);
    digest[0] ^= agent.wrong_etag;
    box_prepare(p, &response, COAPMSG_ACK, code);
    if (block)
        coapmsg_add_block(&response, COAPMSG_OPT_BLOCK1, *block);
    if (COAPMSG_CLASS(code) == 2 && code != COAPMSG_CONTINUE)
        coapmsg_add(&response, COAPMSG_OPT_ETAG, digest, 8);
    else
        coapmsg_set_payload(&response, agent.text, strlen(agent.text));
    box_send(p, &response);
}

static void take_block(struct box *p)
{
    const struct coapmsg *request = &p->request;
    struct coapmsg_block block = {0, false, 6};
    bool blockwise = coapmsg_get_block(request, COAPMSG_OPT_BLOCK1, &block) == 0;
    size_t offset = (size_t)block.num << (block.szx + 4);

    agent.blocks++;
    if (agent.silent_from && agent.blocks >= agent.silent_from)
        return;
    if (agent.forget_at && agent.blocks == agent.forget_at)
        agent.size = agent.size > 1024 ? 1024 : 0;
    if (block.szx > agent.szx && block.num == 0 && request->payload_size > (16u << agent.szx)) {
        block.szx = agent.szx;
        answer_upload(p, COAPMSG_TOO_LARGE, &block);
        return;
    }
    if (offset > agent.size) {
        answer_incomplete(p);
        return;
    }
    memcpy(agent.body + offset, request->payload, request->payload_size);
    agent.size = offset + request->payload_size;
    answer_upload(p, blockwise && block.more ? COAPMSG_CONTINUE : agent.code, blockwise ? &block : NULL);
}

static void run_agent(struct box *p)
{
    uint32_t format = 0;

    if (p->request.code == COAPMSG_GET && coapmsg_path_is(&p->request, "/tc")) {
        answer_info(p);
        return;
    }
    ck_assert(p->request.code == COAPMSG_PUT && coapmsg_path_is(&p->request, "/tc/c/door"));
    ck_assert(coapmsg_get_uint(&p->request, COAPMSG_OPT_CONTENT_FORMAT, &format) && format == COAPMSG_FORMAT_CBOR);
    take_block(p);
}

/* The package that arrived is the container, signed. */
static void check_package(void)
{
    struct cborio_reader r = cborio_reader_init(agent.body, agent.size);
    size_t metadata_size, data_size, code_size;
    const uint8_t *metadata, *data, *code;
    struct metadata_tokens tokens;
    uint8_t key[KEY_PUBLIC_SIZE];
    struct metadata md;
    char reason[128];

    ck_assert_uint_eq(cborio_get_array(&r), 3);
    metadata = cborio_get_bytes(&r, &metadata_size);
    data = cborio_get_bytes(&r, &data_size);
    code = cborio_get_bytes(&r, &code_size);
    ck_assert(cborio_ended(&r));
    ck_assert_uint_eq(data_size, world.artifact.data_size);
    ck_assert_uint_eq(code_size, world.artifact.code_size);
    ck_assert_mem_eq(code, world.code, code_size);
    ck_assert_int_eq(metadata_parse(metadata, metadata_size, &md, &tokens, reason, sizeof reason), 0);
    ck_assert_str_eq(md.uid, "door");
    key_public(world.key, key);
    ck_assert_int_eq(metadata_verify(&tokens, key, data, data_size, code, code_size), METADATA_OK);
}

START_TEST(load_uploads_the_package)
{
    static const struct {
        size_t code_size;
        uint8_t szx;
    } rows[] = {{10, 6}, {300, 6}, {600, 6}, {2000, 6}, {70000, 6}, {300, 4}, {300, 0}, {3000, 3}};

    box->script = run_agent;
    world.artifact.code_size = rows[_i].code_size;
    agent.szx = rows[_i].szx;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    check_package();
    ck_assert_uint_eq(agent.infos, agent.size > 1024);
}
END_TEST

START_TEST(load_in_blocks_that_fit_the_device)
{
    box->script = run_agent;
    world.device.caps.pdu_size = 256;
    world.artifact.code_size = 2000;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    check_package();
    ck_assert_uint_gt(agent.blocks, 2000 / 128);
    ck_assert_uint_le(box->size, 256);
}
END_TEST

START_TEST(load_goes_on_when_the_agent_forgets)
{
    box->script = run_agent;
    agent.forget_at = 5;
    world.artifact.code_size = 10000;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    check_package();
    ck_assert_uint_eq(agent.blocks, 11 + 3 + 1);
}
END_TEST

START_TEST(load_goes_on_where_an_earlier_one_broke_off)
{
    size_t whole, held;

    box->script = run_agent;
    world.artifact.code_size = 10000;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    whole = agent.size;
    agent.blocks = 0;
    agent.told_held = 6144; /* the digest of the whole is told */
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    held = 6144 / 1024;
    ck_assert_uint_eq(agent.blocks, (whole + 1023) / 1024 - held);
    check_package();
    world.code[0] ^= 1; /* another package: from the start */
    agent.blocks = 0;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    ck_assert_uint_eq(agent.blocks, (whole + 1023) / 1024);
    check_package();
}
END_TEST

START_TEST(load_that_loses_the_device_is_not_answered)
{
    box->script = run_agent;
    agent.silent_from = 3;
    world.artifact.code_size = 10000;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_NO_ANSWER);
    ck_assert_uint_eq(agent.blocks, 4);
}
END_TEST

/* Asks for a pause when so much is there. */
static size_t pause_at, progress_done, progress_total;

static void note_progress(struct agent_call *call, size_t done, size_t total)
{
    ck_assert_uint_ge(done, progress_done);
    progress_done = done;
    progress_total = total;
    if (done == pause_at)
        world.port.pause(world.port.arg, call);
}

START_TEST(load_makes_room_between_blocks)
{
    box->script = run_agent;
    progress_done = 0;
    pause_at = 5120;
    world.artifact.code_size = 20000;
    world_prepare(AGENT_CALL_LOAD);
    world.call.progress = note_progress;
    world_begin_prepared();
    ck_assert(world_run(5000));
    ck_assert_int_eq(world.call.outcome, AGENT_PAUSED);
    ck_assert_uint_eq(agent.size, 5120);
    ck_assert_uint_eq(agent.infos, 1);
    world_prepare(AGENT_CALL_LOAD);
    pause_at = SIZE_MAX;
    world.call.progress = note_progress;
    world.call.resume_at = 5120;
    world.call.resume_sure = true;
    world_begin_prepared();
    ck_assert(world_run(5000));
    ck_assert_int_eq(world.call.outcome, AGENT_OK);
    check_package();
    ck_assert_uint_eq(progress_total, agent.size);
    ck_assert_uint_eq(agent.infos, 1); /* it was not asked again */
    ck_assert_uint_eq(agent.blocks, agent.size / 1024 + 1);
}
END_TEST

/* One that does not tell in /tc what it holds is believed to hold what it acknowledged; it may have lost it. */
START_TEST(load_goes_on_where_the_gateway_knows_it_stood)
{
    bool lost = _i;
    size_t most;

    box->script = run_agent;
    world.artifact.code_size = 20000;
    world_prepare(AGENT_CALL_LOAD);
    world_begin_prepared();
    ck_assert(world_run(5000));
    most = agent.blocks;
    agent.size = lost ? 2048 : 10240; /* of the same package, whose bytes are there */
    agent.blocks = 0;
    world_prepare(AGENT_CALL_LOAD);
    world.call.resume_at = 10240;
    world_begin_prepared();
    ck_assert(world_run(5000));
    ck_assert_int_eq(world.call.outcome, AGENT_OK);
    check_package();
    ck_assert_uint_eq(agent.blocks, lost ? most - 1 : most - 10);
}
END_TEST

START_TEST(load_keeps_to_its_link)
{
    int64_t begun = world_now();

    box->script = run_agent;
    world.artifact.code_size = 20000;
    world_prepare(AGENT_CALL_LOAD);
    world.call.link = (struct agent_link){.name = "radio", .parallel = 1, .rate = 40000, .block = 128};
    world_begin_prepared();
    while (!world.call.waiting)
        world_run_for(1);
    world.port.pause(world.port.arg, &world.call); /* at once: nothing is under way */
    ck_assert(world_run(1000));
    ck_assert_int_eq(world.call.outcome, AGENT_PAUSED);
    ck_assert_uint_lt(agent.size, 20000);
    world_prepare(AGENT_CALL_LOAD);
    world.call.link = (struct agent_link){.name = "radio", .parallel = 1, .rate = 40000, .block = 128};
    world.call.resume_at = agent.size;
    world.call.resume_sure = true;
    world_begin_prepared();
    ck_assert(world_run(20000));
    ck_assert_int_eq(world.call.outcome, AGENT_OK);
    check_package();
    ck_assert_uint_eq(agent.blocks, agent.size / 128 + 1);
    ck_assert_int_ge(world_now() - begun, (int64_t)(agent.size - 10000) * 1000 / 40000);
}
END_TEST

static const struct {
    uint8_t code;
    bool wrong_etag;
    const char *text;
    enum agent_outcome outcome;
} load_answers[] = {
    {COAPMSG_CHANGED, false, "", AGENT_OK},
    {COAPMSG_CREATED, true, "", AGENT_GARBAGE},
    {COAPMSG_CONTENT, false, "", AGENT_GARBAGE},
    {COAPMSG_BAD_REQUEST, false, "no uid", AGENT_REFUSED},
    {COAPMSG_FORBIDDEN, false, "not you", AGENT_REFUSED},
    {COAPMSG_NOT_FOUND, false, "", AGENT_GARBAGE},
    {COAPMSG_METHOD_NOT_ALLOWED, false, "", AGENT_UNSUPPORTED},
    {COAPMSG_PRECONDITION_FAILED, false, "", AGENT_REFUSED},
    {COAPMSG_TOO_LARGE, false, "", AGENT_TOO_LARGE},
    {COAPMSG_UNSUPPORTED_FORMAT, false, "", AGENT_REFUSED},
    {COAPMSG_UNPROCESSABLE, false, "code token: signature", AGENT_UNVERIFIED},
    {COAPMSG_INTERNAL_ERROR, false, "flash", AGENT_REFUSED},
    {COAPMSG_NOT_IMPLEMENTED, false, "", AGENT_UNSUPPORTED},
    {COAPMSG_UNAVAILABLE, false, "4 of 4 slots in use", AGENT_NO_SLOT},
    {COAPMSG_CODE(4, 29), false, "", AGENT_GARBAGE},
};

START_TEST(load_answers_become_outcomes)
{
    box->script = run_agent;
    agent.code = load_answers[_i].code;
    agent.text = load_answers[_i].text;
    agent.wrong_etag = load_answers[_i].wrong_etag;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), load_answers[_i].outcome);
    ck_assert_uint_eq(world.call.code_received, load_answers[_i].code);
    ck_assert_ptr_nonnull(strstr(world.call.detail, load_answers[_i].text));
}
END_TEST

START_TEST(check_knows_the_package_size)
{
    static const size_t sizes[] = {1, 23, 24, 255, 256, 65535, 65536};
    struct fault fault;

    box->script = run_agent;
    world.artifact.code_size = sizes[_i];
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    world.device.caps.package_max = (uint32_t)agent.size;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 0);
    world.device.caps.package_max--;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_PACKAGE_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(fault.detail, "1 bytes too large"));
    box->datagrams = 0;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_LOCAL);
    ck_assert_uint_eq(box->datagrams, 0);
}
END_TEST

START_TEST(check_knows_memory_and_suit)
{
    struct fault fault;

    world.artifact.memory = 65536;
    world.device.caps.memory = 65536;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 0);
    world.artifact.memory++;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_PACKAGE_TOO_LARGE);
    world.device.caps.memory = 0; /* not known */
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 0);
    world.artifact.type = CONTAINER_TYPE_SUIT;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_RUNTIME_UNSUPPORTED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap v2 load");
    TCase *tc = world_case("load", set_up);

    tcase_add_loop_test(tc, load_uploads_the_package, 0, 8);
    tcase_add_test(tc, load_in_blocks_that_fit_the_device);
    tcase_add_test(tc, load_goes_on_when_the_agent_forgets);
    tcase_add_test(tc, load_goes_on_where_an_earlier_one_broke_off);
    tcase_add_test(tc, load_that_loses_the_device_is_not_answered);
    tcase_add_test(tc, load_makes_room_between_blocks);
    tcase_add_loop_test(tc, load_goes_on_where_the_gateway_knows_it_stood, 0, 2);
    tcase_add_test(tc, load_keeps_to_its_link);
    tcase_add_loop_test(tc, load_answers_become_outcomes, 0, (int)array_size(load_answers));
    tcase_add_loop_test(tc, check_knows_the_package_size, 0, 7);
    tcase_add_test(tc, check_knows_memory_and_suit);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
