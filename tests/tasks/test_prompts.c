/* Prompts, training targets and pixel sizes, byte for byte as the original renders them. */
#include "tasks/prompts.h"

#include "runtime/memory.h"
#include "runtime/pyfloat.h"
#include "tasks/cot_targets.h"
#include "tasks/geometry.h"
#include "tasks/prompt_strings.h"
#include "tests/check_main.h"
#include "tests/jsonl.h"

static void assert_text(const mv_buf *got, mv_str expected, const char *where) {
  mv_str text = mv_buf_view(got);
  size_t at = 0;
  while (at < text.len && at < expected.len && text.ptr[at] == expected.ptr[at]) at++;
  ck_assert_msg(mv_str_eq(text, expected), "%s: differs at byte %zu: '%.60s', expected '%.60s'",
                where, at, text.ptr + at, expected.ptr + at);
}

/* ---- the golden rows ---- */

static mv_task row_task(const mv_json *row) {
  mv_str variant = jsonl_text(row, "variant");
  if (variant.ptr[0] == 'd') return MV_TASK_DETECT;
  if (variant.ptr[0] == 't') return MV_TASK_SIZE;
  return mv_str_is(jsonl_text(row, "metric_type"), "angle") ? MV_TASK_ANGLE : MV_TASK_DISTANCE;
}

static mv_cot row_cot(const mv_json *row) {
  char variant[64] = {0};
  mv_str text = jsonl_text(row, "variant");
  memcpy(variant, text.ptr, text.len);
  if (strstr(variant, "wo_instruct")) return MV_COT_NO_STEPS;
  return strstr(variant, "_cot") ? MV_COT_STEPS : MV_COT_NONE;
}

static mv_spacing row_spacing(const mv_json *row) {
  mv_spacing s = {0};
  const mv_json *size = mv_json_get(row, "resized_hw");
  const mv_json *raw = mv_json_get(row, "raw_shape_hw"),
                *zooms = mv_json_get(row, "zooms_hw_f32hex");
  const mv_json *reshape = mv_json_get(row, "reshape_hw");
  if (!size) return s;
  int model[2], reshaped[2] = {0, 0};
  float pixel[2];
  for (size_t i = 0; i < 2; i++) {
    model[i] = (int)mv_json_at(size, i)->number;
    if (mv_json_is(reshape, MV_JSON_ARRAY)) reshaped[i] = (int)mv_json_at(reshape, i)->number;
    pixel[i] = mv_pixel_size(jsonl_f32(mv_json_at(zooms, i)), (int)mv_json_at(raw, i)->number,
                             reshaped[i], model[i]);
  }
  const mv_json *adjusted = mv_json_get(row, "adjusted_px_hw_f32hex");
  for (size_t i = 0; adjusted && i < 2; i++)
    ck_assert_uint_eq(mv_f32_bits(pixel[i]), mv_f32_bits(jsonl_f32(mv_json_at(adjusted, i))));
  return (mv_spacing){model[1], model[0], pixel[1], pixel[0]};
}

static mv_str row_unit(const mv_json *row) {
  const mv_json *unit = mv_json_get(row, "metric_unit");
  if (mv_json_is(unit, MV_JSON_ARRAY)) unit = unit->n_items == 1 ? unit->first : NULL;
  return unit ? unit->text : mv_str_of("");
}

static mv_prompt row_prompt(const mv_json *row) {
  mv_prompt p = {.task = row_task(row),
                 .cot = row_cot(row),
                 .description = jsonl_text(row, "image_description"),
                 .label = jsonl_text(row, "label_name"),
                 .name = jsonl_text(row, "metric_name"),
                 .unit = row_unit(row),
                 .spacing = row_spacing(row)};
  const mv_json *names = mv_json_get(row, "landmark_names");
  if (!names) names = mv_json_get(row, "landmarks");
  for (size_t i = 0; mv_json_at(names, i); i++) p.points[i] = mv_json_at(names, i)->text;
  return p;
}

