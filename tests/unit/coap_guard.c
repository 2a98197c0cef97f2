#include "coap_guard.h"

#include "codec/cborio.h"

#include <string.h>

struct guard guard;

struct oscore_credentials guard_inputs(uint8_t n, const char *id_context)
{
    struct oscore_credentials inputs = {.algorithm = OSCORE_AES_CCM_16_64_128,
                                        .secret_size = 16,
                                        .salt_size = 8,
                                        .sender_id_size = 1,
                                        .recipient_id_size = 1,
                                        .sender_id = {0xa0},
                                        .recipient_id = {0xb0}};

    memset(inputs.secret, n, inputs.secret_size);
    memset(inputs.salt, n + 100, inputs.salt_size);
    inputs.sender_id[0] = (uint8_t)(0xa0 + n);
    if (id_context) {
        inputs.has_id_context = true;
        inputs.id_context_size = (uint8_t)strlen(id_context);
        memcpy(inputs.id_context, id_context, inputs.id_context_size);
    }
    return inputs;
}

struct oscore_credentials guard_mirror(const struct oscore_credentials *inputs)
{
    struct oscore_credentials mirror = *inputs;

    memcpy(mirror.sender_id, inputs->recipient_id, sizeof mirror.sender_id);
    memcpy(mirror.recipient_id, inputs->sender_id, sizeof mirror.recipient_id);
    mirror.sender_id_size = inputs->recipient_id_size;
    mirror.recipient_id_size = inputs->sender_id_size;
    return mirror;
}

static void make_ready(struct oscore_context *context)
{
    ck_assert(oscore_context_set_sequence(context, 0, 10000));
    oscore_context_set_window(context, &(struct oscore_window){.known = true});
}

void guard_learn(unsigned at, const struct oscore_credentials *inputs)
{
    struct oscore_credentials mirror = guard_mirror(inputs);

    guard_forget(at);
    ck_assert_int_eq(oscore_context_new(&guard.contexts[at], guard.crypto, &mirror, NULL), 0);
    make_ready(guard.contexts[at]);
}

void guard_forget(unsigned at)
{
    guard.contexts[at] = oscore_context_free(guard.contexts[at]);
}

/* Requests -------------------------------------------------------------------------------------------------------- */

static bool try(struct oscore_context *context, const struct oscore_option *option)
{
    guard.used = context;
    return context && oscore_unprotect_request(context, &world.box.request, option, &guard.binding, &guard.request,
                                               guard.in, sizeof guard.in) == 0;
}

static void note_number(const struct oscore_option *option)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < option->piv_size; i++)
        number = number << 8 | option->piv[i];
    ck_assert_uint_lt(guard.verified, array_size(guard.numbers));
    guard.numbers[guard.verified] = number;
}

static void take_context(struct oscore_context *context)
{
    (void)oscore_context_free(guard.contexts[0]);
    guard.contexts[0] = context;
    guard.offered = false;
    guard.renewed++;
}

/* Steps 2 and 4 of appendix B.2 for what no context verifies. Returns true when request #2 was taken. */
static bool try_renewal(const struct oscore_option *option, const struct oscore_credentials *inputs, bool *answered)
{
    struct cborio_reader r = cborio_reader_init(option->kid_context, option->kid_context_size);
    struct oscore_credentials mirror = guard_mirror(inputs);
    struct oscore_context *base, *first, *second;
    uint8_t id_context[OSCORE_ID_CONTEXT_MAX];
    struct coapmsg response, outer;
    size_t size;
    const uint8_t *id = option->kid_context ? cborio_get_bytes(&r, &size) : NULL;
    bool taken = false;

    if (!id || !cborio_ended(&r))
        return false;
    ck_assert_int_eq(oscore_context_new(&base, guard.crypto, &mirror, NULL), 0);
    ck_assert_int_eq(oscore_context_rederive(&first, base, id, size, NULL), 0);
    make_ready(first);
    if (!try(first, option)) {
        (void)oscore_context_free(first);
    } else if (guard.offered && size > OSCORE_R2_SIZE && memcmp(id, guard.r2, OSCORE_R2_SIZE) == 0) {
        take_context(first);
        taken = true;
    } else {
        memset(guard.r2, 0x77 + (int)guard.renewed, sizeof guard.r2);
        memcpy(id_context, guard.r2, sizeof guard.r2);
        memcpy(id_context + sizeof guard.r2, id, size);
        ck_assert_int_eq(oscore_context_rederive(&second, base, id_context, sizeof guard.r2 + size, NULL), 0);
        guard.offered = *answered = true;
        guard_prepare(&response, COAPMSG_ACK, COAPMSG_UNAUTHORIZED);
        guard.used = second;
        guard_protect(&response, OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED | OSCORE_KID_CONTEXT_R2, &outer);
        if (guard.lose)
            guard.lose--;
        else
            box_send(&world.box, &outer);
        (void)oscore_context_free(second);
        (void)oscore_context_free(first);
    }
    (void)oscore_context_free(base);
    return taken;
}

