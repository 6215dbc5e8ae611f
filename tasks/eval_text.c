#include "tasks/eval_text.h"

#include <math.h>
#include <string.h>

#include "runtime/memory.h"

/* Lines are joined by newlines: each begins with the one that ends the line before it. */

static const char *const thresholds[] = {"MRE<0.1", "MRE<0.2", "MRE<0.3"};

/* printf may show the sign of a NaN; Python does not. */
static void put(mv_buf *out, const char *before, double v, int width) {
  if (isnan(v))
    mv_buf_printf(out, "%s%-*s", before, width, "nan");
  else
    mv_buf_printf(out, "%s%-*.4f", before, width, v);
}

static void rule(mv_buf *out, char c, int n) {
  mv_buf_char(out, '\n');
  for (int i = 0; i < n; i++) mv_buf_char(out, c);
}

static void put_header(mv_buf *out, const char *name, int width, const char *gap,
                       const char *const *columns, int n) {
  mv_buf_printf(out, "\n%-*s%s", width, name, gap);
  for (int i = 0; i < n; i++) mv_buf_printf(out, "%s%-8s", i ? " | " : "", columns[i]);
}

static void put_end(mv_buf *out) {
  mv_buf_char(out, '\n');
  rule(out, '=', 100);
  mv_buf_char(out, '\n');
}

static double of(const mv_group *g, const char *key) { return mv_metrics_get(&g->metrics, key); }

/* Group indices, largest group first; equal ones stay in order. NULL when out of memory. */
static size_t *by_size(const mv_model_scores *s) {
  size_t *order = mv_calloc(s->n_group + 1, sizeof *order);
  for (size_t i = 0; order && i < s->n_group; i++) {
    size_t at = i;
    for (; at > 0 && s->groups[order[at - 1]].tally.n < s->groups[i].tally.n; at--)
      order[at] = order[at - 1];
    order[at] = i;
  }
  return order;
}

/* sum(v * n) / (all ? n of every member : n of those with a value). `member` NULL: all groups. */
typedef int (*membership)(const mv_group *g);
static double weighted(const mv_model_scores *s, membership member, const char *key, int all) {
  double sum = 0, weight = 0;
  for (size_t i = 0; i < s->n_group; i++) {
    const mv_group *g = &s->groups[i];
    if (member && !member(g)) continue;
    double v = of(g, key), n = (double)g->tally.n;
    if (!isnan(v)) sum += v * n;
    if (all || !isnan(v)) weight += n;
  }
  return weight > 0 ? sum / weight : NAN;
}

static size_t count(const mv_model_scores *s, membership member) {
  size_t n = 0;
  for (size_t i = 0; i < s->n_group; i++)
    if (!member || member(&s->groups[i])) n += s->groups[i].tally.n;
  return n;
}

static void put_thresholds(mv_buf *out, const mv_model_scores *s, membership member) {
  mv_buf_char(out, '\n');
  if (count(s, member) == 0) mv_buf_text(out, "No MRE metrics"); /* of angles and distances only */
  for (int i = 0; i < 3 && count(s, member); i++) {
    mv_buf_printf(out, "%sWeighted %s: ", i ? " | " : "", thresholds[i]);
    put(out, "", weighted(s, member, thresholds[i], 0), 0);
  }
}

/* ---- tumour and lesion size ---- */

static int is_valid(const mv_group *g) { return g->tally.n > 0 && !isnan(of(g, "avgMRE")); }

static const char *const size_columns[] = {"MAE",     "MRE",     "SR",      "nMAE",
                                           "MRE<0.1", "MRE<0.2", "MRE<0.3", "Samples"};
static const char *const size_keys[] = {"avgMAE",  "avgMRE",  "SuccessRate", "avgNMAE",
                                        "MRE<0.1", "MRE<0.2", "MRE<0.3"};

void mv_print_size(const mv_model_scores *s, mv_buf *out) {
  size_t n = count(s, is_valid), *order = by_size(s);
  if (!order) out->failed = 1;
  mv_buf_printf(out, "\n\nModel: %s", s->name);
  if (n == 0 || !order) {
    mv_buf_text(out, " (No valid MAE samples)");
    mv_free(order);
    return;
  }
  put(out, "\nWeighted Average MAE: ", weighted(s, is_valid, "avgMAE", 1), 0);
  put(out, ", MRE: ", weighted(s, is_valid, "avgMRE", 1), 0);
  put(out, ", SR: ", weighted(s, is_valid, "SuccessRate", 1), 0);
  double nmae = weighted(s, is_valid, "avgNMAE", 0);
  if (isnan(nmae))
    mv_buf_text(out, ", nMAE: N/A");
  else
    put(out, ", nMAE: ", nmae, 0);
  mv_buf_printf(out, " (Total Samples: %zu)", n);
  put_thresholds(out, s, is_valid);
  mv_buf_text(out, "\n\nLabel-specific metrics:");
  put_header(out, "Label", 50, "  | ", size_columns, 8);
  rule(out, '-', 146);
  for (size_t i = 0; i < s->n_group; i++) {
    const mv_group *g = &s->groups[order[i]];
    if (!is_valid(g)) continue;
    mv_buf_printf(out, "\n%-50s  | ", g->key);
    for (int c = 0; c < 7; c++) put(out, c ? " | " : "", of(g, size_keys[c]), 8);
    mv_buf_printf(out, " | %-8zu", g->tally.n);
  }
  put_end(out);
  mv_free(order);
}

