#include "codec/pemfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

int pemfile_refuse(const char *path, char *reason, size_t reason_size, const char *format, ...)
{
    va_list ap;
    int n = snprintf(reason, reason_size, "%s: ", path);

    va_start(ap, format);
    if (n >= 0 && (size_t)n < reason_size)
        (void)vsnprintf(reason + n, reason_size - (size_t)n, format, ap);
    va_end(ap);
    return 1;
}

static int check_file(int fd, const char *path, bool secret, char *reason, size_t reason_size)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return pemfile_refuse(path, reason, reason_size, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return pemfile_refuse(path, reason, reason_size, "this is not a regular file");
    if (secret && st.st_mode & (S_IRWXG | S_IRWXO))
        return pemfile_refuse(path, reason, reason_size,
                              "others than its owner may use this private key; run `chmod 600 %s`", path);
    if (st.st_size > PEMFILE_MAX)
        return pemfile_refuse(path, reason, reason_size, "this file is too large for a %s",
                              secret ? "private key" : "certificate");
    return 0;
}

int pemfile_read(const char *path, bool secret, char text[PEMFILE_MAX + 1], char *reason, size_t reason_size)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;

    text[0] = 0;
    if (fd < 0)
        return pemfile_refuse(path, reason, reason_size, "cannot be opened: %s", strerror(errno));
    if (check_file(fd, path, secret, reason, reason_size))
        return 1;
    n = read(fd, text, PEMFILE_MAX);
    if (n < 0)
        return pemfile_refuse(path, reason, reason_size, "cannot be read: %s", strerror(errno));
    text[n] = 0;
    return 0;
}

static bool write_all(int fd, bool secret, const char *text)
{
    size_t size = strlen(text);
    ssize_t n = write(fd, text, size);

    if (n >= 0 && (size_t)n < size)
        errno = ENOSPC;
    return n == (ssize_t)size && fchmod(fd, secret ? S_IRUSR | S_IWUSR : S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH) == 0 &&
           fsync(fd) == 0;
}

/* A new name is on the disk only once its directory is. */
static bool sync_directory(const char *path)
{
    char copy[PATH_MAX];
    cleanup_close int fd = -1;

    (void)snprintf(copy, sizeof copy, "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0;
}

bool pemfile_create(const char *path, bool secret, const char *text)
{
    char temporary[PATH_MAX];
    cleanup_close int fd = -1;

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    fd = mkstemp(temporary); /* with mode 0600 */
    if (fd < 0)
        return false;
    /* link, unlike rename, never replaces a file that somebody else made meanwhile */
    bool good = write_all(fd, secret, text) && link(temporary, path) == 0;
    int error = errno;

    (void)unlink(temporary);
    errno = error;
    return good && sync_directory(path);
}

/* OpenSSL would ask for a passphrase on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static int parse_key(EVP_PKEY **key, const char *path, const char *pem, char *reason, size_t reason_size)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);

    *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (!*key && strstr(pem, "ENCRYPTED"))
        return pemfile_refuse(path, reason, reason_size, "the key has a passphrase; store it without one");
    if (!*key)
        return pemfile_refuse(path, reason, reason_size, "this is not a private key in PEM form");
    return 0;
}

int pemfile_read_key(EVP_PKEY **key, const char *path, char *reason, size_t reason_size)
{
    char pem[PEMFILE_MAX + 1];
    int r;

    *key = NULL;
    r = pemfile_read(path, true, pem, reason, reason_size);
    if (r == 0)
        r = parse_key(key, path, pem, reason, reason_size);
    OPENSSL_cleanse(pem, sizeof pem);
    return r;
}

bool pemfile_create_key(const EVP_PKEY *key, const char *path)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char pem[PEMFILE_MAX + 1] = "";
    bool good = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
                BIO_read(bio, pem, PEMFILE_MAX) > 0;

    BIO_free(bio);
    if (!good)
        errno = ENOMEM;
    good = good && pemfile_create(path, true, pem);
    OPENSSL_cleanse(pem, sizeof pem);
    return good;
}
