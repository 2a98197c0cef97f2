#include "coap/driver_suit.h"

#include "base/text.h"
#include "codec/key.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * SUIT devices (docs/device-protocol.md section 9): told by a trigger to fetch a manifest and its payload, which they
 * then do by themselves. How that ends shows in the blocks that they fetch, and in /suit/version:
 *
 *   board -> version -> trigger -> (manifest and payload are fetched: update.c) -> version, until it is the manifest's
 */

#define ASK_EVERY_MS 1000 /* for the version, once all was fetched */
#define QUIET_MS 2000     /* after which a device that tells no version is believed */
#define NOTE_MAX 64
#define AROUND 64 /* bytes of headers and options around a block: CoAP, UDP, IPv6 */
#define TICK_MS 200

static int64_t now(const struct task *task)
{
    return clock_monotonic_ms(task->agents->updates.clock);
}

static void send_request(struct task *task, uint8_t code, const char *path, const void *payload, size_t size,
                         task_answer_fn answer)
{
    struct coapmsg request;

    coapmsg_init(&request, COAPMSG_CON, code);
    coapmsg_add_path(&request, path);
    coapmsg_set_payload(&request, payload, size);
    task_send(task, &request, false, answer);
}

/* A decimal number, and nothing else but white space or a NUL behind it. */
static bool read_number(const struct coapmsg *response, uint64_t *out)
{
    const uint8_t *text = response->payload;
    size_t size = response->payload_size;

    *out = 0;
    while (size && (text[size - 1] == 0 || text[size - 1] == '\n' || text[size - 1] == ' '))
        size--;
    if (response->code != COAPMSG_CONTENT || size < 1 || size > 19)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (text[i] - '0');
    }
    return true;
}

static void note_version(struct agent_call *call, const struct coapmsg *response)
{
    call->version_known = read_number(response, &call->version_seen);
}

/* What became of an update ---------------------------------------------------------------------------------------- */

static bool is_idle(const struct task *task)
{
    return now(task) - task->update->active_at >= task->agents->options.load_timeout_ms;
}

static void end_idle(struct task *task)
{
    const struct update *update = task->update;

    if (update->manifest_taken < update->manifest.size)
        task_end(task, AGENT_NO_ANSWER, "it was told to fetch the manifest, and fetched %zu of %zu bytes",
                 update->manifest_taken, update->manifest.size);
    else if (update->payload_taken == 0)
        task_end(task, AGENT_UNVERIFIED,
                 "it fetched the manifest and not the payload: its signature, sequence number, vendor or class");
    else
        task_end(task, AGENT_NO_ANSWER, "it stopped after %zu of %zu bytes of the payload", update->payload_taken,
                 update->image->size);
}

static void on_last_version(struct task *task, const struct coapmsg *response)
{
    struct update *update = task->update;
    uint64_t version;
    bool told = read_number(response, &version);

    update->asking = false;
    update->asked_at = now(task);
    if (told && version >= update->sequence)
        task_end(task, AGENT_OK, NULL);
    else if (!update->complete && is_idle(task))
        end_idle(task);
    else if (!update->complete)
        return;
    else if (told && now(task) - update->complete_at >= task->agents->options.load_timeout_ms)
        task_end(task, AGENT_UNVERIFIED,
                 "it fetched all of %zu bytes and did not install them: it still tells sequence number %" PRIu64,
                 update->image->size, version);
    else if (!told && now(task) - update->active_at >= QUIET_MS)
        task_end(task, AGENT_OK, "the device tells no sequence number; it fetched everything");
}

static void ask_version(struct task *task)
{
    task->update->asking = true;
    send_request(task, COAPMSG_GET, "/suit/version", NULL, 0, on_last_version);
}

static void look_after(struct task *task)
{
    const struct update *update = task->update;

    if (!task->is_following || update->asking)
        return;
    if (update->complete ? now(task) - update->asked_at >= ASK_EVERY_MS : is_idle(task))
        ask_version(task);
}

static bool is_forgotten(const struct agents *agents, const struct update *update)
{
    return !update->task &&
           clock_monotonic_ms(agents->updates.clock) - update->active_at >= agents->options.load_timeout_ms;
}

