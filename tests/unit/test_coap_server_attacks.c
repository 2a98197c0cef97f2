#include "oscore/context.h"
#include "server_fixture.h"
#include "suite.h"

#include <string.h>

/* What the gateway does with requests that somebody made to harm it: the answer of the RFC, no effect, bounded work,
 * and a count. */

static struct gadget *a, *b;
static struct coapmsg request, answer;
static uint8_t datagram[4096], copy[4096], payload[4096];
static struct incoming incoming;

static void set_up(void)
{
    world_open();
    a = world_add("a", false);
    b = world_add("b", true);
}

static void tear_down(void)
{
    world_close();
}

static void make_put(void)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_set_token(&request, "token", 5);
    coapmsg_add_path(&request, "/shadow/reported");
    coapmsg_set_payload(&request, "harm", 4);
}

/* Sends a datagram a second after the last, so that no rate is too high. */
static void send_bytes(const void *bytes, size_t size)
{
    clock_manual_advance(&world.clock, 1000);
    world_send(&incoming, &a->peer, bytes, size);
    world_run();
}

static void send_message(const struct coapmsg *msg)
{
    send_bytes(copy, world_encode(msg, copy));
}

static size_t protect_put(struct gadget *gadget)
{
    make_put();
    return world_protect(gadget, &request, 0, datagram);
}

/* The last request was answered with this unprotected error (RFC 8613 section 8.2). */
static void check_refused(uint8_t code, const char *diagnostic)
{
    uint32_t max_age = 1;

    world_read_answer(&incoming, &answer);
    ck_assert_uint_eq(answer.code, code);
    ck_assert_ptr_null(coapmsg_find(&answer, COAPMSG_OPT_OSCORE));
    ck_assert(coapmsg_get_uint(&answer, COAPMSG_OPT_MAX_AGE, &max_age) && max_age == 0);
    ck_assert(!incoming.keep);
    ck_assert_uint_eq(answer.payload_size, strlen(diagnostic));
    ck_assert_mem_eq(answer.payload, diagnostic, answer.payload_size);
}

static void check_replay_refused(void)
{
    check_refused(COAPMSG_UNAUTHORIZED, "Replay detected");
}

static void check_accepted(struct gadget *gadget)
{
    ck_assert_int_eq(world_open_answer(gadget, &incoming, &answer), 0);
    ck_assert_uint_eq(COAPMSG_CLASS(answer.code), 2);
}

/* An outer request with an option of these bytes. */
static void send_option(const void *value, size_t size)
{
    struct coapmsg outer;

    coapmsg_init(&outer, COAPMSG_CON, COAPMSG_POST);
    coapmsg_set_token(&outer, "t", 1);
    coapmsg_add(&outer, COAPMSG_OPT_OSCORE, value, size);
    coapmsg_set_payload(&outer, payload, 20);
    send_message(&outer);
}

/* The option ---------------------------------------------------------------------------------------------------------
 */

START_TEST(each_malformed_option_is_4_02)
{
    uint8_t value[16] = {0};
    unsigned refused = 0;

    for (unsigned flags = 0; flags < 256; flags++) {
        unsigned piv = flags & 7;
        bool bad = flags & 0xe0 || piv > 5 || piv == 0 || !(flags & 8);

        value[0] = (uint8_t)flags;
        memset(value + 1, 1, sizeof value - 1); /* kid context of one byte; all else is kid */
        send_option(value, sizeof value);
        if (bad)
            check_refused(COAPMSG_BAD_OPTION, "Failed to decode COSE");
        else
            check_refused(COAPMSG_UNAUTHORIZED, "Security context not found");
        refused += bad;
    }
    ck_assert_uint_eq(world_stats().malformed_option, refused);
    ck_assert_uint_eq(world_stats().unknown_context, 256 - refused);
}
END_TEST

