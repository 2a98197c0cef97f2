#include "codec/pack.h"
#include "store/history.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/*
 * The store's history without the gateway around it; prints JSON.
 *
 *   bare DIR SECONDS RECORDS     bare SQLite appends of single records, RECORDS of them per commit
 *   store DIR SECONDS MESSAGES   packs of ten, up to MESSAGES under way
 *   fill DIR RECORDS             as many records of SERIES series, through journal and sealing
 *   query DIR ROUNDS             a day of one series of these
 */

#define DEVICES 100
#define NAMES 5
#define SERIES (DEVICES * NAMES)
#define PACK 10
#define STEP_US INT64_C(10000000)
#define DAY_US (INT64_C(86400) * 1000000)
#define T0 (INT64_C(1764000000) * 1000000)

static double now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void require(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "bench_history: %s\n", what);
    exit(1);
}

/* Bare SQLite ------------------------------------------------------------------------------------------------------ */

static void bare(const char *directory, double seconds, unsigned long per_commit)
{
    char path[512];
    sqlite3 *db = NULL;
    sqlite3_stmt *insert = NULL;
    unsigned long count = 0;
    double begin, took = 0;

    (void)snprintf(path, sizeof path, "%s/bare.db", directory);
    require(sqlite3_open(path, &db) == SQLITE_OK &&
                sqlite3_exec(db,
                             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-2048;"
                             "CREATE TABLE record(device TEXT, name TEXT, unit TEXT, time INTEGER, value REAL)",
                             NULL, NULL, NULL) == SQLITE_OK &&
                sqlite3_prepare_v2(db, "INSERT INTO record VALUES(?, ?, ?, ?, ?)", -1, &insert, NULL) == SQLITE_OK,
            "SQLite");
    for (begin = now(); took < seconds; took = now() - begin) {
        require(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK, "BEGIN");
        for (unsigned long i = 0; i < per_commit; i++, count++) {
            (void)sqlite3_bind_text(insert, 1, "bench-17", -1, SQLITE_STATIC);
            (void)sqlite3_bind_text(insert, 2, "temp", -1, SQLITE_STATIC);
            (void)sqlite3_bind_text(insert, 3, "Cel", -1, SQLITE_STATIC);
            (void)sqlite3_bind_int64(insert, 4, T0 + (sqlite3_int64)count);
            (void)sqlite3_bind_double(insert, 5, 20 + (double)(count % 100) / 10);
            require(sqlite3_step(insert) == SQLITE_DONE, "INSERT");
            (void)sqlite3_reset(insert);
        }
        require(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "COMMIT");
    }
    (void)sqlite3_finalize(insert);
    (void)sqlite3_close(db);
    (void)unlink(path);
    printf("{\"rate\": %.0f}\n", (double)count / took);
}

/* The store -------------------------------------------------------------------------------------------------------- */

struct bench {
    struct store *store;
    char texts[DEVICES][16];
    uint64_t seq;
    unsigned long under_way, acknowledged;
};

static const char *const names[NAMES] = {"temp", "humidity", "pressure", "light", "battery"};
static const char *const units[NAMES] = {"Cel", "%RH", "hPa", "lx", "V"};

static const struct store_retention wide = {.journal_age_ms = INT64_MAX,
                                            .journal_bytes = 32 << 20,
                                            .raw_age_us = INT64_MAX,
                                            .downsampled_age_us = INT64_MAX,
                                            .telemetry_bytes = UINT64_MAX};

static void open_store(struct bench *b, const char *directory)
{
    const struct store_options options = {.directory = directory};
    char reason[256] = "";

    require(store_open(&b->store, &options, reason, sizeof reason) == 0, reason);
    store_set_retention(b->store, &wide);
    for (unsigned i = 0; i < DEVICES; i++)
        (void)snprintf(b->texts[i], sizeof b->texts[i], "bench-%u", i);
}

static void acknowledge(void *arg, int result)
{
    struct bench *b = arg;

    require(result == 0, "commit");
    b->under_way--;
    b->acknowledged++;
}

