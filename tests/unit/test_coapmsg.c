#include "suite.h"
#include "tcgw/coapmsg.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(text) (text), sizeof(text) - 1

static void assert_encodes(const struct coapmsg *msg, const char *expected, size_t size)
{
    uint8_t out[2048];

    ck_assert_uint_eq(coapmsg_size(msg), size);
    ck_assert_uint_eq(coapmsg_encode(msg, out, sizeof out), size);
    ck_assert_mem_eq(out, expected, size);
    ck_assert_uint_eq(coapmsg_encode(msg, out, size), size);
    ck_assert_uint_eq(coapmsg_encode(msg, out, size - 1), 0);
}

/* RFC 7252 figure 16: GET /temperature without a token, message ID 0x7d34. */
START_TEST(figure_16_request)
{
    struct coapmsg msg;

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    msg.id = 0x7d34;
    coapmsg_add_path(&msg, "/temperature");
    assert_encodes(&msg, BYTES("\x40\x01\x7d\x34\xbbtemperature"));
}
END_TEST

/* RFC 7252 figure 16: the piggybacked answer "22.3 C". */
START_TEST(figure_16_response)
{
    struct coapmsg msg;

    ck_assert_int_eq(coapmsg_decode(&msg, BYTES("\x60\x45\x7d\x34\xff"
                                                "22.3 C")),
                     0);
    ck_assert_int_eq(msg.type, COAPMSG_ACK);
    ck_assert_uint_eq(msg.code, COAPMSG_CONTENT);
    ck_assert_uint_eq(msg.id, 0x7d34);
    ck_assert_uint_eq(msg.token_length, 0);
    ck_assert_uint_eq(msg.option_count, 0);
    ck_assert_uint_eq(msg.payload_size, 6);
    ck_assert_mem_eq(msg.payload, "22.3 C", 6);
}
END_TEST

/* RFC 7252 figure 17: the same with the token 0x20. */
START_TEST(figure_17_token)
{
    struct coapmsg msg;

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    msg.id = 0x7d35;
    coapmsg_set_token(&msg, "\x20", 1);
    coapmsg_add_text(&msg, COAPMSG_OPT_URI_PATH, "temperature");
    assert_encodes(&msg, BYTES("\x41\x01\x7d\x35\x20\xbbtemperature"));
}
END_TEST

/* A delta or length of 12, 13, 268, 269 and above stands in the nibble, in one more byte, or in two (section 3.1). */
START_TEST(extended_deltas_and_lengths)
{
    static const struct {
        uint16_t number;
        size_t length;
        const char *head;
        size_t head_size;
    } cases[] = {
        {12, 12, BYTES("\xcc")},           {13, 13, BYTES("\xdd\x00\x00")},
        {268, 268, BYTES("\xdd\xff\xff")}, {269, 269, BYTES("\xee\x00\x00\x00\x00")},
        {65001, 0, BYTES("\xe0\xfc\xdc")}, {65004, 1024, BYTES("\xee\xfc\xdf\x02\xf3")},
        {65535, 1, BYTES("\xe1\xfe\xf2")},
    };
    static const uint8_t value[1024] = {7};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[2048], expected[2048] = "\x50\x03\x00\x00";
        struct coapmsg msg, back;
        size_t size = 4 + cases[i].head_size + cases[i].length;

        coapmsg_init(&msg, COAPMSG_NON, COAPMSG_PUT);
        coapmsg_add(&msg, cases[i].number, value, cases[i].length);
        memcpy(expected + 4, cases[i].head, cases[i].head_size);
        memcpy(expected + 4 + cases[i].head_size, value, cases[i].length);
        ck_assert_uint_eq(coapmsg_encode(&msg, out, sizeof out), size);
        ck_assert_mem_eq(out, expected, size);
        ck_assert_int_eq(coapmsg_decode(&back, out, size), 0);
        ck_assert_uint_eq(back.option_count, 1);
        ck_assert_uint_eq(back.options[0].number, cases[i].number);
        ck_assert_uint_eq(back.options[0].length, cases[i].length);
    }
}
END_TEST

/* The options of the public agent's load, added in the wrong order. */
START_TEST(options_are_sorted_and_stable)
{
    struct coapmsg msg;

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add(&msg, 65004, "C", 1);
    coapmsg_add_uint(&msg, 65001, 1);
    coapmsg_add(&msg, 65002, "M", 1);
    coapmsg_add(&msg, 65003, NULL, 0);
    coapmsg_add_path(&msg, "/container/");
    assert_encodes(&msg, BYTES("\x40\x02\x00\x00\xb9"
                               "container\x00\xe1\xfc\xd1\x01\x11M\x10\x11"
                               "C"));
}
END_TEST

