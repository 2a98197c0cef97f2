#ifndef TC_CORE_ACCESS_PRIVATE_H
#define TC_CORE_ACCESS_PRIVATE_H

#include "core/access.h"
#include "core/document.h"

/* What access.c, tenant.c, grant.c and bearer.c share, and what the table of documents has of them. */

int tenant_parse(struct core *core, const char *name, json_t *body, void **object, struct fault *fault);
int grant_parse(struct core *core, const char *name, json_t *body, void **object, struct fault *fault);
int bearer_parse(struct core *core, const char *name, json_t *body, void **object, struct fault *fault);

/* What a role and a tenant are in the body of a grant or a token. */
struct right {
    enum role role;
    char tenant[TENANT_NAME_MAX + 1];
};
/* The members "role" and "tenant", which are texts already. 0, or 1 with FAULT_INVALID_FIELD. */
int right_read(struct right *right, const json_t *body, struct fault *fault) must_check;
/* FAULT_INVALID_FIELD when there is no such tenant. */
int right_check_tenant(const struct core *core, const json_t *body, struct fault *fault) must_check;
void right_apply(const struct right *right, struct caller *caller);
/* Whether a grant or a token of this kind is bound to the tenant. */
bool grant_uses_tenant(struct core *core, const char *tenant);
bool bearer_uses_tenant(struct core *core, const char *tenant);

#endif
