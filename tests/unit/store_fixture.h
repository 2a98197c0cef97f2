#ifndef TC_TESTS_STORE_FIXTURE_H
#define TC_TESTS_STORE_FIXTURE_H

#include "store/store.h"

#include <limits.h>

/* What the tests of the store share: a temporary state directory and a store on it. */
struct fixture {
    char directory[PATH_MAX / 2];
    struct store *store;
};

void fixture_setup(struct fixture *f);    /* makes the directory */
void fixture_teardown(struct fixture *f); /* closes the store, removes the directory with all that is in it */
void fixture_open(struct fixture *f);     /* must succeed */
void fixture_close(struct fixture *f);
/* Closes and opens again. */
void fixture_reopen(struct fixture *f);
/* The path of a file in the directory, good until the next call but three. */
const char *fixture_path(const struct fixture *f, const char *name);
/* Writes a file into the directory and returns its path. */
const char *fixture_write(const struct fixture *f, const char *name, const void *data, size_t size);
/* SHA-256 of a file in hex, of its path when it cannot be read; "" for NULL. Good until the next call but three. */
const char *fixture_digest(const char *path);
/* Submits, waits, and returns the result. */
int fixture_commit(struct fixture *f, struct store_batch *batch);
/* What a statement's first row and column say in the closed or open database, as text. */
const char *fixture_query(const struct fixture *f, const char *sql);

/* How many rows of each kind the store holds. */
struct fixture_count {
    int devices, artifacts, containers, operations, answers;
};
struct fixture_count fixture_count(struct fixture *f);

/* Rows with plausible values for what the test does not care about. */
struct store_device fixture_device(const char *id);
struct store_container fixture_container(const char *device, const char *uid);
struct store_operation fixture_operation(const char *id, const char *device);

#endif
