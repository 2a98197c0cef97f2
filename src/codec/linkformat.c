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

/* Takes one ";name", ";name=token" or ";name="..."". Returns what follows; NULL when it is malformed. */
static const char *take_attribute(const char *at, const char *end, struct linkformat_attribute *out)
{
    *out = (struct linkformat_attribute){.name = ++at};
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
    struct linkformat_attribute ignored;

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

bool linkformat_next_attribute(const struct linkformat_link *link, const char **at, struct linkformat_attribute *out)
{
    if (!*at)
        *at = link->attributes;
    if (!*at || *at >= link->attributes_end)
        return false;
    *at = take_attribute(*at, link->attributes_end, out);
    return *at != NULL;
}

static bool find_attribute(const struct linkformat_link *link, const char *name, size_t name_size,
                           struct linkformat_value *value)
{
    struct linkformat_attribute attribute;
    const char *at = NULL;

    while (linkformat_next_attribute(link, &at, &attribute))
        if (attribute.name_size == name_size && memcmp(attribute.name, name, name_size) == 0) {
            *value = attribute.value;
            return true;
        }
    return false;
}

bool linkformat_get(const struct linkformat_link *link, const char *name, struct linkformat_value *value)
{
    return find_attribute(link, name, strlen(name), value);
}

bool linkformat_value_is(const struct linkformat_value *value, const struct linkformat_value *wanted)
{
    size_t size = wanted->size;

    if (size && wanted->text[size - 1] == '*')
        return value->size >= size - 1 && memcmp(value->text, wanted->text, size - 1) == 0;
    return value->size == size && memcmp(value->text, wanted->text, size) == 0;
}

/* One of the items of a list that is divided by spaces (section 3.1). */
static bool has_item(const struct linkformat_value *list, const struct linkformat_value *wanted)
{
    const char *end = list->text + list->size;
    size_t n;

    for (const char *at = list->text; at < end; at += n + 1) {
        const char *space = memchr(at, ' ', (size_t)(end - at));

        n = (size_t)((space ? space : end) - at);
        if (linkformat_value_is(&(struct linkformat_value){at, n}, wanted))
            return true;
    }
    return false;
}

bool linkformat_has(const struct linkformat_link *link, const char *name, const char *item)
{
    struct linkformat_value value, wanted = {item, strlen(item)};

    return linkformat_get(link, name, &value) && has_item(&value, &wanted);
}

static bool is_list(const char *name, size_t size)
{
    return (size == 2 && (memcmp(name, "rt", 2) == 0 || memcmp(name, "if", 2) == 0)) ||
           (size == 3 && memcmp(name, "rel", 3) == 0);
}

bool linkformat_matches(const struct linkformat_link *link, const char *name, size_t name_size,
                        const struct linkformat_value *wanted)
{
    struct linkformat_value value;

    if (!find_attribute(link, name, name_size, &value))
        return false;
    if (!wanted)
        return true;
    return is_list(name, name_size) ? has_item(&value, wanted) : linkformat_value_is(&value, wanted);
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
