#ifndef TC_CORE_TRUST_PRIVATE_H
#define TC_CORE_TRUST_PRIVATE_H

#include "core/trust.h"

#include "codec/cose.h"
#include "codec/release.h"

/* What publisher.c, release.c, policy.c, sequence.c and trust.c share. */

#define PUBLISHER_KEYS_MAX 8
#define KEY_ID_MAX 64 /* bytes of a kid */

struct publisher {
    const char *name; /* the document's key, once it is there */
    bool revoked;
    size_t key_count;
    struct publisher_key {
        uint8_t id[KEY_ID_MAX];
        size_t id_size;
        EVP_PKEY *key;
    } keys[PUBLISHER_KEYS_MAX];
    const json_t *artifacts;  /* patterns, the document's */
    struct selector *devices; /* NULL: all */
};

struct release {
    struct release_statement statement;
    uint8_t *signature; /* a COSE_Sign1; NULL: not signed */
    size_t signature_size;
    struct cose_sign1 message; /* views into it */
    /* What was found out last, and at which revision of the publishers. */
    unsigned checked_at;
    struct fault verdict;
    const struct publisher *publisher; /* good while checked_at is the present revision; NULL: none */
};

int publisher_parse(struct core *core, const char *name, json_t *body, void **object, struct fault *fault);
void publisher_free(void *publisher);
/* The key with this id, and whose it is; NULL: nobody's. */
EVP_PKEY *publisher_find_key(struct core *core, const uint8_t *id, size_t size, const struct publisher **publisher);

int release_parse_document(struct core *core, const char *key, json_t *body, void **object, struct fault *fault);
void release_free(void *release);
struct release *release_find(const struct core *core, const char *release); /* NULL: there is none */
bool release_holds(const struct release *release, const char *artifact);
/* Whose it is, and whether that may release it: 0; 1 with FAULT_SIGNATURE_INVALID, FAULT_PUBLISHER_UNKNOWN,
 * FAULT_PUBLISHER_REVOKED, FAULT_OUT_OF_SCOPE, and FAULT_UNSIGNED where a signature is required. The publisher's own
 * devices are not looked at. */
int release_verify(struct core *core, const char *key, struct release *release, struct fault *fault) must_check;

int policy_parse(struct core *core, const char *name, json_t *body, void **object, struct fault *fault);
void policy_free(void *policy);
/* publisher, name: of what is released; publisher NULL: nobody's. 0; 1 with FAULT_POLICY_DENIED. */
int policy_check(struct core *core, const struct device *device, const struct artifact *artifact, const char *publisher,
                 const char *name, struct fault *fault) must_check;

/* FAULT_ROLLBACK_REFUSED, FAULT_LIMIT_REACHED. */
int sequence_check(const struct device *device, const char *release, bool rollback, struct fault *fault) must_check;

/* For the table of documents: whoever is refused now may not be any more, or the other way round. */
void trust_changed(struct core *core, const char *name);
void publishers_changed(struct core *core, const char *name);

/* Patterns: "*" stands for any characters. */
#define PATTERNS_MAX 64
int patterns_check(const json_t *array, const char *pointer, struct fault *fault) must_check;
bool patterns_match(const json_t *array, const char *text);
/* Takes out a member that says what the path says already. 1 with FAULT_INVALID_FIELD when it says otherwise. */
int trust_take_name(json_t *body, const char *name, struct fault *fault) must_check;
/* {"name", and what the document has}; NULL: there is none. */
json_t *trust_document_json(const struct core *core, enum document_kind kind, const char *name);
json_t *trust_documents_json(struct core *core, enum document_kind kind);

#endif
