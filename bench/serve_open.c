#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/serve.h"
#include "runtime/clock.h"
#include "runtime/file.h"
#include "runtime/memory.h"

#define MAX_REPLY_BYTES ((size_t)1 << 20) /* of what is no stream */
#define FIT_PICTURE (1u << 30)            /* seed of pictures that no measured request has */
#define RETRY_MS 500

/* ---- a call ---- */

static mv_status on_bytes(void *user, int status, mv_str bytes, double now_ms, mv_error *err) {
  serve_call *call = user;
  if (status == 200) return bench_stream_feed(&call->stream, bytes, now_ms, err);
  if (call->reply.len + bytes.len <= MAX_REPLY_BYTES) mv_buf_str(&call->reply, bytes);
  return MV_OK;
}

mv_status bench_serve_prepare(serve_run *r, serve_call *call, const bench_ask *ask, int n_output,
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

void bench_serve_release(serve_call *call) {
  if (call->http.handle) bench_http_cancel(call->run->http, &call->http);
  bench_stream_free(&call->stream);
  mv_buf_free(&call->body);
  mv_buf_free(&call->reply);
}

void bench_serve_reason(const serve_call *call, char *out, size_t size) {
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
  mv_status status = bench_serve_prepare(r, &call, ask, n_output, err);
  if (status == MV_OK) status = bench_http_do(r->http, &call.http, err);
  if (status == MV_OK) {
    bench_serve_reason(&call, why, sizeof why);
    *n_input = call.stream.has_usage ? call.stream.n_input : -1;
    if (why[0] && !call.stream.has_usage)
      status = mv_fail(err, MV_ERR_IO, "%s: %s", call.http.url, why);
  }
  bench_serve_release(&call);
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

mv_status bench_serve_open(serve_run *r, mv_error *err) {
  static const char *const names[SERVE_N_SAMPLE] = {"ttft", "tpot", "itl", "e2el", "wait"};
  const serve_options *o = &r->o;
  size_t n = (size_t)o->n_request;
  for (int i = 0; i < SERVE_N_SAMPLE; i++) r->samples[i].name = names[i];
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

void bench_serve_close(serve_run *r) {
  for (int i = 0; r->calls && i < r->o.n_request; i++)
    if (r->calls[i].run) bench_serve_release(&r->calls[i]);
  bench_http_free(r->http);
  bench_bodies_free(&r->bodies);
  bench_workload_free(&r->workload);
  for (int i = 0; i < SERVE_N_SAMPLE; i++) bench_sample_free(&r->samples[i]);
  mv_free(r->arrivals);
  mv_free(r->calls);
  mv_buf_free(&r->url);
  mv_buf_free(&r->model_name);
  mv_buf_free(&r->api_key);
}
