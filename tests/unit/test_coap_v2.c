#include "coap_fixture.h"

#include "codec/cborio.h"
#include "codec/token.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* The driver for agents of kind v2 and the probe, against scripted agents. */

#define OPT_REQUEST_TAG 292

static struct peer *const peer = &world.peer;

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
    world_set_up();
    world.device.agent = AGENT_V2;
    memset(&agent, 0, sizeof agent);
    agent.szx = 6;
    agent.code = COAPMSG_CREATED;
    agent.text = "";
}

static void digest_package(uint8_t digest[METADATA_DIGEST_SIZE])
{
    token_digest(agent.body, agent.size, NULL, 0, digest);
}

static void answer_info(struct peer *p)
{
    const char *uid = "door";
    struct coapmsg response;
    uint8_t out[256], digest[METADATA_DIGEST_SIZE];
    struct cborio_writer w = cborio_writer_init(out, sizeof out);

    agent.infos++;
    digest_package(digest);
    cborio_put_map(&w, agent.told_held ? 8 : 7);
    cborio_put_uint(&w, 1);
    cborio_put_uint(&w, 2);
    cborio_put_uint(&w, 2);
    cborio_put_text(&w, "tcagent 0.1.0");
    cborio_put_uint(&w, 3);
    cborio_put_text(&w, "k\xc3\xbchlbox");
    cborio_put_uint(&w, 4);
    cborio_put_array(&w, 3);
    cborio_put_uint(&w, CONTAINER_TYPE_WASM);
    cborio_put_uint(&w, CONTAINER_TYPE_RBPF);
    cborio_put_uint(&w, 900); /* a type to come */
    cborio_put_uint(&w, 5);
    cborio_put_uint(&w, 4);
    cborio_put_uint(&w, 8);
    cborio_put_uint(&w, 65536);
    cborio_put_uint(&w, 99); /* a key to come */
    cborio_put_array(&w, 1);
    cborio_put_text(&w, "?");
    if (agent.told_held) {
        cborio_put_uint(&w, 11);
        cborio_put_array(&w, 3);
        cborio_put_text(&w, uid);
        cborio_put_bytes(&w, digest, 8);
        cborio_put_uint(&w, agent.told_held);
    }
    peer_prepare(p, &response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add_uint(&response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_CBOR);
    coapmsg_set_payload(&response, out, cborio_written(&w));
    peer_send(p, &response);
}

static void answer_incomplete(struct peer *p)
{
    struct coapmsg response;
    uint8_t out[16];
    struct cborio_writer w = cborio_writer_init(out, sizeof out);

    cborio_put_map(&w, 1);
    cborio_put_uint(&w, 1);
    cborio_put_uint(&w, agent.size);
    peer_prepare(p, &response, COAPMSG_ACK, COAPMSG_INCOMPLETE);
    coapmsg_set_payload(&response, out, cborio_written(&w));
    peer_send(p, &response);
}

static void answer_upload(struct peer *p, uint8_t code, const struct coapmsg_block *block)
{
    uint8_t digest[METADATA_DIGEST_SIZE];
    struct coapmsg response;

    digest_package(digest);
    digest[0] ^= agent.wrong_etag;
    peer_prepare(p, &response, COAPMSG_ACK, code);
    if (block)
        coapmsg_add_block(&response, COAPMSG_OPT_BLOCK1, *block);
    if (COAPMSG_CLASS(code) == 2 && code != COAPMSG_CONTINUE)
        coapmsg_add(&response, COAPMSG_OPT_ETAG, digest, 8);
    else
        coapmsg_set_payload(&response, agent.text, strlen(agent.text));
    peer_send(p, &response);
}

static void take_block(struct peer *p)
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

static void run_agent(struct peer *p)
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

/* Load ------------------------------------------------------------------------------------------------------------ */

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

    peer->script = run_agent;
    world.artifact.code_size = rows[_i].code_size;
    agent.szx = rows[_i].szx;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    check_package();
    ck_assert_uint_eq(agent.infos, agent.size > 1024);
}
END_TEST

START_TEST(load_in_blocks_that_fit_the_device)
{
    peer->script = run_agent;
    world.device.caps.pdu_size = 256;
    world.artifact.code_size = 2000;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    check_package();
    ck_assert_uint_gt(agent.blocks, 2000 / 128);
    ck_assert_uint_le(peer->size, 256);
}
END_TEST

START_TEST(load_goes_on_when_the_agent_forgets)
{
    peer->script = run_agent;
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

    peer->script = run_agent;
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
    peer->script = run_agent;
    agent.silent_from = 3;
    world.artifact.code_size = 10000;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_NO_ANSWER);
    ck_assert_uint_eq(agent.blocks, 4);
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
    peer->script = run_agent;
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

    peer->script = run_agent;
    world.artifact.code_size = sizes[_i];
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    world.device.caps.package_max = (uint32_t)agent.size;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 0);
    world.device.caps.package_max--;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_PACKAGE_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(fault.detail, "1 bytes too large"));
    peer->datagrams = 0;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_LOCAL);
    ck_assert_uint_eq(peer->datagrams, 0);
}
END_TEST

