#include "coap/block_server.h"
#include "codec/cborio.h"
#include "suite.h"

#include <string.h>

/* The server's half of block-wise transfer, with our own client's half and with peers that do what they like. */

#define BODY_LIMIT 10000
#define TRANSFERS 8

static struct clock_manual clock_;
static struct block_server *bs;
static struct block_exchange exchange;
static struct coapmsg request, response;
static uint8_t body[12000];

static void set_up(void)
{
    struct block_server_options options = {.clock = &clock_.clock, .transfers = TRANSFERS, .body = BODY_LIMIT};

    clock_manual_init(&clock_, 5000, 0);
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i / 16 + i);
    ck_assert_int_eq(block_server_new(&bs, &options), 0);
}

static void tear_down(void)
{
    block_exchange_end(&exchange);
    bs = block_server_free(bs);
}

static struct block_server_stats stats(void)
{
    struct block_server_stats out;

    block_server_get_stats(bs, &out);
    return out;
}

static void make_put(const char *path, uint32_t num, bool more, uint8_t szx)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_add_path(&request, path);
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){num, more, szx});
}

static enum block_verdict take(uint64_t party)
{
    block_exchange_end(&exchange);
    return block_server_take(bs, party, &request, &exchange, &response);
}

/* Sends the block of `body` that begins at num; as the last one when it ends at `total`. */
static enum block_verdict put(uint64_t party, uint32_t num, uint8_t szx, size_t total)
{
    size_t size = (size_t)16 << szx, offset = num * size, left = total - offset;

    make_put("/a", num, left > size, szx);
    coapmsg_set_payload(&request, body + offset, left < size ? left : size);
    return take(party);
}

static void put_until(uint64_t party, uint32_t count, uint8_t szx, size_t total)
{
    for (uint32_t num = 0; num < count; num++) {
        ck_assert_int_eq(put(party, num, szx, total), BLOCK_SERVER_ANSWERED);
        ck_assert_uint_eq(response.code, COAPMSG_CONTINUE);
    }
}

static void check_block(uint16_t number, uint32_t num, bool more, uint8_t szx)
{
    struct coapmsg_block block;

    ck_assert_int_eq(coapmsg_get_block(&response, number, &block), 0);
    ck_assert_uint_eq(block.num, num);
    ck_assert_int_eq(block.more, more);
    ck_assert_uint_eq(block.szx, szx);
}

static uint64_t held_in_answer(void)
{
    struct cborio_reader r = cborio_reader_init(response.payload, response.payload_size);
    size_t pairs = cborio_get_map(&r);

    ck_assert_uint_eq(response.code, COAPMSG_INCOMPLETE);
    ck_assert_uint_ge(pairs, 1);
    ck_assert_uint_eq(cborio_get_uint(&r, 1), 1);
    return cborio_get_uint(&r, UINT64_MAX);
}

static void respond(uint8_t code, const void *payload, size_t size)
{
    coapmsg_init(&response, COAPMSG_ACK, code);
    coapmsg_set_payload(&response, payload, size);
    block_server_answer(bs, &exchange, &response);
}

static void get(uint64_t party, uint32_t num, uint8_t szx)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_path(&request, "/a");
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){num, false, szx});
    if (take(party) == BLOCK_SERVER_WHOLE)
        respond(COAPMSG_CONTENT, body, 5000);
}

/* Bodies ---------------------------------------------------------------------------------------------------------- */

START_TEST(a_body_in_blocks_is_put_together_and_the_last_block_confirmed)
{
    put_until(1, 4, 6, 4100);
    check_block(COAPMSG_OPT_BLOCK1, 3, true, 6);
    ck_assert_int_eq(put(1, 4, 6, 4100), BLOCK_SERVER_WHOLE);
    ck_assert_uint_eq(exchange.size, 4100);
    ck_assert_mem_eq(exchange.body, body, 4100);
    ck_assert_uint_eq(stats().bytes, 0);
    respond(COAPMSG_CHANGED, NULL, 0);
    check_block(COAPMSG_OPT_BLOCK1, 4, false, 6);
}
END_TEST

