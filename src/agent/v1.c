#include "agent/v1.h"

#include "codec/cborio.h"

#include <string.h>

#define ID_LIMIT 64

enum action { ACTION_LOAD = 1, ACTION_START, ACTION_IS_RUNNING, ACTION_STOP, ACTION_DELETE };

enum damage { DAMAGE_NONE, DAMAGE_UID, DAMAGE_PARTS };

static bool uid_damages(size_t size)
{
    return size < 1 || size > METADATA_UID_MAX;
}

/* The length of the uid in the container part; 1 when that cannot be read, which is refused later. */
static size_t find_uid_size(struct cborio_reader part)
{
    for (size_t n = cborio_get_map(&part); n > 0; n--) {
        size_t size = 1;

        if (cborio_get_uint(&part, UINT64_MAX) == 1 && cborio_get_bytes(&part, &size))
            return size;
        cborio_skip(&part);
    }
    return 1;
}

/* What metadata does to the public agent before it is looked at any further. */
static enum damage find_damage(const uint8_t *metadata, size_t size)
{
    struct cborio_reader r = cborio_reader_init(metadata, size);
    bool damages = false;
    unsigned seen = 0;

    (void)cborio_get_tag(&r);
    for (size_t n = cborio_get_map(&r); n > 0 && !cborio_failed(&r); n--) {
        uint64_t key = cborio_get_uint(&r, UINT64_MAX);
        struct cborio_reader part = cborio_get_nested(&r);

        if (key >= 1 && key <= 3)
            seen |= 1u << key;
        if (key == 1)
            damages = uid_damages(find_uid_size(part));
    }
    if (cborio_failed(&r))
        return DAMAGE_NONE;
    if ((seen & 0xc) != 0xc)
        return DAMAGE_PARTS;
    return damages ? DAMAGE_UID : DAMAGE_NONE;
}

/* Returns the slot, or NULL with a sentence in reason. */
static struct slot *load(struct device *d, const struct verify_parts *parts, struct metadata *md, char *reason)
{
    struct slot *slot, *held;

    if (verify_container(&d->options->verify, parts, md, reason, CONTAINER_REASON_SIZE))
        return NULL;
    held = device_find(d, md->uid, md->uid_length);
    slot = device_free_slot(d);
    if (held && !d->bugs.duplicate_uid) {
        (void)snprintf(reason, CONTAINER_REASON_SIZE, "the uid is in use");
        return NULL;
    }
    if (!slot) {
        (void)snprintf(reason, CONTAINER_REASON_SIZE, "no slot is free");
        return NULL;
    }
    return device_install(d, slot, md, parts, CONTAINER_CHECK_AT_START, reason, CONTAINER_REASON_SIZE) ? NULL : slot;
}

static enum server_verdict handle_load(struct device *d, const struct coapmsg *request, struct coapmsg *response)
{
    const struct coapmsg_option *metadata = coapmsg_find(request, V1_OPT_METADATA),
                                *data = coapmsg_find(request, V1_OPT_DATA), *code = coapmsg_find(request, V1_OPT_CODE);
    char reason[CONTAINER_REASON_SIZE] = "";
    struct journal_entry entry = {.event = "load", .message_id = request->id, .detail = reason};
    struct verify_parts parts;
    struct metadata md = {0};
    enum damage damage;
    struct slot *slot;

    if (!metadata || !data || !code || !code->length) {
        response->code = COAPMSG_BAD_OPTION;
        return SERVER_ANSWER_LOAD;
    }
    damage = find_damage(metadata->value, metadata->length);
    if (damage != DAMAGE_NONE) {
        device_damage(d, damage == DAMAGE_PARTS,
                      damage == DAMAGE_PARTS ? "metadata without the endpoints or the security entry"
                                             : "metadata with a uid of 0 or of more than 63 bytes",
                      request->id);
        response->code = COAPMSG_INTERNAL_ERROR;
        return d->crashed ? SERVER_SILENCE : SERVER_ANSWER_LOAD;
    }
    parts =
        (struct verify_parts){metadata->value, data->value, code->value, metadata->length, data->length, code->length};
    slot = load(d, &parts, &md, reason);
    response->code = slot ? COAPMSG_CREATED : COAPMSG_INTERNAL_ERROR;
    entry.outcome = slot ? "ok" : "refused";
    entry.code = response->code;
    entry.uid = md.uid;
    entry.uid_size = md.uid_length;
    device_note(d, slot, entry);
    return SERVER_ANSWER_LOAD;
}

/* The slot that a request's uid names; NULL when there is none. */
static struct slot *find_slot(struct device *d, const struct coapmsg *request, const struct coapmsg_option *uid)
{
    if (uid && uid_damages(uid->length)) {
        device_damage(d, false, "a uid of 0 or of more than 63 bytes", request->id);
        return NULL;
    }
    return uid ? device_find(d, uid->value, uid->length) : NULL;
}

