/* medvision bench latency: one request at a time, from the prompt's text to its last token.
 *
 * The prompt is text of exactly the wanted number of tokens (template included), another one for
 * every run, so that no cache can help. End tokens are ignored: every answer is as long as asked.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "runtime/clock.h"
#include "runtime/json.h"
#include "runtime/medvision.h"
#include "runtime/memory.h"
#include "tokenizer/chat.h"
#include "vision/image.h"

typedef struct latency_options {
  const char *model, *device, *dtype, *image, *write_ids;
  int n_thread, n_input, n_output, n_run, n_warmup, json, help;
} latency_options;

/* The times of all runs of one kind, ms. */
typedef struct sample {
  const char *name;
  double *ms; /* [n] */
  int n;
} sample;

enum { TTFT, TPOT, ITL, E2EL, VISION, PREFILL, N_SAMPLE };

typedef struct latency {
  const latency_options *o;
  mv_model *model;
  mv_engine *engine;
  mv_image image;
  sample samples[N_SAMPLE];
  double load_ms;
  double last_text_ms; /* when a token was last told of */
  int32_t greedy_ids[8];
  int n_greedy, n_input, n_output; /* of the last run */
} latency;

static const char help_text[] =
    "usage: medvision bench latency [--model DIR] [--input-len N] [--output-len N] [--image FILE]\n"
    "                               [--runs N] [--warmup N] [--device NAME] [--dtype NAME]\n"
    "                               [--threads N] [--write-ids FILE] [--json]\n"
    "\n"
    "Answers one request at a time and prints time to first token, time per output token, time\n"
    "between tokens and the whole, in milliseconds.\n"
    "\n"
    "  --model DIR       checkpoint (the embedded one)\n"
    "  --input-len N     tokens of the prompt, image and template included (700)\n"
    "  --output-len N    tokens of the answer; end tokens are ignored (21)\n"
    "  --image FILE      put this picture before the text\n"
    "  --runs N          measured runs (5), after --warmup N (1)\n"
    "  --device NAME     auto, cpu, cuda[:N];  --dtype auto, bf16, fp32;  --threads N\n"
    "  --write-ids FILE  the last prompt's ids as a JSON array, for the peers (bench/peers)\n"
    "  --json            one JSON line\n";

static int bad(const char *format, const char *what) {
  fprintf(stderr, "medvision: bench latency: ");
  fprintf(stderr, format, what);
  fprintf(stderr, " (see medvision bench latency --help)\n");
  return 2;
}

static void failed(const mv_error *err) {
  fprintf(stderr, "medvision: bench latency: %s\n", err->msg);
}

/* ---- arguments ---- */

static int parse_count(const char *text, int *out) {
  char *end;
  long n = strtol(text, &end, 10);
  if (*text == 0 || *end != 0 || n < 0 || n > 1000000) return 0;
  *out = (int)n;
  return 1;
}

static int parse(int argc, char **argv, latency_options *o) {
  *o = (latency_options){
      .device = "auto", .dtype = "auto", .n_input = 700, .n_output = 21, .n_run = 5, .n_warmup = 1};
  const struct {
    const char *name;
    const char **text;
    int *count;
  } table[] = {{"--model", &o->model, NULL},         {"--device", &o->device, NULL},
               {"--dtype", &o->dtype, NULL},         {"--image", &o->image, NULL},
               {"--write-ids", &o->write_ids, NULL}, {"--threads", NULL, &o->n_thread},
               {"--input-len", NULL, &o->n_input},   {"--output-len", NULL, &o->n_output},
               {"--runs", NULL, &o->n_run},          {"--warmup", NULL, &o->n_warmup}};
  size_t n_table = sizeof table / sizeof *table;
  for (int i = 1; i < argc; i++) {
    size_t k = 0;
    while (k < n_table && strcmp(argv[i], table[k].name) != 0) k++;
    if (strcmp(argv[i], "--json") == 0) {
      o->json = 1;
    } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      o->help = 1;
    } else if (k == n_table) {
      return bad("unknown argument %s", argv[i]);
    } else if (i + 1 == argc) {
      return bad("%s needs a value", argv[i]);
    } else if (table[k].text) {
      *table[k].text = argv[++i];
    } else if (!parse_count(argv[++i], table[k].count)) {
      return bad("%s: expected a count", argv[i]);
    }
  }
  if (o->n_run < 1 || o->n_output < 2) return bad("%s", "expected 1 run and 2 tokens or more");
  return 0;
}

static int precision_of(const char *name, mv_precision *out) {
  static const char *const names[] = {"auto", "bf16", "fp32"};
  for (int i = 0; i < 3; i++)
    if (strcmp(name, names[i]) == 0) {
      *out = (mv_precision)i;
      return 1;
    }
  return 0;
}

/* ---- one request ---- */

/* n digits, each a token of its own: the number of the run, so that no two prompts begin alike, and
 * then digits that do not repeat soon. */
