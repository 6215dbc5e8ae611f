/* The client's reading of a streamed answer: server-sent events of OpenAI's API, timed as they
 * come.
 *
 * A chunk counts when it brings text (chat: delta.content or a reasoning text; completions: text).
 * TTFT and the gaps between texts are taken from those, as vLLM's client does; chunks that bring a
 * role or usage alone are no tokens. Pure: bytes and times in, figures out.
 */
#ifndef MV_BENCH_STREAM_H
#define MV_BENCH_STREAM_H

#include <stdint.h>

#include "bench/sample.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_MAX_EVENT_BYTES ((size_t)4 << 20)

/* Zero-initialise; free with bench_stream_free. */
typedef struct bench_stream {
  mv_buf line;                         /* what there is of it */
  double first_ms, last_ms;            /* when text came */
  bench_sample gaps;                   /* between texts */
  int n_text;                          /* chunks with text */
  int has_usage, is_done;              /* "usage" was told; "[DONE]" came */
  int64_t n_input, n_output, n_cached; /* of usage */
  char error[200];                     /* the first message of an "error" event */
} bench_stream;

/* Takes bytes as they come, at `now_ms`. MV_ERR_FORMAT for an event that is not JSON or longer than
 * the limit, MV_ERR_MEMORY. */
mv_status bench_stream_feed(bench_stream *s, mv_str bytes, double now_ms, mv_error *err);
/* The message of {"error": {"message": ...}} or {"error": ...}, cut to fit; else `text` itself. */
void bench_stream_message(mv_str text, char *out, size_t size);
void bench_stream_free(bench_stream *s);

#ifdef __cplusplus
}
#endif
#endif
