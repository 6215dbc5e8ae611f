/* The text of an answer as it grows: decodes tokens, watches for stop texts, and releases only what
 * no stop text can take back. */
#ifndef MV_RUNTIME_STOPPER_H
#define MV_RUNTIME_STOPPER_H

#include "runtime/text.h"
#include "tokenizer/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise with mv_stopper_init; owns `text`. */
typedef struct mv_stopper {
  mv_decoder decoder;
  const mv_str *stop; /* borrows [n_stop] */
  int n_stop;
  mv_buf text;     /* everything decoded; cut before the stop text once found */
  size_t released; /* bytes of text already handed out */
  int stopped;     /* a stop text was found */
} mv_stopper;

void mv_stopper_init(mv_stopper *s, const mv_tokenizer *tok, const mv_str *stop, int n_stop);
void mv_stopper_free(mv_stopper *s);

/* Adds a token. Fills *fresh with text that may now be shown (borrowed, may be empty). */
mv_status mv_stopper_push(mv_stopper *s, int32_t id, mv_str *fresh, mv_error *err);
/* No more tokens: everything held back is released. */
mv_status mv_stopper_finish(mv_stopper *s, mv_str *fresh, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
