#include "agent/client.h"

#include <string.h>

#define SZX_MAX 6
#define ANSWER_MS 100000    /* MAX_TRANSMIT_WAIT and a little */
#define SEPARATE_TIMES 15   /* ACK_TIMEOUT: from an acknowledgement to the answer */
#define REPEATS_MAX 12      /* of a request within one task */
#define RENEW_FIRST_MS 2000 /* between two runs of Appendix B.2, doubled up to the next */
#define RENEW_LAST_MS 60000
#define MAX_AGE_DEFAULT 60
#define REFRESH_SPARE_MS 5000 /* behind Max-Age (RFC 7641 section 3.3.1) */

static int64_t now(const struct client *c)
{
    return clock_monotonic_ms(c->server->clock);
}

void client_init(struct client *c)
{
    c->body = buffer_init(CLIENT_BODY_MAX);
    c->renew_wait_ms = RENEW_FIRST_MS;
    c->deadline_ms = CLIENT_NEVER;
}

void client_clear(struct client *c)
{
    buffer_clear(&c->body);
    c->busy = c->reading = c->repeat = false;
    c->deadline_ms = CLIENT_NEVER;
    c->observation = (struct client_observation){0};
}

static void finish(struct client *c, enum client_outcome outcome, uint8_t code)
{
    bool reading = c->reading;

    server_cancel(c->server, CLIENT_OWNER);
    c->busy = c->reading = c->repeat = false;
    c->deadline_ms = CLIENT_NEVER;
    if (reading && outcome == CLIENT_ANSWERED)
        c->ops->notified(c->arg, code);
    if (reading)
        return;
    if (outcome == CLIENT_ANSWERED && c->observation.active && c->task.observe)
        c->ops->notified(c->arg, code);
    c->ops->finished(c->arg, outcome, code);
}

/* Sending ---------------------------------------------------------------------------------------------------------- */

static void add_payload(struct client *c, struct coapmsg *request)
{
    size_t size = (size_t)16 << c->szx, offset = (size_t)c->block << (c->szx + 4), left = c->task.payload_size - offset;

    if (!c->task.payload || c->fetching)
        return;
    coapmsg_add_uint(request, COAPMSG_OPT_CONTENT_FORMAT, c->task.format);
    if (c->task.payload_size > size) {
        coapmsg_add_block(request, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){c->block, left > size, c->szx});
        if (c->block == 0)
            coapmsg_add_uint(request, COAPMSG_OPT_SIZE1, (uint32_t)c->task.payload_size);
    }
    coapmsg_set_payload(request, c->task.payload + offset, left < size ? left : size);
}

static void add_queries(struct coapmsg *request, const char *query)
{
    while (query && *query) {
        size_t length = strcspn(query, "&");

        coapmsg_add(request, COAPMSG_OPT_URI_QUERY, query, length);
        query += length + (query[length] == '&');
    }
}

static void make_request(struct client *c, struct coapmsg *request)
{
    uint32_t token = server_random(c->server);

    memcpy(c->token, &token, sizeof c->token);
    coapmsg_init(request, COAPMSG_CON, c->task.method);
    coapmsg_set_token(request, c->token, sizeof c->token);
    coapmsg_add_path(request, c->task.path);
    add_queries(request, c->task.query);
    if (c->task.observe && !c->fetching)
        coapmsg_add_uint(request, COAPMSG_OPT_OBSERVE, 0);
    if (c->fetching)
        coapmsg_add_block(request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){c->block, false, c->szx});
    if (c->echo_size)
        coapmsg_add(request, COAPMSG_OPT_ECHO, c->echo, c->echo_size);
    add_payload(c, request);
}

static void transmit(struct client *c)
{
    struct coapmsg plain, outer;
    uint8_t room[SERVER_DATAGRAM_MAX];
    bool sealed = c->task.plain;

    server_cancel(c->server, CLIENT_OWNER);
    make_request(c, &plain);
    if (!c->task.plain)
        sealed = security_seal_request(c->security, &plain, &c->call, &outer, room);
    c->repeat = false;
    c->deadline_ms = now(c) + ANSWER_MS;
    c->echo_size = 0;
    if (!sealed || !server_request(c->server, &c->gateway, c->task.plain ? &plain : &outer, CLIENT_OWNER))
        finish(c, CLIENT_FAILED, 0);
}

/* The same request again, protected anew. */
static void transmit_again(struct client *c)
{
    if (++c->repeats > REPEATS_MAX)
        finish(c, CLIENT_UNTRUSTED, 0);
    else
        transmit(c);
}

void client_begin(struct client *c, const struct client_task *task)
{
    c->task = *task;
    c->task.plain = task->plain || !c->security->credentials;
    c->busy = true;
    c->fetching = false;
    c->block = 0;
    c->szx = SZX_MAX;
    c->repeats = 0;
    c->echo_size = c->etag_size = 0;
    buffer_clear(&c->body);
    transmit(c);
}

