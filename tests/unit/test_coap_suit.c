#include "coap_fixture.h"
#include "suite.h"

#include "base/text.h"
#include "codec/suit.h"

#include <openssl/evp.h>
#include <string.h>

/* The driver of SUIT devices, and what it serves, against a device that behaves as RIOT does: it fetches from another
 * port than it listens on, with empty tokens and blocks of 64 bytes, and says nothing of how that ended. */

#define REQUEST_MAX 112 /* bytes of a request that the smallest build takes */

static struct box *const box = &world.box;

enum fetching { FETCH_NOTHING, FETCH_MANIFEST, FETCH_PAYLOAD };

static struct {
    uv_udp_t udp; /* it fetches from here */
    const char *board;
    uint64_t version;
    bool mute_version;      /* "NONE", as RIOT */
    uint8_t trigger_code;   /* 0: 2.01 */
    bool ignores_trigger;   /* 2.01, and nothing follows */
    bool refuses_manifest;  /* fetched, and nothing more */
    size_t stop_payload_at; /* bytes; 0: not */
    bool flash_fails;       /* all is fetched, and not installed */
    char trigger[128];      /* what it was told to fetch */
    size_t trigger_size;
    unsigned triggers;
    enum fetching fetching;
    char path[128];
    uint32_t block;
    uint16_t id;
    struct buffer manifest, payload;
    uint64_t sequence;
    char exec[16];
} device;

static uint8_t envelope[700];
static size_t envelope_size;
static size_t progress_done, progress_total;
static unsigned progress_calls;

static void fetch_block(void)
{
    struct sockaddr_in to = box->from;
    struct coapmsg request;
    uint8_t out[256];
    size_t size;
    uv_buf_t buf;

    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    request.id = ++device.id;
    coapmsg_add_path(&request, device.path);
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){device.block, false, 2});
    size = coapmsg_encode(&request, out, sizeof out);
    buf = uv_buf_init((char *)out, (unsigned)size);
    ck_assert_int_eq(uv_udp_try_send(&device.udp, &buf, 1, (struct sockaddr *)&to), (int)size);
}

static void fetch(enum fetching what, const char *uri)
{
    const char *host = strstr(uri, "://");

    ck_assert_ptr_nonnull(host);
    (void)snprintf(device.path, sizeof device.path, "%s", strchr(host + 3, '/'));
    device.fetching = what;
    device.block = 0;
    buffer_clear(what == FETCH_MANIFEST ? &device.manifest : &device.payload);
    fetch_block();
}

static void take_manifest(void)
{
    struct suit_manifest manifest;
    char reason[128] = "";

    device.fetching = FETCH_NOTHING;
    ck_assert_msg(suit_parse(&manifest, device.manifest.data, device.manifest.size, reason, sizeof reason) == 0, "%s",
                  reason);
    ck_assert_msg(suit_verify(&manifest, key_pkey(world.key), reason, sizeof reason) == 0, "%s", reason);
    device.sequence = manifest.sequence;
    if (device.refuses_manifest || manifest.sequence <= device.version)
        return;
    ck_assert_uint_lt(strlen(strchr(strstr(manifest.components[0].uri, "://") + 3, '/')), 64);
    fetch(FETCH_PAYLOAD, manifest.components[0].uri);
}

static void take_payload(void)
{
    device.fetching = FETCH_NOTHING;
    if (!device.flash_fails)
        device.version = device.sequence;
}

