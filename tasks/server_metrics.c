#include "tasks/server_metrics.h"

#include <string.h>

static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25,
                                0.5,   0.75,   1,     2.5,  5,    7.5,  10,   20,   40,  80};
#define N_BOUND (sizeof bounds / sizeof *bounds)
_Static_assert(N_BOUND <= MV_HISTOGRAM_MAX, "a histogram holds them");

static const struct {
  const char *name, *help;
} names[MV_DURATION_COUNT] = {
    {"vllm:time_to_first_token_seconds", "From submit to the first token"},
    {"vllm:inter_token_latency_seconds", "Between two tokens"},
    {"vllm:e2e_request_latency_seconds", "From submit to the end"},
    {"vllm:request_queue_time_seconds", "Waiting for the engine"},
    {"vllm:request_prefill_time_seconds", "The prompt, up to the first token"},
    {"vllm:request_decode_time_seconds", "The tokens after the first"},
};

void mv_traffic_init(mv_traffic *metrics) {
  memset(metrics, 0, sizeof *metrics);
  pthread_mutex_init(&metrics->lock, NULL);
}

void mv_traffic_free(mv_traffic *metrics) { pthread_mutex_destroy(&metrics->lock); }

static void observe(mv_traffic *metrics, mv_duration which, size_t n, double ms) {
  mv_histogram *h = &metrics->durations[which];
  double seconds = ms / 1e3;
  size_t i = 0;
  while (i < N_BOUND && seconds > bounds[i]) i++;
  h->count[i] += n;
  h->n += n;
  h->sum += (double)n * seconds;
}

void mv_traffic_tokens(mv_traffic *metrics, size_t n, double ms) {
  pthread_mutex_lock(&metrics->lock);
  observe(metrics, MV_DURATION_BETWEEN_TOKENS, n, ms);
  pthread_mutex_unlock(&metrics->lock);
}

void mv_traffic_result(mv_traffic *metrics, const mv_result *result) {
  const mv_timings *t = &result->timings;
  pthread_mutex_lock(&metrics->lock);
  if (result->status != MV_OK) {
    metrics->failed++;
  } else {
    metrics->finished[result->finish]++;
    metrics->prompt_tokens += result->n_prompt;
    metrics->new_tokens += result->n_token;
    observe(metrics, MV_DURATION_FIRST_TOKEN, result->n_token > 0, t->ttft_ms);
    observe(metrics, MV_DURATION_REQUEST, 1, t->total_ms);
    observe(metrics, MV_DURATION_QUEUE, 1, t->queue_ms);
    observe(metrics, MV_DURATION_PREFILL, 1, t->prefill_ms);
    observe(metrics, MV_DURATION_DECODE, 1, t->decode_ms);
  }
  pthread_mutex_unlock(&metrics->lock);
}

void mv_traffic_http(mv_traffic *metrics, int status) {
  if (status < 0 || status >= 600) return;
  pthread_mutex_lock(&metrics->lock);
  metrics->http[status]++;
  pthread_mutex_unlock(&metrics->lock);
}

/* ---- Prometheus' text form ---- */

typedef struct page {
  mv_buf *out;
  const char *labels; /* model_name="..." */
} page;

static void head(page *p, const char *name, const char *type, const char *help) {
  mv_buf_printf(p->out, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, type);
}

static void put(page *p, const char *name, const char *type, const char *help, double value) {
  head(p, name, type, help);
  mv_buf_printf(p->out, "%s{%s} %.17g\n", name, p->labels, value);
}

static void put_histogram(page *p, const char *name, const char *help, const mv_histogram *h) {
  uint64_t below = 0;
  head(p, name, "histogram", help);
  for (size_t i = 0; i < N_BOUND; i++) {
    below += h->count[i];
    mv_buf_printf(p->out, "%s_bucket{%s,le=\"%g\"} %llu\n", name, p->labels, bounds[i],
                  (unsigned long long)below);
  }
  mv_buf_printf(p->out, "%s_bucket{%s,le=\"+Inf\"} %llu\n", name, p->labels,
                (unsigned long long)h->n);
  mv_buf_printf(p->out, "%s_sum{%s} %.9g\n", name, p->labels, h->sum);
  mv_buf_printf(p->out, "%s_count{%s} %llu\n", name, p->labels, (unsigned long long)h->n);
}

static void put_engine(page *p, const mv_engine_stats *s) {
  double used = s->n_page ? (double)(s->n_page - s->n_page_free) / (double)s->n_page : 0;
  put(p, "vllm:num_requests_running", "gauge", "Requests at work", (double)s->n_running);
  put(p, "vllm:num_requests_waiting", "gauge", "Requests waiting", (double)s->n_queued);
  put(p, "vllm:kv_cache_usage_perc", "gauge", "Share of the pages in use", used);
  put(p, "vllm:prefix_cache_queries_total", "counter", "Prompt tokens looked up",
      (double)s->n_prompt_token);
  put(p, "vllm:prefix_cache_hits_total", "counter", "Prompt tokens found in the cache",
      (double)s->n_cached_token);
  put(p, "vllm:mm_cache_queries_total", "counter", "Images looked up", (double)s->n_image);
  put(p, "vllm:mm_cache_hits_total", "counter", "Images the vision tower need not see again",
      (double)(s->n_image - s->n_image_seen));
  put(p, "vllm:spec_decode_num_draft_tokens_total", "counter", "Tokens guessed ahead",
      (double)s->n_drafted);
  put(p, "vllm:spec_decode_num_accepted_tokens_total", "counter", "Of those, right",
      (double)s->n_accepted);
  put(p, "medvision_engine_steps_total", "counter", "Steps of the engine", (double)s->n_step);
}

void mv_traffic_write(mv_traffic *metrics, const mv_engine_stats *stats, const char *model,
                      mv_buf *out) {
  static const char *const reasons[] = {"stop", "length", "abort"};
  mv_buf labels = {0};
  mv_buf_text(&labels, "model_name=\"");
  for (const char *c = model; *c; c++)
    mv_buf_char(&labels, *c == '"' || *c == '\\' || *c < ' ' ? '_' : *c);
  mv_buf_text(&labels, "\"");
  out->failed |= labels.failed;
  page p = {out, labels.ptr ? labels.ptr : ""};
  pthread_mutex_lock(&metrics->lock);
  mv_traffic m = *metrics;
  pthread_mutex_unlock(&metrics->lock);
  for (int i = 0; i < MV_DURATION_COUNT; i++)
    put_histogram(&p, names[i].name, names[i].help, &m.durations[i]);
  put_engine(&p, stats);
  put(&p, "vllm:prompt_tokens_total", "counter", "Tokens of answered prompts",
      (double)m.prompt_tokens);
  put(&p, "vllm:generation_tokens_total", "counter", "Tokens answered", (double)m.new_tokens);
  head(&p, "vllm:request_success_total", "counter", "Requests answered");
  for (int i = 0; i < 3; i++)
    mv_buf_printf(out, "vllm:request_success_total{%s,finished_reason=\"%s\"} %llu\n", p.labels,
                  reasons[i], (unsigned long long)m.finished[i]);
  put(&p, "medvision_request_failures_total", "counter", "Requests that failed", (double)m.failed);
  head(&p, "http_requests_total", "counter", "Replies by status");
  for (int i = 0; i < 600; i++)
    if (m.http[i])
      mv_buf_printf(out, "http_requests_total{status=\"%d\"} %llu\n", i,
                    (unsigned long long)m.http[i]);
  mv_buf_free(&labels);
}
