#include "agent/rbpf_vm.h"

#include "agent/runtime.h"
#include "codec/rbpf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CLASS_LD, CLASS_LDX, CLASS_ST, CLASS_STX, CLASS_ALU32, CLASS_JMP, CLASS_JMP32, CLASS_ALU64 };

struct region {
    uint8_t *bytes;
    uint64_t size;
    bool writable;
};

struct rbpf_vm {
    const struct rbpf_calls *calls;
    uint8_t *code; /* the application; data within it is what the program changes */
    struct rbpf_instruction *text;
    uint32_t count;
    uint64_t r[11];
    uint32_t next; /* index of the next instruction */
    uint32_t branches;
    struct region regions[RBPF_REGION_COUNT];
    uint8_t stack[RBPF_STACK_SIZE];
    char *reason; /* of the run at hand */
    size_t reason_size;
};

printf_like(3, 4) static int trap(struct rbpf_vm *vm, int error, const char *format, ...)
{
    char what[96];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    (void)snprintf(vm->reason, vm->reason_size, "instruction %u %s", vm->next - 1, what);
    return error;
}

uint8_t *rbpf_vm_reach(struct rbpf_vm *vm, uint64_t address, uint64_t size, bool to_write)
{
    uint64_t offset = address & UINT32_MAX, index = address >> 32;
    const struct region *region = &vm->regions[index < RBPF_REGION_COUNT ? index : RBPF_REGION_NONE];

    if (size <= region->size && offset <= region->size - size && region->bytes && (region->writable || !to_write))
        return region->bytes + offset;
    (void)trap(vm, RUNTIME_E_TRAP, "%s %llu bytes at 0x%llx, which it must not", to_write ? "writes" : "reads",
               (unsigned long long)size, (unsigned long long)address);
    return NULL;
}

/* Arithmetic ------------------------------------------------------------- */

static uint64_t shift_right_signed(uint64_t a, uint64_t b, bool wide)
{
    return wide ? (uint64_t)((int64_t)a >> (b & 63)) : (uint64_t)((int32_t)(uint32_t)a >> (b & 31));
}

static uint64_t swap_bytes(uint64_t value, int32_t bits)
{
    uint64_t swapped = 0;

    for (int32_t i = 0; i < bits; i += 8)
        swapped = swapped << 8 | (value >> i & 0xff);
    return swapped;
}

static uint64_t convert(uint8_t opcode, uint64_t value, int32_t bits)
{
    if (opcode == RBPF_TO_BE)
        return swap_bytes(value, bits);
    return bits == 64 ? value : value & ((UINT64_C(1) << bits) - 1);
}

static int run_alu(struct rbpf_vm *vm, const struct rbpf_instruction *insn)
{
    bool wide = (insn->opcode & 0x07) == CLASS_ALU64;
    uint64_t a = vm->r[insn->dst];
    uint64_t b = insn->opcode & 0x08 ? vm->r[insn->src] : (uint64_t)(int64_t)insn->immediate;
    unsigned operation = insn->opcode >> 4;

    if (operation == 0xd) {
        vm->r[insn->dst] = convert(insn->opcode, a, insn->immediate);
        return 0;
    }
    if (!wide) {
        a &= UINT32_MAX;
        b &= UINT32_MAX;
    }
    if ((operation == 0x3 || operation == 0x9) && b == 0)
        return trap(vm, RUNTIME_E_TRAP, "divides by zero");
    switch (operation) {
    case 0x0:
        a += b;
        break;
    case 0x1:
        a -= b;
        break;
    case 0x2:
        a *= b;
        break;
    case 0x3:
        a /= b;
        break;
    case 0x4:
        a |= b;
        break;
    case 0x5:
        a &= b;
        break;
    case 0x6:
        a <<= b & (wide ? 63 : 31);
        break;
    case 0x7:
        a >>= b & (wide ? 63 : 31);
        break;
    case 0x8:
        a = 0 - a;
        break;
    case 0x9:
        a %= b;
        break;
    case 0xa:
        a ^= b;
        break;
    case 0xb:
        a = b;
        break;
    default: /* 0xc, the last one that the verifier lets through */
        a = shift_right_signed(a, b, wide);
        break;
    }
    vm->r[insn->dst] = wide ? a : a & UINT32_MAX;
    return 0;
}

