/* cuBLASLt's products, plainly: D = epilogue(alpha op(A) op(B) + beta C + bias). Algorithms differ
 * in how many parts they split the sum into, so that a different choice gives different last bits,
 * and a split needs workspace, as on a card; one adds up a whole sum in an order of its own, two in
 * the same, of which one refuses few rows. */
#include <cublasLt.h>
#include <math.h>
#include <string.h>

#include "internal.h"
#include "tensor.h"

struct sim_lt {
  int version;
};

struct sim_lt_matmul {
  cublasComputeType_t compute;
  cudaDataType_t scale, bias_type;
  cublasOperation_t trans_a, trans_b;
  cublasLtEpilogue_t epilogue;
  const void *bias;
  bool bias_type_given;
};

struct sim_lt_layout {
  cudaDataType_t type;
  uint64_t n_row, n_col;
  int64_t ld, batch_stride;
  int32_t n_batch;
};

struct sim_lt_preference {
  uint64_t workspace_bytes;
};

namespace sim {

namespace {

constexpr uint64_t algo_magic = 0x6d765f616c676f00;
constexpr int n_algo = 5;
const int algo_splits[n_algo] = {1, 2, 4, 1, 1};
constexpr int wants_rows = 3, least_rows = 8;
constexpr int own_order = 4; /* the algorithm that begins with the last products */

/* What cublasLtMatmulAlgo_t holds. */
struct algo_data {
  uint64_t magic;
  int32_t id, tile, n_split, scheme, swizzle, custom, stages;
};
static_assert(sizeof(algo_data) <= sizeof(cublasLtMatmulAlgo_t), "fits");

algo_data algo_read(const cublasLtMatmulAlgo_t *algo) {
  algo_data d;
  memcpy(&d, algo, sizeof d);
  return d;
}

cublasLtMatmulAlgo_t algo_make(int id) {
  algo_data d = {algo_magic, id, 1 + id, algo_splits[id], algo_splits[id] > 1, 0, 0, 1};
  cublasLtMatmulAlgo_t algo = {};
  memcpy(&algo, &d, sizeof d);
  return algo;
}

int32_t *algo_field(algo_data *d, cublasLtMatmulAlgoConfigAttributes_t attribute) {
  switch (attribute) {
    case CUBLASLT_ALGO_CONFIG_ID:
      return &d->id;
    case CUBLASLT_ALGO_CONFIG_TILE_ID:
      return &d->tile;
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
      return &d->n_split;
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
      return &d->scheme;
    case CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING:
      return &d->swizzle;
    case CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION:
      return &d->custom;
    case CUBLASLT_ALGO_CONFIG_STAGES_ID:
      return &d->stages;
  }
  return nullptr;
}

size_t type_bytes(cudaDataType_t type) { return type == CUDA_R_32F ? 4 : 2; }

bool type_known(cudaDataType_t type) { return type == CUDA_R_32F || type == CUDA_R_16BF; }

float element(const void *p, cudaDataType_t type, uint64_t i) {
  if (type == CUDA_R_32F) return ((const float *)p)[i];
  return bf16_low(((const uint16_t *)p)[i]);
}

void set_element(void *p, cudaDataType_t type, uint64_t i, float x) {
  if (type == CUDA_R_32F) {
    ((float *)p)[i] = x;
    return;
  }
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  ((uint16_t *)p)[i] = is_nan ? 0x7fff : (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

uint64_t layout_span(const sim_lt_layout &l) { /* elements from the first to the last, inclusive */
  return (uint64_t)(l.n_batch - 1) * (uint64_t)l.batch_stride + (l.n_col - 1) * (uint64_t)l.ld +
         l.n_row;
}

struct product {
  sim_lt_matmul desc;
  sim_lt_layout al, bl, cl, dl;
  const void *a, *b, *c;
  void *d;
  float alpha, beta;
  int n_split;
  bool is_own_order;
  uint64_t m, n, k;
};

/* op(A) as rows or op(B) as columns of k floats that lie together. */
std::vector<float> gathered(const void *p, const sim_lt_layout &l, bool k_is_row, uint64_t n_line,
                            uint64_t k, int batch) {
  std::vector<float> out(n_line * k);
  const uint64_t base = (uint64_t)batch * (uint64_t)l.batch_stride;
  for (uint64_t line = 0; line < n_line; line++)
    for (uint64_t i = 0; i < k; i++)
      out[line * k + i] = element(
          p, l.type, base + (k_is_row ? line * (uint64_t)l.ld + i : i * (uint64_t)l.ld + line));
  return out;
}

float dot(const float *a, const float *b, uint64_t n) {
  v8f sum = {}, x, y;
  uint64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    memcpy(&x, a + i, sizeof x);
    memcpy(&y, b + i, sizeof y);
    sum += x * y;
  }
  float total = ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
  for (; i < n; i++) total += a[i] * b[i];
  return total;
}

float finish(const product &p, float x, uint64_t row) {
  const int e = p.desc.epilogue;
  if (e & CUBLASLT_EPILOGUE_BIAS) x += element(p.desc.bias, p.desc.bias_type, row);
  if (e & CUBLASLT_EPILOGUE_RELU) x = x > 0 ? x : 0;
  if (e & CUBLASLT_EPILOGUE_GELU) /* the tanh form is cuBLAS's only one */
    x = 0.5f * x * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
  return x;
}

bool operands_ok(const product &p) {
  return range_ok(p.a, layout_span(p.al) * type_bytes(p.al.type), "cublasLtMatmul A", false) &&
         range_ok(p.b, layout_span(p.bl) * type_bytes(p.bl.type), "cublasLtMatmul B", false) &&
         (p.beta == 0 ||
          range_ok(p.c, layout_span(p.cl) * type_bytes(p.cl.type), "cublasLtMatmul C", false)) &&
         range_ok(p.d, layout_span(p.dl) * type_bytes(p.dl.type), "cublasLtMatmul D", false) &&
         (!(p.desc.epilogue & CUBLASLT_EPILOGUE_BIAS) ||
          range_ok(p.desc.bias, p.m * type_bytes(p.desc.bias_type), "cublasLtMatmul bias", false));
}

void check_initialised(const void *p, const sim_lt_layout &l, const char *what) {
  for (int batch = 0; batch < l.n_batch; batch++)
    for (uint64_t col = 0; col < l.n_col; col++) {
      uint64_t at = (uint64_t)batch * (uint64_t)l.batch_stride + col * (uint64_t)l.ld;
      check_host_read((const char *)p + at * type_bytes(l.type), l.n_row * type_bytes(l.type),
                      what);
    }
}

float sum_of(const product &p, const float *a, const float *b) {
  if (p.is_own_order) {
    const uint64_t half = p.k / 2;
    return dot(a + half, b + half, p.k - half) + dot(a, b, half);
  }
  const uint64_t part = (p.k + (uint64_t)p.n_split - 1) / (uint64_t)p.n_split;
  float sum = 0;
  for (uint64_t k = 0; k < p.k; k += part) sum += dot(a + k, b + k, std::min(part, p.k - k));
  return sum;
}

cudaError_t run(const product &p) {
  if (sticky()) return sticky();
  if (!operands_ok(p)) {
    set_sticky(cudaErrorIllegalAddress);
    return cudaSuccess;
  }
  if (config.check) {
    check_initialised(p.a, p.al, "cublasLtMatmul A");
    check_initialised(p.b, p.bl, "cublasLtMatmul B");
    if (p.beta != 0) check_initialised(p.c, p.cl, "cublasLtMatmul C");
  }
  for (int batch = 0; batch < p.dl.n_batch; batch++) {
    auto a = gathered(p.a, p.al, p.desc.trans_a != CUBLAS_OP_N, p.m, p.k, batch);
    auto b = gathered(p.b, p.bl, p.desc.trans_b == CUBLAS_OP_N, p.n, p.k, batch);
    for (uint64_t j = 0; j < p.n; j++) {
      const uint64_t d_col = (uint64_t)batch * (uint64_t)p.dl.batch_stride + j * (uint64_t)p.dl.ld;
      const uint64_t c_col = (uint64_t)batch * (uint64_t)p.cl.batch_stride + j * (uint64_t)p.cl.ld;
      for (uint64_t i = 0; i < p.m; i++) {
        float x = p.alpha * sum_of(p, &a[i * p.k], &b[j * p.k]);
        if (p.beta != 0) x += p.beta * element(p.c, p.cl.type, c_col + i);
        set_element(p.d, p.dl.type, d_col + i, finish(p, x, i));
      }
      check_host_write((char *)p.d + d_col * type_bytes(p.dl.type), p.m * type_bytes(p.dl.type));
    }
  }
  return cudaSuccess;
}

/* Sizes and types of one call; SUCCESS when the stand-in (and cuBLASLt) can do it. */
cublasStatus_t shapes_ok(const sim_lt_matmul &desc, const sim_lt_layout &a, const sim_lt_layout &b,
                         const sim_lt_layout &c, const sim_lt_layout &d) {
  const bool ta = desc.trans_a != CUBLAS_OP_N, tb = desc.trans_b != CUBLAS_OP_N;
  const uint64_t m = ta ? a.n_col : a.n_row, k = ta ? a.n_row : a.n_col;
  const uint64_t n = tb ? b.n_row : b.n_col, kb = tb ? b.n_col : b.n_row;
  if (k != kb || d.n_row != m || d.n_col != n || c.n_row != m || c.n_col != n)
    return CUBLAS_STATUS_INVALID_VALUE;
  for (const sim_lt_layout *l : {&a, &b, &c, &d})
    if (l->ld < (int64_t)l->n_row || l->n_batch != d.n_batch || !l->n_row || !l->n_col)
      return CUBLAS_STATUS_INVALID_VALUE;
  if (!type_known(a.type) || a.type != b.type || !type_known(d.type) || c.type != d.type ||
      desc.scale != CUDA_R_32F || (a.type == CUDA_R_32F && d.type != CUDA_R_32F))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (desc.epilogue & CUBLASLT_EPILOGUE_BIAS && desc.bias_type_given && desc.bias_type != d.type)
    return CUBLAS_STATUS_NOT_SUPPORTED; /* no f32 bias under a bf16 result */
  return CUBLAS_STATUS_SUCCESS;
}

size_t workspace_of(int n_split, const sim_lt_layout &d) {
  return n_split > 1 ? (size_t)n_split * d.n_row * d.n_col * 4 : 0;
}

cublasStatus_t check_algo(const sim_lt_matmul &desc, const sim_lt_layout &a, const sim_lt_layout &b,
                          const sim_lt_layout &c, const sim_lt_layout &d,
                          const cublasLtMatmulAlgo_t *algo, size_t *workspace) {
  if (cublasStatus_t status = shapes_ok(desc, a, b, c, d)) return status;
  const algo_data data = algo_read(algo);
  const uint64_t k = desc.trans_a != CUBLAS_OP_N ? a.n_row : a.n_col;
  if (data.magic != algo_magic || data.id < 0 || data.id >= n_algo || data.n_split < 1 ||
      data.n_split > 16)
    return CUBLAS_STATUS_INVALID_VALUE;
  if ((uint64_t)data.n_split > k) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (data.id == wants_rows && d.n_col < least_rows) return CUBLAS_STATUS_NOT_SUPPORTED;
  *workspace = workspace_of(data.n_split, d);
  return CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus_t set_value(T *field, const void *value, size_t n_bytes) {
  if (!value || n_bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(field, value, sizeof(T));
  return CUBLAS_STATUS_SUCCESS;
}

/* A failure made to order with sim_fail_call. */
#define LT_BEGIN()                                          \
  std::lock_guard<std::recursive_mutex> lt_lock(api_mutex); \
  if (begin_call()) return CUBLAS_STATUS_INTERNAL_ERROR

}  // namespace
}  // namespace sim

using namespace sim;

extern "C" {

const char *cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
  }
}

size_t cublasLtGetVersion(void) { return CUBLAS_VERSION; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
  LT_BEGIN();
  *handle = new sim_lt{CUBLAS_VERSION};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  LT_BEGIN();
  *desc = new sim_lt_matmul{compute,     scale,       CUDA_R_32F,
                            CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT,
                            nullptr,     false};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t n_bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return set_value(&desc->trans_a, value, n_bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return set_value(&desc->trans_b, value, n_bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return set_value(&desc->epilogue, value, n_bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return set_value(&desc->bias, value, n_bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      desc->bias_type_given = true;
      return set_value(&desc->bias_type, value, n_bytes);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type,
                                          uint64_t rows, uint64_t cols, int64_t ld) {
  LT_BEGIN();
  *layout = new sim_lt_layout{type, rows, cols, ld, 0, 1};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void *value, size_t n_bytes) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
      return set_value(&layout->type, value, n_bytes);
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
      return set_value(&layout->n_row, value, n_bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
      return set_value(&layout->n_col, value, n_bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
      return set_value(&layout->ld, value, n_bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return set_value(&layout->n_batch, value, n_bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return set_value(&layout->batch_stride, value, n_bytes);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
  LT_BEGIN();
  *preference = new sim_lt_preference{0};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t n_bytes) {
  if (attribute != CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) return CUBLAS_STATUS_SUCCESS;
  return set_value(&preference->workspace_bytes, value, n_bytes);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int n_wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *n) {
  LT_BEGIN();
  *n = 0;
  if (cublasStatus_t status = shapes_ok(*desc, *a, *b, *c, *d)) return status;
  for (int id = 0; id < n_algo && *n < n_wanted; id++) {
    cublasLtMatmulHeuristicResult_t *r = &results[*n];
    *r = {};
    r->algo = algo_make(id);
    r->wavesCount = 1;
    if (check_algo(*desc, *a, *b, *c, *d, &r->algo, &r->workspaceSize) ||
        r->workspaceSize > preference->workspace_bytes)
      continue;
    ++*n;
  }
  return *n ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t, cublasComputeType_t, cudaDataType_t,
                                      cudaDataType_t, cudaDataType_t, cudaDataType_t,
                                      cudaDataType_t, int id, cublasLtMatmulAlgo_t *algo) {
  LT_BEGIN();
  if (id < 0 || id >= n_algo) return CUBLAS_STATUS_INVALID_VALUE;
  *algo = algo_make(id);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t desc,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t *algo,
                                       cublasLtMatmulHeuristicResult_t *result) {
  LT_BEGIN();
  *result = {};
  result->algo = *algo;
  result->wavesCount = 1;
  result->state = check_algo(*desc, *a, *b, *c, *d, algo, &result->workspaceSize);
  return result->state;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void *value, size_t n_bytes,
                                                    size_t *n_written) {
  algo_data data = algo_read(algo);
  const int32_t *field = algo_field(&data, attribute);
  if (!field || n_bytes < sizeof *field) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(value, field, sizeof *field);
  if (n_written) *n_written = sizeof *field;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void *value, size_t n_bytes) {
  algo_data data = algo_read(algo);
  int32_t *field = algo_field(&data, attribute);
  if (!field) return CUBLAS_STATUS_INVALID_VALUE;
  cublasStatus_t status = set_value(field, value, n_bytes);
  memcpy(algo, &data, sizeof data);
  return status;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream) {
  LT_BEGIN();
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  const cublasLtMatmulAlgo_t chosen = algo ? *algo : algo_make(0);
  size_t needed = 0;
  cublasStatus_t status =
      check_algo(*desc, *a_layout, *b_layout, *c_layout, *d_layout, &chosen, &needed);
  if (status) return status;
  if (needed > workspace_bytes || (needed && !range_ok(workspace, needed, "workspace", false)))
    return CUBLAS_STATUS_INVALID_VALUE;
  for (const void *p : {a, b, (const void *)d})
    if ((uintptr_t)p % 16 && algo) return CUBLAS_STATUS_NOT_SUPPORTED; /* what tuning assumed */
  product p = {*desc, *a_layout, *b_layout, *c_layout, *d_layout, a, b, c,
               d,     0,         0,         0,         false,     0, 0, 0};
  memcpy(&p.alpha, alpha, sizeof p.alpha);
  memcpy(&p.beta, beta, sizeof p.beta);
  p.n_split = algo_read(&chosen).n_split;
  p.is_own_order = algo_read(&chosen).id == own_order;
  p.m = d_layout->n_row;
  p.n = d_layout->n_col;
  p.k = desc->trans_a != CUBLAS_OP_N ? a_layout->n_row : a_layout->n_col;
  if (!desc->bias_type_given) p.desc.bias_type = d_layout->type; /* as documented: D's type */
  return submit(stream, [p] { return run(p); }) ? CUBLAS_STATUS_EXECUTION_FAILED
                                                : CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
