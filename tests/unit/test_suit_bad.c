#include "base/text.h"
#include "codec/cborio.h"
#include "codec/suit.h"
#include "suite.h"

#include <string.h>

/* Manifests that devices or the gateway do not take, and what is asked of suit_make that it does not do. */

#define BYTES_MAX 4096
#define COMPONENT "81824372616d4130" /* [[h'ram', h'0']] */

static char reason[256];
static struct suit_manifest m;

static void put_hex(struct cborio_writer *w, const char *hex)
{
    uint8_t bytes[BYTES_MAX];

    ck_assert(text_unhex(hex, bytes, strlen(hex) / 2));
    cborio_put_encoded(w, bytes, strlen(hex) / 2);
}

static void put_hex_bytes(struct cborio_writer *w, const char *hex)
{
    cborio_put_bytes_head(w, strlen(hex) / 2);
    put_hex(w, hex);
}

/* A manifest whose head, up to the common section, is good. */
struct content {
    const char *components, *shared;
    const char *rest; /* the members behind the common section */
    unsigned rest_count;
};

static size_t put_manifest(const struct content *c, uint8_t *out)
{
    uint8_t common[BYTES_MAX];
    struct cborio_writer w = cborio_writer_init(common, sizeof common);
    struct cborio_writer manifest = cborio_writer_init(out, BYTES_MAX);

    cborio_put_map(&w, 2);
    cborio_put_uint(&w, 2);
    put_hex(&w, c->components);
    cborio_put_uint(&w, 4);
    put_hex_bytes(&w, c->shared);
    cborio_put_map(&manifest, 3 + c->rest_count);
    put_hex(&manifest, "0101020203");
    cborio_put_bytes(&manifest, common, cborio_written(&w));
    put_hex(&manifest, c->rest);
    return cborio_written(&manifest);
}

/* Around it an envelope without signatures. `more`: members behind the manifest. */
static size_t put_envelope(enum suit_dialect dialect, const uint8_t *manifest, size_t size, const char *more,
                           unsigned more_count, uint8_t *out)
{
    static const char digest[] = "582781582482"
                                 "2f5820"; /* bstr [bstr [-16, bstr]] */
    uint8_t bytes[BYTES_MAX], hash[32];
    struct cborio_writer b = cborio_writer_init(bytes, sizeof bytes), w = cborio_writer_init(out, BYTES_MAX);

    cborio_put_bytes(&b, manifest, size);
    ck_assert_int_eq(EVP_Q_digest(NULL, "SHA256", NULL, bytes, cborio_written(&b), hash, NULL), 1);
    if (dialect == SUIT_IETF)
        cborio_put_tag(&w, 107);
    cborio_put_map(&w, 2 + more_count);
    cborio_put_uint(&w, 2);
    put_hex(&w, dialect == SUIT_IETF ? digest : "4180");
    if (dialect == SUIT_IETF)
        cborio_put_encoded(&w, hash, sizeof hash);
    cborio_put_uint(&w, 3);
    cborio_put_encoded(&w, bytes, cborio_written(&b));
    put_hex(&w, more);
    return cborio_written(&w);
}

static int parse_content(enum suit_dialect dialect, const struct content *content)
{
    uint8_t manifest[BYTES_MAX], envelope[BYTES_MAX];
    size_t size = put_manifest(content, manifest);

    size = put_envelope(dialect, manifest, size, "", 0, envelope);
    return suit_parse(&m, envelope, size, reason, sizeof reason);
}

#define VENDOR                                                                                                         \
    "a10150000000000000000000000000000000"                                                                             \
    "00"

