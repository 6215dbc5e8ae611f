/* cuBLASLt's stand-in, from C: y = x W^T as the engine asks for it, against plain loops. */
#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <stdint.h>
#include <string.h>

#include "runtime/dtype.h"
#include "tests/check_main.h"
#include "tests/cudasim/sim.h"

enum { N_ROW = 5, N_IN = 24, N_OUT = 16, WORKSPACE = 1 << 16 };

static cublasLtHandle_t handle;
static void *workspace;
static uint16_t x[N_ROW * N_IN], w[N_OUT * N_IN], bias[N_OUT];
static void *dev_x, *dev_w, *dev_bias, *dev_y;

static float number(unsigned i) { return (float)((int)(i * 2654435761u >> 28) - 8); }

static void *upload(const void *p, size_t n_bytes) {
  void *dev = NULL;
  ck_assert_int_eq(cudaMalloc(&dev, n_bytes), cudaSuccess);
  ck_assert_int_eq(cudaMemcpy(dev, p, n_bytes, cudaMemcpyHostToDevice), cudaSuccess);
  return dev;
}

static void set_up(void) {
  static const float zeros[N_ROW * N_OUT];
  for (unsigned i = 0; i < N_ROW * N_IN; i++) x[i] = mv_f32_to_bf16(number(i));
  for (unsigned i = 0; i < N_OUT * N_IN; i++) w[i] = mv_f32_to_bf16(number(i + 1000));
  for (unsigned i = 0; i < N_OUT; i++) bias[i] = mv_f32_to_bf16(number(i + 5000));
  dev_x = upload(x, sizeof x);
  dev_w = upload(w, sizeof w);
  dev_bias = upload(bias, sizeof bias);
  dev_y = upload(zeros, sizeof zeros);
  ck_assert_int_eq(cudaMalloc(&workspace, WORKSPACE), cudaSuccess);
  ck_assert_int_eq(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS);
}

static void tear_down(void) {
  cublasLtDestroy(handle);
  cudaFree(dev_x);
  cudaFree(dev_w);
  cudaFree(dev_bias);
  cudaFree(dev_y);
  cudaFree(workspace);
  sim_clear();
}

/* Row-major y [N_ROW, N_OUT] is column-major D [N_OUT, N_ROW] = W^T' x, both operands with k first.
 */
typedef struct product {
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t w, x, y;
  cublasLtMatmulPreference_t preference;
} product;

static product product_new(cudaDataType_t y_type, cublasLtEpilogue_t epilogue) {
  product p;
  cublasOperation_t transposed = CUBLAS_OP_T;
  size_t limit = WORKSPACE;
  ck_assert_int_eq(cublasLtMatmulDescCreate(&p.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), 0);
  ck_assert_int_eq(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                                  sizeof transposed),
                   0);
  ck_assert_int_eq(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                                  sizeof epilogue),
                   0);
  ck_assert_int_eq(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                                  &dev_bias, sizeof dev_bias),
                   0);
  cudaDataType_t bias_type = CUDA_R_16BF;
  ck_assert_int_eq(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE,
                                                  &bias_type, sizeof bias_type),
                   0);
  ck_assert_int_eq(cublasLtMatrixLayoutCreate(&p.w, CUDA_R_16BF, N_IN, N_OUT, N_IN), 0);
  ck_assert_int_eq(cublasLtMatrixLayoutCreate(&p.x, CUDA_R_16BF, N_IN, N_ROW, N_IN), 0);
  ck_assert_int_eq(cublasLtMatrixLayoutCreate(&p.y, y_type, N_OUT, N_ROW, N_OUT), 0);
  ck_assert_int_eq(cublasLtMatmulPreferenceCreate(&p.preference), 0);
  ck_assert_int_eq(
      cublasLtMatmulPreferenceSetAttribute(p.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                           &limit, sizeof limit),
      0);
  return p;
}

static void product_free(product *p) {
  cublasLtMatmulDescDestroy(p->desc);
  cublasLtMatrixLayoutDestroy(p->w);
  cublasLtMatrixLayoutDestroy(p->x);
  cublasLtMatrixLayoutDestroy(p->y);
  cublasLtMatmulPreferenceDestroy(p->preference);
}

static cublasStatus_t run(const product *p, float beta, const cublasLtMatmulAlgo_t *algo,
                          size_t workspace_bytes) {
  float alpha = 1;
  return cublasLtMatmul(handle, p->desc, &alpha, dev_w, p->w, dev_x, p->x, &beta, dev_y, p->y,
                        dev_y, p->y, algo, workspace, workspace_bytes, NULL);
}

static float expected(int row, int col) {
  float sum = 0;
  for (int k = 0; k < N_IN; k++)
    sum += mv_bf16_to_f32(x[row * N_IN + k]) * mv_bf16_to_f32(w[col * N_IN + k]);
  return sum;
}

START_TEST(multiplies_with_every_algorithm_it_offers) {
  product p = product_new(CUDA_R_32F, CUBLASLT_EPILOGUE_DEFAULT);
  cublasLtMatmulHeuristicResult_t found[8];
  int n = 0;
  ck_assert_int_eq(cublasLtMatmulAlgoGetHeuristic(handle, p.desc, p.w, p.x, p.y, p.y, p.preference,
                                                  8, found, &n),
                   CUBLAS_STATUS_SUCCESS);
  ck_assert_int_ge(n, 2);
  for (int i = 0; i < n; i++) {
    float y[N_ROW * N_OUT];
    ck_assert_int_eq(run(&p, 0, &found[i].algo, WORKSPACE), CUBLAS_STATUS_SUCCESS);
    cudaMemcpy(y, dev_y, sizeof y, cudaMemcpyDeviceToHost);
    for (int j = 0; j < N_ROW * N_OUT; j++)
      ck_assert_float_eq(y[j], expected(j / N_OUT, j % N_OUT));
  }
  product_free(&p);
  ck_assert_int_eq(sim_report_count(), 0);
}
END_TEST

