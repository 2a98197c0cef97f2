#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* Credentials that are brought along: what is taken, and what is refused. */

static struct core_fixture f;
static struct device *one, *two;

#define SECRET "'master_secret':'000102030405060708090a0b0c0d0e0f'"
#define IDS "'sender_id':'01','recipient_id':'02'"

static void setup(void)
{
    core_setup(&f);
    one = add_device(&f, "one", AGENT_V2);
    two = add_device(&f, "two", AGENT_V2);
}

static void teardown(void)
{
    core_teardown(&f);
}

static void restart(void)
{
    core_restart(&f);
    one = core_find_device(f.core, "one");
    two = core_find_device(f.core, "two");
}

START_TEST(a_context_keeps_what_it_came_with)
{
    struct credential *c = enrol(&f, one,
                                 "{" SECRET "," IDS ",'master_salt':'9e7ca92223786340','id_context':'37cb',"
                                 "'algorithm':'A128GCM','fresh':true}");
    const struct oscore_credentials *ids = oscore_context_credentials(c->context);

    ck_assert_int_eq(c->state, CREDENTIAL_NEW);
    ck_assert_int_eq(ids->algorithm, OSCORE_AES_GCM_128);
    ck_assert_uint_eq(take_number(&f, c), 0);
    restart();
    c = credential_of(one, CREDENTIAL_OSCORE, CREDENTIAL_NEW);
    ids = oscore_context_credentials(c->context);
    ck_assert_int_eq(ids->algorithm, OSCORE_AES_GCM_128);
    ck_assert(ids->secret_size == 16 && ids->secret[15] == 15 && ids->salt_size == 8 && ids->salt[7] == 0x40);
    ck_assert(ids->sender_id_size == 1 && ids->sender_id[0] == 1 && ids->recipient_id[0] == 2);
    ck_assert(ids->has_id_context && ids->id_context_size == 2 && ids->id_context[0] == 0x37);
}
END_TEST

START_TEST(no_id_context_and_an_empty_one_differ)
{
    struct credential *none = enrol(&f, one, "{" SECRET "," IDS ",'fresh':true}");
    struct credential *empty =
        enrol(&f, two, "{'master_secret':'100102030405060708090a0b0c0d0e0f'," IDS ",'id_context':'','fresh':true}");

    ck_assert(!oscore_context_credentials(none->context)->has_id_context);
    ck_assert(oscore_context_credentials(empty->context)->has_id_context);
    ck_assert_ptr_eq(keyring_find_oscore(f.core, "\2", 1, "", 0, NULL), empty);
    restart();
    ck_assert_ptr_eq(keyring_find_oscore(f.core, "\2", 1, "", 0, NULL), keyring_of_device(two));
    ck_assert(!oscore_context_credentials(keyring_of_device(one)->context)->has_id_context);
}
END_TEST

START_TEST(a_history_that_nobody_vouches_for_makes_it_stale)
{
    struct credential *c = enrol(&f, one, "{" SECRET "," IDS "}");

    ck_assert_int_eq(c->state, CREDENTIAL_STALE);
    ck_assert_uint_eq(take_number(&f, c), UINT64_MAX);
    c = enrol(&f, two,
              "{'master_secret':'100102030405060708090a0b0c0d0e0f','sender_id':'01','recipient_id':'03',"
              "'sequence_number':5000}");
    ck_assert_int_eq(c->state, CREDENTIAL_NEW);
    ck_assert_uint_eq(take_number(&f, c), 5000);
    restart();
    c = credential_of(two, CREDENTIAL_OSCORE, CREDENTIAL_NEW);
    ck_assert_int_eq(reserves(&f, c), 0);
    ck_assert_uint_eq(take_number(&f, c), 5256);
}
END_TEST

static void revoke_all(struct device *device)
{
    ck_assert_int_eq(core_revoke_credentials(f.core, device, 0, NULL, NULL, NULL), 0);
    core_flush(&f);
}

/* The same secret and one id in common: the same key, and the nonces of the same numbers. */
START_TEST(contexts_that_share_a_key_do_not_share_its_numbers)
{
    struct credential *c = enrol(&f, one, "{" SECRET "," IDS ",'fresh':true}");

    ck_assert_uint_eq(take_number(&f, c), 0);
    ck_assert_int_eq(enrols(&f, two, "{" SECRET ",'sender_id':'01','recipient_id':'03','fresh':true}", NULL),
                     FAULT_CREDENTIALS_IN_USE);
    ck_assert_int_eq(enrols(&f, two, "{" SECRET ",'sender_id':'04','recipient_id':'02','sequence_number':9}", NULL),
                     FAULT_CREDENTIALS_IN_USE);
    ck_assert_int_eq(enrols(&f, two, "{" SECRET ",'sender_id':'04','recipient_id':'01','fresh':true}", NULL),
                     FAULT_CREDENTIALS_IN_USE);
    c = enrol(&f, two, "{" SECRET ",'sender_id':'01','recipient_id':'03'}");
    ck_assert_int_eq(c->state, CREDENTIAL_STALE);
    ck_assert_int_eq(enrols(&f, one, "{" SECRET ",'sender_id':'05','recipient_id':'06','fresh':true}", NULL),
                     FAULT_NONE);
}
END_TEST

