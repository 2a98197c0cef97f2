#include "agent/attacks.h"
#include "agent/forge.h"

#include <stdarg.h>
#include <string.h>

#define BLOCK_SIZE 1024
#define LAST_SEQUENCE (OSCORE_SEQUENCE_END - 1)
#define BEYOND (OSCORE_WINDOW + 8)

/* Parts ------------------------------------------------------------------------------------------------------------ */

printf_like(2, 3) static void label(struct attacks *a, const char *format, ...)
{
    va_list ap;
    int n = snprintf(a->label, sizeof a->label, "%s: ", a->plan->entries[a->current].info->name);

    va_start(ap, format);
    (void)vsnprintf(a->label + n, sizeof a->label - (size_t)n, format, ap);
    va_end(ap);
}

static void encode(struct shot *shot, const struct coapmsg *message)
{
    uint8_t out[sizeof shot->data];

    shot->size = coapmsg_encode(message, out, sizeof out);
    memcpy(shot->data, out, shot->size);
}

static void seal(struct attacks *a, struct coapmsg *plain)
{
    uint8_t room[SERVER_DATAGRAM_MAX];
    uint32_t token = server_random(a->server);
    struct coapmsg outer;

    coapmsg_set_token(plain, &token, sizeof token);
    plain->id = a->server->next_id++;
    a->shot.size = 0;
    if (security_seal_request(a->security, plain, &a->shot.call, &outer, room))
        encode(&a->shot, &outer);
}

