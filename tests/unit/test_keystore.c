#include "codec/cose.h"
#include "codec/keystore.h"
#include "codec/pemfile.h"
#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

/* Keys in files. Tokens: tests/integration/test_keys.py. */

static char directory[64], reason[256];

static void set_up(void)
{
    strcpy(directory, "/tmp/test_keystore.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    reason[0] = 0;
}

static void tear_down(void)
{
    DIR *d = opendir(directory);
    struct dirent *entry;

    while ((entry = readdir(d)))
        (void)unlinkat(dirfd(d), entry->d_name, 0);
    (void)closedir(d);
    ck_assert_int_eq(rmdir(directory), 0);
}

static const char *path_of(const char *file)
{
    static char path[2][128];
    static unsigned next;
    char *out = path[next++ % 2];

    (void)snprintf(out, sizeof path[0], "%s/%s", directory, file);
    return out;
}

static EVP_PKEY *make(const char *type, const char *file)
{
    EVP_PKEY *key = strcmp(type, "RSA") == 0       ? EVP_RSA_gen(2048)
                    : strcmp(type, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type)
                                                   : EVP_EC_gen(type);

    ck_assert(key && pemfile_create_key(key, path_of(file)));
    return key;
}

START_TEST(private_keys)
{
    cleanup_pkey EVP_PKEY *key = make(_i ? "P-256" : "ED25519", "key.pem"), *read = NULL, *again = NULL;
    char where[128];

    ck_assert_msg(keystore_open(&read, path_of("key.pem"), reason, sizeof reason) == 0, "%s", reason);
    ck_assert_int_eq(EVP_PKEY_eq(key, read), 1);
    (void)snprintf(where, sizeof where, "file:%s", path_of("key.pem"));
    ck_assert_int_eq(keystore_open(&again, where, reason, sizeof reason), 0);
    ck_assert_int_eq(EVP_PKEY_eq(key, again), 1);
}
END_TEST

START_TEST(public_keys)
{
    cleanup_pkey EVP_PKEY *key = make("P-256", "key.pem"), *read = NULL, *again = NULL, *other;
    FILE *file = fopen(path_of("key.pub"), "we");

    ck_assert_int_eq(PEM_write_PUBKEY(file, key), 1);
    (void)fclose(file);
    ck_assert_int_eq(keystore_open_public(&read, path_of("key.pub"), reason, sizeof reason), 0);
    ck_assert_int_eq(EVP_PKEY_eq(key, read), 1);
    ck_assert_int_eq(keystore_open_public(&again, path_of("key.pem"), reason, sizeof reason), 0);
    ck_assert_int_eq(EVP_PKEY_eq(key, again), 1);
    ck_assert_int_eq(keystore_open(&other, path_of("key.pub"), reason, sizeof reason), 1);
}
END_TEST

static void refused(const char *where, const char *expected)
{
    EVP_PKEY *key;

    ck_assert_int_eq(keystore_open(&key, where, reason, sizeof reason), 1);
    ck_assert_ptr_null(key);
    ck_assert_msg(strstr(reason, expected) != NULL, "%s", reason);
}

START_TEST(bad_keys)
{
    cleanup_pkey EVP_PKEY *key = NULL;
    char long_name[KEYSTORE_WHERE_MAX + 2];

    EVP_PKEY_free(make("RSA", "rsa.pem"));
    EVP_PKEY_free(make("P-384", "p384.pem"));
    refused(path_of("none.pem"), "No such file");
    refused(path_of("rsa.pem"), "neither");
    refused(path_of("p384.pem"), "neither");
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = 0;
    refused(long_name, "at most");
    ck_assert_int_eq(chmod(path_of("rsa.pem"), 0644), 0);
    refused(path_of("rsa.pem"), "chmod 600");
    ck_assert(pemfile_create(path_of("text.pem"), true, "no key"));
    refused(path_of("text.pem"), "no");
    ck_assert_int_eq(keystore_open_public(&key, path_of("text.pem"), reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "not a public key"));
}
END_TEST

START_TEST(bad_uris)
{
    refused("nonsense:somewhere?pin-value=secret", "a provider for it");
    ck_assert_ptr_null(strstr(reason, "secret"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keystore");
    TCase *tc = suite_add_case(suite, "keystore", set_up, tear_down);

    tcase_add_loop_test(tc, private_keys, 0, 2);
    tcase_add_test(tc, public_keys);
    tcase_add_test(tc, bad_keys);
    tcase_add_test(tc, bad_uris);
    return suite_run(suite);
}
