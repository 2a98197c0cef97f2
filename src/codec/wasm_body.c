#include "codec/wasm_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Validation of function bodies (WebAssembly Core Specification 1.0, section 3.3 and appendix 7.3): every instruction
 * is followed with the types of what would be on the stack. Beyond 1.0 it knows the sign extensions and the conversions
 * that saturate, which compilers emit by default.
 */

#define UNKNOWN '?' /* a value behind code that is never reached */
#define NONE 0      /* no value */

enum {
    OP_BLOCK = 0x02,
    OP_LOOP = 0x03,
    OP_IF = 0x04,
    OP_ELSE = 0x05,
    OP_I32_LOAD = 0x28,
    OP_PREFIX = 0xfc,
};

struct frame {
    uint8_t opcode; /* what it was opened by; a function by OP_BLOCK */
    char result;    /* its type, or NONE */
    bool unreachable;
    uint32_t height; /* of the operands when it was opened */
};

struct wasm_body_check {
    struct wasm_module *m;
    struct cursor in;
    size_t at; /* of the instruction, in the body */
    uint8_t opcode;
    const char *type; /* of the function */
    uint32_t local_count, height, depth;
    char locals[WASM_MAX_PARAMETERS + WASM_MAX_LOCALS];
    char operands[WASM_MAX_OPERANDS];
    struct frame frames[WASM_MAX_BLOCKS];
    const char *plain[256]; /* types of the instructions that only compute; NULL: another one */
};

#define complain(k, format, ...)                                                                                       \
    wasm_refuse((k)->m, "the module does not validate: function %u, byte %zu, 0x%02x: " format,                        \
                (k)->m->import_count + (k)->m->body_count, (k)->at, (k)->opcode, __VA_ARGS__)

/* Operands --------------------------------------------------------------------------------------------------------- */

static struct frame *top(struct wasm_body_check *k)
{
    return &k->frames[k->depth - 1];
}

static int push(struct wasm_body_check *k, char type)
{
    if (type == NONE)
        return 0;
    if (k->height == WASM_MAX_OPERANDS)
        return complain(k, "more than %u values on the stack", WASM_MAX_OPERANDS);
    k->operands[k->height++] = type;
    return 0;
}

static int pop_any(struct wasm_body_check *k, char *type)
{
    *type = UNKNOWN;
    if (k->height == top(k)->height)
        return top(k)->unreachable ? 0 : complain(k, "%s", "there is no value on the stack");
    *type = k->operands[--k->height];
    return 0;
}

static const char *name_of(char type)
{
    return type == 'i' ? "i32" : type == 'I' ? "i64" : type == 'f' ? "f32" : "f64";
}

static int pop(struct wasm_body_check *k, char wanted)
{
    char type;

    if (wanted == NONE)
        return 0;
    if (pop_any(k, &type))
        return 1;
    if (type == wanted || type == UNKNOWN || wanted == UNKNOWN)
        return 0;
    return complain(k, "the stack has %s in place of %s", name_of(type), name_of(wanted));
}

/* Takes and gives what a signature says. */
static int apply(struct wasm_body_check *k, const char *signature)
{
    size_t count = strcspn(signature, ">");

    for (size_t i = count; i > 0; i--)
        if (pop(k, signature[i - 1]))
            return 1;
    return push(k, signature[count + 1]);
}

/* Blocks ----------------------------------------------------------------------------------------------------------- */

static int open_frame(struct wasm_body_check *k, uint8_t opcode, char result)
{
    if (k->depth == WASM_MAX_BLOCKS)
        return complain(k, "more than %u blocks in each other", WASM_MAX_BLOCKS);
    k->frames[k->depth++] = (struct frame){.opcode = opcode, .result = result, .height = k->height};
    return 0;
}

static int leave_frame(struct wasm_body_check *k)
{
    if (pop(k, top(k)->result))
        return 1;
    return k->height == top(k)->height ? 0 : complain(k, "%s", "values are left on the stack");
}

static int never_reached(struct wasm_body_check *k)
{
    k->height = top(k)->height;
    top(k)->unreachable = true;
    return 0;
}

