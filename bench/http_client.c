#include "bench/http_client.h"

#include <curl/curl.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/memory.h"

#define LONGEST_WAIT_MS 1000

struct bench_http {
  CURLM *multi;
  struct curl_slist *headers;
  long timeout_ms;
};

static mv_status add_header(bench_http *http, const char *line, mv_error *err) {
  struct curl_slist *longer = curl_slist_append(http->headers, line);
  if (!longer) return mv_fail(err, MV_ERR_MEMORY, "no memory for a request's headers");
  http->headers = longer;
  return MV_OK;
}

static mv_status add_headers(bench_http *http, const char *api_key, mv_error *err) {
  mv_buf line = {0};
  MV_TRY(add_header(http, "Content-Type: application/json", err));
  MV_TRY(add_header(http, "Expect:", err)); /* a body is sent at once, however long */
  if (!api_key) return MV_OK;
  mv_buf_printf(&line, "Authorization: Bearer %s", api_key);
  mv_status status = mv_buf_status(&line, err);
  if (status == MV_OK) status = add_header(http, line.ptr, err);
  mv_buf_free(&line);
  return status;
}

mv_status bench_http_new(bench_http **out, const char *api_key, long timeout_ms, mv_error *err) {
  bench_http *http = mv_calloc(1, sizeof *http);
  *out = http;
  if (!http) return mv_fail(err, MV_ERR_MEMORY, "no memory for an HTTP client");
  http->timeout_ms = timeout_ms;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  http->multi = curl_multi_init();
  if (!http->multi) return mv_fail(err, MV_ERR_MEMORY, "no memory for an HTTP client");
  return add_headers(http, api_key, err);
}

void bench_http_free(bench_http *http) {
  if (!http) return;
  curl_multi_cleanup(http->multi);
  curl_slist_free_all(http->headers);
  curl_global_cleanup();
  mv_free(http);
}

static size_t on_write(char *bytes, size_t size, size_t n, void *user) {
  bench_http_call *call = user;
  long status = 0;
  double now = mv_now_ms();
  curl_easy_getinfo(call->handle, CURLINFO_RESPONSE_CODE, &status);
  mv_str view = {bytes, size * n};
  return call->on_bytes(call->user, (int)status, view, now, &call->err) == MV_OK ? view.len : 0;
}

static void set_options(const bench_http *http, bench_http_call *call) {
  CURL *easy = call->handle;
  curl_easy_setopt(easy, CURLOPT_URL, call->url);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
  if (call->body.len) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.ptr);
  }
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* what is measured is the server */
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, http->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, (void *)call);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, (void *)call);
}

mv_status bench_http_start(bench_http *http, bench_http_call *call, mv_error *err) {
  call->status = 0;
  call->err.code = MV_OK;
  call->handle = curl_easy_init();
  if (!call->handle) return mv_fail(err, MV_ERR_MEMORY, "no memory for a request");
  set_options(http, call);
  call->start_ms = mv_now_ms();
  if (curl_multi_add_handle(http->multi, call->handle) != CURLM_OK) {
    curl_easy_cleanup(call->handle);
    call->handle = NULL;
    return mv_fail(err, MV_ERR_MEMORY, "no memory for a request");
  }
  int n_running;
  curl_multi_perform(http->multi, &n_running); /* connects now, not at the next step */
  return MV_OK;
}

void bench_http_cancel(bench_http *http, bench_http_call *call) {
  if (!call->handle) return;
  curl_multi_remove_handle(http->multi, call->handle);
  curl_easy_cleanup(call->handle);
  call->handle = NULL;
}

static bench_http_call *take_ended(bench_http *http) {
  int n_left;
  CURLMsg *message = curl_multi_info_read(http->multi, &n_left);
  while (message && message->msg != CURLMSG_DONE)
    message = curl_multi_info_read(http->multi, &n_left);
  if (!message) return NULL;
  char *private = NULL;
  CURL *easy = message->easy_handle;
  CURLcode result = message->data.result; /* the message goes with the handle */
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  bench_http_call *call = (bench_http_call *)(void *)private;
  call->end_ms = mv_now_ms();
  call->status = (int)status;
  if (result != CURLE_OK && call->err.code == MV_OK)
    mv_fail(&call->err, MV_ERR_IO, "%s: %s", call->url, curl_easy_strerror(result));
  bench_http_cancel(http, call);
  return call;
}

mv_status bench_http_step(bench_http *http, double wait_ms, bench_http_call **ended,
                          mv_error *err) {
  int n_running, ms = wait_ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : wait_ms > 0 ? (int)wait_ms : 0;
  *ended = take_ended(http);
  if (*ended) return MV_OK;
  /* less than a millisecond is waited for by asking again: requests leave on time */
  CURLMcode code = curl_multi_poll(http->multi, NULL, 0, ms, NULL);
  if (code == CURLM_OK) code = curl_multi_perform(http->multi, &n_running);
  if (code != CURLM_OK) return mv_fail(err, MV_ERR_IO, "HTTP: %s", curl_multi_strerror(code));
  *ended = take_ended(http);
  return MV_OK;
}

mv_status bench_http_do(bench_http *http, bench_http_call *call, mv_error *err) {
  bench_http_call *ended = NULL;
  MV_TRY(bench_http_start(http, call, err));
  while (ended != call) {
    mv_status status = bench_http_step(http, LONGEST_WAIT_MS, &ended, err);
    if (status != MV_OK) bench_http_cancel(http, call);
    if (status != MV_OK) return status;
  }
  if (call->err.code == MV_OK) return MV_OK;
  if (err) *err = call->err;
  return call->err.code;
}
