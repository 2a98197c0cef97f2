#ifndef TC_CORE_ACCESS_H
#define TC_CORE_ACCESS_H

#include "core/core.h"

/*
 * Who may do what. A caller has a role, which has permissions, and may be bound to a tenant, which has the devices of
 * its groups and what has a name that matches its patterns; everything else is not there for it.
 */

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_PUBLISHER, ROLE_OPERATOR, ROLE_PLATFORM, ROLE_OWNER, ROLE_COUNT };

#define CALLER_NAME_MAX 127
#define TENANT_NAME_MAX 31

struct caller {
    char name[CALLER_NAME_MAX + 1]; /* "user:pi", "token:ci", "certificate:ops.example", "jwt:alice@issuer",
                                       "mqtt:NAME", "anonymous" */
    char from[64];                  /* address, "unix", "mqtt" */
    enum role role;
    char tenant[TENANT_NAME_MAX + 1]; /* "": the whole gateway */
};

/* What a route (or a command) does, which a role permits. */
enum access {
    ACCESS_OWNER,       /* tokens, grants, tenants, policies, publishers, the gateway itself; what nobody declared */
    ACCESS_PUBLIC,      /* everybody, also without credentials */
    ACCESS_CALLER,      /* everybody who is somebody */
    ACCESS_BROWSE,      /* artifacts, releases, publishers, policies */
    ACCESS_READ,        /* devices and all that is about them */
    ACCESS_OPERATE,     /* start, stop, ask, write what devices have */
    ACCESS_DEPLOY,      /* what runs on devices */
    ACCESS_PUBLISH,     /* artifacts and releases */
    ACCESS_MANAGE,      /* devices themselves, groups, links */
    ACCESS_CREDENTIALS, /* devices' keys, and who joins */
    ACCESS_COUNT
};

/* What a route is about. */
enum subject {
    SUBJECT_GATEWAY, /* the whole gateway: nothing for the callers of a tenant */
    SUBJECT_NOTHING, /* nothing by name: its handler looks at what is there for the caller */
    SUBJECT_DEVICE,  /* the first {...} is its id; so on */
    SUBJECT_OPERATION,
    SUBJECT_REGISTRATION,
    SUBJECT_GROUP,
    SUBJECT_ARTIFACT,
    SUBJECT_RELEASE,
    SUBJECT_SERVICE,
    SUBJECT_ROLLOUT,
    SUBJECT_COUNT
};

const char *role_name(enum role role);       /* "none", "viewer", ... */
enum role role_from_name(const char *name);  /* ROLE_COUNT for no match */
const char *access_name(enum access access); /* "public", "read", ... */
bool role_permits(enum role role, enum access access);

#endif