static int check_block(struct wasm_body_check *k)
{
    uint8_t byte = cursor_u8(&k->in);
    char result = byte == 0x40 ? NONE : wasm_value_type(byte);

    if (byte != 0x40 && result == NONE)
        return complain(k, "the block type 0x%02x is none of WebAssembly 1.0", byte);
    if (k->opcode == OP_IF && pop(k, 'i'))
        return 1;
    return open_frame(k, k->opcode, result);
}

static int check_else(struct wasm_body_check *k)
{
    if (top(k)->opcode != OP_IF)
        return complain(k, "%s", "there is no if");
    if (leave_frame(k))
        return 1;
    top(k)->opcode = OP_ELSE;
    top(k)->unreachable = false;
    return 0;
}

static int check_end(struct wasm_body_check *k)
{
    char result = top(k)->result;

    if (top(k)->opcode == OP_IF && result != NONE)
        return complain(k, "%s", "an if with a value has no else");
    if (leave_frame(k))
        return 1;
    k->depth--;
    return k->depth ? push(k, result) : 0;
}

/* What a branch takes along. */
static int label(struct wasm_body_check *k, uint32_t index, char *type)
{
    const struct frame *frame;

    *type = NONE;
    if (index >= k->depth)
        return complain(k, "there is no label %" PRIu32, index);
    frame = &k->frames[k->depth - 1 - index];
    *type = frame->opcode == OP_LOOP ? NONE : frame->result;
    return 0;
}

static int check_branch(struct wasm_body_check *k)
{
    char type;

    return label(k, wasm_take_u32(&k->in), &type) || pop(k, type) ? 1 : never_reached(k);
}

static int check_branch_if(struct wasm_body_check *k)
{
    char type;

    return label(k, wasm_take_u32(&k->in), &type) || pop(k, 'i') || pop(k, type) ? 1 : push(k, type);
}

static int check_branch_table(struct wasm_body_check *k)
{
    uint32_t count = wasm_take_u32(&k->in);
    char first, type;

    if (label(k, wasm_take_u32(&k->in), &first))
        return 1;
    for (; count > 0 && !cursor_failed(&k->in); count--) {
        if (label(k, wasm_take_u32(&k->in), &type))
            return 1;
        if (type != first)
            return complain(k, "%s", "the labels have several types");
    }
    return pop(k, 'i') || pop(k, first) ? 1 : never_reached(k);
}

static int check_return(struct wasm_body_check *k)
{
    return pop(k, k->frames[0].result) ? 1 : never_reached(k);
}

static int check_call(struct wasm_body_check *k)
{
    uint32_t function = wasm_take_u32(&k->in);

    if (function >= k->m->function_count)
        return complain(k, "there is no function %" PRIu32, function);
    return apply(k, k->m->types[k->m->functions[function]]);
}

static int check_call_indirect(struct wasm_body_check *k)
{
    uint32_t type = wasm_take_u32(&k->in);

    if (cursor_u8(&k->in) != 0 || !k->m->has_table)
        return complain(k, "%s", "there is no such table");
    if (type >= k->m->type_count)
        return complain(k, "there is no type %" PRIu32, type);
    return pop(k, 'i') ? 1 : apply(k, k->m->types[type]);
}

/* Values ----------------------------------------------------------------------------------------------------------- */

static int check_nothing(struct wasm_body_check *k)
{
    (void)k;
    return 0;
}

static int check_drop(struct wasm_body_check *k)
{
    char type;

    return pop_any(k, &type);
}

static int check_select(struct wasm_body_check *k)
{
    char second, first;

    if (pop(k, 'i') || pop_any(k, &second) || pop_any(k, &first))
        return 1;
    if (first != second && first != UNKNOWN && second != UNKNOWN)
        return complain(k, "%s", "the two values have different types");
    return push(k, first == UNKNOWN ? second : first);
}

static int check_local(struct wasm_body_check *k)
{
    uint32_t index = wasm_take_u32(&k->in);
    char type;

    if (index >= k->local_count)
        return complain(k, "there is no local variable %" PRIu32, index);
    type = k->locals[index];
    if (k->opcode == 0x20) /* get */
        return push(k, type);
    return pop(k, type) || (k->opcode == 0x22 && push(k, type)); /* set, tee */
}

