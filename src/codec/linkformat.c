#include "codec/linkformat.h"

#include <string.h>

/* What may stand in an attribute's name, and unquoted in its value (ptoken, RFC 6690 section 2). */
static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$&+-.^_`|~*", c));
}

static bool is_token_char(char c)
{
    return is_name_char(c) || (c && strchr("%'()/:<=>?@[]{}", c));
}

struct linkformat linkformat_init(const void *data, size_t size)
{
    const char *text = size ? data : "";

    return (struct linkformat){text, text + size};
}

static const char *take_while(const char *at, const char *end, bool (*accept)(char))
{
    while (at < end && accept(*at))
        at++;
    return at;
}

/* Behind a quoted string that begins at `at`; NULL when it does not end. */
static const char *take_quoted(const char *at, const char *end, struct linkformat_value *value)
{
    value->text = ++at;
    for (; at < end && *at != '"'; at++)
        if (*at == '\\' && ++at == end)
            return NULL;
    if (at >= end)
        return NULL;
    value->size = (size_t)(at - value->text);
    return at + 1;
}

struct attribute {
    const char *name;
    size_t name_size;
    struct linkformat_value value;
};

/* Takes one ";name", ";name=token" or ";name="..."". Returns what follows; NULL when it is malformed. */
static const char *take_attribute(const char *at, const char *end, struct attribute *out)
{
    *out = (struct attribute){.name = ++at};
    at = take_while(at, end, is_name_char);
    out->name_size = (size_t)(at - out->name);
    out->value.text = at;
    if (out->name_size == 0 || at == end || *at != '=')
        return out->name_size ? at : NULL;
    if (++at < end && *at == '"')
        return take_quoted(at, end, &out->value);
    out->value.text = at;
    at = take_while(at, end, is_token_char);
    out->value.size = (size_t)(at - out->value.text);
    return out->value.size ? at : NULL;
}

static bool is_target_char(char c)
{
    return c != '>' && (unsigned char)c > ' ' && c != 0x7f && c != '<' && c != '"';
}

/* Takes "<target>" and its attributes. Returns what follows; NULL when it is malformed. */
static const char *take_link(const char *at, const char *end, struct linkformat_link *link)
{
    struct attribute ignored;

    if (at == end || *at != '<')
        return NULL;
    link->target = ++at;
    at = take_while(at, end, is_target_char);
    link->target_size = (size_t)(at - link->target);
    if (at == end || *at != '>')
        return NULL;
    link->attributes = ++at;
    while (at && at < end && *at == ';')
        at = take_attribute(at, end, &ignored);
    link->attributes_end = at;
    return at;
}

int linkformat_next(struct linkformat *lf, struct linkformat_link *link)
{
    const char *at = lf->at;

    *link = (struct linkformat_link){0};
    if (at && at == lf->end)
        return 1;
    if (at)
        at = take_link(at, lf->end, link);
    /* a comma stands between links, never behind the last one */
    if (at && at < lf->end && (*at != ',' || ++at == lf->end))
        at = NULL;
    lf->at = at;
    return at ? 0 : 2;
}

bool linkformat_get(const struct linkformat_link *link, const char *name, struct linkformat_value *value)
{
    struct attribute attribute;

    for (const char *at = link->attributes; at && at < link->attributes_end;) {
        at = take_attribute(at, link->attributes_end, &attribute);
        if (at && attribute.name_size == strlen(name) && memcmp(attribute.name, name, attribute.name_size) == 0) {
            *value = attribute.value;
            return true;
        }
    }
    return false;
}

bool linkformat_has(const struct linkformat_link *link, const char *name, const char *item)
{
    struct linkformat_value value;
    size_t length = strlen(item), n;

    if (!linkformat_get(link, name, &value))
        return false;
    for (const char *at = value.text, *end = at + value.size; at < end; at += n + 1) {
        const char *space = memchr(at, ' ', (size_t)(end - at));

        n = (size_t)((space ? space : end) - at);
        if (n == length && memcmp(at, item, n) == 0)
            return true;
    }
    return false;
}

bool linkformat_get_uint(const struct linkformat_link *link, const char *name, uint32_t *value)
{
    struct linkformat_value text;
    uint64_t number = 0;

    if (!linkformat_get(link, name, &text) || text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.text[i] < '0' || text.text[i] > '9')
            return false;
        number = 10 * number + (uint64_t)(text.text[i] - '0');
        if (number > UINT32_MAX)
            return false;
    }
    *value = (uint32_t)number;
    return true;
}

bool linkformat_target_is(const struct linkformat_link *link, const char *target)
{
    return link->target_size == strlen(target) && memcmp(link->target, target, link->target_size) == 0;
}

void linkformat_put(struct buffer *out, const char *target)
{
    buffer_printf(out, "%s<%s>", out->size ? "," : "", target);
}

void linkformat_put_text(struct buffer *out, const char *name, const char *value)
{
    buffer_printf(out, ";%s=\"%s\"", name, value);
}

void linkformat_put_uint(struct buffer *out, const char *name, uint32_t value)
{
    buffer_printf(out, ";%s=%u", name, (unsigned)value);
}

void linkformat_put_flag(struct buffer *out, const char *name)
{
    buffer_printf(out, ";%s", name);
}
