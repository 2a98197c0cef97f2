#include "base/text.h"
#include "coap/address.h"
#include "coap/driver_suit.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VENDOR "riot-os.org"
#define PAYLOAD_PATH_MAX 63 /* bytes of a path that RIOT's client takes */

enum suit_dialect suit_dialect_of(const struct device *device)
{
    return strncmp(device->agent_version, SUIT_VERSION_IETF, strlen(SUIT_VERSION_IETF)) == 0 ? SUIT_IETF : SUIT_RIOT;
}

/* Components ------------------------------------------------------------------------------------------------------ */

static bool add_segment(struct suit_component *out, const char *text, size_t size)
{
    if (out->id_count == SUIT_SEGMENTS_MAX || size == 0 || size > SUIT_SEGMENT_MAX)
        return false;
    memcpy(out->id[out->id_count].bytes, text, size);
    out->id[out->id_count++].size = size;
    return true;
}

/* "3" is short for "ram.3"; "00" is itself. */
static bool is_ram_number(const char *uid)
{
    return uid[strspn(uid, "0123456789")] == 0 && (uid[0] != '0' || !uid[1]);
}

static bool parse_component(const char *uid, struct suit_component *out)
{
    *out = (struct suit_component){.id_count = 0};
    if (is_ram_number(uid) && !add_segment(out, "ram", 3))
        return false;
    for (const char *from = uid;; from++) {
        size_t size = strcspn(from, ".");

        if (!add_segment(out, from, size))
            return false;
        from += size;
        if (!*from)
            return true;
    }
}

static bool same_component(const struct suit_component *a, const struct suit_component *b)
{
    bool same = a->id_count == b->id_count;

    for (size_t i = 0; same && i < a->id_count; i++)
        same = a->id[i].size == b->id[i].size && memcmp(a->id[i].bytes, b->id[i].bytes, a->id[i].size) == 0;
    return same;
}

/* Checks ---------------------------------------------------------------------------------------------------------- */

static int check_made(const struct device *device, const struct artifact *artifact, struct fault *fault)
{
    if (artifact->type != CONTAINER_TYPE_RBPF && artifact->type != CONTAINER_TYPE_NATIVE)
        return fault_set(fault, FAULT_RUNTIME_UNSUPPORTED,
                         "SUIT device '%s' takes artifacts of the types rbpf, native and suit; '%.12s' is of type %s",
                         device->id, artifact->id, container_type_name(artifact->type));
    if (artifact->data_size)
        return fault_set(fault, FAULT_INVALID_ARTIFACT,
                         "artifact '%.12s' has a data part, for which a SUIT device has no place", artifact->id);
    return 0;
}

static int check_taken(const struct device *device, const char *uid, const struct artifact *artifact,
                       struct fault *fault)
{
    if (suit_dialect_of(device) == SUIT_RIOT)
        return task_check_size(device, uid, "manifest", artifact->code_size, SUIT_RIOT_MAX, fault);
    return 0;
}

int suit_check(const struct device *device, const char *uid, const struct artifact *artifact, struct fault *fault)
{
    struct suit_component component;

    if (!parse_component(uid, &component))
        return fault_set(
            fault, FAULT_INVALID_ID,
            "the container's uid must name a component of SUIT device '%s': 1 to %d parts of 1 to %d bytes "
            "with dots between, like ram.0; or the number of a part of RAM",
            device->id, SUIT_SEGMENTS_MAX, SUIT_SEGMENT_MAX);
    return artifact->type == CONTAINER_TYPE_SUIT ? check_taken(device, uid, artifact, fault)
                                                 : check_made(device, artifact, fault);
}

/* Manifests ------------------------------------------------------------------------------------------------------- */

void suit_payload(const struct agent_call *call, const uint8_t **bytes, size_t *size, const char **digest)
{
    bool taken = call->artifact->type == CONTAINER_TYPE_SUIT;

    *bytes = taken ? call->data : call->code;
    *size = taken ? call->data_size : call->code_size;
    *digest = taken ? call->artifact->data_digest : call->artifact->code_digest;
}

