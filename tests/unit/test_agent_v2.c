/* The v2 agent: its resources, transfers in blocks, and observation. */
#include "agent_fixture.h"

#include "base/text.h"
#include "codec/cborio.h"
#include "codec/linkformat.h"
#include "codec/token.h"

#include <string.h>

#define OPT_REQUEST_TAG 292
#define BLOCK_SZX 6
#define BLOCK_SIZE 1024u

/* A PUT that a test goes on to change. */
static void put_request(struct fixture *f, struct coapmsg *request, const char *uid, const struct buffer *package)
{
    static char path[80];

    (void)snprintf(path, sizeof path, "/tc/c/%s", uid);
    fixture_request(f, request, COAPMSG_PUT, path);
    coapmsg_add_uint(request, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_CBOR);
    if (package)
        coapmsg_set_payload(request, package->data, package->size);
}

/* The value of an unsigned integer in the answer's map. */
static uint64_t map_uint(const struct fixture *f, uint64_t wanted)
{
    struct cborio_reader r = cborio_reader_init(f->answer.payload, f->answer.payload_size);

    for (size_t n = cborio_get_map(&r); n > 0; n--) {
        if (cborio_get_uint(&r, 100) == wanted)
            return cborio_get_uint(&r, UINT64_MAX);
        cborio_skip(&r);
    }
    ck_abort_msg("there is no key %u", (unsigned)wanted);
    return 0;
}

START_TEST(test_install_start_stop_remove)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/c/job", NULL), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(coapmsg_find(&f->answer, COAPMSG_OPT_ETAG)->length, V2_ETAG_SIZE);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_INSTALLED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_uint_eq(map_uint(f, 4), CONTAINER_RUNNING);
    ck_assert_uint_eq(map_uint(f, 8), 1); /* the first loop was done before the answer */
    fixture_pass(f, 1000);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_RUNNING);
    ck_assert_uint_eq(map_uint(f, 8), 11);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED); /* idempotent */
    ck_assert_uint_eq(map_uint(f, 10), 1);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
    ck_assert_uint_eq(map_uint(f, 4), CONTAINER_STOPPED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_uint_eq(map_uint(f, 10), 2);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/tc/c/job", NULL), COAPMSG_DELETED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/tc/c/job", NULL), COAPMSG_DELETED);
    ck_assert_int_eq(fixture_v2_state(f, "job"), -1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"remove\"", "\"sha256\""), 1);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/n", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(map_uint(f, 4), 1);
    ck_assert_uint_eq(map_uint(f, 5), 2);
    ck_assert_uint_eq(map_uint(f, 6), 2);
    ck_assert_uint_eq(map_uint(f, 7), 1);
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
    put_request(f, &request, "job", &package);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    put_request(f, &request, "job", &package);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CHANGED);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_RUNNING);
    ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", "\"outcome\":\"same\""), 1);
    put_request(f, &request, "job", &other);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CHANGED);
    ck_assert_int_eq(fixture_v2_state(f, "job"), CONTAINER_INSTALLED);
    ck_assert_uint_eq(f->agent.device.slots_used, 1);
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
    put_request(f, &request, "job", &package);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_UNPROCESSABLE);
    package.data[package.size - 1] ^= 1; /* of the code */
    put_request(f, &request, "other", &package);
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
        put_request(f, &request, "job", NULL);
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
    key_public(f->key, f->options.verify.key);
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
    put_request(f, &request, "job", &package);
    coapmsg_add(&request, COAPMSG_OPT_IF_MATCH, "", 0);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_PRECONDITION_FAILED); /* there is none */
    put_request(f, &request, "job", &package);
    coapmsg_add(&request, COAPMSG_OPT_IF_NONE_MATCH, "", 0);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CREATED);
    memcpy(etag, coapmsg_find(&f->answer, COAPMSG_OPT_ETAG)->value, sizeof etag);
    put_request(f, &request, "job", &other);
    coapmsg_add(&request, COAPMSG_OPT_IF_NONE_MATCH, "", 0);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_PRECONDITION_FAILED);
    put_request(f, &request, "job", &other);
    coapmsg_add(&request, COAPMSG_OPT_IF_MATCH, "12345678", 8);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_PRECONDITION_FAILED);
    put_request(f, &request, "job", &other);
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
    ck_assert_uint_eq(map_uint(f, 4), CONTAINER_STOPPED); /* it has run, and ended */
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