/* State ----------------------------------------------------------------------------------------------------------- */

static uint8_t container[256];
static size_t container_size;

static void make_container(const char *uid, uint64_t state, const char *reason, size_t digest_size)
{
    struct cborio_writer w = cborio_writer_init(container, sizeof container);
    uint8_t digest[64];

    memset(digest, 0xab, sizeof digest);
    cborio_put_map(&w, 5);
    cborio_put_uint(&w, 1);
    cborio_put_text(&w, uid);
    cborio_put_uint(&w, 4);
    cborio_put_uint(&w, state);
    cborio_put_uint(&w, 5);
    cborio_put_text(&w, reason);
    cborio_put_uint(&w, 6);
    cborio_put_bytes(&w, digest, digest_size);
    cborio_put_uint(&w, 9);
    cborio_put_int(&w, -3);
    container_size = cborio_written(&w);
    ck_assert_uint_gt(container_size, 0);
}

static void answer_container(struct peer *p)
{
    struct coapmsg response;

    ck_assert(coapmsg_path_is(&p->request, "/tc/c/door"));
    peer_prepare(p, &response, COAPMSG_ACK, p->request.code == COAPMSG_GET ? COAPMSG_CONTENT : COAPMSG_CHANGED);
    coapmsg_set_payload(&response, container, container_size);
    peer_send(p, &response);
}

static const enum container_state states[] = {CONTAINER_INSTALLED, CONTAINER_STARTING, CONTAINER_RUNNING,
                                              CONTAINER_STOPPED, CONTAINER_FAILED};

START_TEST(states_are_told)
{
    static const struct {
        enum agent_verb verb;
        uint8_t code;
        const char *query;
    } verbs[] = {{AGENT_CALL_STATUS, COAPMSG_GET, NULL},
                 {AGENT_CALL_START, COAPMSG_POST, "start"},
                 {AGENT_CALL_STOP, COAPMSG_POST, "stop"}};
    size_t verb = (size_t)_i / array_size(states), state = (size_t)_i % array_size(states);
    const struct coapmsg_option *query;
    char digest[65];

    memset(digest, 0, sizeof digest);
    for (size_t i = 0; i < 64; i++)
        digest[i] = i % 2 ? 'b' : 'a';
    peer->script = answer_container;
    make_container("door", state, "fuel\nused up", 32);
    ck_assert_int_eq(world_call(verbs[verb].verb), AGENT_OK);
    ck_assert_int_eq(world.call.state, states[state]);
    ck_assert_str_eq(world.call.artifact_seen, digest);
    ck_assert_str_eq(world.call.detail, "fuel\\x0aused up");
    ck_assert_int_eq(peer->request.code, verbs[verb].code);
    query = coapmsg_find(&peer->request, COAPMSG_OPT_URI_QUERY);
    ck_assert_int_eq(query != NULL, verbs[verb].query != NULL);
    if (query) {
        ck_assert_uint_eq(query->length, strlen(verbs[verb].query));
        ck_assert_mem_eq(query->value, verbs[verb].query, query->length);
    }
}
END_TEST

static void make_bad_container(int i)
{
    make_container(i == 0 ? "window" : "door", i == 1 ? 5 : 2, "", i == 2 ? 31 : 32);
    if (i == 3)
        container_size--;
    if (i == 4)
        container[container_size++] = 0;
    if (i == 5)
        container_size = 0;
    if (i == 6)
        container[0] = 0xa9; /* claims more members */
    if (i == 7)
        container[0] = 0x85; /* an array */
    if (i == 8) {
        container[0] = 0xa1; /* the uid alone */
        container_size = 7;
    }
}

START_TEST(what_is_no_state_is_garbage)
{
    peer->script = answer_container;
    make_bad_container(_i);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_GARBAGE);
    ck_assert_int_eq(world.call.state, CONTAINER_UNKNOWN);
    ck_assert_str_ne(world.call.detail, "");
}
END_TEST

