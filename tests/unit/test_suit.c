#include "base/text.h"
#include "codec/cborio.h"
#include "codec/suit.h"
#include "suite.h"

#include <jansson.h>
#include <openssl/pem.h>
#include <string.h>

#define RIOT_FILE SHARED_VECTORS "/suit_riot_dialect_vectors.json"
#define IETF_FILE SHARED_VECTORS "/suit_manifest_draft37_examples.json"
#define BYTES_MAX 4096

static char reason[256];
static struct suit_manifest m;
static json_t *riot, *ietf; /* NULL: the files are not there */
static EVP_PKEY *ed25519, *p256, *stranger;

static size_t unhex(const char *text, uint8_t *out)
{
    size_t size = strlen(text) / 2;

    ck_assert_uint_le(size, BYTES_MAX);
    ck_assert(text_unhex(text, out, size));
    return size;
}

static const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    ck_assert_msg(text != NULL, "no %s", name);
    return text;
}

static void set_up(void)
{
    uint8_t seed[32];

    for (unsigned i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    riot = json_load_file(RIOT_FILE, 0, NULL);
    ietf = json_load_file(IETF_FILE, 0, NULL);
    ed25519 = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    stranger = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    p256 = EVP_EC_gen("P-256");
    reason[0] = 0;
}

static void tear_down(void)
{
    json_decref(riot);
    json_decref(ietf);
    EVP_PKEY_free(ed25519);
    EVP_PKEY_free(stranger);
    EVP_PKEY_free(p256);
}

static void parse(const void *data, size_t size)
{
    ck_assert_msg(suit_parse(&m, data, size, reason, sizeof reason) == 0, "%s", reason);
}

/* What we make of a parsed manifest. */
static void make(struct buffer *out, EVP_PKEY *key)
{
    struct suit_manifest copy = m;

    ck_assert_msg(suit_make(out, &copy, key, reason, sizeof reason) == 0, "%s", reason);
}

static void assert_bytes(const struct buffer *b, const char *hex)
{
    uint8_t expected[BYTES_MAX];
    size_t size = unhex(hex, expected);

    ck_assert_uint_eq(b->size, size);
    ck_assert_mem_eq(b->data, expected, size);
}

static void assert_describes(void)
{
    char *text = suit_describe(&m);
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    ck_assert_msg(json != NULL, "%s: %s", error.text, text);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "components")), m.component_count);
    json_decref(json);
    free(text);
}

/* RIOT's dialect --------------------------------------------------------------------------------------------------- */

static bool skips(const json_t *file, const char *name)
{
    if (!file)
        printf("skipped: no %s\n", name);
    return file == NULL;
}

/* Parsed, verified, and made again: the same bytes. */
START_TEST(riot_vectors)
{
    size_t index, size;
    json_t *vector;
    uint8_t data[BYTES_MAX], digest[32];

    if (skips(riot, RIOT_FILE))
        return;
    ck_assert_uint_eq(json_array_size(json_object_get(riot, "vectors")), 3);
    json_array_foreach(json_object_get(riot, "vectors"), index, vector)
    {
        cleanup_buffer struct buffer signed_again = buffer_init(0), unsigned_again = buffer_init(0), out = {0};

        size = unhex(text_at(vector, "signed"), data);
        parse(data, size);
        ck_assert_int_eq(m.dialect, SUIT_RIOT);
        ck_assert(m.digest_matches && m.authentication);
        unhex(text_at(vector, "manifest_digest"), digest);
        ck_assert_mem_eq(m.digest, digest, 32);
        ck_assert_int_eq(suit_verify(&m, ed25519, reason, sizeof reason), 0);
        ck_assert_int_eq(suit_verify(&m, stranger, reason, sizeof reason), 1);
        ck_assert_int_eq(suit_verify(&m, p256, reason, sizeof reason), 1);
        assert_describes();
        make(&signed_again, ed25519);
        assert_bytes(&signed_again, text_at(vector, "signed"));
        make(&unsigned_again, NULL);
        assert_bytes(&unsigned_again, text_at(vector, "unsigned"));

        parse(unsigned_again.data, unsigned_again.size);
        ck_assert(!m.authentication && !m.digest_matches);
        ck_assert_int_eq(suit_verify(&m, ed25519, reason, sizeof reason), 1);
        ck_assert_int_eq(suit_sign(&out, &m, ed25519, reason, sizeof reason), 0);
        assert_bytes(&out, text_at(vector, "signed"));
    }
}
END_TEST

