#include "coap_guard.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

/* Requests to any resource of a device (AGENT_CALL_RESOURCE), protected per block. */

static struct agent_resource resource;
static uint8_t body[5000];

static void set_up(void)
{
    guard_set_up();
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 31 + i / 256);
    resource = (struct agent_resource){
        .method = COAPMSG_GET, .path = "/sensor/temp", .format = -1, .accept = -1, .limit = sizeof body};
}

static void on_done(struct agent_call *call)
{
    (void)call;
    world.done++;
    uv_stop(&world.loop);
}

static enum agent_outcome call(void)
{
    free(world.call.response.body);
    world.call = (struct agent_call){
        .verb = AGENT_CALL_RESOURCE, .device = &world.device, .resource = &resource, .done = on_done};
    world.done = 0;
    world.port.begin(world.port.arg, &world.call);
    ck_assert_uint_eq(world.done, 0);
    ck_assert(world_run(15000));
    return world.call.outcome;
}

static bool has_option(uint16_t number, const char *text)
{
    const struct coapmsg_option *option = coapmsg_find(&guard.request, number);

    return option && option->length == strlen(text) && memcmp(option->value, text, option->length) == 0;
}

/* Requests -------------------------------------------------------------------------------------------------------- */

static void answer_all(struct guard *g)
{
    struct coapmsg response;

    (void)g;
    guard_prepare(&response, COAPMSG_ACK, COAPMSG_CREATED);
    coapmsg_add_uint(&response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_JSON);
    coapmsg_add_uint(&response, COAPMSG_OPT_MAX_AGE, 7);
    coapmsg_add(&response, COAPMSG_OPT_ETAG, "\x01\x02", 2);
    coapmsg_add_text(&response, COAPMSG_OPT_LOCATION_PATH, "a b");
    coapmsg_add_text(&response, COAPMSG_OPT_LOCATION_PATH, "c/d");
    coapmsg_add_text(&response, 20, "x=1&2");
    coapmsg_add_text(&response, 20, "y");
    coapmsg_set_payload(&response, "{}", 2);
    guard_send(&response, 0);
}

START_TEST(everything_is_told_both_ways)
{
    guard.script = answer_all;
    resource.method = COAPMSG_PUT;
    resource.path = "/sensor%2Fs/t%C3%A9mp/";
    resource.query = "a=1%262&b";
    resource.format = 112;
    resource.accept = 0;
    resource.if_match = (const uint8_t *)"tag";
    resource.if_match_size = 3;
    resource.body = (const uint8_t *)"12";
    resource.body_size = 2;
    ck_assert_int_eq(call(), AGENT_OK);
    ck_assert_uint_eq(guard.request.code, COAPMSG_PUT);
    ck_assert(coapmsg_path_is(&guard.request, "/sensor/s/t\xc3\xa9mp/") == false); /* its slash is no separator */
    ck_assert(has_option(COAPMSG_OPT_URI_PATH, "sensor/s"));
    ck_assert(has_option(COAPMSG_OPT_URI_QUERY, "a=1&2"));
    ck_assert(has_option(COAPMSG_OPT_IF_MATCH, "tag"));
    ck_assert(has_option(COAPMSG_OPT_CONTENT_FORMAT, "p"));
    ck_assert(has_option(COAPMSG_OPT_ACCEPT, ""));
    ck_assert_uint_eq(guard.request.payload_size, 2);
    ck_assert_uint_eq(world.call.response.code, COAPMSG_CREATED);
    ck_assert_int_eq(world.call.response.format, COAPMSG_FORMAT_JSON);
    ck_assert_uint_eq(world.call.response.max_age, 7);
    ck_assert_uint_eq(world.call.response.etag_size, 2);
    ck_assert_str_eq(world.call.response.location, "/a%20b/c%2Fd?x=1%262&y");
    ck_assert_uint_eq(world.call.response.body_size, 2);
    ck_assert_mem_eq(world.call.response.body, "{}", 2);
}
END_TEST

static void answer_not_found(struct guard *g)
{
    (void)g;
    guard_answer(COAPMSG_NOT_FOUND, "no such thing");
}

