#include "agent/rbpf_vm.h"
#include "suite.h"

#include "agent/runtime.h"
#include "base/text.h"
#include "codec/rbpf.h"
#include "rbpf_asm.h"

#include <check.h>
#include <jansson.h>
#include <string.h>

#define FUEL 100000

static char reason[128];
static uint64_t seen[RBPF_ARGUMENTS];

static int call_seven(struct rbpf_vm *vm, void *arg, const uint64_t arguments[RBPF_ARGUMENTS], int64_t *result)
{
    (void)vm;
    (void)arg;
    memcpy(seen, arguments, sizeof seen);
    *result = -7;
    return 0;
}

/* Turns the bytes at r1, as many as r2 says, over. */
static int call_invert(struct rbpf_vm *vm, void *arg, const uint64_t arguments[RBPF_ARGUMENTS], int64_t *result)
{
    uint8_t *bytes = rbpf_vm_reach(vm, arguments[0], arguments[1], true);

    (void)arg;
    (void)result;
    if (!bytes)
        return RUNTIME_E_TRAP;
    for (uint64_t i = 0; i < arguments[1]; i++)
        bytes[i] ^= 0xff;
    return 0;
}

static const rbpf_call table[] = {call_seven, call_invert};
static const struct rbpf_calls calls = {.first = 5, .count = 2, .table = table};

static struct rbpf_vm *make(const struct rbpf_app *app)
{
    struct rbpf_vm *vm = NULL;

    ck_assert_msg(rbpf_vm_new(&vm, app->bytes, app->size, &calls, reason, sizeof reason) == 0, "%s", reason);
    return vm;
}

/* Runs a program once, with a data section of 8 bytes, the rodata "constant" and a context of 4 bytes. */
static int run(const uint64_t *text, size_t count, int64_t *result)
{
    struct rbpf_app app = rbpf_app_make(text, count, "\1\2\3\4\5\6\7\10", 8, "constant", 8);
    struct rbpf_vm *vm = make(&app);
    int r = rbpf_vm_run(vm, "ctx!", 4, FUEL, result, reason, sizeof reason);

    rbpf_vm_free(vm);
    return r;
}

/* Loads a and b into r1 and r2, does one instruction, returns r1. */
static uint64_t compute(uint64_t instruction, uint64_t a, uint64_t b)
{
    const uint64_t text[] = {INSN(0x18, 1, 0, 0, a),
                             INSN(0, 0, 0, 0, a >> 32),
                             INSN(0x18, 2, 0, 0, b),
                             INSN(0, 0, 0, 0, b >> 32),
                             instruction,
                             MOV_REG(0, 1),
                             EXIT};
    int64_t result = 0;

    ck_assert_msg(run(text, array_size(text), &result) == 0, "%s", reason);
    return (uint64_t)result;
}

struct arithmetic {
    uint64_t instruction; /* on r1, with r2 */
    uint64_t a, b, expected;
};

#define ALL UINT64_MAX
#define BY_REG(op) INSN(op, 1, 2, 0, 0)
#define BY_IMM(op, imm) INSN(op, 1, 0, 0, imm)

