#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/file.h"
#include "tests/check_main.h"
#include "tests/weights/files.h"
#include "weights/safetensors.h"
#include "weights/safetensors_write.h"

static mv_error err;

static mv_status open_image(const char *header, size_t n_data) {
  size_t n;
  unsigned char *image = safetensors_image(header, n_data, &n);
  mv_safetensors *set;
  memset(&err, 0, sizeof err);
  mv_status status = mv_safetensors_open_memory(&set, image, n, "image", &err);
  ck_assert_int_eq(status == MV_OK, set != NULL);
  mv_safetensors_close(set);
  free(image);
  return status;
}

#define ck_assert_refused(header, n_data, status, words)                        \
  do {                                                                          \
    ck_assert_int_eq(open_image(header, n_data), status);                       \
    ck_assert_msg(strstr(err.msg, words), "\"%s\" not in: %s", words, err.msg); \
  } while (0)

START_TEST(reads_names_shapes_types_and_bytes) {
  static const char header[] =
      "{\"__metadata__\":{\"format\":\"pt\"},"
      "\"b.weight\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
      "\"empty\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[16,16]}}   ";
  size_t n;
  unsigned char *image = safetensors_image(header, 16, &n);
  mv_safetensors *set;
  ck_assert_int_eq(mv_safetensors_open_memory(&set, image, n, "image", &err), MV_OK);
  ck_assert_uint_eq(mv_safetensors_count(set), 3);
  ck_assert_uint_eq(mv_safetensors_bytes(set), n);
  const mv_st_tensor *a = mv_safetensors_find(set, "a");
  const mv_st_tensor *b = mv_safetensors_find(set, "b.weight");
  ck_assert_ptr_eq(mv_safetensors_at(set, 0), a);
  ck_assert_int_eq(a->n_dim, 0);
  ck_assert_int_eq(a->n_elem, 1);
  ck_assert_int_eq(b->dtype, MV_ST_BF16);
  ck_assert_int_eq(b->shape[0], 2);
  ck_assert_int_eq(b->shape[1], 3);
  ck_assert_int_eq(((const unsigned char *)b->data)[0], 4);
  ck_assert_int_eq(mv_safetensors_find(set, "empty")->n_elem, 0);
  ck_assert_ptr_null(mv_safetensors_find(set, "b"));
  ck_assert_ptr_null(mv_safetensors_find(set, "__metadata__"));
  mv_safetensors_close(set);
  free(image);
}
END_TEST

START_TEST(flags_a_tensor_that_is_not_aligned) {
  for (size_t pad = 0; pad < 8; pad++) {
    char header[256];
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}%*s", (int)pad, "");
    size_t n;
    unsigned char *image = safetensors_image(header, 4, &n);
    mv_safetensors *set;
    ck_assert_int_eq(mv_safetensors_open_memory(&set, image, n, "image", &err), MV_OK);
    const mv_st_tensor *t = mv_safetensors_at(set, 0);
    ck_assert_int_eq(t->aligned, (uintptr_t)t->data % 4 == 0);
    ck_assert_int_eq(t->aligned, strlen(header) % 4 == 0);
    mv_safetensors_close(set);
    free(image);
  }
}
END_TEST

START_TEST(refuses_a_wrong_length_field) {
  static const unsigned char bytes[] = "\xff\xff\xff\xff\xff\xff\xff\xff{}";
  mv_safetensors *set;
  for (size_t n = 0; n < 8; n++)
    ck_assert_int_eq(mv_safetensors_open_memory(&set, bytes, n, "image", &err), MV_ERR_FORMAT);
  ck_assert_int_eq(mv_safetensors_open_memory(&set, bytes, 10, "image", &err), MV_ERR_FORMAT);
  ck_assert(strstr(err.msg, "exceeds the format's limit"));
  ck_assert_int_eq(mv_safetensors_open_memory(&set, "\3\0\0\0\0\0\0\0{}", 10, "image", &err),
                   MV_ERR_FORMAT);
  ck_assert(strstr(err.msg, "longer than the file"));
  ck_assert_int_eq(mv_safetensors_open_memory(&set, "\0\0\0\0\0\0\0\0{}", 10, "image", &err),
                   MV_ERR_FORMAT);
}
END_TEST

