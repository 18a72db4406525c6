/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "outerloop/base/file.h"
#include "outerloop/store/archive.h"
#include "scratch.h"

enum { LONG = 3000 };

static const char *file(void)
{
    return scratch_path("archive.h5");
}

/* A file with one of everything. */
static void write_sample(void)
{
    const int64_t matrix[] = {2, 3}, vector[] = {LONG}, none[] = {0};
    const float small[] = {1, 2, 3, 4, 5, 6};
    const int32_t tokens[] = {7, -8, 9, 10, 11, 12};
    const uint8_t mask[] = {0, 1, 1, 0, 1, 255};
    double *reals = calloc(LONG, sizeof *reals);
    const int64_t answer = 42;
    ol_archive *a;

    for (int i = 0; i < LONG; i++)
        reals[i] = 1.0 / (1 + i);
    assert_int_equal(ol_archive_create(file(), &a), OL_OK);
    assert_int_equal(ol_archive_write(a, "params/h.0.weight", 2, matrix, small), OL_OK);
    assert_int_equal(ol_archive_write(a, "/deep/down/here/reals", 1, vector, reals), OL_OK);
    assert_int_equal(ol_archive_write(a, "tokens", 2, matrix, tokens), OL_OK);
    assert_int_equal(ol_archive_write(a, "mask", 1, (const int64_t[]){6}, mask), OL_OK);
    assert_int_equal(ol_archive_write(a, "answer", 0, NULL, &answer), OL_OK);
    assert_int_equal(ol_archive_write(a, "empty", 1, none, small), OL_OK);
    assert_int_equal(ol_archive_write_text(a, "job", "name = \"θ\";\n"), OL_OK);
    assert_int_equal(ol_archive_make_group(a, "bare/group"), OL_OK);
    assert_int_equal(ol_archive_make_group(a, "bare/group"), OL_OK);
    assert_int_equal(ol_archive_set_i64(a, "/", "step", -5), OL_OK);
    assert_int_equal(ol_archive_set_i64(a, "/", "step", INT64_MAX), OL_OK);
    assert_int_equal(ol_archive_set_f64(a, "params", "lr", 0.1), OL_OK);
    assert_int_equal(ol_archive_set_text(a, "params/h.0.weight", "units", "1/θ"), OL_OK);
    assert_int_equal(ol_archive_set_text(a, "/", "none", ""), OL_OK);
    assert_int_equal(ol_archive_close(a), OL_OK);
    free(reals);
}

static ol_archive *open_sample(void)
{
    ol_archive *a;

    write_sample();
    assert_int_equal(ol_archive_open(file(), &a), OL_OK);
    return a;
}

static void test_arrays_come_back(void **state)
{
    ol_archive *a = open_sample();
    float small[6], *reals = calloc(LONG, sizeof *reals);
    double wide[6];
    int64_t tokens[6], answer;
    int32_t narrow[6];
    uint8_t mask[6];

    (void)state;
    assert_int_equal(ol_archive_read(a, "params/h.0.weight", 6, small), OL_OK);
    assert_true(small[0] == 1 && small[5] == 6);
    assert_int_equal(ol_archive_read(a, "params/h.0.weight", 6, wide), OL_OK);
    assert_true(wide[5] == 6);
    assert_int_equal(ol_archive_read(a, "deep/down/here/reals", LONG, reals), OL_OK);
    for (int i = 0; i < LONG; i++)
        assert_true(reals[i] == (float)(1.0 / (1 + i)));
    assert_int_equal(ol_archive_read(a, "tokens", 6, tokens), OL_OK);
    assert_true(tokens[0] == 7 && tokens[1] == -8);
    assert_int_equal(ol_archive_read(a, "mask", 6, narrow), OL_OK);
    assert_int_equal(narrow[5], 255);
    assert_int_equal(ol_archive_read(a, "mask", 6, mask), OL_OK);
    assert_int_equal(mask[1], 1);
    assert_int_equal(ol_archive_read(a, "answer", 1, &answer), OL_OK);
    assert_int_equal(answer, 42);
    assert_int_equal(ol_archive_read(a, "empty", 0, small), OL_OK);
    assert_int_equal(ol_archive_read(a, "tokens", 6, wide), OL_OK);
    assert_true(wide[1] == -8);
    free(reals);
    assert_int_equal(ol_archive_close(a), OL_OK);
}

