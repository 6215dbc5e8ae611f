/* Answers on disk, one line each as it comes: what a killed run goes on from.
 *
 *   RESULTS_DIR/MODEL/response_cache/<task>_rank<r>.jsonl   {"key", "response", "line"}
 *
 * A key is task::test::doc_id::<16 digits of the prompt's SHA-256>; "line" is the same of the
 * manifest's line, so that an answer about another picture is not taken for this one's. Of several
 * answers with one key the first counts. A line torn by a kill is dropped.
 */
#ifndef MV_TASKS_EVAL_CACHE_H
#define MV_TASKS_EVAL_CACHE_H

#include "tasks/eval_docs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The folder of a model's results. Zero-initialise; owns; free with mv_eval_place_free. */
typedef struct mv_eval_place {
  char *dir;   /* RESULTS_DIR/MODEL         */
  char *cache; /* .../response_cache        */
  char model[256];
} mv_eval_place;

/* Makes the folders. */
mv_status mv_eval_place_open(mv_eval_place *place, const char *results_dir, const char *model,
                             mv_error *err);
void mv_eval_place_free(mv_eval_place *place);

/* An advisory lock on a file, held until unlock or the end of the process. */
typedef struct mv_eval_lock {
  int fd; /* -1: not held */
} mv_eval_lock;
/* `wait` 0: MV_ERR_IO when another process holds it. */
mv_status mv_eval_lock_take(mv_eval_lock *lock, const char *path, int wait, mv_error *err);
void mv_eval_lock_drop(mv_eval_lock *lock);

/* A file answers are appended to. Zero-initialise. */
typedef struct mv_eval_cache {
  int fd; /* -1: not open */
  char *path;
  mv_eval_lock lock; /* on <task>_rank<r>.lock: one process a file */
} mv_eval_cache;

/* Opens a rank's file to append, without a torn last line. MV_ERR_IO when another run holds it. */
mv_status mv_eval_cache_open(mv_eval_cache *cache, const mv_eval_place *place, const char *task,
                             int rank, mv_error *err);
/* Appends an answer; on disk when it returns. */
mv_status mv_eval_cache_add(mv_eval_cache *cache, const mv_eval_doc *doc, mv_str response,
                            mv_error *err);
void mv_eval_cache_close(mv_eval_cache *cache);

/* All answers of a task, from every rank's file. Zero-initialise; owns; free with
 * mv_eval_answers_free. */
typedef struct mv_eval_answers {
  mv_records *files;
  size_t n_file;
  const mv_json **slots; /* records by the hash of their key */
  size_t n_slot;
} mv_eval_answers;

mv_status mv_eval_answers_read(mv_eval_answers *answers, const mv_eval_place *place,
                               const char *task, mv_error *err);
void mv_eval_answers_free(mv_eval_answers *answers);
/* The answer of a doc; 0 when there is none. Borrows. */
int mv_eval_answers_find(const mv_eval_answers *answers, const mv_eval_doc *doc, mv_str *response);

/* The settings that answers depend on, as a JSON object, kept beside the answers. The first run
 * writes it; later ones with other settings are refused by name. */
mv_status mv_eval_settings_check(const mv_eval_place *place, const char *task, mv_str settings,
                                 mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
