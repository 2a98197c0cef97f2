#include "codec/rbpf.h"

#include "base/cleanup.h"
#include "base/cursor.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define REGISTER_COUNT 11
#define FRAME_POINTER 10 /* r10, read-only */

/* The low three bits of an opcode (RFC 9669 section 3). */
enum { CLASS_LD, CLASS_LDX, CLASS_ST, CLASS_STX, CLASS_ALU32, CLASS_JMP, CLASS_JMP32, CLASS_ALU64 };

/* The high four bits, for arithmetic and for jumps. */
enum { ALU_DIV = 0x3, ALU_LSH = 0x6, ALU_RSH = 0x7, ALU_NEG = 0x8, ALU_MOD = 0x9, ALU_ARSH = 0xc, ALU_END = 0xd };
enum { JMP_ALWAYS = 0x0, JMP_CALL = 0x8, JMP_EXIT = 0x9, JMP_LAST = 0xd };

#define SOURCE_REGISTER 0x08
#define MODE_MEMORY 0x60

struct verifier {
    const struct rbpf_file *file;
    uint32_t count; /* instructions, both halves of an lddw counted */
    char *reason;
    size_t reason_size;
};

struct rbpf_instruction rbpf_instruction_at(const uint8_t *text, uint32_t index)
{
    struct cursor c = cursor_init(text + (size_t)index * RBPF_INSTRUCTION_SIZE, RBPF_INSTRUCTION_SIZE);
    struct rbpf_instruction insn = {.opcode = cursor_u8(&c)};
    uint8_t registers = cursor_u8(&c);

    insn.dst = registers & 0x0f;
    insn.src = registers >> 4;
    insn.offset = (int16_t)cursor_u16le(&c);
    insn.immediate = (int32_t)cursor_u32le(&c);
    return insn;
}

printf_like(4, 5) static int refuse(const struct verifier *v, uint32_t index, uint8_t opcode, const char *format, ...)
{
    char what[96];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    (void)snprintf(v->reason, v->reason_size, "instruction %u (opcode 0x%02x) %s", index, opcode, what);
    return 1;
}

static bool writes_dst(uint8_t opcode)
{
    unsigned class = opcode & 0x07;

    return class == CLASS_LD || class == CLASS_LDX || class == CLASS_ALU32 || class == CLASS_ALU64;
}

static int check_alu(const struct verifier *v, uint32_t index, struct rbpf_instruction insn)
{
    bool wide = (insn.opcode & 0x07) == CLASS_ALU64;
    bool by_register = insn.opcode & SOURCE_REGISTER;
    int32_t bits = wide ? 64 : 32;

    switch (insn.opcode >> 4) {
    case ALU_END:
        if (wide)
            return refuse(v, index, insn.opcode, "is not known");
        if (insn.immediate != 16 && insn.immediate != 32 && insn.immediate != 64)
            return refuse(v, index, insn.opcode, "swaps %d bits; 16, 32 and 64 exist", insn.immediate);
        return 0;
    case ALU_NEG:
        return by_register ? refuse(v, index, insn.opcode, "is not known") : 0;
    case ALU_DIV:
    case ALU_MOD:
        return !by_register && insn.immediate == 0 ? refuse(v, index, insn.opcode, "divides by zero") : 0;
    case ALU_LSH:
    case ALU_RSH:
    case ALU_ARSH:
        if (!by_register && (insn.immediate < 0 || insn.immediate >= bits))
            return refuse(v, index, insn.opcode, "shifts %d bits by %d", bits, insn.immediate);
        return 0;
    default:
        return insn.opcode >> 4 > ALU_END ? refuse(v, index, insn.opcode, "is not known") : 0;
    }
}

static int check_target(const struct verifier *v, uint32_t index, struct rbpf_instruction insn)
{
    int64_t target = (int64_t)index + 1 + insn.offset;

    if (target < 0 || target >= (int64_t)v->count)
        return refuse(v, index, insn.opcode, "jumps to %lld, outside of the program", (long long)target);
    /* 0 is no opcode of its own: only the second half of an lddw has it */
    if (v->file->text[(size_t)target * RBPF_INSTRUCTION_SIZE] == 0)
        return refuse(v, index, insn.opcode, "jumps to %lld, into the middle of an lddw", (long long)target);
    return 0;
}

static int check_jump(const struct verifier *v, uint32_t index, struct rbpf_instruction insn)
{
    bool wide = (insn.opcode & 0x07) == CLASS_JMP;
    unsigned operation = insn.opcode >> 4;

    if (operation > JMP_LAST)
        return refuse(v, index, insn.opcode, "is not known");
    if (operation != JMP_ALWAYS && operation != JMP_CALL && operation != JMP_EXIT)
        return check_target(v, index, insn);
    if (!wide || (insn.opcode & SOURCE_REGISTER))
        return refuse(v, index, insn.opcode, "is not known");
    if (operation == JMP_ALWAYS)
        return check_target(v, index, insn);
    if (operation == JMP_CALL && (insn.src != 0 || insn.immediate < 0))
        return refuse(v, index, insn.opcode, "calls a function of the program; only calls by number exist: inline it");
    return 0;
}

