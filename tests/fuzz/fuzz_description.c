/* An upload's description from its bytes to the artifact, or to the problem that the client gets. */
#include "core/internal.h"
#include "rest/dispatch.h"
#include "rest/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_problem(const struct fault *fault)
{
    static struct http_request req;
    json_t *problem = problem_json(&req, fault);

    if (fault->code == FAULT_NONE || !problem || json_dumpb(problem, NULL, 0, 0) == 0)
        abort();
    json_decref(problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct artifact *artifact = calloc(1, sizeof *artifact);
    struct fault fault = {0};
    json_t *json = NULL;

    if (!artifact || dispatch_parse_json(data, size, &json, &fault) || artifact_parse(artifact, json, &fault))
        require_problem(&fault);
    json_decref(json);
    (void)artifact_free(artifact);
    return 0;
}