/* Blocks ----------------------------------------------------------------------------------------------------------- */

static const uint8_t upload_tag[8] = "packageX";

/* Sends the block that begins at an offset. */
static uint8_t send_block(struct fixture *f, const char *uid, const struct buffer *package, size_t offset, uint8_t szx)
{
    size_t size = (size_t)16 << szx, left = package->size - offset;
    struct coapmsg_block block = {(uint32_t)(offset >> (szx + 4)), left > size, szx};
    struct coapmsg request;

    put_request(f, &request, uid, NULL);
    coapmsg_add(&request, OPT_REQUEST_TAG, upload_tag, sizeof upload_tag);
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK1, block);
    if (offset == 0)
        coapmsg_add_uint(&request, COAPMSG_OPT_SIZE1, (uint32_t)package->size);
    coapmsg_set_payload(&request, package->data + offset, block.more ? size : left);
    fixture_send(f, &request);
    return f->answer.code;
}

static void large_package(struct fixture *f, const char *uid, size_t data_size, struct buffer *out)
{
    cleanup_free uint8_t *data = malloc(data_size);

    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < data_size; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    fixture_package(f, uid, code_runs, data, data_size, out);
}

START_TEST(test_upload_in_blocks)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    cleanup_buffer struct buffer package = {0};
    struct coapmsg_block block;

    large_package(f, "job", 5000, &package);
    for (uint8_t szx = 0; szx <= BLOCK_SZX; szx++) {
        size_t step = (size_t)16 << szx, offset = 0;

        for (; offset + step < package.size; offset += step) {
            ck_assert_uint_eq(send_block(f, "job", &package, offset, szx), COAPMSG_CONTINUE);
            ck_assert_int_eq(coapmsg_get_block(&f->answer, COAPMSG_OPT_BLOCK1, &block), 0);
            ck_assert_uint_eq(block.num, offset / step);
        }
        ck_assert_uint_eq(send_block(f, "job", &package, offset, szx), szx ? COAPMSG_CHANGED : COAPMSG_CREATED);
    }
    ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", "\"outcome\":\"ok\""), 1);
    ck_assert_ptr_null(f->agent.v2.upload.bytes.data);
    fixture_end(f);
}
END_TEST

