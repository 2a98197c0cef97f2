#include "codec/backup.h"

#include "base/text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEAL_HEAD "\ntcgw backup 1 sha256 "
#define PIECE_SIZE 65536

static int digest_file(int fd, uint64_t size, char hex[65])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    cleanup_free uint8_t *piece = malloc(PIECE_SIZE);
    uint8_t digest[32];
    uint64_t at = 0;
    int result = ctx && piece && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;

    while (result == 0 && at < size) {
        size_t want = size - at < PIECE_SIZE ? (size_t)(size - at) : PIECE_SIZE;
        ssize_t n = pread(fd, piece, want, (off_t)at);

        if (n <= 0 || EVP_DigestUpdate(ctx, piece, (size_t)n) != 1)
            result = n < 0 ? -errno : -EIO;
        at += n > 0 ? (uint64_t)n : 0;
    }
    if (result == 0 && EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
        result = -EIO;
    EVP_MD_CTX_free(ctx);
    if (result == 0)
        (void)text_hex(digest, sizeof digest, hex);
    return result;
}

static int make_line(int fd, uint64_t size, char line[BACKUP_SEAL_SIZE + 1])
{
    char hex[65];
    int result = digest_file(fd, size, hex);

    if (result == 0)
        (void)snprintf(line, BACKUP_SEAL_SIZE + 1, SEAL_HEAD "%s\n", hex);
    return result;
}

int backup_seal_file(int fd)
{
    char line[BACKUP_SEAL_SIZE + 1];
    struct stat st;
    int result = fstat(fd, &st) < 0 ? -errno : make_line(fd, (uint64_t)st.st_size, line);

    if (result < 0)
        return result;
    return pwrite(fd, line, BACKUP_SEAL_SIZE, st.st_size) == BACKUP_SEAL_SIZE ? 0 : errno ? -errno : -EIO;
}

int backup_check_file(int fd, uint64_t *size)
{
    char said[BACKUP_SEAL_SIZE], line[BACKUP_SEAL_SIZE + 1];
    struct stat st;
    int result;

    if (fstat(fd, &st) < 0)
        return -errno;
    *size = (uint64_t)st.st_size;
    if (st.st_size < BACKUP_SEAL_SIZE || pread(fd, said, sizeof said, st.st_size - BACKUP_SEAL_SIZE) != sizeof said ||
        memcmp(said, SEAL_HEAD, sizeof SEAL_HEAD - 1) != 0)
        return BACKUP_UNSEALED;
    *size -= BACKUP_SEAL_SIZE;
    result = make_line(fd, *size, line);
    if (result < 0)
        return result;
    return memcmp(said, line, BACKUP_SEAL_SIZE) == 0 ? BACKUP_GOOD : BACKUP_DAMAGED;
}
