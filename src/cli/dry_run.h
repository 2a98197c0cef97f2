#ifndef TC_CLI_DRY_RUN_H
#define TC_CLI_DRY_RUN_H

#include "cli/cli.h"
#include "cli/client.h"

#include <jansson.h>

/* --dry-run: a request that would change something is told instead of being sent. */

/* Whether it would change something; what the gateway itself only plans (?dry_run=true) does not. */
bool dry_run_is_change(const struct client_request *request);

/* Tells it, without secrets. */
void dry_run_tell(struct cli *cli, const struct client_request *request);

/* Asks the gateway what would become of a container on devices (a selector, see docs/rollouts.md), and shows that.
 * spec:
 * {"container", "artifact" or "release", "devices", ...}. *refused: on one of them the gateway would refuse it. 0 or a
 * cli_exit code. */
int dry_run_plan(struct cli *cli, const json_t *spec, bool *refused) must_check;

/* The same, where nothing is to be sent if it would be refused: CLI_CONFLICT then. */
int dry_run_check(struct cli *cli, const json_t *spec) must_check;

#endif
