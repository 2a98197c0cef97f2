#include "codec/seal.h"
#include "suite.h"

#include <check.h>
#include <string.h>
#include <sys/stat.h>

static const uint8_t key[SEAL_KEY_SIZE] = "0123456789abcdef0123456789abcde";
static char directory[100], source[SEAL_PATH_MAX], reason[512];

static void setup(void)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(directory, sizeof directory, "%.60s/tcgw-seal-XXXXXX", base && *base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)unsetenv("CREDENTIALS_DIRECTORY");
}

static void teardown(void)
{
    char command[200];

    (void)snprintf(command, sizeof command, "rm -r '%s'", directory);
    ck_assert_int_eq(system(command), 0); /* NOLINT: a test's own words */
}

static const char *path_of(const char *name)
{
    static char path[200];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, size_t size, mode_t mode)
{
    FILE *file = fopen(path_of(name), "w");

    for (size_t i = 0; i < size; i++)
        (void)fputc((int)i, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path_of(name), mode), 0);
}

START_TEST(what_was_sealed_opens_with_the_same_key_and_label_only)
{
    uint8_t sealed[20 + SEAL_OVERHEAD], again[20 + SEAL_OVERHEAD], opened[20], other[SEAL_KEY_SIZE];

    memcpy(other, key, sizeof other);
    other[31] ^= 1;
    ck_assert_int_eq(seal(key, "label", 5, "twenty bytes of text", 20, sealed), 0);
    ck_assert_int_eq(seal(key, "label", 5, "twenty bytes of text", 20, again), 0);
    ck_assert_mem_ne(sealed, again, sizeof sealed); /* another nonce */
    ck_assert_int_eq(seal_open(key, "label", 5, sealed, sizeof sealed, opened), 0);
    ck_assert_mem_eq(opened, "twenty bytes of text", 20);
    ck_assert_int_eq(seal_open(other, "label", 5, sealed, sizeof sealed, opened), 1);
    ck_assert_int_eq(seal_open(key, "labem", 5, sealed, sizeof sealed, opened), 1);
    ck_assert_int_eq(seal_open(key, "labe", 4, sealed, sizeof sealed, opened), 1);
    ck_assert_mem_eq(opened, "\0\0\0\0\0\0\0\0", 8); /* nothing of it is told */
    for (size_t size = 0; size < sizeof sealed; size++)
        ck_assert_int_eq(seal_open(key, "label", 5, sealed, size, opened), 1);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(seal_open(key, "label", 5, sealed, sizeof sealed, opened), 1);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

START_TEST(a_key_is_made_once)
{
    uint8_t made[SEAL_KEY_SIZE], again[SEAL_KEY_SIZE];
    struct stat st;

    ck_assert_int_eq(seal_load_or_create_key(made, "", directory, source, reason, sizeof reason), 0);
    ck_assert_str_eq(source, path_of("credential-key"));
    ck_assert_int_eq(stat(source, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(st.st_size, SEAL_KEY_SIZE);
    ck_assert_int_eq(seal_load_or_create_key(again, NULL, directory, source, reason, sizeof reason), 0);
    ck_assert_mem_eq(made, again, SEAL_KEY_SIZE);
    ck_assert_int_eq(unlink(source), 0);
    ck_assert_int_eq(seal_load_or_create_key(again, NULL, directory, source, reason, sizeof reason), 0);
    ck_assert_mem_ne(made, again, SEAL_KEY_SIZE);
}
END_TEST

START_TEST(systemd_goes_before_the_configured_file_before_the_own)
{
    uint8_t read[SEAL_KEY_SIZE];
    char configured[200];

    ck_assert_int_eq(seal_load_or_create_key(read, "", directory, source, reason, sizeof reason), 0);
    write_file("configured", SEAL_KEY_SIZE, 0400);
    (void)snprintf(configured, sizeof configured, "%s", path_of("configured"));
    ck_assert_int_eq(seal_load_or_create_key(read, configured, directory, source, reason, sizeof reason), 0);
    ck_assert_str_eq(source, configured);
    ck_assert_uint_eq(read[31], 31);
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0); /* without one of ours */
    ck_assert_int_eq(seal_load_or_create_key(read, configured, directory, source, reason, sizeof reason), 0);
    ck_assert_str_eq(source, configured);
    write_file("tcgw.sealing-key", SEAL_KEY_SIZE, 0440);
    ck_assert_int_eq(seal_load_or_create_key(read, configured, directory, source, reason, sizeof reason), 0);
    ck_assert_str_eq(source, path_of("tcgw.sealing-key"));
}
END_TEST

static void is_refused(const char *configured, const char *part)
{
    uint8_t read[SEAL_KEY_SIZE];

    ck_assert_int_eq(seal_load_or_create_key(read, configured, directory, source, reason, sizeof reason), 1);
    ck_assert_msg(strstr(reason, part) && strstr(reason, source), "%s", reason);
}

START_TEST(bad_files_are_refused_with_advice)
{
    write_file("credential-key", SEAL_KEY_SIZE, 0640);
    is_refused("", "chmod 600");
    write_file("credential-key", SEAL_KEY_SIZE, 0604);
    is_refused("", "chmod 600");
    write_file("credential-key", SEAL_KEY_SIZE - 1, 0600);
    is_refused("", "32 bytes, not 31");
    write_file("credential-key", SEAL_KEY_SIZE + 1, 0600);
    is_refused("", "32 bytes, not 33");
    ck_assert_int_eq(unlink(path_of("credential-key")), 0);
    ck_assert_int_eq(mkdir(path_of("credential-key"), 0700), 0);
    is_refused("", "not a regular file");
    is_refused("/nonexistent/key", "cannot be opened"); /* one that was named is not made */
    (void)snprintf(directory + strlen(directory), 2, "x");
    is_refused("", "cannot be written");
    directory[strlen(directory) - 1] = 0;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("seal");
    TCase *tcase = tcase_create("seal");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_was_sealed_opens_with_the_same_key_and_label_only);
    tcase_add_test(tcase, a_key_is_made_once);
    tcase_add_test(tcase, systemd_goes_before_the_configured_file_before_the_own);
    tcase_add_test(tcase, bad_files_are_refused_with_advice);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
