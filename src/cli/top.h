#ifndef TC_CLI_TOP_H
#define TC_CLI_TOP_H

#include "cli/cli.h"
#include "cli/view.h"

#include <jansson.h>

/* tcgw top: what it knows (top_data.c, no terminal) and how it looks (top.c). */

enum top_page { TOP_DEVICES, TOP_OPERATIONS, TOP_TRANSFERS, TOP_PAGE_COUNT };

/* Counters of /metrics, of which the rates are made. */
enum top_rate {
    TOP_EXCHANGES,
    TOP_FAILURES,
    TOP_TELEMETRY,
    TOP_HTTP,
    TOP_COMMITS,
    TOP_RATE_COUNT,
};

struct top_data {
    json_t *info;                  /* of /v1/info; NULL: not known */
    json_t *items[TOP_PAGE_COUNT]; /* arrays */
    double counts[TOP_RATE_COUNT]; /* as they were last */
    double rates[TOP_RATE_COUNT];  /* a second; negative: not known yet */
    unsigned presence[5];          /* online, asleep, late, offline, unknown */
    double waiting;                /* changes that wait for a commit */
    int64_t read_ms;               /* monotonic; 0: never */
    char trouble[192];             /* empty: the gateway answers */
};

extern const char *const top_presence_names[5];
extern const char *const top_rate_names[TOP_RATE_COUNT];

/* How the rows of a page look. */
const struct view *top_view(enum top_page page);

/* Asks the gateway. What it does not answer stays as it was, and trouble says why. */
void top_read(struct top_data *data, struct cli *cli);
void top_clear(struct top_data *data);

/* Sorts the rows of a page by a column (of those that stand in tables, from 0). */
void top_sort(struct top_data *data, enum top_page page, size_t column, bool descending);
size_t top_column_count(enum top_page page);
const struct field *top_column(enum top_page page, size_t column);

/* The sum of the samples of a metric in the text format of Prometheus; 0 when there is none. */
double top_metric(const char *text, const char *name);

/* All of it, for scripts: a new reference. */
json_t *top_json(const struct top_data *data);

#endif