static void make_report(struct attacks *a, struct coapmsg *plain)
{
    a->shot.n = ++a->n;
    (void)snprintf(a->report, sizeof a->report, "{\"attack\": \"%s\", \"n\": %llu}",
                   a->plan->entries[a->current].info->name, (unsigned long long)a->n);
    coapmsg_init(plain, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_add_path(plain, "/shadow/reported");
    coapmsg_add_uint(plain, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_JSON);
    coapmsg_set_payload(plain, a->report, strlen(a->report));
}

/* An honest report, as the next shot. */
static void report(struct attacks *a)
{
    struct coapmsg plain;

    make_report(a, &plain);
    seal(a, &plain);
}

static void keep(struct attacks *a, size_t index)
{
    a->kept[index] = a->shot;
}

static void again(struct attacks *a, size_t index)
{
    a->shot = a->kept[index];
}

/* The shot's message with another option value; NULL: the option is left out. */
static void replace_option(struct shot *shot, uint16_t number, const void *value, size_t size)
{
    struct coapmsg from, to;

    if (!shot->size || coapmsg_decode(&from, shot->data, shot->size))
        return;
    coapmsg_init(&to, from.type, from.code);
    to.id = from.id;
    coapmsg_set_token(&to, from.token, from.token_length);
    for (size_t i = 0; i < from.option_count; i++)
        if (from.options[i].number != number)
            coapmsg_add(&to, from.options[i].number, from.options[i].value, from.options[i].length);
    if (value)
        coapmsg_add(&to, number, value, size);
    coapmsg_set_payload(&to, from.payload, from.payload_size);
    encode(shot, &to);
}

static void replace_payload(struct shot *shot, const void *payload, size_t size)
{
    struct coapmsg message;

    if (!shot->size || coapmsg_decode(&message, shot->data, shot->size))
        return;
    coapmsg_set_payload(&message, payload, size);
    encode(shot, &message);
}

static void replace_code(struct shot *shot, uint8_t code)
{
    shot->data[1] = code;
}

/* The OSCORE option of the shot and where its values are. */
static bool read_option(const struct shot *shot, struct oscore_option *option)
{
    static struct coapmsg message; /* the option points into shot->data, not into this */

    return shot->size && !coapmsg_decode(&message, shot->data, shot->size) && !oscore_message_option(&message, option);
}

static void write_option(struct shot *shot, const struct oscore_option *option)
{
    uint8_t value[OSCORE_OPTION_MAX];

    replace_option(shot, COAPMSG_OPT_OSCORE, value, oscore_option_encode(option, value));
}

/* Replays and order ------------------------------------------------------------------------------------------------ */

static bool shoot_duplicate(struct attacks *a, uint32_t step, uint32_t argument)
{
    (void)argument;
    if (step == 0)
        report(a);
    a->shot = step ? a->kept[0] : a->shot;
    a->shot.verbatim = true; /* a retransmission */
    keep(a, 0);
    label(a, step ? "retransmitted" : "first");
    return step < 3;
}

static bool shoot_replay(struct attacks *a, uint32_t step, uint32_t argument)
{
    (void)argument;
    if (step == 2)
        again(a, 0);
    else
        report(a);
    if (step == 0)
        keep(a, 0);
    label(a, "%s", step == 2 ? "replayed" : "honest");
    return step < 3;
}

static bool shoot_replay_after_reorder(struct attacks *a, uint32_t step, uint32_t argument)
{
    static const struct {
        size_t index;
        const char *what;
    } order[] = {{2, "newest first"},    {0, "oldest late"},  {2, "newest replayed"},
                 {0, "oldest replayed"}, {1, "between them"}, {1, "between them replayed"}};

    (void)argument;
    for (size_t i = 0; step == 0 && i < 3; i++) {
        report(a);
        keep(a, i);
    }
    if (step >= array_size(order))
        return false;
    again(a, order[step].index);
    label(a, "%s", order[step].what);
    return true;
}

/* All of them are new, and fit the window. */
static bool shoot_reorder(struct attacks *a, uint32_t step, uint32_t argument)
{
    size_t count = argument < OSCORE_WINDOW ? argument : OSCORE_WINDOW;

    for (size_t i = 0; step == 0 && i < count; i++) {
        report(a);
        keep(a, i);
    }
    if (step >= count)
        return false;
    again(a, count - 1 - step);
    label(a, "%zu of %zu", count - step, count);
    return true;
}

static bool shoot_reorder_beyond(struct attacks *a, uint32_t step, uint32_t argument)
{
    (void)argument;
    for (size_t i = 0; step == 0 && i <= BEYOND; i++) {
        report(a);
        keep(a, i);
    }
    again(a, step ? 0 : BEYOND);
    label(a, step ? "%d behind" : "newest", BEYOND);
    return step < 2;
}

/* A number behind the window, with a message that was never sent. */
static bool shoot_old_sequence(struct attacks *a, uint32_t step, uint32_t argument)
{
    static const uint8_t zero = 0;
    struct oscore_option option;
    uint8_t sealed[64];

    (void)argument;
    report(a);
    label(a, step ? "sequence number 0" : "honest");
    if (step != 1)
        return step < 1;
    if (!read_option(&a->shot, &option) || !forge_seal(oscore_context_credentials(a->security->context), 0,
                                                       "\x03\xb6shadow\x08reported\xff{}", 20, sealed))
        return false;
    option.piv = &zero;
    option.piv_size = 1;
    write_option(&a->shot, &option);
    replace_payload(&a->shot, sealed, 20 + FORGE_TAG);
    return true;
}

/* The last number there is: authentic, new, and the end of this context. */
static bool shoot_last_sequence(struct attacks *a, uint32_t step, uint32_t argument)
{
    static const uint8_t last[] = {0xff, 0xff, 0xff, 0xff, 0xff};
    struct oscore_option option;
    uint8_t sealed[64];

    (void)argument;
    report(a);
    label(a, step ? "honest" : "sequence number 2^40 - 1");
    if (step)
        return step < 2;
    if (!read_option(&a->shot, &option) || !forge_seal(oscore_context_credentials(a->security->context), LAST_SEQUENCE,
                                                       "\x01\xb6shadow\x08reported", 17, sealed))
        return false;
    option.piv = last;
    option.piv_size = sizeof last;
    write_option(&a->shot, &option);
    replace_payload(&a->shot, sealed, 17 + FORGE_TAG);
    memcpy(a->shot.call.binding.piv, last, sizeof last);
    a->shot.call.binding.piv_size = sizeof last;
    a->shot.call.binding.has_nonce = false; /* that was another number's */
    return true;
}

/* Damage ----------------------------------------------------------------------------------------------------------- */

/* Where bit `bit` of option value and ciphertext is in the datagram; NULL beyond the end. */
static uint8_t *find_bit(struct shot *shot, uint32_t bit)
{
    const struct coapmsg_option *option;
    struct coapmsg message;

    if (!shot->size || coapmsg_decode(&message, shot->data, shot->size))
        return NULL;
    option = coapmsg_find(&message, COAPMSG_OPT_OSCORE);
    if (bit / 8 < option->length)
        return shot->data + (option->value - shot->data) + bit / 8;
    bit -= 8u * option->length;
    return bit / 8 < message.payload_size ? shot->data + (message.payload - shot->data) + bit / 8 : NULL;
}

static bool shoot_corrupt(struct attacks *a, uint32_t step, uint32_t argument)
{
    bool all = argument == UINT32_MAX;
    uint8_t *byte;

    if (step == 0) {
        report(a);
        keep(a, 0);
        keep(a, 1);
        a->kept[1].n = 0;
    }
    again(a, 1);
    byte = !all && step ? NULL : find_bit(&a->shot, all ? step : argument);
    if (byte) {
        *byte ^= (uint8_t)(1 << (all ? step : argument) % 8);
        label(a, "bit %u", all ? step : argument);
        return true;
    }
    again(a, 0);
    a->kept[0].size = 0; /* and then no more */
    label(a, "intact");
    return a->shot.size > 0;
}

static bool shoot_truncate(struct attacks *a, uint32_t step, uint32_t argument)
{
    struct coapmsg message;

    (void)argument;
    if (step == 0) {
        report(a);
        keep(a, 0);
    }
    again(a, 0);
    if (!a->shot.size || coapmsg_decode(&message, a->shot.data, a->shot.size) || step > message.payload_size)
        return false;
    if (step == message.payload_size) {
        label(a, "intact");
        return true;
    }
    a->shot.n = 0;
    label(a, "%u bytes", step);
    replace_payload(&a->shot, step ? message.payload : NULL, step);
    return true;
}

static bool shoot_malformed_option(struct attacks *a, uint32_t step, uint32_t argument)
{
    static const struct {
        const char *what, *value;
        size_t size;
    } bad[] = {
        {"reserved bit 5", "\x29\x05g", 3},
        {"reserved bit 6", "\x49\x05g", 3},
        {"reserved bit 7", "\x89\x05g", 3},
        {"Partial IV of 6 bytes", "\x0e\x01\x02\x03\x04\x05\x06g", 8},
        {"Partial IV of 7 bytes", "\x0f\x01\x02\x03\x04\x05\x06\x07g", 9},
        {"Partial IV cut off", "\x0b\x01", 2},
        {"kid context without length", "\x19\x05", 2},
        {"kid context cut off",
         "\x19\x05\x09"
         "ab",
         5},
        {"no Partial IV", "\x08g", 2},
        {"no kid", "\x01\x05", 2},
        {"flags only", "\x09", 1},
        {"empty", "", 0},
        {"kid of 8 bytes",
         "\x09\x05"
         "12345678",
         10},
        {"kid context of 255 bytes", "\x19\x05\xff", 3},
    };
    uint8_t huge[255] = {0x19, 5, sizeof huge - 3};

    (void)argument;
    report(a);
    a->shot.n = 0;
    if (step < array_size(bad)) {
        label(a, "%s", bad[step].what);
        replace_option(&a->shot, COAPMSG_OPT_OSCORE, bad[step].value, bad[step].size);
        return true;
    }
    if (step == array_size(bad)) {
        label(a, "255 bytes");
        replace_option(&a->shot, COAPMSG_OPT_OSCORE, huge, sizeof huge);
        return true;
    }
    if (step == array_size(bad) + 1) {
        struct coapmsg message;
        uint8_t twice[sizeof a->shot.data];

        label(a, "twice");
        if (coapmsg_decode(&message, a->shot.data, a->shot.size))
            return false;
        coapmsg_add(&message, COAPMSG_OPT_OSCORE, "\x09\x05g", 3);
        a->shot.size = coapmsg_encode(&message, twice, sizeof twice);
        memcpy(a->shot.data, twice, a->shot.size);
        return true;
    }
    return false;
}

/* Identity --------------------------------------------------------------------------------------------------------- */

static bool shoot_unknown_kid(struct attacks *a, uint32_t step, uint32_t argument)
{
    static const char *const kids[] = {"", "nobody", "1234567"};
    struct oscore_option option;

    (void)argument;
    report(a);
    a->shot.n = 0;
    if (step >= array_size(kids) || !read_option(&a->shot, &option))
        return false;
    label(a, "\"%s\"", kids[step]);
    option.kid = (const uint8_t *)kids[step];
    option.kid_size = (uint8_t)strlen(kids[step]);
    write_option(&a->shot, &option);
    return true;
}

static bool shoot_wrong_kid_context(struct attacks *a, uint32_t step, uint32_t argument)
{
    static const uint8_t contexts[][OSCORE_ID_CONTEXT_MAX] = {"another", "", "0123456789abcdef0123456789abcde"};
    static const uint8_t sizes[] = {7, 0, 32};
    struct oscore_option option;

    (void)argument;
    report(a);
    a->shot.n = 0;
    if (step >= array_size(sizes) || !read_option(&a->shot, &option))
        return false;
    label(a, "%u bytes", sizes[step]);
    option.kid_context = contexts[step];
    option.kid_context_size = sizes[step];
    write_option(&a->shot, &option);
    return true;
}

/* The names of another device, the keys of this one. */
static bool shoot_other_identity(struct attacks *a, uint32_t step, uint32_t argument)
{
    const struct oscore_credentials *other = a->other;
    struct oscore_option option;

    (void)argument;
    report(a);
    a->shot.n = 0;
    label(a, step ? "kid" : "kid and kid context");
    if (step > 1 || !other || !read_option(&a->shot, &option))
        return false;
    option.kid = other->sender_id;
    option.kid_size = other->sender_id_size;
    option.kid_context = step || !other->has_id_context ? NULL : other->id_context;
    option.kid_context_size = option.kid_context ? other->id_context_size : 0;
    write_option(&a->shot, &option);
    return true;
}

/* What is inside, and around ----------------------------------------------------------------------------------------
 */

/* The next report's number, with another plaintext. */
static bool forge(struct attacks *a, const void *plaintext, size_t size)
{
    struct oscore_option option;
    uint8_t sealed[256];
    uint64_t piv = 0;

    report(a);
    a->shot.n = 0;
    if (!read_option(&a->shot, &option))
        return false;
    for (size_t i = 0; i < option.piv_size; i++)
        piv = piv << 8 | option.piv[i];
    if (!forge_seal(oscore_context_credentials(a->security->context), piv, plaintext, size, sealed))
        return false;
    replace_payload(&a->shot, sealed, size + FORGE_TAG);
    return true;
}

static bool shoot_nested(struct attacks *a, uint32_t step, uint32_t argument)
{
    (void)argument;
    label(a, step ? "with a path" : "alone");
    return step < 2 && (step ? forge(a, "\x03\x93\x09\x05g\x26shadow\x08reported\xff{}", 24)
                             : forge(a, "\x02\x93\x09\x05g\xff{}", 8));
}

static bool shoot_inner_garbage(struct attacks *a, uint32_t step, uint32_t argument)
{
    static const struct {
        const char *what, *plaintext;
        size_t size;
    } bad[] = {
        {"nothing", "", 0},
        {"empty code", "\0", 1},
        {"code of a response", "\x45\xff{}", 4},
        {"code 7.31", "\xff", 1},
        {"option cut off", "\x03\xb6shad", 6},
        {"option delta 15", "\x03\xf1x", 3},
        {"option length 15", "\x03\x1fx", 3},
        {"payload marker alone", "\x03\xb6shadow\x08reported\xff", 18},
        {"option beyond 65535", "\x03\xe0\xff\xff\xe0\xff\xff", 7},
        {"critical option nobody knows", "\x03\xb6shadow\x08reported\xe0\x06\xe9\xff{}", 23},
    };

    (void)argument;
    if (step >= array_size(bad))
        return false;
    label(a, "%s", bad[step].what);
    return forge(a, bad[step].plaintext, bad[step].size);
}

/* What anybody on the way could add: it says nothing, or the message is refused. */
static bool shoot_contradiction(struct attacks *a, uint32_t step, uint32_t argument)
{
    static const struct {
        const char *what, *value;
        uint16_t number;
    } outer[] = {
        {"Uri-Path join", "join", COAPMSG_OPT_URI_PATH},
        {"Uri-Query id=x", "id=x", COAPMSG_OPT_URI_QUERY},
        {"Content-Format 0", "", COAPMSG_OPT_CONTENT_FORMAT},
        {"If-None-Match", "", COAPMSG_OPT_IF_NONE_MATCH},
        {"If-Match", "no", COAPMSG_OPT_IF_MATCH},
        {"Accept 60", "<", COAPMSG_OPT_ACCEPT},
        {"Echo", "stale", COAPMSG_OPT_ECHO},
        {"Block2", "\x06", COAPMSG_OPT_BLOCK2},
        {"Uri-Host", "elsewhere", COAPMSG_OPT_URI_HOST},
        {"Observe", "", COAPMSG_OPT_OBSERVE},
        {"Proxy-Scheme", "coap", COAPMSG_OPT_PROXY_SCHEME},
    };
    static const uint8_t codes[] = {COAPMSG_GET, COAPMSG_PUT, COAPMSG_DELETE, COAPMSG_FETCH, COAPMSG_IPATCH};

    (void)argument;
    report(a);
    if (step < array_size(outer)) {
        label(a, "outer %s", outer[step].what);
        replace_option(&a->shot, outer[step].number, outer[step].value, strlen(outer[step].value));
        return true;
    }
    if (step - array_size(outer) >= array_size(codes))
        return false;
    label(a, "outer code 0.%02u", codes[step - array_size(outer)]);
    replace_code(&a->shot, codes[step - array_size(outer)]);
    return true;
}

/* Blocks ----------------------------------------------------------------------------------------------------------- */

static bool shoot_abandon_blocks(struct attacks *a, uint32_t step, uint32_t argument)
{
    static const uint8_t block[BLOCK_SIZE];
    struct coapmsg plain;

    if (step >= argument)
        return false;
    make_report(a, &plain);
    a->shot.n = 0;
    coapmsg_add_block(&plain, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){0, true, 6});
    coapmsg_add(&plain, COAPMSG_OPT_REQUEST_TAG, &step, sizeof step);
    coapmsg_set_payload(&plain, block, sizeof block);
    seal(a, &plain);
    label(a, "%u of %u", step + 1, argument);
    return true;
}

