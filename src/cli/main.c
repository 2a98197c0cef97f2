#include "cli/cli.h"
#include "cli/display.h"

#include <curl/curl.h>

/* A second Ctrl-C ends the program at once. */
static void on_interrupt(int number)
{
    (void)number;
    cli_interrupted = 1;
}

int main(int argc, char *argv[])
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    struct cli cli = {.clock = clock_system(),
                      .out = stdout,
                      .err = stderr,
                      .out_terminal = isatty(STDOUT_FILENO),
                      .err_terminal = isatty(STDERR_FILENO)};
    int rc;

    (void)sigaction(SIGINT, &action, NULL);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    display_init();
    rc = cli_run(&cli, argc, argv);
    curl_global_cleanup();
    return rc;
}
