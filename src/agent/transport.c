#include "config.h"

#include "agent/transport.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define BATCH 32
#define ROUNDS 4 /* batches that one socket may take before it is the others' turn */
#define RECEIVE_BUFFER (1 << 20)
#define PORT_TRIES 64

/* Room for a batch, used by one socket at a time. */
struct batch {
    struct mmsghdr headers[BATCH];
    struct iovec vectors[BATCH];
    struct peer peers[BATCH];
    uint8_t data[BATCH][SERVER_DATAGRAM_MAX];
    unsigned used;
};

struct port {
    struct transport *transport;
    struct agent agent;
    uv_poll_t poll;
    uv_timer_t timer;
    int fd;
    int64_t armed_ms; /* AGENT_NO_DEADLINE: not */
    bool reading;
};

struct transport {
    uv_loop_t *loop;
    struct transport_options options;
    uint16_t first_port;
    unsigned opened;       /* ports that have a socket */
    unsigned open_handles; /* until it can be freed */
    int sending_fd;        /* whose answers are in out */
    struct batch in, out;
    struct port ports[];
};

/* Sending ---------------------------------------------------------------------------------------------------------- */

static void flush(struct transport *t)
{
    unsigned done = 0;

    while (done < t->out.used) {
        int n = sendmmsg(t->sending_fd, t->out.headers + done, t->out.used - done, MSG_DONTWAIT);

        done += n > 0 ? (unsigned)n : 1; /* what cannot be sent is lost, as datagrams are */
    }
    t->out.used = 0;
}

static void queue(void *arg, const struct peer *peer, const uint8_t *data, size_t size)
{
    struct port *p = arg;
    struct transport *t = p->transport;
    unsigned i = t->out.used;

    t->sending_fd = p->fd;
    t->out.peers[i] = *peer;
    memcpy(t->out.data[i], data, size);
    t->out.vectors[i].iov_len = size;
    t->out.headers[i].msg_hdr.msg_namelen = peer->size;
    if (++t->out.used == BATCH)
        flush(t);
}

static void batch_init(struct batch *b)
{
    for (size_t i = 0; i < BATCH; i++) {
        b->vectors[i] = (struct iovec){b->data[i], sizeof b->data[i]};
        b->headers[i].msg_hdr =
            (struct msghdr){.msg_name = &b->peers[i].address, .msg_iov = &b->vectors[i], .msg_iovlen = 1};
    }
}

/* Timers and reading ----------------------------------------------------------------------------------------------- */

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

/* Arms the timer for what is due next, and leaves datagrams in the kernel while the device is busy. */
static void settle(struct port *p)
{
    int64_t deadline = agent_deadline(&p->agent);
    bool wanted = !agent_busy(&p->agent);

    if (deadline != p->armed_ms) {
        int64_t wait = deadline - clock_monotonic_ms(p->transport->options.clock);

        p->armed_ms = deadline;
        if (deadline == AGENT_NO_DEADLINE)
            (void)uv_timer_stop(&p->timer);
        else
            (void)uv_timer_start(&p->timer, on_timer, wait > 0 ? (uint64_t)wait : 0, 0);
    }
    if (wanted == p->reading)
        return;
    p->reading = wanted;
    if (wanted)
        (void)uv_poll_start(&p->poll, UV_READABLE, on_readable);
    else
        (void)uv_poll_stop(&p->poll);
}

static void on_timer(uv_timer_t *timer)
{
    struct port *p = container_of(timer, struct port, timer);

    p->armed_ms = AGENT_NO_DEADLINE;
    uv_update_time(p->transport->loop);
    agent_tick(&p->agent);
    flush(p->transport);
    settle(p);
}

static void take(struct port *p, const struct mmsghdr *header, struct peer *peer)
{
    peer->size = header->msg_hdr.msg_namelen;
    if (!(header->msg_hdr.msg_flags & MSG_TRUNC))
        agent_input(&p->agent, peer, header->msg_hdr.msg_iov->iov_base, header->msg_len);
}

static int receive(struct port *p, unsigned room)
{
    struct batch *in = &p->transport->in;

    for (unsigned i = 0; i < room; i++)
        in->headers[i].msg_hdr.msg_namelen = sizeof in->peers[i].address;
    return recvmmsg(p->fd, in->headers, room, MSG_DONTWAIT, NULL);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct port *p = container_of(poll, struct port, poll);
    /* a load that makes the device busy must find the requests after it still in the kernel */
    unsigned room = p->agent.device.bugs.slow_load ? 1 : BATCH;
    int n = (int)room;

    (void)events;
    if (status < 0)
        return;
    for (int round = 0; round < ROUNDS && n == (int)room && !agent_busy(&p->agent); round++) {
        n = receive(p, room);
        for (int i = 0; i < n; i++)
            take(p, &p->transport->in.headers[i], &p->transport->in.peers[i]);
    }
    flush(p->transport);
    settle(p);
}

/* Opening ---------------------------------------------------------------------------------------------------------- */

/* A bound socket, or a negative errno. */
static int open_socket(const char *address, uint16_t port)
{
    const int on = 1, room = RECEIVE_BUFFER;
    struct peer local;
    int fd;

    if (!peer_parse(address, port, &local))
        return -EINVAL;
    fd = socket(local.address.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (local.address.any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, &local.address.any, local.size) < 0) {
        int error = errno;

        (void)close(fd);
        return -error;
    }
    return fd;
}

