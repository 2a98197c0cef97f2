#include "agent/v2.h"

#include "agent/sensors.h"
#include "base/text.h"

#include <stdarg.h>
#include <string.h>

#define SZX_MAX 6
#define HEADER_ROOM 64 /* of an answer with a block: header, token, options */
#define OBSERVE_MAX_AGE 600
#define OBSERVE_MASK 0xffffff
#define BODY_MIN 1024          /* holds every map, and the links without containers */
#define BODY_PER_CONTAINER 192 /* of a list or of the links */

enum kind {
    TARGET_NONE,
    TARGET_LINKS,
    TARGET_INFO,
    TARGET_LIST,
    TARGET_ID,
    TARGET_COUNTERS,
    TARGET_SENSOR,
    TARGET_CONTAINER,
    TARGET_LOG,
    TARGET_DATA
};

struct target {
    enum kind kind;
    bool bad_uid;
    char uid[METADATA_UID_MAX + 1]; /* of the last three kinds; of a sensor its name */
};

struct call {
    struct v2 *v2;
    const struct peer *peer;
    const struct coapmsg *request;
    struct coapmsg *response;
    struct target target;
};

void v2_refuse(struct v2 *v2, struct coapmsg *response, uint8_t code, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(v2->reason, sizeof v2->reason, format, ap);
    va_end(ap);
    response->code = code;
    coapmsg_set_payload(response, v2->reason, strlen(v2->reason));
}

uint8_t v2_max_szx(const struct v2 *v2)
{
    uint8_t szx = SZX_MAX;

    while (szx > 0 && ((size_t)16 << szx) + HEADER_ROOM > v2->pdu_size)
        szx--;
    return szx;
}

static void refuse_memory(const struct call *c)
{
    v2_refuse(c->v2, c->response, COAPMSG_INTERNAL_ERROR, "no memory");
}

/* Makes room in v2->body for a map, or for a list of that many containers. It stays for the next request. */
static bool reserve(struct v2 *v2, size_t containers)
{
    size_t size = BODY_MIN + containers * BODY_PER_CONTAINER;
    uint8_t *body;

    if (size <= v2->body_size)
        return true;
    body = realloc(v2->body, size);
    if (!body)
        return false;
    v2->body = body;
    v2->body_size = size;
    return true;
}

const uint8_t *v2_keep_links(struct v2 *v2, size_t *size)
{
    *size = 0;
    if (!reserve(v2, v2->device->slots_used))
        return NULL;
    *size = v2_write_links(v2, NULL, v2->body, v2->body_size);
    free(v2->links);
    v2->links = malloc(*size ? *size : 1);
    if (v2->links)
        memcpy(v2->links, v2->body, *size);
    else
        *size = 0;
    return v2->links;
}

static size_t write_container(struct v2 *v2, const struct slot *slot)
{
    return reserve(v2, 0) ? v2_write_container(v2->device, slot, v2->body, v2->body_size) : 0;
}

/* Where a request goes --------------------------------------------------------------------------------------------- */

static bool segment_is(const struct coapmsg_option *segment, const char *text)
{
    return segment->length == strlen(text) && memcmp(segment->value, text, segment->length) == 0;
}

static void take_uid(struct target *target, const struct coapmsg_option *segment)
{
    size_t size = segment->length;

    target->bad_uid = size < 1 || size > METADATA_UID_MAX || !text_is_utf8(segment->value, size);
    if (target->bad_uid)
        return;
    memcpy(target->uid, segment->value, size);
    target->uid[size] = 0;
}

/* Below "/tc/c/", from the uid on. */
static enum kind find_container_target(const struct coapmsg *request, const struct coapmsg_option *segment,
                                       struct target *target)
{
    take_uid(target, segment);
    segment = coapmsg_find_next(request, segment);
    if (!segment)
        return TARGET_CONTAINER;
    if (coapmsg_find_next(request, segment))
        return TARGET_NONE;
    return segment_is(segment, "log") ? TARGET_LOG : segment_is(segment, "data") ? TARGET_DATA : TARGET_NONE;
}

static enum kind find_sensor(const struct coapmsg_option *segment, struct target *target)
{
    take_uid(target, segment);
    return !target->bad_uid && sensor_from_name(target->uid) != SENSOR_COUNT ? TARGET_SENSOR : TARGET_NONE;
}

