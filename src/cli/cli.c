#include "config.h"

#include "cli/cli.h"

#include "base/text.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/gateway.h"
#include "cli/writer.h"
#include "conf/conf.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define SYSTEM_SOCKET "/run/tcgw/tcgw.sock"
#define DEFAULT_TIMEOUT_MS 30000
#define TOKEN_MAX 8192 /* bytes */
#define WATCH_MS 2000
#define WATCH_LEAST_MS 100

volatile sig_atomic_t cli_interrupted;

void cli_sleep_ms(int64_t ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&ts, NULL);
}

int cli_error(struct cli *cli, int code, const char *advice, const char *format, ...)
{
    struct problem problem = {.detail = "", .pointer = "", .advice = advice ? advice : "", .operation = ""};
    struct writer early = {.cli = cli};
    cleanup_free char *title = NULL;
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&title, format, ap) < 0)
        title = NULL;
    va_end(ap);
    problem.title = title ? title : format;
    if (cli->writer)
        cli->writer->problem(cli->writer, &problem);
    else
        writer_text_problem(&early, &problem);
    return code;
}

static bool wants_colour(const char *when, bool terminal)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

    if (when && strcmp(when, "auto") != 0)
        return strcmp(when, "always") == 0;
    return terminal && !(no_colour && *no_colour) && !(term && strcmp(term, "dumb") == 0);
}

static void set_style(struct cli *cli, const struct arguments *args, struct writer *writer)
{
    if (arguments_given(args, "json"))
        cli->style = CLI_STYLE_JSON;
    else if (arguments_given(args, "quiet"))
        cli->style = CLI_STYLE_IDS;
    cli->colour_out = wants_colour(arguments_value(args, "color"), cli->out_terminal);
    cli->colour_err = wants_colour(arguments_value(args, "color"), cli->err_terminal);
    *writer = cli->style == CLI_STYLE_JSON ? writer_json : cli->style == CLI_STYLE_IDS ? writer_ids : writer_text;
    writer->cli = cli;
    cli->writer = writer;
}

/* The user's own gateway when there is one, else the system's. */
static int default_socket(struct cli *cli)
{
    struct conf *conf = NULL;
    int rc = conf_new(&conf);

    if (rc < 0)
        return cli_error(cli, CLI_UNREACHABLE, "Name it with --socket PATH or --url URL.",
                         "it is not known where the gateway's socket is (%s)", strerror(-rc));
    cli->socket = strdup(access(conf->http_socket, F_OK) != 0 && access(SYSTEM_SOCKET, F_OK) == 0 ? SYSTEM_SOCKET
                                                                                                  : conf->http_socket);
    conf_free(conf);
    return 0;
}

static const char *set_variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* The first line of a file. */
static int read_token(struct cli *cli, const char *path)
{
    char line[TOKEN_MAX + 2] = "";
    FILE *file = fopen(path, "re");
    bool good = file && fgets(line, sizeof line, file) && strlen(line) <= TOKEN_MAX;

    if (file)
        (void)fclose(file);
    line[strcspn(line, "\r\n")] = 0;
    if (good && *line)
        cli->token = strdup(line);
    OPENSSL_cleanse(line, sizeof line);
    if (cli->token)
        return 0;
    return cli_error(cli, CLI_INVALID, "tcgw token add prints one.", "%s has no token in its first line", path);
}

/* How the gateway is to know the user, and the user the gateway. */
static int set_trust(struct cli *cli, const struct arguments *args)
{
    const char *file = arguments_value(args, "token-file"), *ca = arguments_value(args, "ca");
    const char *token = file ? NULL : set_variable("TCGW_TOKEN");

    if (!file && !token)
        file = set_variable("TCGW_TOKEN_FILE");
    ca = ca ? ca : set_variable("TCGW_CA");
    if (ca)
        cli->ca = strdup(ca);
    if (token)
        cli->token = strdup(token);
    return file ? read_token(cli, file) : 0;
}

