/* runtime/sha256.h against the vectors of FIPS 180-4 and NIST's long ones. */
#include "runtime/sha256.h"

#include <string.h>

#include "tests/check_main.h"

static const struct {
  const char *text, *hex;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
     "lmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"}};

START_TEST(matches_published_vectors) {
  char hex[65];
  mv_sha256_hex(vectors[_i].text, strlen(vectors[_i].text), hex);
  ck_assert_str_eq(hex, vectors[_i].hex);
}
END_TEST

START_TEST(pieces_of_any_size_give_the_same_digest) {
  static unsigned char bytes[1000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 7 + 3);
  char whole[65];
  mv_sha256_hex(bytes, sizeof bytes, whole);
  for (size_t piece = 1; piece < 200; piece++) {
    mv_sha256 sha;
    mv_sha256_init(&sha);
    for (size_t at = 0; at < sizeof bytes; at += piece)
      mv_sha256_add(&sha, bytes + at, at + piece > sizeof bytes ? sizeof bytes - at : piece);
    unsigned char digest[32];
    mv_sha256_finish(&sha, digest);
    char hex[65];
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    ck_assert_str_eq(hex, whole);
  }
}
END_TEST

START_TEST(a_million_letters) {
  mv_sha256 sha;
  mv_sha256_init(&sha);
  char thousand[1000];
  memset(thousand, 'a', sizeof thousand);
  for (int i = 0; i < 1000; i++) mv_sha256_add(&sha, thousand, sizeof thousand);
  unsigned char digest[32];
  mv_sha256_finish(&sha, digest);
  ck_assert_mem_eq(digest, "\xcd\xc7\x6e\x5c\x99\x14\xfb\x92\x81\xa1\xc7\xe2\x84\xd7\x3e\x67", 16);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("sha256");
  TCase *tc = tcase_create("sha256");
  tcase_add_loop_test(tc, matches_published_vectors, 0, sizeof vectors / sizeof *vectors);
  tcase_add_test(tc, pieces_of_any_size_give_the_same_digest);
  tcase_add_test(tc, a_million_letters);
  suite_add_tcase(s, tc);
  return s;
}
MV_CHECK_MAIN(suite)