/* Memory ----------------------------------------------------------------- */

static unsigned access_size(uint8_t opcode)
{
    static const unsigned sizes[] = {4, 2, 1, 8}; /* W, H, B, DW */

    return sizes[opcode >> 3 & 3];
}

static int run_load(struct rbpf_vm *vm, const struct rbpf_instruction *insn)
{
    unsigned size = access_size(insn->opcode);
    const uint8_t *from = rbpf_vm_reach(vm, vm->r[insn->src] + (uint64_t)(int64_t)insn->offset, size, false);
    uint64_t value = 0;

    if (!from)
        return RUNTIME_E_TRAP;
    for (unsigned i = size; i > 0; i--)
        value = value << 8 | from[i - 1];
    vm->r[insn->dst] = value;
    return 0;
}

static int run_store(struct rbpf_vm *vm, const struct rbpf_instruction *insn)
{
    bool by_register = (insn->opcode & 0x07) == CLASS_STX;
    uint64_t value = by_register ? vm->r[insn->src] : (uint64_t)(int64_t)insn->immediate;
    unsigned size = access_size(insn->opcode);
    uint8_t *to = rbpf_vm_reach(vm, vm->r[insn->dst] + (uint64_t)(int64_t)insn->offset, size, true);

    if (!to)
        return RUNTIME_E_TRAP;
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> 8 * i);
    return 0;
}

static void run_lddw(struct rbpf_vm *vm, const struct rbpf_instruction *insn)
{
    uint32_t low = (uint32_t)insn->immediate;

    if (insn->opcode == RBPF_LDDW_DATA)
        vm->r[insn->dst] = rbpf_address(RBPF_REGION_DATA, low);
    else if (insn->opcode == RBPF_LDDW_RODATA)
        vm->r[insn->dst] = rbpf_address(RBPF_REGION_RODATA, low);
    else
        vm->r[insn->dst] = (uint64_t)(uint32_t)vm->text[vm->next].immediate << 32 | low;
    vm->next++; /* the second half */
}

/* Jumps ------------------------------------------------------------------ */

static bool is_taken(unsigned operation, uint64_t a, uint64_t b, int64_t sa, int64_t sb)
{
    switch (operation) {
    case 0x0:
        return true;
    case 0x1:
        return a == b;
    case 0x2:
        return a > b;
    case 0x3:
        return a >= b;
    case 0x4:
        return a & b;
    case 0x5:
        return a != b;
    case 0x6:
        return sa > sb;
    case 0x7:
        return sa >= sb;
    case 0xa:
        return a < b;
    case 0xb:
        return a <= b;
    case 0xc:
        return sa < sb;
    default: /* 0xd, the last one that the verifier lets through */
        return sa <= sb;
    }
}

static int run_jump(struct rbpf_vm *vm, const struct rbpf_instruction *insn)
{
    uint64_t a = vm->r[insn->dst];
    uint64_t b = insn->opcode & 0x08 ? vm->r[insn->src] : (uint64_t)(int64_t)insn->immediate;
    int64_t sa = (int64_t)a, sb = (int64_t)b;

    if ((insn->opcode & 0x07) == CLASS_JMP32) {
        a &= UINT32_MAX;
        b &= UINT32_MAX;
        sa = (int32_t)a;
        sb = (int32_t)b;
    }
    if (!is_taken(insn->opcode >> 4, a, b, sa, sb))
        return 0;
    if (vm->branches++ == RBPF_BRANCH_LIMIT)
        return trap(vm, RUNTIME_E_FUEL, "is jump %d of one run, over the limit", RBPF_BRANCH_LIMIT + 1);
    vm->next = (uint32_t)((int64_t)vm->next + insn->offset);
    return 0;
}

static int run_call(struct rbpf_vm *vm, const struct rbpf_instruction *insn)
{
    const struct rbpf_calls *calls = vm->calls;
    int64_t result = 0;
    int r = calls->table[(uint32_t)insn->immediate - calls->first](vm, calls->arg, &vm->r[1], &result);

    vm->r[0] = (uint64_t)result;
    return r;
}

/* The machine ------------------------------------------------------------ */

