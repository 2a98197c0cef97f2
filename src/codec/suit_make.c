#include "codec/cose.h"
#include "codec/suit_private.h"

#include <errno.h>
#include <string.h>

/*
 * Writes what devices of both dialects take: identifiers, digest and size of all components in the shared sequence,
 * then a fetch of each with a check of its digest, then the check alone. Where entries have the same id they are slots
 * of one component: what differs between them goes into a try-each by offset.
 */

#define REPORT_ALL 15                                        /* reporting policies: of conditions, */
#define REPORT_FETCH 2                                       /* of fetches, */
#define REPORT_SLOT 5                                        /* of slots in a try-each */
#define SCRATCH (SUIT_COMPONENTS_MAX * (SUIT_URI_MAX + 512)) /* more than one sequence takes */

struct maker {
    const struct suit_manifest *m;
    const struct suit_form *form;
    struct {
        size_t entries[SUIT_COMPONENTS_MAX]; /* slots of one component */
        size_t count;
    } groups[SUIT_COMPONENTS_MAX];
    size_t group_count;
};

/* Room for a byte string that is written before its size is known. */
struct nested {
    uint8_t bytes[SCRATCH];
    struct cborio_writer w;
};

static void begin(struct nested *n)
{
    n->w = cborio_writer_init(n->bytes, sizeof n->bytes);
}

static void end(struct cborio_writer *w, const struct nested *n)
{
    size_t size = cborio_written(&n->w);

    if (size == 0)
        w->failed = true;
    else
        cborio_put_bytes(w, n->bytes, size);
}

/* A byte string with its head. */
static void append_bytes(struct buffer *out, const uint8_t *data, size_t size)
{
    uint8_t head[16];
    struct cborio_writer w = cborio_writer_init(head, sizeof head);

    cborio_put_bytes_head(&w, size);
    buffer_append(out, head, cborio_written(&w));
    buffer_append(out, data, size);
}

static void put_command(struct cborio_writer *w, uint64_t command, uint64_t argument)
{
    cborio_put_uint(w, command);
    cborio_put_uint(w, argument);
}

/* Components ------------------------------------------------------------------------------------------------------ */

static bool has_same_id(const struct suit_component *a, const struct suit_component *b)
{
    if (a->id_count != b->id_count)
        return false;
    for (size_t i = 0; i < a->id_count; i++)
        if (a->id[i].size != b->id[i].size || memcmp(a->id[i].bytes, b->id[i].bytes, a->id[i].size) != 0)
            return false;
    return true;
}

static void group_components(struct maker *k)
{
    for (size_t i = 0; i < k->m->component_count; i++) {
        size_t g = 0;

        while (g < k->group_count && !has_same_id(&k->m->components[i], &k->m->components[k->groups[g].entries[0]]))
            g++;
        if (g == k->group_count)
            k->group_count++;
        k->groups[g].entries[k->groups[g].count++] = i;
    }
}

static const struct suit_component *entry_of(const struct maker *k, size_t group, size_t slot)
{
    return &k->m->components[k->groups[group].entries[slot]];
}

static void put_digest(struct cborio_writer *w, const struct suit_form *form, const uint8_t digest[SUIT_DIGEST_SIZE])
{
    cborio_put_array(w, 2);
    cborio_put_int(w, form->digest_algorithm);
    cborio_put_bytes(w, digest, SUIT_DIGEST_SIZE);
}

