/* An answer text to numbers, by the benchmark's rule.
 *
 * The rule is a Python regular expression and what it implies, quirks included: numbers count only
 * inside the first <answer>...</answer>; the last k of them are taken; "24,110" is one number,
 * ".5" is 5, "3-4" is 3 and -4; a decimal digit of any script is a digit. See tests/data/tasks.
 */
#ifndef MV_TASKS_PARSE_H
#define MV_TASKS_PARSE_H

#include <stdint.h>

#include "runtime/error.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The text between the first <answer> that is closed and its </answer>; 0 when there is none. */
int mv_answer_inner(mv_str text, mv_str *inner);

/* Appends the last k numbers of `text`, without their group commas, joined by ","; nothing when
 * there are fewer than k (or k < 1). */
void mv_numbers_last(mv_str text, int k, mv_buf *out);

/* Both together: the benchmark's "answer" string. */
void mv_answer_numbers(mv_str text, int k, mv_buf *out);

/* The value of the `index`-th piece of such a string as Python's float() reads it. MV_ERR_FORMAT
 * when there is no such piece. The benchmark rounds it once more, to (float)*value; what that makes
 * infinite is infinite here already. */
mv_status mv_answer_value(mv_str answer, int index, double *value, mv_error *err);

/* 0..9 for a decimal digit of any script (Unicode category Nd), -1 otherwise. */
int mv_unicode_digit(uint32_t cp);

#ifdef __cplusplus
}
#endif
#endif