static int run_one(struct rbpf_vm *vm, const struct rbpf_instruction *insn)
{
    switch (insn->opcode & 0x07) {
    case CLASS_ALU32:
    case CLASS_ALU64:
        return run_alu(vm, insn);
    case CLASS_JMP:
        return insn->opcode == RBPF_CALL ? run_call(vm, insn) : run_jump(vm, insn);
    case CLASS_JMP32:
        return run_jump(vm, insn);
    case CLASS_LDX:
        return run_load(vm, insn);
    case CLASS_LD:
        run_lddw(vm, insn);
        return 0;
    default:
        return run_store(vm, insn);
    }
}

static void begin(struct rbpf_vm *vm, const void *context, size_t context_size)
{
    /* never written: the region says so */
    vm->regions[RBPF_REGION_CONTEXT] = (struct region){(uint8_t *)(uintptr_t)context, context_size, false};
    memset(vm->stack, 0, sizeof vm->stack);
    memset(vm->r, 0, sizeof vm->r);
    vm->r[1] = context_size ? rbpf_address(RBPF_REGION_CONTEXT, 0) : 0;
    vm->r[10] = rbpf_address(RBPF_REGION_STACK, RBPF_STACK_SIZE);
    vm->next = 0;
    vm->branches = 0;
}

int rbpf_vm_run(struct rbpf_vm *vm, const void *context, size_t context_size, uint64_t fuel, int64_t *result,
                char *reason, size_t reason_size)
{
    vm->reason = reason;
    vm->reason_size = reason_size;
    for (begin(vm, context, context_size); fuel > 0; fuel--) {
        const struct rbpf_instruction *insn = &vm->text[vm->next++];
        int r;

        if (insn->opcode == RBPF_EXIT) {
            *result = (int64_t)vm->r[0];
            return 0;
        }
        r = run_one(vm, insn);
        if (r)
            return r;
    }
    return trap(vm, RUNTIME_E_FUEL, "was the last that its fuel allowed");
}

static int load_text(struct rbpf_vm *vm, const struct rbpf_file *file, char *reason, size_t reason_size)
{
    vm->count = file->text_size / RBPF_INSTRUCTION_SIZE;
    vm->text = calloc(vm->count, sizeof *vm->text);
    if (!vm->text)
        return -ENOMEM;
    for (uint32_t i = 0; i < vm->count; i++) {
        struct rbpf_instruction insn = rbpf_instruction_at(file->text, i);

        vm->text[i] = insn;
        if (insn.opcode == RBPF_CALL && (uint32_t)insn.immediate - vm->calls->first >= vm->calls->count) {
            (void)snprintf(reason, reason_size, "instruction %u calls function %d, which this agent has not", i,
                           insn.immediate);
            return RUNTIME_E_INVALID;
        }
    }
    return 0;
}

static int load(struct rbpf_vm *vm, const void *code, size_t size, char *reason, size_t reason_size)
{
    struct rbpf_file file;

    vm->code = malloc(size ? size : 1);
    if (!vm->code)
        return -ENOMEM;
    if (size)
        memcpy(vm->code, code, size);
    if (rbpf_check(vm->code, size, &file, reason, reason_size))
        return RUNTIME_E_INVALID;
    /* the file's pointers lead into vm->code, which is ours to change */
    vm->regions[RBPF_REGION_STACK] = (struct region){vm->stack, sizeof vm->stack, true};
    vm->regions[RBPF_REGION_DATA] = (struct region){(uint8_t *)(uintptr_t)file.data, file.data_size, true};
    vm->regions[RBPF_REGION_RODATA] = (struct region){(uint8_t *)(uintptr_t)file.rodata, file.rodata_size, false};
    return load_text(vm, &file, reason, reason_size);
}

int rbpf_vm_new(struct rbpf_vm **out, const void *code, size_t size, const struct rbpf_calls *calls, char *reason,
                size_t reason_size)
{
    struct rbpf_vm *vm = calloc(1, sizeof *vm);
    int r;

    if (!vm)
        return -ENOMEM;
    vm->calls = calls;
    r = load(vm, code, size, reason, reason_size);
    if (r)
        rbpf_vm_free(vm);
    else
        *out = vm;
    return r;
}

struct rbpf_vm *rbpf_vm_free(struct rbpf_vm *vm)
{
    if (vm) {
        free(vm->text);
        free(vm->code);
        free(vm);
    }
    return NULL;
}
