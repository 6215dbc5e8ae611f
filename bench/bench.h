/* Benchmarks as the command line calls them. argv[0] is the benchmark's name; each prints to
 * standard output and returns the exit code: 0, 1 when something failed or `--compare` found a
 * figure worse, 2 for bad arguments. `default_model` is the checkpoint taken when the arguments
 * name none. */
#ifndef MV_BENCH_BENCH_H
#define MV_BENCH_BENCH_H

#ifdef __cplusplus
extern "C" {
#endif

typedef int mv_bench_main(int argc, char **argv, const char *default_model);

/* Every operation at the 7B model's shapes against this machine's limits. */
mv_bench_main mv_bench_kernels_main;
/* A few requests at a time through the engine. */
mv_bench_main mv_bench_latency_main;
/* Many requests at once. */
mv_bench_main mv_bench_throughput_main;
/* Requests at a rate to a server. */
mv_bench_main mv_bench_serve_main;
/* From the start of a process to its first token. */
mv_bench_main mv_bench_startup_main;
/* Pictures of results. */
mv_bench_main mv_bench_plot_main;

#ifdef __cplusplus
}
#endif
#endif
