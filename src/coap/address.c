#include "coap/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define POINTER "/address"

/* RFC 7252 section 6, RFC 8323 section 8. */
static const struct {
    const char *prefix;
    uint16_t port;
} schemes[PEER_TRANSPORT_COUNT] = {
    [PEER_UDP] = {"coap://", ADDRESS_DEFAULT_PORT},
    [PEER_DTLS] = {"coaps://", ADDRESS_DEFAULT_SECURE_PORT},
    [PEER_TCP] = {"coap+tcp://", ADDRESS_DEFAULT_PORT},
    [PEER_TLS] = {"coaps+tcp://", ADDRESS_DEFAULT_SECURE_PORT},
};

/* An address taken apart. */
struct parts {
    enum peer_transport transport;
    int family;
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } ip;
    char zone[IF_NAMESIZE]; /* empty: none */
    uint16_t port;
};

/* Copies [from, to) as a string; false when it does not fit. */
static bool copy_range(char *out, size_t size, const char *from, const char *to)
{
    size_t length = (size_t)(to - from);

    if (length >= size)
        return false;
    memcpy(out, from, length);
    out[length] = 0;
    return true;
}

static bool parse_port(const char *text, uint16_t *port)
{
    int64_t value;

    if (!text_parse_int(text, 1, UINT16_MAX, &value))
        return false;
    *port = (uint16_t)value;
    return true;
}

/* Zones come raw after '%', or, in a URI, after "%25" (RFC 6874); an interface named "25..." needs the latter. */
static bool parse_zone(const char *text, char zone[IF_NAMESIZE])
{
    if (strncmp(text, "25", 2) == 0 && text[2])
        text += 2;
    return text_is_name(text, IF_NAMESIZE - 1) && text_copy(zone, IF_NAMESIZE, text);
}

/* The text after a scheme, which goes to *out; NULL when it has none of ours. */
static const char *skip_scheme(const char *text, enum peer_transport *out)
{
    for (size_t i = 0; i < array_size(schemes); i++) {
        size_t length = strlen(schemes[i].prefix);

        if (strncasecmp(text, schemes[i].prefix, length) == 0) {
            *out = (enum peer_transport)i;
            return text + length;
        }
    }
    return NULL;
}

/* An IPv4-mapped address is where IPv4 is spoken: it gets the one form that datagrams from there get. */
static void unmap(struct parts *parts)
{
    struct in_addr v4;

    if (!IN6_IS_ADDR_V4MAPPED(&parts->ip.v6))
        return;
    memcpy(&v4, parts->ip.v6.s6_addr + 12, sizeof v4);
    parts->ip.v4 = v4;
    parts->family = AF_INET;
}

static bool parse_ip(const char *text, struct parts *parts)
{
    char ip[INET6_ADDRSTRLEN];
    const char *percent = strchr(text, '%');

    if (inet_pton(AF_INET, text, &parts->ip.v4) == 1) {
        parts->family = AF_INET;
        return true;
    }
    if (!copy_range(ip, sizeof ip, text, percent ? percent : text + strlen(text)) ||
        inet_pton(AF_INET6, ip, &parts->ip.v6) != 1)
        return false;
    parts->family = AF_INET6;
    if (percent)
        return parse_zone(percent + 1, parts->zone);
    unmap(parts);
    return true;
}

/* "[v6]", "[v6]:port", "v4", "v4:port", "v6": more than one colon without brackets is an IPv6 address. */
static bool parse_authority(const char *text, struct parts *parts)
{
    const char *colon = strchr(text, ':'), *end;
    char host[CORE_ADDRESS_MAX + 1];

    if (*text == '[') {
        end = strchr(++text, ']');
        if (!end || (end[1] && (end[1] != ':' || !parse_port(end + 2, &parts->port))))
            return false;
        return copy_range(host, sizeof host, text, end) && strchr(host, ':') && parse_ip(host, parts);
    }
    end = text + strlen(text);
    if (colon && !strchr(colon + 1, ':')) {
        if (!parse_port(colon + 1, &parts->port))
            return false;
        end = colon;
    }
    return copy_range(host, sizeof host, text, end) && parse_ip(host, parts);
}

/* Why no container can be sent to a well-formed address; NULL when it can. */
static const char *find_objection(const struct parts *parts)
{
    uint32_t v4 = ntohl(parts->ip.v4.s_addr);
    const struct in6_addr *v6 = &parts->ip.v6;

    if (parts->family == AF_INET ? v4 == INADDR_ANY : IN6_IS_ADDR_UNSPECIFIED(v6))
        return "is the unspecified address";
    if (parts->family == AF_INET ? IN_MULTICAST(v4) || v4 == INADDR_BROADCAST : IN6_IS_ADDR_MULTICAST(v6))
        return "is no single device's address";
    if (parts->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(v6) && !*parts->zone)
        return "is link-local: name the interface too, as in [fe80::1%25eth0]";
    return NULL;
}