static void take_block(const struct coapmsg *response)
{
    struct buffer *body = device.fetching == FETCH_MANIFEST ? &device.manifest : &device.payload;
    struct coapmsg_block block = {0, false, 2};

    if (device.fetching == FETCH_NOTHING || response->code != COAPMSG_CONTENT)
        return;
    ck_assert_uint_eq(response->id, device.id);
    ck_assert_uint_eq(response->token_length, 0);
    ck_assert_int_eq(coapmsg_get_block(response, COAPMSG_OPT_BLOCK2, &block), 0);
    ck_assert_uint_eq(block.num, device.block);
    buffer_append(body, response->payload, response->payload_size);
    if (block.more && device.fetching == FETCH_PAYLOAD && device.stop_payload_at &&
        body->size >= device.stop_payload_at)
        return;
    if (block.more) {
        device.block++;
        fetch_block();
    } else if (device.fetching == FETCH_MANIFEST) {
        take_manifest();
    } else {
        take_payload();
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char bytes[2048];

    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_datagram(uv_udp_t *udp, ssize_t size, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
    struct coapmsg response;

    (void)udp;
    (void)flags;
    if (size > 0 && from && coapmsg_decode(&response, (uint8_t *)buf->base, (size_t)size) == 0)
        take_block(&response);
}

static void take_trigger(struct box *b)
{
    const struct coapmsg *request = &b->request;

    device.triggers++;
    ck_assert_uint_le(b->size, REQUEST_MAX);
    ck_assert_uint_le(request->payload_size, 63);
    memcpy(device.trigger, request->payload, request->payload_size);
    device.trigger_size = request->payload_size;
    ck_assert_int_eq(device.trigger[device.trigger_size - 1], 0); /* or what a longer one left would be read with it */
    ck_assert_uint_eq(strlen(device.trigger), device.trigger_size - 1);
    box_answer(b, device.trigger_code ? device.trigger_code : COAPMSG_CREATED, "");
    if (!device.trigger_code && !device.ignores_trigger)
        fetch(FETCH_MANIFEST, device.trigger);
}

static void run_device(struct box *b)
{
    const struct coapmsg *request = &b->request;
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)device.version);
    if (coapmsg_path_is(request, "/.well-known/core"))
        box_answer(b, COAPMSG_CONTENT, "</riot/board>,</suit/slot/active>,</suit/trigger>,</suit/version>");
    else if (coapmsg_path_is(request, "/riot/board"))
        box_answer(b, device.board ? COAPMSG_CONTENT : COAPMSG_NOT_FOUND, device.board ? device.board : "");
    else if (coapmsg_path_is(request, "/suit/version"))
        box_answer(b, COAPMSG_CONTENT, device.mute_version ? "NONE" : text);
    else if (coapmsg_path_is(request, "/suit/trigger") && request->code == COAPMSG_POST)
        take_trigger(b);
    else
        box_answer(b, COAPMSG_NOT_FOUND, "");
}

static void set_digests(void)
{
    uint8_t digest[32];

    ck_assert(EVP_Digest(world.code, world.artifact.code_size, digest, NULL, EVP_sha256(), NULL));
    (void)text_hex(digest, sizeof digest, world.artifact.code_digest);
    ck_assert(EVP_Digest(world.data, world.artifact.data_size, digest, NULL, EVP_sha256(), NULL));
    (void)text_hex(digest, sizeof digest, world.artifact.data_digest);
}

static void set_up(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char reason[128];

    world_set_up();
    memset(&device, 0, sizeof device);
    world.options.suit_key = world.key;
    world.options.load_timeout_ms = 1500;
    agents_configure(world.agents, &world.options);
    ck_assert_int_eq(agents_listen(world.agents, PEER_UDP, "127.0.0.1:0", reason, sizeof reason), 0);
    ck_assert_int_eq(uv_udp_init(&world.loop, &device.udp), 0);
    ck_assert_int_eq(uv_udp_bind(&device.udp, (struct sockaddr *)&any, 0), 0);
    ck_assert_int_eq(uv_udp_recv_start(&device.udp, on_alloc, on_datagram), 0);
    device.board = "native64";
    device.version = 5;
    box->script = run_device;
    world.device.agent = AGENT_SUIT;
    world.artifact.type = CONTAINER_TYPE_RBPF;
    world.artifact.data_size = 0;
    world.artifact.code_size = 1500;
    set_digests();
    progress_done = progress_total = progress_calls = 0;
}

static void tear_down(void)
{
    uv_close((uv_handle_t *)&device.udp, NULL);
    buffer_clear(&device.manifest);
    buffer_clear(&device.payload);
    world_tear_down();
}

static void on_progress(struct agent_call *call, size_t done, size_t total)
{
    ck_assert_ptr_eq(call, &world.call);
    ck_assert_uint_ge(done, progress_done);
    progress_done = done;
    progress_total = total;
    progress_calls++;
}

/* Begins a call about a container of RAM, of which the device is known to have taken manifest `installed`. */
static void begin(enum agent_verb verb, uint64_t installed, uint64_t sent)
{
    world_prepare(verb);
    (void)snprintf(world.call.uid, sizeof world.call.uid, "ram.0");
    world.call.installed.sequence = installed;
    world.call.sent.sequence = sent;
    memset(world.call.installed.code_digest, 'a', 64);
    memset(world.call.sent.code_digest, 'b', 64);
    world.call.progress = on_progress;
    if (world.artifact.type == CONTAINER_TYPE_SUIT)
        world.call.code = envelope;
    world_begin_prepared();
}