static enum kind find_target(const struct coapmsg *request, struct target *target)
{
    static const struct {
        const char *path;
        enum kind kind;
    } fixed[] = {{"/.well-known/core", TARGET_LINKS},
                 {"/tc", TARGET_INFO},
                 {"/tc/c", TARGET_LIST},
                 {"/tc/id", TARGET_ID},
                 {"/tc/n", TARGET_COUNTERS}};
    const struct coapmsg_option *segment = coapmsg_find(request, COAPMSG_OPT_URI_PATH);
    const struct coapmsg_option *second = segment ? coapmsg_find_next(request, segment) : NULL;
    const struct coapmsg_option *third = second ? coapmsg_find_next(request, second) : NULL;

    if (third)
        return segment_is(segment, "tc") && segment_is(second, "c") ? find_container_target(request, third, target)
                                                                    : TARGET_NONE;
    for (size_t i = 0; i < array_size(fixed); i++)
        if (coapmsg_path_is(request, fixed[i].path))
            return fixed[i].kind;
    return second && segment_is(segment, "sensors") ? find_sensor(second, target) : TARGET_NONE;
}

/* GET -------------------------------------------------------------------------------------------------------------- */

void v2_give(struct v2 *v2, const struct coapmsg *request, struct coapmsg *response, uint16_t format, const void *data,
             size_t size)
{
    struct coapmsg_block block = {.szx = v2_max_szx(v2)};
    struct coapmsg_block asked = block;
    size_t offset, left;
    uint32_t accept;

    if (coapmsg_get_uint(request, COAPMSG_OPT_ACCEPT, &accept) && accept != format) {
        v2_refuse(v2, response, COAPMSG_NOT_ACCEPTABLE, "only content format %u", format);
        return;
    }
    if (coapmsg_get_block(request, COAPMSG_OPT_BLOCK2, &asked) == 2)
        asked.num = UINT32_MAX; /* malformed: beyond any end */
    if (asked.szx < block.szx)
        block.szx = asked.szx;
    offset = (size_t)asked.num << (asked.szx + 4);
    if (offset > 0 && offset >= size) {
        v2_refuse(v2, response, COAPMSG_BAD_REQUEST, "there is no such block");
        return;
    }
    left = size - offset;
    block.num = (uint32_t)(offset >> (block.szx + 4));
    block.more = left > (size_t)16 << block.szx;
    response->code = COAPMSG_CONTENT;
    coapmsg_add_uint(response, COAPMSG_OPT_CONTENT_FORMAT, format);
    if (block.more || offset || coapmsg_find(request, COAPMSG_OPT_BLOCK2))
        coapmsg_add_block(response, COAPMSG_OPT_BLOCK2, block);
    coapmsg_set_payload(response, (const uint8_t *)data + offset, block.more ? (size_t)16 << block.szx : left);
}

static void give(const struct call *c, uint16_t format, const void *data, size_t size)
{
    v2_give(c->v2, c->request, c->response, format, data, size);
}

/* An ETag for what spans several blocks, so that a reader notices a change: FNV-1a. */
static void tag(const struct call *c, const void *data, size_t size)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 16777619u;
    coapmsg_add_uint(c->response, COAPMSG_OPT_ETAG, hash | 1);
}

static void give_tagged(const struct call *c, uint16_t format, const void *data, size_t size)
{
    if (size > (size_t)16 << v2_max_szx(c->v2) || coapmsg_find(c->request, COAPMSG_OPT_BLOCK2))
        tag(c, data, size);
    give(c, format, data, size);
}

/* A CBOR map or array in v2->body; it is never empty. */
static void give_map(const struct call *c, size_t size)
{
    if (size)
        give_tagged(c, COAPMSG_FORMAT_CBOR, c->v2->body, size);
    else
        refuse_memory(c);
}

static void give_links(const struct call *c)
{
    const struct coapmsg_option *query = coapmsg_find(c->request, COAPMSG_OPT_URI_QUERY);
    char filter[128] = "";

    if (query && query->length < sizeof filter)
        memcpy(filter, query->value, query->length);
    if (reserve(c->v2, c->v2->device->slots_used))
        give_tagged(c, COAPMSG_FORMAT_LINK, c->v2->body,
                    v2_write_links(c->v2, query ? filter : NULL, c->v2->body, c->v2->body_size));
    else
        refuse_memory(c);
}

static void give_id(const struct call *c)
{
    const struct device *d = c->v2->device;

    if (d->id_size)
        give(c, COAPMSG_FORMAT_TEXT, d->id, d->id_size);
    else
        v2_refuse(c->v2, c->response, COAPMSG_NOT_FOUND, "no device id was assigned");
}

