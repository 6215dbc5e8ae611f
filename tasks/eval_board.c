#include "tasks/eval_board.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"

#define BOX(side, part)                                                                      \
  {0, side, part, "R"}, {0, side, part, "P"}, {0, side, part, "F1"}, {0, side, part, "IoU"}, \
      {0, side, part, "SR"}, {                                                               \
    0, side, part, "IoU>0.5"                                                                 \
  }
#define VALUE(table, side, part)                                                       \
  {table, side, part, "MAE"}, {table, side, part, "MRE"}, {table, side, part, "SR"}, { \
    table, side, part, "MRE<0.1"                                                       \
  }

const mv_board_column mv_board_columns[MV_BOARD_COLUMNS] = {
    BOX(MV_SIDE_ANATOMY, "Anatomy"),
    BOX(MV_SIDE_LESION, "Tumor/Lesion"),
    VALUE(1, MV_SIDE_SIZE, "Tumor/Lesion size"),
    VALUE(2, MV_SIDE_CEPH_DISTANCE, "Ceph-Bio-400 distance"),
    VALUE(2, MV_SIDE_CEPH_ANGLE, "Ceph-Bio-400 angle"),
    VALUE(2, MV_SIDE_FETA_DISTANCE, "FeTA24 distance"),
};
const char *const mv_board_tables[3] = {"Detection", "Tumor/lesion size", "Angle/distance"};

/* ---- one draw ---- */

/* Sums of a group within a draw. */
typedef struct sums {
  size_t n, n_mae, n_mre, n_precision;
  double success, mae, mre, below, iou, f1, precision, recall, half;
} sums;

static void add(sums *s, const mv_scores *x) {
  s->n++;
  s->success += x->success;
  if (isfinite(x->mae)) s->mae += x->mae, s->n_mae++;
  if (isfinite(x->mre)) s->mre += x->mre, s->n_mre++, s->below += x->mre < 0.1;
  s->iou += x->iou, s->f1 += x->f1, s->recall += x->recall;
  if (isfinite(x->precision)) s->precision += x->precision, s->n_precision++;
  s->half += x->iou >= 0.5;
}

/* A column of one group, in the unit of the table; NaN when it has none. */
static double group_value(const sums *s, int box, int column) {
  double n = (double)s->n;
  if (s->n == 0) return NAN;
  if (box) {
    double v[6] = {s->recall / n,  s->n_precision ? s->precision / (double)s->n_precision : NAN,
                   s->f1 / n,      s->iou / n,
                   s->success / n, s->half / n};
    return 100 * v[column];
  }
  double v[4] = {s->n_mae ? s->mae / (double)s->n_mae : NAN,
                 s->n_mre ? 100 * s->mre / (double)s->n_mre : NAN, 100 * s->success / n,
                 100 * s->below / n};
  return v[column];
}

/* Means over the side's groups, weighted by samples; as the original, T/L means divide by every
 * sample of groups that have an error, A/D means by those of labels that have the value. */
static double side_value(const mv_rows *rows, const sums *groups, const int *side, int want,
                         int column) {
  double sum = 0, weight = 0;
  int any = 0, box = want == MV_SIDE_ANATOMY || want == MV_SIDE_LESION;
  for (size_t g = 0; g < rows->n_group; g++) {
    if (side[g] != want) continue;
    double v = group_value(&groups[g], box, column);
    if (want == MV_SIDE_SIZE && !groups[g].n_mre) continue;
    if (isnan(v)) continue;
    sum += v * (double)groups[g].n, weight += (double)groups[g].n, any = 1;
  }
  return any ? sum / weight : NAN;
}

static void fill(const mv_rows *rows, const sums *groups, const int *side,
                 double out[MV_BOARD_COLUMNS]) {
  int column = 0;
  for (int c = 0; c < MV_BOARD_COLUMNS; c++) {
    column = c && mv_board_columns[c].side == mv_board_columns[c - 1].side ? column + 1 : 0;
    out[c] = side_value(rows, groups, side, (int)mv_board_columns[c].side, column);
  }
}

/* ---- intervals ---- */

static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return isnan(x) ? !isnan(y) : isnan(y) ? -1 : (x > y) - (x < y);
}

/* Every side draws as many samples as it has, of its own. */
static void draw(const mv_rows *rows, const size_t *order, const size_t *first, uint64_t *state,
                 sums *groups) {
  memset(groups, 0, rows->n_group * sizeof *groups);
  for (int s = 0; s < MV_SIDE_COUNT; s++) {
    size_t n = first[s + 1] - first[s];
    for (size_t i = 0; i < n; i++) {
      const mv_row *row = &rows->v[order[first[s] + next_random(state) % n]];
      add(&groups[row->group], &row->scores);
    }
  }
}

