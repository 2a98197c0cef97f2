#include "core/access_private.h"
#include "core/bodycheck.h"
#include "core/internal.h"
#include "core/trust_private.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

/* Grants: who, by what a transport proves of them, has which role. */

enum holder { HOLDER_USER, HOLDER_GROUP, HOLDER_CERTIFICATE, HOLDER_FINGERPRINT, HOLDER_CLAIM, HOLDER_SINK, HOLDERS };

static const char *const holder_names[HOLDERS] = {"user", "group", "certificate", "fingerprint", "claim", "sink"};

#define HOLDER_MAX 255 /* bytes of what names one */

struct grant {
    struct right right;
    enum holder holder;
    const char *text;  /* the document's */
    const char *value; /* of a claim; the document's */
    uint32_t id;       /* of a user or group of the machine, as it was when the grant was read */
    bool known;        /* there is such a user or group */
};

/* Parsing ---------------------------------------------------------------------------------------------------------- */

static int read_role(struct right *right, const json_t *body, struct fault *fault)
{
    const char *name = body_text(body, "role");

    right->role = name ? role_from_name(name) : ROLE_COUNT;
    if (right->role != ROLE_COUNT && right->role != ROLE_NONE)
        return 0;
    return fault_set_at(fault, FAULT_INVALID_FIELD, "/role",
                        "/role is none of viewer, publisher, operator, platform and owner.");
}

int right_read(struct right *right, const json_t *body, struct fault *fault)
{
    const char *tenant = body_text(body, "tenant");

    if (read_role(right, body, fault))
        return 1;
    (void)text_copy(right->tenant, sizeof right->tenant, tenant ? tenant : "");
    return 0;
}

int right_check_tenant(const struct core *core, const json_t *body, struct fault *fault)
{
    const char *tenant = body_text(body, "tenant");

    if (!tenant || !*tenant || document_find(core, DOCUMENT_TENANT, tenant))
        return 0;
    return fault_set_at(fault, FAULT_INVALID_FIELD, "/tenant", "There is no tenant '%.64s'.", tenant);
}

void right_apply(const struct right *right, struct caller *caller)
{
    caller->role = right->role;
    (void)text_copy(caller->tenant, sizeof caller->tenant, right->tenant);
}

/* Exactly one of the members that name somebody. */
static int read_holder(struct grant *grant, const json_t *body, struct fault *fault)
{
    unsigned found = 0;

    for (unsigned i = 0; i < HOLDERS; i++) {
        const char *text = body_text(body, holder_names[i]);

        if (!text)
            continue;
        found++;
        grant->holder = (enum holder)i;
        grant->text = text;
    }
    grant->value = body_text(body, "value");
    if (found != 1)
        return fault_set(fault, FAULT_INVALID_FIELD,
                         "A grant names one of user, group, certificate, fingerprint, claim and sink.");
    if ((grant->holder == HOLDER_CLAIM) != (grant->value != NULL))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/value", "A claim, and nothing else, has a value.");
    return 0;
}

static void resolve_user(struct grant *grant)
{
    const struct passwd *user = getpwnam(grant->text);
    int64_t number;

    grant->known = user || text_parse_int(grant->text, 0, UINT32_MAX - 1, &number);
    grant->id = user ? user->pw_uid : grant->known ? (uint32_t)number : 0;
}

static void resolve_group(struct grant *grant)
{
    const struct group *group = getgrnam(grant->text);
    int64_t number;

    grant->known = group || text_parse_int(grant->text, 0, UINT32_MAX - 1, &number);
    grant->id = group ? group->gr_gid : grant->known ? (uint32_t)number : 0;
}

static int check_fingerprint(const struct grant *grant, struct fault *fault)
{
    if (strlen(grant->text) == 64 && strspn(grant->text, "0123456789abcdef") == 64)
        return 0;
    return fault_set_at(fault, FAULT_INVALID_FIELD, "/fingerprint",
                        "/fingerprint is not a SHA-256 of 64 lower-case hexadecimal digits.");
}

