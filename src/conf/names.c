#include "conf/conf_private.h"

#include <string.h>

const struct conf_key *conf_find_key(const char *section, const char *key)
{
    for (size_t i = 0; i < conf_table_size; i++)
        if (strcmp(conf_table[i].section, section) == 0 && strcmp(conf_table[i].key, key) == 0)
            return &conf_table[i];
    return NULL;
}

bool conf_is_section(const char *section)
{
    for (size_t i = 0; i < conf_table_size; i++)
        if (strcmp(conf_table[i].section, section) == 0)
            return true;
    return false;
}

/* Edits (insertions, deletions, replacements) that lead from a to b; names over 40 bytes are far from everything. */
static unsigned distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    unsigned row[MAX + 1];
    size_t n = strlen(b);

    if (n > MAX || strlen(a) > MAX)
        return MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i]; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i + 1;
        for (size_t j = 1; j <= n; j++) {
            unsigned best = diagonal + (a[i] != b[j - 1]);

            if (best > row[j] + 1)
                best = row[j] + 1;
            if (best > row[j - 1] + 1)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

/* At most a third of a name may differ, or it is another word. */
static bool is_near(const char *name, unsigned edits)
{
    return edits <= 1 + strlen(name) / 3;
}

int conf_refuse_section(const char *section, char *reason, size_t reason_size)
{
    const char *nearest = NULL;
    unsigned best = 0;

    for (size_t i = 0; i < conf_table_size; i++) {
        unsigned edits = distance(section, conf_table[i].section);

        if (is_near(section, edits) && (!nearest || edits < best)) {
            nearest = conf_table[i].section;
            best = edits;
        }
    }
    (void)snprintf(reason, reason_size, "unknown section [%.40s]%s%s%s", section, nearest ? "; did you mean [" : "",
                   nearest ? nearest : "", nearest ? "]?" : "");
    return 1;
}

int conf_refuse_key(const char *section, const char *key, char *reason, size_t reason_size)
{
    const struct conf_key *nearest = NULL;
    unsigned best = 0;

    if (!conf_is_section(section))
        return conf_refuse_section(section, reason, reason_size);
    for (size_t i = 0; i < conf_table_size; i++) {
        const struct conf_key *known = &conf_table[i];
        /* a key that stands in another section counts as one edit more */
        unsigned edits = distance(key, known->key) + (strcmp(section, known->section) != 0);

        if (is_near(key, edits) && (!nearest || edits < best)) {
            nearest = known;
            best = edits;
        }
    }
    if (nearest)
        (void)snprintf(reason, reason_size, "unknown key %.40s in section [%s]; did you mean %s in [%s]?", key, section,
                       nearest->key, nearest->section);
    else
        (void)snprintf(reason, reason_size, "unknown key %.40s in section [%s]; tcgw.conf(5) lists what there is", key,
                       section);
    return 1;
}

int conf_refuse_sink_key(const char *key, char *reason, size_t reason_size)
{
    const struct conf_key *nearest = NULL;
    unsigned best = 0;

    for (size_t i = 0; i < conf_sink_table_size; i++) {
        unsigned edits = distance(key, conf_sink_table[i].key);

        if (is_near(key, edits) && (!nearest || edits < best)) {
            nearest = &conf_sink_table[i];
            best = edits;
        }
    }
    (void)snprintf(reason, reason_size, "unknown key %.40s of a sink; %s%s", key,
                   nearest ? "did you mean " : "tcgw.conf(5) lists what there is", nearest ? nearest->key : "");
    if (nearest)
        (void)strncat(reason, "?", reason_size - strlen(reason) - 1);
    return 1;
}