START_TEST(what_was_here_before_does_not_begin_at_0_again)
{
    struct credential *c = enrol(&f, one, "{" SECRET "," IDS ",'fresh':true}");
    json_t *secrets;
    char again[400];

    (void)take_number(&f, c);
    revoke_all(one);
    ck_assert_int_eq(enrols(&f, one, "{" SECRET "," IDS ",'fresh':true}", NULL), FAULT_CREDENTIALS_IN_USE);
    ck_assert_int_eq(enrols(&f, two, "{" SECRET "," IDS ",'sequence_number':9}", NULL), FAULT_CREDENTIALS_IN_USE);
    /* in the other role, and with an ID Context such as B.2 makes */
    ck_assert_int_eq(enrols(&f, two, "{" SECRET ",'sender_id':'02','recipient_id':'01','fresh':true}", NULL),
                     FAULT_CREDENTIALS_IN_USE);
    ck_assert_int_eq(enrols(&f, two, "{" SECRET "," IDS ",'id_context':'aa','fresh':true}", NULL),
                     FAULT_CREDENTIALS_IN_USE);
    /* that which the gateway made, too, after a restart and the device's removal */
    ck_assert_int_eq(enrols(&f, two, "{}", &secrets), FAULT_NONE);
    (void)snprintf(again, sizeof again,
                   "{'master_secret':'%s','master_salt':'%s','sender_id':'%s','recipient_id':'%s','id_context':'%s',"
                   "'fresh':true}",
                   json_string_value(json_object_get(secrets, "master_secret")),
                   json_string_value(json_object_get(secrets, "master_salt")),
                   json_string_value(json_object_get(secrets, "recipient_id")),
                   json_string_value(json_object_get(secrets, "sender_id")),
                   json_string_value(json_object_get(secrets, "id_context")));
    json_decref(secrets);
    ck_assert_int_eq(core_remove_device(f.core, two, NULL, NULL, NULL), 0);
    core_flush(&f);
    restart();
    ck_assert_int_eq(enrols(&f, one, again, NULL), FAULT_CREDENTIALS_IN_USE);
    /* other ids make other keys; and it may come back to be derived anew */
    (void)enrol(&f, one, "{" SECRET ",'sender_id':'04','recipient_id':'05','fresh':true}");
    ck_assert_int_eq(enrol(&f, one, "{" SECRET "," IDS "}")->state, CREDENTIAL_STALE);
}
END_TEST

START_TEST(ids_belong_to_one_device)
{
    (void)enrol(&f, one, "{" SECRET "," IDS ",'id_context':'aa','fresh':true}");
    ck_assert_int_eq(
        enrols(&f, two, "{'master_secret':'100102030405060708090a0b0c0d0e0f'," IDS ",'id_context':'aa','fresh':true}",
               NULL),
        FAULT_CREDENTIALS_IN_USE);
    (void)enrol(&f, two, "{'master_secret':'100102030405060708090a0b0c0d0e0f'," IDS ",'id_context':'ab','fresh':true}");
    (void)enrol(&f, one, "{'kind':'psk','identity':'me','key':'000102030405060708090a0b0c0d0e0f'}");
    ck_assert_int_eq(enrols(&f, two, "{'kind':'psk','identity':'me','key':'000102030405060708090a0b0c0d0e0f'}", NULL),
                     FAULT_CREDENTIALS_IN_USE);
    /* the id of another device is no hindrance */
    (void)enrol(&f, two, "{'kind':'psk','identity':'three','key':'000102030405060708090a0b0c0d0e0f'}");
    (void)enrol(&f, add_device(&f, "three", AGENT_V2), "{'kind':'psk'}");
    ck_assert_int_eq(strncmp(core_find_device(f.core, "three")->credentials->identity, "three.", 6), 0);
}
END_TEST

