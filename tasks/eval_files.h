/* The benchmark's folders: models, sample logs, records.
 *
 *   TASK_DIR/MODEL/<stamp>_samples_<task>.jsonl   one record a line
 *   TASK_DIR/MODEL/<stamp>_results.json           beside it
 *   TASK_DIR/MODEL/parsed/...                     what the parser makes of them, and summaries
 *
 * Files and models are always taken in name order.
 */
#ifndef MV_TASKS_EVAL_FILES_H
#define MV_TASKS_EVAL_FILES_H

#include "runtime/json.h"
#include "tasks/metrics.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_EVAL_MAX_BYTES ((size_t)4 << 30) /* of one file of records */

/* Names in a folder, sorted by their bytes. Zero-initialise; owns; free with mv_names_free. */
typedef struct mv_names {
  char **v;
  size_t n, cap;
} mv_names;

/* The names that end in `ending`, or with NULL the subfolders. */
mv_status mv_names_read(mv_names *names, const char *dir, const char *ending, mv_error *err);
void mv_names_free(mv_names *names);

/* dir + "/" + name + suffix; NULL when out of memory (free with mv_free). */
char *mv_path_make(const char *dir, const char *name, const char *suffix);
/* Deletes a folder and all in it; none is fine. */
mv_status mv_dir_remove(const char *path, mv_error *err);

/* One record. Borrows nothing; `doc` owns. */
typedef struct mv_record {
  mv_json_doc doc;
  int64_t id; /* doc_id; 0 when missing */
} mv_record;

/* All records of a file. Zero-initialise; owns; free with mv_records_free. */
typedef struct mv_records {
  mv_record *v;
  size_t n, cap;
} mv_records;

/* Reads JSON lines. `sorted`: by doc_id, stable. limit 0: all; else the first ones, after sorting.
 * Messages name the file and line. */
mv_status mv_records_read(mv_records *records, const char *path, int sorted, int limit,
                          mv_error *err);
void mv_records_free(mv_records *records);

/* The data set in a sample log's name: "..._samples_BraTS24_..." -> "BraTS24"; or empty. */
mv_str mv_dataset_of_name(const char *name);

/* Writes a buffer of text by rename, after checking it. */
mv_status mv_eval_write(const char *path, const mv_buf *text, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
