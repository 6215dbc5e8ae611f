/* Benchmarks as the command line calls them. */
#ifndef MV_BENCH_BENCH_H
#define MV_BENCH_BENCH_H

#ifdef __cplusplus
extern "C" {
#endif

/* medvision bench kernels: every operation at the 7B model's shapes against this machine's limits.
 * argv[0] is "kernels"; prints to standard output. Returns the exit code: 0, 1 when a result was
 * wrong or memory was out, 2 for bad arguments. */
int mv_bench_kernels_main(int argc, char **argv);

/* medvision bench latency: one request at a time through the engine. `default_model` is the
 * checkpoint taken when the arguments name none. */
int mv_bench_latency_main(int argc, char **argv, const char *default_model);

/* medvision bench throughput: many requests at once. */
int mv_bench_throughput_main(int argc, char **argv, const char *default_model);

#ifdef __cplusplus
}
#endif
#endif
