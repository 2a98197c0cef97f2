#include "conf/conf_private.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <string.h>

/*
 * inih splits sections, keys and values. It knows neither line numbers nor our rules, cuts lines that are too long, and
 * has continuation lines and comments behind values, so each line passes through read_line first: it counts, refuses
 * what inih would take differently, and hands on without the white space in front that makes a continuation.
 */
struct reader {
    struct conf *conf;
    FILE *file;
    int line;
    int result;              /* of the first failure, which ends the reading */
    int seen[CONF_KEYS_MAX]; /* line in which a key was set; 0: not yet */
    int sinks_seen[CONF_SINKS_MAX][CONF_KEYS_MAX];
    char what[CONF_REASON_SIZE];
};

static int refuse(struct reader *reader, const char *format, ...) printf_like(2, 3);

static int refuse(struct reader *reader, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(reader->what, sizeof reader->what, format, args);
    va_end(args);
    return 1;
}

/* The name of a [sink NAME]; NULL for other sections. */
static const char *sink_name(const char *section)
{
    return strncmp(section, "sink ", 5) == 0 ? section + 5 : NULL;
}

static int set_value(struct reader *reader, void *object, const struct conf_key *key, int *seen, const char *section,
                     const char *value)
{
    if (*seen)
        return refuse(reader, "%s.%s was set before, in line %d: remove one of them", section, key->key, *seen);
    *seen = reader->line;
    return conf_parse_value(object, key, value, reader->what, sizeof reader->what);
}

static int set_sink_key(struct reader *reader, const char *section, const char *name, const char *value)
{
    const struct conf_key *key = conf_find_sink_key(name);
    struct conf_sink *sink;
    int result;

    if (!key)
        return conf_refuse_sink_key(name, reader->what, sizeof reader->what);
    result = conf_take_sink(reader->conf, sink_name(section), &sink, reader->what, sizeof reader->what);
    if (result)
        return result;
    return set_value(reader, sink, key, &reader->sinks_seen[sink - reader->conf->sinks][key - conf_sink_table], section,
                     value);
}

static int set_key(struct reader *reader, const char *section, const char *name, const char *value)
{
    const struct conf_key *key = conf_find_key(section, name);

    if (sink_name(section))
        return set_sink_key(reader, section, name, value);
    if (!section[0])
        return refuse(reader, "key %.40s stands before the first [section]", name);
    if (!key)
        return conf_refuse_key(section, name, reader->what, sizeof reader->what);
    return set_value(reader, reader->conf, key, &reader->seen[key - conf_table], section, value);
}

/* inih's handler: non-zero for success. */
static int take_pair(void *arg, const char *section, const char *name, const char *value)
{
    struct reader *reader = arg;

    reader->result = set_key(reader, section, name, value);
    return reader->result == 0;
}

/* A section's line has to be "[name]" and nothing more. */
static int check_section(struct reader *reader, const char *line)
{
    char name[48];
    size_t length = strlen(line);
    struct conf_sink *sink;

    if (length < 3 || strcspn(line, "]") != length - 1)
        return refuse(reader, "a section is written [name], and nothing else stands in its line");
    (void)snprintf(name, sizeof name, "%.*s", (int)length - 2, line + 1);
    if (sink_name(name))
        return conf_take_sink(reader->conf, sink_name(name), &sink, reader->what, sizeof reader->what);
    return conf_is_section(name) ? 0 : conf_refuse_section(name, reader->what, sizeof reader->what);
}

/* `line` is stripped. Non-zero when it is refused. */
static int check_line(struct reader *reader, const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)line[i]) && line[i] != '\t')
            return refuse(reader, "the line has a control character (%d)", line[i]);
    if (!text_is_utf8(line, length))
        return refuse(reader, "the line is not UTF-8");
    if (!length || *line == '#' || *line == ';')
        return 0;
    if (*line == '[')
        return check_section(reader, line);
    if (*line == '=' || *line == ':' || !strpbrk(line, "=:"))
        return refuse(reader, "expected 'key = value', [section] or a comment");
    if (conf_has_comment(line))
        return refuse(reader, "a comment has to stand on a line of its own");
    return 0;
}

/* Reads a line without its end; what is beyond the size counts but is not kept. -1 at the end of the file. */
static int read_raw(FILE *file, char *line, int size)
{
    int c, length = 0;

    while ((c = getc(file)) != EOF && c != '\n' && length < size) {
        line[length++] = (char)c;
    }
    return c == EOF && length == 0 ? -1 : length;
}

/* inih's reader, in the manner of fgets. */
static char *read_line(char *line, int size, void *arg)
{
    struct reader *reader = arg;
    char *start = line;
    int length;

    if (reader->result != 0)
        return NULL;
    length = read_raw(reader->file, line, size - 1);
    if (length < 0)
        return NULL;
    reader->line++;
    if (length == size - 1) {
        reader->result = refuse(reader, "the line is longer than %d bytes", size - 2);
        return NULL;
    }
    if (reader->line == 1 && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) { /* byte order mark */
        start += 3;
        length -= 3;
    }
    while (length > 0 && isspace((unsigned char)start[length - 1]))
        length--;
    for (; length > 0 && isspace((unsigned char)*start); length--)
        start++;
    memmove(line, start, (size_t)length);
    line[length] = 0;
    reader->result = check_line(reader, line, (size_t)length);
    return reader->result == 0 ? line : NULL;
}

static int read_stream(struct reader *reader)
{
    int result = ini_parse_stream(read_line, reader, take_pair, reader);

    if (reader->result != 0)
        return reader->result;
    if (ferror(reader->file))
        return errno ? -errno : -EIO;
    if (result < 0)
        return -ENOMEM;
    return result > 0 ? refuse(reader, "the line cannot be understood") : 0;
}

/* The end of a path, so that the message keeps its room. */
static const char *tail_of(const char *path)
{
    size_t length = strlen(path);

    return length > 120 ? path + length - 120 : path;
}

static int refuse_file(const char *path, int error, char *reason, size_t reason_size)
{
    (void)snprintf(reason, reason_size, "%s cannot be read: %s", tail_of(path), strerror(-error));
    return error;
}

int conf_read_stream(struct conf *conf, FILE *file, const char *name, char *reason, size_t reason_size)
{
    struct reader reader = {.conf = conf, .file = file};
    int result = read_stream(&reader);

    if (result < 0)
        return refuse_file(name, result, reason, reason_size);
    if (result > 0)
        (void)snprintf(reason, reason_size, "%s:%d: %s", tail_of(name), reader.line, reader.what);
    return result;
}

int conf_read(struct conf *conf, const char *path, char *reason, size_t reason_size)
{
    cleanup_fclose FILE *file = fopen(path, "re");

    if (!file)
        return refuse_file(path, -errno, reason, reason_size);
    return conf_read_stream(conf, file, path, reason, reason_size);
}