static void test_shapes_and_names(void **state)
{
    ol_archive *a = open_sample();
    ol_strings names;
    size_t count;

    (void)state;
    assert_int_equal(ol_archive_count(a, "tokens", &count), OL_OK);
    assert_int_equal(count, 6);
    assert_int_equal(ol_archive_count(a, "answer", &count), OL_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ol_archive_children(a, "/", &names), OL_OK);
    assert_int_equal(names.n, 8);
    assert_string_equal(names.items[0], "answer");
    assert_string_equal(names.items[7], "tokens");
    ol_strings_finish(&names);
    assert_int_equal(ol_archive_attributes(a, "params", &names), OL_OK);
    assert_int_equal(names.n, 1);
    assert_string_equal(names.items[0], "lr");
    ol_strings_finish(&names);
    assert_true(ol_archive_has(a, "deep/down"));
    assert_true(ol_archive_is_group(a, "bare/group"));
    assert_false(ol_archive_is_group(a, "tokens"));
    assert_false(ol_archive_has(a, "deep/up/here"));
    ol_archive_close(a);
}

static void test_attributes_and_texts(void **state)
{
    ol_archive *a = open_sample();
    double lr, pair[2];
    int64_t step;
    char *text;

    (void)state;
    assert_int_equal(ol_archive_get_i64(a, "/", "step", &step), OL_OK);
    assert_true(step == INT64_MAX);
    assert_int_equal(ol_archive_get_f64(a, "params", "lr", &lr), OL_OK);
    assert_true(lr == 0.1);
    assert_int_equal(ol_archive_get_f64(a, "/", "step", &lr), OL_OK);
    assert_int_equal(ol_archive_get_f64s(a, "params", "lr", 1, &lr), OL_OK);
    assert_int_equal(ol_archive_get_f64s(a, "params", "lr", 2, pair), OL_EDATA);
    assert_int_equal(ol_archive_get_text(a, "params/h.0.weight", "units", &text), OL_OK);
    assert_string_equal(text, "1/θ");
    free(text);
    assert_int_equal(ol_archive_get_text(a, "/", "none", &text), OL_OK);
    assert_string_equal(text, "");
    free(text);
    assert_int_equal(ol_archive_read_text(a, "job", &text), OL_OK);
    assert_string_equal(text, "name = \"θ\";\n");
    free(text);
    assert_int_equal(ol_archive_show(a, "params", "lr", &text), OL_OK);
    assert_string_equal(text, "0.1");
    free(text);
    ol_archive_close(a);
}

/* The message must have these words. */
static void assert_says(const char *words)
{
    if (!strstr(ol_status_message(), words))
        fail_msg("\"%s\" is not in: %s", words, ol_status_message());
}

static void test_misuse_is_named(void **state)
{
    ol_archive *a = open_sample();
    double number, two[2];
    int64_t integers[6];
    float reals[6];
    char *text;

    (void)state;
    assert_int_equal(ol_archive_read(a, "tokens", 5, reals), OL_EDATA);
    assert_says("tokens: has 6 elements, 5 expected");
    assert_int_equal(ol_archive_read(a, "params/h.1.weight", 6, reals), OL_EDATA);
    assert_says("params/h.1.weight: the file has no such dataset");
    assert_int_equal(ol_archive_read(a, "params", 6, reals), OL_EDATA);
    assert_says("params: is not a dataset");
    assert_int_equal(ol_archive_read(a, "params/h.0.weight", 6, integers), OL_EDATA);
    assert_says("does not hold integers");
    assert_int_equal(ol_archive_read(a, "job", 1, reals), OL_EDATA);
    assert_says("does not hold numbers");
    assert_int_equal(ol_archive_read_text(a, "tokens", &text), OL_EDATA);
    assert_says("does not hold text");
    assert_int_equal(ol_archive_get_i64(a, "params", "lr", integers), OL_EDATA);
    assert_says("\"lr\" is not an integer");
    assert_int_equal(ol_archive_get_f64(a, "params", "rate", &number), OL_EDATA);
    assert_says("has no attribute \"rate\"");
    assert_int_equal(ol_archive_get_f64s(a, "params", "lr", 2, two), OL_EDATA);
    assert_says("has 1 values, 2 expected");
    assert_int_equal(ol_archive_get_text(a, "params", "lr", &text), OL_EDATA);
    assert_int_equal(ol_archive_set_i64(a, "/", "step", 1), OL_EDATA); /* opened to read */
    ol_archive_close(a);
}

