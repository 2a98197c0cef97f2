#ifndef TC_AGENT_REGISTRATION_H
#define TC_AGENT_REGISTRATION_H

#include "agent/client.h"

/*
 * A device's entry in its gateway's directory (RFC 9176): it looks for the directory, registers with its links, says
 * before the lifetime ends that it is still there, registers anew when it is not known any more or has other
 * containers, and removes its entry at a clean end. Simple registration (section 5.1) lets the directory ask for the
 * links, and cannot be removed.
 */
#define REGISTRATION_LIFETIME_DEFAULT 3600 /* s */

struct registration_options {
    enum { REGISTRATION_NONE, REGISTRATION_FULL, REGISTRATION_SIMPLE } kind;
    uint32_t lifetime; /* s, not 0 */
    const char *name;  /* of the endpoint, further devices get "-1", "-2", ...; NULL: as registration_init says */
};

enum registration_state {
    REGISTRATION_UNKNOWN, /* where the directory is */
    REGISTRATION_FOUND,   /* not in it */
    REGISTRATION_DONE,    /* in it */
    REGISTRATION_GONE,    /* removed, or given up at the end */
};

enum registration_step {
    REGISTRATION_DISCOVER,
    REGISTRATION_REGISTER,
    REGISTRATION_UPDATE,
    REGISTRATION_REMOVE,
};

struct v2;

struct registration {
    const struct registration_options *options;
    const struct device *device;
    struct v2 *v2;     /* whose links are registered; NULL: these, or none */
    const char *links; /* NULL: none */
    struct client *client;
    uint32_t sleep_s, awake_ms; /* told to the directory; 0: it does not sleep */

    enum registration_state state;
    enum registration_step doing;
    bool ending;
    int64_t due_ms;
    unsigned failures;
    uint64_t links_revision; /* of those that are registered */
    char name[DEVICE_ID_MAX + 12];
    char path[CLIENT_LOCATION_SIZE];     /* of the directory */
    char location[CLIENT_LOCATION_SIZE]; /* of the entry */
    char query[DEVICE_ID_MAX + 128];
};

/* The first part is set; id is what the credentials call the device, or NULL. The endpoint's name is that of the
 * options, else the device's id, else id, else "tcagent-" and its port. */
void registration_init(struct registration *r, unsigned index, const char *id);
/* A restart: it registers anew. */
void registration_reset(struct registration *r);

/* A wake-up, which the directory is to hear of now. */
void registration_wake(struct registration *r);
/* The entry is to be removed. False: there is nothing to do. */
bool registration_end(struct registration *r);

int64_t registration_due(const struct registration *r); /* CLIENT_NEVER: never */
void registration_begin(struct registration *r);
void registration_finished(struct registration *r, enum client_outcome outcome, uint8_t code);

#endif
