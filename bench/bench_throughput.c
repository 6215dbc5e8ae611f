/* medvision bench throughput: many requests at once, as fast as they go. */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/common.h"
#include "runtime/clock.h"
#include "runtime/file.h"
#include "runtime/memory.h"
#include "vision/image.h"

#define MAX_LINES 64 /* of a workload */

typedef struct throughput_options {
  const char *model, *random, *device, *dtype, *workload;
  int n_thread, n_request, max_batch, no_prefix_cache, speculate, json, help;
} throughput_options;

/* A line of the workload. */
typedef struct kind {
  mv_str name; /* borrows from the document */
  int n_input, n_output, side, share;
  int n_digit; /* text that brings the prompt to n_input */
} kind;

typedef struct throughput {
  const throughput_options *o;
  mv_json_doc *docs; /* owns: [n_kind] */
  mv_buf file;       /* owns */
  kind kinds[MAX_LINES];
  int n_kind;
  mv_model *model;
  mv_engine *engine;
  mv_image image; /* of the requests that share it; owns */
  mv_buf text;    /* owns */
  bench_sample ttft, e2el;
  int64_t n_input, n_output;
  double elapsed_ms;
} throughput;

static const char help_text[] =
    "usage: medvision bench throughput [--model DIR] [--workload FILE] [--num-prompts N]\n"
    "                                  [--max-batch N] [--no-prefix-cache] [--speculate]\n"
    "                                  [--device NAME] [--dtype NAME] [--threads N] [--json]\n"
    "\n"
    "Answers N requests at once and prints requests and tokens a second.\n"
    "\n"
    "  --model DIR        checkpoint (the embedded one)\n"
    "  --random-weights SHAPE  3b, 7b, 32b: made up, for measuring without that checkpoint\n"
    "  --workload FILE    kinds of requests, JSON lines (bench/workloads/README.md);\n"
    "                     left out: 1024 tokens in, 128 out\n"
    "  --num-prompts N    requests in all (16)\n"
    "  --max-batch N      requests running together (the engine's default)\n"
    "  --no-prefix-cache  compute every prompt whole\n"
    "  --speculate        with drafts: answers to digits are easily guessed, so not the default\n"
    "  --device NAME      auto, cpu, cuda[:N];  --dtype auto, bf16, fp32;  --threads N\n"
    "  --json             one JSON line, fields named as in vLLM's benchmarks\n";

static int parse(int argc, char **argv, throughput_options *o) {
  *o = (throughput_options){.device = "auto", .dtype = "auto", .n_request = 16};
  const bench_option options[] = {{"--model", &o->model, NULL, NULL},
                                  {"--random-weights", &o->random, NULL, NULL},
                                  {"--workload", &o->workload, NULL, NULL},
                                  {"--device", &o->device, NULL, NULL},
                                  {"--dtype", &o->dtype, NULL, NULL},
                                  {"--num-prompts", NULL, &o->n_request, NULL},
                                  {"--max-batch", NULL, &o->max_batch, NULL},
                                  {"--threads", NULL, &o->n_thread, NULL},
                                  {"--no-prefix-cache", NULL, NULL, &o->no_prefix_cache},
                                  {"--speculate", NULL, NULL, &o->speculate},
                                  {"--json", NULL, NULL, &o->json},
                                  {"--help", NULL, NULL, &o->help},
                                  {"-h", NULL, NULL, &o->help}};
  return bench_parse("throughput", argc, argv, options, sizeof options / sizeof *options);
}

/* ---- workload ---- */

/* A whole number in [low, high] under `key`; `fallback` when there is none. -1: not such a number.
 */
static int number(const mv_json *line, const char *key, int fallback, int low, int high) {
  const mv_json *value = mv_json_get(line, key);
  int64_t n = fallback;
  if (value && !mv_json_to_int(value, &n)) return -1;
  return n < low || n > high ? -1 : (int)n;
}

static mv_status read_kind(throughput *t, mv_str text, mv_error *err) {
  mv_json_doc *doc = &t->docs[t->n_kind];
  kind *k = &t->kinds[t->n_kind];
  MV_TRY(mv_json_parse(doc, text, err));
  t->n_kind++;
  const mv_json *name = mv_json_get(doc->root, "name");
  if (!mv_json_is(name, MV_JSON_STRING)) return mv_fail(err, MV_ERR_FORMAT, "a kind has no name");
  k->name = name->text;
  k->n_input = number(doc->root, "input_len", -1, 1, 1000000);
  k->n_output = number(doc->root, "output_len", -1, 1, 1000000);
  k->side = number(doc->root, "image", 0, 0, 8192);
  k->share = number(doc->root, "share", 1, 1, 1000000);
  if (k->n_input < 0 || k->n_output < 0 || k->side < 0 || k->share < 0)
    return mv_fail(err, MV_ERR_FORMAT, "%.*s: lengths, image and share are whole numbers",
                   (int)k->name.len, k->name.ptr);
  return MV_OK;
}