/* Parameters in their order, those of the mask that the component has. */
static void put_parameters(struct cborio_writer *w, const struct maker *k, const struct suit_component *c,
                           uint64_t wanted)
{
    uint8_t bytes[64];
    struct cborio_writer digest = cborio_writer_init(bytes, sizeof bytes);
    uint64_t given = 0;

    given |= c->has_vendor ? SUIT_BIT(SUIT_VENDOR_ID) : 0;
    given |= c->has_class ? SUIT_BIT(SUIT_CLASS_ID) : 0;
    given |= c->has_digest ? SUIT_BIT(SUIT_IMAGE_DIGEST) : 0;
    given |= c->has_offset ? SUIT_BIT(SUIT_SLOT) : 0;
    given |= c->has_size ? SUIT_BIT(SUIT_IMAGE_SIZE) : 0;
    given |= c->uri[0] ? SUIT_BIT(SUIT_URI) : 0;
    given &= wanted;
    cborio_put_map(w, (size_t)__builtin_popcountll(given));
    for (uint64_t key = 0; key <= SUIT_URI; key++) {
        if (!(given & SUIT_BIT(key)))
            continue;
        cborio_put_uint(w, key);
        if (key == SUIT_VENDOR_ID || key == SUIT_CLASS_ID) {
            cborio_put_bytes(w, key == SUIT_VENDOR_ID ? c->vendor : c->class_id, 16);
        } else if (key == SUIT_IMAGE_DIGEST) {
            put_digest(&digest, k->form, c->digest);
            cborio_put_bytes(w, bytes, cborio_written(&digest));
        } else if (key == SUIT_URI) {
            cborio_put_text(w, c->uri);
        } else {
            cborio_put_uint(w, key == SUIT_SLOT ? c->offset : c->size);
        }
    }
}

/* Sequences ------------------------------------------------------------------------------------------------------- */

/* Whether a slot's parameters differ from the first one's; digests always count as such. */
static uint64_t difference(const struct suit_component *a, const struct suit_component *b)
{
    uint64_t mask = SUIT_BIT(SUIT_IMAGE_DIGEST);

    if (a->has_size != b->has_size || a->size != b->size)
        mask |= SUIT_BIT(SUIT_IMAGE_SIZE);
    if (a->has_vendor != b->has_vendor || memcmp(a->vendor, b->vendor, sizeof a->vendor) != 0)
        mask |= SUIT_BIT(SUIT_VENDOR_ID);
    if (a->has_class != b->has_class || memcmp(a->class_id, b->class_id, sizeof a->class_id) != 0)
        mask |= SUIT_BIT(SUIT_CLASS_ID);
    return mask;
}

/* What belongs to the slots, where a component has several. */
static uint64_t slot_parameters(const struct maker *k, size_t group)
{
    uint64_t mask = 0;

    for (size_t i = 1; i < k->groups[group].count; i++)
        mask |= difference(entry_of(k, group, 0), entry_of(k, group, i));
    return mask;
}

/* try-each: [set offset, check it, set parameters] for each slot. */
static void put_slots(struct cborio_writer *w, const struct maker *k, size_t group, uint64_t command, uint64_t mask)
{
    cborio_put_uint(w, SUIT_TRY_EACH);
    cborio_put_array(w, k->groups[group].count);
    for (size_t i = 0; i < k->groups[group].count; i++) {
        struct nested slot;

        begin(&slot);
        cborio_put_array(&slot.w, 6);
        cborio_put_uint(&slot.w, command);
        put_parameters(&slot.w, k, entry_of(k, group, i), SUIT_BIT(SUIT_SLOT));
        put_command(&slot.w, SUIT_CONDITION_SLOT, REPORT_SLOT);
        cborio_put_uint(&slot.w, command);
        put_parameters(&slot.w, k, entry_of(k, group, i), mask);
        end(w, &slot);
    }
}

/* Each returns how many items it wrote. */
static size_t put_shared(struct cborio_writer *w, const struct maker *k, size_t group)
{
    const struct suit_component *c = entry_of(k, group, 0);
    bool has_slots = k->groups[group].count > 1;
    uint64_t of_slot = has_slots ? slot_parameters(k, group) | SUIT_BIT(SUIT_SLOT) : 0;
    size_t items = 2;

    cborio_put_uint(w, SUIT_OVERRIDE_PARAMETERS);
    put_parameters(w, k, c, ~(of_slot | SUIT_BIT(SUIT_URI)));
    if (has_slots) {
        put_slots(w, k, group, SUIT_OVERRIDE_PARAMETERS, of_slot & ~SUIT_BIT(SUIT_SLOT));
        items += 2;
    }
    if (c->has_vendor) {
        put_command(w, SUIT_CONDITION_VENDOR, REPORT_ALL);
        items += 2;
    }
    if (c->has_class) {
        put_command(w, SUIT_CONDITION_CLASS, REPORT_ALL);
        items += 2;
    }
    if (c->has_offset && !has_slots) {
        put_command(w, SUIT_CONDITION_SLOT, REPORT_SLOT);
        items += 2;
    }
    return items;
}

