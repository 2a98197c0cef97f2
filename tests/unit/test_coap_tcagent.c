#include "coap_fixture.h"
#include "suite.h"

#include "base/text.h"
#include "codec/token.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* The drivers against the reference agent: both were written from docs/device-protocol.md alone. */

#define MAX_ARGUMENTS 12

/* (module (func (export "start")) (func (export "loop") (result i32) i32.const 0) (func (export "stop"))) */
static const uint8_t module[] = {
    0x00, 'a',  's',  'm',  0x01, 0x00, 0x00, 0x00,                                     /* magic, version */
    0x01, 0x08, 0x02, 0x60, 0x00, 0x00, 0x60, 0x00, 0x01, 0x7f,                         /* types */
    0x03, 0x04, 0x03, 0x00, 0x01, 0x00,                                                 /* functions */
    0x07, 0x17, 0x03, 0x05, 's',  't',  'a',  'r',  't',  0x00, 0x00,                   /* exports */
    0x04, 'l',  'o',  'o',  'p',  0x00, 0x01, 0x04, 's',  't',  'o',  'p',  0x00, 0x02, /* more of them */
    0x0a, 0x0c, 0x03, 0x02, 0x00, 0x0b, 0x04, 0x00, 0x41, 0x00, 0x0b, 0x02, 0x00, 0x0b, /* code */
};

static pid_t agent = -1;
static char journal[64];

static void set_up(void)
{
    int fd;

    world_set_up();
    (void)text_copy(journal, sizeof journal, "/tmp/tcgw-test-coap-XXXXXX");
    fd = mkstemp(journal);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    memcpy(world.code, module, sizeof module);
    world.artifact.code_size = sizeof module;
    world.options.load_timeout_ms = 2000;
    agents_configure(world.agents, &world.options);
}

static void stop_agent(void)
{
    int status = 0;

    if (agent < 0)
        return;
    (void)kill(agent, SIGTERM);
    ck_assert_int_eq(waitpid(agent, &status, 0), agent);
    agent = -1;
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void tear_down(void)
{
    stop_agent();
    (void)unlink(journal);
    world_tear_down();
}

/* Makes the code `size` bytes long with a custom section, which nobody looks into. */
static void pad_code(size_t size)
{
    size_t rest = size - sizeof module - 4; /* id, and a length of three bytes (LEB128) */
    uint8_t *to = world.code + sizeof module;

    *to++ = 0;
    *to++ = (uint8_t)(rest | 0x80);
    *to++ = (uint8_t)(rest >> 7 | 0x80);
    *to++ = (uint8_t)(rest >> 14);
    memset(to, 'p', rest);
    *to = 3; /* of the section's name */
    world.artifact.code_size = size;
}

static void exec_agent(const char *const *arguments, int output)
{
    char *argv[MAX_ARGUMENTS + 1] = {"./tcagent"};
    size_t n = 1;

    for (; arguments[n - 1] && n < MAX_ARGUMENTS; n++)
        argv[n] = (char *)(uintptr_t)arguments[n - 1];
    argv[n] = NULL;
    (void)dup2(output, STDOUT_FILENO);
    (void)execv(argv[0], argv);
    _exit(127);
}

/* Starts tcagent with these arguments and points the device to it. */
static void start_agent(enum agent_kind kind, const char *first, const char *second)
{
    char trust[16 + 2 * KEY_PUBLIC_SIZE], journal_option[80], line[128] = "";
    const char *arguments[] = {kind == AGENT_V1 ? "--agent=v1" : "--agent=v2",
                               "--port=0",
                               trust,
                               journal_option,
                               "--device-id=crate 9",
                               first,
                               second,
                               NULL};
    uint8_t key[KEY_PUBLIC_SIZE];
    char hex[2 * KEY_PUBLIC_SIZE + 1];
    int output[2];
    unsigned port;

    key_public(world.key, key);
    (void)snprintf(trust, sizeof trust, "--trust-key=%s", text_hex(key, sizeof key, hex));
    (void)snprintf(journal_option, sizeof journal_option, "--journal=%s", journal);
    ck_assert_int_eq(pipe(output), 0);
    agent = fork();
    ck_assert_int_ge(agent, 0);
    if (agent == 0)
        exec_agent(arguments, output[1]);
    (void)close(output[1]);
    ck_assert_int_gt(read(output[0], line, sizeof line - 1), 0);
    (void)close(output[0]);
    ck_assert_msg(sscanf(line, "tcagent ready 127.0.0.1:%u", &port) == 1, "tcagent said %s", line);
    (void)snprintf(world.device.address, sizeof world.device.address, "coap://127.0.0.1:%u", port);
    world.device.agent = kind;
}

/* How often the agent says that something happened. */
static unsigned count_events(const char *event)
{
    cleanup_fclose FILE *file = fopen(journal, "r");
    char line[1024], member[64];
    unsigned count = 0;

    (void)snprintf(member, sizeof member, "\"event\":\"%s\"", event);
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        count += strstr(line, member) != NULL;
    return count;
}

/* v1 -------------------------------------------------------------------------------------------------------------- */

START_TEST(v1_container_lives)
{
    start_agent(AGENT_V1, NULL, NULL);
    ck_assert_int_eq(world_call(AGENT_CALL_PROBE), AGENT_OK);
    ck_assert_int_eq(world.call.probe.kind, AGENT_V1);
    ck_assert_str_eq(world.call.probe.reported_id, "crate 9");
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_STOPPED); /* it holds none: the same answer */
    ck_assert_int_eq(world_call(AGENT_CALL_START), AGENT_REFUSED);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    ck_assert_int_eq(world_call(AGENT_CALL_START), AGENT_OK);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_RUNNING);
    ck_assert_int_eq(world_call(AGENT_CALL_STOP), AGENT_UNSUPPORTED);
    ck_assert_int_eq(world_call(AGENT_CALL_REMOVE), AGENT_UNSUPPORTED);
}
END_TEST

