#include "agent/runtime.h"
#include "suite.h"

#include "agent/wasm_vm.h"
#include "rbpf_asm.h"
#include "wat.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FUEL 1000000
#define MEMORY (2u * 65536)

static char reason[128];

/* A host that keeps a journal of what was called. */
static char journal[512];

static void record(const char *format, ...) printf_like(1, 2);
static void record(const char *format, ...)
{
    size_t used = strlen(journal);
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(journal + used, sizeof journal - used, format, ap);
    va_end(ap);
}

static void host_log(void *arg, const char *text, size_t size)
{
    (void)arg;
    record("log(%zu:%.*s) ", size, (int)(size < 40 ? size : 40), text);
}

static int32_t host_open(void *arg, uint32_t endpoint)
{
    (void)arg;
    record("open(%u) ", endpoint);
    return 3;
}

static int32_t host_close(void *arg, int32_t fd)
{
    (void)arg;
    record("close(%d) ", fd);
    return 0;
}

static int32_t host_read(void *arg, int32_t fd, uint8_t *out, uint32_t size)
{
    (void)arg;
    record("read(%d,%u) ", fd, size);
    if (size < 2)
        return -1;
    memcpy(out, "ok", 2);
    return 2;
}

static int32_t host_write(void *arg, int32_t fd, const uint8_t *data, uint32_t size)
{
    (void)arg;
    record("write(%d,%.*s) ", fd, (int)(size < 40 ? size : 40), (const char *)data);
    return (int32_t)size;
}

static void host_heartbeat(void *arg)
{
    (void)arg;
    record("heartbeat ");
}

static const struct runtime_host host = {
    .log = host_log,
    .open = host_open,
    .close = host_close,
    .read = host_read,
    .write = host_write,
    .heartbeat = host_heartbeat,
};

static int new_wasm(struct runtime **rt, const char *text, const char *data)
{
    size_t size;
    cleanup_free uint8_t *module = wat_compile(text, &size);

    journal[0] = reason[0] = '\0';
    *rt = NULL;
    return runtime_new(rt, CONTAINER_TYPE_WASM, &(struct runtime_program){module, size, data, strlen(data)}, &host,
                       MEMORY, reason, sizeof reason);
}

/* Makes a module of the body of its loop, with all imports and a memory of one page; runs it once. */
static int loop_of(const char *body, int64_t *result)
{
    struct runtime *rt;
    char text[1024];
    int r;

    (void)snprintf(text, sizeof text,
                   "(module (import \"env\" \"logger\" (func $logger (param i32)))"
                   "(import \"env\" \"open\" (func $open (param i32) (result i32)))"
                   "(import \"env\" \"close\" (func $close (param i32) (result i32)))"
                   "(import \"env\" \"read\" (func $read (param i32 i32 i32) (result i32)))"
                   "(import \"env\" \"write\" (func $write (param i32 i32 i32) (result i32)))"
                   "(memory 1) (data (i32.const 16) \"hello\\00\") (table 1 funcref)"
                   "(func $deep (call $deep))"
                   "(func (export \"loop\") (result i32) %s))",
                   body);
    ck_assert_msg(new_wasm(&rt, text, "") == 0, "%s: %s", body, reason);
    r = runtime_loop(rt, FUEL, result, reason, sizeof reason);
    runtime_free(rt);
    return r;
}

START_TEST(calls_the_host_from_wasm)
{
    int64_t result = 0;

    ck_assert_msg(loop_of("(call $logger (i32.const 16))"
                          "(drop (call $open (i32.const 9)))"
                          "(drop (call $read (i32.const 3) (i32.const 17) (i32.const 4)))"
                          "(drop (call $write (i32.const 4) (i32.const 16) (i32.const 5)))"
                          "(call $close (i32.const -1))",
                          &result) == 0,
                  "%s", reason);
    ck_assert_int_eq(result, 0);
    ck_assert_str_eq(journal, "log(5:hello) open(9) read(3,4) write(4,hoklo) close(-1) ");
    ck_assert_int_eq(loop_of("(call $open (i32.const 9))", &result), 0);
    ck_assert_int_eq(result, 3);
    ck_assert_int_eq(loop_of("(i32.const -2)", &result), 0);
    ck_assert_int_eq(result, -2);
}
END_TEST

