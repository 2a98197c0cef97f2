#include "agent/runtime.h"

#include "agent/rbpf_vm.h"
#include "agent/wasm_vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct runtime {
    struct runtime_host host;
    struct wasm_vm *wasm; /* one of the two machines */
    struct rbpf_vm *rbpf;
    struct rbpf_calls calls;
    uint8_t *context; /* what r1 of an rBPF program points to */
    size_t context_size;
};

/* struct tcgw_context of examples/tcgw_container.h: address of the data part (u64), its size (u32), padding; the data
 * part follows in the same region. */
#define CONTEXT_HEADER 16

/* The calls of an rBPF program, numbered from RBPF_CALL_FIRST (examples/tcgw_container.h). */
#define RBPF_CALL_FIRST 0x70
#define RBPF_TEXT_MAX 1024

static int rbpf_log(struct rbpf_vm *vm, void *arg, const uint64_t arguments[RBPF_ARGUMENTS], int64_t *result)
{
    const struct runtime *rt = arg;
    const uint8_t *text = rbpf_vm_reach(vm, arguments[0], arguments[1], false);

    if (!text)
        return RUNTIME_E_TRAP;
    rt->host.log(rt->host.arg, (const char *)text, arguments[1] < RBPF_TEXT_MAX ? arguments[1] : RBPF_TEXT_MAX);
    *result = 0;
    return 0;
}

static int rbpf_heartbeat(struct rbpf_vm *vm, void *arg, const uint64_t arguments[RBPF_ARGUMENTS], int64_t *result)
{
    const struct runtime *rt = arg;

    (void)vm;
    (void)arguments;
    rt->host.heartbeat(rt->host.arg);
    *result = 0;
    return 0;
}

static int rbpf_open(struct rbpf_vm *vm, void *arg, const uint64_t arguments[RBPF_ARGUMENTS], int64_t *result)
{
    const struct runtime *rt = arg;

    (void)vm;
    *result = rt->host.open(rt->host.arg, (uint32_t)arguments[0]);
    return 0;
}

static int rbpf_close(struct rbpf_vm *vm, void *arg, const uint64_t arguments[RBPF_ARGUMENTS], int64_t *result)
{
    const struct runtime *rt = arg;

    (void)vm;
    *result = rt->host.close(rt->host.arg, (int32_t)arguments[0]);
    return 0;
}

static int rbpf_read(struct rbpf_vm *vm, void *arg, const uint64_t arguments[RBPF_ARGUMENTS], int64_t *result)
{
    const struct runtime *rt = arg;
    uint8_t *out = rbpf_vm_reach(vm, arguments[1], arguments[2], true);

    if (!out)
        return RUNTIME_E_TRAP;
    *result = rt->host.read(rt->host.arg, (int32_t)arguments[0], out, (uint32_t)arguments[2]);
    return 0;
}

static int rbpf_write(struct rbpf_vm *vm, void *arg, const uint64_t arguments[RBPF_ARGUMENTS], int64_t *result)
{
    const struct runtime *rt = arg;
    const uint8_t *data = rbpf_vm_reach(vm, arguments[1], arguments[2], false);

    if (!data)
        return RUNTIME_E_TRAP;
    *result = rt->host.write(rt->host.arg, (int32_t)arguments[0], data, (uint32_t)arguments[2]);
    return 0;
}

/* After the log they stand in the order of enum container_syscall. */
static const rbpf_call rbpf_table[] = {
    [0] = rbpf_log,
    [CONTAINER_SYSCALL_HEARTBEAT] = rbpf_heartbeat,
    [CONTAINER_SYSCALL_OPEN] = rbpf_open,
    [CONTAINER_SYSCALL_CLOSE] = rbpf_close,
    [CONTAINER_SYSCALL_READ] = rbpf_read,
    [CONTAINER_SYSCALL_WRITE] = rbpf_write,
};

static void put_le(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static int new_rbpf(struct runtime *rt, const struct runtime_program *program, char *reason, size_t reason_size)
{
    if (program->data_size > UINT32_MAX - CONTEXT_HEADER) {
        (void)snprintf(reason, reason_size, "the data part is too large");
        return RUNTIME_E_INVALID;
    }
    rt->context_size = CONTEXT_HEADER + program->data_size;
    rt->context = calloc(1, rt->context_size);
    if (!rt->context)
        return -ENOMEM;
    put_le(rt->context, rbpf_address(RBPF_REGION_CONTEXT, CONTEXT_HEADER), 8);
    put_le(rt->context + 8, program->data_size, 4);
    if (program->data_size)
        memcpy(rt->context + CONTEXT_HEADER, program->data, program->data_size);
    rt->calls = (struct rbpf_calls){RBPF_CALL_FIRST, array_size(rbpf_table), rbpf_table, rt};
    return rbpf_vm_new(&rt->rbpf, program->code, program->code_size, &rt->calls, reason, reason_size);
}

static void free_runtime(struct runtime **rt)
{
    *rt = runtime_free(*rt);
}

int runtime_new(struct runtime **out, enum container_type type, const struct runtime_program *program,
                const struct runtime_host *host, uint32_t memory_bytes, char *reason, size_t reason_size)
{
    cleanup(free_runtime) struct runtime *rt = calloc(1, sizeof *rt);
    int r;

    if (!rt)
        return -ENOMEM;
    rt->host = *host;
    if (type == CONTAINER_TYPE_WASM) {
        r = wasm_vm_new(&rt->wasm, program, &rt->host, memory_bytes, reason, reason_size);
    } else if (type == CONTAINER_TYPE_RBPF) {
        r = new_rbpf(rt, program, reason, reason_size);
    } else {
        (void)snprintf(reason, reason_size, "this agent has no runtime for containers of type %s",
                       container_type_name(type));
        r = RUNTIME_E_TYPE;
    }
    if (r)
        return r;
    *out = steal_pointer(rt);
    return 0;
}

struct runtime *runtime_free(struct runtime *rt)
{
    if (rt) {
        wasm_vm_free(rt->wasm);
        rbpf_vm_free(rt->rbpf);
        free(rt->context);
        free(rt);
    }
    return NULL;
}

int runtime_start(struct runtime *rt, uint64_t fuel, char *reason, size_t reason_size)
{
    int64_t result;

    return rt->wasm ? wasm_vm_call(rt->wasm, "start", fuel, &result, reason, reason_size) : 0;
}

int runtime_loop(struct runtime *rt, uint64_t fuel, int64_t *result, char *reason, size_t reason_size)
{
    if (rt->wasm)
        return wasm_vm_call(rt->wasm, "loop", fuel, result, reason, reason_size);
    return rbpf_vm_run(rt->rbpf, rt->context, rt->context_size, fuel, result, reason, reason_size);
}

int runtime_stop(struct runtime *rt, uint64_t fuel, char *reason, size_t reason_size)
{
    int64_t result;

    return rt->wasm ? wasm_vm_call(rt->wasm, "stop", fuel, &result, reason, reason_size) : 0;
}
