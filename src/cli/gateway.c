#include "cli/gateway.h"

#include "base/fault.h"
#include "base/text.h"
#include "cli/dry_run.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE "1000"
#define MIN_PREFIX 4

#define ADVICE_START                                                                                                   \
    "Start the gateway (systemctl start tcgwd, or tcgwd by hand), or say where it is: --socket PATH (TCGW_SOCKET) or " \
    "--url http://HOST:PORT (TCGW_URL)."

static struct client *open_client(const struct cli *cli)
{
    struct client *client = client_new(cli->socket, cli->url, cli->timeout_ms);

    return client && client_set_trust(client, cli->token, cli->ca) ? client : client_free(client);
}

int gateway_try(struct cli *cli, const struct client_request *request, struct client_reply *reply)
{
    if (dry_run_is_change(request) && cli->watching)
        return CLIENT_E_WRITES;
    if (dry_run_is_change(request) && cli->dry_run) {
        dry_run_tell(cli, request);
        return CLIENT_E_PLANNED;
    }
    if (!cli->client)
        cli->client = open_client(cli);
    return cli->client ? client_exchange(cli->client, request, reply) : CLIENT_E_LOCAL;
}

static const char *place(const struct cli *cli)
{
    return cli->url ? cli->url : cli->socket;
}

static int explain_refused(struct cli *cli)
{
    struct stat st;

    if (cli->url)
        return cli_error(cli, CLI_UNREACHABLE, ADVICE_START, "no gateway answers at %s (%s)", cli->url,
                         client_reason(cli->client));
    return cli_error(cli, CLI_UNREACHABLE, ADVICE_START, "no gateway listens on %s (%s)", cli->socket,
                     stat(cli->socket, &st) == 0 ? "nobody accepts connections there" : strerror(errno));
}

static int explain_permission(struct cli *cli)
{
    const struct group *group;
    char advice[160] = "Run tcgw as a user who may open the gateway's socket.";
    struct stat st;

    if (cli->socket && stat(cli->socket, &st) == 0 && (group = getgrgid(st.st_gid)) && st.st_mode & S_IWGRP)
        (void)snprintf(advice, sizeof advice, "Run tcgw as root, or join the group '%.40s' and log in again.",
                       group->gr_name);
    return cli_error(cli, CLI_UNREACHABLE, advice, "you may not open %s (permission denied)", place(cli));
}

int gateway_explain(struct cli *cli, int error)
{
    const char *reason = cli->client ? client_reason(cli->client) : "out of memory";

    switch (error) {
    case CLIENT_E_PLANNED:
        return CLI_PLANNED;
    case CLIENT_E_WRITES:
        return cli_error(cli, CLI_USAGE, NULL,
                         "--watch is for commands that show something, not for those that change it");
    case CLIENT_E_REFUSED:
        return explain_refused(cli);
    case CLIENT_E_PERMISSION:
        return explain_permission(cli);
    case CLIENT_E_UNRESOLVED:
        return cli_error(cli, CLI_UNREACHABLE, "It should look like http://127.0.0.1:8080.", "%s cannot be used (%s)",
                         place(cli), reason);
    case CLIENT_E_LOST:
        return cli_error(cli, CLI_UNREACHABLE, "Look at the gateway's log (journalctl -u tcgwd), then repeat.",
                         "the connection to %s ended before the answer (%s)", place(cli), reason);
    case CLIENT_E_TIMEOUT:
        return cli_error(cli, CLI_TIMEOUT, "Look at the gateway's log, or allow more with --timeout SECONDS.",
                         "the gateway at %s did not answer in time (%s)", place(cli), reason);
    case CLIENT_E_INTERRUPTED:
        return cli_error(cli, CLI_INTERRUPTED, NULL, "interrupted");
    case CLIENT_E_LOCAL:
        return cli_error(cli, CLI_INVALID, NULL, "a file could not be read or written (%s)", reason);
    default:
        return cli_error(cli, CLI_UNREACHABLE, ADVICE_START, "what answers at %s is not a tcgw gateway (%s)",
                         place(cli), reason);
    }
}