/* Sequences and sections that only one dialect has, and such that none has. */
static const struct {
    const char *what;
    struct content content;
    const char *riot, *ietf; /* why it is refused; NULL: taken */
} contents[] = {
    {"nothing but components", {COMPONENT, "80", "", 0}, NULL, NULL},
    {"install and validate of RIOT", {COMPONENT, "80", "094382030f0a4382030f", 2}, NULL, "member 10"},
    {"install and validate of draft 37", {COMPONENT, "80", "074382030f144382030f", 2}, "member 7", NULL},
    {"validate before install", {COMPONENT, "80", "0a4382030f094382030f", 2}, "malformed", "member 10"},
    {"install twice", {COMPONENT, "80", "094382030f094382030f", 2}, "malformed", "malformed"},
    {"an unknown member", {COMPONENT, "80", "181e4180", 1}, "member 30", "member 30"},
    {"a member far away", {COMPONENT, "80", "1a000f42404180", 1}, "member 1000000", "member 1000000"},
    {"directive-set-parameters", {COMPONENT, "8213" VENDOR, "", 0}, NULL, "command 19"},
    {"directive-override-parameters", {COMPONENT, "8214" VENDOR, "", 0}, NULL, NULL},
    {"directive-copy", {COMPONENT, "821602", "", 0}, "command 22", NULL},
    {"directive-invoke", {COMPONENT, "821702", "", 0}, "command 23", NULL},
    {"directive-run-sequence",
     {COMPONENT,
      "821820"
      "43"
      "82030f",
      "", 0},
     "command 32",
     NULL},
    {"a command that nobody knows", {COMPONENT, "82187b0f", "", 0}, "command 123", "command 123"},
    {"command 0", {COMPONENT, "82000f", "", 0}, "command 0", "command 0"},
    {"a negative command", {COMPONENT, "82200f", "", 0}, "malformed", "malformed"},
    {"commands in arrays of their own", {COMPONENT, "8182030f", "", 0}, "malformed", "malformed"},
    {"a command without argument", {COMPONENT, "8103", "", 0}, "malformed", "malformed"},
    {"bytes behind a sequence", {COMPONENT, "82030f00", "", 0}, "malformed", "malformed"},
    {"a sequence of indefinite length", {COMPONENT, "9f030fff", "", 0}, "malformed", "malformed"},
    {"a condition with a text",
     {COMPONENT,
      "820361"
      "61",
      "", 0},
     "malformed",
     "malformed"},
    {"component 1 of one", {COMPONENT, "820c01", "", 0}, "no such component", "no such component"},
    {"all components", {COMPONENT, "820cf5", "", 0}, "component index", NULL},
    {"no component", {COMPONENT, "820cf4", "", 0}, "component index", "component index"},
    {"a list of components", {COMPONENT, "820c8100", "", 0}, "component index", NULL},
    {"an unknown parameter", {COMPONENT, "8214a1187b00", "", 0}, "parameter 123", "parameter 123"},
    {"parameter content", {COMPONENT, "8214a11240", "", 0}, "parameter 18", NULL},
    {"a vendor id of 4 bytes", {COMPONENT, "8214a1014400000000", "", 0}, "parameter 1 ", "parameter 1 "},
    {"a size that is negative", {COMPONENT, "8214a10e20", "", 0}, "parameter 14 ", "parameter 14 "},
    {"a size of 33 bits", {COMPONENT, "8214a10e1b0000000100000000", "", 0}, "parameter 14 ", NULL},
    {"an URI that is no text", {COMPONENT, "8214a11540", "", 0}, "parameter 21 ", "parameter 21 "},
    {"a digest that is no SHA-256",
     {COMPONENT,
      "8214a1034482"
      "10"
      "4100",
      "", 0},
     "parameter 3 ",
     "parameter 3 "},
    {"a parameter twice", {COMPONENT, "8214a20e010e02", "", 0}, "twice", "twice"},
    {"parameters that are an array", {COMPONENT, "821480", "", 0}, "malformed", "malformed"},
    {"try-each without alternatives", {COMPONENT, "820f80", "", 0}, "try-each", "try-each"},
    {"try-each or nothing",
     {COMPONENT,
      "820f82"
      "43"
      "82030f"
      "f6",
      "", 0},
     "malformed",
     NULL},
    {"try-each of a bare sequence", {COMPONENT, "820f8182030f", "", 0}, "malformed", "malformed"},
    {"a slot for two components",
     {"82814100814101",
      "840cf5"
      "0f81"
      "46"
      "8214a10500"
      "00",
      "", 0},
     "component index",
     "several components"},
    {"four deep",
     {COMPONENT,
      "820f81"
      "48"
      "820f81"
      "44"
      "820f81"
      "80",
      "", 0},
     "malformed",
     "malformed"},
    {"no components", {"80", "80", "", 0}, "components", "components"},
    {"nine components",
     {"89"
      "8140"
      "8140"
      "8140"
      "8140"
      "8140"
      "8140"
      "8140"
      "8140"
      "8140",
      "80", "", 0},
     "more than 8",
     "more than 8"},
    {"five segments", {"81854040404040", "80", "", 0}, "more than 4", "more than 4"},
    {"no segment", {"8180", "80", "", 0}, "malformed", "malformed"},
    {"a segment that is a text", {"81816161", "80", "", 0}, "malformed", "malformed"},
    {"a segment of 33 bytes",
     {"81815821"
      "000000000000000000000000000000000000000000000000000000000000000000",
      "80", "", 0},
     "more than 32",
     "more than 32"},
};

