#ifndef TC_CLI_SUIT_H
#define TC_CLI_SUIT_H

#include "cli/command.h"
#include "codec/suit.h"

/* What the commands on SUIT manifests share. */

#define SUIT_REASON_SIZE 384

/* Opens a key that signs. 0 or a cli_exit code with an error written. */
int suit_command_key(struct cli *cli, const char *where, EVP_PKEY **key) must_check;
/* To --output, or to the output where that is no terminal. */
int suit_command_write(struct cli *cli, const struct arguments *args, const struct buffer *bytes) must_check;

#endif
