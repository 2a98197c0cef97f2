#include "config.h"

#include "cli/doctor.h"

#include "cli/gateway.h"

#include <curl/curl.h>
#include <string.h>

#define ASK_WAIT_S 5 /* for a device's answer */
#define ASK_MOST 20  /* devices that are asked */
#define CLOCK_APART_S 5
#define DISK_LOW_PERCENT 10

static int64_t number(const json_t *object, const char *path)
{
    return json_integer_value(view_at(object, path));
}

/* The gateway ------------------------------------------------------------------------------------------------------ */

static void look_at_health(struct doctor *doctor)
{
    const struct client_request request = {.method = "GET", .path = "/healthz"};
    cleanup_reply struct client_reply reply = {0};
    int error = gateway_try(doctor->cli, &request, &reply);

    if (error) {
        doctor_find(doctor, DOCTOR_ERROR,
                    "Start it (systemctl start tcgwd), or say where it is: --socket PATH, --url URL. Only members of "
                    "the group that owns the socket may open it.",
                    "no gateway can be reached at %s (%s)", doctor->cli->url ? doctor->cli->url : doctor->cli->socket,
                    client_reason(doctor->cli->client));
        return;
    }
    doctor->reachable = true;
    if (reply.status != 200)
        doctor_find(doctor, DOCTOR_ERROR, "Look at its log: journalctl -u tcgwd", "the gateway is not well: %s",
                    view_string(reply.json, "detail"));
}

/* What the gateway finds of itself: disk, uplink, certificate ... */
static void look_at_readiness(struct doctor *doctor)
{
    const struct client_request request = {.method = "GET", .path = "/readyz"};
    cleanup_reply struct client_reply reply = {0};
    const char *name;
    json_t *check;

    if (gateway_try(doctor->cli, &request, &reply) != 0)
        return;
    json_object_foreach(json_object_get(reply.json, "checks"), name, check)
    {
        const char *status = view_string(check, "status");
        bool failing = strcmp(status, "failing") == 0;

        if (failing || strcmp(status, "warning") == 0)
            doctor_find(doctor, failing ? DOCTOR_ERROR : DOCTOR_WARNING, NULL, "%s: %s", name,
                        view_string(check, "detail"));
    }
}

void doctor_check_gateway(struct doctor *doctor)
{
    cleanup_json json_t *info = NULL;
    char up[DISPLAY_SIZE];

    look_at_health(doctor);
    if (doctor->reachable)
        look_at_readiness(doctor);
    if (!doctor->reachable || !doctor_get(doctor, client_path("/v1/info"), &info))
        return;
    if (strcmp(view_string(info, "version"), PACKAGE_VERSION) != 0)
        doctor_find(doctor, DOCTOR_WARNING, "Install tcgw and tcgwd of one version; restart tcgwd after an upgrade.",
                    "the gateway is tcgwd %s, this is tcgw " PACKAGE_VERSION, view_string(info, "version"));
    doctor_find(doctor, DOCTOR_OK, NULL, "tcgwd %s, up for %s, %lld devices, %lld containers",
                view_string(info, "version"), display_duration(number(info, "uptime_seconds") * 1000, up),
                (long long)number(info, "counts.devices"), (long long)number(info, "counts.containers"));
}

/* The two clocks differ when the gateway is elsewhere. */
static void compare_clocks(struct doctor *doctor)
{
    const struct client_request request = {.method = "GET", .path = "/healthz"};
    cleanup_reply struct client_reply reply = {0};
    char date[64];
    int64_t theirs, ours;

    if (gateway_try(doctor->cli, &request, &reply) != 0 || !client_header(&reply, "Date", date, sizeof date))
        return;
    theirs = (int64_t)curl_getdate(date, NULL);
    ours = clock_wall_ms(clock_system()) / 1000;
    if (theirs > 0 && (theirs - ours > CLOCK_APART_S || ours - theirs > CLOCK_APART_S))
        doctor_find(doctor, DOCTOR_WARNING, "Synchronise both with NTP.",
                    "the clock of the gateway and that of this machine are %lld s apart", (long long)(theirs - ours));
}

void doctor_check_clock(struct doctor *doctor)
{
    if (doctor->here)
        doctor_check_own_clock(doctor);
    else if (doctor->reachable)
        compare_clocks(doctor);
    if (!doctor->here && doctor->reachable)
        doctor_find(doctor, DOCTOR_OK, NULL, "compared with that of this machine");
}

void doctor_check_storage(struct doctor *doctor)
{
    cleanup_json json_t *storage = NULL;
    char text[DISPLAY_SIZE];
    int64_t size, free_bytes;

    if (!doctor_get(doctor, client_path("/v1/storage"), &storage))
        return;
    free_bytes = number(storage, "disk.free");
    size = number(storage, "disk.size");
    (void)display_bytes((uint64_t)free_bytes, text);
    if (size > 0 && free_bytes < size / 100 * DISK_LOW_PERCENT)
        doctor_find(doctor, DOCTOR_WARNING,
                    "Free some, move gateway.state_directory, or keep less: telemetry.max_age, journal.max_bytes.",
                    "%s are left on the gateway's disk", text);
    else
        doctor_find(doctor, DOCTOR_OK, NULL, "%s are left on the gateway's disk", text);
}