/* 4.08 says how much is held, and an upload goes on from another port. */
START_TEST(test_upload_resumes)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    cleanup_buffer struct buffer package = {0};

    large_package(f, "job", 5000, &package);
    ck_assert_uint_eq(send_block(f, "job", &package, 4096, BLOCK_SZX), COAPMSG_INCOMPLETE);
    ck_assert_uint_eq(map_uint(f, 1), 0);
    ck_assert_uint_eq(send_block(f, "job", &package, 0, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(send_block(f, "job", &package, 1024, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    f->peer = fixture_peer(40001);
    ck_assert_uint_eq(send_block(f, "job", &package, 4096, BLOCK_SZX), COAPMSG_INCOMPLETE);
    ck_assert_uint_eq(map_uint(f, 1), 2048);
    ck_assert_uint_eq(send_block(f, "job", &package, 1024, BLOCK_SZX), COAPMSG_CONTINUE); /* repeated: no harm */
    ck_assert_uint_eq(send_block(f, "job", &package, 2048, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(send_block(f, "job", &package, 3072, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(send_block(f, "job", &package, 4096, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(send_block(f, "job", &package, 5120, BLOCK_SZX), COAPMSG_CREATED);
    fixture_end(f);
}
END_TEST

START_TEST(test_info_tells_of_an_unfinished_upload)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    cleanup_buffer struct buffer package = {0};
    struct cborio_reader r;
    bool found = false;
    char uid[64] = "";

    large_package(f, "job", 5000, &package);
    ck_assert_uint_eq(send_block(f, "job", &package, 0, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    r = cborio_reader_init(f->answer.payload, f->answer.payload_size);
    for (size_t n = cborio_get_map(&r); n > 0; n--) {
        if (cborio_get_uint(&r, 20) != 11) {
            cborio_skip(&r);
            continue;
        }
        found = cborio_get_array(&r) == 3;
        cborio_copy_text(&r, uid, sizeof uid);
        cborio_skip(&r);
        ck_assert_uint_eq(cborio_get_uint(&r, UINT32_MAX), BLOCK_SIZE);
    }
    ck_assert(found && cborio_ended(&r));
    ck_assert_str_eq(uid, "job");
    agent_restart(&f->agent);
    ck_assert_uint_eq(send_block(f, "job", &package, 1024, BLOCK_SZX), COAPMSG_INCOMPLETE);
    fixture_end(f);
}
END_TEST

START_TEST(test_uploads_do_not_mix)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    cleanup_buffer struct buffer package = {0}, other = {0};

    large_package(f, "job", 5000, &package);
    large_package(f, "other", 5000, &other);
    ck_assert_uint_eq(send_block(f, "job", &package, 0, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(send_block(f, "other", &other, 1024, BLOCK_SZX), COAPMSG_INCOMPLETE);
    ck_assert_uint_eq(map_uint(f, 1), 0);
    ck_assert_uint_eq(send_block(f, "job", &package, 1024, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(send_block(f, "other", &other, 0, BLOCK_SZX), COAPMSG_CONTINUE); /* drops the other one */
    ck_assert_uint_eq(send_block(f, "job", &package, 2048, BLOCK_SZX), COAPMSG_INCOMPLETE);
    fixture_end(f);
}
END_TEST

START_TEST(test_bad_blocks)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg_block block = {0, true, BLOCK_SZX};
    struct coapmsg request;

    put_request(f, &request, "job", NULL);
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK1, block);
    coapmsg_set_payload(&request, "short", 5);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_BAD_REQUEST);
    put_request(f, &request, "job", NULL);
    coapmsg_add_uint(&request, COAPMSG_OPT_BLOCK1, 7);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_BAD_REQUEST);
    fixture_request(f, &request, COAPMSG_GET, "/tc");
    coapmsg_add_uint(&request, COAPMSG_OPT_BLOCK2, 7);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_BAD_REQUEST);
    fixture_request(f, &request, COAPMSG_GET, "/tc");
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){1, false, BLOCK_SZX});
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_BAD_REQUEST);
    fixture_end(f);
}
END_TEST

START_TEST(test_too_large_packages)
{
    struct device_options options = {.kind = DEVICE_V2, .slots = 3, .package_max = 3000};
    struct fixture *f = fixture_new_with(&options, 1204);
    cleanup_buffer struct buffer package = {0};
    struct coapmsg request;
    uint32_t size1;

    large_package(f, "job", 5000, &package);
    ck_assert_uint_eq(send_block(f, "job", &package, 0, BLOCK_SZX), COAPMSG_TOO_LARGE); /* its Size1 says so */
    ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_SIZE1, &size1));
    ck_assert_uint_eq(size1, 3000);
    for (uint32_t num = 0; num < 3; num++) { /* without Size1 it is seen at the limit */
        put_request(f, &request, "job", NULL);
        coapmsg_add_block(&request, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){num, true, BLOCK_SZX});
        coapmsg_set_payload(&request, package.data + num * BLOCK_SIZE, BLOCK_SIZE);
        fixture_send(f, &request);
        ck_assert_uint_eq(f->answer.code, num < 2 ? COAPMSG_CONTINUE : COAPMSG_TOO_LARGE);
    }
    ck_assert_ptr_null(f->agent.v2.upload.bytes.data);
    fixture_end(f);
}
END_TEST

/* Reads a resource block by block. */
static void read_all(struct fixture *f, const char *path, uint8_t szx, struct buffer *out)
{
    struct coapmsg_block block = {0, true, szx};
    uint8_t etag[8];
    size_t etag_size = 0;
    struct coapmsg request;

    while (block.more) {
        const struct coapmsg_option *option;

        fixture_request(f, &request, COAPMSG_GET, path);
        coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){block.num, false, szx});
        fixture_send(f, &request);
        ck_assert_uint_eq(f->answer.code, COAPMSG_CONTENT);
        option = coapmsg_find(&f->answer, COAPMSG_OPT_ETAG);
        ck_assert_ptr_nonnull(option);
        if (block.num == 0)
            memcpy(etag, option->value, etag_size = option->length);
        ck_assert_uint_eq(option->length, etag_size);
        ck_assert_mem_eq(option->value, etag, etag_size);
        buffer_append(out, f->answer.payload, f->answer.payload_size);
        ck_assert_int_eq(coapmsg_get_block(&f->answer, COAPMSG_OPT_BLOCK2, &block), 0);
        ck_assert(!block.more || f->answer.payload_size == (size_t)16 << szx);
        block.num++;
    }
}

