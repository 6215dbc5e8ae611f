/* Which of the library's algorithms: measured, on the device at hand, with the very weights. */
#include <string.h>

#include "kernels/linear_lt.h"
#include "runtime/memory.h"

#define CANDIDATES 32
/* Compared bit for bit, at either end of the result. Rounded to bf16, one of some thousand values
 * shows that sums were taken in another order. */
#define PROBE_VALUES 65536
#define ENOUGH_MS 3.0f /* of timing for one candidate */
#define MAX_REPEATS 20

/* A product to be timed. x is made of the weights themselves: zeros would flatter. */
typedef struct trial {
  mv_lt_product product;
  const void *w;
  void *x, *y, *bias; /* own: device memory */
  cudaEvent_t begin, end;
  size_t y_bytes, probe_bytes;
  char *bits, *like; /* own: rows of results on the host, 2 * probe_bytes each; one at least */
} trial;

static size_t y_row_bytes(const mv_lt_key *key) {
  return (size_t)key->n_out * (key->y_is_bf16 ? sizeof(uint16_t) : sizeof(float));
}

/* Running out of memory is no failure here: the algorithm is then taken untimed. */
static int allocate(mv_device *device, void **ptr, size_t n_bytes) {
  cudaError_t error = cudaMalloc(ptr, n_bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return 0;
  }
  return mv_cuda_check(device, error, "timing products");
}

static int fill(mv_device *device, trial *t) {
  const mv_lt_key *key = &t->product.key;
  cudaStream_t stream = mv_cuda_of(device)->stream;
  size_t row_bytes = (size_t)key->n_in * sizeof(uint16_t);
  for (int row = 0; row < key->n_row; row += key->n_out) {
    int n = key->n_row - row < key->n_out ? key->n_row - row : key->n_out;
    if (!mv_cuda_check(device,
                       cudaMemcpyAsync((char *)t->x + (size_t)row * row_bytes, t->w,
                                       (size_t)n * row_bytes, cudaMemcpyDeviceToDevice, stream),
                       "timing products"))
      return 0;
  }
  return !t->bias ||
         mv_cuda_check(device, cudaMemsetAsync(t->bias, 0, (size_t)key->n_out * 4, stream),
                       "timing products");
}

/* Returns whether timing is possible; close also when not. */
static int open_trial(mv_device *device, trial *t, const mv_lt_key *key, const void *w) {
  memset(t, 0, sizeof *t);
  t->w = w;
  if (!mv_lt_product_open(device, &t->product, key, key->n_in, key->n_out)) return 0;
  int n_probe = (PROBE_VALUES + key->n_out - 1) / key->n_out;
  if (n_probe > key->n_row) n_probe = key->n_row;
  t->y_bytes = (size_t)key->n_row * y_row_bytes(key);
  t->probe_bytes = (size_t)n_probe * y_row_bytes(key);
  t->bits = mv_alloc(2 * t->probe_bytes);
  t->like = mv_alloc(2 * t->probe_bytes);
  return t->bits && t->like &&
         allocate(device, &t->x, (size_t)key->n_row * (size_t)key->n_in * sizeof(uint16_t)) &&
         allocate(device, &t->y, t->y_bytes) &&
         (!key->has_bias || allocate(device, &t->bias, (size_t)key->n_out * 4)) &&
         mv_cuda_check(device, cudaEventCreate(&t->begin), "timing products") &&
         mv_cuda_check(device, cudaEventCreate(&t->end), "timing products") && fill(device, t);
}

static void close_trial(mv_device *device, trial *t) {
  mv_lt_product_close(&t->product);
  mv_cuda_check(device, cudaStreamSynchronize(mv_cuda_of(device)->stream), "timing products");
  if (t->begin) cudaEventDestroy(t->begin);
  if (t->end) cudaEventDestroy(t->end);
  cudaFree(t->x);
  cudaFree(t->y);
  cudaFree(t->bias);
  mv_free(t->bits);
  mv_free(t->like);
}