static int set_target(struct cli *cli, const struct arguments *args)
{
    const char *socket = arguments_value(args, "socket"), *url = arguments_value(args, "url");

    if (socket && url)
        return cli_error(cli, CLI_USAGE, NULL, "--socket and --url exclude each other");
    if (!socket && !url) {
        url = set_variable("TCGW_URL");
        socket = url ? NULL : set_variable("TCGW_SOCKET");
    }
    if (url && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return cli_error(cli, CLI_USAGE, NULL, "'%s' is not a URL like http://127.0.0.1:8080", url);
    if (url)
        cli->url = strdup(url);
    else if (socket)
        cli->socket = strdup(socket);
    else
        return default_socket(cli);
    return 0;
}

/* Rollouts have a --watch of their own: they are followed to their end. */
static bool is_followed(const struct command *command)
{
    return strncmp(command->words, "rollout ", 8) == 0 && strcmp(command->words, "rollout list") != 0 &&
           strcmp(command->words, "rollout show") != 0;
}

/* Commands that end when the user ends them. */
static bool goes_on(const struct command *command)
{
    static const char *const words[] = {"watch", "observe", "tail", "events", "top", "logs"};
    const char *blank = strrchr(command->words, ' '), *last = blank ? blank + 1 : command->words;

    for (size_t i = 0; i < array_size(words); i++)
        if (strcmp(words[i], last) == 0)
            return true;
    return false;
}

static int check_mode(struct cli *cli, const struct arguments *args)
{
    const char *mode = arguments_given(args, "dry-run") ? "dry-run" : "watch";

    cli->dry_run = arguments_given(args, "dry-run");
    cli->watching = arguments_given(args, "watch") && !is_followed(args->command);
    if (cli->watching && goes_on(args->command))
        return cli_error(cli, CLI_USAGE, NULL, "tcgw %s goes on by itself; leave --watch out", args->command->words);
    if ((cli->dry_run || cli->watching) && command_is_offline(args->command))
        return cli_error(cli, CLI_USAGE, NULL, "tcgw %s asks no gateway, so --%s has no meaning", args->command->words,
                         mode);
    return 0;
}

/* One round of --watch: what is written appears at once, so that a terminal does not flicker. */
static int run_round(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *text = NULL;
    FILE *out = cli->out;
    size_t size = 0;
    int rc;

    cli->out = open_memstream(&text, &size);
    if (!cli->out) {
        cli->out = out;
        return cli_error(cli, CLI_FAILED, NULL, "out of memory");
    }
    rc = args->command->run(cli, args);
    (void)fclose(cli->out);
    cli->out = out;
    if (cli->out_terminal)
        (void)fputs("\033[H\033[2J", out);
    (void)fwrite(text, 1, size, out);
    (void)fflush(out);
    return rc;
}

static int watch_command(struct cli *cli, const struct arguments *args)
{
    int64_t every_ms = arguments_duration(args, "watch", WATCH_MS);
    int rc = run_round(cli, args);

    while (rc == CLI_OK && !cli_interrupted) {
        cli_sleep_ms(every_ms < WATCH_LEAST_MS ? WATCH_LEAST_MS : every_ms);
        if (!cli_interrupted)
            rc = run_round(cli, args);
    }
    return cli_interrupted ? CLI_OK : rc;
}

static int run_command(struct cli *cli, const struct arguments *args, const char *group)
{
    int rc;

    if (arguments_given(args, "version"))
        return command_find("version")->run(cli, args);
    if (arguments_given(args, "help"))
        return help_print_for(cli, args->command ? args->command->words : group);
    if (!args->command) {
        help_print(cli->err, group);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < args->word_count; i++)
        if (!*args->words[i])
            return cli_error(cli, CLI_USAGE, NULL, "an argument is empty: tcgw %s %s", args->command->words,
                             args->command->arguments);
    rc = check_mode(cli, args);
    if (!rc)
        rc = set_target(cli, args);
    if (!rc)
        rc = set_trust(cli, args);
    if (!rc)
        rc = cli->watching ? watch_command(cli, args) : args->command->run(cli, args);
    return rc == CLI_PLANNED ? CLI_OK : rc;
}

int cli_run(struct cli *cli, int argc, char *const argv[])
{
    struct arguments args;
    struct writer writer;
    char group[64];
    int rc = command_parse(cli, argc > 0 ? argc - 1 : 0, argv + 1, &args, group);

    if (!rc) {
        cli->timeout_ms = arguments_duration(&args, "timeout", DEFAULT_TIMEOUT_MS);
        set_style(cli, &args, &writer);
        rc = run_command(cli, &args, group);
    }
    if ((fflush(cli->out) != 0 || ferror(cli->out)) && !rc)
        rc = cli_error(cli, CLI_FAILED, NULL, "the output cannot be written (%s)", strerror(errno));
    cli->client = client_free(cli->client);
    cli->writer = NULL;
    free(cli->socket);
    free(cli->url);
    if (cli->token)
        OPENSSL_cleanse(cli->token, strlen(cli->token));
    free(cli->token);
    free(cli->ca);
    cli->socket = cli->url = cli->token = cli->ca = NULL;
    return rc;
}
