#include "core/selector_expression.h"

#include "base/buffer.h"
#include "core/internal.h"
#include "core/selector.h"

#include <errno.h>
#include <string.h>

struct term {
    char key[LABEL_MAX + 1];
    char *values; /* with spaces between; NULL: it asks whether there is one */
    bool negated;
};

struct expression {
    struct term terms[SELECTOR_TERMS_MAX];
    size_t count;
    char *text;
};

/* The gateway's own keys ------------------------------------------------------------------------------------------- */

#define WORDS_SIZE 160

/* A device's values of a key are words with spaces between; empty or NULL: it has none. */
typedef const char *(*words_fn)(const struct device *device, char scratch[WORDS_SIZE]);

static const char *words_id(const struct device *device, char scratch[WORDS_SIZE])
{
    (void)scratch;
    return device->id;
}

static const char *words_group(const struct device *device, char scratch[WORDS_SIZE])
{
    (void)scratch;
    return device->groups;
}

static const char *words_agent(const struct device *device, char scratch[WORDS_SIZE])
{
    (void)scratch;
    return agent_kind_name(device->agent);
}

static const char *words_version(const struct device *device, char scratch[WORDS_SIZE])
{
    (void)scratch;
    return device->agent_version;
}

static const char *words_runtime(const struct device *device, char scratch[WORDS_SIZE])
{
    size_t used = 0;

    scratch[0] = 0;
    for (unsigned type = 0; type < CONTAINER_TYPE_COUNT; type++)
        if (device->caps.runtimes >> type & 1)
            used += (size_t)snprintf(scratch + used, WORDS_SIZE - used, "%s ",
                                     container_type_name((enum container_type)type));
    return scratch;
}

static const char *words_presence(const struct device *device, char scratch[WORDS_SIZE])
{
    (void)scratch;
    return presence_state_name(core_presence(device).state);
}

static const char *words_link(const struct device *device, char scratch[WORDS_SIZE])
{
    return device_link(device, scratch, WORDS_SIZE);
}

static const struct {
    const char *key;
    words_fn words;
} own_keys[] = {
    {"id", words_id},           {"group", words_group},       {"agent", words_agent}, {"agent_version", words_version},
    {"runtime", words_runtime}, {"presence", words_presence}, {"link", words_link},
};

static words_fn find_own(const char *key)
{
    for (size_t i = 0; i < array_size(own_keys); i++)
        if (strcmp(own_keys[i].key, key) == 0)
            return own_keys[i].words;
    return NULL;
}

bool expression_names(const char *key)
{
    return find_own(key) != NULL;
}

/* Matching --------------------------------------------------------------------------------------------------------- */

static bool has_word(const char *words, const char *word, size_t size)
{
    for (; *words; words += strspn(words, " ")) {
        size_t n = strcspn(words, " ");

        if (n == size && memcmp(words, word, n) == 0)
            return true;
        words += n;
    }
    return false;
}

static bool have_common_word(const char *a, const char *b)
{
    for (; *a; a += strspn(a, " ")) {
        size_t n = strcspn(a, " ");

        if (has_word(b, a, n))
            return true;
        a += n;
    }
    return false;
}

static bool term_holds(const struct term *term, const struct device *device)
{
    words_fn own = find_own(term->key);
    char scratch[WORDS_SIZE];
    const char *words =
        own ? own(device, scratch) : json_string_value(json_object_get(device->labels, term->key)); /* NULL is fine */
    bool found = words && *words && (!term->values || have_common_word(term->values, words));

    return found != term->negated;
}

bool expression_matches(const struct expression *expression, const struct device *device)
{
    for (size_t i = 0; i < expression->count; i++)
        if (!term_holds(&expression->terms[i], device))
            return false;
    return true;
}

/* Parsing ---------------------------------------------------------------------------------------------------------- */

struct parser {
    const char *text, *at;
    const char *pointer;
    struct fault *fault;
};

static int refuse(const struct parser *p, const char *wanted)
{
    return fault_set_at(p->fault, FAULT_INVALID_FIELD, p->pointer, "At byte %zu of the expression there must be %s.",
                        (size_t)(p->at - p->text), wanted);
}

static void skip_space(struct parser *p)
{
    p->at += strspn(p->at, " \t\r\n");
}

static bool take(struct parser *p, const char *token)
{
    size_t n = strlen(token);

    if (strncmp(p->at, token, n) != 0)
        return false;
    p->at += n;
    skip_space(p);
    return true;
}

/* The bytes of a value: all that is visible and means nothing else. */
static size_t value_span(const char *text)
{
    size_t n = 0;

    while ((unsigned char)text[n] > ' ' && (unsigned char)text[n] < 0x7f && !strchr(",()=!", text[n]))
        n++;
    return n;
}

