#ifndef TC_CLI_CLIENT_H
#define TC_CLI_CLIENT_H

#include "base/buffer.h"
#include "base/cleanup.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The HTTP client: one connection to one gateway, over a Unix socket or TCP (libcurl). */

#define CLIENT_MAX_BODY (64u << 20) /* of what is kept in memory; a file has no limit */
#define CLIENT_CONTENT_TYPE_SIZE 64
#define CLIENT_NEXT_SIZE 512

/* Positive results of client_exchange. */
enum client_error {
    CLIENT_E_REFUSED = 1, /* nobody listens there */
    CLIENT_E_PERMISSION,  /* the socket may not be opened by this user */
    CLIENT_E_UNRESOLVED,  /* the URL or its host cannot be used */
    CLIENT_E_LOST,        /* the connection ended before the answer, twice */
    CLIENT_E_TIMEOUT,
    CLIENT_E_INTERRUPTED, /* Ctrl-C */
    CLIENT_E_PROTOCOL,    /* an answer, but not HTTP, or too long */
    CLIENT_E_LOCAL,       /* a file on this side cannot be read or written */
    CLIENT_E_PLANNED,     /* --dry-run: it was told instead */
    CLIENT_E_WRITES,      /* --watch: it would change something */
};

struct client_part { /* of a multipart/form-data body */
    const char *name, *type;
    const char *text; /* the content, or NULL: that of the file */
    const char *file;
};

#define CLIENT_DEVICE_WAIT_S 60 /* how long the gateway waits for a device when nobody says (max_wait_s of REST) */

struct client_request {
    const char *method;
    const char *path; /* "/v1/devices?limit=10", escaped */
    const json_t *body;
    const void *raw; /* instead of body, with its body_type; NULL: none */
    size_t raw_size;
    const char *body_type;           /* NULL: application/json */
    const struct client_part *parts; /* instead of a body */
    size_t part_count;
    const char *accept;        /* NULL: JSON */
    const char *upload_offset; /* of a piece of an upload; NULL: none */
    const char *last_event_id; /* of server-sent events, to go on behind; NULL: none */
    unsigned wait_s;           /* Prefer: wait; 0: none */
    bool async;                /* Prefer: respond-async */
    bool fresh;                /* Cache-Control: no-cache */
    const char *cache;         /* Cache-Control; NULL: none */
    bool asks_device;          /* the gateway waits for a device, up to CLIENT_DEVICE_WAIT_S if wait_s is 0 */
    bool once;                 /* a write without an Idempotency-Key, which is never repeated */
    FILE *save_to;             /* where the body of a 2xx goes, NULL: into the reply */
    /* Gets the body of a 2xx while it comes, however long that takes; false ends the transfer. NULL: not used. */
    bool (*receive)(void *arg, const char *data, size_t size);
    void *receive_arg;
    void (*progress)(void *arg, int64_t sent, int64_t to_send, int64_t received, int64_t to_receive);
    void *progress_arg; /* called about once a second, and more often while bytes flow */
};

struct client_reply {
    long status;
    char content_type[CLIENT_CONTENT_TYPE_SIZE]; /* without parameters */
    char coap_code[8];                           /* of a device's answer: "2.04"; empty: none */
    char location[256];                          /* empty: none */
    char next[CLIENT_NEXT_SIZE];                 /* cursor of the next page of what is no JSON; empty: none */
    char cache_status[64];                       /* RFC 9211; empty: none */
    struct buffer head;                          /* the header fields, a line each */
    struct buffer body;
    json_t *json; /* when the body is (problem) JSON */
};

void client_reply_clear(struct client_reply *reply);
#define cleanup_reply cleanup(client_reply_clear)

struct client;

/* socket (a path) or url ("http://host:port"), the other is NULL; both are copied. timeout_ms is what an answer may
 * take beyond the time that a request waits for. NULL when memory is out. */
struct client *client_new(const char *socket, const char *url, int64_t timeout_ms);
/* A bearer token and a PEM file with CAs to go by, copied; NULL: none. False: out of memory. */
bool client_set_trust(struct client *client, const char *token, const char *ca) must_check;
struct client *client_free(struct client *client);

/*
 * Sends a request and reads the whole answer, whatever its status. Every write that is not `once` carries an
 * Idempotency-Key, so when the connection is lost before the answer the request is sent once more. Returns 0 or a
 * client_error.
 */
int client_exchange(struct client *client, const struct client_request *request, struct client_reply *reply) must_check;

/* The value of the first header field with a name. False, and an empty text, when there is none that fits. */
bool client_header(const struct client_reply *reply, const char *name, char *out, size_t size);

/* What the last error was, in words. */
const char *client_reason(const struct client *client);

/* client_path("/v1/devices/%s", "box 1") is "/v1/devices/box%201": each %s (nothing else is known) stands for a
 * segment, which is percent-encoded. The caller frees it. */
char *client_path(const char *format, ...) printf_like(1, 2);

/* Appends ?name=value or &name=value, percent-encoded. */
void client_add_query(char **path, const char *name, const char *value);

#endif
