/* medvision bench: hands over to the benchmarks under bench/. */
#include <string.h>

#include "runtime/memory.h"
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"

#ifdef MV_HAVE_BENCH
int mv_bench_kernels_main(int argc, char **argv); /* bench/bench.h */
typedef int bench_main(int argc, char **argv, const char *default_model);
bench_main mv_bench_latency_main, mv_bench_throughput_main;

static int with_model(const mv_cli_args *args, char **argv, bench_main *run) {
  mv_error err;
  char *model = mv_cli_model_dir(args, &err);
  if (!model) {
    mv_cli_say("%s", err.msg);
    return MV_EXIT_FAILED;
  }
  int code = run(args->operands.n, argv, model);
  mv_free(model);
  return code;
}

int mv_cmd_bench(const mv_cli_args *args) {
  char **argv = (char **)args->operands.v;
  if (strcmp(argv[0], "latency") == 0) return with_model(args, argv, mv_bench_latency_main);
  if (strcmp(argv[0], "throughput") == 0) return with_model(args, argv, mv_bench_throughput_main);
  return mv_bench_kernels_main(args->operands.n, argv);
}
#else
int mv_cmd_bench(const mv_cli_args *args) {
  mv_cli_say("bench %s: this build has no benchmarks", args->operands.v[0]);
  return MV_EXIT_FAILED;
}
#endif