START_TEST(content)
{
    for (int dialect = 0; dialect < SUIT_DIALECT_COUNT; dialect++) {
        const char *expected = dialect == SUIT_RIOT ? contents[_i].riot : contents[_i].ietf;
        int r;

        reason[0] = 0;
        r = parse_content((enum suit_dialect)dialect, &contents[_i].content);
        ck_assert_msg(r == (expected ? 1 : 0), "%s, dialect %d: %s", contents[_i].what, dialect, r ? reason : "taken");
        if (expected)
            ck_assert_msg(strstr(reason, expected) != NULL, "%s, dialect %d: %s", contents[_i].what, dialect, reason);
    }
}
END_TEST

/* Whole envelopes -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *what, *hex, *reason;
} envelopes[] = {
    {"nothing", "", "not a SUIT envelope"},
    {"an array", "80", "not a SUIT envelope"},
    {"another tag", "d86ca0", "another tag"},
    {"nothing in it", "a0", "malformed"},
    {"no manifest",
     "a102"
     "4180",
     "malformed"},
    {"the manifest first",
     "a203"
     "4101"
     "02"
     "4180",
     "malformed"},
    {"no byte string around the authentication",
     "a20280"
     "03"
     "4101",
     "malformed"},
    {"five signatures",
     "a202"
     "46"
     "854040404040"
     "03"
     "4101",
     "more than 4"},
    {"a signature that is none",
     "a202"
     "43"
     "814180"
     "03"
     "4101",
     "no array"},
    {"no digest",
     "d86ba202"
     "4180"
     "03"
     "4101",
     "malformed"},
    {"a digest of another kind",
     "d86ba202"
     "46"
     "8144822e"
     "4100"
     "03"
     "4101",
     "malformed"},
    {"a manifest that is no map",
     "a2024180"
     "034101",
     "malformed"},
    {"an empty manifest",
     "a2024180"
     "0341a0",
     "malformed"},
    {"another version",
     "a2024180"
     "0343a10102",
     "another version"},
    {"no sequence number",
     "a2024180"
     "0343a10101",
     "malformed"},
    {"a sequence number of 33 bits",
     "a2024180"
     "034da20101021b0000000100000000",
     "larger"},
    {"severed elements, which RIOT does not know",
     "a3024180"
     "0341a0"
     "144180",
     "more members"},
};

START_TEST(envelope)
{
    uint8_t data[BYTES_MAX];
    size_t size = strlen(envelopes[_i].hex) / 2;

    ck_assert(text_unhex(envelopes[_i].hex, data, size));
    ck_assert_msg(suit_parse(&m, data, size, reason, sizeof reason) == 1, "%s", envelopes[_i].what);
    ck_assert_msg(strstr(reason, envelopes[_i].reason) != NULL, "%s: %s", envelopes[_i].what, reason);
}
END_TEST

#define NO_DIGEST "0000000000000000000000000000000000000000000000000000000000000000"

/* What follows the manifest: only what was severed, the element that was severed, in the order of keys. */
START_TEST(severed)
{
    static const struct {
        const char *rest, *more; /* of the manifest, of the envelope */
        unsigned more_count;
        const char *reason;
    } rows[] = {
        {"14822f5820" NO_DIGEST, "144382030f", 1, "not the one"},
        {"14822f5820" NO_DIGEST, "", 0, NULL},
        {"14822e5820" NO_DIGEST, "", 0, "malformed"},
        {"144382030f", "074382030f", 1, "not understood"},
        {"144382030f",
         "1740"
         "1440",
         2, "not understood"},
        {"144382030f",
         "14"
         "80",
         1, "malformed"},
        {"144382030f",
         "622370"
         "4178",
         1, NULL},
    };
    const struct content c = {COMPONENT, "80", rows[_i].rest, 1};
    uint8_t manifest[BYTES_MAX], data[BYTES_MAX];
    size_t size = put_manifest(&c, manifest);
    int r;

    size = put_envelope(SUIT_IETF, manifest, size, rows[_i].more, rows[_i].more_count, data);
    r = suit_parse(&m, data, size, reason, sizeof reason);
    ck_assert_msg(r == (rows[_i].reason ? 1 : 0), "%d: %s", _i, r ? reason : "taken");
    ck_assert_msg(!rows[_i].reason || strstr(reason, rows[_i].reason), "%s", reason);
}
END_TEST

