/* The v2 agent: its resources and what they refuse. */
#include "agent_fixture.h"
#include "suite.h"

#include "base/text.h"
#include "codec/cborio.h"
#include "codec/linkformat.h"
#include "codec/token.h"

#include <string.h>

START_TEST(test_install_start_stop_remove)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/c/job", NULL), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(coapmsg_find(&f->answer, COAPMSG_OPT_ETAG)->length, V2_ETAG_SIZE);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_INSTALLED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_map_uint(f, 4), CONTAINER_RUNNING);
    ck_assert_uint_eq(fixture_map_uint(f, 8), 1); /* the first loop was done before the answer */
    fixture_pass(f, 1000);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_RUNNING);
    ck_assert_uint_eq(fixture_map_uint(f, 8), 11);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED); /* idempotent */
    ck_assert_uint_eq(fixture_map_uint(f, 10), 1);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_map_uint(f, 4), CONTAINER_STOPPED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_map_uint(f, 10), 2);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/tc/c/job", NULL), COAPMSG_DELETED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/tc/c/job", NULL), COAPMSG_DELETED);
    ck_assert_int_eq(fixture_v2_state(f, "job"), -1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"remove\"", "\"sha256\""), 1);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/n", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(fixture_map_uint(f, 4), 1);
    ck_assert_uint_eq(fixture_map_uint(f, 5), 2);
    ck_assert_uint_eq(fixture_map_uint(f, 6), 2);
    ck_assert_uint_eq(fixture_map_uint(f, 7), 1);
    fixture_end(f);
}
END_TEST

START_TEST(test_container_map_names_the_code)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    uint8_t digest[METADATA_DIGEST_SIZE], etag[V2_ETAG_SIZE];
    const uint8_t *bytes = NULL;
    struct cborio_reader r;
    size_t size = 0;

    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    memcpy(etag, coapmsg_find(&f->answer, COAPMSG_OPT_ETAG)->value, sizeof etag);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/c/job", NULL), COAPMSG_CONTENT);
    token_digest(code_runs.bytes, code_runs.size, NULL, 0, digest);
    r = cborio_reader_init(f->answer.payload, f->answer.payload_size);
    for (size_t n = cborio_get_map(&r); n > 0; n--) {
        uint64_t key = cborio_get_uint(&r, 13);

        if (key != 2 && key != 6) {
            cborio_skip(&r);
            continue;
        }
        bytes = cborio_get_bytes(&r, &size);
        ck_assert_uint_eq(size, key == 2 ? sizeof etag : sizeof digest);
        ck_assert_mem_eq(bytes, key == 2 ? etag : digest, size);
    }
    ck_assert(cborio_ended(&r));
    ck_assert_ptr_nonnull(bytes);
    fixture_end(f);
}
END_TEST

START_TEST(test_put_is_idempotent_and_replaces)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    cleanup_buffer struct buffer package = {0}, other = {0};
    struct coapmsg request;

    fixture_package(f, "job", code_runs, "1", 1, &package);
    fixture_package(f, "job", code_runs, "2", 1, &other);
    fixture_put(f, &request, "job", &package);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    fixture_put(f, &request, "job", &package);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CHANGED);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_RUNNING);
    ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", "\"outcome\":\"same\""), 1);
    fixture_put(f, &request, "job", &other);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CHANGED);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_INSTALLED);
    ck_assert_uint_eq(f->agent.device.slots_used, 1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"state\"", "\"detail\":\"stopped\""), 1); /* the old one, in order */
    fixture_end(f);
}
END_TEST

START_TEST(test_refused_package_leaves_the_old_one)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    cleanup_buffer struct buffer package = {0};
    struct coapmsg request;

    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_load(f, "job", code_broken), COAPMSG_UNPROCESSABLE);
    ck_assert_uint_gt(f->answer.payload_size, 0); /* says why */
    fixture_package(f, "other", code_runs, "", 0, &package);
    fixture_put(f, &request, "job", &package);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_UNPROCESSABLE);
    package.data[package.size - 1] ^= 1; /* of the code */
    fixture_put(f, &request, "other", &package);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_UNPROCESSABLE);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_RUNNING);
    ck_assert_uint_eq(f->agent.device.slots_used, 1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", "\"outcome\":\"refused\""), 3);
    fixture_end(f);
}
END_TEST

