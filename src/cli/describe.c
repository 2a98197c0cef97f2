#include "cli/describe.h"

#include "base/text.h"
#include "cli/view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define ENDPOINT_TEXT_MAX 256

const struct option_spec describe_options[] = {
    {"description", 0, "FILE", NULL, "take the description from a JSON file; the options here change it"},
    {"name", 0, "NAME", NULL, "a name for people; by default that of the file"},
    {"type", 0, "TYPE", NULL, "wasm, rbpf, native, ...; by default what the file begins with"},
    {"syscall", 0, "NAME[,NAME]...", NULL, "system calls that it may use: heartbeat, open, close, read, write"},
    {"endpoint", 0, "id=N,...", NULL,
     "an endpoint: id=N,peer=local|remote|container,peer-endpoint=N,direction=in|out|both[,peer-uid=UID]; repeat it"},
    {"loop-period", 0, "MS", NULL, "milliseconds from one call of loop to the next"},
    {"lifetime", 0, "CALLS", NULL, "calls of loop after which the container ends; 0: no limit"},
    {"start-max-duration", 0, "MS", NULL, "milliseconds that start may take; 0: no limit"},
    {"loop-max-duration", 0, "MS", NULL, "milliseconds that one call of loop may take; 0: no limit"},
    {"stop-max-duration", 0, "MS", NULL, "milliseconds that stop may take; 0: no limit"},
    OPTION_END,
};

int describe_read_file(struct cli *cli, const char *path, size_t limit, struct buffer *out)
{
    cleanup_fclose FILE *file = fopen(strcmp(path, "-") == 0 ? "/dev/stdin" : path, "rbe");
    uint8_t *to;
    size_t n;

    if (!file)
        return cli_error(cli, CLI_INVALID, NULL, "%s cannot be read (%s)", path, strerror(errno));
    while ((to = buffer_reserve(out, 4096)) && (n = fread(to, 1, 4096, file)) > 0 && out->size + n <= limit)
        out->size += n;
    if (ferror(file))
        return cli_error(cli, CLI_INVALID, NULL, "%s cannot be read (%s)", path, strerror(errno));
    if (!to || !feof(file))
        return cli_error(cli, CLI_INVALID, NULL, "%s is larger than %zu bytes", path, limit);
    to[0] = 0;
    return 0;
}

int describe_read_json(struct cli *cli, const char *path, size_t limit, json_t **out)
{
    cleanup_buffer struct buffer text = buffer_init(2 * limit);
    json_error_t error;
    int rc = describe_read_file(cli, path, limit, &text);

    if (rc)
        return rc;
    *out = json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, &error);
    if (*out)
        return 0;
    return cli_error(cli, CLI_INVALID, NULL, "%s is no JSON: line %d: %s", path, error.line, error.text);
}

int describe_write_file(struct cli *cli, const char *name, const void *data, size_t size)
{
    FILE *file = name ? fopen(name, "wbe") : cli->out;
    bool failed = !file || fwrite(data, 1, size, file) != size;

    if (file && name && fclose(file) != 0)
        failed = true;
    if (failed)
        return cli_error(cli, CLI_INVALID, NULL, "%s cannot be written (%s)", name ? name : "the output",
                         strerror(errno));
    return 0;
}

static void guess_type(const char *code_file, json_t *description)
{
    cleanup_close int fd = open(code_file, O_RDONLY | O_CLOEXEC);
    char magic[4];

    if (fd < 0 || read(fd, magic, sizeof magic) != sizeof magic)
        return;
    if (memcmp(magic, "\0asm", 4) == 0)
        (void)json_object_set_new(description, "type", json_string("wasm"));
    else if (memcmp(magic, "rBPF", 4) == 0)
        (void)json_object_set_new(description, "type", json_string("rbpf"));
}

static void guess_name(const char *code_file, json_t *description)
{
    const char *slash = strrchr(code_file, '/'), *base = slash ? slash + 1 : code_file;
    const char *dot = strrchr(base, '.');

    (void)json_object_set_new(description, "name",
                              json_stringn(base, dot && dot != base ? (size_t)(dot - base) : strlen(base)));
}

static int read_description(struct cli *cli, const char *path, json_t **out)
{
    json_error_t error = {.line = 0};

    *out = path ? json_load_file(path, JSON_REJECT_DUPLICATES, &error) : json_object();
    if (!*out)
        return cli_error(cli, CLI_INVALID, NULL, "the description %s cannot be used (line %d: %s)", path, error.line,
                         error.text);
    if (!json_is_object(*out))
        return cli_error(cli, CLI_INVALID, NULL, "the description %s is not a JSON object", path);
    return 0;
}

