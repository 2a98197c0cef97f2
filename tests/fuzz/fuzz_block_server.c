#include "coap/block_server.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 4000
#define TRANSFERS 4
#define MOST (TRANSFERS * UINT64_C(16384) + 8 * (uint64_t)LIMIT) /* bytes that may be kept */

static struct clock_manual now;
static struct block_server *bs;

static void check_stats(void)
{
    struct block_server_stats stats;

    block_server_get_stats(bs, &stats);
    if (stats.transfers > TRANSFERS || stats.bytes > MOST)
        abort();
}

/* One request of a party; what is whole is answered with as many bytes as the head says. */
static void take(uint8_t head, const struct coapmsg *request)
{
    static const uint8_t body[20000];
    struct block_exchange exchange;
    struct coapmsg response;
    size_t size = (size_t)(head & 0x3f) * 300;

    if (block_server_take(bs, head >> 6, request, &exchange, &response) == BLOCK_SERVER_WHOLE) {
        if (exchange.size > LIMIT)
            abort();
        coapmsg_init(&response, COAPMSG_ACK, head & 1 ? COAPMSG_CONTENT : COAPMSG_UNAVAILABLE);
        coapmsg_set_payload(&response, body, size);
        block_server_answer(bs, &exchange, &response);
    }
    if (response.failed || response.payload_size > 1024 || COAPMSG_CLASS(response.code) < 2)
        abort();
    block_exchange_end(&exchange);
}

/* Requests of several parties; each has a byte of time, one that says who it is, and two bytes of length before it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct block_server_options options = {.clock = &now.clock, .transfers = TRANSFERS, .body = LIMIT};
    struct coapmsg request;

    clock_manual_init(&now, 1000, 0);
    if (block_server_new(&bs, &options) < 0)
        abort();
    for (size_t at = 0; at + 4 <= size;) {
        size_t length = (size_t)(data[at + 2] << 8 | data[at + 3]);
        uint8_t head = data[at + 1];

        clock_manual_advance(&now, data[at] * 1000);
        at += 4;
        length = length < size - at ? length : size - at;
        if (coapmsg_decode(&request, data + at, length) == 0)
            take(head, &request);
        check_stats();
        at += length;
    }
    block_server_forget(bs, 1);
    bs = block_server_free(bs);
    return 0;
}
