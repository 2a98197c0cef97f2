#ifndef TC_CONF_PRIVATE_H
#define TC_CONF_PRIVATE_H

#include "conf/conf.h"

/* conf_read from an open file; name is for the messages. */
int conf_read_stream(struct conf *conf, FILE *file, const char *name, char *reason, size_t reason_size) must_check;

/* The key of a name, NULL when there is none. */
const struct conf_key *conf_find_key(const char *section, const char *key);
bool conf_is_section(const char *section);

#define CONF_VALUE_SIZE 256 /* holds any value as text */

/* Reads a value over the present one. 0; 1 with the reason, which begins with the key's name; -ENOMEM. */
int conf_parse_value(struct conf *conf, const struct conf_key *key, const char *text, char *reason,
                     size_t reason_size) must_check;
/* The value as conf_parse_value takes it, cut to the room there is. Returns out. */
char *conf_format_value(const struct conf *conf, const struct conf_key *key, char *out, size_t size);
/* A number of a key's type with its unit. Returns out. */
char *conf_format_number(enum conf_type type, int64_t number, char *out, size_t size);
/* "1K to 16M", "yes or no", the choices; empty where the type says it all. Returns out. */
char *conf_describe_range(const struct conf_key *key, char *out, size_t size);

/* Would the rest of a line count as a comment? */
bool conf_has_comment(const char *text);

/* Refuses a name that is not in the table, and names the nearest one. Return 1. */
int conf_refuse_key(const char *section, const char *key, char *reason, size_t reason_size);
int conf_refuse_section(const char *section, char *reason, size_t reason_size);

#endif
