#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli_fake.h"
#include "codec/key.h"
#include "tcgw/metadata.h"

#include <string.h>

static const char *make_key(const char *name)
{
    static char path[128];
    cleanup_key struct key *key = NULL;
    char reason[256];

    (void)snprintf(path, sizeof path, "%s/%s", fake_directory, name);
    ck_assert_int_eq(key_load_or_create(&key, path, reason, sizeof reason), 0);
    return path;
}

static void build(const char *options, int code)
{
    char line[768];
    const char *native = fake_file("code.bin", "native code", 11), *data = fake_file("data", "some data", 9);

    (void)snprintf(line, sizeof line, "metadata build %s --key %s --data %s --uid door -o %s/out %s", native,
                   make_key("key.pem"), data, fake_directory, options);
    fake_expect(NULL, line, code);
}

static void inspect(const char *options, int code)
{
    char line[512];

    (void)snprintf(line, sizeof line, "metadata inspect %s/out %s", fake_directory, options);
    fake_expect(NULL, line, code);
}

START_TEST(metadata_makes_the_round_trip)
{
    char line[256];

    build(
        "--type native --syscall open,read --syscall write --endpoint "
        "id=7,peer=container,peer-uid=other,peer-endpoint=2,"
        "direction=both --endpoint id=8 --loop-period 250 --lifetime 9 --start-max-duration 100 --stop-max-duration 50",
        CLI_OK);
    (void)snprintf(line, sizeof line, "--key %s/key.pem --code %s/code.bin --data %s/data", fake_directory,
                   fake_directory, fake_directory);
    inspect(line, CLI_OK);
    OUT_HAS("Uid               door\n");
    OUT_HAS("Type              native\n");
    OUT_HAS("System calls      open, read, write\n");
    OUT_HAS("Endpoints         7: both container other 2; 8: in local 0\n");
    OUT_HAS("Loop period       250 ms\n");
    OUT_HAS("Lifetime (loops)  9\n");
    OUT_HAS("Signatures        ok\n");
    OUT_HAS("Metadata          ok\n");
    OUT_HAS("Code              ok\n");
    OUT_HAS("Data              ok\n");
    inspect("--json", CLI_OK);
    OUT_HAS("\"loop_max_lifetime\": 9");
    ck_assert_ptr_null(strstr(fake_result.out, "signatures")); /* nothing was said about a key */
}
END_TEST

START_TEST(metadata_is_read_by_the_codec)
{
    struct metadata_tokens tokens;
    struct metadata md;
    char path[128], reason[256];
    FILE *file;
    uint8_t bytes[METADATA_MAX_SIZE];
    size_t n;

    build("--type native", CLI_OK);
    (void)snprintf(path, sizeof path, "%s/out", fake_directory);
    file = fopen(path, "re");
    n = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    ck_assert_int_eq(metadata_parse(bytes, n, &md, &tokens, reason, sizeof reason), 0);
    ck_assert_str_eq(md.uid, "door");
    ck_assert_int_eq(md.type, CONTAINER_TYPE_NATIVE);
    ck_assert_uint_eq(md.limits.loop_period, 1000);
    ck_assert_uint_eq(md.syscall_mask, 0);
}
END_TEST

START_TEST(metadata_takes_a_description)
{
    static const char json[] =
        "{\"name\":\"n\",\"type\":\"native\",\"syscalls\":[\"heartbeat\"],\"endpoints\":[{\"id\":1,"
        "\"peer\":\"local\",\"peer_endpoint\":32,\"direction\":\"out\"}],"
        "\"limits\":{\"loop_period_ms\":200}}";
    char line[256];

    (void)snprintf(line, sizeof line, "--description %s --lifetime 3", fake_file("d.json", json, strlen(json)));
    build(line, CLI_OK);
    inspect("", CLI_OK);
    OUT_HAS("System calls      heartbeat\n");
    OUT_HAS("Endpoints         1: out local 32\n");
    OUT_HAS("Loop period       200 ms\n");
    OUT_HAS("Lifetime (loops)  3\n");
}
END_TEST

START_TEST(metadata_tells_what_does_not_fit)
{
    char line[384];

    build("--type native", CLI_OK);
    (void)snprintf(line, sizeof line, "--key %s", make_key("other.pem"));
    inspect(line, CLI_INVALID);
    OUT_HAS("Signatures    failed\n");
    ERR_HAS("does not pass its checks");
    (void)snprintf(line, sizeof line, "--key %s/key.pem --code %s/data --data %s/code.bin", fake_directory,
                   fake_directory, fake_directory);
    inspect(line, CLI_INVALID);
    OUT_HAS("Signatures    ok\n");
    OUT_HAS("Code          failed\n");
    OUT_HAS("Data          failed\n");
    inspect("--key 112ff4c9cddecbe153d72dcd7c5ffaf2bfc77603fd8478e300bafe8dd1946078", CLI_INVALID);
    OUT_HAS("Signatures    failed\n");
    inspect("--key /nonexistent", CLI_INVALID);
    ERR_HAS("/nonexistent");
}
END_TEST