static void check_prompt(const mv_json *row, const char *where) {
  mv_prompt prompt = row_prompt(row);
  mv_buf out = {0};
  mv_error err;
  if (mv_str_is(jsonl_text(row, "stack"), "sft")) prompt.wording = MV_WORDING_TRAINING;
  mv_status status = mv_prompt_render(&prompt, &out, &err);
  if (mv_json_is(mv_json_get(row, "error"), MV_JSON_STRING)) {
    ck_assert_msg(status == MV_ERR_USAGE, "%s: accepted", where);
    ck_assert_ptr_nonnull(strstr(err.msg, "expected mm, cm or degree"));
  } else {
    ck_assert_msg(status == MV_OK, "%s: %s", where, err.msg);
    assert_text(&out, jsonl_text(row, "prompt"), where);
  }
  mv_buf_free(&out);
}

START_TEST(renders_the_prompts_of_the_original) {
  ck_assert_int_gt(jsonl_each_golden("prompts.jsonl", check_prompt), 50);
}
END_TEST

/* ---- training targets ---- */

static mv_point row_point(const mv_json *row, mv_str name) {
  const mv_json *landmarks = mv_json_get(row, "landmarks"), *raw = mv_json_get(row, "raw_shape_hw");
  const mv_json *found = landmarks->first;
  while (!mv_str_eq(found->key, name)) found = found->next;
  double kept[2];
  int n = 0;
  for (int i = 0; i < 3; i++)
    if (i != jsonl_int(row, "slice_dim")) kept[n++] = mv_json_at(found, (size_t)i)->number;
  return mv_point_of_pixel(kept[0], kept[1], (int)mv_json_at(raw, 0)->number,
                           (int)mv_json_at(raw, 1)->number);
}

static void box_of(const mv_json *row, double box[4]) {
  int min[2], max[2];
  for (size_t i = 0; i < 2; i++) {
    min[i] = (int)mv_json_at(mv_json_get(row, "box_min"), i)->number;
    max[i] = (int)mv_json_at(mv_json_get(row, "box_max"), i)->number;
  }
  const mv_json *size = mv_json_get(row, "image_size_2d");
  mv_box_of_pixels(min, max, (int)mv_json_at(size, 0)->number, (int)mv_json_at(size, 1)->number,
                   box);
}

static mv_cot_target row_target(const mv_json *row, const mv_prompt *prompt) {
  mv_cot_target t = {.task = prompt->task, .label = prompt->label, .spacing = prompt->spacing};
  const mv_json *order = mv_json_get(row, "landmark_order");
  if (t.task == MV_TASK_DETECT) {
    double box[4];
    box_of(row, box);
    t.points[0] = (mv_point){box[0], box[1]};
    t.points[1] = (mv_point){box[2], box[3]};
    return t;
  }
  for (int i = 0; i < mv_task_landmarks(t.task); i++) {
    char name[3] = {'P', (char)('1' + i), 0};
    t.names[i] = prompt->points[i];
    t.points[i] = row_point(row, order ? mv_json_at(order, (size_t)i)->text : mv_str_of(name));
  }
  return t;
}

static void render_bare(const mv_json *row, mv_task task, mv_buf *out) {
  double values[MV_TASK_MAX_VALUES];
  const mv_json *gt = mv_json_get(row, "gt");
  if (task == MV_TASK_DETECT) {
    box_of(row, values);
  } else {
    values[0] = mv_json_is(gt, MV_JSON_ARRAY) ? gt->first->number : gt->number;
    if (task == MV_TASK_SIZE) values[1] = gt->first->next->number;
  }
  mv_bare_target_render(task, values, out);
}

