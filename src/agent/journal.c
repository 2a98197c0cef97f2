#include "agent/journal.h"

#include "base/buffer.h"
#include "base/text.h"
#include "tcgw/coapmsg.h"
#include "tcgw/metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LINE_MAX_SIZE 8192 /* without records */

int journal_open(struct journal *j, const char *path, const struct clock *clock)
{
    j->clock = clock;
    j->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return j->fd < 0 ? -errno : 0;
}

void journal_put_string(struct buffer *line, const void *text, size_t size)
{
    const uint8_t *bytes = text;

    buffer_append_u8(line, '"');
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < 0x20 || bytes[i] > 0x7e || bytes[i] == '"' || bytes[i] == '\\')
            buffer_printf(line, "\\u%04x", bytes[i]);
        else
            buffer_append_u8(line, bytes[i]);
    }
    buffer_append_u8(line, '"');
}

static void put_string(struct buffer *line, const char *name, const void *text, size_t size)
{
    buffer_printf(line, ",\"%s\":", name);
    journal_put_string(line, text, size);
}

static void put_text(struct buffer *line, const char *name, const char *text)
{
    put_string(line, name, text, strlen(text));
}

static void put_hex(struct buffer *line, const char *name, const uint8_t *data, size_t size)
{
    char hex[2 * OSCORE_ID_CONTEXT_MAX + 1];

    put_text(line, name, text_hex(data, size < OSCORE_ID_CONTEXT_MAX ? size : OSCORE_ID_CONTEXT_MAX, hex));
}

static void put_protected(struct buffer *line, const struct journal_protected *p)
{
    if (p->role)
        put_text(line, "role", p->role);
    if (p->kid)
        put_hex(line, "kid", p->kid, p->kid_size);
    if (p->context && p->context->has_id_context)
        put_hex(line, "id_context", p->context->id_context, p->context->id_context_size);
    if (p->number)
        buffer_printf(line, ",\"%s\":%llu", p->number, (unsigned long long)p->piv);
    if (p->hash)
        buffer_printf(line, ",\"hash\":\"%016llx\"", (unsigned long long)p->hash);
}

static void put_members(struct buffer *line, const struct journal_entry *entry)
{
    char hex[2 * METADATA_DIGEST_SIZE + 1], code[5];

    put_text(line, "device", entry->device);
    put_text(line, "event", entry->event);
    if (entry->uid)
        put_string(line, "uid", entry->uid, entry->uid_size);
    if (entry->outcome)
        put_text(line, "outcome", entry->outcome);
    if (entry->code)
        put_text(line, "code", coapmsg_code_text(entry->code, code));
    if (entry->digest)
        put_text(line, "sha256", text_hex(entry->digest, METADATA_DIGEST_SIZE, hex));
    if (entry->message_id >= 0)
        buffer_printf(line, ",\"message_id\":%d", entry->message_id);
    if (entry->counter)
        buffer_printf(line, ",\"counter\":%llu", (unsigned long long)entry->counter);
    if (entry->protected)
        put_protected(line, entry->protected);
    if (entry->records)
        buffer_printf(line, ",\"records\":%s", entry->records);
    if (entry->detail && *entry->detail)
        put_text(line, "detail", entry->detail);
}

void journal_write(const struct journal *j, const struct journal_entry *entry)
{
    cleanup_buffer struct buffer line = buffer_init(LINE_MAX_SIZE + (entry->records ? strlen(entry->records) : 0));
    char time[RFC3339_SIZE];

    if (j->fd < 0)
        return;
    buffer_printf(&line, "{\"time\":\"%s\"", clock_format_rfc3339(clock_wall_ms(j->clock), time));
    put_members(&line, entry);
    buffer_append_text(&line, "}\n");
    if (!line.failed)
        (void)!write(j->fd, line.data, line.size); /* one write, so that lines of several processes do not mix */
}

void journal_close(struct journal *j)
{
    if (j->fd >= 0)
        (void)close(j->fd);
    j->fd = -1;
}
