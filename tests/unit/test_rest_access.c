/* The table of routes holds for commands that come over the uplink, for every role. */
#include "rest/local.h"
#include "rest/route.h"
#include "rest_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

static struct fixture f;

static void setup(void)
{
    fixture_start(&f, NULL);
}

static void teardown(void)
{
    fixture_stop(&f);
}

struct told {
    int status;
    bool forbidden;
};

static void answered(void *arg, const struct local_answer *answer)
{
    struct told *told = arg;
    cleanup_free char *body = strndup(answer->size ? answer->body : "", answer->size);

    told->status = answer->status;
    told->forbidden = answer->status == 403 && strstr(body, "/forbidden\"");
}

/* The path with an x in place of each {...}. */
static void fill(const struct route *route, char *out)
{
    for (const char *at = route->path; *at; at++) {
        if (*at == '{') {
            *out++ = 'x';
            at = strchr(at, '}');
        } else {
            *out++ = *at;
        }
    }
    *out = 0;
}

/* Those that are refused are so at once. */
static void check_refused(const struct route *route, enum role role)
{
    struct told told = {0};
    char target[256];
    const struct local_request request = {
        .method = http_method_name(route->method), .target = target, .sink = "cloud", .role = role};

    fill(route, target);
    ck_assert_int_eq(rest_dispatch(f.rest, &request, answered, &told), 0);
    ck_assert_msg(told.forbidden, "%s for a %s: %d", route->operation_id, role_name(role), told.status);
}

START_TEST(commands_are_refused_what_the_role_has_no_right_to)
{
    size_t refused = 0;

    for (size_t i = 0; i < route_table_size; i++)
        for (enum role role = ROLE_NONE; role < ROLE_COUNT; role++)
            if (!role_permits(role, route_table[i].access)) {
                check_refused(&route_table[i], role);
                refused++;
            }
    ck_assert_uint_gt(refused, route_table_size);
}
END_TEST

START_TEST(roles)
{
    for (enum role role = ROLE_NONE; role < ROLE_COUNT; role++) {
        ck_assert_int_eq(role_from_name(role_name(role)), role);
        ck_assert(role_permits(role, ACCESS_PUBLIC));
        ck_assert_int_eq(role_permits(role, ACCESS_OWNER), role == ROLE_OWNER);
        ck_assert(!role_permits(role, ACCESS_COUNT));
    }
    ck_assert(!role_permits(ROLE_COUNT, ACCESS_PUBLIC));
    ck_assert_int_eq(role_from_name("root"), ROLE_COUNT);
    for (enum access access = 0; access < ACCESS_COUNT; access++)
        ck_assert(role_permits(ROLE_OWNER, access));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rest_access");
    TCase *tcase = suite_add_case(suite, "rest_access", setup, teardown);

    tcase_add_test(tcase, commands_are_refused_what_the_role_has_no_right_to);
    tcase_add_test(tcase, roles);
    return suite_run(suite);
}