START_TEST(each_length_of_an_option_is_looked_at)
{
    static const uint8_t whole[] = {0x1b, 1, 2, 3, 4, 'c', 't', 'x', '4', 'd', '1'};

    send_option(whole, 0);
    check_refused(COAPMSG_BAD_OPTION, "Failed to decode COSE");
    for (size_t size = 1; size < 9; size++) { /* it ends in the Partial IV, or in the kid context */
        send_option(whole, size);
        check_refused(COAPMSG_BAD_OPTION, "Failed to decode COSE");
    }
    send_option(whole, 9); /* an empty kid */
    check_refused(COAPMSG_UNAUTHORIZED, "Security context not found");
    for (size_t size = 12; size < 300; size++) { /* too long for any kid */
        memcpy(payload, whole, sizeof whole);
        send_option(payload, size);
        ck_assert_int_eq(incoming.state, INCOMING_ANSWERED);
        world_read_answer(&incoming, &answer);
        ck_assert_uint_eq(COAPMSG_CLASS(answer.code), 4);
    }
    ck_assert_uint_eq(world_stats().protected_requests, 0);
}
END_TEST

START_TEST(an_option_twice_or_without_a_payload_is_4_02)
{
    static const uint8_t value[] = {9, 0, 'd', '0'};
    struct coapmsg outer;

    coapmsg_init(&outer, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add(&outer, COAPMSG_OPT_OSCORE, value, sizeof value);
    send_message(&outer);
    check_refused(COAPMSG_BAD_OPTION, "Failed to decode COSE");
    coapmsg_add(&outer, COAPMSG_OPT_OSCORE, value, sizeof value);
    coapmsg_set_payload(&outer, payload, 20);
    send_message(&outer);
    check_refused(COAPMSG_BAD_OPTION, "Failed to decode COSE");
}
END_TEST

START_TEST(unknown_kids_and_kid_contexts_are_4_01)
{
    struct oscore_option option = {.piv = (const uint8_t *)"\1", .piv_size = 1};
    uint8_t value[OSCORE_OPTION_MAX];

    option.kid = (const uint8_t *)"dx";
    option.kid_size = 2;
    send_option(value, oscore_option_encode(&option, value));
    check_refused(COAPMSG_UNAUTHORIZED, "Security context not found");
    option.kid = (const uint8_t *)"d1";
    option.kid_context = (const uint8_t *)"cty";
    option.kid_context_size = 3;
    send_option(value, oscore_option_encode(&option, value));
    check_refused(COAPMSG_UNAUTHORIZED, "Security context not found");
    option.kid_context = (const uint8_t *)"\x43"
                                          "ctx"; /* as a CBOR byte string it is known */
    option.kid_context_size = 4;
    send_option(value, oscore_option_encode(&option, value));
    check_refused(COAPMSG_BAD_REQUEST, "Decryption failed");
    ck_assert_uint_eq(world_stats().unknown_context, 2);
    ck_assert_uint_eq(world_stats().decrypt_failures, 1);
}
END_TEST

/* The ciphertext -----------------------------------------------------------------------------------------------------
 */

START_TEST(a_truncated_ciphertext_is_4_00)
{
    size_t size = protect_put(a);
    struct coapmsg whole, outer;

    ck_assert_int_eq(coapmsg_decode(&whole, datagram, size), 0);
    for (size_t left = 1; left < whole.payload_size; left++) {
        ck_assert_int_eq(coapmsg_decode(&outer, datagram, size), 0);
        coapmsg_set_payload(&outer, whole.payload, left);
        send_message(&outer);
        check_refused(COAPMSG_BAD_REQUEST, "Decryption failed");
    }
    ck_assert_uint_eq(a->credential.counters.failures, whole.payload_size - 1);
    send_bytes(datagram, size);
    check_accepted(a);
    ck_assert_uint_eq(world.puts, 1);
}
END_TEST

START_TEST(no_flipped_bit_of_what_is_protected_goes_through)
{
    size_t size = protect_put(a);
    struct coapmsg whole;
    size_t from, to;

    ck_assert_int_eq(coapmsg_decode(&whole, datagram, size), 0);
    from = (size_t)(coapmsg_find(&whole, COAPMSG_OPT_OSCORE)->value - datagram);
    to = size;
    for (size_t bit = 8 * from; bit < 8 * to; bit++) {
        memcpy(copy, datagram, size);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        send_bytes(copy, size);
        if (incoming.state == INCOMING_ANSWERED) {
            world_read_answer(&incoming, &answer);
            ck_assert_uint_eq(COAPMSG_CLASS(answer.code), 4);
            ck_assert_ptr_null(coapmsg_find(&answer, COAPMSG_OPT_OSCORE));
        }
        ck_assert_uint_eq(world.puts, 0);
        ck_assert_uint_eq(a->verified, 0);
    }
    send_bytes(datagram, size); /* and none of it moved the window */
    check_accepted(a);
}
END_TEST

/* Header, token and outer options are the hops'; whatever they say, it is the request that was protected or none. */
START_TEST(flipped_bits_outside_of_the_protection_change_no_meaning)
{
    size_t size = protect_put(a), bits = 8 * size;

    for (size_t bit = 0; bit < bits; bit++) {
        struct coapmsg whole;

        size = protect_put(a);
        ck_assert_int_eq(coapmsg_decode(&whole, datagram, size), 0);
        if (bit >= 8 * (size_t)(coapmsg_find(&whole, COAPMSG_OPT_OSCORE)->value - datagram))
            break;
        datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
        world.puts = 0;
        send_bytes(datagram, size);
        ck_assert_uint_le(world.puts, 1);
        ck_assert_int_ne(incoming.state, INCOMING_HELD);
    }
    ck_assert_uint_eq(a->documents[SHADOW_REPORTED].shadow.size, 4);
    ck_assert_mem_eq(a->documents[SHADOW_REPORTED].body, "harm", 4);
    ck_assert_uint_eq(b->verified, 0);
}
END_TEST

/* Replay -------------------------------------------------------------------------------------------------------------
 */

START_TEST(a_replayed_request_is_4_01_and_has_no_second_effect)
{
    size_t size = protect_put(a);

    send_bytes(datagram, size);
    check_accepted(a);
    for (int i = 0; i < 5; i++) {
        send_bytes(datagram, size);
        check_replay_refused();
    }
    ck_assert_uint_eq(world.puts, 1);
    ck_assert_uint_eq(world_stats().replays, 5);
    ck_assert_uint_eq(a->credential.counters.replays, 5);
    ck_assert_uint_eq(a->verified, 1);
}
END_TEST

START_TEST(order_does_not_matter_within_the_window_and_nothing_is_taken_twice)
{
    static uint8_t messages[OSCORE_WINDOW + 1][256];
    size_t sizes[OSCORE_WINDOW + 1];

    for (size_t i = 0; i <= OSCORE_WINDOW; i++) {
        sizes[i] = protect_put(a);
        memcpy(messages[i], datagram, sizes[i]);
    }
    send_bytes(messages[OSCORE_WINDOW], sizes[OSCORE_WINDOW]);
    ck_assert_uint_eq(world.puts, 1);
    send_bytes(messages[0], sizes[0]); /* too old to know */
    check_replay_refused();
    for (size_t i = OSCORE_WINDOW - 1; i > 0; i--) {
        send_bytes(messages[i], sizes[i]);
        ck_assert_uint_eq(world.puts, 1 + OSCORE_WINDOW - i);
    }
    for (size_t i = 0; i <= OSCORE_WINDOW; i++) {
        send_bytes(messages[i], sizes[i]);
        check_replay_refused();
    }
    ck_assert_uint_eq(world.puts, OSCORE_WINDOW);
}
END_TEST

START_TEST(a_replay_over_a_restart_has_no_effect)
{
    size_t size = protect_put(a);
    uint8_t old[4096], echo[PROOF_SIZE];

    memcpy(old, datagram, size);
    send_bytes(old, size);
    check_accepted(a);
    world_forget_window(a);
    for (int i = 0; i < 20; i++) { /* it is asked for an Echo that it does not know */
        send_bytes(old, size);
        ck_assert_int_eq(incoming.state, INCOMING_ANSWERED);
    }
    ck_assert_uint_eq(world.puts, 1);
    make_put();
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_UNAUTHORIZED);
    memcpy(echo, coapmsg_find(&answer, COAPMSG_OPT_ECHO)->value, PROOF_SIZE);
    coapmsg_add(&request, COAPMSG_OPT_ECHO, echo, PROOF_SIZE);
    size = world_protect(a, &request, 0, datagram); /* one with the right Echo */
    send_bytes(datagram, size);
    check_accepted(a);
    ck_assert_uint_eq(world.puts, 2);
    send_bytes(datagram, size);
    check_replay_refused();
    send_bytes(old, size);
    ck_assert_uint_eq(world.puts, 2);
    world_restart_server(); /* and after the next restart that is an old one as well */
    world_forget_window(a);
    send_bytes(datagram, size);
    ck_assert_int_eq(world_open_answer(a, &incoming, &answer), 0);
    ck_assert_uint_eq(answer.code, COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(world.puts, 2);
    ck_assert_uint_eq(world_stats().echo_failures, 1);
}
END_TEST

/* A challenge to a replayed request must not be protected with the nonce that its answer had. */
START_TEST(challenges_never_use_the_nonce_of_a_request)
{
    size_t size = protect_put(a);
    struct oscore_option option;

    world_forget_window(a);
    for (int i = 0; i < 3; i++) {
        send_bytes(datagram, size);
        world_read_answer(&incoming, &answer);
        ck_assert_int_eq(oscore_message_option(&answer, &option), 0);
        ck_assert_ptr_nonnull(option.piv);
        ck_assert_int_eq(option.piv[0], i);
    }
}
END_TEST

/* Contradictions ------------------------------------------------------------------------------------------------------
 */

START_TEST(outer_options_that_contradict_inner_ones_do_not_count)
{
    size_t size = protect_put(a);
    struct coapmsg outer;

    ck_assert_int_eq(coapmsg_decode(&outer, datagram, size), 0);
    coapmsg_add_path(&outer, "/join");
    coapmsg_add_text(&outer, COAPMSG_OPT_URI_QUERY, "id=evil");
    coapmsg_add_uint(&outer, COAPMSG_OPT_OBSERVE, 0);
    coapmsg_add_uint(&outer, COAPMSG_OPT_IF_MATCH, 77);
    coapmsg_add(&outer, COAPMSG_OPT_IF_NONE_MATCH, NULL, 0);
    coapmsg_add_uint(&outer, COAPMSG_OPT_CONTENT_FORMAT, 50);
    coapmsg_add_uint(&outer, COAPMSG_OPT_ACCEPT, 50);
    coapmsg_add_uint(&outer, COAPMSG_OPT_ECHO, 1);
    world.join_is_open = true;
    send_message(&outer);
    check_accepted(a);
    ck_assert_uint_eq(answer.code, COAPMSG_CREATED);
    ck_assert_str_eq(world.pending, "");
    ck_assert_int_eq(a->documents[SHADOW_REPORTED].shadow.format, -1);
    ck_assert_uint_eq(world_stats().observers, 0);
}
END_TEST

START_TEST(a_later_outer_block_of_an_answer_is_refused)
{
    size_t size = protect_put(a);
    struct coapmsg outer;

    ck_assert_int_eq(coapmsg_decode(&outer, datagram, size), 0);
    coapmsg_add_block(&outer, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){3, false, 6});
    send_message(&outer);
    check_refused(COAPMSG_BAD_OPTION, "Failed to decode COSE");
    ck_assert_uint_eq(world.puts, 0);
}
END_TEST

