#include "rest/hcuri.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* coaps goes with https only (RFC 8075 section 8.3), and the gateway serves no https by itself. */
static int check_scheme(const char *text, size_t size, struct fault *fault)
{
    static const char *const schemes[] = {"coap", "coap+tcp"};

    for (size_t i = 0; i < array_size(schemes); i++)
        if (strlen(schemes[i]) == size && strncasecmp(schemes[i], text, size) == 0)
            return 0;
    return fault_set(fault, FAULT_SCHEME_UNSUPPORTED, "The scheme \"%.*s\" is not coap or coap+tcp",
                     (int)(size < 20 ? size : 20), text);
}

/* Multicast, broadcast, and "this host" (RFC 1122 section 3.2.1.3), by which a system means itself. */
static int check_unicast_v4(const uint8_t address[4], struct fault *fault)
{
    if (address[0] != 0 && address[0] < 224)
        return 0;
    if (address[0] >= 240 && memcmp(address, "\xff\xff\xff\xff", 4) != 0)
        return 0;
    return fault_set(fault, FAULT_FORBIDDEN, "Only unicast addresses are spoken to for others");
}

static int check_unicast_v6(const struct in6_addr *address, struct fault *fault)
{
    if (IN6_IS_ADDR_V4MAPPED(address))
        return check_unicast_v4(&address->s6_addr[12], fault);
    if (!IN6_IS_ADDR_MULTICAST(address) && !IN6_IS_ADDR_UNSPECIFIED(address))
        return 0;
    return fault_set(fault, FAULT_FORBIDDEN, "Only unicast addresses are spoken to for others");
}

static int check_v6(const char *host, size_t size, struct fault *fault)
{
    char name[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *end = memchr(host, ']', size);
    size_t n = strcspn(host, "%]"), behind = end ? (size_t)(host + size - end - 1) : 0; /* a zone may follow */

    if (end && n < sizeof name && (behind == 0 || end[1] == ':') && !memchr(end + 1, '[', behind)) {
        memcpy(name, host, n);
        name[n] = 0;
        if (inet_pton(AF_INET6, name, &address) == 1)
            return check_unicast_v6(&address, fault);
    }
    return fault_set(fault, FAULT_INVALID_PARAMETER, "The URI's host is no address");
}

static int check_v4(const char *host, size_t size, struct fault *fault)
{
    char name[INET_ADDRSTRLEN];
    uint8_t address[4];

    if (size < sizeof name) {
        memcpy(name, host, size);
        name[size] = 0;
        if (inet_pton(AF_INET, name, address) == 1)
            return check_unicast_v4(address, fault);
    }
    return fault_set(fault, FAULT_UNKNOWN_HOST, "The host \"%.*s\" is no literal address",
                     (int)(size < 100 ? size : 100), host);
}

static int check_host(const char *host, size_t size, struct fault *fault)
{
    if (memchr(host, '@', size))
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The URI has user information, which CoAP does not know");
    if (size > 1 && host[0] == '[')
        return check_v6(host + 1, size - 1, fault);
    return check_v4(host, strcspn(host, ":") < size ? strcspn(host, ":") : size, fault);
}

int hcuri_parse(const char *text, struct hcuri *out, struct fault *fault)
{
    size_t scheme = strcspn(text, ":/?#"), host;

    if (strncmp(text + scheme, "://", 3) != 0)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "There is no URI behind /hc/: coap://ADDRESS/PATH");
    if (check_scheme(text, scheme, fault))
        return 1;
    host = strcspn(text + scheme + 3, "/?#");
    out->size = scheme + 3 + host;
    if (host == 0 || out->size >= sizeof out->authority || text[out->size] == '#')
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The URI has no host, one that is too long, or a fragment");
    if (check_host(text + scheme + 3, host, fault))
        return 1;
    memcpy(out->authority, text, out->size);
    out->authority[out->size] = 0;
    for (size_t i = 0; i < scheme; i++)
        out->authority[i] |= out->authority[i] >= 'A' && out->authority[i] <= 'Z' ? 0x20 : 0;
    return 0;
}
