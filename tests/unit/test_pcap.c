#include "rest/pcap.h"
#include "suite.h"

#include "base/cleanup.h"

#include <check.h>
#include <string.h>

#define FILE_HEADER 24
#define RECORD_HEADER 16

static const uint8_t message[] = {0x41, 0x01, 0x12, 0x34, 0xaa, 0xb1, 'a'};

/* RFC 1071: 0 over bytes that have a right checksum. */
static unsigned sum(unsigned sum, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum += (unsigned)data[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void check_packet(const uint8_t *ip, bool six, bool sent)
{
    size_t head = six ? 40 : 20, udp_size = 8 + sizeof message, addresses = six ? 32 : 8;
    const uint8_t *udp = ip + head;
    unsigned pseudo = 17 + (unsigned)udp_size;

    ck_assert_int_eq(ip[0] >> 4, six ? 6 : 4);
    ck_assert_int_eq(six ? ip[6] : ip[9], 17);
    if (!six)
        ck_assert_uint_eq(sum(0, ip, 20), 0xffff);
    ck_assert_uint_eq(sum(sum(pseudo, ip + (six ? 8 : 12), addresses), udp, udp_size), 0xffff);
    ck_assert_uint_eq((unsigned)udp[sent ? 0 : 2] << 8 | udp[sent ? 1 : 3], 5683);
    ck_assert_uint_eq((unsigned)udp[4] << 8 | udp[5], udp_size);
    ck_assert_mem_eq(udp + 8, message, sizeof message);
}

START_TEST(packets_have_right_headers)
{
    static const struct {
        const char *peer;
        bool six;
        unsigned port;
    } cases[] = {
        {"coap://192.0.2.7:61616", false, 61616}, {"coap://192.0.2.7", false, 5683},
        {"coap://[fd00::12]:5684", true, 5684},   {"coaps+tcp://[fe80::1%eth0]:7777", true, 7777},
        {"coap://[fd00::12]", true, 5683},
    };

    for (size_t i = 0; i < 2 * array_size(cases); i++) {
        cleanup_buffer struct buffer file = buffer_init(0);
        bool sent = i % 2, six = cases[i / 2].six;
        size_t size = (six ? 48u : 28u) + sizeof message;
        const uint8_t *packet;
        uint32_t head[4];

        pcap_begin(&file);
        ck_assert_uint_eq(file.size, FILE_HEADER);
        ck_assert(pcap_add(&file, 1700000000123, sent, cases[i / 2].peer, message, sizeof message));
        ck_assert_uint_eq(file.size, FILE_HEADER + RECORD_HEADER + size);
        memcpy(head, file.data + FILE_HEADER, sizeof head);
        ck_assert_uint_eq(head[0], 1700000000);
        ck_assert_uint_eq(head[1], 123000);
        ck_assert_uint_eq(head[2], size);
        ck_assert_uint_eq(head[3], size);
        packet = file.data + FILE_HEADER + RECORD_HEADER;
        check_packet(packet, six, sent);
        packet += six ? 40 : 20;
        ck_assert_uint_eq((unsigned)packet[sent ? 2 : 0] << 8 | packet[sent ? 3 : 1], cases[i / 2].port);
    }
}
END_TEST

START_TEST(what_is_no_address_is_left_out)
{
    static const char *const peers[] = {"",
                                        "coap",
                                        "coap://",
                                        "coap://name:5683",
                                        "coap://[fd00::g]:1",
                                        "coap://[fd00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]"};
    cleanup_buffer struct buffer file = buffer_init(0);

    for (size_t i = 0; i < array_size(peers); i++)
        ck_assert(!pcap_add(&file, 0, true, peers[i], message, sizeof message));
    ck_assert(!pcap_add(&file, 0, true, "coap://192.0.2.1", message, 65001));
    ck_assert_uint_eq(file.size, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pcap");
    TCase *tc = tcase_create("pcap");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, packets_have_right_headers);
    tcase_add_test(tc, what_is_no_address_is_left_out);
    return suite_run(suite);
}