int grant_parse(struct core *core, const char *name, json_t *body, void **object, struct fault *fault)
{
    static const struct body_rule rules[] = {
        {"user", BODY_TEXT, false, false, 1, HOLDER_MAX, NULL},
        {"group", BODY_TEXT, false, false, 1, HOLDER_MAX, NULL},
        {"certificate", BODY_TEXT, false, false, 1, HOLDER_MAX, NULL},
        {"fingerprint", BODY_TEXT, false, false, 1, HOLDER_MAX, NULL},
        {"claim", BODY_TEXT, false, false, 1, HOLDER_MAX, NULL},
        {"value", BODY_TEXT, false, false, 1, HOLDER_MAX, NULL},
        {"sink", BODY_TEXT, false, false, 1, HOLDER_MAX, NULL},
        {"role", BODY_TEXT, true, false, 1, 16, NULL},
        {"tenant", BODY_TEXT, false, true, 0, TENANT_NAME_MAX, NULL},
    };
    struct grant *grant;

    (void)core;
    if (trust_take_name(body, name, fault) || body_check(body, "", rules, array_size(rules), fault))
        return 1;
    *object = grant = calloc(1, sizeof *grant);
    if (!grant)
        return -ENOMEM;
    if (right_read(&grant->right, body, fault) || read_holder(grant, body, fault))
        return 1;
    if (grant->holder == HOLDER_USER)
        resolve_user(grant);
    else if (grant->holder == HOLDER_GROUP)
        resolve_group(grant);
    return grant->holder == HOLDER_FINGERPRINT ? check_fingerprint(grant, fault) : 0;
}

/* Who it is -------------------------------------------------------------------------------------------------------- */

static bool is_in(const struct identity *identity, uint32_t gid)
{
    for (size_t i = 0; i < identity->group_count; i++)
        if (identity->groups[i] == gid)
            return true;
    return false;
}

static bool is(const char *present, const char *wanted)
{
    return present && strcmp(present, wanted) == 0;
}

/* A text, or one of several. */
static bool has_value(const json_t *claim, const char *value)
{
    const json_t *one;
    size_t i;

    json_array_foreach(claim, i, one)
    {
        if (is(json_string_value(one), value))
            return true;
    }
    return is(json_string_value(claim), value);
}

/* A name as it stands, or else a path with dots ("realm_access.roles"). */
static const json_t *find_claim(const json_t *claims, const char *name)
{
    const json_t *found = json_object_get(claims, name);
    char part[HOLDER_MAX + 1];

    while (!found && claims) {
        size_t n = strcspn(name, ".");

        memcpy(part, name, n);
        part[n] = 0;
        claims = json_object_get(claims, part);
        if (!name[n])
            return claims;
        name += n + 1;
    }
    return found;
}

static bool names(const struct grant *grant, const struct identity *identity)
{
    switch (grant->holder) {
    case HOLDER_USER:
        return identity->local && grant->known && identity->uid == grant->id;
    case HOLDER_GROUP:
        return identity->local && grant->known && is_in(identity, grant->id);
    case HOLDER_CERTIFICATE:
        return is(identity->certificate, grant->text);
    case HOLDER_FINGERPRINT:
        return is(identity->fingerprint, grant->text);
    case HOLDER_CLAIM:
        return has_value(find_claim(identity->claims, grant->text), grant->value);
    case HOLDER_SINK:
        return is(identity->sink, grant->text);
    case HOLDERS:
        break;
    }
    return false;
}

bool core_find_grant(struct core *core, const struct identity *identity, struct caller *caller)
{
    for (const struct document *d = document_first(core, DOCUMENT_GRANT); d; d = d->hh.next) {
        const struct grant *grant = d->object;

        if (!names(grant, identity))
            continue;
        right_apply(&grant->right, caller);
        return true;
    }
    return false;
}

bool grant_uses_tenant(struct core *core, const char *tenant)
{
    for (const struct document *d = document_first(core, DOCUMENT_GRANT); d; d = d->hh.next)
        if (strcmp(((const struct grant *)d->object)->right.tenant, tenant) == 0)
            return true;
    return false;
}

/* Shown and changed ------------------------------------------------------------------------------------------------ */

/* A name with a typo would grant nothing, and nobody would see why. */
static int check_known(const json_t *body, struct fault *fault)
{
    struct grant user = {.text = body_text(body, "user")}, group = {.text = body_text(body, "group")};

    if (user.text)
        resolve_user(&user);
    if (group.text)
        resolve_group(&group);
    if (user.text && !user.known)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/user", "This machine has no user '%.64s'.", user.text);
    if (group.text && !group.known)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/group", "This machine has no group '%.64s'.", group.text);
    return 0;
}

int core_put_grant(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                   struct fault *fault)
{
    if (!text_is_name(name, CORE_ID_MAX))
        return fault_set(fault, FAULT_INVALID_ID, "A grant's name has 1 to %d letters, digits and . _ ~ -.",
                         CORE_ID_MAX);
    if (right_check_tenant(core, body, fault) || check_known(body, fault))
        return 1;
    return document_put(core, DOCUMENT_GRANT, name, body, done, arg, fault);
}

int core_remove_grant(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault)
{
    return document_remove(core, DOCUMENT_GRANT, name, done, arg, fault);
}

json_t *core_grant_json(struct core *core, const char *name)
{
    return trust_document_json(core, DOCUMENT_GRANT, name);
}

json_t *core_grants_json(struct core *core)
{
    return trust_documents_json(core, DOCUMENT_GRANT);
}
