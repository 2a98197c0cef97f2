#include "coap/block_server.h"

#include "base/list.h"
#include "codec/cborio.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <uthash.h>

#define SZX_OF_OUR_BLOCKS BLOCK_SZX_MAX
#define HASH_BASIS UINT64_C(0xcbf29ce484222325)
#define BYTES_PER_TRANSFER 16384 /* of the bound on all of them together */
#define WHOLE_BODIES 8           /* bodies of the largest size that fit the bound besides */

enum transfer_state {
    COLLECTING, /* data is the body so far */
    EXECUTING,  /* the body was handed out; no data */
    KEPT,       /* data is the whole answer, an encoded message */
};

struct transfer {
    struct list party_node, age_node; /* the longest idle first */
    struct party *party;
    uint64_t key, tag;
    enum transfer_state state;
    int64_t used; /* monotonic ms */
    struct buffer data;
    size_t collected; /* EXECUTING, KEPT: bytes of the body; 0: it did not come in blocks */
};

/* Whose transfers they are. */
struct party {
    uint64_t id;
    struct list transfers;
    unsigned count;
    UT_hash_handle hh;
};

struct block_server {
    struct block_server_options options;
    struct party *parties;
    struct list by_age;
    struct block_server_stats stats;
};

static size_t block_size(const struct coapmsg_block *block)
{
    return (size_t)16 << block->szx;
}

/* The table ------------------------------------------------------------------------------------------------------- */

static struct party *find_party(const struct block_server *bs, uint64_t id)
{
    struct party *party;

    HASH_FIND(hh, bs->parties, &id, sizeof id, party);
    return party;
}

static struct party *add_party(struct block_server *bs, uint64_t id)
{
    struct party *party = calloc(1, sizeof *party);

    if (!party)
        return NULL;
    party->id = id;
    list_init(&party->transfers);
    HASH_ADD(hh, bs->parties, id, sizeof party->id, party);
    return party;
}

static void resize(struct block_server *bs, struct transfer *t, size_t before)
{
    bs->stats.bytes = bs->stats.bytes - before + t->data.size;
}

static void clear_data(struct block_server *bs, struct transfer *t)
{
    bs->stats.bytes -= t->data.size;
    buffer_clear(&t->data);
}

static void drop(struct block_server *bs, struct transfer *t)
{
    struct party *party = t->party;

    bs->stats.abandoned += t->state == COLLECTING;
    bs->stats.transfers--;
    clear_data(bs, t);
    list_unlink(&t->party_node);
    list_unlink(&t->age_node);
    free(t);
    if (--party->count == 0) {
        HASH_DEL(bs->parties, party);
        free(party);
    }
}

static void touch(struct block_server *bs, struct transfer *t)
{
    t->used = clock_monotonic_ms(bs->options.clock);
    list_unlink(&t->age_node);
    list_append(&bs->by_age, &t->age_node);
    list_unlink(&t->party_node);
    list_append(&t->party->transfers, &t->party_node);
}

static uint64_t most_bytes(const struct block_server *bs)
{
    return (uint64_t)bs->options.transfers * BYTES_PER_TRANSFER + WHOLE_BODIES * bs->options.body;
}

/* Drops what was idle for too long, and the longest idle while there are too many or too many bytes; never `but`. */
static void trim(struct block_server *bs, const struct transfer *but)
{
    int64_t now = clock_monotonic_ms(bs->options.clock);

    while (!list_empty(&bs->by_age)) {
        struct transfer *oldest = list_first(&bs->by_age, struct transfer, age_node);
        bool over = bs->stats.transfers > bs->options.transfers || bs->stats.bytes > most_bytes(bs);

        if (oldest == but || (!over && now - oldest->used < BLOCK_SERVER_LIFETIME))
            break;
        drop(bs, oldest);
    }
}

static struct transfer *find_transfer(const struct block_server *bs, const struct block_exchange *x)
{
    struct party *party = find_party(bs, x->party);

    if (!party)
        return NULL;
    list_each(node, &party->transfers)
    {
        struct transfer *t = container_of(node, struct transfer, party_node);

        if (t->key == x->key && t->tag == x->tag)
            return t;
    }
    return NULL;
}

/* The answer that is kept, the latest where requests differed in Request-Tag only: a client need not say it any more
 * when it asks for the blocks of the answer. */