static size_t put_install(struct cborio_writer *w, const struct maker *k, size_t group)
{
    if (k->groups[group].count > 1) {
        put_slots(w, k, group, k->form->set_parameters, SUIT_BIT(SUIT_URI));
    } else {
        cborio_put_uint(w, k->form->set_parameters);
        put_parameters(w, k, entry_of(k, group, 0), SUIT_BIT(SUIT_URI));
    }
    put_command(w, SUIT_FETCH, REPORT_FETCH);
    put_command(w, SUIT_CONDITION_IMAGE_MATCH, REPORT_ALL);
    return 6;
}

static size_t put_validate(struct cborio_writer *w, const struct maker *k, size_t group)
{
    (void)k;
    (void)group;
    put_command(w, SUIT_CONDITION_IMAGE_MATCH, REPORT_ALL);
    return 2;
}

typedef size_t (*sequence_fn)(struct cborio_writer *w, const struct maker *k, size_t group);

static bool has_part(const struct maker *k, size_t group, sequence_fn put)
{
    for (size_t i = 0; i < k->groups[group].count; i++) {
        const struct suit_component *c = entry_of(k, group, i);

        if (put == put_shared || (put == put_install ? c->uri[0] != 0 : c->has_digest))
            return true;
    }
    return false;
}

/* The commands of all components, as a byte string; the index is set only where there are several. */
static void put_sequence(struct cborio_writer *w, const struct maker *k, sequence_fn put)
{
    struct nested body, sequence;
    size_t items = 0;

    begin(&body);
    for (size_t g = 0; g < k->group_count; g++) {
        if (!has_part(k, g, put))
            continue;
        if (k->group_count > 1) {
            put_command(&body.w, SUIT_SET_COMPONENT_INDEX, g);
            items += 2;
        }
        items += put(&body.w, k, g);
    }
    begin(&sequence);
    cborio_put_array(&sequence.w, items);
    cborio_put_encoded(&sequence.w, body.bytes, cborio_written(&body.w));
    end(w, &sequence);
    w->failed = w->failed || body.w.failed;
}

static bool any_has_part(const struct maker *k, sequence_fn put)
{
    for (size_t g = 0; g < k->group_count; g++)
        if (has_part(k, g, put))
            return true;
    return false;
}

/* The manifest ---------------------------------------------------------------------------------------------------- */

static void put_common(struct cborio_writer *w, const struct maker *k)
{
    struct nested common;

    begin(&common);
    cborio_put_map(&common.w, 2);
    cborio_put_uint(&common.w, SUIT_COMMON_COMPONENTS);
    cborio_put_array(&common.w, k->group_count);
    for (size_t g = 0; g < k->group_count; g++) {
        const struct suit_component *c = entry_of(k, g, 0);

        cborio_put_array(&common.w, c->id_count);
        for (size_t i = 0; i < c->id_count; i++)
            cborio_put_bytes(&common.w, c->id[i].bytes, c->id[i].size);
    }
    cborio_put_uint(&common.w, SUIT_COMMON_SHARED);
    put_sequence(&common.w, k, put_shared);
    end(w, &common);
}

