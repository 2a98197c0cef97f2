#include "agent/registration.h"

#include "agent/v2.h"
#include "base/text.h"
#include "codec/linkformat.h"

#include <stdio.h>
#include <string.h>

#define SPREAD_MS 1      /* between two devices of one process */
#define RETRY_MS 2000    /* doubled with each failure */
#define RETRY_DOUBLED 5  /* as often */
#define RETRY_MAX_S 3600 /* that a gateway can ask for */
#define NAME_PREFIX "tcagent-"
#define DIRECTORY_TYPE "core.rd"

static int64_t now(const struct registration *r)
{
    return clock_monotonic_ms(r->device->clock);
}

void registration_init(struct registration *r, unsigned index, const char *id)
{
    const struct device *d = r->device;

    r->due_ms = CLIENT_NEVER;
    if (r->options->kind == REGISTRATION_NONE)
        return;
    if (r->options->name && index)
        (void)snprintf(r->name, sizeof r->name, "%s-%u", r->options->name, index);
    else if (r->options->name)
        (void)snprintf(r->name, sizeof r->name, "%s", r->options->name);
    else if (d->id_size)
        (void)snprintf(r->name, sizeof r->name, "%.*s", (int)d->id_size, (const char *)d->id);
    else if (id)
        (void)snprintf(r->name, sizeof r->name, "%s", id);
    r->due_ms = now(r) + (int64_t)SPREAD_MS * index;
}

static void change_state(struct registration *r, enum registration_state state, int64_t wait_ms)
{
    r->state = state;
    r->due_ms = now(r) + wait_ms;
}

void registration_reset(struct registration *r)
{
    r->failures = 0;
    if (r->options->kind != REGISTRATION_NONE)
        change_state(r, REGISTRATION_UNKNOWN, 0);
}

void registration_wake(struct registration *r)
{
    if (r->options->kind != REGISTRATION_NONE)
        r->due_ms = now(r);
}

bool registration_end(struct registration *r)
{
    bool there = r->state == REGISTRATION_DONE && r->options->kind == REGISTRATION_FULL;

    r->ending = true;
    r->due_ms = there ? now(r) : CLIENT_NEVER;
    if (!there)
        r->state = REGISTRATION_GONE;
    return there;
}

/* Grows when a container comes or goes, whose state is no matter of the links. */
static uint64_t find_links_revision(const struct device *d)
{
    return d->loads + d->counters.removes + d->counters.damaged;
}

static bool has_other_links(const struct registration *r)
{
    return r->state == REGISTRATION_DONE && r->options->kind == REGISTRATION_FULL && !r->ending &&
           r->links_revision != find_links_revision(r->device);
}

int64_t registration_due(const struct registration *r)
{
    return has_other_links(r) && r->failures == 0 ? 0 : r->due_ms;
}

/* Requests --------------------------------------------------------------------------------------------------------- */

static void write_query(struct registration *r)
{
    int n;

    if (!r->name[0]) /* the port is known only now */
        (void)snprintf(r->name, sizeof r->name, NAME_PREFIX "%s", r->device->name);
    n = snprintf(r->query, sizeof r->query, "ep=%s&lt=%u", r->name, r->options->lifetime);
    if (r->sleep_s)
        (void)snprintf(r->query + n, sizeof r->query - (size_t)n, "&sleep=%u&awake=%u", r->sleep_s, r->awake_ms);
}

static void begin(struct registration *r, enum registration_step step, const struct client_task *task)
{
    r->doing = step;
    client_begin(r->client, task);
}

static void set_links(struct client_task *task, const char *links)
{
    task->payload = (const uint8_t *)links;
    task->payload_size = strlen(links);
}

static void begin_full(struct registration *r)
{
    struct client_task task = {
        .method = COAPMSG_POST, .path = r->path, .query = r->query, .format = COAPMSG_FORMAT_LINK};

    write_query(r);
    r->links_revision = find_links_revision(r->device);
    if (r->v2)
        task.payload = v2_keep_links(r->v2, &task.payload_size);
    else if (r->links)
        set_links(&task, r->links);
    begin(r, REGISTRATION_REGISTER, &task);
}

static void begin_simple(struct registration *r)
{
    write_query(r);
    begin(r, REGISTRATION_REGISTER,
          &(struct client_task){.method = COAPMSG_POST, .path = "/.well-known/rd", .query = r->query});
}

