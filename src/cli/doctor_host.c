#include "config.h"

#include "cli/doctor.h"

#include "base/text.h"
#include "cli/gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

/* What can be seen on the gateway's machine without the gateway. */

#define BEFORE_THIS_PROGRAM_MS 1767225600000 /* 2026-01-01 */
#define DISK_LEAST_BYTES (64LL << 20)
#define INODES_LEAST 1000
#define PING_MS 1000
#define EXPIRES_SOON_S (30LL * 86400)
#define ALL_COAP_NODES "ff02::fd" /* RFC 7252 section 12.8 */

/* Configuration ---------------------------------------------------------------------------------------------------- */

static const char *default_config = SYSCONFDIR "/tcgw/tcgw.conf";

static void free_conf(struct conf **conf)
{
    (void)conf_free(*conf);
}

void doctor_check_configuration(struct doctor *doctor)
{
    cleanup(free_conf) struct conf *conf = NULL;
    const char *path = arguments_value(doctor->args, "config");
    char reason[CONF_REASON_SIZE] = "";
    int rc = conf_new(&conf);

    if (!path && access(default_config, F_OK) == 0)
        path = default_config;
    if (rc == 0 && path)
        rc = conf_read(conf, path, reason, sizeof reason);
    if (rc == 0)
        rc = conf_check(conf, reason, sizeof reason);
    if (rc == -EACCES)
        doctor_find(doctor, DOCTOR_SKIPPED, "Run it as root.", "you may not read %s", path);
    else if (rc)
        doctor_find(doctor, DOCTOR_ERROR, "tcgwd does not start or reload with it; tcgw.conf(5) has every key.", "%s",
                    *reason ? reason : strerror(rc < 0 ? -rc : EINVAL));
    else
        doctor_find(doctor, DOCTOR_OK, NULL, "%s%s", path ? path : "none, the defaults hold", path ? " is good" : "");
    if (rc == 0)
        doctor->conf = steal_pointer(conf);
}

/* Clock ------------------------------------------------------------------------------------------------------------ */

void doctor_check_own_clock(struct doctor *doctor)
{
    int64_t now = clock_wall_ms(doctor->cli->clock);
    struct timex state = {0};
    char text[RFC3339_SIZE];

    if (now < BEFORE_THIS_PROGRAM_MS)
        doctor_find(doctor, DOCTOR_ERROR, "Set it: certificates, telemetry and the journal go by it.",
                    "it stands at %s, before this program was made", clock_format_rfc3339(now, text));
    else if (adjtimex(&state) == TIME_ERROR || state.status & STA_UNSYNC)
        doctor_find(doctor, DOCTOR_WARNING,
                    "Run an NTP client: apt install systemd-timesyncd (or chrony), then timedatectl.",
                    "it is not synchronised");
    else
        doctor_find(doctor, DOCTOR_OK, NULL, "it is synchronised");
}

/* Disk ------------------------------------------------------------------------------------------------------------- */

void doctor_check_disk(struct doctor *doctor)
{
    const char *path = doctor->conf ? doctor->conf->state_directory : NULL;
    char text[DISPLAY_SIZE];
    struct statvfs st;

    if (!path) {
        doctor_find(doctor, DOCTOR_SKIPPED, NULL, "the configuration does not tell where the gateway stores");
        return;
    }
    if (statvfs(path, &st) != 0) {
        /* Another user's default is not where the daemon stores. */
        doctor_find(doctor, errno == EACCES || (errno == ENOENT && geteuid() != 0) ? DOCTOR_SKIPPED : DOCTOR_WARNING,
                    "Check gateway.state_directory of tcgw.conf, and what is mounted.", "%s: %s", path,
                    strerror(errno));
        return;
    }
    (void)display_bytes((uint64_t)st.f_bavail * st.f_frsize, text);
    if (st.f_flag & ST_RDONLY)
        doctor_find(doctor, DOCTOR_ERROR, "Mount it for writing; after a file system error check it first.",
                    "%s is on a file system that is read-only", path);
    else if ((int64_t)(st.f_bavail * st.f_frsize) < DISK_LEAST_BYTES)
        doctor_find(doctor, DOCTOR_ERROR, "Free some, or let the gateway keep less (tcgw storage).",
                    "only %s are left for %s", text, path);
    else if (st.f_files && st.f_favail < INODES_LEAST)
        doctor_find(doctor, DOCTOR_WARNING, "Remove files: the file system can hold few more.",
                    "only %llu files fit beside %s", (unsigned long long)st.f_favail, path);
    else
        doctor_find(doctor, DOCTOR_OK, NULL, "%s are left for %s", text, path);
}