START_TEST(refuses_every_truncation) {
  static const char header[] =
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}";
  size_t n;
  unsigned char *image = safetensors_image(header, 16, &n);
  mv_safetensors *set;
  for (size_t cut = 0; cut < n; cut++) {
    unsigned char *copy = malloc(cut ? cut : 1); /* so that a read past the cut is seen */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, image, cut);
    ck_assert_int_eq(mv_safetensors_open_memory(&set, copy, cut, "image", &err), MV_ERR_FORMAT);
    free(copy);
  }
  ck_assert_int_eq(mv_safetensors_open_memory(&set, image, n, "image", &err), MV_OK);
  mv_safetensors_close(set);
  free(image);
}
END_TEST

#define T(name, dtype, shape, offsets) \
  "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

START_TEST(refuses_offsets_that_lie) {
  ck_assert_refused("{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[1]", "[4,8]") "}", 8,
                    MV_ERR_FORMAT, "overlap");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[8,12]") "}", 12,
                    MV_ERR_FORMAT, "hole of 4 bytes");
  ck_assert_refused("{" T("a", "F32", "[1]", "[4,8]") "}", 8, MV_ERR_FORMAT, "hole");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0,4]") "}", 9, MV_ERR_FORMAT,
                    "5 bytes after the last tensor");
  ck_assert_refused("{" T("a", "F32", "[2]", "[0,8]") "}", 7, MV_ERR_FORMAT, "ends at byte 8 of 7");
  ck_assert_refused("{" T("a", "F32", "[2]", "[8,0]") "}", 8, MV_ERR_FORMAT, "begin <= end");
  ck_assert_refused("{" T("a", "F32", "[1]", "[-4,0]") "}", 8, MV_ERR_FORMAT, "begin <= end");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0.5,4.5]") "}", 8, MV_ERR_FORMAT, "two integers");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0]") "}", 4, MV_ERR_FORMAT, "two integers");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0,4,8]") "}", 4, MV_ERR_FORMAT, "two integers");
  ck_assert_refused("{" T("a", "F32", "[1]", "\"0,4\"") "}", 4, MV_ERR_FORMAT, "two integers");
  ck_assert_refused("{" T("a", "F32", "[1]", "[9007199254740992,9007199254740996]") "}", 4,
                    MV_ERR_FORMAT, "two integers");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0,1e999]") "}", 4, MV_ERR_FORMAT, "two integers");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0,18446744073709551620]") "}", 4, MV_ERR_FORMAT,
                    "two integers");
}
END_TEST

START_TEST(refuses_shapes_that_lie) {
  ck_assert_refused("{" T("a", "F32", "[3]", "[0,8]") "}", 8, MV_ERR_FORMAT, "need 12 bytes");
  ck_assert_refused("{" T("a", "F16", "[2]", "[0,8]") "}", 8, MV_ERR_FORMAT, "need 4 bytes");
  ck_assert_refused("{" T("a", "F32", "[-1]", "[0,4]") "}", 4, MV_ERR_FORMAT, "non-negative");
  ck_assert_refused("{" T("a", "F32", "[1.5]", "[0,4]") "}", 4, MV_ERR_FORMAT, "non-negative");
  ck_assert_refused("{" T("a", "F32", "[\"1\"]", "[0,4]") "}", 4, MV_ERR_FORMAT, "non-negative");
  ck_assert_refused("{" T("a", "F32", "4", "[0,4]") "}", 4, MV_ERR_FORMAT, "must be a list");
  ck_assert_refused("{" T("a", "F32", "[NaN]", "[0,4]") "}", 4, MV_ERR_FORMAT, "not valid JSON");
  ck_assert_refused("{" T("a", "F32", "[4294967296,4294967296]", "[0,0]") "}", 0, MV_ERR_FORMAT,
                    "overflows");
  ck_assert_refused("{" T("a", "F32", "[4503599627370496,4096]", "[0,0]") "}", 0, MV_ERR_FORMAT,
                    "overflows");
  ck_assert_refused("{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, MV_ERR_FORMAT,
                    "more than 8");
  ck_assert_refused("{" T("a", "F32", "[9007199254740993]", "[0,4]") "}", 4, MV_ERR_FORMAT,
                    "non-negative");
}
END_TEST

