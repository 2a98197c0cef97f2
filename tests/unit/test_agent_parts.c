/* The command line, the list of bugs, trusted keys, the journal, and the examples in docs/device-protocol.md. */
#include "agent/dedup.h"
#include "agent/pivlog.h"
#include "agent/settings.h"
#include "agent/upload.h"
#include "base/buffer.h"
#include "base/text.h"
#include "codec/cborio.h"
#include "codec/key.h"
#include "suite.h"
#include "tcgw/coapmsg.h"

#include <check.h>
#include <string.h>

#define MAX_ARGS 32

static char reason[256];

/* Parses a command line given as one text, divided at blanks. */
static int parse(struct settings *s, const char *line)
{
    static char copy[512];
    char *argv[MAX_ARGS] = {"tcagent"}, *save;
    int argc = 1;

    ck_assert(text_copy(copy, sizeof copy, line));
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    return settings_parse(s, argc, argv, reason, sizeof reason);
}

START_TEST(test_defaults)
{
    struct settings s;

    ck_assert_int_eq(parse(&s, ""), 0);
    ck_assert_str_eq(s.address, "127.0.0.1");
    ck_assert_uint_eq(s.port, 5683);
    ck_assert_uint_eq(s.count, 1);
    ck_assert_uint_eq(s.agent.pdu_size, 1204);
    ck_assert_int_eq(s.agent.device.kind, DEVICE_V2);
    ck_assert_uint_eq(s.agent.device.slots, 3);
    ck_assert_ptr_null(s.journal);
    ck_assert(!s.help && !s.version && !s.agent.device.verify.has_key && !s.agent.device.verify.skip);
}
END_TEST

START_TEST(test_all_options)
{
    struct settings s;

    ck_assert_int_eq(
        parse(&s, "--agent=v1 --listen ::1 --port=0 --count 20 --slots=1 --pdu-size 2048 --package-max=9 "), 0);
    ck_assert_int_eq(s.agent.device.kind, DEVICE_V1);
    ck_assert_str_eq(s.address, "::1");
    ck_assert_uint_eq(s.port, 0);
    ck_assert_uint_eq(s.count, 20);
    ck_assert_uint_eq(s.agent.device.slots, 1);
    ck_assert_uint_eq(s.agent.pdu_size, 2048);
    ck_assert_uint_eq(s.agent.device.package_max, 9);
    ck_assert_int_eq(
        parse(&s, "--device-id box --no-verify --bug silent,lose-answer=3 --bug old-hash --journal j --seed 7"), 0);
    ck_assert_str_eq(s.agent.device.id, "box");
    ck_assert(s.agent.device.verify.skip && s.agent.device.verify.old_hash);
    ck_assert_uint_eq(s.agent.device.bugs.silent, 1);
    ck_assert_uint_eq(s.agent.device.bugs.lose_answer, 3);
    ck_assert_str_eq(s.journal, "j");
    ck_assert_uint_eq(s.agent.device.seed, 7);
    ck_assert_int_eq(parse(&s, "--help --version"), 0);
    ck_assert(s.help && s.version);
}
END_TEST

