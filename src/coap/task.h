#ifndef TC_COAP_TASK_H
#define TC_COAP_TASK_H

#include "base/list.h"
#include "coap/agents.h"
#include "coap/block.h"
#include "coap/link.h"
#include "coap/pace.h"
#include "coap/secure.h"
#include "coap/update.h"

/*
 * A task is an agent call under way: what the drivers share. A driver begins it, is handed each answer, and ends it
 * with task_end.
 */

struct task;

/* What a kind of agent takes. */
struct driver {
    struct agent_features features;
    /* As agent_port.check, for what depends on the kind. */
    int (*check)(const struct device *device, const char *uid, const struct artifact *artifact, struct fault *fault);
    void (*begin)(struct task *task);
};

extern const struct driver driver_v1, driver_v2, driver_suit;

/* Asks the device which kind it is; AGENT_CALL_PROBE of any kind. */
void probe_begin(struct task *task);

/* The room (agents.h). */
struct agents {
    struct agents_options options;
    struct core *core; /* NULL until agents_start */
    struct endpoint *endpoint;
    struct endpoint_handlers handlers;
    struct server *server;    /* NULL until agents_start */
    struct list secures;      /* exchanges under way */
    struct list observations; /* all of them */
    uint32_t observation_count;
    struct links links; /* transfers in turn */
    struct secure_scratch *scratch;
    struct renewal *renewals;    /* by credential; of the last minute */
    struct task *tasks, *unused; /* all of them, freed at the end only; those without a call */
    struct list waiting;         /* tasks that were not begun, since too many are */
    uint32_t running;            /* tasks that were begun */
    struct updates updates;      /* that SUIT devices are to fetch */
    uv_timer_t update_timer;
    size_t open_handles;
    struct agents_stats stats;
    void (*closed)(void *arg);
    void *closed_arg;
};

typedef void (*task_answer_fn)(struct task *task, const struct coapmsg *response);

/* agent_port.observe, unobserve and refresh (observe.c). */
void observe_begin(void *agents, struct agent_observation *observation);
void observe_end(void *agents, struct agent_observation *observation);
void observe_refresh(void *agents, struct agent_observation *observation, bool anew);
/* Forgets all observations; their owners are not called. Each calls agents_release in the loop's close callbacks. */
void observe_close_all(struct agents *agents);
/* One of agents->open_handles was closed; the last one frees the room. */
void agents_release(void *agents);

/* Begins waiting tasks as far as the limit lets them. */
void agents_begin_waiting(struct agents *agents);

/* The answer to GET /tc, whose body is in the transfer: goes to the call's probe and ends the task. Of driver_v2. */
void probe_v2(struct task *task, const struct coapmsg *response);

/* Of driver_suit: asks for what a SUIT device tells of itself, and ends the task. */
void probe_suit(struct task *task, bool is_ietf);
/* Looks after the tasks whose devices fetch, while there are any: of agents.update_timer. */
void suit_tick(uv_timer_t *timer);
/* agent_port.pause of a load under way; a task is released. */
void suit_pause(struct task *task);
void suit_release(struct task *task);

/* A request that may be repeated, for each block. */
struct task_request {
    uint8_t code;
    char path[16 + CORE_ID_MAX]; /* absolute; segments need no escapes */
    const char *query;           /* NULL: none */
    int format;                  /* Content-Format of the body, -1: none */
    uint32_t answer_timeout_ms;
    bool unrepeatable; /* SECURE_UNREPEATABLE */
};

struct task {
    struct agents *agents;
    struct agent_call *call;
    const struct driver *driver; /* of the device's kind, NULL while that is not known */
    struct task *next, *next_unused;
    struct list waiting_node;
    struct secure secure;
    task_answer_fn answer; /* to the request under way */
    bool beginning;        /* done must come from the loop */
    struct task_request request;
    struct buffer base;         /* RESOURCE: has the request's method and options but the format */
    task_answer_fn last_answer; /* to all blocks of it */
    struct block_transfer transfer;
    uint8_t *package; /* the request's body, freed with the task */

    struct update *update; /* driver_suit from here on: that this task added, or waits for */
    bool is_following;     /* the device has been told to fetch it */
    bool is_ietf;
    char board[64];
    char host[64]; /* our own, as the device sees it: "[fd00::1]:5684" */
    struct push {  /* of a load (push.c) */
        bool active, pausing;
        bool parked; /* waits for its link and is not among the running ones */
        struct link_place place;
        struct pace pace;
        void (*send)(struct task *task);
        size_t bytes;   /* of the block to be sent, with what is around it */
        uint64_t begun; /* loop time at which the block under way was sent, ms */
    } push;
};

/* Sends a load's bytes in turn with others on its link: `send` is called, maybe later, when so many bytes may go. */
void push_begin(struct task *task, size_t bytes, void (*send)(struct task *task));
/* The same for the body that task->transfer was begun with, block by block, as task_transfer. */
void push_blocks(struct task *task, task_answer_fn answer);
/* A block was taken; sends the next one. Of task.c. */
void push_go_on(struct task *task);
/* agent_port.pause */
void push_pause(void *agents, struct agent_call *call);
void push_end(struct task *task); /* gives its place on the link back */
/* Sends the next block of task->transfer. */
void task_send_block(struct task *task);

/* The call is not under way any more: frees what it needed. Returns the call. */
struct agent_call *task_release(struct task *task);

/* Sends one request to the call's device and hands its response to `answer`. With `once` exactly one datagram leaves
 * and the answer is waited for as long as a load may take. */
void task_send(struct task *task, struct coapmsg *request, bool once, task_answer_fn answer);

/* Sends task->request block by block, with the body that task->transfer was begun with; `answer` gets the last
 * response, whose body is in task->transfer.answer, cut at the transfer's limit. */
void task_transfer(struct task *task, task_answer_fn answer);
/* The largest block that fits the device's PDU, as an SZX. */
uint8_t task_szx(const struct task *task);

/* Ends the task with an outcome; format may be NULL. The task is not to be touched afterwards. */
void task_end(struct task *task, enum agent_outcome outcome, const char *format, ...) printf_like(3, 4);
/* Ends it as AGENT_GARBAGE: "the answer 4.02 to `what` was not expected". */
void task_end_unexpected(struct task *task, const struct coapmsg *response, const char *what);

/* Copies bytes from a device as text for people: what is not printable ASCII as \xNN, cut where it does not fit. */
char *task_print(char *out, size_t size, const void *data, size_t data_size);

/* Faults that are the same for all kinds: the uid, the type of code, a missing part. */
int task_check(const struct device *device, const char *uid, const struct artifact *artifact, struct fault *fault);
/* FAULT_PACKAGE_TOO_LARGE when size > room: "a request of SIZE bytes ... takes ROOM ... EXCESS too many". */
int task_check_size(const struct device *device, const char *uid, const char *what, uint64_t size, uint64_t room,
                    struct fault *fault);
/* What the metadata of a container says. Returns the size that it will have, 0 when the description is not valid. */
size_t task_describe(const char *uid, const struct artifact *artifact, struct metadata *md);
/* FAULT_INVALID_ARTIFACT for an artifact that task_describe does not take. */
int task_set_undescribable(const struct artifact *artifact, struct fault *fault);
/* Checks a load as agent_port.check does and makes its signed metadata. Returns its size; 0 when the task was ended. */
size_t task_make_metadata(struct task *task, uint8_t out[METADATA_MAX_SIZE]);

#endif
