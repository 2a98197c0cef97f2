#ifndef TEST_RBPF_ASM_H
#define TEST_RBPF_ASM_H

#include "base/cleanup.h"

#include <stdint.h>
#include <string.h>

/* Makes rBPF applications for tests. An instruction as the eight bytes that it is, read as a little-endian number. */
#define INSN(op, dst, src, off, imm)                                                                                   \
    ((uint64_t)(op) | (uint64_t)(dst) << 8 | (uint64_t)(src) << 12 | (uint64_t)(uint16_t)(off) << 16 |                 \
     (uint64_t)(uint32_t)(imm) << 32)

#define MOV(dst, imm) INSN(0xb7, dst, 0, 0, imm)
#define MOV_REG(dst, src) INSN(0xbf, dst, src, 0, 0)
#define CALL(number) INSN(0x85, 0, 0, 0, number)
#define EXIT INSN(0x95, 0, 0, 0, 0)

struct rbpf_app {
    uint8_t bytes[4096];
    size_t size;
};

static inline void rbpf_app_put(struct rbpf_app *app, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        app->bytes[app->size++] = (uint8_t)(value >> 8 * i);
}

static inline void rbpf_app_copy(struct rbpf_app *app, const void *bytes, size_t size)
{
    if (size)
        memcpy(app->bytes + app->size, bytes, size);
    app->size += size;
}

/* An application of count instructions with the given sections and no function in its table. */
static inline struct rbpf_app rbpf_app_make(const uint64_t *text, size_t count, const void *data, size_t data_size,
                                            const void *rodata, size_t rodata_size)
{
    struct rbpf_app app = {.size = 0};

    rbpf_app_copy(&app, "rBPF", 4);
    rbpf_app_put(&app, 0, 8);
    rbpf_app_put(&app, data_size, 4);
    rbpf_app_put(&app, rodata_size, 4);
    rbpf_app_put(&app, count * 8, 4);
    rbpf_app_put(&app, 0, 4);
    rbpf_app_copy(&app, data, data_size);
    rbpf_app_copy(&app, rodata, rodata_size);
    for (size_t i = 0; i < count; i++)
        rbpf_app_put(&app, text[i], 8);
    return app;
}

#endif
