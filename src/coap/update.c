#include "coap/update.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <openssl/evp.h>
#include <string.h>

#define ALIAS_COUNT (36u * 36u * 36u * 36u)

/* Tables ---------------------------------------------------------------------------------------------------------- */

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

struct update *update_find(const struct updates *updates, const char *device)
{
    struct update *update = NULL;

    HASH_FIND_STR(updates->all, device, update);
    return update;
}

static struct update *find_named(const struct updates *updates, const void *device, size_t size)
{
    struct update *update = NULL;

    HASH_FIND(hh, updates->all, device, size, update);
    return update;
}

static struct update *find_alias(const struct updates *updates, const void *alias)
{
    struct update *update = NULL;

    HASH_FIND(by_alias, updates->by_alias, alias, UPDATE_ALIAS_SIZE - 1, update);
    return update;
}

static void add(struct updates *updates, struct update *update)
{
    HASH_ADD_STR(updates->all, device, update);
    HASH_ADD(by_alias, updates->by_alias, alias, UPDATE_ALIAS_SIZE - 1, update);
}

static void take_out(struct updates *updates, struct update *update)
{
    HASH_DEL(updates->all, update);
    HASH_DELETE(by_alias, updates->by_alias, update);
}

static struct image *find_image(const struct updates *updates, const char *digest)
{
    struct image *image = NULL;

    HASH_FIND_STR(updates->images, digest, image);
    return image;
}

static void add_image(struct updates *updates, struct image *image)
{
    HASH_ADD_STR(updates->images, digest, image);
}

static void image_drop_unused(struct updates *updates, struct image *image)
{
    if (!list_empty(&image->updates))
        return;
    HASH_DEL(updates->images, image);
    free(image->bytes);
    free(image);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

/* Records --------------------------------------------------------------------------------------------------------- */

void updates_init(struct updates *updates, const struct clock *clock)
{
    *updates = (struct updates){.clock = clock};
}

static struct image *image_get(struct updates *updates, const char *digest, const uint8_t *bytes, size_t size)
{
    struct image *image = find_image(updates, digest);

    if (image)
        return image;
    image = calloc(1, sizeof *image);
    if (image)
        image->bytes = malloc(size ? size : 1);
    if (!image || !image->bytes) {
        free(image);
        return NULL;
    }
    memcpy(image->digest, digest, sizeof image->digest);
    if (size)
        memcpy(image->bytes, bytes, size);
    image->size = size;
    list_init(&image->updates);
    add_image(updates, image);
    return image;
}

/* Four characters at most, none of which is in use. */
static void choose_alias(struct updates *updates, char out[UPDATE_ALIAS_SIZE])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

    do {
        uint32_t number = updates->next_alias++ % ALIAS_COUNT;

        for (int i = UPDATE_ALIAS_SIZE - 2; i >= 0; i--, number /= 36)
            out[i] = digits[number % 36];
        out[UPDATE_ALIAS_SIZE - 1] = 0;
    } while (find_alias(updates, out));
}

struct update *update_new(struct updates *updates, const char *device, const struct peer *host,
                          const char digest[CORE_DIGEST_TEXT], const uint8_t *bytes, size_t size)
{
    struct update *update = HASH_COUNT(updates->all) < UPDATES_MAX ? calloc(1, sizeof *update) : NULL;
    struct image *image = update ? image_get(updates, digest, bytes, size) : NULL;

    if (!image) {
        free(update);
        return NULL;
    }
    (void)text_copy(update->device, sizeof update->device, device);
    update->host = *host;
    update->image = image;
    update->fetches_payload = true;
    update->active_at = clock_monotonic_ms(updates->clock);
    list_init(&update->image_node);
    list_append(&image->updates, &update->image_node);
    choose_alias(updates, update->alias);
    add(updates, update);
    return update;
}

void update_seal(struct updates *updates, struct update *update)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    update->active_at = clock_monotonic_ms(updates->clock);
    if (EVP_Digest(update->manifest.data, update->manifest.size, digest, NULL, EVP_sha256(), NULL))
        memcpy(update->manifest_tag, digest, sizeof update->manifest_tag);
}

void update_free(struct updates *updates, struct update *update)
{
    struct image *image;

    if (!update)
        return;
    image = update->image;
    take_out(updates, update);
    list_unlink(&update->image_node);
    image_drop_unused(updates, image);
    buffer_clear(&update->manifest);
    free(update);
}

void updates_clear(struct updates *updates)
{
    while (updates->all)
        update_free(updates, updates->all);
}

/* Who may have what ----------------------------------------------------------------------------------------------- */

static bool same_host(const struct peer *a, const struct peer *b)
{
    if (a->address.any.sa_family != b->address.any.sa_family)
        return false;
    if (a->address.any.sa_family == AF_INET)
        return a->address.v4.sin_addr.s_addr == b->address.v4.sin_addr.s_addr;
    return a->address.v6.sin6_scope_id == b->address.v6.sin6_scope_id &&
           memcmp(&a->address.v6.sin6_addr, &b->address.v6.sin6_addr, sizeof a->address.v6.sin6_addr) == 0;
}

