/* Guessing tokens ahead, to be checked by the forward pass: what is wrong costs a row, never a
 * token.
 *
 * Answers of one family (a task) are alike but for names and numbers. A pattern is a prompt with
 * its answer, taught or kept from a finished request. For a new prompt it becomes a script:
 *
 *   pattern  prompt  ... enclosing the LESION, ... pixel size 0.433 ...
 *            answer  ... of the LESION: (0.512, 0.274) ... * 504 * 0.433 ... (0.512 - ...
 *   script           ... of the KIDNEY: (0.###, 0.###) ... * 504 * 0.711 ... (0.<1st ###> - ...
 *
 * Where the two prompts differ, the pattern's words are replaced by the new prompt's; runs of
 * digits are slots: a value of the prompt, a copy of an earlier run, computed from the numbers
 * before (draft_number.h), or free. A script is followed token by token; where the answer leaves
 * it, it is taken up again at the last few tokens that it knows. Drafts come from the script
 * followed longest; without one, from an earlier occurrence of the last tokens in the request's own
 * text.
 *
 * Tokens a step on the real model's recorded answers (rows computed a token), tests/tasks/
 * test_replay.c; the second line with branches (runtime/branch.h) where a free digit comes next:
 *
 *                       drafts of 16   of 32          of 64
 *   scripts             9.42 (1.02)    11.78 (1.03)   13.60 (1.03)
 *   and digits tried    11.06 (1.31)   14.82 (1.33)   17.86 (1.34)
 *
 * Without computed numbers these are 8.81, 10.62 and 12.25 (1.02, 1.03, 1.03), with digits tried
 * 10.35, 14.23 and 16.62 (1.36, 1.36, 1.38). The model's arithmetic is rough: of 38 lengths 36
 * have the first digit as computed, 23 three characters ("45."), one all.
 */
#ifndef MV_RUNTIME_DRAFT_H
#define MV_RUNTIME_DRAFT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"
#include "runtime/text.h"
#include "tokenizer/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_DIGITS 10
#define MV_DRAFT_FAMILIES 16
#define MV_DRAFT_PATTERNS 8  /* of a family */
#define MV_DRAFT_TAUGHT 4    /* of which are taught: they stay */
#define MV_DRAFT_SCRIPTS 4   /* of a request */
#define MV_DRAFT_ANSWER 2048 /* longest answer kept, tokens */
#define MV_DRAFT_PROMPT 4096
#define MV_DRAFT_DIFF 512 /* longest part of two prompts that is aligned */
#define MV_DRAFT_RUNS 256 /* runs of digits of a script */

/* A step of a script: a token, or a run of digits. */
typedef struct mv_script_step {
  int32_t token; /* -1: digits */
  int32_t link;  /* digits: >= 0 a copy of that run; -1 free; <= -2 the prompt's from ~(link + 1) */
  int32_t n;     /* digits: how many, as far as known */
  int32_t guess; /* free: a single digit to try, -1 none */
  int formula;   /* free: what the number is computed by (draft_number.h), 0 nothing */
} mv_script_step;

/* One request's script and how far its answer has followed it. */
typedef struct mv_script {
  mv_script_step *steps; /* [n_step] */
  int n_step, at;        /* at: the next step; n_step: left for good */
  int n_digit;           /* of the run at `at` that have come */
  int run;               /* ordinal of the next run */
  int followed;          /* tokens since it was last taken up; 0: not followed */
  int pattern;           /* of the family */
  int32_t run0[MV_DRAFT_RUNS], run_n[MV_DRAFT_RUNS]; /* runs of this answer; n 0: unknown */
} mv_script;

/* What one running request keeps. */
typedef struct mv_draft_state {
  mv_script scripts[MV_DRAFT_SCRIPTS];
  int n_script, family; /* -1 none */
  size_t n_seen;        /* tokens of the answer that scripts have followed */
  int length;           /* of the next draft */
  int source;           /* of the last draft: 0 a script, 1 the context */
  int n_miss, pause;    /* drafts in a row with nothing right; steps until the next */
} mv_draft_state;

/* Tokens guessed for one step. */
typedef struct mv_draft {
  int32_t *ids; /* [n], room for max; borrows */
  int max, n;
  int digit_next; /* after them comes a digit that nobody can guess */
} mv_draft;

typedef struct mv_pattern {
  int32_t *prompt, *answer; /* owned; room for MV_DRAFT_PROMPT, MV_DRAFT_ANSWER */
  int n_prompt, n_answer;
  int taught;
  double worth; /* tokens it gave lately */
} mv_pattern;

typedef struct mv_family {
  char name[32];
  int n_pattern;
  mv_pattern patterns[MV_DRAFT_PATTERNS];
} mv_family;

/* Zero-initialise; owns all. */
typedef struct mv_drafter {
  const mv_tokenizer *tok;   /* borrows */
  int32_t digits[MV_DIGITS]; /* ids of "0" ... "9" */
  int32_t point;             /* of "." */
  int32_t image_token_id;
  mv_family families[MV_DRAFT_FAMILIES];
  int n_family;
  mv_draft_state *states; /* [n_state] */
  mv_script_step *steps;  /* [n_state, MV_DRAFT_SCRIPTS, MV_DRAFT_ANSWER] */
  unsigned char *in_use;
  int n_state, max_draft;
  double rate[2];  /* share of drafts that were right lately, by source */
  int is_tried[2]; /* whether it is known of any draft, by source */
  unsigned n_probe;
  double
      floor; /* chance of being right that a draft must have; the caller's, by how full steps are */
  uint16_t *table; /* alignment scratch */
  int32_t *words;  /* the prompt at hand without its image, scratch */
} mv_drafter;

mv_status mv_drafter_init(mv_drafter *d, const mv_tokenizer *tok, int32_t image_token_id,
                          int n_state, int max_draft, mv_error *err);
void mv_drafter_free(mv_drafter *d);

/* Keeps a prompt and its answer as a pattern of a family. Out of memory or too long: it is not. */
void mv_drafter_learn(mv_drafter *d, mv_str family, const int32_t *prompt, size_t n_prompt,
                      const int32_t *answer, size_t n_answer, int taught);

/* The same for one that was kept before, with the worth it had. */
void mv_drafter_keep(mv_drafter *d, mv_str family, const int32_t *prompt, size_t n_prompt,
                     const int32_t *answer, size_t n_answer, double worth);

/* Appends all patterns that were not taught (draft_bank.c). */
void mv_drafter_write(const mv_drafter *d, int n_vocab, mv_buf *out);
/* Keeps the patterns of such a text, or of none when any is wrong: MV_ERR_FORMAT with the line. */
mv_status mv_drafter_read(mv_drafter *d, int n_vocab, mv_str text, mv_error *err);

/* A request starts; returns its state's number, -1 when all are in use. */
int mv_drafter_start(mv_drafter *d, mv_str family, const int32_t *prompt, size_t n_prompt);
void mv_drafter_stop(mv_drafter *d, int state);

/* Fills draft->ids with up to max tokens that may follow the answer. */
void mv_drafter_next(mv_drafter *d, int state, const int32_t *prompt, size_t n_prompt,
                     const int32_t *answer, size_t n_answer, mv_draft *draft);
/* Tells how many of the last n_draft were right. */
void mv_drafter_told(mv_drafter *d, int state, int n_draft, int n_right);

#ifdef __cplusplus
}
#endif
#endif
