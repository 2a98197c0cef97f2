#include "rest/server_private.h"

#include "rest/dispatch.h"
#include "rest/reply.h"

#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define SPARES_MAX 64             /* exchanges kept for reuse */
#define HEADERS_MAX (8u << 10)    /* bytes of a request's head */
#define PROGRESS_STEP (16u << 10) /* body bytes that show that a sender is alive */

static struct exchange *from_request(const struct http_request *req)
{
    return container_of(req, struct exchange, req);
}

static const char *find_header(const struct http_request *req, const char *name)
{
    return MHD_lookup_connection_value(from_request(req)->mhd, MHD_HEADER_KIND, name);
}

static void send_response(struct http_request *req)
{
    struct exchange *ex = from_request(req);

    if (!ex->mhd) { /* the client is gone, or the server */
        if (req->response.stream)
            live_end(ex);
        else
            response_free_body(&req->response);
        return;
    }
    ex->response = response_make(ex);
    ex->sent = true;
    if (ex->suspended) {
        ex->suspended = false;
        MHD_resume_connection(ex->mhd);
        server_kick(ex->listener);
    }
}

static void release(struct http_request *req)
{
    struct exchange *ex = from_request(req);
    struct server *server = ex->server;

    http_clear(req);
    list_unlink(&ex->node);
    if (!server || server->free_count >= SPARES_MAX) {
        free(ex);
        return;
    }
    ex->next_free = server->free;
    server->free = ex;
    server->free_count++;
}

static const struct http_transport transport = {
    .header = find_header,
    .send = send_response,
    .release = release,
};

static struct exchange *take_exchange(struct server *server)
{
    struct exchange *ex = server->free;

    if (!ex)
        return calloc(1, sizeof *ex);
    server->free = ex->next_free;
    server->free_count--;
    return ex;
}

void *exchange_begin(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct listener *listener = cls;
    struct server *server = listener->server;
    struct exchange *ex = take_exchange(server);

    if (!ex)
        return NULL;
    http_begin(&ex->req, &transport, server->options.rest, target);
    ex->raw_target = target;
    ex->raw_end = target + strlen(target);
    ex->req.mhd = ex->mhd = mhd;
    ex->req.trusted_host = listener->local || listener->secure;
    ex->server = server;
    ex->listener = listener;
    ex->connection = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    ex->response = NULL;
    ex->live = NULL;
    ex->shared = false;
    ex->stage = EXCHANGE_NEW;
    ex->suspended = ex->sent = false;
    list_append(&server->live, &ex->node);
    if (ex->connection) {
        ex->connection->since = uv_now(server->options.loop);
        server_identify(ex->connection);
        ex->req.peer = ex->connection->peer;
    }
    return ex;
}

/* The client's X-Request-Id when it is short and harmless, otherwise one of ours. */
static void set_request_id(struct exchange *ex)
{
    const char *given = find_header(&ex->req, "X-Request-Id");
    uint64_t id;

    ex->given_id = given && text_is_name(given, HTTP_REQUEST_ID_MAX);
    if (ex->given_id) {
        (void)text_copy(ex->req.id, sizeof ex->req.id, given);
        return;
    }
    id = ex->server->id_prefix + ex->server->id_counter++;
    text_hex(&id, sizeof id, ex->req.id);
}

static void refuse_head(struct exchange *ex, const char *detail)
{
    fault_set(&ex->req.fault, FAULT_MALFORMED_REQUEST, "%s", detail);
    ex->req.response.close = true;
}

/* What says where a request ends. Two programs in a row that read it differently take a part of one request for another
 * (RFC 9112 section 11.2), so what may be read in two ways is refused. */
struct framing {
    unsigned lengths, codings, hosts;
    bool good;       /* so far */
    uint64_t length; /* of the body; UINT64_MAX: it is chunked */
};

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    struct framing *framing = cls;
    int64_t length;

    (void)kind;
    framing->good = framing->good && name[0] && name[strspn(name, token)] == 0;
    framing->hosts += strcasecmp(name, "Host") == 0;
    if (strcasecmp(name, "Content-Length") == 0) {
        framing->lengths++;
        framing->good = framing->good && value && value[strspn(value, "0123456789")] == 0 &&
                        text_parse_int(value, 0, INT64_MAX, &length);
        if (framing->good && framing->codings == 0)
            framing->length = (uint64_t)length;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        framing->codings++;
        framing->good = framing->good && value && strcasecmp(value, "chunked") == 0;
        framing->length = UINT64_MAX;
    }
    return MHD_YES;
}

static bool is_blank(const char *from, const char *to)
{
    while (from < to && *from == ' ')
        from++;
    return from == to;
}

/* MHD takes a NUL in the request line for the end of a word. It keeps the line in one piece, with a NUL for the blank
 * behind each word, so that what it left out shows as more than blanks between two words. */
static bool is_whole(const struct exchange *ex, const char *method, const char *version)
{
    return is_blank(method + strlen(method) + 1, ex->raw_target) && is_blank(ex->raw_end + 1, version);
}

/* Sets *length: 0 without a body, UINT64_MAX for a chunked one. */
static void read_framing(struct exchange *ex, const char *method, const char *version, uint64_t *length)
{
    struct framing framing = {.good = true};

    (void)MHD_get_connection_values(ex->mhd, MHD_HEADER_KIND, take_header, &framing);
    *length = framing.length;
    if (strcmp(version, MHD_HTTP_VERSION_1_1) != 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0)
        refuse_head(ex, "The request is not HTTP/1.1");
    else if (!is_whole(ex, method, version))
        refuse_head(ex, "There is a NUL in the request line");
    else if (!framing.good || framing.lengths + framing.codings > 1 || framing.hosts > 1)
        refuse_head(ex, "The request can be read in two ways: Content-Length, Transfer-Encoding (chunked) and Host may "
                        "be there once, not both of the first two, and names of headers have no blanks");
}

