#include "daemon/manager.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "coap/agents.h"
#include "codec/ca.h"
#include "codec/key.h"
#include "codec/seal.h"
#include "config.h"
#include "core/core.h"
#include "daemon/keys.h"
#include "daemon/limits.h"
#include "daemon/metrics.h"
#include "daemon/relay.h"
#include "daemon/serve.h"
#include "rest/rest.h"
#include "store/store.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <uv.h>

#define REASON_SIZE 512
#define PATH_SIZE 256 /* the state directory has at most 160 bytes */
/* What has not ended by then is left behind: everything durable is on the disk before. */
#define STOP_TIMEOUT_MS 800
#define FINISH_MAX_MS 500 /* and then the handles have so long to close */
#define DESCRIPTORS 16384 /* as in the systemd unit */

struct manager {
    uv_loop_t loop;
    uv_async_t store_ready;
    uv_timer_t core_timer;
    uv_timer_t watchdog;
    uv_timer_t stop_timeout;
    uv_signal_t signals[3];
    const struct options *options;
    struct conf *conf;
    struct key *key;
    char key_pem[KEY_PEM_MAX];
    uint8_t key_public[KEY_PUBLIC_SIZE];
    uint8_t sealing_key[SEAL_KEY_SIZE];
    char sealing_source[SEAL_PATH_MAX]; /* where it came from */
    struct ca *ca;
    char certificate[PATH_SIZE], private_key[PATH_SIZE], client_ca[PATH_SIZE]; /* PEM files of DTLS and TLS */
    struct store *store;
    struct agents *agents;
    struct core *core;
    struct rest *rest;
    struct relay relay;
    struct keys keys;
    struct https https;
    char own_certificate[PATH_SIZE], own_key[PATH_SIZE]; /* of the gateway's own CA */
    bool owns_socket;                                    /* the Unix socket is ours to remove */
    unsigned open_modules;                               /* rest, agents and relay, while they close */
    bool stopping;
};

static void free_conf(struct conf **conf)
{
    (void)conf_free(*conf);
}

/* The modules' options, made from the configuration -------------------------------------------------------------- */

/* Raises the limit as far as that is ours to do. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static struct agents_options agents_options(struct manager *m)
{
    struct agents_options options = conf_agents_options(m->conf);

    options.loop = &m->loop;
    options.sign = key_sign;
    options.sign_arg = m->key;
    options.suit_key = m->key;
    options.certificate = m->certificate;
    options.private_key = m->private_key;
    options.client_ca = m->client_ca;
    return options;
}

static void rearm_core(void *arg);

static struct core_options core_options(struct manager *m)
{
    struct core_options options = conf_core_options(m->conf);

    options.clock = clock_system();
    options.store = m->store;
    options.agents = agents_port(m->agents);
    options.loop = (struct loop_port){.arg = m, .rearm = rearm_core};
    options.pull = (struct pull_port){.arg = &m->relay, .pull = relay_pull};
    options.sealing_key = m->sealing_key;
    options.ca = m->ca;
    options.audit.sign = key_sign;
    options.audit.sign_arg = m->key;
    return options;
}

static void add_metrics(void *arg, metric_fn add, void *to)
{
    const struct manager *m = arg;

    metrics_add_agents(m->agents, add, to);
    relay_add_metrics(&m->relay, add, to);
}

/* libcoap has a level of its own. */
static void follow_log(void *arg)
{
    struct manager *m = arg;
    struct agents_options options = agents_options(m);

    agents_configure(m->agents, &options);
}

static struct rest_options rest_options(struct manager *m)
{
    struct rest_options options = conf_rest_options(m->conf);

    options.loop = &m->loop;
    options.core = m->core;
    options.store = m->store;
    options.public_key_pem = m->key_pem;
    options.public_key = m->key_public;
    options.metrics = add_metrics;
    options.metrics_arg = m;
    options.log_changed = follow_log;
    options.sinks = relay_port(&m->relay);
    options.jwt.wanted = keys_wanted;
    options.jwt.wanted_arg = &m->keys;
    return options;
}

/* The core's clockwork and the store's completions on the loop --------------------------------------------------- */

static void run_core(uv_timer_t *timer)
{
    struct manager *m = timer->data;

    core_run(m->core);
    rearm_core(m);
}

