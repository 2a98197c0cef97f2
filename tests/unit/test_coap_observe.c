#include "coap_guard.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

/* Observations of a device's resource. */

static struct agent_observation observation;
static unsigned notified, ended;
static enum agent_outcome outcome;
static char last[4000];
static size_t last_size;
static uint8_t last_code;
static bool unobserve_within;

static void on_notify(struct agent_observation *o, const struct agent_response *response)
{
    notified++;
    last_code = response->code;
    last_size = response->body_size;
    ck_assert_uint_lt(last_size, sizeof last);
    if (last_size)
        memcpy(last, response->body, last_size);
    last[last_size] = 0;
    if (unobserve_within)
        world.port.unobserve(world.port.arg, o);
}

static void on_ended(struct agent_observation *o, enum agent_outcome why, const char *detail)
{
    (void)detail;
    ck_assert_ptr_null(o->driver);
    ended++;
    outcome = why;
}

static void set_up(void)
{
    guard_set_up();
    notified = ended = 0;
    unobserve_within = false;
    observation = (struct agent_observation){
        .device = &world.device, .path = "/tc/c", .accept = -1, .limit = 3000, .notify = on_notify, .ended = on_ended};
}

static void set_up_plain(void)
{
    set_up();
    fake_keyring_revoke_all(&world.core, &world.device);
}

static void observe(void)
{
    unsigned before = notified + ended;

    world.port.observe(world.port.arg, &observation);
    ck_assert_uint_eq(notified + ended, before);
    world_run_for(150);
}

static bool observes(const struct coapmsg *request, uint32_t value)
{
    uint32_t observed;

    return coapmsg_get_uint(request, COAPMSG_OPT_OBSERVE, &observed) && observed == value;
}

/* With OSCORE ----------------------------------------------------------------------------------------------------- */

/* What the device keeps of the registration. */
static struct {
    struct oscore_binding binding;
    struct oscore_context *context;
    uint8_t token[8], token_length;
    unsigned count, left;
    uint16_t id;
    uint32_t max_age;
} registration;

static void take_registration(struct guard *g)
{
    struct coapmsg response;

    (void)g;
    if (observes(&guard.request, 1)) {
        registration.left++;
        guard_answer(COAPMSG_CONTENT, "bye");
        return;
    }
    ck_assert(observes(&guard.request, 0));
    registration.count++;
    guard_prepare(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add_uint(&response, COAPMSG_OPT_OBSERVE, 1);
    if (registration.max_age)
        coapmsg_add_uint(&response, COAPMSG_OPT_MAX_AGE, registration.max_age);
    coapmsg_set_payload(&response, "first", 5);
    guard_send(&response, 0);
    registration.binding = guard.binding;
    registration.context = guard.used;
    registration.token_length = world.box.request.token_length;
    memcpy(registration.token, world.box.request.token, registration.token_length);
}

static void set_up_registration(void)
{
    set_up();
    memset(&registration, 0, sizeof registration);
    registration.id = 1000;
    guard.script = take_registration;
    observe();
    ck_assert_uint_eq(notified, 1);
    ck_assert_str_eq(last, "first");
    ck_assert_uint_eq(registration.count, 1);
}

/* A notification as a datagram. */
static size_t make_notification(const char *text, uint8_t *out, size_t size)
{
    struct coapmsg response, outer;

    coapmsg_init(&response, COAPMSG_CON, COAPMSG_CONTENT);
    response.id = registration.id++;
    coapmsg_set_token(&response, registration.token, registration.token_length);
    coapmsg_add_uint(&response, COAPMSG_OPT_OBSERVE, 0);
    coapmsg_set_payload(&response, text, strlen(text));
    ck_assert_int_eq(oscore_protect_response(registration.context, &registration.binding, &response, 0, &outer,
                                             guard.out, sizeof guard.out),
                     0);
    return coapmsg_encode(&outer, out, size);
}

static void notify(const char *text)
{
    uint8_t out[1500];
    size_t size = make_notification(text, out, sizeof out);

    box_send_raw(&world.box, out, size);
    world_run_for(10);
}

START_TEST(hundred_notifications)
{
    char text[16];

    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof text, "n%u", i);
        notify(text);
        ck_assert_str_eq(last, text);
    }
    ck_assert_uint_eq(notified, 101);
    ck_assert_uint_eq(world.box.acks, 100);
    ck_assert_uint_eq(world.box.resets, 0);
}
END_TEST

