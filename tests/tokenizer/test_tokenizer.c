/* Encoding, decoding and loading, held against Hugging Face's answers in tests/data/tokenizer/ and,
 * where the task's golden files are beside the repository, with Qwen2.5's own vocabulary. */
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/memory.h"
#include "tests/check_main.h"
#include "tokenizer/split.h"
#include "tokenizer/tokenizer.h"

#define DATA "tests/data/tokenizer/"
#define REAL "../shared/qwen2.5-tokenizer"
#define GOLDEN "../shared/golden/tokenizer.jsonl"

static mv_error err;

static mv_tokenizer *opened(const char *dir) {
  mv_tokenizer *tok = NULL;
  mv_status status = mv_tokenizer_open(&tok, dir, &err);
  ck_assert_msg(status == MV_OK, "%s: %s", dir, status ? err.msg : "");
  return tok;
}

/* ---- rows of a JSON lines file ---- */

typedef void (*row_check)(const mv_tokenizer *tok, const mv_json *row, int line);

static int each_row(const char *path, const mv_tokenizer *tok, row_check check) {
  mv_buf file = {0};
  ck_assert_msg(mv_file_read(path, 1 << 26, &file, &err) == MV_OK, "%s", err.msg);
  int n = 0;
  for (char *line = file.ptr, *end; line < file.ptr + file.len; line = end + 1) {
    end = memchr(line, '\n', (size_t)(file.ptr + file.len - line));
    if (!end) end = file.ptr + file.len;
    mv_json_doc doc = {0};
    ck_assert_msg(mv_json_parse(&doc, (mv_str){line, (size_t)(end - line)}, &err) == MV_OK, "%s",
                  err.msg);
    check(tok, doc.root, ++n);
    mv_json_doc_free(&doc);
  }
  mv_buf_free(&file);
  return n;
}

static mv_ids ids_of(const mv_json *list) {
  mv_ids ids = {0};
  for (const mv_json *item = list->first; item; item = item->next) {
    ck_assert(mv_ids_add(&ids, (int32_t)item->number, NULL) == MV_OK);
  }
  return ids;
}

static void check_ids(const mv_tokenizer *tok, const mv_json *row, const char *key, unsigned flags,
                      int line) {
  mv_ids want = ids_of(mv_json_get(row, key)), got = {0};
  ck_assert_msg(
      mv_tokenizer_encode(tok, mv_json_get(row, "text")->text, flags, &got, &err) == MV_OK,
      "line %d: %s", line, err.msg);
  size_t at = 0;
  while (at < got.len && at < want.len && got.ids[at] == want.ids[at]) at++;
  ck_assert_msg(at == got.len && at == want.len,
                "line %d, %s: %zu ids, expected %zu; first difference at %zu: %d, expected %d",
                line, key, got.len, want.len, at, at < got.len ? got.ids[at] : -1,
                at < want.len ? want.ids[at] : -1);
  mv_ids_free(&want);
  mv_ids_free(&got);
}

/* Decodes at once and token by token, where every piece must be whole characters. */
static void check_text(const mv_tokenizer *tok, const mv_json *row, const char *key, unsigned flags,
                       int line) {
  mv_ids ids = ids_of(mv_json_get(row, "ids"));
  mv_str want = mv_json_get(row, key)->text;
  mv_buf got = {0}, stream = {0};
  mv_decoder dec;
  ck_assert(mv_tokenizer_decode(tok, ids.ids, ids.len, flags, &got, &err) == MV_OK);
  mv_decoder_init(&dec, tok, flags);
  for (size_t i = 0; i < ids.len; i++) {
    ck_assert(mv_decoder_push(&dec, ids.ids[i], &stream, &err) == MV_OK);
    ck_assert_uint_eq(mv_utf8_check(stream.ptr, stream.len), stream.len);
  }
  ck_assert(mv_decoder_flush(&dec, &stream, &err) == MV_OK);
  ck_assert_msg(mv_str_eq(mv_buf_view(&got), want), "line %d: %s is \"%.*s\"", line, key,
                (int)got.len, got.ptr);
  ck_assert_msg(mv_str_eq(mv_buf_view(&stream), want), "line %d: streamed, %s is \"%.*s\"", line,
                key, (int)stream.len, stream.ptr);
  mv_buf_free(&got);
  mv_buf_free(&stream);
  mv_ids_free(&ids);
}

