/* medvision bench: hands over to the benchmarks under bench/. */
#include <string.h>

#include "runtime/memory.h"
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"

#ifdef MV_HAVE_BENCH
typedef int bench_main(int argc, char **argv, const char *default_model); /* bench/bench.h */
bench_main mv_bench_kernels_main, mv_bench_latency_main, mv_bench_throughput_main,
    mv_bench_serve_main, mv_bench_startup_main, mv_bench_plot_main;

static const struct {
  const char *name;
  bench_main *run;
  int needs_model;
} benches[] = {{"kernels", mv_bench_kernels_main, 0},       {"latency", mv_bench_latency_main, 1},
               {"throughput", mv_bench_throughput_main, 1}, {"serve", mv_bench_serve_main, 0},
               {"startup", mv_bench_startup_main, 1},       {"plot", mv_bench_plot_main, 0}};

static int with_model(const mv_cli_args *args, bench_main *run) {
  mv_error err;
  char *model = mv_cli_model_dir(args, &err);
  if (!model) {
    mv_cli_say("%s", err.msg);
    return MV_EXIT_FAILED;
  }
  int code = run(args->operands.n, (char **)args->operands.v, model);
  mv_free(model);
  return code;
}

int mv_cmd_bench(const mv_cli_args *args) {
  size_t i = 0, n = sizeof benches / sizeof *benches;
  while (i + 1 < n && strcmp(args->operands.v[0], benches[i].name) != 0) i++;
  if (benches[i].needs_model) return with_model(args, benches[i].run);
  return benches[i].run(args->operands.n, (char **)args->operands.v, NULL);
}
#else
int mv_cmd_bench(const mv_cli_args *args) {
  mv_cli_say("bench %s: this build has no benchmarks", args->operands.v[0]);
  return MV_EXIT_FAILED;
}
#endif
