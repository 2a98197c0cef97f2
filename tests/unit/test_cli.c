#include "base/buffer.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli_fake.h"

#include <ctype.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

START_TEST(suggests_what_was_meant)
{
    static const struct {
        const char *line, *message;
    } rows[] = {
        {"devcie list", "there is no command 'devcie'; did you mean 'device'?"},
        {"device lsit", "there is no command 'device lsit'; did you mean 'device list'?"},
        {"devices", "did you mean 'device'?"},
        {"deplyo a b c", "did you mean 'deploy'?"},
        {"frobnicate", "there is no command 'frobnicate'\n"},
        {"device list --jsn", "there is no option --jsn; did you mean --json?"},
        {"deploy a b c --no-wiat", "did you mean --no-wait?"},
        {"device list --no-wait", "there is no option --no-wait\n"}, /* not an option of this command */
        {"device list --frobnicate=1", "there is no option --frobnicate\n"},
        {"device list -x", "there is no option -x"},
        {"help devcie", "did you mean 'device'?"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        fake_expect(NULL, rows[i].line, CLI_USAGE);
        ERR_HAS(rows[i].message);
        ck_assert_str_eq(fake_result.out, "");
    }
}
END_TEST

START_TEST(refuses_wrong_command_lines)
{
    static const struct {
        const char *line, *message;
    } rows[] = {
        {"device show", "something is missing: usage: tcgw device show DEVICE"},
        {"device show a b", "too many arguments: usage: tcgw device show DEVICE"},
        {"deploy a b c d", "'d' is one argument too many"},
        {"device list --socket", "--socket needs its PATH"},
        {"device list --json=yes", "--json takes no value"},
        {"device list --color blue", "--color takes one of: auto always never; not 'blue'"},
        {"device add x --agent v3", "--agent takes one of: auto v1 v2 suit"},
        {"device add x --slots many", "--slots takes a whole number from 0 to 4294967295, not 'many'"},
        {"device add x --slots -1", "not '-1'"},
        {"deploy a b c --wait=soon", "--wait takes seconds"},
        {"deploy a b c --ttl 5y", "--ttl takes seconds"},
        {"deploy a b c --ttl s", "--ttl takes seconds"},
        {"device set box", "nothing to change was named"},
        {"device list --url x", "--socket and --url exclude each other"},
        {"completion tcsh", "there is no completion for 'tcsh'"},
        {"metadata build x", "--key PEM and --uid UID are needed"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        fake_expect(NULL, rows[i].line, CLI_USAGE);
        ERR_HAS(rows[i].message);
    }
    fake_expect(NULL, "device", CLI_USAGE);
    ERR_HAS("device add [ID] ADDRESS");
    fake_expect(NULL, "", CLI_USAGE);
    ERR_HAS("Exit codes:");
}
END_TEST

START_TEST(refuses_endless_options)
{
    char line[4 * COMMAND_MAX_OPTIONS + 64] = "version -";

    (void)memset(line + strlen(line), 'q', COMMAND_MAX_OPTIONS - 1); /* fake_run gives one too */
    fake_expect(NULL, line, CLI_OK);
    (void)strcat(line, "q");
    fake_expect(NULL, line, CLI_USAGE);
    ERR_HAS("more than 96 options");
}
END_TEST

START_TEST(parses_all_forms)
{
    char *const argv[] = {"--json", "operation", "--quiet", "list",     "--device=box", "--state",
                          "failed", "--limit",   "5",       "--device", "other"};
    char *const words[] = {"device", "show", "--", "--json"};
    char *const letters[] = {"artifact", "get", "-qofile", "abcd"};
    struct cli cli = {.clock = clock_system(), .out = stdout, .err = stderr};
    struct arguments args;
    char group[64];
    size_t next = 0;

    ck_assert_int_eq(command_parse(&cli, array_size(argv), argv, &args, group), 0);
    ck_assert_str_eq(args.command->words, "operation list");
    ck_assert(arguments_given(&args, "json") && arguments_given(&args, "quiet") && !arguments_given(&args, "help"));
    ck_assert_str_eq(arguments_value(&args, "device"), "other");
    ck_assert_str_eq(arguments_next(&args, "device", &next), "box");
    ck_assert_str_eq(arguments_next(&args, "device", &next), "other");
    ck_assert_ptr_null(arguments_next(&args, "device", &next));
    ck_assert_int_eq(command_parse(&cli, array_size(words), words, &args, group), 0);
    ck_assert_str_eq(args.words[0], "--json");
    ck_assert(!arguments_given(&args, "json"));
    ck_assert_int_eq(command_parse(&cli, array_size(letters), letters, &args, group), 0);
    ck_assert_str_eq(arguments_value(&args, "output"), "file");
    ck_assert(arguments_given(&args, "quiet"));
}
END_TEST

START_TEST(reads_durations)
{
    static const struct {
        char *text;
        int64_t ms;
    } rows[] = {{"90", 90000}, {"5s", 5000}, {"5m", 300000}, {"2h", 7200000}, {"1d", 86400000}, {"0", 0}};
    struct cli cli = {.clock = clock_system(), .out = stdout, .err = stderr};

    for (size_t i = 0; i < array_size(rows); i++) {
        char *const argv[] = {"device", "probe", "x", "--ttl", rows[i].text};
        struct arguments args;
        char group[64];

        ck_assert_int_eq(command_parse(&cli, array_size(argv), argv, &args, group), 0);
        ck_assert_int_eq(arguments_duration(&args, "ttl", -1), rows[i].ms);
        ck_assert_int_eq(arguments_duration(&args, "wait", -1), -1);
    }
}
END_TEST

static void check_option(const struct option_spec *option)
{
    ck_assert_msg(option->help && !strchr(option->help, '\''), "help of --%s", option->name);
    ck_assert_msg(!strchr(option->help, '\\'), "help of --%s", option->name);
    for (const char *p = option->name; *p; p++)
        ck_assert_msg(islower((unsigned char)*p) || *p == '-', "--%s", option->name);
}

/* Lines, each begins with two blanks, and one of them shows the command itself. */
static void check_examples(const struct command *command)
{
    char own[96];

    ck_assert_msg(command->examples != NULL, "tcgw %s has no example", command->words);
    (void)snprintf(own, sizeof own, "tcgw %s", command->words);
    ck_assert_msg(strstr(command->examples, own) != NULL, "no example of tcgw %s shows it", command->words);
    for (const char *line = command->examples; *line; line = strchr(line, '\n') + 1) {
        ck_assert_msg(strncmp(line, "  ", 2) == 0, "examples of %s: %s", command->words, line);
        ck_assert_msg(strchr(line, '\n') != NULL, "examples of %s: no end of line", command->words);
    }
}

/* Commands with the same first word stand together: it was not left before. */
static void check_place(const struct command *command)
{
    static char left[64][32], last[32];
    static size_t count;
    char word[32];

    (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(command->words, " "), command->words);
    if (strcmp(word, last) == 0)
        return;
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(strcmp(left[i], word) != 0, "tcgw %s stands apart from its group", command->words);
    ck_assert_uint_lt(count, 64);
    memcpy(left[count++], last, sizeof last);
    memcpy(last, word, sizeof last);
}

/* Everything that is generated from the table relies on this. */
START_TEST(the_table_is_sound)
{
    const struct command *command;

    command_each(command)
    {
        ck_assert_ptr_eq(command_find(command->words), command);
        ck_assert(command->run != NULL);
        ck_assert_ptr_null(strchr(command->help, '.'));
        check_examples(command);
        check_place(command);
        command_each_option(option, command)
        {
            check_option(option);
            for (const struct option_spec *global = command_global_options; global->name; global++)
                ck_assert_msg(strcmp(global->name, option->name) != 0, "%s --%s hides a global option", command->words,
                              option->name);
        }
    }
    for (const struct option_spec *o = command_global_options; o->name; o++)
        check_option(o);
}
END_TEST

START_TEST(explains_every_command)
{
    const struct command *command;

    command_each(command)
    {
        char line[128];

        (void)snprintf(line, sizeof line, "help %s", command->words);
        fake_expect(NULL, line, CLI_OK);
        OUT_HAS(command->words);
        OUT_HAS(command->help);
        command_each_option(option, command) OUT_HAS(option->name);
        (void)snprintf(line, sizeof line, "%s --help", command->words);
        fake_expect(NULL, line, CLI_OK);
        OUT_HAS(command->help);
        ck_assert_str_eq(fake_result.err, "");
    }
    fake_expect(NULL, "device --help", CLI_OK);
    OUT_HAS("device remove");
    ck_assert_ptr_null(strstr(fake_result.out, "artifact"));
    fake_expect(NULL, "help", CLI_OK);
    OUT_HAS("Exit codes:");
}
END_TEST

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "re");
    struct buffer b = {0};
    size_t size;
    uint8_t *to;
    size_t n;

    ck_assert_msg(file != NULL, "%s cannot be opened", path);
    while ((to = buffer_reserve(&b, 4096)) && (n = fread(to, 1, 4096, file)) > 0)
        b.size += n;
    (void)fclose(file);
    return (char *)buffer_steal(&b, &size);
}

