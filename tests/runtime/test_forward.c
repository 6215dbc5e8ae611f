/* The forward pass as the engine and a batching scheduler drive it: chunks, batches, stages. */
#include "runtime/forward.h"

#include "runtime/mrope.h"
#include "tests/check_main.h"
#include "tests/runtime/reference.h"

static mv_error err;

enum { N_TOK = 300, N_PAGE = 16, MAX_ROWS = 400 };

/* A model with room for some sequences. */
typedef struct setup {
  mv_model *model;
  mv_activations act;
  void *cache;
  size_t stride;
  int n_vocab;
  float *logits; /* [MAX_ROWS, n_vocab] */
} setup;

static setup set_up(mv_precision precision) {
  setup s = {.model = open_reference(1, precision)};
  const mv_stack *d = &s.model->decoder;
  s.n_vocab = s.model->head.n_out;
  s.stride = N_PAGE * mv_kv_page_bytes(d->n_kv, d->d_head, s.model->dtype);
  s.cache = s.model->ops->alloc(&s.model->device, s.stride * (size_t)d->n_layer);
  s.logits = s.model->ops->alloc(&s.model->device, (size_t)s.n_vocab * MAX_ROWS * sizeof *s.logits);
  ck_assert_int_eq(mv_activations_init(&s.act, s.model, d, MAX_ROWS, &err), MV_OK);
  return s;
}

static void tear_down(setup *s) {
  mv_activations_free(&s->act, s->model);
  s->model->ops->free(&s->model->device, s->cache);
  s->model->ops->free(&s->model->device, s->logits);
  mv_model_close(s->model);
}

static int32_t id_at(int sequence, int i) { return (int32_t)((i * 37 + sequence * 101) % 500); }

/* Adds rows [pos0, pos0 + n) of a sequence to a batch. */
typedef struct rows {
  int32_t ids[MAX_ROWS], position[3 * MAX_ROWS], want[MAX_ROWS];
  mv_seq_rows seqs[4];
  int n, n_seq;
} rows;

static void add_rows(rows *r, int sequence, int pos0, int n, const int32_t *pages) {
  r->seqs[r->n_seq++] = (mv_seq_rows){r->n, n, pos0, pages, NULL};
  for (int i = 0; i < n; i++) r->ids[r->n + i] = id_at(sequence, pos0 + i);
  r->n += n;
}

/* Runs the batch, its first n_new rows as tokens being generated; the logits of every row end up in
 * s->logits. */
static void forward_new(setup *s, rows *r, int n_new, const mv_tap *tap) {
  for (int q = 0; q < r->n_seq; q++)
    for (int i = 0; i < r->seqs[q].n_row; i++)
      for (int axis = 0; axis < 3; axis++)
        r->position[axis * r->n + r->seqs[q].row0 + i] = r->seqs[q].pos0 + i;
  for (int i = 0; i < r->n; i++) r->want[i] = i;
  mv_batch batch = {.n_row = r->n,
                    .ids = r->ids,
                    .position = r->position,
                    .seqs = r->seqs,
                    .n_seq = r->n_seq,
                    .want = r->want,
                    .n_want = r->n,
                    .n_new = n_new};
  mv_decoder_forward(s->model, &s->act, &batch, s->cache, s->stride, s->logits, tap);
  ck_assert_int_eq(mv_device_status(&s->model->device, &err), MV_OK);
}

static void forward(setup *s, rows *r, const mv_tap *tap) { forward_new(s, r, 0, tap); }

static const int32_t pages_a[] = {3, 9, 1, 12, 5}, pages_b[] = {0, 7, 2, 15, 4};

static float *copy_of(const setup *s, int n) {
  size_t bytes = (size_t)n * (size_t)s->n_vocab * sizeof(float);
  float *copy = malloc(bytes);
  memcpy(copy, s->logits, bytes);
  return copy;
}

static void assert_rows(const setup *s, const float *want, int row, int n, const char *what) {
  for (int i = 0; i < n; i++)
    ck_assert_msg(
        memcmp(want + (size_t)(row + i) * (size_t)s->n_vocab,
               s->logits + (size_t)i * (size_t)s->n_vocab, (size_t)s->n_vocab * sizeof *want) == 0,
        "%s: logits of token %d differ", what, row + i);
}

