#ifndef TEST_WAT_H
#define TEST_WAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a WebAssembly module of its text form, without validating it, so that tests can have invalid ones. The caller
 * frees it. Ends the process with a message when the text cannot be parsed. */
uint8_t *wat_compile(const char *text, size_t *size);

/* Whether the library would run a module: WebAssembly 1.0 with sign extensions and conversions that saturate. */
bool wat_is_valid(const void *module, size_t size);

#ifdef __cplusplus
}
#endif

#endif
