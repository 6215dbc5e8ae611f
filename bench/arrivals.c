#include "bench/arrivals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/workload.h"

static double normal(uint64_t *state) { /* Box and Muller */
  double u = 1 - bench_random(state), v = bench_random(state);
  return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* Mean and variance `shape`: Marsaglia and Tsang, "A simple method for generating gamma variables".
 */
static double gamma_of(double shape, uint64_t *state) {
  if (shape < 1) return gamma_of(shape + 1, state) * pow(1 - bench_random(state), 1 / shape);
  double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
  for (;;) {
    double x = normal(state), v = 1 + c * x;
    v = v * v * v;
    if (v > 0 && log(1 - bench_random(state)) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
  }
}

void bench_arrivals(double *at_ms, int n, double rate, double burstiness, uint64_t seed) {
  double now = 0;
  for (int i = 0; i < n; i++) {
    at_ms[i] = now;
    if (isinf(rate)) continue;
    double gap = isinf(burstiness) ? 1 : gamma_of(burstiness, &seed) / burstiness;
    now += 1e3 * gap / rate;
  }
}

mv_status bench_slo_parse(const char *text, bench_slo *out, mv_error *err) {
  const struct {
    const char *name;
    double *limit;
  } parts[] = {{"ttft:", &out->ttft}, {"tpot:", &out->tpot}, {"e2el:", &out->e2el}};
  const char *at = text;
  *out = (bench_slo){INFINITY, INFINITY, INFINITY};
  do {
    char *end = NULL;
    int k = 0;
    while (k < 3 && strncmp(at, parts[k].name, 5) != 0) k++;
    double limit = k < 3 ? strtod(at + 5, &end) : 0;
    if (k == 3 || end == at + 5 || !(limit > 0) || (*end && *end != ','))
      return mv_fail(err, MV_ERR_USAGE,
                     "--goodput %s: expected limits in ms like ttft:2000,tpot:50,e2el:30000", text);
    *parts[k].limit = limit;
    at = *end ? end + 1 : NULL;
  } while (at);
  return MV_OK;
}

int bench_slo_met(const bench_slo *slo, double ttft_ms, double tpot_ms, double e2el_ms) {
  return ttft_ms <= slo->ttft && tpot_ms <= slo->tpot && e2el_ms <= slo->e2el;
}
