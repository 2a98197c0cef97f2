#ifndef TC_TESTS_CONNECTED_FIXTURE_H
#define TC_TESTS_CONNECTED_FIXTURE_H

#include "coap/endpoint.h"
#include "codec/ca.h"

#include "core/keyring.h"

#include <check.h>

/* The gateway and a device, both with an endpoint of their own, on one loop and on loopback. */

#define SENT_MAX 2048

struct connected_gateway {
    struct endpoint *endpoint;
    struct endpoint_options options;
    unsigned requests;
    char identity[64]; /* of the last request; "-": none */
    bool has_fingerprint;
    struct peer peer;
    uint8_t code, payload[SENT_MAX];
    size_t payload_size;
    char path[64], options_seen[64]; /* its option numbers, as text */
    uint8_t token[8], token_length;
    struct incoming *held;
    void (*script)(struct incoming *incoming); /* NULL: 2.04 with the payload at once */
    unsigned notified;
    int notified_event;
};

struct connected_device {
    struct endpoint *endpoint;
    struct endpoint_options options;
    unsigned responses, events;
    uint8_t code, payload[SENT_MAX];
    size_t payload_size;
    bool separate, has_observe;
    enum channel_event event;
    bool closed;
    void (*script)(void); /* called in both callbacks */
};

struct connected {
    uv_loop_t loop;
    struct connected_gateway gateway;
    struct connected_device device;
    char directory[64];
    struct ca *ca;
    unsigned closed;
};

extern struct connected connected;

/* What the gateway knows. */
struct known_psk {
    const char *identity, *key;
};
extern struct known_psk known[4];
extern bool device_is_trusted;                     /* its certificate */
extern const struct channel_security box_1, box_2; /* with the keys that the gateway knows */
extern const struct channel_security by_certificate;

void connected_set_up(void);
void connected_tear_down(void);
TCase *connected_case(const char *name);

/* A file in the directory with a certificate and its key of the gateway's authority. Returns its path. */
char *connected_issue(const char *common_name);
/* Made with these certificates (NULL: none). */
void connected_open_gateway(bool with_certificates);
void connected_open_device(const char *pem_path);
/* Serves a transport and returns its address. */
const char *connected_serve(enum peer_transport transport);

struct channel *connected_open(const char *address, const struct channel_security *security);
/* Sends a request with a path ("" or "/a/b") and a text. */
void connected_send(struct channel *channel, uint8_t code, const char *path, const char *text);
/* The same with a payload. */
void connected_send_bytes(struct channel *channel, uint8_t code, const char *path, const void *data, size_t size);
bool connected_run(const unsigned *count, unsigned wanted, int64_t ms); /* until there are as many */
void connected_run_for(int64_t ms);
/* A PUT of "hello" to /a that is answered with an echo. */
void connected_check_works(struct channel *channel, const char *identity);
/* A request that is never answered because of this. */
void connected_check_fails(const char *address, const struct channel_security *security, enum channel_event event);

/* Carries datagrams between a device and the gateway, and can lose them. */
struct relay {
    uv_udp_t front, back;
    struct sockaddr_in device, gateway;
    unsigned lose_to_device, lose_to_gateway; /* so many of the next */
    unsigned to_device, to_gateway;
};
const char *relay_open(struct relay *relay, enum peer_transport transport);
void relay_address(const struct relay *relay, char out[64]); /* of its device side */
void relay_close(struct relay *relay);

#endif
