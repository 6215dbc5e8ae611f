/* The leaderboard: the published tables' columns, with 95 % intervals by bootstrap.
 *
 *   detection   anatomy and tumour/lesion: R, P, F1, IoU, SR, IoU>0.5, in percent; over groups of
 *               at least 50 samples, as the original's means
 *   size        MAE in mm; MRE, SR, MRE<0.1 in percent
 *   A/D         the same for Ceph distances, Ceph angles, FeTA distances
 */
#ifndef MV_TASKS_EVAL_BOARD_H
#define MV_TASKS_EVAL_BOARD_H

#include "tasks/eval_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_BOARD_COLUMNS 28

typedef struct mv_published {
  const char *model;
  double v[MV_BOARD_COLUMNS];
} mv_published;

extern const mv_published mv_published_rows[];
extern const int mv_n_published;

typedef struct mv_board_column {
  int table; /* 0 detection, 1 size, 2 A/D */
  mv_side side;
  const char *part; /* "Anatomy", ... */
  const char *name; /* "IoU>0.5"      */
} mv_board_column;

extern const mv_board_column mv_board_columns[MV_BOARD_COLUMNS];
extern const char *const mv_board_tables[3];

/* A value with its interval; NaN where there is nothing to tell. */
typedef struct mv_estimate {
  double value, low, high;
} mv_estimate;

typedef struct mv_board_row {
  const char *model; /* borrows */
  mv_estimate v[MV_BOARD_COLUMNS];
  size_t n[MV_SIDE_COUNT]; /* samples that count */
} mv_board_row;

/* Fills a row from a model's answers; n_resample 0: no intervals. Seeded: the same each time. */
mv_status mv_board_compute(const mv_rows *rows, int n_resample, mv_board_row *out, mv_error *err);

/* Means of the family's metrics over some of the rows. */
typedef struct mv_breakdown {
  size_t n, n_success;
  double mae, mre, iou, f1, precision, recall, above_half, below_tenth;
} mv_breakdown;
/* Over rows of a family for which key(row) == `value`. */
typedef int (*mv_row_key)(const mv_rows *rows, const mv_row *row);
mv_breakdown mv_breakdown_of(const mv_rows *rows, mv_family family, mv_row_key key, int value);
int mv_key_label(const mv_rows *rows, const mv_row *row);
int mv_key_anatomy(const mv_rows *rows, const mv_row *row);
int mv_key_plane(const mv_rows *rows, const mv_row *row);
int mv_key_box(const mv_rows *rows, const mv_row *row); /* 5 % bins, 0 to 18; -1 none */

/* The whole board: as Markdown, CSV or JSON by the ending of `path`, by rename. */
mv_status mv_board_write(const mv_rows_list *models, const mv_board_row *rows, const char *path,
                         mv_error *err);
/* The JSON object alone. */
void mv_board_json(const mv_rows_list *models, const mv_board_row *rows, mv_json_writer *w);

#ifdef __cplusplus
}
#endif
#endif