static const struct arithmetic arithmetics[] = {
    {BY_REG(0x0f), 5, ALL, 4},
    {BY_IMM(0x07, -6), 5, 0, ALL},
    {BY_REG(0x0c), 0xffffffff, 2, 1},
    {BY_IMM(0x04, -1), 0, 0, 0xffffffff},
    {BY_REG(0x1f), 5, 6, ALL},
    {BY_REG(0x1c), 5, 6, 0xffffffff},
    {BY_REG(0x2f), 0x100000001, 0x100000001, 0x200000001},
    {BY_REG(0x2c), 0x100000001, 3, 3},
    {BY_IMM(0x27, -1), 7, 0, (uint64_t)-7},
    {BY_REG(0x3f), ALL, 16, ALL / 16},
    {BY_IMM(0x37, -1), ALL, 0, 1},
    {BY_REG(0x3c), 0x1ffffffff, 2, 0x7fffffff},
    {BY_IMM(0x34, -1), 0xfffffffe, 0, 0},
    {BY_REG(0x9f), 17, 5, 2},
    {BY_IMM(0x94, 7), 0x100000010, 0, 2},
    {BY_REG(0x4f), 0xf0, 0x0f, 0xff},
    {BY_IMM(0x44, 1), 0xff00000000, 0, 1},
    {BY_REG(0x5f), 0xff, 0x0f, 0x0f},
    {BY_IMM(0x57, -16), 0xffff, 0, 0xfff0},
    {BY_REG(0xaf), 0xff, 0x0f, 0xf0},
    {BY_IMM(0xa4, -1), 0, 0, 0xffffffff},
    {BY_REG(0x6f), 1, 65, 2},
    {BY_IMM(0x67, 63), 1, 0, UINT64_C(1) << 63},
    {BY_REG(0x6c), 1, 33, 2},
    {BY_IMM(0x64, 31), 1, 0, 0x80000000},
    {BY_REG(0x7f), ALL, 60, 15},
    {BY_IMM(0x74, 4), ALL, 0, 0x0fffffff},
    {BY_IMM(0xc7, 63), UINT64_C(1) << 63, 0, ALL},
    {BY_REG(0xcf), (uint64_t)-8, 1, (uint64_t)-4},
    {BY_IMM(0xc4, 1), 0x80000000, 0, 0xc0000000},
    {BY_REG(0xcc), 0x40000000, 33, 0x20000000},
    {BY_IMM(0x87, 0), 1, 0, ALL},
    {BY_IMM(0x84, 0), 1, 0, 0xffffffff},
    {BY_IMM(0xb7, -2), 0, 0, (uint64_t)-2},
    {BY_IMM(0xb4, -2), ALL, 0, 0xfffffffe},
    {BY_REG(0xbf), 0, 0x123456789, 0x123456789},
    {BY_REG(0xbc), 0, 0x123456789, 0x23456789},
    {BY_IMM(0xd4, 16), 0x1122334455667788, 0, 0x7788},
    {BY_IMM(0xd4, 32), 0x1122334455667788, 0, 0x55667788},
    {BY_IMM(0xd4, 64), 0x1122334455667788, 0, 0x1122334455667788},
    {BY_IMM(0xdc, 16), 0x1122334455667788, 0, 0x8877},
    {BY_IMM(0xdc, 32), 0x1122334455667788, 0, 0x88776655},
    {BY_IMM(0xdc, 64), 0x1122334455667788, 0, 0x8877665544332211},
};

START_TEST(computes)
{
    const struct arithmetic *t = &arithmetics[_i];

    ck_assert_uint_eq(compute(t->instruction, t->a, t->b), t->expected);
}
END_TEST

struct jump {
    uint8_t operation; /* high half of the opcode */
    uint64_t a, b;
    bool wide, narrow; /* is it taken, comparing 64 and 32 bits */
};

static const struct jump jumps[] = {
    {0x10, 5, 5, true, true},           {0x10, 0x100000005, 5, false, true},
    {0x50, 5, 5, false, false},         {0x50, 0x100000005, 5, true, false},
    {0x20, 6, 5, true, true},           {0x20, 5, 5, false, false},
    {0x20, ALL, 1, true, true},         {0x30, 5, 5, true, true},
    {0x30, 4, 5, false, false},         {0x40, 6, 2, true, true},
    {0x40, 4, 2, false, false},         {0x40, 0x100000000, ALL, true, false},
    {0x60, 1, ALL, true, true},         {0x60, ALL, 1, false, false},
    {0x60, 0x80000000, 1, true, false}, {0x70, ALL, ALL, true, true},
    {0x70, ALL, 0, false, false},       {0xa0, 1, ALL, true, true},
    {0xa0, 5, 5, false, false},         {0xb0, 5, 5, true, true},
    {0xb0, 6, 5, false, false},         {0xc0, ALL, 1, true, true},
    {0xc0, 1, ALL, false, false},       {0xd0, ALL, ALL, true, true},
    {0xd0, 0, ALL, false, false},
};

START_TEST(compares)
{
    const struct jump *t = &jumps[_i];

    /* over an instruction that sets r1 to 77 */
    for (int wide = 0; wide < 2; wide++) {
        const uint64_t text[] = {INSN(0x18, 1, 0, 0, t->a),
                                 INSN(0, 0, 0, 0, t->a >> 32),
                                 INSN(0x18, 2, 0, 0, t->b),
                                 INSN(0, 0, 0, 0, t->b >> 32),
                                 MOV(0, 1),
                                 INSN(t->operation | 0x08 | (wide ? 0x05 : 0x06), 1, 2, 1, 0),
                                 MOV(0, 0),
                                 EXIT};
        int64_t taken = -1;

        ck_assert_int_eq(run(text, array_size(text), &taken), 0);
        ck_assert_int_eq(taken, wide ? t->wide : t->narrow);
    }
}
END_TEST

START_TEST(compares_with_a_signed_immediate)
{
    const uint64_t text[] = {MOV(1, -5), MOV(0, 1), INSN(0x65, 1, 0, 1, -6), MOV(0, 0), EXIT};
    int64_t taken = -1;

    ck_assert_int_eq(run(text, array_size(text), &taken), 0);
    ck_assert_int_eq(taken, 1);
}
END_TEST

