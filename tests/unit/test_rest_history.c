/* Questions about the history: their parameters, cursors, and the answers as text. */
#include "base/cleanup.h"
#include "rest/history.h"
#include "suite.h"

#include <math.h>
#include <string.h>

static const char *accept_header;

static const char *find_header(const struct http_request *req, const char *name)
{
    (void)req;
    return strcmp(name, "Accept") == 0 ? accept_header : NULL;
}

static const struct http_transport transport = {.header = find_header};

/* Reads a query string. */
static int reads(const char *query, struct history_question *out, struct fault *fault)
{
    static struct http_request req;
    char target[HTTP_TARGET_MAX];

    (void)snprintf(target, sizeof target, "/v1/telemetry?%s", query);
    http_begin(&req, &transport, NULL, target);
    http_parse_query(&req);
    ck_assert_int_eq(req.fault.code, FAULT_NONE);
    *fault = (struct fault){.code = FAULT_NONE};
    return history_read(&req, NULL, out, fault);
}

/* Parameters ------------------------------------------------------------------------------------------------------- */

#define NOW INT64_C(1767225600000000)

static const struct {
    const char *text;
    int64_t us;
} good_times[] = {
    {"now", NOW},
    {"-1h", NOW - 3600000000},
    {"-1h30m", NOW - 5400000000},
    {"-500ms", NOW - 500000},
    {"-2w", NOW - 1209600000000},
    {"+1d", NOW + 86400000000},
    {" 1d", NOW + 86400000000}, /* a plus that nobody encoded */
    {"2026-01-01T00:00:00.000001Z", NOW + 1},
    {"2026-01-01T02:00:00+02:00", NOW},
    {"2026-01-01T02:00:00 02:00", NOW},
    {"2025-12-31T19:00:00-05:00", NOW},
};

START_TEST(times_are_read)
{
    int64_t us = 0;

    ck_assert(history_parse_time(good_times[_i].text, NOW, &us));
    ck_assert_int_eq(us, good_times[_i].us);
}
END_TEST

static const char *const bad_queries[] = {
    "from=",
    "from=yesterday",
    "from=-",
    "from=-1",
    "from=-1y",
    "from=-h",
    "from=-1h1",
    "from=-99999999w",
    "from=-99999999999999999999s",
    "from=2026-01-01",
    "to=1767225600",
    "from=now&to=-1h",
    "from=now&to=now",
    "limit=0",
    "limit=1001",
    "limit=x",
    "limit=-1",
    "order=up",
    "order=",
    "cursor=",
    "cursor=zz",
    "cursor=31",
    "cursor=3120",
    "cursor=31206465762074656d7020",
    "name=",
    "name=a%20b",
    "name=*a",
    "name=a**",
    "name=%C3%A4",
    "aggregate=min",
    "aggregate=&bucket=5m",
    "aggregate=avg&bucket=5m",
    "aggregate=min,&bucket=5m",
    "aggregate=min%20max&bucket=5m",
    "bucket=",
    "bucket=0s",
    "bucket=999ms",
    "bucket=5",
    "bucket=-5m",
    "bucket=5m&order=desc",
};

START_TEST(bad_parameters_are_told)
{
    struct history_question question;
    struct fault fault;

    accept_header = NULL;
    ck_assert_msg(reads(bad_queries[_i], &question, &fault) == 1, "%s", bad_queries[_i]);
    ck_assert_int_eq(fault.code, FAULT_INVALID_PARAMETER);
    ck_assert_uint_gt(strlen(fault.detail), 10);
}
END_TEST

