#include "coap/endpoint.h"
#include "suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>

/* The sockets of the UDP transport: an endpoint with a listener, and devices that are sockets of the test. */

static uv_loop_t loop;
static struct endpoint *endpoint;
static bool closed;
static char reason[256];

static struct {
    unsigned responses, events, requests;
    enum channel_event event;
    void *owner;
    struct peer peer;
    void (*on_request)(struct incoming *incoming);
    void (*on_response)(void);
    struct incoming *incoming;
} seen;

/* The endpoint ---------------------------------------------------------------------------------------------------- */

static void on_response(void *owner, const struct coapmsg *response, bool separate)
{
    (void)response;
    (void)separate;
    seen.owner = owner;
    seen.responses++;
    if (seen.on_response)
        seen.on_response();
}

static void on_event(void *owner, enum channel_event event)
{
    seen.owner = owner;
    seen.event = event;
    seen.events++;
}

static void answer(struct incoming *incoming)
{
    struct coapmsg response;

    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    incoming_answer(incoming, &response, true);
}

static void on_request(void *server, struct incoming *incoming, const struct coapmsg *request)
{
    (void)server;
    (void)request;
    seen.requests++;
    seen.peer = *incoming_peer(incoming);
    seen.incoming = incoming;
    ck_assert_ptr_null(incoming_identity(incoming));
    if (seen.on_request)
        seen.on_request(incoming);
}

static const struct endpoint_handlers handlers = {.response = on_response, .event = on_event, .request = on_request};

static void set_up(void)
{
    struct endpoint_options options = {
        .handlers = &handlers, .loop = &loop, .ack_timeout_ms = 2000, .max_retransmit = 4, .kept_bytes = 1 << 20};

    memset(&seen, 0, sizeof seen);
    seen.on_request = answer;
    closed = false;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(endpoint_new(&endpoint, &options), 0);
}

static void on_closed(void *arg)
{
    (void)arg;
    closed = true;
}

static void tear_down(void)
{
    if (endpoint)
        endpoint_close(endpoint, on_closed, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert(closed);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void on_time(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Runs the loop for some time, or until a count is reached. */
static void run(uint64_t ms, const unsigned *count, unsigned enough)
{
    uv_timer_t timer;
    bool over = false;

    (void)uv_timer_init(&loop, &timer);
    timer.data = &over;
    uv_update_time(&loop);
    (void)uv_timer_start(&timer, on_time, ms, 0);
    while (!over && !(count && *count >= enough))
        (void)uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void listen_at(const char *address)
{
    ck_assert_msg(endpoint_listen(endpoint, PEER_UDP, address, reason, sizeof reason) == 0, "%s", reason);
    ck_assert_uint_ne(endpoint_port(endpoint, PEER_UDP), 0);
}

/* Devices --------------------------------------------------------------------------------------------------------- */

/* A socket at a loopback address. */
static int open_device(const char *ip)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v4 = inet_pton(AF_INET, ip, &v4.sin_addr) == 1;
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);

    if (!is_v4)
        ck_assert_int_eq(inet_pton(AF_INET6, ip, &v6.sin6_addr), 1);
    ck_assert_int_ge(fd, 0);
    if (bind(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, is_v4 ? sizeof v4 : sizeof v6) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin6_port);
}

static void send_to(int fd, const char *ip, uint16_t port, const void *data, size_t size)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v4 = inet_pton(AF_INET, ip, &v4.sin_addr) == 1;

    if (!is_v4)
        ck_assert_int_eq(inet_pton(AF_INET6, ip, &v6.sin6_addr), 1);
    ck_assert_int_eq(sendto(fd, data, size, 0, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
                            is_v4 ? sizeof v4 : sizeof v6),
                     (ssize_t)size);
}

static void send_get(int fd, const char *ip, uint16_t id)
{
    uint8_t get[4] = {0x40, COAPMSG_GET, (uint8_t)(id >> 8), (uint8_t)id};

    send_to(fd, ip, endpoint_port(endpoint, PEER_UDP), get, sizeof get);
}

/* A datagram within the time, and where it came from; -1: none. */
static ssize_t receive(int fd, void *data, size_t size, struct sockaddr_in6 *from)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    socklen_t from_size = sizeof *from;

    if (poll(&ready, 1, 0) <= 0)
        return -1;
    return recvfrom(fd, data, size, 0, (struct sockaddr *)from, &from_size);
}

