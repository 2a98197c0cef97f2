#include "conf/conf_private.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* The largest first. */
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct unit size_units[] = {{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}};

static void *member_of(const void *object, const struct conf_key *key)
{
    return (char *)(uintptr_t)object + key->offset;
}

bool conf_has_comment(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((*p == ';' || *p == '#') && (p == text || isspace((unsigned char)p[-1])))
            return true;
    return false;
}

static bool parse_with_unit(const char *text, const struct unit *units, size_t count, int64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    char number[20];

    if (digits == 0 || digits >= sizeof number)
        return false;
    memcpy(number, text, digits);
    number[digits] = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text + digits, units[i].name) != 0)
            continue;
        if (!text_parse_int(number, 0, INT64_MAX / units[i].factor, out))
            return false;
        *out *= units[i].factor;
        return true;
    }
    *out = 0;
    return strcmp(text, "0") == 0; /* needs no unit */
}

static bool parse_mode(const char *text, int64_t *out)
{
    size_t digits = strspn(text, "01234567");

    if (digits == 0 || digits > 6 || text[digits])
        return false;
    *out = strtol(text, NULL, 8);
    return true;
}

static bool parse_number(const struct conf_key *key, const char *text, int64_t *out)
{
    switch (key->type) {
    case CONF_SIZE:
        return parse_with_unit(text, size_units, array_size(size_units), out);
    case CONF_DURATION:
        return parse_with_unit(text, duration_units, array_size(duration_units), out);
    case CONF_MODE:
        return parse_mode(text, out);
    default:
        return text_parse_int(text, INT64_MIN, INT64_MAX, out);
    }
}

static bool parse_bool(const char *text, bool *out)
{
    static const char *const names[] = {"no", "yes", "false", "true", "off", "on"};

    for (size_t i = 0; i < array_size(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i % 2;
            return true;
        }
    }
    return false;
}

static bool parse_choice(const struct conf_choice *choices, const char *text, int *out)
{
    for (; choices->name; choices++) {
        if (strcmp(text, choices->name) == 0) {
            *out = choices->value;
            return true;
        }
    }
    return false;
}

/* "ADDRESS:PORT" or "[ADDRESS]:PORT" with a literal address; both forms end in the last colon's port. */
static bool is_listen(const char *text)
{
    const char *colon = strrchr(text, ':');
    unsigned char address[sizeof(struct in6_addr)];
    char host[INET6_ADDRSTRLEN + 2];
    size_t length = colon ? (size_t)(colon - text) : 0;
    int64_t port;

    if (!*text)
        return true;
    if (length == 0 || length >= sizeof host || strlen(colon + 1) > 5 || !text_parse_int(colon + 1, 0, 65535, &port))
        return false;
    memcpy(host, text, length);
    host[length] = 0;
    if (host[0] != '[')
        return inet_pton(AF_INET, host, address) == 1;
    if (host[length - 1] != ']')
        return false;
    host[length - 1] = 0;
    return inet_pton(AF_INET6, host + 1, address) == 1;
}

/* What a file can hold and give back unchanged. */
static bool is_path(const struct conf_key *key, const char *text)
{
    size_t length = strlen(text);

    if ((int64_t)length < key->min || (int64_t)length > key->max)
        return false;
    if (length && (isspace((unsigned char)text[0]) || isspace((unsigned char)text[length - 1])))
        return false;
    for (const char *p = text; *p; p++)
        if (iscntrl((unsigned char)*p))
            return false;
    return text[0] != '"' && text[0] != '\'' && !conf_has_comment(text) && text_is_utf8(text, length);
}

/* Each word is a name, or the star that stands for all. */
static bool is_words(const char *text)
{
    char word[64];

    for (size_t n; *(text += strspn(text, " ")); text += n) {
        n = strcspn(text, " ");
        if (n >= sizeof word)
            return false;
        memcpy(word, text, n);
        word[n] = 0;
        if (strcmp(word, "*") != 0 && !text_is_name(word, sizeof word - 1))
            return false;
    }
    return true;
}

static int set_text(char **member, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return -ENOMEM;
    free(*member);
    *member = copy;
    return 0;
}

