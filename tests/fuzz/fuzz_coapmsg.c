#include "tcgw/coapmsg.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void require_same_options(const struct coapmsg *a, const struct coapmsg *b)
{
    require(a->option_count == b->option_count);
    for (size_t i = 0; i < a->option_count; i++) {
        require(a->options[i].number == b->options[i].number && a->options[i].length == b->options[i].length);
        require(a->options[i].length == 0 ||
                memcmp(a->options[i].value, b->options[i].value, a->options[i].length) == 0);
    }
}

/* What was decoded, encoded and decoded again is the same message, and has the size that was foretold. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct coapmsg first, second;
    struct coapmsg_block block;
    cleanup_free uint8_t *out = NULL;
    size_t length;
    uint32_t number;

    if (coapmsg_decode(&first, data, size))
        return 0;
    (void)coapmsg_get_block(&first, COAPMSG_OPT_BLOCK1, &block);
    (void)coapmsg_get_uint(&first, COAPMSG_OPT_CONTENT_FORMAT, &number);
    (void)coapmsg_path_is(&first, "/tc/c/");
    out = malloc(size);
    length = coapmsg_encode(&first, out, size); /* never longer: the shortest form is unique or shorter */
    require(length == coapmsg_size(&first) && length > 0);
    require(coapmsg_decode(&second, out, length) == 0);
    require(first.type == second.type && first.code == second.code && first.id == second.id);
    require(first.token_length == second.token_length && memcmp(first.token, second.token, first.token_length) == 0);
    require_same_options(&first, &second);
    require(first.payload_size == second.payload_size);
    require(first.payload_size == 0 || memcmp(first.payload, second.payload, first.payload_size) == 0);
    return 0;
}