START_TEST(find_walks_options_of_one_number)
{
    struct coapmsg msg;
    const struct coapmsg_option *option;

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_text(&msg, COAPMSG_OPT_URI_QUERY, "a");
    coapmsg_add_text(&msg, COAPMSG_OPT_ACCEPT, "x");
    coapmsg_add_text(&msg, COAPMSG_OPT_URI_QUERY, "b");
    option = coapmsg_find(&msg, COAPMSG_OPT_URI_QUERY);
    ck_assert_ptr_nonnull(option);
    ck_assert_mem_eq(option->value, "a", 1);
    option = coapmsg_find_next(&msg, option);
    ck_assert_ptr_nonnull(option);
    ck_assert_mem_eq(option->value, "b", 1);
    ck_assert_ptr_null(coapmsg_find_next(&msg, option));
    ck_assert_ptr_null(coapmsg_find(&msg, COAPMSG_OPT_URI_PATH));
    ck_assert_ptr_null(coapmsg_find_next(&msg, coapmsg_find(&msg, COAPMSG_OPT_ACCEPT)));
}
END_TEST

START_TEST(uint_has_the_shortest_form)
{
    static const struct {
        uint32_t value;
        size_t length;
    } cases[] = {{0, 0},     {1, 1},        {255, 1},       {256, 2},       {65535, 2},
                 {65536, 3}, {0xffffff, 3}, {0x1000000, 4}, {UINT32_MAX, 4}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct coapmsg msg;
        uint32_t value = 99;

        coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
        coapmsg_add_uint(&msg, COAPMSG_OPT_SIZE1, cases[i].value);
        ck_assert_uint_eq(coapmsg_find(&msg, COAPMSG_OPT_SIZE1)->length, cases[i].length);
        ck_assert(coapmsg_get_uint(&msg, COAPMSG_OPT_SIZE1, &value));
        ck_assert_uint_eq(value, cases[i].value);
    }
}
END_TEST

START_TEST(uint_is_read_with_leading_zeros_but_not_too_long)
{
    struct coapmsg msg;
    uint32_t value = 99;

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    ck_assert(!coapmsg_get_uint(&msg, COAPMSG_OPT_SIZE1, &value));
    coapmsg_add(&msg, COAPMSG_OPT_SIZE1, "\0\0\1\2", 4);
    ck_assert(coapmsg_get_uint(&msg, COAPMSG_OPT_SIZE1, &value));
    ck_assert_uint_eq(value, 258);
    coapmsg_add(&msg, COAPMSG_OPT_SIZE2, "\0\0\0\1\2", 5);
    ck_assert(!coapmsg_get_uint(&msg, COAPMSG_OPT_SIZE2, &value));
    ck_assert_uint_eq(value, 258);
}
END_TEST

START_TEST(paths)
{
    static const struct {
        const char *path;
        size_t segments;
    } cases[] = {{"", 0}, {"/", 0}, {"/tc", 1}, {"/container/", 2}, {"/tc/c/a-1/log", 4}, {"//", 2}, {"tc", 1}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct coapmsg msg;

        coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
        coapmsg_add_text(&msg, COAPMSG_OPT_URI_QUERY, "start");
        coapmsg_add_path(&msg, cases[i].path);
        ck_assert_uint_eq(msg.option_count, cases[i].segments + 1);
        ck_assert(coapmsg_path_is(&msg, cases[i].path));
        ck_assert(!coapmsg_path_is(&msg, "/container"));
        ck_assert(!coapmsg_path_is(&msg, "/container/x"));
        ck_assert(!coapmsg_path_is(&msg, "/container//"));
        ck_assert(!coapmsg_path_is(&msg, "/tc/"));
        ck_assert(!coapmsg_path_is(&msg, "/t"));
    }
}
END_TEST

START_TEST(errors_of_the_writer_are_sticky)
{
    struct coapmsg msg;
    uint8_t out[512];
    char segment[258];

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    coapmsg_set_token(&msg, "123456789", 9);
    ck_assert(msg.failed);
    coapmsg_set_token(&msg, "12345678", 8);
    ck_assert_uint_eq(coapmsg_encode(&msg, out, sizeof out), 0);

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    for (int i = 0; i < COAPMSG_MAX_OPTIONS; i++)
        coapmsg_add_text(&msg, COAPMSG_OPT_URI_PATH, "");
    ck_assert(!msg.failed);
    coapmsg_add_text(&msg, COAPMSG_OPT_URI_PATH, "");
    ck_assert(msg.failed);

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    for (int i = 0; i < COAPMSG_SCRATCH / 4; i++)
        coapmsg_add_uint(&msg, COAPMSG_OPT_SIZE1, UINT32_MAX);
    ck_assert(!msg.failed);
    coapmsg_add_uint(&msg, COAPMSG_OPT_SIZE1, 1);
    ck_assert(msg.failed);

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add(&msg, COAPMSG_OPT_ETAG, out, 65536);
    ck_assert(msg.failed);

    memset(segment, 'a', sizeof segment - 1);
    segment[0] = '/';
    segment[256] = 0;
    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_path(&msg, segment);
    ck_assert(!msg.failed);
    segment[256] = 'a';
    segment[257] = 0;
    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_path(&msg, segment);
    ck_assert(msg.failed);
}
END_TEST

