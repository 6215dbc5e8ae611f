/* What the CUDA launchers (.cu files) and the device behind them (cuda_device.c, ops_cuda.c)
 * share. Private to kernels/. C and C++.
 *
 * A launcher, extern "C" mv_<op>_cuda with the signature of its CPU twin:
 *
 *   validates (assert: the model was checked at load), accepts zero rows, stages what the host
 *   describes with mv_cuda_stage, and launches with MV_LAUNCH on mv_cuda_of(device)->stream:
 *
 *     MV_LAUNCH(device, rmsnorm_kernel<8>, dim3(n_row), dim3(256), 0, x, w, y, d, eps);
 *
 * Steps (kernels/ops.h) are recorded in two passes. The first only describes: MV_LAUNCH, uploads
 * and stages add what they would do to a fingerprint and copy their bytes to the step's pinned
 * memory. When a graph with that fingerprint exists, step_end replays it: its copies read the same
 * pinned memory, so new ids, positions and page tables need no change of the graph. Else there is a
 * second pass: captured when the fingerprint was seen before, launched directly when it is new (so
 * nothing is captured that has never run). Hence: grids must not change with every token. What
 * depends on lengths is read from staged memory, and grids are rounded up (to powers of two) with
 * blocks that have nothing to do leaving at once.
 */
#ifndef MV_KERNELS_CUDA_H
#define MV_KERNELS_CUDA_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda_plan.h"
#include "kernels/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_cuda mv_cuda;
struct mv_cuda_lt; /* cuBLASLt handle, workspace and algorithm table: kernels/linear_lt.c */

struct mv_cuda {
  char name[16]; /* "cuda:0" */
  int ordinal;
  int arch; /* compute capability, 10 * major + minor */
  int n_sm;
  int overlaps; /* kernels of a step, where their code waits, unless MEDVISION_OVERLAP=0 says no */
  size_t l2_bytes, shared_bytes; /* shared memory a block may ask for */
  mv_lane lane;        /* that operations go to: each has its own scratch, staging, workspace */
  cudaStream_t stream; /* of that lane */
  cudaStream_t streams[MV_LANES];        /* owns */
  cudaEvent_t given;                     /* to the main lane before the side lane began */
  struct mv_cuda_lt *lt;                 /* owns; NULL until the first product that needs it */
  void (*lt_close)(struct mv_cuda_lt *); /* set with lt                              */
  struct mv_cuda_memory *memory;         /* owns: scratch, pinned slots, placed weights      */
  cudaEvent_t *marks;                    /* owns: [MV_MARKS], NULL until the first   */
  mv_cuda_plan plan;                     /* the latest                               */
  size_t runs_bytes;                     /* MV_RUNS_BYTES, but in tests              */
  struct mv_cuda_steps *steps;           /* owns: staging, recorded graphs                   */
  struct mv_cuda_load *load;             /* owns: ring for reads of files; NULL between them */
};

static inline mv_cuda *mv_cuda_of(mv_device *device) { return (mv_cuda *)device->impl; }

/* Makes the device sticky on failure: "cuda:0: rmsnorm: an illegal memory access ...". Returns
 * whether all is well. */
int mv_cuda_check(mv_device *device, cudaError_t error, const char *what);

/* Whether launches are to be made: false in the describing pass of a step and after a failure.
 * Adds n_bytes at `what` to the fingerprint. */
int mv_cuda_may_launch(mv_device *device, const void *what, size_t n_bytes);

/* Asked before every launch. Whether what is launched now may start before what is ahead of it ends
 * (mv_pdl_wait): within a step, where nobody writes weights, on cards from sm_90 on, behind another
 * kernel of ours and not behind a copy. `is_kernel`: whether it is one itself; all that MV_LAUNCH
 * is given wait. */
int mv_cuda_may_overlap(mv_device *device, int is_kernel);

/* Copies what the host describes to the device, in order with the launches after it, and returns
 * where it will be: valid for the launches of this operation and until the step ends. NULL with a
 * sticky error, or for 0 bytes. The same bytes staged again (every layer's page tables) are not
 * copied again. */
const void *mv_cuda_stage(mv_device *device, const void *host, size_t n_bytes);

/* The architecture that the kernels in use were compiled for, as 90: below the device's where the
 * driver made them of older PTX, and then without what is only there from some architecture on. 0
 * with a sticky error, MV_ERR_UNSUPPORTED where the build has none for this device. (fill.cu) */
int mv_cuda_code_arch(mv_device *device);

/* Whether a step is being described or made. */
int mv_cuda_in_step(mv_device *device);

/* Device memory for the operation that asks, 256-byte aligned, n_bytes in all: the first `zeroed`
 * (a multiple of 256) are zero, and every operation leaves them zero; the others are undefined.
 * Valid until the next call. NULL with a sticky error when memory is out. */
void *mv_cuda_scratch(mv_device *device, size_t n_bytes, size_t zeroed);

/* ---- the device: cuda_device.c, cuda_steps.c ---- */