static mv_status read_workload(throughput *t, mv_error *err) {
  t->docs = mv_calloc(MAX_LINES, sizeof *t->docs);
  if (!t->docs) return mv_fail(err, MV_ERR_MEMORY, "no memory for a workload");
  if (!t->o->workload) {
    t->kinds[t->n_kind++] = (kind){mv_str_of("fixed"), 1024, 128, 0, 1, 0};
    return MV_OK;
  }
  MV_TRY(mv_file_read(t->o->workload, 1 << 20, &t->file, err));
  mv_str rest = mv_buf_view(&t->file);
  while (rest.len) {
    const char *end = memchr(rest.ptr, '\n', rest.len);
    size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
    mv_str line = {rest.ptr, n};
    rest.ptr += n + (end != NULL);
    rest.len -= n + (end != NULL);
    if (line.len == 0) continue;
    if (t->n_kind == MAX_LINES)
      return mv_fail(err, MV_ERR_FORMAT, "%s: more than %d kinds", t->o->workload, MAX_LINES);
    MV_TRY(read_kind(t, line, err));
  }
  if (t->n_kind) return MV_OK;
  return mv_fail(err, MV_ERR_FORMAT, "%s: no kind of request", t->o->workload);
}

/* Noise that nobody else's picture has. */
static mv_status draw(mv_image *image, int side, unsigned seed, mv_error *err) {
  mv_image_free(image);
  MV_TRY(mv_image_init(image, side, side, 1, err));
  unsigned state = seed * 2654435761u + 1;
  for (size_t i = 0; i < (size_t)side * (size_t)side; i++) {
    state = state * 1664525u + 1013904223u;
    image->px[i] = (uint8_t)(state >> 24);
  }
  return MV_OK;
}

/* ---- requests ---- */

static void base_request(const throughput *t, const kind *k, mv_request *q) {
  mv_request_init(q);
  q->family = k->name;
  q->max_new_tokens = k->n_output;
  q->ignore_eos = 1;
  q->images = &t->image;
  q->n_image = k->side > 0;
}

/* Text lengths of all kinds; the requests that find them also warm up. */
static mv_status fit(throughput *t, mv_error *err) {
  for (int i = 0; i < t->n_kind; i++) {
    mv_request q;
    if (t->kinds[i].side) MV_TRY(draw(&t->image, t->kinds[i].side, 1u << 30, err));
    base_request(t, &t->kinds[i], &q);
    MV_TRY(bench_prompt_digits(t->engine, &q, t->kinds[i].n_input, &t->kinds[i].n_digit, err));
  }
  return MV_OK;
}

static mv_status submit_all(throughput *t, mv_error *err) {
  int n_group = 0, left = 0;
  const kind *k = NULL;
  for (int i = 0; i < t->o->n_request; i++, left--) {
    if (left == 0) {
      k = &t->kinds[n_group % t->n_kind];
      left = k->share;
      if (k->side) MV_TRY(draw(&t->image, k->side, (unsigned)n_group, err));
      n_group++;
    }
    mv_request q;
    mv_ticket ticket;
    base_request(t, k, &q);
    MV_TRY(bench_prompt(i, k->n_digit, &t->text, err));
    q.prompt = mv_buf_view(&t->text);
    MV_TRY(mv_engine_submit(t->engine, &q, &ticket, err));
  }
  return MV_OK;
}

static mv_status take_finished(throughput *t, mv_error *err) {
  mv_result r;
  mv_ticket any = 0;
  while (mv_engine_poll(t->engine, &any, &r, err)) {
    if (r.status != MV_OK) return r.status;
    bench_sample_add(&t->ttft, r.timings.ttft_ms);
    bench_sample_add(&t->e2el, r.timings.total_ms);
    t->n_input += (int64_t)r.n_prompt;
    t->n_output += (int64_t)r.n_token;
    mv_result_free(&r);
    any = 0;
  }
  return MV_OK;
}

static mv_status run_all(throughput *t, mv_error *err) {
  size_t n_left = 1;
  MV_TRY(fit(t, err));
  double start = mv_now_ms();
  MV_TRY(submit_all(t, err));
  while (n_left) {
    MV_TRY(mv_engine_step(t->engine, &n_left, err));
    MV_TRY(take_finished(t, err));
  }
  t->elapsed_ms = mv_now_ms() - start;
  bench_sample_sort(&t->ttft);
  bench_sample_sort(&t->e2el);
  return MV_OK;
}

/* ---- figures ---- */

static double per_second(const throughput *t, double n) { return 1e3 * n / t->elapsed_ms; }

