#include "tasks/prompts.h"

#include "runtime/pyfloat.h"
#include "tasks/prompt_strings.h"

static const char follow[] =
    "\nFollow the reasoning steps to get the final answer in the required format.";

const char *mv_unit_word(mv_str unit) {
  if (mv_str_is(unit, "mm")) return "millimeters";
  if (mv_str_is(unit, "cm")) return "centimeters";
  if (mv_str_is(unit, "degree")) return "degrees";
  return NULL;
}

mv_str mv_unit_default(mv_task task) { return mv_str_of(task == MV_TASK_ANGLE ? "degree" : "mm"); }

mv_str mv_prompt_system(void) { return mv_str_of(mv_system_prompt); }

/* Appends `text` with %1..%4 replaced by the points, %N by the name and %U by the unit. */
static void render(mv_buf *out, const char *text, const mv_prompt *prompt, const char *unit) {
  for (; *text; text++) {
    if (*text != '%') {
      mv_buf_char(out, *text);
      continue;
    }
    text++;
    if (*text == 'U') {
      mv_buf_text(out, unit);
    } else {
      mv_buf_str(out, *text == 'N' ? prompt->name : prompt->points[*text - '1']);
    }
  }
}

static void render_head(mv_buf *out, const mv_prompt *prompt) {
  mv_buf_text(out, "Task:\nGiven the input medical image");
  if (prompt->description.len) {
    mv_buf_text(out, ": ");
    mv_buf_str(out, prompt->description);
  }
  mv_buf_text(out, ", ");
}

static void render_spacing(mv_buf *out, const mv_prompt *prompt, const char *unit) {
  const mv_spacing *s = &prompt->spacing;
  /* Pixels of an angle are in millimetres in the benchmark; in training they were in degrees. */
  if (prompt->wording == MV_WORDING_BENCHMARK && mv_str_is(prompt->unit, "degree"))
    unit = "millimeters";
  mv_buf_printf(out,
                "Additional information:\nThe image size is %d pixels (width) x %d pixels "
                "(height).\nThe pixel size for this image is ",
                s->image_w, s->image_h);
  mv_pyfloat_fixed3(out, (double)s->pixel_w);
  mv_buf_printf(out, " %s (width) x ", unit);
  mv_pyfloat_fixed3(out, (double)s->pixel_h);
  mv_buf_printf(out, " %s (height).\n", unit);
}

/* `bare` is the form of an answer alone, `reasoned` of one after steps, `steps` the steps. */
static void render_tail(mv_buf *out, mv_cot cot, const char *bare, const char *reasoned,
                        const char *steps) {
  mv_buf_text(out, "Format requirement:\n");
  mv_buf_text(out, cot == MV_COT_NONE ? bare : reasoned);
  if (cot == MV_COT_NONE) return;
  mv_buf_char(out, '\n');
  if (cot == MV_COT_NO_STEPS) return;
  mv_buf_text(out, "Reasoning steps:\n");
  mv_buf_text(out, steps);
  mv_buf_text(out, follow);
}

static void render_detect(mv_buf *out, const mv_prompt *prompt) {
  int training = prompt->wording == MV_WORDING_TRAINING;
  mv_buf_printf(out,
                "return the coordinates of the lower-left and upper-right %s of the bounding box "
                "for the ",
                training ? "corner" : "corners");
  mv_buf_str(out, prompt->label);
  mv_buf_text(out, ".\n");
  render_tail(out, prompt->cot == MV_COT_STEPS ? MV_COT_STEPS : MV_COT_NONE,
              mv_format_prompt_box_coordinates,
              training ? mv_format_prompt_detection_reasoning : mv_format_prompt_box_coordinates,
              mv_cot_instruct_detection);
}

static void render_size(mv_buf *out, const mv_prompt *prompt, const char *unit) {
  mv_buf_text(out, "estimate the major and minor axis lengths of the ellipse enclosing the ");
  mv_buf_str(out, prompt->label);
  mv_buf_printf(out, ", in %s.\n", unit);
  render_spacing(out, prompt, unit);
  render_tail(out, prompt->cot, mv_format_prompt_tumor_lesion_size, mv_format_prompt_tl_reasoning,
              mv_cot_instruct_tl_norm);
}

static void render_landmarks(mv_buf *out, const mv_prompt *prompt, const char *unit) {
  static const char *const lines[2][2] = {
      {"estimate the distance between 2 landmark points in %U: (landmark 1) %1, (landmark 2) %2.\n",
       "estimate the distance of %N in %U, which is the distance between 2 landmark points: "
       "(landmark 1) %1, (landmark 2) %2.\n"},
      {"estimate the angle between 2 lines in %U: (line 1) the line connecting %1 and %2, (line 2) "
       "the line connecting %3 and %4.\n",
       "estimate the angle of %N in %U, which is the angle between 2 lines: (line 1) the line "
       "connecting %1 and %2, (line 2) the line connecting %3 and %4.\n"}};
  int angle = prompt->task == MV_TASK_ANGLE;
  render(out, lines[angle][prompt->name.len > 0], prompt, unit);
  render_spacing(out, prompt, unit);
  render_tail(out, prompt->cot, mv_format_prompt_biometrics, mv_format_prompt_ad_reasoning,
              angle ? mv_cot_instruct_angle : mv_cot_instruct_distance);
}

mv_status mv_prompt_render(const mv_prompt *prompt, mv_buf *out, mv_error *err) {
  const char *unit = mv_unit_word(prompt->unit);
  if (prompt->task != MV_TASK_DETECT && !unit)
    return mv_fail(err, MV_ERR_USAGE, "unit \"%.*s\": expected mm, cm or degree",
                   (int)(prompt->unit.len < 80 ? prompt->unit.len : 80), prompt->unit.ptr);
  render_head(out, prompt);
  switch (prompt->task) {
    case MV_TASK_DETECT:
      render_detect(out, prompt);
      break;
    case MV_TASK_SIZE:
      render_size(out, prompt, unit);
      break;
    case MV_TASK_DISTANCE:
    case MV_TASK_ANGLE:
      render_landmarks(out, prompt, unit);
      break;
  }
  return mv_buf_status(out, err);
}