START_TEST(test_what_it_sends_by_itself)
{
    const struct traffic_options *t;
    struct settings s;

    ck_assert_int_eq(parse(&s, "--gateway ::1 --register --endpoint-name box --sleep 60 --telemetry 5m "
                               "--telemetry-records=10 --telemetry-format json --telemetry-buffer 50 --no-clock"),
                     0);
    t = &s.agent.traffic;
    ck_assert_int_eq(t->registration.kind, REGISTRATION_FULL);
    ck_assert_uint_eq(t->registration.lifetime, REGISTRATION_LIFETIME_DEFAULT);
    ck_assert_str_eq(t->registration.name, "box");
    ck_assert_uint_eq(s.agent.nap.sleep_s, 60);
    ck_assert_uint_eq(s.agent.nap.awake_ms, 1000);
    ck_assert(t->outbox.samples && t->outbox.no_clock && t->outbox.format == OUTBOX_JSON);
    ck_assert_int_eq(t->outbox.interval_ms, 300000);
    ck_assert_uint_eq(t->outbox.records, 10);
    ck_assert_uint_eq(t->outbox.buffer, 50);
    ck_assert_int_eq(parse(&s, "--gateway ::1 --simple-register --lifetime 4294967295 --telemetry max --flood 9 "
                               "--flood-register --lose 30 --delay 20 --reorder 5 --duplicate 1 --sensor-period 10 "
                               "--ack-timeout 250"),
                     0);
    ck_assert_int_eq(t->registration.kind, REGISTRATION_SIMPLE);
    ck_assert_uint_eq(t->registration.lifetime, UINT32_MAX);
    ck_assert_int_eq(t->outbox.interval_ms, OUTBOX_FULL_SPEED);
    ck_assert(s.agent.flood.rate == 9 && s.agent.flood.register_names);
    ck_assert(s.agent.link.lose == 30 && s.agent.link.delay_ms == 20 && s.agent.link.reorder == 5);
    ck_assert(s.agent.link.duplicate == 1 && s.agent.device.sensor_period_ms == 10 && s.agent.ack_timeout_ms == 250);
}
END_TEST

START_TEST(test_bad_command_lines)
{
    static const struct {
        const char *line, *says;
    } bad[] = {{"--agent v3", "v3"},
               {"--agent v12", "v12"},
               {"--listen localhost", "localhost"},
               {"--listen [::1]", "[::1]"},
               {"--port 65536", "65535"},
               {"--port -1", "65535"},
               {"--port 5x", "5x"},
               {"--port", "needs a value"},
               {"--count 0", "20000"},
               {"--count 20001", "20000"},
               {"--slots 0", "4096"},
               {"--slots 4097", "4096"},
               {"--pdu-size 127", "128"},
               {"--pdu-size 8193", "8192"},
               {"--package-max 0", "--package-max"},
               {"--device-id=", "1 to 64"},
               {"--no-verify=1", "no value"},
               {"--seed -1", "4294967295"},
               {"--bug lout", "lout"},
               {"--trust-key 0011", "0011"},
               {"--unknown", "--unknown"},
               {"-h", "-h"},
               {"word", "word"},
               {"--gateway nowhere", "--gateway takes"},
               {"--gateway 127.0.0.1:0", "--gateway takes"},
               {"--gateway [::1:5683", "--gateway takes"},
               {"--gateway 127.0.0.1 --report 10", "10s"},
               {"--gateway 127.0.0.1 --report 25h", "25h"},
               {"--gateway 127.0.0.1 --report 0s", "0s"},
               {"--gateway 127.0.0.1 --report 10s", "--oscore"},
               {"--gateway ::1 --observe-desired", "--oscore"},
               {"--gateway ::1 --attack replay", "--oscore"},
               {"--attack lout", "lout"},
               {"--attack replay:7", "no value"},
               {"--report-size 95", "96"},
               {"--report 10s", "--gateway"},
               {"--join", "--gateway"},
               {"--gateway 127.0.0.1 --join", "--device-id"},
               {"--oscore /nowhere/file", "/nowhere/file"},
               {"--state /tmp", "--oscore"},
               {"--forget-state", "--oscore"},
               {"--allow-plain", "--oscore"},
               {"--register", "--gateway"},
               {"--simple-register", "--gateway"},
               {"--telemetry 1s", "--gateway"},
               {"--flood 5", "--gateway"},
               {"--gateway ::1 --telemetry 0s", "max"},
               {"--gateway ::1 --telemetry 1s --telemetry-format xml", "xml"},
               {"--gateway ::1 --telemetry 1s --telemetry-records 1001", "1000"},
               {"--gateway ::1 --telemetry 1s --telemetry-records 2 --telemetry-format text", "one record"},
               {"--gateway ::1 --telemetry 1s --telemetry-records 20 --telemetry-buffer 19", "must hold"},
               {"--no-clock", "--gateway"},
               {"--lifetime 60", "--register"},
               {"--gateway ::1 --register --lifetime 0", "4294967295"},
               {"--gateway ::1 --register --lifetime 4294967296", "4294967295"},
               {"--gateway ::1 --register --endpoint-name a&b", "ampersand"},
               {"--gateway ::1 --register --endpoint-name=", "1 to 50"},
               {"--gateway ::1 --sleep 60", "wake up"},
               {"--gateway ::1 --register --sleep 0", "604800"},
               {"--gateway ::1 --register --awake 50", "--sleep"},
               {"--lose 101", "100"},
               {"--delay 60001", "60000"},
               {"--flood 0", "100000"},
               {"--sensor-period 0", "86400000"},
               {"--ack-timeout 9", "60000"},
               {"--port 65535 --count 2", "65535"},
               {"--no-verify --trust-key 0000000000000000000000000000000000000000000000000000000000000001", "exclude"}};
    struct settings s;

    for (size_t i = 0; i < array_size(bad); i++) {
        ck_assert_msg(parse(&s, bad[i].line) == 1, "%s", bad[i].line);
        ck_assert_msg(strstr(reason, bad[i].says) != NULL, "%s: %s", bad[i].line, reason);
    }
}
END_TEST

