#include "connected_fixture.h"

#include <dirent.h>
#include <string.h>

struct connected connected;
struct known_psk known[4];
bool device_is_trusted;

static struct connected_gateway *const gateway = &connected.gateway;
static struct connected_device *const device = &connected.device;

const struct channel_security box_1 = {
    .has_psk = true, .identity = "box-1", .psk = "secret-1-secret-1", .psk_size = 17};
const struct channel_security box_2 = {
    .has_psk = true, .identity = "box-2", .psk = "secret-2-secret-2", .psk_size = 17};
const struct channel_security by_certificate = {.peer_name = CA_GATEWAY_NAME};

/* The gateway ------------------------------------------------------------------------------------------------------ */

static bool find_psk(void *arg, const void *identity, size_t size, uint8_t *key, size_t *key_size)
{
    (void)arg;
    for (size_t i = 0; i < array_size(known); i++)
        if (known[i].identity && strlen(known[i].identity) == size && memcmp(known[i].identity, identity, size) == 0) {
            ck_assert_uint_ge(*key_size, strlen(known[i].key));
            *key_size = strlen(known[i].key);
            memcpy(key, known[i].key, *key_size);
            return true;
        }
    return false;
}

static bool check_device(void *arg, const char *common_name, const uint8_t fingerprint[32])
{
    uint8_t zeros[32] = {0};

    (void)arg;
    ck_assert_mem_ne(fingerprint, zeros, 32);
    return device_is_trusted && strcmp(common_name, "box-1") == 0;
}

static bool check_gateway(void *arg, const char *common_name, const uint8_t fingerprint[32])
{
    (void)arg;
    (void)fingerprint;
    return strcmp(common_name, CA_GATEWAY_NAME) == 0;
}

static void copy_path(const struct coapmsg *request)
{
    char *out = gateway->path;

    *out = 0;
    for (const struct coapmsg_option *o = coapmsg_find(request, COAPMSG_OPT_URI_PATH); o;
         o = coapmsg_find_next(request, o))
        out += snprintf(out, sizeof gateway->path - (size_t)(out - gateway->path), "/%.*s", (int)o->length,
                        (const char *)o->value);
    out = gateway->options_seen;
    *out = 0;
    for (size_t i = 0; i < request->option_count; i++)
        out += snprintf(out, sizeof gateway->options_seen - (size_t)(out - gateway->options_seen), " %u",
                        request->options[i].number);
}

static void on_request(void *server, struct incoming *incoming, const struct coapmsg *request)
{
    struct coapmsg response;

    ck_assert_ptr_eq(server, &connected);
    gateway->requests++;
    uv_stop(&connected.loop); /* or UV_RUN_ONCE would wait for something else to happen */
    (void)snprintf(gateway->identity, sizeof gateway->identity, "%s",
                   incoming_identity(incoming) ? incoming_identity(incoming) : "-");
    gateway->has_fingerprint = incoming_fingerprint(incoming) != NULL;
    gateway->peer = *incoming_peer(incoming);
    gateway->code = request->code;
    gateway->payload_size = request->payload_size;
    ck_assert_uint_le(request->payload_size, SENT_MAX);
    if (request->payload_size)
        memcpy(gateway->payload, request->payload, request->payload_size);
    memcpy(gateway->token, request->token, request->token_length);
    gateway->token_length = request->token_length;
    copy_path(request);
    if (gateway->script) {
        gateway->script(incoming);
        return;
    }
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CHANGED);
    coapmsg_set_payload(&response, request->payload, request->payload_size);
    incoming_answer(incoming, &response, true);
}

static void on_notified(void *owner, int event)
{
    ck_assert_ptr_eq(owner, &connected);
    gateway->notified++;
    uv_stop(&connected.loop);
    gateway->notified_event = event;
}

static void unexpected_response(void *owner, const struct coapmsg *response, bool separate)
{
    (void)owner;
    (void)response;
    (void)separate;
    ck_abort_msg("the gateway asked nothing");
}

static void unexpected_event(void *owner, enum channel_event event)
{
    (void)owner;
    (void)event;
    ck_abort_msg("the gateway asked nothing");
}

static const struct endpoint_handlers gateway_handlers = {unexpected_response, unexpected_event, on_request,
                                                          on_notified};

/* The device ------------------------------------------------------------------------------------------------------- */

static void on_response(void *owner, const struct coapmsg *response, bool separate)
{
    ck_assert_ptr_eq(owner, device);
    device->responses++;
    uv_stop(&connected.loop);
    device->code = response->code;
    device->separate = separate;
    device->has_observe = coapmsg_find(response, COAPMSG_OPT_OBSERVE) != NULL;
    device->payload_size = response->payload_size;
    ck_assert_uint_le(response->payload_size, SENT_MAX);
    if (response->payload_size)
        memcpy(device->payload, response->payload, response->payload_size);
    if (device->script)
        device->script();
}