START_TEST(loads_and_stores)
{
    /* all widths on the stack, little-endian, then the sections and the context */
    const uint64_t text[] = {
        INSN(0x7a, 10, 0, -8, -2),         /* stdw: ff..fe */
        INSN(0x72, 10, 0, -8, 0x11),       /* stb */
        INSN(0x6a, 10, 0, -6, 0x2233),     /* sth */
        INSN(0x62, 10, 0, -4, 0x44556677), /* stw */
        INSN(0x79, 0, 10, -8, 0),          /* 44556677 2233 ff 11 */
        INSN(0x18, 2, 0, 0, 0x2233ff11),
        INSN(0, 0, 0, 0, 0x44556677), /* the same */
        INSN(0xaf, 0, 2, 0, 0),       /* r0 = 0 */
        INSN(0xb8, 3, 0, 0, 4),
        0,                      /* data + 4 */
        INSN(0x61, 4, 3, 0, 0), /* 0x08070605 */
        INSN(0x0f, 0, 4, 0, 0),
        INSN(0xd8, 3, 0, 0, 1),
        0,                       /* rodata + 1 */
        INSN(0x71, 4, 3, -1, 0), /* 'c' */
        INSN(0x0f, 0, 4, 0, 0),
        INSN(0x69, 4, 1, 2, 0), /* context + 2: "x!" */
        INSN(0x0f, 0, 4, 0, 0),
        INSN(0x73, 10, 0, -512, 0), /* the lowest byte of the stack */
        EXIT,
    };
    int64_t result = 0;

    ck_assert_msg(run(text, array_size(text), &result) == 0, "%s", reason);
    ck_assert_int_eq(result, 0x08070605 + 'c' + ('x' | '!' << 8));
}
END_TEST

struct bad_access {
    uint64_t text[4];
    const char *complaint;
};

static const struct bad_access bad_accesses[] = {
    {{INSN(0x71, 0, 10, 0, 0), EXIT}, "instruction 0 reads 1 bytes"},
    {{INSN(0x79, 0, 10, -7, 0), EXIT}, "reads 8 bytes"},
    {{INSN(0x73, 10, 0, -513, 0), EXIT}, "writes 1 bytes"},
    {{INSN(0x7b, 10, 0, -516, 0), EXIT}, "writes 8 bytes"},
    {{INSN(0xb8, 1, 0, 0, 8), 0, INSN(0x73, 1, 0, 0, 0), EXIT}, "instruction 2 writes 1 bytes"},
    {{INSN(0xb8, 1, 0, 0, 0), 0, INSN(0x71, 0, 1, -1, 0), EXIT}, "reads 1 bytes"},
    {{INSN(0xb8, 1, 0, 0, 1), 0, INSN(0x79, 0, 1, 0, 0), EXIT}, "reads 8 bytes"},
    {{INSN(0xd8, 1, 0, 0, 0), 0, INSN(0x73, 1, 0, 0, 0), EXIT}, "writes 1 bytes"},
    {{INSN(0x73, 1, 0, 0, 0), EXIT}, "writes 1 bytes"}, /* the context */
    {{INSN(0x71, 0, 1, 4, 0), EXIT}, "reads 1 bytes"},
    {{MOV(1, 0), INSN(0x71, 0, 1, 0, 0), EXIT}, "reads 1 bytes at 0x0,"},
    {{MOV(1, -1), INSN(0x71, 0, 1, 0, 0), EXIT}, "at 0xffffffffffffffff"},
    {{INSN(0x18, 1, 0, 0, 0), INSN(0, 0, 0, 0, 5), INSN(0x71, 0, 1, 0, 0), EXIT}, "at 0x500000000"},
    {{MOV(2, 0), MOV(0, 5), INSN(0x3f, 0, 2, 0, 0), EXIT}, "instruction 2 divides by zero"},
    {{MOV(2, 0), MOV(0, 5), INSN(0x9f, 0, 2, 0, 0), EXIT}, "instruction 2 divides by zero"},
    /* 32 bits of a divisor that has higher ones */
    {{INSN(0x18, 2, 0, 0, 0), INSN(0, 0, 0, 0, 1), INSN(0x3c, 0, 2, 0, 0), EXIT}, "instruction 2 divides by zero"},
};

