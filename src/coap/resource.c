#include "coap/resource.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define OPTION_MAX 255    /* bytes of a Uri-Path or Uri-Query option (RFC 7252 section 5.10) */
#define TARGET_OPTIONS 36 /* of path and query; the rest of COAPMSG_MAX_OPTIONS is for blocks, Echo and the like */
#define TARGET_MAX 2048   /* bytes of path and query, decoded */
#define DEFAULT_MAX_AGE 60
#define OPT_LOCATION_QUERY 20

/* Path and query as options --------------------------------------------------------------------------------------- */

struct target {
    struct coapmsg *message;
    uint8_t text[TARGET_MAX]; /* the decoded options, one after the other */
    size_t used;
};

static const char *add_option(struct target *t, uint16_t number, const char *from, size_t size)
{
    uint8_t *value = t->text + t->used;
    size_t length = 0;

    for (size_t i = 0; i < size; i++) {
        int byte = from[i] == '%' ? text_unescape(from + i, size - i) : (unsigned char)from[i];

        if (byte < 0)
            return "a percent escape in the path or query is malformed";
        if (length == OPTION_MAX || t->used + length == sizeof t->text)
            return "a part of the path or query has more than 255 bytes, or there are too many";
        value[length++] = (uint8_t)byte;
        i += from[i] == '%' ? 2 : 0;
    }
    if (number == COAPMSG_OPT_URI_PATH &&
        ((length == 1 && value[0] == '.') || (length == 2 && !memcmp(value, "..", 2))))
        return "the path has a segment of dots";
    if (t->message->option_count == TARGET_OPTIONS)
        return "the path and query have too many parts";
    coapmsg_add(t->message, number, value, length);
    t->used += length;
    return NULL;
}

/* Options of the parts of a text between separators. */
static const char *add_parts(struct target *t, uint16_t number, const char *text, char separator)
{
    const char *problem = NULL;

    while (!problem) {
        const char *end = strchr(text, separator);
        size_t size = end ? (size_t)(end - text) : strlen(text);

        problem = add_option(t, number, text, size);
        if (!end)
            break;
        text = end + 1;
    }
    return problem;
}

static const char *add_target(struct target *t, const char *path, const char *query)
{
    const char *problem = NULL;

    if (path[0] != '/')
        return "the path does not begin with a slash";
    if (path[1])
        problem = add_parts(t, COAPMSG_OPT_URI_PATH, path + 1, '/');
    return !problem && query && *query ? add_parts(t, COAPMSG_OPT_URI_QUERY, query, '&') : problem;
}

const char *resource_write(struct buffer *out, const struct agent_resource *resource)
{
    struct coapmsg message;
    struct target target = {.message = &message};
    const char *problem;
    uint8_t *bytes;
    size_t size;

    coapmsg_init(&message, COAPMSG_CON, resource->method);
    problem = add_target(&target, resource->path, resource->query);
    if (problem)
        return problem;
    if (resource->accept >= 0)
        coapmsg_add_uint(&message, COAPMSG_OPT_ACCEPT, (uint32_t)resource->accept);
    if (resource->if_match)
        coapmsg_add(&message, COAPMSG_OPT_IF_MATCH, resource->if_match, resource->if_match_size);
    if (resource->if_none_match)
        coapmsg_add(&message, COAPMSG_OPT_IF_NONE_MATCH, NULL, 0);
    size = coapmsg_size(&message);
    bytes = buffer_reserve(out, size);
    if (!bytes || coapmsg_encode(&message, bytes, size) != size)
        return "the request does not fit a message";
    out->size += size;
    return NULL;
}

void resource_read(const struct buffer *from, struct coapmsg *message)
{
    if (coapmsg_decode(message, from->data, from->size) != 0)
        message->failed = true;
}

/* Responses ------------------------------------------------------------------------------------------------------- */

uint16_t resource_find_unknown(const struct coapmsg *response)
{
    static const uint16_t known[] = {COAPMSG_OPT_IF_MATCH,  COAPMSG_OPT_URI_HOST,  COAPMSG_OPT_IF_NONE_MATCH,
                                     COAPMSG_OPT_URI_PORT,  COAPMSG_OPT_OSCORE,    COAPMSG_OPT_URI_PATH,
                                     COAPMSG_OPT_URI_QUERY, COAPMSG_OPT_ACCEPT,    COAPMSG_OPT_BLOCK2,
                                     COAPMSG_OPT_BLOCK1,    COAPMSG_OPT_PROXY_URI, COAPMSG_OPT_PROXY_SCHEME};

    for (size_t i = 0; i < response->option_count; i++) {
        uint16_t number = response->options[i].number;
        bool found = number % 2 == 0;

        for (size_t k = 0; k < array_size(known) && !found; k++)
            found = known[k] == number;
        if (!found)
            return number;
    }
    return 0;
}