/* The first block looks at the log as it is now; the others go on in what the first one saw. */
static void give_log(const struct call *c, const struct slot *slot)
{
    struct v2 *v2 = c->v2;
    struct coapmsg_block block = {0};
    bool first = coapmsg_get_block(c->request, COAPMSG_OPT_BLOCK2, &block) != 0 || block.num == 0;

    if (!v2->log)
        v2->log = malloc(CONTAINER_LOG_SIZE);
    if (!v2->log) {
        refuse_memory(c);
        return;
    }
    if (first || strcmp(v2->log_uid, container_metadata(slot->container)->uid) != 0) {
        v2->log_size = container_log(slot->container, v2->log, CONTAINER_LOG_SIZE);
        (void)text_copy(v2->log_uid, sizeof v2->log_uid, container_metadata(slot->container)->uid);
    }
    give_tagged(c, COAPMSG_FORMAT_TEXT, v2->log, v2->log_size);
}

static void give_data(const struct call *c, const struct slot *slot)
{
    size_t size;
    const uint8_t *data = container_data(slot->container, &size);

    give_tagged(c, COAPMSG_FORMAT_OCTETS, data, size);
}

/* A container's resources; it is there. */
static void give_of_container(const struct call *c, const struct slot *slot)
{
    if (c->target.kind == TARGET_LOG)
        give_log(c, slot);
    else if (c->target.kind == TARGET_DATA)
        give_data(c, slot);
    else
        give_map(c, write_container(c->v2, slot));
}

static struct slot *find_slot(const struct call *c)
{
    return c->target.uid[0] ? device_find(c->v2->device, c->target.uid, strlen(c->target.uid)) : NULL;
}

static void refuse_absent(const struct call *c)
{
    v2_refuse(c->v2, c->response, COAPMSG_NOT_FOUND, "there is no such container");
}

static void handle_get(const struct call *c)
{
    const struct slot *slot;

    switch (c->target.kind) {
    case TARGET_LINKS:
        give_links(c);
        return;
    case TARGET_INFO:
        give_map(c, reserve(c->v2, 0) ? v2_write_info(c->v2, c->v2->body, c->v2->body_size) : 0);
        return;
    case TARGET_LIST:
        give_map(c,
                 reserve(c->v2, c->v2->device->slots_used) ? v2_write_list(c->v2, c->v2->body, c->v2->body_size) : 0);
        return;
    case TARGET_COUNTERS:
        give_map(c, reserve(c->v2, 0) ? v2_write_counters(c->v2, c->v2->body, c->v2->body_size) : 0);
        return;
    case TARGET_ID:
        give_id(c);
        return;
    case TARGET_SENSOR:
        if (reserve(c->v2, 0))
            v2_give_sensor(c->v2, c->target.uid, c->request, c->response);
        else
            refuse_memory(c);
        return;
    default:
        slot = find_slot(c);
        if (slot)
            give_of_container(c, slot);
        else
            refuse_absent(c);
    }
}

/* Observe ---------------------------------------------------------------------------------------------------------- */

static enum observed observed_kind(enum kind kind)
{
    switch (kind) {
    case TARGET_LIST:
        return OBSERVED_LIST;
    case TARGET_CONTAINER:
        return OBSERVED_CONTAINER;
    case TARGET_LOG:
        return OBSERVED_LOG;
    case TARGET_SENSOR:
        return OBSERVED_SENSOR;
    default:
        return OBSERVED_NOTHING;
    }
}

bool v2_revision(const struct v2 *v2, const struct observed_resource *resource, uint32_t *revision)
{
    const struct slot *slot;

    if (resource->kind == OBSERVED_LIST) {
        *revision = device_revision(v2->device);
        return true;
    }
    if (resource->kind == OBSERVED_SENSOR) {
        *revision = v2_sensor_revision(v2);
        return true;
    }
    slot = device_find(v2->device, resource->uid, strlen(resource->uid));
    if (!slot)
        return false;
    if (resource->kind == OBSERVED_CONTAINER)
        *revision = device_slot_revision(slot);
    else
        *revision = slot->revision_base * 2654435761u + container_log_revision(slot->container);
    return true;
}

/* The options of an answer that is also a notification. All but the sensors say when they change: these are fresh for
 * long then, and never without. */
static void add_observe(struct coapmsg *response, struct observer *observer)
{
    observer->sequence = (observer->sequence + 1) & OBSERVE_MASK;
    coapmsg_add_uint(response, COAPMSG_OPT_OBSERVE, observer->sequence);
    if (observer->resource.kind != OBSERVED_SENSOR)
        coapmsg_add_uint(response, COAPMSG_OPT_MAX_AGE, OBSERVE_MAX_AGE);
}