START_TEST(test_data_part)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    cleanup_buffer struct buffer package = {0}, read = {0};
    struct coapmsg request;
    uint8_t fresh[2000];

    large_package(f, "job", 900, &package);
    ck_assert_uint_eq(send_block(f, "job", &package, 0, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(send_block(f, "job", &package, 1024, BLOCK_SZX), COAPMSG_CREATED);
    read_all(f, "/tc/c/job/data", 3, &read);
    ck_assert_uint_eq(read.size, 900);
    ck_assert_uint_eq(read.data[800], (uint8_t)(800 * 7 + 800 / 256));

    memset(fresh, 'd', sizeof fresh);
    for (uint32_t num = 0; num < 2; num++) {
        fixture_request(f, &request, COAPMSG_PUT, "/tc/c/job/data");
        coapmsg_add_uint(&request, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_OCTETS);
        coapmsg_add_block(&request, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){num, num == 0, BLOCK_SZX});
        coapmsg_set_payload(&request, fresh, num == 0 ? BLOCK_SIZE : sizeof fresh - BLOCK_SIZE);
        fixture_send(f, &request);
        ck_assert_uint_eq(f->answer.code, num == 0 ? COAPMSG_CONTINUE : COAPMSG_CHANGED);
    }
    read.size = 0;
    read_all(f, "/tc/c/job/data", BLOCK_SZX, &read);
    ck_assert_uint_eq(read.size, sizeof fresh);
    ck_assert_mem_eq(read.data, fresh, sizeof fresh);

    /* the package again brings its own data back */
    ck_assert_uint_eq(send_block(f, "job", &package, 0, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(send_block(f, "job", &package, 1024, BLOCK_SZX), COAPMSG_CHANGED);
    read.size = 0;
    read_all(f, "/tc/c/job/data", BLOCK_SZX, &read);
    ck_assert_uint_eq(read.size, 900);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/c/none/data", NULL), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_PUT, "/tc/c/none/data", NULL), COAPMSG_NOT_FOUND);
    fixture_end(f);
}
END_TEST

START_TEST(test_log_stays_the_same_over_a_transfer)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    cleanup_buffer struct buffer log = {0};
    struct coapmsg request;

    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/c/job/log", NULL), COAPMSG_CONTENT);
    for (int i = 0; i < 30; i++) {
        ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
        ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
    }
    read_all(f, "/tc/c/job/log", 2, &log);
    ck_assert_uint_gt(log.size, 512);
    ck_assert_uint_eq(log.data[log.size - 1], '\n');
    ck_assert_ptr_nonnull(strstr((const char *)log.data, "stopped"));

    fixture_request(f, &request, COAPMSG_GET, "/tc/c/job/log");
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){0, false, 2});
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.payload_size, 64);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED); /* one more line */
    fixture_request(f, &request, COAPMSG_GET, "/tc/c/job/log");
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){1, false, 2});
    fixture_send(f, &request);
    ck_assert_mem_eq(f->answer.payload, log.data + 64, 64);
    fixture_end(f);
}
END_TEST

