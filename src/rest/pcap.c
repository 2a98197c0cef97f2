#include "rest/pcap.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define COAP_PORT 5683
#define LINKTYPE_RAW 101
#define SNAP_MAX 65535
#define SIZE_MAX_INNER 65000
#define IP4_HEADER 20
#define IP6_HEADER 40
#define UDP_HEADER 8
#define PROTOCOL_UDP 17

/* An end of a datagram, in network order. */
struct end {
    uint8_t address[16];
    uint8_t size; /* of the address: 4 or 16 */
    uint16_t port;
};

/* In the byte order of this machine, as the magic number says. */
static void put_u32(struct buffer *out, uint32_t value)
{
    buffer_append(out, &value, sizeof value);
}

static void put_u16(struct buffer *out, uint16_t value)
{
    buffer_append(out, &value, sizeof value);
}

void pcap_begin(struct buffer *out)
{
    put_u32(out, 0xa1b2c3d4);
    put_u16(out, 2);
    put_u16(out, 4);
    put_u32(out, 0);
    put_u32(out, 0);
    put_u32(out, SNAP_MAX);
    put_u32(out, LINKTYPE_RAW);
}

/* "coap://[fd00::1%eth0]:5683", "coaps+tcp://192.0.2.7:5684", without a port too */
static bool parse_peer(const char *peer, struct end *out)
{
    const char *at = strstr(peer, "://"), *port;
    char host[INET6_ADDRSTRLEN];
    bool is_six;
    size_t n;

    if (!at)
        return false;
    is_six = at[3] == '[';
    at += is_six ? 4 : 3;
    n = strcspn(at, is_six ? "]%" : ":");
    if (n >= sizeof host)
        return false;
    (void)snprintf(host, sizeof host, "%.*s", (int)n, at);
    port = strrchr(at, ':');
    if (port && strchr(port, ']'))
        port = NULL; /* it belongs to the address */
    out->port = port ? (uint16_t)strtoul(port + 1, NULL, 10) : COAP_PORT;
    out->size = is_six ? 16 : 4;
    return inet_pton(out->size == 16 ? AF_INET6 : AF_INET, host, out->address) == 1;
}

static struct end gateway_like(const struct end *device)
{
    struct end end = {.size = device->size, .port = COAP_PORT};

    (void)inet_pton(end.size == 16 ? AF_INET6 : AF_INET, end.size == 16 ? "2001:db8::1" : "192.0.2.1", end.address);
    return end;
}

static uint32_t sum_words(uint32_t sum, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum += (uint32_t)data[i] << (i % 2 ? 0 : 8);
    return sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void store_u16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* RFC 791; TTL 64, may not be fragmented. */
static size_t make_ip4(uint8_t *out, const struct end *from, const struct end *to, size_t size)
{
    memset(out, 0, IP4_HEADER);
    out[0] = 0x45;
    store_u16(out + 2, IP4_HEADER + size);
    out[6] = 0x40;
    out[8] = 64;
    out[9] = PROTOCOL_UDP;
    memcpy(out + 12, from->address, 4);
    memcpy(out + 16, to->address, 4);
    store_u16(out + 10, fold(sum_words(0, out, IP4_HEADER)));
    return IP4_HEADER;
}

/* RFC 8200 */
static size_t make_ip6(uint8_t *out, const struct end *from, const struct end *to, size_t size)
{
    memset(out, 0, IP6_HEADER);
    out[0] = 0x60;
    store_u16(out + 4, size);
    out[6] = PROTOCOL_UDP;
    out[7] = 64;
    memcpy(out + 8, from->address, 16);
    memcpy(out + 24, to->address, 16);
    return IP6_HEADER;
}

/* RFC 768, with the pseudo header of either version of IP. */
static void make_udp(uint8_t out[UDP_HEADER], const struct end *from, const struct end *to, const uint8_t *data,
                     size_t size)
{
    uint32_t sum = PROTOCOL_UDP + (uint32_t)(UDP_HEADER + size);
    uint16_t check;

    store_u16(out, from->port);
    store_u16(out + 2, to->port);
    store_u16(out + 4, UDP_HEADER + size);
    store_u16(out + 6, 0);
    sum = sum_words(sum, from->address, from->size);
    sum = sum_words(sum, to->address, to->size);
    sum = sum_words(sum, out, UDP_HEADER);
    check = fold(sum_words(sum, data, size));
    store_u16(out + 6, check ? check : 0xffff);
}

bool pcap_add(struct buffer *out, int64_t time, bool sent, const char *peer, const void *bytes, size_t size)
{
    uint8_t head[IP6_HEADER + UDP_HEADER];
    struct end device, gateway;
    const struct end *from, *to;
    size_t n;

    if (size > SIZE_MAX_INNER || !parse_peer(peer, &device))
        return false;
    gateway = gateway_like(&device);
    from = sent ? &gateway : &device;
    to = sent ? &device : &gateway;
    n = device.size == 16 ? make_ip6(head, from, to, UDP_HEADER + size) : make_ip4(head, from, to, UDP_HEADER + size);
    make_udp(head + n, from, to, bytes, size);
    n += UDP_HEADER;
    put_u32(out, (uint32_t)(time / 1000));
    put_u32(out, (uint32_t)(time % 1000 * 1000));
    put_u32(out, (uint32_t)(n + size));
    put_u32(out, (uint32_t)(n + size));
    buffer_append(out, head, n);
    buffer_append(out, bytes, size);
    return true;
}
