#include "core/rollout_private.h"

#include "core/bodycheck.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define DAY_MINUTES 1440
#define DEVICE_TIMEOUT_S 3600
#define MAX_ATTEMPTS 3
#define MAX_PARALLEL 256

static const struct body_rule rules[] = {
    {"name", BODY_TEXT, false, false, 0, CORE_NAME_MAX, NULL},
    {"devices", BODY_OBJECT, true, false, 0, 0, NULL},
    {"membership", BODY_CHOICE, false, false, 0, 0, "fixed dynamic"},
    {"container", BODY_TEXT, true, false, 1, CORE_ID_MAX, NULL},
    {"release", BODY_TEXT, false, false, 1, CORE_RELEASE_TEXT - 1, NULL},
    {"artifact", BODY_TEXT, false, false, CORE_DIGEST_TEXT - 1, CORE_DIGEST_TEXT - 1, NULL},
    {"state", BODY_CHOICE, false, false, 0, 0, "running stopped"},
    {"parameters", BODY_TEXT, false, false, 0, (PARAMETERS_MAX + 2) / 3 * 4, NULL},
    {"waves", BODY_ARRAY, false, false, 0, ROLLOUT_WAVES_MAX - 1, NULL},
    {"canaries", BODY_NUMBER, false, false, 0, SELECTOR_DEVICES_MAX, NULL},
    {"success", BODY_OBJECT, false, false, 0, 0, NULL},
    {"max_failures", BODY_NUMBER, false, false, 0, SELECTOR_DEVICES_MAX, NULL},
    {"max_failures_percent", BODY_NUMBER, false, false, 0, 100, NULL},
    {"max_attempts", BODY_NUMBER, false, false, 1, 100, NULL},
    {"device_timeout_s", BODY_NUMBER, false, false, 1, 30 * 86400, NULL},
    {"max_parallel", BODY_NUMBER, false, false, 1, ROLLOUT_PARALLEL_MAX, NULL},
    {"max_parallel_per_link", BODY_NUMBER, false, false, 1, ROLLOUT_PARALLEL_MAX, NULL},
    {"window", BODY_OBJECT, false, false, 0, 0, NULL},
    {"pause_after_wave", BODY_BOOL, false, false, 0, 0, NULL},
    {"auto_rollback", BODY_BOOL, false, false, 0, 0, NULL},
};

static int read_waves(struct rollout_spec *spec, const json_t *body, struct fault *fault)
{
    static const struct body_rule wave_rules[] = {
        {"count", BODY_NUMBER, false, false, 1, SELECTOR_DEVICES_MAX, NULL},
        {"percent", BODY_NUMBER, false, false, 1, 100, NULL},
    };
    int64_t canaries = body_number(body, "canaries", 0), count, percent;
    const json_t *wave;
    size_t i;

    if (canaries)
        spec->waves[spec->wave_count++] = (struct rollout_wave){.size = (uint32_t)canaries};
    json_array_foreach(json_object_get(body, "waves"), i, wave)
    {
        char pointer[32];

        (void)snprintf(pointer, sizeof pointer, "/waves/%zu", i);
        if (body_check(wave, pointer, wave_rules, array_size(wave_rules), fault))
            return 1;
        count = body_number(wave, "count", 0);
        percent = body_number(wave, "percent", 0);
        if (!count == !percent)
            return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "A wave has either a count or a percent.");
        spec->waves[spec->wave_count++] = (struct rollout_wave){percent > 0, (uint32_t)(percent ? percent : count)};
    }
    return 0;
}

static int read_bound(const json_t *telemetry, const char *name, double *bound, struct fault *fault)
{
    const json_t *value = json_object_get(telemetry, name);

    if (!value)
        return 0;
    if (!json_is_number(value))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/success/telemetry", "min and max are numbers.");
    *bound = json_number_value(value);
    return 0;
}

static bool is_other_member(const char *key)
{
    return strcmp(key, "name") != 0 && strcmp(key, "min") != 0 && strcmp(key, "max") != 0;
}