START_TEST(riot_components)
{
    const json_t *vectors = json_object_get(riot, "vectors");
    uint8_t data[BYTES_MAX], id[16];

    if (skips(riot, RIOT_FILE))
        return;
    parse(data, unhex(text_at(json_array_get(vectors, 0), "signed"), data));
    ck_assert_uint_eq(m.sequence, 2);
    ck_assert_uint_eq(m.component_count, 1);
    ck_assert(m.components[0].id_count == 2 && m.components[0].id[0].size == 3);
    ck_assert_mem_eq(m.components[0].id[0].bytes, "ram", 3);
    ck_assert(m.components[0].has_size && m.components[0].size == 7 && !m.components[0].has_offset);
    ck_assert_str_eq(m.components[0].uri, "coap://[2001:db8::1]/payload.bin");
    suit_vendor_id("riot-os.org", id);
    ck_assert_mem_eq(m.components[0].vendor, id, 16);
    suit_class_id(m.components[0].vendor, "native", id);
    ck_assert_mem_eq(m.components[0].class_id, id, 16);

    parse(data, unhex(text_at(json_array_get(vectors, 2), "signed"), data)); /* two slots of one component */
    ck_assert_uint_eq(m.sequence, 1614000000);
    ck_assert_uint_eq(m.component_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct suit_component *c = &m.components[i];

        ck_assert(c->id_count == 1 && c->id[0].size == 1 && c->id[0].bytes[0] == 0);
        ck_assert(c->has_vendor && c->has_class && c->has_digest && c->size == 4 && c->has_offset);
        ck_assert_uint_eq(c->offset, i ? 133120 : 4096);
        ck_assert_ptr_nonnull(strstr(c->uri, i ? "file2.bin" : "file1.bin"));
    }
    ck_assert(memcmp(m.components[0].digest, m.components[1].digest, 32) != 0);
}
END_TEST

/* The bytes of each vector, cut off anywhere and with any byte changed, are refused or do not verify. */
START_TEST(riot_damaged)
{
    uint8_t data[BYTES_MAX];
    size_t size;

    if (skips(riot, RIOT_FILE))
        return;
    size = unhex(text_at(json_array_get(json_object_get(riot, "vectors"), (size_t)_i), "signed"), data);
    for (size_t i = 0; i < size; i++) {
        ck_assert_int_eq(suit_parse(&m, data, i, reason, sizeof reason), 1);
        data[i] ^= 0x11;
        ck_assert(suit_parse(&m, data, size, reason, sizeof reason) == 1 ||
                  suit_verify(&m, ed25519, reason, sizeof reason) == 1);
        data[i] ^= 0x11;
    }
    data[size] = 0;
    ck_assert_int_eq(suit_parse(&m, data, size + 1, reason, sizeof reason), 1);
}
END_TEST

/* IETF's ----------------------------------------------------------------------------------------------------------- */

static EVP_PKEY *read_pem(const json_t *file)
{
    const char *pem = text_at(file, "private_key_pem");
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free(bio);
    ck_assert_ptr_nonnull(key);
    return key;
}

static void check_ietf(const char *name, const char *hex, EVP_PKEY *key)
{
    bool is_signed = strstr(name, "with COSE") != NULL;
    cleanup_buffer struct buffer out = buffer_init(0);
    uint8_t data[BYTES_MAX];
    size_t size = unhex(hex, data), before;

    parse(data, size);
    ck_assert_int_eq(m.dialect, SUIT_IETF);
    ck_assert(m.digest_matches);
    ck_assert_uint_eq(m.signature_count, is_signed);
    ck_assert_int_eq(suit_verify(&m, key, reason, sizeof reason), is_signed ? 0 : 1);
    ck_assert_int_eq(suit_verify(&m, p256, reason, sizeof reason), 1);
    ck_assert_int_eq(suit_verify(&m, ed25519, reason, sizeof reason), 1);
    assert_describes();
    /* signed again, nothing is lost */
    before = m.severed_count;
    ck_assert_int_eq(suit_sign(&out, &m, ed25519, reason, sizeof reason), 0);
    parse(out.data, out.size);
    ck_assert_uint_eq(m.severed_count, before);
    ck_assert_int_eq(suit_verify(&m, ed25519, reason, sizeof reason), 0);
}

