#include "base/log.h"
#include "config.h"
#include "daemon/manager.h"
#include "daemon/restore.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    struct options options;
    struct conf *conf = NULL;
    char reason[512];

    if (options_parse(&options, argc, argv, reason, sizeof reason)) {
        (void)fprintf(stderr, "tcgwd: %s\n", reason);
        return DAEMON_EXIT_USAGE;
    }
    if (options.help || options.version) {
        if (options.help)
            options_print_help();
        else
            (void)printf("tcgwd %s\n", PACKAGE_VERSION);
        return DAEMON_EXIT_OK;
    }
    if (manager_read_conf(&conf, &options, reason, sizeof reason)) {
        (void)fprintf(stderr, "tcgwd: %s\n", reason);
        return DAEMON_EXIT_CONFIG;
    }
    if (options.print_config)
        conf_print(conf, stdout, true);
    if (options.check_config && !options.print_config)
        (void)printf("the configuration is valid\n");
    if (options.check_config || options.print_config) {
        (void)conf_free(conf);
        return DAEMON_EXIT_OK;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(0027); /* the database is for its owner and group; keys are for the owner alone */
    log_setup((enum log_format)conf->log_format, (enum log_level)conf->log_level);
    return options.restore ? restore_run(conf, options.restore) : manager_run(conf, &options);
}
