#include "codec/senml.h"
#include "suite.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* SenML (RFC 8428): resolved records, what is refused and why, and the way back. */

#define NOW_US INT64_C(1700000000250000)

static struct senml_pack pack;
static struct senml_options options;

static void set_up(void)
{
    options = (struct senml_options){.now_us = NOW_US, .max_records = 5000};
}

static void tear_down(void)
{
    senml_clear(&pack);
}

/* JSON text with ' for ". */
static int parse(const char *text)
{
    static char copy[8192];
    size_t i = 0;

    for (; text[i]; i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    return senml_parse(&pack, SENML_JSON, copy, i, &options);
}

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t size = 0;
    unsigned byte;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += hex[2] == ' ' ? 3 : 2)
        out[size++] = (uint8_t)byte;
    return size;
}

static int parse_cbor(const char *hex)
{
    static uint8_t bytes[8192];

    return senml_parse(&pack, SENML_CBOR, bytes, unhex(hex, bytes), &options);
}

/* The vectors of the RFC ------------------------------------------------------------------------------------------ */

static void check_value(const struct telemetry_record *record, const json_t *expected)
{
    const char *unit = json_string_value(json_object_get(expected, "u"));
    const json_t *number = json_object_get(expected, "v"), *text = json_object_get(expected, "vs");

    ck_assert_str_eq(record->name, json_string_value(json_object_get(expected, "n")));
    ck_assert_str_eq(record->unit, unit ? unit : "");
    if (number) {
        ck_assert_int_eq(record->kind, TELEMETRY_NUMBER);
        ck_assert_double_eq(record->number, json_number_value(number));
    } else if (text) {
        ck_assert_int_eq(record->kind, TELEMETRY_STRING);
        ck_assert_uint_eq(record->size, json_string_length(text));
        ck_assert_mem_eq(record->bytes, json_string_value(text), record->size);
    } else {
        ck_assert_int_eq(record->kind, TELEMETRY_BOOLEAN);
        ck_assert(record->boolean == json_is_true(json_object_get(expected, "vb")));
    }
}

/* Their resolved forms of relative times were made at some other time. */
static void check_time(const struct telemetry_record *record, const json_t *expected)
{
    double seconds = json_number_value(json_object_get(expected, "t"));

    if (seconds > 1400000000)
        ck_assert_int_eq(record->time_us, NOW_US);
    else
        ck_assert_double_eq_tol((double)record->time_us / 1e6, seconds, 1e-6);
}

static void check_example(const char *name, const json_t *example)
{
    const json_t *expected = json_object_get(example, "expected_resolved");
    char *text = json_dumps(json_object_get(example, "input"), JSON_COMPACT);

    ck_assert_msg(senml_parse(&pack, SENML_JSON, text, strlen(text), &options) == 0, "%s: %s", name, pack.problem);
    if (strcmp(name, "ex7") == 0) /* the resolved form leaves the data out */
        ck_assert_uint_eq(pack.count--, 4);
    if (expected)
        ck_assert_uint_eq(pack.count, json_array_size(expected));
    for (size_t i = 0; expected && i < pack.count; i++) {
        check_value(&pack.records[i], json_array_get(expected, i));
        check_time(&pack.records[i], json_array_get(expected, i));
    }
    free(text);
}

START_TEST(examples_of_the_rfc)
{
    json_t *root = json_load_file(SHARED_VECTORS "/senml_rfc8428_examples.json", 0, NULL), *example;
    uint8_t cbor[512];
    const char *name;
    size_t size;

    if (!root) {
        printf("skipped: no %s/senml_rfc8428_examples.json\n", SHARED_VECTORS);
        return;
    }
    json_object_foreach(root, name, example) if (json_object_get(example, "input")) check_example(name, example);
    example = json_object_get(root, "cbor_example_section6");
    size = unhex(json_string_value(json_object_get(example, "hex")), cbor);
    ck_assert_int_eq(senml_parse(&pack, SENML_CBOR, cbor, size, &options), 0);
    ck_assert_uint_eq(pack.count, 7);
    ck_assert_str_eq(pack.records[1].name, "urn:dev:ow:10e2073a0108006:current");
    ck_assert_str_eq(pack.records[1].unit, "A");
    ck_assert_int_eq(pack.records[1].time_us, INT64_C(1276020071001000));
    ck_assert_double_eq(pack.records[6].number, 1.7);
    json_decref(root);
}
END_TEST

