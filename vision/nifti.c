#include "vision/nifti.h"

#include <math.h>
#include <nifti2_io.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/memory.h"

/* What both versions' headers say, in native byte order. */
typedef struct fields {
  int64_t dim[8];
  double pixdim[8], slope, inter, offset;
  int type, bitpix, qform, sform, units;
  double quatern[3], qoffset[3], srow[3][4];
  int is_pair;
} fields;

/* ---- gzip ---- */

mv_status mv_gzip_read(const char *path, size_t limit, mv_buf *out, mv_error *err) {
  char chunk[16384];
  znzFile file = znzopen(path, "rb", 1);
  mv_buf_clear(out);
  if (znz_isnull(file)) return mv_fail(err, MV_ERR_IO, "%s: cannot be opened", path);
  for (size_t n; (n = znzread(chunk, 1, sizeof chunk, file)) > 0 && out->len <= limit;)
    mv_buf_add(out, chunk, n);
  znzclose(file);
  if (out->len > limit)
    return mv_fail(err, MV_ERR_MEMORY, "%s: more than the limit of %zu bytes", path, limit);
  return mv_buf_status(out, err);
}

/* ---- header ---- */

/* The two versions have the same members in other types and places. */
#define TAKE_FIELDS(h, f)                                                                   \
  do {                                                                                      \
    for (int i = 0; i < 8; i++) (f)->dim[i] = (h)->dim[i], (f)->pixdim[i] = (h)->pixdim[i]; \
    (f)->slope = (h)->scl_slope, (f)->inter = (h)->scl_inter;                               \
    (f)->offset = (double)(h)->vox_offset;                                                  \
    (f)->type = (h)->datatype, (f)->bitpix = (h)->bitpix;                                   \
    (f)->qform = (h)->qform_code, (f)->sform = (h)->sform_code;                             \
    (f)->units = (h)->xyzt_units;                                                           \
    (f)->quatern[0] = (h)->quatern_b, (f)->qoffset[0] = (h)->qoffset_x;                     \
    (f)->quatern[1] = (h)->quatern_c, (f)->qoffset[1] = (h)->qoffset_y;                     \
    (f)->quatern[2] = (h)->quatern_d, (f)->qoffset[2] = (h)->qoffset_z;                     \
    for (int i = 0; i < 4; i++) (f)->srow[0][i] = (h)->srow_x[i];                           \
    for (int i = 0; i < 4; i++) (f)->srow[1][i] = (h)->srow_y[i];                           \
    for (int i = 0; i < 4; i++) (f)->srow[2][i] = (h)->srow_z[i];                           \
    (f)->is_pair = (h)->magic[1] == 'i';                                                    \
  } while (0)

static mv_status read_header(const char *path, fields *f, int *swap, int *header_bytes,
                             mv_error *err) {
  unsigned char bytes[540] = {0};
  nifti_1_header n1;
  nifti_2_header n2;
  znzFile file = znzopen(path, "rb", 1);
  if (znz_isnull(file)) return mv_fail(err, MV_ERR_IO, "cannot be opened");
  size_t n = znzread(bytes, 1, sizeof bytes, file);
  znzclose(file);
  if (n < sizeof n1)
    return mv_fail(err, MV_ERR_FORMAT, "expected a NIfTI header of 348 bytes, found %zu", n);
  memcpy(&n1, bytes, sizeof n1);
  memcpy(&n2, bytes, sizeof n2);
  int version = nifti_header_version((char *)bytes, n);
  if (version == 1 && (!memcmp(n1.magic, "n+1", 4) || !memcmp(n1.magic, "ni1", 4))) {
    *swap = n1.sizeof_hdr != 348, *header_bytes = 348;
    if (*swap) swap_nifti_header(&n1, 1);
    TAKE_FIELDS(&n1, f);
  } else if (version == 2 && n >= sizeof n2) {
    *swap = n2.sizeof_hdr != 540, *header_bytes = 540;
    if (*swap) swap_nifti_header(&n2, 2);
    TAKE_FIELDS(&n2, f);
  } else {
    return mv_fail(err, MV_ERR_FORMAT, "not a NIfTI-1 or NIfTI-2 file (no header of either)");
  }
  return MV_OK;
}

