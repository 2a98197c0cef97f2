#include "core/journal_private.h"

#include "codec/pack.h"
#include "codec/telemetry_text.h"

#include <string.h>

/* Names of kinds, and the text of an entry: made once, for all who read it. */

static const char *const kinds[JOURNAL_KIND_COUNT] = {
    [JOURNAL_TELEMETRY] = "telemetry", [JOURNAL_DEVICE] = "device",       [JOURNAL_PRESENCE] = "presence",
    [JOURNAL_CONTAINER] = "container", [JOURNAL_OPERATION] = "operation", [JOURNAL_ARTIFACT] = "artifact",
    [JOURNAL_SECURITY] = "security",   [JOURNAL_RESOURCE] = "resource",   [JOURNAL_GATEWAY] = "gateway",
    [JOURNAL_ROLLOUT] = "rollout",     [JOURNAL_AUDIT] = "audit",
};

const char *journal_kind_name(enum journal_kind kind)
{
    return kind < JOURNAL_KIND_COUNT ? kinds[kind] : "invalid";
}

enum journal_kind journal_kind_from_name(const char *name)
{
    unsigned i = 0;

    while (i < JOURNAL_KIND_COUNT && strcmp(kinds[i], name) != 0)
        i++;
    return (enum journal_kind)i;
}

bool journal_pack_has(const void *body, size_t size, const char *name, bool prefix)
{
    size_t length = strlen(name);
    struct telemetry_record record;
    struct pack_reader reader;

    pack_reader_init(&reader, body, size);
    while (pack_read(&reader, &record) > 0)
        if (prefix ? strncmp(record.name, name, length) == 0 : strcmp(record.name, name) == 0)
            return true;
    return false;
}

static void append_records(struct buffer *out, const struct journal_entry *entry)
{
    struct telemetry_record record;
    struct pack_reader reader;
    const char *separator = "{";

    buffer_append_text(out, ",\"records\":[");
    pack_reader_init(&reader, entry->body, entry->size);
    while (pack_read(&reader, &record) > 0) {
        buffer_append_text(out, separator);
        telemetry_put_json(out, &record);
        separator = "},{";
    }
    buffer_append_text(out, *separator == '}' ? "}]}" : "]}");
}

/* The members of the body follow those that every entry has. */
static void append_members(struct buffer *out, const struct journal_entry *entry)
{
    const char *body = entry->body;

    if (entry->size <= 2) { /* {} */
        buffer_append_text(out, "}");
        return;
    }
    buffer_append_u8(out, ',');
    buffer_append(out, body + 1, entry->size - 1);
}

static void append_entry(struct buffer *out, const struct journal_entry *entry)
{
    char time[RFC3339_SIZE];

    if (entry->kind == JOURNAL_AUDIT) { /* number, time and device are in the body */
        buffer_append_text(out, "{\"kind\":\"audit\"");
        append_members(out, entry);
        return;
    }
    buffer_printf(out, "{\"seq\":%llu,\"time\":\"%s\",\"kind\":\"%s\"", (unsigned long long)entry->seq,
                  clock_format_rfc3339(entry->time, time), journal_kind_name(entry->kind));
    if (*entry->device) /* an id needs no escapes */
        buffer_printf(out, ",\"device\":\"%s\"", entry->device);
    if (entry->kind == JOURNAL_TELEMETRY)
        append_records(out, entry);
    else
        append_members(out, entry);
}

const char *journal_entry_json(struct core *core, const struct journal_entry *entry, size_t *size)
{
    struct journal_node *node = entry->node;
    struct buffer out = {0};

    if (!node->json) {
        append_entry(&out, entry);
        node->json = (char *)buffer_steal(&out, &node->json_size);
        if (!node->json) {
            node->json_size = 0;
            return NULL;
        }
        *node->bytes += node->json_size;
        journal_trim_soon(core->journal);
    }
    *size = node->json_size;
    return node->json;
}
