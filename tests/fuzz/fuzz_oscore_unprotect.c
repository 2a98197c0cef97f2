#include "oscore/context.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BUFFER 4096
#define ENDS 4

/* One context of each algorithm: ours, and what its peer keeps. */
static struct oscore_crypto *crypto;
static struct oscore_context *here[ENDS], *there[ENDS];

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct oscore_context *make(enum oscore_algorithm algorithm, uint8_t sender, uint8_t recipient)
{
    struct oscore_credentials credentials = {.algorithm = algorithm,
                                             .secret_size = 16,
                                             .sender_id_size = 1,
                                             .recipient_id_size = 1,
                                             .sender_id = {sender},
                                             .recipient_id = {recipient}};
    struct oscore_context *context;

    require(oscore_context_new(&context, crypto, &credentials, NULL) == 0);
    return context;
}

static void setup(void)
{
    static const enum oscore_algorithm algorithms[ENDS] = {OSCORE_AES_CCM_16_64_128, OSCORE_AES_CCM_16_128_128,
                                                           OSCORE_AES_GCM_128, OSCORE_CHACHA20_POLY1305};

    require(oscore_crypto_new(&crypto, ENDS) == 0); /* fewer than there are keys */
    for (size_t i = 0; i < ENDS; i++) {
        here[i] = make(algorithms[i], 'h', 't');
        there[i] = make(algorithms[i], 't', 'h');
    }
}

/* The datagram as it comes from the network: nothing of it is authentic, so that nothing may be accepted. */
static void open_forged(struct oscore_context *context, const uint8_t *data, size_t size)
{
    static const struct oscore_window window = {.known = true, .highest = 100, .seen = 0x5};
    struct oscore_window after;
    struct oscore_binding binding = {.kid = {'h'}, .kid_size = 1, .piv = {7}, .piv_size = 1, .observe = size & 1};
    struct oscore_option option;
    struct coapmsg msg, to;
    uint8_t buffer[BUFFER];

    oscore_context_set_window(context, &window);
    if (coapmsg_decode(&msg, data, size))
        return;
    require(oscore_unprotect_response(context, &binding, &msg, &to, buffer, sizeof buffer) != 0);
    if (oscore_message_option(&msg, &option) == 0)
        require(oscore_unprotect_request(context, &msg, &option, &binding, &to, buffer, sizeof buffer) != 0);
    oscore_context_get_window(context, &after);
    require(after.highest == window.highest && after.seen == window.seen);
}

/* The bytes as plaintext that the peer protected: authentic, but what it says may be anything. */
static void open_authentic(struct oscore_context *context, struct oscore_context *peer, const uint8_t *data,
                           size_t size)
{
    static const struct oscore_window window = {.known = true};
    static const uint8_t kid[] = {'t'}, piv[] = {9};
    struct oscore_binding binding = {.kid = {'t'}, .kid_size = 1, .piv = {9}, .piv_size = 1};
    struct oscore_option option = {.piv = piv, .piv_size = 1, .kid = kid, .kid_size = 1};
    uint8_t nonce[CRYPTO_NONCE_MAX], aad[CONTEXT_AAD_MAX], ciphertext[BUFFER + CRYPTO_TAG_MAX], buffer[BUFFER + 64];
    struct crypto_text text = {.aead = peer->aead,
                               .nonce = nonce,
                               .aad = aad,
                               .aad_size = context_aad(peer, &binding, aad),
                               .in = data,
                               .in_size = size};
    struct coapmsg msg, to;
    int r;

    context_nonce(peer, binding.kid, 1, binding.piv, 1, nonce);
    require(crypto_seal(crypto, &peer->sender, &text, ciphertext));
    oscore_context_set_window(context, &window);
    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add_text(&msg, COAPMSG_OPT_URI_HOST, "outside");
    coapmsg_add_text(&msg, COAPMSG_OPT_URI_PATH, "outside");
    coapmsg_set_payload(&msg, ciphertext, size + peer->aead->tag_size);
    r = oscore_unprotect_request(context, &msg, &option, &binding, &to, buffer, sizeof buffer);
    require(r == 0 || r == OSCORE_E_INNER || r == OSCORE_E_LIMIT);
    if (r == 0)
        require(COAPMSG_CLASS(to.code) == 0 && to.code && !coapmsg_find(&to, COAPMSG_OPT_OSCORE));
    require(oscore_unprotect_request(context, &msg, &option, &binding, &to, buffer, sizeof buffer) == OSCORE_E_REPLAY);
}

/* The first byte chooses the algorithm and what the rest is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t end;

    if (!crypto)
        setup();
    if (size < 2 || size > BUFFER)
        return 0;
    end = data[0] % ENDS;
    if (data[0] & 0x80)
        open_authentic(here[end], there[end], data + 1, size - 1);
    else
        open_forged(here[end], data + 1, size - 1);
    return 0;
}