START_TEST(metadata_verifies_with_a_public_key)
{
    cleanup_key struct key *key = NULL;
    char pem[KEY_PEM_MAX], reason[256], line[256];

    build("--type native", CLI_OK);
    ck_assert_int_eq(key_load(&key, make_key("key.pem"), reason, sizeof reason), 0);
    (void)key_public_pem(key, pem);
    (void)snprintf(line, sizeof line, "--key %s", fake_file("public.pem", pem, strlen(pem)));
    inspect(line, CLI_OK);
    OUT_HAS("Signatures    ok\n");
}
END_TEST

START_TEST(metadata_refuses_bad_input)
{
    static const struct {
        const char *options, *message;
        int code;
    } rows[] = {
        {"", "it is not known what type of container", CLI_USAGE},
        {"--type wasm", "cannot run as a container: ", CLI_INVALID},
        {"--type rbpf", "cannot run as a container: ", CLI_INVALID},
        {"--type cobol", "it is not known what type of container", CLI_INVALID},
        {"--type native --uid 1234567890123456789012345678901234567890123456789012345678901234",
         "a uid has 1 to 63 bytes", CLI_USAGE},
        {"--type native --syscall fork", "there is no system call 'fork'", CLI_USAGE},
        {"--type native --endpoint peer=local", "--endpoint needs an id", CLI_USAGE},
        {"--type native --endpoint id=x", "'id=x' does not describe an endpoint", CLI_USAGE},
        {"--type native --endpoint id=1,peer=moon", "'peer=moon' does not describe an endpoint", CLI_USAGE},
        {"--type native --endpoint id=1,direction", "'direction' does not describe an endpoint", CLI_USAGE},
        {"--type native --endpoint id=1,peer=container", "the description cannot be put into metadata", CLI_INVALID},
        {"--type native --endpoint id=1 --endpoint id=1", "the description cannot be put into metadata", CLI_INVALID},
        {"--type native --loop-period -1", "--loop-period takes a whole number", CLI_USAGE},
        {"--type native --loop-period 4294967296", "--loop-period takes a whole number", CLI_USAGE},
        {"--type native --description /nonexistent.json", "the description /nonexistent.json cannot be used",
         CLI_INVALID},
        {"--type native --key /nonexistent.pem", "/nonexistent.pem", CLI_INVALID},
        {"--type native -o /nonexistent/out", "/nonexistent/out cannot be written", CLI_INVALID},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        build(rows[i].options, rows[i].code);
        ERR_HAS(rows[i].message);
    }
}
END_TEST

START_TEST(metadata_refuses_bad_descriptions)
{
    static const struct {
        const char *json, *message;
    } rows[] = {
        {"[]", "is not a JSON object"},
        {"{", "cannot be used (line"},
        {"{\"type\":\"native\",\"type\":\"wasm\"}", "duplicate"},
        {"{\"type\":\"native\",\"syscalls\":\"open\"}", "syscalls cannot be used"},
        {"{\"type\":\"native\",\"syscalls\":[7]}", "syscalls cannot be used"},
        {"{\"type\":\"native\",\"endpoints\":{}}", "endpoints cannot be used"},
        {"{\"type\":\"native\",\"endpoints\":[{\"peer\":\"local\",\"direction\":\"in\"}]}", "endpoints cannot be used"},
        {"{\"type\":\"native\",\"endpoints\":[{\"id\":-1,\"peer\":\"local\",\"direction\":\"in\"}]}",
         "endpoints cannot be used"},
        {"{\"type\":\"native\",\"limits\":{\"loop_period_ms\":\"1\"}}", "limits cannot be used"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        char line[256];

        (void)snprintf(line, sizeof line, "--description %s", fake_file("d.json", rows[i].json, strlen(rows[i].json)));
        build(line, CLI_INVALID);
        ERR_HAS(rows[i].message);
    }
}
END_TEST

START_TEST(metadata_refuses_what_is_none)
{
    char line[256];

    (void)snprintf(line, sizeof line, "metadata inspect %s", fake_file("garbage", "\xdb\x00garbage", 9));
    fake_expect(NULL, line, CLI_INVALID);
    ERR_HAS("is no TinyContainer metadata: ");
    fake_expect(NULL, "metadata inspect /nonexistent", CLI_INVALID);
    ERR_HAS("/nonexistent cannot be read (No such file or directory)");
    (void)snprintf(line, sizeof line, "metadata inspect %s", fake_directory);
    fake_expect(NULL, line, CLI_INVALID);
    (void)snprintf(line, sizeof line, "metadata inspect %s", fake_file("empty", "", 0));
    fake_expect(NULL, line, CLI_INVALID);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        metadata_makes_the_round_trip,     metadata_is_read_by_the_codec,       metadata_takes_a_description,
        metadata_tells_what_does_not_fit,  metadata_verifies_with_a_public_key, metadata_refuses_bad_input,
        metadata_refuses_bad_descriptions, metadata_refuses_what_is_none,
    };

    return fake_run_tests("cli_metadata", tests, array_size(tests));
}
