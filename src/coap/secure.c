#include "coap/secure_private.h"
#include "core/trace.h"

#include "core/budget.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REVOKED "the device's credentials were revoked or replaced meanwhile"

/* Ends ------------------------------------------------------------------------------------------------------------ */

/* Not under way any more. */
static void release(struct secure *s)
{
    exchange_stop(&s->exchange);
    if (s->phase == SECURE_IDLE)
        return;
    s->phase = SECURE_IDLE;
    s->lasts = false;
    s->credential = s->session = NULL;
    list_unlink(&s->node);
    keyring_cancel_reservation(&s->reservation);
    s->derived = oscore_context_free(s->derived);
    renewal_end(s);
}

/* Of one that lasts only what it is asked: how long notifications take is the device's business. */
static void note_time(struct secure *s, enum agent_outcome outcome)
{
    if (s->begun)
        histogram_add(outcome == AGENT_OK ? &s->agents->stats.answered_ms : &s->agents->stats.failed_ms,
                      &histogram_millis, uv_now(s->agents->options.loop) - s->begun);
    s->begun = 0;
}

void secure_finish(struct secure *s, enum agent_outcome outcome, const struct coapmsg *response)
{
    note_time(s, outcome);
    release(s);
    s->done(s, outcome, response);
}

static void on_deferred_end(struct exchange *exchange, enum exchange_result result, const struct coapmsg *response,
                            int error)
{
    struct secure *s = container_of(exchange, struct secure, exchange);

    (void)result;
    (void)response;
    (void)error;
    secure_finish(s, s->end, NULL);
}

static void end_later(struct secure *s, enum agent_outcome outcome)
{
    exchange_stop(&s->exchange);
    s->phase = SECURE_ENDING;
    s->end = outcome;
    exchange_defer(&s->exchange, on_deferred_end);
}

void secure_end(struct secure *s, enum agent_outcome outcome, const char *format, ...)
{
    va_list ap;

    s->detail[0] = 0;
    if (format) {
        va_start(ap, format);
        (void)vsnprintf(s->detail, sizeof s->detail, format, ap);
        va_end(ap);
    }
    if (s->starting)
        end_later(s, outcome);
    else
        secure_finish(s, outcome, NULL);
}

/* Nothing more can be tried. */
void secure_end_untrusted(struct secure *s)
{
    static const char *const texts[] = {
        [SECURE_NO_HINT] = "the security context could not be renewed now",
        [SECURE_REFUSED] = "the device refuses the gateway's protection",
        [SECURE_UNPROTECTED] = "the device's answer is not protected",
        [SECURE_UNVERIFIED] = "the device's answer does not verify",
    };
    char code[5];

    secure_end(s, AGENT_UNTRUSTED, "%s%s%s%s", texts[s->hint], s->hint_code ? ": " : "",
               s->hint_code ? coapmsg_code_text(s->hint_code, code) : "",
               s->left ? "; whether it did what was asked is not known" : "");
}

void secure_end_unanswered(struct secure *s, enum exchange_result result, int error)
{
    if (s->phase != SECURE_SENT && result == EXCHANGE_NO_ANSWER) {
        secure_end(s, s->left ? AGENT_NO_ANSWER : AGENT_UNREACHABLE,
                   "the device did not answer when its security context was to be renewed");
        return;
    }
    switch (result) {
    case EXCHANGE_ANSWERED:
    case EXCHANGE_NO_ANSWER:
        s->agents->stats.timeouts++;
        secure_end(s, AGENT_NO_ANSWER, NULL);
        break;
    case EXCHANGE_UNREACHABLE:
        secure_end(s, AGENT_UNREACHABLE, "%s: %s", s->device->address, strerror(-error));
        break;
    case EXCHANGE_RESET:
        secure_end(s, AGENT_GARBAGE, "the device answered with a reset (RST) instead of a response");
        break;
    case EXCHANGE_DENIED:
        secure_end(s, AGENT_UNTRUSTED, "the DTLS or TLS handshake with the device failed");
        break;
    case EXCHANGE_FAILED:
        secure_end(s, AGENT_LOCAL, "the request could not be sent: %s", strerror(-error));
        break;
    }
}

/* Requests -------------------------------------------------------------------------------------------------------- */

/* Reads the kept request; its options and payload point into s->request. */
static void take_request(const struct secure *s, struct coapmsg *message)
{
    if (coapmsg_decode(message, s->request.data, s->request.size) != 0)
        message->failed = true;
    if (s->echo_size)
        coapmsg_add(message, COAPMSG_OPT_ECHO, s->echo, s->echo_size);
}

