#include "agent/server.h"

#define OPT_STATUS 65006
#define OPT_UNKNOWN_CRITICAL 2049
#define CODE_PROXYING_NOT_SUPPORTED COAPMSG_CODE(5, 5)
#define IS_CRITICAL(number) ((number)&1)
#define NOISE_SIZE 24

uint32_t server_random(struct server *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (uint32_t)(s->random >> 32);
}

static int64_t now(const struct server *s)
{
    return clock_monotonic_ms(s->clock);
}

static bool option_is_known(uint16_t number)
{
    switch (number) {
    case COAPMSG_OPT_IF_MATCH:
    case COAPMSG_OPT_URI_HOST:
    case COAPMSG_OPT_IF_NONE_MATCH:
    case COAPMSG_OPT_URI_PORT:
    case COAPMSG_OPT_URI_PATH:
    case COAPMSG_OPT_URI_QUERY:
    case COAPMSG_OPT_ACCEPT:
    case COAPMSG_OPT_BLOCK2:
    case COAPMSG_OPT_BLOCK1:
        return true;
    default:
        return !IS_CRITICAL(number);
    }
}

uint8_t server_check_options(const struct server *s, const struct coapmsg *request)
{
    if (s->ignores_unknown_options)
        return 0;
    for (size_t i = 0; i < request->option_count; i++) {
        uint16_t number = request->options[i].number;

        if (number == COAPMSG_OPT_PROXY_URI || number == COAPMSG_OPT_PROXY_SCHEME)
            return CODE_PROXYING_NOT_SUPPORTED;
        if (!option_is_known(number))
            return COAPMSG_BAD_OPTION;
    }
    return 0;
}

static void send_empty(struct server *s, const struct peer *peer, enum coapmsg_type type, uint16_t id)
{
    const uint8_t data[] = {(uint8_t)(1 << 6 | type << 4), COAPMSG_EMPTY, (uint8_t)(id >> 8), (uint8_t)id};

    s->ops->send(s->arg, peer, data, sizeof data);
}

static int64_t ack_timeout(struct server *s)
{
    return s->ack_timeout_ms + server_random(s) % (s->ack_timeout_ms / 2); /* ACK_RANDOM_FACTOR 1.5 */
}

/* A well-formed message that is no answer to what was asked. */
static void make_garbage(struct server *s, struct coapmsg *response, uint8_t noise[NOISE_SIZE])
{
    static const uint8_t odd_codes[] = {COAPMSG_CODE(2, 30), COAPMSG_CODE(2, 7), COAPMSG_VALID, COAPMSG_CONTENT};
    bool content = response->code == COAPMSG_CONTENT;
    uint32_t choice = server_random(s) % array_size(odd_codes);

    response->code = odd_codes[choice];
    response->option_count = 0;
    if (content && response->code == COAPMSG_CONTENT)
        coapmsg_add(response, OPT_STATUS, noise, 9); /* an integer of v1, far too long */
    coapmsg_set_payload(response, noise, NOISE_SIZE);
}

/* Bytes that are no acceptable CoAP message. Returns their number. */
static size_t make_malformed(struct server *s, struct coapmsg *response, const uint8_t noise[NOISE_SIZE], uint8_t *out)
{
    size_t size;

    response->option_count = 0;
    coapmsg_set_payload(response, NULL, 0);
    if (server_random(s) % 2)
        coapmsg_add(response, OPT_UNKNOWN_CRITICAL, noise, 5);
    size = coapmsg_encode(response, out, s->pdu_size);
    switch (server_random(s) % 4) {
    case 0:
        out[0] |= 0xc0; /* version 3 */
        break;
    case 1:
        out[1] = COAPMSG_CODE(7, 1);
        break;
    case 2:
        out[size++] = 0xff; /* a payload marker without a payload */
        break;
    default:
        out[size++] = 0xf0; /* an option delta of 15, and what ever comes */
        memcpy(out + size, noise, NOISE_SIZE);
        size += NOISE_SIZE;
    }
    return size;
}

static size_t encode_badly(struct server *s, struct coapmsg *response, uint8_t *out)
{
    uint8_t noise[NOISE_SIZE];

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)server_random(s);
    if (bugs_happens(&s->bugs->malformed_answer))
        return make_malformed(s, response, noise, out);
    if (!bugs_happens(&s->bugs->garbage_answer))
        return 0;
    make_garbage(s, response, noise);
    return coapmsg_encode(response, out, s->pdu_size);
}

static size_t encode(struct server *s, struct coapmsg *response, uint8_t *out)
{
    bool bad = s->bugs->malformed_answer || s->bugs->garbage_answer;
    size_t size = bad ? encode_badly(s, response, out) : coapmsg_encode(response, out, s->pdu_size);

    if (size)
        return size;
    response->code = COAPMSG_INTERNAL_ERROR; /* it did not fit */
    response->option_count = 0;
    response->failed = false;
    coapmsg_set_payload(response, NULL, 0);
    return coapmsg_encode(response, out, s->pdu_size);
}

