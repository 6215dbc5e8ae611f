/* Requests at random, in an engine with hardly any memory, for as long as asked: every answer is
 * the one it gives alone, nothing leaks, nothing stands still. The argument is
 * how many. */
#include "runtime/engine.h"
#include "runtime/memory.h"
#include "tests/check_main.h"
#include "tests/runtime/reference.h"
#include "weights/checkpoint.h"

enum { N_KIND = 60, N_PICTURE = 5, MAX_OPEN = 24 };

static int n_request = 300;
static mv_error err;
static mv_model *model;
static mv_image pictures[N_PICTURE];
static mv_result want[N_KIND];
static uint32_t seed = 12345;

static uint32_t random_below(uint32_t n) {
  seed = seed * 1664525u + 1013904223u;
  return (uint32_t)((uint64_t)(seed >> 8) * n >> 24);
}

static void make_pictures(void) {
  for (int i = 0; i < N_PICTURE; i++) {
    mv_image *p = &pictures[i];
    p->width = 28 * (2 + i % 3), p->height = 28 * (1 + i), p->channels = i % 2 ? 3 : 1;
    size_t n = (size_t)p->width * (size_t)p->height * (size_t)p->channels;
    p->px = mv_alloc(n);
    for (size_t k = 0; k < n; k++) p->px[k] = (unsigned char)random_below(256);
  }
}

static mv_request question(int kind, char words[900]) {
  mv_request q;
  mv_request_init(&q);
  int n = snprintf(words, 900, "Question of form %d about number %d:", kind % 4, kind % 7);
  for (int k = 0; k < kind * 13 % 500; k++)
    words[n++] = k % 6 ? (char)('a' + (k * (kind % 3 + 1)) % 26) : ' ';
  words[n] = 0;
  q.prompt = mv_str_of(words);
  q.system = mv_str_of(kind % 2 ? "You are a careful assistant who measures what is seen." : "");
  q.images = &pictures[kind % N_PICTURE];
  q.n_image = kind % 3 ? 1 : 0;
  q.image_order = kind % 4 < 2 ? MV_IMAGE_FIRST : MV_IMAGE_LAST;
  q.max_new_tokens = 1 + kind * 5 % 48;
  q.family = mv_str_of(kind % 4 ? "one" : "other");
  q.ignore_eos = kind % 5 == 0;
  if (kind % 8 == 3) q.sampling.temperature = 0.9f, q.sampling.top_p = 0.8f;
  q.sampling.seed = (uint64_t)kind;
  q.n_logprob = 0;
  return q;
}

static void ask_alone(void) {
  mv_engine_options plain = {
      .max_batch = 1, .no_prefix_cache = 1, .no_vision_cache = 1, .no_speculation = 1};
  mv_engine *engine;
  ck_assert_int_eq(mv_engine_new(&engine, model, &plain, &err), MV_OK);
  for (int i = 0; i < N_KIND; i++) {
    char words[900];
    mv_request q = question(i, words);
    ck_assert_msg(mv_engine_generate(engine, &q, &want[i], &err) == MV_OK, "%s", err.msg);
  }
  mv_engine_free(engine);
}

/* ---- what must hold between steps ---- */

/* Every page has as many holders as jobs and the tree name it, and the free ones are the others. */
static void check_pages(const mv_engine *e) {
  int32_t *held = calloc((size_t)e->pages.n_page, sizeof *held);
  int n_free = 0;
  for (int i = 0; i < e->n_running; i++)
    for (int k = 0; k < e->running[i]->n_page; k++) held[e->running[i]->pages[k]]++;
  for (int p = 0; p < e->pages.n_page; p++) {
    held[p] += e->prefix.nodes[p].n_token > 0;
    ck_assert_int_eq(held[p], e->pages.holders[p]);
    n_free += held[p] == 0;
  }
  ck_assert_int_eq(n_free, e->pages.n_free);
  free(held);
}

static long n_allocation;

static int count(size_t n_bytes, void *user) {
  (void)n_bytes;
  (void)user;
  n_allocation++;
  return 1;
}

typedef struct open_request {
  mv_ticket ticket;
  int kind, cancelled;
} open_request;

static void check_result(const open_request *o, const mv_result *r) {
  const mv_result *w = &want[o->kind];
  ck_assert_msg(r->status == MV_OK, "%s", err.msg);
  if (r->finish == MV_FINISH_CANCELLED) {
    ck_assert_int_eq(o->cancelled, 1);
    ck_assert_uint_le(r->n_token, w->n_token);
  } else {
    ck_assert_uint_eq(r->n_token, w->n_token);
    ck_assert_int_eq(r->finish, w->finish);
  }
  ck_assert_int_eq(memcmp(r->token_ids, w->token_ids, r->n_token * sizeof *r->token_ids), 0);
  ck_assert_int_eq(memcmp(r->logprobs, w->logprobs, r->n_token * sizeof *r->logprobs), 0);
}