START_TEST(test_bugs)
{
    struct bugs bugs = {0};
    uint32_t counter = 2, always = BUGS_ALWAYS;

    ck_assert_int_eq(bugs_parse(&bugs, "", reason, sizeof reason), 0);
    ck_assert_int_eq(bugs_parse(&bugs, "lose-answer,slow-load=50,empty-ack-then-separate", reason, sizeof reason), 0);
    ck_assert_uint_eq(bugs.lose_answer, BUGS_ALWAYS);
    ck_assert_uint_eq(bugs.slow_load, 50);
    ck_assert_uint_eq(bugs.separate, 100);
    static const char *const bad[] = {
        "slow-load",       "slow-load=0",
        "slow-load=x",     "silent=1",
        "restart-after",   "lose-answer=",
        "lose-answer=-1",  ",",
        "silent,,no-stop", "a-name-that-is-much-longer-than-any-name-of-a-bug-that-there-is-or-will-be"};
    for (size_t i = 0; i < array_size(bad); i++)
        ck_assert_msg(bugs_parse(&bugs, bad[i], reason, sizeof reason) == 1, "%s", bad[i]);
    ck_assert(bugs_happens(&counter) && bugs_happens(&counter) && !bugs_happens(&counter));
    ck_assert(bugs_happens(&always) && always == BUGS_ALWAYS);
}
END_TEST

START_TEST(test_trusted_key_from_a_file)
{
    struct key *key = key_generate();
    char path[] = "/tmp/tcgw-test-key-XXXXXX", pem[KEY_PEM_MAX];
    uint8_t expected[32], read[32];
    FILE *file = fdopen(mkstemp(path), "w");

    ck_assert_ptr_nonnull(key);
    ck_assert_ptr_nonnull(file);
    key_public(key, expected);
    (void)fputs(key_public_pem(key, pem), file);
    (void)fclose(file);
    ck_assert_int_eq(verify_read_key(path, read, reason, sizeof reason), 0);
    ck_assert_mem_eq(read, expected, sizeof read);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    (void)fputs("no key\n", file);
    (void)fclose(file);
    ck_assert_int_eq(verify_read_key(path, read, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, path));
    (void)remove(path);
    key_free(key);
}
END_TEST