static void set_id(uint8_t *datagram)
{
    datagram[2] = (uint8_t)(registration.id >> 8);
    datagram[3] = (uint8_t)registration.id++;
}

/* Each of them authentic; copies with another message ID, so that the message layer lets them through. */
START_TEST(replayed_and_reordered_notifications)
{
    uint8_t datagrams[5][200];
    size_t sizes[5];
    static const unsigned order[] = {1, 0, 3, 1, 2, 4, 4, 0}, new_until[] = {1, 1, 2, 2, 2, 3, 3, 3};
    char text[2] = "0";

    for (unsigned i = 0; i < 5; i++) {
        text[0] = (char)('0' + i);
        sizes[i] = make_notification(text, datagrams[i], sizeof datagrams[i]);
    }
    for (unsigned i = 0; i < array_size(order); i++) {
        set_id(datagrams[order[i]]);
        box_send_raw(&world.box, datagrams[order[i]], sizes[order[i]]);
        world_run_for(10);
        ck_assert_uint_eq(notified, 1 + new_until[i]);
    }
    ck_assert_str_eq(last, "4");
    ck_assert_uint_gt(world.device.credentials->counters.replays, 0);
}
END_TEST

START_TEST(forged_notifications_end_nothing)
{
    uint8_t datagram[200];
    size_t size = make_notification("flipped", datagram, sizeof datagram);
    struct coapmsg plain;

    datagram[size - 1] ^= 1;
    box_send_raw(&world.box, datagram, size);
    coapmsg_init(&plain, COAPMSG_NON, COAPMSG_UNAUTHORIZED);
    plain.id = registration.id++;
    coapmsg_set_token(&plain, registration.token, registration.token_length);
    box_send(&world.box, &plain);
    world_run_for(50);
    ck_assert_uint_eq(notified, 1);
    ck_assert_uint_eq(ended, 0);
    notify("genuine");
    ck_assert_uint_eq(notified, 2);
}
END_TEST

START_TEST(device_is_told_of_the_end)
{
    world.port.unobserve(world.port.arg, &observation);
    ck_assert_ptr_null(observation.driver);
    world_run_for(100);
    ck_assert_uint_eq(registration.left, 1);
    ck_assert_uint_eq(world.box.request.token_length, registration.token_length);
    ck_assert_mem_eq(world.box.request.token, registration.token, registration.token_length);
    notify("too late");
    ck_assert_uint_eq(world.box.resets, 1);
    ck_assert_uint_eq(notified, 1);
    ck_assert_uint_eq(ended, 0);
}
END_TEST

START_TEST(ended_from_within)
{
    unobserve_within = true;
    notify("enough");
    world_run_for(100);
    ck_assert_uint_eq(notified, 2);
    ck_assert_uint_eq(registration.left, 1);
}
END_TEST

/* The owner may free the device at once. */
START_TEST(device_may_go_with_the_observation)
{
    world.port.unobserve(world.port.arg, &observation);
    fake_keyring_revoke_all(&world.core, &world.device);
    memset(&world.device, 0x5a, sizeof world.device);
    world.device.credentials = NULL;
    world_run_for(100);
    ck_assert_uint_eq(registration.left, 1);
}
END_TEST

START_TEST(revocation_ends_it)
{
    fake_keyring_revoke_all(&world.core, &world.device);
    ck_assert_uint_eq(ended, 0);
    world_run_for(100);
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(outcome, AGENT_UNTRUSTED);
    notify("too late");
    ck_assert_uint_eq(notified, 1);
}
END_TEST

/* The device got a new context by appendix B.2: the observation begins anew in it. */
START_TEST(new_context_means_a_new_registration)
{
    struct credential *credential = world.device.credentials;
    struct oscore_credentials inputs = guard_inputs(1, "another");
    struct oscore_context *context;
    struct reservation done = {.done = NULL};

    (void)done;
    ck_assert_int_eq(oscore_context_rederive(&context, credential->context, "another", 7, credential), 0);
    world.core.port.dropped(world.core.port.arg, credential);
    (void)oscore_context_free(credential->context);
    credential->context = context;
    credential->reserved = 0;
    guard_learn(0, &inputs);
    world_run_for(4000);
    ck_assert_uint_eq(registration.count, 2);
    ck_assert_uint_eq(notified, 2);
    notify("in the new one");
    ck_assert_uint_eq(notified, 3);
}
END_TEST

