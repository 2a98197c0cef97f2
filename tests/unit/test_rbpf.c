#include "codec/rbpf.h"
#include "suite.h"

#include "rbpf_asm.h"

#include <check.h>

static char reason[128];

static int check_text(const uint64_t *text, size_t count)
{
    struct rbpf_app app = rbpf_app_make(text, count, "datadata", 8, "rodata\0", 8);
    struct rbpf_file file;

    reason[0] = '\0';
    return rbpf_check(app.bytes, app.size, &file, reason, sizeof reason);
}

struct bad_text {
    uint64_t text[3];
    size_t count;
    const char *complaint;
};

static const struct bad_text bad_texts[] = {
    {{MOV(0, 1)}, 1, "instruction 0 (opcode 0xb7) is the last one"},
    {{EXIT, MOV(0, 1)}, 2, "instruction 1 (opcode 0xb7) is the last one"},
    {{MOV(11, 1), EXIT}, 2, "register above r10"},
    {{MOV_REG(0, 11), EXIT}, 2, "register above r10"},
    {{MOV(10, 1), EXIT}, 2, "writes r10"},
    {{INSN(0x79, 10, 1, 0, 0), EXIT}, 2, "writes r10"},
    {{INSN(0x18, 10, 0, 0, 0), 0, EXIT}, 3, "writes r10"},
    {{INSN(0x00, 0, 0, 0, 0), EXIT}, 2, "is not known"},
    {{INSN(0xe7, 0, 0, 0, 0), EXIT}, 2, "is not known"},  /* ALU64 0xe */
    {{INSN(0xd7, 0, 0, 0, 16), EXIT}, 2, "is not known"}, /* byte swap of -mcpu=v4 */
    {{INSN(0x8f, 0, 0, 0, 0), EXIT}, 2, "is not known"},  /* NEG by register */
    {{INSN(0xdb, 1, 0, 0, 0), EXIT}, 2, "is not known"},  /* atomic add */
    {{INSN(0x81, 0, 1, 0, 0), EXIT}, 2, "is not known"},  /* load with sign of -mcpu=v4 */
    {{INSN(0x30, 0, 1, 0, 0), EXIT}, 2, "is not known"},  /* legacy packet load */
    {{INSN(0xe5, 0, 0, 0, 0), EXIT}, 2, "is not known"},
    {{INSN(0x0d, 0, 0, 0, 0), EXIT}, 2, "is not known"},
    {{INSN(0x06, 0, 0, 0, 0), EXIT}, 2, "is not known"},
    {{INSN(0x96, 0, 0, 0, 0), EXIT}, 2, "is not known"},
    {{INSN(0x8d, 0, 0, 0, 1), EXIT}, 2, "is not known"}, /* call by register */
    {{INSN(0x85, 0, 1, 0, 1), EXIT}, 2, "only calls by number"},
    {{INSN(0x85, 0, 0, 0, -1), EXIT}, 2, "only calls by number"},
    {{INSN(0x37, 0, 0, 0, 0), EXIT}, 2, "divides by zero"},
    {{INSN(0x94, 0, 0, 0, 0), EXIT}, 2, "divides by zero"},
    {{INSN(0x67, 0, 0, 0, 64), EXIT}, 2, "shifts 64 bits by 64"},
    {{INSN(0x64, 0, 0, 0, 32), EXIT}, 2, "shifts 32 bits by 32"},
    {{INSN(0xc7, 0, 0, 0, -1), EXIT}, 2, "shifts 64 bits by -1"},
    {{INSN(0xd4, 0, 0, 0, 8), EXIT}, 2, "swaps 8 bits"},
    {{INSN(0x05, 0, 0, 1, 0), EXIT}, 2, "jumps to 2, outside"},
    {{INSN(0x05, 0, 0, -2, 0), EXIT}, 2, "jumps to -1, outside"},
    {{INSN(0x16, 0, 0, 7, 0), EXIT}, 2, "jumps to 8, outside"},
    {{INSN(0x18, 0, 0, 0, 1), 0, INSN(0x05, 0, 0, -2, 0)}, 3, "into the middle of an lddw"},
    {{EXIT, INSN(0x18, 0, 0, 0, 1)}, 2, "half an lddw"},
    {{INSN(0x18, 0, 0, 0, 1), EXIT}, 2, "malformed second half"},
    {{INSN(0x18, 0, 0, 0, 1), INSN(0, 1, 0, 0, 0), EXIT}, 3, "malformed second half"},
    {{INSN(0xb8, 0, 0, 0, 9), 0, EXIT}, 3, "beyond its section of 8 bytes"},
    {{INSN(0xd8, 0, 0, 0, 9), 0, EXIT}, 3, "beyond its section of 8 bytes"},
    {{INSN(0xd8, 0, 0, 0, -1), 0, EXIT}, 3, "beyond its section of 8 bytes"},
    {{INSN(0xd8, 0, 0, 0, 0), INSN(0, 0, 0, 0, 1), EXIT}, 3, "beyond its section of 8 bytes"},
};