START_TEST(random_requests_in_little_memory) {
  static const mv_engine_options shapes[] = {
      {.kv_tokens = 640, .image_tokens = 20, .max_batch = 6, .max_rows = 90, .max_draft = 5},
      {.kv_tokens = 1500, .image_tokens = 25, .max_batch = 16, .max_rows = 300},
      {.max_batch = 3, .max_rows = 17},
  };
  model = open_reference(1, _i ? MV_PRECISION_BF16 : MV_PRECISION_FP32);
  make_pictures();
  ask_alone();
  for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
    mv_engine *engine;
    open_request open[MAX_OPEN];
    int n_open = 0, n_sent = 0, n_cancelled = 0, idle = 0;
    ck_assert_int_eq(mv_engine_new(&engine, model, &shapes[shape], &err), MV_OK);
    while (n_sent < n_request || n_open) {
      while (n_sent < n_request && n_open < MAX_OPEN && random_below(3)) {
        char words[900];
        open_request *o = &open[n_open++];
        *o = (open_request){0, (int)random_below(N_KIND), 0};
        mv_request q = question(o->kind, words);
        ck_assert_msg(mv_engine_submit(engine, &q, &o->ticket, &err) == MV_OK, "%s", err.msg);
        n_sent++;
      }
      if (n_open && random_below(8) == 0) {
        open_request *o = &open[random_below((uint32_t)n_open)];
        mv_engine_cancel(engine, o->ticket);
        n_cancelled += !o->cancelled;
        o->cancelled = 1;
      }
      size_t n_left;
      int n_before = n_open;
      ck_assert_msg(mv_engine_step(engine, &n_left, &err) == MV_OK, "%s", err.msg);
      check_pages(engine);
      mv_result r;
      for (int i = 0; i < n_open; i++) {
        if (!mv_engine_poll(engine, &open[i].ticket, &r, &err)) continue;
        check_result(&open[i], &r);
        mv_result_free(&r);
        open[i--] = open[--n_open];
      }
      idle = n_open == n_before ? idle + 1 : 0;
      ck_assert_int_lt(idle, 2000); /* nothing stands still */
    }
    mv_engine_stats s;
    mv_engine_get_stats(engine, &s);
    printf(
        "%d requests, %d cancelled: %llu steps, %llu of %llu prompt tokens known, %llu of %llu "
        "images seen, %llu of %llu drafts right, %llu pages dropped\n",
        n_request, n_cancelled, (unsigned long long)s.n_step, (unsigned long long)s.n_cached_token,
        (unsigned long long)s.n_prompt_token, (unsigned long long)s.n_image_seen,
        (unsigned long long)s.n_image, (unsigned long long)s.n_accepted,
        (unsigned long long)s.n_drafted, (unsigned long long)s.n_evicted);
    ck_assert_uint_eq(s.n_page_free + s.n_page_cached, s.n_page);
    mv_engine_free(engine);
  }
  for (int i = 0; i < N_KIND; i++) mv_result_free(&want[i]);
  for (int i = 0; i < N_PICTURE; i++) mv_image_free(&pictures[i]);
  mv_model_close(model);
}
END_TEST

/* ---- wrong drafts ---- */

static int32_t truth_at(const mv_job *job, int i) {
  const mv_result *w = &want[job->request.sampling.seed];
  size_t at = job->result.n_token + (size_t)i;
  return at < w->n_token ? w->token_ids[at] : 5;
}

/* Drafts right up to a point of the true answer, and wrong from there. */
static void spoil(void *user, const mv_job *job, mv_draft *draft) {
  const int *right = user;
  draft->n = draft->max;
  for (int i = 0; i < draft->max; i++) {
    int32_t truth = truth_at(job, i);
    draft->ids[i] = i < *right ? truth : truth == 7 ? 8 : 7;
  }
}

/* As many right drafts, and a "digit", among ten of which the right one is. */
typedef struct branching {
  mv_engine *engine;
  int n_draft;
} branching;

static void branch(void *user, const mv_job *job, mv_draft *draft) {
  branching *b = user;
  draft->n = b->n_draft < draft->max ? b->n_draft : draft->max;
  for (int i = 0; i < draft->n; i++) draft->ids[i] = truth_at(job, i);
  draft->digit_next = 1;
  b->engine->drafter.digits[job->ticket % 10] = truth_at(job, draft->n);
}