START_TEST(refuses_headers_of_another_form) {
  ck_assert_refused("[]", 0, MV_ERR_FORMAT, "does not begin with '{'");
  ck_assert_refused(" {}", 0, MV_ERR_FORMAT, "does not begin with '{'");
  ck_assert_refused("{}", 0, MV_ERR_FORMAT, "no tensors");
  ck_assert_refused("{\"__metadata__\":{}}", 0, MV_ERR_FORMAT, "no tensors");
  ck_assert_refused("{\"a\":1}", 0, MV_ERR_FORMAT, "expected an object");
  ck_assert_refused("{\"a\":{}}", 0, MV_ERR_FORMAT, "\"dtype\"");
  ck_assert_refused("{\"a\":null}", 0, MV_ERR_FORMAT, "expected an object");
  ck_assert_refused("{" T("a", "F31", "[1]", "[0,4]") "}", 4, MV_ERR_UNSUPPORTED, "\"F31\"");
  ck_assert_refused("{" T("", "F32", "[1]", "[0,4]") "}", 4, MV_ERR_FORMAT, "name");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0,4]") "} x", 4, MV_ERR_FORMAT, "after the JSON");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0,4]") "}{}", 4, MV_ERR_FORMAT, "after the JSON");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0,4]"), 4, MV_ERR_FORMAT, "not valid JSON");
  ck_assert_refused("{" T("a", "F32", "[1]", "[0,4]") "," T("a", "F32", "[1]", "[0,4]") "}", 4,
                    MV_ERR_FORMAT, "\"a\" occurs twice");
  ck_assert_refused("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, MV_ERR_FORMAT,
                    "\"dtype\" occurs twice");
}
END_TEST

START_TEST(refuses_text_that_is_not_clean) {
  ck_assert_refused("{\"a\xff\":1}", 0, MV_ERR_FORMAT, "not valid UTF-8 at byte 3");
  ck_assert_refused("{\"a\xc0\x80\":1}", 0, MV_ERR_FORMAT, "not valid UTF-8");
  ck_assert_refused("{\"a\xed\xa0\x80\":1}", 0, MV_ERR_FORMAT, "not valid UTF-8");
  ck_assert_refused("{\"a\\u0000b\":1}", 0, MV_ERR_FORMAT, "U+0000");
  ck_assert_refused("{\"a\nb\":1}", 0, MV_ERR_FORMAT, "control character");
  ck_assert_refused("{\"a", 0, MV_ERR_FORMAT, "unterminated");
  ck_assert_refused("{\"a\\", 0, MV_ERR_FORMAT, "unterminated");
  ck_assert_refused("{}}", 0, MV_ERR_FORMAT, "closing bracket");
}
END_TEST

START_TEST(refuses_bombs_before_allocating) {
  char *deep = malloc(200001);
  ck_assert_ptr_nonnull(deep);
  memset(deep, '[', 200000);
  memcpy(deep, "{\"a\":", 5);
  deep[200000] = 0;
  ck_assert_refused(deep, 0, MV_ERR_FORMAT, "nested too deeply");
  free(deep);
  size_t n = 3u << 20;
  char *wide = malloc(n + 1);
  ck_assert_ptr_nonnull(wide);
  for (size_t i = 0; i < n; i++) wide[i] = i % 2 ? ',' : '1';
  memcpy(wide, "{\"a\":[", 6);
  wide[n] = 0;
  ck_assert_refused(wide, 0, MV_ERR_FORMAT, "too many values");
  free(wide);
}
END_TEST

/* ---- writing ------------------------------------------------------------------------------ */

START_TEST(what_is_written_is_read_again) {
  static const float f[6] = {0, 1, -2, 3.5f, 1e30f, -0.0f};
  static const int64_t ids[2] = {1, -1};
  static const int32_t one = 42;
  static const uint16_t half[3] = {1, 2, 3};
  const mv_st_source list[] = {
      {"ids", MV_ST_I64, 1, {2}, ids},     {"x.\"quoted\"\\\t\xc3\xa9", MV_ST_F32, 2, {2, 3}, f},
      {"scalar", MV_ST_I32, 0, {0}, &one}, {"none", MV_ST_BF16, 2, {0, 5}, NULL},
      {"half", MV_ST_F16, 1, {3}, half},
  };
  temp_dir dir = temp_make();
  const char *path = temp_path(&dir, "out.safetensors");
  ck_assert_int_eq(mv_safetensors_write(path, list, 5, &err), MV_OK);
  mv_safetensors *set;
  ck_assert_msg(mv_safetensors_open(&set, path, &err) == MV_OK, "%s", err.msg);
  ck_assert_uint_eq(mv_safetensors_count(set), 5);
  for (size_t i = 0; i < 5; i++) {
    const mv_st_tensor *t = mv_safetensors_find(set, list[i].name);
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(t->dtype, list[i].dtype);
    ck_assert_int_eq(t->n_dim, list[i].n_dim);
    ck_assert_int_eq(t->aligned, 1);
    for (int d = 0; d < t->n_dim; d++) ck_assert_int_eq(t->shape[d], list[i].shape[d]);
    if (t->n_bytes) ck_assert_mem_eq(t->data, list[i].data, t->n_bytes);
  }
  mv_safetensors_close(set);
  temp_remove(&dir);
}
END_TEST

