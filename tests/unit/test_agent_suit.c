/* The SUIT device: what manifests it takes, and how it is told, fetches, installs and runs. */
#include "agent_fixture.h"
#include "suit_builder.h"
#include "suite.h"

#include "base/text.h"
#include "codec/cose.h"
#include "codec/suit.h"
#include "codec/token.h"

#include <jansson.h>
#include <openssl/pem.h>
#include <string.h>

#define RIOT_FILE SHARED_VECTORS "/suit_riot_dialect_vectors.json"
#define IETF_FILE SHARED_VECTORS "/suit_manifest_draft37_examples.json"

static char reason[256];
static struct suitdev_identity identity;
static struct suitdev_plan plan;
static EVP_PKEY *key;
static uint8_t digest[METADATA_DIGEST_SIZE];
static const uint8_t payload[] =
    "what is to be installed, and longer than one block of 64 bytes, so that two are needed";

static void set_up(void)
{
    uint8_t seed[32];

    for (unsigned i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    identity = (struct suitdev_identity){.key = key};
    suitdev_identify(&identity, "riot-os.org", "native");
    token_digest(payload, sizeof payload, NULL, 0, digest);
}

static void tear_down(void)
{
    EVP_PKEY_free(key);
}

static int read_riot(const struct buffer *b)
{
    return suitdev_read_riot(&plan, &identity, b->data, b->size, reason, sizeof reason);
}

static struct builder well(void)
{
    struct builder b;

    builder_init(&b);
    b.digest = digest;
    b.size = sizeof payload;
    return b;
}

/* RIOT's dialect --------------------------------------------------------------------------------------------------- */

static struct buffer vector(const json_t *root, const char *name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(root, "vectors"), i, v)
    {
        if (strcmp(json_string_value(json_object_get(v, "name")), name) == 0) {
            const char *text = json_string_value(json_object_get(v, "signed"));
            uint8_t bytes[1024];
            struct buffer out = {0};

            ck_assert(text_unhex(text, bytes, strlen(text) / 2));
            buffer_append(&out, bytes, strlen(text) / 2);
            return out;
        }
    }
    ck_abort_msg("no vector %s", name);
}

