/* What a request may ask, what it is refused, and what an engine keeps between requests. */
#include <math.h>
#include <unistd.h>

#include "runtime/memory.h"
#include "tests/check_main.h"
#include "tests/runtime/reference.h"
#include "tokenizer/tokenizer.h"
#include "weights/checkpoint.h"

static mv_error err;
static mv_model *model;
static mv_engine *engine;
static mv_image picture;

static void open_engine(void) {
  model = open_reference(1, MV_PRECISION_FP32);
  engine = new_engine(model);
  picture = load_picture(REFERENCE "images/small90x60.png");
}

static void close_engine(void) {
  mv_image_free(&picture);
  mv_engine_free(engine);
  mv_model_close(model);
}

/* One picture, one question, n tokens. */
static mv_request question(int n) {
  mv_request q;
  mv_request_init(&q);
  q.prompt = mv_str_of("How long is the major axis of the lesion?");
  q.images = &picture;
  q.n_image = 1;
  q.max_new_tokens = n;
  return q;
}

static mv_result ask(const mv_request *q) {
  mv_result r;
  ck_assert_msg(mv_engine_generate(engine, q, &r, &err) == MV_OK, "%s", err.msg);
  return r;
}

static void assert_same_answer(const mv_result *a, const mv_result *b) {
  ck_assert_uint_eq(a->n_token, b->n_token);
  ck_assert_int_eq(memcmp(a->token_ids, b->token_ids, a->n_token * sizeof *a->token_ids), 0);
  ck_assert_str_eq(a->text.ptr, b->text.ptr);
}

/* ---- answers ---- */

START_TEST(an_answer_is_whole) {
  mv_request q = question(10);
  mv_result r = ask(&q);
  ck_assert_uint_eq(r.n_token, 10);
  ck_assert_int_eq(r.finish, MV_FINISH_LENGTH);
  ck_assert_uint_gt(r.n_prompt, r.n_image_token);
  ck_assert_uint_eq(r.n_image_token, 2 * 3); /* 90 x 60 becomes 84 x 56 */
  ck_assert_int_eq(r.n_logprob, -1);
  ck_assert_ptr_null(r.logprobs);
  ck_assert_ptr_null(r.top);
  ck_assert(r.timings.total_ms > 0 && r.timings.ttft_ms > 0);
  ck_assert(r.timings.ttft_ms <= r.timings.total_ms);
  ck_assert(r.timings.vision_ms > 0 && r.timings.vision_ms <= r.timings.ttft_ms);
  ck_assert(r.timings.prefill_ms > 0 && r.timings.prefill_ms <= r.timings.ttft_ms);
  mv_buf text = {0};
  ck_assert_int_eq(mv_tokenizer_decode(mv_model_tokenizer(model), r.token_ids, r.n_token,
                                       MV_DECODE_SKIP_SPECIAL, &text, &err),
                   MV_OK);
  ck_assert_str_eq(text.ptr, r.text.ptr);
  mv_buf_free(&text);
  mv_result_free(&r);
  ck_assert_ptr_null(r.token_ids);
  mv_result_free(&r); /* twice is harmless */
}
END_TEST

/* Long after short, short after long, image after text: nothing of one request is in the next. */
START_TEST(a_request_leaves_no_trace_in_the_next) {
  mv_request q = question(12), text = question(30), longer = question(3);
  char words[1200];
  for (size_t i = 0; i < sizeof words - 1; i++) words[i] = i % 7 ? (char)('a' + i % 11) : ' ';
  words[sizeof words - 1] = 0;
  text.n_image = 0;
  longer.prompt = mv_str_of(words);
  mv_result first = ask(&q), second = ask(&text), third = ask(&longer), fourth = ask(&q);
  assert_same_answer(&first, &fourth);
  mv_engine *other = new_engine(model); /* and engines of one model are apart */
  mv_engine *mine = engine;
  engine = other;
  mv_result fifth = ask(&text);
  engine = mine;
  assert_same_answer(&second, &fifth);
  mv_result *all[] = {&first, &second, &third, &fourth, &fifth};
  for (int i = 0; i < 5; i++) mv_result_free(all[i]);
  mv_engine_free(other);
}
END_TEST