static enum agent_outcome call(enum agent_verb verb, uint64_t installed, uint64_t sent)
{
    begin(verb, installed, sent);
    ck_assert(world_run(15000));
    ck_assert_uint_eq(world.done, 1);
    return world.call.outcome;
}

static enum agent_outcome load(uint64_t sequence)
{
    return call(AGENT_CALL_LOAD, 0, sequence);
}

static bool detail_has(const char *text)
{
    return strstr(world.call.detail, text) != NULL;
}

/* Loads ------------------------------------------------------------------------------------------------------------ */

START_TEST(a_container_is_installed)
{
    ck_assert_int_eq(load(7), AGENT_OK);
    ck_assert_uint_eq(device.version, 7);
    ck_assert_uint_eq(device.triggers, 1);
    ck_assert_uint_eq(device.payload.size, 1500);
    ck_assert_mem_eq(device.payload.data, world.code, 1500);
    ck_assert_uint_le(device.manifest.size, SUIT_RIOT_MAX);
    ck_assert(strstr(device.trigger, "/m/box-1"));
    ck_assert(world.call.version_known);
    ck_assert_uint_eq(world.call.version_seen, 5); /* before */
    ck_assert_uint_eq(progress_done, 1500);
    ck_assert_uint_eq(progress_total, 1500);
}
END_TEST

START_TEST(the_manifest_says_for_whom_and_what_it_is)
{
    struct suit_manifest manifest;
    const struct suit_component *c = &manifest.components[0];
    uint8_t vendor[16], class_id[16], digest[32];
    char reason[128];

    ck_assert_int_eq(load(7), AGENT_OK);
    ck_assert_int_eq(suit_parse(&manifest, device.manifest.data, device.manifest.size, reason, sizeof reason), 0);
    suit_vendor_id("riot-os.org", vendor);
    suit_class_id(vendor, "native64", class_id);
    ck_assert_int_eq(manifest.dialect, SUIT_RIOT);
    ck_assert_uint_eq(manifest.sequence, 7);
    ck_assert_uint_eq(manifest.component_count, 1);
    ck_assert_uint_eq(c->id_count, 2);
    ck_assert(c->id[0].size == 3 && memcmp(c->id[0].bytes, "ram", 3) == 0);
    ck_assert(c->id[1].size == 1 && c->id[1].bytes[0] == '0');
    ck_assert(c->has_vendor && memcmp(c->vendor, vendor, 16) == 0);
    ck_assert(c->has_class && memcmp(c->class_id, class_id, 16) == 0);
    ck_assert(text_unhex(world.artifact.code_digest, digest, 32) && memcmp(c->digest, digest, 32) == 0);
    ck_assert(c->has_size && c->size == 1500);
}
END_TEST

START_TEST(a_device_that_tells_no_number_is_believed)
{
    device.mute_version = true;
    ck_assert_int_eq(load(7), AGENT_OK);
    ck_assert(!world.call.version_known);
    ck_assert_uint_eq(device.version, 7);
}
END_TEST

START_TEST(a_long_name_gives_way_to_a_short_one)
{
    memset(world.device.id, 'x', CORE_ID_MAX);
    ck_assert_int_eq(load(7), AGENT_OK);
    ck_assert_ptr_null(strstr(device.trigger, "xxx"));
    ck_assert_uint_le(device.trigger_size, 63);
}
END_TEST

START_TEST(a_device_that_never_fetches_is_not_waited_for_forever)
{
    device.ignores_trigger = true;
    ck_assert_int_eq(load(7), AGENT_NO_ANSWER);
    ck_assert(detail_has("fetched 0 of"));
}
END_TEST

START_TEST(a_device_that_refuses_the_manifest_is_told_from_others)
{
    device.refuses_manifest = true;
    ck_assert_int_eq(load(7), AGENT_UNVERIFIED);
    ck_assert(detail_has("not the payload"));
}
END_TEST

START_TEST(a_device_that_stops_in_the_middle_may_be_told_again)
{
    device.stop_payload_at = 640;
    ck_assert_int_eq(load(7), AGENT_NO_ANSWER);
    ck_assert(detail_has("stopped after 640 of 1500"));
    device.stop_payload_at = progress_done = 0;
    ck_assert_int_eq(load(8), AGENT_OK);
}
END_TEST

