#include "coap_fixture.h"

#include "codec/cborio.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

struct world world;

int64_t world_now(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

/* The device ------------------------------------------------------------------------------------------------------ */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct box *box = container_of((uv_udp_t *)handle, struct box, udp);

    (void)suggested;
    *buf = uv_buf_init((char *)box->data, sizeof box->data);
}

static void on_datagram(uv_udp_t *udp, ssize_t size, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
    struct box *box = container_of(udp, struct box, udp);

    (void)buf;
    (void)flags;
    if (size <= 0 || !from)
        return;
    box->size = (size_t)size;
    box->datagrams++;
    memcpy(&box->from, from, sizeof box->from);
    if (coapmsg_decode(&box->request, box->data, box->size) != 0)
        return;
    if (box->request.type == COAPMSG_ACK)
        box->acks++;
    else if (box->request.type == COAPMSG_RST)
        box->resets++;
    else if (++box->requests && box->script)
        box->script(box);
}

void box_open(struct box *box, uint16_t port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = (int)sizeof sin;

    box->world = &world;
    ck_assert_int_eq(uv_udp_init(&world.loop, &box->udp), 0);
    ck_assert_int_eq(uv_udp_bind(&box->udp, (struct sockaddr *)&sin, 0), 0);
    ck_assert_int_eq(uv_udp_getsockname(&box->udp, (struct sockaddr *)&sin, &size), 0);
    ck_assert_int_eq(uv_udp_recv_start(&box->udp, on_alloc, on_datagram), 0);
    ck_assert_int_eq(uv_timer_init(&world.loop, &box->timer), 0);
    box->port = ntohs(sin.sin_port);
    box->open = true;
}

void box_close(struct box *box)
{
    if (!box->open)
        return;
    box->open = false;
    uv_close((uv_handle_t *)&box->udp, NULL);
    uv_close((uv_handle_t *)&box->timer, NULL);
}

void box_send_raw(struct box *box, const void *data, size_t size)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)size);

    ck_assert_int_eq(uv_udp_try_send(&box->udp, &buf, 1, (struct sockaddr *)&box->from), (int)size);
}

void box_send(struct box *box, struct coapmsg *response)
{
    uint8_t out[2048];
    size_t size = coapmsg_encode(response, out, sizeof out);

    ck_assert_uint_gt(size, 0);
    box_send_raw(box, out, size);
}

void box_prepare(struct box *box, struct coapmsg *response, enum coapmsg_type type, uint8_t code)
{
    coapmsg_init(response, type, code);
    response->id = box->request.id;
    coapmsg_set_token(response, box->request.token, box->request.token_length);
}

void box_answer(struct box *box, uint8_t code, const char *text)
{
    struct coapmsg response;

    box_prepare(box, &response, COAPMSG_ACK, code);
    coapmsg_set_payload(&response, text, strlen(text));
    box_send(box, &response);
}

void box_acknowledge(struct box *box)
{
    struct coapmsg ack;

    coapmsg_init(&ack, COAPMSG_ACK, COAPMSG_EMPTY);
    ack.id = box->request.id;
    box_send(box, &ack);
}

void box_prepare_running(struct box *box, struct coapmsg *response, enum coapmsg_type type)
{
    box_prepare(box, response, type, COAPMSG_CONTENT);
    coapmsg_add_uint(response, 65006, 1);
}

void box_answer_running(struct box *box)
{
    struct coapmsg response;

    box_prepare_running(box, &response, COAPMSG_ACK);
    box_send(box, &response);
}

