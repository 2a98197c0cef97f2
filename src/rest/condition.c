#include "rest/condition.h"

#include <string.h>

/* A quick 64-bit mix over eight bytes at a time; it only has to tell one representation from the next. */
static uint64_t hash_bytes(const uint8_t *p, size_t size)
{
    const uint64_t prime = 0x9e3779b97f4a7c15u;
    uint64_t hash = size * prime, word;

    for (; size >= sizeof word; p += sizeof word, size -= sizeof word) {
        memcpy(&word, p, sizeof word);
        hash = (hash ^ word) * prime;
        hash ^= hash >> 29;
    }
    word = 0;
    memcpy(&word, p, size);
    hash = (hash ^ word) * prime;
    return hash ^ hash >> 32;
}

char *condition_format_tag(uint64_t revision, const void *body, size_t size, char out[CONDITION_TAG_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = hash_bytes(body, size);
    char number[20];
    size_t n = sizeof number;
    char *to = out;

    do
        number[--n] = (char)('0' + revision % 10);
    while (revision /= 10);
    *to++ = '"';
    memcpy(to, number + n, sizeof number - n);
    to += sizeof number - n;
    *to++ = '-';
    for (int shift = 60; shift >= 0; shift -= 4)
        *to++ = digits[hash >> shift & 15];
    *to++ = '"';
    *to = 0;
    return out;
}

/* The next tag of a list, without W/ and with its quotes; NULL at the end or when it is malformed. */
static const char *next_tag(const char **at, size_t *size)
{
    const char *tag = *at + strspn(*at, " \t,");
    const char *end;

    if (strncmp(tag, "W/", 2) == 0)
        tag += 2;
    end = *tag == '"' ? strchr(tag + 1, '"') : NULL;
    if (!end)
        return NULL;
    *size = (size_t)(end + 1 - tag);
    *at = end + 1;
    return tag;
}

bool condition_is_current(const struct http_request *req, const char *tag)
{
    const char *list = http_header(req, "If-None-Match"), *given;
    size_t size, n;

    if (!list)
        return false;
    if (strcmp(list, "*") == 0)
        return true;
    n = strlen(tag);
    while ((given = next_tag(&list, &size)))
        if (size == n && memcmp(given, tag, n) == 0)
            return true;
    return false;
}

static bool has_revision(const char *list, uint64_t revision)
{
    const char *given;
    size_t size;

    while ((given = next_tag(&list, &size))) {
        char *end;

        if (given[1] >= '0' && given[1] <= '9' && strtoull(given + 1, &end, 10) == revision &&
            (*end == '-' || *end == '"'))
            return true;
    }
    return false;
}

int condition_check_write(const struct http_request *req, bool exists, uint64_t revision, struct fault *fault)
{
    const char *match = http_header(req, "If-Match"), *none = http_header(req, "If-None-Match");

    if (none && strcmp(none, "*") != 0)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "If-None-Match of a write can only be *");
    if (none && exists)
        return fault_set(fault, FAULT_PRECONDITION_FAILED, "It exists already, and If-None-Match: * was sent");
    if (!match)
        return 0;
    if (!exists)
        return fault_set(fault, FAULT_PRECONDITION_FAILED, "It does not exist, and If-Match was sent");
    if (strcmp(match, "*") != 0 && !has_revision(match, revision))
        return fault_set(fault, FAULT_PRECONDITION_FAILED, "Its revision is %llu, not that of If-Match",
                         (unsigned long long)revision);
    return 0;
}
