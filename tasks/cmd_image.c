/* medvision image: what the model sees of a picture, and checksums of every step. */
#include <stdio.h>

#include "kernels/ops.h"
#include "runtime/memory.h"
#include "runtime/sha256.h"
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"
#include "tasks/cli_jsonl.h"
#include "tasks/cli_picture.h"
#include "tasks/geometry.h"
#include "vision/volumes.h"

typedef struct image_report {
  mv_picture picture;
  mv_pixels pixels;
  float pixel_w, pixel_h; /* after the reshape, mm; 0 when not known */
  char image_sha[65], resized_sha[65], values_sha[65];
} image_report;

static void sha_of_image(const mv_image *image, char hex[65]) {
  mv_sha256_hex(image->px, (size_t)image->width * (size_t)image->height * (size_t)image->channels,
                hex);
}

static mv_status sha_of_patches(const mv_preprocessor *pp, const mv_image *seen, char hex[65],
                                mv_error *err) {
  mv_device cpu;
  float value[MV_PIXEL_VALUES];
  mv_patches_dims dims = {seen->height, seen->width,  seen->channels, pp->patch,
                          pp->merge,    pp->temporal, MV_DTYPE_F32};
  size_t n = (size_t)mv_patches_rows(&dims) * (size_t)mv_patches_row_values(&dims);
  float *patches = mv_alloc(n * sizeof *patches);
  if (!patches) return mv_fail(err, MV_ERR_MEMORY, "no memory for %zu values of patches", n);
  mv_status status = mv_device_open_cpu(&cpu, 1, NULL, err);
  if (status == MV_OK) {
    mv_preprocessor_values(pp, value);
    mv_patches_cpu(&cpu, &dims, seen->px, value, NULL, patches);
    status = mv_device_status(&cpu, err);
    mv_device_close_cpu(&cpu);
  }
  if (status == MV_OK) mv_sha256_hex(patches, n * sizeof *patches, hex);
  mv_free(patches);
  return status;
}

/* Fills `report` (zeroed before; free with free_report). */
static mv_status make_report(image_report *report, const mv_manifest *question,
                             const mv_preprocessor *pp, mv_error *err) {
  MV_TRY(mv_picture_load(&report->picture, question, pp, err));
  const mv_image *image = &report->picture.image;
  const mv_frame *frame = &report->picture.frame;
  MV_TRY(mv_pixels_init(&report->pixels, pp, image, err));
  if (report->picture.has_pixel_size) {
    report->pixel_w =
        mv_pixel_size(report->picture.pixel_w, frame->raw_w, frame->reshape_w, image->width);
    report->pixel_h =
        mv_pixel_size(report->picture.pixel_h, frame->raw_h, frame->reshape_h, image->height);
  }
  sha_of_image(image, report->image_sha);
  sha_of_image(&report->pixels.seen, report->resized_sha);
  return sha_of_patches(pp, &report->pixels.seen, report->values_sha, err);
}

static void free_report(image_report *report) {
  mv_pixels_free(&report->pixels);
  mv_picture_free(&report->picture);
}

static void write_members(const image_report *report, mv_json_writer *w) {
  const mv_image *image = &report->picture.image, *seen = &report->pixels.seen;
  mv_grid grid = report->pixels.grid;
  mv_json_size(w, "image_size", image->width, image->height);
  mv_json_pixel_size(w, "pixel_size", report->pixel_w, report->pixel_h);
  mv_json_size(w, "resized", seen->width, seen->height);
  mv_json_key(w, "grid_thw");
  mv_json_begin_array(w);
  mv_json_int(w, grid.t);
  mv_json_int(w, grid.h);
  mv_json_int(w, grid.w);
  mv_json_end_array(w);
  mv_json_key(w, "image_sha256");
  mv_json_text(w, report->image_sha);
  mv_json_key(w, "resized_sha256");
  mv_json_text(w, report->resized_sha);
  mv_json_key(w, "pixel_values_sha256");
  mv_json_text(w, report->values_sha);
}

typedef struct line_user {
  const mv_cli_args *args;
  const mv_preprocessor *pp;
  mv_volumes *volumes;
} line_user;

