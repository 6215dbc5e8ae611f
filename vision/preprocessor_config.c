/* preprocessor_config.json: reading, defaults, and refusing what this pipeline does not do. */
#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/memory.h"
#include "vision/preprocess.h"

#define MAX_CONFIG_BYTES (1u << 20)
#define CLASS_MAX_PIXELS 1003520 /* 28 * 28 * 1280, of transformers' class */

void mv_preprocessor_default(mv_preprocessor *pp) {
  *pp = (mv_preprocessor){.patch = 14,
                          .temporal = 2,
                          .merge = 2,
                          .min_pixels = 3136,
                          .max_pixels = 12845056,
                          .mean = {0.48145466, 0.4578275, 0.40821073},
                          .std = {0.26862954, 0.26130258, 0.27577711},
                          .resampler = MV_RESAMPLER_TORCHVISION};
}

/* An entry that is absent or null counts as not given. */
static const cJSON *given(const cJSON *json, const char *key) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
  return item && !cJSON_IsNull(item) ? item : NULL;
}

/* Leaves *out alone when the key is not given. */
static mv_status read_int(const cJSON *json, const char *key, int64_t lo, int64_t hi, int64_t *out,
                          mv_error *err) {
  const cJSON *item = given(json, key);
  if (!item) return MV_OK;
  double v = cJSON_IsNumber(item) ? item->valuedouble : NAN;
  if (!(v >= (double)lo && v <= (double)hi && v == floor(v)))
    return mv_fail(err, MV_ERR_FORMAT, "%s: expected a whole number from %lld to %lld", key,
                   (long long)lo, (long long)hi);
  *out = (int64_t)v;
  return MV_OK;
}

static mv_status read_side(const cJSON *json, const char *key, int hi, int *out, mv_error *err) {
  int64_t v = *out;
  MV_TRY(read_int(json, key, 1, hi, &v, err));
  *out = (int)v;
  return MV_OK;
}

static mv_status read_channels(const cJSON *json, const char *key, int positive, double out[3],
                               mv_error *err) {
  const cJSON *list = given(json, key);
  if (!list) return MV_OK;
  int n = 0;
  const cJSON *item = NULL;
  if (cJSON_IsArray(list) && cJSON_GetArraySize(list) == 3) cJSON_ArrayForEach(item, list) {
      double v = cJSON_IsNumber(item) ? item->valuedouble : NAN;
      if (!(fabs(v) <= 1e6) || (positive && !((float)v > 0))) break;
      out[n++] = v;
    }
  if (n == 3) return MV_OK;
  return mv_fail(err, MV_ERR_FORMAT, "%s: expected a list of three %snumbers", key,
                 positive ? "positive " : "");
}

/* min_pixels and max_pixels, in any of the places the format's history has put them. The outer
 * ones win over those in "size". */
static mv_status read_limits(const cJSON *json, mv_preprocessor *pp, mv_error *err) {
  static const char *const keys[2][2] = {{"shortest_edge", "min_pixels"},
                                         {"longest_edge", "max_pixels"}};
  int64_t *const limit[2] = {&pp->min_pixels, &pp->max_pixels};
  const cJSON *size = given(json, "size");
  if (size && !cJSON_IsObject(size)) return mv_fail(err, MV_ERR_FORMAT, "size: expected an object");
  for (int i = 0; i < 2; i++) {
    if (size && !given(json, keys[i][1]) && !given(size, keys[i][0]) && !given(size, keys[i][1]))
      return mv_fail(err, MV_ERR_FORMAT, "size: expected \"shortest_edge\" and \"longest_edge\"");
    if (size) MV_TRY(read_int(size, keys[i][1], 1, MV_IMAGE_MAX_PIXELS, limit[i], err));
    if (size) MV_TRY(read_int(size, keys[i][0], 1, MV_IMAGE_MAX_PIXELS, limit[i], err));
    MV_TRY(read_int(json, keys[i][1], 1, MV_IMAGE_MAX_PIXELS, limit[i], err));
  }
  if (pp->min_pixels <= pp->max_pixels) return MV_OK;
  return mv_fail(err, MV_ERR_FORMAT, "min_pixels %lld is above max_pixels %lld",
                 (long long)pp->min_pixels, (long long)pp->max_pixels);
}