void registration_begin(struct registration *r)
{
    static const struct client_task discover = {
        .method = COAPMSG_GET, .path = "/.well-known/core", .query = "rt=" DIRECTORY_TYPE "*"};

    if (r->ending)
        begin(r, REGISTRATION_REMOVE, &(struct client_task){.method = COAPMSG_DELETE, .path = r->location});
    else if (r->options->kind == REGISTRATION_SIMPLE)
        begin_simple(r);
    else if (r->state == REGISTRATION_UNKNOWN)
        begin(r, REGISTRATION_DISCOVER, &discover);
    else if (r->state == REGISTRATION_FOUND || has_other_links(r))
        begin_full(r);
    else
        begin(r, REGISTRATION_UPDATE, &(struct client_task){.method = COAPMSG_POST, .path = r->location});
}

/* What became of it ------------------------------------------------------------------------------------------------ */

static bool find_directory(struct registration *r)
{
    const struct buffer *body = &r->client->body;
    struct linkformat lf = linkformat_init(body->data, body->size);
    struct linkformat_link link;

    while (linkformat_next(&lf, &link) == 0)
        if (linkformat_has(&link, "rt", DIRECTORY_TYPE) && link.target_size > 1 && link.target_size < sizeof r->path &&
            *link.target == '/') {
            memcpy(r->path, link.target, link.target_size);
            r->path[link.target_size] = 0;
            return true;
        }
    return false;
}

/* The client has its body and its location; only a path with which it can go on is one. */
static bool take(struct registration *r, uint8_t code)
{
    switch (r->doing) {
    case REGISTRATION_DISCOVER:
        return code == COAPMSG_CONTENT && find_directory(r);
    case REGISTRATION_REGISTER:
        if (r->options->kind == REGISTRATION_FULL)
            (void)text_copy(r->location, sizeof r->location, r->client->location);
        return r->options->kind == REGISTRATION_FULL ? code == COAPMSG_CREATED && r->location[0]
                                                     : code == COAPMSG_CHANGED;
    case REGISTRATION_UPDATE:
        return code == COAPMSG_CHANGED;
    case REGISTRATION_REMOVE:
        return code == COAPMSG_DELETED;
    }
    return false;
}

static void note(const struct registration *r, bool fine, bool answered, uint8_t code)
{
    static const char *const events[] = {[REGISTRATION_DISCOVER] = "discover",
                                         [REGISTRATION_REGISTER] = "register",
                                         [REGISTRATION_UPDATE] = "update",
                                         [REGISTRATION_REMOVE] = "deregister"};

    device_note(r->device, NULL,
                (struct journal_entry){.event = events[r->doing],
                                       .outcome = fine       ? "acknowledged"
                                                  : answered ? "refused"
                                                             : "unanswered",
                                       .code = code,
                                       .message_id = -1,
                                       .detail = r->doing == REGISTRATION_REGISTER ? r->location : NULL});
}

static int64_t retry_wait(struct registration *r, bool answered)
{
    unsigned doubled = r->failures < RETRY_DOUBLED ? r->failures : RETRY_DOUBLED;

    r->failures++;
    if (answered && r->client->max_age && r->client->max_age < RETRY_MAX_S)
        return (int64_t)r->client->max_age * 1000;
    return (int64_t)RETRY_MS << doubled;
}

static void succeed(struct registration *r)
{
    if (r->doing == REGISTRATION_DISCOVER) {
        change_state(r, REGISTRATION_FOUND, 0);
        return;
    }
    r->failures = 0;
    change_state(r, REGISTRATION_DONE, (int64_t)r->options->lifetime * 750); /* three quarters */
}

void registration_finished(struct registration *r, enum client_outcome outcome, uint8_t code)
{
    bool answered = outcome == CLIENT_ANSWERED, fine = answered && take(r, code);

    note(r, fine, answered, code);
    if (r->doing == REGISTRATION_REMOVE) {
        r->state = REGISTRATION_GONE;
        r->due_ms = CLIENT_NEVER;
    } else if (r->ending) {
        r->due_ms = now(r);
    } else if (fine) {
        succeed(r);
    } else if (answered && r->doing == REGISTRATION_UPDATE) {
        change_state(r, REGISTRATION_FOUND, 0); /* it is not known there any more */
    } else if (answered && r->doing == REGISTRATION_REGISTER && code == COAPMSG_NOT_FOUND) {
        change_state(r, REGISTRATION_UNKNOWN, retry_wait(r, answered));
    } else {
        r->due_ms = now(r) + retry_wait(r, answered);
    }
}
