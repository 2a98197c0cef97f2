#include "coap/address.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static const struct {
    const char *text, *canonical;
} good[] = {
    {"192.0.2.1", "coap://192.0.2.1:5683"},
    {"192.0.2.1:61616", "coap://192.0.2.1:61616"},
    {"coap://192.0.2.1", "coap://192.0.2.1:5683"},
    {"COAP://192.0.2.1:1/", "coap://192.0.2.1:1"},
    {"2001:DB8:0:0::1", "coap://[2001:db8::1]:5683"},
    {"[2001:db8::1]", "coap://[2001:db8::1]:5683"},
    {"[2001:db8::1]:65535", "coap://[2001:db8::1]:65535"},
    {"coap://[::1]:5684/", "coap://[::1]:5684"},
    {"::1", "coap://[::1]:5683"},
    {"fe80::1%lo", "coap://[fe80::1%25lo]:5683"},
    {"[fe80::1%25lo]:7", "coap://[fe80::1%25lo]:7"},
    {"coap://[fe80::1%25lo]", "coap://[fe80::1%25lo]:5683"},
    {"fe80::1%25", "coap://[fe80::1%2525]:5683"},
    {"[fe80::1%2525]", "coap://[fe80::1%2525]:5683"},
    {"[fe80::1%enp0s31f6.4094]", "coap://[fe80::1%25enp0s31f6.4094]:5683"},
};

START_TEST(addresses_get_one_form)
{
    char out[CORE_ADDRESS_MAX + 1], again[CORE_ADDRESS_MAX + 1];
    struct fault fault;

    ck_assert_int_eq(address_parse(good[_i].text, out, &fault), 0);
    ck_assert_str_eq(out, good[_i].canonical);
    ck_assert_int_eq(address_parse(out, again, NULL), 0);
    ck_assert_str_eq(again, out);
}
END_TEST

static const char *const bad[] = {
    "",
    "coap://",
    "/",
    "device.local",
    "coap://device.local",
    "localhost:5683",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.1:",
    "192.0.2.1:0",
    "192.0.2.1:65536",
    "192.0.2.1:-1",
    "192.0.2.1:+1",
    "192.0.2.1: 1",
    "192.0.2.1:5683x",
    "192.0.2.1/",
    "192.0.2.1%lo",
    "[192.0.2.1]",
    "[192.0.2.1]:1",
    "coap://192.0.2.1/container/",
    "coap://192.0.2.1//",
    "coap://a@192.0.2.1",
    "coaps://192.0.2.1",
    "coap+tcp://192.0.2.1",
    "http://192.0.2.1",
    "[::1",
    "[::1]x",
    "[::1]:",
    "[::1]:x",
    "::1]",
    "[]",
    "[]:1",
    "1::2::3",
    "[fe80::1%]",
    "[fe80::1%25]:1x",
    "fe80::1%averyveryverylongname",
    "fe80::1%a/b",
    "fe80::1%a b",
    " 192.0.2.1",
    "192.0.2.1 ",
    /* no single device */
    "0.0.0.0",
    "255.255.255.255",
    "224.0.1.187",
    "239.1.1.1",
    "::",
    "ff02::fd%lo",
    "[ff05::fd]",
    "fe80::1",
    "[fe80::1]:5683",
};

START_TEST(what_is_no_address_is_refused)
{
    char out[CORE_ADDRESS_MAX + 1];
    struct fault fault;

    ck_assert_msg(address_parse(bad[_i], out, &fault) == 1, "'%s' was taken", bad[_i]);
    ck_assert_int_eq(fault.code, FAULT_INVALID_FIELD);
    ck_assert_str_eq(fault.pointer, "/address");
    ck_assert_msg(strstr(fault.detail, bad[_i]) != NULL, "%s", fault.detail);
}
END_TEST

START_TEST(long_addresses_are_refused)
{
    char text[4096], out[CORE_ADDRESS_MAX + 1];

    memset(text, '1', sizeof text);
    text[sizeof text - 1] = 0;
    ck_assert_int_eq(address_parse(text, out, NULL), 1);
    memcpy(text, "coap://[", 8);
    ck_assert_int_eq(address_parse(text, out, NULL), 1);
    memcpy(text, "fe80::1%", 8);
    ck_assert_int_eq(address_parse(text, out, NULL), 1);
}
END_TEST

START_TEST(link_local_addresses_say_what_is_missing)
{
    char out[CORE_ADDRESS_MAX + 1];
    struct fault fault;

    ck_assert_int_eq(address_parse("fe80::1", out, &fault), 1);
    ck_assert_ptr_nonnull(strstr(fault.detail, "%25eth0"));
}
END_TEST

START_TEST(addresses_resolve)
{
    struct sockaddr_storage storage;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;

    ck_assert_int_eq(address_resolve("coap://192.0.2.1:1000", &storage), (int)sizeof *v4);
    ck_assert_int_eq(v4->sin_family, AF_INET);
    ck_assert_uint_eq(ntohs(v4->sin_port), 1000);
    ck_assert_uint_eq(ntohl(v4->sin_addr.s_addr), 0xc0000201);
    ck_assert_int_eq(address_resolve("coap://[2001:db8::1]:5683", &storage), (int)sizeof *v6);
    ck_assert_uint_eq(v6->sin6_scope_id, 0);
    ck_assert_uint_eq(ntohs(v6->sin6_port), 5683);
    ck_assert_int_eq(address_resolve("coap://[fe80::1%25lo]:5683", &storage), (int)sizeof *v6);
    ck_assert_uint_eq(v6->sin6_scope_id, 1);
    ck_assert_int_eq(address_resolve("coap://[fe80::1%251]:5683", &storage), (int)sizeof *v6);
    ck_assert_uint_eq(v6->sin6_scope_id, 1);
    ck_assert_int_eq(address_resolve("coap://[fe80::1%25none0]:5683", &storage), -ENODEV);
    ck_assert_int_eq(address_resolve("192.0.2.1", &storage), -EINVAL);
    ck_assert_int_eq(address_resolve("coap://192.0.2.1", &storage), -EINVAL);
    ck_assert_int_eq(address_resolve("", &storage), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap address");
    TCase *tc = tcase_create("address");

    tcase_add_loop_test(tc, addresses_get_one_form, 0, (int)array_size(good));
    tcase_add_loop_test(tc, what_is_no_address_is_refused, 0, (int)array_size(bad));
    tcase_add_test(tc, long_addresses_are_refused);
    tcase_add_test(tc, link_local_addresses_say_what_is_missing);
    tcase_add_test(tc, addresses_resolve);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
