#include "uplink/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>

static int refuse(char error[SECRET_ERROR_SIZE], const char *what, const char *path, const char *why)
{
    (void)snprintf(error, SECRET_ERROR_SIZE, "%s %.100s %s", what, path, why);
    return 1;
}

/* Returns the descriptor, or -1 with the error. */
static int open_secret(char error[SECRET_ERROR_SIZE], const char *what, const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        (void)refuse(error, what, path, strerror(errno));
        return -1;
    }
    if (!S_ISREG(st.st_mode))
        (void)refuse(error, what, path, "is not a file");
    else if (st.st_mode & 027)
        (void)refuse(error, what, path, "can be read by others or written by its group: chmod 640 or less");
    else if (st.st_size == 0 || st.st_size > SECRET_MAX)
        (void)refuse(error, what, path, "is empty or has more than 4096 bytes");
    else
        return dup(fd);
    return -1;
}

int sink_check_secret(struct sink *sink, const char *what, const char *path)
{
    cleanup_close int fd = open_secret(sink->error, what, path);

    return fd < 0 ? 1 : 0;
}

int secret_read(const char *what, const char *path, struct buffer *out, char error[SECRET_ERROR_SIZE])
{
    cleanup_close int fd = open_secret(error, what, path);
    uint8_t *to;
    ssize_t n;

    if (fd < 0)
        return 1;
    to = buffer_reserve(out, SECRET_MAX + 1);
    if (!to)
        return -ENOMEM;
    n = read(fd, to, SECRET_MAX);
    if (n <= 0)
        return refuse(error, what, path, n < 0 ? strerror(errno) : "is empty");
    out->size = (size_t)n;
    while (out->size && (to[out->size - 1] == '\n' || to[out->size - 1] == '\r'))
        out->size--;
    to[out->size] = 0;
    return out->size && !memchr(to, 0, out->size) ? 0 : refuse(error, what, path, "holds no text");
}

int sink_read_secret(struct sink *sink, const char *what, const char *path, struct buffer *out)
{
    return secret_read(what, path, out, sink->error);
}

void secret_clear(struct buffer *secret)
{
    if (secret->data)
        OPENSSL_cleanse(secret->data, secret->capacity);
    buffer_clear(secret);
}
