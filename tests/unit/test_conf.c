#define _GNU_SOURCE /* open_memstream, asprintf */

#include "base/log.h"
#include "conf/conf_private.h"
#include "conf_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

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

/* Table ----------------------------------------------------------------------------------------------------------- */

START_TEST(the_defaults_are_those_agreed)
{
    ck_assert_str_eq(conf->state_directory, "/var/lib/tcgw");
    ck_assert_int_eq(conf->log_format, LOG_FORMAT_AUTO);
    ck_assert_int_eq(conf->log_level, LOG_LEVEL_INFO);
    ck_assert_str_eq(conf->http_socket, "/run/tcgw/tcgw.sock");
    ck_assert_int_eq(conf->http_socket_mode, 0660);
    ck_assert_str_eq(conf->http_listen, "127.0.0.1:8080");
    ck_assert(!conf->http_allow_remote);
    ck_assert_int_eq(conf->http_max_connections, 2048);
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
    ck_assert_int_eq(conf->http_max_streams, 1024);
    ck_assert_int_eq(conf->max_pending, 256);
    ck_assert_int_eq(conf->max_shadow_bytes, 65536);
    ck_assert_str_eq(conf->coap_listen, "[::]:5683");
    ck_assert_str_eq(conf->coap_listen_dtls, "");
    ck_assert_str_eq(conf->coap_allow_plain_groups, "");
    ck_assert_str_eq(conf->security_sealing_key, "");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
}
END_TEST

START_TEST(every_key_has_a_member_of_its_own_and_help)
{
    static const size_t sizes[] = {
        [CONF_PATH] = sizeof(char *),  [CONF_TEXT] = sizeof(char *),      [CONF_LISTEN] = sizeof(char *),
        [CONF_WORDS] = sizeof(char *), [CONF_INT] = sizeof(int64_t),      [CONF_MODE] = sizeof(int64_t),
        [CONF_SIZE] = sizeof(int64_t), [CONF_DURATION] = sizeof(int64_t), [CONF_BOOL] = sizeof(bool),
        [CONF_ENUM] = sizeof(int),
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

/* What goes into 64 bits: how long and how much is kept. */
static bool is_wide(const struct conf_key *key)
{
    return (strcmp(key->section, "telemetry") == 0 || strcmp(key->section, "journal") == 0 ||
            strcmp(key->section, "artifacts") == 0) &&
           key->type != CONF_INT;
}

/* Other numbers go into 32 bits (those of the core, REST and CoAP): no value that is taken may be cut there. */
START_TEST(no_number_is_cut_to_32_bits)
{
    for (size_t i = 0; i < conf_table_size; i++)
        ck_assert_msg(conf_table[i].min >= 0 && (is_wide(&conf_table[i]) || conf_table[i].max <= UINT32_MAX), "%s",
                      conf_table[i].key);
}
END_TEST

/* Files ----------------------------------------------------------------------------------------------------------- */

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

/* Documents ------------------------------------------------------------------------------------------------------- */

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
    (void)fprintf(to, ".SS [sink NAME]\n%s\n", conf_sink_help);
    for (size_t i = 0; i < conf_sink_table_size; i++) {
        const struct conf_key *key = &conf_sink_table[i];

        (void)fprintf(to, ".TP\n.B %s\n%s; reloadable.\n.br\n%s\n", key->key,
                      conf_describe(key, description, sizeof description), key->help);
    }
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_str_eq(keys, expected);
}
END_TEST

/* Across keys ----------------------------------------------------------------------------------------------------- */

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
    ck_assert_ptr_nonnull(strstr(reason, "all empty"));
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
    set("http.listen", "");
    set("http.tls_listen", "[::]:8443");
    set("http.allow_remote", "no");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
    set("coap.listen_tls", "[::]:8443");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "http.tls_listen is the TCP address of"));
    set("coap.listen_tls", "");
    set("http.listen", "127.0.0.1:8443");
    set("http.tls_listen", "127.0.0.1:8443");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "http.listen and http.tls_listen are the same"));
    set("http.tls_listen", "");
    set("http.tls_key", "/k.pem");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "http.tls_certificate and http.tls_key"));
    set("http.tls_key", "");
    set("http.tls_require_client", "yes");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "set http.tls_client_ca"));
    set("http.tls_client_ca", "/ca.pem");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
    set("operations.ttl", "31d");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "operations.ttl_max"));
}
END_TEST

static const struct {
    const char *url, *token, *complaint;
} stores[] = {
    {"https://store.example/a", "token", NULL},
    {"http://store.example/a", "", NULL},
    {"http://127.0.0.1:81/a", "token", NULL},
    {"http://store.example/a", "token", "unprotected"},
    {"ftp://store.example/a", "", "https:// or http://"},
    {"https://user@store.example/a", "", "has a space, a user"},
    {"https://store.example/a?b", "", "a query"},
};

START_TEST(the_url_of_the_store)
{
    set("artifacts.store_url", stores[_i].url);
    set("artifacts.store_token_file", stores[_i].token);
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), stores[_i].complaint != NULL);
    if (stores[_i].complaint)
        ck_assert_msg(strstr(reason, stores[_i].complaint) != NULL, "%s", reason);
}
END_TEST

START_TEST(a_certificate_needs_its_key)
{
    set("coap.certificate", "gateway.pem");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "coap.certificate and coap.private_key belong together"));
    set("coap.private_key", "gateway.key");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 0);
    set("coap.certificate", "");
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), 1);
}
END_TEST