/* The last byte that fits arrives; one more gets no answer at all, which is why check() is there. */
START_TEST(v1_takes_what_check_lets_through)
{
    struct fault fault;
    size_t size = 500;

    start_agent(AGENT_V1, NULL, NULL);
    for (pad_code(size); world.port.check(world.port.arg, &world.device, "door", &world.artifact, &fault) == 0;)
        pad_code(++size);
    pad_code(size - 1);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    world.device.caps.pdu_size = 1205;
    pad_code(size);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_NO_ANSWER);
    ck_assert_uint_eq(count_events("load"), 1);
}
END_TEST

START_TEST(v1_refusals_have_no_reason)
{
    struct key *other = key_generate();

    start_agent(AGENT_V1, "--slots=1", NULL);
    world.options.sign_arg = other;
    agents_configure(world.agents, &world.options);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_REFUSED); /* signature */
    world.options.sign_arg = world.key;
    agents_configure(world.agents, &world.options);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_REFUSED); /* slot */
    (void)key_free(other);
}
END_TEST

START_TEST(v1_load_with_a_lost_answer_happens_once)
{
    start_agent(AGENT_V1, "--bug=no-dedup,lose-load-answer=1", NULL);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_NO_ANSWER);
    ck_assert_uint_eq(count_events("load"), 1);
    ck_assert_int_eq(world_call(AGENT_CALL_START), AGENT_OK); /* which settles it */
}
END_TEST

START_TEST(v1_slow_load_is_waited_for)
{
    start_agent(AGENT_V1, "--bug=no-dedup,slow-load=1700", NULL);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK); /* a retransmission would have left by then */
    world_run_for(300);
    ck_assert_uint_eq(count_events("load"), 1);
}
END_TEST

static const struct {
    const char *bug;
    enum agent_outcome outcome;
} bugs[] = {
    {"--bug=garbage-answer=1", AGENT_GARBAGE},
    {"--bug=malformed-answer=1", AGENT_OK},
    {"--bug=lose-answer=1", AGENT_OK},
    {"--bug=silent", AGENT_NO_ANSWER},
    {"--bug=empty-ack-then-separate=300", AGENT_OK},
};

START_TEST(bugs_are_borne)
{
    size_t bug = (size_t)_i / 2;

    start_agent(_i % 2 ? AGENT_V2 : AGENT_V1, bugs[bug].bug, NULL);
    if (world.device.agent == AGENT_V1)
        ck_assert_int_eq(world_call(AGENT_CALL_STATUS), bugs[bug].outcome);
    else /* there is none yet: 4.04 */
        ck_assert_int_eq(world_call(AGENT_CALL_STATUS),
                         bugs[bug].outcome == AGENT_OK ? AGENT_ABSENT : bugs[bug].outcome);
}
END_TEST

/* v2 -------------------------------------------------------------------------------------------------------------- */

static void check_code_digest(void)
{
    uint8_t digest[METADATA_DIGEST_SIZE];
    char hex[2 * METADATA_DIGEST_SIZE + 1];

    token_digest(world.code, (size_t)world.artifact.code_size, NULL, 0, digest);
    ck_assert_str_eq(world.call.artifact_seen, text_hex(digest, sizeof digest, hex));
}

