/* The engine against the answers of the reference implementation, in this process (the command line
 * is held against the same answers by tests/reference/check_goldens.py). */
#include <math.h>
#include <unistd.h>

#include "tests/check_main.h"
#include "tests/runtime/reference.h"
#include "tests/tolerances.h"
#include "weights/safetensors.h"

static mv_error err;

/* State of one walk over expected.jsonl. */
static mv_engine *engine;
static double worst;      /* log-probability difference */
static size_t n_compared; /* tokens */

static void assert_ids(const char *where, const mv_json *want, const int32_t *ids, size_t n) {
  ck_assert_msg(want->n_items == n, "%s: %zu ids, expected %zu", where, n, want->n_items);
  size_t i = 0;
  for (const mv_json *id = want->first; id; id = id->next, i++)
    ck_assert_msg(ids[i] == (int32_t)id->number, "%s: id %zu is %d, expected %.0f", where, i,
                  ids[i], id->number);
}

static void assert_logprob(const char *where, size_t step, double got, double want) {
  double error = fabs(got - want);
  ck_assert_msg(error <= MV_TOL_LOGPROB, "%s, token %zu: log-probability %.6f, expected %.6f",
                where, step, got, want);
  worst = fmax(worst, error);
}

/* Log-probabilities of one token: its own, and the best by rank. */
static void check_token(const char *where, const mv_result *r, size_t i, const mv_json *want) {
  ck_assert_int_eq(r->logprobs[i].token_id, r->token_ids[i]);
  assert_logprob(where, i, (double)r->logprobs[i].logprob, mv_json_get(want, "logprob")->number);
  const mv_logprob *top = r->top + i * (size_t)r->n_logprob;
  int k = 0;
  for (const mv_json *t = mv_json_get(want, "top")->first; t; t = t->next, k++)
    assert_logprob(where, i, (double)top[k].logprob, mv_json_get(t, "logprob")->number);
  ck_assert_int_eq(k, r->n_logprob);
}

/* Greedy tokens until the first that a near tie may turn. */
static void check_answer(const char *where, const mv_result *r, const mv_json *row) {
  const mv_json *want = mv_json_get(row, "token_ids")->first;
  const mv_json *gap = mv_json_get(row, "gaps")->first;
  const mv_json *logprob = mv_json_get(row, "logprobs")->first;
  for (size_t i = 0; want; i++) {
    ck_assert_msg(i < r->n_token, "%s: ends after %zu tokens", where, r->n_token);
    if (r->token_ids[i] != (int32_t)want->number) {
      ck_assert_msg(gap->number < MV_TOL_NEAR_TIE, "%s: token %zu is %d, expected %.0f (gap %.4f)",
                    where, i, r->token_ids[i], want->number, gap->number);
      return;
    }
    check_token(where, r, i, logprob);
    n_compared++;
    want = want->next;
    gap = gap->next;
    logprob = logprob->next;
  }
  ck_assert_uint_eq(r->n_token, mv_json_get(row, "token_ids")->n_items);
  mv_str finish = jsonl_text(row, "finish_reason");
  ck_assert_msg(mv_str_is(finish, mv_finish_name(r->finish)), "%s: finish", where);
}

static void check_fp32(const mv_json *row, const char *where) {
  reference_case c;
  mv_result result;
  reference_case_init(&c, row);
  c.request.n_logprob = 5;
  ck_assert_msg(mv_engine_generate(engine, &c.request, &result, &err) == MV_OK, "%s: %s", where,
                err.msg);
  assert_ids(where, mv_json_get(row, "prompt_ids"), result.prompt_ids, result.n_prompt);
  check_answer(where, &result, row);
  mv_result_free(&result);
  reference_case_free(&c);
}

START_TEST(fp32_gives_the_references_tokens_and_logprobs) {
  char path[160];
  mv_model *model = open_reference(_i, MV_PRECISION_FP32);
  engine = new_engine(model);
  worst = 0;
  n_compared = 0;
  snprintf(path, sizeof path, REFERENCE "%s/expected.jsonl", checkpoints[_i]);
  ck_assert_int_gt(jsonl_each(path, check_fp32), 10);
  printf("%-24s fp32: %zu tokens, log-probabilities within %.1e\n", checkpoints[_i], n_compared,
         worst);
  mv_engine_free(engine);
  mv_model_close(model);
}
END_TEST