static const struct {
    const char *one, *other, *address;
    bool good;
} listeners[] = {
    {"coap.listen", "coap.listen_dtls", "[::]:5683", false},
    {"coap.listen_tcp", "coap.listen_tls", "127.0.0.1:5684", false},
    {"http.listen", "coap.listen_tcp", "127.0.0.1:8080", false},
    {"http.listen", "coap.listen_tls", "127.0.0.1:8080", false},
    {"coap.listen", "coap.listen_tcp", "[::]:5683", true},
    {"coap.listen_dtls", "coap.listen_tls", "[::]:5684", true},
    {"http.listen", "coap.listen", "127.0.0.1:8080", true},
    {"coap.listen", "coap.listen_dtls", "127.0.0.1:0", true},
    {"coap.listen", "coap.listen_dtls", "", true},
};

START_TEST(two_listeners_of_a_transport_have_two_addresses)
{
    set(listeners[_i].one, listeners[_i].address);
    set(listeners[_i].other, listeners[_i].address);
    ck_assert_int_eq(conf_check(conf, reason, sizeof reason), !listeners[_i].good);
    if (!listeners[_i].good) {
        ck_assert_ptr_nonnull(strstr(reason, listeners[_i].one));
        ck_assert_ptr_nonnull(strstr(reason, listeners[_i].other));
    }
}
END_TEST

START_TEST(a_socket_path_from_the_environment_may_be_too_long)
{
    char directory[200] = "/";

    memset(directory + 1, 'd', 150);
    ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", directory, 1), 0);
    conf_tear_down();
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
    set("coap.allow_plain_groups", "bench lab-2");
    set("storage.synchronous", "normal");
    ck_assert_int_eq(conf_new(&conf), 0);
    conf_apply_reload(conf, fresh, ignored, sizeof ignored);
    ck_assert_str_eq(ignored, "http.listen, storage.synchronous");
    ck_assert_int_eq(conf->log_level, LOG_LEVEL_DEBUG);
    ck_assert_str_eq(conf->http_listen, "127.0.0.1:8080");
    ck_assert_int_eq(conf->http_max_wait_ms, 3000);
    ck_assert_int_eq(conf->max_devices, 7);
    ck_assert_str_eq(conf->coap_allow_plain_groups, "bench lab-2");
    ck_assert_int_eq(conf->storage_synchronous, 2);
    conf_apply_reload(conf, fresh, small, sizeof small);
    ck_assert_str_eq(small, "http.listen, storage.sy");
    conf_apply_reload(conf, conf, ignored, sizeof ignored);
    ck_assert_str_eq(ignored, "");
    (void)conf_free(fresh);
}
END_TEST

/* Default paths --------------------------------------------------------------------------------------------------- */

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
    conf_tear_down();
    if (!places[_i].root)
        become(65534);
    ck_assert_int_eq(conf_new(&conf), 0);
    become(0);
    ck_assert_str_eq(conf->state_directory, places[_i].state);
    ck_assert_str_eq(conf->http_socket, places[_i].socket);
}
END_TEST

static bool exists(const char *directory, const char *name)
{
    char path[100];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s%s", directory, name);
    return stat(path, &st) == 0;
}

START_TEST(parents_are_made_in_the_home_only)
{
    char home[] = "/tmp/tcgw-home-XXXXXX", path[100];

    ck_assert_ptr_nonnull(mkdtemp(home));
    (void)snprintf(path, sizeof path, "%s/x/y/tcgw", home);
    set("gateway.state_directory", path);
    ck_assert_int_eq(setenv("HOME", "/tmp/tcgw-home", 1), 0); /* a beginning of the name, but not of the path */
    conf_make_parents(conf);
    ck_assert_int_eq(unsetenv("HOME"), 0);
    conf_make_parents(conf);
    ck_assert(!exists(home, "/x"));
    ck_assert_int_eq(setenv("HOME", home, 1), 0);
    conf_make_parents(conf);
    conf_make_parents(conf);
    ck_assert(exists(home, "/x/y"));
    ck_assert(!exists(home, "/x/y/tcgw"));
    (void)snprintf(path, sizeof path, "%s/x/y", home);
    ck_assert_int_eq(rmdir(path), 0);
    (void)snprintf(path, sizeof path, "%s/x", home);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(rmdir(home), 0);
}
END_TEST

static Suite *conf_suite(void)
{
    Suite *suite = suite_create("conf");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, conf_set_up, conf_tear_down);
    tcase_add_test(all, the_defaults_are_those_agreed);
    tcase_add_test(all, every_key_has_a_member_of_its_own_and_help);
    tcase_add_test(all, no_number_is_cut_to_32_bits);
    tcase_add_test(all, a_file_is_read_over_the_defaults);
    tcase_add_loop_test(all, bad_files_are_refused_with_file_and_line, 0, array_size(bad_files));
    tcase_add_test(all, a_nul_byte_is_refused);
    tcase_add_test(all, a_line_may_have_198_bytes);
    tcase_add_test(all, a_byte_order_mark_does_no_harm);
    tcase_add_test(all, files_that_cannot_be_read_are_named);
    tcase_add_test(all, the_example_file_follows_the_table);
    tcase_add_test(all, the_manual_page_follows_the_table);
    tcase_add_test(all, keys_that_do_not_go_together_are_refused);
    tcase_add_test(all, a_certificate_needs_its_key);
    tcase_add_loop_test(all, the_url_of_the_store, 0, array_size(stores));
    tcase_add_loop_test(all, two_listeners_of_a_transport_have_two_addresses, 0, array_size(listeners));
    tcase_add_test(all, a_socket_path_from_the_environment_may_be_too_long);
    tcase_add_test(all, a_reload_takes_what_it_can);
    tcase_add_loop_test(all, default_paths_follow_user_and_environment, 0, array_size(places));
    tcase_add_test(all, parents_are_made_in_the_home_only);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return suite_run(conf_suite());
}
