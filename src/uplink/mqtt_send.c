#include "uplink/mqtt.h"

#include "base/log.h"
#include "base/text.h"

#include <mqtt_protocol.h>
#include <string.h>

#define REFUSED 0x80 /* reason codes of MQTT 5 from here on are errors */

static struct flight *flight_at(const struct mqtt *mqtt, size_t i)
{
    return &mqtt->flights[(mqtt->head + i) % mqtt->window];
}

static const char *topic_of(const struct mqtt *mqtt, const struct journal_entry *entry, char out[MQTT_TOPIC_MAX])
{
    if (entry->kind == JOURNAL_TELEMETRY)
        (void)snprintf(out, MQTT_TOPIC_MAX, "%s/telemetry/%s", mqtt->base, entry->device);
    else
        (void)snprintf(out, MQTT_TOPIC_MAX, "%s/events/%s%s%s", mqtt->base, journal_kind_name(entry->kind),
                       *entry->device ? "/" : "", entry->device);
    return out;
}

/* A dead letter is its topic, a line end, and its payload. */
static void bury(struct mqtt *mqtt, uint64_t seq, const char *topic, const char *payload, size_t size,
                 const char *reason)
{
    cleanup_buffer struct buffer body = {0};

    buffer_printf(&body, "%s\n", topic);
    buffer_append(&body, payload, size);
    if (!body.failed)
        sink_bury(mqtt->sink, seq, seq, mqtt->refusals ? mqtt->refusals : 1, reason, body.data, body.size);
}

/* The cursor follows the oldest entry that is not acknowledged; where all are, it is how far was read. */
static void advance(struct mqtt *mqtt)
{
    struct sink *sink = mqtt->sink;
    uint64_t count = 0, seq = sink->cursor;

    while (mqtt->count && flight_at(mqtt, 0)->acknowledged) {
        seq = flight_at(mqtt, 0)->seq;
        mqtt->head = (mqtt->head + 1) % mqtt->window;
        mqtt->count--;
        count++;
    }
    sink_advance(sink, mqtt->count ? seq : journal_position(sink->reader), count);
    if (sink->done_count - sink->durable_count >= mqtt->window / 2)
        sink_save(sink);
}

/* Enters it as sent; an entry that cannot be sent at all becomes a dead letter, and counts as acknowledged. */
static int send_entry(struct mqtt *mqtt, const struct journal_entry *entry)
{
    struct sink *sink = mqtt->sink;
    struct flight *flight = flight_at(mqtt, mqtt->count);
    char topic[MQTT_TOPIC_MAX];
    const char *text;
    size_t size = 0;
    int result = MOSQ_ERR_SUCCESS;

    *flight = (struct flight){.seq = entry->seq, .sent_at = uv_now(sink->uplink->options.loop)};
    text = entry_render(sink, entry, &mqtt->scratch, &size);
    if (!text) {
        log_error("an entry of the journal cannot be read and is left out", "sink", sink->conf->name, NULL);
        flight->acknowledged = true;
    } else if (mqtt->refusals >= (unsigned)sink->conf->max_refusals && mqtt->refused_seq == entry->seq) {
        bury(mqtt, entry->seq, topic_of(mqtt, entry, topic), text, size, sink->error);
        flight->acknowledged = true;
    } else {
        result = mqtt_publish(mqtt, &flight->mid, topic_of(mqtt, entry, topic), text, size, false, NULL);
        if (result == MOSQ_ERR_OVERSIZE_PACKET || result == MOSQ_ERR_PAYLOAD_SIZE) {
            bury(mqtt, entry->seq, topic, text, size, "it is larger than the broker takes");
            flight->acknowledged = true;
            result = MOSQ_ERR_SUCCESS;
        }
    }
    if (result != MOSQ_ERR_SUCCESS) {
        journal_step_back(sink->reader); /* or the cursor would pass it */
        mqtt->link->gone = true;
        return result;
    }
    mqtt->count++;
    sink->sent_count++;
    sink->stats.sent++;
    return result;
}