static int add_syscalls(struct cli *cli, const struct arguments *args, json_t *description)
{
    cleanup_json json_t *names = json_array();
    size_t next = 0;

    for (const char *list; (list = arguments_next(args, "syscall", &next));)
        while (*list) {
            size_t n = strcspn(list, ",");
            json_t *name = json_stringn(list, n);

            if (!name || container_syscall_from_name(json_string_value(name)) == 0) {
                json_decref(name);
                return cli_error(cli, CLI_USAGE, "They are: heartbeat, open, close, read, write.",
                                 "there is no system call '%.*s'", (int)(n < 40 ? n : 40), list);
            }
            (void)json_array_append_new(names, name);
            list += n + (list[n] == ',');
        }
    if (arguments_given(args, "syscall"))
        (void)json_object_set(description, "syscalls", names);
    return 0;
}

/* One "name=value" of an endpoint; false when it makes no sense. */
static bool add_endpoint_member(json_t *endpoint, const char *name, const char *value)
{
    int64_t number;

    if (strcmp(name, "peer") == 0)
        return endpoint_peer_from_name(value) >= 0 && json_object_set_new(endpoint, "peer", json_string(value)) == 0;
    if (strcmp(name, "direction") == 0)
        return endpoint_direction_from_name(value) >= 0 &&
               json_object_set_new(endpoint, "direction", json_string(value)) == 0;
    if (strcmp(name, "peer-uid") == 0)
        return *value && json_object_set_new(endpoint, "peer_uid", json_string(value)) == 0;
    if (strcmp(name, "id") != 0 && strcmp(name, "peer-endpoint") != 0)
        return false;
    return text_parse_int(value, 0, UINT32_MAX, &number) &&
           json_object_set_new(endpoint, strcmp(name, "id") == 0 ? "id" : "peer_endpoint", json_integer(number)) == 0;
}

static int add_endpoint(struct cli *cli, const char *text, json_t *endpoints)
{
    cleanup_json json_t *endpoint =
        json_pack("{s:s, s:i, s:s}", "peer", "local", "peer_endpoint", 0, "direction", "in");
    char copy[ENDPOINT_TEXT_MAX], *rest = copy, *item;

    if (!text_copy(copy, sizeof copy, text))
        return cli_error(cli, CLI_USAGE, NULL, "--endpoint is too long");
    while ((item = strsep(&rest, ","))) {
        char *value = item;
        const char *name = strsep(&value, "=");

        if (!value || !add_endpoint_member(endpoint, name, value))
            return cli_error(cli, CLI_USAGE, "For example: --endpoint id=1,peer=local,peer-endpoint=3,direction=in",
                             "'%s%s%s' does not describe an endpoint", name, value ? "=" : "", value ? value : "");
    }
    if (!json_object_get(endpoint, "id"))
        return cli_error(cli, CLI_USAGE, NULL, "--endpoint needs an id");
    (void)json_array_append(endpoints, endpoint);
    return 0;
}

static int add_endpoints(struct cli *cli, const struct arguments *args, json_t *description)
{
    cleanup_json json_t *endpoints = json_array();
    size_t next = 0;

    for (const char *text; (text = arguments_next(args, "endpoint", &next));) {
        int rc = add_endpoint(cli, text, endpoints);

        if (rc)
            return rc;
    }
    if (arguments_given(args, "endpoint"))
        (void)json_object_set(description, "endpoints", endpoints);
    return 0;
}

static const struct {
    const char *option, *member;
    size_t offset; /* in struct container_limits */
} limits[] = {
    {"loop-period", "loop_period_ms", offsetof(struct container_limits, loop_period)},
    {"lifetime", "loop_max_lifetime", offsetof(struct container_limits, loop_max_lifetime)},
    {"start-max-duration", "start_max_duration_ms", offsetof(struct container_limits, start_max_duration)},
    {"loop-max-duration", "loop_max_duration_ms", offsetof(struct container_limits, loop_max_duration)},
    {"stop-max-duration", "stop_max_duration_ms", offsetof(struct container_limits, stop_max_duration)},
};

static int add_limits(struct cli *cli, const struct arguments *args, json_t *description)
{
    for (size_t i = 0; i < array_size(limits); i++) {
        int64_t value = 0;
        int rc = arguments_integer(cli, args, limits[i].option, 0, UINT32_MAX, &value);

        if (rc)
            return rc;
        if (!arguments_given(args, limits[i].option))
            continue;
        if (!json_is_object(json_object_get(description, "limits")))
            (void)json_object_set_new(description, "limits", json_object());
        (void)json_object_set_new(json_object_get(description, "limits"), limits[i].member, json_integer(value));
    }
    return 0;
}

