#ifndef TC_CORE_TRACE_H
#define TC_CORE_TRACE_H

#include "core/core.h"
#include "tcgw/coapmsg.h"

/*
 * What a device and the gateway say to each other, as it is inside of what protects it, for a limited time and of a few
 * devices: each has a ring of messages. Keys never pass here, since none is ever sent; what devices and containers are
 * sent does, which is why only those who manage devices may look.
 */

#define TRACE_DEVICES_MAX 8
#define TRACE_MESSAGES_MAX 1000
#define TRACE_BYTES_MAX (1u << 20) /* of a device's messages; the oldest go first */
#define TRACE_SECONDS_MAX 3600
#define TRACE_KEPT_MS 600000 /* after its end it can still be read for so long */

enum trace_guard { TRACE_PLAIN, TRACE_OSCORE, TRACE_SESSION, TRACE_GUARD_COUNT };
const char *trace_guard_name(enum trace_guard guard); /* "none", "oscore", "dtls" */

struct trace_message {
    struct list node;
    uint64_t number;  /* from 1 */
    int64_t time;     /* wall ms */
    bool sent;        /* by the gateway */
    bool is_reliable; /* went over TCP or TLS */
    enum trace_guard guard;
    char peer[CORE_ADDRESS_MAX + 1]; /* the device's address, as in peer_format */
    size_t size;
    uint8_t bytes[]; /* a datagram (RFC 7252 section 3) with the token and message ID of the outer message */
};

struct trace {
    int64_t begun, ends; /* wall ms */
    bool active;         /* messages are taken */
    uint64_t count;      /* of messages since the beginning, those included that were dropped for newer ones */
    struct list messages;
    size_t kept, bytes;
    struct device *device;
    struct timer timer;
};

/* Begins to trace a device, anew when it is traced already. FAULT_LIMIT_REACHED. Positive with a fault, or -ENOMEM. */
int core_trace_begin(struct device *device, uint32_t seconds, struct fault *fault) must_check;
/* Forgets it. Harmless when there is none. */
void core_trace_end(struct device *device);
/* NULL: there is none. Good until control goes back to the loop. */
const struct trace *core_trace_of(const struct device *device);

/* Whether any device is traced. */
bool core_traces_any(const struct core *core);

/* A message to or from a device. `outer` tells its type, message ID and token; it may be the message itself. Cheap when
 * the device is not traced. */
void trace_take(const struct device *device, bool sent, enum trace_guard guard, const char *peer,
                const struct coapmsg *message, const struct coapmsg *outer);

#define core_trace_message(device, ...)                                                                                \
    do {                                                                                                               \
        if ((device)->trace)                                                                                           \
            trace_take(device, __VA_ARGS__);                                                                           \
    } while (0)

#endif
