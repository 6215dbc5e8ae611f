#include "weights/safetensors_write.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "runtime/text.h"

#define HEADER_ALIGN 8 /* so that the first tensor's address suits every element size */

static mv_status tensor_bytes(const mv_st_source *t, size_t *out, mv_error *err) {
  size_t n = mv_st_dtype_bytes(t->dtype);
  if (t->n_dim < 0 || t->n_dim > MV_ST_MAX_DIMS)
    return mv_fail(err, MV_ERR_USAGE, "tensor %s: %d dimensions", t->name, t->n_dim);
  for (int i = 0; i < t->n_dim; i++) {
    if (t->shape[i] < 0 || !mv_mul_size(n, (size_t)t->shape[i], &n))
      return mv_fail(err, MV_ERR_USAGE, "tensor %s: bad dimension %" PRId64, t->name, t->shape[i]);
  }
  *out = n;
  return MV_OK;
}

static void add_json_string(mv_buf *out, const char *text) {
  mv_buf_char(out, '"');
  for (const char *c = text; *c; c++) {
    if (*c == '"' || *c == '\\') mv_buf_char(out, '\\');
    if ((unsigned char)*c < 0x20)
      mv_buf_printf(out, "\\u%04x", *c);
    else
      mv_buf_char(out, *c);
  }
  mv_buf_char(out, '"');
}

static mv_status check_name(const mv_st_source *tensors, size_t i, mv_error *err) {
  const char *name = tensors[i].name;
  size_t n = strlen(name);
  if (n == 0 || mv_utf8_check(name, n) != n || strcmp(name, "__metadata__") == 0)
    return mv_fail(err, MV_ERR_USAGE, "tensor %zu has no usable name", i);
  for (size_t j = 0; j < i; j++) {
    if (strcmp(tensors[j].name, name) == 0)
      return mv_fail(err, MV_ERR_USAGE, "tensor %s given twice", name);
  }
  return MV_OK;
}

/* Appends the header's JSON, padded with spaces. */
static mv_status build_header(mv_buf *out, const mv_st_source *tensors, size_t n, mv_error *err) {
  size_t at = 0;
  mv_buf_char(out, '{');
  for (size_t i = 0; i < n; i++) {
    size_t n_bytes, end;
    MV_TRY(check_name(tensors, i, err));
    MV_TRY(tensor_bytes(&tensors[i], &n_bytes, err));
    if (!mv_add_size(at, n_bytes, &end) || end >= (uint64_t)1 << 53)
      return mv_fail(err, MV_ERR_USAGE, "tensor %s: the file would be too large", tensors[i].name);
    if (i) mv_buf_char(out, ',');
    add_json_string(out, tensors[i].name);
    mv_buf_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", mv_st_dtype_name(tensors[i].dtype));
    for (int d = 0; d < tensors[i].n_dim; d++)
      mv_buf_printf(out, "%s%" PRId64, d ? "," : "", tensors[i].shape[d]);
    mv_buf_printf(out, "],\"data_offsets\":[%zu,%zu]}", at, end);
    at = end;
  }
  mv_buf_char(out, '}');
  while (out->len % HEADER_ALIGN && !out->failed) mv_buf_char(out, ' ');
  return mv_buf_status(out, err);
}

static void write_all(FILE *f, const mv_buf *header, const mv_st_source *tensors, size_t n) {
  unsigned char length[8];
  for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header->len >> (8 * i));
  fwrite(length, 1, sizeof length, f);
  fwrite(header->ptr, 1, header->len, f);
  for (size_t i = 0; i < n && !ferror(f); i++) {
    size_t n_bytes;
    if (tensor_bytes(&tensors[i], &n_bytes, NULL) == MV_OK && n_bytes)
      fwrite(tensors[i].data, 1, n_bytes, f);
  }
}

mv_status mv_safetensors_write(const char *path, const mv_st_source *tensors, size_t n,
                               mv_error *err) {
  mv_buf header = {0};
  mv_status status = build_header(&header, tensors, n, err);
  if (status == MV_OK) {
    mv_outfile out;
    status = mv_outfile_open(&out, path, err);
    if (status == MV_OK) {
      write_all(out.stream, &header, tensors, n);
      status = mv_outfile_commit(&out, err); /* reports any write that failed */
    }
  }
  mv_buf_free(&header);
  return status;
}
