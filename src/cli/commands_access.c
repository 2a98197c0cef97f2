#include "cli/commands.h"
#include "cli/handlers.h"
#include "cli/options.h"

/* Who may do what. */

#define ROLES "ROLE is viewer, publisher, operator, platform or owner. "

const struct command commands_access[] = {
    {"whoami",
     "",
     {NULL},
     "show who the gateway takes you for, and what you may do",
     NULL,
     "  tcgw whoami\n",
     access_whoami},
    {"token list", "", {NULL}, "list the tokens, without secrets", NULL, "  tcgw token list\n", token_list},
    {"token show", "NAME", {NULL}, "show a token, without its secret", NULL, "  tcgw token show ci\n", token_show},
    {"token add",
     "NAME ROLE",
     {token_options},
     "make a token, and print its secret",
     ROLES "The gateway keeps a hash of the secret only: nobody can show it again.",
     "  tcgw token add ci publisher --expires 30d > ci.token\n"
     "  tcgw token add anna operator --tenant north\n",
     token_add},
    {"token remove",
     "NAME",
     {NULL},
     "revoke a token",
     "It is refused from then on, and event streams that were opened with it end.",
     "  tcgw token remove ci\n",
     token_remove},
    {"grant list", "", {NULL}, "list the grants", NULL, "  tcgw grant list\n", grant_list},
    {"grant show", "NAME", {NULL}, "show a grant", NULL, "  tcgw grant show admins\n", grant_show},
    {"grant set",
     "NAME ROLE",
     {grant_options},
     "say who has which role",
     ROLES
     "One of the options names who: on the Unix socket, by a client certificate, by a claim of a JWT, or commands "
     "of a sink. Of several grants that name a caller the first by name counts.",
     "  tcgw grant set admins operator --group adm\n"
     "  tcgw grant set cloud operator --claim roles --value tcgw-ops\n",
     grant_set},
    {"grant remove", "NAME", {NULL}, "remove a grant", NULL, "  tcgw grant remove admins\n", grant_remove},
    {"tenant list", "", {NULL}, "list the tenants", NULL, "  tcgw tenant list\n", tenant_list},
    {"tenant show", "NAME", {NULL}, "show a tenant", NULL, "  tcgw tenant show north\n", tenant_show},
    {"tenant set",
     "NAME",
     {tenant_options},
     "say which devices and names a tenant has",
     "Callers of a tenant find the devices of its groups only, and of artifacts, releases, services and rollouts those "
     "with a name of its patterns.",
     "  tcgw tenant set north --group north --artifact 'north-*'\n",
     tenant_set},
    {"tenant remove", "NAME", {NULL}, "remove a tenant", NULL, "  tcgw tenant remove north\n", tenant_remove},
};
const size_t commands_access_size = array_size(commands_access);