/* A protected message in outer blocks that goes on and on (RFC 8613 section 4.1.3.4.2). */
static bool shoot_oversized_outer_block(struct attacks *a, uint32_t step, uint32_t argument)
{
    uint8_t block[BLOCK_SIZE], value[4];
    struct coapmsg message;
    size_t size = 0;
    uint32_t word = step << 4 | 8 | 6;

    if (step >= argument)
        return false;
    if (step == 0) {
        report(a);
        keep(a, 0);
    }
    again(a, 0);
    a->shot.n = 0;
    memset(block, (int)step, sizeof block);
    for (int shift = 16; shift >= 0; shift -= 8)
        if (size || word >> shift)
            value[size++] = (uint8_t)(word >> shift);
    replace_option(&a->shot, COAPMSG_OPT_BLOCK1, value, size);
    if (!a->shot.size || coapmsg_decode(&message, a->shot.data, a->shot.size))
        return false;
    replace_payload(&a->shot, block, sizeof block);
    label(a, "%u of %u", step + 1, argument);
    return true;
}

/* The table -------------------------------------------------------------------------------------------------------- */

static const struct attack_info table[] = {
    {"duplicate", NULL, 0, shoot_duplicate, "a request is retransmitted, byte for byte"},
    {"replay", NULL, 0, shoot_replay, "a protected request again, under a new message id"},
    {"replay-after-reorder", NULL, 0, shoot_replay_after_reorder, "the same, after an older one came late"},
    {"reorder", "N", 8, shoot_reorder, "N requests (8, up to 32) in reverse order: all are fine"},
    {"reorder-beyond", NULL, 0, shoot_reorder_beyond, "a request that is older than the window"},
    {"old-sequence", NULL, 0, shoot_old_sequence, "a new request under sequence number 0"},
    {"last-sequence", NULL, 0, shoot_last_sequence, "the last sequence number: the end of this context"},
    {"corrupt", "BIT", UINT32_MAX, shoot_corrupt, "a bit of option and ciphertext is wrong; without BIT each in turn"},
    {"truncate", NULL, 0, shoot_truncate, "the ciphertext ends early, at each length"},
    {"malformed-option", NULL, 0, shoot_malformed_option, "every kind of malformed OSCORE option"},
    {"unknown-kid", NULL, 0, shoot_unknown_kid, "a kid that nobody has"},
    {"wrong-kid-context", NULL, 0, shoot_wrong_kid_context, "a kid context that does not belong to the kid"},
    {"other-identity", NULL, 0, shoot_other_identity, "the next device's kid, with the own keys"},
    {"nested", NULL, 0, shoot_nested, "an OSCORE option in the protected part"},
    {"inner-garbage", NULL, 0, shoot_inner_garbage, "authentic, but no CoAP request"},
    {"outer-inner-contradiction", NULL, 0, shoot_contradiction,
     "outer code and options that contradict the inner ones"},
    {"abandon-blocks", "N", 2000, shoot_abandon_blocks, "N transfers (2000) that are never finished"},
    {"oversized-outer-block", "N", 64, shoot_oversized_outer_block, "a message in N outer blocks (64)"},
};

const struct attack_info *attacks_table(size_t *count)
{
    *count = array_size(table);
    return table;
}
