/* The resource directory's input: a registration's query, an update's query, a lookup's query and links, with NULs
 * between them. What is taken is written out again, and is link format then. */
#include "core/directory_private.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *take_text(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size ? memchr(*data, 0, *size) : NULL;
    size_t length = end ? (size_t)(end - *data) : *size;
    char *text = strndup(*size ? (const char *)*data : "", length);

    if (!text)
        abort();
    *data += end ? length + 1 : length;
    *size -= end ? length + 1 : length;
    return text;
}

static void require_links(const struct buffer *out)
{
    struct linkformat lf = linkformat_init(out->data, out->size);
    struct linkformat_link link;
    int r;

    while ((r = linkformat_next(&lf, &link)) == 0)
        continue;
    if (r != 1)
        abort();
}

static void look_up(struct directory_entry *entry, const char *query)
{
    struct directory directory = {.by_number = entry};
    struct core core = {.directory = &directory};

    for (int endpoints = 0; endpoints < 2; endpoints++) {
        cleanup_buffer struct buffer out = buffer_init(0), all = buffer_init(0);
        struct fault fault;

        if (core_look_up(&core, endpoints, query, &out, &fault) == 0)
            require_links(&out);
        if (core_look_up(&core, endpoints, "", &all, &fault) == 0)
            require_links(&all);
    }
}

static void show(const struct registration *r)
{
    json_t *json = core_links_json(r->links);

    if (!json)
        abort();
    json_decref(json);
}

static void enter(const struct registration_query *q, char *merged, const char *lookup, const char *links)
{
    struct directory_entry entry = {.r = {.number = 1, .lifetime = q->lifetime, .attributes = merged}};

    memcpy(entry.r.ep, q->ep, sizeof q->ep);
    memcpy(entry.r.sector, q->sector, sizeof q->sector);
    memcpy(entry.r.base, q->base, sizeof q->base);
    (void)text_copy(entry.r.address, sizeof entry.r.address, "coap://[::1]:5683");
    entry.r.links = strdup(links);
    look_up(&entry, lookup);
    show(&entry.r);
    free(entry.r.links);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *query = take_text(&data, &size), *update = take_text(&data, &size), *lookup = take_text(&data, &size);
    char *links = strndup(size ? (const char *)data : "", size), merged[DIRECTORY_ATTRIBUTES_MAX + 1];
    struct registration_query q, u;
    struct fault fault;

    if (!links)
        abort();
    if (registration_query_read(&q, query, &fault) == 0 && registration_query_read(&u, update, &fault) == 0 &&
        attributes_merge(merged, q.attributes, u.attributes) &&
        directory_check_links(links, strlen(links), &fault) == 0) {
        if (q.lifetime == 0 || strlen(merged) > DIRECTORY_ATTRIBUTES_MAX || attributes_get(merged, "sleep", 100) > 100)
            abort();
        enter(&q, merged, lookup, links);
    }
    free(query);
    free(update);
    free(lookup);
    free(links);
    return 0;
}