static int bytes_of(int type) {
  switch (type) {
    case DT_UINT8:
    case DT_INT8:
      return 1;
    case DT_INT16:
    case DT_UINT16:
      return 2;
    case DT_INT32:
    case DT_UINT32:
    case DT_FLOAT32:
      return 4;
    case DT_INT64:
    case DT_UINT64:
    case DT_FLOAT64:
      return 8;
    default:
      return 0;
  }
}

static mv_status set_dims(mv_volume *v, const fields *f, mv_error *err) {
  if (f->dim[0] < 1 || f->dim[0] > 7)
    return mv_fail(err, MV_ERR_FORMAT, "dim[0]: expected 1 to 7 axes, found %lld",
                   (long long)f->dim[0]);
  int64_t frames = 1;
  for (int i = 1; i <= 7; i++) {
    int64_t n = i <= f->dim[0] ? f->dim[i] : 1;
    if (n < 1 || n > (i <= 3 ? MV_VOLUME_MAX_SIDE : INT32_MAX))
      return mv_fail(err, MV_ERR_FORMAT, "dim[%d]: expected 1 to %d voxels, found %lld", i,
                     MV_VOLUME_MAX_SIDE, (long long)n);
    if (i <= 3) v->dim[i - 1] = (int)n;
    if (i > 3 && (frames *= n) > INT32_MAX)
      return mv_fail(err, MV_ERR_FORMAT, "dim: more than %d frames", INT32_MAX);
  }
  v->n_frame = (int)frames;
  return MV_OK;
}

static mv_status set_values(mv_volume *v, const fields *f, int header_bytes, mv_error *err) {
  v->type = f->type;
  v->voxel_bytes = bytes_of(f->type);
  if (!v->voxel_bytes)
    return mv_fail(err, MV_ERR_UNSUPPORTED,
                   "datatype %d (%s): expected integers or floats of up to 64 bits", f->type,
                   nifti_datatype_string(f->type));
  /* As nibabel: no slope, or one that is zero, means unscaled. */
  v->scaled = isfinite(f->slope) && f->slope != 0;
  if (v->scaled && !isfinite(f->inter))
    return mv_fail(err, MV_ERR_FORMAT, "scl_inter: expected a finite number beside scl_slope %g",
                   f->slope);
  v->slope = f->slope, v->inter = f->inter;
  if (v->slope == 1 && v->inter == 0) v->scaled = 0;
  double least = f->is_pair ? 0 : header_bytes + 4;
  if (!(f->offset <= 1e15))
    return mv_fail(err, MV_ERR_FORMAT, "vox_offset: expected a file offset, found %g", f->offset);
  v->offset = (int64_t)(f->offset < least ? least : f->offset);
  return MV_OK;
}

/* ---- orientation ---- */

static void affine_of_quaternion(mv_volume *v, const fields *f) {
  double side[3];
  for (int i = 0; i < 3; i++) side[i] = v->has_spacing ? fabs((double)v->zoom[i]) : 1;
  nifti_dmat44 m = nifti_quatern_to_dmat44(f->quatern[0], f->quatern[1], f->quatern[2],
                                           f->qoffset[0], f->qoffset[1], f->qoffset[2], side[0],
                                           side[1], side[2], f->pixdim[0] < 0 ? -1 : 1);
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 4; j++) v->affine[i][j] = m.m[i][j];
}

static void set_affine(mv_volume *v, const fields *f) {
  if (f->sform > 0) {
    memcpy(v->affine, f->srow, sizeof v->affine);
  } else if (f->qform > 0) {
    affine_of_quaternion(v, f);
  } else { /* Analyze's habit, which nibabel keeps: the first axis runs to the left. */
    memset(v->affine, 0, sizeof v->affine);
    for (int i = 0; i < 3; i++) v->affine[i][i] = v->zoom[i] != 0 ? (double)v->zoom[i] : 1;
    v->affine[0][0] = -v->affine[0][0];
  }
}

static void set_spacing(mv_volume *v, const fields *f) {
  int unit = XYZT_TO_SPACE(f->units);
  v->unit_mm = unit == NIFTI_UNITS_METER ? 1000 : unit == NIFTI_UNITS_MICRON ? 0.001 : 1;
  v->has_spacing = 1;
  v->spacing_tag = "pixdim";
  for (int i = 0; i < 3; i++) {
    v->zoom[i] = (float)f->pixdim[i + 1];
    if (!(v->zoom[i] > 0) || !isfinite(v->zoom[i])) v->has_spacing = 0;
  }
}

