#define _GNU_SOURCE /* struct ucred */
#include "rest/peer.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <string.h>

static void set_v4(struct http_peer *peer, const void *address)
{
    (void)inet_ntop(AF_INET, address, peer->address, sizeof peer->address);
    peer->loopback = *(const uint8_t *)address == IN_LOOPBACKNET;
}

void peer_of_address(struct http_peer *peer, const struct sockaddr *address)
{
    const struct in6_addr *v6;

    *peer = (struct http_peer){.kind = HTTP_PEER_TCP};
    if (address->sa_family == AF_UNIX) {
        peer->kind = HTTP_PEER_UNIX;
    } else if (address->sa_family == AF_INET) {
        set_v4(peer, &((const struct sockaddr_in *)(const void *)address)->sin_addr);
    } else if (address->sa_family == AF_INET6) {
        v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(v6)) {
            set_v4(peer, v6->s6_addr + 12);
            return;
        }
        (void)inet_ntop(AF_INET6, v6, peer->address, sizeof peer->address);
        peer->loopback = IN6_IS_ADDR_LOOPBACK(v6);
    }
}

/* The kernel tells none when there are more than fit; then only the first one counts. */
static void set_groups(struct http_peer *peer, int fd)
{
    socklen_t size = sizeof peer->groups - sizeof peer->gid;

    peer->groups[0] = peer->gid;
    peer->group_count = 1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups + 1, &size) == 0)
        peer->group_count += size / sizeof peer->gid;
}

/* Nobody's, which no grant names. */
static void set_process(struct http_peer *peer, int fd)
{
    struct ucred process;
    socklen_t size = sizeof process;

    peer->uid = (uid_t)-1;
    peer->gid = (gid_t)-1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &size) < 0)
        return;
    peer->uid = process.uid;
    peer->gid = process.gid;
    peer->pid = process.pid;
    set_groups(peer, fd);
}

void peer_of_connection(struct http_peer *peer, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    peer_of_address(peer, info->client_addr);
    if (peer->kind != HTTP_PEER_UNIX)
        return;
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    set_process(peer, info->connect_fd);
}
