#include "base/log.h"
#include "suite.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <check.h>
#include <string.h>

static char output[4096];

/* Runs `say` with stderr in a pipe; what it wrote lands in output. */
static void capture(void (*say)(void))
{
    int ends[2], saved = dup(STDERR_FILENO);
    ssize_t n;

    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    (void)close(ends[1]);
    say();
    ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
    (void)close(saved);
    n = read(ends[0], output, sizeof output - 1);
    output[n > 0 ? n : 0] = 0;
    (void)close(ends[0]);
}

/* What follows the time stamp, which must have its form. */
static const char *after_time(const char *line, const char *prefix)
{
    ck_assert_int_eq(strncmp(line, prefix, strlen(prefix)), 0);
    line += strlen(prefix);
    ck_assert_uint_ge(strlen(line), 24);
    ck_assert_int_eq(line[4], '-');
    ck_assert_int_eq(line[10], 'T');
    ck_assert_int_eq(line[23], 'Z');
    return line + 24;
}

static void say_plain(void)
{
    log_info("operation succeeded", "device", "d1", "operation", "42", NULL);
}

static void say_nasty(void)
{
    log_warning("line\nbreak", "a", "", "b", "two words", "c", "q\"b\\s", "d", "\x1b[31m", "e", "x=y", "f",
                "gr\xc3\xbc\xc3\x9f", "g", "\xff\x01", NULL);
}

START_TEST(text)
{
    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    capture(say_plain);
    ck_assert_str_eq(after_time(output, ""), " info    operation succeeded device=d1 operation=42\n");
}
END_TEST

START_TEST(text_stays_one_clear_line)
{
    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    capture(say_nasty);
    ck_assert_str_eq(after_time(output, ""),
                     " warning line\\x0abreak a=\"\" b=\"two words\" c=\"q\\\"b\\\\s\" d=\"\\x1b[31m\" e=\"x=y\" "
                     "f=gr\xc3\xbc\xc3\x9f g=\"\xff\\x01\"\n");
}
END_TEST