static void handle_start(struct device *d, const struct coapmsg *request, struct coapmsg *response)
{
    const struct coapmsg_option *uid = coapmsg_find(request, V1_OPT_UID);
    struct slot *slot = find_slot(d, request, uid);

    response->code = slot ? COAPMSG_CHANGED : uid ? COAPMSG_INTERNAL_ERROR : COAPMSG_BAD_OPTION;
    if (slot)
        device_start(d, slot);
    device_note(d, slot,
                (struct journal_entry){.event = "start",
                                       .outcome = slot ? "ok" : "refused",
                                       .uid = uid ? uid->value : NULL,
                                       .uid_size = uid ? uid->length : 0,
                                       .code = response->code,
                                       .message_id = request->id});
}

static void handle_is_running(struct device *d, const struct coapmsg *request, struct coapmsg *response)
{
    const struct coapmsg_option *uid = coapmsg_find(request, V1_OPT_UID);
    const struct slot *slot = find_slot(d, request, uid);
    uint32_t observe;

    if (!uid) {
        response->code = COAPMSG_BAD_OPTION;
        return;
    }
    response->code = COAPMSG_CONTENT;
    coapmsg_add_uint(response, V1_OPT_STATUS, slot && device_state(d, slot) == CONTAINER_RUNNING);
    if (coapmsg_get_uint(request, COAPMSG_OPT_OBSERVE, &observe))
        coapmsg_add_uint(response, COAPMSG_OPT_OBSERVE, observe);
}

static enum server_verdict handle_container(struct device *d, const struct coapmsg *request, struct coapmsg *response)
{
    static const uint8_t methods[] = {[ACTION_LOAD] = COAPMSG_POST,
                                      [ACTION_START] = COAPMSG_PUT,
                                      [ACTION_IS_RUNNING] = COAPMSG_GET,
                                      [ACTION_STOP] = COAPMSG_PUT,
                                      [ACTION_DELETE] = COAPMSG_DELETE};
    uint32_t action;

    response->code = COAPMSG_BAD_OPTION;
    if (!coapmsg_get_uint(request, V1_OPT_ACTION, &action) || action < ACTION_LOAD || action > ACTION_DELETE)
        return SERVER_ANSWER;
    response->code = COAPMSG_METHOD_NOT_ALLOWED;
    if (request->code != methods[action])
        return SERVER_ANSWER;
    switch ((enum action)action) {
    case ACTION_LOAD:
        return handle_load(d, request, response);
    case ACTION_START:
        handle_start(d, request, response);
        break;
    case ACTION_IS_RUNNING:
        handle_is_running(d, request, response);
        break;
    case ACTION_STOP:
    case ACTION_DELETE:
        response->code = COAPMSG_NOT_IMPLEMENTED;
        break;
    }
    return SERVER_ANSWER;
}

static void handle_write_id(struct device *d, const struct coapmsg *request, struct coapmsg *response)
{
    if (request->payload_size == 0) {
        response->code = COAPMSG_BAD_REQUEST;
    } else if (request->payload_size > ID_LIMIT) {
        response->code = COAPMSG_TOO_LARGE;
        coapmsg_add_uint(response, COAPMSG_OPT_SIZE1, ID_LIMIT);
    } else {
        memcpy(d->id, request->payload, request->payload_size);
        d->id_size = request->payload_size;
        response->code = COAPMSG_CHANGED;
    }
}

static void handle_id(struct device *d, const struct coapmsg *request, struct coapmsg *response)
{
    if (request->code == COAPMSG_POST) {
        handle_write_id(d, request, response);
    } else if (request->code != COAPMSG_GET) {
        response->code = COAPMSG_METHOD_NOT_ALLOWED;
    } else if (d->id_size == 0) {
        response->code = COAPMSG_NOT_FOUND;
    } else {
        response->code = COAPMSG_CONTENT;
        coapmsg_add_uint(response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_OCTETS);
        coapmsg_set_payload(response, d->id, d->id_size);
    }
}

/* "/name/" as two segments, the second empty, or as the one segment "name/". */
static bool path_is(const struct coapmsg *request, const char *path)
{
    const struct coapmsg_option *first = coapmsg_find(request, COAPMSG_OPT_URI_PATH);

    return coapmsg_path_is(request, path) ||
           (first && !coapmsg_find_next(request, first) && first->length == strlen(path + 1) &&
            memcmp(first->value, path + 1, first->length) == 0);
}

static void handle_discovery(const struct coapmsg *request, struct coapmsg *response)
{
    static const char links[] = "</container/>,</device-id/>";

    if (request->code != COAPMSG_GET) {
        response->code = COAPMSG_METHOD_NOT_ALLOWED;
        return;
    }
    response->code = COAPMSG_CONTENT;
    coapmsg_add_uint(response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_LINK);
    coapmsg_set_payload(response, links, sizeof links - 1);
}

enum server_verdict v1_handle(struct device *d, const struct coapmsg *request, struct coapmsg *response)
{
    if (path_is(request, "/container/"))
        return handle_container(d, request, response);
    if (path_is(request, "/device-id/"))
        handle_id(d, request, response);
    else if (coapmsg_path_is(request, "/.well-known/core"))
        handle_discovery(request, response);
    else
        response->code = COAPMSG_NOT_FOUND;
    return SERVER_ANSWER;
}
