#define _GNU_SOURCE /* open_memstream, asprintf */

#include "base/log.h"
#include "conf/conf_private.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

static struct conf *conf;
static char reason[CONF_REASON_SIZE];

/* The defaults do not depend on who runs the tests. */
static void setup(void)
{
    ck_assert_int_eq(setenv("STATE_DIRECTORY", "/var/lib/tcgw", 1), 0);
    ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", "/run/tcgw", 1), 0);
    ck_assert_int_eq(conf_new(&conf), 0);
    reason[0] = 0;
}

static void teardown(void)
{
    conf = conf_free(conf);
}

static int read_bytes(const void *text, size_t size)
{
    char path[] = "/tmp/tcgw-conf-XXXXXX";
    int fd = mkstemp(path), result;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
    (void)close(fd);
    result = conf_read(conf, path, reason, sizeof reason);
    (void)unlink(path);
    /* the name of the file changes; what follows it is checked */
    if (strncmp(reason, path, strlen(path)) == 0)
        memmove(reason, reason + strlen(path), strlen(reason + strlen(path)) + 1);
    return result;
}

static int read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

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

static char *read_source(const char *name)
{
    cleanup_free char *path = NULL;
    char *text = calloc(1, 65536);
    FILE *file;

    ck_assert_int_gt(asprintf(&path, "%s/../%s", TEST_SRCDIR, name), 0);
    file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    ck_assert_uint_gt(fread(text, 1, 65535, file), 0);
    (void)fclose(file);
    return text;
}

/* Table -------------------------------------------------------------------------------------------------------------
 */

START_TEST(the_defaults_are_those_agreed)
{
    ck_assert_str_eq(conf->state_directory, "/var/lib/tcgw");
    ck_assert_int_eq(conf->log_format, LOG_FORMAT_AUTO);
    ck_assert_int_eq(conf->log_level, LOG_LEVEL_INFO);
    ck_assert_str_eq(conf->http_socket, "/run/tcgw/tcgw.sock");
    ck_assert_int_eq(conf->http_socket_mode, 0660);
    ck_assert_str_eq(conf->http_listen, "127.0.0.1:8080");
    ck_assert(!conf->http_allow_remote);
    ck_assert_int_eq(conf->http_max_connections, 256);
    ck_assert_int_eq(conf->http_connection_timeout_ms, 60000);
    ck_assert_int_eq(conf->http_max_json_bytes, 65536);
    ck_assert_int_eq(conf->http_max_wait_ms, 60000);
    ck_assert_int_eq(conf->storage_synchronous, 2);
    ck_assert_int_eq(conf->max_devices, 10000);
    ck_assert_int_eq(conf->max_artifacts, 1000);
    ck_assert_int_eq(conf->max_containers_per_device, 64);
    ck_assert_int_eq(conf->max_queue_per_device, 64);
    ck_assert_int_eq(conf->max_artifact_bytes, 1048576);
    ck_assert_int_eq(conf->operations_kept, 10000);
    ck_assert_int_eq(conf->operation_ttl_ms, 600000);
    ck_assert_int_eq(conf->operation_ttl_max_ms, 30LL * 86400000);
    ck_assert_int_eq(conf->verify_delay_ms, 500);
    ck_assert_int_eq(conf->settle_delay_ms, 2000);
    ck_assert_int_eq(conf->coap_ack_timeout_ms, 2000);
    ck_assert_int_eq(conf->coap_max_retransmit, 4);
    ck_assert_int_eq(conf->coap_answer_timeout_ms, 30000);
    ck_assert_int_eq(conf->coap_load_timeout_ms, 30000);
    ck_assert_int_eq(conf->coap_max_sessions, 64);
    ck_assert_int_eq(conf->coap_log_max, 65536);
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
}
END_TEST

