#include "core/jwt.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A token, a line feed, and the keys. What is good has the issuer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct jwt_rules rules = {"i", "a", 1700000000, 60};
    const uint8_t *end = memchr(data, '\n', size);
    size_t n = end ? (size_t)(end - data) : size;
    char reason[JWT_REASON_SIZE] = "", *token = malloc(n + 1);
    struct jwks *keys = NULL;
    json_t *claims = NULL;
    const char *why = NULL;

    if (!token)
        return 0;
    memcpy(token, data, n);
    token[n] = 0;
    if (!end || jwks_parse(&keys, end + 1, size - n - 1, reason, sizeof reason)) {
        if (end && !*reason)
            abort();
    } else if (jwt_verify(token, keys, &rules, &claims, &why) == JWT_GOOD) {
        if (strcmp(json_string_value(json_object_get(claims, "iss")), "i") != 0)
            abort();
    } else if (!why || claims) {
        abort();
    }
    json_decref(claims);
    (void)jwks_free(keys);
    free(token);
    return 0;
}