START_TEST(refuses_to_write_nonsense) {
  static const float f = 1;
  const mv_st_source twice[] = {{"a", MV_ST_F32, 1, {1}, &f}, {"a", MV_ST_F32, 1, {1}, &f}};
  const mv_st_source negative = {"a", MV_ST_F32, 1, {-1}, &f};
  const mv_st_source huge = {"a", MV_ST_F32, 3, {1 << 30, 1 << 30, 1 << 30}, &f};
  const mv_st_source reserved = {"__metadata__", MV_ST_F32, 1, {1}, &f};
  const mv_st_source bad_utf8 = {"\xff", MV_ST_F32, 1, {1}, &f};
  temp_dir dir = temp_make();
  const char *path = temp_path(&dir, "out.safetensors");
  ck_assert_int_eq(mv_safetensors_write(path, twice, 2, &err), MV_ERR_USAGE);
  ck_assert_int_eq(mv_safetensors_write(path, &negative, 1, &err), MV_ERR_USAGE);
  ck_assert_int_eq(mv_safetensors_write(path, &huge, 1, &err), MV_ERR_USAGE);
  ck_assert_int_eq(mv_safetensors_write(path, &reserved, 1, &err), MV_ERR_USAGE);
  ck_assert_int_eq(mv_safetensors_write(path, &bad_utf8, 1, &err), MV_ERR_USAGE);
  ck_assert(!mv_file_exists(path));
  ck_assert_int_eq(mv_safetensors_write("/nonexistent/x.safetensors", twice, 1, &err), MV_ERR_IO);
  temp_remove(&dir);
}
END_TEST

START_TEST(a_full_disk_is_reported) {
  if (!mv_file_exists("/dev/full")) return;
  /* The temporary is a link to /dev/full: the write fails as on a full disk. */
  temp_dir dir = temp_make();
  char path[128], temp[192];
  snprintf(path, sizeof path, "%s/out.safetensors", dir.path);
  snprintf(temp, sizeof temp, "%s.tmp.%ld", path, (long)getpid());
  ck_assert_int_eq(symlink("/dev/full", temp), 0);
  float *data = calloc(1 << 16, sizeof *data);
  ck_assert_ptr_nonnull(data);
  const mv_st_source t = {"a", MV_ST_F32, 1, {1 << 16}, data};
  ck_assert_int_eq(mv_safetensors_write(path, &t, 1, &err), MV_ERR_IO);
  ck_assert(!mv_file_exists(path));
  free(data);
  temp_remove(&dir);
}
END_TEST

/* ---- shards ------------------------------------------------------------------------------- */

static const char shard_a[] = "{" T("a", "F32", "[1]", "[0,4]") "}";
static const char shard_b[] = "{" T("b", "F32", "[1]", "[0,4]") "}";

static void put_shard(const temp_dir *dir, const char *name, const char *header) {
  size_t n;
  unsigned char *image = safetensors_image(header, 4, &n);
  temp_write(dir, name, image, n);
  free(image);
}

static mv_status open_shards(const temp_dir *dir, const char *index, size_t n_tensors) {
  mv_safetensors *set;
  memset(&err, 0, sizeof err);
  temp_text(dir, "model.safetensors.index.json", index);
  mv_status status = mv_safetensors_open_dir(&set, dir->path, &err);
  if (status == MV_OK) ck_assert_uint_eq(mv_safetensors_count(set), n_tensors);
  mv_safetensors_close(set);
  return status;
}

