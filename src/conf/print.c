#include "conf/conf_private.h"

#include "base/buffer.h"
#include "base/text.h"

#include <string.h>

static char *list_choices(const struct conf_choice *choices, char *out, size_t size)
{
    size_t used = 0;

    out[0] = 0;
    for (const struct conf_choice *choice = choices; choice->name && used < size; choice++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", choice == choices ? "" : ", ", choice->name);
    return out;
}

char *conf_describe_range(const struct conf_key *key, char *out, size_t size)
{
    char min[24], max[24];

    switch (key->type) {
    case CONF_LISTEN:
    case CONF_BOOL:
        out[0] = 0;
        return out;
    case CONF_ENUM:
        return list_choices(key->choices, out, size);
    default:
        (void)snprintf(out, size, "%s to %s%s", conf_format_number(key->type, key->min, min, sizeof min),
                       conf_format_number(key->type, key->max, max, sizeof max),
                       key->type <= CONF_WORDS ? " bytes" : "");
        return out;
    }
}

char *conf_describe(const struct conf_key *key, char *out, size_t size)
{
    static const char *const names[] = {
        [CONF_PATH] = "path, ",   [CONF_TEXT] = "text, ",         [CONF_LISTEN] = "address and port",
        [CONF_WORDS] = "words, ", [CONF_INT] = "number, ",        [CONF_MODE] = "octal, ",
        [CONF_SIZE] = "size, ",   [CONF_DURATION] = "duration, ", [CONF_BOOL] = "yes or no",
        [CONF_ENUM] = "one of ",
    };
    char range[96];

    (void)snprintf(out, size, "%s%s; default %s", names[key->type], conf_describe_range(key, range, sizeof range),
                   *key->fallback ? key->fallback : "empty");
    return out;
}

void conf_print_key(const void *object, const struct conf_key *key, FILE *to, bool help, const char *indent)
{
    char text[CONF_VALUE_SIZE];

    if (help)
        (void)fprintf(to, "\n# %s\n# %s%s.\n", key->help, conf_describe(key, text, sizeof text),
                      key->reload ? "" : "; read at the start only");
    (void)conf_format_value(object, key, text, sizeof text);
    (void)fprintf(to, "%s%s =%s%s\n", indent, key->key, *text ? " " : "", text);
}

void conf_print(const struct conf *conf, FILE *to, bool help)
{
    const char *section = "";

    if (help)
        (void)fputs("# Configuration of tcgwd, see tcgw.conf(5). Comments stand on lines of their own.\n", to);
    for (size_t i = 0; i < conf_table_size; i++) {
        const struct conf_key *key = &conf_table[i];

        if (strcmp(section, key->section) != 0) {
            section = key->section;
            (void)fprintf(to, "%s[%s]\n", i || help ? "\n" : "", section);
        }
        conf_print_key(conf, key, to, help, "");
    }
    conf_print_sinks(conf, to, help);
}
