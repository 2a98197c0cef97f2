#include "cli/client.h"

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#define CONNECT_TIMEOUT_MS 5000
#define RETRY_DELAY_MS 500
#define MAX_HEAD 32768
#define COMMENT_MS 15000 /* how often a stream says at least that it is there */

struct client {
    CURL *curl;
    char *base; /* "http://localhost" for a Unix socket */
    char *socket;
    char *token, *ca; /* NULL: none */
    int64_t timeout_ms;
    char reason[CURL_ERROR_SIZE + 64];
};

/* One request on its way. */
struct exchange {
    struct client *client;
    const struct client_request *request;
    struct client_reply *reply;
    int64_t heard; /* monotonic ms of the last bytes of a stream */
    bool save_failed, silent;
};

void client_reply_clear(struct client_reply *reply)
{
    buffer_clear(&reply->head);
    buffer_clear(&reply->body);
    json_decref(reply->json);
    *reply = (struct client_reply){0};
}

struct client *client_free(struct client *client)
{
    if (!client)
        return NULL;
    curl_easy_cleanup(client->curl);
    free(client->base);
    free(client->socket);
    if (client->token)
        OPENSSL_cleanse(client->token, strlen(client->token));
    free(client->token);
    free(client->ca);
    free(client);
    return NULL;
}

struct client *client_new(const char *socket, const char *url, int64_t timeout_ms)
{
    struct client *client = calloc(1, sizeof *client);

    if (!client)
        return NULL;
    client->curl = curl_easy_init();
    client->base = strdup(url ? url : "http://localhost");
    client->socket = url ? NULL : strdup(socket);
    client->timeout_ms = timeout_ms;
    if (!client->curl || !client->base || (!url && !client->socket))
        return client_free(client);
    for (size_t n = strlen(client->base); n && client->base[n - 1] == '/'; n--)
        client->base[n - 1] = 0;
    return client;
}

bool client_set_trust(struct client *client, const char *token, const char *ca)
{
    client->token = token ? strdup(token) : NULL;
    client->ca = ca ? strdup(ca) : NULL;
    return !token == !client->token && !ca == !client->ca;
}

