#include "cli/tarball.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK 512

struct tarball {
    gzFile file;
    int64_t when;
    bool failed;
};

struct header { /* POSIX.1-1988 section 10.1.1; numbers are octal digits */
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2],
        user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

struct tarball *tarball_new(int fd, int64_t when)
{
    struct tarball *tarball = calloc(1, sizeof *tarball);

    if (tarball)
        tarball->file = gzdopen(fd, "wb");
    if (tarball && tarball->file) {
        tarball->when = when;
        return tarball;
    }
    (void)close(fd);
    free(tarball);
    return NULL;
}

static void put(struct tarball *tarball, const void *data, size_t size)
{
    if (size && gzwrite(tarball->file, data, (unsigned)size) != (int)size)
        tarball->failed = true;
}

static void set_number(char *field, size_t size, uint64_t value)
{
    (void)snprintf(field, size, "%0*llo", (int)size - 1, (unsigned long long)value);
}

static void set_checksum(struct header *header)
{
    const uint8_t *bytes = (const uint8_t *)header;
    unsigned sum = 0;

    memset(header->checksum, ' ', sizeof header->checksum);
    for (size_t i = 0; i < sizeof *header; i++)
        sum += bytes[i];
    (void)snprintf(header->checksum, sizeof header->checksum, "%06o", sum); /* and a blank behind its NUL */
}

void tarball_add(struct tarball *tarball, const char *name, const void *data, size_t size)
{
    static const char zeros[BLOCK];
    struct header header = {.type = '0', .magic = "ustar", .version = {'0', '0'}};

    (void)snprintf(header.name, sizeof header.name, "%s", name);
    set_number(header.mode, sizeof header.mode, 0600);
    set_number(header.uid, sizeof header.uid, 0);
    set_number(header.gid, sizeof header.gid, 0);
    set_number(header.size, sizeof header.size, size);
    set_number(header.mtime, sizeof header.mtime, (uint64_t)tarball->when);
    set_checksum(&header);
    put(tarball, &header, sizeof header);
    put(tarball, data, size);
    put(tarball, zeros, (BLOCK - size % BLOCK) % BLOCK);
}

bool tarball_close(struct tarball *tarball)
{
    static const char end[2 * BLOCK];
    bool good;

    if (!tarball)
        return false;
    put(tarball, end, sizeof end);
    good = gzclose(tarball->file) == Z_OK && !tarball->failed;
    free(tarball);
    return good;
}
