#ifndef TC_COAP_UPDATE_H
#define TC_COAP_UPDATE_H

#include "base/buffer.h"
#include "base/clock.h"
#include "base/list.h"
#include "coap/peer.h"
#include "core/ports.h"
#include "tcgw/coapmsg.h"

#include <uthash.h>

/*
 * Updates that are pending: what SUIT devices were told to fetch, until they have it or are given up
 * (docs/device-protocol.md section 9). The driver adds and ends them, the server hands out what they need block by
 * block, and each remembers how far its device is. Loop thread only; no I/O.
 */

#define UPDATES_MAX 4096         /* pending at once */
#define UPDATE_ALIAS_SIZE 5      /* bytes of a short name, with its NUL */
#define UPDATE_DIGITS_MIN 16     /* digits of a SHA-256 that are enough to ask for a payload */
#define UPDATE_DIGITS_OFFERED 32 /* that a manifest of ours names: a path has less than 64 bytes */
#define UPDATE_SZX 2             /* blocks of 64 bytes, where none are asked for */

struct task;

/* A payload, shared by all updates that have it. */
struct image {
    char digest[CORE_DIGEST_TEXT]; /* hex SHA-256 of the bytes */
    uint8_t *bytes;
    size_t size;
    struct list updates; /* struct update.image_node */
    UT_hash_handle hh;
};

struct update {
    char device[CORE_ID_MAX + 1];
    char alias[UPDATE_ALIAS_SIZE];
    struct agent_link link; /* the device's */
    struct peer host;       /* the device's; its port is not looked at where another one asks */
    uint64_t sequence;
    struct buffer manifest;
    uint8_t manifest_tag[8];
    struct image *image;
    bool fetches_payload;                 /* from here */
    size_t manifest_taken, payload_taken; /* bytes from the beginning on that were handed out */
    int64_t active_at;                    /* monotonic ms: when a block was handed out last, or it was told to fetch */
    bool complete;                        /* all was handed out */
    int64_t complete_at;

    struct task *task; /* the driver's; NULL: nobody waits for it now */
    bool asking;       /* the driver's: whether the device was asked how it ended */
    int64_t asked_at;
    /* A block was handed out; `moved`: one that was not asked for before. May be NULL. */
    void (*served)(struct update *update, bool moved);

    struct list image_node;
    UT_hash_handle hh, by_alias;
};

struct updates {
    const struct clock *clock;
    struct update *all, *by_alias;
    struct image *images;
    uint32_t next_alias;
};

void updates_init(struct updates *updates, const struct clock *clock);
void updates_clear(struct updates *updates);

/* A new update of a device that has none, with the bytes copied; its manifest is the caller's to fill in before the
 * device hears of it. NULL: out of memory, or UPDATES_MAX are pending. */
struct update *update_new(struct updates *updates, const char *device, const struct peer *host,
                          const char digest[CORE_DIGEST_TEXT], const uint8_t *bytes, size_t size);
/* The manifest is complete. */
void update_seal(struct updates *updates, struct update *update);
void update_free(struct updates *updates, struct update *update); /* NULL is fine */
struct update *update_find(const struct updates *updates, const char *device);

/* Who asks: a device that proved who it is, else the peer. */
struct update_caller {
    const char *device; /* NULL: nobody is proven */
    const struct peer *peer;
};

/* The update whose manifest is asked for by a device's id or an alias, if the caller may have it. NULL: none. */
struct update *update_of_manifest(const struct updates *updates, const void *name, size_t size,
                                  const struct update_caller *caller);
/* The one whose payload is asked for by digits of its digest. Where several devices share an address, the one that
 * would go on at `offset`. NULL: none. */
struct update *update_of_payload(const struct updates *updates, const void *digits, size_t size,
                                 const struct update_caller *caller, size_t offset);

/* Makes the answer to GET with the block that is asked for (NULL: none is), and counts it. The answer points into the
 * update. True when the device came further by it: to be told to update->served once the answer is sent. */
bool update_answer(struct updates *updates, struct update *update, bool payload, const struct coapmsg_block *asked,
                   struct coapmsg *response);

#endif
