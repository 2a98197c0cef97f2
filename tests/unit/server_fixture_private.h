#ifndef TC_TESTS_SERVER_FIXTURE_PRIVATE_H
#define TC_TESTS_SERVER_FIXTURE_PRIVATE_H

#include "server_fixture.h"

/* What server_fixture*.c share: the core that is made up, and its callbacks that come later. */

struct core {
    struct oscore_registry *registry;
    struct oscore_crypto *crypto;
    void (*changed)(void *arg, struct device *device, enum shadow_kind kind);
    void *changed_arg;
};

extern struct core world_core;

struct later {
    void (*run)(struct later *later);
    struct gadget *gadget;
    enum shadow_kind kind;
    core_shadow_fn read;
    core_done_fn done;
    void *arg;
    struct fault fault;
    struct shadow shadow; /* to be stored, with body */
    uint8_t *body;
    struct list *waiting;
    struct oscore_context *context;
};

struct later *world_add_later(void (*run)(struct later *later));
void world_run_reservation(struct later *later);

#endif
