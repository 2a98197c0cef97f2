#define _GNU_SOURCE /* recvmmsg, sendmmsg, in6_pktinfo */

#include "coap/udp_private.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/*
 * The sockets of the UDP transport: one that is served, and one per IP version, opened when it is needed, for peers
 * that the first cannot reach. Datagrams are received many at a time; those that may wait are sent together before the
 * loop sleeps.
 */

#define BATCH 32          /* datagrams per system call */
#define BATCHES_A_PASS 8  /* then others on the loop have their turn */
#define QUEUE_BYTES 65536 /* of datagrams that wait */
#define BUFFER_SIZE 65536
#define CONTROL_SIZE 128
#define SOCKET_BUFFER (4 << 20) /* as far as the system lets us */

struct link;

struct udp_socket {
    struct link *link;
    uv_poll_t poll;
    int fd; /* -1: none */
    int family;
    bool both; /* an IPv6 socket that takes IPv4 too */
};

enum { LISTENER, FOR_IPV4, FOR_IPV6, SOCKET_COUNT };

/* A datagram to send, or one that was received. */
struct envelope {
    struct sockaddr_storage address;
    struct iovec iov;
    _Alignas(struct cmsghdr) uint8_t control[CONTROL_SIZE];
};

struct queue {
    unsigned count;
    const struct udp_socket *from; /* all of them */
    struct mmsghdr headers[BATCH];
    struct envelope envelopes[BATCH];
    size_t used;
    uint8_t bytes[QUEUE_BYTES];
};

struct link {
    struct udp udp;
    struct udp_socket sockets[SOCKET_COUNT];
    uv_timer_t timer;
    uint64_t armed; /* UINT64_MAX: not */
    uv_prepare_t prepare;
    unsigned open_handles;
    struct queue queue;
    struct mmsghdr headers[BATCH];
    struct envelope envelopes[BATCH];
    uint8_t *buffers; /* BATCH of BUFFER_SIZE */
};

static struct link *link_of(struct udp *udp)
{
    return container_of(udp, struct link, udp);
}

/* Addresses ------------------------------------------------------------------------------------------------------- */

static void map_ipv4(struct in6_addr *out, struct in_addr v4)
{
    *out = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(out->s6_addr + 12, &v4, sizeof v4);
}

static socklen_t write_address(const struct udp_socket *sock, const struct peer *peer, struct sockaddr_storage *out)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    if (sock->family == AF_INET) {
        memcpy(out, &peer->address.v4, sizeof peer->address.v4);
        return sizeof peer->address.v4;
    }
    if (peer->address.any.sa_family == AF_INET6) {
        memcpy(out, &peer->address.v6, sizeof peer->address.v6);
        return sizeof peer->address.v6;
    }
    *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = peer->address.v4.sin_port};
    map_ipv4(&v6->sin6_addr, peer->address.v4.sin_addr);
    return sizeof *v6;
}

static void read_address(const struct sockaddr_storage *from, struct peer *peer)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

    *peer = (struct peer){.transport = PEER_UDP};
    if (from->ss_family == AF_INET) {
        memcpy(&peer->address.v4, from, sizeof peer->address.v4);
        memset(peer->address.v4.sin_zero, 0, sizeof peer->address.v4.sin_zero);
    } else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        peer->address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = v6->sin6_port};
        memcpy(&peer->address.v4.sin_addr, v6->sin6_addr.s6_addr + 12, sizeof peer->address.v4.sin_addr);
    } else {
        peer->address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                                 .sin6_port = v6->sin6_port,
                                                 .sin6_addr = v6->sin6_addr,
                                                 .sin6_scope_id = v6->sin6_scope_id};
    }
}

/* Where it was sent to. False for what was not sent to us alone (multicast, broadcast): we serve no groups. */
static bool read_local(struct msghdr *header, struct peer *peer)
{
    bool v4 = peer->address.any.sa_family == AF_INET;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        struct in_pktinfo info4;
        struct in6_pktinfo info6;

        if (v4 && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            memcpy(&info4, CMSG_DATA(c), sizeof info4);
            peer->local.v4 = info4.ipi_addr;
            return info4.ipi_addr.s_addr == info4.ipi_spec_dst.s_addr;
        }
        if (!v4 && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&info6, CMSG_DATA(c), sizeof info6);
            peer->local.v6 = info6.ipi6_addr;
            if (IN6_IS_ADDR_LINKLOCAL(&info6.ipi6_addr))
                peer->ifindex = info6.ipi6_ifindex;
            return !IN6_IS_ADDR_MULTICAST(&info6.ipi6_addr);
        }
    }
    return false;
}

static void put_control(struct msghdr *header, int level, int type, const void *data, size_t size)
{
    struct cmsghdr *c;

    header->msg_controllen = CMSG_SPACE(size);
    c = CMSG_FIRSTHDR(header);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), data, size);
}

