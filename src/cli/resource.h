#ifndef TC_CLI_RESOURCE_H
#define TC_CLI_RESOURCE_H

#include "cli/client.h"
#include "cli/command.h"

#include <jansson.h>

/* Requests to resources of devices, for the commands that make them: resource and coap. */

/* The route of a resource: the device is the first argument, the path (with a query) the second. The caller frees it.
 */
char *resource_path(const struct arguments *args);

/* The file of an argument (NULL: an empty body), with its type. 0 or a cli_exit code with an error written. */
int resource_read_body(struct cli *cli, const struct arguments *args, const char *file, struct buffer *body,
                       struct client_request *request) must_check;

/* Writes what a device sent to the file of --output. */
int resource_write_file(struct cli *cli, const char *path, const struct buffer *body) must_check;

/* Explains what is no success, of the gateway or of the device. Returns the exit code. */
int resource_refuse(struct cli *cli, const struct client_request *request, const struct client_reply *reply);

/* Follows a resource until --count representations or Ctrl-C; show writes one ({"time", "code", "content_format",
 * "payload" or "payload_base64"}), in JSON they are written as they come. */
int resource_follow(struct cli *cli, const struct arguments *args,
                    void (*show)(struct cli *cli, const json_t *representation)) must_check;

#endif
