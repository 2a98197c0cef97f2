#ifndef TC_REST_AUTH_H
#define TC_REST_AUTH_H

#include "rest/http.h"

/*
 * Who asks, and whether they may: one place for all routes and transports. What a route asks of its callers stands in
 * the route table; a route that says nothing is for the owner of the whole gateway.
 */

#define AUTH_FAILURES_MAX 10 /* of one source in AUTH_WINDOW_MS, after which it is told to wait */
#define AUTH_WINDOW_MS 60000
#define AUTH_SOURCES_MAX 256 /* that are counted one by one; the others together */
#define AUTH_USERS_MAX 32    /* names of this machine's users that are remembered */

struct auth_source {
    char from[sizeof((struct caller *)0)->from];
    uint64_t since; /* uv_now of the first failure that counts */
    unsigned failures;
};

struct auth {
    struct auth_source sources[AUTH_SOURCES_MAX], others;
    size_t source_count;
    struct {
        uid_t uid;
        char name[33];
    } users[AUTH_USERS_MAX];
    size_t user_count;
    gid_t socket_group; /* whose members own the gateway */
    bool has_socket_group;
};

/* The group of a listening Unix socket's file. */
void auth_note_socket(struct auth *auth, int fd);

/* Fills req->caller in from what the transport and the credentials of the request say, unless the transport did. A
 * request without credentials has a caller who may do little; bad ones are FAULT_UNAUTHENTICATED, and
 * FAULT_RATE_LIMITED when there were too many. */
int auth_identify(struct http_request *req, struct fault *fault) must_check;

/* Whether the caller of a request that goes on may still have it: its token was not revoked, its grant not taken. */
bool auth_is_current(struct http_request *req);

/* Whether the caller may do what the route does to what its path names. FAULT_UNAUTHENTICATED, FAULT_FORBIDDEN; what is
 * not there for the caller is FAULT_NOT_FOUND, in the words and in the time of what is not there at all. */
int auth_permit(struct http_request *req, struct fault *fault) must_check;

#endif
