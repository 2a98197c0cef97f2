#include "rest_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* The client's side of the fixture. */

static void client_connect(struct client *c, struct fixture *f, const struct sockaddr *address, socklen_t size)
{
    *c = (struct client){.fixture = f, .fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ck_assert_int_ge(c->fd, 0);
    ck_assert_int_eq(connect(c->fd, address, size), 0);
    ck_assert_int_eq(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
}

void client_open(struct client *c, struct fixture *f)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(f->port)};

    client_connect(c, f, (struct sockaddr *)&address, sizeof address);
}

void client_open_unix(struct client *c, struct fixture *f)
{
    struct sockaddr_un address = fixture_unix_address(f);

    client_connect(c, f, (struct sockaddr *)&address, sizeof address);
}

void client_close(struct client *c)
{
    (void)close(c->fd);
    buffer_clear(&c->input);
}

void client_send(struct client *c, const void *data, size_t size)
{
    uv_timer_t timer = {.data = NULL};
    const char *at = data;
    bool over = false;

    while (size && !c->ended) {
        ssize_t n = send(c->fd, at, size, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN) {
            c->ended = true;
        } else if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
        fixture_turn(c->fixture, &timer, &over, FIXTURE_PATIENCE_MS);
        ck_assert_msg(!over, "the gateway takes no more");
    }
    if (timer.data)
        fixture_end_turns(c->fixture, &timer);
}

void client_print(struct client *c, const char *format, ...)
{
    char text[8192];
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    ck_assert_int_lt(n, (int)sizeof text);
    client_send(c, text, (size_t)n);
}

static void client_read(struct client *c)
{
    uint8_t bytes[65536];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);

    if (n > 0)
        buffer_append(&c->input, bytes, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        c->ended = true;
}

/* Takes a whole answer from the input when there is one. */
static bool take_answer(struct client *c, struct answer *a, bool head_only)
{
    const char *text = buffer_text(&c->input), *end = strstr(text, "\r\n\r\n");
    size_t head, length;

    if (!end)
        return false;
    head = (size_t)(end + 4 - text);
    ck_assert_uint_lt(head, sizeof a->head);
    *a = (struct answer){.status = atoi(text + 9)};
    memcpy(a->head, text, head);
    length = head_only || a->status == 304 ? 0 : strtoul(answer_header(a, "Content-Length"), NULL, 10);
    if (c->input.size < head + length)
        return false;
    buffer_append(&a->body, text + head, length);
    memmove(c->input.data, c->input.data + head + length, c->input.size + 1 - head - length);
    c->input.size -= head + length;
    return a->status != 100 || take_answer(c, a, head_only);
}

bool client_receive(struct client *c, struct answer *a, bool head_only)
{
    uv_timer_t timer = {.data = NULL};
    bool over = false, got = false;

    *a = (struct answer){0};
    while (!got && !over) {
        fixture_turn(c->fixture, &timer, &over, FIXTURE_PATIENCE_MS);
        client_read(c);
        got = take_answer(c, a, head_only);
        if (c->ended && !got)
            break;
    }
    fixture_end_turns(c->fixture, &timer);
    return got;
}

void client_expect(struct client *c, const char *text)
{
    uv_timer_t timer = {.data = NULL};
    bool over = false;
    char *found;

    while (!(found = strstr(buffer_text(&c->input), text)) && !over && !c->ended) {
        fixture_turn(c->fixture, &timer, &over, FIXTURE_PATIENCE_MS);
        client_read(c);
    }
    if (timer.data)
        fixture_end_turns(c->fixture, &timer);
    found = strstr(buffer_text(&c->input), text);
    ck_assert_msg(found, "no %s in: %s", text, buffer_text(&c->input));
    found += strlen(text);
    c->input.size -= (size_t)(found - (char *)c->input.data);
    memmove(c->input.data, found, c->input.size + 1);
}

bool client_sees_end(struct client *c, unsigned ms)
{
    uv_timer_t timer = {.data = NULL};
    bool over = false;

    while (!c->ended && !over) {
        fixture_turn(c->fixture, &timer, &over, ms);
        client_read(c);
    }
    if (timer.data)
        fixture_end_turns(c->fixture, &timer);
    return c->ended;
}

void request(struct fixture *f, struct answer *a, const char *method, const char *path, const char *headers,
             const char *body)
{
    struct client c;

    client_open(&c, f);
    client_print(&c, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path, headers ? headers : "");
    if (body)
        client_print(&c, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    else
        client_print(&c, "\r\n");
    ck_assert_msg(client_receive(&c, a, strcmp(method, "HEAD") == 0), "no answer to %s %s", method, path);
    client_close(&c);
}

void request_json(struct fixture *f, struct answer *a, const char *method, const char *path, const char *headers,
                  const char *body)
{
    char lines[1024];

    (void)snprintf(lines, sizeof lines, "Content-Type: application/json\r\n%s", headers ? headers : "");
    request(f, a, method, path, lines, body);
}

void answer_clear(struct answer *a)
{
    buffer_clear(&a->body);
}

const char *answer_header(const struct answer *a, const char *name)
{
    static char value[512];
    size_t n = strlen(name);

    for (const char *line = strstr(a->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, n) != 0 || line[2 + n] != ':')
            continue;
        line += 3 + n;
        line += strspn(line, " ");
        (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r"), line);
        return value;
    }
    return "";
}

const char *answer_text(const struct answer *a, const char *path)
{
    static char value[512];
    json_t *root = json_loads(buffer_text(&a->body), 0, NULL), *at = root;
    char names[128], *next = names, *name;

    (void)text_copy(names, sizeof names, path);
    while ((name = strsep(&next, "/")))
        at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10)) : json_object_get(at, name);
    (void)text_copy(value, sizeof value, json_is_string(at) ? json_string_value(at) : "");
    json_decref(root);
    return value;
}

void expect_problem(struct answer *a, enum fault_code code)
{
    const struct fault_info *info = fault_info(code);
    char type[128];

    (void)snprintf(type, sizeof type, FAULT_TYPE_BASE "%s", info->slug);
    expect_status(a, info->status);
    ck_assert_str_eq(answer_header(a, "Content-Type"), "application/problem+json");
    ck_assert_str_eq(answer_text(a, "type"), type);
    ck_assert_str_eq(answer_text(a, "title"), info->title);
    ck_assert_str_ne(answer_text(a, "detail"), "");
    answer_clear(a);
}

void fixture_upload(struct fixture *f, char out[CORE_DIGEST_TEXT])
{
    struct answer a;
    struct client c;

    client_open(&c, f);
    client_print(&c,
                 "POST /v1/artifacts?name=test HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/wasm\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 fixture_wasm_size);
    client_send(&c, fixture_wasm, fixture_wasm_size);
    ck_assert(client_receive(&c, &a, false));
    ck_assert_msg(a.status == 201 || a.status == 200, "%s", buffer_text(&a.body));
    (void)text_copy(out, CORE_DIGEST_TEXT, answer_text(&a, "id"));
    answer_clear(&a);
    client_close(&c);
}

void fixture_add_device(struct fixture *f)
{
    struct answer a;

    request_json(f, &a, "POST", "/v1/devices", NULL,
                 "{\"id\": \"box\", \"address\": \"coap://127.0.0.1:5683\", \"agent\": \"v2\"}");
    expect_status(&a, 201);
    answer_clear(&a);
}
