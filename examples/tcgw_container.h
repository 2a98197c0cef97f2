#ifndef TCGW_CONTAINER_H
#define TCGW_CONTAINER_H

/*
 * What a container can call and what it has to offer, for both runtimes. There is no C library. All calls but tcgw_log
 * need their system call in the artifact's description; a call that is not allowed answers -1.
 *
 *   WebAssembly (clang --target=wasm32)   imports of the module `env`; exports start(), loop() and stop(). loop() is
 *       called every loop period and ends the container when it does not return 0.
 *   rBPF (clang -target bpf)              calls by number; one function, all others inlined into it, is run every loop
 *       period. What it returns is kept as the last result and ends nothing.
 *
 * open takes the id of an endpoint of the description and returns a descriptor (1 or more). read and write return the
 * number of bytes. What a part of the board gives and takes is in README.md.
 */

#include <stdint.h>

#if defined __wasm__

#define TCGW_INLINE static inline
#define TCGW_IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#define TCGW_EXPORT(name) __attribute__((export_name(#name)))

TCGW_IMPORT(logger) void tcgw_log(const char *text);
TCGW_IMPORT(open) int32_t tcgw_open(uint32_t endpoint);
TCGW_IMPORT(close) int32_t tcgw_close(int32_t descriptor);
TCGW_IMPORT(read) int32_t tcgw_read(int32_t descriptor, void *out, uint32_t size);
TCGW_IMPORT(write) int32_t tcgw_write(int32_t descriptor, const void *data, uint32_t size);

TCGW_EXPORT(start) void tcgw_start(void);
TCGW_EXPORT(loop) int32_t tcgw_loop(void);
TCGW_EXPORT(stop) void tcgw_stop(void);

/* Declares tcgw_data: before start() the agent puts the container's data part (at most max bytes) into bytes. An agent
 * that does not do this leaves size at 0. Needs the linker's --export-if-defined=tcgw_data. */
#define TCGW_DATA(max)                                                                                                 \
    struct {                                                                                                           \
        uint32_t capacity;                                                                                             \
        uint32_t size;                                                                                                 \
        uint8_t bytes[max];                                                                                            \
    } tcgw_data = {max, 0, {0}}

#elif defined __bpf__

#define TCGW_INLINE static inline __attribute__((always_inline)) /* rBPF has no calls within a program */

/* What the argument of the function points to; an agent of the field may pass NULL. */
struct tcgw_context {
    const uint8_t *data; /* the data part, read-only */
    uint32_t size;
    uint32_t reserved;
};

/* 0x70 is the log; the others are 0x70 and the number of the system call. */
static int64_t (*const tcgw_log_bytes)(const char *text, uint64_t size) = (void *)0x70;
static int64_t (*const tcgw_heartbeat)(void) = (void *)0x71;
static int64_t (*const tcgw_open)(uint64_t endpoint) = (void *)0x72;
static int64_t (*const tcgw_close)(int64_t descriptor) = (void *)0x73;
static int64_t (*const tcgw_read)(int64_t descriptor, void *out, uint64_t size) = (void *)0x74;
static int64_t (*const tcgw_write)(int64_t descriptor, const void *data, uint64_t size) = (void *)0x75;

#define tcgw_log(literal) tcgw_log_bytes(literal, sizeof(literal) - 1)

#else
#error "this header is for containers: clang --target=wasm32 or clang -target bpf"
#endif

/* Writes value in decimal, without a NUL, and returns where it ends; at most 10 bytes for 32 bits. long is as
 * wide as a register of either machine. */
TCGW_INLINE char *tcgw_put_unsigned(char *out, unsigned long value)
{
    unsigned long power = 1;

    while (value / power >= 10)
        power *= 10;
    for (; power > 0; power /= 10)
        *out++ = (char)('0' + value / power % 10);
    return out;
}

TCGW_INLINE char *tcgw_put_text(char *out, const char *text)
{
    while (*text)
        *out++ = *text++;
    return out;
}

#endif
