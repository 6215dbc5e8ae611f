/* Numbers that are computed from the numbers before them, as far as drafts can tell.
 *
 *   pattern   ... = sqrt(((0.359 - 0.137) * 504 * 0.926)^2 + ((0.461 - 0.248) * ...)^2) = 142.622
 *   formula   the length of ((j - i) * h * g, (e - d) * c * b), of the numbers a, b, c ... before
 *             it, a the last (an exponent too is a number): 142.622, which is what the pattern has
 *   request   ... = sqrt(((0.839 - 0.633) * 504 * 0.433)^2 + ((0.407 - 0.374) * ...)^2) = 45.###
 *
 * Models work roughly: of the new number only those digits are guessed that a small error in it
 * would leave as they are.
 */
#ifndef MV_RUNTIME_DRAFT_NUMBER_H
#define MV_RUNTIME_DRAFT_NUMBER_H

#include "runtime/draft.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A text in two parts: first[0..n_first), then the rest of n tokens. */
typedef struct mv_draft_text {
  const int32_t *first, *then; /* borrows */
  int n_first, n;
} mv_draft_text;

#define MV_NUMBER_TEXT 32

typedef struct mv_number_guess {
  char text[MV_NUMBER_TEXT]; /* "45.3553" */
  int n_whole;               /* digits before the point */
  int n_certain;             /* characters worth a draft; of those that have come, the right ones */
  int n_come;
} mv_number_guess;

/* What the token is as a digit, -1 no digit. */
int mv_draft_digit(const mv_drafter *d, int32_t id);
/* Whether the digits at ids[at] are the decimals of a number. */
int mv_draft_decimals(const mv_drafter *d, const int32_t *ids, int at);
/* Tokens of the decimal number that begins at ids[at]; 0 none, or one too short. */
int mv_number_length(const mv_drafter *d, const int32_t *ids, int at, int n);
/* The formula that such a number agrees with; 0 none. */
int mv_number_formula(const mv_drafter *d, const int32_t *ids, int at, int n);
/* Fills *out with the number that the text ends in, or that comes next. Returns 0 when it cannot be
 * computed. */
int mv_number_guess_at(const mv_drafter *d, int formula, mv_draft_text text, mv_number_guess *out);

#ifdef __cplusplus
}
#endif
#endif
