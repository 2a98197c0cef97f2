#include "codec/wasm.h"
#include "suite.h"

#include "base/cleanup.h"
#include "tcgw/metadata.h"
#include "wat.h"

#include <check.h>
#include <string.h>

static char reason[128];

#define LOOP "(func (export \"loop\") (result i32) i32.const 0)"

static int check_wat(const char *text, struct wasm_summary *summary)
{
    size_t size;
    cleanup_free uint8_t *module = wat_compile(text, &size);

    reason[0] = '\0';
    return wasm_check(module, size, summary, reason, sizeof reason);
}

START_TEST(summarises_a_module)
{
    struct wasm_summary summary;

    ck_assert_msg(check_wat("(module (import \"env\" \"logger\" (func (param i32)))"
                            "(import \"env\" \"open\" (func (param i32) (result i32)))"
                            "(import \"env\" \"read\" (func (param i32 i32 i32) (result i32)))"
                            "(memory 2 3) (table 1 funcref) (global i32 (i32.const 1))"
                            "(func (export \"start\")) (func (export \"stop\")) " LOOP
                            "(elem (i32.const 0) 0) (data (i32.const 0) \"x\"))",
                            &summary) == 0,
                  "%s", reason);
    ck_assert_uint_eq(summary.syscall_mask, 1u << (CONTAINER_SYSCALL_OPEN - 1) | 1u << (CONTAINER_SYSCALL_READ - 1));
    ck_assert_uint_eq(summary.memory_pages, 2);
    ck_assert_uint_eq(summary.function_count, 3);
}
END_TEST

START_TEST(knows_every_import)
{
    struct wasm_summary summary;

    ck_assert_int_eq(check_wat("(module (import \"env\" \"close\" (func (param i32) (result i32)))"
                               "(import \"env\" \"write\" (func (param i32 i32 i32) (result i32)))" LOOP ")",
                               &summary),
                     0);
    ck_assert_uint_eq(summary.syscall_mask, 1u << (CONTAINER_SYSCALL_CLOSE - 1) | 1u << (CONTAINER_SYSCALL_WRITE - 1));
    ck_assert_uint_eq(summary.memory_pages, 0);
    ck_assert_uint_eq(summary.memory_pages_max, 0);
    ck_assert_int_eq(check_wat("(module (memory 2 7)" LOOP ")", &summary), 0);
    ck_assert_uint_eq(summary.memory_pages, 2);
    ck_assert_uint_eq(summary.memory_pages_max, 7);
}
END_TEST

struct bad_module {
    const char *text;
    const char *complaint;
};

static const struct bad_module bad_modules[] = {
    {"(module)", "does not export the function loop()"},
    {"(module (func (export \"loop\")))", "loop must take nothing and return an int"},
    {"(module (func (export \"loop\") (param i32) (result i32) i32.const 0))", "loop must take nothing"},
    {"(module (func (export \"loop\") (result i64) i64.const 0))", "loop must take nothing"},
    {"(module (memory (export \"loop\") 1))", "loop is not a function"},
    {"(module " LOOP "(func (export \"start\") (result i32) i32.const 0))",
     "start must take nothing and return nothing"},
    {"(module " LOOP "(func (export \"stop\") (param i32)))", "stop must take nothing and return nothing"},
    {"(module (import \"env\" \"abort\" (func)) " LOOP ")", "env.abort does not exist"},
    {"(module (import \"env\" \"a\\nb\\c3\\a4\" (func)) " LOOP ")", "env.a?b?? does not exist"},
    {"(module (import \"wasi\" \"read\" (func (param i32 i32 i32) (result i32))) " LOOP ")",
     "wasi.read does not exist"},
    {"(module (import \"env\" \"read\" (func (param i32 i32) (result i32))) " LOOP ")", "env.read has another type"},
    {"(module (import \"env\" \"open\" (func (param i64) (result i32))) " LOOP ")", "env.open has another type"},
    {"(module (import \"env\" \"logger\" (func (param i32) (result i32))) " LOOP ")", "env.logger has another type"},
    {"(module (import \"env\" \"memory\" (memory 1)) " LOOP ")", "env.memory does not exist"},
    {"(module (import \"env\" \"open\" (global i32)) " LOOP ")", "env.open does not exist"},
    {"(module (func $s) (start $s) " LOOP ")", "has a start section"},
    {"(module (memory 1) (memory 1) " LOOP ")", "2 memories"},
    {"(module (memory 2 1) " LOOP ")", "maximum below its minimum"},
    {"(module (memory 65537) " LOOP ")", "larger than 4 GiB"},
    {"(module (memory 1 2 shared) " LOOP ")", "limits of an unknown kind"},
    {"(module (table 4097 funcref) " LOOP ")", "4097 elements"},
    {"(module (table 1 funcref) (table 1 funcref) " LOOP ")", "one table, of functions"},
    {"(module (table 1 externref) " LOOP ")", "one table, of functions"},
    {"(module (func (param v128)) " LOOP ")", "value type 0x7b"},
    {"(module (func (result i32 i32) i32.const 0 i32.const 0) " LOOP ")", "2 parameters or results"},
    {"(module (tag) " LOOP ")", "id 13"},
    {"(module (global i64 (i32.const 1)) " LOOP ")", "no constant of its type"},
    {"(module (global i32 (i32.add (i32.const 1) (i32.const 1))) " LOOP ")", "no constant of its type"},
    {"(module (global v128 (v128.const i64x2 0 0)) " LOOP ")", "global variable 0 has a type"},
    {"(module (memory 1) (data (i32.const 65530) \"too long\") " LOOP ")", "data segment is for more"},
    {"(module (data (i32.const 0) \"x\") " LOOP ")", "data segment is for more"},
    {"(module (memory 1) (data (i32.const -1) \"x\") " LOOP ")", "data segment is for more"},
    {"(module (memory 1) (data \"x\") " LOOP ")", "data segment is of the kind 1"},
    {"(module (table 1 funcref) (func $f) (elem (i32.const 1) $f) " LOOP ")", "element segment is for more"},
    {"(module (table 1 funcref) (elem (i32.const 0) 7) " LOOP ")", "names a function that is not there"},
    {"(module (func (export \"a\")) (func (export \"a\")) " LOOP ")", "two exports have the same name"},
    {"(module (export \"g\" (global 0)) " LOOP ")", "something that is not there"},
};