static void check_head(struct exchange *ex)
{
    const union MHD_ConnectionInfo *info;

    info = MHD_get_connection_info(ex->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (info && info->header_size > HEADERS_MAX && ex->req.fault.code != FAULT_URI_TOO_LONG) {
        fault_set(&ex->req.fault, FAULT_HEADERS_TOO_LARGE, "The request's head has %zu bytes, the limit is %u",
                  info->header_size, HEADERS_MAX);
        ex->req.response.close = true;
    }
    if (ex->connection && ex->connection->over_limit) {
        fault_set(&ex->req.fault, FAULT_TOO_MANY_CONNECTIONS, "All %u connections are in use",
                  ex->server->options.max_connections);
        http_add(&ex->req, "Retry-After", "1");
        ex->req.response.close = true;
    }
}

/* Hands the answer to MHD, or suspends the connection until there is one. */
static enum MHD_Result conclude(struct exchange *ex)
{
    enum MHD_Result result;

    ex->stage = EXCHANGE_HANDLED;
    if (ex->connection)
        ex->connection->busy = true;
    if (!ex->sent) {
        if (ex->server->stopped)
            return MHD_NO;
        ex->suspended = true;
        MHD_suspend_connection(ex->mhd);
        return MHD_YES;
    }
    if (!ex->response)
        return MHD_NO; /* out of memory */
    result = MHD_queue_response(ex->mhd, (unsigned)ex->req.response.status, ex->response);
    response_drop(ex);
    return result;
}

static enum MHD_Result begin(struct exchange *ex, const char *method, const char *version)
{
    uint64_t length = 0;
    const char *expect;

    ex->req.method = http_method_from_name(method);
    set_request_id(ex);
    read_framing(ex, method, version, &length);
    check_head(ex);
    if (ex->req.method == HTTP_GET || ex->req.method == HTTP_HEAD)
        length = 0; /* it means nothing, and is read and dropped */
    dispatch_begin(&ex->req, length);
    expect = ex->req.answered && length ? find_header(&ex->req, "Expect") : NULL;
    if (expect || (ex->req.answered && length != UINT64_MAX && length > DISPATCH_DISCARD_MAX))
        return conclude(ex); /* an answer in MHD's first call is sent before the body is, and ends the connection */
    ex->stage = EXCHANGE_BODY;
    return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *ex, const char *data, size_t *size)
{
    struct connection *connection = ex->connection;
    int r = dispatch_body(&ex->req, data, *size);

    if (connection && (connection->progress += *size) >= PROGRESS_STEP) {
        connection->progress = 0;
        connection->since = uv_now(ex->server->options.loop);
    }
    *size = 0;
    if (r == 0)
        return MHD_YES;
    ex->req.response.close = true;
    exchange_send_raw(ex->mhd, &ex->req.response);
    return MHD_NO;
}

enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                const char *version, const char *data, size_t *size, void **con_cls)
{
    struct exchange *ex = *con_cls;

    (void)cls, (void)mhd, (void)url;
    if (!ex)
        return MHD_NO; /* out of memory */
    if (ex->stage == EXCHANGE_NEW)
        return begin(ex, method, version);
    if (ex->stage == EXCHANGE_BODY && *size)
        return take_body(ex, data, size);
    if (ex->stage == EXCHANGE_BODY)
        dispatch_end(&ex->req);
    return conclude(ex);
}

void exchange_completed(void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode reason)
{
    struct exchange *ex = *con_cls;

    (void)cls, (void)mhd, (void)reason;
    *con_cls = NULL;
    if (!ex)
        return;
    if (ex->connection) {
        ex->connection->busy = false;
        ex->connection->progress = 0;
        ex->connection->since = uv_now(ex->server->options.loop);
    }
    response_drop(ex);
    live_end(ex);
    ex->req.mhd = ex->mhd = NULL;
    http_release(&ex->req);
}

void exchange_resume_all(struct server *server)
{
    list_each(node, &server->live)
    {
        struct exchange *ex = container_of(node, struct exchange, node);

        if (ex->suspended) {
            ex->suspended = false;
            MHD_resume_connection(ex->mhd);
        }
    }
}

void exchange_orphan_all(struct server *server)
{
    list_each(node, &server->live)
    {
        struct exchange *ex = container_of(node, struct exchange, node);

        ex->server = NULL;
        list_unlink(&ex->node);
        list_unlink(&ex->req.key_node);
    }
}

void exchange_free_spares(struct server *server)
{
    while (server->free) {
        struct exchange *ex = server->free;

        server->free = ex->next_free;
        free(ex);
    }
}

static bool send_bytes(struct MHD_Connection *mhd, int fd, const struct buffer *text)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    if (info && info->tls_session)
        return gnutls_record_send(info->tls_session, text->data, text->size) > 0 &&
               gnutls_bye(info->tls_session, GNUTLS_SHUT_WR) == 0;
    return send(fd, text->data, text->size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

void exchange_send_raw(struct MHD_Connection *mhd, const struct http_response *response)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    cleanup_buffer struct buffer text = buffer_init(0);

    buffer_printf(&text, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                  response->status, MHD_get_reason_phrase_for((unsigned)response->status), response->type,
                  response->size);
    buffer_append(&text, response->body, response->size);
    if (info && !text.failed && send_bytes(mhd, info->connect_fd, &text))
        (void)shutdown(info->connect_fd, SHUT_WR);
}