START_TEST(every_key_has_a_member_of_its_own_and_help)
{
    static const size_t sizes[] = {
        [CONF_PATH] = sizeof(char *),  [CONF_LISTEN] = sizeof(char *), [CONF_INT] = sizeof(int64_t),
        [CONF_MODE] = sizeof(int64_t), [CONF_SIZE] = sizeof(int64_t),  [CONF_DURATION] = sizeof(int64_t),
        [CONF_BOOL] = sizeof(bool),    [CONF_ENUM] = sizeof(int),
    };
    char used[sizeof(struct conf)] = "";

    for (size_t i = 0; i < conf_table_size; i++) {
        const struct conf_key *key = &conf_table[i];

        ck_assert_uint_gt(strlen(key->help), 10);
        ck_assert_ptr_eq(conf_find_key(key->section, key->key), key);
        for (size_t k = 0; k < sizes[key->type]; k++)
            ck_assert_int_eq(used[key->offset + k]++, 0);
    }
}
END_TEST

/* Numbers go into 32 bits (those of the core, REST and CoAP): no value that is taken may be cut there. */
START_TEST(no_number_is_cut_to_32_bits)
{
    for (size_t i = 0; i < conf_table_size; i++)
        ck_assert_msg(conf_table[i].min >= 0 && conf_table[i].max <= UINT32_MAX, "%s", conf_table[i].key);
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

/* Values ------------------------------------------------------------------------------------------------------------
 */

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

static const struct {
    const char *name, *value, *message;
} bad[] = {
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

/* Files -------------------------------------------------------------------------------------------------------------
 */

START_TEST(a_file_is_read_over_the_defaults)
{
    ck_assert_int_eq(read_text("# comment\n"
                               "; another\n"
                               "\n"
                               "[http]\n"
                               "   listen = 127.0.0.1:9000  \n"
                               "max_json:32K\r\n"
                               "socket =\n"
                               "[log]\n"
                               "level=debug\n"
                               "[http]\n"
                               "\t max_wait\t=\t5s\n"
                               "  # a comment further in\n"
                               "allow_remote = yes"),
                     0);
    ck_assert_str_eq(reason, "");
    ck_assert_str_eq(conf->http_listen, "127.0.0.1:9000");
    ck_assert_int_eq(conf->http_max_json_bytes, 32768);
    ck_assert_str_eq(conf->http_socket, "");
    ck_assert_int_eq(conf->log_level, LOG_LEVEL_DEBUG);
    ck_assert_int_eq(conf->http_max_wait_ms, 5000);
    ck_assert(conf->http_allow_remote);
    ck_assert_int_eq(conf->max_devices, 10000);
}
END_TEST

static const struct {
    const char *text, *message;
} bad_files[] = {
    {"[http]\nlistne = 1\n", ":2: unknown key listne in section [http]; did you mean listen in [http]?"},
    {"\n\n[htpt]\n", ":3: unknown section [htpt]; did you mean [http]?"},
    {"[http]\nlisten = x\n",
     ":2: http.listen = x is not valid: expected a literal address and port such as 127.0.0.1:8080 or [::1]:8080 (no "
     "names)"},
    {"[log]\nlevel = info\n\n[http]\n[log]\nlevel = info\n",
     ":6: log.level was set before, in line 2: remove one of them"},
    {"level = info\n", ":1: key level stands before the first [section]"},
    {"[log]\nlevel\n", ":2: expected 'key = value', [section] or a comment"},
    {"[log]\n= info\n", ":2: expected 'key = value', [section] or a comment"},
    {"[log]\nlevel = info\n  debug\n", ":3: expected 'key = value', [section] or a comment"},
    {"[log]\nlevel = info ; louder\n", ":2: a comment has to stand on a line of its own"},
    {"[log]\nlevel = info # louder\n", ":2: a comment has to stand on a line of its own"},
    {"[log\n", ":1: a section is written [name], and nothing else stands in its line"},
    {"[]\n", ":1: a section is written [name], and nothing else stands in its line"},
    {"[log] level = info\n", ":1: a section is written [name], and nothing else stands in its line"},
    {"[log] ; comment\n", ":1: a section is written [name], and nothing else stands in its line"},
    {"[ log ]\n", ":1: unknown section [ log ]; did you mean [log]?"},
    {"[LOG]\n", ":1: unknown section [LOG]"},
    {"[log]\nLevel = info\n", ":2: unknown key Level in section [log]; did you mean level in [log]?"},
    {"[log]\nlevel = in\x01"
     "fo\n",
     ":2: the line has a control character (1)"},
    {"[gateway]\nstate_directory = \xfc\n", ":2: the line is not UTF-8"},
    {"# \xff\n", ":1: the line is not UTF-8"},
};

START_TEST(bad_files_are_refused_with_file_and_line)
{
    ck_assert_int_eq(read_text(bad_files[_i].text), 1);
    ck_assert_str_eq(reason, bad_files[_i].message);
}
END_TEST

START_TEST(a_nul_byte_is_refused)
{
    static const char text[] = "[log]\nlevel = info\0debug\n";

    ck_assert_int_eq(read_bytes(text, sizeof text - 1), 1);
    ck_assert_str_eq(reason, ":2: the line has a control character (0)");
}
END_TEST

START_TEST(a_line_may_have_198_bytes)
{
    char text[256] = "[log]\n#";
    size_t start = strlen("[log]\n");

    memset(text + start + 1, 'x', 197);
    strcpy(text + start + 198, "\nlevel = error\n");
    ck_assert_int_eq(read_text(text), 0);
    ck_assert_int_eq(conf->log_level, LOG_LEVEL_ERROR);
    memset(text + start + 198, 'x', 1);
    strcpy(text + start + 199, "\nlevel = error\n");
    ck_assert_int_eq(read_text(text), 1);
    ck_assert_str_eq(reason, ":2: the line is longer than 198 bytes");
}
END_TEST

START_TEST(a_byte_order_mark_does_no_harm)
{
    ck_assert_int_eq(read_text("\xef\xbb\xbf[log]\nlevel = error\n"), 0);
    ck_assert_int_eq(conf->log_level, LOG_LEVEL_ERROR);
    ck_assert_int_eq(read_text("[log]\n\xef\xbb\xbflevel = error\n"), 1);
}
END_TEST

START_TEST(files_that_cannot_be_read_are_named)
{
    ck_assert_int_eq(conf_read(conf, "/nonexistent/tcgw.conf", reason, sizeof reason), -ENOENT);
    ck_assert_str_eq(reason, "/nonexistent/tcgw.conf cannot be read: No such file or directory");
    ck_assert_int_eq(conf_read(conf, "/tmp", reason, sizeof reason), -EISDIR);
    ck_assert_str_eq(reason, "/tmp cannot be read: Is a directory");
}
END_TEST

START_TEST(what_is_printed_is_read_back)
{
    struct conf *other;
    cleanup_free char *printed = NULL, *again = NULL;

    for (size_t i = 0; i < array_size(good); i++)
        ck_assert_int_eq(conf_set(conf, good[i].name, good[i].value, reason, sizeof reason), 0);
    printed = print_text(conf, true);
    ck_assert_int_eq(conf_new(&other), 0);
    teardown();
    conf = other;
    ck_assert_msg(read_text(printed) == 0, "%s", reason);
    again = print_text(conf, true);
    ck_assert_str_eq(again, printed);
}
END_TEST

/* Documents ---------------------------------------------------------------------------------------------------------
 */

static void comment_keys_out(const char *text, FILE *to)
{
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        bool key = *line >= 'a' && *line <= 'z';

        (void)fprintf(to, "%s%.*s\n", key ? "#" : "", (int)strcspn(line, "\n"), line);
    }
}

START_TEST(the_example_file_follows_the_table)
{
    cleanup_free char *example = read_source("conf/tcgw.conf"), *printed = print_text(conf, true), *expected = NULL;
    cleanup_free char *defaults = print_text(conf, false), *after = NULL;
    size_t size;
    FILE *to = open_memstream(&expected, &size);

    comment_keys_out(printed, to);
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_str_eq(example, expected);
    ck_assert_msg(read_text(example) == 0, "%s", reason);
    after = print_text(conf, false);
    ck_assert_str_eq(after, defaults);
}
END_TEST

/* The manual page has for each section ".SS [name]", and in it for each key ".TP", ".B key", its description, and
 * nothing else of that form between KEYS and the next heading. */
START_TEST(the_manual_page_follows_the_table)
{
    cleanup_free char *page = read_source("man/tcgw.conf.5"), *expected = NULL;
    char *keys = strstr(page, ".SH KEYS\n"), *end;
    const char *section = "";
    char description[160];
    size_t size;
    FILE *to = open_memstream(&expected, &size);

    ck_assert_ptr_nonnull(keys);
    keys += strlen(".SH KEYS\n");
    end = strstr(keys, ".SH ");
    ck_assert_ptr_nonnull(end);
    *end = 0;
    for (size_t i = 0; i < conf_table_size; i++) {
        const struct conf_key *key = &conf_table[i];

        if (strcmp(section, key->section) != 0)
            (void)fprintf(to, ".SS [%s]\n", section = key->section);
        (void)fprintf(to, ".TP\n.B %s\n%s%s.\n.br\n%s\n", key->key, conf_describe(key, description, sizeof description),
                      key->reload ? "; reloadable" : "", key->help);
    }
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_str_eq(keys, expected);
}
END_TEST

/* Across keys -------------------------------------------------------------------------------------------------------
 */

static void set(const char *name, const char *value)
{
    ck_assert_msg(conf_set(conf, name, value, reason, sizeof reason) == 0, "%s", reason);
}

START_TEST(keys_that_do_not_go_together_are_refused)
{
    set("http.socket", "");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
    set("http.listen", "");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "both empty"));
    set("http.listen", "127.9.9.9:80");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
    set("http.listen", "[::1]:80");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
    set("http.listen", "0.0.0.0:80");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "http.allow_remote = yes"));
    set("http.listen", "[::]:80");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    set("http.allow_remote", "yes");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
    set("operations.ttl", "31d");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "operations.ttl_max"));
}
END_TEST

