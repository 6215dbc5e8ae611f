#include "tasks/labels.h"

#include <string.h>

static int compare(mv_str a, const char *b) {
  size_t n = strlen(b);
  int order = memcmp(a.ptr, b, a.len < n ? a.len : n);
  return order ? order : a.len < n ? -1 : a.len > n;
}

const mv_label *mv_label_find(mv_str label) {
  int low = 0, high = mv_n_label;
  while (label.ptr && low < high) {
    int middle = (low + high) / 2, order = compare(label, mv_labels[middle].label);
    if (order == 0) return &mv_labels[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}

/* a, in any case, is the lower-case word b. */
static int is_word(mv_str a, const char *b) {
  if (a.len != strlen(b)) return 0;
  for (size_t i = 0; i < a.len; i++) {
    char c = a.ptr[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
    if (c != b[i]) return 0;
  }
  return 1;
}

/* Stored as 8 bits already: its Hounsfield scale is gone. */
static int lost_its_scale(const mv_intensity *w) {
  return mv_str_is(w->dataset, "KiPA22") && mv_str_is(w->task_id, "01") &&
         (mv_str_is(w->task_type, "Tumor-Lesion-Size") || mv_str_is(w->task_type, "Box-Size") ||
          mv_str_is(w->task_type, "Mask-Size"));
}

mv_status mv_intensity_window(const mv_intensity *what, int *width, int *level, mv_error *err) {
  *width = *level = 0;
  if (!is_word(what->modality, "ct") || !what->label.len || lost_its_scale(what)) return MV_OK;
  const mv_label *label = mv_label_find(what->label);
  if (!label || !label->group)
    return mv_fail(err, MV_ERR_USAGE,
                   "\"%.*s\": the benchmark's tables have no CT window for this label (leave the "
                   "modality out to map the slice by its percentiles)",
                   (int)(what->label.len < 80 ? what->label.len : 80), what->label.ptr);
  if (is_word(mv_str_of(label->group), "others")) return MV_OK;
  for (int i = 0; i < mv_n_ct_window; i++) {
    if (strcmp(mv_ct_windows[i].group, label->group) != 0) continue;
    *width = mv_ct_windows[i].width, *level = mv_ct_windows[i].level;
    return MV_OK;
  }
  return mv_fail(err, MV_ERR_USAGE, "\"%s\": this group of labels has no CT window", label->group);
}
