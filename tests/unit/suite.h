#ifndef TC_TESTS_SUITE_H
#define TC_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* A case of the suite each of whose tests has this fixture. */
static inline TCase *suite_add_case(Suite *suite, const char *name, SFun set_up, SFun tear_down)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, set_up, tear_down);
    suite_add_tcase(suite, tc);
    return tc;
}

/* Runs a suite and frees it. Returns the program's exit status. */
static inline int suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