/* Milliseconds of n runs; negative when the library will not or the device failed. */
static float time_runs(mv_device *device, const trial *t, const cublasLtMatmulAlgo_t *algo, int n) {
  static const char what[] = "timing products";
  mv_cuda *cuda = mv_cuda_of(device);
  float ms = 0;
  if (!mv_cuda_check(device, cudaEventRecord(t->begin, cuda->stream), what)) return -1;
  for (int i = 0; i < n; i++)
    if (mv_lt_run(device, &t->product, algo, t->w, t->x, t->bias, t->y) != CUBLAS_STATUS_SUCCESS)
      return -1;
  if (!mv_cuda_check(device, cudaEventRecord(t->end, cuda->stream), what) ||
      !mv_cuda_check(device, cudaEventSynchronize(t->end), what) ||
      !mv_cuda_check(device, cudaEventElapsedTime(&ms, t->begin, t->end), what))
    return -1;
  return ms;
}

/* One run's first and last rows; returns the run's milliseconds, negative as above. */
static float probe(mv_device *device, const trial *t, const cublasLtMatmulAlgo_t *algo,
                   char *bits) {
  static const char what[] = "timing products";
  cudaStream_t stream = mv_cuda_of(device)->stream;
  if (!mv_cuda_check(device, cudaMemsetAsync(t->y, 0, t->y_bytes, stream), what)) return -1;
  float ms = time_runs(device, t, algo, 1);
  if (ms < 0) return ms;
  const char *last = (const char *)t->y + t->y_bytes - t->probe_bytes;
  if (!mv_cuda_check(device,
                     cudaMemcpyAsync(bits, t->y, t->probe_bytes, cudaMemcpyDeviceToHost, stream),
                     what) ||
      !mv_cuda_check(device,
                     cudaMemcpyAsync(bits + t->probe_bytes, last, t->probe_bytes,
                                     cudaMemcpyDeviceToHost, stream),
                     what) ||
      !mv_cuda_check(device, cudaStreamSynchronize(stream), what))
    return -1;
  return ms;
}

/* Whether an algorithm takes a single row, too, and gives it the bits of the first of many
 * (`right`; `room` for the others): the library promises neither, and a choice is for fewer rows as
 * well. */
static int takes_one_row(mv_device *device, const trial *t, const cublasLtMatmulAlgo_t *algo,
                         const char *right, char *room) {
  static const char what[] = "timing products";
  cudaStream_t stream = mv_cuda_of(device)->stream;
  size_t n_bytes = y_row_bytes(&t->product.key);
  mv_lt_key key = t->product.key;
  mv_lt_product one;
  key.n_row = 1;
  int ran =
      mv_lt_product_open(device, &one, &key, key.n_in, key.n_out) &&
      mv_cuda_check(device, cudaMemsetAsync(t->y, 0, n_bytes, stream), what) &&
      mv_lt_run(device, &one, algo, t->w, t->x, t->bias, t->y) == CUBLAS_STATUS_SUCCESS &&
      mv_cuda_check(device, cudaMemcpyAsync(room, t->y, n_bytes, cudaMemcpyDeviceToHost, stream),
                    what) &&
      mv_cuda_check(device, cudaStreamSynchronize(stream), what);
  mv_lt_product_close(&one);
  return ran && memcmp(room, right, n_bytes) == 0;
}

/* Microseconds of one run; negative when the algorithm fails or gives other bits than `like`, or a
 * lone row others (unless that is `lenient`). */
static float measure(mv_device *device, const trial *t, const cublasLtMatmulAlgo_t *algo,
                     int has_like, int lenient) {
  float ms = probe(device, t, algo, t->bits);
  if (ms < 0 || (has_like && memcmp(t->bits, t->like, 2 * t->probe_bytes) != 0)) return -1;
  if (!lenient &&
      !takes_one_row(device, t, algo, has_like ? t->like : t->bits, has_like ? t->bits : t->like))
    return -1;
  int n = ms > 0 && ENOUGH_MS / ms < MAX_REPEATS ? (int)(ENOUGH_MS / ms) : MAX_REPEATS;
  if (n < 1) n = 1;
  ms = time_runs(device, t, algo, n);
  return ms < 0 ? ms : 1000 * ms / (float)n + 0.001f;
}

