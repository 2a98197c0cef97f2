#include "codec/suit_private.h"

#include <string.h>

/*
 * Runs over command sequences as a device does, but takes every path: no condition fails. What parameters say is
 * noted in the components. In the alternatives of a try-each that begin with another slot (offset) each, parameters
 * belong to a variant of the component: one more entry among the components, with the same id.
 */

#define NO_VARIANT SIZE_MAX

struct interpreter {
    struct suit_manifest *m;
    const struct suit_form *form;
    size_t index_of[SUIT_COMPONENTS_MAX]; /* per entry: which component of the manifest it is */
    size_t declared;                      /* components of the manifest */
    uint32_t selected;                    /* mask of these */
    size_t variant;                       /* the one entry that parameters are for, or NO_VARIANT */
    const struct suit_component *common;  /* in an alternative: the selected component as it was before */
    bool ignores;                         /* in a later alternative that names no slot: the first one counts */
    unsigned nesting, commands;
    char *reason;
    size_t reason_size;
};

#define REFUSE(in, ...) suit_refuse((in)->reason, (in)->reason_size, __VA_ARGS__)

static int run(struct interpreter *in, struct cborio_reader r);

static bool is_target(const struct interpreter *in, size_t entry)
{
    if (in->variant != NO_VARIANT)
        return entry == in->variant;
    return in->selected >> in->index_of[entry] & 1;
}

/* Parameters ------------------------------------------------------------------------------------------------------ */

static void get_uuid(struct cborio_reader *r, uint8_t out[16])
{
    size_t size;
    const uint8_t *bytes = cborio_get_bytes(r, &size);

    if (bytes && size == 16)
        memcpy(out, bytes, 16);
    else
        cursor_fail(&r->cursor);
}

static void get_digest(struct cborio_reader *r, const struct suit_form *form, uint8_t out[SUIT_DIGEST_SIZE])
{
    struct cborio_reader nested = cborio_get_nested(r);
    const uint8_t *digest;

    if (suit_read_digest(&nested, form, &digest))
        memcpy(out, digest, SUIT_DIGEST_SIZE);
    else
        cursor_fail(&r->cursor);
}

static void get_parameter(const struct interpreter *in, struct cborio_reader *r, uint64_t key,
                          struct suit_component *out)
{
    size_t size;

    switch (key) {
    case SUIT_VENDOR_ID:
        get_uuid(r, out->vendor);
        out->has_vendor = true;
        break;
    case SUIT_CLASS_ID:
        get_uuid(r, out->class_id);
        out->has_class = true;
        break;
    case SUIT_IMAGE_DIGEST:
        get_digest(r, in->form, out->digest);
        out->has_digest = true;
        break;
    case SUIT_SLOT:
        out->offset = cborio_get_uint(r, in->form->number_max);
        out->has_offset = true;
        break;
    case SUIT_IMAGE_SIZE:
        out->size = cborio_get_uint(r, in->form->number_max);
        out->has_size = true;
        break;
    case SUIT_URI:
        cborio_copy_text(r, out->uri, sizeof out->uri);
        break;
    /* what is not noted */
    case SUIT_STRICT_ORDER:
    case SUIT_SOFT_FAILURE:
        (void)cborio_get_bool(r);
        break;
    case SUIT_SOURCE_COMPONENT:
        (void)cborio_get_uint(r, SUIT_COMPONENTS_MAX);
        break;
    default:
        (void)cborio_get_bytes(r, &size);
    }
}

static void merge(struct suit_component *to, const struct suit_component *from)
{
    if (from->has_vendor) {
        memcpy(to->vendor, from->vendor, sizeof to->vendor);
        to->has_vendor = true;
    }
    if (from->has_class) {
        memcpy(to->class_id, from->class_id, sizeof to->class_id);
        to->has_class = true;
    }
    if (from->has_digest) {
        memcpy(to->digest, from->digest, sizeof to->digest);
        to->has_digest = true;
    }
    if (from->has_offset) {
        to->offset = from->offset;
        to->has_offset = true;
    }
    if (from->has_size) {
        to->size = from->size;
        to->has_size = true;
    }
    if (from->uri[0])
        memcpy(to->uri, from->uri, sizeof to->uri);
}

/* The entry for this slot of the selected component: it is there, or the component had no slot yet, or it is new. */
static int select_variant(struct interpreter *in, uint64_t offset)
{
    struct suit_manifest *m = in->m;
    size_t index = 0;

    while (index < in->declared && !(in->selected >> index & 1))
        index++;
    if (in->selected != UINT32_C(1) << index)
        return REFUSE(in, "A try-each chooses a slot for several components at once.");
    for (size_t i = 0; i < m->component_count; i++)
        if (in->index_of[i] == index && (!m->components[i].has_offset || m->components[i].offset == offset)) {
            in->variant = i;
            return 0;
        }
    if (m->component_count == SUIT_COMPONENTS_MAX)
        return REFUSE(in, "The manifest has more than %d components and slots.", SUIT_COMPONENTS_MAX);
    in->variant = m->component_count++;
    in->index_of[in->variant] = index;
    m->components[in->variant] = *in->common;
    return 0;
}

