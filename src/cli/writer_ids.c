#include "cli/writer.h"

#include <string.h>

static void write_object(struct writer *writer, const struct view *view, const json_t *object)
{
    const char *id = view_string(object, view->id);

    if (!*id)
        return;
    display_put(writer->cli->out, id, strlen(id), false);
    (void)fputc('\n', writer->cli->out);
}

static void write_list(struct writer *writer, const struct view *view, const json_t *list)
{
    const json_t *items = json_object_get(list, "items");

    for (size_t i = 0; i < json_array_size(items); i++)
        write_object(writer, view, json_array_get(items, i));
}

static void write_outcome(struct writer *writer, const struct view *view, const json_t *object, const char *sentence)
{
    (void)sentence;
    write_object(writer, view, object);
}

const struct writer writer_ids = {
    .list = write_list, .object = write_object, .outcome = write_outcome, .problem = writer_text_problem};