/* Network ---------------------------------------------------------------------------------------------------------- */

/* Where a listener of the configuration is reached from this machine. */
static bool resolve(const char *listen, struct sockaddr_storage *address, socklen_t *size)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM};
    const char *colon = strrchr(listen, ':');
    struct addrinfo *info = NULL;
    char host[64];

    if (!colon || (size_t)(colon - listen) >= sizeof host)
        return false;
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - listen) - (*listen == '[' ? 2 : 0),
                   listen + (*listen == '['));
    if (strcmp(host, "0.0.0.0") == 0)
        (void)text_copy(host, sizeof host, "127.0.0.1");
    else if (strcmp(host, "::") == 0)
        (void)text_copy(host, sizeof host, "::1");
    if (getaddrinfo(host, colon + 1, &hints, &info) != 0)
        return false;
    memcpy(address, info->ai_addr, info->ai_addrlen);
    *size = info->ai_addrlen;
    freeaddrinfo(info);
    return true;
}

/* A CoAP ping (RFC 7252 section 4.3): an empty confirmable message, which a Reset answers. */
static bool ping(const struct sockaddr_storage *address, socklen_t size)
{
    static const uint8_t empty[] = {0x40, 0, 0x7c, 0x67};
    int fd = socket(address->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    uint8_t answer[64];
    bool good;

    if (fd < 0)
        return false;
    good = connect(fd, (const struct sockaddr *)address, size) == 0 && send(fd, empty, sizeof empty, 0) > 0 &&
           poll(&wait, 1, PING_MS) == 1 && recv(fd, answer, sizeof answer, 0) == 4 && answer[0] == 0x70;
    (void)close(fd);
    return good;
}

static void look_at_listener(struct doctor *doctor)
{
    const char *listen = doctor->conf ? doctor->conf->coap_listen : "";
    struct sockaddr_storage address = {0};
    socklen_t size;

    if (!*listen || !resolve(listen, &address, &size))
        doctor_find(doctor, DOCTOR_SKIPPED, NULL, "no coap.listen is known");
    else if (ping(&address, size))
        doctor_find(doctor, DOCTOR_OK, NULL, "CoAP is answered at %s", listen);
    else
        doctor_find(doctor, doctor->reachable ? DOCTOR_ERROR : DOCTOR_WARNING,
                    "See whether tcgwd listens there (ss -uln) and whether a firewall drops UDP.",
                    "nobody answers CoAP at %s", listen);
}

static bool is_useful(const struct ifaddrs *i)
{
    return i->ifa_addr && i->ifa_flags & IFF_UP && !(i->ifa_flags & IFF_LOOPBACK) &&
           (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6);
}

void doctor_check_network(struct doctor *doctor)
{
    struct ifaddrs *all = NULL;
    unsigned count = 0, v6 = 0;

    look_at_listener(doctor);
    if (getifaddrs(&all) != 0) {
        doctor_find(doctor, DOCTOR_SKIPPED, NULL, "the interfaces cannot be listed (%s)", strerror(errno));
        return;
    }
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        count += is_useful(i);
        v6 += is_useful(i) && i->ifa_addr->sa_family == AF_INET6;
    }
    freeifaddrs(all);
    if (count == 0)
        doctor_find(doctor, DOCTOR_WARNING, "Bring one up: ip link; devices beyond this machine are out of reach.",
                    "no interface but loopback has an address");
    else
        doctor_find(doctor, DOCTOR_OK, v6 ? NULL : "Devices of 6LoWPAN and Thread need IPv6.",
                    "%u addresses of interfaces that are up, %u of IPv6", count, v6);
}

static bool can_join(const char *name)
{
    struct ipv6_mreq request = {.ipv6mr_interface = if_nametoindex(name)};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool good;

    if (fd < 0)
        return false;
    good = inet_pton(AF_INET6, ALL_COAP_NODES, &request.ipv6mr_multiaddr) == 1 &&
           setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof request) == 0;
    (void)close(fd);
    return good;
}

