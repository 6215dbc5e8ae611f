/* When requests of an open loop are sent, and which answers were good enough. */
#ifndef MV_BENCH_ARRIVALS_H
#define MV_BENCH_ARRIVALS_H

#include <stdint.h>

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills at_ms[n], from 0 on: `rate` requests a second on average (infinite: all at once). Times
 * between them follow a gamma distribution of that mean whose shape is `burstiness`: 1 is a Poisson
 * process, less comes in bursts, infinite is evenly spaced (vLLM's --burstiness). */
void bench_arrivals(double *at_ms, int n, double rate, double burstiness, uint64_t seed);

/* Limits in milliseconds; infinite where there is none. */
typedef struct bench_slo {
  double ttft, tpot, e2el;
} bench_slo;

/* "ttft:2000,tpot:50,e2el:30000", any of them. MV_ERR_USAGE. */
mv_status bench_slo_parse(const char *text, bench_slo *out, mv_error *err);
int bench_slo_met(const bench_slo *slo, double ttft_ms, double tpot_ms, double e2el_ms);

#ifdef __cplusplus
}
#endif
#endif
