#define _GNU_SOURCE /* memmem */

#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* Credentials from enrolment to revocation, on a real store. */

static struct core_fixture f;
static struct device *one, *two;
static unsigned dropped;
static uint64_t dropped_number;

static void note_dropped(void *arg, struct credential *credential)
{
    (void)arg;
    dropped++;
    dropped_number = credential->number;
}

static const struct security_port port = {.dropped = note_dropped};

static void setup(void)
{
    core_setup(&f);
    keyring_set_port(f.core, &port);
    one = add_device(&f, "one", AGENT_V2);
    two = add_device(&f, "two", AGENT_V2);
    dropped = 0;
}

static void teardown(void)
{
    core_teardown(&f);
}

/* The clean way. */
static void restart(void)
{
    core_restart(&f);
    keyring_set_port(f.core, &port);
    one = core_find_device(f.core, "one");
    two = core_find_device(f.core, "two");
    dropped = 0;
}

static bool file_has(const char *name, const void *bytes, size_t size)
{
    char path[256];
    uint8_t *text = malloc(1 << 22);
    FILE *file;
    size_t n;
    bool found;

    (void)snprintf(path, sizeof path, "%s/%s", f.directory, name);
    file = fopen(path, "r");
    n = file ? fread(text, 1, 1 << 22, file) : 0;
    if (file)
        (void)fclose(file);
    found = n && memmem(text, n, bytes, size);
    free(text);
    return found;
}

START_TEST(secrets_are_told_once_and_stored_sealed)
{
    json_t *secrets, *list;
    struct credential *c;
    const struct oscore_credentials *ids;
    char hex[129];

    ck_assert_int_eq(enrols(&f, one, "{}", &secrets), FAULT_NONE);
    c = credential_of(one, CREDENTIAL_OSCORE, CREDENTIAL_NEW);
    ids = oscore_context_credentials(c->context);
    ck_assert_str_eq(json_string_value(json_object_get(secrets, "kind")), "oscore");
    ck_assert_str_eq(json_string_value(json_object_get(secrets, "device")), "one");
    ck_assert_str_eq(json_string_value(json_object_get(secrets, "algorithm")), "AES-CCM-16-64-128");
    ck_assert_str_eq(json_string_value(json_object_get(secrets, "master_secret")),
                     text_hex(ids->secret, ids->secret_size, hex));
    ck_assert_str_eq(json_string_value(json_object_get(secrets, "sender_id")), text_hex(ids->recipient_id, 2, hex));
    ck_assert_str_eq(json_string_value(json_object_get(secrets, "recipient_id")), "67");
    ck_assert_uint_eq(ids->secret_size, 16);
    ck_assert_uint_eq(ids->salt_size, 8);
    ck_assert_uint_eq(ids->recipient_id_size, 2);
    ck_assert_uint_eq(ids->id_context_size, 8);
    ck_assert(!file_has("tcgw.db", ids->secret, 16) && !file_has("tcgw.db-wal", ids->secret, 16));
    (void)text_hex(ids->secret, 16, hex);
    ck_assert(!file_has("tcgw.db", hex, 32) && !file_has("tcgw.db-wal", hex, 32));
    (void)text_hex(ids->recipient_id, 2, hex);
    ck_assert(file_has("tcgw.db-wal", hex, 4)); /* the file is the right one */
    json_decref(secrets);
    list = core_credentials_json(one);
    ck_assert_uint_eq(json_array_size(list), 1);
    ck_assert_ptr_null(json_object_get(json_array_get(list, 0), "master_secret"));
    ck_assert_uint_eq(json_object_size(json_array_get(list, 0)), 11);
    json_decref(list);
}
END_TEST

