#include "agent/wasm_vm.h"

#include <wabt/binary-reader.h>
#include <wabt/error-formatter.h>
#include <wabt/interp/binary-reader-interp.h>
#include <wabt/interp/interp.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

extern "C" {
#include "codec/wasm.h"
}

using namespace wabt::interp;

/*
 * The interpreter's own way to call a function runs until it returns. What it needs to run a bounded number of
 * instructions is private; an explicit instantiation may name private members, and hands them out here.
 */
template <auto Push, auto Pop, auto Stack> struct thread_access {
    friend RunResult push_call(Thread &thread, const DefinedFunc &func, Trap::Ptr *trap)
    {
        return (thread.*Push)(func, trap);
    }
    friend void pop_values(Thread &thread, const ValueTypes &types, Values *values)
    {
        (thread.*Pop)(types, values);
    }
    friend size_t stack_size(const Thread &thread)
    {
        return (thread.*Stack).size();
    }
};

RunResult push_call(Thread &thread, const DefinedFunc &func, Trap::Ptr *trap);
void pop_values(Thread &thread, const ValueTypes &types, Values *values);
size_t stack_size(const Thread &thread);

template struct thread_access<static_cast<RunResult (Thread::*)(const DefinedFunc &, Trap::Ptr *)>(&Thread::PushCall),
                              &Thread::PopValues, &Thread::values_>;

/* Instructions between two looks at the value stack; one of them can add WASM_MAX_LOCALS values at most. */
static constexpr uint64_t run_length = 256;
static constexpr size_t max_values = 65536;

static constexpr uint64_t page_size = 65536;

struct wasm_vm {
    Store store;
    Instance::Ptr instance;
    Memory::Ptr memory;             /* empty where the module has none */
    std::unique_ptr<Thread> thread; /* kept between calls: it comes with large stacks */
    const runtime_host *host = nullptr;

    explicit wasm_vm(const wabt::Features &features) : store(features)
    {
    }
};

static int complain(char *reason, size_t reason_size, int error, const std::string &text)
{
    (void)snprintf(reason, reason_size, "%s", text.c_str());
    return error;
}

/* WebAssembly 1.0 with what clang emits beyond it by default; the fewer features, the less of the library is reached.
 */
static wabt::Features features()
{
    wabt::Features f;

    f.disable_simd();
    f.disable_multi_value();
    f.disable_reference_types();
    f.disable_bulk_memory();
    return f;
}

/* Memory of the module ----------------------------------------------------- */

/* The bytes at an address of the module, nullptr when they are not all in its memory. */
static uint8_t *reach(const wasm_vm &vm, uint32_t address, uint32_t size)
{
    if (vm.memory.empty() || uint64_t(address) + size > vm.memory->ByteSize())
        return nullptr;
    return vm.memory->UnsafeData() + address;
}

static uint32_t load_u32(const uint8_t *p)
{
    return uint32_t(p[0]) | uint32_t(p[1]) << 8 | uint32_t(p[2]) << 16 | uint32_t(p[3]) << 24;
}

static void store_u32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = uint8_t(value >> 8 * i);
}

/* Imports ------------------------------------------------------------------ */

static wabt::Result fail(wasm_vm &vm, Trap::Ptr *trap, const char *what)
{
    *trap = Trap::New(vm.store, what);
    return wabt::Result::Error;
}

static wabt::Result call_logger(wasm_vm &vm, const Values &params, Values &, Trap::Ptr *trap)
{
    uint32_t address = params[0].Get<u32>();
    uint64_t left = vm.memory.empty() || address > vm.memory->ByteSize() ? 0 : vm.memory->ByteSize() - address;
    uint32_t limit = uint32_t(std::min<uint64_t>(left, WASM_LOG_MAX));
    const uint8_t *text = limit ? reach(vm, address, limit) : nullptr;
    size_t length = text ? strnlen(reinterpret_cast<const char *>(text), limit) : 0;

    if (!text || (length == limit && limit < WASM_LOG_MAX))
        return fail(vm, trap, "logger() was given a text outside of the memory");
    vm.host->log(vm.host->arg, reinterpret_cast<const char *>(text), length);
    return wabt::Result::Ok;
}

static wabt::Result call_open(wasm_vm &vm, const Values &params, Values &results, Trap::Ptr *)
{
    results[0] = Value::Make(s32(vm.host->open(vm.host->arg, params[0].Get<u32>())));
    return wabt::Result::Ok;
}

static wabt::Result call_close(wasm_vm &vm, const Values &params, Values &results, Trap::Ptr *)
{
    results[0] = Value::Make(s32(vm.host->close(vm.host->arg, params[0].Get<s32>())));
    return wabt::Result::Ok;
}