START_TEST(test_journal_lines)
{
    static const uint8_t digest[METADATA_DIGEST_SIZE] = {0xab};
    char path[] = "/tmp/tcgw-test-journal-XXXXXX", text[1024] = "";
    struct clock_manual clock;
    struct journal journal;
    FILE *file;

    (void)close(mkstemp(path));
    clock_manual_init(&clock, 0, 1700000000123);
    ck_assert_int_eq(journal_open(&journal, path, &clock.clock), 0);
    journal_write(&journal, &(struct journal_entry){.device = "5683",
                                                    .event = "load",
                                                    .uid = "a\"\\\n\xff",
                                                    .uid_size = 5,
                                                    .outcome = "ok",
                                                    .code = COAPMSG_CREATED,
                                                    .digest = digest,
                                                    .message_id = 65535,
                                                    .detail = "why"});
    journal_write(&journal, &(struct journal_entry){.device = "5683", .event = "restart", .message_id = -1});
    file = fopen(path, "r"); /* before it is closed: each line is there at once */
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, file), 0);
    (void)fclose(file);
    journal_close(&journal);
    (void)remove(path);
    ck_assert_str_eq(text, "{\"time\":\"2023-11-14T22:13:20.123Z\",\"device\":\"5683\",\"event\":\"load\","
                           "\"uid\":\"a\\u0022\\u005c\\u000a\\u00ff\",\"outcome\":\"ok\",\"code\":\"2.01\",\"sha256\":"
                           "\"ab00000000000000000000000000000000000000000000000000000000000000\","
                           "\"message_id\":65535,\"detail\":\"why\"}\n"
                           "{\"time\":\"2023-11-14T22:13:20.123Z\",\"device\":\"5683\",\"event\":\"restart\"}\n");
    ck_assert_int_lt(journal_open(&journal, "/nowhere/journal", &clock.clock), 0);
    journal_write(&journal, &(struct journal_entry){.device = "5683", .event = "restart"}); /* to nowhere */
}
END_TEST

#define UPLOAD_MAX 200

/* Gives a block of 16 bytes of one letter; the last one may be shorter. */
static enum upload_result give(struct upload *u, const char *tag, unsigned num, char letter, size_t last)
{
    const struct peer peer = {.size = sizeof peer.address.v4};
    uint8_t payload[16];
    struct upload_block what = {.target = "c/job", .tag = (const uint8_t *)tag, .tag_size = strlen(tag)};

    memset(payload, letter, sizeof payload);
    what.block = (struct coapmsg_block){num, last == 0, 0};
    what.payload = payload;
    what.payload_size = last ? last : sizeof payload;
    return upload_take(u, &peer, &what, UPLOAD_MAX);
}

START_TEST(test_upload_is_named_by_its_tag)
{
    struct upload u = {0};

    ck_assert_int_eq(give(&u, "tag1", 0, 'a', 0), UPLOAD_MORE);
    ck_assert_int_eq(give(&u, "tag2", 1, 'b', 0), UPLOAD_GAP);
    ck_assert_int_eq(give(&u, "", 1, 'b', 0), UPLOAD_GAP);
    ck_assert_int_eq(give(&u, "tag1", 1, 'b', 5), UPLOAD_DONE);
    ck_assert_uint_eq(u.bytes.size, 21);
    ck_assert_int_eq(give(&u, "", 0, 'c', 0), UPLOAD_MORE); /* another one takes its place */
    ck_assert_int_eq(give(&u, "tag1", 1, 'b', 5), UPLOAD_GAP);
    ck_assert_int_eq(give(&u, "", 1, 'd', 5), UPLOAD_DONE);
    ck_assert_mem_eq(u.bytes.data, "ccccccccccccccccddddd", 21);
    upload_clear(&u);
}
END_TEST

