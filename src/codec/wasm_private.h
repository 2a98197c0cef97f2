#ifndef TC_CODEC_WASM_PRIVATE_H
#define TC_CODEC_WASM_PRIVATE_H

#include "base/cleanup.h"
#include "base/cursor.h"
#include "codec/wasm.h"

#include <stdbool.h>

/* Between wasm.c, which reads the sections, and wasm_body.c, which validates the functions. */

/* A function's type as text: "iIf>F" takes i32, i64 and f32 and returns f64; "i>" returns nothing. */
#define WASM_SIGNATURE_SIZE (WASM_MAX_PARAMETERS + 3)

struct wasm_global {
    char type;
    bool changes;
};

struct wasm_body_check;

struct wasm_module {
    struct cursor in; /* the section at hand */
    char (*types)[WASM_SIGNATURE_SIZE];
    uint32_t type_count;
    uint16_t *functions; /* type of each, imported ones first */
    uint32_t import_count;
    uint32_t function_count; /* imported ones counted */
    uint32_t body_count;
    struct wasm_global *globals;
    uint32_t global_count;
    uint32_t table_size;
    bool has_table, has_memory, has_loop;
    struct wasm_body_check *check; /* made for the first body, and used for all */
    struct wasm_summary summary;
    char *reason;
    size_t reason_size;
};

printf_like(2, 3) int wasm_refuse(const struct wasm_module *m, const char *format, ...);

uint32_t wasm_take_u32(struct cursor *c);               /* unsigned LEB128 (section 5.2.2) */
void wasm_skip_signed(struct cursor *c, unsigned bits); /* signed LEB128 of at most so many bits */
int32_t wasm_take_i32(struct cursor *c);
char wasm_value_type(uint8_t byte); /* i, I, f or F; 0: none of WebAssembly 1.0 */

/* Validates the body of the function at import_count + body_count, which must be declared. 0, or 1 with the reason. */
int wasm_check_body(struct wasm_module *m, struct cursor body);

#endif
