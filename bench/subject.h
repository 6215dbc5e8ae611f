/* The engine under test: what `bench latency` and `bench throughput` share. Both ask the requests
 * of a workload, some together, and differ in how many those are and what is told of it.
 *
 *   bench_subject_open    model, engine, workload; finds the length of every text, which warms up
 *   bench_subject_ask     a stretch of requests together, start to end; adds to the samples
 *   bench_subject_head, _figures   the JSON that both have
 */
#ifndef MV_BENCH_SUBJECT_H
#define MV_BENCH_SUBJECT_H

#include "bench/gpu_meter.h"
#include "bench/options.h"
#include "bench/sample.h"
#include "bench/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bench_subject_options {
  const char *model, *random, *device, *dtype, *workload, *image, *compare;
  int n_thread, n_input, n_output, max_batch, no_prefix_cache, any_order, speculate, seed;
  int json, help;
  int argc; /* what was typed */
  char **argv;
} bench_subject_options;

/* The rows of the table of options that these are, and their defaults' text for --help. */
#define BENCH_SUBJECT_OPTIONS(o)                                                                  \
  {"--model", BENCH_TEXT(&(o)->model)}, {"--random-weights", BENCH_TEXT(&(o)->random)},           \
      {"--device", BENCH_TEXT(&(o)->device)}, {"--dtype", BENCH_TEXT(&(o)->dtype)},               \
      {"--threads", BENCH_COUNT(&(o)->n_thread)}, {"--workload", BENCH_TEXT(&(o)->workload)},     \
      {"--input-len", BENCH_COUNT(&(o)->n_input)}, {"--output-len", BENCH_COUNT(&(o)->n_output)}, \
      {"--image", BENCH_TEXT(&(o)->image)}, {"--seed", BENCH_COUNT(&(o)->seed)},                  \
      {"--no-prefix-cache", BENCH_FLAG(&(o)->no_prefix_cache)},                                   \
      {"--any-order", BENCH_FLAG(&(o)->any_order)}, {"--speculate", BENCH_FLAG(&(o)->speculate)}, \
      {"--compare", BENCH_TEXT(&(o)->compare)}, {"--json", BENCH_FLAG(&(o)->json)},               \
      {"--help", BENCH_FLAG(&(o)->help)}, {                                                       \
    "-h", BENCH_FLAG(&(o)->help)                                                                  \
  }

#define BENCH_SUBJECT_HELP                                                                        \
  "  --model DIR       checkpoint (the embedded one)\n"                                           \
  "  --random-weights SHAPE  3b, 7b, 32b: made up, for measuring without that checkpoint\n"       \
  "  --workload FILE   kinds of requests (bench/workloads/README.md), in place of the next two\n" \
  "  --input-len N     tokens of a prompt, template included; --output-len N of an answer: end\n" \
  "                    tokens are ignored\n"                                                      \
  "  --image FILE      this picture in every request, before the text\n"                          \
  "  --device NAME     auto, cpu, cuda[:N];  --dtype auto, bf16, fp32;  --threads N\n"            \
  "  --no-prefix-cache compute every prompt whole\n"                                              \
  "  --any-order       the order of sums that is fastest for a step; the last bits move\n"        \
  "  --speculate       with drafts: answers to digits are easily guessed, so not the default\n"   \
  "  --seed N          of the order of shuffled workloads (0)\n"                                  \
  "  --compare FILE    exit 1 where a figure is worse than in that --json output by more than\n"  \
  "                    both runs' spread (bench/README.md)\n"                                     \
  "  --json            JSON lines, fields named as in vLLM's benchmarks\n"

enum {
  BENCH_TTFT, /* submit to first token */
  BENCH_TPOT, /* from there, a token */
  BENCH_ITL,  /* between texts */
  BENCH_E2EL,
  BENCH_QUEUE, /* stages, which follow one another: waiting ... */
  BENCH_IMAGE, /* ... resize and patches, then the vision tower */
  BENCH_VISION,
  BENCH_PREFILL,
  BENCH_DECODE,
  BENCH_N_SAMPLE
};

/* When a request's text came last. */
typedef struct bench_watch {
  bench_sample *itl; /* borrows; NULL while warming up */
  double last_ms;    /* 0: no text yet */
} bench_watch;

typedef struct bench_subject {
  const bench_subject_options *o; /* borrows */
  bench_workload workload;
  mv_model *model;
  mv_engine *engine;
  mv_image image;       /* of the requests that share it; owns */
  unsigned picture;     /* which that is */
  int has_picture;      /* drawn, or --image */
  bench_watch *watches; /* [n_watch], owns */
  int n_watch;
  uint64_t *answers;      /* [workload.n_ask] hash of the ids that a request was answered with, 0:
                             none yet; owns */
  mv_ticket first_ticket; /* of the requests being asked */
  bench_gpu_meter meter;
  double load_ms;

  /* since bench_subject_reset */
  bench_sample samples[BENCH_N_SAMPLE];
  int64_t n_done, n_input, n_output, n_step; /* steps that gave a request tokens */
  double busy_ms;                            /* while requests were at work, warm-up left out */
  double cpu_ms;                             /* of all threads meanwhile */
  mv_engine_stats was;                       /* the engine's counts at the reset */
  mv_result last;                            /* owns */
} bench_subject;

/* Opens what the options say, and plans n_ask requests, shuffled in blocks. */
mv_status bench_subject_open(bench_subject *s, const bench_subject_options *o, int n_ask, int block,
                             mv_error *err);
void bench_subject_close(bench_subject *s);

/* A command that measures a subject: its name and help, and what fills json with its figures. */
typedef struct bench_run {
  const char *name, *help;
  mv_status (*measure)(void *user, mv_buf *json, mv_error *err);
  void *user;
  int argc;
  char **argv;
} bench_run;

/* The rest of its main, options being parsed: help, or measuring, comparing, closing. Returns the
 * exit status. */
int bench_subject_run(const bench_run *run, bench_subject *s, bench_subject_options *o,
                      const char *default_model);

void bench_subject_reset(bench_subject *s);
/* A new engine in place of the last one, and a reset. */
mv_status bench_subject_restart(bench_subject *s, const mv_engine_options *options, mv_error *err);
/* Asks requests [first, first + n) together and waits for all. `measured`: adds to the samples.
 * MV_ERR_DEVICE where a request asked before is answered otherwise than then. */
mv_status bench_subject_ask(bench_subject *s, int first, int n, int measured, mv_error *err);

/* Engine, version, model, device, dtype, threads, workload: how every line begins. */
void bench_subject_head(mv_json_writer *w, const char *bench, const bench_subject *s);
/* Counts, rates, samples, share of the time that CPU and GPU were busy, energy, memory. */
void bench_subject_figures(mv_json_writer *w, const bench_subject *s);
/* The counts of the engine since the reset. */
mv_engine_stats bench_subject_counts(const bench_subject *s);

#ifdef __cplusplus
}
#endif
#endif
