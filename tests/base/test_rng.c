/* SPDX-License-Identifier: BSD-3-Clause */
/* Random streams: Philox's published answers, and that draws are fair and streams are apart. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "outerloop/base/rng.h"

/* Known answers of Random123, "philox4x32 10": counter, key, result. A stream's counter is
 * (position, purpose, a, b), so any of them can be asked for; a block is handed out from its end. */
static void test_known_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const uint64_t seed = (uint64_t)known[i].key[1] << 32 | known[i].key[0];
        ol_rng rng = ol_rng_stream(seed, (ol_rng_purpose)known[i].counter[1], known[i].counter[2],
                                   known[i].counter[3]);

        rng.counter[0] = known[i].counter[0];
        for (int j = 3; j >= 0; j--)
            assert_int_equal(ol_rng_u32(&rng), known[i].expected[j]);
    }
}

static uint64_t first_of(uint64_t seed, ol_rng_purpose purpose, uint32_t a, uint32_t b)
{
    ol_rng rng = ol_rng_stream(seed, purpose, a, b);
    const uint64_t high = ol_rng_u32(&rng);

    return high << 32 | ol_rng_u32(&rng);
}

static void test_streams_are_apart(void **state)
{
    const uint64_t streams[] = {
        first_of(1, OL_RNG_TEST, 0, 0),
        first_of(2, OL_RNG_TEST, 0, 0),
        first_of(1 + (1ull << 32), OL_RNG_TEST, 0, 0),
        first_of(1, OL_RNG_EPISODE, 0, 0),
        first_of(1, OL_RNG_TEST, 1, 0),
        first_of(1, OL_RNG_TEST, 0, 1),
    };

    (void)state;
    assert_true(streams[0] == first_of(1, OL_RNG_TEST, 0, 0));
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(streams[i] != streams[j]);
}

/* χ² of n counts that should be `expected` each; its mean is n-1 and its deviation √(2(n-1)). */
static void fair(int n, const int *counts, double expected)
{
    double chi = 0;

    for (int i = 0; i < n; i++)
        chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    if (chi > n - 1 + 6 * sqrt(2.0 * (n - 1)))
        fail_msg("chi square %.1f of %d counts", chi, n);
}

static void test_below(void **state)
{
    enum { DRAWS = 70000 };
    ol_rng rng = ol_rng_stream(4, OL_RNG_TEST, 0, 0);
    int sevens[7] = {0}, thirds[3] = {0};

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        const uint32_t x = ol_rng_below(&rng, 7);

        assert_true(x < 7);
        sevens[x]++;
        assert_int_equal(ol_rng_below(&rng, 1), 0);
    }
    fair(7, sevens, DRAWS / 7.0);
    /* 3·2^30 does not divide 2^32: taken modulo, the low third would come twice as often. */
    for (int i = 0; i < DRAWS; i++)
        thirds[ol_rng_below(&rng, 3u << 30) >> 30]++;
    fair(3, thirds, DRAWS / 3.0);
}

static void test_uniform_and_normal(void **state)
{
    enum { DRAWS = 100000 };
    ol_rng rng = ol_rng_stream(5, OL_RNG_TEST, 0, 0);
    int tenths[10] = {0};
    double sum = 0, squares = 0, fourth = 0;

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        const double u = ol_rng_uniform(&rng), z = ol_rng_normal(&rng);

        assert_true(u >= 0 && u < 1 && isfinite(z));
        tenths[(int)(10 * u)]++;
        sum += z;
        squares += z * z;
        fourth += z * z * z * z;
    }
    fair(10, tenths, DRAWS / 10.0);
    /* Moments 0, 1, 3 of a normal are known from n draws to √(1/n), √(2/n), √(96/n): 6 of those. */
    assert_true(fabs(sum / DRAWS) < 6 * sqrt(1.0 / DRAWS));
    assert_true(fabs(squares / DRAWS - 1) < 6 * sqrt(2.0 / DRAWS));
    assert_true(fabs(fourth / DRAWS - 3) < 6 * sqrt(96.0 / DRAWS));
}

static void test_shuffle_and_choose(void **state)
{
    enum { DRAWS = 24000 };
    ol_rng rng = ol_rng_stream(6, OL_RNG_TEST, 0, 0);
    int orders[27] = {0}, pairs[25] = {0}, scratch[5];

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        int items[3] = {0, 1, 2}, out[2];

        ol_rng_shuffle(&rng, items, 3);
        assert_int_equal((1 << items[0]) | (1 << items[1]) | (1 << items[2]), 7);
        orders[9 * items[0] + 3 * items[1] + items[2]]++;
        ol_rng_choose(&rng, 5, 2, scratch, out);
        assert_true(out[0] != out[1] && out[0] >= 0 && out[0] < 5 && out[1] >= 0 && out[1] < 5);
        pairs[5 * out[0] + out[1]]++;
    }
    const int six[6] = {orders[5], orders[7], orders[11], orders[15], orders[19], orders[21]};
    int twenty[20], n = 0;

    for (int i = 0; i < 25; i++)
        if (i / 5 != i % 5)
            twenty[n++] = pairs[i];
    fair(6, six, DRAWS / 6.0);
    fair(20, twenty, DRAWS / 20.0);
    ol_rng_choose(&rng, 5, 0, scratch, scratch); /* nothing, written nowhere */
    ol_rng_shuffle(&rng, scratch, 1);
    ol_rng_shuffle(&rng, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_streams_are_apart),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_uniform_and_normal),
        cmocka_unit_test(test_shuffle_and_choose),
    };

    return cmocka_run_group_tests_name("random numbers", tests, NULL, NULL);
}