static void on_event(void *owner, enum channel_event event)
{
    ck_assert_ptr_eq(owner, device);
    device->events++;
    uv_stop(&connected.loop);
    device->event = event;
    if (device->script)
        device->script();
}

static const struct endpoint_handlers device_handlers = {on_response, on_event, NULL, NULL};

/* Both ------------------------------------------------------------------------------------------------------------- */

static char *path_of(const char *file)
{
    static char paths[16][128];
    static unsigned next;
    char *path = paths[next++ % array_size(paths)];

    (void)snprintf(path, sizeof paths[0], "%s/%s", connected.directory, file);
    return path;
}

char *connected_issue(const char *common_name)
{
    char pem[CA_PEM_MAX], *path = path_of(common_name);
    struct ca_certificate issued;
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(ca_issue(connected.ca, common_name, 0, 1, pem, &issued), 0);
    ck_assert_int_ge(fputs(pem, f), 0);
    (void)fclose(f);
    return path;
}

static void set_options(struct endpoint_options *options)
{
    *options = (struct endpoint_options){.loop = &connected.loop,
                                         .server = &connected,
                                         .max_idle = 4,
                                         .max_sessions = 8,
                                         .ack_timeout_ms = 1000,
                                         .max_retransmit = 1,
                                         .kept_bytes = 65536};
}

void connected_open_gateway(bool with_certificates)
{
    struct endpoint_options *options = &gateway->options;

    set_options(options);
    options->handlers = &gateway_handlers;
    options->trust = (struct endpoint_trust){.find_psk = find_psk, .check_certificate = check_device};
    if (with_certificates) {
        options->certificate = path_of(CA_GATEWAY_FILE);
        options->private_key = path_of(CA_GATEWAY_KEY_FILE);
        options->client_ca = path_of(CA_FILE);
    }
    ck_assert_int_eq(endpoint_new(&gateway->endpoint, options), 0);
}

void connected_open_device(const char *pem_path)
{
    struct endpoint_options *options = &device->options;

    set_options(options);
    options->handlers = &device_handlers;
    options->trust = (struct endpoint_trust){.check_certificate = check_gateway};
    if (pem_path) {
        options->certificate = pem_path;
        options->private_key = pem_path;
        options->client_ca = path_of(CA_FILE);
    }
    ck_assert_int_eq(endpoint_new(&device->endpoint, options), 0);
}

const char *connected_serve(enum peer_transport transport)
{
    static const char *const schemes[] = {"coap", "coaps", "coap+tcp", "coaps+tcp"};
    static char address[64];
    char reason[256];

    ck_assert_msg(endpoint_listen(gateway->endpoint, transport, "127.0.0.1:0", reason, sizeof reason) == 0, "%s",
                  reason);
    (void)snprintf(address, sizeof address, "%s://127.0.0.1:%u", schemes[transport],
                   endpoint_port(gateway->endpoint, transport));
    return address;
}

static void on_closed(void *arg)
{
    (*(unsigned *)arg)++;
}

void connected_set_up(void)
{
    char reason[256];

    memset(&connected, 0, sizeof connected);
    memset(known, 0, sizeof known);
    known[0] = (struct known_psk){"box-1", "secret-1-secret-1"};
    known[1] = (struct known_psk){"box-2", "secret-2-secret-2"};
    device_is_trusted = true;
    ck_assert_int_eq(uv_loop_init(&connected.loop), 0);
    strcpy(connected.directory, "/tmp/test_connected.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(connected.directory));
    ck_assert_msg(ca_open(&connected.ca, connected.directory, reason, sizeof reason) == 0, "%s", reason);
}

static void remove_directory(void)
{
    DIR *d = opendir(connected.directory);
    struct dirent *entry;

    while ((entry = readdir(d)))
        (void)unlinkat(dirfd(d), entry->d_name, 0);
    (void)closedir(d);
    (void)rmdir(connected.directory);
}

void connected_tear_down(void)
{
    unsigned open = 0;

    for (size_t i = 0; i < 2; i++) {
        struct endpoint *endpoint = i ? device->endpoint : gateway->endpoint;

        if (endpoint) {
            endpoint_close(endpoint, on_closed, &connected.closed);
            open++;
        }
    }
    (void)uv_run(&connected.loop, UV_RUN_DEFAULT);
    ck_assert_uint_eq(connected.closed, open);
    ck_assert_int_eq(uv_loop_close(&connected.loop), 0);
    connected.ca = ca_free(connected.ca);
    remove_directory();
}

TCase *connected_case(const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, connected_set_up, connected_tear_down);
    tcase_set_timeout(tc, 60);
    return tc;
}

