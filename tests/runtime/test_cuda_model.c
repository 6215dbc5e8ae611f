/* Whole models on the emulated CUDA device, beside the CPU: logits of fixed prefixes, greedy tokens
 * of the engine, steps replayed, calls of the runtime failing. */
#include <cuda_runtime_api.h>
#include <math.h>

#include "runtime/engine.h"
#include "tests/check_main.h"
#include "tests/cudasim/sim.h"
#include "tests/runtime/cuda_checks.h"
#include "tests/runtime/reference.h"
#include "tests/tolerances.h"

static mv_error err;

static mv_model *open_on(const char *device, int which, mv_precision precision) {
  char dir[128];
  mv_model *model;
  snprintf(dir, sizeof dir, REFERENCE "%s", checkpoints[which]);
  mv_model_options options = {.dir = dir, .device = device, .precision = precision, .n_thread = 1};
  ck_assert_msg(mv_model_open(&model, &options, &err) == MV_OK, "%s", err.msg);
  return model;
}

/* ---- logits of fixed prefixes ---- */

enum { GRID = 10, N_PATCH = GRID * GRID, N_IMAGE = N_PATCH / 4, N_TOK = 90, N_NEW = 3, N_PAGE = 3 };

/* One prompt with a picture in it, then tokens one by one; [N_TOK + N_NEW, n_vocab] logits. */
typedef struct walk {
  mv_model *model;
  mv_activations vision, decoder;
  void *cache;
  size_t stride;
  float *image, *logits; /* device */
  int n_vocab;
  float *all;
} walk;

static walk walk_new(const char *device, int which, mv_precision precision) {
  walk w = {.model = open_on(device, which, precision)};
  const mv_stack *d = &w.model->decoder;
  const mv_ops *ops = w.model->ops;
  w.n_vocab = w.model->head.n_out;
  w.stride = N_PAGE * mv_kv_page_bytes(d->n_kv, d->d_head, w.model->dtype);
  w.cache = ops->alloc(&w.model->device, w.stride * (size_t)d->n_layer);
  w.image = ops->alloc(&w.model->device, N_IMAGE * (size_t)d->d_model * sizeof(float));
  w.logits = ops->alloc(&w.model->device, (size_t)w.n_vocab * N_TOK * sizeof(float));
  w.all = malloc((size_t)w.n_vocab * (N_TOK + N_NEW) * sizeof(float));
  mv_activations_init(&w.vision, w.model, &w.model->vision, N_PATCH, &err);
  mv_activations_init(&w.decoder, w.model, d, N_TOK, &err);
  ck_assert_msg(mv_device_status(&w.model->device, &err) == MV_OK, "%s", err.msg);
  return w;
}

static void walk_free(walk *w) {
  void *all[] = {w->cache, w->image, w->logits};
  for (int i = 0; i < 3; i++) w->model->ops->free(&w->model->device, all[i]);
  mv_activations_free(&w->vision, w->model);
  mv_activations_free(&w->decoder, w->model);
  mv_model_close(w->model);
  free(w->all);
}

static void see(walk *w) {
  mv_window_plan plan = {0};
  const mv_vision_config *v = &mv_checkpoint_config(w->model->checkpoint)->vision;
  mv_window_dims dims = {v->window_size, v->patch_size, v->merge_size};
  mv_grid grid = {1, GRID, GRID};
  mv_image image = {0};
  int side = GRID * v->patch_size, n = side * side * 3;
  ck_assert_int_eq(mv_image_init(&image, side, side, 3, &err), MV_OK);
  for (int i = 0; i < n; i++) image.px[i] = (uint8_t)(127 + 120 * sin(0.37 * i));
  ck_assert_int_eq(mv_window_plan_init(&plan, &grid, 1, dims, &err), MV_OK);
  mv_vision_forward(w->model, &w->vision, &plan, &image, w->image, NULL);
  mv_window_plan_free(&plan);
  mv_image_free(&image);
}

