#include "base/text.h"
#include "codec/jsonio.h"
#include "codec/suit_private.h"

#include <string.h>

/* As JSON, for people. What is described was parsed, so that it is well-formed; the readers' errors end the loops. */

static const char *const commands[SUIT_NUMBER_MAX + 1] = {
    [SUIT_CONDITION_VENDOR] = "condition-vendor-identifier",
    [SUIT_CONDITION_CLASS] = "condition-class-identifier",
    [SUIT_CONDITION_IMAGE_MATCH] = "condition-image-match",
    [SUIT_CONDITION_SLOT] = "condition-component-slot",
    [SUIT_CONDITION_CONTENT] = "condition-check-content",
    [SUIT_SET_COMPONENT_INDEX] = "directive-set-component-index",
    [SUIT_CONDITION_ABORT] = "condition-abort",
    [SUIT_TRY_EACH] = "directive-try-each",
    [SUIT_WRITE] = "directive-write",
    [SUIT_SET_PARAMETERS] = "directive-set-parameters",
    [SUIT_OVERRIDE_PARAMETERS] = "directive-override-parameters",
    [SUIT_FETCH] = "directive-fetch",
    [SUIT_COPY] = "directive-copy",
    [SUIT_INVOKE] = "directive-invoke",
    [SUIT_CONDITION_DEVICE] = "condition-device-identifier",
    [SUIT_SWAP] = "directive-swap",
    [SUIT_RUN_SEQUENCE] = "directive-run-sequence",
};

static const char *const parameters[SUIT_NUMBER_MAX + 1] = {
    [SUIT_VENDOR_ID] = "vendor-id",
    [SUIT_CLASS_ID] = "class-id",
    [SUIT_IMAGE_DIGEST] = "image-digest",
    [SUIT_SLOT] = "component-slot",
    [SUIT_STRICT_ORDER] = "strict-order",
    [SUIT_SOFT_FAILURE] = "soft-failure",
    [SUIT_IMAGE_SIZE] = "image-size",
    [SUIT_CONTENT] = "content",
    [SUIT_URI] = "uri",
    [SUIT_SOURCE_COMPONENT] = "source-component",
    [SUIT_INVOKE_ARGUMENTS] = "invoke-arguments",
    [SUIT_DEVICE_ID] = "device-id",
};

static const char *const sections[SUIT_SECTION_COUNT] = {
    [SUIT_SHARED] = "shared",   [SUIT_PAYLOAD_FETCH] = "payload-fetch",
    [SUIT_INSTALL] = "install", [SUIT_VALIDATE] = "validate",
    [SUIT_LOAD] = "load",       [SUIT_INVOCATION] = "invoke",
};

static void put_sequence(struct buffer *out, const struct suit_form *form, struct cborio_reader r);

static void put_hex(struct buffer *out, const uint8_t *data, size_t size)
{
    char text[3];

    buffer_append_u8(out, '"');
    for (size_t i = 0; i < size; i++)
        buffer_append_text(out, text_hex(data + i, 1, text));
    buffer_append_u8(out, '"');
}

static void put_uuid(struct buffer *out, const uint8_t *id, size_t size)
{
    static const uint8_t ends[] = {4, 6, 8, 10, 16};
    size_t i = 0;

    if (size != 16) {
        put_hex(out, id, size);
        return;
    }
    buffer_append_u8(out, '"');
    for (size_t part = 0; part < array_size(ends); part++) {
        if (part)
            buffer_append_u8(out, '-');
        for (; i < ends[part]; i++)
            buffer_printf(out, "%02x", id[i]);
    }
    buffer_append_u8(out, '"');
}

static bool is_printable(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] < ' ' || data[i] > '~')
            return false;
    return size > 0;
}

/* Of a component's id: as text where it is one, else 0x and its bytes. */
static void put_segment(struct buffer *out, const uint8_t *data, size_t size)
{
    if (is_printable(data, size) && (size < 2 || memcmp(data, "0x", 2) != 0)) {
        jsonio_put_string(out, data, size);
        return;
    }
    buffer_append_text(out, "\"0x");
    for (size_t i = 0; i < size; i++)
        buffer_printf(out, "%02x", data[i]);
    buffer_append_u8(out, '"');
}

static void put_scalar(struct buffer *out, struct cborio_reader *r)
{
    struct cborio_item item;

    if (!cborio_next(r, &item))
        return;
    switch (item.type) {
    case CBORIO_UINT:
        buffer_printf(out, "%llu", (unsigned long long)item.value);
        break;
    case CBORIO_BYTES:
        put_hex(out, item.data, (size_t)item.value);
        break;
    case CBORIO_TEXT:
        jsonio_put_string(out, item.data, (size_t)item.value);
        break;
    case CBORIO_BOOL:
        buffer_append_text(out, item.value ? "true" : "false");
        break;
    default:
        buffer_append_text(out, "null");
    }
}

static void put_parameter(struct buffer *out, const struct suit_form *form, struct cborio_reader *r, uint64_t key)
{
    struct cborio_reader nested;
    const uint8_t *bytes;
    size_t size;

    switch (key) {
    case SUIT_VENDOR_ID:
    case SUIT_CLASS_ID:
    case SUIT_DEVICE_ID:
        bytes = cborio_get_bytes(r, &size);
        put_uuid(out, bytes, size);
        break;
    case SUIT_IMAGE_DIGEST:
        nested = cborio_get_nested(r);
        if (suit_read_digest(&nested, form, &bytes))
            put_hex(out, bytes, SUIT_DIGEST_SIZE);
        break;
    default:
        put_scalar(out, r);
    }
}

