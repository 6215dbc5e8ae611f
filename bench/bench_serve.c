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
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/arrivals.h"
#include "bench/bench.h"
#include "bench/compare.h"
#include "bench/http_client.h"
#include "bench/options.h"
#include "bench/serve_body.h"
#include "bench/stream.h"
#include "runtime/clock.h"
#include "runtime/file.h"
#include "runtime/memory.h"

#define MAX_REPLY_BYTES ((size_t)1 << 20) /* of what is no stream */
#define FIT_PICTURE (1u << 30)            /* seed of pictures that no measured request has */
#define RETRY_MS 500

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

enum { TTFT, TPOT, ITL, E2EL, WAIT, N_SAMPLE };

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
  bench_sample samples[N_SAMPLE];
  int n_done, n_failed, n_good, n_running, most_running, n_without_usage;
  int64_t n_input, n_output, n_cached;
  double duration_ms;
  char first_error[256];
};

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

static mv_status check(serve_run *r, mv_error *err) {
  const serve_options *o = &r->o;
  char *end;
  r->shape = strtod(o->burstiness, &end);
  if (!o->base_url) return mv_fail(err, MV_ERR_USAGE, "--base-url: which server?");
  if (*end || !(r->shape > 0))
    return mv_fail(err, MV_ERR_USAGE, "--burstiness %s: expected a number above 0", o->burstiness);
  if (!(o->rate > 0)) return mv_fail(err, MV_ERR_USAGE, "--request-rate: expected more than 0");
  if (o->n_request < 1 || o->n_input < 1 || o->n_output < 1)
    return mv_fail(err, MV_ERR_USAGE,
                   "--num-prompts, --input-len, --output-len: expected 1 or more");
  r->slo = (bench_slo){INFINITY, INFINITY, INFINITY};
  return o->goodput ? bench_slo_parse(o->goodput, &r->slo, err) : MV_OK;
}

/* ---- a call ---- */

static mv_status on_bytes(void *user, int status, mv_str bytes, double now_ms, mv_error *err) {
  serve_call *call = user;
  if (status == 200) return bench_stream_feed(&call->stream, bytes, now_ms, err);
  if (call->reply.len + bytes.len <= MAX_REPLY_BYTES) mv_buf_str(&call->reply, bytes);
  return MV_OK;
}

static mv_status prepare(serve_run *r, serve_call *call, const bench_ask *ask, int n_output,
                         mv_error *err) {
  memset(call, 0, sizeof *call);
  call->run = r;
  call->ask = ask;
  call->stream.gaps.name = "itl";
  MV_TRY(bench_body(&r->bodies, ask, n_output, &call->body, err));
  call->http = (bench_http_call){
      .url = r->url.ptr, .body = mv_buf_view(&call->body), .on_bytes = on_bytes, .user = call};
  return MV_OK;
}

static void release(serve_call *call) {
  if (call->http.handle) bench_http_cancel(call->run->http, &call->http);
  bench_stream_free(&call->stream);
  mv_buf_free(&call->body);
  mv_buf_free(&call->reply);
}

/* Why a call that has ended is no answer; empty: it is one. */
static void reason(const serve_call *call, char *out, size_t size) {
  const bench_http_call *h = &call->http;
  out[0] = 0;
  if (h->err.code != MV_OK) {
    snprintf(out, size, "%.*s", (int)size - 1, h->err.msg);
  } else if (h->status != 200) {
    char message[200];
    bench_stream_message(mv_buf_view(&call->reply), message, sizeof message);
    snprintf(out, size, "HTTP %d: %s", h->status, message);
  } else if (call->stream.error[0]) {
    snprintf(out, size, "%s", call->stream.error);
  } else if (!call->stream.n_text) {
    snprintf(out, size, "an answer without text");
  }
}

/* ---- before the clock runs ---- */

static mv_status on_models(void *user, int status, mv_str bytes, double now_ms, mv_error *err) {
  mv_buf *reply = user;
  (void)now_ms;
  if (status != 200) return mv_fail(err, MV_ERR_IO, "/v1/models: HTTP %d", status);
  if (reply->len + bytes.len <= MAX_REPLY_BYTES) mv_buf_str(reply, bytes);
  return mv_buf_status(reply, err);
}