/* So that it leaves from where the peer sent to. */
static void write_local(struct msghdr *header, const struct peer *peer)
{
    struct in_pktinfo info4 = {.ipi_spec_dst = peer->local.v4};
    struct in6_pktinfo info6 = {.ipi6_addr = peer->local.v6, .ipi6_ifindex = peer->ifindex};

    if (peer->address.any.sa_family == AF_INET && peer->local.v4.s_addr)
        put_control(header, IPPROTO_IP, IP_PKTINFO, &info4, sizeof info4);
    else if (peer->address.any.sa_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(&peer->local.v6))
        put_control(header, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof info6);
    else
        header->msg_control = NULL;
}

static void seal(const struct udp_socket *sock, struct envelope *envelope, struct msghdr *header, const struct peer *to,
                 const void *data, size_t size)
{
    envelope->iov = (struct iovec){(void *)(uintptr_t)data, size};
    memset(envelope->control, 0, sizeof envelope->control);
    *header = (struct msghdr){
        .msg_name = &envelope->address, .msg_iov = &envelope->iov, .msg_iovlen = 1, .msg_control = envelope->control};
    header->msg_namelen = write_address(sock, to, &envelope->address);
    write_local(header, to);
}

/* Sending --------------------------------------------------------------------------------------------------------- */

static struct udp_socket *find_socket(struct link *link, int family, int *error);

/* An error that belongs to an earlier datagram is told once, to whoever is next. */
static int send_one(const struct udp_socket *sock, const struct msghdr *header)
{
    ssize_t r = sendmsg(sock->fd, header, MSG_NOSIGNAL);

    if (r < 0)
        r = sendmsg(sock->fd, header, MSG_NOSIGNAL);
    return r < 0 ? -errno : 0;
}