/* Readings as sensors give them: a slow wave and a little noise, in tenths. */
static double value_of(unsigned name, uint64_t n)
{
    uint64_t noise = n * UINT64_C(6364136223846793005) + name;
    int64_t wave = (int64_t)(n / 60 % 100);

    return (double)(200 + 10 * (int64_t)name + (wave > 50 ? 100 - wave : wave) + (int64_t)(noise >> 62)) / 10;
}

/* Message m: the next ten records of one series. */
static void add_message(struct bench *b, struct store_batch *batch, uint64_t m)
{
    cleanup_buffer struct buffer pack = buffer_init(0);
    unsigned series = (unsigned)(m % SERIES), name = series % NAMES;
    struct telemetry_record records[PACK];
    struct store_journal row = {.seq = ++b->seq, .time = T0 / 1000, .device = b->texts[series / NAMES], .origin = m};

    for (unsigned i = 0; i < PACK; i++) {
        uint64_t n = m / SERIES * PACK + i;

        records[i] = (struct telemetry_record){.name = names[name],
                                               .unit = units[name],
                                               .time_us = T0 + (int64_t)n * STEP_US,
                                               .kind = TELEMETRY_NUMBER,
                                               .number = value_of(name, n)};
    }
    pack_write_all(&pack, records, PACK);
    row.body = (struct store_bytes){pack.data, pack.size};
    store_batch_add_journal(batch, &row);
}

static void wait_below(struct bench *b, unsigned long messages)
{
    while (b->under_way > messages) {
        store_dispatch(b->store);
        (void)usleep(20);
    }
}

static void run_store(const char *directory, double seconds, unsigned long messages)
{
    static struct bench b;
    struct store_stats stats;
    double begin, took = 0;

    open_store(&b, directory);
    for (begin = now(); took < seconds; took = now() - begin) {
        while (b.under_way < messages) {
            struct store_batch *batch = store_batch_new();

            add_message(&b, batch, b.seq);
            b.under_way++;
            store_submit(b.store, batch, acknowledge, &b);
        }
        store_dispatch(b.store);
    }
    store_get_stats(b.store, &stats);
    printf("{\"rate\": %.0f, \"records_per_commit\": %.0f}\n", (double)b.acknowledged * PACK / took,
           (double)stats.batches * PACK / (double)stats.commits);
    wait_below(&b, 0);
    (void)store_close(b.store);
}

/* A journal that may have no size is sealed at once. */
static void seal_all(struct bench *b, struct history_stats *stats)
{
    struct store_retention retention = wide;

    retention.journal_bytes = 0;
    do {
        store_set_retention(b->store, &retention);
        (void)usleep(10000);
        store_get_history_stats(b->store, stats);
    } while (stats->unsealed > 0);
}

static void fill(const char *directory, uint64_t records)
{
    static struct bench b;
    struct history_stats stats;
    struct store_stats files;
    double begin = now();

    open_store(&b, directory);
    for (uint64_t m = 0; m < records / PACK;) {
        struct store_batch *batch = store_batch_new();

        for (int i = 0; i < 500; i++, m++)
            add_message(&b, batch, m);
        b.under_way++;
        store_submit(b.store, batch, acknowledge, &b);
        wait_below(&b, 4);
        store_get_history_stats(b.store, &stats);
        while (stats.unsealed > 50000) { /* sealing shares the processors */
            (void)usleep(1000);
            store_get_history_stats(b.store, &stats);
        }
    }
    wait_below(&b, 0);
    seal_all(&b, &stats);
    store_get_stats(b.store, &files);
    printf("{\"seconds\": %.1f, \"records\": %llu, \"chunks\": %llu, \"bytes_per_record\": %.2f, "
           "\"file_bytes_per_record\": %.2f}\n",
           now() - begin, (unsigned long long)stats.records, (unsigned long long)stats.chunks,
           (double)stats.chunk_bytes / (double)stats.records, (double)files.file_bytes / (double)records);
    (void)store_close(b.store);
}

