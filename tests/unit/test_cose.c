#include "base/text.h"
#include "codec/cborio.h"
#include "codec/cose.h"
#include "suite.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/pem.h>
#include <string.h>

#define TEXT_MAX 2048
#define CONTENT "This is the content."

static char reason[256];

static size_t unhex(const char *text, uint8_t *out)
{
    size_t size = strlen(text) / 2;

    ck_assert_uint_le(size, TEXT_MAX);
    ck_assert(text_unhex(text, out, size));
    return size;
}

static EVP_PKEY *make_key(const char *type)
{
    EVP_PKEY *key = strcmp(type, "EC") == 0 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, type);

    ck_assert_ptr_nonnull(key);
    return key;
}

/* The examples of COSE's authors ----------------------------------------------------------------------------------- */

/* A coordinate of an example's key: NAME_hex, or NAME in base64url. */
static void read_coordinate(const json_t *key, const char *name, uint8_t out[32])
{
    char member[16];
    const char *text;

    (void)snprintf(member, sizeof member, "%s_hex", name);
    text = json_string_value(json_object_get(key, member));
    if (text) {
        ck_assert(text_unhex(text, out, 32));
        return;
    }
    text = json_string_value(json_object_get(key, name));
    ck_assert_ptr_nonnull(text);
    char padded[64];
    uint8_t bytes[48];

    (void)snprintf(padded, sizeof padded, "%s=", text);
    for (char *p = padded; *p; p++)
        *p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
    ck_assert_int_eq(EVP_DecodeBlock(bytes, (uint8_t *)padded, (int)strlen(padded)), 33);
    memcpy(out, bytes, 32);
}

/* As a COSE_Key, so that those are tested too. NULL: of a curve that we do not take. */
static EVP_PKEY *read_key(const json_t *key)
{
    uint8_t data[128], x[32], y[32];
    struct cborio_writer w = cborio_writer_init(data, sizeof data);
    bool is_ec = strcmp(json_string_value(json_object_get(key, "kty")), "EC") == 0;

    if (strcmp(json_string_value(json_object_get(key, "crv")), "Ed448") == 0)
        return NULL;
    read_coordinate(key, "x", x);
    cborio_put_map(&w, is_ec ? 4 : 3);
    cborio_put_uint(&w, 1);
    cborio_put_uint(&w, is_ec ? 2 : 1);
    cborio_put_int(&w, -1);
    cborio_put_uint(&w, is_ec ? 1 : 6);
    cborio_put_int(&w, -2);
    cborio_put_bytes(&w, x, 32);
    if (is_ec) {
        read_coordinate(key, "y", y);
        cborio_put_int(&w, -3);
        cborio_put_bytes(&w, y, 32);
    }
    EVP_PKEY *made = cose_read_public_key(data, cborio_written(&w), reason, sizeof reason);

    ck_assert_msg(made != NULL, "%s", reason);
    return made;
}

static void check_example(const json_t *example)
{
    const json_t *input = json_object_get(example, "input"), *sign0 = json_object_get(input, "sign0");
    const char *file = json_string_value(json_object_get(example, "file"));
    const char *external = json_string_value(json_object_get(sign0, "external"));
    uint8_t data[TEXT_MAX], aad[TEXT_MAX];
    size_t size = unhex(json_string_value(json_object_get(example, "cbor")), data);
    size_t aad_size = external ? unhex(external, aad) : 0;
    EVP_PKEY *key = read_key(json_object_get(sign0, "key"));
    struct cose_sign1 message;
    bool good = cose_parse_sign1(&message, data, size, reason, sizeof reason) == 0 && key &&
                cose_verify_sign1(&message, key, NULL, 0, aad, aad_size) == 0;

    ck_assert_msg(good == (strcmp(json_string_value(json_object_get(example, "checked")), "verifies") == 0), "%s: %s",
                  file, good ? "verifies" : reason);
    EVP_PKEY_free(key);
}

/* A message of another kind. */
static void check_other(const json_t *example)
{
    uint8_t data[TEXT_MAX];
    size_t size = unhex(json_string_value(json_object_get(example, "cbor")), data);
    struct cose_sign1 message;

    ck_assert_msg(cose_parse_sign1(&message, data, size, reason, sizeof reason) == 1 || !message.tagged, "%s",
                  json_string_value(json_object_get(example, "file")));
}

START_TEST(examples)
{
    json_t *root = json_load_file(SHARED_VECTORS "/cose_examples.json", 0, NULL), *example;
    size_t index, count = 0;

    if (!root) {
        printf("skipped: no %s/cose_examples.json\n", SHARED_VECTORS);
        return;
    }
    json_array_foreach(json_object_get(root, "examples"), index, example)
    {
        if (json_object_get(json_object_get(example, "input"), "sign0")) {
            check_example(example);
            count++;
        } else {
            check_other(example);
        }
    }
    ck_assert_uint_ge(count, 12);
    json_decref(root);
}
END_TEST

