/* medvision bench: hands over to the benchmarks under bench/. */
#include <string.h>

#include "tasks/cli_command.h"
#include "tasks/cli_io.h"

#ifdef MV_HAVE_BENCH_KERNELS
int mv_bench_kernels_main(int argc, char **argv); /* bench/ */
#endif

int mv_cmd_bench(const mv_cli_args *args) {
#ifdef MV_HAVE_BENCH_KERNELS
  return mv_bench_kernels_main(args->operands.n, (char **)args->operands.v);
#else
  mv_cli_say("bench %s: not part of this version yet", args->operands.v[0]);
  return MV_EXIT_FAILED;
#endif
}
