/* What the agent's sensors and containers give goes to the gateway, and nothing is lost on the way. */
#include "agent_plain.h"
#include "codec/senml.h"
#include "suite.h"

#include <string.h>

#define INTERVAL 1000
#define WALL_US 1700000000000000 /* at the begin of each test */
#define RECORDS 10

static struct fixture *begin(const struct outbox_options *outbox)
{
    struct agent_options options = {.traffic.outbox = *outbox};
    struct fixture *f;

    f = plain_new(&options);
    f->clock.wall = WALL_US / 1000;
    return f;
}

static const struct outbox_options packs = {.samples = true, .interval_ms = INTERVAL, .records = RECORDS};

/* The records of the latest message, which is SenML for /t. */
static void take_pack(struct fixture *f, enum senml_format format, struct senml_pack *pack)
{
    const struct senml_options options = {.now_us = WALL_US, .max_records = 1000};
    uint32_t content_format;

    plain_expect(f, COAPMSG_POST, "/t");
    ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_CONTENT_FORMAT, &content_format));
    ck_assert_uint_eq(content_format, format == SENML_CBOR ? COAPMSG_FORMAT_SENML_CBOR : COAPMSG_FORMAT_SENML_JSON);
    ck_assert_int_eq(senml_parse(pack, format, f->answer.payload, f->answer.payload_size, &options), 0);
}

static unsigned outcomes(const struct fixture *f, const char *outcome)
{
    char text[48];

    (void)snprintf(text, sizeof text, "\"outcome\":\"%s\"", outcome);
    return fixture_journal_count(f, "\"event\":\"telemetry\"", text);
}

static void check_samples(const struct senml_pack *pack, uint64_t first, int64_t last_us)
{
    ck_assert_uint_eq(pack->count, RECORDS);
    for (size_t i = 0; i < pack->count; i++) {
        const struct telemetry_record *record = &pack->records[i];
        struct telemetry_record sample =
            sensor_read((enum sensor)((first + i) % SENSOR_COUNT), 0, (first + i) / SENSOR_COUNT);

        ck_assert_str_eq(record->name, sample.name);
        ck_assert_str_eq(record->unit, sample.unit);
        ck_assert_int_eq(record->kind, sample.kind);
        ck_assert_double_eq(record->number, sample.number);
        ck_assert_int_eq(record->boolean, sample.boolean);
        ck_assert_int_eq(record->time_us, last_us - (int64_t)(RECORDS - 1 - i) * INTERVAL * 1000 / RECORDS);
    }
}

static void run_packs(enum outbox_format format, enum senml_format senml)
{
    struct outbox_options options = packs;
    struct senml_pack pack = {0};
    struct fixture *f;

    options.format = format;
    f = begin(&options);
    plain_pass(f, 1);
    for (int i = 0; i < 3; i++) {
        take_pack(f, senml, &pack);
        check_samples(&pack, (uint64_t)i * RECORDS, WALL_US + (int64_t)i * INTERVAL * 1000);
        plain_reply_code(f, COAPMSG_CHANGED);
        ck_assert_uint_eq(outcomes(f, "acknowledged"), (unsigned)i + 1);
        (void)plain_wait(f, INTERVAL);
    }
    ck_assert_uint_eq(f->agent.traffic.outbox.counters.records, 3 * RECORDS);
    ck_assert_uint_eq(fixture_journal_count(f, "[\"counter\",1700000000300000,0]", "acknowledged"), 0);
    ck_assert_uint_eq(fixture_journal_count(f, "[\"counter\",1699999999300000,0],[\"door\",1699999999400000,true],",
                                            "\"records\":[[\"temperature\",1699999999100000,19"),
                      1);
    senml_clear(&pack);
    fixture_end(f);
}

START_TEST(test_packs)
{
    run_packs(OUTBOX_CBOR, SENML_CBOR);
    run_packs(OUTBOX_JSON, SENML_JSON);
}
END_TEST