START_TEST(test_list_over_blocks)
{
    struct device_options options = {.kind = DEVICE_V2, .slots = 40, .package_max = 65536};
    struct fixture *f = fixture_new_with(&options, 1204);
    cleanup_buffer struct buffer list = {0}, links = {0};
    struct linkformat_link link;
    struct cborio_reader r;
    struct linkformat lf;
    unsigned found = 0;
    char uid[16];

    for (int i = 0; i < 40; i++) {
        (void)snprintf(uid, sizeof uid, "c%d", i);
        ck_assert_uint_eq(fixture_load(f, uid, code_runs), COAPMSG_CREATED);
    }
    read_all(f, "/tc/c", BLOCK_SZX, &list);
    r = cborio_reader_init(list.data, list.size);
    ck_assert_uint_eq(cborio_get_array(&r), 40);
    for (int i = 0; i < 40; i++)
        cborio_skip(&r);
    ck_assert(cborio_ended(&r));
    read_all(f, "/.well-known/core", BLOCK_SZX, &links);
    lf = linkformat_init(links.data, links.size);
    while (linkformat_next(&lf, &link) == 0)
        found++;
    ck_assert_uint_eq(found, 44);
    fixture_end(f);
}
END_TEST

START_TEST(test_small_pdu_makes_small_blocks)
{
    struct device_options options = {.kind = DEVICE_V2, .slots = 3, .package_max = 65536};
    struct fixture *f = fixture_new_with(&options, 400);
    struct coapmsg_block block;

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/.well-known/core", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(v2_max_szx(&f->agent.v2), 4);
    cleanup_buffer struct buffer package = {0};
    large_package(f, "job", 3000, &package);
    ck_assert_uint_eq(send_block(f, "job", &package, 0, 4), COAPMSG_CONTINUE);
    ck_assert_int_eq(coapmsg_get_block(&f->answer, COAPMSG_OPT_BLOCK1, &block), 0);
    ck_assert_uint_eq(block.szx, 4);
    fixture_end(f);
}
END_TEST

/* Discovery and id ------------------------------------------------------------------------------------------------- */