START_TEST(traps)
{
    const struct bad_access *bad = &bad_accesses[_i];
    int64_t result = 0;
    size_t count = 4;

    while (bad->text[count - 1] != EXIT)
        count--;
    ck_assert_int_eq(run(bad->text, count, &result), RUNTIME_E_TRAP);
    ck_assert_msg(strstr(reason, bad->complaint) != NULL, "\"%s\" instead of \"%s\"", reason, bad->complaint);
}
END_TEST

START_TEST(limits_branches)
{
    /* r0 = number of times through a loop of one jump */
    const uint64_t within[] = {MOV(0, 0), INSN(0x07, 0, 0, 0, 1), INSN(0xa5, 0, 0, -2, RBPF_BRANCH_LIMIT), EXIT};
    const uint64_t beyond[] = {MOV(0, 0), INSN(0x07, 0, 0, 0, 1), INSN(0xa5, 0, 0, -2, RBPF_BRANCH_LIMIT + 2), EXIT};
    const uint64_t endless[] = {INSN(0x05, 0, 0, -1, 0), EXIT};
    int64_t result = 0;

    ck_assert_int_eq(run(within, array_size(within), &result), 0);
    ck_assert_int_eq(result, RBPF_BRANCH_LIMIT);
    ck_assert_int_eq(run(beyond, array_size(beyond), &result), RUNTIME_E_FUEL);
    ck_assert_int_eq(run(endless, array_size(endless), &result), RUNTIME_E_FUEL);
    ck_assert_ptr_nonnull(strstr(reason, "jump 10001 of one run"));
}
END_TEST

START_TEST(limits_fuel)
{
    const uint64_t text[] = {MOV(0, 1), MOV(0, 2), EXIT};
    struct rbpf_app app = rbpf_app_make(text, 3, NULL, 0, NULL, 0);
    struct rbpf_vm *vm = make(&app);
    int64_t result = 0;

    ck_assert_int_eq(rbpf_vm_run(vm, NULL, 0, 2, &result, reason, sizeof reason), RUNTIME_E_FUEL);
    ck_assert_ptr_nonnull(strstr(reason, "instruction 1 was the last"));
    ck_assert_int_eq(rbpf_vm_run(vm, NULL, 0, 3, &result, reason, sizeof reason), 0);
    ck_assert_int_eq(result, 2);
    rbpf_vm_free(vm);
}
END_TEST

START_TEST(keeps_data_but_not_the_stack)
{
    /* data[0]++, r0 = data[0] << 8 | what the stack held; the stack is set to 1 */
    const uint64_t text[] = {INSN(0xb8, 1, 0, 0, 0),   0,
                             INSN(0x71, 0, 1, 0, 0),   INSN(0x07, 0, 0, 0, 1),
                             INSN(0x73, 1, 0, 0, 0),   INSN(0x67, 0, 0, 0, 8),
                             INSN(0x71, 2, 10, -1, 0), INSN(0x0f, 0, 2, 0, 0),
                             INSN(0x72, 10, 0, -1, 1), EXIT};
    struct rbpf_app app = rbpf_app_make(text, array_size(text), "\0", 1, NULL, 0);
    struct rbpf_vm *vm = make(&app);
    int64_t result = 0;

    for (int64_t n = 1; n < 4; n++) {
        ck_assert_int_eq(rbpf_vm_run(vm, NULL, 0, FUEL, &result, reason, sizeof reason), 0);
        ck_assert_int_eq(result, n << 8);
    }
    ck_assert_uint_eq(app.bytes[28], 0); /* its own copy */
    rbpf_vm_free(vm);
}
END_TEST

START_TEST(calls_the_host)
{
    const uint64_t text[] = {MOV(1, 1), MOV(2, 2), MOV(3, 3), MOV(4, 4), MOV(5, -5), CALL(5), EXIT};
    const uint64_t invert[] = {INSN(0x7a, 10, 0, -8, 0),
                               MOV_REG(1, 10),
                               INSN(0x07, 1, 0, 0, -8),
                               MOV(2, 8),
                               CALL(6),
                               INSN(0x79, 0, 10, -8, 0),
                               EXIT};
    const uint64_t invert_constant[] = {INSN(0xd8, 1, 0, 0, 0), 0, MOV(2, 1), CALL(6), EXIT};
    const uint64_t invert_all[] = {MOV_REG(1, 10), MOV(2, -1), CALL(6), EXIT};
    const uint64_t expected[] = {1, 2, 3, 4, (uint64_t)-5};
    int64_t result = 0;

    ck_assert_int_eq(run(text, array_size(text), &result), 0);
    ck_assert_int_eq(result, -7);
    ck_assert_mem_eq(seen, expected, sizeof seen);
    ck_assert_int_eq(run(invert, array_size(invert), &result), 0);
    ck_assert_int_eq(result, -1);
    ck_assert_int_eq(run(invert_constant, array_size(invert_constant), &result), RUNTIME_E_TRAP);
    ck_assert_int_eq(run(invert_all, array_size(invert_all), &result), RUNTIME_E_TRAP);
    ck_assert_ptr_nonnull(strstr(reason, "instruction 2 writes"));
}
END_TEST

