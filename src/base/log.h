#ifndef TC_BASE_LOG_H
#define TC_BASE_LOG_H

#include <stdbool.h>

/* Severities of RFC 5424; the numbers are syslog's. */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

enum log_format {
    LOG_FORMAT_AUTO,    /* the journal when stderr is connected to it, text otherwise */
    LOG_FORMAT_TEXT,    /* one line to stderr */
    LOG_FORMAT_JSON,    /* one JSON object a line to stderr */
    LOG_FORMAT_JOURNAL, /* systemd's journal, with fields */
};

/* What logs: a part of the program, by the source file that a message comes from. */
enum log_part {
    LOG_PART_DAEMON,    /* start, stop, configuration; and what is none of the others */
    LOG_PART_REST,      /* HTTP */
    LOG_PART_COAP,      /* messages of devices */
    LOG_PART_STORE,     /* the database, the journal */
    LOG_PART_UPLINK,    /* sinks, the platform's commands and store */
    LOG_PART_KEYS,      /* credentials, joining, publishers, who may do what */
    LOG_PART_DEPLOY,    /* artifacts, containers, operations, services, rollouts */
    LOG_PART_TELEMETRY, /* what devices report */
    LOG_PART_CORE,      /* the rest of the domain: devices, groups, the directory */
    LOG_PART_AGENT,     /* tcagent */
    LOG_PART_COUNT
};

/* Sets where and from which severity on messages are written. May be called again at any time; the parts that
 * log_set_part was called for keep theirs. */
void log_setup(enum log_format format, enum log_level level);

/* One part's severity, instead of that of log_setup; 0: that of log_setup again. */
void log_set_part(enum log_part part, enum log_level level);
/* 0: it has none of its own. */
enum log_level log_get_part(enum log_part part);
enum log_level log_get_level(void); /* of log_setup */

const char *log_part_name(enum log_part part);
bool log_part_from_name(const char *name, enum log_part *part);
const char *log_level_name(enum log_level level);
bool log_level_from_name(const char *name, enum log_level *level);

#define LOG_ID_SIZE 33 /* with its NUL */
/* The MESSAGE_ID that a message has in systemd's journal and in share/tcgw.catalog: 32 hex digits in the form of a UUID
 * (version 8) that follow from its text. Returns out. */
const char *log_message_id(const char *message, char out[LOG_ID_SIZE]);

/* `file` is __FILE__ of the caller. */
bool log_enabled_for(const char *file, enum log_level level);
void log_message_from(const char *file, enum log_level level, const char *message, ...) __attribute__((sentinel));

#define log_enabled(level) log_enabled_for(__FILE__, level)

/*
 * Writes one message with fields. The fields are pairs of strings, a name in lower_case ("device", "container",
 * "operation", "error", ...) and its value, ended by NULL; a pair whose value is NULL ends the list too.
 *
 *   log_message(LOG_LEVEL_INFO, "operation succeeded", "device", device->id, "operation", op->id, NULL);
 */
#define log_message(level, ...) log_message_from(__FILE__, level, __VA_ARGS__)

#define log_error(...) log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_message(LOG_LEVEL_INFO, __VA_ARGS__)
/* The arguments are not evaluated below the level. */
#define log_debug(...)                                                                                                 \
    do {                                                                                                               \
        if (log_enabled(LOG_LEVEL_DEBUG))                                                                              \
            log_message(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                                 \
    } while (0)

#endif
