#include "connected_fixture.h"
#include "suite.h"

#include <string.h>
#include <sys/socket.h>

/* Who takes part in DTLS and TLS, and who does not. */

static struct connected_gateway *const gateway = &connected.gateway;
static struct connected_device *const device = &connected.device;

static const enum peer_transport transports[] = {PEER_DTLS, PEER_TLS};

static char address[64];

static void open_both(int i, bool with_certificates, const char *pem_path)
{
    connected_open_gateway(with_certificates);
    connected_open_device(pem_path);
    strcpy(address, connected_serve(transports[i]));
}

static void check_works(const struct channel_security *security, const char *identity)
{
    struct channel *channel = connected_open(address, security);

    connected_check_works(channel, identity);
    (void)channel_close(channel, false);
}

static unsigned sessions_of(const struct endpoint *endpoint)
{
    struct endpoint_stats stats;

    endpoint_get_stats(endpoint, &stats);
    return stats.sessions;
}

/* Pre-shared keys -------------------------------------------------------------------------------------------------- */

START_TEST(each_device_is_known_by_its_key)
{
    open_both(_i, false, NULL);
    check_works(&box_1, "box-1");
    check_works(&box_2, "box-2");
}
END_TEST

START_TEST(a_wrong_key_is_refused)
{
    struct channel_security wrong = box_1;

    open_both(_i, false, NULL);
    wrong.psk = "secret-1-secret-X";
    connected_check_fails(address, &wrong, CHANNEL_DENIED);
    ck_assert_uint_eq(sessions_of(device->endpoint), 0);
}
END_TEST

START_TEST(an_unknown_identity_is_refused)
{
    struct channel_security unknown = box_1;

    open_both(_i, false, NULL);
    unknown.identity = "box-9";
    connected_check_fails(address, &unknown, CHANNEL_DENIED);
    unknown.identity = "";
    connected_check_fails(address, &unknown, CHANNEL_DENIED);
}
END_TEST

START_TEST(another_devices_identity_is_refused)
{
    struct channel_security liar = box_1;

    open_both(_i, false, NULL);
    liar.identity = "box-2";
    connected_check_fails(address, &liar, CHANNEL_DENIED);
}
END_TEST

START_TEST(identities_and_keys_have_limits)
{
    char identity[KEYRING_IDENTITY_MAX + 2], key[KEYRING_PSK_MAX + 2];
    struct channel_security longest = {.has_psk = true, .identity = identity, .psk = key, .psk_size = KEYRING_PSK_MAX};
    struct channel *channel;

    memset(identity, 'i', sizeof identity);
    memset(key, 'k', sizeof key);
    identity[KEYRING_IDENTITY_MAX] = key[KEYRING_PSK_MAX] = 0;
    known[2] = (struct known_psk){identity, key};
    open_both(_i, false, NULL);
    check_works(&longest, identity);
    longest.psk_size++;
    ck_assert_int_lt(endpoint_open_channel(device->endpoint, address, &longest, false, device, &channel), 0);
    longest.psk_size = 0;
    ck_assert_int_lt(endpoint_open_channel(device->endpoint, address, &longest, false, device, &channel), 0);
    longest.psk_size = 16;
    identity[KEYRING_IDENTITY_MAX] = 'i';
    identity[KEYRING_IDENTITY_MAX + 1] = 0;
    ck_assert_int_lt(endpoint_open_channel(device->endpoint, address, &longest, false, device, &channel), 0);
    ck_assert_int_lt(endpoint_open_channel(device->endpoint, address, NULL, false, device, &channel), 0);
    /* without files of our own there are no certificates to speak with */
    ck_assert_int_lt(endpoint_open_channel(device->endpoint, address, &by_certificate, false, device, &channel), 0);
}
END_TEST

START_TEST(a_revoked_key_is_refused_at_the_next_handshake)
{
    open_both(_i, false, NULL);
    check_works(&box_1, "box-1");
    known[0].identity = NULL;
    connected_check_fails(address, &box_1, CHANNEL_DENIED);
    check_works(&box_2, "box-2");
}
END_TEST

START_TEST(a_changed_key_counts_from_the_next_handshake_on)
{
    struct channel_security changed = box_1;

    open_both(_i, false, NULL);
    check_works(&box_1, "box-1");
    known[0].key = changed.psk = "another-secret-11";
    connected_check_fails(address, &box_1, CHANNEL_DENIED);
    check_works(&changed, "box-1");
}
END_TEST