static struct transfer *find_kept(const struct block_server *bs, const struct block_exchange *x)
{
    struct party *party = find_party(bs, x->party);
    struct transfer *latest = NULL;

    if (!party)
        return NULL;
    list_each(node, &party->transfers)
    {
        struct transfer *t = container_of(node, struct transfer, party_node);

        if (t->key == x->key && t->state == KEPT)
            latest = t;
    }
    return latest;
}

static struct transfer *add_transfer(struct block_server *bs, const struct block_exchange *x)
{
    struct transfer *t = calloc(1, sizeof *t);
    struct party *party = t ? find_party(bs, x->party) : NULL;

    if (t && !party)
        party = add_party(bs, x->party);
    if (!party) {
        free(t);
        return NULL;
    }
    t->party = party;
    t->key = x->key;
    t->tag = x->tag;
    list_init(&t->party_node);
    list_init(&t->age_node);
    party->count++;
    bs->stats.transfers++;
    touch(bs, t);
    if (party->count > BLOCK_SERVER_PER_PARTY)
        drop(bs, list_first(&party->transfers, struct transfer, party_node));
    trim(bs, t);
    return t;
}

/* The one of this exchange, emptied; made when there is none. NULL: no memory. */
static struct transfer *renew_transfer(struct block_server *bs, const struct block_exchange *x,
                                       enum transfer_state state)
{
    struct transfer *t = find_transfer(bs, x);

    if (!t)
        t = add_transfer(bs, x);
    if (!t)
        return NULL;
    clear_data(bs, t);
    touch(bs, t);
    t->state = state;
    return t;
}

/* What blocks belong together ------------------------------------------------------------------------------------- */

/* Options that may differ between the requests of one operation: NoCacheKey ones (RFC 7252 section 5.4.2; Size1 and
 * Echo are), the blocks themselves, Observe, which later blocks do not carry (RFC 7959 section 2.6), and Request-Tag,
 * which is looked at by itself. */
static bool is_in_key(uint16_t number)
{
    return (number & 0x1e) != 0x1c && number != COAPMSG_OPT_BLOCK1 && number != COAPMSG_OPT_BLOCK2 &&
           number != COAPMSG_OPT_OBSERVE && number != COAPMSG_OPT_REQUEST_TAG;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return hash;
}

static uint64_t hash_option(uint64_t hash, const struct coapmsg_option *option)
{
    hash = hash_bytes(hash, &option->number, sizeof option->number);
    hash = hash_bytes(hash, &option->length, sizeof option->length);
    return hash_bytes(hash, option->value, option->length);
}

/* Code and options. A party that finds two requests of one key mixes up nobody's blocks but its own. */
static void set_key(struct block_exchange *x, const struct coapmsg *request)
{
    const struct coapmsg_option *tag = coapmsg_find(request, COAPMSG_OPT_REQUEST_TAG);

    x->key = hash_bytes(HASH_BASIS, &request->code, 1);
    for (size_t i = 0; i < request->option_count; i++)
        if (is_in_key(request->options[i].number))
            x->key = hash_option(x->key, &request->options[i]);
    x->tag = tag ? HASH_BASIS : 0;
    for (; tag; tag = coapmsg_find_next(request, tag))
        x->tag = hash_option(x->tag, tag);
}

/* Answers that are given here ------------------------------------------------------------------------------------- */

static enum block_verdict answer(struct coapmsg *response, uint8_t code)
{
    coapmsg_init(response, COAPMSG_ACK, code);
    return BLOCK_SERVER_ANSWERED;
}

static enum block_verdict refuse(struct block_server *bs, struct coapmsg *response, uint8_t code, const char *why)
{
    bs->stats.refused++;
    (void)answer(response, code);
    coapmsg_set_payload(response, why, strlen(why));
    return BLOCK_SERVER_ANSWERED;
}

static enum block_verdict refuse_size(struct block_server *bs, const struct block_exchange *x, struct coapmsg *response)
{
    bs->stats.too_large++;
    (void)answer(response, COAPMSG_TOO_LARGE);
    coapmsg_add_block(response, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){x->block1.num, false, x->block1.szx});
    coapmsg_add_uint(response, COAPMSG_OPT_SIZE1, (uint32_t)bs->options.body);
    return BLOCK_SERVER_ANSWERED;
}

