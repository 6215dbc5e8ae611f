/* medvision bench serve: requests to any server of OpenAI's API, sent when they are due, whether or
 * not earlier ones are answered (an open loop), so that every server is measured by one client.
 *
 *   arrivals ─► calls (http_client) ─► stream (events, their times) ─► samples ─► JSON as vLLM's
 *
 * A request's clock starts when it is sent. Where --max-concurrency holds it back, the time it was
 * late is told as "wait". Token counts are the server's own ("usage").
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "bench/compare.h"
#include "bench/serve.h"
#include "runtime/clock.h"

static const char help_text[] =
    "usage: medvision bench serve --base-url URL [OPTION...]\n"
    "\n"
    "Sends requests to a server of OpenAI's API at a given rate and prints the times of its "
    "streams.\n"
    "\n"
    "  --base-url URL       the server: http://127.0.0.1:8000\n"
    "  --endpoint PATH      /v1/chat/completions, or /v1/completions (text alone)\n"
    "  --model NAME         as the server calls it (the first of /v1/models)\n"
    "  --label NAME         the engine's name in the results (openai)\n"
    "  --api-key-file FILE  sent as the bearer\n"
    "  --ready-timeout S    wait that long for the server to come up (0)\n"
    "\n"
    "  --num-prompts N      requests in all (100)\n"
    "  --request-rate R     a second, on average; inf: all at once (inf)\n"
    "  --burstiness B       times between requests: 1 Poisson, less in bursts, inf even (1)\n"
    "  --max-concurrency N  hold requests back while so many are at work (0: never)\n"
    "  --seed N             of the times and of shuffled workloads (0)\n"
    "  --warmup N           requests before, one by one (1 of each kind is always sent)\n"
    "  --timeout S          of a request (3600)\n"
    "\n"
    "  --workload FILE      kinds of requests (bench/workloads/README.md)\n"
    "  --input-len N        without it: tokens of a prompt (1024); --output-len N of an answer "
    "(128)\n"
    "  --no-ignore-eos      for servers that refuse \"ignore_eos\"\n"
    "\n"
    "  --write-requests FILE  the requests' bodies as JSON lines, for engines without a server\n"
    "  --goodput LIMITS     count requests within limits in ms: ttft:2000,tpot:50,e2el:30000\n"
    "  --compare FILE       exit 1 where a figure is worse than in that --json output by more "
    "than\n"
    "                       both runs' spread (bench/README.md)\n"
    "  --json               one JSON line, fields named as in vLLM's serving benchmark\n"
    "\n"
    "Prompt lengths are reached with digits, which are a token each in Qwen's tokenizers; what "
    "the\n"
    "server counted is what is told. Every run asks other questions about other pictures, so that\n"
    "nothing is found in the server's caches but what the workload shares.\n";

static int parse(int argc, char **argv, serve_options *o) {
  *o = (serve_options){.endpoint = "/v1/chat/completions",
                       .label = "openai",
                       .burstiness = "1",
                       .n_input = 1024,
                       .n_output = 128,
                       .n_request = 100,
                       .timeout_s = 3600,
                       .rate = INFINITY};
  const bench_option options[] = {{"--base-url", BENCH_TEXT(&o->base_url)},
                                  {"--endpoint", BENCH_TEXT(&o->endpoint)},
                                  {"--model", BENCH_TEXT(&o->model)},
                                  {"--label", BENCH_TEXT(&o->label)},
                                  {"--api-key-file", BENCH_TEXT(&o->api_key_file)},
                                  {"--ready-timeout", BENCH_COUNT(&o->ready_s)},
                                  {"--num-prompts", BENCH_COUNT(&o->n_request)},
                                  {"--request-rate", BENCH_REAL(&o->rate)},
                                  {"--burstiness", BENCH_TEXT(&o->burstiness)},
                                  {"--max-concurrency", BENCH_COUNT(&o->max_concurrency)},
                                  {"--seed", BENCH_COUNT(&o->seed)},
                                  {"--warmup", BENCH_COUNT(&o->n_warmup)},
                                  {"--timeout", BENCH_COUNT(&o->timeout_s)},
                                  {"--workload", BENCH_TEXT(&o->workload)},
                                  {"--input-len", BENCH_COUNT(&o->n_input)},
                                  {"--output-len", BENCH_COUNT(&o->n_output)},
                                  {"--no-ignore-eos", BENCH_FLAG(&o->respect_eos)},
                                  {"--goodput", BENCH_TEXT(&o->goodput)},
                                  {"--compare", BENCH_TEXT(&o->compare)},
                                  {"--write-requests", BENCH_TEXT(&o->write_requests)},
                                  {"--json", BENCH_FLAG(&o->json)},
                                  {"--help", BENCH_FLAG(&o->help)},
                                  {"-h", BENCH_FLAG(&o->help)}};
  return bench_parse_options("serve", argc, argv, options, sizeof options / sizeof *options);
}

/* ---- the open loop ---- */

