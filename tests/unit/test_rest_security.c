/* Credentials, agents that join, shadows and metrics. */
#include "base/cleanup.h"
#include "core/keyring.h"
#include "rest_fixture.h"
#include "suite.h"

#include <string.h>

static struct fixture f;
static struct answer a;

static void metrics(void *arg, metric_fn add, void *to)
{
    const struct metric refused[] = {
        {"tcgw_oscore_refused_total", "Protected messages that were refused.", true, "reason=\"replay\"", 3, NULL,
         NULL},
        {"tcgw_oscore_refused_total", "Protected messages that were refused.", true, "reason=\"decrypt\"", 0, NULL,
         NULL},
    };

    (void)arg;
    for (size_t i = 0; i < array_size(refused); i++)
        add(to, &refused[i]);
}

static void setup(void)
{
    fixture_start(&f, &(struct rest_options){.max_connections = 100,
                                             .max_json_bytes = 4096,
                                             .max_artifact_bytes = 65536,
                                             .max_raw_bytes = 8192,
                                             .max_wait_s = 60,
                                             .connection_timeout_s = 10,
                                             .max_streams = 3,
                                             .metrics = metrics});
    fixture_add_device(&f);
}

static void teardown(void)
{
    answer_clear(&a);
    fixture_stop(&f);
}

static int64_t number_at(const char *path)
{
    json_t *root = json_loads(buffer_text(&a.body), 0, NULL), *at = root;
    char names[128], *next = names, *name;
    int64_t number;

    (void)text_copy(names, sizeof names, path);
    while ((name = strsep(&next, "/")))
        at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10)) : json_object_get(at, name);
    number = json_is_integer(at) ? json_integer_value(at) : -1;
    json_decref(root);
    return number;
}

/* Credentials ----------------------------------------------------------------------------------------------------- */

#define CREDENTIALS "/v1/devices/box/credentials"
#define SECRET "0102030405060708090a0b0c0d0e0f10"

START_TEST(secrets_are_told_once)
{
    char secret[80];

    request(&f, &a, "POST", CREDENTIALS, NULL, NULL);
    expect_status(&a, 201);
    ck_assert_str_eq(answer_header(&a, "Cache-Control"), "no-store");
    ck_assert_str_eq(answer_text(&a, "kind"), "oscore");
    ck_assert_str_eq(answer_text(&a, "device"), "box");
    ck_assert_str_eq(answer_text(&a, "algorithm"), "AES-CCM-16-64-128");
    (void)text_copy(secret, sizeof secret, answer_text(&a, "master_secret"));
    ck_assert_uint_eq(strlen(secret), 32);
    answer_clear(&a);
    request(&f, &a, "GET", CREDENTIALS, NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_header(&a, "Cache-Control"), "no-store");
    ck_assert_str_eq(answer_text(&a, "items/0/state"), "new");
    ck_assert_str_eq(answer_text(&a, "items/0/kind"), "oscore");
    ck_assert_ptr_null(strstr(buffer_text(&a.body), secret));
    ck_assert_ptr_null(strstr(buffer_text(&a.body), "master"));
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/devices/box", NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "security"), "oscore");
    ck_assert_ptr_null(strstr(buffer_text(&a.body), secret));
}
END_TEST

START_TEST(each_kind_can_be_made)
{
    request_json(&f, &a, "POST", CREDENTIALS, NULL, "{\"kind\": \"psk\"}");
    expect_status(&a, 201);
    ck_assert_uint_eq(strlen(answer_text(&a, "key")), 32);
    ck_assert_str_eq(answer_text(&a, "identity"), "box");
    answer_clear(&a);
    request_json(&f, &a, "POST", CREDENTIALS, NULL, "{\"kind\": \"oscore\", \"algorithm\": \"A128GCM\"}");
    expect_status(&a, 201);
    ck_assert_str_eq(answer_text(&a, "algorithm"), "A128GCM");
    answer_clear(&a);
    request_json(&f, &a, "POST", CREDENTIALS, NULL, "{}");
    expect_status(&a, 201);
    answer_clear(&a);
    request(&f, &a, "GET", CREDENTIALS, NULL, NULL);
    ck_assert_str_ne(answer_text(&a, "items/1/kind"), "");
    ck_assert_str_eq(answer_text(&a, "items/2/kind"), ""); /* a NEW one is replaced by the next of its kind */
}
END_TEST

