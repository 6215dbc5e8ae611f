/* medvision bench latency: few requests at a time, from the prompt's text to its last token.
 *
 * Prompts have exactly the wanted number of tokens, another text for every request, so that no
 * cache can help beyond what the workload says is shared. End tokens are ignored: every answer is
 * as long as asked.
 */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/roofline.h"
#include "bench/subject.h"

#define N_GREEDY 8 /* tokens told, by which engines are held together */
#define MAX_BATCHES 32
#define LIMIT_SECONDS 0.3 /* to measure the machine */

typedef struct latency_options {
  bench_subject_options subject;
  const char *write_ids, *batch;
  int n_run, n_warmup;
  int batches[MAX_BATCHES], n_batch;
} latency_options;

static const char help_text[] =
    "usage: medvision bench latency [OPTION...]\n"
    "\n"
    "Answers one request at a time, or a batch, and prints time to first token, time per output\n"
    "token, time between texts, the whole and its stages, in milliseconds, and the share of what\n"
    "this machine's memory and arithmetic allow.\n"
    "\n"
    "  --batch-size N,...  requests together; every one of a list is measured (1)\n"
    "  --runs N          measured runs (5), after --warmup N (1)\n"
    "  --write-ids FILE  the last prompt's ids as a JSON array, for the peers "
    "(bench/peers)\n" BENCH_SUBJECT_HELP
    "\n"
    "Without a workload: 700 tokens in, 21 out.\n";

static int parse(int argc, char **argv, latency_options *o) {
  *o = (latency_options){
      .subject = {.device = "auto", .dtype = "auto", .n_input = 700, .n_output = 21},
      .batch = "1",
      .n_run = 5,
      .n_warmup = 1};
  const bench_option options[] = {BENCH_SUBJECT_OPTIONS(&o->subject),
                                  {"--batch-size", BENCH_TEXT(&o->batch)},
                                  {"--write-ids", BENCH_TEXT(&o->write_ids)},
                                  {"--runs", BENCH_COUNT(&o->n_run)},
                                  {"--warmup", BENCH_COUNT(&o->n_warmup)}};
  return bench_parse_options("latency", argc, argv, options, sizeof options / sizeof *options);
}

static mv_status check(latency_options *o, mv_error *err) {
  const bench_subject_options *s = &o->subject;
  o->n_batch = bench_list(o->batch, o->batches, MAX_BATCHES);
  if (!o->n_batch)
    return mv_fail(err, MV_ERR_USAGE, "--batch-size %s: expected counts like 1,2,4", o->batch);
  if (o->n_run < 1 || (!s->workload && (s->n_output < 2 || s->n_input < 1)))
    return mv_fail(err, MV_ERR_USAGE, "expected at least 1 run and 2 tokens");
  for (int i = 0; i < o->n_batch; i++)
    if (o->batches[i] > o->subject.max_batch) o->subject.max_batch = o->batches[i];
  return MV_OK;
}

static mv_status write_ids(const char *path, const mv_result *r, mv_error *err) {
  FILE *file = fopen(path, "w");
  if (!file) return mv_fail(err, MV_ERR_IO, "%s: cannot be written", path);
  for (size_t i = 0; i < r->n_prompt; i++) fprintf(file, "%s%d", i ? ", " : "[", r->prompt_ids[i]);
  int broken = fprintf(file, "]\n") < 0;
  if (fclose(file) != 0 || broken) return mv_fail(err, MV_ERR_IO, "%s: cannot be written", path);
  return MV_OK;
}

/* ---- figures ---- */

/* Shares of the limits: a step against its bytes, a lone prompt against its products. */
typedef struct shares {
  double tpot_limit_ms, tpot, prefill_limit_ms, prefill;
} shares;

static shares shares_of(const bench_subject *s, const bench_roofline *r, int batch) {
  double n_input = (double)s->n_input / (double)s->n_done;
  double n_output = (double)s->n_output / (double)s->n_done;
  double tpot = bench_percentile(&s->samples[BENCH_TPOT], 50);
  double prefill = bench_percentile(&s->samples[BENCH_PREFILL], 50);
  shares out = {bench_decode_limit_ms(r, batch, n_input + n_output / 2), 0,
                bench_prefill_limit_ms(r, n_input), 0};
  if (tpot > 0) out.tpot = 100 * out.tpot_limit_ms / tpot;
  if (batch == 1 && prefill > 0) out.prefill = 100 * out.prefill_limit_ms / prefill;
  return out;
}

