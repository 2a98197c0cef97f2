#include "cli/commands.h"

static const struct {
    const struct command *commands;
    const size_t *count;
} sets[] = {
    {commands_device, &commands_device_size},   {commands_deploy, &commands_deploy_size},
    {commands_access, &commands_access_size},   {commands_gateway, &commands_gateway_size},
    {commands_offline, &commands_offline_size},
};

const struct command *command_at(size_t i)
{
    for (size_t s = 0; s < array_size(sets); s++) {
        if (i < *sets[s].count)
            return &sets[s].commands[i];
        i -= *sets[s].count;
    }
    return NULL;
}

bool command_is_offline(const struct command *command)
{
    for (size_t i = 0; i < commands_offline_size; i++)
        if (&commands_offline[i] == command)
            return true;
    return false;
}

const struct command_exit command_exits[] = {
    {CLI_OK, "done"},
    {CLI_FAILED, "the operation or the device failed"},
    {CLI_USAGE, "the command line is wrong"},
    {CLI_NOT_FOUND, "a device, artifact, container or operation does not exist"},
    {CLI_CONFLICT, "it does not fit the present state: exists already, in use, changed meanwhile"},
    {CLI_INVALID, "the gateway refused the input, or a file cannot be used"},
    {CLI_UNREACHABLE, "no gateway can be reached"},
    {CLI_TIMEOUT, "not done in time, or the operation expired"},
    {CLI_UNSUPPORTED, "the agent of the device does not support it; the message says what to do"},
    {CLI_GATEWAY, "the gateway failed or is over a limit"},
    {CLI_INTERRUPTED, "interrupted; an operation goes on, its id is printed"},
};
const size_t command_exits_size = array_size(command_exits);
