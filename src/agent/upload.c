#include "agent/upload.h"

#include "base/text.h"

#include <string.h>

static bool is_same(const struct upload *u, const struct peer *peer, const struct upload_block *what)
{
    if (!u->target[0] || strcmp(u->target, what->target) != 0 || u->tag_size != what->tag_size)
        return false;
    return what->tag_size ? memcmp(u->tag, what->tag, what->tag_size) == 0 : peer_equal(&u->peer, peer);
}

static void begin(struct upload *u, const struct peer *peer, const struct upload_block *what)
{
    upload_clear(u);
    (void)text_copy(u->target, sizeof u->target, what->target);
    u->tag_size = what->tag_size;
    if (what->tag_size)
        memcpy(u->tag, what->tag, what->tag_size);
    u->peer = *peer;
}

/* A block that was there already does no harm; one that differs takes the place of all that follows it. */
static void put(struct upload *u, size_t offset, const struct upload_block *what)
{
    if (offset + what->payload_size <= u->bytes.size && what->payload_size &&
        memcmp(u->bytes.data + offset, what->payload, what->payload_size) == 0)
        return;
    u->bytes.size = offset;
    buffer_append(&u->bytes, what->payload, what->payload_size);
}

size_t upload_held(const struct upload *u, const struct peer *peer, const struct upload_block *what)
{
    return is_same(u, peer, what) ? u->bytes.size : 0;
}

enum upload_result upload_take(struct upload *u, const struct peer *peer, const struct upload_block *what, size_t max)
{
    size_t offset = (size_t)what->block.num << (what->block.szx + 4);

    if (what->block.more && what->payload_size != (size_t)16 << what->block.szx)
        return UPLOAD_MALFORMED;
    if (offset == 0 && !is_same(u, peer, what))
        begin(u, peer, what);
    if (offset > upload_held(u, peer, what) || !is_same(u, peer, what))
        return UPLOAD_GAP;
    if (offset + what->payload_size > max) {
        upload_clear(u);
        return UPLOAD_TOO_LARGE;
    }
    u->received += what->payload_size;
    put(u, offset, what);
    if (u->bytes.failed) {
        upload_clear(u);
        return UPLOAD_TOO_LARGE;
    }
    if (what->block.more)
        return UPLOAD_MORE;
    u->bytes.size = offset + what->payload_size;
    return UPLOAD_DONE;
}

void upload_clear(struct upload *u)
{
    buffer_clear(&u->bytes);
    *u = (struct upload){0};
}