/* What counts, side by side. */
static void order_rows(const mv_rows *rows, const int *side, size_t *order,
                       size_t first[MV_SIDE_COUNT + 1]) {
  size_t n = 0;
  for (int s = 0; s < MV_SIDE_COUNT; s++) {
    first[s] = n;
    for (size_t i = 0; i < rows->n; i++)
      if (side[rows->v[i].group] == s) order[n++] = i;
  }
  first[MV_SIDE_COUNT] = n;
}

static void intervals(double *draws, int n_resample, mv_board_row *out) {
  for (int c = 0; c < MV_BOARD_COLUMNS; c++) {
    double *v = draws + (size_t)c * (size_t)n_resample;
    qsort(v, (size_t)n_resample, sizeof *v, by_value);
    int n = n_resample;
    while (n > 0 && isnan(v[n - 1])) n--;
    if (n == 0) continue;
    out->v[c].low = v[(int)(0.025 * (n - 1) + 0.5)];
    out->v[c].high = v[(int)(0.975 * (n - 1) + 0.5)];
  }
}

/* Sides of groups; those of boxes with fewer than 50 samples are left out. */
static void choose_sides(const mv_rows *rows, int *side) {
  for (size_t g = 0; g < rows->n_group; g++) side[g] = MV_SIDE_NONE;
  for (size_t i = 0; i < rows->n; i++) {
    const mv_row *row = &rows->v[i];
    int small = row->family == MV_FAMILY_DETECT && rows->group_n[row->group] < 50;
    side[row->group] = small ? MV_SIDE_NONE : (int)row->side;
  }
}

mv_status mv_board_compute(const mv_rows *rows, int n_resample, mv_board_row *out, mv_error *err) {
  size_t first[MV_SIDE_COUNT + 1];
  double now[MV_BOARD_COLUMNS];
  uint64_t state = 20250101;
  sums *groups = mv_calloc(rows->n_group + 1, sizeof *groups);
  int *side = mv_calloc(rows->n_group + 1, sizeof *side);
  size_t *order = mv_calloc(rows->n + 1, sizeof *order);
  double *draws = mv_calloc((size_t)n_resample * MV_BOARD_COLUMNS + 1, sizeof *draws);
  memset(out, 0, sizeof *out);
  out->model = rows->name;
  mv_status status =
      groups && side && order && draws ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "out of memory");
  if (status == MV_OK) {
    choose_sides(rows, side);
    order_rows(rows, side, order, first);
    for (size_t i = 0; i < first[MV_SIDE_COUNT]; i++)
      add(&groups[rows->v[order[i]].group], &rows->v[order[i]].scores);
    for (int s = 0; s < MV_SIDE_COUNT; s++) out->n[s] = first[s + 1] - first[s];
    fill(rows, groups, side, now);
    for (int c = 0; c < MV_BOARD_COLUMNS; c++) out->v[c] = (mv_estimate){now[c], NAN, NAN};
    for (int r = 0; r < n_resample; r++) {
      draw(rows, order, first, &state, groups);
      fill(rows, groups, side, now);
      for (int c = 0; c < MV_BOARD_COLUMNS; c++)
        draws[(size_t)c * (size_t)n_resample + (size_t)r] = now[c];
    }
    if (n_resample) intervals(draws, n_resample, out);
  }
  mv_free(groups);
  mv_free(side);
  mv_free(order);
  mv_free(draws);
  return status;
}

/* ---- breakdowns ---- */

int mv_key_label(const mv_rows *rows, const mv_row *row) {
  (void)rows;
  return row->label;
}

int mv_key_anatomy(const mv_rows *rows, const mv_row *row) {
  (void)rows;
  return row->anatomy;
}

int mv_key_plane(const mv_rows *rows, const mv_row *row) {
  (void)rows;
  return row->plane;
}

int mv_key_box(const mv_rows *rows, const mv_row *row) {
  (void)rows;
  if (isnan(row->box_ratio)) return -1;
  int bin = 0;
  while (bin < 18 && row->box_ratio >= (double)(bin + 1) * 5 / 100) bin++;
  return bin;
}

mv_breakdown mv_breakdown_of(const mv_rows *rows, mv_family family, mv_row_key key, int value) {
  sums s = {0};
  for (size_t i = 0; i < rows->n; i++)
    if (rows->v[i].family == family && key(rows, &rows->v[i]) == value) add(&s, &rows->v[i].scores);
  double n = s.n ? (double)s.n : NAN;
  return (mv_breakdown){.n = s.n,
                        .n_success = (size_t)s.success,
                        .mae = s.n_mae ? s.mae / (double)s.n_mae : NAN,
                        .mre = s.n_mre ? s.mre / (double)s.n_mre : NAN,
                        .iou = s.iou / n,
                        .f1 = s.f1 / n,
                        .precision = s.n_precision ? s.precision / (double)s.n_precision : NAN,
                        .recall = s.recall / n,
                        .above_half = s.half / n,
                        .below_tenth = s.below / n};
}
