#include "rest/api.h"
#include "rest/condition.h"
#include "rest/openapi.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "store/store.h"

#include "config.h"

#define STUCK_MS 15000 /* a batch that is not committed for so long means that the store hangs */

/* The store works when commits go on, or none is due, and the last one that ended was no failure. */
static const char *find_trouble(struct rest *rest)
{
    uint64_t now = uv_now(rest->options.loop);
    struct store_stats stats;

    store_get_stats(rest->options.store, &stats);
    if (stats.commits != rest->health.commits || stats.pending == 0)
        rest->health.since = now;
    if (stats.failed_commits != rest->health.failed_commits)
        rest->health.failing = true;
    else if (stats.commits != rest->health.commits)
        rest->health.failing = false;
    rest->health.commits = stats.commits;
    rest->health.failed_commits = stats.failed_commits;
    if (rest->health.failing)
        return "The last change could not be written to the database";
    if (now - rest->health.since > STUCK_MS)
        return "The database does not take changes";
    return rest->closing ? "The gateway is stopping" : NULL;
}

/* Writes a row and takes it away again, so that a store that has recovered is seen to work without anybody's change. */
static void try_store(struct store *store)
{
    static const struct store_answer trial = {.key = "", .digest = "", .body = "", .created = 0};
    struct store_batch *batch;
    struct store_stats stats;

    store_get_stats(store, &stats);
    if (stats.pending > 0)
        return; /* what waits is trial enough */
    batch = store_batch_new();
    if (!batch)
        return;
    store_batch_put_answer(batch, &trial);
    store_batch_delete_answers_before(batch, 1);
    store_submit(store, batch, NULL, NULL);
}

void api_show_health(struct http_request *req)
{
    static const char fine[] = "{\"status\":\"ok\"}";
    const char *trouble = find_trouble(req->rest);

    http_add(req, "Cache-Control", "no-store");
    if (req->rest->health.failing && !req->rest->closing)
        try_store(req->rest->options.store);
    if (trouble)
        reply_json(req, 503, json_pack("{s:s, s:s}", "status", "failing", "detail", trouble));
    else
        reply_text(req, 200, fine, sizeof fine - 1);
}

void api_show_openapi(struct http_request *req)
{
    http_add(req, "Cache-Control", "no-cache");
    http_add(req, "ETag", openapi_tag);
    if (condition_is_current(req, openapi_tag)) {
        reply_empty(req, 304);
        return;
    }
    reply_static(req, HTTP_JSON, openapi_json, openapi_json_size);
}

static json_t *limits_json(const struct rest_options *options)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "connections", (json_int_t)options->max_connections, "json_bytes",
                     (json_int_t)options->max_json_bytes, "artifact_bytes", (json_int_t)options->max_artifact_bytes,
                     "wait_seconds", (json_int_t)options->max_wait_s);
}

static json_t *counts_json(const struct core_stats *stats)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "devices", (json_int_t)stats->devices, "artifacts",
                     (json_int_t)stats->artifacts, "containers", (json_int_t)stats->containers, "operations_unfinished",
                     (json_int_t)stats->operations_unfinished, "operations_kept", (json_int_t)stats->operations_kept);
}

static json_t *storage_json(struct store *store)
{
    struct store_stats stats;

    store_get_stats(store, &stats);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:i}", "file_bytes", (json_int_t)stats.file_bytes, "batches",
                     (json_int_t)stats.batches, "commits", (json_int_t)stats.commits, "failed_commits",
                     (json_int_t)stats.failed_commits, "pending", (json_int_t)stats.pending, "schema_version",
                     stats.schema_version);
}

void api_show_info(struct http_request *req)
{
    struct rest *rest = req->rest;
    struct core_stats stats;

    core_get_stats(rest->options.core, &stats);
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200,
               json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:{s:I, s:I}}", "name", PACKAGE_NAME, "version",
                         PACKAGE_VERSION, "uptime_seconds",
                         (json_int_t)((uv_now(rest->options.loop) - rest->started) / 1000), "counts",
                         counts_json(&stats), "limits", limits_json(&rest->options), "storage",
                         storage_json(rest->options.store), "device_traffic", "calls", (json_int_t)stats.calls,
                         "calls_failed", (json_int_t)stats.calls_failed));
}

void api_show_key(struct http_request *req)
{
    const struct rest *rest = req->rest;

    http_add(req, "Cache-Control", "no-cache");
    reply_json(req, 200,
               json_pack("{s:s, s:s, s:s}", "algorithm", "Ed25519", "public_key", rest->public_key_hex, "pem",
                         rest->public_key_pem));
}