static void print_table(const bench_subject *s, const latency_options *o, const shares *of,
                        int batch) {
  printf("%s, %s, batch %d, %.0f tokens in, %.0f out, %d runs after %d to warm up\n\n",
         mv_model_device_name(s->model),
         mv_model_precision(s->model) == MV_PRECISION_BF16 ? "bf16" : "fp32", batch,
         (double)s->n_input / (double)s->n_done, (double)s->n_output / (double)s->n_done, o->n_run,
         o->n_warmup);
  bench_samples_print(s->samples, BENCH_N_SAMPLE);
  printf("\noutput tokens/s %.1f; a token in %.0f %% of the limit's speed (%.3f ms)",
         1e3 * (double)s->n_output / s->busy_ms, of->tpot, of->tpot_limit_ms);
  if (batch == 1) printf(", prefill in %.0f %% (%.3f ms)", of->prefill, of->prefill_limit_ms);
  printf("\n\n");
}

static void write_json(mv_json_writer *w, const bench_subject *s, const latency_options *o,
                       const bench_roofline *r, const shares *of, int batch) {
  mv_json_begin_object(w);
  bench_subject_head(w, "latency", s);
  bench_json_int(w, "batch_size", batch);
  bench_json_int(w, "input_len", s->n_input / s->n_done);
  bench_json_int(w, "output_len", s->n_output / s->n_done);
  bench_json_int(w, "num_iters", o->n_run);
  bench_json_int(w, "num_iters_warmup", o->n_warmup);
  bench_subject_figures(w, s);
  bench_json_double(w, "read_gbs", r->machine.read_gbs);
  bench_json_double(w, "gflops", r->gflops);
  bench_json_double(w, "tpot_limit_ms", of->tpot_limit_ms);
  bench_json_double(w, "tpot_roofline_percent", of->tpot);
  if (batch == 1) bench_json_double(w, "prefill_limit_ms", of->prefill_limit_ms);
  if (batch == 1) bench_json_double(w, "prefill_roofline_percent", of->prefill);
  mv_json_key(w, "greedy_ids");
  mv_json_begin_array(w);
  for (size_t i = 0; i < N_GREEDY && i < s->last.n_token; i++) mv_json_int(w, s->last.token_ids[i]);
  mv_json_end_array(w);
  mv_json_end_object(w);
  mv_buf_char(w->out, '\n');
}

/* ---- */

static mv_status measure_batch(bench_subject *s, const latency_options *o, int first, int batch,
                               mv_error *err) {
  bench_subject_reset(s);
  for (int run = 0; run < o->n_warmup + o->n_run; run++) {
    if (run == o->n_warmup) bench_subject_reset(s);
    MV_TRY(bench_subject_ask(s, first + run * batch, batch, run >= o->n_warmup, err));
  }
  return bench_samples_finish(s->samples, BENCH_N_SAMPLE, err);
}

typedef struct latency {
  bench_subject subject;
  latency_options *o;
} latency;

static mv_status measure(void *user, mv_buf *json, mv_error *err) {
  latency *l = user;
  bench_subject *s = &l->subject;
  latency_options *o = l->o;
  bench_roofline roofline;
  int n_ask = 0, first = 0;
  MV_TRY(check(o, err));
  for (int i = 0; i < o->n_batch; i++) n_ask += (o->n_warmup + o->n_run) * o->batches[i];
  MV_TRY(bench_subject_open(s, &o->subject, n_ask, 0, err));
  MV_TRY(bench_roofline_measure(&roofline, s->model, LIMIT_SECONDS, err));
  for (int i = 0; i < o->n_batch; i++) {
    mv_json_writer w = {.out = json};
    int batch = o->batches[i];
    MV_TRY(measure_batch(s, o, first, batch, err));
    first += (o->n_warmup + o->n_run) * batch;
    shares of = shares_of(s, &roofline, batch);
    write_json(&w, s, o, &roofline, &of, batch);
    if (!o->subject.json) print_table(s, o, &of, batch);
  }
  return o->write_ids ? write_ids(o->write_ids, &s->last, err) : MV_OK;
}

int mv_bench_latency_main(int argc, char **argv, const char *default_model) {
  latency_options o;
  latency l = {.o = &o};
  int code = parse(argc, argv, &o);
  if (code) return code;
  bench_run run = {"latency", help_text, measure, &l, argc, argv};
  return bench_subject_run(&run, &l.subject, &o.subject, default_model);
}
