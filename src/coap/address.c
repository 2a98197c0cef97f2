#include "coap/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SCHEME "coap://"
#define POINTER "/address"

/* An address taken apart. */
struct parts {
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
    return !percent || parse_zone(percent + 1, parts->zone);
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
        return copy_range(host, sizeof host, text, end) && parse_ip(host, parts) && parts->family == AF_INET6;
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
    char ip[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(parts->family, &parts->ip, ip, sizeof ip);
    if (parts->family == AF_INET)
        (void)snprintf(out, CORE_ADDRESS_MAX + 1, SCHEME "%s:%u", ip, parts->port);
    else
        (void)snprintf(out, CORE_ADDRESS_MAX + 1, SCHEME "[%s%s%s]:%u", ip, *parts->zone ? "%25" : "", parts->zone,
                       parts->port);
}

int address_parse(const char *text, char *out, struct fault *fault)
{
    struct parts parts = {.port = ADDRESS_DEFAULT_PORT};
    char authority[CORE_ADDRESS_MAX + 1];
    const char *from = text, *to = text + strlen(text), *objection;

    if (strncasecmp(text, SCHEME, strlen(SCHEME)) == 0) {
        from += strlen(SCHEME);
        if (to > from && to[-1] == '/')
            to--;
    } else if (strstr(text, "://")) {
        return fault_set_at(fault, FAULT_INVALID_FIELD, POINTER, "the address '%.128s' has another scheme than coap://",
                            text);
    }
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

int address_resolve(const char *canonical, struct sockaddr_storage *out)
{
    struct parts parts = {.port = 0};

    memset(out, 0, sizeof *out);
    if (strncmp(canonical, SCHEME, strlen(SCHEME)) != 0 || !parse_authority(canonical + strlen(SCHEME), &parts) ||
        !parts.port)
        return -EINVAL;
    if (parts.family == AF_INET) {
        struct sockaddr_in *to = (struct sockaddr_in *)out;

        to->sin_family = AF_INET;
        to->sin_addr = parts.ip.v4;
        to->sin_port = htons(parts.port);
        return (int)sizeof *to;
    } else {
        struct sockaddr_in6 *to = (struct sockaddr_in6 *)out;

        to->sin6_family = AF_INET6;
        to->sin6_addr = parts.ip.v6;
        to->sin6_port = htons(parts.port);
        to->sin6_scope_id = *parts.zone ? find_interface(parts.zone) : 0;
        return *parts.zone && !to->sin6_scope_id ? -ENODEV : (int)sizeof *to;
    }
}