START_TEST(test_takes_what_riots_tools_make)
{
    json_t *root = json_load_file(RIOT_FILE, 0, NULL);
    struct buffer b;

    if (!root) {
        (void)printf("skipped: no %s\n", RIOT_FILE);
        return;
    }
    b = vector(root, "ram0");
    ck_assert_msg(read_riot(&b) == 0, "%s", reason);
    ck_assert_uint_eq(plan.sequence, 2);
    ck_assert_uint_eq(plan.count, 1);
    ck_assert_str_eq(plan.steps[0].name, "ram.0");
    ck_assert_str_eq(plan.steps[0].uri, "coap://[2001:db8::1]/payload.bin");
    ck_assert_uint_eq(plan.steps[0].size, 7);
    for (size_t size = 0; size < b.size; size++) /* truncated */
        ck_assert_int_eq(suitdev_read_riot(&plan, &identity, b.data, size, reason, sizeof reason), 1);
    for (size_t bit = 0; bit < 8 * b.size; bit++) { /* changed */
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(read_riot(&b) == 1, "bit %zu", bit);
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buffer_clear(&b);
    b = vector(root, "ram2");
    ck_assert_msg(read_riot(&b) == 0, "%s", reason);
    ck_assert_uint_eq(plan.count, 2);
    ck_assert_str_eq(plan.steps[1].name, "ram.1");
    ck_assert_str_eq(plan.steps[1].uri, "test://test/file2.bin");
    buffer_clear(&b);
    suitdev_identify(&identity, "riot-os.org", "samr21-xpro");
    identity.offset = 133120;
    b = vector(root, "slots");
    ck_assert_msg(read_riot(&b) == 0, "%s", reason);
    ck_assert_str_eq(plan.steps[0].name, "00");
    ck_assert_ptr_nonnull(strstr(plan.steps[0].uri, "file2.bin"));
    identity.offset = 4096;
    ck_assert_int_eq(read_riot(&b), 0);
    ck_assert_ptr_nonnull(strstr(plan.steps[0].uri, "file1.bin"));
    identity.offset = 7;
    ck_assert_int_eq(read_riot(&b), 1);
    buffer_clear(&b);
    json_decref(root);
}
END_TEST

START_TEST(test_refuses_what_is_not_flat_ordered_and_known)
{
    struct builder b = well();

    for (b.flaw = BUILD_WELL; b.flaw < BUILD_COUNT; b.flaw++) {
        cleanup_buffer struct buffer out = {0};

        reason[0] = 0;
        builder_write(&b, key, &out);
        ck_assert_msg(read_riot(&out) == (b.flaw != BUILD_WELL), "flaw %d: %s", b.flaw, reason);
        ck_assert(b.flaw == BUILD_WELL || reason[0]);
    }
}
END_TEST

START_TEST(test_limit_of_640_bytes)
{
    struct builder b = well();
    cleanup_buffer struct buffer out = {0}, longer = {0};

    builder_write(&b, key, &out);
    ck_assert_int_eq(read_riot(&out), 0);
    ck_assert_uint_lt(out.size, SUITDEV_RIOT_MAX);
    b.flaw = BUILD_LONG;
    builder_write(&b, key, &longer);
    ck_assert_uint_gt(longer.size, SUITDEV_RIOT_MAX);
    ck_assert_int_eq(read_riot(&longer), 1);
    ck_assert_ptr_nonnull(strstr(reason, "the limit is 640"));
}
END_TEST

START_TEST(test_refuses_replayed_and_foreign)
{
    struct builder b = well();
    cleanup_buffer struct buffer out = {0}, other = {0}, foreign = {0};
    EVP_PKEY *stranger = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    builder_write(&b, key, &out);
    identity.sequence = 1; /* the same again, and an older one */
    ck_assert_int_eq(read_riot(&out), 1);
    identity.sequence = 0;
    ck_assert_int_eq(read_riot(&out), 0);
    b.class_id[0] ^= 1;
    builder_write(&b, key, &other);
    ck_assert_int_eq(read_riot(&other), 1);
    b = well();
    builder_write(&b, stranger, &foreign);
    ck_assert_int_eq(read_riot(&foreign), 1);
    identity.key = NULL; /* a device without a key takes any */
    ck_assert_int_eq(read_riot(&foreign), 0);
    EVP_PKEY_free(stranger);
}
END_TEST

static struct suit_manifest made(enum suit_dialect dialect)
{
    struct suit_manifest m = {.dialect = dialect, .sequence = 5, .component_count = 1};
    struct suit_component *c = &m.components[0];

    c->id_count = 2;
    c->id[0].size = 3;
    memcpy(c->id[0].bytes, "ram", 3);
    c->id[1].size = 1;
    c->id[1].bytes[0] = '1';
    c->has_vendor = c->has_class = c->has_digest = c->has_size = true;
    memcpy(c->vendor, identity.vendor, 16);
    memcpy(c->class_id, identity.class_id, 16);
    memcpy(c->digest, digest, sizeof c->digest);
    c->size = sizeof payload;
    (void)snprintf(c->uri, sizeof c->uri, "coap://127.0.0.1/a/0123456789abcdef");
    return m;
}

static void check_made(void)
{
    ck_assert_uint_eq(plan.sequence, 5);
    ck_assert_uint_eq(plan.count, 1);
    ck_assert_str_eq(plan.steps[0].name, "ram.1");
    ck_assert_str_eq(plan.steps[0].uri, "coap://127.0.0.1/a/0123456789abcdef");
    ck_assert_uint_eq(plan.steps[0].size, sizeof payload);
    ck_assert_mem_eq(plan.steps[0].digest, digest, sizeof digest);
}

START_TEST(test_takes_what_the_gateway_makes)
{
    struct suit_manifest m = made(SUIT_RIOT);
    cleanup_buffer struct buffer out = {0}, current = {0};

    ck_assert_msg(suit_make(&out, &m, key, reason, sizeof reason) == 0, "%s", reason);
    ck_assert_msg(read_riot(&out) == 0, "%s", reason);
    check_made();
    m = made(SUIT_IETF);
    ck_assert_msg(suit_make(&current, &m, key, reason, sizeof reason) == 0, "%s", reason);
    ck_assert_int_eq(read_riot(&current), 1);
    ck_assert_msg(suitdev_read_ietf(&plan, &identity, current.data, current.size, reason, sizeof reason) == 0, "%s",
                  reason);
    check_made();
    ck_assert_int_eq(suitdev_read_ietf(&plan, &identity, out.data, out.size, reason, sizeof reason), 1);
    for (size_t size = 0; size < current.size; size++)
        ck_assert_int_eq(suitdev_read_ietf(&plan, &identity, current.data, size, reason, sizeof reason), 1);
    identity.sequence = 5;
    ck_assert_int_eq(suitdev_read_ietf(&plan, &identity, current.data, current.size, reason, sizeof reason), 1);
    identity.sequence = 0;
    identity.vendor[0] ^= 1;
    ck_assert_int_eq(suitdev_read_ietf(&plan, &identity, current.data, current.size, reason, sizeof reason), 1);
}
END_TEST

START_TEST(test_takes_an_example_of_the_draft)
{
    json_t *root = json_load_file(IETF_FILE, 0, NULL);
    const json_t *example = json_array_get(json_object_get(root, "examples"), 1);
    const char *text = json_string_value(json_object_get(example, "Envelope with COSE authentication object"));
    const char *pem = json_string_value(json_object_get(root, "private_key_pem"));
    BIO *bio = pem ? BIO_new_mem_buf(pem, -1) : NULL;
    EVP_PKEY *author = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    uint8_t bytes[1024];

    BIO_free(bio);
    if (!root) {
        (void)printf("skipped: no %s\n", IETF_FILE);
        return;
    }
    ck_assert(text && author);
    ck_assert(text_unhex(text, bytes, strlen(text) / 2));
    identity.key = author;
    ck_assert(text_unhex("fa6b4a53d5ad5fdfbe9de663e4d41ffe", identity.vendor, 16));
    ck_assert(text_unhex("1492af1425695e48bf429b2d51f2ab45", identity.class_id, 16));
    ck_assert_msg(suitdev_read_ietf(&plan, &identity, bytes, strlen(text) / 2, reason, sizeof reason) == 0, "%s",
                  reason);
    ck_assert_str_eq(plan.steps[0].uri, "http://example.com/file.bin");
    ck_assert_str_eq(plan.steps[0].name, "00");
    identity.key = key;
    ck_assert_int_eq(suitdev_read_ietf(&plan, &identity, bytes, strlen(text) / 2, reason, sizeof reason), 1);
    EVP_PKEY_free(author);
    json_decref(root);
}
END_TEST

/* The device ------------------------------------------------------------------------------------------------------- */

static struct fixture *device_with(const struct agent_options *more)
{
    struct agent_options options = *more;

    options.device.kind = DEVICE_SUIT;
    options.device.slots = 2;
    options.device.package_max = 4096;
    options.suit.key = key;
    options.pdu_size = 1204;
    return fixture_new_agent(&options);
}

static uint8_t trigger(struct fixture *f, const char *url, size_t size)
{
    struct coapmsg request;

    fixture_request(f, &request, COAPMSG_POST, "/suit/trigger");
    coapmsg_set_payload(&request, url, size);
    fixture_send(f, &request);
    return f->answer.code;
}

/* The last thing that the device sent, which must be a request for a block. Returns its number. */
static uint32_t asked(const struct fixture *f, struct coapmsg *request, const char *path)
{
    struct coapmsg_block block;

    *request = (struct coapmsg){0};
    for (unsigned i = f->sent_count; i > 0 && request->code != COAPMSG_GET; i--)
        ck_assert_int_eq(coapmsg_decode(request, f->sent[i - 1].data, f->sent[i - 1].size), 0);
    ck_assert_uint_eq(request->code, COAPMSG_GET);
    ck_assert_uint_eq(request->token_length, 0);
    ck_assert_uint_eq(request->type, COAPMSG_CON);
    ck_assert_msg(coapmsg_path_is(request, path), "another path than %s", path);
    ck_assert_int_eq(coapmsg_get_block(request, COAPMSG_OPT_BLOCK2, &block), 0);
    ck_assert_uint_eq(block.szx, 2);
    return block.num;
}

static void answer(struct fixture *f, const struct coapmsg *request, const void *data, size_t size, uint32_t number)
{
    size_t from = (size_t)number * 64, left = size - from;
    struct coapmsg response;
    struct peer peer = f->peer;

    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    response.id = request->id;
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){number, left > 64, 2});
    coapmsg_set_payload(&response, (const uint8_t *)data + from, left > 64 ? 64 : left);
    f->peer = f->sent[f->sent_count - 1].peer;
    fixture_send(f, &response);
    f->peer = peer;
}

