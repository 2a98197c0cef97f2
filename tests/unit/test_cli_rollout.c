#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <stdlib.h>
#include <string.h>

#define ROLLOUT(state)                                                                                                 \
    "{\"id\":\"r-1\",\"name\":\"two\",\"container\":\"door\",\"state\":\"" state                                       \
    "\",\"reason\":\"so it is\",\"wave\":1,\"waves\":[{},{}],\"counts\":{\"total\":5,\"done\":2,\"updating\":1,"       \
    "\"failed\":1}}"
#define ROLLOUTS(state) "{\"items\":[" ROLLOUT(state) "]}"

static void creates(const char *body, const char *line)
{
    const struct fake_step script[] = {
        {.request = "POST /v1/rollouts HTTP", .contains = body, .status = 201, .body = ROLLOUT("running")}, {0}};

    fake_expect(script, line, CLI_OK);
}

START_TEST(creates_what_is_said)
{
    creates("\r\n\r\n{\"container\":\"door\",\"devices\":{\"expression\":\"site=paris\"},\"release\":\"door@2\"}",
            "rollout create door door@2 --select site=paris");
    OUT_HAS("Rollout r-1 has begun");
    creates("{\"container\":\"door\",\"devices\":{\"devices\":[\"a\",\"b\"],\"groups\":[\"g\"],\"all\":true},\"name\":"
            "\"two\",\"membership\":\"dynamic\",\"state\":\"stopped\",\"pause_after_wave\":true,\"auto_rollback\":true,"
            "\"waves\":[{\"count\":5},{\"percent\":10}],\"max_failures_percent\":3,\"success\":{\"running_for_s\":60},"
            "\"window\":{\"from\":\"22:00\",\"to\":\"05:00\",\"days\":[\"sat\",\"sun\"]},\"canaries\":1,"
            "\"max_attempts\":2,\"max_parallel\":7,\"max_parallel_per_link\":3,\"device_timeout_s\":600,\"release\":"
            "\"door@2\"}",
            "rollout create door door@2 --device a,b --group g --all --name two --dynamic --stopped --pause-after-wave "
            "--auto-rollback --wave 5 --wave 10% --max-failures 3% --running-for 1m --window 22:00-05:00,sat,sun "
            "--canaries 1 --max-attempts 2 --parallel 7 --parallel-per-link 3 --device-timeout 10m");
    creates("\"success\":{\"telemetry\":{\"name\":\"temp\",\"min\":-1.5,\"max\":40.0}}",
            "rollout create door door@2 --all --telemetry temp=-1.5..40");
    creates("\"max_failures\":2,\"success\":{\"telemetry\":{\"name\":\"temp\",\"max\":40.0}},",
            "rollout create door door@2 --all --telemetry temp=..40 --max-failures 2");
}
END_TEST

START_TEST(refuses_bad_words)
{
    fake_expect(NULL, "rollout create door door@2", CLI_USAGE);
    fake_expect(NULL, "rollout create door door@2 --all --wave many", CLI_USAGE);
    fake_expect(NULL, "rollout create door door@2 --all --wave 5x", CLI_USAGE);
    fake_expect(NULL, "rollout create door door@2 --all --telemetry temp", CLI_USAGE);
    fake_expect(NULL, "rollout create door door@2 --all --window 22-05", CLI_USAGE);
    fake_expect(NULL, "rollout create door door@2 --all --window 22:00-05:00sat", CLI_USAGE);
}
END_TEST

START_TEST(plans)
{
    const struct fake_step script[] = {
        {.request = "POST /v1/rollouts?dry_run=true HTTP",
         .status = 200,
         .body =
             "{\"devices\":[{\"device\":\"a\",\"wave\":1,\"action\":\"refuse\",\"refused\":{\"detail\":\"no way\"}}],"
             "\"counts\":{}}"},
        {0}};

    fake_expect(script, "rollout create door door@2 --all --dry-run", CLI_OK);
    OUT_HAS("refuse");
    OUT_HAS("no way");
}
END_TEST

START_TEST(watches_until_it_waits_or_ends)
{
    const struct fake_step paused[] = {
        {.request = "GET /v1/rollouts HTTP", .status = 200, .body = ROLLOUTS("running")},
        {.request = "GET /v1/rollouts/r-1 HTTP", .status = 200, .body = ROLLOUT("running")},
        {.request = "GET /v1/rollouts/r-1 HTTP", .status = 200, .body = ROLLOUT("paused")},
        {0}};
    const struct fake_step acted[] = {
        {.request = "GET /v1/rollouts HTTP", .status = 200, .body = ROLLOUTS("paused")},
        {.request = "POST /v1/rollouts/r-1/rollback HTTP", .status = 200, .body = ROLLOUT("rolling-back")},
        {.request = "GET /v1/rollouts/r-1 HTTP", .status = 200, .body = ROLLOUT("rolled-back")},
        {0}};

    fake_expect(paused, "rollout watch two", CLI_FAILED);
    OUT_HAS("paused. so it is");
    fake_expect(acted, "rollout rollback r-1 --watch", CLI_OK);
    OUT_HAS("r-1: rolled-back");
}
END_TEST

static void acts(const char *request, const char *line)
{
    const struct fake_step script[] = {{.request = "GET /v1/rollouts HTTP", .status = 200, .body = ROLLOUTS("running")},
                                       {.request = request, .status = 200, .body = ROLLOUT("paused")},
                                       {0}};

    fake_expect(script, line, CLI_OK);
}

START_TEST(acts_and_shows)
{
    acts("POST /v1/rollouts/r-1/pause HTTP", "rollout pause two");
    acts("POST /v1/rollouts/r-1/resume HTTP", "rollout resume r-1");
    acts("POST /v1/rollouts/r-1/abort HTTP", "rollout abort r-1");
    acts("DELETE /v1/rollouts/r-1 HTTP", "rollout remove r-1");
    acts("GET /v1/rollouts/r-1/devices?state=failed HTTP", "rollout devices two --state failed");
    fake_one("GET /v1/rollouts HTTP", 200, ROLLOUTS("running"), "rollout show two", CLI_OK);
    OUT_HAS("so it is");
    fake_one("GET /v1/rollouts HTTP", 200, ROLLOUTS("running"), "rollout list", CLI_OK);
    OUT_HAS("door");
    fake_one("GET /v1/rollouts HTTP", 200, ROLLOUTS("running"), "rollout show other", CLI_NOT_FOUND);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        creates_what_is_said, refuses_bad_words, plans, watches_until_it_waits_or_ends, acts_and_shows,
    };

    return fake_run_tests("cli_rollout", tests, array_size(tests));
}
