#include "base/buffer.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/display.h"
#include "cli/table.h"
#include "cli_fake.h"
#include "codec/key.h"
#include "tcgw/metadata.h"

#include <check.h>
#include <ctype.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void expect(int code, const char *line)
{
    fake_run(NULL, line);
    ck_assert_msg(fake_result.code == code, "tcgw %s: exit code %d, not %d\n%s", line, fake_result.code, code,
                  fake_result.err);
}

START_TEST(escapes_what_a_terminal_could_obey)
{
    static const struct {
        const char *in;
        bool lines;
        const char *out;
    } rows[] = {
        {"plain \xc3\xa4", false, "plain \xc3\xa4"},
        {"\033[31mred", false, "\\x1b[31mred"},
        {"a\nb\tc\rd", false, "a\\nb\\tc\\rd"},
        {"a\nb\tc\rd", true, "a\nb\tc\\rd"},
        {"\x7f", false, "\\x7f"},
        {"\xc2\x9b"
         "31m",
         false, "\\x9b31m"}, /* C1 CSI */
        {"\xe2\x80\xae", false, "\\u202e"},
        {"\xff\xfe", false, "\\xff\\xfe"},
        {"\xc3", false, "\\xc3"},
        {"\xed\xa0\x80", false, "\\xed\\xa0\\x80"}, /* a surrogate */
        {"\xf0\x9f\x98\x80", false, "\xf0\x9f\x98\x80"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup_buffer struct buffer b = {0};

        display_append(&b, rows[i].in, strlen(rows[i].in), rows[i].lines);
        ck_assert_str_eq(buffer_text(&b), rows[i].out);
    }
}
END_TEST

START_TEST(escapes_nul)
{
    cleanup_buffer struct buffer b = {0};

    display_append(&b, "a\0b", 3, true);
    ck_assert_str_eq(buffer_text(&b), "a\\x00b");
}
END_TEST

START_TEST(counts_columns)
{
    ck_assert_uint_eq(display_width("abc"), 3);
    ck_assert_uint_eq(display_width("\xc3\xa4\xc3\xb6"), 2);
    ck_assert_uint_eq(display_width("\xe6\x97\xa5\xe6\x9c\xac"), 4); /* wide */
    ck_assert_uint_eq(display_width("e\xcc\x81"), 1);                /* a combining accent */
}
END_TEST

START_TEST(tells_times)
{
    static const struct {
        int64_t ago;
        const char *text;
    } rows[] = {{0, "just now"},     {999, "just now"},    {-500, "just now"},   {1000, "1 s ago"},
                {59999, "59 s ago"}, {60000, "1 min ago"}, {3600000, "1 h ago"}, {86400000, "1 d ago"},
                {-30000, "in 30 s"}, {-7200000, "in 2 h"}, {-1000, "in 1 s"}};
    char text[DISPLAY_SIZE];

    for (size_t i = 0; i < array_size(rows); i++)
        ck_assert_str_eq(display_ago(1000000000 - rows[i].ago, 1000000000, text), rows[i].text);
    ck_assert_str_eq(display_duration(80, text), "80 ms");
    ck_assert_str_eq(display_duration(4250, text), "4.2 s");
    ck_assert_str_eq(display_duration(185000, text), "3 min 5 s");
    ck_assert_str_eq(display_duration(7800000, text), "2 h 10 min");
    ck_assert_str_eq(display_duration(5 * 86400000LL + 3 * 3600000, text), "5 d 3 h");
}
END_TEST

START_TEST(tells_sizes)
{
    char text[DISPLAY_SIZE];

    ck_assert_str_eq(display_bytes(0, text), "0 B");
    ck_assert_str_eq(display_bytes(1023, text), "1023 B");
    ck_assert_str_eq(display_bytes(1536, text), "1.5 KiB");
    ck_assert_str_eq(display_bytes(UINT64_MAX, text), "16777216.0 TiB");
}
END_TEST

START_TEST(reads_times)
{
    int64_t ms = 0;

    ck_assert(display_parse_time("2026-01-02T03:04:05.678Z", &ms));
    ck_assert_int_eq(ms, 1767323045678);
    ck_assert(display_parse_time("1970-01-01T00:00:00Z", &ms));
    ck_assert_int_eq(ms, 0);
    ck_assert(!display_parse_time("2026-01-02T03:04:05.678+01:00", &ms));
    ck_assert(!display_parse_time("2026-01-02", &ms));
    ck_assert(!display_parse_time("yesterday", &ms));
    ck_assert(!display_parse_time("", &ms));
}
END_TEST

START_TEST(measures_distance)
{
    ck_assert_uint_eq(display_distance("device", "device"), 0);
    ck_assert_uint_eq(display_distance("devcie", "device"), 1); /* swapped */
    ck_assert_uint_eq(display_distance("devce", "device"), 1);
    ck_assert_uint_eq(display_distance("devices", "device"), 1);
    ck_assert_uint_eq(display_distance("", "abc"), 3);
    ck_assert_uint_eq(display_distance("kitten", "sitting"), 3);
}
END_TEST

START_TEST(aligns_tables)
{
    cleanup_table struct table *table = table_new(3);
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    table_add(table, strdup("NAME"), COLOUR_BOLD, false);
    table_add(table, strdup("N"), COLOUR_NONE, true);
    table_add(table, strdup("X"), COLOUR_NONE, false);
    table_add(table, strdup("\xc3\xa4"), COLOUR_NONE, false);
    table_add(table, strdup("100"), COLOUR_NONE, true);
    table_add(table, strdup("end"), COLOUR_RED, false);
    table_print(table, to, 1, true);
    (void)fclose(to);
    ck_assert_str_eq(text, " \033[1mNAME\033[0m    N  X\n \xc3\xa4     100  \033[31mend\033[0m\n");
    free(text);
}
END_TEST

START_TEST(escapes_paths)
{
    char *path = client_path("/v1/devices/%s", "a/b ?%\xc3\xa4");

    ck_assert_str_eq(path, "/v1/devices/a%2Fb%20%3F%25%C3%A4");
    client_add_query(&path, "limit", "1&2");
    client_add_query(&path, "x", "y");
    ck_assert_str_eq(path, "/v1/devices/a%2Fb%20%3F%25%C3%A4?limit=1%262&x=y");
    free(path);
}
END_TEST

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
        expect(CLI_USAGE, rows[i].line);
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
        {"device add x --agent v3", "--agent takes one of: auto v1 v2"},
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
        expect(CLI_USAGE, rows[i].line);
        ERR_HAS(rows[i].message);
    }
    expect(CLI_USAGE, "device");
    ERR_HAS("device add [ID] ADDRESS");
    expect(CLI_USAGE, "");
    ERR_HAS("Exit codes:");
}
END_TEST

