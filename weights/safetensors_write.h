/* Writing safetensors: an array of named tensors becomes one file, which appears by rename. */
#ifndef MV_WEIGHTS_SAFETENSORS_WRITE_H
#define MV_WEIGHTS_SAFETENSORS_WRITE_H

#include "runtime/error.h"
#include "weights/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_st_source {
  const char *name; /* UTF-8, unique in the file, not "__metadata__" */
  mv_st_dtype dtype;
  int n_dim; /* 0 .. MV_ST_MAX_DIMS */
  int64_t shape[MV_ST_MAX_DIMS];
  const void *data; /* borrows: row-major, product of shape * element size bytes */
} mv_st_source;

/* Writes `n` tensors in the order given. The first begins at a multiple of 8; the others follow
 * without gaps, so tensors of wider elements should come first if all are to be aligned.
 * MV_ERR_USAGE for a bad name or shape, MV_ERR_IO when the file cannot be written. */
mv_status mv_safetensors_write(const char *path, const mv_st_source *tensors, size_t n,
                               mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
