#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * Devices that send one telemetry message after the other: confirmable POST /t with SenML in CBOR of one or more
 * records, from consecutive ports of an address, each with one message under way. Prints messages that were answered
 * 2.04 per second. A client as lean as can be, so that what is measured is the server.
 */

#define MAX_DEVICES 4096
#define MAX_RECORDS 20
#define RETRY_S 2.0

static struct device {
    int fd;
    uint16_t id;
    double sent;
} devices[MAX_DEVICES];
static unsigned long answered, repeated;
static unsigned records = 1;

static double now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static size_t append(uint8_t *m, const void *bytes, size_t count)
{
    memcpy(m, bytes, count);
    return count;
}

/* The record {0: "temp", 1: "Cel", 6: time, 2: value}; 20 to 21 as a half float. */
static size_t append_record(uint8_t *m, double time, uint8_t value)
{
    static const uint8_t head[] = {0xa4, 0, 0x64, 't', 'e', 'm', 'p', 1, 0x63, 'C', 'e', 'l', 6, 0xfb};
    const uint8_t tail[] = {2, 0xf9, 0x4d, value};
    size_t size = append(m, head, sizeof head);
    uint64_t bits;

    memcpy(&bits, &time, sizeof bits);
    for (int i = 0; i < 8; i++)
        m[size++] = (uint8_t)(bits >> (56 - 8 * i));
    return size + append(m + size, tail, sizeof tail);
}

/* Options Uri-Path "t", Content-Format 112; the payload an array of records, a millisecond apart. */
static void send_message(struct device *device)
{
    uint8_t m[16 + MAX_RECORDS * 32] = {0x44, 2, 0, 0, 0, 0, 0, 0, 0xb1, 't', 0x11, 112, 0xff};
    double time = device->sent = now();
    size_t size = 13;

    m[2] = (uint8_t)(device->id >> 8);
    m[3] = (uint8_t)device->id;
    memcpy(m + 4, m + 2, 2);
    m[size++] = (uint8_t)(0x80 + records);
    for (unsigned i = 0; i < records; i++)
        size += append_record(m + size, time - 0.001 * i, (uint8_t)(device->id + i));
    if (send(device->fd, m, size, 0) != (ssize_t)size)
        fail("raw_post: send");
}

static void take_answer(struct device *device)
{
    uint8_t m[1500], ack[4] = {0x60, 0, 0, 0};
    ssize_t n = recv(device->fd, m, sizeof m, MSG_DONTWAIT);

    if (n < 4 || m[1] == 0)
        return; /* an empty acknowledgement: the answer comes by itself */
    if ((m[0] & 0x30) == 0) {
        memcpy(ack + 2, m + 2, 2);
        (void)send(device->fd, ack, sizeof ack, 0);
    }
    if (n < 8 || m[4] != (uint8_t)(device->id >> 8) || m[5] != (uint8_t)device->id)
        return;
    if (m[1] != 0x44) {
        (void)fprintf(stderr, "raw_post: answered %d.%02d\n", m[1] >> 5, m[1] & 31);
        exit(1);
    }
    answered++;
    device->id++;
    send_message(device);
}

static void open_device(struct device *device, int epoll, const struct sockaddr_in *server, struct in_addr host,
                        int port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = host, .sin_port = htons((uint16_t)port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = device};

    device->fd = socket(AF_INET, SOCK_DGRAM, 0);
    device->id = (uint16_t)(now() * 1000);
    if (device->fd < 0 || bind(device->fd, (struct sockaddr *)&own, sizeof own) < 0 ||
        connect(device->fd, (const struct sockaddr *)server, sizeof *server) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, device->fd, &event) < 0)
        fail("raw_post: socket");
}

static void retransmit(size_t count)
{
    double limit = now() - RETRY_S;

    for (size_t i = 0; i < count; i++)
        if (devices[i].sent < limit) {
            repeated++;
            send_message(&devices[i]);
        }
}

static double run(int epoll, size_t count, double seconds)
{
    struct epoll_event events[256];
    double begin = now(), end = begin + seconds;

    while (now() < end) {
        int n = epoll_wait(epoll, events, 256, 500);

        for (int i = 0; i < n; i++)
            take_answer(events[i].data.ptr);
        if (n == 0)
            retransmit(count);
    }
    return now() - begin;
}

int main(int argc, char **argv)
{
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct in_addr host;
    size_t count = argc >= 6 ? strtoul(argv[4], NULL, 10) : 0;
    int epoll = epoll_create1(0);
    double took;

    if (argc > 6)
        records = (unsigned)strtoul(argv[6], NULL, 10);
    if (count < 1 || count > MAX_DEVICES || !inet_aton(argv[2], &host) || records < 1 || records > MAX_RECORDS) {
        (void)fprintf(stderr, "usage: raw_post SERVER-PORT ADDRESS FIRST-PORT DEVICES SECONDS [RECORDS]\n");
        return 2;
    }
    server.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    for (size_t i = 0; i < count; i++)
        open_device(&devices[i], epoll, &server, host, (int)(strtoul(argv[3], NULL, 10) + i));
    for (size_t i = 0; i < count; i++)
        send_message(&devices[i]);
    took = run(epoll, count, strtod(argv[5], NULL));
    printf("%.1f %lu %lu\n", (double)answered / took, answered, repeated);
    return 0;
}
