#include "tasks/cli_session.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/clock.h"
#include "tasks/cli_command.h"
#include "tasks/prompts.h"
#include "tasks/teach.h"

static void show_loading(void *user, const char *stage, size_t done, size_t total) {
  (void)stage;
  mv_cli_progress_show(user, "loading", done, total);
}

static mv_status open_model(mv_session *session, mv_error *err) {
  const mv_cli_args *args = session->args;
  mv_model_options options = {.dir = session->dir,
                              .random = args->random_weights,
                              .device = args->device,
                              .precision = (mv_precision)args->dtype,
                              .n_thread = args->threads,
                              .profile = args->profile,
                              .ranges = args->nvtx,
                              .on_progress = show_loading,
                              .user = &session->progress};
  double start = mv_now_ms();
  mv_status status = mv_model_open(&session->model, &options, err);
  mv_cli_progress_clear(&session->progress);
  MV_TRY(status);
  if (args->verbose)
    mv_cli_note(args, "%s on %s in %s, opened in %.0f ms", session->dir,
                mv_model_device_name(session->model),
                mv_model_precision(session->model) == MV_PRECISION_FP32 ? "fp32" : "bf16",
                mv_now_ms() - start);
  mv_engine_options engine = {.no_speculation = args->speculate,
                              .no_prefix_cache = args->prefix_cache,
                              .any_order = args->any_order};
  MV_TRY(mv_engine_new(&session->engine, session->model, &engine, err));
  MV_TRY(mv_teach_tasks(session->engine, mv_prompt_system(), err));
  if (args->draft_bank) MV_TRY(mv_teach_from(session->engine, args->draft_bank, err));
  session->keeps_drafts = args->draft_bank != NULL; /* a file that was not read is not replaced */
  return MV_OK;
}

mv_status mv_session_open(mv_session *session, const mv_cli_args *args, mv_error *err) {
  memset(session, 0, sizeof *session);
  session->args = args;
  mv_cli_progress_init(&session->progress, args);
  session->streams = !args->json && !args->jsonl && !args->quiet && mv_cli_stdout_is_terminal();
  session->stop = mv_calloc((size_t)args->stop.n + 1, sizeof *session->stop);
  if (!session->stop) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (int i = 0; i < args->stop.n; i++) session->stop[i] = mv_str_of(args->stop.v[i]);
  session->dir = mv_cli_model_dir(args, err);
  if (!session->dir) return err->code;
  return open_model(session, err);
}

static void show_profile(const mv_session *session) {
  mv_buf text = {0};
  mv_error err;
  if (mv_model_profile(session->model, &text, &err) == MV_OK)
    fwrite(text.ptr, 1, text.len, stderr);
  else
    mv_cli_say("--profile: %s", err.msg);
  mv_buf_free(&text);
}

void mv_session_close(mv_session *session) {
  if (session->model && session->args->profile) show_profile(session);
  mv_error err;
  if (session->engine && session->keeps_drafts &&
      mv_engine_save_drafts(session->engine, session->args->draft_bank, &err) != MV_OK)
    mv_cli_say("--draft-bank: %s", err.msg);
  mv_engine_free(session->engine);
  mv_model_close(session->model);
  mv_free(session->stop);
  mv_free(session->dir);
  memset(session, 0, sizeof *session);
}

mv_preprocessor mv_session_preprocessor(const mv_session *session) {
  mv_preprocessor pp = *mv_model_preprocessor(session->model);
  pp.resampler = (mv_resampler)session->args->resampler;
  return pp;
}

/* ---- one request ---- */

static int show_text(void *user, const mv_piece *piece) {
  mv_session *session = user;
  mv_str text = piece->text;
  mv_cli_progress_clear(&session->progress);
  session->streamed = text.ptr[text.len - 1];
  return !mv_cli_put_visible(text) || !mv_cli_flush();
}

static void show_progress(void *user, const char *stage, size_t done, size_t total) {
  mv_session *session = user;
  mv_cli_progress_show(&session->progress, stage, done, total);
}

void mv_session_request(mv_session *session, mv_request *request) {
  const mv_cli_args *args = session->args;
  mv_request_init(request);
  request->image_order = (mv_image_order)args->image_order;
  request->resampler = args->resampler;
  request->max_new_tokens = args->max_new_tokens;
  request->sampling = (mv_sampling){.temperature = (float)args->temperature,
                                    .top_p = (float)args->top_p,
                                    .top_k = args->top_k,
                                    .repetition_penalty = (float)args->repetition_penalty,
                                    .seed = args->seed};
  request->use_generation_config = args->generation_config;
  request->ignore_eos = args->ignore_eos;
  request->stop = session->stop;
  request->n_stop = args->stop.n;
  request->n_logprob = args->logprobs;
  request->dump_dir = args->dump;
  request->on_progress = show_progress;
  if (session->streams) request->on_text = show_text;
  if (args->jsonl) request->on_progress = NULL; /* of many at once */
  request->user = session;
}

