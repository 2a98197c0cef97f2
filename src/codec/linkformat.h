#ifndef TC_CODEC_LINKFORMAT_H
#define TC_CODEC_LINKFORMAT_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * CoRE link format (RFC 6690): a list of targets with attributes, as /.well-known/core answers it. The reader copies
 * nothing; all that it hands out are views of its input.
 */

struct linkformat {
    const char *at, *end;
};

struct linkformat_link {
    const char *target; /* between the angle brackets, as it stands: not resolved, not percent-decoded */
    size_t target_size;
    const char *attributes, *attributes_end; /* for linkformat_get */
};

struct linkformat_value {
    const char *text; /* without its quotes; escapes in a quoted value are left as they are; empty for a bare name */
    size_t size;
};

struct linkformat linkformat_init(const void *data, size_t size);

/* Takes the next link. Returns 0, 1 at the end, 2 when what follows is malformed (and then always). */
int linkformat_next(struct linkformat *lf, struct linkformat_link *link) __attribute__((warn_unused_result));

/* The first attribute of a name ("rt", "if", "ct", "sz", "obs", ...); false when there is none. */
bool linkformat_get(const struct linkformat_link *link, const char *name, struct linkformat_value *value);

/* True when the attribute's value, a list divided by spaces (section 3.1), contains this item. */
bool linkformat_has(const struct linkformat_link *link, const char *name, const char *item);

/* The value of a decimal attribute (sz, ct); false when it is absent or anything else. */
bool linkformat_get_uint(const struct linkformat_link *link, const char *name, uint32_t *value);

struct linkformat_attribute {
    const char *name;
    size_t name_size;
    struct linkformat_value value;
};
/* Goes through a link's attributes: *at is NULL at first. False behind the last one. */
bool linkformat_next_attribute(const struct linkformat_link *link, const char **at, struct linkformat_attribute *out);

/* Filters (section 4.1): a value as wanted, or beginning like what stands before a '*' at its end. */
bool linkformat_value_is(const struct linkformat_value *value, const struct linkformat_value *wanted);
/* The same for the attribute of a name; for rt, if and rel, which are lists, one of their items. `wanted` NULL: that
 * the link has the attribute will do. */
bool linkformat_matches(const struct linkformat_link *link, const char *name, size_t name_size,
                        const struct linkformat_value *wanted);

/* True when the target is exactly this text. */
bool linkformat_target_is(const struct linkformat_link *link, const char *target);

/* The writer appends to a buffer: each link begins with its target, then its attributes follow. Values are quoted, and
 * neither they nor the targets may hold what would need an escape (quotes, backslashes, angle brackets, controls). */
void linkformat_put(struct buffer *out, const char *target);
void linkformat_put_text(struct buffer *out, const char *name, const char *value);
void linkformat_put_uint(struct buffer *out, const char *name, uint32_t value);
void linkformat_put_flag(struct buffer *out, const char *name);

#endif
