#include "core/directory.h"
#include "core/presence.h"
#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* The resource directory in the core: what registrations are taken, whose they are, how they end. */

static struct core_fixture f;
static struct device *one, *two; /* with credentials */
static struct device *plain;     /* without */

static void setup(void)
{
    core_setup(&f);
    one = add_device(&f, "one", AGENT_UNKNOWN);
    two = add_device(&f, "two", AGENT_V2);
    plain = add_device(&f, "plain", AGENT_UNKNOWN);
    enrol(&f, one, "{}");
    enrol(&f, two, "{}");
}

static void teardown(void)
{
    core_teardown(&f);
}

static void restart(void)
{
    core_restart(&f);
    one = core_find_device(f.core, "one");
    two = core_find_device(f.core, "two");
    plain = core_find_device(f.core, "plain");
}

#define STRANGER "coap://192.0.2.7:5683"
#define LINKS "</temp>;rt=\"temperature\";if=\"core.s\",</led>;rt=\"light actuator\";ct=0"

static struct fault fault;
static uint64_t number;

/* What refused it; FAULT_NONE: it is registered as `number`. */
static enum fault_code attempt(struct device *device, const char *address, const char *query, const char *links)
{
    const struct directory_source source = {device, address};
    struct outcome outcome = {.called = false};
    bool created;
    int r = core_register_endpoint(f.core, &source, query, links, strlen(links), note_done, &outcome, &fault, &number,
                                   &created);

    ck_assert_int_ge(r, 0);
    core_flush(&f);
    ck_assert_int_eq(outcome.called, r == 0);
    return r ? fault.code : outcome.fault.code;
}

#define refused(code, ...) ck_assert_int_eq(attempt(__VA_ARGS__), code)
#define registers(...)                                                                                                 \
    do {                                                                                                               \
        enum fault_code code_ = attempt(__VA_ARGS__);                                                                  \
        ck_assert_msg(code_ == FAULT_NONE, "%s", fault.detail);                                                        \
    } while (0)

static enum fault_code update(struct device *device, const char *address, uint64_t which, const char *query)
{
    const struct directory_source source = {device, address};
    struct outcome outcome = {.called = false};
    int r = core_update_registration(f.core, &source, which, query, note_done, &outcome, &fault);

    ck_assert_int_ge(r, 0);
    core_flush(&f);
    ck_assert_int_eq(outcome.called, r == 0);
    return r ? fault.code : outcome.fault.code;
}

static enum fault_code removes(struct device *device, const char *address, uint64_t which)
{
    const struct directory_source source = {device, address};
    struct outcome outcome = {.called = false};
    int r = core_remove_registration(f.core, &source, which, note_done, &outcome, &fault);

    ck_assert_int_ge(r, 0);
    core_flush(&f);
    return r ? fault.code : outcome.fault.code;
}

static size_t count(void)
{
    struct directory_stats stats;

    core_get_directory_stats(f.core, &stats);
    return stats.bound + stats.hints;
}

static size_t count_hints(void)
{
    struct directory_stats stats;

    core_get_directory_stats(f.core, &stats);
    return stats.hints;
}

/* Registration ----------------------------------------------------------------------------------------------------- */

START_TEST(registers_and_is_bound)
{
    const struct registration *r;

    registers(one, STRANGER, "ep=node&d=hall&lt=120&et=sensor", LINKS);
    r = core_registration_of(one);
    ck_assert_ptr_nonnull(r);
    ck_assert_uint_eq(r->number, number);
    ck_assert_str_eq(r->ep, "node");
    ck_assert_str_eq(r->sector, "hall");
    ck_assert_str_eq(r->device, "one");
    ck_assert_str_eq(r->links, LINKS);
    ck_assert_str_eq(r->attributes, "et=sensor");
    ck_assert_uint_eq(r->lifetime, 120);
    ck_assert_int_eq(r->expires, f.clock.monotonic + 120000);
    ck_assert_uint_eq(count_hints(), 0);
}
END_TEST