static void note_failure(serve_run *r, const char *why) {
  r->n_failed++;
  if (!r->first_error[0]) snprintf(r->first_error, sizeof r->first_error, "%s", why);
}

static void note_answer(serve_run *r, serve_call *call) {
  const bench_stream *s = &call->stream;
  int64_t n_output = s->has_usage ? s->n_output : s->n_text;
  double ttft = s->first_ms - call->http.start_ms, e2el = s->last_ms - call->http.start_ms;
  double tpot = n_output > 1 ? (e2el - ttft) / (double)(n_output - 1) : 0;
  bench_sample_add(&r->samples[SERVE_TTFT], ttft);
  if (n_output > 1) bench_sample_add(&r->samples[SERVE_TPOT], tpot);
  bench_sample_add(&r->samples[SERVE_E2EL], e2el);
  for (int i = 0; i < s->gaps.n; i++) bench_sample_add(&r->samples[SERVE_ITL], s->gaps.ms[i]);
  r->n_done++;
  r->n_good += bench_slo_met(&r->slo, ttft, tpot, e2el);
  r->n_input += s->n_input;
  r->n_output += n_output;
  r->n_cached += s->n_cached;
  r->n_without_usage += !s->has_usage;
}

static void finish(serve_run *r, serve_call *call) {
  char why[256];
  bench_serve_reason(call, why, sizeof why);
  if (why[0])
    note_failure(r, why);
  else
    note_answer(r, call);
  r->n_running--;
  bench_serve_release(call);
}

static int may_send(const serve_run *r, int next) {
  return next < r->o.n_request && (!r->o.max_concurrency || r->n_running < r->o.max_concurrency);
}

static mv_status send_next(serve_run *r, int i, double due_ms, mv_error *err) {
  serve_call *call = &r->calls[i];
  const bench_ask *ask = &r->workload.asks[i];
  MV_TRY(bench_serve_prepare(r, call, ask, r->workload.kinds[ask->kind].n_output, err));
  MV_TRY(bench_http_start(r->http, &call->http, err));
  double late = call->http.start_ms - due_ms;
  bench_sample_add(&r->samples[SERVE_WAIT], late > 0 ? late : 0);
  if (++r->n_running > r->most_running) r->most_running = r->n_running;
  return MV_OK;
}

static mv_status run_loop(serve_run *r, mv_error *err) {
  double start = mv_now_ms();
  int next = 0;
  while (next < r->o.n_request || r->n_running) {
    double wait = 1e3;
    while (may_send(r, next) && (wait = start + r->arrivals[next] - mv_now_ms()) <= 0) {
      MV_TRY(send_next(r, next, start + r->arrivals[next], err));
      next++;
      wait = 1e3;
    }
    bench_http_call *ended = NULL;
    MV_TRY(bench_http_step(r->http, wait, &ended, err));
    if (ended) finish(r, ended->user);
  }
  r->duration_ms = mv_now_ms() - start;
  return bench_samples_finish(r->samples, SERVE_N_SAMPLE, err);
}

/* ---- figures ---- */

static double per_second(const serve_run *r, double n) { return 1e3 * n / r->duration_ms; }

static void number_or_inf(mv_json_writer *w, const char *key, double value) {
  if (isinf(value))
    bench_json_text(w, key, "inf");
  else
    bench_json_double(w, key, value);
}