START_TEST(each_kind_is_found_by_what_messages_say)
{
    struct credential *oscore = enrol(&f, one, "{}");
    struct credential *psk = enrol(&f, one, "{'kind':'psk'}");
    struct credential *certificate = enrol(&f, two,
                                           "{'kind':'certificate','common_name':'two.example','fingerprint':"
                                           "'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'}");
    const struct oscore_credentials *ids = oscore_context_credentials(oscore->context);
    uint8_t other[32] = {0};

    ck_assert_ptr_eq(heard(&f, oscore), oscore);
    ck_assert_ptr_eq(keyring_find_oscore(f.core, ids->recipient_id, 2, NULL, 0, NULL), oscore);
    ck_assert_ptr_null(keyring_find_oscore(f.core, ids->recipient_id, 2, NULL, 0, oscore));
    ck_assert_ptr_null(keyring_find_oscore(f.core, ids->recipient_id, 1, NULL, 0, NULL));
    ck_assert_ptr_eq(keyring_find_psk(f.core, "one", 3), psk);
    ck_assert_ptr_null(keyring_find_psk(f.core, "on", 2));
    ck_assert_uint_eq(psk->psk_size, 16);
    ck_assert_ptr_eq(keyring_find_certificate(f.core, "two.example", certificate->fingerprint), certificate);
    ck_assert_ptr_null(keyring_find_certificate(f.core, "one.example", certificate->fingerprint));
    ck_assert_ptr_null(keyring_find_certificate(f.core, "two.example", other));
    ck_assert_ptr_eq(keyring_of_device(one), oscore); /* the stronger one */
    ck_assert_ptr_eq(keyring_of_device(two), certificate);
    restart();
    ck_assert_ptr_eq(keyring_of_device(one), credential_of(one, CREDENTIAL_OSCORE, CREDENTIAL_NEW));
    ck_assert_ptr_eq(keyring_find_psk(f.core, "one", 3), credential_of(one, CREDENTIAL_PSK, CREDENTIAL_NEW));
    ck_assert_uint_eq(credential_of(one, CREDENTIAL_PSK, CREDENTIAL_NEW)->psk_size, 16);
    certificate = credential_of(two, CREDENTIAL_CERTIFICATE, CREDENTIAL_NEW);
    ck_assert_ptr_eq(keyring_find_certificate(f.core, "two.example", certificate->fingerprint), certificate);
}
END_TEST

START_TEST(nobody_finds_what_is_not_durable)
{
    struct outcome outcome = {.called = false};
    json_t *body = json_object(), *secrets = NULL, *list;

    ck_assert_int_eq(core_enrol_device(f.core, one, body, note_done, &outcome, NULL, &secrets), 0);
    ck_assert_ptr_null(keyring_of_device(one));
    ck_assert_ptr_null(heard(&f, one->credentials));
    list = core_credentials_json(one);
    ck_assert_uint_eq(json_array_size(list), 0);
    json_decref(list);
    core_flush(&f);
    ck_assert_ptr_nonnull(keyring_of_device(one));
    json_decref(secrets);
    json_decref(body);
}
END_TEST

START_TEST(old_credentials_are_good_until_the_new_ones_are_used)
{
    struct credential *old = enrol(&f, one, "{}"), *fresh;
    uint64_t number = old->number;

    keyring_verified(f.core, old, NULL);
    core_flush(&f);
    ck_assert_int_eq(old->state, CREDENTIAL_ACTIVE);
    ck_assert_int_ne(old->first_used, 0);
    fresh = enrol(&f, one, "{}");
    ck_assert_ptr_ne(fresh, old);
    ck_assert_ptr_eq(heard(&f, old), old);
    ck_assert_ptr_eq(heard(&f, fresh), fresh);
    ck_assert_ptr_eq(keyring_of_device(one), old);
    keyring_verified(f.core, old, NULL);
    core_flush(&f);
    ck_assert_ptr_eq(keyring_of_device(one), old);
    ck_assert_uint_eq(dropped, 0);
    keyring_verified(f.core, fresh, NULL);
    ck_assert_ptr_eq(heard(&f, old), old); /* until that is durable */
    core_flush(&f);
    ck_assert_uint_eq(dropped, 1);
    ck_assert_uint_eq(dropped_number, number);
    ck_assert_ptr_eq(keyring_of_device(one), fresh);
    ck_assert_ptr_null(fresh->next);
    restart();
    ck_assert_ptr_null(credential_of(one, CREDENTIAL_OSCORE, CREDENTIAL_ACTIVE)->next);
}
END_TEST

