#include "base/cleanup.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Stands in for libFuzzer where the fuzzers are built without it: runs the fuzzer's function on files. Arguments are
 * files and directories; without any, the corpus that belongs to the program by its name (fuzz_NAME). */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 20)

static unsigned files_run;

static bool run_file(const char *path)
{
    static uint8_t content[INPUT_MAX];
    cleanup_fclose FILE *file = fopen(path, "rb");
    uint8_t *input;
    size_t size;

    if (!file) {
        perror(path);
        return false;
    }
    size = fread(content, 1, sizeof content, file);
    /* a block of just this size, so that AddressSanitizer sees a read beyond the input */
    input = malloc(size ? size : 1);
    if (!input)
        return false;
    memcpy(input, content, size);
    (void)LLVMFuzzerTestOneInput(input, size);
    free(input);
    files_run++;
    return true;
}

static bool run_directory(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    bool good = count >= 0;

    if (count < 0)
        perror(path);
    for (int i = 0; i < count; i++) {
        char file[4096];

        (void)snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            good = run_file(file) && good;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return good;
}

static bool run(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? run_directory(path) : run_file(path);
}

int main(int argc, char **argv)
{
    const char *name = strstr(argv[0], "fuzz_");
    char corpus[4096];
    bool good = true;

    for (const char *next = name; next; next = strstr(next + 1, "fuzz_"))
        name = next;
    for (int i = 1; i < argc; i++)
        good = run(argv[i]) && good;
    if (argc == 1 && name) {
        (void)snprintf(corpus, sizeof corpus, "%s/fuzz/corpus/%s", TEST_SRCDIR, name + strlen("fuzz_"));
        good = run(corpus);
    }
    printf("%u inputs\n", files_run);
    return good && files_run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
