#include "rest/prefer.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"

/* The end of a preference: its comma or the end, not looking into quoted strings. */
static const char *preference_end(const char *at)
{
    bool quoted = false;

    for (; *at && (quoted || *at != ','); at++) {
        if (quoted && *at == '\\' && at[1])
            at++;
        else if (*at == '"')
            quoted = !quoted;
    }
    return at;
}

/* N or "N", with blanks around it; digits beyond the maximum make it the maximum. */
static bool parse_seconds(const char *at, uint32_t max, uint32_t *seconds)
{
    uint64_t value = 0;
    bool quoted;

    at += strspn(at, BLANKS);
    quoted = *at == '"';
    at += quoted;
    if (*at < '0' || *at > '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++)
        if (value <= max)
            value = value * 10 + (uint64_t)(*at - '0');
    if (quoted && *at++ != '"')
        return false;
    at += strspn(at, BLANKS);
    *seconds = value < max ? (uint32_t)value : max;
    return *at == 0 || *at == ',' || *at == ';';
}

/* The first preference of this name: what follows the name. NULL when there is none. */
static const char *find(const char *value, const char *wanted)
{
    size_t size = strlen(wanted);

    while (value && *value) {
        const char *name = value + strspn(value, BLANKS ",");
        size_t n = strcspn(name, "=;, \t");

        if (n == size && strncasecmp(name, wanted, n) == 0)
            return name + n;
        value = preference_end(name);
    }
    return NULL;
}

bool prefer_has(const char *value, const char *name)
{
    return find(value, name) != NULL;
}

int prefer_parse_wait(const char *value, uint32_t max, uint32_t *seconds, struct fault *fault)
{
    const char *at = find(value, "wait"); /* RFC 7240 section 2: the first one counts */

    *seconds = 0;
    if (!at)
        return 0;
    at += strspn(at, BLANKS);
    if (*at != '=' || !parse_seconds(at + 1, max, seconds))
        return fault_set(fault, FAULT_INVALID_PARAMETER,
                         "The Prefer header has a wait that is not a number of seconds");
    return 0;
}
