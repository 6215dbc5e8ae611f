/* The server itself: connections, requests on their way to what answers them, deadlines. */
#include "tasks/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/file.h"
#include "runtime/team.h"
#include "tasks/prompts.h"
#include "tasks/teach.h"

static const mv_route routes[] = {
    {"POST", "/v1/chat/completions", mv_serve_chat, 0, 1},
    {"POST", "/v1/completions", mv_serve_complete, 0, 1},
    {"POST", "/v1/measure", mv_serve_measure, 0, 1},
    {"POST", "/v1/preview", mv_serve_preview, 0, 1},
    {"POST", "/tokenize", mv_serve_tokenize, 0, 1},
    {"POST", "/detokenize", mv_serve_detokenize, 0, 1},
    {"GET", "/v1/models", mv_serve_models, 0, 0},
    {"GET", "/metrics", mv_serve_metrics, 0, 0},
    {"GET", "/version", mv_serve_version, 1, 0},
    {"GET", "/health", mv_serve_health, 1, 0},
    {"GET", "/openapi.json", mv_serve_page, 1, 0},
    {"GET", "/", mv_serve_page, 1, 0},
    {"GET", "/page.css", mv_serve_page, 1, 0},
    {"GET", "/page.js", mv_serve_page, 1, 0},
};

/* ---- connections ---- */

static void notify_connection(void *user, struct MHD_Connection *connection, void **context,
                              enum MHD_ConnectionNotificationCode code) {
  mv_server *server = user;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    mv_link *link = mv_calloc(1, sizeof *link);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!link || !info) {
      mv_free(link);
      return;
    }
    link->fd = info->connect_fd;
    link->deadline_ms = mv_now_ms() + server->options->read_s * 1e3;
    *context = link;
    pthread_mutex_lock(&server->lock);
    link->next = server->links;
    server->links = link;
    pthread_mutex_unlock(&server->lock);
    return;
  }
  mv_link *link = *context;
  if (!link) return;
  pthread_mutex_lock(&server->lock);
  mv_link **at = &server->links;
  while (*at != link) at = &(*at)->next;
  *at = link->next;
  pthread_mutex_unlock(&server->lock);
  mv_free(link);
}

/* ---- checks on headers ---- */

/* In time that does not tell how much of the key was right. */
static int key_is_right(const char *key, const char *given) {
  size_t n = strlen(key), m = strlen(given);
  unsigned differs = n != m;
  for (size_t i = 0; i < m; i++) differs |= (unsigned)(key[i % (n + !n)] ^ given[i]);
  return !differs;
}

static int is_authorised(const mv_call *call) {
  const char *key = call->server->options->api_key;
  const char *given =
      MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "Authorization");
  if (!key) return 1;
  return given && strncasecmp(given, "Bearer ", 7) == 0 && key_is_right(key, given + 7);
}

/* A name of this machine, without its port. */
static int is_local_name(const char *host) {
  size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
  static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
  for (size_t i = 0; i < 3; i++)
    if (strlen(names[i]) == n && strncasecmp(host, names[i], n) == 0) return 1;
  return 0;
}

/* Pages of other sites must not use a server that trusts this machine: neither by a request of
 * theirs (Origin) nor by a name of theirs that leads here (Host). */
static int is_foreign(const mv_call *call) {
  const char *host = MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "Host");
  const char *origin = MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "Origin");
  const char *bound = call->server->options->host;
  int is_loopback = !strncmp(bound, "127.", 4) || !strcmp(bound, "::1");
  if (is_loopback && host && !is_local_name(host) && strncmp(host, bound, strlen(bound)) != 0)
    return 1;
  if (!origin) return 0;
  const char *name = strstr(origin, "://");
  return !name || !host || strcasecmp(name + 3, host) != 0;
}

static int is_too_long(const mv_call *call) {
  const char *text =
      MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "Content-Length");
  return text && strtoull(text, NULL, 10) > call->server->options->max_body_bytes;
}

static int fail_early(mv_call *call, int status, mv_status code, const char *message) {
  call->early = status;
  return mv_fail(&call->early_err, code, "%s", message);
}

static void find_route(mv_call *call, const char *method, const char *path) {
  const mv_route *other = NULL;
  for (size_t i = 0; i < sizeof routes / sizeof *routes && !call->route; i++) {
    if (strcmp(path, routes[i].path) != 0) continue;
    other = &routes[i];
    if (!strcmp(method, other->method) || (!strcmp(method, "HEAD") && other->method[0] == 'G'))
      call->route = other;
  }
  if (call->route) return;
  call->route = other; /* for Allow */
  if (other)
    fail_early(call, 405, MV_ERR_USAGE, "this path takes another method");
  else
    fail_early(call, 404, MV_ERR_USAGE, "there is nothing at this path");
}