START_TEST(error_of_the_device_is_an_answer)
{
    guard.script = answer_not_found;
    world.device.agent = AGENT_UNKNOWN; /* the call needs no driver */
    ck_assert_int_eq(call(), AGENT_OK);
    ck_assert_uint_eq(world.call.response.code, COAPMSG_NOT_FOUND);
    ck_assert_int_eq(world.call.response.format, -1);
    ck_assert_uint_eq(world.call.response.max_age, 60);
    ck_assert_uint_eq(world.call.response.body_size, 13);
    ck_assert_str_eq(world.call.response.location, "");
}
END_TEST

static const struct {
    const char *path, *query;
} bad_targets[] = {{"", NULL},     {"a", NULL},   {"/%", NULL},     {"/%4", NULL},
                   {"/%zz", NULL}, {"/..", NULL}, {"/a/%2e", NULL}, {"/a", "b=%f"}};

START_TEST(bad_target_is_not_sent)
{
    resource.path = bad_targets[_i].path;
    resource.query = bad_targets[_i].query;
    ck_assert_int_eq(call(), AGENT_LOCAL);
    ck_assert_str_ne(world.call.detail, "");
    ck_assert_uint_eq(world.box.datagrams, 0);
}
END_TEST

START_TEST(target_has_limits)
{
    char path[600];

    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[256] = 0;
    resource.path = path;
    guard.script = answer_not_found;
    ck_assert_int_eq(call(), AGENT_OK);
    path[256] = 'a';
    path[257] = 0;
    ck_assert_int_eq(call(), AGENT_LOCAL);
    for (size_t i = 0; i < 100; i += 2)
        memcpy(path + i, "/b", 3);
    ck_assert_int_eq(call(), AGENT_LOCAL);
    ck_assert_uint_eq(guard.verified, 1);
}
END_TEST

START_TEST(root_has_no_path_options)
{
    resource.path = "/";
    guard.script = answer_not_found;
    ck_assert_int_eq(call(), AGENT_OK);
    ck_assert_ptr_null(coapmsg_find(&guard.request, COAPMSG_OPT_URI_PATH));
}
END_TEST

static void answer_with_unknown_option(struct guard *g)
{
    struct coapmsg response;

    (void)g;
    guard_prepare(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add_text(&response, 2049, "?");
    guard_send(&response, 0);
}

START_TEST(unknown_critical_option_is_refused)
{
    guard.script = answer_with_unknown_option;
    ck_assert_int_eq(call(), AGENT_GARBAGE);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "2049"));
}
END_TEST

/* Blocks ---------------------------------------------------------------------------------------------------------- */

static uint8_t etag = 1;

/* Block2 of `body`. */
static void serve_blocks(struct guard *g)
{
    struct coapmsg_block block = {.szx = 6};
    struct coapmsg response;
    size_t at, left;

    (void)g;
    (void)coapmsg_get_block(&guard.request, COAPMSG_OPT_BLOCK2, &block);
    at = (size_t)block.num * (16u << block.szx);
    left = sizeof body - at;
    block.more = left > 16u << block.szx;
    guard_prepare(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add(&response, COAPMSG_OPT_ETAG, &etag, 1);
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK2, block);
    coapmsg_set_payload(&response, body + at, block.more ? 16u << block.szx : left);
    guard_send(&response, 0);
}

START_TEST(download_in_protected_blocks)
{
    guard.script = serve_blocks;
    ck_assert_int_eq(call(), AGENT_OK);
    ck_assert_uint_eq(guard.verified, 5);
    ck_assert_uint_eq(world.call.response.body_size, sizeof body);
    ck_assert_mem_eq(world.call.response.body, body, sizeof body);
    for (unsigned i = 0; i < guard.verified; i++)
        ck_assert_uint_eq(guard.numbers[i], i);
}
END_TEST

static void change_in_between(struct guard *g)
{
    etag = g->step++ < 2 ? 1 : 2;
    serve_blocks(g);
}

START_TEST(representation_that_changes_is_read_again)
{
    guard.script = change_in_between;
    ck_assert_int_eq(call(), AGENT_OK);
    ck_assert_mem_eq(world.call.response.body, body, sizeof body);
    ck_assert_uint_eq(world.call.response.etag[0], 2);
    ck_assert_uint_eq(guard.verified, 8);
}
END_TEST

START_TEST(body_over_the_limit_is_not_read)
{
    guard.script = serve_blocks;
    resource.limit = sizeof body - 1;
    ck_assert_int_eq(call(), AGENT_LOCAL);
    ck_assert_ptr_null(world.call.response.body);
    resource.limit = 1500;
    ck_assert_int_eq(call(), AGENT_LOCAL);
    ck_assert_uint_eq(guard.verified, 5 + 2);
}
END_TEST

