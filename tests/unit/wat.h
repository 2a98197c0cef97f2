#ifndef TEST_WAT_H
#define TEST_WAT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a WebAssembly module of its text form, without validating it, so that tests can have invalid ones. The caller
 * frees it. Ends the process with a message when the text cannot be parsed. */
uint8_t *wat_compile(const char *text, size_t *size);

#ifdef __cplusplus
}
#endif

#endif
