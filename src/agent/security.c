#include "agent/security.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

void security_random(void *out, size_t size)
{
    if (getrandom(out, size, 0) != (ssize_t)size)
        abort(); /* at most 256 bytes never come short (getrandom(2)) */
}

/* The journal ------------------------------------------------------------------------------------------------------ */

static uint64_t number_of(const uint8_t *piv, size_t size)
{
    uint64_t n = 0;

    for (size_t i = 0; piv && i < size; i++)
        n = n << 8 | piv[i];
    return n;
}

static void note(const struct security *s, const char *event, const char *outcome, const struct oscore_context *context,
                 const struct journal_protected *protected, const struct coapmsg *message, const char *detail)
{
    struct journal_entry entry = {.event = event, .outcome = outcome, .message_id = -1, .detail = detail};
    struct journal_protected p = protected ? *protected : (struct journal_protected){0};

    p.context = context ? oscore_context_credentials(context) : NULL;
    entry.protected = &p;
    entry.code = message ? message->code : 0;
    device_note(s->device, NULL, entry);
}

/* Authentic messages with the same nonce but different in anything have different authentication tags. */
static struct journal_protected describe(const char *role, const struct oscore_option *option,
                                         const struct coapmsg *outer)
{
    struct journal_protected p = {.role = role, .kid = option->kid, .kid_size = option->kid_size};
    const size_t size = sizeof p.hash;

    p.number = option->piv ? "piv" : NULL;
    p.piv = number_of(option->piv, option->piv_size);
    p.hash = outer->payload_size < size ? 0 : number_of(outer->payload + outer->payload_size - size, size);
    return p;
}

/* A message that is authentic: its nonce must not have come with another one. */
static void check_nonce(struct security *s, const struct oscore_context *context, enum pivlog_kind kind,
                        const struct journal_protected *p)
{
    if (context != s->context)
        return;
    if (pivlog_check(&s->pivlog, kind, p->piv, p->hash) == PIVLOG_REUSED) {
        log_error("the gateway used a nonce twice", "device", s->device->name, NULL);
        note(s, "piv-reuse", NULL, context, p, NULL, NULL);
    }
    pivlog_add(&s->pivlog, kind, p->piv, p->hash);
}

/* Contexts --------------------------------------------------------------------------------------------------------- */

static bool derive(const struct security *s, const void *id_context, size_t size, bool none,
                   struct oscore_context **out)
{
    struct oscore_credentials c = *s->credentials;
    int r;

    *out = NULL;
    if (size > sizeof c.id_context)
        return false;
    c.has_id_context = !none;
    c.id_context_size = (uint8_t)size;
    if (size)
        memcpy(c.id_context, id_context, size);
    r = oscore_context_new(out, s->options->crypto, &c, NULL);
    explicit_bzero(&c, sizeof c);
    return r == 0;
}

/* A context whose keys nobody had before: nothing was received with it. */
static void begin(struct oscore_context *context, uint64_t limit)
{
    oscore_context_set_window(context, &(struct oscore_window){.known = true});
    (void)oscore_context_set_sequence(context, 0, limit);
}

static void drop_runs(struct security *s)
{
    s->first = oscore_context_free(s->first);
    s->pending = oscore_context_free(s->pending);
    s->runs_used = 0;
}

/* Raises the limit, durably; the state then says nothing of the window, which moves from now on. */
static bool reserve(struct security *s)
{
    struct flash_state *state = &s->flash.state;
    int r;

    state->reserved = oscore_context_sequence(s->context) + FLASH_STEP;
    state->window.known = false;
    r = flash_write(&s->flash);
    if (r)
        log_error("cannot store the sequence number", "device", s->device->name, "error", strerror(-r), NULL);
    return !r && oscore_context_set_sequence(s->context, oscore_context_sequence(s->context), state->reserved);
}

static bool ready_to_send(struct security *s)
{
    return s->context && (oscore_context_sequence_left(s->context) > 0 || reserve(s));
}

/* The end of Appendix B.2 in either role; takes the context over. */
static bool adopt(struct security *s, struct oscore_context *context, const char *role)
{
    const struct oscore_credentials *c = oscore_context_credentials(context);
    struct flash_state *state = &s->flash.state;

    if (context == s->pending)
        s->pending = NULL;
    s->context = oscore_context_free(s->context);
    s->context = context;
    s->generation++;
    s->challenged = false;
    drop_runs(s);
    pivlog_clear(&s->pivlog);
    state->lost = false;
    state->has_id_context = c->has_id_context;
    state->id_context_size = c->id_context_size;
    memcpy(state->id_context, c->id_context, c->id_context_size);
    note(s, "context", role, context, NULL, NULL, NULL);
    return reserve(s);
}

