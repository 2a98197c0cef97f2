#include "rest_fixture.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

/* (module (func (export "loop") (result i32) i32.const 0)) */
const uint8_t fixture_wasm[] = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x05, 0x01, 0x60, 0x00,
                                0x01, 0x7f, 0x03, 0x02, 0x01, 0x00, 0x07, 0x08, 0x01, 0x04, 'l',  'o',  'o',
                                'p',  0x00, 0x00, 0x0a, 0x06, 0x01, 0x04, 0x00, 0x41, 0x00, 0x0b};
const size_t fixture_wasm_size = sizeof fixture_wasm;

/* The device ------------------------------------------------------------------------------------------------------ */

static const uint8_t sealing_key[32] = "a key that only tests have";

static const struct agent_features v2_features = {
    .load_is_idempotent = true,
    .can_replace = true,
    .can_stop = true,
    .can_remove = true,
    .can_log = true,
    .start_is_true = true,
};
static const struct agent_features no_features;

static const struct agent_features *fake_features(void *arg, enum agent_kind kind)
{
    struct fixture *f = arg;

    return kind == AGENT_V2 && !f->fake.v1 ? &v2_features : &no_features;
}

static int fake_check(void *arg, const struct device *device, const char *uid, const struct artifact *artifact,
                      struct fault *fault)
{
    (void)arg, (void)artifact;
    if (strcmp(uid, "huge") == 0)
        return fault_set(fault, FAULT_PACKAGE_TOO_LARGE, "%s does not fit %s", uid, device->id);
    return 0;
}

static void fake_answer(struct fixture *f, struct agent_call *call)
{
    const struct agent_response *response = &f->fake.response;

    call->response = *response;
    call->response.body = malloc(response->body_size + 1);
    ck_assert_ptr_nonnull(call->response.body);
    if (response->body_size)
        memcpy(call->response.body, response->body, response->body_size);
}

static void fake_see(struct fixture *f, const struct agent_resource *resource)
{
    f->fake.seen.method = resource->method;
    f->fake.seen.format = resource->format;
    f->fake.seen.accept = resource->accept;
    f->fake.seen.conditional = resource->if_match != NULL;
    (void)text_copy(f->fake.seen.path, sizeof f->fake.seen.path, resource->path);
    (void)text_copy(f->fake.seen.query, sizeof f->fake.seen.query, resource->query ? resource->query : "-");
    (void)snprintf(f->fake.seen.body, sizeof f->fake.seen.body, "%.*s", (int)resource->body_size,
                   resource->body_size ? (const char *)resource->body : "");
    (void)snprintf(f->fake.seen.tag, sizeof f->fake.seen.tag, "%.*s", (int)resource->if_match_size,
                   resource->if_match_size ? (const char *)resource->if_match : "");
}

static void fake_end(struct fixture *f, struct agent_call *call)
{
    call->outcome = f->fake.outcome;
    (void)text_copy(call->detail, sizeof call->detail, f->fake.detail ? f->fake.detail : "");
    if (call->verb == AGENT_CALL_RESOURCE && call->outcome == AGENT_OK)
        fake_answer(f, call);
    call->state = f->fake.state;
    if (call->verb == AGENT_CALL_PROBE)
        call->probe.kind = AGENT_V2;
    if (call->verb == AGENT_CALL_LOG && call->outcome == AGENT_OK) {
        call->log = (uint8_t *)strdup(f->fake.log);
        call->log_size = strlen(f->fake.log);
    }
    call->driver = NULL;
    call->done(call);
}

void fixture_release(struct fixture *f)
{
    while (f->fake.call_count)
        fake_end(f, f->fake.calls[--f->fake.call_count]);
}

static void fake_turn(uv_timer_t *timer)
{
    fixture_release(timer->data);
}

static void fake_begin(void *arg, struct agent_call *call)
{
    struct fixture *f = arg;

    ck_assert_uint_lt(f->fake.call_count, array_size(f->fake.calls));
    f->fake.calls[f->fake.call_count++] = call;
    f->fake.counts[call->verb]++;
    if (call->resource)
        fake_see(f, call->resource);
    if (f->fake.mode == FAKE_ANSWER)
        ck_assert_int_eq(uv_timer_start(&f->fake.timer, fake_turn, 0, 0), 0);
}

