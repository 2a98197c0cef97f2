/* The contract, the route table and the table of faults say the same. */
#include "rest/openapi.h"
#include "rest/route.h"
#include "suite.h"

#include <check.h>
#include <string.h>
#include <strings.h>

static json_t *contract;

static void load(void)
{
    contract = json_loadb((const char *)openapi_json, openapi_json_size, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(contract);
}

static void unload(void)
{
    json_decref(contract);
}

static json_t *resolve(json_t *value)
{
    const char *ref = json_string_value(json_object_get(value, "$ref"));
    char names[128], *next = names, *name;

    if (!ref)
        return value;
    ck_assert(strncmp(ref, "#/", 2) == 0);
    (void)text_copy(names, sizeof names, ref + 2);
    value = contract;
    while ((name = strsep(&next, "/")))
        value = json_object_get(value, name);
    ck_assert_msg(value != NULL, "%s leads nowhere", ref);
    return value;
}

static void check_references(json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;

    (void)resolve(value);
    json_object_foreach(value, name, member) check_references(member);
    json_array_foreach(value, i, member) check_references(member);
}

START_TEST(references_lead_somewhere)
{
    check_references(contract);
}
END_TEST

static json_t *operation_of(const struct route *route)
{
    char method[16];
    size_t i = 0;

    for (const char *c = http_method_name(route->method); *c; c++)
        method[i++] = (char)(*c | 0x20);
    method[i] = 0;
    return json_object_get(json_object_get(json_object_get(contract, "paths"), route->path), method);
}

START_TEST(every_route_is_in_the_contract)
{
    for (size_t i = 0; i < route_table_size; i++) {
        const struct route *route = &route_table[i];
        json_t *operation = operation_of(route);

        ck_assert_msg(operation != NULL, "%s %s", http_method_name(route->method), route->path);
        ck_assert_str_eq(json_string_value(json_object_get(operation, "operationId")), route->operation_id);
        ck_assert_str_eq(json_string_value(json_object_get(operation, "summary")), route->summary);
        ck_assert_msg(json_is_object(json_object_get(operation, "requestBody")) == (route->body != ROUTE_BODY_NONE),
                      "%s", route->operation_id);
    }
}
END_TEST

static bool is_method(const char *name)
{
    for (unsigned m = 0; m < HTTP_METHOD_OTHER; m++)
        if (strcasecmp(name, http_method_name((enum http_method)m)) == 0)
            return true;
    return false;
}

START_TEST(the_contract_has_no_other_routes)
{
    const char *path, *method;
    json_t *item, *operation;
    size_t count = 0;

    json_object_foreach(json_object_get(contract, "paths"), path, item) json_object_foreach(item, method, operation)
        count += is_method(method);
    ck_assert_uint_eq(count, route_table_size); /* with the test before: exactly the same */
}
END_TEST

/* Counts the parameters of a kind in a list, and checks that the route knows those of the query. */
static size_t count_parameters(const struct route *route, json_t *list, const char *in)
{
    size_t i, count = 0;
    json_t *item;

    json_array_foreach(list, i, item)
    {
        json_t *parameter = resolve(item);
        const char *name = json_string_value(json_object_get(parameter, "name"));

        if (strcmp(json_string_value(json_object_get(parameter, "in")), in) != 0)
            continue;
        count++;
        if (strcmp(in, "query") == 0)
            ck_assert_msg(route_takes_parameter(route, name), "%s: %s", route->operation_id, name);
        else
            ck_assert_msg(strstr(route->path, name) != NULL, "%s: %s", route->operation_id, name);
    }
    return count;
}

static size_t count_words(const char *text)
{
    size_t n = 0;

    for (const char *c = text; *c; c++)
        n += *c != ' ' && (c == text || c[-1] == ' ');
    return n;
}

START_TEST(parameters_agree)
{
    for (size_t i = 0; i < route_table_size; i++) {
        const struct route *route = &route_table[i];
        json_t *item = json_object_get(json_object_get(contract, "paths"), route->path);
        size_t in_path = 0;

        for (const char *c = route->path; *c; c++)
            in_path += *c == '{';
        ck_assert_uint_eq(count_parameters(route, json_object_get(item, "parameters"), "path"), in_path);
        ck_assert_msg(count_parameters(route, json_object_get(operation_of(route), "parameters"), "query") ==
                          (route->query ? count_words(route->query) : 0),
                      "%s", route->operation_id);
    }
}
END_TEST

START_TEST(every_fault_is_a_problem_type)
{
    json_t *types = json_object_get(
        json_object_get(
            json_object_get(
                json_object_get(json_object_get(json_object_get(contract, "components"), "schemas"), "Problem"),
                "properties"),
            "type"),
        "enum");

    ck_assert_uint_eq(json_array_size(types), FAULT_COUNT - 1);
    for (unsigned code = 1; code < FAULT_COUNT; code++) {
        char type[128];
        json_t *item;
        bool found = false;
        size_t i;

        (void)snprintf(type, sizeof type, FAULT_TYPE_BASE "%s", fault_info((enum fault_code)code)->slug);
        json_array_foreach(types, i, item) found |= strcmp(json_string_value(item), type) == 0;
        ck_assert_msg(found, "%s", type);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openapi");
    TCase *tcase = tcase_create("all");

    tcase_add_unchecked_fixture(tcase, load, unload);
    tcase_add_test(tcase, references_lead_somewhere);
    tcase_add_test(tcase, every_route_is_in_the_contract);
    tcase_add_test(tcase, the_contract_has_no_other_routes);
    tcase_add_test(tcase, parameters_agree);
    tcase_add_test(tcase, every_fault_is_a_problem_type);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
