#ifndef TC_CODEC_PEMFILE_H
#define TC_CODEC_PEMFILE_H

#include "base/cleanup.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

/* Files with one key or certificate as PEM text. */

#define PEMFILE_MAX 8192 /* a private key with comments around it */

/* Writes a sentence that begins with the file's name, and returns 1. */
printf_like(4, 5) int pemfile_refuse(const char *path, char *reason, size_t reason_size, const char *format, ...);

/* Reads a file and ends it with a NUL. A secret one must be readable by nobody but its owner. Returns 0, or 1 with a
 * sentence in reason that names the file and what to do. */
must_check int pemfile_read(const char *path, bool secret, char text[PEMFILE_MAX + 1], char *reason,
                            size_t reason_size);

/* Makes a file, with mode 0600 if it is secret and else 0644: complete or not at all, on the disk when this returns,
 * and never in the place of one that is there. False with errno, which is EEXIST in that case. */
must_check bool pemfile_create(const char *path, bool secret, const char *text);

/* The same for a private key (PKCS #8 without passphrase). The caller frees *key. */
must_check int pemfile_read_key(EVP_PKEY **key, const char *path, char *reason, size_t reason_size);
must_check bool pemfile_create_key(const EVP_PKEY *key, const char *path);

#endif
