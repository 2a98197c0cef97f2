#include "daemon/restore.h"

#include "base/clock.h"
#include "daemon/options.h"
#include "store/chore.h"

#include <stdio.h>
#include <unistd.h>

static void tell(const struct conf *conf, const struct store_restored *restored)
{
    char time[RFC3339_SIZE];

    if (restored->created)
        (void)printf("restored the backup of %s into %s\n", clock_format_rfc3339(restored->created, time),
                     conf->state_directory);
    else
        (void)printf("restored a database without keys into %s; those that are there stay\n", conf->state_directory);
    (void)printf("%llu devices. What was there before is in %s/%s\n", (unsigned long long)restored->devices,
                 conf->state_directory, restored->kept);
    if (restored->contexts)
        (void)printf("%llu OSCORE contexts will be renewed with their devices: numbers that were used since the backup "
                     "must not be used again\n",
                     (unsigned long long)restored->contexts);
    if (restored->floors)
        (void)printf("%llu sequence numbers of releases are those of the database before, which are higher\n",
                     (unsigned long long)restored->floors);
    if (restored->created && !restored->has_sealing_key)
        (void)printf("the backup has no sealing key: it has to be where the configuration or systemd says\n");
    (void)printf("revoke again what was revoked since the backup (credentials, tokens, publishers)\n");
}

int restore_run(struct conf *conf, const char *path)
{
    struct store_restored restored;
    char reason[512];
    int result;

    conf_make_parents(conf);
    result = store_restore(conf->state_directory, path, &restored, reason, sizeof reason);
    if (result == 0)
        tell(conf, &restored);
    else
        (void)fprintf(stderr, "tcgwd: %s\n", reason);
    (void)conf_free(conf);
    if (result == STORE_E_NEWER || result == STORE_E_CORRUPT)
        return DAEMON_EXIT_DATABASE;
    if (result == STORE_E_LOCKED || result == STORE_E_DIRECTORY)
        return DAEMON_EXIT_STATE;
    return result == 0 ? DAEMON_EXIT_OK : DAEMON_EXIT_FAILURE;
}
