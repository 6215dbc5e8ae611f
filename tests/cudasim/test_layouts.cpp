/* The emulated tensor-core instructions against the layouts of NVIDIA's own headers, as printed by
 * make_layouts.py: operands are placed by the table, results are looked up by it. */
#include <stdlib.h>
#include <string.h>

#include <map>
#include <string>

#include "kernels/cuda_ptx.h"
#include "tests/check_main.h"
#include "tests/cudasim/test_device.h"

namespace {

struct table {
  int n_row, n_col;
  std::vector<int> values;
  int operator()(int row, int col) const { return values[(size_t)(row * n_col + col)]; }
};

std::map<std::string, table> tables;
float a[64][64], b[128][64], c[64][128]; /* of the product a b^T: the test's, not the device's */
uint16_t matrices[256];                  /* ldmatrix: four of 8 x 8 */
uint32_t loaded[4][32][4];               /* x4, x4.trans, x2, x2.trans */

void read_tables(void) {
  FILE *file = fopen("tests/data/cudasim/layouts.txt", "r");
  ck_assert_ptr_nonnull(file);
  char name[16];
  table t;
  while (fscanf(file, "%15s %d %d", name, &t.n_row, &t.n_col) == 3) {
    t.values.assign((size_t)(t.n_row * t.n_col), 0);
    for (int &v : t.values) ck_assert_int_eq(fscanf(file, "%d", &v), 1);
    tables[name] = t;
  }
  fclose(file);
  ck_assert_uint_eq(tables.size(), 10);
  for (int i = 0; i < 64 * 64; i++) a[i / 64][i % 64] = small_number((unsigned)i);
  for (int i = 0; i < 128 * 64; i++) b[i / 64][i % 64] = small_number((unsigned)i + 9999);
  for (int i = 0; i < 256; i++) matrices[i] = (uint16_t)i;
}

uint32_t place(float x, int value) { /* one half of a register of two */
  return (uint32_t)__bfloat16_as_ushort(__float2bfloat16(x)) << (value % 2 * 16);
}

void check_product(int m, int n, int k) {
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) {
      float want = 0;
      for (int x = 0; x < k; x++) want += a[i][x] * b[j][x];
      ck_assert_msg(c[i][j] == want, "(%d, %d): %g, expected %g", i, j, (double)c[i][j],
                    (double)want);
    }
  ck_assert_msg(sim_report_count() == 0, "%s", sim_report_text(0));
}

__global__ void mma_kernel(int) {
  const table &ta = tables["A16816"], &tb = tables["B16816"], &tc = tables["C16816"];
  const int lane = threadIdx.x;
  uint32_t fa[4] = {}, fb[2] = {};
  float sum[4] = {};
  for (int v = 0; v < 8; v++) fa[v / 2] |= place(a[ta(lane, v) % 16][ta(lane, v) / 16], v);
  for (int v = 0; v < 4; v++) fb[v / 2] |= place(b[tb(lane, v) % 8][tb(lane, v) / 8], v);
  mv_mma_bf16(sum, fa, fb[0], fb[1]);
  for (int v = 0; v < 4; v++) c[tc(lane, v) % 16][tc(lane, v) / 16] = sum[v];
}

__global__ void ldmatrix_kernel(int) {
  MV_DYN_SHARED(memory);
  const int lane = threadIdx.x;
  const uint32_t row = mv_shared_addr(memory) + (uint32_t)lane * 16;
  memcpy(memory + lane * 16, matrices + lane * 8, 16);
  __syncwarp();
  uint32_t r[4], half[2];
  mv_ldmatrix_x4(r, row);
  memcpy(loaded[0][lane], r, sizeof r);
  mv_ldmatrix_x4_trans(r, row);
  memcpy(loaded[1][lane], r, sizeof r);
  mv_ldmatrix_x2(half, row);
  memcpy(loaded[2][lane], half, sizeof half);
  mv_ldmatrix_x2_trans(half, row);
  memcpy(loaded[3][lane], half, sizeof half);
}

enum wgmma_mode { ROWS_128, A_IN_REGISTERS, B_ALONG_N, ROWS_64 };

uint64_t descriptor(uint32_t addr, uint64_t leading, uint64_t stride, uint64_t pattern) {
  return (uint64_t)((addr & 0x3ffff) >> 4) | leading >> 4 << 16 | stride >> 4 << 32 | pattern << 62;
}

void put(unsigned char *tile, int byte, float x) {
  const uint16_t bits = __bfloat16_as_ushort(__float2bfloat16(x));
  memcpy(tile + byte, &bits, sizeof bits);
}