START_TEST(chunks_of_a_prompt_give_the_bits_of_the_whole) {
  static const int chunks[] = {3, 100, 94, 103};
  for (int p = MV_PRECISION_BF16; p <= MV_PRECISION_FP32; p++) {
    setup s = set_up((mv_precision)p);
    rows whole = {.n = 0};
    add_rows(&whole, 0, 0, N_TOK, pages_a);
    forward(&s, &whole, NULL);
    float *want = copy_of(&s, N_TOK);
    for (int i = 0, at = 0; i < 4; at += chunks[i++]) {
      rows r = {.n = 0};
      add_rows(&r, 0, at, chunks[i], pages_b);
      forward(&s, &r, NULL);
      assert_rows(&s, want, at, chunks[i], "chunked");
    }
    free(want);
    tear_down(&s);
  }
}
END_TEST

START_TEST(a_batch_of_sequences_gives_the_bits_of_each_alone) {
  setup s = set_up(MV_PRECISION_FP32);
  rows first = {.n = 0}, other = {.n = 0}, both = {.n = 0};
  add_rows(&first, 0, 0, 120, pages_a);
  forward(&s, &first, NULL);
  float *a = copy_of(&s, 120);
  add_rows(&other, 1, 0, 70, pages_b);
  forward(&s, &other, NULL);
  float *b = copy_of(&s, 70);
  add_rows(&both, 1, 0, 70, pages_b);
  add_rows(&both, 0, 0, 120, pages_a);
  forward(&s, &both, NULL);
  float *all = copy_of(&s, 190);
  assert_rows(&s, b, 0, 70, "beside another");
  size_t row = (size_t)s.n_vocab;
  ck_assert_int_eq(memcmp(all + 70 * row, a, 120 * row * sizeof *a), 0);
  free(a);
  free(b);
  free(all);
  tear_down(&s);
}
END_TEST

START_TEST(decoding_in_a_batch_gives_the_bits_of_decoding_alone) {
  setup s = set_up(MV_PRECISION_FP32);
  rows prompts = {.n = 0}, one = {.n = 0}, two = {.n = 0};
  add_rows(&prompts, 0, 0, 100, pages_a);
  add_rows(&prompts, 1, 0, 60, pages_b);
  forward(&s, &prompts, NULL);
  add_rows(&one, 1, 60, 1, pages_b);
  forward(&s, &one, NULL);
  float *want = copy_of(&s, 1);
  add_rows(&two, 1, 60, 1, pages_b);
  add_rows(&two, 0, 100, 1, pages_a);
  forward(&s, &two, NULL);
  assert_rows(&s, want, 0, 1, "beside another");
  free(want);
  tear_down(&s);
}
END_TEST

START_TEST(either_kind_of_row_gives_its_bits_whatever_shares_the_step) {
  static const int n_draft[] = {1, 5, 33, 70}, n_chunk[] = {3, 90, 40, 1};
  for (int p = MV_PRECISION_BF16; p <= MV_PRECISION_FP32; p++) {
    setup s = set_up((mv_precision)p);
    rows first = {.n = 0}, drafts = {.n = 0}, prompt = {.n = 0};
    add_rows(&first, 0, 0, 100, pages_a);
    forward_new(&s, &first, 0, NULL);
    add_rows(&drafts, 0, 100, 70, pages_a);
    forward_new(&s, &drafts, 70, NULL);
    float *want = copy_of(&s, 70);
    add_rows(&prompt, 1, 0, 90, pages_b);
    forward_new(&s, &prompt, 0, NULL);
    float *want_prompt = copy_of(&s, 90);
    for (int i = 0; i < 4; i++) {
      rows both = {.n = 0};
      add_rows(&both, 0, 100, n_draft[i], pages_a);
      add_rows(&both, 1, 90 - n_chunk[i], n_chunk[i], pages_b);
      forward_new(&s, &both, n_draft[i], NULL);
      assert_rows(&s, want, 0, n_draft[i], "drafts beside a prompt");
      size_t row = (size_t)s.n_vocab;
      ck_assert_int_eq(
          memcmp(want_prompt + (size_t)(90 - n_chunk[i]) * row, s.logits + (size_t)n_draft[i] * row,
                 (size_t)n_chunk[i] * row * sizeof *want),
          0);
    }
    free(want);
    free(want_prompt);
    tear_down(&s);
  }
}
END_TEST

