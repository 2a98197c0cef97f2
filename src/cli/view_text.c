#include "cli/view.h"

#include <string.h>

#define SHORT_DIGEST 12
#define DIGEST_DIGITS 64
#define PATH_MAX_NAME 48

const json_t *view_at(const json_t *object, const char *path)
{
    while (object) {
        size_t n = strcspn(path, ".");
        char name[PATH_MAX_NAME];

        if (n >= sizeof name)
            return NULL;
        memcpy(name, path, n);
        name[n] = 0;
        object = json_object_get(object, name);
        if (!path[n])
            return object;
        path += n + 1;
    }
    return NULL;
}

const char *view_string(const json_t *object, const char *path)
{
    const char *text = json_string_value(view_at(object, path));

    return text ? text : "";
}

static void append_value(struct buffer *b, const json_t *value);

static void append_list(struct buffer *b, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i)
            buffer_append_text(b, ", ");
        append_value(b, json_array_get(array, i));
    }
}

/* Objects never stand where plain values are expected; a gateway that sends one gets it shown as JSON. */
static void append_value(struct buffer *b, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        display_append(b, json_string_value(value), json_string_length(value), false);
        break;
    case JSON_INTEGER:
        buffer_printf(b, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        buffer_printf(b, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        buffer_append_text(b, json_is_true(value) ? "yes" : "no");
        break;
    case JSON_ARRAY:
        append_list(b, value);
        break;
    case JSON_OBJECT: {
        cleanup_free char *text = json_dumps(value, JSON_ENSURE_ASCII | JSON_ENCODE_ANY);

        display_append(b, text ? text : "", text ? strlen(text) : 0, false);
        break;
    }
    default:
        break;
    }
}

static void append_time(struct buffer *b, const json_t *value, int64_t now, bool card)
{
    char text[DISPLAY_SIZE];
    int64_t then;

    if (!json_is_string(value) || !display_parse_time(json_string_value(value), &then)) {
        append_value(b, value);
        return;
    }
    (void)display_ago(then, now, text);
    if (card)
        buffer_printf(b, "%s (%s)", json_string_value(value), text);
    else
        buffer_append_text(b, text);
}

/* "1 in from local 3": what the container opens, and what is behind it. */
static void append_endpoint(struct buffer *b, const json_t *endpoint)
{
    append_value(b, json_object_get(endpoint, "id"));
    buffer_append_text(b, ": ");
    display_append(b, view_string(endpoint, "direction"), strlen(view_string(endpoint, "direction")), false);
    buffer_append_text(b, " ");
    display_append(b, view_string(endpoint, "peer"), strlen(view_string(endpoint, "peer")), false);
    if (*view_string(endpoint, "peer_uid")) {
        buffer_append_text(b, " ");
        display_append(b, view_string(endpoint, "peer_uid"), strlen(view_string(endpoint, "peer_uid")), false);
    }
    buffer_append_text(b, " ");
    append_value(b, json_object_get(endpoint, "peer_endpoint"));
}

static void append_endpoints(struct buffer *b, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i)
            buffer_append_text(b, "; ");
        append_endpoint(b, json_array_get(array, i));
    }
}

/* "door@1.0 publisher=acme state=good; ..." */
static void append_record(struct buffer *b, json_t *object)
{
    const char *name;
    json_t *value;
    bool first = true;

    json_object_foreach(object, name, value)
    {
        if (!first && !json_is_null(value)) {
            buffer_append_text(b, " ");
            display_append(b, name, strlen(name), false);
            buffer_append_text(b, "=");
        }
        if (first && json_string_length(value) == DIGEST_DIGITS)
            display_append(b, json_string_value(value), SHORT_DIGEST, false);
        else
            append_value(b, value);
        first = false;
    }
}

static void append_records(struct buffer *b, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        buffer_append_text(b, i ? "; " : "");
        append_record(b, json_array_get(array, i));
    }
}

