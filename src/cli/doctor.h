#ifndef TC_CLI_DOCTOR_H
#define TC_CLI_DOCTOR_H

#include "cli/command.h"
#include "cli/view.h"
#include "conf/conf.h"

/* tcgw doctor: what is looked at, and what was found. Each check writes at least one finding. */

enum doctor_mark { DOCTOR_OK, DOCTOR_SKIPPED, DOCTOR_WARNING, DOCTOR_ERROR, DOCTOR_MARK_COUNT };

struct doctor {
    struct cli *cli;
    const struct arguments *args;
    const char *check; /* that runs */
    struct conf *conf; /* of the gateway on this machine; NULL: it is on another one, or its file is not good */
    bool here;         /* the gateway is on this machine */
    bool reachable;
    json_t *findings; /* [{"check", "state", "detail", "advice"}] */
    unsigned counts[DOCTOR_MARK_COUNT];
};

/* A finding of the check that runs. advice may be NULL. */
void doctor_find(struct doctor *doctor, enum doctor_mark mark, const char *advice, const char *format, ...)
    printf_like(4, 5);

/* GET from the gateway, *out is a new reference; what is refused becomes a finding, and so does a gateway that is gone.
 * The path is taken over. */
bool doctor_get(struct doctor *doctor, char *path, json_t **out) must_check;

/* doctor_host.c: of this machine */
void doctor_check_configuration(struct doctor *doctor);
void doctor_check_own_clock(struct doctor *doctor);
void doctor_check_disk(struct doctor *doctor);
void doctor_check_network(struct doctor *doctor);
void doctor_check_multicast(struct doctor *doctor);
void doctor_check_certificates(struct doctor *doctor);

/* doctor_gateway.c: what the gateway tells */
void doctor_check_gateway(struct doctor *doctor);
void doctor_check_clock(struct doctor *doctor);
void doctor_check_database(struct doctor *doctor);
void doctor_check_storage(struct doctor *doctor);
void doctor_check_uplink(struct doctor *doctor);
void doctor_check_devices(struct doctor *doctor);

/* All of them; findings in doctor->findings. The caller ends it with doctor_clear. */
void doctor_examine(struct doctor *doctor, struct cli *cli, const struct arguments *args);
void doctor_clear(struct doctor *doctor);

#endif
