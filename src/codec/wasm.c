#include "codec/wasm_private.h"

#include "base/text.h"
#include "tcgw/metadata.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* WebAssembly Core Specification 1.0, section 5 (binary format). */
enum {
    SECTION_CUSTOM,
    SECTION_TYPE,
    SECTION_IMPORT,
    SECTION_FUNCTION,
    SECTION_TABLE,
    SECTION_MEMORY,
    SECTION_GLOBAL,
    SECTION_EXPORT,
    SECTION_START,
    SECTION_ELEMENT,
    SECTION_CODE,
    SECTION_DATA,
    SECTION_COUNT
};

enum { KIND_FUNCTION, KIND_TABLE, KIND_MEMORY, KIND_GLOBAL, KIND_COUNT };

#define TYPE_I32 0x7f
#define TYPE_I64 0x7e
#define TYPE_F32 0x7d
#define TYPE_F64 0x7c
#define TYPE_FUNCTION 0x60
#define TYPE_FUNCREF 0x70
#define MAX_PAGES 65536u
#define OP_END 0x0b
#define OP_I32_CONST 0x41
#define OP_I64_CONST 0x42
#define OP_F32_CONST 0x43
#define OP_F64_CONST 0x44

static const struct {
    const char *name;
    const char *signature;
    unsigned syscall; /* 0: needs no permission */
} imports[] = {
    {"logger", "i>", 0},
    {"open", "i>i", CONTAINER_SYSCALL_OPEN},
    {"close", "i>i", CONTAINER_SYSCALL_CLOSE},
    {"read", "iii>i", CONTAINER_SYSCALL_READ},
    {"write", "iii>i", CONTAINER_SYSCALL_WRITE},
};

int wasm_refuse(const struct wasm_module *m, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(m->reason, m->reason_size, format, ap);
    va_end(ap);
    return 1;
}

uint32_t wasm_take_u32(struct cursor *c)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = cursor_u8(c);

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            if (value > UINT32_MAX)
                cursor_fail(c);
            return cursor_failed(c) ? 0 : (uint32_t)value;
        }
    }
    cursor_fail(c);
    return 0;
}

/* What the last of the bytes of a signed number has above the number's bits repeats the sign. */
static bool repeats_sign(uint8_t byte, unsigned room)
{
    unsigned above = room < 7 ? 0x7fu & 0x7fu << (room - 1) : 0;

    return (byte & above) == 0 || (byte & above) == above;
}

/* Section 5.2.2. */
static int64_t take_signed(struct cursor *c, unsigned bits)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < bits; shift += 7) {
        uint8_t byte = cursor_u8(c);

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (!repeats_sign(byte, bits - shift))
            break;
        if (byte & 0x40 && shift + 7 < 64)
            value |= ~UINT64_C(0) << (shift + 7);
        return (int64_t)value;
    }
    cursor_fail(c);
    return 0;
}

void wasm_skip_signed(struct cursor *c, unsigned bits)
{
    (void)take_signed(c, bits);
}

int32_t wasm_take_i32(struct cursor *c)
{
    return (int32_t)(uint32_t)(uint64_t)take_signed(c, 32);
}

char wasm_value_type(uint8_t byte)
{
    return byte == TYPE_I32 ? 'i' : byte == TYPE_I64 ? 'I' : byte == TYPE_F32 ? 'f' : byte == TYPE_F64 ? 'F' : 0;
}

static bool name_is(const uint8_t *name, uint32_t size, const char *expected)
{
    return size == strlen(expected) && memcmp(name, expected, size) == 0;
}

#define NAME_SHOWN 41

/* A name from the module for a refusal: it may hold anything, so only what is printable in ASCII is kept. */
static const char *printable(const uint8_t *name, uint32_t size, char out[NAME_SHOWN])
{
    size_t i;

    for (i = 0; i < size && i < NAME_SHOWN - 1; i++)
        out[i] = '!' <= name[i] && name[i] <= '~' ? (char)name[i] : '?';
    out[i] = '\0';
    return out;
}

