#ifndef TC_AGENT_SUITDEV_H
#define TC_AGENT_SUITDEV_H

#include "agent/device.h"
#include "agent/fetch.h"
#include "agent/suitdev_plan.h"

/*
 * A SUIT device (docs/device-protocol.md section 9), as RIOT's suit_update: told by /suit/trigger where a signed
 * manifest is, it fetches that and what it names, and says only by /suit/version how that ended. Its components are
 * slots in RAM (ram.0, ram.1, ...), which a restart clears, and the firmware (00), of which there are two slots; new
 * firmware begins with a restart. With Femto-Containers the slots in RAM hold rBPF applications, which /bpf/exec/SLOT
 * runs.
 */
#define SUITDEV_URL_MAX 128 /* a URL must be shorter, unless the options say otherwise */
#define SUITDEV_URL_LIMIT 256
#define SUITDEV_TEXT_SIZE 256
#define SUITDEV_IETF_MAX 4096 /* bytes of a manifest of the current form */

struct suitdev_options {
    enum { SUITDEV_RIOT, SUITDEV_IETF } dialect;
    const char *board; /* NULL: "native" */
    EVP_PKEY *key;     /* of manifests; NULL: any will do */
    bool femto;
    unsigned url_max; /* 0: SUITDEV_URL_MAX */
};

struct suitdev_slot {
    uint8_t *bytes; /* NULL: nothing is in it */
    size_t size;
};

enum suitdev_state {
    SUITDEV_IDLE,
    SUITDEV_TRIGGERED,
    SUITDEV_FETCHING_MANIFEST,
    SUITDEV_FETCHING_PAYLOAD,
    SUITDEV_RESTARTING
};

struct suitdev {
    const struct suitdev_options *options;
    struct device *device;
    struct fetch fetch;

    enum suitdev_state state;
    char url[SUITDEV_URL_LIMIT]; /* what a longer one left behind a shorter one stays, as in RIOT */
    bool again;                  /* triggered while an update was under way */
    struct suitdev_identity identity;
    struct suitdev_plan plan;
    size_t step;
    unsigned active;              /* firmware slot, 0 or 1 */
    uint64_t firmware_sequence;   /* outlives a restart; that of what is in RAM does not */
    bool has_firmware;            /* the plan has brought one */
    int64_t restart_at_ms;        /* into it */
    struct suitdev_slot *slots;   /* options->slots of the device */
    char text[SUITDEV_TEXT_SIZE]; /* of an answer */
};

/* The first part is set, and the device is ready. Returns 0 or -ENOMEM; suitdev_clear ends it in both cases. */
int suitdev_init(struct suitdev *s, struct server *server, struct security *security) must_check;
void suitdev_clear(struct suitdev *s);
/* The device restarts: an update under way is forgotten, and what is in RAM. */
void suitdev_restart(struct suitdev *s);

/* Answers one request; a handler of server_ops. */
enum server_verdict suitdev_handle(struct suitdev *s, const struct coapmsg *request, struct coapmsg *response);

/* Its resources (RFC 6690). */
const char *suitdev_links(const struct suitdev *s);

/* Whether an update is under way. */
bool suitdev_busy(const struct suitdev *s);
/* True when the device is to restart now, into new firmware. */
bool suitdev_tick(struct suitdev *s);
int64_t suitdev_deadline(const struct suitdev *s);

#endif