/* 8 rows at a time lie together, swizzled within. */
void fill_rows(unsigned char *tile, const table &t, float (*x)[64], int n_row) {
  for (int r = 0; r < n_row; r++)
    for (int col = 0; col < t.n_col; col++)
      put(tile, r / 8 * t.n_col * 16 + t(r % 8, col) * 2, x[r][col]);
}

__global__ void wgmma_kernel(wgmma_mode mode) {
  MV_DYN_SHARED(memory);
  const int t = threadIdx.x;
  unsigned char *tile_a = memory, *tile_b = memory + 16384;
  const table &rows = tables[mode == ROWS_64 ? "K_SW64" : "K_SW128"], &along = tables["MN_SW128"];
  if (t == 0) {
    fill_rows(tile_a, rows, a, 64);
    if (mode != B_ALONG_N) fill_rows(tile_b, rows, b, 16);
    for (int n = 0; n < 64 && mode == B_ALONG_N; n++)
      for (int k = 0; k < 64; k++)
        put(tile_b, k / 8 * 1024 + along(n, k % 8) * 2, n < 16 ? b[n][k] : 0);
  }
  __syncthreads();
  const table &ta = tables["A64x16"], &tc = tables["C64x16"];
  float sum[8] = {};
  const uint64_t pattern = mode == ROWS_64 ? 2 : 1, stride = (uint64_t)rows.n_col * 16;
  for (int k = 0; k < rows.n_col / 16; k++) {
    const uint32_t step = (uint32_t)k * 32;
    uint32_t fa[4] = {};
    for (int v = 0; v < 8; v++) fa[v / 2] |= place(a[ta(t, v) % 64][ta(t, v) / 64 + k * 16], v);
    const uint64_t da = descriptor(mv_shared_addr(tile_a) + step, 16, stride, pattern);
    const uint64_t db =
        mode == B_ALONG_N
            ? descriptor(mv_shared_addr(tile_b) + (uint32_t)k * 2048, 8192, 1024, pattern)
            : descriptor(mv_shared_addr(tile_b) + step, 16, stride, pattern);
    sim::wgmma(sum, mode == A_IN_REGISTERS ? fa : nullptr, da, db, 16, mode == B_ALONG_N);
    mv_wgmma_commit();
    mv_wgmma_wait<0>();
  }
  for (int v = 0; v < 8; v++) c[tc(t, v) % 64][tc(t, v) / 64] = sum[v];
}

}  // namespace

START_TEST(mma_has_the_layout_of_the_headers) {
  ck_cuda(mv_launch({dim3(1), dim3(32)}, mma_kernel, 0));
  check_product(16, 8, 16);
}
END_TEST

START_TEST(ldmatrix_has_the_layout_of_the_headers) {
  ck_cuda(mv_launch({dim3(1), dim3(32), 512}, ldmatrix_kernel, 0));
  for (int transposed = 0; transposed < 2; transposed++) {
    const table &t = tables[transposed ? "LDSM_T" : "LDSM_N"];
    for (int lane = 0; lane < 32; lane++)
      for (int v = 0; v < 8; v++) {
        int whole = loaded[transposed][lane][v / 2] >> (v % 2 * 16) & 0xffff;
        int half = loaded[2 + transposed][lane][v / 2] >> (v % 2 * 16) & 0xffff;
        ck_assert_int_eq(whole, matrices[t(lane, v)]);
        if (v < 4) ck_assert_int_eq(half, whole);
      }
  }
  ck_assert_msg(sim_report_count() == 0, "%s", sim_report_text(0));
}
END_TEST

START_TEST(wgmma_has_the_layouts_of_the_headers) {
  for (int async : {SIM_LATE, SIM_EARLY}) {
    sim_settings()->async = async;
    memset(c, 0, sizeof c);
    ck_cuda(mv_launch({dim3(1), dim3(128), 32768}, wgmma_kernel, (wgmma_mode)_i));
    check_product(64, 16, _i == ROWS_64 ? 32 : 64);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cudasim layouts");
  TCase *t = tcase_create("layouts");
  tcase_add_checked_fixture(t, read_tables, NULL);
  tcase_add_test(t, mma_has_the_layout_of_the_headers);
  tcase_add_test(t, ldmatrix_has_the_layout_of_the_headers);
  tcase_add_loop_test(t, wgmma_has_the_layouts_of_the_headers, ROWS_128, ROWS_64 + 1);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