/* Rules ----------------------------------------------------------------------------------------------------------- */

START_TEST(base_fields_apply_to_what_follows)
{
    ck_assert_int_eq(parse("[{'bn':'a/','bt':1700000000,'bu':'Cel','bv':20,'bs':100,'n':'x','v':1.5},"
                           "{'n':'y','u':'%RH','t':-0.000001,'v':2,'s':1},"
                           "{'bn':'b/','bv':0,'n':'x','t':2,'vb':true},"
                           "{'bu':'','n':'z','s':5}]"),
                     0);
    ck_assert_uint_eq(pack.count, 4);
    ck_assert_str_eq(pack.records[0].name, "a/x");
    ck_assert_str_eq(pack.records[0].unit, "Cel");
    ck_assert_double_eq(pack.records[0].number, 21.5);
    ck_assert(!pack.records[0].has_sum);
    ck_assert_int_eq(pack.records[0].flags, 0);
    ck_assert_str_eq(pack.records[1].unit, "%RH");
    ck_assert_int_eq(pack.records[1].time_us, INT64_C(1699999999999999));
    ck_assert_double_eq(pack.records[1].sum, 101);
    ck_assert_str_eq(pack.records[2].name, "b/x");
    ck_assert_int_eq(pack.records[2].kind, TELEMETRY_BOOLEAN);
    ck_assert_int_eq(pack.records[2].time_us, INT64_C(1700000002000000));
    ck_assert_int_eq(pack.records[3].kind, TELEMETRY_NONE);
    ck_assert_str_eq(pack.records[3].unit, "");
}
END_TEST

START_TEST(times_below_2_to_28_are_relative)
{
    ck_assert_int_eq(parse("[{'n':'a','v':1},{'n':'a','t':0,'v':1},{'n':'a','t':-1.5,'v':1},{'n':'a','t':10,'v':1},"
                           "{'n':'a','t':268435455.999999,'v':1},{'n':'a','t':268435456,'v':1}]"),
                     0);
    ck_assert_int_eq(pack.records[0].time_us, NOW_US);
    ck_assert_int_eq(pack.records[0].flags, TELEMETRY_TIME_ASSIGNED);
    ck_assert_int_eq(pack.records[1].flags, TELEMETRY_TIME_ASSIGNED);
    ck_assert_int_eq(pack.records[2].time_us, NOW_US - 1500000);
    ck_assert_int_eq(pack.records[2].flags, 0);
    ck_assert_int_eq(pack.records[3].time_us, NOW_US + 10000000);
    ck_assert_int_eq(pack.records[4].time_us, NOW_US + INT64_C(268435455999999));
    ck_assert_int_eq(pack.records[5].time_us, INT64_C(268435456000000));
}
END_TEST

START_TEST(strings_and_data)
{
    ck_assert_int_eq(parse("[{'n':'s','vs':'a\\u00e9\\ud83d\\ude00\\n\\/'},{'n':'d','vd':'-_8'},{'n':'d','vd':''},"
                           "{'n':'p','vd':'aGkg'},{'n':'q','vd':'aA=='},{'\\u006e':'e','vs':''}]"),
                     0);
    ck_assert_uint_eq(pack.records[0].size, 9);
    ck_assert_mem_eq(pack.records[0].bytes, "a\xc3\xa9\xf0\x9f\x98\x80\n/", 9);
    ck_assert_uint_eq(pack.records[1].size, 2);
    ck_assert_mem_eq(pack.records[1].bytes, "\xfb\xff", 2);
    ck_assert_uint_eq(pack.records[2].size, 0);
    ck_assert_mem_eq(pack.records[3].bytes, "hi ", 3);
    ck_assert_uint_eq(pack.records[4].size, 1);
    ck_assert_str_eq(pack.records[5].name, "e");
}
END_TEST

START_TEST(unknown_labels_are_passed_over)
{
    ck_assert_int_eq(parse("[{'n':'a','x':{'y':[1,{'z_':null}]},'v':1,'ut':5,'toolong':'x'}]"), 0);
    ck_assert_uint_eq(pack.count, 1);
    ck_assert_int_eq(parse_cbor("81a4 00 6161 02 01 1863 8102 617a a1 617a 02"), 0);
    ck_assert_uint_eq(pack.count, 1);
}
END_TEST

