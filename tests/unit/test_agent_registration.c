/* The agent in its gateway's directory (RFC 9176), and asleep. */
#include "agent_plain.h"
#include "suite.h"

#include <string.h>

#define LIFETIME 100 /* s */
#define UPDATE_MS (LIFETIME * 750)

static struct fixture *begin(const struct nap_options *nap)
{
    struct agent_options options = {
        .traffic.registration = {.kind = REGISTRATION_FULL, .lifetime = LIFETIME, .name = "box"}};

    if (nap)
        options.nap = *nap;
    return plain_new(&options);
}

/* Answers the discovery with a directory at /dir. */
static void be_found(struct fixture *f)
{
    static const char links[] = "</t>;rt=\"tcgw.telemetry\",</dir>;rt=\"x core.rd\";ct=40";
    struct coapmsg reply;

    plain_expect(f, COAPMSG_GET, "/.well-known/core");
    ck_assert(plain_has_query(f, "rt=core.rd*"));
    coapmsg_init(&reply, COAPMSG_ACK, 0);
    coapmsg_add_uint(&reply, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_LINK);
    coapmsg_set_payload(&reply, links, sizeof links - 1);
    plain_reply(f, &reply, COAPMSG_CONTENT);
}

static void reply_created(struct fixture *f, const char *location)
{
    struct coapmsg reply;

    coapmsg_init(&reply, COAPMSG_ACK, 0);
    while (*location) {
        size_t length = strcspn(++location, "/");

        coapmsg_add(&reply, COAPMSG_OPT_LOCATION_PATH, location, length);
        location += length;
    }
    plain_reply(f, &reply, COAPMSG_CREATED);
}

static void be_registered(struct fixture *f)
{
    uint32_t format;

    plain_expect(f, COAPMSG_POST, "/dir");
    ck_assert(plain_has_query(f, "ep=box"));
    ck_assert(plain_has_query(f, "lt=100"));
    ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_CONTENT_FORMAT, &format) && format == COAPMSG_FORMAT_LINK);
    ck_assert(plain_contains(f, "</sensors/temperature>"));
    reply_created(f, "/dir/4711");
}

START_TEST(test_lives_in_the_directory)
{
    struct fixture *f = begin(NULL);

    plain_pass(f, 1);
    be_found(f);
    be_registered(f);
    ck_assert_uint_eq(fixture_journal_count(f, "\"register\"", "/dir/4711"), 1);
    for (int i = 0; i < 3; i++) {
        plain_pass(f, UPDATE_MS - 1);
        ck_assert(!plain_take(f));
        plain_pass(f, 2);
        plain_expect(f, COAPMSG_POST, "/dir/4711");
        ck_assert_uint_eq(f->answer.payload_size, 0);
        plain_reply_code(f, COAPMSG_CHANGED);
    }
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "acknowledged"), 3);

    ck_assert(agent_end(&f->agent));
    agent_tick(&f->agent);
    plain_expect(f, COAPMSG_DELETE, "/dir/4711");
    ck_assert(agent_end(&f->agent));
    plain_reply_code(f, COAPMSG_DELETED);
    ck_assert(!agent_end(&f->agent));
    plain_pass(f, 1000000);
    ck_assert(!plain_take(f));
    fixture_end(f);
}
END_TEST

START_TEST(test_registers_anew)
{
    struct fixture *f = begin(NULL);

    plain_pass(f, 1);
    be_found(f);
    be_registered(f);
    plain_pass(f, UPDATE_MS + 1);
    plain_expect(f, COAPMSG_POST, "/dir/4711");
    plain_reply_code(f, COAPMSG_NOT_FOUND); /* it was forgotten */
    be_registered(f);
    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    plain_expect(f, COAPMSG_POST, "/dir"); /* other links */
    ck_assert(plain_contains(f, "</tc/c/job>"));
    reply_created(f, "/dir/4711");
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert(!plain_take(f)); /* no link changed */
    agent_restart(&f->agent, false);
    plain_pass(f, 1);
    be_found(f);
    be_registered(f);
    fixture_end(f);
}
END_TEST

/* Nobody there, no directory, refused, too often: with pauses that grow, and then it works. */
START_TEST(test_failures)
{
    static const uint8_t refusals[] = {COAPMSG_UNAUTHORIZED, COAPMSG_CODE(4, 29), COAPMSG_UNAVAILABLE,
                                       COAPMSG_NOT_FOUND};
    struct fixture *f = begin(NULL);
    struct coapmsg reply;
    int64_t waited = 0, before;

    plain_pass(f, 1);
    plain_expect(f, COAPMSG_GET, "/.well-known/core");
    plain_pass(f, 100000);
    ck_assert_uint_eq(fixture_journal_count(f, "\"discover\"", "unanswered"), 1);
    plain_expect(f, COAPMSG_GET, "/.well-known/core");
    coapmsg_init(&reply, COAPMSG_ACK, 0);
    coapmsg_set_payload(&reply, "</rd>;rt=\"core.rd-lookup-ep\",<", 30);
    plain_reply(f, &reply, COAPMSG_CONTENT);
    (void)plain_wait(f, 10000);
    be_found(f);
    for (size_t i = 0; i < array_size(refusals); i++) {
        plain_expect(f, COAPMSG_POST, "/dir");
        plain_reply_code(f, refusals[i]);
        before = waited;
        waited = plain_wait(f, 100000);
        ck_assert_int_gt(waited, before);
    }
    be_found(f); /* not found: it has looked for the directory again */
    plain_expect(f, COAPMSG_POST, "/dir");
    coapmsg_init(&reply, COAPMSG_ACK, 0);
    plain_reply(f, &reply, COAPMSG_CREATED); /* created where? */
    ck_assert_uint_eq(fixture_journal_count(f, "\"register\"", "acknowledged"), 0);
    (void)plain_wait(f, 100000);
    be_registered(f);
    ck_assert_uint_eq(fixture_journal_count(f, "\"register\"", "acknowledged"), 1);
    fixture_end(f);
}
END_TEST

