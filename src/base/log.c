#define _GNU_SOURCE /* program_invocation_short_name */

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

struct entry {
    enum log_part part;
    enum log_level level;
    const char *message;
    const struct field *fields;
    size_t count;
};

static struct {
    enum log_format format;
    enum log_level level;
    enum log_level parts[LOG_PART_COUNT]; /* 0: level */
    enum log_level highest;               /* of all of them */
} settings = {LOG_FORMAT_TEXT, LOG_LEVEL_INFO, {0}, LOG_LEVEL_INFO};

static const char *const part_names[LOG_PART_COUNT] = {
    [LOG_PART_DAEMON] = "daemon", [LOG_PART_REST] = "rest",           [LOG_PART_COAP] = "coap",
    [LOG_PART_STORE] = "store",   [LOG_PART_UPLINK] = "uplink",       [LOG_PART_KEYS] = "keys",
    [LOG_PART_DEPLOY] = "deploy", [LOG_PART_TELEMETRY] = "telemetry", [LOG_PART_CORE] = "core",
    [LOG_PART_AGENT] = "agent",
};

/* How the paths of sources begin, below src/. The first one that fits counts. */
static const struct {
    const char *prefix;
    enum log_part part;
} places[] = {
    {"rest/", LOG_PART_REST},
    {"coap/", LOG_PART_COAP},
    {"oscore/", LOG_PART_COAP},
    {"store/", LOG_PART_STORE},
    {"core/load.", LOG_PART_STORE},
    {"core/commit.", LOG_PART_STORE},
    {"core/journal", LOG_PART_STORE},
    {"core/audit", LOG_PART_STORE},
    {"uplink/", LOG_PART_UPLINK},
    {"daemon/relay", LOG_PART_UPLINK},
    {"core/deadletter.", LOG_PART_UPLINK},
    {"core/keyring", LOG_PART_KEYS},
    {"core/join.", LOG_PART_KEYS},
    {"core/security.", LOG_PART_KEYS},
    {"core/access", LOG_PART_KEYS},
    {"core/publisher.", LOG_PART_KEYS},
    {"core/policy.", LOG_PART_KEYS},
    {"core/trust.", LOG_PART_KEYS},
    {"core/artifact", LOG_PART_DEPLOY},
    {"core/census.", LOG_PART_DEPLOY},
    {"core/container", LOG_PART_DEPLOY},
    {"core/operation", LOG_PART_DEPLOY},
    {"core/reconcile", LOG_PART_DEPLOY},
    {"core/release", LOG_PART_DEPLOY},
    {"core/rollout", LOG_PART_DEPLOY},
    {"core/sequence", LOG_PART_DEPLOY},
    {"core/service", LOG_PART_DEPLOY},
    {"core/suit", LOG_PART_DEPLOY},
    {"core/transfer", LOG_PART_DEPLOY},
    {"core/telemetry", LOG_PART_TELEMETRY},
    {"core/feed.", LOG_PART_TELEMETRY},
    {"core/", LOG_PART_CORE},
    {"agent/", LOG_PART_AGENT},
};

static const struct {
    const char *name;
    enum log_level level;
} levels[] = {
    {"error", LOG_LEVEL_ERROR}, {"warning", LOG_LEVEL_WARNING}, {"info", LOG_LEVEL_INFO}, {"debug", LOG_LEVEL_DEBUG}};

const char *log_part_name(enum log_part part)
{
    return part_names[part];
}

bool log_part_from_name(const char *name, enum log_part *part)
{
    for (*part = 0; *part < LOG_PART_COUNT; ++*part)
        if (strcmp(name, part_names[*part]) == 0)
            return true;
    return false;
}

bool log_level_from_name(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < array_size(levels); i++)
        if (strcmp(name, levels[i].name) == 0) {
            *level = levels[i].level;
            return true;
        }
    return false;
}

const char *log_level_name(enum log_level level)
{
    size_t i = 0;

    while (i < array_size(levels) - 1 && levels[i].level != level)
        i++;
    return levels[i].name;
}

/* `file` is a path of the build: its last "src/" is where ours begins. */
static enum log_part part_of(const char *file)
{
    for (const char *at = strstr(file, "src/"); at; at = strstr(file, "src/"))
        file = at + 4;
    for (size_t i = 0; i < array_size(places); i++)
        if (strncmp(file, places[i].prefix, strlen(places[i].prefix)) == 0)
            return places[i].part;
    return LOG_PART_DAEMON;
}

static enum log_level level_of(enum log_part part)
{
    return settings.parts[part] ? settings.parts[part] : settings.level;
}

static void find_highest(void)
{
    settings.highest = settings.level;
    for (unsigned part = 0; part < LOG_PART_COUNT; part++)
        if (settings.parts[part] > settings.highest)
            settings.highest = settings.parts[part];
}

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
    find_highest();
}

