#include "agent/attacks.h"

#include "base/text.h"

#include <string.h>

#define ANSWER_MS 250 /* a shot is answered at once, or not at all */
#define WARM_MS 1000
#define ARGUMENT_MAX 1000000

/* The command line ------------------------------------------------------------------------------------------------- */

static const struct attack_info *find(const char *name)
{
    size_t count;
    const struct attack_info *table = attacks_table(&count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static int parse_one(struct attacks_plan *plan, char *word, char *reason, size_t reason_size)
{
    char *value = strchr(word, ':');
    const struct attack_info *info;
    int64_t number = 0;

    if (value)
        *value++ = 0;
    info = find(word);
    if (!info)
        (void)snprintf(reason, reason_size, "there is no attack named \"%s\"", word);
    else if (value && (!info->argument || !text_parse_int(value, 0, ARGUMENT_MAX, &number)))
        (void)snprintf(reason, reason_size, "attack %s takes %s", word,
                       info->argument ? "a number up to 1000000, after \":\"" : "no value");
    else if (plan->count == ATTACKS_MAX)
        (void)snprintf(reason, reason_size, "at most %d attacks", ATTACKS_MAX);
    else {
        plan->entries[plan->count].info = info;
        plan->entries[plan->count++].argument = value ? (uint32_t)number : info->unset_value;
        return 0;
    }
    return 1;
}

int attacks_parse(struct attacks_plan *plan, const char *text, char *reason, size_t reason_size)
{
    while (*text) {
        size_t length = strcspn(text, ",");
        char word[64];

        (void)snprintf(word, sizeof word, "%.*s", (int)length, text);
        if (parse_one(plan, word, reason, reason_size))
            return 1;
        text += length + (text[length] == ',');
    }
    return 0;
}

/* Running ---------------------------------------------------------------------------------------------------------- */

static int64_t now(const struct attacks *a)
{
    return clock_monotonic_ms(a->server->clock);
}

static void note(const struct attacks *a, const char *event, const char *outcome, uint8_t code, const char *detail)
{
    device_note(a->device, NULL,
                (struct journal_entry){.event = event,
                                       .outcome = outcome,
                                       .code = code,
                                       .message_id = -1,
                                       .detail = detail,
                                       .counter = outcome ? a->shot.n : 0});
}

/* An ordinary report first, so that the attack finds a context that is in use. */
static void warm(struct attacks *a)
{
    a->phase = ATTACKS_WARMING;
    (void)snprintf(a->report, sizeof a->report, "{\"attack\": \"none\", \"n\": 0}");
    client_begin(a->client, &(struct client_task){.method = COAPMSG_PUT,
                                                  .path = "/shadow/reported",
                                                  .format = COAPMSG_FORMAT_JSON,
                                                  .payload = (const uint8_t *)a->report,
                                                  .payload_size = strlen(a->report)});
}

void attacks_finished(struct attacks *a, enum client_outcome outcome)
{
    a->phase = outcome == CLIENT_ANSWERED ? ATTACKS_RUNNING : ATTACKS_READY;
    a->deadline_ms = now(a) + (outcome == CLIENT_ANSWERED ? 0 : WARM_MS);
}

static void send_shot(struct attacks *a)
{
    struct shot *shot = &a->shot;
    uint32_t random = server_random(a->server);
    struct coapmsg message;

    if (shot->size && !shot->verbatim && !coapmsg_decode(&message, shot->data, shot->size)) {
        uint8_t out[sizeof shot->data];

        message.id = a->server->next_id++;
        coapmsg_set_token(&message, &random, sizeof random);
        shot->size = coapmsg_encode(&message, out, sizeof out);
        memcpy(shot->data, out, shot->size);
    }
    if (!shot->size || coapmsg_decode(&message, shot->data, shot->size) || message.token_length != sizeof a->token) {
        note(a, "attack", "failed", 0, a->label);
        return;
    }
    memcpy(a->token, message.token, sizeof a->token);
    a->waiting = true;
    a->deadline_ms = now(a) + ANSWER_MS;
    a->server->ops->send(a->server->arg, &a->client->gateway, shot->data, shot->size);
}

static void shoot(struct attacks *a)
{
    const struct attack_info *info = a->plan->entries[a->current].info;

    a->shot.size = 0;
    a->shot.n = 0;
    a->shot.verbatim = false;
    a->label[0] = 0;
    if (info->shoot(a, a->step, a->plan->entries[a->current].argument)) {
        a->step++;
        send_shot(a);
        return;
    }
    note(a, "attack-done", NULL, 0, info->name);
    a->step = 0;
    if (++a->current == a->plan->count) {
        a->phase = ATTACKS_OVER;
        note(a, "attacks-done", NULL, 0, NULL);
    }
}

void attacks_tick(struct attacks *a)
{
    if (a->phase == ATTACKS_READY && !a->client->busy && now(a) >= a->deadline_ms)
        warm(a);
    if (a->phase != ATTACKS_RUNNING || now(a) < a->deadline_ms)
        return;
    if (a->waiting)
        note(a, "attack", "unanswered", 0, a->label);
    a->waiting = false;
    while (a->phase == ATTACKS_RUNNING && !a->waiting)
        shoot(a);
}

int64_t attacks_deadline(const struct attacks *a)
{
    bool due = a->phase == ATTACKS_RUNNING || (a->phase == ATTACKS_READY && !a->client->busy);

    return due ? a->deadline_ms : CLIENT_NEVER;
}

bool attacks_active(const struct attacks *a)
{
    return a->phase != ATTACKS_OVER;
}

bool attacks_response(struct attacks *a, const struct peer *peer, const struct coapmsg *response)
{
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg message;

    if (!a->waiting || response->token_length != sizeof a->token ||
        memcmp(response->token, a->token, sizeof a->token) != 0 || !peer_equal(peer, &a->client->gateway))
        return false;
    a->waiting = false;
    a->deadline_ms = now(a);
    switch (security_open_response(a->security, &a->shot.call, response, &message, room)) {
    case SECURITY_FINE:
        note(a, "attack", COAPMSG_CLASS(message.code) == 2 ? "accepted" : "answered", message.code, a->label);
        break;
    case SECURITY_HINT:
        note(a, "attack", "refused", response->code, a->label);
        break;
    default:
        note(a, "attack", "unverified", response->code, a->label);
    }
    return true;
}