START_TEST(base_fields_alone_are_no_record)
{
    ck_assert_int_eq(parse("[{'bn':'a'},{'v':1}]"), 0);
    ck_assert_uint_eq(pack.count, 1);
    ck_assert_int_eq(parse("[{'bn':'a','x':1}]"), 0);
    ck_assert_uint_eq(pack.count, 0);
    ck_assert_int_eq(parse("[]"), 0);
    ck_assert_uint_eq(pack.count, 0);
}
END_TEST

START_TEST(a_name_and_a_unit_that_are_given_serve_those_without)
{
    options.name = "given";
    options.unit = "V";
    ck_assert_int_eq(parse("[{'v':1},{'n':'own','u':'A','v':2}]"), 0);
    ck_assert_str_eq(pack.records[0].name, "given");
    ck_assert_str_eq(pack.records[0].unit, "V");
    ck_assert_str_eq(pack.records[1].name, "own");
    ck_assert_str_eq(pack.records[1].unit, "A");
}
END_TEST

START_TEST(cbor_in_all_its_forms)
{
    /* a stream: of indefinite length, with maps of indefinite length; labels as text; decimal fractions */
    ck_assert_int_eq(parse_cbor("9f bf 00 6161 02 fb3ff8000000000000 06 1a6553f100 ff"
                                "a3 616e 6162 6176 c48220190110 6174 c482251b00060a24181e4001 ff"),
                     0);
    ck_assert_uint_eq(pack.count, 2);
    ck_assert_double_eq(pack.records[0].number, 1.5);
    ck_assert_int_eq(pack.records[0].time_us, INT64_C(1700000000000000));
    ck_assert_str_eq(pack.records[1].name, "b");
    ck_assert_double_eq(pack.records[1].number, 27.2);
    ck_assert_int_eq(pack.records[1].time_us, INT64_C(1700000000000001));
    ck_assert_int_eq(parse_cbor("82 a2 00 6161 08 43010203 a2 00 6161 04 f5"), 0);
    ck_assert_int_eq(pack.records[0].kind, TELEMETRY_DATA);
    ck_assert_uint_eq(pack.records[0].size, 3);
    ck_assert(pack.records[1].boolean);
}
END_TEST