START_TEST(ietf_vectors)
{
    json_t *examples = json_object_get(ietf, "examples"), *example, *value;
    size_t index, count = 0;
    const char *name;
    EVP_PKEY *key;

    if (skips(ietf, IETF_FILE))
        return;
    key = read_pem(ietf);
    json_array_foreach(examples, index, example) json_object_foreach(example, name, value)
    {
        if (!json_is_string(value))
            continue;
        check_ietf(name, json_string_value(value), key);
        count++;
    }
    ck_assert_uint_eq(count, 13);
    EVP_PKEY_free(key);
}
END_TEST

static void parse_example(int example, const char *name)
{
    static uint8_t data[BYTES_MAX];

    parse(data, unhex(text_at(json_array_get(json_object_get(ietf, "examples"), (size_t)example), name), data));
}

/* Examples 1 and 3, which have nothing that we do not make, come back byte for byte. */
START_TEST(ietf_made)
{
    cleanup_buffer struct buffer out = buffer_init(0), again = buffer_init(0);

    if (skips(ietf, IETF_FILE))
        return;
    parse_example(1, "Envelope without COSE authentication object");
    ck_assert_str_eq(m.components[0].uri, "http://example.com/file.bin");
    ck_assert_uint_eq(m.components[0].size, 34768);
    make(&out, NULL);
    assert_bytes(&out, text_at(json_array_get(json_object_get(ietf, "examples"), 1),
                               "Envelope without COSE authentication object"));

    parse_example(3, "Envelope without COSE authentication object"); /* two slots */
    ck_assert_uint_eq(m.component_count, 2);
    ck_assert(m.components[0].offset == 0 && m.components[1].offset == 1);
    ck_assert(m.components[0].size == 34768 && m.components[1].size == 76834);
    ck_assert_str_eq(m.components[0].uri, "http://example.com/file1.bin");
    ck_assert_str_eq(m.components[1].uri, "http://example.com/file2.bin");
    make(&again, NULL);
    assert_bytes(&again, text_at(json_array_get(json_object_get(ietf, "examples"), 3),
                                 "Envelope without COSE authentication object"));
    again.size = 0;
    make(&again, p256);
    parse(again.data, again.size);
    ck_assert_int_eq(suit_verify(&m, p256, reason, sizeof reason), 0);
}
END_TEST

START_TEST(ietf_components)
{
    if (skips(ietf, IETF_FILE))
        return;
    parse_example(2, "Envelope with COSE authentication object but without Severable Elements");
    ck_assert(m.components[0].has_digest && !m.components[0].uri[0]); /* the install section is elsewhere */
    ck_assert(m.reference_uri_size > 0 && strncmp(m.reference_uri, "https://git.io/", 15) == 0);
    parse_example(2, "Envelope with COSE authentication object and Severable Elements");
    ck_assert_ptr_nonnull(strstr(m.components[0].uri, "/very/long/path/"));
    ck_assert_uint_eq(m.severed_count, 2);
    parse_example(4, "Envelope with COSE authentication object");
    ck_assert_uint_eq(m.component_count, 3);
    ck_assert_str_eq(m.components[1].uri, "http://example.com/file.bin");
    ck_assert_uint_eq(m.components[2].size, 76834);
    parse_example(5, "Envelope with COSE authentication object");
    ck_assert_uint_eq(m.component_count, 2);
    ck_assert_str_eq(m.components[1].uri, "http://example.com/file2.bin");
}
END_TEST

START_TEST(ietf_damaged)
{
    EVP_PKEY *key;
    uint8_t data[BYTES_MAX];
    size_t size;

    if (skips(ietf, IETF_FILE))
        return;
    key = read_pem(ietf);
    size = unhex(text_at(json_array_get(json_object_get(ietf, "examples"), 2),
                         "Envelope with COSE authentication object and Severable Elements"),
                 data);
    for (size_t i = 0; i < size; i++) {
        ck_assert_int_eq(suit_parse(&m, data, i, reason, sizeof reason), 1);
        data[i] ^= 0x11;
        ck_assert(suit_parse(&m, data, size, reason, sizeof reason) == 1 ||
                  suit_verify(&m, key, reason, sizeof reason) == 1);
        data[i] ^= 0x11;
    }
    EVP_PKEY_free(key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("suit");
    TCase *tc = suite_add_case(suite, "suit", set_up, tear_down);

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, riot_vectors);
    tcase_add_test(tc, riot_components);
    tcase_add_loop_test(tc, riot_damaged, 0, 3);
    tcase_add_test(tc, ietf_vectors);
    tcase_add_test(tc, ietf_made);
    tcase_add_test(tc, ietf_components);
    tcase_add_test(tc, ietf_damaged);
    return suite_run(suite);
}
