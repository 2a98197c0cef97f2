#include "codec/pack.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <string.h>

static struct telemetry_record number(const char *name, int64_t time, double value)
{
    return (struct telemetry_record){
        .name = name, .unit = "", .time_us = time, .kind = TELEMETRY_NUMBER, .number = value};
}

static void check_same(const struct telemetry_record *got, const struct telemetry_record *expected)
{
    ck_assert_str_eq(got->name, expected->name);
    ck_assert_str_eq(got->unit, expected->unit);
    ck_assert_int_eq(got->time_us, expected->time_us);
    ck_assert_int_eq((int)got->kind, (int)expected->kind);
    ck_assert_uint_eq(got->flags, expected->flags);
    ck_assert(got->boolean == expected->boolean && got->has_sum == expected->has_sum);
    ck_assert_msg(memcmp(&got->number, &expected->number, sizeof got->number) == 0, "%a, not %a", got->number,
                  expected->number);
    ck_assert(memcmp(&got->sum, &expected->sum, sizeof got->sum) == 0);
    ck_assert_uint_eq(got->size, expected->size);
    ck_assert(got->size == 0 || memcmp(got->bytes, expected->bytes, got->size) == 0);
}

/* Writes, reads, compares; returns the bytes. */
static size_t round_trip(const struct telemetry_record *records, size_t count)
{
    cleanup_buffer struct buffer pack = buffer_init(0);
    struct pack_reader reader;
    struct telemetry_record got;

    pack_write_all(&pack, records, count);
    ck_assert(!pack.failed);
    pack_reader_init(&reader, pack.data, pack.size);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(pack_read(&reader, &got), 1);
        check_same(&got, &records[i]);
    }
    ck_assert_int_eq(pack_read(&reader, &got), 0);
    ck_assert_int_eq(pack_read(&reader, &got), 0);
    for (size_t cut = 0; cut < pack.size && pack.size < 2000; cut++) { /* no prefix is read beyond its end */
        int result;

        pack_reader_init(&reader, pack.data, cut);
        while ((result = pack_read(&reader, &got)) == 1)
            ;
        ck_assert(result == 0 || result == -EBADMSG);
    }
    return pack.size;
}

START_TEST(numbers_are_exact)
{
    static const double values[] = {0,
                                    -0.0,
                                    1,
                                    -1,
                                    21.5,
                                    21.37,
                                    -273.15,
                                    0.1,
                                    1.0 / 3,
                                    1e-9,
                                    1e-10,
                                    1e300,
                                    -1e300,
                                    5e-324,
                                    1.7976931348623157e308,
                                    9007199254740991.0,
                                    9007199254740992.0,
                                    9007199254740994.0,
                                    -9007199254740993.0,
                                    18446744073709551615.0,
                                    (double)21.37F,
                                    (double)3.4028234663852886e38F,
                                    1e38,
                                    INFINITY,
                                    -INFINITY,
                                    NAN};
    struct telemetry_record records[array_size(values) * 2];

    for (size_t i = 0; i < array_size(records); i++)
        records[i] = number("x", (int64_t)i, values[i * 7 % array_size(values)]);
    (void)round_trip(records, array_size(records));
}
END_TEST

START_TEST(times_are_exact)
{
    static const int64_t times[] = {0,
                                    1,
                                    -1,
                                    1764000000000000,
                                    1764000010000000,
                                    1764000010000001,
                                    INT64_MAX,
                                    INT64_MIN,
                                    INT64_MIN,
                                    INT64_MAX,
                                    5,
                                    INT64_C(1) << 60,
                                    -(INT64_C(1) << 60),
                                    7,
                                    7};
    struct telemetry_record records[array_size(times)];

    for (size_t i = 0; i < array_size(times); i++)
        records[i] = number("x", times[i], 1);
    (void)round_trip(records, array_size(records));
}
END_TEST

START_TEST(all_kinds_are_exact)
{
    static char name[TELEMETRY_NAME_MAX + 1], unit[TELEMETRY_UNIT_MAX + 1], bytes[TELEMETRY_VALUE_MAX];
    struct telemetry_record records[] = {
        {.name = "a", .unit = "", .kind = TELEMETRY_BOOLEAN, .boolean = true},
        {.name = "a", .unit = "", .kind = TELEMETRY_BOOLEAN, .time_us = 1},
        {.name = name, .unit = unit, .kind = TELEMETRY_DATA, .bytes = bytes, .size = sizeof bytes, .flags = 63},
        {.name = "a", .unit = "Cel", .kind = TELEMETRY_STRING, .bytes = "warm", .size = 4},
        {.name = "a", .unit = "", .kind = TELEMETRY_STRING, .bytes = "", .size = 0},
        {.name = "a", .unit = "", .kind = TELEMETRY_NONE, .has_sum = true, .sum = 0.1},
        {.name = "b", .unit = "kWh", .kind = TELEMETRY_NUMBER, .number = 3, .has_sum = true, .sum = 1e9, .flags = 1},
        {.name = "b", .unit = "kWh", .kind = TELEMETRY_NUMBER, .number = 3, .has_sum = true, .sum = 1e9, .flags = 3},
        {.name = "b", .unit = "kWh", .kind = TELEMETRY_NUMBER, .number = 3},
        {.name = "", .unit = "", .kind = TELEMETRY_NUMBER, .number = 3},
    };

    memset(name, 'n', TELEMETRY_NAME_MAX);
    memset(unit, 'u', TELEMETRY_UNIT_MAX);
    memset(bytes, 0, sizeof bytes);
    (void)round_trip(records, array_size(records));
}
END_TEST

