#include "codec/ca.h"
#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define WALL INT64_C(1800000000000) /* ms: 2027 */

static char directory[64], reason[256];
static struct ca *ca;

static void set_up(void)
{
    strcpy(directory, "/tmp/test_ca.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    reason[0] = 0;
    ck_assert_msg(ca_open(&ca, directory, reason, sizeof reason) == 0, "%s", reason);
}

static void tear_down(void)
{
    DIR *d = opendir(directory);
    struct dirent *entry;

    ca = ca_free(ca);
    while ((entry = readdir(d)))
        (void)unlinkat(dirfd(d), entry->d_name, 0);
    (void)closedir(d);
    ck_assert_int_eq(rmdir(directory), 0);
}

static char *path_of(const char *file)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", directory, file);
    return path;
}

static void read_file(const char *file, char out[CA_PEM_MAX])
{
    FILE *f = fopen(path_of(file), "r");
    size_t n;

    ck_assert_ptr_nonnull(f);
    n = fread(out, 1, CA_PEM_MAX - 1, f);
    out[n] = 0;
    (void)fclose(f);
}

static void write_file(const char *file, const char *text)
{
    FILE *f = fopen(path_of(file), "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    (void)fclose(f);
}

static X509 *parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    ck_assert_ptr_nonnull(certificate);
    return certificate;
}

/* As a TLS peer does. Returns X509_V_OK or OpenSSL's reason. */
static int verify(const char *pem, int purpose, time_t at)
{
    X509 *certificate = parse(pem), *root = parse(ca_pem(ca));
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    int error;

    ck_assert_int_eq(X509_STORE_add_cert(store, root), 1);
    ck_assert_int_eq(X509_STORE_CTX_init(context, store, certificate, NULL), 1);
    ck_assert_int_eq(X509_STORE_CTX_set_purpose(context, purpose), 1);
    X509_STORE_CTX_set_time(context, 0, at);
    (void)X509_verify_cert(context);
    error = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(root);
    X509_free(certificate);
    return error;
}

static void assert_refused(const char *why)
{
    struct ca *again = (struct ca *)directory; /* must become NULL */

    ck_assert_int_eq(ca_open(&again, directory, reason, sizeof reason), 1);
    ck_assert_ptr_null(again);
    ck_assert_msg(strstr(reason, why) != NULL, "%s", reason);
}

/* The files -------------------------------------------------------------------------------------------------------- */

