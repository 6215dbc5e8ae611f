/* A measurement as people and programs read it, from answers written here. */
#include <string.h>
#include <unistd.h>

#include "runtime/file.h"
#include "tasks/cli_measure.h"
#include "tests/check_main.h"

#define PICTURE "tests/data/vision/image_path-00005.png" /* a grey slice, 512 x 512 */

static const char size_answer[] =
    "<think> <step-1-reasoning> r1 </step-1-reasoning> <step-1-answer> The endpoints: (0.4, 0.5), "
    "(0.6, 0.5). </step-1-answer> <step-2-answer> (0.5, 0.45), (0.5, 0.55) </step-2-answer> "
    "</think> <answer> (50.000, 25.500) </answer>";

/* A measurement of a slice whose model answered `text`; free with mv_measured_free. */
static void answered(mv_measured *m, mv_task task, const char *text) {
  mv_error err = {0};
  mv_preprocessor pp;
  mv_preprocessor_default(&pp);
  memset(m, 0, sizeof *m);
  m->question = (mv_manifest){.has_task = 1,
                              .task = task,
                              .image = mv_str_of(PICTURE),
                              .has_pixel_size = 1,
                              .pixel_w = 0.5f,
                              .pixel_h = 0.5f,
                              .has_reshape = 1,
                              .reshape_h = 504,
                              .reshape_w = 504,
                              .n_point = task == MV_TASK_DISTANCE ? 2 : 0};
  if (task <= MV_TASK_SIZE) m->question.label = mv_str_of("tumor");
  m->question.points[0] = mv_str_of("left \033[31meye");
  m->question.points[1] = mv_str_of("right eye");
  ck_assert_msg(mv_picture_load(&m->picture, &m->question, &pp, &err) == MV_OK, "%s", err.msg);
  m->picture.frame.spacing.pixel_w = m->picture.frame.spacing.pixel_h = 0.5f;
  mv_status status = mv_manifest_prompt(&m->question, &m->picture.frame, &m->prompt, &err);
  ck_assert_msg(status == MV_OK, "%s", err.msg);
  mv_buf_text(&m->result.text, text);
  m->result.n_logprob = -1;
  m->result.n_token = 7;
  status = mv_answer_read(&m->answer, task, &m->picture.frame.spacing, mv_buf_view(&m->result.text),
                          &err);
  ck_assert_msg(status == MV_OK, "%s", err.msg);
}

static void prints(mv_task task, const char *text, const char *expected) {
  mv_measured m;
  mv_buf out = {0};
  answered(&m, task, text);
  mv_measured_print(&m, 1, NULL, &out);
  ck_assert_str_eq(out.ptr, expected);
  mv_buf_free(&out);
  mv_measured_free(&m);
}

START_TEST(prints_values_beside_what_the_landmarks_give) {
  prints(MV_TASK_SIZE, size_answer,
         PICTURE
         "  tumor\n"
         "  major axis     50.00 mm   (recomputed from its landmarks 50.40 mm)\n"
         "  minor axis     25.50 mm   (recomputed from its landmarks 25.20 mm)\n");
}
END_TEST

START_TEST(prints_corners_of_a_box) {
  prints(MV_TASK_DETECT, "<answer>0.1,0.2,0.3,0.45</answer>",
         PICTURE
         "  tumor\n"
         "  lower left   (0.100, 0.200)\n"
         "  upper right  (0.300, 0.450)\n");
}
END_TEST

START_TEST(keeps_control_characters_from_the_terminal) {
  prints(MV_TASK_DISTANCE, "\033[2J no numbers",
         PICTURE
         "  left \xEF\xBF\xBD[31meye to right eye\n"
         "  no answer: expected 1 number inside <answer>...</answer>\n"
         "  the model said: \xEF\xBF\xBD[2J no numbers\n");
}
END_TEST

START_TEST(shows_landmarks_and_a_start_of_the_text_without_an_answer) {
  mv_measured m;
  mv_buf out = {0};
  char text[4096];
  const char *end = strstr(size_answer, "</think>");
  int n = (int)(end - size_answer);
  snprintf(text, sizeof text, "%.*s%3000s", n, size_answer, "x");
  answered(&m, MV_TASK_SIZE, text);
  m.result.finish = MV_FINISH_LENGTH;
  mv_measured_print(&m, 1, "seen.png", &out);
  ck_assert_ptr_nonnull(strstr(out.ptr, "; cut off after 7 tokens\n"));
  ck_assert_ptr_nonnull(strstr(out.ptr, "  its landmarks give 50.40 x 25.20 mm\n"));
  ck_assert_ptr_nonnull(strstr(out.ptr, " bytes more: see --json)\n"));
  ck_assert_ptr_nonnull(strstr(out.ptr, "  overlay      seen.png\n"));
  ck_assert_uint_lt(out.len, 1100);
  mv_buf_free(&out);
  mv_measured_free(&m);
}
END_TEST

