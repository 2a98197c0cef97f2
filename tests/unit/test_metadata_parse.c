#include "suite.h"
#include "tcgw/metadata.h"

#include "base/cleanup.h"
#include "codec/cborio.h"
#include "codec/token.h"

#include <check.h>
#include <string.h>

static uint8_t out[METADATA_MAX_SIZE];
static char reason[128];

static int parse(size_t size, struct metadata *md)
{
    return metadata_parse(out, size, md, NULL, reason, sizeof reason);
}

/*
 * Metadata made by hand, so that each thing that may be wrong can be. The parts are written by functions that a case
 * replaces.
 */
typedef void (*part_fn)(struct cborio_writer *w);

static void token(struct cborio_writer *w, int64_t claim, size_t size)
{
    uint8_t bytes[128], value[64] = {0};
    struct cborio_writer inner = cborio_writer_init(bytes, sizeof bytes);

    ck_assert_int_eq(token_put(&inner, claim, value, size, NULL, NULL), 0);
    cborio_put_bytes(w, bytes, inner.used);
}

static void container_of_uid(struct cborio_writer *w, size_t length, uint64_t type, size_t mask)
{
    cborio_put_map(w, 3);
    cborio_put_uint(w, 1);
    cborio_put_bytes(w, "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu", length);
    cborio_put_uint(w, 2);
    cborio_put_uint(w, type);
    cborio_put_uint(w, 3);
    token(w, TOKEN_CLAIM_MASK, mask);
}

static void container_good(struct cborio_writer *w)
{
    container_of_uid(w, 63, 4, 4);
}

static void container_uid_0(struct cborio_writer *w)
{
    container_of_uid(w, 0, 4, 1);
}

static void container_uid_64(struct cborio_writer *w)
{
    container_of_uid(w, 64, 4, 1);
}

static void container_type_8(struct cborio_writer *w)
{
    container_of_uid(w, 1, 8, 1);
}

static void container_mask_5(struct cborio_writer *w)
{
    container_of_uid(w, 1, 4, 5);
}

static void container_uid_text(struct cborio_writer *w)
{
    cborio_put_map(w, 1);
    cborio_put_uint(w, 1);
    cborio_put_text(w, "u");
}

static void container_uid_nul(struct cborio_writer *w)
{
    cborio_put_map(w, 1);
    cborio_put_uint(w, 1);
    cborio_put_bytes(w, "u\0v", 3);
}

static void container_uid_twice(struct cborio_writer *w)
{
    cborio_put_map(w, 2);
    cborio_put_uint(w, 1);
    cborio_put_bytes(w, "u", 1);
    cborio_put_uint(w, 1);
    cborio_put_bytes(w, "v", 1);
}

static void container_key_4(struct cborio_writer *w)
{
    cborio_put_map(w, 1);
    cborio_put_uint(w, 4);
    cborio_put_uint(w, 4);
}

static void container_no_mask(struct cborio_writer *w)
{
    cborio_put_map(w, 2);
    cborio_put_uint(w, 1);
    cborio_put_bytes(w, "u", 1);
    cborio_put_uint(w, 2);
    cborio_put_uint(w, 4);
}

static void container_digest_as_mask(struct cborio_writer *w)
{
    cborio_put_map(w, 1);
    cborio_put_uint(w, 3);
    token(w, TOKEN_CLAIM_DIGEST, 1);
}

static void container_trailing(struct cborio_writer *w)
{
    container_good(w);
    cborio_put_uint(w, 0);
}

static void endpoints_none(struct cborio_writer *w)
{
    cborio_put_array(w, 0);
}

static void endpoint(struct cborio_writer *w, uint64_t id, uint64_t peer, uint64_t direction)
{
    cborio_put_map(w, 4);
    cborio_put_uint(w, 1);
    cborio_put_uint(w, id);
    cborio_put_uint(w, 2);
    cborio_put_uint(w, peer);
    cborio_put_uint(w, 4);
    cborio_put_uint(w, 1);
    cborio_put_uint(w, 5);
    cborio_put_uint(w, direction);
}