static int read_telemetry(struct rollout_spec *spec, const json_t *telemetry, struct fault *fault)
{
    const char *name = body_text(telemetry, "name"), *key;
    const json_t *value;

    json_object_foreach((json_t *)(uintptr_t)telemetry, key, value)
    {
        if (is_other_member(key))
            return fault_set_at(fault, FAULT_UNKNOWN_FIELD, "/success/telemetry", "There is no member '%.40s'.", key);
    }
    if (!name || !*name || !text_copy(spec->telemetry, sizeof spec->telemetry, name))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/success/telemetry",
                            "A condition has the name of a series, 1 to %d bytes.", TELEMETRY_NAME_MAX);
    spec->min = -INFINITY;
    spec->max = INFINITY;
    if (read_bound(telemetry, "min", &spec->min, fault) || read_bound(telemetry, "max", &spec->max, fault))
        return 1;
    if (spec->min > spec->max)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/success/telemetry", "min is more than max.");
    return 0;
}

static int read_success(struct rollout_spec *spec, const json_t *success, struct fault *fault)
{
    static const struct body_rule success_rules[] = {
        {"running_for_s", BODY_NUMBER, false, false, 0, 7 * 86400, NULL},
        {"telemetry", BODY_OBJECT, false, false, 0, 0, NULL},
    };
    const json_t *telemetry = json_object_get(success, "telemetry");

    if (!success)
        return 0;
    if (body_check(success, "/success", success_rules, array_size(success_rules), fault))
        return 1;
    spec->running_for_ms = (uint32_t)body_number(success, "running_for_s", 0) * 1000;
    return telemetry ? read_telemetry(spec, telemetry, fault) : 0;
}

/* "22:30"; false: it is none. */
static bool read_minutes(const char *text, uint16_t *minutes)
{
    if (strlen(text) != 5 || strspn(text, "0123456789:") != 5 || text[2] != ':' || strchr(text + 3, ':') ||
        memchr(text, ':', 2))
        return false;
    *minutes = (uint16_t)((text[0] - '0') * 600 + (text[1] - '0') * 60 + (text[3] - '0') * 10 + (text[4] - '0'));
    return *minutes < DAY_MINUTES && text[3] < '6';
}

static int read_days(struct rollout_spec *spec, const json_t *days, struct fault *fault)
{
    static const char names[][4] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
    static const struct body_rule rule = {.type = BODY_CHOICE, .choices = "sun mon tue wed thu fri sat"};
    const json_t *day;
    size_t i;

    json_array_foreach(days, i, day)
    {
        if (body_check_value(day, "/window/days", &rule, fault))
            return 1;
        for (unsigned bit = 0; bit < array_size(names); bit++)
            if (strcmp(json_string_value(day), names[bit]) == 0)
                spec->window.days |= (uint8_t)(1u << bit);
    }
    if (!spec->window.days)
        spec->window.days = 0x7f;
    return 0;
}

static int read_window(struct rollout_spec *spec, const json_t *window, struct fault *fault)
{
    static const struct body_rule window_rules[] = {
        {"from", BODY_TEXT, true, false, 5, 5, NULL},
        {"to", BODY_TEXT, true, false, 5, 5, NULL},
        {"days", BODY_ARRAY, false, false, 0, 7, NULL},
    };

    if (!window)
        return 0;
    if (body_check(window, "/window", window_rules, array_size(window_rules), fault))
        return 1;
    if (!read_minutes(body_text(window, "from"), &spec->window.from) ||
        !read_minutes(body_text(window, "to"), &spec->window.to) || spec->window.from == spec->window.to)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/window", "from and to are two times of the day, as 22:30.");
    spec->window.set = true;
    return read_days(spec, json_object_get(window, "days"), fault);
}

static int read_target(struct rollout_spec *spec, const json_t *body, struct fault *fault)
{
    const char *release = body_text(body, "release"), *artifact = body_text(body, "artifact");

    if (!text_is_name(body_text(body, "container"), CORE_ID_MAX))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/container",
                            "A container's uid has 1 to %d letters, digits and . _ ~ -, and not only dots.",
                            CORE_ID_MAX);
    if (!release == !artifact)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "", "A rollout has either a release or an artifact.");
    (void)text_copy(spec->container, sizeof spec->container, body_text(body, "container"));
    (void)text_copy(spec->release, sizeof spec->release, release ? release : "");
    (void)text_copy(spec->artifact, sizeof spec->artifact, artifact ? artifact : "");
    spec->state = body_text(body, "state") ? container_state_from_name(body_text(body, "state")) : CONTAINER_RUNNING;
    return parameters_read(&spec->parameters, &spec->parameters_size, json_object_get(body, "parameters"),
                           "/parameters", fault);
}