/* What we make ----------------------------------------------------------------------------------------------------- */

static const char *const types[] = {"ED25519", "EC"};

START_TEST(round_trip)
{
    EVP_PKEY *key = make_key(types[_i % 2]), *other = make_key(types[_i % 2]), *foreign = make_key(types[1 - _i % 2]);
    bool detached = _i & 2, tagged = _i & 4;
    cleanup_buffer struct buffer out = buffer_init(0);
    struct cose_sign1 m;
    uint8_t kid[8];
    const char *payload = detached ? CONTENT : NULL;
    size_t size = strlen(CONTENT);

    ck_assert_int_eq(cose_key_id(key, kid), 0);
    ck_assert_int_eq(cose_make_sign1(&out, key, kid, 8, CONTENT, size, detached, tagged), 0);
    ck_assert_msg(cose_parse_sign1(&m, out.data, out.size, reason, sizeof reason) == 0, "%s", reason);
    ck_assert(m.tagged == tagged && (m.payload == NULL) == detached);
    ck_assert_int_eq(m.algorithm, cose_key_algorithm(key));
    ck_assert(m.kid_size == 8 && memcmp(m.kid, kid, 8) == 0);
    ck_assert_int_eq(cose_verify_sign1(&m, key, payload, size, NULL, 0), 0);
    ck_assert_int_eq(cose_verify_sign1(&m, key, CONTENT, size, NULL, 0), 0);
    ck_assert_int_eq(cose_verify_sign1(&m, key, CONTENT, size - 1, NULL, 0), 1);
    ck_assert_int_eq(cose_verify_sign1(&m, key, payload, size, "x", 1), 1);
    ck_assert_int_eq(cose_verify_sign1(&m, other, payload, size, NULL, 0), 1);
    ck_assert_int_eq(cose_verify_sign1(&m, foreign, payload, size, NULL, 0), 1);
    if (detached)
        ck_assert_int_eq(cose_verify_sign1(&m, key, NULL, 0, NULL, 0), 1);
    out.data[out.size - 1] ^= 1; /* the signature */
    ck_assert_int_eq(cose_verify_sign1(&m, key, payload, size, NULL, 0), 1);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    EVP_PKEY_free(foreign);
}
END_TEST

START_TEST(other_keys)
{
    EVP_PKEY *key = _i ? EVP_EC_gen("P-384") : EVP_RSA_gen(2048);
    cleanup_buffer struct buffer out = buffer_init(0);
    uint8_t *der = NULL;
    int size = i2d_PUBKEY(key, &der);

    ck_assert_int_eq(cose_key_algorithm(key), 0);
    ck_assert_int_eq(cose_make_sign1(&out, key, NULL, 0, "x", 1, false, true), -EINVAL);
    ck_assert_uint_eq(out.size, 0);
    ck_assert_ptr_null(cose_read_public_key(der, (size_t)size, reason, sizeof reason));
    ck_assert_ptr_nonnull(strstr(reason, "neither"));
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}
END_TEST

/* What others send ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *what, *hex, *reason;
} malformed[] = {
    {"nothing", "", "no array"},
    {"three items", "83a0a040", "no array"},
    {"a bare map", "a0", "no array"},
    {"COSE_Sign", "d86284", "another tag"},
    {"another tag around the tag", "d203", "no array"},
    {"no map in the protected header", "8441ffa04040", "malformed"},
    {"bytes after the protected map", "8442a000a04040", "malformed"},
    {"a protected header that is a map", "84a0a04040", "malformed"},
    {"a text as payload", "8440a0606040", "malformed"},
    {"cut off", "8443a10126a0", "malformed"},
    {"bytes after the message", "8443a10126a0404000", "malformed"},
    {"algorithm twice", "8445a201260126a04040", "twice"},
    {"algorithm in both headers", "8443a10126a101264040", "twice"},
    {"critical and unknown", "8445a202811863a04040", "critical"},
    {"critical and a name", "8446a202816178a04040", "critical"},
    {"critical and empty", "8444a10280a04040", "critical"},
    {"critical but not protected", "8440a10281014040", "critical"},
    {"an algorithm beyond 64 bits", "844ba1013bffffffffffffffffa04040", "malformed"},
    {"a key id that is a text", "8440a10461614040", "malformed"},
    {"an indefinite array", "9f43a10126a04040ff", "no array"},
};

START_TEST(refused)
{
    uint8_t data[TEXT_MAX];
    size_t size = unhex(malformed[_i].hex, data);
    struct cose_sign1 m;

    ck_assert_msg(cose_parse_sign1(&m, data, size, reason, sizeof reason) == 1, "%s", malformed[_i].what);
    ck_assert_msg(strstr(reason, malformed[_i].reason) != NULL, "%s: %s", malformed[_i].what, reason);
}
END_TEST

START_TEST(limits)
{
    uint8_t data[TEXT_MAX];
    struct cborio_writer w = cborio_writer_init(data, sizeof data);
    struct cose_sign1 m;

    cborio_put_array(&w, 4);
    cborio_put_bytes(&w, NULL, 0);
    cborio_put_map(&w, _i ? 33 : 1);
    for (int64_t i = 0; i < (_i ? 33 : 1); i++) {
        cborio_put_int(&w, _i ? 100 + i : 4);
        cborio_put_bytes(&w, data + 500, _i ? 0 : 65);
    }
    cborio_put_bytes(&w, NULL, 0);
    cborio_put_bytes(&w, NULL, 0);
    ck_assert_int_eq(cose_parse_sign1(&m, data, cborio_written(&w), reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, _i ? "more than 32" : "longer than 64"));
}
END_TEST

/* Critical parameters that are understood, and one that is unknown but not critical. */
START_TEST(taken)
{
    static const char hex[] = "8449a30126028101186300a1186301"
                              "40"
                              "40";
    uint8_t data[TEXT_MAX];
    struct cose_sign1 m;

    ck_assert_int_eq(cose_parse_sign1(&m, data, unhex(hex, data), reason, sizeof reason), 0);
    ck_assert_int_eq(m.algorithm, COSE_ES256);
    ck_assert(m.payload && m.payload_size == 0);
}
END_TEST

