/* The server in this process, where memory ends at every allocation in turn. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "tasks/batch.h"
#include "tasks/serve.h"
#include "tests/check_main.h"

static mv_model *model;
static mv_server *server;
static mv_serve_options options;

/* ---- memory that ends ---- */

static atomic_long left; /* allocations until one fails; below 1: none does */

static int fail_at(size_t n_bytes, void *user) {
  (void)n_bytes, (void)user;
  return atomic_fetch_sub(&left, 1) != 1;
}

/* ---- a server ---- */

static void start(void) {
  mv_error err = {0};
  mv_model_options where = {.dir = "weights/tiny", .device = "cpu", .n_thread = 1};
  ck_assert_msg(mv_model_open(&model, &where, &err) == MV_OK, "%s", err.msg);
  options = (mv_serve_options){.host = "127.0.0.1",
                               .model_name = "tiny",
                               .max_batch = 4,
                               .max_queue = 4,
                               .max_connections = 16,
                               .max_new_tokens = 16,
                               .max_tokens = 2048,
                               .max_body_bytes = 1 << 20,
                               .max_pixels = 1 << 20,
                               .request_s = 60,
                               .read_s = 60,
                               .quiet = 1};
  mv_request_init(&options.defaults);
  mv_alloc_set_hook(fail_at, NULL); /* before the threads start: it is not to change under them */
  ck_assert_msg(mv_server_new(&server, model, &options, &err) == MV_OK, "%s", err.msg);
}

static void stop(void) {
  mv_server_quiesce(server);
  ck_assert_int_eq(mv_server_drain(server, 10000), 0);
  mv_server_free(server);
  mv_alloc_set_hook(NULL, NULL);
  mv_model_close(model);
}

/* ---- a client ---- */

static int connect_here(void) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)mv_server_port(server))};
  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
  return fd;
}

/* The whole reply, head and all, in memory of the test's own: this thread shares the hook. */
static char *ask(const char *path, const char *body) {
  static char reply[1 << 20];
  char head[200];
  int fd = connect_here();
  size_t n = 0;
  snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n",
           body ? "POST" : "GET", path);
  if (body)
    snprintf(head + strlen(head), 60, "Content-Length: %zu\r\n\r\n", strlen(body));
  else
    strcat(head, "\r\n");
  ck_assert_int_eq(send(fd, head, strlen(head), MSG_NOSIGNAL), (ssize_t)strlen(head));
  for (size_t at = 0; body && body[at];) { /* it may close before it has read all */
    ssize_t sent = send(fd, body + at, strlen(body + at), MSG_NOSIGNAL);
    if (sent < 0) break;
    at += (size_t)sent;
  }
  for (ssize_t got; n < sizeof reply - 1; n += (size_t)got)
    if ((got = recv(fd, reply + n, sizeof reply - 1 - n, 0)) <= 0) break;
  reply[n] = 0;
  close(fd);
  return reply;
}

static int status_of(const char *reply) {
  return strncmp(reply, "HTTP/1.1 ", 9) ? 0 : atoi(reply + 9);
}

/* What a reply says, without what differs from one to the next: the values of `member`, or all of
 * it where that is NULL. */
static void digest(const char *reply, const char *member, char *out, size_t room) {
  size_t n = 0, skip = member ? strlen(member) : 0;
  const char *body = strstr(reply, "\r\n\r\n");
  out[0] = 0;
  for (const char *at = body; at && n < room - 1;) {
    if (member && !(at = strstr(at, member))) break;
    at += skip;
    while (*at && (!member || *at != '"') && n < room - 1) {
      if (member && *at == '\\') out[n++] = *at++;
      out[n++] = *at++;
    }
    if (!member) break;
  }
  out[n] = 0;
}

/* ---- the sweep ---- */

static int is_whole(const char *reply) {
  return !strstr(reply, "text/event-stream") ||
         (strstr(reply, "data: [DONE]") && !strstr(reply, "data: {\"error\""));
}

/* One request again and again, each time with one more allocation that succeeds: the answer, or
 * 500 or 503, and the next request finds all as it was. */
static void sweep(const char *path, const char *body, const char *member) {
  static char want[1 << 16], got[1 << 16];
  atomic_store(&left, 0);
  char *reply = ask(path, body);
  ck_assert_msg(status_of(reply) == 200, "%s: %s", path, reply);
  digest(reply, member, want, sizeof want);
  ck_assert(want[0]);
  long k = 0;
  int n_failed = 0;
  do {
    atomic_store(&left, ++k);
    reply = ask(path, body);
    int status = status_of(reply), whole = status == 200 && is_whole(reply);
    ck_assert_msg(status == 200 || status == 500 || status == 503, "%s, allocation %ld: %s", path,
                  k, reply);
    if (status != 200) ck_assert_msg(strstr(reply, "\"error\"") != NULL, "%s", reply);
    digest(reply, member, got, sizeof got);
    if (whole) ck_assert_msg(!strcmp(got, want), "%s, allocation %ld: %s", path, k, reply);
    n_failed += !whole;
  } while (atomic_load(&left) < 1);
  atomic_store(&left, 0);
  printf("%-22s %4ld allocations, %4d failures told\n", path, k - 1, n_failed);
  reply = ask(path, body);
  digest(reply, member, got, sizeof got);
  ck_assert_str_eq(got, want);
}