void doctor_check_database(struct doctor *doctor)
{
    cleanup_json json_t *info = NULL;
    char text[DISPLAY_SIZE];

    if (!doctor_get(doctor, client_path("/v1/info"), &info))
        return;
    if (number(info, "storage.failed_commits") > 0)
        doctor_find(doctor, DOCTOR_WARNING, "Look at its log for the reason (journalctl -u tcgwd), and at the disk.",
                    "%lld changes could not be written since the start",
                    (long long)number(info, "storage.failed_commits"));
    doctor_find(doctor, DOCTOR_OK, NULL, "schema %lld, %s, %lld commits since the start",
                (long long)number(info, "storage.schema_version"),
                display_bytes((uint64_t)number(info, "storage.file_bytes"), text),
                (long long)number(info, "storage.commits"));
}

/* Uplink ----------------------------------------------------------------------------------------------------------- */

static void look_at_sink(struct doctor *doctor, const json_t *sink)
{
    const char *state = view_string(sink, "state"), *name = view_string(sink, "name"),
               *error = view_string(sink, "error");

    if (strcmp(state, "failed") == 0)
        doctor_find(doctor, DOCTOR_ERROR, "Mend its section in tcgw.conf and reload: systemctl reload tcgwd",
                    "sink %s cannot be used: %s", name, error);
    else if (strcmp(state, "up") != 0)
        doctor_find(doctor, DOCTOR_WARNING, "Check the way to it and its credentials; tcgw sink retry ends the pause.",
                    "sink %s (%s) is %s, %lld entries behind%s%s", name, view_string(sink, "target"), state,
                    (long long)number(sink, "behind"), *error ? ": " : "", error);
    else
        doctor_find(doctor, DOCTOR_OK, NULL, "sink %s is up, %lld entries behind", name,
                    (long long)number(sink, "behind"));
    if (number(sink, "dead_letters") > 0)
        doctor_find(doctor, DOCTOR_WARNING, "See them with tcgw sink dead-letters; resend or drop them.",
                    "sink %s gave up %lld messages", name, (long long)number(sink, "dead_letters"));
}

void doctor_check_uplink(struct doctor *doctor)
{
    cleanup_json json_t *sinks = NULL;
    json_t *sink;
    size_t i;

    if (!doctor_get(doctor, client_path("/v1/sinks"), &sinks))
        return;
    json_array_foreach(json_object_get(sinks, "items"), i, sink)
    {
        look_at_sink(doctor, sink);
    }
    if (json_array_size(json_object_get(sinks, "items")) == 0)
        doctor_find(doctor, DOCTOR_OK, NULL, "none is configured");
}

/* Devices ---------------------------------------------------------------------------------------------------------- */

/* Whether a device answers, whatever it answers. */
static void ask_device(struct doctor *doctor, const char *id, const char *presence)
{
    cleanup_free char *path = client_path("/v1/devices/%s/resources/.well-known/core", id);
    const struct client_request request = {
        .method = "GET", .path = path, .accept = "*/*", .fresh = true, .wait_s = ASK_WAIT_S, .once = true};
    cleanup_reply struct client_reply reply = {0};
    int error = gateway_try(doctor->cli, &request, &reply);

    if (!error && *reply.coap_code)
        doctor_find(doctor, DOCTOR_OK, NULL, "%s answers", id);
    else
        doctor_find(doctor, DOCTOR_WARNING,
                    "Check its power, its address (tcgw device show) and its network; tcgw device probe asks again.",
                    "%s is %s and did not answer: %s", id, presence,
                    error ? client_reason(doctor->cli->client) : view_string(reply.json, "title"));
}

static void look_at_device(struct doctor *doctor, const json_t *device, unsigned *left)
{
    const char *id = view_string(device, "id"), *state = view_string(device, "presence.state");

    if (strcmp(view_string(device, "security"), "none") == 0 || strcmp(view_string(device, "security"), "plain") == 0)
        doctor_find(doctor, DOCTOR_WARNING, "Give it credentials: tcgw device enrol", "%s has no credentials", id);
    if (strcmp(state, "online") == 0)
        doctor_find(doctor, DOCTOR_OK, NULL, "%s is online", id);
    else if (strcmp(state, "asleep") == 0)
        doctor_find(doctor, DOCTOR_OK, NULL, "%s sleeps", id);
    else if (arguments_given(doctor->args, "no-ask") || !*left)
        doctor_find(doctor, strcmp(state, "unknown") == 0 ? DOCTOR_SKIPPED : DOCTOR_WARNING,
                    "Ask it: tcgw device probe", "%s is %s", id, state);
    else {
        (*left)--;
        ask_device(doctor, id, state);
    }
}

void doctor_check_devices(struct doctor *doctor)
{
    char *path = client_path("/v1/devices");
    cleanup_json json_t *devices = NULL;
    unsigned left = ASK_MOST;
    json_t *device;
    size_t i;

    if (gateway_list(doctor->cli, path, 0, &devices) != 0) {
        doctor_find(doctor, DOCTOR_ERROR, NULL, "the devices could not be listed");
        return;
    }
    json_array_foreach(json_object_get(devices, "items"), i, device)
    {
        if (!cli_interrupted)
            look_at_device(doctor, device, &left);
    }
    if (json_array_size(json_object_get(devices, "items")) == 0)
        doctor_find(doctor, DOCTOR_OK, "Add one: tcgw device add ID coap://ADDRESS", "there are none");
}