START_TEST(names_and_sectors_tell_entries_apart)
{
    uint64_t first;

    registers(one, STRANGER, "ep=node", LINKS);
    first = number;
    registers(one, STRANGER, "ep=node&d=x", LINKS);
    ck_assert_uint_ne(number, first);
    registers(one, STRANGER, "ep=node&lt=5&et=y", "");
    ck_assert_uint_eq(number, first);
    ck_assert_uint_eq(core_find_registration(f.core, first)->lifetime, 5);
    ck_assert_str_eq(core_find_registration(f.core, first)->links, "");
    ck_assert_uint_eq(count(), 2);
}
END_TEST

START_TEST(one_that_proves_who_it_is_need_not_say_its_name)
{
    registers(one, STRANGER, "", LINKS);
    ck_assert_str_eq(core_registration_of(one)->ep, "one");
    ck_assert_uint_eq(core_registration_of(one)->lifetime, DIRECTORY_LT_DEFAULT);
    refused(FAULT_INVALID_PARAMETER, NULL, STRANGER, "lt=60", LINKS);
}
END_TEST

START_TEST(bad_parameters)
{
    static const char *const queries[] = {
        "ep=x&lt=0",
        "ep=x&lt=4294967296",
        "ep=x&lt=-1",
        "ep=x&lt=",
        "ep=x&lt",
        "ep=x&lt=60s",
        "ep=x&lt=60&lt=60",
        "ep=",
        "ep",
        "ep=x&ep=y",
        "ep=0123456789012345678901234567890123456789012345678901234567890123",
        "ep=x&d=0123456789012345678901234567890123456789012345678901234567890123",
        "ep=a%00b",
        "ep=a%0ab",
        "ep=a\"b",
        "ep=a%22b",
        "ep=a%5cb",
        "ep=%ff",
        "ep=%4",
        "ep=%zz",
        "ep=x&base=/relative",
        "ep=x&base=coap://h/path",
        "ep=x&base=coap://",
        "ep=x&base=coap://a%20b",
        "ep=x&base=coap://a%3eb",
        "ep=x&page=1",
        "ep=x&rt=core.rd-ep",
        "ep=x&href=/",
        "ep=x&=y",
        "ep=x&a b=y",
        "ep=x&0123456789012345678901234567890123456789=y",
    };
    char many[400] = "ep=x";

    for (size_t i = 0; i < array_size(queries); i++)
        refused(FAULT_INVALID_PARAMETER, one, STRANGER, queries[i], LINKS);
    for (int i = 0; i < 60; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), "&a%02d=b", i);
    refused(FAULT_INVALID_PARAMETER, one, STRANGER, many, LINKS);
    ck_assert_uint_eq(count(), 0);
    registers(one, STRANGER, "ep=a%26b%20c&lt=4294967295", LINKS);
    ck_assert_str_eq(core_registration_of(one)->ep, "a&b c");
}
END_TEST

START_TEST(garbage_for_links)
{
    static const char *const garbage[] = {"temp", "<",       "</a",      "</a>;",   "</a>;=x",   "</a>,", "</a>;rt=\"x",
                                          "<a>",  "<//h/a>", "</a>\xff", "</a><b>", "{\"a\":1}", "<>"};
    char *large = malloc(DIRECTORY_LINKS_MAX + 2);

    for (size_t i = 0; i < array_size(garbage); i++)
        refused(FAULT_INVALID_FIELD, one, STRANGER, "ep=x", garbage[i]);
    memset(large, 'a', DIRECTORY_LINKS_MAX + 2);
    memcpy(large, "</", 2);
    large[DIRECTORY_LINKS_MAX - 1] = '>';
    large[DIRECTORY_LINKS_MAX] = 0;
    registers(one, STRANGER, "ep=x", large);
    memcpy(large + DIRECTORY_LINKS_MAX - 1, "a>", 3);
    refused(FAULT_BODY_TOO_LARGE, one, STRANGER, "ep=x", large);
    free(large);
}
END_TEST

/* Whose it is ------------------------------------------------------------------------------------------------------ */