static void register_observer(const struct call *c)
{
    struct observed_resource resource = {.kind = observed_kind(c->target.kind)};
    struct observer *observer = NULL;
    uint32_t observe, revision, accept;

    if (coapmsg_get_uint(c->request, COAPMSG_OPT_OBSERVE, &observe) && resource.kind != OBSERVED_NOTHING) {
        (void)text_copy(resource.uid, sizeof resource.uid, c->target.uid);
        resource.accept = coapmsg_get_uint(c->request, COAPMSG_OPT_ACCEPT, &accept) ? (uint16_t)accept : 0;
        if (observe == 1 && !c->v2->device->bugs.observe_forever)
            observers_remove(&c->v2->observers, c->peer, c->request);
        else if (observe == 0 && v2_revision(c->v2, &resource, &revision))
            observer = observers_add(&c->v2->observers, c->peer, c->request, &resource);
    }
    if (!observer && c->target.kind != TARGET_SENSOR)
        coapmsg_add_uint(c->response, COAPMSG_OPT_MAX_AGE, 0);
    if (!observer)
        return;
    observer->revision = revision;
    add_observe(c->response, observer);
}

void v2_notification(struct v2 *v2, struct observer *observer, struct coapmsg *response)
{
    static const enum kind targets[] = {[OBSERVED_LIST] = TARGET_LIST,
                                        [OBSERVED_CONTAINER] = TARGET_CONTAINER,
                                        [OBSERVED_LOG] = TARGET_LOG,
                                        [OBSERVED_SENSOR] = TARGET_SENSOR};
    struct coapmsg request;
    struct call c = {.v2 = v2, .peer = &observer->peer, .request = &request, .response = response};

    coapmsg_init(&request, COAPMSG_NON, COAPMSG_GET);
    c.target.kind = targets[observer->resource.kind];
    if (c.target.kind == TARGET_SENSOR)
        coapmsg_add_uint(&request, COAPMSG_OPT_ACCEPT, observer->resource.accept);
    (void)text_copy(c.target.uid, sizeof c.target.uid, observer->resource.uid);
    coapmsg_set_token(response, observer->token, observer->token_length);
    handle_get(&c);
    if (COAPMSG_CLASS(response->code) == 2)
        add_observe(response, observer);
}

/* POST, DELETE, PUT ------------------------------------------------------------------------------------------------ */

static void answer_changed(const struct call *c, const struct slot *slot)
{
    size_t size = write_container(c->v2, slot); /* before v2->body is looked at: it may move */

    c->response->code = COAPMSG_CHANGED;
    coapmsg_add_uint(c->response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_CBOR);
    coapmsg_set_payload(c->response, c->v2->body, size);
}

static void note(const struct call *c, const struct slot *slot, const char *event)
{
    device_note(c->v2->device, slot,
                (struct journal_entry){.event = event,
                                       .uid = c->target.uid,
                                       .uid_size = strlen(c->target.uid),
                                       .code = c->response->code,
                                       .message_id = c->request->id});
}

static void handle_start(const struct call *c, struct slot *slot)
{
    if (slot) {
        device_start(c->v2->device, slot);
        if (device_state(c->v2->device, slot) == CONTAINER_FAILED)
            v2_refuse(c->v2, c->response, COAPMSG_INTERNAL_ERROR, "%s", container_reason(slot->container));
        else
            answer_changed(c, slot);
    } else {
        refuse_absent(c);
    }
    note(c, slot, "start");
}

static void handle_stop(const struct call *c, struct slot *slot)
{
    if (c->v2->device->bugs.no_stop) {
        v2_refuse(c->v2, c->response, COAPMSG_NOT_IMPLEMENTED, "this agent cannot stop a container");
    } else if (slot) {
        device_stop(c->v2->device, slot);
        answer_changed(c, slot);
    } else {
        refuse_absent(c);
    }
    note(c, slot, "stop");
}

static void handle_post(const struct call *c)
{
    const struct coapmsg_option *query = coapmsg_find(c->request, COAPMSG_OPT_URI_QUERY);

    if (query && !coapmsg_find_next(c->request, query) && segment_is(query, "start"))
        handle_start(c, find_slot(c));
    else if (query && !coapmsg_find_next(c->request, query) && segment_is(query, "stop"))
        handle_stop(c, find_slot(c));
    else
        v2_refuse(c->v2, c->response, COAPMSG_BAD_REQUEST, "the query is ?start or ?stop");
}