/* The gateway itself serves no group; devices and their border routers look for each other by multicast. */
void doctor_check_multicast(struct doctor *doctor)
{
    struct if_nameindex *names = if_nameindex();
    unsigned good = 0;

    for (const struct if_nameindex *n = names; n && n->if_index; n++) {
        if (strcmp(n->if_name, "lo") == 0)
            continue;
        if (can_join(n->if_name))
            good++;
        else
            doctor_find(doctor, DOCTOR_SKIPPED, NULL, "%s takes part in no IPv6 multicast", n->if_name);
    }
    if (names)
        if_freenameindex(names);
    if (good)
        doctor_find(doctor, DOCTOR_OK, NULL, "%u interfaces take part in " ALL_COAP_NODES, good);
    else
        doctor_find(doctor, DOCTOR_WARNING,
                    "Devices that look for a gateway do not find this one; give them its address, or enable IPv6.",
                    "no interface takes part in " ALL_COAP_NODES);
}

/* Certificates ----------------------------------------------------------------------------------------------------- */

static X509 *read_certificate(const char *path)
{
    FILE *file = fopen(path, "re");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

    if (file)
        (void)fclose(file);
    return certificate;
}

static void look_at_certificate(struct doctor *doctor, const char *key, const char *path)
{
    X509 *certificate;
    int days = 0, seconds = 0;

    if (access(path, R_OK) != 0) {
        doctor_find(doctor, errno == EACCES ? DOCTOR_SKIPPED : DOCTOR_ERROR, NULL, "%s = %s: %s", key, path,
                    strerror(errno));
        return;
    }
    certificate = read_certificate(path);
    if (!certificate || !ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)))
        doctor_find(doctor, DOCTOR_ERROR, "It has to be PEM, and begin with -----BEGIN CERTIFICATE-----.",
                    "%s = %s is no certificate", key, path);
    else if (days < 0 || seconds < 0)
        doctor_find(doctor, DOCTOR_ERROR, "Renew it.", "%s = %s expired %d days ago", key, path, -days);
    else if (days * 86400LL < EXPIRES_SOON_S)
        doctor_find(doctor, DOCTOR_WARNING, "Renew it.", "%s = %s expires in %d days", key, path, days);
    else
        doctor_find(doctor, DOCTOR_OK, NULL, "%s = %s is good for %d days", key, path, days);
    X509_free(certificate);
}

/* The private keys that are no one's business. */
static void look_at_key(struct doctor *doctor, const char *key, const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && st.st_mode & S_IRWXO)
        doctor_find(doctor, DOCTOR_ERROR, "Take it from the others: chmod o= FILE", "%s = %s is open to everybody", key,
                    path);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* By the names of the keys that are paths, in a section of the configuration. */
static unsigned look_at_paths(struct doctor *doctor, const struct conf_key *table, size_t count, const void *values,
                              const char *section)
{
    unsigned found = 0;

    for (size_t i = 0; i < count; i++) {
        const char *path = table[i].type == CONF_PATH ? *(char *const *)((const char *)values + table[i].offset) : NULL;
        char key[96];

        if (!path || !*path)
            continue;
        (void)snprintf(key, sizeof key, "%s.%s", section ? section : table[i].section, table[i].key);
        if (ends_with(table[i].key, "certificate") || ends_with(table[i].key, "ca")) {
            look_at_certificate(doctor, key, path);
            found++;
        } else if (ends_with(table[i].key, "key") || ends_with(table[i].key, "_file")) {
            look_at_key(doctor, key, path);
        }
    }
    return found;
}

void doctor_check_certificates(struct doctor *doctor)
{
    const struct conf *conf = doctor->conf;
    unsigned found;

    if (!conf) {
        doctor_find(doctor, DOCTOR_SKIPPED, NULL, "the configuration is not known");
        return;
    }
    found = look_at_paths(doctor, conf_table, conf_table_size, conf, NULL);
    for (size_t i = 0; i < conf->sink_count; i++) {
        char section[48];

        (void)snprintf(section, sizeof section, "sink.%s", conf->sinks[i].name);
        found += look_at_paths(doctor, conf_sink_table, conf_sink_table_size, &conf->sinks[i], section);
    }
    if (!found)
        doctor_find(doctor, DOCTOR_OK, NULL, "none is configured");
}
