#include "core/selector.h"

#include "core/bodycheck.h"
#include "core/internal.h"
#include "core/link.h"
#include "core/selector_expression.h"

#include <errno.h>
#include <string.h>

#define SELECTOR_GROUPS_MAX 256

struct selector {
    json_t *json;
    const char **devices, **groups; /* texts of the JSON, sorted; NULL: any */
    size_t device_count, group_count;
    struct expression *expression; /* NULL: any */
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names --------------------------------------------------------------------------------------------------------------
 */

static int check_names(const json_t *array, const char *pointer, const char *member, size_t max, struct fault *fault)
{
    char at[FAULT_POINTER_SIZE];
    const json_t *name;
    size_t i;

    json_array_foreach(array, i, name)
    {
        (void)snprintf(at, sizeof at, "%s/%s/%zu", pointer, member, i);
        if (!json_is_string(name) || !text_is_name(json_string_value(name), max))
            return fault_set_at(fault, FAULT_INVALID_FIELD, at,
                                "%s must be a name: 1 to %zu letters, digits and . _ ~ -, and not only dots.", at, max);
    }
    return 0;
}

/* A canonical copy of a member's names (sorted, each once) goes into the selector's JSON, and *names shows them. */
static int take_names(struct selector *selector, const json_t *array, const char *member, const char ***names,
                      size_t *count)
{
    json_t *copy = json_array();
    const json_t *name;
    size_t i, n = 0;

    *names = calloc(json_array_size(array) + 1, sizeof **names);
    if (!copy || !*names || json_object_set_new(selector->json, member, copy))
        return -ENOMEM;
    json_array_foreach(array, i, name)
    {
        (*names)[i] = json_string_value(name);
    }
    qsort(*names, json_array_size(array), sizeof **names, compare_names);
    for (i = 0; i < json_array_size(array); i++)
        if (i == 0 || strcmp((*names)[i], (*names)[i - 1]) != 0)
            if (json_array_append_new(copy, json_string((*names)[i])))
                return -ENOMEM;
    json_array_foreach(copy, i, name)
    {
        (*names)[n++] = json_string_value(name);
    }
    *count = n;
    return 0;
}

static bool has_name(const char *const *names, size_t count, const char *name)
{
    return bsearch(&name, names, count, sizeof *names, compare_names);
}

/* Parsing ------------------------------------------------------------------------------------------------------------
 */

static int check(const json_t *body, const char *pointer, struct fault *fault)
{
    static const struct body_rule rules[] = {
        {"devices", BODY_ARRAY, false, false, 0, SELECTOR_DEVICES_MAX, NULL},
        {"groups", BODY_ARRAY, false, false, 0, SELECTOR_GROUPS_MAX, NULL},
        {"expression", BODY_TEXT, false, false, 1, SELECTOR_EXPRESSION_MAX, NULL},
        {"all", BODY_BOOL, false, false, 0, 0, NULL},
    };
    const json_t *devices = json_object_get(body, "devices"), *groups = json_object_get(body, "groups");

    if (body_check(body, pointer, rules, array_size(rules), fault) ||
        check_names(devices, pointer, "devices", CORE_ID_MAX, fault) ||
        check_names(groups, pointer, "groups", CORE_GROUP_MAX, fault))
        return 1;
    if (json_is_false(json_object_get(body, "all")) || json_object_size(body) == 0)
        return fault_set_at(fault, FAULT_INVALID_FIELD, pointer,
                            "A selector has at least one of devices, groups, expression, or \"all\": true.");
    return 0;
}

static int take_expression(struct selector *selector, const char *text, const char *pointer, struct fault *fault)
{
    char at[FAULT_POINTER_SIZE];
    int r;

    (void)snprintf(at, sizeof at, "%s/expression", pointer);
    r = expression_parse(&selector->expression, text, at, fault);
    if (r)
        return r;
    return json_object_set_new(selector->json, "expression", json_string(expression_text(selector->expression)))
               ? -ENOMEM
               : 0;
}

static int take_members(struct selector *selector, const json_t *body, const char *pointer, struct fault *fault)
{
    const json_t *devices = json_object_get(body, "devices"), *groups = json_object_get(body, "groups");
    const char *expression = body_text(body, "expression");
    int r = 0;

    if (json_object_get(body, "all"))
        r = json_object_set_new(selector->json, "all", json_true()) ? -ENOMEM : 0;
    if (r == 0 && devices)
        r = take_names(selector, devices, "devices", &selector->devices, &selector->device_count);
    if (r == 0 && groups)
        r = take_names(selector, groups, "groups", &selector->groups, &selector->group_count);
    if (r == 0 && expression)
        r = take_expression(selector, expression, pointer, fault);
    return r;
}

int selector_parse(struct selector **out, const json_t *body, const char *pointer, struct fault *fault)
{
    struct selector *selector;
    int r;

    if (check(body, pointer, fault))
        return 1;
    selector = calloc(1, sizeof *selector);
    if (!selector)
        return -ENOMEM;
    selector->json = json_object();
    r = selector->json ? take_members(selector, body, pointer, fault) : -ENOMEM;
    *out = r ? selector_free(selector) : selector;
    return r;
}

struct selector *selector_free(struct selector *selector)
{
    if (!selector)
        return NULL;
    json_decref(selector->json);
    free(selector->devices);
    free(selector->groups);
    (void)expression_free(selector->expression);
    free(selector);
    return NULL;
}

json_t *selector_json(const struct selector *selector)
{
    return json_deep_copy(selector->json);
}

bool selector_is_dynamic(const struct selector *selector)
{
    return !selector->devices || selector->groups || selector->expression;
}

/* Matching -----------------------------------------------------------------------------------------------------------
 */

static bool is_in_group(const struct selector *selector, const struct device *device)
{
    for (size_t i = 0; i < selector->group_count; i++)
        if (device_is_in_group(device, selector->groups[i]))
            return true;
    return false;
}

bool selector_matches(const struct selector *selector, const struct device *device)
{
    return (!selector->devices || has_name(selector->devices, selector->device_count, device->id)) &&
           (!selector->groups || is_in_group(selector, device)) &&
           (!selector->expression || expression_matches(selector->expression, device));
}

static int compare_devices(const void *a, const void *b)
{
    return strcmp((*(struct device *const *)a)->id, (*(struct device *const *)b)->id);
}

/* The devices that are named need not be searched for among all. */
static size_t list_named(const struct selector *selector, const struct core *core, struct device **out)
{
    size_t n = 0;

    for (size_t i = 0; i < selector->device_count; i++) {
        struct device *device = core_find_device(core, selector->devices[i]);

        if (device && selector_matches(selector, device))
            out[n++] = device;
    }
    return n;
}

static size_t list_all(const struct selector *selector, const struct core *core, struct device **out)
{
    size_t n = 0;

    for (struct device *device = core->devices; device; device = device->hh.next)
        if (!device->removing && selector_matches(selector, device))
            out[n++] = device;
    qsort(out, n, sizeof(struct device *), compare_devices);
    return n;
}

int selector_list(const struct selector *selector, const struct core *core, struct device ***out, size_t *count)
{
    size_t max = selector->devices ? selector->device_count : HASH_COUNT(core->devices);

    *out = calloc(max + 1, sizeof(struct device *));
    if (!*out)
        return -ENOMEM;
    *count = selector->devices ? list_named(selector, core, *out) : list_all(selector, core, *out);
    return 0;
}

/* Labels -------------------------------------------------------------------------------------------------------------
 */

int labels_check(const json_t *labels, const char *pointer, struct fault *fault)
{
    const char *name;
    const json_t *value;

    if (!json_is_object(labels) || json_object_size(labels) > LABELS_MAX)
        return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s must be an object of at most %d texts.", pointer,
                            LABELS_MAX);
    json_object_foreach((json_t *)(uintptr_t)labels, name, value)
    {
        if (!text_is_name(name, LABEL_MAX) || !json_is_string(value) ||
            !text_is_name(json_string_value(value), LABEL_MAX))
            return fault_set_at(fault, FAULT_INVALID_FIELD, pointer,
                                "A label's name and value have 1 to %d letters, digits and . _ ~ -, and not only dots.",
                                LABEL_MAX);
        if (expression_names(name))
            return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "'%s' is a key of the gateway's own.", name);
    }
    return 0;
}

const char *device_link(const struct device *device, char *out, size_t size)
{
    struct agent_link link = core_link_of(device);

    (void)text_copy(out, size, link.name);
    return out;
}
