/* medvision bench startup: from the start of a process to its first token.
 *
 * Starts this program again as `generate --max-new-tokens 1` and waits for the first byte it
 * writes. "warm": the model's files are in the page cache (a start before has read them). "cold":
 * the system was asked to forget them before each start, which it does where nobody else has them
 * mapped; how much stayed is told. The program itself stays cached.
 */
#define _DEFAULT_SOURCE /* mincore */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/compare.h"
#include "bench/options.h"
#include "bench/sample.h"
#include "runtime/clock.h"
#include "runtime/file.h"
#include "runtime/memory.h"

#define MAX_ARGUMENTS 24

extern char **environ;

typedef struct startup_options {
  const char *model, *device, *dtype, *image, *cache, *threads, *compare;
  int n_run, json, help, argc;
  char **argv;
} startup_options;

/* One state of the page cache. */
typedef struct startup {
  const char *cache;
  bench_sample startup; /* to the first byte */
  bench_sample end;     /* to the end of the process */
  double resident;      /* share of the files in the cache before the last start */
} startup;

static const char help_text[] =
    "usage: medvision bench startup [OPTION...]\n"
    "\n"
    "Starts this program anew and prints the time to its first token, in milliseconds.\n"
    "\n"
    "  --model DIR       checkpoint (the embedded one)\n"
    "  --page-cache HOW  warm, cold or both: whether the model's files are in memory (both)\n"
    "  --runs N          starts of each (5), after one that is not counted\n"
    "  --image FILE      ask about this picture\n"
    "  --device NAME     auto, cpu, cuda[:N];  --dtype auto, bf16, fp32;  --threads N\n"
    "  --compare FILE    exit 1 where a figure is worse than in that --json output by more than\n"
    "                    both runs' spread (bench/README.md)\n"
    "  --json            one JSON line for each state of the page cache\n";

static int parse(int argc, char **argv, startup_options *o) {
  *o = (startup_options){.device = "auto", .dtype = "auto", .cache = "both", .n_run = 5};
  const bench_option options[] = {{"--model", BENCH_TEXT(&o->model)},
                                  {"--device", BENCH_TEXT(&o->device)},
                                  {"--dtype", BENCH_TEXT(&o->dtype)},
                                  {"--threads", BENCH_TEXT(&o->threads)},
                                  {"--image", BENCH_TEXT(&o->image)},
                                  {"--page-cache", BENCH_TEXT(&o->cache)},
                                  {"--compare", BENCH_TEXT(&o->compare)},
                                  {"--runs", BENCH_COUNT(&o->n_run)},
                                  {"--json", BENCH_FLAG(&o->json)},
                                  {"--help", BENCH_FLAG(&o->help)},
                                  {"-h", BENCH_FLAG(&o->help)}};
  return bench_parse_options("startup", argc, argv, options, sizeof options / sizeof *options);
}

/* ---- the page cache ---- */

static double resident_pages(int fd, size_t size, double *n_page) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (size + page - 1) / page;
  unsigned char *present = mv_alloc(n);
  void *map = present && size ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
  double sum = 0;
  if (map != MAP_FAILED && mincore(map, size, present) == 0)
    for (size_t i = 0; i < n; i++) sum += present[i] & 1;
  if (map != MAP_FAILED) munmap(map, size);
  mv_free(present);
  *n_page += (double)n;
  return sum;
}

/* Forgets the model's weights where asked; returns the share of them that is in memory then. */
static double look_at_files(const char *dir, int forget) {
  glob_t found = {0};
  double n_page = 0, n_present = 0;
  char *pattern = mv_path_join(dir, "*.safetensors");
  if (!pattern || glob(pattern, 0, NULL, &found) != 0) found.gl_pathc = 0;
  for (size_t i = 0; i < found.gl_pathc; i++) {
    int fd = open(found.gl_pathv[i], O_RDONLY);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (size > 0 && forget) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (size > 0) n_present += resident_pages(fd, (size_t)size, &n_page);
    if (fd >= 0) close(fd);
  }
  if (found.gl_pathv) globfree(&found);
  mv_free(pattern);
  return n_page > 0 ? n_present / n_page : 0;
}

/* ---- one start ---- */

static void make_arguments(const startup_options *o, const char *out[MAX_ARGUMENTS]) {
  const char *fixed[] = {"medvision", "generate", "--quiet", "--max-new-tokens", "1",
                         "--prompt",  "Hello",    "--model", o->model,           "--device",
                         o->device,   "--dtype",  o->dtype,  "--ignore-eos"};
  int n = sizeof fixed / sizeof *fixed;
  memcpy(out, fixed, sizeof fixed);
  if (o->threads) out[n++] = "--threads", out[n++] = o->threads;
  if (o->image) out[n++] = "--image", out[n++] = o->image;
  out[n] = NULL;
}

