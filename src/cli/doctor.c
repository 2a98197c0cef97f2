#include "config.h"

#include "cli/doctor.h"

#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/table.h"

#include <stdarg.h>
#include <string.h>

static const struct {
    const char *name;
    enum colour colour;
} marks[DOCTOR_MARK_COUNT] = {
    [DOCTOR_OK] = {"ok", COLOUR_GREEN},
    [DOCTOR_SKIPPED] = {"skipped", COLOUR_DIM},
    [DOCTOR_WARNING] = {"warning", COLOUR_YELLOW},
    [DOCTOR_ERROR] = {"error", COLOUR_RED},
};

static const struct {
    const char *name;
    void (*run)(struct doctor *doctor);
    enum { ALWAYS, OF_THIS_MACHINE, OF_THE_GATEWAY } when;
} checks[] = {
    {"configuration", doctor_check_configuration, OF_THIS_MACHINE},
    {"gateway", doctor_check_gateway, ALWAYS},
    {"clock", doctor_check_clock, ALWAYS},
    {"disk", doctor_check_disk, OF_THIS_MACHINE},
    {"storage", doctor_check_storage, OF_THE_GATEWAY},
    {"database", doctor_check_database, OF_THE_GATEWAY},
    {"network", doctor_check_network, OF_THIS_MACHINE},
    {"multicast", doctor_check_multicast, OF_THIS_MACHINE},
    {"certificates", doctor_check_certificates, OF_THIS_MACHINE},
    {"uplink", doctor_check_uplink, OF_THE_GATEWAY},
    {"devices", doctor_check_devices, OF_THE_GATEWAY},
};

void doctor_find(struct doctor *doctor, enum doctor_mark mark, const char *advice, const char *format, ...)
{
    cleanup_free char *detail = NULL;
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&detail, format, ap) < 0)
        detail = NULL;
    va_end(ap);
    doctor->counts[mark]++;
    (void)json_array_append_new(doctor->findings,
                                json_pack("{s:s, s:s, s:s, s:s?}", "check", doctor->check, "state", marks[mark].name,
                                          "detail", detail ? detail : format, "advice", advice));
}

bool doctor_get(struct doctor *doctor, char *path, json_t **out)
{
    cleanup_free char *owned = path;
    const struct client_request request = {.method = "GET", .path = owned};
    cleanup_reply struct client_reply reply = {0};
    int error = gateway_try(doctor->cli, &request, &reply);

    if (error)
        doctor_find(doctor, DOCTOR_ERROR, "Look at its log: journalctl -u tcgwd", "%s was not answered (%s)", owned,
                    client_reason(doctor->cli->client));
    else if (reply.status == 401 || reply.status == 403)
        doctor_find(doctor, DOCTOR_SKIPPED, "Run it with the rights of the gateway's owner.", "you may not see %s",
                    owned);
    else if (reply.status != 200 || !reply.json)
        doctor_find(doctor, DOCTOR_ERROR, view_string(reply.json, "advice"), "%s: %s (HTTP %ld)", owned,
                    view_string(reply.json, "title"), reply.status);
    else
        *out = steal_pointer(reply.json);
    return *out != NULL;
}

static bool is_here(const struct cli *cli)
{
    return !cli->url || strstr(cli->url, "://127.") || strstr(cli->url, "://localhost") || strstr(cli->url, "://[::1]");
}

void doctor_examine(struct doctor *doctor, struct cli *cli, const struct arguments *args)
{
    *doctor = (struct doctor){.cli = cli, .args = args, .here = is_here(cli), .findings = json_array()};
    for (size_t i = 0; i < array_size(checks) && !cli_interrupted; i++) {
        doctor->check = checks[i].name;
        if (checks[i].when == OF_THIS_MACHINE && !doctor->here)
            doctor_find(doctor, DOCTOR_SKIPPED, "Run tcgw doctor on the gateway's machine too.",
                        "the gateway is on another machine");
        else if (checks[i].when == OF_THE_GATEWAY && !doctor->reachable)
            doctor_find(doctor, DOCTOR_SKIPPED, NULL, "only the gateway knows");
        else
            checks[i].run(doctor);
    }
}

void doctor_clear(struct doctor *doctor)
{
    conf_free(doctor->conf);
    json_decref(doctor->findings);
    *doctor = (struct doctor){0};
}

static enum colour colour_of(const char *state)
{
    for (size_t i = 0; i < array_size(marks); i++)
        if (strcmp(marks[i].name, state) == 0)
            return marks[i].colour;
    return COLOUR_NONE;
}

static char *escaped(const char *text)
{
    struct buffer b = {0};
    size_t size;

    display_append(&b, text, strlen(text), false);
    return (char *)buffer_steal(&b, &size);
}

static void add_line(struct table *table, const char *state, const char *check, const char *text, enum colour colour)
{
    table_add(table, strdup(state), colour_of(state), false);
    table_add(table, strdup(check), COLOUR_NONE, false);
    table_add(table, escaped(text), colour, false);
}

static void print_findings(const struct doctor *doctor)
{
    bool quiet = doctor->cli->style == CLI_STYLE_IDS;
    cleanup_table struct table *table = table_new(3);
    json_t *finding;
    size_t i;

    json_array_foreach(doctor->findings, i, finding)
    {
        const char *state = view_string(finding, "state"), *advice = view_string(finding, "advice");

        if (!table || (quiet && strcmp(state, "ok") == 0))
            continue;
        add_line(table, state, view_string(finding, "check"), view_string(finding, "detail"), COLOUR_NONE);
        if (*advice)
            add_line(table, "", "", advice, COLOUR_CYAN);
    }
    if (table)
        table_print(table, doctor->cli->out, 0, doctor->cli->colour_out);
    if (!quiet)
        (void)fprintf(doctor->cli->out, "Errors: %u, warnings: %u\n", doctor->counts[DOCTOR_ERROR],
                      doctor->counts[DOCTOR_WARNING]);
}

int doctor_run(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *all = NULL;
    struct doctor doctor;
    int rc;

    doctor_examine(&doctor, cli, args);
    rc = cli_interrupted ? CLI_INTERRUPTED : doctor.counts[DOCTOR_ERROR] ? CLI_FAILED : CLI_OK;
    all = json_pack("{s:O, s:i, s:i}", "findings", doctor.findings, "errors", (int)doctor.counts[DOCTOR_ERROR],
                    "warnings", (int)doctor.counts[DOCTOR_WARNING]);
    if (cli->style == CLI_STYLE_JSON)
        cli->writer->object(cli->writer, &view_status, all);
    else
        print_findings(&doctor);
    doctor_clear(&doctor);
    return rc;
}