START_TEST(a_device_that_does_not_install_is_not_believed)
{
    device.flash_fails = true;
    ck_assert_int_eq(load(7), AGENT_UNVERIFIED);
    ck_assert(detail_has("still tells sequence number 5"));
}
END_TEST

START_TEST(a_trigger_that_is_refused_ends_it)
{
    device.trigger_code = COAPMSG_TOO_LARGE;
    ck_assert_int_eq(load(7), AGENT_REFUSED);
    device.trigger_code = COAPMSG_NOT_FOUND;
    ck_assert_int_eq(load(7), AGENT_GARBAGE);
}
END_TEST

START_TEST(what_the_device_has_already_is_not_sent)
{
    ck_assert_int_eq(load(5), AGENT_REFUSED);
    ck_assert(detail_has("sequence number 5"));
    ck_assert_uint_eq(device.triggers, 0);
    ck_assert_int_eq(load(4), AGENT_REFUSED);
    ck_assert_uint_eq(device.triggers, 0);
}
END_TEST

START_TEST(a_device_without_a_board_takes_no_manifest_of_ours)
{
    device.board = NULL;
    ck_assert_int_eq(load(7), AGENT_GARBAGE);
    ck_assert_uint_eq(device.triggers, 0);
}
END_TEST

START_TEST(a_gateway_without_a_key_makes_no_manifest)
{
    world.options.suit_key = NULL;
    agents_configure(world.agents, &world.options);
    ck_assert_int_eq(load(7), AGENT_LOCAL);
    ck_assert_uint_eq(device.triggers, 0);
}
END_TEST

START_TEST(a_load_that_is_cancelled_serves_nothing_any_more)
{
    device.stop_payload_at = 64;
    begin(AGENT_CALL_LOAD, 0, 7);
    world_run_for(300);
    ck_assert_uint_eq(world.done, 0);
    ck_assert_uint_gt(device.payload.size, 0);
    world.port.cancel(world.port.arg, &world.call);
    device.payload.size = 0;
    device.block = 1;
    fetch_block(); /* 4.04 */
    world_run_for(100);
    ck_assert_uint_eq(device.payload.size, 0);
    ck_assert_uint_eq(world.done, 0);
}
END_TEST

/* The device goes on with the next block of its payload. */
static void fetch_on(void)
{
    device.stop_payload_at = 0;
    device.block++;
    fetch_block();
}

START_TEST(a_load_makes_room_and_goes_on)
{
    device.stop_payload_at = 640;
    begin(AGENT_CALL_LOAD, 0, 7);
    world_run_for(300);
    ck_assert_uint_eq(device.payload.size, 640);
    world.port.pause(world.port.arg, &world.call);
    ck_assert_uint_eq(world.done, 0); /* from the loop only */
    ck_assert(world_run(1000));
    ck_assert_int_eq(world.call.outcome, AGENT_PAUSED);
    ck_assert(world.call.version_known);
    fetch_on(); /* meanwhile */
    world_run_for(100);
    ck_assert_uint_eq(device.payload.size, 1500);
    ck_assert_int_eq(load(7), AGENT_OK);
    ck_assert_uint_eq(device.triggers, 1);
    ck_assert_uint_eq(device.version, 7);
}
END_TEST

START_TEST(a_load_that_is_paused_to_be_cancelled_ends)
{
    device.stop_payload_at = 640;
    begin(AGENT_CALL_LOAD, 0, 7);
    world_run_for(300);
    world.call.cancelled = true;
    world.port.pause(world.port.arg, &world.call);
    ck_assert(world_run(1000));
    ck_assert_int_eq(world.call.outcome, AGENT_PAUSED);
    fetch_on(); /* 4.04 */
    world_run_for(100);
    ck_assert_uint_eq(device.payload.size, 640);
}
END_TEST

START_TEST(a_device_goes_on_after_a_restart_of_the_gateway)
{
    device.ignores_trigger = true;
    world_prepare(AGENT_CALL_LOAD);
    (void)snprintf(world.call.uid, sizeof world.call.uid, "ram.0");
    world.call.sent.sequence = device.sequence = 7;
    world_begin_prepared();
    world_run_for(200);
    (void)snprintf(device.path, sizeof device.path, "/a/%.32s", world.artifact.code_digest);
    device.fetching = FETCH_PAYLOAD;
    device.block = 9;
    fetch_on();
    ck_assert(world_run(15000));
    ck_assert_int_eq(world.call.outcome, AGENT_OK);
    ck_assert_uint_eq(device.version, 7);
}
END_TEST