START_TEST(test_discovery)
{
    static const struct {
        const char *query;
        unsigned links;
    } cases[] = {{NULL, 5},          {"rt=tinycontainer", 1}, {"rt=tinycontainer*", 3}, {"rt=other", 0},
                 {"href=/tc/c*", 2}, {"if=sensor", 0},        {"href=/tc/id", 1}};
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
    agent_restart(&f->agent); /* a v2 device keeps it */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/id", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(f->answer.payload_size, 64);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(map_uint(f, 9), 2); /* boots */
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

/* Observe ---------------------------------------------------------------------------------------------------------- */

/* Registers with a token of one byte, or cancels. */
static uint8_t observe(struct fixture *f, const char *path, const char *token, uint32_t value)
{
    struct coapmsg request;

    fixture_request(f, &request, COAPMSG_GET, path);
    coapmsg_set_token(&request, token, 1);
    coapmsg_add_uint(&request, COAPMSG_OPT_OBSERVE, value);
    fixture_send(f, &request);
    return f->answer.code;
}

/* The last of the notifications with a token among what was sent; NULL when there is none. */
static const struct sent *notification(const struct fixture *f, const char *token, struct coapmsg *out)
{
    const struct sent *found = NULL;
    struct coapmsg msg;

    for (unsigned i = 0; i < f->sent_count; i++)
        if (coapmsg_decode(&msg, f->sent[i].data, f->sent[i].size) == 0 && msg.type == COAPMSG_CON &&
            msg.token_length == 1 && msg.token[0] == (uint8_t)*token)
            found = &f->sent[i];
    if (found)
        ck_assert_int_eq(coapmsg_decode(out, found->data, found->size), 0);
    return found;
}

static void acknowledge(struct fixture *f, const struct coapmsg *msg, enum coapmsg_type type)
{
    const uint8_t data[] = {(uint8_t)(0x40 | type << 4), 0, (uint8_t)(msg->id >> 8), (uint8_t)msg->id};

    fixture_send_bytes(f, data, sizeof data);
}

START_TEST(test_observe_container)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    uint32_t first, second;
    struct coapmsg msg;

    ck_assert_uint_eq(observe(f, "/tc/c/job", "a", 0), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(observe(f, "/tc/c/job", "a", 0), COAPMSG_CONTENT);
    ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_OBSERVE, &first));
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/c/job", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(f->sent_count, 1);

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_ptr_nonnull(notification(f, "a", &msg));
    ck_assert_uint_eq(msg.code, COAPMSG_CONTENT);
    ck_assert(coapmsg_get_uint(&msg, COAPMSG_OPT_OBSERVE, &second));
    ck_assert_uint_eq(second, first + 1);
    acknowledge(f, &msg, COAPMSG_ACK);
    ck_assert_uint_eq(f->sent_count, 0);
    f->sent_count = 0;
    fixture_pass(f, 1000); /* loops alone notify nobody */
    ck_assert_uint_eq(f->sent_count, 0);

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/tc/c/job", NULL), COAPMSG_DELETED);
    ck_assert_ptr_nonnull(notification(f, "a", &msg));
    ck_assert_uint_eq(msg.code, COAPMSG_NOT_FOUND);
    ck_assert(!coapmsg_find(&msg, COAPMSG_OPT_OBSERVE));
    ck_assert_uint_eq(f->agent.v2.observers.used, 0);
    acknowledge(f, &msg, COAPMSG_ACK);
    fixture_end(f);
}
END_TEST

START_TEST(test_observe_sends_one_at_a_time_and_the_latest)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg first, next;

    ck_assert_uint_eq(observe(f, "/tc/c", "l", 0), COAPMSG_CONTENT);
    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    ck_assert_ptr_nonnull(notification(f, "l", &first));
    first.payload = NULL;
    ck_assert_uint_eq(fixture_load(f, "b", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_load(f, "c", code_runs), COAPMSG_CREATED);
    ck_assert_ptr_null(notification(f, "l", &next)); /* the first is not acknowledged yet */
    acknowledge(f, &first, COAPMSG_ACK);
    ck_assert_uint_eq(f->sent_count, 1);
    ck_assert_ptr_nonnull(notification(f, "l", &next));
    ck_assert_uint_eq(next.payload[0], 0x83); /* all three at once */
    fixture_end(f);
}
END_TEST