/* What a start finds in the flash. */
static int load(struct security *s)
{
    const struct flash_state *state = &s->flash.state;

    if (state->lost)
        return 0;
    if (!derive(s, state->id_context, state->id_context_size, !state->has_id_context, &s->context))
        return -EINVAL;
    oscore_context_set_window(s->context, &state->window);
    (void)oscore_context_set_sequence(s->context, state->reserved, state->reserved);
    return 0;
}

static int forget(struct security *s)
{
    s->flash.state = (struct flash_state){.lost = true};
    return flash_write(&s->flash);
}

int security_init(struct security *s, const struct security_options *options, unsigned index,
                  const struct device *device)
{
    int r;

    *s = (struct security){.options = options, .device = device};
    if (!options->credentials)
        return 0;
    s->credentials = &options->credentials[index];
    r = flash_open(&s->flash, options->state, s->credentials);
    if (!r && options->forget)
        r = forget(s);
    return r ? r : load(s);
}

static void end(struct security *s)
{
    s->context = oscore_context_free(s->context);
    drop_runs(s);
    pivlog_clear(&s->pivlog);
    s->challenged = false;
    s->generation++;
}

void security_clear(struct security *s)
{
    struct flash_state *state = &s->flash.state;

    if (s->context) {
        state->reserved = oscore_context_sequence(s->context);
        oscore_context_get_window(s->context, &state->window);
        if (flash_write(&s->flash))
            log_error("cannot store the replay window", "device", s->device->name, NULL);
    }
    end(s);
}

void security_restart(struct security *s, bool lose)
{
    if (!s->credentials)
        return;
    end(s);
    s->flash.state.window.known = false;
    if ((lose && forget(s)) || load(s))
        log_error("cannot restore the security context", "device", s->device->name, NULL);
}

/* As server -------------------------------------------------------------------------------------------------------- */

struct bytes {
    const uint8_t *data;
    size_t size;
};

/* The byte string that a kid context of Appendix B.2 is; false for any other one. */
static bool unwrap(const uint8_t *data, size_t size, struct bytes *out)
{
    size_t head = size >= 2 && data[0] == 0x58 ? 2 : 1;

    if (size < 1 || (head == 1 && (data[0] < 0x40 || data[0] > 0x57)))
        return false;
    *out = (struct bytes){data + head, size - head};
    return out->size == (head == 2 ? data[1] : data[0] - 0x40u);
}

static bool has_id_context(const struct oscore_context *context, const struct bytes *id)
{
    const struct oscore_credentials *c = context ? oscore_context_credentials(context) : NULL;

    return c && c->has_id_context && c->id_context_size == id->size && memcmp(c->id_context, id->data, id->size) == 0;
}

/* The context that a request names; NULL: none that is in use. */
static struct oscore_context *find(const struct security *s, const struct oscore_option *option)
{
    struct bytes raw = {option->kid_context, option->kid_context_size}, wrapped = raw;

    if (!option->kid_context)
        return s->context;
    (void)!unwrap(raw.data, raw.size, &wrapped);
    if (has_id_context(s->context, &raw) || has_id_context(s->context, &wrapped))
        return s->context;
    return has_id_context(s->pending, &raw) || has_id_context(s->pending, &wrapped) ? s->pending : NULL;
}

static bool is_run(const struct security *s, const struct bytes *id)
{
    for (unsigned i = 0; i < s->runs_used; i++)
        if (id->size > OSCORE_R2_SIZE && memcmp(id->data, s->runs[i], OSCORE_R2_SIZE) == 0)
            return true;
    return false;
}

static int open_with(struct oscore_context *context, const struct coapmsg *outer, const struct oscore_option *option,
                     struct security_request *request)
{
    request->context = context;
    return oscore_unprotect_request(context, outer, option, &request->binding, &request->message, request->buffer,
                                    sizeof request->buffer);
}

/* A 4.01 that says where to begin anew: protected with R2 || ID1, the kid context R2 (Appendix B.2, step 2). Neither
 * key was ever used, so it needs no number of its own. */