/* What was fetched is no proof: it may have come from elsewhere. */
START_TEST(the_number_counts_more_than_the_blocks)
{
    device.stop_payload_at = 640;
    begin(AGENT_CALL_LOAD, 0, 7);
    world_run_for(300);
    device.version = 7;
    ck_assert(world_run(15000));
    ck_assert_int_eq(world.call.outcome, AGENT_OK);
}
END_TEST

/* Two devices on a link with one place: the second one is told when the first has ended. */
START_TEST(loads_take_turns_on_their_link)
{
    struct agent_call first;

    device.stop_payload_at = 640;
    world_prepare(AGENT_CALL_LOAD);
    (void)snprintf(world.call.uid, sizeof world.call.uid, "ram.0");
    world.call.sent.sequence = 7;
    world.call.link = (struct agent_link){.name = "radio", .parallel = 1, .rate = 100000};
    first = world.call;
    world.port.begin(world.port.arg, &first);
    world_run_for(300);
    ck_assert_uint_eq(device.triggers, 1);
    (void)snprintf(world.device.id, sizeof world.device.id, "box-2");
    world_begin_prepared();
    world_run_for(300);
    ck_assert_uint_eq(device.triggers, 1);
    ck_assert(world.call.waiting);
    world.port.cancel(world.port.arg, &first);
    device.stop_payload_at = 0;
    ck_assert(world_run(15000));
    ck_assert_int_eq(world.call.outcome, AGENT_OK);
    ck_assert_uint_eq(device.triggers, 2);
}
END_TEST

/* Uploaded envelopes ------------------------------------------------------------------------------------------------
 */

static struct suit_manifest uploaded(void)
{
    struct suit_manifest manifest = {.dialect = SUIT_RIOT, .sequence = 9, .component_count = 1};
    struct suit_component *c = &manifest.components[0];

    c->id_count = 2;
    memcpy(c->id[0].bytes, "ram", 3);
    c->id[0].size = 3;
    c->id[1].bytes[0] = '0';
    c->id[1].size = 1;
    suit_vendor_id("riot-os.org", c->vendor);
    suit_class_id(c->vendor, "native64", c->class_id);
    c->has_vendor = c->has_class = c->has_digest = c->has_size = true;
    ck_assert(text_unhex(world.artifact.data_digest, c->digest, 32));
    c->size = world.artifact.data_size;
    (void)snprintf(c->uri, sizeof c->uri, "coap://[fd00::1]/a/%.32s", world.artifact.data_digest);
    return manifest;
}

static void upload(const struct suit_manifest *manifest, bool sign)
{
    cleanup_buffer struct buffer out = {0};
    char reason[128] = "";

    ck_assert_msg(suit_make(&out, manifest, sign ? key_pkey(world.key) : NULL, reason, sizeof reason) == 0, "%s",
                  reason);
    memcpy(envelope, out.data, out.size);
    world.artifact.code_size = envelope_size = out.size;
}

static void set_up_upload(void)
{
    struct suit_manifest manifest;

    set_up();
    world.artifact.type = CONTAINER_TYPE_SUIT;
    world.artifact.data_size = sizeof world.data;
    set_digests();
    manifest = uploaded();
    upload(&manifest, true);
}

START_TEST(an_envelope_goes_to_the_device_as_it_is)
{
    ck_assert_int_eq(load(9), AGENT_OK);
    ck_assert_uint_eq(device.version, 9);
    ck_assert_uint_eq(device.manifest.size, envelope_size);
    ck_assert_mem_eq(device.manifest.data, envelope, envelope_size);
    ck_assert_uint_eq(device.payload.size, sizeof world.data);
    ck_assert_mem_eq(device.payload.data, world.data, sizeof world.data);
}
END_TEST