static int add_names(struct cli *cli, const struct arguments *args, const char *code_file, json_t *description)
{
    const char *name = arguments_value(args, "name"), *type = arguments_value(args, "type");

    if (name)
        (void)json_object_set_new(description, "name", json_string(name));
    else if (!json_object_get(description, "name"))
        guess_name(code_file, description);
    if (type)
        (void)json_object_set_new(description, "type", json_string(type));
    else if (!json_object_get(description, "type"))
        guess_type(code_file, description);
    if (container_type_from_name(view_string(description, "type")) == CONTAINER_TYPE_COUNT)
        return cli_error(cli, *view_string(description, "type") ? CLI_INVALID : CLI_USAGE,
                         "Name it with --type wasm, rbpf, native, ...", "it is not known what type of container %s is",
                         code_file);
    return 0;
}

int describe_make(struct cli *cli, const struct arguments *args, const char *code_file, json_t **out)
{
    cleanup_json json_t *description = NULL;
    int rc = read_description(cli, arguments_value(args, "description"), &description);

    if (!rc)
        rc = add_names(cli, args, code_file, description);
    if (!rc)
        rc = add_syscalls(cli, args, description);
    if (!rc)
        rc = add_endpoints(cli, args, description);
    if (!rc)
        rc = add_limits(cli, args, description);
    if (!rc)
        *out = steal_pointer(description);
    return rc;
}

static int invalid_member(struct cli *cli, const char *what)
{
    return cli_error(cli, CLI_INVALID, "docs/rest-api.md, section Artifact, shows its form.",
                     "the description's %s cannot be used", what);
}

static int read_endpoint(struct cli *cli, const json_t *json, struct container_endpoint *endpoint)
{
    const json_t *id = json_object_get(json, "id"), *peer_endpoint = json_object_get(json, "peer_endpoint");
    int peer = endpoint_peer_from_name(view_string(json, "peer"));
    int direction = endpoint_direction_from_name(view_string(json, "direction"));
    json_int_t numbers[2] = {json_integer_value(id), json_integer_value(peer_endpoint)};

    if (!json_is_integer(id) || numbers[0] < 0 || numbers[0] > UINT32_MAX || numbers[1] < 0 ||
        numbers[1] > UINT32_MAX || peer < 0 || direction < 0 ||
        !text_copy(endpoint->peer_uid, sizeof endpoint->peer_uid, view_string(json, "peer_uid")))
        return invalid_member(cli, "endpoints");
    endpoint->id = (uint32_t)numbers[0];
    endpoint->peer_endpoint = (uint32_t)numbers[1];
    endpoint->peer = (enum endpoint_peer)peer;
    endpoint->direction = (enum endpoint_direction)direction;
    return 0;
}

static int read_endpoints(struct cli *cli, const json_t *array, struct metadata *md)
{
    size_t count = json_array_size(array);

    if (count > METADATA_MAX_ENDPOINTS || (array && !json_is_array(array)))
        return invalid_member(cli, "endpoints");
    for (size_t i = 0; i < count; i++) {
        int rc = read_endpoint(cli, json_array_get(array, i), &md->endpoints[i]);

        if (rc)
            return rc;
    }
    md->endpoint_count = count;
    return 0;
}

static int read_limits(struct cli *cli, const json_t *object, struct metadata *md)
{
    for (size_t i = 0; i < array_size(limits); i++) {
        const json_t *value = json_object_get(object, limits[i].member);
        uint32_t number;

        if (!value)
            continue;
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
            return invalid_member(cli, "limits");
        number = (uint32_t)json_integer_value(value);
        memcpy((char *)&md->limits + limits[i].offset, &number, sizeof number);
    }
    return 0;
}

static int read_syscalls(struct cli *cli, const json_t *array, struct metadata *md)
{
    if (!array)
        return 0;
    if (!json_is_array(array))
        return invalid_member(cli, "syscalls");
    md->syscall_mask = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *name = json_string_value(json_array_get(array, i));
        unsigned id = name ? container_syscall_from_name(name) : 0;

        if (id == 0)
            return invalid_member(cli, "syscalls");
        md->syscall_mask |= 1u << (id - 1);
    }
    return 0;
}

int describe_to_metadata(struct cli *cli, const json_t *description, struct metadata *md)
{
    int rc = read_syscalls(cli, json_object_get(description, "syscalls"), md);

    md->type = container_type_from_name(view_string(description, "type"));
    if (!rc)
        rc = read_endpoints(cli, json_object_get(description, "endpoints"), md);
    if (!rc)
        rc = read_limits(cli, json_object_get(description, "limits"), md);
    return rc;
}