static void fake_cancel(void *arg, struct agent_call *call)
{
    struct fixture *f = arg;

    for (size_t i = 0; i < f->fake.call_count; i++)
        if (f->fake.calls[i] == call)
            f->fake.calls[i--] = f->fake.calls[--f->fake.call_count];
    call->driver = NULL;
}

static void fake_observe(void *arg, struct agent_observation *observation)
{
    struct fixture *f = arg;
    const struct agent_resource resource = {
        .path = observation->path, .query = observation->query, .format = -1, .accept = observation->accept};

    fake_see(f, &resource);
    f->fake.observation = observation;
    f->fake.observed++;
}

static void fake_unobserve(void *arg, struct agent_observation *observation)
{
    struct fixture *f = arg;

    if (f->fake.observation == observation)
        f->fake.observation = NULL;
    f->fake.unobserved++;
}

void fixture_notify(struct fixture *f, uint8_t code, int format, const void *body, size_t size)
{
    const struct agent_response response = {
        .code = code, .format = format, .max_age = 60, .body = (uint8_t *)(uintptr_t)body, .body_size = size};

    ck_assert_ptr_nonnull(f->fake.observation);
    f->fake.observation->notify(f->fake.observation, &response);
}

void fixture_end_observation(struct fixture *f, enum agent_outcome outcome, const char *detail)
{
    struct agent_observation *observation = f->fake.observation;

    ck_assert_ptr_nonnull(observation);
    f->fake.observation = NULL;
    observation->ended(observation, outcome, detail);
}

static int fake_parse_address(void *arg, const char *text, char *out, struct fault *fault)
{
    (void)arg;
    if (strncmp(text, "coap://", 7) != 0)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/address", "no address: %s", text);
    (void)text_copy(out, CORE_ADDRESS_MAX + 1, text);
    return 0;
}

/* The gateway ----------------------------------------------------------------------------------------------------- */

static void store_woke(void *arg)
{
    struct fixture *f = arg;

    (void)uv_async_send(&f->store_wake);
}

static void store_ready(uv_async_t *async)
{
    struct fixture *f = async->data;

    if (f->store)
        store_dispatch(f->store);
}

static void core_rearm(void *arg);

static void core_due(uv_timer_t *timer)
{
    struct fixture *f = timer->data;

    core_run(f->core);
    core_rearm(f);
}

static void core_rearm(void *arg)
{
    struct fixture *f = arg;
    int64_t due, now = clock_monotonic_ms(clock_system());

    if (!f->core)
        return;
    due = core_next_deadline(f->core);
    if (due == INT64_MAX)
        (void)uv_timer_stop(&f->core_timer);
    else
        (void)uv_timer_start(&f->core_timer, core_due, due > now ? (uint64_t)(due - now) : 0, 0);
}

static void start_core(struct fixture *f)
{
    struct store_options store = {.directory = f->directory, .synchronous = 1, .wake = store_woke, .wake_arg = f};
    struct core_options core = {
        .clock = clock_system(),
        .agents = {.arg = f,
                   .features = fake_features,
                   .check = fake_check,
                   .begin = fake_begin,
                   .cancel = fake_cancel,
                   .observe = fake_observe,
                   .unobserve = fake_unobserve,
                   .parse_address = fake_parse_address},
        .loop = {.arg = f, .rearm = core_rearm},
        .state_directory = f->directory,
        .max_devices = 100,
        .max_registrations = 50,
        .max_registrations_per_address = 4,
        .presence = {.online_ms = 300000, .late_ms = 300000, .awake_ms = 5000, .failures = 2},
        .max_artifacts = 10,
        .max_containers_per_device = 10,
        .max_queue_per_device = 2000,
        .max_operations = 100000,
        .max_artifact_bytes = f->options.max_artifact_bytes,
        .verify_delay_ms = 10,
        .settle_delay_ms = 10,
        .operation_ttl_ms = 60000,
        .operation_ttl_max_ms = 600000,
        .operations_kept = 100,
        .max_pending = 10,
        .max_shadow_bytes = 4096,
        .cache_bytes = 1 << 20,
        .allow_plain_groups = "*",
        .sealing_key = sealing_key,
    };
    char reason[256];

    ck_assert_msg(store_open(&f->store, &store, reason, sizeof reason) == 0, "%s", reason);
    core.store = f->store;
    ck_assert_int_eq(core_new(&f->core, &core), 0);
    core_start(f->core);
}

