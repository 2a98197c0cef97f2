#include "tcgw/oscore.h"

#include "base/cleanup.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BUFFER 4096
#define FLIPS_MAX 8

static struct oscore_crypto *crypto;
static struct oscore_context *client, *server;

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct oscore_context *make(uint8_t sender, uint8_t recipient)
{
    struct oscore_credentials credentials = {.algorithm = OSCORE_AES_CCM_16_64_128,
                                             .secret_size = 16,
                                             .sender_id_size = 1,
                                             .recipient_id_size = 1,
                                             .sender_id = {sender},
                                             .recipient_id = {recipient}};
    struct oscore_context *context;

    require(oscore_context_new(&context, crypto, &credentials, NULL) == 0);
    require(oscore_context_set_sequence(context, 0, OSCORE_SEQUENCE_END));
    return context;
}

static void require_same(const struct coapmsg *a, const struct coapmsg *b)
{
    require(a->code == b->code && a->option_count == b->option_count && a->payload_size == b->payload_size);
    for (size_t i = 0; i < a->option_count; i++)
        require(a->options[i].number == b->options[i].number && a->options[i].length == b->options[i].length &&
                (!a->options[i].length || !memcmp(a->options[i].value, b->options[i].value, a->options[i].length)));
    require(!a->payload_size || memcmp(a->payload, b->payload, a->payload_size) == 0);
}

static int open(struct coapmsg *to, const uint8_t *datagram, size_t size, uint8_t *buffer)
{
    static const struct oscore_window window = {.known = true};
    struct oscore_binding binding;
    struct oscore_option option;
    struct coapmsg from;
    int r;

    oscore_context_set_window(server, &window);
    if (coapmsg_decode(&from, datagram, size))
        return -1;
    r = oscore_message_option(&from, &option);
    return r ? r : oscore_unprotect_request(server, &from, &option, &binding, to, buffer, BUFFER);
}

/* Whether a message has something that protecting it changes or that is told outside. */
static bool is_simple(const struct coapmsg *msg)
{
    static const uint16_t outer[] = {COAPMSG_OPT_URI_HOST, COAPMSG_OPT_URI_PORT,     COAPMSG_OPT_PROXY_URI,
                                     16 /* Hop-Limit */,   COAPMSG_OPT_PROXY_SCHEME, COAPMSG_OPT_OBSERVE};

    for (size_t i = 0; i < array_size(outer); i++)
        if (coapmsg_find(msg, outer[i]))
            return false;
    return true;
}

/* Changes a few bytes after header and token: the message does not open any more, unless it is what it was. */
static void open_changed(uint8_t *datagram, size_t size, size_t head, const uint8_t *flips, size_t count)
{
    uint8_t buffer[BUFFER], before[BUFFER];
    struct coapmsg to;

    memcpy(before, datagram, size);
    for (size_t i = 0; i + 2 < count; i += 3)
        datagram[head + (size_t)(flips[i] << 8 | flips[i + 1]) % (size - head)] ^= flips[i + 2];
    require(memcmp(before, datagram, size) == 0 || open(&to, datagram, size, buffer) != 0);
}

/* The first byte says how many changes follow; what is after them is a message: it is protected, opened, changed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t flips = size ? 3u * (data[0] % FLIPS_MAX) : 0, length;
    struct coapmsg plain, outer, to;
    struct oscore_binding binding;
    uint8_t buffer[BUFFER], datagram[BUFFER], opened[BUFFER];
    int r;

    if (!crypto) {
        require(oscore_crypto_new(&crypto, 2) == 0);
        client = make('c', 's');
        server = make('s', 'c');
    }
    if (size < 1 + flips || size > BUFFER / 2 || coapmsg_decode(&plain, data + 1 + flips, size - 1 - flips))
        return 0;
    if (oscore_protect_request(client, &plain, 0, &binding, &outer, buffer, sizeof buffer))
        return 0;
    length = coapmsg_encode(&outer, datagram, sizeof datagram);
    require(length > 0 && length <= size + OSCORE_OVERHEAD);
    r = open(&to, datagram, length, opened);
    require(r == 0 || (r == OSCORE_E_LIMIT && !is_simple(&plain))); /* a split URI has more options */
    if (!is_simple(&plain))
        return 0;
    require_same(&to, &plain);
    open_changed(datagram, length, 4u + plain.token_length, data + 1, flips);
    return 0;
}