static int refuse_value(const struct conf_key *key, const char *text, char *reason, size_t reason_size)
{
    static const char *const expected[] = {
        [CONF_PATH] = "a path without quotes or comment, ",
        [CONF_TEXT] = "text without quotes or comment, ",
        [CONF_LISTEN] = "a literal address and port such as 127.0.0.1:8080 or [::1]:8080 (no names)",
        [CONF_WORDS] = "words of letters, digits and . _ ~ - with spaces between, ",
        [CONF_INT] = "a number, ",
        [CONF_MODE] = "permission bits in octal such as 0660, ",
        [CONF_SIZE] = "a size such as 64K or 1M, ",
        [CONF_DURATION] = "a duration such as 500ms, 2s, 5m, 1h or 7d, ",
        [CONF_BOOL] = "yes or no",
        [CONF_ENUM] = "one of ",
    };
    char range[96];

    (void)snprintf(reason, reason_size, "%s.%s = %.40s%s is not valid: expected %s%s", key->section, key->key, text,
                   strlen(text) > 40 ? "..." : "", expected[key->type], conf_describe_range(key, range, sizeof range));
    return 1;
}

static bool parse_text(const struct conf_key *key, const char *text)
{
    if (key->type == CONF_LISTEN)
        return is_listen(text);
    return is_path(key, text) && (key->type != CONF_WORDS || is_words(text));
}

int conf_parse_value(void *object, const struct conf_key *key, const char *text, char *reason, size_t reason_size)
{
    void *member = member_of(object, key);
    int64_t number;
    bool valid;

    switch (key->type) {
    case CONF_PATH:
    case CONF_TEXT:
    case CONF_LISTEN:
    case CONF_WORDS:
        if (parse_text(key, text))
            return set_text(member, text);
        return refuse_value(key, text, reason, reason_size);
    case CONF_BOOL:
        valid = parse_bool(text, member);
        break;
    case CONF_ENUM:
        valid = parse_choice(key->choices, text, member);
        break;
    default:
        valid = parse_number(key, text, &number) && number >= key->min && number <= key->max;
        if (valid)
            *(int64_t *)member = number;
    }
    return valid ? 0 : refuse_value(key, text, reason, reason_size);
}

static char *format_with_unit(const struct unit *units, int64_t number, char *out, size_t size)
{
    if (number == 0)
        return memcpy(out, "0", 2);
    while (number % units->factor)
        units++;
    (void)snprintf(out, size, "%lld%s", (long long)(number / units->factor), units->name);
    return out;
}

char *conf_format_number(enum conf_type type, int64_t number, char *out, size_t size)
{
    switch (type) {
    case CONF_SIZE:
        return format_with_unit(size_units, number, out, size);
    case CONF_DURATION:
        return format_with_unit(duration_units, number, out, size);
    default:
        (void)snprintf(out, size, type == CONF_MODE ? "%04llo" : "%lld", (long long)number);
        return out;
    }
}

static const char *choice_name(const struct conf_choice *choices, int value)
{
    while (choices->name && choices->value != value)
        choices++;
    return choices->name;
}

char *conf_format_value(const void *object, const struct conf_key *key, char *out, size_t size)
{
    const void *member = member_of(object, key);

    switch (key->type) {
    case CONF_PATH:
    case CONF_TEXT:
    case CONF_LISTEN:
    case CONF_WORDS:
        (void)text_copy(out, size, *(char *const *)member);
        return out;
    case CONF_BOOL:
        (void)text_copy(out, size, *(const bool *)member ? "yes" : "no");
        return out;
    case CONF_ENUM:
        (void)text_copy(out, size, choice_name(key->choices, *(const int *)member));
        return out;
    default:
        return conf_format_number(key->type, *(const int64_t *)member, out, size);
    }
}

int conf_set_fallbacks(void *object, const struct conf_key *table, size_t size)
{
    char reason[CONF_REASON_SIZE];
    int result = 0;

    for (size_t i = 0; i < size && result == 0; i++)
        result = conf_parse_value(object, &table[i], table[i].fallback, reason, sizeof reason);
    return result;
}

void conf_free_texts(void *object, const struct conf_key *table, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (table[i].type <= CONF_WORDS)
            free(*(char **)member_of(object, &table[i]));
}
