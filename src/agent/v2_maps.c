#include "agent/v2.h"

#include "agent/sensors.h"
#include "codec/cborio.h"
#include "codec/linkformat.h"
#include "config.h"

#include <string.h>

#define PROTOCOL_VERSION 2
#define AGENT_VERSION "tcagent " PACKAGE_VERSION

static void put_uint(struct cborio_writer *w, unsigned key, uint64_t value)
{
    cborio_put_uint(w, key);
    cborio_put_uint(w, value);
}

static void put_text(struct cborio_writer *w, unsigned key, const char *text)
{
    cborio_put_uint(w, key);
    cborio_put_text(w, text);
}

static void put_bytes(struct cborio_writer *w, unsigned key, const void *data, size_t size)
{
    cborio_put_uint(w, key);
    cborio_put_bytes(w, data, size);
}

static void put_id(const struct device *d, struct cborio_writer *w)
{
    char id[DEVICE_ID_MAX + 1];

    memcpy(id, d->id, d->id_size);
    id[d->id_size] = 0;
    put_text(w, 3, id);
}

static void put_runtimes(const struct device *d, struct cborio_writer *w)
{
    size_t count = 0;

    for (unsigned type = 0; type < CONTAINER_TYPE_COUNT; type++)
        count += board_runs(d->board, type);
    cborio_put_uint(w, 4);
    cborio_put_array(w, count);
    for (unsigned type = 0; type < CONTAINER_TYPE_COUNT; type++)
        if (board_runs(d->board, type))
            cborio_put_uint(w, type);
}

static const char *upload_uid(const struct upload *u)
{
    return strncmp(u->target, "c/", 2) == 0 ? u->target + 2 : NULL;
}

size_t v2_write_info(const struct v2 *v2, uint8_t *out, size_t size)
{
    struct cborio_writer w = cborio_writer_init(out, size);
    const struct device *d = v2->device;
    const char *uploading = upload_uid(&v2->upload);

    cborio_put_map(&w, 9u + (d->id_size > 0) + (uploading != NULL));
    put_uint(&w, 1, PROTOCOL_VERSION);
    put_text(&w, 2, AGENT_VERSION);
    if (d->id_size)
        put_id(d, &w);
    put_runtimes(d, &w);
    put_uint(&w, 5, d->options->slots);
    put_uint(&w, 6, device_count_free(d));
    put_uint(&w, 7, device_room(d, NULL));
    put_uint(&w, 8, d->options->package_max);
    put_uint(&w, 9, d->boots);
    put_uint(&w, 10, (uint64_t)(clock_monotonic_ms(d->clock) - d->booted_ms) / 1000);
    if (uploading) {
        cborio_put_uint(&w, 11);
        cborio_put_array(&w, 3);
        cborio_put_text(&w, uploading);
        cborio_put_bytes(&w, v2->upload.tag, v2->upload.tag_size);
        cborio_put_uint(&w, v2->upload.bytes.size);
    }
    return cborio_written(&w);
}

static void put_container_head(const struct device *d, const struct slot *slot, struct cborio_writer *w)
{
    const struct metadata *md = container_metadata(slot->container);

    put_text(w, 1, md->uid);
    put_bytes(w, 2, slot->package_digest, V2_ETAG_SIZE);
    put_uint(w, 3, md->type);
    put_uint(w, 4, device_state(d, slot));
}

size_t v2_write_list(const struct v2 *v2, uint8_t *out, size_t size)
{
    struct cborio_writer w = cborio_writer_init(out, size);
    const struct device *d = v2->device;

    cborio_put_array(&w, d->options->slots - device_count_free(d));
    for (size_t i = 0; i < d->options->slots; i++) {
        const struct slot *slot = &d->slots[i];
        struct container_counters counters;

        if (!slot->container)
            continue;
        counters = container_counters(slot->container);
        cborio_put_map(&w, 7);
        put_container_head(d, slot, &w);
        put_bytes(&w, 6, slot->code_digest, sizeof slot->code_digest);
        put_uint(&w, 8, counters.loops);
        cborio_put_uint(&w, 9);
        cborio_put_int(&w, counters.last_result);
    }
    return cborio_written(&w);
}