static const struct {
    enum agent_verb verb;
    uint8_t code;
    enum agent_outcome outcome;
    enum container_state state;
} answers[] = {
    {AGENT_CALL_STATUS, COAPMSG_NOT_FOUND, AGENT_ABSENT, CONTAINER_ABSENT},
    {AGENT_CALL_STATUS, COAPMSG_CHANGED, AGENT_GARBAGE, CONTAINER_UNKNOWN},
    {AGENT_CALL_STATUS, COAPMSG_FORBIDDEN, AGENT_REFUSED, CONTAINER_UNKNOWN},
    {AGENT_CALL_START, COAPMSG_NOT_FOUND, AGENT_ABSENT, CONTAINER_ABSENT},
    {AGENT_CALL_START, COAPMSG_INTERNAL_ERROR, AGENT_REFUSED, CONTAINER_FAILED},
    {AGENT_CALL_START, COAPMSG_CONTENT, AGENT_GARBAGE, CONTAINER_UNKNOWN},
    {AGENT_CALL_STOP, COAPMSG_NOT_FOUND, AGENT_ABSENT, CONTAINER_ABSENT},
    {AGENT_CALL_STOP, COAPMSG_NOT_IMPLEMENTED, AGENT_UNSUPPORTED, CONTAINER_UNKNOWN},
    {AGENT_CALL_REMOVE, COAPMSG_DELETED, AGENT_OK, CONTAINER_ABSENT},
    {AGENT_CALL_REMOVE, COAPMSG_NOT_FOUND, AGENT_ABSENT, CONTAINER_ABSENT},
    {AGENT_CALL_REMOVE, COAPMSG_CHANGED, AGENT_GARBAGE, CONTAINER_UNKNOWN},
    {AGENT_CALL_LOG, COAPMSG_NOT_FOUND, AGENT_ABSENT, CONTAINER_ABSENT},
    {AGENT_CALL_LOG, COAPMSG_METHOD_NOT_ALLOWED, AGENT_UNSUPPORTED, CONTAINER_UNKNOWN},
};

static void answer_row(struct peer *p)
{
    peer_answer(p, answers[p->step].code, COAPMSG_CLASS(answers[p->step].code) == 2 ? "" : "because");
}

START_TEST(answers_become_outcomes)
{
    peer->script = answer_row;
    peer->step = _i;
    ck_assert_int_eq(world_call(answers[_i].verb), answers[_i].outcome);
    ck_assert_int_eq(world.call.state, answers[_i].state);
    ck_assert_uint_eq(world.call.code_received, answers[_i].code);
    if (answers[_i].outcome == AGENT_REFUSED)
        ck_assert_ptr_nonnull(strstr(world.call.detail, "because"));
}
END_TEST

/* A start may take longer than other answers; the agent says so with an empty ACK. */
static void on_peer_time(uv_timer_t *timer)
{
    struct peer *p = container_of(timer, struct peer, timer);
    struct coapmsg response;

    peer_prepare(p, &response, COAPMSG_CON, COAPMSG_CHANGED);
    response.id = 5;
    coapmsg_set_payload(&response, container, container_size);
    peer_send(p, &response);
}

static void answer_slowly(struct peer *p)
{
    struct coapmsg ack;

    coapmsg_init(&ack, COAPMSG_ACK, COAPMSG_EMPTY);
    ack.id = p->request.id;
    peer_send(p, &ack);
    (void)uv_timer_start(&p->timer, on_peer_time, 1800, 0);
}

START_TEST(a_slow_start_is_waited_for)
{
    world.options.load_timeout_ms = 2500;
    agents_configure(world.agents, &world.options);
    make_container("door", 2, "", 32);
    peer->script = answer_slowly;
    ck_assert_int_eq(world_call(AGENT_CALL_START), AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_RUNNING);
}
END_TEST

static void answer_log(struct peer *p)
{
    static const char line[] = "door opened 12345\n";
    struct coapmsg_block block = {0, false, 6};
    struct coapmsg response;
    uint8_t text[1024];
    size_t offset, left, size;

    ck_assert(coapmsg_path_is(&p->request, "/tc/c/door/log"));
    (void)coapmsg_get_block(&p->request, COAPMSG_OPT_BLOCK2, &block);
    offset = (size_t)block.num << (block.szx + 4);
    left = (size_t)p->step - offset;
    size = left < (16u << block.szx) ? left : 16u << block.szx;
    for (size_t i = 0; i < size; i++)
        text[i] = (uint8_t)line[(offset + i) % (sizeof line - 1)];
    block.more = size < left;
    peer_prepare(p, &response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add(&response, COAPMSG_OPT_ETAG, "e", 1);
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK2, block);
    coapmsg_set_payload(&response, text, size);
    peer_send(p, &response);
}

START_TEST(a_log_is_read_up_to_the_limit)
{
    static const int sizes[] = {1, 1024, 2050, 3000, 3001, 5000};

    peer->script = answer_log;
    peer->step = sizes[_i];
    ck_assert_int_eq(world_call(AGENT_CALL_LOG), AGENT_OK);
    ck_assert_uint_eq(world.call.log_size, (size_t)(sizes[_i] < 3000 ? sizes[_i] : 3000));
    ck_assert_ptr_nonnull(world.call.log);
    ck_assert_int_eq(world.call.log[0], 'd');
}
END_TEST