static void endpoints_two(struct cborio_writer *w)
{
    cborio_put_array(w, 2);
    endpoint(w, 1, 1, 0);
    endpoint(w, UINT32_MAX, 2, 2);
}

static void endpoints_33(struct cborio_writer *w)
{
    cborio_put_array(w, METADATA_MAX_ENDPOINTS + 1);
    for (unsigned i = 0; i <= METADATA_MAX_ENDPOINTS; i++)
        endpoint(w, i, 1, 0);
}

static void endpoints_same_id(struct cborio_writer *w)
{
    cborio_put_array(w, 2);
    endpoint(w, 1, 1, 0);
    endpoint(w, 1, 1, 0);
}

static void endpoints_peer_3(struct cborio_writer *w)
{
    cborio_put_array(w, 1);
    endpoint(w, 1, 3, 0);
}

static void endpoints_direction_3(struct cborio_writer *w)
{
    cborio_put_array(w, 1);
    endpoint(w, 1, 1, 3);
}

static void endpoints_id_large(struct cborio_writer *w)
{
    cborio_put_array(w, 1);
    endpoint(w, UINT32_MAX + 1ULL, 1, 1);
}

static void endpoints_no_peer_uid(struct cborio_writer *w)
{
    cborio_put_array(w, 1);
    endpoint(w, 1, 0, 0);
}

/* Specified, but the public agent rejects it. */
static void endpoints_key_6(struct cborio_writer *w)
{
    cborio_put_array(w, 1);
    cborio_put_map(w, 1);
    cborio_put_uint(w, 6);
    cborio_put_uint(w, 1);
}

static void endpoints_no_direction(struct cborio_writer *w)
{
    cborio_put_array(w, 1);
    cborio_put_map(w, 3);
    cborio_put_uint(w, 1);
    cborio_put_uint(w, 1);
    cborio_put_uint(w, 2);
    cborio_put_uint(w, 1);
    cborio_put_uint(w, 4);
    cborio_put_uint(w, 1);
}

static void endpoints_no_map(struct cborio_writer *w)
{
    cborio_put_array(w, 1);
    cborio_put_uint(w, 1);
}

static void endpoints_no_array(struct cborio_writer *w)
{
    cborio_put_map(w, 0);
}

static void limits(struct cborio_writer *w, size_t elements, uint64_t last)
{
    cborio_put_array(w, elements);
    for (unsigned i = 0; i < 4; i++)
        cborio_put_uint(w, i);
    cborio_put_uint(w, last);
    token(w, TOKEN_CLAIM_DIGEST, 32);
}

static void security_good(struct cborio_writer *w)
{
    limits(w, 8, UINT32_MAX);
    token(w, TOKEN_CLAIM_DIGEST, 32);
    token(w, TOKEN_CLAIM_DIGEST, 32);
}

static void security_seven(struct cborio_writer *w)
{
    limits(w, 7, 0);
    token(w, TOKEN_CLAIM_DIGEST, 32);
}

static void security_large_limit(struct cborio_writer *w)
{
    limits(w, 8, UINT32_MAX + 1ULL);
    token(w, TOKEN_CLAIM_DIGEST, 32);
    token(w, TOKEN_CLAIM_DIGEST, 32);
}

static void security_short_digest(struct cborio_writer *w)
{
    limits(w, 8, 0);
    token(w, TOKEN_CLAIM_DIGEST, 31);
    token(w, TOKEN_CLAIM_DIGEST, 32);
}

static void security_mask_as_digest(struct cborio_writer *w)
{
    limits(w, 8, 0);
    token(w, TOKEN_CLAIM_DIGEST, 32);
    token(w, TOKEN_CLAIM_MASK, 32);
}

static void security_trailing(struct cborio_writer *w)
{
    security_good(w);
    cborio_put_uint(w, 0);
}

