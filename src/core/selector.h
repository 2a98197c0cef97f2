#ifndef TC_CORE_SELECTOR_H
#define TC_CORE_SELECTOR_H

#include "base/cleanup.h"
#include "core/model.h"

/*
 * Which devices something is for. JSON: an object with at least one of
 *
 *   "devices":    ["id", ...]                 one of these
 *   "groups":     ["name", ...]               in one of these
 *   "expression": "site=paris,runtime in (wasm,rbpf),!spare"
 *   "all":        true
 *
 * and a device has to match every member that is there. An expression is a list of terms with commas between, all of
 * which have to hold: `key=value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key` (there is one), `!key`. A key
 * is a label of the device, or one of the gateway's own: id, group, agent, agent_version, runtime, presence, link; a
 * device may have several groups and runtimes, of which one has to be equal. What a device does not have is unequal to
 * everything.
 */

#define SELECTOR_DEVICES_MAX 10000
#define SELECTOR_EXPRESSION_MAX 1023 /* bytes */
#define SELECTOR_TERMS_MAX 32

struct selector;

/* `pointer` is the selector's own in the body. 0; 1 with FAULT_INVALID_FIELD or FAULT_UNKNOWN_FIELD; negative. */
int selector_parse(struct selector **out, const json_t *body, const char *pointer, struct fault *fault) must_check;
bool selector_matches(const struct selector *selector, const struct device *device);
/* The devices that match now, in the order of their ids; those being removed do not. *out is malloc'ed, the caller's.
 * 0, or -ENOMEM. */
int selector_list(const struct selector *selector, const struct core *core, struct device ***out,
                  size_t *count) must_check;
bool selector_is_dynamic(const struct selector *selector); /* what it selects may change without a change of itself */
json_t *selector_json(const struct selector *selector);    /* canonical */
struct selector *selector_free(struct selector *selector); /* NULL is fine. Returns NULL */

/* The key of the link that it is on: the interface of a link-local address ("coap://[fe80::1%25eth0]:5683"), else
 * "default". Returns out. */
const char *device_link(const struct device *device, char *out, size_t size);

#define LABELS_MAX 32
#define LABEL_MAX 63 /* bytes of a name and of a value: letters, digits and . _ ~ - */
/* Checks a device's labels: an object of texts, none with the name of a key of the gateway's own.
 * FAULT_INVALID_FIELD */
int labels_check(const json_t *labels, const char *pointer, struct fault *fault) must_check;

#endif
