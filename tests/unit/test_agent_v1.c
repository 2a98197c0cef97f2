/* The v1 agent: requests and answers of the public one, its limits, and each of its bugs. */
#include "agent_fixture.h"
#include "suite.h"

#include "agent/v1.h"
#include "base/text.h"
#include "codec/cborio.h"

#include <string.h>

enum { LOAD = 1, START, IS_RUNNING, STOP, DELETE };

START_TEST(test_load_start_status)
{
    struct fixture *f = fixture_new(DEVICE_V1, "");
    const struct coapmsg_option *status;

    ck_assert_int_eq(fixture_v1_status(f, "job"), 0); /* unknown reads as stopped */
    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_int_eq(fixture_v1_status(f, "job"), 0);
    status = coapmsg_find(&f->answer, V1_OPT_STATUS);
    ck_assert_ptr_nonnull(status);
    ck_assert_uint_eq(status->length, 0); /* zero has no bytes */
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, START, "job"), COAPMSG_CHANGED);
    ck_assert_int_eq(fixture_v1_status(f, "job"), 1);
    fixture_pass(f, 1000);
    ck_assert_int_eq(fixture_v1_status(f, "job"), 1);
    ck_assert_uint_ge(container_counters(f->agent.device.slots[0].container).loops, 9); /* it really ran */
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, START, "other"), COAPMSG_INTERNAL_ERROR);
    ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", "\"outcome\":\"ok\""), 1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"start\"", "\"uid\":\"job\""), 1);
    ck_assert_uint_eq(
        fixture_journal_count(f, "\"start\"", "\"uid\":\"other\",\"outcome\":\"refused\",\"code\":\"5.00\""), 1);
    fixture_end(f);
}
END_TEST

START_TEST(test_path_as_one_segment)
{
    struct fixture *f = fixture_new(DEVICE_V1, "");
    struct coapmsg request;

    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    request.id = 1;
    coapmsg_add_text(&request, COAPMSG_OPT_URI_PATH, "container/");
    coapmsg_add_uint(&request, V1_OPT_ACTION, IS_RUNNING);
    coapmsg_add_text(&request, V1_OPT_UID, "x");
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CONTENT);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/container", NULL), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/container//", NULL), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/", NULL), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_NOT_FOUND);
    fixture_end(f);
}
END_TEST

START_TEST(test_actions_and_methods)
{
    static const uint8_t right[] = {0, COAPMSG_POST, COAPMSG_PUT, COAPMSG_GET, COAPMSG_PUT, COAPMSG_DELETE};
    struct fixture *f = fixture_new(DEVICE_V1, "");

    for (unsigned action = LOAD; action <= DELETE; action++)
        for (uint8_t method = COAPMSG_GET; method <= COAPMSG_DELETE; method++)
            if (method != right[action])
                ck_assert_uint_eq(fixture_v1(f, method, action, "x"), COAPMSG_METHOD_NOT_ALLOWED);
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, STOP, "x"), COAPMSG_NOT_IMPLEMENTED);
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_DELETE, DELETE, "x"), COAPMSG_NOT_IMPLEMENTED);
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, 6, "x"), COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, 0, "x"), COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, START, NULL), COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_GET, IS_RUNNING, NULL), COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_PUT, "/container/", NULL), COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(f->agent.device.counters.damaged, 0);
    fixture_end(f);
}
END_TEST

/* A load with parts as they are given; NULL leaves one out. */
static uint8_t load_parts(struct fixture *f, const struct buffer *metadata, const char *data, const char *code,
                          size_t code_size)
{
    struct coapmsg request;

    fixture_request(f, &request, COAPMSG_POST, "/container/");
    coapmsg_add_uint(&request, V1_OPT_ACTION, LOAD);
    if (metadata)
        coapmsg_add(&request, V1_OPT_METADATA, metadata->data, metadata->size);
    if (data)
        coapmsg_add_text(&request, V1_OPT_DATA, data);
    if (code)
        coapmsg_add(&request, V1_OPT_CODE, code, code_size);
    fixture_send(f, &request);
    return f->answer.code;
}