START_TEST(a_socket_path_from_the_environment_may_be_too_long)
{
    char directory[200] = "/";

    memset(directory + 1, 'd', 150);
    ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", directory, 1), 0);
    teardown();
    ck_assert_int_eq(conf_new(&conf), 0);
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "107 bytes"));
}
END_TEST

START_TEST(a_reload_takes_what_it_can)
{
    struct conf *fresh = conf;
    char ignored[64], small[24];

    set("log.level", "debug");
    set("http.listen", "127.0.0.1:1");
    set("http.max_wait", "3s");
    set("limits.devices", "7");
    set("storage.synchronous", "normal");
    ck_assert_int_eq(conf_new(&conf), 0);
    conf_apply_reload(conf, fresh, ignored, sizeof ignored);
    ck_assert_str_eq(ignored, "http.listen, storage.synchronous");
    ck_assert_int_eq(conf->log_level, LOG_LEVEL_DEBUG);
    ck_assert_str_eq(conf->http_listen, "127.0.0.1:8080");
    ck_assert_int_eq(conf->http_max_wait_ms, 3000);
    ck_assert_int_eq(conf->max_devices, 7);
    ck_assert_int_eq(conf->storage_synchronous, 2);
    conf_apply_reload(conf, fresh, small, sizeof small);
    ck_assert_str_eq(small, "http.listen, storage.sy");
    conf_apply_reload(conf, conf, ignored, sizeof ignored);
    ck_assert_str_eq(ignored, "");
    (void)conf_free(fresh);
}
END_TEST

