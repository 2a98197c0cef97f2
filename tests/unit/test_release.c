#include "codec/release.h"

#include "base/text.h"
#include "suite.h"

#include <string.h>

static struct release_statement example(void)
{
    struct release_statement statement = {.name = "door", .version = "1.4.0", .sequence = 7, .artifact_count = 2};

    memset(statement.artifacts[0], 0xaa, 32);
    memset(statement.artifacts[1], 0xbb, 32);
    return statement;
}

START_TEST(a_statement_has_one_form)
{
    cleanup_buffer struct buffer out = buffer_init(0);
    struct release_statement statement = example(), again;
    char hex[256], reason[128];

    ck_assert_int_eq(release_check(&statement, reason, sizeof reason), 0);
    release_encode(&out, &statement);
    text_hex(out.data, out.size < 22 ? out.size : 22, hex);
    ck_assert_str_eq(hex, "a40164646f6f720265312e342e3003070482" /* {1: "door", 2: "1.4.0", 3: 7, 4: [ */
                          "5820aaaa");
    ck_assert_uint_eq(out.size, 18 + 2 * 34);
    ck_assert_int_eq(release_parse(&again, out.data, out.size, reason, sizeof reason), 0);
    ck_assert(release_is_same(&statement, &again));
    again.artifacts[1][31] ^= 1;
    ck_assert(!release_is_same(&statement, &again));
    for (size_t size = 0; size < out.size; size++)
        ck_assert_int_eq(release_parse(&again, out.data, size, reason, sizeof reason), 1);
    buffer_append_u8(&out, 0);
    ck_assert_int_eq(release_parse(&again, out.data, out.size, reason, sizeof reason), 1);
}
END_TEST

static void refuses(struct release_statement statement, const char *why)
{
    cleanup_buffer struct buffer out = buffer_init(0);
    char reason[128];

    ck_assert_int_eq(release_check(&statement, reason, sizeof reason), 1);
    ck_assert_msg(strstr(reason, why), "%s", reason);
    if (statement.artifact_count > RELEASE_ARTIFACTS_MAX)
        return;
    release_encode(&out, &statement);
    ck_assert_int_eq(release_parse(&statement, out.data, out.size, reason, sizeof reason), 1);
}

START_TEST(what_may_not_be_said_is_refused)
{
    struct release_statement statement = example();

    statement.sequence = 0;
    refuses(statement, "sequence");
    statement.sequence = UINT64_C(1) << 63;
    refuses(statement, "sequence");
    statement = example();
    statement.name[0] = '@';
    refuses(statement, "name");
    statement = example();
    statement.version[0] = 0;
    refuses(statement, "version");
    statement = example();
    statement.artifact_count = 0;
    refuses(statement, "artifacts");
    statement.artifact_count = RELEASE_ARTIFACTS_MAX + 1;
    refuses(statement, "artifacts");
    statement = example();
    memset(statement.artifacts[1], 0xaa, 32);
    refuses(statement, "twice");
}
END_TEST

static int parses_hex(const char *hex)
{
    uint8_t bytes[256];
    struct release_statement statement;
    char reason[128];

    ck_assert(text_unhex(hex, bytes, strlen(hex) / 2));
    return release_parse(&statement, bytes, strlen(hex) / 2, reason, sizeof reason);
}

#define DIGEST "5820aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

START_TEST(other_forms_are_refused)
{
    ck_assert_int_eq(parses_hex("a4016161026131030704"
                                "81" DIGEST),
                     0);
    ck_assert_int_eq(parses_hex("a4026131016161030704"
                                "81" DIGEST),
                     1); /* another order */
    ck_assert_int_eq(parses_hex("a5016161026131030704"
                                "81" DIGEST "0500"),
                     1); /* a key too many */
    ck_assert_int_eq(parses_hex("bf016161026131030704"
                                "81" DIGEST "ff"),
                     1); /* indefinite */
    ck_assert_int_eq(parses_hex("a4016161026131032004"
                                "81" DIGEST),
                     1); /* a negative number */
    ck_assert_int_eq(parses_hex("a4014161026131030704"
                                "81" DIGEST),
                     1); /* bytes for a name */
    ck_assert_int_eq(parses_hex("a4016161026131030704"
                                "8141aa"),
                     1); /* a short digest */
    ck_assert_int_eq(parses_hex("a4016161026131030704"
                                "82" DIGEST DIGEST),
                     1); /* twice the same */
    ck_assert_int_eq(parses_hex("a4016161026131030704"
                                "9a00100000" DIGEST),
                     1); /* a million */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("release");
    TCase *tc = tcase_create("release");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, a_statement_has_one_form);
    tcase_add_test(tc, what_may_not_be_said_is_refused);
    tcase_add_test(tc, other_forms_are_refused);
    return suite_run(suite);
}