static void set_class(const char *board, struct suit_component *c)
{
    suit_vendor_id(VENDOR, c->vendor);
    suit_class_id(c->vendor, board, c->class_id);
    c->has_vendor = c->has_class = true;
}

static enum agent_outcome make(const struct suit_plan *plan, EVP_PKEY *key, struct update *update, char *reason,
                               size_t reason_size)
{
    struct suit_manifest manifest = {
        .dialect = suit_dialect_of(plan->call->device), .sequence = update->sequence, .component_count = 1};
    struct suit_component *c = &manifest.components[0];
    int size;

    if (!key) {
        (void)snprintf(reason, reason_size, "the gateway has no key to sign manifests with");
        return AGENT_LOCAL;
    }
    if (!*plan->board) {
        (void)snprintf(reason, reason_size, "the device does not tell its board (/riot/board), which a manifest names");
        return AGENT_GARBAGE;
    }
    if (!parse_component(plan->call->uid, c))
        return AGENT_LOCAL; /* suit_check has said so before */
    set_class(plan->board, c);
    c->has_digest = text_unhex(update->image->digest, c->digest, sizeof c->digest);
    c->size = update->image->size;
    c->has_size = true;
    size = snprintf(c->uri, sizeof c->uri, "coap://%s/a/%.*s", plan->own_host, UPDATE_DIGITS_OFFERED,
                    update->image->digest);
    if (size < 0 || (size_t)size >= sizeof c->uri)
        return AGENT_LOCAL;
    return suit_make(&update->manifest, &manifest, key, reason, reason_size) ? AGENT_LOCAL : AGENT_OK;
}

/* Where the path of a URI begins; NULL: it has none. */
static const char *find_path(const char *uri)
{
    const char *host = strstr(uri, "://");

    return host ? strchr(host + 3, '/') : NULL;
}

/* The path is ours: "/a/" and digits of the payload's digest. Whose host it names is the publisher's to know. */
static bool names_payload(const char *uri, const char *digest)
{
    const char *path = find_path(uri);
    size_t size = path ? strlen(path) : 0;

    return size >= 3 + UPDATE_DIGITS_MIN && size <= 3 + CORE_DIGEST_TEXT - 1 && memcmp(path, "/a/", 3) == 0 &&
           memcmp(path + 3, digest, size - 3) == 0;
}

static const char *find_mismatch(const struct suit_plan *plan, const struct suit_manifest *manifest,
                                 const char *payload_digest)
{
    const struct suit_component *c = &manifest->components[0];
    struct suit_component wanted, own;
    uint8_t digest[32];

    if (manifest->dialect != suit_dialect_of(plan->call->device))
        return "the manifest is of the dialect that this device does not take";
    if (manifest->component_count != 1)
        return "the manifest has several components, and an artifact one payload";
    if (!parse_component(plan->call->uid, &wanted) || !same_component(c, &wanted))
        return "the manifest is for another component than the container's uid says";
    if (*plan->board) {
        set_class(plan->board, &own);
        if ((c->has_vendor && memcmp(c->vendor, own.vendor, sizeof own.vendor) != 0) ||
            (c->has_class && memcmp(c->class_id, own.class_id, sizeof own.class_id) != 0))
            return "the manifest is for another kind of device than its board says";
    }
    if (!c->has_digest || !text_unhex(payload_digest, digest, sizeof digest) || memcmp(c->digest, digest, 32) != 0)
        return "the manifest is for another payload than the artifact has";
    if (!manifest->authentication || !manifest->digest_matches)
        return "the manifest is not signed, or was changed after it was";
    if (strlen(c->uri) == 0 ||
        (manifest->dialect == SUIT_RIOT && find_path(c->uri) && strlen(find_path(c->uri)) > PAYLOAD_PATH_MAX))
        return "the manifest names no URI that the device can fetch the payload from";
    return NULL;
}