START_TEST(test_observe_ends)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg msg;
    uint16_t late;

    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(observe(f, "/tc/c/job", "a", 0), COAPMSG_CONTENT);
    ck_assert_uint_eq(observe(f, "/tc/c/job", "a", 0), COAPMSG_CONTENT); /* renewed, not doubled */
    ck_assert_uint_eq(f->agent.v2.observers.used, 1);
    ck_assert_uint_eq(observe(f, "/tc/c/job", "a", 1), COAPMSG_CONTENT);
    ck_assert(!coapmsg_find(&f->answer, COAPMSG_OPT_OBSERVE));
    ck_assert_uint_eq(f->agent.v2.observers.used, 0);

    ck_assert_uint_eq(observe(f, "/tc/c/job", "b", 0), COAPMSG_CONTENT); /* ended by RST */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_ptr_nonnull(notification(f, "b", &msg));
    acknowledge(f, &msg, COAPMSG_RST);
    ck_assert_uint_eq(f->agent.v2.observers.used, 0);

    ck_assert_uint_eq(observe(f, "/tc/c/job", "d", 0), COAPMSG_CONTENT); /* another one is not hit by a late RST */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
    ck_assert_ptr_nonnull(notification(f, "d", &msg));
    late = msg.id;
    ck_assert_uint_eq(observe(f, "/tc/c/job", "d", 1), COAPMSG_CONTENT);
    ck_assert_uint_eq(observe(f, "/tc/c", "e", 0), COAPMSG_CONTENT);
    msg.id = late;
    acknowledge(f, &msg, COAPMSG_RST);
    ck_assert_uint_eq(f->agent.v2.observers.used, 1);
    ck_assert_uint_eq(observe(f, "/tc/c", "e", 1), COAPMSG_CONTENT);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);

    ck_assert_uint_eq(observe(f, "/tc/c/job", "c", 0), COAPMSG_CONTENT); /* ended by silence */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
    fixture_pass(f, 93000);
    ck_assert_uint_eq(f->agent.v2.observers.used, 0);
    fixture_end(f);
}
END_TEST

START_TEST(test_observers_are_bounded)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    char token[2] = "0";

    for (int i = 0; i <= OBSERVERS_MAX; i++) {
        token[0] = (char)('0' + i);
        ck_assert_uint_eq(observe(f, "/tc/c", token, 0), COAPMSG_CONTENT);
        ck_assert_int_eq(coapmsg_find(&f->answer, COAPMSG_OPT_OBSERVE) != NULL, i < OBSERVERS_MAX);
    }
    fixture_end(f);
}
END_TEST

START_TEST(test_observe_log_is_slow)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg msg;
    int notifications = 0;

    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(observe(f, "/tc/c/job/log", "g", 0), COAPMSG_CONTENT);
    for (int i = 0; i < 20; i++) { /* a line every 100 ms */
        f->sent_count = 0;
        fixture_pass(f, 100);
        if (notification(f, "g", &msg)) {
            notifications++;
            acknowledge(f, &msg, COAPMSG_ACK);
        }
        ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
        ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
        if (notification(f, "g", &msg)) {
            notifications++;
            acknowledge(f, &msg, COAPMSG_ACK);
        }
    }
    ck_assert_int_ge(notifications, 2);
    ck_assert_int_le(notifications, 3);
    fixture_end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent v2");
    TCase *tc = tcase_create("v2");
    SRunner *runner = srunner_create(suite);
    int failed;

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
    tcase_add_test(tc, test_upload_in_blocks);
    tcase_add_test(tc, test_upload_resumes);
    tcase_add_test(tc, test_info_tells_of_an_unfinished_upload);
    tcase_add_test(tc, test_uploads_do_not_mix);
    tcase_add_test(tc, test_bad_blocks);
    tcase_add_test(tc, test_too_large_packages);
    tcase_add_test(tc, test_data_part);
    tcase_add_test(tc, test_log_stays_the_same_over_a_transfer);
    tcase_add_test(tc, test_list_over_blocks);
    tcase_add_test(tc, test_small_pdu_makes_small_blocks);
    tcase_add_test(tc, test_discovery);
    tcase_add_test(tc, test_device_id);
    tcase_add_test(tc, test_bug_no_stop);
    tcase_add_test(tc, test_observe_container);
    tcase_add_test(tc, test_observe_sends_one_at_a_time_and_the_latest);
    tcase_add_test(tc, test_observe_ends);
    tcase_add_test(tc, test_observers_are_bounded);
    tcase_add_test(tc, test_observe_log_is_slow);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
