#ifndef TC_AGENT_WASM_VM_H
#define TC_AGENT_WASM_VM_H

#include "agent/runtime.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A machine for WebAssembly modules: libwabt's interpreter behind our own check (codec/wasm.h), with the imports of the
 * protocol. Nothing that it does throws or aborts.
 */
struct wasm_vm;

#define WASM_LOG_MAX 1024 /* bytes of a text given to logger(); the rest is cut */

/*
 * Validates and instantiates a module. The data part goes into the object `tcgw_data` where the module exports one (see
 * examples/tcgw_container.h). host and its arg must outlive the machine; memory_bytes limits its memory.
 * Returns 0, RUNTIME_E_INVALID with reason (at least 128 bytes), or -ENOMEM.
 */
int wasm_vm_new(struct wasm_vm **out, const struct runtime_program *program, const struct runtime_host *host,
                uint32_t memory_bytes, char *reason, size_t reason_size) must_check;
struct wasm_vm *wasm_vm_free(struct wasm_vm *vm); /* returns NULL */

/* Calls an exported function that takes nothing; result is what it returned, 0 when it returns nothing or does not
 * exist. Returns 0, RUNTIME_E_TRAP or RUNTIME_E_FUEL with reason, or -ENOMEM. */
int wasm_vm_call(struct wasm_vm *vm, const char *name, uint64_t fuel, int64_t *result, char *reason,
                 size_t reason_size) must_check;

#ifdef __cplusplus
}
#endif

#endif
