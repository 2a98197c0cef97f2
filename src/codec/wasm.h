#ifndef TC_CODEC_WASM_H
#define TC_CODEC_WASM_H

#include <stddef.h>
#include <stdint.h>

/*
 * A structural check of a WebAssembly module, as far as a gateway needs it before it sends one to a device: header,
 * order and sizes of the sections, types, imports and exports. The function bodies are validated by the agent's runtime.
 */

#define WASM_MAX_MODULE (1u << 20)

struct wasm_summary {
    uint32_t syscall_mask;   /* the imports env.open, close, read, write as metadata bits; logger needs none */
    uint32_t memory_pages;   /* initial size in pages of 64 KiB, 0 without a memory */
    uint32_t function_count; /* defined, not imported */
};

/* Returns 0, or 1 with a sentence in reason (at least 128 bytes). Refuses imports other than env.logger, open, close,
 * read and write with the protocol's types, and a module without an exported `loop` of type () -> i32. */
int wasm_check(const void *input, size_t size, struct wasm_summary *out, char *reason, size_t reason_size)
    __attribute__((warn_unused_result));

#endif
