#define _GNU_SOURCE /* open_memstream */

/* Sections [sink NAME]. */
#include "conf/conf_private.h"
#include "conf_fixture.h"
#include "core/journal.h"
#include "suite.h"

#include <check.h>
#include <string.h>

static int read_text(const char *text)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    int result;

    ck_assert_ptr_nonnull(file);
    result = conf_read_stream(conf, file, "", reason, sizeof reason);
    (void)fclose(file);
    return result;
}

static void set(const char *name, const char *value)
{
    ck_assert_msg(conf_set(conf, name, value, reason, sizeof reason) == 0, "%s", reason);
}

START_TEST(sinks_are_read_and_printed)
{
    char *text = NULL, *again = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    struct conf *other = conf;

    ck_assert_msg(read_text("[sink cloud]\ntype = mqtt\nhost = broker\nversion = 3.1.1\n[log]\nlevel = info\n"
                            "[sink hook-2]\ntype = webhook\nurl = https://x/y?z=1\nbatch_max = 7\n") == 0,
                  "%s", reason);
    ck_assert_uint_eq(conf->sink_count, 2);
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
    ck_assert_int_eq(conf_find_sink(conf, "cloud")->mqtt_version, 4);
    ck_assert_int_eq(conf_find_sink(conf, "hook-2")->batch_max, 7);
    ck_assert_ptr_null(conf_find_sink(conf, "hook"));
    conf_print(conf, to, true);
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_int_eq(conf_new(&conf), 0);
    ck_assert_msg(read_text(text) == 0, "%s", reason);
    to = open_memstream(&again, &size);
    conf_print(conf, to, true);
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_str_eq(again, text);
    ck_assert(conf_sink_equal(conf_find_sink(conf, "cloud"), conf_find_sink(other, "cloud")));
    ck_assert(!conf_sink_equal(conf_find_sink(conf, "cloud"), conf_find_sink(conf, "hook-2")));
    (void)conf_free(other);
    free(text);
    free(again);
}
END_TEST

static const struct {
    const char *text, *message;
} bad[] = {
    {"[sink]\n", ":1: unknown section [sink]"},
    {"[sink ]\n", ":1:  is not the name of a sink: expected 1 to 32 lower-case letters, digits, - and _"},
    {"[sink A]\n", ":1: A is not the name of a sink: expected 1 to 32 lower-case letters, digits, - and _"},
    {"[sink a]\nhots = x\n", ":2: unknown key hots of a sink; did you mean host?"},
    {"[sink a]\nhost = x\n[sink b]\nhost = x\n[sink a]\nhost = y\n",
     ":6: sink a.host was set before, in line 2: remove one of them"},
    {"[sink a]\nport = 65536\n", ":2: sink.port = 65536 is not valid: expected a number, 0 to 65535"},
    {"[sink a]\nversion = 4\n", ":2: sink.version = 4 is not valid: expected one of 3.1.1, 5"},
};

START_TEST(bad_sections_are_refused)
{
    ck_assert_int_eq(read_text(bad[_i].text), 1);
    ck_assert_str_eq(reason, bad[_i].message);
}
END_TEST

START_TEST(there_are_at_most_16)
{
    char text[64];

    for (int i = 0; i < CONF_SINKS_MAX; i++) {
        (void)snprintf(text, sizeof text, "[sink s%d]\nhost = localhost\n", i);
        ck_assert_int_eq(read_text(text), 0);
    }
    ck_assert_int_eq(read_text("[sink more]\n"), 1);
    ck_assert_ptr_nonnull(strstr(reason, "more than 16 sinks"));
}
END_TEST

/* Keys of a sink "a" on top of a good one, and what is said. */
static const struct {
    const char *type, *key, *value, *key2, *value2, *message;
} across[] = {
    {"mqtt", "kinds", "telemetry security", NULL, NULL, NULL},
    {"mqtt", "kinds", "telemetry weather", NULL, NULL, "kinds"},
    {"mqtt", "host", "", NULL, NULL, "host is empty"},
    {"mqtt", "host", "a b", NULL, NULL, "not a name"},
    {"mqtt", "commands", "read", NULL, NULL, NULL},
    {"mqtt", "commands", "all", NULL, NULL, "commands = all"},
    {"mqtt", "commands", "all", "tls", "yes", NULL},
    {"mqtt", "commands", "all", "host", "127.0.0.7", NULL},
    {"mqtt", "commands", "all", "host", "::1", NULL},
    {"mqtt", "commands", "all", "host", "127.0.0.1.example.com", "commands = all"},
    {"mqtt", "commands", "all", "allow_insecure", "yes", NULL},
    {"mqtt", "username", "me", NULL, NULL, NULL},
    {"mqtt", "password_file", "p", NULL, NULL, "needs a username"},
    {"mqtt", "password_file", "p", "username", "me", "unprotected"},
    {"mqtt", "ca", "ca.pem", NULL, NULL, "set tls = yes"},
    {"mqtt", "certificate", "c.pem", "tls", "yes", "belong together"},
    {"mqtt", "topic_prefix", "a/#", NULL, NULL, "topic_prefix"},
    {"mqtt", "topic_prefix", "a//b", NULL, NULL, "topic_prefix"},
    {"mqtt", "topic_prefix", "$SYS", NULL, NULL, "topic_prefix"},
    {"mqtt", "topic_prefix", "site/floor 2", NULL, NULL, "topic_prefix"},
    {"webhook", "url", "https://example.com/in", NULL, NULL, NULL},
    {"webhook", "url", "", NULL, NULL, "url is empty"},
    {"webhook", "url", "ftp://x", NULL, NULL, "https://"},
    {"webhook", "url", "http://example.com/", NULL, NULL, "unprotected"},
    {"webhook", "url", "http://example.com/", "allow_insecure", "yes", NULL},
    {"webhook", "url", "http://localhost:80/", NULL, NULL, NULL},
    {"webhook", "url", "http://[::1]/", NULL, NULL, NULL},
    {"webhook", "url", "http://localhost.evil/", NULL, NULL, "unprotected"},
    {"webhook", "url", "https://me:pw@x/", NULL, NULL, "user"},
    {"webhook", "format", "senml", NULL, NULL, "kinds = telemetry"},
    {"webhook", "format", "senml", "kinds", "telemetry", NULL},
    {"webhook", "commands", "read", NULL, NULL, "MQTT only"},
};

