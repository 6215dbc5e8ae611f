#include "tests/kernels/cuda_cases.h"

#include <string.h>

mv_device cuda;

int cuda_on_card(void) { return sim_settings()->sms == 0; }

void cuda_set_up(void) {
  mv_error err;
  mv_status status = mv_device_open_cuda(&cuda, 0, &err);
  if (status == MV_ERR_UNSUPPORTED && cuda_on_card()) {
    printf("skip: %s\n", err.msg);
    exit(77);
  }
  ck_assert_msg(status == MV_OK, "%s", err.msg);
}

void cuda_tear_down(void) {
  mv_device_close_cuda(&cuda);
  ck_assert_msg(sim_report_count() == 0, "%s", sim_report_text(0));
}

static double worst_share;

static void judge(kernel_run *run, const void *copy, const char *how) {
  kernel_verdict v = {0};
  size_t n = (size_t)run->n_col;
  double *want = malloc(n * sizeof *want), *slack = malloc(n * sizeof *slack);
  kernel_check_guards(run, copy, &v);
  for (size_t r = 0; r < run->n_out_row; r++) {
    run->op->expect(run, r, 0, run->n_col, want, slack);
    kernel_compare(run, copy, r, 0, run->n_col, want, slack, &v);
  }
  free(want);
  free(slack);
  char what[160], text[400];
  kernel_case_print(run->c, what, sizeof what);
  kernel_verdict_print(&v, text, sizeof text);
  ck_assert_msg(kernel_verdict_ok(&v), "%s (%s): %s", what, how, text);
  if (v.share > worst_share) worst_share = v.share;
}

static void assert_well(const kernel_run *run) {
  char what[160];
  kernel_case_print(run->c, what, sizeof what);
  ck_assert_msg(cuda.error.code == MV_OK, "%s: %s", what, cuda.error.msg);
  ck_assert_msg(sim_report_count() == 0, "%s: %s", what, sim_report_text(0));
}

void cuda_check_case(const kernel_case *c, uint64_t seed) {
  kernel_run run;
  mv_error err;
  ck_assert_msg(kernel_run_init(&run, c, &cuda, &mv_ops_cuda, seed, &err) == MV_OK, "%s", err.msg);
  size_t n_bytes = kernel_out_bytes(&run);
  char *first = malloc(n_bytes), *again = malloc(n_bytes);
  kernel_run_go(&run);
  kernel_run_download(&run, first);
  assert_well(&run);
  judge(&run, first, "launched");
  for (int i = 0; i < 3; i++) {
    kernel_run_reset(&run);
    do {
      mv_ops_cuda.step_begin(&cuda);
      kernel_run_go(&run);
    } while (mv_ops_cuda.step_end(&cuda));
    kernel_run_download(&run, again);
    assert_well(&run);
    if (memcmp(first, again, n_bytes) != 0) judge(&run, again, "in a step");
    ck_assert_msg(memcmp(first, again, n_bytes) == 0, "%s: other bits in step %d", c->op, i);
  }
  free(first);
  free(again);
  kernel_run_free(&run);
}

void cuda_check_cases(const kernel_case *cases, int n) {
  worst_share = 0;
  for (int i = 0; i < n; i++) cuda_check_case(&cases[i], (uint64_t)(i + 1));
  printf("%-18s %2d cases, at most %.0f %% of a tolerance used\n", cases[0].op, n,
         100 * worst_share);
}

void cuda_check_access(const kernel_case *c, const char *file, double global, double shared) {
  kernel_run run;
  mv_error err;
  if (!sim_settings()->check) return;
  ck_assert_msg(kernel_run_init(&run, c, &cuda, &mv_ops_cuda, 1, &err) == MV_OK, "%s", err.msg);
  sim_clear_accesses();
  sim_settings()->stats = 1 << 20;
  kernel_run_go(&run);
  char *copy = malloc(kernel_out_bytes(&run));
  kernel_run_download(&run, copy);
  free(copy);
  sim_settings()->stats = 0;
  char what[160];
  kernel_case_print(c, what, sizeof what);
  double got_global = sim_access_ratio(file, 0), got_shared = sim_access_ratio(file, 1);
  if (got_global > global || got_shared > shared) sim_print_accesses(stdout);
  ck_assert_msg(got_global <= global, "%s: %.2f times the sectors it needs", what, got_global);
  ck_assert_msg(got_shared <= shared, "%s: %.2f times the wavefronts it needs", what, got_shared);
  ck_assert_msg(got_global > 0, "%s: no accesses in %s", what, file);
  kernel_run_free(&run);
}