START_TEST(the_man_page_is_that_of_the_table)
{
    char *page = read_text(TEST_SRCDIR "/../man/tcgw.1");

    fake_expect(NULL, "help --roff", CLI_OK);
    ck_assert_msg(strstr(page, fake_result.out),
                  "man/tcgw.1 differs from the command table: put the output of 'tcgw help --roff' into it");
    free(page);
}
END_TEST

/* Runs a shell on a probe, whose argument is the completion script; where the shell is missing it is not run. */
static void check_script(const char *shell, const char *start, const char *name, const char *probe)
{
    const struct command *each;
    char line[64], command[512];
    const char *path, *completion;

    (void)snprintf(line, sizeof line, "completion %s", shell);
    fake_expect(NULL, line, CLI_OK);
    command_each(each) command_each_option(option, each) OUT_HAS(option->name);
    completion = fake_file(name, fake_result.out, strlen(fake_result.out));
    path = fake_file("probe", probe, strlen(probe));
    (void)snprintf(command, sizeof command, "! command -v %s >/dev/null || HOME=%s %s %s %s", shell, fake_directory,
                   start, path, completion);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(completes_in_bash)
{
    check_script("bash", "bash", "tcgw",
                 "set -e; . \"$1\"; t() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _tcgw; "
                 "echo \"${COMPREPLY[*]}\"; }\n"
                 "[ \"$(t tcgw dev)\" = device ]; [ \"$(t tcgw device a)\" = add ]\n"
                 "[ \"$(t tcgw device add --pd)\" = --pdu-size ]; [ \"$(t tcgw --js)\" = --json ]\n"
                 "[ \"$(t tcgw --json operation w)\" = watch ]\n"
                 "tcgw() { case \"$*\" in 'device list --quiet') echo box-1 ;; 'policy list --quiet') echo house ;; "
                 "'container list box-1 --quiet') echo door ;; esac; }\n"
                 "[ \"$(t tcgw device show b)\" = box-1 ]; [ \"$(t tcgw policy show h)\" = house ]\n"
                 "[ \"$(t tcgw container stop box-1 d)\" = door ]\n");
}
END_TEST

/* An autoloaded function: already the first completion finds something. */
START_TEST(completes_in_zsh)
{
    check_script("zsh", "zsh -f", "_tcgw",
                 "fpath=(${1:h} $fpath); autoload -U compinit; compinit -D -u; autoload -U _tcgw\n"
                 "compadd() { print $matches; }; words=(tcgw dev); CURRENT=2\n"
                 "[[ $(_tcgw) == *device* ]]\n");
}
END_TEST

START_TEST(completes_in_fish)
{
    check_script("fish", "fish --no-config", "tcgw.fish",
                 "source $argv[1]\n"
                 "function t; complete -C \"$argv[1]\" | string match -q -- $argv[2]; or exit 1; end\n"
                 "t 'tcgw dev' device; t 'tcgw device a' add; t 'tcgw --json operation w' watch\n"
                 "t 'tcgw device add --pd' '--pdu-size*'; t 'tcgw --js' '--json*'\n");
}
END_TEST

START_TEST(prints_its_version)
{
    fake_expect(NULL, "version", CLI_OK);
    OUT_HAS("tcgw ");
    fake_expect(NULL, "--version", CLI_OK);
    OUT_HAS("tcgw ");
    fake_expect(NULL, "version --json", CLI_OK);
    OUT_HAS("{\n  \"tcgw\": \"");
}
END_TEST

/* Where no gateway is ------------------------------------------------------ */

static void run_alone(const char *line, const char *socket)
{
    (void)setenv("TCGW_SOCKET", socket, 1);
    fake_run(NULL, line);
    (void)unsetenv("TCGW_SOCKET");
}

START_TEST(says_that_the_gateway_does_not_run)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/none", fake_directory);
    run_alone("status", path);
    ck_assert_int_eq(fake_result.code, CLI_UNREACHABLE);
    ERR_HAS("no gateway listens on /tmp/tcgw-cli-");
    ERR_HAS("/none (No such file or directory)");
    ERR_HAS("systemctl start tcgwd");
    run_alone("status --json", path);
    ERR_HAS("\"title\": \"no gateway listens on");
    ck_assert_str_eq(fake_result.out, "");
    run_alone("status", fake_file("file", "x", 1)); /* there, but no socket */
    ck_assert_int_eq(fake_result.code, CLI_UNREACHABLE);
    ERR_HAS("nobody accepts connections there");
}
END_TEST