static void put_parameters(struct buffer *out, const struct suit_form *form, struct cborio_reader *r)
{
    size_t pairs = cborio_get_map(r);

    buffer_append_u8(out, '{');
    for (size_t i = 0; i < pairs && !cborio_failed(r); i++) {
        uint64_t key = cborio_get_uint(r, SUIT_NUMBER_MAX);

        buffer_printf(out, "%s\"%s\":", i ? "," : "", parameters[key] ? parameters[key] : "");
        put_parameter(out, form, r, key);
    }
    buffer_append_u8(out, '}');
}

static void put_alternatives(struct buffer *out, const struct suit_form *form, struct cborio_reader *r)
{
    size_t count = cborio_get_array(r);

    buffer_append_u8(out, '[');
    for (size_t i = 0; i < count && !cborio_failed(r); i++) {
        if (i)
            buffer_append_u8(out, ',');
        if (cborio_peek(r) == CBORIO_NULL)
            put_scalar(out, r);
        else
            put_sequence(out, form, cborio_get_nested(r));
    }
    buffer_append_u8(out, ']');
}

static void put_index(struct buffer *out, struct cborio_reader *r)
{
    size_t count;

    if (cborio_peek(r) != CBORIO_ARRAY) {
        put_scalar(out, r);
        return;
    }
    count = cborio_get_array(r);
    buffer_append_u8(out, '[');
    for (size_t i = 0; i < count && !cborio_failed(r); i++) {
        if (i)
            buffer_append_u8(out, ',');
        put_scalar(out, r);
    }
    buffer_append_u8(out, ']');
}

static void put_argument(struct buffer *out, const struct suit_form *form, struct cborio_reader *r, uint64_t command)
{
    switch (command) {
    case SUIT_SET_PARAMETERS:
    case SUIT_OVERRIDE_PARAMETERS:
        put_parameters(out, form, r);
        break;
    case SUIT_TRY_EACH:
        put_alternatives(out, form, r);
        break;
    case SUIT_RUN_SEQUENCE:
        put_sequence(out, form, cborio_get_nested(r));
        break;
    case SUIT_SET_COMPONENT_INDEX:
        put_index(out, r);
        break;
    default:
        put_scalar(out, r);
    }
}

/* [{"command": argument}, ...] */
static void put_sequence(struct buffer *out, const struct suit_form *form, struct cborio_reader r)
{
    size_t count = cborio_get_array(&r);

    buffer_append_u8(out, '[');
    for (size_t i = 0; i < count && !cborio_failed(&r); i += 2) {
        uint64_t command = cborio_get_uint(&r, SUIT_NUMBER_MAX);

        buffer_printf(out, "%s{\"%s\":", i ? "," : "", commands[command] ? commands[command] : "");
        put_argument(out, form, &r, command);
        buffer_append_u8(out, '}');
    }
    buffer_append_u8(out, ']');
}

static void put_id(struct buffer *out, const struct suit_component *c)
{
    buffer_append_text(out, "{\"id\":[");
    for (size_t i = 0; i < c->id_count; i++) {
        if (i)
            buffer_append_u8(out, ',');
        put_segment(out, c->id[i].bytes, c->id[i].size);
    }
    buffer_append_u8(out, ']');
}

static void put_component(struct buffer *out, const struct suit_component *c)
{
    put_id(out, c);
    if (c->has_vendor) {
        buffer_append_text(out, ",\"vendor_id\":");
        put_uuid(out, c->vendor, 16);
    }
    if (c->has_class) {
        buffer_append_text(out, ",\"class_id\":");
        put_uuid(out, c->class_id, 16);
    }
    if (c->has_digest) {
        buffer_append_text(out, ",\"digest\":");
        put_hex(out, c->digest, SUIT_DIGEST_SIZE);
    }
    if (c->has_size)
        buffer_printf(out, ",\"size\":%llu", (unsigned long long)c->size);
    if (c->has_offset)
        buffer_printf(out, ",\"offset\":%llu", (unsigned long long)c->offset);
    if (c->uri[0]) {
        buffer_append_text(out, ",\"uri\":");
        jsonio_put_string(out, c->uri, strlen(c->uri));
    }
    buffer_append_u8(out, '}');
}

char *suit_describe(const struct suit_manifest *m)
{
    cleanup_buffer struct buffer out = buffer_init(0);
    const struct suit_form *form = suit_form_of(m->dialect);

    buffer_printf(&out, "{\"dialect\":\"%s\",\"sequence\":%llu,\"signatures\":%zu,\"digest\":", form->name,
                  (unsigned long long)m->sequence, m->signature_count);
    put_hex(&out, m->digest, SUIT_DIGEST_SIZE);
    if (m->reference_uri) {
        buffer_append_text(&out, ",\"reference_uri\":");
        jsonio_put_string(&out, m->reference_uri, m->reference_uri_size);
    }
    buffer_append_text(&out, ",\"components\":[");
    for (size_t i = 0; i < m->component_count; i++) {
        if (i)
            buffer_append_u8(&out, ',');
        put_component(&out, &m->components[i]);
    }
    buffer_append_u8(&out, ']');
    for (size_t i = 0; i < SUIT_SECTION_COUNT; i++) {
        if (!m->sections[i].data)
            continue;
        buffer_printf(&out, ",\"%s\":", sections[i]);
        put_sequence(&out, form, cborio_reader_init(m->sections[i].data, m->sections[i].size));
    }
    buffer_append_u8(&out, '}');
    return (char *)buffer_steal(&out, &(size_t){0});
}
