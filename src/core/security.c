#include "core/internal.h"

#include "base/log.h"
#include "core/bodycheck.h"

#include <string.h>

/* Whether a device is spoken to protected, plainly, or not at all. */

static bool has_word(const char *words, const char *word, size_t size)
{
    while (*words) {
        size_t n = strcspn(words, " ");

        if (n == size && memcmp(words, word, n) == 0)
            return true;
        words += n + strspn(words + n, " ");
    }
    return false;
}

static bool group_allows_plain(const struct device *device)
{
    const char *allowed = device->core->plain_groups, *group = device->groups;

    if (strcmp(allowed, "*") == 0)
        return true;
    while (*allowed && group && *group) {
        size_t n = strcspn(group, " ");

        if (has_word(allowed, group, n))
            return true;
        group += n + strspn(group + n, " ");
    }
    return false;
}

bool keyring_allows_plain(const struct device *device)
{
    return !device->removing && !device->credentials_lost && !keyring_of_device(device) &&
           (device->allow_plain || group_allows_plain(device));
}

void keyring_heard_plain(struct device *device)
{
    device_seen(device);
}

const char *device_security(const struct device *device)
{
    const struct credential *c = keyring_of_device(device);

    if (c)
        return c->kind == CREDENTIAL_OSCORE ? "oscore" : "dtls";
    return keyring_allows_plain(device) ? "plain" : "none";
}

int device_check_protected(const struct device *device, struct fault *fault)
{
    if (keyring_of_device(device) || keyring_allows_plain(device))
        return 0;
    if (device->credentials_lost)
        return fault_set(fault, FAULT_CREDENTIALS_REQUIRED,
                         "The credentials of device '%s' are damaged in the database; enrol it anew.", device->id);
    return fault_set(fault, FAULT_CREDENTIALS_REQUIRED,
                     "Device '%s' has no credentials, and neither it nor one of its groups may be used without.",
                     device->id);
}

void device_note_security(struct device *device)
{
    bool plain = keyring_allows_plain(device);

    device_changed(device);
    if (plain && !device->known_plain)
        log_warning("device may be used without protection while it has no credentials", "device", device->id,
                    "because", device->allow_plain ? "allow_plain" : "coap.allow_plain_groups", NULL);
    else if (!plain && device->known_plain)
        log_info("device may no longer be used without protection", "device", device->id, NULL);
    device->known_plain = plain;
}

/* At the start, and after coap.allow_plain_groups has changed: one line for all. */
void core_note_security(struct core *core)
{
    unsigned count = 0;
    char text[16];

    for (struct device *device = core->devices; device; device = device->hh.next) {
        device->known_plain = keyring_allows_plain(device);
        count += device->known_plain;
        device_changed(device);
    }
    (void)snprintf(text, sizeof text, "%u", count);
    if (count)
        log_warning("devices may be used without protection while they have no credentials", "devices", text, "groups",
                    core->plain_groups, NULL);
}

/* Groups ----------------------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int groups_read(char out[GROUPS_SIZE], const json_t *array, struct fault *fault)
{
    static const struct body_rule rule = {.type = BODY_ARRAY, .nullable = true, .max = CORE_GROUPS_MAX};
    const char *names[CORE_GROUPS_MAX];
    size_t count = 0, used = 0, i;
    const json_t *value;

    *out = 0;
    if (body_check_value(array, "/groups", &rule, fault))
        return 1;
    json_array_foreach(array, i, value)
    {
        char pointer[32];

        (void)snprintf(pointer, sizeof pointer, "/groups/%zu", i);
        if (!json_is_string(value) || !text_is_name(json_string_value(value), CORE_GROUP_MAX))
            return fault_set_at(fault, FAULT_INVALID_FIELD, pointer,
                                "A group's name has 1 to %d letters, digits and . _ ~ -, and not only dots.",
                                CORE_GROUP_MAX);
        names[count++] = json_string_value(value);
    }
    qsort(names, count, sizeof *names, compare_names);
    for (i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            used += (size_t)snprintf(out + used, GROUPS_SIZE - used, "%s%s", used ? " " : "", names[i]);
    return 0;
}

bool device_is_in_group(const struct device *device, const char *group)
{
    return device->groups && has_word(device->groups, group, strlen(group));
}

void device_set_groups(struct device *device, const char *groups)
{
    if (strcmp(groups, device->groups ? device->groups : "") == 0)
        return;
    free(device->groups);
    device->groups = *groups ? strdup(groups) : NULL; /* without memory it is in no group, which allows nothing */
}
