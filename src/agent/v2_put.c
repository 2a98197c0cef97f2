#include "agent/v2.h"

#include "base/text.h"
#include "codec/cborio.h"
#include "codec/token.h"

#include <errno.h>
#include <string.h>

#define OPT_REQUEST_TAG 292

/* The whole body of a PUT, however it came. */
struct body {
    const uint8_t *data;
    size_t size;
};

struct put {
    struct v2 *v2;
    const struct peer *peer;
    const struct coapmsg *request;
    struct coapmsg *response;
    const char *uid;
    bool *same; /* set when the package was there already */
};

/* What a PUT asks for stands in every block, so it is checked with every block. Returns 0, or 1 after an answer. */
static int check_format(const struct put *p, uint32_t wanted)
{
    uint32_t format;

    if (coapmsg_get_uint(p->request, COAPMSG_OPT_CONTENT_FORMAT, &format) && format == wanted)
        return 0;
    v2_refuse(p->v2, p->response, COAPMSG_UNSUPPORTED_FORMAT, "content format %u is wanted", wanted);
    return 1;
}

static int check_size(const struct put *p, size_t max)
{
    uint32_t size;

    if (p->request->payload_size <= max && (!coapmsg_get_uint(p->request, COAPMSG_OPT_SIZE1, &size) || size <= max))
        return 0;
    v2_refuse(p->v2, p->response, COAPMSG_TOO_LARGE, "at most %zu bytes", max);
    coapmsg_add_uint(p->response, COAPMSG_OPT_SIZE1, (uint32_t)max);
    return 1;
}

static bool if_match_holds(const struct coapmsg *request, const struct slot *slot)
{
    const struct coapmsg_option *match = coapmsg_find(request, COAPMSG_OPT_IF_MATCH);

    if (!match)
        return true;
    for (; slot && match; match = coapmsg_find_next(request, match))
        if (match->length == 0 ||
            (match->length == V2_ETAG_SIZE && memcmp(match->value, slot->package_digest, V2_ETAG_SIZE) == 0))
            return true;
    return false;
}

static int check_conditions(const struct put *p, const struct slot *slot)
{
    if (if_match_holds(p->request, slot) && !(slot && coapmsg_find(p->request, COAPMSG_OPT_IF_NONE_MATCH)))
        return 0;
    v2_refuse(p->v2, p->response, COAPMSG_PRECONDITION_FAILED, "the container %s",
              slot ? "is there, with another package than the condition wants" : "is not there");
    return 1;
}

static void answer_gap(const struct put *p, const struct upload_block *what)
{
    struct cborio_writer w = cborio_writer_init(p->v2->reason, sizeof p->v2->reason);

    cborio_put_map(&w, 1u + (what->tag_size > 0));
    cborio_put_uint(&w, 1);
    cborio_put_uint(&w, upload_held(&p->v2->upload, p->peer, what));
    if (what->tag_size) {
        cborio_put_uint(&w, 2);
        cborio_put_bytes(&w, what->tag, what->tag_size);
    }
    p->response->code = COAPMSG_INCOMPLETE;
    coapmsg_add_uint(p->response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_CBOR);
    coapmsg_set_payload(p->response, p->v2->reason, cborio_written(&w));
}

/* Takes one block. Returns 0 with the body complete, or 1 after an answer. */
static int take_block(const struct put *p, struct upload_block *what, size_t max, struct body *body)
{
    struct coapmsg_block echo = what->block;

    if (echo.szx > v2_max_szx(p->v2))
        echo.szx = v2_max_szx(p->v2);
    switch (upload_take(&p->v2->upload, p->peer, what, max)) {
    case UPLOAD_DONE:
        coapmsg_add_block(p->response, COAPMSG_OPT_BLOCK1, echo);
        *body = (struct body){p->v2->upload.bytes.data, p->v2->upload.bytes.size};
        return 0;
    case UPLOAD_MORE:
        p->response->code = COAPMSG_CONTINUE;
        coapmsg_add_block(p->response, COAPMSG_OPT_BLOCK1, echo);
        return 1;
    case UPLOAD_GAP:
        answer_gap(p, what);
        return 1;
    case UPLOAD_TOO_LARGE:
        v2_refuse(p->v2, p->response, COAPMSG_TOO_LARGE, "at most %zu bytes", max);
        coapmsg_add_uint(p->response, COAPMSG_OPT_SIZE1, (uint32_t)max);
        return 1;
    case UPLOAD_MALFORMED:
        break;
    }
    v2_refuse(p->v2, p->response, COAPMSG_BAD_REQUEST, "a block before the last one is not full");
    return 1;
}

/* Returns 0 with the body complete, or 1 after an answer. kind tells packages and data parts apart. */
static int take_body(const struct put *p, char kind, size_t max, struct body *body)
{
    const struct coapmsg_option *tag = coapmsg_find(p->request, OPT_REQUEST_TAG);
    char target[UPLOAD_TARGET_MAX];
    struct upload_block what = {.target = target, .payload = p->request->payload};

    what.payload_size = p->request->payload_size;
    if (tag && tag->length <= UPLOAD_TAG_MAX) {
        what.tag = tag->value;
        what.tag_size = tag->length;
    }
    (void)snprintf(target, sizeof target, "%c/%s", kind, p->uid);
    switch (coapmsg_get_block(p->request, COAPMSG_OPT_BLOCK1, &what.block)) {
    case 0:
        return take_block(p, &what, max, body);
    case 1:
        *body = (struct body){p->request->payload, p->request->payload_size};
        return 0;
    default:
        v2_refuse(p->v2, p->response, COAPMSG_BAD_REQUEST, "the Block1 option is malformed");
        return 1;
    }
}