START_TEST(writes_the_documented_members) {
  mv_measured m;
  mv_buf out = {0};
  mv_json_writer w = {.out = &out, .compact = 1};
  answered(&m, MV_TASK_SIZE, size_answer);
  mv_json_begin_object(&w);
  mv_measured_write(&m, &w);
  mv_json_end_object(&w);
  const char *start = "{\"task\":\"size\",\"image\":\"" PICTURE
                      "\",\"label\":\"tumor\",\"unit\":\"millimeters\",\"image_size\":[504,504],"
                      "\"pixel_size\":[0.5,0.5],\"values\":[50.0,25.5],\"parsed\":true,"
                      "\"answer\":\"50.000,25.500\",\"answer_text\":\"(50.000, 25.500)\","
                      "\"response\":\"<think> ";
  ck_assert_msg(strncmp(out.ptr, start, strlen(start)) == 0, "%.600s", out.ptr);
  ck_assert_ptr_nonnull(strstr(out.ptr,
                               "\"landmarks\":[[0.4,0.5],[0.6,0.5],[0.5,0.45],"
                               "[0.5,0.55]],\"recomputed\":["));
  mv_json_doc doc = {0};
  ck_assert_int_eq(mv_json_parse(&doc, mv_buf_view(&out), NULL), MV_OK);
  ck_assert_uint_eq(doc.root->n_items, 19);
  mv_json_doc_free(&doc);
  mv_buf_free(&out);
  mv_measured_free(&m);
}
END_TEST

static void temporary(char path[64]) {
  snprintf(path, 64, "/tmp/mv_test_measure_%ld.png", (long)getpid());
}

/* The overlay of `text` as RGB pixels that differ from the picture without marks. */
static int marked_pixels(mv_task task, const char *text) {
  char path[64];
  mv_measured m;
  mv_image drawn = {0};
  mv_error err = {0};
  temporary(path);
  answered(&m, task, text);
  ck_assert_int_eq(mv_measured_save_overlay(&m, path, MV_RESAMPLER_TORCHVISION, &err), MV_OK);
  ck_assert_int_eq(mv_image_load(path, &drawn, &err), MV_OK);
  unlink(path);
  ck_assert_int_eq(drawn.width % 504, 0);      /* small pictures are enlarged */
  ck_assert_int_gt(drawn.height, drawn.width); /* captions */
  int n = 0;
  for (int i = 0; i < drawn.width * drawn.width; i++)
    n += drawn.px[3 * i] != drawn.px[3 * i + 2]; /* not grey */
  mv_image_free(&drawn);
  mv_measured_free(&m);
  return n;
}

START_TEST(draws_what_was_answered_and_nothing_without_an_answer) {
  ck_assert_int_gt(marked_pixels(MV_TASK_SIZE, size_answer), 200);
  ck_assert_int_gt(marked_pixels(MV_TASK_DETECT, "<answer>0.1,0.2,0.3,0.45</answer>"), 200);
  ck_assert_int_eq(marked_pixels(MV_TASK_DETECT, "nothing"), 0);
  ck_assert_int_eq(marked_pixels(MV_TASK_SIZE, "<answer>1,2</answer>"), 0);
}
END_TEST

static int fail_at;
static int fail_one(size_t n_bytes, void *user) {
  (void)n_bytes, (void)user;
  return fail_at-- != 0;
}

START_TEST(survives_every_failing_allocation_of_an_overlay) {
  char path[64];
  mv_measured m;
  temporary(path);
  answered(&m, MV_TASK_SIZE, size_answer);
  for (int k = 0;; k++) {
    mv_error err = {0};
    fail_at = k;
    mv_alloc_set_hook(fail_one, NULL);
    mv_status status = mv_measured_save_overlay(&m, path, MV_RESAMPLER_TORCHVISION, &err);
    mv_alloc_set_hook(NULL, NULL);
    if (fail_at >= 0) {
      ck_assert_int_eq(status, MV_OK);
      break;
    }
    ck_assert_int_ne(status, MV_OK);
    ck_assert(!mv_file_exists(path));
  }
  unlink(path);
  mv_measured_free(&m);
}
END_TEST

START_TEST(survives_every_failing_allocation_of_a_picture) {
  mv_manifest question = {
      .image = mv_str_of(PICTURE), .has_reshape = 1, .reshape_h = 56, .reshape_w = 84};
  mv_preprocessor pp;
  mv_preprocessor_default(&pp);
  for (int k = 0;; k++) {
    mv_picture picture = {0};
    mv_error err = {0};
    fail_at = k;
    mv_alloc_set_hook(fail_one, NULL);
    mv_status status = mv_picture_load(&picture, &question, &pp, &err);
    mv_alloc_set_hook(NULL, NULL);
    mv_picture_free(&picture);
    if (fail_at >= 0) {
      ck_assert_int_eq(status, MV_OK);
      break;
    }
    ck_assert_int_ne(status, MV_OK);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("measure");
  TCase *tc = tcase_create("measure");
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, prints_values_beside_what_the_landmarks_give);
  tcase_add_test(tc, prints_corners_of_a_box);
  tcase_add_test(tc, keeps_control_characters_from_the_terminal);
  tcase_add_test(tc, shows_landmarks_and_a_start_of_the_text_without_an_answer);
  tcase_add_test(tc, writes_the_documented_members);
  tcase_add_test(tc, draws_what_was_answered_and_nothing_without_an_answer);
  tcase_add_test(tc, survives_every_failing_allocation_of_an_overlay);
  tcase_add_test(tc, survives_every_failing_allocation_of_a_picture);
  suite_add_tcase(s, tc);
  return s;
}

MV_CHECK_MAIN(suite)
