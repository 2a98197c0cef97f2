#include "tcgw/oscore.h"

#include "base/cleanup.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * What OSCORE costs beside the bare AES-CCM-16-64-128 operation on the same bytes, with the key kept. The rounds of
 * both are interleaved. Prints one line of JSON per direction: operations per second of each round.
 *
 *     bench_oscore [ROUNDS]
 */

#define ROUNDS_MAX 99
#define BATCH 512
#define BATCHES 200 /* in a round: about 0.1 s */
#define PAYLOAD 48  /* makes a plain request of 64 bytes */
#define TAG 8
#define NONCE 13
#define AAD 21
#define BUFFER 192

enum { BARE_SEAL, PROTECT, BARE_OPEN, UNPROTECT, KINDS };

struct bench {
    struct oscore_crypto *crypto;
    struct oscore_context *client, *server;
    struct coapmsg plain;
    EVP_CIPHER_CTX *seal, *open;
    uint8_t text[BUFFER], sealed[BUFFER];
    size_t text_size;
    struct coapmsg protected[BATCH];
    uint8_t buffers[BATCH][BUFFER];
};

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    (void)fprintf(stderr, "bench_oscore: %s failed\n", what);
    exit(EXIT_FAILURE);
}

static struct oscore_context *make_context(struct oscore_crypto *crypto, uint8_t sender, uint8_t recipient)
{
    struct oscore_credentials credentials = {.algorithm = OSCORE_AES_CCM_16_64_128,
                                             .secret_size = 16,
                                             .sender_id_size = 1,
                                             .recipient_id_size = 1,
                                             .sender_id = {sender},
                                             .recipient_id = {recipient}};
    struct oscore_window window = {.known = true};
    struct oscore_context *context;

    require(oscore_context_new(&context, crypto, &credentials, NULL) == 0, "a context");
    require(oscore_context_set_sequence(context, 0, OSCORE_SEQUENCE_END), "a sequence");
    oscore_context_set_window(context, &window);
    return context;
}

static EVP_CIPHER_CTX *make_cipher(int sealing)
{
    static const uint8_t key[16] = {1};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-CCM", NULL);

    require(ctx && cipher && EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, sealing, NULL) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, NONCE, NULL) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, NULL) == 1 &&
                EVP_CipherInit_ex2(ctx, NULL, key, NULL, sealing, NULL) == 1,
            "a keyed cipher");
    EVP_CIPHER_free(cipher);
    return ctx;
}

static void setup(struct bench *b)
{
    static const uint8_t payload[PAYLOAD];

    require(oscore_crypto_new(&b->crypto, 16) == 0, "the library");
    b->client = make_context(b->crypto, 1, 2);
    b->server = make_context(b->crypto, 2, 1);
    b->seal = make_cipher(1);
    b->open = make_cipher(0);
    coapmsg_init(&b->plain, COAPMSG_CON, COAPMSG_POST);
    coapmsg_set_token(&b->plain, "abcd", 4);
    coapmsg_add_text(&b->plain, COAPMSG_OPT_URI_PATH, "tele");
    coapmsg_add_uint(&b->plain, COAPMSG_OPT_CONTENT_FORMAT, 112);
    coapmsg_set_payload(&b->plain, payload, sizeof payload);
    b->text_size = coapmsg_size(&b->plain) - 4 - 4 + 1; /* the code, but neither header nor token */
}

static void teardown(struct bench *b)
{
    EVP_CIPHER_CTX_free(b->seal);
    EVP_CIPHER_CTX_free(b->open);
    oscore_context_free(b->client);
    oscore_context_free(b->server);
    oscore_crypto_free(b->crypto);
}

static bool bare_begin(EVP_CIPHER_CTX *ctx, size_t text_size)
{
    static const uint8_t nonce[NONCE], aad[AAD];
    int done;

    return EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, -1, NULL) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &done, NULL, (int)text_size) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &done, aad, AAD) == 1;
}

static void bare_seal(struct bench *b)
{
    int done;

    for (size_t i = 0; i < BATCH; i++)
        require(bare_begin(b->seal, b->text_size) &&
                    EVP_CipherUpdate(b->seal, b->sealed, &done, b->text, (int)b->text_size) == 1 &&
                    EVP_CIPHER_CTX_ctrl(b->seal, EVP_CTRL_AEAD_GET_TAG, TAG, b->sealed + b->text_size) == 1,
                "sealing");
}

/* Opens what bare_seal made. */
static void bare_open(struct bench *b)
{
    int done;

    for (size_t i = 0; i < BATCH; i++)
        require(EVP_CIPHER_CTX_ctrl(b->open, EVP_CTRL_AEAD_SET_TAG, TAG, b->sealed + b->text_size) == 1 &&
                    bare_begin(b->open, b->text_size) &&
                    EVP_CipherUpdate(b->open, b->text, &done, b->sealed, (int)b->text_size) == 1,
                "opening");
}

static void protect(struct bench *b)
{
    struct oscore_binding binding;

    for (size_t i = 0; i < BATCH; i++)
        require(oscore_protect_request(b->client, &b->plain, 0, &binding, &b->protected[i], b -> buffers[i], BUFFER) ==
                    0,
                "protecting");
}

static void unprotect(struct bench *b)
{
    struct oscore_binding binding;
    struct oscore_option option;
    struct coapmsg out;
    uint8_t buffer[BUFFER];

    for (size_t i = 0; i < BATCH; i++)
        require(oscore_message_option(&b->protected[i], &option) == 0 &&
                    oscore_unprotect_request(b->server, &b->protected[i], &option, &binding, &out, buffer,
                                             sizeof buffer) == 0,
                "unprotecting");
}

static double seconds_of(void (*batch)(struct bench *), struct bench *b)
{
    struct timespec from, to;

    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    batch(b);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

static void run_round(struct bench *b, double rates[KINDS])
{
    double seconds[KINDS] = {0};

    for (unsigned i = 0; i < BATCHES; i++) {
        seconds[BARE_SEAL] += seconds_of(bare_seal, b);
        seconds[PROTECT] += seconds_of(protect, b);
        seconds[BARE_OPEN] += seconds_of(bare_open, b);
        seconds[UNPROTECT] += seconds_of(unprotect, b);
    }
    for (unsigned kind = 0; kind < KINDS; kind++)
        rates[kind] = (double)BATCH * BATCHES / seconds[kind];
}

static void print(const char *name, const char *what, double rates[][KINDS], unsigned rounds, unsigned kind)
{
    printf("\"%s_%s\": [", name, what);
    for (unsigned i = 0; i < rounds; i++)
        printf("%s%.0f", i ? ", " : "", rates[i][kind]);
    printf("]");
}

int main(int argc, char **argv)
{
    static struct bench b;
    static double rates[ROUNDS_MAX][KINDS];
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 9;

    if (rounds == 0 || rounds > ROUNDS_MAX)
        rounds = ROUNDS_MAX;
    setup(&b);
    for (unsigned i = 0; i < rounds; i++)
        run_round(&b, rates[i]);
    teardown(&b);
    printf("{\"size\": %zu, ", coapmsg_size(&b.plain));
    print("protect", "bare", rates, rounds, BARE_SEAL);
    printf(", ");
    print("protect", "oscore", rates, rounds, PROTECT);
    printf(", ");
    print("unprotect", "bare", rates, rounds, BARE_OPEN);
    printf(", ");
    print("unprotect", "oscore", rates, rounds, UNPROTECT);
    printf("}\n");
    return EXIT_SUCCESS;
}
