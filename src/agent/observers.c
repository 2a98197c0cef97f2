#include "agent/observers.h"

struct observer *observers_of(struct observers *o, const struct peer *peer, const struct coapmsg *request)
{
    for (size_t i = 0; o->used && i < OBSERVERS_MAX; i++) {
        struct observer *e = &o->entries[i];

        if (e->resource.kind != OBSERVED_NOTHING && e->token_length == request->token_length &&
            memcmp(e->token, request->token, e->token_length) == 0 && peer_equal(&e->peer, peer))
            return e;
    }
    return NULL;
}

struct observer *observers_add(struct observers *o, const struct peer *peer, const struct coapmsg *request,
                               const struct observed_resource *resource)
{
    struct observer *e = observers_of(o, peer, request);

    if (!e && o->used == OBSERVERS_MAX)
        return NULL;
    if (!e) {
        for (e = o->entries; e->resource.kind != OBSERVED_NOTHING; e++)
            ;
        o->used++;
        *e = (struct observer){.id = ++o->last_id, .peer = *peer, .token_length = request->token_length};
        memcpy(e->token, request->token, request->token_length);
    }
    e->resource = *resource;
    return e;
}

struct observer *observers_find(struct observers *o, unsigned id)
{
    for (size_t i = 0; i < OBSERVERS_MAX; i++)
        if (o->entries[i].resource.kind != OBSERVED_NOTHING && o->entries[i].id == id)
            return &o->entries[i];
    return NULL;
}

void observers_free(struct observers *o, struct observer *observer)
{
    *observer = (struct observer){0};
    o->used--;
}

void observers_remove(struct observers *o, const struct peer *peer, const struct coapmsg *request)
{
    struct observer *e = observers_of(o, peer, request);

    if (e)
        observers_free(o, e);
}
