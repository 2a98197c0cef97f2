#ifndef TC_CORE_DIRECTORY_H
#define TC_CORE_DIRECTORY_H

#include "base/buffer.h"
#include "codec/linkformat.h"
#include "core/core.h"

/*
 * The resource directory's entries (RFC 9176): what endpoints registered. An entry is bound to the device that its
 * message was authentic of; or to a device that may be used without protection (keyring_allows_plain) when the endpoint
 * name is its id, or the entry is its already, or the message came from its address. Any other entry is a hint: it
 * changes nothing at a device, costs no write, and does not outlive a restart.
 */

#define DIRECTORY_EP_MAX 63    /* bytes of endpoint name and of sector (RFC 9176 section 5: 63) */
#define DIRECTORY_BASE_MAX 127 /* bytes of the base URI */
#define DIRECTORY_LT_DEFAULT 90000
#define DIRECTORY_LINKS_MAX 8192 /* bytes of the links of one endpoint */

struct registration {
    uint64_t number; /* never used again; the location is "/rd/" and it */
    char ep[DIRECTORY_EP_MAX + 1], sector[DIRECTORY_EP_MAX + 1];
    char base[DIRECTORY_BASE_MAX + 1];
    char address[CORE_ADDRESS_MAX + 1]; /* where it came from */
    char device[CORE_ID_MAX + 1];       /* bound to it; empty: a hint */
    uint32_t lifetime;                  /* s */
    int64_t registered, updated;        /* wall ms */
    int64_t expires;                    /* monotonic ms */
    char *links;                        /* link format, with NUL */
    char *attributes;                   /* further parameters of the registration, "et=x&sleep=60"; "" for none */
};

/* Who registers: the device that the message was authentic of, NULL for a plain one; and the address it came from. */
struct directory_source {
    struct device *device;
    const char *address;
};

/* Query ("ep=x&lt=60": percent-encoded, so that a value may hold '&') and links of a registration request. 0, or
 * positive with FAULT_INVALID_PARAMETER, FAULT_INVALID_FIELD or FAULT_BODY_TOO_LARGE (links), FAULT_FORBIDDEN (another
 * device's name; a plain message for a device that has credentials), FAULT_LIMIT_REACHED, and FAULT_RATE_LIMITED. An
 * authentic message need not say ep: it is the device's id. The same (ep, d) keeps its location. *number is it; done
 * after the commit. */
int core_register_endpoint(struct core *core, const struct directory_source *source, const char *query,
                           const char *links, size_t links_size, core_done_fn done, void *arg, struct fault *fault,
                           uint64_t *number, bool *created) must_check;
/* Simple registration: asks the endpoint at the address for its links first, with the protection that belongs to the
 * device, then as core_register_endpoint. Positive, or a fault of `done`, with FAULT_OVERLOADED too. */
int core_register_simply(struct core *core, const struct directory_source *source, const char *query, core_done_fn done,
                         void *arg, struct fault *fault) must_check;
/* An update (POST to the location). FAULT_NOT_FOUND, FAULT_FORBIDDEN when it is another's. */
int core_update_registration(struct core *core, const struct directory_source *source, uint64_t number,
                             const char *query, core_done_fn done, void *arg, struct fault *fault) must_check;
int core_remove_registration(struct core *core, const struct directory_source *source, uint64_t number,
                             core_done_fn done, void *arg, struct fault *fault) must_check;
/* The same by a person. */
int core_forget_registration(struct core *core, uint64_t number, core_done_fn done, void *arg,
                             struct fault *fault) must_check;

const struct registration *core_find_registration(const struct core *core, uint64_t number);
const struct registration *core_registration_of(const struct device *device); /* the newest one bound to it, or NULL */
/* In the order of their numbers, from the first greater than `after`. */
size_t core_list_registrations(const struct core *core, uint64_t after, const struct registration **out, size_t max);
json_t *core_registration_json(const struct core *core, const struct registration *registration);
/* An array of {"target", "attributes": {name: text or true}} from text in link format, as far as it is. */
json_t *core_links_json(const char *links);
/* RFC 9176 section 6: `query` as it came ("ep=x*&rt=temp&page=0&count=10"); appends link format. `endpoints`: of
 * rd-lookup/ep, else of rd-lookup/res. FAULT_INVALID_PARAMETER. */
int core_look_up(const struct core *core, bool endpoints, const char *query, struct buffer *out,
                 struct fault *fault) must_check;

struct directory_stats {
    size_t bound, hints;                                           /* now */
    uint64_t changes;                                              /* of what a lookup may show */
    uint64_t registered, updated, removed, expired, hints_refused; /* since the start */
};
void core_get_directory_stats(const struct core *core, struct directory_stats *out);

#endif
