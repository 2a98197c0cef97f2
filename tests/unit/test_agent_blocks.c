/* The v2 agent: transfers in blocks (RFC 7959), uploads that go on, and what is read in blocks. */
#include "agent_fixture.h"
#include "suite.h"

#include "base/text.h"
#include "codec/cborio.h"
#include "codec/linkformat.h"

#include <string.h>

#define OPT_Q_BLOCK1 19
#define OPT_REQUEST_TAG 292
#define BLOCK_SZX 6
#define BLOCK_SIZE 1024u

static const uint8_t upload_tag[8] = "packageX";

/* Sends the block that begins at an offset. */
static uint8_t send_block(struct fixture *f, const char *uid, const struct buffer *package, size_t offset, uint8_t szx)
{
    size_t size = (size_t)16 << szx, left = package->size - offset;
    struct coapmsg_block block = {(uint32_t)(offset >> (szx + 4)), left > size, szx};
    struct coapmsg request;

    fixture_put(f, &request, uid, NULL);
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
    ck_assert_uint_eq(fixture_map_uint(f, 1), 0);
    ck_assert_uint_eq(send_block(f, "job", &package, 0, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(send_block(f, "job", &package, 1024, BLOCK_SZX), COAPMSG_CONTINUE);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    f->peer = fixture_peer(40001);
    ck_assert_uint_eq(send_block(f, "job", &package, 4096, BLOCK_SZX), COAPMSG_INCOMPLETE);
    ck_assert_uint_eq(fixture_map_uint(f, 1), 2048);
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
    agent_restart(&f->agent, false);
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
    ck_assert_uint_eq(fixture_map_uint(f, 1), 0);
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

    fixture_put(f, &request, "job", NULL);
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK1, block);
    coapmsg_set_payload(&request, "short", 5);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_BAD_REQUEST);
    fixture_put(f, &request, "job", NULL);
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

/* RFC 9177, which the agent does not know: a block is not taken for a whole package. */
START_TEST(test_quick_blocks_are_refused)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    cleanup_buffer struct buffer package = {0};
    struct coapmsg request;

    fixture_package(f, "job", code_runs, NULL, 0, &package);
    fixture_put(f, &request, "job", &package);
    coapmsg_add_block(&request, OPT_Q_BLOCK1, (struct coapmsg_block){0, true, 0});
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", ""), 0);
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
        fixture_put(f, &request, "job", NULL);
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
    uint32_t etag, again;

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
    ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_ETAG, &etag));
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED); /* one more line */
    fixture_request(f, &request, COAPMSG_GET, "/tc/c/job/log");
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){1, false, 2});
    fixture_send(f, &request);
    ck_assert_mem_eq(f->answer.payload, log.data + 64, 64);
    ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_ETAG, &again));
    ck_assert_uint_eq(again, etag);
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
    ck_assert_uint_eq(found, 48);
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

int main(void)
{
    Suite *suite = suite_create("agent blocks");
    TCase *tc = tcase_create("v2");

    tcase_add_test(tc, test_upload_in_blocks);
    tcase_add_test(tc, test_upload_resumes);
    tcase_add_test(tc, test_info_tells_of_an_unfinished_upload);
    tcase_add_test(tc, test_uploads_do_not_mix);
    tcase_add_test(tc, test_bad_blocks);
    tcase_add_test(tc, test_quick_blocks_are_refused);
    tcase_add_test(tc, test_too_large_packages);
    tcase_add_test(tc, test_data_part);
    tcase_add_test(tc, test_log_stays_the_same_over_a_transfer);
    tcase_add_test(tc, test_list_over_blocks);
    tcase_add_test(tc, test_small_pdu_makes_small_blocks);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