static void check_headers(mv_call *call, const char *method, const char *path) {
  find_route(call, method, path);
  if (is_foreign(call))
    fail_early(call, 403, MV_ERR_USAGE, "this server takes no requests of other sites");
  else if (!(call->route && call->route->is_open) && !is_authorised(call))
    fail_early(call, 401, MV_ERR_USAGE, "expected Authorization: Bearer and this server's key");
  else if (!call->early && is_too_long(call))
    fail_early(call, 413, MV_ERR_USAGE, "the body is longer than this server takes");
  else if (!call->early && atomic_load(&call->server->stopping))
    fail_early(call, 503, MV_ERR_USAGE, "the server is going down");
}

/* ---- one request ---- */

static mv_call *new_call(mv_server *server, struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  mv_link *link = info ? info->socket_context : NULL;
  mv_call *call = link ? mv_calloc(1, sizeof *call) : NULL;
  if (!call) return NULL;
  call->server = server;
  call->connection = connection;
  call->link = link;
  call->start_ms = mv_now_ms();
  call->request = server->options->defaults;
  call->model = mv_str_of(server->options->model_name);
  pthread_mutex_init(&call->lock, NULL);
  pthread_cond_init(&call->news, NULL);
  uint64_t number = atomic_fetch_add(&server->last_id, 1) + 1;
  snprintf(call->id, sizeof call->id, "req-%08llx%08llx",
           (unsigned long long)(server->secret & 0xffffffffu),
           (unsigned long long)(number & 0xffffffffu));
  pthread_mutex_lock(&server->lock);
  server->n_call++;
  link->call = call;
  link->phase = MV_PHASE_READ;
  link->deadline_ms = mv_now_ms() + server->options->read_s * 1e3;
  pthread_mutex_unlock(&server->lock);
  return call;
}

static void free_call(mv_call *call) {
  mv_server *server = call->server;
  atomic_fetch_sub(&server->upload_bytes, call->body.len);
  for (int i = 0; call->images && i < call->request.n_image; i++) mv_image_free(&call->images[i]);
  mv_free(call->images);
  mv_buf_free(&call->body);
  mv_buf_free(&call->out);
  mv_json_doc_free(&call->doc);
  mv_arena_reset(&call->arena);
  pthread_cond_destroy(&call->news);
  pthread_mutex_destroy(&call->lock);
  mv_free(call);
  pthread_mutex_lock(&server->lock);
  if (--server->n_call == 0) pthread_cond_broadcast(&server->idle);
  pthread_mutex_unlock(&server->lock);
}

static void notify_completed(void *user, struct MHD_Connection *connection, void **context,
                             enum MHD_RequestTerminationCode code) {
  mv_server *server = user;
  mv_call *call = *context;
  (void)connection;
  if (!call) return;
  *context = NULL;
  pthread_mutex_lock(&server->lock);
  call->link->call = NULL;
  call->link->phase = MV_PHASE_READ; /* the next request's headers */
  call->link->deadline_ms = mv_now_ms() + server->options->read_s * 1e3;
  if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK) atomic_store(&call->gone, 1);
  pthread_mutex_unlock(&server->lock);
  mv_traffic_http(&server->metrics, call->status);
  if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK && call->n_choice) {
    pthread_mutex_lock(&server->lock);
    mv_call_cancel(call);
    pthread_mutex_unlock(&server->lock);
    mv_call_wait(call);
  }
  mv_access_log(call, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
  mv_measure_forget(call);
  mv_call_release(call);
  free_call(call);
}

/* Bodies of all connections together: no more than sixteen of the longest. */
static void take_body(mv_call *call, const char *data, size_t n) {
  mv_server *server = call->server;
  size_t most = server->options->max_body_bytes;
  if (call->early) return;
  if (!call->route->has_body)
    fail_early(call, 400, MV_ERR_USAGE, "this path takes no body");
  else if (call->body.len + n > most)
    fail_early(call, 413, MV_ERR_USAGE, "the body is longer than this server takes");
  else if (atomic_load(&server->upload_bytes) + n > 16 * most)
    fail_early(call, 503, MV_ERR_USAGE, "too many bodies at once: try again later");
  if (call->early) return;
  mv_buf_add(&call->body, data, n);
  if (call->body.failed)
    fail_early(call, 503, MV_ERR_MEMORY, "out of memory");
  else
    atomic_fetch_add(&server->upload_bytes, n);
}