static void check_target(const mv_json *row, const char *where) {
  mv_prompt prompt = row_prompt(row);
  mv_buf out = {0};
  mv_error err;
  prompt.wording = MV_WORDING_TRAINING;
  ck_assert_msg(mv_prompt_render(&prompt, &out, &err) == MV_OK, "%s: %s", where, err.msg);
  assert_text(&out, jsonl_text(row, "prompt"), where);
  mv_buf_clear(&out);
  if (prompt.cot == MV_COT_STEPS) {
    mv_cot_target target = row_target(row, &prompt);
    ck_assert_int_eq(mv_cot_target_render(&target, &out, &err), MV_OK);
  } else {
    render_bare(row, prompt.task, &out);
  }
  assert_text(&out, jsonl_text(row, "target"), where);
  mv_buf_free(&out);
}

START_TEST(renders_the_training_targets_of_the_original) {
  ck_assert_int_gt(jsonl_each_golden("cot_targets.jsonl", check_target), 12);
}
END_TEST

/* ---- pixel sizes ---- */

static void check_pixel_size(const mv_json *row, const char *where) {
  const mv_json *reshape = mv_json_get(row, "reshape_n");
  float size = mv_pixel_size(jsonl_f32(mv_json_get(row, "zoom_f32hex")), jsonl_int(row, "raw_n"),
                             mv_json_is(reshape, MV_JSON_INT) ? (int)reshape->number : 0,
                             jsonl_int(row, "resized_n"));
  uint32_t expected = mv_f32_bits(jsonl_f32(mv_json_get(row, "adjusted_f32hex")));
  ck_assert_msg(mv_f32_bits(size) == expected, "%s: %08x, expected %08x", where, mv_f32_bits(size),
                expected);
  mv_buf text = {0};
  mv_pyfloat_fixed3(&text, (double)size);
  assert_text(&text, jsonl_text(row, "text"), where);
  mv_buf_free(&text);
}

START_TEST(computes_pixel_sizes_bit_for_bit) {
  ck_assert_int_gt(jsonl_each_golden("pixel_size.jsonl", check_pixel_size), 150);
}
END_TEST

/* ---- the strings ---- */

START_TEST(strings_are_those_of_the_table) {
  static const struct {
    const char *key, *text;
  } rows[] = {{"SYSTEM_PROMPT", mv_system_prompt},
              {"COT_INSTRUCT_DETECTION", mv_cot_instruct_detection},
              {"COT_INSTRUCT_TL_NORM", mv_cot_instruct_tl_norm},
              {"COT_INSTRUCT_DISTANCE", mv_cot_instruct_distance},
              {"COT_INSTRUCT_ANGLE", mv_cot_instruct_angle},
              {"FORMAT_PROMPT_BOX_COORDINATES", mv_format_prompt_box_coordinates},
              {"FORMAT_PROMPT_DETECTION_REASONING", mv_format_prompt_detection_reasoning},
              {"FORMAT_PROMPT_TUMOR_LESION_SIZE", mv_format_prompt_tumor_lesion_size},
              {"FORMAT_PROMPT_TL_REASONING", mv_format_prompt_tl_reasoning},
              {"FORMAT_PROMPT_BIOMETRICS", mv_format_prompt_biometrics},
              {"FORMAT_PROMPT_AD_REASONING", mv_format_prompt_ad_reasoning},
              {"COT_TEMPLATE_DETECTION", mv_cot_template_detection},
              {"COT_TEMPLATE_TL_NORM", mv_cot_template_tl_norm},
              {"COT_TEMPLATE_DISTANCE", mv_cot_template_distance},
              {"COT_TEMPLATE_ANGLE", mv_cot_template_angle}};
  mv_buf file = {0};
  mv_json_doc doc = {0};
  ck_assert_int_eq(mv_file_read("weights/tiny/prompt_strings.json", 1 << 20, &file, NULL), MV_OK);
  ck_assert_int_eq(mv_json_parse(&doc, mv_buf_view(&file), NULL), MV_OK);
  ck_assert_uint_eq(doc.root->n_items, sizeof rows / sizeof *rows);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    ck_assert_msg(mv_str_is(jsonl_text(doc.root, rows[i].key), rows[i].text), "%s", rows[i].key);
  mv_json_doc_free(&doc);
  mv_buf_free(&file);
}
END_TEST

