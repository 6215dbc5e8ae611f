/* The questions of one benchmark task: a manifest's lines, checked, with their prompts. */
#ifndef MV_TASKS_EVAL_DOCS_H
#define MV_TASKS_EVAL_DOCS_H

#include "tasks/cli_picture.h"
#include "tasks/eval_files.h"
#include "tasks/metrics.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One line. A line that cannot be asked has `error` and nothing after it. */
typedef struct mv_eval_doc {
  mv_json_doc line;     /* owns */
  char *error;          /* owns: why it cannot be asked; NULL when it can */
  int64_t id;           /* doc_id: its place among the manifest's lines */
  char line_sha[17];    /* of the line as written */
  mv_manifest question; /* borrows from `line` and `path` */
  char *path;           /* owns: image or volume with --data-dir in front */
  mv_frame frame;
  mv_buf prompt; /* owns */
  mv_target target;
  char key[256]; /* of the answer in the cache */
  int answered;
} mv_eval_doc;

/* Zero-initialise; owns; free with mv_eval_docs_free. */
typedef struct mv_eval_docs {
  mv_eval_doc *v; /* those chosen by the limit or the indices, in order */
  size_t n, cap;
  size_t n_line;  /* of the manifest */
  char name[192]; /* of the task */
} mv_eval_docs;

/* What applies to all lines. */
typedef struct mv_eval_asking {
  const mv_cli_args *args;
  const mv_preprocessor *pp;
  const char *data_dir; /* relative paths begin here; NULL: the current folder */
  int has_reshape, reshape_h, reshape_w;
  struct mv_volumes *volumes; /* borrows, as the questions do */
} mv_eval_asking;

/* The lines first to last by step that --sample-limit or --sample-indices choose of n. */
typedef struct mv_eval_range {
  size_t first, end, step;
} mv_eval_range;
mv_status mv_eval_range_parse(const mv_cli_args *args, size_t n, mv_eval_range *out, mv_error *err);
/* The original's forms of a size: 512x512, [512,512], 512; "none". */
mv_status mv_eval_reshape_parse(const char *text, int *height, int *width, mv_error *err);

/* The name of an answer in the cache: task::test::id::<16 digits of the prompt's SHA-256>. */
void mv_eval_key(const char *task, int64_t id, mv_str prompt, char key[256]);

/* Reads a manifest. Bad lines are docs with an error; only the file itself can fail. */
mv_status mv_eval_docs_read(mv_eval_docs *docs, const char *path, const char *task,
                            const mv_eval_asking *asking, mv_error *err);
void mv_eval_docs_free(mv_eval_docs *docs);

/* The members "doc" and "target" of a record: all the manifest says, in the benchmark's words. */
void mv_eval_doc_write(const mv_eval_doc *doc, mv_json_writer *w);
void mv_eval_doc_target(const mv_eval_doc *doc, mv_buf *out);

#ifdef __cplusplus
}
#endif
#endif
