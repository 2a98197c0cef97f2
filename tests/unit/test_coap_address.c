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
    {"::ffff:192.0.2.1", "coap://192.0.2.1:5683"},
    {"[::ffff:c000:201]:7", "coap://192.0.2.1:7"},
    {"coaps://192.0.2.1", "coaps://192.0.2.1:5684"},
    {"CoAPs://[2001:db8::1]/", "coaps://[2001:db8::1]:5684"},
    {"coap+tcp://192.0.2.1", "coap+tcp://192.0.2.1:5683"},
    {"coaps+tcp://192.0.2.1", "coaps+tcp://192.0.2.1:5684"},
    {"coaps+tcp://[2001:db8::1]:443", "coaps+tcp://[2001:db8::1]:443"},
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
    "http://192.0.2.1",
    "coap+ws://192.0.2.1",
    "coaps+tcp://device.local",
    "::ffff:0.0.0.0",
    "::ffff:224.0.1.187",
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

START_TEST(addresses_are_those_of_peers)
{
    char out[CORE_ADDRESS_MAX + 1];
    struct peer peer;

    ck_assert_int_eq(address_parse(good[_i].text, out, NULL), 0);
    if (strstr(out, "%25")) {
        ck_assert_int_eq(peer_parse("coaps://[fe80::1%25lo]:5683", &peer), 0);
        ck_assert_uint_eq(peer.address.v6.sin6_scope_id, 1);
        ck_assert_str_eq(peer_format(&peer, out), "coaps://[fe80::1%25lo]:5683");
        return;
    }
    ck_assert_int_eq(peer_parse(out, &peer), 0);
    ck_assert_str_eq(peer_format(&peer, out), good[_i].canonical);
}
END_TEST

START_TEST(peers_are_parsed)
{
    struct peer peer;

    ck_assert_int_eq(peer_parse("coap+tcp://192.0.2.1:1000", &peer), 0);
    ck_assert_int_eq(peer.transport, PEER_TCP);
    ck_assert_int_eq(peer.address.v4.sin_family, AF_INET);
    ck_assert_uint_eq(ntohs(peer.address.v4.sin_port), 1000);
    ck_assert_uint_eq(ntohl(peer.address.v4.sin_addr.s_addr), 0xc0000201);
    ck_assert_uint_eq(peer.local.v4.s_addr, 0);
    ck_assert_int_eq(peer_parse("coap://[2001:db8::1]:5683", &peer), 0);
    ck_assert_uint_eq(peer.address.v6.sin6_scope_id, 0);
    ck_assert_uint_eq(ntohs(peer.address.v6.sin6_port), 5683);
    ck_assert_int_eq(peer_parse("coap://[fe80::1%251]:5683", &peer), 0);
    ck_assert_uint_eq(peer.address.v6.sin6_scope_id, 1);
    ck_assert_int_eq(peer_parse("coap://[fe80::1%25none0]:5683", &peer), -ENODEV);
    ck_assert_int_eq(peer_parse("192.0.2.1", &peer), -EINVAL);
    ck_assert_int_eq(peer_parse("coap://192.0.2.1", &peer), -EINVAL);
    ck_assert_int_eq(peer_parse("", &peer), -EINVAL);
}
END_TEST

START_TEST(peers_are_equal_by_all_parts)
{
    static const char *const all[] = {
        "coap://192.0.2.1:5683",     "coap://192.0.2.1:5684",          "coap://192.0.2.2:5683",
        "coaps://192.0.2.1:5683",    "coap+tcp://192.0.2.1:5683",      "coap://[2001:db8::1]:5683",
        "coap://[2001:db8::1]:5684", "coap://[2001:db8::2]:5683",      "coap://[fe80::1%251]:5683",
        "coap://[fe80::1]:5683",     "coaps+tcp://[2001:db8::1]:5683",
    };
    struct peer a, b;

    for (size_t i = 0; i < array_size(all); i++) {
        for (size_t k = 0; k < array_size(all); k++) {
            ck_assert_int_eq(peer_parse(all[i], &a), 0);
            ck_assert_int_eq(peer_parse(all[k], &b), 0);
            b.local.v4.s_addr = 1; /* says nothing of who it is */
            ck_assert_msg(peer_equal(&a, &b) == (i == k), "%s %s", all[i], all[k]);
        }
    }
}
END_TEST

START_TEST(addresses_to_serve_have_a_port)
{
    static const char *const wrong[] = {"",        "5683",        "::1:5683",    "[::]",
                                        "[::]:",   "[::]:65536",  "[::]:x",      "localhost:5683",
                                        "1.2.3.4", "1.2.3.4:5:6", "[1.2.3.4]:5", "coap://1.2.3.4:5"};
    struct peer peer;

    ck_assert_int_eq(address_parse_listen("[::]:5683", PEER_UDP, &peer), 0);
    ck_assert_int_eq(peer.address.v6.sin6_family, AF_INET6);
    ck_assert(IN6_IS_ADDR_UNSPECIFIED(&peer.address.v6.sin6_addr));
    ck_assert_uint_eq(ntohs(peer.address.v6.sin6_port), 5683);
    ck_assert_int_eq(address_parse_listen("127.0.0.1:0", PEER_DTLS, &peer), 0);
    ck_assert_int_eq(peer.transport, PEER_DTLS);
    ck_assert_int_eq(peer.address.v4.sin_family, AF_INET);
    ck_assert_uint_eq(peer.address.v4.sin_port, 0);
    for (size_t i = 0; i < array_size(wrong); i++)
        ck_assert_msg(address_parse_listen(wrong[i], PEER_UDP, &peer) == -EINVAL, "%s", wrong[i]);
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
    tcase_add_loop_test(tc, addresses_are_those_of_peers, 0, (int)array_size(good));
    tcase_add_test(tc, peers_are_parsed);
    tcase_add_test(tc, peers_are_equal_by_all_parts);
    tcase_add_test(tc, addresses_to_serve_have_a_port);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