static bool parse_package(const struct body *body, struct verify_parts *parts)
{
    struct cborio_reader r = cborio_reader_init(body->data, body->size);

    if (cborio_get_array(&r) != 3)
        return false;
    parts->metadata = cborio_get_bytes(&r, &parts->metadata_size);
    parts->data = cborio_get_bytes(&r, &parts->data_size);
    parts->code = cborio_get_bytes(&r, &parts->code_size);
    return cborio_ended(&r) && parts->code_size > 0;
}

/* Verifies and installs. Returns the slot, or NULL after an answer. */
static struct slot *install_parts(const struct put *p, struct slot *slot, const struct verify_parts *parts)
{
    struct v2 *v2 = p->v2;
    struct device *d = v2->device;
    char reason[CONTAINER_REASON_SIZE] = "";
    struct metadata md;
    int r = verify_container(&d->options->verify, parts, &md, reason, sizeof reason);

    if (!r && strcmp(md.uid, p->uid) != 0) {
        (void)snprintf(reason, sizeof reason, "the metadata is for the uid %s", md.uid);
        r = 1;
    }
    if (!r)
        r = device_install(d, slot, &md, parts, CONTAINER_CHECK_NOW, reason, sizeof reason);
    if (!r)
        return slot;
    if (r < 0)
        v2_refuse(v2, p->response, COAPMSG_INTERNAL_ERROR, "%s", r == -EIO ? reason : "no memory");
    else
        v2_refuse(v2, p->response, COAPMSG_UNPROCESSABLE, "%s", reason);
    return NULL;
}

static void install_body(const struct put *p, struct slot *held, const struct body *body)
{
    uint8_t digest[METADATA_DIGEST_SIZE];
    struct verify_parts parts;
    struct slot *slot = held;

    token_digest(body->data, body->size, NULL, 0, digest);
    *p->same = held && !held->data_changed && memcmp(digest, held->package_digest, sizeof digest) == 0;
    if (!*p->same) {
        if (!parse_package(body, &parts)) {
            v2_refuse(p->v2, p->response, COAPMSG_BAD_REQUEST,
                      "a package is an array of three byte strings: "
                      "metadata, data, code (not empty)");
            return;
        }
        slot = install_parts(p, held ? held : device_free_slot(p->v2->device), &parts);
        if (!slot)
            return;
        memcpy(slot->package_digest, digest, sizeof digest);
        slot->package_size = body->size;
    }
    p->response->code = held ? COAPMSG_CHANGED : COAPMSG_CREATED;
    coapmsg_add(p->response, COAPMSG_OPT_ETAG, slot->package_digest, V2_ETAG_SIZE);
}

static void put_package(const struct put *p)
{
    struct device *d = p->v2->device;
    struct slot *held = device_find(d, p->uid, strlen(p->uid));
    size_t room = device_room(d, held), max = room < d->options->package_max ? room : d->options->package_max;
    struct body body;

    if (check_format(p, COAPMSG_FORMAT_CBOR) || check_size(p, max) || check_conditions(p, held))
        return;
    if (!held && !device_free_slot(d)) {
        v2_refuse(p->v2, p->response, COAPMSG_UNAVAILABLE, "all %u slots are in use", d->options->slots);
        return;
    }
    if (take_body(p, 'c', max, &body))
        return;
    p->v2->received = body.data == p->v2->upload.bytes.data ? p->v2->upload.received : body.size;
    install_body(p, held, &body);
    if (body.data == p->v2->upload.bytes.data)
        upload_clear(&p->v2->upload);
}

static void note_load(const struct put *p)
{
    bool done = COAPMSG_CLASS(p->response->code) == 2;

    device_note(p->v2->device, done ? device_find(p->v2->device, p->uid, strlen(p->uid)) : NULL,
                (struct journal_entry){.event = "load",
                                       .outcome = !done      ? "refused"
                                                  : *p->same ? "same"
                                                             : "ok",
                                       .uid = p->uid,
                                       .uid_size = strlen(p->uid),
                                       .code = p->response->code,
                                       .message_id = p->request->id,
                                       .counter = done ? p->v2->received : 0,
                                       .detail = done ? NULL : p->v2->reason});
}

enum server_verdict v2_put_package(struct v2 *v2, const struct peer *peer, const struct coapmsg *request,
                                   const char *uid, struct coapmsg *response)
{
    bool same = false;
    const struct put p = {v2, peer, request, response, uid, &same};

    put_package(&p);
    if (response->code != COAPMSG_CONTINUE && response->code != COAPMSG_INCOMPLETE)
        note_load(&p);
    return response->code == COAPMSG_CONTINUE ? SERVER_ANSWER : SERVER_ANSWER_LOAD;
}

void v2_put_data(struct v2 *v2, const struct peer *peer, const struct coapmsg *request, const char *uid,
                 struct coapmsg *response)
{
    bool same = false;
    const struct put p = {v2, peer, request, response, uid, &same};
    struct slot *slot = device_find(v2->device, uid, strlen(uid));
    struct body body;

    if (v2->device->options->verify.has_key) {
        v2_refuse(v2, response, COAPMSG_FORBIDDEN, "this agent takes only signed data, within a package");
        return;
    }
    if (check_format(&p, COAPMSG_FORMAT_OCTETS) || check_size(&p, v2->device->options->package_max) ||
        take_body(&p, 'd', v2->device->options->package_max, &body))
        return;
    if (container_set_data(slot->container, body.data, body.size)) {
        v2_refuse(v2, response, COAPMSG_INTERNAL_ERROR, "no memory");
    } else {
        slot->data_changed = true;
        response->code = COAPMSG_CHANGED;
    }
    if (body.data == v2->upload.bytes.data)
        upload_clear(&v2->upload);
}
