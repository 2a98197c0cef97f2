#ifndef TCGW_OSCORE_H
#define TCGW_OSCORE_H

#include "tcgw/coapmsg.h"

/*
 * OSCORE (RFC 8613): protects CoAP messages end to end. No I/O and no clock: messages in, messages and a status out.
 * An object is used by one thread at a time; nothing is shared behind the caller's back. Secrets are wiped when freed.
 */

#define OSCORE_ID_MAX 7          /* bytes of a Sender or Recipient ID: nonce length - 6 (section 3.3) */
#define OSCORE_ID_CONTEXT_MAX 32 /* bytes of an ID Context */
#define OSCORE_SECRET_MAX 64     /* bytes of a Master Secret */
#define OSCORE_SALT_MAX 32       /* bytes of a Master Salt */
#define OSCORE_PIV_MAX 5
#define OSCORE_NONCE_MAX 13
/* The kid context may be wrapped as a CBOR byte string, with a head of at most 2 bytes. */
#define OSCORE_OPTION_MAX (1 + OSCORE_PIV_MAX + 1 + 2 + OSCORE_ID_CONTEXT_MAX + OSCORE_ID_MAX)
#define OSCORE_SEQUENCE_END (UINT64_C(1) << 40) /* the first number that can no longer be used */
#define OSCORE_WINDOW 32
#define OSCORE_OVERHEAD 96 /* a protected message is at most this much longer than the plain one */

/* COSE algorithm numbers. */
enum oscore_algorithm {
    OSCORE_AES_GCM_128 = 1,
    OSCORE_AES_CCM_16_64_128 = 10, /* mandatory, the default */
    OSCORE_CHACHA20_POLY1305 = 24,
    OSCORE_AES_CCM_16_128_128 = 30,
};

/* Positive results. Those that answer a request name the code of section 8.2 (oscore_error_code). */
enum oscore_error {
    OSCORE_E_OPTION = 1,   /* the option or the outer message is malformed: 4.02 */
    OSCORE_E_CONTEXT,      /* no context for this kid and kid context: 4.01 */
    OSCORE_E_REPLAY,       /* 4.01 */
    OSCORE_E_DECRYPT,      /* 4.00 */
    OSCORE_E_INNER,        /* authentic, but the plaintext is no CoAP message, or holds a nested OSCORE option: 4.00 */
    OSCORE_UNSYNCHRONIZED, /* authentic, but the window is not known: ask for an Echo (Appendix B.1.2). The message and
                              the binding were filled in; nothing of it may take effect yet */
    OSCORE_E_UNPROTECTED,  /* the response has no OSCORE option: at most a hint */
    OSCORE_E_STALE,        /* a notification that is not newer than the last one (section 7.4.1) */
    OSCORE_E_RESERVE,      /* no sequence number below the limit is left: raise it (Appendix B.1.1) */
    OSCORE_E_EXHAUSTED,    /* all 2^40 sequence numbers were used: the context must be replaced */
    OSCORE_E_LIMIT,        /* the message does not fit the buffer or the model */
    OSCORE_E_CRYPTO,       /* the library failed or memory is short; nothing was sent or accepted */
};

/* "replay detected": static text. */
const char *oscore_error_text(int error);
/* The code of the unprotected error response of a server, 0 where there is none to send. */
uint8_t oscore_error_code(int error);

/* The inputs of a security context (section 3.2). */
struct oscore_credentials {
    enum oscore_algorithm algorithm;
    uint8_t secret_size, salt_size, sender_id_size, recipient_id_size, id_context_size;
    bool has_id_context; /* an empty ID Context is not the same as none */
    uint8_t secret[OSCORE_SECRET_MAX], salt[OSCORE_SALT_MAX];
    uint8_t sender_id[OSCORE_ID_MAX], recipient_id[OSCORE_ID_MAX];
    uint8_t id_context[OSCORE_ID_CONTEXT_MAX];
};

/* NULL when the lengths and the algorithm are valid, else a static sentence. */
const char *oscore_credentials_check(const struct oscore_credentials *credentials);

