#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <string.h>

/* Transfers and links on the command line. */

#define GET "GET /v1/transfers?limit=1000 HTTP"
#define TRANSFER                                                                                                       \
    "{\"device\":\"box-1\",\"container\":\"door\",\"artifact\":\"a\",\"link\":\"field\",\"state\":\"running\","        \
    "\"bytes\":10240,\"total\":40960,\"rate\":5120,\"remaining_s\":6,\"block\":256,\"breaks\":3,"                      \
    "\"started_at\":\"2026-01-02T03:00:00Z\"}"
#define SOME "{\"items\":[" TRANSFER "],\"count\":1}"
#define NONE "{\"items\":[],\"count\":0}"
#define LINK                                                                                                           \
    "{\"name\":\"field\",\"prefixes\":[\"2001:db8:15::/64\"],\"zones\":[],\"parallel\":2,\"rate\":8000,\"block\":64,"  \
    "\"running\":1,\"waiting\":4}"

START_TEST(lists_transfers)
{
    fake_one(GET, 200, SOME, "transfer list", CLI_OK);
    OUT_HAS("box-1");
    OUT_HAS("door");
    OUT_HAS("running");
    OUT_HAS("10.0 KiB");
    OUT_HAS("40.0 KiB");
    OUT_HAS("field");
    fake_one("GET /v1/transfers?limit=1000&device=box-1&link=field HTTP", 200, NONE,
             "transfer list --device box-1 --link field", CLI_OK);
    fake_one(GET, 200, SOME, "transfer list --json", CLI_OK);
    OUT_HAS("\"remaining_s\": 6");
    fake_one(GET, 503, PROBLEM("shutting-down", 503, ""), "transfer list", CLI_GATEWAY);
}
END_TEST

START_TEST(watches_until_there_are_none)
{
    const struct fake_step script[] = {
        {.request = GET, .status = 200, .body = SOME}, {.request = GET, .status = 200, .body = NONE}, {0}};
    const struct fake_step interrupted[] = {{.request = GET, .status = 200, .body = SOME, .action = FAKE_INTERRUPT},
                                            {0}};

    fake_expect(script, "transfer watch", CLI_OK);
    OUT_HAS("box-1");
    fake_expect(interrupted, "transfer watch", CLI_INTERRUPTED);
}
END_TEST

START_TEST(sets_links)
{
    const struct fake_step script[] = {
        {.request = "PUT /v1/links/field HTTP",
         .contains = "{\"prefixes\":[\"2001:db8:15::/64\",\"192.0.2.0/24\"],\"zones\":[\"lowpan0\"],\"parallel\":2,"
                     "\"rate\":8000,\"block\":64}",
         .status = 200,
         .body = LINK},
        {0}};

    fake_expect(script,
                "link set field --prefix 2001:db8:15::/64 --prefix 192.0.2.0/24 --zone lowpan0 --parallel 2 --rate "
                "8000 --block 64",
                CLI_OK);
    OUT_HAS("Link field was set.");
    fake_expect(NULL, "link set field --block 8", CLI_USAGE);
    fake_expect(NULL, "link set field --parallel many", CLI_USAGE);
    fake_expect(NULL, "link set", CLI_USAGE);
}
END_TEST

START_TEST(shows_and_removes_links)
{
    fake_one("GET /v1/links HTTP", 200, "{\"items\":[" LINK "]}", "link list", CLI_OK);
    OUT_HAS("field");
    OUT_HAS("2001:db8:15::/64");
    fake_one("GET /v1/links/field HTTP", 200, LINK, "link show field", CLI_OK);
    OUT_HAS("Waiting");
    fake_one("DELETE /v1/links/field HTTP", 204, NULL, "link remove field", CLI_OK);
    OUT_HAS("Link field was removed.");
    fake_one("GET /v1/links/none HTTP", 404, PROBLEM("not-found", 404, ""), "link show none", CLI_NOT_FOUND);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {lists_transfers, watches_until_there_are_none, sets_links, shows_and_removes_links};

    return fake_run_tests("cli_transfer", tests, array_size(tests));
}
