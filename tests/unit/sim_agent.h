#ifndef TC_TESTS_SIM_AGENT_H
#define TC_TESTS_SIM_AGENT_H

#include "base/clock.h"
#include "core/ports.h"

#include <stdbool.h>

/*
 * An agent port whose devices live in memory, on a manual clock: each keeps what an agent of its kind would keep, traps
 * included. A call reaches its device half of the latency after it began and is answered after the other half.
 */

#define SIM_DEVICES 8
#define SIM_SLOTS 16
#define SIM_NO_ANSWER_MS 2000

enum sim_mishap {
    SIM_FINE,
    SIM_LOSE_REQUEST, /* the device never sees it; no answer */
    SIM_LOSE_ANSWER,  /* the device does it; no answer */
    SIM_GARBAGE,      /* the device does it and answers nonsense */
    SIM_UNREACHABLE,
    SIM_REFUSE, /* the device does nothing and refuses */
    SIM_LOCAL,
};

struct sim_slot {
    char uid[CORE_ID_MAX + 1]; /* empty: free */
    char code[CORE_DIGEST_TEXT];
    char artifact[CORE_DIGEST_TEXT];
    char data[64]; /* begins with that */
    enum container_state state;
    int64_t dies_at; /* 0: it lives */
};

struct sim_device {
    char id[CORE_ID_MAX + 1];
    enum agent_kind kind;
    bool present;     /* answers probes with its kind; else AGENT_UNREACHABLE for everything */
    unsigned slots;   /* how many of them it has */
    bool starts_die;  /* a start answers 2.04 and the code ends 50 ms later */
    bool start_fails; /* v2: start is refused */
    struct sim_slot slot[SIM_SLOTS];
    unsigned calls[AGENT_CALL_COUNT]; /* begun */
    unsigned loads, double_loads;     /* executed; of these into a memory that held the uid already (v1) */
    unsigned cancelled;
};

struct sim {
    const struct clock *clock;
    int64_t latency; /* ms of a whole exchange */
    struct sim_device device[SIM_DEVICES];
    struct agent_call *call[SIM_DEVICES]; /* under way */
    int64_t executes_at[SIM_DEVICES], answers_at[SIM_DEVICES];
    bool executed[SIM_DEVICES];
    enum sim_mishap mishap[SIM_DEVICES]; /* of the call under way */
    enum agent_verb script_verb[16];     /* what happens to the next calls with these verbs, in order */
    enum sim_mishap script[16];
    unsigned script_size;
    /* When set, decides what happens to a call that the script leaves alone. */
    enum sim_mishap (*decide)(void *arg, const struct agent_call *call);
    void *decide_arg;
    struct sim_ghost { /* requests whose call was cancelled, still on their way */
        bool used;
        unsigned device;
        enum agent_verb verb;
        char uid[CORE_ID_MAX + 1], code[CORE_DIGEST_TEXT], artifact[CORE_DIGEST_TEXT], data[64];
        int64_t at;
    } ghost[SIM_DEVICES];
    struct agent_observation *observations[32];
    unsigned observation_count;
    struct {
        const char *body; /* of the answer to any request to a resource; NULL: it tells what it was asked */
        const char *etag; /* "": none */
        uint8_t code;
        int format;
        uint32_t max_age;
    } reply;
    bool ghosts;         /* cancelled requests arrive all the same */
    unsigned overlapped; /* calls begun while another one for the device was under way: must stay 0 */
    size_t package_max;  /* what check() takes, code and data together */
};

void sim_init(struct sim *sim, const struct clock *clock);
struct agent_port sim_port(struct sim *sim);
/* The device with that id; a free one takes the id on. */
struct sim_device *sim_device(struct sim *sim, const char *id, enum agent_kind kind);
/* The next call with that verb meets with that. */
void sim_script(struct sim *sim, enum agent_verb verb, enum sim_mishap mishap);
/* A restart: the device loses its containers. */
void sim_restart(struct sim_device *device);
/* The slot that the agent finds for a uid (the first), NULL when there is none. */
struct sim_slot *sim_find(struct sim_device *device, const char *uid);
/* Monotonic ms of the next thing that happens by itself, INT64_MAX for none; sim_run does what is due. */
int64_t sim_next(const struct sim *sim);
void sim_run(struct sim *sim);
bool sim_is_quiet(const struct sim *sim, const struct sim_device *device); /* nothing for it is on its way */

#endif