START_TEST(test_max_age_is_waited_for)
{
    struct fixture *f = begin(NULL);
    struct coapmsg reply;

    plain_pass(f, 1);
    be_found(f);
    plain_expect(f, COAPMSG_POST, "/dir");
    coapmsg_init(&reply, COAPMSG_ACK, 0);
    coapmsg_add_uint(&reply, COAPMSG_OPT_MAX_AGE, 90);
    plain_reply(f, &reply, COAPMSG_CODE(4, 29));
    plain_pass(f, 89999);
    ck_assert(!plain_take(f));
    plain_pass(f, 2);
    be_registered(f);
    fixture_end(f);
}
END_TEST

START_TEST(test_simple_registration)
{
    struct agent_options options = {.device.id = "dev",
                                    .traffic.registration = {.kind = REGISTRATION_SIMPLE, .lifetime = LIFETIME}};
    struct fixture *f = plain_new(&options);

    plain_pass(f, 1);
    for (int i = 0; i < 2; i++) {
        plain_expect(f, COAPMSG_POST, "/.well-known/rd");
        ck_assert(plain_has_query(f, "ep=dev"));
        ck_assert_uint_eq(f->answer.payload_size, 0);
        plain_reply_code(f, COAPMSG_CHANGED);
        plain_pass(f, UPDATE_MS + 1);
    }
    plain_expect(f, COAPMSG_POST, "/.well-known/rd");
    plain_reply_code(f, COAPMSG_CHANGED);
    ck_assert(!agent_end(&f->agent)); /* cannot be removed */
    fixture_end(f);
}
END_TEST

START_TEST(test_names)
{
    struct agent_options options = {.traffic.registration = {.kind = REGISTRATION_SIMPLE, .lifetime = 1}};
    const char *const names[] = {"of-the-credentials"};
    struct fixture *f;

    f = plain_new(&options);
    (void)snprintf(f->agent.device.name, sizeof f->agent.device.name, "5683");
    plain_pass(f, 1);
    plain_expect(f, COAPMSG_POST, "/.well-known/rd");
    ck_assert(plain_has_query(f, "ep=tcagent-5683"));
    fixture_end(f);
    options.names = names;
    f = plain_new(&options);
    plain_pass(f, 1);
    plain_expect(f, COAPMSG_POST, "/.well-known/rd");
    ck_assert(plain_has_query(f, "ep=of-the-credentials"));
    fixture_end(f);
}
END_TEST

START_TEST(test_sleep)
{
    const struct nap_options nap = {.sleep_s = 60, .awake_ms = 500};
    struct fixture *f = begin(&nap);

    plain_pass(f, 1);
    be_found(f);
    ck_assert(plain_take(f) && plain_has_query(f, "sleep=60") && plain_has_query(f, "awake=500"));
    be_registered(f);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    plain_pass(f, 490);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT); /* which does not count */
    plain_pass(f, 20);
    ck_assert(f->agent.nap.asleep);
    (void)fixture_ask(f, COAPMSG_GET, "/tc", NULL);
    ck_assert_uint_eq(f->sent_count, 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_gt(plain_wait(f, 60000), 59000);
        plain_expect(f, COAPMSG_POST, "/dir/4711");
        fixture_pass(f, 50);
        plain_reply_code(f, COAPMSG_CHANGED);
        plain_pass(f, 490);
        ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
        plain_pass(f, 20);
        (void)fixture_ask(f, COAPMSG_GET, "/tc", NULL);
        ck_assert_uint_eq(f->sent_count, 0);
    }
    fixture_end(f);
}
END_TEST

/* It waits for the answer as long as CoAP says, and sleeps then. */
START_TEST(test_wakes_for_nobody)
{
    const struct nap_options nap = {.sleep_s = 200, .awake_ms = 100};
    struct fixture *f = begin(&nap);

    plain_pass(f, 50000);
    ck_assert(!f->agent.nap.asleep);
    plain_pass(f, 55000);
    ck_assert(f->agent.nap.asleep);
    plain_pass(f, 100000);
    plain_expect(f, COAPMSG_GET, "/.well-known/core");
    ck_assert(agent_end(&f->agent) == false); /* it was never there */
    fixture_end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent registration");
    TCase *tcase = tcase_create("agent registration");

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_lives_in_the_directory);
    tcase_add_test(tcase, test_registers_anew);
    tcase_add_test(tcase, test_failures);
    tcase_add_test(tcase, test_max_age_is_waited_for);
    tcase_add_test(tcase, test_simple_registration);
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_sleep);
    tcase_add_test(tcase, test_wakes_for_nobody);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
