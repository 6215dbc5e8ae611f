/* Right kernels give right results and no reports, in every order. */
#include "tests/check_main.h"
#include "tests/cudasim/samples_run.h"

#define ck_clean() ck_assert_msg(sim_report_count() == 0, "%s", sim_report_text(0))

/* 10 * major + minor; 0: no device. */
static int device_arch() {
  int major = 0, minor = 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) != cudaSuccess ||
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0) != cudaSuccess)
    return 0;
  return 10 * major + minor;
}

START_TEST(sums_rows_of_any_length) {
  for (int d : {4, 124, 512, 1028})
    for (int n_row : {1, 3}) ck_assert(run_row_sum(SAMPLE_RIGHT, n_row, d));
  ck_clean();
}
END_TEST

START_TEST(scans_by_shuffles) {
  for (int n : {1, 31, 32, 33, 1000, 1024}) {
    std::vector<int> x((size_t)n), want((size_t)n);
    for (size_t i = 0; i < x.size(); i++) {
      x[i] = (int)(i * 7 % 13) - 5;
      want[i] = x[i] + (i ? want[i - 1] : 0);
    }
    device_array<int> dx(x), dy((size_t)n);
    ck_cuda(sample_scan(dx.p, dy.p, n, nullptr));
    ck_cuda(cudaDeviceSynchronize());
    ck_assert(dy.get() == want);
  }
  ck_clean();
}
END_TEST

START_TEST(sums_warps_in_shared_memory) {
  ck_assert(run_warp_sum(SAMPLE_RIGHT, 6));
  ck_clean();
}
END_TEST

START_TEST(copies_tiles_ahead_asynchronously) {
  for (int n_tile : {1, 2, 3, 8}) ck_assert(run_tile_sum(SAMPLE_RIGHT, n_tile));
  ck_clean();
}
END_TEST

START_TEST(multiplies_tiles_on_tensor_cores) {
  for (int ld : {64, 72, 128}) ck_assert(run_product(SAMPLE_RIGHT, ld));
  ck_clean();
}
END_TEST

START_TEST(last_block_merges_the_parts) {
  for (int n_block : {1, 2, 7, 64}) ck_assert(run_split_sum(SAMPLE_RIGHT, 1000, n_block));
  ck_clean();
}
END_TEST

START_TEST(grid_waits_for_itself) {
  for (int n_block : {1, 3, 16}) ck_assert(run_grid_scan(SAMPLE_RIGHT, n_block));
  ck_clean();
}
END_TEST

START_TEST(overlapping_kernels_wait) {
  ck_assert(run_overlap(SAMPLE_RIGHT));
  ck_clean();
}
END_TEST

START_TEST(cluster_reads_the_other_blocks_memory) {
  std::vector<float> x = small_floats(8 * 32, 10);
  device_array<float> dx(x), dy(x.size());
  ck_cuda(sample_cluster(dx.p, dy.p, 8, nullptr));
  ck_cuda(cudaDeviceSynchronize());
  std::vector<float> y = dy.get();
  for (size_t i = 0; i < y.size(); i++) ck_assert_float_eq(y[i], x[i] + x[i ^ 32]);
  ck_clean();
}
END_TEST

START_TEST(named_barriers_pass_data_between_warps) {
  device_array<int> dy(64);
  ck_cuda(sample_named_barriers(dy.p, 5, nullptr));
  ck_cuda(cudaDeviceSynchronize());
  std::vector<int> y = dy.get();
  for (int t = 0; t < 64; t++) ck_assert_int_eq(y[(size_t)t], 64 * 10 + 5 * (t ^ 1));
  ck_clean();
}
END_TEST

START_TEST(votes_and_atomics_agree_with_cuda) {
  device_array<int> dy(8);
  ck_cuda(sample_votes(dy.p, nullptr));
  ck_cuda(cudaDeviceSynchronize());
  const std::vector<int> want = {2016, 32, 0, 7, 0xff0000, 20, 19, 3};
  ck_assert(dy.get() == want);
  ck_clean();
}
END_TEST

START_TEST(multiplies_through_tma_and_wgmma) {
  ck_assert(run_hopper_product(SAMPLE_RIGHT, 64, 128, 64));
  ck_assert(run_hopper_product(SAMPLE_RIGHT, 70, 136, 328));
  ck_assert(run_hopper_product(SAMPLE_RIGHT, 1, 8, 8));
  ck_clean();
}
END_TEST

static Suite *suite(void) {
  const int arch = device_arch();
  if (!arch) {
    printf("skip: no CUDA device\n");
    exit(77);
  }
  Suite *s = suite_create("cudasim samples");
  TCase *t = tcase_create("samples");
  tcase_add_test(t, sums_rows_of_any_length);
  tcase_add_test(t, scans_by_shuffles);
  tcase_add_test(t, sums_warps_in_shared_memory);
  tcase_add_test(t, copies_tiles_ahead_asynchronously);
  tcase_add_test(t, multiplies_tiles_on_tensor_cores);
  tcase_add_test(t, last_block_merges_the_parts);
  tcase_add_test(t, grid_waits_for_itself);
  tcase_add_test(t, named_barriers_pass_data_between_warps);
  tcase_add_test(t, votes_and_atomics_agree_with_cuda);
  if (arch >= 90) {
    tcase_add_test(t, overlapping_kernels_wait);
    tcase_add_test(t, cluster_reads_the_other_blocks_memory);
  }
  if (arch == 90) tcase_add_test(t, multiplies_through_tma_and_wgmma);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
