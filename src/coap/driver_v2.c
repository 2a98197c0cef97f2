#include "base/text.h"
#include "coap/task.h"
#include "codec/cborio.h"
#include "codec/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The agent that docs/device-protocol.md section 3 describes. The numbers of its maps' keys stand in this file alone.
 */

#define PACKAGE_PARTS 3 /* metadata, data, code */
#define SMALL_MAX 4096  /* bytes of a representation that should fit one block */
#define LIST_MAX 16384  /* of a list of containers */
#define NOTE_MAX 80     /* bytes of a device's text that go into a detail */

/* A text of the device's for people, safe to show. */
static const char *print_text(const struct buffer *text, char out[NOTE_MAX + 1])
{
    return text->size ? task_print(out, NOTE_MAX + 1, text->data, text->size) : "no reason given";
}

static void prepare_request(struct task *task, uint8_t code, const char *suffix, const char *query)
{
    const struct agents_options *options = &task->agents->options;
    bool reading = code == COAPMSG_GET;

    /* Installing erases flash and starting runs the container's start: both may take as long as a load. */
    task->request = (struct task_request){
        .code = code,
        .query = query,
        .format = -1,
        .answer_timeout_ms = reading ? options->answer_timeout_ms : options->load_timeout_ms,
    };
    (void)snprintf(task->request.path, sizeof task->request.path, "/tc/c%s%s%s", *task->call->uid ? "/" : "",
                   task->call->uid, suffix);
}

/* Outcomes that the protocol gives to error answers of any request. */
static void end_with_error(struct task *task, const struct coapmsg *response, const char *what)
{
    char note[NOTE_MAX + 1], code[5];
    const char *text = print_text(&task->transfer.answer, note);

    (void)coapmsg_code_text(response->code, code);
    switch (response->code) {
    case COAPMSG_NOT_FOUND:
        task->call->state = CONTAINER_ABSENT;
        task_end(task, AGENT_ABSENT, NULL);
        break;
    case COAPMSG_UNPROCESSABLE:
        task_end(task, AGENT_UNVERIFIED, "%s", text);
        break;
    case COAPMSG_UNAVAILABLE:
        task_end(task, AGENT_NO_SLOT, "%s", text);
        break;
    case COAPMSG_INCOMPLETE: /* its payload is for programs */
        task_end(task, AGENT_REFUSED, "the device lost what it was sent, again and again (%s): does it restart?", code);
        break;
    case COAPMSG_NOT_IMPLEMENTED:
    case COAPMSG_METHOD_NOT_ALLOWED:
        task_end(task, AGENT_UNSUPPORTED, "%s: the agent does not support %s", code, what);
        break;
    case COAPMSG_BAD_REQUEST:
    case COAPMSG_UNAUTHORIZED:
    case COAPMSG_FORBIDDEN:
    case COAPMSG_PRECONDITION_FAILED:
    case COAPMSG_UNSUPPORTED_FORMAT:
    case COAPMSG_INTERNAL_ERROR:
        task_end(task, AGENT_REFUSED, "the agent refused to %s (%s): %s", what, code, text);
        break;
    default:
        task_end_unexpected(task, response, what);
    }
}

/* Representations ------------------------------------------------------------------------------------------------- */

struct container_view {
    char uid[CORE_ID_MAX + 1];
    uint64_t state;
    const uint8_t *code_digest; /* NULL: not told */
    const char *reason;
    size_t reason_size;
};

static void take_container_member(struct cborio_reader *r, struct container_view *view)
{
    size_t size;

    switch (cborio_get_uint(r, UINT64_MAX)) {
    case 1:
        cborio_copy_text(r, view->uid, sizeof view->uid);
        break;
    case 4:
        view->state = cborio_get_uint(r, UINT64_MAX);
        break;
    case 5:
        view->reason = cborio_get_text(r, &view->reason_size);
        break;
    case 6:
        view->code_digest = cborio_get_bytes(r, &size);
        if (size != METADATA_DIGEST_SIZE)
            cursor_fail(&r->cursor);
        break;
    default:
        cborio_skip(r);
    }
}

static bool parse_container(const struct buffer *body, struct container_view *view)
{
    struct cborio_reader r = cborio_reader_init(body->data, body->size);

    *view = (struct container_view){.state = UINT64_MAX};
    for (size_t pairs = cborio_get_map(&r); pairs > 0 && !cborio_failed(&r); pairs--)
        take_container_member(&r, view);
    return cborio_ended(&r) && view->uid[0] && view->state != UINT64_MAX;
}

