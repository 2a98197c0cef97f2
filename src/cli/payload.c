#include "cli/payload.h"

#include "base/text.h"
#include "cli/view.h"
#include "codec/cborjson.h"

#include <ctype.h>
#include <string.h>

#define ROW 16
#define JSON_LIMIT (4u << 20)

/* Content-Formats whose payload is CBOR (IANA, CoAP Content-Formats). */
static const int cbor_formats[] = {19, 60, 61, 112, 113, 140, 257, 258, 271, 290, 322, 340, 10000};

static bool is_cbor(const char *type, int format)
{
    for (size_t i = 0; i < array_size(cbor_formats); i++)
        if (cbor_formats[i] == format)
            return true;
    return type && strstr(type, "cbor") && !strstr(type, "cbor-seq");
}

static bool is_json(const void *data, size_t size)
{
    cleanup_json json_t *json = json_loadb(data, size, 0, NULL);

    return json != NULL;
}

const char *payload_kind(const char *type, int format, const void *data, size_t size)
{
    cleanup_buffer struct buffer text = {.limit = JSON_LIMIT};

    if (is_cbor(type, format) && cborjson_to_json(data, size, &text) == 0)
        return "cbor";
    if (!text_is_utf8(data, size))
        return "bytes";
    if (format == 40 || (type && strstr(type, "link-format")))
        return "links";
    return is_json(data, size) ? "json" : "text";
}

static void print_lines(FILE *to, const char *text, size_t size, int indent)
{
    const char *end = text + size;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;

        (void)fprintf(to, "%*s", indent, "");
        display_put(to, text, (size_t)(stop - text), true);
        (void)fputc('\n', to);
        text = newline ? newline + 1 : end;
    }
}

static void print_json(FILE *to, const void *data, size_t size, int indent)
{
    cleanup_json json_t *json = json_loadb(data, size, JSON_DECODE_ANY, NULL);
    cleanup_free char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;

    if (text)
        print_lines(to, text, strlen(text), indent);
    else
        print_lines(to, data, size, indent);
}

static void print_cbor(FILE *to, const void *data, size_t size, int indent)
{
    cleanup_buffer struct buffer text = {.limit = JSON_LIMIT};

    if (cborjson_to_json(data, size, &text) == 0)
        print_json(to, buffer_text(&text), text.size, indent);
}

/* A comma that stands before "<" ends a link (RFC 6690); in a quoted value it does not count. */
static void print_links(FILE *to, const char *text, size_t size, int indent)
{
    bool quoted = false;
    size_t begin = 0;

    for (size_t i = 0; i < size; i++) {
        quoted ^= text[i] == '"';
        if (quoted || text[i] != ',' || i + 1 == size || text[i + 1] != '<')
            continue;
        print_lines(to, text + begin, i - begin, indent);
        begin = i + 1;
    }
    print_lines(to, text + begin, size - begin, indent);
}

static void print_bytes(FILE *to, const uint8_t *bytes, size_t size, int indent)
{
    for (size_t row = 0; row < size; row += ROW) {
        (void)fprintf(to, "%*s%04zx ", indent, "", row);
        for (size_t i = row; i < row + ROW; i++)
            (void)fprintf(to, i < size ? " %02x" : "   ", i < size ? bytes[i] : 0);
        (void)fputs("  ", to);
        for (size_t i = row; i < row + ROW && i < size; i++)
            (void)fputc(isprint(bytes[i]) ? bytes[i] : '.', to);
        (void)fputc('\n', to);
    }
}

void payload_print(FILE *to, const char *kind, const void *data, size_t size, int indent)
{
    if (strcmp(kind, "json") == 0)
        print_json(to, data, size, indent);
    else if (strcmp(kind, "cbor") == 0)
        print_cbor(to, data, size, indent);
    else if (strcmp(kind, "links") == 0)
        print_links(to, data, size, indent);
    else if (strcmp(kind, "text") == 0)
        print_lines(to, data, size, indent);
    else
        print_bytes(to, data, size, indent);
}