/* The cryptographic library's objects: fetched algorithms and a bounded number of keyed ciphers, shared by contexts.
 * Freed after all of them. */
struct oscore_crypto;
/* keys: how many keyed ciphers are kept (about 1 KiB each), at least 2. Negative errno. */
int oscore_crypto_new(struct oscore_crypto **out, unsigned keys) __attribute__((warn_unused_result));
struct oscore_crypto *oscore_crypto_free(struct oscore_crypto *crypto); /* NULL is fine; returns NULL */

/* Contexts -------------------------------------------------------------------------------------------------------- */

struct oscore_context;

/* Derives a context (section 3.2.1). It has no sequence numbers to use (oscore_context_set_sequence), and its window is
 * unknown. Returns 0, OSCORE_E_CRYPTO, or OSCORE_E_OPTION for credentials that oscore_credentials_check refuses. */
int oscore_context_new(struct oscore_context **out, struct oscore_crypto *crypto,
                       const struct oscore_credentials *credentials, void *owner) __attribute__((warn_unused_result));
/* The same secret, salt and ids with another ID Context (Appendix B.2). */
int oscore_context_rederive(struct oscore_context **out, const struct oscore_context *from, const void *id_context,
                            size_t size, void *owner) __attribute__((warn_unused_result));
struct oscore_context *oscore_context_free(struct oscore_context *context); /* wipes; NULL is fine; returns NULL */

void *oscore_context_owner(const struct oscore_context *context);
/* Its inputs; good until it is freed. */
const struct oscore_credentials *oscore_context_credentials(const struct oscore_context *context);

/* The next number is `next`; those from `limit` on may not be used before the limit is raised. Numbers never go back:
 * returns false, changing nothing, when next is below the present one. */
bool oscore_context_set_sequence(struct oscore_context *context, uint64_t next, uint64_t limit);
uint64_t oscore_context_sequence(const struct oscore_context *context);      /* the next number */
uint64_t oscore_context_sequence_left(const struct oscore_context *context); /* below the limit */

/* The replay window (section 7.4): bit n of seen: highest - n was accepted. Nothing seen: highest 0, seen 0. */
struct oscore_window {
    bool known;
    uint64_t highest;
    uint32_t seen;
};
void oscore_context_get_window(const struct oscore_context *context, struct oscore_window *out);
void oscore_context_set_window(struct oscore_context *context, const struct oscore_window *window);

/* The table of contexts by Recipient ID and ID Context; constant time. It owns nothing; a context is removed before it
 * is freed, and is in one registry at a time. A context that has an ID Context is found with it and, for peers that
 * leave it out, without it. */
struct oscore_registry;
int oscore_registry_new(struct oscore_registry **out) __attribute__((warn_unused_result));
struct oscore_registry *oscore_registry_free(struct oscore_registry *registry);
int oscore_registry_add(struct oscore_registry *registry, struct oscore_context *context)
    __attribute__((warn_unused_result)); /* negative errno: -EEXIST when the pair is taken */
void oscore_registry_remove(struct oscore_registry *registry, struct oscore_context *context); /* if it is in it */
/* The first context that matches, then the next after `after`; NULL at the end. kid_context NULL: the message has
 * none. A caller tries a bounded number of them. */
struct oscore_context *oscore_registry_find(const struct oscore_registry *registry, const void *kid, size_t kid_size,
                                            const void *kid_context, size_t kid_context_size,
                                            const struct oscore_context *after);

/* Messages -------------------------------------------------------------------------------------------------------- */

/* The OSCORE option's value (section 6.1); pointers into it. */
struct oscore_option {
    const uint8_t *piv, *kid, *kid_context; /* NULL: absent */
    uint8_t piv_size, kid_size, kid_context_size;
};
/* 0 or OSCORE_E_OPTION. An empty value is flag byte 0. */
int oscore_option_decode(struct oscore_option *out, const void *value, size_t size) __attribute__((warn_unused_result));
/* Writes at most OSCORE_OPTION_MAX bytes; returns their number. */
size_t oscore_option_encode(const struct oscore_option *option, uint8_t out[OSCORE_OPTION_MAX]);
/* The option of a message; 0, OSCORE_E_OPTION (malformed, repeated, no payload), or OSCORE_E_UNPROTECTED. */
int oscore_message_option(const struct coapmsg *outer, struct oscore_option *out) __attribute__((warn_unused_result));

