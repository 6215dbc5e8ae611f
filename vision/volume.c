#include "vision/volume.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/memory.h"
#include "vision/dicom.h"
#include "vision/nifti.h"

int mv_volume_is_name(mv_str path) {
  static const char *const ends[] = {".nii", ".nii.gz", ".hdr", ".hdr.gz"};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    size_t n = strlen(ends[i]);
    if (path.len > n && !memcmp(path.ptr + path.len - n, ends[i], n)) return 1;
  }
  return 0;
}

mv_status mv_volume_open(mv_volume *volume, const char *path, mv_error *err) {
  struct stat info;
  memset(volume, 0, sizeof *volume);
  volume->unit_mm = 1;
  if (stat(path, &info) != 0) return mv_fail(err, MV_ERR_IO, "%s: %s", path, strerror(errno));
  volume->path = mv_alloc(strlen(path) + 1);
  if (!volume->path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  memcpy(volume->path, path, strlen(path) + 1);
  mv_status status = S_ISDIR(info.st_mode) || mv_dicom_is_file(path)
                         ? mv_dicom_open_series(volume, err)
                         : mv_nifti_open(volume, err);
  if (status == MV_OK) status = mv_volume_orient(volume, err);
  if (status != MV_OK) {
    mv_error_prefix(err, "%s", path);
    mv_volume_close(volume);
  }
  return status;
}

void mv_volume_close(mv_volume *volume) {
  mv_free(volume->path);
  mv_free(volume->voxels);
  mv_free(volume->inflated);
  memset(volume, 0, sizeof *volume);
}

/* ---- orientation ---- */

static double determinant(double m[3][3]) {
  return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
         m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
         m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

/* The orthogonal matrix closest to m, by Newton's iteration: m <- (m + m^-T) / 2. 0 when m is
 * singular. */
static int nearest_rotation(double m[3][3]) {
  for (int step = 0; step < 100; step++) {
    double det = determinant(m), change = 0, next[3][3];
    if (!(fabs(det) > 1e-12) || !isfinite(det)) return 0;
    for (int i = 0; i < 3; i++)
      for (int j = 0; j < 3; j++) {
        int a = (i + 1) % 3, b = (i + 2) % 3, c = (j + 1) % 3, d = (j + 2) % 3;
        next[i][j] = (m[i][j] + (m[a][c] * m[b][d] - m[a][d] * m[b][c]) / det) / 2;
        change = fmax(change, fabs(next[i][j] - m[i][j]));
      }
    memcpy(m, next, sizeof next);
    if (change < 1e-15) break;
  }
  return 1;
}

/* Strongest axis first; each takes the patient axis it is closest to that is still free. */
static void match_axes(mv_volume *volume, double r[3][3]) {
  double strength[3];
  int done[3] = {0, 0, 0};
  for (int j = 0; j < 3; j++)
    strength[j] = fmax(fmax(r[0][j] * r[0][j], r[1][j] * r[1][j]), r[2][j] * r[2][j]);
  int taken[3] = {0, 0, 0};
  for (int round = 0; round < 3; round++) {
    int in = -1, out = -1;
    for (int j = 0; j < 3; j++)
      if (!done[j] && (in < 0 || strength[j] > strength[in])) in = j;
    for (int i = 0; i < 3; i++)
      if (!taken[i] && (out < 0 || fabs(r[i][in]) > fabs(r[out][in]))) out = i;
    done[in] = taken[out] = 1;
    volume->ras_axis[out] = in;
    volume->ras_flip[out] = r[out][in] < 0;
  }
}

mv_status mv_volume_orient(mv_volume *volume, mv_error *err) {
  double r[3][3];
  for (int j = 0; j < 3; j++) {
    double norm = 0;
    for (int i = 0; i < 3; i++) norm += volume->affine[i][j] * volume->affine[i][j];
    norm = sqrt(norm);
    for (int i = 0; i < 3; i++) r[i][j] = volume->affine[i][j] / (norm > 0 ? norm : 1);
  }
  (void)err;
  if (!nearest_rotation(r)) { /* no usable affine: the axes as they are stored */
    for (int i = 0; i < 3; i++) volume->ras_axis[i] = i, volume->ras_flip[i] = 0;
    return MV_OK;
  }
  match_axes(volume, r);
  return MV_OK;
}

/* ---- slices ---- */

void mv_slice_free(mv_slice *slice) {
  mv_free(slice->px);
  memset(slice, 0, sizeof *slice);
}

/* Where a slice is in the stored volume. */
typedef struct cut {
  int axis, index;        /* stored */
  int row_axis, col_axis; /* stored axes of the slice's rows and columns */
  int row_flip, col_flip;
} cut;

static mv_status make_cut(const mv_volume *v, mv_orientation orientation, int axis, int index,
                          int frame, cut *c, mv_error *err) {
  static const char *const names[] = {"sagittal", "coronal", "axial"};
  int rest[2] = {axis == 0 ? 1 : 0, axis == 2 ? 1 : 2};
  int ras = orientation == MV_ORIENTATION_RAS;
  c->axis = ras ? v->ras_axis[axis] : axis;
  c->row_axis = ras ? v->ras_axis[rest[0]] : rest[0];
  c->col_axis = ras ? v->ras_axis[rest[1]] : rest[1];
  c->row_flip = ras && v->ras_flip[rest[0]];
  c->col_flip = ras && v->ras_flip[rest[1]];
  if (index < 0 || index >= v->dim[c->axis])
    return mv_fail(err, MV_ERR_USAGE, "%s: %s slice %d: the volume has slices 0 to %d", v->path,
                   names[axis], index, v->dim[c->axis] - 1);
  if (frame < 0 || frame >= v->n_frame)
    return mv_fail(err, MV_ERR_USAGE, "%s: frame %d: the volume has frames 0 to %d", v->path, frame,
                   v->n_frame - 1);
  c->index = ras && v->ras_flip[axis] ? v->dim[c->axis] - 1 - index : index;
  return MV_OK;
}

static float zoom_of(const mv_volume *v, mv_orientation orientation, int axis) {
  if (orientation == MV_ORIENTATION_STORED || v->unit_mm == 1) return v->zoom[axis];
  return (float)((double)v->zoom[axis] * v->unit_mm);
}

static void fill_frame(const mv_volume *v, mv_orientation orientation, const cut *c,
                       mv_slice *out) {
  memset(out, 0, sizeof *out);
  out->height = v->dim[c->row_axis], out->width = v->dim[c->col_axis];
  out->zoom_h = zoom_of(v, orientation, c->row_axis);
  out->zoom_w = zoom_of(v, orientation, c->col_axis);
}

mv_status mv_volume_slice_frame(const mv_volume *volume, mv_orientation orientation, int axis,
                                int index, int frame, mv_slice *out, mv_error *err) {
  cut c;
  memset(out, 0, sizeof *out);
  MV_TRY(make_cut(volume, orientation, axis, index, frame, &c, err));
  fill_frame(volume, orientation, &c, out);
  return MV_OK;
}

/* The stored slice from voxels in memory. */
static void copy_slice(const mv_volume *v, int axis, int index, int frame, float *out) {
  size_t row = (size_t)v->dim[0], plane = row * (size_t)v->dim[1];
  const float *base = v->voxels + (size_t)frame * plane * (size_t)v->dim[2];
  size_t stride[3] = {1, row, plane};
  int a = axis == 0 ? 1 : 0, b = axis == 2 ? 1 : 2;
  for (int i = 0; i < v->dim[a]; i++)
    for (int j = 0; j < v->dim[b]; j++)
      *out++ = base[(size_t)index * stride[axis] + (size_t)i * stride[a] + (size_t)j * stride[b]];
}

/* From the stored slice (first stored axis = rows) to the cut's rows and columns. */
static void turn(const mv_volume *v, const cut *c, const float *in, float *out) {
  int h = v->dim[c->row_axis], w = v->dim[c->col_axis];
  int transposed = c->row_axis > c->col_axis;
  for (int i = 0; i < h; i++)
    for (int j = 0; j < w; j++) {
      size_t r = (size_t)(c->row_flip ? h - 1 - i : i), s = (size_t)(c->col_flip ? w - 1 - j : j);
      *out++ = transposed ? in[s * (size_t)h + r] : in[r * (size_t)w + s];
    }
}

mv_status mv_volume_slice(const mv_volume *volume, mv_orientation orientation, int axis, int index,
                          int frame, mv_slice *out, mv_error *err) {
  cut c;
  memset(out, 0, sizeof *out);
  MV_TRY(make_cut(volume, orientation, axis, index, frame, &c, err));
  fill_frame(volume, orientation, &c, out);
  size_t n = (size_t)out->height * (size_t)out->width;
  if (n > MV_IMAGE_MAX_PIXELS)
    return mv_fail(err, MV_ERR_SHAPE, "%s: a slice of %d x %d pixels: the limit is %d pixels",
                   volume->path, out->width, out->height, MV_IMAGE_MAX_PIXELS);
  float *stored = mv_calloc(n, sizeof *stored);
  out->px = mv_calloc(n, sizeof *out->px);
  mv_status status = MV_OK;
  if (!stored || !out->px)
    status = mv_fail(err, MV_ERR_MEMORY, "out of memory for a slice of %zu pixels", n);
  else if (volume->voxels)
    copy_slice(volume, c.axis, c.index, frame, stored);
  else
    status = mv_nifti_slice(volume, c.axis, c.index, frame, stored, err);
  if (status == MV_OK)
    turn(volume, &c, stored, out->px);
  else
    mv_error_prefix(err, "%s", volume->path);
  mv_free(stored);
  if (status != MV_OK) mv_slice_free(out);
  return status;
}