START_TEST(logprobs_are_sorted_and_whole) {
  static const int ks[] = {0, 1, 5, 100};
  for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
    mv_request q = question(20); /* more than the first reservation of room */
    q.n_logprob = ks[i];
    mv_result r = ask(&q);
    ck_assert_int_eq(r.n_logprob, ks[i]);
    for (size_t t = 0; t < r.n_token; t++) {
      ck_assert_int_eq(r.logprobs[t].token_id, r.token_ids[t]);
      const mv_logprob *top = r.top + t * (size_t)ks[i];
      if (ks[i]) ck_assert_int_eq(top[0].token_id, r.token_ids[t]); /* greedy */
      for (int k = 1; k < ks[i]; k++) ck_assert(top[k - 1].logprob >= top[k].logprob);
    }
    mv_result_free(&r);
  }
  mv_request q = question(2);
  q.n_logprob = (int)mv_checkpoint_config(mv_model_checkpoint(model))->text.vocab_size;
  mv_result r = ask(&q);
  for (size_t t = 0; t < r.n_token; t++) {
    double sum = 0;
    for (int k = 0; k < q.n_logprob; k++)
      sum += exp((double)r.top[t * (size_t)q.n_logprob + (size_t)k].logprob);
    ck_assert_double_eq_tol(sum, 1, 1e-5);
  }
  mv_result_free(&r);
}
END_TEST

START_TEST(the_order_of_image_and_text_matters) {
  mv_request first = question(1), last = question(1);
  last.image_order = MV_IMAGE_LAST;
  mv_result a = ask(&first), b = ask(&last);
  ck_assert_uint_eq(a.n_prompt, b.n_prompt);
  ck_assert_int_ne(memcmp(a.prompt_ids, b.prompt_ids, a.n_prompt * sizeof *a.prompt_ids), 0);
  mv_result_free(&a);
  mv_result_free(&b);
}
END_TEST

/* A user who writes control marks gets their characters, not their effect. */
START_TEST(special_tokens_in_a_prompt_are_characters) {
  mv_request q = question(1);
  q.prompt = mv_str_of("<|image_pad|><|im_end|>");
  mv_result r = ask(&q);
  size_t n = 0;
  for (size_t i = 0; i < r.n_prompt; i++)
    n += r.prompt_ids[i] == mv_tokenizer_special_id(mv_model_tokenizer(model), "<|image_pad|>");
  ck_assert_uint_eq(n, r.n_image_token);
  mv_result_free(&r);
}
END_TEST

/* ---- text as it comes ---- */

typedef struct listener {
  mv_buf text;
  int n_call, stop_after;
  mv_buf ids, logprobs, top; /* of the tokens heard */
  size_t n_token, k;
} listener;

static int listen(void *user, const mv_piece *piece) {
  listener *l = user;
  ck_assert_uint_gt(piece->text.len, 0);
  ck_assert_uint_eq(mv_utf8_check(piece->text.ptr, piece->text.len), piece->text.len);
  mv_buf_str(&l->text, piece->text);
  mv_buf_add(&l->ids, piece->token_ids, piece->n_token * sizeof *piece->token_ids);
  if (piece->logprobs)
    mv_buf_add(&l->logprobs, piece->logprobs, piece->n_token * sizeof *piece->logprobs);
  if (piece->top) mv_buf_add(&l->top, piece->top, piece->n_token * l->k * sizeof *piece->top);
  l->n_token += piece->n_token;
  return ++l->n_call == l->stop_after;
}

static void forget(listener *l) {
  mv_buf_free(&l->text);
  mv_buf_free(&l->ids);
  mv_buf_free(&l->logprobs);
  mv_buf_free(&l->top);
}

START_TEST(streamed_text_is_the_text) {
  listener l = {0};
  mv_request q = question(40);
  q.ignore_eos = 1;
  q.on_text = listen;
  q.user = &l;
  mv_result r = ask(&q);
  ck_assert_int_gt(l.n_call, 3);
  ck_assert_str_eq(l.text.ptr, r.text.ptr);
  forget(&l);
  mv_result_free(&r);
}
END_TEST