static void put_manifest(struct cborio_writer *w, const struct maker *k)
{
    bool installs = any_has_part(k, put_install), validates = any_has_part(k, put_validate);
    uint64_t install = k->form->sections[SUIT_INSTALL], validate = k->form->sections[SUIT_VALIDATE];

    cborio_put_map(w, (size_t)SUIT_COMMON + (installs ? 1 : 0) + (validates ? 1 : 0));
    put_command(w, SUIT_VERSION, 1);
    put_command(w, SUIT_SEQUENCE, k->m->sequence);
    cborio_put_uint(w, SUIT_COMMON);
    put_common(w, k);
    if (validates && validate < install) {
        cborio_put_uint(w, validate);
        put_sequence(w, k, put_validate);
    }
    if (installs) {
        cborio_put_uint(w, install);
        put_sequence(w, k, put_install);
    }
    if (validates && validate > install) {
        cborio_put_uint(w, validate);
        put_sequence(w, k, put_validate);
    }
}

/* The envelope ---------------------------------------------------------------------------------------------------- */

struct reason {
    char *text;
    size_t size;
};

#define REFUSE(why, ...) suit_refuse((why)->text, (why)->size, __VA_ARGS__)

static int sign(struct buffer *out, const struct suit_form *form, const uint8_t *digest, size_t size, EVP_PKEY *key,
                const struct reason *why)
{
    bool detached = form->digest_algorithm < 0; /* IETF's; RIOT has the digest in the signature only */
    int r = cose_make_sign1(out, key, NULL, 0, digest, size, detached, true);

    if (r == -EINVAL)
        return REFUSE(why, "The key is neither an Ed25519 nor a P-256 (ES256) key.");
    return r == -EKEYREJECTED ? REFUSE(why, "The key could not sign.") : r;
}

/* [digest, signature] or, in RIOT's dialect, [signature]. */
static int put_authentication(struct buffer *out, const struct suit_form *form, const uint8_t hash[SUIT_DIGEST_SIZE],
                              EVP_PKEY *key, const struct reason *why)
{
    bool is_apart = form->digest_algorithm < 0;
    uint8_t digest[64];
    struct cborio_writer d = cborio_writer_init(digest, sizeof digest);
    cleanup_buffer struct buffer signature = buffer_init(0);
    struct nested list;
    int r;

    put_digest(&d, form, hash);
    r = key ? sign(&signature, form, digest, cborio_written(&d), key, why) : 0;
    if (r)
        return r;
    begin(&list);
    cborio_put_array(&list.w, (size_t)is_apart + (key != NULL));
    if (is_apart)
        cborio_put_bytes(&list.w, digest, cborio_written(&d));
    if (key)
        cborio_put_bytes(&list.w, signature.data, signature.size);
    append_bytes(out, list.bytes, cborio_written(&list.w));
    return out->failed ? -ENOMEM : 0;
}

/* The manifest with its head, and what follows it in the envelope. */
static int put_envelope(struct buffer *out, const struct suit_manifest *m, EVP_PKEY *key, const struct reason *why)
{
    const struct suit_form *form = suit_form_of(m->dialect);
    cleanup_buffer struct buffer envelope = buffer_init(0);
    uint8_t head[16];
    struct cborio_writer w = cborio_writer_init(head, sizeof head);
    int r;

    if (m->dialect == SUIT_RIOT && key && cose_key_algorithm(key) != COSE_EDDSA)
        return REFUSE(why, "RIOT takes Ed25519 keys only, and this is another one.");
    if (m->dialect == SUIT_IETF)
        cborio_put_tag(&w, SUIT_TAG);
    cborio_put_map(&w, 2 + m->severed_count);
    cborio_put_uint(&w, SUIT_AUTHENTICATION);
    buffer_append(&envelope, head, cborio_written(&w));
    r = put_authentication(&envelope, form, m->digest, key, why);
    if (r)
        return r;
    buffer_append_u8(&envelope, SUIT_MANIFEST);
    buffer_append(&envelope, m->manifest, m->manifest_size);
    buffer_append(&envelope, m->severed, m->severed_size);
    if (!envelope.failed && envelope.size > form->max)
        return REFUSE(why, "The envelope has %zu bytes; %zu is the most for the dialect %s.", envelope.size, form->max,
                      form->name);
    buffer_append(out, envelope.data, envelope.size);
    return envelope.failed || out->failed ? -ENOMEM : 0;
}

