#include "core/directory_private.h"

#include "core/presence.h"

#include <string.h>

/* The parameters of registrations (RFC 9176 sections 5 and 5.3.1). All of it comes from anybody. */

/* What may stand between quotes in link format without an escape. */
static bool is_plain_text(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f || text[i] == '"' || text[i] == '\\')
            return false;
    return text_is_utf8(text, size);
}

/* Percent-decodes. False when it does not fit, or is no text. */
static bool decode(char *out, size_t room, const char *text, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        int c = text[i] == '%' ? text_unescape(text + i, size - i) : (unsigned char)text[i];

        if (n + 1 >= room || c < 0)
            return false;
        i += text[i] == '%' ? 2 : 0;
        out[n++] = (char)c;
    }
    out[n] = 0;
    return is_plain_text(out, n);
}

bool query_next(const char **query, struct query_piece *out)
{
    const char *at = *query, *equals;

    while (*at == '&')
        at++;
    *out = (struct query_piece){.name = at, .raw = at, .raw_size = strcspn(at, "&")};
    *query = at + out->raw_size;
    if (!out->raw_size)
        return false;
    equals = memchr(at, '=', out->raw_size);
    out->has_value = equals != NULL;
    out->name_size = equals ? (size_t)(equals - at) : out->raw_size;
    if (equals)
        out->bad = !decode(out->value, sizeof out->value, equals + 1, out->raw_size - out->name_size - 1);
    return true;
}

bool query_piece_is(const struct query_piece *piece, const char *name)
{
    return piece->name_size == strlen(name) && memcmp(piece->name, name, piece->name_size) == 0;
}

/* Registrations ---------------------------------------------------------------------------------------------------- */

static int refuse(struct fault *fault, const char *name, const char *why)
{
    return fault_set(fault, FAULT_INVALID_PARAMETER, "The parameter %.20s %s.", name, why);
}

/* Takes a text parameter that may be there once. */
static int take_text(const struct query_piece *piece, const char *name, char *out, size_t room, bool *has,
                     struct fault *fault)
{
    if (*has)
        return refuse(fault, name, "is there twice");
    *has = true;
    if (piece->bad || !piece->has_value || !*piece->value)
        return refuse(fault, name, "is empty, or no text");
    if (!text_copy(out, room, piece->value))
        return refuse(fault, name, "is too long");
    return 0;
}

/* An absolute URI of a scheme and an authority, and nothing that would end a link's target. */
static bool is_base(const char *text)
{
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.");

    return scheme && strncmp(text + scheme, "://", 3) == 0 && text[scheme + 3] &&
           text[scheme + 3 + strcspn(text + scheme + 3, "/?#<> ")] == 0;
}

static int take_base(struct registration_query *q, const struct query_piece *piece, struct fault *fault)
{
    if (take_text(piece, "base", q->base, sizeof q->base, &q->has_base, fault))
        return 1;
    return is_base(q->base) ? 0 : refuse(fault, "base", "is no URI of a scheme and an authority");
}

static int take_lifetime(struct registration_query *q, const struct query_piece *piece, struct fault *fault)
{
    char text[16];
    int64_t seconds;

    if (take_text(piece, "lt", text, sizeof text, &q->has_lifetime, fault))
        return 1;
    if (!text_parse_int(text, 1, UINT32_MAX, &seconds))
        return refuse(fault, "lt", "is not a number of seconds from 1 to 4294967295");
    q->lifetime = (uint32_t)seconds;
    return 0;
}

static bool is_attribute_name(const struct query_piece *piece)
{
    for (size_t i = 0; i < piece->name_size; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._", piece->name[i]))
            return false;
    return piece->name_size > 0 && piece->name_size < 32;
}

static int take_attribute(struct registration_query *q, const struct query_piece *piece, struct fault *fault)
{
    static const char *const reserved[] = {"page", "count", "href", "rt", "anchor", "rel"};
    size_t size = strlen(q->attributes);

    for (size_t i = 0; i < array_size(reserved); i++)
        if (query_piece_is(piece, reserved[i]))
            return refuse(fault, reserved[i], "has no place in a registration");
    if (!is_attribute_name(piece) || piece->bad)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "A parameter has a name or a value that it may not have.");
    if (size + piece->raw_size + 2 > sizeof q->attributes)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The further parameters take more than %d bytes.",
                         DIRECTORY_ATTRIBUTES_MAX);
    if (size)
        q->attributes[size++] = '&';
    memcpy(q->attributes + size, piece->raw, piece->raw_size);
    q->attributes[size + piece->raw_size] = 0;
    return 0;
}

