#include "cli/command.h"
#include "cli/table.h"

#include <ctype.h>
#include <string.h>

static char *option_form(const struct option_spec *option)
{
    struct buffer b = {0};
    size_t size;

    if (option->letter)
        buffer_printf(&b, "-%c, ", option->letter);
    buffer_printf(&b, "--%s", option->name);
    if (option->value && option->value[0] == '[')
        buffer_printf(&b, "[=%.*s]", (int)strlen(option->value) - 2, option->value + 1);
    else if (option->value)
        buffer_printf(&b, " %s", option->value);
    return (char *)buffer_steal(&b, &size);
}

static void add_option(struct table *table, const struct option_spec *option)
{
    table_add(table, option_form(option), COLOUR_NONE, false);
    table_add(table, strdup(option->help), COLOUR_NONE, false);
}

static void print_options(FILE *to, const struct option_spec *options)
{
    cleanup_table struct table *table = table_new(2);

    for (; table && options->name; options++)
        add_option(table, options);
    if (table)
        table_print(table, to, 2, false);
}

/* Text in lines of at most 100 columns. */
static void print_wrapped(FILE *to, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t n = strcspn(text, " ");

        if (column && column + 1 + n > 100) {
            (void)fputc('\n', to);
            column = 0;
        }
        (void)fprintf(to, "%s%.*s", column ? " " : "", (int)n, text);
        column += n + (column != 0);
        text += n + (text[n] == ' ');
    }
    (void)fputc('\n', to);
}

void help_print_command(FILE *to, const struct command *command)
{
    (void)fprintf(to, "tcgw %s%s%s%s - %s\n", command->words, *command->arguments ? " " : "", command->arguments,
                  command->options[0] ? " [OPTION]..." : "", command->help);
    if (command->details) {
        (void)fputc('\n', to);
        print_wrapped(to, command->details);
    }
    if (command->options[0]) {
        cleanup_table struct table *table = table_new(2);

        (void)fprintf(to, "\nOptions:\n");
        if (table) {
            command_each_option(option, command) add_option(table, option);
            table_print(table, to, 2, false);
        }
    }
    if (command->examples)
        (void)fprintf(to, "\nExamples:\n%s", command->examples);
    (void)fprintf(to, "\nOptions of every command: tcgw help\n");
}

static bool in_group(const struct command *command, const char *group)
{
    size_t n = strlen(group);

    return n == 0 || (strncmp(command->words, group, n) == 0 && (command->words[n] == ' ' || !command->words[n]));
}

static void print_commands(FILE *to, const char *group)
{
    cleanup_table struct table *table = table_new(2);
    const struct command *command;

    command_each(command)
    {
        struct buffer b = {0};
        size_t size;

        if (!table || !in_group(command, group))
            continue;
        buffer_printf(&b, "%s %s", command->words, command->arguments);
        table_add(table, (char *)buffer_steal(&b, &size), COLOUR_NONE, false);
        table_add(table, strdup(command->help), COLOUR_NONE, false);
    }
    if (table)
        table_print(table, to, 2, false);
}

void help_print(FILE *to, const char *group)
{
    (void)fprintf(to, "tcgw %s%sCOMMAND [ARGUMENT]... [OPTION]...\n\nCommands:\n", group, *group ? " " : "");
    print_commands(to, group);
    if (*group) {
        (void)fprintf(to, "\nMore on one of them: tcgw help %s COMMAND\n", group);
        return;
    }
    (void)fprintf(to, "\nOptions of every command:\n");
    print_options(to, command_global_options);
    (void)fprintf(to, "\nExit codes:\n");
    for (size_t i = 0; i < command_exits_size; i++)
        (void)fprintf(to, "  %3d  %s\n", command_exits[i].code, command_exits[i].meaning);
    (void)fprintf(to, "\nMore on a command: tcgw help COMMAND\n");
}

int help_print_for(struct cli *cli, const char *words)
{
    const struct command *command = command_find(words);
    struct arguments args;
    char group[64] = "";

    if (command) {
        help_print_command(cli->out, command);
        return CLI_OK;
    }
    if (*words) {
        char *const argv[] = {(char *)words};
        int rc = command_parse(cli, 1, argv, &args, group);

        if (rc)
            return rc;
    }
    help_print(cli->out, group);
    return CLI_OK;
}

/* A dash or backslash is escaped, and so is a dot or quote where a line could begin with it. */
static void roff_text(FILE *to, const char *text)
{
    for (const char *p = text; *p; p++) {
        if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n'))
            (void)fputs("\\&", to);
        if (*p == '-')
            (void)fputs("\\-", to);
        else if (*p == '\\')
            (void)fputs("\\e", to);
        else
            (void)fputc(*p, to);
    }
}

static void roff_option(FILE *to, const struct option_spec *option)
{
    cleanup_free char *form = option_form(option);

    (void)fputs(".TP\n.B ", to);
    roff_text(to, form ? form : "");
    (void)fputc('\n', to);
    roff_text(to, option->help);
    (void)fputc('\n', to);
}

static void roff_command(FILE *to, const struct command *command)
{
    (void)fprintf(to, ".SS \"tcgw %s%s%s\"\n", command->words, *command->arguments ? " " : "", command->arguments);
    (void)fputc(toupper((unsigned char)command->help[0]), to);
    roff_text(to, command->help + 1);
    (void)fputs(".\n", to);
    if (command->details) {
        roff_text(to, command->details);
        (void)fputc('\n', to);
    }
    command_each_option(option, command) roff_option(to, option);
    if (command->examples) {
        (void)fputs(".PP\n.nf\n", to);
        roff_text(to, command->examples);
        (void)fputs(".fi\n", to);
    }
}

void help_print_roff(FILE *to)
{
    const struct command *command;

    (void)fputs(".SH OPTIONS\n", to);
    for (const struct option_spec *option = command_global_options; option->name; option++)
        roff_option(to, option);
    (void)fputs(".SH COMMANDS\n", to);
    command_each(command) roff_command(to, command);
    (void)fputs(".SH EXIT STATUS\n", to);
    for (size_t i = 0; i < command_exits_size; i++) {
        (void)fprintf(to, ".TP\n.B %d\n", command_exits[i].code);
        roff_text(to, command_exits[i].meaning);
        (void)fputc('\n', to);
    }
}
