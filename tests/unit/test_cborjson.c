#include "codec/cborjson.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

/* CBOR as JSON and back (RFC 8949 section 6). */

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t size = 0;
    unsigned byte;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        out[size++] = (uint8_t)byte;
    return size;
}

static const struct {
    const char *hex, *json; /* JSON with ' for " */
} shown[] = {
    {"00", "0"},
    {"3903e7", "-1000"},
    {"1bffffffffffffffff", "18446744073709551615"},
    {"3bffffffffffffffff", "-18446744073709551616"},
    {"f93e00", "1.5"},
    {"fb7e37e43c8800759c", "1e+300"},
    {"f97e00", "null"},
    {"f97c00", "null"},
    {"f7", "null"},
    {"f5", "true"},
    {"6449455446", "'IETF'"},
    {"62c3a9", "'\xc3\xa9'"},
    {"6422005c01", "'\\\"\xef\xbf\xbd\\\\\\u0001'"},
    {"43fbff00", "'-_8A'"},
    {"d643fbff00", "'+/8A'"},
    {"d641ff", "'/w=='"},
    {"d743fbff0a", "'FBFF0A'"},
    {"d58143fbff00", "['-_8A']"},
    {"82d78143fbff0043fbff00", "[['FBFF00'],'-_8A']"},
    {"c249010000000000000000", "'AQAAAAAAAAAA'"},
    {"c349010000000000000000", "'~AQAAAAAAAAAA'"},
    {"c11a514b67b0", "1363896240"},
    {"80", "[]"},
    {"a0", "{}"},
    {"8301820203820405", "[1,[2,3],[4,5]]"},
    {"a26161016162820203", "{'a':1,'b':[2,3]}"},
    {"a301022061624102f4", "{'1':2,'-1':'b','Ag':false}"},
    {"9f018202039f0405ffff", "[1,[2,3],[4,5]]"},
    {"bf61610161629f0203ffff", "{'a':1,'b':[2,3]}"},
    {"7f657374726561646d696e67ff", "'streaming'"},
    {"5f42010243030405ff", "'AQIDBAU'"},
    {"5f4201026103ff", NULL},
    {"bf6161ff", NULL}, /* half a pair */
    {"a161619f01", NULL},
    {"ff", NULL},
    {"c1", NULL},
    {"0000", NULL},
    {"", NULL},
    {"9bffffffffffffffff", NULL},
    {"a18001", NULL}, /* a structure as key */
    {"f8ff", NULL},
};

START_TEST(cbor_is_shown)
{
    cleanup_buffer struct buffer out = buffer_init(4096);
    char expected[128];
    uint8_t cbor[64];
    int r = cborjson_to_json(cbor, unhex(shown[_i].hex, cbor), &out);

    ck_assert_int_eq(r, shown[_i].json ? 0 : CBORJSON_E_MALFORMED);
    if (!shown[_i].json)
        return;
    (void)snprintf(expected, sizeof expected, "%s", shown[_i].json);
    for (char *p = expected; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    ck_assert_str_eq(buffer_text(&out), expected);
}
END_TEST

static const struct {
    const char *json, *hex;
} taken[] = {
    {"0", "00"},
    {" -1 ", "20"},
    {"-0", "f98000"},
    {"18446744073709551615", "1bffffffffffffffff"},
    {"-18446744073709551615", "3bfffffffffffffffe"},
    {"18446744073709551616", "fa5f800000"},
    {"1.5", "f93e00"},
    {"1.0", "f93c00"},
    {"0.1", "fb3fb999999999999a"},
    {"1e10", "fa501502f9"},
    {"100000.5", "fa47c35040"},
    {"65504.0", "f97bff"},
    {"true", "f5"},
    {"null", "f6"},
    {"'a\\u00e9\\n'", "6461c3a90a"},
    {"[]", "80"},
    {"{}", "a0"},
    {"[1,[2,{'a':[]}],3]", "83018202a161618003"},
    {"{'b':1,'a':{'c':null}}", "a26162016161a16163f6"},
    {"1e999", NULL},
    {"nul", NULL},
    {"[1,]", NULL},
    {"{'a'}", NULL},
    {"{1:2}", NULL},
    {"1 2", NULL},
    {"", NULL},
    {"'\\ud800'", NULL},
    {"'\x01'", NULL},
    {"'a", NULL},
};

START_TEST(json_is_taken)
{
    cleanup_buffer struct buffer out = buffer_init(4096);
    char json[128], hex[128] = "";
    int r;

    (void)snprintf(json, sizeof json, "%s", taken[_i].json);
    for (char *p = json; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    r = cborjson_from_json(json, strlen(json), &out);
    ck_assert_int_eq(r, taken[_i].hex ? 0 : CBORJSON_E_MALFORMED);
    if (!taken[_i].hex)
        return;
    for (size_t i = 0, at = 0; i < out.size; i++)
        at += (size_t)snprintf(hex + at, sizeof hex - at, "%02x", out.data[i]);
    ck_assert_str_eq(hex, taken[_i].hex);
}
END_TEST

START_TEST(nesting_is_limited)
{
    cleanup_buffer struct buffer out = buffer_init(4096);
    uint8_t cbor[CBORJSON_MAX_NESTING + 2];
    char json[2 * (CBORJSON_MAX_NESTING + 2)];

    memset(cbor, 0x81, sizeof cbor);
    cbor[CBORJSON_MAX_NESTING] = 1;
    ck_assert_int_eq(cborjson_to_json(cbor, CBORJSON_MAX_NESTING + 1, &out), 0);
    cbor[CBORJSON_MAX_NESTING] = 0x81;
    cbor[CBORJSON_MAX_NESTING + 1] = 1;
    ck_assert_int_eq(cborjson_to_json(cbor, sizeof cbor, &out), CBORJSON_E_NESTING);
    memset(json, '[', sizeof json / 2);
    memset(json + sizeof json / 2, ']', sizeof json / 2);
    ck_assert_int_eq(cborjson_from_json(json + 2, sizeof json - 4, &out), 0);
    ck_assert_int_eq(cborjson_from_json(json + 1, sizeof json - 2, &out), CBORJSON_E_NESTING);
}
END_TEST

START_TEST(sizes_are_limited)
{
    cleanup_buffer struct buffer out = buffer_init(16);
    char json[64] = "\"0123456789abcdef\"";

    ck_assert_int_eq(cborjson_from_json(json, strlen(json), &out), CBORJSON_E_LIMIT);
    buffer_clear(&out);
    ck_assert_int_eq(cborjson_to_json("\x70"
                                      "0123456789abcdef",
                                      17, &out),
                     CBORJSON_E_LIMIT);
    for (int i = 0; i <= 3; i++)
        ck_assert_ptr_nonnull(cborjson_error_text(i));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cborjson");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, cbor_is_shown, 0, array_size(shown));
    tcase_add_loop_test(tc, json_is_taken, 0, array_size(taken));
    tcase_add_test(tc, nesting_is_limited);
    tcase_add_test(tc, sizes_are_limited);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