static mv_status refuse_switches(const cJSON *json, mv_error *err) {
  static const struct {
    const char *key;
    int expected;
  } switches[] = {{"do_resize", 1},      {"do_rescale", 1},     {"do_normalize", 1},
                  {"do_convert_rgb", 1}, {"do_center_crop", 0}, {"do_pad", 0}};
  for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
    const cJSON *item = given(json, switches[i].key);
    if (item && !(switches[i].expected ? cJSON_IsTrue(item) : cJSON_IsFalse(item)))
      return mv_fail(err, MV_ERR_UNSUPPORTED, "%s: only %s is supported", switches[i].key,
                     switches[i].expected ? "true" : "false");
  }
  const cJSON *factor = given(json, "rescale_factor");
  if (factor && !(cJSON_IsNumber(factor) && 1.0 / factor->valuedouble == 255.0))
    return mv_fail(err, MV_ERR_UNSUPPORTED, "rescale_factor: only 1/255 is supported");
  const cJSON *resample = given(json, "resample");
  if (resample && !(cJSON_IsNumber(resample) && resample->valuedouble == 3))
    return mv_fail(err, MV_ERR_UNSUPPORTED, "resample: only 3 (bicubic) is supported");
  return MV_OK;
}

static mv_status check_type(const cJSON *json, mv_error *err) {
  const cJSON *type = given(json, "image_processor_type");
  if (!type) return MV_OK;
  const char *name = cJSON_IsString(type) ? type->valuestring : "(not a string)";
  if (strncmp(name, "Qwen2VLImageProcessor", 21) == 0 ||
      strncmp(name, "Qwen2_5_VLImageProcessor", 24) == 0)
    return MV_OK;
  return mv_fail(err, MV_ERR_UNSUPPORTED,
                 "image_processor_type: expected Qwen2VLImageProcessor, file has %.60s", name);
}

static mv_status read_config(const cJSON *json, mv_preprocessor *pp, mv_error *err) {
  mv_preprocessor_default(pp);
  pp->max_pixels = CLASS_MAX_PIXELS;
  MV_TRY(check_type(json, err));
  MV_TRY(refuse_switches(json, err));
  MV_TRY(read_side(json, "patch_size", 256, &pp->patch, err));
  MV_TRY(read_side(json, "temporal_patch_size", 16, &pp->temporal, err));
  MV_TRY(read_side(json, "merge_size", 16, &pp->merge, err));
  MV_TRY(read_channels(json, "image_mean", 0, pp->mean, err));
  MV_TRY(read_channels(json, "image_std", 1, pp->std, err));
  return read_limits(json, pp, err);
}

/* cJSON says neither where nor why it failed; that JSON which is right needs memory to be read. */
static mv_status explain(mv_str text, mv_error *err) {
  mv_json_doc doc = {0};
  mv_status status = mv_json_parse(&doc, text, err);
  if (status == MV_ERR_FORMAT) mv_error_prefix(err, "expected a JSON object");
  if (status != MV_OK) return status;
  int is_object = mv_json_is(doc.root, MV_JSON_OBJECT);
  mv_json_doc_free(&doc);
  return is_object ? mv_fail(err, MV_ERR_MEMORY, "out of memory")
                   : mv_fail(err, MV_ERR_FORMAT, "expected a JSON object");
}

/* `section` NULL: the whole object. Sets *found to 0 when the section is not there. */
static mv_status parse(mv_str text, const char *section, mv_preprocessor *pp, int *found,
                       mv_error *err) {
  *found = 1;
  cJSON *json = cJSON_ParseWithLength(text.ptr ? text.ptr : "", text.len);
  mv_status status = MV_OK;
  if (!cJSON_IsObject(json)) {
    status = explain(text, err);
  } else {
    const cJSON *part = section ? given(json, section) : json;
    *found = part != NULL;
    if (part && !cJSON_IsObject(part))
      status = mv_fail(err, MV_ERR_FORMAT, "%s: expected an object", section);
    else if (part)
      status = read_config(part, pp, err);
  }
  cJSON_Delete(json);
  return status;
}

mv_status mv_preprocessor_parse(const char *name, mv_str json, mv_preprocessor *pp, mv_error *err) {
  int found;
  mv_status status = parse(json, NULL, pp, &found, err);
  if (status != MV_OK) mv_error_prefix(err, "%s", name);
  return status;
}

/* *found stays 0 when the file, or the section in it, is not there. */
static mv_status load(const char *dir, const char *name, const char *section, mv_preprocessor *pp,
                      int *found, mv_error *err) {
  char *path = mv_path_join(dir, name);
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory reading %s", name);
  mv_buf text = {0};
  mv_status status = MV_OK;
  if (mv_file_exists(path)) {
    status = mv_file_read(path, MAX_CONFIG_BYTES, &text, err);
    if (status == MV_OK) {
      status = parse(mv_buf_view(&text), section, pp, found, err);
      if (status != MV_OK) mv_error_prefix(err, "%s", path);
    }
  }
  mv_buf_free(&text);
  mv_free(path);
  return status;
}

mv_status mv_preprocessor_load(const char *dir, mv_preprocessor *pp, mv_error *err) {
  int found = 0;
  mv_preprocessor_default(pp);
  MV_TRY(load(dir, "preprocessor_config.json", NULL, pp, &found, err));
  if (found) return MV_OK;
  return load(dir, "processor_config.json", "image_processor", pp, &found, err);
}
