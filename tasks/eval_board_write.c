/* The leaderboard as Markdown, CSV and JSON. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tasks/eval_board.h"

static const char *const families[] = {"detect", "size", "ad"};

/* ---- breakdowns in the three forms ---- */

typedef void (*put_breakdown)(void *user, const mv_rows *rows, mv_family family, const char *by,
                              const char *name, const mv_breakdown *b);

static void box_name(int bin, char out[32]) {
  if (bin == 0)
    snprintf(out, 32, "< 5 %%");
  else if (bin == 18)
    snprintf(out, 32, ">= 90 %%");
  else
    snprintf(out, 32, "%d to %d %%", bin * 5, bin * 5 + 5);
}

static void each_group(const mv_rows *rows, mv_family f, const char *by, mv_row_key key,
                       put_breakdown put, void *user) {
  for (size_t g = 0; g < rows->n_group; g++) {
    mv_breakdown b = mv_breakdown_of(rows, f, key, (int)g);
    if (b.n) put(user, rows, f, by, mv_rows_label(rows, (int)g), &b);
  }
}

static void each_breakdown(const mv_rows *rows, put_breakdown put, void *user) {
  static const char *const planes[] = {"sagittal", "coronal", "axial"};
  for (int f = 0; f < 3; f++) {
    mv_family family = (mv_family)f;
    each_group(rows, family, "label", mv_key_label, put, user);
    if (family != MV_FAMILY_AD) each_group(rows, family, "anatomy", mv_key_anatomy, put, user);
    for (int p = 0; p < 3; p++) {
      mv_breakdown b = mv_breakdown_of(rows, family, mv_key_plane, "SCA"[p]);
      if (b.n) put(user, rows, family, "plane", planes[p], &b);
    }
    for (int bin = 0; family == MV_FAMILY_DETECT && bin < 19; bin++) {
      char name[32];
      mv_breakdown b = mv_breakdown_of(rows, family, mv_key_box, bin);
      box_name(bin, name);
      if (b.n) put(user, rows, family, "box size", name, &b);
    }
  }
}

/* ---- Markdown ---- */

static int has_side(const mv_board_row *rows, size_t n, int table) {
  for (size_t i = 0; i < n; i++)
    for (int c = 0; c < MV_BOARD_COLUMNS; c++)
      if (mv_board_columns[c].table == table && rows[i].n[mv_board_columns[c].side]) return 1;
  return 0;
}

static void md_header(mv_buf *out, int table) {
  mv_buf_printf(out, "\n## %s\n\n| Model |", mv_board_tables[table]);
  for (int c = 0; c < MV_BOARD_COLUMNS; c++)
    if (mv_board_columns[c].table == table)
      mv_buf_printf(out, " %s %s |", mv_board_columns[c].part, mv_board_columns[c].name);
  mv_buf_text(out, "\n|---|");
  for (int c = 0; c < MV_BOARD_COLUMNS; c++)
    if (mv_board_columns[c].table == table) mv_buf_text(out, "---:|");
  mv_buf_char(out, '\n');
}

static void md_value(mv_buf *out, const mv_estimate *e) {
  if (isnan(e->value))
    mv_buf_text(out, " - |");
  else if (isnan(e->low))
    mv_buf_printf(out, " %.1f |", e->value);
  else
    mv_buf_printf(out, " %.1f [%.1f, %.1f] |", e->value, e->low, e->high);
}

static void md_name(mv_buf *out, const char *name) {
  for (; *name; name++) {
    if (*name == '|') mv_buf_char(out, '\\');
    mv_buf_char(out, *name);
  }
}

static void md_breakdown(void *user, const mv_rows *rows, mv_family f, const char *by,
                         const char *name, const mv_breakdown *b) {
  mv_buf *out = user;
  mv_buf_text(out, "| ");
  md_name(out, rows->name);
  mv_buf_printf(out, " | %s | %s | ", families[f], by);
  md_name(out, name);
  mv_buf_printf(out, " | %zu | %.1f |", b->n, 100.0 * (double)b->n_success / (double)b->n);
  if (f == MV_FAMILY_DETECT)
    mv_buf_printf(out, " %.3f | - | %.1f | %.1f | %.1f | %.1f | %.1f |\n", b->mae, 100 * b->recall,
                  100 * b->precision, 100 * b->f1, 100 * b->iou, 100 * b->above_half);
  else if (isnan(b->mae))
    mv_buf_text(out, " - | - | - | - | - | - | - |\n");
  else
    mv_buf_printf(out, " %.2f | %.1f | - | - | - | - | %.1f |\n", b->mae, 100 * b->mre,
                  100 * b->below_tenth);
}

