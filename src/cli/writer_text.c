#include "base/text.h"
#include "cli/table.h"
#include "cli/writer.h"

#include <ctype.h>
#include <string.h>

static int64_t now_of(const struct writer *writer)
{
    return clock_wall_ms(writer->cli->clock);
}

static char *upper(const char *text)
{
    char *copy = strdup(text);

    for (char *p = copy; p && *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return copy;
}

static bool is_number(const struct field *field, const json_t *object)
{
    return field->kind >= FIELD_BYTES || json_is_number(view_at(object, field->path));
}

static void add_row(struct table *table, const struct view *view, const json_t *object, int64_t now)
{
    for (size_t i = 0; i < view->field_count; i++) {
        const struct field *field = &view->fields[i];
        char *text;

        if (!field->column)
            continue;
        text = view_text(field, object, now, false);
        table_add(table, text ? text : strdup("-"), text ? view_colour(field, object) : COLOUR_DIM,
                  is_number(field, object));
    }
}

static size_t count_columns(const struct view *view)
{
    size_t count = 0;

    for (size_t i = 0; i < view->field_count; i++)
        count += view->fields[i].column;
    return count;
}

static void write_list(struct writer *writer, const struct view *view, const json_t *list)
{
    const json_t *items = json_object_get(list, "items");
    cleanup_table struct table *table = table_new(count_columns(view));

    if (json_array_size(items) == 0) {
        (void)fprintf(writer->cli->out, "No %s.%s%s\n", view->nouns, *view->none ? " " : "", view->none);
        return;
    }
    if (!table)
        return;
    for (size_t i = 0; i < view->field_count; i++)
        if (view->fields[i].column)
            table_add(table, upper(view->fields[i].title), COLOUR_BOLD,
                      is_number(&view->fields[i], json_array_get(items, 0)));
    for (size_t i = 0; i < json_array_size(items); i++)
        add_row(table, view, json_array_get(items, i), now_of(writer));
    table_print(table, writer->cli->out, 0, writer->cli->colour_out);
}

static void add_line(struct table *table, const char *title, char *text, enum colour colour)
{
    table_add(table, strdup(title), COLOUR_BOLD, false);
    table_add(table, text, colour, false);
}

#define FLATTEN_DEPTH 4

/* The unit of a figure is the end of its name (docs/rest-api.md). */
static const struct {
    const char *end;
    enum field_kind kind;
} units[] = {{"_at", FIELD_TIME}, {"_bytes", FIELD_BYTES}, {"_ms", FIELD_MS}, {"_seconds", FIELD_SECONDS}};

/* The kind of a member by its name, and the length of the name without its unit. */
static enum field_kind kind_of(const char *name, size_t *length)
{
    *length = strlen(name);
    for (size_t i = 0; i < array_size(units); i++) {
        size_t n = strlen(units[i].end);

        if (*length > n && strcmp(name + *length - n, units[i].end) == 0) {
            *length -= n;
            return units[i].kind;
        }
    }
    return strcmp(name, "status") == 0 ? FIELD_STATE : FIELD_TEXT;
}

/* "max_free" behind "Storage" becomes "Storage max free"; names come from the gateway, so they are escaped. */
static char *title_of(const char *prefix, const char *name, size_t length)
{
    struct buffer b = {0};
    size_t size;

    if (*prefix)
        buffer_printf(&b, "%s ", prefix);
    display_append(&b, name, length, false);
    for (size_t i = 0; i < b.size; i++)
        if (b.data[i] == '_')
            b.data[i] = ' ';
    if (b.size)
        b.data[0] = (uint8_t)toupper(b.data[0]);
    return (char *)buffer_steal(&b, &size);
}

/* An object whose members are not in a table of ours (the gateway's status): all of them, in its order. */
static void add_members(const struct writer *writer, struct table *table, const json_t *object, const char *prefix,
                        unsigned depth)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        size_t length;
        struct field field = {.path = name, .kind = kind_of(name, &length)};
        cleanup_free char *title = title_of(prefix, name, length);
        char *text;

        if (!title)
            continue;
        if (json_is_object(value) && depth < FLATTEN_DEPTH) {
            add_members(writer, table, value, title, depth + 1);
            continue;
        }
        text = view_text(&field, object, now_of(writer), true);
        if (text)
            add_line(table, title, text, view_colour(&field, object));
    }
}

static void write_object(struct writer *writer, const struct view *view, const json_t *object)
{
    cleanup_table struct table *table = table_new(2);

    if (!table)
        return;
    for (size_t i = 0; i < view->field_count; i++) {
        const struct field *field = &view->fields[i];
        char *text = view_text(field, object, now_of(writer), true);

        if (text)
            add_line(table, field->title, text, view_colour(field, object));
    }
    if (view->field_count == 0)
        add_members(writer, table, object, "", 0);
    table_print(table, writer->cli->out, 0, writer->cli->colour_out);
}

static void write_outcome(struct writer *writer, const struct view *view, const json_t *object, const char *sentence)
{
    (void)view;
    (void)object;
    display_put(writer->cli->out, sentence, strlen(sentence), false);
    (void)fputc('\n', writer->cli->out);
}

static void put_line(const struct writer *writer, const char *before, const char *text, enum colour colour)
{
    FILE *err = writer->cli->err;
    bool colours = writer->cli->colour_err;

    if (!*text)
        return;
    (void)fprintf(err, "%s%s", before, display_colour(colour, colours));
    display_put(err, text, strlen(text), false);
    (void)fprintf(err, "%s\n", display_colour_end(colour, colours));
}

void writer_text_problem(struct writer *writer, const struct problem *problem)
{
    put_line(writer, "tcgw: ", problem->title, COLOUR_RED);
    put_line(writer, "  ", problem->detail, COLOUR_NONE);
    put_line(writer, "  in the request at ", problem->pointer, COLOUR_NONE);
    put_line(writer, "  ", problem->advice, COLOUR_CYAN);
    put_line(writer, "  operation ", problem->operation, COLOUR_DIM);
}

const struct writer writer_text = {
    .list = write_list, .object = write_object, .outcome = write_outcome, .problem = writer_text_problem};