START_TEST(test_load_with_missing_or_wrong_parts)
{
    struct fixture *f = fixture_new(DEVICE_V1, "");
    cleanup_buffer struct buffer metadata = {0};
    const char *code = (const char *)code_runs.bytes;

    fixture_metadata(f, "job", code_runs, "data", 4, &metadata);
    ck_assert_uint_eq(load_parts(f, NULL, "data", code, code_runs.size), COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(load_parts(f, &metadata, NULL, code, code_runs.size), COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(load_parts(f, &metadata, "data", NULL, 0), COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(load_parts(f, &metadata, "data", code, 0), COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(load_parts(f, &metadata, "date", code, code_runs.size), COAPMSG_INTERNAL_ERROR);
    ck_assert_uint_eq(load_parts(f, &metadata, "data", code, code_runs.size - 1), COAPMSG_INTERNAL_ERROR);
    metadata.data[20] ^= 1;
    ck_assert_uint_eq(load_parts(f, &metadata, "data", code, code_runs.size), COAPMSG_INTERNAL_ERROR);
    metadata.data[20] ^= 1;
    metadata.size--;
    ck_assert_uint_eq(load_parts(f, &metadata, "data", code, code_runs.size), COAPMSG_INTERNAL_ERROR);
    metadata.size++;
    ck_assert_uint_eq(f->agent.device.slots_used, 0);
    ck_assert_uint_eq(load_parts(f, &metadata, "data", code, code_runs.size), COAPMSG_CREATED);
    ck_assert_uint_eq(f->agent.device.counters.damaged, 0);
    fixture_end(f);
}
END_TEST

START_TEST(test_slots_run_out_and_uids_are_unique)
{
    struct fixture *f = fixture_new(DEVICE_V1, "");

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_load(f, "a", code_ends), COAPMSG_INTERNAL_ERROR);
    ck_assert_uint_eq(fixture_load(f, "b", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_load(f, "c", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_load(f, "d", code_runs), COAPMSG_INTERNAL_ERROR);
    ck_assert_uint_eq(fixture_journal_count(f, "\"uid\":\"d\"", "no slot is free"), 1);
    agent_restart(&f->agent, false);
    ck_assert_uint_eq(fixture_load(f, "d", code_runs), COAPMSG_CREATED);
    fixture_end(f);
}
END_TEST

START_TEST(test_verification)
{
    struct device_options options = {.kind = DEVICE_V1, .slots = 3, .verify.has_key = true};
    struct fixture *f = fixture_new_with(&options, 1204);

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_INTERNAL_ERROR); /* another key signed it */
    key_public(f->key, f->options.device.verify.key);
    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    fixture_end(f);
}
END_TEST

START_TEST(test_no_verify_takes_anything)
{
    struct device_options options = {.kind = DEVICE_V1, .slots = 3, .verify.skip = true};
    struct fixture *f = fixture_new_with(&options, 1204);
    cleanup_buffer struct buffer metadata = {0};

    fixture_metadata(f, "job", code_runs, "data", 4, &metadata);
    ck_assert_uint_eq(load_parts(f, &metadata, "other", "not wasm", 8), COAPMSG_CREATED);
    fixture_end(f);
}
END_TEST

START_TEST(test_bug_old_hash)
{
    struct device_options options = {.kind = DEVICE_V1, .slots = 3, .verify.old_hash = true};
    struct fixture *f = fixture_new_with(&options, 1204);

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_INTERNAL_ERROR);
    ck_assert_uint_eq(fixture_journal_count(f, "refused", "metadata token does not match"), 1);
    fixture_end(f);
}
END_TEST

/* What cannot run looks like running for a moment: load and start prove nothing. */
START_TEST(test_broken_code_is_seen_late)
{
    static const struct code *const dies[] = {&code_broken, &code_traps, &code_ends};

    for (size_t i = 0; i < array_size(dies); i++) {
        struct fixture *f = fixture_new(DEVICE_V1, "");

        ck_assert_uint_eq(fixture_load(f, "a", *dies[i]), COAPMSG_CREATED);
        ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, START, "a"), COAPMSG_CHANGED);
        ck_assert_int_eq(fixture_v1_status(f, "a"), 1);
        fixture_pass(f, DEVICE_DEATH_MS - 1);
        ck_assert_int_eq(fixture_v1_status(f, "a"), 1);
        fixture_pass(f, 1);
        ck_assert_int_eq(fixture_v1_status(f, "a"), 0);
        fixture_end(f);
    }
}
END_TEST

START_TEST(test_bug_start_dies)
{
    struct fixture *f = fixture_new(DEVICE_V1, "start-dies");

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, START, "a"), COAPMSG_CHANGED);
    ck_assert_int_eq(fixture_v1_status(f, "a"), 1);
    fixture_pass(f, DEVICE_DEATH_MS);
    ck_assert_int_eq(fixture_v1_status(f, "a"), 0);
    ck_assert_int_eq(container_state(f->agent.device.slots[0].container), CONTAINER_STOPPED);
    fixture_end(f);
}
END_TEST

