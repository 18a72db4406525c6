/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that harm: each is made of a good one, and refused with a message that names what is wrong. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outerloop/base/clock.h"
#include "outerloop/base/file.h"
#include "outerloop/store/archive.h"

static char folder[] = "/tmp/outerloop-profile-XXXXXX";
static char path[PATH_MAX];

/* A file of each thing that we write: many members, a table in chunks, texts, lists. */
static void write_good(void)
{
    const int64_t dims[2] = {40, 20};
    ol_archive *file;
    int32_t numbers[800];
    char name[32];

    for (int i = 0; i < 800; i++)
        numbers[i] = i;
    assert_int_equal(ol_archive_create(path, &file), OL_OK);
    assert_int_equal(ol_archive_set_text(file, "/", "format", "outerloop-prompts"), OL_OK);
    assert_int_equal(ol_archive_write_text(file, "job", "a text of the job"), OL_OK);
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "many/member.%d", i);
        assert_int_equal(ol_archive_write(file, name, 1, dims, numbers), OL_OK);
    }
    assert_int_equal(ol_archive_write(file, "table", 2, dims, numbers), OL_OK);
    assert_int_equal(ol_archive_close(file), OL_OK);
}

static ol_status open_it(void)
{
    ol_archive *file = NULL;
    const ol_status status = ol_archive_open(path, &file);

    ol_archive_close(file);
    return status;
}

static void refused(const char *why)
{
    assert_int_equal(open_it(), OL_EDATA);
    if (!strstr(ol_status_message(), why))
        fail_msg("\"%s\" does not say \"%s\"", ol_status_message(), why);
}

static void a_good_file_passes(void **state)
{
    int32_t numbers[800];
    ol_archive *file;

    (void)state;
    write_good();
    assert_int_equal(ol_archive_open(path, &file), OL_OK);
    assert_int_equal(ol_archive_read(file, "table", 800, numbers), OL_OK);
    assert_int_equal(numbers[799], 799);
    assert_int_equal(ol_archive_close(file), OL_OK);
}

/* The bytes after the first place of `mark` become `bytes`. */
static void change(const char *mark, size_t length, size_t after, const void *bytes, size_t n)
{
    char *text, *at;
    size_t size;

    assert_int_equal(ol_read_file(path, &text, &size), OL_OK);
    at = memmem(text, size, mark, length);
    assert_non_null(at);
    memcpy(at + after, bytes, n);
    assert_int_equal(ol_write_file(path, text, size), OL_OK);
    free(text);
}

static void values_stay_in_their_collection(void **state)
{
    const uint64_t huge = UINT64_MAX - 3, more = 18;

    (void)state;
    write_good();
    change("GCOL", 4, 16 + 8, &huge, 8);
    refused("collection of values");
    write_good(); /* one more than there is: the library would copy it all the same */
    change("GCOL", 4, 16 + 8, &more, 8);
    refused("not in its collection");
}

static void members_are_what_they_are_said_to_be(void **state)
{
    const uint8_t soft = 0x18; /* and the byte after it is then 1, a soft link */
    const uint16_t many = 0xffff;

    (void)state;
    write_good();
    change("FHDB", 4, 5, "\1", 1);
    refused("heap of links");
    write_good();
    change("BTLF", 4, 6 + 5, "\1\2\3\4", 4);
    refused("/many");
    write_good();
    change("TREE\1", 5, 6, &many, 2);
    refused("tree of chunks");
    write_good();
    change("\1\20\1\3job", 7, 1, &soft, 1);
    refused("not followed");
}

/* What HDF5 itself makes of such a thing, by calls. */
static void with_library(void (*make)(hid_t file))
{
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

    assert_true(file >= 0);
    make(file);
    assert_true(H5Fclose(file) >= 0);
}

static void make_soft(hid_t file)
{
    assert_true(H5Lcreate_soft("/elsewhere", file, "a", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void make_external_link(hid_t file)
{
    assert_true(H5Lcreate_external("/etc/passwd", "/", file, "a", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void make_cycle(hid_t file)
{
    const hid_t group = H5Gcreate2(file, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    assert_true(H5Lcreate_hard(file, "/", group, "b", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Gclose(group);
}

static void make_set(hid_t file, hid_t type, hsize_t n, hid_t properties)
{
    const hid_t space = H5Screate_simple(1, &n, NULL);
    const hid_t set = H5Dcreate2(file, "a", type, space, H5P_DEFAULT, properties, H5P_DEFAULT);

    assert_true(set >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(properties);
}

static void make_external_values(hid_t file)
{
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);

    H5Pset_external(properties, "/etc/passwd", 0, 100);
    make_set(file, H5T_NATIVE_UINT8, 100, properties);
}

/* A gigabyte that is only claimed: chunks that were never written. */
static void make_bomb(hid_t file)
{
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk = 1 << 10;

    H5Pset_chunk(properties, 1, &chunk);
    make_set(file, H5T_NATIVE_UINT8, 1 << 30, properties);
}

static void make_compact(hid_t file)
{
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);

    H5Pset_layout(properties, H5D_COMPACT);
    make_set(file, H5T_NATIVE_UINT8, 4, properties);
}

static void make_odd_type(hid_t file)
{
    make_set(file, H5T_NATIVE_B16, 4, H5Pcreate(H5P_DATASET_CREATE));
}

static void what_is_not_ours_is_refused(void **state)
{
    (void)state;
    with_library(make_soft);
    refused("not followed");
    with_library(make_external_link);
    refused("/");
    with_library(make_cycle);
    refused("second name");
    with_library(make_external_values);
    refused("other files");
    with_library(make_bomb);
    refused("lacks chunks");
    with_library(make_compact);
    refused("a way that is not read");
    with_library(make_odd_type);
    refused("a type that is not read");
}

/* Whatever four bytes change, the file is taken or refused, in no time. */
static void changes_anywhere_end_well(void **state)
{
    uint64_t random = 1;
    const double start = ol_clock_seconds();
    char *good;
    size_t size;

    (void)state;
    write_good();
    assert_int_equal(ol_read_file(path, &good, &size), OL_OK);
    for (int round = 0; round < 60; round++) {
        char *text = malloc(size);

        assert_non_null(text);
        memcpy(text, good, size);
        for (int k = 0; k < 4; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            text[(random >> 20) % size] = (char)(random >> 56);
        }
        assert_int_equal(ol_write_file(path, text, size), OL_OK);
        free(text);
        open_it();
    }
    free(good);
    assert_true(ol_clock_seconds() - start < 60);
}

static void only_files_are_read(void **state)
{
    (void)state;
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused("is a pipe or a device");
    unlink(path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    refused("is a pipe or a device");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    refused("is a folder");
    assert_int_equal(rmdir(path), 0);
}

/* A terabyte of nothing. */
static void holes_are_not_read(void **state)
{
    (void)state;
    write_good();
    assert_int_equal(truncate(path, (off_t)1 << 40), 0);
    refused("holes");
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(folder) && ol_path_format(path, "%s/f.h5", folder) == OL_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            what_is_not_ours_is_refused), /* first: later, the library here makes no such links */
        cmocka_unit_test(a_good_file_passes),
        cmocka_unit_test(values_stay_in_their_collection),
        cmocka_unit_test(members_are_what_they_are_said_to_be),
        cmocka_unit_test(changes_anywhere_end_well),
        cmocka_unit_test(only_files_are_read),
        cmocka_unit_test(holes_are_not_read),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
