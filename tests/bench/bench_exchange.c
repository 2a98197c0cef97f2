#include "base/text.h"
#include "coap/agents.h"
#include "coap/exchange.h"

#include <arpa/inet.h>
#include <coap3/coap.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

/*
 * How much of libcoap's own rate the endpoint and the exchange leave, and the whole driver: is-running requests, 32 in
 * flight over 64 device ports, answered by a child process that does as little as possible. The best of three rounds
 * counts; the ratios are of exchanges per second of processor time, which other load on the machine disturbs less.
 */

#define PORTS 64
#define IN_FLIGHT 32
#define ROUND_SECONDS 2
#define ROUNDS 3

static int sockets[PORTS];
static uint16_t ports[PORTS];

/* Exchanges per second. */
struct rate {
    double wall, cpu;
};

static double read_seconds(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct rate begin_round(void)
{
    return (struct rate){read_seconds(CLOCK_MONOTONIC), read_seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

static struct rate end_round(struct rate begin, uint64_t count)
{
    return (struct rate){(double)count / (read_seconds(CLOCK_MONOTONIC) - begin.wall),
                         (double)count / (read_seconds(CLOCK_PROCESS_CPUTIME_ID) - begin.cpu)};
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void bind_ports(void)
{
    for (size_t i = 0; i < PORTS; i++) {
        struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof sin;

        sockets[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (sockets[i] < 0 || bind(sockets[i], (struct sockaddr *)&sin, sizeof sin) < 0 ||
            getsockname(sockets[i], (struct sockaddr *)&sin, &size) < 0)
            die("bind");
        ports[i] = ntohs(sin.sin_port);
    }
}

/* 2.05 with STATUS 1 to whatever comes, in the request's ACK. */
static void answer(int fd)
{
    static const uint8_t status[] = {0xe1, 0xfc, 0xe1, 1}; /* delta 65006 - 269, length 1 */
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    uint8_t buffer[256];
    ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &size);
    size_t length;

    if (n < 4)
        return;
    length = 4 + (buffer[0] & 15u);
    buffer[0] |= 0x20;
    buffer[1] = COAPMSG_CONTENT;
    memcpy(buffer + length, status, sizeof status);
    (void)sendto(fd, buffer, length + sizeof status, 0, (struct sockaddr *)&from, size);
}

static void serve(void)
{
    int ep = epoll_create1(0);

    for (size_t i = 0; i < PORTS; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = sockets[i]};

        (void)epoll_ctl(ep, EPOLL_CTL_ADD, sockets[i], &event);
    }
    for (;;) {
        struct epoll_event events[PORTS];
        int n = epoll_wait(ep, events, PORTS, -1);

        for (int i = 0; i < n; i++)
            answer(events[i].data.fd);
    }
}

static void make_request(struct coapmsg *request)
{
    coapmsg_init(request, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_path(request, "/container/");
    coapmsg_add_uint(request, 65001, 3);
    coapmsg_add_text(request, 65005, "door-watch");
}

/* libcoap alone ---------------------------------------------------------------------------------------------------- */

static coap_session_t *sessions[PORTS];
static uint64_t raw_count;

static void send_raw(size_t port)
{
    static uint32_t counter;
    coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, COAP_REQUEST_CODE_GET, sessions[port]);
    uint8_t action = 3;

    counter++;
    (void)coap_add_token(pdu, sizeof counter, (const uint8_t *)&counter);
    (void)coap_add_option(pdu, COAP_OPTION_URI_PATH, 9, (const uint8_t *)"container");
    (void)coap_add_option(pdu, COAP_OPTION_URI_PATH, 0, NULL);
    (void)coap_add_option(pdu, 65001, 1, &action);
    (void)coap_add_option(pdu, 65005, 10, (const uint8_t *)"door-watch");
    if (coap_send(sessions[port], pdu) == COAP_INVALID_MID)
        die("coap_send");
}

static coap_response_t on_raw_response(coap_session_t *session, const coap_pdu_t *sent, const coap_pdu_t *received,
                                       const coap_mid_t mid)
{
    size_t port = (size_t)(uintptr_t)coap_session_get_app_data(session);

    (void)sent;
    (void)received;
    (void)mid;
    raw_count++;
    send_raw((port + IN_FLIGHT) % PORTS);
    return COAP_RESPONSE_OK;
}

static void open_raw_session(coap_context_t *context, size_t i)
{
    coap_address_t peer;

    coap_address_init(&peer);
    peer.size = sizeof peer.addr.sin;
    peer.addr.sin = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(ports[i])};
    sessions[i] = coap_new_client_session(context, NULL, &peer, COAP_PROTO_UDP);
    if (!sessions[i])
        die("coap_new_client_session");
    coap_session_set_app_data(sessions[i], (void *)(uintptr_t)i);
}

static struct rate run_raw(void)
{
    coap_context_t *context = coap_new_context(NULL);
    struct rate rate;

    coap_register_response_handler(context, on_raw_response);
    for (size_t i = 0; i < PORTS; i++)
        open_raw_session(context, i);
    raw_count = 0;
    rate = begin_round();
    for (size_t i = 0; i < IN_FLIGHT; i++)
        send_raw(i);
    while (read_seconds(CLOCK_MONOTONIC) - rate.wall < ROUND_SECONDS)
        (void)coap_io_process(context, 1000);
    rate = end_round(rate, raw_count);
    for (size_t i = 0; i < PORTS; i++)
        coap_session_release(sessions[i]);
    coap_free_context(context);
    return rate;
}

/* Through the endpoint and the exchange ---------------------------------------------------------------------------- */

static struct slot {
    struct exchange exchange;
    size_t port;
} slots[IN_FLIGHT];
static char addresses[PORTS][32];
static uint64_t our_count, our_failures;

static void start_slot(struct slot *slot);

static void on_done(struct exchange *exchange, enum exchange_result result, const struct coapmsg *response, int error)
{
    struct slot *slot = container_of(exchange, struct slot, exchange);
    uint32_t status;

    (void)error;
    if (result == EXCHANGE_ANSWERED && coapmsg_get_uint(response, 65006, &status) && status == 1)
        our_count++;
    else
        our_failures++;
    slot->port = (slot->port + IN_FLIGHT) % PORTS;
    start_slot(slot);
}

static void start_slot(struct slot *slot)
{
    static const struct exchange_times times = {2000, 4, 5000};
    struct coapmsg request;

    make_request(&request);
    exchange_start(&slot->exchange, addresses[slot->port], &request, &times, on_done);
}

static void on_round_over(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void start_clock(uv_loop_t *loop, uv_timer_t *timer)
{
    (void)uv_timer_init(loop, timer);
    (void)uv_timer_start(timer, on_round_over, ROUND_SECONDS * 1000, 0);
    our_count = 0;
}

static void end_loop(uv_loop_t *loop, uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(loop);
}

static struct rate run_exchanges(void)
{
    struct endpoint_options options = {.handlers = &exchange_handlers, .max_idle = PORTS};
    struct endpoint *endpoint;
    uv_loop_t loop;
    uv_timer_t timer;
    struct rate rate;

    (void)uv_loop_init(&loop);
    options.loop = &loop;
    if (endpoint_new(&endpoint, &options) < 0)
        die("endpoint_new");
    start_clock(&loop, &timer);
    rate = begin_round();
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        exchange_init(&slots[i].exchange, &loop, endpoint);
        slots[i].port = i;
        start_slot(&slots[i]);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    rate = end_round(rate, our_count);
    for (size_t i = 0; i < IN_FLIGHT; i++)
        exchange_close(&slots[i].exchange, NULL);
    endpoint_close(endpoint, NULL, NULL);
    end_loop(&loop, &timer);
    return rate;
}

/* Through the agent port, as the core asks for a container's state ------------------------------------------------- */

static struct device devices[PORTS];
static struct agent_call calls[IN_FLIGHT];
static struct agent_port port;

static void on_call_done(struct agent_call *call)
{
    if (call->outcome == AGENT_OK && call->state == CONTAINER_RUNNING)
        our_count++;
    else
        our_failures++;
    call->device = &devices[((size_t)(call->device - devices) + IN_FLIGHT) % PORTS];
    port.begin(port.arg, call);
}

static void set_up_calls(void)
{
    for (size_t i = 0; i < PORTS; i++) {
        devices[i].agent = AGENT_V1;
        (void)text_copy(devices[i].address, sizeof devices[i].address, addresses[i]);
    }
    for (size_t i = 0; i < IN_FLIGHT; i++)
        calls[i] = (struct agent_call){
            .verb = AGENT_CALL_STATUS, .device = &devices[i], .uid = "door-watch", .done = on_call_done};
}

static struct rate run_calls(void)
{
    uv_loop_t loop;
    uv_timer_t timer;
    struct agents_options options = {.loop = &loop,
                                     .max_sessions = PORTS,
                                     .answer_timeout_ms = 5000,
                                     .ack_timeout_ms = 2000,
                                     .max_retransmit = 4,
                                     .load_timeout_ms = 30000};
    struct agents *agents;
    struct rate rate;

    (void)uv_loop_init(&loop);
    if (agents_new(&agents, &options) < 0)
        die("agents_new");
    port = agents_port(agents);
    set_up_calls();
    start_clock(&loop, &timer);
    rate = begin_round();
    for (size_t i = 0; i < IN_FLIGHT; i++)
        port.begin(port.arg, &calls[i]);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    rate = end_round(rate, our_count);
    agents_close(agents, NULL, NULL);
    end_loop(&loop, &timer);
    return rate;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        struct rate (*run)(void);
    } kinds[] = {{"libcoap", run_raw}, {"exchange", run_exchanges}, {"agents", run_calls}};
    struct rate best[array_size(kinds)] = {{0, 0}};
    pid_t child;

    bind_ports();
    child = fork();
    if (child == 0)
        serve();
    for (size_t i = 0; i < PORTS; i++)
        (void)snprintf(addresses[i], sizeof addresses[i], "coap://127.0.0.1:%u", ports[i]);
    for (size_t i = 0; i < ROUNDS * array_size(kinds); i++) {
        size_t kind = i % array_size(kinds);
        struct rate rate;

        if (argc > 1 && strcmp(argv[1], kinds[kind].name) != 0)
            continue;
        rate = kinds[kind].run();
        if (rate.cpu > best[kind].cpu)
            best[kind] = rate;
    }
    (void)kill(child, SIGTERM);
    (void)waitpid(child, NULL, 0);
    for (size_t i = 0; i < array_size(kinds); i++)
        printf("%-10s %8.0f exchanges/s %8.0f per second of processor time, %.2f of libcoap alone\n", kinds[i].name,
               best[i].wall, best[i].cpu, best[0].cpu > 0 ? best[i].cpu / best[0].cpu : 0);
    printf("%llu failed\n", (unsigned long long)our_failures);
    return our_failures ? 1 : 0;
}