/* What is refused ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int error;
    const char *problem; /* a part of it */
} refused[] = {
    {"", SENML_E_MALFORMED, "JSON array"},
    {"{'n':'a','v':1}", SENML_E_MALFORMED, "JSON array"},
    {"[{'n':'a','v':1}] x", SENML_E_MALFORMED, "nothing behind"},
    {"[{'n':'a','v':1}", SENML_E_MALFORMED, "malformed"},
    {"[{'n':'a','v':1},]", SENML_E_MALFORMED, "malformed"},
    {"[{'n':'a','v':1},{'n':'b' 'v':1}]", SENML_E_MALFORMED, "record 2"},
    {"[{'n':'a','v':1},7]", SENML_E_MALFORMED, "record 2 is no object"},
    {"[{'n':'a','v':NaN}]", SENML_E_MALFORMED, "record 1"},
    {"[{'n':'a','v':+1}]", SENML_E_MALFORMED, ""},
    {"[{'n':'a','v':01}]", SENML_E_MALFORMED, ""},
    {"[{'n':'a','v':1.}]", SENML_E_MALFORMED, ""},
    {"[{'n':'a\\ud800','v':1}]", SENML_E_MALFORMED, ""},
    {"[{'n':'\xff','v':1}]", SENML_E_MALFORMED, ""},
    {"[{'n':'a','vs':'\\u0000'}]", SENML_E_MALFORMED, ""},
    {"[{'n':'a','v':1,'x':[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]", SENML_E_MALFORMED,
     ""},
    {"[{'n':'a','v':1e999}]", SENML_E_RECORD, "\"v\" is infinite"},
    {"[{'bv':1e308,'n':'a','v':1e308}]", SENML_E_RECORD, "no finite number"},
    {"[{'bs':1e308,'n':'a','s':1e308}]", SENML_E_RECORD, "no finite number"},
    {"[{'n':'a','v':'1'}]", SENML_E_RECORD, "\"v\" is no number"},
    {"[{'n':'a','v':null}]", SENML_E_RECORD, "\"v\" is no number"},
    {"[{'n':'a','vb':1}]", SENML_E_RECORD, "\"vb\" is neither"},
    {"[{'n':'a','vs':1}]", SENML_E_RECORD, "\"vs\" is no string"},
    {"[{'n':'a','vd':'a+b/'}]", SENML_E_RECORD, "base64url"},
    {"[{'n':'a','vd':'a'}]", SENML_E_RECORD, "base64url"},
    {"[{'n':5,'v':1}]", SENML_E_RECORD, "\"n\" is no string"},
    {"[{'n':'a','v':1},{'n':'a','v':1,'v':2}]", SENML_E_RECORD, "record 2: \"v\" is there twice"},
    {"[{'n':'a','v':1,'vs':'x'}]", SENML_E_RECORD, "more than one of"},
    {"[{'n':'a'}]", SENML_E_RECORD, "record 1 has no value"},
    {"[{'ut':1}]", SENML_E_RECORD, "has no value"},
    {"[{'v':1}]", SENML_E_RECORD, "record 1 has no name"},
    {"[{'n':'','v':1}]", SENML_E_RECORD, "has no name"},
    {"[{'n':'a b','v':1}]", SENML_E_RECORD, "\"n\" makes a name"},
    {"[{'n':'-a','v':1}]", SENML_E_RECORD, "begin"},
    {"[{'bn':'\xc3\xa9','v':1}]", SENML_E_RECORD, "\"bn\" makes a name"},
    {"[{'n':'a','v':1,'t':1e300}]", SENML_E_RECORD, "\"t\" is a time beyond"},
    {"[{'n':'a','v':1,'t':9300000000000}]", SENML_E_RECORD, "\"t\" is a time beyond"},
    {"[{'bt':9200000000000,'n':'a','v':1,'t':9200000000000}]", SENML_E_RECORD, "\"t\" is a time beyond"},
    {"[{'bt':-1e40,'n':'a','v':1}]", SENML_E_RECORD, "\"bt\" is a time beyond"},
    {"[{'n':'a','v':1,'u':'a\\u0001'}]", SENML_E_RECORD, "control"},
    {"[{'bver':11,'n':'a','v':1}]", SENML_E_UNSUPPORTED, "\"bver\" 11 is newer than 10"},
    {"[{'bver':1e300,'n':'a','v':1}]", SENML_E_UNSUPPORTED, "newer"},
    {"[{'bver':2.5,'n':'a','v':1}]", SENML_E_RECORD, "no version"},
    {"[{'bver':0,'n':'a','v':1}]", SENML_E_RECORD, "no version"},
    {"[{'bver':5,'n':'a','v':1},{'bver':6,'n':'a','v':1}]", SENML_E_RECORD, "records before"},
    {"[{'n':'a','v':1,'foo_':1}]", SENML_E_UNSUPPORTED, "\"foo_\" must be understood"},
    {"[{'n':'a','v':1,'foo\\u005f':1}]", SENML_E_UNSUPPORTED, "must be understood"},
    {"[{'bn':'a','x_':1}]", SENML_E_UNSUPPORTED, "must be understood"},
};

START_TEST(refuses)
{
    ck_assert_int_eq(parse(refused[_i].text), refused[_i].error);
    ck_assert_msg(strstr(pack.problem, refused[_i].problem) != NULL, "%s", pack.problem);
    ck_assert_uint_eq(pack.count, 0);
}
END_TEST

static const struct {
    const char *hex;
    int error;
    const char *problem;
} refused_cbor[] = {
    {"", SENML_E_MALFORMED, "CBOR array"},
    {"a1", SENML_E_MALFORMED, "CBOR array"},
    {"80 00", SENML_E_MALFORMED, "nothing behind"},
    {"81 a2 00 6161", SENML_E_MALFORMED, "record 1"},
    {"81 05", SENML_E_MALFORMED, "no map"},
    {"81 a2 00 6161 02 f97e00", SENML_E_RECORD, "\"v\" is not a number (NaN)"},
    {"81 a2 00 6161 02 f9fc00", SENML_E_RECORD, "\"v\" is infinite"},
    {"81 a3 00 6161 02 01 06 f97e00", SENML_E_RECORD, "\"t\" is not a number (NaN)"},
    {"81 a3 00 6161 02 01 06 fb7e37e43c8800759c", SENML_E_RECORD, "\"t\" is a time beyond"},
    {"81 a3 00 6161 02 01 06 1bffffffffffffffff", SENML_E_RECORD, "\"t\" is a time beyond"},
    {"81 a2 00 6161 02 6131", SENML_E_RECORD, "\"v\" is no number"},
    {"81 a2 00 6161 08 6131", SENML_E_RECORD, "\"vd\" is no byte string"},
    {"81 a2 00 61ff 02 01", SENML_E_RECORD, "\"n\" is no UTF-8"},
    {"81 a2 00 7f6161ff 02 01", SENML_E_RECORD, "\"n\" is no text string"},
    {"81 a2 00 6161 c0 01", SENML_E_RECORD, "neither integer nor text"},
    {"81 a3 00 6161 02 01 02 01", SENML_E_RECORD, "twice"},
    {"81 a3 00 6161 02 01 62785f 01", SENML_E_UNSUPPORTED, "\"x_\" must be understood"},
    {"81 a3 20 0b 00 6161 02 01", SENML_E_UNSUPPORTED, "newer"},
    {"81 a2 00 6161 02 c48301 01 01", SENML_E_RECORD, "no number"},
    {"81 a3 00 6161 02 01 1863 818181818181818181818181818181818181818101", SENML_E_MALFORMED, ""},
};

