#include "cli/writer.h"

/* On a terminal everything but ASCII is escaped: C1 controls are legal in JSON. */
static void dump(const json_t *json, FILE *to, bool terminal)
{
    (void)json_dumpf(json, to, JSON_INDENT(2) | JSON_ENCODE_ANY | (terminal ? JSON_ENSURE_ASCII : 0));
    (void)fputc('\n', to);
}

static void write_any(struct writer *writer, const struct view *view, const json_t *object)
{
    (void)view;
    dump(object, writer->cli->out, writer->cli->out_terminal);
}

static void write_outcome(struct writer *writer, const struct view *view, const json_t *object, const char *sentence)
{
    (void)sentence;
    if (object)
        write_any(writer, view, object);
}

static void write_problem(struct writer *writer, const struct problem *problem)
{
    json_t *json = NULL;

    if (!problem->json)
        json = json_pack("{s:s, s:s, s:s, s:s}", "type", "about:blank", "title", problem->title, "detail",
                         problem->detail, "advice", problem->advice);
    dump(problem->json ? problem->json : json, writer->cli->err, writer->cli->err_terminal);
    json_decref(json);
}

const struct writer writer_json = {
    .list = write_any, .object = write_any, .outcome = write_outcome, .problem = write_problem};