/* Answers ---------------------------------------------------------------------------------------------------------- */

static bool take_echo(struct client *c, const struct coapmsg *message)
{
    const struct coapmsg_option *echo = coapmsg_find(message, COAPMSG_OPT_ECHO);

    if (message->code != COAPMSG_UNAUTHORIZED || !echo || echo->length < 1 || echo->length > sizeof c->echo)
        return false;
    memcpy(c->echo, echo->value, echo->length);
    c->echo_size = (uint8_t)echo->length;
    c->observation.active = false; /* a gateway that has lost its replay window has lost its observers too */
    return true;
}

/* What goes on with the next block of the body that is sent; false when there is none. */
static bool send_on(struct client *c, const struct coapmsg *message)
{
    struct coapmsg_block block;
    bool sized = coapmsg_get_block(message, COAPMSG_OPT_BLOCK1, &block) == 0 && block.szx < c->szx;

    if (c->fetching || !c->task.payload)
        return false;
    if (message->code == COAPMSG_CONTINUE) {
        c->block++;
        if (sized) {
            c->block <<= c->szx - block.szx;
            c->szx = block.szx;
        }
        if ((size_t)c->block << (c->szx + 4) < c->task.payload_size)
            transmit(c);
        else
            finish(c, CLIENT_FAILED, message->code); /* it asks for more than there is */
        return true;
    }
    if (message->code != COAPMSG_INCOMPLETE && !(message->code == COAPMSG_TOO_LARGE && sized))
        return false;
    c->block = 0;
    if (sized)
        c->szx = block.szx;
    transmit_again(c);
    return true;
}

static bool same_etag(struct client *c, const struct coapmsg *message, bool first)
{
    const struct coapmsg_option *etag = coapmsg_find(message, COAPMSG_OPT_ETAG);
    size_t size = etag && etag->length <= sizeof c->etag ? etag->length : 0;
    bool same = size == c->etag_size && (!size || memcmp(etag->value, c->etag, size) == 0);

    if (first && size)
        memcpy(c->etag, etag->value, size);
    if (first)
        c->etag_size = (uint8_t)size;
    return first || same;
}

/* Takes a block of an answer; true when another one was asked for. */
static bool fetch_on(struct client *c, const struct coapmsg *message)
{
    struct coapmsg_block block = {.szx = c->szx};
    bool blocks = message->code == COAPMSG_CONTENT && coapmsg_get_block(message, COAPMSG_OPT_BLOCK2, &block) == 0;
    size_t offset = (size_t)block.num << (block.szx + 4);

    if (!blocks || block.num == 0)
        buffer_clear(&c->body);
    if (blocks && (!same_etag(c, message, block.num == 0) || offset != c->body.size)) { /* it changed meanwhile */
        c->fetching = true;
        c->block = 0;
        transmit_again(c);
        return true;
    }
    buffer_append(&c->body, message->payload, message->payload_size);
    if (!blocks || !block.more || c->body.failed)
        return false;
    c->fetching = true;
    c->szx = block.szx;
    c->block = block.num + 1;
    transmit(c);
    return true;
}

static void set_refresh(struct client *c, const struct coapmsg *message)
{
    uint32_t max_age = MAX_AGE_DEFAULT;

    (void)!coapmsg_get_uint(message, COAPMSG_OPT_MAX_AGE, &max_age);
    c->observation.refresh_ms = now(c) + (int64_t)max_age * 1000 + REFRESH_SPARE_MS;
}

static void begin_observation(struct client *c, const struct coapmsg *message)
{
    if (!c->task.observe || c->fetching)
        return;
    c->observation = (struct client_observation){.call = c->call, .path = c->task.path};
    c->observation.active = coapmsg_find(message, COAPMSG_OPT_OBSERVE) != NULL;
    memcpy(c->observation.token, c->token, sizeof c->token);
    set_refresh(c, message);
}

/* A location that does not fit, or has a segment that a path cannot show, is none. */
static void keep_location(struct client *c, const struct coapmsg *message)
{
    const struct coapmsg_option *segment = coapmsg_find(message, COAPMSG_OPT_LOCATION_PATH);
    size_t used = 0;

    for (; segment; segment = coapmsg_find_next(message, segment)) {
        if (used + 1 + segment->length >= sizeof c->location || memchr(segment->value, '/', segment->length) ||
            memchr(segment->value, 0, segment->length)) {
            used = 0;
            break;
        }
        c->location[used++] = '/';
        memcpy(c->location + used, segment->value, segment->length);
        used += segment->length;
    }
    c->location[used] = 0;
}