/* Limits ----------------------------------------------------------------------------------------------------------- */

/* 640 bytes of RIOT's dialect; one more byte is refused before anything else is looked at. */
START_TEST(riot_size)
{
    uint8_t data[BYTES_MAX] = {0xa2};

    ck_assert_int_eq(suit_parse(&m, data, SUIT_RIOT_MAX, reason, sizeof reason), 1);
    ck_assert_ptr_null(strstr(reason, "640"));
    ck_assert_int_eq(suit_parse(&m, data, SUIT_RIOT_MAX + 1, reason, sizeof reason), 1);
    ck_assert_ptr_nonnull(strstr(reason, "641 bytes; 640 is the most"));
}
END_TEST

START_TEST(nesting)
{
    uint8_t inner[BYTES_MAX] = {0x80}, outer[BYTES_MAX];
    char hex[BYTES_MAX];
    size_t size = 1;

    for (int i = 1; i < _i; i++) { /* try-each around it */
        struct cborio_writer w = cborio_writer_init(outer, sizeof outer);

        cborio_put_array(&w, 2);
        cborio_put_uint(&w, 15);
        cborio_put_array(&w, 1);
        cborio_put_bytes(&w, inner, size);
        size = cborio_written(&w);
        memcpy(inner, outer, size);
    }
    ck_assert_int_eq(parse_content(SUIT_RIOT, &(struct content){COMPONENT, text_hex(inner, size, hex), "", 0}), _i > 4);
    if (_i > 4)
        ck_assert_ptr_nonnull(strstr(reason, "more than 4 deep"));
}
END_TEST

START_TEST(commands)
{
    uint8_t sequence[BYTES_MAX];
    struct cborio_writer w = cborio_writer_init(sequence, sizeof sequence);
    char hex[BYTES_MAX];

    cborio_put_array(&w, 2 * (size_t)_i);
    for (int i = 0; i < _i; i++) {
        cborio_put_uint(&w, 3);
        cborio_put_uint(&w, 15);
    }
    ck_assert_int_eq(
        parse_content(SUIT_IETF, &(struct content){COMPONENT, text_hex(sequence, cborio_written(&w), hex), "", 0}),
        _i > 256);
    if (_i > 256)
        ck_assert_ptr_nonnull(strstr(reason, "more than 256 commands"));
}
END_TEST

/* What is not made ------------------------------------------------------------------------------------------------- */

static void fill(struct suit_manifest *out, size_t components)
{
    memset(out, 0, sizeof *out);
    out->sequence = 1;
    out->component_count = components;
    for (size_t i = 0; i < components; i++) {
        struct suit_component *c = &out->components[i];

        c->id_count = 2;
        memcpy(c->id[0].bytes, "ram", 3);
        c->id[0].size = 3;
        c->id[1].bytes[0] = (uint8_t)('0' + i);
        c->id[1].size = 1;
        c->has_vendor = c->has_class = c->has_digest = c->has_size = true;
        c->digest[0] = (uint8_t)i;
        strcpy(c->uri, "coap://[fd00::1]/a");
    }
}

static void make_refuses(const struct suit_manifest *manifest, const char *expected)
{
    cleanup_buffer struct buffer out = buffer_init(0);

    ck_assert_int_eq(suit_make(&out, manifest, NULL, reason, sizeof reason), 1);
    ck_assert_msg(strstr(reason, expected) != NULL, "%s", reason);
    ck_assert_uint_eq(out.size, 0);
}

