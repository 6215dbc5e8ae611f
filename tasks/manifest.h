/* A manifest line: one question about one image, as a JSON object.
 *
 *   {"id": 7, "task": "size", "image": "a.png", "label": "tumor", "pixel_size": [0.7, 0.7]}
 *
 * Members of the wrong kind are one error that names them; unknown ones are ignored; null means
 * absent, except for "reshape", where it means none. What a task needs is checked when its prompt
 * is made, so that a line without a task can still describe an image.
 */
#ifndef MV_TASKS_MANIFEST_H
#define MV_TASKS_MANIFEST_H

#include "runtime/error.h"
#include "runtime/json.h"
#include "tasks/prompts.h"
#include "tasks/task.h"
#include "vision/preprocess.h"
#include "vision/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_plane {
  MV_PLANE_SAGITTAL = 0, /* the values are the axis sliced away: the contract's slice_dim */
  MV_PLANE_CORONAL,
  MV_PLANE_AXIAL
} mv_plane;

/* All strings and nodes borrow from the line. */
typedef struct mv_manifest {
  const mv_json *id; /* any value, to be echoed; NULL when absent */
  int has_task;
  mv_task task;

  mv_str image, volume;       /* paths; empty when absent, never both */
  struct mv_volumes *volumes; /* borrows: volumes kept open between questions; NULL: none are */
  mv_plane plane;             /* of a volume */
  int index;                  /* of the slice */
  int frame;                  /* of a 4-D volume */
  int orientation;            /* mv_orientation, for `index` and the slice's rows and columns */
  int image_w, image_h;       /* "image_size"; 0 when absent */
  int has_pixel_size;
  float pixel_w, pixel_h; /* mm, of the raw image */
  int has_reshape;        /* the line says how, or says null */
  int reshape_h, reshape_w;

  mv_str label, description, name;
  mv_str unit;                          /* ptr NULL when absent */
  int n_point;                          /* 0, 2 or 4 */
  mv_str points[MV_TASK_MAX_LANDMARKS]; /* "landmarks", or "line1" then "line2" */
  mv_cot cot;

  int n_truth; /* 0 when absent */
  double truth[MV_TASK_MAX_VALUES];

  mv_str dataset, task_id, task_type, label_name, modality; /* choose the intensity mapping */
  int has_label_name; /* a line that asks about a label and has none takes the label itself */
} mv_manifest;

/* Fills `out` from a parsed line. MV_ERR_USAGE names the member at fault. */
mv_status mv_manifest_read(const mv_json *line, mv_manifest *out, mv_error *err);

/* The sizes an image takes on its way to the model. */
typedef struct mv_frame {
  int raw_w, raw_h;               /* of the file or slice                  */
  int reshape_w, reshape_h;       /* 0 when it is not reshaped             */
  mv_spacing spacing;             /* after the processor: what prompts say */
  float raw_pixel_w, raw_pixel_h; /* mm; 0 when not known */
} mv_frame;

/* From the raw size to the model's, with the processor's limits. raw_pixel is {width, height} in
 * mm (NULL: pixel sizes stay 0). MV_ERR_SHAPE for sizes the processor refuses. */
mv_status mv_frame_init(mv_frame *out, int raw_w, int raw_h, int reshape_w, int reshape_h,
                        const float raw_pixel[2], const mv_preprocessor *pp, mv_error *err);

/* The frame of a line's image: raw_w and raw_h are what was found in its file (0: take
 * "image_size"). Where the line does not say, a picture is reshaped to 504 x 504, a volume's slice
 * or a bare size to 512 x 512. */
mv_status mv_manifest_frame(const mv_manifest *line, int raw_w, int raw_h,
                            const mv_preprocessor *pp, mv_frame *out, mv_error *err);

/* What the line asks, for mv_prompt_render. MV_ERR_USAGE for what the task needs and the line
 * lacks. */
mv_status mv_manifest_prompt(const mv_manifest *line, const mv_frame *frame, mv_prompt *out,
                             mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