START_TEST(error_ends_it)
{
    struct coapmsg response, outer;

    coapmsg_init(&response, COAPMSG_CON, COAPMSG_NOT_FOUND);
    response.id = registration.id++;
    coapmsg_set_token(&response, registration.token, registration.token_length);
    ck_assert_int_eq(oscore_protect_response(registration.context, &registration.binding, &response, 0, &outer,
                                             guard.out, sizeof guard.out),
                     0);
    box_send(&world.box, &outer);
    world_run_for(50);
    ck_assert_uint_eq(last_code, COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(outcome, AGENT_OK);
}
END_TEST

START_TEST(closed_while_it_lasts)
{
    agents_close(world.agents, NULL, NULL);
    world.agents = NULL;
    world.closed = true;
    ck_assert_ptr_null(observation.driver);
}
END_TEST

static void answer_once(struct guard *g)
{
    (void)g;
    guard_answer(COAPMSG_CONTENT, "only this");
}

START_TEST(device_that_cannot_be_observed)
{
    guard.script = answer_once;
    observe();
    ck_assert_uint_eq(notified, 1);
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(outcome, AGENT_OK);
}
END_TEST

START_TEST(silent_device)
{
    guard.script = NULL;
    observe();
    world_run_for(5000);
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(outcome, AGENT_NO_ANSWER);
}
END_TEST

/* Max-Age 1, then 5 to 15 s: the registration is refreshed with its token. */
START_TEST(refreshed_after_max_age)
{
    uint8_t token[8];

    registration.max_age = 1;
    notify("takes Max-Age 60");
    memcpy(token, registration.token, sizeof token);
    world.port.unobserve(world.port.arg, &observation);
    world_run_for(100);
    observe();
    ck_assert_uint_eq(registration.count, 2);
    memcpy(token, registration.token, sizeof token);
    world_run_for(16500);
    ck_assert_uint_ge(registration.count, 3);
    ck_assert_mem_eq(token, registration.token, registration.token_length);
    ck_assert_uint_eq(ended, 0);
    notify("still there");
    ck_assert_str_eq(last, "still there");
}
END_TEST

/* Without ---------------------------------------------------------------------------------------------------------- */

static struct coapmsg plain_request; /* the registration; only token and ID are used */
static uint32_t first_number;

static void answer_plain_registration(struct box *box)
{
    struct coapmsg response;

    if (observes(&box->request, 1)) {
        registration.left++;
        return;
    }
    plain_request.token_length = box->request.token_length;
    memcpy(plain_request.token, box->request.token, sizeof plain_request.token);
    box_prepare(box, &response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add_uint(&response, COAPMSG_OPT_OBSERVE, first_number);
    coapmsg_set_payload(&response, "first", 5);
    box_send(box, &response);
}

static void set_up_plain_registration(void)
{
    set_up_plain();
    first_number = 0xfffffe;
    memset(&registration, 0, sizeof registration);
    registration.id = 1000;
    world.box.script = answer_plain_registration;
    observe();
    ck_assert_uint_eq(notified, 1);
}

static void notify_plain(uint32_t number, const char *text)
{
    struct coapmsg response;

    coapmsg_init(&response, COAPMSG_NON, COAPMSG_CONTENT);
    response.id = registration.id++;
    coapmsg_set_token(&response, plain_request.token, plain_request.token_length);
    coapmsg_add_uint(&response, COAPMSG_OPT_OBSERVE, number);
    coapmsg_set_payload(&response, text, strlen(text));
    box_send(&world.box, &response);
    world_run_for(10);
}

/* RFC 7641 section 3.4, over the end of the numbers. */
START_TEST(plain_notifications_are_ordered)
{
    notify_plain(0xffffff, "a");
    notify_plain(1, "c");
    notify_plain(0, "b");
    notify_plain(0xffffff, "a");
    ck_assert_str_eq(last, "c");
    ck_assert_uint_eq(notified, 3);
    notify_plain(2, "d");
    ck_assert_uint_eq(notified, 4);
}
END_TEST

static uint8_t big[2500];
static uint8_t big_tag;

static void serve_big(struct box *box)
{
    struct coapmsg_block block = {.szx = 6};
    struct coapmsg response;
    size_t at, left;

    if (coapmsg_find(&box->request, COAPMSG_OPT_OBSERVE)) {
        answer_plain_registration(box);
        return;
    }
    (void)coapmsg_get_block(&box->request, COAPMSG_OPT_BLOCK2, &block);
    at = (size_t)block.num * 1024;
    left = sizeof big - at;
    block.more = left > 1024;
    box_prepare(box, &response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add(&response, COAPMSG_OPT_ETAG, &big_tag, 1);
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK2, block);
    coapmsg_set_payload(&response, big + at, block.more ? 1024 : left);
    box_send(box, &response);
}

static void notify_big(uint32_t number)
{
    struct coapmsg response;

    coapmsg_init(&response, COAPMSG_CON, COAPMSG_CONTENT);
    response.id = registration.id++;
    coapmsg_set_token(&response, plain_request.token, plain_request.token_length);
    coapmsg_add_uint(&response, COAPMSG_OPT_OBSERVE, number);
    coapmsg_add(&response, COAPMSG_OPT_ETAG, &big_tag, 1);
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){.more = true, .szx = 6});
    coapmsg_set_payload(&response, big, 1024);
    box_send(&world.box, &response);
}

