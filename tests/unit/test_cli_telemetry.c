/* tcgw telemetry, tcgw storage, and requests that wait for their device. */
#include "cli_fake.h"

#include "cli/cli.h"

#include <string.h>

#define RECORD(time, value)                                                                                            \
    "{\"device\":\"box\",\"name\":\"temp\",\"unit\":\"Cel\",\"time\":\"" time "\",\"value\":" value ",\"suspect\":"    \
    "true}"

START_TEST(lists_records)
{
    fake_one("GET /v1/devices/box/telemetry?name=temp&from=-1h&limit=100", 200,
             "{\"items\":[" RECORD("2026-01-02T03:00:00.000001Z", "21.5") "],\"next\":null}",
             "telemetry list box --name temp --from -1h", CLI_OK);
    OUT_HAS("2026-01-02T03:00:00.000001Z");
    OUT_HAS("21.5");
    OUT_HAS("suspect");
    fake_one("GET /v1/telemetry?aggregate=min&bucket=5m&limit=7", 200, "{\"items\":[],\"next\":null}",
             "telemetry list --aggregate min --bucket 5m --limit 7 --json", CLI_OK);
    OUT_HAS("\"items\"");
    fake_one(
        "GET /v1/telemetry?to=x", 400,
        "{\"type\":\"https://tcgw.dev/problems/invalid-parameter\",\"title\":\"t\",\"status\":400,\"detail\":\"d\"}",
        "telemetry list --to x", CLI_INVALID);
}
END_TEST

START_TEST(writes_csv)
{
    const struct fake_step script[] = {{.request = "GET /v1/devices/box/telemetry?from=-1d&limit=1000",
                                        .contains = "text/csv",
                                        .status = 200,
                                        .type = "text/csv\r\nTcgw-Next: abc",
                                        .body = "device,name\r\nbox,a\r\n"},
                                       {.request = "GET /v1/devices/box/telemetry?from=-1d&limit=1000&cursor=abc",
                                        .status = 200,
                                        .type = "text/csv",
                                        .body = "device,name\r\nbox,b\r\n"},
                                       {0}};

    fake_expect(script, "telemetry list box --from -1d --csv", CLI_OK);
    ck_assert_str_eq(fake_result.out, "device,name\r\nbox,a\r\nbox,b\r\n");
}
END_TEST

#define BUCKET(time, mean)                                                                                             \
    "{\"device\":\"box\",\"name\":\"temp\",\"unit\":\"Cel\",\"time\":\"" time "\",\"count\":2,\"min\":" mean           \
    ",\"max\":" mean ",\"mean\":" mean ",\"last\":{\"time\":\"" time "\",\"value\":" mean "}}"

START_TEST(shows_a_series)
{
    fake_one("GET /v1/devices/box/telemetry?from=-1h&name=temp&bucket=120s&limit=1000", 200,
             "{\"items\":[" BUCKET("2026-01-02T03:00:00.000000Z", "1") "," BUCKET(
                 "2026-01-02T03:02:00.000000Z", "3") "," BUCKET("2026-01-02T03:06:00.000000Z", "2") "],\"next\":null}",
             "telemetry show box temp --from -1h", CLI_OK);
    OUT_HAS("2 Cel at 2026-01-02T03:06:00.000000Z");
    OUT_HAS("min 1, mean 2, max 3 of 6 values");
    OUT_HAS("▁█ ▅");
    fake_one("GET /v1/devices/box/telemetry?name=temp&from=-24h&bucket=1800s", 200, "{\"items\":[],\"next\":null}",
             "telemetry show box temp", CLI_OK);
    OUT_HAS("Nothing was recorded");
}
END_TEST

START_TEST(lists_series)
{
    fake_one("GET /v1/series?limit=100", 200,
             "{\"items\":[{\"device\":\"box\",\"name\":\"temp\",\"time\":\"2026-01-02T03:00:00.000000Z\",\"value\":1,"
             "\"count\":12,\"oldest_at\":\"2026-01-01T00:00:00.000000Z\"}],\"next\":null}",
             "telemetry series", CLI_OK);
    OUT_HAS("temp");
    OUT_HAS("12");
}
END_TEST

START_TEST(tells_how_long_it_lasts)
{
    fake_one(
        "GET /v1/storage", 200,
        "{\"telemetry\":{\"records\":1000,\"downsampled\":0,\"series\":2,\"bytes\":4096,\"bytes_per_record\":4.1,"
        "\"oldest_at\":null,\"max_size\":1048576},\"journal\":{\"entries\":10,\"bytes\":1000,\"bytes_per_entry\":100,"
        "\"max_size\":1048576,\"cursors\":[{\"name\":\"cloud\",\"position\":1,\"behind\":9}]},\"database\":{"
        "\"bytes\":8192},\"disk\":{\"free\":1048576,\"size\":2097152},\"buffer\":{\"capacity\":1048576,\"limited_by\":"
        "\"disk\",\"last_hour\":{\"measured_s\":600,\"entries_per_hour\":60,\"records_per_hour\":600,"
        "\"bytes_per_hour\":6000,\"hours\":174.76},\"last_day\":{\"measured_s\":600,\"entries_per_hour\":0,"
        "\"records_per_hour\":0,\"bytes_per_hour\":0,\"hours\":null}}}",
        "storage", CLI_OK);
    OUT_HAS("4.1 bytes each");
    OUT_HAS("174.8 hours at the rate of the last hour, for ever");
    OUT_HAS("limited by disk");
    OUT_HAS("Sinks            cloud is 9 behind");
}
END_TEST

#define OPERATION(state)                                                                                               \
    "{\"id\":\"01900000-0000-7000-8000-000000000001\",\"kind\":\"request\",\"device\":\"box\",\"state\":\"" state      \
    "\",\"step\":\"\",\"request\":{\"method\":\"PUT\",\"path\":\"/led\"},\"waiting_for\":\"device\",\"error\":null}"

START_TEST(a_request_waits_for_its_device)
{
    const struct fake_step followed[] = {{.request = "DELETE /v1/devices/box/resources/led?ttl=60",
                                          .contains = "respond-async",
                                          .status = 202,
                                          .body = OPERATION("queued")},
                                         {.request = "GET /v1/operations/01900000-0000-7000-8000-000000000001",
                                          .status = 200,
                                          .body = OPERATION("succeeded")},
                                         {0}};

    fake_one("PUT /v1/devices/box/resources/led", 202, OPERATION("queued"), "resource put box /led --wait-for-device",
             CLI_OK);
    OUT_HAS("queued as operation 01900000-0000-7000-8000-000000000001; box sleeps.");
    ck_assert_str_ne(fake_key(0), "");
    fake_expect(followed, "resource delete box /led --ttl 1m --wait 30", CLI_OK);
    OUT_HAS("box answered DELETE /led");
    fake_one("PUT /v1/devices/box/resources/led", 504, "{\"type\":\"https://tcgw.dev/problems/device-asleep\"}",
             "resource put box /led", CLI_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(fake_result.err, "--wait-for-device"));
    fake_one("GET /v1/operations?limit=100", 200, "{\"items\":[" OPERATION("queued") "],\"next\":null}",
             "operation list", CLI_OK);
    OUT_HAS("/led");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        lists_records,           writes_csv,
        shows_a_series,          lists_series,
        tells_how_long_it_lasts, a_request_waits_for_its_device,
    };

    return fake_run_tests("cli_telemetry", tests, array_size(tests));
}