static bool is_protected(const struct coapmsg *request)
{
    return coapmsg_find(request, COAPMSG_OPT_OSCORE) != NULL;
}

/* What is protected is never accepted twice, whatever its outer code says. */
static bool is_safe(const struct coapmsg *request)
{
    return (request->code == COAPMSG_GET || request->code == COAPMSG_FETCH) && !is_protected(request);
}

/* A request is remembered if executing it again would not be the same, or if its answer is still to come. */
static bool remembers(const struct server *s, const struct coapmsg *request)
{
    return !s->bugs->no_dedup && (!is_safe(request) || s->bugs->separate);
}

static void remember(struct server *s, const struct peer *peer, const struct coapmsg *request, const uint8_t *answer,
                     size_t size)
{
    if (remembers(s, request))
        dedup_store(&s->dedup, peer, request->id, now(s), answer, size);
}

static bool loses_answer(struct server *s, enum server_verdict verdict)
{
    bool load = verdict == SERVER_ANSWER_LOAD && bugs_happens(&s->bugs->lose_load_answer);

    return bugs_happens(&s->bugs->lose_answer) || load;
}

/* An empty ACK now and the answer as a confirmable message later (RFC 7252 section 5.2.2). */
static void answer_separately(struct server *s, const struct peer *peer, const struct coapmsg *request,
                              struct coapmsg *response)
{
    const uint8_t ack[] = {1 << 6 | COAPMSG_ACK << 4, COAPMSG_EMPTY, (uint8_t)(request->id >> 8), (uint8_t)request->id};
    uint8_t out[SERVER_DATAGRAM_MAX];

    response->type = COAPMSG_CON;
    response->id = s->next_id++;
    remember(s, peer, request, ack, sizeof ack);
    s->ops->send(s->arg, peer, ack, sizeof ack);
    (void)outgoing_add(&s->outgoing, peer,
                       &(struct outgoing_entry){.data = out,
                                                .size = encode(s, response, out),
                                                .id = response->id,
                                                .confirmable = true,
                                                .timeout_ms = ack_timeout(s),
                                                .due_ms = now(s) + s->bugs->separate});
}

static void answer_late(struct server *s, const struct peer *peer, uint8_t *data, size_t size)
{
    s->busy_until_ms = now(s) + s->bugs->slow_load;
    (void)outgoing_add(&s->outgoing, peer,
                       &(struct outgoing_entry){.data = data, .size = size, .due_ms = s->busy_until_ms});
}

static void answer(struct server *s, const struct peer *peer, const struct coapmsg *request, struct coapmsg *response,
                   enum server_verdict verdict)
{
    uint8_t out[SERVER_DATAGRAM_MAX];
    bool confirmable = request->type == COAPMSG_CON, lost;
    size_t size;

    if (COAPMSG_CLASS(response->code) >= 4)
        s->counters.errors++;
    coapmsg_set_token(response, request->token, request->token_length);
    if (bugs_happens(&s->bugs->other_token))
        response->token[0] ^= 0xff;
    lost = loses_answer(s, verdict);
    if (s->bugs->separate && confirmable && !lost) {
        answer_separately(s, peer, request, response);
        return;
    }
    response->type = confirmable ? COAPMSG_ACK : COAPMSG_NON;
    response->id = confirmable ? request->id : s->next_id++;
    size = encode(s, response, out);
    remember(s, peer, request, out, size);
    if (lost)
        return;
    if (verdict == SERVER_ANSWER_LOAD && s->bugs->slow_load)
        answer_late(s, peer, out, size);
    else
        s->ops->send(s->arg, peer, out, size);
}

static bool answered_before(struct server *s, const struct peer *peer, const struct coapmsg *request)
{
    const struct dedup_entry *known;

    if (!remembers(s, request))
        return false;
    known = dedup_find(&s->dedup, peer, request->id, now(s));
    if (!known)
        return false;
    s->counters.duplicates++;
    s->ops->duplicate(s->arg, request);
    if (known->size && !bugs_happens(&s->bugs->lose_answer))
        s->ops->send(s->arg, peer, known->answer, known->size);
    return true;
}

static void take_request(struct server *s, const struct peer *peer, const struct coapmsg *request, uint8_t refusal)
{
    enum server_verdict verdict = SERVER_ANSWER;
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg response;

    s->counters.requests++;
    if (answered_before(s, peer, request))
        return;
    coapmsg_init(&response, COAPMSG_ACK, refusal);
    if (!refusal)
        verdict = s->ops->handle(s->arg, peer, request, &response, room);
    if (verdict == SERVER_SILENCE)
        remember(s, peer, request, NULL, 0);
    else
        answer(s, peer, request, &response, verdict);
}

