#include "core/rollout_private.h"

#include "base/log.h"
#include "core/bodycheck.h"
#include "core/event.h"

#include <errno.h>
#include <string.h>

/* Rollouts as rows and as JSON. */

#define KEY_SIZE (UUID_SIZE + CORE_ID_MAX + 1)

static enum rollout_state state_from_name(const char *name)
{
    int state = 0;

    while (state < ROLLOUT_STATE_COUNT && strcmp(rollout_state_name((enum rollout_state)state), name) != 0)
        state++;
    return (enum rollout_state)state;
}

static enum member_state member_state_from_name(const char *name)
{
    int state = 0;

    while (state < MEMBER_STATE_COUNT && strcmp(member_state_name((enum member_state)state), name) != 0)
        state++;
    return (enum member_state)state;
}

/* Writing ---------------------------------------------------------------------------------------------------------- */

static void put(struct store_batch *batch, const char *kind, const char *key, json_t *row)
{
    cleanup_free char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;

    if (text)
        store_batch_put_document(batch, &(struct store_document){.kind = kind, .key = key, .body = text});
    json_decref(row);
}

void rollout_put(struct store_batch *batch, const struct rollout *r)
{
    put(batch, "rollout", r->id,
        json_pack("{s:O, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:I}", "spec", r->spec->json, "state",
                  rollout_state_name(r->state), "reason", r->reason, "wave", (int)r->wave, "waves", (int)r->wave_count,
                  "tolerated", (int)r->tolerated, "created", (json_int_t)r->created, "updated", (json_int_t)r->updated,
                  "ended", (json_int_t)r->ended));
}

void rollout_put_member(struct store_batch *batch, const struct rollout *r, const struct member *m)
{
    char key[KEY_SIZE];

    (void)snprintf(key, sizeof key, "%s/%s", r->id, m->device);
    put(batch, "rollout-device", key,
        json_pack("{s:s, s:i, s:I, s:s*, s:O*, s:s*, s:s*}", "state", member_state_name(m->state), "wave", (int)m->wave,
                  "since", (json_int_t)m->since, "artifact", *m->artifact ? m->artifact : NULL, "previous", m->previous,
                  "error", m->code ? fault_info(m->code)->slug : NULL, "detail", m->detail));
}

void rollout_tell(struct store_batch *batch, const struct rollout *r)
{
    event_add(r->core, batch, EVENT_ROLLOUT_STATE, NULL, "{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:o}", "rollout", r->id,
              "name", r->spec->name, "container", r->spec->container, "state", rollout_state_name(r->state), "reason",
              r->reason, "wave", (int)r->wave + 1, "waves", (int)r->wave_count, "counts", rollout_counts_json(r));
}

/* Loading ---------------------------------------------------------------------------------------------------------- */

static int skip(const struct store_document *row, const char *why)
{
    log_warning("database row skipped", "kind", row->kind, "id", row->key, "reason", why, NULL);
    return 0;
}

static void load_state(struct rollout *r, const json_t *body, enum rollout_state state)
{
    const char *reason = body_text(body, "reason");

    r->state = state;
    (void)text_copy(r->reason, sizeof r->reason, reason ? reason : "");
    r->wave_count = (unsigned)body_number(body, "waves", 1);
    r->wave = (unsigned)body_number(body, "wave", 0);
    if (r->wave_count < 1 || r->wave_count > ROLLOUT_WAVES_MAX + 1)
        r->wave_count = ROLLOUT_WAVES_MAX + 1;
    if (r->wave >= r->wave_count)
        r->wave = r->wave_count - 1;
    r->tolerated = (uint32_t)body_number(body, "tolerated", 0);
    r->created = body_number(body, "created", 0);
    r->updated = body_number(body, "updated", 0);
    r->ended = body_number(body, "ended", 0);
}

int rollout_load(struct core *core, const struct store_document *row)
{
    json_t *body = json_loads(row->body, 0, NULL);
    const char *state = body_text(body, "state");
    struct rollout_spec *spec = NULL;
    struct rollout *r = NULL;
    struct fault fault;
    int result;

    if (!text_is_uuid(row->key) || !state || state_from_name(state) == ROLLOUT_STATE_COUNT) {
        json_decref(body);
        return skip(row, "bad id or state");
    }
    result = rollout_spec_parse(&spec, json_object_get(body, "spec"), &fault);
    if (result == 0)
        r = rollout_new(core, row->key, spec);
    if (r)
        load_state(r, body, state_from_name(state));
    else
        rollout_spec_free(spec);
    json_decref(body);
    if (result > 0)
        return skip(row, fault.detail);
    return r ? 0 : -ENOMEM;
}

static int load_member(struct rollout *r, const char *device, const json_t *body, enum member_state state)
{
    int64_t wave = body_number(body, "wave", 0);
    const char *artifact = body_text(body, "artifact"), *error = body_text(body, "error");
    struct member *m = rollout_add_member(r, device, wave < 0 || wave >= r->wave_count ? 0 : (unsigned)wave);

    if (!m)
        return -ENOMEM;
    r->counts[m->wave][m->state]--;
    m->state = state;
    r->counts[m->wave][m->state]++;
    r->active_count += state == MEMBER_UPDATING || state == MEMBER_REVERTING;
    m->since = body_number(body, "since", 0);
    (void)text_copy(m->artifact, sizeof m->artifact, artifact ? artifact : "");
    m->previous = json_incref(json_object_get(body, "previous"));
    m->code = error ? fault_from_slug(error) : FAULT_NONE;
    m->detail = body_text(body, "detail") ? strdup(body_text(body, "detail")) : NULL;
    return 0;
}

