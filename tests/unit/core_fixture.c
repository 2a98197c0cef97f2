#define _GNU_SOURCE /* nftw */

#include "core_fixture.h"

#include "base/buffer.h"
#include "core/directory.h"

#include <check.h>
#include <ftw.h>
#include <string.h>

static const uint8_t sealing_key[32] = "a key that only tests have";

static void note_rearm(void *arg)
{
    ((struct core_fixture *)arg)->rearmed++;
}

static void open_all(struct core_fixture *f)
{
    const struct store_options options = {.directory = f->directory, .synchronous = 1};
    char reason[256] = "";

    ck_assert_msg(store_open(&f->store, &options, reason, sizeof reason) == 0, "%s", reason);
    f->options.store = f->store;
    ck_assert_int_eq(core_new(&f->core, &f->options), 0);
    core_start(f->core);
}

void core_setup(struct core_fixture *f)
{
    const char *base = getenv("TMPDIR");

    memset(f, 0, sizeof *f);
    (void)snprintf(f->directory, sizeof f->directory, "%.90s/tcgw-core-XXXXXX", base && *base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(f->directory));
    clock_manual_init(&f->clock, 1000, WALL_START);
    sim_init(&f->sim, &f->clock.clock);
    f->options = (struct core_options){
        .clock = &f->clock.clock,
        .agents = sim_port(&f->sim),
        .loop = {.arg = f, .rearm = note_rearm},
        .state_directory = f->directory,
        .max_devices = 10,
        .max_registrations = 50,
        .max_registrations_per_address = 4,
        .presence = {.online_ms = 300000, .late_ms = 300000, .awake_ms = 5000, .failures = 2},
        .max_artifacts = 10,
        .max_containers_per_device = 5,
        .max_queue_per_device = 6,
        .max_operations = 1000,
        .max_artifact_bytes = 65536,
        .verify_delay_ms = 500,
        .settle_delay_ms = 300,
        .operation_ttl_ms = 60000,
        .operation_ttl_max_ms = 600000,
        .operations_kept = 100,
        .max_pending = 5,
        .max_shadow_bytes = 1000,
        .cache_bytes = 1 << 20,
        .telemetry = {.max_rate = 1000, .max_series = 64, .max_records = 1000, .clock_ahead_ms = 300000},
        .allow_plain_groups = "*",
        .sealing_key = sealing_key,
    };
    open_all(f);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void core_teardown(struct core_fixture *f)
{
    ck_assert_uint_eq(f->sim.overlapped, 0);
    f->core = core_free(f->core);
    f->store = store_close(f->store);
    (void)nftw(f->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void core_restart(struct core_fixture *f)
{
    f->core = core_free(f->core);
    f->store = store_close(f->store);
    open_all(f);
}

static bool is_fetching(struct core_fixture *f)
{
    const struct operation_filter filter = {.state = OPERATION_RUNNING};
    struct operation *ops[64];
    size_t n = core_list_operations(f->core, &filter, NULL, ops, array_size(ops));

    for (size_t i = 0; i < n; i++)
        if (ops[i]->fetching)
            return true;
    return false;
}

void core_flush(struct core_fixture *f)
{
    struct store_stats before, after;

    do { /* until a flush's callbacks submit nothing new */
        while (is_fetching(f)) {
            (void)usleep(100);
            store_dispatch(f->store);
        }
        store_get_stats(f->store, &before);
        store_flush(f->store);
        store_get_stats(f->store, &after);
    } while (is_fetching(f) || after.pending > 0 || after.batches != before.batches);
}

void core_advance(struct core_fixture *f, int64_t ms)
{
    int64_t end = f->clock.monotonic + ms;

    for (;;) {
        int64_t next;

        core_flush(f);
        next = core_next_deadline(f->core);
        if (sim_next(&f->sim) < next)
            next = sim_next(&f->sim);
        if (next > end)
            break;
        if (next > f->clock.monotonic)
            clock_manual_advance(&f->clock, next - f->clock.monotonic);
        sim_run(&f->sim);
        if (core_next_deadline(f->core) <= f->clock.monotonic)
            core_run(f->core);
    }
    clock_manual_advance(&f->clock, end - f->clock.monotonic);
}

void core_settle(struct core_fixture *f)
{
    for (int i = 0; i < 60; i++)
        core_advance(f, 100);
}

void note_done(void *arg, const struct fault *fault)
{
    struct outcome *outcome = arg;

    ck_assert(!outcome->called);
    outcome->called = true;
    outcome->fault = *fault;
}

json_t *json_of(const char *text)
{
    char *copy = strdup(text);
    json_error_t error;
    json_t *value;

    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    value = json_loads(copy, JSON_DECODE_ANY, &error);
    ck_assert_msg(value != NULL, "%s: %s", error.text, copy);
    free(copy);
    return value;
}

struct device *add_device(struct core_fixture *f, const char *id, enum agent_kind kind)
{
    struct outcome outcome = {.called = false};
    struct device *device;
    struct fault fault = {.code = FAULT_NONE};
    char text[200];
    json_t *body;

    (void)snprintf(text, sizeof text, "{'id':'%s','address':'coap://[::1]:5683','agent':'%s'}", id,
                   agent_kind_name(kind));
    body = json_of(text);
    (void)sim_device(&f->sim, id, kind);
    ck_assert_msg(core_add_device(f->core, body, note_done, &outcome, &fault, &device) == 0, "%s", fault.detail);
    json_decref(body);
    core_flush(f);
    ck_assert(outcome.called);
    ck_assert_int_eq(outcome.fault.code, FAULT_NONE);
    return core_find_device(f->core, id);
}

struct spool *spool_of(struct core_fixture *f, const void *data, size_t size)
{
    struct spool *spool;

    ck_assert_int_eq(spool_new(&spool, f->directory, 1 << 20), 0);
    ck_assert_int_eq(spool_write(spool, data, size), 0);
    ck_assert_int_eq(spool_finish(spool), 0);
    return spool;
}

int upload(struct core_fixture *f, const char *description, const void *code, size_t code_size, const void *data,
           size_t data_size, struct outcome *outcome, struct artifact **artifact, bool *created)
{
    struct spool *code_spool = spool_of(f, code, code_size), *data_spool = data ? spool_of(f, data, data_size) : NULL;
    json_t *body = json_of(description);
    int r = core_add_artifact(f->core, body, code_spool, data_spool, note_done, outcome, &outcome->fault, artifact,
                              created);

    json_decref(body);
    ck_assert(!outcome->called);
    if (r == 0)
        core_flush(f);
    ck_assert_int_eq(outcome->called, r == 0);
    (void)spool_free(code_spool);
    (void)spool_free(data_spool);
    return r;
}

const char *add_artifact(struct core_fixture *f, const char *code, const char *data)
{
    static char ids[8][CORE_DIGEST_TEXT];
    static unsigned next;
    struct outcome outcome = {.called = false};
    struct artifact *artifact;
    bool created;

    ck_assert_int_eq(upload(f, "{'type':'javascript','name':'job'}", code, strlen(code), data, data ? strlen(data) : 0,
                            &outcome, &artifact, &created),
                     0);
    ck_assert_int_eq(outcome.fault.code, FAULT_NONE);
    next = (next + 1) % 8;
    (void)text_copy(ids[next], CORE_DIGEST_TEXT, artifact->id);
    return ids[next];
}

struct operation *put(struct core_fixture *f, struct device *device, const char *uid, const char *artifact,
                      const char *state)
{
    static struct outcome outcome;
    struct fault fault = {.code = FAULT_NONE};
    struct operation *op;
    json_t *body = json_pack("{s:s, s:s}", "artifact", artifact, "state", state);

    outcome.called = false;
    ck_assert_msg(core_put_container(f->core, device, uid, body, 0, note_done, &outcome, &fault, &op) == 0, "%s",
                  fault.detail);
    json_decref(body);
    core_flush(f);
    ck_assert(outcome.called);
    ck_assert_int_eq(outcome.fault.code, FAULT_NONE);
    return op;
}

struct operation *act(struct core_fixture *f, struct device *device, const char *uid, enum operation_kind kind)
{
    static struct outcome outcome;
    struct fault fault = {.code = FAULT_NONE};
    struct container *c = core_find_container(device, uid);
    struct operation *op;

    outcome.called = false;
    ck_assert_ptr_nonnull(c);
    ck_assert_msg(core_act_on_container(f->core, c, kind, 0, note_done, &outcome, &fault, &op) == 0, "%s",
                  fault.detail);
    core_flush(f);
    ck_assert(outcome.called);
    return op;
}

void ends(struct core_fixture *f, const char *operation, enum operation_state state, enum fault_code code)
{
    char id[UUID_SIZE];
    const struct operation *op;

    (void)text_copy(id, sizeof id, operation);
    for (int i = 0; i < 6000; i++) {
        op = core_find_operation(f->core, id);
        ck_assert_ptr_nonnull(op);
        if (operation_is_finished(op))
            break;
        core_advance(f, 100);
    }
    op = core_find_operation(f->core, id);
    ck_assert_msg(op->state == state && op->fault.code == code, "operation %s in step %s: %s (%s)",
                  operation_state_name(op->state), op->step, fault_info(op->fault.code)->slug, op->fault.detail);
    if (code)
        ck_assert_ptr_nonnull(strstr(op->fault.detail, op->device_id));
}

void deploys(struct core_fixture *f, struct device *device, const char *uid, const char *artifact,
             enum operation_state state, enum fault_code code)
{
    ends(f, put(f, device, uid, artifact, "running")->id, state, code);
}

enum fault_code enrols(struct core_fixture *f, struct device *device, const char *text, json_t **secrets)
{
    struct outcome outcome = {.called = false};
    struct fault fault = {.code = FAULT_NONE};
    json_t *body = json_of(text), *got = NULL;
    int r = core_enrol_device(f->core, device, body, note_done, &outcome, &fault, &got);

    json_decref(body);
    ck_assert_int_ge(r, 0);
    ck_assert(!outcome.called);
    if (r == 0) {
        core_flush(f);
        ck_assert(outcome.called);
        fault = outcome.fault;
    }
    ck_assert_int_eq(fault.code == FAULT_NONE, got != NULL);
    if (secrets)
        *secrets = got;
    else
        json_decref(got);
    return fault.code;
}

struct credential *credential_of(const struct device *device, enum credential_kind kind, enum credential_state state)
{
    struct credential *credential = keyring_find(device, kind, state);

    ck_assert_msg(credential != NULL, "device %s has no %s credentials that are %s", device->id,
                  credential_kind_name(kind), credential_state_name(state));
    return credential;
}

struct credential *enrol(struct core_fixture *f, struct device *device, const char *body)
{
    struct credential *newest = NULL;

    ck_assert_int_eq(enrols(f, device, body, NULL), FAULT_NONE);
    for (struct credential *c = device->credentials; c; c = c->next)
        if (!newest || c->number > newest->number)
            newest = c;
    return newest;
}

struct credential *heard(struct core_fixture *f, const struct credential *credential)
{
    const struct oscore_credentials *ids = oscore_context_credentials(credential->context);

    return keyring_find_oscore(f->core, ids->recipient_id, ids->recipient_id_size,
                               ids->has_id_context ? ids->id_context : NULL, ids->id_context_size, NULL);
}

uint64_t take_number(struct core_fixture *f, struct credential *c)
{
    uint64_t next = oscore_context_sequence(c->context), left = oscore_context_sequence_left(c->context);

    if (left == 0)
        return UINT64_MAX;
    ck_assert(oscore_context_set_sequence(c->context, next + 1, next + left));
    keyring_spent(f->core, c);
    return next;
}

struct waiting {
    struct reservation reservation;
    int result;
};

static void note_reserved(struct reservation *reservation, int result)
{
    container_of(reservation, struct waiting, reservation)->result = result;
}

int reserves(struct core_fixture *f, struct credential *c)
{
    struct waiting waiting = {.reservation.done = note_reserved, .result = 1};

    keyring_reserve(f->core, c, &waiting.reservation);
    ck_assert_int_eq(waiting.result, 1);
    core_flush(f);
    ck_assert_int_le(waiting.result, 0);
    return waiting.result;
}

void finds(struct core_fixture *f, bool endpoints, const char *query, const char *expected)
{
    cleanup_buffer struct buffer out = buffer_init(0);
    struct fault fault;

    ck_assert_int_eq(core_look_up(f->core, endpoints, query, &out, &fault), 0);
    ck_assert_str_eq(buffer_text(&out), expected);
}