START_TEST(v2_container_lives)
{
    static const size_t sizes[] = {0, 500, 1100, 30000};

    start_agent(AGENT_V2, NULL, NULL);
    if (sizes[_i])
        pad_code(sizes[_i]);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_ABSENT);
    ck_assert_int_eq(world_call(AGENT_CALL_START), AGENT_ABSENT);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    ck_assert_uint_eq(world.call.code_received, COAPMSG_CREATED);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    ck_assert_uint_eq(world.call.code_received, COAPMSG_CHANGED);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_INSTALLED);
    check_code_digest();
    ck_assert_int_eq(world_call(AGENT_CALL_START), AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_RUNNING);
    ck_assert_int_eq(world_call(AGENT_CALL_LOG), AGENT_OK);
    ck_assert_int_eq(world_call(AGENT_CALL_STOP), AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_STOPPED);
    ck_assert_int_eq(world_call(AGENT_CALL_REMOVE), AGENT_OK);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_ABSENT);
}
END_TEST

START_TEST(v2_tells_what_it_is)
{
    start_agent(AGENT_V2, "--slots=2", "--package-max=9000");
    ck_assert_int_eq(world_call(AGENT_CALL_PROBE), AGENT_OK);
    ck_assert_int_eq(world.call.probe.kind, AGENT_V2);
    ck_assert_str_eq(world.call.probe.reported_id, "crate 9");
    ck_assert_int_eq(strncmp(world.call.probe.version, "tcagent ", 8), 0);
    ck_assert_uint_eq(world.call.probe.caps.slots, 2);
    ck_assert_uint_eq(world.call.probe.caps.package_max, 9000);
    ck_assert_uint_ne(world.call.probe.caps.runtimes & 1u << CONTAINER_TYPE_WASM, 0);
}
END_TEST

START_TEST(v2_refusals_have_a_reason)
{
    struct key *other = key_generate();

    start_agent(AGENT_V2, "--slots=1", "--package-max=2000");
    world.options.sign_arg = other;
    agents_configure(world.agents, &world.options);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_UNVERIFIED);
    ck_assert_str_ne(world.call.detail, "");
    world.options.sign_arg = world.key;
    agents_configure(world.agents, &world.options);
    pad_code(3000);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "2000"));
    pad_code(300);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    world_begin(AGENT_CALL_LOG); /* a call to change the uid of */
    world.port.cancel(world.port.arg, &world.call);
    world.call.verb = AGENT_CALL_LOAD;
    (void)text_copy(world.call.uid, sizeof world.call.uid, "window");
    world.port.begin(world.port.arg, &world.call);
    ck_assert(world_run(5000));
    ck_assert_int_eq(world.call.outcome, AGENT_NO_SLOT);
    (void)key_free(other);
}
END_TEST

/* The agent restarts in the middle of the upload and holds nothing any more. */
START_TEST(v2_upload_survives_a_restart)
{
    start_agent(AGENT_V2, "--bug=restart-after=12", NULL);
    pad_code(15000);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_REFUSED); /* it never gets beyond twelve blocks */
    stop_agent();
    start_agent(AGENT_V2, "--bug=restart-after=20", NULL);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_ABSENT);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_ABSENT);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_ABSENT);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_ABSENT);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_ABSENT);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    ck_assert_uint_ge(count_events("restart"), 2);
}
END_TEST

START_TEST(v2_upload_goes_on_after_a_break)
{
    struct agents_stats before, after;

    start_agent(AGENT_V2, NULL, NULL);
    pad_code(60000);
    agents_get_stats(world.agents, &before);
    world_begin(AGENT_CALL_LOAD);
    do {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
        agents_get_stats(world.agents, &after);
    } while (after.requests - before.requests < 30);
    world.port.cancel(world.port.arg, &world.call);
    agents_get_stats(world.agents, &before);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_OK);
    agents_get_stats(world.agents, &after);
    ck_assert_uint_le(after.requests - before.requests, 34); /* of 59 blocks, and one to ask */
    ck_assert_int_eq(world_call(AGENT_CALL_START), AGENT_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap with tcagent");
    TCase *tc = tcase_create("tcagent");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, v1_container_lives);
    tcase_add_test(tc, v1_takes_what_check_lets_through);
    tcase_add_test(tc, v1_refusals_have_no_reason);
    tcase_add_test(tc, v1_load_with_a_lost_answer_happens_once);
    tcase_add_test(tc, v1_slow_load_is_waited_for);
    tcase_add_loop_test(tc, bugs_are_borne, 0, 2 * (int)array_size(bugs));
    tcase_add_loop_test(tc, v2_container_lives, 0, 4);
    tcase_add_test(tc, v2_tells_what_it_is);
    tcase_add_test(tc, v2_refusals_have_a_reason);
    tcase_add_test(tc, v2_upload_survives_a_restart);
    tcase_add_test(tc, v2_upload_goes_on_after_a_break);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
