#include "core/directory_private.h"

#include <string.h>

/* Looking up (RFC 9176 section 6), and what REST shows of entries. */

#define CRITERIA_MAX 8
#define LOOKUP_MAX (128u << 10) /* bytes of an answer */

struct lookup {
    struct query_piece criteria[CRITERIA_MAX];
    size_t count;
    bool is_paged;
    int64_t skip, left; /* matches */
    struct buffer *out;
    struct buffer scratch;
};

const char *registration_base(const struct registration *registration)
{
    return *registration->base ? registration->base : registration->address;
}

/* Criteria --------------------------------------------------------------------------------------------------------- */

static int refuse(struct fault *fault, const char *why)
{
    return fault_set(fault, FAULT_INVALID_PARAMETER, "%s", why);
}

static bool read_number(const struct query_piece *piece, int64_t *out)
{
    return piece->has_value && !piece->bad && text_parse_int(piece->value, 0, INT32_MAX, out);
}

static int read_lookup(struct lookup *lookup, const char *query, struct fault *fault)
{
    struct query_piece piece;
    int64_t page = -1, count = -1;

    while (query_next(&query, &piece)) {
        bool is_page = query_piece_is(&piece, "page"), is_count = query_piece_is(&piece, "count");

        if ((is_page && !read_number(&piece, &page)) || (is_count && !read_number(&piece, &count)))
            return refuse(fault, "page and count are numbers.");
        if (is_page || is_count)
            continue;
        if (piece.bad || lookup->count == CRITERIA_MAX)
            return refuse(fault, "There are too many criteria, or one is no text.");
        lookup->criteria[lookup->count++] = piece;
    }
    if (page >= 0 && count < 0)
        return refuse(fault, "page needs count.");
    lookup->is_paged = count >= 0;
    lookup->left = lookup->is_paged ? count : INT64_MAX;
    lookup->skip = page > 0 ? page * count : 0;
    return 0;
}

static struct linkformat_value value_of(const char *text)
{
    return (struct linkformat_value){text, strlen(text)};
}

static bool text_matches(const char *text, const struct query_piece *wanted)
{
    struct linkformat_value value = value_of(text), pattern = value_of(wanted->value);

    return !wanted->has_value || linkformat_value_is(&value, &pattern);
}

static bool number_matches(const char *format, uint64_t number, const struct query_piece *wanted)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%s%llu", format, (unsigned long long)number);
    return text_matches(text, wanted);
}

static bool attributes_match(const char *attributes, const struct query_piece *wanted)
{
    struct query_piece piece;

    while (query_next(&attributes, &piece))
        if (piece.name_size == wanted->name_size && memcmp(piece.name, wanted->name, piece.name_size) == 0)
            return text_matches(piece.value, wanted);
    return false;
}

static bool endpoint_matches(const struct registration *r, const struct query_piece *wanted)
{
    if (query_piece_is(wanted, "ep"))
        return text_matches(r->ep, wanted);
    if (query_piece_is(wanted, "d"))
        return *r->sector && text_matches(r->sector, wanted);
    if (query_piece_is(wanted, "base"))
        return text_matches(registration_base(r), wanted);
    if (query_piece_is(wanted, "lt"))
        return number_matches("", r->lifetime, wanted);
    if (query_piece_is(wanted, "rt"))
        return text_matches("core.rd-ep", wanted);
    if (query_piece_is(wanted, "href"))
        return number_matches("/rd/", r->number, wanted);
    return attributes_match(r->attributes, wanted);
}

/* Writes a reference of the endpoint's as a URI. */
static void put_resolved(struct buffer *out, const struct registration *r, const char *text, size_t size)
{
    if (size && *text == '/')
        buffer_append_text(out, registration_base(r));
    buffer_append(out, text, size);
}