static const char *const bad_bodies[] = {
    "[]",
    "{'kind':'rsa'}",
    "{'kind':7}",
    "{'secret':'00'}",
    "{'algorithm':'AES'}",
    "{'algorithm':null}",
    "{'fresh':true}",
    "{'sender_id':'01'}",
    "{'master_salt':'01'}",
    "{'sequence_number':1}",
    "{" SECRET "}",
    "{" SECRET ",'sender_id':'01'}",
    "{" SECRET ",'recipient_id':'01'}",
    "{" SECRET ",'sender_id':'01','recipient_id':'01'}",
    "{" SECRET ",'sender_id':'','recipient_id':''}",
    "{" SECRET ",'sender_id':'1','recipient_id':'02'}",
    "{" SECRET ",'sender_id':'0x','recipient_id':'02'}",
    "{" SECRET ",'sender_id':'0102030405060708','recipient_id':'02'}",
    "{" SECRET ",'sender_id':null,'recipient_id':'02'}",
    "{" SECRET "," IDS ",'fresh':1}",
    "{" SECRET "," IDS ",'sequence_number':-1}",
    "{" SECRET "," IDS ",'sequence_number':1099511627776}",
    "{" SECRET "," IDS ",'sequence_number':1.5}",
    "{" SECRET "," IDS ",'id_context':7}",
    "{" SECRET "," IDS ",'id_context':'000'}",
    "{" SECRET "," IDS ",'id_context':'"
    "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f00'}",
    "{" SECRET "," IDS ",'master_salt':'"
    "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f00'}",
    "{" SECRET "," IDS ",'key':'000102030405060708090a0b0c0d0e0f'}",
    "{'master_secret':'000102030405060708090a0b0c0d0e'," IDS "}",
    "{'master_secret':'000102030405060708090a0b0c0d0e0g'," IDS "}",
    "{'master_secret':''," IDS "}",
    "{'kind':'psk','identity':'x'}",
    "{'kind':'psk','identity':'','key':'000102030405060708090a0b0c0d0e0f'}",
    "{'kind':'psk','identity':'x\\n','key':'000102030405060708090a0b0c0d0e0f'}",
    "{'kind':'psk','key':'0001'}",
    "{'kind':'psk','key':'000102030405060708090a0b0c0d0e0x'}",
    "{'kind':'psk'," SECRET "}",
    "{'kind':'certificate','common_name':'x'}",
    "{'kind':'certificate','fingerprint':'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'}",
    "{'kind':'certificate','common_name':'x','fingerprint':'0011'}",
    "{'kind':'certificate','common_name':'x','fingerprint':"
    "'zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'}",
    "{'kind':'certificate','common_name':'x','valid_days':1,'fingerprint':"
    "'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'}",
    "{'kind':'certificate','valid_days':0}",
};

START_TEST(bad_bodies_are_refused_and_change_nothing)
{
    json_t *body = json_of(bad_bodies[_i]), *secrets = NULL;
    struct fault fault = {.code = FAULT_NONE};

    ck_assert_int_eq(core_enrol_device(f.core, one, body, NULL, NULL, &fault, &secrets), 1);
    ck_assert_msg(fault.code == FAULT_INVALID_FIELD || fault.code == FAULT_UNKNOWN_FIELD, "%s: %s", bad_bodies[_i],
                  fault.detail);
    ck_assert_msg(strstr(fault.detail, "0f00") == NULL, "%s", fault.detail); /* no secret is told back */
    ck_assert_ptr_null(one->credentials);
    ck_assert_ptr_null(secrets);
    json_decref(body);
}
END_TEST

START_TEST(certificates_are_made_where_there_is_an_authority)
{
    char reason[256];
    struct ca *ca;
    json_t *secrets;
    struct credential *c;
    struct ca_certificate read;
    const char *pem;

    ck_assert_int_eq(enrols(&f, one, "{'kind':'certificate'}", NULL), FAULT_CONFLICT);
    ck_assert_msg(ca_open(&ca, f.directory, reason, sizeof reason) == 0, "%s", reason);
    f.options.ca = ca;
    restart();
    ck_assert_int_eq(enrols(&f, one, "{'kind':'certificate','valid_days':90}", &secrets), FAULT_NONE);
    c = credential_of(one, CREDENTIAL_CERTIFICATE, CREDENTIAL_NEW);
    pem = json_string_value(json_object_get(secrets, "certificate"));
    ck_assert(ca_read(pem, strlen(pem), &read));
    ck_assert_str_eq(read.common_name, "one");
    ck_assert_ptr_eq(keyring_find_certificate(f.core, "one", read.fingerprint), c);
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(secrets, "private_key")), "PRIVATE KEY"));
    ck_assert_ptr_null(strstr(json_string_value(json_object_get(secrets, "private_key")), "CERTIFICATE"));
    ck_assert_str_eq(json_string_value(json_object_get(secrets, "ca")), ca_pem(ca));
    json_decref(secrets);
    f.core = core_free(f.core);
    f.store = store_close(f.store);
    (void)ca_free(ca);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyring_import");
    TCase *tcase = tcase_create("import");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_context_keeps_what_it_came_with);
    tcase_add_test(tcase, no_id_context_and_an_empty_one_differ);
    tcase_add_test(tcase, a_history_that_nobody_vouches_for_makes_it_stale);
    tcase_add_test(tcase, contexts_that_share_a_key_do_not_share_its_numbers);
    tcase_add_test(tcase, what_was_here_before_does_not_begin_at_0_again);
    tcase_add_test(tcase, ids_belong_to_one_device);
    tcase_add_loop_test(tcase, bad_bodies_are_refused_and_change_nothing, 0, (int)array_size(bad_bodies));
    tcase_add_test(tcase, certificates_are_made_where_there_is_an_authority);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