START_TEST(test_malformed_packages)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {{"", 0},
               {"\x80", 1},
               {"\x82\x40\x40", 3},
               {"\x83\x40\x40\x40", 4},
               {"\x83\x60\x40\x41x", 5},
               {"\x83\x41x\x40\x41x\x00", 7},
               {"\x9f\x40\x40\x41x\xff", 6},
               {"\x83\x5b\xff\xff\xff\xff\xff\xff\xff\xff", 10}};
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg request;

    for (size_t i = 0; i < array_size(bad); i++) {
        fixture_put(f, &request, "job", NULL);
        coapmsg_set_payload(&request, bad[i].bytes, bad[i].size);
        fixture_send(f, &request);
        ck_assert_msg(f->answer.code == COAPMSG_BAD_REQUEST, "case %zu", i);
    }
    fixture_request(f, &request, COAPMSG_PUT, "/tc/c/job");
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_UNSUPPORTED_FORMAT);
    fixture_end(f);
}
END_TEST

START_TEST(test_verification_with_a_trusted_key)
{
    struct device_options options = {.kind = DEVICE_V2, .slots = 3, .package_max = 65536, .verify.has_key = true};
    struct fixture *f = fixture_new_with(&options, 1204);
    struct coapmsg request;

    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_UNPROCESSABLE);
    key_public(f->key, f->options.device.verify.key);
    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    fixture_request(f, &request, COAPMSG_PUT, "/tc/c/job/data"); /* unsigned data over plain CoAP */
    coapmsg_add_uint(&request, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_OCTETS);
    coapmsg_set_payload(&request, "new", 3);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_FORBIDDEN);
    fixture_end(f);
}
END_TEST

START_TEST(test_conditions)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    cleanup_buffer struct buffer package = {0}, other = {0};
    uint8_t etag[V2_ETAG_SIZE];
    struct coapmsg request;

    fixture_package(f, "job", code_runs, "1", 1, &package);
    fixture_package(f, "job", code_runs, "2", 1, &other);
    fixture_put(f, &request, "job", &package);
    coapmsg_add(&request, COAPMSG_OPT_IF_MATCH, "", 0);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_PRECONDITION_FAILED); /* there is none */
    fixture_put(f, &request, "job", &package);
    coapmsg_add(&request, COAPMSG_OPT_IF_NONE_MATCH, "", 0);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CREATED);
    memcpy(etag, coapmsg_find(&f->answer, COAPMSG_OPT_ETAG)->value, sizeof etag);
    fixture_put(f, &request, "job", &other);
    coapmsg_add(&request, COAPMSG_OPT_IF_NONE_MATCH, "", 0);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_PRECONDITION_FAILED);
    fixture_put(f, &request, "job", &other);
    coapmsg_add(&request, COAPMSG_OPT_IF_MATCH, "12345678", 8);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_PRECONDITION_FAILED);
    fixture_put(f, &request, "job", &other);
    coapmsg_add(&request, COAPMSG_OPT_IF_MATCH, "12345678", 8);
    coapmsg_add(&request, COAPMSG_OPT_IF_MATCH, etag, sizeof etag);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CHANGED);
    fixture_end(f);
}
END_TEST

START_TEST(test_no_slot)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_load(f, "b", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_load(f, "c", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_load(f, "d", code_runs), COAPMSG_UNAVAILABLE);
    ck_assert_uint_eq(fixture_load(f, "b", code_ends), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/tc/c/a", NULL), COAPMSG_DELETED);
    ck_assert_uint_eq(fixture_load(f, "d", code_runs), COAPMSG_CREATED);
    fixture_end(f);
}
END_TEST

START_TEST(test_start_that_fails_says_why)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");

    ck_assert_uint_eq(fixture_load(f, "job", code_traps), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_INTERNAL_ERROR);
    ck_assert_uint_gt(f->answer.payload_size, 0);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_FAILED);
    ck_assert_uint_eq(fixture_load(f, "job", code_ends), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_map_uint(f, 4), CONTAINER_STOPPED); /* it has run, and ended */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/none", "start"), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/none", "stop"), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "boot"), COAPMSG_BAD_REQUEST);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", NULL), COAPMSG_BAD_REQUEST);
    fixture_end(f);
}
END_TEST

