#include "core/link.h"

#include "core/bodycheck.h"
#include "core/document.h"
#include "core/internal.h"
#include "core/transfer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define PATTERNS_MAX 16 /* prefixes, and zones, of a link */
#define ZONE_MAX 15     /* IFNAMSIZ - 1 */
#define ADDRESS_BITS 128
#define MAPPED_BITS 96 /* before an IPv4 address in an IPv6 one (RFC 4291 section 2.5.5.2) */

struct prefix {
    uint8_t bytes[ADDRESS_BITS / 8];
    unsigned bits;
};

/* What a document says. */
struct rule {
    struct prefix prefixes[PATTERNS_MAX];
    char zones[PATTERNS_MAX][ZONE_MAX + 1];
    size_t prefix_count, zone_count;
    int64_t parallel, rate, block; /* -1: as in the configuration */
};

/* Where a device is. */
struct place {
    uint8_t bytes[ADDRESS_BITS / 8];
    bool known;
    char zone[ZONE_MAX + 1];
};

/* As IPv6; false when the text is no address. */
static bool read_address(const char *text, uint8_t out[16], bool *is_v4)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    *is_v4 = inet_pton(AF_INET, text, out + sizeof mapped) == 1;
    if (!*is_v4)
        return inet_pton(AF_INET6, text, out) == 1;
    memcpy(out, mapped, sizeof mapped);
    return true;
}

/* The host of a canonical address: "coap://[fe80::1%25eth0]:5683", "coap://192.0.2.1:5683". */
static struct place read_place(const char *address)
{
    const char *at = strstr(address, "://");
    char host[CORE_ADDRESS_MAX + 1];
    struct place place = {.known = false};
    size_t n, zone;
    bool is_v4;

    if (!at)
        return place;
    at += strlen("://");
    at += *at == '[';
    n = strcspn(at, at[-1] == '[' ? "]" : ":");
    memcpy(host, at, n);
    host[n] = 0;
    zone = strcspn(host, "%");
    if (host[zone]) {
        (void)text_copy(place.zone, sizeof place.zone, host + zone + (strncmp(host + zone, "%25", 3) == 0 ? 3 : 1));
        host[zone] = 0;
    }
    place.known = read_address(host, place.bytes, &is_v4);
    return place;
}

static bool is_in(const struct place *place, const struct prefix *prefix)
{
    unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;

    return place->known && memcmp(place->bytes, prefix->bytes, whole) == 0 &&
           (!rest || (place->bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest) == 0);
}

static bool is_of(const struct place *place, const struct rule *rule)
{
    for (size_t i = 0; i < rule->prefix_count; i++)
        if (is_in(place, &rule->prefixes[i]))
            return true;
    for (size_t i = 0; i < rule->zone_count; i++)
        if (strcmp(place->zone, rule->zones[i]) == 0)
            return true;
    return false;
}

static struct agent_link make(const struct core *core, const char *name, const struct rule *rule)
{
    const struct core_options *options = &core->options;
    struct agent_link link = {.parallel = options->transfer.parallel,
                              .rate = options->transfer.rate,
                              .block = options->transfer.block ? options->transfer.block : 1024};

    (void)text_copy(link.name, sizeof link.name, name);
    if (rule && rule->parallel >= 0)
        link.parallel = (uint32_t)rule->parallel;
    if (rule && rule->rate >= 0)
        link.rate = (uint32_t)rule->rate;
    if (rule && rule->block >= 0)
        link.block = (uint32_t)rule->block;
    return link;
}

static struct agent_link find(const struct core *core, const char *name)
{
    const struct document *document = document_find(core, DOCUMENT_LINK, name);

    return make(core, name, document ? document->object : NULL);
}

struct agent_link core_link_of(const struct device *device)
{
    struct place place = read_place(device->address);

    for (const struct document *d = document_first(device->core, DOCUMENT_LINK); d; d = d->hh.next)
        if (is_of(&place, d->object))
            return make(device->core, d->key, d->object);
    return find(device->core, *place.zone ? place.zone : "default");
}

bool link_any_rate(struct core *core)
{
    for (const struct document *d = document_first(core, DOCUMENT_LINK); d; d = d->hh.next)
        if (((const struct rule *)d->object)->rate > 0)
            return true;
    return core->options.transfer.rate > 0;
}

/* Documents -------------------------------------------------------------------------------------------------------- */