/* "/temp rt=temperature obs; /led": targets with their attributes. */
static void append_links(struct buffer *b, const json_t *array)
{
    const char *name;
    json_t *value;

    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *link = json_array_get(array, i);
        json_t *attributes = json_object_get(link, "attributes");

        buffer_append_text(b, i ? "; " : "");
        display_append(b, view_string(link, "target"), strlen(view_string(link, "target")), false);
        json_object_foreach(attributes, name, value)
        {
            buffer_append_text(b, " ");
            display_append(b, name, strlen(name), false);
            buffer_append_text(b, json_is_string(value) ? "=" : "");
            if (json_is_string(value))
                append_value(b, value);
        }
    }
}

static void append_number(struct buffer *b, const struct field *field, int64_t number)
{
    char text[DISPLAY_SIZE];

    if (number < 0)
        buffer_printf(b, "%lld", (long long)number);
    else if (field->kind == FIELD_BYTES)
        buffer_append_text(b, display_bytes((uint64_t)number, text));
    else if (field->kind == FIELD_SECONDS)
        buffer_append_text(b, display_duration(number * 1000, text));
    else if (field->kind == FIELD_MS && number)
        buffer_append_text(b, display_duration(number, text));
    else if (number)
        buffer_printf(b, "%lld", (long long)number);
}

static void append_field(struct buffer *b, const struct field *field, const json_t *value, int64_t now, bool card)
{
    if (field->kind == FIELD_TIME)
        append_time(b, value, now, card);
    else if (field->kind == FIELD_ENDPOINTS)
        append_endpoints(b, value);
    else if (field->kind == FIELD_RECORDS)
        append_records(b, value);
    else if (field->kind == FIELD_LINKS)
        append_links(b, value);
    else if (field->kind == FIELD_DIGEST && !card && json_is_string(value))
        display_append(b, json_string_value(value), strnlen(json_string_value(value), SHORT_DIGEST), false);
    else if (field->kind >= FIELD_BYTES && json_is_integer(value))
        append_number(b, field, json_integer_value(value));
    else
        append_value(b, value);
}

char *view_text(const struct field *field, const json_t *object, int64_t now, bool card)
{
    const json_t *value = view_at(object, field->path);
    struct buffer b = {0};
    size_t size;

    if (value)
        append_field(&b, field, value, now, card);
    if (b.size == 0) {
        buffer_clear(&b);
        return NULL;
    }
    return (char *)buffer_steal(&b, &size);
}

enum colour view_colour(const struct field *field, const json_t *object)
{
    static const struct {
        const char *state;
        enum colour colour;
    } colours[] = {
        {"running", COLOUR_GREEN}, {"succeeded", COLOUR_GREEN},   {"ok", COLOUR_GREEN},      {"failed", COLOUR_RED},
        {"expired", COLOUR_RED},   {"starting", COLOUR_YELLOW},   {"queued", COLOUR_YELLOW}, {"unknown", COLOUR_YELLOW},
        {"cancelled", COLOUR_DIM}, {"absent", COLOUR_DIM},        {"active", COLOUR_GREEN},  {"stale", COLOUR_RED},
        {"new", COLOUR_YELLOW},    {"plain", COLOUR_RED},         {"none", COLOUR_YELLOW},   {"oscore", COLOUR_GREEN},
        {"psk", COLOUR_GREEN},     {"certificate", COLOUR_GREEN}, {"up", COLOUR_GREEN},      {"waiting", COLOUR_RED},
        {"online", COLOUR_GREEN},  {"asleep", COLOUR_DIM},        {"late", COLOUR_YELLOW},   {"offline", COLOUR_RED},
    };
    const char *state = view_string(object, field->path);

    if (field->kind == FIELD_STATE)
        for (size_t i = 0; i < array_size(colours); i++)
            if (strcmp(state, colours[i].state) == 0)
                return colours[i].colour;
    return COLOUR_NONE;
}