static void rearm_core(void *arg)
{
    struct manager *m = arg;
    int64_t deadline, now;

    if (!m->core || m->stopping)
        return;
    deadline = core_next_deadline(m->core);
    if (deadline == INT64_MAX) {
        (void)uv_timer_stop(&m->core_timer);
        return;
    }
    /* The loop's own time may be stale when a callback has run for long. */
    uv_update_time(&m->loop);
    now = clock_monotonic_ms(clock_system());
    (void)uv_timer_start(&m->core_timer, run_core, deadline > now ? (uint64_t)(deadline - now) : 0, 0);
}

static void dispatch_store(uv_async_t *async)
{
    struct manager *m = async->data;

    if (m->store)
        store_dispatch(m->store);
}

static void wake_loop(void *arg)
{
    struct manager *m = arg;

    (void)uv_async_send(&m->store_ready);
}

/* Stop ----------------------------------------------------------------------------------------------------------- */

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void end_loop(struct manager *m)
{
    m->core = core_free(m->core);
    m->store = store_close(m->store);
    uv_stop(&m->loop);
}

static void module_closed(void *arg)
{
    struct manager *m = arg;

    if (--m->open_modules == 0)
        end_loop(m);
}

static void stop_too_slow(uv_timer_t *timer)
{
    struct manager *m = timer->data;

    log_warning("connections did not close in time and are dropped", NULL);
    uv_stop(&m->loop);
}

/* Stops in reverse order of the start. Before anything closes, what was promised is on the disk and answered. */
static void stop(struct manager *m)
{
    if (m->stopping)
        return;
    m->stopping = true;
    (void)sd_notify(0, "STOPPING=1\nSTATUS=stopping");
    log_info("stopping", NULL);
    (void)uv_timer_stop(&m->core_timer);
    (void)uv_timer_start(&m->stop_timeout, stop_too_slow, STOP_TIMEOUT_MS, 0);
    m->open_modules = 2 + relay_close(&m->relay, module_closed, m);
    core_stop(m->core);
    store_flush(m->store);
    m->relay.rest = NULL;
    https_close(&m->https);
    rest_close(m->rest, module_closed, m);
    m->rest = NULL;
    agents_close(m->agents, module_closed, m);
    m->agents = NULL;
}

/* Reload --------------------------------------------------------------------------------------------------------- */

static void notify_reloading(void)
{
    char text[80];

    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)clock_monotonic_ms(clock_system()) * 1000);
    (void)sd_notify(0, text);
}

static void reload(struct manager *m)
{
    cleanup(free_conf) struct conf *fresh = NULL;
    char reason[REASON_SIZE], ignored[256];
    struct core_options core;
    struct rest_options rest;
    struct agents_options agents;

    notify_reloading();
    if (manager_read_conf(&fresh, m->options, reason, sizeof reason)) {
        log_error("the configuration was not reloaded: the one in use stays", "error", reason, NULL);
    } else {
        conf_apply_reload(m->conf, fresh, ignored, sizeof ignored);
        log_setup((enum log_format)m->conf->log_format, (enum log_level)m->conf->log_level);
        core = core_options(m);
        store_set_retention(m->store, &core.telemetry.retention);
        rest = rest_options(m);
        agents = agents_options(m);
        core_configure(m->core, &core);
        rest_configure(m->rest, &rest);
        agents_configure(m->agents, &agents);
        https_configure(&m->https, m->conf, m->own_certificate, m->own_key);
        relay_configure(&m->relay, &m->loop, m->core, m->conf);
        keys_configure(&m->keys);
        if (ignored[0])
            log_warning("some changed keys take effect at the next start only", "keys", ignored, NULL);
        log_info("configuration reloaded", NULL);
    }
    (void)sd_notify(0, "READY=1");
}

static void take_signal(uv_signal_t *handle, int number)
{
    struct manager *m = handle->data;

    if (number == SIGHUP) {
        if (!m->stopping)
            reload(m);
    } else {
        stop(m);
    }
}

/* Start ---------------------------------------------------------------------------------------------------------- */

static int init_loop(struct manager *m)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

    if (uv_loop_init(&m->loop) || uv_async_init(&m->loop, &m->store_ready, dispatch_store))
        return -ENOMEM;
    (void)uv_timer_init(&m->loop, &m->core_timer);
    (void)uv_timer_init(&m->loop, &m->watchdog);
    (void)uv_timer_init(&m->loop, &m->stop_timeout);
    m->store_ready.data = m->core_timer.data = m->watchdog.data = m->stop_timeout.data = m;
    for (size_t i = 0; i < array_size(numbers); i++) {
        (void)uv_signal_init(&m->loop, &m->signals[i]);
        m->signals[i].data = m;
        if (uv_signal_start(&m->signals[i], take_signal, numbers[i]))
            return -EINVAL;
    }
    return 0;
}

