#include "core/bodycheck.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Appends a member's name to a pointer, with ~ and / escaped (RFC 6901 section 3); what is too long is cut. */
static void extend_pointer(char out[FAULT_POINTER_SIZE], const char *pointer, const char *name)
{
    size_t n;

    (void)text_copy(out, FAULT_POINTER_SIZE - 1, pointer);
    n = strlen(out);
    out[n++] = '/';
    for (; *name && n + 3 < FAULT_POINTER_SIZE; name++) {
        if (*name == '~' || *name == '/') {
            out[n++] = '~';
            out[n++] = *name == '~' ? '0' : '1';
        } else {
            out[n++] = *name;
        }
    }
    while (n > 0 && !text_is_utf8(out, n))
        n--; /* the cut went through a character */
    out[n] = 0;
}

static const char *type_words(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction or exponent";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static int wrong_type(const json_t *value, const char *pointer, const char *wanted, struct fault *fault)
{
    return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s must be %s, not %s.", *pointer ? pointer : "The body",
                        wanted, type_words(value));
}

static int check_text(const json_t *value, const char *pointer, const struct body_rule *rule, struct fault *fault)
{
    const char *text = json_string_value(value);
    size_t size = json_string_length(value);

    if (!text)
        return wrong_type(value, pointer, "a string", fault);
    if ((int64_t)size < rule->min || (int64_t)size > rule->max)
        return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s must be %lld to %lld bytes long, not %zu.",
                            pointer, (long long)rule->min, (long long)rule->max, size);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s has a control character at byte %zu.", pointer,
                                i);
    return 0;
}

static int check_number(const json_t *value, const char *pointer, const struct body_rule *rule, struct fault *fault)
{
    int64_t number = json_integer_value(value);

    if (!json_is_integer(value))
        return wrong_type(value, pointer, "an integer", fault);
    if (number < rule->min || number > rule->max)
        return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s must be %lld to %lld, not %lld.", pointer,
                            (long long)rule->min, (long long)rule->max, (long long)number);
    return 0;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t size = strlen(text);

    while (*choices) {
        size_t n = strcspn(choices, " ");

        if (n == size && memcmp(choices, text, n) == 0)
            return true;
        choices += n;
        choices += strspn(choices, " ");
    }
    return false;
}

static int check_choice(const json_t *value, const char *pointer, const struct body_rule *rule, struct fault *fault)
{
    if (!json_is_string(value))
        return wrong_type(value, pointer, "a string", fault);
    if (!is_choice(rule->choices, json_string_value(value)))
        return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s must be one of: %s.", pointer, rule->choices);
    return 0;
}

static int check_array(const json_t *value, const char *pointer, const struct body_rule *rule, struct fault *fault)
{
    if (!json_is_array(value))
        return wrong_type(value, pointer, "an array", fault);
    if ((int64_t)json_array_size(value) > rule->max)
        return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s has %zu elements; at most %lld are taken.",
                            pointer, json_array_size(value), (long long)rule->max);
    return 0;
}

int body_check_value(const json_t *value, const char *pointer, const struct body_rule *rule, struct fault *fault)
{
    if (rule->nullable && json_is_null(value))
        return 0;
    switch (rule->type) {
    case BODY_TEXT:
        return check_text(value, pointer, rule, fault);
    case BODY_NUMBER:
        return check_number(value, pointer, rule, fault);
    case BODY_CHOICE:
        return check_choice(value, pointer, rule, fault);
    case BODY_BOOL:
        return json_is_boolean(value) ? 0 : wrong_type(value, pointer, "true or false", fault);
    case BODY_ARRAY:
        return check_array(value, pointer, rule, fault);
    case BODY_OBJECT:
        break;
    }
    return json_is_object(value) ? 0 : wrong_type(value, pointer, "an object", fault);
}

static const struct body_rule *find_rule(const struct body_rule *rules, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

int body_check(const json_t *value, const char *pointer, const struct body_rule *rules, size_t count,
               struct fault *fault)
{
    char at[FAULT_POINTER_SIZE];
    const char *name;
    json_t *member;

    if (!json_is_object(value))
        return wrong_type(value, pointer, "an object", fault);
    /* jansson's iteration takes a non-const object, and changes nothing in it. */
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        const struct body_rule *rule = find_rule(rules, count, name);

        extend_pointer(at, pointer, name);
        if (!rule)
            return fault_set_at(fault, FAULT_UNKNOWN_FIELD, at, "%s is not a field that is known here.", at);
        if (body_check_value(member, at, rule, fault))
            return 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (!rules[i].required || json_object_get(value, rules[i].name))
            continue;
        extend_pointer(at, pointer, rules[i].name);
        return fault_set_at(fault, FAULT_INVALID_FIELD, at, "%s is missing.", at);
    }
    return 0;
}

const char *body_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

int64_t body_number(const json_t *object, const char *name, int64_t fallback)
{
    const json_t *value = json_object_get(object, name);

    return json_is_integer(value) ? json_integer_value(value) : fallback;
}
