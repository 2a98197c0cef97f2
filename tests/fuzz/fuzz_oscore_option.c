#include "tcgw/oscore.h"

#include "base/cleanup.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void require_within(const uint8_t *part, size_t part_size, const uint8_t *data, size_t size)
{
    require(!part || (part >= data && part_size <= size && (size_t)(part - data) <= size - part_size));
}

/* What is accepted lies within the value and is encoded to the same bytes: there is one form of each option. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oscore_option option;
    uint8_t out[OSCORE_OPTION_MAX];
    struct coapmsg msg;

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add(&msg, COAPMSG_OPT_OSCORE, data, size);
    coapmsg_set_payload(&msg, "x", 1);
    if (msg.failed || oscore_message_option(&msg, &option))
        return 0;
    require_within(option.piv, option.piv_size, data, size);
    require_within(option.kid, option.kid_size, data, size);
    require_within(option.kid_context, option.kid_context_size, data, size);
    require(option.piv_size <= OSCORE_PIV_MAX && (option.piv != NULL) == (option.piv_size > 0));
    if (size <= sizeof out)
        require(oscore_option_encode(&option, out) == size && (size == 0 || memcmp(out, data, size) == 0));
    return 0;
}
