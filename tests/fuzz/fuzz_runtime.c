#include "agent/runtime.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void host_log(void *arg, const char *text, size_t size)
{
    *(size_t *)arg += strnlen(text, size);
}

static int32_t host_open(void *arg, uint32_t endpoint)
{
    (void)arg;
    return (int32_t)endpoint;
}

static int32_t host_close(void *arg, int32_t fd)
{
    (void)arg;
    return fd;
}

static int32_t host_read(void *arg, int32_t fd, uint8_t *out, uint32_t size)
{
    (void)arg;
    memset(out, fd, size);
    return (int32_t)size;
}

static int32_t host_write(void *arg, int32_t fd, const uint8_t *data, uint32_t size)
{
    (void)fd;
    for (uint32_t i = 0; i < size; i++)
        *(size_t *)arg += data[i];
    return 0;
}

/* Whatever the module is, it is refused or runs within its fuel and memory. (rBPF has a fuzzer of its own.) */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t seen = 0;
    const struct runtime_host host = {&seen, host_log, host_open, host_close, host_read, host_write, NULL};
    const struct runtime_program program = {data, size, "data", 4};
    struct runtime *rt;
    char reason[128];
    int64_t result;

    if (runtime_new(&rt, CONTAINER_TYPE_WASM, &program, &host, 65536, reason, sizeof reason))
        return 0;
    (void)!runtime_start(rt, 20000, reason, sizeof reason);
    for (int i = 0; i < 3; i++)
        (void)!runtime_loop(rt, 20000, &result, reason, sizeof reason);
    (void)!runtime_stop(rt, 20000, reason, sizeof reason);
    runtime_free(rt);
    return 0;
}