/* Tokens [at, at + n), the picture's rows from the tenth on; is_new: as a step of generation. */
static void forward(walk *w, int at, int n, int is_new) {
  static const int32_t pages[N_PAGE] = {2, 0, 1};
  int32_t ids[N_TOK], position[3 * N_TOK], want[N_TOK];
  for (int i = 0; i < n; i++) {
    int t = at + i, is_image = t >= 10 && t < 10 + N_IMAGE;
    ids[i] = is_image ? ~(t - 10) : t * 37 % 500;
    for (int axis = 0; axis < 3; axis++)
      position[axis * n + i] =
          is_image && axis ? 10 + (axis == 1 ? (t - 10) / 5 : (t - 10) % 5) : t;
    want[i] = i;
  }
  mv_seq_rows seq = {0, n, at, pages, NULL};
  mv_batch batch = {.n_row = n,
                    .ids = ids,
                    .position = position,
                    .seqs = &seq,
                    .n_seq = 1,
                    .image_rows = w->image,
                    .want = want,
                    .n_want = n,
                    .n_new = is_new ? n : 0};
  mv_decoder_forward(w->model, &w->decoder, &batch, w->cache, w->stride, w->logits, NULL);
}

static void take_logits(walk *w, int at, int n) {
  size_t row = (size_t)w->n_vocab;
  w->model->ops->download(&w->model->device, w->all + (size_t)at * row, w->logits,
                          (size_t)n * row * sizeof(float));
  ck_assert_msg(mv_device_status(&w->model->device, &err) == MV_OK, "%s", err.msg);
}

static void step(walk *w, int at) {
  do {
    w->model->ops->step_begin(&w->model->device);
    forward(w, at, 1, 1);
  } while (w->model->ops->step_end(&w->model->device));
  take_logits(w, at, 1);
}

static walk walked(const char *device, int which, mv_precision precision) {
  walk w = walk_new(device, which, precision);
  see(&w);
  forward(&w, 0, N_TOK, 0);
  take_logits(&w, 0, N_TOK);
  for (int i = 0; i < N_NEW; i++) step(&w, N_TOK + i);
  return w;
}

/* || a - b || / || b || over all logits. */
static double distance(const walk *a, const walk *b) {
  double error = 0, size = 0;
  for (size_t i = 0; i < (size_t)b->n_vocab * (N_TOK + N_NEW); i++) {
    ck_assert(isfinite(a->all[i]));
    error += pow((double)a->all[i] - (double)b->all[i], 2);
    size += pow((double)b->all[i], 2);
  }
  return sqrt(error / size);
}

/* fp32 differs by the order of sums. bf16 differs by its own roundings, of which CUDA has a few
 * more than the CPU (queries, keys, values, gates and ups are stored in bf16, each rounding as
 * large as those of what the CPU stores): it may be half again as far from fp32. */
#define MAX_FP32_DISTANCE 2e-5
#define MAX_BF16_RATIO 1.5
/* ... and so a log-probability by a few of such roundings. */
#define MAX_BF16_LOGPROB 0.1

START_TEST(logits_of_fixed_prefixes_are_the_cpus) {
  for (int which = 0; which < N_CHECKPOINT; which++) {
    walk right = walked("cpu", which, MV_PRECISION_FP32);
    walk cpu = walked("cpu", which, MV_PRECISION_BF16);
    walk fp32 = walked("cuda", which, MV_PRECISION_FP32);
    walk bf16 = walked("cuda", which, MV_PRECISION_BF16);
    assert_no_report();
    double by_order = distance(&fp32, &right), usual = distance(&cpu, &right);
    double got = distance(&bf16, &right);
    printf("%-24s fp32 %.1e; bf16 %.2e from fp32, the CPU's %.2e\n", checkpoints[which], by_order,
           got, usual);
    ck_assert_double_le(by_order, MAX_FP32_DISTANCE);
    ck_assert_double_le(got, MAX_BF16_RATIO * usual);
    walk_free(&right);
    walk_free(&cpu);
    walk_free(&fp32);
    walk_free(&bf16);
  }
}
END_TEST

START_TEST(a_replayed_step_gives_the_bits_of_direct_operations) {
  walk w = walked("cuda", 1, MV_PRECISION_BF16);
  size_t row_bytes = (size_t)w.n_vocab * sizeof(float);
  float *direct = malloc(row_bytes);
  for (int i = 0; i < 4; i++) { /* by now the step is a graph */
    int at = N_TOK + N_NEW - 1;
    forward(&w, at, 1, 1);
    take_logits(&w, at, 1);
    memcpy(direct, w.all + (size_t)at * (size_t)w.n_vocab, row_bytes);
    sim_fail_call(-1, 0);
    step(&w, at);
    long n_call = sim_fail_call(-1, 0);
    ck_assert_int_eq(memcmp(direct, w.all + (size_t)at * (size_t)w.n_vocab, row_bytes), 0);
    if (i > 1) ck_assert_int_le(n_call, 8); /* one launch, and the logits back */
  }
  free(direct);
  walk_free(&w);
  assert_no_report();
}
END_TEST

