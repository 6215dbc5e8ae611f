/* medvision serve: the HTTP server, until a signal ends it. */
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"

#ifdef MV_HAVE_SERVER
#include <signal.h>
#include <string.h>
#include <time.h>

#include "runtime/file.h"
#include "tasks/cli_session.h"
#include "tasks/serve.h"
#include "weights/checkpoint.h"

#define DEFAULT_CONTEXT 8192

/* The first line of --api-key-file: a key on the command line is seen by everyone on the machine.
 */
static mv_status read_key(const mv_cli_args *args, mv_buf *key, mv_error *err) {
  if (args->serve.api_key) mv_buf_text(key, args->serve.api_key);
  if (args->serve.api_key_file) {
    MV_TRY(mv_file_read(args->serve.api_key_file, 4096, key, err));
    if (key->len) key->len = strcspn(key->ptr, "\r\n"), key->ptr[key->len] = 0;
  }
  if ((args->serve.api_key || args->serve.api_key_file) && !key->len)
    return mv_fail(err, MV_ERR_USAGE, "serve: the key is empty");
  return mv_buf_status(key, err);
}

static mv_status fill_options(const mv_cli_args *args, const mv_session *session, const mv_buf *key,
                              mv_serve_options *o, mv_error *err) {
  const mv_config *config = mv_checkpoint_config(mv_model_checkpoint(session->model));
  size_t most = (size_t)config->text.max_positions, context = (size_t)args->serve.context;
  const char *slash = strrchr(session->dir, '/');
  if (context > most)
    return mv_fail(err, MV_ERR_USAGE, "serve: --max-context %zu: the model's context is %zu",
                   context, most);
  if (!context) context = most < DEFAULT_CONTEXT ? most : DEFAULT_CONTEXT;
  *o = (mv_serve_options){.host = args->serve.host,
                          .port = args->serve.port,
                          .api_key = key->len ? key->ptr : NULL,
                          .model_name = args->serve.model_name ? args->serve.model_name
                                        : slash && slash[1]    ? slash + 1
                                                               : session->dir,
                          .allow_dirs = args->serve.allow_files.v,
                          .n_allow_dir = args->serve.allow_files.n,
                          .max_batch = args->serve.max_batch,
                          .max_queue = args->serve.max_queue,
                          .max_connections = args->serve.max_connections,
                          .max_new_tokens = args->max_new_tokens,
                          .max_tokens = context,
                          .max_body_bytes = (size_t)args->serve.max_body_mb << 20,
                          .max_pixels = (int64_t)args->serve.max_megapixels * 1000000,
                          .request_s = args->serve.request_s,
                          .read_s = args->serve.read_s,
                          .quiet = args->quiet,
                          .no_prefix_cache = args->prefix_cache == 1,
                          .no_speculation = args->speculate == 1,
                          .any_order = args->any_order,
                          .draft_bank = args->draft_bank};
  mv_session_request((mv_session *)session, &o->defaults);
  o->defaults.on_progress = NULL;
  o->defaults.on_text = NULL;
  o->defaults.user = NULL;
  return MV_OK;
}

/* Signals wait for sigwait; set before any thread starts, so that no thread takes one. */
static void block_signals(sigset_t *signals) {
  sigemptyset(signals);
  sigaddset(signals, SIGINT);
  sigaddset(signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, signals, NULL);
}

/* The first signal lets requests finish for --grace seconds, a second one ends them at once. */
static void run_until_signal(const mv_cli_args *args, mv_server *server, const sigset_t *signals) {
  int number;
  const struct timespec now = {0, 0};
  sigwait(signals, &number);
  mv_server_quiesce(server);
  mv_cli_note(args, "serve: going down; requests at work have %d s", args->serve.grace_s);
  for (int left = args->serve.grace_s * 10; left > 0 && mv_server_drain(server, 100); left--)
    if (sigtimedwait(signals, NULL, &now) > 0) break;
  mv_server_cancel(server);
  mv_server_drain(server, 5000);
}

static mv_status serve(const mv_cli_args *args, mv_session *session, const mv_buf *key,
                       const sigset_t *signals, mv_error *err) {
  mv_serve_options options;
  mv_server *server = NULL;
  mv_engine_free(session->engine); /* the server has one of its own sizes */
  session->engine = NULL;
  MV_TRY(fill_options(args, session, key, &options, err));
  MV_TRY(mv_server_new(&server, session->model, &options, err));
  int is_v6 = strchr(options.host, ':') != NULL;
  mv_buf line = {0};
  mv_buf_printf(&line, "listening on http://%s%s%s:%d/\n", is_v6 ? "[" : "", options.host,
                is_v6 ? "]" : "", mv_server_port(server));
  if (!line.failed) mv_cli_put(mv_buf_view(&line));
  mv_buf_free(&line);
  mv_cli_flush();
  if (!options.api_key && strncmp(options.host, "127.", 4) != 0 && strcmp(options.host, "::1") != 0)
    mv_cli_note(args, "serve: %s is open to other machines and asks for no key (--api-key-file)",
                options.host);
  run_until_signal(args, server, signals);
  mv_status status = mv_server_stop(server, err);
  mv_server_free(server);
  return status;
}

int mv_cmd_serve(const mv_cli_args *args) {
  mv_session session = {0};
  mv_buf key = {0};
  mv_error err = {0};
  sigset_t signals;
  block_signals(&signals);
  mv_status status = read_key(args, &key, &err);
  if (status == MV_OK) status = mv_session_open(&session, args, &err);
  if (status == MV_OK) status = serve(args, &session, &key, &signals, &err);
  int code = status == MV_OK ? MV_EXIT_DONE : mv_cli_fail(&err);
  mv_session_close(&session);
  mv_buf_free(&key);
  return code;
}
#else
int mv_cmd_serve(const mv_cli_args *args) {
  (void)args;
  mv_cli_say("serve: this build has no server (libmicrohttpd-dev was not there)");
  return MV_EXIT_FAILED;
}
#endif
