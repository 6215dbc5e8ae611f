#include "runtime/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/memory.h"
#include "tests/check_main.h"

static mv_error err;
static char dir[64];

static void make_dir(void) {
  snprintf(dir, sizeof dir, "/tmp/mv-file-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
}

static const char *in_dir(const char *name) {
  static char path[400];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return path;
}

/* Files in the folder: one that half-wrote would be among them. */
static int n_files(void) {
  DIR *d = opendir(dir);
  int n = 0;
  for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

static void remove_dir(void) {
  DIR *d = opendir(dir);
  for (struct dirent *e; (e = readdir(d));)
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) unlink(in_dir(e->d_name));
  closedir(d);
  rmdir(dir);
}

static int refuse_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return --*(int *)user != 0;
}

START_TEST(what_is_written_is_read_and_mapped) {
  char bytes[100000];
  mv_buf back = {0};
  mv_mapping map;
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7);
  ck_assert_int_eq(mv_file_write(in_dir("a"), bytes, sizeof bytes, &err), MV_OK);
  ck_assert(mv_file_exists(in_dir("a")));
  ck_assert_int_eq(n_files(), 1);
  ck_assert_int_eq(mv_file_read(in_dir("a"), sizeof bytes, &back, &err), MV_OK);
  ck_assert_uint_eq(back.len, sizeof bytes);
  ck_assert_int_eq(memcmp(back.ptr, bytes, sizeof bytes), 0);
  ck_assert_int_eq(mv_mapping_open(&map, in_dir("a"), &err), MV_OK);
  ck_assert_uint_eq(map.size, sizeof bytes);
  ck_assert_int_eq(memcmp(map.data, bytes, sizeof bytes), 0);
  mv_mapping_close(&map);
  mv_mapping_close(&map);
  mv_buf_free(&back);
}
END_TEST

START_TEST(an_empty_file_is_a_file) {
  mv_buf back = {0};
  mv_mapping map;
  ck_assert_int_eq(mv_file_write(in_dir("empty"), NULL, 0, &err), MV_OK);
  ck_assert_int_eq(mv_file_read(in_dir("empty"), 0, &back, &err), MV_OK);
  ck_assert_uint_eq(back.len, 0);
  ck_assert_int_eq(mv_mapping_open(&map, in_dir("empty"), &err), MV_OK);
  ck_assert_ptr_null(map.data);
  ck_assert_uint_eq(map.size, 0);
  mv_mapping_close(&map);
  mv_buf_free(&back);
}
END_TEST

START_TEST(a_limit_is_kept_to_the_byte) {
  mv_buf back = {0};
  ck_assert_int_eq(mv_file_write(in_dir("a"), "12345", 5, &err), MV_OK);
  ck_assert_int_eq(mv_file_read(in_dir("a"), 5, &back, &err), MV_OK);
  ck_assert_int_eq(mv_file_read(in_dir("a"), 4, &back, &err), MV_ERR_MEMORY);
  ck_assert_msg(strstr(err.msg, "limit of 4 bytes"), "%s", err.msg);
  mv_buf_free(&back);
}
END_TEST

START_TEST(what_is_no_file_is_refused_by_name) {
  mv_buf back = {0};
  mv_mapping map;
  ck_assert_int_eq(mv_file_read(in_dir("none"), 10, &back, &err), MV_ERR_IO);
  ck_assert_msg(strstr(err.msg, "none"), "%s", err.msg);
  ck_assert_int_eq(mv_file_read(dir, 10, &back, &err), MV_ERR_IO);
  ck_assert_int_eq(mv_mapping_open(&map, in_dir("none"), &err), MV_ERR_IO);
  ck_assert_int_eq(mv_mapping_open(&map, dir, &err), MV_ERR_IO);
  ck_assert_msg(strstr(err.msg, "regular file"), "%s", err.msg);
  ck_assert_int_eq(mv_mapping_open(&map, "/dev/zero", &err), MV_ERR_IO);
  ck_assert(!mv_file_exists(in_dir("none")));
  mv_buf_free(&back);
}
END_TEST

START_TEST(a_write_replaces_all_or_nothing) {
  mv_outfile out;
  mv_buf back = {0};
  ck_assert_int_eq(mv_file_write(in_dir("a"), "old", 3, &err), MV_OK);
  ck_assert_int_eq(mv_outfile_open(&out, in_dir("a"), &err), MV_OK);
  fputs("half of the new", out.stream);
  fflush(out.stream);
  ck_assert_int_eq(mv_file_read(in_dir("a"), 100, &back, &err), MV_OK);
  ck_assert_str_eq(back.ptr, "old");
  mv_outfile_discard(&out);
  mv_outfile_discard(&out);
  ck_assert_int_eq(n_files(), 1);
  ck_assert_int_eq(mv_file_write(in_dir("a"), "new", 3, &err), MV_OK);
  ck_assert_int_eq(mv_file_read(in_dir("a"), 100, &back, &err), MV_OK);
  ck_assert_str_eq(back.ptr, "new");
  ck_assert_int_eq(n_files(), 1);
  mv_buf_free(&back);
}
END_TEST

