#include "base/buffer.h"
#include "cli/client.h"
#include "cli/display.h"
#include "cli/table.h"
#include "cli_fake.h"

#include <stdlib.h>
#include <string.h>

/* Text, numbers and tables for a terminal; paths for a request. */

START_TEST(escapes_what_a_terminal_could_obey)
{
    static const struct {
        const char *in;
        bool lines;
        const char *out;
    } rows[] = {
        {"plain \xc3\xa4", false, "plain \xc3\xa4"},
        {"\033[31mred", false, "\\x1b[31mred"},
        {"a\nb\tc\rd", false, "a\\nb\\tc\\rd"},
        {"a\nb\tc\rd", true, "a\nb\tc\\rd"},
        {"\x7f", false, "\\x7f"},
        {"\xc2\x9b"
         "31m",
         false, "\\x9b31m"}, /* C1 CSI */
        {"\xe2\x80\xae", false, "\\u202e"},
        {"\xff\xfe", false, "\\xff\\xfe"},
        {"\xc3", false, "\\xc3"},
        {"\xed\xa0\x80", false, "\\xed\\xa0\\x80"}, /* a surrogate */
        {"\xf0\x9f\x98\x80", false, "\xf0\x9f\x98\x80"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup_buffer struct buffer b = {0};

        display_append(&b, rows[i].in, strlen(rows[i].in), rows[i].lines);
        ck_assert_str_eq(buffer_text(&b), rows[i].out);
    }
}
END_TEST

START_TEST(escapes_nul)
{
    cleanup_buffer struct buffer b = {0};

    display_append(&b, "a\0b", 3, true);
    ck_assert_str_eq(buffer_text(&b), "a\\x00b");
}
END_TEST

START_TEST(counts_columns)
{
    ck_assert_uint_eq(display_width("abc"), 3);
    ck_assert_uint_eq(display_width("\xc3\xa4\xc3\xb6"), 2);
    ck_assert_uint_eq(display_width("\xe6\x97\xa5\xe6\x9c\xac"), 4); /* wide */
    ck_assert_uint_eq(display_width("e\xcc\x81"), 1);                /* a combining accent */
}
END_TEST

START_TEST(tells_times)
{
    static const struct {
        int64_t ago;
        const char *text;
    } rows[] = {{0, "just now"},     {999, "just now"},    {-500, "just now"},   {1000, "1 s ago"},
                {59999, "59 s ago"}, {60000, "1 min ago"}, {3600000, "1 h ago"}, {86400000, "1 d ago"},
                {-30000, "in 30 s"}, {-7200000, "in 2 h"}, {-1000, "in 1 s"}};
    char text[DISPLAY_SIZE];

    for (size_t i = 0; i < array_size(rows); i++)
        ck_assert_str_eq(display_ago(1000000000 - rows[i].ago, 1000000000, text), rows[i].text);
    ck_assert_str_eq(display_duration(80, text), "80 ms");
    ck_assert_str_eq(display_duration(4250, text), "4.2 s");
    ck_assert_str_eq(display_duration(185000, text), "3 min 5 s");
    ck_assert_str_eq(display_duration(7800000, text), "2 h 10 min");
    ck_assert_str_eq(display_duration(5 * 86400000LL + 3 * 3600000, text), "5 d 3 h");
}
END_TEST

START_TEST(tells_sizes)
{
    char text[DISPLAY_SIZE];

    ck_assert_str_eq(display_bytes(0, text), "0 B");
    ck_assert_str_eq(display_bytes(1023, text), "1023 B");
    ck_assert_str_eq(display_bytes(1536, text), "1.5 KiB");
    ck_assert_str_eq(display_bytes(UINT64_MAX, text), "16777216.0 TiB");
}
END_TEST

START_TEST(reads_times)
{
    int64_t ms = 0;

    ck_assert(display_parse_time("2026-01-02T03:04:05.678Z", &ms));
    ck_assert_int_eq(ms, 1767323045678);
    ck_assert(display_parse_time("1970-01-01T00:00:00Z", &ms));
    ck_assert_int_eq(ms, 0);
    ck_assert(!display_parse_time("2026-01-02T03:04:05.678+01:00", &ms));
    ck_assert(!display_parse_time("2026-01-02", &ms));
    ck_assert(!display_parse_time("yesterday", &ms));
    ck_assert(!display_parse_time("", &ms));
}
END_TEST

START_TEST(measures_distance)
{
    ck_assert_uint_eq(display_distance("device", "device"), 0);
    ck_assert_uint_eq(display_distance("devcie", "device"), 1); /* swapped */
    ck_assert_uint_eq(display_distance("devce", "device"), 1);
    ck_assert_uint_eq(display_distance("devices", "device"), 1);
    ck_assert_uint_eq(display_distance("", "abc"), 3);
    ck_assert_uint_eq(display_distance("kitten", "sitting"), 3);
}
END_TEST

START_TEST(aligns_tables)
{
    cleanup_table struct table *table = table_new(3);
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    table_add(table, strdup("NAME"), COLOUR_BOLD, false);
    table_add(table, strdup("N"), COLOUR_NONE, true);
    table_add(table, strdup("X"), COLOUR_NONE, false);
    table_add(table, strdup("\xc3\xa4"), COLOUR_NONE, false);
    table_add(table, strdup("100"), COLOUR_NONE, true);
    table_add(table, strdup("end"), COLOUR_RED, false);
    table_print(table, to, 1, true);
    (void)fclose(to);
    ck_assert_str_eq(text, " \033[1mNAME\033[0m    N  X\n \xc3\xa4     100  \033[31mend\033[0m\n");
    free(text);
}
END_TEST

START_TEST(escapes_paths)
{
    char *path = client_path("/v1/devices/%s", "a/b ?%\xc3\xa4");

    ck_assert_str_eq(path, "/v1/devices/a%2Fb%20%3F%25%C3%A4");
    client_add_query(&path, "limit", "1&2");
    client_add_query(&path, "x", "y");
    ck_assert_str_eq(path, "/v1/devices/a%2Fb%20%3F%25%C3%A4?limit=1%262&x=y");
    free(path);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        escapes_what_a_terminal_could_obey,
        escapes_nul,
        counts_columns,
        tells_times,
        tells_sizes,
        reads_times,
        measures_distance,
        aligns_tables,
        escapes_paths,
    };

    return fake_run_tests("cli_display", tests, array_size(tests));
}