START_TEST(refuses_cbor)
{
    ck_assert_int_eq(parse_cbor(refused_cbor[_i].hex), refused_cbor[_i].error);
    ck_assert_msg(strstr(pack.problem, refused_cbor[_i].problem) != NULL, "%s", pack.problem);
}
END_TEST

/* Limits ---------------------------------------------------------------------------------------------------------- */

static int parse_long(const char *before, size_t count, const char *after)
{
    static char text[20000];

    (void)snprintf(text, sizeof text, "%s%0*d%s", before, (int)count, 0, after);
    return parse(text);
}

START_TEST(lengths_are_limited)
{
    ck_assert_int_eq(parse_long("[{'n':'", TELEMETRY_NAME_MAX, "','v':1}]"), 0);
    ck_assert_int_eq(parse_long("[{'n':'", TELEMETRY_NAME_MAX + 1, "','v':1}]"), SENML_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(pack.problem, "\"n\" has more than 127 bytes"));
    ck_assert_int_eq(parse_long("[{'bn':'x','n':'", TELEMETRY_NAME_MAX, "','v':1}]"), SENML_E_LIMIT);
    ck_assert_int_eq(parse_long("[{'n':'a','v':1,'u':'", TELEMETRY_UNIT_MAX, "'}]"), 0);
    ck_assert_int_eq(parse_long("[{'n':'a','v':1,'u':'", TELEMETRY_UNIT_MAX + 1, "'}]"), SENML_E_LIMIT);
    ck_assert_int_eq(parse_long("[{'n':'a','vs':'", TELEMETRY_VALUE_MAX, "'}]"), 0);
    ck_assert_int_eq(parse_long("[{'n':'a','vs':'", TELEMETRY_VALUE_MAX + 1, "'}]"), SENML_E_LIMIT);
    ck_assert_int_eq(parse_long("[{'n':'a','v':1", 255, "}]"), 0);
    ck_assert_int_eq(parse_long("[{'n':'a','v':1", 256, "}]"), SENML_E_MALFORMED);
}
END_TEST

START_TEST(thousands_of_records)
{
    cleanup_buffer struct buffer text = {0};

    buffer_append_text(&text, "[{\"bn\":\"a\"}");
    for (int i = 0; i < 5000; i++)
        buffer_printf(&text, ",{\"n\":\"%d\",\"v\":%d}", i % 100, i);
    buffer_append_text(&text, "]");
    ck_assert_int_eq(senml_parse(&pack, SENML_JSON, text.data, text.size, &options), 0);
    ck_assert_uint_eq(pack.count, 5000);
    for (size_t i = 0; i < 5000; i++) {
        ck_assert_double_eq(pack.records[i].number, (double)i);
        ck_assert_int_eq(strtol(pack.records[i].name + 1, NULL, 10), (long)(i % 100));
    }
    options.max_records = 4999;
    ck_assert_int_eq(senml_parse(&pack, SENML_JSON, text.data, text.size, &options), SENML_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(pack.problem, "more than 4999 records"));
    ck_assert_int_eq(parse("[{'n':'a','v':1}]"), 0); /* it goes on with the next */
}
END_TEST

/* The way back ---------------------------------------------------------------------------------------------------- */

static const char *encode(enum senml_format format, const char *prefix)
{
    static struct buffer text;

    buffer_clear(&text);
    senml_encode(&text, format, prefix, pack.records, pack.count);
    return buffer_text(&text);
}