static const enum container_state states[] = {CONTAINER_INSTALLED, CONTAINER_STARTING, CONTAINER_RUNNING,
                                              CONTAINER_STOPPED, CONTAINER_FAILED};

/* Ends the task with what a container's representation says. */
static void end_with_container(struct task *task)
{
    struct agent_call *call = task->call;
    struct container_view view;
    char reason[NOTE_MAX + 1];

    if (!parse_container(&task->transfer.answer, &view)) {
        task_end(task, AGENT_GARBAGE, "the answer is no container's representation");
    } else if (strcmp(view.uid, call->uid) != 0) {
        task_end(task, AGENT_GARBAGE, "the answer tells of another container");
    } else if (view.state >= array_size(states)) {
        task_end(task, AGENT_GARBAGE, "the answer has state %" PRIu64 ", which is none", view.state);
    } else {
        call->state = states[view.state];
        if (view.code_digest)
            (void)text_hex(view.code_digest, METADATA_DIGEST_SIZE, call->artifact_seen);
        task_end(task, AGENT_OK, "%s", task_print(reason, sizeof reason, view.reason, view.reason_size));
    }
}

struct info_view {
    struct agent_probe probe;
    uint64_t version;
    struct {
        char uid[CORE_ID_MAX + 1];
        const uint8_t *tag;
        size_t tag_size;
        uint64_t bytes;
    } held;
};

static uint32_t take_u32(struct cborio_reader *r)
{
    return (uint32_t)cborio_get_uint(r, UINT32_MAX);
}

static void take_printed(struct cborio_reader *r, char *out, size_t size)
{
    size_t text_size;
    const char *text = cborio_get_text(r, &text_size);

    (void)task_print(out, size, text, text ? text_size : 0);
}

static uint32_t take_runtimes(struct cborio_reader *r)
{
    uint32_t mask = 0;

    for (size_t n = cborio_get_array(r); n > 0 && !cborio_failed(r); n--) {
        uint64_t type = cborio_get_uint(r, UINT64_MAX);

        if (type < CONTAINER_TYPE_SUIT)
            mask |= 1u << type;
    }
    return mask;
}

static void take_held(struct cborio_reader *r, struct info_view *view)
{
    if (cborio_get_array(r) != 3)
        cursor_fail(&r->cursor);
    cborio_copy_text(r, view->held.uid, sizeof view->held.uid);
    view->held.tag = cborio_get_bytes(r, &view->held.tag_size);
    view->held.bytes = cborio_get_uint(r, UINT64_MAX);
}

static void take_info_member(struct cborio_reader *r, struct info_view *view)
{
    switch (cborio_get_uint(r, UINT64_MAX)) {
    case 1:
        view->version = cborio_get_uint(r, UINT64_MAX);
        break;
    case 2:
        take_printed(r, view->probe.version, sizeof view->probe.version);
        break;
    case 3:
        take_printed(r, view->probe.reported_id, sizeof view->probe.reported_id);
        break;
    case 4:
        view->probe.caps.runtimes = take_runtimes(r);
        break;
    case 5:
        view->probe.caps.slots = take_u32(r);
        break;
    case 8:
        view->probe.caps.package_max = take_u32(r);
        break;
    case 11:
        take_held(r, view);
        break;
    default:
        cborio_skip(r);
    }
}

static bool parse_info(const void *body, size_t size, struct info_view *view)
{
    struct cborio_reader r = cborio_reader_init(body, size);

    *view = (struct info_view){.probe = {.kind = AGENT_V2}};
    for (size_t pairs = cborio_get_map(&r); pairs > 0 && !cborio_failed(&r); pairs--)
        take_info_member(&r, view);
    return cborio_ended(&r) && view->version == 2;
}

void probe_v2(struct task *task, const struct coapmsg *response)
{
    const struct buffer *body = &task->transfer.answer;
    struct info_view view;

    if (response->code != COAPMSG_CONTENT) {
        task_end_unexpected(task, response, "GET /tc");
    } else if (!parse_info(body->data, body->size, &view)) {
        task_end(task, AGENT_GARBAGE, "the answer to GET /tc is no description of a version 2 agent");
    } else {
        task->call->probe = view.probe;
        task_end(task, AGENT_OK, NULL);
    }
}

/* Load ------------------------------------------------------------------------------------------------------------ */

static size_t head_size(uint64_t size)
{
    return size < 24 ? 1 : size < 0x100 ? 2 : size < 0x10000 ? 3 : size < 0x100000000 ? 5 : 9;
}

