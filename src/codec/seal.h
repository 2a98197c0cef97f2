#ifndef TC_CODEC_SEAL_H
#define TC_CODEC_SEAL_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Secrets at rest: AES-256-GCM (NIST SP 800-38D) under a key of the gateway, with what the secret belongs to as
 * associated data, so that sealed bytes which were moved to another record do not open.
 */

#define SEAL_KEY_SIZE 32
#define SEAL_OVERHEAD (12 + 16) /* a random nonce in front, the tag behind */

/* Writes size + SEAL_OVERHEAD bytes to out. 0, or -EIO when the library or the randomness failed. */
int seal(const uint8_t key[SEAL_KEY_SIZE], const void *associated, size_t associated_size, const void *plain,
         size_t size, uint8_t *out) must_check;
/* Writes size - SEAL_OVERHEAD bytes to out. 0; 1: this was not sealed with that key and associated data, or is shorter
 * than SEAL_OVERHEAD (out is wiped); -EIO. */
int seal_open(const uint8_t key[SEAL_KEY_SIZE], const void *associated, size_t associated_size, const void *sealed,
              size_t size, uint8_t *out) must_check;

#define SEAL_PATH_MAX 4096

/*
 * The key: the systemd credential tcgw.sealing-key ($CREDENTIALS_DIRECTORY) if there is one, else the file `configured`
 * (empty: none), else the file credential-key in the state directory, which is made (random, mode 0600, on the disk
 * when this returns) when it is missing. A file has exactly 32 bytes, and nobody but its owner may use it. source
 * (SEAL_PATH_MAX bytes) says where the key is, for messages. Returns 0, or 1 with a sentence in reason (256 bytes are
 * enough for common paths; longer ones are cut) that says what to do.
 */
int seal_load_or_create_key(uint8_t key[SEAL_KEY_SIZE], const char *configured, const char *state_directory,
                            char *source, char *reason, size_t reason_size) must_check;

#endif
