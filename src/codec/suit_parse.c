#include "codec/cose.h"
#include "codec/suit_private.h"

#include <string.h>

#define SIGNATURES_MAX 4
#define SEVERED_MAX 16 /* members of an envelope behind the manifest */

struct parser {
    struct suit_manifest *m;
    const struct suit_form *form;
    char *reason;
    size_t reason_size;
};

#define REFUSE(p, ...) suit_refuse((p)->reason, (p)->reason_size, __VA_ARGS__)

static int refuse_malformed(const struct parser *p, const char *what)
{
    return REFUSE(p, "The %s is malformed.", what);
}

/* Keys of maps ascend, so that none occurs twice and what others need comes before them. */
static bool next_key(struct cborio_reader *r, uint64_t *key)
{
    uint64_t previous = *key;

    *key = cborio_get_uint(r, UINT32_MAX);
    return !cborio_failed(r) && *key > previous;
}

/* A byte string with its head. */
static const uint8_t *get_with_head(struct cborio_reader *r, size_t *size)
{
    const uint8_t *start = r->cursor.data + r->cursor.offset;
    size_t before = r->cursor.offset;

    *size = 0;
    (void)cborio_get_bytes(r, size);
    if (cborio_failed(r))
        return NULL;
    *size = r->cursor.offset - before;
    return start;
}

/* Components ------------------------------------------------------------------------------------------------------ */

static int read_component(const struct parser *p, struct cborio_reader *r, struct suit_component *component)
{
    size_t count = cborio_get_array(r);

    if (cborio_failed(r) || count == 0)
        return refuse_malformed(p, "list of components");
    if (count > SUIT_SEGMENTS_MAX)
        return REFUSE(p, "A component's id has more than %d segments.", SUIT_SEGMENTS_MAX);
    component->id_count = count;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const uint8_t *bytes = cborio_get_bytes(r, &size);

        if (cborio_failed(r))
            return refuse_malformed(p, "list of components");
        if (size > SUIT_SEGMENT_MAX)
            return REFUSE(p, "A segment of a component's id has more than %d bytes.", SUIT_SEGMENT_MAX);
        if (size)
            memcpy(component->id[i].bytes, bytes, size);
        component->id[i].size = size;
    }
    return 0;
}

static int read_components(const struct parser *p, struct cborio_reader *r)
{
    size_t count = cborio_get_array(r);

    if (cborio_failed(r) || count == 0)
        return refuse_malformed(p, "list of components");
    if (count > SUIT_COMPONENTS_MAX)
        return REFUSE(p, "The manifest has more than %d components.", SUIT_COMPONENTS_MAX);
    for (size_t i = 0; i < count; i++)
        if (read_component(p, r, &p->m->components[i]))
            return 1;
    p->m->component_count = count;
    return 0;
}

static int read_common(const struct parser *p, struct cborio_reader common)
{
    size_t pairs = cborio_get_map(&common);
    uint64_t key = 0;

    for (size_t i = 0; i < pairs; i++) {
        if (!next_key(&common, &key))
            return refuse_malformed(p, "common section");
        if (key == SUIT_COMMON_COMPONENTS) {
            if (read_components(p, &common))
                return 1;
        } else if (key == SUIT_COMMON_SHARED) {
            p->m->sections[SUIT_SHARED].data = cborio_get_bytes(&common, &p->m->sections[SUIT_SHARED].size);
        } else {
            return REFUSE(p, "The common section has member %u, which is not understood.", (unsigned)key);
        }
    }
    if (!cborio_ended(&common))
        return refuse_malformed(p, "common section");
    if (p->m->component_count == 0)
        return REFUSE(p, "The manifest has no components.");
    return 0;
}

/* The manifest ---------------------------------------------------------------------------------------------------- */

/* The severed element with this key, with its head; NULL: it is not here. */
static const uint8_t *find_severed(const struct parser *p, uint64_t wanted, size_t *size)
{
    struct cborio_reader r = cborio_reader_init(p->m->severed, p->m->severed_size);

    for (size_t i = 0; i < p->m->severed_count && cborio_peek(&r) == CBORIO_UINT; i++) {
        uint64_t key = cborio_get_uint(&r, UINT32_MAX);
        const uint8_t *found = get_with_head(&r, size);

        if (key == wanted)
            return found;
    }
    return NULL;
}