static wabt::Result call_read(wasm_vm &vm, const Values &params, Values &results, Trap::Ptr *trap)
{
    uint32_t size = params[2].Get<u32>();
    uint8_t *bytes = reach(vm, params[1].Get<u32>(), size);

    if (!bytes)
        return fail(vm, trap, "read() was given a buffer outside of the memory");
    results[0] = Value::Make(s32(vm.host->read(vm.host->arg, params[0].Get<s32>(), bytes, size)));
    return wabt::Result::Ok;
}

static wabt::Result call_write(wasm_vm &vm, const Values &params, Values &results, Trap::Ptr *trap)
{
    uint32_t size = params[2].Get<u32>();
    const uint8_t *bytes = reach(vm, params[1].Get<u32>(), size);

    if (!bytes)
        return fail(vm, trap, "write() was given a buffer outside of the memory");
    results[0] = Value::Make(s32(vm.host->write(vm.host->arg, params[0].Get<s32>(), bytes, size)));
    return wabt::Result::Ok;
}

static const struct {
    const char *name;
    wabt::Result (*call)(wasm_vm &vm, const Values &params, Values &results, Trap::Ptr *trap);
} imports[] = {
    {"logger", call_logger}, {"open", call_open}, {"close", call_close}, {"read", call_read}, {"write", call_write},
};

/* wasm_check has seen to it that every import is one of the table, with its type. */
static RefVec bind_imports(wasm_vm &vm, const ModuleDesc &desc)
{
    RefVec bound;

    for (const ImportDesc &import : desc.imports)
        for (const auto &known : imports)
            if (import.type.name == known.name)
                bound.push_back(
                    HostFunc::New(vm.store, *wabt::cast<FuncType>(import.type.type.get()),
                                  [&vm, call = known.call](Thread &, const Values &params, Values &results,
                                                           Trap::Ptr *trap) { return call(vm, params, results, trap); })
                        .ref());
    return bound;
}

/* Construction ------------------------------------------------------------- */

/* Drops the custom sections (names, producers, ...), which the library would try to read. The module is well-formed. */
static std::vector<uint8_t> without_custom_sections(const uint8_t *code, size_t size)
{
    std::vector<uint8_t> kept(code, code + 8);

    for (size_t at = 8, begin = at; at < size; begin = at) {
        uint32_t length = 0;
        unsigned shift = 0;

        do
            length |= uint32_t(code[++at] & 0x7f) << shift;
        while (shift += 7, code[at] & 0x80);
        at += 1 + size_t(length);
        if (code[begin] != 0)
            kept.insert(kept.end(), code + begin, code + at);
    }
    return kept;
}

/* Keeps the memory of the module within memory_bytes, now and when it grows. */
static int limit_memory(ModuleDesc &desc, uint32_t memory_bytes, char *reason, size_t reason_size)
{
    uint64_t pages = memory_bytes / page_size;

    for (MemoryDesc &memory : desc.memories) {
        wabt::Limits &limits = memory.type.limits;

        if (limits.initial > pages)
            return complain(reason, reason_size, RUNTIME_E_INVALID,
                            "the module wants " + std::to_string(limits.initial) +
                                " pages of memory of 64 KiB; this agent gives " + std::to_string(pages));
        limits.max = limits.has_max ? std::min(limits.max, pages) : pages;
        limits.has_max = true;
    }
    return 0;
}

static int read_module(ModuleDesc *desc, const runtime_program &program, uint32_t memory_bytes, char *reason,
                       size_t reason_size)
{
    wabt::ReadBinaryOptions options(features(), nullptr, false, true, true);
    wabt::Errors errors;
    std::vector<uint8_t> module;

    if (wasm_check(program.code, program.code_size, nullptr, reason, reason_size))
        return RUNTIME_E_INVALID;
    module = without_custom_sections(static_cast<const uint8_t *>(program.code), program.code_size);
    if (wabt::Failed(ReadBinaryInterp("module", module.data(), module.size(), options, &errors, desc)))
        return complain(reason, reason_size, RUNTIME_E_INVALID,
                        "the module does not validate: " + (errors.empty() ? "" : errors[0].message));
    return limit_memory(*desc, memory_bytes, reason, reason_size);
}

/* An exported object as T, empty when there is none of this name and kind. */
template <typename T> static RefPtr<T> find_export(wasm_vm &vm, const char *name, wabt::ExternalKind kind)
{
    Module::Ptr module(vm.store, vm.instance->module());
    const auto &exports = module->desc().exports;

    for (size_t i = 0; i < exports.size(); i++)
        if (exports[i].type.name == name && exports[i].type.type->kind == kind)
            return RefPtr<T>(vm.store, vm.instance->exports()[i]);
    return RefPtr<T>();
}

