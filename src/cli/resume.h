#ifndef TC_CLI_RESUME_H
#define TC_CLI_RESUME_H

#include "cli/cli.h"

#include <jansson.h>

#define RESUME_MIN_BYTES (256u << 10) /* what is smaller is sent in one request */

/* Uploads code and data (NULL: none) with a description in JSON, in pieces that go on after a lost connection or a
 * restart of either side. *out is the artifact. A cli_exit code. */
int resume_upload(struct cli *cli, const char *description, const char *code, const char *data,
                  json_t **out) must_check;

#endif