START_TEST(says_which_address_was_tried)
{
    (void)setenv("TCGW_URL", "http://127.0.0.1:1/", 1);
    fake_run(NULL, "device list");
    ck_assert_int_eq(fake_result.code, CLI_UNREACHABLE);
    ERR_HAS("no gateway answers at http://127.0.0.1:1/ (");
    (void)setenv("TCGW_URL", "127.0.0.1:8080", 1);
    fake_run(NULL, "device list");
    ck_assert_int_eq(fake_result.code, CLI_USAGE);
    (void)setenv("TCGW_URL", "http://[::1", 1);
    fake_run(NULL, "device list");
    ck_assert_int_eq(fake_result.code, CLI_UNREACHABLE);
    ERR_HAS("It should look like http://127.0.0.1:8080.");
    (void)unsetenv("TCGW_URL");
}
END_TEST

START_TEST(says_that_permission_is_missing)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/closed", fake_directory);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(chmod(address.sun_path, 0020), 0);
    ck_assert_int_eq(chmod(fake_directory, 0777), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(setegid(65534), 0);
        ck_assert_int_eq(seteuid(65534), 0);
    }
    run_alone("status", address.sun_path);
    if (getuid() == 0) {
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert_int_eq(setegid(0), 0);
    }
    (void)close(fd);
    ck_assert_int_eq(fake_result.code, CLI_UNREACHABLE);
    ERR_HAS("you may not open /tmp/tcgw-cli-");
    ERR_HAS("join the group '");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        suggests_what_was_meant,
        refuses_wrong_command_lines,
        refuses_endless_options,
        parses_all_forms,
        reads_durations,
        the_table_is_sound,
        explains_every_command,
        the_man_page_is_that_of_the_table,
        completes_in_bash,
        completes_in_zsh,
        completes_in_fish,
        prints_its_version,
        says_that_the_gateway_does_not_run,
        says_which_address_was_tried,
        says_that_permission_is_missing,
    };

    return fake_run_tests("cli", tests, array_size(tests));
}
