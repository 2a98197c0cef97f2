#include "oscore_fixture.h"

#include <check.h>
#include <string.h>

struct oscore_credentials pair_credentials(enum oscore_algorithm algorithm, const char *sender, const char *recipient)
{
    struct oscore_credentials credentials = {.algorithm = algorithm, .secret_size = 16, .salt_size = 8};

    for (uint8_t i = 0; i < credentials.secret_size; i++)
        credentials.secret[i] = (uint8_t)(0xa0 + i);
    memset(credentials.salt, 0x55, credentials.salt_size);
    credentials.sender_id_size = (uint8_t)strlen(sender);
    memcpy(credentials.sender_id, sender, credentials.sender_id_size);
    credentials.recipient_id_size = (uint8_t)strlen(recipient);
    memcpy(credentials.recipient_id, recipient, credentials.recipient_id_size);
    return credentials;
}

struct oscore_context *pair_context(struct oscore_crypto *crypto, const struct oscore_credentials *credentials)
{
    struct oscore_window window = {.known = true};
    struct oscore_context *context;

    ck_assert_int_eq(oscore_context_new(&context, crypto, credentials, NULL), 0);
    ck_assert(oscore_context_set_sequence(context, 0, OSCORE_SEQUENCE_END));
    oscore_context_set_window(context, &window);
    return context;
}

void pair_init(struct oscore_pair *pair, enum oscore_algorithm algorithm)
{
    struct oscore_credentials client = pair_credentials(algorithm, "c", "s");
    struct oscore_credentials server = pair_credentials(algorithm, "s", "c");

    ck_assert_int_eq(oscore_crypto_new(&pair->crypto, 4), 0);
    pair->client = pair_context(pair->crypto, &client);
    pair->server = pair_context(pair->crypto, &server);
}

void pair_free(struct oscore_pair *pair)
{
    pair->client = oscore_context_free(pair->client);
    pair->server = oscore_context_free(pair->server);
    pair->crypto = oscore_crypto_free(pair->crypto);
}

static void encode(const struct coapmsg *msg, struct sealed *out)
{
    out->size = coapmsg_encode(msg, out->datagram, sizeof out->datagram);
    ck_assert_uint_gt(out->size, 0);
}

void seal_request(struct oscore_context *client, const struct coapmsg *plain, unsigned flags, struct sealed *out)
{
    uint8_t buffer[FIXTURE_BUFFER];
    struct coapmsg msg;

    ck_assert_int_eq(oscore_protect_request(client, plain, flags, &out->binding, &msg, buffer,
                                            coapmsg_size(plain) + OSCORE_OVERHEAD),
                     0);
    encode(&msg, out);
    ck_assert_uint_le(out->size, coapmsg_size(plain) + OSCORE_OVERHEAD);
}

void seal_response(struct oscore_context *server, struct oscore_binding *binding, const struct coapmsg *plain,
                   unsigned flags, struct sealed *out)
{
    uint8_t buffer[FIXTURE_BUFFER];
    struct coapmsg msg;

    ck_assert_int_eq(
        oscore_protect_response(server, binding, plain, flags, &msg, buffer, coapmsg_size(plain) + OSCORE_OVERHEAD), 0);
    out->binding = *binding;
    encode(&msg, out);
    ck_assert_uint_le(out->size, coapmsg_size(plain) + OSCORE_OVERHEAD);
}

/* The buffer need not be longer than the datagram. */
int open_request(struct oscore_context *server, const void *datagram, size_t size, struct opened *out)
{
    struct oscore_option option;
    int r;

    if (coapmsg_decode(&out->outer, datagram, size))
        return -1;
    r = oscore_message_option(&out->outer, &option);
    return r ? r
             : oscore_unprotect_request(server, &out->outer, &option, &out->binding, &out->msg, out->buffer,
                                        size < sizeof out->buffer ? size : sizeof out->buffer);
}

int open_response(struct oscore_context *client, struct oscore_binding *binding, const void *datagram, size_t size,
                  struct opened *out)
{
    if (coapmsg_decode(&out->outer, datagram, size))
        return -1;
    return oscore_unprotect_response(client, binding, &out->outer, &out->msg, out->buffer,
                                     size < sizeof out->buffer ? size : sizeof out->buffer);
}

void plain_request(struct coapmsg *msg)
{
    coapmsg_init(msg, COAPMSG_CON, COAPMSG_PUT);
    msg->id = 0x1234;
    coapmsg_set_token(msg, "\x11\x22\x33\x44", 4);
    coapmsg_add_text(msg, COAPMSG_OPT_URI_PATH, "shadow");
    coapmsg_add_text(msg, COAPMSG_OPT_URI_PATH, "reported");
    coapmsg_add_uint(msg, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_JSON);
    coapmsg_set_payload(msg, "{\"led\":true}", 12);
}

void plain_response(struct coapmsg *msg)
{
    coapmsg_init(msg, COAPMSG_ACK, COAPMSG_CONTENT);
    msg->id = 0x1234;
    coapmsg_set_token(msg, "\x11\x22\x33\x44", 4);
    coapmsg_add_uint(msg, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_TEXT);
    coapmsg_set_payload(msg, "21.5 C", 6);
}

bool same_content(const struct coapmsg *a, const struct coapmsg *b)
{
    if (a->code != b->code || a->option_count != b->option_count || a->payload_size != b->payload_size)
        return false;
    for (size_t i = 0; i < a->option_count; i++) {
        const struct coapmsg_option *x = &a->options[i], *y = &b->options[i];

        if (x->number != y->number || x->length != y->length ||
            (x->length && memcmp(x->value, y->value, x->length) != 0))
            return false;
    }
    return !a->payload_size || memcmp(a->payload, b->payload, a->payload_size) == 0;
}

struct oscore_window window_of(const struct oscore_context *context)
{
    struct oscore_window window;

    oscore_context_get_window(context, &window);
    return window;
}
