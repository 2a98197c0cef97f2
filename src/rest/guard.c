#include "rest/guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static bool is_port(const char *text)
{
    int64_t port;

    return *text == 0 || (*text == ':' && text_parse_int(text + 1, 1, 65535, &port));
}

bool guard_is_local_host(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    char name[INET6_ADDRSTRLEN];
    bool v6 = *host == '[';
    size_t n = strcspn(host += v6, v6 ? "]" : ":");

    if (n >= sizeof name || !is_port(host + n + (v6 && host[n] == ']')))
        return false;
    memcpy(name, host, n);
    name[n] = 0;
    if (v6)
        return host[n] == ']' && inet_pton(AF_INET6, name, address) == 1;
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1;
}

int guard_check(const struct http_request *req, struct fault *fault)
{
    const char *host, *origin;

    if (!req->trusted_host) {
        host = http_header(req, "Host");
        if (!host)
            return fault_set(fault, FAULT_MALFORMED_REQUEST, "The Host header is missing");
        if (!guard_is_local_host(host))
            return fault_set(fault, FAULT_HOST_REFUSED,
                             "The Host header is \"%.100s\", neither an address nor localhost", host);
    }
    if (!http_method_writes(req->method))
        return 0;
    origin = http_header(req, "Origin");
    if (origin)
        return fault_set(fault, FAULT_CROSS_SITE, "The request comes from a page of %.100s", origin);
    return 0;
}
