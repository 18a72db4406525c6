/* SPDX-License-Identifier: BSD-3-Clause */
/* Text, UTF-8, the nearest name, digests, durations and the message of a failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "outerloop/base/clock.h"
#include "outerloop/base/digest.h"
#include "outerloop/base/file.h"
#include "outerloop/base/status.h"
#include "outerloop/base/text.h"

static void test_growing_text(void **state)
{
    ol_text text = {0};

    (void)state;
    assert_int_equal(ol_text_append(&text, NULL, 0), OL_OK);
    assert_string_equal(text.data, "");
    assert_int_equal(ol_text_append(&text, "a\0b", 3), OL_OK);
    assert_int_equal(ol_text_format(&text, "%d|%s", 42, "x"), OL_OK);
    assert_int_equal(text.size, 7);
    assert_memory_equal(text.data, "a\0b42|x", 8);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ol_text_format(&text, "%03d", i), OL_OK);
    assert_int_equal(text.size, 3007);
    assert_int_equal(strlen(text.data + 7), 3000);
    assert_memory_equal(text.data + 3004, "999", 4);
    ol_text_finish(&text);
    ol_text_finish(&text);
    ol_text_finish(NULL);
}

static void test_utf8(void **state)
{
    static const struct {
        const char *bytes;
        size_t size, valid;
    } cases[] = {
        {"", 0, 0},
        {"plain", 5, 5},
        {"a\0b", 3, 3},
        {"\xC3\xA9", 2, 2},                 /* U+00E9 */
        {"\xE2\x82\xAC", 3, 3},             /* U+20AC */
        {"\xF0\x9F\x98\x80", 4, 4},         /* U+1F600 */
        {"\xF4\x8F\xBF\xBF", 4, 4},         /* U+10FFFF, the last */
        {"\xED\x9F\xBF\xEE\x80\x80", 6, 6}, /* both sides of the surrogates */
        {"ab\xFF", 3, 2},                   /* no such byte */
        {"ab\x80", 3, 2},                   /* a continuation of nothing */
        {"ab\xC3", 3, 2},                   /* cut */
        {"ab\xE2\x82", 4, 2},               /* cut */
        {"ab\xF0\x9F\x98", 5, 2},           /* cut */
        {"ab\xC3z", 4, 2},                  /* not continued */
        {"\xC0\xAF", 2, 0},                 /* overlong, 2 bytes */
        {"\xC1\xBF", 2, 0},                 /* overlong, 2 bytes */
        {"\xE0\x9F\xBF", 3, 0},             /* overlong, 3 bytes */
        {"\xF0\x8F\xBF\xBF", 4, 0},         /* overlong, 4 bytes */
        {"\xED\xA0\x80", 3, 0},             /* a surrogate */
        {"\xED\xBF\xBF", 3, 0},             /* a surrogate */
        {"\xF4\x90\x80\x80", 4, 0},         /* U+110000 */
        {"\xF5\x80\x80\x80", 4, 0},         /* beyond */
        {"\xF8\x88\x80\x80\x80", 5, 0},     /* five bytes */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (ol_utf8_valid(cases[i].bytes, cases[i].size) != cases[i].valid)
            fail_msg("case %zu: %zu bytes are valid, not %zu", i,
                     ol_utf8_valid(cases[i].bytes, cases[i].size), cases[i].valid);
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(ol_text_distance("", ""), 0);
    assert_int_equal(ol_text_distance("", "abc"), 3);
    assert_int_equal(ol_text_distance("train", "train"), 0);
    assert_int_equal(ol_text_distance("train", "trains"), 1);
    assert_int_equal(ol_text_distance("train", "tain"), 1);
    assert_int_equal(ol_text_distance("train", "brain"), 1);
    assert_int_equal(ol_text_distance("trian", "train"), 1);
    assert_int_equal(ol_text_distance("rl", "lr"), 1);
    assert_int_equal(ol_text_distance("badc", "abcd"), 2);
    assert_int_equal(ol_text_distance("nonsense", "tokens"), 4);
    assert_int_equal(ol_text_distance("ca", "abc"), 3); /* no letter is moved twice */
}

