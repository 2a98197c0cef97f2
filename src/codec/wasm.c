#include "codec/wasm.h"

#include "base/cleanup.h"
#include "base/cursor.h"
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
#define TYPE_F64 0x7c
#define TYPE_FUNCTION 0x60
#define TYPE_FUNCREF 0x70
#define MAX_PAGES 65536u

/* A function's type as text: "iii>i" takes three i32 and returns one; 'x' stands for another value type. */
#define SIGNATURE_SIZE (WASM_MAX_PARAMETERS + 3)

struct module {
    struct cursor in; /* the section at hand */
    char (*types)[SIGNATURE_SIZE];
    uint32_t type_count;
    uint16_t *functions; /* type of each, imported ones first */
    uint32_t import_count;
    uint32_t function_count; /* imported ones counted */
    uint32_t body_count;
    bool has_loop;
    struct wasm_summary summary;
    char *reason;
    size_t reason_size;
};

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

printf_like(2, 3) static int refuse(const struct module *m, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(m->reason, m->reason_size, format, ap);
    va_end(ap);
    return 1;
}

/* An unsigned LEB128 number of at most 32 bits (section 5.2.2). */
static uint32_t take_u32(struct cursor *c)
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
static int read_value_types(struct module *m, char *signature, size_t *length, uint32_t limit)
{
    uint32_t count = take_u32(&m->in);

    if (count > limit)
        return refuse(m, "type %u has %u parameters or results; the limit is %u", m->type_count, count, limit);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t type = cursor_u8(&m->in);

        if (cursor_failed(&m->in))
            return 0;
        if (type < TYPE_F64 || type > TYPE_I32)
            return refuse(m, "type %u uses the value type 0x%02x, which WebAssembly 1.0 has not", m->type_count, type);
        signature[(*length)++] = type == TYPE_I32 ? 'i' : 'x';
    }
    return 0;
}

static int read_types(struct module *m)
{
    uint32_t count = take_u32(&m->in);

    if (count > WASM_MAX_TYPES)
        return refuse(m, "the module has %u types; the limit is %u", count, WASM_MAX_TYPES);
    m->types = calloc(count + 1, sizeof *m->types);
    if (!m->types)
        return refuse(m, "out of memory");
    for (; m->type_count < count && !cursor_failed(&m->in); m->type_count++) {
        char *signature = m->types[m->type_count];
        size_t length = 0;

        if (cursor_u8(&m->in) != TYPE_FUNCTION)
            return refuse(m, "type %u is not the type of a function", m->type_count);
        if (read_value_types(m, signature, &length, WASM_MAX_PARAMETERS))
            return 1;
        signature[length++] = '>';
        if (read_value_types(m, signature, &length, 1))
            return 1;
    }
    return 0;
}

static int add_function(struct module *m, uint32_t type)
{
    if (cursor_failed(&m->in))
        return 0;
    if (type >= m->type_count)
        return refuse(m, "function %u has type %u; there are %u types", m->function_count, type, m->type_count);
    if (m->function_count == WASM_MAX_FUNCTIONS)
        return refuse(m, "the module has more than %u functions", WASM_MAX_FUNCTIONS);
    m->functions[m->function_count++] = (uint16_t)type;
    return 0;
}

static int check_import(struct module *m, const uint8_t *name, uint32_t size, uint32_t type)
{
    char shown[NAME_SHOWN];

    for (size_t i = 0; i < array_size(imports); i++) {
        if (!name_is(name, size, imports[i].name))
            continue;
        if (strcmp(m->types[type], imports[i].signature) != 0)
            return refuse(m, "the import env.%s has another type than the protocol gives it", imports[i].name);
        if (imports[i].syscall)
            m->summary.syscall_mask |= 1u << (imports[i].syscall - 1);
        return 0;
    }
    return refuse(m, "the import env.%s does not exist on a device; logger, open, close, read and write do",
                  printable(name, size, shown));
}