static bool keep_request(struct secure *s, const struct coapmsg *request)
{
    uint8_t *out;
    size_t size = coapmsg_size(request);

    s->request.size = 0;
    s->request.failed = false;
    out = buffer_reserve(&s->request, size);
    if (!out || coapmsg_encode(request, out, size) != size)
        return false;
    s->request.size = size;
    return true;
}

static struct channel_security describe_session(const struct credential *credential)
{
    return (struct channel_security){
        .has_psk = credential->kind == CREDENTIAL_PSK,
        .identity = credential->identity,
        .psk = credential->psk,
        .psk_size = credential->psk_size,
        .peer_name = credential->identity,
    };
}

static enum trace_guard guard_of(const struct secure *s)
{
    return s->credential ? TRACE_OSCORE : s->session ? TRACE_SESSION : TRACE_PLAIN;
}

static void trace_request(const struct secure *s, const struct coapmsg *outer)
{
    struct coapmsg message;

    take_request(s, &message);
    core_trace_message(s->device, true, guard_of(s), s->device->address, &message, outer);
}

void secure_trace_response(const struct secure *s, const struct coapmsg *message, const struct coapmsg *outer)
{
    if (s->device)
        core_trace_message(s->device, false, guard_of(s), s->device->address, message, outer);
}

static void send_message(struct secure *s, struct coapmsg *message, enum secure_phase phase)
{
    const struct agents_options *options = &s->agents->options;
    struct exchange_times harmless = {options->ack_timeout_ms, options->max_retransmit, options->answer_timeout_ms};
    bool own = phase == SECURE_SENT && !s->repairing;
    struct channel_security security;

    if (s->session)
        security = describe_session(s->session);
    s->phase = phase;
    if (own) {
        s->hint = SECURE_NO_HINT;
        s->hint_code = 0;
    }
    s->exchange.judge = secure_judge;
    s->agents->stats.requests++;
    if (!s->exchange.lasts || exchange_continue(&s->exchange, message, &s->times, secure_on_exchange_done) < 0) {
        exchange_stop(&s->exchange);
        exchange_start(&s->exchange, s->device->address, s->session ? &security : NULL, message,
                       own ? &s->times : &harmless, secure_on_exchange_done);
    }
    s->left = s->left || (own && s->exchange.sent);
    if (s->device && s->device->trace && s->exchange.sent && own)
        trace_request(s, message);
}

void secure_send_plain(struct secure *s)
{
    struct coapmsg message;

    take_request(s, &message);
    send_message(s, &message, SECURE_SENT);
}

static void on_reserved(struct reservation *reservation, int result)
{
    struct secure *s = container_of(reservation, struct secure, reservation);

    if (result == 0) {
        secure_proceed(s);
    } else if (result == -EOVERFLOW) { /* all 2^40 were used: another context begins anew */
        s->stage = SECURE_TRY_RENEWAL;
        secure_proceed(s);
    } else {
        secure_end(s, AGENT_LOCAL, "no sequence numbers could be reserved: %s", strerror(-result));
    }
}

static void reserve(struct secure *s)
{
    s->phase = SECURE_RESERVING;
    s->reservation.done = on_reserved;
    keyring_reserve(s->agents->core, s->credential, &s->reservation);
}

static int protect(struct secure *s, struct oscore_context *context, const struct coapmsg *message, unsigned flags,
                   struct coapmsg *outer)
{
    struct agents *agents = s->agents;
    int r = OSCORE_E_LIMIT;

    if (!message->failed)
        r = oscore_protect_request(context, message, flags, &s->binding, outer, agents->scratch->out,
                                   sizeof agents->scratch->out);
    if (r)
        return r;
    agents->stats.security.protected_requests++;
    s->credential->counters.sent++;
    if (!s->derived)
        keyring_spent(agents->core, s->credential);
    return 0;
}

void secure_send_protected(struct secure *s, struct oscore_context *context, const struct coapmsg *message,
                           unsigned flags, enum secure_phase phase)
{
    struct coapmsg outer;
    int r = protect(s, context, message, flags, &outer);

    if (r == 0) {
        send_message(s, &outer, phase);
    } else if (r == OSCORE_E_RESERVE && !s->derived) {
        reserve(s);
    } else if (r == OSCORE_E_EXHAUSTED && s->stage < SECURE_TRY_RENEWAL) {
        s->stage = SECURE_TRY_RENEWAL;
        secure_proceed(s);
    } else {
        secure_end(s, AGENT_LOCAL, "the request could not be protected: %s", oscore_error_text(r));
    }
}

