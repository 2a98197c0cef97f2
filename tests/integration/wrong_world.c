/* Preloaded into the gateway: a wall clock and a file system that are what the file $WRONG_WORLD says: the seconds that
 * are added to the time, and 0, or the errno that writes to the database get (ENOSPC, EROFS). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

struct world {
    long long seconds, error;
};

/* Two numbers of eight bytes, shared with who writes the file. */
static const volatile struct world *world(void)
{
    static const volatile struct world *shared;
    static const struct world right;
    const char *path = getenv("WRONG_WORLD");
    int fd = shared || !path ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        void *map = mmap(NULL, sizeof right, PROT_READ, MAP_SHARED, fd, 0);

        (void)close(fd);
        if (map != MAP_FAILED)
            shared = map;
    }
    return shared ? shared : &right;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    static int (*real)(clockid_t, struct timespec *);
    int r;

    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    r = real(clock, out);
    if (r == 0 && clock == CLOCK_REALTIME)
        out->tv_sec += world()->seconds;
    return r;
}

time_t time(time_t *out)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);

    if (!real)
        real = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    if (world()->error) {
        errno = (int)world()->error;
        return -1;
    }
    return real(fd, data, size, at);
}

int statvfs64(const char *path, struct statvfs64 *out)
{
    static int (*real)(const char *, struct statvfs64 *);
    int r;

    if (!real)
        real = (int (*)(const char *, struct statvfs64 *))dlsym(RTLD_NEXT, "statvfs64");
    r = real(path, out);
    if (r == 0 && world()->error == EROFS)
        out->f_flag |= ST_RDONLY;
    if (r == 0 && world()->error == ENOSPC)
        out->f_bavail = 0;
    return r;
}

int statvfs(const char *path, struct statvfs *out)
{
    return statvfs64(path, (struct statvfs64 *)(void *)out); /* the same on 64 bits, where this runs */
}
