#ifndef TC_AGENT_DEVICE_H
#define TC_AGENT_DEVICE_H

#include "agent/bugs.h"
#include "agent/container.h"
#include "agent/journal.h"
#include "agent/verify.h"
#include "base/clock.h"

/*
 * One simulated device: its slots with their containers, its id, and what happens to them, whichever protocol asks for
 * it. No I/O but the journal.
 */
#define DEVICE_SLOTS_MAX 4096
#define DEVICE_ID_MAX 64
#define DEVICE_NAME_SIZE 16
#define DEVICE_SENSOR_PERIOD_MS 10000
#define DEVICE_DEATH_MS 50 /* how long a v1 agent takes a container for running that died in its start */

enum device_kind { DEVICE_V1 = 1, DEVICE_V2 = 2, DEVICE_SUIT = 3 };

struct device_options {
    enum device_kind kind;
    unsigned slots;     /* 1 to DEVICE_SLOTS_MAX */
    size_t package_max; /* v2: largest package in bytes */
    const char *id;     /* at the start; NULL or empty: none assigned */
    struct verify_policy verify;
    struct bugs bugs;
    uint32_t seed;
    size_t memory;             /* bytes for all packages and, of what they leave, a container's memory; 0: no limit */
    unsigned flash_fail_rate;  /* percent of the installations that fail */
    unsigned runtimes;         /* as board_set_runtimes; 0: all */
    uint32_t sensor_period_ms; /* how long a sensor's resource keeps its value; 0: DEVICE_SENSOR_PERIOD_MS */
};

struct slot {
    struct container *container; /* NULL: the slot is free */
    uint8_t package_digest[METADATA_DIGEST_SIZE];
    uint8_t code_digest[METADATA_DIGEST_SIZE];
    size_t package_size;
    uint64_t loaded;        /* grows with every load of the device */
    uint32_t revision_base; /* of device_slot_revision */
    bool data_changed;
    bool was_started;
    int64_t alive_until_ms;    /* reported as running until then, dead afterwards; 0: as it is */
    enum container_state seen; /* the state that the journal has */
};

struct device_counters {
    uint64_t installs, starts, stops, removes, damaged;
};

struct device {
    const struct device_options *options;
    const struct clock *clock;
    const struct journal *journal;
    char name[DEVICE_NAME_SIZE]; /* in the journal: the port */
    struct bugs bugs;
    uint32_t seed;   /* its own */
    uint64_t random; /* not 0 */
    struct board *board;
    struct slot *slots; /* options->slots of them */
    size_t slots_used;  /* all beyond are free */
    uint8_t id[DEVICE_ID_MAX];
    size_t id_size; /* 0: not assigned */
    uint64_t boots;
    int64_t booted_ms;
    uint64_t loads;
    uint32_t generation; /* grows when a container comes or goes */
    bool crashed;        /* v1: answers nothing until it restarts */
    struct device_counters counters;
};

/* options, clock and journal must outlive it. Returns 0 or -ENOMEM; device_clear ends it in both cases. */
int device_init(struct device *d, const struct device_options *options, unsigned index, const struct clock *clock,
                const struct journal *journal) must_check;
void device_clear(struct device *d);

/* A restart: all containers are gone, unless it keeps them; then none runs. In v1 the id is gone too. */
void device_restart(struct device *d, bool keep);

/* A pseudo-random number from the seed. */
uint32_t device_random(struct device *d);

/* Writes to the flash; false when that failed, as --flash-fail-rate has it. */
bool device_write_flash(struct device *d);

/* The first slot that holds a uid, NULL when none does. */
struct slot *device_find(struct device *d, const void *uid, size_t size);
struct slot *device_free_slot(struct device *d);
unsigned device_count_free(const struct device *d);
/* Bytes that a package may have which takes this slot; NULL: a free one. */
size_t device_room(const struct device *d, const struct slot *slot);

/* Puts a container into a slot; one that is there is stopped and replaced, but only when the new one is fine.
 * Returns 0; 1 with a sentence in reason (CONTAINER_REASON_SIZE) when the code is refused; -EIO, with a sentence too,
 * when the flash failed; or -ENOMEM. */
int device_install(struct device *d, struct slot *slot, const struct metadata *md, const struct verify_parts *parts,
                   enum container_check check, char *reason, size_t reason_size) must_check;

/* Starts, and does what is due at once; afterwards device_state says whether it lives. */
void device_start(struct device *d, struct slot *slot);
void device_stop(struct device *d, struct slot *slot);
void device_remove(struct device *d, struct slot *slot);

/* What the agent says of a container; differs from the truth for the bugs that are about it. */
enum container_state device_state(const struct device *d, const struct slot *slot);

/* Grow with every change of state or package, of one slot or of any. */
uint32_t device_slot_revision(const struct slot *slot);
uint32_t device_revision(const struct device *d);

/* v1: something was sent that damages the public agent: the container that was loaded last is lost, or (crash) the
 * agent is dead until it restarts. */
void device_damage(struct device *d, bool crash, const char *why, uint16_t message_id);

/* Writes an entry; device and, when slot is not NULL, uid and digest are filled in. */
void device_note(const struct device *d, const struct slot *slot, struct journal_entry entry);

void device_tick(struct device *d);
int64_t device_deadline(const struct device *d); /* CONTAINER_NO_DEADLINE: never */

#endif
