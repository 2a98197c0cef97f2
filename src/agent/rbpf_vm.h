#ifndef TC_AGENT_RBPF_VM_H
#define TC_AGENT_RBPF_VM_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A machine for rBPF applications (codec/rbpf.h): eleven registers and a stack of RBPF_STACK_SIZE bytes. Addresses are
 * not those of this process: the high half names a region, the low half is the offset in it, so that every access is
 * checked against the size of one region. The instructions are those of RFC 9669 without atomics and local calls, as
 * clang -target bpf -mcpu=v2 emits them; the machine is little-endian on every host.
 */
enum rbpf_region {
    RBPF_REGION_NONE, /* so that NULL points nowhere */
    RBPF_REGION_STACK,
    RBPF_REGION_DATA,    /* read and write; keeps its content from run to run */
    RBPF_REGION_RODATA,  /* read */
    RBPF_REGION_CONTEXT, /* read; r1 points to it when a run begins */
    RBPF_REGION_COUNT
};

#define RBPF_ARGUMENTS 5

struct rbpf_vm;

/* A function that the program calls by number. arguments are r1 to r5, result goes to r0. Returns 0, or
 * RUNTIME_E_TRAP after rbpf_vm_reach gave NULL. */
typedef int (*rbpf_call)(struct rbpf_vm *vm, void *arg, const uint64_t arguments[RBPF_ARGUMENTS], int64_t *result);

struct rbpf_calls {
    uint32_t first; /* the number of table[0]; the others follow */
    uint32_t count;
    const rbpf_call *table;
    void *arg;
};

/* Verifies and copies an application. calls must outlive the machine. Returns 0, RUNTIME_E_INVALID with reason (at
 * least 128 bytes), or -ENOMEM. */
int rbpf_vm_new(struct rbpf_vm **out, const void *code, size_t size, const struct rbpf_calls *calls, char *reason,
                size_t reason_size) must_check;
struct rbpf_vm *rbpf_vm_free(struct rbpf_vm *vm); /* returns NULL */

/* Runs the program from its first instruction to its exit, with a zeroed stack. Returns 0 with the value of r0, or
 * RUNTIME_E_TRAP or RUNTIME_E_FUEL (fuel instructions, or RBPF_BRANCH_LIMIT jumps taken) with reason. */
int rbpf_vm_run(struct rbpf_vm *vm, const void *context, size_t context_size, uint64_t fuel, int64_t *result,
                char *reason, size_t reason_size) must_check;

/* For calls: the bytes at an address of the program, NULL and a trap when they are not all within a region that it may
 * read (or write). Valid until the call returns. */
uint8_t *rbpf_vm_reach(struct rbpf_vm *vm, uint64_t address, uint64_t size, bool to_write) must_check;

/* The address of an offset in a region. */
static inline uint64_t rbpf_address(enum rbpf_region region, uint32_t offset)
{
    return (uint64_t)region << 32 | offset;
}

#endif