static void put_part(struct cborio_writer *w, unsigned number, part_fn part)
{
    uint8_t bytes[METADATA_MAX_SIZE];
    struct cborio_writer inner = cborio_writer_init(bytes, sizeof bytes);

    part(&inner);
    cborio_put_uint(w, number);
    cborio_put_bytes(w, bytes, inner.used);
}

static size_t by_hand(part_fn container, part_fn endpoints, part_fn security)
{
    struct cborio_writer w = cborio_writer_init(out, sizeof out);

    cborio_put_tag(&w, METADATA_TAG);
    cborio_put_map(&w, 3);
    put_part(&w, 1, container);
    put_part(&w, 2, endpoints);
    put_part(&w, 3, security);
    ck_assert(!w.failed);
    return w.used;
}

static const struct {
    part_fn container, endpoints, security;
    const char *reason; /* a part of it; NULL when the metadata is good */
} cases[] = {
    {container_good, endpoints_none, security_good, NULL},
    {container_good, endpoints_two, security_good, NULL},
    {container_uid_0, endpoints_none, security_good, "uid (1.1) is not a byte string of 1 to 63"},
    {container_uid_64, endpoints_none, security_good, "uid (1.1) is not a byte string of 1 to 63"},
    {container_uid_text, endpoints_none, security_good, "uid (1.1)"},
    {container_uid_nul, endpoints_none, security_good, "uid (1.1)"},
    {container_uid_twice, endpoints_none, security_good, "there twice"},
    {container_key_4, endpoints_none, security_good, "container part (1) has a key that is unknown"},
    {container_no_mask, endpoints_none, security_good, "needs uid (1), type (2) and system-call mask (3)"},
    {container_type_8, endpoints_none, security_good, "type (1.2)"},
    {container_mask_5, endpoints_none, security_good, "mask has 5 bytes, at most 4"},
    {container_digest_as_mask, endpoints_none, security_good, "claim -65536"},
    {container_trailing, endpoints_none, security_good, "container part (1) is not one map"},
    {endpoints_none, endpoints_none, security_good, "container part (1) is not one map"},
    {container_good, endpoints_33, security_good, "33 endpoints, at most 32"},
    {container_good, endpoints_same_id, security_good, "endpoints 0 and 1 (2) have the same id"},
    {container_good, endpoints_peer_3, security_good, "endpoint 0 (2): the value of key 2"},
    {container_good, endpoints_direction_3, security_good, "endpoint 0 (2): the value of key 5"},
    {container_good, endpoints_id_large, security_good, "endpoint 0 (2): the value of key 1"},
    {container_good, endpoints_no_peer_uid, security_good, "no peer uid (3)"},
    {container_good, endpoints_key_6, security_good, "endpoint 0 (2) has a key that is unknown"},
    {container_good, endpoints_no_direction, security_good, "direction (5)"},
    {container_good, endpoints_no_map, security_good, "endpoint 0 (2) is not a map"},
    {container_good, endpoints_no_array, security_good, "endpoints (2) are not one array"},
    {container_good, container_good, security_good, "endpoints (2) are not one array"},
    {container_good, endpoints_none, security_seven, "five limits and three tokens"},
    {container_good, endpoints_none, security_large_limit, "32 bits"},
    {container_good, endpoints_none, security_short_digest, "code token"},
    {container_good, endpoints_none, security_mask_as_digest, "metadata token"},
    {container_good, endpoints_none, security_trailing, "bytes follow"},
    {container_good, endpoints_none, endpoints_none, "five limits and three tokens"},
};

START_TEST(each_mistake_is_named)
{
    size_t size = by_hand(cases[_i].container, cases[_i].endpoints, cases[_i].security);
    struct metadata md;
    int r = parse(size, &md);

    ck_assert_msg(r == (cases[_i].reason ? 1 : 0), "%d: %s", _i, reason);
    if (cases[_i].reason)
        ck_assert_msg(strstr(reason, cases[_i].reason) != NULL, "%d: %s", _i, reason);
}
END_TEST