START_TEST(calls_start_and_stop)
{
    const char *text =
        "(module (import \"env\" \"open\" (func $open (param i32) (result i32))) (global $n (mut i32) (i32.const 7))"
        "(func (export \"start\") (drop (call $open (i32.const 1))) (global.set $n (i32.const 40)))"
        "(func (export \"loop\") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) global.get $n)"
        "(func (export \"stop\") (drop (call $open (global.get $n)))))";
    struct runtime *rt;
    int64_t result = 0;

    ck_assert_msg(new_wasm(&rt, text, "ignored where there is no tcgw_data") == 0, "%s", reason);
    ck_assert_int_eq(runtime_start(rt, FUEL, reason, sizeof reason), 0);
    ck_assert_int_eq(runtime_loop(rt, FUEL, &result, reason, sizeof reason), 0);
    ck_assert_int_eq(result, 41);
    ck_assert_int_eq(runtime_loop(rt, FUEL, &result, reason, sizeof reason), 0);
    ck_assert_int_eq(result, 42);
    ck_assert_int_eq(runtime_stop(rt, FUEL, reason, sizeof reason), 0);
    ck_assert_str_eq(journal, "open(1) open(42) ");
    runtime_free(rt);
}
END_TEST

START_TEST(start_and_stop_may_be_absent)
{
    struct runtime *rt;

    ck_assert_int_eq(new_wasm(&rt, "(module (func (export \"loop\") (result i32) i32.const 0))", ""), 0);
    ck_assert_int_eq(runtime_start(rt, FUEL, reason, sizeof reason), 0);
    ck_assert_int_eq(runtime_stop(rt, FUEL, reason, sizeof reason), 0);
    runtime_free(rt);
}
END_TEST

struct bad_loop {
    const char *body;
    int error;
    const char *complaint;
};

static const struct bad_loop bad_loops[] = {
    {"(loop (br 0)) (i32.const 0)", RUNTIME_E_FUEL, "instructions"},
    {"(loop (call $logger (i32.const 16)) (br 0)) (i32.const 0)", RUNTIME_E_FUEL, "instructions"},
    {"unreachable", RUNTIME_E_TRAP, "unreachable"},
    {"(i32.div_s (i32.const 1) (i32.const 0))", RUNTIME_E_TRAP, "divide by zero"},
    {"(i32.load (i32.const 65533))", RUNTIME_E_TRAP, "out of bounds"},
    {"(i32.load offset=4294967295 (i32.const -1))", RUNTIME_E_TRAP, "out of bounds"},
    {"(i32.store (i32.const -4) (i32.const 0)) (i32.const 0)", RUNTIME_E_TRAP, "out of bounds"},
    {"(call $deep) (i32.const 0)", RUNTIME_E_TRAP, "call stack exhausted"},
    {"(call_indirect (result i32) (i32.const 0))", RUNTIME_E_TRAP, "uninitialized"},
    {"(call_indirect (result i32) (i32.const 7))", RUNTIME_E_TRAP, "undefined table index"},
    {"(call $logger (i32.const 65536)) (i32.const 0)", RUNTIME_E_TRAP, "logger() was given a text outside"},
    {"(call $logger (i32.const -1)) (i32.const 0)", RUNTIME_E_TRAP, "logger() was given a text outside"},
    {"(i32.store8 (i32.const 65535) (i32.const 65)) (call $logger (i32.const 65535)) (i32.const 0)", RUNTIME_E_TRAP,
     "logger() was given a text outside"},
    {"(call $read (i32.const 3) (i32.const 65533) (i32.const 4))", RUNTIME_E_TRAP, "read() was given a buffer outside"},
    {"(call $read (i32.const 3) (i32.const 16) (i32.const -1))", RUNTIME_E_TRAP, "read() was given a buffer outside"},
    {"(call $write (i32.const 3) (i32.const -4) (i32.const 8))", RUNTIME_E_TRAP, "write() was given a buffer outside"},
};

START_TEST(stops_bad_loops)
{
    const struct bad_loop *bad = &bad_loops[_i];
    int64_t result = 0;

    ck_assert_int_eq(loop_of(bad->body, &result), bad->error);
    ck_assert_msg(strstr(reason, bad->complaint) != NULL, "%s: \"%s\" instead of \"%s\"", bad->body, reason,
                  bad->complaint);
}
END_TEST

