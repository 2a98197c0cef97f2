#include "conf/conf_private.h"

#include "base/log.h"

#include <assert.h>

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define SECONDS INT64_C(1000)
#define MINUTES (60 * SECONDS)
#define HOURS (60 * MINUTES)
#define DAYS (24 * HOURS)

#define MEMBER(name) .offset = offsetof(struct conf, name)

static const struct conf_choice log_formats[] = {
    {"auto", LOG_FORMAT_AUTO},
    {"text", LOG_FORMAT_TEXT},
    {"json", LOG_FORMAT_JSON},
    {"journal", LOG_FORMAT_JOURNAL},
    {NULL, 0},
};

static const struct conf_choice log_levels[] = {
    {"error", LOG_LEVEL_ERROR},
    {"warning", LOG_LEVEL_WARNING},
    {"info", LOG_LEVEL_INFO},
    {"debug", LOG_LEVEL_DEBUG},
    {NULL, 0},
};

static const struct conf_choice signatures[] = {{"auto", 0}, {"yes", 1}, {"no", 2}, {NULL, 0}};

static const struct conf_choice unasked[] = {{"report", 0}, {"adopt", 1}, {"remove", 2}, {NULL, 0}};

/* As enum role of the core. */
static const struct conf_choice roles[] = {{"none", 0},     {"viewer", 1}, {"publisher", 2}, {"operator", 3},
                                           {"platform", 4}, {"owner", 5},  {NULL, 0}};

static const struct conf_choice synchronous[] = {{"normal", 1}, {"full", 2}, {NULL, 0}};

/* Paths are bounded so that a line of the file holds them; sockets by struct sockaddr_un. Numbers that the rooms above
 * keep in 32 bits (milliseconds among them) end below that. */