static bool give_run(struct security *s, struct security_request *request, const struct bytes *id,
                     struct coapmsg *response, uint8_t *room)
{
    uint8_t id2[OSCORE_ID_CONTEXT_MAX], *r2 = s->runs[s->runs_next % SECURITY_RUNS];
    const unsigned flags = OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED | OSCORE_KID_CONTEXT_R2;
    struct oscore_context *second;
    struct coapmsg plain;
    bool done;

    if (id->size > sizeof id2 - OSCORE_R2_SIZE)
        return false;
    security_random(r2, OSCORE_R2_SIZE);
    memcpy(id2, r2, OSCORE_R2_SIZE);
    memcpy(id2 + OSCORE_R2_SIZE, id->data, id->size);
    if (!derive(s, id2, OSCORE_R2_SIZE + id->size, false, &second))
        return false;
    begin(second, 1);
    coapmsg_init(&plain, COAPMSG_ACK, COAPMSG_UNAUTHORIZED);
    done = oscore_protect_response(second, &request->binding, &plain, flags, response, room, SERVER_DATAGRAM_MAX) == 0;
    (void)oscore_context_free(second);
    s->runs_next++;
    if (s->runs_used < SECURITY_RUNS)
        s->runs_used++;
    return done;
}

enum opened {
    OPENED,     /* request holds it */
    ANSWERED,   /* response is to be sent */
    NOT_OPENED, /* refused */
};

/* A request that names no context in use: it may be the first or the third message of Appendix B.2. */
static enum opened open_run(struct security *s, const struct coapmsg *outer, const struct oscore_option *option,
                            const struct bytes *id, struct security_request *request, struct coapmsg *response,
                            uint8_t *room)
{
    bool third = is_run(s, id), none = !option->kid_context && !s->credentials->has_id_context;
    struct oscore_context *context;
    int r;

    if (!derive(s, id->data, id->size, none, &context))
        return NOT_OPENED;
    if (third)
        begin(context, 0);
    r = open_with(context, outer, option, request);
    if (third && r == 0 && adopt(s, context, "server"))
        return OPENED;
    if (third && r == 0)
        return NOT_OPENED; /* it was taken over */
    request->context = NULL;
    (void)oscore_context_free(context);
    return !third && r == OSCORE_UNSYNCHRONIZED && give_run(s, request, id, response, room) ? ANSWERED : NOT_OPENED;
}

static enum opened open_anew(struct security *s, const struct coapmsg *outer, const struct oscore_option *option,
                             struct security_request *request, struct coapmsg *response, uint8_t *room)
{
    struct bytes id = {option->kid_context, option->kid_context_size}, inner;
    enum opened r = NOT_OPENED;

    if (!option->kid_context)
        id = (struct bytes){s->credentials->id_context, s->credentials->id_context_size};
    else if (unwrap(id.data, id.size, &inner))
        r = open_run(s, outer, option, &inner, request, response, room);
    return r == NOT_OPENED ? open_run(s, outer, option, &id, request, response, room) : r;
}

/* Whether the request brings the Echo value that it was asked for, in which case the window begins with it. */
static bool synchronize(struct security *s, const struct security_request *request)
{
    const struct coapmsg_option *echo = coapmsg_find(&request->message, COAPMSG_OPT_ECHO);

    if (!s->challenged || !echo || echo->length != sizeof s->echo || memcmp(echo->value, s->echo, sizeof s->echo) != 0)
        return false;
    s->challenged = false;
    oscore_context_synchronize(request->context, &request->binding);
    return true;
}

/* A 4.01 with nothing but an Echo option, under a number of its own (Appendix B.1.2). */
static bool challenge(struct security *s, struct security_request *request, struct coapmsg *response, uint8_t *room)
{
    struct coapmsg plain;

    if (!s->challenged)
        security_random(s->echo, sizeof s->echo);
    s->challenged = true;
    coapmsg_init(&plain, COAPMSG_ACK, COAPMSG_UNAUTHORIZED);
    coapmsg_add(&plain, COAPMSG_OPT_ECHO, s->echo, sizeof s->echo);
    return ready_to_send(s) && oscore_protect_response(request->context, &request->binding, &plain, OSCORE_WITH_PIV,
                                                       response, room, SERVER_DATAGRAM_MAX) == 0;
}