/* Whether the sum over n_in is whole: cut sums depend on how many rows there are. */
static int keeps_sum_whole(const cublasLtMatmulAlgo_t *algo) {
  int32_t n_split = 0;
  uint32_t scheme = 0;
  size_t n = 0;
  return cublasLtMatmulAlgoConfigGetAttribute(algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &n_split,
                                              sizeof n_split, &n) == CUBLAS_STATUS_SUCCESS &&
         cublasLtMatmulAlgoConfigGetAttribute(algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme,
                                              sizeof scheme, &n) == CUBLAS_STATUS_SUCCESS &&
         n_split <= 1 && scheme == 0;
}

/* What the library proposes, as far as sums stay whole: fills found, returns how many. */
static int candidates(mv_device *device, const mv_lt_product *p,
                      cublasLtMatmulHeuristicResult_t *found) {
  static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
  cublasLtMatmulPreference_t limits = NULL;
  uint64_t workspace = MV_LT_WORKSPACE;
  uint32_t alignment = 16;
  int n = 0, n_kept = 0;
  if (!mv_lt_check(device, cublasLtMatmulPreferenceCreate(&limits), "choosing")) return 0;
  cublasLtMatmulPreferenceSetAttribute(limits, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                       sizeof workspace);
  for (int i = 0; i < 4; i++)
    cublasLtMatmulPreferenceSetAttribute(limits, alignments[i], &alignment, sizeof alignment);
  cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(mv_cuda_of(device)->lt->handle, p->desc, p->w, p->x, p->y,
                                     p->y, limits, CANDIDATES, found, &n);
  cublasLtMatmulPreferenceDestroy(limits);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return 0;
  if (!mv_lt_check(device, status, "choosing")) return 0;
  for (int i = 0; i < n; i++)
    if (found[i].state == CUBLAS_STATUS_SUCCESS && keeps_sum_whole(&found[i].algo))
      found[n_kept++] = found[i];
  return n_kept;
}

static void pick_fastest(mv_device *device, const trial *t, int has_like, int lenient,
                         const cublasLtMatmulHeuristicResult_t *found, int n, mv_lt_choice *out) {
  for (int i = 0; i < n && device->error.code == MV_OK; i++) {
    float us = measure(device, t, &found[i].algo, has_like, lenient);
    if (us < 0 || (out->us > 0 && us >= out->us)) continue;
    out->us = us;
    out->algo = found[i].algo;
  }
}

int mv_lt_tune(mv_device *device, const mv_lt_key *key, const void *w,
               const cublasLtMatmulAlgo_t *like, mv_lt_choice *out) {
  cublasLtMatmulHeuristicResult_t found[CANDIDATES];
  trial t;
  float like_ms = -1;
  memset(out, 0, sizeof *out);
  memset(found, 0, sizeof found);
  out->key = *key;
  int can_time = open_trial(device, &t, key, w);
  int n = device->error.code == MV_OK ? candidates(device, &t.product, found) : 0;
  if (can_time && like) like_ms = probe(device, &t, like, t.like);
  if (can_time && (like_ms >= 0 || !like)) pick_fastest(device, &t, like_ms >= 0, 0, found, n, out);
  if (can_time && !like && out->us == 0) pick_fastest(device, &t, 0, 1, found, n, out);
  close_trial(device, &t);
  if (device->error.code != MV_OK) return 0;
  if (out->us > 0) return 1;
  if (can_time && like_ms < 0) return 0; /* none that the library proposes runs */
  if (!like && n == 0) return 0;
  out->algo = like ? *like : found[0].algo;
  if (like_ms >= 0) out->us = 1000 * like_ms + 0.001f; /* nothing else gives its bits */
  return 1;
}
