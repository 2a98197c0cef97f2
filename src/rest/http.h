#ifndef TC_REST_HTTP_H
#define TC_REST_HTTP_H

#include "base/buffer.h"
#include "base/fault.h"
#include "base/list.h"
#include "base/text.h"
#include "core/access.h"
#include "core/model.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Requests and responses as plain objects, independent of how they travel. A transport fills a request in, hands it to
 * dispatch_*, and is told through its `send` when the response is complete, which may be long after dispatch returned.
 *
 * A request is freed when nobody holds it any more: the transport (from http_begin until it is done with the response)
 * and one hold for every callback that will still come.
 */

#define HTTP_TARGET_MAX 2048  /* path and query as received */
#define HTTP_SEGMENTS_MAX 8   /* of a path that are looked at one by one */
#define HTTP_PARAMETERS_MAX 8 /* of a query */
#define HTTP_REQUEST_ID_MAX 64
#define HTTP_RESPONSE_HEADERS_MAX 12
#define HTTP_RESPONSE_SCRATCH 768 /* for the values of response headers */

#define HTTP_JSON "application/json"
#define HTTP_PROBLEM "application/problem+json"
#define HTTP_TEXT "text/plain"
#define HTTP_OCTETS "application/octet-stream"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHOD_OTHER,
    HTTP_METHOD_COUNT
};

enum http_method http_method_from_name(const char *name);
const char *http_method_name(enum http_method method); /* "" for HTTP_METHOD_OTHER */

static inline bool http_method_writes(enum http_method method)
{
    return method == HTTP_POST || method == HTTP_PUT || method == HTTP_PATCH || method == HTTP_DELETE;
}

struct http_pair {
    const char *name;
    const char *value;
};

enum http_body {
    HTTP_BODY_STATIC, /* never changes and is never freed */
    HTTP_BODY_COPY,   /* good until http_answer returns: the transport copies it */
    HTTP_BODY_OWNED,  /* malloc'ed; freed by the transport */
    HTTP_BODY_FILE,   /* the open file `fd`; closed by the transport */
};

struct http_response {
    int status;
    const char *type; /* media type, NULL: no body */
    const void *body;
    size_t size;
    enum http_body ownership;
    int fd;
    bool secret;           /* an owned text that is wiped when it is freed */
    bool repeatable;       /* a plain read: all of the response follows from its body, so it may be sent again */
    bool close;            /* the connection, afterwards */
    const char *error;     /* slug of the fault that it tells of; NULL: none */
    struct stream *stream; /* in place of a body; NULL: none */
    struct http_pair headers[HTTP_RESPONSE_HEADERS_MAX];
    size_t header_count;
    char scratch[HTTP_RESPONSE_SCRATCH];
    size_t scratch_used;
};

struct http_request;
struct http_transport {
    /* The value of a request header, by its name in any case; NULL when absent. */
    const char *(*header)(const struct http_request *req, const char *name);
    /* req->response is complete. Comes once, possibly from within dispatch_*. */
    void (*send)(struct http_request *req);
    /* Nobody holds the request any more. */
    void (*release)(struct http_request *req);
};

enum http_peer_kind { HTTP_PEER_TCP, HTTP_PEER_UNIX, HTTP_PEER_TLS, HTTP_PEER_PLATFORM };

#define HTTP_PEER_GROUPS 64

/* Who is at the other end, as far as the transport knows. What does not apply is zero or empty. */
struct http_peer {
    enum http_peer_kind kind;
    bool loopback; /* of TCP and TLS */
    uid_t uid;     /* of UNIX: of the process that connected */
    gid_t gid;
    pid_t pid;
    gid_t groups[HTTP_PEER_GROUPS]; /* all of its groups, as far as they fit */
    size_t group_count;
    char address[INET6_ADDRSTRLEN]; /* of TCP and TLS, without port */
    char certificate[128];          /* of TLS: subject name of a verified client certificate; empty: none */
    char fingerprint[65];           /* its SHA-256, hexadecimal */
};

struct core_watcher;
struct rest;
struct route;
struct stream;
struct resumable;
struct upload;

struct http_request {
    const struct http_transport *transport;
    struct rest *rest;
    void *mhd;             /* struct MHD_Connection, for the form parser; NULL on other transports */
    struct http_peer peer; /* set by the transport after http_begin */
    enum http_method method;
    bool trusted_host;    /* the Host header needs no check: no page gets a browser here by a name of its own */
    struct caller caller; /* who asks; set before the route's handler runs */
    char id[HTTP_REQUEST_ID_MAX + 1];  /* X-Request-Id */
    char target[HTTP_TARGET_MAX + 1];  /* as received; cut when it was longer */
    char decoded[HTTP_TARGET_MAX + 1]; /* what segments and query point into */
    const char *segments[HTTP_SEGMENTS_MAX];
    const char *raw[HTTP_SEGMENTS_MAX]; /* where each stands in target, with its slash */
    size_t segment_count;               /* all of them, also beyond those above */
    const char *raw_query;              /* in target, behind the question mark; NULL: none */
    char *decoded_end;
    struct http_pair query[HTTP_PARAMETERS_MAX];
    size_t query_count;
    struct fault fault; /* found by the transport or while parsing the target; answered by dispatch_begin */

