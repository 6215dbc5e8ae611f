/* --dump: named tensors of every stage of a prefill, written as one safetensors file, to be held
 * against the reference implementation stage by stage (tests/reference/compare_dumps.py).
 *
 * All f32. Rows of later chunks and images append to the tensor of the same name:
 *   patches, vision.patch_embed, vision.block.<i> (window order), vision.merged (raster order),
 *   embed, decoder.layer.<i>, decoder.norm, logits
 */
#ifndef MV_RUNTIME_DUMP_H
#define MV_RUNTIME_DUMP_H

#include "runtime/forward.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_dump mv_dump;

mv_status mv_dump_new(mv_dump **out, mv_model *model, mv_error *err);
/* Adds rows in device memory. Out of memory is remembered and told by mv_dump_write. */
void mv_dump_rows(mv_dump *dump, const char *name, int layer, const void *rows, mv_dtype dtype,
                  int n_row, int d);
/* Writes DIR/prefill.safetensors, making DIR when it is not there. */
mv_status mv_dump_write(const mv_dump *dump, const char *dir, mv_error *err);
void mv_dump_free(mv_dump *dump); /* accepts NULL */

#ifdef __cplusplus
}
#endif
#endif
