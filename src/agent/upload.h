#ifndef TC_AGENT_UPLOAD_H
#define TC_AGENT_UPLOAD_H

#include "agent/peer.h"
#include "base/buffer.h"
#include "tcgw/coapmsg.h"

/*
 * Assembles a body from Block1 blocks (RFC 7959 section 2.5), one body at a time. An upload is named by its target and
 * by its Request-Tag (RFC 9175), so that a sender may go on from another port; without a tag by the peer instead.
 */
#define UPLOAD_TAG_MAX 8
#define UPLOAD_TARGET_MAX 80

struct upload {
    char target[UPLOAD_TARGET_MAX]; /* empty: nothing is held */
    uint8_t tag[UPLOAD_TAG_MAX];
    size_t tag_size;
    struct peer peer;
    struct buffer bytes;
    uint64_t received; /* bytes, those that came again included */
};

enum upload_result {
    UPLOAD_DONE,      /* bytes holds the whole body */
    UPLOAD_MORE,      /* taken; more is to come */
    UPLOAD_GAP,       /* does not follow what is held */
    UPLOAD_TOO_LARGE, /* beyond max, or no memory; nothing is held any more */
    UPLOAD_MALFORMED, /* a block that is not the last and not of its full size */
};

struct upload_block {
    const char *target;
    const uint8_t *tag;
    size_t tag_size; /* 0: without a tag; at most UPLOAD_TAG_MAX */
    struct coapmsg_block block;
    const uint8_t *payload;
    size_t payload_size;
};

enum upload_result upload_take(struct upload *u, const struct peer *peer, const struct upload_block *what, size_t max);

/* How many bytes of this body are held. */
size_t upload_held(const struct upload *u, const struct peer *peer, const struct upload_block *what);

void upload_clear(struct upload *u);

#endif