static void test_bad_files_are_named(void **state)
{
    ol_archive *a;
    char *bytes;
    size_t size;

    (void)state;
    assert_int_equal(ol_archive_open(scratch_path("absent.h5"), &a), OL_EDATA);
    assert_says("No such file");
    assert_int_equal(ol_archive_open(scratch_path("."), &a), OL_EDATA);
    assert_says("is a folder");
    assert_int_equal(ol_write_file(scratch_path("text.h5"), "hello\n", 6), OL_OK);
    assert_int_equal(ol_archive_open(scratch_path("text.h5"), &a), OL_EDATA);
    assert_says("is not an HDF5 file");
    assert_int_equal(ol_archive_create(scratch_path("no/such/folder.h5"), &a), OL_EIO);
    assert_null(a);

    write_sample();
    assert_int_equal(ol_read_file(file(), &bytes, &size), OL_OK);
    for (size_t cut = 1; cut < size; cut = cut * 2 + 1) { /* every length is refused */
        assert_int_equal(ol_write_file(scratch_path("cut.h5"), bytes, size - cut), OL_OK);
        assert_int_equal(ol_archive_open(scratch_path("cut.h5"), &a), OL_EDATA);
        assert_says(scratch_path("cut.h5"));
    }
    assert_int_equal(ol_write_file(scratch_path("cut.h5"), bytes, size / 2), OL_OK);
    assert_int_equal(ol_archive_open(scratch_path("cut.h5"), &a), OL_EDATA);
    assert_says("truncated");

    const double third = 1.0 / 3; /* element 2 of the checksummed array */
    char *at = memmem(bytes, size, &third, sizeof third);
    assert_non_null(at);
    *at = (char)(*at ^ 1);
    assert_int_equal(ol_write_file(scratch_path("flip.h5"), bytes, size), OL_OK);
    assert_int_equal(ol_archive_open(scratch_path("flip.h5"), &a), OL_EDATA);
    assert_says("deep/down/here/reals");
    assert_says("Fletcher32");
    free(bytes);
}

static void test_writing_refuses(void **state)
{
    const int64_t dims[] = {2};
    const float x[] = {1, 2};
    ol_archive *a;

    (void)state;
    assert_int_equal(ol_archive_create(file(), &a), OL_OK);
    assert_int_equal(ol_archive_write(a, "x", 1, dims, x), OL_OK);
    assert_int_equal(ol_archive_write(a, "x", 1, dims, x), OL_EIO);
    assert_int_equal(ol_archive_write(a, "x/y", 1, dims, x), OL_EIO);
    assert_int_equal(ol_archive_write_text(a, "t", "\xff"), OL_EDATA);
    assert_int_equal(ol_archive_set_text(a, "/", "t", "\xc3"), OL_EDATA);
    assert_int_equal(ol_archive_close(a), OL_OK);
    assert_int_equal(ol_archive_close(NULL), OL_OK);
    ol_strings_finish(NULL);
}

/* Files of h5py: variable and fixed strings, booleans, small integers. */
static void test_oracle_files(void **state)
{
    const char *reference = getenv("OUTERLOOP_REFERENCE");
    char path[PATH_MAX], *text;
    double error;
    int64_t version;
    ol_archive *a;
    size_t count;

    (void)state;
    if (!reference || !*reference) {
        print_message("# no reference folder given: -Dreference=FOLDER\n");
        skip();
    }
    assert_int_equal(ol_path_format(path, "%s/oracle/meta_step/adamw-carry-k1.h5", reference),
                     OL_OK);
    assert_int_equal(ol_archive_open(path, &a), OL_OK);
    assert_int_equal(ol_archive_get_text(a, "/", "format", &text), OL_OK);
    assert_string_equal(text, "meta-step-verification");
    free(text);
    assert_int_equal(ol_archive_get_i64(a, "/", "version", &version), OL_OK);
    assert_int_equal(version, 1);
    assert_int_equal(ol_archive_get_f64(a, "/", "float32_error", &error), OL_OK);
    assert_true(error > 0 && error < 1);
    assert_int_equal(ol_archive_count(a, "tasks/0/support/tokens", &count), OL_OK);
    assert_true(count > 1);
    ol_archive_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays_come_back),     cmocka_unit_test(test_shapes_and_names),
        cmocka_unit_test(test_attributes_and_texts), cmocka_unit_test(test_misuse_is_named),
        cmocka_unit_test(test_bad_files_are_named),  cmocka_unit_test(test_writing_refuses),
        cmocka_unit_test(test_oracle_files),
    };

    return cmocka_run_group_tests_name("archive", tests, scratch_setup, scratch_teardown);
}