START_TEST(json)
{
    log_setup(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    capture(say_nasty);
    ck_assert_str_eq(
        after_time(output, "{\"time\":\""),
        "\",\"level\":\"warning\",\"part\":\"daemon\",\"message\":\"line\\u000abreak\",\"a\":\"\",\"b\":\"two words\","
        "\"c\":\"q\\\"b\\\\s\",\"d\":\"\\u001b[31m\",\"e\":\"x=y\",\"f\":\"gr\xc3\xbc\xc3\x9f\","
        "\"g\":\"?\\u0001\"}\n");
    ck_assert(text_is_utf8(output, strlen(output)));
}
END_TEST

static void say_each_level(void)
{
    log_error("E", NULL);
    log_warning("W", NULL);
    log_info("I", NULL);
    log_debug("D", NULL);
}

static unsigned lines(void)
{
    unsigned count = 0;

    for (const char *c = output; *c; c++)
        count += *c == '\n';
    return count;
}

START_TEST(levels)
{
    static const struct {
        enum log_level level;
        unsigned lines;
    } cases[] = {{LOG_LEVEL_ERROR, 1}, {LOG_LEVEL_WARNING, 2}, {LOG_LEVEL_INFO, 3}, {LOG_LEVEL_DEBUG, 4}};

    for (size_t i = 0; i < array_size(cases); i++) {
        log_setup(LOG_FORMAT_TEXT, cases[i].level);
        capture(say_each_level);
        ck_assert_uint_eq(lines(), cases[i].lines);
        ck_assert(log_enabled(cases[i].level));
        ck_assert(log_enabled(LOG_LEVEL_DEBUG) == (cases[i].level == LOG_LEVEL_DEBUG));
    }
}
END_TEST

/* This file belongs to no part, so that it is the daemon's; others are told by their paths. */
START_TEST(parts_have_levels_of_their_own)
{
    static const struct {
        const char *file, *part;
    } cases[] = {{"../tcgw/src/coap/server.c", "coap"},    {"src/core/keyring_load.c", "keys"},
                 {"/usr/src/a/src/core/device.c", "core"}, {"src/core/rollout.c", "deploy"},
                 {"src/uplink/sink.c", "uplink"},          {"main.c", "daemon"}};
    enum log_part part;
    enum log_level level;

    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
    for (size_t i = 0; i < array_size(cases); i++) {
        ck_assert(log_part_from_name(cases[i].part, &part));
        ck_assert_str_eq(log_part_name(part), cases[i].part);
        ck_assert(!log_enabled_for(cases[i].file, LOG_LEVEL_INFO));
        log_set_part(part, LOG_LEVEL_DEBUG);
        for (size_t other = 0; other < array_size(cases); other++)
            ck_assert(log_enabled_for(cases[other].file, LOG_LEVEL_DEBUG) == (other == i));
        log_set_part(part, LOG_LEVEL_ERROR);
        ck_assert(!log_enabled_for(cases[i].file, LOG_LEVEL_WARNING));
        log_set_part(part, 0);
        ck_assert(log_enabled_for(cases[i].file, LOG_LEVEL_WARNING));
    }
    ck_assert(!log_part_from_name("cores", &part));
    ck_assert(log_level_from_name("warning", &level) && level == LOG_LEVEL_WARNING);
    ck_assert(!log_level_from_name("loud", &level));
}
END_TEST

START_TEST(a_part_keeps_its_level_over_a_reload)
{
    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    log_set_part(LOG_PART_DAEMON, LOG_LEVEL_ERROR);
    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
    capture(say_each_level);
    ck_assert_uint_eq(lines(), 1);
    log_set_part(LOG_PART_DAEMON, 0);
    capture(say_each_level);
    ck_assert_uint_eq(lines(), 4);
}
END_TEST

/* Texts that the catalogue has: an id that changed would be lost to whoever filters by it. */
START_TEST(message_ids)
{
    char one[LOG_ID_SIZE], other[LOG_ID_SIZE];

    ck_assert_str_eq(log_message_id("stopping", one), log_message_id("stopping", other));
    ck_assert_str_ne(log_message_id("stopping", one), log_message_id("stopped", other));
    (void)log_message_id("stopping", one);
    ck_assert_str_eq(one, "49a44d189ee28049bcea99401fddb4a4"); /* as share/make_catalog.py has it */
    ck_assert_uint_eq(strlen(one), 32);
    ck_assert_int_eq(one[12], '8');
    ck_assert_ptr_nonnull(strchr("89ab", one[16]));
    ck_assert_uint_eq(strspn(one, "0123456789abcdef"), 32);
}
END_TEST

static int evaluated;

static const char *evaluate(void)
{
    evaluated++;
    return "x";
}

static void say_debug(void)
{
    log_debug("D", "a", evaluate(), NULL);
}

START_TEST(debug_costs_nothing_below_its_level)
{
    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    capture(say_debug);
    ck_assert_int_eq(evaluated, 0);
    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
    capture(say_debug);
    ck_assert_int_eq(evaluated, 1);
}
END_TEST

static void say_without_value(void)
{
    const char *nothing = NULL;

    log_info("M", "a", "1", "b", nothing, "c", "3", NULL);
}

static void say_many(void)
{
    log_info("M", "a", "1", "a", "2", "a", "3", "a", "4", "a", "5", "a", "6", "a", "7", "a", "8", "a", "9", "a", "10",
             "a", "11", "a", "12", "a", "13", "a", "14", "a", "15", "a", "16", "a", "17", NULL);
}

START_TEST(fields_end)
{
    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    capture(say_without_value);
    ck_assert_str_eq(after_time(output, ""), " info    M a=1\n");
    capture(say_many);
    ck_assert_ptr_nonnull(strstr(output, "a=16\n"));
}
END_TEST

/* Automatic: text, unless $JOURNAL_STREAM names what stderr is. */
START_TEST(automatic_format)
{
    ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:1", 1), 0);
    log_setup(LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
    capture(say_plain);
    ck_assert_str_eq(after_time(output, ""), " info    operation succeeded device=d1 operation=42\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("log");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, text);
    tcase_add_test(tc, text_stays_one_clear_line);
    tcase_add_test(tc, json);
    tcase_add_test(tc, levels);
    tcase_add_test(tc, parts_have_levels_of_their_own);
    tcase_add_test(tc, a_part_keeps_its_level_over_a_reload);
    tcase_add_test(tc, message_ids);
    tcase_add_test(tc, debug_costs_nothing_below_its_level);
    tcase_add_test(tc, fields_end);
    tcase_add_test(tc, automatic_format);
    return suite_run(suite);
}
