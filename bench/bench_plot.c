/* medvision bench plot: results as SVG. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/options.h"
#include "bench/plot.h"
#include "runtime/file.h"
#include "runtime/memory.h"

#define MAX_FILES 64
#define MAX_FILE_BYTES ((size_t)64 << 20)

typedef struct plot_options {
  const char *files[MAX_FILES];
  const char *out;
  int n_file, help;
} plot_options;

typedef struct plot {
  const plot_options *o;
  bench_rows files[MAX_FILES]; /* owns */
  const mv_json **rows;        /* owns: those of all files, documents of kernels left out */
  int n, n_written;
} plot;

static const char help_text[] =
    "usage: medvision bench plot [--out DIR] FILE...\n"
    "\n"
    "Draws what the other benchmarks wrote with --json:\n"
    "\n"
    "  roofline-DEVICE.svg     every operation (kernels)\n"
    "  latency-throughput.svg  time to first token and per token over tokens a second\n"
    "                          (latency --batch-size 1,2,4,8; serve at several rates)\n"
    "  stages.svg              where a request's time goes (latency, throughput)\n"
    "\n"
    "  --out DIR  where to write them (.)\n";

static int parse(int argc, char **argv, plot_options *o) {
  *o = (plot_options){.out = "."};
  const bench_option options[] = {{"--out", BENCH_TEXT(&o->out)},
                                  {"--help", BENCH_FLAG(&o->help)},
                                  {"-h", BENCH_FLAG(&o->help)}};
  bench_arguments a = {.name = "plot",
                       .options = options,
                       .n_option = sizeof options / sizeof *options,
                       .operands = o->files,
                       .max_operand = MAX_FILES};
  int code = bench_parse(&a, argc, argv);
  o->n_file = a.n_operand;
  return code;
}

static mv_status write_picture(plot *p, const char *name, const mv_buf *svg, mv_error *err) {
  char *path = mv_path_join(p->o->out, name);
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  mv_status status = mv_buf_status(svg, err);
  if (status == MV_OK) status = mv_dir_make(p->o->out, err);
  if (status == MV_OK) status = mv_file_write(path, svg->ptr, svg->len, err);
  if (status == MV_OK) puts(path);
  p->n_written++;
  mv_free(path);
  return status;
}

/* "roofline-cuda0.svg": the letters and digits of the device's name. */
static void roofline_name(const bench_rows *rows, char *out, size_t size) {
  const mv_json *device = mv_json_get(rows->machine, "device");
  char word[40];
  size_t n = 0;
  for (size_t i = 0; mv_json_is(device, MV_JSON_STRING) && i < device->text.len; i++)
    if (isalnum((unsigned char)device->text.ptr[i]) && n + 1 < sizeof word)
      word[n++] = device->text.ptr[i];
  word[n] = 0;
  snprintf(out, size, "roofline-%s.svg", n ? word : "unknown");
}

static mv_status draw_roofline(plot *p, const bench_rows *rows, mv_error *err) {
  mv_buf svg = {0};
  char name[80];
  mv_status status = MV_OK;
  roofline_name(rows, name, sizeof name);
  if (bench_plot_roofline(&svg, rows)) status = write_picture(p, name, &svg, err);
  mv_buf_free(&svg);
  return status;
}

static mv_status draw_all(plot *p, mv_error *err) {
  mv_buf svg = {0};
  mv_status status = MV_OK;
  for (int i = 0; i < p->o->n_file; i++)
    if (p->files[i].machine) MV_TRY(draw_roofline(p, &p->files[i], err));
  if (bench_plot_curve(&svg, p->rows, p->n))
    status = write_picture(p, "latency-throughput.svg", &svg, err);
  mv_buf_clear(&svg);
  if (status == MV_OK && bench_plot_stages(&svg, p->rows, p->n))
    status = write_picture(p, "stages.svg", &svg, err);
  mv_buf_free(&svg);
  if (status == MV_OK && !p->n_written)
    return mv_fail(err, MV_ERR_FORMAT, "nothing in these files can be drawn");
  return status;
}

static mv_status read_file(bench_rows *rows, const char *path, mv_error *err) {
  mv_buf file = {0};
  MV_TRY(mv_file_read(path, MAX_FILE_BYTES, &file, err));
  mv_status status = bench_rows_parse(rows, mv_buf_view(&file), err);
  mv_buf_free(&file);
  return status == MV_OK ? status : mv_error_prefix(err, "%s", path);
}

static mv_status read_all(plot *p, mv_error *err) {
  int n = 0;
  for (int i = 0; i < p->o->n_file; i++) {
    MV_TRY(read_file(&p->files[i], p->o->files[i], err));
    n += p->files[i].n;
  }
  p->rows = mv_calloc((size_t)n, sizeof *p->rows);
  if (!p->rows) return mv_fail(err, MV_ERR_MEMORY, "no memory for %d results", n);
  for (int i = 0; i < p->o->n_file; i++)
    for (int k = 0; k < p->files[i].n && !p->files[i].machine; k++)
      p->rows[p->n++] = p->files[i].rows[k];
  return MV_OK;
}

int mv_bench_plot_main(int argc, char **argv, const char *default_model) {
  plot_options o;
  mv_error err = {0};
  int code = parse(argc, argv, &o);
  (void)default_model;
  if (code) return code;
  if (o.help) {
    fputs(help_text, stdout);
    return 0;
  }
  plot p = {.o = &o};
  mv_status status =
      o.n_file ? read_all(&p, &err) : mv_fail(&err, MV_ERR_USAGE, "which files? (see --help)");
  if (status == MV_OK) status = draw_all(&p, &err);
  if (status != MV_OK) code = bench_failed("plot", &err);
  for (int i = 0; i < o.n_file; i++) bench_rows_free(&p.files[i]);
  mv_free(p.rows);
  return code;
}