static int parse_key(struct parser *p, struct term *term)
{
    size_t n = value_span(p->at);

    if (n > LABEL_MAX)
        return refuse(p, "a key of at most 63 bytes");
    memcpy(term->key, p->at, n);
    term->key[n] = 0;
    if (!text_is_name(term->key, LABEL_MAX))
        return refuse(p, "a key: letters, digits and . _ ~ -");
    p->at += n;
    skip_space(p);
    return 0;
}

static int add_value(struct parser *p, struct buffer *values)
{
    size_t n = value_span(p->at);

    if (n == 0)
        return refuse(p, "a value");
    if (values->size)
        buffer_append_u8(values, ' ');
    buffer_append(values, p->at, n);
    p->at += n;
    skip_space(p);
    return 0;
}

static int parse_list(struct parser *p, struct buffer *values)
{
    do
        if (add_value(p, values))
            return 1;
    while (take(p, ","));
    return take(p, ")") ? 0 : refuse(p, "a comma or a parenthesis that closes the list");
}

/* "in" and "notin" are keys, too: what follows decides. */
static bool take_list(struct parser *p, const char *word)
{
    struct parser ahead = *p;

    if (!take(&ahead, word) || !take(&ahead, "("))
        return false;
    *p = ahead;
    return true;
}

static int parse_values(struct parser *p, struct term *term, struct buffer *values)
{
    bool list = take_list(p, "in");

    if (!list)
        list = term->negated = take_list(p, "notin");
    if (list)
        return parse_list(p, values);
    term->negated = take(p, "!=");
    if (term->negated || take(p, "="))
        return add_value(p, values);
    return 0;
}

static int parse_term(struct parser *p, struct term *term)
{
    cleanup_buffer struct buffer values = {.data = NULL};
    bool absent = take(p, "!");
    size_t size;
    int r = parse_key(p, term);

    if (r == 0 && !absent)
        r = parse_values(p, term, &values);
    term->negated |= absent;
    if (r == 0 && values.size) {
        term->values = (char *)buffer_steal(&values, &size);
        r = term->values ? 0 : -ENOMEM;
    }
    return r;
}

static int parse_terms(struct parser *p, struct expression *expression)
{
    skip_space(p);
    do {
        int r;

        if (expression->count == SELECTOR_TERMS_MAX)
            return refuse(p, "an end: an expression has at most 32 terms");
        r = parse_term(p, &expression->terms[expression->count++]);
        if (r)
            return r;
    } while (take(p, ","));
    return *p->at ? refuse(p, "=, !=, in (...), notin (...), a comma or the end") : 0;
}

/* Canonical text --------------------------------------------------------------------------------------------------- */

static void write_term(struct buffer *out, const struct term *term)
{
    const char *values = term->values;

    if (!values) {
        buffer_printf(out, "%s%s", term->negated ? "!" : "", term->key);
    } else if (!strchr(values, ' ')) {
        buffer_printf(out, "%s%s%s", term->key, term->negated ? "!=" : "=", values);
    } else {
        buffer_printf(out, "%s %s (", term->key, term->negated ? "notin" : "in");
        for (; *values; values++)
            buffer_append_u8(out, *values == ' ' ? ',' : (uint8_t)*values);
        buffer_append_u8(out, ')');
    }
}

static char *write_text(const struct expression *expression)
{
    cleanup_buffer struct buffer out = {.data = NULL};
    size_t size;

    for (size_t i = 0; i < expression->count; i++) {
        buffer_append_text(&out, i ? "," : "");
        write_term(&out, &expression->terms[i]);
    }
    return (char *)buffer_steal(&out, &size);
}

const char *expression_text(const struct expression *expression)
{
    return expression->text;
}

int expression_parse(struct expression **out, const char *text, const char *pointer, struct fault *fault)
{
    struct parser parser = {.text = text, .at = text, .pointer = pointer, .fault = fault};
    struct expression *expression = calloc(1, sizeof *expression);
    int r;

    if (!expression)
        return -ENOMEM;
    r = parse_terms(&parser, expression);
    if (r == 0) {
        expression->text = write_text(expression);
        r = expression->text ? 0 : -ENOMEM;
    }
    *out = r ? expression_free(expression) : expression;
    return r;
}

struct expression *expression_free(struct expression *expression)
{
    if (!expression)
        return NULL;
    for (size_t i = 0; i < expression->count; i++)
        free(expression->terms[i].values);
    free(expression->text);
    free(expression);
    return NULL;
}