/* ---- bf16: the logits after the prompt ---- */

static double ours2, theirs2; /* sums of squared relative distances */
static int n_case;
static char dump_dir[64];

/* Base64 without line breaks; fills n floats. */
static void decode_floats(mv_str text, float *out, size_t n) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned char *bytes = (unsigned char *)out;
  uint32_t bits = 0;
  size_t n_bit = 0, at = 0;
  for (size_t i = 0; i < text.len && at < n * sizeof *out; i++) {
    const char *digit = memchr(alphabet, text.ptr[i], 64);
    ck_assert_ptr_nonnull(digit);
    bits = bits << 6 | (uint32_t)(digit - alphabet);
    n_bit += 6;
    if (n_bit < 8) continue;
    n_bit -= 8;
    bytes[at++] = (unsigned char)(bits >> n_bit);
  }
  ck_assert_uint_eq(at, n * sizeof *out);
}

static double distance(const float *got, const float *want, size_t n) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < n; i++) {
    double d = (double)got[i] - (double)want[i];
    error += d * d;
    norm += (double)want[i] * (double)want[i];
  }
  return sqrt(error / norm);
}

static void check_bf16(const mv_json *row, const char *where) {
  reference_case c;
  mv_result result;
  mv_safetensors *dump;
  char path[128];
  reference_case_init(&c, row);
  c.request.dump_dir = dump_dir;
  c.request.max_new_tokens = 1;
  ck_assert_msg(mv_engine_generate(engine, &c.request, &result, &err) == MV_OK, "%s: %s", where,
                err.msg);
  mv_result_free(&result);
  reference_case_free(&c);
  snprintf(path, sizeof path, "%s/prefill.safetensors", dump_dir);
  ck_assert_msg(mv_safetensors_open(&dump, path, &err) == MV_OK, "%s", err.msg);
  const mv_st_tensor *logits = mv_safetensors_find(dump, "logits");
  ck_assert_ptr_nonnull(logits);
  size_t n = (size_t)logits->n_elem;
  float *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got);
  memcpy(got, logits->data, n * sizeof *got);
  decode_floats(jsonl_text(row, "logits_f32_b64"), want, n);
  double ours = distance(got, want, n), theirs = mv_json_get(row, "bf16_rel_l2")->number;
  ck_assert_msg(ours < 2 * theirs, "%s: relative L2 %.4f, the reference's own %.4f", where, ours,
                theirs);
  ours2 += ours * ours;
  theirs2 += theirs * theirs;
  n_case++;
  free(want);
  free(got);
  mv_safetensors_close(dump);
  unlink(path);
}

START_TEST(bf16_is_no_further_from_fp32_than_the_references_bf16) {
  char path[160];
  mv_model *model = open_reference(_i, MV_PRECISION_BF16);
  engine = new_engine(model);
  ours2 = theirs2 = n_case = 0;
  snprintf(dump_dir, sizeof dump_dir, "/tmp/mv-dump-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dump_dir));
  snprintf(path, sizeof path, REFERENCE "%s/expected.jsonl", checkpoints[_i]);
  jsonl_each(path, check_bf16);
  rmdir(dump_dir);
  double ours = sqrt(ours2 / n_case), theirs = sqrt(theirs2 / n_case);
  printf("%-24s bf16: relative L2 of the logits %.4f, reference %.4f\n", checkpoints[_i], ours,
         theirs);
  ck_assert_msg(ours <= theirs, "relative L2 %.4f, the reference's own %.4f", ours, theirs);
  mv_engine_free(engine);
  mv_model_close(model);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("engine against the reference");
  TCase *t = tcase_create("reference");
  tcase_set_timeout(t, 240);
  tcase_add_loop_test(t, fp32_gives_the_references_tokens_and_logprobs, 0, N_CHECKPOINT);
  tcase_add_loop_test(t, bf16_is_no_further_from_fp32_than_the_references_bf16, 0, N_CHECKPOINT);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