static void take_answer(struct client *c, const struct coapmsg *message)
{
    server_cancel(c->server, CLIENT_OWNER);
    keep_location(c, message);
    if (!coapmsg_get_uint(message, COAPMSG_OPT_MAX_AGE, &c->max_age))
        c->max_age = 0;
    if (take_echo(c, message)) {
        transmit_again(c);
        return;
    }
    if (COAPMSG_CLASS(message->code) == 2)
        begin_observation(c, message);
    if (!send_on(c, message) && !fetch_on(c, message))
        finish(c, CLIENT_ANSWERED, message->code);
}

/* Anybody can send an unprotected refusal; that costs a run of Appendix B.2 at most, and not often. */
static void take_hint(struct client *c, uint8_t code)
{
    server_cancel(c->server, CLIENT_OWNER);
    if (code != COAPMSG_UNAUTHORIZED && code != COAPMSG_BAD_REQUEST) {
        finish(c, CLIENT_UNTRUSTED, code);
        return;
    }
    security_renew(c->security);
    c->repeat = true;
    c->deadline_ms = now(c) < c->renew_from_ms ? c->renew_from_ms : now(c);
    c->renew_from_ms = c->deadline_ms + c->renew_wait_ms;
    c->renew_wait_ms = 2 * c->renew_wait_ms < RENEW_LAST_MS ? 2 * c->renew_wait_ms : RENEW_LAST_MS;
}

static void take_protected(struct client *c, const struct coapmsg *response)
{
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg message;

    switch (security_open_response(c->security, &c->call, response, &message, room)) {
    case SECURITY_FINE:
        c->renew_wait_ms = RENEW_FIRST_MS;
        take_answer(c, &message);
        break;
    case SECURITY_REPEAT:
        transmit_again(c);
        break;
    case SECURITY_HINT:
        take_hint(c, response->code);
        break;
    case SECURITY_REFUSED:
        break; /* the right one may still come */
    }
}

static void take_notification(struct client *c, const struct coapmsg *response)
{
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg_block block;
    struct coapmsg message;

    if (security_open_response(c->security, &c->observation.call, response, &message, room) != SECURITY_FINE)
        return;
    c->observation.active = coapmsg_find(&message, COAPMSG_OPT_OBSERVE) != NULL;
    set_refresh(c, &message);
    if (coapmsg_get_block(&message, COAPMSG_OPT_BLOCK2, &block) == 0 && block.more) {
        c->observation.incomplete = true;
        return;
    }
    if (c->busy && c->fetching) /* its body is in use */
        c->observation.incomplete = true;
    else {
        buffer_clear(&c->body);
        buffer_append(&c->body, message.payload, message.payload_size);
        c->ops->notified(c->arg, message.code);
    }
}

static bool has_token(const struct coapmsg *response, const uint8_t *token)
{
    return response->token_length == CLIENT_TOKEN_SIZE && memcmp(response->token, token, CLIENT_TOKEN_SIZE) == 0;
}

bool client_response(struct client *c, const struct peer *peer, const struct coapmsg *response)
{
    if (!peer_equal(peer, &c->gateway))
        return false;
    if (c->busy && has_token(response, c->token)) {
        if (c->repeat)
            return true; /* it is to be sent again anyway */
        if (c->task.plain)
            take_answer(c, response);
        else
            take_protected(c, response);
        return true;
    }
    if (c->observation.active && has_token(response, c->observation.token)) {
        take_notification(c, response);
        return true;
    }
    return has_token(response, c->token); /* the last answer once more */
}

void client_settled(struct client *c, bool acknowledged)
{
    if (!c->busy || c->repeat)
        return;
    if (acknowledged)
        c->deadline_ms = now(c) + (int64_t)SEPARATE_TIMES * c->server->ack_timeout_ms;
    else
        finish(c, CLIENT_NO_ANSWER, 0);
}

static void read_all(struct client *c)
{
    c->observation.incomplete = false;
    c->reading = true;
    client_begin(c, &(struct client_task){.method = COAPMSG_GET, .path = c->observation.path});
}

void client_tick(struct client *c)
{
    if (c->busy && !c->task.plain && !c->repeat && c->call.generation != c->security->generation)
        transmit_again(c); /* the gateway has made a new context meanwhile */
    if (c->busy && now(c) >= c->deadline_ms) {
        if (c->repeat)
            transmit_again(c);
        else
            finish(c, CLIENT_NO_ANSWER, 0);
    }
    if (!c->busy && c->observation.active && c->observation.call.generation != c->security->generation)
        c->observation.active = false;
    if (!c->busy && c->observation.active && c->observation.incomplete)
        read_all(c);
}

int64_t client_deadline(const struct client *c)
{
    return c->busy ? c->deadline_ms : CLIENT_NEVER;
}
