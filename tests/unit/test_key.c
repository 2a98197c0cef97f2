#include "codec/key.h"
#include "suite.h"

#include "base/text.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

static char directory[64], path[96], reason[256];

static void set_up(void)
{
    strcpy(directory, "/tmp/test_key.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/key.pem", directory);
    reason[0] = 0;
}

/* Returns how many files there were, so that a test sees what was left behind. */
static unsigned empty_directory(void)
{
    DIR *d = opendir(directory);
    struct dirent *entry;
    unsigned count = 0;

    ck_assert_ptr_nonnull(d);
    while ((entry = readdir(d)))
        if (unlinkat(dirfd(d), entry->d_name, 0) == 0)
            count++;
    (void)closedir(d);
    return count;
}

static void tear_down(void)
{
    (void)empty_directory();
    ck_assert_int_eq(rmdir(directory), 0);
}

static void write_file(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void assert_refused(const char *why)
{
    struct key *key = (struct key *)path; /* must become NULL */

    ck_assert_int_eq(key_load(&key, path, reason, sizeof reason), 1);
    ck_assert_ptr_null(key);
    ck_assert_msg(strstr(reason, why) != NULL, "%s", reason);
    ck_assert_msg(strstr(reason, path) != NULL, "%s", reason);
    ck_assert_int_eq(key_load_or_create(&key, path, reason, sizeof reason), 1);
}

START_TEST(created_once_and_loaded_again)
{
    cleanup_key struct key *first = NULL, *second = NULL, *third = NULL;
    uint8_t a[KEY_PUBLIC_SIZE], b[KEY_PUBLIC_SIZE];
    mode_t mask = umask(0);
    struct stat st;

    ck_assert_int_eq(key_load(&first, path, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "No such file"));
    ck_assert_int_eq(key_load_or_create(&first, path, reason, sizeof reason), 0);
    umask(mask);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(key_load_or_create(&second, path, reason, sizeof reason), 0);
    ck_assert_int_eq(key_load(&third, path, reason, sizeof reason), 0);
    key_public(first, a);
    key_public(second, b);
    ck_assert_mem_eq(a, b, sizeof a);
    key_public(third, b);
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_uint_eq(empty_directory(), 1); /* no temporary file is left */
}
END_TEST

START_TEST(permissions_too_open)
{
    static const mode_t modes[] = {0640, 0604, 0660, 0644, 0601};
    cleanup_key struct key *key = NULL;

    ck_assert_int_eq(key_load_or_create(&key, path, reason, sizeof reason), 0);
    for (size_t i = 0; i < array_size(modes); i++) {
        ck_assert_int_eq(chmod(path, modes[i]), 0);
        assert_refused("chmod 600");
    }
    ck_assert_int_eq(chmod(path, 0400), 0);
    key = key_free(key);
    ck_assert_int_eq(key_load(&key, path, reason, sizeof reason), 0);
}
END_TEST

START_TEST(files_that_are_no_key)
{
    char large[9000];

    write_file("", 0600);
    assert_refused("not a private key");
    write_file("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0600);
    assert_refused("not a private key");
    write_file("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGb\n", 0600);
    assert_refused("passphrase");
    memset(large, '\n', sizeof large - 1);
    large[sizeof large - 1] = 0;
    write_file(large, 0600);
    assert_refused("too large");
}
END_TEST

/* A whole and valid key, but for X25519. */
START_TEST(keys_of_other_types)
{
    static const char x25519[] = "-----BEGIN PRIVATE KEY-----\n"
                                 "MC4CAQAwBQYDK2VuBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
                                 "-----END PRIVATE KEY-----\n";

    write_file(x25519, 0600);
    assert_refused("not an Ed25519 key");
}
END_TEST

START_TEST(path_that_cannot_be_used)
{
    struct key *key;

    ck_assert_int_eq(mkdir(path, 0700), 0);
    assert_refused("not a regular file");
    ck_assert_int_eq(rmdir(path), 0);
    (void)snprintf(path, sizeof path, "%s/missing/key.pem", directory);
    ck_assert_int_eq(key_load_or_create(&key, path, reason, sizeof reason), 1);
    ck_assert_msg(strstr(reason, "cannot be written: No such file or directory") != NULL, "%s", reason);
    (void)snprintf(path, sizeof path, "%s/fifo", directory);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_refused("not a regular file"); /* and does not hang */
}
END_TEST

START_TEST(public_key_as_text)
{
    cleanup_key struct key *key = key_generate();
    char pem[KEY_PEM_MAX];
    uint8_t public[KEY_PUBLIC_SIZE], der[128];
    int size;

    ck_assert_ptr_nonnull(key);
    key_public_pem(key, pem);
    key_public(key, public);
    ck_assert_ptr_eq(strstr(pem, "-----BEGIN PUBLIC KEY-----\n"), pem);
    ck_assert_ptr_nonnull(strstr(pem, "-----END PUBLIC KEY-----\n"));
    /* RFC 8410 section 4: the raw key is the last 32 of 44 bytes */
    size = EVP_DecodeBlock(der, (const uint8_t *)pem + strlen("-----BEGIN PUBLIC KEY-----\n"), 60);
    ck_assert_int_eq(size, 45); /* with the padding's zero */
    ck_assert_mem_eq(der + 12, public, sizeof public);
}
END_TEST

/* RFC 8032 section 7.1 test 2, its secret key in PKCS #8 (RFC 8410 section 7), the message 0x72. */
START_TEST(signs_as_rfc_8032_says)
{
    uint8_t der[48] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
    char hex[2 * METADATA_SIGNATURE_SIZE + 1], base64[80], pem[200];
    uint8_t signature[METADATA_SIGNATURE_SIZE], public[KEY_PUBLIC_SIZE];
    cleanup_key struct key *key = NULL;

    ck_assert(text_unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", der + 16, 32));
    (void)EVP_EncodeBlock((uint8_t *)base64, der, sizeof der);
    (void)snprintf(pem, sizeof pem, "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n", base64);
    write_file(pem, 0600);
    ck_assert_msg(key_load(&key, path, reason, sizeof reason) == 0, "%s", reason);
    key_public(key, public);
    text_hex(public, sizeof public, hex);
    ck_assert_str_eq(hex, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    ck_assert_int_eq(key_sign(key, (const uint8_t *)"\x72", 1, signature), 0);
    text_hex(signature, sizeof signature, hex);
    ck_assert_str_eq(hex, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                          "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("key");
    TCase *tc = tcase_create("key");

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, created_once_and_loaded_again);
    tcase_add_test(tc, permissions_too_open);
    tcase_add_test(tc, files_that_are_no_key);
    tcase_add_test(tc, keys_of_other_types);
    tcase_add_test(tc, path_that_cannot_be_used);
    tcase_add_test(tc, public_key_as_text);
    tcase_add_test(tc, signs_as_rfc_8032_says);
    return suite_run(suite);
}