static void small_row(const mv_tokenizer *tok, const mv_json *row, int line) {
  check_ids(tok, row, "ids", MV_ENCODE_SPECIAL, line);
  check_ids(tok, row, "plain_ids", 0, line);
  check_text(tok, row, "decoded", 0, line);
  check_text(tok, row, "decoded_skip", MV_DECODE_SKIP_SPECIAL, line);
}

static void raw_row(const mv_tokenizer *tok, const mv_json *row, int line) {
  check_ids(tok, row, "raw_ids", MV_ENCODE_SPECIAL, line);
}

static void split_row(const mv_tokenizer *tok, const mv_json *row, int line) {
  mv_str text = mv_json_get(row, "text")->text;
  size_t at = 0;
  (void)tok;
  for (const mv_json *want = mv_json_get(row, "split")->first; want; want = want->next) {
    ck_assert_msg(at < text.len, "line %d: pieces are missing", line);
    size_t n = mv_split_next(text.ptr + at, text.len - at);
    ck_assert_msg(n == (size_t)want->number,
                  "line %d: piece at byte %zu has %zu bytes, expected %d", line, at, n,
                  (int)want->number);
    at += n;
  }
  ck_assert_uint_eq(at, text.len);
}

static void golden_row(const mv_tokenizer *tok, const mv_json *row, int line) {
  check_ids(tok, row, "ids", MV_ENCODE_SPECIAL, line);
  check_text(tok, row, "decoded", 0, line);
}

START_TEST(equals_the_reference_with_merges_as_pairs) {
  mv_tokenizer *tok = opened(DATA "small");
  ck_assert_int_ge(each_row(DATA "texts.jsonl", tok, small_row), 300);
  mv_tokenizer_close(tok);
}
END_TEST

START_TEST(equals_the_reference_with_merges_as_strings_and_no_normalizer) {
  mv_tokenizer *tok = opened(DATA "small-strings");
  ck_assert_int_ge(each_row(DATA "texts.jsonl", tok, raw_row), 300);
  mv_tokenizer_close(tok);
}
END_TEST

START_TEST(equals_the_reference_from_vocab_and_merges_files) {
  mv_tokenizer *tok = opened(DATA "small-files");
  ck_assert_int_ge(each_row(DATA "texts.jsonl", tok, small_row), 300);
  mv_tokenizer_close(tok);
}
END_TEST

START_TEST(cuts_the_text_where_the_regular_expression_does) {
  ck_assert_int_ge(each_row(DATA "texts.jsonl", NULL, split_row), 300);
}
END_TEST

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Fills `dir`, a mkdtemp template, with links to some files of another folder. */
static void link_files(char *dir, const char *from, const char *const *names) {
  char cwd[1024], target[4096], link[4096];
  ck_assert_ptr_nonnull(mkdtemp(dir));
  ck_assert_ptr_nonnull(getcwd(cwd, sizeof cwd));
  for (; *names; names++) {
    snprintf(target, sizeof target, "%s/%s/%s", cwd, from, *names);
    snprintf(link, sizeof link, "%s/%s", dir, *names);
    ck_assert_int_eq(symlink(target, link), 0);
  }
}

static void unlink_files(const char *dir, const char *const *names) {
  char link[4096];
  for (; *names; names++) {
    snprintf(link, sizeof link, "%s/%s", dir, *names);
    unlink(link);
  }
  rmdir(dir);
}