static int read_import(struct module *m)
{
    char shown[2][NAME_SHOWN];
    uint32_t module_size = take_u32(&m->in);
    const uint8_t *module = cursor_take(&m->in, module_size);
    uint32_t name_size = take_u32(&m->in);
    const uint8_t *name = cursor_take(&m->in, name_size);
    uint8_t kind = cursor_u8(&m->in);
    uint32_t type;

    if (cursor_failed(&m->in))
        return 0;
    if (kind != KIND_FUNCTION || !name_is(module, module_size, "env"))
        return refuse(m, "the import %s.%s does not exist on a device: only functions of env do",
                      printable(module, module_size, shown[0]), printable(name, name_size, shown[1]));
    type = take_u32(&m->in);
    if (cursor_failed(&m->in))
        return 0;
    return add_function(m, type) ? 1 : check_import(m, name, name_size, type);
}

static int read_imports(struct module *m)
{
    for (uint32_t left = take_u32(&m->in); left > 0 && !cursor_failed(&m->in); left--)
        if (read_import(m))
            return 1;
    m->import_count = m->function_count;
    return 0;
}

static int read_functions(struct module *m)
{
    for (uint32_t left = take_u32(&m->in); left > 0 && !cursor_failed(&m->in); left--)
        if (add_function(m, take_u32(&m->in)))
            return 1;
    return 0;
}

/* Limits (section 5.3.4); what names them in a refusal. *maximum becomes 0 where there is none. */
static int read_limits(struct module *m, const char *what, uint32_t *minimum, uint32_t *maximum)
{
    uint8_t flags = cursor_u8(&m->in);

    if (flags > 1)
        return refuse(m, "the %s has limits of an unknown kind (0x%02x)", what, flags);
    *minimum = take_u32(&m->in);
    *maximum = flags == 1 ? take_u32(&m->in) : 0;
    if (flags == 1 && *maximum < *minimum && !cursor_failed(&m->in))
        return refuse(m, "the %s has a maximum below its minimum", what);
    return 0;
}

static int read_table(struct module *m)
{
    uint32_t count = take_u32(&m->in), size = 0, maximum;

    if (count == 0)
        return 0;
    if (count != 1 || cursor_u8(&m->in) != TYPE_FUNCREF)
        return refuse(m, "the module may have one table, of functions");
    if (read_limits(m, "table", &size, &maximum))
        return 1;
    return size > WASM_MAX_TABLE ? refuse(m, "the table has %u elements; the limit is %u", size, WASM_MAX_TABLE) : 0;
}

static int read_memory(struct module *m)
{
    uint32_t count = take_u32(&m->in);

    if (count == 0)
        return 0;
    if (count != 1)
        return refuse(m, "the module has %u memories; one is possible", count);
    if (read_limits(m, "memory", &m->summary.memory_pages, &m->summary.memory_pages_max))
        return 1;
    return m->summary.memory_pages > MAX_PAGES ? refuse(m, "the memory is larger than 4 GiB") : 0;
}

static int check_export(struct module *m, const uint8_t *name, uint32_t size, uint8_t kind, uint32_t index)
{
    bool is_loop = name_is(name, size, "loop");

    if (!is_loop && !name_is(name, size, "start") && !name_is(name, size, "stop"))
        return 0;
    if (kind != KIND_FUNCTION || index >= m->function_count)
        return refuse(m, "the export %.*s is not a function of the module", (int)size, (const char *)name);
    if (strcmp(m->types[m->functions[index]], is_loop ? ">i" : ">") != 0)
        return refuse(m, "the export %.*s must take nothing and return %s", (int)size, (const char *)name,
                      is_loop ? "an int" : "nothing");
    m->has_loop |= is_loop;
    return 0;
}

static int read_exports(struct module *m)
{
    for (uint32_t left = take_u32(&m->in); left > 0; left--) {
        uint32_t size = take_u32(&m->in);
        const uint8_t *name = cursor_take(&m->in, size);
        uint8_t kind = cursor_u8(&m->in);
        uint32_t index = take_u32(&m->in);

        if (cursor_failed(&m->in))
            return 0;
        if (kind >= KIND_COUNT)
            return refuse(m, "an export is of the unknown kind %u", kind);
        if (check_export(m, name, size, kind, index))
            return 1;
    }
    return 0;
}