/* Rejecting is a RST for a confirmable message and silence for any other (RFC 7252 sections 4.2, 4.3). */
static void reject(struct server *s, const struct peer *peer, const struct coapmsg *msg)
{
    if (msg->type == COAPMSG_CON)
        send_empty(s, peer, COAPMSG_RST, msg->id);
}

/* A response, alone or on an acknowledgement; what nobody asked for is rejected. */
static void take_response(struct server *s, const struct peer *peer, const struct coapmsg *msg)
{
    if (!s->ops->response(s->arg, peer, msg))
        reject(s, peer, msg);
    else if (msg->type == COAPMSG_CON)
        send_empty(s, peer, COAPMSG_ACK, msg->id);
}

static void take_message(struct server *s, const struct peer *peer, const struct coapmsg *msg, bool too_many_options)
{
    uint8_t refusal = 0;

    if (msg->type == COAPMSG_ACK || msg->type == COAPMSG_RST)
        outgoing_settle(&s->outgoing, peer, msg->id, msg->type == COAPMSG_ACK);
    if (COAPMSG_CLASS(msg->code) != 0) {
        take_response(s, peer, msg);
        return;
    }
    if (msg->type == COAPMSG_ACK || msg->type == COAPMSG_RST)
        return;
    if (msg->code == COAPMSG_EMPTY) { /* a ping */
        reject(s, peer, msg);
        return;
    }
    if (too_many_options)
        refusal = COAPMSG_BAD_OPTION;
    else if (!s->knows_oscore || !is_protected(msg))
        refusal = server_check_options(s, msg);
    if (refusal == COAPMSG_BAD_OPTION && msg->type == COAPMSG_NON)
        return;
    take_request(s, peer, msg, refusal);
}

void server_input(struct server *s, const struct peer *peer, const uint8_t *data, size_t size)
{
    struct coapmsg msg;
    int r;

    if (s->bugs->silent || size > s->pdu_size || server_busy(s))
        return;
    r = coapmsg_decode(&msg, data, size);
    if (r == COAPMSG_E_FORMAT)
        reject(s, peer, &msg);
    else
        take_message(s, peer, &msg, r != 0);
}

bool server_notify(struct server *s, const struct peer *peer, struct coapmsg *response, unsigned owner)
{
    uint8_t out[SERVER_DATAGRAM_MAX];

    response->type = COAPMSG_CON;
    response->id = s->next_id++;
    if (!outgoing_add(&s->outgoing, peer,
                      &(struct outgoing_entry){.data = out,
                                               .size = encode(s, response, out),
                                               .id = response->id,
                                               .confirmable = true,
                                               .owner = owner,
                                               .timeout_ms = ack_timeout(s),
                                               .due_ms = now(s)}))
        return false;
    s->counters.notifications++;
    server_tick(s);
    return true;
}

bool server_request(struct server *s, const struct peer *peer, struct coapmsg *request, unsigned owner)
{
    uint8_t out[SERVER_DATAGRAM_MAX];
    struct outgoing_entry entry = {.data = out, .confirmable = request->type == COAPMSG_CON, .owner = owner};

    request->id = entry.id = s->next_id++;
    entry.size = coapmsg_encode(request, out, sizeof out);
    entry.timeout_ms = ack_timeout(s);
    entry.due_ms = now(s);
    if (!entry.size || !outgoing_add(&s->outgoing, peer, &entry))
        return false;
    server_tick(s);
    return true;
}

void server_cancel(struct server *s, unsigned owner)
{
    outgoing_cancel(&s->outgoing, owner);
}

bool server_busy(const struct server *s)
{
    return s->busy_until_ms && now(s) < s->busy_until_ms;
}

static void forward_send(void *arg, const struct peer *peer, const uint8_t *data, size_t size)
{
    struct server *s = arg;

    s->ops->send(s->arg, peer, data, size);
}

static void forward_done(void *arg, unsigned owner, bool acknowledged)
{
    struct server *s = arg;

    s->ops->settled(s->arg, owner, acknowledged);
}

void server_init(struct server *s)
{
    s->outgoing.send = forward_send;
    s->outgoing.done = forward_done;
    s->outgoing.arg = s;
    s->next_id = (uint16_t)server_random(s);
}

void server_tick(struct server *s)
{
    if (s->outgoing.used)
        outgoing_tick(&s->outgoing, now(s));
}

int64_t server_deadline(const struct server *s)
{
    int64_t deadline = outgoing_deadline(&s->outgoing);

    return server_busy(s) && s->busy_until_ms < deadline ? s->busy_until_ms : deadline;
}

void server_clear(struct server *s)
{
    outgoing_clear(&s->outgoing);
    dedup_clear(&s->dedup);
    s->busy_until_ms = 0;
}