/* Appends the value types of one vector to a signature. */
static int read_value_types(struct wasm_module *m, char *signature, size_t *length, uint32_t limit)
{
    uint32_t count = wasm_take_u32(&m->in);

    if (count > limit)
        return wasm_refuse(m, "type %u has %u parameters or results; the limit is %u", m->type_count, count, limit);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t type = cursor_u8(&m->in);

        if (cursor_failed(&m->in))
            return 0;
        if (!wasm_value_type(type))
            return wasm_refuse(m, "type %u uses the value type 0x%02x, which WebAssembly 1.0 has not", m->type_count,
                               type);
        signature[(*length)++] = wasm_value_type(type);
    }
    return 0;
}

static int read_types(struct wasm_module *m)
{
    uint32_t count = wasm_take_u32(&m->in);

    if (count > WASM_MAX_TYPES)
        return wasm_refuse(m, "the module has %u types; the limit is %u", count, WASM_MAX_TYPES);
    m->types = calloc(count + 1, sizeof *m->types);
    if (!m->types)
        return wasm_refuse(m, "out of memory");
    for (; m->type_count < count && !cursor_failed(&m->in); m->type_count++) {
        char *signature = m->types[m->type_count];
        size_t length = 0;

        if (cursor_u8(&m->in) != TYPE_FUNCTION)
            return wasm_refuse(m, "type %u is not the type of a function", m->type_count);
        if (read_value_types(m, signature, &length, WASM_MAX_PARAMETERS))
            return 1;
        signature[length++] = '>';
        if (read_value_types(m, signature, &length, 1))
            return 1;
    }
    return 0;
}

static int add_function(struct wasm_module *m, uint32_t type)
{
    if (cursor_failed(&m->in))
        return 0;
    if (type >= m->type_count)
        return wasm_refuse(m, "function %u has type %u; there are %u types", m->function_count, type, m->type_count);
    if (m->function_count == WASM_MAX_FUNCTIONS)
        return wasm_refuse(m, "the module has more than %u functions", WASM_MAX_FUNCTIONS);
    m->functions[m->function_count++] = (uint16_t)type;
    return 0;
}

static int check_import(struct wasm_module *m, const uint8_t *name, uint32_t size, uint32_t type)
{
    char shown[NAME_SHOWN];

    for (size_t i = 0; i < array_size(imports); i++) {
        if (!name_is(name, size, imports[i].name))
            continue;
        if (strcmp(m->types[type], imports[i].signature) != 0)
            return wasm_refuse(m, "the import env.%s has another type than the protocol gives it", imports[i].name);
        if (imports[i].syscall)
            m->summary.syscall_mask |= 1u << (imports[i].syscall - 1);
        return 0;
    }
    return wasm_refuse(m, "the import env.%s does not exist on a device; logger, open, close, read and write do",
                       printable(name, size, shown));
}

static int read_import(struct wasm_module *m)
{
    char shown[2][NAME_SHOWN];
    uint32_t module_size = wasm_take_u32(&m->in);
    const uint8_t *module = cursor_take(&m->in, module_size);
    uint32_t name_size = wasm_take_u32(&m->in);
    const uint8_t *name = cursor_take(&m->in, name_size);
    uint8_t kind = cursor_u8(&m->in);
    uint32_t type;

    if (cursor_failed(&m->in))
        return 0;
    if (kind != KIND_FUNCTION || !name_is(module, module_size, "env"))
        return wasm_refuse(m, "the import %s.%s does not exist on a device: only functions of env do",
                           printable(module, module_size, shown[0]), printable(name, name_size, shown[1]));
    type = wasm_take_u32(&m->in);
    if (cursor_failed(&m->in))
        return 0;
    return add_function(m, type) ? 1 : check_import(m, name, name_size, type);
}

static int read_imports(struct wasm_module *m)
{
    for (uint32_t left = wasm_take_u32(&m->in); left > 0 && !cursor_failed(&m->in); left--)
        if (read_import(m))
            return 1;
    m->import_count = m->function_count;
    return 0;
}

static int read_functions(struct wasm_module *m)
{
    for (uint32_t left = wasm_take_u32(&m->in); left > 0 && !cursor_failed(&m->in); left--)
        if (add_function(m, wasm_take_u32(&m->in)))
            return 1;
    return 0;
}

