#include "core/selector.h"
#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* Labels of devices, and selectors of devices. */

static struct core_fixture f;
static struct fault fault;

static int patches(const char *id, const char *text)
{
    json_t *body = json_of(text);
    int r = core_patch_device(f.core, core_find_device(f.core, id), body, NULL, NULL, &fault);

    json_decref(body);
    if (r == 0)
        core_flush(&f);
    return r;
}

static void setup(void)
{
    core_setup(&f);
    (void)add_device(&f, "c", AGENT_V2);
    (void)add_device(&f, "a", AGENT_V1);
    (void)add_device(&f, "b", AGENT_V2);
    ck_assert_int_eq(patches("a", "{'labels':{'site':'paris','floor':'1'},'groups':['lab','attic']}"), 0);
    ck_assert_int_eq(patches("b", "{'labels':{'site':'rome','in':'x'},'capabilities':{'runtimes':['wasm','rbpf']}}"),
                     0);
}

static void teardown(void)
{
    core_teardown(&f);
}

static struct selector *parse(const char *text)
{
    struct selector *selector = NULL;
    json_t *body = json_of(text);
    int r = selector_parse(&selector, body, "/devices", &fault);

    ck_assert_int_ge(r, 0);
    ck_assert_int_eq(r == 0, selector != NULL);
    json_decref(body);
    return selector;
}

static void selects(const char *text, const char *expected)
{
    struct selector *selector = parse(text);
    struct device **devices;
    char found[64] = "";
    size_t count;

    ck_assert_ptr_nonnull(selector);
    ck_assert_int_eq(selector_list(selector, f.core, &devices, &count), 0);
    for (size_t i = 0; i < count; i++) {
        strcat(found, devices[i]->id);
        ck_assert(selector_matches(selector, devices[i]));
    }
    ck_assert_msg(strcmp(found, expected) == 0, "%s selects %s, not %s", text, found, expected);
    free(devices);
    selector_free(selector);
}

static void selects_by(const char *expression, const char *expected)
{
    char text[1200];

    (void)snprintf(text, sizeof text, "{'expression':'%s'}", expression);
    selects(text, expected);
}

START_TEST(selects_by_names)
{
    selects("{'all':true}", "abc");
    selects("{'devices':['b','nobody','a','b']}", "ab");
    selects("{'devices':[]}", "");
    selects("{'groups':['attic','none']}", "a");
    selects("{'devices':['b','c'],'groups':['lab']}", "");
    selects("{'all':true,'devices':['b','a'],'expression':'site'}", "ab");
}
END_TEST

START_TEST(selects_by_expressions)
{
    selects_by("site=paris", "a");
    selects_by(" site = paris , floor = 1 ", "a");
    selects_by("site!=paris", "bc"); /* what is not there is unequal */
    selects_by("site in (rome,paris)", "ab");
    selects_by("site notin (rome , oslo)", "ac");
    selects_by("site,!floor", "b");
    selects_by("!site", "c");
    selects_by("in", "b");
    selects_by("in in (x)", "b");
    selects_by("id in (c,b)", "bc");
    selects_by("group=lab", "a");
    selects_by("group!=lab", "bc");
    selects_by("agent=v2", "bc");
    selects_by("runtime in (wasm,native)", "b");
    selects_by("!runtime", "ac");
    selects_by("presence=unknown", "abc");
    selects_by("link=default", "abc");
    selects_by("agent_version=9", "");
}
END_TEST

START_TEST(has_a_canonical_form)
{
    struct selector *selector =
        parse("{'groups':['b','a','b'],'expression':' x in( 1 ),y  notin (2 , 3),! z, u=1,v != 2,w ','all':true}");
    json_t *json = selector_json(selector);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    ck_assert_str_eq(text,
                     "{\"all\":true,\"expression\":\"x=1,y notin (2,3),!z,u=1,v!=2,w\",\"groups\":[\"a\",\"b\"]}");
    ck_assert(selector_is_dynamic(selector));
    free(text);
    json_decref(json);
    selector_free(selector);
    selector = parse("{'devices':['a']}");
    ck_assert(!selector_is_dynamic(selector));
    ck_assert_ptr_null(selector_free(selector));
    ck_assert_ptr_null(selector_free(NULL));
}
END_TEST

