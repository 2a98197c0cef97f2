#define _GNU_SOURCE /* fmemopen */

#include "conf/conf_private.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *print(const struct conf *conf)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        abort();
    conf_print(conf, to, true);
    if (fclose(to))
        abort();
    return text;
}

static int read_text(struct conf *conf, const void *text, size_t size)
{
    char reason[CONF_REASON_SIZE] = "";
    cleanup_fclose FILE *from = fmemopen((void *)(uintptr_t)text, size, "r");
    int result;

    if (!from)
        abort();
    result = conf_read_stream(conf, from, "fuzz", reason, sizeof reason);
    if ((result == 0) != (reason[0] == 0))
        abort();
    return result;
}

/* What is taken is printed so that it is taken again, with the same values; what is not taken has a reason. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf, *again;

    if (size == 0)
        return 0;
    if (conf_new(&conf) || conf_new(&again))
        abort();
    if (read_text(conf, data, size) == 0) {
        cleanup_free char *printed = print(conf), *reprinted = NULL;

        if (read_text(again, printed, strlen(printed)))
            abort();
        reprinted = print(again);
        if (strcmp(printed, reprinted) != 0)
            abort();
    }
    (void)conf_free(again);
    (void)conf_free(conf);
    return 0;
}