static void on_request(struct box *box)
{
    struct oscore_credentials inputs = guard_inputs(1, NULL);
    struct oscore_option option;
    bool found = false, answered = false;

    if (guard.verified && box->request.id == guard.last_id) /* a retransmission */
        return;
    if (oscore_message_option(&box->request, &option) == 0) {
        for (unsigned i = 0; i < GUARD_CONTEXTS && !found; i++)
            found = try(guard.contexts[i], &option);
        if (!found && guard.renews)
            found = try_renewal(&option, &inputs, &answered);
    }
    if (found) {
        note_number(&option);
        guard.verified++;
        guard.last_id = box->request.id;
        if (guard.script)
            guard.script(&guard);
    } else if (!answered) {
        guard.refused++;
        box_answer(box, COAPMSG_UNAUTHORIZED, "Security context not found");
    }
}

/* Answers --------------------------------------------------------------------------------------------------------- */

void guard_prepare(struct coapmsg *response, enum coapmsg_type type, uint8_t code)
{
    box_prepare(&world.box, response, type, code);
}

void guard_protect(struct coapmsg *response, unsigned flags, struct coapmsg *outer)
{
    ck_assert_int_eq(
        oscore_protect_response(guard.used, &guard.binding, response, flags, outer, guard.out, sizeof guard.out), 0);
}

void guard_send(struct coapmsg *response, unsigned flags)
{
    struct coapmsg outer;

    guard_protect(response, flags, &outer);
    box_send(&world.box, &outer);
}

void guard_answer(uint8_t code, const char *text)
{
    struct coapmsg response;

    guard_prepare(&response, COAPMSG_ACK, code);
    coapmsg_set_payload(&response, text, strlen(text));
    guard_send(&response, 0);
}

void guard_answer_running(struct guard *unused)
{
    struct coapmsg response;

    (void)unused;
    box_prepare_running(&world.box, &response, COAPMSG_ACK);
    guard_send(&response, 0);
}

void guard_ask_echo(void)
{
    struct coapmsg response;

    guard_prepare(&response, COAPMSG_ACK, COAPMSG_UNAUTHORIZED);
    coapmsg_add_text(&response, COAPMSG_OPT_ECHO, "fresh?");
    guard_send(&response, OSCORE_WITH_PIV);
}

bool guard_has_echo(void)
{
    const struct coapmsg_option *echo = coapmsg_find(&guard.request, COAPMSG_OPT_ECHO);

    return echo && echo->length == 6 && memcmp(echo->value, "fresh?", 6) == 0;
}

/* Fixture --------------------------------------------------------------------------------------------------------- */

struct credential *guard_add(uint8_t n, const char *id_context, enum credential_state state)
{
    struct oscore_credentials inputs = guard_inputs(n, id_context);

    return fake_keyring_add(&world.core, &world.device, CREDENTIAL_OSCORE, state, &inputs);
}

void guard_set_up(void)
{
    struct oscore_credentials inputs = guard_inputs(1, NULL);

    world_set_up();
    memset(&guard, 0, sizeof guard);
    ck_assert_int_eq(oscore_crypto_new(&guard.crypto, 8), 0);
    guard_learn(0, &inputs);
    (void)guard_add(1, NULL, CREDENTIAL_ACTIVE);
    world.box.script = on_request;
    guard.script = guard_answer_running;
}

void guard_tear_down(void)
{
    world_tear_down();
    for (unsigned i = 0; i < GUARD_CONTEXTS; i++)
        guard_forget(i);
    guard.crypto = oscore_crypto_free(guard.crypto);
}

TCase *guard_case(const char *name, void (*set_up)(void))
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, set_up, guard_tear_down);
    tcase_set_timeout(tc, 60);
    return tc;
}