/* Protects arbitrary bytes as a device that has the keys could. */
static size_t forge(struct gadget *gadget, const void *plaintext, size_t plaintext_size)
{
    static uint8_t ciphertext[2048];
    struct oscore_context *c = gadget->client;
    struct oscore_binding *binding = &gadget->binding;
    uint8_t aad[CONTEXT_AAD_MAX], nonce[CRYPTO_NONCE_MAX], value[OSCORE_OPTION_MAX];
    struct oscore_option option = {.kid = c->credentials.sender_id, .kid_size = c->credentials.sender_id_size};
    struct crypto_text text = {.aead = c->aead, .nonce = nonce, .aad = aad, .in = plaintext, .in_size = plaintext_size};
    struct coapmsg outer;
    uint64_t number;

    ck_assert_int_eq(context_take_number(c, &number), 0);
    *binding = (struct oscore_binding){.kid_size = option.kid_size, .piv_size = context_put_piv(binding->piv, number)};
    memcpy(binding->kid, option.kid, option.kid_size);
    binding->piv_size = context_put_piv(binding->piv, number);
    option.piv = binding->piv;
    option.piv_size = binding->piv_size;
    text.aad_size = context_aad(c, binding, aad);
    context_nonce(c, binding->kid, binding->kid_size, binding->piv, binding->piv_size, nonce);
    ck_assert(crypto_seal(c->crypto, &c->sender, &text, ciphertext));
    coapmsg_init(&outer, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add(&outer, COAPMSG_OPT_OSCORE, value, oscore_option_encode(&option, value));
    coapmsg_set_payload(&outer, ciphertext, plaintext_size + c->aead->tag_size);
    return world_encode(&outer, datagram);
}

START_TEST(an_inner_message_that_is_none_is_4_00)
{
    static const struct {
        const char *bytes;
        size_t size;
    } inner[] = {
        {"\x00", 1},                         /* empty */
        {"\x45", 1},                         /* a response */
        {"\x20", 1},                         /* a reserved class */
        {"\x03\xff", 2},                     /* a payload marker without a payload */
        {"\x03\xf0", 2},                     /* a reserved option delta */
        {"\x03\x0f", 2},                     /* a reserved option length */
        {"\x03\xb5shad", 6},                 /* an option that ends early */
        {"\x03\xe0\xff", 3},                 /* a delta that ends early */
        {"\x03\xe0\xff\xff\xe0\xff\xff", 7}, /* a number beyond 65535 */
        {"\x03\x92\x09\x00\xff!", 6},        /* nested OSCORE */
    };

    for (size_t i = 0; i < array_size(inner); i++) {
        send_bytes(datagram, forge(a, inner[i].bytes, inner[i].size));
        check_refused(COAPMSG_BAD_REQUEST, "The protected message is malformed");
    }
    ck_assert_uint_eq(world_stats().inner_malformed, array_size(inner));
    ck_assert_uint_eq(world.puts + world.reads, 0);
    send_bytes(datagram, protect_put(a));
    check_accepted(a);
}
END_TEST

START_TEST(an_inner_message_with_more_options_than_we_take_is_4_00)
{
    uint8_t inner[1 + COAPMSG_MAX_OPTIONS + 1] = {COAPMSG_GET, 0xb0}; /* Uri-Path, and many empty ones after it */

    send_bytes(datagram, forge(a, inner, sizeof inner));
    check_refused(COAPMSG_BAD_REQUEST, "The protected message is malformed");
}
END_TEST

/* Outer blocks
 * --------------------------------------------------------------------------------------------------------- */

/* Sends block `num` of 64 bytes of a protected datagram; its number of blocks. */
static uint32_t send_outer_block(size_t size, uint32_t num)
{
    struct coapmsg whole, outer;
    size_t offset = num * 64u, left;

    ck_assert_int_eq(coapmsg_decode(&whole, datagram, size), 0);
    ck_assert_int_eq(coapmsg_decode(&outer, datagram, size), 0);
    left = whole.payload_size - offset;
    coapmsg_add_block(&outer, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){num, left > 64, 2});
    coapmsg_set_payload(&outer, whole.payload + offset, left < 64 ? left : 64);
    send_message(&outer);
    return (uint32_t)((whole.payload_size + 63) / 64);
}