static int read_body(struct module *m)
{
    struct cursor body = cursor_sub(&m->in, take_u32(&m->in));
    uint64_t locals = 0;

    for (uint32_t groups = take_u32(&body); groups > 0 && !cursor_failed(&body); groups--) {
        locals += take_u32(&body);
        (void)cursor_u8(&body); /* their type */
    }
    if (cursor_failed(&body))
        return refuse(m, "the body of function %u is cut off", m->import_count + m->body_count);
    if (locals > WASM_MAX_LOCALS)
        return refuse(m, "function %u has more than %u local variables", m->import_count + m->body_count,
                      WASM_MAX_LOCALS);
    m->body_count++;
    return 0;
}

static int read_code(struct module *m)
{
    for (uint32_t left = take_u32(&m->in); left > 0 && !cursor_failed(&m->in); left--)
        if (read_body(m))
            return 1;
    return 0;
}

/* Contents that only the agent's runtime looks into. */
static int skip(struct module *m)
{
    (void)cursor_take(&m->in, cursor_left(&m->in));
    return 0;
}

static int refuse_start(struct module *m)
{
    return refuse(m, "the module has a start section; export the function start() instead");
}

static const struct {
    const char *name;
    int (*read)(struct module *m);
} sections[SECTION_COUNT] = {
    [SECTION_CUSTOM] = {"custom", skip},         [SECTION_TYPE] = {"type", read_types},
    [SECTION_IMPORT] = {"import", read_imports}, [SECTION_FUNCTION] = {"function", read_functions},
    [SECTION_TABLE] = {"table", read_table},     [SECTION_MEMORY] = {"memory", read_memory},
    [SECTION_GLOBAL] = {"global", skip},         [SECTION_EXPORT] = {"export", read_exports},
    [SECTION_START] = {"start", refuse_start},   [SECTION_ELEMENT] = {"element", skip},
    [SECTION_CODE] = {"code", read_code},        [SECTION_DATA] = {"data", skip},
};

static int read_section(struct module *m, struct cursor *c, uint8_t *last)
{
    size_t offset = c->offset;
    uint8_t id = cursor_u8(c);

    m->in = cursor_sub(c, take_u32(c));
    if (cursor_failed(&m->in))
        return refuse(m, "the section at byte %zu is longer than the module", offset);
    if (id >= SECTION_COUNT)
        return refuse(m, "the section at byte %zu has the id %u, which WebAssembly 1.0 has not; clang takes -mcpu=mvp",
                      offset, id);
    if (id != SECTION_CUSTOM && id <= *last)
        return refuse(m, "the %s section at byte %zu is out of order", sections[id].name, offset);
    if (id != SECTION_CUSTOM)
        *last = id;
    if (sections[id].read(m))
        return 1;
    if (cursor_failed(&m->in) || cursor_left(&m->in))
        return refuse(m, "the %s section at byte %zu is malformed", sections[id].name, offset);
    return 0;
}

static int read_module(struct module *m, struct cursor *c)
{
    static const uint8_t header[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    const uint8_t *begin = cursor_take(c, sizeof header);
    uint8_t last = 0;

    if (!begin || memcmp(begin, header, sizeof header) != 0)
        return refuse(m, "this is no WebAssembly module of version 1: it does not begin with \"\\0asm\" and 1");
    while (cursor_left(c))
        if (read_section(m, c, &last))
            return 1;
    if (m->function_count - m->import_count != m->body_count)
        return refuse(m, "the module declares %u functions and holds the code of %u",
                      m->function_count - m->import_count, m->body_count);
    if (!m->has_loop)
        return refuse(m, "the module does not export the function loop()");
    m->summary.function_count = m->body_count;
    return 0;
}

int wasm_check(const void *input, size_t size, struct wasm_summary *out, char *reason, size_t reason_size)
{
    struct module m = {.reason = reason, .reason_size = reason_size};
    struct cursor c = cursor_init(input, size);
    int r;

    if (size > WASM_MAX_MODULE)
        return refuse(&m, "the module is larger than %u bytes", WASM_MAX_MODULE);
    m.functions = calloc(WASM_MAX_FUNCTIONS, sizeof *m.functions);
    r = m.functions ? read_module(&m, &c) : refuse(&m, "out of memory");
    free(m.functions);
    free(m.types);
    if (r == 0 && out)
        *out = m.summary;
    return r;
}
