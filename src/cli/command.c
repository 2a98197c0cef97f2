#include "cli/command.h"

#include "base/text.h"
#include "cli/display.h"

#include <string.h>

#define GROUP_SIZE 64
#define DURATION_MAX_S (366LL * 86400)

const char *arguments_next(const struct arguments *args, const char *name, size_t *next)
{
    for (size_t i = *next; i < args->option_count; i++)
        if (strcmp(args->options[i].spec->name, name) == 0) {
            *next = i + 1;
            return args->options[i].value;
        }
    *next = args->option_count;
    return NULL;
}

json_t *arguments_values(const struct arguments *args, const char *name)
{
    json_t *values = NULL;
    size_t next = 0;

    for (const char *value; (value = arguments_next(args, name, &next));) {
        if (!values)
            values = json_array();
        (void)json_array_append_new(values, json_string(value));
    }
    return values;
}

const char *arguments_value(const struct arguments *args, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < args->option_count; i++)
        if (strcmp(args->options[i].spec->name, name) == 0)
            value = args->options[i].value;
    return value;
}

bool arguments_given(const struct arguments *args, const char *name)
{
    for (size_t i = 0; i < args->option_count; i++)
        if (strcmp(args->options[i].spec->name, name) == 0)
            return true;
    return false;
}

int arguments_integer(struct cli *cli, const struct arguments *args, const char *name, int64_t min, int64_t max,
                      int64_t *out)
{
    const char *value = arguments_value(args, name);

    if (!value || text_parse_int(value, min, max, out))
        return 0;
    return cli_error(cli, CLI_USAGE, NULL, "--%s takes a whole number from %lld to %lld, not '%s'", name,
                     (long long)min, (long long)max, value);
}

static bool parse_duration(const char *text, int64_t *out_ms)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char digits[16];
    size_t n = strlen(text);
    int64_t seconds = 1, number;

    for (size_t i = 0; n && i < array_size(units); i++)
        if (text[n - 1] == units[i].unit) {
            seconds = units[i].seconds;
            n--;
            break;
        }
    if (n >= sizeof digits)
        return false;
    memcpy(digits, text, n);
    digits[n] = 0;
    if (!text_parse_int(digits, 0, DURATION_MAX_S / seconds, &number))
        return false;
    *out_ms = number * seconds * 1000;
    return true;
}

int64_t arguments_duration(const struct arguments *args, const char *name, int64_t otherwise)
{
    const char *value = arguments_value(args, name);
    int64_t ms;

    return value && parse_duration(value, &ms) ? ms : otherwise;
}

const struct command *command_find(const char *words)
{
    const struct command *command;

    command_each(command) if (strcmp(command->words, words) == 0) return command;
    return NULL;
}

static bool is_group(const char *word)
{
    const struct command *command;
    size_t n = strlen(word);

    command_each(command) if (strncmp(command->words, word, n) == 0 && command->words[n] == ' ') return true;
    return false;
}

/* The nearest word so far, if it is near enough to be what was meant. */
struct guess {
    const char *typed;
    const char *best;
    unsigned distance;
};

static void guess_consider(struct guess *guess, const char *candidate)
{
    unsigned distance = display_distance(guess->typed, candidate);
    size_t limit = strlen(guess->typed) <= 3 ? 1 : strlen(guess->typed) <= 12 ? 2 : 3;

    if (distance <= limit && (!guess->best || distance < guess->distance)) {
        guess->best = candidate;
        guess->distance = distance;
    }
}

static int unknown_command(struct cli *cli, const char *typed)
{
    struct guess guess = {.typed = typed};
    const struct command *command;
    char groups[64][GROUP_SIZE];
    size_t count = 0;

    command_each(command)
    {
        const char *words = command->words;

        guess_consider(&guess, words);
        if (strchr(words, ' ') && count < array_size(groups)) {
            (void)snprintf(groups[count], GROUP_SIZE, "%.*s", (int)strcspn(words, " "), words);
            if (count == 0 || strcmp(groups[count], groups[count - 1]) != 0)
                count++;
        }
    }
    for (size_t i = 0; i < count; i++)
        guess_consider(&guess, groups[i]);
    if (guess.best)
        return cli_error(cli, CLI_USAGE, NULL, "there is no command '%s'; did you mean '%s'?", typed, guess.best);
    return cli_error(cli, CLI_USAGE, "List the commands with: tcgw help", "there is no command '%s'", typed);
}

static void consider_options(struct guess *guess, const struct option_spec *options)
{
    for (; options->name; options++)
        guess_consider(guess, options->name);
}

static int unknown_option(struct cli *cli, const struct command *command, const char *name)
{
    struct guess guess = {.typed = name};
    char advice[GROUP_SIZE + 32];

    consider_options(&guess, command_global_options);
    if (command)
        command_each_option(option, command) guess_consider(&guess, option->name);
    if (guess.best)
        return cli_error(cli, CLI_USAGE, NULL, "there is no option --%s; did you mean --%s?", name, guess.best);
    (void)snprintf(advice, sizeof advice, "See: tcgw help%s%.*s", command ? " " : "", GROUP_SIZE,
                   command ? command->words : "");
    return cli_error(cli, CLI_USAGE, advice, "there is no option --%s", name);
}

/* By name and its length, or by letter when name is NULL. */
static const struct option_spec *find_option(const struct command *command, const char *name, size_t n, char letter)
{
    const struct option_spec *o = command_global_options;

    for (; o->name; o++)
        if (name ? strncmp(o->name, name, n) == 0 && o->name[n] == 0 : o->letter == letter)
            return o;
    if (command)
        command_each_option(option, command) if (name ? strncmp(option->name, name, n) == 0 && option->name[n] == 0
                                                      : option->letter == letter) return option;
    return NULL;
}

