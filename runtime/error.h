/* Errors are values that carry a sentence.
 *
 * Every fallible function returns an mv_status and takes `mv_error *err` last. A message names
 * the object, says what was expected and what was found, and ends with what to do:
 *
 *   model.layers.3.mlp.up_proj.weight: expected [18944, 3584], file has [18944, 3072]
 *   (is config.json from another model?)
 *
 * Files, users, devices and memory give a status; programmer mistakes assert. Nothing in a
 * library prints or exits. `err` may be NULL where the caller only wants the code.
 */
#ifndef MV_RUNTIME_ERROR_H
#define MV_RUNTIME_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_status {
  MV_OK = 0,
  MV_ERR_USAGE,       /* the caller asked for something that makes no sense      (exit 2) */
  MV_ERR_IO,          /* a file or stream cannot be opened, read or written               */
  MV_ERR_FORMAT,      /* a file's content is not what its format promises                 */
  MV_ERR_SHAPE,       /* a tensor or image has the wrong dimensions                       */
  MV_ERR_MEMORY,      /* an allocation failed or a stated limit would be exceeded         */
  MV_ERR_UNSUPPORTED, /* valid, but outside what this build or engine does                */
  MV_ERR_DEVICE,      /* an accelerator or its driver failed                              */
  MV_ERR_CANCELLED    /* the caller asked to stop                                         */
} mv_status;

typedef struct mv_error {
  mv_status code;
  const char *file; /* source file that reported it (borrowed, static) */
  int line;
  char msg[2048]; /* one sentence, no trailing newline */
} mv_error;

/* Records a failure in `err` (NULL allowed) and returns `code`, so that callers can write
 * `return mv_fail(err, MV_ERR_IO, "%s: %s", path, strerror(errno));` */
#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
mv_status mv_fail_at(mv_error *err, mv_status code, const char *file, int line, const char *fmt,
                     ...);
#define mv_fail(err, code, ...) mv_fail_at((err), (code), __FILE__, __LINE__, __VA_ARGS__)

/* Puts "<prefix>: " before the message already in `err`; returns err's code. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
mv_status mv_error_prefix(mv_error *err, const char *fmt, ...);

/* Returns early from the enclosing function when `expr` fails. */
#define MV_TRY(expr)                           \
  do {                                         \
    mv_status mv_try_status_ = (expr);         \
    if (mv_try_status_ != MV_OK) return mv_try_status_; \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
