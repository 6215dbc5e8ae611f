#include "runtime/stopper.h"

#include <string.h>

void mv_stopper_init(mv_stopper *s, const mv_tokenizer *tok, const mv_str *stop, int n_stop) {
  memset(s, 0, sizeof *s);
  mv_decoder_init(&s->decoder, tok, MV_DECODE_SKIP_SPECIAL);
  s->stop = stop;
  s->n_stop = n_stop;
}

void mv_stopper_free(mv_stopper *s) { mv_buf_free(&s->text); }

/* Cuts the text before the first stop text at or after `from`. */
static void look_for_stop(mv_stopper *s, size_t from) {
  for (size_t at = from; at < s->text.len && !s->stopped; at++)
    for (int i = 0; i < s->n_stop; i++) {
      mv_str stop = s->stop[i];
      if (stop.len == 0 || stop.len > s->text.len - at) continue;
      if (memcmp(s->text.ptr + at, stop.ptr, stop.len) != 0) continue;
      s->text.len = at;
      s->text.ptr[at] = 0;
      s->stopped = 1;
      return;
    }
}

/* Bytes at the end that are the beginning of some stop text. */
static size_t held_back(const mv_stopper *s) {
  size_t longest = 0;
  for (int i = 0; i < s->n_stop; i++)
    for (size_t n = s->stop[i].len; n > longest; n--)
      if (n <= s->text.len && memcmp(s->text.ptr + s->text.len - n, s->stop[i].ptr, n) == 0)
        longest = n;
  return longest;
}

static mv_str release(mv_stopper *s, size_t hold) {
  size_t end = s->text.len - hold;
  mv_str fresh = {s->text.ptr ? s->text.ptr + s->released : "", 0};
  if (end > s->released) {
    fresh.len = end - s->released;
    s->released = end;
  }
  return fresh;
}

mv_status mv_stopper_push(mv_stopper *s, int32_t id, mv_str *fresh, mv_error *err) {
  MV_TRY(mv_decoder_push(&s->decoder, id, &s->text, err));
  look_for_stop(s, s->released);
  *fresh = release(s, s->stopped ? 0 : held_back(s));
  return MV_OK;
}

mv_status mv_stopper_finish(mv_stopper *s, mv_str *fresh, mv_error *err) {
  if (!s->stopped) MV_TRY(mv_decoder_flush(&s->decoder, &s->text, err));
  look_for_stop(s, s->released);
  *fresh = release(s, 0);
  return MV_OK;
}