START_TEST(test_upload_takes_what_comes_last)
{
    struct upload u = {0};

    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(give(&u, "tag", i, 'a', 0), UPLOAD_MORE);
    ck_assert_int_eq(give(&u, "tag", 0, 'a', 0), UPLOAD_MORE); /* the same: no harm */
    ck_assert_uint_eq(u.bytes.size, 48);
    ck_assert_int_eq(give(&u, "tag", 1, 'b', 0), UPLOAD_MORE); /* another: what followed it is void */
    ck_assert_uint_eq(u.bytes.size, 32);
    ck_assert_int_eq(give(&u, "tag", 3, 'c', 0), UPLOAD_GAP);
    ck_assert_int_eq(give(&u, "tag", 0, 'a', 16), UPLOAD_DONE); /* the last one ends it, wherever it stands */
    ck_assert_uint_eq(u.bytes.size, 16);
    upload_clear(&u);
}
END_TEST

START_TEST(test_upload_limit)
{
    struct upload u = {0};

    for (unsigned i = 0; i < UPLOAD_MAX / 16; i++)
        ck_assert_int_eq(give(&u, "tag", i, 'a', 0), UPLOAD_MORE);
    ck_assert_int_eq(give(&u, "tag", UPLOAD_MAX / 16, 'a', UPLOAD_MAX % 16), UPLOAD_DONE);
    ck_assert_int_eq(give(&u, "tag", UPLOAD_MAX / 16, 'a', UPLOAD_MAX % 16 + 1), UPLOAD_TOO_LARGE);
    ck_assert_ptr_null(u.bytes.data);
    ck_assert_int_eq(give(&u, "tag", (1u << 20) - 1, 'a', 0), UPLOAD_GAP);
}
END_TEST

/* The examples of the document ------------------------------------------------------------------------------------ */

struct example {
    char kind[16];
    struct buffer bytes;
};

/* Takes the next block of hexadecimal lines; false at the end. */
static bool next_example(FILE *file, struct example *out)
{
    char line[256];
    uint8_t bytes[128];

    out->bytes.size = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "```hex %15s", out->kind) != 1)
            continue;
        while (fgets(line, sizeof line, file) && strncmp(line, "```", 3) != 0) {
            size_t digits = strcspn(line, "\n");

            line[digits] = 0;
            ck_assert_msg(text_unhex(line, bytes, digits / 2), "%s", line);
            buffer_append(&out->bytes, bytes, digits / 2);
        }
        return true;
    }
    return false;
}

static void check_example(const struct example *e)
{
    struct metadata_tokens tokens;
    struct metadata md;
    struct coapmsg msg;
    struct cborio_reader r;
    uint32_t format;

    if (strcmp(e->kind, "metadata") == 0) {
        ck_assert_int_eq(metadata_parse(e->bytes.data, e->bytes.size, &md, &tokens, reason, sizeof reason), 0);
        ck_assert_str_eq(md.uid, "job");
        ck_assert_mem_eq(tokens.metadata_digest, tokens.covered_digest, METADATA_DIGEST_SIZE);
    } else if (strcmp(e->kind, "package") == 0) {
        r = cborio_reader_init(e->bytes.data, e->bytes.size);
        cborio_skip(&r);
        ck_assert(cborio_ended(&r));
    } else if (strcmp(e->kind, "coap") == 0) {
        ck_assert_int_eq(coapmsg_decode(&msg, e->bytes.data, e->bytes.size), 0);
        if (COAPMSG_CLASS(msg.code) == 0 || !coapmsg_get_uint(&msg, COAPMSG_OPT_CONTENT_FORMAT, &format))
            return;
        ck_assert_uint_eq(format, COAPMSG_FORMAT_CBOR);
        r = cborio_reader_init(msg.payload, msg.payload_size);
        cborio_skip(&r);
        ck_assert(cborio_ended(&r));
    } else {
        ck_assert_str_eq(e->kind, "code");
    }
}

START_TEST(test_examples_in_the_document)
{
    FILE *file = fopen(TEST_SRCDIR "/../docs/device-protocol.md", "re");
    struct example e = {.bytes = {0}};
    unsigned count = 0;

    ck_assert_ptr_nonnull(file);
    for (; next_example(file, &e); count++)
        check_example(&e);
    ck_assert_uint_ge(count, 15);
    buffer_clear(&e.bytes);
    (void)fclose(file);
}
END_TEST

