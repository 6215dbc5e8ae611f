/* Cases of operations on the emulated CUDA device, for test_cuda_*.c: one device for the whole
 * executable, opened by the fixture. */
#ifndef MV_TESTS_KERNELS_CUDA_CASES_H
#define MV_TESTS_KERNELS_CUDA_CASES_H

#include "tests/check_main.h"
#include "tests/cudasim/sim.h"
#include "tests/kernels/cases.h"

#define F32 MV_DTYPE_F32
#define BF16 MV_DTYPE_BF16
#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

extern mv_device cuda;     /* open between the two fixtures */
void cuda_set_up(void);    /* ends the process with 77 where a card is meant and none is there */
void cuda_tear_down(void); /* fails the test when the emulator had something to report */

/* Whether this is a real card (sim_none.c is linked): then tests of what only the emulator can do,
 * failures on demand, do nothing. */
int cuda_on_card(void);

/* Runs a case directly, then three times as a step (launched, recorded, replayed): every output
 * holds against the reference, and all have the same bits. */
void cuda_check_case(const kernel_case *c, uint64_t seed);

/* All of them; prints the worst share of a tolerance. */
void cuda_check_cases(const kernel_case *cases, int n);

/* Under the checker: runs the case once counting memory transactions, and asserts that accesses to
 * global (shared) memory in lines of `file` take at most `global` (`shared`) times the ideal. Does
 * nothing in other runs. */
void cuda_check_access(const kernel_case *c, const char *file, double global, double shared);

#endif