/* A replayed number is harmless with the same message; with another authentic one its nonce was used twice. */
static void suspect(struct security *s, const struct coapmsg *outer, const struct oscore_option *option,
                    const struct journal_protected *p)
{
    const struct oscore_credentials *c = oscore_context_credentials(s->context);
    struct security_request request;
    struct oscore_context *other;

    if (pivlog_check(&s->pivlog, PIVLOG_OWN, p->piv, p->hash) != PIVLOG_REUSED ||
        !derive(s, c->id_context, c->id_context_size, !c->has_id_context, &other))
        return;
    if (open_with(other, outer, option, &request) == OSCORE_UNSYNCHRONIZED)
        check_nonce(s, s->context, PIVLOG_OWN, p);
    (void)oscore_context_free(other);
}

static bool refuse(const struct security *s, int error, const struct journal_protected *p, struct coapmsg *response)
{
    const char *text = oscore_error_text(error);

    response->code = oscore_error_code(error);
    if (!response->code)
        response->code = COAPMSG_INTERNAL_ERROR;
    coapmsg_add_uint(response, COAPMSG_OPT_MAX_AGE, 0);
    coapmsg_set_payload(response, text, strlen(text));
    note(s, "protected", "refused", NULL, p, response, text);
    return false;
}

/* With a context in use. */
static bool open_known(struct security *s, const struct coapmsg *outer, const struct oscore_option *option,
                       const struct journal_protected *p, struct security_request *request, struct coapmsg *response,
                       uint8_t *room)
{
    int r = s->flash.state.window.known && request->context == s->context && !reserve(s)
                ? OSCORE_E_RESERVE /* what is stored of the window would outlive its moving */
                : open_with(request->context, outer, option, request);

    if (r == 0 && request->context == s->pending && !adopt(s, s->pending, "client"))
        r = OSCORE_E_RESERVE;
    if (r == OSCORE_UNSYNCHRONIZED && synchronize(s, request))
        r = 0;
    if (r == 0 || r == OSCORE_UNSYNCHRONIZED)
        check_nonce(s, request->context, PIVLOG_OWN, p);
    if (r == OSCORE_E_REPLAY && request->context == s->context)
        suspect(s, outer, option, p);
    if (r == OSCORE_UNSYNCHRONIZED && challenge(s, request, response, room)) {
        note(s, "protected", "challenged", request->context, p, &request->message, NULL);
        return false;
    }
    if (r)
        return refuse(s, r, p, response);
    s->verified++;
    note(s, "protected", "verified", request->context, p, &request->message, NULL);
    return true;
}

bool security_open_request(struct security *s, const struct coapmsg *outer, struct security_request *request,
                           struct coapmsg *response, uint8_t *room)
{
    struct oscore_option option = {0};
    struct journal_protected p = {.role = "server"};
    int r = oscore_message_option(outer, &option);

    if (r || !option.kid || !option.piv)
        return refuse(s, OSCORE_E_OPTION, &p, response);
    p = describe("server", &option, outer);
    if (option.kid_size != s->credentials->recipient_id_size ||
        memcmp(option.kid, s->credentials->recipient_id, option.kid_size) != 0)
        return refuse(s, OSCORE_E_CONTEXT, &p, response);
    request->context = find(s, &option);
    if (request->context)
        return open_known(s, outer, &option, &p, request, response, room);
    switch (open_anew(s, outer, &option, request, response, room)) {
    case OPENED:
        check_nonce(s, s->context, PIVLOG_OWN, &p);
        note(s, "protected", "verified", s->context, &p, &request->message, NULL);
        return true;
    case ANSWERED:
        note(s, "protected", "renewal", NULL, &p, &request->message, NULL);
        return false;
    case NOT_OPENED:
        break;
    }
    return refuse(s, OSCORE_E_CONTEXT, &p, response);
}

bool security_seal_response(struct security *s, struct oscore_binding *binding, const struct coapmsg *plain,
                            struct coapmsg *outer, uint8_t *room)
{
    return ready_to_send(s) &&
           oscore_protect_response(s->context, binding, plain, 0, outer, room, SERVER_DATAGRAM_MAX) == 0;
}

/* As client -------------------------------------------------------------------------------------------------------- */

void security_renew(struct security *s)
{
    uint8_t r1[SECURITY_NONCE];

    drop_runs(s);
    security_random(r1, sizeof r1);
    if (derive(s, r1, sizeof r1, false, &s->first))
        begin(s->first, OSCORE_SEQUENCE_END);
}

bool security_seal_request(struct security *s, const struct coapmsg *plain, struct security_call *call,
                           struct coapmsg *outer, uint8_t *room)
{
    struct oscore_context *context;
    unsigned flags = OSCORE_WITH_KID_CONTEXT;

