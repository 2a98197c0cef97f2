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

/* Sets where and from which severity on messages are written. May be called again at any time. */
void log_setup(enum log_format format, enum log_level level);

bool log_enabled(enum log_level level);

/*
 * Writes one message with fields. The fields are pairs of strings, a name in lower_case ("device", "container",
 * "operation", "error", ...) and its value, ended by NULL; a pair whose value is NULL ends the list too.
 *
 *   log_message(LOG_LEVEL_INFO, "operation succeeded", "device", device->id, "operation", op->id, NULL);
 */
void log_message(enum log_level level, const char *message, ...) __attribute__((sentinel));

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