static int take_piece(struct registration_query *q, const struct query_piece *piece, struct fault *fault)
{
    if (query_piece_is(piece, "ep"))
        return take_text(piece, "ep", q->ep, sizeof q->ep, &q->has_ep, fault);
    if (query_piece_is(piece, "d"))
        return take_text(piece, "d", q->sector, sizeof q->sector, &q->has_sector, fault);
    if (query_piece_is(piece, "base"))
        return take_base(q, piece, fault);
    if (query_piece_is(piece, "lt"))
        return take_lifetime(q, piece, fault);
    return take_attribute(q, piece, fault);
}

int registration_query_read(struct registration_query *out, const char *query, struct fault *fault)
{
    struct query_piece piece;

    *out = (struct registration_query){.lifetime = DIRECTORY_LT_DEFAULT};
    while (query_next(&query, &piece))
        if (take_piece(out, &piece, fault))
            return 1;
    return 0;
}

/* Attributes ------------------------------------------------------------------------------------------------------- */

static bool has_name_of(const char *attributes, const struct query_piece *wanted)
{
    struct query_piece piece;

    while (query_next(&attributes, &piece))
        if (piece.name_size == wanted->name_size && memcmp(piece.name, wanted->name, piece.name_size) == 0)
            return true;
    return false;
}

static bool append(char *out, const char *text, size_t size)
{
    size_t at = strlen(out);

    if (at + size + 2 > DIRECTORY_ATTRIBUTES_MAX + 1)
        return false;
    if (at)
        out[at++] = '&';
    memcpy(out + at, text, size);
    out[at + size] = 0;
    return true;
}

bool attributes_merge(char out[DIRECTORY_ATTRIBUTES_MAX + 1], const char *old, const char *new)
{
    struct query_piece piece;

    *out = 0;
    while (query_next(&old, &piece))
        if (!has_name_of(new, &piece) && !append(out, piece.raw, piece.raw_size))
            return false;
    return !*new || append(out, new, strlen(new));
}

uint32_t attributes_get(const char *attributes, const char *name, uint32_t max)
{
    struct query_piece piece;
    int64_t number = 0;

    while (query_next(&attributes, &piece))
        if (query_piece_is(&piece, name))
            return text_parse_int(piece.value, 1, max, &number) ? (uint32_t)number : 0;
    return 0;
}

/* Links ------------------------------------------------------------------------------------------------------------ */

/* A reference that can be resolved without a path to start from: absolute, or with an absolute path. */
static bool is_resolvable(const struct linkformat_link *link)
{
    size_t scheme = 0;

    if (link->target_size && link->target[0] == '/')
        return link->target_size == 1 || link->target[1] != '/';
    while (scheme < link->target_size && link->target[scheme] &&
           strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.", link->target[scheme]))
        scheme++;
    return scheme > 0 && scheme < link->target_size && link->target[scheme] == ':';
}

int directory_check_links(const char *links, size_t size, struct fault *fault)
{
    struct linkformat lf = linkformat_init(links, size);
    struct linkformat_link link;
    int r;

    if (size > DIRECTORY_LINKS_MAX)
        return fault_set(fault, FAULT_BODY_TOO_LARGE, "The links of an endpoint may take %d bytes.",
                         DIRECTORY_LINKS_MAX);
    if (size && !text_is_utf8(links, size))
        return fault_set(fault, FAULT_INVALID_FIELD, "The links are no text in UTF-8.");
    while ((r = linkformat_next(&lf, &link)) == 0)
        if (!is_resolvable(&link))
            return fault_set(fault, FAULT_INVALID_FIELD, "A link's target is neither a URI nor an absolute path.");
    return r == 1 ? 0 : fault_set(fault, FAULT_INVALID_FIELD, "The links are not in link format (RFC 6690).");
}