/* ---- the engine ---- */

static const char *dump_dir; /* of the next answers */

/* One row of expected.jsonl. */
static mv_status answer(const char *device, int which, mv_precision precision, const mv_json *row,
                        mv_result *result) {
  char dir[128];
  mv_model *model;
  mv_engine *engine;
  reference_case c;
  snprintf(dir, sizeof dir, REFERENCE "%s", checkpoints[which]);
  mv_model_options options = {.dir = dir, .device = device, .precision = precision, .n_thread = 1};
  MV_TRY(mv_model_open(&model, &options, &err));
  mv_status status = mv_engine_new(&engine, model, NULL, &err);
  if (status == MV_OK) {
    reference_case_init(&c, row);
    c.request.n_logprob = 5;
    if (c.request.max_new_tokens > 12) c.request.max_new_tokens = 12;
    c.request.dump_dir = dump_dir;
    status = mv_engine_generate(engine, &c.request, result, &err);
    reference_case_free(&c);
    mv_engine_free(engine);
  }
  mv_model_close(model);
  return status;
}

/* Tokens of both, until the first that a near tie turned. */
static void compare(const char *where, const mv_result *got, const mv_result *want,
                    double tolerance) {
  ck_assert_uint_eq(got->n_prompt, want->n_prompt);
  for (size_t i = 0; i < want->n_token; i++) {
    const mv_logprob *top = want->top + i * (size_t)want->n_logprob;
    ck_assert_msg(i < got->n_token, "%s: ends after %zu tokens", where, got->n_token);
    if (got->token_ids[i] != want->token_ids[i]) {
      ck_assert_msg((double)(top[0].logprob - top[1].logprob) < 2 * tolerance,
                    "%s: token %zu is %d, not %d", where, i, got->token_ids[i], want->token_ids[i]);
      return;
    }
    double error = fabs((double)got->logprobs[i].logprob - (double)want->logprobs[i].logprob);
    ck_assert_msg(error <= tolerance, "%s: log-probability of token %zu is off by %.2e", where, i,
                  error);
  }
  ck_assert_uint_eq(got->n_token, want->n_token);
}

static int which_checkpoint, n_line;

static void check_answer(const mv_json *row, const char *where) {
  /* other requests for each checkpoint, and but one under the checker, which is slow */
  if (n_line++ % N_CHECKPOINT != which_checkpoint) return;
  if (sim_settings()->check && n_line > N_CHECKPOINT) return;
  mv_result cpu = {0}, cuda = {0};
  ck_assert_msg(answer("cpu", which_checkpoint, MV_PRECISION_FP32, row, &cpu) == MV_OK, "%s: %s",
                where, err.msg);
  ck_assert_msg(answer("cuda", which_checkpoint, MV_PRECISION_FP32, row, &cuda) == MV_OK, "%s: %s",
                where, err.msg);
  assert_no_report();
  compare(where, &cuda, &cpu, MV_TOL_LOGPROB);
  mv_result_free(&cpu);
  mv_result_free(&cuda);
}

START_TEST(the_engine_answers_as_on_the_cpu) {
  for (which_checkpoint = 0; which_checkpoint < N_CHECKPOINT; which_checkpoint++) {
    char path[160];
    snprintf(path, sizeof path, REFERENCE "%s/expected.jsonl", checkpoints[which_checkpoint]);
    n_line = 0;
    jsonl_each(path, check_answer);
  }
}
END_TEST

/* The embedded checkpoint, which was trained and so is sure of its words, on a sample picture. */
static mv_result tiny_answer(const char *device, mv_precision precision) {
  mv_model *model;
  mv_engine *engine;
  mv_request q;
  mv_result result;
  mv_image picture = load_picture("tests/data/samples/phantom1.png");
  mv_model_options options = {
      .dir = "weights/tiny", .device = device, .precision = precision, .n_thread = 1};
  ck_assert_msg(mv_model_open(&model, &options, &err) == MV_OK, "%s", err.msg);
  mv_engine_options small = {.max_rows = 512};
  ck_assert_msg(mv_engine_new(&engine, model, &small, &err) == MV_OK, "%s", err.msg);
  mv_request_init(&q);
  q.prompt = mv_str_of("Please measure the major axis of the spleen in millimetres.");
  q.images = &picture;
  q.n_image = 1;
  q.n_logprob = 5;
  q.max_new_tokens = sim_settings()->check ? 6 : 24;
  ck_assert_msg(mv_engine_generate(engine, &q, &result, &err) == MV_OK, "%s", err.msg);
  mv_engine_free(engine);
  mv_model_close(model);
  mv_image_free(&picture);
  return result;
}

