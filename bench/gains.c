#include "bench/gains.h"

#include <stdio.h>

#include "runtime/engine.h"

typedef struct mode {
  const char *name;
  mv_engine_options options;
  int all_wrong; /* no draft is ever right: what trying costs */
  int against;   /* the mode that its times are of */
} mode;

enum { BATCHED = 1, N_MODE = 7, MAX_WARM = 4 };

#define NO_REUSE .no_prefix_cache = 1, .no_vision_cache = 1
static const mode modes[N_MODE] = {
    {"one at a time", .options = {.max_batch = 1, NO_REUSE, .no_speculation = 1}},
    {"batching", .options = {NO_REUSE, .no_speculation = 1}},
    {"reuse", .options = {.max_batch = 1, .no_speculation = 1}},
    {"drafts", .options = {.max_batch = 1, NO_REUSE}},
    {"all of them", .options = {0}},
    {"drafts, all wrong", .options = {.max_batch = 1, NO_REUSE}, .all_wrong = 1},
    {"all wrong, batched", .options = {NO_REUSE}, .all_wrong = 1, .against = BATCHED},
};

typedef struct gain {
  bench_sample rate, times; /* requests a second, and how many times `against`'s, a run each */
  mv_engine_stats counts;   /* of the last run */
} gain;

/* Another token than the one that is known to come, or one that hardly ever does; ten digits are
 * tried after wrong drafts alone. */
static void spoil(void *user, const mv_job *job, mv_draft *draft) {
  const bench_subject *s = user;
  int32_t last = s->model->head.n_out - 1;
  for (int i = 0; i < draft->n; i++) {
    size_t at = job->result.n_token + (size_t)i;
    draft->ids[i] = at < job->n_forced && job->forced[at] == last ? last - 1 : last;
  }
  if (!draft->n) draft->digit_next = 0;
}

static mv_status ask(bench_subject *s, const mode *m, int first, int n, gain *g, mv_error *err) {
  mv_engine_options options = m->options;
  if (options.max_batch == 0) options.max_batch = s->o->max_batch;
  MV_TRY(bench_subject_restart(s, &options, err));
  if (m->all_wrong) s->engine->hooks = (mv_engine_hooks){.draft = spoil, .user = s};
  MV_TRY(bench_subject_ask(s, first, n, 1, err));
  bench_sample_add(&g->rate, 1e3 / s->busy_ms * n);
  g->counts = bench_subject_counts(s);
  return MV_OK;
}

static mv_status ask_all(bench_subject *s, int n, int n_run, gain *gains, mv_error *err) {
  int n_warm = n < MAX_WARM ? n : MAX_WARM; /* or what is measured first would look slow */
  MV_TRY(bench_subject_restart(s, &modes[0].options, err));
  MV_TRY(bench_subject_ask(s, 0, n_warm, 0, err));
  for (int run = 0; run < n_run; run++)
    for (int m = 0; m < N_MODE; m++) {
      MV_TRY(ask(s, &modes[m], run * n, n, &gains[m], err));
      const bench_sample *rate = &gains[m].rate, *of = &gains[modes[m].against].rate;
      if (rate->failed || of->failed) continue; /* told when they are finished */
      bench_sample_add(&gains[m].times, rate->ms[run] / of->ms[run]);
    }
  return MV_OK;
}

static double share(uint64_t part, uint64_t whole) {
  return whole ? (double)part / (double)whole : 0;
}

static void print(const gain *gains) {
  printf("%-19s%12s%8s  %-15s%15s%15s\n", "", "requests/s", "times", "as fast as", "prompts known",
         "tokens a row");
  for (int m = 0; m < N_MODE; m++) {
    const mv_engine_stats *c = &gains[m].counts;
    printf("%-19s%12.3f%8.2f  %-15s%13.0f %%%15.2f\n", modes[m].name,
           bench_percentile(&gains[m].rate, 50), bench_percentile(&gains[m].times, 50),
           modes[modes[m].against].name, 100 * share(c->n_cached_token, c->n_prompt_token),
           share(c->n_token, c->n_verify));
  }
  printf("\nEvery answer was the same in all modes.\n");
}

static void write_json(mv_json_writer *w, const bench_subject *s, int n, int n_run, const gain *g,
                       const mode *m) {
  mv_json_begin_object(w);
  bench_subject_head(w, "gains", s);
  bench_json_int(w, "num_prompts", n);
  bench_json_int(w, "runs", n_run);
  bench_json_text(w, "mode", m->name);
  bench_json_double(w, "request_throughput", bench_percentile(&g->rate, 50));
  bench_quartiles_json(w, &g->rate);
  bench_json_double(w, "times", bench_percentile(&g->times, 50));
  bench_json_text(w, "times_of", modes[m->against].name);
  bench_json_int(w, "prompt_tokens", (int64_t)g->counts.n_prompt_token);
  bench_json_int(w, "cached_tokens", (int64_t)g->counts.n_cached_token);
  bench_json_int(w, "images_seen", (int64_t)g->counts.n_image_seen);
  bench_json_int(w, "drafted_tokens", (int64_t)g->counts.n_drafted);
  bench_json_int(w, "accepted_tokens", (int64_t)g->counts.n_accepted);
  mv_json_end_object(w);
  mv_buf_char(w->out, '\n');
}

mv_status bench_gains(bench_subject *s, int n_request, int n_run, mv_buf *json, mv_error *err) {
  gain gains[N_MODE] = {0};
  mv_json_writer w = {.out = json};
  for (int m = 0; m < N_MODE; m++) gains[m].rate.name = "request_throughput";
  mv_status status = ask_all(s, n_request, n_run, gains, err);
  for (int m = 0; m < N_MODE && status == MV_OK; m++) {
    status = bench_samples_finish(&gains[m].rate, 1, err);
    if (status == MV_OK) status = bench_samples_finish(&gains[m].times, 1, err);
    if (status == MV_OK) write_json(&w, s, n_request, n_run, &gains[m], &modes[m]);
  }
  if (status == MV_OK && !s->o->json) print(gains);
  for (int m = 0; m < N_MODE; m++) {
    bench_sample_free(&gains[m].rate);
    bench_sample_free(&gains[m].times);
  }
  return status;
}