static int store_exit_status(int result)
{
    switch (result) {
    case STORE_E_NEWER:
    case STORE_E_CORRUPT:
        return DAEMON_EXIT_DATABASE;
    case STORE_E_DIRECTORY:
    case STORE_E_LOCKED:
        return DAEMON_EXIT_STATE;
    default:
        return DAEMON_EXIT_FAILURE;
    }
}

/* A file of the operator's, or one of the gateway's own authority. */
static void choose_file(char out[PATH_SIZE], const char *configured, const char *directory, const char *own)
{
    if (*configured)
        (void)snprintf(out, PATH_SIZE, "%s", configured);
    else
        (void)snprintf(out, PATH_SIZE, "%s/%s", directory, own);
}

static int open_ca(struct manager *m, char *reason)
{
    const struct conf *conf = m->conf;
    char directory[PATH_SIZE - 32];

    (void)snprintf(directory, sizeof directory, "%s/ca", conf->state_directory);
    if (mkdir(directory, 0700) < 0 && errno != EEXIST) {
        (void)snprintf(reason, REASON_SIZE, "cannot make %s: %s", directory, strerror(errno));
        return DAEMON_EXIT_STATE;
    }
    if (ca_open(&m->ca, directory, reason, REASON_SIZE))
        return DAEMON_EXIT_STATE;
    choose_file(m->own_certificate, "", directory, CA_GATEWAY_FILE);
    choose_file(m->own_key, "", directory, CA_GATEWAY_KEY_FILE);
    choose_file(m->certificate, conf->coap_certificate, directory, CA_GATEWAY_FILE);
    choose_file(m->private_key, conf->coap_private_key, directory, CA_GATEWAY_KEY_FILE);
    choose_file(m->client_ca, conf->coap_client_ca, directory, CA_FILE);
    return DAEMON_EXIT_OK;
}

static int open_storage(struct manager *m, char *reason)
{
    struct store_options options = {.directory = m->conf->state_directory,
                                    .synchronous = m->conf->storage_synchronous,
                                    .wake = wake_loop,
                                    .wake_arg = m};
    struct store_retention kept;
    char path[PATH_SIZE];
    int r;

    conf_make_parents(m->conf);
    r = store_open(&m->store, &options, reason, REASON_SIZE);

    if (r)
        return store_exit_status(r);
    kept = conf_retention(m->conf);
    store_set_retention(m->store, &kept);
    (void)snprintf(path, sizeof path, "%s/gateway-key.pem", m->conf->state_directory);
    if (key_load_or_create(&m->key, path, reason, REASON_SIZE))
        return DAEMON_EXIT_STATE;
    key_public(m->key, m->key_public);
    (void)key_public_pem(m->key, m->key_pem);
    if (seal_load_or_create_key(m->sealing_key, m->conf->security_sealing_key, m->conf->state_directory,
                                m->sealing_source, reason, REASON_SIZE))
        return DAEMON_EXIT_STATE;
    return open_ca(m, reason);
}

static int start_modules(struct manager *m, char *reason)
{
    struct agents_options agents = agents_options(m);
    struct core_options core;
    struct rest_options rest;
    int r = agents_new(&m->agents, &agents);

    if (r == 0) {
        core = core_options(m);
        r = core_new(&m->core, &core);
    }
    if (r == 0)
        r = agents_start(m->agents, m->core);
    if (r == 0) {
        rest = rest_options(m);
        r = rest_new(&m->rest, &rest);
    }
    if (r == 0) {
        m->relay.rest = m->rest;
        r = relay_open(&m->relay, &m->loop, m->core, m->conf);
    }
    if (r == 0)
        keys_start(&m->keys, &m->loop, &m->relay, m->conf);
    if (r == 0)
        return DAEMON_EXIT_OK;
    if (r == -EKEYREJECTED) {
        (void)snprintf(reason, REASON_SIZE,
                       "%.200s is not the key that the secrets in %.120s/tcgw.db were sealed with: put the right one "
                       "back (it belongs to the backup of the database)",
                       m->sealing_source, m->conf->state_directory);
        return DAEMON_EXIT_STATE;
    }
    (void)snprintf(reason, REASON_SIZE, "cannot start: %s", strerror(r < 0 ? -r : EIO));
    return DAEMON_EXIT_FAILURE;
}

