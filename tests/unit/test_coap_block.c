#include "coap/block.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* The block-wise client against a server that is a few lines long and as wilful as each test wants it. */

static struct block_transfer transfer;
static uint8_t body[4000];
static const uint8_t tag[BLOCK_TAG_SIZE] = "ABCDEFG";
static struct coapmsg request, response;

static void set_up(void)
{
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i / 16 + i);
    memset(&transfer, 0, sizeof transfer);
}

static void tear_down(void)
{
    block_end(&transfer);
}

static void prepare(void)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    block_prepare(&transfer, &request);
}

static void respond(uint8_t code)
{
    coapmsg_init(&response, COAPMSG_ACK, code);
}

static void check_block(uint16_t number, uint32_t num, bool more, uint8_t szx)
{
    struct coapmsg_block block;

    ck_assert_int_eq(coapmsg_get_block(&request, number, &block), 0);
    ck_assert_uint_eq(block.num, num);
    ck_assert_int_eq(block.more, more);
    ck_assert_uint_eq(block.szx, szx);
}

static void check_upload(size_t offset, size_t size, bool more, uint8_t szx)
{
    const struct coapmsg_option *option = coapmsg_find(&request, 292);
    uint32_t total = 0;

    check_block(COAPMSG_OPT_BLOCK1, (uint32_t)(offset >> (szx + 4)), more, szx);
    ck_assert_uint_eq(request.payload_size, size);
    ck_assert_mem_eq(request.payload, body + offset, size);
    ck_assert_ptr_nonnull(option);
    ck_assert_mem_eq(option->value, tag, sizeof tag);
    ck_assert_int_eq(coapmsg_get_uint(&request, COAPMSG_OPT_SIZE1, &total), offset == 0);
    ck_assert_uint_eq(total, offset == 0 ? transfer.size : 0);
}

static enum block_result confirm(uint8_t code, uint32_t num, uint8_t szx)
{
    respond(code);
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){num, true, szx});
    return block_take(&transfer, &response);
}

/* A whole upload, from the present offset on; returns the number of requests. */
static unsigned upload(uint8_t szx)
{
    size_t size = (size_t)16 << szx;
    unsigned count = 0;

    for (;;) {
        bool more = transfer.size - transfer.offset > size;

        prepare();
        count++;
        check_upload(transfer.offset, more ? size : transfer.size - transfer.offset, more, szx);
        if (!more)
            break;
        ck_assert_int_eq(confirm(COAPMSG_CONTINUE, (uint32_t)(transfer.offset / size), szx), BLOCK_MORE);
    }
    respond(COAPMSG_CREATED);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_DONE);
    ck_assert(!transfer.uploading);
    return count;
}

/* Upload ---------------------------------------------------------------------------------------------------------- */

START_TEST(a_small_body_needs_no_blocks)
{
    block_begin(&transfer, body, 1024, tag, 6, 100);
    prepare();
    ck_assert_uint_eq(request.option_count, 0);
    ck_assert_uint_eq(request.payload_size, 1024);
    respond(COAPMSG_CHANGED);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_DONE);
}
END_TEST

START_TEST(a_large_body_goes_in_blocks)
{
    static const struct {
        size_t size;
        uint8_t szx;
        unsigned count;
    } rows[] = {{1025, 6, 2}, {2048, 6, 2}, {4000, 6, 4}, {17, 0, 2}, {4000, 0, 250}, {513, 5, 2}};

    block_begin(&transfer, body, rows[_i].size, tag, rows[_i].szx, 100);
    ck_assert_uint_eq(upload(rows[_i].szx), rows[_i].count);
}
END_TEST

/* RFC 7959 figure 9: the block that was sent counts, further ones are smaller. */
START_TEST(a_smaller_size_holds_from_the_next_block_on)
{
    block_begin(&transfer, body, 4000, tag, 6, 100);
    prepare();
    check_upload(0, 1024, true, 6);
    ck_assert_int_eq(confirm(COAPMSG_CONTINUE, 0, 2), BLOCK_MORE);
    prepare();
    check_upload(1024, 64, true, 2);
    ck_assert_int_eq(confirm(COAPMSG_CONTINUE, 16, 6), BLOCK_MORE); /* not back to larger ones */
    ck_assert_uint_eq(upload(2), (4000 - 1088 + 63) / 64);
}
END_TEST

