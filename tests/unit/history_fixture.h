#ifndef TC_TESTS_HISTORY_FIXTURE_H
#define TC_TESTS_HISTORY_FIXTURE_H

#include "store/history.h"
#include "store_fixture.h"

/* What the tests of the history share. */

/* Limits so wide that nothing goes. */
extern const struct store_retention history_wide;

/* Adds a message to a batch; numbers come from *seq. */
void history_add(struct store_batch *batch, uint64_t *seq, const char *device, const struct telemetry_record *records,
                 size_t count);
/* Commits a message. */
void history_put(struct fixture *f, uint64_t *seq, const char *device, const struct telemetry_record *records,
                 size_t count);
struct telemetry_record history_number(const char *name, int64_t time_us, double value);

/* Makes the journal's entries chunks, and waits for it (entries but the last go with it). */
void history_seal_all(struct fixture *f);
/* Waits until the figures fulfil the condition. */
void history_wait(struct fixture *f, bool (*is_true)(const struct history_stats *stats));

/* A query's answer; texts are copied. */
struct history_answer {
    int result;
    bool done, more;
    size_t count;
    struct history_point *points;
};
struct history_answer history_ask(struct fixture *f, const struct history_query *query, bool list);
void history_answer_free(struct history_answer *answer);
/* How many points a query has in all. */
size_t history_count(struct fixture *f, struct history_query query);

#endif