START_TEST(a_body_without_blocks_or_in_one_is_whole_at_once)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_set_payload(&request, body, 900);
    ck_assert_int_eq(take(1), BLOCK_SERVER_WHOLE);
    ck_assert_uint_eq(exchange.size, 900);
    make_put("/a", 0, false, 6);
    coapmsg_set_payload(&request, body, 1024);
    ck_assert_int_eq(take(1), BLOCK_SERVER_WHOLE);
    respond(COAPMSG_CREATED, NULL, 0);
    check_block(COAPMSG_OPT_BLOCK1, 0, false, 6);
    ck_assert_uint_eq(stats().transfers, 0);
}
END_TEST

START_TEST(the_block_size_may_change_on_the_way)
{
    put_until(1, 2, 5, 3000); /* 1024 bytes */
    ck_assert_int_eq(put(1, 64, 0, 3000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_CONTINUE);
    check_block(COAPMSG_OPT_BLOCK1, 64, true, 0);
    ck_assert_int_eq(put(1, 65, 0, 3000), BLOCK_SERVER_ANSWERED); /* 1056 held */
    ck_assert_int_eq(put(1, 1, 6, 3000), BLOCK_SERVER_ANSWERED);  /* overlaps what is held */
    ck_assert_uint_eq(response.code, COAPMSG_CONTINUE);
    ck_assert_int_eq(put(1, 2, 6, 3000), BLOCK_SERVER_WHOLE);
    ck_assert_uint_eq(exchange.size, 3000);
    ck_assert_mem_eq(exchange.body, body, 3000);
}
END_TEST

START_TEST(a_gap_is_4_08_and_says_how_far_it_came)
{
    ck_assert_int_eq(put(1, 3, 6, 9000), BLOCK_SERVER_ANSWERED); /* nothing of it is known */
    ck_assert_uint_eq(held_in_answer(), 0);
    put_until(1, 2, 6, 9000);
    ck_assert_int_eq(put(1, 3, 6, 9000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(held_in_answer(), 2048);
    ck_assert_int_eq(put(1, 2, 6, 9000), BLOCK_SERVER_ANSWERED); /* it goes on from where it stood */
    ck_assert_uint_eq(response.code, COAPMSG_CONTINUE);
    ck_assert_uint_eq(stats().refused, 2);
}
END_TEST

START_TEST(the_4_08_names_the_request_tag)
{
    static const uint8_t tag[8] = "12345678";
    struct cborio_reader r;
    size_t size;

    make_put("/a", 2, true, 6);
    coapmsg_add(&request, COAPMSG_OPT_REQUEST_TAG, tag, sizeof tag);
    coapmsg_set_payload(&request, body, 1024);
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    r = cborio_reader_init(response.payload, response.payload_size);
    ck_assert_uint_eq(cborio_get_map(&r), 2);
    ck_assert_uint_eq(cborio_get_uint(&r, 9), 1);
    ck_assert_uint_eq(cborio_get_uint(&r, 9), 0);
    ck_assert_uint_eq(cborio_get_uint(&r, 9), 2);
    ck_assert_mem_eq(cborio_get_bytes(&r, &size), tag, 8);
    ck_assert(cborio_ended(&r) && size == 8);
    ck_assert_uint_lt(coapmsg_size(&response), 64);
}
END_TEST

START_TEST(a_block_that_comes_again_gets_the_same_answer_and_no_effect)
{
    put_until(1, 3, 6, 5000);
    put_until(1, 1, 6, 5000); /* block 0 begins anew: nothing else can be meant */
    put_until(1, 3, 6, 5000);
    ck_assert_int_eq(put(1, 1, 6, 5000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_CONTINUE);
    ck_assert_uint_eq(stats().bytes, 3072);
}
END_TEST

START_TEST(a_block_that_comes_again_with_other_bytes_ends_the_transfer)
{
    put_until(1, 3, 6, 5000);
    make_put("/a", 1, true, 6);
    coapmsg_set_payload(&request, body, 1024);
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(held_in_answer(), 0);
    ck_assert_uint_eq(stats().transfers, 0);
    ck_assert_uint_eq(stats().abandoned, 1);
}
END_TEST

START_TEST(a_last_block_before_the_end_ends_the_transfer)
{
    put_until(1, 3, 6, 5000);
    ck_assert_int_eq(put(1, 1, 6, 1024 + 10), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(held_in_answer(), 0);
    ck_assert_uint_eq(stats().transfers, 0);
}
END_TEST

START_TEST(the_last_block_again_gets_the_answer_that_was_given)
{
    put_until(1, 2, 6, 3000);
    ck_assert_int_eq(put(1, 2, 6, 3000), BLOCK_SERVER_WHOLE);
    ck_assert_int_eq(put(1, 2, 6, 3000), BLOCK_SERVER_ANSWERED); /* while it is being worked on */
    ck_assert_uint_eq(response.code, COAPMSG_UNAVAILABLE);
    exchange.has_block1 = true;
    respond(COAPMSG_CREATED, "text", 4);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(put(1, 2, 6, 3000), BLOCK_SERVER_ANSWERED);
        ck_assert_uint_eq(response.code, COAPMSG_CREATED);
        ck_assert_uint_eq(response.payload_size, 4);
        check_block(COAPMSG_OPT_BLOCK1, 2, false, 6);
    }
    ck_assert_int_eq(put(1, 1, 6, 3000), BLOCK_SERVER_ANSWERED); /* any other does not */
    ck_assert_uint_eq(held_in_answer(), 0);
    put_until(1, 2, 6, 3000); /* and the same body may be put again */
    ck_assert_int_eq(put(1, 2, 6, 3000), BLOCK_SERVER_WHOLE);
}
END_TEST

START_TEST(after_5_xx_the_body_can_be_sent_again)
{
    put_until(1, 2, 6, 3000);
    ck_assert_int_eq(put(1, 2, 6, 3000), BLOCK_SERVER_WHOLE);
    respond(COAPMSG_UNAVAILABLE, NULL, 0);
    ck_assert_int_eq(put(1, 2, 6, 3000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(held_in_answer(), 0);
}
END_TEST

START_TEST(sizes_are_checked)
{
    make_put("/a", 0, true, 6); /* shorter than it says */
    coapmsg_set_payload(&request, body, 1000);
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_BAD_REQUEST);
    make_put("/a", 0, false, 2); /* longer */
    coapmsg_set_payload(&request, body, 65);
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_BAD_REQUEST);
    make_put("/a", 0, true, 0); /* nothing */
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_BAD_REQUEST);
    for (int number = COAPMSG_OPT_BLOCK2; number <= COAPMSG_OPT_BLOCK1; number += 4) {
        coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
        coapmsg_add_uint(&request, (uint16_t)number, 7); /* SZX 7 */
        ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
        ck_assert_uint_eq(response.code, COAPMSG_BAD_REQUEST);
    }
    ck_assert_uint_eq(stats().transfers, 0);
    ck_assert_uint_eq(stats().refused, 5);
}
END_TEST

START_TEST(a_body_over_the_limit_is_refused_with_the_first_block_that_tells)
{
    uint32_t size1 = 0;

    make_put("/a", 0, true, 6);
    coapmsg_add_uint(&request, COAPMSG_OPT_SIZE1, BODY_LIMIT + 1);
    coapmsg_set_payload(&request, body, 1024);
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_TOO_LARGE);
    ck_assert(coapmsg_get_uint(&response, COAPMSG_OPT_SIZE1, &size1) && size1 == BODY_LIMIT);
    ck_assert_uint_eq(stats().transfers, 0);
    put_until(1, BODY_LIMIT / 1024, 6, sizeof body); /* it says nothing, and is found out */
    ck_assert_int_eq(put(1, BODY_LIMIT / 1024, 6, sizeof body), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_TOO_LARGE);
    make_put("/a", 0xfffff, true, 6); /* a number that would overflow */
    coapmsg_set_payload(&request, body, 1024);
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_TOO_LARGE);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT); /* in one message */
    coapmsg_set_payload(&request, body, BODY_LIMIT + 1);
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_TOO_LARGE);
    ck_assert_uint_eq(stats().too_large, 4);
}
END_TEST

