#include "codec/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define NONCE_SIZE 12
#define TAG_SIZE 16

static void free_context(EVP_CIPHER_CTX **context)
{
    EVP_CIPHER_CTX_free(*context);
}

static bool fits(size_t a, size_t b)
{
    return a <= INT_MAX && b <= INT_MAX;
}

int seal(const uint8_t key[SEAL_KEY_SIZE], const void *associated, size_t associated_size, const void *plain,
         size_t size, uint8_t *out)
{
    cleanup(free_context) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t *text = out + NONCE_SIZE;
    int n;

    if (!context || !fits(associated_size, size) || RAND_bytes(out, NONCE_SIZE) != 1 ||
        EVP_EncryptInit_ex2(context, EVP_aes_256_gcm(), key, out, NULL) != 1 ||
        EVP_EncryptUpdate(context, NULL, &n, associated, (int)associated_size) != 1 ||
        EVP_EncryptUpdate(context, text, &n, plain, (int)size) != 1 ||
        EVP_EncryptFinal_ex(context, text + size, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, text + size) != 1)
        return -EIO;
    return 0;
}

int seal_open(const uint8_t key[SEAL_KEY_SIZE], const void *associated, size_t associated_size, const void *sealed,
              size_t size, uint8_t *out)
{
    cleanup(free_context) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const uint8_t *nonce = sealed, *text = nonce + NONCE_SIZE;
    uint8_t tag[TAG_SIZE];
    int n;

    if (size < SEAL_OVERHEAD)
        return 1;
    size -= SEAL_OVERHEAD;
    memcpy(tag, text + size, TAG_SIZE);
    if (!context || !fits(associated_size, size) ||
        EVP_DecryptInit_ex2(context, EVP_aes_256_gcm(), key, nonce, NULL) != 1 ||
        EVP_DecryptUpdate(context, NULL, &n, associated, (int)associated_size) != 1 ||
        EVP_DecryptUpdate(context, out, &n, text, (int)size) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) != 1)
        return -EIO;
    if (EVP_DecryptFinal_ex(context, out + size, &n) == 1)
        return 0;
    OPENSSL_cleanse(out, size);
    return 1;
}

/* The key's file --------------------------------------------------------------------------------------------------- */

printf_like(3, 4) static int refuse(char *reason, size_t reason_size, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(reason, reason_size, format, ap);
    va_end(ap);
    return 1;
}

/* Credentials of systemd are read-only files in a directory that only the service sees; they may have mode 0440. */
static int check_file(int fd, const char *path, bool private, char *reason, size_t reason_size)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return refuse(reason, reason_size, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(reason, reason_size, "%s: this is not a regular file", path);
    if (private && st.st_mode & (S_IRWXG | S_IRWXO))
        return refuse(reason, reason_size, "%s: others than its owner may use this sealing key; run `chmod 600 %s`",
                      path, path);
    if (st.st_size != SEAL_KEY_SIZE)
        return refuse(reason, reason_size,
                      "%s: a sealing key has %d bytes, not %lld; make one with `head -c %d "
                      "/dev/urandom`",
                      path, SEAL_KEY_SIZE, (long long)st.st_size, SEAL_KEY_SIZE);
    return 0;
}

static int load(uint8_t key[SEAL_KEY_SIZE], const char *path, bool private, char *reason, size_t reason_size)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return refuse(reason, reason_size, "%s: cannot be opened: %s", path, strerror(errno));
    if (check_file(fd, path, private, reason, reason_size))
        return 1;
    if (read(fd, key, SEAL_KEY_SIZE) != SEAL_KEY_SIZE)
        return refuse(reason, reason_size, "%s: cannot be read", path);
    return 0;
}

static bool write_key(int fd, const uint8_t key[SEAL_KEY_SIZE])
{
    bool good = write(fd, key, SEAL_KEY_SIZE) == SEAL_KEY_SIZE && fsync(fd) == 0;

    return close(fd) == 0 && good;
}

/* A new name is on the disk only once its directory is. */
static bool sync_directory(const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && fsync(fd) == 0;
}

/* Complete or not at all; link, unlike rename, never replaces a key that somebody else made meanwhile. */
static bool store(const uint8_t key[SEAL_KEY_SIZE], const char *path, const char *directory)
{
    char temporary[SEAL_PATH_MAX];
    bool good;
    int fd, error;

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    fd = mkstemp(temporary); /* with mode 0600 */
    if (fd < 0)
        return false;
    good = write_key(fd, key) && link(temporary, path) == 0;
    error = errno;
    (void)unlink(temporary);
    errno = error;
    return good && sync_directory(directory);
}

static int create(uint8_t key[SEAL_KEY_SIZE], const char *path, const char *directory, char *reason, size_t reason_size)
{
    if (RAND_priv_bytes(key, SEAL_KEY_SIZE) != 1)
        return refuse(reason, reason_size, "%s: OpenSSL could not make a key", path);
    if (store(key, path, directory))
        return 0;
    if (errno == EEXIST)
        return load(key, path, true, reason, reason_size);
    return refuse(reason, reason_size, "%s: a new key cannot be written: %s", path, strerror(errno));
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0 || errno != ENOENT;
}

int seal_load_or_create_key(uint8_t key[SEAL_KEY_SIZE], const char *configured, const char *state_directory,
                            char *source, char *reason, size_t reason_size)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");

    if (credentials && *credentials) {
        (void)snprintf(source, SEAL_PATH_MAX, "%s/tcgw.sealing-key", credentials);
        if (is_there(source))
            return load(key, source, false, reason, reason_size);
    }
    if (configured && *configured) {
        (void)snprintf(source, SEAL_PATH_MAX, "%s", configured);
        return load(key, source, true, reason, reason_size);
    }
    (void)snprintf(source, SEAL_PATH_MAX, "%s/credential-key", state_directory);
    if (is_there(source))
        return load(key, source, true, reason, reason_size);
    return create(key, source, state_directory, reason, reason_size);
}