START_TEST(adds_bias_and_residual) {
  product p = product_new(CUDA_R_16BF, CUBLASLT_EPILOGUE_BIAS);
  uint16_t y[N_ROW * N_OUT];
  for (unsigned i = 0; i < N_ROW * N_OUT; i++) y[i] = mv_f32_to_bf16(number(i + 9000));
  uint16_t before[N_ROW * N_OUT];
  memcpy(before, y, sizeof y);
  cudaMemcpy(dev_y, y, sizeof y, cudaMemcpyHostToDevice);
  ck_assert_int_eq(run(&p, 1, NULL, WORKSPACE), CUBLAS_STATUS_SUCCESS);
  cudaMemcpy(y, dev_y, sizeof y, cudaMemcpyDeviceToHost);
  for (int j = 0; j < N_ROW * N_OUT; j++) {
    float want = expected(j / N_OUT, j % N_OUT) + mv_bf16_to_f32(before[j]) +
                 mv_bf16_to_f32(bias[j % N_OUT]);
    ck_assert_uint_eq(y[j], mv_f32_to_bf16(want));
  }
  product_free(&p);
  ck_assert_int_eq(sim_report_count(), 0);
}
END_TEST

START_TEST(algorithms_are_plain_bytes) {
  product p = product_new(CUDA_R_32F, CUBLASLT_EPILOGUE_DEFAULT);
  cublasLtMatmulAlgo_t algo, copy;
  cublasLtMatmulHeuristicResult_t result;
  int32_t n_split = 0;
  size_t n_written = 0;
  ck_assert_int_eq(cublasLtMatmulAlgoInit(handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF,
                                          CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F, 1, &algo),
                   CUBLAS_STATUS_SUCCESS);
  memcpy(&copy, &algo, sizeof copy);
  ck_assert_int_eq(cublasLtMatmulAlgoConfigGetAttribute(&copy, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                                                        &n_split, sizeof n_split, &n_written),
                   CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(n_split, 2);
  n_split = 3;
  cublasLtMatmulAlgoConfigSetAttribute(&copy, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &n_split,
                                       sizeof n_split);
  ck_assert_int_eq(cublasLtMatmulAlgoCheck(handle, p.desc, p.w, p.x, p.y, p.y, &copy, &result),
                   CUBLAS_STATUS_SUCCESS);
  ck_assert_uint_eq(result.workspaceSize, 3 * N_ROW * N_OUT * 4);
  memset(&copy, 0, sizeof copy);
  ck_assert_int_ne(cublasLtMatmulAlgoCheck(handle, p.desc, p.w, p.x, p.y, p.y, &copy, &result),
                   CUBLAS_STATUS_SUCCESS);
  product_free(&p);
}
END_TEST

START_TEST(refuses_misuse) {
  product p = product_new(CUDA_R_32F, CUBLASLT_EPILOGUE_DEFAULT);
  uint64_t wrong = N_IN + 1;
  cublasLtMatmulAlgo_t algo;
  cublasLtMatmulAlgoInit(handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF,
                         CUDA_R_32F, CUDA_R_32F, 2, &algo);
  ck_assert_int_ne(run(&p, 0, &algo, 16), CUBLAS_STATUS_SUCCESS); /* too little workspace */
  cublasLtMatrixLayoutSetAttribute(p.x, CUBLASLT_MATRIX_LAYOUT_ROWS, &wrong, sizeof wrong);
  ck_assert_int_eq(run(&p, 0, NULL, WORKSPACE), CUBLAS_STATUS_INVALID_VALUE);
  product_free(&p);
  ck_assert_int_eq(sim_report_count(), 0);
}
END_TEST

START_TEST(reports_operands_out_of_bounds) {
  product p = product_new(CUDA_R_32F, CUBLASLT_EPILOGUE_DEFAULT);
  uint64_t more = N_OUT + 1;
  int64_t ld = N_OUT + 1;
  cublasLtMatrixLayoutSetAttribute(p.w, CUBLASLT_MATRIX_LAYOUT_COLS, &more, sizeof more);
  cublasLtMatrixLayoutSetAttribute(p.y, CUBLASLT_MATRIX_LAYOUT_ROWS, &more, sizeof more);
  cublasLtMatrixLayoutSetAttribute(p.y, CUBLASLT_MATRIX_LAYOUT_LD, &ld, sizeof ld);
  ck_assert_int_eq(run(&p, 0, NULL, WORKSPACE), CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  ck_assert(sim_reported("cublasLtMatmul A"));
  sim_clear();
  product_free(&p);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cudasim cublaslt");
  TCase *t = tcase_create("cublaslt");
  tcase_add_checked_fixture(t, set_up, tear_down);
  tcase_add_test(t, multiplies_with_every_algorithm_it_offers);
  tcase_add_test(t, adds_bias_and_residual);
  tcase_add_test(t, algorithms_are_plain_bytes);
  tcase_add_test(t, refuses_misuse);
  tcase_add_test(t, reports_operands_out_of_bounds);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
