#include "coap/block.h"

#include "codec/cborio.h"

#include <string.h>

#define NUM_MAX 0xfffff /* RFC 7959 section 2.2 */
#define MAX_REPETITIONS 16

static size_t block_size(const struct block_transfer *t)
{
    return (size_t)16 << t->szx;
}

static enum block_result fail(struct block_transfer *t, const char *reason)
{
    t->reason = reason;
    return BLOCK_E_PROTOCOL;
}

void block_begin(struct block_transfer *transfer, const void *body, size_t size, const uint8_t *tag, uint8_t szx,
                 size_t limit)
{
    *transfer = (struct block_transfer){
        .body = body, .size = size, .szx = szx, .uploading = size > 0, .answer = buffer_init(limit), .reason = ""};
    if (tag)
        memcpy(transfer->tag, tag, sizeof transfer->tag);
    transfer->in_blocks = size > block_size(transfer);
}

void block_resume(struct block_transfer *transfer, uint64_t held)
{
    uint64_t last = transfer->size ? transfer->size - 1 : 0; /* the last block is sent again even if it is held */
    uint64_t at = held < last ? held : last;

    transfer->offset = (size_t)(at - at % block_size(transfer));
}

bool block_resize(struct block_transfer *transfer, uint8_t szx)
{
    if (!transfer->in_blocks || transfer->offset % ((size_t)16 << szx) != 0)
        return false;
    transfer->szx = szx;
    return true;
}

void block_end(struct block_transfer *transfer)
{
    buffer_clear(&transfer->answer);
}

/* Requests ------------------------------------------------------------------------------------------------------- */

static void add_block(const struct block_transfer *t, struct coapmsg *request, uint16_t number, size_t offset,
                      bool more)
{
    size_t num = offset / block_size(t);

    if (num > NUM_MAX)
        request->failed = true;
    else
        coapmsg_add_block(request, number, (struct coapmsg_block){(uint32_t)num, more, t->szx});
}

static void prepare_upload(struct block_transfer *t, struct coapmsg *request)
{
    size_t left = t->size - t->offset;

    t->sent = left < block_size(t) ? left : block_size(t);
    if (t->in_blocks) {
        add_block(t, request, COAPMSG_OPT_BLOCK1, t->offset, t->sent < left);
        coapmsg_add(request, COAPMSG_OPT_REQUEST_TAG, t->tag, sizeof t->tag);
        if (t->offset == 0)
            coapmsg_add_uint(request, COAPMSG_OPT_SIZE1, (uint32_t)t->size);
    }
    coapmsg_set_payload(request, t->body + t->offset, t->sent);
}

void block_prepare(struct block_transfer *transfer, struct coapmsg *request)
{
    if (transfer->uploading)
        prepare_upload(transfer, request);
    else if (transfer->answer.size || transfer->szx < BLOCK_SZX_MAX)
        add_block(transfer, request, COAPMSG_OPT_BLOCK2, transfer->answer.size, false);
}

/* Responses to the body that is sent ------------------------------------------------------------------------------ */

static bool may_repeat(struct block_transfer *t)
{
    return ++t->repetitions <= MAX_REPETITIONS;
}

/* incomplete = { 1: bytes held, ? 2: Request-Tag that they belong to }; anything else says that nothing is held. */
static uint64_t parse_held(const struct block_transfer *t, const struct coapmsg *response)
{
    struct cborio_reader r = cborio_reader_init(response->payload, response->payload_size);
    size_t pairs = cborio_get_map(&r), tag_size;
    uint64_t held = 0;
    bool ours = true;

    for (size_t i = 0; i < pairs && !cborio_failed(&r); i++) {
        uint64_t key = cborio_get_uint(&r, UINT64_MAX);

        if (key == 1) {
            held = cborio_get_uint(&r, UINT64_MAX);
        } else if (key == 2) {
            const uint8_t *tag = cborio_get_bytes(&r, &tag_size);

            ours = tag && tag_size == sizeof t->tag && memcmp(tag, t->tag, sizeof t->tag) == 0;
        } else {
            cborio_skip(&r);
        }
    }
    return ours && cborio_ended(&r) ? held : 0;
}

/* 2.31 confirms the block; a smaller size in it holds from the next one on (RFC 7959 section 2.5, figure 9). */
static enum block_result take_continue(struct block_transfer *t, const struct coapmsg_block *block)
{
    if (!block)
        return fail(t, "2.31 without Block1");
    if (!t->in_blocks || t->offset + t->sent >= t->size)
        return fail(t, "2.31 after the last block");
    if (block->szx >= t->szx && block->num != t->offset / block_size(t))
        return fail(t, "2.31 for another block than the one that was sent");
    t->offset += t->sent;
    if (block->szx < t->szx)
        t->szx = block->szx;
    return BLOCK_MORE;
}