START_TEST(test_ended_container_can_be_restarted_unless_bug)
{
    static const char *const bugs[] = {"", "ended-not-restartable"};

    for (size_t i = 0; i < array_size(bugs); i++) {
        struct fixture *f = fixture_new(DEVICE_V1, bugs[i]);
        struct slot *slot = &f->agent.device.slots[0];

        ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
        ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, START, "a"), COAPMSG_CHANGED);
        container_stop(slot->container);
        ck_assert_int_eq(fixture_v1_status(f, "a"), 0);
        ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, START, "a"), COAPMSG_CHANGED);
        ck_assert_int_eq(fixture_v1_status(f, "a"), 1);
        fixture_pass(f, 200);
        ck_assert_int_eq(fixture_v1_status(f, "a"), i == 0);
        fixture_end(f);
    }
}
END_TEST

START_TEST(test_bug_duplicate_uid)
{
    struct fixture *f = fixture_new(DEVICE_V1, "duplicate-uid");

    ck_assert_uint_eq(fixture_load(f, "a", code_ends), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(f->agent.device.slots_used, 2);
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, START, "a"), COAPMSG_CHANGED);
    fixture_pass(f, 100);
    ck_assert_int_eq(fixture_v1_status(f, "a"), 0); /* the first was started, which ends at once */
    fixture_end(f);
}
END_TEST

START_TEST(test_bug_no_dedup_loads_again)
{
    static const char *const bugs[] = {"duplicate-uid", "duplicate-uid,no-dedup"};

    for (size_t i = 0; i < array_size(bugs); i++) {
        struct fixture *f = fixture_new(DEVICE_V1, bugs[i]);

        for (int n = 0; n < 3; n++) {
            f->next_id = 7;
            ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
        }
        ck_assert_uint_eq(f->agent.device.slots_used, i == 0 ? 1 : 3);
        ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", "\"message_id\":7"), i == 0 ? 1 : 3);
        fixture_end(f);
    }
}
END_TEST

START_TEST(test_bug_lose_load_answer)
{
    struct fixture *f = fixture_new(DEVICE_V1, "lose-load-answer=1");

    ck_assert_int_eq(fixture_v1_status(f, "a"), 0); /* not a load: answered */
    ck_assert_uint_eq(fixture_load(f, "a", code_runs), 0);
    ck_assert_uint_eq(f->agent.device.slots_used, 1);
    ck_assert_uint_eq(fixture_load(f, "b", code_runs), COAPMSG_CREATED);
    fixture_end(f);
}
END_TEST

START_TEST(test_bug_slow_load)
{
    struct fixture *f = fixture_new(DEVICE_V1, "slow-load=500");

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), 0);
    ck_assert(agent_busy(&f->agent));
    ck_assert_uint_eq(fixture_v1(f, COAPMSG_GET, IS_RUNNING, "a"), 0);
    fixture_pass(f, 499);
    ck_assert_uint_eq(f->sent_count, 0);
    fixture_pass(f, 1);
    ck_assert(!agent_busy(&f->agent));
    ck_assert_uint_eq(f->sent_count, 1);
    ck_assert_int_eq(coapmsg_decode(&f->answer, f->sent[0].data, f->sent[0].size), 0);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CREATED);
    ck_assert_int_eq(f->answer.type, COAPMSG_ACK);
    ck_assert_int_eq(fixture_v1_status(f, "a"), 0);
    fixture_end(f);
}
END_TEST