static const struct {
    const char *what, *data;
    size_t size;
} malformed[] = {
    {"empty", BYTES("")},
    {"three bytes", BYTES("\x40\x01\x00")},
    {"version 0", BYTES("\x00\x01\x00\x01")},
    {"version 2", BYTES("\x80\x01\x00\x01")},
    {"token of 9", BYTES("\x49\x01\x00\x01"
                         "123456789")},
    {"token of 15", BYTES("\x4f\x01\x00\x01"
                          "123456789012345")},
    {"token cut", BYTES("\x42\x01\x00\x01"
                        "1")},
    {"delta 15", BYTES("\x40\x01\x00\x01\xf1"
                       "a")},
    {"length 15", BYTES("\x40\x01\x00\x01\xbf"
                        "123456789012345")},
    {"value cut", BYTES("\x40\x01\x00\x01\xb2"
                        "a")},
    {"no delta byte", BYTES("\x40\x01\x00\x01\xd0")},
    {"one of two delta bytes", BYTES("\x40\x01\x00\x01\xe0\x01")},
    {"no length byte", BYTES("\x40\x01\x00\x01\xbd")},
    {"one of two length bytes", BYTES("\x40\x01\x00\x01\xbe\x01")},
    {"number 65536", BYTES("\x40\x01\x00\x01\xe0\xfe\xf2\x10")},
    {"number 65804", BYTES("\x40\x01\x00\x01\xe0\xff\xff")},
    {"no payload after the marker", BYTES("\x40\x01\x00\x01\xff")},
    {"no payload after options and the marker", BYTES("\x40\x01\x00\x01\xb1"
                                                      "a\xff")},
    {"empty message with a token", BYTES("\x41\x00\x00\x01\x20")},
    {"empty message with an option", BYTES("\x40\x00\x00\x01\xb1"
                                           "a")},
    {"empty message with a payload", BYTES("\x60\x00\x00\x01\xff"
                                           "a")},
    {"class 1", BYTES("\x40\x20\x00\x01")},
    {"class 6", BYTES("\x40\xc0\x00\x01")},
    {"class 7", BYTES("\x40\xe1\x00\x01")},
};

START_TEST(malformed_is_refused)
{
    /* a block of just this size, so that AddressSanitizer sees a read beyond the end */
    uint8_t *copy = malloc(malformed[_i].size + 1);
    struct coapmsg msg;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy + 1, malformed[_i].data, malformed[_i].size);
    ck_assert_msg(coapmsg_decode(&msg, copy + 1, malformed[_i].size) == COAPMSG_E_FORMAT, "%s", malformed[_i].what);
    free(copy);
}
END_TEST

/* A caller may answer with RST only when it knows what to reject; RST itself is never answered. */
START_TEST(malformed_leaves_what_was_read)
{
    struct coapmsg msg;

    ck_assert_int_eq(coapmsg_decode(&msg, BYTES("\x41\x01\x12\x34\x20\xff")), COAPMSG_E_FORMAT);
    ck_assert_int_eq(msg.type, COAPMSG_CON);
    ck_assert_uint_eq(msg.id, 0x1234);
    ck_assert_uint_eq(msg.token_length, 1);
    ck_assert_uint_eq(msg.token[0], 0x20);
    ck_assert_int_eq(coapmsg_decode(&msg, BYTES("\x80\x01\x12\x34")), COAPMSG_E_FORMAT);
    ck_assert_int_eq(msg.type, COAPMSG_RST);
    ck_assert_int_eq(coapmsg_decode(&msg, BYTES("\x40\x01")), COAPMSG_E_FORMAT);
    ck_assert_int_eq(msg.type, COAPMSG_RST);
}
END_TEST

START_TEST(number_of_options_is_limited)
{
    uint8_t data[4 + COAPMSG_MAX_OPTIONS + 1] = "\x40\x01\x00\x01\xb0";
    struct coapmsg msg;

    ck_assert_int_eq(coapmsg_decode(&msg, data, sizeof data - 1), 0);
    ck_assert_uint_eq(msg.option_count, COAPMSG_MAX_OPTIONS);
    ck_assert_int_eq(coapmsg_decode(&msg, data, sizeof data), COAPMSG_E_LIMIT);
}
END_TEST

