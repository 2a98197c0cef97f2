#include "config.h"

#include "cli/redact.h"

#include "base/text.h"
#include "cli/display.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define LINE_MOST 65536
#define LEAST_SECRET 6 /* bytes; less would take too much away with it */

/* By what a name is called, and not where it only says where the secret is. */
static bool is_secret_name(const char *name, size_t n)
{
    static const char *const parts[] = {"password", "passwd", "secret", "token", "private_key", "credential", "psk"};
    static const char *const harmless[] = {"_file", "_id", "_at", "_key_file", "path"};
    char lower[64];

    if (n == 0 || n >= sizeof lower)
        return false;
    for (size_t i = 0; i < n; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    lower[n] = 0;
    for (size_t i = 0; i < array_size(harmless); i++) {
        size_t m = strlen(harmless[i]);

        if (n >= m && strcmp(lower + n - m, harmless[i]) == 0)
            return false;
    }
    for (size_t i = 0; i < array_size(parts); i++)
        if (strstr(lower, parts[i]))
            return true;
    return false;
}

void redact_json(json_t *json)
{
    const char *name;
    json_t *value;
    size_t i;

    json_array_foreach(json, i, value)
    {
        redact_json(value);
    }
    json_object_foreach(json, name, value)
    {
        if (json_is_string(value) && is_secret_name(name, strlen(name)))
            (void)json_object_set_new(json, name, json_string(REDACT_MARK));
        else
            redact_json(value);
    }
}

/* Texts ------------------------------------------------------------------------------------------------------------ */

static const char *find(const char *at, const char *end, const char *what)
{
    size_t n = strlen(what);

    for (; (size_t)(end - at) >= n; at++)
        if (strncasecmp(at, what, n) == 0)
            return at;
    return NULL;
}

/* The name before "=" or ":" in a line; its value begins at the result. NULL: it is no such line. */
static const char *secret_value(const char *line, const char *end)
{
    const char *name = line, *at;

    while (name < end && (isspace((unsigned char)*name) || *name == '"'))
        name++;
    for (at = name; at < end && (isalnum((unsigned char)*at) || *at == '_' || *at == '-' || *at == '.');)
        at++;
    if (!is_secret_name(name, (size_t)(at - name)))
        return NULL;
    while (at < end && (*at == '"' || *at == ' ' || *at == '\t'))
        at++;
    return at < end && (*at == '=' || *at == ':') ? at + 1 : NULL;
}

/* "://user:password@" */
static const char *find_userinfo(const char *at, const char *end, const char **stop)
{
    while ((at = find(at, end, "://"))) {
        const char *p = at + 3;

        while (p < end && !strchr("/@?# \t\"'<>", *p))
            p++;
        if (p < end && *p == '@') {
            *stop = p;
            return at + 3;
        }
        at += 3;
    }
    return NULL;
}

static const char *find_bearer(const char *at, const char *end, const char **stop)
{
    static const char *const words[] = {"Bearer ", "Basic "};

    for (size_t i = 0; i < array_size(words); i++) {
        const char *found = find(at, end, words[i]);
        const char *p = found ? found + strlen(words[i]) : NULL;

        if (!p)
            continue;
        *stop = p;
        while (*stop < end && !isspace((unsigned char)**stop) && !strchr("\"',;", **stop))
            (*stop)++;
        if (*stop > p)
            return p;
    }
    return NULL;
}

/* The first secret of a line, which ends at *stop; NULL: it has none. */
static const char *find_secret(const char *line, const char *end, const char **stop)
{
    const char *at = secret_value(line, end);

    *stop = end;
    if (!at)
        at = find_bearer(line, end, stop);
    return at ? at : find_userinfo(line, end, stop);
}

/* What is too long to be looked at is cut off. */
static void put_line(struct buffer *out, const char *line, const char *end)
{
    bool cut = end - line > LINE_MOST;
    const char *at, *stop;

    if (cut)
        end = line + LINE_MOST;
    while ((at = find_secret(line, end, &stop))) {
        display_append(out, line, (size_t)(at - line), true);
        buffer_append_text(out, REDACT_MARK);
        line = stop;
    }
    display_append(out, line, (size_t)(end - line), true);
    if (cut)
        buffer_append_text(out, REDACT_MARK);
}

struct buffer redact_text(const char *text, size_t size)
{
    const char *end = text + size;
    struct buffer out = {0};
    bool in_key = false;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;

        if (find(text, stop, "-----BEGIN ") && find(text, stop, "PRIVATE KEY-----")) {
            in_key = true;
            buffer_append_text(&out, REDACT_MARK);
        } else if (!in_key) {
            put_line(&out, text, stop);
        }
        if (in_key && find(text, stop, "-----END ")) /* also where a log has it in one line */
            in_key = false;
        if (!in_key && newline)
            buffer_append_u8(&out, '\n');
        text = newline ? newline + 1 : end;
    }
    return out;
}

/* Secrets that are known ------------------------------------------------------------------------------------------- */

static void remove_all(struct buffer *text, const char *what, size_t size)
{
    struct buffer out = {.limit = text->limit};
    const char *at = buffer_text(text), *end = at + text->size, *found;
    bool any = false;

    while ((found = memmem(at, (size_t)(end - at), what, size))) {
        buffer_append(&out, at, (size_t)(found - at));
        buffer_append_text(&out, REDACT_MARK);
        at = found + size;
        any = true;
    }
    if (!any)
        return;
    buffer_append(&out, at, (size_t)(end - at));
    buffer_clear(text);
    *text = out;
}

void redact_secret(struct buffer *text, const void *secret, size_t size)
{
    const char *bytes = secret;
    char hex[2 * 256 + 1];

    while (size && isspace((unsigned char)bytes[size - 1]))
        size--;
    if (size < LEAST_SECRET || size > 256)
        return;
    remove_all(text, bytes, size);
    remove_all(text, text_hex(bytes, size, hex), 2 * size);
}
