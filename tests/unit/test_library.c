#include "suite.h"
#include "tcgw/coapmsg.h"
#include "tcgw/metadata.h"
#include "tcgw/oscore.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static int sign_zero(void *arg, const uint8_t *data, size_t size, uint8_t signature[METADATA_SIGNATURE_SIZE])
{
    (void)arg;
    (void)data;
    (void)size;
    memset(signature, 0, METADATA_SIGNATURE_SIZE);
    return 0;
}

/* What an agent does: take a load apart, look at the metadata, refuse its signatures. */
START_TEST(load_reaches_an_agent)
{
    struct metadata md = {.uid = "door", .uid_length = 4, .type = CONTAINER_TYPE_WASM};
    struct metadata_tokens tokens;
    struct coapmsg request, received;
    const struct coapmsg_option *option;
    uint8_t metadata[METADATA_MAX_SIZE], datagram[METADATA_MAX_SIZE];
    static const uint8_t public_key[32] = {1};
    char reason[128];
    int size = metadata_build(&md, "", 0, "code", 4, sign_zero, NULL, metadata, sizeof metadata);

    coapmsg_init(&request, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add_path(&request, "/container/");
    coapmsg_add(&request, 65002, metadata, (size_t)size);
    ck_assert_int_eq(coapmsg_decode(&received, datagram, coapmsg_encode(&request, datagram, sizeof datagram)), 0);
    option = coapmsg_find(&received, 65002);
    ck_assert_ptr_nonnull(option);
    ck_assert_int_eq(metadata_parse(option->value, option->length, &md, &tokens, reason, sizeof reason), 0);
    ck_assert_str_eq(md.uid, "door");
    ck_assert_int_eq(metadata_verify(&tokens, public_key, "", 0, "code", 4), METADATA_E_SIGNATURE);
}
END_TEST

/* What docs/device-protocol.md says of the OSCORE engine, with an exchange of an agent and a gateway. */

static struct oscore_context *make_context(struct oscore_crypto *crypto, uint8_t own_id, uint8_t peer_id)
{
    struct oscore_credentials credentials = {.algorithm = OSCORE_AES_CCM_16_64_128,
                                             .secret_size = 16,
                                             .secret = "as enrolled....",
                                             .sender_id_size = 1,
                                             .sender_id = {own_id},
                                             .recipient_id_size = 1,
                                             .recipient_id = {peer_id}};
    struct oscore_window window = {.known = true}; /* a new context: nothing was received yet */
    struct oscore_context *context;

    if (oscore_context_new(&context, crypto, &credentials, NULL))
        return NULL;
    if (!oscore_context_set_sequence(context, 0, 64)) /* once flash says "64 used up" */
        return oscore_context_free(context);
    oscore_context_set_window(context, &window);
    return context;
}

/* Protects the answer; without a number for it nothing can be said. */
static size_t write_answer(struct oscore_context *context, struct oscore_binding *binding, const struct coapmsg *plain,
                           uint8_t *out, size_t size)
{
    struct coapmsg answer;
    uint8_t buffer[1280];

    if (oscore_protect_response(context, binding, plain, 0, &answer, buffer, sizeof buffer))
        return 0;
    return coapmsg_encode(&answer, out, size);
}

/* Answers a datagram; the length of the answer. */
static size_t serve(struct oscore_registry *registry, const void *datagram, size_t datagram_size, uint8_t *out,
                    size_t size)
{
    struct coapmsg outer, request, plain;
    struct oscore_context *context = NULL;
    struct oscore_option option;
    struct oscore_binding binding;
    uint8_t buffer[1280];
    int r;

    if (coapmsg_decode(&outer, datagram, datagram_size))
        return 0;
    r = oscore_message_option(&outer, &option);
    if (!r && option.kid)
        context = oscore_registry_find(registry, option.kid, option.kid_size, option.kid_context,
                                       option.kid_context_size, NULL);
    if (!r)
        r = context ? oscore_unprotect_request(context, &outer, &option, &binding, &request, buffer, sizeof buffer)
                    : OSCORE_E_CONTEXT;
    coapmsg_init(&plain, COAPMSG_ACK, r ? oscore_error_code(r) : COAPMSG_CONTENT);
    plain.id = outer.id;
    coapmsg_set_token(&plain, outer.token, outer.token_length);
    if (r) /* the error of section 8.2, unprotected; 0.00 where there is none: an empty ACK */
        return coapmsg_encode(&plain, out, size);
    coapmsg_set_payload(&plain, "21.5", 4);
    return write_answer(context, &binding, &plain, out, size);
}

START_TEST(protected_exchange)
{
    struct oscore_crypto *crypto;
    struct oscore_registry *registry;
    struct oscore_context *agent, *gateway;
    struct oscore_binding binding;
    struct coapmsg plain, protected, answer;
    uint8_t buffer[1280], opened[1280], request[1280], reply[1280];
    size_t size, length;

    ck_assert_int_eq(oscore_crypto_new(&crypto, 2), 0);
    ck_assert_int_eq(oscore_registry_new(&registry), 0);
    agent = make_context(crypto, 'a', 'g');
    gateway = make_context(crypto, 'g', 'a');
    ck_assert(agent && gateway);
    ck_assert_int_eq(oscore_registry_add(registry, agent), 0);

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    coapmsg_set_token(&plain, "T", 1);
    coapmsg_add_path(&plain, "/temperature");
    ck_assert_int_eq(oscore_protect_request(gateway, &plain, 0, &binding, &protected, buffer, sizeof buffer), 0);
    size = coapmsg_encode(&protected, request, sizeof request);
    length = serve(registry, request, size, reply, sizeof reply);
    ck_assert_int_eq(coapmsg_decode(&protected, reply, length), 0);
    ck_assert_int_eq(oscore_unprotect_response(gateway, &binding, &protected, &answer, opened, sizeof opened), 0);
    ck_assert_uint_eq(answer.code, COAPMSG_CONTENT);
    ck_assert_mem_eq(answer.payload, "21.5", 4);

    length = serve(registry, request, size, reply, sizeof reply); /* replayed */
    ck_assert_int_eq(coapmsg_decode(&answer, reply, length), 0);
    ck_assert_uint_eq(answer.code, COAPMSG_UNAUTHORIZED);

    oscore_registry_remove(registry, agent);
    oscore_context_free(agent);
    oscore_context_free(gateway);
    oscore_registry_free(registry);
    oscore_crypto_free(crypto);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("library");
    TCase *tc = tcase_create("library");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, load_reaches_an_agent);
    tcase_add_test(tc, protected_exchange);
    return suite_run(suite);
}