static int set_parameters(struct interpreter *in, struct cborio_reader *r)
{
    struct suit_component given;
    size_t pairs = cborio_get_map(r);
    uint64_t seen = 0;

    memset(&given, 0, sizeof given);
    for (size_t i = 0; i < pairs; i++) {
        uint64_t key = cborio_get_uint(r, UINT64_MAX);

        if (cborio_failed(r))
            return REFUSE(in, "A map of parameters is malformed.");
        if (key > SUIT_NUMBER_MAX || !(in->form->parameters & SUIT_BIT(key)))
            return REFUSE(in, "The parameter %llu is not understood.", (unsigned long long)key);
        if (seen & SUIT_BIT(key))
            return REFUSE(in, "The parameter %u is set twice at once.", (unsigned)key);
        seen |= SUIT_BIT(key);
        get_parameter(in, r, key, &given);
        if (cborio_failed(r))
            return REFUSE(in, "The parameter %u is malformed or too long.", (unsigned)key);
    }
    if (given.has_offset && in->common) {
        if (select_variant(in, given.offset))
            return 1;
        in->ignores = false;
    }
    for (size_t i = 0; i < in->m->component_count && !in->ignores; i++)
        if (is_target(in, i))
            merge(&in->m->components[i], &given);
    return 0;
}

/* Directives ------------------------------------------------------------------------------------------------------ */

static uint32_t select_one(const struct interpreter *in, struct cborio_reader *r)
{
    uint64_t index = cborio_get_uint(r, in->declared - 1);

    return UINT32_C(1) << index;
}

static int set_index(struct interpreter *in, struct cborio_reader *r)
{
    size_t count;

    in->selected = 0;
    if (in->form->indexes_all && cborio_peek(r) == CBORIO_BOOL) {
        if (!cborio_get_bool(r))
            cursor_fail(&r->cursor);
        in->selected = (UINT32_C(1) << in->declared) - 1;
    } else if (in->form->indexes_all && cborio_peek(r) == CBORIO_ARRAY) {
        count = cborio_get_array(r);
        for (size_t i = 0; i < count && !cborio_failed(r); i++)
            in->selected |= select_one(in, r);
    } else {
        in->selected = select_one(in, r);
    }
    if (cborio_failed(r))
        return REFUSE(in, "A component index is malformed, or there is no such component.");
    return 0;
}

/* A sequence inside of another one, which leaves the choice of a slot as it was. */
static int run_alternative(struct interpreter *in, struct cborio_reader *r, const struct suit_component *common,
                           bool ignores)
{
    struct interpreter saved = *in;

    in->common = common;
    in->ignores = in->ignores || ignores;
    if (run(in, cborio_get_nested(r)))
        return 1;
    in->variant = saved.variant;
    in->common = saved.common;
    in->ignores = saved.ignores;
    return 0;
}

static int try_each(struct interpreter *in, struct cborio_reader *r)
{
    struct suit_component common;
    size_t count = cborio_get_array(r), entry = 0;
    uint32_t selected = in->selected;

    while (entry < in->m->component_count - 1 && !is_target(in, entry))
        entry++;
    common = in->m->components[entry];
    if (cborio_failed(r) || count == 0)
        return REFUSE(in, "A try-each is malformed.");
    for (size_t i = 0; i < count; i++) {
        in->selected = selected;
        if (i > 0 && in->m->dialect == SUIT_IETF && cborio_peek(r) == CBORIO_NULL) /* or else nothing */
            cborio_skip(r);
        else if (run_alternative(in, r, &common, i > 0))
            return 1;
    }
    in->selected = selected;
    return 0;
}

static int run_command(struct interpreter *in, struct cborio_reader *r, uint64_t command)
{
    switch (command) {
    case SUIT_SET_PARAMETERS:
    case SUIT_OVERRIDE_PARAMETERS:
        return set_parameters(in, r);
    case SUIT_SET_COMPONENT_INDEX:
        return set_index(in, r);
    case SUIT_TRY_EACH:
        return try_each(in, r);
    case SUIT_RUN_SEQUENCE:
        return run(in, cborio_get_nested(r));
    default: /* all others take a reporting policy */
        (void)cborio_get_uint(r, UINT32_MAX);
        return 0;
    }
}

static int run(struct interpreter *in, struct cborio_reader r)
{
    size_t count = cborio_get_array(&r);

    if (++in->nesting > SUIT_NESTING_MAX)
        return REFUSE(in, "Command sequences are nested more than %d deep.", SUIT_NESTING_MAX);
    if (count % 2)
        return REFUSE(in, "A command sequence is malformed.");
    for (size_t i = 0; i < count && !cborio_failed(&r); i += 2) {
        uint64_t command = cborio_get_uint(&r, UINT64_MAX);

        if (cborio_failed(&r))
            break;
        if (command > SUIT_NUMBER_MAX || !(in->form->commands & SUIT_BIT(command)))
            return REFUSE(in, "The command %llu is not understood.", (unsigned long long)command);
        if (++in->commands > SUIT_COMMANDS_MAX)
            return REFUSE(in, "The manifest has more than %d commands.", SUIT_COMMANDS_MAX);
        if (run_command(in, &r, command))
            return 1;
    }
    in->nesting--;
    return cborio_ended(&r) ? 0 : REFUSE(in, "A command sequence is malformed.");
}

int suit_interpret(struct suit_manifest *manifest, char *reason, size_t reason_size)
{
    struct interpreter in = {
        .m = manifest,
        .form = suit_form_of(manifest->dialect),
        .declared = manifest->component_count,
        .reason = reason,
        .reason_size = reason_size,
    };

    for (size_t i = 0; i < in.declared; i++)
        in.index_of[i] = i;
    for (size_t i = 0; i < SUIT_SECTION_COUNT; i++) {
        in.selected = 1; /* each section begins with the first component */
        in.variant = NO_VARIANT;
        if (manifest->sections[i].data &&
            run(&in, cborio_reader_init(manifest->sections[i].data, manifest->sections[i].size)))
            return 1;
    }
    return 0;
}