START_TEST(encodes_with_base_fields_where_they_are_shorter)
{
    ck_assert_int_eq(parse("[{'n':'a','t':1700000000,'v':1.5,'u':'Cel'}]"), 0);
    ck_assert_str_eq(encode(SENML_JSON, NULL), "[{\"n\":\"a\",\"u\":\"Cel\",\"t\":1700000000,\"v\":1.5}]");
    ck_assert_str_eq(encode(SENML_JSON, "dev/"), "[{\"n\":\"dev/a\",\"u\":\"Cel\",\"t\":1700000000,\"v\":1.5}]");
    ck_assert_int_eq(parse("[{'bn':'room/','n':'temp','t':1700000000.25,'v':0.1,'u':'Cel'},"
                           "{'n':'temp','t':1700000001,'v':-3,'u':'Cel','s':7},{'n':'hum','t':1700000000.25,'v':1e21,"
                           "'u':'Cel'}]"),
                     0);
    ck_assert_str_eq(encode(SENML_JSON, NULL),
                     "[{\"bn\":\"room/\",\"bt\":1700000000.25,\"bu\":\"Cel\",\"n\":\"temp\",\"v\":0.1},"
                     "{\"n\":\"temp\",\"t\":0.75,\"v\":-3,\"s\":7},{\"n\":\"hum\",\"v\":1e+21}]");
    ck_assert_int_eq(parse("[{'n':'a','t':1700000000,'v':1},{'n':'b','t':1700000000,'vs':'\\u001f\\u00e9'},"
                           "{'n':'c','t':1700000000,'vb':false},{'n':'d','t':1700000000,'vd':'-_8'}]"),
                     0);
    ck_assert_str_eq(encode(SENML_JSON, NULL),
                     "[{\"bt\":1700000000,\"n\":\"a\",\"v\":1},{\"n\":\"b\",\"vs\":\"\\u001f\xc3\xa9\"},"
                     "{\"n\":\"c\",\"vb\":false},{\"n\":\"d\",\"vd\":\"-_8\"}]");
    pack.count = 0;
    ck_assert_str_eq(encode(SENML_JSON, NULL), "[]");
}
END_TEST

START_TEST(cbor_is_small)
{
    cleanup_buffer struct buffer out = {0};

    ck_assert_int_eq(
        parse("[{'n':'temp','t':1700000000,'v':1.5,'u':'Cel'},{'n':'temp','t':1700000001,'v':2,'u':'Cel'}]"), 0);
    senml_encode(&out, SENML_CBOR, NULL, pack.records, pack.count);
    ck_assert_int_eq(senml_parse(&pack, SENML_CBOR, out.data, out.size, &options), 0);
    ck_assert_uint_eq(pack.count, 2);
    ck_assert_double_eq(pack.records[1].number, 2);
    ck_assert_int_eq(pack.records[1].time_us, INT64_C(1700000001000000));
    ck_assert_uint_le(out.size, 34);
}
END_TEST

/* Bare values ----------------------------------------------------------------------------------------------------- */

static int decode(int format, const void *data, size_t size)
{
    return telemetry_decode(&pack, format, data, size, &options);
}

START_TEST(bare_values)
{
    options.name = "t";
    options.unit = "Cel";
    ck_assert_int_eq(decode(0, " 23.5\n", 6), 0);
    ck_assert_double_eq(pack.records[0].number, 23.5);
    ck_assert_str_eq(pack.records[0].name, "t");
    ck_assert_str_eq(pack.records[0].unit, "Cel");
    ck_assert_int_eq(pack.records[0].flags, TELEMETRY_TIME_ASSIGNED);
    ck_assert_int_eq(decode(-1, "-4e2", 4), 0);
    ck_assert_double_eq(pack.records[0].number, -400);
    ck_assert_int_eq(decode(-1, "+4", 2), 0);
    ck_assert_int_eq(decode(0, "true", 4), 0);
    ck_assert_int_eq(pack.records[0].kind, TELEMETRY_BOOLEAN);
    ck_assert_int_eq(decode(0, "open", 4), 0);
    ck_assert_int_eq(pack.records[0].kind, TELEMETRY_STRING);
    ck_assert_int_eq(decode(50, "\"o\\u0070en\"", 11), 0);
    ck_assert_uint_eq(pack.records[0].size, 4);
    ck_assert_mem_eq(pack.records[0].bytes, "open", 4);
    ck_assert_int_eq(decode(50, "false", 5), 0);
    ck_assert_int_eq(decode(50, "[{\"v\":1}]", 9), 0);
    ck_assert_int_eq(decode(60, "\xf9\x3c\x00", 3), 0);
    ck_assert_double_eq(pack.records[0].number, 1);
    ck_assert_int_eq(decode(60, "\x38\x63", 2), 0);
    ck_assert_double_eq(pack.records[0].number, -100);
    ck_assert_int_eq(decode(60, "\x61x", 2), 0);
    ck_assert_int_eq(decode(60, "\x41\xff", 2), 0);
    ck_assert_int_eq(pack.records[0].kind, TELEMETRY_DATA);
    ck_assert_int_eq(decode(60, "\xf5", 1), 0);
    ck_assert_int_eq(decode(60, "\x81\xa1\x02\x01", 4), 0);
    ck_assert_int_eq(decode(111, "[{\"v\":1}]", 9), 0);
    ck_assert_int_eq(decode(113, "\x9f\xa1\x02\x01\xff", 5), 0);
}
END_TEST