START_TEST(no_answer_with_secrets_is_kept)
{
    request(&f, &a, "POST", CREDENTIALS, "Idempotency-Key: k1\r\n", NULL);
    expect_problem(&a, FAULT_INVALID_PARAMETER);
    request_json(&f, &a, "PUT", CREDENTIALS, "Idempotency-Key: k1\r\n", "{\"master_secret\": \"" SECRET "\"}");
    expect_problem(&a, FAULT_INVALID_PARAMETER);
    request(&f, &a, "GET", CREDENTIALS, NULL, NULL);
    ck_assert_str_eq(buffer_text(&a.body), "{\"items\":[],\"next\":null}");
    answer_clear(&a);
    request(&f, &a, "DELETE", CREDENTIALS, "Idempotency-Key: k1\r\n", NULL);
    ck_assert_int_eq(a.status, 204);
}
END_TEST

START_TEST(credentials_are_imported)
{
    static const char body[] =
        "{\"kind\": \"oscore\", \"master_secret\": \"" SECRET
        "\", \"sender_id\": \"\", \"recipient_id\": \"01\", \"id_context\": \"37cb\", \"fresh\": "
        "true}";

    request_json(&f, &a, "PUT", CREDENTIALS, NULL, body);
    expect_status(&a, 201);
    ck_assert_str_eq(answer_text(&a, "items/0/recipient_id"), "01");
    ck_assert_str_eq(answer_text(&a, "items/0/id_context"), "37cb");
    ck_assert_ptr_null(strstr(buffer_text(&a.body), SECRET));
    answer_clear(&a);
    request_json(&f, &a, "POST", "/v1/devices", NULL, "{\"id\": \"other\", \"address\": \"coap://127.0.0.1:5684\"}");
    expect_status(&a, 201);
    answer_clear(&a);
    request_json(&f, &a, "PUT", "/v1/devices/other/credentials", NULL, body);
    expect_problem(&a, FAULT_CREDENTIALS_IN_USE);
}
END_TEST

static const struct {
    const char *method, *body;
    enum fault_code code;
} bad_credentials[] = {
    {"POST", "{\"master_secret\": \"" SECRET "\"}", FAULT_INVALID_FIELD},
    {"POST", "{\"kind\": \"psk\", \"key\": \"" SECRET "\"}", FAULT_INVALID_FIELD},
    {"POST", "{\"kind\": \"certificate\", \"fingerprint\": \"00\"}", FAULT_INVALID_FIELD},
    {"POST", "{\"kind\": \"rsa\"}", FAULT_INVALID_FIELD},
    {"POST", "{\"kind\": 5}", FAULT_INVALID_FIELD},
    {"POST", "{\"algorithm\": \"A128CBC\"}", FAULT_INVALID_FIELD},
    {"POST", "{\"colour\": \"red\"}", FAULT_UNKNOWN_FIELD},
    {"POST", "[]", FAULT_INVALID_FIELD},
    {"POST", "{", FAULT_MALFORMED_JSON},
    {"PUT", "{}", FAULT_INVALID_FIELD},
    {"PUT", NULL, FAULT_INVALID_FIELD},
    {"PUT", "{\"kind\": \"psk\"}", FAULT_INVALID_FIELD},
    {"PUT", "{\"kind\": \"certificate\"}", FAULT_INVALID_FIELD},
    {"PUT", "{\"kind\": \"psk\", \"key\": \"00\"}", FAULT_INVALID_FIELD},
    {"PUT", "{\"master_secret\": \"xy\"}", FAULT_INVALID_FIELD},
    {"PUT", "{\"master_secret\": \"" SECRET "\"}", FAULT_INVALID_FIELD},
    {"PUT", "{\"master_secret\": \"" SECRET "\", \"sender_id\": \"01\", \"recipient_id\": \"01\"}",
     FAULT_INVALID_FIELD},
    {"PUT", "{\"master_secret\": \"" SECRET "\", \"sender_id\": \"0102030405060708\", \"recipient_id\": \"01\"}",
     FAULT_INVALID_FIELD},
};

