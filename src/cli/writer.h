#ifndef TC_CLI_WRITER_H
#define TC_CLI_WRITER_H

#include "cli/cli.h"
#include "cli/view.h"

#include <jansson.h>

/*
 * Where results go: tables and cards for people, the gateway's JSON for scripts, or ids alone. A command calls these
 * and does not know which it is.
 */

/* An error as RFC 9457 has it; texts that are not known are empty. */
struct problem {
    const char *title, *detail, *pointer, *advice, *operation;
    const json_t *json; /* as the gateway sent it; NULL when it arose on this side */
};

struct writer {
    struct cli *cli;
    /* {"items": [...], "next": null} */
    void (*list)(struct writer *writer, const struct view *view, const json_t *list);
    void (*object)(struct writer *writer, const struct view *view, const json_t *object);
    /* The outcome of a change: a sentence for people (escaped here), the object for scripts (may be NULL). */
    void (*outcome)(struct writer *writer, const struct view *view, const json_t *object, const char *sentence);
    void (*problem)(struct writer *writer, const struct problem *problem);
};

extern const struct writer writer_text, writer_json, writer_ids;

/* An error before or beside the writers: always text, to stderr. */
void writer_text_problem(struct writer *writer, const struct problem *problem);

#endif