static void write_md(const mv_rows_list *models, const mv_board_row *rows, mv_buf *out) {
  mv_buf_text(out,
              "# MedVision leaderboard\n\nMAE in mm or degrees, all else in percent. Rows in "
              "bold were scored here, with 95 % bootstrap intervals; the others are the "
              "published ones.\n");
  for (int table = 0; table < 3; table++) {
    if (!has_side(rows, models->n, table)) continue;
    md_header(out, table);
    for (size_t i = 0; i < models->n; i++) {
      mv_buf_text(out, "| **");
      md_name(out, rows[i].model);
      mv_buf_text(out, "** |");
      for (int c = 0; c < MV_BOARD_COLUMNS; c++)
        if (mv_board_columns[c].table == table) md_value(out, &rows[i].v[c]);
      mv_buf_char(out, '\n');
    }
    for (int i = 0; i < mv_n_published; i++) {
      mv_buf_printf(out, "| %s |", mv_published_rows[i].model);
      for (int c = 0; c < MV_BOARD_COLUMNS; c++)
        if (mv_board_columns[c].table == table)
          mv_buf_printf(out, " %.1f |", mv_published_rows[i].v[c]);
      mv_buf_char(out, '\n');
    }
  }
  mv_buf_text(out,
              "\n## Breakdown\n\n| Model | Task | By | | Samples | SR | MAE | MRE | R | P | F1 "
              "| IoU | IoU>0.5 or MRE<0.1 |\n|---|---|---|---|---:|---:|---:|---:|---:|---:|"
              "---:|---:|---:|\n");
  for (size_t i = 0; i < models->n; i++) each_breakdown(&models->v[i], md_breakdown, out);
}

/* ---- CSV ---- */

static void csv_number(mv_buf *out, double v) {
  mv_buf_char(out, ',');
  if (!isnan(v)) mv_buf_printf(out, "%.6g", v);
}

static void csv_cell(mv_buf *out, const char *model, const char *source, int c, size_t n,
                     const mv_estimate *e) {
  if (isnan(e->value)) return;
  mv_buf_csv(out, model);
  mv_buf_printf(out, ",%s,%s,%s,%s,", source, mv_board_tables[mv_board_columns[c].table],
                mv_board_columns[c].part, mv_board_columns[c].name);
  if (n) mv_buf_printf(out, "%zu", n);
  csv_number(out, e->value);
  csv_number(out, e->low);
  csv_number(out, e->high);
  mv_buf_char(out, '\n');
}

static void csv_breakdown(void *user, const mv_rows *rows, mv_family f, const char *by,
                          const char *name, const mv_breakdown *b) {
  const struct {
    const char *name;
    double v;
  } values[] = {{"MAE", b->mae},
                {"MRE", 100 * b->mre},
                {"SR", 100.0 * (double)b->n_success / (double)b->n},
                {"R", 100 * b->recall},
                {"P", 100 * b->precision},
                {"F1", 100 * b->f1},
                {"IoU", 100 * b->iou},
                {"IoU>0.5", 100 * b->above_half},
                {"MRE<0.1", 100 * b->below_tenth}};
  mv_buf *out = user;
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    int of_box = i >= 3 && i <= 7, of_value = i == 1 || i == 8;
    if ((f == MV_FAMILY_DETECT ? of_value : of_box) || isnan(values[i].v)) continue;
    mv_buf_csv(out, rows->name);
    mv_buf_printf(out, ",%s,%s,", families[f], by);
    mv_buf_csv(out, name);
    mv_buf_printf(out, ",%s,%zu,%.6g,,\n", values[i].name, b->n, values[i].v);
  }
}

static void write_csv(const mv_rows_list *models, const mv_board_row *rows, mv_buf *out) {
  mv_buf_text(out, "model,source,table,part,column,samples,value,low,high\n");
  for (size_t i = 0; i < models->n; i++)
    for (int c = 0; c < MV_BOARD_COLUMNS; c++)
      csv_cell(out, rows[i].model, "here", c, rows[i].n[mv_board_columns[c].side], &rows[i].v[c]);
  for (int i = 0; i < mv_n_published; i++)
    for (int c = 0; c < MV_BOARD_COLUMNS; c++) {
      mv_estimate e = {mv_published_rows[i].v[c], NAN, NAN};
      csv_cell(out, mv_published_rows[i].model, "published", c, 0, &e);
    }
  for (size_t i = 0; i < models->n; i++) each_breakdown(&models->v[i], csv_breakdown, out);
}

/* ---- JSON ---- */

static void json_number(mv_json_writer *w, const char *key, double v) {
  mv_json_key(w, key);
  if (isfinite(v))
    mv_json_double(w, v);
  else
    mv_json_null(w);
}