static int check_lddw(const struct verifier *v, uint32_t index, struct rbpf_instruction insn)
{
    uint32_t limit = insn.opcode == RBPF_LDDW_DATA ? v->file->data_size : v->file->rodata_size;
    struct rbpf_instruction second;

    if (index + 1 >= v->count)
        return refuse(v, index, insn.opcode, "is half an lddw at the end of the program");
    second = rbpf_instruction_at(v->file->text, index + 1);
    if (second.opcode || second.dst || second.src || second.offset)
        return refuse(v, index, insn.opcode, "is an lddw with a malformed second half");
    if (insn.opcode == RBPF_LDDW)
        return 0;
    if (second.immediate != 0 || (uint32_t)insn.immediate > limit)
        return refuse(v, index, insn.opcode, "points beyond its section of %u bytes", limit);
    return 0;
}

static int check_instruction(const struct verifier *v, uint32_t index, struct rbpf_instruction insn)
{
    if (insn.dst >= REGISTER_COUNT || insn.src >= REGISTER_COUNT)
        return refuse(v, index, insn.opcode, "uses a register above r10");
    if (insn.dst == FRAME_POINTER && writes_dst(insn.opcode))
        return refuse(v, index, insn.opcode, "writes r10, which is read-only");
    switch (insn.opcode & 0x07) {
    case CLASS_ALU32:
    case CLASS_ALU64:
        return check_alu(v, index, insn);
    case CLASS_JMP:
    case CLASS_JMP32:
        return check_jump(v, index, insn);
    case CLASS_LD:
        if (insn.opcode == RBPF_LDDW || insn.opcode == RBPF_LDDW_DATA || insn.opcode == RBPF_LDDW_RODATA)
            return check_lddw(v, index, insn);
        return refuse(v, index, insn.opcode, "is not known");
    default: /* loads and stores: all four widths */
        return (insn.opcode & 0xe0) == MODE_MEMORY ? 0 : refuse(v, index, insn.opcode, "is not known");
    }
}

static int check_text(const struct rbpf_file *file, char *reason, size_t reason_size)
{
    const struct verifier v = {file, file->text_size / RBPF_INSTRUCTION_SIZE, reason, reason_size};
    struct rbpf_instruction insn = {0};

    for (uint32_t i = 0; i < v.count; i++) {
        insn = rbpf_instruction_at(file->text, i);
        if (check_instruction(&v, i, insn))
            return 1;
        if ((insn.opcode & 0x07) == CLASS_LD)
            i++; /* its second half */
    }
    if (insn.opcode != RBPF_EXIT)
        return refuse(&v, v.count - 1, insn.opcode, "is the last one; the program must end in exit (0x95)");
    return 0;
}

static int complain(char *reason, size_t reason_size, const char *what)
{
    (void)snprintf(reason, reason_size, "%s", what);
    return 1;
}

static int check_functions(struct cursor *c, const struct rbpf_file *file, char *reason, size_t reason_size)
{
    for (uint32_t i = 0; i < file->function_count; i++) {
        uint16_t name = cursor_u16le(c);

        (void)cursor_u16le(c); /* flags */
        uint16_t location = cursor_u16le(c);

        if (cursor_failed(c))
            return complain(reason, reason_size, "the file ends within its table of functions");
        if (name >= file->rodata_size || !memchr(file->rodata + name, 0, file->rodata_size - name))
            return complain(reason, reason_size, "the name of a function lies outside of rodata");
        if (location % RBPF_INSTRUCTION_SIZE || location >= file->text_size)
            return complain(reason, reason_size, "a function lies outside of the text");
    }
    return cursor_left(c) ? complain(reason, reason_size, "bytes follow the table of functions") : 0;
}

static int parse(struct cursor *c, struct rbpf_file *file, char *reason, size_t reason_size)
{
    const uint8_t *magic = cursor_take(c, 4);
    uint32_t version = cursor_u32le(c);

    if (cursor_failed(c) || memcmp(magic, "rBPF", 4) != 0)
        return complain(reason, reason_size, "this is no rBPF application: it does not begin with \"rBPF\"");
    if (version != 0)
        return complain(reason, reason_size, "the version of the rBPF file is not 0");
    (void)cursor_u32le(c); /* flags */
    file->data_size = cursor_u32le(c);
    file->rodata_size = cursor_u32le(c);
    file->text_size = cursor_u32le(c);
    file->function_count = cursor_u32le(c);
    file->data = cursor_take(c, file->data_size);
    file->rodata = cursor_take(c, file->rodata_size);
    file->text = cursor_take(c, file->text_size);
    if (cursor_failed(c))
        return complain(reason, reason_size, "the sections of the rBPF file are longer than the file");
    if (file->text_size == 0 || file->text_size % RBPF_INSTRUCTION_SIZE)
        return complain(reason, reason_size, "the text is not a whole number of instructions of 8 bytes");
    return check_functions(c, file, reason, reason_size);
}

int rbpf_check(const void *input, size_t size, struct rbpf_file *out, char *reason, size_t reason_size)
{
    struct cursor c = cursor_init(input, size);
    struct rbpf_file file = {0};

    if (size > RBPF_MAX_FILE)
        return complain(reason, reason_size, "the rBPF file is larger than 65536 bytes");
    if (parse(&c, &file, reason, reason_size) || check_text(&file, reason, reason_size))
        return 1;
    if (out)
        *out = file;
    return 0;
}