START_TEST(pieces_bring_the_tokens_they_came_from) {
  mv_request q = question(400);
  q.n_logprob = 3;
  q.sampling.temperature = 100;
  q.on_text = listen;
  for (int n_ended = 0; n_ended < 2; q.sampling.seed++) { /* with an end token and without */
    listener l = {.k = 3};
    q.user = &l;
    ck_assert_uint_lt(q.sampling.seed, 100);
    mv_result r = ask(&q);
    int ended = r.finish == MV_FINISH_STOP;
    n_ended += ended;
    ck_assert_uint_le(l.n_token, r.n_token - (size_t)ended);
    ck_assert_uint_ge(l.n_token + 4, r.n_token); /* text of the last may never be whole */
    ck_assert_mem_eq(l.ids.ptr, r.token_ids, l.n_token * sizeof *r.token_ids);
    ck_assert_uint_eq(l.logprobs.len, l.n_token * sizeof *r.logprobs);
    ck_assert_mem_eq(l.logprobs.ptr, r.logprobs, l.logprobs.len);
    ck_assert_uint_eq(l.top.len, l.n_token * 3 * sizeof *r.top);
    ck_assert_mem_eq(l.top.ptr, r.top, l.top.len);
    forget(&l);
    mv_result_free(&r);
  }
}
END_TEST

START_TEST(a_listener_can_cancel) {
  listener l = {.stop_after = 3};
  mv_request q = question(40), whole = question(40);
  q.on_text = listen;
  q.user = &l;
  mv_result r = ask(&q), all = ask(&whole);
  ck_assert_int_eq(r.finish, MV_FINISH_CANCELLED);
  ck_assert_int_eq(l.n_call, 3);
  ck_assert_uint_lt(r.n_token, 40);
  ck_assert_int_eq(strncmp(all.text.ptr, l.text.ptr, l.text.len), 0);
  forget(&l);
  mv_result_free(&r);
  mv_result_free(&all);
}
END_TEST

START_TEST(a_stop_text_ends_the_answer_before_it) {
  mv_request q = question(30);
  mv_result all = ask(&q);
  size_t half = all.text.len / 2;
  while (half < all.text.len && mv_utf8_check(all.text.ptr, half) != half) half++;
  size_t end = half + 1;
  while (end < all.text.len && mv_utf8_check(all.text.ptr, end) != end) end++;
  mv_str stop[2] = {{"", 0}, {all.text.ptr + half, end - half}};
  listener l = {0};
  q.stop = stop;
  q.n_stop = 2;
  q.on_text = listen;
  q.user = &l;
  mv_result r = ask(&q);
  ck_assert_int_eq(r.finish, MV_FINISH_STOP);
  ck_assert_uint_le(r.text.len, half);
  ck_assert_int_eq(strncmp(all.text.ptr, r.text.ptr, r.text.len), 0);
  ck_assert_int_eq(strncmp(all.text.ptr + r.text.len, stop[1].ptr, stop[1].len), 0);
  ck_assert_str_eq(l.text.ptr ? l.text.ptr : "", r.text.ptr);
  forget(&l);
  mv_result_free(&r);
  mv_result_free(&all);
}
END_TEST

/* With every token equally likely the end token comes; ignoring it, the answer goes on. */
START_TEST(the_end_token_ends_unless_ignored) {
  mv_request q = question(400);
  q.sampling.temperature = 100;
  q.sampling.seed = 3;
  q.n_image = 0;
  mv_result r = ask(&q);
  while (r.finish == MV_FINISH_LENGTH && q.sampling.seed < 40) {
    mv_result_free(&r);
    q.sampling.seed++;
    r = ask(&q);
  }
  ck_assert_int_eq(r.finish, MV_FINISH_STOP);
  ck_assert(mv_tokenizer_is_special(mv_model_tokenizer(model), r.token_ids[r.n_token - 1]));
  q.ignore_eos = 1;
  mv_result on = ask(&q);
  ck_assert_int_eq(on.finish, MV_FINISH_LENGTH);
  ck_assert_uint_eq(on.n_token, 400);
  ck_assert_int_eq(memcmp(on.token_ids, r.token_ids, r.n_token * sizeof *r.token_ids), 0);
  mv_result_free(&r);
  mv_result_free(&on);
}
END_TEST