/* Twelve requests through an engine of these hooks, one of them cancelled; returns how many drafts
 * were right. */
static size_t ask_twelve(mv_engine *engine) {
  mv_ticket ticket[12];
  size_t n_left = 1, n_accepted = 0;
  for (int i = 0; i < 12; i++) {
    char words[900];
    mv_request q = question(i * 5, words);
    ck_assert_int_eq(mv_engine_submit(engine, &q, &ticket[i], &err), MV_OK);
  }
  for (int step = 0; n_left; step++) {
    if (step == 3) mv_engine_cancel(engine, ticket[1]);
    ck_assert_int_eq(mv_engine_step(engine, &n_left, &err), MV_OK);
    check_pages(engine);
  }
  for (int i = 0; i < 12; i++) {
    mv_result r;
    ck_assert_int_eq(mv_engine_poll(engine, &ticket[i], &r, &err), 1);
    check_result(&(open_request){0, i * 5, i == 1}, &r);
    ck_assert_uint_le(r.n_accepted, r.n_drafted);
    n_accepted += r.n_accepted;
    mv_result_free(&r);
  }
  return n_accepted;
}

START_TEST(wrong_drafts_change_nothing) {
  static const int lengths[] = {1, 2, 3, 7, 16, 33, 64};
  model = open_reference(2, MV_PRECISION_FP32);
  make_pictures();
  ask_alone();
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
    for (int right = 0; right <= lengths[k]; right += 1 + lengths[k] / 5) {
      mv_engine_options options = {.max_draft = lengths[k], .max_batch = 4};
      mv_engine *engine;
      ck_assert_int_eq(mv_engine_new(&engine, model, &options, &err), MV_OK);
      engine->hooks = (mv_engine_hooks){.draft = spoil, .user = &right};
      size_t n_accepted = ask_twelve(engine);
      if (!right) ck_assert_uint_eq(n_accepted, 0);
      mv_engine_free(engine);
    }
  for (int i = 0; i < N_KIND; i++) mv_result_free(&want[i]);
  for (int i = 0; i < N_PICTURE; i++) mv_image_free(&pictures[i]);
  mv_model_close(model);
}
END_TEST

/* Ten digits after the drafts, wherever in a page they fall, for as many requests as there are
 * spare rows for; in the second model and precision, too. */
START_TEST(tried_digits_change_nothing) {
  static const int spare[] = {12, 31, 64, 1000};
  model = open_reference(1 + _i / 2, _i % 2 ? MV_PRECISION_BF16 : MV_PRECISION_FP32);
  make_pictures();
  ask_alone();
  for (int n_draft = 0; n_draft < 6; n_draft++) {
    mv_engine_options options = {.max_batch = 5, .spare_rows = spare[n_draft % 4]};
    mv_engine *engine;
    if (n_draft % 2) options.kv_tokens = 2048; /* pages are rare */
    ck_assert_int_eq(mv_engine_new(&engine, model, &options, &err), MV_OK);
    branching b = {engine, n_draft};
    engine->hooks = (mv_engine_hooks){.draft = branch, .user = &b};
    size_t n_accepted = ask_twelve(engine);
    mv_engine_stats s;
    mv_engine_get_stats(engine, &s);
    ck_assert_uint_gt(n_accepted, s.n_token * (size_t)n_draft / (size_t)(n_draft + 2));
    printf("  %d drafts and a digit, %d rows: %.2f tokens a step of a request\n", n_draft,
           options.spare_rows, (double)s.n_token / (double)s.n_verify);
    mv_engine_free(engine);
  }
  for (int i = 0; i < N_KIND; i++) mv_result_free(&want[i]);
  for (int i = 0; i < N_PICTURE; i++) mv_image_free(&pictures[i]);
  mv_model_close(model);
}
END_TEST

/* ---- drawn tokens ---- */

/* Right but for every fifth. */
static void mostly_right(void *user, const mv_job *job, mv_draft *draft) {
  const mv_result *w = user;
  draft->n = draft->max;
  for (int i = 0; i < draft->max; i++) {
    size_t at = job->result.n_token + (size_t)i;
    int32_t *id = &draft->ids[i];
    *id = at < w->n_token ? w->token_ids[at] : 5;
    if (at % 5 == 4) *id = *id == 9 ? 10 : 9;
  }
}