/* A body with the file where it says %s. */
static void sweep_file(const char *path, const char *body, const char *file, const char *member) {
  mv_error err = {0};
  mv_buf bytes = {0}, url = {0}, whole = {0};
  const char *at = strstr(body, "%s");
  ck_assert_msg(mv_file_read(file, 1 << 20, &bytes, &err) == MV_OK, "%s", err.msg);
  mv_base64_encode(bytes.ptr, bytes.len, &url);
  mv_buf_add(&whole, body, (size_t)(at - body));
  mv_buf_str(&whole, mv_buf_view(&url));
  mv_buf_text(&whole, at + 2);
  ck_assert_int_eq(mv_buf_status(&whole, &err), MV_OK);
  sweep(path, whole.ptr, member);
  mv_buf_free(&bytes);
  mv_buf_free(&url);
  mv_buf_free(&whole);
}

#define PICTURE "tests/data/samples/phantom1.png"
#define CHAT "{\"messages\":[{\"role\":\"user\",\"content\":"
#define IMAGE "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,%s\"}}"
#define SIZE \
  "{\"task\":\"size\",\"label\":\"tumor\",\"pixel_size\":[1,1],\"image\":\"data:;base64,%s\","

START_TEST(memory_may_end_while_chatting) {
  sweep("/v1/chat/completions",
        CHAT
        "\"Hello\"}],\"max_tokens\":6,\"n\":2,\"logprobs\":true,\"top_logprobs\":2,"
        "\"stop\":[\"zzz\"]}",
        "\"content\":\"");
  sweep("/v1/chat/completions",
        CHAT "\"Hello\"}],\"max_tokens\":6,\"logprobs\":true,\"top_logprobs\":2,\"stream\":true}",
        "\"content\":\"");
  sweep("/v1/completions", "{\"prompt\":\"Hello\",\"max_tokens\":6,\"logprobs\":1}", "\"text\":\"");
  sweep_file("/v1/chat/completions",
             CHAT "[" IMAGE ",{\"type\":\"text\",\"text\":\"Hello\"}]}],\"max_tokens\":3}", PICTURE,
             "\"content\":\"");
}
END_TEST

START_TEST(memory_may_end_while_measuring) {
  sweep_file("/v1/measure", SIZE "\"max_tokens\":3}", PICTURE, "\"response\":\"");
  sweep_file("/v1/measure", SIZE "\"max_tokens\":3,\"stream\":true}", PICTURE, "\"delta\":\"");
  sweep_file("/v1/preview", "{\"image\":\"data:;base64,%s\"}", PICTURE, "\"png\":\"");
  sweep_file("/v1/preview", "{\"volume\":\"data:;base64,%s\",\"modality\":\"CT\"}",
             "tests/data/benchmark/nii/ct_slope_frac.nii.gz", "\"png\":\"");
}
END_TEST

START_TEST(memory_may_end_in_what_is_answered_without_the_model) {
  sweep("/tokenize", "{\"prompt\":\"Hello, world\"}", NULL);
  sweep("/detokenize", "{\"tokens\":[1,2,3]}", "\"prompt\":\"");
  sweep("/v1/models", NULL, "\"id\":\"");
  sweep("/health", NULL, "\"status\":\"");
  sweep("/version", NULL, "\"version\":\"");
  sweep("/metrics", NULL, "# TYPE ");
  sweep("/", NULL, "<title>");
}
END_TEST

START_TEST(memory_may_end_while_a_server_starts) {
  mv_error err = {0};
  long k = 0;
  mv_status status;
  do {
    mv_server *other = NULL;
    atomic_store(&left, ++k);
    status = mv_server_new(&other, model, &options, &err);
    ck_assert_msg(status == MV_OK || status == MV_ERR_MEMORY, "allocation %ld: %s", k, err.msg);
    ck_assert_int_eq(status == MV_OK, other != NULL);
    mv_server_free(other);
  } while (atomic_load(&left) < 1);
  ck_assert_int_eq(status, MV_OK);
  printf("a server started at last with %ld allocations\n", k - 1);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("server");
  TCase *t = tcase_create("memory");
  tcase_set_timeout(t, 240);
  tcase_add_checked_fixture(t, start, stop);
  tcase_add_test(t, memory_may_end_while_chatting);
  tcase_add_test(t, memory_may_end_while_measuring);
  tcase_add_test(t, memory_may_end_in_what_is_answered_without_the_model);
  tcase_add_test(t, memory_may_end_while_a_server_starts);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
