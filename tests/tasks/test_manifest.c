/* Manifest lines: what they may hold, what they need, and one clear sentence where they do not. */
#include "tasks/manifest.h"

#include "tests/check_main.h"
#include "tests/jsonl.h"

static mv_json_doc doc;
static mv_error err;

static mv_status read(const char *line, mv_manifest *m) {
  ck_assert_msg(mv_json_parse(&doc, mv_str_of(line), &err) == MV_OK, "%s: %s", line, err.msg);
  return mv_manifest_read(doc.root, m, &err);
}

START_TEST(reads_every_member) {
  mv_manifest m;
  ck_assert_int_eq(
      read("{\"id\": {\"a\": 1}, \"task\": \"angle\", \"volume\": \"v.nii.gz\", \"plane\": "
           "\"coronal\", \"index\": 57, \"image_size\": [182, 218], \"pixel_size\": [0.7, 1], "
           "\"reshape\": [256, 128], \"label\": 3, \"description\": \"MR\", \"name\": \"n\", "
           "\"unit\": [\"degree\"], \"line1\": [\"A\", \"B\"], \"line2\": [\"C\", \"D\"], "
           "\"cot\": \"no-steps\", \"truth\": [1, 2.5], \"dataset\": \"KiPA22\", \"taskID\": "
           "\"01\", \"taskType\": \"Box-Size\", \"label_name\": \"kidney\", \"modality\": \"CT\", "
           "\"other\": 1}",
           &m),
      MV_OK);
  ck_assert(m.has_task && m.task == MV_TASK_ANGLE && m.id->n_items == 1);
  ck_assert(mv_str_is(m.volume, "v.nii.gz") && m.plane == MV_PLANE_CORONAL && m.index == 57);
  ck_assert(m.image_w == 182 && m.image_h == 218 && m.image.len == 0);
  ck_assert(m.has_pixel_size && m.pixel_w == 0.7f && m.pixel_h == 1.0f);
  ck_assert(m.has_reshape && m.reshape_h == 256 && m.reshape_w == 128);
  ck_assert(mv_str_is(m.label, "3") && mv_str_is(m.unit, "degree") && mv_str_is(m.name, "n"));
  ck_assert(m.n_point == 4 && mv_str_is(m.points[0], "A") && mv_str_is(m.points[3], "D"));
  ck_assert(m.cot == MV_COT_NO_STEPS && m.n_truth == 2 && m.truth[1] == 2.5);
  ck_assert(mv_str_is(m.dataset, "KiPA22") && mv_str_is(m.task_id, "01"));
  ck_assert(mv_str_is(m.task_type, "Box-Size") && mv_str_is(m.label_name, "kidney"));
  ck_assert(mv_str_is(m.modality, "CT") && mv_str_is(m.description, "MR"));
}
END_TEST

START_TEST(null_and_absence_are_the_same_but_for_reshape) {
  mv_manifest m;
  ck_assert_int_eq(read("{\"task\": null, \"image\": null, \"unit\": null, \"label\": null, "
                        "\"pixel_size\": null, \"cot\": null, \"truth\": null, \"reshape\": null}",
                        &m),
                   MV_OK);
  ck_assert(!m.has_task && !m.image.len && !m.unit.ptr && !m.has_pixel_size && !m.n_truth);
  ck_assert(m.cot == MV_COT_STEPS && m.has_reshape && m.reshape_h == 0 && m.id == NULL);
  ck_assert_int_eq(read("{}", &m), MV_OK);
  ck_assert(!m.has_reshape && m.cot == MV_COT_STEPS);
}
END_TEST