static const char *const refused[] = {
    "{}",
    "{'all':false}",
    "{'some':1}",
    "[]",
    "{'devices':'a'}",
    "{'devices':[1]}",
    "{'devices':['a/b']}",
    "{'groups':['']}",
    "{'expression':''}",
    "{'expression':','}",
    "{'expression':'a,'}",
    "{'expression':'a=,b'}",
    "{'expression':'a==b'}",
    "{'expression':'!a=b'}",
    "{'expression':'a in b'}",
    "{'expression':'a in ()'}",
    "{'expression':'a in (b'}",
    "{'expression':'a in (b,)'}",
    "{'expression':'a b'}",
    "{'expression':'=b'}",
    "{'expression':'a=b c'}",
    "{'expression':'a/b=c'}",
    "{'expression':'\xc3\xa9=b'}",
    "{'expression':'a<b'}",
    "{'expression':'a23456789012345678901234567890123456789012345678901234567890123x=1'}",
    "{'expression':'a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a'}",
};

START_TEST(refuses_what_is_no_selector)
{
    fault.code = FAULT_NONE;
    ck_assert_ptr_null(parse(refused[_i]));
    ck_assert(fault.code == FAULT_INVALID_FIELD || fault.code == FAULT_UNKNOWN_FIELD);
    ck_assert(strncmp(fault.pointer, "/devices", 8) == 0);
}
END_TEST

static void shows_labels(const char *id, const char *expected)
{
    size_t size;
    json_t *device = json_loads(core_render_device(core_find_device(f.core, id), &size), 0, NULL);
    char *text = json_dumps(json_object_get(device, "labels"), JSON_COMPACT);

    ck_assert_str_eq(text, expected);
    free(text);
    json_decref(device);
}

START_TEST(labels_are_patched_and_kept)
{
    shows_labels("c", "{}");
    ck_assert_int_eq(patches("a", "{'labels':{'site':null,'room':'x.1'}}"), 0);
    shows_labels("a", "{\"floor\":\"1\",\"room\":\"x.1\"}");
    core_restart(&f);
    shows_labels("a", "{\"floor\":\"1\",\"room\":\"x.1\"}");
    ck_assert_int_eq(patches("a", "{'labels':null}"), 0);
    shows_labels("a", "{}");
    core_restart(&f);
    shows_labels("a", "{}");
}
END_TEST

START_TEST(refuses_what_are_no_labels)
{
    static const char *const bad[] = {
        "{'labels':[]}",          "{'labels':{'a':1}}",    "{'labels':{'a b':'1'}}",      "{'labels':{'a':''}}",
        "{'labels':{'a':'b,c'}}", "{'labels':{'id':'1'}}", "{'labels':{'presence':'1'}}",
    };
    json_t *many = json_object(), *body = json_pack("{s:o}", "labels", many);
    char name[8];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(patches("a", bad[i]), 1);
        ck_assert_int_eq(fault.code, FAULT_INVALID_FIELD);
        ck_assert_str_eq(fault.pointer, "/labels");
    }
    for (int i = 0; i <= LABELS_MAX; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        json_object_set_new(many, name, json_string("v"));
    }
    ck_assert_int_eq(core_patch_device(f.core, core_find_device(f.core, "c"), body, NULL, NULL, &fault), 1);
    json_object_del(many, "n0");
    ck_assert_int_eq(core_patch_device(f.core, core_find_device(f.core, "c"), body, NULL, NULL, &fault), 0);
    core_flush(&f);
    shows_labels("a", "{\"floor\":\"1\",\"site\":\"paris\"}");
    json_decref(body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("selector");
    TCase *tc = suite_add_case(suite, "selector", setup, teardown);

    tcase_add_test(tc, selects_by_names);
    tcase_add_test(tc, selects_by_expressions);
    tcase_add_test(tc, has_a_canonical_form);
    tcase_add_loop_test(tc, refuses_what_is_no_selector, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tc, labels_are_patched_and_kept);
    tcase_add_test(tc, refuses_what_are_no_labels);
    return suite_run(suite);
}
