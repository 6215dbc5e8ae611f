/* medvision bench serve, where libcurl was not there at build time. */
#include <stdio.h>

#include "bench/bench.h"

int mv_bench_serve_main(int argc, char **argv, const char *default_model) {
  (void)argc, (void)argv, (void)default_model;
  fputs(
      "medvision: bench serve: this build has no HTTP client (install libcurl4-openssl-dev, then "
      "build again)\n",
      stderr);
  return 1;
}
