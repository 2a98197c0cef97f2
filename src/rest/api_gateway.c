#include "rest/api.h"
#include "rest/condition.h"
#include "rest/openapi.h"
#include "rest/reply.h"
#include "rest/scope.h"
#include "rest/state.h"
#include "store/store.h"

#include "config.h"

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

/* What is of the whole gateway, and not of a tenant. */
static void add_figures(const struct rest *rest, json_t *info)
{
    struct core_stats stats;

    core_get_stats(rest->options.core, &stats);
    (void)json_object_set_new(info, "counts", counts_json(&stats));
    (void)json_object_set_new(info, "storage", storage_json(rest->options.store));
    (void)json_object_set_new(
        info, "device_traffic",
        json_pack("{s:I, s:I}", "calls", (json_int_t)stats.calls, "calls_failed", (json_int_t)stats.calls_failed));
}

void api_show_info(struct http_request *req)
{
    const struct rest *rest = req->rest;
    json_t *info = json_pack("{s:s, s:s, s:I, s:o}", "name", PACKAGE_NAME, "version", PACKAGE_VERSION, "uptime_seconds",
                             (json_int_t)((uv_now(rest->options.loop) - rest->started) / 1000), "limits",
                             limits_json(&rest->options));

    if (scope_is_all(req))
        add_figures(rest, info);
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200, info);
}

void api_show_key(struct http_request *req)
{
    const struct rest *rest = req->rest;

    http_add(req, "Cache-Control", "no-cache");
    reply_json(req, 200,
               json_pack("{s:s, s:s, s:s}", "algorithm", "Ed25519", "public_key", rest->public_key_hex, "pem",
                         rest->public_key_pem));
}