/* Limits (section 5.3.4); what names them in a refusal. *maximum becomes 0 where there is none. */
static int read_limits(struct wasm_module *m, const char *what, uint32_t *minimum, uint32_t *maximum)
{
    uint8_t flags = cursor_u8(&m->in);

    if (flags > 1)
        return wasm_refuse(m, "the %s has limits of an unknown kind (0x%02x)", what, flags);
    *minimum = wasm_take_u32(&m->in);
    *maximum = flags == 1 ? wasm_take_u32(&m->in) : 0;
    if (flags == 1 && *maximum < *minimum && !cursor_failed(&m->in))
        return wasm_refuse(m, "the %s has a maximum below its minimum", what);
    return 0;
}

static int read_table(struct wasm_module *m)
{
    uint32_t count = wasm_take_u32(&m->in), size = 0, maximum;

    if (count == 0)
        return 0;
    if (count != 1 || cursor_u8(&m->in) != TYPE_FUNCREF)
        return wasm_refuse(m, "the module may have one table, of functions");
    if (read_limits(m, "table", &size, &maximum))
        return 1;
    m->has_table = true;
    m->table_size = size;
    return size > WASM_MAX_TABLE ? wasm_refuse(m, "the table has %u elements; the limit is %u", size, WASM_MAX_TABLE)
                                 : 0;
}

static int read_memory(struct wasm_module *m)
{
    uint32_t count = wasm_take_u32(&m->in);

    if (count == 0)
        return 0;
    if (count != 1)
        return wasm_refuse(m, "the module has %u memories; one is possible", count);
    if (read_limits(m, "memory", &m->summary.memory_pages, &m->summary.memory_pages_max))
        return 1;
    m->has_memory = true;
    if (m->summary.memory_pages > MAX_PAGES || m->summary.memory_pages_max > MAX_PAGES)
        return wasm_refuse(m, "the memory is larger than 4 GiB");
    return 0;
}

/* An instruction that gives a constant, and its end. *value: an i32. */
static int read_constant(struct wasm_module *m, char type, uint32_t *value)
{
    static const char types[] = "iIfF";
    uint8_t opcode = cursor_u8(&m->in);

    *value = 0;
    if (opcode == OP_I32_CONST)
        *value = (uint32_t)wasm_take_i32(&m->in);
    else if (opcode == OP_I64_CONST)
        wasm_skip_signed(&m->in, 64);
    else
        (void)cursor_take(&m->in, opcode == OP_F32_CONST ? 4 : 8);
    if (cursor_u8(&m->in) != OP_END || opcode < OP_I32_CONST || opcode > OP_F64_CONST ||
        types[opcode - OP_I32_CONST] != type)
        return cursor_failed(&m->in) ? 0 : wasm_refuse(m, "an initial value is no constant of its type");
    return 0;
}

static int read_globals(struct wasm_module *m)
{
    uint32_t count = wasm_take_u32(&m->in), value;

    if (count > WASM_MAX_GLOBALS)
        return wasm_refuse(m, "the module has %u global variables; the limit is %u", count, WASM_MAX_GLOBALS);
    m->globals = calloc(count + 1, sizeof *m->globals);
    if (!m->globals)
        return wasm_refuse(m, "out of memory");
    for (; m->global_count < count && !cursor_failed(&m->in); m->global_count++) {
        char type = wasm_value_type(cursor_u8(&m->in));
        uint8_t changes = cursor_u8(&m->in);

        if (!cursor_failed(&m->in) && (!type || changes > 1))
            return wasm_refuse(m, "global variable %u has a type that WebAssembly 1.0 has not", m->global_count);
        m->globals[m->global_count] = (struct wasm_global){type, changes};
        if (read_constant(m, type, &value))
            return 1;
    }
    return 0;
}

static int check_export(struct wasm_module *m, const uint8_t *name, uint32_t size, uint8_t kind, uint32_t index)
{
    bool is_loop = name_is(name, size, "loop");

    if (!is_loop && !name_is(name, size, "start") && !name_is(name, size, "stop"))
        return 0;
    if (kind != KIND_FUNCTION || index >= m->function_count)
        return wasm_refuse(m, "the export %.*s is not a function of the module", (int)size, (const char *)name);
    if (strcmp(m->types[m->functions[index]], is_loop ? ">i" : ">") != 0)
        return wasm_refuse(m, "the export %.*s must take nothing and return %s", (int)size, (const char *)name,
                           is_loop ? "an int" : "nothing");
    m->has_loop |= is_loop;
    return 0;
}

struct export
{
    const uint8_t *name;
    uint32_t size;
};