size_t v2_write_container(const struct device *d, const struct slot *slot, uint8_t *out, size_t size)
{
    struct cborio_writer w = cborio_writer_init(out, size);
    struct container_counters counters = container_counters(slot->container);
    const char *reason = container_reason(slot->container);

    cborio_put_map(&w, 12u + (*reason != 0));
    put_container_head(d, slot, &w);
    if (*reason)
        put_text(&w, 5, reason);
    put_bytes(&w, 6, slot->code_digest, sizeof slot->code_digest);
    put_uint(&w, 7, slot->package_size);
    put_uint(&w, 8, counters.loops);
    cborio_put_uint(&w, 9);
    cborio_put_int(&w, counters.last_result);
    put_uint(&w, 10, counters.starts);
    cborio_put_uint(&w, 11);
    cborio_put_array(&w, 3);
    cborio_put_uint(&w, counters.calls);
    cborio_put_uint(&w, counters.denials);
    cborio_put_uint(&w, counters.heartbeats);
    put_uint(&w, 12, container_log_revision(slot->container));
    cborio_put_uint(&w, 13);
    cborio_put_bool(&w, slot->data_changed);
    return cborio_written(&w);
}

size_t v2_write_counters(const struct v2 *v2, uint8_t *out, size_t size)
{
    struct cborio_writer w = cborio_writer_init(out, size);
    const struct device_counters *done = &v2->device->counters;
    const uint64_t values[] = {
        v2->traffic->requests, v2->traffic->duplicates, v2->traffic->errors,       done->installs, done->starts,
        done->stops,           done->removes,           v2->traffic->notifications};

    cborio_put_map(&w, array_size(values));
    for (unsigned i = 0; i < array_size(values); i++)
        put_uint(&w, i + 1, values[i]);
    return cborio_written(&w);
}

struct link {
    const char *target;
    const char *type;
    uint32_t format;
    bool observable;
    const char *formats; /* instead of format; NULL: that alone */
};

static bool link_passes(const struct link *link, const char *filter)
{
    const char *value = filter ? strchr(filter, '=') : NULL, *actual;
    size_t length;

    if (!value)
        return true;
    value++;
    if (strncmp(filter, "rt=", 3) == 0)
        actual = link->type;
    else if (strncmp(filter, "href=", 5) == 0)
        actual = link->target;
    else
        return false;
    length = strlen(value);
    if (length && value[length - 1] == '*')
        return actual && strncmp(actual, value, length - 1) == 0;
    return actual && strcmp(actual, value) == 0;
}

static void put_link(struct buffer *out, const struct link *link)
{
    linkformat_put(out, link->target);
    if (link->type)
        linkformat_put_text(out, "rt", link->type);
    if (link->formats)
        linkformat_put_text(out, "ct", link->formats);
    else
        linkformat_put_uint(out, "ct", link->format);
    if (link->observable)
        linkformat_put_flag(out, "obs");
}

static void put_sensor_links(struct buffer *out, const char *filter)
{
    for (enum sensor sensor = 0; sensor < SENSOR_COUNT; sensor++) {
        char target[sizeof V2_SENSORS + TELEMETRY_NAME_MAX];
        const struct link link = {target, sensor_name(sensor), 0, true, "0 110 112"};

        (void)snprintf(target, sizeof target, V2_SENSORS "%s", sensor_name(sensor));
        if (link_passes(&link, filter))
            put_link(out, &link);
    }
}

size_t v2_write_links(const struct v2 *v2, const char *filter, uint8_t *out, size_t size)
{
    static const struct link links[] = {{"/tc", "tinycontainer", COAPMSG_FORMAT_CBOR, false, NULL},
                                        {"/tc/c", "tinycontainer.list", COAPMSG_FORMAT_CBOR, true, NULL},
                                        {"/tc/id", NULL, COAPMSG_FORMAT_TEXT, false, NULL},
                                        {"/tc/n", NULL, COAPMSG_FORMAT_CBOR, false, NULL}};
    cleanup_buffer struct buffer text = buffer_init(size);
    struct link each = {NULL, "tinycontainer.container", COAPMSG_FORMAT_CBOR, true, NULL};
    char target[sizeof "/tc/c/" + METADATA_UID_MAX];

    for (size_t i = 0; i < array_size(links); i++)
        if (link_passes(&links[i], filter))
            put_link(&text, &links[i]);
    put_sensor_links(&text, filter);
    for (size_t i = 0; i < v2->device->options->slots; i++) {
        const struct container *c = v2->device->slots[i].container;

        if (!c || strpbrk(container_metadata(c)->uid, "\"\\<>"))
            continue;
        (void)snprintf(target, sizeof target, "/tc/c/%s", container_metadata(c)->uid);
        each.target = target;
        if (link_passes(&each, filter))
            put_link(&text, &each);
    }
    if (text.failed || text.size > size)
        return 0;
    if (text.size)
        memcpy(out, text.data, text.size);
    return text.size;
}
