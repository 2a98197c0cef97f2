#ifndef TC_STORE_HISTORY_H
#define TC_STORE_HISTORY_H

#include "codec/telemetry.h"
#include "store/store.h"

/*
 * The history of telemetry. The journal's rows are the first copy of a record; they are sealed (in the background) into
 * chunks, one row for up to some thousand records of one series in the order of time, which is what queries read. A
 * query sees both. Two records of a series with the same time are one: the later arrival counts.
 */

enum history_aggregate {
    HISTORY_RAW,
    HISTORY_BUCKETS, /* min, max, mean, last, count per bucket */
};

struct history_query {
    const char *device; /* NULL: all, in the order of their ids */
    const char *name;   /* NULL: all, in the order of their names; "x*": those with the prefix */
    int64_t from, to;   /* us, from <= time < to */
    enum history_aggregate aggregate;
    int64_t bucket_us; /* HISTORY_BUCKETS; the first begins at a multiple of it since 1970 */
    uint32_t limit;    /* points at most */
    bool newest_first; /* of each series; HISTORY_RAW only */
    /* Goes on behind this point (all copied); after_device NULL: from the start. */
    const char *after_device, *after_name;
    int64_t after_time;
};

struct history_point {
    const char *device;
    struct telemetry_record record; /* RAW; of BUCKETS: name, unit, time_us (the bucket's begin) and, as record, the
                                       last value */
    uint64_t count;                 /* BUCKETS, and records that were downsampled: how many were in it */
    double min, max, mean;          /* of the numbers among them; NAN when there are none */
    int64_t last_us;                /* BUCKETS: time of the last value */
    bool downsampled;
};

struct history_page {
    size_t count;
    const struct history_point *points; /* ordered by device, name, time */
    bool more;                          /* the limit ended it */
};

/* result 0, -EIO, -ENOMEM. */
typedef void (*history_fn)(void *arg, int result, const struct history_page *page);
/* Off the loop, on a thread of its own; memory is bounded by the limit. The callback comes from store_dispatch. */
int store_query_history(struct store *store, const struct history_query *query, history_fn done, void *arg) must_check;

/* The series that there are, by (device, name): each as a point whose record is the newest one, count the number of
 * records that are kept (about), min the time of the oldest in us. Uses device, name, limit and after_* of the query.
 */
int store_list_series(struct store *store, const struct history_query *query, history_fn done, void *arg) must_check;

struct store_retention {
    int64_t journal_age_ms;     /* older entries go, unless a cursor has not passed them */
    uint64_t journal_bytes;     /* over that the oldest go, whatever the cursors say */
    int64_t raw_age_us;         /* older records are downsampled */
    int64_t downsample_us;      /* to buckets of this size; 0: they are dropped */
    int64_t downsampled_age_us; /* older buckets go */
    uint64_t telemetry_bytes;   /* of chunks; over that the oldest go, raw ones first */
};
void store_set_retention(struct store *store, const struct store_retention *retention);

struct history_stats {
    uint64_t records, downsampled, chunks, chunk_bytes, series; /* sealed */
    uint64_t unsealed;                                          /* journal rows that are not sealed yet */
    uint64_t journal_first, journal_last, journal_bytes;
    uint64_t dropped_records; /* by the limit of size, since the start */
    int64_t oldest_us;        /* time of the oldest record; 0: none */
};
void store_get_history_stats(const struct store *store, struct history_stats *out);

#endif
