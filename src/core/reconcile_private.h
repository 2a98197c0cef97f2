#ifndef TC_CORE_RECONCILE_PRIVATE_H
#define TC_CORE_RECONCILE_PRIVATE_H

#include "core/reconcile.h"

/* What the files of the reconciler share. */

#define ASK_TIMEOUT_MS 60000

enum stand {
    STAND_UNASKED,   /* nobody asked for it: the device has it all the same */
    STAND_BUSY,      /* an operation is at it */
    STAND_CONVERGED, /* until `at`, when the device is to be asked */
    STAND_ASK,       /* as desired as far as is known, and to be asked now */
    STAND_GIVEN_UP,  /* until something changes */
    STAND_LATER,     /* the next attempt is `at` */
    STAND_BLOCKED,   /* it needs `missing`, which does not run */
    STAND_HELD,      /* by an emergency stop, or the quarantine of its device; `at` as for STAND_CONVERGED */
    STAND_ASLEEP,    /* when the device is awake */
    STAND_DUE,
};

struct judgement {
    enum stand stand;
    int64_t at;       /* wall ms; 0: nothing is planned */
    const char *stop; /* the emergency stop that holds it; NULL: none */
    char missing[CORE_ID_MAX + 1];
};

struct judgement reconcile_judge(const struct container *container);
bool reconcile_is_as_desired(const struct container *container);

#endif
