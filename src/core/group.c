#include "core/internal.h"

#include "base/log.h"
#include "core/bodycheck.h"
#include "core/cache.h"

#include <errno.h>
#include <string.h>

/* Groups: what holds for the devices in them. A record is there for those that have settings. */

#define GROUPS_MAX 1000

struct group {
    char name[CORE_GROUP_MAX + 1];
    char *observe; /* paths with spaces between */
    UT_hash_handle hh;
};

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

static struct group *find(const struct core *core, const char *name)
{
    struct group *group = NULL;

    HASH_FIND_STR(core->groups, name, group);
    return group;
}

static void add(struct core *core, struct group *group)
{
    HASH_ADD_STR(core->groups, name, group);
}

static void drop(struct core *core, struct group *group)
{
    HASH_DEL(core->groups, group);
    free(group->observe);
    free(group);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

const char *group_paths(const struct core *core, const char *name)
{
    const struct group *group = find(core, name);

    return group ? group->observe : NULL;
}

void groups_free(struct core *core)
{
    while (core->groups)
        drop(core, core->groups);
}

/* Sets what a group has; NULL: nothing, and there is no record of it. Negative when out of memory. */
static int set(struct core *core, const char *name, const char *observe)
{
    struct group *group = find(core, name);
    char *copy = observe ? strdup(observe) : NULL;

    if (observe && !group && copy) {
        group = calloc(1, sizeof *group);
        if (group) {
            (void)text_copy(group->name, sizeof group->name, name);
            add(core, group);
        }
    }
    if (observe && (!copy || !group)) {
        free(copy);
        return -ENOMEM;
    }
    if (!observe) {
        if (group)
            drop(core, group);
        return 0;
    }
    free(group->observe);
    group->observe = copy;
    return 0;
}

int group_load(void *arg, const struct store_group *row)
{
    if (!text_is_name(row->name, CORE_GROUP_MAX))
        return 0;
    return set(arg, row->name, row->observe ? row->observe : "");
}

/* Members ---------------------------------------------------------------------------------------------------------- */

static bool is_member(const struct device *device, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = device->groups; at && *at; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");

        if (word == n && memcmp(at, name, n) == 0)
            return true;
        at += word;
    }
    return false;
}

static size_t count_members(const struct core *core, const char *name)
{
    size_t n = 0;

    for (const struct device *device = core->devices; device; device = device->hh.next)
        n += !device->removing && is_member(device, name);
    return n;
}

static void configure_members(struct core *core, const char *name)
{
    size_t members = count_members(core, name);

    for (struct device *device = core->devices; device; device = device->hh.next)
        if (is_member(device, name))
            watches_configure(device, members);
}

/* Changes ---------------------------------------------------------------------------------------------------------- */

/* Undoes what could not be made durable. commit->old is what was there, NULL: there was no record. */
static void settle(struct commit *commit, bool durable, struct fault *fault)
{
    struct commit *later = commit_find_later(commit);

    (void)fault;
    if (durable) {
        log_info("group changed", "group", commit->uid, NULL);
    } else if (later) { /* what that one would go back to */
        free(later->old);
        later->old = commit->old;
        commit->old = NULL;
    } else {
        (void)set(commit->core, commit->uid, commit->old);
        configure_members(commit->core, commit->uid);
    }
}

/* observe NULL: its settings go. */
static int change(struct core *core, const char *name, const char *observe, core_done_fn done, void *arg)
{
    const char *before = group_paths(core, name);
    char *old = before ? strdup(before) : NULL;
    struct commit *commit;

    if ((before && !old) || commit_new(&commit, core, done, arg)) {
        free(old);
        return -ENOMEM;
    }
    commit->old = old;
    commit->settle = settle;
    (void)text_copy(commit->uid, sizeof commit->uid, name);
    if (set(core, name, observe)) {
        commit_free(commit);
        return -ENOMEM;
    }
    if (observe)
        store_batch_put_group(commit->batch, &(struct store_group){.name = name, .observe = observe});
    else
        store_batch_delete_group(commit->batch, name);
    configure_members(core, name);
    commit_submit(commit);
    return 0;
}

int core_put_group(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                   struct fault *fault)
{
    static const struct body_rule rules[] = {{"observe", BODY_ARRAY, true, false, 0, WATCH_PATHS_MAX, NULL}};
    char paths[WATCH_LIST_SIZE];

    if (core_check_accepting(core, fault) || body_check(body, "", rules, array_size(rules), fault) ||
        watches_read(paths, json_object_get(body, "observe"), fault))
        return 1;
    if (!find(core, name) && HASH_COUNT(core->groups) >= GROUPS_MAX)
        return fault_set(fault, FAULT_LIMIT_REACHED, "%d groups have settings, which is the limit.", GROUPS_MAX);
    return change(core, name, paths, done, arg);
}

int core_remove_group(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault)
{
    if (core_check_accepting(core, fault))
        return 1;
    if (!find(core, name))
        return fault_set(fault, FAULT_NOT_FOUND, "The group '%s' has no settings.", name);
    return change(core, name, NULL, done, arg);
}

/* Shown ------------------------------------------------------------------------------------------------------------ */

static json_t *group_json(const char *name, const char *observe, size_t devices)
{
    return json_pack("{s:s, s:o, s:I}", "name", name, "observe", watches_json(observe), "devices", (json_int_t)devices);
}

json_t *core_group_json(struct core *core, const char *name)
{
    size_t devices = count_members(core, name);

    return find(core, name) || devices ? group_json(name, group_paths(core, name), devices) : NULL;
}

/* How many devices are in each group, by name. */
static json_t *count_groups(const struct core *core)
{
    json_t *counts = json_object();
    char name[CORE_GROUP_MAX + 1];

    for (const struct group *group = core->groups; group; group = group->hh.next)
        (void)json_object_set_new(counts, group->name, json_integer(0));
    for (const struct device *device = core->devices; device; device = device->hh.next) {
        for (const char *at = device->groups; at && *at && !device->removing; at += strspn(at, " ")) {
            size_t n = strcspn(at, " ");

            memcpy(name, at, n);
            name[n] = 0;
            at += n;
            (void)json_object_set_new(counts, name,
                                      json_integer(json_integer_value(json_object_get(counts, name)) + 1));
        }
    }
    return counts;
}

json_t *core_groups_json(struct core *core)
{
    json_t *counts = count_groups(core), *array = json_array(), *count;
    const char *name;

    json_object_foreach(counts, name, count)
    {
        (void)json_array_append_new(array,
                                    group_json(name, group_paths(core, name), (size_t)json_integer_value(count)));
    }
    json_decref(counts);
    return array;
}