static enum agent_outcome take(const struct suit_plan *plan, struct update *update, char *reason, size_t reason_size)
{
    const struct agent_call *call = plan->call;
    struct suit_manifest manifest;
    const char *problem;
    int r = suit_parse(&manifest, call->code, call->code_size, reason, reason_size);

    if (r)
        return r < 0 ? AGENT_LOCAL : AGENT_UNVERIFIED;
    problem = find_mismatch(plan, &manifest, call->artifact->data_digest);
    if (problem) {
        (void)snprintf(reason, reason_size, "%s; nothing was sent", problem);
        return AGENT_UNVERIFIED;
    }
    update->sequence = manifest.sequence;
    update->fetches_payload = names_payload(manifest.components[0].uri, call->artifact->data_digest);
    buffer_append(&update->manifest, call->code, call->code_size);
    return update->manifest.failed ? AGENT_LOCAL : AGENT_OK;
}

enum agent_outcome suit_prepare(const struct suit_plan *plan, EVP_PKEY *key, struct update *update, char *reason,
                                size_t reason_size)
{
    bool taken = plan->call->artifact->type == CONTAINER_TYPE_SUIT;
    enum agent_outcome outcome;

    (void)snprintf(reason, reason_size, "the manifest could not be made");
    outcome = taken ? take(plan, update, reason, reason_size) : make(plan, key, update, reason, reason_size);
    if (outcome == AGENT_OK && plan->has_version && plan->version >= update->sequence) {
        (void)snprintf(reason, reason_size,
                       "the device has sequence number %" PRIu64 ", the manifest %" PRIu64 "; nothing was sent",
                       plan->version, update->sequence);
        return AGENT_REFUSED;
    }
    return outcome;
}

/* Addresses ------------------------------------------------------------------------------------------------------- */

size_t suit_trigger_url(const struct update *update, const char *own_host, char out[SUIT_TRIGGER_MAX])
{
    int size = snprintf(out, SUIT_TRIGGER_MAX, "coap://%s/m/%s", own_host, update->device);

    if (size < 0 || size >= SUIT_TRIGGER_MAX)
        size = snprintf(out, SUIT_TRIGGER_MAX, "coap://%s/m/%s", own_host, update->alias);
    return (size_t)size + 1;
}

/* The address that the system would send from; nothing is sent. */
static bool find_source(const struct peer *peer, struct sockaddr_storage *out)
{
    bool v4 = peer->address.any.sa_family == AF_INET;
    socklen_t size = v4 ? sizeof peer->address.v4 : sizeof peer->address.v6, room = sizeof *out;
    int fd = socket(peer->address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found;

    if (fd < 0)
        return false;
    found = connect(fd, &peer->address.any, size) == 0 && getsockname(fd, (struct sockaddr *)out, &room) == 0;
    (void)close(fd);
    return found;
}

bool suit_own_host(const struct peer *peer, uint16_t port, char *out, size_t size)
{
    struct sockaddr_storage source;
    char text[INET6_ADDRSTRLEN];
    bool v4 = peer->address.any.sa_family == AF_INET;
    const void *address = v4 ? (const void *)&((struct sockaddr_in *)&source)->sin_addr
                             : (const void *)&((struct sockaddr_in6 *)&source)->sin6_addr;
    int n;

    if (!port || !find_source(peer, &source) || !inet_ntop(v4 ? AF_INET : AF_INET6, address, text, sizeof text))
        return false;
    n = snprintf(out, size, v4 ? "%s" : "[%s]", text);
    if (port != ADDRESS_DEFAULT_PORT && n > 0 && (size_t)n < size)
        n += snprintf(out + n, size - (size_t)n, ":%u", port);
    return n > 0 && (size_t)n < size;
}
