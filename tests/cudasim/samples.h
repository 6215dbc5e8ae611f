/* Small kernels in the project's style, one for each thing the emulator must do, with the mistakes
 * people make planted in them: SAMPLE_RIGHT is the kernel as it should be. test_samples runs them
 * right, test_bugs runs them wrong. */
#ifndef MV_CUDASIM_SAMPLES_H
#define MV_CUDASIM_SAMPLES_H

#include "kernels/cuda_port.h"

enum sample_bug {
  SAMPLE_RIGHT,
  BUG_NO_BARRIER,        /* partial sums are read without waiting for them           */
  BUG_UNWRITTEN_SLOT,    /* the last warp leaves its slot of shared memory unwritten */
  BUG_SHARED_OVERRUN,    /* one element past a shared array is read                  */
  BUG_DIVERGENT_BARRIER, /* half of the block skips __syncthreads                    */
  BUG_EARLY_EXIT,        /* lanes leave before a shuffle of the whole warp           */
  BUG_TAIL_WRITE,        /* one row too many is written                              */
  BUG_TAIL_READ,         /* one row too many is read, and not used                   */
  BUG_NO_SYNCWARP,       /* a warp reduces in shared memory in lock-step             */
  BUG_WEAK_WAIT,         /* cp.async: waits for one group too few                    */
  BUG_NO_COMMIT,         /* cp.async: the first group is not committed               */
  BUG_NO_LOOP_BARRIER,   /* the buffer is refilled while others still read it        */
  BUG_OFF_BY_ONE_TILE,   /* the last tile is left out                                */
  BUG_WRONG_FRAGMENT,    /* the two halves of B are swapped                          */
  BUG_NO_SWIZZLE,        /* right, but with bank conflicts                           */
  BUG_SMALL_SHARED,      /* the launch asks for too little shared memory             */
  BUG_NO_COUNTER,        /* the block of the highest index is taken for the last     */
  BUG_NO_FENCE,          /* no __threadfence before the counter                      */
  BUG_NO_GRID_SYNC,      /* blocks read what others may not have written             */
  BUG_NO_EMPTY_WAIT,     /* TMA: refills a stage that may still be in use            */
  BUG_WRONG_BYTE_COUNT,  /* TMA: announces fewer bytes than come                     */
  BUG_NO_FULL_WAIT,      /* TMA: multiplies what may not have landed                 */
  BUG_EARLY_RELEASE,     /* wgmma: releases a stage before its product is done       */
  BUG_EARLY_READ,        /* overlap: reads before the launch ahead of it is over     */
  BUG_EARLY_WRITE,       /* overlap: writes before that                              */
  BUG_NO_PDL_WAIT        /* overlap: ends without waiting                            */
};

/* y[r] = sum of x[r,:]; f32 [n_row, d], d % 4 == 0 */
cudaError_t sample_row_sum(sample_bug bug, const float *x, float *y, int n_row, int d,
                           cudaStream_t stream);
/* y[i] = x[0] + ... + x[i], n <= 1024, one block */
cudaError_t sample_scan(const int *x, int *y, int n, cudaStream_t stream);
/* y[w] = sum of x[32 w ...], a warp each, reduced in shared memory */
cudaError_t sample_warp_sum(sample_bug bug, const float *x, float *y, int n_warp,
                            cudaStream_t stream);
/* y[t] = sum over tiles of x[tile * 128 + (t + 1) % 128]; n_tile tiles of 128 floats */
cudaError_t sample_tile_sum(sample_bug bug, const float *x, float *y, int n_tile,
                            cudaStream_t stream);
/* c[16, 64] = a[16, 64] b[64, 64]^T, bf16 in with rows `ld` elements apart, f32 out */
cudaError_t sample_product(sample_bug bug, const mv_bf16 *a, const mv_bf16 *b, float *c, int ld,
                           cudaStream_t stream);
/* y[0] = sum of x[0..n), by n_block blocks; part is f32 [n_block], count one zero */
cudaError_t sample_split_sum(sample_bug bug, const float *x, float *y, float *part, unsigned *count,
                             int n, int n_block, cudaStream_t stream);
/* y[b] = sums of the blocks 0..b of 32 elements; part as above, count one zero */
cudaError_t sample_grid_scan(sample_bug bug, const float *x, float *y, float *part, uint32_t *count,
                             int n_block, cudaStream_t stream);
/* y = x + the same of the other block of a pair, 32 floats a block; n_block even */
cudaError_t sample_cluster(const float *x, float *y, int n_block, cudaStream_t stream);
/* y = w * x + 1, then z = w * y + 1, the second launch begun before the first ends; n <= 128 */
cudaError_t sample_overlap(sample_bug bug, const float *w, const float *x, float *y, float *z,
                           int n, cudaStream_t stream);
/* Two warps hand 32 integers a round to two others through named barriers; y[t] = rounds' sum. */
cudaError_t sample_named_barriers(int *y, int n_round, cudaStream_t stream);
/* What votes, atomics and matches give: y is int [8] */
cudaError_t sample_votes(int *y, cudaStream_t stream);
/* c = a b^T by TMA and wgmma; bf16 [m, k], [n, k], [m, n]; k % 8 == 0, n % 8 == 0 */
cudaError_t sample_hopper_product(sample_bug bug, const mv_bf16 *a, const mv_bf16 *b, mv_bf16 *c,
                                  int m, int n, int k, cudaStream_t stream);

#endif
