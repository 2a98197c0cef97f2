#include "base/log.h"
#include "rest/api.h"
#include "rest/reply.h"
#include "rest/state.h"

/* How much each part of the gateway writes to the log, until the next start. */

static json_t *levels_json(void)
{
    json_t *parts = json_object();

    for (unsigned part = 0; part < LOG_PART_AGENT; part++) {
        enum log_level own = log_get_part((enum log_part)part);

        (void)json_object_set_new(parts, log_part_name((enum log_part)part),
                                  own ? json_string(log_level_name(own)) : json_null());
    }
    return json_pack("{s:s, s:o}", "default", log_level_name(log_get_level()), "parts", parts);
}

void api_show_log_levels(struct http_request *req)
{
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200, levels_json());
}

/* null is the default's; 0. */
static int read_level(const char *name, const json_t *value, enum log_level *level, struct fault *fault)
{
    const char *text = json_string_value(value);

    *level = 0;
    if (json_is_null(value) || (text && log_level_from_name(text, level)))
        return 0;
    return fault_set_at(fault, FAULT_INVALID_FIELD, "/parts",
                        "The level of %.40s has to be error, warning, info, debug or null", name);
}

static int read_levels(const json_t *body, enum log_level levels[LOG_PART_AGENT], struct fault *fault)
{
    json_t *parts = json_object_get(body, "parts"), *value;
    enum log_part part;
    const char *name;

    if (json_object_size(body) != 1 || !json_is_object(parts))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/parts", "The body has to be {\"parts\": {...}}");
    json_object_foreach(parts, name, value)
    {
        if (!log_part_from_name(name, &part) || part >= LOG_PART_AGENT)
            return fault_set_at(fault, FAULT_UNKNOWN_FIELD, "/parts", "There is no part '%.40s'", name);
        if (read_level(name, value, &levels[part], fault))
            return 1;
    }
    return 0;
}

/* All parts: those that are not named have the default's. */
void api_put_log_levels(struct http_request *req)
{
    enum log_level levels[LOG_PART_AGENT] = {0};
    struct fault fault = {.code = FAULT_NONE};
    const struct rest_options *options = &req->rest->options;

    if (read_levels(req->json, levels, &fault)) {
        reply_fault(req, &fault);
        return;
    }
    for (unsigned part = 0; part < LOG_PART_AGENT; part++)
        log_set_part((enum log_part)part, levels[part]);
    log_info("log levels changed", NULL);
    if (options->log_changed)
        options->log_changed(options->metrics_arg);
    reply_json(req, 200, levels_json());
}