/* Public keys ------------------------------------------------------------------------------------------------------ */

START_TEST(public_keys)
{
    EVP_PKEY *key = make_key(types[_i]), *read;
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;
    uint8_t *der = NULL, id[8], again[8];
    int size = i2d_PUBKEY(key, &der);

    ck_assert_int_eq(cose_key_id(key, id), 0);
    read = cose_read_public_key(der, (size_t)size, reason, sizeof reason);
    ck_assert_int_eq(EVP_PKEY_eq(key, read), 1);
    EVP_PKEY_free(read);
    ck_assert_ptr_null(cose_read_public_key(der, (size_t)size - 1, reason, sizeof reason));

    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, key), 1);
    size = (int)BIO_get_mem_data(bio, &pem);
    read = cose_read_public_key(pem, (size_t)size, reason, sizeof reason);
    ck_assert_int_eq(EVP_PKEY_eq(key, read), 1);
    ck_assert_int_eq(cose_key_id(read, again), 0);
    ck_assert_mem_eq(id, again, 8);
    EVP_PKEY_free(read);

    (void)BIO_reset(bio);
    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    size = (int)BIO_get_mem_data(bio, &pem);
    ck_assert_ptr_null(cose_read_public_key(pem, (size_t)size, reason, sizeof reason));
    ck_assert_ptr_nonnull(strstr(reason, "private key"));
    BIO_free(bio);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}
END_TEST

#define X "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define P256_X "8496811aae0baaabd26157189eecda26beaa8bf11b6f3fe6e2b5659c85dbc0ad"
#define P256_Y "3b1f2a4b6c098131c0a36dacd1d78bd381dcdfb09c052db33991db7338b4a896"

static const struct {
    const char *hex;
    bool good;
} cose_keys[] = {
    {"a3010120062158"
     "20" X,
     true},
    {"a401010327200621582"
     "0" X,
     true}, /* for EdDSA */
    {"a401010326200621582"
     "0" X,
     false}, /* for ES256, which it is not */
    {"a401010338"
     "12"
     "200621582"
     "0" X,
     true}, /* for Ed25519 */
    {"a3010120042158"
     "20" X,
     false}, /* X25519 */
    {"a30101200621581f"
     "5a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
     false},
    {"a401022001215820" P256_X "225820" P256_Y, true},
    {"a401022001215820" P256_X "22f4", true}, /* compressed: an even y */
    {"a401022001215820" P256_X "22f6", false},
    {"a301022001215820" P256_X, false},
    {"a401022001215820" P256_X "225820" P256_X, false}, /* not on the curve */
    {"a401012006215820" X "2341"
     "00",
     false}, /* private */
    {"a101"
     "04",
     false},
    {"a0", false},
    {"", false},
};

START_TEST(cose_key)
{
    uint8_t data[TEXT_MAX];
    size_t size = unhex(cose_keys[_i].hex, data);
    EVP_PKEY *key = cose_read_public_key(data, size, reason, sizeof reason);

    ck_assert_msg((key != NULL) == cose_keys[_i].good, "%d: %s", _i, key ? "taken" : reason);
    EVP_PKEY_free(key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cose");
    TCase *tc = tcase_create("cose");

    tcase_add_test(tc, examples);
    tcase_add_loop_test(tc, round_trip, 0, 8);
    tcase_add_loop_test(tc, other_keys, 0, 2);
    tcase_add_loop_test(tc, refused, 0, (int)array_size(malformed));
    tcase_add_loop_test(tc, limits, 0, 2);
    tcase_add_test(tc, taken);
    tcase_add_loop_test(tc, public_keys, 0, 2);
    tcase_add_loop_test(tc, cose_key, 0, (int)array_size(cose_keys));
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