START_TEST(too_large_with_a_smaller_size_begins_again)
{
    block_begin(&transfer, body, 1000, tag, 6, 100); /* was one message */
    prepare();
    ck_assert_int_eq(confirm(COAPMSG_TOO_LARGE, 0, 4), BLOCK_MORE);
    prepare();
    check_upload(0, 256, true, 4);
    ck_assert_int_eq(confirm(COAPMSG_CONTINUE, 0, 4), BLOCK_MORE);
    prepare();
    ck_assert_int_eq(confirm(COAPMSG_TOO_LARGE, 1, 3), BLOCK_MORE);
    ck_assert_uint_eq(upload(3), 8);
}
END_TEST

START_TEST(too_large_without_a_smaller_size_is_the_answer)
{
    uint32_t room = 0;

    block_begin(&transfer, body, 4000, tag, 4, 100);
    prepare();
    respond(COAPMSG_TOO_LARGE);
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){0, true, 4});
    coapmsg_add_uint(&response, COAPMSG_OPT_SIZE1, 2000);
    coapmsg_set_payload(&response, "full", 4);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_DONE);
    ck_assert(coapmsg_get_uint(&response, COAPMSG_OPT_SIZE1, &room));
    ck_assert_uint_eq(transfer.answer.size, 4);
}
END_TEST

static void respond_incomplete(const void *payload, size_t size)
{
    respond(COAPMSG_INCOMPLETE);
    coapmsg_set_payload(&response, payload, size);
}

static const struct {
    const char *payload;
    size_t size, offset;
} incompletes[] = {
    {"", 0, 0},
    {"\xa1\x01\x19\x04\x00", 5, 1024},
    {"\xa1\x01\x19\x04\x01", 5, 1024}, /* in the middle of a block */
    {"\xa2\x01\x19\x04\x00\x02\x48"
     "ABCDEFG",
     15, 1024}, /* our Request-Tag */
    {"\xa2\x01\x19\x04\x00\x02\x48"
     "xBCDEFG",
     15, 0}, /* another upload's */
    {"\xa2\x01\x19\x04\x00\x02\x47"
     "ABCDEFG",
     14, 0},                                                    /* a shorter one */
    {"\xa2\x01\x19\x04\x00\x18\x63\x61x", 9, 1024},             /* an unknown key */
    {"\xa1\x01\x1b\xff\xff\xff\xff\xff\xff\xff\xff", 11, 3072}, /* more than there is */
    {"\xa1\x01\x19\x0f\xa0", 5, 3072},                          /* all: the last block once more */
    {"\xa1\x01\x20", 3, 0},                                     /* negative */
    {"\xa1\x01", 2, 0},
    {"\xbf\x01\x02\xff", 4, 0},
    {"what?", 5, 0},
    {"\xa1\x01\x19\x04\x00\x00", 6, 0}, /* something follows */
};

START_TEST(incomplete_says_where_to_go_on)
{
    block_begin(&transfer, body, 4000, tag, 6, 100);
    prepare();
    ck_assert_int_eq(confirm(COAPMSG_CONTINUE, 0, 6), BLOCK_MORE);
    prepare();
    ck_assert_int_eq(confirm(COAPMSG_CONTINUE, 1, 6), BLOCK_MORE);
    prepare();
    respond_incomplete(incompletes[_i].payload, incompletes[_i].size);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_MORE);
    ck_assert_uint_eq(transfer.offset, incompletes[_i].offset);
    (void)upload(6);
}
END_TEST

START_TEST(incomplete_for_ever_is_an_answer)
{
    unsigned count = 0;

    block_begin(&transfer, body, 4000, tag, 6, 100);
    do {
        prepare();
        respond_incomplete("", 0);
        ck_assert_uint_lt(++count, 100);
    } while (block_take(&transfer, &response) == BLOCK_MORE);
    ck_assert(!transfer.uploading);
    ck_assert_uint_gt(count, 1);
}
END_TEST

START_TEST(an_upload_resumes)
{
    static const struct {
        uint64_t held;
        size_t offset;
    } rows[] = {{0, 0}, {1023, 0}, {1024, 1024}, {3999, 3072}, {4000, 3072}, {UINT64_MAX, 3072}};

    block_begin(&transfer, body, 4000, tag, 6, 100);
    block_resume(&transfer, rows[_i].held);
    ck_assert_uint_eq(transfer.offset, rows[_i].offset);
    (void)upload(6);
}
END_TEST