static void answer(const mv_sampling *how, mv_engine_hooks hooks, int no_speculation,
                   mv_result *out) {
  mv_engine *engine;
  mv_engine_options options = {.no_speculation = no_speculation};
  mv_request q;
  mv_request_init(&q);
  q.prompt = mv_str_of("Draw what comes.");
  q.sampling = *how;
  q.max_new_tokens = 60;
  q.ignore_eos = 1;
  q.n_logprob = 2;
  ck_assert_int_eq(mv_engine_new(&engine, model, &options, &err), MV_OK);
  engine->hooks = hooks;
  ck_assert_msg(mv_engine_generate(engine, &q, out, &err) == MV_OK, "%s", err.msg);
  mv_engine_free(engine);
}

/* Token i is drawn with the random number of seed and i, from the distribution that its own row
 * gives: as a draft that is checked or by itself. */
START_TEST(drafts_change_no_drawn_token) {
  static const mv_sampling how[] = {{0.7f, 1, 0, 1, 1},         {1.5f, 1, 0, 1, 2},
                                    {1, 0.8f, 0, 1, 3},         {1, 1, 20, 1, 4},
                                    {1.2f, 0.95f, 50, 1.3f, 5}, {0, 1, 0, 1.3f, 6}};
  model = open_reference(1, _i ? MV_PRECISION_BF16 : MV_PRECISION_FP32);
  for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
    mv_result plain, drafted, other;
    answer(&how[i], (mv_engine_hooks){0}, 1, &plain);
    answer(&how[i], (mv_engine_hooks){.draft = mostly_right, .user = &plain}, 0, &drafted);
    ck_assert_uint_gt(drafted.n_accepted, 30);
    ck_assert_uint_lt(drafted.n_accepted, drafted.n_drafted);
    ck_assert_uint_eq(drafted.n_token, plain.n_token);
    ck_assert_mem_eq(drafted.token_ids, plain.token_ids, plain.n_token * sizeof(int32_t));
    ck_assert_mem_eq(drafted.logprobs, plain.logprobs, plain.n_token * sizeof(mv_logprob));
    ck_assert_mem_eq(drafted.top, plain.top, 2 * plain.n_token * sizeof(mv_logprob));
    if (how[i].temperature > 0) { /* and another seed draws others */
      mv_sampling changed = how[i];
      changed.seed += 100;
      answer(&changed, (mv_engine_hooks){0}, 0, &other);
      ck_assert_mem_ne(other.token_ids, plain.token_ids, plain.n_token * sizeof(int32_t));
      mv_result_free(&other);
    }
    mv_result_free(&plain);
    mv_result_free(&drafted);
  }
  mv_model_close(model);
}
END_TEST

/* ---- memory ---- */

/* What is taken is given back: an engine after 300 requests takes no more than after 100. */
START_TEST(memory_is_flat_after_warm_up) {
  model = open_reference(1, MV_PRECISION_FP32);
  make_pictures();
  mv_engine_options options = {.kv_tokens = 1500, .image_tokens = 25, .max_batch = 8};
  mv_engine *engine;
  long taken[3];
  ck_assert_int_eq(mv_engine_new(&engine, model, &options, &err), MV_OK);
  for (int round = 0; round < 3; round++) {
    n_allocation = 0;
    mv_alloc_set_hook(count, NULL);
    for (int i = 0; i < N_KIND; i++) {
      char words[900];
      mv_request q = question(i, words);
      mv_result r;
      ck_assert_int_eq(mv_engine_generate(engine, &q, &r, &err), MV_OK);
      mv_result_free(&r);
    }
    mv_alloc_set_hook(NULL, NULL);
    taken[round] = n_allocation;
  }
  ck_assert_int_le(taken[2], taken[1]); /* nothing new is kept: every request takes its own */
  printf("allocations of %d requests: %ld, %ld, %ld\n", N_KIND, taken[0], taken[1], taken[2]);
  mv_engine_free(engine);
  for (int i = 0; i < N_PICTURE; i++) mv_image_free(&pictures[i]);
  mv_model_close(model);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("soak");
  TCase *t = tcase_create("soak");
  tcase_set_timeout(t, 3000);
  tcase_add_loop_test(t, random_requests_in_little_memory, 0, 2);
  tcase_add_test(t, wrong_drafts_change_nothing);
  tcase_add_loop_test(t, tried_digits_change_nothing, 0, 4);
  tcase_add_loop_test(t, drafts_change_no_drawn_token, 0, 2);
  tcase_add_test(t, memory_is_flat_after_warm_up);
  suite_add_tcase(s, t);
  return s;
}

int main(int argc, char **argv) {
  if (argc > 1) n_request = atoi(argv[1]);
  SRunner *runner = srunner_create(suite());
  srunner_run_all(runner, CK_NORMAL);
  int n_failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