/* incomplete = { 1: bytes held, ? 2: Request-Tag that they belong to } (docs/device-protocol.md section 3.2) */
static enum block_verdict refuse_gap(struct block_server *bs, struct block_exchange *x, const struct coapmsg *request,
                                     size_t held, struct coapmsg *response)
{
    const struct coapmsg_option *tag = coapmsg_find(request, COAPMSG_OPT_REQUEST_TAG);
    struct cborio_writer w = cborio_writer_init(x->diagnostic, sizeof x->diagnostic);

    bs->stats.refused++;
    (void)answer(response, COAPMSG_INCOMPLETE);
    cborio_put_map(&w, tag ? 2 : 1);
    cborio_put_uint(&w, 1);
    cborio_put_uint(&w, held);
    if (tag) {
        cborio_put_uint(&w, 2);
        cborio_put_bytes(&w, tag->value, tag->length);
    }
    coapmsg_add_uint(response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_CBOR);
    coapmsg_add_block(response, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){x->block1.num, false, x->block1.szx});
    coapmsg_set_payload(response, x->diagnostic, cborio_written(&w));
    return BLOCK_SERVER_ANSWERED;
}

static enum block_verdict go_on(const struct block_exchange *x, struct coapmsg *response)
{
    (void)answer(response, COAPMSG_CONTINUE);
    coapmsg_add_block(response, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){x->block1.num, true, x->block1.szx});
    return BLOCK_SERVER_ANSWERED;
}

/* Answers in blocks ----------------------------------------------------------------------------------------------- */

/* Cuts the payload to the block that was asked for. False when it has no such block. */
static bool cut(struct coapmsg *response, const struct coapmsg_block *asked)
{
    size_t size = block_size(asked), offset = asked->num * size, whole = response->payload_size, left;

    if (offset >= whole && offset > 0)
        return false;
    left = whole - offset;
    coapmsg_add_block(response, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){asked->num, left > size, asked->szx});
    if (asked->num == 0 && left > size)
        coapmsg_add_uint(response, COAPMSG_OPT_SIZE2, (uint32_t)whole);
    coapmsg_set_payload(response, response->payload + offset, left < size ? left : size);
    return true;
}

static void cut_or_refuse(struct block_server *bs, const struct block_exchange *x, struct coapmsg *response)
{
    struct coapmsg_block asked = {0, false, SZX_OF_OUR_BLOCKS};

    if (x->has_block2)
        asked = x->block2;
    if (asked.num == 0 && response->payload_size <= (x->has_block2 ? 0 : block_size(&asked)))
        return;
    if (!cut(response, &asked))
        (void)refuse(bs, response, COAPMSG_BAD_REQUEST, "there is no such block");
}

static void confirm_upload(const struct block_exchange *x, struct coapmsg *response)
{
    if (x->has_block1)
        coapmsg_add_block(response, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){x->block1.num, false, x->block1.szx});
}

/* Answers from what is kept. */
static enum block_verdict repeat(struct block_server *bs, const struct block_exchange *x, struct transfer *t,
                                 struct coapmsg *response)
{
    touch(bs, t);
    if (coapmsg_decode(response, t->data.data, t->data.size) != 0)
        return refuse(bs, response, COAPMSG_INTERNAL_ERROR, "");
    cut_or_refuse(bs, x, response);
    confirm_upload(x, response);
    return BLOCK_SERVER_ANSWERED;
}

static void keep(struct block_server *bs, const struct block_exchange *x, const struct coapmsg *response)
{
    struct transfer *t = renew_transfer(bs, x, KEPT);
    size_t size = coapmsg_size(response);
    uint8_t *room;

    if (!t)
        return;
    room = size <= most_bytes(bs) ? buffer_reserve(&t->data, size) : NULL;
    t->data.size = room ? coapmsg_encode(response, room, size) : 0;
    resize(bs, t, 0);
    if (t->data.size)
        trim(bs, t);
    else
        drop(bs, t);
}

/* All blocks of a representation have one ETag (RFC 7959 section 2.4); where the resource gives none it is made of the
 * content. */
