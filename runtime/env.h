/* The environment: the one place that reads it. */
#ifndef MV_RUNTIME_ENV_H
#define MV_RUNTIME_ENV_H

#ifdef __cplusplus
extern "C" {
#endif

/* The value of an environment variable; NULL when it is not set or empty. Borrowed. */
const char *mv_env(const char *name);
/* A whole number in it; `otherwise` when it is not set or no number. */
long mv_env_int(const char *name, long otherwise);

#ifdef __cplusplus
}
#endif
#endif