static size_t protect_long_put(size_t size)
{
    make_put();
    coapmsg_set_payload(&request, payload, size);
    return world_protect(a, &request, 0, datagram);
}

START_TEST(a_protected_message_in_outer_blocks_is_put_together)
{
    size_t size = protect_long_put(900);
    uint32_t count = 2;
    struct coapmsg_block block;

    for (uint32_t num = 0; num + 1 < count; num++) {
        count = send_outer_block(size, num);
        world_read_answer(&incoming, &answer);
        ck_assert_uint_eq(answer.code, COAPMSG_CONTINUE);
        ck_assert(!incoming.keep);
    }
    (void)send_outer_block(size, count - 1);
    world_read_answer(&incoming, &answer);
    ck_assert_int_eq(coapmsg_get_block(&answer, COAPMSG_OPT_BLOCK1, &block), 0);
    ck_assert_uint_eq(block.num, count - 1);
    check_accepted(a);
    ck_assert_uint_eq(a->documents[SHADOW_REPORTED].shadow.size, 900);
    ck_assert_uint_eq(world_stats().transfers, 0);
}
END_TEST

START_TEST(outer_blocks_that_do_not_fit_are_refused)
{
    size_t size = protect_long_put(900);
    struct coapmsg outer;

    (void)send_outer_block(size, 3); /* a gap */
    world_read_answer(&incoming, &answer);
    ck_assert_uint_eq(answer.code, COAPMSG_INCOMPLETE);
    ck_assert_int_eq(coapmsg_decode(&outer, datagram, size), 0);
    coapmsg_add_block(&outer, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){0, true, 6});
    coapmsg_add_uint(&outer, COAPMSG_OPT_SIZE1, 4097);
    coapmsg_set_payload(&outer, payload, 1024);
    send_message(&outer);
    world_read_answer(&incoming, &answer);
    ck_assert_uint_eq(answer.code, COAPMSG_TOO_LARGE);
    for (uint32_t num = 0; num < 5; num++) { /* more than max_unfragmented, and not said */
        ck_assert_int_eq(coapmsg_decode(&outer, datagram, size), 0);
        coapmsg_add_block(&outer, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){num, true, 6});
        coapmsg_set_payload(&outer, payload, 1024);
        send_message(&outer);
        world_read_answer(&incoming, &answer);
        ck_assert_uint_eq(answer.code, num < 4 ? COAPMSG_CONTINUE : COAPMSG_TOO_LARGE);
    }
    ck_assert_uint_eq(world_stats().transfers_refused, 2);
    ck_assert_uint_eq(world.puts, 0);
}
END_TEST

