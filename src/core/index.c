#include "core/internal.h"

#include <errno.h>
#include <string.h>

/* The only file that expands uthash's larger macros. */

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

struct device *index_find_device(const struct core *core, const char *id)
{
    struct device *device = NULL;

    HASH_FIND_STR(core->devices, id, device);
    return device;
}

void index_add_device(struct core *core, struct device *device)
{
    const struct device *last = core->devices ? ELMT_FROM_HH(core->devices->hh.tbl, core->devices->hh.tbl->tail) : NULL;

    core->devices_unsorted |= last && strcmp(last->id, device->id) > 0;
    HASH_ADD_STR(core->devices, id, device);
}

void index_drop_device(struct core *core, struct device *device)
{
    HASH_DEL(core->devices, device);
}

/* The table has the first of each address, and that the others in a row. */
struct device *index_find_address(const struct core *core, const char *address)
{
    struct device *device = NULL;

    HASH_FIND(by_address, core->addresses, address, strlen(address), device);
    return device;
}

static void set_first_at(struct core *core, struct device *device)
{
    HASH_ADD_KEYPTR(by_address, core->addresses, device->address, strlen(device->address), device);
}

static void leave_address(struct device *device)
{
    struct core *core = device->core;
    struct device *first = *device->address ? index_find_address(core, device->address) : NULL;

    if (first == device) {
        HASH_DELETE(by_address, core->addresses, first);
        if (device->same_address)
            set_first_at(core, device->same_address);
    }
    for (; first; first = first->same_address)
        if (first->same_address == device)
            first->same_address = device->same_address;
    device->same_address = NULL;
}

void device_set_address(struct device *device, const char *address)
{
    char copy[CORE_ADDRESS_MAX + 1];
    struct device *first;

    (void)text_copy(copy, sizeof copy, address);
    leave_address(device);
    memcpy(device->address, copy, sizeof copy);
    first = *copy ? index_find_address(device->core, copy) : NULL;
    if (first) {
        device->same_address = first->same_address;
        first->same_address = device;
    } else if (*copy) {
        set_first_at(device->core, device);
    }
}

struct device *keyring_find_plain(const struct core *core, const char *address)
{
    struct device *device = index_find_address(core, address);

    while (device && !keyring_allows_plain(device))
        device = device->same_address;
    return device;
}

struct container *index_find_container(const struct device *device, const char *uid)
{
    struct container *container = NULL;

    HASH_FIND_STR(device->containers, uid, container);
    return container;
}

void index_add_container(struct container *container)
{
    HASH_ADD_STR(container->device->containers, uid, container);
}

void index_drop_container(struct container *container)
{
    HASH_DEL(container->device->containers, container);
}

struct credential *index_find_psk(const struct core *core, const void *identity, size_t size)
{
    struct credential *credential = NULL;

    HASH_FIND(hh, core->psks, identity, size, credential);
    return credential;
}

struct credential *index_find_certificate(const struct core *core, const uint8_t fingerprint[32])
{
    struct credential *credential = NULL;

    HASH_FIND(hh, core->certificates, fingerprint, 32, credential);
    return credential;
}

int index_add_credential(struct core *core, struct credential *credential)
{
    size_t size = strlen(credential->identity);

    if (credential->kind == CREDENTIAL_PSK) {
        if (index_find_psk(core, credential->identity, size))
            return -EEXIST;
        HASH_ADD_KEYPTR(hh, core->psks, credential->identity, size, credential);
    } else {
        if (index_find_certificate(core, credential->fingerprint))
            return -EEXIST;
        HASH_ADD_KEYPTR(hh, core->certificates, credential->fingerprint, sizeof credential->fingerprint, credential);
    }
    return 0;
}

void index_drop_credential(struct core *core, struct credential *credential)
{
    if (credential->kind == CREDENTIAL_PSK)
        HASH_DEL(core->psks, credential);
    else
        HASH_DEL(core->certificates, credential);
}

