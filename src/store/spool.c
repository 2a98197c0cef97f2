#define _GNU_SOURCE /* asprintf, mkostemp */

#include "store/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PREFIX "upload-"
#define KEPT_PREFIX "partial-"
#define DIGEST_SIZE 32

struct spool {
    char *path;
    int fd;
    bool exists; /* the file, at path */
    bool kept;   /* by spool_free */
    int error;   /* sticky; negative errno */
    uint64_t size, limit;
    EVP_MD_CTX *hash; /* NULL once finished */
    uint8_t digest[DIGEST_SIZE];
    void *map;
};

/* NULL: errno says why. */
static char *make_path(const char *directory, const char *prefix, const char *name)
{
    cleanup_free char *parent = NULL;
    char *path;

    if (asprintf(&parent, "%s/spool", directory) < 0 || (mkdir(parent, 0700) < 0 && errno != EEXIST))
        return NULL;
    return asprintf(&path, "%s/%s%s", parent, prefix, name) < 0 ? NULL : path;
}

static int make_file(struct spool *spool, const char *directory)
{
    spool->path = make_path(directory, PREFIX, "XXXXXX");
    if (!spool->path)
        return -errno;
    spool->fd = mkostemp(spool->path, O_CLOEXEC);
    if (spool->fd < 0)
        return -errno;
    spool->exists = true;
    return 0;
}

/* Takes what the file holds into the digest. */
static int read_back(struct spool *spool)
{
    uint8_t bytes[16384];
    ssize_t n;

    while ((n = read(spool->fd, bytes, sizeof bytes)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (EVP_DigestUpdate(spool->hash, bytes, (size_t)n) != 1)
            return -ENOMEM;
        spool->size += (uint64_t)n;
    }
    return 0;
}

static int open_file(struct spool *spool, const char *directory, const char *name)
{
    struct stat st;

    spool->path = make_path(directory, KEPT_PREFIX, name);
    if (!spool->path)
        return -errno;
    spool->fd = open(spool->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (spool->fd < 0 || fstat(spool->fd, &st) < 0)
        return -errno;
    spool->exists = spool->kept = true;
    if ((uint64_t)st.st_size > spool->limit)
        return ftruncate(spool->fd, 0) < 0 ? -errno : 0;
    return read_back(spool);
}

static int make(struct spool **out, const char *directory, const char *name, uint64_t limit)
{
    struct spool *spool = calloc(1, sizeof *spool);
    int result;

    *out = NULL;
    if (!spool)
        return -ENOMEM;
    spool->fd = -1;
    spool->limit = limit;
    spool->hash = EVP_MD_CTX_new();
    result = spool->hash && EVP_DigestInit_ex(spool->hash, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
    if (result == 0)
        result = name ? open_file(spool, directory, name) : make_file(spool, directory);
    if (result == 0)
        *out = steal_pointer(spool);
    spool_free(spool);
    return result;
}

int spool_new(struct spool **out, const char *directory, uint64_t limit)
{
    return make(out, directory, NULL, limit);
}

int spool_resume(struct spool **out, const char *directory, const char *name, uint64_t limit)
{
    return make(out, directory, name, limit);
}

void spool_discard(struct spool *spool)
{
    spool->kept = false;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EFBIG || errno == EDQUOT ? -ENOSPC : -errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

int spool_write(struct spool *spool, const void *data, size_t size)
{
    if (spool->error == 0 && !spool->hash)
        spool->error = -EBADF;
    if (spool->error < 0)
        return spool->error;
    if (size > spool->limit - spool->size)
        return 1;
    spool->error = write_all(spool->fd, data, size);
    if (spool->error == 0 && EVP_DigestUpdate(spool->hash, data, size) != 1)
        spool->error = -ENOMEM;
    if (spool->error == 0)
        spool->size += size;
    return spool->error;
}

int spool_finish(struct spool *spool)
{
    if (spool->error == 0 && spool->hash && EVP_DigestFinal_ex(spool->hash, spool->digest, NULL) != 1)
        spool->error = -ENOMEM;
    EVP_MD_CTX_free(spool->hash);
    spool->hash = NULL;
    return spool->error;
}

const uint8_t *spool_digest(const struct spool *spool)
{
    return spool->digest;
}

uint64_t spool_size(const struct spool *spool)
{
    return spool->size;
}

const char *spool_path(const struct spool *spool)
{
    return spool->path;
}

const uint8_t *spool_map(struct spool *spool, size_t *size)
{
    void *map;

    *size = (size_t)spool->size;
    if (spool->map || spool->size == 0)
        return spool->map;
    map = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, spool->fd, 0);
    if (map == MAP_FAILED)
        return NULL;
    spool->map = map;
    return map;
}

struct spool *spool_free(struct spool *spool)
{
    if (!spool)
        return NULL;
    if (spool->map)
        (void)munmap(spool->map, (size_t)spool->size);
    if (spool->fd >= 0)
        (void)close(spool->fd);
    if (spool->exists && !spool->kept)
        (void)unlink(spool->path);
    EVP_MD_CTX_free(spool->hash);
    free(spool->path);
    free(spool);
    return NULL;
}

static void close_directory(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
}

int spool_clean(const char *directory)
{
    cleanup_free char *path = NULL;
    cleanup(close_directory) DIR *entries = NULL;
    const struct dirent *entry;

    if (asprintf(&path, "%s/spool", directory) < 0)
        return -ENOMEM;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    entries = opendir(path);
    if (!entries)
        return -errno;
    while ((entry = readdir(entries)))
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 && unlinkat(dirfd(entries), entry->d_name, 0) < 0)
            return -errno;
    return 0;
}