/* What is wrong with it; nothing may be sent. */
static void spoil(struct suit_manifest *manifest, int how)
{
    struct suit_component *c = &manifest->components[0];

    switch (how) {
    case 0: /* replayed */
        manifest->sequence = 5;
        break;
    case 1: /* for another slot */
        c->id[1].bytes[0] = '1';
        break;
    case 2: /* for another board */
        suit_class_id(c->vendor, "samr21-xpro", c->class_id);
        break;
    case 3: /* of another vendor */
        suit_vendor_id("example.org", c->vendor);
        break;
    case 4: /* for another payload */
        c->digest[0] ^= 1;
        break;
    case 5: /* two components */
        manifest->components[1] = *c;
        manifest->components[1].id[1].bytes[0] = '1';
        manifest->component_count = 2;
        break;
    default: /* in a dialect that the device does not take */
        manifest->dialect = SUIT_IETF;
        break;
    }
}

START_TEST(a_wrong_envelope_is_refused_before_anything_is_sent)
{
    struct suit_manifest manifest = uploaded();

    spoil(&manifest, _i);
    upload(&manifest, _i != 6);
    ck_assert_int_eq(load(manifest.sequence), _i == 0 ? AGENT_REFUSED : AGENT_UNVERIFIED);
    ck_assert(detail_has("nothing was sent"));
    ck_assert_uint_eq(device.triggers, 0);
}
END_TEST

START_TEST(a_changed_or_cut_or_unsigned_envelope_is_refused)
{
    struct suit_manifest manifest = uploaded();

    envelope[envelope_size - 1] ^= 1;
    ck_assert_int_eq(load(9), AGENT_UNVERIFIED);
    upload(&manifest, true);
    for (size_t cut = 1; cut < envelope_size; cut += 17) {
        world.artifact.code_size = envelope_size - cut;
        ck_assert_int_eq(load(9), AGENT_UNVERIFIED);
    }
    upload(&manifest, false);
    ck_assert_int_eq(load(9), AGENT_UNVERIFIED);
    ck_assert_uint_eq(device.triggers, 0);
}
END_TEST

/* Checks ------------------------------------------------------------------------------------------------------------
 */

struct check_row {
    const char *uid;
    enum container_type type;
    uint64_t code, data;
    enum fault_code fault; /* FAULT_NONE: it fits */
};

static const struct check_row checks[] = {
    {"0", CONTAINER_TYPE_RBPF, 100, 0, FAULT_NONE},
    {"ram.0", CONTAINER_TYPE_RBPF, 100, 0, FAULT_NONE},
    {"00", CONTAINER_TYPE_NATIVE, 100000, 0, FAULT_NONE},
    {"a.b.c.d", CONTAINER_TYPE_RBPF, 100, 0, FAULT_NONE},
    {"a.b.c.d.e", CONTAINER_TYPE_RBPF, 100, 0, FAULT_INVALID_ID},
    {"a..b", CONTAINER_TYPE_RBPF, 100, 0, FAULT_INVALID_ID},
    {".a", CONTAINER_TYPE_RBPF, 100, 0, FAULT_INVALID_ID},
    {"a.", CONTAINER_TYPE_RBPF, 100, 0, FAULT_INVALID_ID},
    {"123456789012345678901234567890123", CONTAINER_TYPE_RBPF, 100, 0, FAULT_INVALID_ID},
    {"abcdefghijklmnopqrstuvwxyzabcdefg", CONTAINER_TYPE_RBPF, 100, 0, FAULT_INVALID_ID},
    {"0", CONTAINER_TYPE_WASM, 100, 0, FAULT_RUNTIME_UNSUPPORTED},
    {"0", CONTAINER_TYPE_RBPF, 100, 1, FAULT_INVALID_ARTIFACT},
    {"0", CONTAINER_TYPE_SUIT, 640, 100, FAULT_NONE},
    {"0", CONTAINER_TYPE_SUIT, 641, 100, FAULT_PACKAGE_TOO_LARGE},
};

START_TEST(what_does_not_fit_is_refused_at_once)
{
    const struct check_row *row = &checks[_i];
    struct fault fault = {.code = FAULT_NONE};

    world.artifact.type = row->type;
    world.artifact.code_size = row->code;
    world.artifact.data_size = row->data;
    ck_assert_int_eq(world.port.check(world.port.arg, &world.device, row->uid, &world.artifact, &fault),
                     row->fault != FAULT_NONE);
    ck_assert_int_eq(fault.code, row->fault);
    ck_assert_uint_eq(box->requests, 0);
}
END_TEST

/* Status ------------------------------------------------------------------------------------------------------------
 */

