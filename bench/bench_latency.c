/* medvision bench latency: one request at a time, from the prompt's text to its last token.
 *
 * The prompt is text of exactly the wanted number of tokens (template included), another one for
 * every run, so that no cache can help. End tokens are ignored: every answer is as long as asked.
 */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/common.h"
#include "runtime/clock.h"
#include "runtime/memory.h"
#include "vision/image.h"

#define N_GREEDY 8 /* tokens told, by which engines are held together */

typedef struct latency_options {
  const char *model, *random, *device, *dtype, *image, *write_ids;
  int n_thread, n_input, n_output, n_run, n_warmup, speculate, json, help;
} latency_options;

enum { TTFT, TPOT, ITL, E2EL, VISION, PREFILL, N_SAMPLE };

typedef struct latency {
  const latency_options *o;
  mv_model *model;
  mv_engine *engine;
  mv_image image;
  bench_sample samples[N_SAMPLE];
  double load_ms;
  double last_text_ms; /* when text came last; 0: none yet in this run */
  mv_result last;      /* of the last run; owns */
} latency;

static const char help_text[] =
    "usage: medvision bench latency [--model DIR] [--input-len N] [--output-len N] [--image FILE]\n"
    "                               [--runs N] [--warmup N] [--device NAME] [--dtype NAME]\n"
    "                               [--threads N] [--speculate] [--write-ids FILE] [--json]\n"
    "\n"
    "Answers one request at a time and prints time to first token, time per output token, time\n"
    "between texts and the whole, in milliseconds.\n"
    "\n"
    "  --model DIR       checkpoint (the embedded one)\n"
    "  --random-weights SHAPE  3b, 7b, 32b: made up, for measuring without that checkpoint\n"
    "  --input-len N     tokens of the prompt, image and template included (700)\n"
    "  --output-len N    tokens of the answer; end tokens are ignored (21)\n"
    "  --image FILE      put this picture before the text\n"
    "  --runs N          measured runs (5), after --warmup N (1)\n"
    "  --device NAME     auto, cpu, cuda[:N];  --dtype auto, bf16, fp32;  --threads N\n"
    "  --speculate       with drafts: answers to digits are easily guessed, so not the default\n"
    "  --write-ids FILE  the last prompt's ids as a JSON array, for the peers (bench/peers)\n"
    "  --json            one JSON line, fields named as in vLLM's benchmarks\n";

static int parse(int argc, char **argv, latency_options *o) {
  *o = (latency_options){
      .device = "auto", .dtype = "auto", .n_input = 700, .n_output = 21, .n_run = 5, .n_warmup = 1};
  const bench_option options[] = {{"--model", &o->model, NULL, NULL},
                                  {"--random-weights", &o->random, NULL, NULL},
                                  {"--device", &o->device, NULL, NULL},
                                  {"--dtype", &o->dtype, NULL, NULL},
                                  {"--image", &o->image, NULL, NULL},
                                  {"--write-ids", &o->write_ids, NULL, NULL},
                                  {"--threads", NULL, &o->n_thread, NULL},
                                  {"--input-len", NULL, &o->n_input, NULL},
                                  {"--output-len", NULL, &o->n_output, NULL},
                                  {"--runs", NULL, &o->n_run, NULL},
                                  {"--warmup", NULL, &o->n_warmup, NULL},
                                  {"--speculate", NULL, NULL, &o->speculate},
                                  {"--json", NULL, NULL, &o->json},
                                  {"--help", NULL, NULL, &o->help},
                                  {"-h", NULL, NULL, &o->help}};
  return bench_parse("latency", argc, argv, options, sizeof options / sizeof *options);
}

/* ---- one request ---- */

static int on_text(void *user, const mv_piece *piece) {
  latency *l = user;
  double now = mv_now_ms(), n = (double)piece->n_token;
  for (size_t i = 0; l->last_text_ms > 0 && i < piece->n_token; i++)
    bench_sample_add(&l->samples[ITL], (now - l->last_text_ms) / n);
  l->last_text_ms = now;
  return 0;
}

static void note(latency *l, const mv_result *r) {
  const mv_timings *t = &r->timings;
  bench_sample_add(&l->samples[TTFT], t->ttft_ms);
  bench_sample_add(&l->samples[TPOT], t->decode_ms / (double)(r->n_token - 1));
  bench_sample_add(&l->samples[E2EL], t->total_ms);
  bench_sample_add(&l->samples[VISION], t->image_ms + t->vision_ms);
  bench_sample_add(&l->samples[PREFILL], t->prefill_ms);
}

static mv_status write_ids(const char *path, const mv_result *r, mv_error *err) {
  FILE *file = fopen(path, "w");
  if (!file) return mv_fail(err, MV_ERR_IO, "%s: cannot be written", path);
  for (size_t i = 0; i < r->n_prompt; i++) fprintf(file, "%s%d", i ? ", " : "[", r->prompt_ids[i]);
  int broken = fprintf(file, "]\n") < 0;
  if (fclose(file) != 0 || broken) return mv_fail(err, MV_ERR_IO, "%s: cannot be written", path);
  return MV_OK;
}