START_TEST(parties_and_operations_do_not_mix)
{
    put_until(1, 2, 6, 3000);
    ck_assert_int_eq(put(2, 2, 6, 3000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(held_in_answer(), 0);
    make_put("/b", 2, false, 6); /* another path of the same party */
    coapmsg_set_payload(&request, body, 10);
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(held_in_answer(), 0);
    put(1, 2, 6, 3000);
    coapmsg_add_uint(&request, COAPMSG_OPT_REQUEST_TAG, 7); /* another tag */
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(held_in_answer(), 0);
}
END_TEST

START_TEST(echo_and_size_make_no_other_operation)
{
    put_until(1, 2, 6, 3000);
    make_put("/a", 2, false, 6);
    coapmsg_add_uint(&request, COAPMSG_OPT_ECHO, 99);
    coapmsg_add_uint(&request, COAPMSG_OPT_SIZE1, 3000);
    coapmsg_set_payload(&request, body + 2048, 952);
    ck_assert_int_eq(take(1), BLOCK_SERVER_WHOLE);
}
END_TEST

START_TEST(nothing_is_kept_for_nobody)
{
    ck_assert_int_eq(put(BLOCK_SERVER_NOBODY, 0, 6, 3000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_TOO_LARGE);
    get(BLOCK_SERVER_NOBODY, 0, 6);
    check_block(COAPMSG_OPT_BLOCK2, 0, true, 6);
    get(BLOCK_SERVER_NOBODY, 1, 6); /* made anew */
    check_block(COAPMSG_OPT_BLOCK2, 1, true, 6);
    ck_assert_uint_eq(stats().transfers, 0);
}
END_TEST

/* Bounds ---------------------------------------------------------------------------------------------------------- */

START_TEST(thousands_that_never_finish_cost_bounded_memory)
{
    for (uint64_t party = 1; party <= 20000; party++) {
        put_until(party, 2, 6, 9000);
        ck_assert_uint_le(stats().transfers, TRANSFERS);
        ck_assert_uint_le(stats().bytes, TRANSFERS * 2048);
    }
    ck_assert_uint_eq(stats().abandoned, 20000 - TRANSFERS);
    ck_assert_int_eq(put(20000, 2, 6, 3000), BLOCK_SERVER_WHOLE); /* the latest is still there */
    ck_assert_int_eq(put(1, 2, 6, 3000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(held_in_answer(), 0);
}
END_TEST

START_TEST(one_party_has_few_at_a_time)
{
    char path[16];

    put_until(7, 1, 6, 9000);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(path, sizeof path, "/%d", i);
        make_put(path, 0, true, 6);
        coapmsg_set_payload(&request, body, 1024);
        ck_assert_int_eq(take(9), BLOCK_SERVER_ANSWERED);
        ck_assert_uint_le(stats().transfers, 1 + BLOCK_SERVER_PER_PARTY);
    }
    ck_assert_int_eq(put(7, 1, 6, 9000), BLOCK_SERVER_ANSWERED); /* and takes no other's place */
    ck_assert_uint_eq(response.code, COAPMSG_CONTINUE);
}
END_TEST

START_TEST(what_is_idle_goes)
{
    put_until(1, 2, 6, 9000);
    clock_manual_advance(&clock_, BLOCK_SERVER_LIFETIME - 1);
    ck_assert_int_eq(put(1, 2, 6, 9000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_CONTINUE);
    clock_manual_advance(&clock_, BLOCK_SERVER_LIFETIME);
    ck_assert_int_eq(put(2, 1, 6, 9000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(stats().transfers, 0);
    ck_assert_uint_eq(stats().bytes, 0);
}
END_TEST

START_TEST(a_party_can_be_forgotten)
{
    put_until(1, 2, 6, 9000);
    put_until(2, 2, 6, 9000);
    get(1, 0, 6);
    block_server_forget(bs, 1);
    block_server_forget(bs, 3);
    ck_assert_uint_eq(stats().transfers, 1);
    ck_assert_int_eq(put(2, 2, 6, 9000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_CONTINUE);
}
END_TEST

START_TEST(lower_limits_hold_at_once)
{
    struct block_server_options options = {.clock = &clock_.clock, .transfers = 2, .body = 2048};

    for (uint64_t party = 1; party <= TRANSFERS; party++)
        put_until(party, 2, 6, 9000);
    block_server_configure(bs, &options);
    ck_assert_uint_eq(stats().transfers, 2);
    ck_assert_int_eq(put(TRANSFERS, 2, 6, 9000), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_TOO_LARGE);
}
END_TEST

/* Answers --------------------------------------------------------------------------------------------------------- */

START_TEST(an_answer_is_cut_and_all_blocks_have_one_etag)
{
    struct buffer all = {0};
    uint8_t etag[8];
    uint32_t size2 = 0;

    get(1, 0, 6);
    ck_assert(coapmsg_get_uint(&response, COAPMSG_OPT_SIZE2, &size2) && size2 == 5000);
    memcpy(etag, coapmsg_find(&response, COAPMSG_OPT_ETAG)->value, 8);
    buffer_append(&all, response.payload, response.payload_size);
    for (uint32_t num = 1; num < 5; num++) {
        coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
        coapmsg_add_path(&request, "/a");
        coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){num, false, 6});
        ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED); /* the representation is not asked for again */
        check_block(COAPMSG_OPT_BLOCK2, num, num < 4, 6);
        ck_assert_mem_eq(coapmsg_find(&response, COAPMSG_OPT_ETAG)->value, etag, 8);
        buffer_append(&all, response.payload, response.payload_size);
    }
    ck_assert_uint_eq(all.size, 5000);
    ck_assert_mem_eq(all.data, body, 5000);
    buffer_clear(&all);
}
END_TEST

START_TEST(a_client_may_ask_for_smaller_blocks_from_the_start_and_on_the_way)
{
    get(1, 0, 2);
    check_block(COAPMSG_OPT_BLOCK2, 0, true, 2);
    ck_assert_uint_eq(response.payload_size, 64);
    get(1, 4, 0);
    check_block(COAPMSG_OPT_BLOCK2, 4, true, 0);
    ck_assert_mem_eq(response.payload, body + 64, 16);
}
END_TEST

START_TEST(a_block_beyond_the_end_is_4_00)
{
    get(1, 0, 6);
    get(1, 5, 6);
    ck_assert_uint_eq(response.code, COAPMSG_BAD_REQUEST);
    get(2, 5, 6); /* made anew for it */
    ck_assert_uint_eq(response.code, COAPMSG_BAD_REQUEST);
    get(1, 0xfffff, 6);
    ck_assert_uint_eq(response.code, COAPMSG_BAD_REQUEST);
}
END_TEST

START_TEST(later_blocks_of_an_answer_to_a_write_are_only_from_what_is_kept)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){2, false, 6});
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.code, COAPMSG_INCOMPLETE);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_POST);
    ck_assert_int_eq(take(1), BLOCK_SERVER_WHOLE);
    respond(COAPMSG_CHANGED, body, 3000);
    check_block(COAPMSG_OPT_BLOCK2, 0, true, 6);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){2, false, 6});
    ck_assert_int_eq(take(1), BLOCK_SERVER_ANSWERED);
    ck_assert_uint_eq(response.payload_size, 3000 - 2048);
}
END_TEST