START_TEST(a_dropped_identity_is_cut_off_at_once)
{
    struct channel *one, *two;

    open_both(_i, false, NULL);
    one = connected_open(address, &box_1);
    connected_check_works(one, "box-1");
    two = connected_open(address, &box_2);
    connected_check_works(two, "box-2");
    known[0].identity = NULL;
    endpoint_drop_identity(gateway->endpoint, "box-1");
    ck_assert_uint_eq(sessions_of(gateway->endpoint), 1);
    connected_send(one, COAPMSG_PUT, "/a", "hello");
    ck_assert(connected_run(&device->events, 1, 20000));
    ck_assert_uint_eq(gateway->requests, 2);
    device->events = 0;
    connected_check_works(two, "box-2");
    (void)channel_close(one, false);
    (void)channel_close(two, false);
    connected_check_fails(address, &box_1, CHANNEL_DENIED);
}
END_TEST

/* As a server does it: a request makes the core revoke who sent it. */
static void revoke_in_handler(struct incoming *incoming)
{
    struct coapmsg response;

    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CHANGED);
    endpoint_drop_identity(gateway->endpoint, incoming_identity(incoming));
    incoming_answer(incoming, &response, true);
}

START_TEST(an_identity_may_be_dropped_in_its_own_request)
{
    struct channel *channel;

    open_both(_i, false, NULL);
    channel = connected_open(address, &box_1);
    gateway->script = revoke_in_handler;
    connected_send(channel, COAPMSG_PUT, "/a", "hello");
    ck_assert(connected_run(&device->events, 1, 10000));
    ck_assert_uint_eq(device->responses, 0);
    ck_assert_uint_eq(sessions_of(gateway->endpoint), 0);
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(our_own_sessions_with_an_identity_are_dropped)
{
    struct channel *channel;

    open_both(_i, false, NULL);
    channel = connected_open(address, &box_1);
    connected_check_works(channel, "box-1");
    (void)channel_close(channel, true);
    ck_assert_uint_eq(sessions_of(device->endpoint), 1);
    endpoint_drop_identity(device->endpoint, "box-1");
    connected_run_for(50);
    ck_assert_uint_eq(sessions_of(device->endpoint), 0);
}
END_TEST

/* Certificates ----------------------------------------------------------------------------------------------------- */

START_TEST(a_device_is_known_by_its_certificate)
{
    open_both(_i, true, connected_issue("box-1"));
    check_works(&by_certificate, "box-1");
    ck_assert(connected.gateway.has_fingerprint);
    check_works(&box_2, "box-2"); /* both kinds at one port */
    ck_assert(!connected.gateway.has_fingerprint);
    check_works(&by_certificate, "box-1");
}
END_TEST

START_TEST(a_certificate_that_is_not_trusted_is_refused)
{
    open_both(_i, true, connected_issue("box-1"));
    device_is_trusted = false;
    connected_check_fails(address, &by_certificate, CHANNEL_DENIED);
    device_is_trusted = true;
    check_works(&by_certificate, "box-1");
    device_is_trusted = false; /* nothing of the last time is remembered */
    connected_check_fails(address, &by_certificate, CHANNEL_DENIED);
}
END_TEST

START_TEST(a_certificate_of_another_name_is_refused)
{
    open_both(_i, true, connected_issue("box-7"));
    connected_check_fails(address, &by_certificate, CHANNEL_DENIED);
}
END_TEST

START_TEST(a_certificate_of_another_authority_is_refused)
{
    char reason[256], pem[CA_PEM_MAX];
    char *path = connected_issue("box-1"), directory[] = "/tmp/test_other.XXXXXX", command[64];
    struct ca_certificate issued;
    struct ca *other;
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(ca_open(&other, directory, reason, sizeof reason), 0);
    ck_assert_int_eq(ca_issue(other, "box-1", 0, 1, pem, &issued), 0);
    ck_assert_int_ge(fputs(pem, f), 0);
    (void)fclose(f);
    other = ca_free(other);
    (void)snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
    open_both(_i, true, path);
    connected_check_fails(address, &by_certificate, CHANNEL_DENIED);
}
END_TEST

START_TEST(an_expired_certificate_is_refused)
{
    char pem[CA_PEM_MAX], *path = connected_issue("box-1");
    struct ca_certificate issued;
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(ca_issue(connected.ca, "box-1", 1, INT64_C(1600000000000), pem, &issued), 0);
    ck_assert_int_ge(fputs(pem, f), 0);
    (void)fclose(f);
    open_both(_i, true, path);
    connected_check_fails(address, &by_certificate, CHANNEL_DENIED);
}
END_TEST

/* The device's side is the same code: so the gateway checks devices that it asks. */
START_TEST(a_server_with_another_name_is_refused)
{
    struct channel_security wrong = {.peer_name = "box-1"};

    open_both(_i, true, connected_issue("box-1"));
    connected_check_fails(address, &wrong, CHANNEL_DENIED);
}
END_TEST

START_TEST(a_gateway_without_certificates_takes_keys_only)
{
    open_both(_i, false, connected_issue("box-1"));
    connected_check_fails(address, &by_certificate, CHANNEL_DENIED);
    check_works(&box_1, "box-1");
}
END_TEST

START_TEST(files_that_cannot_be_read_are_told)
{
    char reason[256];

    connected_open_device("/nonexistent/box.pem");
    ck_assert_int_lt(endpoint_listen(device->endpoint, transports[_i], "127.0.0.1:0", reason, sizeof reason), 0);
    ck_assert_ptr_nonnull(strstr(reason, "/nonexistent/box.pem"));
}
END_TEST

/* Garbage ---------------------------------------------------------------------------------------------------------- */

static int dial(int type)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type, 0);

    ck_assert_int_ge(fd, 0);
    to.sin_port = htons(endpoint_port(gateway->endpoint, type == SOCK_DGRAM ? PEER_DTLS : PEER_TLS));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Neither harms those who are there, nor keeps those away who come. */
