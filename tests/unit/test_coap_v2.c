#include "coap_fixture.h"
#include "suite.h"

#include "codec/cborio.h"

#include <string.h>

/* The driver for agents of kind v2 without its load, against scripted agents. */

static struct box *const box = &world.box;

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

static void answer_container(struct box *p)
{
    struct coapmsg response;

    ck_assert(coapmsg_path_is(&p->request, "/tc/c/door"));
    box_prepare(p, &response, COAPMSG_ACK, p->request.code == COAPMSG_GET ? COAPMSG_CONTENT : COAPMSG_CHANGED);
    coapmsg_set_payload(&response, container, container_size);
    box_send(p, &response);
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
    box->script = answer_container;
    make_container("door", state, "fuel\nused up", 32);
    ck_assert_int_eq(world_call(verbs[verb].verb), AGENT_OK);
    ck_assert_int_eq(world.call.state, states[state]);
    ck_assert_str_eq(world.call.artifact_seen, digest);
    ck_assert_str_eq(world.call.detail, "fuel\\x0aused up");
    ck_assert_int_eq(box->request.code, verbs[verb].code);
    query = coapmsg_find(&box->request, COAPMSG_OPT_URI_QUERY);
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
    box->script = answer_container;
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

static void answer_row(struct box *p)
{
    box_answer(p, answers[p->step].code, COAPMSG_CLASS(answers[p->step].code) == 2 ? "" : "because");
}

START_TEST(answers_become_outcomes)
{
    box->script = answer_row;
    box->step = _i;
    ck_assert_int_eq(world_call(answers[_i].verb), answers[_i].outcome);
    ck_assert_int_eq(world.call.state, answers[_i].state);
    ck_assert_uint_eq(world.call.code_received, answers[_i].code);
    if (answers[_i].outcome == AGENT_REFUSED)
        ck_assert_ptr_nonnull(strstr(world.call.detail, "because"));
}
END_TEST

/* A start may take longer than other answers; the agent says so with an empty ACK. */
static void on_box_time(uv_timer_t *timer)
{
    struct box *p = container_of(timer, struct box, timer);
    struct coapmsg response;

    box_prepare(p, &response, COAPMSG_CON, COAPMSG_CHANGED);
    response.id = 5;
    coapmsg_set_payload(&response, container, container_size);
    box_send(p, &response);
}

static void answer_slowly(struct box *p)
{
    box_acknowledge(p);
    (void)uv_timer_start(&p->timer, on_box_time, 1800, 0);
}

START_TEST(a_slow_start_is_waited_for)
{
    world.options.load_timeout_ms = 2500;
    agents_configure(world.agents, &world.options);
    make_container("door", 2, "", 32);
    box->script = answer_slowly;
    ck_assert_int_eq(world_call(AGENT_CALL_START), AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_RUNNING);
}
END_TEST

static void answer_log(struct box *p)
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
    box_prepare(p, &response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add(&response, COAPMSG_OPT_ETAG, "e", 1);
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK2, block);
    coapmsg_set_payload(&response, text, size);
    box_send(p, &response);
}

START_TEST(a_log_is_read_up_to_the_limit)
{
    static const int sizes[] = {1, 1024, 2050, 3000, 3001, 5000};

    box->script = answer_log;
    box->step = sizes[_i];
    ck_assert_int_eq(world_call(AGENT_CALL_LOG), AGENT_OK);
    ck_assert_uint_eq(world.call.log_size, (size_t)(sizes[_i] < 3000 ? sizes[_i] : 3000));
    ck_assert_ptr_nonnull(world.call.log);
    ck_assert_int_eq(world.call.log[0], 'd');
}
END_TEST

static void answer_empty(struct box *p)
{
    box_answer(p, COAPMSG_CONTENT, "");
}

START_TEST(an_empty_log_is_no_error)
{
    box->script = answer_empty;
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

int main(void)
{
    Suite *suite = suite_create("coap v2");
    TCase *tc = world_case("state", world_set_up_v2);

    tcase_add_loop_test(tc, states_are_told, 0, 3 * (int)array_size(states));
    tcase_add_loop_test(tc, what_is_no_state_is_garbage, 0, 9);
    tcase_add_loop_test(tc, answers_become_outcomes, 0, (int)array_size(answers));
    tcase_add_test(tc, a_slow_start_is_waited_for);
    tcase_add_loop_test(tc, a_log_is_read_up_to_the_limit, 0, 6);
    tcase_add_test(tc, an_empty_log_is_no_error);
    tcase_add_test(tc, features_are_those_of_the_protocol);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