static void feed_watchdog(uv_timer_t *timer)
{
    (void)timer;
    (void)sd_notify(0, "WATCHDOG=1");
}

static void notify_ready(struct manager *m)
{
    uint64_t interval = 0;

    if (sd_watchdog_enabled(0, &interval) > 0)
        (void)uv_timer_start(&m->watchdog, feed_watchdog, 0, interval / 2000);
    (void)sd_notify(0, "READY=1\nSTATUS=serving");
    log_info("tcgwd is ready", "version", PACKAGE_VERSION, "state_directory", m->conf->state_directory, "socket",
             m->conf->http_socket, "listen", m->conf->http_listen, "https", m->conf->http_tls_listen, "coap",
             m->conf->coap_listen, "dtls", m->conf->coap_listen_dtls, "tcp", m->conf->coap_listen_tcp, "tls",
             m->conf->coap_listen_tls, NULL);
}

static int open_listeners(struct manager *m, char *reason)
{
    struct serve serve = {
        .conf = m->conf,
        .rest = m->rest,
        .agents = m->agents,
        .https = &m->https,
        .loop = &m->loop,
        .core = m->core,
        .own_certificate = m->own_certificate,
        .own_key = m->own_key,
    };
    int status = serve_all(&serve, reason, REASON_SIZE);

    m->owns_socket = serve.made_socket;
    return status;
}

static void warn_of_anonymous(const struct conf *conf)
{
    const char *role = role_name((enum role)conf->auth_anonymous);

    if (conf->auth_anonymous == ROLE_NONE)
        return;
    if (conf->http_allow_remote)
        log_warning("everybody on the network has a role without credentials (auth.anonymous, http.allow_remote)",
                    "role", role, NULL);
    else if (*conf->http_listen)
        log_warning("every process of this machine has a role without credentials (auth.anonymous)", "role", role,
                    NULL);
}

static int start(struct manager *m, char *reason)
{
    int status = open_storage(m, reason);

    if (status == DAEMON_EXIT_OK)
        status = start_modules(m, reason);
    if (status == DAEMON_EXIT_OK)
        status = open_listeners(m, reason);
    if (status == DAEMON_EXIT_OK) {
        warn_of_anonymous(m->conf);
        core_start(m->core);
        rearm_core(m);
        uplink_start(m->relay.uplink);
        notify_ready(m);
    }
    return status;
}

/* Closes what a failed start or an overdue stop left open. */
static void finish(struct manager *m)
{
    (void)relay_close(&m->relay, NULL, NULL);
    m->relay.rest = NULL;
    https_close(&m->https);
    if (m->rest)
        rest_close(m->rest, NULL, NULL);
    if (m->agents)
        agents_close(m->agents, NULL, NULL);
    m->core = core_free(m->core);
    m->store = store_close(m->store);
    uv_walk(&m->loop, close_handle, NULL);
    /* A name server that does not answer holds a thread of the loop's; nobody waits for that. */
    for (int i = 0; uv_run(&m->loop, UV_RUN_NOWAIT) && i < FINISH_MAX_MS; i++)
        (void)usleep(1000);
    (void)uv_loop_close(&m->loop);
    if (m->owns_socket && m->stopping)
        (void)unlink(m->conf->http_socket);
    m->key = key_free(m->key);
    m->ca = ca_free(m->ca);
    explicit_bzero(m->sealing_key, sizeof m->sealing_key);
    m->conf = conf_free(m->conf);
}

int manager_run(struct conf *conf, const struct options *options)
{
    struct manager m = {.options = options, .conf = conf};
    char reason[REASON_SIZE] = "";
    int status;

    raise_descriptor_limit();
    if (init_loop(&m)) {
        log_error("tcgwd cannot start", "error", "cannot set up the event loop", NULL);
        (void)conf_free(conf);
        return DAEMON_EXIT_FAILURE; /* half a loop cannot be closed */
    }
    status = start(&m, reason);
    if (status == DAEMON_EXIT_OK)
        (void)uv_run(&m.loop, UV_RUN_DEFAULT);
    else
        log_error("tcgwd cannot start", "error", reason, NULL);
    finish(&m);
    if (status == DAEMON_EXIT_OK)
        log_info("stopped", NULL);
    return status;
}