static mv_status write_prompt(int run, int n, mv_buf *out, mv_error *err) {
  char number[16];
  int n_number = snprintf(number, sizeof number, "%03d", run);
  mv_buf_clear(out);
  for (int i = 0; i < n; i++)
    mv_buf_char(out, i < n_number ? number[i] : (char)('0' + (i * i + 3 * i / 10) % 10));
  return mv_buf_status(out, err);
}

static int on_text(void *user, mv_str text) {
  latency *l = user;
  double now = mv_now_ms();
  (void)text;
  sample *s = &l->samples[ITL];
  if (l->last_text_ms > 0 && s->n >= 0) s->ms[s->n++] = now - l->last_text_ms;
  l->last_text_ms = now;
  return 0;
}

static mv_status ask(latency *l, mv_str prompt, int n_output, int measured, mv_result *result,
                     mv_error *err) {
  mv_request q;
  mv_request_init(&q);
  q.prompt = prompt;
  q.images = &l->image;
  q.n_image = l->o->image != NULL;
  q.max_new_tokens = n_output;
  q.ignore_eos = 1;
  if (measured) q.on_text = on_text;
  q.user = l;
  l->last_text_ms = 0;
  return mv_engine_generate(l->engine, &q, result, err);
}

static void note(latency *l, const mv_result *r) {
  const mv_timings *t = &r->timings;
  double each[N_SAMPLE] = {0};
  each[TTFT] = t->ttft_ms;
  each[TPOT] = t->decode_ms / (double)(r->n_token - 1);
  each[E2EL] = t->total_ms;
  each[VISION] = t->image_ms + t->vision_ms;
  each[PREFILL] = t->prefill_ms;
  for (int i = 0; i < N_SAMPLE; i++)
    if (i != ITL) l->samples[i].ms[l->samples[i].n++] = each[i];
}

static mv_status write_ids(const char *path, const mv_result *r, mv_error *err) {
  FILE *file = fopen(path, "w");
  if (!file) return mv_fail(err, MV_ERR_IO, "%s: cannot be written", path);
  for (size_t i = 0; i < r->n_prompt; i++) fprintf(file, "%s%d", i ? ", " : "[", r->prompt_ids[i]);
  int broken = fprintf(file, "]\n") < 0;
  if (fclose(file) != 0 || broken) return mv_fail(err, MV_ERR_IO, "%s: cannot be written", path);
  return MV_OK;
}

/* How many digits fill the prompt: what template, image and an empty text leave. */
static mv_status fit_prompt(latency *l, int *n_digit, mv_error *err) {
  mv_result r = {0};
  MV_TRY(ask(l, mv_str_of(""), 1, 0, &r, err));
  int have = (int)r.n_prompt;
  mv_result_free(&r);
  *n_digit = l->o->n_input - have;
  if (*n_digit >= 3) return MV_OK;
  return mv_fail(err, MV_ERR_USAGE, "--input-len %d: expected %d or more (an empty prompt has %d)",
                 l->o->n_input, have + 3, have);
}

static mv_status run_all(latency *l, mv_error *err) {
  int n_digit;
  mv_buf text = {0};
  mv_status status = fit_prompt(l, &n_digit, err);
  for (int run = -l->o->n_warmup; run < l->o->n_run && status == MV_OK; run++) {
    mv_result r = {0};
    status = write_prompt(run + l->o->n_warmup + 1, n_digit, &text, err);
    if (status == MV_OK) status = ask(l, mv_buf_view(&text), l->o->n_output, run >= 0, &r, err);
    if (status == MV_OK && run >= 0) note(l, &r);
    if (status == MV_OK && run == l->o->n_run - 1) {
      l->n_input = (int)r.n_prompt;
      l->n_output = (int)r.n_token;
      l->n_greedy = r.n_token < 8 ? (int)r.n_token : 8;
      memcpy(l->greedy_ids, r.token_ids, (size_t)l->n_greedy * sizeof *r.token_ids);
      if (l->o->write_ids) status = write_ids(l->o->write_ids, &r, err);
    }
    mv_result_free(&r);
  }
  mv_buf_free(&text);
  return status;
}

/* ---- figures ---- */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double mean_of(const sample *s) {
  double sum = 0;
  for (int i = 0; i < s->n; i++) sum += s->ms[i];
  return s->n ? sum / s->n : 0;
}

/* Linear interpolation between order statistics; the times are sorted. */
static double percentile(const sample *s, double p) {
  if (s->n == 0) return 0;
  double at = p / 100 * (s->n - 1);
  int i = (int)at;
  return i + 1 < s->n ? s->ms[i] + (at - i) * (s->ms[i + 1] - s->ms[i]) : s->ms[i];
}