START_TEST(the_embedded_checkpoint_answers_as_on_the_cpu) {
  static const double tolerance[] = {MV_TOL_LOGPROB, MAX_BF16_LOGPROB};
  for (int i = 0; i < 2; i++) {
    mv_precision precision = i ? MV_PRECISION_BF16 : MV_PRECISION_FP32;
    mv_result cpu = tiny_answer("cpu", precision), cuda = tiny_answer("cuda", precision);
    compare(i ? "tiny, bf16" : "tiny, fp32", &cuda, &cpu, tolerance[i]);
    printf("%s: %s\n", i ? "bf16" : "fp32", cuda.text.ptr);
    mv_result_free(&cpu);
    mv_result_free(&cuda);
  }
  assert_no_report();
}
END_TEST

/* The device fills in the very numbers the CPU does, zeros in what is padded. */
START_TEST(random_weights_are_the_cpus) {
  mv_model *model[2];
  static const char *const devices[] = {"cpu", "cuda"};
  for (int i = 0; i < 2; i++) {
    mv_model_options options = {.dir = REFERENCE "gqa2-head32-bf16",
                                .random = "config",
                                .device = devices[i],
                                .precision = MV_PRECISION_BF16,
                                .n_thread = 1};
    ck_assert_msg(mv_model_open(&model[i], &options, &err) == MV_OK, "%s", err.msg);
  }
  const mv_linear *cpu = &model[0]->decoder.layers[1].down,
                  *cuda = &model[1]->decoder.layers[1].down;
  size_t n_in = (size_t)cpu->n_in, n_wide = (size_t)cuda->n_in;
  ck_assert_uint_eq(n_in, 104);
  ck_assert_uint_eq(n_wide, 128);
  uint16_t *got = malloc(n_wide * (size_t)cuda->n_out * sizeof *got);
  model[1]->ops->download(&model[1]->device, got, cuda->part[0].w,
                          n_wide * (size_t)cuda->n_out * sizeof *got);
  for (size_t row = 0; row < (size_t)cpu->n_out; row++) {
    const uint16_t *want = (const uint16_t *)cpu->part[0].w + row * n_in;
    ck_assert_int_eq(memcmp(got + row * n_wide, want, n_in * sizeof *want), 0);
    for (size_t col = n_in; col < n_wide; col++) ck_assert_int_eq(got[row * n_wide + col], 0);
  }
  free(got);
  for (int i = 0; i < 2; i++) mv_model_close(model[i]);
  assert_no_report();
}
END_TEST

/* ---- drafts ---- */

enum { N_ASK = 3 };

/* What three requests are answered without drafts; then right drafts of them, `n` a step, and a
 * "digit" among ten of which the right one is. */
typedef struct told {
  mv_engine *engine;
  mv_result plain[N_ASK];
  int n;
} told;

static int32_t told_token(const told *t, const mv_job *job, int i) {
  const mv_result *r = &t->plain[(job->ticket - 1) % N_ASK];
  size_t at = job->result.n_token + (size_t)i;
  return at < r->n_token ? r->token_ids[at] : 7;
}

static void tell(void *user, const mv_job *job, mv_draft *draft) {
  told *t = user;
  draft->n = t->n < draft->max ? t->n : draft->max;
  for (int i = 0; i < draft->n; i++) draft->ids[i] = told_token(t, job, i);
  draft->digit_next = 1;
  t->engine->drafter.digits[job->ticket % 10] = told_token(t, job, draft->n);
}

