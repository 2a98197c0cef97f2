#include "cli/command.h"

#include <string.h>

/*
 * The scripts hold the words and options of the tables and ask the gateway, through tcgw --quiet, for ids. The bash
 * script serves zsh too, through its bashcompinit.
 */

static void print_option_names(FILE *to, const struct command *command)
{
    command_each_option(option, command)(void) fprintf(to, " --%s", option->name);
    for (const struct option_spec *o = command_global_options; o->name; o++)
        (void)fprintf(to, " --%s", o->name);
}

static const char bash_head[] =
    "# bash completion for tcgw, made by: tcgw completion bash\n"
    "_tcgw_ids() { tcgw \"$@\" --quiet 2>/dev/null; }\n"
    "_tcgw() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} words=() i command='' arguments='' options='' kind\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        [[ ${COMP_WORDS[i]} == -* ]] || words+=(\"${COMP_WORDS[i]}\")\n"
    "    done\n"
    "    case \"${words[0]-} ${words[1]-}\" in\n";

static const char bash_tail[] =
    "    esac\n"
    "    if [[ $cur == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    if [[ -z $command ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$arguments\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    kind=($arguments)\n"
    "    i=$((${#words[@]} - $(wc -w <<<\"$command\")))\n"
    "    case \"${kind[i]-}\" in\n"
    "        *FILE*) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
    "        *UID*) COMPREPLY=($(compgen -W \"$(_tcgw_ids container list \"${words[-1]}\")\" -- \"$cur\")) ;;\n";

static const char bash_end[] =
    "        NAME) COMPREPLY=($(compgen -W \"$(_tcgw_ids \"${words[0]}\" list)\" -- \"$cur\")) ;;\n"
    "        *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _tcgw tcgw\n";

/* What the gateway is asked for an argument; beside these, NAME is what the command's own group lists. */
static const struct {
    const char *argument, *command;
} sources[] = {
    {"DEVICE", "device list"},   {"ARTIFACT", "artifact list"},   {"RELEASE", "release list"},
    {"ROLLOUT", "rollout list"}, {"LINK", "link list"},           {"SINK", "sink list"},
    {"UPLOAD", "upload list"},   {"OPERATION", "operation list"},
};

/* As an autoloaded function the script is run for the first completion, which it has to make. */
static const char zsh_tail[] = "if [[ ${funcstack[1]-} == _tcgw ]]; then _bash_complete -F _tcgw; fi\n";

static void print_case(FILE *to, const struct command *command)
{
    (void)fprintf(to, "        '%s'%s) command='%s' arguments='%s' options='", command->words,
                  strchr(command->words, ' ') ? "" : "' '*", command->words, command->arguments);
    print_option_names(to, command);
    (void)fputs("' ;;\n", to);
}

/* Calls print once for each first word. */
static void each_first_word(FILE *to, void (*print)(FILE *to, const char *word, size_t n))
{
    const struct command *command;
    const char *last = "";

    command_each(command)
    {
        const char *words = command->words;
        size_t n = strcspn(words, " ");

        if (strncmp(last, words, n) != 0 || (last[n] && last[n] != ' '))
            print(to, words, n);
        last = words;
    }
}

static void print_word(FILE *to, const char *word, size_t n)
{
    (void)fprintf(to, " %.*s", (int)n, word);
}

static void print_second_words(FILE *to, const char *group, size_t n)
{
    const struct command *command;

    command_each(command) if (strncmp(command->words, group, n) == 0 && command->words[n] == ' ')(void)
        fprintf(to, " %s", command->words + n + 1);
}

static void print_group_case(FILE *to, const char *group, size_t n)
{
    if (group[n] != ' ')
        return;
    (void)fprintf(to, "        '%.*s'' '*) arguments='", (int)n, group);
    print_second_words(to, group, n);
    (void)fputs("' ;;\n", to);
}