static struct channel *open_channel(const char *ip, uint16_t port)
{
    struct channel *channel;
    char address[80];

    (void)snprintf(address, sizeof address, strchr(ip, ':') ? "coap://[%s]:%u" : "coap://%s:%u", ip, port);
    ck_assert_int_eq(endpoint_open_channel(endpoint, address, NULL, false, &seen, &channel), 0);
    return channel;
}

static int send_request(struct channel *channel, size_t payload_size, uint32_t max_retransmit)
{
    static uint8_t payload[65536];
    struct coapmsg request;

    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_set_payload(&request, payload, payload_size);
    return channel_send(channel, &request, 2000, max_retransmit);
}

/* Listening ------------------------------------------------------------------------------------------------------- */

START_TEST(one_socket_serves_both_versions)
{
    int v4 = open_device("127.0.0.1"), v6 = open_device("::1");
    char text[CORE_ADDRESS_MAX + 1], expected[80];
    struct sockaddr_in6 from;
    uint8_t data[64];

    listen_at("[::]:0");
    send_get(v4, "127.0.0.1", 1);
    run(1000, &seen.requests, 1);
    (void)snprintf(expected, sizeof expected, "coap://127.0.0.1:%u", port_of(v4));
    ck_assert_str_eq(peer_format(&seen.peer, text), expected);
    ck_assert_int_eq(seen.peer.address.any.sa_family, AF_INET);
    ck_assert_uint_eq(ntohl(seen.peer.local.v4.s_addr), INADDR_LOOPBACK);
    ck_assert_int_eq(receive(v4, data, sizeof data, &from), 4);
    if (v6 >= 0) {
        send_get(v6, "::1", 1);
        run(1000, &seen.requests, 2);
        (void)snprintf(expected, sizeof expected, "coap://[::1]:%u", port_of(v6));
        ck_assert_str_eq(peer_format(&seen.peer, text), expected);
        ck_assert_uint_eq(seen.peer.ifindex, 0);
        ck_assert_int_eq(receive(v6, data, sizeof data, &from), 4);
        (void)close(v6);
    }
    (void)close(v4);
}
END_TEST

static const char *const any[] = {"[::]:0", "0.0.0.0:0"};

/* What is asked at one of our addresses is answered from there. */
START_TEST(answers_leave_from_where_they_were_asked)
{
    static const char *const ours[] = {"127.0.0.1", "127.0.0.2", "127.1.2.3"};
    int device = open_device("127.0.0.1");
    uint8_t data[64];

    listen_at(any[_i]);
    for (unsigned i = 0; i < array_size(ours); i++) {
        struct sockaddr_in6 from;
        struct in_addr ip;

        send_get(device, ours[i], (uint16_t)i);
        run(1000, &seen.requests, i + 1);
        ck_assert_int_eq(receive(device, data, sizeof data, &from), 4);
        (void)inet_pton(AF_INET, ours[i], &ip);
        ck_assert_uint_eq(((struct sockaddr_in *)&from)->sin_addr.s_addr, ip.s_addr);
    }
    (void)close(device);
}
END_TEST

