#include <arpa/inet.h>
#include <coap3/coap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * The rate of bare libcoap, for comparison: confirmable is-running requests (agent of kind v1) to devices on
 * consecutive ports of 127.0.0.1, with a fixed number in flight and at most one for each device. Prints exchanges per
 * second.
 */

#define MAX_DEVICES 1024

static coap_session_t *sessions[MAX_DEVICES];
static size_t device_count, in_flight, next_device;
static const char *uid;
static unsigned long answered;

static double now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void send_next(void)
{
    static uint32_t token;
    coap_session_t *session = sessions[next_device];
    coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, COAP_REQUEST_CODE_GET, session);
    const uint8_t action = 3;

    token++;
    if (!pdu || !coap_add_token(pdu, sizeof token, (const uint8_t *)&token) ||
        !coap_add_option(pdu, COAP_OPTION_URI_PATH, 9, (const uint8_t *)"container") ||
        !coap_add_option(pdu, COAP_OPTION_URI_PATH, 0, NULL) || !coap_add_option(pdu, 65001, 1, &action) ||
        !coap_add_option(pdu, 65005, strlen(uid), (const uint8_t *)uid) ||
        coap_send(session, pdu) == COAP_INVALID_MID) {
        (void)fprintf(stderr, "raw_coap: cannot send\n");
        exit(1);
    }
    next_device = (next_device + 1) % device_count;
}

static coap_response_t on_response(coap_session_t *session, const coap_pdu_t *sent, const coap_pdu_t *received,
                                   const coap_mid_t mid)
{
    (void)session;
    (void)sent;
    (void)mid;
    if (coap_pdu_get_code(received) != COAP_RESPONSE_CODE_CONTENT) {
        (void)fprintf(stderr, "raw_coap: the device answered with an error\n");
        exit(1);
    }
    answered++;
    send_next();
    return COAP_RESPONSE_OK;
}

static void open_sessions(coap_context_t *context, unsigned long first_port)
{
    for (size_t i = 0; i < device_count; i++) {
        coap_address_t peer;

        coap_address_init(&peer);
        peer.size = sizeof peer.addr.sin;
        peer.addr.sin.sin_family = AF_INET;
        peer.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        peer.addr.sin.sin_port = htons((uint16_t)(first_port + i));
        sessions[i] = coap_new_client_session(context, NULL, &peer, COAP_PROTO_UDP);
        if (!sessions[i]) {
            (void)fprintf(stderr, "raw_coap: no session\n");
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    coap_context_t *context;
    double start, seconds;

    if (argc != 6) {
        (void)fprintf(stderr, "usage: raw_coap FIRST-PORT DEVICES IN-FLIGHT SECONDS UID\n");
        return 2;
    }
    device_count = strtoul(argv[2], NULL, 10);
    in_flight = strtoul(argv[3], NULL, 10);
    seconds = strtod(argv[4], NULL);
    uid = argv[5];
    if (device_count == 0 || device_count > MAX_DEVICES || in_flight == 0 || in_flight > device_count)
        return 2;
    context = coap_new_context(NULL);
    coap_register_response_handler(context, on_response);
    open_sessions(context, strtoul(argv[1], NULL, 10));
    start = now();
    for (size_t i = 0; i < in_flight; i++)
        send_next();
    while (now() - start < seconds)
        (void)coap_io_process(context, 100);
    (void)printf("%.0f\n", (double)answered / (now() - start));
    for (size_t i = 0; i < device_count; i++)
        coap_session_release(sessions[i]);
    coap_free_context(context);
    return 0;
}