START_TEST(continue_is_checked)
{
    block_begin(&transfer, body, 2000, tag, 6, 100);
    prepare();
    respond(COAPMSG_CONTINUE);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_PROTOCOL); /* no Block1 */
    ck_assert_str_ne(transfer.reason, "");
    ck_assert_int_eq(confirm(COAPMSG_CONTINUE, 1, 6), BLOCK_E_PROTOCOL);
    respond(COAPMSG_CONTINUE);
    coapmsg_add_uint(&response, COAPMSG_OPT_BLOCK1, 7); /* SZX 7 */
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_PROTOCOL);
    ck_assert_int_eq(confirm(COAPMSG_CONTINUE, 0, 6), BLOCK_MORE);
    prepare();
    ck_assert_int_eq(confirm(COAPMSG_CONTINUE, 1, 6), BLOCK_E_PROTOCOL); /* after the last block */
    block_begin(&transfer, body, 20, tag, 6, 100);
    prepare();
    ck_assert_int_eq(confirm(COAPMSG_CONTINUE, 0, 6), BLOCK_E_PROTOCOL); /* to what went whole */
}
END_TEST

START_TEST(more_blocks_than_can_be_counted_are_not_sent)
{
    block_begin(&transfer, body, (size_t)64 << 20, tag, 0, 100);
    block_resume(&transfer, (size_t)16 << 20);
    prepare();
    ck_assert(request.failed);
}
END_TEST

/* Download -------------------------------------------------------------------------------------------------------- */

/* One block of the body as its first `size` bytes are, with an ETag unless it is 0. */
static void serve(size_t size, uint32_t num, uint8_t szx, uint8_t etag)
{
    static uint8_t value;
    size_t block = (size_t)16 << szx, offset = num * block, left = size - offset;

    respond(COAPMSG_CONTENT);
    value = etag;
    if (etag)
        coapmsg_add(&response, COAPMSG_OPT_ETAG, &value, 1);
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){num, left > block, szx});
    coapmsg_set_payload(&response, body + offset, left < block ? left : block);
}

static void begin_download(uint8_t szx, size_t limit)
{
    block_end(&transfer);
    block_begin(&transfer, NULL, 0, NULL, szx, limit);
    prepare();
    ck_assert_uint_eq(request.payload_size, 0);
}

static void check_answer(size_t size)
{
    ck_assert_uint_eq(transfer.answer.size, size);
    ck_assert_mem_eq(transfer.answer.data, body, size);
}

START_TEST(an_answer_without_blocks_is_whole)
{
    begin_download(6, 0);
    ck_assert_uint_eq(request.option_count, 0);
    respond(COAPMSG_CONTENT);
    coapmsg_set_payload(&response, body, 1100);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_DONE);
    check_answer(1100);
    begin_download(6, 0);
    respond(COAPMSG_CONTENT);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_DONE);
    ck_assert_uint_eq(transfer.answer.size, 0);
}
END_TEST

START_TEST(an_answer_comes_in_blocks)
{
    static const struct {
        size_t size;
        uint8_t asked, served;
    } rows[] = {{4000, 6, 6}, {4000, 6, 2}, {2048, 6, 6}, {100, 2, 2}, {100, 2, 0}, {16, 0, 0}, {1, 6, 6}, {300, 2, 4}};
    uint8_t szx = rows[_i].served < rows[_i].asked ? rows[_i].served : rows[_i].asked;
    uint32_t num = 0, step = 1u << (rows[_i].served - szx);
    enum block_result r;

    begin_download(rows[_i].asked, 4000);
    if (rows[_i].asked < BLOCK_SZX_MAX)
        check_block(COAPMSG_OPT_BLOCK2, 0, false, rows[_i].asked);
    while (serve(rows[_i].size, num++, rows[_i].served, 9), (r = block_take(&transfer, &response)) == BLOCK_MORE) {
        prepare();
        check_block(COAPMSG_OPT_BLOCK2, num * step, false, szx);
    }
    ck_assert_int_eq(r, BLOCK_DONE);
    check_answer(rows[_i].size);
}
END_TEST

START_TEST(a_changed_etag_begins_again)
{
    begin_download(6, 4000);
    serve(4000, 0, 6, 1);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_MORE);
    serve(4000, 1, 6, _i ? 0 : 2); /* another one, or none */
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_MORE);
    prepare();
    ck_assert_uint_eq(request.option_count, 0);
    for (uint32_t num = 0; num < 4; num++) {
        serve(4000, num, 6, 2);
        ck_assert_int_eq(block_take(&transfer, &response), num < 3 ? BLOCK_MORE : BLOCK_DONE);
    }
    check_answer(4000);
}
END_TEST

START_TEST(a_representation_that_never_rests_ends)
{
    enum block_result r = BLOCK_MORE;
    unsigned count = 0;

    begin_download(6, 4000);
    while (r == BLOCK_MORE) {
        serve(4000, transfer.answer.size ? 1 : 0, 6, (uint8_t)(++count % 250 + 1));
        r = block_take(&transfer, &response);
        ck_assert_uint_lt(count, 100);
    }
    ck_assert_int_eq(r, BLOCK_E_PROTOCOL);
}
END_TEST