START_TEST(a_late_answer_leaves_from_there_too)
{
    int device = open_device("127.0.0.1");
    struct sockaddr_in6 from;
    uint8_t data[64];

    seen.on_request = NULL;
    listen_at("[::]:0");
    send_get(device, "127.0.0.2", 5);
    run(300, NULL, 0);
    ck_assert_int_eq(receive(device, data, sizeof data, &from), 4); /* the empty ACK */
    ck_assert_uint_eq(data[0], 0x60);
    ck_assert_uint_eq(ntohl(((struct sockaddr_in *)&from)->sin_addr.s_addr), 0x7f000002);
    answer(seen.incoming);
    run(50, NULL, 0);
    ck_assert_int_eq(receive(device, data, sizeof data, &from), 4);
    ck_assert_uint_eq(data[0], 0x40);
    ck_assert_uint_eq(ntohl(((struct sockaddr_in *)&from)->sin_addr.s_addr), 0x7f000002);
    (void)close(device);
}
END_TEST

START_TEST(requests_leave_from_the_port_that_is_served)
{
    int device = open_device("127.0.0.1");
    struct channel *channel;
    struct sockaddr_in6 from;
    uint8_t data[64];

    listen_at(_i < 2 ? any[_i] : "127.0.0.1:0");
    channel = open_channel("127.0.0.1", port_of(device));
    ck_assert_int_eq(send_request(channel, 1, 4), 0);
    ck_assert_int_gt(receive(device, data, sizeof data, &from), 0);
    ck_assert_uint_eq(ntohs(from.sin6_port), endpoint_port(endpoint, PEER_UDP));
    data[0] = 0x68;
    data[1] = COAPMSG_CHANGED;
    send_to(device, "127.0.0.1", endpoint_port(endpoint, PEER_UDP), data, 12);
    run(1000, &seen.responses, 1);
    ck_assert_uint_eq(seen.responses, 1);
    ck_assert(!channel_awaits_ack(channel));
    (void)channel_close(channel, true);
    (void)close(device);
}
END_TEST

START_TEST(without_a_listener_there_is_one_port_per_version)
{
    static const char *const ips[] = {"127.0.0.1", "::1"};

    for (size_t i = 0; i < array_size(ips); i++) {
        int first = open_device(ips[i]), second = open_device(ips[i]);
        struct sockaddr_in6 from;
        struct channel *channel;
        uint16_t port;
        uint8_t data[64];

        if (first < 0)
            continue;
        channel = open_channel(ips[i], port_of(first));
        ck_assert_int_eq(send_request(channel, 1, 4), 0);
        ck_assert_int_gt(receive(first, data, sizeof data, &from), 0);
        port = from.sin6_port;
        (void)channel_close(channel, true);
        channel = open_channel(ips[i], port_of(second));
        ck_assert_int_eq(send_request(channel, 1, 4), 0);
        ck_assert_int_gt(receive(second, data, sizeof data, &from), 0);
        ck_assert_uint_eq(from.sin6_port, port);
        (void)channel_close(channel, true);
        (void)close(first);
        (void)close(second);
    }
    ck_assert_uint_eq(endpoint_port(endpoint, PEER_UDP), 0);
}
END_TEST

START_TEST(a_port_that_is_taken_is_told)
{
    int device = open_device("127.0.0.1");
    char address[64];

    (void)snprintf(address, sizeof address, "127.0.0.1:%u", port_of(device));
    ck_assert_int_eq(endpoint_listen(endpoint, PEER_UDP, address, reason, sizeof reason), -EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(reason, "another"));
    ck_assert_ptr_nonnull(strstr(reason, address));
    ck_assert_int_eq(endpoint_listen(endpoint, PEER_UDP, "203.0.113.77:0", reason, sizeof reason), -EADDRNOTAVAIL);
    ck_assert_int_eq(endpoint_listen(endpoint, PEER_UDP, "localhost:5683", reason, sizeof reason), -EINVAL);
    ck_assert_uint_eq(endpoint_port(endpoint, PEER_UDP), 0);
    listen_at("127.0.0.1:0");
    ck_assert_int_eq(endpoint_listen(endpoint, PEER_UDP, "127.0.0.1:0", reason, sizeof reason), -EALREADY);
    (void)close(device);
}
END_TEST