static void ask_three(mv_model *model, told *t, mv_engine_options options, mv_result *results) {
  static const char *const texts[N_ASK] = {
      "Where?", "Please measure the major axis of the spleen in the picture, in millimetres.",
      "How long is it? How long is it? How long is it? How long is it? How long is it?"};
  size_t n_left = 1;
  mv_ticket tickets[N_ASK];
  ck_assert_msg(mv_engine_new(&t->engine, model, &options, &err) == MV_OK, "%s", err.msg);
  if (!options.no_speculation) t->engine->hooks = (mv_engine_hooks){.draft = tell, .user = t};
  for (int i = 0; i < N_ASK; i++) {
    mv_request q;
    mv_request_init(&q);
    q.prompt = mv_str_of(texts[i]);
    q.max_new_tokens = sim_settings()->check ? 6 : 20;
    q.ignore_eos = 1;
    q.n_logprob = 0;
    ck_assert_int_eq(mv_engine_submit(t->engine, &q, &tickets[i], &err), MV_OK);
  }
  while (n_left) ck_assert_msg(mv_engine_step(t->engine, &n_left, &err) == MV_OK, "%s", err.msg);
  for (int i = 0; i < N_ASK; i++)
    ck_assert_int_eq(mv_engine_poll(t->engine, &tickets[i], &results[i], &err), 1);
  mv_engine_free(t->engine);
}

START_TEST(drafts_and_tried_digits_change_no_bit) {
  mv_model *model = open_on("cuda", 1, _i ? MV_PRECISION_BF16 : MV_PRECISION_FP32);
  told t = {0};
  ask_three(model, &t, (mv_engine_options){.no_speculation = 1, .max_rows = 256}, t.plain);
  for (t.n = 0; t.n <= 4; t.n += 2) {
    mv_result results[N_ASK];
    ask_three(model, &t, (mv_engine_options){.max_rows = 256, .spare_rows = 40}, results);
    for (int i = 0; i < N_ASK; i++) {
      const mv_result *got = &results[i], *want = &t.plain[i];
      ck_assert_uint_gt(got->n_accepted, (got->n_token - got->n_step) * 3 / 4);
      ck_assert_uint_lt(got->n_step, want->n_step);
      ck_assert_uint_eq(got->n_token, want->n_token);
      ck_assert_mem_eq(got->token_ids, want->token_ids, want->n_token * sizeof(int32_t));
      ck_assert_mem_eq(got->logprobs, want->logprobs, want->n_token * sizeof(mv_logprob));
      mv_result_free(&results[i]);
    }
  }
  for (int i = 0; i < N_ASK; i++) mv_result_free(&t.plain[i]);
  mv_model_close(model);
  assert_no_report();
}
END_TEST

/* ---- dumps ---- */

static void dump_first(const mv_json *row, const char *where) {
  mv_result result = {0};
  if (n_line++ > 0) return;
  ck_assert_msg(answer("cuda", 1, MV_PRECISION_BF16, row, &result) == MV_OK, "%s: %s", where,
                err.msg);
  mv_result_free(&result);
}

START_TEST(stages_can_be_dumped) {
  char dir[] = "/tmp/medvision-dump-XXXXXX", path[64];
  ck_assert_ptr_nonnull(mkdtemp(dir));
  dump_dir = dir;
  n_line = 0;
  jsonl_each(REFERENCE "gqa2-head32-bf16/expected.jsonl", dump_first);
  dump_dir = NULL;
  assert_no_report();
  snprintf(path, sizeof path, "%s/prefill.safetensors", dir);
  ck_assert_int_eq(remove(path), 0);
  ck_assert_int_eq(remove(dir), 0);
}
END_TEST

/* ---- memory and times of products ---- */

/* A plan larger than the card is refused by its numbers, before anything is taken. */
START_TEST(a_plan_beyond_the_card_is_refused) {
  mv_model *model = open_on("cuda", 1, MV_PRECISION_BF16);
  mv_engine *engine;
  size_t saved = sim_settings()->memory_bytes, n_free = free_memory();
  sim_settings()->memory_bytes = saved - n_free + ((size_t)600 << 20);
  mv_engine_options options = {.kv_tokens = (size_t)1 << 22, .max_rows = 32};
  ck_assert_int_eq(mv_engine_new(&engine, model, &options, &err), MV_ERR_MEMORY);
  ck_assert_msg(strncmp(err.msg, "cuda:0: the plan needs ", 23) == 0, "%s", err.msg);
  ck_assert_uint_eq(free_memory(), (size_t)600 << 20);
  options.kv_tokens = 4096;
  ck_assert_msg(mv_engine_new(&engine, model, &options, &err) == MV_OK, "%s", err.msg);
  mv_engine_free(engine);
  mv_model_close(model);
  sim_settings()->memory_bytes = saved;
  assert_no_report();
}
END_TEST