static mv_status run_all(latency *l, mv_buf *text, mv_error *err) {
  mv_request q;
  int n_digit;
  mv_request_init(&q);
  q.images = &l->image;
  q.n_image = l->o->image != NULL;
  q.max_new_tokens = l->o->n_output;
  q.ignore_eos = 1;
  q.user = l;
  MV_TRY(bench_prompt_digits(l->engine, &q, l->o->n_input, &n_digit, err));
  for (int run = 0; run < l->o->n_warmup + l->o->n_run; run++) {
    int measured = run >= l->o->n_warmup;
    MV_TRY(bench_prompt(run, n_digit, text, err));
    mv_result_free(&l->last);
    l->last_text_ms = 0;
    q.prompt = mv_buf_view(text);
    q.on_text = measured ? on_text : NULL;
    MV_TRY(mv_engine_generate(l->engine, &q, &l->last, err));
    if (measured) note(l, &l->last);
  }
  return l->o->write_ids ? write_ids(l->o->write_ids, &l->last, err) : MV_OK;
}

/* ---- figures ---- */

static void print_table(const latency *l) {
  printf("%s, %s, %zu tokens in, %zu out, %d runs, loaded in %.0f ms\n\n",
         mv_model_device_name(l->model),
         mv_model_precision(l->model) == MV_PRECISION_BF16 ? "bf16" : "fp32", l->last.n_prompt,
         l->last.n_token, l->o->n_run, l->load_ms);
  bench_samples_print(l->samples, N_SAMPLE);
}

static mv_status print_json(const latency *l, mv_error *err) {
  mv_buf out = {0};
  mv_json_writer writer = {.out = &out}, *w = &writer;
  mv_json_begin_object(w);
  bench_json_head(w, l->model);
  bench_json_int(w, "threads", l->o->n_thread);
  bench_json_int(w, "input_len", (int64_t)l->last.n_prompt);
  bench_json_int(w, "output_len", (int64_t)l->last.n_token);
  bench_json_int(w, "num_iters", l->o->n_run);
  bench_json_int(w, "num_iters_warmup", l->o->n_warmup);
  bench_json_double(w, "load_ms", l->load_ms);
  for (int i = 0; i < N_SAMPLE; i++) bench_sample_json(w, &l->samples[i]);
  mv_json_key(w, "greedy_ids");
  mv_json_begin_array(w);
  for (size_t i = 0; i < N_GREEDY && i < l->last.n_token; i++) mv_json_int(w, l->last.token_ids[i]);
  mv_json_end_array(w);
  mv_json_end_object(w);
  return bench_json_print(&out, err);
}

/* ---- */

static mv_status open_all(latency *l, mv_error *err) {
  static const char *const names[N_SAMPLE] = {"ttft", "tpot", "itl", "e2el", "vision", "prefill"};
  const latency_options *o = l->o;
  mv_model_options model = {
      .dir = o->model, .random = o->random, .device = o->device, .n_thread = o->n_thread};
  mv_engine_options engine = {.no_speculation = !o->speculate};
  if (o->n_run < 1 || o->n_output < 2)
    return mv_fail(err, MV_ERR_USAGE, "expected at least 1 run and 2 tokens");
  MV_TRY(bench_precision(o->dtype, &model.precision, err));
  for (int i = 0; i < N_SAMPLE; i++)
    MV_TRY(
        bench_sample_init(&l->samples[i], names[i], o->n_run * (i == ITL ? o->n_output : 1), err));
  double start = mv_now_ms();
  if (o->image) MV_TRY(mv_image_load(o->image, &l->image, err));
  MV_TRY(mv_model_open(&l->model, &model, err));
  MV_TRY(mv_engine_new(&l->engine, l->model, &engine, err));
  l->load_ms = mv_now_ms() - start;
  return MV_OK;
}

static mv_status measure(latency *l, mv_error *err) {
  mv_buf text = {0};
  mv_status status = open_all(l, err);
  if (status == MV_OK) status = run_all(l, &text, err);
  mv_buf_free(&text);
  if (status != MV_OK) return status;
  for (int i = 0; i < N_SAMPLE; i++) bench_sample_sort(&l->samples[i]);
  if (l->o->json) return print_json(l, err);
  print_table(l);
  return MV_OK;
}

int mv_bench_latency_main(int argc, char **argv, const char *default_model) {
  latency_options o;
  mv_error err = {0};
  int code = parse(argc, argv, &o);
  if (code) return code;
  if (o.help) {
    fputs(help_text, stdout);
    return 0;
  }
  if (!o.model) o.model = default_model;
  latency l = {.o = &o};
  if (measure(&l, &err) != MV_OK) code = bench_failed("latency", &err);
  for (int i = 0; i < N_SAMPLE; i++) bench_sample_free(&l.samples[i]);
  mv_result_free(&l.last);
  mv_engine_free(l.engine);
  mv_model_close(l.model);
  mv_image_free(&l.image);
  return code;
}