static void on_time(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

bool connected_run(const unsigned *count, unsigned wanted, int64_t ms)
{
    uv_timer_t timer;
    bool over = false;

    uv_update_time(&connected.loop);
    (void)uv_timer_init(&connected.loop, &timer);
    timer.data = &over;
    (void)uv_timer_start(&timer, on_time, (uint64_t)ms, 0);
    while (!over && *count < wanted)
        (void)uv_run(&connected.loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&connected.loop, UV_RUN_NOWAIT);
    return *count >= wanted;
}

void connected_run_for(int64_t ms)
{
    static const unsigned never;

    (void)connected_run(&never, 1, ms);
}

struct channel *connected_open(const char *address, const struct channel_security *security)
{
    struct channel *channel;

    ck_assert_int_eq(endpoint_open_channel(device->endpoint, address, security, false, device, &channel), 0);
    return channel;
}

void connected_send_bytes(struct channel *channel, uint8_t code, const char *path, const void *data, size_t size)
{
    struct coapmsg request;

    coapmsg_init(&request, COAPMSG_CON, code);
    if (*path)
        coapmsg_add_path(&request, path);
    coapmsg_set_payload(&request, data, size);
    ck_assert_int_eq(channel_send(channel, &request, 1000, 1), 0);
}

void connected_send(struct channel *channel, uint8_t code, const char *path, const char *text)
{
    connected_send_bytes(channel, code, path, text, strlen(text));
}

void connected_check_works(struct channel *channel, const char *identity)
{
    unsigned before = device->responses;

    connected_send(channel, COAPMSG_PUT, "/a", "hello");
    ck_assert(connected_run(&device->responses, before + 1, 10000));
    ck_assert_uint_eq(device->code, COAPMSG_CHANGED);
    ck_assert_uint_eq(device->payload_size, 5);
    ck_assert_mem_eq(device->payload, "hello", 5);
    ck_assert_str_eq(gateway->identity, identity);
    ck_assert_uint_eq(device->events, 0);
}

void connected_check_fails(const char *address, const struct channel_security *security, enum channel_event event)
{
    unsigned requests = gateway->requests, responses = device->responses;
    struct channel *channel = connected_open(address, security);

    device->events = 0;
    connected_send(channel, COAPMSG_PUT, "/a", "hello");
    ck_assert(connected_run(&device->events, 1, 30000));
    connected_run_for(20);
    ck_assert_uint_eq(device->events, 1);
    ck_assert_int_eq(device->event, event);
    ck_assert_uint_eq(gateway->requests, requests);
    ck_assert_uint_eq(device->responses, responses);
    device->events = 0;
    (void)channel_close(channel, false);
}

/* The relay -------------------------------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char data[65536];

    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(data, sizeof data);
}

static bool is_lost(unsigned *count)
{
    if (!*count)
        return false;
    (*count)--;
    return true;
}

static void pass_on(uv_udp_t *socket, const uv_buf_t *buf, ssize_t size, const struct sockaddr_in *to)
{
    uv_buf_t out = uv_buf_init(buf->base, (unsigned)size);

    ck_assert_int_eq(uv_udp_try_send(socket, &out, 1, (const struct sockaddr *)to), (int)size);
}

static void on_front(uv_udp_t *udp, ssize_t size, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
    struct relay *relay = container_of(udp, struct relay, front);

    (void)flags;
    if (size <= 0 || !from)
        return;
    memcpy(&relay->device, from, sizeof relay->device);
    relay->to_gateway++;
    if (!is_lost(&relay->lose_to_gateway))
        pass_on(&relay->back, buf, size, &relay->gateway);
}

static void on_back(uv_udp_t *udp, ssize_t size, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
    struct relay *relay = container_of(udp, struct relay, back);

    (void)flags;
    if (size <= 0 || !from)
        return;
    relay->to_device++;
    if (!is_lost(&relay->lose_to_device))
        pass_on(&relay->front, buf, size, &relay->device);
}

static void bind_socket(uv_udp_t *udp, uv_udp_recv_cb callback)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    ck_assert_int_eq(uv_udp_init(&connected.loop, udp), 0);
    ck_assert_int_eq(uv_udp_bind(udp, (struct sockaddr *)&any, 0), 0);
    ck_assert_int_eq(uv_udp_recv_start(udp, on_alloc, callback), 0);
}

void relay_address(const struct relay *relay, char out[64])
{
    struct sockaddr_in name;
    int size = (int)sizeof name;

    ck_assert_int_eq(uv_udp_getsockname(&relay->front, (struct sockaddr *)&name, &size), 0);
    (void)snprintf(out, 64, "coaps://127.0.0.1:%u", ntohs(name.sin_port));
}

const char *relay_open(struct relay *relay, enum peer_transport transport)
{
    static char address[64];

    memset(relay, 0, sizeof *relay);
    (void)connected_serve(transport);
    relay->gateway = (struct sockaddr_in){.sin_family = AF_INET,
                                          .sin_port = htons(endpoint_port(gateway->endpoint, transport)),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bind_socket(&relay->front, on_front);
    bind_socket(&relay->back, on_back);
    relay_address(relay, address);
    return address;
}

void relay_close(struct relay *relay)
{
    uv_close((uv_handle_t *)&relay->front, NULL);
    uv_close((uv_handle_t *)&relay->back, NULL);
}