START_TEST(a_seed_gives_the_same_answer_again) {
  mv_request q = question(20);
  q.sampling.temperature = 2;
  q.sampling.seed = 11;
  mv_result a = ask(&q), b = ask(&q);
  q.sampling.seed = 12;
  mv_result c = ask(&q);
  assert_same_answer(&a, &b);
  ck_assert_int_ne(memcmp(a.token_ids, c.token_ids, a.n_token * sizeof *a.token_ids), 0);
  mv_result_free(&a);
  mv_result_free(&b);
  mv_result_free(&c);
}
END_TEST

static void count_stage(void *user, const char *stage, size_t done, size_t total) {
  int *seen = user;
  ck_assert_uint_le(done, total);
  seen[0] += strcmp(stage, "image") == 0;
  seen[1] += strcmp(stage, "vision") == 0;
  seen[2] += strcmp(stage, "prefill") == 0;
}

START_TEST(progress_tells_every_layer) {
  int seen[3] = {0};
  mv_request q = question(3);
  q.on_progress = count_stage;
  q.user = seen;
  mv_result r = ask(&q);
  const mv_config *config = mv_checkpoint_config(mv_model_checkpoint(model));
  ck_assert_int_eq(seen[0], 1);
  ck_assert_int_eq(seen[1], config->vision.depth);
  ck_assert_int_eq(seen[2], config->text.n_layer);
  mv_result_free(&r);
}
END_TEST

/* ---- refusals ---- */

static void assert_refused(const mv_request *q, mv_status status, const char *words) {
  mv_result r;
  memset(&r, 0xAA, sizeof r);
  mv_status got = mv_engine_generate(engine, q, &r, &err);
  ck_assert_msg(got == status, "status %d, expected %d: %s", got, status, err.msg);
  ck_assert_msg(strstr(err.msg, words), "\"%s\" not in: %s", words, err.msg);
  ck_assert_ptr_null(r.token_ids);
  ck_assert_ptr_null(r.text.ptr);
}

START_TEST(refuses_what_makes_no_sense) {
  mv_request q = question(0);
  assert_refused(&q, MV_ERR_USAGE, "max-new-tokens 0");
  q = question(-5);
  assert_refused(&q, MV_ERR_USAGE, "max-new-tokens -5");
  q = question(1);
  q.n_logprob = 100000;
  assert_refused(&q, MV_ERR_USAGE, "logprobs 100000");
  q.n_logprob = -2;
  assert_refused(&q, MV_ERR_USAGE, "logprobs -2");
  q = question(1);
  q.sampling.temperature = NAN;
  assert_refused(&q, MV_ERR_USAGE, "temperature");
  q = question(1);
  q.sampling.top_p = 0;
  assert_refused(&q, MV_ERR_USAGE, "top-p");
  q = question(1);
  q.sampling.repetition_penalty = 0;
  assert_refused(&q, MV_ERR_USAGE, "repetition penalty");
  mv_request good = question(2); /* and the engine is as it was */
  mv_result r = ask(&good);
  mv_result_free(&r);
}
END_TEST

START_TEST(refuses_too_many_images) {
  mv_image many[65];
  mv_request q = question(1);
  for (int i = 0; i < 65; i++) many[i] = picture;
  q.images = many;
  q.n_image = 65;
  assert_refused(&q, MV_ERR_USAGE, "65 images");
  q.n_image = -1;
  assert_refused(&q, MV_ERR_USAGE, "-1 images");
  q.n_image = 64;
  mv_result r = ask(&q);
  ck_assert_uint_eq(r.n_image_token, 64 * 6);
  mv_result_free(&r);
}
END_TEST

