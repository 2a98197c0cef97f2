#include "agent/container.h"

#include "agent/sandbox.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What a call may use: a duration in the metadata becomes instructions, so that a run is the same on every machine. A
 * microcontroller's interpreter reaches fewer, this one about ten times as many. */
#define FUEL_PER_MS 10000u
#define FUEL_MAX 10000000u

struct container {
    struct metadata md;
    struct board *board;
    const struct clock *clock;
    uint8_t *data; /* the two parts of program */
    uint8_t *code;
    struct runtime_program program;
    struct sandbox *sandbox;
    struct runtime *runtime; /* between start and end */
    enum container_state state;
    char reason[CONTAINER_REASON_SIZE];
    int64_t deadline; /* monotonic ms */
    uint32_t revision;
    uint64_t starts;
    uint64_t loops;
    int64_t last_result;
};

const char *container_state_name(enum container_state state)
{
    static const char *const names[CONTAINER_STATE_COUNT] = {"installed", "starting", "running", "stopped", "failed"};

    return (unsigned)state < CONTAINER_STATE_COUNT ? names[state] : "unknown";
}

/* The only place where the state changes. Ends the runtime when the container no longer runs. */
printf_like(3, 4) static void change_state(struct container *c, enum container_state state, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(c->reason, sizeof c->reason, format, ap);
    va_end(ap);
    c->state = state;
    c->revision++;
    if (state == CONTAINER_STARTING || state == CONTAINER_RUNNING)
        return;
    c->deadline = CONTAINER_NO_DEADLINE;
    c->runtime = runtime_free(c->runtime);
    sandbox_end(c->sandbox);
    sandbox_note(c->sandbox, "%s%s%s", container_state_name(state), c->reason[0] ? ": " : "", c->reason);
}

static int make_runtime(const struct container *c, struct runtime **out, char *reason, size_t reason_size)
{
    int r;

    if (!board_runs(c->board, c->md.type)) {
        (void)snprintf(reason, reason_size, "this agent has no runtime for containers of type %s",
                       container_type_name(c->md.type));
        return RUNTIME_E_TYPE;
    }
    r = runtime_new(out, c->md.type, &c->program, sandbox_host(c->sandbox), board_memory(c->board), reason,
                    reason_size);

    if (r < 0)
        (void)snprintf(reason, reason_size, "the agent has not enough memory for it");
    return r;
}

static uint64_t fuel_for(uint32_t max_duration)
{
    return max_duration && max_duration < FUEL_MAX / FUEL_PER_MS ? (uint64_t)max_duration * FUEL_PER_MS : FUEL_MAX;
}

/* One of the three functions of a container, and the bound of its metadata. */
enum entry { ENTRY_START, ENTRY_LOOP, ENTRY_STOP };

/* Calls into the container. Returns false, with the container failed, when it traps or takes longer than it may. */
static bool call(struct container *c, enum entry entry)
{
    static const char *const names[] = {"start", "loop", "stop"};
    const struct container_limits *limits = &c->md.limits;
    const uint32_t bounds[] = {limits->start_max_duration, limits->loop_max_duration, limits->stop_max_duration};
    uint32_t bound = bounds[entry];
    int64_t begin = clock_monotonic_ms(c->clock), took;
    char reason[128] = "the agent has not enough memory for it";
    int r;

    if (entry == ENTRY_START)
        r = runtime_start(c->runtime, fuel_for(bound), reason, sizeof reason);
    else if (entry == ENTRY_STOP)
        r = runtime_stop(c->runtime, fuel_for(bound), reason, sizeof reason);
    else
        r = runtime_loop(c->runtime, fuel_for(bound), &c->last_result, reason, sizeof reason);
    took = clock_monotonic_ms(c->clock) - begin;
    if (r == 0 && (bound == 0 || took <= bound))
        return true;
    if (r == 0)
        (void)snprintf(reason, sizeof reason, "took %lld ms; the limit is %u ms", (long long)took, bound);
    change_state(c, CONTAINER_FAILED, "%s(): %s", names[entry], reason);
    return false;
}

/* Ends a running container: stop() has the last word. */
printf_like(2, 3) static void end(struct container *c, const char *format, ...)
{
    char reason[CONTAINER_REASON_SIZE];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(reason, sizeof reason, format, ap);
    va_end(ap);
    if (call(c, ENTRY_STOP))
        change_state(c, CONTAINER_STOPPED, "%s", reason);
}

static void begin_run(struct container *c)
{
    char reason[128];

    sandbox_begin(c->sandbox);
    c->loops = 0;
    c->last_result = 0;
    if (make_runtime(c, &c->runtime, reason, sizeof reason)) {
        change_state(c, CONTAINER_FAILED, "%s", reason);
        return;
    }
    if (call(c, ENTRY_START))
        change_state(c, CONTAINER_RUNNING, "%s", "");
}

