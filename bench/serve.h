/* The parts of `medvision bench serve`: what it keeps, and what happens before the clock runs. */
#ifndef MV_BENCH_SERVE_H
#define MV_BENCH_SERVE_H

#include "bench/arrivals.h"
#include "bench/http_client.h"
#include "bench/options.h"
#include "bench/serve_body.h"
#include "bench/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct serve_options {
  const char *base_url, *endpoint, *model, *label, *api_key_file, *workload, *goodput, *burstiness;
  const char *compare, *write_requests;
  int argc;
  char **argv;
  int n_input, n_output, n_request, max_concurrency, n_warmup, seed, timeout_s, ready_s;
  int respect_eos, json, help;
  double rate;
} serve_options;

typedef struct serve_run serve_run;

/* A request on its way. */
typedef struct serve_call {
  bench_http_call http;
  serve_run *run;
  const bench_ask *ask;
  bench_stream stream;
  mv_buf body, reply; /* reply: of an answer that is no stream */
} serve_call;

enum { SERVE_TTFT, SERVE_TPOT, SERVE_ITL, SERVE_E2EL, SERVE_WAIT, SERVE_N_SAMPLE };

struct serve_run {
  serve_options o;
  double shape; /* of burstiness */
  bench_slo slo;
  bench_workload workload;
  bench_bodies bodies;
  bench_http *http;
  mv_buf url, model_name, api_key; /* own */
  double *arrivals;                /* [n_request], owns */
  serve_call *calls;               /* [n_request], owns */
  bench_sample samples[SERVE_N_SAMPLE];
  int n_done, n_failed, n_good, n_running, most_running, n_without_usage;
  int64_t n_input, n_output, n_cached;
  double duration_ms;
  char first_error[256];
};

/* Everything that is needed to begin: finds the model's name and the lengths of texts by asking the
 * server, draws the pictures, warms up. */
mv_status bench_serve_open(serve_run *r, mv_error *err);
void bench_serve_close(serve_run *r);

/* A call to one request; it may be started then (free with bench_serve_release, also after a
 * failure). */
mv_status bench_serve_prepare(serve_run *r, serve_call *call, const bench_ask *ask, int n_output,
                              mv_error *err);
void bench_serve_release(
    serve_call *call); /* gives it up where it runs; more than once does no harm */
/* Why a call that has ended is no answer; empty: it is one. */
void bench_serve_reason(const serve_call *call, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