static mv_status image_line(void *user, const mv_json *line, mv_json_writer *w, mv_error *err) {
  const line_user *u = user;
  mv_manifest question;
  image_report report = {0};
  MV_TRY(mv_question_from_line(u->args, line, &question, err));
  question.volumes = u->volumes;
  mv_status status = make_report(&report, &question, u->pp, err);
  if (status == MV_OK) write_members(&report, w);
  free_report(&report);
  return status;
}

static void print_text(const image_report *report, const char *path, const mv_preprocessor *pp,
                       mv_buf *out) {
  const mv_frame *frame = &report->picture.frame;
  const mv_image *image = &report->picture.image, *seen = &report->pixels.seen;
  mv_grid grid = report->pixels.grid;
  mv_cli_visible(out, mv_str_of(path));
  mv_buf_printf(out, "\n  file          %d x %d pixels, %s\n", frame->raw_w, frame->raw_h,
                image->channels == 1 ? "grey" : "colour");
  if (image->orientation > 1)
    mv_buf_printf(out, "                turned upright (EXIF orientation %d)\n",
                  image->orientation);
  if (frame->reshape_w)
    mv_buf_printf(out, "  reshaped      %d x %d\n", image->width, image->height);
  mv_buf_printf(out, "  model sees    %d x %d\n", seen->width, seen->height);
  if (report->pixel_w > 0)
    mv_buf_printf(out, "  pixel size    %.4g x %.4g mm as the model sees it\n",
                  (double)frame->spacing.pixel_w, (double)frame->spacing.pixel_h);
  mv_buf_printf(out, "  patches       %d x %d of %d pixels, %zu image tokens\n", grid.w, grid.h,
                pp->patch, mv_grid_tokens(grid, pp->merge));
  mv_buf_printf(out, "  sha256        %s  image\n", report->image_sha);
  mv_buf_printf(out, "                %s  as the model sees it\n", report->resized_sha);
  mv_buf_printf(out, "                %s  patches, float32\n", report->values_sha);
}

static mv_status run(const mv_cli_args *args, const mv_preprocessor *pp, mv_buf *out,
                     mv_error *err) {
  mv_manifest question;
  image_report report = {0};
  if (args->operands.n == 0) return mv_fail(err, MV_ERR_USAGE, "image: IMAGE is missing");
  const char *path = args->operands.v[0];
  mv_question_from_args(args, MV_TASK_DETECT, path, &question);
  mv_status status = make_report(&report, &question, pp, err);
  if (status == MV_OK) mv_picture_note(args, path, &report.picture.image);
  if (status == MV_OK && args->out) status = mv_image_save_png(&report.pixels.seen, args->out, err);
  if (status == MV_OK && args->json) {
    mv_json_writer writer = mv_cli_json(out);
    mv_json_begin_object(&writer);
    write_members(&report, &writer);
    mv_json_end_object(&writer);
    mv_buf_char(out, '\n');
  } else if (status == MV_OK) {
    print_text(&report, path, pp, out);
  }
  free_report(&report);
  return status;
}

static int image_lines(const mv_cli_args *args, const mv_preprocessor *pp) {
  mv_error err = {0};
  line_user user = {.args = args, .pp = pp};
  if (mv_volumes_new(&user.volumes, MV_VOLUMES_LIMIT, &err) != MV_OK) return mv_cli_fail(&err);
  int code = mv_cli_jsonl(image_line, &user);
  mv_volumes_free(user.volumes);
  return code;
}

int mv_cmd_image(const mv_cli_args *args) {
  mv_error err = {0};
  mv_preprocessor pp;
  mv_buf out = {0};
  mv_status status = mv_cli_preprocessor(args, &pp, &err);
  if (status == MV_OK && args->jsonl) return image_lines(args, &pp);
  if (status == MV_OK) status = run(args, &pp, &out, &err);
  if (status == MV_OK) status = mv_buf_status(&out, &err);
  if (status == MV_OK) mv_cli_put(mv_buf_view(&out));
  mv_buf_free(&out);
  return status == MV_OK ? MV_EXIT_DONE : mv_cli_fail(&err);
}