/* Metadata of three parts, each of which can be left out; the uid as long as wished. */
static void damaging_metadata(size_t uid_size, bool endpoints, bool security, struct buffer *out)
{
    uint8_t part[256], uid[100];
    struct cborio_writer w, inner = cborio_writer_init(part, sizeof part);

    memset(uid, 'u', sizeof uid);
    cborio_put_map(&inner, 2);
    cborio_put_uint(&inner, 2);
    cborio_put_uint(&inner, CONTAINER_TYPE_WASM);
    cborio_put_uint(&inner, 1);
    cborio_put_bytes(&inner, uid, uid_size);
    w = cborio_writer_init(buffer_reserve(out, 1024), 1024);
    cborio_put_tag(&w, 6082514239057121876u);
    cborio_put_map(&w, 1u + endpoints + security);
    cborio_put_uint(&w, 1);
    cborio_put_bytes(&w, part, cborio_written(&inner));
    for (unsigned key = 2; key <= 3; key++) {
        if (!(key == 2 ? endpoints : security))
            continue;
        cborio_put_uint(&w, key);
        cborio_put_bytes(&w, "\x80", 1);
    }
    out->size = cborio_written(&w);
}

START_TEST(test_uids_that_damage)
{
    static const struct {
        size_t size;
        bool damages;
    } cases[] = {{0, true}, {1, false}, {63, false}, {64, true}, {100, true}};

    for (size_t i = 0; i < array_size(cases); i++) {
        struct fixture *f = fixture_new(DEVICE_V1, "");
        cleanup_buffer struct buffer metadata = {0};

        ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
        ck_assert_uint_eq(fixture_load(f, "b", code_runs), COAPMSG_CREATED);
        ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, START, "b"), COAPMSG_CHANGED);
        damaging_metadata(cases[i].size, true, true, &metadata);
        ck_assert_uint_eq(load_parts(f, &metadata, "", "x", 1), COAPMSG_INTERNAL_ERROR);
        ck_assert_uint_eq(f->agent.device.counters.damaged, cases[i].damages);
        ck_assert_uint_eq(fixture_journal_count(f, "\"damaged\"", ""), cases[i].damages);
        ck_assert_int_eq(fixture_v1_status(f, "b"), !cases[i].damages); /* the last loaded one is lost */
        ck_assert_uint_eq(f->agent.device.slots_used, cases[i].damages ? 1 : 2);
        fixture_end(f);
    }
}
END_TEST

START_TEST(test_uid_option_that_damages)
{
    struct fixture *f = fixture_new(DEVICE_V1, "");
    char uid[65] = "";

    (void)fixture_v1(f, COAPMSG_PUT, START, uid);
    ck_assert_uint_eq(f->agent.device.counters.damaged, 1);
    memset(uid, 'u', 64);
    (void)fixture_v1(f, COAPMSG_GET, IS_RUNNING, uid);
    ck_assert_uint_eq(f->agent.device.counters.damaged, 2);
    uid[63] = 0;
    (void)fixture_v1(f, COAPMSG_GET, IS_RUNNING, uid);
    ck_assert_uint_eq(f->agent.device.counters.damaged, 2);
    fixture_end(f);
}
END_TEST

START_TEST(test_missing_parts_crash_until_restart)
{
    for (int missing = 2; missing <= 3; missing++) {
        struct fixture *f = fixture_new(DEVICE_V1, "");
        cleanup_buffer struct buffer metadata = {0};

        ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
        ck_assert_uint_eq(fixture_v1(f, COAPMSG_PUT, START, "a"), COAPMSG_CHANGED);
        damaging_metadata(4, missing != 2, missing != 3, &metadata);
        ck_assert_uint_eq(load_parts(f, &metadata, "", "x", 1), 0);
        ck_assert_uint_eq(f->agent.device.counters.damaged, 1);
        ck_assert_uint_eq(fixture_v1(f, COAPMSG_GET, IS_RUNNING, "a"), 0);
        ck_assert_int_eq(agent_deadline(&f->agent), AGENT_NO_DEADLINE);
        agent_restart(&f->agent, false);
        ck_assert_int_eq(fixture_v1_status(f, "a"), 0);
        fixture_end(f);
    }
}
END_TEST