static int compare_exports(const void *a, const void *b)
{
    const struct export *left = a, *right = b;

    if (left->size != right->size)
        return left->size < right->size ? -1 : 1;
    return left->size ? memcmp(left->name, right->name, left->size) : 0;
}

static bool has_export(const struct wasm_module *m, uint8_t kind, uint32_t index)
{
    const uint32_t counts[KIND_COUNT] = {m->function_count, m->has_table, m->has_memory, m->global_count};

    return index < counts[kind];
}

static int read_export(struct wasm_module *m, struct export *export)
{
    uint8_t kind;
    uint32_t index;

    export->size = wasm_take_u32(&m->in);
    export->name = cursor_take(&m->in, export->size);
    kind = cursor_u8(&m->in);
    index = wasm_take_u32(&m->in);
    if (cursor_failed(&m->in))
        return 0;
    if (kind >= KIND_COUNT)
        return wasm_refuse(m, "an export is of the unknown kind %u", kind);
    if (check_export(m, export->name, export->size, kind, index))
        return 1;
    if (!has_export(m, kind, index) || !text_is_utf8(export->name, export->size))
        return wasm_refuse(m, "an export has no name in UTF-8, or is of something that is not there");
    return 0;
}

static int read_exports(struct wasm_module *m)
{
    uint32_t count = wasm_take_u32(&m->in);
    cleanup_free struct export *list = NULL;

    if (count > WASM_MAX_EXPORTS)
        return wasm_refuse(m, "the module has %u exports; the limit is %u", count, WASM_MAX_EXPORTS);
    list = calloc(count + 1, sizeof *list);
    if (!list)
        return wasm_refuse(m, "out of memory");
    for (uint32_t i = 0; i < count; i++) {
        if (read_export(m, &list[i]))
            return 1;
        if (cursor_failed(&m->in))
            return 0;
    }
    qsort(list, count, sizeof *list, compare_exports);
    for (uint32_t i = 1; i < count; i++)
        if (compare_exports(&list[i - 1], &list[i]) == 0)
            return wasm_refuse(m, "two exports have the same name");
    return 0;
}

static int read_body(struct wasm_module *m)
{
    struct cursor body = cursor_sub(&m->in, wasm_take_u32(&m->in));
    uint32_t index = m->import_count + m->body_count;

    if (cursor_failed(&body))
        return wasm_refuse(m, "the body of function %u is cut off", index);
    if (index >= m->function_count)
        return wasm_refuse(m, "the module has the code of more functions than it declares");
    if (wasm_check_body(m, body))
        return 1;
    m->body_count++;
    return 0;
}

static int read_code(struct wasm_module *m)
{
    for (uint32_t left = wasm_take_u32(&m->in); left > 0 && !cursor_failed(&m->in); left--)
        if (read_body(m))
            return 1;
    return 0;
}

/* Where a segment begins; within the limit, or the module could not start. */
static int read_segment(struct wasm_module *m, const char *what, uint32_t *offset)
{
    uint32_t kind = wasm_take_u32(&m->in);

    *offset = 0;
    if (kind != 0)
        return wasm_refuse(m, "%s is of the kind %u; clang takes -mcpu=mvp", what, kind);
    return read_constant(m, 'i', offset);
}

static int read_element(struct wasm_module *m)
{
    uint32_t offset, count;

    if (read_segment(m, "an element segment", &offset))
        return 1;
    count = wasm_take_u32(&m->in);
    if (cursor_failed(&m->in))
        return 0;
    if (!m->has_table || (uint64_t)offset + count > m->table_size)
        return wasm_refuse(m, "an element segment is for more than the table has");
    for (; count > 0 && !cursor_failed(&m->in); count--)
        if (wasm_take_u32(&m->in) >= m->function_count)
            return wasm_refuse(m, "an element segment names a function that is not there");
    return 0;
}

static int read_elements(struct wasm_module *m)
{
    for (uint32_t left = wasm_take_u32(&m->in); left > 0 && !cursor_failed(&m->in); left--)
        if (read_element(m))
            return 1;
    return 0;
}

