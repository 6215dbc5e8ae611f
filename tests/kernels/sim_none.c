/* The same tests on a real card: what they ask of the emulator, without one. It has nothing to
 * report, and its settings are zero. */
#include <string.h>

#include "tests/cudasim/sim.h"

static sim_config none;

sim_config *sim_settings(void) { return &none; }
long sim_report_count(void) { return 0; }
void sim_clear_accesses(void) {}

const char *sim_report_text(long i) {
  (void)i;
  return "";
}

long sim_fail_call(long k, int error) {
  (void)k;
  (void)error;
  return 0;
}

double sim_access_ratio(const char *where, int is_shared) {
  (void)where;
  (void)is_shared;
  return 0;
}

void sim_print_accesses(FILE *file) { (void)file; }
