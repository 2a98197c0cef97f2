#include "suite.h"
#include "tcgw/coapmsg.h"
#include "tcgw/metadata.h"

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

int main(void)
{
    Suite *suite = suite_create("library");
    TCase *tc = tcase_create("library");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, load_reaches_an_agent);
    return suite_run(suite);
}