static void json_head(mv_json_writer *w, const serve_run *r) {
  char date[32];
  time_t now = time(NULL);
  struct tm utc;
  const char *slash = r->o.workload ? strrchr(r->o.workload, '/') : NULL;
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
  bench_json_text(w, "bench", "serve");
  bench_json_command(w, r->o.argc, r->o.argv);
  bench_json_text(w, "engine", r->o.label);
  bench_json_text(w, "date", date);
  bench_json_text(w, "model", r->model_name.ptr);
  bench_json_text(w, "endpoint", r->o.endpoint);
  bench_json_text(w, "workload",
                  slash           ? slash + 1
                  : r->o.workload ? r->o.workload
                                  : r->workload.kinds[0].name);
  bench_json_int(w, "num_prompts", r->o.n_request);
  number_or_inf(w, "request_rate", r->o.rate);
  number_or_inf(w, "burstiness", r->shape);
  bench_json_int(w, "max_concurrency", r->o.max_concurrency);
}

static void write_json(mv_json_writer *w, const serve_run *r) {
  mv_json_begin_object(w);
  json_head(w, r);
  bench_json_double(w, "duration", r->duration_ms / 1e3);
  bench_json_int(w, "completed", r->n_done);
  bench_json_int(w, "failed", r->n_failed);
  bench_json_int(w, "total_input_tokens", r->n_input);
  bench_json_int(w, "total_output_tokens", r->n_output);
  bench_json_int(w, "cached_tokens", r->n_cached);
  bench_json_text(w, "output_tokens_from", r->n_without_usage ? "chunks" : "usage");
  bench_json_double(w, "request_throughput", per_second(r, r->n_done));
  if (r->o.goodput) bench_json_text(w, "goodput", r->o.goodput);
  if (r->o.goodput) bench_json_double(w, "request_goodput", per_second(r, r->n_good));
  bench_json_double(w, "output_throughput", per_second(r, (double)r->n_output));
  bench_json_double(w, "total_token_throughput", per_second(r, (double)(r->n_input + r->n_output)));
  bench_json_int(w, "max_concurrent_requests", r->most_running);
  for (int i = 0; i < SERVE_N_SAMPLE; i++) bench_sample_json(w, &r->samples[i]);
  if (r->first_error[0]) bench_json_text(w, "first_error", r->first_error);
  mv_json_end_object(w);
  mv_buf_char(w->out, '\n');
}

static void print_table(const serve_run *r) {
  printf("%s, %s: %d answers, %d failures in %.2f s, at most %d at once\n\n", r->url.ptr,
         r->model_name.ptr, r->n_done, r->n_failed, r->duration_ms / 1e3, r->most_running);
  printf("requests/s       %12.3f", per_second(r, r->n_done));
  if (r->o.goodput) printf("   within %s: %.3f", r->o.goodput, per_second(r, r->n_good));
  printf("\ninput tokens/s   %12.1f\n", per_second(r, (double)r->n_input));
  printf("output tokens/s  %12.1f%s\n\n", per_second(r, (double)r->n_output),
         r->n_without_usage ? "   chunks: the server counts no tokens" : "");
  bench_samples_print(r->samples, SERVE_N_SAMPLE);
}

/* ---- */

static int report(const serve_run *r) {
  mv_buf json = {0};
  mv_json_writer w = {.out = &json};
  write_json(&w, r);
  if (!r->o.json) print_table(r);
  int code = bench_finish("serve", &json, r->o.json, r->o.compare);
  mv_buf_free(&json);
  if (r->n_failed)
    fprintf(stderr, "medvision: bench serve: %d of %d requests failed: %s\n", r->n_failed,
            r->o.n_request, r->first_error);
  return r->n_failed ? 1 : code;
}

int mv_bench_serve_main(int argc, char **argv, const char *default_model) {
  serve_run r = {0};
  mv_error err = {0};
  int code = parse(argc, argv, &r.o);
  (void)default_model;
  if (code) return code;
  if (r.o.help) {
    fputs(help_text, stdout);
    return 0;
  }
  r.o.argc = argc;
  r.o.argv = argv;
  mv_status status = bench_serve_open(&r, &err);
  if (status == MV_OK) status = run_loop(&r, &err);
  code = status == MV_OK ? report(&r) : bench_failed("serve", &err);
  bench_serve_close(&r);
  return code;
}