static void flush(struct link *link)
{
    struct queue *queue = &link->queue;
    unsigned count = queue->count, done = 0;

    queue->count = 0;
    queue->used = 0;
    while (done < count) {
        int r = sendmmsg(queue->from->fd, queue->headers + done, count - done, MSG_NOSIGNAL);

        if (r > 0)
            done += (unsigned)r;
        else
            (void)send_one(queue->from, &queue->headers[done++].msg_hdr); /* or it is lost, as on the way */
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct link *link = container_of(prepare, struct link, prepare);

    (void)uv_prepare_stop(prepare);
    flush(link);
}

static void enqueue(struct link *link, const struct udp_socket *sock, const struct peer *to, const void *data,
                    size_t size)
{
    struct queue *queue = &link->queue;
    unsigned at;

    if (queue->count == BATCH || queue->used + size > sizeof queue->bytes || queue->from != sock)
        flush(link);
    if (!queue->count)
        (void)uv_prepare_start(&link->prepare, on_prepare);
    at = queue->count++;
    queue->from = sock;
    memcpy(queue->bytes + queue->used, data, size);
    seal(sock, &queue->envelopes[at], &queue->headers[at].msg_hdr, to, queue->bytes + queue->used, size);
    queue->used += size;
}

static int send_datagram(struct udp *udp, const struct peer *to, const void *data, size_t size, bool later)
{
    struct link *link = link_of(udp);
    struct envelope envelope;
    struct msghdr header;
    int r = 0;
    const struct udp_socket *sock = find_socket(link, to->address.any.sa_family, &r);

    if (!sock)
        return r;
    udp->stats.sent++;
    if (later) {
        enqueue(link, sock, to, data, size);
        return 0;
    }
    seal(sock, &envelope, &header, to, data, size);
    return send_one(sock, &header);
}

/* Receiving ------------------------------------------------------------------------------------------------------- */

static void prepare_headers(struct link *link)
{
    for (size_t i = 0; i < BATCH; i++) {
        struct envelope *envelope = &link->envelopes[i];

        envelope->iov = (struct iovec){link->buffers + i * BUFFER_SIZE, BUFFER_SIZE};
        link->headers[i].msg_hdr = (struct msghdr){.msg_name = &envelope->address,
                                                   .msg_namelen = sizeof envelope->address,
                                                   .msg_iov = &envelope->iov,
                                                   .msg_iovlen = 1,
                                                   .msg_control = envelope->control,
                                                   .msg_controllen = sizeof envelope->control};
    }
}

static void take_datagram(struct link *link, size_t i)
{
    struct msghdr *header = &link->headers[i].msg_hdr;
    struct peer from;

    read_address(&link->envelopes[i].address, &from);
    if (read_local(header, &from))
        udp_input(&link->udp, &from, link->envelopes[i].iov.iov_base, link->headers[i].msg_len);
}

/* The ICMP errors that came back, each with the datagram that it is for. */
static void take_errors(struct link *link, const struct udp_socket *sock)
{
    uint8_t *data = link->buffers;

    for (int i = 0; i < BATCH * BATCHES_A_PASS && !link->udp.closing; i++) {
        struct envelope envelope = {.iov = {data, BUFFER_SIZE}};
        struct msghdr header = {.msg_name = &envelope.address,
                                .msg_namelen = sizeof envelope.address,
                                .msg_iov = &envelope.iov,
                                .msg_iovlen = 1,
                                .msg_control = envelope.control,
                                .msg_controllen = sizeof envelope.control};
        ssize_t n = recvmsg(sock->fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
        struct cmsghdr *c;
        struct peer to;

        if (n < 0)
            break;
        for (c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
            struct sock_extended_err error;

            if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
                !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
                continue;
            memcpy(&error, CMSG_DATA(c), sizeof error);
            if (error.ee_origin != SO_EE_ORIGIN_LOCAL && error.ee_errno != EMSGSIZE) {
                read_address(&envelope.address, &to);
                udp_refuse(&link->udp, &to, data, (size_t)n);
            }
            break;
        }
    }
}

static void take_datagrams(struct link *link, const struct udp_socket *sock)
{
    for (int pass = 0; pass < BATCHES_A_PASS && !link->udp.closing; pass++) {
        int count;

        prepare_headers(link);
        count = recvmmsg(sock->fd, link->headers, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count && !link->udp.closing; i++)
            take_datagram(link, (size_t)i);
        if (count < BATCH)
            break;
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct udp_socket *sock = container_of(poll, struct udp_socket, poll);
    struct link *link = sock->link;
    int error;
    socklen_t size = sizeof error;

    (void)events;
    if (status < 0) { /* libuv's view of an error queue: it has stopped */
        take_errors(link, sock);
        (void)getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (!link->udp.closing)
            (void)uv_poll_start(poll, UV_READABLE, on_readable);
    }
    take_datagrams(link, sock);
}

/* Sockets --------------------------------------------------------------------------------------------------------- */

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value); /* where it is missing we do without */
}

/* An IPv6 socket has the options of IPv4 for its IPv4 traffic. Datagrams may be fragmented: without that a large
 * message could not be sent at all. */
static void set_options(int fd, int family)
{
    set_option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    set_option(fd, IPPROTO_IP, IP_RECVERR, 1);
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
    if (family != AF_INET6)
        return;
    set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

static int watch(struct link *link, struct udp_socket *sock, int fd)
{
    int r = uv_poll_init(link->udp.base.endpoint->options.loop, &sock->poll, fd); /* makes it non-blocking */

    if (r < 0)
        return r;
    sock->fd = fd;
    link->open_handles++;
    (void)uv_poll_start(&sock->poll, UV_READABLE, on_readable);
    return 0;
}

/* Opens a socket that is bound to an address; its port may be 0. */
static int open_socket(struct link *link, struct udp_socket *sock, const struct peer *local)
{
    int family = local->address.any.sa_family;
    cleanup_close int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    int r;

    if (fd < 0)
        return -errno;
    sock->family = family;
    sock->both = family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&local->address.v6.sin6_addr);
    if (family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !sock->both);
    set_options(fd, family);
    if (bind(fd, &local->address.any,
             family == AF_INET ? sizeof local->address.v4 : (socklen_t)sizeof local->address.v6) < 0)
        return -errno;
    r = watch(link, sock, fd);
    if (r == 0)
        fd = -1;
    return r;
}

static int adopt(struct transport *transport, int fd)
{
    struct link *link = link_of(udp_of(transport));
    struct udp_socket *sock = &link->sockets[LISTENER];
    struct peer local = {.transport = PEER_UDP};
    socklen_t size = sizeof local.address.v6, flag_size = sizeof(int);
    int v6_only = 1;

    if (sock->fd >= 0)
        return -EALREADY;
    if (getsockname(fd, &local.address.any, &size) < 0)
        return -errno;
    sock->family = local.address.any.sa_family;
    if (sock->family != AF_INET && sock->family != AF_INET6)
        return -EAFNOSUPPORT;
    if (sock->family == AF_INET6)
        (void)getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, &flag_size);
    sock->both = !v6_only && IN6_IS_ADDR_UNSPECIFIED(&local.address.v6.sin6_addr);
    set_options(fd, sock->family);
    return watch(link, sock, fd);
}

static struct udp_socket *find_socket(struct link *link, int family, int *error)
{
    struct udp_socket *listener = &link->sockets[LISTENER];
    struct udp_socket *other = &link->sockets[family == AF_INET ? FOR_IPV4 : FOR_IPV6];
    struct peer any = {.transport = PEER_UDP};

    if (listener->fd >= 0 && (listener->family == family || listener->both))
        return listener;
    if (other->fd >= 0)
        return other;
    any.address.any.sa_family = (sa_family_t)family;
    *error = open_socket(link, other, &any);
    return *error < 0 ? NULL : other;
}

