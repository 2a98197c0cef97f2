#include "agent/rbpf_vm.h"

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches the whole buffer that the program names, so that AddressSanitizer sees one that is too large. */
static int touch(struct rbpf_vm *vm, void *arg, const uint64_t arguments[RBPF_ARGUMENTS], int64_t *result)
{
    uint8_t *bytes = rbpf_vm_reach(vm, arguments[1], arguments[2], true);

    (void)arg;
    for (uint64_t i = 0; bytes && i < arguments[2]; i++)
        bytes[i] ^= (uint8_t)arguments[0];
    *result = (int64_t)arguments[2];
    return bytes ? 0 : 1;
}

/* What the verifier lets through runs within its memory and its fuel, whatever it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const rbpf_call table[] = {touch, touch, touch, touch, touch, touch};
    static const struct rbpf_calls calls = {.first = 0x70, .count = array_size(table), .table = table};
    cleanup_free uint8_t *context = calloc(1, 20);
    struct rbpf_vm *vm;
    char reason[128];
    int64_t result;

    if (!context || rbpf_vm_new(&vm, data, size, &calls, reason, sizeof reason))
        return 0;
    context[4] = RBPF_REGION_CONTEXT;
    context[0] = 16;
    context[8] = 4;
    for (int i = 0; i < 3; i++)
        (void)!rbpf_vm_run(vm, context, 20, 20000, &result, reason, sizeof reason);
    rbpf_vm_free(vm);
    return 0;
}