static int check_global(struct wasm_body_check *k)
{
    uint32_t index = wasm_take_u32(&k->in);
    const struct wasm_global *global;

    if (index >= k->m->global_count)
        return complain(k, "there is no global variable %" PRIu32, index);
    global = &k->m->globals[index];
    if (k->opcode == 0x23) /* get */
        return push(k, global->type);
    return global->changes ? pop(k, global->type) : complain(k, "%s", "the global variable is a constant");
}

static int check_constant(struct wasm_body_check *k)
{
    static const char types[] = "iIfF";

    if (k->opcode <= 0x42)
        wasm_skip_signed(&k->in, k->opcode == 0x41 ? 32 : 64);
    else
        (void)cursor_take(&k->in, k->opcode == 0x43 ? 4 : 8);
    return push(k, types[k->opcode - 0x41]);
}

/* Loads, then stores. */
static int check_access(struct wasm_body_check *k)
{
    static const char types[] = "iIfFiiiiIIIIIIiIfFiiIII";
    static const uint8_t alignments[] = {2, 3, 2, 3, 0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 2, 3, 2, 3, 0, 1, 0, 1, 2};
    unsigned which = k->opcode - OP_I32_LOAD;
    uint32_t alignment = wasm_take_u32(&k->in);

    (void)wasm_take_u32(&k->in);
    if (!k->m->has_memory)
        return complain(k, "%s", "the module has no memory");
    if (alignment > alignments[which])
        return complain(k, "the alignment 2^%" PRIu32 " is larger than the value", alignment);
    if (k->opcode < 0x36)
        return pop(k, 'i') ? 1 : push(k, types[which]);
    return pop(k, types[which]) || pop(k, 'i');
}

static int check_memory(struct wasm_body_check *k)
{
    if (cursor_u8(&k->in) != 0 || !k->m->has_memory)
        return complain(k, "%s", "there is no such memory");
    return apply(k, k->opcode == 0x3f ? ">i" : "i>i");
}

static int check_saturating(struct wasm_body_check *k)
{
    static const char *const types[] = {"f>i", "f>i", "F>i", "F>i", "f>I", "f>I", "F>I", "F>I"};
    uint32_t which = wasm_take_u32(&k->in);

    if (which >= array_size(types))
        return complain(k, "the instruction %" PRIu32 " is none that devices have; clang takes -mcpu=mvp", which);
    return apply(k, types[which]);
}

/* Instructions ----------------------------------------------------------------------------------------------------- */

static int (*const handlers[256])(struct wasm_body_check *) = {
    [0x00] = never_reached,      [0x01] = check_nothing,       [OP_BLOCK] = check_block,
    [OP_LOOP] = check_block,     [OP_IF] = check_block,        [OP_ELSE] = check_else,
    [0x0b] = check_end,          [0x0c] = check_branch,        [0x0d] = check_branch_if,
    [0x0e] = check_branch_table, [0x0f] = check_return,        [0x10] = check_call,
    [0x1a] = check_drop,         [0x11] = check_call_indirect, [0x1b] = check_select,
    [0x20] = check_local,        [0x21] = check_local,         [0x22] = check_local,
    [0x23] = check_global,       [0x24] = check_global,        [0x3f] = check_memory,
    [0x40] = check_memory,       [0x41] = check_constant,      [0x42] = check_constant,
    [0x43] = check_constant,     [0x44] = check_constant,      [OP_PREFIX] = check_saturating,
};

