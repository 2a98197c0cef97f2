#include "history_fixture.h"

#include "codec/pack.h"

#include <check.h>
#include <string.h>

const struct store_retention history_wide = {.journal_age_ms = INT64_MAX,
                                             .journal_bytes = UINT64_MAX,
                                             .raw_age_us = INT64_MAX,
                                             .downsample_us = 3600000000,
                                             .downsampled_age_us = INT64_MAX,
                                             .telemetry_bytes = UINT64_MAX};

struct telemetry_record history_number(const char *name, int64_t time_us, double value)
{
    return (struct telemetry_record){
        .name = name, .unit = "Cel", .time_us = time_us, .kind = TELEMETRY_NUMBER, .number = value};
}

void history_add(struct store_batch *batch, uint64_t *seq, const char *device, const struct telemetry_record *records,
                 size_t count)
{
    cleanup_buffer struct buffer pack = buffer_init(0);
    struct store_journal row = {.seq = ++*seq, .time = 1, .kind = STORE_JOURNAL_TELEMETRY, .device = device};

    pack_write_all(&pack, records, count);
    row.body = (struct store_bytes){pack.data, pack.size};
    store_batch_add_journal(batch, &row);
}

void history_put(struct fixture *f, uint64_t *seq, const char *device, const struct telemetry_record *records,
                 size_t count)
{
    struct store_batch *batch = store_batch_new();

    history_add(batch, seq, device, records, count);
    ck_assert_int_eq(fixture_commit(f, batch), 0);
}

void history_wait(struct fixture *f, bool (*is_true)(const struct history_stats *stats))
{
    struct history_stats stats;

    for (int i = 0; i < 20000; i++) {
        store_get_history_stats(f->store, &stats);
        if (is_true(&stats))
            return;
        (void)usleep(500);
    }
    ck_abort_msg("it does not come: unsealed %llu, journal %llu to %llu with %llu bytes, records %llu, downsampled "
                 "%llu, chunk bytes %llu",
                 (unsigned long long)stats.unsealed, (unsigned long long)stats.journal_first,
                 (unsigned long long)stats.journal_last, (unsigned long long)stats.journal_bytes,
                 (unsigned long long)stats.records, (unsigned long long)stats.downsampled,
                 (unsigned long long)stats.chunk_bytes);
}

static bool is_sealed(const struct history_stats *stats)
{
    return stats->unsealed == 0 && stats->journal_first == stats->journal_last;
}

void history_seal_all(struct fixture *f)
{
    struct store_retention retention = history_wide;

    retention.journal_bytes = 0;
    store_set_retention(f->store, &retention);
    history_wait(f, is_sealed);
    store_set_retention(f->store, &history_wide);
}

static void *copy_of(const void *data, size_t size)
{
    void *copy = malloc(size ? size : 1);

    return size ? memcpy(copy, data, size) : copy;
}

static void note_answer(void *arg, int result, const struct history_page *page)
{
    struct history_answer *answer = arg;

    answer->result = result;
    answer->done = true;
    answer->more = page->more;
    answer->count = page->count;
    answer->points = copy_of(page->points, page->count * sizeof *page->points);
    for (size_t i = 0; i < page->count; i++) {
        struct history_point *point = &answer->points[i];

        point->device = strdup(point->device);
        point->record.name = strdup(point->record.name);
        point->record.unit = strdup(point->record.unit);
        point->record.bytes = copy_of(point->record.bytes, point->record.size);
    }
}

struct history_answer history_ask(struct fixture *f, const struct history_query *query, bool list)
{
    struct history_answer answer = {0};

    if (list)
        ck_assert_int_eq(store_list_series(f->store, query, note_answer, &answer), 0);
    else
        ck_assert_int_eq(store_query_history(f->store, query, note_answer, &answer), 0);
    for (int i = 0; i < 100000 && !answer.done; i++) {
        (void)usleep(100);
        store_dispatch(f->store);
    }
    ck_assert(answer.done);
    ck_assert_int_eq(answer.result, 0);
    return answer;
}

void history_answer_free(struct history_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        free((void *)(uintptr_t)answer->points[i].device);
        free((void *)(uintptr_t)answer->points[i].record.name);
        free((void *)(uintptr_t)answer->points[i].record.unit);
        free((void *)(uintptr_t)answer->points[i].record.bytes);
    }
    free(answer->points);
    *answer = (struct history_answer){0};
}

size_t history_count(struct fixture *f, struct history_query query)
{
    struct history_answer answer;
    size_t count;

    query.limit = UINT32_MAX;
    answer = history_ask(f, &query, false);
    count = answer.count;
    ck_assert(!answer.more);
    history_answer_free(&answer);
    return count;
}
