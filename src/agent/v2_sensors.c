#include "agent/v2.h"

#include "agent/outbox.h"
#include "agent/sensors.h"

#include <string.h>

#define BODY_ROOM 256

static int64_t period(const struct v2 *v2)
{
    uint32_t ms = v2->device->options->sensor_period_ms;

    return ms ? ms : DEVICE_SENSOR_PERIOD_MS;
}

static int64_t uptime(const struct v2 *v2)
{
    return clock_monotonic_ms(v2->device->clock) - v2->device->booted_ms;
}

uint32_t v2_sensor_revision(const struct v2 *v2)
{
    return (uint32_t)(uptime(v2) / period(v2));
}

int64_t v2_sensor_change(const struct v2 *v2)
{
    return v2->device->booted_ms + (v2_sensor_revision(v2) + 1) * period(v2);
}

/* Of one value in one format; a device that restarted begins with other ones. */
static void write_tag(const struct v2 *v2, enum sensor sensor, uint32_t format, uint8_t tag[V2_ETAG_SIZE])
{
    uint32_t step = v2_sensor_revision(v2), boots = (uint32_t)v2->device->boots;
    const uint8_t bytes[V2_ETAG_SIZE] = {(uint8_t)(boots >> 8), (uint8_t)boots,        (uint8_t)sensor,
                                         (uint8_t)format,       (uint8_t)(step >> 24), (uint8_t)(step >> 16),
                                         (uint8_t)(step >> 8),  (uint8_t)step};

    memcpy(tag, bytes, V2_ETAG_SIZE);
}

static bool has_tag(const struct coapmsg *request, const uint8_t tag[V2_ETAG_SIZE])
{
    const struct coapmsg_option *etag = coapmsg_find(request, COAPMSG_OPT_ETAG);

    for (; etag; etag = coapmsg_find_next(request, etag))
        if (etag->length == V2_ETAG_SIZE && memcmp(etag->value, tag, V2_ETAG_SIZE) == 0)
            return true;
    return false;
}

/* A body whose every block says that another one follows. */
static void give_endless(struct v2 *v2, const struct coapmsg *request, struct coapmsg *response)
{
    struct coapmsg_block block = {.szx = v2_max_szx(v2)}, asked = block;

    if (coapmsg_get_block(request, COAPMSG_OPT_BLOCK2, &asked) == 0) {
        block.num = asked.num;
        block.szx = asked.szx < block.szx ? asked.szx : block.szx;
    }
    block.more = true;
    memset(v2->body, 'x', (size_t)16 << block.szx);
    response->code = COAPMSG_CONTENT;
    coapmsg_add_uint(response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_TEXT);
    coapmsg_add_block(response, COAPMSG_OPT_BLOCK2, block);
    coapmsg_set_payload(response, v2->body, (size_t)16 << block.szx);
}

static enum outbox_format choose(uint32_t accept)
{
    return accept == COAPMSG_FORMAT_SENML_CBOR   ? OUTBOX_CBOR
           : accept == COAPMSG_FORMAT_SENML_JSON ? OUTBOX_JSON
                                                 : OUTBOX_TEXT;
}

static void give_value(struct v2 *v2, enum sensor sensor, const struct coapmsg *request, struct coapmsg *response,
                       uint32_t format)
{
    struct telemetry_record record = sensor_read(sensor, v2->device->seed, v2_sensor_revision(v2));
    cleanup_buffer struct buffer text = buffer_init(BODY_ROOM);

    outbox_encode(&text, choose(format), &record, 1);
    if (text.failed) {
        v2_refuse(v2, response, COAPMSG_INTERNAL_ERROR, "no memory");
        return;
    }
    memcpy(v2->body, text.data, text.size);
    v2_give(v2, request, response, (uint16_t)format, v2->body, text.size);
}

/* Never longer than the value is there; a notification a little longer, since the next one comes then. */
static uint32_t max_age(const struct v2 *v2, const struct coapmsg *request)
{
    int64_t left = v2_sensor_change(v2) - clock_monotonic_ms(v2->device->clock);
    bool observed = request->type == COAPMSG_NON || coapmsg_find(request, COAPMSG_OPT_OBSERVE);

    return (uint32_t)(left / 1000) + (observed ? 2 : 0);
}

void v2_give_sensor(struct v2 *v2, const char *name, const struct coapmsg *request, struct coapmsg *response)
{
    enum sensor sensor = sensor_from_name(name);
    uint32_t format = COAPMSG_FORMAT_TEXT;
    uint8_t *tag = v2->tag;

    (void)!coapmsg_get_uint(request, COAPMSG_OPT_ACCEPT, &format);
    if (bugs_happens(&v2->device->bugs.sensor_error)) {
        v2_refuse(v2, response, COAPMSG_INTERNAL_ERROR, "the sensor is broken");
        return;
    }
    if (v2->device->bugs.sensor_endless) {
        give_endless(v2, request, response);
        return;
    }
    write_tag(v2, sensor, format, tag);
    if (has_tag(request, tag))
        response->code = COAPMSG_VALID;
    else
        give_value(v2, sensor, request, response,
                   choose(format) == OUTBOX_TEXT ? (uint32_t)COAPMSG_FORMAT_TEXT : format);
    if (COAPMSG_CLASS(response->code) != 2)
        return;
    coapmsg_add(response, COAPMSG_OPT_ETAG, tag, V2_ETAG_SIZE);
    coapmsg_add_uint(response, COAPMSG_OPT_MAX_AGE, max_age(v2, request));
}
