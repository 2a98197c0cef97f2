#ifndef TC_COAP_BLOCK_SERVER_H
#define TC_COAP_BLOCK_SERVER_H

#include "base/clock.h"
#include "coap/block.h"

/*
 * Block-wise transfer (RFC 7959), the server's half: bodies of requests that come in blocks are put together (Block1),
 * answers are handed out in blocks (Block2). No I/O. What is kept belongs to a party, the number of who was proven to
 * send it; one party never sees or touches what is another's. Memory is bounded in number and in bytes, over all
 * parties and for each: the longest idle goes first.
 */
struct block_server;

struct block_server_options {
    const struct clock *clock;
    uint32_t transfers; /* kept at once */
    uint64_t body;      /* bytes of a request's body */
    bool outer;         /* for outer blocks of protected messages: no answers are kept */
};

#define BLOCK_SERVER_PER_PARTY 4     /* transfers that one party has at once */
#define BLOCK_SERVER_LIFETIME 247000 /* ms without a block after which one is dropped (EXCHANGE_LIFETIME) */
#define BLOCK_SERVER_NOBODY 0        /* the party of requests that nothing may be kept for */

enum block_verdict {
    BLOCK_SERVER_WHOLE,    /* the request is complete: exchange->body is all of it */
    BLOCK_SERVER_ANSWERED, /* it is answered by `response`, which points into the exchange and into what is kept */
};

/* From a request to its answer. Filled in by block_server_take, ended with block_exchange_end. */
struct block_exchange {
    uint64_t party, key, tag; /* key and tag are the same for all blocks of an operation */
    bool has_block1, has_block2;
    struct coapmsg_block block1, block2;
    const uint8_t *body;
    size_t size;
    uint8_t *owned;         /* the body, when it came in blocks */
    uint8_t diagnostic[32]; /* payload of a 4.08 */
    uint8_t etag[8];        /* of an answer that has none of its own */
};

/* Negative errno. */
int block_server_new(struct block_server **out, const struct block_server_options *options) must_check;
struct block_server *block_server_free(struct block_server *bs); /* NULL is fine; returns NULL */
void block_server_configure(struct block_server *bs, const struct block_server_options *options);

/* Takes the next request of a party. For BLOCK_SERVER_ANSWERED the response is complete but for type, token and id. */
enum block_verdict block_server_take(struct block_server *bs, uint64_t party, const struct coapmsg *request,
                                     struct block_exchange *exchange, struct coapmsg *response) must_check;
/* Makes the answer of an exchange the one that is sent: adds Block1 and cuts the payload to the block that was asked
 * for, with Block2, Size2 and an ETag. What does not fit one block, or answers a body that came in blocks, is kept, so
 * that further blocks, and the last block repeated, get the same. */
void block_server_answer(struct block_server *bs, struct block_exchange *exchange, struct coapmsg *response);
/* Frees the body. */
void block_exchange_end(struct block_exchange *exchange);

/* Forgets what is kept for a party. */
void block_server_forget(struct block_server *bs, uint64_t party);

struct block_server_stats {
    uint64_t abandoned; /* uploads that were never finished */
    uint64_t refused;   /* malformed, out of order or contradicting blocks */
    uint64_t too_large;
    uint32_t transfers; /* now */
    uint64_t bytes;
};
void block_server_get_stats(const struct block_server *bs, struct block_server_stats *out);

#endif