static int listen_tcp(struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 2048), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    f->port = ntohs(address.sin_port);
    return fd;
}

struct sockaddr_un fixture_unix_address(const struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)text_copy(address.sun_path, sizeof address.sun_path, f->socket_path);
    return address;
}

static int listen_unix(struct fixture *f)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;

    (void)snprintf(f->socket_path, sizeof f->socket_path, "%s/sock", f->directory);
    address = fixture_unix_address(f);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 2048), 0);
    return fd;
}

void fixture_start(struct fixture *f, const struct rest_options *limits)
{
    static const uint8_t key[32] = {0xab, 0xcd};

    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
    *f = (struct fixture){.fake = {.outcome = AGENT_OK, .state = CONTAINER_RUNNING, .log = "hello\n"}};
    f->options = limits ? *limits
                        : (struct rest_options){.max_connections = 100,
                                                .max_json_bytes = 4096,
                                                .max_artifact_bytes = 65536,
                                                .max_raw_bytes = 8192,
                                                .max_wait_s = 60,
                                                .connection_timeout_s = 10,
                                                .max_streams = 3};
    (void)text_copy(f->directory, sizeof f->directory, "/tmp/tcgw-rest-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->directory));
    ck_assert_int_eq(uv_loop_init(&f->loop), 0);
    ck_assert_int_eq(uv_async_init(&f->loop, &f->store_wake, store_ready), 0);
    ck_assert_int_eq(uv_timer_init(&f->loop, &f->core_timer), 0);
    ck_assert_int_eq(uv_timer_init(&f->loop, &f->fake.timer), 0);
    f->store_wake.data = f->core_timer.data = f->fake.timer.data = f;
    start_core(f);
    f->options.loop = &f->loop;
    f->options.anonymous = ROLE_OWNER;
    f->options.core = f->core;
    f->options.store = f->store;
    f->options.state_directory = f->directory;
    f->options.public_key = key;
    f->options.public_key_pem = "-----BEGIN PUBLIC KEY-----\n";
    ck_assert_int_eq(rest_new(&f->rest, &f->options), 0);
    ck_assert_int_eq(rest_listen(f->rest, listen_tcp(f)), 0);
    ck_assert_int_eq(rest_listen(f->rest, listen_unix(f)), 0);
}

static void rest_closed(void *arg)
{
    ((struct fixture *)arg)->closed = true;
}

void fixture_close_rest(struct fixture *f)
{
    rest_close(f->rest, rest_closed, f);
    f->rest = NULL;
    while (!f->closed)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    uv_close(handle, NULL);
}

void fixture_stop(struct fixture *f)
{
    char command[128];

    core_stop(f->core);
    store_flush(f->store);
    if (f->rest)
        fixture_close_rest(f);
    f->core = core_free(f->core);
    f->store = store_close(f->store);
    uv_walk(&f->loop, close_handle, NULL);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&f->loop), 0);
    (void)snprintf(command, sizeof command, "rm -rf %s", f->directory);
    ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c) */
}

static void wake_up(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

void fixture_turn(struct fixture *f, uv_timer_t *timer, bool *over, unsigned ms)
{
    if (!timer->data) {
        (void)uv_timer_init(&f->loop, timer);
        timer->data = over;
        (void)uv_timer_start(timer, wake_up, ms, 0);
    }
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

void fixture_end_turns(struct fixture *f, uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

void fixture_run(struct fixture *f, unsigned ms)
{
    uv_timer_t timer = {.data = NULL};
    bool over = false;

    do {
        fixture_turn(f, &timer, &over, ms);
        (void)usleep(200);
    } while (!over);
    fixture_end_turns(f, &timer);
}

void fixture_wait(struct fixture *f, const unsigned *value)
{
    uv_timer_t timer = {.data = NULL};
    bool over = false;

    while (!*value && !over) {
        fixture_turn(f, &timer, &over, FIXTURE_PATIENCE_MS);
        (void)usleep(100);
    }
    if (timer.data)
        fixture_end_turns(f, &timer);
    ck_assert_msg(*value, "it did not happen");
}
