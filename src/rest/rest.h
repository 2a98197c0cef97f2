#ifndef TC_REST_REST_H
#define TC_REST_REST_H

#include "core/core.h"

#include <uv.h>

/*
 * The northbound room's face: one route table, served on any number of listening sockets.
 */
struct rest;

struct rest_options {
    uv_loop_t *loop;
    struct core *core;
    struct store *store;
    const char *state_directory;
    const char *public_key_pem;  /* the gateway's Ed25519 key, SubjectPublicKeyInfo PEM */
    const uint8_t *public_key;   /* its 32 raw bytes */
    uint32_t max_connections;    /* over all listeners */
    uint32_t max_json_bytes;     /* body of a JSON request */
    uint64_t max_artifact_bytes; /* code and data of an upload together */
    uint32_t max_wait_s;         /* of Prefer: wait */
    uint32_t connection_timeout_s;
};

int rest_new(struct rest **out, const struct rest_options *options) must_check; /* negative errno */
/* Serves on a bound and listening socket (TCP or Unix), which is taken over. */
int rest_listen(struct rest *rest, int fd) must_check;
void rest_configure(struct rest *rest, const struct rest_options *options);
/* Accepts no further connection, answers what waits with FAULT_SHUTTING_DOWN, closes; closed is called at the end. */
void rest_close(struct rest *rest, void (*closed)(void *arg), void *arg);

#endif