static bool href_matches(struct lookup *lookup, const struct registration *r, const struct linkformat_link *link,
                         const struct query_piece *wanted)
{
    struct linkformat_value target = {link->target, link->target_size}, pattern = value_of(wanted->value), resolved;

    if (linkformat_value_is(&target, &pattern))
        return true;
    lookup->scratch.size = 0;
    put_resolved(&lookup->scratch, r, link->target, link->target_size);
    resolved = (struct linkformat_value){(const char *)lookup->scratch.data, lookup->scratch.size};
    return !lookup->scratch.failed && linkformat_value_is(&resolved, &pattern);
}

static bool link_matches(struct lookup *lookup, const struct registration *r, const struct linkformat_link *link,
                         const struct query_piece *wanted)
{
    struct linkformat_value pattern = value_of(wanted->value);

    if (query_piece_is(wanted, "href"))
        return href_matches(lookup, r, link, wanted);
    return linkformat_matches(link, wanted->name, wanted->name_size, wanted->has_value ? &pattern : NULL);
}

static bool any_link_matches(struct lookup *lookup, const struct registration *r, const struct query_piece *wanted)
{
    struct linkformat lf = linkformat_init(r->links, strlen(r->links));
    struct linkformat_link link;

    while (linkformat_next(&lf, &link) == 0)
        if (link_matches(lookup, r, &link, wanted))
            return true;
    return false;
}

/* Answers ---------------------------------------------------------------------------------------------------------- */

/* Whether this match is to be written: it is on the page. */
static bool take_match(struct lookup *lookup)
{
    if (lookup->skip > 0) {
        lookup->skip--;
        return false;
    }
    lookup->left--;
    return true;
}

static void put_attributes(struct buffer *out, const char *attributes)
{
    struct query_piece piece;

    while (query_next(&attributes, &piece)) {
        buffer_printf(out, ";%.*s", (int)piece.name_size, piece.name);
        if (piece.has_value)
            buffer_printf(out, "=\"%s\"", piece.value);
    }
}

static void put_endpoint(struct buffer *out, const struct registration *r)
{
    char target[32];

    (void)snprintf(target, sizeof target, "/rd/%llu", (unsigned long long)r->number);
    linkformat_put(out, target);
    linkformat_put_text(out, "ep", r->ep);
    if (*r->sector)
        linkformat_put_text(out, "d", r->sector);
    linkformat_put_text(out, "base", registration_base(r));
    linkformat_put_uint(out, "lt", r->lifetime);
    linkformat_put_text(out, "rt", "core.rd-ep");
    put_attributes(out, r->attributes);
}

static void look_up_endpoint(struct lookup *lookup, const struct registration *r)
{
    for (size_t i = 0; i < lookup->count; i++)
        if (!endpoint_matches(r, &lookup->criteria[i]) && !any_link_matches(lookup, r, &lookup->criteria[i]))
            return;
    if (take_match(lookup))
        put_endpoint(lookup->out, r);
}

static void put_link(struct buffer *out, const struct registration *r, const struct linkformat_link *link)
{
    struct linkformat_attribute attribute;
    const char *at = NULL;

    buffer_append_text(out, out->size ? ",<" : "<");
    put_resolved(out, r, link->target, link->target_size);
    buffer_append_u8(out, '>');
    while (linkformat_next_attribute(link, &at, &attribute)) {
        bool is_anchor = attribute.name_size == 6 && memcmp(attribute.name, "anchor", 6) == 0;

        buffer_printf(out, ";%.*s", (int)attribute.name_size, attribute.name);
        if (attribute.value.text == attribute.name + attribute.name_size)
            continue; /* a bare name */
        buffer_append_text(out, "=\"");
        if (is_anchor)
            put_resolved(out, r, attribute.value.text, attribute.value.size);
        else
            buffer_append(out, attribute.value.text, attribute.value.size);
        buffer_append_u8(out, '"');
    }
}

