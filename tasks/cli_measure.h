/* One measurement from end to end: question, picture, prompt, answer; and its JSON object. */
#ifndef MV_TASKS_CLI_MEASURE_H
#define MV_TASKS_CLI_MEASURE_H

#include "tasks/answer.h"
#include "tasks/cli_picture.h"
#include "tasks/cli_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise and set `question`; free with mv_measured_free. */
typedef struct mv_measured {
  mv_manifest question; /* borrows */
  mv_picture picture;
  mv_prompt prompt; /* borrows from the question */
  mv_result result;
  mv_answer answer; /* borrows from the result */
  mv_ticket ticket;
  double load_ms; /* the picture's, before the engine had it */
} mv_measured;

/* Loads the picture and asks the model. An answer that does not parse is no failure. */
mv_status mv_measured_ask(mv_measured *m, mv_session *session, mv_error *err);
/* The same in two steps: loads and submits; then, once m->result is there, reads the answer. */
mv_status mv_measured_submit(mv_measured *m, mv_session *session, mv_error *err);
mv_status mv_measured_read(mv_measured *m, mv_error *err);
void mv_measured_free(mv_measured *m);

/* The members of the result's object. */
void mv_measured_write(const mv_measured *m, mv_json_writer *w);

/* The lines for people. `with_response`: show the text of an answer that did not parse. `overlay`
 * is the picture's path, or NULL. */
void mv_measured_print(const mv_measured *m, int with_response, const char *overlay, mv_buf *out);
/* What was answered, drawn on what the model saw, under `path` by rename. */
mv_status mv_measured_save_overlay(const mv_measured *m, const char *path, mv_resampler resampler,
                                   mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