static int exit_code_of_status(long status)
{
    switch (status) {
    case 404:
        return CLI_NOT_FOUND;
    case 409:
    case 412:
        return CLI_CONFLICT;
    case 501:
        return CLI_UNSUPPORTED;
    default:
        return status >= 400 && status < 500 ? CLI_INVALID : CLI_GATEWAY;
    }
}

int gateway_exit_code(const char *type, long status)
{
    size_t n = strlen(FAULT_TYPE_BASE);
    enum fault_code code = strncmp(type, FAULT_TYPE_BASE, n) == 0 ? fault_from_slug(type + n) : FAULT_NONE;

    switch (code) {
    case FAULT_EXPIRED:
    case FAULT_DEVICE_TIMEOUT:
    case FAULT_DEVICE_ASLEEP:
        return CLI_TIMEOUT;
    case FAULT_NO_SLOT:
    case FAULT_LOAD_REFUSED:
    case FAULT_VERIFICATION_REFUSED:
    case FAULT_START_REFUSED:
    case FAULT_STOPPED_EARLY:
    case FAULT_OUTCOME_UNKNOWN:
    case FAULT_DEVICE_UNREACHABLE:
    case FAULT_DEVICE_ANSWER:
    case FAULT_DEVICE_ERROR:
    case FAULT_NOT_CACHED:
    case FAULT_DEVICE_UNTRUSTED:
    case FAULT_CANCELLED:
        return CLI_FAILED;
    case FAULT_NONE:
        return status ? exit_code_of_status(status) : CLI_FAILED;
    default:
        return exit_code_of_status(fault_info(code)->status);
    }
}

void gateway_write_problem(struct cli *cli, const json_t *problem, const char *title, const char *operation)
{
    size_t n = strlen(FAULT_TYPE_BASE);
    const char *type = view_string(problem, "type");
    struct problem p = {
        .title = title ? title : view_string(problem, "title"),
        .detail = view_string(problem, "detail"),
        .pointer = view_string(problem, "pointer"),
        .advice = view_string(problem, "advice"),
        .operation = operation ? operation : view_string(problem, "operation"),
        .json = problem,
    };

    if (!*p.advice && strncmp(type, FAULT_TYPE_BASE, n) == 0 && fault_from_slug(type + n) != FAULT_NONE)
        p.advice = fault_info(fault_from_slug(type + n))->advice;
    cli->writer->problem(cli->writer, &p);
}

int gateway_refusal(struct cli *cli, const struct client_reply *reply)
{
    if (reply->status < 400 || strcmp(reply->content_type, "application/problem+json") != 0 ||
        !json_is_object(reply->json))
        return cli_error(cli, CLI_UNREACHABLE, ADVICE_START, "what answers at %s is not a tcgw gateway (HTTP %ld, %s)",
                         place(cli), reply->status, *reply->content_type ? reply->content_type : "no content type");
    gateway_write_problem(cli, reply->json, NULL, NULL);
    return gateway_exit_code(view_string(reply->json, "type"), reply->status);
}

static bool is_success(const struct client_request *request, const struct client_reply *reply)
{
    if (reply->status < 200 || reply->status > 299)
        return false;
    return reply->json || reply->status == 204 || request->save_to;
}

int gateway_call(struct cli *cli, const struct client_request *request, json_t **out)
{
    cleanup_reply struct client_reply reply = {0};
    int error = gateway_try(cli, request, &reply);

    if (error)
        return gateway_explain(cli, error);
    if (!is_success(request, &reply))
        return gateway_refusal(cli, &reply);
    if (out)
        *out = steal_pointer(reply.json);
    return 0;
}

static int not_understood(struct cli *cli)
{
    return cli_error(cli, CLI_UNREACHABLE, "Check that tcgw and the gateway are of the same version (tcgw status).",
                     "the answer of the gateway at %s was not understood", place(cli));
}