START_TEST(refuses_an_image_of_an_impossible_shape) {
  mv_image thin = {.width = 4000, .height = 1, .channels = 1, .px = calloc(4000, 1)};
  mv_request q = question(1);
  q.images = &thin;
  assert_refused(&q, MV_ERR_SHAPE, "");
  free(thin.px);
}
END_TEST

START_TEST(refuses_text_that_is_not_utf8) {
  mv_request q = question(1);
  q.prompt = mv_str_of("a\xFF z");
  assert_refused(&q, MV_ERR_FORMAT, "UTF-8");
  q = question(1);
  q.system = mv_str_of("\xC0\x80");
  assert_refused(&q, MV_ERR_FORMAT, "UTF-8");
}
END_TEST

START_TEST(refuses_a_prompt_beyond_the_context) {
  enum { LONG = 20000 };
  char *words = malloc(LONG);
  for (int i = 0; i < LONG; i++) words[i] = i % 2 ? '7' : ' ';
  mv_request q = question(1);
  q.prompt = (mv_str){words, LONG};
  assert_refused(&q, MV_ERR_USAGE, "the model's context is 4096");
  free(words);
  mv_engine_options small = {.max_tokens = 50};
  mv_engine *mine = engine;
  ck_assert_int_eq(mv_engine_new(&engine, model, &small, &err), MV_OK);
  q = question(30);
  q.ignore_eos = 1;
  mv_result r = ask(&q); /* cut to what the context has left */
  ck_assert_uint_eq(r.n_prompt + r.n_token, 50);
  ck_assert_int_eq(r.finish, MV_FINISH_LENGTH);
  mv_result_free(&r);
  q.prompt = mv_str_of("0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9");
  assert_refused(&q, MV_ERR_USAGE, "the context is 50");
  mv_engine_free(engine);
  engine = mine;
}
END_TEST

START_TEST(an_empty_question_is_answered) {
  mv_request q = question(2);
  q.prompt = mv_str_of("");
  q.n_image = 0;
  mv_result r = ask(&q);
  ck_assert_uint_eq(r.n_token, 2);
  mv_result_free(&r);
}
END_TEST

START_TEST(a_dump_that_cannot_be_written_is_an_error) {
  mv_request q = question(1);
  q.dump_dir = "/nowhere/at/all";
  assert_refused(&q, MV_ERR_IO, "/nowhere/at/all");
  q.dump_dir = "CMakeLists.txt"; /* a file, not a folder */
  assert_refused(&q, MV_ERR_IO, "CMakeLists.txt");
}
END_TEST

/* ---- memory ---- */

static int count(size_t n_bytes, void *user) {
  (void)n_bytes;
  ++*(long *)user;
  return 1;
}

static long allocations_of(const mv_request *q) {
  long n = 0;
  mv_alloc_set_hook(count, &n);
  mv_result r = ask(q);
  mv_alloc_set_hook(NULL, NULL);
  mv_result_free(&r);
  return n;
}

START_TEST(after_warm_up_tokens_allocate_nothing) {
  mv_request few = question(8), many = question(32);
  few.ignore_eos = many.ignore_eos = 1;
  long warm_up = allocations_of(&many), second = allocations_of(&many);
  long third = allocations_of(&many), short_one = allocations_of(&few);
  ck_assert_int_lt(second, warm_up);
  ck_assert_int_eq(second, third);
  ck_assert_int_eq(third, short_one);
  printf("allocations: %ld in the first request, %ld in each later one, of 8 or 32 tokens\n",
         warm_up, third);
}
END_TEST

static int refuse_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return --*(long *)user != 0;
}