/* Serves a body to the device, block after block. */
static void serve(struct fixture *f, const char *path, const void *data, size_t size)
{
    for (uint32_t number = 0; (size_t)number * 64 < size; number++) {
        struct coapmsg request;

        ck_assert_uint_eq(asked(f, &request, path), number);
        answer(f, &request, data, size, number);
    }
}

static const char *version(struct fixture *f)
{
    static char text[32];

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/suit/version", NULL), COAPMSG_CONTENT);
    (void)snprintf(text, sizeof text, "%.*s", (int)f->answer.payload_size, (const char *)f->answer.payload);
    return text;
}

static void update(struct fixture *f, const struct builder *b, const void *data, size_t size)
{
    cleanup_buffer struct buffer manifest = {0};

    builder_write(b, key, &manifest);
    ck_assert_uint_eq(trigger(f, "coap://192.0.2.1:5684/m/dev", 28), COAPMSG_CREATED);
    serve(f, "/m/dev", manifest.data, manifest.size);
    if (f->sent_count)
        serve(f, "/a/1", data, size);
}

START_TEST(test_is_told_fetches_and_installs)
{
    struct fixture *f = device_with(&(struct agent_options){.pdu_size = 0});
    struct builder b = well();

    ck_assert_str_eq(version(f), "0");
    update(f, &b, payload, sizeof payload);
    ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", "ram.0"), 1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "\"ok\""), 1);
    ck_assert_str_eq(version(f), "1");
    update(f, &b, payload, sizeof payload); /* replayed: only the manifest is fetched */
    ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", "ram.0"), 1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "is not above"), 1);
    b.sequence = 9;
    b.slot = "1";
    update(f, &b, payload, sizeof payload);
    ck_assert_str_eq(version(f), "9");
    b.sequence = 10;
    b.slot = "2";
    update(f, &b, payload, sizeof payload);
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "no such component"), 1);
    agent_restart(&f->agent, false); /* all of it was in RAM */
    ck_assert_str_eq(version(f), "0");
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/riot/board", NULL), COAPMSG_CONTENT);
    ck_assert_mem_eq(f->answer.payload, "native", 6);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/suit/slot/inactive", NULL), COAPMSG_CONTENT);
    ck_assert_mem_eq(f->answer.payload, "1", 1);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/.well-known/core", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/suit/trigger", NULL), COAPMSG_METHOD_NOT_ALLOWED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/bpf/exec/0", NULL), COAPMSG_NOT_FOUND);
    fixture_end(f);
}
END_TEST

