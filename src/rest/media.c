#include "rest/media.h"

#include "rest/reply.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"
#define PAYLOAD "application/coap-payload"
#define DEFLATE_FROM 11000 /* 11050 is 50 deflated, 11060 is 60 */

struct media {
    int format;
    const char *type; /* as it is sent; parameters behind it decide too */
};

static const struct media table[] = {
    {0, "text/plain;charset=utf-8"},
    {16, "application/cose;cose-type=\"cose-encrypt0\""},
    {17, "application/cose;cose-type=\"cose-mac0\""},
    {18, "application/cose;cose-type=\"cose-sign1\""},
    {19, "application/ace+cbor"},
    {21, "image/gif"},
    {22, "image/jpeg"},
    {23, "image/png"},
    {40, "application/link-format"},
    {41, "application/xml"},
    {42, "application/octet-stream"},
    {47, "application/exi"},
    {50, "application/json"},
    {51, "application/json-patch+json"},
    {52, "application/merge-patch+json"},
    {60, "application/cbor"},
    {61, "application/cwt"},
    {62, "application/multipart-core"},
    {63, "application/cbor-seq"},
    {64, "application/edhoc+cbor-seq"},
    {65, "application/cid-edhoc+cbor-seq"},
    {96, "application/cose;cose-type=\"cose-encrypt\""},
    {97, "application/cose;cose-type=\"cose-mac\""},
    {98, "application/cose;cose-type=\"cose-sign\""},
    {101, "application/cose-key"},
    {102, "application/cose-key-set"},
    {110, "application/senml+json"},
    {111, "application/sensml+json"},
    {112, "application/senml+cbor"},
    {113, "application/sensml+cbor"},
    {114, "application/senml-exi"},
    {115, "application/sensml-exi"},
    {140, "application/yang-data+cbor;id=sid"},
    {256, "application/coap-group+json"},
    {257, "application/concise-problem-details+cbor"},
    {258, "application/swid+cbor"},
    {271, "application/dots+cbor"},
    {272, "application/missing-blocks+cbor-seq"},
    {280, "application/pkcs7-mime;smime-type=server-generated-key"},
    {281, "application/pkcs7-mime;smime-type=certs-only"},
    {284, "application/pkcs8"},
    {285, "application/csrattrs"},
    {286, "application/pkcs10"},
    {287, "application/pkix-cert"},
    {290, "application/aif+cbor"},
    {291, "application/aif+json"},
    {310, "application/senml+xml"},
    {311, "application/sensml+xml"},
    {320, "application/senml-etch+json"},
    {322, "application/senml-etch+cbor"},
    {340, "application/yang-data+cbor"},
    {432, "application/td+json"},
    {10000, "application/vnd.ocf+cbor"},
    {10001, "application/oscore"},
    {10002, "application/javascript"},
    {20000, "text/css"},
    {30000, "image/svg+xml"},
};

static const struct media *find_format(int format)
{
    for (size_t i = 0; i < array_size(table); i++)
        if (table[i].format == format)
            return &table[i];
    return NULL;
}

char *media_from_format(int format, char out[MEDIA_SIZE], const char **coding)
{
    bool deflated = format == DEFLATE_FROM + 50 || format == DEFLATE_FROM + 60;
    const struct media *media = find_format(format == MEDIA_NONE ? 42 : deflated ? format - DEFLATE_FROM : format);

    *coding = deflated ? "deflate" : NULL;
    if (media)
        (void)text_copy(out, MEDIA_SIZE, media->type);
    else
        (void)snprintf(out, MEDIA_SIZE, PAYLOAD ";cf=%d", format);
    return out;
}

/* The next parameter of a media type, which ends at a comma too: name and value without quotes. False at the end. */
static bool next_parameter(const char **at, const char **name, size_t *name_size, const char **value,
                           size_t *value_size)
{
    const char *p = *at + strspn(*at, BLANKS);

    if (*p != ';')
        return false;
    p += 1 + strspn(p + 1, BLANKS);
    *name = p;
    *name_size = strcspn(p, "=;," BLANKS);
    p += *name_size;
    *value = p;
    *value_size = 0;
    if (*p == '=' && p[1] == '"') {
        *value = p + 2;
        *value_size = strcspn(*value, "\"");
        p = *value + *value_size + ((*value)[*value_size] == '"');
    } else if (*p == '=') {
        *value = p + 1;
        *value_size = strcspn(*value, ";," BLANKS);
        p = *value + *value_size;
    }
    *at = p;
    return true;
}

static bool is_text(const char *text, size_t size, const char *expected)
{
    return strlen(expected) == size && strncasecmp(text, expected, size) == 0;
}

/* What a media range or type says: its name, the one parameter that counts, and its weight in thousandths. */
struct range {
    const char *type;
    size_t type_size;
    const char *name, *value; /* NULL: no parameter */
    size_t name_size, value_size;
    unsigned weight;
    bool strange; /* has parameters that no format has */
};