/* Each failure is told, frees all it took, and the engine answers the next request. */
START_TEST(every_failed_allocation_of_a_request_is_survived) {
  mv_request q = question(2);
  q.n_logprob = 2;
  mv_result want = ask(&q);
  for (long k = 1;; k++) {
    long left = k;
    mv_result r;
    mv_engine *fresh = new_engine(model);
    mv_alloc_set_hook(refuse_at, &left);
    mv_status status = mv_engine_generate(fresh, &q, &r, &err);
    mv_alloc_set_hook(NULL, NULL);
    if (status != MV_OK) {
      ck_assert_msg(status == MV_ERR_MEMORY, "allocation %ld: status %d, %s", k, status, err.msg);
      ck_assert_ptr_null(r.token_ids);
      ck_assert_msg(mv_engine_generate(fresh, &q, &r, &err) == MV_OK, "after allocation %ld: %s", k,
                    err.msg);
    }
    assert_same_answer(&want, &r);
    mv_result_free(&r);
    mv_engine_free(fresh);
    if (status == MV_OK) {
      ck_assert_int_gt(k, 20);
      break;
    }
  }
  mv_result_free(&want);
}
END_TEST

START_TEST(every_failed_allocation_of_a_dump_is_survived) {
  char dir[] = "/tmp/mv-dump-XXXXXX", path[64];
  ck_assert_ptr_nonnull(mkdtemp(dir));
  mv_request q = question(1);
  q.dump_dir = dir;
  mv_result r = ask(&q);
  mv_result_free(&r);
  for (long k = 1; k < 100000; k += 1 + k / 40) {
    long left = k;
    mv_alloc_set_hook(refuse_at, &left);
    mv_status status = mv_engine_generate(engine, &q, &r, &err);
    mv_alloc_set_hook(NULL, NULL);
    mv_result_free(&r);
    if (status == MV_OK) break;
    ck_assert_msg(status == MV_ERR_MEMORY, "allocation %ld: status %d, %s", k, status, err.msg);
  }
  snprintf(path, sizeof path, "%s/prefill.safetensors", dir);
  unlink(path);
  rmdir(dir);
}
END_TEST

START_TEST(every_failed_allocation_of_an_engine_is_survived) {
  for (long k = 1;; k++) {
    long left = k;
    mv_engine *e;
    mv_alloc_set_hook(refuse_at, &left);
    mv_status status = mv_engine_new(&e, model, NULL, &err);
    mv_alloc_set_hook(NULL, NULL);
    mv_engine_free(e);
    if (status == MV_OK) break;
    ck_assert_int_eq(status, MV_ERR_MEMORY);
    ck_assert_ptr_null(e);
  }
  mv_request q = question(1);
  mv_result r = ask(&q); /* the model is not spoiled */
  mv_result_free(&r);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("engine");
  TCase *t = tcase_create("requests");
  tcase_add_checked_fixture(t, open_engine, close_engine);
  tcase_set_timeout(t, 120);
  tcase_add_test(t, an_answer_is_whole);
  tcase_add_test(t, a_request_leaves_no_trace_in_the_next);
  tcase_add_test(t, logprobs_are_sorted_and_whole);
  tcase_add_test(t, the_order_of_image_and_text_matters);
  tcase_add_test(t, special_tokens_in_a_prompt_are_characters);
  tcase_add_test(t, streamed_text_is_the_text);
  tcase_add_test(t, pieces_bring_the_tokens_they_came_from);
  tcase_add_test(t, a_listener_can_cancel);
  tcase_add_test(t, a_stop_text_ends_the_answer_before_it);
  tcase_add_test(t, the_end_token_ends_unless_ignored);
  tcase_add_test(t, a_seed_gives_the_same_answer_again);
  tcase_add_test(t, progress_tells_every_layer);
  tcase_add_test(t, refuses_what_makes_no_sense);
  tcase_add_test(t, refuses_too_many_images);
  tcase_add_test(t, refuses_an_image_of_an_impossible_shape);
  tcase_add_test(t, refuses_text_that_is_not_utf8);
  tcase_add_test(t, refuses_a_prompt_beyond_the_context);
  tcase_add_test(t, an_empty_question_is_answered);
  tcase_add_test(t, a_dump_that_cannot_be_written_is_an_error);
  tcase_add_test(t, after_warm_up_tokens_allocate_nothing);
  tcase_add_test(t, every_failed_allocation_of_a_request_is_survived);
  tcase_add_test(t, every_failed_allocation_of_a_dump_is_survived);
  tcase_add_test(t, every_failed_allocation_of_an_engine_is_survived);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