static void loop_once(struct container *c, int64_t now)
{
    const struct container_limits *limits = &c->md.limits;

    if (!call(c, ENTRY_LOOP))
        return;
    c->loops++;
    if (c->md.type == CONTAINER_TYPE_WASM && c->last_result != 0) {
        end(c, "loop() returned %lld", (long long)c->last_result);
        return;
    }
    if (limits->loop_max_lifetime && c->loops >= limits->loop_max_lifetime) {
        end(c, "its lifetime of %u loops is over", limits->loop_max_lifetime);
        return;
    }
    c->deadline += limits->loop_period;
    if (c->deadline <= now) /* fell behind: loops are skipped, not made up for */
        c->deadline = now + (limits->loop_period ? limits->loop_period : 1);
}

void container_tick(struct container *c)
{
    int64_t now = clock_monotonic_ms(c->clock);

    if (now < c->deadline)
        return;
    if (c->state == CONTAINER_STARTING)
        begin_run(c);
    else if (c->state == CONTAINER_RUNNING)
        loop_once(c, now);
}

void container_start(struct container *c)
{
    if (c->state == CONTAINER_STARTING || c->state == CONTAINER_RUNNING)
        return;
    c->starts++;
    c->deadline = clock_monotonic_ms(c->clock);
    change_state(c, CONTAINER_STARTING, "%s", "");
}

void container_stop(struct container *c)
{
    if (c->state == CONTAINER_STARTING)
        change_state(c, CONTAINER_STOPPED, "on request, before it ran");
    else if (c->state == CONTAINER_RUNNING)
        end(c, "on request");
}

void container_reboot(struct container *c)
{
    change_state(c, CONTAINER_INSTALLED, "%s", "");
}

int64_t container_deadline(const struct container *c)
{
    return c->deadline;
}

/* Construction ------------------------------------------------------------- */

static uint8_t *copy_bytes(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (copy && size)
        memcpy(copy, bytes, size);
    return copy;
}

static int check_code(struct container *c, char *reason, size_t reason_size)
{
    struct runtime *runtime = NULL;
    int r = make_runtime(c, &runtime, reason, reason_size);

    runtime_free(runtime);
    return r > 0 ? CONTAINER_E_INVALID : r;
}

int container_new(struct container **out, const struct metadata *md, const struct runtime_program *program,
                  enum container_check check, struct board *board, const struct clock *clock, char *reason,
                  size_t reason_size)
{
    cleanup_container struct container *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return -ENOMEM;
    c->md = *md;
    c->board = board;
    c->clock = clock;
    c->deadline = CONTAINER_NO_DEADLINE;
    c->data = copy_bytes(program->data, program->data_size);
    c->code = copy_bytes(program->code, program->code_size);
    c->program = (struct runtime_program){c->code, program->code_size, c->data, program->data_size};
    c->sandbox = sandbox_new(&c->md, board);
    if (!c->data || !c->code || !c->sandbox)
        return -ENOMEM;
    r = check == CONTAINER_CHECK_NOW ? check_code(c, reason, reason_size) : 0;
    if (r)
        return r;
    *out = steal_pointer(c);
    return 0;
}

struct container *container_free(struct container *c)
{
    if (c) {
        runtime_free(c->runtime);
        sandbox_free(c->sandbox);
        free(c->data);
        free(c->code);
        free(c);
    }
    return NULL;
}

/* What others see ---------------------------------------------------------- */

const struct metadata *container_metadata(const struct container *c)
{
    return &c->md;
}

enum container_state container_state(const struct container *c)
{
    return c->state;
}

const char *container_reason(const struct container *c)
{
    return c->reason;
}

struct container_counters container_counters(const struct container *c)
{
    struct sandbox_counters calls = sandbox_counters(c->sandbox);

    return (struct container_counters){
        .starts = c->starts,
        .loops = c->loops,
        .last_result = c->last_result,
        .calls = calls.calls,
        .denials = calls.denials,
        .heartbeats = calls.heartbeats,
    };
}

uint32_t container_revision(const struct container *c)
{
    return c->revision;
}

size_t container_log(const struct container *c, char *out, size_t size)
{
    return sandbox_log(c->sandbox, out, size);
}

uint32_t container_log_revision(const struct container *c)
{
    return sandbox_log_revision(c->sandbox);
}

const uint8_t *container_data(const struct container *c, size_t *size)
{
    *size = c->program.data_size;
    return c->data;
}

int container_set_data(struct container *c, const void *data, size_t size)
{
    uint8_t *copy = copy_bytes(data, size);

    if (!copy)
        return -ENOMEM;
    free(c->data);
    c->program.data = c->data = copy;
    c->program.data_size = size;
    return 0;
}