START_TEST(added_tokens_json_alone_gives_ids_and_qwens_names_are_special) {
  const char *const names[] = {"vocab.json", "merges.txt", "added_tokens.json", NULL};
  char dir[] = "/tmp/mv-tokenizer-XXXXXX";
  link_files(dir, DATA "small-files", names);
  mv_tokenizer *tok = opened(dir);
  ck_assert_int_eq(mv_tokenizer_special_id(tok, "<|im_end|>"), 502);
  ck_assert(!mv_tokenizer_is_special(tok, 508));
  ck_assert(mv_str_is(mv_tokenizer_token(tok, 508), "Task:\nGiven the input medical image: "));
  mv_tokenizer_close(tok);
  unlink_files(dir, names);
}
END_TEST

START_TEST(equals_the_golden_rows_with_the_real_vocabulary) {
  if (!mv_file_exists(GOLDEN)) {
    printf("skip: %s is not there\n", GOLDEN);
    return;
  }
  const char *const names[] = {"vocab.json", "merges.txt", NULL};
  char dir[] = "/tmp/mv-tokenizer-XXXXXX";
  link_files(dir, REAL, names);
  for (int k = 0; k < 2; k++) {
    double begin = now_ms();
    mv_tokenizer *tok = opened(k ? dir : REAL);
    printf("%s opened in %.0f ms\n", k ? "vocab.json + merges.txt" : "tokenizer.json",
           now_ms() - begin);
    ck_assert_uint_eq(mv_tokenizer_vocab_size(tok), 151665);
    ck_assert_int_eq(mv_tokenizer_special_id(tok, "<|image_pad|>"), 151655);
    ck_assert_int_eq(mv_tokenizer_special_id(tok, "<tool_call>"), -1);
    ck_assert_int_eq(each_row(GOLDEN, tok, golden_row), 982);
    mv_tokenizer_close(tok);
  }
  unlink_files(dir, names);
}
END_TEST

static void time_encode(const char *name, const mv_tokenizer *tok, mv_str text, size_t n_tokens) {
  mv_ids ids = {0};
  double best = 1e9;
  for (int i = 0; i < 20; i++) {
    ids.len = 0;
    double begin = now_ms();
    ck_assert(mv_tokenizer_encode(tok, text, 0, &ids, &err) == MV_OK);
    double ms = now_ms() - begin;
    if (ms < best) best = ms;
  }
  printf("%s: %zu tokens (%zu bytes) in %.3f ms\n", name, ids.len, text.len, best);
  ck_assert_uint_ge(ids.len, n_tokens);
  ck_assert_msg(best < 50, "%.1f ms", best);
  mv_ids_free(&ids);
}

START_TEST(encodes_a_long_prompt_quickly) {
  static const char sentence[] =
      "Task:\nGiven the input medical image: a kidney lesion, coronal CT scan, return the physical "
      "distance in millimetres (24.130 mm) between the 2 landmarks; le r\xC3\xA9sultat.\n";
  mv_buf text = {0};
  for (int i = 0; i < 32; i++) mv_buf_text(&text, sentence);
  mv_tokenizer *tok = opened(mv_file_exists(REAL) ? REAL : DATA "small");
  time_encode("prompt", tok, mv_buf_view(&text), 1000);
  mv_tokenizer_close(tok);
  mv_buf_free(&text);
}
END_TEST

/* One word of n letters costs n log n, n marks in the wrong order cost n. */
START_TEST(long_words_and_mark_runs_take_no_quadratic_time) {
  mv_buf word = {0}, marks = {0};
  for (int i = 0; i < 20000; i++) mv_buf_text(&word, "lesion");
  for (int i = 0; i < 20000; i++) mv_buf_text(&marks, "\xCC\x81\xCC\xA3");
  mv_tokenizer *tok = opened(DATA "small");
  mv_ids ids = {0};
  double begin = now_ms();
  ck_assert(mv_tokenizer_encode(tok, mv_buf_view(&word), 0, &ids, &err) == MV_OK);
  ck_assert(mv_tokenizer_encode(tok, mv_buf_view(&marks), 0, &ids, &err) == MV_OK);
  printf("a word of %zu bytes and %zu bytes of marks in %.0f ms\n", word.len, marks.len,
         now_ms() - begin);
  ck_assert(now_ms() - begin < 2000);
  mv_ids_free(&ids);
  mv_buf_free(&word);
  mv_buf_free(&marks);
  mv_tokenizer_close(tok);
}
END_TEST