START_TEST(reads_shards_through_the_index) {
  temp_dir dir = temp_make();
  put_shard(&dir, "m1.safetensors", shard_a);
  put_shard(&dir, "m2.safetensors", shard_b);
  ck_assert_int_eq(open_shards(&dir,
                               "{\"metadata\":{\"total_size\":8},\"weight_map\":{\"a\":\"m1."
                               "safetensors\",\"b\":\"m2.safetensors\"}}",
                               2),
                   MV_OK);
  temp_remove(&dir);
}
END_TEST

START_TEST(a_single_file_goes_before_an_index) {
  temp_dir dir = temp_make();
  put_shard(&dir, "model.safetensors", shard_a);
  ck_assert_int_eq(open_shards(&dir, "not even JSON", 1), MV_OK);
  temp_remove(&dir);
}
END_TEST

START_TEST(names_all_missing_shards_at_once) {
  temp_dir dir = temp_make();
  put_shard(&dir, "m2", shard_b);
  ck_assert_int_eq(
      open_shards(&dir, "{\"weight_map\":{\"a\":\"m1\",\"b\":\"m2\",\"c\":\"m3\",\"d\":\"m1\"}}",
                  0),
      MV_ERR_FORMAT);
  ck_assert_msg(strstr(err.msg, "missing shards: m1, m3 ("), "%s", err.msg);
  temp_remove(&dir);
}
END_TEST

START_TEST(refuses_an_index_that_disagrees_with_its_shards) {
  temp_dir dir = temp_make();
  put_shard(&dir, "m1", shard_a);
  put_shard(&dir, "m2", shard_b);
  put_shard(&dir, "m3", shard_a);
  ck_assert_int_eq(open_shards(&dir, "{\"weight_map\":{\"a\":\"m1\",\"c\":\"m2\"}}", 0),
                   MV_ERR_FORMAT);
  ck_assert_msg(strstr(err.msg, "not in the shard the index names: c ("), "%s", err.msg);
  ck_assert_int_eq(open_shards(&dir, "{\"weight_map\":{\"a\":\"m2\",\"b\":\"m1\"}}", 0),
                   MV_ERR_FORMAT);
  ck_assert_msg(strstr(err.msg, "a, b"), "%s", err.msg);
  ck_assert_int_eq(
      open_shards(&dir, "{\"weight_map\":{\"a\":\"m1\",\"b\":\"m2\",\"d\":\"m3\"}}", 0),
      MV_ERR_FORMAT);
  ck_assert_msg(strstr(err.msg, "is in both"), "%s", err.msg);
  temp_remove(&dir);
}
END_TEST

START_TEST(refuses_tensors_the_index_does_not_list) {
  temp_dir dir = temp_make();
  size_t n;
  unsigned char *image = safetensors_image(
      "{" T("a", "F32", "[1]", "[0,4]") "," T("z", "F32", "[1]", "[4,8]") "}", 8, &n);
  temp_write(&dir, "m1", image, n);
  ck_assert_int_eq(open_shards(&dir, "{\"weight_map\":{\"a\":\"m1\"}}", 0), MV_ERR_FORMAT);
  ck_assert_msg(strstr(err.msg, "not in the index: z"), "%s", err.msg);
  free(image);
  temp_remove(&dir);
}
END_TEST

START_TEST(an_index_cannot_reach_outside_its_folder) {
  static const char *const bad[] = {"\"../m1\"", "\"/etc/passwd\"", "\"..\"", "\".\"", "\"\"", "1",
                                    "null",      "[\"m1\"]"};
  temp_dir dir = temp_make();
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char index[128];
    snprintf(index, sizeof index, "{\"weight_map\":{\"a\":%s}}", bad[i]);
    ck_assert_int_eq(open_shards(&dir, index, 0), MV_ERR_FORMAT);
    ck_assert_msg(strstr(err.msg, "expected a file name"), "%s", err.msg);
  }
  ck_assert_int_eq(open_shards(&dir, "{\"weight_map\":{}}", 0), MV_ERR_FORMAT);
  ck_assert_int_eq(open_shards(&dir, "{}", 0), MV_ERR_FORMAT);
  ck_assert_int_eq(open_shards(&dir, "", 0), MV_ERR_FORMAT);
  temp_remove(&dir);
}
END_TEST