START_TEST(a_resources_own_etag_stays)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    ck_assert_int_eq(take(1), BLOCK_SERVER_WHOLE);
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add_text(&response, COAPMSG_OPT_ETAG, "v1");
    coapmsg_set_payload(&response, body, 2000);
    block_server_answer(bs, &exchange, &response);
    ck_assert_uint_eq(coapmsg_find(&response, COAPMSG_OPT_ETAG)->length, 2);
    check_block(COAPMSG_OPT_BLOCK2, 0, true, 6);
}
END_TEST

START_TEST(a_small_answer_has_no_block_options)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    ck_assert_int_eq(take(1), BLOCK_SERVER_WHOLE);
    respond(COAPMSG_CONTENT, body, 1024);
    ck_assert_uint_eq(response.option_count, 0);
    ck_assert_uint_eq(response.payload_size, 1024);
    ck_assert_uint_eq(stats().transfers, 0);
}
END_TEST

/* Our client's half meets it, for every size and block size. */
START_TEST(both_halves_understand_each_other)
{
    for (uint8_t szx = 0; szx <= BLOCK_SZX_MAX; szx++)
        for (size_t size = 1; size <= 3000; size += 97) {
            struct block_transfer transfer;
            enum block_result result = BLOCK_MORE;

            block_begin(&transfer, body, size, (const uint8_t *)"TAGTAGT", szx, 9000);
            for (int i = 0; result == BLOCK_MORE && i < 1000; i++) {
                coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
                block_prepare(&transfer, &request);
                if (take(3) == BLOCK_SERVER_WHOLE) {
                    ck_assert_uint_eq(exchange.size, size);
                    ck_assert_mem_eq(exchange.body, body, size);
                    respond(COAPMSG_CHANGED, body, size);
                }
                result = block_take(&transfer, &response);
            }
            ck_assert_int_eq(result, BLOCK_DONE);
            ck_assert_uint_eq(transfer.answer.size, size);
            ck_assert_mem_eq(transfer.answer.data, body, size);
            block_end(&transfer);
        }
}
END_TEST

