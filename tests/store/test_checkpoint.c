/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "outerloop/base/file.h"
#include "outerloop/base/log.h"
#include "outerloop/store/checkpoint.h"
#include "scratch.h"

enum { WTE = 64 * 48, BIAS = 48 };

static float values[3][WTE + BIAS]; /* param, m, v of both tensors */
static ol_checkpoint_tensor tensors[2];
static const ol_checkpoint_note model[] = {{.name = "width", .kind = OL_NOTE_I64, .i = 48},
                                           {.name = "eps", .kind = OL_NOTE_F64, .f = 1e-5},
                                           {.name = "arch", .kind = OL_NOTE_TEXT, .text = "gpt2"}};
static const ol_checkpoint_note notes[] = {{.name = "step_rows", .kind = OL_NOTE_I64, .i = 7}};
static const char *folder;

static ol_checkpoint_spec spec_of(int64_t step)
{
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < WTE + BIAS; i++)
            values[k][i] = (float)(step * 10 + k) + (float)i / 7.0f;
    tensors[0] = (ol_checkpoint_tensor){.name = "wte.weight",
                                        .rank = 2,
                                        .dims = {64, 48},
                                        .param = values[0],
                                        .m = values[1],
                                        .v = values[2]};
    tensors[1] = (ol_checkpoint_tensor){.name = "h.0.attn.c_attn.bias",
                                        .rank = 1,
                                        .dims = {BIAS},
                                        .param = values[0] + WTE,
                                        .m = values[1] + WTE,
                                        .v = values[2] + WTE};
    return (ol_checkpoint_spec){.step = step,
                                .moments_step = 3 * step,
                                .seed = UINT64_MAX - 1,
                                .rng = "Philox4x32-10",
                                .run_id = "run-a",
                                .job = "name = \"j\";\n",
                                .tensors = tensors,
                                .n_tensors = 2,
                                .model = model,
                                .n_model = 3,
                                .notes = notes,
                                .n_notes = 1};
}

static void write_step(int64_t step, const char *run_id)
{
    ol_checkpoint_spec spec = spec_of(step);
    char path[PATH_MAX];

    spec.run_id = run_id;
    if (ol_checkpoint_write(folder, &spec, path) != OL_OK)
        fail_msg("%s", ol_status_message());
}

static void cut(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
}

/* One bit of the first tensor's data, found by its bytes. */
static void flip(const char *path)
{
    char *bytes, *at;
    size_t size;

    assert_int_equal(ol_read_file(path, &bytes, &size), OL_OK);
    at = memmem(bytes, size, tensors[0].param, 64);
    assert_non_null(at);
    *at = (char)(*at ^ 0x10);
    assert_int_equal(ol_write_file(path, bytes, size), OL_OK);
    free(bytes);
}

static void die(const char *path)
{
    (void)path;
    _exit(0);
}

/* One that a disk renamed and has not. */
static void write_torn_step(int64_t step)
{
    char path[PATH_MAX];

    write_step(step, "run-a");
    snprintf(path, sizeof path, "%s/step-%06lld.h5", folder, (long long)step);
    cut(path);
}

static const char *step_path(int step)
{
    char name[64];

    snprintf(name, sizeof name, "checkpoints/step-%06d.h5", step);
    return scratch_path(name);
}

static int count_files(const char *part)
{
    DIR *dir = opendir(folder);
    int n = 0;

    for (struct dirent *entry; dir && (entry = readdir(dir));)
        n += strstr(entry->d_name, part) != NULL;
    if (dir)
        closedir(dir);
    return n;
}

static void assert_says(const char *words)
{
    if (!strstr(ol_status_message(), words))
        fail_msg("\"%s\" is not in: %s", words, ol_status_message());
}

static int fresh_folder(void **state)
{
    (void)state;
    folder = scratch_path("checkpoints");
    scratch_remove(folder);
    folder = strdup(folder);
    return 0;
}

static int forget_folder(void **state)
{
    (void)state;
    free((char *)folder);
    return 0;
}

