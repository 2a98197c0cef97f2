#ifndef TC_CORE_ROLLOUT_PRIVATE_H
#define TC_CORE_ROLLOUT_PRIVATE_H

#include "codec/telemetry.h"
#include "core/internal.h"
#include "core/rollout.h"

/* What the files of rollouts share. */

#define ROLLOUT_WAVES_MAX 32
#define ROLLOUT_PARALLEL_MAX 1000
#define ROLLOUTS_MAX 256 /* that are kept */
#define ROLLOUTS_UNFINISHED_MAX 32
#define ROLLOUT_MEMBERS_MAX 200000 /* of all rollouts that are kept */

/* What a person wrote (rollout_spec.c). */
struct rollout_spec {
    json_t *json; /* canonical */
    struct selector *devices;
    bool dynamic;
    char name[CORE_NAME_MAX + 1];
    char container[CORE_ID_MAX + 1];
    char release[CORE_RELEASE_TEXT], artifact[CORE_DIGEST_TEXT]; /* one of them is empty */
    enum container_state state;
    uint8_t *parameters; /* NULL: none */
    size_t parameters_size;
    struct rollout_wave {
        bool percent;
        uint32_t size;
    } waves[ROLLOUT_WAVES_MAX]; /* the canaries are the first */
    size_t wave_count;
    uint32_t running_for_ms;
    char telemetry[TELEMETRY_NAME_MAX + 1]; /* empty: no condition */
    double min, max;
    uint32_t max_failures;
    bool failures_percent;
    uint32_t device_timeout_ms, max_attempts;
    uint32_t max_parallel, max_parallel_per_link; /* 0: no limit of its own per link */
    struct {
        bool set;
        uint16_t from, to; /* minutes of the day, local time */
        uint8_t days;      /* bits, 0: Sunday; on which it begins */
    } window;
    bool pause_after_wave, auto_rollback;
};

/* 0; 1 with a fault; -ENOMEM. */
int rollout_spec_parse(struct rollout_spec **out, const json_t *body, struct fault *fault) must_check;
struct rollout_spec *rollout_spec_free(struct rollout_spec *spec); /* NULL is fine. Returns NULL */
/* Whether updates may begin at a wall time. */
bool rollout_window_is_open(const struct rollout_spec *spec, int64_t wall_ms);
/* How many of `devices` are in each wave, sizes[0] to the last, which takes the rest. Returns how many waves. */
size_t rollout_waves(const struct rollout_spec *spec, size_t devices, size_t sizes[ROLLOUT_WAVES_MAX + 1]);

/* Members and machine ---------------------------------------------------------------------------------------------- */

enum member_state {
    MEMBER_PENDING,
    MEMBER_UPDATING, /* its container's desired state was written */
    MEMBER_DONE,
    MEMBER_FAILED,
    MEMBER_SKIPPED, /* it went, or does not match any more */
    MEMBER_REVERTING,
    MEMBER_REVERTED,
    MEMBER_STATE_COUNT
};

/* A device of a rollout. */
struct member {
    char device[CORE_ID_MAX + 1];
    unsigned wave; /* from 0 */
    enum member_state state;
    int64_t since;                   /* wall ms of the state */
    char artifact[CORE_DIGEST_TEXT]; /* that it was given */
    json_t *previous;                /* what was desired before; a JSON null: nothing; NULL: it was not touched */
    enum fault_code code;            /* why it failed or was skipped */
    char *detail;
    int64_t begun;    /* monotonic ms of the state; from before the start: by the clock on the wall */
    int64_t asked;    /* monotonic ms of the last question; 0: none */
    int64_t ran;      /* monotonic ms since when it ran at the last look; 0: it did not */
    unsigned drops;   /* how often it stopped running since it was updated */
    int64_t value_at; /* monotonic ms of the last value of the condition's series; 0: none */
    double value;
    bool dirty;       /* its row could not be written */
    uint64_t written; /* the change that wrote it last */
    struct list node; /* in rollout.active, or in a list of those that wait */
    UT_hash_handle hh;
};