/* Groups are not served. On loopback the kernel takes them only from a socket that is told to. */
START_TEST(multicast_is_ignored)
{
    int device = open_device("127.0.0.1"), yes = 1;
    struct in_addr interface = {htonl(INADDR_LOOPBACK)};
    struct sockaddr_in broadcast = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7fffffff)};
    uint8_t get[4] = {0x40, COAPMSG_GET, 0, 1};

    listen_at(any[_i]);
    (void)setsockopt(device, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface);
    (void)setsockopt(device, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes);
    broadcast.sin_port = htons(endpoint_port(endpoint, PEER_UDP));
    ck_assert_int_eq(sendto(device, get, sizeof get, 0, (struct sockaddr *)&broadcast, sizeof broadcast), sizeof get);
    broadcast.sin_addr.s_addr = htonl(0xe0000001); /* all hosts */
    (void)sendto(device, get, sizeof get, 0, (struct sockaddr *)&broadcast, sizeof broadcast);
    run(100, NULL, 0);
    ck_assert_uint_eq(seen.requests, 0);
    send_get(device, "127.0.0.1", 1);
    run(1000, &seen.requests, 1);
    ck_assert_uint_eq(seen.requests, 1);
    (void)close(device);
}
END_TEST

/* ICMP ------------------------------------------------------------------------------------------------------------ */

START_TEST(a_closed_port_is_told_to_the_right_channel)
{
    static const char *const ips[] = {"127.0.0.1", "127.0.0.1", "::1"};
    const char *ip = ips[_i];
    int closed_port = open_device(ip), silent = open_device(ip);
    struct channel *first, *second;
    uint16_t port;

    if (closed_port < 0)
        return;
    if (_i)
        listen_at("[::]:0");
    port = port_of(closed_port);
    (void)close(closed_port);
    first = open_channel(ip, port);
    second = open_channel(ip, port_of(silent));
    ck_assert_int_eq(send_request(first, 1, 0), 0);
    ck_assert_int_eq(send_request(second, 1, 4), 0); /* is not told of the other's error */
    run(1000, &seen.events, 1);
    ck_assert_uint_eq(seen.events, 1);
    ck_assert_int_eq(seen.event, CHANNEL_REFUSED);
    run(50, NULL, 0);
    ck_assert_uint_eq(seen.events, 1);
    ck_assert(channel_awaits_ack(second));
    ck_assert_int_eq(send_request(first, 1, 0), 0); /* and again: the socket still works */
    run(1000, &seen.events, 2);
    ck_assert_uint_eq(seen.events, 2);
    (void)channel_close(first, true);
    (void)channel_close(second, true);
    (void)close(silent);
}
END_TEST

START_TEST(what_the_system_does_not_send_is_said_at_once)
{
    struct channel *channel;
    int r;

    listen_at("127.0.0.1:0");
    channel = open_channel("203.0.113.77", 5683); /* not from the loopback address */
    r = send_request(channel, 1, 4);
    ck_assert_int_lt(r, 0);
    (void)channel_close(channel, true);
}
END_TEST

/* Size and number ------------------------------------------------------------------------------------------------- */

START_TEST(large_datagrams_go_both_ways)
{
    int device = open_device("127.0.0.1");
    struct channel *channel = open_channel("127.0.0.1", port_of(device));
    static uint8_t data[70000];
    struct sockaddr_in6 from;
    ssize_t size;

    ck_assert_int_eq(send_request(channel, 65494, 4), 0);
    size = receive(device, data, sizeof data, &from);
    ck_assert_int_eq(size, 65507);
    data[0] = 0x68;
    data[1] = COAPMSG_CHANGED;
    send_to(device, "127.0.0.1", ntohs(from.sin6_port), data, 65507);
    run(1000, &seen.responses, 1);
    ck_assert_uint_eq(seen.responses, 1);
    ck_assert_int_eq(send_request(channel, 65495, 4), -EMSGSIZE);
    (void)channel_close(channel, true);
    (void)close(device);
}
END_TEST