/* Instructions in loop(), which has the parameter-less type of i32, a local i64 (0) and a local f32 (1). */
#define BODY(text)                                                                                                     \
    "(module (memory 1) (table 1 funcref) (type $t (func (param i32) (result f64)))"                                   \
    "(global $k i32 (i32.const 1)) (global $v (mut i64) (i64.const 1)) (func $f (param i32 i64))"                      \
    "(func (export \"loop\") (result i32) (local i64 f32) " text "))"

static const struct bad_module bad_bodies[] = {
    {"", "there is no value"},
    {"i64.const 0", "the stack has i64 in place of i32"},
    {"i32.const 0 i32.const 0", "values are left"},
    {"i32.const 0 f32.const 0 i32.add", "f32 in place of i32"},
    {"local.get 2 drop i32.const 0", "no local variable 2"},
    {"i32.const 0 local.set 0 i32.const 0", "i32 in place of i64"},
    {"f32.const 0 local.tee 1", "f32 in place of i32"},
    {"global.get 2 drop i32.const 0", "no global variable 2"},
    {"i32.const 0 global.set $k i32.const 0", "is a constant"},
    {"i32.const 0 global.set $v i32.const 0", "i32 in place of i64"},
    {"br 1 ", "no label 1"},
    {"(block (result i32) br 0)", "there is no value"},
    {"(block br 0) i32.const 0 (block br_if 7)", "no label 7"},
    {"(loop (result i32) i32.const 0 br_if 0)", "there is no value"},
    {"(block (block (result i32) i32.const 0 i32.const 0 br_table 0 1)) unreachable", "several types"},
    {"(block i32.const 0 br_table 0 9) i32.const 0", "no label 9"},
    {"i64.const 0 return", "i64 in place of i32"},
    {"i32.const 1 (if (result i32) (then i32.const 0))", "no else"},
    {"i32.const 1 (if (result i32) (then i32.const 0) (else nop))", "there is no value"},
    {"(block i32.const 0) i32.const 0", "values are left"},
    {"i32.const 0 call $f i32.const 0", "i32 in place of i64"},
    {"call 9 i32.const 0", "no function 9"},
    {"i32.const 0 i32.const 0 call_indirect (type $t)", "f64 in place of i32"},
    {"i32.const 0 i64.const 0 i32.const 0 select", "different types"},
    {"i32.const 0 drop drop i32.const 0", "there is no value"},
    {"i64.const 0 i32.load", "i64 in place of i32"},
    {"i32.const 0 i32.const 0 i64.store i32.const 0", "i32 in place of i64"},
    {"i32.const 0 i32.load align=4 memory.size drop f32.const 0 i32.trunc_sat_f64_s drop", "f32 in place of f64"},
    {"i32.const 0 i32.const 0 i32.const 0 memory.fill i32.const 0", "mcpu=mvp"},
    {"ref.null func drop i32.const 0", "mcpu=mvp"},
    {"unreachable i64.add", "i64 in place of i32"},
    {"i32.const 0 unreachable i64.const 0", "i64 in place of i32"},
};