START_TEST(good_parameters_are_taken)
{
    struct history_question question;
    struct fault fault;

    accept_header = NULL;
    ck_assert_int_eq(reads("", &question, &fault), 0);
    ck_assert(question.query.from == INT64_MIN && question.query.to == INT64_MAX && !question.query.name);
    ck_assert(question.query.limit == 100 && question.query.aggregate == HISTORY_RAW && !question.query.newest_first);
    ck_assert_ptr_null(question.query.after_device);
    ck_assert_int_eq(reads("name=urn:dev/temp*&order=desc&limit=1000", &question, &fault), 0);
    ck_assert_str_eq(question.query.name, "urn:dev/temp*");
    ck_assert(question.query.newest_first && question.query.limit == 1000);
    ck_assert_int_eq(reads("aggregate=min,count&bucket=1h30m", &question, &fault), 0);
    ck_assert_uint_eq(question.columns, HISTORY_MIN | HISTORY_COUNT);
    ck_assert_int_eq(question.query.bucket_us, 5400000000);
    ck_assert_int_eq(reads("bucket=1s", &question, &fault), 0);
    ck_assert_uint_eq(question.columns & 31, 31);
}
END_TEST

static const struct {
    const char *accept;
    int format; /* -1: none */
} accepts[] = {
    {NULL, HISTORY_JSON},
    {"*/*", HISTORY_JSON},
    {"text/csv", HISTORY_CSV},
    {"text/csv, */*;q=0.1", HISTORY_CSV},
    {"text/*", HISTORY_CSV},
    {"application/senml+json", HISTORY_SENML_JSON},
    {"application/senml+cbor;q=0.5", HISTORY_SENML_CBOR},
    {"application/json;q=0, application/*", HISTORY_SENML_JSON},
    {"text/html", -1},
};

START_TEST(the_format_is_what_is_accepted)
{
    struct history_question question;
    struct fault fault;

    accept_header = accepts[_i].accept;
    ck_assert_int_eq(reads("", &question, &fault), accepts[_i].format < 0);
    if (accepts[_i].format < 0)
        ck_assert_int_eq(fault.code, FAULT_NOT_ACCEPTABLE);
    else
        ck_assert_int_eq((int)question.format, accepts[_i].format);
    if (accepts[_i].format >= HISTORY_SENML_JSON) {
        ck_assert_int_eq(reads("bucket=5m", &question, &fault), 1);
        ck_assert_int_eq(fault.code, FAULT_NOT_ACCEPTABLE);
    }
}
END_TEST

/* Text ------------------------------------------------------------------------------------------------------------- */

static const struct history_point points[] = {
    {.device = "box",
     .record = {.name = "temp",
                .unit = "Cel",
                .time_us = NOW + 1,
                .kind = TELEMETRY_NUMBER,
                .number = 0.1,
                .flags = TELEMETRY_TIME_ASSIGNED | TELEMETRY_TIME_SUSPECT}},
    {.device = "box",
     .record =
         {.name = "text", .unit = "", .time_us = NOW, .kind = TELEMETRY_STRING, .bytes = "a \"b\",\n", .size = 7}},
    {.device = "box",
     .record = {.name = "on", .unit = "", .time_us = NOW, .kind = TELEMETRY_BOOLEAN, .has_sum = true, .sum = 7}},
    {.device = "box",
     .record = {.name = "raw", .unit = "", .time_us = NOW, .kind = TELEMETRY_DATA, .bytes = "\xff", .size = 1}},
    {.device = "box2",
     .record = {.name = "temp", .unit = "", .time_us = -1, .kind = TELEMETRY_NUMBER, .number = 1e300},
     .downsampled = true,
     .count = 3,
     .min = -1,
     .max = 2.5,
     .mean = 1},
};

static char *written(const struct history_question *question, const struct history_page *page)
{
    struct buffer out = {0};
    size_t size;

    history_write(&out, question, page);
    ck_assert(!out.failed);
    return (char *)buffer_steal(&out, &size);
}