/* The parts of the outer map: each is needed once, and the metadata token has to come last. */
START_TEST(parts_of_the_outer_map)
{
    static const struct {
        uint64_t tag;
        unsigned keys[3];
        unsigned count;
        const char *reason;
    } orders[] = {
        {METADATA_TAG, {1, 2, 3}, 3, NULL},
        {METADATA_TAG, {2, 1, 3}, 3, NULL},
        {METADATA_TAG, {3, 1, 2}, 3, "not at the end"},
        {METADATA_TAG, {1, 3}, 2, "needs the parts"},
        {METADATA_TAG, {1, 2}, 2, "needs the parts"},
        {METADATA_TAG, {2, 3}, 2, "needs the parts"},
        {METADATA_TAG, {0}, 0, "needs the parts"},
        {METADATA_TAG, {1, 1, 3}, 3, "there twice"},
        {METADATA_TAG, {1, 2, 4}, 3, "unknown"},
        {18, {1, 2, 3}, 3, "tag"},
    };
    static const part_fn parts[] = {container_good, container_good, endpoints_none, security_good, endpoints_none};

    for (size_t i = 0; i < array_size(orders); i++) {
        struct cborio_writer w = cborio_writer_init(out, sizeof out);
        struct metadata md;
        int r;

        cborio_put_tag(&w, orders[i].tag);
        cborio_put_map(&w, orders[i].count);
        for (unsigned n = 0; n < orders[i].count; n++)
            put_part(&w, orders[i].keys[n], parts[orders[i].keys[n]]);
        r = parse(w.used, &md);
        ck_assert_msg(r == (orders[i].reason ? 1 : 0), "%zu: %s", i, reason);
        if (orders[i].reason)
            ck_assert_msg(strstr(reason, orders[i].reason) != NULL, "%zu: %s", i, reason);
    }
}
END_TEST

START_TEST(tokens_are_strict)
{
    static const uint8_t value[32];
    uint8_t good[METADATA_TOKEN_SIZE], bad[METADATA_TOKEN_SIZE + 1];
    struct cborio_writer w = cborio_writer_init(good, sizeof good);
    struct token found;
    static const struct {
        size_t at;
        uint8_t byte;
    } changes[] = {
        {0, 0x83},  /* three elements */
        {0, 0xd2},  /* tag 18, which the agent's parser rejects */
        {1, 0x41},  /* something protected */
        {2, 0xa1},  /* something unprotected */
        {2, 0x80},  /* no map */
        {3, 0x78},  /* the claims as text */
        {5, 0xa2},  /* two claims */
        {6, 0x39},  /* another claim */
        {11, 0x78}, /* the digest as text */
        {46, 0x3f}, /* a signature of 63 */
    };

    ck_assert_int_eq(token_put(&w, TOKEN_CLAIM_DIGEST, value, sizeof value, NULL, NULL), 0);
    ck_assert_uint_eq(w.used, METADATA_TOKEN_SIZE);
    ck_assert(token_parse(good, sizeof good, TOKEN_CLAIM_DIGEST, &found));
    ck_assert(!token_parse(good, sizeof good, TOKEN_CLAIM_MASK, &found));
    for (size_t i = 0; i < array_size(changes); i++) {
        memcpy(bad, good, sizeof good);
        bad[changes[i].at] = changes[i].byte;
        ck_assert_msg(!token_parse(bad, sizeof good, TOKEN_CLAIM_DIGEST, &found), "change %zu", i);
    }
    memcpy(bad, good, sizeof good);
    bad[sizeof good] = 0;
    ck_assert(!token_parse(bad, sizeof bad, TOKEN_CLAIM_DIGEST, &found));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metadata_parse");
    TCase *tc = tcase_create("metadata_parse");

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, each_mistake_is_named, 0, array_size(cases));
    tcase_add_test(tc, parts_of_the_outer_map);
    tcase_add_test(tc, tokens_are_strict);
    return suite_run(suite);
}