START_TEST(refuses_bad_bodies)
{
    const struct bad_module *bad = &bad_bodies[_i];
    char text[1024];

    (void)snprintf(text, sizeof text, BODY("%s"), bad->text);
    ck_assert_int_eq(check_wat(text, NULL), 1);
    ck_assert_msg(strstr(reason, "does not validate: function 1") && strstr(reason, bad->complaint),
                  "%s: \"%s\" instead of \"%s\"", bad->text, reason, bad->complaint);
}
END_TEST

static const char *const good_bodies[] = {
    "unreachable",
    "unreachable i32.add select",
    "i32.const 0 return i64.const 5 drop i64.add i32.wrap_i64",
    "(loop br 0) i32.const 0",
    "(block (result i32) i32.const 4 i32.const 1 br_if 0)",
    "(block (block (block i32.const 0 br_table 0 1 2))) i32.const 0",
    "i32.const 1 (if (then nop)) i32.const 1 (if (result i32) (then i32.const 0) (else unreachable))",
    "i32.const 0 i64.const 0 call $f i32.const 3 i32.const 0 call_indirect (type $t) i32.trunc_sat_f64_s",
    "i64.const -9223372036854775808 global.set $v global.get $v local.tee 0 i64.extend8_s i64.eqz",
    "i32.const -1 i32.const 0 f32.load offset=4 align=1 local.tee 1 f32.store i32.const 1 memory.grow",
    "f32.const 1 f64.promote_f32 f64.const 2 f64.lt i32.const 0x7fffffff i32.extend16_s i32.const 0 select",
};

START_TEST(accepts_good_bodies)
{
    char text[1024];

    (void)snprintf(text, sizeof text, BODY("%s"), good_bodies[_i]);
    ck_assert_msg(check_wat(text, NULL) == 0, "%s: %s", text, reason);
}
END_TEST

/* Modules with a few changed bytes: what passes here passes libwabt, and the other way round but for what a container
 * may not have, what could not start, and an `end` in the wrong place, which the library does not mind. */
START_TEST(agrees_with_libwabt)
{
    char text[1024];
    size_t size;
    uint32_t seed = 1;
    unsigned agreed = 0;
    cleanup_free uint8_t *module = NULL, *changed = NULL;

    (void)snprintf(text, sizeof text, BODY("%s"), good_bodies[_i]);
    module = wat_compile(text, &size);
    changed = malloc(size);
    for (unsigned round = 0; round < 1500; round++) {
        bool valid;

        memcpy(changed, module, size);
        for (unsigned n = 1 + round % 3; n > 0; n--) {
            seed = seed * 1664525u + 1013904223u;
            changed[8 + (seed >> 8) % (size - 8)] = (uint8_t)(seed >> 24);
        }
        valid = wat_is_valid(changed, size);
        if (wasm_check(changed, size, NULL, reason, sizeof reason) == 0)
            ck_assert_msg(valid, "round %u passed", round);
        else if (valid && !strstr(reason, "global section") && !strstr(reason, "0x0b: "))
            ck_assert_msg(!strstr(reason, "validate") && !strstr(reason, "malformed"), "round %u: %s", round, reason);
        agreed += valid;
    }
    ck_assert_uint_gt(agreed, 10);
}
END_TEST

START_TEST(refuses_bad_modules)
{
    const struct bad_module *bad = &bad_modules[_i];

    ck_assert_int_eq(check_wat(bad->text, NULL), 1);
    ck_assert_msg(strstr(reason, bad->complaint) != NULL, "%s: \"%s\" instead of \"%s\"", bad->text, reason,
                  bad->complaint);
}
END_TEST

static const uint8_t minimal[] = {
    0,  'a', 's', 'm',  1,   0,    0,    0,          /* header */
    1,  5,   1,   0x60, 0,   1,    0x7f,             /* type 0: () -> i32 */
    3,  2,   1,   0,                                 /* function 0 has type 0 */
    7,  8,   1,   4,    'l', 'o',  'o',  'p',  0, 0, /* export */
    10, 6,   1,   4,    0,   0x41, 0,    0x0b,       /* code */
};

struct bad_byte {
    size_t at;
    uint8_t value;
    const char *complaint;
};