START_TEST(thousands_of_outer_transfers_that_end_half_way_cost_bounded_memory)
{
    size_t size = protect_long_put(900);
    struct peer peer = a->peer;

    for (uint32_t i = 0; i < 5000; i++) {
        struct coapmsg outer;

        peer.address.v4.sin_addr.s_addr = htonl(0x0a000000 + i);
        ck_assert_int_eq(coapmsg_decode(&outer, datagram, size), 0);
        coapmsg_add_block(&outer, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){0, true, 5});
        coapmsg_set_payload(&outer, payload, 512);
        clock_manual_advance(&world.clock, 2);
        world_send(&incoming, &peer, copy, world_encode(&outer, copy));
        ck_assert_uint_le(world_stats().transfer_bytes, 32 * 512);
    }
    ck_assert_uint_le(world_stats().transfers, 32);
    ck_assert_uint_ge(world_stats().blocks_abandoned, 4900);
}
END_TEST

/* Identity ------------------------------------------------------------------------------------------------------------
 */

START_TEST(no_device_can_act_as_another)
{
    size_t size = protect_put(a);
    struct coapmsg outer;
    struct oscore_option option;
    uint8_t value[OSCORE_OPTION_MAX];

    ck_assert_int_eq(coapmsg_decode(&outer, datagram, size), 0);
    ck_assert_int_eq(oscore_message_option(&outer, &option), 0);
    option.kid = b->client->credentials.sender_id; /* its own message under b's name */
    outer.option_count = 0;
    coapmsg_add(&outer, COAPMSG_OPT_OSCORE, value, oscore_option_encode(&option, value));
    send_message(&outer);
    check_refused(COAPMSG_BAD_REQUEST, "Decryption failed");
    option.kid_context = b->client->credentials.id_context;
    option.kid_context_size = b->client->credentials.id_context_size;
    outer.option_count = 0;
    coapmsg_add(&outer, COAPMSG_OPT_OSCORE, value, oscore_option_encode(&option, value));
    send_message(&outer);
    check_refused(COAPMSG_BAD_REQUEST, "Decryption failed");
    ck_assert_uint_eq(b->verified + a->verified, 0);
    a->peer = b->peer; /* from b's address it is still a */
    send_bytes(datagram, size);
    check_accepted(a);
    ck_assert_uint_eq(a->verified, 1);
    ck_assert_uint_eq(b->documents[SHADOW_REPORTED].shadow.revision, 0);
}
END_TEST