START_TEST(bare_values_that_are_none)
{
    char text[TELEMETRY_VALUE_MAX + 2];

    memset(text, 'x', sizeof text);
    options.name = "t";
    ck_assert_int_eq(decode(0, "", 0), SENML_E_MALFORMED);
    ck_assert_int_eq(decode(-1, " ", 1), SENML_E_MALFORMED);
    ck_assert_int_eq(decode(-1, "open", 4), SENML_E_FORMAT);
    ck_assert_int_eq(decode(0, "nan", 3), SENML_E_RECORD);
    ck_assert_int_eq(decode(0, "-Infinity", 9), SENML_E_RECORD);
    ck_assert_int_eq(decode(0, "1e999", 5), SENML_E_RECORD);
    ck_assert_int_eq(decode(0, "\xff", 1), SENML_E_MALFORMED);
    ck_assert_int_eq(decode(0, text, TELEMETRY_VALUE_MAX), 0);
    ck_assert_int_eq(decode(0, text, TELEMETRY_VALUE_MAX + 1), SENML_E_LIMIT);
    ck_assert_int_eq(decode(50, "null", 4), SENML_E_MALFORMED);
    ck_assert_int_eq(decode(50, "{}", 2), SENML_E_MALFORMED);
    ck_assert_int_eq(decode(60, "\xf6", 1), SENML_E_MALFORMED);
    ck_assert_int_eq(decode(60, "\xf9\x7e\x00", 3), SENML_E_RECORD);
    ck_assert_int_eq(decode(60, "\x01\x01", 2), SENML_E_MALFORMED);
    ck_assert_int_eq(decode(42, "x", 1), SENML_E_FORMAT);
    options.name = "a b";
    ck_assert_int_eq(decode(0, "1", 1), SENML_E_RECORD);
    options.name = NULL;
    ck_assert_int_eq(decode(0, "1", 1), SENML_E_RECORD);
    ck_assert_ptr_nonnull(strstr(pack.problem, "no name"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("senml");
    TCase *tc = suite_add_case(suite, "rules", set_up, tear_down);

    tcase_add_test(tc, examples_of_the_rfc);
    tcase_add_test(tc, base_fields_apply_to_what_follows);
    tcase_add_test(tc, times_below_2_to_28_are_relative);
    tcase_add_test(tc, strings_and_data);
    tcase_add_test(tc, unknown_labels_are_passed_over);
    tcase_add_test(tc, base_fields_alone_are_no_record);
    tcase_add_test(tc, a_name_and_a_unit_that_are_given_serve_those_without);
    tcase_add_test(tc, cbor_in_all_its_forms);
    tc = suite_add_case(suite, "refused", set_up, tear_down);
    tcase_add_loop_test(tc, refuses, 0, array_size(refused));
    tcase_add_loop_test(tc, refuses_cbor, 0, array_size(refused_cbor));
    tcase_add_test(tc, lengths_are_limited);
    tcase_add_test(tc, thousands_of_records);
    tc = suite_add_case(suite, "encode", set_up, tear_down);
    tcase_add_test(tc, encodes_with_base_fields_where_they_are_shorter);
    tcase_add_test(tc, cbor_is_small);
    tc = suite_add_case(suite, "bare", set_up, tear_down);
    tcase_add_test(tc, bare_values);
    tcase_add_test(tc, bare_values_that_are_none);
    return suite_run(suite);
}
