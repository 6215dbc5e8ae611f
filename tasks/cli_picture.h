/* A question's picture on its way to the model.
 *
 *   file ── raw ── reshape (measurements: 504 x 504) ── processor's resize ── as the model sees it
 *   volume ── slice ── reshape (512 x 512) ── intensity to 8 bits ── processor's resize ── the same
 *
 * A question is an mv_manifest, whether it came as a JSON line or from the command line, so that
 * both give the same sizes, the same spacing and the same prompt.
 */
#ifndef MV_TASKS_CLI_PICTURE_H
#define MV_TASKS_CLI_PICTURE_H

#include "tasks/cli.h"
#include "tasks/manifest.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The question of a command line; path NULL: without a picture. Borrows from args. */
void mv_question_from_args(const mv_cli_args *args, mv_task task, const char *path,
                           mv_manifest *out);

/* The question of a JSON line; volumes' axes as stored unless --orientation ras. Borrows from the
 * line. */
mv_status mv_question_from_line(const mv_cli_args *args, const mv_json *line, mv_manifest *out,
                                mv_error *err);

/* Zero-initialise; owns `image`; free with mv_picture_free. */
typedef struct mv_picture {
  mv_frame frame;
  mv_image image;          /* after the reshape: what the processor is given */
  int has_pixel_size;      /* from the question, or from the file's header */
  float pixel_w, pixel_h;  /* mm, of the raw picture */
  const char *spacing_tag; /* where the header keeps it, or should; NULL: pictures have none */
} mv_picture;

/* Loads the question's picture and reshapes it. */
mv_status mv_picture_load(mv_picture *picture, const mv_manifest *question,
                          const mv_preprocessor *pp, mv_error *err);
void mv_picture_free(mv_picture *picture);

/* A size, distance or angle needs spacing: MV_ERR_USAGE naming the header's tag and the option that
 * take its place, where a volume or DICOM file has none. */
mv_status mv_picture_check_spacing(const mv_picture *picture, const mv_manifest *question,
                                   mv_error *err);

/* Whether the file at `path` is one with spacing of its own: a volume or DICOM. */
int mv_picture_has_header(const char *path);

/* The frame alone, from the picture's header, or from "image_size". Without either it stays zero:
 * a box can be asked for without knowing sizes. */
mv_status mv_picture_frame(const mv_manifest *question, const mv_preprocessor *pp, mv_frame *frame,
                           mv_error *err);

/* Says on standard error what became of the file's samples: 16 bits, alpha. */
void mv_picture_note(const mv_cli_args *args, const char *path, const mv_image *image);

/* The preprocessor of --model, or the real model's where there is none, with --resampler. */
mv_status mv_cli_preprocessor(const mv_cli_args *args, mv_preprocessor *pp, mv_error *err);

/* "key": [w, h], or null where they are zero. */
void mv_json_size(mv_json_writer *w, const char *key, int width, int height);
void mv_json_names(mv_json_writer *w, const char *key, const mv_str names[2]); /* "key": [a, b] */
void mv_json_pixel_size(mv_json_writer *w, const char *key, float width, float height);

#ifdef __cplusplus
}
#endif
#endif
