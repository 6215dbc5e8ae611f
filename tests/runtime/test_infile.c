/* Ranges of files: past the page cache, through it, several at once, and what goes wrong. */
#define _GNU_SOURCE /* O_DIRECT, mincore */
#include "runtime/infile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "runtime/memory.h"
#include "tests/check_main.h"

enum { SIZE = 3000001, N_RANGE = 40 };

static mv_error err;
static char path[64];
static char *right; /* what the file holds */
static mv_infile file;

static void write_file(void) {
  snprintf(path, sizeof path, "./mv-infile-XXXXXX"); /* where builds are: a disk, not memory */
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  right = malloc(SIZE);
  for (uint32_t i = 0, x = 1; i < SIZE; i++)
    right[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
  ck_assert_int_eq(write(fd, right, SIZE), SIZE);
  ck_assert_int_eq(fsync(fd), 0); /* pages to write are not forgotten */
  close(fd);
  ck_assert_int_eq(mv_infile_open(&file, path, &err), MV_OK);
}

static void remove_file(void) {
  mv_infile_close(&file);
  mv_infile_close(&file);
  unlink(path);
  free(right);
}

static size_t n_cached(void) {
  static unsigned char is_there[SIZE / 4096 + 1];
  size_t n = 0;
  ck_assert_int_eq(mincore((void *)(uintptr_t)file.map.data, SIZE, is_there), 0);
  for (size_t i = 0; i < sizeof is_there; i++) n += is_there[i] & 1;
  return n;
}

/* Sizes and offsets around those of blocks, the whole file, its end, nothing. */
static void range(int i, size_t *at, size_t *n) {
  static const size_t ats[] = {0, 1, 511, 4095, 4096, 4097, 8192, 1000003};
  static const size_t sizes[] = {1, 4096, 4095, 1000000, 0};
  *at = i < N_RANGE / 2 ? ats[i % 8] : SIZE - sizes[i % 5] - ats[i % 8];
  *n = i == 0 ? SIZE : sizes[i % 5];
}

static void assert_every_range_is_right(void) {
  for (int i = 0; i < N_RANGE; i++) {
    mv_read read = {.file = &file};
    range(i, &read.at, &read.n_bytes);
    size_t room = mv_read_room(read.n_bytes);
    char *memory = read.room = mv_alloc_huge(room + 1);
    memory[room] = 42;
    ck_assert_msg(mv_infile_read(&read, &err) == MV_OK, "%s", err.msg);
    ck_assert(memcmp(read.bytes, right + read.at, read.n_bytes) == 0);
    ck_assert(read.bytes >= memory && read.bytes + read.n_bytes <= memory + room);
    ck_assert_int_eq(memory[room], 42);
    mv_free_aligned(memory);
  }
}

START_TEST(ranges_are_read_past_the_cache) {
  posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
  size_t before = n_cached();
  assert_every_range_is_right();
  if (file.direct < 0 || before > 0)
    printf("skip: %zu pages stay in memory here, or all reads go through it\n", before);
  else
    ck_assert_uint_eq(n_cached(), 0);
}
END_TEST

START_TEST(what_is_cached_is_taken_from_there) {
  for (size_t i = 0; i < SIZE; i += 100)
    ck_assert_int_eq(file.map.data[i], (unsigned char)right[i]);
  assert_every_range_is_right();
}
END_TEST

/* A folder's descriptor refuses every read. */
START_TEST(a_refusal_of_the_file_system_is_no_failure) {
  posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
  int real = file.direct;
  file.direct = open(".", O_RDONLY);
  assert_every_range_is_right();
  close(file.direct);
  file.direct = -1;
  assert_every_range_is_right();
  file.direct = real;
}
END_TEST

static void assert_fails(mv_status status, const char *words) {
  mv_read read = {.file = &file, .at = 2000000, .n_bytes = SIZE - 2000000};
  read.room = mv_alloc_huge(mv_read_room(read.n_bytes));
  mv_status got = mv_infile_read(&read, &err);
  mv_free_aligned(read.room);
  ck_assert_msg(got == status, "status %d, expected %d: %s", got, status, err.msg);
  ck_assert_msg(strstr(err.msg, path) && strstr(err.msg, words), "%s", err.msg);
}

START_TEST(a_file_cut_short_is_an_error) {
  static const off_t sizes[] = {SIZE - 1, 2500000, 2499584, 1500000, 0};
  for (int i = 0; i < 5; i++) {
    ck_assert_int_eq(truncate(path, sizes[i]), 0);
    assert_fails(MV_ERR_FORMAT, "expected 3000001 bytes, found");
  }
  int real = file.direct;
  file.direct = -1;
  assert_fails(MV_ERR_FORMAT, "cut short");
  file.direct = real;
}
END_TEST

START_TEST(a_read_that_fails_names_the_file) {
  mv_infile real = file;
  file.fd = file.direct = open(".", O_RDONLY);
  posix_fadvise(real.fd, 0, 0, POSIX_FADV_DONTNEED);
  assert_fails(MV_ERR_IO, "reading at byte 1998848: Is a directory");
  close(file.fd);
  file = real;
}
END_TEST

START_TEST(only_regular_files_are_opened) {
  mv_infile other;
  ck_assert_int_eq(mv_infile_open(&other, "none", &err), MV_ERR_IO);
  mv_infile_close(&other);
  ck_assert_int_eq(mv_infile_open(&other, ".", &err), MV_ERR_IO);
  ck_assert_int_eq(mv_infile_open(&other, "/dev/zero", &err), MV_ERR_IO);
  mv_infile_close(&other);
}
END_TEST

START_TEST(a_queue_reads_all_that_is_added) {
  enum { N = 200 };
  static mv_read reads[N];
  mv_read_queue *queue;
  posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
  ck_assert_int_eq(mv_read_queue_open(&queue, 8, &err), MV_OK);
  for (int i = 0; i < N; i++) {
    reads[i] = (mv_read){.file = &file};
    range(i % N_RANGE, &reads[i].at, &reads[i].n_bytes);
    reads[i].room = mv_alloc_huge(mv_read_room(reads[i].n_bytes));
    mv_read_queue_add(queue, &reads[i]);
  }
  for (int k = 0; k < N; k++) {
    mv_read *read = &reads[k * 7 % N]; /* in any order */
    ck_assert_int_eq(mv_read_queue_wait(queue, read, &err), MV_OK);
    ck_assert(memcmp(read->bytes, right + read->at, read->n_bytes) == 0);
  }
  mv_read_queue_close(queue);
  for (int i = 0; i < N; i++) mv_free_aligned(reads[i].room);
}
END_TEST

START_TEST(a_queue_tells_what_failed_and_can_be_closed_before_it_is_done) {
  enum { N = 50 };
  static mv_read reads[N];
  mv_read_queue *queue;
  ck_assert_int_eq(truncate(path, 1000), 0);
  ck_assert_int_eq(mv_read_queue_open(&queue, 2, &err), MV_OK);
  for (int i = 0; i < N; i++) {
    reads[i] = (mv_read){.file = &file, .n_bytes = 500 + (size_t)(i % 2) * 100000};
    reads[i].room = mv_alloc_huge(mv_read_room(reads[i].n_bytes));
    mv_read_queue_add(queue, &reads[i]);
  }
  ck_assert_int_eq(mv_read_queue_wait(queue, &reads[1], &err), MV_ERR_FORMAT);
  ck_assert_ptr_nonnull(strstr(err.msg, path));
  ck_assert_int_eq(mv_read_queue_wait(queue, &reads[0], &err), MV_OK);
  mv_read_queue_close(queue);
  mv_read_queue_close(NULL);
  for (int i = 0; i < N; i++) mv_free_aligned(reads[i].room);
}
END_TEST

START_TEST(a_thread_goes_ahead_through_the_mapping) {
  mv_range ranges[] = {{&file, 0, 1000001}, {&file, 1000001, SIZE - 1000001}, {&file, SIZE, 0}};
  struct timespec pause = {0, 1000000};
  posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
  mv_read_ahead *ahead = mv_read_ahead_start(ranges, 3);
  ck_assert_ptr_nonnull(ahead);
  for (int i = 0; i < 20000 && !mv_infile_is_cached(&file, 0, SIZE); i++) nanosleep(&pause, NULL);
  ck_assert(mv_infile_is_cached(&file, 0, SIZE));
  mv_read_ahead_stop(ahead);
  mv_read_ahead_stop(mv_read_ahead_start(ranges, 3));
  mv_read_ahead_stop(NULL);
}
END_TEST

static int refuse(size_t n_bytes, void *user) {
  (void)n_bytes;
  (void)user;
  return 0;
}

START_TEST(no_memory_is_told) {
  mv_read_queue *queue = (mv_read_queue *)&err;
  mv_alloc_set_hook(refuse, NULL);
  mv_status status = mv_read_queue_open(&queue, 4, &err);
  ck_assert_ptr_null(mv_alloc_huge(100));
  ck_assert_ptr_null(mv_read_ahead_start(NULL, 0));
  mv_alloc_set_hook(NULL, NULL);
  ck_assert_int_eq(status, MV_ERR_MEMORY);
  ck_assert_ptr_null(queue);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("infile");
  TCase *t = tcase_create("infile");
  tcase_add_checked_fixture(t, write_file, remove_file);
  tcase_add_test(t, ranges_are_read_past_the_cache);
  tcase_add_test(t, what_is_cached_is_taken_from_there);
  tcase_add_test(t, a_refusal_of_the_file_system_is_no_failure);
  tcase_add_test(t, a_file_cut_short_is_an_error);
  tcase_add_test(t, a_read_that_fails_names_the_file);
  tcase_add_test(t, only_regular_files_are_opened);
  tcase_add_test(t, a_queue_reads_all_that_is_added);
  tcase_add_test(t, a_queue_tells_what_failed_and_can_be_closed_before_it_is_done);
  tcase_add_test(t, a_thread_goes_ahead_through_the_mapping);
  tcase_add_test(t, no_memory_is_told);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
