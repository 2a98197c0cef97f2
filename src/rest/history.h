#ifndef TC_REST_HISTORY_H
#define TC_REST_HISTORY_H

#include "core/core.h"
#include "core/telemetry.h"
#include "rest/http.h"

/* Questions about the history of telemetry, as HTTP says them, and their answers as text. */

enum history_format { HISTORY_JSON, HISTORY_CSV, HISTORY_SENML_JSON, HISTORY_SENML_CBOR };

enum history_column { /* bits of history_question.columns */
                      HISTORY_COUNT = 1,
                      HISTORY_MIN = 2,
                      HISTORY_MAX = 4,
                      HISTORY_MEAN = 8,
                      HISTORY_LAST = 16,
};

#define HISTORY_LIMIT_MAX 1000
#define HISTORY_LIMIT_DEFAULT 100

struct history_question {
    struct history_query query;
    unsigned columns; /* of buckets */
    enum history_format format;
    char device[CORE_ID_MAX + 1], name[TELEMETRY_NAME_MAX + 1]; /* of the cursor */
};

/* Reads the query's name, from, to, cursor, limit, order, aggregate and bucket, those that the route takes, and Accept.
 * `device` (NULL: all) and what points into the request must outlive the question. 0, or 1 with a fault. */
int history_read(const struct http_request *req, const char *device, struct history_question *out,
                 struct fault *fault) must_check;

/* "5m", "1h30m", "500ms": milliseconds. False when it is none, or over 100 years. */
bool history_parse_duration(const char *text, int64_t *ms);
/* RFC 3339, "now", or "-1h" before now_us, "+1h" after it: microseconds. */
bool history_parse_time(const char *text, int64_t now_us, int64_t *us);

/* What goes on behind a point; out has HISTORY_CURSOR_SIZE bytes. */
#define HISTORY_CURSOR_SIZE (2 * (CORE_ID_MAX + TELEMETRY_NAME_MAX + 32) + 1)
char *history_format_cursor(const struct history_point *point, char *out);
/* Into the question's query. False when it is none of these. */
bool history_parse_cursor(const char *text, struct history_question *out);

/* Media type of a format, as it is answered. */
const char *history_media_type(enum history_format format);
/* Appends the points as a whole document; errors are sticky in out. */
void history_write(struct buffer *out, const struct history_question *question, const struct history_page *page);
/* The same for a page of series. */
void history_write_series(struct buffer *out, const struct history_page *page);

#endif
