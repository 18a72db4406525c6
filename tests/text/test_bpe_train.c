/* SPDX-License-Identifier: BSD-3-Clause */
/* Training: known merges, equal files for equal text, round trips, and refusals. */
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
#include "outerloop/text/bpe_train.h"
#include "outerloop/text/tokenizer.h"

static char folder[] = "outerloop-test-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char path[PATH_MAX];

    (void)state;
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    unlink(path);
    return rmdir(folder);
}

static char *read_merges(void)
{
    char path[PATH_MAX], *text;
    size_t size;

    assert_int_equal(ol_path_format(path, "%s/merges.txt", folder), OL_OK);
    assert_int_equal(ol_read_file(path, &text, &size), OL_OK);
    return text;
}

static void known_merges(void **state)
{
    static const char text[] = "low low low lower lower newest newest newest newest";
    char *merges;

    (void)state;
    assert_int_equal(ol_tokenizer_train(text, sizeof text - 1, 262, folder), OL_OK);
    merges = read_merges();
    /* "w e" stands 6 times (2 in lower, 4 in newest), then "l o" 5 times, and then pairs stand 4
     * times each: the smaller ids win, e before n before s before the space. */
    assert_string_equal(merges, "#version: 0.2\nw e\nl o\ne we\nn ewe\ns t\n\xC4\xA0 lo\n");
    free(merges);
}

/* Text of invented words, most of them seldom. */
static char *invent_text(size_t n)
{
    ol_rng rng = ol_rng_stream(3, OL_RNG_TEST, 0, 0);
    char *text = malloc(n), words[4000][12];

    for (size_t w = 0; w < 4000; w++) {
        const size_t length = 2 + ol_rng_below(&rng, 9);

        for (size_t i = 0; i < length; i++)
            words[w][i] = "etaoinshrdlucmfwyp"[ol_rng_below(&rng, 1 + ol_rng_below(&rng, 18))];
        words[w][length] = '\0';
    }
    for (size_t at = 0; at < n;) {
        const double u = ol_rng_uniform(&rng);
        const char *word = words[(size_t)(4000 * u * u)];

        for (size_t i = 0; word[i] && at < n; i++)
            text[at++] = word[i];
        if (at < n)
            text[at++] = ol_rng_below(&rng, 12) ? ' ' : '\n';
    }
    return text;
}

static void same_text_same_files(void **state)
{
    enum { SIZE = 2000000 };
    char *text = invent_text(SIZE), *first, *second;
    ol_tokenizer *tokenizer;
    ol_tokens ids = {0};
    ol_text back = {0};
    double start = ol_clock_seconds();

    (void)state;
    assert_int_equal(ol_tokenizer_train(text, SIZE, 1024, folder), OL_OK);
    printf("# 1024 tokens from %d bytes in %.3f s\n", SIZE, ol_clock_seconds() - start);
    first = read_merges();
    assert_int_equal(ol_tokenizer_train(text, SIZE, 1024, folder), OL_OK);
    second = read_merges();
    assert_string_equal(first, second);

    assert_int_equal(ol_tokenizer_load(folder, &tokenizer), OL_OK);
    assert_int_equal(ol_tokenizer_size(tokenizer), 1024);
    assert_int_equal(ol_tokenizer_encode(tokenizer, text, SIZE, &ids), OL_OK);
    assert_true(ids.n < SIZE / 2); /* it learned something */
    assert_int_equal(ol_tokenizer_decode(tokenizer, ids.ids, ids.n, &back), OL_OK);
    assert_int_equal(back.size, SIZE);
    assert_memory_equal(back.data, text, SIZE);
    ids.n = 0;
    back.size = 0;
    assert_int_equal(ol_tokenizer_encode(tokenizer, "\0\xFF\"\\\xC3\xA9", 6, &ids), OL_OK);
    assert_int_equal(ol_tokenizer_decode(tokenizer, ids.ids, ids.n, &back), OL_OK);
    assert_memory_equal(back.data, "\0\xFF\"\\\xC3\xA9", 6);
    ol_tokens_finish(&ids);
    ol_text_finish(&back);
    ol_tokenizer_destroy(tokenizer);
    free(text);
    free(first);
    free(second);
}