static void print_bash(FILE *to)
{
    const struct command *command;

    (void)fputs(bash_head, to);
    command_each(command) print_case(to, command);
    each_first_word(to, print_group_case);
    (void)fputs("        *) arguments='", to);
    each_first_word(to, print_word);
    (void)fputs("' options='", to);
    for (const struct option_spec *o = command_global_options; o->name; o++)
        (void)fprintf(to, " --%s", o->name);
    (void)fputs("' ;;\n", to);
    (void)fputs(bash_tail, to);
    for (size_t i = 0; i < array_size(sources); i++)
        (void)fprintf(to, "        *%s*) COMPREPLY=($(compgen -W \"$(_tcgw_ids %s)\" -- \"$cur\")) ;;\n",
                      sources[i].argument, sources[i].command);
    (void)fputs(bash_end, to);
}

static void print_fish_group(FILE *to, const char *group, size_t n)
{
    if (group[n] != ' ')
        return;
    (void)fprintf(to, "complete -c tcgw -f -n '__fish_seen_subcommand_from %.*s; and not __fish_seen_subcommand_from",
                  (int)n, group);
    print_second_words(to, group, n);
    (void)fputs("' -a '", to);
    print_second_words(to, group, n);
    (void)fputs("'\n", to);
}

static void print_fish_option(FILE *to, const struct option_spec *option, const char *condition)
{
    (void)fprintf(to, "complete -c tcgw %s -l %s", condition, option->name);
    if (option->letter)
        (void)fprintf(to, " -s %c", option->letter);
    if (option->choices)
        (void)fprintf(to, " -x -a '%s'", option->choices);
    else if (option->value && option->value[0] != '[')
        (void)fputs(" -r", to);
    (void)fprintf(to, " -d '%s'\n", option->help);
}

/* Whether its group has a list. */
static bool is_listed(const struct command *command)
{
    char list[64];

    (void)snprintf(list, sizeof list, "%.*s list", (int)strcspn(command->words, " "), command->words);
    return command_find(list) != NULL;
}

static void print_fish_command(FILE *to, const struct command *command)
{
    size_t n = strcspn(command->words, " ");
    char condition[160];

    (void)snprintf(condition, sizeof condition, "-n '__fish_seen_subcommand_from %.*s%s%s'", (int)n, command->words,
                   command->words[n] ? "; and __fish_seen_subcommand_from " : "",
                   command->words[n] ? command->words + n + 1 : "");
    command_each_option(option, command) print_fish_option(to, option, condition);
    for (size_t i = 0; i < array_size(sources); i++)
        if (strstr(command->arguments, sources[i].argument) && !strstr(command->arguments, "FILE"))
            (void)fprintf(to, "complete -c tcgw %s -f -a '(tcgw %s --quiet 2>/dev/null)'\n", condition,
                          sources[i].command);
    if (strncmp(command->arguments, "NAME", 4) == 0 && n < sizeof condition && is_listed(command))
        (void)fprintf(to, "complete -c tcgw %s -f -a '(tcgw %.*s list --quiet 2>/dev/null)'\n", condition, (int)n,
                      command->words);
}

static void print_fish(FILE *to)
{
    const struct command *command;

    (void)fputs("# fish completion for tcgw, made by: tcgw completion fish\n", to);
    (void)fputs("complete -c tcgw -f -n __fish_use_subcommand -a '", to);
    each_first_word(to, print_word);
    (void)fputs("'\n", to);
    each_first_word(to, print_fish_group);
    for (const struct option_spec *o = command_global_options; o->name; o++)
        print_fish_option(to, o, "");
    command_each(command) print_fish_command(to, command);
}

bool completion_print(FILE *to, const char *shell)
{
    if (strcmp(shell, "fish") == 0) {
        print_fish(to);
        return true;
    }
    if (strcmp(shell, "zsh") == 0) {
        (void)fputs("#compdef tcgw\nautoload -U +X bashcompinit && bashcompinit\n", to);
        print_bash(to);
        (void)fputs(zsh_tail, to);
        return true;
    }
    if (strcmp(shell, "bash") != 0)
        return false;
    print_bash(to);
    return true;
}
