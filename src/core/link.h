#ifndef TC_CORE_LINK_H
#define TC_CORE_LINK_H

#include "core/core.h"

/*
 * A link is what devices share: a radio network, a border router, an interface. How much goes over it at a time is a
 * document: {"prefixes": ["2001:db8:15::/64"], "zones": ["lowpan0"], "parallel": n, "rate": bytes per second, "block":
 * bytes}; what it leaves out is as in the configuration. A device belongs to the first document (by name) with a prefix
 * or a zone of its address; else to the link named like its zone, else to "default". The document "default" is for
 * those.
 */
struct agent_link core_link_of(const struct device *device);
bool link_any_rate(struct core *core); /* some link has a limit of bytes */

/* Of document.c. FAULT_INVALID_FIELD */
int link_parse(struct core *core, const char *key, json_t *body, void **object, struct fault *fault) must_check;
/* Names are those of ids. */
int core_put_link(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                  struct fault *fault) must_check;
int core_remove_link(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault) must_check;
/* {"name", "prefixes", "zones", "parallel", "rate", "block", "running", "waiting"}; NULL: there is none, and no
 * transfer goes over one of this name. */
json_t *core_link_json(struct core *core, const char *name);
json_t *core_link_list_json(struct core *core); /* "default" and those with a document */

#endif
