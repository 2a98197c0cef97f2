#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli_fake.h"
#include "suite.h"

#include <string.h>
#include <sys/stat.h>

/* Keys and SUIT manifests, without a gateway. */

static char line[1024];

#define RUN(code, ...)                                                                                                 \
    do {                                                                                                               \
        (void)snprintf(line, sizeof line, __VA_ARGS__);                                                                \
        fake_expect(NULL, line, code);                                                                                 \
    } while (0)

static void make_key(const char *name, const char *type)
{
    RUN(CLI_OK, "key generate %s/%s --type %s", fake_directory, name, type);
}

static void create(const char *options, int code)
{
    const char *payload = fake_file("payload", "payload", 7);

    RUN(code,
        "suit create --sequence 2 %s --component ram/0 --file %s --uri coap://[2001:db8::1]/payload.bin -o %s/out",
        options, payload, fake_directory);
}

START_TEST(keys_are_made_and_shown)
{
    struct stat st;
    char id[17];

    make_key("key.pem", _i ? "es256" : "ed25519");
    ck_assert_str_eq(fake_result.err, "");
    OUT_HAS(_i ? "Algorithm   ES256\n" : "Algorithm   Ed25519\n");
    OUT_HAS("-----BEGIN PUBLIC KEY-----\n");
    memcpy(id, strstr(fake_result.out, "Id          ") + 12, 16);
    id[16] = 0;
    (void)snprintf(line, sizeof line, "%s/key.pem", fake_directory);
    ck_assert_int_eq(stat(line, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    RUN(CLI_OK, "key show %s/key.pem --json", fake_directory);
    OUT_HAS(id);
    RUN(CLI_OK, "key show %s/key.pem --pem", fake_directory);
    ck_assert_int_eq(strncmp(fake_result.out, "-----BEGIN PUBLIC KEY-----\n", 27), 0);
    fake_file("key.pub", fake_result.out, strlen(fake_result.out));
    RUN(CLI_OK, "key show %s/key.pub", fake_directory);
    OUT_HAS(id);
    RUN(CLI_INVALID, "key generate %s/key.pem", fake_directory); /* none is replaced */
    RUN(CLI_INVALID, "key show %s/none.pem", fake_directory);
    RUN(CLI_INVALID, "key show nonsense:key");
}
END_TEST

START_TEST(manifests_make_the_round_trip)
{
    char options[256];

    make_key("key.pem", "ed25519");
    make_key("other.pem", "ed25519");
    (void)snprintf(options, sizeof options, "--vendor riot-os.org --class native -k %s/key.pem", fake_directory);
    create(options, CLI_OK);
    RUN(CLI_OK, "suit show %s/out", fake_directory);
    OUT_HAS("Dialect     riot\n");
    OUT_HAS("Sequence    2\n");
    OUT_HAS("Signatures  1\n");
    /* that of shared/vectors/suit_riot_dialect_vectors.json */
    OUT_HAS("Digest      f9047cde8a3599c2f4138d41d0f6c942919cbabfb32e7bfe963f2b75cdf98aac\n");
    OUT_HAS("ram, 0  239f59ed55e7   7 B  -       coap://[2001:db8::1]/payload.bin");
    OUT_HAS("install\n  directive-set-parameters uri=coap://[2001:db8::1]/payload.bin\n  directive-fetch 2\n");
    RUN(CLI_OK, "suit show %s/out --json", fake_directory);
    OUT_HAS("\"vendor_id\": \"547d0d74-6d3a-5a92-9662-4881afd9407b\"");
    RUN(CLI_OK, "suit verify %s/out -k %s/key.pem --payload %s/payload", fake_directory, fake_directory,
        fake_directory);
    OUT_HAS("Signed by this key; sequence number 2.\n");
    RUN(CLI_INVALID, "suit verify %s/out -k %s/other.pem", fake_directory, fake_directory);
    ERR_HAS("No signature of the manifest is by this key");
    RUN(CLI_INVALID, "suit verify %s/out -k %s/key.pem --payload %s/key.pem", fake_directory, fake_directory,
        fake_directory);
    ERR_HAS("is not a payload");
    RUN(CLI_OK, "suit sign %s/out -k %s/other.pem -o %s/again", fake_directory, fake_directory, fake_directory);
    RUN(CLI_OK, "suit verify %s/again -k %s/other.pem", fake_directory, fake_directory);
    RUN(CLI_INVALID, "suit verify %s/again -k %s/key.pem", fake_directory, fake_directory);
}
END_TEST

START_TEST(slots_and_several_components)
{
    const char *a = fake_file("a", "foo\n", 4), *b = fake_file("b", "bar!\n", 5);

    make_key("key.pem", "es256");
    RUN(CLI_OK,
        "suit create --dialect ietf --vendor 547d0d74-6d3a-5a92-9662-4881afd9407b --component 0x00 --file %s --offset "
        "4096 "
        "--uri http://a/1 --component 0x00 --file %s --offset 8192 --uri http://a/2 --component data --file %s "
        "-k %s/key.pem -o %s/out",
        a, b, a, fake_directory, fake_directory);
    RUN(CLI_OK, "suit show %s/out", fake_directory);
    OUT_HAS("Dialect     ietf\n");
    OUT_HAS("0x00  ");
    OUT_HAS("directive-try-each\n    1:\n");
    OUT_HAS("component-slot=8192");
    RUN(CLI_OK, "suit verify %s/out -k %s/key.pem --payload %s/a --payload %s/b", fake_directory, fake_directory,
        fake_directory, fake_directory);
}
END_TEST

static const struct {
    const char *options;
    int code;
    const char *says;
} bad[] = {
    {"", CLI_INVALID, "RIOT needs vendor, class"},
    {"--class native", CLI_USAGE, "needs --vendor"},
    {"--vendor riot-os.org --class native --sequence 4294967296", CLI_INVALID, "sequence number"},
    {"--vendor riot-os.org --class native -k /nonexistent", CLI_INVALID, "/nonexistent"},
    {"--offset x", CLI_USAGE, "no number"},
    {"--file /nonexistent", CLI_INVALID, "/nonexistent"},
    {"--component a/b/c/d/e", CLI_USAGE, "1 to 4 segments"},
    {"--component a//b", CLI_USAGE, "1 to 4 segments"},
    {"--component 0xzz", CLI_USAGE, "no byte string"},
    {"--component abcdefghijklmnopqrstuvwxyz0123456789", CLI_USAGE, "1 to 32 bytes"},
};

START_TEST(create_refuses)
{
    create(bad[_i].options, bad[_i].code);
    ERR_HAS(bad[_i].says);
}
END_TEST

START_TEST(others_refuse)
{
    const char *text = fake_file("text", "nonsense", 8);

    RUN(CLI_INVALID, "suit show %s", text);
    ERR_HAS("no SUIT manifest");
    RUN(CLI_INVALID, "suit show /nonexistent");
    RUN(CLI_USAGE, "suit verify %s", text);
    RUN(CLI_USAGE, "suit sign %s", text);
    RUN(CLI_USAGE, "suit create");
    make_key("key.pem", "es256");
    create("--vendor riot-os.org --class native", CLI_OK);
    RUN(CLI_INVALID, "suit sign %s/out -k %s/key.pem", fake_directory, fake_directory);
    ERR_HAS("Ed25519 keys only");
    RUN(CLI_INVALID, "suit verify %s/out -k %s/key.pem", fake_directory, fake_directory);
    ERR_HAS("not signed");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_suit");
    TCase *tc = suite_add_case(suite, "cli_suit", fake_setup, fake_teardown);

    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, keys_are_made_and_shown, 0, 2);
    tcase_add_test(tc, manifests_make_the_round_trip);
    tcase_add_test(tc, slots_and_several_components);
    tcase_add_loop_test(tc, create_refuses, 0, (int)array_size(bad));
    tcase_add_test(tc, others_refuse);
    return suite_run(suite);
}
