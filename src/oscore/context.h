#ifndef TC_OSCORE_CONTEXT_H
#define TC_OSCORE_CONTEXT_H

#include "oscore/crypto.h"

#include <uthash.h>

/* A Recipient ID with its length, as one number. */
typedef uint64_t context_kid;

/* Where a context with an ID Context is found: its kid, then its ID Context. */
struct context_pair {
    context_kid kid;
    uint8_t id_context[OSCORE_ID_CONTEXT_MAX];
};

struct registry_group;

/* A security context (section 3.1), and its place in a registry. */
struct oscore_context {
    struct oscore_credentials credentials;
    struct oscore_crypto *crypto;
    const struct crypto_aead *aead;
    void *owner;
    struct crypto_key sender, recipient;
    uint8_t common_iv[CRYPTO_NONCE_MAX];
    uint64_t sequence, limit; /* the next Sender Sequence Number, and the first that may not be used */
    struct oscore_window window;

    struct registry_group *group; /* NULL: in no registry */
    struct oscore_context *next, *prev;
    struct context_pair pair;
    UT_hash_handle hh; /* by pair */
};

/* Takes a Sender Sequence Number, which is then never used again: 0, OSCORE_E_RESERVE or OSCORE_E_EXHAUSTED. */
int context_take_number(struct oscore_context *context, uint64_t *number) must_check;

/* Whether a number may still be accepted (section 7.4); an unknown window refuses nothing. */
bool context_is_fresh(const struct oscore_context *context, uint64_t number);
/* Moves the window to a number that was fresh and has been authenticated; never backwards. */
void context_accept(struct oscore_context *context, uint64_t number);

/* The nonce (section 5.2) of the Partial IV that the endpoint `id` chose; out has CRYPTO_NONCE_MAX bytes. */
void context_nonce(const struct oscore_context *context, const uint8_t *id, size_t id_size, const uint8_t *piv,
                   size_t piv_size, uint8_t *out);

/* The Additional Authenticated Data (section 5.4) of a request and of its responses. */
#define CONTEXT_AAD_MAX 48
size_t context_aad(const struct oscore_context *context, const struct oscore_binding *request,
                   uint8_t out[CONTEXT_AAD_MAX]);

/* A Partial IV is the shortest big-endian form; zero takes one byte (section 5). */
uint8_t context_put_piv(uint8_t out[OSCORE_PIV_MAX], uint64_t number);
uint64_t context_get_piv(const uint8_t *piv, size_t size);

#endif
