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

/* The device took it. The row is written whenever its container's is, so that none gets lost with a failed batch. */
void sequence_note(struct device *device, const char *release, bool rollback, struct store_batch *batch)
{
    uint64_t number = release_sequence(device->core, release);
    char component[CORE_NAME_MAX + 1];
    struct device_sequence *s;
    struct store_sequence row;

    if (!number)
        return;
    release_component(release, component);
    row = (struct store_sequence){.device = device->id, .component = component, .highest = number};
    if (rollback)
        store_batch_put_sequence(batch, &row);
    else
        store_batch_raise_sequence(batch, &row);
    s = find(device, component);
    if (!s)
        s = add(device, component); /* out of memory: the row tells after the next start */
    if (s && (rollback || s->highest < number))
        s->highest = number;
}

const char *container_release(const struct container *c)
{
    const struct release *loaded = *c->loaded_release ? release_find(c->device->core, c->loaded_release) : NULL;

    if (c->load != LOAD_DONE || !*c->reported_artifact)
        return "";
    if (*c->desired_release && strcmp(c->reported_artifact, c->desired_artifact) == 0)
        return c->desired_release;
    return loaded && release_holds(loaded, c->reported_artifact) ? c->loaded_release : "";
}

void sequence_note_container(struct container *c, struct store_batch *batch)
{
    const char *release = container_release(c);

    if (!*release)
        return;
    if (release != c->loaded_release)
        (void)text_copy(c->loaded_release, sizeof c->loaded_release, release);
    sequence_note(c->device, release, c->rollback, batch);
}

/* What the device has, or may have: a load whose answer is not known counts as taken. */
static uint64_t highest_of(const struct device *device, const struct container *c, const char *component)
{
    uint64_t highest = sequence_highest(device, component), sent;
    char of[CORE_NAME_MAX + 1];

    if (!c || c->load != LOAD_SENT)
        return highest;
    release_component(c->loaded_release, of);
    sent = strcmp(of, component) == 0 ? release_sequence(device->core, c->loaded_release) : 0;
    return sent > highest ? sent : highest;
}

static size_t count(const struct device *device)
{
    size_t n = 0;

    for (const struct device_sequence *s = device->sequences; s; s = s->next)
        n++;
    return n;
}

int sequence_check(const struct device *device, const char *uid, const char *release, bool rollback,
                   struct fault *fault)
{
    uint64_t number = release_sequence(device->core, release), highest;
    char component[CORE_NAME_MAX + 1];

    release_component(release, component);
    highest = highest_of(device, index_find_container(device, uid), component);
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
