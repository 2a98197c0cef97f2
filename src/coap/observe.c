#include "coap/resource.h"
#include "coap/secure_private.h"
#include "core/presence.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/*
 * Observations of devices' resources (RFC 7641, over OSCORE RFC 8613 sections 4.1.3.5 and 7.4.1). The registration is
 * an exchange that lasts; what follows block 0 of a notification is fetched by another. A registration is refreshed
 * with its token when the device was silent for longer than Max-Age, and made anew, with growing pauses, when it was
 * lost.
 */

#define MAX_OBSERVATIONS 20000
#define REFRESH_MS 86400000 /* a registration is refreshed after a day, whatever came (RFC 7641 section 4.5) */
#define GRACE_MIN_MS 5000   /* after Max-Age (section 3.3.1) */
#define GRACE_SPREAD_MS 10000
#define PAUSE_MIN_MS 2000
#define PAUSE_MAX_MS 300000
#define SETTLED_MS 128000 /* section 3.4 */
#define ASLEEP_MS 3600000 /* a device that sleeps is asked when it was heard (refresh), or this late */

enum observation_state {
    OBSERVATION_REGISTERING,
    OBSERVATION_ACTIVE,  /* notifications may come */
    OBSERVATION_PAUSING, /* the registration was lost */
    OBSERVATION_LEAVING, /* the device is told, nobody waits for it */
    OBSERVATION_ENDED,
};

struct observation {
    struct agents *agents;
    struct list node;
    struct agent_observation *owner; /* NULL: nobody wants it any more */
    enum observation_state state;
    struct secure registration, fetch;
    struct block_transfer transfer; /* of the representation that is under way */
    struct buffer base;             /* the request without Observe */
    uv_timer_t timer;
    unsigned open_handles;
    uint64_t registered; /* loop time, ms, of the last registration */
    uint32_t number;     /* Observe of the newest notification, where nothing else orders them */
    uint64_t number_at;
    bool established; /* the device has taken a registration */
    bool guarded;     /* it is protected: it must not go on without */
    bool due;         /* a registration waits for the device to wake up */
    unsigned failures;
};

/* The end --------------------------------------------------------------------------------------------------------- */

static void on_closed(struct observation *o)
{
    struct agents *agents = o->agents;

    if (--o->open_handles > 0)
        return;
    list_unlink(&o->node);
    free(o);
    agents_release(agents);
}

static void on_registration_closed(uv_handle_t *handle)
{
    on_closed(container_of((uv_timer_t *)handle, struct observation, registration.exchange.timer));
}

static void on_fetch_closed(uv_handle_t *handle)
{
    on_closed(container_of((uv_timer_t *)handle, struct observation, fetch.exchange.timer));
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_closed(container_of((uv_timer_t *)handle, struct observation, timer));
}

static void close_observation(struct observation *o)
{
    if (o->state == OBSERVATION_ENDED)
        return;
    o->state = OBSERVATION_ENDED;
    o->agents->observation_count--;
    block_end(&o->transfer);
    buffer_clear(&o->base);
    secure_close(&o->registration, on_registration_closed);
    secure_close(&o->fetch, on_fetch_closed);
    uv_close((uv_handle_t *)&o->timer, on_timer_closed);
}

static void end_observation(struct observation *o, enum agent_outcome outcome, const char *detail)
{
    struct agent_observation *owner = steal_pointer(o->owner);
    char text[sizeof o->registration.detail];

    (void)text_copy(text, sizeof text, detail);
    close_observation(o);
    if (owner) {
        owner->driver = NULL;
        owner->ended(owner, outcome, text);
    }
}

/* Registration ---------------------------------------------------------------------------------------------------- */

static uint32_t random_below(uint32_t limit)
{
    uint32_t value = 0;

    (void)!getrandom(&value, sizeof value, 0);
    return value % limit;
}

static void on_response(struct secure *secure, enum agent_outcome outcome, const struct coapmsg *response);

static struct exchange_times times_of(const struct observation *o)
{
    const struct agents_options *options = &o->agents->options;

    return (struct exchange_times){options->ack_timeout_ms, options->max_retransmit, options->answer_timeout_ms};
}