/* The platform hears how many entries it will not get. */
static void send_missing(struct mqtt *mqtt, uint64_t missing)
{
    json_t *json =
        json_pack("{s:s, s:s, s:I}", "kind", "gateway", "event", "entries-missing", "count", (json_int_t)missing);
    cleanup_free char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    char topic[MQTT_TOPIC_MAX];

    json_decref(json);
    (void)snprintf(topic, sizeof topic, "%s/events/gateway", mqtt->base);
    if (text)
        (void)mqtt_publish(mqtt, NULL, topic, text, strlen(text), false, NULL);
}

void mqtt_pump(struct sink *sink)
{
    struct mqtt *mqtt = sink->link;
    enum journal_result result = JOURNAL_ENTRY;
    struct journal_entry entry;
    uint64_t missing;

    if (sink->state != SINK_UP || !mqtt->link || !mqtt->link->connected || mqtt->link->gone || mqtt->pumping)
        return;
    mqtt->pumping = true;
    while (result != JOURNAL_WAIT && result != JOURNAL_FAILED && mqtt->count < mqtt->window &&
           sink_room(sink, mqtt->window)) {
        result = sink_read(sink, &entry, &missing);
        if (result == JOURNAL_MISSING)
            send_missing(mqtt, missing);
        if (result == JOURNAL_ENTRY && send_entry(mqtt, &entry) != MOSQ_ERR_SUCCESS)
            break;
    }
    mqtt->pumping = false;
    advance(mqtt);
    mqtt_update_poll(mqtt);
}

/* MQTT 5: the broker says why it does not take a message. The connection begins anew there, later each time. Only the
 * first refusal of a connection counts: those that follow at once would end its count. */
static void refused(struct mqtt *mqtt, const struct flight *flight, int reason)
{
    if (mqtt->link->gone)
        return;
    if (mqtt->refused_seq != flight->seq)
        mqtt->refusals = 0;
    mqtt->refused_seq = flight->seq;
    mqtt->refusals++;
    (void)snprintf(mqtt->link->problem, sizeof mqtt->link->problem, "the broker refuses a message: %s",
                   mosquitto_reason_string(reason));
    mqtt->link->gone = true;
}

void mqtt_acknowledged(struct mqtt *mqtt, int mid, int reason)
{
    struct sink *sink = mqtt->sink;

    if (mid == mqtt->letter_mid && mqtt->letter_mid) {
        mqtt->letter_mid = 0;
        sink_letter_done(sink, reason >= REFUSED ? mosquitto_reason_string(reason) : NULL);
        return;
    }
    for (size_t i = 0; i < mqtt->count; i++) {
        struct flight *flight = flight_at(mqtt, i);

        if (flight->mid != mid || flight->acknowledged)
            continue;
        if (reason >= REFUSED) {
            refused(mqtt, flight, reason);
            return;
        }
        flight->acknowledged = true;
        histogram_add(&sink->stats.took_ms, &histogram_millis, uv_now(sink->uplink->options.loop) - flight->sent_at);
        sink_succeeded(sink);
        if (i == 0)
            advance(mqtt);
        return;
    }
    mqtt_answer_taken(mqtt, mid);
}

uint64_t mqtt_oldest_wait(const struct mqtt *mqtt)
{
    uint64_t now = uv_now(mqtt->sink->uplink->options.loop);

    return mqtt->count ? now - flight_at(mqtt, 0)->sent_at : 0;
}

void mqtt_send_letter(struct sink *sink, const struct dead_letter *letter)
{
    struct mqtt *mqtt = sink->link;
    const char *body = (const char *)letter->body, *end = memchr(body, '\n', letter->size);
    char topic[MQTT_TOPIC_MAX];
    int result;

    if (!end || end - body >= MQTT_TOPIC_MAX) {
        sink_letter_done(sink, "it is damaged");
        return;
    }
    (void)snprintf(topic, sizeof topic, "%.*s", (int)(end - body), body);
    result =
        mqtt_publish(mqtt, &mqtt->letter_mid, topic, end + 1, letter->size - (size_t)(end + 1 - body), false, NULL);
    if (result != MOSQ_ERR_SUCCESS)
        sink_letter_done(sink, mosquitto_strerror(result));
    mqtt_update_poll(mqtt);
}