START_TEST(blocks_are_checked)
{
    begin_download(6, 4000);
    serve(4000, 1, 6, 1); /* not the first */
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_PROTOCOL);
    begin_download(6, 4000);
    serve(4000, 0, 6, 1);
    response.payload_size = 1000; /* short, with more to come */
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_PROTOCOL);
    begin_download(6, 4000);
    serve(4000, 3, 6, 1);
    response.options[response.option_count - 1].length = 0; /* block 0, the last, longer than it says: SZX 0 */
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_PROTOCOL);
    begin_download(6, 4000);
    serve(4000, 0, 6, 1);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_MORE);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_PROTOCOL); /* the same again */
    begin_download(6, 4000);
    serve(4000, 0, 6, 1);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_MORE);
    respond(COAPMSG_CONTENT);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_PROTOCOL); /* no Block2 any more */
    respond(COAPMSG_CONTENT);
    coapmsg_add_uint(&response, COAPMSG_OPT_BLOCK2, 0x1000000);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_PROTOCOL);
}
END_TEST

START_TEST(an_error_in_between_is_the_answer)
{
    begin_download(6, 4000);
    serve(4000, 0, 6, 1);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_MORE);
    respond(COAPMSG_NOT_FOUND);
    coapmsg_set_payload(&response, "gone", 4);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_DONE);
    ck_assert_uint_eq(transfer.answer.size, 4);
}
END_TEST

START_TEST(a_body_over_the_limit_is_cut)
{
    begin_download(6, 2500);
    for (uint32_t num = 0; num < 2; num++) {
        serve(4000, num, 6, 1);
        ck_assert_int_eq(block_take(&transfer, &response), BLOCK_MORE);
    }
    serve(4000, 2, 6, 1);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_TOO_LARGE);
    check_answer(2500);
    begin_download(6, 10);
    respond(COAPMSG_CONTENT);
    coapmsg_set_payload(&response, body, 11);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_TOO_LARGE);
    check_answer(10);
}
END_TEST

START_TEST(an_upload_may_be_answered_in_blocks)
{
    block_begin(&transfer, body, 1500, tag, 6, 4000);
    prepare();
    ck_assert_int_eq(confirm(COAPMSG_CONTINUE, 0, 6), BLOCK_MORE);
    prepare();
    serve(1200, 0, 6, 1);
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){1, false, 6});
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_MORE);
    prepare();
    check_block(COAPMSG_OPT_BLOCK2, 1, false, 6);
    ck_assert_uint_eq(request.payload_size, 0);
    serve(1200, 1, 6, 1);
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_DONE);
    check_answer(1200);
}
END_TEST

START_TEST(what_the_model_could_not_take_is_refused)
{
    begin_download(6, 4000);
    respond(COAPMSG_CONTENT);
    response.failed = true;
    ck_assert_int_eq(block_take(&transfer, &response), BLOCK_E_PROTOCOL);
}
END_TEST

static void add_upload_tests(TCase *tc)
{
    tcase_add_test(tc, a_small_body_needs_no_blocks);
    tcase_add_loop_test(tc, a_large_body_goes_in_blocks, 0, 6);
    tcase_add_test(tc, a_smaller_size_holds_from_the_next_block_on);
    tcase_add_test(tc, too_large_with_a_smaller_size_begins_again);
    tcase_add_test(tc, too_large_without_a_smaller_size_is_the_answer);
    tcase_add_loop_test(tc, incomplete_says_where_to_go_on, 0, (int)array_size(incompletes));
    tcase_add_test(tc, incomplete_for_ever_is_an_answer);
    tcase_add_loop_test(tc, an_upload_resumes, 0, 6);
    tcase_add_test(tc, continue_is_checked);
    tcase_add_test(tc, more_blocks_than_can_be_counted_are_not_sent);
}

static void add_download_tests(TCase *tc)
{
    tcase_add_test(tc, an_answer_without_blocks_is_whole);
    tcase_add_loop_test(tc, an_answer_comes_in_blocks, 0, 8);
    tcase_add_loop_test(tc, a_changed_etag_begins_again, 0, 2);
    tcase_add_test(tc, a_representation_that_never_rests_ends);
    tcase_add_test(tc, blocks_are_checked);
    tcase_add_test(tc, an_error_in_between_is_the_answer);
    tcase_add_test(tc, a_body_over_the_limit_is_cut);
    tcase_add_test(tc, an_upload_may_be_answered_in_blocks);
    tcase_add_test(tc, what_the_model_could_not_take_is_refused);
}

int main(void)
{
    Suite *suite = suite_create("coap block");
    TCase *tc = tcase_create("block");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    add_upload_tests(tc);
    add_download_tests(tc);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