/* Each answer stays until DEDUP_ENTRIES newer ones came, or its time is over. */
START_TEST(test_dedup)
{
    struct peer peer = {.size = sizeof peer.address.v4}, other = peer;
    struct dedup d = {0};

    other.address.v4.sin_port = 1;
    for (uint16_t id = 0; id < DEDUP_ENTRIES + 100; id++) {
        dedup_store(&d, &peer, id, 1000, &id, sizeof id);
        ck_assert_ptr_nonnull(dedup_find(&d, &peer, id / 2 + id % 2, 1000));
    }
    for (uint16_t id = 0; id < DEDUP_ENTRIES + 100; id++) {
        const struct dedup_entry *e = dedup_find(&d, &peer, id, 1000);

        ck_assert_int_eq(e != NULL, id >= 100);
        ck_assert(!e || memcmp(e->answer, &id, sizeof id) == 0);
    }
    ck_assert_ptr_null(dedup_find(&d, &other, 300, 1000));
    dedup_store(&d, &other, 300, 1000, "else", 4);
    ck_assert_uint_eq(dedup_find(&d, &other, 300, 1000)->size, 4);
    ck_assert_uint_eq(dedup_find(&d, &peer, 300, 1000)->size, sizeof(uint16_t));
    ck_assert_ptr_null(dedup_find(&d, &peer, 300, 1000 + DEDUP_LIFETIME_MS));
    dedup_clear(&d);
    for (uint16_t id = 0; id < 100; id++) /* with time between them the room of old ones is used again */
        dedup_store(&d, &peer, id, id * (int64_t)DEDUP_LIFETIME_MS, NULL, 0);
    ck_assert_uint_le(d.size, 16);
    dedup_clear(&d);
}
END_TEST

START_TEST(test_pivlog)
{
    struct pivlog log = {0};

    for (uint64_t piv = 0; piv < 20000; piv++) {
        ck_assert_int_eq(pivlog_check(&log, PIVLOG_OWN, piv, piv * 7), PIVLOG_NEW);
        pivlog_add(&log, PIVLOG_OWN, piv, piv * 7);
        ck_assert_int_eq(pivlog_check(&log, PIVLOG_OWN, piv, piv * 7), PIVLOG_SAME);
        ck_assert_int_eq(pivlog_check(&log, PIVLOG_OWN, piv - piv % 4096, 1), PIVLOG_REUSED);
        ck_assert_int_eq(pivlog_check(&log, PIVLOG_ANSWERED, piv, 1), PIVLOG_NEW);
    }
    pivlog_add(&log, PIVLOG_OWN, (UINT64_C(1) << 40) - 1, 5);
    ck_assert_int_eq(pivlog_check(&log, PIVLOG_OWN, (UINT64_C(1) << 40) - 1, 6), PIVLOG_REUSED);
    ck_assert_uint_le(log.size, (size_t)2 * PIVLOG_MAX);
    pivlog_clear(&log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent parts");
    TCase *tc = tcase_create("parts");

    tcase_add_test(tc, test_defaults);
    tcase_add_test(tc, test_all_options);
    tcase_add_test(tc, test_bad_command_lines);
    tcase_add_test(tc, test_what_it_sends_by_itself);
    tcase_add_test(tc, test_dedup);
    tcase_add_test(tc, test_pivlog);
    tcase_add_test(tc, test_bugs);
    tcase_add_test(tc, test_trusted_key_from_a_file);
    tcase_add_test(tc, test_journal_lines);
    tcase_add_test(tc, test_upload_is_named_by_its_tag);
    tcase_add_test(tc, test_upload_takes_what_comes_last);
    tcase_add_test(tc, test_upload_limit);
    tcase_add_test(tc, test_examples_in_the_document);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