/* Tokens of a word of letters by the plainest reading of merges.txt: line after line, join every
 * such pair from left to right. Returns how many strings are in `tokens`. */
static size_t merge_plainly(const char *merges, const char *word, char tokens[][256])
{
    char left[256], right[256];
    size_t n = strlen(word);

    for (size_t i = 0; i < n; i++)
        snprintf(tokens[i], 256, "%c", word[i]);
    for (const char *line = strchr(merges, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
        size_t kept = 0;

        assert_int_equal(sscanf(line, "%255s %255s", left, right), 2);
        for (size_t i = 0; i < n; i++) {
            const int joins =
                i + 1 < n && strcmp(tokens[i], left) == 0 && strcmp(tokens[i + 1], right) == 0;

            memmove(tokens[kept], tokens[i], 256);
            if (joins)
                strcat(tokens[kept], tokens[++i]);
            kept++;
        }
        n = kept;
    }
    return n;
}

/* Short words, long words and the cache all follow the merges. */
static void plain_merging(void **state)
{
    enum { SIZE = 200000, WORDS = 400 };
    static char tokens[256][256];
    char *text = invent_text(SIZE), *merges, word[256];
    ol_rng rng = ol_rng_stream(4, OL_RNG_TEST, 0, 0);
    ol_tokenizer *tokenizer;

    (void)state;
    assert_int_equal(ol_tokenizer_train(text, SIZE, 700, folder), OL_OK);
    assert_int_equal(ol_tokenizer_load(folder, &tokenizer), OL_OK);
    merges = read_merges();
    for (int w = 0; w < WORDS; w++) {
        const size_t length = 1 + ol_rng_below(&rng, w % 2 ? 12 : 250);
        ol_tokens ids = {0};
        size_t n;

        for (size_t i = 0; i < length; i++)
            word[i] = "etaoinshrdlu"[ol_rng_below(&rng, 1 + ol_rng_below(&rng, 12))];
        word[length] = '\0';
        n = merge_plainly(merges, word, tokens);
        assert_int_equal(ol_tokenizer_encode(tokenizer, word, length, &ids), OL_OK);
        assert_int_equal(ids.n, n);
        for (size_t i = 0; i < n; i++) {
            ol_text token = {0};

            assert_int_equal(ol_tokenizer_decode(tokenizer, ids.ids + i, 1, &token), OL_OK);
            assert_string_equal(token.data, tokens[i]);
            ol_text_finish(&token);
        }
        ol_tokens_finish(&ids);
    }
    ol_tokenizer_destroy(tokenizer);
    free(merges);
    free(text);
}

static void only_bytes(void **state)
{
    ol_tokenizer *tokenizer;
    ol_tokens ids = {0};

    (void)state;
    assert_int_equal(ol_tokenizer_train("", 0, 256, folder), OL_OK);
    assert_int_equal(ol_tokenizer_load(folder, &tokenizer), OL_OK);
    assert_int_equal(ol_tokenizer_encode(tokenizer, "!\"", 2, &ids), OL_OK);
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.ids[0], 0); /* GPT-2's order of bytes */
    assert_int_equal(ids.ids[1], 1);
    ol_tokens_finish(&ids);
    ol_tokenizer_destroy(tokenizer);
}

static void refusals(void **state)
{
    (void)state;
    assert_int_equal(ol_tokenizer_train("text", 4, 255, folder), OL_EUSAGE);
    assert_int_equal(ol_tokenizer_train("abab", 4, 300, folder), OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "257 tokens at most, not 300"));
    assert_int_equal(ol_tokenizer_train("abab", 4, 257, "/proc/none"), OL_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_merges),  cmocka_unit_test(same_text_same_files),
        cmocka_unit_test(plain_merging), cmocka_unit_test(only_bytes),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests_name("bpe_train", tests, make_folder, remove_folder);
}
