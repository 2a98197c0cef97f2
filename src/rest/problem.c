#include "rest/reply.h"

#include <string.h>

/* A text that was cut at a buffer's end may end within a UTF-8 sequence; at most three bytes of one are left. */
static json_t *text_json(const char *text)
{
    size_t n = strlen(text);

    for (size_t cut = 0; cut < 4 && cut <= n; cut++) {
        json_t *json = json_stringn(text, n - cut);

        if (json)
            return json;
    }
    return json_string("");
}

static void set_text(json_t *json, const char *name, const char *text)
{
    if (text && *text)
        (void)json_object_set_new(json, name, text_json(text));
}

json_t *problem_json(const struct http_request *req, const struct fault *fault)
{
    const struct fault_info *info = fault_info(fault->code);
    json_t *json = json_pack("{s:s+, s:s, s:i}", "type", FAULT_TYPE_BASE, info->slug, "title", info->title, "status",
                             info->status);

    if (!json)
        return NULL;
    set_text(json, "detail", fault->detail);
    set_text(json, "pointer", fault->pointer);
    set_text(json, "advice", info->advice);
    set_text(json, "device", req->about.device);
    set_text(json, "container", req->about.container);
    set_text(json, "operation", req->about.operation);
    return json;
}
