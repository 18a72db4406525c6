/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A target without libFuzzer: every file of a corpus as it is, then rounds, each a changed file of
 * it. A round depends on its number alone, so that a finding is found again on any machine. TAP.
 *
 *     fuzz_READER CORPUS ROUNDS           the campaign; a finding names its round
 *     fuzz_READER CORPUS --show ROUND     the input of that round, on standard output
 *     fuzz_READER FILE...                 these inputs as they are
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "outerloop/base/file.h"
#include "outerloop/base/rng.h"

enum { MOST_CHANGES = 4, LARGEST = 1 << 16, SEED = 1, SECONDS = 30 };

/* Bytes in memory of exactly that size, so that a reader that goes beyond them is seen. */
typedef struct input {
    uint8_t *bytes;
    size_t n;
} input;

static input *files;
static size_t n_files;

/* What is read now, for the last words. */
static char present[300] = "the beginning";

static void last_words(void)
{
    static const char words[] = "# a finding in ";

    if (write(STDERR_FILENO, words, sizeof words - 1) < 0 ||
        write(STDERR_FILENO, present, strlen(present)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
        _exit(1);
}

static void at_signal(int number)
{
    last_words();
    signal(number, SIG_DFL);
    raise(number);
}

/* The sanitizers' own way of telling that they end the process; absent without them. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch_for_findings(void)
{
    static const int faults[] = {SIGABRT, SIGFPE, SIGBUS, SIGSEGV};

    signal(SIGALRM, at_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(last_words);
    for (size_t i = 0; i < sizeof faults / sizeof *faults && !__sanitizer_set_death_callback; i++)
        signal(faults[i], at_signal);
}

static void give(const uint8_t *bytes, size_t n)
{
    alarm(SECONDS);
    LLVMFuzzerTestOneInput(bytes, n);
    alarm(0);
}

static input read_input(const char *path)
{
    char *text;
    input in;

    if (ol_read_file(path, &text, &in.n) != OL_OK) {
        fprintf(stderr, "%s\n", ol_status_message());
        exit(2);
    }
    in.bytes = malloc(in.n + 1);
    if (in.bytes)
        memcpy(in.bytes, text, in.n);
    free(text);
    return in;
}

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Files are taken by their reader, but for those that lie; what campaigns found may be either. */
static bool read_file(const char *name, const input *in)
{
    const bool lies = strncmp(name, "lie-", 4) == 0, either = strncmp(name, "found-", 6) == 0;

    snprintf(present, sizeof present, "%.280s", name);
    fuzz_accepted = false;
    give(in->bytes, in->n);
    if (!either && fuzz_accepted == lies)
        printf("# %s: %s\n", name, lies ? "is taken for good" : ol_status_message());
    return either || fuzz_accepted != lies;
}

/* @return true when all of it is read as it should be */
static bool read_corpus(const char *folder)
{
    bool right = true;
    struct dirent **names;
    const int n = scandir(folder, &names, is_file, alphasort);
    char path[PATH_MAX];

    if (n <= 0) {
        fprintf(stderr, "%s: no corpus: %s\n", folder, n < 0 ? strerror(errno) : "it is empty");
        exit(2);
    }
    files = calloc((size_t)n, sizeof *files);
    for (int i = 0; files && i < n; i++) {
        if (ol_path_format(path, "%s/%s", folder, names[i]->d_name) != OL_OK)
            exit(2);
        files[n_files++] = read_input(path);
        right &= read_file(names[i]->d_name, &files[i]);
        free(names[i]);
    }
    free(names);
    return right;
}

static size_t draw(ol_rng *rng, size_t n)
{
    return ol_rng_below(rng, (uint32_t)n);
}

/* Put `n` bytes in the place of `gone` at `at`. */
static void replace(input *in, size_t at, size_t gone, const void *bytes, size_t n)
{
    if (in->n - gone + n > LARGEST)
        return;
    memmove(in->bytes + at + n, in->bytes + at + gone, in->n - at - gone);
    memcpy(in->bytes + at, bytes, n);
    in->n = in->n - gone + n;
}

/* One to eight bytes become a number, little-endian, that lengths and counts go wrong at. */
static void change_length(input *in, ol_rng *rng)
{
    const uint64_t limits[] = {
        0,         1,          in->n,      in->n + 1,      INT32_MAX,         UINT32_MAX,
        INT64_MAX, UINT64_MAX, 1ull << 60, UINT64_MAX - 7, (uint64_t)1 << 31, 0x8000000000000000u};
    const size_t width = (size_t)1 << draw(rng, 4);
    const uint64_t number = limits[draw(rng, sizeof limits / sizeof *limits)] - draw(rng, 3) / 2;

    if (in->n < width)
        return;
    const size_t at = draw(rng, in->n - width + 1);

    for (size_t i = 0; i < width; i++)
        in->bytes[at + i] = (uint8_t)(number >> 8 * i);
}

/* The number in digits that stands at or after some place becomes another. */
static void change_digits(input *in, ol_rng *rng)
{
    static const char *const others[] = {"0",
                                         "-1",
                                         "1",
                                         "2147483647",
                                         "2147483648",
                                         "4294967296",
                                         "9223372036854775807",
                                         "18446744073709551616",
                                         "1e308",
                                         "0.5",
                                         "\"1\"",
                                         "null",
                                         "[]",
                                         "{}",
                                         "true",
                                         "2305843009213693952"};
    const char *other = others[draw(rng, sizeof others / sizeof *others)];
    size_t at = draw(rng, in->n), n = 0;

    while (at < in->n && (in->bytes[at] < '0' || in->bytes[at] > '9'))
        at++;
    while (at + n < in->n && in->bytes[at + n] >= '0' && in->bytes[at + n] <= '9')
        n++;
    if (n > 0)
        replace(in, at, n, other, strlen(other));
}

/* A part of some file of the corpus, over as many bytes or between two. */
static void splice(input *in, ol_rng *rng)
{
    const input *from = &files[draw(rng, n_files)];
    const size_t most = from->n < 200 ? from->n : 200, n = most > 0 ? draw(rng, most) : 0;
    const size_t at = draw(rng, in->n), left = in->n - at, gone = draw(rng, 2) ? n : 0;

    replace(in, at, gone < left ? gone : left, from->bytes + draw(rng, from->n - n + 1), n);
}

static void change(input *in, ol_rng *rng)
{
    const size_t at = in->n > 0 ? draw(rng, in->n) : 0;

    if (in->n == 0)
        return;
    switch (draw(rng, 8)) {
    case 0:
        in->bytes[at] ^= (uint8_t)(1u << draw(rng, 8));
        break;
    case 1:
        in->bytes[at] = (uint8_t)draw(rng, 256);
        break;
    case 2:
        in->n = at;
        break;
    case 3:
        replace(in, at, 1 + draw(rng, in->n - at < 50 ? in->n - at : 50), "", 0);
        break;
    case 4:
    case 5:
        change_length(in, rng);
        break;
    case 6:
        change_digits(in, rng);
        break;
    default:
        splice(in, rng);
    }
}

/* The input of a round, in `room` bytes that hold any. */
static input make_round(uint32_t round, uint8_t *room)
{
    ol_rng rng = ol_rng_stream(SEED, OL_RNG_TEST, round, 0);
    const input *from = &files[draw(&rng, n_files)];
    input in = {room, from->n < LARGEST ? from->n : LARGEST};

    memcpy(room, from->bytes, in.n);
    for (size_t changes = 1 + draw(&rng, MOST_CHANGES); changes > 0; changes--)
        change(&in, &rng);
    return in;
}

static void run_round(uint32_t round, uint8_t *room)
{
    const input in = make_round(round, room);
    uint8_t *exact = malloc(in.n > 0 ? in.n : 1);

    if (!exact)
        exit(2);
    memcpy(exact, in.bytes, in.n);
    snprintf(present, sizeof present, "round %u; --show %u writes its input", round, round);
    give(exact, in.n);
    free(exact);
}

static int run_files(int n, char **paths)
{
    for (int i = 0; i < n; i++) {
        input in = read_input(paths[i]);

        snprintf(present, sizeof present, "%.280s", paths[i]);
        give(in.bytes, in.n);
        free(in.bytes);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static uint8_t room[LARGEST];
    const bool show = argc == 4 && strcmp(argv[2], "--show") == 0;
    const char *number = argc >= 3 ? argv[argc - 1] : "";
    bool right;
    char *end;
    const unsigned long rounds = strtoul(number, &end, 10);

    watch_for_findings();
    if (argc < 2 || !ol_path_is_folder(argv[1]) || end == number || *end || argc > 3 + show)
        return run_files(argc - 1, argv + 1);
    right = read_corpus(argv[1]);
    if (show) {
        const input in = make_round((uint32_t)rounds, room);

        return fwrite(in.bytes, 1, in.n, stdout) != in.n;
    }
    printf("1..2\n%s 1 - %zu files of the corpus\n", right ? "ok" : "not ok", n_files);
    for (uint32_t round = 0; round < rounds; round++)
        run_round(round, room);
    printf("ok 2 - %lu rounds\n", rounds);
    for (size_t i = 0; i < n_files; i++)
        free(files[i].bytes);
    free(files);
    return !right;
}
