#include "agent/suitdev.h"

#include "base/text.h"
#include "codec/token.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BOARD_DEFAULT "native"
#define VENDOR_DOMAIN "riot-os.org"
#define FIRMWARE "00"
#define RAM_PREFIX "ram."
#define RESTART_MS 1000 /* from the end of an update to the new firmware */
#define EXEC_PATH "/bpf/exec/"
#define EXEC_FUEL 1000000
#define EXEC_CONTEXT_MAX 1024

static const uint32_t firmware_offsets[] = {0x1000, 0x20800};

static int64_t now(const struct suitdev *s)
{
    return clock_monotonic_ms(s->device->clock);
}

static const char *board_name(const struct suitdev *s)
{
    return s->options->board ? s->options->board : BOARD_DEFAULT;
}

static void note(const struct suitdev *s, struct journal_entry entry)
{
    entry.message_id = -1;
    device_note(s->device, NULL, entry);
}

/* Slot N; NULL when there is none. */
static struct suitdev_slot *find_number(const struct suitdev *s, const char *text)
{
    int64_t number;

    return text_parse_int(text, 0, (int64_t)s->device->options->slots - 1, &number) ? &s->slots[number] : NULL;
}

/* The slot of the component "ram.N". */
static struct suitdev_slot *find_slot(const struct suitdev *s, const char *name)
{
    return strncmp(name, RAM_PREFIX, strlen(RAM_PREFIX)) == 0 ? find_number(s, name + strlen(RAM_PREFIX)) : NULL;
}

/* The update ------------------------------------------------------------------------------------------------------- */

static void begin(struct suitdev *s)
{
    size_t max = s->options->dialect == SUITDEV_RIOT ? SUITDEV_RIOT_MAX : SUITDEV_IETF_MAX;

    s->again = false;
    s->state = SUITDEV_FETCHING_MANIFEST;
    fetch_begin(&s->fetch, s->url, max);
}

/* The one place where an update ends. */
static void end(struct suitdev *s, const char *problem)
{
    s->state = SUITDEV_IDLE;
    note(s, (struct journal_entry){.event = "update",
                                   .outcome = problem ? "refused" : "ok",
                                   .counter = s->plan.sequence,
                                   .detail = problem ? problem : s->url});
    if (!problem && s->has_firmware) {
        s->state = SUITDEV_RESTARTING;
        s->restart_at_ms = now(s) + RESTART_MS;
    } else if (s->again) {
        s->state = SUITDEV_TRIGGERED;
    }
}

static void succeed(struct suitdev *s)
{
    s->identity.sequence = s->plan.sequence;
    if (s->has_firmware)
        s->firmware_sequence = s->plan.sequence;
    end(s, NULL);
}

static bool keep(struct suitdev_slot *slot, const struct buffer *body)
{
    uint8_t *bytes = malloc(body->size ? body->size : 1);

    if (!bytes)
        return false;
    if (body->size)
        memcpy(bytes, body->data, body->size);
    free(slot->bytes);
    slot->bytes = bytes;
    slot->size = body->size;
    return true;
}

/* Puts what was fetched where it belongs. NULL, or what is wrong with it. */
static const char *install(struct suitdev *s, const struct suitdev_step *step)
{
    const struct buffer *body = &s->fetch.body;
    struct suitdev_slot *slot = find_slot(s, step->name);
    bool is_firmware = strcmp(step->name, FIRMWARE) == 0;
    uint8_t digest[METADATA_DIGEST_SIZE];

    token_digest(body->data, body->size, NULL, 0, digest);
    if (body->size != step->size || memcmp(digest, step->digest, sizeof digest) != 0)
        return "what was fetched has another size or digest than the manifest says";
    if (!device_write_flash(s->device))
        return "the flash could not be written";
    if (!is_firmware && !keep(slot, body))
        return "no memory";
    s->has_firmware |= is_firmware;
    s->device->counters.installs++;
    note(s, (struct journal_entry){.event = "load",
                                   .outcome = "ok",
                                   .uid = step->name,
                                   .uid_size = strlen(step->name),
                                   .counter = s->plan.sequence,
                                   .digest = digest});
    return NULL;
}