static void look_up_resources(struct lookup *lookup, const struct registration *r)
{
    struct linkformat lf = linkformat_init(r->links, strlen(r->links));
    struct linkformat_link link;
    unsigned by_endpoint = 0; /* bits of the criteria that the endpoint meets for all of its links */

    for (size_t i = 0; i < lookup->count; i++)
        by_endpoint |= (unsigned)endpoint_matches(r, &lookup->criteria[i]) << i;
    while (lookup->left > 0 && linkformat_next(&lf, &link) == 0) {
        size_t i = 0;

        while (i < lookup->count && (by_endpoint >> i & 1 || link_matches(lookup, r, &link, &lookup->criteria[i])))
            i++;
        if (i == lookup->count && take_match(lookup))
            put_link(lookup->out, r, &link);
    }
}

int core_look_up(const struct core *core, bool endpoints, const char *query, struct buffer *out, struct fault *fault)
{
    cleanup_buffer struct buffer answer = buffer_init(LOOKUP_MAX);
    struct lookup lookup = {.out = &answer, .scratch = buffer_init(DIRECTORY_LINKS_MAX + DIRECTORY_BASE_MAX + 1)};
    int r = read_lookup(&lookup, query, fault);

    for (const struct directory_entry *entry = core->directory->by_number;
         r == 0 && entry && lookup.left > 0 && !answer.failed; entry = entry->by_number.next) {
        if (entry->removing)
            continue;
        if (endpoints)
            look_up_endpoint(&lookup, &entry->r);
        else
            look_up_resources(&lookup, &entry->r);
    }
    buffer_clear(&lookup.scratch);
    if (r == 0 && answer.failed)
        r = refuse(fault, "There is more than one answer can hold: say page and count.");
    if (r == 0)
        buffer_append(out, answer.data, answer.size);
    return r;
}

/* JSON ------------------------------------------------------------------------------------------------------------- */

static json_t *json_piece(const char *text, size_t size)
{
    return json_stringn_nocheck(text, size);
}

static json_t *link_json(const struct linkformat_link *link)
{
    json_t *object = json_object();
    struct linkformat_attribute attribute;
    const char *at = NULL;

    while (linkformat_next_attribute(link, &at, &attribute)) {
        char name[32];

        (void)snprintf(name, sizeof name, "%.*s", (int)attribute.name_size, attribute.name);
        if (!json_object_get(object, name)) /* the first of a name counts */
            (void)json_object_set_new(object, name,
                                      attribute.value.text == attribute.name + attribute.name_size
                                          ? json_true()
                                          : json_piece(attribute.value.text, attribute.value.size));
    }
    return json_pack("{s:o, s:o}", "target", json_piece(link->target, link->target_size), "attributes", object);
}

json_t *core_links_json(const char *links)
{
    struct linkformat lf = linkformat_init(links, strlen(links));
    struct linkformat_link link;
    json_t *array = json_array();

    while (linkformat_next(&lf, &link) == 0)
        (void)json_array_append_new(array, link_json(&link));
    return array;
}

static json_t *attributes_json(const char *attributes)
{
    json_t *object = json_object();
    struct query_piece piece;

    while (query_next(&attributes, &piece)) {
        char name[32];

        (void)snprintf(name, sizeof name, "%.*s", (int)piece.name_size, piece.name);
        (void)json_object_set_new(object, name, piece.has_value ? json_string(piece.value) : json_true());
    }
    return object;
}

static json_t *json_text(const char *text)
{
    return *text ? json_string(text) : json_null();
}

json_t *core_registration_json(const struct core *core, const struct registration *r)
{
    char number[24];

    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)r->number);
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "number", number, "ep", r->ep,
                     "sector", json_text(r->sector), "base", json_text(r->base), "address", r->address, "device",
                     json_text(r->device), "lifetime_s", (json_int_t)r->lifetime, "registered_at",
                     json_time(r->registered), "updated_at", json_time(r->updated), "expires_at",
                     json_time(core_wall(core) + r->expires - core_now(core)), "attributes",
                     attributes_json(r->attributes), "links", core_links_json(r->links));
}