START_TEST(empty_message)
{
    struct coapmsg msg;

    ck_assert_int_eq(coapmsg_decode(&msg, BYTES("\x70\x00\xab\xcd")), 0);
    ck_assert_int_eq(msg.type, COAPMSG_RST);
    ck_assert_uint_eq(msg.id, 0xabcd);
    assert_encodes(&msg, BYTES("\x70\x00\xab\xcd"));
}
END_TEST

/* RFC 7959 section 2.2: NUM, M and SZX in up to three bytes. */
START_TEST(block_options)
{
    static const struct {
        struct coapmsg_block block;
        const char *value;
        size_t length;
    } cases[] = {
        {{0, false, 0}, BYTES("")},
        {{0, true, 6}, BYTES("\x0e")},
        {{1, false, 2}, BYTES("\x12")},
        {{16, true, 6}, BYTES("\x01\x0e")},
        {{0xfffff, true, 6}, BYTES("\xff\xff\xfe")},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct coapmsg msg;
        struct coapmsg_block block = {99, true, 5};
        const struct coapmsg_option *option;

        coapmsg_init(&msg, COAPMSG_CON, COAPMSG_PUT);
        ck_assert_int_eq(coapmsg_get_block(&msg, COAPMSG_OPT_BLOCK1, &block), 1);
        coapmsg_add_block(&msg, COAPMSG_OPT_BLOCK1, cases[i].block);
        option = coapmsg_find(&msg, COAPMSG_OPT_BLOCK1);
        ck_assert_uint_eq(option->length, cases[i].length);
        ck_assert_mem_eq(option->value, cases[i].value, cases[i].length);
        ck_assert_int_eq(coapmsg_get_block(&msg, COAPMSG_OPT_BLOCK1, &block), 0);
        ck_assert_uint_eq(block.num, cases[i].block.num);
        ck_assert(block.more == cases[i].block.more);
        ck_assert_uint_eq(block.szx, cases[i].block.szx);
    }
}
END_TEST

START_TEST(malformed_block_options)
{
    struct coapmsg msg;
    struct coapmsg_block block;

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_add(&msg, COAPMSG_OPT_BLOCK1, "\x07", 1);
    coapmsg_add(&msg, COAPMSG_OPT_BLOCK2, "\0\0\0\x06", 4);
    ck_assert_int_eq(coapmsg_get_block(&msg, COAPMSG_OPT_BLOCK1, &block), 2);
    ck_assert_int_eq(coapmsg_get_block(&msg, COAPMSG_OPT_BLOCK2, &block), 2);
    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_add_block(&msg, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){1u << 20, false, 0});
    coapmsg_add_block(&msg, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){1, false, 7});
    ck_assert(msg.failed);
    ck_assert_uint_eq(msg.option_count, 0);
}
END_TEST

START_TEST(codes_as_text)
{
    char text[5];

    ck_assert_str_eq(coapmsg_code_text(COAPMSG_CONTENT, text), "2.05");
    ck_assert_str_eq(coapmsg_code_text(COAPMSG_UNPROCESSABLE, text), "4.22");
    ck_assert_str_eq(coapmsg_code_text(COAPMSG_EMPTY, text), "0.00");
    ck_assert_str_eq(coapmsg_code_text(255, text), "7.31");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coapmsg");
    TCase *tc = tcase_create("coapmsg");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, figure_16_request);
    tcase_add_test(tc, figure_16_response);
    tcase_add_test(tc, figure_17_token);
    tcase_add_test(tc, extended_deltas_and_lengths);
    tcase_add_test(tc, options_are_sorted_and_stable);
    tcase_add_test(tc, find_walks_options_of_one_number);
    tcase_add_test(tc, uint_has_the_shortest_form);
    tcase_add_test(tc, uint_is_read_with_leading_zeros_but_not_too_long);
    tcase_add_test(tc, paths);
    tcase_add_test(tc, errors_of_the_writer_are_sticky);
    tcase_add_loop_test(tc, malformed_is_refused, 0, sizeof malformed / sizeof malformed[0]);
    tcase_add_test(tc, malformed_leaves_what_was_read);
    tcase_add_test(tc, number_of_options_is_limited);
    tcase_add_test(tc, empty_message);
    tcase_add_test(tc, block_options);
    tcase_add_test(tc, malformed_block_options);
    tcase_add_test(tc, codes_as_text);
    return suite_run(suite);
}
