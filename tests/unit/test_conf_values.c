#define _GNU_SOURCE /* open_memstream, fmemopen */

#include "conf/conf_private.h"
#include "conf_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

static char *print_text(const struct conf *from, bool help)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(to);
    conf_print(from, to, help);
    ck_assert_int_eq(fclose(to), 0);
    return text;
}

/* Values ---------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *value, *printed;
} good[] = {
    {"operations.verify_delay", "0", "0"},
    {"operations.verify_delay", "0s", "0"},
    {"operations.verify_delay", "1500ms", "1500ms"},
    {"operations.verify_delay", "90s", "90s"},
    {"operations.verify_delay", "60s", "1m"},
    {"operations.ttl", "24h", "1d"},
    {"operations.ttl", "007d", "7d"},
    {"limits.artifact_size", "1024", "1K"},
    {"limits.artifact_size", "1025", "1025"},
    {"limits.artifact_size", "1024K", "1M"},
    {"http.socket_mode", "600", "0600"},
    {"http.socket_mode", "0", "0000"},
    {"http.socket", "", ""},
    {"http.socket", "@odd:name=x", "@odd:name=x"},
    {"http.socket", "/tmp/mit Leerzeichen/a;b#c", "/tmp/mit Leerzeichen/a;b#c"},
    {"http.listen", "", ""},
    {"http.listen", "0.0.0.0:65535", "0.0.0.0:65535"},
    {"http.listen", "[::1]:0", "[::1]:0"},
    {"http.listen", "[fd00::1:2]:80", "[fd00::1:2]:80"},
    {"http.allow_remote", "on", "yes"},
    {"http.allow_remote", "true", "yes"},
    {"http.allow_remote", "off", "no"},
    {"log.level", "debug", "debug"},
    {"storage.synchronous", "normal", "normal"},
    {"coap.allow_plain_groups", "", ""},
    {"coap.allow_plain_groups", "*", "*"},
    {"coap.allow_plain_groups", "lab  bench-2 v1.old", "lab  bench-2 v1.old"},
};

START_TEST(good_values_are_taken_and_printed)
{
    const struct conf_key *key = NULL;
    char section[32], value[CONF_VALUE_SIZE];

    ck_assert_msg(conf_set(conf, good[_i].name, good[_i].value, reason, sizeof reason) == 0, "%s", reason);
    (void)snprintf(section, sizeof section, "%.*s", (int)strcspn(good[_i].name, "."), good[_i].name);
    key = conf_find_key(section, strchr(good[_i].name, '.') + 1);
    ck_assert_str_eq(conf_format_value(conf, key, value, sizeof value), good[_i].printed);
}
END_TEST

#define NOT_DURATION(text)                                                                                             \
    "operations.verify_delay = " text " is not valid: expected a duration such as 500ms, 2s, 5m, 1h or 7d, 0 to 10m"
#define NOT_SIZE(text) "http.max_json = " text " is not valid: expected a size such as 64K or 1M, 1K to 16M"
#define NOT_LISTEN(text)                                                                                               \
    "http.listen = " text                                                                                              \
    " is not valid: expected a literal address and port such as 127.0.0.1:8080 or [::1]:8080 (no names)"
#define NOT_PATH(text)                                                                                                 \
    "gateway.state_directory = " text " is not valid: expected a path without quotes or comment, 1 to 160 bytes"

#define NOT_WORDS(text)                                                                                                \
    "coap.allow_plain_groups = " text                                                                                  \
    " is not valid: expected words of letters, digits and . _ ~ - with spaces between, 0 to 170 bytes"

static const struct {
    const char *name, *value, *message;
} bad[] = {
    {"coap.allow_plain_groups", "lab, bench", NOT_WORDS("lab, bench")},
    {"coap.allow_plain_groups", "lab*", NOT_WORDS("lab*")},
    {"coap.allow_plain_groups", "**", NOT_WORDS("**")},
    {"coap.allow_plain_groups", "..", NOT_WORDS("..")},
    {"coap.allow_plain_groups", " lab", NOT_WORDS(" lab")},
    {"coap.allow_plain_groups", "lab\tbench", NOT_WORDS("lab\tbench")},
    {"coap.allow_plain_groups", "a23456789012345678901234567890123456789012345678901234567890123x",
     NOT_WORDS("a234567890123456789012345678901234567890...")},
    {"operations.verify_delay", "", NOT_DURATION("")},
    {"operations.verify_delay", "5", NOT_DURATION("5")},
    {"operations.verify_delay", "s", NOT_DURATION("s")},
    {"operations.verify_delay", "-1s", NOT_DURATION("-1s")},
    {"operations.verify_delay", "1.5s", NOT_DURATION("1.5s")},
    {"operations.verify_delay", "1 s", NOT_DURATION("1 s")},
    {"operations.verify_delay", "1S", NOT_DURATION("1S")},
    {"operations.verify_delay", "11m", NOT_DURATION("11m")},
    {"operations.verify_delay", "9223372036854775807d", NOT_DURATION("9223372036854775807d")},
    {"operations.verify_delay", "106751991168d", NOT_DURATION("106751991168d")},
    {"operations.verify_delay", "99999999999999999999999999999999999999999s",
     NOT_DURATION("9999999999999999999999999999999999999999...")},
    {"http.max_json", "1k", NOT_SIZE("1k")},
    {"http.max_json", "64KB", NOT_SIZE("64KB")},
    {"http.max_json", "0", NOT_SIZE("0")},
    {"http.max_json", "1023", NOT_SIZE("1023")},
    {"http.max_json", "17M", NOT_SIZE("17M")},
    {"http.max_json", "0x400", NOT_SIZE("0x400")},
    {"http.max_json", "8589934592G", NOT_SIZE("8589934592G")},
    {"limits.devices", "0", "limits.devices = 0 is not valid: expected a number, 1 to 100000"},
    {"limits.devices", "1e3", "limits.devices = 1e3 is not valid: expected a number, 1 to 100000"},
    {"limits.devices", "+5", "limits.devices = +5 is not valid: expected a number, 1 to 100000"},
    {"limits.devices", "-5", "limits.devices = -5 is not valid: expected a number, 1 to 100000"},
    {"http.socket_mode", "0888",
     "http.socket_mode = 0888 is not valid: expected permission bits in octal such as 0660, 0000 to 0777"},
    {"http.socket_mode", "1777",
     "http.socket_mode = 1777 is not valid: expected permission bits in octal such as 0660, 0000 to 0777"},
    {"http.socket_mode", "rw",
     "http.socket_mode = rw is not valid: expected permission bits in octal such as 0660, 0000 to 0777"},
    {"http.allow_remote", "YES", "http.allow_remote = YES is not valid: expected yes or no"},
    {"http.allow_remote", "1", "http.allow_remote = 1 is not valid: expected yes or no"},
    {"log.level", "verbose", "log.level = verbose is not valid: expected one of error, warning, info, debug"},
    {"log.level", "", "log.level =  is not valid: expected one of error, warning, info, debug"},
    {"http.listen", "localhost:8080", NOT_LISTEN("localhost:8080")},
    {"http.listen", "8080", NOT_LISTEN("8080")},
    {"http.listen", ":8080", NOT_LISTEN(":8080")},
    {"http.listen", "127.0.0.1", NOT_LISTEN("127.0.0.1")},
    {"http.listen", "127.0.0.1:", NOT_LISTEN("127.0.0.1:")},
    {"http.listen", "127.1:80", NOT_LISTEN("127.1:80")},
    {"http.listen", "127.0.0.1:65536", NOT_LISTEN("127.0.0.1:65536")},
    {"http.listen", "127.0.0.1:-1", NOT_LISTEN("127.0.0.1:-1")},
    {"http.listen", "127.0.0.1:http", NOT_LISTEN("127.0.0.1:http")},
    {"http.listen", "::1:80", NOT_LISTEN("::1:80")},
    {"http.listen", "[::1:80", NOT_LISTEN("[::1:80")},
    {"http.listen", "[::1]", NOT_LISTEN("[::1]")},
    {"http.listen", "[]:80", NOT_LISTEN("[]:80")},
    {"http.listen", "[127.0.0.1]:80", NOT_LISTEN("[127.0.0.1]:80")},
    {"gateway.state_directory", "", NOT_PATH("")},
    {"gateway.state_directory", "\"/var/lib\"", NOT_PATH("\"/var/lib\"")},
    {"gateway.state_directory", "/var ; lib", NOT_PATH("/var ; lib")},
    {"gateway.state_directory", "#x", NOT_PATH("#x")},
    {"gateway.state_directory", " /x", NOT_PATH(" /x")},
    {"gateway.state_directory", "/x ", NOT_PATH("/x ")},
    {"gateway.state_directory", "/x\ny", NOT_PATH("/x\ny")},
    {"gateway.state_directory", "/x\xff", NOT_PATH("/x\xff")},
    {"http.listne", "", "unknown key listne in section [http]; did you mean listen in [http]?"},
    {"http.ack_timeout", "1s", "unknown key ack_timeout in section [http]; did you mean ack_timeout in [coap]?"},
    {"limits.max_devices", "1", "unknown key max_devices in section [limits]; did you mean devices in [limits]?"},
    {"limits.zzzzzzzz", "1", "unknown key zzzzzzzz in section [limits]; tcgw.conf(5) lists what there is"},
    {"htpp.listen", "", "unknown section [htpp]; did you mean [http]?"},
    {"mqtt.broker", "", "unknown section [mqtt]"},
    {"listen", "", "listen is not the name of a key: expected SECTION.KEY"},
    {"", "", " is not the name of a key: expected SECTION.KEY"},
    {".", "", "unknown section []"},
    {"a-section-whose-name-is-longer-than-any.key", "",
     "a-section-whose-name-is-longer-than-any. is not the name of a key: expected SECTION.KEY"},
};

START_TEST(bad_values_are_refused_with_a_message)
{
    cleanup_free char *before = print_text(conf, false), *after = NULL;

    ck_assert_int_eq(conf_set(conf, bad[_i].name, bad[_i].value, reason, sizeof reason), 1);
    ck_assert_str_eq(reason, bad[_i].message);
    after = print_text(conf, false);
    ck_assert_str_eq(after, before);
}
END_TEST

START_TEST(path_lengths_are_bounded)
{
    char path[200];

    memset(path, 'p', sizeof path);
    path[160] = 0;
    ck_assert_int_eq(conf_set(conf, "gateway.state_directory", path, reason, sizeof reason), 0);
    ck_assert_int_eq(conf_set(conf, "http.socket", path, reason, sizeof reason), 1);
    path[160] = 'p';
    path[161] = 0;
    ck_assert_int_eq(conf_set(conf, "gateway.state_directory", path, reason, sizeof reason), 1);
    path[107] = 0;
    ck_assert_int_eq(conf_set(conf, "http.socket", path, reason, sizeof reason), 0);
}
END_TEST

START_TEST(limits_are_part_of_the_range)
{
    for (size_t i = 0; i < conf_table_size; i++) {
        const struct conf_key *key = &conf_table[i];
        char name[80], value[64];

        if (key->type != CONF_INT && key->type != CONF_SIZE && key->type != CONF_DURATION && key->type != CONF_MODE)
            continue;
        (void)snprintf(name, sizeof name, "%s.%s", key->section, key->key);
        (void)conf_format_number(key->type, key->min, value, sizeof value);
        ck_assert_int_eq(conf_set(conf, name, value, reason, sizeof reason), 0);
        (void)conf_format_number(key->type, key->max, value, sizeof value);
        ck_assert_int_eq(conf_set(conf, name, value, reason, sizeof reason), 0);
        (void)conf_format_number(key->type, key->max + 1, value, sizeof value);
        ck_assert_int_eq(conf_set(conf, name, value, reason, sizeof reason), 1);
        if (key->min > 0) {
            (void)conf_format_number(key->type, key->min - 1, value, sizeof value);
            ck_assert_int_eq(conf_set(conf, name, value, reason, sizeof reason), 1);
        }
    }
}
END_TEST

START_TEST(what_is_printed_is_read_back)
{
    struct conf *other;
    FILE *from;
    cleanup_free char *printed = NULL, *again = NULL;

    for (size_t i = 0; i < array_size(good); i++)
        ck_assert_int_eq(conf_set(conf, good[i].name, good[i].value, reason, sizeof reason), 0);
    printed = print_text(conf, true);
    ck_assert_int_eq(conf_new(&other), 0);
    conf_tear_down();
    conf = other;
    from = fmemopen(printed, strlen(printed), "r");
    ck_assert_msg(conf_read_stream(conf, from, "printed", reason, sizeof reason) == 0, "%s", reason);
    (void)fclose(from);
    again = print_text(conf, true);
    ck_assert_str_eq(again, printed);
}
END_TEST

static Suite *values_suite(void)
{
    Suite *suite = suite_create("conf_values");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, conf_set_up, conf_tear_down);
    tcase_add_loop_test(all, good_values_are_taken_and_printed, 0, array_size(good));
    tcase_add_loop_test(all, bad_values_are_refused_with_a_message, 0, array_size(bad));
    tcase_add_test(all, path_lengths_are_bounded);
    tcase_add_test(all, limits_are_part_of_the_range);
    tcase_add_test(all, what_is_printed_is_read_back);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return suite_run(values_suite());
}
