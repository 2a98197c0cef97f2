#include "config.h"

#include "cli/doctor.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/redact.h"
#include "cli/tarball.h"
#include "cli/wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* tcgw support-bundle: what somebody who helps has to see, and no secret. */

#define PART_LIMIT (8u << 20)
#define SECRET_LIMIT 256
#define SECRETS_MAX 64
#define NAME_MAX_SIZE 64

struct bundle {
    struct cli *cli;
    struct doctor doctor;
    struct tarball *tar;
    struct {
        uint8_t bytes[SECRET_LIMIT];
        size_t size;
    } secrets[SECRETS_MAX]; /* of this machine's files, as far as they may be read */
    size_t secret_count;
};

/* What the gateway is asked. */
static const struct {
    const char *file, *path;
} questions[] = {
    {"health.json", "/healthz"},
    {"info.json", "/v1/info"},
    {"metrics.txt", "/metrics"},
    {"storage.json", "/v1/storage"},
    {"devices.json", "/v1/devices?limit=1000"},
    {"groups.json", "/v1/groups"},
    {"directory.json", "/v1/directory?limit=1000"},
    {"artifacts.json", "/v1/artifacts?limit=1000"},
    {"services.json", "/v1/services"},
    {"rollouts.json", "/v1/rollouts"},
    {"operations.json", "/v1/operations?limit=500"},
    {"failed-operations.json", "/v1/operations?limit=500&state=failed"},
    {"transfers.json", "/v1/transfers?limit=1000"},
    {"links.json", "/v1/links"},
    {"sinks.json", "/v1/sinks"},
    {"publishers.json", "/v1/publishers"},
    {"policies.json", "/v1/policies"},
};

/* Files of the machine. */
static const struct {
    const char *file, *path;
} places[] = {
    {"os-release.txt", "/etc/os-release"},   {"memory.txt", "/proc/meminfo"},
    {"load.txt", "/proc/loadavg"},           {"mounts.txt", "/proc/self/mounts"},
    {"interfaces.txt", "/proc/net/dev"},     {"addresses6.txt", "/proc/net/if_inet6"},
    {"routes6.txt", "/proc/net/ipv6_route"}, {"udp.txt", "/proc/net/udp"},
    {"udp6.txt", "/proc/net/udp6"},
};

/* Programs that tell more, where they are. */
static const struct {
    const char *file;
    const char *words[12];
} programs[] = {
    {"journal.txt", {"journalctl", "-u", "tcgwd", "-n", "5000", "--no-pager", "-o", "short-iso", "--quiet", NULL}},
    {"unit.txt", {"systemctl", "status", "tcgwd", "--no-pager", "--full", NULL}},
    {"disk.txt", {"df", "-h", NULL}},
    {"kernel.txt", {"uname", "-a", NULL}},
};

/* Adds a text without what is secret. */
static void add(struct bundle *b, const char *file, const char *text, size_t size)
{
    cleanup_buffer struct buffer clean = redact_text(text, size);
    char name[NAME_MAX_SIZE + 16];

    for (size_t i = 0; i < b->secret_count; i++)
        redact_secret(&clean, b->secrets[i].bytes, b->secrets[i].size);
    (void)snprintf(name, sizeof name, "tcgw-support/%s", file);
    tarball_add(b->tar, name, buffer_text(&clean), clean.size);
}

static void add_json(struct bundle *b, const char *file, json_t *json)
{
    cleanup_free char *text = NULL;

    redact_json(json);
    text = json_dumps(json, JSON_INDENT(1) | JSON_ENCODE_ANY);
    if (text)
        add(b, file, text, strlen(text));
}

/* The secrets of this machine -------------------------------------------------------------------------------------- */

static void learn_secret(struct bundle *b, const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n;

    if (fd < 0 || b->secret_count == SECRETS_MAX)
        return;
    n = read(fd, b->secrets[b->secret_count].bytes, SECRET_LIMIT);
    if (n > 0)
        b->secrets[b->secret_count++].size = (size_t)n;
}

static void learn_paths(struct bundle *b, const struct conf_key *table, size_t count, const void *values)
{
    for (size_t i = 0; i < count; i++) {
        const char *path = table[i].type == CONF_PATH ? *(char *const *)((const char *)values + table[i].offset) : NULL;

        if (path && *path && (strstr(table[i].key, "_file") || strstr(table[i].key, "_key")))
            learn_secret(b, path);
    }
}

static void learn_secrets(struct bundle *b)
{
    const struct conf *conf = b->doctor.conf;

    if (!conf)
        return;
    learn_paths(b, conf_table, conf_table_size, conf);
    for (size_t i = 0; i < conf->sink_count; i++)
        learn_paths(b, conf_sink_table, conf_sink_table_size, &conf->sinks[i]);
}

/* Parts ------------------------------------------------------------------------------------------------------------ */

static void add_questions(struct bundle *b)
{
    for (size_t i = 0; b->doctor.reachable && i < array_size(questions) && !cli_interrupted; i++) {
        const struct client_request request = {.method = "GET", .path = questions[i].path, .accept = "*/*"};
        cleanup_reply struct client_reply reply = {0};
        int error = gateway_try(b->cli, &request, &reply);

        if (error)
            add(b, questions[i].file, client_reason(b->cli->client), strlen(client_reason(b->cli->client)));
        else if (reply.json)
            add_json(b, questions[i].file, reply.json);
        else
            add(b, questions[i].file, buffer_text(&reply.body), reply.body.size);
    }
}