static const struct {
    uint8_t first, last;
    const char *signature;
} plain[] = {
    {0x45, 0x45, "i>i"},  {0x46, 0x4f, "ii>i"}, {0x50, 0x50, "I>i"},  {0x51, 0x5a, "II>i"}, {0x5b, 0x60, "ff>i"},
    {0x61, 0x66, "FF>i"}, {0x67, 0x69, "i>i"},  {0x6a, 0x78, "ii>i"}, {0x79, 0x7b, "I>I"},  {0x7c, 0x8a, "II>I"},
    {0x8b, 0x91, "f>f"},  {0x92, 0x98, "ff>f"}, {0x99, 0x9f, "F>F"},  {0xa0, 0xa6, "FF>F"}, {0xa7, 0xa7, "I>i"},
    {0xa8, 0xa9, "f>i"},  {0xaa, 0xab, "F>i"},  {0xac, 0xad, "i>I"},  {0xae, 0xaf, "f>I"},  {0xb0, 0xb1, "F>I"},
    {0xb2, 0xb3, "i>f"},  {0xb4, 0xb5, "I>f"},  {0xb6, 0xb6, "F>f"},  {0xb7, 0xb8, "i>F"},  {0xb9, 0xba, "I>F"},
    {0xbb, 0xbb, "f>F"},  {0xbc, 0xbc, "f>i"},  {0xbd, 0xbd, "F>I"},  {0xbe, 0xbe, "i>f"},  {0xbf, 0xbf, "I>F"},
    {0xc0, 0xc1, "i>i"},  {0xc2, 0xc4, "I>I"},
};

static struct wasm_body_check *new_check(struct wasm_module *m)
{
    struct wasm_body_check *k = calloc(1, sizeof *k);

    if (!k)
        return NULL;
    k->m = m;
    for (size_t i = 0; i < array_size(plain); i++)
        for (unsigned opcode = plain[i].first; opcode <= plain[i].last; opcode++)
            k->plain[opcode] = plain[i].signature;
    return k;
}

static int check_instruction(struct wasm_body_check *k)
{
    k->at = k->in.offset;
    k->opcode = cursor_u8(&k->in);
    if (k->opcode >= OP_I32_LOAD && k->opcode < 0x3f)
        return check_access(k);
    if (k->plain[k->opcode])
        return apply(k, k->plain[k->opcode]);
    if (handlers[k->opcode])
        return handlers[k->opcode](k);
    return complain(k, "%s", "this instruction is none that devices have; clang takes -mcpu=mvp");
}

static int cut_off(const struct wasm_body_check *k)
{
    return wasm_refuse(k->m, "the body of function %u is cut off", k->m->import_count + k->m->body_count);
}

static int read_locals(struct wasm_body_check *k)
{
    uint32_t limit = (uint32_t)strcspn(k->type, ">") + WASM_MAX_LOCALS;

    k->local_count = limit - WASM_MAX_LOCALS;
    memcpy(k->locals, k->type, k->local_count);
    for (uint32_t groups = wasm_take_u32(&k->in); groups > 0 && !cursor_failed(&k->in); groups--) {
        uint32_t count = wasm_take_u32(&k->in);
        char type = wasm_value_type(cursor_u8(&k->in));

        if (cursor_failed(&k->in))
            break;
        if (count > limit - k->local_count)
            return wasm_refuse(k->m, "function %u has more than %u local variables",
                               k->m->import_count + k->m->body_count, WASM_MAX_LOCALS);
        if (type == NONE)
            return complain(k, "%s", "a local variable has a type that WebAssembly 1.0 has not");
        memset(k->locals + k->local_count, type, count);
        k->local_count += count;
    }
    return cursor_failed(&k->in) ? cut_off(k) : 0;
}

int wasm_check_body(struct wasm_module *m, struct cursor body)
{
    struct wasm_body_check *k = m->check ? m->check : (m->check = new_check(m));

    if (!k)
        return wasm_refuse(m, "out of memory");
    k->in = body;
    k->type = m->types[m->functions[m->import_count + m->body_count]];
    k->height = k->depth = 0;
    k->at = k->opcode = 0;
    if (read_locals(k) || open_frame(k, OP_BLOCK, k->type[strcspn(k->type, ">") + 1]))
        return 1;
    while (k->depth > 0) {
        if (check_instruction(k))
            return cursor_failed(&k->in) ? cut_off(k) : 1;
        if (cursor_failed(&k->in))
            return cut_off(k);
    }
    return cursor_left(&k->in) ? complain(k, "%s", "there is more behind its end") : 0;
}
