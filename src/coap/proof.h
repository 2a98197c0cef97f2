#ifndef TC_COAP_PROOF_H
#define TC_COAP_PROOF_H

#include "base/cleanup.h"
#include "tcgw/oscore.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Values that the gateway hands to a device and knows again without having stored them: they prove that a request was
 * made after the value was given. Good for PROOF_LIFETIME_MS, and not over a restart.
 */

#define PROOF_SIZE OSCORE_R2_SIZE
#define PROOF_LIFETIME_MS 60000 /* at least; at most twice that for proof_of_renewal */

struct proof {
    uint8_t key[32]; /* random, per start */
    uint32_t given;  /* counts values of proof_of_renewal, of which no two are the same */
};

int proof_init(struct proof *proof) must_check; /* negative errno */
void proof_wipe(struct proof *proof);

/* Echo values (RFC 9175 section 2): the time and a MAC over it and the credential's number. now_ms is monotonic. False
 * when the library fails. */
bool proof_make_echo(const struct proof *proof, int64_t now_ms, uint64_t number, uint8_t out[PROOF_SIZE]) must_check;
bool proof_check_echo(const struct proof *proof, int64_t now_ms, uint64_t number, const void *value,
                      size_t size) must_check;

/*
 * R2 of RFC 8613 Appendix B.2: a counter and a MAC over it, the time, the credential's number and its ID Context
 * (NULL: none). So it is unique, cannot be foretold, and is worth nothing once the credential has another ID Context:
 * a second request of a run that was completed is not taken again.
 */
struct proof_subject {
    uint64_t number;
    const void *id_context;
    size_t id_context_size;
};
bool proof_make_r2(struct proof *proof, int64_t now_ms, const struct proof_subject *subject,
                   uint8_t out[PROOF_SIZE]) must_check;
/* Whether `value` begins with one. */
bool proof_check_r2(const struct proof *proof, int64_t now_ms, const struct proof_subject *subject, const void *value,
                    size_t size) must_check;

#endif