static void read_all(int fd, struct buffer *out)
{
    uint8_t *to;
    ssize_t n = 1;

    out->limit = PART_LIMIT;
    while (n > 0 && (to = buffer_reserve(out, 16384))) {
        n = read(fd, to, 16384);
        out->size += n > 0 ? (size_t)n : 0;
    }
}

static void add_file(struct bundle *b, const char *file, const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    cleanup_buffer struct buffer text = {0};

    if (fd < 0)
        return;
    read_all(fd, &text);
    add(b, file, buffer_text(&text), text.size);
}

static void run(const char *const words[], int out)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0)
        (void)execvp(words[0], (char *const *)words);
    _exit(127);
}

static void add_program(struct bundle *b, const char *file, const char *const words[])
{
    cleanup_buffer struct buffer text = {0};
    int ends[2], status = 0;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    pid = fork();
    if (pid == 0)
        run(words, ends[1]);
    (void)close(ends[1]);
    read_all(ends[0], &text);
    (void)close(ends[0]);
    if (pid > 0 && waitpid(pid, &status, 0) == pid && !(WIFEXITED(status) && WEXITSTATUS(status) == 127))
        add(b, file, buffer_text(&text), text.size);
}

/* Names, sizes and rights of what is in the state directory; no content. */
static void add_state(struct bundle *b)
{
    const char *path = b->doctor.conf ? b->doctor.conf->state_directory : NULL;
    DIR *directory = path ? opendir(path) : NULL;
    cleanup_buffer struct buffer text = {0};

    for (const struct dirent *entry; directory && (entry = readdir(directory));) {
        struct stat st;

        if (fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            buffer_printf(&text, "%06o %u:%u %12lld %lld %s\n", st.st_mode, st.st_uid, st.st_gid, (long long)st.st_size,
                          (long long)st.st_mtime, entry->d_name);
    }
    if (directory) {
        (void)closedir(directory);
        add(b, "state-directory.txt", buffer_text(&text), text.size);
    }
}

/* The effective configuration where it is good, else the file as it is. */
static void add_configuration(struct bundle *b)
{
    const char *path = arguments_value(b->doctor.args, "config");
    cleanup_free char *text = NULL;
    size_t size = 0;
    FILE *to;

    if (!b->doctor.conf) {
        add_file(b, "tcgw.conf", path ? path : SYSCONFDIR "/tcgw/tcgw.conf");
        return;
    }
    to = open_memstream(&text, &size);
    if (!to)
        return;
    conf_print(b->doctor.conf, to, false);
    (void)fclose(to);
    add(b, "tcgw.conf", text, size);
}

static void add_machine(struct bundle *b)
{
    if (!b->doctor.here)
        return;
    add_configuration(b);
    add_state(b);
    for (size_t i = 0; i < array_size(places); i++)
        add_file(b, places[i].file, places[i].path);
    for (size_t i = 0; i < array_size(programs) && !cli_interrupted; i++)
        add_program(b, programs[i].file, programs[i].words);
}

static void fill(struct bundle *b)
{
    json_t *doctor = json_pack("{s:s, s:O}", "tcgw", PACKAGE_VERSION, "findings", b->doctor.findings);

    learn_secrets(b);
    add_json(b, "doctor.json", doctor);
    json_decref(doctor);
    add_questions(b);
    add_machine(b);
}

static char *default_name(int64_t now)
{
    const time_t seconds = (time_t)(now / 1000);
    char when[32] = "";
    struct tm tm;

    if (gmtime_r(&seconds, &tm))
        (void)strftime(when, sizeof when, "%Y%m%d-%H%M%S", &tm);
    return wait_sentence("tcgw-support-%s.tar.gz", when);
}

int support_bundle(struct cli *cli, const struct arguments *args)
{
    int64_t now = clock_wall_ms(cli->clock);
    const char *output = arguments_value(args, "output");
    cleanup_free char *name = output ? strdup(output) : default_name(now), *sentence = NULL;
    struct bundle b = {.cli = cli};
    int fd = name ? open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    bool good;

    if (fd < 0)
        return cli_error(cli, CLI_INVALID, NULL, "%s cannot be written (%s)", name ? name : "it", strerror(errno));
    b.tar = tarball_new(fd, now / 1000);
    doctor_examine(&b.doctor, cli, args);
    if (b.tar)
        fill(&b);
    doctor_clear(&b.doctor);
    good = tarball_close(b.tar);
    explicit_bzero(b.secrets, sizeof b.secrets);
    if (!good || cli_interrupted) {
        (void)unlink(name);
        return cli_interrupted ? CLI_INTERRUPTED : cli_error(cli, CLI_INVALID, NULL, "%s cannot be written", name);
    }
    sentence = wait_sentence("%s was written. It has no keys and passwords, but names of devices and addresses.", name);
    if (sentence)
        cli->writer->outcome(cli->writer, &view_status, NULL, sentence);
    return CLI_OK;
}
