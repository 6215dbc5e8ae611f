/* Loops shared by threads: every iteration once, whoever does it, and no waiting for idle threads.
 */
#include "runtime/team.h"

#include <stdatomic.h>
#include <time.h>

#include "runtime/clock.h"
#include "tests/check_main.h"

enum { MOST = 1000, MOST_THREADS = 9 };

static mv_error err;

typedef struct tally {
  atomic_int times[MOST];      /* that an iteration was done */
  atomic_int by[MOST_THREADS]; /* iterations of a thread */
} tally;

static void count(const void *loop, int first, int end, int thread) {
  tally *t = *(tally *const *)loop;
  for (int i = first; i < end; i++) t->times[i]++;
  t->by[thread] += end - first;
}

static void run_and_check(mv_team *team, int n) {
  static tally t;
  tally *loop = &t;
  int n_wrong = 0, sum = 0;
  for (int i = 0; i < MOST; i++) t.times[i] = 0;
  for (int i = 0; i < MOST_THREADS; i++) t.by[i] = 0;
  mv_team_run(team, n, count, &loop);
  for (int i = 0; i < MOST; i++) n_wrong += t.times[i] != (i < n);
  for (int i = 0; i < mv_team_threads(team); i++) sum += t.by[i];
  ck_assert_msg(n_wrong == 0, "%d of %d iterations not done once", n_wrong, n);
  ck_assert_int_eq(sum, n); /* by threads of the team */
}

START_TEST(every_iteration_is_done_once) {
  static const int n[] = {0, 1, 2, 3, 31, 32, 33, 64, 100, 577, MOST};
  for (int n_thread = 0; n_thread <= MOST_THREADS; n_thread++) {
    mv_team *team;
    ck_assert_int_eq(mv_team_new(&team, n_thread, &err), MV_OK);
    ck_assert_int_eq(mv_team_threads(team), n_thread < 1 ? 1 : n_thread);
    ck_assert(!team == (n_thread <= 1));
    for (int i = 0; i < (int)(sizeof n / sizeof *n); i++) run_and_check(team, n[i]);
    mv_team_free(team);
  }
}
END_TEST

/* More threads than cores: a team that meets at barriers takes minutes for these. */
START_TEST(loops_follow_each_other_quickly) {
  mv_team *team;
  double start = mv_now_ms();
  ck_assert_int_eq(mv_team_new(&team, MOST_THREADS, &err), MV_OK);
  for (int i = 0; i < 20000; i++) run_and_check(team, i % 7);
  mv_team_free(team);
  ck_assert_double_lt(mv_now_ms() - start, 30e3);
}
END_TEST

static void rest(double ms) {
  struct timespec t = {0, (long)(ms * 1e6)};
  nanosleep(&t, NULL);
}

START_TEST(sleeping_threads_are_woken) {
  mv_team *team;
  ck_assert_int_eq(mv_team_new(&team, 3, &err), MV_OK);
  for (int i = 0; i < 60; i++) {
    rest(i % 3 * 0.2); /* until about the time when they fall asleep */
    run_and_check(team, MOST);
  }
  rest(5);
  mv_team_free(team);
}
END_TEST

static void be_long(const void *loop, int first, int end, int thread) {
  atomic_int *n_at_work = *(atomic_int *const *)loop, *most = n_at_work + 1;
  (void)thread;
  for (int i = first; i < end; i++) {
    int now = ++*n_at_work, before = *most;
    while (now > before && !atomic_compare_exchange_weak(most, &before, now)) continue;
    rest(20);
    --*n_at_work;
  }
}

START_TEST(all_threads_take_part) {
  atomic_int at_work[2] = {0, 0}, *loop = at_work;
  mv_team *team;
  ck_assert_int_eq(mv_team_new(&team, 4, &err), MV_OK);
  mv_team_run(team, 40, be_long, &loop);
  ck_assert_int_eq(at_work[0], 0); /* returned when all were done */
  ck_assert_int_eq(at_work[1], 4);
  mv_team_free(team);
}
END_TEST

static void *run_a_team(void *user) {
  mv_team *team;
  (void)user;
  if (mv_team_new(&team, 3, &err) != MV_OK) return NULL;
  for (int k = 0; k < 500; k++) {
    static const int n = 50;
    tally t = {0}, *loop = &t;
    mv_team_run(team, n, count, &loop);
    for (int i = 0; i < MOST; i++)
      if (t.times[i] != (i < n)) return NULL;
  }
  mv_team_free(team);
  return team; /* done */
}

START_TEST(teams_do_not_meet) {
  pthread_t threads[3];
  void *done;
  for (int i = 0; i < 3; i++) ck_assert(mv_thread_start(&threads[i], run_a_team, NULL));
  for (int i = 0; i < 3; i++) {
    pthread_join(threads[i], &done);
    ck_assert_ptr_nonnull(done);
  }
}
END_TEST

START_TEST(there_is_a_core) { ck_assert_int_ge(mv_core_count(), 1); }
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("team");
  TCase *t = tcase_create("loops");
  tcase_set_timeout(t, 60);
  tcase_add_test(t, every_iteration_is_done_once);
  tcase_add_test(t, loops_follow_each_other_quickly);
  tcase_add_test(t, sleeping_threads_are_woken);
  tcase_add_test(t, all_threads_take_part);
  tcase_add_test(t, teams_do_not_meet);
  tcase_add_test(t, there_is_a_core);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