/* Where an element was severed there is its digest. data: where a section's sequence goes; may be NULL. */
static int read_severable(const struct parser *p, struct cborio_reader *r, uint64_t key, const uint8_t **data,
                          size_t *size)
{
    struct cborio_reader digest, element;
    const uint8_t *expected, *start = r->cursor.data + r->cursor.offset;
    size_t before = r->cursor.offset;
    uint8_t actual[SUIT_DIGEST_SIZE];

    if (cborio_peek(r) != CBORIO_ARRAY) {
        *data = cborio_get_bytes(r, size);
        return 0;
    }
    cborio_skip(r);
    digest = cborio_reader_init(start, r->cursor.offset - before);
    if (cborio_failed(r) || !suit_read_digest(&digest, p->form, &expected))
        return refuse_malformed(p, "digest of a severed element");
    start = find_severed(p, key, size);
    if (!start)
        return 0;
    if (!suit_hash(start, *size, actual) || memcmp(actual, expected, sizeof actual) != 0)
        return REFUSE(p, "The severed element %u is not the one that the manifest has the digest of.", (unsigned)key);
    element = cborio_reader_init(start, *size);
    *data = cborio_get_bytes(&element, size);
    return 0;
}

static int read_section(const struct parser *p, struct cborio_reader *r, uint64_t key)
{
    const uint8_t *text = NULL; /* text for people is checked, and otherwise left alone */
    size_t text_size;

    for (size_t i = 0; i < SUIT_SECTION_COUNT; i++) {
        if (p->form->sections[i] != key)
            continue;
        if (p->form->severable & SUIT_BIT(key))
            return read_severable(p, r, key, &p->m->sections[i].data, &p->m->sections[i].size);
        p->m->sections[i].data = cborio_get_bytes(r, &p->m->sections[i].size);
        return 0;
    }
    if (key <= SUIT_NUMBER_MAX && p->form->severable & SUIT_BIT(key))
        return read_severable(p, r, key, &text, &text_size);
    return REFUSE(p, "The manifest has member %u, which is not understood.", (unsigned)key);
}

static int read_member(const struct parser *p, struct cborio_reader *r, uint64_t key)
{
    struct suit_manifest *m = p->m;

    switch (key) {
    case SUIT_VERSION:
        if (cborio_get_uint(r, UINT64_MAX) != 1)
            return REFUSE(p, "The manifest is of another version than 1.");
        return 0;
    case SUIT_SEQUENCE:
        m->sequence = cborio_get_uint(r, UINT64_MAX);
        if (m->sequence > p->form->number_max)
            return REFUSE(p, "The sequence number is larger than a device takes.");
        return 0;
    case SUIT_COMMON:
        return read_common(p, cborio_get_nested(r));
    case SUIT_REFERENCE_URI:
        if (m->dialect != SUIT_IETF)
            break;
        m->reference_uri = cborio_get_text(r, &m->reference_uri_size);
        return 0;
    default:
        break;
    }
    return read_section(p, r, key);
}

static int read_manifest(const struct parser *p)
{
    struct cborio_reader outer = cborio_reader_init(p->m->manifest, p->m->manifest_size);
    struct cborio_reader r = cborio_get_nested(&outer);
    size_t pairs = cborio_get_map(&r);
    uint64_t key = 0;

    for (size_t i = 0; i < pairs; i++) {
        if (!next_key(&r, &key) || (i < SUIT_COMMON && key != i + 1)) /* the first three must be there */
            return refuse_malformed(p, "manifest");
        if (read_member(p, &r, key))
            return 1;
    }
    if (!cborio_ended(&r) || pairs < SUIT_COMMON)
        return refuse_malformed(p, "manifest");
    return 0;
}

/* The envelope ---------------------------------------------------------------------------------------------------- */

static int read_signatures(const struct parser *p, struct cborio_reader *r, size_t count)
{
    struct suit_manifest *m = p->m;
    size_t size;

    if (count > SIGNATURES_MAX)
        return REFUSE(p, "The manifest has more than %d signatures.", SIGNATURES_MAX);
    m->signature_count = count;
    m->signatures = r->cursor.data + r->cursor.offset;
    m->signatures_size = cursor_left(&r->cursor);
    if (count)
        m->authentication = cborio_get_bytes(r, &m->authentication_size);
    for (size_t i = 1; i < count; i++)
        (void)cborio_get_bytes(r, &size);
    return 0;
}

