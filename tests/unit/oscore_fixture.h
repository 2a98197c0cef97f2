#ifndef TC_TESTS_OSCORE_FIXTURE_H
#define TC_TESTS_OSCORE_FIXTURE_H

#include "base/cleanup.h"
#include "tcgw/oscore.h"

#define FIXTURE_BUFFER 2048

/* A client and a server that share a Master Secret, with known empty windows and all sequence numbers. */
struct oscore_pair {
    struct oscore_crypto *crypto;
    struct oscore_context *client, *server;
};

/* Two ends of one context: Sender ID 'c' for the client, 's' for the server, no ID Context. */
void pair_init(struct oscore_pair *pair, enum oscore_algorithm algorithm);
void pair_free(struct oscore_pair *pair);
struct oscore_credentials pair_credentials(enum oscore_algorithm algorithm, const char *sender, const char *recipient);
struct oscore_context *pair_context(struct oscore_crypto *crypto, const struct oscore_credentials *credentials);

/* A protected message as it lies on the wire, and what was kept of it. */
struct sealed {
    uint8_t datagram[FIXTURE_BUFFER];
    size_t size;
    struct oscore_binding binding; /* the sender's */
};

/* Protect and encode; they fail the test when that does not work. */
void seal_request(struct oscore_context *client, const struct coapmsg *plain, unsigned flags, struct sealed *out);
void seal_response(struct oscore_context *server, struct oscore_binding *binding, const struct coapmsg *plain,
                   unsigned flags, struct sealed *out);

/* An opened message with its memory. */
struct opened {
    struct coapmsg outer, msg;
    uint8_t buffer[FIXTURE_BUFFER];
    struct oscore_binding binding;
};

/* Decode and unprotect a datagram: the result, or -1 when it is not even a CoAP message. */
int open_request(struct oscore_context *server, const void *datagram, size_t size, struct opened *out);
/* The same for a response, with the binding of the request. */
int open_response(struct oscore_context *client, struct oscore_binding *binding, const void *datagram, size_t size,
                  struct opened *out);

/* A request with a few options and a payload, and a response. */
void plain_request(struct coapmsg *msg);
void plain_response(struct coapmsg *msg);
/* Whether code, options and payload are the same. */
bool same_content(const struct coapmsg *a, const struct coapmsg *b);

struct oscore_window window_of(const struct oscore_context *context);

#endif