/* ---- properties ---- */

static uint32_t next_random(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

/* Code points that NFC leaves alone and that stand in no added token. */
static void random_text(uint32_t *state, mv_buf *out) {
  static const uint32_t bases[] = {'a', ' ', '\n', '0', 0x4E00, 0xAC00, 0x430, 0x1F600, 0x5D0, '!'};
  mv_buf_clear(out);
  for (uint32_t n = next_random(state) % 60; n > 0; n--) {
    uint32_t base = bases[next_random(state) % 10];
    uint32_t cp = base == ' ' || base == '\n' ? base : base + next_random(state) % 9;
    char utf8[4];
    mv_buf_add(out, utf8, mv_utf8_encode(cp, utf8));
  }
}

START_TEST(decoding_gives_back_what_was_encoded) {
  mv_tokenizer *tok = opened(DATA "small");
  mv_buf text = {0}, back = {0};
  mv_ids ids = {0};
  uint32_t state = 1;
  for (int i = 0; i < 2000; i++) {
    random_text(&state, &text);
    mv_buf_clear(&back);
    ids.len = 0;
    ck_assert(mv_tokenizer_encode(tok, mv_buf_view(&text), 0, &ids, &err) == MV_OK);
    ck_assert(mv_tokenizer_decode(tok, ids.ids, ids.len, 0, &back, &err) == MV_OK);
    ck_assert_msg(mv_str_eq(mv_buf_view(&text), mv_buf_view(&back)), "case %d: \"%s\"", i,
                  text.ptr);
  }
  mv_buf_free(&text);
  mv_buf_free(&back);
  mv_ids_free(&ids);
  mv_tokenizer_close(tok);
}
END_TEST

START_TEST(streamed_pieces_of_any_ids_join_to_the_whole) {
  mv_tokenizer *tok = opened(DATA "small");
  uint32_t state = 7;
  for (int i = 0; i < 3000; i++) {
    int32_t ids[12];
    mv_buf whole = {0}, lossless = {0}, stream = {0};
    mv_decoder dec;
    mv_decoder_init(&dec, tok, 0);
    for (int k = 0; k < 12; k++) {
      uint32_t limit = i % 2 ? 256 : 600; /* the first 256 ids are single bytes */
      ids[k] = (int32_t)(next_random(&state) % limit);
      mv_buf_str(&lossless, mv_tokenizer_token(tok, ids[k]));
      ck_assert(mv_decoder_push(&dec, ids[k], &stream, &err) == MV_OK);
      ck_assert_uint_eq(mv_utf8_check(stream.ptr ? stream.ptr : "", stream.len), stream.len);
    }
    ck_assert(mv_decoder_flush(&dec, &stream, &err) == MV_OK);
    mv_utf8_lossy(&whole, lossless.ptr ? lossless.ptr : "", lossless.len);
    ck_assert_msg(mv_str_eq(mv_buf_view(&whole), mv_buf_view(&stream)), "case %d", i);
    mv_buf_free(&whole);
    mv_buf_free(&lossless);
    mv_buf_free(&stream);
  }
  mv_tokenizer_close(tok);
}
END_TEST

START_TEST(holds_back_a_character_until_it_is_whole) {
  mv_tokenizer *tok = opened(DATA "small");
  mv_ids ids = {0};
  mv_buf out = {0};
  mv_decoder dec;
  ck_assert(mv_tokenizer_encode(tok, mv_str_of("\xF0\x9F\x98\x80"), 0, &ids, &err) == MV_OK);
  ck_assert_uint_eq(ids.len, 4);
  mv_decoder_init(&dec, tok, 0);
  for (int i = 0; i < 3; i++) {
    ck_assert(mv_decoder_push(&dec, ids.ids[i], &out, &err) == MV_OK);
    ck_assert_uint_eq(out.len, 0);
  }
  ck_assert(mv_decoder_push(&dec, ids.ids[3], &out, &err) == MV_OK);
  ck_assert(mv_str_is(mv_buf_view(&out), "\xF0\x9F\x98\x80"));
  ck_assert(mv_decoder_push(&dec, ids.ids[0], &out, &err) == MV_OK);
  ck_assert(mv_decoder_flush(&dec, &out, &err) == MV_OK);
  ck_assert(mv_str_is(mv_buf_view(&out), "\xF0\x9F\x98\x80\xEF\xBF\xBD"));
  ck_assert(mv_decoder_flush(&dec, &out, &err) == MV_OK);
  ck_assert_uint_eq(out.len, 7);
  mv_buf_free(&out);
  mv_ids_free(&ids);
  mv_tokenizer_close(tok);
}
END_TEST

START_TEST(emits_a_character_as_soon_as_it_is_whole) {
  const char *texts[] = {"x", "\xC2\xA1", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80"};
  mv_tokenizer *tok = opened(DATA "small");
  for (int i = 0; i < 4; i++) {
    mv_ids ids = {0};
    mv_buf out = {0};
    mv_decoder dec;
    mv_decoder_init(&dec, tok, 0);
    ck_assert(mv_tokenizer_encode(tok, mv_str_of(texts[i]), 0, &ids, &err) == MV_OK);
    for (size_t k = 0; k < ids.len; k++) {
      ck_assert(mv_decoder_push(&dec, ids.ids[k], &out, &err) == MV_OK);
    }
    ck_assert_msg(mv_str_is(mv_buf_view(&out), texts[i]), "text %d", i);
    mv_buf_free(&out);
    mv_ids_free(&ids);
  }
  mv_tokenizer_close(tok);
}
END_TEST

START_TEST(ids_without_a_token_leave_no_text) {
  mv_tokenizer *tok = opened(DATA "small");
  int32_t ids[] = {-1, 64, 100000, INT32_MAX, 65};
  mv_buf out = {0};
  ck_assert(mv_tokenizer_decode(tok, ids, 5, 0, &out, &err) == MV_OK);
  ck_assert_uint_eq(out.len, 2);
  ck_assert(!mv_tokenizer_is_special(tok, -1) && !mv_tokenizer_is_special(tok, 100000));
  mv_buf_free(&out);
  mv_tokenizer_close(tok);
}
END_TEST

START_TEST(refuses_text_that_is_not_utf8_naming_the_byte) {
  mv_tokenizer *tok = opened(DATA "small");
  mv_ids ids = {0};
  ck_assert(mv_ids_add(&ids, 7, &err) == MV_OK);
  mv_status status = mv_tokenizer_encode(tok, mv_str_of("abc\xED\xA0\x80"), 0, &ids, &err);
  ck_assert_int_eq(status, MV_ERR_FORMAT);
  ck_assert_ptr_nonnull(strstr(err.msg, "byte 3"));
  ck_assert_uint_eq(ids.len, 1);
  mv_ids_free(&ids);
  mv_tokenizer_close(tok);
}
END_TEST

START_TEST(names_the_byte_that_has_no_token) {
  static const char json[] =
      "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
      "\"pattern\":"
      "{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}"
      "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
      "\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"use_regex\":false,"
      "\"add_prefix_space\":false}]},\"decoder\":{\"type\":\"ByteLevel\"},"
      "\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}";
  mv_tokenizer *tok = NULL;
  mv_ids ids = {0};
  ck_assert_msg(mv_tokenizer_parse(&tok, json, strlen(json), &err) == MV_OK, "%s", err.msg);
  ck_assert(mv_tokenizer_encode(tok, mv_str_of("aab"), 0, &ids, &err) == MV_OK);
  ck_assert_uint_eq(ids.len, 2);
  ck_assert_int_eq(mv_tokenizer_encode(tok, mv_str_of("ab!"), 0, &ids, &err), MV_ERR_UNSUPPORTED);
  ck_assert_ptr_nonnull(strstr(err.msg, "0x21"));
  ck_assert_uint_eq(ids.len, 2);
  mv_ids_free(&ids);
  mv_tokenizer_close(tok);
}
END_TEST

/* ---- bad files ---- */

/* The small tokenizer with one text replaced by another. */
static mv_status parse_changed(const char *from, const char *to) {
  mv_buf file = {0}, changed = {0};
  mv_tokenizer *tok = NULL;
  ck_assert(mv_file_read(DATA "small/tokenizer.json", 1 << 20, &file, &err) == MV_OK);
  char *at = strstr(file.ptr, from);
  ck_assert_msg(at != NULL, "no %s in the file", from);
  mv_buf_add(&changed, file.ptr, (size_t)(at - file.ptr));
  mv_buf_text(&changed, to);
  mv_buf_text(&changed, at + strlen(from));
  mv_status status = mv_tokenizer_parse(&tok, changed.ptr, changed.len, &err);
  mv_tokenizer_close(tok);
  mv_buf_free(&file);
  mv_buf_free(&changed);
  return status;
}

START_TEST(refuses_other_families_by_name) {
  static const struct {
    const char *from, *to, *named;
  } cases[] = {
      {"\"type\":\"NFC\"", "\"type\":\"NFKC\"", "normalizer"},
      {"(?i:'s", "('s", "pretokenizers[0]"},
      {"\"Isolated\"", "\"Removed\"", "pretokenizers[0]"},
      {"\"invert\":false", "\"invert\":true", "pretokenizers[0]"},
      {"\"add_prefix_space\":false", "\"add_prefix_space\":true", "pretokenizers[1]"},
      {"\"use_regex\":false", "\"use_regex\":true", "pretokenizers[1]"},
      {"\"pre_tokenizer\":{\"type\":\"Sequence\"", "\"pre_tokenizer\":{\"type\":\"BertLike\"",
       "pre_tokenizer"},
      {"\"decoder\":{\"type\":\"ByteLevel\"", "\"decoder\":{\"type\":\"WordPiece\"", "decoder"},
      {"\"post_processor\":{\"type\":\"ByteLevel\"", "\"post_processor\":{\"type\":\"Bert\"",
       "post_processor"},
      {"\"type\":\"BPE\"", "\"type\":\"Unigram\"", "model"},
      {"\"dropout\":null", "\"dropout\":0.5", "model.dropout"},
      {"\"continuing_subword_prefix\":null", "\"continuing_subword_prefix\":\"#\"",
       "continuing_subword_prefix"},
      {"\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"#\"", "end_of_word_suffix"},
      {"\"byte_fallback\":false", "\"byte_fallback\":true", "model.byte_fallback"},
      {"\"ignore_merges\":false", "\"ignore_merges\":true", "model.ignore_merges"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    mv_status status = parse_changed(cases[i].from, cases[i].to);
    ck_assert_msg(status == MV_ERR_UNSUPPORTED, "%s: status %d", cases[i].to, status);
    ck_assert_msg(strstr(err.msg, cases[i].named) != NULL, "%s: %s", cases[i].to, err.msg);
  }
}
END_TEST

START_TEST(refuses_broken_files) {
  static const struct {
    const char *from, *to;
  } cases[] = {
      {"{", ""},
      {"\"merges\":[", "\"merges\":{}, \"x\":["},
      {"\"merges\":[", "\"merges\":[[\"a\"],"},
      {"\"merges\":[", "\"merges\":[\"a b c\","},
      {"\"merges\":[", "\"merges\":[[\"a\",\"nowhere\"],"},
      {"\"merges\":[", "\"merges\":[7,"},
      {"\"vocab\":{", "\"vocab\":[], \"x\":{"},
      {"\"vocab\":{", "\"vocab\":{\"new\":-1,"},
      {"\"vocab\":{", "\"vocab\":{\"new\":1e30,"},
      {"\"vocab\":{", "\"vocab\":{\"new\":1048576,"},
      {"\"vocab\":{", "\"vocab\":{\"new\":0.5,"},
      {"\"vocab\":{", "\"vocab\":{\"new\":5,"},
      {"\"vocab\":{", "\"vocab\":{\"\\ud800\":700,"},
      {"\"added_tokens\":[", "\"added_tokens\":7, \"x\":["},
      {"\"added_tokens\":[", "\"added_tokens\":[7,"},
      {"\"added_tokens\":[", "\"added_tokens\":[{\"id\":501,\"content\":\"x y\"},"},
      {"\"added_tokens\":[", "\"added_tokens\":[{\"id\":155,\"content\":\"\\u00df\"},"},
      {"\"added_tokens\":[", "\"added_tokens\":[{\"id\":500,\"content\":\"\\udc00\"},"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    mv_status status = parse_changed(cases[i].from, cases[i].to);
    ck_assert_msg(status == MV_ERR_FORMAT, "%s: status %d %s", cases[i].to, status, err.msg);
  }
  mv_tokenizer *tok = NULL;
  ck_assert_int_eq(mv_tokenizer_open(&tok, DATA "nowhere", &err), MV_ERR_IO);
  ck_assert_ptr_nonnull(strstr(err.msg, "tokenizer.json"));
  ck_assert_ptr_null(tok);
}
END_TEST

static int fail_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  long *left = user;
  return (*left)-- > 0;
}

static mv_status open_encode_decode(const char *dir) {
  mv_tokenizer *tok = NULL;
  mv_ids ids = {0};
  mv_buf text = {0};
  mv_status status = mv_tokenizer_open(&tok, dir, &err);
  if (status == MV_OK) {
    status = mv_tokenizer_encode(tok, mv_str_of("user\nthe le\xCC\x81sion <|im_end|>"),
                                 MV_ENCODE_SPECIAL, &ids, &err);
    ck_assert(status == MV_OK || ids.len == 0);
  }
  if (status == MV_OK) status = mv_tokenizer_decode(tok, ids.ids, ids.len, 0, &text, &err);
  mv_buf_free(&text);
  mv_ids_free(&ids);
  mv_tokenizer_close(tok);
  return status;
}

START_TEST(survives_every_failing_allocation) {
  const char *dirs[] = {DATA "small", DATA "small-files"};
  for (int d = 0; d < 2; d++) {
    long k = 0;
    mv_status status = MV_ERR_MEMORY;
    for (; status != MV_OK; k++) {
      long left = k;
      mv_alloc_set_hook(fail_at, &left);
      status = open_encode_decode(dirs[d]);
      mv_alloc_set_hook(NULL, NULL);
      ck_assert_msg(status == MV_OK || status == MV_ERR_MEMORY, "allocation %ld: %s", k, err.msg);
    }
    ck_assert_int_gt(k, 15);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("tokenizer");
  TCase *tc = tcase_create("tokenizer");
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, equals_the_reference_with_merges_as_pairs);
  tcase_add_test(tc, equals_the_reference_with_merges_as_strings_and_no_normalizer);
  tcase_add_test(tc, equals_the_reference_from_vocab_and_merges_files);
  tcase_add_test(tc, cuts_the_text_where_the_regular_expression_does);
  tcase_add_test(tc, equals_the_golden_rows_with_the_real_vocabulary);
  tcase_add_test(tc, encodes_a_long_prompt_quickly);
  tcase_add_test(tc, long_words_and_mark_runs_take_no_quadratic_time);
  tcase_add_test(tc, decoding_gives_back_what_was_encoded);
  tcase_add_test(tc, streamed_pieces_of_any_ids_join_to_the_whole);
  tcase_add_test(tc, holds_back_a_character_until_it_is_whole);
  tcase_add_test(tc, ids_without_a_token_leave_no_text);
  tcase_add_test(tc, emits_a_character_as_soon_as_it_is_whole);
  tcase_add_test(tc, names_the_byte_that_has_no_token);
  tcase_add_test(tc, added_tokens_json_alone_gives_ids_and_qwens_names_are_special);
  tcase_add_test(tc, refuses_text_that_is_not_utf8_naming_the_byte);
  tcase_add_test(tc, refuses_other_families_by_name);
  tcase_add_test(tc, refuses_broken_files);
  tcase_add_test(tc, survives_every_failing_allocation);
  suite_add_tcase(s, tc);
  return s;
}

MV_CHECK_MAIN(suite)