/* Bytes that a component may have. */
static size_t room(const struct suitdev *s, const struct suitdev_slot *slot)
{
    size_t memory = s->device->options->memory, used = 0;

    for (size_t i = 0; memory && i < s->device->options->slots; i++)
        if (&s->slots[i] != slot)
            used += s->slots[i].size;
    if (memory && memory - used < s->device->options->package_max)
        return used < memory ? memory - used : 0;
    return s->device->options->package_max;
}

/* Goes on with the next component that is to be fetched. */
static void step_on(struct suitdev *s)
{
    const struct suitdev_step *step;

    while (s->step < s->plan.count && !s->plan.steps[s->step].fetches)
        s->step++;
    if (s->step == s->plan.count) {
        succeed(s);
        return;
    }
    step = &s->plan.steps[s->step];
    if (!find_slot(s, step->name) && strcmp(step->name, FIRMWARE) != 0)
        end(s, "the device has no such component");
    else if (step->size > room(s, find_slot(s, step->name)))
        end(s, "the device has no room for it");
    else
        fetch_begin(&s->fetch, step->uri, step->size);
}

static void take_manifest(struct suitdev *s)
{
    int (*read)(struct suitdev_plan *, const struct suitdev_identity *, const uint8_t *, size_t, char *, size_t) =
        s->options->dialect == SUITDEV_RIOT ? suitdev_read_riot : suitdev_read_ietf;
    char reason[CONTAINER_REASON_SIZE] = "";
    const struct buffer *body = &s->fetch.body;

    s->identity.offset = firmware_offsets[!s->active];
    if (read(&s->plan, &s->identity, body->data, body->size, reason, sizeof reason)) {
        end(s, reason);
        return;
    }
    s->step = 0;
    s->has_firmware = false;
    s->state = SUITDEV_FETCHING_PAYLOAD;
    step_on(s);
}

static void on_fetched(void *arg, const char *problem)
{
    struct suitdev *s = arg;
    bool is_manifest = s->state == SUITDEV_FETCHING_MANIFEST;

    if (is_manifest)
        s->plan = (struct suitdev_plan){.count = 0};
    if (!problem && !is_manifest)
        problem = install(s, &s->plan.steps[s->step++]);
    if (problem)
        end(s, problem);
    else if (is_manifest)
        take_manifest(s);
    else
        step_on(s);
}

/* Requests --------------------------------------------------------------------------------------------------------- */

/* 2.01 before anything was looked at. What is taken is a C string, in a buffer that is not cleared before. */
static void take_trigger(struct suitdev *s, const struct coapmsg *request, struct coapmsg *response)
{
    size_t size = request->payload_size, max = s->options->url_max ? s->options->url_max : SUITDEV_URL_MAX;

    response->code = size == 0 ? COAPMSG_INCOMPLETE : size >= max ? COAPMSG_TOO_LARGE : COAPMSG_CREATED;
    if (response->code == COAPMSG_CREATED)
        memcpy(s->url, request->payload, size);
    device_note(s->device, NULL,
                (struct journal_entry){.event = "trigger",
                                       .outcome = response->code == COAPMSG_CREATED ? "ok" : "refused",
                                       .code = response->code,
                                       .message_id = request->id,
                                       .detail = s->url});
    if (response->code == COAPMSG_CREATED && s->state == SUITDEV_IDLE)
        s->state = SUITDEV_TRIGGERED; /* the answer goes first */
    else if (response->code == COAPMSG_CREATED)
        s->again = true;
}

printf_like(3, 4) static void give(struct suitdev *s, struct coapmsg *response, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(s->text, sizeof s->text, format, ap);
    va_end(ap);
    if (!response->code)
        response->code = COAPMSG_CONTENT;
    if (COAPMSG_CLASS(response->code) == 2)
        coapmsg_add_uint(response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_TEXT);
    coapmsg_set_payload(response, s->text, strlen(s->text));
}