START_TEST(refuses_members_of_the_wrong_kind) {
  static const struct {
    const char *line, *message;
  } rows[] = {
      {"[1]", "expected an object, found an array"},
      {"{\"task\": 5}", "\"task\": expected a string, found an integer"},
      {"{\"task\": \"sizes\"}", "\"task\": expected detect, size, distance or angle, found"},
      {"{\"image\": 5}", "\"image\": expected a string"},
      {"{\"image\": \"a\", \"volume\": \"b\"}", "\"image\" and \"volume\" are both there"},
      {"{\"volume\": \"b\"}", "\"plane\": a volume needs"},
      {"{\"volume\": \"b\", \"plane\": \"AXIAL\", \"index\": 1}", "\"plane\": a volume needs"},
      {"{\"volume\": \"b\", \"plane\": \"axial\"}",
       "\"index\": expected an integer, found nothing"},
      {"{\"volume\": \"b\", \"plane\": \"axial\", \"index\": -1}", "\"index\": expected 0 to"},
      {"{\"volume\": \"b\", \"plane\": \"axial\", \"index\": 1.0}",
       "\"index\": expected an integer"},
      {"{\"image_size\": 5}", "\"image_size\": expected [width, height]"},
      {"{\"image_size\": [5]}", "found an array of 1"},
      {"{\"image_size\": [0, 5]}", "\"image_size\": expected 1 to 65535, found 0"},
      {"{\"image_size\": [1e2, 5]}", "\"image_size\": expected an integer, found a number"},
      {"{\"image_size\": [99999999999999999999, 5]}", "\"image_size\": expected 1 to 65535"},
      {"{\"pixel_size\": 0.7}", "\"pixel_size\": expected [width, height] in mm"},
      {"{\"pixel_size\": [0.7, \"1\"]}", "\"pixel_size\": expected [width, height] in mm"},
      {"{\"pixel_size\": [0.7, 0]}", "two positive numbers, found 0"},
      {"{\"pixel_size\": [NaN, 1]}", "two positive numbers, found"},
      {"{\"pixel_size\": [1e999, 1]}", "two positive numbers, found inf"},
      {"{\"reshape\": true}", "\"reshape\": expected [height, width]"},
      {"{\"reshape\": [512, 512, 3]}", "found an array of 3"},
      {"{\"label\": [1]}", "\"label\": expected a string or an integer, found an array"},
      {"{\"description\": 1}", "\"description\": expected a string"},
      {"{\"unit\": []}", "\"unit\": expected one, found a list of 0"},
      {"{\"unit\": [\"mm\", \"cm\"]}", "\"unit\": expected one, found a list of 2"},
      {"{\"unit\": 5}", "\"unit\": expected mm, cm or degree, found an integer"},
      {"{\"landmarks\": [\"A\"]}", "\"landmarks\": expected two names"},
      {"{\"landmarks\": [\"A\", 5]}", "\"landmarks\": expected two names"},
      {"{\"line1\": \"A\"}", "\"line1\": expected two names"},
      {"{\"landmarks\": [\"A\", \"B\"], \"line1\": [\"A\", \"B\"]}", "leave one of them out"},
      {"{\"cot\": 1}", "\"cot\": expected true, false or \"no-steps\", found an integer"},
      {"{\"truth\": []}", "\"truth\": expected a number or an array of one to four"},
      {"{\"truth\": [1, 2, 3, 4, 5]}", "found an array of 5"},
      {"{\"truth\": [1, \"2\"]}", "\"truth\": expected a number"},
      {"{\"taskID\": 1.5}", "\"taskID\": expected a string or an integer"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    mv_manifest m;
    ck_assert_msg(read(rows[i].line, &m) == MV_ERR_USAGE, "accepted %s", rows[i].line);
    ck_assert_msg(strstr(err.msg, rows[i].message) != NULL, "%s: %s", rows[i].line, err.msg);
  }
}
END_TEST

/* ---- sizes and prompts ---- */

static mv_status prompt_of(const char *line, int raw_w, int raw_h, mv_frame *frame, mv_buf *out) {
  mv_manifest m;
  mv_prompt prompt;
  mv_preprocessor pp;
  mv_preprocessor_default(&pp);
  mv_buf_clear(out);
  MV_TRY(read(line, &m));
  MV_TRY(mv_manifest_frame(&m, raw_w, raw_h, &pp, frame, &err));
  MV_TRY(mv_manifest_prompt(&m, frame, &prompt, &err));
  return mv_prompt_render(&prompt, out, &err);
}

START_TEST(states_sizes_as_the_model_sees_them) {
  mv_buf out = {0};
  mv_frame frame;
  const char *line =
      "{\"task\": \"size\", \"label\": \"tumor\", \"image_size\": [218, 182], "
      "\"pixel_size\": [1, 1]}";
  ck_assert_int_eq(prompt_of(line, 0, 0, &frame, &out), MV_OK);
  ck_assert_int_eq(frame.reshape_h, 512);
  ck_assert_ptr_nonnull(strstr(out.ptr, "The image size is 504 pixels (width) x 504 pixels"));
  ck_assert_ptr_nonnull(strstr(out.ptr, "0.433 millimeters (width) x 0.361 millimeters (height)."));
  line =
      "{\"task\": \"angle\", \"line1\": [\"A\", \"B\"], \"line2\": [\"A\", \"C\"], \"image\": "
      "\"x\", \"pixel_size\": [1, 1]}";
  ck_assert_int_eq(prompt_of(line, 1008, 504, &frame, &out), MV_OK);
  ck_assert_int_eq(frame.reshape_h, 504);
  ck_assert_ptr_nonnull(strstr(out.ptr,
                               "angle between 2 lines in degrees: (line 1) the line "
                               "connecting A and B, (line 2) the line connecting A and C"));
  ck_assert_ptr_nonnull(strstr(out.ptr, "2.000 millimeters (width) x 1.000 millimeters (height)"));
  line =
      "{\"task\": \"distance\", \"landmarks\": [\"A\", \"B\"], \"unit\": \"cm\", \"reshape\": "
      "null, \"image\": \"x\", \"pixel_size\": [1, 1], \"cot\": false}";
  ck_assert_int_eq(prompt_of(line, 300, 200, &frame, &out), MV_OK);
  ck_assert_int_eq(frame.reshape_h, 0);
  ck_assert_ptr_nonnull(strstr(out.ptr, "The image size is 308 pixels (width) x 196 pixels"));
  ck_assert_ptr_nonnull(strstr(out.ptr, "0.974 centimeters (width) x 1.020 centimeters (height)"));
  mv_buf_free(&out);
}
END_TEST

START_TEST(says_what_a_task_needs) {
  static const struct {
    const char *line, *message;
  } rows[] = {
      {"{\"image_size\": [9, 9]}", "\"task\": expected"},
      {"{\"task\": \"detect\", \"label\": \"x\"}", "give one of them"},
      {"{\"task\": \"detect\", \"image_size\": [9, 9]}", "\"label\": detect needs"},
      {"{\"task\": \"size\", \"label\": \"\", \"image_size\": [9, 9]}", "\"label\": size needs"},
      {"{\"task\": \"size\", \"label\": \"x\", \"image_size\": [9, 9]}",
       "\"pixel_size\": size needs"},
      {"{\"task\": \"distance\", \"image_size\": [9, 9]}", "\"landmarks\": distance needs"},
      {"{\"task\": \"distance\", \"line1\": [\"A\", \"B\"], \"line2\": [\"A\", \"B\"], "
       "\"image_size\": [9, 9]}",
       "\"landmarks\": distance needs"},
      {"{\"task\": \"angle\", \"line1\": [\"A\", \"B\"], \"image_size\": [9, 9]}", "angle needs"},
      {"{\"task\": \"angle\", \"line2\": [\"A\", \"B\"], \"image_size\": [9, 9]}", "angle needs"},
      {"{\"task\": \"size\", \"label\": \"x\", \"unit\": \"inch\", \"image_size\": [9, 9], "
       "\"pixel_size\": [1, 1]}",
       "unit \"inch\": expected mm, cm or degree"},
      {"{\"task\": \"size\", \"label\": \"x\", \"unit\": \"\", \"image_size\": [9, 9], "
       "\"pixel_size\": [1, 1]}",
       "unit \"\": expected mm, cm or degree"}};
  mv_buf out = {0};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    mv_frame frame;
    ck_assert_msg(prompt_of(rows[i].line, 0, 0, &frame, &out) == MV_ERR_USAGE, "accepted %s",
                  rows[i].line);
    ck_assert_msg(strstr(err.msg, rows[i].message) != NULL, "%s: %s", rows[i].line, err.msg);
  }
  mv_frame frame;
  ck_assert_int_eq(prompt_of("{\"task\": \"detect\", \"label\": \"x\", \"image_size\": [9999, 9], "
                             "\"reshape\": null}",
                             0, 0, &frame, &out),
                   MV_ERR_SHAPE);
  mv_buf_free(&out);
}
END_TEST

static void teardown(void) { mv_json_doc_free(&doc); }

static Suite *suite(void) {
  Suite *s = suite_create("manifest");
  TCase *t = tcase_create("manifest");
  tcase_add_checked_fixture(t, NULL, teardown);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, reads_every_member);
  tcase_add_test(t, null_and_absence_are_the_same_but_for_reshape);
  tcase_add_test(t, refuses_members_of_the_wrong_kind);
  tcase_add_test(t, states_sizes_as_the_model_sees_them);
  tcase_add_test(t, says_what_a_task_needs);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