static void set_key(const char *key, const char *value)
{
    char name[64];

    (void)snprintf(name, sizeof name, "sink.a.%s", key);
    set(name, value);
}

START_TEST(keys_are_checked_together)
{
    set_key("type", across[_i].type);
    set_key("host", "broker.example.com");
    set_key("url", "https://example.com/");
    set_key(across[_i].key, across[_i].value);
    if (across[_i].key2)
        set_key(across[_i].key2, across[_i].value2);
    ck_assert_msg(conf_check(conf, reason, sizeof reason) == (across[_i].message ? 1 : 0), "%s", reason);
    if (across[_i].message)
        ck_assert_msg(strstr(reason, across[_i].message), "%s", reason);
}
END_TEST

START_TEST(commands_are_carried_out_once)
{
    set("sink.a.host", "localhost");
    set("sink.b.host", "LOCALHOST");
    set("sink.a.commands", "all");
    ck_assert_msg(conf_check(conf, reason, sizeof reason) == 0, "%s", reason);
    set("sink.b.commands", "read");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "[sink b]: another sink"));
    set("sink.b.topic_prefix", "other");
    ck_assert_msg(conf_check(conf, reason, sizeof reason) == 0, "%s", reason);
}
END_TEST

START_TEST(the_gateways_id_is_one_word)
{
    set("gateway.id", "one");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
    set("gateway.id", "one two");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    set("gateway.id", "*");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
}
END_TEST

START_TEST(a_reload_takes_sinks_over)
{
    struct conf *fresh;
    char ignored[64];

    set("sink.a.host", "one");
    set("sink.b.host", "two");
    fresh = conf;
    ck_assert_int_eq(conf_new(&conf), 0);
    set("sink.c.host", "three");
    conf_apply_reload(conf, fresh, ignored, sizeof ignored);
    ck_assert_str_eq(ignored, "");
    ck_assert_uint_eq(conf->sink_count, 2);
    ck_assert_str_eq(conf_find_sink(conf, "b")->host, "two");
    ck_assert_ptr_null(conf_find_sink(conf, "c"));
    (void)conf_free(fresh);
}
END_TEST

START_TEST(words_match_whole_or_by_their_beginning)
{
    ck_assert(conf_words_match("", "x") && conf_words_match("  ", "x") && conf_words_match("a x", "x"));
    ck_assert(conf_words_match("te*", "temp") && conf_words_match("*", "x") && conf_words_match("x te*  ", "te"));
    ck_assert(!conf_words_match("a b", "ab") && !conf_words_match("te*", "t") && !conf_words_match("temp", "te"));
}
END_TEST

START_TEST(the_kinds_are_those_of_the_journal)
{
    for (unsigned kind = 0; kind < JOURNAL_KIND_COUNT; kind++) {
        set_key("host", "x");
        set_key("kinds", journal_kind_name((enum journal_kind)kind));
        ck_assert_msg(conf_check(conf, reason, sizeof reason) == 0, "%s", reason);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf_sinks");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, conf_set_up, conf_tear_down);
    tcase_add_test(all, sinks_are_read_and_printed);
    tcase_add_loop_test(all, bad_sections_are_refused, 0, array_size(bad));
    tcase_add_test(all, there_are_at_most_16);
    tcase_add_loop_test(all, keys_are_checked_together, 0, array_size(across));
    tcase_add_test(all, commands_are_carried_out_once);
    tcase_add_test(all, the_gateways_id_is_one_word);
    tcase_add_test(all, a_reload_takes_sinks_over);
    tcase_add_test(all, words_match_whole_or_by_their_beginning);
    tcase_add_test(all, the_kinds_are_those_of_the_journal);
    suite_add_tcase(suite, all);
    return suite_run(suite);
}