static bool give_resource(struct suitdev *s, const struct coapmsg *request, struct coapmsg *response)
{
    if (coapmsg_path_is(request, "/suit/version") && s->device->bugs.no_version)
        give(s, response, "NONE");
    else if (coapmsg_path_is(request, "/suit/version"))
        give(s, response, "%" PRIu64, s->identity.sequence);
    else if (coapmsg_path_is(request, "/suit/slot/active"))
        give(s, response, "%u", s->active);
    else if (coapmsg_path_is(request, "/suit/slot/inactive"))
        give(s, response, "%u", !s->active);
    else if (coapmsg_path_is(request, "/riot/board"))
        give(s, response, "%s", board_name(s));
    else
        return false;
    return true;
}

static void give_links(struct suitdev *s, struct coapmsg *response)
{
    const char *links = suitdev_links(s);

    response->code = COAPMSG_CONTENT;
    coapmsg_add_uint(response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_LINK);
    coapmsg_set_payload(response, links, strlen(links));
}

const char *suitdev_links(const struct suitdev *s)
{
#define LINKS(trigger)                                                                                                 \
    "</.well-known/core>,</riot/board>,</suit/slot/active>,</suit/slot/inactive>,</suit/trigger>" trigger              \
    ",</suit/version>"
    static const char *const links[2][2] = {{LINKS(""), "</bpf/exec/>," LINKS("")},
                                            {LINKS(";rt=\"suit.ietf\""), "</bpf/exec/>," LINKS(";rt=\"suit.ietf\"")}};

    return links[s->options->dialect == SUITDEV_IETF][s->options->femto];
}

/* Femto-Containers ------------------------------------------------------------------------------------------------- */

static void host_log(void *arg, const char *text, size_t size)
{
    (void)arg;
    (void)text;
    (void)size;
}

static int32_t host_refuse(void *arg, uint32_t endpoint)
{
    (void)arg;
    (void)endpoint;
    return -1;
}

static int32_t host_close(void *arg, int32_t fd)
{
    (void)arg;
    (void)fd;
    return -1;
}

static int32_t host_read(void *arg, int32_t fd, uint8_t *out, uint32_t size)
{
    (void)arg;
    (void)fd;
    (void)out;
    (void)size;
    return -1;
}

static int32_t host_write(void *arg, int32_t fd, const uint8_t *data, uint32_t size)
{
    (void)arg;
    (void)fd;
    (void)data;
    (void)size;
    return -1;
}

static void host_heartbeat(void *arg)
{
    (void)arg;
}

/* Runs a slot once with the request's payload as its context. 0 with its return value, else a sentence. */
static int execute(const struct suitdev_slot *slot, const struct coapmsg *request, int64_t *result, char *reason,
                   size_t reason_size)
{
    static const struct runtime_host host = {NULL,      host_log,   host_refuse,   host_close,
                                             host_read, host_write, host_heartbeat};
    const struct runtime_program program = {slot->bytes, slot->size, request->payload, request->payload_size};
    struct runtime *runtime = NULL;
    int r = runtime_new(&runtime, CONTAINER_TYPE_RBPF, &program, &host, 0, reason, reason_size);

    if (!r)
        r = runtime_loop(runtime, EXEC_FUEL, result, reason, reason_size);
    (void)runtime_free(runtime);
    return r;
}

/* The slot behind /bpf/exec/; NULL when the path is another one, or there is no such slot. */
static const struct suitdev_slot *find_executable(const struct suitdev *s, const struct coapmsg *request)
{
    char path[sizeof EXEC_PATH + 8];
    const struct coapmsg_option *segment = coapmsg_find(request, COAPMSG_OPT_URI_PATH);

    for (int i = 0; segment && i < 2; i++)
        segment = coapmsg_find_next(request, segment);
    if (!segment || segment->length < 1 || segment->length > 8)
        return NULL;
    (void)snprintf(path, sizeof path, EXEC_PATH "%.*s", (int)segment->length, (const char *)segment->value);
    return coapmsg_path_is(request, path) ? find_number(s, path + strlen(EXEC_PATH)) : NULL;
}