static uint64_t package_size(size_t metadata_bytes, uint64_t data_size, uint64_t code_size)
{
    return 1 + head_size(metadata_bytes) + metadata_bytes + head_size(data_size) + data_size + head_size(code_size) +
           code_size;
}

static int check(const struct device *device, const char *uid, const struct artifact *artifact, struct fault *fault)
{
    uint64_t room = device->caps.package_max ? device->caps.package_max : UINT32_MAX;
    struct metadata md;
    size_t bytes = task_describe(uid, artifact, &md);

    if (!bytes)
        return task_set_undescribable(artifact, fault);
    return task_check_size(device, uid, "package", package_size(bytes, artifact->data_size, artifact->code_size), room,
                           fault);
}

/* The largest block that the device, its link and an earlier part of the same transfer allow. */
static uint8_t load_szx(const struct task *task)
{
    const struct agent_call *call = task->call;
    uint8_t szx = task_szx(task);

    while (szx > 0 &&
           ((call->link.block && 16u << szx > call->link.block) || (call->block && 16u << szx > call->block)))
        szx--;
    return szx;
}

/* Makes the package and begins its transfer; false when the task was ended. */
static bool make_package(struct task *task)
{
    const struct agent_call *call = task->call;
    uint8_t metadata[METADATA_MAX_SIZE], digest[METADATA_DIGEST_SIZE];
    size_t metadata_bytes = task_make_metadata(task, metadata), size;
    struct cborio_writer w;

    if (!metadata_bytes)
        return false;
    size = (size_t)package_size(metadata_bytes, call->data_size, call->code_size);
    task->package = malloc(size);
    if (!task->package) {
        task_end(task, AGENT_LOCAL, "out of memory for a package of %zu bytes", size);
        return false;
    }
    w = cborio_writer_init(task->package, size);
    cborio_put_array(&w, PACKAGE_PARTS);
    cborio_put_bytes(&w, metadata, metadata_bytes);
    cborio_put_bytes(&w, call->data, call->data_size);
    cborio_put_bytes(&w, call->code, call->code_size);
    size = cborio_written(&w);
    token_digest(task->package, size, NULL, 0, digest);
    block_begin(&task->transfer, task->package, size, digest, load_szx(task), SMALL_MAX);
    return true;
}

/* The package's ETag in the answer proves that it was installed, and not only its first block by an agent that does
 * not know Block1. */
static void on_load(struct task *task, const struct coapmsg *response)
{
    const struct coapmsg_option *etag = coapmsg_find(response, COAPMSG_OPT_ETAG);
    uint32_t room = 0;

    if (response->code == COAPMSG_CREATED || response->code == COAPMSG_CHANGED) {
        if (etag && etag->length == BLOCK_TAG_SIZE && memcmp(etag->value, task->transfer.tag, BLOCK_TAG_SIZE) == 0)
            task_end(task, AGENT_OK, NULL);
        else
            task_end(task, AGENT_GARBAGE, "the answer to the load has not the package's ETag");
    } else if (response->code == COAPMSG_TOO_LARGE) {
        (void)coapmsg_get_uint(response, COAPMSG_OPT_SIZE1, &room);
        task_end(task, AGENT_TOO_LARGE, "the package has %zu bytes, the device takes %" PRIu32, task->transfer.size,
                 room);
    } else if (response->code == COAPMSG_NOT_FOUND) {
        task_end(task, AGENT_GARBAGE, "the device has no resource /tc/c; check its agent kind");
    } else {
        end_with_error(task, response, "load");
    }
}

/* An upload of the same package that broke off goes on where it stood. */
static void on_held(struct task *task, const struct coapmsg *response)
{
    struct block_transfer *transfer = &task->transfer;
    struct info_view view;

    if (response->code == COAPMSG_CONTENT && parse_info(response->payload, response->payload_size, &view) &&
        strcmp(view.held.uid, task->call->uid) == 0 && view.held.tag_size == sizeof transfer->tag &&
        memcmp(view.held.tag, transfer->tag, sizeof transfer->tag) == 0)
        block_resume(transfer, view.held.bytes);
    else if (response->code == COAPMSG_CONTENT && !view.held.uid[0])
        block_resume(transfer, task->call->resume_at); /* it may not tell; if it holds nothing it says so now */
    push_blocks(task, on_load);
}

