#include "suit_builder.h"

#include "codec/cose.h"
#include "codec/token.h"

#include <check.h>
#include <string.h>

#define ROOM 2048
#define POLICY 15

void builder_init(struct builder *b)
{
    struct suitdev_identity identity;

    *b = (struct builder){.sequence = 1, .slot = "0", .uri = "coap://192.0.2.1/a/1"};
    suitdev_identify(&identity, "riot-os.org", "native");
    memcpy(b->vendor, identity.vendor, sizeof b->vendor);
    memcpy(b->class_id, identity.class_id, sizeof b->class_id);
}

static void put_command(struct cborio_writer *w, uint64_t command)
{
    cborio_put_uint(w, command);
    cborio_put_uint(w, POLICY);
}

static void put_digest(const struct builder *b, struct cborio_writer *w)
{
    uint8_t bytes[40];
    struct cborio_writer digest = cborio_writer_init(bytes, sizeof bytes);

    cborio_put_array(&digest, 2);
    cborio_put_uint(&digest, 2);
    cborio_put_bytes(&digest, b->digest, 32);
    cborio_put_uint(w, 3);
    cborio_put_bytes(w, bytes, cborio_written(&digest));
}

static void put_parameters(const struct builder *b, struct cborio_writer *w)
{
    bool swapped = b->flaw == BUILD_PARAMETERS_IN_OTHER_ORDER;

    cborio_put_map(w, 4u + (b->flaw == BUILD_UNKNOWN_PARAMETER));
    if (swapped)
        put_digest(b, w);
    cborio_put_uint(w, 1);
    cborio_put_bytes(w, b->vendor, 16);
    cborio_put_uint(w, 2);
    cborio_put_bytes(w, b->class_id, 16);
    if (!swapped)
        put_digest(b, w);
    cborio_put_uint(w, 14);
    cborio_put_uint(w, b->size);
    if (b->flaw == BUILD_UNKNOWN_PARAMETER) {
        cborio_put_uint(w, 22);
        cborio_put_uint(w, 0);
    }
}

static size_t write_checks(const struct builder *b, uint8_t out[ROOM])
{
    struct cborio_writer w = cborio_writer_init(out, ROOM);
    size_t more = b->flaw == BUILD_LONG ? 240 : 0, vendor = b->flaw != BUILD_NO_VENDOR_CHECK;

    if (b->flaw == BUILD_NESTED_SEQUENCE) {
        cborio_put_array(&w, 1);
        cborio_put_array(&w, 2);
        put_command(&w, 1);
        return cborio_written(&w);
    }
    cborio_put_array(&w, 4 + 2 * vendor + 2 * more);
    cborio_put_uint(&w, 20);
    put_parameters(b, &w);
    if (vendor)
        put_command(&w, 1);
    put_command(&w, 2);
    for (size_t i = 0; i < more; i++)
        put_command(&w, 2);
    return cborio_written(&w);
}

static void put_components(const struct builder *b, struct cborio_writer *w)
{
    cborio_put_array(w, 1);
    cborio_put_array(w, 2);
    cborio_put_bytes(w, "ram", 3);
    cborio_put_bytes(w, b->slot, strlen(b->slot));
}

static void put_common(const struct builder *b, struct cborio_writer *out)
{
    uint8_t bytes[ROOM], part[ROOM];
    struct cborio_writer w = cborio_writer_init(bytes, sizeof bytes);
    bool swapped = b->flaw == BUILD_COMMON_IN_OTHER_ORDER;

    cborio_put_map(&w, 2);
    for (unsigned i = 0; i < 2; i++) {
        bool components = (i == 0) != swapped;
        cborio_put_uint(&w, components ? 2 : 4);
        if (components)
            put_components(b, &w);
        else
            cborio_put_bytes(&w, part, write_checks(b, part));
    }
    cborio_put_uint(out, 3);
    cborio_put_bytes(out, bytes, cborio_written(&w));
}