START_TEST(test_refuses_another_payload)
{
    struct fixture *f = device_with(&(struct agent_options){.pdu_size = 0});
    struct builder b = well();
    uint8_t wrong[sizeof payload];

    memcpy(wrong, payload, sizeof wrong);
    wrong[70] ^= 1;
    update(f, &b, wrong, sizeof wrong);
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "another size or digest"), 1);
    update(f, &b, payload, sizeof payload - 1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "another size or digest"), 2);
    b.size = 64; /* more comes than was announced */
    update(f, &b, payload, 64 + 1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "it is too large"), 1);
    b.size = 4097;
    update(f, &b, payload, sizeof payload);
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "no room"), 1);
    ck_assert_str_eq(version(f), "0");
    fixture_end(f);
}
END_TEST

START_TEST(test_traps_of_the_trigger)
{
    static const char longer[] = "coap://192.0.2.1:5684/m/longer", url[] = "coap://192.0.2.1:5684/m/dev";
    struct fixture *f = device_with(&(struct agent_options){.suit.url_max = 64});
    struct coapmsg request;
    char big[64];

    memset(big, 'x', sizeof big);
    ck_assert_uint_eq(trigger(f, "", 0), COAPMSG_INCOMPLETE);
    ck_assert_uint_eq(trigger(f, big, 64), COAPMSG_TOO_LARGE);
    ck_assert_uint_eq(trigger(f, longer, sizeof longer - 1), COAPMSG_CREATED);
    ck_assert_uint_eq(f->sent_count, 2); /* the answer, and it begins to fetch */
    (void)asked(f, &request, "/m/longer");
    ck_assert_uint_eq(trigger(f, url, sizeof url - 1), COAPMSG_CREATED); /* without its NUL; it waits */
    fixture_pass(f, 100000);                                             /* the first one gets no answer */
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "no answer"), 1);
    (void)asked(f, &request, "/m/devger");
    fixture_pass(f, 100000);
    ck_assert_uint_eq(trigger(f, url, sizeof url), COAPMSG_CREATED); /* with it */
    (void)asked(f, &request, "/m/dev");
    agent_restart(&f->agent, false);
    ck_assert_uint_eq(trigger(f, "http://192.0.2.1/m", 19), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "none that it can fetch"), 1);
    fixture_end(f);
}
END_TEST