START_TEST(another_devices_name_is_refused)
{
    refused(FAULT_FORBIDDEN, one, STRANGER, "ep=two", LINKS);
    registers(two, STRANGER, "ep=kitchen", LINKS);
    refused(FAULT_FORBIDDEN, one, STRANGER, "ep=kitchen", LINKS);
    refused(FAULT_FORBIDDEN, one, STRANGER, "ep=plain", LINKS);
    refused(FAULT_FORBIDDEN, NULL, STRANGER, "ep=two", LINKS);
    refused(FAULT_FORBIDDEN, NULL, STRANGER, "ep=kitchen", LINKS);
    ck_assert_str_eq(core_registration_of(two)->address, STRANGER);
    ck_assert_ptr_null(core_registration_of(one));
    ck_assert_int_eq(update(one, STRANGER, core_registration_of(two)->number, ""), FAULT_FORBIDDEN);
    ck_assert_int_eq(update(NULL, STRANGER, core_registration_of(two)->number, ""), FAULT_FORBIDDEN);
    ck_assert_int_eq(removes(one, STRANGER, core_registration_of(two)->number), FAULT_FORBIDDEN);
    ck_assert_int_eq(removes(NULL, STRANGER, core_registration_of(two)->number), FAULT_FORBIDDEN);
    ck_assert_uint_eq(count(), 1);
}
END_TEST

START_TEST(a_devices_own_name_is_its_own)
{
    struct device *late;

    registers(one, STRANGER, "ep=late", LINKS);
    late = add_device(&f, "late", AGENT_V2);
    enrol(&f, late, "{}");
    registers(late, STRANGER, "ep=late", LINKS);
    ck_assert_ptr_null(core_registration_of(one));
    ck_assert_str_eq(core_registration_of(late)->ep, "late");
}
END_TEST

