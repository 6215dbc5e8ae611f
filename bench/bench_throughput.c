/* medvision bench throughput: many requests at once, as fast as they go. */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/gains.h"
#include "bench/subject.h"
#include "runtime/model.h"

typedef struct throughput_options {
  bench_subject_options subject;
  int n_request, n_run, gains;
} throughput_options;

typedef struct throughput {
  const throughput_options *o;
  bench_subject subject;
  bench_sample request_rate,
      output_rate; /* of each run: their `ms` are requests, tokens a second */
} throughput;

static const char help_text[] =
    "usage: medvision bench throughput [OPTION...]\n"
    "\n"
    "Answers N requests at once and prints requests and tokens a second.\n"
    "\n"
    "  --num-prompts N   requests together (16)\n"
    "  --runs N          how often, other requests each time (1); three or more tell --compare\n"
    "                    how far rates are noise\n"
    "  --max-batch N     requests running together (the engine's default)\n"
    "  --gains           the same requests one at a time, with batching, reuse of prefixes and\n"
    "                    pictures, and drafts each alone, then with all: how many times as fast;\n"
    "                    and what drafts cost that are always wrong\n" BENCH_SUBJECT_HELP
    "\n"
    "Without a workload: 1024 tokens in, 128 out.\n";

static int parse(int argc, char **argv, throughput_options *o) {
  *o = (throughput_options){
      .subject = {.device = "auto", .dtype = "auto", .n_input = 1024, .n_output = 128},
      .n_request = 16,
      .n_run = 1};
  const bench_option options[] = {BENCH_SUBJECT_OPTIONS(&o->subject),
                                  {"--num-prompts", BENCH_COUNT(&o->n_request)},
                                  {"--runs", BENCH_COUNT(&o->n_run)},
                                  {"--gains", BENCH_FLAG(&o->gains)},
                                  {"--max-batch", BENCH_COUNT(&o->subject.max_batch)}};
  int code =
      bench_parse_options("throughput", argc, argv, options, sizeof options / sizeof *options);
  o->subject.speculate |= o->gains;
  return code;
}

/* ---- figures ---- */

static void print_table(const throughput *t, const throughput_options *o) {
  const bench_subject *s = &t->subject;
  mv_engine_stats n = bench_subject_counts(s);
  double per_s = 1e3 / s->busy_ms;
  printf("%s, %s, %d x %d requests in %.2f s\n\n", mv_model_device_name(s->model),
         mv_model_precision(s->model) == MV_PRECISION_BF16 ? "bf16" : "fp32", o->n_run,
         o->n_request, s->busy_ms / 1e3);
  printf("requests/s       %12.3f\n", per_s * (double)s->n_done);
  printf("input tokens/s   %12.1f   %.0f %% of them found in the prefix cache\n",
         per_s * (double)s->n_input,
         n.n_prompt_token ? 100.0 * (double)n.n_cached_token / (double)n.n_prompt_token : 0.0);
  printf("output tokens/s  %12.1f   %.2f tokens a row of the steps that gave them\n",
         per_s * (double)s->n_output, n.n_verify ? (double)n.n_token / (double)n.n_verify : 0.0);
  printf("images           %12llu   %llu through the vision tower\n", (unsigned long long)n.n_image,
         (unsigned long long)n.n_image_seen);
  printf("CPU busy         %11.0f%%\n", 100 * s->cpu_ms / s->busy_ms / s->model->device.n_thread);
  if (s->meter.n_look)
    printf("GPU busy         %11.0f%%\n", s->meter.sum_percent / s->meter.n_look);
  putchar('\n');
  bench_samples_print(s->samples, BENCH_N_SAMPLE);
}

static void write_json(mv_json_writer *w, const throughput *t, const throughput_options *o) {
  mv_json_begin_object(w);
  bench_subject_head(w, "throughput", &t->subject);
  bench_json_int(w, "num_prompts", o->n_request);
  bench_json_int(w, "max_batch", o->subject.max_batch);
  bench_json_int(w, "runs", o->n_run);
  bench_subject_figures(w, &t->subject);
  bench_quartiles_json(w, &t->request_rate);
  bench_quartiles_json(w, &t->output_rate);
  mv_json_end_object(w);
  mv_buf_char(w->out, '\n');
}

/* ---- */

static mv_status measure(void *user, mv_buf *json, mv_error *err) {
  throughput *t = user;
  const throughput_options *o = t->o;
  bench_subject *s = &t->subject;
  mv_json_writer w = {.out = json};
  if (o->n_request < 1 || o->n_run < 1)
    return mv_fail(err, MV_ERR_USAGE, "--num-prompts, --runs: expected 1 or more");
  if (!o->subject.workload && (o->subject.n_input < 1 || o->subject.n_output < 1))
    return mv_fail(err, MV_ERR_USAGE, "--input-len, --output-len: expected 1 or more");
  MV_TRY(bench_subject_open(s, &o->subject, o->n_request * o->n_run, o->n_request, err));
  if (o->gains) return bench_gains(s, o->n_request, o->n_run, json, err);
  for (int run = 0; run < o->n_run; run++) {
    double busy = s->busy_ms, n_output = (double)s->n_output;
    MV_TRY(bench_subject_ask(s, run * o->n_request, o->n_request, 1, err));
    double per_s = 1e3 / (s->busy_ms - busy);
    bench_sample_add(&t->request_rate, per_s * o->n_request);
    bench_sample_add(&t->output_rate, per_s * ((double)s->n_output - n_output));
  }
  MV_TRY(bench_samples_finish(s->samples, BENCH_N_SAMPLE, err));
  MV_TRY(bench_samples_finish(&t->request_rate, 1, err));
  MV_TRY(bench_samples_finish(&t->output_rate, 1, err));
  write_json(&w, t, o);
  if (!o->subject.json) print_table(t, o);
  return MV_OK;
}

int mv_bench_throughput_main(int argc, char **argv, const char *default_model) {
  throughput_options o;
  throughput t = {.o = &o,
                  .request_rate = {.name = "request_throughput"},
                  .output_rate = {.name = "output_throughput"}};
  int code = parse(argc, argv, &o);
  if (code) return code;
  bench_run run = {"throughput", help_text, measure, &t, argc, argv};
  code = bench_subject_run(&run, &t.subject, &o.subject, default_model);
  bench_sample_free(&t.request_rate);
  bench_sample_free(&t.output_rate);
  return code;
}
