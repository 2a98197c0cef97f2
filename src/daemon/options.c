#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct {
    struct option option;
    const char *argument;
    const char *help;
} table[] = {
    {{"config", required_argument, NULL, 'c'}, "FILE", "read FILE instead of " SYSCONFDIR "/tcgw/tcgw.conf"},
    {{"set", required_argument, NULL, 'o'}, "SECTION.KEY=VALUE", "set one key, over the file; may be repeated"},
    {{"check-config", no_argument, NULL, 'C'}, NULL, "check the configuration and exit"},
    {{"print-config", no_argument, NULL, 'P'}, NULL, "print the effective configuration with its help and exit"},
    {{"restore", required_argument, NULL, 'R'}, "FILE", "put a backup in the place of the database and exit"},
    {{"help", no_argument, NULL, 'h'}, NULL, "print this help and exit"},
    {{"version", no_argument, NULL, 'V'}, NULL, "print the version and exit"},
};

static int take_option(struct options *options, int option, char *reason, size_t reason_size)
{
    switch (option) {
    case 'c':
        options->config = optarg;
        return 0;
    case 'o':
        if (options->setting_count == OPTIONS_MAX_SETTINGS) {
            (void)snprintf(reason, reason_size, "--set may be given at most %d times", OPTIONS_MAX_SETTINGS);
            return 1;
        }
        options->settings[options->setting_count++] = optarg;
        return 0;
    case 'C':
        options->check_config = true;
        return 0;
    case 'P':
        options->print_config = true;
        return 0;
    case 'R':
        options->restore = optarg;
        return 0;
    case 'h':
        options->help = true;
        return 0;
    case 'V':
        options->version = true;
        return 0;
    default:
        (void)snprintf(reason, reason_size, "see tcgwd --help");
        return 1;
    }
}

int options_parse(struct options *options, int argc, char **argv, char *reason, size_t reason_size)
{
    struct option longs[array_size(table) + 1] = {0};
    int option;

    *options = (struct options){0};
    for (size_t i = 0; i < array_size(table); i++)
        longs[i] = table[i].option;
    while ((option = getopt_long(argc, argv, "c:o:hV", longs, NULL)) != -1)
        if (take_option(options, option, reason, reason_size))
            return 1;
    if (optind < argc) {
        (void)snprintf(reason, reason_size, "unexpected argument \"%s\"; see tcgwd --help", argv[optind]);
        return 1;
    }
    return 0;
}

void options_print_help(void)
{
    printf("Usage: tcgwd [OPTION]...\n"
           "The gateway daemon: REST and JSON on one side, CoAP device agents on the other.\n\n");
    for (size_t i = 0; i < array_size(table); i++) {
        char left[48];
        int value = table[i].option.val;

        (void)snprintf(left, sizeof left, "%c%c%c --%s%s%s", strchr("cohV", value) ? '-' : ' ',
                       strchr("cohV", value) ? value : ' ', strchr("cohV", value) ? ',' : ' ', table[i].option.name,
                       table[i].argument ? " " : "", table[i].argument ? table[i].argument : "");
        printf("  %-36s %s\n", left, table[i].help);
    }
    printf("\nWithout a configuration file the defaults serve this machine alone. Signals: HUP reads the\n"
           "configuration again, TERM and INT stop. See tcgwd(8) and tcgw.conf(5).\n");
}
