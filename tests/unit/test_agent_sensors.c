/* The agent's sensors as resources. */
#include "agent/sensors.h"

#include "agent_fixture.h"
#include "suite.h"

#include <string.h>

#define PERIOD 10000

/* GET with options; 0 for an Accept or Observe is none: use NONE. */
#define NONE UINT32_MAX

static uint8_t get(struct fixture *f, const char *name, uint32_t accept, uint32_t observe)
{
    struct coapmsg request;
    char path[64];

    (void)snprintf(path, sizeof path, "/sensors/%s", name);
    fixture_request(f, &request, COAPMSG_GET, path);
    if (observe != NONE)
        coapmsg_add_uint(&request, COAPMSG_OPT_OBSERVE, observe);
    if (accept != NONE)
        coapmsg_add_uint(&request, COAPMSG_OPT_ACCEPT, accept);
    fixture_send(f, &request);
    return f->answer.code;
}

static uint32_t option(const struct fixture *f, uint16_t number)
{
    uint32_t value = NONE;

    (void)!coapmsg_get_uint(&f->answer, number, &value);
    return value;
}

static void payload_is(const struct fixture *f, const char *text)
{
    ck_assert_uint_eq(f->answer.payload_size, strlen(text));
    ck_assert_mem_eq(f->answer.payload, text, strlen(text));
}

START_TEST(test_values)
{
    for (enum sensor sensor = 0; sensor < SENSOR_COUNT; sensor++) {
        ck_assert_int_eq(sensor_from_name(sensor_name(sensor)), sensor);
        for (uint64_t step = 0; step < 3000; step++) {
            struct telemetry_record record = sensor_read(sensor, 7, step);

            ck_assert_str_eq(record.name, sensor_name(sensor));
            if (sensor == SENSOR_TEMPERATURE)
                ck_assert(record.number >= 19 && record.number <= 23);
            if (sensor == SENSOR_HUMIDITY)
                ck_assert(record.number >= 40 && record.number <= 60);
            if (sensor == SENSOR_COUNTER)
                ck_assert_double_eq(record.number, (double)step);
        }
    }
    ck_assert_int_eq(sensor_from_name("pressure"), SENSOR_COUNT);
}
END_TEST

START_TEST(test_formats)
{
    static const uint8_t cbor[] = {0x81, 0xa3, 0x00, 0x67, 'c', 'o', 'u', 'n', 't', 'e',
                                   'r',  0x01, 0x65, 'c',  'o', 'u', 'n', 't', 0x02};
    struct fixture *f = fixture_new(DEVICE_V2, "");

    ck_assert_uint_eq(get(f, "counter", NONE, NONE), COAPMSG_CONTENT);
    payload_is(f, "0");
    ck_assert_uint_eq(option(f, COAPMSG_OPT_CONTENT_FORMAT), COAPMSG_FORMAT_TEXT);
    ck_assert_uint_eq(option(f, COAPMSG_OPT_MAX_AGE), PERIOD / 1000);
    fixture_pass(f, 3 * PERIOD + 2500);
    ck_assert_uint_eq(get(f, "counter", COAPMSG_FORMAT_SENML_JSON, NONE), COAPMSG_CONTENT);
    payload_is(f, "[{\"n\":\"counter\",\"u\":\"count\",\"v\":3}]");
    ck_assert_uint_eq(option(f, COAPMSG_OPT_MAX_AGE), 7);
    ck_assert_uint_eq(get(f, "counter", COAPMSG_FORMAT_SENML_CBOR, NONE), COAPMSG_CONTENT);
    ck_assert_uint_eq(f->answer.payload_size, sizeof cbor + 1);
    ck_assert_mem_eq(f->answer.payload, cbor, sizeof cbor);
    ck_assert_uint_eq(option(f, COAPMSG_OPT_CONTENT_FORMAT), COAPMSG_FORMAT_SENML_CBOR);
    ck_assert_uint_eq(get(f, "door", COAPMSG_FORMAT_TEXT, NONE), COAPMSG_CONTENT);
    payload_is(f, "false");
    ck_assert_uint_eq(get(f, "door", COAPMSG_FORMAT_OCTETS, NONE), COAPMSG_NOT_ACCEPTABLE);
    ck_assert_uint_eq(get(f, "pressure", NONE, NONE), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/sensors", NULL), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_PUT, "/sensors/door", NULL), COAPMSG_METHOD_NOT_ALLOWED);
    fixture_end(f);
}
END_TEST

START_TEST(test_validation)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    const struct coapmsg_option *etag;
    struct coapmsg request;
    uint8_t tag[8];

    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(get(f, "temperature", NONE, NONE), COAPMSG_CONTENT);
        etag = coapmsg_find(&f->answer, COAPMSG_OPT_ETAG);
        ck_assert_ptr_nonnull(etag);
        ck_assert_uint_eq(etag->length, sizeof tag);
        memcpy(tag, etag->value, sizeof tag);
        for (int k = 0; k < 2; k++) {
            fixture_request(f, &request, COAPMSG_GET, "/sensors/temperature");
            coapmsg_add(&request, COAPMSG_OPT_ETAG, "other", 5);
            coapmsg_add(&request, COAPMSG_OPT_ETAG, tag, sizeof tag);
            fixture_send(f, &request);
            ck_assert_uint_eq(f->answer.code, k ? COAPMSG_CONTENT : COAPMSG_VALID);
            ck_assert_uint_eq(f->answer.payload_size == 0, !k);
            ck_assert_uint_ne(option(f, COAPMSG_OPT_MAX_AGE), NONE);
            fixture_pass(f, k ? 0 : PERIOD);
        }
        agent_restart(&f->agent, false);
    }
    fixture_end(f);
}
END_TEST

