#include "uplink/mqtt.h"

#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <mqtt_protocol.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>

#define STEADY_MS 30000 /* a connection that lasted this long was good, even if there was nothing to send */

static uint64_t now_ms(const struct mqtt *mqtt)
{
    return uv_now(mqtt->sink->uplink->options.loop);
}

int mqtt_port_of(const struct conf_sink *conf)
{
    return conf->port ? (int)conf->port : conf->tls ? 8883 : 1883;
}

/* The end of a link ------------------------------------------------------------------------------------------------ */

static void link_free(struct link *link)
{
    mosquitto_destroy(link->mosq);
    free(link);
}

static void poll_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    struct sink *sink = link->work.data;

    free(link);
    sink_release(sink);
}

/* The socket ends with the library's object, so it is no longer watched before. */
static void link_drop(struct link *link)
{
    link->mqtt = NULL;
    if (link->working)
        return; /* its thread is waited for */
    if (!link->polled) {
        link_free(link);
        return;
    }
    (void)uv_poll_stop(&link->poll);
    mosquitto_destroy(steal_pointer(link->mosq));
    sink_hold(link->work.data);
    uv_close((uv_handle_t *)&link->poll, poll_closed);
}

void mqtt_drop(struct mqtt *mqtt)
{
    struct link *link = steal_pointer(mqtt->link);

    mqtt->head = mqtt->count = 0;
    mqtt->letter_mid = 0;
    mqtt_forget_answers(mqtt);
    if (link)
        link_drop(link);
    if (mqtt->sink->letter)
        sink_letter_done(mqtt->sink, "the connection ended before the broker acknowledged it");
}

static void fail(struct mqtt *mqtt, const char *what)
{
    char problem[128];

    (void)text_copy(problem, sizeof problem, mqtt->link && mqtt->link->problem[0] ? mqtt->link->problem : what);
    if (mqtt->sink->letter)
        sink_letter_done(mqtt->sink, problem);
    mqtt_drop(mqtt);
    sink_fail(mqtt->sink, 0, "%s", problem);
}

/* Callbacks of the library: it may not be destroyed in them -------------------------------------------------------- */

static void said(struct mosquitto *mosq, void *arg, int level, const char *text)
{
    struct link *link = arg;

    (void)mosq;
    if (level == MOSQ_LOG_ERR || level == MOSQ_LOG_WARNING)
        (void)text_copy(link->problem, sizeof link->problem, text);
}

static void connected(struct mosquitto *mosq, void *arg, int code, int flags, const mosquitto_property *properties)
{
    struct link *link = arg;
    bool v5 = link->mqtt && link->mqtt->sink->conf->mqtt_version == 5;

    (void)mosq, (void)flags, (void)properties;
    link->connected = code == 0;
    link->refused = code != 0;
    if (code)
        (void)snprintf(link->problem, sizeof link->problem, "the broker refuses the connection: %s",
                       v5 ? mosquitto_reason_string(code) : mosquitto_connack_string(code));
}

static void disconnected(struct mosquitto *mosq, void *arg, int code, const mosquitto_property *properties)
{
    struct link *link = arg;

    (void)mosq, (void)properties;
    link->gone = true;
    if (!link->problem[0])
        (void)snprintf(link->problem, sizeof link->problem, "the broker closed the connection%s%s",
                       code > 0x80 ? ": " : "", code > 0x80 ? mosquitto_reason_string(code) : "");
}

static void published(struct mosquitto *mosq, void *arg, int mid, int reason, const mosquitto_property *properties)
{
    struct link *link = arg;

    (void)mosq, (void)properties;
    if (link->mqtt)
        mqtt_acknowledged(link->mqtt, mid, reason);
}

static void received(struct mosquitto *mosq, void *arg, const struct mosquitto_message *message,
                     const mosquitto_property *properties)
{
    struct link *link = arg;

    (void)mosq;
    if (link->mqtt)
        mqtt_take_command(link->mqtt, message, properties);
}

/* A key with a passphrase: nobody is there to type it. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return 0;
}

/* Connecting ------------------------------------------------------------------------------------------------------- */

static json_t *status_json(const struct mqtt *mqtt, const char *status)
{
    const struct uplink *uplink = mqtt->sink->uplink;
    char time[RFC3339_SIZE];

    return json_pack("{s:s, s:s, s:s, s:s}", "status", status, "gateway", uplink->gateway_id, "version",
                     uplink->version, "time", clock_format_rfc3339(clock_wall_ms(clock_system()), time));
}

static char *status_topic(const struct mqtt *mqtt, char out[MQTT_TOPIC_MAX])
{
    (void)snprintf(out, MQTT_TOPIC_MAX, "%s/status", mqtt->base);
    return out;
}

static bool set_will(struct link *link)
{
    const struct mqtt *mqtt = link->mqtt;
    json_t *json = json_pack("{s:s, s:s}", "status", "offline", "gateway", mqtt->sink->uplink->gateway_id);
    cleanup_free char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    char topic[MQTT_TOPIC_MAX];

    json_decref(json);
    return text && mosquitto_will_set(link->mosq, status_topic(mqtt, topic), (int)strlen(text), text, 1, true) ==
                       MOSQ_ERR_SUCCESS;
}

static const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

static bool set_tls(struct link *link, const struct conf_sink *conf)
{
    if (!conf->tls)
        return true;
    return mosquitto_tls_set(link->mosq, text_or_null(conf->ca), *conf->ca ? NULL : X509_get_default_cert_dir(),
                             text_or_null(conf->certificate), text_or_null(conf->private_key),
                             no_passphrase) == MOSQ_ERR_SUCCESS;
}

static bool set_options(struct link *link)
{
    const struct mqtt *mqtt = link->mqtt;
    const struct conf_sink *conf = mqtt->sink->conf;
    struct mosquitto *mosq = link->mosq;

    mosquitto_log_callback_set(mosq, said);
    mosquitto_connect_v5_callback_set(mosq, connected);
    mosquitto_disconnect_v5_callback_set(mosq, disconnected);
    mosquitto_publish_v5_callback_set(mosq, published);
    mosquitto_message_v5_callback_set(mosq, received);
    return mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION,
                                conf->mqtt_version == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311) == MOSQ_ERR_SUCCESS &&
           mosquitto_int_option(mosq, MOSQ_OPT_SEND_MAXIMUM, (int)mqtt->window + 2) == MOSQ_ERR_SUCCESS &&
           mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1) == MOSQ_ERR_SUCCESS &&
           (!*conf->username ||
            mosquitto_username_pw_set(mosq, conf->username,
                                      mqtt->password.size ? buffer_text(&mqtt->password) : NULL) == MOSQ_ERR_SUCCESS) &&
           set_tls(link, conf) && set_will(link);
}

static struct link *link_new(struct mqtt *mqtt)
{
    const struct conf_sink *conf = mqtt->sink->conf;
    struct link *link = calloc(1, sizeof *link);
    char id[CONF_SINK_NAME_MAX + 80];

    if (!link)
        return NULL;
    (void)snprintf(id, sizeof id, "tcgw-%.63s-%s", mqtt->sink->uplink->gateway_id, conf->name);
    link->mqtt = mqtt;
    link->work.data = mqtt->sink;
    link->mosq = mosquitto_new(*conf->client_id ? conf->client_id : id, true, link);
    (void)text_copy(link->host, sizeof link->host, conf->host);
    link->port = mqtt_port_of(conf);
    link->keepalive = (int)(conf->keepalive_ms / 1000);
    link->uses_tls = conf->tls;
    if (link->mosq && set_options(link))
        return link;
    mosquitto_destroy(link->mosq);
    free(link);
    return NULL;
}

static void subscribe(struct mqtt *mqtt)
{
    char topic[MQTT_TOPIC_MAX];

    if (mqtt->sink->conf->commands == CONF_COMMANDS_OFF)
        return;
    (void)snprintf(topic, sizeof topic, "%s/command/+", mqtt->base);
    (void)mosquitto_subscribe(mqtt->link->mosq, NULL, topic, 1);
}

/* The broker has let us in. */
static void greet(struct mqtt *mqtt)
{
    json_t *json = status_json(mqtt, "online");
    cleanup_free char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    char topic[MQTT_TOPIC_MAX];

    json_decref(json);
    mqtt->connected_at = now_ms(mqtt);
    (void)uv_timer_stop(&mqtt->sink->timer);
    subscribe(mqtt);
    if (text)
        (void)mqtt_publish(mqtt, NULL, status_topic(mqtt, topic), text, strlen(text), true, NULL);
    sink_rewind(mqtt->sink);
    sink_set_state(mqtt->sink, SINK_UP);
    mqtt_pump(mqtt->sink);
}

/* What callbacks have left to do. False: the link is gone. */
static bool settle(struct mqtt *mqtt, int result)
{
    struct link *link = mqtt->link;

    if (link->gone || link->refused || result != MOSQ_ERR_SUCCESS) {
        fail(mqtt, result == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(result));
        return false;
    }
    if (!link->connected)
        return true;
    if (mqtt->sink->state == SINK_CONNECTING)
        greet(mqtt);
    else
        mqtt_pump(mqtt->sink);
    return mqtt->link == link;
}

static void polled(uv_poll_t *poll, int status, int events)
{
    struct link *link = poll->data;
    struct mqtt *mqtt = link->mqtt;
    int result = MOSQ_ERR_SUCCESS;

    if (status < 0)
        events = UV_READABLE; /* which finds out what it is */
    if (events & UV_READABLE)
        result = mosquitto_loop_read(link->mosq, 1);
    if (result == MOSQ_ERR_SUCCESS && !link->gone && (events & UV_WRITABLE))
        result = mosquitto_loop_write(link->mosq, 1);
    if (settle(mqtt, result))
        mqtt_update_poll(mqtt);
}

void mqtt_update_poll(struct mqtt *mqtt)
{
    struct link *link = mqtt->link;
    int events = UV_READABLE;

    if (!link || !link->polled)
        return;
    if (mosquitto_want_write(link->mosq))
        events |= UV_WRITABLE;
    if (events != link->events && mosquitto_socket(link->mosq) >= 0)
        (void)uv_poll_start(&link->poll, link->events = events, polled);
}

/* libmosquitto sets TLS up with the first connection that uses it, without a lock: until that is done only one tries.
 */
static pthread_mutex_t tls_lock = PTHREAD_MUTEX_INITIALIZER;
static bool tls_is_ready;

static int connect_alone(struct link *link)
{
    int result;

    pthread_mutex_lock(&tls_lock);
    result = mosquitto_connect_async(link->mosq, link->host, link->port, link->keepalive);
    tls_is_ready |= result == MOSQ_ERR_SUCCESS;
    pthread_mutex_unlock(&tls_lock);
    return result;
}

static bool tls_must_wait(void)
{
    bool ready;

    pthread_mutex_lock(&tls_lock);
    ready = tls_is_ready;
    pthread_mutex_unlock(&tls_lock);
    return !ready;
}

/* On another thread. */
static void connect_link(uv_work_t *work)
{
    struct link *link = container_of(work, struct link, work);

    link->result = link->uses_tls && tls_must_wait()
                       ? connect_alone(link)
                       : mosquitto_connect_async(link->mosq, link->host, link->port, link->keepalive);
    if (link->result == MOSQ_ERR_ERRNO)
        (void)snprintf(link->problem, sizeof link->problem, "%.60s port %d: %.40s", link->host, link->port,
                       strerror(errno));
    else if (link->result == MOSQ_ERR_EAI)
        (void)snprintf(link->problem, sizeof link->problem, "%.90s cannot be resolved", link->host);
}

static void link_ready(uv_work_t *work, int status)
{
    struct link *link = container_of(work, struct link, work);
    struct sink *sink = work->data;
    struct mqtt *mqtt = link->mqtt;
    int fd = mosquitto_socket(link->mosq);

    link->working = false;
    if (!mqtt)
        link_free(link);
    else if (status < 0 || link->result != MOSQ_ERR_SUCCESS || fd < 0)
        fail(mqtt, mosquitto_strerror(link->result));
    else if (uv_poll_init(sink->uplink->options.loop, &link->poll, fd) < 0)
        fail(mqtt, "the connection cannot be watched");
    else {
        link->polled = true;
        link->poll.data = link;
        link->events = UV_READABLE | UV_WRITABLE; /* writable: connected, or the connection failed */
        (void)uv_poll_start(&link->poll, link->events, polled);
    }
    sink_release(sink);
}

static void mqtt_attempt(struct sink *sink)
{
    struct mqtt *mqtt = sink->link;

    mqtt_drop(mqtt);
    sink->stats.attempts++;
    mqtt->link = link_new(mqtt);
    if (!mqtt->link) {
        sink_fail(sink, 0, "the connection cannot be set up; are ca, certificate and private_key readable?");
        return;
    }
    mqtt->link->working = true;
    if (uv_queue_work(sink->uplink->options.loop, &mqtt->link->work, connect_link, link_ready) < 0) {
        mqtt->link->working = false;
        fail(mqtt, "there is no thread to resolve the broker's name");
        return;
    }
    sink_hold(sink);
    sink_arm(sink, (uint64_t)sink->conf->timeout_ms);
}

