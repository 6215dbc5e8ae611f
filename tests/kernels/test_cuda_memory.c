/* Memory of the CUDA device on the emulator: copies, reads of files, staging, scratch. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/cuda.h"
#include "tests/kernels/cuda_cases.h"

static mv_error err;

static void assert_well(void) {
  ck_assert_msg(cuda.error.code == MV_OK, "%s", cuda.error.msg);
  ck_assert_msg(sim_report_count() == 0, "%s", sim_report_text(0));
}

/* ---- copies ---- */

START_TEST(bytes_come_back_as_they_went) {
  static const size_t sizes[] = {1, 255, 4096, ((size_t)8 << 20) - 1, ((size_t)21 << 20) + 3};
  for (int i = 0; i < COUNT(sizes); i++) {
    size_t n = sizes[i];
    unsigned char *out = malloc(n), *back = malloc(n);
    for (size_t j = 0; j < n; j++)
      out[j] = (unsigned char)(kernel_hash((uint64_t)i, j / 8) >> j % 8 * 8);
    void *dev = mv_ops_cuda.alloc(&cuda, n);
    mv_ops_cuda.upload(&cuda, dev, out, n);
    const void *placed = mv_ops_cuda.place(&cuda, out, n);
    mv_ops_cuda.download(&cuda, back, dev, n);
    ck_assert(memcmp(out, back, n) == 0);
    memset(back, 0, n);
    mv_ops_cuda.download(&cuda, back, placed, n);
    ck_assert(memcmp(out, back, n) == 0);
    mv_ops_cuda.free(&cuda, dev);
    free(out);
    free(back);
  }
  assert_well();
}
END_TEST

/* More than the ring holds, and pieces that begin and end anywhere. */
START_TEST(files_come_as_they_are) {
  enum { SIZE = 60000001 };
  char path[] = "./mv-cuda-device-XXXXXX";
  mv_infile file = {0};
  uint64_t *right = malloc(SIZE + 8);
  char *back = malloc(SIZE), *bytes = (char *)right;
  for (size_t i = 0; i <= SIZE / 8; i++) right[i] = kernel_hash(5, i);
  close(mkstemp(path));
  ck_assert_int_eq(mv_file_write(path, right, SIZE, &err), MV_OK);
  ck_assert_int_eq(mv_infile_open(&file, path, &err), MV_OK);
  unlink(path);
  for (int cold = 0; cold < 2; cold++) {
    static const size_t cuts[] = {0, 1, 4097, 300000, 9000000, 9000001, SIZE - 5000, SIZE};
    char *dev = (char *)(uintptr_t)mv_ops_cuda.place(&cuda, NULL, SIZE);
    if (cold) posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
    for (int i = 0; i + 1 < COUNT(cuts); i++)
      mv_ops_cuda.read(&cuda, dev + cuts[i], &file, cuts[i], cuts[i + 1] - cuts[i]);
    mv_ops_cuda.read_end(&cuda);
    mv_ops_cuda.download(&cuda, back, dev, SIZE);
    ck_assert(memcmp(back, bytes, SIZE) == 0);
  }
  mv_infile_close(&file);
  free(right);
  free(back);
  assert_well();
}
END_TEST

START_TEST(the_same_bytes_are_staged_once) {
  char bytes[300], back[300];
  for (int i = 0; i < 300; i++) bytes[i] = (char)i;
  const void *first = mv_cuda_stage(&cuda, bytes, 300);
  sim_fail_call(-1, 0);
  ck_assert_ptr_eq(mv_cuda_stage(&cuda, bytes, 300), first);
  ck_assert_int_eq(sim_fail_call(-1, 0), 0);
  bytes[299]++;
  ck_assert_ptr_ne(mv_cuda_stage(&cuda, bytes, 300), first);
  ck_assert_ptr_ne(mv_cuda_stage(&cuda, bytes, 299), first);
  ck_assert_ptr_null(mv_cuda_stage(&cuda, bytes, 0));
  mv_ops_cuda.download(&cuda, back, first, 300);
  bytes[299]--;
  ck_assert(memcmp(back, bytes, 300) == 0);
  assert_well();
}
END_TEST

/* The ring goes round many times, and grows, with two pieces alive at any time. */
START_TEST(staged_bytes_outlive_the_ring) {
  enum { N = 700000 };
  char *bytes = malloc(N), *back = malloc(N);
  const void *last = NULL;
  size_t n_last = 0;
  char last_seed = 0;
  for (int i = 0; i < 40; i++) {
    size_t n = i < 30 ? 50000 + (size_t)i * 7000 : N;
    memset(bytes, i + 1, n);
    const void *now = mv_cuda_stage(&cuda, bytes, n);
    for (int which = 0; which < 2 && last; which++) {
      mv_ops_cuda.download(&cuda, back, which ? now : last, which ? n : n_last);
      for (size_t j = 0; j < (which ? n : n_last); j += 997)
        ck_assert_int_eq(back[j], which ? (char)(i + 1) : last_seed);
    }
    last = now;
    n_last = n;
    last_seed = (char)(i + 1);
  }
  free(bytes);
  free(back);
  assert_well();
}
END_TEST

/* Also one that was there already, behind which the ring goes round. */
START_TEST(staged_bytes_found_again_outlive_the_next) {
  enum { N = 1000, N_OTHER = 200000 };
  char same[N], back[N], *other = malloc(N_OTHER);
  memset(same, 77, N);
  for (int i = 0; i < 24; i++) {
    const void *first = mv_cuda_stage(&cuda, same, N);
    for (int k = 0; k < 2; k++) {
      memset(other, 2 * i + k, N_OTHER);
      ck_assert_ptr_nonnull(mv_cuda_stage(&cuda, other, N_OTHER));
    }
    mv_ops_cuda.download(&cuda, back, first, N);
    ck_assert_msg(memcmp(back, same, N) == 0, "round %d", i);
  }
  free(other);
  assert_well();
}
END_TEST

START_TEST(scratch_begins_with_zeros) {
  static const struct {
    size_t n, zeroed;
  } wanted[] = {{1000, 0}, {5000, 512}, {4 << 20, 256}, {300000, 131072}, {1024, 1024}, {64, 0}};
  for (int i = 0; i < COUNT(wanted); i++) {
    size_t n = wanted[i].n, zeroed = wanted[i].zeroed;
    char *scratch = mv_cuda_scratch(&cuda, n, zeroed), *bytes = malloc(n);
    ck_assert_ptr_nonnull(scratch);
    ck_assert_uint_eq((uintptr_t)scratch % 256, 0);
    mv_ops_cuda.download(&cuda, bytes, scratch, zeroed);
    for (size_t j = 0; j < zeroed; j++) ck_assert_int_eq(bytes[j], 0);
    memset(bytes, 0x5A, n);
    mv_ops_cuda.upload(&cuda, scratch + zeroed, bytes, n - zeroed);
    free(bytes);
  }
  assert_well();
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cuda memory");
  TCase *t = tcase_create("memory");
  tcase_add_checked_fixture(t, cuda_set_up, cuda_tear_down);
  tcase_add_test(t, bytes_come_back_as_they_went);
  tcase_add_test(t, files_come_as_they_are);
  tcase_add_test(t, the_same_bytes_are_staged_once);
  tcase_add_test(t, staged_bytes_outlive_the_ring);
  tcase_add_test(t, staged_bytes_found_again_outlive_the_next);
  tcase_add_test(t, scratch_begins_with_zeros);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
