#include "agent_fixture.h"

#include "agent/v1.h"
#include "base/text.h"
#include "codec/cborio.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define START_TIME 1000000

#define WASM_HEAD 0x00, 'a', 's', 'm', 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0
#define WASM_EXPORT 7, 8, 1, 4, 'l', 'o', 'o', 'p', 0, 0

static const uint8_t wasm_runs[] = {WASM_HEAD, WASM_EXPORT, 10, 6, 1, 4, 0, 0x41, 0, 0x0b};
static const uint8_t wasm_ends[] = {WASM_HEAD, WASM_EXPORT, 10, 6, 1, 4, 0, 0x41, 1, 0x0b};
static const uint8_t wasm_traps[] = {WASM_HEAD, WASM_EXPORT, 10, 5, 1, 3, 0, 0x00, 0x0b};
static const uint8_t wasm_broken[] = {WASM_HEAD, 7, 99, 1};

const struct code code_runs = {wasm_runs, sizeof wasm_runs};
const struct code code_ends = {wasm_ends, sizeof wasm_ends};
const struct code code_traps = {wasm_traps, sizeof wasm_traps};
const struct code code_broken = {wasm_broken, sizeof wasm_broken};

static void capture(void *arg, const struct peer *peer, const uint8_t *data, size_t size)
{
    struct fixture *f = arg;
    struct sent *s = &f->sent[f->sent_count];

    ck_assert_uint_lt(f->sent_count, SENT_MAX);
    f->sent_count++;
    s->peer = *peer;
    memcpy(s->data, data, size);
    s->size = size;
}

struct peer fixture_peer(uint16_t port)
{
    struct peer peer = {.size = sizeof peer.address.v4};

    peer.address.v4.sin_family = AF_INET;
    peer.address.v4.sin_port = htons(port);
    peer.address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return peer;
}

struct fixture *fixture_new_with(const struct device_options *options, size_t pdu_size)
{
    return fixture_new_agent(&(struct agent_options){.device = *options, .pdu_size = pdu_size});
}

struct fixture *fixture_new_agent(const struct agent_options *options)
{
    struct fixture *f = calloc(1, sizeof *f);
    int fd;

    ck_assert_ptr_nonnull(f);
    clock_manual_init(&f->clock, START_TIME, START_TIME);
    (void)snprintf(f->journal_path, sizeof f->journal_path, "/tmp/tcgw-test-agent-XXXXXX");
    fd = mkstemp(f->journal_path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    ck_assert_int_eq(journal_open(&f->journal, f->journal_path, &f->clock.clock), 0);
    f->options = *options;
    ck_assert_int_eq(agent_init(&f->agent, &f->options, 0, &f->clock.clock, &f->journal, capture, f), 0);
    f->key = key_generate();
    ck_assert_ptr_nonnull(f->key);
    f->peer = fixture_peer(40000);
    f->next_id = 1;
    return f;
}

struct fixture *fixture_new(enum device_kind kind, const char *bugs)
{
    struct device_options options = {.kind = kind, .slots = 3, .package_max = 65536};
    char reason[128];

    ck_assert_int_eq(bugs_parse(&options.bugs, bugs, reason, sizeof reason), 0);
    return fixture_new_with(&options, 1204);
}

void fixture_end(struct fixture *f)
{
    agent_clear(&f->agent);
    journal_close(&f->journal);
    (void)remove(f->journal_path);
    key_free(f->key);
    free(f);
}

void fixture_pass(struct fixture *f, int64_t ms)
{
    for (; ms > 0; ms--) {
        clock_manual_advance(&f->clock, 1);
        if (agent_deadline(&f->agent) <= clock_monotonic_ms(&f->clock.clock))
            agent_tick(&f->agent);
    }
}

void fixture_request(struct fixture *f, struct coapmsg *request, uint8_t method, const char *path)
{
    coapmsg_init(request, COAPMSG_CON, method);
    coapmsg_set_token(request, "tk", 2);
    request->id = f->next_id++;
    coapmsg_add_path(request, path);
}

void fixture_send_bytes(struct fixture *f, const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1); /* so that a read beyond the datagram is seen */

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, size);
    f->sent_count = 0;
    agent_input(&f->agent, &f->peer, copy, size);
    free(copy);
    coapmsg_init(&f->answer, COAPMSG_RST, 0);
    if (f->sent_count)
        (void)!coapmsg_decode(&f->answer, f->sent[0].data, f->sent[0].size);
}

void fixture_send(struct fixture *f, const struct coapmsg *request)
{
    uint8_t data[SERVER_DATAGRAM_MAX];
    size_t size = coapmsg_encode(request, data, sizeof data);

    ck_assert_uint_gt(size, 0);
    fixture_send_bytes(f, data, size);
}

uint8_t fixture_ask(struct fixture *f, uint8_t method, const char *path, const char *query)
{
    struct coapmsg request;

    fixture_request(f, &request, method, path);
    if (query)
        coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, query);
    fixture_send(f, &request);
    return f->answer.code;
}

