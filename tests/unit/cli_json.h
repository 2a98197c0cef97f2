#ifndef TC_TESTS_CLI_JSON_H
#define TC_TESTS_CLI_JSON_H

/* What the scripted gateway answers with. */

#define OP_ID "01945b1e-0000-7000-8000-000000000001"
#define ARTIFACT "3f2a91b2c3d4e5f60718293a4b5c6d7e8f9001122334455667788990abbccdde"
#define OTHER "3f2a00b2c3d4e5f60718293a4b5c6d7e8f9001122334455667788990abbccdde"

#define DEVICE_JSON                                                                                                    \
    "{\"id\":\"box-1\",\"name\":\"R\xc3\xa4mp\",\"address\":\"coap://[::1]:5683\",\"agent\":\"v2\","                   \
    "\"security\":\"oscore\",\"allow_plain\":false,\"groups\":[\"lab\",\"bench\"],"                                    \
    "\"agent_configured\":false,\"agent_version\":\"2.0\",\"reported_id\":null,\"capabilities\":{\"pdu_size\":1204,"   \
    "\"slots\":4,\"runtimes\":[\"wasm\",\"rbpf\"],\"package_max\":65536},\"containers\":1,\"operations_unfinished\":"  \
    "0,"                                                                                                               \
    "\"created_at\":\"2026-01-01T03:04:05.678Z\",\"updated_at\":\"2026-01-02T03:04:05.000Z\","                         \
    "\"last_seen_at\":\"2026-01-02T03:04:02.678Z\",\"presence\":{\"state\":\"asleep\",\"expected_at\":"                \
    "\"2026-01-02T03:09:05.678Z\"},\"revision\":3}"
#define ARTIFACT_JSON(id, name)                                                                                        \
    "{\"id\":\"" id "\",\"name\":\"" name "\",\"type\":\"rbpf\",\"syscalls\":[\"open\"],\"endpoints\":[],\"limits\":"  \
    "{\"loop_period_ms\":1000},\"code\":{\"sha256\":\"" OTHER "\",\"size\":390},\"data\":{\"sha256\":\"" OTHER         \
    "\",\"size\":0},\"created_at\":\"2026-01-02T03:02:05.678Z\",\"users\":1}"
#define LIST(items) "{\"items\":[" items "],\"next\":null}"
#define OP_STATE(state, step, error)                                                                                   \
    "{\"id\":\"" OP_ID "\",\"kind\":\"deploy\",\"state\":\"" state "\",\"device\":\"box-1\",\"container\":\"door\","   \
    "\"artifact\":\"" ARTIFACT "\",\"step\":\"" step "\",\"error\":" error ",\"result\":null,"                         \
    "\"created_at\":\"2026-01-02T03:04:03.678Z\",\"started_at\":null,\"ended_at\":null,"                               \
    "\"expires_at\":\"2026-01-02T03:09:05.678Z\"}"
#define OP(state) OP_STATE(state, "", "null")
#define CONTAINER_JSON                                                                                                 \
    "{\"device\":\"box-1\",\"uid\":\"door\",\"desired\":{\"artifact\":\"" ARTIFACT "\",\"state\":\"running\"},"        \
    "\"reported\":{\"artifact\":\"" ARTIFACT "\",\"state\":\"failed\",\"at\":\"2026-01-02T03:03:05.678Z\"},"           \
    "\"load\":\"done\",\"error\":{\"type\":\"https://tcgw.dev/problems/stopped-early\",\"title\":\"It ended\","        \
    "\"detail\":\"after 50 ms\"},\"created_at\":\"2026-01-02T03:04:03.678Z\",\"updated_at\":null,\"revision\":1}"
#define PROBLEM(slug, status, rest)                                                                                    \
    "{\"type\":\"https://tcgw.dev/problems/" slug "\",\"title\":\"T\",\"status\":" #status ",\"detail\":\"D\"" rest "}"

#define PUT_DOOR "PUT /v1/devices/box-1/containers/door HTTP"
#define GET_OP "GET /v1/operations/" OP_ID " HTTP"

#endif