static void begin_load(struct task *task)
{
    struct coapmsg request;

    prepare_request(task, COAPMSG_PUT, "", NULL);
    task->request.format = COAPMSG_FORMAT_CBOR;
    if (!make_package(task))
        return;
    if (task->call->resume_sure)
        block_resume(&task->transfer, task->call->resume_at);
    if (!task->transfer.in_blocks || task->call->resume_sure) {
        push_blocks(task, on_load);
        return;
    }
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_path(&request, "/tc");
    task_send(task, &request, false, on_held);
}

/* The other requests ---------------------------------------------------------------------------------------------- */

static void on_start(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_CHANGED) {
        end_with_container(task);
        return;
    }
    if (response->code == COAPMSG_INTERNAL_ERROR)
        task->call->state = CONTAINER_FAILED;
    end_with_error(task, response, "start");
}

static void on_stop(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_CHANGED)
        end_with_container(task);
    else
        end_with_error(task, response, "stop");
}

static void on_status(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_CONTENT)
        end_with_container(task);
    else
        end_with_error(task, response, "tell the state");
}

static void on_remove(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_DELETED) {
        task->call->state = CONTAINER_ABSENT;
        task_end(task, AGENT_OK, NULL);
    } else {
        end_with_error(task, response, "remove");
    }
}

static void on_log(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_CONTENT) {
        task->call->log = buffer_steal(&task->transfer.answer, &task->call->log_size);
        task_end(task, AGENT_OK, NULL);
    } else {
        end_with_error(task, response, "give the log");
    }
}

static bool take_held_container(struct cborio_reader *r, struct agent_held *held)
{
    struct container_view view = {.state = UINT64_MAX};

    for (size_t pairs = cborio_get_map(r); pairs > 0 && !cborio_failed(r); pairs--)
        take_container_member(r, &view);
    if (cborio_failed(r) || !view.uid[0] || view.state >= array_size(states))
        return false;
    memcpy(held->uid, view.uid, sizeof held->uid);
    held->state = states[view.state];
    if (view.code_digest)
        (void)text_hex(view.code_digest, METADATA_DIGEST_SIZE, held->artifact_seen);
    return true;
}

static bool parse_list(struct agent_call *call, const struct buffer *body)
{
    struct cborio_reader r = cborio_reader_init(body->data, body->size);
    size_t count = cborio_get_array(&r);

    if (cborio_failed(&r) || count > AGENT_HELD_MAX)
        return false;
    call->held = calloc(count + 1, sizeof *call->held);
    while (call->held && call->held_count < count && take_held_container(&r, &call->held[call->held_count]))
        call->held_count++;
    return call->held && call->held_count == count && cborio_ended(&r);
}

static void on_list(struct task *task, const struct coapmsg *response)
{
    if (response->code != COAPMSG_CONTENT)
        end_with_error(task, response, "list its containers");
    else if (parse_list(task->call, &task->transfer.answer))
        task_end(task, AGENT_OK, NULL);
    else
        task_end(task, AGENT_GARBAGE, "the answer is no list of containers");
}

static void begin(struct task *task)
{
    static const struct {
        uint8_t code;
        const char *suffix, *query;
        task_answer_fn answer;
    } requests[AGENT_CALL_COUNT] = {
        [AGENT_CALL_START] = {COAPMSG_POST, "", "start", on_start},
        [AGENT_CALL_STATUS] = {COAPMSG_GET, "", NULL, on_status},
        [AGENT_CALL_STOP] = {COAPMSG_POST, "", "stop", on_stop},
        [AGENT_CALL_REMOVE] = {COAPMSG_DELETE, "", NULL, on_remove},
        [AGENT_CALL_LOG] = {COAPMSG_GET, "/log", NULL, on_log},
        [AGENT_CALL_LIST] = {COAPMSG_GET, "", NULL, on_list},
    };
    enum agent_verb verb = task->call->verb;
    size_t limit = verb == AGENT_CALL_LOG    ? task->agents->options.log_max
                   : verb == AGENT_CALL_LIST ? LIST_MAX
                                             : SMALL_MAX;

    if (verb == AGENT_CALL_LOAD) {
        begin_load(task);
        return;
    }
    prepare_request(task, requests[verb].code, requests[verb].suffix, requests[verb].query);
    block_begin(&task->transfer, NULL, 0, NULL, task_szx(task), limit);
    task_transfer(task, requests[verb].answer);
}

const struct driver driver_v2 = {
    .features = {.load_is_idempotent = true,
                 .can_replace = true,
                 .can_stop = true,
                 .can_remove = true,
                 .can_log = true,
                 .can_list = true,
                 .start_is_true = true},
    .check = check,
    .begin = begin,
};
