#define _GNU_SOURCE /* asprintf */

#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"
#include "codec/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Backups, and the database's health. */

#define WAIT_S 3600 /* a large database takes its time */

static int fetch(struct cli *cli, FILE *to)
{
    const struct client_request request = {
        .method = "POST", .path = "/v1/backup", .accept = "application/octet-stream", .save_to = to, .wait_s = WAIT_S};
    cleanup_reply struct client_reply reply = {0};
    int error = gateway_try(cli, &request, &reply);

    if (error)
        return gateway_explain(cli, error);
    return reply.status == 200 ? 0 : gateway_refusal(cli, &reply);
}

/* What was received, and is on the disk, is what was sent. */
static int check(struct cli *cli, FILE *file, uint64_t *size)
{
    if (fflush(file) != 0 || fsync(fileno(file)) != 0)
        return cli_error(cli, CLI_INVALID, NULL, "the backup cannot be written: %s", strerror(errno));
    if (backup_check_file(fileno(file), size) != BACKUP_GOOD)
        return cli_error(cli, CLI_FAILED, "Try again.", "the backup was cut off on its way");
    return 0;
}

int backup_make(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *temporary = NULL, *sentence = NULL;
    const char *path = args->words[0];
    uint64_t size = 0;
    FILE *file;
    int fd, rc;

    if (asprintf(&temporary, "%s.part", path) < 0)
        return cli_error(cli, CLI_FAILED, NULL, "out of memory");
    (void)unlink(temporary);
    fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    file = fd >= 0 ? fdopen(fd, "w+e") : NULL;
    if (!file)
        return cli_error(cli, CLI_INVALID, NULL, "%s cannot be made: %s", temporary, strerror(errno));
    rc = fetch(cli, file);
    if (!rc)
        rc = check(cli, file, &size);
    if (!rc && rename(temporary, path) != 0)
        rc = cli_error(cli, CLI_INVALID, NULL, "%s cannot be made: %s", path, strerror(errno));
    (void)fclose(file);
    if (rc) {
        (void)unlink(temporary);
        return rc;
    }
    if (asprintf(&sentence, "%s has %llu bytes. It has the gateway's keys: keep it where nobody else can read it.",
                 path, (unsigned long long)size) < 0)
        sentence = NULL;
    cli->writer->outcome(cli->writer, &view_database, NULL, sentence ? sentence : path);
    return CLI_OK;
}

int database_check(struct cli *cli, const struct arguments *args)
{
    const struct client_request request = {.method = "POST", .path = "/v1/database/check", .wait_s = WAIT_S};
    cleanup_json json_t *verdict = NULL;
    int rc = gateway_call(cli, &request, &verdict);

    (void)args;
    if (rc)
        return rc;
    if (!json_is_true(json_object_get(verdict, "ok")))
        return cli_error(cli, CLI_FAILED, "Make a copy of the state directory, then restore a backup: tcgwd --restore.",
                         "the database is damaged: %s", view_string(verdict, "verdict"));
    cli->writer->outcome(cli->writer, &view_database, verdict, "The database is whole.");
    return CLI_OK;
}

/* In pieces, until nothing is left, or no less. */
int database_compact(struct cli *cli, const struct arguments *args)
{
    const struct client_request request = {.method = "POST", .path = "/v1/database/compact", .once = true};
    json_int_t left = 0, before = 0;
    cleanup_json json_t *state = NULL;

    (void)args;
    do {
        int rc;

        json_decref(state);
        state = NULL;
        before = left;
        rc = gateway_call(cli, &request, &state);
        if (rc)
            return rc;
        left = json_integer_value(json_object_get(state, "free_bytes"));
    } while (left > 0 && left != before && !cli_interrupted);
    if (left > 0)
        return cli_error(cli, CLI_UNSUPPORTED, "A backup that is restored is compact, and can be compacted.",
                         "%lld bytes are free in the database, which an older version has made: it cannot shrink while "
                         "it is used",
                         (long long)left);
    cli->writer->outcome(cli->writer, &view_database, state, "Nothing is free in the database.");
    return CLI_OK;
}
