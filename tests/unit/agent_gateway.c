#include "agent_gateway.h"

#include <stdio.h>
#include <string.h>

static const struct oscore_credentials device_view = {
    .algorithm = OSCORE_AES_CCM_16_64_128,
    .secret_size = 16,
    .salt_size = 8,
    .sender_id_size = 2,
    .recipient_id_size = 1,
    .id_context_size = 8,
    .has_id_context = true,
    .secret = "0123456789abcdef",
    .salt = "saltsalt",
    .sender_id = "dv",
    .recipient_id = "g",
    .id_context = "contextA",
};

static void begin_agent(struct gateway *g, const struct agent_options *options)
{
    g->f = fixture_new_agent(options);
}

struct gateway *gateway_new(const char *bugs, const struct traffic_options *traffic, bool with_state)
{
    struct agent_options options = {.device = {.kind = DEVICE_V2, .slots = 3, .package_max = 65536}, .pdu_size = 1204};
    struct gateway *g = calloc(1, sizeof *g);
    char reason[128];

    ck_assert_ptr_nonnull(g);
    g->device = device_view;
    ck_assert_int_eq(oscore_crypto_new(&g->crypto, 16), 0);
    ck_assert_int_eq(bugs_parse(&options.device.bugs, bugs, reason, sizeof reason), 0);
    if (with_state) {
        (void)snprintf(g->state, sizeof g->state, "/tmp/tcgw-test-state-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(g->state));
    }
    options.security = (struct security_options){
        .credentials = &g->device, .crypto = g->crypto, .state = with_state ? g->state : NULL};
    if (traffic) {
        options.traffic = *traffic;
        options.traffic.gateway = fixture_peer(40000);
        options.traffic.count = 1;
    }
    begin_agent(g, &options);
    gateway_use(g, gateway_derive(g, NULL, 0));
    return g;
}

void gateway_end(struct gateway *g)
{
    char command[96];

    fixture_end(g->f);
    (void)oscore_context_free(g->context);
    (void)oscore_crypto_free(g->crypto);
    if (g->state[0]) {
        (void)snprintf(command, sizeof command, "rm -r %s", g->state);
        ck_assert_int_eq(system(command), 0);
    }
    free(g);
}

void gateway_restart_agent(struct gateway *g, bool clean, bool forget)
{
    struct agent_options options = g->f->options;

    if (!clean)
        g->f->agent.security.flash.directory = NULL; /* the end writes nothing */
    fixture_end(g->f);
    options.security.forget = forget;
    begin_agent(g, &options);
}

struct oscore_context *gateway_derive(const struct gateway *g, const void *id_context, size_t size)
{
    struct oscore_credentials c = g->device;
    struct oscore_context *context;

    memcpy(c.sender_id, g->device.recipient_id, sizeof c.sender_id);
    memcpy(c.recipient_id, g->device.sender_id, sizeof c.recipient_id);
    c.sender_id_size = g->device.recipient_id_size;
    c.recipient_id_size = g->device.sender_id_size;
    if (id_context) {
        ck_assert_uint_le(size, sizeof c.id_context);
        memcpy(c.id_context, id_context, size);
        c.id_context_size = (uint8_t)size;
    }
    ck_assert_int_eq(oscore_context_new(&context, g->crypto, &c, NULL), 0);
    ck_assert(oscore_context_set_sequence(context, 0, OSCORE_SEQUENCE_END));
    oscore_context_set_window(context, &(struct oscore_window){.known = true});
    return context;
}

void gateway_use(struct gateway *g, struct oscore_context *context)
{
    (void)oscore_context_free(g->context);
    g->context = context;
}

void gateway_protect(struct gateway *g, const struct coapmsg *request, unsigned flags)
{
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg outer;

    ck_assert_int_eq(oscore_protect_request(g->context, request, flags, &g->binding, &outer, room, sizeof room), 0);
    g->datagram_size = coapmsg_encode(&outer, g->datagram, sizeof g->datagram);
    ck_assert_uint_gt(g->datagram_size, 0);
}

uint8_t gateway_send(struct gateway *g)
{
    int r;

    fixture_send_bytes(g->f, g->datagram, g->datagram_size);
    ck_assert_uint_ge(g->f->sent_count, 1);
    r = oscore_unprotect_response(g->context, &g->binding, &g->f->answer, &g->inner, g->room, sizeof g->room);
    ck_assert_msg(r == 0 || r == OSCORE_E_UNPROTECTED || r == OSCORE_E_DECRYPT, "%s", oscore_error_text(r));
    return r ? 0 : g->inner.code;
}

uint8_t gateway_ask(struct gateway *g, uint8_t method, const char *path, const char *query)
{
    struct coapmsg request;

    fixture_request(g->f, &request, method, path);
    if (query)
        coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, query);
    gateway_protect(g, &request, OSCORE_WITH_KID_CONTEXT);
    return gateway_send(g);
}

int gateway_take(struct gateway *g)
{
    struct fixture *f = g->f;
    struct oscore_option option;
    int r = -1;

    for (unsigned i = f->sent_count; i > 0 && r < 0; i--) {
        if (coapmsg_decode(&f->answer, f->sent[i - 1].data, f->sent[i - 1].size) ||
            COAPMSG_CLASS(f->answer.code) != 0 || f->answer.code == 0)
            continue;
        r = oscore_message_option(&f->answer, &option);
        if (!r)
            r = oscore_unprotect_request(g->context, &f->answer, &option, &g->binding, &g->inner, g->room,
                                         sizeof g->room);
    }
    return r;
}

/* An answer on the acknowledgement of f->answer. */
static void send_back(struct gateway *g, struct coapmsg *answer)
{
    uint8_t token[COAPMSG_MAX_TOKEN], length = g->f->answer.token_length;

    memcpy(token, g->f->answer.token, sizeof token);
    answer->type = COAPMSG_ACK;
    answer->id = g->f->answer.id;
    coapmsg_set_token(answer, token, length);
    fixture_send(g->f, answer);
}

void gateway_answer(struct gateway *g, const struct coapmsg *plain, unsigned flags)
{
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg outer;

    ck_assert_int_eq(oscore_protect_response(g->context, &g->binding, plain, flags, &outer, room, sizeof room), 0);
    send_back(g, &outer);
}

void gateway_answer_code(struct gateway *g, uint8_t code)
{
    struct coapmsg plain;

    coapmsg_init(&plain, COAPMSG_ACK, code);
    gateway_answer(g, &plain, 0);
}

void gateway_answer_plain(struct gateway *g, uint8_t code)
{
    struct coapmsg plain;

    coapmsg_init(&plain, COAPMSG_ACK, code);
    send_back(g, &plain);
}