const char *client_reason(const struct client *client)
{
    return client->reason;
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct exchange *ex = arg;
    long status = 0;

    (void)curl_easy_getinfo(ex->client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (ex->request->save_to && status >= 200 && status < 300) {
        size_t written = fwrite(data, size, count, ex->request->save_to);

        ex->save_failed = written != count;
        return written * size;
    }
    ex->heard = clock_monotonic_ms(clock_system());
    if (ex->request->receive && status >= 200 && status < 300)
        return ex->request->receive(ex->request->receive_arg, data, size * count) ? size * count : 0;
    buffer_append(&ex->reply->body, data, size * count);
    return ex->reply->body.failed ? 0 : size * count;
}

static size_t take_header(char *line, size_t size, size_t count, void *arg)
{
    struct client_reply *reply = ((struct exchange *)arg)->reply;

    if (size * count > 5 && memcmp(line, "HTTP/", 5) == 0) /* behind an interim answer */
        reply->head.size = 0;
    buffer_append(&reply->head, line, size * count);
    return size * count;
}

/* Of "Name: value" and CRLF. */
static bool take_value(const char *line, size_t size, size_t name_size, char *out, size_t out_size)
{
    size_t n = name_size + 1;

    while (n < size && line[n] == ' ')
        n++;
    while (size > n && (line[size - 1] == '\r' || line[size - 1] == '\n'))
        size--;
    if (size - n >= out_size)
        return false;
    (void)snprintf(out, out_size, "%.*s", (int)(size - n), line + n);
    return true;
}

bool client_header(const struct client_reply *reply, const char *name, char *out, size_t size)
{
    const char *at = buffer_text(&reply->head);
    size_t n = strlen(name);

    *out = 0;
    for (; *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (strncasecmp(at, name, n) == 0 && at[n] == ':')
            return take_value(at, strcspn(at, "\n"), n, out, size);
    return false;
}

static int watch_progress(void *arg, curl_off_t to_receive, curl_off_t received, curl_off_t to_send, curl_off_t sent)
{
    struct exchange *ex = arg;
    const struct client_request *request = ex->request;

    ex->silent =
        request->receive && clock_monotonic_ms(clock_system()) - ex->heard > ex->client->timeout_ms + COMMENT_MS;
    if (cli_interrupted || ex->silent)
        return 1;
    if (request->progress)
        request->progress(request->progress_arg, sent, to_send, received, to_receive);
    return 0;
}

static void add_header(struct curl_slist **headers, const char *name, const char *value)
{
    cleanup_buffer struct buffer line = {0};
    struct curl_slist *longer;

    buffer_printf(&line, value ? "%s: %s" : "%s:", name, value); /* without a value: curl's own is left out */
    longer = curl_slist_append(*headers, buffer_text(&line));
    if (longer)
        *headers = longer;
}

static void add_bearer(struct curl_slist **headers, const char *token)
{
    cleanup_buffer struct buffer value = {0};

    buffer_printf(&value, "Bearer %s", token);
    add_header(headers, "Authorization", buffer_text(&value));
}

static struct curl_slist *make_headers(const struct client *client, const struct client_request *request)
{
    struct curl_slist *headers = NULL;
    char text[UUID_SIZE];

    add_header(&headers, "Accept",
               request->accept ? request->accept : "application/json, application/problem+json, */*;q=0.1");
    if (client->token)
        add_bearer(&headers, client->token);
    if (strcmp(request->method, "GET") != 0 && !request->once)
        add_header(&headers, "Idempotency-Key", text_new_uuid(clock_wall_ms(clock_system()), text));
    if (request->body || (request->raw && request->body_type))
        add_header(&headers, "Content-Type", request->body_type ? request->body_type : "application/json");
    else if (request->raw)
        add_header(&headers, "Content-Type", NULL);
    if (request->upload_offset)
        add_header(&headers, "Upload-Offset", request->upload_offset);
    if (request->async)
        add_header(&headers, "Prefer", "respond-async");
    if (request->fresh)
        add_header(&headers, "Cache-Control", "no-cache");
    if (request->last_event_id)
        add_header(&headers, "Last-Event-ID", request->last_event_id);
    if (request->cache)
        add_header(&headers, "Cache-Control", request->cache);
    if (request->wait_s) {
        (void)snprintf(text, sizeof text, "wait=%u", request->wait_s);
        add_header(&headers, "Prefer", text);
    }
    return headers;
}

static curl_mime *make_mime(CURL *curl, const struct client_request *request)
{
    curl_mime *mime = request->part_count ? curl_mime_init(curl) : NULL;

    for (size_t i = 0; mime && i < request->part_count; i++) {
        const struct client_part *part = &request->parts[i];
        curl_mimepart *to = curl_mime_addpart(mime);

        (void)curl_mime_name(to, part->name);
        (void)curl_mime_type(to, part->type);
        if (part->text)
            (void)curl_mime_data(to, part->text, CURL_ZERO_TERMINATED);
        else
            (void)curl_mime_filedata(to, part->file);
    }
    return mime;
}

/* Transfers of files may take as long as bytes flow, and streams as long as there is a comment now and then, which is
 * less than curl's least speed (watch_progress); everything else has a time in which its answer must be there. */
static void set_timeouts(CURL *curl, const struct client *client, const struct client_request *request)
{
    bool asks = request->asks_device || request->fresh;
    unsigned wait_s = request->wait_s ? request->wait_s : asks ? CLIENT_DEVICE_WAIT_S : 0;
    long limit_ms = (long)(client->timeout_ms + wait_s * 1000L);

    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    if (request->receive)
        return;
    if (request->part_count || request->save_to) {
        (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (limit_ms + 999) / 1000);
    } else {
        (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, limit_ms);
    }
}

/* For https URLs: whom the gateway's certificate has to be of, and what this side shows. */
static void set_certificates(CURL *curl, const char *ca)
{
    static const struct {
        const char *variable;
        CURLoption option;
    } files[] = {{"TCGW_CERTIFICATE", CURLOPT_SSLCERT}, {"TCGW_KEY", CURLOPT_SSLKEY}};

    if (ca)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
    for (size_t i = 0; i < array_size(files); i++) {
        const char *file = getenv(files[i].variable);

        if (file && *file)
            (void)curl_easy_setopt(curl, files[i].option, file);
    }
}

static void set_options(CURL *curl, struct exchange *ex, const char *url, struct curl_slist *headers)
{
    struct client *client = ex->client;

    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* the gateway is next to us; a web proxy would not know it */
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ex->request->method);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "tcgw");
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->reason);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, ex);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, ex);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, ex);
    if (client->socket)
        (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
    set_certificates(curl, client->ca);
    set_timeouts(curl, client, ex->request);
}

static int error_of(const struct exchange *ex, CURLcode result)
{
    long os_error = 0;

    (void)curl_easy_getinfo(ex->client->curl, CURLINFO_OS_ERRNO, &os_error);
    switch (result) {
    case CURLE_OK:
        return 0;
    case CURLE_COULDNT_CONNECT:
        return os_error == EACCES || os_error == EPERM ? CLIENT_E_PERMISSION : CLIENT_E_REFUSED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_COULDNT_RESOLVE_HOST:
        return CLIENT_E_UNRESOLVED;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return CLIENT_E_LOST;
    case CURLE_OPERATION_TIMEDOUT:
        return CLIENT_E_TIMEOUT;
    case CURLE_ABORTED_BY_CALLBACK:
        if (ex->silent)
            return CLIENT_E_TIMEOUT;
        return cli_interrupted ? CLIENT_E_INTERRUPTED : CLIENT_E_LOCAL;
    case CURLE_READ_ERROR:
        return CLIENT_E_LOCAL;
    case CURLE_WRITE_ERROR:
        return ex->save_failed ? CLIENT_E_LOCAL : CLIENT_E_PROTOCOL;
    default:
        return CLIENT_E_PROTOCOL;
    }
}