START_TEST(garbage_changes_nothing)
{
    static const uint8_t hello[] = {0x16, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0xff};
    struct channel *channel;
    uint8_t bytes[300];

    open_both(_i, false, NULL);
    channel = connected_open(address, &box_1);
    connected_check_works(channel, "box-1");
    for (unsigned i = 0; i < 300; i++) {
        int fd = dial(transports[_i] == PEER_DTLS ? SOCK_DGRAM : SOCK_STREAM);

        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)(i * 31 + k * 7);
        if (i % 3 == 0)
            memcpy(bytes, hello, sizeof hello);
        ck_assert_int_gt(send(fd, bytes, 1 + i, MSG_NOSIGNAL), 0);
        if (i % 4 == 0)
            connected_run_for(2);
        (void)close(fd);
    }
    connected_run_for(50);
    connected_check_works(channel, "box-1");
    (void)channel_close(channel, false);
    check_works(&box_2, "box-2");
    ck_assert_uint_le(sessions_of(gateway->endpoint), 8 + 2);
}
END_TEST

int main(void)
{
    static const TTest *const *const keys[] = {&each_device_is_known_by_its_key,
                                               &a_wrong_key_is_refused,
                                               &an_unknown_identity_is_refused,
                                               &another_devices_identity_is_refused,
                                               &identities_and_keys_have_limits,
                                               &a_revoked_key_is_refused_at_the_next_handshake,
                                               &a_changed_key_counts_from_the_next_handshake_on,
                                               &a_dropped_identity_is_cut_off_at_once,
                                               &an_identity_may_be_dropped_in_its_own_request,
                                               &our_own_sessions_with_an_identity_are_dropped};
    static const TTest *const *const certificates[] = {&a_device_is_known_by_its_certificate,
                                                       &a_certificate_that_is_not_trusted_is_refused,
                                                       &a_certificate_of_another_name_is_refused,
                                                       &a_certificate_of_another_authority_is_refused,
                                                       &an_expired_certificate_is_refused,
                                                       &a_server_with_another_name_is_refused,
                                                       &a_gateway_without_certificates_takes_keys_only,
                                                       &files_that_cannot_be_read_are_told,
                                                       &garbage_changes_nothing};
    Suite *suite = suite_create("coap_trust");
    TCase *tc = connected_case("keys");

    for (size_t i = 0; i < array_size(keys); i++)
        tcase_add_loop_test(tc, *keys[i], 0, (int)array_size(transports));
    suite_add_tcase(suite, tc);
    tc = connected_case("certificates");
    for (size_t i = 0; i < array_size(certificates); i++)
        tcase_add_loop_test(tc, *certificates[i], 0, (int)array_size(transports));
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
