#ifndef TC_CONF_CONF_H
#define TC_CONF_CONF_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * tcgw.conf: sections with keys, all from one table (table.c) that gives type, range, default, help, and whether a
 * reload (SIGHUP) takes a change over.
 */

enum conf_type {
    CONF_PATH,     /* char *; may be relative to where the program was started */
    CONF_TEXT,     /* char *; or empty */
    CONF_LISTEN,   /* char *; literal "127.0.0.1:8080" or "[::1]:8080", or empty */
    CONF_WORDS,    /* char *; words with spaces between, or empty */
    CONF_INT,      /* int64_t */
    CONF_MODE,     /* int64_t; permission bits, octal */
    CONF_SIZE,     /* int64_t bytes; "64K", "1M", "2G" */
    CONF_DURATION, /* int64_t ms; "500ms", "2s", "5m", "1h", "7d" */
    CONF_BOOL,     /* bool; yes or no (true, false, on, off) */
    CONF_ENUM,     /* int; a name of the key's choices */
};

struct conf {
    /* [gateway] */
    char *state_directory;
    char *gateway_id; /* in topics and payloads of the uplink; empty: the host's name */
    /* [log] */
    int log_format; /* enum log_format */
    int log_level;  /* enum log_level */
    /* [http] */
    char *http_socket;        /* path of the Unix socket, empty: none */
    int64_t http_socket_mode; /* permission bits */
    char *http_listen;        /* "127.0.0.1:8080", "[::1]:8080", empty: none */
    bool http_allow_remote;   /* http_listen may be another address than the machine's own loopback */
    char *http_tls_listen;    /* as http_listen, for HTTPS */
    char *http_tls_certificate, *http_tls_key, *http_tls_client_ca; /* PEM files; the first two empty: our own CA's */
    bool http_tls_require_client;
    int64_t http_tls_rate; /* per second */
    int64_t http_max_connections;
    int64_t http_connection_timeout_ms;
    int64_t http_max_json_bytes;
    int64_t http_max_wait_ms;
    int64_t http_max_streams;
    /* [auth] */
    int auth_anonymous;                                                      /* enum role of the core */
    char *auth_jwt_issuer, *auth_jwt_audience, *auth_jwt_keys, *auth_jwt_ca; /* empty: no JWTs */
    int64_t auth_jwt_leeway_ms;
    /* [storage] */
    int storage_synchronous; /* 1 normal, 2 full */
    /* [limits] */
    int64_t max_devices, max_artifacts, max_containers_per_device, max_queue_per_device;
    int64_t max_artifact_bytes;
    /* [artifacts], also: */
    char *artifacts_store_url, *artifacts_store_ca, *artifacts_store_token_file; /* the platform's store; empty: none */
    int64_t artifacts_keep_age_ms, artifacts_keep_count, artifacts_keep_releases;
    int64_t max_pending, max_shadow_bytes, max_operations;
    int64_t operations_kept;
    int artifacts_require_signature; /* enum signature_requirement of the core */
    /* [operations] */
    int64_t operation_ttl_ms, operation_ttl_max_ms;
    int64_t verify_delay_ms, settle_delay_ms;
    int64_t reconcile_retry_min_ms, reconcile_retry_max_ms, reconcile_interval_ms;
    int reconcile_unasked; /* enum unasked of the core */
    /* [coap] */
    int64_t coap_ack_timeout_ms, coap_max_retransmit, coap_answer_timeout_ms, coap_load_timeout_ms;
    int64_t coap_max_sessions, coap_log_max;
    char *coap_listen, *coap_listen_dtls, *coap_listen_tcp, *coap_listen_tls; /* as http_listen */
    int64_t coap_max_peer_sessions, coap_kept_answers_bytes;
    int64_t coap_max_transfers, coap_max_body_bytes, coap_max_unfragmented_bytes, coap_max_observers;
    char *coap_allow_plain_groups;                              /* names with spaces between, "*": every device */
    char *coap_certificate, *coap_private_key, *coap_client_ca; /* PEM files; empty: the gateway's own CA */
    /* [telemetry] */
    int64_t telemetry_max_rate, telemetry_max_series, telemetry_max_records;
    int64_t telemetry_clock_ahead_ms, telemetry_clock_behind_ms;
    int64_t telemetry_max_age_ms, telemetry_downsample_ms, telemetry_downsampled_age_ms, telemetry_max_bytes;
    /* [journal] */
    int64_t audit_max_entries;
    int64_t journal_max_age_ms, journal_max_bytes, journal_memory_bytes;
    /* [budget] */
    int64_t budget_period_ms, budget_requests, budget_bytes, budget_wakeups;
    int64_t budget_container_requests, budget_container_bytes, budget_alarm_factor;
    /* [transfer] */
    int64_t transfer_parallel, transfer_rate, transfer_block;

    /* [presence] */
    int64_t presence_online_ms, presence_late_ms, presence_awake_ms, presence_failures;
    /* [directory] */
    int64_t directory_max_registrations, directory_max_per_address;
    /* [proxy] */
    bool proxy_allow_unknown_hosts;
    int64_t proxy_cache_bytes;
    /* [security] */
    char *security_sealing_key; /* file of 32 bytes; empty: the systemd credential tcgw.sealing-key, else a file in the
                                   state directory, which is made */
    /* [sink NAME], as they stand in the file */
    struct conf_sink *sinks;
    size_t sink_count;
};