static void add_etag(struct block_exchange *x, struct coapmsg *response)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (coapmsg_find(response, COAPMSG_OPT_ETAG) || COAPMSG_CLASS(response->code) != 2 ||
        !EVP_Digest(response->payload, response->payload_size, digest, NULL, EVP_sha256(), NULL))
        return;
    memcpy(x->etag, digest, sizeof x->etag);
    coapmsg_add(response, COAPMSG_OPT_ETAG, x->etag, sizeof x->etag);
}

void block_server_answer(struct block_server *bs, struct block_exchange *exchange, struct coapmsg *response)
{
    struct block_exchange *x = exchange;
    size_t size = x->has_block2 ? block_size(&x->block2) : (size_t)16 << SZX_OF_OUR_BLOCKS;
    bool in_blocks = response->payload_size > size || (x->has_block2 && x->block2.num > 0);
    struct transfer *upload = x->has_block1 && x->block1.num > 0 ? find_transfer(bs, x) : NULL;
    bool executed = upload && upload->state == EXECUTING;

    if (executed && COAPMSG_CLASS(response->code) == 5) {
        drop(bs, upload); /* to be tried again from the start */
        executed = false;
    }
    if (in_blocks)
        add_etag(x, response);
    /* An error instead of a later block may have another reason the next time. */
    if (COAPMSG_CLASS(response->code) != 2)
        in_blocks = in_blocks && x->block2.num == 0;
    if (x->party != BLOCK_SERVER_NOBODY && (in_blocks || executed) && !response->failed)
        keep(bs, x, response);
    cut_or_refuse(bs, x, response);
    confirm_upload(x, response);
}

void block_exchange_end(struct block_exchange *exchange)
{
    free(steal_pointer(exchange->owned));
}

/* Bodies in blocks ------------------------------------------------------------------------------------------------ */

/* The first block, which begins the transfer anew (RFC 7959 section 2.5). */
static enum block_verdict begin(struct block_server *bs, const struct block_exchange *x, struct coapmsg *response)
{
    struct transfer *t = renew_transfer(bs, x, COLLECTING);

    if (!t)
        return refuse(bs, response, COAPMSG_UNAVAILABLE, "out of memory");
    buffer_append(&t->data, x->body, x->size);
    resize(bs, t, 0);
    trim(bs, t);
    return go_on(x, response);
}

/* All blocks are there: hands the body over. */
static enum block_verdict complete(struct block_server *bs, struct block_exchange *x, struct transfer *t)
{
    bs->stats.bytes -= t->data.size;
    x->owned = buffer_steal(&t->data, &x->size);
    x->body = x->owned;
    t->state = EXECUTING;
    t->collected = x->size;
    if (bs->options.outer)
        drop(bs, t);
    return BLOCK_SERVER_WHOLE;
}

/* Adds a block to what was collected; bytes that are held already must be the same. */
static enum block_verdict collect(struct block_server *bs, struct block_exchange *x, const struct coapmsg *request,
                                  struct transfer *t, struct coapmsg *response)
{
    size_t offset = x->block1.num * block_size(&x->block1), held = t->data.size;
    size_t known = held - offset < x->size ? held - offset : x->size;

    if (offset > held)
        return refuse_gap(bs, x, request, held, response);
    if ((known && memcmp(t->data.data + offset, x->body, known) != 0) || (!x->block1.more && offset + x->size < held)) {
        drop(bs, t);
        return refuse_gap(bs, x, request, 0, response);
    }
    touch(bs, t);
    if (known < x->size)
        buffer_append(&t->data, x->body + known, x->size - known);
    resize(bs, t, held);
    if (t->data.failed) {
        drop(bs, t);
        return refuse(bs, response, COAPMSG_UNAVAILABLE, "out of memory");
    }
    trim(bs, t);
    return x->block1.more ? go_on(x, response) : complete(bs, x, t);
}

static enum block_verdict take_later_block(struct block_server *bs, struct block_exchange *x,
                                           const struct coapmsg *request, struct coapmsg *response)
{
    struct transfer *t = find_transfer(bs, x);
    size_t end = x->block1.num * block_size(&x->block1) + x->size;
    bool is_last_again = t && t->state != COLLECTING && !x->block1.more && end == t->collected;

    if (is_last_again && t->state == KEPT)
        return repeat(bs, x, t, response);
    if (is_last_again) {
        (void)refuse(bs, response, COAPMSG_UNAVAILABLE, "the body is being worked on");
        coapmsg_add_uint(response, COAPMSG_OPT_MAX_AGE, 1);
        return BLOCK_SERVER_ANSWERED;
    }
    if (!t || t->state != COLLECTING)
        return refuse_gap(bs, x, request, 0, response);
    return collect(bs, x, request, t, response);
}

