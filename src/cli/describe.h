#ifndef TC_CLI_DESCRIBE_H
#define TC_CLI_DESCRIBE_H

#include "base/buffer.h"
#include "cli/command.h"
#include "tcgw/metadata.h"

#include <jansson.h>

/* An artifact's description (docs/rest-api.md, "Artifact"), made of options and of a file. */

/* The options that describe_make reads; a group for the command table. */
extern const struct option_spec describe_options[];

/* From --description, changed by the other options; name and type are guessed from the code file where nothing says
 * them. *out is a new reference. 0 or a cli_exit code with an error written. */
int describe_make(struct cli *cli, const struct arguments *args, const char *code_file, json_t **out) must_check;

/* The metadata (but for the uid) of a description. Members that it lacks keep their present values in md. */
int describe_to_metadata(struct cli *cli, const json_t *description, struct metadata *md) must_check;

/* Reads a file ("-": standard input) of at most `limit` bytes. 0 or CLI_INVALID with an error written. */
int describe_read_file(struct cli *cli, const char *path, size_t limit, struct buffer *out) must_check;

/* The same of one with JSON in it; *out is a new reference. */
int describe_read_json(struct cli *cli, const char *path, size_t limit, json_t **out) must_check;

/* Writes a file; name NULL: to the output. */
int describe_write_file(struct cli *cli, const char *name, const void *data, size_t size) must_check;

#endif