int suit_sign(struct buffer *out, const struct suit_manifest *manifest, EVP_PKEY *key, char *reason, size_t reason_size)
{
    const struct reason why = {.text = reason, .size = reason_size};

    return put_envelope(out, manifest, key, &why);
}

/* RIOT's limits --------------------------------------------------------------------------------------------------- */

static int check_riot(const struct suit_manifest *m, const struct reason *why)
{
    for (size_t i = 0; i < m->component_count; i++) {
        const struct suit_component *c = &m->components[i];
        size_t name = c->id_count - 1;

        for (size_t s = 0; s < c->id_count; s++)
            name += c->id[s].size;
        if (!c->has_vendor || !c->has_class || !c->has_digest || !c->has_size || !c->uri[0])
            return REFUSE(why, "RIOT needs vendor, class, digest, size and URI of component %zu.", i);
        if (name > SUIT_RIOT_NAME_MAX)
            return REFUSE(why, "The id of component %zu has more than %d bytes.", i, SUIT_RIOT_NAME_MAX);
        if (strlen(c->uri) > SUIT_RIOT_URI_MAX)
            return REFUSE(why, "The URI of component %zu has more than %d bytes.", i, SUIT_RIOT_URI_MAX);
    }
    return 0;
}

static bool has_good_slots(const struct maker *k, size_t group)
{
    size_t count = k->groups[group].count;

    for (size_t i = 0; i < count && count > 1; i++)
        for (size_t j = 0; j <= i; j++)
            if (!entry_of(k, group, i)->has_offset ||
                (j < i && entry_of(k, group, i)->offset == entry_of(k, group, j)->offset))
                return false;
    return true;
}

static int check_numbers(const struct maker *k, const struct reason *why)
{
    const struct suit_manifest *m = k->m;
    uint64_t max = k->form->number_max;

    if (m->sequence > max)
        return REFUSE(why, "The sequence number is larger than %llu.", (unsigned long long)max);
    for (size_t i = 0; i < m->component_count; i++)
        if (m->components[i].size > max || m->components[i].offset > max)
            return REFUSE(why, "The size or offset of component %zu is larger than %llu.", i, (unsigned long long)max);
    return 0;
}

static int check(const struct maker *k, const struct reason *why)
{
    const struct suit_manifest *m = k->m;

    if (m->component_count == 0)
        return REFUSE(why, "The manifest has no components.");
    for (size_t i = 0; i < m->component_count; i++)
        if (m->components[i].id_count == 0)
            return REFUSE(why, "Component %zu has no id.", i);
    for (size_t g = 0; g < k->group_count; g++)
        if (!has_good_slots(k, g))
            return REFUSE(why, "Components have the same id, but not each of them an offset of its own.");
    if (check_numbers(k, why))
        return 1;
    return m->dialect == SUIT_RIOT ? check_riot(m, why) : 0;
}

int suit_make(struct buffer *out, const struct suit_manifest *manifest, EVP_PKEY *key, char *reason, size_t reason_size)
{
    struct maker k = {.m = manifest, .form = suit_form_of(manifest->dialect)};
    const struct reason why = {.text = reason, .size = reason_size};
    cleanup_buffer struct buffer bytes = buffer_init(0);
    struct suit_manifest made = {.dialect = manifest->dialect};
    struct nested n;

    group_components(&k);
    if (check(&k, &why))
        return 1;
    begin(&n);
    put_manifest(&n.w, &k);
    if (n.w.failed)
        return REFUSE(&why, "The manifest is too large.");
    append_bytes(&bytes, n.bytes, cborio_written(&n.w));
    if (bytes.failed || !suit_hash(bytes.data, bytes.size, made.digest))
        return -ENOMEM;
    made.manifest = bytes.data;
    made.manifest_size = bytes.size;
    return put_envelope(out, &made, key, &why);
}
