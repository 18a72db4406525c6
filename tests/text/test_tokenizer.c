/* SPDX-License-Identifier: BSD-3-Clause */
/* GPT-2's ids for known texts, bytes without loss, long runs, speed, and refused folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "outerloop/base/clock.h"
#include "outerloop/base/file.h"
#include "outerloop/base/rng.h"
#include "outerloop/text/split.h"
#include "outerloop/text/tokenizer.h"

static ol_tokenizer *gpt2; /* NULL without the reference folder */

static int load(void **state)
{
    const char *reference = getenv("OUTERLOOP_REFERENCE");
    char folder[PATH_MAX];

    (void)state;
    if (reference && reference[0]) {
        assert_int_equal(ol_path_format(folder, "%s/data/gpt2", reference), OL_OK);
        const double start = ol_clock_seconds();

        if (ol_tokenizer_load(folder, &gpt2) != OL_OK)
            fail_msg("%s", ol_status_message());
        printf("# GPT-2's vocabulary loaded in %.3f s\n", ol_clock_seconds() - start);
    }
    return 0;
}

static int unload(void **state)
{
    (void)state;
    ol_tokenizer_destroy(gpt2);
    return 0;
}

static void need_gpt2(void)
{
    if (!gpt2) {
        print_message("# configure with -Dreference=FOLDER to run this test\n");
        skip();
    }
}

static void check_ids(const char *text, const int32_t *ids, size_t n)
{
    ol_tokens got = {0};

    assert_int_equal(ol_tokenizer_encode(gpt2, text, strlen(text), &got), OL_OK);
    assert_int_equal(got.n, n);
    assert_memory_equal(got.ids, ids, n * sizeof *ids);
    ol_tokens_finish(&got);
}

static void known_ids(void **state)
{
    (void)state;
    need_gpt2();
    assert_int_equal(ol_tokenizer_size(gpt2), 50257);
    check_ids("Hello world", (int32_t[]){15496, 995}, 2);
    check_ids("\n\n\nHello world", (int32_t[]){628, 198, 15496, 995}, 4);
    check_ids("\nTrue", (int32_t[]){198, 17821}, 2);
    check_ids("I'll don't", (int32_t[]){40, 1183, 836, 470}, 4);
    check_ids("", NULL, 0);
}

/* The pieces of a text, separated by '|'. */
static void check_pieces(const char *text, size_t n, const char *expected)
{
    ol_splitter *splitter;
    ol_text got = {0};
    size_t length, at = 0;

    assert_int_equal(ol_splitter_create(&splitter), OL_OK);
    assert_int_equal(ol_splitter_add(splitter, "GPT-2", OL_GPT2_PATTERN), OL_OK);
    ol_splitter_start(splitter, text, n);
    while (ol_splitter_next(splitter, &length) == OL_OK && length > 0) {
        assert_int_equal(ol_text_append(&got, text + at, length), OL_OK);
        assert_int_equal(ol_text_append(&got, "|", 1), OL_OK);
        at += length;
    }
    assert_int_equal(at, n);
    assert_string_equal(got.data ? got.data : "", expected);
    ol_text_finish(&got);
    ol_splitter_destroy(splitter);
}

static void pieces(void **state)
{
#define CHECK(text, expected) check_pieces(text, sizeof text - 1, expected)
    (void)state;
    CHECK("\n\n\nHello world", "\n\n|\n|Hello| world|");
    CHECK("  it's 12  ", " | it|'s| 12|  |");
    CHECK("a\tb  c", "a|\t|b| | c|");
    CHECK("IT'S", "IT|'|S|");
    CHECK("\xC3\xA9t\xC3\xA9 \xE4\xB8\xAD\xE6\x96\x87\xEF\xBC\x8C",
          "\xC3\xA9t\xC3\xA9| \xE4\xB8\xAD\xE6\x96\x87|\xEF\xBC\x8C|");
    CHECK("a\xC2\xA0 b", "a|\xC2\xA0| b|"); /* no-break space is white space   */
    CHECK("a\xE1\xA0\x8E"
          "b",
          "a|\xE1\xA0\x8E|b|"); /* U+180E is not                   */
    CHECK("a \xE1\xA0\x8E"
          "b",
          "a| \xE1\xA0\x8E|b|");
    CHECK("ab \xFF\xFE cd", "ab| |\xFF\xFE| cd|"); /* bytes that are not UTF-8 apart  */
    CHECK("\xE4\xB8", "\xE4\xB8|");                /* a cut character                 */
#undef CHECK
}

