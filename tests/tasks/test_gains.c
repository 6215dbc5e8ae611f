/* What batching, prefix and image reuse, and drafts bring, alone and together: the contract's
 * prompts about pictures, several labels each, on the tiny checkpoint. Every answer must be the one
 * of asking one at a time with none of them. */
#include <string.h>
#include <time.h>

#include "runtime/file.h"
#include "runtime/medvision.h"
#include "tasks/prompts.h"
#include "tasks/teach.h"
#include "tests/check_main.h"
#include "vision/image.h"

enum { N_PICTURE = 6, N_LABEL = 4, N_TASK = 2, N_ASK = N_PICTURE * N_LABEL * N_TASK };

static mv_error err;
static int max_new = 400;
static mv_model *model;
static mv_image pictures[N_PICTURE];
static mv_buf prompts[N_ASK];
static mv_result want[N_ASK];

static void make_prompts(void) {
  static const char *const labels[N_LABEL] = {"tumor", "lesion", "cyst", "nodule"};
  for (int i = 0; i < N_ASK; i++) {
    mv_prompt p = {.task = i % N_TASK ? MV_TASK_SIZE : MV_TASK_DETECT,
                   .label = mv_str_of(labels[i / N_TASK % N_LABEL]),
                   .unit = mv_str_of("mm"),
                   .spacing = {.image_w = 168, .image_h = 168, .pixel_w = 0.7f, .pixel_h = 0.7f}};
    ck_assert_int_eq(mv_prompt_render(&p, &prompts[i], &err), MV_OK);
  }
}

/* Processor time, in ms: one thread works, and other programs do not count. */
static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* The tiny checkpoint's shape with the vocabulary of the real one, weights made up. */
static void write_wide(const char *dir) {
  static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json",
                                      "preprocessor_config.json", "generation_config.json"};
  for (int i = 0; i < 5; i++) {
    char from[64], to[128];
    mv_buf text = {0}, out = {0};
    snprintf(from, sizeof from, "weights/tiny/%s", files[i]);
    snprintf(to, sizeof to, "%s/%s", dir, files[i]);
    ck_assert_int_eq(mv_file_read(from, 1 << 20, &text, &err), MV_OK);
    char *vocab = i ? NULL : strstr(text.ptr, "\"vocab_size\": 512");
    if (i == 0) ck_assert_ptr_nonnull(vocab);
    mv_buf_add(&out, text.ptr, vocab ? (size_t)(vocab - text.ptr) : text.len);
    if (vocab) mv_buf_printf(&out, "\"vocab_size\": 152064%s", vocab + 17);
    FILE *f = fopen(to, "wb");
    ck_assert_ptr_nonnull(f);
    fwrite(out.ptr, 1, out.len, f);
    fclose(f);
    mv_buf_free(&text);
    mv_buf_free(&out);
  }
}

/* Answers everything; returns requests a second. */
static double ask_all(const char *name, mv_engine_options options, int compare) {
  mv_engine *engine;
  mv_ticket tickets[N_ASK];
  mv_engine_stats s;
  size_t n_left = 1;
  ck_assert_msg(mv_engine_new(&engine, model, &options, &err) == MV_OK, "%s", err.msg);
  ck_assert_int_eq(mv_teach_tasks(engine, mv_prompt_system(), &err), MV_OK);
  double start = now_ms();
  for (int i = 0; i < N_ASK; i++) {
    mv_request q;
    mv_request_init(&q);
    q.system = mv_prompt_system();
    q.prompt = mv_buf_view(&prompts[i]);
    q.images = &pictures[i / (N_LABEL * N_TASK)];
    q.n_image = 1;
    q.max_new_tokens = max_new;
    q.family = mv_str_of(mv_task_name(i % N_TASK ? MV_TASK_SIZE : MV_TASK_DETECT));
    ck_assert_msg(mv_engine_submit(engine, &q, &tickets[i], &err) == MV_OK, "%s", err.msg);
  }
  double submitted = now_ms() - start;
  while (n_left) ck_assert_int_eq(mv_engine_step(engine, &n_left, &err), MV_OK);
  double rate = N_ASK / (now_ms() - start) * 1e3;
  for (int i = 0; i < N_ASK; i++) {
    mv_result r;
    ck_assert_int_eq(mv_engine_poll(engine, &tickets[i], &r, &err), 1);
    ck_assert_int_eq(r.status, MV_OK);
    if (!compare) {
      want[i] = r;
      continue;
    }
    ck_assert_uint_eq(r.n_token, want[i].n_token);
    ck_assert_int_eq(memcmp(r.token_ids, want[i].token_ids, r.n_token * sizeof *r.token_ids), 0);
    mv_result_free(&r);
  }
  mv_engine_get_stats(engine, &s);
  printf(
      "  %-24s %6.1f requests/s (%.0f ms preparing of %.0f), %4llu steps, %2.0f %% of prompts "
      "known, %2llu images seen, %.2f tokens a run\n",
      name, rate, submitted, N_ASK / rate * 1e3, (unsigned long long)s.n_step,
      100.0 * (double)s.n_cached_token / (double)s.n_prompt_token,
      (unsigned long long)s.n_image_seen, (double)s.n_token / (double)s.n_verify);
  fflush(stdout);
  mv_engine_free(engine);
  return rate;
}

START_TEST(everything_together_is_faster_and_changes_no_token) {
  char wide[] = "/tmp/mv-gains-XXXXXX";
  mv_model_options options = {.dir = "weights/tiny", .device = "cpu", .n_thread = 1};
  if (_i) {
    ck_assert_ptr_nonnull(mkdtemp(wide));
    write_wide(wide);
    options.dir = wide;
    options.random = "config";
    max_new = 60; /* nothing ends such answers by itself */
  }
  ck_assert_msg(mv_model_open(&model, &options, &err) == MV_OK, "%s", err.msg);
  for (int i = 0; i < N_PICTURE; i++) {
    char path[64];
    snprintf(path, sizeof path, "tests/data/samples/phantom%d.png", i + 1);
    ck_assert_int_eq(mv_image_load(path, &pictures[i], &err), MV_OK);
  }
  make_prompts();
  const mv_engine_options none = {
      .max_batch = 1, .no_prefix_cache = 1, .no_vision_cache = 1, .no_speculation = 1};
  mv_engine_options batch = none, prefix = none, drafts = none, all = {.max_batch = 16};
  batch.max_batch = 16;
  prefix.no_prefix_cache = prefix.no_vision_cache = 0;
  drafts.no_speculation = 0;
  printf("%d requests about %d pictures, vocabulary of %d\n", N_ASK, N_PICTURE, _i ? 152064 : 512);
  double alone = ask_all("one at a time", none, 0);
  ask_all("batching", batch, 1);
  ask_all("prefix and image reuse", prefix, 1);
  ask_all("drafts", drafts, 1);
  double together = ask_all("all of them", all, 1);
  printf("  %.1f times as fast, every token the same\n", together / alone);
  if (_i) ck_assert_msg(together >= 1.5 * alone, "only %.2f times as fast", together / alone);
  for (int i = 0; i < N_ASK; i++) mv_result_free(&want[i]);
  for (int i = 0; i < N_ASK; i++) mv_buf_free(&prompts[i]);
  for (int i = 0; i < N_PICTURE; i++) mv_image_free(&pictures[i]);
  mv_model_close(model);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("gains");
  TCase *t = tcase_create("gains");
  tcase_set_timeout(t, 600);
  tcase_add_loop_test(t, everything_together_is_faster_and_changes_no_token, 0, 2);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
