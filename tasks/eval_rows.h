/* Every parsed answer of a model as one row: what tables, intervals and the report are made of. */
#ifndef MV_TASKS_EVAL_ROWS_H
#define MV_TASKS_EVAL_ROWS_H

#include "tasks/eval_names.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_side {
  MV_SIDE_NONE = -1, /* counts in no leaderboard */
  MV_SIDE_ANATOMY = 0,
  MV_SIDE_LESION,
  MV_SIDE_SIZE,
  MV_SIDE_CEPH_DISTANCE,
  MV_SIDE_CEPH_ANGLE,
  MV_SIDE_FETA_DISTANCE,
  MV_SIDE_COUNT
} mv_side;

typedef struct mv_row {
  mv_family family;
  mv_side side;
  int group;        /* index into mv_rows.groups: the tables' group */
  int label;        /* the same: the label itself, "liver @ CT" */
  int anatomy;      /* the same: its group without modality and plane, "Liver" */
  char plane;       /* S C A ? */
  double box_ratio; /* NaN when not a box */
  mv_scores scores;
  mv_str label_name, modality; /* by the plan; borrow from it and the record */
  const mv_json *record;       /* borrows */
} mv_row;

/* One model. Zero-initialise; owns; free with mv_rows_free. */
typedef struct mv_rows {
  char name[256];
  mv_row *v;
  size_t n, cap;
  char **groups;   /* "detect Liver @ CT (A)": the family's word, then the table's name */
  size_t *group_n; /* samples in each */
  size_t n_group, cap_group;
  mv_records *files;
  size_t n_file, cap_file;
} mv_rows;

typedef struct mv_rows_list {
  mv_rows *v;
  size_t n, cap;
} mv_rows_list;

/* Adds the models below `folder`: itself, its subfolders, and theirs, wherever there is a "parsed"
 * folder. Models of one name in several folders become one. */
mv_status mv_rows_read(mv_rows_list *list, const char *folder, const mv_plan *plan, mv_error *err);
void mv_rows_list_free(mv_rows_list *list);

/* The part of a group's name that tables show. */
const char *mv_rows_label(const mv_rows *rows, int group);

#ifdef __cplusplus
}
#endif
#endif