static void round_trip(ol_tokenizer *tokenizer, const char *bytes, size_t n)
{
    ol_tokens ids = {0};
    ol_text back = {0};

    assert_int_equal(ol_tokenizer_encode(tokenizer, bytes, n, &ids), OL_OK);
    assert_int_equal(ol_tokenizer_decode(tokenizer, ids.ids, ids.n, &back), OL_OK);
    assert_int_equal(back.size, n);
    if (n > 0)
        assert_memory_equal(back.data, bytes, n);
    ol_tokens_finish(&ids);
    ol_text_finish(&back);
}

static void any_bytes(void **state)
{
    ol_rng rng = ol_rng_stream(1, OL_RNG_TEST, 0, 0);
    char bytes[3000];

    (void)state;
    need_gpt2();
    for (int trial = 0; trial < 200; trial++) {
        const size_t n = ol_rng_below(&rng, sizeof bytes);
        const uint32_t range = trial % 2 ? 256 : 3; /* also long runs of few letters */

        for (size_t i = 0; i < n; i++)
            bytes[i] =
                (char)(range == 3 ? "a \n"[ol_rng_below(&rng, 3)] : (int)ol_rng_below(&rng, range));
        round_trip(gpt2, bytes, n);
    }
}

/* Short and long pieces go through different code: both must follow the merges alike. */
static void long_pieces(void **state)
{
    static const char syllables[] = "thereinanonertionsational";
    ol_rng rng = ol_rng_stream(2, OL_RNG_TEST, 0, 0);
    ol_tokens ids = {0};
    ol_text back = {0};
    char word[4096];

    (void)state;
    need_gpt2();
    for (size_t i = 0; i < sizeof word; i++)
        word[i] = syllables[ol_rng_below(&rng, sizeof syllables - 1)];
    assert_int_equal(ol_tokenizer_encode(gpt2, word, sizeof word, &ids), OL_OK);
    assert_int_equal(ol_tokenizer_decode(gpt2, ids.ids, ids.n, &back), OL_OK);
    assert_memory_equal(back.data, word, sizeof word);
    for (size_t i = 0; i + 1 < ids.n; i++) { /* no two neighbours may still have a merge */
        ol_tokens pair = {0};
        ol_text text = {0};

        assert_int_equal(ol_tokenizer_decode(gpt2, ids.ids + i, 1, &text), OL_OK);
        assert_int_equal(ol_tokenizer_encode(gpt2, text.data, text.size, &pair), OL_OK);
        assert_int_equal(pair.n, 1);
        assert_int_equal(pair.ids[0], ids.ids[i]);
        ol_tokens_finish(&pair);
        ol_text_finish(&text);
    }
    ol_tokens_finish(&ids);
    ol_text_finish(&back);
}

static double seconds_for(const char *text, size_t n, size_t *n_ids)
{
    ol_tokens ids = {0};
    const double start = ol_clock_seconds();

    assert_int_equal(ol_tokenizer_encode(gpt2, text, n, &ids), OL_OK);
    *n_ids = ids.n;
    ol_tokens_finish(&ids);
    return ol_clock_seconds() - start;
}

static void speed(void **state)
{
    enum { MEGABYTE = 1 << 20 };
    const char *reference = getenv("OUTERLOOP_REFERENCE");
    char path[PATH_MAX], *file, *text = malloc(MEGABYTE);
    size_t size, n;
    double seconds;

    (void)state;
    need_gpt2();
    assert_int_equal(ol_path_format(path,
                                    "%s/data/bbh/data/bbh-formal_fallacies/"
                                    "bbh-formal_fallacies_16_100_test.jsonl",
                                    reference),
                     OL_OK);
    assert_int_equal(ol_read_file(path, &file, &size), OL_OK);
    for (size_t i = 0; i < MEGABYTE; i++)
        text[i] = file[i % size];
    seconds = seconds_for(text, MEGABYTE, &n);
    printf("# 1 MiB of English: %zu tokens in %.3f s\n", n, seconds);
    assert_in_range(n, MEGABYTE / 8, MEGABYTE / 2);
    for (int letter = 0; letter < 4; letter++) {
        memset(text, "a \n\xFF"[letter], MEGABYTE);
        seconds = seconds_for(text, MEGABYTE, &n);
        printf("# 1 MiB of 0x%02X: %zu tokens in %.3f s\n", "a \n\xFF"[letter] & 0xFF, n, seconds);
        assert_true(seconds < 30); /* quadratic work would take hours */
    }
    free(file);
    free(text);
}

