#ifndef TC_COAP_SERVER_PRIVATE_H
#define TC_COAP_SERVER_PRIVATE_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/log.h"
#include "coap/block_server.h"
#include "coap/endpoint.h"
#include "coap/limiter.h"
#include "coap/link.h"
#include "coap/observers.h"
#include "coap/proof.h"
#include "coap/server.h"
#include "coap/update.h"
#include "codec/senml.h"
#include "core/core.h"
#include "core/keyring.h"

/*
 * The way of a request: server_request -> unprotect.c (whose is it?) -> server_dispatch (may he? which resource? all
 * blocks?) -> a resource's handler -> inbound_reply, at once or later -> blocks, protection, incoming_answer.
 */

#define SERVER_HELD_MAX 1024  /* requests that wait for something */
#define SERVER_HELD_SLOTS 256 /* credentials share so many counters of held requests */
#define SERVER_HELD_PER_SLOT 32
#define SERVER_CANDIDATES 4                 /* contexts that are tried for one request */
#define SERVER_MESSAGE_MAX (UINT16_MAX + 1) /* bytes of a datagram, and of what is in it */

#define LOOKUPS_KEPT 4 /* answers of the directory to strangers */

struct resource;

/* An answer of the directory that a stranger is getting block by block. */
struct lookup_kept {
    bool endpoints;
    char *query;      /* NULL: none */
    uint64_t changes; /* directory_stats.changes when it was made */
    struct buffer links;
};

struct server {
    struct server_options options;
    struct core *core;
    struct endpoint *endpoint;
    int64_t quiet_until; /* monotonic ms (server_options.quiet_ms) */
    struct block_server *blocks, *outer_blocks;
    struct proof proof;
    struct limiter strangers;   /* what is sent to somebody who is not authenticated */
    struct limiter derivations; /* contexts derived for somebody who is not authenticated */
    struct limiter challenges;  /* Echo, by credential */
    struct limiter lookups;     /* in the directory, by somebody who is not authenticated */
    struct lookup_kept lookups_kept[LOOKUPS_KEPT];
    unsigned lookup_next; /* whose place the next one takes */
    struct observers observers;
    struct list held; /* inbound.node of all requests under way */
    uint16_t held_by[SERVER_HELD_SLOTS];
    uv_timer_t timer; /* observers' */
    struct server_stats stats;
    struct senml_pack pack;  /* of the message that is being worked on */
    uint8_t *plain, *sealed; /* SERVER_MESSAGE_MAX bytes each, for the message that is being worked on */
    uint32_t due;            /* callbacks of the core that will come */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* A request from its arrival to its answer. */
struct inbound {
    struct list node;
    struct server *server;
    struct incoming *incoming; /* NULL: answered or dropped */
    uint64_t number;           /* of the credential, or of the device that has none; 0: nobody */
    struct credential *credential;
    struct device *device;       /* whose it is: by the credential, or by the address of one that may be used without
                                    protection; NULL: nobody. Good until control goes back to the loop */
    char payer[CORE_ID_MAX + 1]; /* the device whose budget it counts for; empty: nobody's */
    const struct resource *resource;
    struct block_exchange blocks;
    struct coapmsg_block outer_block; /* of the last outer block */
    bool in_outer_blocks;
    bool is_protected;      /* with OSCORE */
    bool is_due;            /* a callback of the core will come, and frees this when it has ended meanwhile */
    bool is_authentic;      /* its answer is kept for retransmissions */
    bool is_renewing;       /* waits for keyring_renew */
    struct link_place turn; /* on the device's link, for what waits for the link's bytes per second */
    bool is_expected; /* not authentic, but what it gets was offered to that address: not limited as for strangers */

    struct oscore_binding binding;
    unsigned flags; /* of oscore_protect_response */
    struct reservation reservation;
    uint8_t *message; /* while it waits: the plain request or the plain answer, encoded */
    size_t message_size;

