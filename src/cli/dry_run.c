#include "cli/dry_run.h"

#include "cli/gateway.h"
#include "cli/redact.h"

#include <string.h>

#define PLANS "dry_run=true"

bool dry_run_is_change(const struct client_request *request)
{
    return strcmp(request->method, "GET") != 0 && !strstr(request->path, PLANS);
}

/* What a file or another body is, in words. */
static char *body_text(const struct client_request *request)
{
    struct buffer b = {0};
    size_t size;

    for (size_t i = 0; i < request->part_count; i++)
        buffer_printf(&b, "%s%s%s%s", i ? ", " : "with ", request->parts[i].name, request->parts[i].file ? " of " : "",
                      request->parts[i].file ? request->parts[i].file : "");
    if (request->raw)
        buffer_printf(&b, "with %zu bytes%s%s", request->raw_size, request->body_type ? " of " : "",
                      request->body_type ? request->body_type : "");
    return b.size ? (char *)buffer_steal(&b, &size) : NULL;
}

void dry_run_tell(struct cli *cli, const struct client_request *request)
{
    cleanup_json json_t *body = json_deep_copy(request->body), *all = NULL;
    cleanup_free char *words = body_text(request), *text = NULL;

    redact_json(body);
    if (cli->style == CLI_STYLE_JSON) {
        all = json_pack("{s:b, s:s, s:s, s:O*, s:s*}", "dry_run", true, "method", request->method, "path",
                        request->path, "body", body, "content", words);
        cli->writer->object(cli->writer, &view_status, all);
        return;
    }
    text = body ? json_dumps(body, JSON_INDENT(2)) : NULL;
    (void)fprintf(cli->out, "Would send: %s ", request->method);
    display_put(cli->out, request->path, strlen(request->path), false);
    if (words) {
        (void)fputc(' ', cli->out);
        display_put(cli->out, words, strlen(words), false);
    }
    (void)fputc('\n', cli->out);
    if (text) {
        display_put(cli->out, text, strlen(text), true);
        (void)fputc('\n', cli->out);
    }
}

int dry_run_plan(struct cli *cli, const json_t *spec, bool *refused)
{
    cleanup_json json_t *plan = NULL, *list = NULL;
    const json_t *device;
    size_t i;
    int rc = gateway_call(cli, &(struct client_request){.method = "POST", .path = "/v1/rollouts?" PLANS, .body = spec},
                          &plan);

    if (rc)
        return rc;
    list =
        json_pack("{s:O, s:O}", "items", json_object_get(plan, "devices"), "counts", json_object_get(plan, "counts"));
    cli->writer->list(cli->writer, &view_rollout_plan, list);
    json_array_foreach(json_object_get(plan, "devices"), i, device)
    {
        if (json_is_object(json_object_get(device, "refused")))
            *refused = true;
    }
    return 0;
}

int dry_run_check(struct cli *cli, const json_t *spec)
{
    bool refused = false;
    int rc = dry_run_plan(cli, spec, &refused);

    return rc || !refused ? rc : CLI_CONFLICT;
}