struct artifact *index_find_artifact(const struct core *core, const char *id)
{
    struct artifact *artifact = NULL;

    HASH_FIND_STR(core->artifacts, id, artifact);
    return artifact;
}

void index_add_artifact(struct core *core, struct artifact *artifact)
{
    HASH_ADD_STR(core->artifacts, id, artifact);
}

void index_drop_artifact(struct core *core, struct artifact *artifact)
{
    HASH_DEL(core->artifacts, artifact);
}

struct operation *core_find_operation(const struct core *core, const char *id)
{
    struct operation *op = NULL;

    HASH_FIND_STR(core->operations, id, op);
    return op;
}

static struct operation *last_operation(const struct core *core)
{
    if (!core->operations)
        return NULL;
    return ELMT_FROM_HH(core->operations->hh.tbl, core->operations->hh.tbl->tail);
}

void index_add_operation(struct core *core, struct operation *op)
{
    const struct operation *last = last_operation(core);

    if (last && strcmp(last->id, op->id) > 0)
        core->operations_unsorted = true; /* the wall clock was set back between two runs */
    HASH_ADD_STR(core->operations, id, op);
}

void index_drop_operation(struct core *core, struct operation *op)
{
    HASH_DEL(core->operations, op);
}

static int compare_operations(const struct operation *a, const struct operation *b)
{
    return strcmp(a->id, b->id);
}

static int compare_devices(const struct device *a, const struct device *b)
{
    return strcmp(a->id, b->id);
}

static int compare_containers(const struct container *a, const struct container *b)
{
    return strcmp(a->uid, b->uid);
}

static int compare_artifacts(const struct artifact *a, const struct artifact *b)
{
    return strcmp(a->id, b->id);
}

/* Sorting is a merge sort of the table's list, which is linear where it is sorted already. */

size_t core_list_devices(struct core *core, const char *after, struct device **out, size_t max)
{
    struct device *d = after ? index_find_device(core, after) : NULL;
    size_t n = 0;

    if (core->devices_unsorted)
        HASH_SORT(core->devices, compare_devices);
    core->devices_unsorted = false;
    for (d = d ? d : core->devices; d && n < max; d = d->hh.next)
        if (!d->removing && (!after || strcmp(d->id, after) > 0))
            out[n++] = d;
    return n;
}

size_t core_list_containers(struct device *device, const char *after, struct container **out, size_t max)
{
    size_t n = 0;

    HASH_SORT(device->containers, compare_containers);
    for (struct container *c = device->containers; c && n < max; c = c->hh.next)
        if (!c->removing && (!after || strcmp(c->uid, after) > 0))
            out[n++] = c;
    return n;
}

size_t core_list_artifacts(struct core *core, const char *after, struct artifact **out, size_t max)
{
    size_t n = 0;

    HASH_SORT(core->artifacts, compare_artifacts);
    for (struct artifact *a = core->artifacts; a && n < max; a = a->hh.next)
        if (!a->pending && !a->removing && (!after || strcmp(a->id, after) > 0))
            out[n++] = a;
    return n;
}

static bool matches(const struct operation *op, const struct operation_filter *filter)
{
    if (!filter)
        return true;
    return (!filter->device || strcmp(op->device_id, filter->device) == 0) &&
           (!filter->uid || strcmp(op->uid, filter->uid) == 0) &&
           (filter->state == OPERATION_STATE_COUNT || op->state == filter->state);
}

size_t core_list_operations(struct core *core, const struct operation_filter *filter, const char *before,
                            struct operation **out, size_t max)
{
    size_t n = 0;

    if (core->operations_unsorted) {
        HASH_SORT(core->operations, compare_operations);
        core->operations_unsorted = false;
    }
    for (struct operation *op = last_operation(core); op && n < max; op = op->hh.prev)
        if ((!before || !*before || strcmp(op->id, before) < 0) && matches(op, filter))
            out[n++] = op;
    return n;
}

size_t core_count_devices(const struct core *core)
{
    return HASH_COUNT(core->devices);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */
