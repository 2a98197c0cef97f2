#define _GNU_SOURCE /* asprintf */

#include "conf/conf_private.h"

#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* A variable of the environment that holds absolute paths, of which the first (systemd separates them by colons). */
static const char *directory_from(const char *variable, int *length)
{
    const char *value = getenv(variable);

    if (!value || value[0] != '/')
        return NULL;
    *length = (int)strcspn(value, ":");
    return value;
}

/* Replaces *path by a formatted one. The format takes the length and the text of a directory. */
static int set_path(char **path, const char *format, int length, const char *directory)
{
    char *fresh;

    if (asprintf(&fresh, format, length, directory) < 0) /* NOLINT: one of the literals below */
        return -ENOMEM;
    free(*path);
    *path = fresh;
    return 0;
}

static int find_state_directory(struct conf *conf)
{
    const char *directory;
    int length;

    if ((directory = directory_from("STATE_DIRECTORY", &length)))
        return set_path(&conf->state_directory, "%.*s", length, directory);
    if (geteuid() == 0)
        return 0;
    if ((directory = directory_from("XDG_STATE_HOME", &length)))
        return set_path(&conf->state_directory, "%.*s/tcgw", length, directory);
    if ((directory = directory_from("HOME", &length)))
        return set_path(&conf->state_directory, "%.*s/.local/state/tcgw", length, directory);
    return 0;
}

static int find_socket(struct conf *conf)
{
    const char *directory;
    int length;

    if ((directory = directory_from("RUNTIME_DIRECTORY", &length)))
        return set_path(&conf->http_socket, "%.*s/tcgw.sock", length, directory);
    if (geteuid() == 0)
        return 0;
    if ((directory = directory_from("XDG_RUNTIME_DIR", &length)))
        return set_path(&conf->http_socket, "%.*s/tcgw.sock", length, directory);
    return set_path(&conf->http_socket, "%.*s/tcgw.sock", -1, conf->state_directory); /* -1: all of it */
}

int conf_new(struct conf **out)
{
    struct conf *conf = calloc(1, sizeof *conf);
    int result;

    *out = NULL;
    if (!conf)
        return -ENOMEM;
    result = conf_set_fallbacks(conf, conf_table, conf_table_size);
    if (result == 0)
        result = find_state_directory(conf);
    if (result == 0)
        result = find_socket(conf);
    if (result == 0)
        *out = steal_pointer(conf);
    (void)conf_free(conf);
    return result;
}

struct conf *conf_free(struct conf *conf)
{
    if (!conf)
        return NULL;
    conf_free_texts(conf, conf_table, conf_table_size);
    conf_free_sinks(conf);
    free(conf);
    return NULL;
}

/* "NAME.key" */
static int set_sink(struct conf *conf, const char *name, const char *value, char *reason, size_t reason_size)
{
    const char *dot = strchr(name, '.');
    const struct conf_key *key = dot ? conf_find_sink_key(dot + 1) : NULL;
    char text[CONF_SINK_NAME_MAX + 2];
    struct conf_sink *sink;
    int result;

    if (!key)
        return conf_refuse_sink_key(dot ? dot + 1 : "", reason, reason_size);
    (void)snprintf(text, sizeof text, "%.*s", (int)(dot - name), name);
    result = conf_take_sink(conf, text, &sink, reason, reason_size);
    return result ? result : conf_parse_value(sink, key, value, reason, reason_size);
}

int conf_set(struct conf *conf, const char *name, const char *value, char *reason, size_t reason_size)
{
    const char *dot = strchr(name, '.');
    const struct conf_key *key;
    char section[32];

    if (!dot || (size_t)(dot - name) >= sizeof section) {
        (void)snprintf(reason, reason_size, "%.40s is not the name of a key: expected SECTION.KEY", name);
        return 1;
    }
    memcpy(section, name, (size_t)(dot - name));
    section[dot - name] = 0;
    if (strcmp(section, "sink") == 0)
        return set_sink(conf, dot + 1, value, reason, reason_size);
    key = conf_find_key(section, dot + 1);
    if (!key)
        return conf_refuse_key(section, dot + 1, reason, reason_size);
    return conf_parse_value(conf, key, value, reason, reason_size);
}

static bool is_loopback(const char *listen)
{
    return !*listen || strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]:", 6) == 0;
}

/* Two listeners of one transport. Port 0 is a port of its own each time. */
static bool is_taken_twice(const char *one, const char *other)
{
    size_t n = strlen(one);

    return n > 0 && strcmp(one, other) == 0 && strcmp(one + n - 2, ":0") != 0;
}

static const char *find_shared_listener(const struct conf *conf)
{
    if (is_taken_twice(conf->coap_listen, conf->coap_listen_dtls))
        return "coap.listen and coap.listen_dtls are the same UDP address: give one of them another port";
    if (is_taken_twice(conf->coap_listen_tcp, conf->coap_listen_tls))
        return "coap.listen_tcp and coap.listen_tls are the same TCP address: give one of them another port";
    if (is_taken_twice(conf->http_listen, conf->coap_listen_tcp))
        return "http.listen and coap.listen_tcp are the same TCP address: give one of them another port";
    if (is_taken_twice(conf->http_listen, conf->coap_listen_tls))
        return "http.listen and coap.listen_tls are the same TCP address: give one of them another port";
    if (is_taken_twice(conf->http_listen, conf->http_tls_listen))
        return "http.listen and http.tls_listen are the same TCP address: give one of them another port";
    if (is_taken_twice(conf->coap_listen_tcp, conf->http_tls_listen) ||
        is_taken_twice(conf->coap_listen_tls, conf->http_tls_listen))
        return "http.tls_listen is the TCP address of coap.listen_tcp or coap.listen_tls: give it another port";
    return NULL;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const char *find_jwt_problem(const struct conf *conf)
{
    const char *keys = conf->auth_jwt_keys;

    if (!*keys)
        return NULL;
    if (!*conf->auth_jwt_issuer || !*conf->auth_jwt_audience)
        return "auth.jwt_keys needs auth.jwt_issuer and auth.jwt_audience: any token of anybody would do otherwise";
    if (strstr(keys, "://") && !begins(keys, "https://") && !begins(keys, "http://127.0.0.1:") &&
        !begins(keys, "http://[::1]:") && !begins(keys, "http://localhost:"))
        return "auth.jwt_keys is a URL without https: who is on the way could give the gateway keys";
    return NULL;
}

static const char *find_problem(const struct conf *conf)
{
    if (!*conf->http_socket && !*conf->http_listen && !*conf->http_tls_listen)
        return "http.socket, http.listen and http.tls_listen are all empty: nobody could reach the daemon; set one";
    if (strlen(conf->http_socket) > 107)
        return "the path of http.socket is longer than the 107 bytes that a socket address holds: set a shorter one";
    if (!is_loopback(conf->http_listen) && !conf->http_allow_remote)
        return "http.listen is reachable from other machines, and who is on the way can read and change everything, "
               "tokens too: use http.tls_listen, or set http.allow_remote = yes if the network is trusted";
    if (!*conf->http_tls_certificate != !*conf->http_tls_key)
        return "http.tls_certificate and http.tls_key belong together: set both, or none of them for a certificate of "
               "the gateway's own CA";
    if (conf->http_tls_require_client && !*conf->http_tls_client_ca)
        return "http.tls_require_client needs the CA that issues the clients' certificates: set http.tls_client_ca";
    if (conf->operation_ttl_ms > conf->operation_ttl_max_ms)
        return "operations.ttl is longer than operations.ttl_max: lower the first or raise the second";
    if (*conf->gateway_id && !text_is_name(conf->gateway_id, 63))
        return "gateway.id is not one word of letters, digits and . _ ~ -";
    if (!*conf->coap_certificate != !*conf->coap_private_key)
        return "coap.certificate and coap.private_key belong together: set both, or none of them for a certificate of "
               "the gateway's own CA";
    if (find_jwt_problem(conf))
        return find_jwt_problem(conf);
    if (conf_find_store_problem(conf))
        return conf_find_store_problem(conf);
    return find_shared_listener(conf);
}

int conf_check(const struct conf *conf, char *reason, size_t reason_size)
{
    const char *problem = find_problem(conf);

    if (!problem)
        return conf_check_sinks(conf, reason, reason_size);
    (void)text_copy(reason, reason_size, problem);
    return 1;
}

void conf_make_parents(const struct conf *conf)
{
    char path[PATH_MAX];
    const char *home = getenv("HOME");
    size_t length = home ? strlen(home) : 0;

    if (!text_copy(path, sizeof path, conf->state_directory) || length < 2 || strncmp(path, home, length) != 0 ||
        path[length] != '/')
        return;
    for (char *slash = strchr(path + length + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(path, 0700);
        *slash = '/';
    }
}

static void append_name(const struct conf_key *key, char *list, size_t size)
{
    size_t used = strlen(list);

    (void)snprintf(list + used, size - used, "%s%s.%s", used ? ", " : "", key->section, key->key);
}

void conf_apply_reload(struct conf *conf, const struct conf *fresh, char *ignored, size_t ignored_size)
{
    char old_value[CONF_VALUE_SIZE], new_value[CONF_VALUE_SIZE], reason[CONF_REASON_SIZE];

    ignored[0] = 0;
    for (size_t i = 0; i < conf_table_size; i++) {
        const struct conf_key *key = &conf_table[i];

        (void)conf_format_value(conf, key, old_value, sizeof old_value);
        (void)conf_format_value(fresh, key, new_value, sizeof new_value);
        if (strcmp(old_value, new_value) == 0)
            continue;
        if (!key->reload || conf_parse_value(conf, key, new_value, reason, sizeof reason))
            append_name(key, ignored, ignored_size);
    }
    if (conf != fresh && !conf_copy_sinks(conf, fresh))
        (void)text_copy(ignored, ignored_size, "sinks (out of memory)");
}