static void put_install(const struct builder *b, struct cborio_writer *out)
{
    uint8_t bytes[ROOM];
    struct cborio_writer w = cborio_writer_init(bytes, sizeof bytes);
    size_t fetches = b->flaw == BUILD_NO_FETCH ? 0 : 1u + (b->flaw == BUILD_FETCH_TWICE);
    size_t match = b->flaw != BUILD_NO_IMAGE_CHECK && b->flaw != BUILD_NO_FETCH;
    size_t unknown = b->flaw == BUILD_UNKNOWN_COMMAND, odd = b->flaw == BUILD_ODD_SEQUENCE;

    cborio_put_array(&w, 2 + 2 * fetches + 2 * match + 2 * unknown + odd);
    cborio_put_uint(&w, 19);
    cborio_put_map(&w, 1);
    cborio_put_uint(&w, 21);
    cborio_put_text(&w, b->uri);
    for (size_t i = 0; i < fetches; i++)
        put_command(&w, 21);
    if (match)
        put_command(&w, 3);
    if (unknown)
        put_command(&w, 77);
    if (odd)
        cborio_put_uint(&w, 3);
    cborio_put_uint(out, 9);
    cborio_put_bytes(out, bytes, cborio_written(&w));
}

static void put_number(const struct builder *b, struct cborio_writer *w)
{
    cborio_put_uint(w, 2);
    cborio_put_uint(w, b->sequence);
}

static size_t write_manifest(const struct builder *b, uint8_t out[ROOM])
{
    struct cborio_writer w = cborio_writer_init(out, ROOM);
    bool swapped = b->flaw == BUILD_KEYS_IN_OTHER_ORDER, numbered = b->flaw != BUILD_NO_SEQUENCE_NUMBER;

    cborio_put_map(&w, 3u + numbered + (b->flaw == BUILD_UNKNOWN_KEY));
    if (swapped)
        put_number(b, &w);
    cborio_put_uint(&w, 1);
    cborio_put_uint(&w, 1);
    if (numbered && !swapped)
        put_number(b, &w);
    put_common(b, &w);
    put_install(b, &w);
    if (b->flaw == BUILD_UNKNOWN_KEY) {
        cborio_put_uint(&w, 13);
        cborio_put_uint(&w, 0);
    }
    return cborio_written(&w);
}

/* The authentication attaches [2, SHA-256 of the manifest with its head]. */
static void write_authentication(EVP_PKEY *key, const uint8_t *encoded, size_t size, struct buffer *out)
{
    uint8_t digest[METADATA_DIGEST_SIZE], payload[40];
    struct cborio_writer w = cborio_writer_init(payload, sizeof payload);

    token_digest(encoded, size, NULL, 0, digest);
    cborio_put_array(&w, 2);
    cborio_put_uint(&w, 2);
    cborio_put_bytes(&w, digest, sizeof digest);
    ck_assert_int_eq(cose_make_sign1(out, key, NULL, 0, payload, cborio_written(&w), false, true), 0);
}

void builder_write(const struct builder *b, EVP_PKEY *key, struct buffer *out)
{
    uint8_t manifest[ROOM], encoded[ROOM + 8], auth[256], bytes[ROOM];
    struct cborio_writer inner = cborio_writer_init(encoded, sizeof encoded);
    struct cborio_writer list = cborio_writer_init(auth, sizeof auth), w = cborio_writer_init(bytes, sizeof bytes);
    cleanup_buffer struct buffer sign1 = {0};

    cborio_put_bytes(&inner, manifest, write_manifest(b, manifest));
    write_authentication(key, encoded, cborio_written(&inner), &sign1);
    cborio_put_array(&list, 1);
    cborio_put_bytes(&list, sign1.data, sign1.size);
    cborio_put_map(&w, 2);
    cborio_put_uint(&w, 2);
    cborio_put_bytes(&w, auth, cborio_written(&list));
    cborio_put_uint(&w, 3);
    buffer_append(out, bytes, cborio_written(&w));
    buffer_append(out, encoded, cborio_written(&inner));
    ck_assert(cborio_written(&w) && cborio_written(&inner));
}