static void print_table(const throughput *t, const mv_engine_stats *s) {
  printf("%s, %s, %d requests in %.2f s\n\n", mv_model_device_name(t->model),
         mv_model_precision(t->model) == MV_PRECISION_BF16 ? "bf16" : "fp32", t->ttft.n,
         t->elapsed_ms / 1e3);
  printf("requests/s       %12.3f\n", per_second(t, t->ttft.n));
  printf("input tokens/s   %12.1f   %.0f %% of them found in the prefix cache\n",
         per_second(t, (double)t->n_input),
         s->n_prompt_token ? 100.0 * (double)s->n_cached_token / (double)s->n_prompt_token : 0.0);
  printf("output tokens/s  %12.1f   %.2f tokens a row of the steps that gave them\n",
         per_second(t, (double)t->n_output),
         s->n_verify ? (double)s->n_token / (double)s->n_verify : 0.0);
  printf("images           %12llu   %llu through the vision tower\n\n",
         (unsigned long long)s->n_image, (unsigned long long)s->n_image_seen);
  const bench_sample both[] = {t->ttft, t->e2el};
  bench_samples_print(both, 2);
}

static mv_status print_json(const throughput *t, const mv_engine_stats *s, mv_error *err) {
  mv_buf out = {0};
  mv_json_writer writer = {.out = &out}, *w = &writer;
  mv_json_begin_object(w);
  bench_json_head(w, t->model);
  bench_json_text(w, "workload", t->o->workload ? t->o->workload : "1024 in, 128 out");
  bench_json_int(w, "threads", t->o->n_thread);
  bench_json_int(w, "completed", t->ttft.n);
  bench_json_double(w, "duration", t->elapsed_ms / 1e3);
  bench_json_int(w, "total_input_tokens", t->n_input);
  bench_json_int(w, "total_output_tokens", t->n_output);
  bench_json_double(w, "request_throughput", per_second(t, t->ttft.n));
  bench_json_double(w, "output_throughput", per_second(t, (double)t->n_output));
  bench_json_double(w, "total_token_throughput", per_second(t, (double)(t->n_input + t->n_output)));
  bench_json_int(w, "cached_tokens", (int64_t)s->n_cached_token);
  bench_json_int(w, "images", (int64_t)s->n_image);
  bench_json_int(w, "images_seen", (int64_t)s->n_image_seen);
  bench_json_int(w, "drafted_tokens", (int64_t)s->n_drafted);
  bench_json_int(w, "accepted_tokens", (int64_t)s->n_accepted);
  bench_json_int(w, "steps", (int64_t)s->n_step);
  bench_sample_json(w, &t->ttft);
  bench_sample_json(w, &t->e2el);
  mv_json_end_object(w);
  return bench_json_print(&out, err);
}

/* ---- */

static mv_status measure(throughput *t, mv_error *err) {
  const throughput_options *o = t->o;
  mv_model_options model = {
      .dir = o->model, .random = o->random, .device = o->device, .n_thread = o->n_thread};
  mv_engine_options engine = {.max_batch = o->max_batch,
                              .no_prefix_cache = o->no_prefix_cache,
                              .no_speculation = !o->speculate};
  mv_engine_stats stats;
  if (o->n_request < 1) return mv_fail(err, MV_ERR_USAGE, "--num-prompts: expected 1 or more");
  MV_TRY(bench_precision(o->dtype, &model.precision, err));
  MV_TRY(read_workload(t, err));
  MV_TRY(bench_sample_init(&t->ttft, "ttft", o->n_request, err));
  MV_TRY(bench_sample_init(&t->e2el, "e2el", o->n_request, err));
  MV_TRY(mv_model_open(&t->model, &model, err));
  MV_TRY(mv_engine_new(&t->engine, t->model, &engine, err));
  MV_TRY(run_all(t, err));
  mv_engine_get_stats(t->engine, &stats);
  if (o->json) return print_json(t, &stats, err);
  print_table(t, &stats);
  return MV_OK;
}

int mv_bench_throughput_main(int argc, char **argv, const char *default_model) {
  throughput_options o;
  mv_error err = {0};
  int code = parse(argc, argv, &o);
  if (code) return code;
  if (o.help) {
    fputs(help_text, stdout);
    return 0;
  }
  if (!o.model) o.model = default_model;
  throughput t = {.o = &o};
  if (measure(&t, &err) != MV_OK) code = bench_failed("throughput", &err);
  bench_sample_free(&t.ttft);
  bench_sample_free(&t.e2el);
  mv_engine_free(t.engine);
  mv_model_close(t.model);
  mv_image_free(&t.image);
  mv_buf_free(&t.text);
  for (int i = 0; t.docs && i < t.n_kind; i++) mv_json_doc_free(&t.docs[i]);
  mv_free(t.docs);
  mv_buf_free(&t.file);
  return code;
}