START_TEST(what_was_revoked_is_refused_from_the_next_datagram_on)
{
    size_t size = protect_put(a);

    world_revoke(a);
    send_bytes(datagram, size);
    check_refused(COAPMSG_UNAUTHORIZED, "Security context not found");
}
END_TEST

/* Ends of numbers
 * ------------------------------------------------------------------------------------------------------ */

START_TEST(the_last_number_of_a_device_is_good)
{
    (void)oscore_context_set_sequence(a->client, OSCORE_SEQUENCE_END - 1, OSCORE_SEQUENCE_END);
    send_bytes(datagram, protect_put(a));
    check_accepted(a);
    ck_assert_uint_eq(world.puts, 1);
}
END_TEST

START_TEST(when_our_numbers_have_ended_a_new_context_is_offered)
{
    world_forget_window(a);
    (void)oscore_context_set_sequence(a->credential.context, OSCORE_SEQUENCE_END, OSCORE_SEQUENCE_END);
    send_bytes(datagram, protect_put(a));
    ck_assert_int_eq(incoming.state, INCOMING_ANSWERED);
    ck_assert_uint_eq(world_stats().renewals_offered, 1);
    ck_assert_uint_eq(world.puts, 0);
}
END_TEST

/* Floods
 * --------------------------------------------------------------------------------------------------------------- */

