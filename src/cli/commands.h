#ifndef TC_CLI_COMMANDS_H
#define TC_CLI_COMMANDS_H

#include "cli/command.h"

/* The parts of the table of commands; each is grouped by the first word, which completion goes by. */

extern const struct command commands_device[], commands_deploy[], commands_gateway[], commands_offline[],
    commands_access[];
extern const size_t commands_device_size, commands_deploy_size, commands_gateway_size, commands_offline_size,
    commands_access_size;

#endif
