#ifndef TC_COAP_BLOCK_H
#define TC_COAP_BLOCK_H

#include "base/buffer.h"
#include "tcgw/coapmsg.h"

/*
 * Block-wise transfer (RFC 7959), the client's half, for requests with a body (Block1), without one, and for responses
 * of any length (Block2). It does no I/O: block_prepare completes each request, block_take says what its response
 * means. Whatever a device answers, a transfer ends: every repetition is counted.
 */

#define BLOCK_SZX_MAX 6 /* blocks of 1024 bytes */
#define BLOCK_TAG_SIZE 8

enum block_result {
    BLOCK_DONE,        /* the response is the final one; its body is in answer, empty for an error in mid-transfer */
    BLOCK_MORE,        /* prepare and send another request */
    BLOCK_E_PROTOCOL,  /* the response is not allowed here; reason says why */
    BLOCK_E_TOO_LARGE, /* the body is over the limit; answer holds its beginning, up to the limit */
    BLOCK_E_MEMORY,
};

struct block_transfer {
    const uint8_t *body; /* the request's, the caller's */
    size_t size;
    uint8_t tag[BLOCK_TAG_SIZE]; /* Request-Tag (RFC 9175 section 3) of a request that takes several blocks */
    uint8_t szx;                 /* block size that both sides take: 16 << szx */
    bool uploading;              /* the request's body has not been taken in full */
    bool in_blocks;              /* it is sent with Block1 */
    size_t offset, sent;         /* of the block under way */
    unsigned repetitions;        /* times that a side had to go back */
    struct buffer answer;
    struct {
        uint8_t value[8], size; /* of the response's first block */
    } etag;
    const char *reason; /* static text */
};

/* Begins a transfer with blocks of at most 16 << szx bytes. A body that fits one block is sent as it is. The body and a
 * tag (BLOCK_TAG_SIZE bytes, copied, NULL: zeros) are the caller's; size may be 0. The response's body is limited to
 * `limit` bytes. */
void block_begin(struct block_transfer *transfer, const void *body, size_t size, const uint8_t *tag, uint8_t szx,
                 size_t limit);
/* Goes on where an earlier upload of the same body broke off: at the block that holds the byte after `held`. */
void block_resume(struct block_transfer *transfer, uint64_t held);
/* Goes on with blocks of another size, when the upload stands where one of that size begins; false otherwise. */
bool block_resize(struct block_transfer *transfer, uint8_t szx);
/* Frees the answer. */
void block_end(struct block_transfer *transfer);

/* Adds the next payload and its options to a request that has all others. request->failed is set when the body has more
 * blocks than can be counted. */
void block_prepare(struct block_transfer *transfer, struct coapmsg *request);
/* Takes the response; one with 4.08 may name where to go on (docs/device-protocol.md section 3.2). */
enum block_result block_take(struct block_transfer *transfer, const struct coapmsg *response) must_check;

#endif
