#ifndef TC_STORE_CHORE_PRIVATE_H
#define TC_STORE_CHORE_PRIVATE_H

#include "base/buffer.h"
#include "store/store_private.h"

/* Shared by chore.c and backup.c. */

struct chore {
    struct job job;
    struct store *store;
    pthread_t thread;
    bool joined;
    sqlite3 *db;                       /* reads only */
    int (*run)(struct chore *chore);   /* on its thread */
    void (*tell)(struct chore *chore); /* on the loop's thread; what it takes of path and text it sets to NULL */
    int result;
    char *path; /* of a file that was made */
    uint64_t size;
    char *text;
    void (*done)(void); /* of the type that tell knows */
    void *arg;
};

/* 0 or negative errno: nothing will be told then. */
int chore_start(struct store *store, int (*run)(struct chore *chore), void (*tell)(struct chore *chore),
                void (*done)(void), void *arg) must_check;

extern const char *const backup_members[7]; /* files of the state directory, and NULL */

#endif