static void print_table(const latency *l) {
  printf("%s, %s, %d tokens in, %d out, %d runs, loaded in %.0f ms\n\n",
         mv_model_device_name(l->model),
         mv_model_precision(l->model) == MV_PRECISION_BF16 ? "bf16" : "fp32", l->n_input,
         l->n_output, l->o->n_run, l->load_ms);
  printf("%-8s %12s %12s %12s %12s\n", "ms", "mean", "median", "p90", "p99");
  for (int i = 0; i < N_SAMPLE; i++) {
    const sample *s = &l->samples[i];
    printf("%-8s %12.3f %12.3f %12.3f %12.3f\n", s->name, mean_of(s), percentile(s, 50),
           percentile(s, 90), percentile(s, 99));
  }
}

static void json_sample(mv_json_writer *w, const sample *s) {
  static const struct {
    const char *name;
    double p;
  } points[] = {{"median", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}};
  char key[64];
  snprintf(key, sizeof key, "mean_%s_ms", s->name);
  mv_json_key(w, key);
  mv_json_double(w, mean_of(s));
  for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
    snprintf(key, sizeof key, "%s_%s_ms", points[i].name, s->name);
    mv_json_key(w, key);
    mv_json_double(w, percentile(s, points[i].p));
  }
}

static void json_field(mv_json_writer *w, const char *key, const char *text, int number) {
  mv_json_key(w, key);
  if (text)
    mv_json_text(w, text);
  else
    mv_json_int(w, number);
}

static mv_status print_json(const latency *l, mv_error *err) {
  mv_buf out = {0};
  mv_json_writer writer = {.out = &out}, *w = &writer;
  mv_json_begin_object(w);
  json_field(w, "engine", "medvision", 0);
  json_field(w, "version", MV_VERSION, 0);
  json_field(w, "device", mv_model_device_name(l->model), 0);
  json_field(w, "dtype", mv_model_precision(l->model) == MV_PRECISION_BF16 ? "bf16" : "fp32", 0);
  json_field(w, "threads", NULL, l->o->n_thread);
  json_field(w, "input_len", NULL, l->n_input);
  json_field(w, "output_len", NULL, l->n_output);
  json_field(w, "num_iters", NULL, l->o->n_run);
  json_field(w, "num_iters_warmup", NULL, l->o->n_warmup);
  mv_json_key(w, "load_ms");
  mv_json_double(w, l->load_ms);
  for (int i = 0; i < N_SAMPLE; i++) json_sample(w, &l->samples[i]);
  mv_json_key(w, "greedy_ids");
  mv_json_begin_array(w);
  for (int i = 0; i < l->n_greedy; i++) mv_json_int(w, l->greedy_ids[i]);
  mv_json_end_array(w);
  mv_json_end_object(w);
  mv_status status = mv_buf_status(&out, err);
  if (status == MV_OK) printf("%.*s\n", (int)out.len, mv_buf_view(&out).ptr);
  mv_buf_free(&out);
  return status;
}

/* ---- */

static mv_status open_all(latency *l, mv_error *err) {
  static const char *const names[N_SAMPLE] = {"ttft", "tpot", "itl", "e2el", "vision", "prefill"};
  mv_model_options options = {
      .dir = l->o->model, .device = l->o->device, .n_thread = l->o->n_thread};
  if (!precision_of(l->o->dtype, &options.precision))
    return mv_fail(err, MV_ERR_USAGE, "--dtype %s: expected auto, bf16 or fp32", l->o->dtype);
  for (int i = 0; i < N_SAMPLE; i++) {
    size_t n = (size_t)l->o->n_run * (size_t)(i == ITL ? l->o->n_output : 1);
    l->samples[i].name = names[i];
    l->samples[i].ms = mv_calloc(n, sizeof(double));
    if (!l->samples[i].ms) return mv_fail(err, MV_ERR_MEMORY, "no memory for %zu times", n);
  }
  double start = mv_now_ms();
  if (l->o->image) MV_TRY(mv_image_load(l->o->image, &l->image, err));
  MV_TRY(mv_model_open(&l->model, &options, err));
  MV_TRY(mv_engine_new(&l->engine, l->model, NULL, err));
  l->load_ms = mv_now_ms() - start;
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
  mv_status status = open_all(&l, &err);
  if (status == MV_OK) status = run_all(&l, &err);
  for (int i = 0; status == MV_OK && i < N_SAMPLE; i++)
    qsort(l.samples[i].ms, (size_t)l.samples[i].n, sizeof(double), by_value);
  if (status == MV_OK && o.json) status = print_json(&l, &err);
  if (status == MV_OK && !o.json) print_table(&l);
  for (int i = 0; i < N_SAMPLE; i++) mv_free(l.samples[i].ms);
  mv_engine_free(l.engine);
  mv_model_close(l.model);
  mv_image_free(&l.image);
  if (status == MV_OK) return 0;
  failed(&err);
  return status == MV_ERR_USAGE ? 2 : 1;
}
