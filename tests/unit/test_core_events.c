#include "core_fixture.h"
#include "fake_store.h"
#include "suite.h"

#include "core/journal.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* What changes is told in the journal, once, in order. */

static struct core_fixture f;

static void setup(void)
{
    fake_store_wipe();
    core_setup(&f);
    f.options.journal_memory = 64 * 1024;
    core_restart(&f);
    core_flush(&f);
}

static void teardown(void)
{
    core_teardown(&f);
    fake_store_wipe();
}

static void wake(void *arg)
{
    (void)arg;
}

static uint64_t last_number(void)
{
    struct journal_stats stats;

    core_get_journal_stats(f.core, &stats);
    return stats.last;
}

/* The events of what follows `after`, as "kind.event" with spaces between. */
static const char *events(uint64_t after)
{
    static char out[1024];
    struct journal_reader *reader = core_open_journal(f.core, after, &(struct journal_filter){0}, wake, NULL);
    struct journal_entry entry;
    uint64_t missing;

    ck_assert_ptr_nonnull(reader);
    out[0] = 0;
    while (journal_read(reader, &entry, &missing) == JOURNAL_ENTRY) {
        json_t *body = json_loadb(entry.body, entry.size, 0, NULL);
        size_t used = strlen(out);

        (void)snprintf(out + used, sizeof out - used, "%s%s.%s", used ? " " : "", journal_kind_name(entry.kind),
                       json_string_value(json_object_get(body, "event")));
        json_decref(body);
    }
    (void)journal_close(reader);
    return out;
}

static void patch(struct device *device, const char *text)
{
    struct outcome outcome = {.called = false};
    json_t *body = json_of(text);

    ck_assert_int_eq(core_patch_device(f.core, device, body, note_done, &outcome, NULL), 0);
    core_flush(&f);
    json_decref(body);
}

START_TEST(only_what_really_changed_is_told)
{
    uint64_t after = last_number();
    struct device *one = add_device(&f, "one", AGENT_V2);

    ck_assert_str_eq(events(after), "device.added");
    after = last_number();
    patch(one, "{'name':'ramp'}");
    patch(one, "{'name':'ramp'}");
    patch(one, "{}");
    ck_assert_str_eq(events(after), "device.changed");
    after = last_number();
    patch(one, "{'allow_plain':true}");
    ck_assert_str_eq(events(after), "device.changed security.plain_allowed");
    after = last_number();
    fake_store_fail(1, -EIO);
    patch(one, "{'name':'other'}");
    ck_assert_str_eq(events(after), "");
}
END_TEST

START_TEST(a_deployment_is_told_step_by_step)
{
    struct device *one = add_device(&f, "one", AGENT_V2);
    const char *job = add_artifact(&f, "loop()", NULL);
    const char *told;
    uint64_t after = last_number();

    (void)sim_device(&f.sim, "one", AGENT_V2);
    deploys(&f, one, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    told = events(after);
    ck_assert_msg(strncmp(told, "container.desired operation.queued operation.running", 52) == 0, "%s", told);
    ck_assert_ptr_nonnull(strstr(told, "container.reported"));
    ck_assert_ptr_nonnull(strstr(told, "operation.ended"));
}
END_TEST

START_TEST(credentials_are_told)
{
    struct device *one = add_device(&f, "one", AGENT_V2);
    struct outcome outcome = {.called = false};
    uint64_t after = last_number();
    struct credential *c = enrol(&f, one, "{}");

    keyring_verified(f.core, c, NULL);
    core_flush(&f);
    ck_assert_ptr_nonnull(strstr(events(after), "security.enrolled"));
    ck_assert_ptr_nonnull(strstr(events(after), "security.first_used"));
    after = last_number();
    ck_assert_int_eq(core_revoke_credentials(f.core, one, 0, note_done, &outcome, NULL), 0);
    core_flush(&f);
    ck_assert_ptr_nonnull(strstr(events(after), "security.revoked"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_events");
    TCase *tc = suite_add_case(suite, "events", setup, teardown);

    tcase_add_test(tc, only_what_really_changed_is_told);
    tcase_add_test(tc, a_deployment_is_told_step_by_step);
    tcase_add_test(tc, credentials_are_told);
    return suite_run(suite);
}
