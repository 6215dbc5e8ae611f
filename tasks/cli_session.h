/* A model and an engine, opened from the command line, and one question after another to them. */
#ifndef MV_TASKS_CLI_SESSION_H
#define MV_TASKS_CLI_SESSION_H

#include "runtime/json.h"
#include "runtime/medvision.h"
#include "tasks/cli.h"
#include "tasks/cli_io.h"
#include "vision/preprocess.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise; owns all but args; free with mv_session_close. */
typedef struct mv_session {
  const mv_cli_args *args; /* borrows */
  char *dir;
  mv_model *model;
  mv_engine *engine;
  mv_str *stop; /* args->stop */
  mv_cli_progress progress;
  int keeps_drafts; /* in args->draft_bank, when it closes */
  int streams;      /* show the answer's text as it comes */
  int streamed; /* the last character shown: 0 nothing was, '\n' the cursor is at a line's start */
} mv_session;

mv_status mv_session_open(mv_session *session, const mv_cli_args *args, mv_error *err);
void mv_session_close(mv_session *session);

/* The checkpoint's preprocessor with --resampler. */
mv_preprocessor mv_session_preprocessor(const mv_session *session);

/* Fills everything in the request that options decide; the question is the caller's. */
void mv_session_request(mv_session *session, mv_request *request);

/* Answers the request. Streams to standard output when session->streams, and ends the line then. */
mv_status mv_session_ask(mv_session *session, const mv_request *request, mv_result *result,
                         mv_error *err);
/* The same for a request submitted before. */
mv_status mv_session_await(mv_session *session, mv_ticket ticket, mv_result *result, mv_error *err);
/* --verbose: counts and times of an answer, on standard error; `what` names it. */
void mv_session_report(const mv_session *session, const char *what, const mv_result *result);

/* Members "usage" ... of the object open in `w`. */
void mv_result_write_usage(const mv_result *result, mv_json_writer *w);
void mv_result_write_finish(const mv_result *result, mv_json_writer *w);
void mv_result_write_speculation(const mv_result *result, mv_json_writer *w);
void mv_result_write_timings(const mv_result *result, mv_json_writer *w);
/* "logprobs", where the request asked for them. */
void mv_result_write_logprobs(const mv_result *result, mv_json_writer *w);

#ifdef __cplusplus
}
#endif
#endif