START_TEST(test_text)
{
    const struct outbox_options options = {.samples = true, .interval_ms = INTERVAL, .format = OUTBOX_TEXT};
    static const char *const paths[] = {"/t/temperature", "/t/humidity", "/t/counter", "/t/door", "/t/temperature"};
    struct fixture *f = begin(&options);
    uint32_t format;

    plain_pass(f, 1);
    for (size_t i = 0; i < array_size(paths); i++) {
        plain_expect(f, COAPMSG_POST, paths[i]);
        ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_CONTENT_FORMAT, &format) && format == COAPMSG_FORMAT_TEXT);
        if (i == 3)
            ck_assert(plain_contains(f, "true"));
        plain_reply_code(f, COAPMSG_CHANGED);
        (void)plain_wait(f, INTERVAL);
    }
    ck_assert_uint_eq(fixture_journal_count(f, "[[\"counter\",null,0]]", "acknowledged"), 1);
    fixture_end(f);
}
END_TEST

/* Without times a name that comes again waits for the next message. */
START_TEST(test_no_clock)
{
    struct outbox_options options = packs;
    struct senml_pack pack = {0};
    struct fixture *f;

    options.no_clock = true;
    f = begin(&options);
    plain_pass(f, 1);
    for (unsigned left = RECORDS; left; left -= (unsigned)pack.count) {
        take_pack(f, SENML_CBOR, &pack);
        ck_assert_uint_eq(pack.count, left < SENSOR_COUNT ? left : SENSOR_COUNT);
        for (size_t i = 0; i < pack.count; i++)
            ck_assert_uint_eq(pack.records[i].flags, TELEMETRY_TIME_ASSIGNED);
        plain_reply_code(f, COAPMSG_CHANGED);
    }
    senml_clear(&pack);
    fixture_end(f);
}
END_TEST

/* Until it is acknowledged the same bytes come again: after silence, and when the gateway says when. */
START_TEST(test_again_until_acknowledged)
{
    static const uint8_t codes[] = {COAPMSG_CODE(4, 29), COAPMSG_UNAVAILABLE, COAPMSG_INTERNAL_ERROR,
                                    COAPMSG_NOT_FOUND};
    struct fixture *f = begin(&packs);
    uint8_t first[1024];
    struct coapmsg reply;
    size_t size;

    plain_pass(f, 1);
    plain_expect(f, COAPMSG_POST, "/t");
    size = f->answer.payload_size;
    memcpy(first, f->answer.payload, size);
    plain_pass(f, 110000);
    for (size_t i = 0; i < array_size(codes); i++) {
        plain_expect(f, COAPMSG_POST, "/t");
        ck_assert_uint_eq(f->answer.payload_size, size);
        ck_assert_mem_eq(f->answer.payload, first, size);
        coapmsg_init(&reply, COAPMSG_ACK, 0);
        coapmsg_add_uint(&reply, COAPMSG_OPT_MAX_AGE, 20);
        plain_reply(f, &reply, codes[i]);
        ck_assert_int_eq(plain_wait(f, 100000), 20000);
    }
    plain_expect(f, COAPMSG_POST, "/t");
    ck_assert_mem_eq(f->answer.payload, first, size);
    ck_assert_uint_eq(outcomes(f, "acknowledged"), 0);
    plain_reply_code(f, COAPMSG_CHANGED);
    ck_assert_uint_eq(outcomes(f, "delayed"), 1);
    ck_assert_uint_eq(outcomes(f, "acknowledged"), 1);
    plain_expect(f, COAPMSG_POST, "/t"); /* what waited */
    fixture_end(f);
}
END_TEST

START_TEST(test_refused_for_good)
{
    static const uint8_t codes[] = {COAPMSG_BAD_REQUEST, COAPMSG_TOO_LARGE, COAPMSG_UNSUPPORTED_FORMAT};
    struct fixture *f = begin(&packs);

    plain_pass(f, 1);
    for (unsigned i = 0; i < array_size(codes); i++) {
        plain_expect(f, COAPMSG_POST, "/t");
        plain_reply_code(f, codes[i]);
        ck_assert_uint_eq(outcomes(f, "refused"), i + 1);
        (void)plain_wait(f, INTERVAL);
    }
    ck_assert_uint_eq(f->agent.traffic.outbox.counters.refused, 3 * RECORDS);
    fixture_end(f);
}
END_TEST