    bool creates;       /* a PUT of what was not there before */
    bool wants_observe; /* Observe 0 to a resource that can be observed */
    int accept;         /* -1: none */
    uint64_t revision;  /* of the representation that is answered */
    uint8_t token[COAPMSG_MAX_TOKEN], token_length;
    uint16_t message_id;
    bool is_confirmable;
};

/* server.c --------------------------------------------------------------------------------------------------------- */

/* Has observers_run called every second. */
void server_watch(struct server *server);
/* The server must stay until a callback of the core came. */
void server_await(struct server *server);
void server_came(struct server *server);

/* Goes on with the plain request of a caller who is known by now, as far as there is one. */
void server_dispatch(struct inbound *in, const struct coapmsg *request);
/* inbound.c -------------------------------------------------------------------------------------------------------- */

/* NULL: too many are under way, or there is no memory. */
struct inbound *inbound_begin(struct server *server, struct incoming *incoming, const struct coapmsg *request);
/* The device that has no credentials and may be used so, at the address of the request; NULL: none. */
struct device *inbound_find_plain(const struct inbound *in);
/* Whose it is then: what it does counts as if it were proven.
 * As inbound_set_credential. */
bool inbound_set_plain(struct inbound *in, struct device *device) must_check;
/* What is inside goes to the trace of its device, if there is one, with what the outside says. */
void inbound_trace(const struct inbound *in, bool sent, const struct coapmsg *message);
/* Each of these ends the request: `in` is gone then, but for the callback that is due. */
void inbound_reply(struct inbound *in, struct coapmsg *response);
void inbound_reply_text(struct inbound *in, uint8_t code, const char *diagnostic); /* static text, or copied before */
/* An unprotected error to somebody who is not authenticated: Max-Age 0, not kept, limited in rate. */
void inbound_refuse(struct inbound *in, uint8_t code, const char *diagnostic);
void inbound_drop(struct inbound *in, bool keep);
/* Protects the answer as it is, without blocks. */
void inbound_send(struct inbound *in, struct coapmsg *response);
/* Sends it as it is. */
void inbound_deliver(struct inbound *in, struct coapmsg *response);
/* Whether the device may ask so much (budget.h), and who pays for the answer; it is answered here otherwise. */
bool inbound_take_budget(struct inbound *in, const char *payer, const struct coapmsg *request) must_check;
/* Keeps a message while something is waited for. False when out of memory. */
bool inbound_hold(struct inbound *in, const struct coapmsg *message) must_check;
/* A callback of the core will come. */
void inbound_await(struct inbound *in);
/* It came, or will not; false when nobody waits for it any more, and `in` is gone then. */
bool inbound_came(struct inbound *in);
/* Who it is. Counts what it has under way; false when that is too much. */
bool inbound_set_credential(struct inbound *in, struct credential *credential) must_check;
/* An authentic request of the credential, which is not a repetition. */
void inbound_verified(struct inbound *in);

/* unprotect.c, renewal_server.c --------------------------------------------------------------------------------------
 */

/* A request with an OSCORE option. */
void unprotect_take(struct inbound *in, const struct coapmsg *outer);
/* What is in a kid context that is a CBOR byte string, not an empty one; false when it is none. */
bool unprotect_unwrap(const struct oscore_option *option, const uint8_t **value, size_t *size) must_check;
/* Appendix B.2 of RFC 8613, for a request whose kid context belongs to no context. False when it is not part of it. */
bool renewal_take(struct inbound *in, const struct coapmsg *outer, const struct oscore_option *option) must_check;
/* Answers with the first response of Appendix B.2: the credential's context cannot be used any more. The binding is
 * that of the request. */
void renewal_offer(struct inbound *in, struct credential *credential);

/* resources.c --------------------------------------------------------------------------------------------------------
 */

typedef void (*resource_fn)(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);

struct resource {
    const char *path;
    const char *type;  /* rt; NULL: not listed */
    bool is_open;      /* needs no identity */
    bool is_tree;      /* what is below its path, too */
    bool allows_plain; /* devices that may be used without protection may use it */
    bool is_observable;
    size_t counter; /* offset in struct server_stats */
    resource_fn get, post, put, remove;
};

/* NULL when there is none. */
const struct resource *resource_find(const struct coapmsg *request);
/* NULL when all critical options are understood, else a static sentence. */
const char *resource_check_options(const struct coapmsg *request);
/* The code of a fault of the core. */
uint8_t resource_fault_code(const struct fault *fault);

/* resource_shadow.c --------------------------------------------------------------------------------------------------
 */

void shadow_get_desired(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);
void shadow_get_reported(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);
void shadow_put_reported(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);

/* resource_telemetry.c -----------------------------------------------------------------------------------------------
 */

void telemetry_post(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);
/* The origin (core/telemetry.h) that the protected request of `in` has as telemetry. */
uint64_t telemetry_protected_origin(const struct inbound *in);

/* resource_directory.c -----------------------------------------------------------------------------------------------
 */

void directory_post(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);
void directory_remove(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);
void directory_post_simple(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);
void directory_get_endpoints(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);
void directory_get_resources(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);
void directory_forget_lookups(struct server *server);

/* resource_update.c --------------------------------------------------------------------------------------------------
 */

void update_get_manifest(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);
void update_get_payload(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);

#define SHADOW_ETAG_MAX 8
/* The representation of a desired shadow, complete but for blocks and Observe; etag is room for the ETag. */
void shadow_describe(struct coapmsg *response, const struct shadow *shadow, const void *body,
                     uint8_t etag[SHADOW_ETAG_MAX]);

#endif