static void handle_delete(const struct call *c)
{
    struct slot *slot = find_slot(c);

    if (c->v2->device->bugs.no_stop)
        v2_refuse(c->v2, c->response, COAPMSG_NOT_IMPLEMENTED, "this agent cannot remove a container");
    else
        c->response->code = COAPMSG_DELETED;
    note(c, slot, "remove");
    if (slot && c->response->code == COAPMSG_DELETED)
        device_remove(c->v2->device, slot);
}

static void handle_put_id(const struct call *c)
{
    size_t size = c->request->payload_size;

    if (size == 0 || (size <= DEVICE_ID_MAX && !text_is_utf8(c->request->payload, size))) {
        v2_refuse(c->v2, c->response, COAPMSG_BAD_REQUEST, "an id is 1 to %d bytes of UTF-8", DEVICE_ID_MAX);
    } else if (size > DEVICE_ID_MAX) {
        v2_refuse(c->v2, c->response, COAPMSG_TOO_LARGE, "an id has at most %d bytes", DEVICE_ID_MAX);
        coapmsg_add_uint(c->response, COAPMSG_OPT_SIZE1, DEVICE_ID_MAX);
    } else {
        memcpy(c->v2->device->id, c->request->payload, size);
        c->v2->device->id_size = size;
        c->response->code = COAPMSG_CHANGED;
    }
}

static enum server_verdict handle_put(const struct call *c)
{
    if (c->target.kind == TARGET_CONTAINER)
        return v2_put_package(c->v2, c->peer, c->request, c->target.uid, c->response);
    if (c->target.kind == TARGET_ID)
        handle_put_id(c);
    else if (find_slot(c))
        v2_put_data(c->v2, c->peer, c->request, c->target.uid, c->response);
    else
        refuse_absent(c);
    return SERVER_ANSWER;
}

/* Dispatch --------------------------------------------------------------------------------------------------------- */

#define ALLOW(method) (1u << (method))

static bool method_fits(enum kind kind, uint8_t method)
{
    static const unsigned allowed[] = {
        [TARGET_LINKS] = ALLOW(COAPMSG_GET),
        [TARGET_INFO] = ALLOW(COAPMSG_GET),
        [TARGET_LIST] = ALLOW(COAPMSG_GET),
        [TARGET_ID] = ALLOW(COAPMSG_GET) | ALLOW(COAPMSG_PUT),
        [TARGET_COUNTERS] = ALLOW(COAPMSG_GET),
        [TARGET_SENSOR] = ALLOW(COAPMSG_GET),
        [TARGET_CONTAINER] = ALLOW(COAPMSG_GET) | ALLOW(COAPMSG_PUT) | ALLOW(COAPMSG_POST) | ALLOW(COAPMSG_DELETE),
        [TARGET_LOG] = ALLOW(COAPMSG_GET),
        [TARGET_DATA] = ALLOW(COAPMSG_GET) | ALLOW(COAPMSG_PUT),
    };

    return method <= COAPMSG_IPATCH && allowed[kind] & ALLOW(method);
}

enum server_verdict v2_handle(struct v2 *v2, const struct peer *peer, const struct coapmsg *request,
                              struct coapmsg *response)
{
    struct call c = {.v2 = v2, .peer = peer, .request = request, .response = response};

    c.target.kind = find_target(request, &c.target);
    if (c.target.kind == TARGET_NONE) {
        v2_refuse(v2, response, COAPMSG_NOT_FOUND, "there is no such resource");
    } else if (!method_fits(c.target.kind, request->code)) {
        v2_refuse(v2, response, COAPMSG_METHOD_NOT_ALLOWED, "not with this method");
    } else if (c.target.bad_uid) {
        v2_refuse(v2, response, COAPMSG_BAD_REQUEST, "a uid is 1 to %d bytes of UTF-8", METADATA_UID_MAX);
    } else if (request->code == COAPMSG_GET) {
        handle_get(&c);
        if (COAPMSG_CLASS(response->code) == 2)
            register_observer(&c);
    } else if (request->code == COAPMSG_POST) {
        handle_post(&c);
    } else if (request->code == COAPMSG_DELETE) {
        handle_delete(&c);
    } else {
        return handle_put(&c);
    }
    return SERVER_ANSWER;
}

void v2_clear(struct v2 *v2)
{
    upload_clear(&v2->upload);
    free(v2->links);
    v2->links = NULL;
    free(v2->log);
    v2->log = NULL;
    free(v2->body);
    v2->body = NULL;
    v2->body_size = 0;
    v2->log_uid[0] = 0;
    v2->observers = (struct observers){0};
}
