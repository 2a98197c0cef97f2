#include "core/internal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

/*
 * Marks of all OSCORE contexts that were ever in use here, so that one which comes back by import does not start over
 * at sequence number 0. A mark is a salted hash of secret, salt and ids, without the ID Context: so it also stands for
 * the contexts that Appendix B.2 made of it. Nothing is forgotten: once the marks are as many as they may be, every
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

/* Both directions of a pair of ids have the same mark: their keys are the same ones. */
static int make_mark(const struct core *core, const struct oscore_credentials *inputs, struct mark *out)
{
    uint8_t text[16 + 2 + OSCORE_SECRET_MAX + OSCORE_SALT_MAX + 2 * (1 + OSCORE_ID_MAX)], digest[32], *at = text;
    const uint8_t *first = inputs->sender_id, *second = inputs->recipient_id;
    uint8_t first_size = inputs->sender_id_size, second_size = inputs->recipient_id_size;
    bool good;

    if (first_size > second_size || (first_size == second_size && memcmp(first, second, first_size) > 0)) {
        first = inputs->recipient_id, second = inputs->sender_id;
        first_size = inputs->recipient_id_size, second_size = inputs->sender_id_size;
    }
    memcpy(at, core->context_salt, sizeof core->context_salt);
    at += sizeof core->context_salt;
#define APPEND(bytes, size) *at++ = (size), memcpy(at, (bytes), (size)), at += (size)
    APPEND(inputs->secret, inputs->secret_size);
    APPEND(inputs->salt, inputs->salt_size);
    APPEND(first, first_size);
    APPEND(second, second_size);
#undef APPEND
    good = EVP_Digest(text, (size_t)(at - text), digest, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_cleanse(text, sizeof text);
    memcpy(out->bytes, digest, MARK_SIZE);
    return good ? 0 : -EIO;
}

bool history_knows(const struct core *core, const struct oscore_credentials *inputs)
{
    struct mark mark;

    if (core->used && core->used->count >= MARKS_MAX)
        return true;
    return make_mark(core, inputs, &mark) < 0 || holds(core->used, &mark);
}

int history_add(struct core *core, const struct oscore_credentials *inputs, struct store_batch *batch)
{
    char hex[2 * MARK_SIZE + 1];
    struct mark mark;
    int r = make_mark(core, inputs, &mark);

    if (r == 0)
        r = insert(core, &mark);
    if (r == 0 && holds(core->used, &mark))
        store_batch_put_context(batch, &(struct store_context){text_hex(mark.bytes, MARK_SIZE, hex)});
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
