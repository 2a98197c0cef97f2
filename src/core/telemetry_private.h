#ifndef TC_CORE_TELEMETRY_PRIVATE_H
#define TC_CORE_TELEMETRY_PRIVATE_H

#include "core/internal.h"
#include "core/telemetry.h"

/* What the files of telemetry share. */

struct telemetry {
    struct core *core;
    struct list messages;             /* that are being committed */
    struct telemetry_record *records; /* of the message at hand, to be changed */
    size_t capacity;
    struct buffer pack;
    /* origins of an earlier run's messages, sorted once they are all loaded */
    uint64_t *origins;
    size_t origin_count, origin_capacity;
    struct timer forget;
    /* The disk is full: one message a second is tried. */
    bool full, probing;
    int64_t retry_at;   /* monotonic ms */
    int64_t full_since; /* wall ms */
    uint64_t key;       /* of the series' hashes */
    struct telemetry_stats stats;
};

/* Series of a device and its rate (telemetry_series.c). */

/* 0, 1 when it has to wait *retry_s seconds, or -ENOMEM. */
int telemetry_take_tokens(struct device *device, size_t count, uint32_t *retry_s) must_check;
void telemetry_return_tokens(struct device *device, size_t count); /* of a message that was refused after all */
/* All series of a message become known, or none: 1 when they would be more than the limit. */
int telemetry_add_series(struct device *device, const struct telemetry_record *records, size_t count) must_check;
void telemetry_note_series(struct device *device, const char *name); /* one that is stored */
/* A time near now that no other record of the (known) series was given. */
int64_t telemetry_assign_time(struct device *device, const char *name, int64_t now_us);

#endif