/* More names than slots, in any order. */
START_TEST(many_names_are_kept_apart)
{
    static char names[200][8];
    static struct telemetry_record records[2000];
    uint32_t random = 1;

    for (size_t i = 0; i < array_size(names); i++)
        (void)snprintf(names[i], sizeof names[i], "n%zu", i);
    for (size_t i = 0; i < array_size(records); i++) {
        random = random * 1664525 + 1013904223;
        records[i] = number(names[i < 1000 ? i % 200 : (random >> 16) % 200], (int64_t)i * 1000, random >> 20);
    }
    (void)round_trip(records, array_size(records));
    (void)round_trip(records, 0);
}
END_TEST

START_TEST(regular_records_are_small)
{
    static struct telemetry_record records[1000];
    size_t size;

    for (size_t i = 0; i < array_size(records); i++) /* each 10 s, a tenth of a degree at a time */
        records[i] = number("temperature", 1764000000000000 + (int64_t)i * 10000000, (210 + (double)(i % 7)) / 10);
    size = round_trip(records, array_size(records));
    ck_assert_msg(size < 2100, "%zu", size);
    for (size_t i = 0; i < array_size(records); i++) /* nothing happens */
        records[i].number = 21.5;
    size = round_trip(records, array_size(records));
    ck_assert_msg(size < 1050, "%zu", size);
    for (size_t i = 0; i < array_size(records); i++) /* two values that come together */
        records[i] =
            number(i % 2 ? "humidity" : "temperature", 1764000000000000 + (int64_t)(i / 2) * 10000000, (double)(i % 4));
    size = round_trip(records, array_size(records));
    ck_assert_msg(size < 2100, "%zu", size);
}
END_TEST

START_TEST(over_the_limits_fails)
{
    static char name[TELEMETRY_NAME_MAX + 2];
    struct telemetry_record record = number(name, 0, 0);
    struct buffer pack = buffer_init(0);

    memset(name, 'n', TELEMETRY_NAME_MAX + 1);
    pack_write_all(&pack, &record, 1);
    ck_assert(pack.failed);
    buffer_clear(&pack);
    record.name = "x";
    record.kind = TELEMETRY_STRING;
    record.bytes = name;
    record.size = TELEMETRY_VALUE_MAX + 1;
    pack_write_all(&pack, &record, 1);
    ck_assert(pack.failed);
    buffer_clear(&pack);
}
END_TEST

START_TEST(what_is_no_pack_is_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\x00", 1},                /* no slot yet */
        {"\x20", 1},                /* the same */
        {"\x40\x01", 2},            /* a slot that is not there */
        {"\x60\x00x\0", 4},         /* reserved */
        {"\xc0\x00x\0", 4},         /* reserved */
        {"\x40\x00xyz", 5},         /* a name without end */
        {"\x48\x00x\0\xff", 5},     /* a varint without end */
        {"\x42\x00x\0\x0a\x00", 6}, /* an exponent that is too large */
        {"\x47\x00x\0\x01", 5},     /* numbers are no "other" */
        {"\x47\x00x\0\x09", 5},     /* a kind that there is not */
        {"\x47\x00x\0\x03\x05hell", 10},
        {"\x47\x00x\0\x03\x81\x20", 7}, /* 4097 bytes */
        {"\x48\x00x\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 15},
        {"\x48\x00x\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14}, /* seconds beyond 64 bits of microseconds */
        {"\x50\x00x\0\x40", 5},                                      /* a sum is missing */
        {"\x50\x00x\0\x40\x05", 6},                                  /* a sum that is no number */
    };

    for (size_t i = 0; i < array_size(bad); i++) {
        struct pack_reader reader;
        struct telemetry_record record;

        pack_reader_init(&reader, bad[i].bytes, bad[i].size);
        ck_assert_msg(pack_read(&reader, &record) == -EBADMSG, "%zu", i);
        ck_assert_msg(pack_read(&reader, &record) == -EBADMSG, "%zu", i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pack");
    TCase *tcase = tcase_create("pack");

    tcase_add_test(tcase, numbers_are_exact);
    tcase_add_test(tcase, times_are_exact);
    tcase_add_test(tcase, all_kinds_are_exact);
    tcase_add_test(tcase, many_names_are_kept_apart);
    tcase_add_test(tcase, regular_records_are_small);
    tcase_add_test(tcase, over_the_limits_fails);
    tcase_add_test(tcase, what_is_no_pack_is_refused);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