/* struct { uint32_t capacity; uint32_t size; uint8_t bytes[capacity]; } tcgw_data in the memory of the module. */
static int give_data(wasm_vm &vm, const void *data, size_t size, char *reason, size_t reason_size)
{
    Global::Ptr where = find_export<Global>(vm, "tcgw_data", wabt::ExternalKind::Global);
    uint32_t address, capacity;
    uint8_t *header;

    if (where.empty() || where->type().type != ValueType::I32)
        return 0;
    address = where->Get().Get<u32>();
    header = reach(vm, address, 8);
    capacity = header ? load_u32(header) : 0;
    if (!header || capacity > UINT32_MAX - 8 || !reach(vm, address, 8 + capacity))
        return complain(reason, reason_size, RUNTIME_E_INVALID, "tcgw_data lies outside of the module's memory");
    if (size > capacity)
        return complain(reason, reason_size, RUNTIME_E_INVALID,
                        "the data part has " + std::to_string(size) + " bytes; the module's tcgw_data takes " +
                            std::to_string(capacity));
    store_u32(header + 4, uint32_t(size));
    if (size)
        memcpy(header + 8, data, size);
    return 0;
}

static int instantiate(wasm_vm &vm, ModuleDesc desc, char *reason, size_t reason_size)
{
    RefVec bound = bind_imports(vm, desc);
    Module::Ptr module = Module::New(vm.store, std::move(desc));
    Trap::Ptr trap;

    vm.instance = Instance::Instantiate(vm.store, module.ref(), bound, &trap);
    if (!vm.instance)
        return complain(reason, reason_size, RUNTIME_E_INVALID,
                        "the module cannot be instantiated: " + (trap ? trap->message() : ""));
    if (!vm.instance->memories().empty())
        vm.memory = Memory::Ptr(vm.store, vm.instance->memories()[0]);
    return 0;
}

int wasm_vm_new(struct wasm_vm **out, const struct runtime_program *program, const struct runtime_host *host,
                uint32_t memory_bytes, char *reason, size_t reason_size)
try {
    auto vm = std::make_unique<wasm_vm>(features());
    ModuleDesc desc;
    int r = read_module(&desc, *program, memory_bytes, reason, reason_size);

    vm->host = host;
    if (r == 0)
        r = instantiate(*vm, std::move(desc), reason, reason_size);
    if (r == 0)
        r = give_data(*vm, program->data, program->data_size, reason, reason_size);
    if (r == 0)
        *out = vm.release();
    return r;
} catch (const std::exception &) {
    return -ENOMEM;
}

struct wasm_vm *wasm_vm_free(struct wasm_vm *vm)
{
    delete vm;
    return nullptr;
}

/* Calls ---------------------------------------------------------------------- */

static int run(Thread &thread, uint64_t fuel, Trap::Ptr *trap, char *reason, size_t reason_size)
{
    while (fuel > 0) {
        uint64_t steps = std::min(fuel, run_length);

        switch (thread.Run(int(steps), trap)) {
        case RunResult::Return:
            return 0;
        case RunResult::Ok:
            break;
        default:
            return complain(reason, reason_size, RUNTIME_E_TRAP, *trap ? (*trap)->message() : "it failed");
        }
        if (stack_size(thread) > max_values)
            return complain(reason, reason_size, RUNTIME_E_TRAP, "value stack exhausted");
        fuel -= steps;
    }
    return complain(reason, reason_size, RUNTIME_E_FUEL, "it used up its instructions");
}

static int call(wasm_vm &vm, const DefinedFunc &func, uint64_t fuel, int64_t *result, char *reason, size_t reason_size)
{
    Trap::Ptr trap;
    Values values;
    int r;

    if (push_call(*vm.thread, func, &trap) != RunResult::Ok)
        return complain(reason, reason_size, RUNTIME_E_TRAP, trap ? trap->message() : "it cannot be called");
    r = run(*vm.thread, fuel, &trap, reason, reason_size);
    if (r)
        return r;
    pop_values(*vm.thread, func.type().results, &values);
    if (!values.empty())
        *result = values[0].Get<s32>();
    return 0;
}

int wasm_vm_call(struct wasm_vm *vm, const char *name, uint64_t fuel, int64_t *result, char *reason, size_t reason_size)
try {
    DefinedFunc::Ptr func = find_export<DefinedFunc>(*vm, name, wabt::ExternalKind::Func);
    int r;

    *result = 0;
    if (func.empty())
        return 0;
    if (!vm->thread)
        vm->thread = std::make_unique<Thread>(vm->store);
    r = call(*vm, *func, fuel, result, reason, reason_size);
    if (r)
        vm->thread.reset(); /* it stopped in the middle */
    return r;
} catch (const std::exception &) {
    vm->thread.reset();
    return -ENOMEM;
}
