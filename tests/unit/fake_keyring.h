#ifndef TC_TESTS_FAKE_KEYRING_H
#define TC_TESTS_FAKE_KEYRING_H

#include "core/keyring.h"

#include <uv.h>

/*
 * A keyring without a database, for tests of the southbound room: devices' credentials in memory; what would be a
 * commit is done at the next turn of the loop, or when the test says so.
 */

#define FAKE_STEP 8 /* sequence numbers that are reserved at once */

struct core {
    uv_loop_t *loop;
    uv_timer_t timer;
    struct security_port port;
    struct oscore_crypto *crypto;
    bool hold;    /* commits wait for fake_keyring_commit */
    int result;   /* of commits */
    bool pending; /* a commit is due */
    struct {
        struct credential *credential;
        struct oscore_context *context;
        struct list waiting;
    } renewal; /* one at a time */
    struct credential *reserving[8];
    unsigned reservations, renewals, verified;
    uint64_t next_number;
};

void fake_keyring_open(struct core *core, uv_loop_t *loop);
/* Frees all but the devices' credentials; the loop must run once more. */
void fake_keyring_close(struct core *core);
void fake_keyring_commit(struct core *core);

/* Another credential of a device, before or behind the others as its state asks for. The OSCORE inputs are the
 * gateway's; it has no sequence numbers yet. */
struct credential *fake_keyring_add(struct core *core, struct device *device, enum credential_kind kind,
                                    enum credential_state state, const struct oscore_credentials *inputs);
/* Revokes it: tells the port and frees it. */
void fake_keyring_revoke(struct core *core, struct credential *credential);
void fake_keyring_revoke_all(struct core *core, struct device *device);

/* Devices sleep (core/presence.h). */
extern bool fake_asleep;

#endif
