#ifndef TC_CORE_ACCESS_H
#define TC_CORE_ACCESS_H

#include "core/core.h"

#include <sys/types.h>

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

/* What is there for a caller -------------------------------------------------------------------------------------- */

bool caller_sees_device(const struct core *core, const struct caller *caller, const struct device *device);
bool caller_sees_device_id(const struct core *core, const struct caller *caller, const char *id);
/* Of an artifact, a release, a service, a rollout. */
bool caller_sees_name(const struct core *core, const struct caller *caller, const char *name);
bool caller_sees_artifact(const struct core *core, const struct caller *caller, const struct artifact *artifact);
bool caller_has_group(const struct core *core, const struct caller *caller, const char *group);
/* The same of a tenant, "" or NULL for the whole gateway. */
bool tenant_has_device(const struct core *core, const char *tenant, const struct device *device);

/* Records: tenants, grants, tokens -------------------------------------------------------------------------------- */

/* {"groups": ["name", ...], "artifacts": ["pattern", ...]} */
int core_put_tenant(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                    struct fault *fault) must_check;
/* FAULT_IN_USE while a grant or a token is bound to it. */
int core_remove_tenant(struct core *core, const char *name, core_done_fn done, void *arg,
                       struct fault *fault) must_check;
json_t *core_tenant_json(struct core *core, const char *name); /* NULL: there is none */
json_t *core_tenants_json(struct core *core);

/* {"user" | "group" (of the machine) | "certificate" (subject) | "fingerprint" (SHA-256) | "sink": "...", or "claim"
 * and "value" of a JWT; "role": "...", "tenant": "..."} */
int core_put_grant(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                   struct fault *fault) must_check;
int core_remove_grant(struct core *core, const char *name, core_done_fn done, void *arg,
                      struct fault *fault) must_check;
json_t *core_grant_json(struct core *core, const char *name);
json_t *core_grants_json(struct core *core);

/* What a transport knows of who asks; NULL and 0 where it does not apply. */
struct identity {
    bool local; /* a process of this machine, with: */
    uid_t uid;
    const gid_t *groups;
    size_t group_count;
    const char *certificate, *fingerprint;
    const json_t *claims; /* of a JWT that was verified */
    const char *sink;
};
/* Sets role and tenant by the first grant, in the order of their names, that names the identity. False: none does. */
bool core_find_grant(struct core *core, const struct identity *identity, struct caller *caller);

#define TOKEN_PREFIX "tcgw_"
#define TOKEN_TEXT (sizeof TOKEN_PREFIX + 64) /* with its NUL */

/* {"name", "role", "tenant", "expires_in": seconds}. *made is what the caller is told once, with the secret. */
int core_add_token(struct core *core, const json_t *body, core_done_fn done, void *arg, struct fault *fault,
                   json_t **made) must_check;
/* Refused from now on. */
int core_remove_token(struct core *core, const char *name, core_done_fn done, void *arg,
                      struct fault *fault) must_check;
json_t *core_token_json(struct core *core, const char *name); /* without the secret */
json_t *core_tokens_json(struct core *core);
/* Sets name, role and tenant, and notes the use. False: there is no such token, or it has expired. */
bool core_find_token(struct core *core, const char *secret, struct caller *caller);

#endif