START_TEST(a_stranger_is_a_hint)
{
    int64_t seen = plain->last_seen;

    registers(NULL, STRANGER, "ep=RIOT-0123456789ABCDEF&lt=60", LINKS);
    ck_assert_str_eq(core_find_registration(f.core, number)->device, "");
    ck_assert_uint_eq(count_hints(), 1);
    ck_assert_int_eq(plain->last_seen, seen);
    ck_assert_int_eq(update(NULL, "coap://192.0.2.7:60000", number, ""), FAULT_NONE);
    ck_assert_int_eq(update(NULL, "coap://192.0.2.8:5683", number, ""), FAULT_FORBIDDEN);
    ck_assert_int_eq(update(one, STRANGER, number, ""), FAULT_FORBIDDEN);
    ck_assert_int_eq(removes(NULL, "coap://192.0.2.8:5683", number), FAULT_FORBIDDEN);
    ck_assert_int_eq(removes(NULL, STRANGER, number), FAULT_NONE);
    ck_assert_int_eq(removes(NULL, STRANGER, number), FAULT_NOT_FOUND);
    ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(a_device_that_may_be_used_plainly_is_known_by_name)
{
    registers(NULL, STRANGER, "ep=plain&lt=60", LINKS);
    ck_assert_str_eq(core_registration_of(plain)->ep, "plain");
    ck_assert_str_eq(plain->address, STRANGER);
    ck_assert_int_eq(plain->last_seen, f.clock.wall);
    ck_assert_int_eq(core_presence(plain).state, PRESENCE_ONLINE);
    ck_assert_int_eq(update(NULL, "coap://192.0.2.9:5683", number, ""), FAULT_NONE);
    ck_assert_str_eq(plain->address, "coap://192.0.2.9:5683");
    ck_assert_ptr_eq(keyring_find_plain(f.core, "coap://192.0.2.9:5683"), plain);
    ck_assert_ptr_null(keyring_find_plain(f.core, STRANGER));
}
END_TEST

START_TEST(or_by_its_address_and_then_by_its_entry)
{
    char address[CORE_ADDRESS_MAX + 1];

    (void)text_copy(address, sizeof address, plain->address);
    registers(NULL, address, "ep=RIOT-0123456789ABCDEF", LINKS);
    ck_assert_str_eq(core_registration_of(plain)->ep, "RIOT-0123456789ABCDEF");
    registers(NULL, STRANGER, "ep=RIOT-0123456789ABCDEF", LINKS);
    ck_assert_str_eq(plain->address, STRANGER);
    enrol(&f, plain, "{}"); /* from now on it has to prove who it is */
    refused(FAULT_FORBIDDEN, NULL, STRANGER, "ep=RIOT-0123456789ABCDEF", LINKS);
    ck_assert_int_eq(update(NULL, STRANGER, number, ""), FAULT_FORBIDDEN);
    ck_assert_int_eq(update(plain, STRANGER, number, ""), FAULT_NONE);
}
END_TEST

START_TEST(one_that_may_not_be_used_plainly_is_left_alone)
{
    char address[CORE_ADDRESS_MAX + 1];

    f.options.allow_plain_groups = "";
    core_configure(f.core, &f.options);
    (void)text_copy(address, sizeof address, plain->address);
    registers(NULL, STRANGER, "ep=plain", LINKS);
    ck_assert_str_eq(core_find_registration(f.core, number)->device, "");
    ck_assert_str_eq(plain->address, address);
    ck_assert_int_eq(core_presence(plain).state, PRESENCE_UNKNOWN);
    ck_assert_int_eq(plain->agent, AGENT_UNKNOWN);
}
END_TEST

START_TEST(devices_at_one_address)
{
    char address[CORE_ADDRESS_MAX + 1];
    struct device *other = add_device(&f, "other", AGENT_V2), *third = add_device(&f, "third", AGENT_V2);

    registers(NULL, STRANGER, "ep=plain", LINKS);
    registers(NULL, STRANGER, "ep=other", LINKS);
    registers(NULL, STRANGER, "ep=third", LINKS);
    (void)text_copy(address, sizeof address, STRANGER);
    ck_assert_ptr_nonnull(keyring_find_plain(f.core, address));
    registers(NULL, "coap://192.0.2.1:1", "ep=plain", LINKS); /* the first one of the chain goes */
    ck_assert_ptr_nonnull(keyring_find_plain(f.core, address));
    enrol(&f, third, "{}");
    ck_assert_ptr_eq(keyring_find_plain(f.core, address), other);
    registers(NULL, "coap://192.0.2.1:1", "ep=other", LINKS);
    ck_assert_ptr_null(keyring_find_plain(f.core, address));
    core_advance(&f, 2000);
    core_flush(&f);
    restart();
    ck_assert_ptr_nonnull(keyring_find_plain(f.core, "coap://192.0.2.1:1"));
}
END_TEST

START_TEST(links_tell_the_agent)
{
    registers(one, STRANGER, "ep=one", "</container/>,</device-id/>");
    ck_assert_int_eq(one->agent, AGENT_V1);
    registers(NULL, STRANGER, "ep=plain", "</tc>;rt=\"tinycontainer\"");
    ck_assert_int_eq(plain->agent, AGENT_V2);
    registers(two, STRANGER, "ep=two", "</container/>,</device-id/>");
    ck_assert_int_eq(two->agent, AGENT_V2); /* as a person configured */
}
END_TEST

START_TEST(a_sessions_base_is_where_it_can_be_reached)
{
    registers(one, "coaps://192.0.2.1:4711", "ep=one&base=coaps://192.0.2.1:5684", LINKS);
    ck_assert_str_eq(one->address, "coaps://192.0.2.1:5684");
}
END_TEST

/* Limits ----------------------------------------------------------------------------------------------------------- */

START_TEST(one_address_has_few_hints)
{
    char query[32];

    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(query, sizeof query, "ep=x%u", i);
        if (i < f.options.max_registrations_per_address)
            registers(NULL, STRANGER, query, LINKS);
        else
            refused(i < 101 ? FAULT_LIMIT_REACHED : FAULT_RATE_LIMITED, NULL, "coap://192.0.2.7:9", query, LINKS);
    }
    core_advance(&f, 5000);
    registers(NULL, STRANGER, "ep=x0", LINKS);
    registers(NULL, "coap://192.0.2.8:5683", "ep=y", LINKS);
    ck_assert_uint_eq(count(), f.options.max_registrations_per_address + 1);
}
END_TEST

