#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bare libmosquitto: publishes payloads of one size with QoS 1, a fixed number of them under way. Prints how many were
 * acknowledged per second. */

static unsigned long sent, acknowledged, count;
static char *payload;
static int size;

static double now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void publish(struct mosquitto *mosq)
{
    if (sent < count && mosquitto_publish(mosq, NULL, "raw/gateway/telemetry/bench-0", size, payload, 1, false) == 0)
        sent++;
}

static void published(struct mosquitto *mosq, void *arg, int mid)
{
    (void)arg, (void)mid;
    acknowledged++;
    publish(mosq);
}

static void connected(struct mosquitto *mosq, void *arg, int code)
{
    (void)mosq;
    *(int *)arg = code == 0 ? 1 : -1;
}

int main(int argc, char **argv)
{
    int window = argc == 5 ? atoi(argv[4]) : 0, up = 0;
    struct mosquitto *mosq;
    double begin;

    if (window < 1 || (size = atoi(argv[3])) < 1) {
        (void)fprintf(stderr, "usage: raw_mqtt PORT COUNT SIZE WINDOW\n");
        return 2;
    }
    count = strtoul(argv[2], NULL, 10);
    payload = malloc((size_t)size);
    (void)mosquitto_lib_init();
    mosq = mosquitto_new(NULL, true, &up);
    if (!payload || !mosq)
        return 1;
    memset(payload, 'x', (size_t)size);
    (void)mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    (void)mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
    (void)mosquitto_max_inflight_messages_set(mosq, (unsigned)window);
    mosquitto_publish_callback_set(mosq, published);
    mosquitto_connect_callback_set(mosq, connected);
    if (mosquitto_connect(mosq, "127.0.0.1", atoi(argv[1]), 60))
        return 1;
    while (up == 0)
        (void)mosquitto_loop(mosq, 100, 1);
    begin = now();
    for (int i = 0; i < window; i++)
        publish(mosq);
    while (up > 0 && acknowledged < count)
        if (mosquitto_loop(mosq, 1000, 1))
            return 1;
    printf("%.1f\n", (double)acknowledged / (now() - begin));
    mosquitto_destroy(mosq);
    free(payload);
    return 0;
}