static uint8_t held[sizeof body];

/* Block1 into `held`; for step n: 4.13 asks for smaller blocks first, 4.08 once loses what was held. */
static void take_blocks(struct guard *g)
{
    struct coapmsg_block block;
    struct coapmsg response;
    uint8_t code;
    size_t at;

    ck_assert_int_eq(coapmsg_get_block(&guard.request, COAPMSG_OPT_BLOCK1, &block), 0);
    at = (size_t)block.num * (16u << block.szx);
    code = block.more ? COAPMSG_CONTINUE : COAPMSG_CHANGED;
    if (g->step == 1) {
        code = COAPMSG_TOO_LARGE;
        block.szx = 5;
        g->step = 2;
    } else if (g->step == 2 && block.num == 3) {
        code = COAPMSG_INCOMPLETE;
        g->step = 3;
    } else {
        memcpy(held + at, guard.request.payload, guard.request.payload_size);
    }
    guard_prepare(&response, COAPMSG_ACK, code);
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK1, block);
    guard_send(&response, 0);
}

START_TEST(upload_in_protected_blocks)
{
    memset(held, 0, sizeof held);
    guard.script = take_blocks;
    guard.step = (unsigned)_i;
    resource.method = COAPMSG_PUT;
    resource.body = body;
    resource.body_size = sizeof body;
    ck_assert_int_eq(call(), AGENT_OK);
    ck_assert_uint_eq(world.call.response.code, COAPMSG_CHANGED);
    ck_assert_mem_eq(held, body, sizeof body);
    ck_assert_uint_eq(guard.verified, _i == 0 ? 5 : 1 + 4 + 10);
}
END_TEST

/* Unsafe requests ------------------------------------------------------------------------------------------------- */

static void refuse_changes(struct guard *g)
{
    if (guard.request.code == COAPMSG_GET)
        guard_answer_running(g);
    else
        box_answer(&world.box, COAPMSG_UNAUTHORIZED, "forged");
}

/* A POST whose refusal anybody can have made up is not sent again; what can be repaired is. */
START_TEST(post_is_not_repeated_without_proof)
{
    guard.script = refuse_changes;
    guard.renews = true;
    resource.method = COAPMSG_POST;
    ck_assert_int_eq(call(), AGENT_UNTRUSTED);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "not known"));
    ck_assert_uint_eq(guard.renewed, 1);
    ck_assert_uint_eq(guard.request.code, COAPMSG_GET);
}
END_TEST

START_TEST(put_is_repeated)
{
    guard.script = refuse_changes;
    guard.renews = true;
    resource.method = COAPMSG_PUT;
    ck_assert_int_eq(call(), AGENT_UNTRUSTED);
    ck_assert_uint_eq(guard.renewed, 1);
    ck_assert_uint_eq(guard.request.code, COAPMSG_PUT);
}
END_TEST

START_TEST(plain_changes_need_leave)
{
    fake_keyring_revoke_all(&world.core, &world.device);
    world.device.allow_plain = false;
    resource.method = (uint8_t)_i;
    ck_assert_int_eq(call(), AGENT_INSECURE);
    ck_assert_uint_eq(world.box.datagrams, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap resource");
    TCase *tc = guard_case("resource", set_up);

    tcase_add_test(tc, everything_is_told_both_ways);
    tcase_add_test(tc, error_of_the_device_is_an_answer);
    tcase_add_loop_test(tc, bad_target_is_not_sent, 0, (int)array_size(bad_targets));
    tcase_add_test(tc, target_has_limits);
    tcase_add_test(tc, root_has_no_path_options);
    tcase_add_test(tc, unknown_critical_option_is_refused);
    tcase_add_test(tc, download_in_protected_blocks);
    tcase_add_test(tc, representation_that_changes_is_read_again);
    tcase_add_test(tc, body_over_the_limit_is_not_read);
    tcase_add_loop_test(tc, upload_in_protected_blocks, 0, 2);
    tcase_add_test(tc, post_is_not_repeated_without_proof);
    tcase_add_test(tc, put_is_repeated);
    tcase_add_loop_test(tc, plain_changes_need_leave, COAPMSG_POST, COAPMSG_DELETE + 1);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
