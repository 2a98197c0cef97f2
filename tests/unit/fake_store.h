#ifndef TC_TESTS_FAKE_STORE_H
#define TC_TESTS_FAKE_STORE_H

#include "store/store.h"

/*
 * A store in memory, in place of the real one: it commits when a test says so, fails when a test says so, and crashes.
 * The rows outlive the store object, as a disk does.
 */

/* The next n batches that are committed fail with this result. */
void fake_store_fail(unsigned n, int result);
/* Commits up to n batches of those that wait, without calling anybody back yet. */
void fake_store_commit(struct store *store, unsigned n);
/* Calls back for up to n of the committed batches and finished reads. */
void fake_store_tell(struct store *store, unsigned n);
/* The power goes: what was not committed is lost, and nobody is called back. Follow with core_free and store_close. */
void fake_store_crash(struct store *store);
/* A series that store_list_series gives (8 at most; the texts are not copied). */
void fake_store_add_series(const char *device, const char *name);
/* Empties the disk. */
void fake_store_wipe(void);
/* Entries of the journal below the number go, as by retention. */
void fake_store_trim(uint64_t before);
/* The next n reads of the journal fail. */
void fake_store_fail_reads(unsigned n);
unsigned fake_store_count_reads(void);    /* of the journal, since the program was started */
size_t fake_store_rows(const char *kind); /* "operation", ... */

#endif
