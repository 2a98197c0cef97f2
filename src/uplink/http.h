#ifndef TC_UPLINK_HTTP_H
#define TC_UPLINK_HTTP_H

#include "uplink/sink.h"

#include <curl/curl.h>

/* HTTP requests on the loop: libcurl's multi interface, its sockets in uv_poll. */
struct http_port;

#define HTTP_BODY_KEPT 512        /* bytes of an answer, for the log */
#define HTTP_BODY_MAX (64u << 10) /* bytes of an answer that are read; then it is cut off */

struct http_call {
    struct http_port *port;
    CURL *curl;
    struct curl_slist *headers;
    bool running;
    size_t received;
    char text[HTTP_BODY_KEPT + 1];
    char problem[CURL_ERROR_SIZE]; /* after the end: why there is no status; empty: there is one */
    long status;                   /* 0: none came */
    long retry_after_s;
    void (*done)(struct http_call *call); /* may begin another one */
    void *arg;
};

int http_port_new(struct http_port **out, struct uplink *uplink) must_check;
void http_port_close(struct http_port *port); /* frees itself; calls are cancelled before */

int http_call_init(struct http_call *call, struct http_port *port) must_check; /* -ENOMEM */
void http_call_clear(struct http_call *call);                                  /* cancels it */
/* Sends what call->curl is set up for, with the headers that were added. The body must live until the end. */
bool http_call_begin(struct http_call *call) must_check;
void http_call_cancel(struct http_call *call);
bool http_call_header(struct http_call *call, const char *format, ...) printf_like(2, 3);

#endif