static int read_limits(struct rollout_spec *spec, const json_t *body, struct fault *fault)
{
    spec->failures_percent = json_object_get(body, "max_failures_percent");
    if (spec->failures_percent && json_object_get(body, "max_failures"))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/max_failures_percent",
                            "There is either max_failures or max_failures_percent.");
    spec->max_failures =
        (uint32_t)body_number(body, spec->failures_percent ? "max_failures_percent" : "max_failures", 0);
    spec->max_attempts = (uint32_t)body_number(body, "max_attempts", MAX_ATTEMPTS);
    spec->device_timeout_ms = (uint32_t)body_number(body, "device_timeout_s", DEVICE_TIMEOUT_S) * 1000;
    if (spec->device_timeout_ms <= spec->running_for_ms)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/device_timeout_s",
                            "A device has to have more time (%u s) than it has to run for (%u s).",
                            spec->device_timeout_ms / 1000, spec->running_for_ms / 1000);
    spec->max_parallel = (uint32_t)body_number(body, "max_parallel", MAX_PARALLEL);
    spec->max_parallel_per_link = (uint32_t)body_number(body, "max_parallel_per_link", 0);
    spec->pause_after_wave = json_is_true(json_object_get(body, "pause_after_wave"));
    spec->auto_rollback = json_is_true(json_object_get(body, "auto_rollback"));
    spec->dynamic = body_text(body, "membership") && strcmp(body_text(body, "membership"), "dynamic") == 0;
    return read_window(spec, json_object_get(body, "window"), fault);
}

static int read_all(struct rollout_spec *spec, const json_t *body, struct fault *fault)
{
    const char *name = body_text(body, "name");
    int r = read_target(spec, body, fault);

    (void)text_copy(spec->name, sizeof spec->name, name ? name : "");
    if (r == 0)
        r = read_waves(spec, body, fault);
    if (r == 0)
        r = read_success(spec, json_object_get(body, "success"), fault);
    if (r == 0)
        r = read_limits(spec, body, fault);
    if (r == 0)
        r = selector_parse(&spec->devices, json_object_get(body, "devices"), "/devices", fault);
    if (r)
        return r;
    spec->json = json_deep_copy(body);
    return spec->json && json_object_set_new(spec->json, "devices", selector_json(spec->devices)) == 0 ? 0 : -ENOMEM;
}

int rollout_spec_parse(struct rollout_spec **out, const json_t *body, struct fault *fault)
{
    struct rollout_spec *spec;
    int r;

    if (body_check(body, "", rules, array_size(rules), fault))
        return 1;
    spec = calloc(1, sizeof *spec);
    if (!spec)
        return -ENOMEM;
    r = read_all(spec, body, fault);
    *out = r ? rollout_spec_free(spec) : spec;
    return r;
}

struct rollout_spec *rollout_spec_free(struct rollout_spec *spec)
{
    if (!spec)
        return NULL;
    json_decref(spec->json);
    selector_free(spec->devices);
    free(spec->parameters);
    free(spec);
    return NULL;
}

/* The days are those on which the window begins: one that ends after midnight belongs to the day before. */
bool rollout_window_is_open(const struct rollout_spec *spec, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    unsigned from = spec->window.from, to = spec->window.to, minute;
    bool tail;
    struct tm now;

    if (!spec->window.set || !localtime_r(&seconds, &now))
        return true;
    minute = (unsigned)(now.tm_hour * 60 + now.tm_min);
    tail = from > to && minute < to;
    if (!tail && (from < to ? minute < from || minute >= to : minute < from))
        return false;
    return spec->window.days >> ((now.tm_wday + (tail ? 6 : 0)) % 7) & 1;
}

size_t rollout_waves(const struct rollout_spec *spec, size_t devices, size_t sizes[ROLLOUT_WAVES_MAX + 1])
{
    size_t count = 0, left = devices;

    for (size_t i = 0; i < spec->wave_count && left > 0; i++) {
        const struct rollout_wave *wave = &spec->waves[i];
        size_t size = wave->percent ? (devices * wave->size + 99) / 100 : wave->size;

        sizes[count] = size < left ? size : left;
        left -= sizes[count++];
    }
    if (left > 0 || count == 0)
        sizes[count++] = left;
    return count;
}
