#include "oscore/sort.h"

#include "base/text.h"

#include <string.h>

#define OPT_HOP_LIMIT 16 /* RFC 8768 */
#define OBSERVE_MAX 3    /* bytes of an Observe (RFC 7641 section 2) */
#define SEGMENT_MAX 255  /* bytes of a Uri-Path or Uri-Query (RFC 7252 section 5.10) */

enum option_class { CLASS_E, CLASS_U, CLASS_OBSERVE, CLASS_PROXY_URI, CLASS_OSCORE };

/* What is not known is protected (section 4.1). Those that figure 5 has in both classes are protected too: what a proxy
 * might want to know of them (outer Max-Age, outer Block, No-Response) is never needed; Observe is. */
static enum option_class class_of(uint16_t number)
{
    switch (number) {
    case COAPMSG_OPT_URI_HOST:
    case COAPMSG_OPT_URI_PORT:
    case COAPMSG_OPT_PROXY_SCHEME:
    case OPT_HOP_LIMIT:
        return CLASS_U;
    case COAPMSG_OPT_OBSERVE:
        return CLASS_OBSERVE;
    case COAPMSG_OPT_PROXY_URI:
        return CLASS_PROXY_URI;
    case COAPMSG_OPT_OSCORE:
        return CLASS_OSCORE;
    default:
        return CLASS_E;
    }
}

uint8_t *space_take(struct space *space, size_t n)
{
    uint8_t *taken = space->at;

    if (n > space->left)
        return NULL;
    space->at += n;
    space->left -= n;
    return taken;
}

static void add_copy(struct coapmsg *msg, struct space *space, uint16_t number, const void *value, size_t size)
{
    uint8_t *copy = space_take(space, size);

    if (!copy) {
        msg->failed = true;
        return;
    }
    if (size)
        memcpy(copy, value, size);
    coapmsg_add(msg, number, copy, size);
}

/* Observe is read by proxies and by the other end; a notification says its number with its Partial IV (section
 * 4.1.3.5). */
static int sort_observe(const struct coapmsg_option *option, bool request, struct coapmsg *inner, struct coapmsg *outer,
                        struct space *space)
{
    if (option->length > OBSERVE_MAX || coapmsg_find(outer, COAPMSG_OPT_OBSERVE))
        return OSCORE_E_OPTION;
    coapmsg_add(inner, option->number, option->value, request ? option->length : 0);
    add_copy(outer, space, option->number, option->value, option->length);
    return 0;
}

/* A part of a URI, percent-decoded into `decoded`. False when it is malformed or too long. */
static bool add_decoded(struct coapmsg *inner, uint16_t number, const char *part, size_t size, struct space *decoded)
{
    uint8_t *to = space_take(decoded, size);
    size_t length = 0;

    if (!to)
        return false;
    for (size_t i = 0; i < size; i++, length++) {
        to[length] = (uint8_t)part[i];
        if (part[i] != '%')
            continue;
        if (size - i < 3 || !text_unhex((const char[]){part[i + 1], part[i + 2], 0}, &to[length], 1))
            return false;
        i += 2;
    }
    coapmsg_add(inner, number, to, length);
    return length <= SEGMENT_MAX;
}

/* Adds an option for each part between separators. */
static bool add_parts(struct coapmsg *inner, uint16_t number, const char *parts, const char *end, char separator,
                      struct space *decoded)
{
    for (const char *next; parts; parts = next ? next + 1 : NULL) {
        next = memchr(parts, separator, (size_t)(end - parts));
        if (!add_decoded(inner, number, parts, (size_t)((next ? next : end) - parts), decoded))
            return false;
    }
    return true;
}

/* Path and query of a URI are protected; scheme and authority stay in the outer Proxy-Uri (section 4.1.3.3). */
static int split_proxy_uri(const struct coapmsg_option *option, struct coapmsg *inner, struct coapmsg *outer,
                           struct space *space, struct space *decoded)
{
    const char *uri = (const char *)option->value, *end = uri + option->length;
    const char *authority = option->length ? memchr(uri, ':', option->length) : NULL, *path, *query;

    if (!authority || authority == uri || end - authority < 3 || memcmp(authority, "://", 3) != 0 ||
        memchr(uri, '#', option->length))
        return OSCORE_E_OPTION;
    authority += 3;
    query = memchr(authority, '?', (size_t)(end - authority));
    path = memchr(authority, '/', (size_t)((query ? query : end) - authority));
    if (path && path + 1 < (query ? query : end) &&
        !add_parts(inner, COAPMSG_OPT_URI_PATH, path + 1, query ? query : end, '/', decoded))
        return OSCORE_E_OPTION;
    if (query && !add_parts(inner, COAPMSG_OPT_URI_QUERY, query + 1, end, '&', decoded))
        return OSCORE_E_OPTION;
    add_copy(outer, space, option->number, uri, (size_t)((path ? path : query ? query : end) - uri));
    return 0;
}

/* A URI stands either in one Proxy-Uri or in the others (RFC 7252 section 5.10.2). */
static bool has_other_uri(const struct coapmsg *msg, const struct coapmsg_option *proxy_uri)
{
    return coapmsg_find_next(msg, proxy_uri) || coapmsg_find(msg, COAPMSG_OPT_URI_HOST) ||
           coapmsg_find(msg, COAPMSG_OPT_URI_PORT) || coapmsg_find(msg, COAPMSG_OPT_URI_PATH) ||
           coapmsg_find(msg, COAPMSG_OPT_URI_QUERY);
}

int sort_outgoing(const struct coapmsg *from, struct coapmsg *inner, struct coapmsg *outer, struct space *space,
                  struct space *decoded)
{
    bool request = COAPMSG_CLASS(from->code) == 0;

    for (size_t i = 0; i < from->option_count; i++) {
        const struct coapmsg_option *option = &from->options[i];

        switch (class_of(option->number)) {
        case CLASS_E:
            coapmsg_add(inner, option->number, option->value, option->length);
            break;
        case CLASS_U:
            add_copy(outer, space, option->number, option->value, option->length);
            break;
        case CLASS_OBSERVE:
            if (sort_observe(option, request, inner, outer, space))
                return OSCORE_E_OPTION;
            break;
        case CLASS_PROXY_URI:
            if (has_other_uri(from, option) || split_proxy_uri(option, inner, outer, space, decoded))
                return OSCORE_E_OPTION;
            break;
        case CLASS_OSCORE:
            return OSCORE_E_OPTION;
        }
    }
    return inner->failed || outer->failed ? OSCORE_E_LIMIT : 0;
}

int sort_incoming(const struct coapmsg *outer, struct coapmsg *to, struct space *space)
{
    for (size_t i = 0; i < outer->option_count; i++) {
        const struct coapmsg_option *option = &outer->options[i];
        enum option_class class = class_of(option->number);

        if ((class == CLASS_U || class == CLASS_PROXY_URI) && !coapmsg_find(to, option->number))
            add_copy(to, space, option->number, option->value, option->length);
    }
    return to->failed ? OSCORE_E_LIMIT : 0;
}