void fixture_metadata(struct fixture *f, const char *uid, struct code code, const void *data, size_t data_size,
                      struct buffer *out)
{
    struct metadata md = {.uid_length = strlen(uid), .type = CONTAINER_TYPE_WASM, .limits = {.loop_period = 100}};
    uint8_t bytes[METADATA_MAX_SIZE];
    int size;

    (void)text_copy(md.uid, sizeof md.uid, uid);
    size = metadata_build(&md, data, data_size, code.bytes, code.size, key_sign, f->key, bytes, sizeof bytes);
    ck_assert_int_gt(size, 0);
    buffer_append(out, bytes, (size_t)size);
}

void fixture_package(struct fixture *f, const char *uid, struct code code, const void *data, size_t data_size,
                     struct buffer *out)
{
    cleanup_buffer struct buffer metadata = {0};
    size_t room = METADATA_MAX_SIZE + data_size + code.size + 32;
    struct cborio_writer w;

    fixture_metadata(f, uid, code, data, data_size, &metadata);
    w = cborio_writer_init(buffer_reserve(out, room), room);
    cborio_put_array(&w, 3);
    cborio_put_bytes(&w, metadata.data, metadata.size);
    cborio_put_bytes(&w, data, data_size);
    cborio_put_bytes(&w, code.bytes, code.size);
    ck_assert(!w.failed);
    out->size += w.used;
}

uint8_t fixture_load(struct fixture *f, const char *uid, struct code code)
{
    cleanup_buffer struct buffer bytes = {0};
    struct coapmsg request;
    char path[128];

    (void)snprintf(path, sizeof path, "/tc/c/%s", uid);
    if (f->options.device.kind == DEVICE_V1) {
        fixture_metadata(f, uid, code, "data", 4, &bytes);
        fixture_request(f, &request, COAPMSG_POST, "/container/");
        coapmsg_add_uint(&request, V1_OPT_ACTION, 1);
        coapmsg_add(&request, V1_OPT_METADATA, bytes.data, bytes.size);
        coapmsg_add(&request, V1_OPT_DATA, "data", 4);
        coapmsg_add(&request, V1_OPT_CODE, code.bytes, code.size);
    } else {
        fixture_package(f, uid, code, "data", 4, &bytes);
        fixture_request(f, &request, COAPMSG_PUT, path);
        coapmsg_add_uint(&request, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_CBOR);
        coapmsg_set_payload(&request, bytes.data, bytes.size);
    }
    fixture_send(f, &request);
    return f->answer.code;
}

uint8_t fixture_v1(struct fixture *f, uint8_t method, unsigned action, const char *uid)
{
    struct coapmsg request;

    fixture_request(f, &request, method, "/container/");
    coapmsg_add_uint(&request, V1_OPT_ACTION, action);
    if (uid)
        coapmsg_add_text(&request, V1_OPT_UID, uid);
    fixture_send(f, &request);
    return f->answer.code;
}

int fixture_v1_status(struct fixture *f, const char *uid)
{
    uint32_t status;

    ck_assert_uint_eq(fixture_v1(f, COAPMSG_GET, 3, uid), COAPMSG_CONTENT);
    return coapmsg_get_uint(&f->answer, V1_OPT_STATUS, &status) ? (int)status : -1;
}

int fixture_v2_state(struct fixture *f, const char *uid)
{
    struct cborio_reader r;
    char path[128];

    (void)snprintf(path, sizeof path, "/tc/c/%s", uid);
    if (fixture_ask(f, COAPMSG_GET, path, NULL) != COAPMSG_CONTENT)
        return -1;
    r = cborio_reader_init(f->answer.payload, f->answer.payload_size);
    for (size_t n = cborio_get_map(&r); n > 0; n--) {
        if (cborio_get_uint(&r, 100) == 4)
            return (int)cborio_get_uint(&r, 100);
        cborio_skip(&r);
    }
    return -1;
}

unsigned fixture_journal_count(const struct fixture *f, const char *one, const char *other)
{
    cleanup_fclose FILE *file = fopen(f->journal_path, "re");
    unsigned count = 0;
    char line[4096];

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        count += strstr(line, one) && strstr(line, other);
    return count;
}

void fixture_put(struct fixture *f, struct coapmsg *request, const char *uid, const struct buffer *package)
{
    static char path[80];

    (void)snprintf(path, sizeof path, "/tc/c/%s", uid);
    fixture_request(f, request, COAPMSG_PUT, path);
    coapmsg_add_uint(request, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_CBOR);
    if (package)
        coapmsg_set_payload(request, package->data, package->size);
}

uint64_t fixture_map_uint(const struct fixture *f, uint64_t wanted)
{
    struct cborio_reader r = cborio_reader_init(f->answer.payload, f->answer.payload_size);

    for (size_t n = cborio_get_map(&r); n > 0; n--) {
        if (cborio_get_uint(&r, 100) == wanted)
            return cborio_get_uint(&r, UINT64_MAX);
        cborio_skip(&r);
    }
    ck_abort_msg("there is no key %u", (unsigned)wanted);
    return 0;
}