START_TEST(a_write_keeps_links_and_devices) {
  struct stat st;
  mv_buf back = {0};
  char pipe_name[512];
  snprintf(pipe_name, sizeof pipe_name, "%s", in_dir("pipe"));
  ck_assert_int_eq(mv_file_write(in_dir("target"), "old", 3, &err), MV_OK);
  ck_assert_int_eq(symlink("target", in_dir("link")), 0);
  ck_assert_int_eq(mv_file_write(in_dir("link"), "new", 3, &err), MV_OK);
  ck_assert_int_eq(lstat(in_dir("link"), &st), 0);
  ck_assert(S_ISLNK(st.st_mode));
  ck_assert_int_eq(mv_file_read(in_dir("target"), 100, &back, &err), MV_OK);
  ck_assert_str_eq(back.ptr, "new");
  ck_assert_int_eq(mkfifo(pipe_name, 0600), 0);
  int fd = open(pipe_name, O_RDWR); /* a reader, so that the writer need not wait */
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(mv_file_write(pipe_name, "through", 7, &err), MV_OK);
  ck_assert_int_eq(lstat(pipe_name, &st), 0);
  ck_assert(S_ISFIFO(st.st_mode));
  char got[8] = {0};
  ck_assert_int_eq(read(fd, got, 7), 7);
  ck_assert_str_eq(got, "through");
  close(fd);
  ck_assert_int_eq(remove(pipe_name), 0);
  ck_assert_int_eq(remove(in_dir("link")), 0);
  ck_assert_int_eq(remove(in_dir("target")), 0);
  mv_buf_free(&back);
}
END_TEST

START_TEST(a_write_that_fails_leaves_nothing) {
  mv_outfile out;
  ck_assert_int_eq(mv_file_write(in_dir("no/such/folder"), "x", 1, &err), MV_ERR_IO);
  ck_assert_msg(strstr(err.msg, "no/such/folder"), "%s", err.msg);
  ck_assert_int_eq(mkdir(in_dir("taken"), 0777), 0);
  ck_assert_int_eq(mv_outfile_open(&out, in_dir("taken"), &err), MV_OK);
  ck_assert_int_eq(mv_outfile_commit(&out, &err), MV_ERR_IO); /* a folder has that name */
  ck_assert_int_eq(n_files(), 1);
  ck_assert_int_eq(rmdir(in_dir("taken")), 0);
}
END_TEST

START_TEST(paths_are_joined_with_one_slash) {
  static const char *const cases[][3] = {
      {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a//", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *path = mv_path_join(cases[i][0], cases[i][1]);
    ck_assert_str_eq(path, cases[i][2]);
    mv_free(path);
  }
}
END_TEST

START_TEST(no_memory_is_a_status) {
  char bytes[200000] = {0};
  for (int k = 1, done = 0; !done; k++) {
    int left = k;
    mv_buf back = {0};
    mv_alloc_set_hook(refuse_at, &left);
    mv_status status = mv_file_write(in_dir("a"), bytes, sizeof bytes, &err);
    if (status == MV_OK) status = mv_file_read(in_dir("a"), sizeof bytes, &back, &err);
    mv_alloc_set_hook(NULL, NULL);
    mv_buf_free(&back);
    ck_assert(status == MV_OK || status == MV_ERR_MEMORY);
    done = status == MV_OK;
    if (done) ck_assert_int_gt(k, 3);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("file");
  TCase *t = tcase_create("file");
  tcase_add_checked_fixture(t, make_dir, remove_dir);
  tcase_add_test(t, what_is_written_is_read_and_mapped);
  tcase_add_test(t, an_empty_file_is_a_file);
  tcase_add_test(t, a_limit_is_kept_to_the_byte);
  tcase_add_test(t, what_is_no_file_is_refused_by_name);
  tcase_add_test(t, a_write_replaces_all_or_nothing);
  tcase_add_test(t, a_write_keeps_links_and_devices);
  tcase_add_test(t, a_write_that_fails_leaves_nothing);
  tcase_add_test(t, paths_are_joined_with_one_slash);
  tcase_add_test(t, no_memory_is_a_status);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
