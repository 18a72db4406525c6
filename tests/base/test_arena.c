/* SPDX-License-Identifier: BSD-3-Clause */
/* Arenas: a layout counts the same dry and placed, rewinds give back, blocks are aligned, and taking
   too much ends the program. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "outerloop/base/arena.h"

/* A layout as the rooms write them: once, for both kinds of arena. */
static void layout(ol_arena *arena, char *blocks[4])
{
    static const size_t sizes[4] = {1, 0, 64, 1000};

    for (int i = 0; i < 4; i++)
        blocks[i] = ol_arena_take(arena, sizes[i]);
}

static void test_dry_counts_what_real_places(void **state)
{
    ol_arena dry = ol_arena_dry("test"), arena;
    char *blocks[4];

    (void)state;
    layout(&dry, blocks);
    for (int i = 0; i < 4; i++)
        assert_null(blocks[i]);
    assert_true(ol_arena_is_dry(&dry));
    assert_int_equal(ol_arena_init(&arena, "test", dry.peak), OL_OK);
    assert_false(ol_arena_is_dry(&arena));
    layout(&arena, blocks);
    assert_int_equal(arena.used, dry.used);
    assert_int_equal(arena.peak, dry.peak);
    for (int i = 0; i < 4; i++)
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
    memset(blocks[0], 1, 1);
    memset(blocks[2], 2, 64);
    memset(blocks[3], 3, 1000);
    assert_int_equal(blocks[0][0], 1);
    assert_int_equal(blocks[2][63], 2);
    ol_arena_finish(&dry);
    ol_arena_finish(&arena);
}

static void test_rewind(void **state)
{
    ol_arena arena;
    ol_mark mark;
    char *kept, *first, *second;

    (void)state;
    assert_int_equal(ol_arena_init(&arena, "test", 4096), OL_OK);
    kept = ol_arena_take(&arena, 100);
    memset(kept, 7, 100);
    mark = ol_arena_mark(&arena);
    first = ol_arena_take(&arena, 500);
    ol_arena_rewind(&arena, mark);
    assert_int_equal(ol_arena_mark(&arena), mark);
    second = ol_arena_take(&arena, 200);
    assert_ptr_equal(first, second);
    assert_true(arena.peak > arena.used); /* the most there ever was */
    for (int i = 0; i < 100; i++)
        assert_int_equal(kept[i], 7);
    ol_arena_rewind(&arena, 0);
    assert_int_equal(arena.used, 0);
    ol_arena_finish(&arena);
}

/* The peak of alternatives is that of the larger, not their sum. */
static void test_peak_of_alternatives(void **state)
{
    ol_arena dry = ol_arena_dry("test");
    size_t larger;

    (void)state;
    ol_arena_take(&dry, 10000);
    larger = dry.peak;
    ol_arena_rewind(&dry, 0);
    ol_arena_take(&dry, 3000);
    assert_int_equal(dry.peak, larger);
    assert_true(larger >= 10000 && larger < 10000 + 256);
}

static void test_no_memory(void **state)
{
    ol_arena arena;

    (void)state;
    assert_int_equal(ol_arena_init(&arena, "activations", SIZE_MAX - 10), OL_ENOMEM);
    assert_non_null(
        strstr(ol_status_message(), "no memory for the activations: 17592186044416.0 MiB"));
    ol_arena_finish(&arena);
    ol_arena_finish(&(ol_arena){0});
    ol_arena_finish(NULL);
}

/* AddressSanitizer takes more than any limit for itself. */
static void test_limit_is_named(void **state)
{
    (void)state;
#ifndef __SANITIZE_ADDRESS__
    ol_arena arena;
    struct rlimit before;

    assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_DATA, &(struct rlimit){(rlim_t)77 << 30, before.rlim_max}),
                     0);
    assert_int_equal(ol_arena_init(&arena, "activations", SIZE_MAX - 10), OL_ENOMEM);
    assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
    assert_non_null(strstr(ol_status_message(), "ulimit -d 78848 MiB"));
    ol_arena_finish(&arena);
#else
    skip();
#endif
}

/* In a process of its own, as that ends it: take from an arena of `size` bytes, `taken` of them
   gone. Returns how it ended (as of waitpid) and what it said. */
static int end_of_take(size_t size, size_t taken, size_t bytes, char *said, size_t room)
{
    int ends[2], how;
    ssize_t n, length = 0;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        ol_arena arena;

        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        if (ol_arena_init(&arena, "logits", size) != OL_OK)
            _exit(2);
        if (taken > 0)
            ol_arena_take(&arena, taken);
        ol_arena_take(&arena, bytes);
        _exit(0);
    }
    assert_true(child > 0);
    close(ends[1]);
    while ((n = read(ends[0], said + length, room - 1 - (size_t)length)) > 0)
        length += n;
    said[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &how, 0), child);
    return how;
}

/* Not an assertion, which release builds leave out. */
static void test_taking_too_much_aborts(void **state)
{
    static const size_t too_much[] = {4096, 3137, SIZE_MAX / 4 + 1, SIZE_MAX};
    char said[1024];
    int how;

    (void)state;
    how = end_of_take(4096, 1000, 2048, said, sizeof said);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    for (size_t i = 0; i < sizeof too_much / sizeof *too_much; i++) {
        char asked[64];

        how = end_of_take(4096, 1000, too_much[i], said, sizeof said);
        assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
        snprintf(asked, sizeof asked, "asked for %zu\n", too_much[i]);
        assert_non_null(strstr(said, "arena for the logits"));
        assert_non_null(strstr(said, " bytes left"));
        assert_non_null(strstr(said, asked));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dry_counts_what_real_places),
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_peak_of_alternatives),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_limit_is_named),
        cmocka_unit_test(test_taking_too_much_aborts),
    };

    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
