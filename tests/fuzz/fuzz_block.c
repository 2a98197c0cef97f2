#include "coap/block.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 5000

/* A device's answers to a transfer: two bytes say how it begins, then each response has two bytes of length. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t body[40000];
    struct block_transfer transfer;
    struct coapmsg request, response;

    if (size < 2)
        return 0;
    block_begin(&transfer, body, (size_t)data[0] * 150, NULL, data[1] % 7, LIMIT);
    for (size_t at = 2; at + 2 <= size;) {
        size_t length = (size_t)(data[at] << 8 | data[at + 1]);

        at += 2;
        length = length < size - at ? length : size - at;
        coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
        block_prepare(&transfer, &request);
        if (request.failed || transfer.offset + transfer.sent > transfer.size || transfer.answer.size > LIMIT ||
            request.payload_size > 1024)
            abort();
        if (coapmsg_decode(&response, data + at, length) != 0 || block_take(&transfer, &response) != BLOCK_MORE)
            break;
        at += length;
    }
    if (transfer.answer.size > LIMIT)
        abort();
    block_end(&transfer);
    return 0;
}