/* Default paths -----------------------------------------------------------------------------------------------------
 */

static const char *const variables[] = {"STATE_DIRECTORY", "RUNTIME_DIRECTORY", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
                                        "HOME"};

static const struct {
    bool root;
    const char *values[5]; /* of the variables */
    const char *state, *socket;
} places[] = {
    {true, {0}, "/var/lib/tcgw", "/run/tcgw/tcgw.sock"},
    {true, {NULL, NULL, "/x/state", "/x/run", "/root"}, "/var/lib/tcgw", "/run/tcgw/tcgw.sock"},
    {true, {"/s/one:/s/two", "/r/one:/r/two"}, "/s/one", "/r/one/tcgw.sock"},
    {false, {"/s", "/r", "/x/state", "/x/run", "/h"}, "/s", "/r/tcgw.sock"},
    {false, {NULL, NULL, "/x/state", "/x/run", "/h"}, "/x/state/tcgw", "/x/run/tcgw.sock"},
    {false, {NULL, NULL, NULL, NULL, "/h"}, "/h/.local/state/tcgw", "/h/.local/state/tcgw/tcgw.sock"},
    {false, {NULL, NULL, "relative", "", "/h"}, "/h/.local/state/tcgw", "/h/.local/state/tcgw/tcgw.sock"},
    {false, {0}, "/var/lib/tcgw", "/var/lib/tcgw/tcgw.sock"},
};

