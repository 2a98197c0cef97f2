#ifndef TC_TESTS_SERVER_FIXTURE_H
#define TC_TESTS_SERVER_FIXTURE_H

#include "coap/server_private.h"
#include "codec/telemetry.h"

/*
 * The gateway's server with all around it made up: a message layer that hands requests over and keeps what is answered,
 * and a keyring and shadows in memory, whose callbacks come when world_run says so. The devices' side is the real
 * OSCORE engine, so that a test may send whatever an attacker could.
 */

#define WORLD_DEVICES 8
#define WORLD_DOCUMENT_MAX 70000
#define WORLD_LATER_MAX 4096

/* What became of a request. */
enum incoming_state { INCOMING_HELD, INCOMING_ANSWERED, INCOMING_DROPPED };

struct incoming {
    struct peer peer;
    const char *identity;
    const uint8_t *fingerprint;
    enum incoming_state state;
    bool keep;
    uint8_t token[COAPMSG_MAX_TOKEN], token_length;
    size_t size; /* of the answer */
    uint8_t answer[4096];
};

struct notice {
    struct list node;
    void *owner;
    bool cancelled, confirmable;
    struct peer peer;
    size_t size;
    uint8_t bytes[4096];
};

struct document {
    struct shadow shadow; /* revision 0: there is none */
    uint8_t body[WORLD_DOCUMENT_MAX];
};

struct gadget {
    struct device device;
    struct credential credential;
    struct oscore_context *client; /* its own side */
    struct oscore_binding binding; /* of its last request */
    struct peer peer;
    struct document documents[SHADOW_KIND_COUNT];
    unsigned verified;                  /* calls of keyring_verified */
    char address[CORE_ADDRESS_MAX + 1]; /* of the last that named one */
};

struct world {
    struct clock_manual clock;
    uv_loop_t loop;
    struct server *server;
    struct updates updates; /* that are pending */
    struct gadget *gadgets[WORLD_DEVICES];
    size_t count;
    struct list notices; /* in the order of sending */
    unsigned dropped_requests;
    char pending[CORE_ID_MAX + 1]; /* the last id that asked to join */
    bool join_is_open;
    enum fault_code put_fault; /* of the next writes */
    int read_result, reserve_result, renew_result;
    bool refuse_reads;
    bool hold_reservations; /* until a world_run without it */
    unsigned reserved;      /* calls of keyring_reserve */
    uint64_t puts, reads;
    /* telemetry */
    enum fault_code telemetry_fault, telemetry_result; /* of the next messages: at once, after the commit */
    struct device *telemetry_device;
    uint64_t telemetry_messages, telemetry_records, telemetry_origin;
    struct telemetry_record telemetry_last; /* its texts are gone, but for: */
    char telemetry_name[TELEMETRY_NAME_MAX + 1], telemetry_unit[TELEMETRY_UNIT_MAX + 1];
    uint64_t origins[8]; /* of messages of an earlier run */
    size_t origin_count;
    /* the directory */
    enum fault_code directory_fault, directory_result; /* of the next calls: at once, after the commit */
    char directory_call[16];                           /* the last one: "register", "update", ... */
    char directory_query[1200], directory_links[1200], directory_source[CORE_ADDRESS_MAX + 1];
    const struct device *directory_device;
    uint64_t directory_number; /* that a registration gets, or that was named */
    uint64_t directory_changes, directory_lookups;
    const char *directory_answer; /* of a lookup */
};

extern struct world world;

/* Window known and numbers reserved on both sides, as after a first exchange. */
void world_open(void);
void world_close(void);
/* A device with OSCORE credentials: kid "d0", "d1", ...; its ID Context is "ctx" when `with_context`. */
struct gadget *world_add(const char *id, bool with_context);
/* The gateway has restarted: it knows no window any more. */
void world_forget_window(struct gadget *gadget);
/* Gives what is left of an old world to a server that was started anew. */
void world_restart_server(void);
/* A session's credential instead of OSCORE. */
void world_use_psk(struct gadget *gadget, const char *identity);
void world_use_certificate(struct gadget *gadget, const char *common_name, uint8_t fingerprint); /* 32 times */
/* No credentials; it may be used plainly, at its address. */
void world_use_plain(struct gadget *gadget);
void world_revoke(struct gadget *gadget);
void world_write_desired(struct gadget *gadget, int format, const void *body, size_t size);
/* Runs the callbacks that are due, and those that come of them. */
void world_run(void);
struct server_stats world_stats(void);

/* A message as a datagram into out (4096 bytes). Returns its size; aborts when it cannot be. */
size_t world_encode(const struct coapmsg *msg, uint8_t *out);
/* Hands a datagram over; what came of it is in the result until incoming_reset or the end of the test. */
void world_send(struct incoming *to, const struct peer *peer, const void *datagram, size_t size);
/* Protects a request of a device and encodes it. */
size_t world_protect(struct gadget *gadget, const struct coapmsg *plain, unsigned flags, uint8_t *out);
/* Reads the answer, and opens it; result of oscore_unprotect_response. */
int world_open_answer(struct gadget *gadget, const struct incoming *from, struct coapmsg *plain);
/* The answer as it is; aborts when there is none. */
void world_read_answer(const struct incoming *from, struct coapmsg *outer);
/* All of it: protects, sends, lets the callbacks come, and opens the answer. Its code, or 0 when it is not there or
 * does not open. */
uint8_t world_exchange(struct gadget *gadget, const struct coapmsg *plain, struct coapmsg *answer);

struct notice *world_first_notice(void);                  /* not cancelled; NULL: none */
void world_take_notice(struct notice *notice, int event); /* tells what became of it */

#endif
