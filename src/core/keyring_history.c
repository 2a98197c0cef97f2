#include "core/internal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

/*
 * Marks of all OSCORE keys that were ever in use here, so that one which comes back by import does not start over at
 * sequence number 0. A mark is a salted hash of secret, salt and the one id that the key is derived with, since
 * contexts that have only this in common have the key and its nonces in common; without the ID Context, so that it also
 * stands for what Appendix B.2 made of it. Nothing is forgotten: once the marks are as many as they may be, every
 * imported context counts as known.
 */

#define MARK_SIZE 16
#define MARKS_MAX (1u << 18)

struct mark {
    uint8_t bytes[MARK_SIZE];
};

struct context_history {
    size_t count, capacity;
    struct mark *marks; /* sorted */
};

/* Where a mark is, or would be. */
static size_t position(const struct context_history *history, const struct mark *mark)
{
    size_t low = 0, high = history ? history->count : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(history->marks[middle].bytes, mark->bytes, MARK_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool holds(const struct context_history *history, const struct mark *mark)
{
    size_t at = position(history, mark);

    return history && at < history->count && memcmp(history->marks[at].bytes, mark->bytes, MARK_SIZE) == 0;
}

static int grow(struct context_history *history)
{
    size_t capacity = history->capacity ? 2 * history->capacity : 64;
    struct mark *marks = reallocarray(history->marks, capacity, sizeof *marks);

    if (!marks)
        return -ENOMEM;
    history->marks = marks;
    history->capacity = capacity;
    return 0;
}

static int insert(struct core *core, const struct mark *mark)
{
    struct context_history *history = core->used;
    size_t at;

    if (!history)
        history = core->used = calloc(1, sizeof *history);
    if (!history)
        return -ENOMEM;
    if (holds(history, mark) || history->count >= MARKS_MAX)
        return 0;
    if (history->count == history->capacity && grow(history))
        return -ENOMEM;
    at = position(history, mark);
    memmove(&history->marks[at + 1], &history->marks[at], (history->count - at) * sizeof *mark);
    history->marks[at] = *mark;
    history->count++;
    return 0;
}

static int make_mark(const struct core *core, const struct oscore_credentials *inputs, const uint8_t *id,
                     uint8_t id_size, struct mark *out)
{
    uint8_t text[16 + 2 + OSCORE_SECRET_MAX + OSCORE_SALT_MAX + 1 + OSCORE_ID_MAX], digest[32], *at = text;
    bool good;

    memcpy(at, core->context_salt, sizeof core->context_salt);
    at += sizeof core->context_salt;
#define APPEND(bytes, size) *at++ = (size), memcpy(at, (bytes), (size)), at += (size)
    APPEND(inputs->secret, inputs->secret_size);
    APPEND(inputs->salt, inputs->salt_size);
    APPEND(id, id_size);
#undef APPEND
    good = EVP_Digest(text, (size_t)(at - text), digest, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_cleanse(text, sizeof text);
    memcpy(out->bytes, digest, MARK_SIZE);
    return good ? 0 : -EIO;
}

/* Of both keys. */
static int make_marks(const struct core *core, const struct oscore_credentials *inputs, struct mark out[2])
{
    int r = make_mark(core, inputs, inputs->sender_id, inputs->sender_id_size, &out[0]);

    return r < 0 ? r : make_mark(core, inputs, inputs->recipient_id, inputs->recipient_id_size, &out[1]);
}

bool history_knows(const struct core *core, const struct oscore_credentials *inputs)
{
    struct mark marks[2];

    if (core->used && core->used->count >= MARKS_MAX)
        return true;
    return make_marks(core, inputs, marks) < 0 || holds(core->used, &marks[0]) || holds(core->used, &marks[1]);
}

int history_add(struct core *core, const struct oscore_credentials *inputs, struct store_batch *batch)
{
    struct mark marks[2];
    int r = make_marks(core, inputs, marks);

    for (size_t i = 0; i < array_size(marks) && r == 0; i++) {
        char hex[2 * MARK_SIZE + 1];

        r = insert(core, &marks[i]);
        if (r == 0 && holds(core->used, &marks[i]))
            store_batch_put_context(batch, &(struct store_context){text_hex(marks[i].bytes, MARK_SIZE, hex)});
    }
    return r;
}

int history_add_loaded(struct core *core, const char *hex)
{
    struct mark mark;

    if (strlen(hex) != 2 * MARK_SIZE || !text_unhex(hex, mark.bytes, MARK_SIZE))
        return 0;
    return insert(core, &mark);
}

struct context_history *context_history_free(struct context_history *history)
{
    if (history)
        free(history->marks);
    free(history);
    return NULL;
}
