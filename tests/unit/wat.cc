#include "wat.h"

#include <wabt/binary-reader.h>
#include <wabt/binary-writer.h>
#include <wabt/interp/binary-reader-interp.h>
#include <wabt/ir.h>
#include <wabt/resolve-names.h>
#include <wabt/stream.h>
#include <wabt/wast-lexer.h>
#include <wabt/wast-parser.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

using namespace wabt;

uint8_t *wat_compile(const char *text, size_t *size)
{
    Errors errors;
    Features features;
    std::unique_ptr<Module> module;
    auto lexer = WastLexer::CreateBufferLexer("test.wat", text, strlen(text), &errors);
    MemoryStream stream;

    features.EnableAll();
    WastParseOptions options(features);
    if (Failed(ParseWatModule(lexer.get(), &module, &errors, &options)) ||
        Failed(WriteBinaryModule(&stream, module.get(), WriteBinaryOptions(features, true, false, false)))) {
        fprintf(stderr, "%s: %s\n", text, errors.empty() ? "cannot be written" : errors[0].message.c_str());
        abort();
    }
    const auto &bytes = stream.output_buffer().data;
    auto *copy = static_cast<uint8_t *>(malloc(bytes.size()));

    memcpy(copy, bytes.data(), bytes.size());
    *size = bytes.size();
    return copy;
}

bool wat_is_valid(const void *module, size_t size)
{
    Errors errors;
    Features features;
    interp::ModuleDesc desc;

    features.disable_simd();
    features.disable_multi_value();
    features.disable_reference_types();
    features.disable_bulk_memory();
    return Succeeded(interp::ReadBinaryInterp("test", module, size,
                                              ReadBinaryOptions(features, nullptr, false, true, true), &errors, &desc));
}