/* The first model's name; that the server answers is known by it, too. */
static mv_status ask_models(serve_run *r, const char *url, mv_error *err) {
  mv_buf reply = {0};
  mv_json_doc doc = {0};
  bench_http_call call = {.url = url, .on_bytes = on_models, .user = &reply};
  mv_status status = bench_http_do(r->http, &call, err);
  if (status == MV_OK) status = mv_json_parse(&doc, mv_buf_view(&reply), err);
  const mv_json *first = mv_json_at(mv_json_get(doc.root, "data"), 0);
  const mv_json *id = mv_json_get(first, "id");
  if (status == MV_OK && !mv_json_is(id, MV_JSON_STRING))
    status = mv_fail(err, MV_ERR_FORMAT, "%s names no model (tell with --model)", url);
  if (status == MV_OK) mv_buf_str(&r->model_name, id->text);
  mv_json_doc_free(&doc);
  mv_buf_free(&reply);
  return status;
}

static mv_status find_model(serve_run *r, mv_error *err) {
  mv_buf url = {0};
  double give_up = mv_now_ms() + 1e3 * r->o.ready_s;
  mv_buf_printf(&url, "%s/v1/models", r->o.base_url);
  mv_status status = mv_buf_status(&url, err);
  while (status == MV_OK) {
    status = ask_models(r, url.ptr, err);
    if (status == MV_OK || mv_now_ms() > give_up) break;
    status = MV_OK;
    nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
  }
  mv_buf_free(&url);
  if (status == MV_OK && r->o.model) {
    mv_buf_clear(&r->model_name);
    mv_buf_text(&r->model_name, r->o.model);
  }
  r->bodies.model = r->model_name.ptr;
  return status == MV_OK ? mv_buf_status(&r->model_name, err) : status;
}

static mv_status ask_once(serve_run *r, const bench_ask *ask, int n_output, int64_t *n_input,
                          mv_error *err) {
  serve_call call;
  char why[256];
  mv_status status = prepare(r, &call, ask, n_output, err);
  if (status == MV_OK) status = bench_http_do(r->http, &call.http, err);
  if (status == MV_OK) {
    reason(&call, why, sizeof why);
    *n_input = call.stream.has_usage ? call.stream.n_input : -1;
    if (why[0] && !call.stream.has_usage)
      status = mv_fail(err, MV_ERR_IO, "%s: %s", call.http.url, why);
  }
  release(&call);
  return status;
}

/* One request of each kind: what its prompt has beside the digits tells how many are wanted. A
 * server that does not count is believed to need none beside. */
static mv_status fit(serve_run *r, mv_error *err) {
  for (int i = 0; i < r->workload.n_kind; i++) {
    bench_kind *kind = &r->workload.kinds[i];
    bench_ask ask = {.kind = i, .picture = FIT_PICTURE + (unsigned)i, .number = 999999};
    int64_t n_input = 0;
    kind->n_digit = kind->n_shared + BENCH_NUMBER_DIGITS;
    MV_TRY(ask_once(r, &ask, 1, &n_input, err));
    int n_empty = n_input < kind->n_digit ? 0 : (int)n_input - kind->n_digit;
    MV_TRY(bench_kind_fit(kind, n_empty, err));
  }
  return MV_OK;
}

static mv_status warm_up(serve_run *r, mv_error *err) {
  int64_t n_input;
  for (int i = 0; i < r->o.n_warmup; i++) {
    int kind = i % r->workload.n_kind;
    bench_ask ask = {kind, FIT_PICTURE + 1000u + (unsigned)i, 900000 + i};
    MV_TRY(ask_once(r, &ask, r->workload.kinds[kind].n_output, &n_input, err));
  }
  return MV_OK;
}

static mv_status write_requests(const serve_run *r, mv_error *err) {
  mv_outfile file = {0};
  mv_buf body = {0};
  MV_TRY(mv_outfile_open(&file, r->o.write_requests, err));
  mv_status status = MV_OK;
  for (int i = 0; status == MV_OK && i < r->workload.n_ask; i++) {
    const bench_ask *ask = &r->workload.asks[i];
    status = bench_body(&r->bodies, ask, r->workload.kinds[ask->kind].n_output, &body, err);
    mv_buf_char(&body, '\n');
    if (status == MV_OK) status = mv_buf_status(&body, err);
    if (status == MV_OK) fwrite(body.ptr, 1, body.len, file.stream);
  }
  mv_buf_free(&body);
  if (status == MV_OK) return mv_outfile_commit(&file, err);
  mv_outfile_discard(&file);
  return status;
}

static mv_status read_key(serve_run *r, mv_error *err) {
  if (!r->o.api_key_file) return MV_OK;
  MV_TRY(mv_file_read(r->o.api_key_file, 65536, &r->api_key, err));
  while (r->api_key.len && strchr("\r\n \t", r->api_key.ptr[r->api_key.len - 1]))
    r->api_key.ptr[--r->api_key.len] = 0;
  return r->api_key.len ? MV_OK : mv_fail(err, MV_ERR_USAGE, "%s: no key", r->o.api_key_file);
}