/* Queries ---------------------------------------------------------------------------------------------------------- */

struct answer {
    bool done;
    size_t count;
    double sum;
};

static void take(void *arg, int result, const struct history_page *page)
{
    struct answer *answer = arg;

    require(result == 0 && !page->more, "query");
    for (size_t i = 0; i < page->count; i++)
        answer->sum += page->points[i].record.number;
    answer->count = page->count;
    answer->done = true;
}

static double ask(struct bench *b, const struct history_query *query, size_t *count)
{
    struct answer answer = {0};
    double begin = now();

    require(store_query_history(b->store, query, take, &answer) == 0, "query");
    while (!answer.done)
        store_dispatch(b->store);
    *count = answer.count;
    return now() - begin;
}

/* As many bytes of the database file as the day's chunks have, from where they are not contiguous: from its middle. */
static double read_file(const char *directory, size_t size)
{
    char path[512];
    cleanup_free char *bytes = malloc(size);
    cleanup_fclose FILE *file = NULL;
    double begin;
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/tcgw.db", directory);
    begin = now();
    file = fopen(path, "r");
    require(file && bytes && fstat(fileno(file), &st) == 0 && fseek(file, st.st_size / 2, SEEK_SET) == 0 &&
                fread(bytes, 1, size, file) == size,
            "file");
    return now() - begin;
}

static void print_list(const char *name, const double *values, unsigned count)
{
    printf("\"%s\": [", name);
    for (unsigned i = 0; i < count; i++)
        printf("%s%.1f", i ? ", " : "", values[i] * 1e6);
    printf("]");
}

static void query(const char *directory, unsigned rounds)
{
    static struct bench b;
    struct history_stats stats;
    double times[3][100];
    size_t count = 0, buckets, size;

    open_store(&b, directory);
    store_get_history_stats(b.store, &stats);
    require(stats.records > 0, "nothing is stored");
    for (unsigned i = 0; i < rounds && i < array_size(times[0]); i++) {
        struct history_query day = {.device = b.texts[(i * 37) % DEVICES],
                                    .name = names[i % NAMES],
                                    .from = T0 + DAY_US * (1 + i % 8),
                                    .limit = 100000};

        day.to = day.from + DAY_US;
        times[0][i] = ask(&b, &day, &count);
        day.aggregate = HISTORY_BUCKETS;
        day.bucket_us = DAY_US / 288;
        times[1][i] = ask(&b, &day, &buckets);
        size = (size_t)((double)count * (double)stats.chunk_bytes / (double)stats.records);
        times[2][i] = read_file(directory, size);
    }
    printf("{\"points\": %zu, \"buckets\": %zu, \"stored_bytes\": %.0f, ", count, buckets,
           (double)count * (double)stats.chunk_bytes / (double)stats.records);
    print_list("raw_us", times[0], rounds);
    printf(", ");
    print_list("buckets_us", times[1], rounds);
    printf(", ");
    print_list("file_us", times[2], rounds);
    printf(", \"records\": %llu, \"bytes_per_record\": %.2f}\n", (unsigned long long)stats.records,
           (double)stats.chunk_bytes / (double)stats.records);
    (void)store_close(b.store);
}

int main(int argc, char **argv)
{
    const char *what = argc > 3 ? argv[1] : "";

    if (argc == 5 && strcmp(what, "bare") == 0)
        bare(argv[2], strtod(argv[3], NULL), strtoul(argv[4], NULL, 10));
    else if (argc == 5 && strcmp(what, "store") == 0)
        run_store(argv[2], strtod(argv[3], NULL), strtoul(argv[4], NULL, 10));
    else if (argc == 4 && strcmp(what, "fill") == 0)
        fill(argv[2], strtoull(argv[3], NULL, 10));
    else if (argc == 4 && strcmp(what, "query") == 0)
        query(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    else
        return 2;
    return 0;
}