static void format(const struct parts *parts, char *out)
{
    const char *prefix = schemes[parts->transport].prefix;
    char ip[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(parts->family, &parts->ip, ip, sizeof ip);
    if (parts->family == AF_INET)
        (void)snprintf(out, CORE_ADDRESS_MAX + 1, "%s%s:%u", prefix, ip, parts->port);
    else
        (void)snprintf(out, CORE_ADDRESS_MAX + 1, "%s[%s%s%s]:%u", prefix, ip, *parts->zone ? "%25" : "", parts->zone,
                       parts->port);
}

int address_parse(const char *text, char *out, struct fault *fault)
{
    struct parts parts = {.transport = PEER_UDP};
    char authority[CORE_ADDRESS_MAX + 1];
    const char *from = skip_scheme(text, &parts.transport), *to = text + strlen(text), *objection;

    if (from && to > from && to[-1] == '/')
        to--;
    if (!from && strstr(text, "://"))
        return fault_set_at(fault, FAULT_INVALID_FIELD, POINTER,
                            "the address '%.128s' has another scheme than coap, coaps, coap+tcp or coaps+tcp", text);
    if (!from)
        from = text;
    parts.port = schemes[parts.transport].port;
    if (!copy_range(authority, sizeof authority, from, to) || !parse_authority(authority, &parts))
        return fault_set_at(fault, FAULT_INVALID_FIELD, POINTER,
                            "'%.128s' is no literal IPv4 or IPv6 address with an optional port (names are not looked "
                            "up), as in 192.0.2.1, 192.0.2.1:5683 or coap://[2001:db8::1]:5683",
                            text);
    objection = find_objection(&parts);
    if (objection)
        return fault_set_at(fault, FAULT_INVALID_FIELD, POINTER, "the address '%.128s' %s", text, objection);
    format(&parts, out);
    return 0;
}

/* A zone is an interface's name or, where no interface has it as its name, its number. */
static unsigned find_interface(const char *zone)
{
    unsigned index = if_nametoindex(zone);
    int64_t number;
    char name[IF_NAMESIZE];

    if (!index && text_parse_int(zone, 1, INT32_MAX, &number) && if_indextoname((unsigned)number, name))
        index = (unsigned)number;
    return index;
}

static int make_peer(const struct parts *parts, struct peer *out)
{
    *out = (struct peer){.transport = parts->transport};
    if (parts->family == AF_INET) {
        out->address.v4 =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = parts->ip.v4, .sin_port = htons(parts->port)};
        return 0;
    }
    out->address.v6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = parts->ip.v6, .sin6_port = htons(parts->port)};
    if (*parts->zone)
        out->address.v6.sin6_scope_id = find_interface(parts->zone);
    return *parts->zone && !out->address.v6.sin6_scope_id ? -ENODEV : 0;
}

int peer_parse(const char *address, struct peer *out)
{
    struct parts parts = {.transport = PEER_UDP};
    const char *authority = skip_scheme(address, &parts.transport);

    if (!authority || !parse_authority(authority, &parts) || !parts.port)
        return -EINVAL;
    return make_peer(&parts, out);
}

int address_parse_listen(const char *text, enum peer_transport transport, struct peer *out)
{
    struct parts parts = {.transport = transport};
    const char *colon = strrchr(text, ':');
    char host[CORE_ADDRESS_MAX + 1];
    int64_t port;

    /* parse_authority takes no port 0, which asks for any. */
    if (!colon || !text_parse_int(colon + 1, 0, UINT16_MAX, &port) || !copy_range(host, sizeof host, text, colon) ||
        !parse_authority(host, &parts) || parts.port || (parts.family == AF_INET6 && *host != '['))
        return -EINVAL;
    parts.port = (uint16_t)port;
    return make_peer(&parts, out);
}

char *peer_format(const struct peer *peer, char *out)
{
    struct parts parts = {.transport = peer->transport, .family = peer->address.any.sa_family};

    if (parts.family == AF_INET) {
        parts.ip.v4 = peer->address.v4.sin_addr;
        parts.port = ntohs(peer->address.v4.sin_port);
    } else {
        uint32_t scope = peer->address.v6.sin6_scope_id;

        parts.ip.v6 = peer->address.v6.sin6_addr;
        parts.port = ntohs(peer->address.v6.sin6_port);
        if (scope && !if_indextoname(scope, parts.zone))
            (void)snprintf(parts.zone, sizeof parts.zone, "%" PRIu32, scope);
    }
    format(&parts, out);
    return out;
}