START_TEST(the_gateway_is_no_reflector)
{
    struct oscore_option option = {
        .piv = (const uint8_t *)"\1", .piv_size = 1, .kid = (const uint8_t *)"dx", .kid_size = 2};
    uint8_t value[OSCORE_OPTION_MAX];
    struct coapmsg outer;
    size_t size;
    unsigned answered = 0;

    coapmsg_init(&outer, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add(&outer, COAPMSG_OPT_OSCORE, value, oscore_option_encode(&option, value));
    coapmsg_set_payload(&outer, payload, 9);
    size = world_encode(&outer, copy);
    for (int i = 0; i < 10000; i++) {
        world_send(&incoming, &a->peer, copy, size);
        answered += incoming.state == INCOMING_ANSWERED;
    }
    ck_assert_uint_eq(answered, 64);
    ck_assert_uint_eq(world_stats().rate_limited, 10000 - answered);
    ck_assert_uint_eq(world_stats().unknown_context, 10000);
    world_send(&incoming, &b->peer, copy, size); /* somebody else gets his */
    ck_assert_int_eq(incoming.state, INCOMING_ANSWERED);
    coapmsg_init(&outer, COAPMSG_CON, COAPMSG_GET); /* plain requests are strangers', too */
    coapmsg_add_path(&outer, "/.well-known/core");
    world_send(&incoming, &a->peer, copy, world_encode(&outer, copy));
    ck_assert_int_eq(incoming.state, INCOMING_DROPPED);
    world_send(&incoming, &a->peer, datagram, protect_put(a)); /* and the device itself is served all the same */
    world_run();
    check_accepted(a);
}
END_TEST

START_TEST(all_strangers_together_get_a_share)
{
    struct peer peer = a->peer;
    struct coapmsg plain;
    unsigned answered = 0;

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    for (uint32_t i = 0; i < 20000; i++) {
        peer.address.v4.sin_addr.s_addr = htonl(0x0a000000 + i);
        world_send(&incoming, &peer, copy, world_encode(&plain, copy));
        answered += incoming.state == INCOMING_ANSWERED;
    }
    ck_assert_uint_eq(answered, 2000);
    ck_assert_uint_eq(world_stats().held, 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("coap_server_attacks");
    TCase *tc = suite_add_case(suite, "option", set_up, tear_down);

    tcase_add_test(tc, each_malformed_option_is_4_02);
    tcase_add_test(tc, each_length_of_an_option_is_looked_at);
    tcase_add_test(tc, an_option_twice_or_without_a_payload_is_4_02);
    tcase_add_test(tc, unknown_kids_and_kid_contexts_are_4_01);
    tc = suite_add_case(suite, "ciphertext", set_up, tear_down);
    tcase_add_test(tc, a_truncated_ciphertext_is_4_00);
    tcase_add_test(tc, no_flipped_bit_of_what_is_protected_goes_through);
    tcase_add_test(tc, flipped_bits_outside_of_the_protection_change_no_meaning);
    tc = suite_add_case(suite, "replay", set_up, tear_down);
    tcase_add_test(tc, a_replayed_request_is_4_01_and_has_no_second_effect);
    tcase_add_test(tc, order_does_not_matter_within_the_window_and_nothing_is_taken_twice);
    tcase_add_test(tc, a_replay_over_a_restart_has_no_effect);
    tcase_add_test(tc, challenges_never_use_the_nonce_of_a_request);
    tc = suite_add_case(suite, "contradictions", set_up, tear_down);
    tcase_add_test(tc, outer_options_that_contradict_inner_ones_do_not_count);
    tcase_add_test(tc, a_later_outer_block_of_an_answer_is_refused);
    tcase_add_test(tc, an_inner_message_that_is_none_is_4_00);
    tcase_add_test(tc, an_inner_message_with_more_options_than_we_take_is_4_00);
    tc = suite_add_case(suite, "outer_blocks", set_up, tear_down);
    tcase_add_test(tc, a_protected_message_in_outer_blocks_is_put_together);
    tcase_add_test(tc, outer_blocks_that_do_not_fit_are_refused);
    tcase_add_test(tc, thousands_of_outer_transfers_that_end_half_way_cost_bounded_memory);
    tc = suite_add_case(suite, "identity", set_up, tear_down);
    tcase_add_test(tc, no_device_can_act_as_another);
    tcase_add_test(tc, what_was_revoked_is_refused_from_the_next_datagram_on);
    tc = suite_add_case(suite, "numbers", set_up, tear_down);
    tcase_add_test(tc, the_last_number_of_a_device_is_good);
    tcase_add_test(tc, when_our_numbers_have_ended_a_new_context_is_offered);
    tc = suite_add_case(suite, "floods", set_up, tear_down);
    tcase_add_test(tc, the_gateway_is_no_reflector);
    tcase_add_test(tc, all_strangers_together_get_a_share);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