START_TEST(one_device_registers_seldom)
{
    unsigned taken = 0;

    while (taken < 1000 && attempt(one, "coap://192.0.2.1:5683", "ep=one", LINKS) == FAULT_NONE)
        taken++;
    ck_assert_uint_eq(taken, 21);
    refused(FAULT_RATE_LIMITED, one, "coap://192.0.2.1:5683", "ep=one", LINKS);
    registers(two, "coap://192.0.2.2:5683", "ep=two", LINKS); /* nobody else is kept from it */
    core_advance(&f, 2000);
    registers(one, "coap://192.0.2.1:5683", "ep=one", LINKS);
}
END_TEST

START_TEST(hints_give_way_to_devices)
{
    char query[32], address[64];

    for (unsigned i = 0; i < f.options.max_registrations; i++) {
        (void)snprintf(query, sizeof query, "ep=x%u", i);
        (void)snprintf(address, sizeof address, "coap://192.0.2.%u:5683", i);
        registers(NULL, address, query, LINKS);
    }
    refused(FAULT_LIMIT_REACHED, NULL, "coap://192.0.2.200:5683", "ep=more", LINKS);
    registers(one, STRANGER, "ep=one", LINKS);
    finds(&f, true, "ep=x0", "");
    ck_assert_uint_eq(count(), f.options.max_registrations);
}
END_TEST

START_TEST(a_device_has_few_entries)
{
    registers(one, STRANGER, "ep=a", LINKS);
    registers(one, STRANGER, "ep=b", LINKS);
    registers(one, STRANGER, "ep=c", LINKS);
    registers(one, STRANGER, "ep=d", LINKS);
    refused(FAULT_LIMIT_REACHED, one, STRANGER, "ep=e", LINKS);
    registers(one, STRANGER, "ep=d", LINKS);
    ck_assert_int_eq(update(one, STRANGER, number, "lt=5"), FAULT_NONE);
    registers(two, STRANGER, "ep=e", LINKS);
}
END_TEST

/* Time ------------------------------------------------------------------------------------------------------------- */

