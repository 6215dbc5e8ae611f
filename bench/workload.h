/* Workloads: what is asked, in which order. A file has one kind of request a line (JSON, see
 * bench/workloads/README.md); requests take the kinds in turn, a few in a row about one picture.
 *
 * Prompts are digits, each a token of its own, so that any length can be made; pictures are noise.
 * Recorded kinds ask real questions instead, and their answers are forced (mv_engine_force), so
 * that speculation is measured as it would be with the model that gave them. Every request has its
 * own number in its text, and every group its own picture: nothing is found in a cache but what the
 * kind says is shared.
 */
#ifndef MV_BENCH_WORKLOAD_H
#define MV_BENCH_WORKLOAD_H

#include <stdint.h>

#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/text.h"
#include "vision/image.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_MAX_KINDS 64
#define BENCH_NUMBER_DIGITS 6 /* of a request's own number */

/* Questions with the answers a model gave to them. Zero-initialise; owns all but what the texts
 * borrow from it. */
typedef struct bench_recorded {
  mv_json_doc *docs; /* [n] */
  int n;
} bench_recorded;

/* A row's text under "system", "prompt" or "answer". */
mv_str bench_recorded_text(const bench_recorded *r, int row, const char *key);

typedef struct bench_kind {
  char name[64];
  int n_input, n_output;   /* tokens; the input with template, system text and picture */
  int n_system;            /* digits of a system text, the same for all; 0: the template's own */
  int n_shared;            /* digits the text begins with, the same for all of the kind */
  int side;                /* of the picture in pixels; 0: none */
  int share;               /* requests in a row about one picture */
  int text_first;          /* the text before the picture */
  int n_digit;             /* of the text: what brings the prompt to n_input (bench_kind_fit) */
  bench_recorded recorded; /* where it has rows: these are asked, and answered, in turn */
} bench_kind;

typedef struct bench_ask {
  int kind;
  unsigned picture; /* its seed but for the salt: the same for requests that share one */
  int number;       /* in its text, but for the salt */
} bench_ask;

/* Zero-initialise; owns `asks` and what is recorded. */
typedef struct bench_workload {
  bench_kind kinds[BENCH_MAX_KINDS];
  int n_kind;
  int shuffle;   /* requests in random order: those of a group are no longer neighbours */
  unsigned salt; /* added to every number and picture: what no run before has asked */
  bench_ask *asks;
  int n_ask;
} bench_workload;

/* Reads a file, or without one makes the single kind of n_input and n_output tokens. MV_ERR_FORMAT
 * names the line. */
mv_status bench_workload_read(bench_workload *w, const char *path, int n_input, int n_output,
                              mv_error *err);
/* The first n requests; `seed` is for shuffling within blocks of `block` requests (0: all), which
 * are measured together. */
mv_status bench_workload_plan(bench_workload *w, int n, int block, uint64_t seed, mv_error *err);
void bench_workload_free(bench_workload *w);

/* Sets n_digit where the prompt without text has n_empty tokens. MV_ERR_USAGE where that leaves no
 * room for the digits shared and the number. */
mv_status bench_kind_fit(bench_kind *kind, int n_empty, mv_error *err);

/* Appends a request's text; its system text. */
void bench_ask_text(const bench_workload *w, const bench_ask *ask, mv_buf *out);
void bench_kind_system(const bench_kind *kind, mv_buf *out);
/* A grey picture of noise that no other seed (picture + salt) gives. `image` is replaced. */
mv_status bench_draw(mv_image *image, int side, unsigned seed, mv_error *err);

/* A random number in [0, 1); state is any number, and changes. */
double bench_random(uint64_t *state);

#ifdef __cplusplus
}
#endif
#endif
