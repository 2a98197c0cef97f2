#include "base/text.h"
#include "codec/pack.h"
#include "codec/senml.h"
#include "uplink/sink.h"

#include <string.h>

bool entry_has_name(const struct journal_entry *entry, const char *names)
{
    struct telemetry_record record;
    struct pack_reader reader;

    pack_reader_init(&reader, entry->body, entry->size);
    while (pack_read(&reader, &record) == 1)
        if (conf_words_match(names, record.name))
            return true;
    return false;
}

/* The names of the records get the device in front: "sensor-1/temperature". */
static const char *render_senml(const struct journal_entry *entry, struct buffer *out, size_t *size)
{
    char prefix[CORE_ID_MAX + 2];
    struct telemetry_record *records = NULL;
    size_t count = 0, capacity = 0;
    struct pack_reader reader;

    pack_reader_init(&reader, entry->body, entry->size);
    for (;; count++) {
        if (count == capacity) {
            void *larger = realloc(records, (capacity = capacity ? 2 * capacity : 16) * sizeof *records);

            if (!larger)
                break;
            records = larger;
        }
        if (pack_read(&reader, &records[count]) != 1)
            break;
    }
    (void)snprintf(prefix, sizeof prefix, "%s/", entry->device);
    senml_encode(out, SENML_JSON, prefix, records, count);
    free(records);
    *size = out->size;
    return count && !out->failed ? buffer_text(out) : NULL;
}

const char *entry_render(const struct sink *sink, const struct journal_entry *entry, struct buffer *scratch,
                         size_t *size)
{
    if (sink->conf->format != CONF_FORMAT_SENML || entry->kind != JOURNAL_TELEMETRY)
        return journal_entry_json(sink->uplink->options.core, entry, size);
    buffer_clear(scratch);
    return render_senml(entry, scratch, size);
}