/* The gateway is away for long: the newest are kept, in their order. */
START_TEST(test_bounded_buffer)
{
    struct outbox_options options = packs;
    struct senml_pack pack = {0};
    uint64_t first = 0;
    struct fixture *f;
    int64_t last = 0;

    options.buffer = 100;
    f = begin(&options);
    plain_pass(f, 600000);
    ck_assert_uint_eq(outcomes(f, "dropping"), 1);
    ck_assert_uint_le(f->agent.traffic.outbox.waiting, 100);
    for (int i = 0; i < 11; i++) {
        take_pack(f, SENML_CBOR, &pack);
        ck_assert_int_gt(pack.records[0].time_us, last);
        last = pack.records[pack.count - 1].time_us;
        if (i == 1)
            first = (uint64_t)pack.records[0].time_us;
        plain_reply_code(f, COAPMSG_CHANGED);
    }
    ck_assert_int_eq(last - (int64_t)first, 100 * 100000 - 100000); /* a hundred in a row behind the first message */
    senml_clear(&pack);
    fixture_end(f);
}
END_TEST

START_TEST(test_full_speed)
{
    const struct outbox_options options = {.samples = true, .interval_ms = OUTBOX_FULL_SPEED, .records = 4};
    struct senml_pack pack = {0};
    int64_t last = 0;
    struct fixture *f = begin(&options);

    plain_pass(f, 1);
    for (int i = 0; i < 100; i++) {
        take_pack(f, SENML_CBOR, &pack);
        ck_assert_uint_eq(pack.count, 4);
        for (size_t k = 0; k < 4; k++) {
            ck_assert_int_gt(pack.records[k].time_us, last);
            last = pack.records[k].time_us;
        }
        plain_reply_code(f, COAPMSG_CHANGED);
    }
    senml_clear(&pack);
    fixture_end(f);
}
END_TEST

/* It sleeps: what was measured meanwhile goes out at the wake-up, with its times. */
START_TEST(test_asleep)
{
    struct agent_options options = {.traffic.outbox = packs, .nap = {.sleep_s = 10, .awake_ms = 100}};
    struct senml_pack pack = {0};
    unsigned messages = 0;
    struct fixture *f;

    f = plain_new(&options);
    f->clock.wall = WALL_US / 1000;
    plain_pass(f, 1);
    take_pack(f, SENML_CBOR, &pack);
    plain_reply_code(f, COAPMSG_CHANGED);
    ck_assert_int_gt(plain_wait(f, 20000), 9900);
    for (; plain_take(f); messages++) {
        take_pack(f, SENML_CBOR, &pack);
        check_samples(&pack, (messages + 1) * RECORDS, WALL_US + (int64_t)(messages + 1) * INTERVAL * 1000);
        plain_reply_code(f, COAPMSG_CHANGED);
    }
    ck_assert_uint_eq(messages, 10);
    plain_pass(f, 200);
    ck_assert(f->agent.nap.asleep);
    senml_clear(&pack);
    fixture_end(f);
}
END_TEST

/* A restart forgets what waits, and goes on counting. */
START_TEST(test_restart)
{
    struct senml_pack pack = {0};
    struct fixture *f = begin(&packs);

    plain_pass(f, 4500);
    agent_restart(&f->agent, false);
    (void)plain_wait(f, 2 * INTERVAL);
    take_pack(f, SENML_CBOR, &pack);
    check_samples(&pack, 5 * RECORDS, WALL_US + 5 * INTERVAL * 1000);
    senml_clear(&pack);
    fixture_end(f);
}
END_TEST