/* Fuel is counted exactly: two instructions of the body, and the return. */
START_TEST(counts_fuel)
{
    struct runtime *rt;
    int64_t result = 0;
    uint64_t needed = 1;

    ck_assert_int_eq(new_wasm(&rt, "(module (func (export \"loop\") (result i32) nop i32.const 9))", ""), 0);
    while (runtime_loop(rt, needed, &result, reason, sizeof reason) == RUNTIME_E_FUEL)
        needed++;
    ck_assert_int_eq(result, 9);
    ck_assert_uint_le(needed, 4);
    ck_assert_uint_gt(needed, 1);
    ck_assert_int_eq(runtime_loop(rt, 0, &result, reason, sizeof reason), RUNTIME_E_FUEL);
    runtime_free(rt);
}
END_TEST

/* Recursion with many locals runs into the limit of the value stack before it runs into that of the call stack. */
START_TEST(limits_the_value_stack)
{
    char text[8192] = "(module (func $f (local";
    struct runtime *rt;
    int64_t result = 0;

    for (int i = 0; i < 1000; i++)
        strcat(text, " i64");
    strcat(text, ") (call $f)) (func (export \"loop\") (result i32) (call $f) i32.const 0))");
    ck_assert_msg(new_wasm(&rt, text, "") == 0, "%s", reason);
    ck_assert_int_eq(runtime_loop(rt, FUEL, &result, reason, sizeof reason), RUNTIME_E_TRAP);
    ck_assert_str_eq(reason, "value stack exhausted");
    runtime_free(rt);
}
END_TEST

START_TEST(cuts_long_texts)
{
    int64_t result = 0;

    ck_assert_int_eq(loop_of("(local $i i32) (loop"
                             "(i32.store8 (i32.add (local.get $i) (i32.const 100)) (i32.const 88))"
                             "(local.set $i (i32.add (local.get $i) (i32.const 1)))"
                             "(br_if 0 (i32.lt_u (local.get $i) (i32.const 2000))))"
                             "(call $logger (i32.const 100)) (i32.const 0)",
                             &result),
                     0);
    ck_assert_ptr_eq(strstr(journal, "log(1024:XXX"), journal);
}
END_TEST

START_TEST(limits_memory)
{
    struct runtime *rt;
    int64_t result = 0;

    ck_assert_int_eq(new_wasm(&rt, "(module (memory 3) (func (export \"loop\") (result i32) i32.const 0))", ""),
                     RUNTIME_E_INVALID);
    ck_assert_ptr_null(rt);
    ck_assert_ptr_nonnull(strstr(reason, "wants 3 pages of memory"));
    ck_assert_int_eq(loop_of("(memory.grow (i32.const 1))", &result), 0);
    ck_assert_int_eq(result, 1);
    ck_assert_int_eq(loop_of("(memory.grow (i32.const 2))", &result), 0);
    ck_assert_int_eq(result, -1);
    ck_assert_int_eq(loop_of("(memory.grow (i32.const 65535))", &result), 0);
    ck_assert_int_eq(result, -1);
}
END_TEST

START_TEST(memory_that_grew_is_reached)
{
    int64_t result = 0;

    ck_assert_int_eq(loop_of("(drop (memory.grow (i32.const 1))) (drop (call $read (i32.const 3) (i32.const 131070) "
                             "(i32.const 2))) (i32.load8_u (i32.const 131071))",
                             &result),
                     0);
    ck_assert_int_eq(result, 'k');
}
END_TEST

struct bad_module {
    const char *text;
    const char *complaint;
};

static const struct bad_module bad_modules[] = {
    {"(module (func (export \"loop\") (result i32)))", "does not validate"},
    {"(module (func (export \"loop\") (result i32) i64.const 0))", "does not validate"},
    {"(module (func (export \"loop\") (result i32) local.get 9))", "does not validate"},
    {"(module (func (export \"loop\") (result i32) br 7))", "does not validate"},
    {"(module (func (export \"loop\") (result i32) (v128.any_true (v128.const i64x2 0 0))))", "does not validate"},
    {"(module (memory 1) (func (export \"loop\") (result i32) (memory.fill (i32.const 0) (i32.const 0) (i32.const 1)) "
     "i32.const 0))",
     "does not validate"},
    {"(module (func $f (export \"loop\") (result i32) return_call $f))", "does not validate"},
    {"(module (memory 1) (data (i32.const 65536) \"x\") (func (export \"loop\") (result i32) i32.const 0))",
     "than the memory has"},
    {"(module (table 1 funcref) (elem (i32.const 1) $f) (func $f (export \"loop\") (result i32) i32.const 0))",
     "than the table has"},
    {"(module (import \"env\" \"exit\" (func)) (func (export \"loop\") (result i32) i32.const 0))",
     "env.exit does not exist"},
    {"(module (memory 1) (global (export \"tcgw_data\") i32 (i32.const 65530)) (func (export \"loop\") (result i32) "
     "i32.const 0))",
     "tcgw_data lies outside"},
    {"(module (memory 1) (data (i32.const 0) \"\\ff\\ff\\ff\\ff\") (global (export \"tcgw_data\") i32 (i32.const 0)) "
     "(func (export \"loop\") (result i32) i32.const 0))",
     "tcgw_data lies outside"},
    {"(module (memory 1) (data (i32.const 0) \"\\03\\00\\00\\00\") (global (export \"tcgw_data\") i32 (i32.const 0)) "
     "(func (export \"loop\") (result i32) i32.const 0))",
     "has 4 bytes; the module's tcgw_data takes 3"},
};