int rollout_load_member(struct core *core, const struct store_document *row)
{
    const char *slash = strchr(row->key, '/');
    json_t *body = json_loads(row->body, 0, NULL);
    const char *state = body_text(body, "state");
    enum member_state member = state ? member_state_from_name(state) : MEMBER_STATE_COUNT;
    char id[UUID_SIZE];
    struct rollout *r;
    int result;

    (void)snprintf(id, sizeof id, "%.*s", (int)strcspn(row->key, "/"), row->key);
    r = rollout_find(core, id); /* its row comes before: kinds are in the order of their names */
    if (!r || !slash || !text_is_name(slash + 1, CORE_ID_MAX) || member == MEMBER_STATE_COUNT)
        result = skip(row, "bad rollout, device or state");
    else
        result = load_member(r, slash + 1, body, member);
    json_decref(body);
    return result;
}

/* What they need --------------------------------------------------------------------------------------------------- */

#define REVERTIBLE_MS (30 * 24 * INT64_C(3600000)) /* what was before stays for so long after the end */

/* Most devices had the same before, so that only what differs from the one before is appended. */
static void name_previous(const struct rollout *r, const char *what, json_t *names)
{
    const char *last = "";

    for (const struct member *m = r->members; m; m = m->hh.next) {
        const char *name = body_text(m->previous, what);

        if (!name || strcmp(name, last) == 0)
            continue;
        last = name;
        (void)json_array_append_new(names, json_string(name));
    }
}

json_t *rollout_names(const struct core *core)
{
    json_t *names = json_array();

    for (const struct rollout *r = core->rollouts; r && names; r = r->hh.next) {
        if (rollout_is_unfinished(r))
            (void)json_array_append_new(names, json_string(*r->spec->release ? r->spec->release : r->spec->artifact));
        if (!rollout_is_unfinished(r) && core_wall(core) - r->ended >= REVERTIBLE_MS)
            continue;
        name_previous(r, "artifact", names);
        name_previous(r, "release", names);
    }
    return names;
}

/* Shown ------------------------------------------------------------------------------------------------------------ */

static json_t *counts_json(size_t total, const size_t counts[MEMBER_STATE_COUNT])
{
    json_t *json = json_pack("{s:I}", "total", (json_int_t)total);

    for (int state = 0; state < MEMBER_STATE_COUNT; state++)
        (void)json_object_set_new(json, member_state_name((enum member_state)state),
                                  json_integer((json_int_t)counts[state]));
    return json;
}

json_t *rollout_counts_json(const struct rollout *r)
{
    size_t counts[MEMBER_STATE_COUNT];

    for (int state = 0; state < MEMBER_STATE_COUNT; state++)
        counts[state] = rollout_count(r, (enum member_state)state);
    return counts_json(HASH_COUNT(r->members), counts);
}

static json_t *waves_json(const struct rollout *r)
{
    json_t *waves = json_array();

    for (unsigned wave = 0; wave < r->wave_count; wave++) {
        size_t total = 0;

        for (int state = 0; state < MEMBER_STATE_COUNT; state++)
            total += r->counts[wave][state];
        (void)json_array_append_new(waves, counts_json(total, r->counts[wave]));
    }
    return waves;
}

static json_t *member_json(const struct member *m)
{
    struct fault fault = {.code = m->code};

    (void)text_copy(fault.detail, sizeof fault.detail, m->detail ? m->detail : "");
    return json_pack("{s:s, s:i, s:s, s:o, s:o, s:o}", "device", m->device, "wave", (int)m->wave + 1, "state",
                     member_state_name(m->state), "since", json_time(m->since), "artifact",
                     *m->artifact ? json_string(m->artifact) : json_null(), "error", json_fault(&fault, false));
}

static int compare_members(const void *a, const void *b)
{
    const struct member *x = *(const struct member *const *)a, *y = *(const struct member *const *)b;

    return x->wave != y->wave ? (x->wave < y->wave ? -1 : 1) : strcmp(x->device, y->device);
}

/* In the order of waves, then ids. */
static json_t *members_json(const struct rollout *r)
{
    size_t count = HASH_COUNT(r->members), n = 0;
    cleanup_free const struct member **members = calloc(count + 1, sizeof(struct member *));
    json_t *array = json_array();

    for (const struct member *m = r->members; m && members; m = m->hh.next)
        members[n++] = m;
    if (n)
        qsort(members, n, sizeof(struct member *), compare_members);
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(array, member_json(members[i]));
    return array;
}

static json_t *rollout_json(const struct rollout *r)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:O}", "id", r->id, "name", r->spec->name,
                     "container", r->spec->container, "state", rollout_state_name(r->state), "reason", r->reason,
                     "wave", (int)r->wave + 1, "waves", waves_json(r), "counts", rollout_counts_json(r), "created_at",
                     json_time(r->created), "updated_at", json_time(r->updated), "ended_at", json_time(r->ended),
                     "spec", r->spec->json);
}

json_t *core_rollout_json(struct core *core, const char *id, bool with_devices)
{
    const struct rollout *r = rollout_find(core, id);
    json_t *json = r ? rollout_json(r) : NULL;

    if (json && with_devices)
        (void)json_object_set_new(json, "devices", members_json(r));
    return json;
}

static int compare_rollouts(const void *a, const void *b)
{
    return strcmp((*(const struct rollout *const *)b)->id, (*(const struct rollout *const *)a)->id);
}

json_t *core_rollouts_json(struct core *core)
{
    const struct rollout *rollouts[ROLLOUTS_MAX];
    json_t *array = json_array();
    size_t count = 0;

    for (const struct rollout *r = core->rollouts; r && count < array_size(rollouts); r = r->hh.next)
        rollouts[count++] = r;
    if (count)
        qsort(rollouts, count, sizeof(struct rollout *), compare_rollouts);
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(array, rollout_json(rollouts[i]));
    return array;
}