/* A pair's voxels are in a file of their own: a.hdr and a.img. */
static mv_status find_image(mv_volume *v, mv_error *err) {
  size_t n = strlen(v->path), tail = n > 3 && !strcmp(v->path + n - 3, ".gz") ? 3 : 0;
  if (n < tail + 4 || memcmp(v->path + n - tail - 4, ".hdr", 4) != 0)
    return mv_fail(err, MV_ERR_FORMAT, "a header without voxels: expected a name ending in .hdr");
  memcpy(v->path + n - tail - 4, ".img", 4);
  return MV_OK;
}

static double data_bytes(const mv_volume *v) {
  return (double)v->dim[0] * v->dim[1] * v->dim[2] * v->n_frame * v->voxel_bytes;
}

/* An uncompressed file shows at once whether it is whole. */
static mv_status check_length(mv_volume *v, mv_error *err) {
  struct stat info;
  double need = (double)v->offset + data_bytes(v);
  FILE *file = fopen(v->path, "rb");
  if (!file) return mv_fail(err, MV_ERR_IO, "cannot be opened");
  unsigned char magic[2] = {0};
  size_t n = fread(magic, 1, 2, file);
  v->is_gzip = n == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
  int failed = fstat(fileno(file), &info);
  fclose(file);
  if (failed || v->is_gzip || !S_ISREG(info.st_mode)) return MV_OK;
  if ((double)info.st_size < need)
    return mv_fail(err, MV_ERR_FORMAT,
                   "truncated: %d x %d x %d x %d voxels need %.0f bytes, the file has %lld",
                   v->dim[0], v->dim[1], v->dim[2], v->n_frame, need, (long long)info.st_size);
  return MV_OK;
}

mv_status mv_nifti_open(mv_volume *v, mv_error *err) {
  fields f = {0};
  int header_bytes = 348;
  nifti_set_debug_level(0); /* libnifti is not to write to standard error */
  MV_TRY(read_header(v->path, &f, &v->swap, &header_bytes, err));
  MV_TRY(set_dims(v, &f, err));
  MV_TRY(set_values(v, &f, header_bytes, err));
  set_spacing(v, &f);
  set_affine(v, &f);
  if (f.is_pair) MV_TRY(find_image(v, err));
  return check_length(v, err);
}

/* ---- voxels ---- */

#define CONVERT(kind)                                                               \
  do {                                                                              \
    for (int i = 0; i < n; i++) {                                                   \
      kind raw;                                                                     \
      memcpy(&raw, bytes + (size_t)i * step * sizeof raw, sizeof raw);              \
      out[i] = v->scaled ? (float)((double)raw * v->slope + v->inter) : (float)raw; \
    }                                                                               \
  } while (0)

/* n voxels, `step` apart, to float32 by way of float64. */
static void convert(const mv_volume *v, const unsigned char *bytes, int n, size_t step,
                    float *out) {
  switch (v->type) {
    case DT_UINT8:
      CONVERT(uint8_t);
      break;
    case DT_INT8:
      CONVERT(int8_t);
      break;
    case DT_INT16:
      CONVERT(int16_t);
      break;
    case DT_UINT16:
      CONVERT(uint16_t);
      break;
    case DT_INT32:
      CONVERT(int32_t);
      break;
    case DT_UINT32:
      CONVERT(uint32_t);
      break;
    case DT_FLOAT32:
      CONVERT(float);
      break;
    case DT_FLOAT64:
      CONVERT(double);
      break;
    case DT_INT64:
      CONVERT(int64_t);
      break;
    default:
      CONVERT(uint64_t);
      break;
  }
}

/* Rows of the file that a slice needs, one block after another in file order. */
typedef struct plan {
  int n_block;
  int64_t first, stride; /* of a block, in voxels       */
  int64_t length;        /* of a block                  */
  size_t step;           /* between the voxels it gives */
} plan;

static plan plan_slice(const mv_volume *v, int axis, int index, int frame) {
  int64_t row = v->dim[0], plane = row * v->dim[1], at = (int64_t)frame * plane * v->dim[2];
  if (axis == 2) return (plan){1, at + index * plane, 0, plane, 1};
  if (axis == 1) return (plan){v->dim[2], at + index * row, plane, row, 1};
  /* v[idx, :, :]: one voxel of every row; row by row, up to the last one needed */
  return (plan){v->dim[2], at + index, plane, plane - row + 1, (size_t)row};
}

