#ifndef TC_CORE_DEVICE_SETTINGS_H
#define TC_CORE_DEVICE_SETTINGS_H

#include "core/internal.h"

/* The part of a device that a change sets, kept so that it can be undone. */
struct device_settings {
    char name[CORE_NAME_MAX + 1];
    char address[CORE_ADDRESS_MAX + 1];
    enum agent_kind agent;
    bool agent_configured;
    struct device_caps caps;
    uint32_t caps_configured;
    char groups[GROUPS_SIZE], observe[WATCH_LIST_SIZE];
    bool allow_plain;
    uint32_t sleep_s, awake_ms;
    json_t *labels; /* shared with the device, and never changed */
    int64_t updated;
    uint64_t revision;
};

/* Copies them from the device; cleared or freed by the caller. */
void device_settings_take(struct device_settings *s, const struct device *device);

/* Copies them to the device, with what follows from them. */
void device_settings_give(const struct device_settings *s, struct device *device);

void device_settings_clear(struct device_settings *s);
void device_settings_free(void *s); /* the same for one of its own memory */

/* Whether a body has the form of a device (adding), or of a change of one. */
int device_settings_check(const json_t *body, bool adding, struct fault *fault) must_check;

/* Reads the members that a checked body has over the settings. 0, 1 with a fault, or -ENOMEM. */
int device_settings_read(struct core *core, struct device_settings *s, const json_t *body,
                         struct fault *fault) must_check;

#endif
