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

/* One instruction of eight bytes: opcode, registers (low nibble dst), i16 offset, i32 immediate. */
struct rbpf_instruction {
    uint8_t opcode;
    uint8_t dst, src;
    int16_t offset;
    int32_t immediate;
};

#define RBPF_INSTRUCTION_SIZE 8u

/* Opcodes that stand for more than their bits say. The last two are relocations: the address of a byte in the data or
 * rodata section, immediate is its offset. */
enum {
    RBPF_LDDW = 0x18,
    RBPF_LDDW_DATA = 0xb8,
    RBPF_LDDW_RODATA = 0xd8,
    RBPF_CALL = 0x85,
    RBPF_EXIT = 0x95,
    RBPF_TO_LE = 0xd4,
    RBPF_TO_BE = 0xdc,
};

/* The instruction at index, which must be below text_size / RBPF_INSTRUCTION_SIZE. */
struct rbpf_instruction rbpf_instruction_at(const uint8_t *text, uint32_t index);

/* Parses and verifies: sizes, opcodes, registers, jump targets, lddw pairs, writes to r10, calls by number, last
 * instruction exit. What memory it reaches, and which calls exist, is for the machine that runs it. Returns 0, or 1
 * with a sentence in reason (at least 128 bytes) that names the instruction. */
int rbpf_check(const void *input, size_t size, struct rbpf_file *out, char *reason, size_t reason_size)
    __attribute__((warn_unused_result));

#endif
