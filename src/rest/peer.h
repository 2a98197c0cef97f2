#ifndef TC_REST_PEER_H
#define TC_REST_PEER_H

#include "rest/http.h"

#include <sys/socket.h>

struct MHD_Connection;

/* Who a socket address is: its kind (TCP or UNIX), its text (an IPv4 address in its own form also when IPv6 carries
 * it), and whether it is this machine's own. */
void peer_of_address(struct http_peer *peer, const struct sockaddr *address);
/* The same of a connection that was accepted, with the credentials of a process on this machine. */
void peer_of_connection(struct http_peer *peer, struct MHD_Connection *mhd);

#endif
