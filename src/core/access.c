#include "core/access.h"

#include <string.h>

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_NONE] = "none",         [ROLE_VIEWER] = "viewer",     [ROLE_PUBLISHER] = "publisher",
    [ROLE_OPERATOR] = "operator", [ROLE_PLATFORM] = "platform", [ROLE_OWNER] = "owner",
};

static const char *const access_names[ACCESS_COUNT] = {
    [ACCESS_OWNER] = "own",         [ACCESS_PUBLIC] = "public",   [ACCESS_CALLER] = "caller",
    [ACCESS_BROWSE] = "browse",     [ACCESS_READ] = "read",       [ACCESS_OPERATE] = "operate",
    [ACCESS_DEPLOY] = "deploy",     [ACCESS_PUBLISH] = "publish", [ACCESS_MANAGE] = "manage",
    [ACCESS_CREDENTIALS] = "enrol",
};

#define BIT(access) (1u << ACCESS_##access)
#define READER (BIT(PUBLIC) | BIT(CALLER) | BIT(BROWSE) | BIT(READ))
#define RUNNER (READER | BIT(OPERATE) | BIT(DEPLOY) | BIT(MANAGE))

static const unsigned permissions[ROLE_COUNT] = {
    [ROLE_NONE] = BIT(PUBLIC),
    [ROLE_VIEWER] = READER,
    [ROLE_PUBLISHER] = BIT(PUBLIC) | BIT(CALLER) | BIT(BROWSE) | BIT(PUBLISH),
    [ROLE_OPERATOR] = RUNNER | BIT(CREDENTIALS),
    [ROLE_PLATFORM] = RUNNER | BIT(PUBLISH),
    [ROLE_OWNER] = RUNNER | BIT(PUBLISH) | BIT(CREDENTIALS) | BIT(OWNER),
};

const char *role_name(enum role role)
{
    return role < ROLE_COUNT ? role_names[role] : "none";
}

enum role role_from_name(const char *name)
{
    int role = 0;

    while (role < ROLE_COUNT && strcmp(role_names[role], name) != 0)
        role++;
    return (enum role)role;
}

const char *access_name(enum access access)
{
    return access < ACCESS_COUNT ? access_names[access] : "owner";
}

bool role_permits(enum role role, enum access access)
{
    return role < ROLE_COUNT && access < ACCESS_COUNT && permissions[role] & 1u << access;
}
