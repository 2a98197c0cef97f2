#ifndef TC_CLI_REDACT_H
#define TC_CLI_REDACT_H

#include "base/buffer.h"

#include <jansson.h>

/* What has no place in a file that is handed to others: it is replaced by REDACT_MARK. */

#define REDACT_MARK "[removed]"

/* Members of a JSON value, at any depth, whose names say that they are secret: password, token, master_secret ... */
void redact_json(json_t *json);

/*
 * The same of a text: private keys in PEM, passwords in URLs, values of Authorization and Bearer, and in lines NAME =
 * VALUE those of names that say so. Returns a text of its own, without what a terminal could take for a command.
 */
struct buffer redact_text(const char *text, size_t size);

/* Every place of a text that has the secret, as it is or in hexadecimal. */
void redact_secret(struct buffer *text, const void *secret, size_t size);

#endif