START_TEST(ends_with_its_lifetime)
{
    registers(one, STRANGER, "ep=one&lt=60", LINKS);
    core_advance(&f, 45000);
    ck_assert_int_eq(update(one, STRANGER, number, ""), FAULT_NONE);
    core_advance(&f, 59999);
    ck_assert_ptr_nonnull(core_find_registration(f.core, number));
    core_advance(&f, 1);
    ck_assert_ptr_null(core_find_registration(f.core, number));
    ck_assert_ptr_null(core_registration_of(one));
    core_flush(&f);
    restart();
    ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(updates_change_what_they_say)
{
    const struct registration *r;

    registers(one, STRANGER, "ep=one&lt=60&et=a&sleep=60&x", LINKS);
    ck_assert_int_eq(update(one, STRANGER, number, "lt=120&base=coap://h&et=b&y=1"), FAULT_NONE);
    r = core_find_registration(f.core, number);
    ck_assert_uint_eq(r->lifetime, 120);
    ck_assert_str_eq(r->base, "coap://h");
    ck_assert_str_eq(r->attributes, "sleep=60&x&et=b&y=1");
    ck_assert_str_eq(r->links, LINKS);
    ck_assert_uint_eq(core_presence(one).sleep_s, 60);
    ck_assert_int_eq(update(one, STRANGER, number, "sleep=0"), FAULT_NONE);
    ck_assert(!core_presence(one).sleepy);
    ck_assert_int_eq(update(one, STRANGER, number, "ep=other"), FAULT_INVALID_PARAMETER);
    ck_assert_int_eq(update(one, STRANGER, number, "lt=0"), FAULT_INVALID_PARAMETER);
    ck_assert_int_eq(update(one, STRANGER, number + 1, ""), FAULT_NOT_FOUND);
}
END_TEST

START_TEST(what_is_bound_survives_a_restart)
{
    uint64_t bound, hint;

    registers(one, STRANGER, "ep=node&d=hall&lt=3600&base=coap://h&et=sensor", LINKS);
    bound = number;
    registers(NULL, STRANGER, "ep=stranger", LINKS);
    hint = number;
    core_advance(&f, 60000);
    restart();
    ck_assert_ptr_null(core_find_registration(f.core, hint));
    ck_assert_ptr_nonnull(core_registration_of(one));
    ck_assert_uint_eq(core_registration_of(one)->number, bound);
    ck_assert_str_eq(core_registration_of(one)->base, "coap://h");
    ck_assert_str_eq(core_registration_of(one)->attributes, "et=sensor");
    ck_assert_str_eq(core_registration_of(one)->links, LINKS);
    ck_assert_int_eq(core_registration_of(one)->expires, f.clock.monotonic + 3540000);
    ck_assert_int_eq(update(one, STRANGER, bound, ""), FAULT_NONE);
    registers(NULL, STRANGER, "ep=another", LINKS);
    ck_assert_uint_ne(number, hint);
}
END_TEST

START_TEST(goes_with_its_device)
{
    struct outcome outcome = {.called = false};

    registers(one, STRANGER, "ep=a", LINKS);
    registers(one, STRANGER, "ep=b", LINKS);
    ck_assert_int_eq(core_remove_device(f.core, one, note_done, &outcome, &fault), 0);
    core_flush(&f);
    ck_assert_uint_eq(count(), 0);
    restart();
    ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(a_person_forgets_it)
{
    struct outcome outcome = {.called = false};
    enum presence_state before;

    registers(one, STRANGER, "ep=one", LINKS);
    before = core_presence(one).state;
    ck_assert_int_eq(core_forget_registration(f.core, number, note_done, &outcome, &fault), 0);
    ck_assert_ptr_null(core_find_registration(f.core, number));
    core_flush(&f);
    ck_assert(outcome.called);
    ck_assert_uint_eq(count(), 0);
    ck_assert_int_eq(core_presence(one).state, before);
    ck_assert_int_eq(core_forget_registration(f.core, number, note_done, &outcome, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_NOT_FOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directory");
    TCase *tc = suite_add_case(suite, "directory", setup, teardown);

    tcase_add_test(tc, registers_and_is_bound);
    tcase_add_test(tc, names_and_sectors_tell_entries_apart);
    tcase_add_test(tc, one_that_proves_who_it_is_need_not_say_its_name);
    tcase_add_test(tc, bad_parameters);
    tcase_add_test(tc, garbage_for_links);
    tcase_add_test(tc, another_devices_name_is_refused);
    tcase_add_test(tc, a_devices_own_name_is_its_own);
    tcase_add_test(tc, a_stranger_is_a_hint);
    tcase_add_test(tc, a_device_that_may_be_used_plainly_is_known_by_name);
    tcase_add_test(tc, or_by_its_address_and_then_by_its_entry);
    tcase_add_test(tc, one_that_may_not_be_used_plainly_is_left_alone);
    tcase_add_test(tc, devices_at_one_address);
    tcase_add_test(tc, links_tell_the_agent);
    tcase_add_test(tc, a_sessions_base_is_where_it_can_be_reached);
    tcase_add_test(tc, one_address_has_few_hints);
    tcase_add_test(tc, one_device_registers_seldom);
    tcase_add_test(tc, hints_give_way_to_devices);
    tcase_add_test(tc, a_device_has_few_entries);
    tcase_add_test(tc, ends_with_its_lifetime);
    tcase_add_test(tc, updates_change_what_they_say);
    tcase_add_test(tc, what_is_bound_survives_a_restart);
    tcase_add_test(tc, goes_with_its_device);
    tcase_add_test(tc, a_person_forgets_it);
    return suite_run(suite);
}