/* Calls of the runtime until an engine is open. */
static long calls_to_open(void) {
  mv_model *model;
  mv_engine *engine;
  sim_fail_call(-1, 0);
  model = open_on("cuda", 1, MV_PRECISION_BF16);
  ck_assert_msg(mv_engine_new(&engine, model, NULL, &err) == MV_OK, "%s", err.msg);
  mv_engine_free(engine);
  mv_model_close(model);
  return sim_fail_call(-1, 0);
}

static char cache_dir[] = "/tmp/medvision-cache-XXXXXX";

static void open_cache(void) {
  ck_assert_ptr_nonnull(mkdtemp(cache_dir));
  ck_assert_int_eq(setenv("XDG_CACHE_HOME", cache_dir, 1), 0);
}

static void close_cache(void) {
  char command[80];
  snprintf(command, sizeof command, "rm -r %s", cache_dir);
  ck_assert_int_eq(system(command), 0);
  strcpy(cache_dir + strlen(cache_dir) - 6, "XXXXXX");
  ck_assert_int_eq(setenv("XDG_CACHE_HOME", "/dev/null", 1), 0);
}

START_TEST(products_are_timed_once_for_a_kind_of_card) {
  long first = calls_to_open(), second = calls_to_open();
  printf("opening an engine takes %ld calls at first, %ld later\n", first, second);
  ck_assert_int_lt(second, first / 4);
  assert_no_report();
}
END_TEST

/* ---- failures ---- */

/* Every so many-th call of the runtime fails, one a run: opening, loading, vision, prompt, tokens.
 */
static void fail_calls(const mv_json *row, const char *where) {
  enum { RUNS = 24 };
  mv_result result = {0};
  if (n_line++ > 0) return;
  ck_assert_msg(answer("cuda", 1, MV_PRECISION_BF16, row, &result) == MV_OK, "%s", err.msg);
  mv_result_free(&result);
  size_t before = free_memory();
  sim_fail_call(-1, 0);
  answer("cuda", 1, MV_PRECISION_BF16, row, &result);
  long n_call = sim_fail_call(-1, 0);
  mv_result_free(&result);
  int n_failed = 0;
  for (int i = 0; i < RUNS; i++) {
    long k = n_call * i / RUNS;
    memset(&result, 0, sizeof result);
    sim_fail_call(k, i % 2 ? cudaErrorMemoryAllocation : cudaErrorUnknown);
    mv_status status = answer("cuda", 1, MV_PRECISION_BF16, row, &result);
    sim_fail_call(-1, 0);
    mv_result_free(&result);
    n_failed += status != MV_OK;
    ck_assert_msg(sim_report_count() == 0, "%s: call %ld: %s", where, k, sim_report_text(0));
    if (status == MV_OK)
      before = free_memory(); /* it was giving memory back that failed */
    else
      ck_assert_msg(free_memory() == before, "%s: call %ld (%s): device memory leaks", where, k,
                    err.msg);
  }
  printf("%d of %d runs failed, as was ordered for one of %ld calls each\n", n_failed, RUNS,
         n_call);
  ck_assert_int_ge(n_failed, RUNS / 2);
}

START_TEST(a_failing_call_is_an_error_and_nothing_worse) {
  n_line = 0;
  jsonl_each(REFERENCE "gqa2-head32-bf16/expected.jsonl", fail_calls);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cuda model");
  TCase *t = tcase_create("model");
  tcase_add_test(t, logits_of_fixed_prefixes_are_the_cpus);
  tcase_add_test(t, a_replayed_step_gives_the_bits_of_direct_operations);
  tcase_add_test(t, the_engine_answers_as_on_the_cpu);
  tcase_add_test(t, the_embedded_checkpoint_answers_as_on_the_cpu);
  tcase_add_test(t, random_weights_are_the_cpus);
  tcase_add_loop_test(t, drafts_and_tried_digits_change_no_bit, 0, 2);
  tcase_add_test(t, stages_can_be_dumped);
  tcase_add_test(t, a_plan_beyond_the_card_is_refused);
  suite_add_tcase(s, t);
  TCase *timed =
      tcase_create("timed before"); /* else most calls would be those that time products */
  tcase_add_checked_fixture(timed, open_cache, close_cache);
  tcase_add_test(timed, products_are_timed_once_for_a_kind_of_card);
  tcase_add_test(timed, a_failing_call_is_an_error_and_nothing_worse);
  suite_add_tcase(s, timed);
  return s;
}

MV_CHECK_MAIN(suite)