/* 4.13 with a smaller size asks for all of it again in such blocks (RFC 7959 section 2.9.3). */
static bool wants_smaller(struct block_transfer *t, const struct coapmsg_block *block)
{
    if (!block || block->szx >= t->szx)
        return false;
    t->szx = block->szx;
    t->offset = 0;
    t->in_blocks = t->size > block_size(t);
    return true;
}

static enum block_result take_download(struct block_transfer *t, const struct coapmsg *response);

static enum block_result take_upload(struct block_transfer *t, const struct coapmsg *response)
{
    struct coapmsg_block block, *confirmed = NULL;
    int r = coapmsg_get_block(response, COAPMSG_OPT_BLOCK1, &block);

    if (r == 2)
        return fail(t, "a malformed Block1");
    if (r == 0)
        confirmed = &block;
    switch (response->code) {
    case COAPMSG_CONTINUE:
        return take_continue(t, confirmed);
    case COAPMSG_TOO_LARGE:
        if (wants_smaller(t, confirmed))
            return BLOCK_MORE;
        break;
    case COAPMSG_INCOMPLETE:
        if (t->in_blocks && may_repeat(t)) {
            block_resume(t, parse_held(t, response));
            return BLOCK_MORE;
        }
        break;
    default:
        break;
    }
    t->uploading = false;
    return take_download(t, response);
}

/* Responses with a body ------------------------------------------------------------------------------------------- */

/* Appends what the limit lets in. */
static enum block_result append(struct block_transfer *t, const struct coapmsg *response, enum block_result result)
{
    size_t size = response->payload_size, room = t->answer.limit - t->answer.size;

    if (t->answer.limit && size > room) {
        size = room;
        result = BLOCK_E_TOO_LARGE;
    }
    buffer_append(&t->answer, response->payload, size);
    return t->answer.failed ? BLOCK_E_MEMORY : result;
}

static struct coapmsg_option etag_of(const struct coapmsg *response)
{
    const struct coapmsg_option *etag = coapmsg_find(response, COAPMSG_OPT_ETAG);

    return etag && etag->length <= 8 ? *etag : (struct coapmsg_option){0};
}

static void keep_etag(struct block_transfer *t, const struct coapmsg *response)
{
    struct coapmsg_option etag = etag_of(response);

    t->etag.size = (uint8_t)etag.length;
    if (etag.length)
        memcpy(t->etag.value, etag.value, etag.length);
}

static bool has_same_etag(const struct block_transfer *t, const struct coapmsg *response)
{
    struct coapmsg_option etag = etag_of(response);

    return etag.length == t->etag.size && (!etag.length || memcmp(etag.value, t->etag.value, etag.length) == 0);
}

/* A changed ETag means blocks of two representations (RFC 7959 section 2.4): all of it again. */
static enum block_result restart(struct block_transfer *t)
{
    buffer_clear(&t->answer);
    return may_repeat(t) ? BLOCK_MORE : fail(t, "a representation that changed during every transfer");
}

static enum block_result take_block(struct block_transfer *t, const struct coapmsg *response,
                                    const struct coapmsg_block *block)
{
    size_t size = (size_t)16 << block->szx;

    if (t->answer.size == 0)
        keep_etag(t, response);
    else if (!has_same_etag(t, response))
        return restart(t);
    if (block->num * size != t->answer.size)
        return fail(t, "another block than the one that was asked for");
    if (block->more ? response->payload_size != size : response->payload_size > size)
        return fail(t, "a block of another size than it says");
    t->szx = block->szx < t->szx ? block->szx : t->szx;
    return append(t, response, block->more ? BLOCK_MORE : BLOCK_DONE);
}

static enum block_result take_download(struct block_transfer *t, const struct coapmsg *response)
{
    struct coapmsg_block block;
    int r = coapmsg_get_block(response, COAPMSG_OPT_BLOCK2, &block);

    if (r == 2)
        return fail(t, "a malformed Block2");
    if (r == 0)
        return take_block(t, response, &block);
    if (COAPMSG_CLASS(response->code) != 2)
        buffer_clear(&t->answer);
    else if (t->answer.size)
        return fail(t, "a later block without Block2");
    return append(t, response, BLOCK_DONE);
}

enum block_result block_take(struct block_transfer *transfer, const struct coapmsg *response)
{
    if (response->failed)
        return fail(transfer, "more options or bytes than the gateway takes");
    return transfer->uploading ? take_upload(transfer, response) : take_download(transfer, response);
}
