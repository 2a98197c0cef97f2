#ifndef TC_REST_RESUMABLE_PRIVATE_H
#define TC_REST_RESUMABLE_PRIVATE_H

#include "rest/resumable.h"
#include "rest/state.h"

/* Between resumable.c, which keeps uploads and their files, and resumable_api.c, which speaks for them. */

#define RESUMABLE_ID_SIZE 64

enum { PIECE_CODE, PIECE_DATA, PIECE_COUNT };

extern const char *const resumable_piece_names[PIECE_COUNT];

struct piece {
    uint64_t size;
    char sha256[65];
    struct spool *spool; /* NULL: it has no bytes, or the upload is finished */
    bool checked;
};

struct resumable {
    struct list node; /* in rest->resumables */
    struct rest *rest;
    char id[RESUMABLE_ID_SIZE + 1];
    json_t *body; /* what made it: {"description", "code", "data"} */
    struct piece pieces[PIECE_COUNT];
    int64_t touched;                      /* wall ms */
    char artifact[RESUMABLE_ID_SIZE + 1]; /* what it became; empty: not yet */
    struct http_request *taken;           /* by which it is continued now */
};

int64_t resumable_now(void); /* wall ms */
uint64_t resumable_length(const struct resumable *upload);
uint64_t resumable_offset(const struct resumable *upload);
struct resumable *resumable_find(const struct rest *rest, const char *id);

/* Made of a body, not yet in the list or on the disk. 0, 1 with a fault, or negative errno. */
int resumable_make(struct resumable **out, struct rest *rest, json_t *body, struct fault *fault) must_check;
/* Its files stay. */
struct resumable *resumable_free(struct resumable *upload);
/* With all that is on the disk. */
void resumable_forget(struct resumable *upload);
void resumable_forget_old(struct rest *rest);

int resumable_write(const struct resumable *upload) must_check; /* its record; negative errno */
int resumable_open_spools(struct resumable *upload) must_check; /* negative errno */
void resumable_drop_spools(struct resumable *upload);

#endif