void suit_tick(uv_timer_t *timer)
{
    struct agents *agents = container_of(timer, struct agents, update_timer);

    for (struct update *update = agents->updates.all, *next; update; update = next) {
        struct task *task = update->task;

        next = update->hh.next;
        if (is_forgotten(agents, update)) {
            update_free(&agents->updates, update);
        } else if (task) {
            task->beginning = true; /* nobody's done is called while the table is walked */
            look_after(task);
            task->beginning = false;
        }
    }
    if (!agents->updates.all)
        (void)uv_timer_stop(timer);
}

static void tell(const struct task *task)
{
    struct agent_call *call = task->call;

    if (call->progress)
        call->progress(call, task->update->payload_taken, task->update->image->size);
}

static void on_served(struct update *update, bool moved)
{
    struct task *task = update->task;

    if (task && moved)
        tell(task);
}

static void follow(struct task *task)
{
    task->update->served = on_served;
    task->is_following = true;
}

void suit_pause(struct task *task)
{
    if (!task->is_following || task->update->asking || task->update->complete)
        return;
    if (!task->call->cancelled) { /* it goes on fetching meanwhile */
        task->update->task = NULL;
        task->update = NULL;
    }
    task->is_following = false;
    task->beginning = true; /* done comes from the loop */
    task_end(task, AGENT_PAUSED, NULL);
    task->beginning = false;
}

void suit_release(struct task *task)
{
    update_free(&task->agents->updates, steal_pointer(task->update));
    task->is_following = false;
}

/* Load ------------------------------------------------------------------------------------------------------------ */

static void on_triggered(struct task *task, const struct coapmsg *response)
{
    char note[NOTE_MAX + 1], code[5];

    if (COAPMSG_CLASS(response->code) == 2) {
        task->update->active_at = now(task);
        follow(task);
        if (task->push.pausing)
            suit_pause(task);
    } else if (response->code == COAPMSG_NOT_FOUND) {
        task_end(task, AGENT_GARBAGE, "the device has no resource /suit/trigger; check its agent kind");
    } else {
        task_end(task, AGENT_REFUSED, "the device refused the trigger (%s): %s",
                 coapmsg_code_text(response->code, code),
                 task_print(note, sizeof note, response->payload, response->payload_size));
    }
}

static void trigger(struct task *task)
{
    char url[SUIT_TRIGGER_MAX];
    size_t size = suit_trigger_url(task->update, task->host, url);

    update_seal(&task->agents->updates, task->update);
    tell(task); /* what the device had so far is known before it is changed */
    send_request(task, COAPMSG_POST, "/suit/trigger", url, size, on_triggered);
}

/* Adds the update that the device will fetch; false when the task was ended. */
static bool add_update(struct task *task, const struct peer *peer)
{
    const struct agent_call *call = task->call;
    const uint8_t *bytes;
    const char *digest;
    size_t size;

    suit_payload(call, &bytes, &size, &digest);
    if (call->code_size != call->artifact->code_size || call->data_size != call->artifact->data_size) {
        task_end(task, AGENT_LOCAL,
                 "a SUIT device takes no other data than its artifact has, or what is stored of it was damaged");
        return false;
    }
    task->update = update_new(&task->agents->updates, call->device->id, peer, digest, bytes, size);
    if (!task->update) {
        task_end(task, AGENT_LOCAL, "%u updates are pending, or the gateway is out of memory", UPDATES_MAX);
        return false;
    }
    task->update->sequence = call->sent.sequence;
    task->update->link = call->link;
    task->update->task = task;
    if (!uv_is_active((uv_handle_t *)&task->agents->update_timer))
        (void)uv_timer_start(&task->agents->update_timer, suit_tick, TICK_MS, TICK_MS);
    return true;
}

static void prepare(struct task *task)
{
    const struct agents_options *options = &task->agents->options;
    const struct agent_call *call = task->call;
    struct suit_plan plan = {call, task->board, call->version_seen, call->version_known, ""};
    EVP_PKEY *key = options->suit_key ? key_pkey(options->suit_key) : NULL;
    enum agent_outcome outcome;
    char reason[128];
    struct peer peer;

    if (peer_parse(call->device->address, &peer) < 0 ||
        !suit_own_host(&peer, endpoint_port(task->agents->endpoint, PEER_UDP), task->host, sizeof task->host)) {
        task_end(task, AGENT_LOCAL, "the gateway has no address that the device could fetch from (coap.listen)");
        return;
    }
    plan.own_host = task->host;
    if (!add_update(task, &peer))
        return;
    outcome = suit_prepare(&plan, key, task->update, reason, sizeof reason);
    if (outcome == AGENT_OK)
        trigger(task);
    else
        task_end(task, outcome, "%s", reason);
}