static void test_all_comes_back(void **state)
{
    float *read = calloc(WTE, sizeof *read);
    ol_checkpoint *c;
    double eps;
    int64_t rows;
    char *text, *latest;
    size_t size;

    (void)state;
    write_step(12, "run-a");
    assert_int_equal(ol_checkpoint_verify(step_path(12)), OL_OK);
    assert_true(ol_checkpoint_is_one(step_path(12)));
    assert_int_equal(ol_checkpoint_open(step_path(12), &c), OL_OK);
    assert_int_equal(ol_checkpoint_head(c)->step, 12);
    assert_int_equal(ol_checkpoint_head(c)->moments_step, 36);
    assert_true(ol_checkpoint_head(c)->seed == UINT64_MAX - 1);
    assert_string_equal(ol_checkpoint_head(c)->run_id, "run-a");
    assert_string_equal(ol_checkpoint_head(c)->job, "name = \"j\";\n");
    assert_int_equal(strlen(ol_checkpoint_head(c)->digest), 32);
    assert_true(ol_checkpoint_has_moments(c));
    for (int part = 0; part < 3; part++) {
        assert_int_equal(ol_checkpoint_read(c, (ol_checkpoint_part)part, "wte.weight", WTE, read),
                         OL_OK);
        assert_memory_equal(read, values[part], WTE * sizeof *read);
    }
    assert_int_equal(ol_checkpoint_read(c, OL_CHECKPOINT_V, "h.0.attn.c_attn.bias", BIAS, read),
                     OL_OK);
    assert_memory_equal(read, values[2] + WTE, BIAS * sizeof *read);
    assert_int_equal(ol_checkpoint_read(c, OL_CHECKPOINT_M, "wpe.weight", BIAS, read), OL_EDATA);
    assert_says("moments/m/wpe.weight: the file has no such dataset");
    assert_int_equal(ol_checkpoint_read(c, OL_CHECKPOINT_M, "wte.weight", BIAS, read), OL_EDATA);
    assert_int_equal(ol_archive_get_f64(ol_checkpoint_archive(c), "model", "eps", &eps), OL_OK);
    assert_true(eps == 1e-5);
    assert_int_equal(ol_archive_get_i64(ol_checkpoint_archive(c), "/", "step_rows", &rows), OL_OK);
    assert_int_equal(rows, 7);
    assert_int_equal(ol_archive_get_text(ol_checkpoint_archive(c), "model", "arch", &text), OL_OK);
    assert_string_equal(text, "gpt2");
    free(text);
    ol_checkpoint_close(c);
    ol_checkpoint_close(NULL);
    assert_int_equal(ol_read_file(scratch_path("checkpoints/latest"), &latest, &size), OL_OK);
    assert_string_equal(latest, "step-000012.h5\n");
    free(latest);
    assert_int_equal(count_files(".tmp-"), 0);
    free(read);
}

/* A failed save leaves what was there, and nothing else. */
static void test_failed_writes_harm_nothing(void **state)
{
    static void (*const faults[])(const char *) = {NULL, cut, flip};
    static const char *const words[] = {"are free: make room; where the run has ended, --resume",
                                        "not what was written: ", "was altered"};
    ol_checkpoint_tensor huge;
    char path[PATH_MAX];
    int64_t step;

    (void)state;
    write_step(5, "run-a");
    for (int i = 0; i < 3; i++) {
        ol_checkpoint_spec spec = spec_of(6);

        spec.tamper = faults[i];
        huge = tensors[0];
        huge.dims[0] = INT64_C(1) << 50;
        if (i == 0) {
            spec.tensors = &huge;
            spec.n_tensors = 1;
        }
        assert_int_equal(ol_checkpoint_write(folder, &spec, path), OL_EIO);
        assert_says(words[i]);
        assert_int_equal(count_files("step-"), 1);
    }
    assert_int_equal(ol_checkpoint_newest(folder, NULL, NULL, path, &step), OL_OK);
    assert_int_equal(step, 5);
    assert_string_equal(path, step_path(5));
}