static void handle_execute(struct suitdev *s, const struct suitdev_slot *slot, const struct coapmsg *request,
                           struct coapmsg *response)
{
    char reason[CONTAINER_REASON_SIZE] = "the device has not enough memory for it";
    int64_t result = 0;

    if (!slot->bytes) {
        response->code = COAPMSG_NOT_FOUND;
        give(s, response, "the slot is empty");
    } else if (request->payload_size > EXEC_CONTEXT_MAX) {
        response->code = COAPMSG_TOO_LARGE;
    } else if (execute(slot, request, &result, reason, sizeof reason)) {
        response->code = COAPMSG_INTERNAL_ERROR;
        give(s, response, "%s", reason);
    } else {
        give(s, response, "%" PRId64, result);
    }
    device_note(s->device, NULL,
                (struct journal_entry){.event = "exec",
                                       .outcome = COAPMSG_CLASS(response->code) == 2 ? "ok" : "refused",
                                       .code = response->code,
                                       .message_id = request->id,
                                       .detail = s->text});
}

/* The device ------------------------------------------------------------------------------------------------------- */

enum server_verdict suitdev_handle(struct suitdev *s, const struct coapmsg *request, struct coapmsg *response)
{
    const struct suitdev_slot *slot = s->options->femto ? find_executable(s, request) : NULL;
    bool is_trigger = coapmsg_path_is(request, "/suit/trigger");

    if (is_trigger && (request->code == COAPMSG_POST || request->code == COAPMSG_PUT))
        take_trigger(s, request, response);
    else if (slot && request->code == COAPMSG_POST)
        handle_execute(s, slot, request, response);
    else if (is_trigger || slot)
        response->code = COAPMSG_METHOD_NOT_ALLOWED;
    else if (coapmsg_path_is(request, "/.well-known/core"))
        give_links(s, response);
    else if (!give_resource(s, request, response))
        response->code = COAPMSG_NOT_FOUND;
    else if (request->code != COAPMSG_GET)
        response->code = COAPMSG_METHOD_NOT_ALLOWED;
    return is_trigger ? SERVER_ANSWER_LOAD : SERVER_ANSWER;
}

int suitdev_init(struct suitdev *s, struct server *server, struct security *security)
{
    s->fetch = (struct fetch){
        .server = server, .security = security, .done = on_fetched, .arg = s, .deadline_ms = FETCH_NEVER};
    s->identity.key = s->options->key;
    suitdev_identify(&s->identity, VENDOR_DOMAIN, board_name(s));
    s->slots = calloc(s->device->options->slots, sizeof *s->slots);
    return s->slots ? 0 : -ENOMEM;
}

static void empty_slots(struct suitdev *s)
{
    for (size_t i = 0; s->slots && i < s->device->options->slots; i++) {
        free(s->slots[i].bytes);
        s->slots[i] = (struct suitdev_slot){NULL, 0};
    }
}

void suitdev_clear(struct suitdev *s)
{
    if (!s->device)
        return;
    fetch_clear(&s->fetch);
    empty_slots(s);
    free(s->slots);
    s->slots = NULL;
}

void suitdev_restart(struct suitdev *s)
{
    if (!s->device)
        return;
    if (s->state == SUITDEV_RESTARTING)
        s->active = !s->active;
    s->state = SUITDEV_IDLE;
    s->again = false;
    memset(s->url, 0, sizeof s->url);
    s->identity.sequence = s->firmware_sequence;
    fetch_clear(&s->fetch);
    empty_slots(s);
}

bool suitdev_busy(const struct suitdev *s)
{
    return s->state != SUITDEV_IDLE;
}

bool suitdev_tick(struct suitdev *s)
{
    fetch_tick(&s->fetch);
    if (s->state == SUITDEV_TRIGGERED)
        begin(s);
    return s->state == SUITDEV_RESTARTING && now(s) >= s->restart_at_ms;
}

int64_t suitdev_deadline(const struct suitdev *s)
{
    if (s->state == SUITDEV_TRIGGERED)
        return 0;
    return s->state == SUITDEV_RESTARTING ? s->restart_at_ms : fetch_deadline(&s->fetch);
}
