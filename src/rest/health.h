#ifndef TC_REST_HEALTH_H
#define TC_REST_HEALTH_H

#include "rest/rest.h"

/*
 * What /healthz, /readyz and the metrics say about the gateway itself. What is wrong with its surroundings (a platform
 * that cannot be reached) is told and makes it no less ready: to go on without the platform is what it is for.
 */

#define HEALTH_DISK_FULL (4u << 20)    /* bytes that are free: nothing can be relied on to be stored */
#define HEALTH_DISK_SCARCE (64u << 20) /* somebody should look after it */
#define HEALTH_LOOP_SLOW_US 1000000    /* how late the loop is: somebody should look after it */
#define HEALTH_LOOP_STUCK_US 10000000
#define HEALTH_CERTIFICATE_SOON_S (14 * 86400)

enum health_level { HEALTH_OK, HEALTH_WARNING, HEALTH_FAILING };

struct health_check {
    const char *name; /* "loop", "store", "disk", "uplink", "certificate", "running" */
    enum health_level level;
    char detail[160]; /* a sentence, or empty */
};
#define HEALTH_CHECKS 6

/* The file system that the state is on. */
struct health_disk {
    uint64_t free_bytes, total_bytes;
    bool known, read_only;
};

struct health {
    uv_timer_t pulse;
    uint64_t due_us;                  /* when it should come */
    uint64_t late_us, late_before_us; /* the worst of this period and of the one before */
    unsigned beats;
    struct histogram loop_us;         /* how late it came */
    uint64_t commits, failed_commits; /* as the last look at the store showed them */
    uint64_t since;                   /* uv_now when commits last grew or nothing was pending */
    bool failing;
};

void health_init(struct rest *rest);
void health_look_at_disk(const struct rest *rest, struct health_disk *disk);
void health_check(struct rest *rest, struct health_check checks[HEALTH_CHECKS]);

#endif