START_TEST(refuses_bad_modules)
{
    const struct bad_module *bad = &bad_modules[_i];
    struct runtime *rt;

    ck_assert_int_eq(new_wasm(&rt, bad->text, "data"), RUNTIME_E_INVALID);
    ck_assert_ptr_null(rt);
    ck_assert_msg(strstr(reason, bad->complaint) != NULL, "%s: \"%s\" instead of \"%s\"", bad->text, reason,
                  bad->complaint);
}
END_TEST

START_TEST(gives_the_data_part_to_wasm)
{
    struct runtime *rt;
    int64_t result = 0;

    ck_assert_msg(new_wasm(&rt,
                           "(module (memory 1) (data (i32.const 40) \"\\04\\00\\00\\00\") "
                           "(global (export \"tcgw_data\") i32 (i32.const 40)) (func (export \"loop\") (result i32) "
                           "(i32.add (i32.load (i32.const 44)) (i32.load (i32.const 48)))))",
                           "\1\2\3") == 0,
                  "%s", reason);
    ck_assert_int_eq(runtime_loop(rt, FUEL, &result, reason, sizeof reason), 0);
    ck_assert_int_eq(result, 3 + 0x030201);
    runtime_free(rt);
}
END_TEST

START_TEST(ignores_custom_sections)
{
    /* a name section that is none, before, between and behind the others */
    static const uint8_t garbage[] = {0, 7, 4, 'n', 'a', 'm', 'e', 0xff, 0xff};
    size_t size;
    cleanup_free uint8_t *module = wat_compile("(module (func (export \"loop\") (result i32) i32.const 5))", &size);
    uint8_t padded[256];
    const struct runtime_program program = {padded, size + 2 * sizeof garbage, NULL, 0};
    struct runtime *rt = NULL;
    int64_t result = 0;

    memcpy(padded, module, 8);
    memcpy(padded + 8, garbage, sizeof garbage);
    memcpy(padded + 8 + sizeof garbage, module + 8, size - 8);
    memcpy(padded + size + sizeof garbage, garbage, sizeof garbage);
    ck_assert_msg(runtime_new(&rt, CONTAINER_TYPE_WASM, &program, &host, MEMORY, reason, sizeof reason) == 0, "%s",
                  reason);
    ck_assert_int_eq(runtime_loop(rt, FUEL, &result, reason, sizeof reason), 0);
    ck_assert_int_eq(result, 5);
    runtime_free(rt);
}
END_TEST

/* rBPF ----------------------------------------------------------------------- */

static int run_rbpf(const uint64_t *text, size_t count, const char *data, int64_t *result)
{
    struct rbpf_app app = rbpf_app_make(text, count, NULL, 0, "hello", 5);
    const struct runtime_program program = {app.bytes, app.size, data, strlen(data)};
    struct runtime *rt = NULL;
    int r;

    journal[0] = reason[0] = '\0';
    r = runtime_new(&rt, CONTAINER_TYPE_RBPF, &program, &host, MEMORY, reason, sizeof reason);
    ck_assert_msg(r == 0, "%s", reason);
    ck_assert_int_eq(runtime_start(rt, FUEL, reason, sizeof reason), 0);
    r = runtime_loop(rt, FUEL, result, reason, sizeof reason);
    ck_assert_int_eq(runtime_stop(rt, FUEL, reason, sizeof reason), 0);
    runtime_free(rt);
    return r;
}