static mv_status open_all(serve_run *r, mv_error *err) {
  static const char *const names[N_SAMPLE] = {"ttft", "tpot", "itl", "e2el", "wait"};
  const serve_options *o = &r->o;
  size_t n = (size_t)o->n_request;
  for (int i = 0; i < N_SAMPLE; i++) r->samples[i].name = names[i];
  MV_TRY(check(r, err));
  MV_TRY(bench_workload_read(&r->workload, o->workload, o->n_input, o->n_output, err));
  r->workload.salt =
      (unsigned)(time(NULL) % 1000003 * 7919); /* the server may remember a run before */
  MV_TRY(bench_workload_plan(&r->workload, o->n_request, 0, (uint64_t)o->seed, err));
  for (int i = 0; i < r->workload.n_kind; i++)
    if (r->workload.kinds[i].recorded.n)
      return mv_fail(err, MV_ERR_USAGE, "%s: a server cannot be made to give recorded answers",
                     o->workload);
  MV_TRY(read_key(r, err));
  mv_buf_printf(&r->url, "%s%s", o->base_url, o->endpoint);
  MV_TRY(mv_buf_status(&r->url, err));
  r->bodies.workload = &r->workload;
  r->bodies.is_chat = strstr(o->endpoint, "chat") != NULL;
  r->bodies.respect_eos = o->respect_eos;
  MV_TRY(bench_http_new(&r->http, r->api_key.ptr, 1000L * o->timeout_s, err));
  r->arrivals = mv_calloc(n, sizeof *r->arrivals);
  r->calls = mv_calloc(n, sizeof *r->calls);
  if (!r->arrivals || !r->calls)
    return mv_fail(err, MV_ERR_MEMORY, "no memory for %zu requests", n);
  bench_arrivals(r->arrivals, o->n_request, o->rate, r->shape, (uint64_t)o->seed);
  MV_TRY(find_model(r, err));
  MV_TRY(fit(r, err));
  MV_TRY(bench_bodies_draw(&r->bodies, err));
  if (o->write_requests) MV_TRY(write_requests(r, err));
  return warm_up(r, err);
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
  bench_sample_add(&r->samples[TTFT], ttft);
  if (n_output > 1) bench_sample_add(&r->samples[TPOT], tpot);
  bench_sample_add(&r->samples[E2EL], e2el);
  for (int i = 0; i < s->gaps.n; i++) bench_sample_add(&r->samples[ITL], s->gaps.ms[i]);
  r->n_done++;
  r->n_good += bench_slo_met(&r->slo, ttft, tpot, e2el);
  r->n_input += s->n_input;
  r->n_output += n_output;
  r->n_cached += s->n_cached;
  r->n_without_usage += !s->has_usage;
}

static void finish(serve_run *r, serve_call *call) {
  char why[256];
  reason(call, why, sizeof why);
  if (why[0])
    note_failure(r, why);
  else
    note_answer(r, call);
  r->n_running--;
  release(call);
}

static int may_send(const serve_run *r, int next) {
  return next < r->o.n_request && (!r->o.max_concurrency || r->n_running < r->o.max_concurrency);
}

static mv_status send_next(serve_run *r, int i, double due_ms, mv_error *err) {
  serve_call *call = &r->calls[i];
  const bench_ask *ask = &r->workload.asks[i];
  MV_TRY(prepare(r, call, ask, r->workload.kinds[ask->kind].n_output, err));
  MV_TRY(bench_http_start(r->http, &call->http, err));
  double late = call->http.start_ms - due_ms;
  bench_sample_add(&r->samples[WAIT], late > 0 ? late : 0);
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
  return bench_samples_finish(r->samples, N_SAMPLE, err);
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
  for (int i = 0; i < N_SAMPLE; i++) bench_sample_json(w, &r->samples[i]);
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
  bench_samples_print(r->samples, N_SAMPLE);
}

/* ---- */

static void close_all(serve_run *r) {
  for (int i = 0; r->calls && i < r->o.n_request; i++)
    if (r->calls[i].run) release(&r->calls[i]);
  bench_http_free(r->http);
  bench_bodies_free(&r->bodies);
  bench_workload_free(&r->workload);
  for (int i = 0; i < N_SAMPLE; i++) bench_sample_free(&r->samples[i]);
  mv_free(r->arrivals);
  mv_free(r->calls);
  mv_buf_free(&r->url);
  mv_buf_free(&r->model_name);
  mv_buf_free(&r->api_key);
}

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
  mv_status status = open_all(&r, &err);
  if (status == MV_OK) status = run_loop(&r, &err);
  code = status == MV_OK ? report(&r) : bench_failed("serve", &err);
  close_all(&r);
  return code;
}