static int read_authentication(const struct parser *p, struct cborio_reader r)
{
    struct suit_manifest *m = p->m;
    size_t count = cborio_get_array(&r);

    if (m->dialect == SUIT_IETF) {
        m->digest_block = cborio_get_bytes(&r, &m->digest_block_size);
        count -= !cborio_failed(&r);
    }
    if (!cborio_failed(&r) && read_signatures(p, &r, count))
        return 1;
    return cborio_ended(&r) ? 0 : refuse_malformed(p, "authentication block");
}

/* The digest that is signed against that of the manifest. */
static int compare_digest(const struct parser *p)
{
    struct suit_manifest *m = p->m;
    struct cborio_reader r = cborio_reader_init(m->digest_block, m->digest_block_size);
    const uint8_t *digest;
    struct cose_sign1 message;

    if (!suit_hash(m->manifest, m->manifest_size, m->digest))
        return REFUSE(p, "The manifest's digest could not be computed.");
    if (m->dialect == SUIT_RIOT) {
        if (!m->authentication)
            return 0;
        if (cose_parse_sign1(&message, m->authentication, m->authentication_size, p->reason, p->reason_size))
            return 1;
        r = cborio_reader_init(message.payload, message.payload_size);
    }
    if (!suit_read_digest(&r, p->form, &digest))
        return refuse_malformed(p, "manifest's digest");
    m->digest_matches = memcmp(digest, m->digest, SUIT_DIGEST_SIZE) == 0;
    return 0;
}

/* What follows the manifest: severed elements, then payloads under the names that URIs call them. */
static int read_severed(const struct parser *p, struct cborio_reader *r, size_t count)
{
    struct suit_manifest *m = p->m;
    uint64_t key = SUIT_MANIFEST;
    size_t size;

    if (count > (m->dialect == SUIT_IETF ? SEVERED_MAX : 0))
        return REFUSE(p, "The envelope has more members than are understood.");
    m->severed_count = count;
    m->severed = r->cursor.data + r->cursor.offset;
    m->severed_size = cursor_left(&r->cursor);
    for (size_t i = 0; i < count; i++) {
        if (cborio_peek(r) == CBORIO_TEXT) {
            (void)cborio_get_text(r, &size);
            key = UINT64_MAX;
        } else if (!next_key(r, &key) || key > SUIT_NUMBER_MAX || !(p->form->severable & SUIT_BIT(key))) {
            return REFUSE(p, "The envelope has members that are not understood.");
        }
        (void)cborio_get_bytes(r, &size);
    }
    return 0;
}

static int read_envelope(const struct parser *p, struct cborio_reader *r)
{
    size_t pairs = cborio_get_map(r);

    if (pairs < 2 || cborio_get_uint(r, UINT32_MAX) != SUIT_AUTHENTICATION)
        return refuse_malformed(p, "envelope");
    if (read_authentication(p, cborio_get_nested(r)))
        return 1;
    if (cborio_get_uint(r, UINT32_MAX) != SUIT_MANIFEST)
        return refuse_malformed(p, "envelope");
    p->m->manifest = get_with_head(r, &p->m->manifest_size);
    if (cborio_failed(r))
        return refuse_malformed(p, "envelope");
    if (read_severed(p, r, pairs - 2))
        return 1;
    return cborio_ended(r) ? 0 : refuse_malformed(p, "envelope");
}

int suit_parse(struct suit_manifest *out, const void *data, size_t size, char *reason, size_t reason_size)
{
    struct cborio_reader r = cborio_reader_init(data, size);
    bool tagged = cborio_peek(&r) == CBORIO_TAG;
    struct parser p = {.m = out, .reason = reason, .reason_size = reason_size};

    memset(out, 0, sizeof *out);
    out->dialect = tagged ? SUIT_IETF : SUIT_RIOT;
    p.form = suit_form_of(out->dialect);
    if (tagged && cborio_get_tag(&r) != SUIT_TAG)
        return REFUSE(&p, "This is not a SUIT envelope: it has another tag.");
    if (!tagged && cborio_peek(&r) != CBORIO_MAP)
        return REFUSE(&p, "This is not a SUIT envelope.");
    if (size > p.form->max)
        return REFUSE(&p, "The envelope has %zu bytes; %zu is the most for the dialect %s.", size, p.form->max,
                      p.form->name);
    if (read_envelope(&p, &r) || compare_digest(&p) || read_manifest(&p))
        return 1;
    return suit_interpret(out, reason, reason_size);
}
