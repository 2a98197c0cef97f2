#include "agent/outgoing.h"

static void release(struct outgoing *o, struct outgoing_entry *e)
{
    free(e->data);
    e->data = NULL;
    o->used--;
}

static void finish(struct outgoing *o, struct outgoing_entry *e, bool acknowledged)
{
    unsigned owner = e->owner;

    release(o, e);
    if (owner)
        o->done(o->arg, owner, acknowledged);
}

bool outgoing_add(struct outgoing *o, const struct peer *peer, const struct outgoing_entry *what)
{
    struct outgoing_entry *e = o->entries;

    if (o->used == OUTGOING_MAX)
        return false;
    while (e->data)
        e++;
    *e = *what;
    e->peer = *peer;
    e->data = malloc(what->size);
    if (!e->data)
        return false;
    memcpy(e->data, what->data, what->size);
    o->used++;
    return true;
}

void outgoing_settle(struct outgoing *o, const struct peer *peer, uint16_t id, bool acknowledged)
{
    for (size_t i = 0; o->used && i < OUTGOING_MAX; i++) {
        struct outgoing_entry *e = &o->entries[i];

        if (e->data && e->sent && e->id == id && peer_equal(&e->peer, peer)) {
            finish(o, e, acknowledged);
            return;
        }
    }
}

void outgoing_cancel(struct outgoing *o, unsigned owner)
{
    for (size_t i = 0; o->used && i < OUTGOING_MAX; i++)
        if (o->entries[i].data && o->entries[i].owner == owner)
            release(o, &o->entries[i]);
}

static void step(struct outgoing *o, struct outgoing_entry *e, int64_t now_ms)
{
    if (e->sent > OUTGOING_MAX_RETRANSMIT) {
        finish(o, e, false);
        return;
    }
    o->send(o->arg, &e->peer, e->data, e->size);
    if (!e->confirmable) {
        finish(o, e, true);
        return;
    }
    e->due_ms = now_ms + e->timeout_ms;
    e->timeout_ms *= 2;
    e->sent++;
}

void outgoing_tick(struct outgoing *o, int64_t now_ms)
{
    for (size_t i = 0; o->used && i < OUTGOING_MAX; i++)
        if (o->entries[i].data && o->entries[i].due_ms <= now_ms)
            step(o, &o->entries[i], now_ms);
}

int64_t outgoing_deadline(const struct outgoing *o)
{
    int64_t deadline = OUTGOING_NONE;

    for (size_t i = 0; o->used && i < OUTGOING_MAX; i++)
        if (o->entries[i].data && o->entries[i].due_ms < deadline)
            deadline = o->entries[i].due_ms;
    return deadline;
}

void outgoing_clear(struct outgoing *o)
{
    for (size_t i = 0; i < OUTGOING_MAX; i++)
        if (o->entries[i].data)
            release(o, &o->entries[i]);
}