/* ---- stages ---- */

typedef struct seen {
  char names[32][64];
  int n, n_layer_calls;
} seen;

static void note_stage(void *user, const char *name, int layer, const void *data, mv_dtype dtype,
                       int n_row, int d) {
  seen *s = user;
  (void)dtype;
  ck_assert_ptr_nonnull(data);
  snprintf(s->names[s->n++], 64, "%s %d %dx%d", name, layer, n_row, d);
}

static void note_layer(void *user, int layer, int n_layer) {
  seen *s = user;
  ck_assert_int_eq(layer, ++s->n_layer_calls);
  ck_assert_int_le(layer, n_layer);
}

START_TEST(every_stage_of_the_decoder_is_shown_in_order) {
  static const char *const want[] = {"embed -1 5x128", "decoder.layer 0 5x128",
                                     "decoder.layer 1 5x128", "decoder.norm -1 5x128"};
  setup s = set_up(MV_PRECISION_FP32);
  seen got = {.n = 0};
  mv_tap tap = {note_stage, note_layer, &got};
  rows r = {.n = 0};
  add_rows(&r, 0, 0, 5, pages_a);
  forward(&s, &r, &tap);
  ck_assert_int_eq(got.n, 4);
  for (int i = 0; i < 4; i++) ck_assert_str_eq(got.names[i], want[i]);
  ck_assert_int_eq(got.n_layer_calls, 2);
  tear_down(&s);
}
END_TEST

START_TEST(no_wanted_row_computes_no_logits) {
  setup s = set_up(MV_PRECISION_FP32);
  rows r = {.n = 0};
  add_rows(&r, 0, 0, 40, pages_a);
  for (int i = 0; i < 40; i++) r.position[i] = r.position[40 + i] = r.position[80 + i] = i;
  mv_batch batch = {.n_row = 40,
                    .ids = r.ids,
                    .position = r.position,
                    .seqs = r.seqs,
                    .n_seq = 1,
                    .want = r.want};
  s.logits[0] = 123;
  mv_decoder_forward(s.model, &s.act, &batch, s.cache, s.stride, s.logits, NULL);
  ck_assert_float_eq(s.logits[0], 123);
  tear_down(&s);
}
END_TEST

/* ---- the plan ---- */

static int add_bytes(size_t n_bytes, void *user) {
  *(size_t *)user += n_bytes;
  return 1;
}

START_TEST(the_plan_is_what_is_taken) {
  mv_model *model = open_reference(1, MV_PRECISION_BF16);
  static const int rows_of[] = {1, 7, 300, 5000};
  for (int i = 0; i < 4; i++) {
    mv_activations act;
    size_t taken = 0, plan = mv_activations_bytes(model, &model->decoder, rows_of[i]);
    mv_alloc_set_hook(add_bytes, &taken);
    mv_status status = mv_activations_init(&act, model, &model->decoder, rows_of[i], &err);
    mv_alloc_set_hook(NULL, NULL);
    ck_assert_int_eq(status, MV_OK);
    ck_assert_uint_ge(taken, plan);
    ck_assert_uint_le(taken, plan + 9 * 64); /* nine buffers, each rounded up to 64 bytes */
    mv_activations_free(&act, model);
  }
  mv_model_close(model);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("forward");
  TCase *t = tcase_create("forward");
  tcase_set_timeout(t, 120);
  tcase_add_test(t, chunks_of_a_prompt_give_the_bits_of_the_whole);
  tcase_add_test(t, a_batch_of_sequences_gives_the_bits_of_each_alone);
  tcase_add_test(t, decoding_in_a_batch_gives_the_bits_of_decoding_alone);
  tcase_add_test(t, either_kind_of_row_gives_its_bits_whatever_shares_the_step);
  tcase_add_test(t, every_stage_of_the_decoder_is_shown_in_order);
  tcase_add_test(t, no_wanted_row_computes_no_logits);
  tcase_add_test(t, the_plan_is_what_is_taken);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