START_TEST(test_answers_to_its_requests)
{
    struct fixture *f = device_with(&(struct agent_options){.pdu_size = 0});
    cleanup_buffer struct buffer manifest = {0};
    struct builder b = well();
    struct coapmsg request, response;

    builder_write(&b, key, &manifest);
    ck_assert_uint_eq(trigger(f, "coap://127.0.0.1:40000/m/dev", 29), COAPMSG_CREATED);
    ck_assert_uint_eq(asked(f, &request, "/m/dev"), 0);
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_EMPTY); /* it comes separately */
    response.id = request.id;
    fixture_send(f, &response);
    coapmsg_init(&response, COAPMSG_CON, COAPMSG_CONTENT);
    response.id = 4711;
    coapmsg_add_block(&response, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){0, true, 2});
    coapmsg_set_payload(&response, manifest.data, 64);
    fixture_send(f, &response);
    ck_assert_uint_eq(asked(f, &request, "/m/dev"), 1);   /* beside the acknowledgement */
    answer(f, &request, manifest.data, manifest.size, 0); /* another block than it asked for */
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "another block"), 1);
    ck_assert_uint_eq(trigger(f, "coap://127.0.0.1:40000/m/dev", 29), COAPMSG_CREATED);
    (void)asked(f, &request, "/m/dev");
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_NOT_FOUND);
    response.id = request.id;
    fixture_send(f, &response);
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "no content"), 1);
    fixture_end(f);
}
END_TEST

START_TEST(test_flash_and_reboot)
{
    struct fixture *f = device_with(&(struct agent_options){.device.flash_fail_rate = 100});
    struct builder b = well();

    update(f, &b, payload, sizeof payload);
    ck_assert_uint_eq(fixture_journal_count(f, "\"update\"", "the flash could not be written"), 1);
    ck_assert_str_eq(version(f), "0");
    fixture_end(f);
    f = device_with(&(struct agent_options){.reboot_ms = 1000});
    update(f, &b, payload, sizeof payload);
    ck_assert_str_eq(version(f), "1");
    fixture_pass(f, 1600);
    ck_assert_str_eq(version(f), "0");
    fixture_end(f);
    f = device_with(&(struct agent_options){.device.bugs.no_version = 1});
    ck_assert_str_eq(version(f), "NONE");
    fixture_end(f);
}
END_TEST

/* mov r0, 42; exit */
static const uint8_t application[] = {'r', 'B', 'P', 'F', 0, 0, 0,    0, 0, 0, 0,  0, 0, 0, 0,    0, 0, 0, 0, 0, 16, 0,
                                      0,   0,   0,   0,   0, 0, 0xb7, 0, 0, 0, 42, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0,  0};

START_TEST(test_femto_containers)
{
    struct fixture *f = device_with(&(struct agent_options){.suit.femto = true});
    struct builder b = well();

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/bpf/exec/0", NULL), COAPMSG_NOT_FOUND);
    token_digest(application, sizeof application, NULL, 0, digest);
    b.size = sizeof application;
    update(f, &b, application, sizeof application);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/bpf/exec/0", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(f->answer.payload_size, 2);
    ck_assert_mem_eq(f->answer.payload, "42", 2);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/bpf/exec/0", NULL), COAPMSG_METHOD_NOT_ALLOWED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/bpf/exec/2", NULL), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/bpf/exec/ram.0", NULL), COAPMSG_NOT_FOUND);
    token_digest(payload, sizeof payload, NULL, 0, digest);
    b.size = sizeof payload;
    b.sequence = 2;
    update(f, &b, payload, sizeof payload); /* it is no application */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/bpf/exec/0", NULL), COAPMSG_INTERNAL_ERROR);
    fixture_end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent suit");
    TCase *tc = suite_add_case(suite, "suit", set_up, tear_down);

    tcase_add_test(tc, test_takes_what_riots_tools_make);
    tcase_add_test(tc, test_refuses_what_is_not_flat_ordered_and_known);
    tcase_add_test(tc, test_limit_of_640_bytes);
    tcase_add_test(tc, test_refuses_replayed_and_foreign);
    tcase_add_test(tc, test_takes_what_the_gateway_makes);
    tcase_add_test(tc, test_takes_an_example_of_the_draft);
    tcase_add_test(tc, test_is_told_fetches_and_installs);
    tcase_add_test(tc, test_refuses_another_payload);
    tcase_add_test(tc, test_traps_of_the_trigger);
    tcase_add_test(tc, test_answers_to_its_requests);
    tcase_add_test(tc, test_flash_and_reboot);
    tcase_add_test(tc, test_femto_containers);
    return suite_run(suite);
}