/* The broker has not let us in in time. */
static void mqtt_expire(struct sink *sink)
{
    struct mqtt *mqtt = sink->link;

    if (sink->state != SINK_CONNECTING)
        return;
    if (mqtt->link && !mqtt->link->working)
        mqtt->link->problem[0] = 0;
    mqtt_drop(mqtt);
    sink_fail(sink, 0, "the broker does not answer");
}

static void mqtt_tick(struct sink *sink)
{
    struct mqtt *mqtt = sink->link;

    if (!mqtt->link || !mqtt->link->polled)
        return;
    if (!settle(mqtt, mosquitto_loop_misc(mqtt->link->mosq)))
        return;
    if (sink->state == SINK_UP && mqtt_oldest_wait(mqtt) > (uint64_t)sink->conf->timeout_ms) {
        mqtt_drop(mqtt);
        sink_fail(sink, 0, "the broker does not acknowledge");
        return;
    }
    if (sink->state == SINK_UP && sink->failures && now_ms(mqtt) - mqtt->connected_at > STEADY_MS)
        sink_succeeded(sink);
    mqtt_update_poll(mqtt);
}

/* Life ------------------------------------------------------------------------------------------------------------- */

static int mqtt_open(struct sink *sink)
{
    const struct conf_sink *conf = sink->conf;
    struct mqtt *mqtt = calloc(1, sizeof *mqtt);

    if (!mqtt)
        return -ENOMEM;
    sink->link = mqtt;
    mqtt->sink = sink;
    list_init(&mqtt->commands);
    list_init(&mqtt->answers);
    mqtt->window = (size_t)conf->max_inflight;
    mqtt->flights = calloc(mqtt->window, sizeof *mqtt->flights);
    (void)snprintf(mqtt->base, sizeof mqtt->base, "%s/%.63s", conf->topic_prefix, sink->uplink->gateway_id);
    if (!mqtt->flights)
        return -ENOMEM;
    if (*conf->private_key && sink_check_secret(sink, "private_key", conf->private_key))
        return 1;
    return *conf->password_file ? sink_read_secret(sink, "password_file", conf->password_file, &mqtt->password) : 0;
}

static void say_goodbye(struct mqtt *mqtt)
{
    struct link *link = mqtt->link;
    json_t *json = status_json(mqtt, "offline");
    cleanup_free char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    char topic[MQTT_TOPIC_MAX];
    int fd = fcntl(mosquitto_socket(link->mosq), F_DUPFD_CLOEXEC, 0);

    json_decref(json);
    (void)uv_poll_stop(&link->poll); /* the library closes its descriptor behind the last packet */
    if (text)
        (void)mqtt_publish(mqtt, NULL, status_topic(mqtt, topic), text, strlen(text), true, NULL);
    (void)mosquitto_disconnect(link->mosq);
    if (fd >= 0)
        mqtt_linger(mqtt->sink, fd);
}

static void mqtt_close(struct sink *sink)
{
    struct mqtt *mqtt = sink->link;

    if (!mqtt)
        return;
    if (mqtt->link && sink->state == SINK_UP)
        say_goodbye(mqtt);
    mqtt_drop(mqtt);
    mqtt_forget_commands(mqtt);
    secret_clear(&mqtt->password);
    buffer_clear(&mqtt->scratch);
    free(mqtt->flights);
    free(mqtt);
    sink->link = NULL;
}

int mqtt_publish(struct mqtt *mqtt, int *mid, const char *topic, const void *payload, size_t size, bool retain,
                 const mosquitto_property *properties)
{
    int result;

    if (!mqtt->link || !mqtt->link->connected || mqtt->link->gone)
        return MOSQ_ERR_NO_CONN;
    result = mosquitto_publish_v5(mqtt->link->mosq, mid, topic, (int)size, payload, 1, retain, properties);
    if (result == MOSQ_ERR_SUCCESS)
        mqtt->sink->stats.bytes += size;
    return result;
}

const struct sink_driver mqtt_driver = {
    .open = mqtt_open,
    .attempt = mqtt_attempt,
    .pump = mqtt_pump,
    .expire = mqtt_expire,
    .tick = mqtt_tick,
    .send_letter = mqtt_send_letter,
    .close = mqtt_close,
};
