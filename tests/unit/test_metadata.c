#include "suite.h"
#include "tcgw/metadata.h"

#include "base/text.h"
#include "codec/cborio.h"
#include "codec/key.h"

#include <check.h>
#include <jansson.h>
#include <string.h>

static const char code[] = "code", data[] = "data";
static struct key *key;
static uint8_t public_key[KEY_PUBLIC_SIZE], out[METADATA_MAX_SIZE];
static char reason[128];

static void set_up(void)
{
    key = key_generate();
    ck_assert_ptr_nonnull(key);
    key_public(key, public_key);
    reason[0] = 0;
}

static void tear_down(void)
{
    key = key_free(key);
}

static struct metadata sample(void)
{
    struct metadata md = {
        .uid = "door",
        .uid_length = 4,
        .type = CONTAINER_TYPE_WASM,
        .syscall_mask = 0x1e,
        .endpoint_count = 3,
        .endpoints = {{1, ENDPOINT_PEER_LOCAL, "", 3, ENDPOINT_IN},
                      {2, ENDPOINT_PEER_CONTAINER, "other", 1, ENDPOINT_BOTH},
                      {70000, ENDPOINT_PEER_REMOTE, "", 9, ENDPOINT_OUT}},
        .limits = {100, 1000, 50, 0, 70000},
    };

    return md;
}

static int build(const struct metadata *md)
{
    return metadata_build(md, data, sizeof data, code, sizeof code, key_sign, key, out, sizeof out);
}

static int parse(size_t size, struct metadata *md, struct metadata_tokens *tokens)
{
    return metadata_parse(out, size, md, tokens, reason, sizeof reason);
}

static void assert_same_endpoint(const struct container_endpoint *a, const struct container_endpoint *b)
{
    ck_assert_uint_eq(a->id, b->id);
    ck_assert_int_eq(a->peer, b->peer);
    ck_assert_str_eq(a->peer_uid, b->peer_uid);
    ck_assert_uint_eq(a->peer_endpoint, b->peer_endpoint);
    ck_assert_int_eq(a->direction, b->direction);
}

static void assert_same(const struct metadata *a, const struct metadata *b)
{
    ck_assert_str_eq(a->uid, b->uid);
    ck_assert_uint_eq(a->uid_length, b->uid_length);
    ck_assert_int_eq(a->type, b->type);
    ck_assert_uint_eq(a->syscall_mask, b->syscall_mask);
    ck_assert_uint_eq(a->endpoint_count, b->endpoint_count);
    for (size_t i = 0; i < a->endpoint_count; i++)
        assert_same_endpoint(&a->endpoints[i], &b->endpoints[i]);
    ck_assert_mem_eq(&a->limits, &b->limits, sizeof a->limits);
}

START_TEST(what_is_built_is_parsed_and_verified)
{
    struct metadata md = sample(), back;
    struct metadata_tokens tokens;
    int size = build(&md);

    ck_assert_int_gt(size, 0);
    ck_assert_uint_eq(metadata_size(&md), (size_t)size);
    ck_assert_msg(parse((size_t)size, &back, &tokens) == 0, "%s", reason);
    assert_same(&md, &back);
    ck_assert_int_eq(metadata_verify(&tokens, public_key, data, sizeof data, code, sizeof code), METADATA_OK);
}
END_TEST

START_TEST(size_is_foretold)
{
    struct metadata md = sample();

    for (size_t uid = 1; uid <= METADATA_UID_MAX; uid++) {
        memset(md.uid, 'u', uid);
        md.uid_length = uid;
        md.endpoint_count = uid % 4;
        md.syscall_mask = (uint32_t)1 << (uid % 32);
        ck_assert_int_eq(build(&md), (int)metadata_size(&md));
        ck_assert_int_gt(build(&md), 0);
    }
}
END_TEST