static uint8_t post_id(struct fixture *f, size_t size)
{
    char text[100];
    struct coapmsg request;

    memset(text, 'i', sizeof text);
    fixture_request(f, &request, COAPMSG_POST, "/device-id/");
    coapmsg_set_payload(&request, text, size);
    fixture_send(f, &request);
    return f->answer.code;
}

START_TEST(test_device_id)
{
    struct fixture *f = fixture_new(DEVICE_V1, "");
    uint32_t value;

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/device-id/", NULL), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(post_id(f, 0), COAPMSG_BAD_REQUEST);
    ck_assert_uint_eq(post_id(f, 65), COAPMSG_TOO_LARGE);
    ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_SIZE1, &value));
    ck_assert_uint_eq(value, 64);
    ck_assert_uint_eq(post_id(f, 64), COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/device-id/", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(f->answer.payload_size, 64);
    ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_CONTENT_FORMAT, &value));
    ck_assert_uint_eq(value, COAPMSG_FORMAT_OCTETS);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/device-id/", NULL), COAPMSG_METHOD_NOT_ALLOWED);
    agent_restart(&f->agent, false);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/device-id/", NULL), COAPMSG_NOT_FOUND);
    fixture_end(f);
}
END_TEST

START_TEST(test_discovery_has_no_attributes_and_no_filter)
{
    struct fixture *f = fixture_new(DEVICE_V1, "");
    static const char links[] = "</container/>,</device-id/>";

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/.well-known/core", "rt=tinycontainer"), COAPMSG_CONTENT);
    ck_assert_uint_eq(f->answer.payload_size, strlen(links));
    ck_assert_mem_eq(f->answer.payload, links, strlen(links));
    fixture_end(f);
}
END_TEST

START_TEST(test_observe_is_echoed)
{
    struct fixture *f = fixture_new(DEVICE_V1, "");
    struct coapmsg request;
    uint32_t observe;

    fixture_request(f, &request, COAPMSG_GET, "/container/");
    coapmsg_add_uint(&request, V1_OPT_ACTION, IS_RUNNING);
    coapmsg_add_text(&request, V1_OPT_UID, "a");
    coapmsg_add_uint(&request, COAPMSG_OPT_OBSERVE, 0);
    fixture_send(f, &request);
    ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_OBSERVE, &observe));
    ck_assert_uint_eq(observe, 0);
    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(f->sent_count, 1); /* no notification comes */
    fixture_end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent v1");
    TCase *tc = tcase_create("v1");

    tcase_add_test(tc, test_load_start_status);
    tcase_add_test(tc, test_path_as_one_segment);
    tcase_add_test(tc, test_actions_and_methods);
    tcase_add_test(tc, test_load_with_missing_or_wrong_parts);
    tcase_add_test(tc, test_slots_run_out_and_uids_are_unique);
    tcase_add_test(tc, test_verification);
    tcase_add_test(tc, test_no_verify_takes_anything);
    tcase_add_test(tc, test_bug_old_hash);
    tcase_add_test(tc, test_broken_code_is_seen_late);
    tcase_add_test(tc, test_bug_start_dies);
    tcase_add_test(tc, test_ended_container_can_be_restarted_unless_bug);
    tcase_add_test(tc, test_bug_duplicate_uid);
    tcase_add_test(tc, test_bug_no_dedup_loads_again);
    tcase_add_test(tc, test_bug_lose_load_answer);
    tcase_add_test(tc, test_bug_slow_load);
    tcase_add_test(tc, test_uids_that_damage);
    tcase_add_test(tc, test_uid_option_that_damages);
    tcase_add_test(tc, test_missing_parts_crash_until_restart);
    tcase_add_test(tc, test_device_id);
    tcase_add_test(tc, test_discovery_has_no_attributes_and_no_filter);
    tcase_add_test(tc, test_observe_is_echoed);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
