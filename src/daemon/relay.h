#ifndef TC_DAEMON_RELAY_H
#define TC_DAEMON_RELAY_H

#include "conf/conf.h"
#include "rest/rest.h"
#include "uplink/uplink.h"

/*
 * The uplink and what ties it to REST, which do not know each other: commands of the platform become requests of the
 * route table, and REST shows the sinks.
 */
struct relay {
    struct uplink *uplink; /* NULL: not open */
    struct rest *rest;     /* the manager's, NULL: there is none (any more) */
    char gateway_id[64];
};

int relay_open(struct relay *relay, uv_loop_t *loop, struct core *core, const struct conf *conf) must_check;
void relay_pull(void *relay, const char *id, struct fault *fault); /* for core_options; good at any time */
void relay_configure(struct relay *relay, uv_loop_t *loop, struct core *core, const struct conf *conf);
/* Before the core stops, since the cursors of the sinks are to be saved. False: it was not open; closed will not come.
 */
bool relay_close(struct relay *relay, void (*closed)(void *arg), void *arg);
/* For rest_options; good before relay_open and after relay_close too. */
struct sinks_port relay_port(struct relay *relay);
void relay_add_metrics(const struct relay *relay, metric_fn add, void *to);

#endif