START_TEST(refuses_bad_text)
{
    const struct bad_text *bad = &bad_texts[_i];

    ck_assert_int_eq(check_text(bad->text, bad->count), 1);
    ck_assert_msg(strstr(reason, bad->complaint) != NULL, "\"%s\" instead of \"%s\"", reason, bad->complaint);
}
END_TEST

START_TEST(accepts_what_clang_emits)
{
    static const uint8_t arithmetic[] = {
        0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x57, 0x5f, 0x67, 0x6f, 0x77, 0x7f, 0x87, 0x97,
        0x9f, 0xa7, 0xaf, 0xb7, 0xbf, 0xc7, 0xcf, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54,
        0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0x94, 0x9c, 0xa4, 0xac, 0xb4, 0xbc, 0xc4, 0xcc, 0x61, 0x69, 0x71, 0x79,
        0x62, 0x6a, 0x72, 0x7a, 0x63, 0x6b, 0x73, 0x7b, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x55, 0x5d,
        0x65, 0x6d, 0x75, 0x7d, 0xa5, 0xad, 0xb5, 0xbd, 0xc5, 0xcd, 0xd5, 0xdd, 0x16, 0x1e, 0x26, 0x2e, 0x36, 0x3e,
        0x46, 0x4e, 0x56, 0x5e, 0x66, 0x6e, 0x76, 0x7e, 0xa6, 0xae, 0xb6, 0xbe, 0xc6, 0xce, 0xd6, 0xde, 0x05, 0x85};

    for (size_t i = 0; i < sizeof arithmetic; i++) {
        const uint64_t text[] = {INSN(arithmetic[i], 0, 0, 0, 1), EXIT};

        ck_assert_msg(check_text(text, 2) == 0, "0x%02x: %s", arithmetic[i], reason);
    }
    for (int bits = 16; bits <= 64; bits *= 2) {
        const uint64_t text[] = {INSN(0xd4, 0, 0, 0, bits), INSN(0xdc, 0, 0, 0, bits), EXIT};

        ck_assert_msg(check_text(text, 3) == 0, "%s", reason);
    }
}
END_TEST

START_TEST(gives_the_sections)
{
    const uint64_t text[] = {INSN(0x18, 1, 0, 0, -1), 0, INSN(0xb8, 1, 0, 0, 8), 0, INSN(0xd8, 2, 0, 0, 0), 0, EXIT};
    struct rbpf_app app = rbpf_app_make(text, array_size(text), "datadata", 8, "rodata", 6);
    struct rbpf_file file;

    ck_assert_int_eq(rbpf_check(app.bytes, app.size, &file, reason, sizeof reason), 0);
    ck_assert_uint_eq(file.data_size, 8);
    ck_assert_mem_eq(file.data, "datadata", 8);
    ck_assert_uint_eq(file.rodata_size, 6);
    ck_assert_mem_eq(file.rodata, "rodata", 6);
    ck_assert_uint_eq(file.text_size, sizeof text);
    ck_assert_uint_eq(file.function_count, 0);
    ck_assert_int_eq(rbpf_instruction_at(file.text, 0).immediate, -1);
    ck_assert_uint_eq(rbpf_instruction_at(file.text, 6).opcode, RBPF_EXIT);
}
END_TEST