START_TEST(files_are_made_once)
{
    static const char *const secret[] = {CA_KEY_FILE, CA_GATEWAY_KEY_FILE};
    char before[CA_PEM_MAX];
    struct ca *again;
    struct stat st;

    for (size_t i = 0; i < array_size(secret); i++) {
        ck_assert_int_eq(stat(path_of(secret[i]), &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
    }
    ck_assert_int_eq(stat(path_of(CA_FILE), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0644);
    read_file(CA_GATEWAY_FILE, before);
    ck_assert_int_eq(ca_open(&again, directory, reason, sizeof reason), 0);
    ck_assert_str_eq(ca_pem(again), ca_pem(ca));
    again = ca_free(again);
    char after[CA_PEM_MAX];
    read_file(CA_GATEWAY_FILE, after);
    ck_assert_str_eq(before, after);
    read_file(CA_FILE, after);
    ck_assert_str_eq(after, ca_pem(ca));
}
END_TEST

START_TEST(the_gateway_has_a_certificate_for_both_roles)
{
    char pem[CA_PEM_MAX];
    struct ca_certificate gateway;

    read_file(CA_GATEWAY_FILE, pem);
    ck_assert(ca_read(pem, strlen(pem), &gateway));
    ck_assert_str_eq(gateway.common_name, CA_GATEWAY_NAME);
    ck_assert_int_eq(verify(pem, X509_PURPOSE_SSL_SERVER, WALL / 1000), X509_V_OK);
    ck_assert_int_eq(verify(pem, X509_PURPOSE_SSL_CLIENT, WALL / 1000), X509_V_OK);
    /* even where the clock was never set right */
    ck_assert_int_eq(verify(pem, X509_PURPOSE_SSL_CLIENT, WALL / 1000 + 3000000000), X509_V_OK);
}
END_TEST

START_TEST(a_lost_certificate_is_made_again_for_the_same_key)
{
    char pem[CA_PEM_MAX];
    struct ca_certificate device;

    ck_assert_int_eq(ca_issue(ca, "box-1", 0, WALL, pem, &device), 0);
    ck_assert_int_eq(unlink(path_of(CA_FILE)), 0);
    ca = ca_free(ca);
    ck_assert_int_eq(ca_open(&ca, directory, reason, sizeof reason), 0);
    ck_assert_int_eq(verify(pem, X509_PURPOSE_SSL_CLIENT, WALL / 1000), X509_V_OK);
}
END_TEST

START_TEST(files_that_do_not_belong_together_are_refused)
{
    ck_assert_int_eq(unlink(path_of(CA_GATEWAY_KEY_FILE)), 0);
    assert_refused("not that of the key");
    ck_assert_int_eq(unlink(path_of(CA_GATEWAY_FILE)), 0);
    ca = ca_free(ca);
    ck_assert_int_eq(ca_open(&ca, directory, reason, sizeof reason), 0);
    ck_assert_int_eq(unlink(path_of(CA_KEY_FILE)), 0);
    ck_assert_int_eq(unlink(path_of(CA_FILE)), 0);
    assert_refused("not signed by");
}
END_TEST

START_TEST(a_key_that_others_may_read_is_refused)
{
    ck_assert_int_eq(chmod(path_of(CA_KEY_FILE), 0640), 0);
    assert_refused("chmod 600");
}
END_TEST

START_TEST(what_is_no_certificate_is_refused)
{
    write_file(CA_FILE, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    assert_refused("not a certificate");
    write_file(CA_FILE, "");
    assert_refused("not a certificate");
    write_file(CA_KEY_FILE, "hello");
    assert_refused("not a private key");
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_told)
{
    struct ca *none;

    ck_assert_int_eq(ca_open(&none, "/nonexistent/tcgw", reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "/nonexistent/tcgw/" CA_KEY_FILE));
}
END_TEST

/* Devices' certificates -------------------------------------------------------------------------------------------- */

START_TEST(a_device_gets_a_key_and_a_certificate)
{
    char pem[CA_PEM_MAX];
    struct ca_certificate issued, read;
    X509 *certificate;
    EVP_PKEY *key;
    BIO *bio;

    ck_assert_int_eq(ca_issue(ca, "box-1", 30, WALL, pem, &issued), 0);
    ck_assert_str_eq(issued.common_name, "box-1");
    ck_assert(ca_read(pem, strlen(pem), &read));
    ck_assert_mem_eq(&read, &issued, sizeof read);
    bio = BIO_new_mem_buf(pem, -1);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    certificate = parse(pem);
    ck_assert_ptr_nonnull(key);
    ck_assert_int_eq(X509_check_private_key(certificate, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ck_assert_int_eq(verify(pem, X509_PURPOSE_SSL_CLIENT, WALL / 1000), X509_V_OK);
    ck_assert_int_eq(verify(pem, X509_PURPOSE_SSL_SERVER, WALL / 1000), X509_V_OK);
    ck_assert_int_eq(verify(pem, X509_PURPOSE_SSL_CLIENT, WALL / 1000 + 30 * 86400 - 1), X509_V_OK);
    ck_assert_int_eq(verify(pem, X509_PURPOSE_SSL_CLIENT, WALL / 1000 + 30 * 86400 + 1), X509_V_ERR_CERT_HAS_EXPIRED);
}
END_TEST

START_TEST(a_device_is_no_authority)
{
    char pem[CA_PEM_MAX];
    struct ca_certificate issued;
    X509 *certificate;

    ck_assert_int_eq(ca_issue(ca, "box-1", 0, WALL, pem, &issued), 0);
    certificate = parse(pem);
    ck_assert_int_eq(X509_check_ca(certificate), 0);
    X509_free(certificate);
}
END_TEST

START_TEST(two_certificates_of_one_name_differ)
{
    char pem[CA_PEM_MAX];
    struct ca_certificate a, b;

    ck_assert_int_eq(ca_issue(ca, "box-1", 0, WALL, pem, &a), 0);
    ck_assert_int_eq(ca_issue(ca, "box-1", 0, WALL, pem, &b), 0);
    ck_assert_mem_ne(a.fingerprint, b.fingerprint, sizeof a.fingerprint);
}
END_TEST

START_TEST(names_and_times_have_limits)
{
    char name[CA_COMMON_NAME_MAX + 2], pem[CA_PEM_MAX];
    struct ca_certificate issued;

    memset(name, 'x', sizeof name);
    name[CA_COMMON_NAME_MAX + 1] = 0;
    ck_assert_int_eq(ca_issue(ca, name, 0, WALL, pem, &issued), -EINVAL);
    ck_assert_str_eq(pem, "");
    name[CA_COMMON_NAME_MAX] = 0;
    ck_assert_int_eq(ca_issue(ca, name, 0, WALL, pem, &issued), 0);
    ck_assert_str_eq(issued.common_name, name);
    ck_assert_int_eq(ca_issue(ca, "", 0, WALL, pem, &issued), -EINVAL);
    ck_assert_int_eq(ca_issue(ca, "\xff", 0, WALL, pem, &issued), -EINVAL);
    ck_assert_int_eq(ca_issue(ca, "k\xc3\xbchlbox", 0, WALL, pem, &issued), 0);
    ck_assert_str_eq(issued.common_name, "k\xc3\xbchlbox");
    ck_assert_int_eq(ca_issue(ca, "/CN=box-2", 0, WALL, pem, &issued), 0);
    ck_assert_str_eq(issued.common_name, "/CN=box-2");
    ck_assert_int_eq(ca_issue(ca, "box-1", UINT32_MAX, WALL, pem, &issued), -EINVAL);
    ck_assert_int_eq(ca_issue(ca, "box-1", 1, -1, pem, &issued), -EINVAL);
}
END_TEST

/* A certificate of somebody's own with these names in its subject. */
static void make_foreign(const char *const names[], size_t count, char out[CA_PEM_MAX])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    int n;

    for (size_t i = 0; i < count; i += 2)
        ck_assert_int_eq(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), names[i], MBSTRING_ASC,
                                                    (const unsigned char *)names[i + 1], -1, -1, 0),
                         1);
    ck_assert_ptr_nonnull(ASN1_TIME_set(X509_getm_notBefore(certificate), 0));
    ck_assert_ptr_nonnull(ASN1_TIME_set(X509_getm_notAfter(certificate), 1));
    ck_assert_int_eq(X509_set_pubkey(certificate, key), 1);
    ck_assert_int_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    ck_assert_int_eq(PEM_write_bio_X509(bio, certificate), 1);
    n = BIO_read(bio, out, CA_PEM_MAX - 1);
    out[n] = 0;
    BIO_free(bio);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

START_TEST(a_name_is_the_common_name_and_nothing_else)
{
    static const char *const disguised[] = {"O", "CN=box-1", "CN", "box-2"};
    static const char *const twice[] = {"CN", "box-1", "CN", "box-2"};
    static const char *const none[] = {"O", "box-1"};
    struct ca_certificate read;
    char pem[CA_PEM_MAX];

    make_foreign(disguised, 4, pem);
    ck_assert(ca_read(pem, strlen(pem), &read));
    ck_assert_str_eq(read.common_name, "box-2");
    make_foreign(twice, 4, pem);
    ck_assert(!ca_read(pem, strlen(pem), &read));
    make_foreign(none, 2, pem);
    ck_assert(!ca_read(pem, strlen(pem), &read));
    ck_assert(!ca_read("hello", 5, &read));
    ck_assert(!ca_read("", 0, &read));
    ck_assert(!ca_read(pem, 100, &read));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ca");
    TCase *files = tcase_create("files"), *devices = tcase_create("devices");

    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_add_test(files, files_are_made_once);
    tcase_add_test(files, the_gateway_has_a_certificate_for_both_roles);
    tcase_add_test(files, a_lost_certificate_is_made_again_for_the_same_key);
    tcase_add_test(files, files_that_do_not_belong_together_are_refused);
    tcase_add_test(files, a_key_that_others_may_read_is_refused);
    tcase_add_test(files, what_is_no_certificate_is_refused);
    tcase_add_test(files, a_directory_that_is_not_there_is_told);
    suite_add_tcase(suite, files);
    tcase_add_checked_fixture(devices, set_up, tear_down);
    tcase_add_test(devices, a_device_gets_a_key_and_a_certificate);
    tcase_add_test(devices, a_device_is_no_authority);
    tcase_add_test(devices, two_certificates_of_one_name_differ);
    tcase_add_test(devices, names_and_times_have_limits);
    tcase_add_test(devices, a_name_is_the_common_name_and_nothing_else);
    suite_add_tcase(suite, devices);
    return suite_run(suite);
}
