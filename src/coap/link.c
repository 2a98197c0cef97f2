#include "coap/link.h"

#include "base/cleanup.h"
#include "base/memory.h"

#include <string.h>

#define BURST_MS 100 /* of the rate that may gather while nothing is sent */
#define BURST_MIN 1280

struct link_state {
    struct agent_link settings;
    uint32_t running, guests;
    double waiting;     /* bytes that `blocks` wait for */
    struct list places; /* link_place.node: who waits for a place, in the order of turns */
    struct list blocks; /* who has one and waits for bytes, first come, first served */
    double credit;      /* bytes; below zero after more went than was allowed */
    uint64_t counted;   /* loop time up to which credit is right, ms */
    UT_hash_handle hh;
};

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

static struct link_state *find(const struct links *links, const char *name)
{
    struct link_state *state = NULL;

    HASH_FIND_STR(links->table, name, state);
    return state;
}

static void add(struct links *links, struct link_state *state)
{
    HASH_ADD_STR(links->table, settings.name, state);
}

static void drop(struct links *links, struct link_state *state)
{
    HASH_DEL(links->table, state);
    free(state);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

static bool has_rate(const struct link_state *state)
{
    return state->settings.rate > 0;
}

static void count(const struct links *links, struct link_state *state)
{
    uint64_t now = uv_now(links->timer.loop);
    double most = (double)state->settings.rate * BURST_MS / 1000;

    if (most < BURST_MIN)
        most = BURST_MIN;
    state->credit += (double)(now - state->counted) * state->settings.rate / 1000;
    if (state->credit > most)
        state->credit = most;
    state->counted = now;
}

static bool has_credit(const struct link_state *state)
{
    return !has_rate(state) || state->credit > 0;
}

static bool has_place(const struct link_state *state)
{
    return !state->settings.parallel || state->running < state->settings.parallel;
}

static bool is_idle(const struct link_state *state)
{
    return state->running == 0 && state->guests == 0 && list_empty(&state->places) && list_empty(&state->blocks);
}

/* The clock ------------------------------------------------------------------------------------------------------- */

/* Milliseconds until something can be done for it; UINT64_MAX: only when somebody leaves. */
static uint64_t due_in(const struct link_state *state)
{
    if (!list_empty(&state->places) && has_place(state))
        return 0;
    if (list_empty(&state->blocks) && !is_idle(state))
        return UINT64_MAX;
    return has_credit(state) ? 0 : (uint64_t)(-state->credit * 1000 / state->settings.rate) + 1;
}

static void on_time(uv_timer_t *timer);

static void arm(struct links *links)
{
    uint64_t soonest = UINT64_MAX;

    for (struct link_state *state = links->table; state && !links->closing; state = state->hh.next) {
        uint64_t due = due_in(state);

        soonest = due < soonest ? due : soonest;
    }
    if (soonest == UINT64_MAX)
        (void)uv_timer_stop(&links->timer);
    else
        (void)uv_timer_start(&links->timer, on_time, soonest, 0);
}

static void unqueue(struct link_place *place)
{
    list_unlink(&place->node);
    place->link->waiting -= (double)place->bytes;
    place->bytes = 0;
    place->queued = false;
}

static void call_first(struct list *queue)
{
    struct link_place *place = list_first(queue, struct link_place, node);

    unqueue(place);
    place->ready(place);
}

/* Lets one go on: what it does may change everything here. */
static bool serve(struct links *links)
{
    for (struct link_state *state = links->table; state; state = state->hh.next) {
        count(links, state);
        if (due_in(state) > 0)
            continue;
        if (is_idle(state)) {
            drop(links, state);
        } else if (!list_empty(&state->blocks) && has_credit(state)) {
            call_first(&state->blocks);
        } else {
            struct link_place *place = list_first(&state->places, struct link_place, node);

            state->running++;
            place->taken = true;
            call_first(&state->places);
        }
        return true;
    }
    return false;
}

static void on_time(uv_timer_t *timer)
{
    struct links *links = container_of(timer, struct links, timer);

    while (!links->closing && serve(links))
        ;
    arm(links);
}

/* Transfers ------------------------------------------------------------------------------------------------------- */

static struct link_state *state_of(struct links *links, const struct agent_link *link)
{
    struct link_state *state = find(links, link->name);

    if (!state) {
        state = memory_new(sizeof *state);
        if (!state)
            return NULL;
        state->settings = *link;
        state->credit = 1;
        state->counted = uv_now(links->timer.loop);
        list_init(&state->places);
        list_init(&state->blocks);
        add(links, state);
    }
    state->settings = *link;
    return state;
}

bool link_enter(struct links *links, struct link_place *place, const struct agent_link *link, uint64_t turn,
                void (*ready)(struct link_place *place))
{
    *place = (struct link_place){.ready = ready, .turn = turn ? turn : ++links->turns};
    list_init(&place->node);
    place->link = *link->name ? state_of(links, link) : NULL;
    return place->link;
}

bool link_enter_guest(struct links *links, struct link_place *place, const struct agent_link *link,
                      void (*ready)(struct link_place *place))
{
    if (!link_enter(links, place, link, 0, ready))
        return false;
    place->is_guest = true;
    place->link->guests++;
    return true;
}

static void wait_for_place(struct link_place *place)
{
    struct list *before = place->link->places.prev;

    while (before != &place->link->places && container_of(before, struct link_place, node)->turn > place->turn)
        before = before->prev;
    list_append(before->next, &place->node); /* behind it */
    place->queued = true;
}

bool link_take(struct links *links, struct link_place *place, size_t bytes)
{
    struct link_state *state = place->link;

    if (!state)
        return true;
    count(links, state);
    if (!place->taken && !place->is_guest) {
        if (!has_place(state) || !list_empty(&state->places)) {
            wait_for_place(place);
            arm(links);
            return false;
        }
        state->running++;
        place->taken = true;
    }
    if (!has_credit(state)) {
        list_append(&state->blocks, &place->node);
        place->queued = true;
        place->bytes = bytes;
        state->waiting += (double)bytes;
        arm(links);
        return false;
    }
    state->credit -= has_rate(state) ? (double)bytes : 0;
    return true;
}

uint64_t link_delay(const struct link_place *place)
{
    const struct link_state *state = place->link;

    return has_rate(state) ? (uint64_t)((state->waiting - state->credit) * 1000 / state->settings.rate) : 0;
}

void link_leave(struct links *links, struct link_place *place)
{
    struct link_state *state = place->link;

    if (!state)
        return;
    if (place->queued)
        unqueue(place);
    place->link = NULL;
    state->running -= place->taken;
    state->guests -= place->is_guest;
    place->taken = place->is_guest = false;
    if (is_idle(state) && !has_rate(state))
        drop(links, state);
    else
        arm(links);
}

void link_charge(struct links *links, const struct agent_link *link, size_t bytes)
{
    struct link_state *state = find(links, link->name);

    if (!state || !has_rate(state))
        return;
    count(links, state);
    state->credit -= (double)bytes;
    if (state->credit < -2.0 * state->settings.rate) /* a transfer waits two seconds at most for what others did */
        state->credit = -2.0 * state->settings.rate;
}

/* All of them ------------------------------------------------------------------------------------------------------ */

void links_init(struct links *links, uv_loop_t *loop)
{
    *links = (struct links){.turns = 0};
    (void)uv_timer_init(loop, &links->timer);
}

static void on_closed(uv_handle_t *handle)
{
    struct links *links = container_of((uv_timer_t *)handle, struct links, timer);

    while (links->table)
        drop(links, links->table);
    links->closed(links->closed_arg);
}

void links_close(struct links *links, void (*closed)(void *arg), void *arg)
{
    links->closing = true;
    links->closed = closed;
    links->closed_arg = arg;
    uv_close((uv_handle_t *)&links->timer, on_closed);
}