/* Appends the options of a number, each after a mark, escaped (RFC 3986 section 3.3). */
static void print_location(struct buffer *out, const struct coapmsg *response, uint16_t number, const char *first,
                           const char *next)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$'()*+,;=:@";
    const char *mark = first;

    for (const struct coapmsg_option *option = coapmsg_find(response, number); option;
         option = coapmsg_find_next(response, option)) {
        buffer_append_text(out, mark);
        mark = next;
        for (size_t i = 0; i < option->length; i++) {
            if (option->value[i] && strchr(plain, option->value[i]))
                buffer_append_u8(out, option->value[i]);
            else
                buffer_printf(out, "%%%02X", option->value[i]);
        }
    }
}

static void describe_location(const struct coapmsg *response, struct agent_response *out)
{
    cleanup_buffer struct buffer text = buffer_init(sizeof out->location - 1);

    print_location(&text, response, COAPMSG_OPT_LOCATION_PATH, "/", "/");
    print_location(&text, response, OPT_LOCATION_QUERY, "?", "&");
    if (!text.failed && text.size)
        memcpy(out->location, text.data, text.size + 1);
}

void resource_describe(const struct coapmsg *response, struct agent_response *out)
{
    const struct coapmsg_option *etag = coapmsg_find(response, COAPMSG_OPT_ETAG);
    uint32_t value;

    *out = (struct agent_response){.code = response->code, .format = -1, .max_age = DEFAULT_MAX_AGE};
    if (coapmsg_get_uint(response, COAPMSG_OPT_CONTENT_FORMAT, &value) && value <= UINT16_MAX)
        out->format = (int)value;
    if (coapmsg_get_uint(response, COAPMSG_OPT_MAX_AGE, &value))
        out->max_age = value;
    if (etag && etag->length >= 1 && etag->length <= sizeof out->etag) {
        out->etag_size = (uint8_t)etag->length;
        memcpy(out->etag, etag->value, etag->length);
    }
    describe_location(response, out);
}

/* The call -------------------------------------------------------------------------------------------------------- */

static void on_answer(struct task *task, const struct coapmsg *response)
{
    const struct agent_resource *resource = task->call->resource;
    struct agent_response *answer = &task->call->response;
    uint16_t unknown = resource_find_unknown(response);

    if (unknown) {
        task_end(task, AGENT_GARBAGE, "the device answered with option %u, which is critical and not known", unknown);
        return;
    }
    if (task->transfer.answer.size > resource->limit) {
        task_end(task, AGENT_LOCAL, "the device's answer has more than the %zu bytes that may be read",
                 resource->limit);
        return;
    }
    resource_describe(response, answer);
    answer->body = buffer_steal(&task->transfer.answer, &answer->body_size);
    task_end(task, AGENT_OK, NULL);
}

void resource_begin(struct task *task)
{
    const struct agents_options *options = &task->agents->options;
    const struct agent_resource *resource = task->call->resource;
    bool reading = resource->method == COAPMSG_GET || resource->method == COAPMSG_FETCH;
    const char *problem = resource_write(&task->base, resource);
    uint8_t tag[BLOCK_TAG_SIZE];

    if (problem || getrandom(tag, sizeof tag, 0) != (ssize_t)sizeof tag) {
        task_end(task, AGENT_LOCAL, "%s", problem ? problem : "no random numbers");
        return;
    }
    task->request = (struct task_request){
        .code = resource->method,
        .format = resource->format,
        .answer_timeout_ms = reading ? options->answer_timeout_ms : options->load_timeout_ms,
        .unrepeatable = resource->method == COAPMSG_POST || resource->method == COAPMSG_PATCH,
    };
    /* One byte more shows a body that is too long. */
    block_begin(&task->transfer, resource->body, resource->body_size, tag, task_szx(task), resource->limit + 1);
    task_transfer(task, on_answer);
}