START_TEST(refuses_every_cut)
{
    const uint64_t text[] = {MOV(0, 42), EXIT};
    struct rbpf_app app = rbpf_app_make(text, 2, "data", 4, "name", 5);
    struct rbpf_file file;

    app.bytes[24] = 1; /* one function, named at 0, at 8 */
    rbpf_app_put(&app, 0, 4);
    rbpf_app_put(&app, 8, 2);
    ck_assert_msg(rbpf_check(app.bytes, app.size, &file, reason, sizeof reason) == 0, "%s", reason);
    for (size_t size = 0; size < app.size; size++) {
        /* an own block, so that a sanitizer sees a read behind it */
        cleanup_free uint8_t *cut = malloc(size ? size : 1);

        memcpy(cut, app.bytes, size);
        ck_assert_int_eq(rbpf_check(cut, size, &file, reason, sizeof reason), 1);
    }
    app.bytes[app.size] = 0;
    ck_assert_int_eq(rbpf_check(app.bytes, app.size + 1, &file, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "bytes follow"));
}
END_TEST

struct bad_byte {
    size_t at;
    uint8_t value;
    const char *complaint;
};

static const struct bad_byte bad_bytes[] = {
    {0, 'R', "does not begin with"},
    {4, 1, "version"},
    {12, 255, "longer than the file"},
    {15, 255, "longer than the file"},
    {20, 12, "whole number of instructions"},
    {20, 0, "whole number of instructions"},
    {24, 2, "table of functions"},
    {24, 0, "bytes follow"},
    {53, 5, "outside of rodata"},
    {54, 1, "outside of rodata"},
    {36, 'x', "outside of rodata"}, /* the NUL of the name */
    {57, 4, "outside of the text"},
    {57, 16, "outside of the text"},
};

START_TEST(refuses_bad_headers)
{
    const struct bad_byte *bad = &bad_bytes[_i];
    const uint64_t text[] = {MOV(0, 42), EXIT};
    struct rbpf_app app = rbpf_app_make(text, 2, "data", 4, "name", 5);
    struct rbpf_file file;

    app.bytes[24] = 1;
    rbpf_app_put(&app, 0, 4);
    rbpf_app_put(&app, 0, 2);
    ck_assert_uint_eq(app.size, 59);
    app.bytes[bad->at] = bad->value;
    ck_assert_int_eq(rbpf_check(app.bytes, app.size, &file, reason, sizeof reason), 1);
    ck_assert_msg(strstr(reason, bad->complaint) != NULL, "\"%s\" instead of \"%s\"", reason, bad->complaint);
}
END_TEST

START_TEST(refuses_a_file_over_the_limit)
{
    cleanup_free uint8_t *big = calloc(1, RBPF_MAX_FILE + 1);
    struct rbpf_file file;

    ck_assert_int_eq(rbpf_check(big, RBPF_MAX_FILE + 1, &file, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "larger than"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rbpf");
    TCase *tests = tcase_create("rbpf");

    tcase_add_loop_test(tests, refuses_bad_text, 0, (int)array_size(bad_texts));
    tcase_add_test(tests, accepts_what_clang_emits);
    tcase_add_test(tests, gives_the_sections);
    tcase_add_test(tests, refuses_every_cut);
    tcase_add_loop_test(tests, refuses_bad_headers, 0, (int)array_size(bad_bytes));
    tcase_add_test(tests, refuses_a_file_over_the_limit);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
