#include "daemon/manager.h"

#include <string.h>

/* The configuration, from the file and the command line. */

static const char *default_config = SYSCONFDIR "/tcgw/tcgw.conf";

static int apply_setting(struct conf *conf, const char *setting, char *reason, size_t reason_size)
{
    const char *equals = strchr(setting, '=');
    char name[64];

    if (!equals || (size_t)(equals - setting) >= sizeof name) {
        (void)snprintf(reason, reason_size, "--set %s: expected SECTION.KEY=VALUE", setting);
        return 1;
    }
    memcpy(name, setting, (size_t)(equals - setting));
    name[equals - setting] = 0;
    return conf_set(conf, name, equals + 1, reason, reason_size);
}

static void free_conf(struct conf **conf)
{
    (void)conf_free(*conf);
}

int manager_read_conf(struct conf **out, const struct options *options, char *reason, size_t reason_size)
{
    cleanup(free_conf) struct conf *conf = NULL;
    const char *path = options->config;

    if (conf_new(&conf) < 0) {
        (void)snprintf(reason, reason_size, "out of memory");
        return 1;
    }
    if (!path && access(default_config, F_OK) == 0)
        path = default_config;
    if (path && conf_read(conf, path, reason, reason_size))
        return 1;
    for (size_t i = 0; i < options->setting_count; i++)
        if (apply_setting(conf, options->settings[i], reason, reason_size))
            return 1;
    if (conf_check(conf, reason, reason_size))
        return 1;
    *out = steal_pointer(conf);
    return 0;
}