START_TEST(records_as_json)
{
    const struct history_question question = {.format = HISTORY_JSON};
    char *text = written(&question, &(struct history_page){array_size(points), points, true});
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *items = json_object_get(json, "items"), *first = json_array_get(items, 0);
    struct history_question again = {.columns = 0};

    ck_assert_ptr_nonnull(json);
    ck_assert_uint_eq(json_array_size(items), array_size(points));
    ck_assert_str_eq(json_string_value(json_object_get(first, "time")), "2026-01-01T00:00:00.000001Z");
    ck_assert_ptr_nonnull(strstr(text, "\"value\":0.1,\"assigned\":true,\"suspect\":true"));
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(items, 1), "value")), "a \"b\",\n");
    ck_assert_ptr_nonnull(strstr(text, "\"value\":false,\"sum\":7"));
    ck_assert_ptr_nonnull(strstr(text, "\"value_base64\":\"/w==\""));
    ck_assert_ptr_nonnull(strstr(text, "\"downsampled\":true,\"count\":3,\"min\":-1,\"max\":2.5,\"mean\":1}"));
    ck_assert(history_parse_cursor(json_string_value(json_object_get(json, "next")), &again));
    ck_assert_str_eq(again.query.after_device, "box2");
    ck_assert_str_eq(again.query.after_name, "temp");
    ck_assert_int_eq(again.query.after_time, -1);
    json_decref(json);
    free(text);
}
END_TEST

START_TEST(records_as_csv)
{
    const struct history_question question = {.format = HISTORY_CSV};
    char *text = written(&question, &(struct history_page){array_size(points), points, false});

    ck_assert_str_eq(text, "device,name,time,unit,value,sum,flags,count,min,max,mean\r\n"
                           "box,temp,2026-01-01T00:00:00.000001Z,Cel,0.1,,assigned suspect,,,,\r\n"
                           "box,text,2026-01-01T00:00:00.000000Z,,\"a \"\"b\"\",\n\",,,,,,\r\n"
                           "box,on,2026-01-01T00:00:00.000000Z,,false,7,,,,,\r\n"
                           "box,raw,2026-01-01T00:00:00.000000Z,,/w==,,,,,,\r\n"
                           "box2,temp,1969-12-31T23:59:59.999999Z,,1e+300,,downsampled,3,-1,2.5,1\r\n");
    free(text);
}
END_TEST

START_TEST(records_as_senml)
{
    const struct history_question question = {.format = HISTORY_SENML_JSON};
    char *text = written(&question, &(struct history_page){array_size(points), points, false});
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    ck_assert_uint_eq(json_array_size(json), array_size(points));
    ck_assert_ptr_nonnull(strstr(text, "box"));
    ck_assert_ptr_nonnull(strstr(text, "vs"));
    json_decref(json);
    free(text);
}
END_TEST

START_TEST(buckets)
{
    struct history_point bucket = points[0];
    struct history_question question = {.format = HISTORY_JSON,
                                        .query = {.aggregate = HISTORY_BUCKETS},
                                        .columns = HISTORY_MIN | HISTORY_LAST | HISTORY_COUNT};
    const struct history_page page = {1, &bucket, false};
    char *text;

    bucket.count = 2;
    bucket.min = NAN; /* none of them was a number */
    bucket.last_us = NOW + 2;
    text = written(&question, &page);
    ck_assert_str_eq(text,
                     "{\"items\":[{\"device\":\"box\",\"name\":\"temp\",\"unit\":\"Cel\",\"time\":\"2026-01-01T00:"
                     "00:00.000001Z\",\"count\":2,\"min\":null,\"last\":{\"time\":\"2026-01-01T00:00:00.000002Z\","
                     "\"value\":0.1}}],\"next\":null}");
    free(text);
    question.format = HISTORY_CSV;
    text = written(&question, &page);
    ck_assert_str_eq(text, "device,name,time,unit,count,min,last,last_at\r\n"
                           "box,temp,2026-01-01T00:00:00.000001Z,Cel,2,,0.1,2026-01-01T00:00:00.000002Z\r\n");
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rest_history");
    TCase *tcase = tcase_create("history");

    tcase_add_loop_test(tcase, times_are_read, 0, array_size(good_times));
    tcase_add_loop_test(tcase, bad_parameters_are_told, 0, array_size(bad_queries));
    tcase_add_test(tcase, good_parameters_are_taken);
    tcase_add_loop_test(tcase, the_format_is_what_is_accepted, 0, array_size(accepts));
    tcase_add_test(tcase, records_as_json);
    tcase_add_test(tcase, records_as_csv);
    tcase_add_test(tcase, records_as_senml);
    tcase_add_test(tcase, buckets);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
