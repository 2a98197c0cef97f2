#include "base/log.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#define MAX_FIELDS 16

struct field {
    const char *name;
    const char *value;
};

static struct {
    enum log_format format;
    enum log_level level;
} settings = {LOG_FORMAT_TEXT, LOG_LEVEL_INFO};

/* systemd says in $JOURNAL_STREAM which device and inode the journal's end of stderr has. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0)
        return false;
    return st.st_dev == device && st.st_ino == inode;
}

void log_setup(enum log_format format, enum log_level level)
{
    if (format == LOG_FORMAT_AUTO)
        format = stderr_is_journal() ? LOG_FORMAT_JOURNAL : LOG_FORMAT_TEXT;
    settings.format = format;
    settings.level = level;
}

bool log_enabled(enum log_level level)
{
    return level <= settings.level;
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        break;
    }
    return "debug";
}

/* No line break and no escape character passes, whatever a device sent. */
static void append_escaped(struct buffer *line, const char *text, bool quoted)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (quoted && (c == '"' || c == '\\'))
            buffer_printf(line, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buffer_printf(line, "\\x%02x", c);
        else
            buffer_append_u8(line, c);
    }
}

/* A value is quoted when white space, quotes or escapes would make the line ambiguous. */
static void append_text_value(struct buffer *line, const char *value)
{
    bool quoted = *value == 0;

    for (const char *c = value; *c && !quoted; c++)
        quoted = (unsigned char)*c <= ' ' || *c == 0x7f || strchr("\"\\=", *c) != NULL;
    if (quoted)
        buffer_append_u8(line, '"');
    append_escaped(line, value, quoted);
    if (quoted)
        buffer_append_u8(line, '"');
}

static void append_json_string(struct buffer *line, const char *text)
{
    size_t start;

    buffer_append_u8(line, '"');
    start = line->size;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            buffer_printf(line, "\\%c", c);
        else if (c < 0x20)
            buffer_printf(line, "\\u%04x", c);
        else
            buffer_append_u8(line, c);
    }
    if (!line->failed && line->size > start)
        text_repair_utf8((char *)line->data + start);
    buffer_append_u8(line, '"');
}

static void write_line(struct buffer *line)
{
    buffer_append_u8(line, '\n');
    for (size_t done = 0; !line->failed && done < line->size;) {
        ssize_t n = write(STDERR_FILENO, line->data + done, line->size - done);

        if (n < 0 && errno != EINTR)
            return; /* there is nowhere left to say so */
        done += n > 0 ? (size_t)n : 0;
    }
}

static void write_text(enum log_level level, const char *message, const struct field *fields, size_t count)
{
    cleanup_buffer struct buffer line = buffer_init(0);
    char now[RFC3339_SIZE];

    buffer_printf(&line, "%s %-7s ", clock_format_rfc3339(clock_wall_ms(clock_system()), now), level_name(level));
    append_escaped(&line, message, false);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&line, " %s=", fields[i].name);
        append_text_value(&line, fields[i].value);
    }
    write_line(&line);
}

static void write_json(enum log_level level, const char *message, const struct field *fields, size_t count)
{
    cleanup_buffer struct buffer line = buffer_init(0);
    char now[RFC3339_SIZE];

    buffer_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":",
                  clock_format_rfc3339(clock_wall_ms(clock_system()), now), level_name(level));
    append_json_string(&line, message);
    for (size_t i = 0; i < count; i++) {
        buffer_append_u8(&line, ',');
        append_json_string(&line, fields[i].name);
        buffer_append_u8(&line, ':');
        append_json_string(&line, fields[i].value);
    }
    buffer_append_u8(&line, '}');
    write_line(&line);
}

static void write_journal(enum log_level level, const char *message, const struct field *fields, size_t count)
{
    struct buffer entries[MAX_FIELDS + 2] = {0};
    struct iovec iov[MAX_FIELDS + 2];
    size_t n = 0;

    buffer_printf(&entries[n++], "MESSAGE=%s", message);
    buffer_printf(&entries[n++], "PRIORITY=%d", (int)level);
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(&entries[n], "TCGW_");
        for (const char *c = fields[i].name; *c; c++)
            buffer_append_u8(&entries[n], (uint8_t)toupper((unsigned char)*c));
        buffer_printf(&entries[n++], "=%s", fields[i].value);
    }
    for (size_t i = 0; i < n; i++)
        iov[i] = (struct iovec){.iov_base = entries[i].data, .iov_len = entries[i].size};
    (void)sd_journal_sendv(iov, (int)n);
    for (size_t i = 0; i < n; i++)
        buffer_clear(&entries[i]);
}

void log_message(enum log_level level, const char *message, ...)
{
    struct field fields[MAX_FIELDS];
    size_t count = 0;
    va_list ap;

    if (!log_enabled(level))
        return;
    va_start(ap, message);
    while (count < MAX_FIELDS) {
        fields[count].name = va_arg(ap, const char *);
        if (!fields[count].name)
            break;
        fields[count].value = va_arg(ap, const char *);
        if (!fields[count].value)
            break;
        count++;
    }
    va_end(ap);
    if (settings.format == LOG_FORMAT_JOURNAL)
        write_journal(level, message, fields, count);
    else if (settings.format == LOG_FORMAT_JSON)
        write_json(level, message, fields, count);
    else
        write_text(level, message, fields, count);
}
