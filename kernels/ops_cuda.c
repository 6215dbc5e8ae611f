/* The operation table of CUDA devices. */
#include "kernels/cuda.h"
#include "kernels/ops.h"

/* Kernels that are still being written: kernels/CMakeLists.txt says which. */
#ifdef MV_CUDA_WITHOUT_attention
#define mv_attention_cuda NULL
#endif
#ifdef MV_CUDA_WITHOUT_kv_copy
#define mv_kv_copy_cuda NULL
#endif
#ifdef MV_CUDA_WITHOUT_window_attention
#define mv_window_attention_cuda NULL
#endif
#ifdef MV_CUDA_WITHOUT_linear
#define mv_linear_cuda NULL
#endif
#ifdef MV_CUDA_WITHOUT_sample
#define mv_sample_cuda NULL
#endif

static mv_dtype between_cuda(mv_dtype precision) { return precision; }

const mv_ops mv_ops_cuda = {
    .name = "cuda",
    .between = between_cuda,
    .step_begin = mv_cuda_step_begin,
    .step_end = mv_cuda_step_end,
    .alloc = mv_cuda_alloc,
    .free = mv_cuda_free,
    .place = mv_cuda_place,
    .upload = mv_cuda_upload,
    .download = mv_cuda_download,
    .read = mv_cuda_read,
    .read_end = mv_cuda_read_end,
    .room = mv_cuda_room,
    .ready = mv_linear_ready_cuda,
    .linear = mv_linear_cuda,
    .rmsnorm = mv_rmsnorm_cuda,
    .rope_table = mv_rope_table_cuda,
    .rope = mv_rope_cuda,
    .plan = mv_plan_cuda,
    .rope_kv = mv_rope_kv_cuda,
    .attention = mv_attention_cuda,
    .kv_copy = mv_kv_copy_cuda,
    .window_attention = mv_window_attention_cuda,
    .swiglu = mv_swiglu_cuda,
    .gelu = mv_gelu_cuda,
    .embed = mv_embed_cuda,
    .gather_rows = mv_gather_rows_cuda,
    .patches = mv_patches_cuda,
    .fill = mv_fill_cuda,
    .sample = mv_sample_cuda,
    .lane = mv_cuda_lane,
    .mark = mv_cuda_mark,
    .is_past = mv_cuda_is_past,
    .wait = mv_cuda_wait,
    .elapsed = mv_cuda_elapsed,
};
