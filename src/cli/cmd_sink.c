#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

/* Where the journal goes to. */

int sink_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/sinks"), &view_sink);
}

int sink_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/sinks/%s", args->words[0]), &view_sink);
}

int sink_retry(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "POST", client_path("/v1/sinks/%s/retry", args->words[0]), NULL, &view_sink,
                          wait_sentence("%s is tried again now.", args->words[0]));
}

int sink_letters(struct cli *cli, const struct arguments *args)
{
    return gateway_show_list(cli, client_path("/v1/sinks/%s/dead-letters", args->words[0]), &view_letter);
}

int sink_letter(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/sinks/%s/dead-letters/%s", args->words[0], args->words[1]), &view_letter);
}

int sink_resend(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "POST",
                          client_path("/v1/sinks/%s/dead-letters/%s/retry", args->words[0], args->words[1]), NULL,
                          &view_letter, wait_sentence("Dead letter %s is sent again.", args->words[1]));
}

int sink_drop(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/sinks/%s/dead-letters/%s", args->words[0], args->words[1]),
                          NULL, &view_letter, wait_sentence("Dead letter %s was removed.", args->words[1]));
}