/* [::] on a machine without IPv6 is 0.0.0.0. */
static int open_listener(struct link *link, const struct peer *address)
{
    struct udp_socket *listener = &link->sockets[LISTENER];
    struct peer v4 = {.transport = PEER_UDP};
    int r = open_socket(link, listener, address);

    if (r != -EAFNOSUPPORT || address->address.any.sa_family != AF_INET6 ||
        !IN6_IS_ADDR_UNSPECIFIED(&address->address.v6.sin6_addr))
        return r;
    v4.address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = address->address.v6.sin6_port};
    return open_socket(link, listener, &v4);
}

static int listen_at(struct transport *transport, enum peer_transport kind, const struct peer *address,
                     const char *text, char *reason, size_t reason_size)
{
    struct link *link = link_of(udp_of(transport));
    int r = -EALREADY;

    (void)kind;
    if (link->sockets[LISTENER].fd < 0)
        r = open_listener(link, address);
    if (r == -EADDRINUSE)
        (void)snprintf(reason, reason_size, "another program, perhaps another gateway, holds UDP port %s", text);
    else if (r < 0)
        (void)snprintf(reason, reason_size, "cannot serve UDP at %s: %s", text, strerror(-r));
    return r;
}

static uint16_t get_port(const struct transport *transport, enum peer_transport kind)
{
    const struct link *link = container_of(transport, const struct link, udp.base);
    struct sockaddr_in6 address = {.sin6_port = 0}; /* the port of IPv4 is at the same place */
    socklen_t size = sizeof address;

    if (kind != PEER_UDP || link->sockets[LISTENER].fd < 0 ||
        getsockname(link->sockets[LISTENER].fd, (struct sockaddr *)&address, &size) < 0)
        return 0;
    return ntohs(address.sin6_port);
}

/* The link -------------------------------------------------------------------------------------------------------- */

static uint64_t get_now(struct udp *udp)
{
    (void)udp;
    return uv_hrtime() / 1000000;
}

static void on_time(uv_timer_t *timer)
{
    struct link *link = container_of(timer, struct link, timer);

    link->armed = UINT64_MAX;
    udp_run(&link->udp);
}

static void arm(struct udp *udp, uint64_t due)
{
    struct link *link = link_of(udp);
    uint64_t now = get_now(udp);

    if (link->armed <= due || udp->closing)
        return;
    link->armed = due;
    uv_update_time(link->timer.loop);
    (void)uv_timer_start(&link->timer, on_time, due > now ? due - now : 0, 0);
}

static void release_handle(struct link *link)
{
    struct endpoint *endpoint = link->udp.base.endpoint;

    if (--link->open_handles > 0)
        return;
    udp_clear(&link->udp);
    free(link->buffers);
    free(link);
    endpoint_transport_closed(endpoint);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release_handle(container_of((uv_timer_t *)handle, struct link, timer));
}

static void on_prepare_closed(uv_handle_t *handle)
{
    release_handle(container_of((uv_prepare_t *)handle, struct link, prepare));
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct udp_socket *sock = container_of((uv_poll_t *)handle, struct udp_socket, poll);

    (void)close(sock->fd);
    release_handle(sock->link);
}

static void close_link(struct transport *transport)
{
    struct link *link = link_of(udp_of(transport));

    link->udp.closing = true;
    flush(link);
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
    uv_close((uv_handle_t *)&link->prepare, on_prepare_closed);
    for (size_t i = 0; i < SOCKET_COUNT; i++)
        if (link->sockets[i].fd >= 0)
            uv_close((uv_handle_t *)&link->sockets[i].poll, on_socket_closed);
}

static const struct udp_driver driver = {.now = get_now, .send = send_datagram, .arm = arm};
static const struct transport_ops ops = {UDP_COMMON_OPS, .listen = listen_at, .adopt = adopt, .port = get_port,
                                         .close = close_link};

int udp_new(struct endpoint *endpoint, struct transport **out)
{
    struct link *link = calloc(1, sizeof *link);

    if (!link)
        return -ENOMEM;
    link->buffers = malloc((size_t)BATCH * BUFFER_SIZE);
    if (!link->buffers) {
        free(link);
        return -ENOMEM;
    }
    link->udp.base = (struct transport){.ops = &ops, .endpoint = endpoint};
    link->udp.driver = &driver;
    udp_init(&link->udp);
    for (size_t i = 0; i < SOCKET_COUNT; i++)
        link->sockets[i] = (struct udp_socket){.link = link, .fd = -1};
    link->armed = UINT64_MAX;
    (void)uv_timer_init(endpoint->options.loop, &link->timer);
    (void)uv_prepare_init(endpoint->options.loop, &link->prepare);
    link->open_handles = 2;
    *out = &link->udp.base;
    return 0;
}
