#ifndef TC_CORE_BODYCHECK_H
#define TC_CORE_BODYCHECK_H

#include "base/cleanup.h"
#include "base/fault.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Checks JSON bodies against tables, so that every wrong member is reported with its JSON pointer (RFC 6901). */

enum body_type {
    BODY_TEXT,   /* min to max bytes of UTF-8 without control characters */
    BODY_NUMBER, /* an integer from min to max */
    BODY_CHOICE, /* one of choices */
    BODY_BOOL,
    BODY_ARRAY, /* of at most max elements */
    BODY_OBJECT,
};

struct body_rule {
    const char *name;
    enum body_type type;
    bool required;
    bool nullable;
    int64_t min, max;
    const char *choices; /* "running stopped" */
};

/* Checks that a value is an object with no members but those of the rules. `pointer` is the value's own, "" for the
 * body. 0, or 1 with FAULT_INVALID_FIELD or FAULT_UNKNOWN_FIELD. */
int body_check(const json_t *value, const char *pointer, const struct body_rule *rules, size_t count,
               struct fault *fault) must_check;

/* Checks one value, as an array's element; the rule's name is not used. */
int body_check_value(const json_t *value, const char *pointer, const struct body_rule *rule,
                     struct fault *fault) must_check;

/* The text of a member, NULL when it is missing or null. */
const char *body_text(const json_t *object, const char *name);
/* The number of a member, or the fallback when it is missing or null. */
int64_t body_number(const json_t *object, const char *name, int64_t fallback);

#endif
