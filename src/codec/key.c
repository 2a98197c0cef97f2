#include "codec/key.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX 8192 /* a private key with comments around it */

/* struct key is never defined: it is OpenSSL's object under a name of ours. */
static EVP_PKEY *pkey(const struct key *key)
{
    return (EVP_PKEY *)key;
}

printf_like(3, 4) static int refuse(char *reason, size_t reason_size, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(reason, reason_size, format, ap);
    va_end(ap);
    return 1;
}

struct key *key_generate(void)
{
    return (struct key *)EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

struct key *key_free(struct key *key)
{
    EVP_PKEY_free(pkey(key));
    return NULL;
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

static int parse_pem(struct key **key, const char *path, const char *pem, char *reason, size_t reason_size)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *read = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

    BIO_free(bio);
    if (!read && strstr(pem, "ENCRYPTED"))
        return refuse(reason, reason_size, "%s: the key has a passphrase; store it without one", path);
    if (!read)
        return refuse(reason, reason_size, "%s: this is not a private key in PEM form", path);
    if (EVP_PKEY_get_base_id(read) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(read);
        return refuse(reason, reason_size,
                      "%s: this is not an Ed25519 key; make one with `openssl genpkey -algorithm ed25519`", path);
    }
    *key = (struct key *)read;
    return 0;
}

static int check_file(int fd, const char *path, char *reason, size_t reason_size)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return refuse(reason, reason_size, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(reason, reason_size, "%s: this is not a regular file", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return refuse(reason, reason_size, "%s: others than its owner may use this private key; run `chmod 600 %s`",
                      path, path);
    if (st.st_size > FILE_MAX)
        return refuse(reason, reason_size, "%s: this file is too large for a private key", path);
    return 0;
}

static int load(struct key **key, int fd, const char *path, char *reason, size_t reason_size)
{
    char pem[FILE_MAX + 1];
    ssize_t n;
    int r;

    if (check_file(fd, path, reason, reason_size))
        return 1;
    n = read(fd, pem, FILE_MAX);
    if (n < 0)
        return refuse(reason, reason_size, "%s: cannot be read: %s", path, strerror(errno));
    pem[n] = 0;
    r = parse_pem(key, path, pem, reason, reason_size);
    OPENSSL_cleanse(pem, sizeof pem);
    return r;
}

int key_load(struct key **key, const char *path, char *reason, size_t reason_size)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *key = NULL;
    if (fd < 0)
        return refuse(reason, reason_size, "%s: cannot be opened: %s", path, strerror(errno));
    return load(key, fd, path, reason, reason_size);
}

static bool write_pem(const struct key *key, int fd)
{
    FILE *file = fdopen(fd, "w");
    bool good;

    if (!file) {
        (void)close(fd);
        return false;
    }
    good = PEM_write_PrivateKey(file, pkey(key), NULL, NULL, 0, NULL, NULL) == 1 && fflush(file) == 0 &&
           fsync(fileno(file)) == 0;
    return fclose(file) == 0 && good;
}

/* A rename is on the disk only once its directory is. */
static bool sync_directory(const char *path)
{
    char copy[PATH_MAX];
    cleanup_close int fd = -1;

    (void)snprintf(copy, sizeof copy, "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0;
}

static bool store(const struct key *key, const char *path)
{
    char temporary[PATH_MAX];
    int fd;

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    fd = mkstemp(temporary); /* with mode 0600 */
    if (fd < 0)
        return false;
    /* link, unlike rename, never replaces a key that somebody else made meanwhile */
    bool good = write_pem(key, fd) && link(temporary, path) == 0;
    int error = errno;

    (void)unlink(temporary);
    errno = error;
    return good && sync_directory(path);
}

int key_load_or_create(struct key **key, const char *path, char *reason, size_t reason_size)
{
    cleanup_key struct key *made = NULL;

    *key = NULL;
    if (access(path, F_OK) == 0 || errno != ENOENT)
        return key_load(key, path, reason, reason_size);
    made = key_generate();
    if (!made)
        return refuse(reason, reason_size, "%s: OpenSSL could not make an Ed25519 key", path);
    if (!store(made, path)) {
        if (errno == EEXIST)
            return key_load(key, path, reason, reason_size);
        return refuse(reason, reason_size, "%s: a new key cannot be written: %s", path, strerror(errno));
    }
    *key = steal_pointer(made);
    return 0;
}

void key_public(const struct key *key, uint8_t out[KEY_PUBLIC_SIZE])
{
    size_t size = KEY_PUBLIC_SIZE;

    if (EVP_PKEY_get_raw_public_key(pkey(key), out, &size) != 1)
        abort(); /* only for a key that is not Ed25519, and no such key is ever loaded */
}

char *key_public_pem(const struct key *key, char out[KEY_PEM_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = 0;

    if (bio && PEM_write_bio_PUBKEY(bio, pkey(key)) == 1)
        n = BIO_read(bio, out, KEY_PEM_MAX - 1);
    BIO_free(bio);
    out[n > 0 ? n : 0] = 0;
    return out;
}

int key_sign(void *arg, const uint8_t *data, size_t size, uint8_t signature[METADATA_SIGNATURE_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t length = METADATA_SIGNATURE_SIZE;
    bool good = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey(arg)) == 1 &&
                EVP_DigestSign(ctx, signature, &length, data, size) == 1 && length == METADATA_SIGNATURE_SIZE;

    EVP_MD_CTX_free(ctx);
    return good ? 0 : -EKEYREJECTED;
}