void *mv_cuda_alloc(mv_device *device, size_t n_bytes);
void mv_cuda_free(mv_device *device, void *ptr);
const void *mv_cuda_place(mv_device *device, const void *host, size_t n_bytes);
void mv_cuda_upload(mv_device *device, void *dst, const void *src, size_t n_bytes);
void mv_cuda_download(mv_device *device, void *dst, const void *src, size_t n_bytes);
void mv_cuda_room(mv_device *device, size_t *n_free, size_t *n_total);
void mv_cuda_step_begin(mv_device *device);
int mv_cuda_step_end(mv_device *device);

void mv_cuda_lane(mv_device *device, mv_lane which);

/* cuda_load.c */
void mv_cuda_read(mv_device *device, void *dst, const mv_infile *file, size_t at, size_t n_bytes);
void mv_cuda_read_end(mv_device *device); /* also after a failure */

void mv_cuda_mark(mv_device *device, int which); /* cuda_time.c */
int mv_cuda_is_past(mv_device *device, int which);
void mv_cuda_wait(mv_device *device, int which);
double mv_cuda_elapsed(mv_device *device, int from, int to);
void mv_cuda_close_marks(mv_device *device);

void mv_cuda_copy_in(mv_device *device, void *dst, const void *src, size_t n_bytes); /* at once */
void mv_cuda_free_plan(mv_device *device);
void mv_cuda_open_steps(mv_device *device);
void mv_cuda_close_steps(mv_device *device);

/* ---- the operations ---- */

void mv_linear_cuda(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                    const void *x, void *y);
void mv_linear_ready_cuda(mv_device *device, const mv_linear *linear, const mv_linear_dims *dims);
void mv_rmsnorm_cuda(mv_device *device, const mv_rmsnorm_dims *dims, const void *x, const float *w,
                     void *y);
void mv_rope_table_cuda(mv_device *device, const mv_rope_table_dims *dims, const int32_t *position,
                        const float *inv_freq, const uint8_t *axis, float *table);
void mv_rope_cuda(mv_device *device, const mv_rope_dims *dims, const float *table, void *x);
void mv_plan_cuda(mv_device *device, const mv_seq_rows *seqs, int n_seq,
                  const mv_attention_dims *dims, mv_seq_plan *plan);
void mv_rope_kv_cuda(mv_device *device, const mv_attention_dims *dims, const mv_seq_plan *plan,
                     const float *table, void *qkv, void *cache);
void mv_attention_cuda(mv_device *device, const mv_attention_dims *dims, const mv_seq_plan *plan,
                       const void *q, const void *cache, void *out);
void mv_kv_copy_cuda(mv_device *device, const mv_kv_copy_dims *dims, const mv_kv_move *moves,
                     int n_move, void *cache);
void mv_window_attention_cuda(mv_device *device, const mv_attention_dims *dims,
                              const int32_t *segments, int n_segment, const void *q, const void *k,
                              const void *v, void *out);
void mv_swiglu_cuda(mv_device *device, const mv_activation_dims *dims, const void *gate_up,
                    void *out);
void mv_gelu_cuda(mv_device *device, const mv_activation_dims *dims, void *x);
void mv_embed_cuda(mv_device *device, const mv_gather_dims *dims, const int32_t *ids,
                   const void *table, const void *image, void *out);
void mv_gather_rows_cuda(mv_device *device, const mv_gather_dims *dims, const int32_t *index,
                         const void *x, void *out);
void mv_patches_cuda(mv_device *device, const mv_patches_dims *dims, const uint8_t *pixels,
                     const float *value, const int32_t *order, void *out);
void mv_fill_cuda(mv_device *device, const mv_fill_dims *dims, void *x);
void mv_sample_cuda(mv_device *device, const mv_sample_dims *dims, const mv_sample_row *rows,
                    const float *logits, mv_pick *picks, mv_pick *best);

#ifdef __cplusplus
}

/* A launch's identity: the kernel and every argument byte. (Included by .cu files after
 * kernels/cuda_port.h.) */
#ifdef MV_KERNELS_CUDA_PORT_H
template <class... Param, class... Arg>
static inline void mv_cuda_launch(mv_device *device, const char *name, void (*kernel)(Param...),
                                  dim3 grid, dim3 block, size_t shared_bytes, Arg... args) {
  struct {
    void (*kernel)(Param...);
    unsigned grid[3], block[3];
    size_t shared_bytes;
  } shape;
  memset(&shape, 0, sizeof shape);
  shape.kernel = kernel;
  shape.grid[0] = grid.x, shape.grid[1] = grid.y, shape.grid[2] = grid.z;
  shape.block[0] = block.x, shape.block[1] = block.y, shape.block[2] = block.z;
  shape.shared_bytes = shared_bytes;
  int launch = mv_cuda_may_launch(device, &shape, sizeof shape);
  const int each[] = {1, (launch &= mv_cuda_may_launch(device, &args, sizeof args))...};
  (void)each;
  if (!launch) return;
  mv_launch_shape how = {grid, block, shared_bytes, mv_cuda_of(device)->stream};
  how.overlap = mv_cuda_may_overlap(device, 1);
  mv_cuda_check(device, mv_launch(how, kernel, static_cast<Param>(args)...), name);
}

#define MV_LAUNCH(device, kernel, ...) mv_cuda_launch(device, #kernel, kernel, __VA_ARGS__)
#endif
#endif
#endif