static mv_prompt example(mv_task task) {
  return (mv_prompt){.task = task,
                     .label = mv_str_of("tumor"),
                     .unit = mv_unit_default(task),
                     .points = {mv_str_of("A"), mv_str_of("B"), mv_str_of("C"), mv_str_of("D")},
                     .spacing = {504, 504, 0.7f, 0.7f}};
}

START_TEST(a_box_without_steps_has_the_bare_prompt) {
  mv_prompt prompt = example(MV_TASK_DETECT);
  mv_buf bare = {0}, no_steps = {0};
  prompt.cot = MV_COT_NONE;
  ck_assert_int_eq(mv_prompt_render(&prompt, &bare, NULL), MV_OK);
  prompt.cot = MV_COT_NO_STEPS;
  ck_assert_int_eq(mv_prompt_render(&prompt, &no_steps, NULL), MV_OK);
  ck_assert_str_eq(bare.ptr, no_steps.ptr);
  mv_buf_free(&bare);
  mv_buf_free(&no_steps);
}
END_TEST

START_TEST(percent_signs_in_names_are_text) {
  mv_prompt prompt = example(MV_TASK_DISTANCE);
  mv_buf out = {0};
  prompt.points[0] = mv_str_of("%2 %s <x1>");
  ck_assert_int_eq(mv_prompt_render(&prompt, &out, NULL), MV_OK);
  ck_assert_ptr_nonnull(strstr(out.ptr, "(landmark 1) %2 %s <x1>, (landmark 2) B.\n"));
  mv_buf_free(&out);
}
END_TEST

START_TEST(odd_numbers_print_as_python_prints_them) {
  mv_cot_target target = {.task = MV_TASK_ANGLE, .spacing = {504, 504, 1, 1}};
  target.points[1] = (mv_point){-1e-5, 0.5};
  mv_buf out = {0};
  ck_assert_int_eq(mv_cot_target_render(&target, &out, NULL), MV_OK); /* line 2 has no length */
  ck_assert_ptr_nonnull(strstr(out.ptr, "(-0.000 - 0.000)"));
  ck_assert_ptr_nonnull(strstr(out.ptr, "= nan = nan degrees."));
  ck_assert_ptr_null(strstr(out.ptr, "-nan"));
  mv_buf_free(&out);
}
END_TEST

static int fail_kth(size_t n_bytes, void *user) {
  (void)n_bytes;
  int *left = user;
  return (*left)-- != 0;
}

START_TEST(survives_every_failing_allocation) {
  mv_prompt prompt = example(MV_TASK_ANGLE);
  mv_status status = MV_ERR_MEMORY;
  int k = 0;
  for (; status != MV_OK && k < 1000; k++) {
    mv_buf out = {0};
    int left = k;
    mv_alloc_set_hook(fail_kth, &left);
    status = mv_prompt_render(&prompt, &out, NULL);
    mv_alloc_set_hook(NULL, NULL);
    ck_assert(status == MV_OK || status == MV_ERR_MEMORY);
    mv_buf_free(&out);
  }
  ck_assert_int_eq(status, MV_OK);
  ck_assert_int_gt(k, 3);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("prompts");
  TCase *t = tcase_create("prompts");
  tcase_set_timeout(t, 60);
  tcase_add_test(t, renders_the_prompts_of_the_original);
  tcase_add_test(t, renders_the_training_targets_of_the_original);
  tcase_add_test(t, computes_pixel_sizes_bit_for_bit);
  tcase_add_test(t, strings_are_those_of_the_table);
  tcase_add_test(t, a_box_without_steps_has_the_bare_prompt);
  tcase_add_test(t, percent_signs_in_names_are_text);
  tcase_add_test(t, odd_numbers_print_as_python_prints_them);
  tcase_add_test(t, survives_every_failing_allocation);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
