/* One operation at one shape, for tests and benches alike.
 *
 *   case   what to run: the operation's name, shapes and number formats (plain data)
 *   run    a case on a device: inputs made from a seed, the output between guard zones
 *   op     how to prepare, run, and expect the case of one operation (case_*.c)
 *
 * Every op has a plain reference in double, written from its contract and not from its twins, that
 * gives any part of any output row with the error it may have (tests/tolerances.h).
 */
#ifndef MV_TESTS_KERNELS_CASES_H
#define MV_TESTS_KERNELS_CASES_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/ops.h"

/* A run of rows: of a sequence that already has pos0 tokens, or of a segment (pos0 unused). */
typedef struct kernel_span {
  int pos0, n_row;
} kernel_span;

/* Fields that an operation does not speak of are zero. */
typedef struct kernel_case {
  const char *op; /* as in mv_ops */
  int n_row;
  mv_dtype x, w, y;           /* input; weights, or keys and values in the cache; output  */
  int pad;                    /* extra columns between rows, where rows have a distance   */
  int n_in;                   /* linear                                                   */
  int n_out[MV_LINEAR_PARTS]; /* linear: rows of each stacked part, 0 ends the list       */
  int bias, accumulate;       /* linear; rope_kv: judge q, k, v in place, not the cache   */
  int loaded;   /* linear: as loading leaves it: parts adjoin, the bias is there in bf16, too */
  int d;        /* rmsnorm, swiglu, gelu, embed, gather_rows: row width     */
  float spread; /* inputs lie in [-spread, spread]; 0 means 1               */
  int n_head, n_kv, d_head; /* rope, attention                                          */
  const kernel_span *spans; /* attention, rope_kv: sequences; window_attention: segments */
  int n_span;
  int tree;    /* attention: the rows of every span are drafts that branch (64 at most) */
  int n_layer; /* kv_copy: of n_row moves, runs of up to 64 tokens */
  int height, width, channels, merge, temporal; /* patches: the image; d is a patch's side */
  int n_best;                                   /* sample; d is its vocabulary */
  const mv_sample_row *how; /* sample: row r as how[r % n_how]; uniform below 0: of the seed */
  int n_how;
  float step; /* sample: logits are multiples of it; 0: all different */
  int holes;  /* sample: a third of the logits are 1 -inf, 2 NaN, 3 +inf */
} kernel_case;

/* A tensor of a run. Device memory of the CPU is host memory: `host` and `dev` are one then. */
typedef struct kernel_array {
  mv_dtype dtype;
  size_t n;   /* elements */
  void *host; /* owns, unless it is dev */
  void *dev;  /* owns */
} kernel_array;

enum { KERNEL_INPUTS = 6 };

typedef struct kernel_run {
  const kernel_case *c; /* borrows */
  const struct kernel_op *op;
  mv_device *device;
  const mv_ops *ops;
  uint64_t seed;
  kernel_array in[KERNEL_INPUTS];
  int32_t *ints;       /* owns: ids, indices, positions, pages, segments  */
  void *dev_ints;      /* owns: the same on the device                    */
  mv_seq_rows *seqs;   /* owns: [n_span] of attention                     */
  uint64_t *trees;     /* owns: [n_row] masks of attention, or NULL       */
  mv_sample_row *rows; /* owns: [n_row] of sample                       */
  kernel_array out;    /* guard, n_out_row * ld elements, guard           */
  void *initial;       /* owns: `out` as it was before the first run      */
  size_t n_out_row;
  int n_col, ld; /* of out */
  int n_int_col; /* of those, the first hold int32, compared exactly */
} kernel_run;

typedef struct kernel_op {
  const char *name;
  /* Makes inputs and the output; a failure is in the device's error. */
  void (*prepare)(kernel_run *run);
  void (*go)(kernel_run *run);
  /* Columns [col, col + n) of output row `row`: exact value, and error allowed before the store. */
  void (*expect)(const kernel_run *run, size_t row, int col, int n, double *want, double *slack);
  mv_cost (*cost)(const kernel_run *run);
} kernel_op;

extern const kernel_op kernel_linear, kernel_rmsnorm, kernel_rope_table, kernel_rope,
    kernel_rope_kv, kernel_attention, kernel_kv_copy, kernel_window_attention, kernel_swiglu,
    kernel_gelu, kernel_embed, kernel_gather_rows, kernel_patches, kernel_fill, kernel_sample;

/* Ways to choose, for the cases of sample; vocabularies have at least 7 tokens. */
enum { KERNEL_CHOICES = 13 };
extern const mv_sample_row kernel_choices[KERNEL_CHOICES];

/* All of them; NULL ends the list. */
extern const kernel_op *const kernel_all_ops[];
const kernel_op *kernel_op_find(const char *name); /* NULL when there is none */

/* Prints the case as "linear 33x100 -> 64+7 bf16 w bf16 y bf16 bias". */
void kernel_case_print(const kernel_case *c, char *out, size_t size);

/* Fills *run; free with kernel_run_free also after a failure. */
mv_status kernel_run_init(kernel_run *run, const kernel_case *c, mv_device *device,
                          const mv_ops *ops, uint64_t seed, mv_error *err);
void kernel_run_go(kernel_run *run);    /* the operation, once */
void kernel_run_reset(kernel_run *run); /* the output as it was at first */
void kernel_run_free(kernel_run *run);

/* How an output compares. */
typedef struct kernel_verdict {
  size_t n, n_nonfinite; /* elements compared; not finite though the reference is */
  size_t worst_row;
  int worst_col;
  double got, want; /* at the worst element */
  double share;     /* of the tolerance, there: above 1 is a failure */
  double max_abs, rel_l2;
  double sum_error2, sum_want2; /* state */
  const char *damage;           /* NULL, or which guard was written */
} kernel_verdict;

/* Elements of one output row against the reference's; accumulates into *v. */
void kernel_compare(const kernel_run *run, const void *out, size_t row, int col, int n,
                    const double *want, const double *slack, kernel_verdict *v);
/* Downloads the output (with guards) into `copy`, of kernel_out_bytes. */
size_t kernel_out_bytes(const kernel_run *run);
void kernel_run_download(kernel_run *run, void *copy);
/* Checks that nothing but the output's rows was written. */
void kernel_check_guards(const kernel_run *run, const void *copy, kernel_verdict *v);
int kernel_verdict_ok(const kernel_verdict *v);
void kernel_verdict_print(const kernel_verdict *v, char *out, size_t size);

/* ---- for case_*.c ---- */

/* Values in [-spread, spread] from the seed, the array's place and the element's index. */
void kernel_input(kernel_run *run, int which, mv_dtype dtype, size_t n, double spread);
/* Fixed values, rounded to dtype. */
void kernel_input_from(kernel_run *run, int which, mv_dtype dtype, size_t n, const float *values);
/* The output: rows of n_col, ld apart. `keep` fills the rows with values (accumulate, in place). */
void kernel_output(kernel_run *run, mv_dtype dtype, size_t n_row, int n_col, int ld, int keep);
void kernel_ints(kernel_run *run, size_t n); /* room for n ints; then fill and upload them */
void kernel_upload_ints(kernel_run *run, size_t n);
void *kernel_out(const kernel_run *run); /* device address of row 0 */
double kernel_value(const kernel_array *array, size_t i);
double kernel_rounded(mv_dtype dtype, double value); /* what storing an f32 as dtype leaves */
double kernel_initial(const kernel_run *run, size_t row, int col); /* the output at first */
uint64_t kernel_hash(uint64_t seed, uint64_t i);

#endif