START_TEST(says_what_a_folder_lacks) {
  temp_dir dir = temp_make();
  mv_safetensors *set;
  ck_assert_int_eq(mv_safetensors_open_dir(&set, dir.path, &err), MV_ERR_IO);
  ck_assert(strstr(err.msg, "expected model.safetensors or model.safetensors.index.json"));
  ck_assert_int_eq(mv_safetensors_open(&set, temp_path(&dir, "no"), &err), MV_ERR_IO);
  ck_assert_int_eq(mv_safetensors_open(&set, dir.path, &err), MV_ERR_IO);
  temp_text(&dir, "model.safetensors", "");
  ck_assert_int_eq(mv_safetensors_open_dir(&set, dir.path, &err), MV_ERR_FORMAT);
  temp_remove(&dir);
}
END_TEST

static mv_status attempt_dir(void *user, mv_error *e) {
  mv_safetensors *set;
  mv_status status = mv_safetensors_open_dir(&set, user, e);
  mv_safetensors_close(set);
  return status;
}

static mv_status attempt_write(void *user, mv_error *e) {
  static const float f = 1;
  const mv_st_source t = {"a", MV_ST_F32, 1, {1}, &f};
  return mv_safetensors_write(user, &t, 1, e);
}

START_TEST(survives_every_failing_allocation) {
  temp_dir dir = temp_make();
  put_shard(&dir, "m1", shard_a);
  put_shard(&dir, "m2", shard_b);
  temp_text(&dir, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"m1\",\"b\":\"m2\"}}");
  ck_assert_int_gt(fail_each_allocation(attempt_dir, dir.path), 30);
  char path[128];
  snprintf(path, sizeof path, "%s/out", dir.path);
  ck_assert_int_gt(fail_each_allocation(attempt_write, path), 2);
  temp_remove(&dir);
}
END_TEST

static mv_status attempt_missing(void *user, mv_error *e) {
  mv_safetensors *set;
  mv_status status = mv_safetensors_open_dir(&set, user, e);
  return status == MV_ERR_FORMAT && strstr(e->msg, "missing shards") ? MV_OK : status;
}

START_TEST(survives_failing_allocations_while_reporting) {
  temp_dir dir = temp_make();
  temp_text(&dir, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"m1\",\"b\":\"m2\"}}");
  ck_assert_int_gt(fail_each_allocation(attempt_missing, dir.path), 10);
  temp_remove(&dir);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("safetensors");
  TCase *reading = tcase_create("reading");
  tcase_add_test(reading, reads_names_shapes_types_and_bytes);
  tcase_add_test(reading, flags_a_tensor_that_is_not_aligned);
  tcase_add_test(reading, refuses_a_wrong_length_field);
  tcase_add_test(reading, refuses_every_truncation);
  tcase_add_test(reading, refuses_offsets_that_lie);
  tcase_add_test(reading, refuses_shapes_that_lie);
  tcase_add_test(reading, refuses_headers_of_another_form);
  tcase_add_test(reading, refuses_text_that_is_not_clean);
  tcase_add_test(reading, refuses_bombs_before_allocating);
  TCase *writing = tcase_create("writing");
  tcase_add_test(writing, what_is_written_is_read_again);
  tcase_add_test(writing, refuses_to_write_nonsense);
  tcase_add_test(writing, a_full_disk_is_reported);
  TCase *shards = tcase_create("shards");
  tcase_add_test(shards, reads_shards_through_the_index);
  tcase_add_test(shards, a_single_file_goes_before_an_index);
  tcase_add_test(shards, names_all_missing_shards_at_once);
  tcase_add_test(shards, refuses_an_index_that_disagrees_with_its_shards);
  tcase_add_test(shards, refuses_tensors_the_index_does_not_list);
  tcase_add_test(shards, an_index_cannot_reach_outside_its_folder);
  tcase_add_test(shards, says_what_a_folder_lacks);
  TCase *memory = tcase_create("memory");
  tcase_set_timeout(memory, 60);
  tcase_add_test(memory, survives_every_failing_allocation);
  tcase_add_test(memory, survives_failing_allocations_while_reporting);
  suite_add_tcase(s, reading);
  suite_add_tcase(s, writing);
  suite_add_tcase(s, shards);
  suite_add_tcase(s, memory);
  return s;
}

MV_CHECK_MAIN(suite)