static void test_nearest(void **state)
{
    static const char *const names[] = {"steps", "seed", "learner", "moments"};
    const char *const other = "tokens";
    char endless[200];

    (void)state;
    assert_string_equal(ol_text_nearest("step", names, 4), "steps");
    assert_string_equal(ol_text_nearest("setps", names, 4), "steps");
    assert_string_equal(ol_text_nearest("sede", names, 4), "seed");
    assert_string_equal(ol_text_nearest("leaner", names, 4), "learner");
    assert_string_equal(ol_text_nearest("moment", names, 4), "moments");
    assert_null(ol_text_nearest("xyzzy", names, 4));
    assert_null(ol_text_nearest("nonsense", &other, 1)); /* 4 of 8 letters away: another word */
    assert_null(ol_text_nearest("steps", names, 0));
    memset(endless, 's', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    ol_text_nearest(endless, names, 4); /* longer than any name: must only not overrun */
}

static void test_digest(void **state)
{
    char empty[OL_DIGEST_TEXT], a[OL_DIGEST_TEXT], b[OL_DIGEST_TEXT];
    const float zeros[2] = {0.0f, -0.0f};

    (void)state;
    ol_digest("", 0, empty);
    assert_string_equal(empty, "99aa06d3014798d86001c324468d497f"); /* XXH3-128 of nothing */
    ol_digest(zeros, 4, a);
    ol_digest(zeros + 1, 4, b);
    assert_int_equal(strlen(a), 32);
    assert_string_not_equal(a, b); /* of bits, not of values */
}

static void test_duration(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{41, "41 s"}, {200, "3 min 20 s"}, {2 * 3600 + 5 * 60, "2 h 05 min"}};
    char text[32];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ol_clock_duration(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
    ol_clock_utc(text);
    assert_int_equal(strlen(text), 20);
    assert_true(text[4] == '-' && text[10] == 'T' && text[19] == 'Z');
    assert_true(ol_clock_peak_bytes() > 1 << 16);
    const double begin = ol_clock_seconds();

    assert_true(ol_clock_seconds() >= begin);
}

static void test_columns(void **state)
{
    static const struct {
        const char *cell, *left, *right;
        int width;
    } cells[] = {
        {"äb", "äb  ", "  äb", 4},
        {"äbcd", "äbcd", "äbcd", 4},
        {"private-labels-613", "private…els-613", "private…els-613", 15},
        {"€€€€€€", "€€…€", "€€…€", 4},
        {"", "  ", "  ", 2},
        {"abc", "ab", "ab", 2},
    };

    (void)state;
    assert_int_equal(ol_text_columns("a → ß"), 5);
    assert_int_equal(ol_text_fit("a → ß", 3), 5);
    assert_int_equal(ol_text_fit("ab", 9), 2);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        for (int left = 0; left < 2; left++) {
            ol_text text = {0};

            assert_int_equal(ol_text_cell(&text, cells[i].cell, cells[i].width, left), OL_OK);
            assert_string_equal(text.data, left ? cells[i].left : cells[i].right);
            assert_int_equal(ol_text_columns(text.data), cells[i].width);
            ol_text_finish(&text);
        }
}

static void test_wrap(void **state)
{
    static const struct {
        const char *words, *wrapped;
        int indent, width;
    } cases[] = {
        {"one two three", "one two\nthree\n", 0, 8},
        {"one two three", "one two three\n", 0, 0},
        {"one two three", "one\n    two\n    three\n", 4, 10},
        {"ä ö endless ü", "ä ö\nendless\nü\n", 0, 3},
        {"", "\n", 0, 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ol_text text = {0};

        assert_int_equal(ol_text_wrap(&text, cases[i].words, cases[i].indent, cases[i].width),
                         OL_OK);
        assert_string_equal(text.data, cases[i].wrapped);
        ol_text_finish(&text);
    }
}

static ol_status inner(int value)
{
    OL_CHECK(value > 0, OL_EUSAGE, "value %d must be positive", value);
    return OL_OK;
}

static ol_status outer(int value)
{
    OL_TRY(inner(value));
    return OL_OK;
}

static void test_lines(void **state)
{
    const char *at = "one\n\nlast", *none = NULL, *ended = "\n";
    size_t n = 9;

    (void)state;
    assert_memory_equal(ol_text_line(&at, &n), "one", 3);
    assert_int_equal(n, 3);
    assert_non_null(ol_text_line(&at, &n));
    assert_int_equal(n, 0);
    assert_memory_equal(ol_text_line(&at, &n), "last", 4);
    assert_int_equal(n, 4);
    assert_null(ol_text_line(&at, &n));
    assert_null(ol_text_line(&none, &n));
    assert_non_null(ol_text_line(&ended, &n));
    assert_null(ol_text_line(&ended, &n)); /* an end of line begins no other */
}

static void test_status(void **state)
{
    char endless[6000];

    (void)state;
    assert_int_equal(outer(1), OL_OK);
    assert_int_equal(outer(-3), OL_EUSAGE);
    assert_string_equal(ol_status_message(), "value -3 must be positive");
    assert_non_null(strstr(ol_status_trace(), "outer"));
    memset(endless, 'x', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(ol_fail(OL_EIO, "%s", endless), OL_EIO);
    assert_int_equal(strlen(ol_status_message()), 4095);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing_text), cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_distance),     cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_digest),       cmocka_unit_test(test_duration),
        cmocka_unit_test(test_status),       cmocka_unit_test(test_columns),
        cmocka_unit_test(test_wrap),         cmocka_unit_test(test_lines),
    };

    return cmocka_run_group_tests_name("text and status", tests, NULL, NULL);
}
