#include "agent/suitdev_plan.h"
#include "base/text.h"
#include "codec/suit.h"

#include <stdio.h>
#include <string.h>

void suitdev_identify(struct suitdev_identity *identity, const char *vendor, const char *board)
{
    suit_vendor_id(vendor, identity->vendor);
    suit_class_id(identity->vendor, board, identity->class_id);
}

static int refuse(char *reason, size_t reason_size, const char *text)
{
    (void)snprintf(reason, reason_size, "%s", text);
    return 1;
}

/* The segments of an identifier with dots between; one that is no text in hexadecimal. */
static bool write_name(const struct suit_component *c, char name[SUITDEV_NAME_SIZE])
{
    size_t used = 0;

    for (size_t i = 0; i < c->id_count; i++) {
        const uint8_t *bytes = c->id[i].bytes;
        size_t size = c->id[i].size;
        char hex[2 * SUIT_SEGMENT_MAX + 1];
        bool is_text = text_is_utf8(bytes, size) && !memchr(bytes, 0, size);
        int n = snprintf(name + used, SUITDEV_NAME_SIZE - used, "%s%.*s", i ? "." : "", (int)(2 * size),
                         is_text ? "" : text_hex(bytes, size, hex));

        used += (size_t)n;
        if (is_text && used + size < SUITDEV_NAME_SIZE) {
            memcpy(name + used, bytes, size);
            name[used + size] = 0;
        }
        used += is_text ? size : 0;
        if (used >= SUITDEV_NAME_SIZE)
            return false;
    }
    return used > 0;
}

static bool is_for(const struct suitdev_identity *identity, const struct suit_component *c)
{
    return c->has_vendor && c->has_class && memcmp(c->vendor, identity->vendor, sizeof c->vendor) == 0 &&
           memcmp(c->class_id, identity->class_id, sizeof c->class_id) == 0;
}

static int read_step(struct suitdev_step *step, const struct suitdev_identity *identity, const struct suit_component *c,
                     char *reason, size_t reason_size)
{
    if (!write_name(c, step->name))
        return refuse(reason, reason_size, "the identifier of a component is empty or too long");
    if (!is_for(identity, c))
        return refuse(reason, reason_size, "the vendor or class id is missing, or another device's");
    if (!c->uri[0])
        return 0;
    if (!c->has_digest || !c->has_size || !text_copy(step->uri, sizeof step->uri, c->uri))
        return refuse(reason, reason_size, "size or digest of what it would fetch is missing, or its URI is too long");
    step->fetches = true;
    step->size = c->size;
    memcpy(step->digest, c->digest, sizeof step->digest);
    return 0;
}

static int check(const struct suit_manifest *m, const struct suitdev_identity *identity, char *reason,
                 size_t reason_size)
{
    if (m->dialect != SUIT_IETF)
        return refuse(reason, reason_size, "it is not of the current form");
    if (!m->authentication || !m->digest_matches)
        return refuse(reason, reason_size, "it is not signed, or its digest is another one");
    if (identity->key && suit_verify(m, identity->key, reason, reason_size))
        return 1;
    if (m->sequence <= identity->sequence)
        return refuse(reason, reason_size, "its sequence number is not above that of the last one");
    if (m->component_count < 1 || m->component_count > SUITDEV_COMPONENTS)
        return refuse(reason, reason_size, "it has no component, or too many");
    return 0;
}

int suitdev_read_ietf(struct suitdev_plan *plan, const struct suitdev_identity *identity, const uint8_t *data,
                      size_t size, char *reason, size_t reason_size)
{
    struct suit_manifest m;
    size_t fetches = 0;

    *plan = (struct suitdev_plan){.count = 0};
    if (suit_parse(&m, data, size, reason, reason_size) || check(&m, identity, reason, reason_size))
        return 1;
    for (size_t i = 0; i < m.component_count; i++) {
        if (read_step(&plan->steps[i], identity, &m.components[i], reason, reason_size))
            return 1;
        fetches += plan->steps[i].fetches;
    }
    plan->sequence = m.sequence;
    plan->count = m.component_count;
    return fetches ? 0 : refuse(reason, reason_size, "it fetches nothing");
}