START_TEST(many_at_once_are_all_answered)
{
    int devices[10];
    uint8_t data[64];
    unsigned answers = 0;
    struct sockaddr_in6 from;

    listen_at("[::]:0");
    for (size_t i = 0; i < array_size(devices); i++) {
        devices[i] = open_device("127.0.0.1");
        for (uint16_t k = 0; k < 50; k++)
            send_get(devices[i], "127.0.0.1", k);
    }
    run(2000, &seen.requests, 500);
    run(20, NULL, 0);
    ck_assert_uint_eq(seen.requests, 500);
    for (size_t i = 0; i < array_size(devices); i++) {
        for (uint16_t k = 0; k < 50; k++) {
            if (receive(devices[i], data, sizeof data, &from) < 0)
                break;
            ck_assert_uint_eq(data[0], 0x60);
            ck_assert_uint_eq(data[3], k);
            answers++;
        }
        (void)close(devices[i]);
    }
    ck_assert_uint_eq(answers, 500);
}
END_TEST

/* Lifetimes ------------------------------------------------------------------------------------------------------- */

static void close_endpoint(struct incoming *incoming)
{
    (void)incoming; /* held: it is dropped */
    endpoint_close(endpoint, on_closed, NULL);
    endpoint = NULL;
}

START_TEST(a_handler_may_close_the_endpoint)
{
    int device = open_device("127.0.0.1");

    seen.on_request = close_endpoint;
    listen_at("[::]:0");
    for (uint16_t i = 0; i < 20; i++)
        send_get(device, "127.0.0.1", i);
    while (!closed)
        (void)uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(seen.requests, 1);
    (void)close(device);
}
END_TEST

START_TEST(what_is_answered_before_the_end_is_sent)
{
    int device = open_device("127.0.0.1");
    struct sockaddr_in6 from;
    uint8_t data[64];

    seen.on_request = NULL;
    listen_at("[::]:0");
    send_get(device, "127.0.0.1", 1);
    run(1000, &seen.requests, 1);
    answer(seen.incoming);
    endpoint_close(endpoint, on_closed, NULL);
    endpoint = NULL;
    ck_assert_int_eq(receive(device, data, sizeof data, &from), 4);
    (void)close(device);
}
END_TEST

START_TEST(other_transports_have_their_own_errors)
{
    struct channel *channel;

    ck_assert_int_eq(endpoint_open_channel(endpoint, "device.local", NULL, false, &seen, &channel), -EINVAL);
    ck_assert_int_eq(endpoint_open_channel(endpoint, "coap://[fe80::1%25none0]:5683", NULL, false, &seen, &channel),
                     -ENODEV);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("udp sockets");
    TCase *tc = tcase_create("sockets");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, one_socket_serves_both_versions);
    tcase_add_loop_test(tc, answers_leave_from_where_they_were_asked, 0, 2);
    tcase_add_test(tc, a_late_answer_leaves_from_there_too);
    tcase_add_loop_test(tc, requests_leave_from_the_port_that_is_served, 0, 3);
    tcase_add_test(tc, without_a_listener_there_is_one_port_per_version);
    tcase_add_test(tc, a_port_that_is_taken_is_told);
    tcase_add_loop_test(tc, multicast_is_ignored, 0, 2);
    tcase_add_loop_test(tc, a_closed_port_is_told_to_the_right_channel, 0, 3);
    tcase_add_test(tc, what_the_system_does_not_send_is_said_at_once);
    tcase_add_test(tc, large_datagrams_go_both_ways);
    tcase_add_test(tc, many_at_once_are_all_answered);
    tcase_add_test(tc, a_handler_may_close_the_endpoint);
    tcase_add_test(tc, what_is_answered_before_the_end_is_sent);
    tcase_add_test(tc, other_transports_have_their_own_errors);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