static int reply_early(mv_call *call) {
  static const struct {
    int status;
    const char *code;
  } codes[] = {{401, "invalid_api_key"}, {403, "forbidden"},      {404, "not_found"},
               {405, "bad_method"},      {413, "body_too_large"}, {503, "overloaded"}};
  const char *code = NULL;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (codes[i].status == call->early) code = codes[i].code;
  return mv_reply_error(call, call->early, code, "%s", call->early_err.msg);
}

static int answer_call(mv_call *call) {
  mv_server *server = call->server;
  call->deadline_ms = mv_now_ms() + server->options->request_s * 1e3;
  mv_call_phase(call, MV_PHASE_WORK);
  if (call->early) return reply_early(call);
  mv_error err = {0};
  if (call->route->has_body) {
    size_t n = call->body.len;
    mv_status status = mv_body_parse(call, &err);
    atomic_fetch_sub(&server->upload_bytes, n - call->body.len); /* parsing frees the body */
    if (status != MV_OK) return mv_reply_failed(call, &err);
  }
  return call->route->handle(call);
}

static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *n_data, void **context) {
  mv_server *server = user;
  mv_call *call = *context;
  (void)version;
  if (!call) {
    *context = call = new_call(server, connection);
    if (!call) return (enum MHD_Result)mv_reply_without_call(connection);
    check_headers(call, method, url);
    /* What is too long is not even read: the connection ends with the reply. */
    return call->early == 413 ? (enum MHD_Result)reply_early(call) : MHD_YES;
  }
  if (*n_data) {
    take_body(call, data, *n_data);
    *n_data = 0;
    return MHD_YES;
  }
  return (enum MHD_Result)answer_call(call);
}

/* ---- deadlines ---- */

/* The time of a connection is over: what is computed for it ends, and else the line is cut. */
static void watch_link(mv_link *link, double now) {
  mv_call *call = link->call;
  if (link->phase == MV_PHASE_WORK && call) {
    if (mv_client_is_gone(link) || now > link->deadline_ms) mv_call_cancel(call);
  } else if (now > link->deadline_ms) {
    shutdown(link->fd, SHUT_RDWR);
  }
}

static void *watch_main(void *user) {
  mv_server *server = user;
  const struct timespec pause = {0, 20 * 1000 * 1000};
  while (!atomic_load(&server->over)) {
    double now = mv_now_ms();
    pthread_mutex_lock(&server->lock);
    for (mv_link *link = server->links; link; link = link->next) watch_link(link, now);
    pthread_mutex_unlock(&server->lock);
    nanosleep(&pause, NULL);
  }
  return NULL;
}

/* ---- opening and closing ---- */

static void allow_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static uint64_t draw_secret(void) {
  uint64_t secret = (uint64_t)(mv_now_ms() * 1e6);
  FILE *f = fopen("/dev/urandom", "rb");
  if (!f) return secret;
  if (fread(&secret, sizeof secret, 1, f) != 1) secret ^= (uint64_t)getpid();
  fclose(f);
  return secret;
}

static mv_status read_address(const char *host, int port, struct sockaddr_storage *address,
                              mv_error *err) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)address;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    return MV_OK;
  }
  if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return MV_OK;
  }
  return mv_fail(err, MV_ERR_USAGE,
                 "--host: expected a numeric address (127.0.0.1, 0.0.0.0, ::1), found '%s'", host);
}

static void ignore_log(void *user, const char *fmt, va_list args) {
  (void)user, (void)fmt, (void)args;
}