static void read_content_type(CURL *curl, struct client_reply *reply)
{
    char *type = NULL;

    (void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    (void)text_copy(reply->content_type, sizeof reply->content_type, type ? type : "");
    reply->content_type[strcspn(reply->content_type, "; ")] = 0;
}

static void finish_reply(CURL *curl, struct client_reply *reply)
{
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
    read_content_type(curl, reply);
    (void)client_header(reply, "Tcgw-Coap-Code", reply->coap_code, sizeof reply->coap_code);
    (void)client_header(reply, "Cache-Status", reply->cache_status, sizeof reply->cache_status);
    (void)client_header(reply, "Location", reply->location, sizeof reply->location);
    (void)client_header(reply, "Tcgw-Next", reply->next, sizeof reply->next);
    if (strcmp(reply->content_type, "application/json") == 0 ||
        strcmp(reply->content_type, "application/problem+json") == 0)
        reply->json = json_loadb(buffer_text(&reply->body), reply->body.size, JSON_DECODE_ANY, NULL);
}

static void set_raw(CURL *curl, const struct client_request *request)
{
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->raw_size);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->raw);
}

static int attempt(struct exchange *ex, const char *url, const char *body, struct curl_slist *headers)
{
    CURL *curl = ex->client->curl;
    curl_mime *mime;
    CURLcode result;

    client_reply_clear(ex->reply);
    ex->reply->body.limit = CLIENT_MAX_BODY;
    ex->reply->head.limit = MAX_HEAD;
    ex->client->reason[0] = 0;
    ex->heard = clock_monotonic_ms(clock_system());
    ex->silent = false;
    curl_easy_reset(curl);
    set_options(curl, ex, url, headers);
    mime = make_mime(curl, ex->request);
    if (mime)
        (void)curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
    else if (ex->request->raw)
        set_raw(curl, ex->request);
    else if (body)
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    else if (strcmp(ex->request->method, "POST") == 0)
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    result = curl_easy_perform(curl);
    if (result == CURLE_OK)
        finish_reply(curl, ex->reply);
    else if (ex->silent)
        (void)text_copy(ex->client->reason, sizeof ex->client->reason, "the stream fell silent");
    else if (!ex->client->reason[0])
        (void)text_copy(ex->client->reason, sizeof ex->client->reason, curl_easy_strerror(result));
    curl_mime_free(mime);
    return error_of(ex, result);
}

static bool may_repeat(const struct client_request *request)
{
    return !request->save_to && !request->receive && (!request->once || strcmp(request->method, "GET") == 0);
}

int client_exchange(struct client *client, const struct client_request *request, struct client_reply *reply)
{
    struct exchange ex = {.client = client, .request = request, .reply = reply};
    cleanup_buffer struct buffer url = {0};
    cleanup_free char *body = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;
    struct curl_slist *headers = make_headers(client, request);
    int result;

    buffer_printf(&url, "%s%s", client->base, request->path);
    result = attempt(&ex, buffer_text(&url), body, headers);
    if (result == CLIENT_E_LOST && may_repeat(request) && !cli_interrupted) {
        cli_sleep_ms(RETRY_DELAY_MS);
        result = attempt(&ex, buffer_text(&url), body, headers);
    }
    if (body)
        OPENSSL_cleanse(body, strlen(body)); /* it may have been a secret */
    curl_slist_free_all(headers);
    return result;
}

static void append_encoded(struct buffer *b, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";

    for (; *text; text++) {
        if (strchr(plain, *text))
            buffer_append_u8(b, (uint8_t)*text);
        else
            buffer_printf(b, "%%%02X", (unsigned char)*text);
    }
}

char *client_path(const char *format, ...)
{
    struct buffer b = {0};
    va_list segments;
    size_t size;

    va_start(segments, format);
    for (const char *p = format; *p; p++) {
        if (p[0] == '%' && p[1] == 's') {
            append_encoded(&b, va_arg(segments, const char *));
            p++;
        } else {
            buffer_append_u8(&b, (uint8_t)*p);
        }
    }
    va_end(segments);
    return (char *)buffer_steal(&b, &size);
}

void client_add_query(char **path, const char *name, const char *value)
{
    struct buffer b = {0};
    size_t size;

    buffer_printf(&b, "%s%c%s=", *path, strchr(*path, '?') ? '&' : '?', name);
    append_encoded(&b, value);
    free(*path);
    *path = (char *)buffer_steal(&b, &size);
}
