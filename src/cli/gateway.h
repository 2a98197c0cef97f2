#ifndef TC_CLI_GATEWAY_H
#define TC_CLI_GATEWAY_H

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/writer.h"

#include <jansson.h>

/* Requests to the gateway, with their errors explained to the user. Functions that return int give a cli_exit code. */

/* A request without any explanation: 0 or a client_error. For those who know what to do about a lost connection. */
int gateway_try(struct cli *cli, const struct client_request *request, struct client_reply *reply) must_check;
/* Explains a client_error. Returns the exit code. */
int gateway_explain(struct cli *cli, int error);
/* Explains an answer that is not a success: a problem, or something that no gateway sends. Returns the exit code. */
int gateway_refusal(struct cli *cli, const struct client_reply *reply);

/* A request whose answer is a success; *out is its JSON (new reference; NULL when it has none) and may be NULL. */
int gateway_call(struct cli *cli, const struct client_request *request, json_t **out) must_check;
/* GET; the path is taken over and freed. The answer is an object. */
int gateway_get(struct cli *cli, char *path, json_t **out) must_check;
/* GET of a list, all pages joined: {"items": [...], "next": null}. At most `most` items, 0: all. The path is taken. */
int gateway_list(struct cli *cli, char *path, int64_t most, json_t **out) must_check;

/* GET, written as a list or as an object; the path is taken over and freed. */
int gateway_show_list(struct cli *cli, char *path, const struct view *view) must_check;
int gateway_show(struct cli *cli, char *path, const struct view *view) must_check;
/* A request that changes something, and what is said when it has worked. Path and sentence are taken over. */
int gateway_change(struct cli *cli, const char *method, char *path, const json_t *body, const struct view *view,
                   char *sentence) must_check;

/* The exit code of a problem by its type (a URI, may be empty) and status (0: not known). */
int gateway_exit_code(const char *type, long status);
/* Writes a problem (or an operation's error member): {"type", "title", "detail", "advice", "pointer", "operation"}.
 * `title` and `operation` stand in where they are not NULL. */
void gateway_write_problem(struct cli *cli, const json_t *problem, const char *title, const char *operation);

/* The artifact that a user means: all 64 digits, the first ones (4 or more) or a name. out has 65 bytes. */
int gateway_find_artifact(struct cli *cli, const char *typed, char *out) must_check;

#define GATEWAY_DIGEST_TEXT 65

#endif
