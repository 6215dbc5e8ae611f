/* The main of a Check test executable: define `static Suite *suite(void)`, then MV_CHECK_MAIN. */
#ifndef MV_TESTS_CHECK_MAIN_H
#define MV_TESTS_CHECK_MAIN_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define MV_CHECK_MAIN(make_suite)                              \
  int main(void) {                                             \
    SRunner *runner = srunner_create(make_suite());            \
    srunner_run_all(runner, CK_NORMAL);                        \
    int n_failed = srunner_ntests_failed(runner);              \
    srunner_free(runner);                                      \
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;             \
  }

#endif
