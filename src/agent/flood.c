#include "agent/flood.h"

#include <stdio.h>
#include <string.h>

#define BURST 256 /* messages in one tick */

static int64_t now(const struct flood *f)
{
    return clock_monotonic_ms(f->device->clock);
}

void flood_init(struct flood *f)
{
    f->begun_ms = now(f);
}

static void make_registration(struct flood *f, struct coapmsg *request, char text[64])
{
    int n = snprintf(text, 64, "ep=flood-%s-%llu", f->device->name, (unsigned long long)f->sent);

    request->code = COAPMSG_POST;
    coapmsg_add_path(request, "/rd");
    coapmsg_add(request, COAPMSG_OPT_URI_QUERY, text, (size_t)n);
    coapmsg_add_text(request, COAPMSG_OPT_URI_QUERY, "lt=600");
    coapmsg_add_uint(request, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_LINK);
    coapmsg_set_payload(request, "</s>", 4);
}

static void make_telemetry(struct flood *f, struct coapmsg *request, char text[64])
{
    int n = snprintf(text, 64, "%llu", (unsigned long long)f->sent);

    request->code = COAPMSG_POST;
    coapmsg_add_path(request, "/t/flood");
    coapmsg_add_uint(request, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_TEXT);
    coapmsg_set_payload(request, text, (size_t)n);
}

static void send_one(struct flood *f)
{
    struct client *c = f->client;
    uint32_t token = server_random(c->server);
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg plain, outer;
    struct security_call call;
    char text[64];

    f->sent++;
    coapmsg_init(&plain, COAPMSG_NON, COAPMSG_POST);
    coapmsg_set_token(&plain, &token, sizeof token);
    if (f->options->register_names)
        make_registration(f, &plain, text);
    else
        make_telemetry(f, &plain, text);
    if (!c->security->credentials)
        (void)server_request(c->server, &c->gateway, &plain, 0);
    else if (security_seal_request(c->security, &plain, &call, &outer, room))
        (void)server_request(c->server, &c->gateway, &outer, 0);
}

/* How many were to be sent by now. */
static uint64_t wanted(const struct flood *f)
{
    return (uint64_t)(now(f) - f->begun_ms) * f->options->rate / 1000;
}

void flood_tick(struct flood *f)
{
    if (!f->options->rate)
        return;
    for (int i = 0; i < BURST && f->sent < wanted(f); i++)
        send_one(f);
}

int64_t flood_deadline(const struct flood *f)
{
    if (!f->options->rate)
        return FLOOD_NEVER;
    return f->begun_ms + (int64_t)((f->sent + 1) * 1000 / f->options->rate) + 1;
}