START_TEST(largest_fits)
{
    struct metadata md = sample(), back;

    memset(md.uid, 'u', METADATA_UID_MAX);
    md.uid_length = METADATA_UID_MAX;
    md.syscall_mask = UINT32_MAX;
    md.limits = (struct container_limits){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    md.endpoint_count = METADATA_MAX_ENDPOINTS;
    for (size_t i = 0; i < METADATA_MAX_ENDPOINTS; i++) {
        md.endpoints[i] = (struct container_endpoint){UINT32_MAX - (uint32_t)i, ENDPOINT_PEER_CONTAINER, "", UINT32_MAX,
                                                      ENDPOINT_BOTH};
        memset(md.endpoints[i].peer_uid, 'p', METADATA_UID_MAX);
    }
    ck_assert_int_gt(build(&md), 3000);
    ck_assert_uint_eq(metadata_size(&md), (size_t)build(&md));
    ck_assert_msg(parse(metadata_size(&md), &back, NULL) == 0, "%s", reason);
    assert_same(&md, &back);
}
END_TEST

START_TEST(buffer_too_small)
{
    struct metadata md = sample();
    int size = build(&md);

    for (size_t room = 0; room < (size_t)size; room++)
        ck_assert_int_eq(metadata_build(&md, data, sizeof data, code, sizeof code, key_sign, key, out, room), 0);
    ck_assert_int_eq(metadata_build(&md, data, sizeof data, code, sizeof code, key_sign, key, out, (size_t)size), size);
}
END_TEST

/* The agent crashes without the endpoints or the security part, so the parts are there whatever the container needs. */
START_TEST(all_parts_are_always_there)
{
    struct metadata md = {.uid = "u", .uid_length = 1};
    struct cborio_reader r = cborio_reader_init(out, (size_t)build(&md)), part;

    ck_assert_uint_eq(cborio_get_tag(&r), METADATA_TAG);
    ck_assert_uint_eq(cborio_get_map(&r), 3);
    ck_assert_uint_eq(cborio_get_uint(&r, 9), 1);
    part = cborio_get_nested(&r);
    ck_assert_uint_eq(cborio_get_map(&part), 3);
    ck_assert_uint_eq(cborio_get_uint(&r, 9), 2);
    part = cborio_get_nested(&r);
    ck_assert_uint_eq(cborio_get_array(&part), 0);
    ck_assert(cborio_ended(&part));
    ck_assert_uint_eq(cborio_get_uint(&r, 9), 3);
    part = cborio_get_nested(&r);
    ck_assert_uint_eq(cborio_get_array(&part), 8);
    ck_assert(cborio_ended(&r));
}
END_TEST

START_TEST(tokens_are_111_bytes)
{
    struct metadata md = sample(), back;
    struct metadata_tokens tokens;
    size_t size = (size_t)build(&md);

    ck_assert_msg(parse(size, &back, &tokens) == 0, "%s", reason);
    for (size_t i = 1; i < 4; i++) {
        const uint8_t *token = tokens.signatures[i] + METADATA_SIGNATURE_SIZE - METADATA_TOKEN_SIZE;

        ck_assert_mem_eq(token, "\x84\x40\xa0\x58\x28\xa1\x3a\x00\x01\x00\x00\x58\x20", 13);
        ck_assert_mem_eq(token - 2, "\x58\x6f", 2); /* a byte string of 111 */
    }
    ck_assert_ptr_eq(tokens.signatures[3] + METADATA_SIGNATURE_SIZE, out + size);
}
END_TEST

START_TEST(mask_is_big_endian_and_short)
{
    static const struct {
        uint32_t mask;
        const char *claims; /* after {-65536: */
        size_t size;
    } cases[] = {
        {0, "\x41\x00", 2},
        {0x1f, "\x41\x1f", 2},
        {0x100, "\x42\x01\x00", 3},
        {0x12345, "\x43\x01\x23\x45", 4},
        {0x80000001, "\x44\x80\x00\x00\x01", 5},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct metadata md = sample(), back;
        struct metadata_tokens tokens;

        md.syscall_mask = cases[i].mask;
        ck_assert_msg(parse((size_t)build(&md), &back, &tokens) == 0, "%s", reason);
        ck_assert_uint_eq(back.syscall_mask, cases[i].mask);
        ck_assert_uint_eq(tokens.claims_size[0], 4 + cases[i].size);
        ck_assert_mem_eq(tokens.claims[0], "\xa1\x39\xff\xff", 4);
        ck_assert_mem_eq(tokens.claims[0] + 4, cases[i].claims, cases[i].size);
    }
}
END_TEST

static void assert_not_built(const struct metadata *md)
{
    ck_assert_int_eq(build(md), 0);
    ck_assert_uint_eq(metadata_size(md), 0);
}

START_TEST(invalid_is_not_built)
{
    struct metadata md;

    md = sample(), md.uid_length = 0;
    assert_not_built(&md);
    md = sample(), md.uid_length = METADATA_UID_MAX + 1;
    assert_not_built(&md);
    md = sample(), md.uid_length = 2, md.uid[1] = 0;
    assert_not_built(&md);
    md = sample(), md.type = CONTAINER_TYPE_COUNT;
    assert_not_built(&md);
    md = sample(), md.endpoint_count = METADATA_MAX_ENDPOINTS + 1;
    assert_not_built(&md);
    md = sample(), md.endpoints[1].id = 1;
    assert_not_built(&md);
    md = sample(), md.endpoints[1].peer_uid[0] = 0;
    assert_not_built(&md);
    md = sample(), memset(md.endpoints[1].peer_uid, 'p', sizeof md.endpoints[1].peer_uid);
    assert_not_built(&md);
    md = sample(), md.endpoints[0].peer = (enum endpoint_peer)3;
    assert_not_built(&md);
    md = sample(), md.endpoints[0].direction = (enum endpoint_direction)3;
    assert_not_built(&md);
}
END_TEST

static int sign_never(void *arg, const uint8_t *bytes, size_t size, uint8_t signature[METADATA_SIGNATURE_SIZE])
{
    (void)bytes;
    (void)size;
    (void)signature;
    return *(int *)arg;
}

START_TEST(signing_can_fail)
{
    struct metadata md = sample();
    int errors[] = {-5, 1};

    ck_assert_int_eq(metadata_build(&md, data, 0, code, 4, sign_never, &errors[0], out, sizeof out), -5);
    ck_assert_int_lt(metadata_build(&md, data, 0, code, 4, sign_never, &errors[1], out, sizeof out), 0);
}
END_TEST

START_TEST(verification_tells_what_is_wrong)
{
    struct metadata md = sample();
    struct metadata_tokens tokens;
    size_t size = (size_t)build(&md);
    uint8_t other[KEY_PUBLIC_SIZE] = {1};

    ck_assert_int_eq(parse(size, &md, &tokens), 0);
    ck_assert_int_eq(metadata_verify(&tokens, other, data, sizeof data, code, sizeof code), METADATA_E_SIGNATURE);
    ck_assert_int_eq(metadata_verify(&tokens, public_key, "x", 1, code, sizeof code), METADATA_E_DATA_DIGEST);
    ck_assert_int_eq(metadata_verify(&tokens, public_key, data, sizeof data, "x", 1), METADATA_E_CODE_DIGEST);
    for (size_t i = 0; i < 4; i++) {
        uint8_t *signature = out + (tokens.signatures[i] - out);

        signature[5] ^= 1;
        ck_assert_int_eq(metadata_verify(&tokens, public_key, data, sizeof data, code, sizeof code),
                         METADATA_E_SIGNATURE);
        signature[5] ^= 1;
    }
}
END_TEST

/* A changed uid leaves all signatures good; only the metadata token's digest shows it. */
START_TEST(metadata_digest_covers_the_uid)
{
    struct metadata md = sample();
    struct metadata_tokens tokens;
    size_t size = (size_t)build(&md);
    uint8_t *uid =
        out + 16; /* behind the tag, the map, key 1 and the head of part 1, its map, key 1 and the uid's head */

    ck_assert_mem_eq(uid, "door", 4);
    uid[0] = 'm';
    ck_assert_int_eq(parse(size, &md, &tokens), 0);
    ck_assert_str_eq(md.uid, "moor");
    ck_assert_int_eq(metadata_verify(&tokens, public_key, data, sizeof data, code, sizeof code),
                     METADATA_E_METADATA_DIGEST);
}
END_TEST

START_TEST(empty_data)
{
    struct metadata md = sample();
    struct metadata_tokens tokens;
    int size = metadata_build(&md, NULL, 0, code, sizeof code, key_sign, key, out, sizeof out);
    char hex[2 * METADATA_DIGEST_SIZE + 1];

    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(parse((size_t)size, &md, &tokens), 0);
    text_hex(tokens.data_digest, METADATA_DIGEST_SIZE, hex);
    ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_int_eq(metadata_verify(&tokens, public_key, NULL, 0, code, sizeof code), METADATA_OK);
}
END_TEST

START_TEST(cut_or_longer_is_refused)
{
    struct metadata md = sample(), back;
    size_t size = (size_t)build(&md);

    for (size_t n = 0; n < size; n++) {
        uint8_t *copy = malloc(n + 1); /* one byte in front, so that the block ends where the input does */

        ck_assert_ptr_nonnull(copy);
        memcpy(copy + 1, out, n);
        reason[0] = 0;
        ck_assert_int_eq(metadata_parse(copy + 1, n, &back, NULL, reason, sizeof reason), 1);
        ck_assert_str_ne(reason, "");
        free(copy);
    }
    out[size] = 0;
    ck_assert_int_eq(parse(size + 1, &back, NULL), 1);
    ck_assert_int_eq(parse(METADATA_MAX_SIZE, &back, NULL), 1);
    ck_assert_int_eq(metadata_parse(out, METADATA_MAX_SIZE + 1, &back, NULL, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "at most 4096"));
}
END_TEST

static size_t unhex_member(const json_t *object, const char *name, uint8_t *to, size_t room)
{
    const char *text = json_string_value(json_object_get(object, name));
    size_t size = text ? strlen(text) / 2 : 0;

    ck_assert_msg(text && size <= room && text_unhex(text, to, size), "%s", name);
    return size;
}

/* Clears what the published file and ours cannot share: signatures, and the digests of code and of the metadata. */
static void blank(uint8_t *bytes, const struct metadata_tokens *tokens)
{
    for (size_t i = 0; i < 4; i++)
        memset(bytes + (tokens->signatures[i] - bytes), 0, METADATA_SIGNATURE_SIZE);
    for (size_t i = 2; i < 4; i++)
        memset(bytes + (tokens->claims[i] - bytes) + tokens->claims_size[i] - METADATA_DIGEST_SIZE, 0,
               METADATA_DIGEST_SIZE);
}

START_TEST(published_example)
{
    json_t *root = json_load_file(SHARED_VECTORS "/tinycontainer_metadata_example.json", 0, NULL), *app;
    uint8_t published[1024], file[64], demo_key[32];
    struct metadata_tokens theirs, ours;
    struct metadata md, again;
    size_t size, file_size;

    if (!root) {
        printf("skipped: no %s/tinycontainer_metadata_example.json\n", SHARED_VECTORS);
        return;
    }
    app = json_object_get(root, "example_app");
    size = unhex_member(app, "metadata", published, sizeof published);
    file_size = unhex_member(app, "data_file", file, sizeof file);
    (void)unhex_member(json_object_get(root, "_meta"), "public_key_ed25519", demo_key, sizeof demo_key);

    ck_assert_msg(metadata_parse(published, size, &md, &theirs, reason, sizeof reason) == 0, "%s", reason);
    ck_assert_str_eq(md.uid, "example_app");
    ck_assert_int_eq(md.type, CONTAINER_TYPE_WASM);
    ck_assert_uint_eq(md.syscall_mask, 0xff);
    ck_assert_uint_eq(md.endpoint_count, 0);
    ck_assert_uint_eq(md.limits.loop_period, 1000);
    ck_assert_uint_eq(md.limits.stop_max_duration, 100);
    /* All four signatures are good over the raw claims, and the data is right; the code was not published. */
    ck_assert_int_eq(metadata_verify(&theirs, demo_key, "x", 1, NULL, 0), METADATA_E_DATA_DIGEST);
    ck_assert_int_eq(metadata_verify(&theirs, demo_key, file, file_size, NULL, 0), METADATA_E_CODE_DIGEST);
    ck_assert_int_eq(metadata_verify(&theirs, public_key, file, file_size, NULL, 0), METADATA_E_SIGNATURE);
    /* Its metadata token was made the older way, so that a stock agent that checks refuses it. */
    ck_assert_mem_eq(theirs.metadata_digest, theirs.zeroed_digest, METADATA_DIGEST_SIZE);
    ck_assert_mem_ne(theirs.metadata_digest, theirs.covered_digest, METADATA_DIGEST_SIZE);

    ck_assert_uint_eq(metadata_size(&md), size);
    ck_assert_int_eq(metadata_build(&md, file, file_size, code, 4, key_sign, key, out, sizeof out), (int)size);
    ck_assert_int_eq(parse(size, &again, &ours), 0);
    ck_assert_mem_eq(ours.metadata_digest, ours.covered_digest, METADATA_DIGEST_SIZE);
    ck_assert_mem_eq(ours.data_digest, theirs.data_digest, METADATA_DIGEST_SIZE);
    ck_assert_int_eq(metadata_verify(&ours, public_key, file, file_size, code, 4), METADATA_OK);
    blank(published, &theirs);
    blank(out, &ours);
    ck_assert_mem_eq(published, out, size);
    json_decref(root);
}
END_TEST

START_TEST(names)
{
    for (unsigned i = 0; i < CONTAINER_TYPE_COUNT; i++)
        ck_assert_uint_eq(container_type_from_name(container_type_name((enum container_type)i)), i);
    ck_assert_str_eq(container_type_name(CONTAINER_TYPE_RBPF), "rbpf");
    ck_assert_str_eq(container_type_name((enum container_type)99), "undefined");
    ck_assert_int_eq(container_type_from_name("Wasm"), CONTAINER_TYPE_COUNT);
    for (unsigned i = 1; i < CONTAINER_SYSCALL_COUNT; i++)
        ck_assert_uint_eq(container_syscall_from_name(container_syscall_name(i)), i);
    ck_assert_ptr_null(container_syscall_name(0));
    ck_assert_ptr_null(container_syscall_name(CONTAINER_SYSCALL_COUNT));
    ck_assert_uint_eq(container_syscall_from_name("fork"), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(endpoint_peer_from_name(endpoint_peer_name((enum endpoint_peer)i)), i);
        ck_assert_int_eq(endpoint_direction_from_name(endpoint_direction_name((enum endpoint_direction)i)), i);
    }
    ck_assert_int_eq(endpoint_peer_from_name("unknown"), -1);
    ck_assert_int_eq(endpoint_direction_from_name(""), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metadata");
    TCase *tc = tcase_create("metadata");

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, what_is_built_is_parsed_and_verified);
    tcase_add_test(tc, size_is_foretold);
    tcase_add_test(tc, largest_fits);
    tcase_add_test(tc, buffer_too_small);
    tcase_add_test(tc, all_parts_are_always_there);
    tcase_add_test(tc, tokens_are_111_bytes);
    tcase_add_test(tc, mask_is_big_endian_and_short);
    tcase_add_test(tc, invalid_is_not_built);
    tcase_add_test(tc, signing_can_fail);
    tcase_add_test(tc, verification_tells_what_is_wrong);
    tcase_add_test(tc, metadata_digest_covers_the_uid);
    tcase_add_test(tc, empty_data);
    tcase_add_test(tc, cut_or_longer_is_refused);
    tcase_add_test(tc, published_example);
    tcase_add_test(tc, names);
    return suite_run(suite);
}