static void answer_empty(struct peer *p)
{
    peer_answer(p, COAPMSG_CONTENT, "");
}

START_TEST(an_empty_log_is_no_error)
{
    peer->script = answer_empty;
    ck_assert_int_eq(world_call(AGENT_CALL_LOG), AGENT_OK);
    ck_assert_uint_eq(world.call.log_size, 0);
    ck_assert_ptr_nonnull(world.call.log);
}
END_TEST

START_TEST(features_are_those_of_the_protocol)
{
    const struct agent_features *f = world.port.features(world.port.arg, AGENT_V2);

    ck_assert(f->load_is_idempotent && f->can_replace && f->can_stop && f->can_remove && f->can_log &&
              f->start_is_true);
}
END_TEST

/* Probe ----------------------------------------------------------------------------------------------------------- */

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
    {"</suit/trigger>,</riot/board>", false, NULL, AGENT_GARBAGE, AGENT_UNKNOWN, ""},
    {"</suit/trigger>;rt=\"nothing", false, NULL, AGENT_GARBAGE, AGENT_UNKNOWN, ""},
    {"", false, NULL, AGENT_GARBAGE, AGENT_UNKNOWN, ""},
    {NULL, true, NULL, AGENT_OK, AGENT_V2, "k\\xc3\\xbchlbox"},
    {NULL, false, "7", AGENT_OK, AGENT_V1, "7"},
    {NULL, false, NULL, AGENT_GARBAGE, AGENT_UNKNOWN, ""},
};

static void answer_probe(struct peer *p)
{
    const struct probe_row *row = &probes[p->step];

    ck_assert_int_eq(p->request.code, COAPMSG_GET);
    if (coapmsg_path_is(&p->request, "/.well-known/core"))
        peer_answer(p, row->links ? COAPMSG_CONTENT : COAPMSG_NOT_FOUND, row->links ? row->links : "");
    else if (coapmsg_path_is(&p->request, "/tc") && row->tc)
        answer_info(p);
    else if (coapmsg_path_is(&p->request, "/device-id/") && row->id)
        peer_answer(p, COAPMSG_CONTENT, row->id);
    else
        peer_answer(p, COAPMSG_NOT_FOUND, "");
}

START_TEST(a_probe_tells_the_kinds_apart)
{
    const struct probe_row *row = &probes[_i];
    const struct agent_probe *probe = &world.call.probe;

    world.device.agent = AGENT_UNKNOWN;
    peer->script = answer_probe;
    peer->step = _i;
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

static void answer_long_id(struct peer *p)
{
    static const char id[65] = "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
                               "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
                               "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01";

    peer_answer(p, COAPMSG_CONTENT, coapmsg_path_is(&p->request, "/device-id/") ? id : "</container/>");
}

START_TEST(a_long_device_id_is_cut_between_bytes)
{
    peer->script = answer_long_id;
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

static TCase *make_load_case(void)
{
    TCase *tc = tcase_create("load");

    tcase_add_checked_fixture(tc, set_up, world_tear_down);
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, load_uploads_the_package, 0, 8);
    tcase_add_test(tc, load_in_blocks_that_fit_the_device);
    tcase_add_test(tc, load_goes_on_when_the_agent_forgets);
    tcase_add_test(tc, load_goes_on_where_an_earlier_one_broke_off);
    tcase_add_test(tc, load_that_loses_the_device_is_not_answered);
    tcase_add_loop_test(tc, load_answers_become_outcomes, 0, (int)array_size(load_answers));
    tcase_add_loop_test(tc, check_knows_the_package_size, 0, 7);
    return tc;
}

static TCase *make_state_case(void)
{
    TCase *tc = tcase_create("state");

    tcase_add_checked_fixture(tc, set_up, world_tear_down);
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, states_are_told, 0, 3 * (int)array_size(states));
    tcase_add_loop_test(tc, what_is_no_state_is_garbage, 0, 9);
    tcase_add_loop_test(tc, answers_become_outcomes, 0, (int)array_size(answers));
    tcase_add_test(tc, a_slow_start_is_waited_for);
    tcase_add_loop_test(tc, a_log_is_read_up_to_the_limit, 0, 6);
    tcase_add_test(tc, an_empty_log_is_no_error);
    tcase_add_test(tc, features_are_those_of_the_protocol);
    tcase_add_loop_test(tc, a_probe_tells_the_kinds_apart, 0, (int)array_size(probes));
    tcase_add_test(tc, a_long_device_id_is_cut_between_bytes);
    tcase_add_test(tc, a_probe_of_nobody_is_not_answered);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("coap v2");
    SRunner *runner;
    int failed;

    suite_add_tcase(suite, make_load_case());
    suite_add_tcase(suite, make_state_case());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
