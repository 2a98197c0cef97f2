#include "trust_fixture.h"

#include "base/base64.h"
#include "codec/cose.h"
#include "core/trust.h"
#include "suite.h"

#include <openssl/pem.h>
#include <string.h>

struct core_fixture f;
struct fault fault;
EVP_PKEY *acme, *other;
struct device *box;
char one[CORE_DIGEST_TEXT], two[CORE_DIGEST_TEXT];

void trust_setup(void)
{
    json_t *body = json_of("{'groups':['lab']}");

    core_setup(&f);
    f.options.reconcile.retry_min_ms = 30000;
    f.options.reconcile.retry_max_ms = 600000;
    core_configure(f.core, &f.options);
    acme = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    box = add_device(&f, "box", AGENT_V2);
    ck_assert_int_eq(core_patch_device(f.core, box, body, NULL, NULL, &fault), 0);
    json_decref(body);
    (void)text_copy(one, sizeof one, add_artifact(&f, "1", NULL));
    (void)text_copy(two, sizeof two, add_artifact(&f, "2", NULL));
}

void trust_teardown(void)
{
    EVP_PKEY_free(acme);
    EVP_PKEY_free(other);
    core_teardown(&f);
}

static json_t *pem_of(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    json_t *text;
    char *data;
    long size;

    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, key), 1);
    size = BIO_get_mem_data(bio, &data);
    text = json_stringn(data, (size_t)size);
    BIO_free(bio);
    return text;
}

/* What refused it, FAULT_NONE when it is durable. */
static enum fault_code result_of(int r, const struct outcome *outcome)
{
    ck_assert_int_ge(r, 0);
    if (r)
        return fault.code;
    core_flush(&f);
    ck_assert(outcome->called);
    return outcome->fault.code;
}

enum fault_code puts_publisher(const char *name, EVP_PKEY *key, const char *rest)
{
    struct outcome outcome = {0};
    json_t *body = json_of(rest);
    int r;

    (void)json_object_set_new(body, "keys", json_pack("[{s:o}]", "public_key", pem_of(key)));
    r = core_put_publisher(f.core, name, body, note_done, &outcome, &fault);
    json_decref(body);
    return result_of(r, &outcome);
}

enum fault_code puts_policy(const char *name, const char *text)
{
    struct outcome outcome = {0};
    json_t *body = json_of(text);
    int r = core_put_policy(f.core, name, body, note_done, &outcome, &fault);

    json_decref(body);
    return result_of(r, &outcome);
}

struct release_statement statement_of(const char *name, const char *version, uint64_t sequence, const char *artifact)
{
    struct release_statement statement = {.sequence = sequence, .artifact_count = 1};

    (void)text_copy(statement.name, sizeof statement.name, name);
    (void)text_copy(statement.version, sizeof statement.version, version);
    ck_assert(text_unhex(artifact, statement.artifacts[0], 32));
    return statement;
}

json_t *sign(const struct release_statement *statement, EVP_PKEY *key, EVP_PKEY *named)
{
    cleanup_buffer struct buffer text = buffer_init(0), message = buffer_init(0);
    cleanup_free char *base64 = NULL;
    uint8_t kid[8];

    release_encode(&text, statement);
    ck_assert_int_eq(cose_key_id(named, kid), 0);
    ck_assert_int_eq(cose_make_sign1(&message, key, kid, sizeof kid, text.data, text.size, false, true), 0);
    base64 = base64_encode(message.data, message.size);
    return json_pack("{s:s}", "signature", base64);
}

enum fault_code adds(json_t *body)
{
    struct outcome outcome = {0};
    char key[CORE_RELEASE_TEXT];
    int r = core_add_release(f.core, body, note_done, &outcome, &fault, key);

    json_decref(body);
    return result_of(r, &outcome);
}

enum fault_code adds_signed(const char *name, const char *version, uint64_t sequence, const char *artifact,
                            EVP_PKEY *key)
{
    struct release_statement statement = statement_of(name, version, sequence, artifact);

    return adds(sign(&statement, key, key));
}

enum fault_code adds_plain(const char *name, const char *version, int sequence, const char *artifact)
{
    return adds(json_pack("{s:s, s:s, s:i, s:[s]}", "name", name, "version", version, "sequence", sequence, "artifacts",
                          artifact));
}

/* What refuses a container at once, or what its operation ends with. */
enum fault_code deploys_to(struct device *device, const char *text)
{
    struct outcome outcome = {0};
    json_t *body = json_of(text);
    struct operation *op;
    int r = core_put_container(f.core, device, "job", body, 0, note_done, &outcome, &fault, &op);
    char id[UUID_SIZE];

    json_decref(body);
    if (r)
        return fault.code;
    (void)text_copy(id, sizeof id, op->id);
    core_flush(&f);
    for (int i = 0; i < 100 && !operation_is_finished(core_find_operation(f.core, id)); i++)
        core_advance(&f, 1000);
    return core_find_operation(f.core, id)->fault.code;
}

enum fault_code deploys_release(const char *release)
{
    char text[256];

    (void)snprintf(text, sizeof text, "{'release':'%s'}", release);
    return deploys_to(box, text);
}

const char *state_of(const char *release)
{
    static char state[64];
    json_t *json = core_release_json(f.core, release);

    (void)text_copy(state, sizeof state, json_string_value(json_object_get(json, "state")));
    json_decref(json);
    return state;
}