/* "0.8" as 800; what is malformed counts as 1. */
static unsigned read_weight(const char *text, size_t size)
{
    unsigned weight = 0, unit = 100;

    if (size == 0 || text[0] != '0')
        return 1000;
    for (size_t i = 2; i < size && unit; i++, unit /= 10)
        if (text[i] >= '0' && text[i] <= '9')
            weight += unit * (unsigned)(text[i] - '0');
    return weight;
}

/* Reads a type with its parameters; *at is behind them then. */
static struct range read_range(const char **at)
{
    struct range range = {.type = *at + strspn(*at, BLANKS), .weight = 1000};
    const char *name, *value;
    size_t name_size, value_size;

    range.type_size = strcspn(range.type, ";," BLANKS);
    *at = range.type + range.type_size;
    while (next_parameter(at, &name, &name_size, &value, &value_size)) {
        if (name_size == 0)
            continue;
        if (is_text(name, name_size, "q")) {
            range.weight = read_weight(value, value_size);
        } else if (is_text(name, name_size, "charset") &&
                   (is_text(value, value_size, "utf-8") || is_text(value, value_size, "us-ascii"))) {
            continue; /* all text in CoAP is UTF-8, and ASCII is */
        } else {
            range.strange = range.name;
            range.name = name;
            range.name_size = name_size;
            range.value = value;
            range.value_size = value_size;
        }
    }
    return range;
}

static bool is_media(const struct range *range, const struct media *media)
{
    const char *at = media->type;
    struct range known = read_range(&at);

    if (known.type_size != range->type_size || strncasecmp(known.type, range->type, known.type_size) != 0)
        return false;
    if (!known.name || !range->name)
        return !known.name && !range->name;
    return known.name_size == range->name_size && strncasecmp(known.name, range->name, known.name_size) == 0 &&
           known.value_size == range->value_size && strncasecmp(known.value, range->value, known.value_size) == 0;
}

/* cf=N of application/coap-payload. */
static int payload_format(const struct range *range)
{
    char digits[8];
    int64_t format;

    if (!range->name || !is_text(range->name, range->name_size, "cf") || range->value_size >= sizeof digits)
        return MEDIA_NONE;
    memcpy(digits, range->value, range->value_size);
    digits[range->value_size] = 0;
    return text_parse_int(digits, 0, 65535, &format) ? (int)format : MEDIA_NONE;
}

static int range_format(const struct range *range)
{
    if (range->strange)
        return MEDIA_NONE;
    if (is_text(range->type, range->type_size, PAYLOAD))
        return payload_format(range);
    for (size_t i = 0; i < array_size(table); i++)
        if (is_media(range, &table[i]))
            return table[i].format;
    return MEDIA_NONE;
}

int media_to_format(const char *type, const char *coding)
{
    struct range range = read_range(&type);
    int format = range_format(&range);

    if (*(type + strspn(type, BLANKS)))
        return MEDIA_NONE; /* something behind the type that is no parameter */
    if (!coding || strcasecmp(coding, "identity") == 0)
        return format;
    if (strcasecmp(coding, "deflate") == 0 && (format == 50 || format == 60))
        return DEFLATE_FROM + format;
    return MEDIA_NONE;
}

int media_read_body(const struct http_request *req, int *format, struct fault *fault)
{
    const char *type = http_header(req, "Content-Type"), *coding = http_header(req, "Content-Encoding");

    *format = MEDIA_NONE;
    if (!type && !coding)
        return 0;
    *format = media_to_format(type ? type : "", coding);
    if (*format != MEDIA_NONE)
        return 0;
    return fault_set(fault, FAULT_UNSUPPORTED_MEDIA_TYPE,
                     "\"%.80s\"%s%.20s has no CoAP Content-Format; a number can be named as " PAYLOAD ";cf=N",
                     type ? type : "", coding ? " with Content-Encoding " : "", coding ? coding : "");
}

int media_read_accept(const char *accept)
{
    unsigned best = 0;
    int found = MEDIA_NONE;

    while (accept && *accept) {
        struct range range = read_range(&accept);
        int format = range_format(&range);

        if (is_text(range.type, range.type_size, "*/*") && range.weight > 0)
            return MEDIA_NONE;
        if (format != MEDIA_NONE && range.weight > best) {
            best = range.weight;
            found = format;
        }
        accept += strcspn(accept, ",");
        accept += *accept == ',';
    }
    return found;
}

void media_reply(struct http_request *req, int status, int format, void *body, size_t size)
{
    char type[MEDIA_SIZE];
    const char *coding;

    (void)media_from_format(format, type, &coding);
    if (coding)
        http_add(req, "Content-Encoding", coding);
    http_add(req, "Content-Security-Policy", "sandbox");
    reply_owned(req, status, http_copy(req, type), body, size);
}
