#ifndef TC_CONF_PRIVATE_H
#define TC_CONF_PRIVATE_H

#include "conf/conf.h"

/* conf_read from an open file; name is for the messages. */
int conf_read_stream(struct conf *conf, FILE *file, const char *name, char *reason, size_t reason_size) must_check;

/* The key of a name, NULL when there is none. */
const struct conf_key *conf_find_key(const char *section, const char *key);
bool conf_is_section(const char *section);

#define CONF_VALUE_SIZE 256 /* holds any value as text */

/* Reads a value over the present one of an object that the key's table is of. 0; 1 with the reason, which begins with
 * the key's name; -ENOMEM. */
int conf_parse_value(void *object, const struct conf_key *key, const char *text, char *reason,
                     size_t reason_size) must_check;
/* The value as conf_parse_value takes it, cut to the room there is. Returns out. */
char *conf_format_value(const void *object, const struct conf_key *key, char *out, size_t size);
/* Gives an object the defaults of its table (texts are freed before), and frees its texts. */
int conf_set_fallbacks(void *object, const struct conf_key *table, size_t size) must_check;
void conf_free_texts(void *object, const struct conf_key *table, size_t size);

/* Sinks: what follows "sink " or "sink." in a name. conf_take_sink finds it, or adds one: 0; 1 with the reason;
 * -ENOMEM. */
int conf_take_sink(struct conf *conf, const char *name, struct conf_sink **out, char *reason,
                   size_t reason_size) must_check;
const struct conf_key *conf_find_sink_key(const char *key);
int conf_check_sinks(const struct conf *conf, char *reason, size_t reason_size) must_check;
const char *conf_find_store_problem(const struct conf *conf); /* with [artifacts]; NULL: none */
void conf_free_sinks(struct conf *conf);
/* Has `conf` the sinks of `from`. False: out of memory, and nothing was changed. */
bool conf_copy_sinks(struct conf *conf, const struct conf *from);
void conf_print_sinks(const struct conf *conf, FILE *to, bool help);
void conf_print_key(const void *object, const struct conf_key *key, FILE *to, bool help, const char *indent);
bool conf_is_loopback_host(const char *host); /* a name or a literal address */
/* A number of a key's type with its unit. Returns out. */
char *conf_format_number(enum conf_type type, int64_t number, char *out, size_t size);
/* "1K to 16M", "yes or no", the choices; empty where the type says it all. Returns out. */
char *conf_describe_range(const struct conf_key *key, char *out, size_t size);

/* Would the rest of a line count as a comment? */
bool conf_has_comment(const char *text);

/* Refuses a name that is not in the table, and names the nearest one. Return 1. */
int conf_refuse_key(const char *section, const char *key, char *reason, size_t reason_size);
int conf_refuse_section(const char *section, char *reason, size_t reason_size);
int conf_refuse_sink_key(const char *key, char *reason, size_t reason_size);

#endif