/* A folder with the 256 bytes and what a test adds to it. */
static void write_folder(const char *folder, const char *more_vocab, const char *merges)
{
    char path[PATH_MAX];
    ol_text vocab = {0};
    int id = 0;

    assert_int_equal(ol_text_format(&vocab, "{"), OL_OK);
    for (int byte = 0, other = 256; byte < 256; byte++) {
        const int printed = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
        const int c = printed ? byte : other++;

        assert_int_equal(ol_text_format(&vocab, "%s\"\\u%04x\": %d", id > 0 ? ", " : "", c, id),
                         OL_OK);
        id++;
    }
    assert_int_equal(ol_text_format(&vocab, "%s}\n", more_vocab), OL_OK);
    assert_int_equal(ol_make_folders(folder), OL_OK);
    assert_int_equal(ol_path_format(path, "%s/vocab.json", folder), OL_OK);
    assert_int_equal(ol_write_file(path, vocab.data, vocab.size), OL_OK);
    assert_int_equal(ol_path_format(path, "%s/merges.txt", folder), OL_OK);
    assert_int_equal(ol_write_file(path, merges, strlen(merges)), OL_OK);
    ol_text_finish(&vocab);
}

static void check_refused(const char *more_vocab, const char *merges, const char *words)
{
    char folder[] = "outerloop-test-XXXXXX", path[PATH_MAX];
    ol_tokenizer *tokenizer;

    assert_non_null(mkdtemp(folder));
    write_folder(folder, more_vocab, merges);
    assert_int_equal(ol_tokenizer_load(folder, &tokenizer), OL_EDATA);
    assert_null(tokenizer);
    if (!strstr(ol_status_message(), words))
        fail_msg("\"%s\" is not in \"%s\"", words, ol_status_message());
    assert_int_equal(ol_path_format(path, "%s/vocab.json", folder), OL_OK);
    unlink(path);
    assert_int_equal(ol_path_format(path, "%s/merges.txt", folder), OL_OK);
    unlink(path);
    rmdir(folder);
}

static void refused_folders(void **state)
{
    ol_tokenizer *tokenizer;

    (void)state;
    check_refused(", \"ab\": 256", "#version: 0.2\na b\na c\n", "merges.txt:3: \"ac\" is not in");
    check_refused("", "#version: 0.2\nxy z\n", "merges.txt:2: \"xy\"");
    check_refused(", \"ab\": 256", "#version: 0.2\na b\na b\n", "merges.txt:3: \"a b\" stands");
    check_refused(", \"ab\": 256", "#version: 0.2\na b c\n", "merges.txt:2: a merge is");
    check_refused(", \"ab\": 256", "#version: 0.2\n\na b\n", "merges.txt:2: a merge is");
    check_refused(", \"ab\": 7", "#version: 0.2\na b\n", "id 7 is given twice");
    check_refused(", \"ab\": -1", "#version: 0.2\na b\n", "has no id");
    check_refused(", \"ab\": \"x\"", "#version: 0.2\na b\n", "has no id");
    check_refused(", \"ab\": 256,", "#version: 0.2\na b\n", "vocab.json:1: not JSON");
    check_refused(", \"ab\": 256", "#version: 0.2\na \xFF\n", "merges.txt:2: not UTF-8");
    assert_int_equal(ol_tokenizer_load("/nonexistent", &tokenizer), OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "vocab.json"));
}

static void unknown_id(void **state)
{
    ol_text text = {0};

    (void)state;
    need_gpt2();
    assert_int_equal(ol_tokenizer_decode(gpt2, (int32_t[]){50257}, 1, &text), OL_EDATA);
    assert_int_equal(ol_tokenizer_decode(gpt2, (int32_t[]){-1}, 1, &text), OL_EDATA);
    assert_int_equal(ol_tokenizer_decode(gpt2, (int32_t[]){50256}, 1, &text), OL_OK);
    assert_string_equal(text.data, "<|endoftext|>");
    ol_text_finish(&text);
    ol_tokenizer_destroy(NULL);
    ol_splitter_destroy(NULL);
    ol_tokens_finish(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_ids),   cmocka_unit_test(pieces), cmocka_unit_test(any_bytes),
        cmocka_unit_test(long_pieces), cmocka_unit_test(speed),  cmocka_unit_test(refused_folders),
        cmocka_unit_test(unknown_id),
    };

    return cmocka_run_group_tests_name("tokenizer", tests, load, unload);
}