const struct conf_key conf_table[] = {
    {"gateway", "state_directory", CONF_PATH, false, MEMBER(state_directory), 1, 160, NULL, "/var/lib/tcgw",
     "Directory of the database, the gateway's key and running uploads."},
    {"gateway", "id", CONF_WORDS, false, MEMBER(gateway_id), 0, 63, NULL, "",
     "Name of this gateway in topics and payloads of the uplink; empty: the host's name."},

    {"log", "format", CONF_ENUM, true, MEMBER(log_format), 0, 0, log_formats, "auto",
     "How messages are written; auto is the journal when started by systemd, text on stderr otherwise."},
    {"log", "level", CONF_ENUM, true, MEMBER(log_level), 0, 0, log_levels, "info",
     "The least severity that is written."},

    {"http", "socket", CONF_PATH, false, MEMBER(http_socket), 0, 107, NULL, "/run/tcgw/tcgw.sock",
     "Unix socket that serves REST to this machine's users; empty for none."},
    {"http", "socket_mode", CONF_MODE, false, MEMBER(http_socket_mode), 0, 0777, NULL, "0660",
     "Permission bits of the socket; without a grant root, the daemon's own user and the socket's group are owners."},
    {"http", "listen", CONF_LISTEN, false, MEMBER(http_listen), 0, 0, NULL, "127.0.0.1:8080",
     "TCP address that serves REST; port 0 takes any free one, empty for none."},
    {"http", "allow_remote", CONF_BOOL, false, MEMBER(http_allow_remote), 0, 0, NULL, "no",
     "Whether listen may be reached from other machines, although all that is said there can be read and changed on "
     "the way."},
    {"http", "tls_listen", CONF_LISTEN, false, MEMBER(http_tls_listen), 0, 0, NULL, "",
     "TCP address that serves REST with TLS, for other machines too; empty for none."},
    {"http", "tls_certificate", CONF_PATH, true, MEMBER(http_tls_certificate), 0, 160, NULL, "",
     "PEM file with the certificate that HTTPS shows, its issuers behind it; empty: one of the gateway's own CA."},
    {"http", "tls_key", CONF_PATH, true, MEMBER(http_tls_key), 0, 160, NULL, "", "PEM file with its private key."},
    {"http", "tls_client_ca", CONF_PATH, true, MEMBER(http_tls_client_ca), 0, 160, NULL, "",
     "PEM file with the CAs of clients; empty: clients are not asked for certificates."},
    {"http", "tls_require_client", CONF_BOOL, true, MEMBER(http_tls_require_client), 0, 0, NULL, "no",
     "Whether a client has to show a certificate; otherwise it may have a token instead."},
    {"http", "tls_rate", CONF_INT, true, MEMBER(http_tls_rate), 1, 100000, NULL, "50",
     "HTTPS connections that one address (of IPv6: one network of 64 bits) may open in a second."},
    {"http", "max_connections", CONF_INT, true, MEMBER(http_max_connections), 1, 10000, NULL, "2048",
     "Connections at a time, over all listeners."},
    {"http", "connection_timeout", CONF_DURATION, true, MEMBER(http_connection_timeout_ms), SECONDS, DAYS, NULL, "1m",
     "How long a connection may be idle."},
    {"http", "max_json", CONF_SIZE, true, MEMBER(http_max_json_bytes), KIB, 16 * MIB, NULL, "64K",
     "Largest JSON body of a request."},
    {"http", "max_wait", CONF_DURATION, true, MEMBER(http_max_wait_ms), SECONDS, 10 * MINUTES, NULL, "1m",
     "Longest time that a request may wait for its operation (Prefer: wait)."},
    {"http", "max_streams", CONF_INT, true, MEMBER(http_max_streams), 1, 10000, NULL, "1024",
     "Event streams at a time; each of them takes a connection."},

    {"auth", "anonymous", CONF_ENUM, true, MEMBER(auth_anonymous), 0, 0, roles, "none",
     "Role of callers without credentials over TCP: of this machine, and of others where http.allow_remote says so."},

    {"auth", "jwt_issuer", CONF_TEXT, true, MEMBER(auth_jwt_issuer), 0, 170, NULL, "",
     "Issuer of JSON Web Tokens that are taken, as they name it (iss)."},
    {"auth", "jwt_audience", CONF_TEXT, true, MEMBER(auth_jwt_audience), 0, 170, NULL, "",
     "What they have to be meant for (aud)."},
    {"auth", "jwt_keys", CONF_TEXT, true, MEMBER(auth_jwt_keys), 0, 170, NULL, "",
     "The issuer's keys (JWKS): a path, or an https URL (http on this machine); empty: no JWTs are taken."},
    {"auth", "jwt_ca", CONF_PATH, true, MEMBER(auth_jwt_ca), 0, 160, NULL, "",
     "PEM file with the CAs of that URL's server; empty: the system's."},
    {"auth", "jwt_leeway", CONF_DURATION, true, MEMBER(auth_jwt_leeway_ms), 0, 10 * MINUTES, NULL, "1m",
     "How far the clocks of issuer and gateway may be apart."},

    {"storage", "synchronous", CONF_ENUM, false, MEMBER(storage_synchronous), 0, 0, synchronous, "full",
     "full survives a power cut without loss; normal is faster and may lose the last second then, but no credentials."},

    {"limits", "devices", CONF_INT, true, MEMBER(max_devices), 1, 100000, NULL, "10000", "Devices at most."},
    {"limits", "artifacts", CONF_INT, true, MEMBER(max_artifacts), 1, 100000, NULL, "1000", "Artifacts at most."},
    {"limits", "containers_per_device", CONF_INT, true, MEMBER(max_containers_per_device), 1, 1000, NULL, "64",
     "Containers of one device at most."},
    {"limits", "queue_per_device", CONF_INT, true, MEMBER(max_queue_per_device), 1, 1000, NULL, "64",
     "Unfinished operations and waiting queries of one device at most."},
    {"limits", "artifact_size", CONF_SIZE, true, MEMBER(max_artifact_bytes), KIB, 64 * MIB, NULL, "1M",
     "Largest artifact, code and data together."},
    {"limits", "operations", CONF_INT, true, MEMBER(max_operations), 1, 1000000, NULL, "10000",
     "Unfinished operations of all devices together."},
    {"limits", "operations_kept", CONF_INT, true, MEMBER(operations_kept), 0, 1000000, NULL, "10000",
     "Finished operations that are remembered; the oldest are forgotten first."},
    {"limits", "pending", CONF_INT, true, MEMBER(max_pending), 1, 10000, NULL, "256",
     "Agents without credentials that are listed while they wait to be approved."},
    {"limits", "shadow_size", CONF_SIZE, true, MEMBER(max_shadow_bytes), 16, MIB, NULL, "64K",
     "Largest shadow document of a device."},

    {"artifacts", "require_signature", CONF_ENUM, true, MEMBER(artifacts_require_signature), 0, 0, signatures, "auto",
     "Whether only signed releases go to devices; auto: as soon as there is a publisher."},
    {"artifacts", "store_url", CONF_TEXT, true, MEMBER(artifacts_store_url), 0, 170, NULL, "",
     "The platform's store, for artifacts that are named and not held: URL/ID, URL/ID/code, URL/ID/data; empty: none."},
    {"artifacts", "store_ca", CONF_PATH, true, MEMBER(artifacts_store_ca), 0, 160, NULL, "",
     "The CA of the store's certificate, PEM; empty: those of the system."},
    {"artifacts", "store_token_file", CONF_PATH, true, MEMBER(artifacts_store_token_file), 0, 160, NULL, "",
     "File with the bearer token that the store wants; read for every request, so it may be renewed at any time."},
    {"artifacts", "keep_age", CONF_DURATION, true, MEMBER(artifacts_keep_age_ms), 0, 3650 * DAYS, NULL, "90d",
     "An artifact that nobody needs is removed when it was not used for so long; 0: never for its age."},
    {"artifacts", "keep_count", CONF_INT, true, MEMBER(artifacts_keep_count), 0, 100000, NULL, "500",
     "So many artifacts that nobody needs are kept; the longest unused go first."},
    {"artifacts", "keep_releases", CONF_INT, true, MEMBER(artifacts_keep_releases), 0, 1000, NULL, "3",
     "The artifacts of so many releases of each name are kept, the newest."},

    {"operations", "ttl", CONF_DURATION, true, MEMBER(operation_ttl_ms), SECONDS, 45 * DAYS, NULL, "10m",
     "Time to live of an operation that names none; twice the sleep of a device that sleeps is added."},
    {"operations", "ttl_max", CONF_DURATION, true, MEMBER(operation_ttl_max_ms), SECONDS, 45 * DAYS, NULL, "30d",
     "Longest time to live that a request may name."},
    {"operations", "verify_delay", CONF_DURATION, true, MEMBER(verify_delay_ms), 0, 10 * MINUTES, NULL, "500ms",
     "A start is believed when the device still says so this long after it."},
    {"operations", "settle_delay", CONF_DURATION, true, MEMBER(settle_delay_ms), 0, 10 * MINUTES, NULL, "2s",
     "Time between a lost answer and the first question about what the device did."},

    {"reconcile", "retry_min", CONF_DURATION, true, MEMBER(reconcile_retry_min_ms), 0, DAYS, NULL, "30s",
     "Pause after the first attempt to bring a container to what is desired that failed, doubled after each further "
     "one. 0: nothing is attempted but what is asked for."},
    {"reconcile", "retry_max", CONF_DURATION, true, MEMBER(reconcile_retry_max_ms), SECONDS, 7 * DAYS, NULL, "1h",
     "Longest pause between attempts."},
    {"reconcile", "interval", CONF_DURATION, true, MEMBER(reconcile_interval_ms), 0, 30 * DAYS, NULL, "10m",
     "How often a device is asked whether a container is still as desired, when nothing else told. 0: never."},
    {"reconcile", "unasked", CONF_ENUM, true, MEMBER(reconcile_unasked), 0, 0, unasked, "report",
     "What becomes of containers that a device holds and nobody asked for: report (they are shown), adopt (they stay "
     "as "
     "they are, where the gateway has their artifact) or remove."},

    {"coap", "ack_timeout", CONF_DURATION, true, MEMBER(coap_ack_timeout_ms), SECONDS, MINUTES, NULL, "2s",
     "Time to the first retransmission (RFC 7252 ACK_TIMEOUT)."},
    {"coap", "max_retransmit", CONF_INT, true, MEMBER(coap_max_retransmit), 1, 20, NULL, "4",
     "Retransmissions of a message (RFC 7252 MAX_RETRANSMIT)."},
    {"coap", "answer_timeout", CONF_DURATION, true, MEMBER(coap_answer_timeout_ms), SECONDS, HOURS, NULL, "30s",
     "How long a device that has acknowledged a request may take to answer it."},
    {"coap", "load_timeout", CONF_DURATION, true, MEMBER(coap_load_timeout_ms), SECONDS, HOURS, NULL, "30s",
     "How long a device may take to load a container before the answer counts as lost."},
    {"coap", "max_sessions", CONF_INT, true, MEMBER(coap_max_sessions), 1, 10000, NULL, "64",
     "Idle sessions with devices (DTLS, TCP, TLS) that are kept; the least recently used go first."},
    {"coap", "log_max", CONF_SIZE, true, MEMBER(coap_log_max), KIB, MIB, NULL, "64K",
     "How much of a container's log is read at most."},
    {"coap", "listen", CONF_LISTEN, false, MEMBER(coap_listen), 0, 0, NULL, "[::]:5683",
     "UDP address that devices send to, and that requests to them leave from; [::] takes IPv4 too, empty for none."},
    {"coap", "listen_dtls", CONF_LISTEN, false, MEMBER(coap_listen_dtls), 0, 0, NULL, "",
     "UDP address that serves coaps (DTLS), usually [::]:5684; empty for none."},
    {"coap", "listen_tcp", CONF_LISTEN, false, MEMBER(coap_listen_tcp), 0, 0, NULL, "",
     "TCP address that serves coap+tcp, usually [::]:5683; empty for none."},
    {"coap", "listen_tls", CONF_LISTEN, false, MEMBER(coap_listen_tls), 0, 0, NULL, "",
     "TCP address that serves coaps+tcp (TLS), usually [::]:5684; empty for none."},
    {"coap", "certificate", CONF_PATH, false, MEMBER(coap_certificate), 0, 160, NULL, "",
     "The gateway's certificate for coaps, PEM; empty: one of the gateway's own CA."},
    {"coap", "private_key", CONF_PATH, false, MEMBER(coap_private_key), 0, 160, NULL, "",
     "The private key of coap.certificate, PEM."},
    {"coap", "client_ca", CONF_PATH, false, MEMBER(coap_client_ca), 0, 160, NULL, "",
     "The CA that signs devices' certificates, PEM; empty: the gateway's own."},
    {"coap", "allow_plain_groups", CONF_WORDS, true, MEMBER(coap_allow_plain_groups), 0, 170, NULL, "",
     "Groups whose devices may be used without protection while they have no credentials; * for every device."},
    {"coap", "max_peer_sessions", CONF_INT, true, MEMBER(coap_max_peer_sessions), 1, 10000, NULL, "64",
     "Sessions (DTLS, TCP, TLS) that devices opened; the longest idle one goes first."},
    {"coap", "kept_answers", CONF_SIZE, true, MEMBER(coap_kept_answers_bytes), 64 * KIB, 1024 * MIB, NULL, "16M",
     "Memory for answers that are kept for retransmitted requests; the oldest go first."},
    {"coap", "max_transfers", CONF_INT, true, MEMBER(coap_max_transfers), 1, 10000, NULL, "256",
     "Block-wise transfers with devices that may be under way; the longest idle one goes first."},
    {"coap", "max_body", CONF_SIZE, true, MEMBER(coap_max_body_bytes), KIB, 64 * MIB, NULL, "256K",
     "Largest body of a device's request, over all its blocks."},
    {"coap", "max_unfragmented_size", CONF_SIZE, true, MEMBER(coap_max_unfragmented_bytes), 256, 64 * KIB, NULL, "4K",
     "Largest protected message that is put together from outer blocks (RFC 8613 MAX_UNFRAGMENTED_SIZE)."},
    {"coap", "max_observers", CONF_INT, true, MEMBER(coap_max_observers), 1, 100000, NULL, "20000",
     "Observations of the gateway's resources by devices."},

    {"telemetry", "max_rate", CONF_INT, true, MEMBER(telemetry_max_rate), 0, 1000000, NULL, "100",
     "Records a second that one device may send for long (a burst may have ten times that); 0 for no limit."},
    {"telemetry", "max_series", CONF_INT, true, MEMBER(telemetry_max_series), 1, 100000, NULL, "256",
     "Series (names) of one device."},
    {"telemetry", "max_records", CONF_INT, true, MEMBER(telemetry_max_records), 1, 100000, NULL, "10000",
     "Records of one message."},
    {"telemetry", "clock_ahead", CONF_DURATION, true, MEMBER(telemetry_clock_ahead_ms), SECONDS, 45 * DAYS, NULL, "5m",
     "A record's time that is this far ahead of the gateway's clock is marked as suspect."},
    {"telemetry", "clock_behind", CONF_DURATION, true, MEMBER(telemetry_clock_behind_ms), SECONDS, 3650 * DAYS, NULL,
     "365d", "A record's time that is this far behind the gateway's clock is marked as suspect."},
    {"telemetry", "max_age", CONF_DURATION, true, MEMBER(telemetry_max_age_ms), MINUTES, 36500 * DAYS, NULL, "30d",
     "Older records are downsampled."},
    {"telemetry", "downsample", CONF_DURATION, true, MEMBER(telemetry_downsample_ms), 0, DAYS, NULL, "5m",
     "Older records are kept as one (count, min, max, mean, last) per this time; 0: they are dropped."},
    {"telemetry", "downsampled_age", CONF_DURATION, true, MEMBER(telemetry_downsampled_age_ms), MINUTES, 36500 * DAYS,
     NULL, "400d", "Downsampled records that are older are dropped."},
    {"telemetry", "max_size", CONF_SIZE, true, MEMBER(telemetry_max_bytes), MIB, 1024 * 1024 * MIB, NULL, "2G",
     "Bytes of telemetry that are kept; over that the oldest is dropped, before it is downsampled."},

    {"journal", "max_age", CONF_DURATION, true, MEMBER(journal_max_age_ms), MINUTES, 3650 * DAYS, NULL, "7d",
     "Older entries are dropped, unless a sink has not sent them yet."},
    {"journal", "max_size", CONF_SIZE, true, MEMBER(journal_max_bytes), MIB, 1024 * 1024 * MIB, NULL, "1G",
     "Bytes of entries that are kept; over that the oldest are dropped, even if a sink has not sent them."},
    {"journal", "memory", CONF_SIZE, true, MEMBER(journal_memory_bytes), 64 * KIB, 1024 * MIB, NULL, "4M",
     "Memory for the newest entries, which readers share."},

    {"audit", "max_entries", CONF_INT, true, MEMBER(audit_max_entries), 0, 10000000, NULL, "100000",
     "Entries of the audit trail that are kept, about 500 bytes each; 0: there is no audit trail."},

    {"budget", "period", CONF_DURATION, true, MEMBER(budget_period_ms), SECONDS, DAYS, NULL, "1h",
     "Time that budgets are for; what was used is counted anew in the next one."},
    {"budget", "requests", CONF_INT, true, MEMBER(budget_requests), 0, INT32_MAX, NULL, "0",
     "Requests of one device, in both directions; 0: any number."},
    {"budget", "bytes", CONF_SIZE, true, MEMBER(budget_bytes), 0, UINT32_MAX, NULL, "0",
     "Bytes that are exchanged with one device; 0: any number."},
    {"budget", "wakeups", CONF_INT, true, MEMBER(budget_wakeups), 0, INT32_MAX, NULL, "0",
     "Requests to one device that nothing was exchanged with for 10 s; 0: any number."},
    {"budget", "container_requests", CONF_INT, true, MEMBER(budget_container_requests), 0, INT32_MAX, NULL, "0",
     "Requests for one container, and values that it publishes; 0: any number."},
    {"budget", "container_bytes", CONF_SIZE, true, MEMBER(budget_container_bytes), 0, UINT32_MAX, NULL, "0",
     "Bytes of one container's requests and values; 0: any number."},
    {"budget", "alarm_factor", CONF_INT, true, MEMBER(budget_alarm_factor), 0, 1000, NULL, "10",
     "A device that does so many times what it usually does in a period is told of; 0: none is."},

    {"transfer", "parallel", CONF_INT, true, MEMBER(transfer_parallel), 0, 100000, NULL, "256",
     "Containers that are on their way to devices at a time over one link; 0: any number."},
    {"transfer", "rate", CONF_SIZE, true, MEMBER(transfer_rate), 0, 1024 * MIB, NULL, "0",
     "Bytes a second to the devices of one link, above which transfers wait; 0: any number."},
    {"transfer", "block", CONF_INT, true, MEMBER(transfer_block), 16, 1024, NULL, "1024",
     "Largest block in bytes, rounded down to a power of two."},

    {"presence", "online", CONF_DURATION, true, MEMBER(presence_online_ms), SECONDS, 45 * DAYS, NULL, "5m",
     "How long a device counts as online after it was heard, when it told no lifetime and no sleep."},
    {"presence", "late", CONF_DURATION, true, MEMBER(presence_late_ms), SECONDS, 45 * DAYS, NULL, "5m",
     "How long a device that is expected is late before it counts as offline."},
    {"presence", "awake", CONF_DURATION, true, MEMBER(presence_awake_ms), 100, HOURS, NULL, "5s",
     "How long a device that sleeps listens after a message of its own, when it tells no time."},
    {"presence", "failures", CONF_INT, true, MEMBER(presence_failures), 1, 100, NULL, "2",
     "Exchanges in a row that fail until a device counts as offline."},

    {"directory", "max_registrations", CONF_INT, true, MEMBER(directory_max_registrations), 1, 1000000, NULL, "20000",
     "Endpoints in the resource directory."},
    {"directory", "max_per_address", CONF_INT, true, MEMBER(directory_max_per_address), 1, 100000, NULL, "16",
     "Endpoints that are registered from one address without protection."},

    {"proxy", "allow_unknown_hosts", CONF_BOOL, true, MEMBER(proxy_allow_unknown_hosts), 0, 0, NULL, "no",
     "Whether /hc/ may send to addresses of no device."},
    {"proxy", "cache", CONF_SIZE, true, MEMBER(proxy_cache_bytes), 64 * KIB, 1024 * MIB, NULL, "8M",
     "Memory for the last known representations of devices' resources."},

    {"security", "sealing_key", CONF_PATH, false, MEMBER(security_sealing_key), 0, 160, NULL, "",
     "File with the 32 bytes that encrypt secrets in the database; empty: the systemd credential tcgw.sealing-key, "
     "else credential-key in the state directory, made when missing."},
};

const size_t conf_table_size = array_size(conf_table);
static_assert(array_size(conf_table) <= CONF_KEYS_MAX, "CONF_KEYS_MAX holds the table");