/* Only root can; others are no root already. */
static void become(uid_t user)
{
    if (getuid() != 0)
        return;
    ck_assert_int_eq(seteuid(user), 0);
    (void)prctl(PR_SET_DUMPABLE, 1); /* or LeakSanitizer cannot work afterwards */
}

START_TEST(default_paths_follow_user_and_environment)
{
    for (size_t i = 0; i < array_size(variables); i++) {
        if (places[_i].values[i])
            ck_assert_int_eq(setenv(variables[i], places[_i].values[i], 1), 0);
        else
            ck_assert_int_eq(unsetenv(variables[i]), 0);
    }
    if (places[_i].root && getuid() != 0)
        return; /* cannot be tried by another user */
    teardown();
    if (!places[_i].root)
        become(65534);
    ck_assert_int_eq(conf_new(&conf), 0);
    become(0);
    ck_assert_str_eq(conf->state_directory, places[_i].state);
    ck_assert_str_eq(conf->http_socket, places[_i].socket);
}
END_TEST

static Suite *conf_suite(void)
{
    Suite *suite = suite_create("conf");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, the_defaults_are_those_agreed);
    tcase_add_test(all, every_key_has_a_member_of_its_own_and_help);
    tcase_add_test(all, no_number_is_cut_to_32_bits);
    tcase_add_test(all, limits_are_part_of_the_range);
    tcase_add_loop_test(all, good_values_are_taken_and_printed, 0, array_size(good));
    tcase_add_loop_test(all, bad_values_are_refused_with_a_message, 0, array_size(bad));
    tcase_add_test(all, path_lengths_are_bounded);
    tcase_add_test(all, a_file_is_read_over_the_defaults);
    tcase_add_loop_test(all, bad_files_are_refused_with_file_and_line, 0, array_size(bad_files));
    tcase_add_test(all, a_nul_byte_is_refused);
    tcase_add_test(all, a_line_may_have_198_bytes);
    tcase_add_test(all, a_byte_order_mark_does_no_harm);
    tcase_add_test(all, files_that_cannot_be_read_are_named);
    tcase_add_test(all, what_is_printed_is_read_back);
    tcase_add_test(all, the_example_file_follows_the_table);
    tcase_add_test(all, the_manual_page_follows_the_table);
    tcase_add_test(all, keys_that_do_not_go_together_are_refused);
    tcase_add_test(all, a_socket_path_from_the_environment_may_be_too_long);
    tcase_add_test(all, a_reload_takes_what_it_can);
    tcase_add_loop_test(all, default_paths_follow_user_and_environment, 0, array_size(places));
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(conf_suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