START_TEST(big_notifications_are_fetched)
{
    world.box.script = serve_big;
    for (unsigned i = 0; i < 3; i++) {
        big_tag++;
        memset(big, (int)('a' + i), sizeof big);
        notify_big(i + 1);
        if (i == 1)
            continue; /* the next one comes at once */
        world_run_for(100);
        ck_assert_uint_eq(last_size, sizeof big);
        ck_assert_mem_eq(last, big, sizeof big);
    }
    ck_assert_uint_le(notified, 4);
    ck_assert_uint_eq(ended, 0);
}
END_TEST

START_TEST(representation_over_the_limit_ends_it)
{
    world.port.unobserve(world.port.arg, &observation);
    observation.limit = 2000;
    observe();
    world.box.script = serve_big;
    notify_big(5);
    world_run_for(100);
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(outcome, AGENT_LOCAL);
}
END_TEST

/* What was protected is not observed in the clear after a revocation, but what never was may be. */
START_TEST(plain_observation_is_given_up_with_an_rst)
{
    world.port.unobserve(world.port.arg, &observation);
    world_run_for(50);
    ck_assert_uint_eq(registration.left, 1);
    ck_assert_uint_eq(ended, 0);
}
END_TEST

START_TEST(bad_path_is_told_from_the_loop)
{
    observation.path = "no slash";
    observe();
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(outcome, AGENT_LOCAL);
    ck_assert_uint_eq(world.box.datagrams, 0);
}
END_TEST

static struct agent_observation many[20001];

START_TEST(observations_are_bounded)
{
    world.box.script = NULL;
    for (size_t i = 0; i < array_size(many); i++) {
        many[i] = observation;
        world.port.observe(world.port.arg, &many[i]);
    }
    world_run_for(10);
    ck_assert_uint_eq(ended, 1);
    ck_assert_ptr_null(many[20000].driver);
    for (size_t i = 0; i < array_size(many); i++)
        world.port.unobserve(world.port.arg, &many[i]);
    world_run_for(10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap observe");
    TCase *guarded = guard_case("protected", set_up_registration), *begin = guard_case("begin", set_up);
    TCase *plain = guard_case("plain", set_up_plain_registration), *bad = guard_case("plain begin", set_up_plain);

    tcase_add_test(guarded, hundred_notifications);
    tcase_add_test(guarded, replayed_and_reordered_notifications);
    tcase_add_test(guarded, forged_notifications_end_nothing);
    tcase_add_test(guarded, device_is_told_of_the_end);
    tcase_add_test(guarded, ended_from_within);
    tcase_add_test(guarded, device_may_go_with_the_observation);
    tcase_add_test(guarded, revocation_ends_it);
    tcase_add_test(guarded, new_context_means_a_new_registration);
    tcase_add_test(guarded, error_ends_it);
    tcase_add_test(guarded, closed_while_it_lasts);
    tcase_add_test(guarded, refreshed_after_max_age);
    tcase_add_test(begin, device_that_cannot_be_observed);
    tcase_add_test(begin, silent_device);
    tcase_add_test(plain, plain_notifications_are_ordered);
    tcase_add_test(plain, big_notifications_are_fetched);
    tcase_add_test(plain, representation_over_the_limit_ends_it);
    tcase_add_test(plain, plain_observation_is_given_up_with_an_rst);
    tcase_add_test(bad, bad_path_is_told_from_the_loop);
    tcase_add_test(bad, observations_are_bounded);
    suite_add_tcase(suite, guarded);
    suite_add_tcase(suite, begin);
    suite_add_tcase(suite, plain);
    suite_add_tcase(suite, bad);
    return suite_run(suite);
}
