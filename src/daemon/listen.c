#include "daemon/listen.h"

#include "base/text.h"

#include <errno.h>
#include <libgen.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 256

static void make_parent(const char *path)
{
    cleanup_free char *copy = strdup(path);

    if (copy)
        (void)mkdir(dirname(copy), 0755);
}

/* True when somebody accepts connections there. */
static bool is_answered(const struct sockaddr_un *address)
{
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
}

/* Binds with the permissions in force from the first moment on. */
static int bind_private(int fd, const struct sockaddr_un *address, mode_t mode)
{
    mode_t before = umask(~mode & 0777);
    int r = bind(fd, (const struct sockaddr *)address, sizeof *address);

    (void)umask(before);
    return r;
}

int listen_unix(const char *path, mode_t mode, char *reason, size_t reason_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    cleanup_close int fd = -1;
    struct stat st;
    int result;

    if (!text_copy(address.sun_path, sizeof address.sun_path, path)) {
        (void)snprintf(reason, reason_size, "the socket path %s is too long; set http.socket to a shorter one", path);
        return -1;
    }
    make_parent(path);
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode)) {
            (void)snprintf(reason, reason_size, "%s exists and is not a socket; remove it or set http.socket", path);
            return -1;
        }
        if (is_answered(&address)) {
            (void)snprintf(reason, reason_size, "another daemon serves %s; stop it or set http.socket", path);
            return -1;
        }
        (void)unlink(path);
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind_private(fd, &address, mode) < 0 || listen(fd, BACKLOG) < 0) {
        (void)snprintf(reason, reason_size, "cannot listen on %s: %s; set http.socket to a path that can be written",
                       path, strerror(errno));
        return -1;
    }
    result = fd;
    fd = -1;
    return result;
}

/* Splits "host:port" or "[host]:port"; conf_check has seen to the form. */
static bool split_address(const char *text, char host[64], char port[8])
{
    const char *colon = strrchr(text, ':');
    size_t length;

    if (!colon || !text_copy(port, 8, colon + 1))
        return false;
    length = (size_t)(colon - text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length >= 64)
        return false;
    memcpy(host, text, length);
    host[length] = 0;
    return true;
}

static int bind_tcp(const struct addrinfo *info)
{
    cleanup_close int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1, result;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        return -1;
    result = fd;
    fd = -1;
    return result;
}

int listen_tcp(const char *key, const char *address, char *reason, size_t reason_size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *info = NULL;
    char host[64], port[8];
    int fd;

    if (!split_address(address, host, port) || getaddrinfo(host, port, &hints, &info) != 0) {
        (void)snprintf(reason, reason_size, "%s = %s is not a literal address and port", key, address);
        return -1;
    }
    fd = bind_tcp(info);
    if (fd < 0)
        (void)snprintf(reason, reason_size, "cannot listen on %s: %s%s%s", address, strerror(errno),
                       errno == EADDRINUSE ? "; another program uses the port: stop it or set " : "",
                       errno == EADDRINUSE ? key : "");
    freeaddrinfo(info);
    return fd;
}