START_TEST(bad_credentials_are_refused)
{
    request_json(&f, &a, bad_credentials[_i].method, CREDENTIALS, NULL, bad_credentials[_i].body);
    expect_problem(&a, bad_credentials[_i].code);
    request(&f, &a, "GET", CREDENTIALS, NULL, NULL);
    ck_assert_str_eq(buffer_text(&a.body), "{\"items\":[],\"next\":null}");
}
END_TEST

START_TEST(credentials_need_a_device_and_json)
{
    request(&f, &a, "POST", "/v1/devices/nobody/credentials", NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    request(&f, &a, "GET", "/v1/devices/nobody/credentials", NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    request(&f, &a, "DELETE", "/v1/devices/nobody/credentials", NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    request(&f, &a, "POST", CREDENTIALS, "Content-Type: text/plain\r\n", "{}");
    expect_problem(&a, FAULT_UNSUPPORTED_MEDIA_TYPE);
    request(&f, &a, "POST", CREDENTIALS,
            "Content-Type: application/json\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n", NULL);
    expect_problem(&a, FAULT_BODY_TOO_LARGE);
    request(&f, &a, "PATCH", CREDENTIALS, NULL, NULL);
    expect_problem(&a, FAULT_METHOD_NOT_ALLOWED);
    request(&f, &a, "POST", CREDENTIALS "?kind=psk", NULL, NULL);
    expect_problem(&a, FAULT_INVALID_PARAMETER);
}
END_TEST

START_TEST(credentials_are_revoked)
{
    char path[128];

    request(&f, &a, "POST", CREDENTIALS, NULL, NULL);
    (void)snprintf(path, sizeof path, CREDENTIALS "/%lld", (long long)number_at("number"));
    answer_clear(&a);
    request_json(&f, &a, "POST", CREDENTIALS, NULL, "{\"kind\": \"psk\"}");
    answer_clear(&a);
    request(&f, &a, "DELETE", path, NULL, NULL);
    ck_assert_int_eq(a.status, 204);
    answer_clear(&a);
    request(&f, &a, "DELETE", path, NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    request(&f, &a, "GET", CREDENTIALS, NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "items/0/kind"), "psk");
    answer_clear(&a);
    request(&f, &a, "DELETE", CREDENTIALS, NULL, NULL);
    ck_assert_int_eq(a.status, 204);
    answer_clear(&a);
    request(&f, &a, "GET", CREDENTIALS, NULL, NULL);
    ck_assert_str_eq(buffer_text(&a.body), "{\"items\":[],\"next\":null}");
    answer_clear(&a);
    request(&f, &a, "DELETE", CREDENTIALS "/0", NULL, NULL);
    expect_problem(&a, FAULT_INVALID_ID);
    request(&f, &a, "DELETE", CREDENTIALS "/-1", NULL, NULL);
    expect_problem(&a, FAULT_INVALID_ID);
    request(&f, &a, "DELETE", CREDENTIALS "/99999999999999999999", NULL, NULL);
    expect_problem(&a, FAULT_INVALID_ID);
}
END_TEST

START_TEST(contexts_are_distrusted)
{
    request(&f, &a, "POST", CREDENTIALS, NULL, NULL);
    expect_status(&a, 201);
    answer_clear(&a);
    request(&f, &a, "POST", "/v1/gateway/distrust-contexts", NULL, NULL);
    ck_assert_int_eq(a.status, 204);
    answer_clear(&a);
    request(&f, &a, "GET", CREDENTIALS, NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "items/0/state"), "stale");
}
END_TEST

/* Joining --------------------------------------------------------------------------------------------------------- */

static void ask_to_join(const char *id)
{
    struct fault fault;

    ck_assert_int_eq(keyring_note_pending(f.core, id, "coap://192.0.2.9:5683", &fault), 0);
}

START_TEST(agents_join)
{
    request(&f, &a, "GET", "/v1/join", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(buffer_text(&a.body), "{\"open\":false,\"closes_at\":null,\"pending\":[]}");
    answer_clear(&a);
    request_json(&f, &a, "PUT", "/v1/join", NULL, "{\"minutes\": 5}");
    expect_status(&a, 200);
    ck_assert_str_ne(answer_text(&a, "closes_at"), "");
    answer_clear(&a);
    ask_to_join("newcomer");
    ask_to_join("stranger");
    request(&f, &a, "GET", "/v1/join", NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "pending/0/id"), "newcomer");
    ck_assert_str_eq(answer_text(&a, "pending/0/address"), "coap://192.0.2.9:5683");
    answer_clear(&a);
    request_json(&f, &a, "POST", "/v1/join/newcomer", NULL, "{\"name\": \"New\", \"groups\": [\"lab\"]}");
    expect_status(&a, 201);
    ck_assert_str_eq(answer_header(&a, "Location"), "/v1/devices/newcomer");
    ck_assert_str_eq(answer_text(&a, "name"), "New");
    ck_assert_str_eq(answer_text(&a, "groups/0"), "lab");
    answer_clear(&a);
    request(&f, &a, "DELETE", "/v1/join/stranger", NULL, NULL);
    ck_assert_int_eq(a.status, 204);
    answer_clear(&a);
    request(&f, &a, "DELETE", "/v1/join/stranger", NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    request(&f, &a, "POST", "/v1/join/stranger", NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    request(&f, &a, "DELETE", "/v1/join", NULL, NULL);
    ck_assert_int_eq(a.status, 204);
}
END_TEST

START_TEST(bad_requests_to_join_are_refused)
{
    static const char *const bad[] = {"{\"minutes\": 0}",   "{\"minutes\": 1441}", "{\"minutes\": \"5\"}",
                                      "{\"minutes\": 1.5}", "{\"minutes\": null}", "{}"};

    for (size_t i = 0; i < array_size(bad); i++) {
        request_json(&f, &a, "PUT", "/v1/join", NULL, bad[i]);
        expect_problem(&a, FAULT_INVALID_FIELD);
    }
    request_json(&f, &a, "PUT", "/v1/join", NULL, "{\"minutes\": 5, \"seconds\": 5}");
    expect_problem(&a, FAULT_UNKNOWN_FIELD);
    request(&f, &a, "GET", "/v1/join", NULL, NULL);
    ck_assert_ptr_nonnull(strstr(buffer_text(&a.body), "\"open\":false"));
    answer_clear(&a);
    request(&f, &a, "DELETE", "/v1/join/%2e", NULL, NULL);
    expect_problem(&a, FAULT_INVALID_ID);
    request_json(&f, &a, "PUT", "/v1/join", NULL, "{\"minutes\": 1440}");
    ask_to_join("newcomer");
    answer_clear(&a);
    request_json(&f, &a, "POST", "/v1/join/newcomer", NULL, "{\"address\": \"coap://[::1]\"}");
    expect_problem(&a, FAULT_UNKNOWN_FIELD);
    request_json(&f, &a, "POST", "/v1/join/newcomer", NULL, "{\"allow_plain\": 1}");
    expect_problem(&a, FAULT_INVALID_FIELD);
}
END_TEST

/* Shadows --------------------------------------------------------------------------------------------------------- */

#define DESIRED "/v1/devices/box/shadow/desired"
#define REPORTED "/v1/devices/box/shadow/reported"

START_TEST(wishes_are_kept)
{
    char line[96], tag[32];

    request(&f, &a, "GET", DESIRED, NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    request(&f, &a, "PUT", DESIRED, "Content-Type: application/senml+json\r\nIf-None-Match: *\r\n", "[1]");
    ck_assert_int_eq(a.status, 201);
    (void)text_copy(tag, sizeof tag, answer_header(&a, "ETag"));
    ck_assert_str_ne(tag, "");
    answer_clear(&a);
    request(&f, &a, "GET", DESIRED, NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(buffer_text(&a.body), "[1]");
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/senml+json");
    ck_assert_str_eq(answer_header(&a, "ETag"), tag);
    ck_assert_str_eq(answer_header(&a, "Content-Security-Policy"), "sandbox");
    answer_clear(&a);
    (void)snprintf(line, sizeof line, "If-None-Match: %s\r\n", tag);
    request(&f, &a, "GET", DESIRED, line, NULL);
    ck_assert_int_eq(a.status, 304);
    answer_clear(&a);
    request(&f, &a, "PUT", DESIRED, "If-None-Match: *\r\n", "x");
    expect_problem(&a, FAULT_PRECONDITION_FAILED);
    (void)snprintf(line, sizeof line, "If-Match: %s\r\n", tag);
    request(&f, &a, "PUT", DESIRED, line, "second");
    ck_assert_int_eq(a.status, 204);
    ck_assert_str_ne(answer_header(&a, "ETag"), tag);
    answer_clear(&a);
    request(&f, &a, "PUT", DESIRED, line, "third");
    expect_problem(&a, FAULT_PRECONDITION_FAILED);
    request(&f, &a, "DELETE", DESIRED, line, NULL);
    expect_problem(&a, FAULT_PRECONDITION_FAILED);
    request(&f, &a, "GET", DESIRED, NULL, NULL);
    ck_assert_str_eq(buffer_text(&a.body), "second");
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/octet-stream");
    answer_clear(&a);
    request(&f, &a, "DELETE", DESIRED, NULL, NULL);
    ck_assert_int_eq(a.status, 204);
    answer_clear(&a);
    request(&f, &a, "DELETE", DESIRED, NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
}
END_TEST

START_TEST(any_bytes_are_kept_and_bad_ones_refused)
{
    char large[4098];
    struct client c;

    client_open(&c, &f);
    client_print(&c, "PUT " DESIRED " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/coap-payload;cf=4711\r\n"
                     "Content-Length: 3\r\n\r\n");
    client_send(&c, "\0\xff\n", 3);
    ck_assert(client_receive(&c, &a, false));
    ck_assert_int_eq(a.status, 201);
    answer_clear(&a);
    client_print(&c, "GET " DESIRED " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert(client_receive(&c, &a, false));
    ck_assert_uint_eq(a.body.size, 3);
    ck_assert_mem_eq(a.body.data, "\0\xff\n", 3);
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/coap-payload;cf=4711");
    client_close(&c);
    answer_clear(&a);
    request(&f, &a, "PUT", DESIRED, "Content-Type: text/html\r\n", "x");
    expect_problem(&a, FAULT_UNSUPPORTED_MEDIA_TYPE);
    request(&f, &a, "PUT", DESIRED, "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "x");
    expect_problem(&a, FAULT_UNSUPPORTED_MEDIA_TYPE);
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    request(&f, &a, "PUT", DESIRED, NULL, large);
    expect_problem(&a, FAULT_BODY_TOO_LARGE);
    request(&f, &a, "PUT", DESIRED, "Content-Length: 8193\r\nExpect: 100-continue\r\n", NULL);
    expect_problem(&a, FAULT_BODY_TOO_LARGE);
    request(&f, &a, "PUT", REPORTED, NULL, "x");
    expect_problem(&a, FAULT_METHOD_NOT_ALLOWED);
    request(&f, &a, "GET", "/v1/devices/nobody/shadow/desired", NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    request(&f, &a, "GET", "/v1/devices/box/shadow/other", NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
}
END_TEST

static void reported(void *arg, const struct fault *fault)
{
    ck_assert_int_eq(fault->code, FAULT_NONE);
    *(unsigned *)arg = 1;
}

START_TEST(what_a_device_said_is_shown)
{
    struct device *device = core_find_device(f.core, "box");
    struct fault fault;
    unsigned done = 0;

    request(&f, &a, "GET", REPORTED, NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    ck_assert_int_eq(core_put_shadow(f.core, device, SHADOW_REPORTED, &(struct shadow){.format = 50, .size = 7},
                                     "{\"t\":1}", reported, &done, &fault),
                     0);
    fixture_wait(&f, &done);
    request(&f, &a, "GET", REPORTED, NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(buffer_text(&a.body), "{\"t\":1}");
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/json");
    answer_clear(&a);
    request(&f, &a, "HEAD", REPORTED, NULL, NULL);
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(answer_header(&a, "Content-Length"), "7");
}
END_TEST

START_TEST(a_write_of_a_shadow_is_repeated_safely)
{
    request(&f, &a, "PUT", DESIRED, "Idempotency-Key: k\r\n", "one");
    ck_assert_int_eq(a.status, 201);
    answer_clear(&a);
    request(&f, &a, "PUT", DESIRED, "Idempotency-Key: k\r\n", "one");
    ck_assert_int_eq(a.status, 201);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "true");
    answer_clear(&a);
    request(&f, &a, "PUT", DESIRED, "Idempotency-Key: k\r\n", "two");
    expect_problem(&a, FAULT_KEY_REUSED);
}
END_TEST

/* Metrics --------------------------------------------------------------------------------------------------------- */

/* What follows the family's name in a sample. */
static bool is_of_histogram(const char *text)
{
    return strncmp(text, "_bucket{", 8) == 0 || strncmp(text, "_sum", 4) == 0 || strncmp(text, "_count", 6) == 0;
}

/* Each family has HELP and TYPE once, before its samples, and no sample twice. */
static void check_metrics(char *text)
{
    char family[96] = "", seen[8192] = "", *line;

    while ((line = strsep(&text, "\n")) && *line) {
        char name[128], mark[160];

        if (strncmp(line, "# HELP ", 7) == 0) {
            (void)sscanf(line + 7, "%95s", family);
            (void)snprintf(mark, sizeof mark, "|%s|", family);
            ck_assert_msg(!strstr(seen, mark), "%s twice", family);
            strncat(seen, mark, sizeof seen - strlen(seen) - 1);
            line = strsep(&text, "\n");
            ck_assert_ptr_nonnull(line);
            (void)snprintf(name, sizeof name, "# TYPE %s ", family);
            ck_assert_msg(strncmp(line, name, strlen(name)) == 0, "%s", line);
            ck_assert(strcmp(line + strlen(name), "counter") == 0 || strcmp(line + strlen(name), "gauge") == 0 ||
                      strcmp(line + strlen(name), "histogram") == 0);
            continue;
        }
        ck_assert_msg(strncmp(line, family, strlen(family)) == 0, "%s", line);
        ck_assert_msg(strchr(" {", line[strlen(family)]) || is_of_histogram(line + strlen(family)), "%s", line);
        (void)snprintf(mark, sizeof mark, "|%.*s|", (int)strcspn(line, " "), line);
        ck_assert_msg(!strstr(seen, mark) || strcspn(line, " ") == strlen(family), "%s twice", line);
        ck_assert_uint_eq(strspn(strrchr(line, ' ') + 1, "0123456789.e+"), strlen(strrchr(line, ' ') + 1));
    }
    ck_assert_msg(line && !text, "the last line has no line feed");
}

START_TEST(metrics_are_for_prometheus)
{
    char *text;

    request(&f, &a, "GET", "/metrics", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    ck_assert_ptr_nonnull(strstr(buffer_text(&a.body), "# TYPE tcgw_devices gauge\ntcgw_devices 1\n"));
    ck_assert_ptr_nonnull(strstr(buffer_text(&a.body), "tcgw_oscore_refused_total{reason=\"replay\"} 3\n"
                                                       "tcgw_oscore_refused_total{reason=\"decrypt\"} 0\n"));
    ck_assert_ptr_nonnull(strstr(buffer_text(&a.body), "tcgw_http_answers_total{code=\"2xx\"} 1\n"));
    text = strdup(buffer_text(&a.body));
    check_metrics(text);
    free(text);
    answer_clear(&a);
    request(&f, &a, "GET", "/metrics", "Accept: application/openmetrics-text;q=0.8,text/plain;version=0.0.4;q=0.5\r\n",
            NULL);
    expect_status(&a, 200);
    answer_clear(&a);
    request(&f, &a, "GET", "/metrics", "Accept: application/json\r\n", NULL);
    expect_problem(&a, FAULT_NOT_ACCEPTABLE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rest_security");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, secrets_are_told_once);
    tcase_add_test(tcase, each_kind_can_be_made);
    tcase_add_test(tcase, no_answer_with_secrets_is_kept);
    tcase_add_test(tcase, credentials_are_imported);
    tcase_add_loop_test(tcase, bad_credentials_are_refused, 0, array_size(bad_credentials));
    tcase_add_test(tcase, credentials_need_a_device_and_json);
    tcase_add_test(tcase, credentials_are_revoked);
    tcase_add_test(tcase, contexts_are_distrusted);
    tcase_add_test(tcase, agents_join);
    tcase_add_test(tcase, bad_requests_to_join_are_refused);
    tcase_add_test(tcase, wishes_are_kept);
    tcase_add_test(tcase, any_bytes_are_kept_and_bad_ones_refused);
    tcase_add_test(tcase, what_a_device_said_is_shown);
    tcase_add_test(tcase, a_write_of_a_shadow_is_repeated_safely);
    tcase_add_test(tcase, metrics_are_for_prometheus);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
