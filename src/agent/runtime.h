#ifndef TC_AGENT_RUNTIME_H
#define TC_AGENT_RUNTIME_H

#include "base/cleanup.h"
#include "tcgw/metadata.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Runs one container. A runtime is bounded in instructions and memory, calls out only through its host, and never
 * crashes on any code: what cannot be validated is refused by runtime_new, what misbehaves ends with RUNTIME_E_TRAP.
 */

/* What a container can reach. Each call returns a result for the container; negative is an error (-1). */
struct runtime_host {
    void *arg;
    void (*log)(void *arg, const char *text, size_t size);
    int32_t (*open)(void *arg, uint32_t endpoint);
    int32_t (*close)(void *arg, int32_t fd);
    int32_t (*read)(void *arg, int32_t fd, uint8_t *out, uint32_t size);
    int32_t (*write)(void *arg, int32_t fd, const uint8_t *data, uint32_t size);
    void (*heartbeat)(void *arg);
};

/* The two parts of a container. */
struct runtime_program {
    const void *code;
    size_t code_size;
    const void *data; /* not looked at when data_size is 0 */
    size_t data_size;
};

enum runtime_error {
    RUNTIME_E_INVALID = 1, /* the code does not validate; nothing ran */
    RUNTIME_E_TYPE,        /* there is no runtime for this type */
    RUNTIME_E_TRAP,        /* it did what it must not; reason says what */
    RUNTIME_E_FUEL,        /* it used up its fuel */
};

struct runtime;

/* Validates and instantiates. The program is copied; memory_bytes is the upper limit of a WebAssembly memory (rBPF
 * always has 512 bytes of stack). reason: at least 128 bytes. Returns 0, RUNTIME_E_INVALID, RUNTIME_E_TYPE or -ENOMEM.
 */
int runtime_new(struct runtime **out, enum container_type type, const struct runtime_program *program,
                const struct runtime_host *host, uint32_t memory_bytes, char *reason, size_t reason_size) must_check;
struct runtime *runtime_free(struct runtime *rt); /* returns NULL */

/* Each runs at most fuel instructions and returns 0, a positive runtime_error with reason filled in, or -ENOMEM. loop's
 * result: non-zero ends the container (WebAssembly); for rBPF the return value of the program, which never ends it.
 * start and stop do nothing in rBPF and where a module does not export them. */
int runtime_start(struct runtime *rt, uint64_t fuel, char *reason, size_t reason_size) must_check;
int runtime_loop(struct runtime *rt, uint64_t fuel, int64_t *result, char *reason, size_t reason_size) must_check;
int runtime_stop(struct runtime *rt, uint64_t fuel, char *reason, size_t reason_size) must_check;

#endif