#define CONF_SINKS_MAX 16
#define CONF_SINK_NAME_MAX 32 /* bytes: lower-case letters, digits and - _ */

enum conf_sink_type { CONF_SINK_MQTT, CONF_SINK_WEBHOOK };
enum conf_sink_format { CONF_FORMAT_JSON, CONF_FORMAT_SENML };
enum conf_commands { CONF_COMMANDS_OFF, CONF_COMMANDS_READ, CONF_COMMANDS_ALL };

/* Where the journal goes to; conf_sink_table has its keys. Texts are never NULL. */
struct conf_sink {
    char name[CONF_SINK_NAME_MAX + 1];
    int type;                               /* enum conf_sink_type */
    char *kinds, *devices, *groups, *names; /* words; empty: all */
    int format;                             /* of telemetry: enum conf_sink_format */
    char *ca, *username, *password_file;    /* for both types */
    char *certificate, *private_key;        /* of the gateway as a client, PEM files */
    bool allow_insecure;
    int64_t timeout_ms, backoff_max_ms;
    /* mqtt */
    char *host;
    int64_t port;     /* 0: 1883, with TLS 8883 */
    int mqtt_version; /* 4: 3.1.1, 5 */
    bool tls;
    char *client_id, *topic_prefix;
    int64_t keepalive_ms, max_inflight;
    int commands; /* enum conf_commands */
    /* webhook */
    char *url, *secret_file;
    int64_t batch_max, batch_bytes, batch_delay_ms, max_refusals, give_up_after_ms;
};

struct conf_choice {
    const char *name; /* NULL ends the list */
    int value;
};

/* One row of the table; the man page, --print-config and the reader go by it. */
struct conf_key {
    const char *section, *key;
    enum conf_type type;
    bool reload;      /* a reload takes a change over */
    size_t offset;    /* of the member in struct conf */
    int64_t min, max; /* CONF_INT, CONF_MODE, CONF_SIZE, CONF_DURATION: of the value; CONF_PATH: of its bytes */
    const struct conf_choice *choices; /* CONF_ENUM */
    const char *fallback;              /* default, as text */
    const char *help;
};

#define CONF_KEYS_MAX 160 /* in the table */
#define CONF_REASON_SIZE 256

extern const struct conf_key conf_table[];
extern const size_t conf_table_size;
/* The keys of each [sink NAME]; offsets are of struct conf_sink. */
extern const struct conf_key conf_sink_table[];
extern const size_t conf_sink_table_size;
extern const char conf_sink_help[]; /* what these sections are, one line */

/* All defaults. As root the state directory is /var/lib/tcgw and the socket /run/tcgw/tcgw.sock; for others below
 * $XDG_STATE_HOME (or ~/.local/state) and $XDG_RUNTIME_DIR (or the state directory). Under systemd $STATE_DIRECTORY and
 * $RUNTIME_DIRECTORY win. Negative errno. */
int conf_new(struct conf **out) must_check;
struct conf *conf_free(struct conf *conf);

/* Reads a file over the present values. 0, or 1 with "FILE:LINE: what is wrong" in reason (at least CONF_REASON_SIZE);
 * negative errno when the file cannot be read (reason says so too). After a failure some values may have been taken
 * over. A line has at most 198 bytes; comments (# or ;) stand on lines of their own. */
int conf_read(struct conf *conf, const char *path, char *reason, size_t reason_size) must_check;
/* Sets one key from text ("section.key", "sink.NAME.key"), as the command line's -o does. */
int conf_set(struct conf *conf, const char *name, const char *value, char *reason, size_t reason_size) must_check;
/* Checks that go across keys (paths that fit a socket address, listener beyond localhost, ttl <= ttl_max ...). */
int conf_check(const struct conf *conf, char *reason, size_t reason_size) must_check;
/* Makes what is missing of the directories above the state directory, when it is below $HOME: a new user's home has no
 * ~/.local/state yet. Elsewhere a missing directory is left to be found out, since it may be a mistake or a disk that
 * is not mounted; failures are too. */
void conf_make_parents(const struct conf *conf);
/* Writes the effective configuration in the file's syntax, with each key's help as a comment when `help`. */
void conf_print(const struct conf *conf, FILE *to, bool help);
/* What a key takes, for documentation: "size, 1K to 16M, default 64K". Returns out. */
char *conf_describe(const struct conf_key *key, char *out, size_t size);
/* A sink by its name, NULL when there is none. */
struct conf_sink *conf_find_sink(const struct conf *conf, const char *name);
/* A copy that outlives the configuration; NULL: out of memory. */
struct conf_sink *conf_sink_copy(const struct conf_sink *sink);
struct conf_sink *conf_sink_free(struct conf_sink *sink);                   /* NULL is fine; returns NULL */
bool conf_sink_equal(const struct conf_sink *a, const struct conf_sink *b); /* in all keys */
/* True when the words of a text have one, or when there are none; a word that ends in * stands for what begins so. */
bool conf_words_match(const char *words, const char *word);
/* Copies the reloadable keys, and the sinks, from `fresh`; writes the names of others that differ to `ignored` (a list
 * for a log). */
void conf_apply_reload(struct conf *conf, const struct conf *fresh, char *ignored, size_t ignored_size);

#endif