START_TEST(calls_the_host_from_rbpf)
{
    const uint64_t text[] = {
        INSN(0xd8, 6, 0, 0, 0),
        0, /* r6 = "hello" */
        MOV_REG(1, 6),
        MOV(2, 5),
        CALL(0x70), /* log */
        CALL(0x71), /* heartbeat */
        MOV(1, 9),
        CALL(0x72),
        MOV_REG(7, 0), /* open */
        MOV_REG(1, 7),
        MOV_REG(2, 10),
        INSN(0x07, 2, 0, 0, -4),
        MOV(3, 4),
        CALL(0x74), /* read to the stack */
        MOV_REG(1, 7),
        MOV_REG(2, 10),
        INSN(0x07, 2, 0, 0, -4),
        MOV(3, 2),
        CALL(0x75), /* write it */
        MOV_REG(1, 7),
        CALL(0x73),
        EXIT, /* close */
    };
    int64_t result = -1;

    ck_assert_msg(run_rbpf(text, array_size(text), "", &result) == 0, "%s", reason);
    ck_assert_int_eq(result, 0);
    ck_assert_str_eq(journal, "log(5:hello) heartbeat open(9) read(3,4) write(3,ok) close(3) ");
}
END_TEST

START_TEST(gives_the_data_part_to_rbpf)
{
    /* the size, and the last byte by the pointer */
    const uint64_t text[] = {INSN(0x61, 0, 1, 8, 0),  INSN(0x79, 2, 1, 0, 0), INSN(0x0f, 2, 0, 0, 0),
                             INSN(0x71, 2, 2, -1, 0), INSN(0x0f, 0, 2, 0, 0), EXIT};
    int64_t result = 0;

    ck_assert_msg(run_rbpf(text, array_size(text), "abc", &result) == 0, "%s", reason);
    ck_assert_int_eq(result, 3 + 'c');
}
END_TEST

START_TEST(checks_pointers_of_rbpf)
{
    /* log and write from, read to an address that it must not use: call, pointer in r1 or r2, size in r2 or r3 */
    const uint64_t log[] = {INSN(0xd8, 1, 0, 0, 0), 0, MOV(2, 6), CALL(0x70), EXIT};
    const uint64_t write[] = {MOV_REG(2, 10), MOV(3, 1), CALL(0x75), EXIT};
    const uint64_t read[] = {INSN(0xd8, 2, 0, 0, 0), 0, MOV(3, 5), CALL(0x74), EXIT};
    int64_t result;

    ck_assert_int_eq(run_rbpf(log, array_size(log), "", &result), RUNTIME_E_TRAP);
    ck_assert_int_eq(run_rbpf(write, array_size(write), "", &result), RUNTIME_E_TRAP);
    ck_assert_int_eq(run_rbpf(read, array_size(read), "", &result), RUNTIME_E_TRAP);
    ck_assert_ptr_nonnull(strstr(reason, "instruction 3 writes 5 bytes"));
    ck_assert_str_eq(journal, "");
}
END_TEST

START_TEST(has_no_other_runtime)
{
    const struct runtime_program program = {"x", 1, NULL, 0};
    struct runtime *rt = NULL;

    ck_assert_int_eq(runtime_new(&rt, CONTAINER_TYPE_NATIVE, &program, &host, MEMORY, reason, sizeof reason),
                     RUNTIME_E_TYPE);
    ck_assert_str_eq(reason, "this agent has no runtime for containers of type native");
    ck_assert_ptr_null(runtime_free(NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime");
    TCase *tests = tcase_create("runtime");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, calls_the_host_from_wasm);
    tcase_add_test(tests, calls_start_and_stop);
    tcase_add_test(tests, start_and_stop_may_be_absent);
    tcase_add_loop_test(tests, stops_bad_loops, 0, (int)array_size(bad_loops));
    tcase_add_test(tests, counts_fuel);
    tcase_add_test(tests, limits_the_value_stack);
    tcase_add_test(tests, cuts_long_texts);
    tcase_add_test(tests, limits_memory);
    tcase_add_test(tests, memory_that_grew_is_reached);
    tcase_add_loop_test(tests, refuses_bad_modules, 0, (int)array_size(bad_modules));
    tcase_add_test(tests, gives_the_data_part_to_wasm);
    tcase_add_test(tests, ignores_custom_sections);
    tcase_add_test(tests, calls_the_host_from_rbpf);
    tcase_add_test(tests, gives_the_data_part_to_rbpf);
    tcase_add_test(tests, checks_pointers_of_rbpf);
    tcase_add_test(tests, has_no_other_runtime);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
