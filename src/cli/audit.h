#ifndef TC_CLI_AUDIT_H
#define TC_CLI_AUDIT_H

#include "cli/cli.h"

#include <jansson.h>

/*
 * Where an audit trail is read from, line by line as an export has them: {"tcgw_audit": 1, "public_key"} first where it
 * is known, then entries with their "hash", each followed by the anchors that stand for it: {"anchor": {...}}.
 */
typedef bool (*audit_line_fn)(void *arg, const json_t *line); /* false: no more */

/* Each returns a cli_exit code with an error written. From a gateway, until the anchor that it signs at the begin. */
int audit_read_gateway(struct cli *cli, audit_line_fn line, void *arg) must_check;
int audit_read_file(struct cli *cli, const char *path, audit_line_fn line, void *arg) must_check;
int audit_read_database(struct cli *cli, const char *path, audit_line_fn line, void *arg) must_check;
bool audit_is_database(const char *path);

#endif
