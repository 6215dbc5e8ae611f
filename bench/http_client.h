/* Many HTTP requests from one thread, over libcurl's multi interface. */
#ifndef MV_BENCH_HTTP_CLIENT_H
#define MV_BENCH_HTTP_CLIENT_H

#include "runtime/error.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bench_http bench_http;

/* One request. The caller owns it and fills the first part; it may go once it has ended. */
typedef struct bench_http_call {
  const char *url;
  mv_str body; /* of a POST, borrowed until the end; empty: a GET */
  /* Bytes of the answer as they come, at `now_ms`; not MV_OK gives the call up. */
  mv_status (*on_bytes)(void *user, int status, mv_str bytes, double now_ms, mv_error *err);
  void *user;

  void *handle; /* owns while it runs */
  int status;   /* HTTP's; 0: no answer */
  double start_ms, end_ms;
  mv_error err; /* why it failed: code MV_OK where it did not */
} bench_http_call;

/* `api_key` may be NULL. A call ends with a failure after timeout_ms. Returns in *out (free with
 * bench_http_free). */
mv_status bench_http_new(bench_http **out, const char *api_key, long timeout_ms, mv_error *err);
void bench_http_free(bench_http *http); /* accepts NULL; after all its calls */

/* Sends; never waits. */
mv_status bench_http_start(bench_http *http, bench_http_call *call, mv_error *err);
/* Works on all calls, for at most wait_ms where there is nothing to do. Returns in *ended a call
 * that has ended, or NULL: ask until it is. */
mv_status bench_http_step(bench_http *http, double wait_ms, bench_http_call **ended, mv_error *err);
/* Gives a call up; one that does not run is left alone. */
void bench_http_cancel(bench_http *http, bench_http_call *call);
/* One call from start to end. */
mv_status bench_http_do(bench_http *http, bench_http_call *call, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
