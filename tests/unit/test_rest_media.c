/* Media types and Content-Formats. */
#include "rest/media.h"
#include "suite.h"

#include <check.h>
#include <string.h>

static const struct {
    const char *type, *coding;
    int format;
} types[] = {
    {"text/plain;charset=utf-8", NULL, 0},
    {"Text/Plain; Charset=\"UTF-8\"", NULL, 0},
    {"text/plain", NULL, 0},
    {"text/plain;charset=us-ascii", NULL, 0},
    {"text/plain;charset=iso-8859-1", NULL, MEDIA_NONE},
    {"application/json", NULL, 50},
    {"application/json ; charset=utf-8", NULL, 50},
    {"application/json", "identity", 50},
    {"application/json", "deflate", 11050},
    {"application/cbor", "deflate", 11060},
    {"application/json", "gzip", MEDIA_NONE},
    {"text/plain", "deflate", MEDIA_NONE},
    {"application/json, application/cbor", NULL, MEDIA_NONE},
    {"application/json;version=2", NULL, MEDIA_NONE},
    {"application/cose; cose-type=\"cose-sign1\"", NULL, 18},
    {"application/cose;cose-type=cose-mac0", NULL, 17},
    {"application/cose", NULL, MEDIA_NONE},
    {"application/cose;cose-type=x", NULL, MEDIA_NONE},
    {"application/cose;cose-type=cose-mac;a=b", NULL, MEDIA_NONE},
    {"application/senml+cbor", NULL, 112},
    {"application/senml+cbor2", NULL, MEDIA_NONE},
    {"application/senml", NULL, MEDIA_NONE},
    {"application/coap-payload;cf=0", NULL, 0},
    {"application/coap-payload; cf=\"65535\"", NULL, 65535},
    {"application/coap-payload;cf=65536", NULL, MEDIA_NONE},
    {"application/coap-payload;cf=-1", NULL, MEDIA_NONE},
    {"application/coap-payload;cf=", NULL, MEDIA_NONE},
    {"application/coap-payload;cf=00000000000000000001", NULL, MEDIA_NONE},
    {"application/coap-payload", NULL, MEDIA_NONE},
    {"text/html", NULL, MEDIA_NONE},
    {"", NULL, MEDIA_NONE},
    {";", NULL, MEDIA_NONE},
    {";;;=,", NULL, MEDIA_NONE},
    {"text/plain;charset=\"utf-8", NULL, 0},
    {"*/*", NULL, MEDIA_NONE},
};

START_TEST(types_are_mapped)
{
    ck_assert_msg(media_to_format(types[_i].type, types[_i].coding) == types[_i].format, "%s %s: %d", types[_i].type,
                  types[_i].coding ? types[_i].coding : "", media_to_format(types[_i].type, types[_i].coding));
}
END_TEST

START_TEST(every_format_has_a_type_that_leads_back)
{
    char type[MEDIA_SIZE];
    const char *coding;

    for (int format = 0; format <= 65535; format++) {
        ck_assert_ptr_eq(media_from_format(format, type, &coding), type);
        ck_assert_msg(media_to_format(type, coding) == format, "%d: %s", format, type);
    }
    ck_assert_str_eq(media_from_format(MEDIA_NONE, type, &coding), "application/octet-stream");
    ck_assert_str_eq(media_from_format(4711, type, &coding), "application/coap-payload;cf=4711");
    ck_assert_ptr_null(coding);
    ck_assert_str_eq(media_from_format(11050, type, &coding), "application/json");
    ck_assert_str_eq(coding, "deflate");
}
END_TEST

static const struct {
    const char *accept;
    int format;
} accepts[] = {
    {NULL, MEDIA_NONE},
    {"", MEDIA_NONE},
    {"*/*", MEDIA_NONE},
    {"application/cbor", 60},
    {"application/cbor, */*;q=0.1", MEDIA_NONE},
    {"application/cbor, */*;q=0", 60},
    {"application/cbor;q=0.5, application/json;q=0.51", 50},
    {"application/cbor;q=0.5,application/json;q=0.5", 60},
    {"text/html, application/xhtml+xml, application/xml;q=0.9", 41},
    {"text/html", MEDIA_NONE},
    {"application/cbor;q=0", MEDIA_NONE},
    {"application/cbor;q=0.000, application/json;q=0.001", 50},
    {"text/event-stream", MEDIA_NONE},
    {"text/event-stream, application/json", 50},
    {"application/*", MEDIA_NONE},
    {",,, ,application/json,", 50},
    {"application/coap-payload;cf=99", 99},
    {"application/json;q=", 50},
    {"application/json;q=\"", 50},
};

START_TEST(accept_names_one_format)
{
    ck_assert_msg(media_read_accept(accepts[_i].accept) == accepts[_i].format, "%s: %d", accepts[_i].accept,
                  media_read_accept(accepts[_i].accept));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rest_media");
    TCase *tcase = tcase_create("all");

    tcase_add_loop_test(tcase, types_are_mapped, 0, array_size(types));
    tcase_add_test(tcase, every_format_has_a_type_that_leads_back);
    tcase_add_loop_test(tcase, accept_names_one_format, 0, array_size(accepts));
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