struct rollout {
    char id[UUID_SIZE];
    struct core *core;
    struct rollout_spec *spec;
    enum rollout_state state;
    char reason[FAULT_DETAIL_SIZE]; /* of the state, for people */
    unsigned wave;                  /* that is under way, from 0 */
    unsigned wave_count;
    uint32_t tolerated;              /* failures that a person has seen and gone on */
    int64_t created, updated, ended; /* wall ms */
    struct member *members;          /* uthash by device */
    size_t counts[ROLLOUT_WAVES_MAX + 1][MEMBER_STATE_COUNT];
    struct list waiting[ROLLOUT_WAVES_MAX + 1]; /* pending ones by wave */
    struct list active;                         /* that are updating or reverting */
    size_t active_count;
    struct list revertible; /* ROLLOUT_ROLLING_BACK: that are to be reverted */
    bool removing;          /* its removal is being committed */
    unsigned held;          /* a change of a person is being committed: it takes no step */
    bool dirty;
    uint64_t changes, settled; /* changes that were submitted; the last that was settled, each in its turn */
    int64_t rescan;            /* monotonic ms: dynamic membership is looked at again */
    struct timer timer;
    UT_hash_handle hh;
};

struct rollout *rollout_find(const struct core *core, const char *id); /* NULL: there is none */
struct member *rollout_member(const struct rollout *rollout, const char *device);
bool rollout_is_unfinished(const struct rollout *rollout);
size_t rollout_count(const struct rollout *rollout, enum member_state state);              /* in all waves */
struct rollout *rollout_new(struct core *core, const char *id, struct rollout_spec *spec); /* in the index */
void rollout_drop(struct rollout *rollout);
struct member *rollout_add_member(struct rollout *rollout, const char *device, unsigned wave);
void rollout_enlist(struct rollout *rollout); /* puts all members into the lists of its state */
void rollout_wake_soon(struct rollout *rollout, int64_t delay_ms);
void rollout_set_state(struct rollout *rollout, enum rollout_state state, const char *format, ...) printf_like(3, 4);

/* A change of a rollout and of members, in one commit that nobody waits for; what fails is written again. */
struct rollout_change {
    struct rollout *rollout;
    struct commit *commit; /* NULL: nothing has changed yet */
    size_t members;        /* that were changed */
};
/* The batch to write into; NULL: out of memory. */
struct store_batch *rollout_change_batch(struct rollout_change *change);
void rollout_change_submit(struct rollout_change *change);
void rollout_write_dirty(struct rollout_change *change);                    /* what could not be written */
void rollout_put(struct store_batch *batch, const struct rollout *rollout); /* its row */
void rollout_put_member(struct store_batch *batch, const struct rollout *rollout, const struct member *member);
void rollout_write_member(struct rollout_change *change, struct member *member); /* as part of the change */
void rollout_tell(struct store_batch *batch, const struct rollout *rollout);     /* its state, as an event */

/* What a device takes: the artifact. NULL with a fault. */
const struct artifact *rollout_pick(const struct rollout_spec *spec, const struct device *device, struct fault *fault);
/* What would refuse it at once. */
int rollout_check_device(const struct rollout *rollout, const struct rollout_spec *spec, struct device *device,
                         struct fault *fault) must_check;
/* The steps of a member (rollout_member.c); they write into the change. */
void member_set(struct rollout_change *change, struct member *member, enum member_state state,
                const struct fault *fault);
void member_begin(struct rollout_change *change, struct member *member);
void member_revert(struct rollout_change *change, struct member *member);
void member_look(struct rollout_change *change, struct member *member); /* at one that is active */

const char *member_state_name(enum member_state state);
json_t *rollout_counts_json(const struct rollout *rollout);

#endif