static void json_breakdown(void *user, const mv_rows *rows, mv_family f, const char *by,
                           const char *name, const mv_breakdown *b) {
  mv_json_writer *w = user;
  (void)rows;
  mv_json_begin_object(w);
  mv_json_key(w, "task");
  mv_json_text(w, families[f]);
  mv_json_key(w, "by");
  mv_json_text(w, by);
  mv_json_key(w, "name");
  mv_json_text(w, name);
  mv_json_key(w, "samples");
  mv_json_int(w, (int64_t)b->n);
  json_number(w, "SR", 100.0 * (double)b->n_success / (double)b->n);
  json_number(w, "MAE", b->mae);
  if (f == MV_FAMILY_DETECT) {
    json_number(w, "R", 100 * b->recall);
    json_number(w, "P", 100 * b->precision);
    json_number(w, "F1", 100 * b->f1);
    json_number(w, "IoU", 100 * b->iou);
    json_number(w, "IoU>0.5", 100 * b->above_half);
  } else {
    json_number(w, "MRE", 100 * b->mre);
    json_number(w, "MRE<0.1", 100 * b->below_tenth);
  }
  mv_json_end_object(w);
}

static void json_cells(mv_json_writer *w, const mv_board_row *row, const mv_published *published) {
  mv_json_begin_array(w);
  for (int c = 0; c < MV_BOARD_COLUMNS; c++) {
    mv_json_begin_array(w);
    const mv_estimate e = row ? row->v[c] : (mv_estimate){published->v[c], NAN, NAN};
    const double v[3] = {e.value, e.low, e.high};
    for (int i = 0; i < 3; i++) {
      if (isfinite(v[i]))
        mv_json_double(w, v[i]);
      else
        mv_json_null(w);
    }
    mv_json_end_array(w);
  }
  mv_json_end_array(w);
}

static void json_columns(mv_json_writer *w) {
  mv_json_key(w, "columns");
  mv_json_begin_array(w);
  for (int c = 0; c < MV_BOARD_COLUMNS; c++) {
    mv_json_begin_object(w);
    mv_json_key(w, "table");
    mv_json_text(w, mv_board_tables[mv_board_columns[c].table]);
    mv_json_key(w, "part");
    mv_json_text(w, mv_board_columns[c].part);
    mv_json_key(w, "name");
    mv_json_text(w, mv_board_columns[c].name);
    mv_json_end_object(w);
  }
  mv_json_end_array(w);
}

void mv_board_json(const mv_rows_list *models, const mv_board_row *rows, mv_json_writer *w) {
  mv_json_begin_object(w);
  json_columns(w);
  mv_json_key(w, "models");
  mv_json_begin_array(w);
  for (size_t i = 0; i < models->n; i++) {
    mv_json_begin_object(w);
    mv_json_key(w, "model");
    mv_json_text(w, rows[i].model);
    mv_json_key(w, "values");
    json_cells(w, &rows[i], NULL);
    mv_json_key(w, "breakdown");
    mv_json_begin_array(w);
    each_breakdown(&models->v[i], json_breakdown, w);
    mv_json_end_array(w);
    mv_json_end_object(w);
  }
  mv_json_end_array(w);
  mv_json_key(w, "published");
  mv_json_begin_array(w);
  for (int i = 0; i < mv_n_published; i++) {
    mv_json_begin_object(w);
    mv_json_key(w, "model");
    mv_json_text(w, mv_published_rows[i].model);
    mv_json_key(w, "values");
    json_cells(w, NULL, &mv_published_rows[i]);
    mv_json_end_object(w);
  }
  mv_json_end_array(w);
  mv_json_end_object(w);
}

static int ends_with(const char *path, const char *ending) {
  size_t n = strlen(path), m = strlen(ending);
  return n > m && !strcmp(path + n - m, ending);
}

mv_status mv_board_write(const mv_rows_list *models, const mv_board_row *rows, const char *path,
                         mv_error *err) {
  mv_buf out = {0};
  if (ends_with(path, ".md")) {
    write_md(models, rows, &out);
  } else if (ends_with(path, ".csv")) {
    write_csv(models, rows, &out);
  } else if (ends_with(path, ".json")) {
    mv_json_writer w = {.out = &out, .indent = 2};
    mv_board_json(models, rows, &w);
    mv_buf_char(&out, '\n');
  } else {
    return mv_fail(err, MV_ERR_USAGE, "%s: expected a name ending in .md, .csv or .json", path);
  }
  mv_status status = mv_eval_write(path, &out, err);
  mv_buf_free(&out);
  return status;
}