static void acknowledge(struct fixture *f, const struct coapmsg *msg, enum coapmsg_type type)
{
    const uint8_t data[] = {(uint8_t)(0x40 | type << 4), 0, (uint8_t)(msg->id >> 8), (uint8_t)msg->id};

    fixture_send_bytes(f, data, sizeof data);
}

/* The next notification in f->answer; false when there is none. */
static bool next(struct fixture *f, int64_t ms)
{
    f->sent_count = 0;
    fixture_pass(f, ms);
    return f->sent_count && coapmsg_decode(&f->answer, f->sent[0].data, f->sent[0].size) == 0;
}

START_TEST(test_observed)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    char text[64];

    ck_assert_uint_eq(get(f, "counter", COAPMSG_FORMAT_SENML_JSON, 0), COAPMSG_CONTENT);
    ck_assert_uint_eq(option(f, COAPMSG_OPT_OBSERVE), 1);
    for (unsigned i = 1; i < 4; i++) {
        ck_assert(next(f, PERIOD));
        ck_assert_uint_eq(f->answer.type, COAPMSG_CON);
        ck_assert_uint_eq(option(f, COAPMSG_OPT_OBSERVE), i + 1);
        ck_assert_uint_ge(option(f, COAPMSG_OPT_MAX_AGE), PERIOD / 1000);
        (void)snprintf(text, sizeof text, "[{\"n\":\"counter\",\"u\":\"count\",\"v\":%u}]", i);
        payload_is(f, text);
        acknowledge(f, &f->answer, COAPMSG_ACK);
    }
    ck_assert(next(f, PERIOD));
    acknowledge(f, &f->answer, COAPMSG_RST);
    ck_assert(!next(f, 3 * PERIOD));
    fixture_end(f);
}
END_TEST

START_TEST(test_broken)
{
    struct fixture *f = fixture_new(DEVICE_V2, "sensor-error=1");

    ck_assert_uint_eq(get(f, "door", NONE, NONE), COAPMSG_INTERNAL_ERROR);
    ck_assert_uint_eq(get(f, "door", NONE, 0), COAPMSG_CONTENT);
    f->agent.device.bugs.sensor_error = 1;
    ck_assert(next(f, PERIOD));
    ck_assert_uint_eq(f->answer.code, COAPMSG_INTERNAL_ERROR);
    ck_assert_uint_eq(option(f, COAPMSG_OPT_OBSERVE), NONE);
    acknowledge(f, &f->answer, COAPMSG_ACK);
    ck_assert(!next(f, 3 * PERIOD)); /* that was the end of it */
    fixture_end(f);
}
END_TEST

START_TEST(test_endless)
{
    struct fixture *f = fixture_new(DEVICE_V2, "sensor-endless");
    struct coapmsg_block block = {0};
    struct coapmsg request;

    for (uint32_t i = 0; i < 2000; i += 500) {
        fixture_request(f, &request, COAPMSG_GET, "/sensors/door");
        if (i)
            coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){i, false, 2});
        fixture_send(f, &request);
        ck_assert_uint_eq(f->answer.code, COAPMSG_CONTENT);
        ck_assert_int_eq(coapmsg_get_block(&f->answer, COAPMSG_OPT_BLOCK2, &block), 0);
        ck_assert(block.more);
        ck_assert_uint_eq(block.num, i);
        ck_assert_uint_eq(f->answer.payload_size, i ? 64 : 1024);
    }
    fixture_end(f);
}
END_TEST

START_TEST(test_observed_forever)
{
    struct fixture *f = fixture_new(DEVICE_V2, "observe-forever");

    ck_assert_uint_eq(get(f, "door", NONE, 0), COAPMSG_CONTENT);
    ck_assert_uint_eq(get(f, "door", NONE, 1), COAPMSG_CONTENT);
    ck_assert(next(f, PERIOD));
    acknowledge(f, &f->answer, COAPMSG_RST);
    ck_assert(next(f, 2 * PERIOD));
    ck_assert(next(f, 200000)); /* nobody acknowledges any */
    fixture_end(f);
}
END_TEST

START_TEST(test_fast)
{
    const struct device_options options = {.kind = DEVICE_V2, .slots = 1, .package_max = 65536, .sensor_period_ms = 10};
    struct fixture *f = fixture_new_with(&options, 1204);

    ck_assert_uint_eq(get(f, "counter", NONE, 0), COAPMSG_CONTENT);
    for (int i = 0; i < 50; i++) {
        ck_assert(next(f, 10));
        if (i == 49)
            payload_is(f, "50");
        acknowledge(f, &f->answer, COAPMSG_ACK);
    }
    fixture_end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent sensors");
    TCase *tcase = tcase_create("agent sensors");

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_values);
    tcase_add_test(tcase, test_formats);
    tcase_add_test(tcase, test_validation);
    tcase_add_test(tcase, test_observed);
    tcase_add_test(tcase, test_broken);
    tcase_add_test(tcase, test_endless);
    tcase_add_test(tcase, test_observed_forever);
    tcase_add_test(tcase, test_fast);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
