#include "bench/bench.h"
int mv_bench_plot_main(int argc, char **argv, const char *default_model) {
  (void)argc, (void)argv, (void)default_model;
  return 1;
}