int gateway_get(struct cli *cli, char *path, json_t **out)
{
    cleanup_free char *owned = path;
    struct client_request request = {.method = "GET", .path = owned};
    int rc = gateway_call(cli, &request, out);

    if (!rc && !json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        rc = not_understood(cli);
    }
    return rc;
}

static int get_page(struct cli *cli, const char *path, const char *limit, const char *cursor, json_t **page)
{
    char *url = strdup(path);

    client_add_query(&url, "limit", limit);
    if (cursor)
        client_add_query(&url, "cursor", cursor);
    return gateway_get(cli, url, page);
}

int gateway_list(struct cli *cli, char *path, int64_t most, json_t **out)
{
    cleanup_free char *owned = path;
    cleanup_json json_t *items = json_array(), *page = NULL;
    char limit[8] = PAGE;
    int rc = 0;

    if (most && most < 1000)
        (void)snprintf(limit, sizeof limit, "%d", (int)most);
    do {
        cleanup_json json_t *last = steal_pointer(page);

        rc = get_page(cli, owned, limit, json_string_value(json_object_get(last, "next")), &page);
        if (rc)
            return rc;
        if (!json_is_array(json_object_get(page, "items")))
            return not_understood(cli);
        (void)json_array_extend(items, json_object_get(page, "items"));
    } while (json_is_string(json_object_get(page, "next")) && json_array_size(json_object_get(page, "items")) &&
             (!most || (int64_t)json_array_size(items) < most));
    *out = json_pack("{s:O, s:O?}", "items", items, "next", json_object_get(page, "next"));
    return 0;
}

int gateway_show_list(struct cli *cli, char *path, const struct view *view)
{
    cleanup_json json_t *list = NULL;
    int rc = gateway_get(cli, path, &list);

    if (!rc)
        cli->writer->list(cli->writer, view, list);
    return rc;
}

int gateway_show(struct cli *cli, char *path, const struct view *view)
{
    cleanup_json json_t *object = NULL;
    int rc = gateway_get(cli, path, &object);

    if (!rc)
        cli->writer->object(cli->writer, view, object);
    return rc;
}

int gateway_change(struct cli *cli, const char *method, char *path, const json_t *body, const struct view *view,
                   char *sentence)
{
    cleanup_free char *owned = path, *said = sentence;
    cleanup_json json_t *object = NULL;
    int rc = gateway_call(cli, &(struct client_request){.method = method, .path = owned, .body = body}, &object);

    if (!rc && said)
        cli->writer->outcome(cli->writer, view, object, said);
    return rc;
}

static bool is_digits(const char *text)
{
    return strspn(text, "0123456789abcdef") == strlen(text);
}

int gateway_find_artifact(struct cli *cli, const char *typed, char *out)
{
    bool digits = is_digits(typed) && strlen(typed) >= MIN_PREFIX;
    cleanup_json json_t *list = NULL;
    unsigned matches = 0;
    json_t *item;
    size_t i;
    int rc;

    if (digits && strlen(typed) == GATEWAY_DIGEST_TEXT - 1) {
        (void)text_copy(out, GATEWAY_DIGEST_TEXT, typed);
        return 0;
    }
    rc = gateway_list(cli, client_path("/v1/artifacts"), 0, &list);
    if (rc)
        return rc;
    json_array_foreach(json_object_get(list, "items"), i, item)
    {
        const char *id = view_string(item, "id");

        if (strcmp(view_string(item, "name"), typed) != 0 && !(digits && strncmp(id, typed, strlen(typed)) == 0))
            continue;
        matches++;
        (void)text_copy(out, GATEWAY_DIGEST_TEXT, id);
    }
    if (matches == 1)
        return 0;
    if (matches)
        return cli_error(cli, CLI_CONFLICT, "Write more digits of the id (tcgw artifact list).",
                         "%u artifacts match '%s'", matches, typed);
    return cli_error(cli, CLI_NOT_FOUND, "List them with: tcgw artifact list", "no artifact has the id or name '%s'",
                     typed);
}