void log_set_part(enum log_part part, enum log_level level)
{
    settings.parts[part] = level;
    find_highest();
}

enum log_level log_get_part(enum log_part part)
{
    return settings.parts[part];
}

enum log_level log_get_level(void)
{
    return settings.level;
}

bool log_enabled_for(const char *file, enum log_level level)
{
    return level <= settings.highest && level <= level_of(part_of(file));
}

/* FNV-1a, twice with different beginnings: what is wanted is that no two texts have one id, not secrecy. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    return hash;
}

const char *log_message_id(const char *message, char out[LOG_ID_SIZE])
{
    uint64_t high = hash_text(0xcbf29ce484222325, message), low = hash_text(0x7463677775756964, message);

    high = (high & ~0xf000ull) | 0x8000;             /* version 8 (RFC 9562 section 5.8) */
    low = (low & ~(3ull << 62)) | (uint64_t)2 << 62; /* its variant */
    (void)snprintf(out, LOG_ID_SIZE, "%016llx%016llx", (unsigned long long)high, (unsigned long long)low);
    return out;
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

static void write_text(const struct entry *entry)
{
    cleanup_buffer struct buffer line = buffer_init(0);
    char now[RFC3339_SIZE];

    buffer_printf(&line, "%s %-7s ", clock_format_rfc3339(clock_wall_ms(clock_system()), now),
                  log_level_name(entry->level));
    append_escaped(&line, entry->message, false);
    for (size_t i = 0; i < entry->count; i++) {
        buffer_printf(&line, " %s=", entry->fields[i].name);
        append_text_value(&line, entry->fields[i].value);
    }
    write_line(&line);
}

static void write_json(const struct entry *entry)
{
    cleanup_buffer struct buffer line = buffer_init(0);
    char now[RFC3339_SIZE];

    buffer_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"part\":\"%s\",\"message\":",
                  clock_format_rfc3339(clock_wall_ms(clock_system()), now), log_level_name(entry->level),
                  part_names[entry->part]);
    append_json_string(&line, entry->message);
    for (size_t i = 0; i < entry->count; i++) {
        buffer_append_u8(&line, ',');
        append_json_string(&line, entry->fields[i].name);
        buffer_append_u8(&line, ':');
        append_json_string(&line, entry->fields[i].value);
    }
    buffer_append_u8(&line, '}');
    write_line(&line);
}

static void write_journal(const struct entry *entry)
{
    struct buffer entries[MAX_FIELDS + 5] = {0};
    struct iovec iov[MAX_FIELDS + 5];
    char id[LOG_ID_SIZE];
    size_t n = 0;

    buffer_printf(&entries[n++], "MESSAGE_ID=%s", log_message_id(entry->message, id));
    buffer_printf(&entries[n++], "SYSLOG_IDENTIFIER=%s", program_invocation_short_name);
    buffer_printf(&entries[n++], "TCGW_PART=%s", part_names[entry->part]);
    buffer_printf(&entries[n++], "MESSAGE=%s", entry->message);
    buffer_printf(&entries[n++], "PRIORITY=%d", (int)entry->level);
    for (size_t i = 0; i < entry->count; i++) {
        buffer_append_text(&entries[n], "TCGW_");
        for (const char *c = entry->fields[i].name; *c; c++)
            buffer_append_u8(&entries[n], (uint8_t)toupper((unsigned char)*c));
        buffer_printf(&entries[n++], "=%s", entry->fields[i].value);
    }
    for (size_t i = 0; i < n; i++)
        iov[i] = (struct iovec){.iov_base = entries[i].data, .iov_len = entries[i].size};
    (void)sd_journal_sendv(iov, (int)n);
    for (size_t i = 0; i < n; i++)
        buffer_clear(&entries[i]);
}

void log_message_from(const char *file, enum log_level level, const char *message, ...)
{
    struct field fields[MAX_FIELDS];
    struct entry entry = {.level = level, .message = message, .fields = fields};
    va_list ap;

    if (level > settings.highest)
        return;
    entry.part = part_of(file);
    if (level > level_of(entry.part))
        return;
    va_start(ap, message);
    while (entry.count < MAX_FIELDS) {
        fields[entry.count].name = va_arg(ap, const char *);
        if (!fields[entry.count].name)
            break;
        fields[entry.count].value = va_arg(ap, const char *);
        if (!fields[entry.count].value)
            break;
        entry.count++;
    }
    va_end(ap);
    if (settings.format == LOG_FORMAT_JOURNAL)
        write_journal(&entry);
    else if (settings.format == LOG_FORMAT_JSON)
        write_json(&entry);
    else
        write_text(&entry);
}