static int read_data(struct wasm_module *m)
{
    for (uint32_t left = wasm_take_u32(&m->in); left > 0 && !cursor_failed(&m->in); left--) {
        uint32_t offset, size;

        if (read_segment(m, "a data segment", &offset))
            return 1;
        size = wasm_take_u32(&m->in);
        (void)cursor_take(&m->in, size);
        if (cursor_failed(&m->in))
            return 0;
        if (!m->has_memory || (uint64_t)offset + size > (uint64_t)m->summary.memory_pages * WASM_PAGE)
            return wasm_refuse(m, "a data segment is for more than the memory has");
    }
    return 0;
}

/* A name, and contents for debuggers. */
static int skip(struct wasm_module *m)
{
    uint32_t size = wasm_take_u32(&m->in);
    const uint8_t *name = cursor_take(&m->in, size);

    if (!cursor_failed(&m->in) && !text_is_utf8(name, size))
        return wasm_refuse(m, "the name of a custom section is no UTF-8");
    (void)cursor_take(&m->in, cursor_left(&m->in));
    return 0;
}

static int refuse_start(struct wasm_module *m)
{
    return wasm_refuse(m, "the module has a start section; export the function start() instead");
}

static const struct {
    const char *name;
    int (*read)(struct wasm_module *m);
} sections[SECTION_COUNT] = {
    [SECTION_CUSTOM] = {"custom", skip},         [SECTION_TYPE] = {"type", read_types},
    [SECTION_IMPORT] = {"import", read_imports}, [SECTION_FUNCTION] = {"function", read_functions},
    [SECTION_TABLE] = {"table", read_table},     [SECTION_MEMORY] = {"memory", read_memory},
    [SECTION_GLOBAL] = {"global", read_globals}, [SECTION_EXPORT] = {"export", read_exports},
    [SECTION_START] = {"start", refuse_start},   [SECTION_ELEMENT] = {"element", read_elements},
    [SECTION_CODE] = {"code", read_code},        [SECTION_DATA] = {"data", read_data},
};

static int read_section(struct wasm_module *m, struct cursor *c, uint8_t *last)
{
    size_t offset = c->offset;
    uint8_t id = cursor_u8(c);

    m->in = cursor_sub(c, wasm_take_u32(c));
    if (cursor_failed(&m->in))
        return wasm_refuse(m, "the section at byte %zu is longer than the module", offset);
    if (id >= SECTION_COUNT)
        return wasm_refuse(
            m, "the section at byte %zu has the id %u, which WebAssembly 1.0 has not; clang takes -mcpu=mvp", offset,
            id);
    if (id != SECTION_CUSTOM && id <= *last)
        return wasm_refuse(m, "the %s section at byte %zu is out of order", sections[id].name, offset);
    if (id != SECTION_CUSTOM)
        *last = id;
    if (sections[id].read(m))
        return 1;
    if (cursor_failed(&m->in) || cursor_left(&m->in))
        return wasm_refuse(m, "the %s section at byte %zu is malformed", sections[id].name, offset);
    return 0;
}

static int read_module(struct wasm_module *m, struct cursor *c)
{
    static const uint8_t header[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    const uint8_t *begin = cursor_take(c, sizeof header);
    uint8_t last = 0;

    if (!begin || memcmp(begin, header, sizeof header) != 0)
        return wasm_refuse(m, "this is no WebAssembly module of version 1: it does not begin with \"\\0asm\" and 1");
    while (cursor_left(c))
        if (read_section(m, c, &last))
            return 1;
    if (m->function_count - m->import_count != m->body_count)
        return wasm_refuse(m, "the module declares %u functions and holds the code of %u",
                           m->function_count - m->import_count, m->body_count);
    if (!m->has_loop)
        return wasm_refuse(m, "the module does not export the function loop()");
    m->summary.function_count = m->body_count;
    return 0;
}

int wasm_check(const void *input, size_t size, struct wasm_summary *out, char *reason, size_t reason_size)
{
    struct wasm_module m = {.reason = reason, .reason_size = reason_size};
    struct cursor c = cursor_init(input, size);
    int r;

    if (size > WASM_MAX_MODULE)
        return wasm_refuse(&m, "the module is larger than %u bytes", WASM_MAX_MODULE);
    m.functions = calloc(WASM_MAX_FUNCTIONS, sizeof *m.functions);
    r = m.functions ? read_module(&m, &c) : wasm_refuse(&m, "out of memory");
    free(m.functions);
    free(m.types);
    free(m.globals);
    free(m.check);
    if (r == 0 && out)
        *out = m.summary;
    return r;
}