static unsigned context_flags(const struct credential *credential)
{
    return oscore_context_credentials(credential->context)->has_id_context ? OSCORE_WITH_KID_CONTEXT : 0;
}

void secure_send_request(struct secure *s)
{
    struct coapmsg message;

    if (s->repairing)
        renewal_prepare_harmless(&message);
    else
        take_request(s, &message);
    secure_send_protected(s, s->credential->context, &message, context_flags(s->credential), SECURE_SENT);
}

static struct credential *find_candidate(const struct secure *s)
{
    static const enum credential_state order[] = {CREDENTIAL_ACTIVE, CREDENTIAL_STALE, CREDENTIAL_NEW};
    struct credential *found = NULL;

    if (s->stage == SECURE_TRY_ACTIVE)
        return keyring_find(s->device, CREDENTIAL_OSCORE, CREDENTIAL_ACTIVE);
    if (s->stage == SECURE_TRY_NEW)
        return keyring_find(s->device, CREDENTIAL_OSCORE, CREDENTIAL_NEW);
    for (size_t i = 0; i < array_size(order) && !found; i++)
        found = keyring_find(s->device, CREDENTIAL_OSCORE, order[i]);
    return found;
}

void secure_proceed(struct secure *s)
{
    for (; s->stage < SECURE_TRIED; s->stage++) {
        struct credential *credential = find_candidate(s);

        if (!credential)
            continue;
        s->credential = credential;
        if (s->stage < SECURE_TRY_RENEWAL) {
            secure_send_request(s);
            return;
        }
        if (renewal_begin(s, credential))
            return;
    }
    secure_end_untrusted(s);
}

static void on_resume(struct exchange *exchange, enum exchange_result result, const struct coapmsg *response, int error)
{
    struct secure *s = container_of(exchange, struct secure, exchange);

    (void)result;
    (void)response;
    (void)error;
    keyring_cancel_reservation(&s->reservation);
    s->stage = SECURE_TRY_ACTIVE;
    if (keyring_of_device(s->device))
        secure_proceed(s);
    else
        secure_end(s, AGENT_UNTRUSTED, REVOKED);
}

void secure_resume_later(struct secure *s)
{
    if (s->phase == SECURE_RESERVING)
        keyring_cancel_reservation(&s->reservation);
    s->credential = NULL;
    s->phase = s->phase == SECURE_STORING ? SECURE_STORING : SECURE_WAITING;
    exchange_defer(&s->exchange, on_resume);
}

bool secure_is_protected(const struct agents *agents, const struct device *device)
{
    const struct credential *credential = agents->core ? keyring_of_device(device) : NULL;

    return credential && credential->kind == CREDENTIAL_OSCORE;
}

/* Beginning and end ----------------------------------------------------------------------------------------------- */

void secure_init(struct secure *secure, struct agents *agents)
{
    *secure = (struct secure){.agents = agents};
    list_init(&secure->node);
    list_init(&secure->reservation.node);
    exchange_init(&secure->exchange, agents->options.loop, agents->endpoint);
}

static bool is_session_address(const char *address)
{
    return strncmp(address, "coaps", 5) == 0;
}

/* The credential of a DTLS or TLS session with the device. */
static struct credential *find_session(const struct device *device)
{
    static const enum credential_kind kinds[] = {CREDENTIAL_PSK, CREDENTIAL_CERTIFICATE};
    static const enum credential_state states[] = {CREDENTIAL_ACTIVE, CREDENTIAL_NEW};
    struct credential *found = NULL;

    for (size_t i = 0; i < 4 && !found; i++)
        found = keyring_find(device, kinds[i / 2], states[i % 2]);
    return found;
}

static void begin_plain(struct secure *s, const struct credential *credential, uint8_t code)
{
    bool reading = code == COAPMSG_GET || code == COAPMSG_FETCH;

    if (credential && !s->session) {
        secure_end(s, AGENT_INSECURE,
                   "the device has credentials for DTLS only: its address must begin with coaps:// or coaps+tcp://");
    } else if (!credential && !reading && !keyring_allows_plain(s->device)) {
        s->agents->stats.security.plain_refused++;
        secure_end(s, AGENT_INSECURE, NULL);
    } else {
        secure_send_plain(s);
    }
}

