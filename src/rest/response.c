#include "rest/server_private.h"

#include <openssl/crypto.h>
#include <string.h>
#include <unistd.h>

static enum MHD_ResponseMemoryMode memory_mode(enum http_body ownership)
{
    if (ownership == HTTP_BODY_OWNED)
        return MHD_RESPMEM_MUST_FREE;
    return ownership == HTTP_BODY_COPY ? MHD_RESPMEM_MUST_COPY : MHD_RESPMEM_PERSISTENT;
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static void wipe_text(void *body)
{
    OPENSSL_cleanse(body, strlen(body));
    free(body);
}

static struct MHD_Response *create_from_body(const struct http_response *res)
{
    void *body = (void *)(uintptr_t)res->body;
    struct MHD_Response *response;

    if (res->secret)
        response = MHD_create_response_from_buffer_with_free_callback(res->size, body, wipe_text);
    else if (res->ownership == HTTP_BODY_FILE)
        response = MHD_create_response_from_fd64(res->size, res->fd);
    else
        response = MHD_create_response_from_buffer(res->size, body, memory_mode(res->ownership));
    if (!response)
        response_free_body(res);
    return response;
}

void response_free_body(const struct http_response *res)
{
    void *body = (void *)(uintptr_t)res->body;

    if (res->secret)
        wipe_text(body);
    else if (res->ownership == HTTP_BODY_OWNED)
        free(body);
    else if (res->ownership == HTTP_BODY_FILE)
        (void)close(res->fd);
}

static struct MHD_Response *create(struct exchange *ex)
{
    const struct http_response *res = &ex->req.response;
    struct MHD_Response *response = res->stream ? live_respond(ex) : create_from_body(res);

    if (!response)
        return NULL;
    if (res->type)
        add(response, "Content-Type", res->type);
    add(response, "X-Content-Type-Options", "nosniff");
    if (res->close)
        add(response, "Connection", "close");
    for (size_t i = 0; i < res->header_count; i++)
        add(response, res->headers[i].name, res->headers[i].value);
    return response;
}

static void forget(struct recent *recent)
{
    if (recent->response)
        MHD_destroy_response(recent->response);
    *recent = (struct recent){0};
}

/* Making a response costs as much as all else that is done for a read. The body decides whether one can be sent again;
 * where the core keeps the text only tells where to look. */
static struct MHD_Response *find_recent(struct exchange *ex)
{
    struct http_response *res = &ex->req.response;
    struct recent *recent = &ex->server->recent[((uintptr_t)res->body >> 4) % RECENT_COUNT];
    void *copy;

    if (recent->response && recent->size == res->size && memcmp(recent->body, res->body, res->size) == 0)
        return recent->response;
    forget(recent);
    copy = malloc(res->size);
    if (!copy)
        return NULL;
    res->body = memcpy(copy, res->body, res->size);
    res->ownership = HTTP_BODY_OWNED;
    *recent = (struct recent){.response = create(ex), .body = copy, .size = res->size};
    return recent->response;
}

struct MHD_Response *response_make(struct exchange *ex)
{
    struct http_response *res = &ex->req.response;
    struct MHD_Response *response;

    /* One that the client gave an id has that in its answer; and while a request is suspended, others might push a
     * shared response out before it is queued. */
    ex->shared = res->repeatable && res->status == 200 && !ex->given_id && !ex->suspended;
    if (ex->shared)
        return find_recent(ex);
    response = create(ex);
    if (response)
        add(response, "X-Request-Id", ex->req.id);
    return response;
}

void response_drop(struct exchange *ex)
{
    if (ex->response && !ex->shared)
        MHD_destroy_response(ex->response);
    ex->response = NULL;
}

void response_forget_recent(struct server *server)
{
    for (size_t i = 0; i < RECENT_COUNT; i++)
        forget(&server->recent[i]);
}
