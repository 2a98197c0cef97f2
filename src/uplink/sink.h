#ifndef TC_UPLINK_SINK_H
#define TC_UPLINK_SINK_H

#include "base/buffer.h"
#include "base/list.h"
#include "core/deadletter.h"
#include "uplink/uplink.h"

/* What the files of this room share: a sink, and what its kind of platform (mqtt.c, webhook.c) does for it. */

#define SECRET_MAX 4096       /* bytes of a secret's file */
#define SECRET_ERROR_SIZE 192 /* of a sentence about one */

enum sink_state {
    SINK_FAILED,     /* its configuration cannot be used, as `error` says; a reload may mend that */
    SINK_CONNECTING, /* on the way to the platform, or nothing was sent yet */
    SINK_UP,         /* the platform took what was sent last */
    SINK_WAITING,    /* for the next attempt */
    SINK_STOPPED,
    SINK_STATE_COUNT
};

struct sink;
struct fetches;
struct keyset;
struct http_port;

struct sink_driver {
    /* Makes link from the configuration. 0, -ENOMEM, or 1 with sink->error. */
    int (*open)(struct sink *sink);
    void (*attempt)(struct sink *sink); /* the pause is over: connect, or send */
    void (*pump)(struct sink *sink);    /* there may be something to send */
    void (*expire)(struct sink *sink);  /* the time of sink_arm is over, in states other than SINK_WAITING */
    void (*tick)(struct sink *sink);    /* each second */
    /* Sends a dead letter again; what becomes of it is told with sink_letter_done. */
    void (*send_letter)(struct sink *sink, const struct dead_letter *letter);
    /* Lets go of the platform and of all memory. Handles that close later hold the sink. */
    void (*close)(struct sink *sink);
};

extern const struct sink_driver mqtt_driver, webhook_driver;

struct sink {
    struct list node; /* in uplink->sinks */
    struct uplink *uplink;
    struct conf_sink *conf;
    const struct sink_driver *driver;
    void *link; /* the driver's */
    char cursor_name[8 + CONF_SINK_NAME_MAX];
    enum sink_state state;
    int64_t since;                 /* wall ms of the state */
    char error[SECRET_ERROR_SIZE]; /* the last one; empty: none since it was up */
    unsigned failures;             /* in a row */
    uint64_t retry_at;             /* uv_now, in SINK_WAITING */
    int64_t success_at;            /* wall ms of the last acknowledgement; 0: none */
    bool told_up;                  /* in the journal */
    uint64_t told_at;              /* uv_now; 0: never */
    struct journal_reader *reader;
    uint64_t cursor;  /* all up to it were acknowledged or are not for this sink */
    uint64_t durable; /* what of it is on the disk */
    uint64_t sent_count, done_count,
        durable_count; /* entries: sent, and acknowledged, since the start; see sink_room */
    uint64_t saving_seq, saving_count;
    bool saving;     /* a commit of the cursor is under way */
    uint64_t letter; /* first number of the dead letter that is sent again; 0: none */
    struct uplink_stats stats;
    uv_timer_t timer, ticker;
    unsigned holds; /* of open handles and callbacks that will come */
    bool closed;
};

struct uplink {
    struct uplink_options options; /* without the sinks */
    char *gateway_id, *version;
    struct list sinks;
    struct http_port *http;
    struct fetches *fetches;
    struct keyset *keyset; /* NULL: nothing was fetched yet */
    unsigned holds;        /* of sinks that are not freed, and of the HTTP client's handles */
    bool started, closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

#define SINK_CURSOR "sink." /* the name of a cursor begins with it */

void uplink_release(struct uplink *uplink);
int mqtt_port_of(const struct conf_sink *conf);

struct sink *sink_new(struct uplink *uplink, const struct conf_sink *conf); /* NULL: out of memory */
void sink_start(struct sink *sink);
/* Saves the cursor, lets go of everything, and frees the sink when its handles have closed. */
void sink_close(struct sink *sink);

void sink_hold(struct sink *sink);
void sink_release(struct sink *sink);

/* For drivers ----------------------------------------------------------------------------------------------------- */

const char *sink_state_name(enum sink_state state);
void sink_set_state(struct sink *sink, enum sink_state state);
/* Something went wrong: waits, longer each time, and attempts again. retry_after_ms: at least so long. */
void sink_fail(struct sink *sink, uint32_t retry_after_ms, const char *format, ...) printf_like(3, 4);
/* The platform took something: pauses begin small again. */
void sink_succeeded(struct sink *sink);
void sink_arm(struct sink *sink, uint64_t ms); /* expire, after this; 0 too comes from the loop */

/* The next entry that is for this sink. As journal_read; JOURNAL_MISSING is counted and given on. */
enum journal_result sink_read(struct sink *sink, struct journal_entry *entry, uint64_t *missing) must_check;
/* Its text for the platform: JSON, or telemetry as SenML where the sink is configured so (scratch then holds it). NULL:
 * out of memory, or it cannot be read. */
const char *entry_render(const struct sink *sink, const struct journal_entry *entry, struct buffer *scratch,
                         size_t *size);
/* Whether telemetry has a record of one of these names (conf_words_match). */
bool entry_has_name(const struct journal_entry *entry, const char *names);
/* How many entries may be sent now, so that no more than `window` come again after a crash. */
uint64_t sink_room(const struct sink *sink, uint64_t window);
/* `count` more of those that were sent need not be sent again, and none up to seq. */
void sink_advance(struct sink *sink, uint64_t seq, uint64_t count);
/* Has the cursor written to the disk; driver->pump is called then. */
void sink_save(struct sink *sink);
/* Begins to read again behind the cursor. */
void sink_rewind(struct sink *sink);
/* Gives up: first to last, as they were sent. */
void sink_bury(struct sink *sink, uint64_t first, uint64_t last, unsigned attempts, const char *reason,
               const void *body, size_t size);
/* The end of send_letter: NULL when the platform has it, else why not. */
void sink_letter_done(struct sink *sink, const char *problem);

/* A file with a secret, its last line end removed. 0; -ENOMEM, or 1 with the error: it cannot be read, others can read
 * it, it is empty or too large. */
int secret_read(const char *what, const char *path, struct buffer *out, char error[SECRET_ERROR_SIZE]) must_check;
int sink_read_secret(struct sink *sink, const char *what, const char *path, struct buffer *out) must_check;
/* The same checks for a key that a library reads. */
int sink_check_secret(struct sink *sink, const char *what, const char *path) must_check;
void secret_clear(struct buffer *secret); /* wipes */
#define cleanup_secret cleanup(secret_clear)

#endif