START_TEST(test_paths_and_methods)
{
    static const char *const absent[] = {"/",      "/tc/",    "/tc/c/",     "/tc/c/a/", "/tc/c/a/b", "/tc/c/a/log/x",
                                         "/x/c/a", "/tc/d/a", "/container/"};
    static const char *const get_only[] = {"/tc", "/tc/c", "/tc/n", "/tc/c/a/log", "/.well-known/core"};
    struct fixture *f = fixture_new(DEVICE_V2, "");
    char path[80] = "/tc/c/";

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    for (size_t i = 0; i < array_size(absent); i++) {
        uint8_t code = fixture_ask(f, COAPMSG_GET, absent[i], NULL);

        ck_assert_msg(code == COAPMSG_NOT_FOUND || code == COAPMSG_BAD_REQUEST, "%s", absent[i]);
    }
    for (size_t i = 0; i < array_size(get_only); i++)
        for (uint8_t method = COAPMSG_POST; method < 12; method++)
            ck_assert_uint_eq(fixture_ask(f, method, get_only[i], NULL), COAPMSG_METHOD_NOT_ALLOWED);
    memset(path + 6, 'u', 63);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, path, NULL), COAPMSG_NOT_FOUND);
    path[69] = 'u';
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, path, NULL), COAPMSG_BAD_REQUEST);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/c/\xff", NULL), COAPMSG_BAD_REQUEST);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_PUT, "/tc/c/\xff", NULL), COAPMSG_BAD_REQUEST);
    fixture_end(f);
}
END_TEST

START_TEST(test_accept)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg request;

    fixture_request(f, &request, COAPMSG_GET, "/tc");
    coapmsg_add_uint(&request, COAPMSG_OPT_ACCEPT, COAPMSG_FORMAT_CBOR);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CONTENT);
    fixture_request(f, &request, COAPMSG_GET, "/tc");
    coapmsg_add_uint(&request, COAPMSG_OPT_ACCEPT, COAPMSG_FORMAT_JSON);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_NOT_ACCEPTABLE);
    fixture_end(f);
}
END_TEST

START_TEST(test_discovery)
{
    static const struct {
        const char *query;
        unsigned links;
    } cases[] = {{NULL, 9}, {"rt=tinycontainer", 1}, {"rt=tinycontainer*", 3}, {"rt=other", 0},
                 {"rt", 9}, {"href=/tc/c*", 2},      {"if=sensor", 0},         {"href=/tc/id", 1}};
    struct fixture *f = fixture_new(DEVICE_V2, "");

    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    for (size_t i = 0; i < array_size(cases); i++) {
        struct linkformat_link link;
        struct linkformat lf;
        unsigned links = 0;

        ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/.well-known/core", cases[i].query), COAPMSG_CONTENT);
        lf = linkformat_init(f->answer.payload, f->answer.payload_size);
        while (linkformat_next(&lf, &link) == 0)
            links++;
        ck_assert_msg(links == cases[i].links, "%s: %u links", cases[i].query, links);
    }
    fixture_end(f);
}
END_TEST

static uint8_t put_id(struct fixture *f, const char *text)
{
    struct coapmsg request;

    fixture_request(f, &request, COAPMSG_PUT, "/tc/id");
    coapmsg_set_payload(&request, text, strlen(text));
    fixture_send(f, &request);
    return f->answer.code;
}

START_TEST(test_device_id)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    char text[66];

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/id", NULL), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(put_id(f, ""), COAPMSG_BAD_REQUEST);
    ck_assert_uint_eq(put_id(f, "\xff"), COAPMSG_BAD_REQUEST);
    memset(text, 'i', 65);
    text[65] = 0;
    ck_assert_uint_eq(put_id(f, text), COAPMSG_TOO_LARGE);
    text[64] = 0;
    ck_assert_uint_eq(put_id(f, text), COAPMSG_CHANGED);
    agent_restart(&f->agent, false); /* a v2 device keeps it */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/id", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(f->answer.payload_size, 64);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(fixture_map_uint(f, 9), 2); /* boots */
    fixture_end(f);
}
END_TEST

START_TEST(test_bug_no_stop)
{
    struct fixture *f = fixture_new(DEVICE_V2, "no-stop");

    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_NOT_IMPLEMENTED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/tc/c/job", NULL), COAPMSG_NOT_IMPLEMENTED);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_RUNNING);
    fixture_end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent v2");
    TCase *tc = tcase_create("v2");

    tcase_add_test(tc, test_install_start_stop_remove);
    tcase_add_test(tc, test_container_map_names_the_code);
    tcase_add_test(tc, test_put_is_idempotent_and_replaces);
    tcase_add_test(tc, test_refused_package_leaves_the_old_one);
    tcase_add_test(tc, test_malformed_packages);
    tcase_add_test(tc, test_verification_with_a_trusted_key);
    tcase_add_test(tc, test_conditions);
    tcase_add_test(tc, test_no_slot);
    tcase_add_test(tc, test_start_that_fails_says_why);
    tcase_add_test(tc, test_paths_and_methods);
    tcase_add_test(tc, test_accept);
    tcase_add_test(tc, test_discovery);
    tcase_add_test(tc, test_device_id);
    tcase_add_test(tc, test_bug_no_stop);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
