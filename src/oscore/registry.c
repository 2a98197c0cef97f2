#define HASH_NONFATAL_OOM 1 /* an element that could not be added has no table */

#include "oscore/context.h"

#include <errno.h>
#include <string.h>

/* All contexts of one kid. */
struct registry_group {
    context_kid kid;
    struct oscore_context *first; /* the one without an ID Context, if there is one, is the first */
    UT_hash_handle hh;
};

struct oscore_registry {
    struct registry_group *groups;   /* by kid */
    struct oscore_context *contexts; /* those with an ID Context, by pair */
};

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*): uthash's macros, each in a function of its own */

static struct registry_group *find_group(const struct oscore_registry *registry, context_kid kid)
{
    struct registry_group *group;

    HASH_FIND(hh, registry->groups, &kid, sizeof kid, group);
    return group;
}

static bool add_group(struct oscore_registry *registry, struct registry_group *group)
{
    HASH_ADD(hh, registry->groups, kid, sizeof group->kid, group);
    return group->hh.tbl != NULL;
}

static void remove_group(struct oscore_registry *registry, struct registry_group *group)
{
    HASH_DELETE(hh, registry->groups, group);
    free(group);
}

static struct oscore_context *find_pair(const struct oscore_registry *registry, const struct context_pair *pair,
                                        size_t id_context_size)
{
    struct oscore_context *context;

    HASH_FIND(hh, registry->contexts, pair, sizeof pair->kid + id_context_size, context);
    return context;
}

static bool add_pair(struct oscore_registry *registry, struct oscore_context *context)
{
    HASH_ADD(hh, registry->contexts, pair, sizeof context->pair.kid + context->credentials.id_context_size, context);
    return context->hh.tbl != NULL;
}

static void remove_pair(struct oscore_registry *registry, struct oscore_context *context)
{
    HASH_DELETE(hh, registry->contexts, context);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

static context_kid kid_of(const void *kid, size_t size)
{
    const uint8_t *bytes = kid;
    context_kid number = size;

    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

static struct context_pair pair_of(context_kid kid, const void *id_context, size_t size)
{
    struct context_pair pair = {.kid = kid};

    if (size)
        memcpy(pair.id_context, id_context, size);
    return pair;
}

int oscore_registry_new(struct oscore_registry **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : -ENOMEM;
}

struct oscore_registry *oscore_registry_free(struct oscore_registry *registry)
{
    if (!registry)
        return NULL;
    while (registry->groups)
        oscore_registry_remove(registry, registry->groups->first);
    free(registry);
    return NULL;
}

static struct registry_group *take_group(struct oscore_registry *registry, context_kid kid)
{
    struct registry_group *group = find_group(registry, kid);

    if (group)
        return group;
    group = calloc(1, sizeof *group);
    if (!group)
        return NULL;
    group->kid = kid;
    if (add_group(registry, group))
        return group;
    free(group);
    return NULL;
}

static void link_context(struct registry_group *group, struct oscore_context *context)
{
    struct oscore_context *after = group->first;

    if (context->credentials.has_id_context && after && !after->credentials.has_id_context) {
        context->prev = after;
        context->next = after->next;
        after->next = context;
    } else {
        context->prev = NULL;
        context->next = after;
        group->first = context;
    }
    if (context->next)
        context->next->prev = context;
    context->group = group;
}

static bool is_taken(const struct oscore_registry *registry, const struct registry_group *group,
                     const struct oscore_context *context)
{
    if (context->credentials.has_id_context)
        return find_pair(registry, &context->pair, context->credentials.id_context_size) != NULL;
    return group->first && !group->first->credentials.has_id_context;
}

int oscore_registry_add(struct oscore_registry *registry, struct oscore_context *context)
{
    const struct oscore_credentials *credentials = &context->credentials;
    context_kid kid = kid_of(credentials->recipient_id, credentials->recipient_id_size);
    struct registry_group *group;
    int r = 0;

    if (context->group)
        return -EEXIST;
    group = take_group(registry, kid);
    if (!group)
        return -ENOMEM;
    context->pair = pair_of(kid, credentials->id_context, credentials->id_context_size);
    if (is_taken(registry, group, context))
        r = -EEXIST;
    else if (credentials->has_id_context && !add_pair(registry, context))
        r = -ENOMEM;
    else
        link_context(group, context);
    if (!group->first)
        remove_group(registry, group);
    return r;
}

void oscore_registry_remove(struct oscore_registry *registry, struct oscore_context *context)
{
    struct registry_group *group = context->group;

    if (!group || find_group(registry, group->kid) != group)
        return;
    if (context->prev)
        context->prev->next = context->next;
    else
        group->first = context->next;
    if (context->next)
        context->next->prev = context->prev;
    if (context->credentials.has_id_context)
        remove_pair(registry, context);
    context->group = NULL;
    context->next = context->prev = NULL;
    if (!group->first)
        remove_group(registry, group);
}

struct oscore_context *oscore_registry_find(const struct oscore_registry *registry, const void *kid, size_t kid_size,
                                            const void *kid_context, size_t kid_context_size,
                                            const struct oscore_context *after)
{
    struct context_pair pair;
    struct registry_group *group;

    if (kid_size > OSCORE_ID_MAX || kid_context_size > OSCORE_ID_CONTEXT_MAX)
        return NULL;
    if (!kid_context) {
        if (after)
            return after->next;
        group = find_group(registry, kid_of(kid, kid_size));
        return group ? group->first : NULL;
    }
    if (after)
        return NULL;
    pair = pair_of(kid_of(kid, kid_size), kid_context, kid_context_size);
    return find_pair(registry, &pair, kid_context_size);
}