static bool is_too_large(const struct block_server *bs, const struct block_exchange *x, const struct coapmsg *request)
{
    uint32_t announced = 0;

    (void)coapmsg_get_uint(request, COAPMSG_OPT_SIZE1, &announced);
    return announced > bs->options.body || x->block1.num * block_size(&x->block1) + x->size > bs->options.body;
}

static enum block_verdict take_upload(struct block_server *bs, struct block_exchange *x, const struct coapmsg *request,
                                      struct coapmsg *response)
{
    size_t size = block_size(&x->block1);
    bool is_alone = x->block1.num == 0 && !x->block1.more;

    if (x->block1.more ? x->size != size : x->size > size)
        return refuse(bs, response, COAPMSG_BAD_REQUEST, "the payload is not as long as Block1 says");
    if (is_too_large(bs, x, request) || (x->party == BLOCK_SERVER_NOBODY && !is_alone))
        return refuse_size(bs, x, response);
    if (is_alone)
        return BLOCK_SERVER_WHOLE;
    return x->block1.num == 0 ? begin(bs, x, response) : take_later_block(bs, x, request, response);
}

/* A later block of an answer: from what is kept; else a read is done again, and its ETag tells whether it is the same.
 */
static enum block_verdict take_download(struct block_server *bs, const struct block_exchange *x,
                                        const struct coapmsg *request, struct coapmsg *response)
{
    struct transfer *t = find_kept(bs, x);

    if (t)
        return repeat(bs, x, t, response);
    if (request->code != COAPMSG_GET)
        return refuse(bs, response, COAPMSG_INCOMPLETE, "this answer is not kept any more");
    return BLOCK_SERVER_WHOLE;
}

enum block_verdict block_server_take(struct block_server *bs, uint64_t party, const struct coapmsg *request,
                                     struct block_exchange *exchange, struct coapmsg *response)
{
    struct block_exchange *x = exchange;
    int r1, r2;

    *x = (struct block_exchange){.party = party, .body = request->payload, .size = request->payload_size};
    set_key(x, request);
    r1 = coapmsg_get_block(request, COAPMSG_OPT_BLOCK1, &x->block1);
    r2 = bs->options.outer ? 1 : coapmsg_get_block(request, COAPMSG_OPT_BLOCK2, &x->block2);
    x->has_block1 = r1 == 0;
    x->has_block2 = r2 == 0;
    if (r1 == 2 || r2 == 2)
        return refuse(bs, response, COAPMSG_BAD_REQUEST, "a malformed Block option"); /* RFC 7959 section 2.2 */
    if (!x->has_block1 && x->size > bs->options.body) {
        x->block1.szx = SZX_OF_OUR_BLOCKS;
        return refuse_size(bs, x, response);
    }
    trim(bs, NULL);
    if (x->has_block2 && x->block2.num > 0)
        return take_download(bs, x, request, response);
    return x->has_block1 ? take_upload(bs, x, request, response) : BLOCK_SERVER_WHOLE;
}

/* The whole ------------------------------------------------------------------------------------------------------- */

int block_server_new(struct block_server **out, const struct block_server_options *options)
{
    struct block_server *bs = calloc(1, sizeof *bs);

    if (!bs)
        return -ENOMEM;
    bs->options = *options;
    list_init(&bs->by_age);
    *out = bs;
    return 0;
}

struct block_server *block_server_free(struct block_server *bs)
{
    if (!bs)
        return NULL;
    list_each(node, &bs->by_age) drop(bs, container_of(node, struct transfer, age_node));
    free(bs);
    return NULL;
}

void block_server_configure(struct block_server *bs, const struct block_server_options *options)
{
    bs->options = *options;
    trim(bs, NULL);
}

void block_server_forget(struct block_server *bs, uint64_t party)
{
    struct party *found;

    while ((found = find_party(bs, party)))
        drop(bs, list_first(&found->transfers, struct transfer, party_node));
}

void block_server_get_stats(const struct block_server *bs, struct block_server_stats *out)
{
    *out = bs->stats;
}