static mv_status start_daemon(mv_server *server, mv_error *err) {
  const mv_serve_options *o = server->options;
  struct sockaddr_storage address;
  MV_TRY(read_address(o->host, o->port, &address, err));
  unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
                   MHD_USE_ITC | MHD_USE_ERROR_LOG;
  if (address.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
  server->daemon = MHD_start_daemon(
      flags, (uint16_t)o->port, NULL, NULL, handle, server, MHD_OPTION_EXTERNAL_LOGGER, ignore_log,
      NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT,
      (unsigned)o->max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(32 << 10),
      MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u, MHD_OPTION_THREAD_STACK_SIZE, (size_t)(1 << 20),
      MHD_OPTION_NOTIFY_CONNECTION, notify_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
      notify_completed, server, MHD_OPTION_END);
  if (server->daemon) return MV_OK;
  return mv_fail(err, MV_ERR_IO, "%s port %d: %s", o->host, o->port, strerror(errno));
}

static mv_status make_upload_dir(mv_server *server, mv_error *err) {
  static const char *const places[] = {"/dev/shm", "/tmp"}; /* memory first: pictures of patients */
  for (size_t i = 0; i < 2 && !server->upload_dir; i++) {
    char *dir = mv_path_join(places[i], "medvision-XXXXXX");
    if (!dir) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    if (mkdtemp(dir))
      server->upload_dir = dir;
    else
      mv_free(dir);
  }
  if (server->upload_dir) return MV_OK;
  return mv_fail(err, MV_ERR_IO, "neither /dev/shm nor /tmp takes a folder: %s", strerror(errno));
}

static mv_status start(mv_server *server, mv_error *err) {
  const mv_serve_options *o = server->options;
  mv_engine_options options = {.max_tokens = o->max_tokens,
                               .kv_tokens = o->max_tokens * (size_t)o->max_batch,
                               .max_batch = o->max_batch,
                               .image_tokens = 16384,
                               .no_prefix_cache = o->no_prefix_cache,
                               .no_speculation = o->no_speculation,
                               .any_order = o->any_order};
  MV_TRY(make_upload_dir(server, err));
  MV_TRY(mv_engine_new(&server->engine, server->model, &options, err));
  MV_TRY(mv_teach_tasks(server->engine, mv_prompt_system(), err));
  if (o->draft_bank) MV_TRY(mv_teach_from(server->engine, o->draft_bank, err));
  if (!mv_thread_start(&server->engine_thread, mv_server_engine_main, server))
    return mv_fail(err, MV_ERR_MEMORY, "cannot start a thread");
  server->has_threads = 1;
  if (!mv_thread_start(&server->watch_thread, watch_main, server))
    return mv_fail(err, MV_ERR_MEMORY, "cannot start a thread");
  server->has_threads = 2;
  return start_daemon(server, err);
}

mv_status mv_server_new(mv_server **out, mv_model *model, const mv_serve_options *options,
                        mv_error *err) {
  int n_cpu = mv_core_count();
  *out = NULL;
  mv_server *server = mv_calloc(1, sizeof *server);
  if (!server) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  server->options = options;
  server->model = model;
  server->secret = draw_secret();
  mv_traffic_init(&server->metrics);
  pthread_mutex_init(&server->lock, NULL);
  pthread_cond_init(&server->idle, NULL);
  sem_init(&server->preparing, 0, n_cpu > 1 ? (unsigned)n_cpu : 2);
  allow_descriptors();
  mv_status status = start(server, err);
  if (status == MV_OK)
    *out = server;
  else
    mv_server_free(server);
  return status;
}

int mv_server_port(const mv_server *server) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
  return info ? info->port : 0;
}

void mv_server_quiesce(mv_server *server) {
  atomic_store(&server->stopping, 1);
  MHD_socket listening = MHD_quiesce_daemon(server->daemon);
  if (listening != MHD_INVALID_SOCKET) close(listening);
}

int mv_server_drain(mv_server *server, int timeout_ms) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += timeout_ms / 1000;
  until.tv_nsec += timeout_ms % 1000 * 1000000L;
  if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
  pthread_mutex_lock(&server->lock);
  while (server->n_call && pthread_cond_timedwait(&server->idle, &server->lock, &until) == 0) {
  }
  int n = server->n_call;
  pthread_mutex_unlock(&server->lock);
  return n;
}

void mv_server_cancel(mv_server *server) {
  pthread_mutex_lock(&server->lock);
  for (mv_link *link = server->links; link; link = link->next)
    if (link->call) mv_call_cancel(link->call);
  pthread_mutex_unlock(&server->lock);
}

mv_status mv_server_stop(mv_server *server, mv_error *err) {
  int was_running = server->daemon != NULL;
  atomic_store(&server->stopping, 1);
  if (server->daemon) {
    mv_server_cancel(server);
    MHD_stop_daemon(server->daemon);
    server->daemon = NULL;
  }
  atomic_store(&server->over, 1);
  if (server->has_threads > 0) pthread_join(server->engine_thread, NULL);
  if (server->has_threads > 1) pthread_join(server->watch_thread, NULL);
  server->has_threads = 0;
  if (!was_running || !server->options->draft_bank) return MV_OK;
  return mv_engine_save_drafts(server->engine, server->options->draft_bank, err);
}

void mv_server_free(mv_server *server) {
  if (!server) return;
  mv_server_stop(server, NULL);
  mv_engine_free(server->engine);
  if (server->upload_dir) rmdir(server->upload_dir);
  mv_free(server->upload_dir);
  sem_destroy(&server->preparing);
  pthread_cond_destroy(&server->idle);
  pthread_mutex_destroy(&server->lock);
  mv_traffic_free(&server->metrics);
  mv_free(server);
}