START_TEST(new_ones_that_were_not_used_are_replaced)
{
    struct credential *first = enrol(&f, one, "{}"), *second;
    uint8_t kid[OSCORE_ID_MAX];

    memcpy(kid, oscore_context_credentials(first->context)->recipient_id, 2);
    second = enrol(&f, one, "{}");
    ck_assert_uint_eq(dropped, 1);
    ck_assert_ptr_null(keyring_find_oscore(f.core, kid, 2, NULL, 0, NULL));
    ck_assert_ptr_eq(one->credentials, second);
    ck_assert_ptr_null(second->next);
    restart();
    ck_assert_ptr_null(credential_of(one, CREDENTIAL_OSCORE, CREDENTIAL_NEW)->next);
}
END_TEST

START_TEST(revoked_ones_are_refused_at_once)
{
    struct credential *oscore = enrol(&f, one, "{}"), *psk = enrol(&f, one, "{'kind':'psk'}");
    struct outcome outcome = {.called = false};
    struct fault fault;
    uint8_t kid[OSCORE_ID_MAX];

    memcpy(kid, oscore_context_credentials(oscore->context)->recipient_id, 2);
    ck_assert_int_eq(core_revoke_credentials(f.core, one, 4711, NULL, NULL, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_NOT_FOUND);
    ck_assert_int_eq(core_revoke_credentials(f.core, one, oscore->number, note_done, &outcome, &fault), 0);
    ck_assert_ptr_null(keyring_find_oscore(f.core, kid, 2, NULL, 0, NULL));
    ck_assert_ptr_eq(keyring_of_device(one), psk);
    ck_assert_uint_eq(dropped, 1);
    ck_assert_int_eq(core_revoke_credentials(f.core, one, oscore->number, NULL, NULL, &fault), 1);
    core_flush(&f);
    ck_assert(outcome.called && outcome.fault.code == FAULT_NONE);
    ck_assert_ptr_eq(one->credentials, psk);
    ck_assert_int_eq(core_revoke_credentials(f.core, one, 0, NULL, NULL, &fault), 0);
    ck_assert_ptr_null(keyring_find_psk(f.core, "one", 3));
    core_flush(&f);
    ck_assert_ptr_null(one->credentials);
    restart();
    ck_assert_ptr_null(one->credentials);
}
END_TEST

START_TEST(a_removed_device_is_refused_at_once)
{
    const struct oscore_credentials *ids;
    uint8_t kid[OSCORE_ID_MAX];

    ids = oscore_context_credentials(enrol(&f, one, "{}")->context);
    memcpy(kid, ids->recipient_id, 2);
    ck_assert_int_eq(core_remove_device(f.core, one, NULL, NULL, NULL), 0);
    ck_assert_ptr_null(keyring_find_oscore(f.core, kid, 2, NULL, 0, NULL));
    ck_assert_uint_eq(dropped, 1);
    core_flush(&f);
    one = add_device(&f, "one", AGENT_V2);
    ck_assert_ptr_null(one->credentials);
    restart();
    ck_assert_ptr_null(one->credentials);
}
END_TEST

START_TEST(a_device_that_was_removed_meanwhile_gets_nothing)
{
    struct outcome outcome = {.called = false};
    json_t *body = json_object(), *secrets = NULL;

    ck_assert_int_eq(core_remove_device(f.core, one, NULL, NULL, NULL), 0);
    ck_assert_int_eq(core_enrol_device(f.core, one, body, note_done, &outcome, &outcome.fault, &secrets), 1);
    ck_assert_int_eq(outcome.fault.code, FAULT_NOT_FOUND);
    ck_assert_int_eq(core_enrol_device(f.core, two, body, note_done, &outcome, &outcome.fault, &secrets), 0);
    ck_assert_int_eq(core_remove_device(f.core, two, NULL, NULL, NULL), 0);
    core_flush(&f);
    ck_assert(outcome.called);
    json_decref(secrets);
    json_decref(body);
    restart();
    ck_assert(!one && !two);
}
END_TEST

START_TEST(a_device_is_followed_to_its_address)
{
    struct credential *c = enrol(&f, one, "{}");

    keyring_verified(f.core, c, NULL);
    ck_assert_str_eq(one->address, "coap://[::1]:5683");
    keyring_verified(f.core, c, "coap://[fd00::7]:61616");
    ck_assert_str_eq(one->address, "coap://[fd00::7]:61616");
    ck_assert_int_eq(one->last_seen, f.clock.wall);
    core_advance(&f, 2000);
    restart();
    ck_assert_str_eq(one->address, "coap://[fd00::7]:61616");
}
END_TEST

/* Sequence numbers and windows ------------------------------------------------------------------------------------ */

START_TEST(numbers_go_on_behind_what_was_reserved)
{
    struct credential *c = enrol(&f, one, "{}");
    uint64_t last = 0;

    for (int i = 0; i < 100; i++)
        last = take_number(&f, c);
    ck_assert_uint_eq(last, 99);
    restart();
    c = credential_of(one, CREDENTIAL_OSCORE, CREDENTIAL_NEW);
    ck_assert_uint_eq(take_number(&f, c), UINT64_MAX); /* one commit first */
    ck_assert_int_eq(reserves(&f, c), 0);
    ck_assert_uint_ge(take_number(&f, c), 256);
    for (int i = 0; i < 20000; i++) { /* asked for ahead: a busy context never waits */
        uint64_t number = take_number(&f, c);

        ck_assert_uint_ne(number, UINT64_MAX);
        ck_assert_uint_gt(number, last);
        last = number;
        if (i % 50 == 0)
            core_flush(&f);
    }
    ck_assert_uint_eq(c->step, 4096);
}
END_TEST

START_TEST(numbers_come_to_their_end)
{
    struct credential *c = enrol(&f, one,
                                 "{'master_secret':'000102030405060708090a0b0c0d0e0f','sender_id':'01',"
                                 "'recipient_id':'02','sequence_number':1099511627770}");
    unsigned taken = 0;

    while (take_number(&f, c) != UINT64_MAX)
        taken++;
    ck_assert_uint_eq(taken, 6);
    ck_assert_int_eq(reserves(&f, c), -EOVERFLOW);
    restart();
    c = credential_of(one, CREDENTIAL_OSCORE, CREDENTIAL_NEW);
    ck_assert_int_eq(reserves(&f, c), -EOVERFLOW);
}
END_TEST

static struct oscore_window window_of(const struct credential *c)
{
    struct oscore_window window;

    oscore_context_get_window(c->context, &window);
    return window;
}

START_TEST(windows_outlive_a_clean_stop)
{
    struct credential *c = enrol(&f, one, "{}");
    struct oscore_window window = window_of(c);

    ck_assert(window.known && window.highest == 0 && window.seen == 0); /* fresh: no Echo needed */
    oscore_context_set_window(c->context, &(struct oscore_window){true, 77, 5});
    restart();
    window = window_of(credential_of(one, CREDENTIAL_OSCORE, CREDENTIAL_NEW));
    ck_assert(window.known && window.highest == 77 && window.seen == 5);
    restart(); /* nothing was received: it holds on */
    c = credential_of(one, CREDENTIAL_OSCORE, CREDENTIAL_NEW);
    window = window_of(c);
    ck_assert(window.known && window.highest == 77 && window.seen == 5);
}
END_TEST

/* New contexts ----------------------------------------------------------------------------------------------------- */

struct renewal {
    struct reservation reservation;
    int result;
};

static void note_renewed(struct reservation *reservation, int result)
{
    container_of(reservation, struct renewal, reservation)->result = result;
}

static struct oscore_context *rederive(struct credential *c, const char *id_context)
{
    struct oscore_context *context;

    ck_assert_int_eq(oscore_context_rederive(&context, c->context, id_context, strlen(id_context), c), 0);
    oscore_context_set_window(context, &(struct oscore_window){.known = true});
    return context;
}

START_TEST(a_renewed_context_takes_the_old_ones_place)
{
    struct credential *c = enrol(&f, one, "{}");
    struct renewal renewal = {.reservation.done = note_renewed, .result = 1};
    struct oscore_context *context;
    uint8_t kid[OSCORE_ID_MAX];

    for (int i = 0; i < 10; i++)
        (void)take_number(&f, c);
    memcpy(kid, oscore_context_credentials(c->context)->recipient_id, 2);
    context = rederive(c, "another context");
    ck_assert(oscore_context_set_sequence(context, 2, 3)); /* the handshake's */
    keyring_renew(f.core, c, context, &renewal.reservation);
    ck_assert_int_eq(renewal.result, 1);
    ck_assert_uint_eq(take_number(&f, c), 10); /* the old one is good until then */
    core_flush(&f);
    ck_assert_int_eq(renewal.result, 0);
    ck_assert_uint_eq(dropped, 1);
    ck_assert_uint_eq(take_number(&f, c), 2);
    ck_assert_ptr_eq(c->context, context);
    ck_assert_ptr_eq(keyring_find_oscore(f.core, kid, 2, "another context", 15, NULL), c);
    restart();
    c = credential_of(one, CREDENTIAL_OSCORE, CREDENTIAL_NEW);
    ck_assert_ptr_eq(keyring_find_oscore(f.core, kid, 2, "another context", 15, NULL), c);
    ck_assert_int_eq(reserves(&f, c), 0);
    ck_assert_uint_ge(take_number(&f, c), 3);
}
END_TEST

START_TEST(distrusted_contexts_are_of_no_use_until_renewed)
{
    struct credential *c = enrol(&f, one, "{}");
    struct outcome outcome = {.called = false};
    struct renewal renewal = {.reservation.done = note_renewed, .result = 1};

    keyring_verified(f.core, c, NULL);
    core_flush(&f);
    (void)enrol(&f, one, "{}");
    (void)enrol(&f, two, "{'kind':'psk'}");
    ck_assert_int_eq(core_distrust_contexts(f.core, note_done, &outcome, NULL), 0);
    ck_assert_uint_eq(dropped, 2);
    core_flush(&f);
    ck_assert(outcome.called && outcome.fault.code == FAULT_NONE);
    restart();
    (void)credential_of(two, CREDENTIAL_PSK, CREDENTIAL_NEW);
    c = one->credentials;
    ck_assert_int_eq(c->state, CREDENTIAL_STALE);
    ck_assert_int_eq(c->next->state, CREDENTIAL_STALE);
    ck_assert_ptr_eq(heard(&f, c), c);
    ck_assert_uint_eq(take_number(&f, c), UINT64_MAX);
    ck_assert_int_eq(reserves(&f, c), -EOVERFLOW);
    ck_assert_uint_eq(take_number(&f, c), UINT64_MAX);
    ck_assert(!window_of(c).known);
    keyring_verified(f.core, c, NULL); /* proves nothing */
    core_flush(&f);
    ck_assert_int_eq(c->state, CREDENTIAL_STALE);
    keyring_renew(f.core, c, rederive(c, "new"), &renewal.reservation);
    core_flush(&f);
    ck_assert_int_eq(renewal.result, 0);
    ck_assert_int_eq(c->state, CREDENTIAL_ACTIVE);
    ck_assert_uint_eq(take_number(&f, c), 0);
    keyring_verified(f.core, c, NULL); /* the newer of the two: the older one goes */
    core_flush(&f);
    ck_assert_ptr_eq(one->credentials, c);
    ck_assert_ptr_null(c->next);
}
END_TEST

START_TEST(at_most_three_of_a_kind)
{
    for (int i = 0; i < 5; i++) {
        (void)enrol(&f, one, "{}");
        ck_assert_int_eq(core_distrust_contexts(f.core, NULL, NULL, NULL), 0);
        core_flush(&f);
    }
    ck_assert_ptr_null(one->credentials->next->next->next);
    ck_assert_uint_eq(one->credentials->number, 5);
    ck_assert_uint_eq(one->credentials->next->next->number, 3);
}
END_TEST

/* The sealing key -------------------------------------------------------------------------------------------------- */

START_TEST(another_sealing_key_is_refused_and_loses_nothing)
{
    const uint8_t *right = f.options.sealing_key;
    uint8_t wrong[32] = {1};
    struct core *core = NULL;

    (void)enrol(&f, one, "{}");
    f.core = core_free(f.core);
    store_flush(f.store);
    f.options.sealing_key = wrong;
    ck_assert_int_eq(core_new(&core, &f.options), -EKEYREJECTED);
    f.options.sealing_key = NULL;
    ck_assert_int_eq(core_new(&core, &f.options), -ENOKEY);
    f.options.sealing_key = right;
    ck_assert_int_eq(core_new(&f.core, &f.options), 0);
    core_start(f.core);
    (void)credential_of(core_find_device(f.core, "one"), CREDENTIAL_OSCORE, CREDENTIAL_NEW);
}
END_TEST

START_TEST(a_damaged_secret_is_no_leave_to_go_plain)
{
    struct store_batch *batch = store_batch_new();

    (void)enrol(&f, one, "{}");
    store_batch_put_credential(batch, &(struct store_credential){.device = "one",
                                                                 .number = 1,
                                                                 .kind = "oscore",
                                                                 .state = "new",
                                                                 .algorithm = 10,
                                                                 .sender_id = "01",
                                                                 .recipient_id = "02",
                                                                 .sealed = {"garbage garbage garbage garbage", 31}});
    store_submit(f.store, batch, NULL, NULL);
    core_flush(&f);
    restart();
    ck_assert_ptr_null(one->credentials);
    ck_assert(!keyring_allows_plain(one));
    ck_assert(keyring_allows_plain(two));
    (void)enrol(&f, one, "{}");
    ck_assert_ptr_nonnull(keyring_of_device(one));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyring");
    TCase *tcase = tcase_create("life");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, secrets_are_told_once_and_stored_sealed);
    tcase_add_test(tcase, each_kind_is_found_by_what_messages_say);
    tcase_add_test(tcase, nobody_finds_what_is_not_durable);
    tcase_add_test(tcase, old_credentials_are_good_until_the_new_ones_are_used);
    tcase_add_test(tcase, new_ones_that_were_not_used_are_replaced);
    tcase_add_test(tcase, revoked_ones_are_refused_at_once);
    tcase_add_test(tcase, a_removed_device_is_refused_at_once);
    tcase_add_test(tcase, a_device_that_was_removed_meanwhile_gets_nothing);
    tcase_add_test(tcase, a_device_is_followed_to_its_address);
    tcase_add_test(tcase, numbers_go_on_behind_what_was_reserved);
    tcase_add_test(tcase, numbers_come_to_their_end);
    tcase_add_test(tcase, windows_outlive_a_clean_stop);
    tcase_add_test(tcase, a_renewed_context_takes_the_old_ones_place);
    tcase_add_test(tcase, distrusted_contexts_are_of_no_use_until_renewed);
    tcase_add_test(tcase, at_most_three_of_a_kind);
    tcase_add_test(tcase, another_sealing_key_is_refused_and_loses_nothing);
    tcase_add_test(tcase, a_damaged_secret_is_no_leave_to_go_plain);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