/* The blocks run along the slice's second axis or, for the last plane, its rows and columns are
 * still transposed: file order is first axis fastest. */
static void place(const mv_volume *v, int axis, int block, const float *values, int n, float *out) {
  if (axis == 2) {
    int h = v->dim[0], w = v->dim[1];
    for (int j = 0; j < w; j++)
      for (int i = 0; i < h; i++)
        out[(size_t)i * (size_t)w + (size_t)j] = values[(size_t)j * (size_t)h + (size_t)i];
    return;
  }
  size_t w = (size_t)v->dim[2];
  for (int i = 0; i < n; i++) out[(size_t)i * w + (size_t)block] = values[i];
}

/* n bytes of the data, from byte `at` on; 0 when they are not there. `file` NULL: from memory. */
static int fetch(const mv_volume *v, znzFile file, int64_t at, size_t n, unsigned char *bytes) {
  if (v->inflated) {
    memcpy(bytes, v->inflated + at, n);
    return 1;
  }
  return znzseek(file, (znz_off_t)(v->offset + at), SEEK_SET) == v->offset + at &&
         znzread(bytes, 1, n, file) == n;
}

static mv_status read_blocks(const mv_volume *v, znzFile file, const plan *p, int axis,
                             unsigned char *bytes, float *values, float *out, mv_error *err) {
  size_t block_bytes = (size_t)p->length * (size_t)v->voxel_bytes;
  int n = (int)((p->length - 1) / (int64_t)p->step) + 1;
  for (int b = 0; b < p->n_block; b++) {
    int64_t at = (p->first + b * p->stride) * v->voxel_bytes;
    if (!fetch(v, file, at, block_bytes, bytes))
      return mv_fail(err, MV_ERR_FORMAT, "truncated or damaged at voxel %lld of the data",
                     (long long)(p->first + b * p->stride));
    if (v->swap && v->voxel_bytes > 1) nifti_swap_Nbytes((int64_t)p->length, v->voxel_bytes, bytes);
    convert(v, bytes, n, p->step, values);
    place(v, axis, b, values, n, out);
  }
  return MV_OK;
}

mv_status mv_nifti_slice(const mv_volume *v, int axis, int index, int frame, float *out,
                         mv_error *err) {
  plan p = plan_slice(v, axis, index, frame);
  size_t n_byte, n_value = ((size_t)p.length - 1) / p.step + 1;
  if (!mv_mul_size((size_t)p.length, (size_t)v->voxel_bytes, &n_byte))
    return mv_fail(err, MV_ERR_SHAPE, "a slice of this size cannot be read");
  unsigned char *bytes = mv_alloc(n_byte);
  float *values = mv_calloc(n_value, sizeof *values);
  znzFile file = bytes && values && !v->inflated ? znzopen(v->path, "rb", 1) : NULL;
  mv_status status;
  if (!bytes || !values)
    status = mv_fail(err, MV_ERR_MEMORY, "out of memory for a slice of %zu voxels", n_value);
  else if (znz_isnull(file) && !v->inflated)
    status = mv_fail(err, MV_ERR_IO, "cannot be opened");
  else
    status = read_blocks(v, file, &p, axis, bytes, values, out, err);
  if (!znz_isnull(file)) znzclose(file);
  mv_free(values);
  mv_free(bytes);
  return status;
}

size_t mv_nifti_inflated_bytes(const mv_volume *v) {
  double n = data_bytes(v);
  return v->is_gzip && !v->voxels && n < (double)SIZE_MAX / 2 ? (size_t)n : 0;
}

void mv_nifti_inflate(mv_volume *v) {
  size_t n = mv_nifti_inflated_bytes(v);
  unsigned char *bytes = n ? mv_alloc(n) : NULL;
  znzFile file = bytes ? znzopen(v->path, "rb", 1) : NULL;
  if (!znz_isnull(file) && fetch(v, file, 0, n, bytes)) {
    v->inflated = bytes;
    bytes = NULL;
  }
  if (!znz_isnull(file)) znzclose(file);
  mv_free(bytes);
}