static void register_anew(struct observation *o)
{
    struct exchange_times times = times_of(o);
    struct coapmsg request;

    resource_read(&o->base, &request);
    coapmsg_add_uint(&request, COAPMSG_OPT_OBSERVE, 0);
    o->registered = uv_now(o->timer.loop);
    if (o->guarded && !keyring_of_device(o->owner->device)) { /* revoked since; it does not go on without */
        end_observation(o, AGENT_UNTRUSTED, "the device's credentials were revoked");
        return;
    }
    if (o->state == OBSERVATION_ACTIVE && o->registration.lasts) {
        secure_again(&o->registration, &request);
        return;
    }
    o->state = OBSERVATION_REGISTERING;
    secure_stop(&o->registration);
    secure_start(&o->registration, o->owner->device, &request, &times, SECURE_OBSERVE, on_response);
}

static void on_timer(uv_timer_t *timer);

static void start_timer(struct observation *o, uint64_t ms)
{
    (void)uv_timer_start(&o->timer, on_timer, ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct observation *o = container_of(timer, struct observation, timer);

    o->due = !device_is_awake(o->owner->device);
    if (o->due)
        start_timer(o, ASLEEP_MS);
    else
        register_anew(o);
}

/* Max-Age and 5 to 15 s, but at the latest a day after the registration. */
static void expect_next(struct observation *o, uint32_t max_age)
{
    uint64_t wait = (uint64_t)max_age * 1000 + GRACE_MIN_MS + random_below(GRACE_SPREAD_MS);
    uint64_t age = uv_now(o->timer.loop) - o->registered, left = age < REFRESH_MS ? REFRESH_MS - age : 0;

    start_timer(o, wait < left ? wait : left);
}

static void pause_registration(struct observation *o)
{
    uint64_t pause = (uint64_t)PAUSE_MIN_MS << (o->failures < 8 ? o->failures : 8);

    o->failures++;
    o->state = OBSERVATION_PAUSING;
    secure_stop(&o->registration);
    secure_stop(&o->fetch);
    pause = pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
    start_timer(o, pause + random_below((uint32_t)pause / 2));
}

/* Representations ------------------------------------------------------------------------------------------------- */

/* The owner may end the observation from within. */
static bool tell(struct observation *o, const struct coapmsg *response)
{
    struct agent_observation *owner = o->owner;
    struct agent_response representation;
    bool fits = o->transfer.answer.size <= owner->limit;

    resource_describe(response, &representation);
    representation.body = o->transfer.answer.data;
    representation.body_size = o->transfer.answer.size;
    if (fits)
        owner->notify(owner, &representation);
    else
        end_observation(o, AGENT_LOCAL, "a representation has more bytes than may be read");
    return fits && o->state != OBSERVATION_ENDED && o->owner;
}

/* The whole representation was read. */
static void take_representation(struct observation *o, const struct coapmsg *response)
{
    if (!tell(o, response))
        return;
    if (COAPMSG_CLASS(response->code) != 2 || !o->registration.lasts)
        end_observation(o, AGENT_OK, "");
}

static void on_fetched(struct secure *secure, enum agent_outcome outcome, const struct coapmsg *response);

static void fetch_next(struct observation *o)
{
    struct exchange_times times = times_of(o);
    struct coapmsg request;

    resource_read(&o->base, &request);
    block_prepare(&o->transfer, &request);
    secure_start(&o->fetch, o->owner->device, &request, &times, 0, on_fetched);
}

/* A representation that cannot be read is given up; the next notification tells of a newer one. */
static void take_block(struct observation *o, const struct coapmsg *response)
{
    switch (block_take(&o->transfer, response)) {
    case BLOCK_MORE:
        fetch_next(o);
        break;
    case BLOCK_DONE:
    case BLOCK_E_TOO_LARGE:
        take_representation(o, response);
        break;
    case BLOCK_E_PROTOCOL:
    case BLOCK_E_MEMORY:
        if (!o->registration.lasts)
            end_observation(o, AGENT_GARBAGE, "the device's answer was not understood");
        break;
    }
}

static void on_fetched(struct secure *secure, enum agent_outcome outcome, const struct coapmsg *response)
{
    struct observation *o = container_of(secure, struct observation, fetch);

    if (outcome == AGENT_OK)
        take_block(o, response);
    else if (!o->registration.lasts)
        end_observation(o, outcome, secure->detail);
}

/* RFC 7641 section 3.4; OSCORE's own order is kept by the engine. */
static bool is_newer(struct observation *o, const struct coapmsg *response)
{
    uint64_t now = uv_now(o->timer.loop);
    uint32_t number = 0;
    bool newer;

    if (o->registration.credential || !coapmsg_get_uint(response, COAPMSG_OPT_OBSERVE, &number))
        return true;
    newer = (o->number < number && number - o->number < 1u << 23) ||
            (o->number > number && o->number - number > 1u << 23) || now - o->number_at > SETTLED_MS;
    if (newer) {
        o->number = number;
        o->number_at = now;
    }
    return newer;
}

static void take_notification(struct observation *o, const struct coapmsg *response)
{
    struct agent_response described;

    secure_stop(&o->fetch);
    block_end(&o->transfer);
    block_begin(&o->transfer, NULL, 0, NULL, BLOCK_SZX_MAX, o->owner->limit + 1);
    resource_describe(response, &described);
    if (o->registration.lasts)
        expect_next(o, described.max_age);
    take_block(o, response);
}

/* The device has taken the registration, or answered it for once. */
static void begin_series(struct observation *o)
{
    o->state = OBSERVATION_ACTIVE;
    o->established = true;
    o->guarded = o->registration.guarded;
    o->failures = 0;
    o->number_at = uv_now(o->timer.loop) - SETTLED_MS - 1; /* with which number it begins is the device's choice */
}

/* What was protected does not go on without protection. */
static bool may_come_back(const struct observation *o, enum agent_outcome outcome)
{
    return o->established && outcome != AGENT_INSECURE && (!o->guarded || keyring_of_device(o->owner->device));
}

static void on_response(struct secure *secure, enum agent_outcome outcome, const struct coapmsg *response)
{
    struct observation *o = container_of(secure, struct observation, registration);
    bool first = o->state == OBSERVATION_REGISTERING;

    if (outcome != AGENT_OK && may_come_back(o, outcome)) {
        pause_registration(o);
    } else if (outcome != AGENT_OK) {
        end_observation(o, outcome, secure->detail);
    } else if (resource_find_unknown(response)) {
        end_observation(o, AGENT_GARBAGE, "the device answered with a critical option that is not known");
    } else {
        if (first)
            begin_series(o);
        if (is_newer(o, response))
            take_notification(o, response);
    }
}

/* The port -------------------------------------------------------------------------------------------------------- */

static struct observation *new_observation(struct agents *agents, struct agent_observation *owner)
{
    struct observation *o = calloc(1, sizeof *o);

    if (!o)
        abort(); /* there is no way to answer the call without memory */
    *o = (struct observation){.agents = agents, .owner = owner, .open_handles = 3};
    secure_init(&o->registration, agents);
    secure_init(&o->fetch, agents);
    (void)uv_timer_init(agents->options.loop, &o->timer);
    list_append(&agents->observations, &o->node);
    agents->observation_count++;
    agents->open_handles++;
    owner->driver = o;
    return o;
}

void observe_begin(void *arg, struct agent_observation *owner)
{
    struct observation *o = new_observation(arg, owner);
    struct agent_resource resource = {
        .method = COAPMSG_GET, .path = owner->path, .query = owner->query, .format = -1, .accept = owner->accept};
    const char *problem = resource_write(&o->base, &resource);

    if (o->agents->observation_count > MAX_OBSERVATIONS)
        problem = "too many resources are observed";
    if (!problem) {
        register_anew(o);
        return;
    }
    secure_defer(&o->registration, AGENT_LOCAL, on_response);
    (void)text_copy(o->registration.detail, sizeof o->registration.detail, problem);
}

void observe_refresh(void *arg, struct agent_observation *owner, bool anew)
{
    struct observation *o = owner->driver;

    (void)arg;
    if (!o || o->state == OBSERVATION_REGISTERING)
        return;
    if (anew || o->due || o->state == OBSERVATION_PAUSING)
        start_timer(o, 0);
}

static void on_left(struct secure *secure, enum agent_outcome outcome, const struct coapmsg *response)
{
    (void)outcome;
    (void)response;
    close_observation(container_of(secure, struct observation, registration));
}

void observe_end(void *arg, struct agent_observation *owner)
{
    struct observation *o = owner->driver;
    struct coapmsg request;

    (void)arg;
    if (!o)
        return;
    owner->driver = o->owner = NULL;
    (void)uv_timer_stop(&o->timer);
    secure_stop(&o->fetch);
    resource_read(&o->base, &request);
    coapmsg_add_uint(&request, COAPMSG_OPT_OBSERVE, 1);
    o->state = OBSERVATION_LEAVING;
    if (!secure_leave(&o->registration, &request, on_left))
        close_observation(o);
}

void observe_close_all(struct agents *agents)
{
    list_each(node, &agents->observations)
    {
        struct observation *o = container_of(node, struct observation, node);

        if (o->owner)
            o->owner->driver = NULL;
        close_observation(o);
    }
}