static void on_version_before(struct task *task, const struct coapmsg *response)
{
    note_version(task->call, response);
    prepare(task);
}

static void on_board(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_CONTENT && response->payload_size <= SUIT_BOARD_MAX)
        (void)task_print(task->board, sizeof task->board, response->payload, response->payload_size);
    send_request(task, COAPMSG_GET, "/suit/version", NULL, 0, on_version_before);
}

static void ask_board(struct task *task)
{
    task->board[0] = 0;
    send_request(task, COAPMSG_GET, "/riot/board", NULL, 0, on_board);
}

static bool is_same_load(const struct update *update, const struct agent_call *call)
{
    const uint8_t *bytes;
    const char *digest;
    size_t size;

    suit_payload(call, &bytes, &size, &digest);
    return !update->task && strcmp(update->image->digest, digest) == 0 && update->sequence == call->sent.sequence;
}

static void begin_load(struct task *task)
{
    struct updates *updates = &task->agents->updates;
    struct update *pending = update_find(updates, task->call->device->id);
    struct fault fault;

    if (suit_check(task->call->device, task->call->uid, task->call->artifact, &fault)) {
        task_end(task, AGENT_LOCAL, "%.150s", fault.detail);
        return;
    }
    if (pending && is_same_load(pending, task->call)) { /* it was paused */
        task->update = pending;
        pending->task = task;
        push_begin(task, 0, follow);
        return;
    }
    update_free(updates, pending);
    push_begin(task, AROUND, ask_board); /* the device begins to fetch when there is a place on its link */
}

/* Status ---------------------------------------------------------------------------------------------------------- */

/* Whether the device has taken a manifest: what it does not tell is believed. */
static bool has_taken(const struct agent_call *call, const struct agent_manifest *manifest, bool believed)
{
    return manifest->sequence && (call->version_known ? call->version_seen >= manifest->sequence : believed);
}

static void on_status(struct task *task, const struct coapmsg *response)
{
    struct agent_call *call = task->call;
    const struct agent_manifest *seen = NULL;

    if (COAPMSG_CLASS(response->code) != 2 && response->code != COAPMSG_NOT_FOUND) {
        task_end_unexpected(task, response, "GET /suit/version");
        return;
    }
    note_version(call, response);
    if (has_taken(call, &call->sent, false))
        seen = &call->sent;
    else if (has_taken(call, &call->installed, true))
        seen = &call->installed;
    call->state = seen ? CONTAINER_RUNNING : CONTAINER_ABSENT;
    if (seen)
        memcpy(call->artifact_seen, seen->code_digest, sizeof call->artifact_seen);
    task_end(task, seen ? AGENT_OK : AGENT_ABSENT, NULL);
}

static void begin(struct task *task)
{
    switch (task->call->verb) {
    case AGENT_CALL_LOAD:
        begin_load(task);
        break;
    case AGENT_CALL_START: /* what is installed runs */
    case AGENT_CALL_STATUS:
        send_request(task, COAPMSG_GET, "/suit/version", NULL, 0, on_status);
        break;
    default:
        task_end(task, AGENT_UNSUPPORTED, "SUIT devices have no request for this");
    }
}

const struct driver driver_suit = {
    .features = {.load_is_idempotent = true, .can_replace = true, .start_is_true = true},
    .check = suit_check,
    .begin = begin,
};

/* Probe ----------------------------------------------------------------------------------------------------------- */

static void on_probed_board(struct task *task, const struct coapmsg *response)
{
    struct agent_probe *probe = &task->call->probe;
    char board[48] = "";

    if (response->code == COAPMSG_CONTENT)
        (void)task_print(board, sizeof board, response->payload, response->payload_size);
    (void)snprintf(probe->version, sizeof probe->version, "%s%s%s",
                   task->is_ietf ? SUIT_VERSION_IETF : SUIT_VERSION_RIOT, *board ? " " : "", board);
    probe->caps.runtimes = 1u << CONTAINER_TYPE_NATIVE | 1u << CONTAINER_TYPE_RBPF | 1u << CONTAINER_TYPE_SUIT;
    probe->kind = AGENT_SUIT;
    task_end(task, AGENT_OK, NULL);
}

void probe_suit(struct task *task, bool is_ietf)
{
    task->is_ietf = is_ietf;
    send_request(task, COAPMSG_GET, "/riot/board", NULL, 0, on_probed_board);
}
