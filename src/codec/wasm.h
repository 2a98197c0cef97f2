#ifndef TC_CODEC_WASM_H
#define TC_CODEC_WASM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Validation of a WebAssembly module before it is sent to a device, as in sections 3 and 5 of the WebAssembly Core
 * Specification 1.0, with the sign extensions and the conversions that saturate beyond it; and what a container is
 * besides: its imports and exports.
 */

#define WASM_MAX_MODULE (1u << 20)
#define WASM_MAX_TYPES 1024
#define WASM_MAX_FUNCTIONS 4096
#define WASM_MAX_LOCALS 1024 /* of one function, without its parameters */
#define WASM_MAX_PARAMETERS 32
#define WASM_MAX_TABLE 4096 /* elements */
#define WASM_MAX_GLOBALS 1024
#define WASM_MAX_EXPORTS 1024
#define WASM_MAX_OPERANDS 4096 /* on the stack of one function */
#define WASM_MAX_BLOCKS 4096   /* in each other */
#define WASM_PAGE 65536u       /* bytes */

struct wasm_summary {
    uint32_t syscall_mask;     /* the imports env.open, close, read, write as metadata bits; logger needs none */
    uint32_t memory_pages;     /* initial size in pages of WASM_PAGE, 0 without a memory */
    uint32_t memory_pages_max; /* that it may grow to; 0: without a limit, or without a memory */
    uint32_t function_count;   /* defined, not imported */
};

/* Returns 0, or 1 with a sentence in reason (at least 128 bytes). Refuses imports other than env.logger, open, close,
 * read and write with the protocol's types, a module without an exported `loop` of type () -> i32, `start` or `stop`
 * with another type than () -> (), a start section (it would run before the agent asks), segments that are for more
 * than the memory or the table has, and what is over the limits above. */
int wasm_check(const void *input, size_t size, struct wasm_summary *out, char *reason, size_t reason_size)
    __attribute__((warn_unused_result));

#endif
