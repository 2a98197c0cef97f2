#ifndef TC_CLI_COMMAND_H
#define TC_CLI_COMMAND_H

#include "base/buffer.h"
#include "cli/cli.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The commands and their options, as tables. Dispatch, help, man page, completion and the suggestions for mistyped
 * words are all made from them.
 */

struct option_spec {
    const char *name;  /* without dashes */
    char letter;       /* 0: none */
    const char *value; /* what its argument is called; NULL: takes none; "[SECONDS]": may be left out; "SECONDS|auto" */
    const char *choices; /* "auto always never": what it may be; NULL: anything */
    const char *help;
};

#define OPTION_END                                                                                                     \
    {                                                                                                                  \
        NULL, 0, NULL, NULL, NULL                                                                                      \
    }

#define COMMAND_MAX_ARGUMENTS 4
#define COMMAND_MAX_OPTIONS 96
#define COMMAND_MAX_GROUPS 3

struct option_given {
    const struct option_spec *spec;
    const char *value; /* NULL when it has none */
};

struct command;

/* A parsed command line. The texts are those of argv. */
struct arguments {
    const struct command *command;
    const char *words[COMMAND_MAX_ARGUMENTS]; /* NULL behind the last one */
    size_t word_count;
    struct option_given options[COMMAND_MAX_OPTIONS]; /* the global ones too, in their order */
    size_t option_count;
};

struct command {
    const char *words;                                     /* "device add" */
    const char *arguments;                                 /* "DEVICE [UID]" */
    const struct option_spec *options[COMMAND_MAX_GROUPS]; /* groups, each ended by OPTION_END */
    const char *help;                                      /* one line, without a full stop */
    const char *details;                                   /* sentences, or NULL */
    const char *examples;                                  /* lines, or NULL */
    int (*run)(struct cli *cli, const struct arguments *args);
};

/* The commands in the order in which they are listed; NULL behind the last one. */
const struct command *command_at(size_t i);
/* command runs over all of them; nothing else may be done with it. */
#define command_each(command) for (size_t each_ = 0; ((command) = command_at(each_)); each_++) /* NOLINT */
extern const struct option_spec command_global_options[];

/* Exit codes for help and man page. */
struct command_exit {
    int code;
    const char *meaning;
};
extern const struct command_exit command_exits[];
extern const size_t command_exits_size;

/* The last value of an option, NULL when it was not given or has none. */
const char *arguments_value(const struct arguments *args, const char *name);
bool arguments_given(const struct arguments *args, const char *name);
/* The value of the option given first at or after *next, which moves behind it; NULL when there is no other. */
const char *arguments_next(const struct arguments *args, const char *name, size_t *next);
/* All values of an option that may be repeated, as an array; NULL: it was not given. */
json_t *arguments_values(const struct arguments *args, const char *name);
/* A whole number in [min, max]; leaves *out when the option was not given. 0, or CLI_USAGE with an error written. */
int arguments_integer(struct cli *cli, const struct arguments *args, const char *name, int64_t min, int64_t max,
                      int64_t *out) must_check;
/* The value of an option that takes SECONDS (a number, or one with s, m, h or d; the parser has checked it), as
 * milliseconds; `otherwise` when it was not given or has no value. */
int64_t arguments_duration(const struct arguments *args, const char *name, int64_t otherwise);

/* True for a command that works on files and needs no gateway. */
bool command_is_offline(const struct command *command);

/* The command made of exactly these words, NULL when there is none. */
const struct command *command_find(const char *words);

/*
 * Parses a command line (without the program's name). Returns 0 or CLI_USAGE with an error written. args->command is
 * NULL when no command was named; with --help the words of a group ("device") are in `group` (64 bytes), else it is "".
 */
int command_parse(struct cli *cli, int argc, char *const argv[], struct arguments *args, char *group) must_check;

/* The help of everything, of a group of commands, or of one command. */
void help_print(FILE *to, const char *group);
void help_print_command(FILE *to, const struct command *command);
/* The same by words ("", "device", "device add"), or an error about unknown ones. Returns a cli_exit code. */
int help_print_for(struct cli *cli, const char *words) must_check;
/* The part of the man page that the tables make, in roff. */
void help_print_roff(FILE *to);

/* A completion script for "bash", "zsh" or "fish"; false for another shell. */
bool completion_print(FILE *to, const char *shell);

/* Calls each option of a command, groups in order. */
#define command_each_option(option, command)                                                                           \
    for (size_t group_ = 0; group_ < COMMAND_MAX_GROUPS && (command)->options[group_]; group_++)                       \
        for (const struct option_spec *option = (command)->options[group_]; option->name; option++) /* NOLINT */

#endif
