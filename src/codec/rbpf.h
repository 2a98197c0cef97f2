#ifndef TC_CODEC_RBPF_H
#define TC_CODEC_RBPF_H

#include <stddef.h>
#include <stdint.h>

/*
 * The rBPF application file and its verifier. Layout (little-endian): seven u32 (magic "rBPF", version 0, flags,
 * data_len, rodata_len, text_len, function count), data, rodata with NUL-terminated function names, text, and per
 * function three u16 (name offset, flags, location offset).
 */

#define RBPF_STACK_SIZE 512
#define RBPF_BRANCH_LIMIT 10000
#define RBPF_MAX_FILE 65536

struct rbpf_file { /* views into the input */
    const uint8_t *data, *rodata, *text;
    uint32_t data_size, rodata_size, text_size;
    uint32_t function_count;
};

/* Parses and verifies: sizes, opcodes, registers, jump targets, lddw pairs, writes to r10, calls by number, last
 * instruction exit. Returns 0, or 1 with a sentence in reason (at least 128 bytes) that names the instruction. */
int rbpf_check(const void *input, size_t size, struct rbpf_file *out, char *reason, size_t reason_size)
    __attribute__((warn_unused_result));

#endif