static uint16_t bound_port(int fd)
{
    struct peer local = {.size = sizeof local.address};

    if (getsockname(fd, &local.address.any, &local.size) < 0)
        return 0;
    return ntohs(local.address.any.sa_family == AF_INET ? local.address.v4.sin_port : local.address.v6.sin6_port);
}

static void close_sockets(struct transport *t)
{
    while (t->opened > 0)
        (void)close(t->ports[--t->opened].fd);
}

/* Opens all sockets from a port on. Returns 0 or a negative errno; t->opened says how far it came. */
static int open_sockets(struct transport *t, uint16_t first)
{
    t->first_port = first;
    for (t->opened = 0; t->opened < t->options.count; t->opened++) {
        unsigned port = t->first_port ? t->first_port + t->opened : 0;
        int fd = port > UINT16_MAX ? -EADDRNOTAVAIL : open_socket(t->options.address, (uint16_t)port);

        if (fd < 0)
            return fd;
        t->ports[t->opened].fd = fd;
        if (!t->first_port)
            t->first_port = bound_port(fd);
    }
    return 0;
}

/* With port 0 the system picks the first; the others must follow it, so another first is tried when one is taken. */
static int open_all(struct transport *t, char *reason, size_t reason_size)
{
    int tries = t->options.port ? 1 : PORT_TRIES, r;

    do {
        r = open_sockets(t, t->options.port);
        if (r == 0)
            return 0;
        (void)snprintf(reason, reason_size, "cannot listen on %s port %u: %s", t->options.address,
                       t->first_port + t->opened, strerror(-r));
        close_sockets(t);
    } while ((r == -EADDRINUSE || r == -EADDRNOTAVAIL) && --tries > 0);
    return r;
}

static void start_port(struct transport *t, struct port *p)
{
    p->armed_ms = AGENT_NO_DEADLINE;
    (void)snprintf(p->agent.device.name, sizeof p->agent.device.name, "%u", bound_port(p->fd));
    (void)uv_poll_init(t->loop, &p->poll, p->fd);
    (void)uv_timer_init(t->loop, &p->timer);
    t->open_handles += 2;
    settle(p);
}

static struct transport *discard(struct transport *t)
{
    for (unsigned i = 0; i < t->options.count; i++)
        agent_clear(&t->ports[i].agent);
    close_sockets(t);
    free(t);
    return NULL;
}

int transport_open(struct transport **out, uv_loop_t *loop, const struct transport_options *options, char *reason,
                   size_t reason_size)
{
    struct transport *t = calloc(1, sizeof *t + options->count * sizeof t->ports[0]);
    int r = t ? 0 : -ENOMEM;

    (void)snprintf(reason, reason_size, "not enough memory for %u devices", options->count);
    if (!t)
        return r;
    t->loop = loop;
    t->options = *options;
    batch_init(&t->in);
    batch_init(&t->out);
    for (unsigned i = 0; i < options->count; i++) {
        t->ports[i].transport = t;
        if (!r)
            r = agent_init(&t->ports[i].agent, options->agent, i, options->clock, options->journal, queue,
                           &t->ports[i]);
    }
    if (r && r != -ENOMEM)
        (void)snprintf(reason, reason_size, "cannot begin: %s", strerror(-r));
    if (!r)
        r = open_all(t, reason, reason_size);
    if (r) {
        (void)discard(t);
        return r;
    }
    for (unsigned i = 0; i < options->count; i++)
        start_port(t, &t->ports[i]);
    *out = t;
    return 0;
}

uint16_t transport_first_port(const struct transport *t)
{
    return t->first_port;
}

void transport_restart(struct transport *t, bool forget)
{
    for (unsigned i = 0; i < t->options.count; i++) {
        agent_restart(&t->ports[i].agent, forget);
        settle(&t->ports[i]);
    }
}

bool transport_end(struct transport *t)
{
    bool busy = false;

    for (unsigned i = 0; i < t->options.count; i++) {
        struct port *p = &t->ports[i];

        if (agent_end(&p->agent)) {
            busy = true;
            agent_tick(&p->agent);
            flush(t);
            settle(p);
        }
    }
    return busy;
}

struct outbox_counters transport_telemetry(const struct transport *t)
{
    struct outbox_counters sum = {0};

    for (unsigned i = 0; i < t->options.count; i++) {
        const struct outbox_counters *c = &t->ports[i].agent.traffic.outbox.counters;

        sum.records += c->records;
        sum.messages += c->messages;
        sum.refused += c->refused;
        sum.dropped += c->dropped;
    }
    return sum;
}

static void on_closed(uv_handle_t *handle)
{
    struct port *p = handle->data;

    if (--p->transport->open_handles == 0)
        (void)discard(p->transport);
}

void transport_close(struct transport *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < t->options.count; i++) {
        struct port *p = &t->ports[i];

        p->poll.data = p->timer.data = p;
        uv_close((uv_handle_t *)&p->poll, on_closed);
        uv_close((uv_handle_t *)&p->timer, on_closed);
    }
}
