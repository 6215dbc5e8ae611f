/* Reading safetensors: tensors by name, straight from mapped files.
 *
 *   8 bytes   N, little endian: length of the header
 *   N bytes   JSON: {"name": {"dtype": "BF16", "shape": [a, b], "data_offsets": [begin, end]}, ...}
 *   rest      the tensors' bytes, row-major; offsets count from here
 *
 * Nothing in a file is believed before it is checked: the header's length, its JSON, each dtype,
 * shape and offset, that the bytes agree with dtype and shape, and that the tensors cover the rest
 * of the file without holes or overlaps (as the format's own library demands). A set may span
 * several files (shards); names are unique over all of them.
 */
#ifndef MV_WEIGHTS_SAFETENSORS_H
#define MV_WEIGHTS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/dtype.h"
#include "runtime/error.h"
#include "runtime/infile.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MV_ST_MAX_DIMS = 8 };

/* Every type the format knows with whole bytes; only the first three are weights we compute with.
 */
typedef enum mv_st_dtype {
  MV_ST_F32 = 0,
  MV_ST_BF16,
  MV_ST_F16,
  MV_ST_F64,
  MV_ST_I64,
  MV_ST_I32,
  MV_ST_I16,
  MV_ST_I8,
  MV_ST_U64,
  MV_ST_U32,
  MV_ST_U16,
  MV_ST_U8,
  MV_ST_BOOL,
  MV_ST_F8_E4M3,
  MV_ST_F8_E5M2,
  MV_ST_N_DTYPE
} mv_st_dtype;

const char *mv_st_dtype_name(mv_st_dtype dtype); /* "BF16" */
size_t mv_st_dtype_bytes(mv_st_dtype dtype);     /* 1, 2, 4 or 8 */
/* Fills *out and returns 1 for F32, BF16 and F16; returns 0 for all others. */
int mv_st_dtype_compute(mv_st_dtype dtype, mv_dtype *out);

typedef struct mv_st_tensor {
  const char *name; /* borrows from the set */
  const void *data; /* borrows from the mapping; never NULL, even for zero elements */
  size_t n_bytes;
  int64_t n_elem;
  int64_t shape[MV_ST_MAX_DIMS]; /* outermost first; n_dim 0 is a scalar */
  int n_dim;
  int file; /* index of its file in the set */
  mv_st_dtype dtype;
  unsigned char aligned; /* data is a multiple of the element size: usable in place */
} mv_st_tensor;

typedef struct mv_safetensors mv_safetensors; /* owns the mappings, names and table */

/* One file. */
mv_status mv_safetensors_open(mv_safetensors **out, const char *path, mv_error *err);

/* Several files as one set; n_paths >= 1. */
mv_status mv_safetensors_open_files(mv_safetensors **out, const char *const *paths, int n_paths,
                                    mv_error *err);

/* A folder: `model.safetensors` if there is one, else every shard that
 * `model.safetensors.index.json` names. Missing shards are named all together; a tensor that the
 * index and the shards do not agree on, or that is there twice, is an error. */
mv_status mv_safetensors_open_dir(mv_safetensors **out, const char *dir, mv_error *err);

/* Bytes in memory, borrowed until close. `label` names them in messages. */
mv_status mv_safetensors_open_memory(mv_safetensors **out, const void *bytes, size_t n_bytes,
                                     const char *label, mv_error *err);

void mv_safetensors_close(mv_safetensors *set); /* accepts NULL */

size_t mv_safetensors_count(const mv_safetensors *set);
/* Tensors in the order of their names' bytes; i < count. Borrows. */
const mv_st_tensor *mv_safetensors_at(const mv_safetensors *set, size_t i);
/* NULL when there is no such name. Borrows. */
const mv_st_tensor *mv_safetensors_find(const mv_safetensors *set, const char *name);

int mv_safetensors_n_files(const mv_safetensors *set);
const char *mv_safetensors_file(const mv_safetensors *set, int i); /* path or label; borrows */
/* The file itself, whose mapping the tensors borrow from; NULL for bytes in memory. Borrows. */
const mv_infile *mv_safetensors_infile(const mv_safetensors *set, int i);
size_t mv_safetensors_bytes(const mv_safetensors *set); /* all files, headers too */

#ifdef __cplusplus
}
#endif
#endif