/* What ties a response to its request (section 5.4): kept by both sides from request to last response. */
struct oscore_binding {
    uint8_t kid[OSCORE_ID_MAX], kid_size;
    uint8_t piv[OSCORE_PIV_MAX], piv_size;
    uint8_t nonce[OSCORE_NONCE_MAX]; /* the request's, also for the response of a context that was derived since
                                        (Appendix B.2) */
    bool has_nonce;
    bool nonce_used;   /* server: the request's nonce protected a response already; the next has its own PIV */
    bool observe;      /* the request has Observe 0 */
    bool notified;     /* client: a response to such a request was accepted */
    uint64_t next_piv; /* client: numbers below are not newer than the last notification */
};

#define OSCORE_R2_SIZE 12 /* with R2 and the ID Context that it made before, R2 || ID1 still fits an ID Context */

enum oscore_flags {
    OSCORE_WITH_KID_CONTEXT = 1,    /* the message carries the ID Context, if there is one */
    OSCORE_WITH_PIV = 2,            /* the response carries a Partial IV of its own */
    OSCORE_KID_CONTEXT_WRAPPED = 4, /* as a CBOR byte string (Appendix B.2) */
    OSCORE_KID_CONTEXT_R2 = 8,      /* only its first OSCORE_R2_SIZE bytes: what a server says in Appendix B.2 */
};

/*
 * All four: `to` is made anew and points into `buffer` (and into nothing else but the message's token); type, message
 * ID and token are those of `from`. The buffer overlaps nothing that `from` points to. OSCORE_OVERHEAD bytes more than
 * coapmsg_size(from) are enough to protect a message (but for a Proxy-Uri of very many parts), and as many as the
 * datagram has to unprotect one. Messages of up to 65,000 bytes. 0 or a positive oscore_error.
 */

/* `from` is the whole plain request; Proxy-Uri is split (section 4.1.3.3). Fills in the binding. OSCORE_E_OPTION: it is
 * no request, has an OSCORE option already, or an Observe or a Proxy-Uri that is malformed. */
int oscore_protect_request(struct oscore_context *context, const struct coapmsg *from, unsigned flags,
                           struct oscore_binding *binding, struct coapmsg *to, uint8_t *buffer, size_t size)
    __attribute__((warn_unused_result));
/* `option` is that of oscore_message_option. Moves the window only when the message is authentic and new. What stands
 * outside and ought to be protected is dropped; Uri-Host, Uri-Port, Proxy-Scheme, Proxy-Uri and Hop-Limit are taken
 * from outside, where there is none inside. */
int oscore_unprotect_request(struct oscore_context *context, const struct coapmsg *from,
                             const struct oscore_option *option, struct oscore_binding *binding, struct coapmsg *to,
                             uint8_t *buffer, size_t size) __attribute__((warn_unused_result));
/* A notification, and whatever follows a first response, gets a Partial IV of its own without being asked for; so there
 * must be one binding per request, not copies of it. */
int oscore_protect_response(struct oscore_context *context, struct oscore_binding *binding, const struct coapmsg *from,
                            unsigned flags, struct coapmsg *to, uint8_t *buffer, size_t size)
    __attribute__((warn_unused_result));
/* Orders notifications by binding, and puts the end of their Partial IV into Observe; a failure changes nothing, so
 * that an observation goes on. */
int oscore_unprotect_response(struct oscore_context *context, struct oscore_binding *binding,
                              const struct coapmsg *from, struct coapmsg *to, uint8_t *buffer, size_t size)
    __attribute__((warn_unused_result));

/* After OSCORE_UNSYNCHRONIZED and a verified Echo in that same request: the window begins at its number. */
void oscore_context_synchronize(struct oscore_context *context, const struct oscore_binding *binding);

#endif