mv_status mv_session_await(mv_session *session, mv_ticket ticket, mv_result *result,
                           mv_error *err) {
  size_t n_left;
  mv_error why; /* a failing step ends the request, with its reason */
  while (!mv_engine_poll(session->engine, &ticket, result, err))
    mv_engine_step(session->engine, &n_left, &why);
  mv_cli_progress_clear(&session->progress);
  if (session->streamed && session->streamed != '\n') mv_cli_put(mv_str_of("\n"));
  return result->status;
}

mv_status mv_session_ask(mv_session *session, const mv_request *request, mv_result *result,
                         mv_error *err) {
  mv_ticket ticket;
  session->streamed = 0;
  memset(result, 0, sizeof *result);
  mv_status status = mv_engine_submit(session->engine, request, &ticket, err);
  if (status == MV_OK) return mv_session_await(session, ticket, result, err);
  mv_cli_progress_clear(&session->progress);
  return status;
}

void mv_session_report(const mv_session *session, const char *what, const mv_result *result) {
  const mv_timings *t = &result->timings;
  if (!session->args->verbose) return;
  double rate = t->decode_ms > 0 && result->n_token > 1
                    ? (double)(result->n_token - 1) / t->decode_ms * 1e3
                    : 0;
  mv_cli_note(session->args,
              "%s: %zu prompt tokens (%zu of the picture), %zu answered; image %.1f, vision %.1f, "
              "prefill %.1f, decode %.1f, total %.1f ms; %.1f tokens/s",
              what, result->n_prompt, result->n_image_token, result->n_token, t->image_ms,
              t->vision_ms, t->prefill_ms, t->decode_ms, t->total_ms, rate);
}

/* ---- JSON ---- */

static void put_count(mv_json_writer *w, const char *key, size_t value) {
  mv_json_key(w, key);
  mv_json_int(w, (int64_t)value);
}

static void put_ms(mv_json_writer *w, const char *key, double ms) {
  mv_json_key(w, key);
  mv_json_double(w, round(ms * 1e3) / 1e3);
}

void mv_result_write_usage(const mv_result *result, mv_json_writer *w) {
  mv_json_key(w, "usage");
  mv_json_begin_object(w);
  put_count(w, "prompt_tokens", result->n_prompt);
  put_count(w, "image_tokens", result->n_image_token);
  put_count(w, "cached_tokens", result->n_cached_token);
  put_count(w, "completion_tokens", result->n_token);
  mv_json_end_object(w);
}

void mv_result_write_finish(const mv_result *result, mv_json_writer *w) {
  mv_json_key(w, "finish_reason");
  mv_json_text(w, mv_finish_name(result->finish));
}

void mv_result_write_timings(const mv_result *result, mv_json_writer *w) {
  const mv_timings *t = &result->timings;
  mv_json_key(w, "timings_ms");
  mv_json_begin_object(w);
  put_ms(w, "queue", t->queue_ms);
  put_ms(w, "image", t->image_ms);
  put_ms(w, "vision", t->vision_ms);
  put_ms(w, "prefill", t->prefill_ms);
  put_ms(w, "decode", t->decode_ms);
  put_ms(w, "total", t->total_ms);
  put_ms(w, "ttft", t->ttft_ms);
  mv_json_end_object(w);
}

void mv_result_write_speculation(const mv_result *result, mv_json_writer *w) {
  mv_json_key(w, "speculation");
  mv_json_begin_object(w);
  put_count(w, "steps", result->n_step);
  put_count(w, "drafted", result->n_drafted);
  put_count(w, "accepted", result->n_accepted);
  mv_json_end_object(w);
}

static void put_logprob(mv_json_writer *w, mv_logprob entry) {
  mv_json_key(w, "token_id");
  mv_json_int(w, entry.token_id);
  mv_json_key(w, "logprob");
  mv_json_float(w, entry.logprob);
}

void mv_result_write_logprobs(const mv_result *result, mv_json_writer *w) {
  if (result->n_logprob < 0) return;
  size_t k = (size_t)result->n_logprob;
  mv_json_key(w, "logprobs");
  mv_json_begin_array(w);
  for (size_t i = 0; i < result->n_token; i++) {
    mv_json_begin_object(w);
    put_logprob(w, result->logprobs[i]);
    mv_json_key(w, "top");
    mv_json_begin_array(w);
    for (size_t j = 0; j < k; j++) {
      mv_json_begin_object(w);
      put_logprob(w, result->top[i * k + j]);
      mv_json_end_object(w);
    }
    mv_json_end_array(w);
    mv_json_end_object(w);
  }
  mv_json_end_array(w);
}
