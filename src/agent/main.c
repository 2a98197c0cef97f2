#include "agent/settings.h"
#include "agent/transport.h"
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define EXIT_USAGE 2
#define FAREWELL_MS 50 /* between two looks */
#define FAREWELL_TRIES 100
#define SPARE_DESCRIPTORS 64
#define SPARE_CONTEXTS 16 /* of runs of Appendix B.2 */

struct program {
    uv_loop_t loop;
    uv_signal_t terminate, interrupt, restart, forget;
    uv_timer_t farewell;
    unsigned farewells; /* how often it was looked */
    bool telemetry;
    struct transport *transport;
};

static void print_telemetry(const struct program *p)
{
    struct outbox_counters sum = transport_telemetry(p->transport);

    (void)printf("tcagent telemetry: %llu records in %llu messages acknowledged, %llu refused, %llu dropped\n",
                 (unsigned long long)sum.records, (unsigned long long)sum.messages, (unsigned long long)sum.refused,
                 (unsigned long long)sum.dropped);
    (void)fflush(stdout);
}

static void end(struct program *p)
{
    if (p->telemetry)
        print_telemetry(p);
    transport_close(p->transport);
    p->transport = NULL;
    uv_close((uv_handle_t *)&p->farewell, NULL);
    uv_close((uv_handle_t *)&p->terminate, NULL);
    uv_close((uv_handle_t *)&p->interrupt, NULL);
    uv_close((uv_handle_t *)&p->restart, NULL);
    uv_close((uv_handle_t *)&p->forget, NULL);
}

static void on_farewell(uv_timer_t *timer)
{
    struct program *p = timer->data;

    if (++p->farewells > FAREWELL_TRIES || !transport_end(p->transport))
        end(p);
}

/* The devices remove their registrations, in a few seconds at most; a second signal ends that too. */
static void on_end(uv_signal_t *handle, int number)
{
    struct program *p = handle->data;

    (void)number;
    if (p->farewells++ || !transport_end(p->transport))
        end(p);
    else
        (void)uv_timer_start(&p->farewell, on_farewell, FAREWELL_MS, FAREWELL_MS);
}

static void on_restart(uv_signal_t *handle, int number)
{
    struct program *p = handle->data;

    transport_restart(p->transport, number == SIGUSR2);
}

static void watch(struct program *p, uv_signal_t *handle, int number, uv_signal_cb callback)
{
    (void)uv_signal_init(&p->loop, handle);
    handle->data = p;
    (void)uv_signal_start(handle, callback, number);
}

static void raise_descriptor_limit(unsigned count)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < count + SPARE_DESCRIPTORS) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* The line that scripts wait for. */
static void print_ready(const struct settings *s, uint16_t port)
{
    bool v6 = strchr(s->address, ':') != NULL;

    (void)printf("tcagent ready %s%s%s:%u", v6 ? "[" : "", s->address, v6 ? "]" : "", port);
    if (s->count > 1)
        (void)printf(" ..%u", port + s->count - 1);
    (void)printf("\n");
    (void)fflush(stdout);
}

static int run(struct program *p, const struct settings *s, const struct journal *journal)
{
    const struct transport_options options = {s->address, s->port, s->count, &s->agent, clock_system(), journal};
    char reason[256];

    raise_descriptor_limit(s->count);
    if (uv_loop_init(&p->loop) < 0)
        return EXIT_FAILURE;
    if (transport_open(&p->transport, &p->loop, &options, reason, sizeof reason)) {
        (void)fprintf(stderr, "tcagent: %s\n", reason);
        (void)uv_loop_close(&p->loop);
        return EXIT_FAILURE;
    }
    (void)uv_timer_init(&p->loop, &p->farewell);
    p->farewell.data = p;
    p->telemetry = s->agent.traffic.outbox.samples;
    watch(p, &p->terminate, SIGTERM, on_end);
    watch(p, &p->interrupt, SIGINT, on_end);
    watch(p, &p->restart, SIGUSR1, on_restart);
    watch(p, &p->forget, SIGUSR2, on_restart);
    print_ready(s, transport_first_port(p->transport));
    (void)uv_run(&p->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&p->loop);
    return EXIT_SUCCESS;
}

/* With credentials their cryptography must be there first, and go last. Each context keeps its two keyed ciphers, so
 * that a device costs the same among many as among few. */
static int run_protected(struct program *p, struct settings *s, const struct journal *journal)
{
    int r;

    if (s->agent.security.credentials &&
        oscore_crypto_new(&s->agent.security.crypto, 2 * (s->count + SPARE_CONTEXTS))) {
        (void)fprintf(stderr, "tcagent: the cryptographic library has no OSCORE algorithms\n");
        return EXIT_FAILURE;
    }
    r = run(p, s, journal);
    s->agent.security.crypto = oscore_crypto_free(s->agent.security.crypto);
    return r;
}

static int begin(struct program *p, struct settings *s)
{
    struct journal journal = {.fd = -1};
    int r = s->journal ? journal_open(&journal, s->journal, clock_system()) : 0;

    if (r) {
        (void)fprintf(stderr, "tcagent: cannot open the journal %s: %s\n", s->journal, strerror(-r));
        return EXIT_FAILURE;
    }
    r = run_protected(p, s, &journal);
    journal_close(&journal);
    return r;
}

int main(int argc, char **argv)
{
    struct program program = {0};
    struct settings settings;
    char reason[256];
    int r = EXIT_SUCCESS;

    if (settings_parse(&settings, argc, argv, reason, sizeof reason)) {
        (void)fprintf(stderr, "tcagent: %s\n", reason);
        r = EXIT_USAGE;
    } else if (settings.help) {
        settings_print_help(stdout);
    } else if (settings.version) {
        (void)puts("tcagent " PACKAGE_VERSION);
    } else {
        r = begin(&program, &settings);
    }
    settings_clear(&settings);
    return r;
}
