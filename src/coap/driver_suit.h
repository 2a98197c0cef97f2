#ifndef TC_COAP_DRIVER_SUIT_H
#define TC_COAP_DRIVER_SUIT_H

#include "coap/task.h"
#include "codec/suit.h"

/* What the driver of SUIT devices knows of manifests (docs/device-protocol.md section 9.2). Private to it. */

#define SUIT_BOARD_MAX 63
#define SUIT_TRIGGER_MAX 63 /* bytes of a URL with its NUL that every build of RIOT takes */
#define SUIT_VERSION_IETF "suit ietf"
#define SUIT_VERSION_RIOT "suit riot"

/* The dialect that a device takes, as the probe found it. */
enum suit_dialect suit_dialect_of(const struct device *device);

/* As agent_port.check. */
int suit_check(const struct device *device, const char *uid, const struct artifact *artifact,
               struct fault *fault) must_check;

/* What a manifest is made of, or has to fit. */
struct suit_plan {
    const struct agent_call *call;
    const char *board;    /* empty: not told */
    uint64_t version;     /* the highest number that the device tells */
    bool has_version;     /* it tells one */
    const char *own_host; /* "[fd00::1]:5684": where the device reaches us */
};

/* The payload of a load: a part of the artifact, with the digest that its artifact says. */
void suit_payload(const struct agent_call *call, const uint8_t **bytes, size_t *size, const char **digest);

/* Makes the manifest of a load, or takes the one that was uploaded, into the update. AGENT_OK, or why not with a
 * sentence. */
enum agent_outcome suit_prepare(const struct suit_plan *plan, EVP_PKEY *key, struct update *update, char *reason,
                                size_t reason_size) must_check;

/* The URL of the update's manifest into out, with its NUL; its size, which is SUIT_TRIGGER_MAX at most. */
size_t suit_trigger_url(const struct update *update, const char *own_host, char out[SUIT_TRIGGER_MAX]);

/* "192.0.2.1:5684", "[fd00::1]": our own address as a device at `peer` sees it, without the default port. False when
 * there is none. */
bool suit_own_host(const struct peer *peer, uint16_t port, char *out, size_t size) must_check;

#endif
