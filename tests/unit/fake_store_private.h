#ifndef TC_TESTS_FAKE_STORE_PRIVATE_H
#define TC_TESTS_FAKE_STORE_PRIVATE_H

#include "base/list.h"
#include "fake_store.h"
#include "tcgw/oscore.h"

#include <stdbool.h>
#include <uthash.h>

/* The disk of the store in memory: its rows, and the changes of a batch (internal to fake_store*.c). */

enum kind {
    DEVICE,
    ARTIFACT,
    CONTAINER,
    OPERATION,
    ANSWER,
    META,
    CREDENTIAL,
    CONTEXT,
    SHADOW,
    JOURNAL,
    CURSOR,
    REGISTRATION,
    GROUP,
    REPRESENTATION,
    DEAD_LETTER,
    DOCUMENT,
    SEQUENCE,
    KIND_COUNT
};

#define KEY_SIZE 400

/* A row of any kind: its struct with strings of its own. */
struct row {
    char key[KEY_SIZE];
    enum kind kind;
    union {
        struct store_device device;
        struct store_artifact artifact;
        struct store_container container;
        struct store_operation operation;
        struct store_answer answer;
        struct store_meta meta;
        struct store_credential credential;
        struct store_context context;
        struct store_shadow shadow;
        struct store_journal journal;
        struct store_cursor cursor;
        struct store_registration registration;
        struct store_group group;
        struct store_representation representation;
        struct store_dead_letter dead_letter;
        struct store_document document;
        struct store_sequence sequence;
    };
    struct store_blobs blobs;
    UT_hash_handle hh;
};

/* A change: a row to put, or a key to delete. */
struct change {
    struct list node;
    bool put;
    bool before; /* delete answers made before `created` */
    int64_t created;
    /* Edits the credential of the key, or with an empty key each of them, with what follows. */
    void (*edit)(struct store_credential *row, const struct change *change);
    uint64_t number;
    struct oscore_window window;
    char *text, *other_text;
    struct row *row;
    char key[KEY_SIZE];
};

struct store_batch {
    struct list node, changes;
    store_done_fn done;
    void *arg;
    int result;
};

extern struct row *fake_disk[KIND_COUNT];

/* A row's key; valid until the next call. */
const char *fake_key(enum kind kind, const char *first, const char *second);
const char *fake_number_key(enum kind kind, const char *first, uint64_t number);

struct change *fake_change_new(struct store_batch *batch, const char *key);
/* Takes a row whose strings are the caller's. */
struct row *fake_put(struct store_batch *batch, const struct row *from, const char *key);
void fake_change_free(struct change *change);
/* What the change says becomes true on the disk. */
void fake_apply(struct change *change);
void fake_drop(enum kind kind, struct row *row);
void *fake_copy(const void *data, size_t size); /* NULL stays NULL */

#endif