static TCase *make_case(const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, set_up, tear_down);
    return tc;
}

static Suite *make_suite(void)
{
    Suite *suite = suite_create("coap_block_server");
    TCase *bodies = make_case("bodies"), *bounds = make_case("bounds"), *answers = make_case("answers");

    tcase_add_test(bodies, a_body_in_blocks_is_put_together_and_the_last_block_confirmed);
    tcase_add_test(bodies, a_body_without_blocks_or_in_one_is_whole_at_once);
    tcase_add_test(bodies, the_block_size_may_change_on_the_way);
    tcase_add_test(bodies, a_gap_is_4_08_and_says_how_far_it_came);
    tcase_add_test(bodies, the_4_08_names_the_request_tag);
    tcase_add_test(bodies, a_block_that_comes_again_gets_the_same_answer_and_no_effect);
    tcase_add_test(bodies, a_block_that_comes_again_with_other_bytes_ends_the_transfer);
    tcase_add_test(bodies, a_last_block_before_the_end_ends_the_transfer);
    tcase_add_test(bodies, the_last_block_again_gets_the_answer_that_was_given);
    tcase_add_test(bodies, after_5_xx_the_body_can_be_sent_again);
    tcase_add_test(bodies, sizes_are_checked);
    tcase_add_test(bodies, a_body_over_the_limit_is_refused_with_the_first_block_that_tells);
    tcase_add_test(bodies, parties_and_operations_do_not_mix);
    tcase_add_test(bodies, echo_and_size_make_no_other_operation);
    tcase_add_test(bodies, nothing_is_kept_for_nobody);
    suite_add_tcase(suite, bodies);
    tcase_add_test(bounds, thousands_that_never_finish_cost_bounded_memory);
    tcase_add_test(bounds, one_party_has_few_at_a_time);
    tcase_add_test(bounds, what_is_idle_goes);
    tcase_add_test(bounds, a_party_can_be_forgotten);
    tcase_add_test(bounds, lower_limits_hold_at_once);
    suite_add_tcase(suite, bounds);
    tcase_add_test(answers, an_answer_is_cut_and_all_blocks_have_one_etag);
    tcase_add_test(answers, a_client_may_ask_for_smaller_blocks_from_the_start_and_on_the_way);
    tcase_add_test(answers, a_block_beyond_the_end_is_4_00);
    tcase_add_test(answers, later_blocks_of_an_answer_to_a_write_are_only_from_what_is_kept);
    tcase_add_test(answers, a_resources_own_etag_stays);
    tcase_add_test(answers, a_small_answer_has_no_block_options);
    tcase_add_test(answers, both_halves_understand_each_other);
    suite_add_tcase(suite, answers);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
