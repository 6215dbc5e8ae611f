/* Control of the emulated GPU, for tests, in C and C++.
 *
 * The emulator (README.md beside this file) runs .cu files on the CPU and plays the CUDA runtime.
 * It reports what a card would suffer silently: misaligned or unordered accesses, deadlocks, reads
 * out of bounds, misuse of the API. A report makes the launch fail with cudaErrorIllegalAddress,
 * sticky as on a card, until sim_clear. Reports nobody cleared make the process exit with status
 * 99, so a test cannot forget to look.
 *
 * The settings come from the environment when the process starts (SIM_ORDER=random SIM_SEED=7
 * SIM_CHECK=1 ...; the names of the fields in capitals), and a test may change them between
 * launches.
 */
#ifndef MV_TESTS_CUDASIM_SIM_H
#define MV_TESTS_CUDASIM_SIM_H

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SIM_FORWARD, SIM_REVERSE, SIM_RANDOM }; /* order of threads, warps and blocks            */
enum { SIM_LATE, SIM_EARLY, SIM_EITHER };      /* when asynchronous copies and products happen  */
/* What streams were given runs at the call, when somebody synchronises, or whenever it pleases. */
enum { SIM_STREAMS_EAGER, SIM_STREAMS_LATE, SIM_STREAMS_RANDOM };

typedef struct sim_config {
  int order;           /* forward, reverse, random                                                */
  unsigned seed;       /* of random choices                                                       */
  int async;           /* late (at the wait), early (at issue), either (random)                   */
  int streams;         /* eager, late, random                                                     */
  int threads;         /* OS threads that run blocks; 0: all cores (the checker uses one)         */
  int check;           /* find races, bounds and uninitialised reads; kernels built for it only   */
  int stats;           /* count memory transactions of the first so many blocks of a launch       */
  int arch;            /* compute capability: 80, 89, 90, 100                                     */
  int code;            /* compute capability the kernels claim to be compiled for; 0: arch        */
  int driver;          /* the latest CUDA it knows: 12030, ...; this runtime's                    */
  int sms;             /* multiprocessors the device claims                                       */
  int devices;         /* 0: no device                                                            */
  int verbose;         /* print reports to stderr as they come                                    */
  size_t memory_bytes; /* of the device                                                           */
} sim_config;

/* The live settings; change them only while nothing runs. */
sim_config *sim_settings(void);

/* Reports since the last sim_clear; the text of the i-th (of at most 32 kept), "" beyond them. */
long sim_report_count(void);
const char *sim_report_text(long i);
/* Whether a kept report contains `text`. */
int sim_reported(const char *text);
/* Forgets reports and the sticky error. */
void sim_clear(void);

/* Makes the k-th call from now (0: the next) of a runtime function that can fail return `error`
 * without doing anything; k < 0 cancels. Returns how many calls have been counted since the last
 * sim_fail_call. */
long sim_fail_call(long k, int error);

/* Memory transactions by source line, gathered while settings.stats is not zero (checker builds).
 */
typedef struct sim_access {
  char place[96]; /* "rmsnorm.cu:40"                                                       */
  int is_shared;  /* shared or global memory                                               */
  int is_write;
  int n_bytes;    /* of one thread's access                                                */
  long n_request; /* warp instructions                                                     */
  long n_unit;    /* global: sectors of 32 bytes; shared: wavefronts, so conflicts show     */
  long n_ideal;   /* the fewest the same bytes could take                                  */
} sim_access;

/* Fills up to `capacity` entries, ordered by place; returns how many there are. */
size_t sim_accesses(sim_access *out, size_t capacity);
/* Units over ideal units of all accesses whose place contains `where` ("" for all), to global (0)
 * or shared (1) memory; 0 when there were none. */
double sim_access_ratio(const char *where, int is_shared);
void sim_print_accesses(FILE *file);
void sim_clear_accesses(void);

#ifdef __cplusplus
}
#endif
#endif