static const struct bad_byte bad_bytes[] = {
    {0, 1, "no WebAssembly module"},
    {4, 2, "no WebAssembly module"},
    {8, 14, "id 14"},
    {8, 12, "id 12"},
    {8, 4, "table"}, /* its content is no table */
    {9, 4, "type section at byte 8 is malformed"},
    {9, 6, "type section at byte 8 is malformed"},
    {9, 100, "longer than the module"},
    {10, 2, "type 1 is not the type of a function"},
    {11, 0x5f, "not the type of a function"},
    {13, 2, "2 parameters or results"},
    {14, 0x70, "value type 0x70"},
    {15, 1, "out of order"},
    {18, 1, "has type 1; there are 1 types"},
    {17, 2, "function section at byte 15 is malformed"},
    {27, 4, "unknown kind 4"},
    {28, 1, "loop is not a function"},
    {31, 0, "code section at byte 29 is malformed"},
    {32, 100, "function 0 is cut off"},
    {33, 0x80, "a local variable has a type"},
};

START_TEST(refuses_bad_bytes)
{
    const struct bad_byte *bad = &bad_bytes[_i];
    uint8_t module[sizeof minimal];

    memcpy(module, minimal, sizeof minimal);
    module[bad->at] = bad->value;
    ck_assert_int_eq(wasm_check(module, sizeof module, NULL, reason, sizeof reason), 1);
    ck_assert_msg(strstr(reason, bad->complaint) != NULL, "\"%s\" instead of \"%s\"", reason, bad->complaint);
}
END_TEST

START_TEST(refuses_every_cut)
{
    ck_assert_int_eq(wasm_check(minimal, sizeof minimal, NULL, reason, sizeof reason), 0);
    for (size_t size = 0; size < sizeof minimal; size++) {
        cleanup_free uint8_t *cut = malloc(size ? size : 1);

        memcpy(cut, minimal, size);
        ck_assert_int_eq(wasm_check(cut, size, NULL, reason, sizeof reason), 1);
    }
}
END_TEST

START_TEST(refuses_numbers_of_more_than_32_bits)
{
    static const uint8_t long_size[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x10};
    static const uint8_t endless[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0};

    ck_assert_int_eq(wasm_check(long_size, sizeof long_size, NULL, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "longer than the module"));
    ck_assert_int_eq(wasm_check(endless, sizeof endless, NULL, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "longer than the module"));
}
END_TEST

/* A module whose only function declares this many locals, as one group. */
static int check_locals(uint16_t count)
{
    uint8_t module[sizeof minimal + 5];

    memcpy(module, minimal, sizeof minimal);
    module[30] = 10; /* section, */
    module[32] = 8;  /* body, */
    module[33] = 1;  /* one group, */
    module[34] = (uint8_t)(count & 0x7f) | 0x80;
    module[35] = (uint8_t)(count >> 7);
    module[36] = 0x7f; /* of i32 */
    memcpy(module + 37, minimal + 34, 3);
    module[40] = 0x0b;
    module[39] = 0x01; /* nop */
    return wasm_check(module, 41, NULL, reason, sizeof reason);
}

START_TEST(limits_locals)
{
    ck_assert_msg(check_locals(WASM_MAX_LOCALS) == 0, "%s", reason);
    ck_assert_int_eq(check_locals(WASM_MAX_LOCALS + 1), 1);
    ck_assert_ptr_nonnull(strstr(reason, "more than 1024 local variables"));
}
END_TEST

START_TEST(limits_the_size)
{
    cleanup_free uint8_t *big = calloc(1, WASM_MAX_MODULE + 1);

    ck_assert_int_eq(wasm_check(big, WASM_MAX_MODULE + 1, NULL, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "larger than"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasm");
    TCase *tests = tcase_create("wasm");

    tcase_add_test(tests, summarises_a_module);
    tcase_add_test(tests, knows_every_import);
    tcase_add_loop_test(tests, refuses_bad_modules, 0, (int)array_size(bad_modules));
    tcase_add_loop_test(tests, refuses_bad_bodies, 0, (int)array_size(bad_bodies));
    tcase_add_loop_test(tests, accepts_good_bodies, 0, (int)array_size(good_bodies));
    tcase_add_loop_test(tests, agrees_with_libwabt, 0, (int)array_size(good_bodies));
    tcase_add_loop_test(tests, refuses_bad_bytes, 0, (int)array_size(bad_bytes));
    tcase_add_test(tests, refuses_every_cut);
    tcase_add_test(tests, refuses_numbers_of_more_than_32_bits);
    tcase_add_test(tests, limits_locals);
    tcase_add_test(tests, limits_the_size);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
