/* Preloaded into the gateway: a disk that takes SLOW_SYNC_MS for each flush. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int slowly(const char *name, int fd)
{
    int (*sync)(int fd) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *text = getenv("SLOW_SYNC_MS");
    long ms = text ? strtol(text, NULL, 10) : 0;
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL);
    return sync ? sync(fd) : -1;
}

int fsync(int fd)
{
    return slowly("fsync", fd);
}

int fdatasync(int fd)
{
    return slowly("fdatasync", fd);
}