    const struct route *route;
    const char *params[2]; /* values of the path template's {...} */
    const char *tail;      /* of a route that passes through: the rest of the target, with its slash, as it came */
    struct buffer body;
    json_t *json; /* the parsed body of a route that takes JSON */
    bool secret;  /* the body is wiped when it is freed */
    struct upload *upload;
    struct resumable *resumable; /* that this request continues */

    int format; /* Content-Format of a raw body, -1: none */

    /* api_resource.c, api_proxy.c */
    bool own_format;  /* the device is asked for what it has; its CBOR becomes JSON */
    size_t base_size; /* of the target up to the tail, which the device's Location goes behind; 0: as below */

    /* What a problem is about; NULL where it does not apply. */
    struct {
        const char *device, *container, *operation;
    } about;

    struct http_response response;
    bool answered;
    uint64_t began; /* uv_hrtime of dispatch_begin */
    unsigned holds;

    /* audit.c */
    bool begun;   /* its handler was called */
    bool denied;  /* it is refused for lack of right, whatever the answer's status says */
    bool audited; /* its entry is with its change, or on its way */

    /* dispatch.c: */
    uint64_t discarded; /* bytes of the body that came after the answer */
    /* change.c, wait.c */
    void (*then)(struct http_request *req);
    char record[CORE_RELEASE_TEXT]; /* id of the operation, device, artifact or release that is worked on */
    int created_status;
    uint64_t revision; /* of the shadow document that is written */
    json_t *secrets;   /* of the credentials that are made; wiped when they are freed */
    uint32_t wait_s;   /* of Prefer, 0: none */
    bool queued;       /* it became an operation (Prefer: respond-async) */
    struct core_watcher *watcher;
    int64_t deadline;        /* monotonic ms, while in rest->waits */
    struct list wait_node;   /* in rest->waits */
    struct list active_node; /* in rest->active */
    /* idempotency.c */
    char key[129];        /* Idempotency-Key; empty: none */
    char digest[65];      /* of the request */
    bool changed;         /* something was changed, so the answer is kept for the key */
    struct list key_node; /* in rest->keys while the request is being worked on */
};

/* Makes a request ready for a new exchange (memory may be reused) with the transport's hold. Parses the target's path,
 * which is checked for length, percent-encoding and UTF-8; what is wrong stands in req->fault. */
void http_begin(struct http_request *req, const struct http_transport *transport, struct rest *rest,
                const char *target);
/* Parses the target's query. What is wrong stands in req->fault. */
void http_parse_query(struct http_request *req);
void http_hold(struct http_request *req);
void http_release(struct http_request *req);
/* Frees what a request owns, not the request itself. For transports. */
void http_clear(struct http_request *req);

static inline const char *http_header(const struct http_request *req, const char *name)
{
    return req->transport->header(req, name);
}

/* The value of a query parameter, NULL when absent. */
const char *http_parameter(const struct http_request *req, const char *name);

/* Adds a response header; name and value are not copied. */
void http_add(struct http_request *req, const char *name, const char *value);
/* The same with a value that is copied. One that does not fit is left out. */
void http_add_copy(struct http_request *req, const char *name, const char *format, ...) printf_like(3, 4);
/* A copy of a text that lives as long as the response; NULL when there is no room for it. */
const char *http_copy(struct http_request *req, const char *text);

/* True when the first comma-separated or parameter-separated token of a header's value is `type`, in any case:
 * http_is_type("Application/JSON; charset=utf-8", "application/json"). */
bool http_is_type(const char *value, const char *type);
/* True when Accept (NULL: absent) allows a media type (RFC 9110 section 12.5.1). */
bool http_accepts(const char *accept, const char *type);
/* True when a comma-separated header value has a token, in any case: Cache-Control: no-cache. */
bool http_has_token(const char *value, const char *token);

/*
 * Percent-decodes size bytes of text to out (at least size + 1 bytes), and '+' to a space when `form`. Returns the
 * decoded length, or -1 for a malformed or zero byte, or for bytes that are not UTF-8.
 */
int http_decode(const char *text, size_t size, bool form, char *out);

#endif
