#include "core/directory.h"
#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* What the resource directory finds and lists, and what it asks of a simple registration. */

static struct core_fixture f;
static struct device *one, *two; /* with credentials */
static struct fault fault;

static void setup(void)
{
    core_setup(&f);
    one = add_device(&f, "one", AGENT_UNKNOWN);
    two = add_device(&f, "two", AGENT_V2);
    enrol(&f, one, "{}");
    enrol(&f, two, "{}");
}

static void teardown(void)
{
    core_teardown(&f);
}

#define STRANGER "coap://192.0.2.7:5683"
#define LINKS "</temp>;rt=\"temperature\";if=\"core.s\",</led>;rt=\"light actuator\";ct=0"

static void registers(struct device *device, const char *address, const char *query, const char *links)
{
    const struct directory_source source = {device, address};
    struct outcome outcome = {.called = false};
    uint64_t number;
    bool created;

    ck_assert_int_eq(core_register_endpoint(f.core, &source, query, links, strlen(links), note_done, &outcome, &fault,
                                            &number, &created),
                     0);
    core_flush(&f);
    ck_assert(outcome.called && outcome.fault.code == FAULT_NONE);
}

static void fill(void)
{
    registers(one, "coap://[2001:db8::1]:61616", "ep=node1&d=hall&et=sensor", LINKS);
    registers(two, "coap://192.0.2.2:5683", "ep=node2&base=coap://node2:1&lt=60",
              "</temp>;rt=temperature;ct=50,<coap://other/x>;rel=alternate;anchor=\"/temp\"");
}

START_TEST(looks_up_resources)
{
    fill();
    finds(&f, false, "rt=light", "<coap://[2001:db8::1]:61616/led>;rt=\"light actuator\";ct=\"0\"");
    finds(&f, false, "rt=temp*&ep=node2", "<coap://node2:1/temp>;rt=\"temperature\";ct=\"50\"");
    finds(&f, false, "rel=alternate", "<coap://other/x>;rel=\"alternate\";anchor=\"coap://node2:1/temp\"");
    finds(&f, false, "et=sensor&if=core.s", "<coap://[2001:db8::1]:61616/temp>;rt=\"temperature\";if=\"core.s\"");
    finds(&f, false, "href=coap://node2:1/temp", "<coap://node2:1/temp>;rt=\"temperature\";ct=\"50\"");
    finds(&f, false, "rt=nothing", "");
    finds(&f, false, "rt=temp", "");
    finds(&f, false, "d=hall&rt=temperature&ct=50", "");
}
END_TEST

START_TEST(looks_up_endpoints)
{
    char expected[256];

    fill();
    (void)snprintf(expected, sizeof expected,
                   "</rd/%llu>;ep=\"node1\";d=\"hall\";base=\"coap://[2001:db8::1]:61616\";lt=90000;rt=\"core.rd-ep\";"
                   "et=\"sensor\"",
                   (unsigned long long)core_registration_of(one)->number);
    finds(&f, true, "et=sens*", expected);
    finds(&f, true, "d=hall", expected);
    finds(&f, true, "rt=light", expected); /* of one of its links */
    finds(&f, true, "rt=light&d=hall&ep=node*", expected);
    finds(&f, true, "rt=light&d=cellar", "");
    (void)snprintf(expected, sizeof expected, "</rd/%llu>;ep=\"node2\";base=\"coap://node2:1\";lt=60;rt=\"core.rd-ep\"",
                   (unsigned long long)core_registration_of(two)->number);
    finds(&f, true, "lt=60", expected);
    finds(&f, true, "page=1&count=1", expected);
    finds(&f, true, "page=1&count=1&rt=core.rd-ep", expected);
    (void)snprintf(expected, sizeof expected, "href=/rd/%llu", (unsigned long long)core_registration_of(two)->number);
    finds(&f, true, "page=2&count=1", "");
    finds(&f, true, "count=0", "");
}
END_TEST

START_TEST(bad_lookups)
{
    static const char *const queries[] = {
        "page=1", "page=4294967295&count=1", "page=x&count=1", "count=-1", "count=", "ep=%00", "a&b&c&d&e&f&g&h&i"};
    cleanup_buffer struct buffer out = buffer_init(0);

    fill();
    for (size_t i = 0; i < array_size(queries); i++) {
        ck_assert_int_eq(core_look_up(f.core, true, queries[i], &out, &fault), 1);
        ck_assert_int_eq(fault.code, FAULT_INVALID_PARAMETER);
    }
    finds(&f, false, "page=2147483647&count=2147483647", "");
}
END_TEST

START_TEST(lists_in_order_and_shows)
{
    const struct registration *page[4];
    json_t *json;

    fill();
    registers(NULL, STRANGER, "ep=hint", LINKS);
    ck_assert_uint_eq(core_list_registrations(f.core, 0, page, 4), 3);
    ck_assert_str_eq(page[0]->ep, "node1");
    ck_assert_uint_eq(core_list_registrations(f.core, page[1]->number, page, 4), 1);
    ck_assert_str_eq(page[0]->ep, "hint");
    ck_assert_uint_eq(core_list_registrations(f.core, page[0]->number, page, 4), 0);
    json = core_registration_json(f.core, core_registration_of(one));
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "attributes"), "et")), "sensor");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "links")), 2);
    json_decref(json);
}
END_TEST

/* Simple registration ---------------------------------------------------------------------------------------------- */

START_TEST(simple_registrations_are_checked_first)
{
    static const char *const queries[] = {"", "lt=60", "ep=x&lt=0", "ep=x&base=coap://h"};
    const struct directory_source stranger = {NULL, STRANGER}, session = {NULL, "coap+tcp://192.0.2.1:1"};

    for (size_t i = 0; i < array_size(queries); i++)
        ck_assert_int_eq(core_register_simply(f.core, &stranger, queries[i], note_done, NULL, &fault), 1);
    ck_assert_int_eq(core_register_simply(f.core, &session, "ep=x", note_done, NULL, &fault), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directory_lookup");
    TCase *tc = suite_add_case(suite, "directory_lookup", setup, teardown);

    tcase_add_test(tc, looks_up_resources);
    tcase_add_test(tc, looks_up_endpoints);
    tcase_add_test(tc, bad_lookups);
    tcase_add_test(tc, lists_in_order_and_shows);
    tcase_add_test(tc, simple_registrations_are_checked_first);
    return suite_run(suite);
}