    if (!s->context && !s->first && !s->pending)
        security_renew(s);
    context = s->pending ? s->pending : s->first;
    if (context)
        flags |= OSCORE_KID_CONTEXT_WRAPPED;
    else if (ready_to_send(s))
        context = s->context;
    call->generation = s->generation;
    return context &&
           oscore_protect_request(context, plain, flags, &call->binding, outer, room, SERVER_DATAGRAM_MAX) == 0;
}

/* The context that the next request goes with. */
static struct oscore_context *in_use(const struct security *s)
{
    if (s->pending)
        return s->pending;
    return s->first ? s->first : s->context;
}

/* An answer that brings R2: to the first request of Appendix B.2, or to an ordinary one, when the gateway has lost its
 * part of the context, or to the second, when the R2 in it is none any more, since a run of the gateway's own ended
 * meanwhile. What follows goes with R2 || R3 (step 3). */
static enum security_result open_second(struct security *s, struct security_call *call, const struct coapmsg *outer,
                                        const struct bytes *r2, struct coapmsg *message, uint8_t *room)
{
    const struct oscore_credentials *c = oscore_context_credentials(in_use(s));
    uint8_t id[OSCORE_ID_CONTEXT_MAX];
    struct oscore_context *second;
    int r;

    if (r2->size < 1 || r2->size > sizeof id - SECURITY_NONCE || r2->size + c->id_context_size > sizeof id)
        return SECURITY_REFUSED;
    memcpy(id, r2->data, r2->size);
    memcpy(id + r2->size, c->id_context, c->id_context_size);
    if (!derive(s, id, r2->size + c->id_context_size, false, &second))
        return SECURITY_REFUSED;
    r = oscore_unprotect_response(second, &call->binding, outer, message, room, SERVER_DATAGRAM_MAX);
    (void)oscore_context_free(second);
    if (r || message->code != COAPMSG_UNAUTHORIZED)
        return SECURITY_REFUSED;
    security_random(id + r2->size, SECURITY_NONCE);
    s->first = oscore_context_free(s->first);
    s->pending = oscore_context_free(s->pending);
    if (!derive(s, id, r2->size + SECURITY_NONCE, false, &s->pending))
        return SECURITY_REFUSED;
    begin(s->pending, OSCORE_SEQUENCE_END);
    return SECURITY_REPEAT;
}

/* With a context in use, or with the new one, which is thereby in use. */
static enum security_result open_answer(struct security *s, struct security_call *call, const struct coapmsg *outer,
                                        const struct oscore_option *option, struct journal_protected *p,
                                        struct coapmsg *message, uint8_t *room)
{
    struct oscore_context *context = s->pending ? s->pending : s->context;
    int r = oscore_unprotect_response(context, &call->binding, outer, message, room, SERVER_DATAGRAM_MAX);

    if (r) {
        note(s, "protected", "refused", context, p, NULL, oscore_error_text(r));
        return SECURITY_REFUSED;
    }
    if (context == s->pending) {
        if (!adopt(s, context, "client"))
            return SECURITY_REFUSED;
        call->generation = s->generation;
    }
    if (!option->piv) {
        p->number = "request_piv";
        p->piv = number_of(call->binding.piv, call->binding.piv_size);
    }
    check_nonce(s, context, option->piv ? PIVLOG_OWN : PIVLOG_ANSWERED, p);
    s->verified++;
    note(s, "protected", "verified", context, p, message, NULL);
    return SECURITY_FINE;
}

enum security_result security_open_response(struct security *s, struct security_call *call, const struct coapmsg *outer,
                                            struct coapmsg *message, uint8_t *room)
{
    struct oscore_option option = {0};
    struct journal_protected p = {.role = "client"};
    int r = oscore_message_option(outer, &option);
    struct bytes r2;

    if (r == OSCORE_E_UNPROTECTED) {
        note(s, "unprotected", NULL, NULL, &p, outer, NULL);
        return SECURITY_HINT;
    }
    if (r || call->generation != s->generation)
        return SECURITY_REFUSED;
    if (option.kid_context && unwrap(option.kid_context, option.kid_context_size, &r2) &&
        open_second(s, call, outer, &r2, message, room) == SECURITY_REPEAT)
        return SECURITY_REPEAT;
    if (s->first)
        return SECURITY_REFUSED;
    p = describe("client", &option, outer);
    return open_answer(s, call, outer, &option, &p, message, room);
}