START_TEST(riot_limits)
{
    struct suit_manifest good, bad;
    cleanup_buffer struct buffer out = buffer_init(0);

    fill(&good, 2);
    memset(good.components[0].uri, 'u', SUIT_RIOT_URI_MAX);
    memset(good.components[1].uri, 'u', SUIT_RIOT_URI_MAX);
    memset(good.components[0].id[0].bytes, 'n', 29); /* and a separator, and the second segment: 31 */
    good.components[0].id[0].size = 29;
    good.sequence = UINT32_MAX;
    ck_assert_int_eq(suit_make(&out, &good, NULL, reason, sizeof reason), 0);
    ck_assert_int_eq(suit_parse(&m, out.data, out.size, reason, sizeof reason), 0);
    bad = good;
    bad.sequence++;
    make_refuses(&bad, "sequence number");
    bad = good;
    bad.components[1].uri[SUIT_RIOT_URI_MAX] = 'u';
    make_refuses(&bad, "URI of component 1 has more than 127 bytes");
    bad = good;
    bad.components[0].id[0].size++;
    make_refuses(&bad, "id of component 0 has more than 31 bytes");
    bad = good;
    bad.components[1].size = UINT32_MAX + UINT64_C(1);
    make_refuses(&bad, "larger than 4294967295");
    bad = good;
    bad.components[1].has_class = false;
    make_refuses(&bad, "RIOT needs");
    fill(&bad, 8);
    make_refuses(&bad, "640 is the most");
    bad.dialect = SUIT_IETF;
    out.size = 0;
    ck_assert_int_eq(suit_make(&out, &bad, NULL, reason, sizeof reason), 0);
    ck_assert_int_eq(suit_parse(&m, out.data, out.size, reason, sizeof reason), 0);
    ck_assert_uint_eq(m.component_count, 8);
}
END_TEST

START_TEST(not_made)
{
    struct suit_manifest bad;

    fill(&bad, 0);
    make_refuses(&bad, "no components");
    fill(&bad, 1);
    bad.components[0].id_count = 0;
    make_refuses(&bad, "no id");
    fill(&bad, 2);
    bad.components[1].id[1] = bad.components[0].id[1]; /* the same id */
    make_refuses(&bad, "offset of its own");
    bad.components[0].has_offset = bad.components[1].has_offset = true;
    make_refuses(&bad, "offset of its own");
    bad.dialect = SUIT_IETF;
    make_refuses(&bad, "offset of its own");
}
END_TEST

/* Numbers are those that JSON has. */
START_TEST(large_numbers)
{
    struct suit_manifest large;
    cleanup_buffer struct buffer out = buffer_init(0);
    cleanup_free char *text = NULL;

    fill(&large, 1);
    large.dialect = SUIT_IETF;
    large.sequence = large.components[0].size = INT64_MAX;
    ck_assert_int_eq(suit_make(&out, &large, NULL, reason, sizeof reason), 0);
    ck_assert_int_eq(suit_parse(&m, out.data, out.size, reason, sizeof reason), 0);
    text = suit_describe(&m);
    ck_assert_ptr_nonnull(strstr(text, "\"sequence\":9223372036854775807,"));
    large.sequence++;
    make_refuses(&large, "sequence number");
}
END_TEST

/* Slots may differ in all that they have. */
START_TEST(different_slots)
{
    struct suit_manifest manifest;
    cleanup_buffer struct buffer out = buffer_init(0);

    fill(&manifest, 3);
    manifest.dialect = SUIT_IETF;
    for (size_t i = 0; i < 3; i++) {
        struct suit_component *c = &manifest.components[i];

        c->id[1] = manifest.components[0].id[1];
        c->has_offset = true;
        c->offset = 1000 * i;
        c->size = 10 + i;
        c->vendor[0] = c->class_id[1] = (uint8_t)i;
        c->uri[0] = (char)('a' + i);
    }
    ck_assert_int_eq(suit_make(&out, &manifest, NULL, reason, sizeof reason), 0);
    ck_assert_msg(suit_parse(&m, out.data, out.size, reason, sizeof reason) == 0, "%s", reason);
    ck_assert_uint_eq(m.component_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct suit_component *a = &manifest.components[i], *b = &m.components[i];

        ck_assert(a->offset == b->offset && a->size == b->size && a->vendor[0] == b->vendor[0]);
        ck_assert(a->class_id[1] == b->class_id[1] && a->digest[0] == b->digest[0]);
        ck_assert_str_eq(a->uri, b->uri);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("suit_bad");
    TCase *tc = tcase_create("suit_bad");

    tcase_add_loop_test(tc, content, 0, (int)array_size(contents));
    tcase_add_loop_test(tc, envelope, 0, (int)array_size(envelopes));
    tcase_add_loop_test(tc, severed, 0, 7);
    tcase_add_test(tc, riot_size);
    tcase_add_loop_test(tc, nesting, 4, 6);
    tcase_add_loop_test(tc, commands, 256, 258);
    tcase_add_test(tc, riot_limits);
    tcase_add_test(tc, not_made);
    tcase_add_test(tc, large_numbers);
    tcase_add_test(tc, different_slots);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
