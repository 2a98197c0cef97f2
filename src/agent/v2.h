#ifndef TC_AGENT_V2_H
#define TC_AGENT_V2_H

#include "agent/device.h"
#include "agent/observers.h"
#include "agent/server.h"
#include "agent/upload.h"

/* The resources of a v2 agent (docs/device-protocol.md, section "Agent v2"). */

#define V2_ETAG_SIZE 8

struct v2 {
    struct device *device;
    const struct server_counters *traffic;
    size_t pdu_size;
    struct upload upload;
    uint64_t received; /* bytes that came for the package that was taken last */
    struct observers observers;
    uint8_t *body; /* room for the representation that is being given */
    size_t body_size;
    uint8_t tag[V2_ETAG_SIZE]; /* of the sensor that is being given */
    uint8_t *links;            /* of v2_keep_links */
    char *log;                 /* the log as the last reader's first block saw it */
    size_t log_size;
    char log_uid[METADATA_UID_MAX + 1];
    char reason[CONTAINER_REASON_SIZE]; /* the diagnostic payload of the last error */
};

/* Answers one request; a handler of server_ops. */
enum server_verdict v2_handle(struct v2 *v2, const struct peer *peer, const struct coapmsg *request,
                              struct coapmsg *response);

/* The revision of an observed resource; false when it does not exist any more. */
bool v2_revision(const struct v2 *v2, const struct observed_resource *resource, uint32_t *revision);

/* Makes the notification of an observer: the resource as GET gives it, or 4.04. */
void v2_notification(struct v2 *v2, struct observer *observer, struct coapmsg *response);

/* Forgets uploads, observers and the log's copy. */
void v2_clear(struct v2 *v2);

/* The representations (v2_maps.c); each returns the number of bytes, 0 when they did not fit. */
size_t v2_write_info(const struct v2 *v2, uint8_t *out, size_t size);
size_t v2_write_list(const struct v2 *v2, uint8_t *out, size_t size);
size_t v2_write_container(const struct device *d, const struct slot *slot, uint8_t *out, size_t size);
size_t v2_write_counters(const struct v2 *v2, uint8_t *out, size_t size);
/* The links of /.well-known/core that pass a filter "name=value" (RFC 6690 section 4.1); NULL: all. */
size_t v2_write_links(const struct v2 *v2, const char *filter, uint8_t *out, size_t size);
/* All of them, for a registration: they stay until the next call. NULL and 0 when there is no memory. */
const uint8_t *v2_keep_links(struct v2 *v2, size_t *size);

/* PUT of a package and of a data part (v2_put.c). */
enum server_verdict v2_put_package(struct v2 *v2, const struct peer *peer, const struct coapmsg *request,
                                   const char *uid, struct coapmsg *response);
void v2_put_data(struct v2 *v2, const struct peer *peer, const struct coapmsg *request, const char *uid,
                 struct coapmsg *response);

/* An error with a diagnostic text. */
void v2_refuse(struct v2 *v2, struct coapmsg *response, uint8_t code, const char *format, ...) printf_like(4, 5);

/* Gives a representation, or the block of it that the request asks for (RFC 7959 section 2.4). */
void v2_give(struct v2 *v2, const struct coapmsg *request, struct coapmsg *response, uint16_t format, const void *data,
             size_t size);

/* The simulated sensors as resources (v2_sensors.c); name is that of a sensor. */
#define V2_SENSORS "/sensors/"
void v2_give_sensor(struct v2 *v2, const char *name, const struct coapmsg *request, struct coapmsg *response);
/* Grows with every new value; and when it will (monotonic ms). */
uint32_t v2_sensor_revision(const struct v2 *v2);
int64_t v2_sensor_change(const struct v2 *v2);

/* The largest block (SZX) whose answer fits the PDU. */
uint8_t v2_max_szx(const struct v2 *v2);

#endif