/* The parser's place in the command line. */
struct parser {
    struct cli *cli;
    int argc, next;
    char *const *argv;
    struct arguments *args;
    char *group;
    bool only_words; /* behind "--" */
};

static bool is_choice(const char *choices, const char *value)
{
    size_t n = strlen(value);

    for (const char *p = choices; *p; p += strcspn(p, " "), p += *p == ' ')
        if (n && strcspn(p, " ") == n && strncmp(p, value, n) == 0)
            return true;
    return false;
}

static bool is_duration(const struct option_spec *spec, const char *value)
{
    int64_t ms;

    return parse_duration(value, &ms) || (strstr(spec->value, "|auto") && strcmp(value, "auto") == 0);
}

static int keep_option(struct parser *p, const struct option_spec *spec, const char *value)
{
    struct arguments *args = p->args;

    if (value && spec->choices && !is_choice(spec->choices, value))
        return cli_error(p->cli, CLI_USAGE, NULL, "--%s takes one of: %s; not '%s'", spec->name, spec->choices, value);
    if (value && strstr(spec->value, "SECONDS") && !is_duration(spec, value))
        return cli_error(p->cli, CLI_USAGE, NULL,
                         "--%s takes seconds, or a number with s, m, h or d (90, 5m), not '%s'", spec->name, value);
    if (args->option_count == COMMAND_MAX_OPTIONS)
        return cli_error(p->cli, CLI_USAGE, NULL, "more than %d options", COMMAND_MAX_OPTIONS);
    args->options[args->option_count++] = (struct option_given){spec, value};
    return 0;
}

/* attached: what follows the name in the same argument, or NULL. */
static int take_option(struct parser *p, const struct option_spec *spec, const char *attached)
{
    if (!spec->value && attached)
        return cli_error(p->cli, CLI_USAGE, NULL, "--%s takes no value", spec->name);
    if (!spec->value || spec->value[0] == '[' || attached)
        return keep_option(p, spec, attached);
    if (p->next >= p->argc)
        return cli_error(p->cli, CLI_USAGE, NULL, "--%s needs its %s", spec->name, spec->value);
    return keep_option(p, spec, p->argv[p->next++]);
}

static int parse_long(struct parser *p, const char *name)
{
    size_t n = strcspn(name, "=");
    const struct option_spec *spec = find_option(p->args->command, name, n, 0);
    char cut[GROUP_SIZE];

    if (spec)
        return take_option(p, spec, name[n] ? name + n + 1 : NULL);
    (void)snprintf(cut, sizeof cut, "%.*s", (int)(n < sizeof cut ? n : sizeof cut - 1), name);
    return unknown_option(p->cli, p->args->command, cut);
}

static int parse_letters(struct parser *p, const char *letters)
{
    int rc = 0;

    for (; *letters && !rc; letters++) {
        const struct option_spec *spec = find_option(p->args->command, NULL, 0, *letters);
        bool attached = spec && spec->value && letters[1];

        if (!spec)
            return cli_error(p->cli, CLI_USAGE, "See: tcgw help", "there is no option -%c", *letters);
        rc = take_option(p, spec, attached ? letters + 1 : NULL);
        if (attached)
            break;
    }
    return rc;
}

/* A word is a part of the command's name until that is complete, then an argument. */
static int parse_word(struct parser *p, const char *word)
{
    struct arguments *args = p->args;
    char words[2 * GROUP_SIZE];

    if (args->command) {
        if (args->word_count == COMMAND_MAX_ARGUMENTS - 1)
            return cli_error(p->cli, CLI_USAGE, NULL, "'%s' is one argument too many", word);
        args->words[args->word_count++] = word;
        return 0;
    }
    (void)snprintf(words, sizeof words, "%s%s%s", p->group, *p->group ? " " : "", word);
    args->command = command_find(words);
    if (args->command) {
        *p->group = 0;
        return 0;
    }
    if (!*p->group && is_group(word)) {
        (void)text_copy(p->group, GROUP_SIZE, word);
        return 0;
    }
    return unknown_command(p->cli, words);
}

static int check_count(struct cli *cli, const struct arguments *args)
{
    size_t least = 0, most = 0;

    for (const char *p = args->command->arguments; *p; p += strcspn(p, " "), p += *p == ' ') {
        most++;
        least += *p != '[';
    }
    if (args->word_count >= least && args->word_count <= most)
        return 0;
    return cli_error(cli, CLI_USAGE, NULL, "%s: usage: tcgw %s %s",
                     args->word_count < least ? "something is missing" : "too many arguments", args->command->words,
                     args->command->arguments);
}

int command_parse(struct cli *cli, int argc, char *const argv[], struct arguments *args, char *group)
{
    struct parser p = {.cli = cli, .argc = argc, .argv = argv, .args = args, .group = group};
    int rc = 0;

    *args = (struct arguments){0};
    *group = 0;
    while (p.next < argc && !rc) {
        const char *word = argv[p.next++];

        if (p.only_words || word[0] != '-' || !word[1])
            rc = parse_word(&p, word);
        else if (strcmp(word, "--") == 0)
            p.only_words = true;
        else if (word[1] == '-')
            rc = parse_long(&p, word + 2);
        else
            rc = parse_letters(&p, word + 1);
    }
    if (!rc && args->command && !arguments_given(args, "help") && !arguments_given(args, "version"))
        rc = check_count(cli, args);
    return rc;
}