START_TEST(refuses_endless_options)
{
    char line[4 * COMMAND_MAX_OPTIONS + 64] = "version -";

    (void)memset(line + strlen(line), 'q', COMMAND_MAX_OPTIONS - 1); /* fake_run gives one too */
    expect(CLI_OK, line);
    (void)strcat(line, "q");
    expect(CLI_USAGE, line);
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

/* Everything that is generated from the table relies on this. */
START_TEST(the_table_is_sound)
{
    for (size_t i = 0; i < command_table_size; i++) {
        const struct command *command = &command_table[i];

        ck_assert_ptr_eq(command_find(command->words), command);
        ck_assert(command->run != NULL);
        ck_assert_ptr_null(strchr(command->help, '.'));
        ck_assert(!command->examples || command->examples[strlen(command->examples) - 1] == '\n');
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
    for (size_t i = 0; i < command_table_size; i++) {
        const struct command *command = &command_table[i];
        char line[128];

        (void)snprintf(line, sizeof line, "help %s", command->words);
        expect(CLI_OK, line);
        OUT_HAS(command->words);
        OUT_HAS(command->help);
        command_each_option(option, command) OUT_HAS(option->name);
        (void)snprintf(line, sizeof line, "%s --help", command->words);
        expect(CLI_OK, line);
        OUT_HAS(command->help);
        ck_assert_str_eq(fake_result.err, "");
    }
    expect(CLI_OK, "device --help");
    OUT_HAS("device remove");
    ck_assert_ptr_null(strstr(fake_result.out, "artifact"));
    expect(CLI_OK, "help");
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

    expect(CLI_OK, "help --roff");
    ck_assert_msg(strstr(page, fake_result.out),
                  "man/tcgw.1 differs from the command table: put the output of 'tcgw help --roff' into it");
    free(page);
}
END_TEST

static void check_script(const char *shell, const char *check)
{
    char line[64], command[256];
    const char *path;

    (void)snprintf(line, sizeof line, "completion %s", shell);
    expect(CLI_OK, line);
    for (size_t i = 0; i < command_table_size; i++)
        command_each_option(option, &command_table[i]) OUT_HAS(option->name);
    path = fake_file("completion", fake_result.out, strlen(fake_result.out));
    (void)snprintf(command, sizeof command, "%s %s", check, path);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(completes)
{
    static const char probe[] =
        "set -e; . \"$0\"; t() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _tcgw; "
        "echo \"${COMPREPLY[*]}\"; }\n"
        "[ \"$(t tcgw dev)\" = device ]; [ \"$(t tcgw device a)\" = add ]\n"
        "[ \"$(t tcgw device add --pd)\" = --pdu-size ]; [ \"$(t tcgw --js)\" = --json ]\n"
        "[ \"$(t tcgw --json operation w)\" = watch ]\n";
    char command[256];
    const char *script, *completion;

    check_script("bash", "bash -n");
    check_script("zsh", "bash -n");
    check_script("fish", "test -s");
    expect(CLI_OK, "completion bash");
    completion = fake_file("bash", fake_result.out, strlen(fake_result.out));
    script = fake_file("probe", probe, strlen(probe));
    (void)snprintf(command, sizeof command, "bash -c \"$(cat %s)\" %s", script, completion);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(prints_its_version)
{
    expect(CLI_OK, "version");
    OUT_HAS("tcgw ");
    expect(CLI_OK, "--version");
    OUT_HAS("tcgw ");
    expect(CLI_OK, "version --json");
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

/* Metadata ----------------------------------------------------------------- */

static const char *make_key(const char *name)
{
    static char path[128];
    cleanup_key struct key *key = NULL;
    char reason[256];

    (void)snprintf(path, sizeof path, "%s/%s", fake_directory, name);
    ck_assert_int_eq(key_load_or_create(&key, path, reason, sizeof reason), 0);
    return path;
}

static void build(const char *options, int code)
{
    char line[768];
    const char *native = fake_file("code.bin", "native code", 11), *data = fake_file("data", "some data", 9);

    (void)snprintf(line, sizeof line, "metadata build %s --key %s --data %s --uid door -o %s/out %s", native,
                   make_key("key.pem"), data, fake_directory, options);
    expect(code, line);
}

static void inspect(const char *options, int code)
{
    char line[512];

    (void)snprintf(line, sizeof line, "metadata inspect %s/out %s", fake_directory, options);
    expect(code, line);
}

START_TEST(metadata_makes_the_round_trip)
{
    char line[256];

    build(
        "--type native --syscall open,read --syscall write --endpoint "
        "id=7,peer=container,peer-uid=other,peer-endpoint=2,"
        "direction=both --endpoint id=8 --loop-period 250 --lifetime 9 --start-max-duration 100 --stop-max-duration 50",
        CLI_OK);
    (void)snprintf(line, sizeof line, "--key %s/key.pem --code %s/code.bin --data %s/data", fake_directory,
                   fake_directory, fake_directory);
    inspect(line, CLI_OK);
    OUT_HAS("Uid               door\n");
    OUT_HAS("Type              native\n");
    OUT_HAS("System calls      open, read, write\n");
    OUT_HAS("Endpoints         7: both container other 2; 8: in local 0\n");
    OUT_HAS("Loop period       250 ms\n");
    OUT_HAS("Lifetime (loops)  9\n");
    OUT_HAS("Signatures        ok\n");
    OUT_HAS("Metadata          ok\n");
    OUT_HAS("Code              ok\n");
    OUT_HAS("Data              ok\n");
    inspect("--json", CLI_OK);
    OUT_HAS("\"loop_max_lifetime\": 9");
    ck_assert_ptr_null(strstr(fake_result.out, "signatures")); /* nothing was said about a key */
}
END_TEST

START_TEST(metadata_is_read_by_the_codec)
{
    struct metadata_tokens tokens;
    struct metadata md;
    char path[128], reason[256];
    FILE *file;
    uint8_t bytes[METADATA_MAX_SIZE];
    size_t n;

    build("--type native", CLI_OK);
    (void)snprintf(path, sizeof path, "%s/out", fake_directory);
    file = fopen(path, "re");
    n = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    ck_assert_int_eq(metadata_parse(bytes, n, &md, &tokens, reason, sizeof reason), 0);
    ck_assert_str_eq(md.uid, "door");
    ck_assert_int_eq(md.type, CONTAINER_TYPE_NATIVE);
    ck_assert_uint_eq(md.limits.loop_period, 1000);
    ck_assert_uint_eq(md.syscall_mask, 0);
}
END_TEST

START_TEST(metadata_takes_a_description)
{
    static const char json[] =
        "{\"name\":\"n\",\"type\":\"native\",\"syscalls\":[\"heartbeat\"],\"endpoints\":[{\"id\":1,"
        "\"peer\":\"local\",\"peer_endpoint\":32,\"direction\":\"out\"}],"
        "\"limits\":{\"loop_period_ms\":200}}";
    char line[256];

    (void)snprintf(line, sizeof line, "--description %s --lifetime 3", fake_file("d.json", json, strlen(json)));
    build(line, CLI_OK);
    inspect("", CLI_OK);
    OUT_HAS("System calls      heartbeat\n");
    OUT_HAS("Endpoints         1: out local 32\n");
    OUT_HAS("Loop period       200 ms\n");
    OUT_HAS("Lifetime (loops)  3\n");
}
END_TEST

START_TEST(metadata_tells_what_does_not_fit)
{
    char line[384];

    build("--type native", CLI_OK);
    (void)snprintf(line, sizeof line, "--key %s", make_key("other.pem"));
    inspect(line, CLI_INVALID);
    OUT_HAS("Signatures    failed\n");
    ERR_HAS("does not pass its checks");
    (void)snprintf(line, sizeof line, "--key %s/key.pem --code %s/data --data %s/code.bin", fake_directory,
                   fake_directory, fake_directory);
    inspect(line, CLI_INVALID);
    OUT_HAS("Signatures    ok\n");
    OUT_HAS("Code          failed\n");
    OUT_HAS("Data          failed\n");
    inspect("--key 112ff4c9cddecbe153d72dcd7c5ffaf2bfc77603fd8478e300bafe8dd1946078", CLI_INVALID);
    OUT_HAS("Signatures    failed\n");
    inspect("--key /nonexistent", CLI_INVALID);
    ERR_HAS("/nonexistent");
}
END_TEST

START_TEST(metadata_verifies_with_a_public_key)
{
    cleanup_key struct key *key = NULL;
    char pem[KEY_PEM_MAX], reason[256], line[256];

    build("--type native", CLI_OK);
    ck_assert_int_eq(key_load(&key, make_key("key.pem"), reason, sizeof reason), 0);
    (void)key_public_pem(key, pem);
    (void)snprintf(line, sizeof line, "--key %s", fake_file("public.pem", pem, strlen(pem)));
    inspect(line, CLI_OK);
    OUT_HAS("Signatures    ok\n");
}
END_TEST

START_TEST(metadata_refuses_bad_input)
{
    static const struct {
        const char *options, *message;
        int code;
    } rows[] = {
        {"", "it is not known what type of container", CLI_USAGE},
        {"--type wasm", "cannot run as a container: ", CLI_INVALID},
        {"--type rbpf", "cannot run as a container: ", CLI_INVALID},
        {"--type cobol", "it is not known what type of container", CLI_INVALID},
        {"--type native --uid 1234567890123456789012345678901234567890123456789012345678901234",
         "a uid has 1 to 63 bytes", CLI_USAGE},
        {"--type native --syscall fork", "there is no system call 'fork'", CLI_USAGE},
        {"--type native --endpoint peer=local", "--endpoint needs an id", CLI_USAGE},
        {"--type native --endpoint id=x", "'id=x' does not describe an endpoint", CLI_USAGE},
        {"--type native --endpoint id=1,peer=moon", "'peer=moon' does not describe an endpoint", CLI_USAGE},
        {"--type native --endpoint id=1,direction", "'direction' does not describe an endpoint", CLI_USAGE},
        {"--type native --endpoint id=1,peer=container", "the description cannot be put into metadata", CLI_INVALID},
        {"--type native --endpoint id=1 --endpoint id=1", "the description cannot be put into metadata", CLI_INVALID},
        {"--type native --loop-period -1", "--loop-period takes a whole number", CLI_USAGE},
        {"--type native --loop-period 4294967296", "--loop-period takes a whole number", CLI_USAGE},
        {"--type native --description /nonexistent.json", "the description /nonexistent.json cannot be used",
         CLI_INVALID},
        {"--type native --key /nonexistent.pem", "/nonexistent.pem", CLI_INVALID},
        {"--type native -o /nonexistent/out", "/nonexistent/out cannot be written", CLI_INVALID},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        build(rows[i].options, rows[i].code);
        ERR_HAS(rows[i].message);
    }
}
END_TEST

START_TEST(metadata_refuses_bad_descriptions)
{
    static const struct {
        const char *json, *message;
    } rows[] = {
        {"[]", "is not a JSON object"},
        {"{", "cannot be used (line"},
        {"{\"type\":\"native\",\"type\":\"wasm\"}", "duplicate"},
        {"{\"type\":\"native\",\"syscalls\":\"open\"}", "syscalls cannot be used"},
        {"{\"type\":\"native\",\"syscalls\":[7]}", "syscalls cannot be used"},
        {"{\"type\":\"native\",\"endpoints\":{}}", "endpoints cannot be used"},
        {"{\"type\":\"native\",\"endpoints\":[{\"peer\":\"local\",\"direction\":\"in\"}]}", "endpoints cannot be used"},
        {"{\"type\":\"native\",\"endpoints\":[{\"id\":-1,\"peer\":\"local\",\"direction\":\"in\"}]}",
         "endpoints cannot be used"},
        {"{\"type\":\"native\",\"limits\":{\"loop_period_ms\":\"1\"}}", "limits cannot be used"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        char line[256];

        (void)snprintf(line, sizeof line, "--description %s", fake_file("d.json", rows[i].json, strlen(rows[i].json)));
        build(line, CLI_INVALID);
        ERR_HAS(rows[i].message);
    }
}
END_TEST

START_TEST(metadata_refuses_what_is_none)
{
    char line[256];

    (void)snprintf(line, sizeof line, "metadata inspect %s", fake_file("garbage", "\xdb\x00garbage", 9));
    expect(CLI_INVALID, line);
    ERR_HAS("is no TinyContainer metadata: ");
    expect(CLI_INVALID, "metadata inspect /nonexistent");
    ERR_HAS("/nonexistent cannot be read (No such file or directory)");
    (void)snprintf(line, sizeof line, "metadata inspect %s", fake_directory);
    expect(CLI_INVALID, line);
    (void)snprintf(line, sizeof line, "metadata inspect %s", fake_file("empty", "", 0));
    expect(CLI_INVALID, line);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        escapes_what_a_terminal_could_obey,
        escapes_nul,
        counts_columns,
        tells_times,
        tells_sizes,
        reads_times,
        measures_distance,
        aligns_tables,
        escapes_paths,
        suggests_what_was_meant,
        refuses_wrong_command_lines,
        refuses_endless_options,
        parses_all_forms,
        reads_durations,
        the_table_is_sound,
        explains_every_command,
        the_man_page_is_that_of_the_table,
        completes,
        prints_its_version,
        says_that_the_gateway_does_not_run,
        says_which_address_was_tried,
        says_that_permission_is_missing,
        metadata_makes_the_round_trip,
        metadata_is_read_by_the_codec,
        metadata_takes_a_description,
        metadata_tells_what_does_not_fit,
        metadata_verifies_with_a_public_key,
        metadata_refuses_bad_input,
        metadata_refuses_bad_descriptions,
        metadata_refuses_what_is_none,
    };
    return fake_run_tests("cli", tests, array_size(tests));
}