static mv_status spawn(const startup_options *o, int out[2], pid_t *pid, mv_error *err) {
  const char *arguments[MAX_ARGUMENTS];
  posix_spawn_file_actions_t actions;
  make_arguments(o, arguments);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addclose(&actions, out[0]);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, out[1]);
  char **argv = (char **)(void *)arguments;
  int code = posix_spawn(pid, "/proc/self/exe", &actions, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  return code ? mv_fail(err, MV_ERR_IO, "cannot start this program again: %s", strerror(code))
              : MV_OK;
}

/* Times of the first byte and of the end of what comes out of `fd`. */
static double drain(int fd) {
  char bytes[4096];
  double first = 0;
  ssize_t n;
  while ((n = read(fd, bytes, sizeof bytes)) != 0) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    if (first == 0) first = mv_now_ms();
  }
  return first;
}

static mv_status start_once(const startup_options *o, startup *s, int counts, mv_error *err) {
  int out[2], state = 0;
  pid_t pid;
  if (pipe(out) != 0) return mv_fail(err, MV_ERR_IO, "no pipe: %s", strerror(errno));
  double start = mv_now_ms();
  mv_status status = spawn(o, out, &pid, err);
  close(out[1]);
  double first = status == MV_OK ? drain(out[0]) : 0;
  close(out[0]);
  if (status != MV_OK) return status;
  while (waitpid(pid, &state, 0) < 0 && errno == EINTR) continue;
  if (!WIFEXITED(state) || WEXITSTATUS(state) != 0 || first == 0)
    return mv_fail(err, MV_ERR_IO, "the program started to measure it failed");
  if (counts) bench_sample_add(&s->startup, first - start);
  if (counts) bench_sample_add(&s->end, mv_now_ms() - start);
  return MV_OK;
}

static mv_status measure(const startup_options *o, startup *s, mv_error *err) {
  int cold = strcmp(s->cache, "cold") == 0;
  for (int i = 0; i < o->n_run + !cold; i++) { /* the first warm one warms */
    s->resident = look_at_files(o->model, cold);
    MV_TRY(start_once(o, s, cold || i > 0, err));
  }
  MV_TRY(bench_samples_finish(&s->startup, 1, err));
  return bench_samples_finish(&s->end, 1, err);
}

/* ---- figures ---- */

static void write_json(mv_buf *out, const startup_options *o, const startup *s) {
  mv_json_writer writer = {.out = out}, *w = &writer;
  const char *slash = strrchr(o->model, '/');
  mv_json_begin_object(w);
  bench_json_text(w, "bench", "startup");
  bench_json_command(w, o->argc, o->argv);
  bench_json_text(w, "engine", "medvision");
  bench_json_text(w, "version", MV_VERSION);
  bench_json_text(w, "model", slash && slash[1] ? slash + 1 : o->model);
  bench_json_text(w, "device", o->device);
  bench_json_text(w, "dtype", o->dtype);
  bench_json_text(w, "page_cache", s->cache);
  bench_json_double(w, "resident_percent", 100 * s->resident);
  bench_json_int(w, "runs", s->startup.n);
  bench_sample_json(w, &s->startup);
  bench_sample_json(w, &s->end);
  mv_json_end_object(w);
  mv_buf_char(out, '\n');
}

static void print_table(const startup *s) {
  const bench_sample both[] = {s->startup, s->end};
  printf("page cache %s: %.0f %% of the model's weights in memory before a start, %d starts\n\n",
         s->cache, 100 * s->resident, s->startup.n);
  bench_samples_print(both, 2);
  putchar('\n');
}

static mv_status measure_all(const startup_options *o, mv_buf *json, mv_error *err) {
  static const char *const caches[] = {"warm", "cold"};
  int both = strcmp(o->cache, "both") == 0, n = 0;
  if (o->n_run < 1) return mv_fail(err, MV_ERR_USAGE, "--runs: expected 1 or more");
  for (int i = 0; i < 2; i++) {
    startup s = {caches[i], {.name = "startup"}, {.name = "exit"}, 0};
    if (!both && strcmp(o->cache, caches[i]) != 0) continue;
    n++;
    mv_status status = measure(o, &s, err);
    if (status == MV_OK) write_json(json, o, &s);
    if (status == MV_OK && !o->json) print_table(&s);
    bench_sample_free(&s.startup);
    bench_sample_free(&s.end);
    MV_TRY(status);
  }
  if (n) return MV_OK;
  return mv_fail(err, MV_ERR_USAGE, "--page-cache %s: expected warm, cold or both", o->cache);
}

int mv_bench_startup_main(int argc, char **argv, const char *default_model) {
  startup_options o;
  mv_buf json = {0};
  mv_error err = {0};
  int code = parse(argc, argv, &o);
  if (code) return code;
  if (o.help) {
    fputs(help_text, stdout);
    return 0;
  }
  if (!o.model) o.model = default_model;
  o.argc = argc;
  o.argv = argv;
  if (measure_all(&o, &json, &err) != MV_OK)
    code = bench_failed("startup", &err);
  else
    code = bench_finish("startup", &json, o.json, o.compare);
  mv_buf_free(&json);
  return code;
}