static bool may_have(const struct update *update, const struct update_caller *caller)
{
    return caller->device ? strcmp(update->device, caller->device) == 0 : same_host(&update->host, caller->peer);
}

struct update *update_of_manifest(const struct updates *updates, const void *name, size_t size,
                                  const struct update_caller *caller)
{
    struct update *update = find_named(updates, name, size);

    if (!update && size == UPDATE_ALIAS_SIZE - 1)
        update = find_alias(updates, name);
    return update && update->manifest.size && may_have(update, caller) ? update : NULL;
}

static bool same_port(const struct peer *a, const struct peer *b)
{
    in_port_t left = a->address.any.sa_family == AF_INET ? a->address.v4.sin_port : a->address.v6.sin6_port;
    in_port_t right = b->address.any.sa_family == AF_INET ? b->address.v4.sin_port : b->address.v6.sin6_port;

    return left == right;
}

/* How likely it is that a caller at an address that several devices share is this update's. */
static int rank(const struct update *update, const struct update_caller *caller, size_t offset)
{
    if (caller->device || same_port(&update->host, caller->peer))
        return 3;
    if (update->payload_taken == offset)
        return 2;
    return update->payload_taken > offset ? 1 : 0;
}

static struct update *best_update(const struct image *image, const struct update_caller *caller, size_t offset)
{
    struct update *best = NULL;
    int best_rank = -1;

    list_each(node, &image->updates)
    {
        struct update *update = container_of(node, struct update, image_node);

        if (!update->manifest.size || !may_have(update, caller) || rank(update, caller, offset) <= best_rank)
            continue;
        best = update;
        best_rank = rank(update, caller, offset);
    }
    return best;
}

static bool are_digits(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return true;
}

struct update *update_of_payload(const struct updates *updates, const void *digits, size_t size,
                                 const struct update_caller *caller, size_t offset)
{
    struct update *found = NULL;

    if (size < UPDATE_DIGITS_MIN || size >= CORE_DIGEST_TEXT || !are_digits(digits, size))
        return NULL;
    for (struct image *image = updates->images; image && !found; image = image->hh.next)
        if (memcmp(image->digest, digits, size) == 0)
            found = best_update(image, caller, offset);
    return found;
}

/* Blocks ---------------------------------------------------------------------------------------------------------- */

/* What follows what was handed out already counts; what is repeated only shows that the device is at work. */
static bool count(struct updates *updates, struct update *update, bool payload, size_t offset, size_t size)
{
    size_t *taken = payload ? &update->payload_taken : &update->manifest_taken;
    size_t before;

    if (payload && offset > 0 && update->manifest_taken + update->payload_taken == 0) { /* in the middle already */
        update->manifest_taken = update->manifest.size;
        update->payload_taken = offset;
    }
    before = *taken;
    update->active_at = clock_monotonic_ms(updates->clock);
    if (offset <= before && offset + size > before)
        *taken = offset + size;
    if (!update->complete && update->manifest_taken == update->manifest.size &&
        (!update->fetches_payload || update->payload_taken == update->image->size)) {
        update->complete = true;
        update->complete_at = update->active_at;
    }
    return *taken != before;
}

static void add_tag(struct coapmsg *response, const struct update *update, bool payload)
{
    /* The digest's own digits: as good as its bytes, and they live as long as the update. */
    const void *tag = payload ? (const void *)update->image->digest : (const void *)update->manifest_tag;

    coapmsg_add(response, COAPMSG_OPT_ETAG, tag, sizeof update->manifest_tag);
}

bool update_answer(struct updates *updates, struct update *update, bool payload, const struct coapmsg_block *asked,
                   struct coapmsg *response)
{
    const uint8_t *bytes = payload ? update->image->bytes : update->manifest.data;
    size_t whole = payload ? update->image->size : update->manifest.size;
    struct coapmsg_block block = asked ? *asked : (struct coapmsg_block){0, false, UPDATE_SZX};
    size_t size = (size_t)16 << block.szx, offset = block.num * size, left;

    if (offset >= whole && offset > 0) {
        coapmsg_init(response, COAPMSG_ACK, COAPMSG_BAD_REQUEST);
        return false;
    }
    left = whole - offset;
    block.more = left > size;
    coapmsg_init(response, COAPMSG_ACK, COAPMSG_CONTENT);
    add_tag(response, update, payload);
    coapmsg_add_uint(response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_OCTETS);
    if (asked || block.more)
        coapmsg_add_block(response, COAPMSG_OPT_BLOCK2, block);
    if (block.num == 0 && block.more)
        coapmsg_add_uint(response, COAPMSG_OPT_SIZE2, (uint32_t)whole);
    size = block.more ? size : left;
    coapmsg_set_payload(response, bytes + offset, size);
    return count(updates, update, payload, offset, size);
}