void box_answer_info(struct box *box, const uint8_t digest[8], uint64_t held)
{
    struct coapmsg response;
    uint8_t out[256];
    struct cborio_writer w = cborio_writer_init(out, sizeof out);

    cborio_put_map(&w, held ? 8 : 7);
    cborio_put_uint(&w, 1);
    cborio_put_uint(&w, 2);
    cborio_put_uint(&w, 2);
    cborio_put_text(&w, "tcagent 0.1.0");
    cborio_put_uint(&w, 3);
    cborio_put_text(&w, "k\xc3\xbchlbox");
    cborio_put_uint(&w, 4);
    cborio_put_array(&w, 3);
    cborio_put_uint(&w, CONTAINER_TYPE_WASM);
    cborio_put_uint(&w, CONTAINER_TYPE_RBPF);
    cborio_put_uint(&w, 900); /* a type to come */
    cborio_put_uint(&w, 5);
    cborio_put_uint(&w, 4);
    cborio_put_uint(&w, 8);
    cborio_put_uint(&w, 65536);
    cborio_put_uint(&w, 99); /* a key to come */
    cborio_put_array(&w, 1);
    cborio_put_text(&w, "?");
    if (held) {
        cborio_put_uint(&w, 11);
        cborio_put_array(&w, 3);
        cborio_put_text(&w, "door");
        cborio_put_bytes(&w, digest, 8);
        cborio_put_uint(&w, held);
    }
    box_prepare(box, &response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add_uint(&response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_CBOR);
    coapmsg_set_payload(&response, out, cborio_written(&w));
    box_send(box, &response);
}

/* The gateway's side ---------------------------------------------------------------------------------------------- */

static void on_done(struct agent_call *call)
{
    ck_assert_ptr_eq(call, &world.call);
    ck_assert_ptr_null(call->driver);
    world.done++;
    uv_stop(&world.loop); /* or UV_RUN_ONCE would wait for something else to happen */
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

void world_set_up(void)
{
    memset(&world, 0, sizeof world);
    ck_assert_int_eq(uv_loop_init(&world.loop), 0);
    world.key = key_generate();
    ck_assert_ptr_nonnull(world.key);
    world.options = (struct agents_options){.loop = &world.loop,
                                            .sign = key_sign,
                                            .sign_arg = world.key,
                                            .answer_timeout_ms = 400,
                                            .ack_timeout_ms = 1000,
                                            .max_retransmit = 1,
                                            .load_timeout_ms = 800,
                                            .log_max = 3000};
    ck_assert_int_eq(agents_new(&world.agents, &world.options), 0);
    world.port = agents_port(world.agents);
    fake_keyring_open(&world.core, &world.loop);
    ck_assert_int_eq(agents_start(world.agents, &world.core), 0);
    box_open(&world.box, 0);
    (void)snprintf(world.device.id, sizeof world.device.id, "box-1");
    (void)snprintf(world.device.address, sizeof world.device.address, "coap://127.0.0.1:%u", world.box.port);
    world.device.agent = AGENT_V1;
    world.device.core = &world.core;
    world.device.allow_plain = true;
    for (size_t i = 0; i < sizeof world.code; i++)
        world.code[i] = (uint8_t)(i * 7 + i / 256);
    memset(world.data, 0xd0, sizeof world.data);
    world.artifact = (struct artifact){.id = "a1",
                                       .type = CONTAINER_TYPE_WASM,
                                       .syscall_mask = 0x1e,
                                       .limits = {.loop_period = 1000},
                                       .code_size = 300,
                                       .data_size = 10};
}

void world_set_up_v2(void)
{
    world_set_up();
    world.device.agent = AGENT_V2;
}

void world_tear_down(void)
{
    box_close(&world.box);
    if (world.agents)
        agents_close(world.agents, on_closed, &world.closed);
    world.core.port.dropped = NULL;
    fake_keyring_revoke_all(&world.core, &world.device);
    fake_keyring_close(&world.core);
    (void)uv_run(&world.loop, UV_RUN_DEFAULT);
    ck_assert(world.closed);
    ck_assert_int_eq(uv_loop_close(&world.loop), 0);
    world.key = key_free(world.key);
    free(world.call.log);
    free(world.call.response.body);
}

static void on_time(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void run_until(int64_t ms, bool stop_when_done)
{
    uv_timer_t timer;
    bool over = false;

    (void)uv_timer_init(&world.loop, &timer);
    timer.data = &over;
    uv_update_time(&world.loop);
    (void)uv_timer_start(&timer, on_time, (uint64_t)ms, 0);
    while (!over && !(stop_when_done && world.done))
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&world.loop, UV_RUN_NOWAIT);
}

bool world_run(int64_t ms)
{
    run_until(ms, true);
    return world.done > 0;
}

void world_run_for(int64_t ms)
{
    run_until(ms, false);
}

void world_prepare(enum agent_verb verb)
{
    free(world.call.log);
    free(world.call.response.body);
    world.call = (struct agent_call){.verb = verb,
                                     .device = &world.device,
                                     .uid = "door",
                                     .artifact = &world.artifact,
                                     .code = world.code,
                                     .code_size = (size_t)world.artifact.code_size,
                                     .data = world.data,
                                     .data_size = (size_t)world.artifact.data_size,
                                     .done = on_done};
}

void world_begin_prepared(void)
{
    world.done = 0;
    uv_update_time(&world.loop);
    world.port.begin(world.port.arg, &world.call);
    ck_assert_uint_eq(world.done, 0);
    ck_assert_ptr_nonnull(world.call.driver);
}

void world_begin(enum agent_verb verb)
{
    world_prepare(verb);
    world_begin_prepared();
}

enum agent_outcome world_call(enum agent_verb verb)
{
    world_begin(verb);
    ck_assert(world_run(15000));
    ck_assert_uint_eq(world.done, 1);
    return world.call.outcome;
}

void world_check_running(void)
{
    ck_assert_int_eq(world.call.outcome, AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_RUNNING);
}

TCase *world_case(const char *name, void (*set_up)(void))
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, set_up, world_tear_down);
    tcase_set_timeout(tc, 30);
    return tc;
}
