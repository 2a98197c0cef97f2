#include "agent/fetch.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define SCHEME "coap://"
#define DEFAULT_PORT 5683
#define REPEATS_MAX 12
#define SEPARATE_TIMES 15 /* ACK_TIMEOUT: from an acknowledgement to the answer */

/* Where the port begins, behind its colon; NULL when there is none. */
static const char *find_port(const char *host, const char *end)
{
    const char *colon = *host == '[' ? memchr(host, ']', (size_t)(end - host)) : host;

    colon = colon ? memchr(colon, ':', (size_t)(end - colon)) : NULL;
    return colon ? colon + 1 : NULL;
}

bool fetch_parse_url(const char *url, struct peer *peer, char path[FETCH_PATH_MAX])
{
    const char *host = url + strlen(SCHEME), *end, *port, *last;
    char address[64], digits[8];
    int64_t number = DEFAULT_PORT;

    if (strncmp(url, SCHEME, strlen(SCHEME)) != 0 || !(end = strchr(host, '/')))
        return false;
    port = find_port(host, end);
    last = port ? port - 1 : end;
    if (port) {
        (void)snprintf(digits, sizeof digits, "%.*s", (int)(end - port), port);
        if (end - port >= (int)sizeof digits || !text_parse_int(digits, 1, UINT16_MAX, &number))
            return false;
    }
    if (*host == '[' && last > host && last[-1] == ']') {
        host++;
        last--;
    }
    if ((size_t)(last - host) >= sizeof address)
        return false;
    (void)snprintf(address, sizeof address, "%.*s", (int)(last - host), host);
    return peer_parse(address, (uint16_t)number, peer) && text_copy(path, FETCH_PATH_MAX, end);
}

static void finish(struct fetch *f, const char *problem)
{
    server_cancel(f->server, FETCH_OWNER);
    f->busy = false;
    f->deadline_ms = FETCH_NEVER;
    f->done(f->arg, problem);
}

static bool is_protected(const struct fetch *f)
{
    return f->security->credentials != NULL;
}

static void ask(struct fetch *f)
{
    uint32_t number = (uint32_t)(f->body.size >> (FETCH_SZX + 4));
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg plain, outer, *request = &plain;

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_path(&plain, f->path);
    coapmsg_add_block(&plain, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){number, false, FETCH_SZX});
    if (f->echo_size)
        coapmsg_add(&plain, COAPMSG_OPT_ECHO, f->echo, f->echo_size);
    if (is_protected(f))
        request = security_seal_request(f->security, &plain, &f->call, &outer, room) ? &outer : NULL;
    f->echo_size = 0;
    f->deadline_ms = FETCH_NEVER;
    if (request && server_request(f->server, &f->peer, request, FETCH_OWNER))
        f->id = request->id;
    else
        finish(f, "nothing could be sent");
}

/* The same request again, protected anew. */
static void ask_again(struct fetch *f)
{
    server_cancel(f->server, FETCH_OWNER);
    if (++f->repeats > REPEATS_MAX)
        finish(f, "it and the gateway do not accept each other's protection");
    else
        ask(f);
}

void fetch_begin(struct fetch *f, const char *url, size_t max)
{
    buffer_clear(&f->body);
    f->body = buffer_init(max + 1);
    f->max = max;
    f->busy = true;
    f->repeats = f->echo_size = 0;
    if (fetch_parse_url(url, &f->peer, f->path))
        ask(f);
    else
        finish(f, "the URL is none that it can fetch");
}

void fetch_clear(struct fetch *f)
{
    server_cancel(f->server, FETCH_OWNER);
    f->busy = false;
    f->deadline_ms = FETCH_NEVER;
    buffer_clear(&f->body);
}

static void take(struct fetch *f, const struct coapmsg *response)
{
    struct coapmsg_block block = {.szx = FETCH_SZX};

    server_cancel(f->server, FETCH_OWNER);
    if (response->code != COAPMSG_CONTENT) {
        finish(f, "the answer is no content");
    } else if (coapmsg_get_block(response, COAPMSG_OPT_BLOCK2, &block) == 2 || block.szx > FETCH_SZX ||
               (size_t)block.num << (block.szx + 4) != f->body.size ||
               (block.more && (response->payload_size != (size_t)16 << block.szx || block.szx != FETCH_SZX))) {
        finish(f, "the answer is another block than was asked for");
    } else if (response->payload_size > f->max - f->body.size) {
        finish(f, "it is too large");
    } else {
        buffer_append(&f->body, response->payload, response->payload_size);
        if (f->body.failed)
            finish(f, "no memory");
        else if (block.more)
            ask(f);
        else
            finish(f, NULL);
    }
}

static bool take_echo(struct fetch *f, const struct coapmsg *message)
{
    const struct coapmsg_option *echo = coapmsg_find(message, COAPMSG_OPT_ECHO);

    if (message->code != COAPMSG_UNAUTHORIZED || !echo || echo->length < 1 || echo->length > sizeof f->echo)
        return false;
    memcpy(f->echo, echo->value, echo->length);
    f->echo_size = (uint8_t)echo->length;
    return true;
}

static void take_protected(struct fetch *f, const struct coapmsg *response)
{
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg message;

    switch (security_open_response(f->security, &f->call, response, &message, room)) {
    case SECURITY_FINE:
        if (take_echo(f, &message))
            ask_again(f);
        else
            take(f, &message);
        break;
    case SECURITY_HINT:
        security_renew(f->security);
        ask_again(f);
        break;
    case SECURITY_REPEAT:
        ask_again(f);
        break;
    case SECURITY_REFUSED:
        break; /* the right one may still come */
    }
}

/* With an empty token it is the message id that tells answers apart; one that comes separately has its own. */
bool fetch_response(struct fetch *f, const struct peer *peer, const struct coapmsg *response)
{
    bool separate = response->type != COAPMSG_ACK && f->deadline_ms != FETCH_NEVER;

    if (!f->busy || response->token_length || !peer_equal(peer, &f->peer))
        return false;
    if (!separate && (response->type != COAPMSG_ACK || response->id != f->id))
        return false;
    if (is_protected(f))
        take_protected(f, response);
    else
        take(f, response);
    return true;
}

void fetch_settled(struct fetch *f, bool acknowledged)
{
    if (!f->busy)
        return;
    if (acknowledged)
        f->deadline_ms = clock_monotonic_ms(f->server->clock) + (int64_t)SEPARATE_TIMES * f->server->ack_timeout_ms;
    else
        finish(f, "no answer");
}

void fetch_tick(struct fetch *f)
{
    if (f->busy && clock_monotonic_ms(f->server->clock) >= f->deadline_ms)
        finish(f, "no answer");
}

int64_t fetch_deadline(const struct fetch *f)
{
    return f->busy ? f->deadline_ms : FETCH_NEVER;
}