START_TEST(the_number_tells_what_is_there)
{
    ck_assert_int_eq(call(AGENT_CALL_STATUS, 5, 0), AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_RUNNING);
    ck_assert_int_eq(world.call.artifact_seen[0], 'a');
    ck_assert_int_eq(call(AGENT_CALL_STATUS, 3, 6), AGENT_OK); /* the one that was sent did not come through */
    ck_assert_int_eq(world.call.artifact_seen[0], 'a');
    ck_assert_int_eq(call(AGENT_CALL_STATUS, 3, 5), AGENT_OK);
    ck_assert_int_eq(world.call.artifact_seen[0], 'b');
    ck_assert_int_eq(call(AGENT_CALL_START, 3, 0), AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_RUNNING);
    ck_assert_int_eq(call(AGENT_CALL_STATUS, 6, 0), AGENT_ABSENT); /* it was lost */
    ck_assert_int_eq(call(AGENT_CALL_STATUS, 0, 0), AGENT_ABSENT);
    ck_assert_int_eq(call(AGENT_CALL_STOP, 5, 0), AGENT_UNSUPPORTED);
    ck_assert_int_eq(call(AGENT_CALL_REMOVE, 5, 0), AGENT_UNSUPPORTED);
    device.mute_version = true;
    ck_assert_int_eq(call(AGENT_CALL_STATUS, 6, 0), AGENT_OK);
    ck_assert_int_eq(world.call.artifact_seen[0], 'a');
    ck_assert_int_eq(call(AGENT_CALL_STATUS, 0, 6), AGENT_ABSENT);
}
END_TEST

START_TEST(a_probe_knows_a_suit_device)
{
    world.device.agent = AGENT_UNKNOWN;
    ck_assert_int_eq(world_call(AGENT_CALL_PROBE), AGENT_OK);
    ck_assert_int_eq(world.call.probe.kind, AGENT_SUIT);
    ck_assert_str_eq(world.call.probe.version, "suit riot native64");
    ck_assert_uint_eq(world.call.probe.caps.runtimes,
                      1u << CONTAINER_TYPE_NATIVE | 1u << CONTAINER_TYPE_RBPF | 1u << CONTAINER_TYPE_SUIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap suit");
    TCase *tc = suite_add_case(suite, "made", set_up, tear_down);

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, a_container_is_installed);
    tcase_add_test(tc, the_manifest_says_for_whom_and_what_it_is);
    tcase_add_test(tc, a_device_that_tells_no_number_is_believed);
    tcase_add_test(tc, a_long_name_gives_way_to_a_short_one);
    tcase_add_test(tc, a_device_that_never_fetches_is_not_waited_for_forever);
    tcase_add_test(tc, a_device_that_refuses_the_manifest_is_told_from_others);
    tcase_add_test(tc, a_device_that_stops_in_the_middle_may_be_told_again);
    tcase_add_test(tc, a_device_that_does_not_install_is_not_believed);
    tcase_add_test(tc, a_trigger_that_is_refused_ends_it);
    tcase_add_test(tc, what_the_device_has_already_is_not_sent);
    tcase_add_test(tc, a_device_without_a_board_takes_no_manifest_of_ours);
    tcase_add_test(tc, a_gateway_without_a_key_makes_no_manifest);
    tcase_add_test(tc, a_load_that_is_cancelled_serves_nothing_any_more);
    tcase_add_test(tc, a_load_makes_room_and_goes_on);
    tcase_add_test(tc, a_load_that_is_paused_to_be_cancelled_ends);
    tcase_add_test(tc, a_device_goes_on_after_a_restart_of_the_gateway);
    tcase_add_test(tc, the_number_counts_more_than_the_blocks);
    tcase_add_test(tc, loads_take_turns_on_their_link);
    tcase_add_loop_test(tc, what_does_not_fit_is_refused_at_once, 0, (int)array_size(checks));
    tcase_add_test(tc, the_number_tells_what_is_there);
    tcase_add_test(tc, a_probe_knows_a_suit_device);
    tc = suite_add_case(suite, "taken", set_up_upload, tear_down);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, an_envelope_goes_to_the_device_as_it_is);
    tcase_add_loop_test(tc, a_wrong_envelope_is_refused_before_anything_is_sent, 0, 7);
    tcase_add_test(tc, a_changed_or_cut_or_unsigned_envelope_is_refused);
    return suite_run(suite);
}