START_TEST(refuses_unknown_calls)
{
    static const int unknown[] = {0, 4, 7, INT32_MAX};
    const uint64_t text[] = {MOV(0, 0), CALL(unknown[_i]), EXIT};
    struct rbpf_app app = rbpf_app_make(text, 3, NULL, 0, NULL, 0);
    struct rbpf_vm *vm = NULL;

    ck_assert_int_eq(rbpf_vm_new(&vm, app.bytes, app.size, &calls, reason, sizeof reason), RUNTIME_E_INVALID);
    ck_assert_ptr_null(vm);
    ck_assert_ptr_nonnull(strstr(reason, "instruction 1 calls function"));
    app.bytes[0] = 'x';
    ck_assert_int_eq(rbpf_vm_new(&vm, app.bytes, app.size, &calls, reason, sizeof reason), RUNTIME_E_INVALID);
}
END_TEST

/* An application of the shared vectors as a machine; NULL when they are not there. */
static struct rbpf_vm *load_vector(const char *name)
{
    json_t *vectors = json_load_file(SHARED_VECTORS "/rbpf_samples.json", 0, NULL);
    const char *hex = json_string_value(json_object_get(json_object_get(vectors, name), "rbf"));
    struct rbpf_app app = {.size = 0};
    struct rbpf_vm *vm = NULL;

    if (vectors) {
        ck_assert_ptr_nonnull(hex);
        app.size = strlen(hex) / 2;
        ck_assert(text_unhex(hex, app.bytes, app.size));
        vm = make(&app);
    } else {
        printf("no shared vectors: skipped %s\n", name);
    }
    json_decref(vectors);
    return vm;
}

START_TEST(runs_the_vector_ret42)
{
    struct rbpf_vm *vm = load_vector("ret42");
    int64_t result = 0;

    if (!vm)
        return;
    ck_assert_int_eq(rbpf_vm_run(vm, NULL, 0, FUEL, &result, reason, sizeof reason), 0);
    ck_assert_int_eq(result, 42);
    rbpf_vm_free(vm);
}
END_TEST

/* hits (3 at first) += bias[words & 1] + the words, bias being 7, 11, 13 */
START_TEST(runs_the_vector_sum)
{
    struct rbpf_vm *vm = load_vector("sum");
    uint8_t context[16 + 6] = {[8] = 3, [16] = 100, [18] = 0x10, [19] = 0x27, [20] = 1};
    uint64_t words = rbpf_address(RBPF_REGION_CONTEXT, 16);
    int64_t result = 0;

    if (!vm)
        return;
    for (int i = 0; i < 8; i++)
        context[i] = (uint8_t)(words >> 8 * i);
    ck_assert_msg(rbpf_vm_run(vm, context, sizeof context, FUEL, &result, reason, sizeof reason) == 0, "%s", reason);
    ck_assert_int_eq(result, 3 + 11 + 100 + 10000 + 1);
    ck_assert_int_eq(rbpf_vm_run(vm, context, sizeof context, FUEL, &result, reason, sizeof reason), 0);
    ck_assert_int_eq(result, 3 + 2 * (11 + 100 + 10000 + 1));
    context[8] = 4; /* one word more than there are */
    ck_assert_int_eq(rbpf_vm_run(vm, context, sizeof context, FUEL, &result, reason, sizeof reason), RUNTIME_E_TRAP);
    rbpf_vm_free(vm);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rbpf_vm");
    TCase *tests = tcase_create("rbpf_vm");

    tcase_add_loop_test(tests, computes, 0, (int)array_size(arithmetics));
    tcase_add_loop_test(tests, compares, 0, (int)array_size(jumps));
    tcase_add_test(tests, compares_with_a_signed_immediate);
    tcase_add_test(tests, loads_and_stores);
    tcase_add_loop_test(tests, traps, 0, (int)array_size(bad_accesses));
    tcase_add_test(tests, limits_branches);
    tcase_add_test(tests, limits_fuel);
    tcase_add_test(tests, keeps_data_but_not_the_stack);
    tcase_add_test(tests, calls_the_host);
    tcase_add_loop_test(tests, refuses_unknown_calls, 0, 4);
    tcase_add_test(tests, runs_the_vector_ret42);
    tcase_add_test(tests, runs_the_vector_sum);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