static void begin(struct secure *s, uint8_t code)
{
    struct credential *credential = s->agents->core ? keyring_of_device(s->device) : NULL;

    s->guarded = credential != NULL;
    if (is_session_address(s->device->address)) {
        s->session = find_session(s->device);
        if (!s->session) {
            secure_end(s, AGENT_INSECURE, "the device has an address for DTLS, but no pre-shared key or certificate");
            return;
        }
    }
    if (credential && credential->kind == CREDENTIAL_OSCORE)
        secure_proceed(s);
    else
        begin_plain(s, credential, code);
}

/* Whether the device may be asked so much; ends it otherwise. */
static bool take_budget(struct secure *s)
{
    const struct budget_request request = {.uid = s->uid, .bytes = s->request.size, .urgent = s->urgent};
    struct fault fault;
    uint32_t retry_s;

    if (!s->agents->core || budget_take(s->agents->core, s->device->id, &request, &fault, &retry_s) == 0)
        return true;
    secure_end(s, fault.code == FAULT_QUARANTINED ? AGENT_QUARANTINED : AGENT_OVER_BUDGET, "%.150s", fault.detail);
    return false;
}

static void begin_request(struct secure *s, const struct coapmsg *request, unsigned flags)
{
    s->flags = flags;
    s->stage = SECURE_TRY_ACTIVE;
    s->hint = SECURE_NO_HINT;
    s->hint_code = s->echo_size = s->r2_size = 0;
    s->number = s->r2_tries = s->renewals = s->echoes = 0;
    s->left = s->guarded = s->repairing = false;
    s->phase = SECURE_SENT;
    s->begun = uv_now(s->agents->options.loop);
    s->starting = true;
    if (!keep_request(s, request))
        secure_end(s, AGENT_LOCAL, "the request does not fit a message");
    else if (take_budget(s))
        begin(s, request->code);
    s->starting = false;
}

void secure_start(struct secure *secure, const struct device *device, const struct coapmsg *request,
                  const struct exchange_times *times, unsigned flags, secure_fn done)
{
    secure->device = device;
    secure->times = *times;
    secure->done = done;
    list_append(&secure->agents->secures, &secure->node);
    begin_request(secure, request, flags);
}

void secure_again(struct secure *secure, const struct coapmsg *request)
{
    begin_request(secure, request, secure->flags);
}

bool secure_leave(struct secure *secure, struct coapmsg *request, secure_fn done)
{
    struct secure *s = secure;
    struct coapmsg outer;

    if (!s->exchange.lasts)
        return false;
    if (s->credential) {
        if (protect(s, s->credential->context, request, context_flags(s->credential), &outer))
            return false;
        request = &outer;
    }
    s->credential = s->session = NULL;
    s->exchange.judge = NULL;
    s->phase = SECURE_ENDING;
    s->end = AGENT_OK;
    s->done = done;
    return exchange_continue(&s->exchange, request, &s->times, on_deferred_end) == 0;
}

void secure_defer(struct secure *secure, enum agent_outcome outcome, secure_fn done)
{
    secure->done = done;
    secure->detail[0] = 0;
    list_append(&secure->agents->secures, &secure->node);
    end_later(secure, outcome);
}

void secure_stop(struct secure *secure)
{
    release(secure);
    buffer_clear(&secure->request);
}

void secure_close(struct secure *secure, uv_close_cb closed)
{
    secure_stop(secure);
    exchange_close(&secure->exchange, closed);
}

/* Whether nothing is on its way: such an exchange sees later whether there is another context, or none any more. */
static bool may_go_on(const struct secure *s)
{
    return s->phase == SECURE_RESERVING || s->phase == SECURE_STORING || s->phase == SECURE_WAITING;
}

static void drop_one(struct secure *s)
{
    if (may_go_on(s)) {
        secure_resume_later(s);
        return;
    }
    keyring_cancel_reservation(&s->reservation);
    s->derived = oscore_context_free(s->derived);
    s->credential = s->session = NULL;
    (void)snprintf(s->detail, sizeof s->detail, REVOKED);
    end_later(s, AGENT_UNTRUSTED);
}

void secure_drop(struct agents *agents, const struct credential *credential)
{
    list_each(node, &agents->secures)
    {
        struct secure *s = container_of(node, struct secure, node);

        if (s->credential == credential || s->session == credential ||
            (may_go_on(s) && s->number == credential->number))
            drop_one(s);
    }
}