static int parse_prefix(struct prefix *prefix, const char *text)
{
    char address[64], *end;
    size_t n = strcspn(text, "/");
    long bits = 0;
    bool is_v4;

    if (n >= sizeof address)
        return 1;
    memcpy(address, text, n);
    address[n] = 0;
    if (!read_address(address, prefix->bytes, &is_v4))
        return 1;
    if (text[n]) {
        if (text[n + 1] < '0' || text[n + 1] > '9')
            return 1;
        bits = strtol(text + n + 1, &end, 10);
        if (*end || bits > (is_v4 ? ADDRESS_BITS - MAPPED_BITS : ADDRESS_BITS))
            return 1;
        bits += is_v4 ? MAPPED_BITS : 0;
    } else {
        bits = ADDRESS_BITS;
    }
    prefix->bits = (unsigned)bits;
    return 0;
}

static int parse_texts(struct rule *rule, const json_t *body, struct fault *fault)
{
    static const struct body_rule prefix = {.type = BODY_TEXT, .min = 2, .max = 63};
    static const struct body_rule zone = {.type = BODY_TEXT, .min = 1, .max = ZONE_MAX};
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(body, "prefixes"), i, item)
    {
        if (body_check_value(item, "/prefixes", &prefix, fault))
            return 1;
        if (parse_prefix(&rule->prefixes[rule->prefix_count++], json_string_value(item)))
            return fault_set_at(fault, FAULT_INVALID_FIELD, "/prefixes",
                                "'%s' is no address prefix, as in 2001:db8:15::/64 or 192.0.2.0/24.",
                                json_string_value(item));
    }
    json_array_foreach(json_object_get(body, "zones"), i, item)
    {
        if (body_check_value(item, "/zones", &zone, fault))
            return 1;
        (void)text_copy(rule->zones[rule->zone_count++], sizeof rule->zones[0], json_string_value(item));
    }
    return 0;
}

int link_parse(struct core *core, const char *key, json_t *body, void **object, struct fault *fault)
{
    static const struct body_rule rules[] = {
        {"prefixes", BODY_ARRAY, false, false, 0, PATTERNS_MAX, NULL},
        {"zones", BODY_ARRAY, false, false, 0, PATTERNS_MAX, NULL},
        {"parallel", BODY_NUMBER, false, true, 0, 100000, NULL},
        {"rate", BODY_NUMBER, false, true, 0, INT32_MAX, NULL},
        {"block", BODY_NUMBER, false, true, 16, 1024, NULL},
    };
    struct rule *rule;

    (void)core;
    (void)key;
    if (body_check(body, "", rules, array_size(rules), fault))
        return 1;
    rule = calloc(1, sizeof *rule);
    if (!rule)
        return -ENOMEM;
    rule->parallel = body_number(body, "parallel", -1);
    rule->rate = body_number(body, "rate", -1);
    rule->block = body_number(body, "block", -1);
    if (parse_texts(rule, body, fault)) {
        free(rule);
        return 1;
    }
    *object = rule;
    return 0;
}

int core_put_link(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                  struct fault *fault)
{
    return document_put(core, DOCUMENT_LINK, name, body, done, arg, fault);
}

int core_remove_link(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault)
{
    return document_remove(core, DOCUMENT_LINK, name, done, arg, fault);
}

/* Shown ------------------------------------------------------------------------------------------------------------ */

static json_t *texts_of(const struct document *document, const char *name)
{
    json_t *texts = document ? json_object_get(document->body, name) : NULL;

    return texts ? json_incref(texts) : json_array();
}

static json_t *link_json(const struct core *core, const char *name, const struct document *document)
{
    struct agent_link link = find(core, name);
    size_t running, waiting;

    transfers_count(core, name, &running, &waiting);
    return json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "name", name, "prefixes",
                     texts_of(document, "prefixes"), "zones", texts_of(document, "zones"), "parallel",
                     (json_int_t)link.parallel, "rate", (json_int_t)link.rate, "block", (json_int_t)link.block,
                     "running", (json_int_t)running, "waiting", (json_int_t)waiting);
}

json_t *core_link_json(struct core *core, const char *name)
{
    const struct document *document = document_find(core, DOCUMENT_LINK, name);
    size_t running, waiting;

    transfers_count(core, name, &running, &waiting);
    if (!document && !running && !waiting && strcmp(name, "default") != 0)
        return NULL;
    return link_json(core, name, document);
}

json_t *core_link_list_json(struct core *core)
{
    json_t *array = json_array();

    if (!document_find(core, DOCUMENT_LINK, "default"))
        (void)json_array_append_new(array, link_json(core, "default", NULL));
    for (const struct document *d = document_first(core, DOCUMENT_LINK); d; d = d->hh.next)
        (void)json_array_append_new(array, link_json(core, d->key, d));
    return array;
}
