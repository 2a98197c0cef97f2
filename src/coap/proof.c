#include "coap/proof.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#define HEAD_SIZE 4 /* of a value, before its MAC: the time, or the counter */
#define MAC_SIZE (PROOF_SIZE - HEAD_SIZE)
#define INPUT_MAX (1 + HEAD_SIZE + 8 + 8 + 1 + OSCORE_ID_CONTEXT_MAX)

int proof_init(struct proof *proof)
{
    proof->given = 0;
    return RAND_bytes(proof->key, sizeof proof->key) == 1 ? 0 : -EIO;
}

void proof_wipe(struct proof *proof)
{
    OPENSSL_cleanse(proof->key, sizeof proof->key);
}

/* What a MAC is made over. */
struct input {
    uint8_t bytes[INPUT_MAX];
    size_t size;
};

static void put(struct input *input, const void *data, size_t size)
{
    if (data && size)
        memcpy(input->bytes + input->size, data, size);
    input->size += size;
}

static void put_number(struct input *input, uint64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        input->bytes[input->size++] = (uint8_t)(number >> shift);
}

static void put_u32(uint8_t out[HEAD_SIZE], uint32_t value)
{
    for (size_t i = 0; i < HEAD_SIZE; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t in[HEAD_SIZE])
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static bool make_mac(const struct proof *proof, const struct input *input, uint8_t out[MAC_SIZE])
{
    uint8_t mac[EVP_MAX_MD_SIZE];

    if (!HMAC(EVP_sha256(), proof->key, sizeof proof->key, input->bytes, input->size, mac, NULL))
        return false;
    memcpy(out, mac, MAC_SIZE);
    return true;
}

static bool check_mac(const struct proof *proof, const struct input *input, const uint8_t *mac)
{
    uint8_t expected[MAC_SIZE];

    return make_mac(proof, input, expected) && CRYPTO_memcmp(expected, mac, MAC_SIZE) == 0;
}

/* Echo ------------------------------------------------------------------------------------------------------------- */

static struct input echo_input(const uint8_t time[HEAD_SIZE], uint64_t number)
{
    struct input input = {.size = 0};

    put(&input, "E", 1);
    put(&input, time, HEAD_SIZE);
    put_number(&input, number);
    return input;
}

bool proof_make_echo(const struct proof *proof, int64_t now_ms, uint64_t number, uint8_t out[PROOF_SIZE])
{
    struct input input;

    put_u32(out, (uint32_t)(now_ms / 1000));
    input = echo_input(out, number);
    return make_mac(proof, &input, out + HEAD_SIZE);
}

bool proof_check_echo(const struct proof *proof, int64_t now_ms, uint64_t number, const void *value, size_t size)
{
    const uint8_t *bytes = value;
    struct input input;

    if (size != PROOF_SIZE || (uint32_t)(now_ms / 1000) - get_u32(bytes) > PROOF_LIFETIME_MS / 1000)
        return false;
    input = echo_input(bytes, number);
    return check_mac(proof, &input, bytes + HEAD_SIZE);
}

/* R2 ----------------------------------------------------------------------------------------------------------------
 */

static struct input r2_input(const uint8_t head[HEAD_SIZE], int64_t slot, const struct proof_subject *subject)
{
    struct input input = {.size = 0};

    put(&input, "R", 1);
    put(&input, head, HEAD_SIZE);
    put_number(&input, (uint64_t)slot);
    put_number(&input, subject->number);
    put(&input, subject->id_context ? "\1" : "", 1);
    put(&input, subject->id_context, subject->id_context ? subject->id_context_size : 0);
    return input;
}

bool proof_make_r2(struct proof *proof, int64_t now_ms, const struct proof_subject *subject, uint8_t out[PROOF_SIZE])
{
    struct input input;

    /* After 2^32 values the counter begins anew, and with another key nothing that was given before is good. */
    if (++proof->given == 0 && proof_init(proof) < 0)
        return false;
    put_u32(out, proof->given);
    input = r2_input(out, now_ms / PROOF_LIFETIME_MS, subject);
    return make_mac(proof, &input, out + HEAD_SIZE);
}

bool proof_check_r2(const struct proof *proof, int64_t now_ms, const struct proof_subject *subject, const void *value,
                    size_t size)
{
    const uint8_t *bytes = value;

    if (size < PROOF_SIZE)
        return false;
    for (int64_t age = 0; age < 2; age++) {
        struct input input = r2_input(bytes, now_ms / PROOF_LIFETIME_MS - age, subject);

        if (check_mac(proof, &input, bytes + HEAD_SIZE))
            return true;
    }
    return false;
}