/* A disk that fills up in the middle, played by a limit on the size of files. */
static void test_full_disk(void **state)
{
    ol_checkpoint_spec spec = spec_of(8);
    char path[PATH_MAX];
    struct rlimit limit;

    (void)state;
    write_step(7, "run-a");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    for (rlim_t bytes = 0; bytes < 40000; bytes += 3777) {
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, limit.rlim_max});
        assert_int_equal(ol_checkpoint_write(folder, &spec, path), OL_EIO);
        assert_says("File too large");
        assert_int_equal(count_files("step-"), 1);
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(ol_checkpoint_write(folder, &spec, path), OL_OK);
    assert_int_equal(ol_checkpoint_verify(path), OL_OK);
}

static void test_killed_writer_does_no_harm(void **state)
{
    ol_checkpoint_spec spec = spec_of(6);
    char path[PATH_MAX];
    int64_t step;
    pid_t child;
    int status;

    (void)state;
    write_step(5, "run-a");
    spec.tamper = die;
    child = fork();
    if (child == 0) {
        ol_checkpoint_write(folder, &spec, path);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(count_files(".tmp-run-a"), 1);
    assert_int_equal(ol_checkpoint_newest(folder, NULL, NULL, path, &step), OL_OK);
    assert_int_equal(step, 5);
}

static void test_torn_newest_is_passed_over(void **state)
{
    char path[PATH_MAX];
    int64_t step;

    (void)state;
    assert_int_equal(ol_checkpoint_newest(folder, NULL, NULL, path, &step), OL_OK);
    assert_string_equal(path, ""); /* no folder, no checkpoint, no error */
    write_step(5, "run-a");
    write_step(10, "run-a");
    write_torn_step(15);
    assert_int_equal(ol_checkpoint_verify(step_path(15)), OL_EDATA);
    assert_says(step_path(15));
    assert_int_equal(ol_checkpoint_newest(folder, NULL, NULL, path, &step), OL_OK);
    assert_int_equal(step, 10);
    /* the step inside counts, not the name */
    assert_int_equal(rename(step_path(5), step_path(99)), 0);
    assert_int_equal(ol_checkpoint_newest(folder, NULL, NULL, path, &step), OL_OK);
    assert_int_equal(step, 10);
    assert_int_equal(unlink(step_path(10)), 0);
    assert_int_equal(unlink(step_path(99)), 0);
    assert_int_equal(ol_checkpoint_newest(folder, NULL, NULL, path, &step), OL_EDATA);
    assert_says("none of its 1 checkpoints will do");
}

/* Change one bit anywhere: the file is refused by name. */
static void test_every_flip_is_found(void **state)
{
    const char *path = scratch_path("checkpoints/step-000004.h5");
    char *bytes;
    size_t size;
    int tried = 0;

    (void)state;
    write_step(3, "run-a");
    assert_int_equal(ol_read_file(step_path(3), &bytes, &size), OL_OK);
    for (size_t at = 0; at < size; at += 97, tried++) {
        const char bit = (char)(1 << (tried % 8));
        FILE *out = fopen(path, "wb");

        bytes[at] = (char)(bytes[at] ^ bit);
        assert_int_equal(fwrite(bytes, 1, size, out), size);
        fclose(out);
        bytes[at] = (char)(bytes[at] ^ bit);
        assert_int_equal(ol_checkpoint_verify(path), OL_EDATA);
        assert_says(path);
    }
    assert_true(tried > 500);
    free(bytes);
}

static void test_other_files_are_refused(void **state)
{
    ol_checkpoint *c;
    ol_archive *a;

    (void)state;
    assert_int_equal(ol_make_folders(folder), OL_OK);
    assert_int_equal(ol_archive_create(step_path(1), &a), OL_OK);
    assert_int_equal(ol_archive_close(a), OL_OK);
    assert_int_equal(ol_checkpoint_open(step_path(1), &c), OL_EDATA);
    assert_says("is not a checkpoint");
    assert_null(c);
    assert_false(ol_checkpoint_is_one(step_path(1)));
    assert_false(ol_checkpoint_is_one(step_path(2)));
    assert_int_equal(ol_write_file(step_path(1), "outerloop checkpoint 2\nstep 1\n", 29), OL_OK);
    assert_int_equal(ol_checkpoint_open(step_path(1), &c), OL_EDATA);
    assert_says("is a checkpoint of version 2");
    assert_int_equal(ol_checkpoint_open(step_path(2), &c), OL_EDATA);
}

static bool there(int step)
{
    return ol_path_exists(step_path(step));
}

static void test_prune_keeps_what_it_must(void **state)
{
    int removed;

    (void)state;
    for (int step = 10; step <= 60; step += 10)
        write_step(step, step == 20 ? "run-b" : "run-a");
    write_torn_step(5);
    /* 60 belongs to a later part of the run that was rolled back: 50 is the newest */
    assert_int_equal(
        ol_checkpoint_prune(folder, step_path(50), (ol_checkpoint_keep){2, 30}, &removed), OL_OK);
    assert_int_equal(removed, 1);
    assert_true(there(60) && there(50) && there(40) && there(30) && there(20) && there(5));
    assert_false(there(10));
    assert_int_equal(
        ol_checkpoint_prune(folder, step_path(50), (ol_checkpoint_keep){0, 0}, &removed), OL_OK);
    assert_int_equal(removed, 2);
    assert_true(there(50) && there(60) && there(20));
    /* without a whole newest one nothing is deleted */
    write_torn_step(70);
    assert_int_equal(
        ol_checkpoint_prune(folder, step_path(70), (ol_checkpoint_keep){1, 0}, &removed), OL_EDATA);
    assert_int_equal(removed, 0);
    assert_true(there(50) && there(60) && there(70));
}

/* Names that sort in another order than the steps: 999999 and 1000000. */
static void test_prune_goes_by_step_not_name(void **state)
{
    int removed;

    (void)state;
    write_step(999999, "run-a");
    write_step(1000000, "run-a");
    assert_int_equal(
        ol_checkpoint_prune(folder, step_path(1000000), (ol_checkpoint_keep){1, 0}, &removed),
        OL_OK);
    assert_true(there(1000000));
    assert_false(there(999999));
}

static void test_without_moments(void **state)
{
    ol_checkpoint_spec spec = spec_of(1);
    char path[PATH_MAX];
    ol_checkpoint *c;

    (void)state;
    for (int i = 0; i < 2; i++)
        tensors[i].m = tensors[i].v = NULL;
    assert_int_equal(ol_checkpoint_write(folder, &spec, path), OL_OK);
    assert_int_equal(ol_checkpoint_open(path, &c), OL_OK);
    assert_false(ol_checkpoint_has_moments(c));
    ol_checkpoint_close(c);
}

/* Kill a process that saves without end: whatever the instant, what has a name is whole. */
static void test_killed_while_writing(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        const pid_t child = fork();
        char path[PATH_MAX];
        int64_t step;

        if (child == 0) {
            for (int64_t s = (round + 1) * 1000;; s++) {
                const ol_checkpoint_spec spec = spec_of(s);

                ol_checkpoint_write(folder, &spec, path);
                ol_checkpoint_prune(folder, path, (ol_checkpoint_keep){2, 1000}, NULL);
            }
        }
        while (!there((round + 1) * 1000))
            usleep(1000);
        usleep(10000 + (useconds_t)round * 7919);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        assert_int_equal(ol_checkpoint_newest(folder, NULL, NULL, path, &step), OL_OK);
        assert_true(step >= (round + 1) * 1000);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh_folder, forget_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_comes_back),
        TEST(test_failed_writes_harm_nothing),
        TEST(test_full_disk),
        TEST(test_killed_writer_does_no_harm),
        TEST(test_torn_newest_is_passed_over),
        TEST(test_every_flip_is_found),
        TEST(test_other_files_are_refused),
        TEST(test_prune_keeps_what_it_must),
        TEST(test_prune_goes_by_step_not_name),
        TEST(test_without_moments),
        TEST(test_killed_while_writing),
    };

    return cmocka_run_group_tests_name("checkpoint", tests, scratch_setup, scratch_teardown);
}