/* ---- angles and distances ---- */

static int is_feta_distance(const mv_group *g) {
  return strstr(g->key, "FeTA24") && strstr(g->key, "_distance_");
}
static int is_ceph_angle(const mv_group *g) {
  return strstr(g->key, "Ceph") && strstr(g->key, "_angle_");
}
static int is_ceph_distance(const mv_group *g) {
  return strstr(g->key, "Ceph") && strstr(g->key, "_distance_");
}
static int is_angle(const mv_group *g) { return strstr(g->key, "_angle_") != NULL; }

static const char *const ad_columns[] = {"MAE",     "MRE",     "nMAE",    "SR",
                                         "MRE<0.1", "MRE<0.2", "MRE<0.3", "Samples"};
static const char *const ad_keys[] = {"avgMAE",  "avgMRE",  "avgNMAE", "SuccessRate",
                                      "MRE<0.1", "MRE<0.2", "MRE<0.3"};

/* FeTA's labels first, then Ceph's: the order of the sums. */
static double distance_mean(const mv_model_scores *s, const char *key) {
  double sum = 0, weight = 0;
  for (int pass = 0; pass < 2; pass++)
    for (size_t i = 0; i < s->n_group; i++) {
      const mv_group *g = &s->groups[i];
      if (!(pass ? is_ceph_distance(g) : is_feta_distance(g)) || isnan(of(g, key))) continue;
      sum += of(g, key) * (double)g->tally.n;
      weight += (double)g->tally.n;
    }
  return weight > 0 ? sum / weight : NAN;
}

static void put_ad_group(mv_buf *out, const mv_model_scores *s, const char *name,
                         membership member) {
  mv_buf_printf(out, "\n%-15s", name);
  for (int c = 0; c < 7; c++)
    put(out, " | ", member ? weighted(s, member, ad_keys[c], 0) : distance_mean(s, ad_keys[c]), 8);
  size_t n = member ? count(s, member) : count(s, is_feta_distance) + count(s, is_ceph_distance);
  mv_buf_printf(out, " | %-8zu", n);
}

void mv_print_ad(const mv_model_scores *s, mv_buf *out) {
  size_t *order = by_size(s);
  if (!order) out->failed = 1;
  if (!order) return;
  mv_buf_printf(out, "\n\nModel: %s", s->name);
  put(out, "\nWeighted Average MAE: ", weighted(s, NULL, "avgMAE", 1), 0);
  put(out, ", MRE: ", weighted(s, NULL, "avgMRE", 1), 0);
  put(out, ", nMAE: ", weighted(s, NULL, "avgNMAE", 0), 0);
  put(out, ", SR: ", weighted(s, NULL, "SuccessRate", 0), 0);
  mv_buf_printf(out, " (Total Samples: %zu)", count(s, NULL));
  put_thresholds(out, s, NULL);
  mv_buf_text(out, "\n\nGroup averages:");
  put_header(out, "Group", 15, " | ", ad_columns, 8);
  rule(out, '-', 99);
  put_ad_group(out, s, "FeTA-Distance", is_feta_distance);
  put_ad_group(out, s, "Ceph-Angle", is_ceph_angle);
  put_ad_group(out, s, "Ceph-Distance", is_ceph_distance);
  put_ad_group(out, s, "Distance", NULL);
  put_ad_group(out, s, "Angle", is_angle);
  mv_buf_text(out, "\n\nLabel-specific metrics:");
  put_header(out, "Label", 50, " | ", ad_columns, 8);
  rule(out, '-', 139);
  for (size_t i = 0; i < s->n_group; i++) {
    const mv_group *g = &s->groups[order[i]];
    mv_buf_printf(out, "\n%-50s", g->key);
    for (int c = 0; c < 7; c++) put(out, " | ", of(g, ad_keys[c]), 8);
    mv_buf_printf(out, " | %-8zu", g->tally.n);
  }
  put_end(out);
  mv_free(order);
}
