#include "agent/tricks.h"

#include <string.h>

/* Keeps a message for later. */
static void keep(uint8_t **data, size_t *size, const struct coapmsg *message)
{
    free(*data);
    *size = coapmsg_size(message);
    *data = malloc(*size);
    *size = *data ? coapmsg_encode(message, *data, *size) : 0;
}

static void flip(struct coapmsg *outer)
{
    uint8_t *payload = (uint8_t *)(uintptr_t)outer->payload; /* it is in the room of whoever protected it */

    if (outer->payload_size)
        payload[outer->payload_size / 2] ^= 1;
}

/* The answer that was given before, to a request that did not ask for it. */
static void take_other(struct tricks *t, struct coapmsg *outer, uint8_t *room)
{
    struct coapmsg other;

    if (!t->answer || coapmsg_decode(&other, t->answer, t->answer_size))
        return;
    memcpy(room, t->answer, t->answer_size);
    (void)!coapmsg_decode(outer, room, t->answer_size);
}

static void expose(const struct coapmsg *plain, struct coapmsg *outer)
{
    coapmsg_init(outer, plain->type, plain->code);
    for (size_t i = 0; i < plain->option_count; i++)
        coapmsg_add(outer, plain->options[i].number, plain->options[i].value, plain->options[i].length);
    coapmsg_set_payload(outer, plain->payload, plain->payload_size);
}

static void send_hint(struct tricks *t, const struct peer *peer, const struct coapmsg *request)
{
    uint8_t out[64];
    struct coapmsg hint;

    coapmsg_init(&hint, COAPMSG_NON, COAPMSG_UNAUTHORIZED);
    coapmsg_set_token(&hint, request->token, request->token_length);
    hint.id = (uint16_t)server_random(t->server);
    t->server->ops->send(t->server->arg, peer, out, coapmsg_encode(&hint, out, sizeof out));
}

void tricks_answer(struct tricks *t, const struct peer *peer, const struct coapmsg *request,
                   const struct coapmsg *plain, struct coapmsg *outer, uint8_t *room)
{
    struct bugs *bugs = t->bugs;
    uint8_t *before = NULL;
    size_t before_size = 0;

    if (bugs_happens(&bugs->false_hint))
        send_hint(t, peer, request);
    if (bugs->other_answer)
        keep(&before, &before_size, outer);
    if (t->answer && bugs_happens(&bugs->other_answer))
        take_other(t, outer, room);
    if (before) {
        free(t->answer);
        t->answer = before;
        t->answer_size = before_size;
    }
    if (bugs_happens(&bugs->flip_answer))
        flip(outer);
    if (bugs_happens(&bugs->unprotected_answer))
        expose(plain, outer);
}

/* Sends what was kept, once more or at last. */
static void send_kept(struct tricks *t, const struct peer *peer)
{
    struct coapmsg kept;

    if (t->notification && !coapmsg_decode(&kept, t->notification, t->notification_size))
        (void)server_notify(t->server, peer, &kept, 0);
}

bool tricks_notify(struct tricks *t, const struct peer *peer, struct coapmsg *response, unsigned owner)
{
    struct bugs *bugs = t->bugs;
    bool replay = t->notification && !t->held && bugs_happens(&bugs->replay_notification), sent;

    if (bugs_happens(&bugs->flip_answer))
        flip(response);
    if (!t->held && bugs_happens(&bugs->reorder_notification)) {
        keep(&t->notification, &t->notification_size, response);
        t->held = t->notification != NULL;
        t->server->ops->settled(t->server->arg, owner, true);
        return true;
    }
    sent = server_notify(t->server, peer, response, owner);
    if (replay || t->held)
        send_kept(t, peer);
    t->held = false;
    if (bugs->replay_notification)
        keep(&t->notification, &t->notification_size, response);
    return sent;
}

void tricks_clear(struct tricks *t)
{
    free(t->answer);
    free(t->notification);
    t->answer = t->notification = NULL;
    t->held = false;
}
