#include "core/internal.h"
#include "core/trust_private.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

/* The highest sequence number that each device took of each component: what it must not fall behind. */

#define SEQUENCES_MAX 256 /* components of a device */

struct device_sequence {
    struct device_sequence *next;
    uint64_t highest;
    char component[];
};

static struct device_sequence *find(const struct device *device, const char *component)
{
    struct device_sequence *s = device->sequences;

    while (s && strcmp(s->component, component) != 0)
        s = s->next;
    return s;
}

uint64_t sequence_highest(const struct device *device, const char *component)
{
    const struct device_sequence *s = find(device, component);

    return s ? s->highest : 0;
}

static struct device_sequence *add(struct device *device, const char *component)
{
    size_t size = strlen(component) + 1;
    struct device_sequence *s = malloc(sizeof *s + size);

    if (!s)
        return NULL;
    s->highest = 0;
    memcpy(s->component, component, size);
    s->next = device->sequences;
    device->sequences = s;
    return s;
}

int sequence_load(void *arg, const struct store_sequence *row)
{
    struct device *device = index_find_device(arg, row->device);
    struct device_sequence *s;

    if (!device) {
        log_warning("database row skipped", "kind", "sequence", "id", row->device, "reason", "no such device", NULL);
        return 0;
    }
    s = add(device, row->component);
    if (!s)
        return -ENOMEM;
    s->highest = row->highest;
    return 0;
}

void sequences_free(struct device *device)
{
    while (device->sequences) {
        struct device_sequence *s = device->sequences;

        device->sequences = s->next;
        free(s);
    }
}

static uint64_t number_of(const struct core *core, const char *release, const char *component)
{
    char of[CORE_NAME_MAX + 1];

    release_component(release, of);
    return strcmp(of, component) == 0 ? release_sequence(core, release) : 0;
}

/* The highest of what its containers are. */
static uint64_t highest_held(const struct device *device, const char *component)
{
    uint64_t highest = 0;

    for (const struct container *c = device->containers; c; c = c->hh.next) {
        uint64_t number = number_of(device->core, container_release(c), component);

        highest = number > highest ? number : highest;
    }
    return highest;
}

static void put_row(const struct device *device, const struct device_sequence *s, struct store_batch *batch)
{
    store_batch_put_sequence(
        batch, &(struct store_sequence){.device = device->id, .component = s->component, .highest = s->highest});
}

/* lower: what it was counts no more. */
static void note(struct device *device, const char *release, bool lower, struct store_batch *batch)
{
    uint64_t number = release_sequence(device->core, release);
    char component[CORE_NAME_MAX + 1];
    struct device_sequence *s;

    if (!number)
        return;
    release_component(release, component);
    if (lower)
        number = highest_held(device, component);
    s = find(device, component);
    if (!s)
        s = add(device, component);
    if (!s) { /* out of memory: the row tells after the next start */
        store_batch_raise_sequence(
            batch, &(struct store_sequence){.device = device->id, .component = component, .highest = number});
        return;
    }
    if (lower || s->highest < number)
        s->highest = number;
    put_row(device, s, batch);
}

/* After a commit that failed nobody knows which rows are as they should be. */
static void put_again(struct device *device, struct store_batch *batch)
{
    if (device->sequences_at == device->core->commits_failed)
        return;
    device->sequences_at = device->core->commits_failed;
    for (const struct device_sequence *s = device->sequences; s; s = s->next)
        put_row(device, s, batch);
}

static bool is_of(const struct container *c, const char *release)
{
    const struct release *found = *release ? release_find(c->device->core, release) : NULL;

    return found && release_holds(found, c->reported_artifact);
}

const char *container_release(const struct container *c)
{
    if (c->load != LOAD_DONE || !*c->reported_artifact)
        return "";
    if (*c->desired_release && strcmp(c->reported_artifact, c->desired_artifact) == 0)
        return c->desired_release;
    if (is_of(c, c->sent_release))
        return c->sent_release;
    return is_of(c, c->loaded_release) ? c->loaded_release : "";
}

/* What the device holds may be none of what is known here: then it may be what it was sent. */
static bool is_unknown(const struct container *c)
{
    return c->load == LOAD_DONE && !*c->reported_artifact;
}

void sequence_note_container(struct container *c, struct store_batch *batch)
{
    const char *release = container_release(c);

    put_again(c->device, batch);
    if (c->load == LOAD_SENT)
        return;
    if (is_unknown(c))
        release = *c->sent_release ? c->sent_release : c->loaded_release;
    if (*release && release != c->loaded_release)
        (void)text_copy(c->loaded_release, sizeof c->loaded_release, release);
    c->sent_release[0] = 0;
    if (*container_release(c) || is_unknown(c))
        note(c->device, c->loaded_release, c->rollback && !is_unknown(c), batch);
}

void sequence_note_forgotten(struct container *c, struct store_batch *batch)
{
    if (c->load == LOAD_SENT || is_unknown(c))
        note(c->device, c->sent_release, false, batch);
}

void sequence_begin(struct container *c)
{
    struct store_batch *batch = is_unknown(c) && *c->sent_release ? store_batch_new() : NULL;

    if (batch) {
        sequence_note_forgotten(c, batch);
        store_submit(c->device->core->options.store, batch, NULL, NULL);
    }
    memcpy(c->sent_release, c->desired_release, sizeof c->sent_release);
}

/* What the device has, or may have: a load whose answer is not known counts as taken. */
static uint64_t highest_of(const struct device *device, const char *component)
{
    uint64_t highest = sequence_highest(device, component);

    for (const struct container *c = device->containers; c; c = c->hh.next) {
        uint64_t sent = c->load == LOAD_SENT ? number_of(device->core, c->sent_release, component) : 0;

        highest = sent > highest ? sent : highest;
    }
    return highest;
}

static size_t count(const struct device *device)
{
    size_t n = 0;

    for (const struct device_sequence *s = device->sequences; s; s = s->next)
        n++;
    return n;
}

int sequence_check(const struct device *device, const char *release, bool rollback, struct fault *fault)
{
    uint64_t number = release_sequence(device->core, release), highest;
    char component[CORE_NAME_MAX + 1];

    release_component(release, component);
    highest = highest_of(device, component);
    if (number < highest && !rollback)
        return fault_set(fault, FAULT_ROLLBACK_REFUSED,
                         "Device '%s' took number %llu of '%s'; release %s has number %llu. To go back on purpose ask "
                         "for it with \"rollback\": true.",
                         device->id, (unsigned long long)highest, component, release, (unsigned long long)number);
    if (!find(device, component) && count(device) >= SEQUENCES_MAX)
        return fault_set(fault, FAULT_LIMIT_REACHED, "Device '%s' has had releases of %d names, which is the limit.",
                         device->id, SEQUENCES_MAX);
    return 0;
}