static int32_t write_text(struct fixture *f, const char *uid, uint32_t endpoint, const char *text)
{
    return board_send(f->agent.device.board, uid, endpoint, (const uint8_t *)text, strlen(text));
}

START_TEST(test_what_containers_write)
{
    const struct outbox_options options = {.records = 20};
    static const uint8_t minus_two[] = {0xfe, 0xff, 0xff, 0xff}, wide[] = {1, 0, 0, 0, 1, 0, 0, 0}, odd[] = {0, 1, 2};
    static const char *const numbers[] = {"21.5", "-3", "1e3"}, *const texts[] = {"open", "1,5", "nan", "12 "};
    struct fixture *f = begin(&options);
    struct senml_pack pack = {0};
    struct board *board = f->agent.device.board;

    ck_assert_int_eq(write_text(f, "first", 1, "x"), 1); /* goes out at once, alone */
    plain_pass(f, 1);
    take_pack(f, SENML_CBOR, &pack);
    ck_assert_uint_eq(pack.count, 1);
    for (size_t i = 0; i < array_size(numbers); i++)
        ck_assert_int_eq(write_text(f, "d", 1, numbers[i]), (int32_t)strlen(numbers[i]));
    for (size_t i = 0; i < array_size(texts); i++)
        ck_assert_int_eq(write_text(f, "d", 2, texts[i]), (int32_t)strlen(texts[i]));
    ck_assert_int_eq(board_send(board, "d", 3, minus_two, sizeof minus_two), 4);
    ck_assert_int_eq(board_send(board, "d", 3, wide, sizeof wide), 8);
    ck_assert_int_eq(board_send(board, "d", 4, odd, sizeof odd), 3);
    ck_assert_int_eq(write_text(f, "- odd\xc3\xa4", 4294967295, "1"), 1);
    ck_assert_int_eq(board_send(board, "d", 1, odd, 0), -1);
    ck_assert_int_eq(board_send(board, "d", 1, odd, TELEMETRY_VALUE_MAX + 1), -1);
    plain_reply_code(f, COAPMSG_CHANGED);
    take_pack(f, SENML_CBOR, &pack);
    ck_assert_uint_eq(pack.count, 11);
    for (size_t i = 0; i < pack.count; i++) {
        const struct telemetry_record *record = &pack.records[i];

        ck_assert_str_eq(record->name, i < 3    ? "d/1"
                                       : i < 7  ? "d/2"
                                       : i < 9  ? "d/3"
                                       : i < 10 ? "d/4"
                                                : "x_odd__/4294967295");
        ck_assert_int_eq(record->kind, i < 3 || (i > 6 && i != 9) ? TELEMETRY_NUMBER
                                       : i == 9                   ? TELEMETRY_DATA
                                                                  : TELEMETRY_STRING);
        if (record->kind == TELEMETRY_STRING)
            ck_assert_mem_eq(record->bytes, texts[i - 3], record->size);
    }
    ck_assert_double_eq(pack.records[0].number, 21.5);
    ck_assert_double_eq(pack.records[2].number, 1000);
    ck_assert_double_eq(pack.records[7].number, -2);
    ck_assert_double_eq(pack.records[8].number, 4294967297.0);
    ck_assert_mem_eq(pack.records[9].bytes, odd, 3);
    plain_reply_code(f, COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_journal_count(f, "[\"d/2\",", "\"open\"]"), 1);
    senml_clear(&pack);
    fixture_end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent telemetry");
    TCase *tcase = tcase_create("agent telemetry");

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_packs);
    tcase_add_test(tcase, test_text);
    tcase_add_test(tcase, test_no_clock);
    tcase_add_test(tcase, test_again_until_acknowledged);
    tcase_add_test(tcase, test_refused_for_good);
    tcase_add_test(tcase, test_bounded_buffer);
    tcase_add_test(tcase, test_full_speed);
    tcase_add_test(tcase, test_asleep);
    tcase_add_test(tcase, test_restart);
    tcase_add_test(tcase, test_what_containers_write);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
