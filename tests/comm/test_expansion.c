/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of an expansion against sums in long integers, in any order and any grouping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/rng.h"
#include "outerloop/comm/expansion.h"

/* --- the other way: one long integer of units of 2^-1074, in two's complement ----------------- */

enum { WORDS = 35, LOWEST = -1074 }; /* 2240 bits: all of float64, and the sign of many */

typedef struct long_sum {
    uint64_t words[WORDS];
} long_sum;

static void long_add(long_sum *sum, double x)
{
    int exponent;
    const double fraction = frexp(fabs(x), &exponent);
    int at = exponent - 53 - LOWEST;
    uint64_t mantissa = (uint64_t)ldexp(fraction, 53), addend[WORDS] = {0};
    unsigned __int128 carry = x < 0;

    if (at < 0) { /* a denormal: its lowest bits are zeros */
        mantissa >>= -at;
        at = 0;
    }
    addend[at / 64] = mantissa << at % 64;
    if (at % 64)
        addend[at / 64 + 1] = mantissa >> (64 - at % 64);
    for (int w = 0; w < WORDS; w++) {
        carry += (unsigned __int128)sum->words[w] + (x < 0 ? ~addend[w] : addend[w]);
        sum->words[w] = (uint64_t)carry;
        carry >>= 64;
    }
}

static bool bit(const long_sum *sum, int i)
{
    return i >= 0 && (sum->words[i / 64] >> i % 64 & 1);
}

static double long_round(const long_sum *sum)
{
    const bool negative = sum->words[WORDS - 1] >> 63;
    long_sum size = *sum;
    int top = WORDS * 64 - 1, low;
    uint64_t mantissa = 0;
    bool sticky = false;

    for (int w = 0, carry = negative; negative && w < WORDS; w++) {
        size.words[w] = ~size.words[w] + (uint64_t)carry;
        carry = carry && size.words[w] == 0;
    }
    while (top >= 0 && !bit(&size, top))
        top--;
    low = top > 52 ? top - 52 : 0; /* of the 53 bits that stay */
    for (int i = top; i >= low; i--)
        mantissa = mantissa << 1 | bit(&size, i);
    for (int i = 0; i < low - 1; i++)
        sticky = sticky || bit(&size, i);
    mantissa += bit(&size, low - 1) && (sticky || mantissa % 2);
    return ldexp(negative ? -(double)mantissa : (double)mantissa, low + LOWEST);
}

/* --- values that make it hard ----------------------------------------------------------------- */

enum { SUMS = 700, VALUES = 40 }; /* three blocks, the last not whole */

typedef enum kind { ALIKE, WILD, CANCELLING, DENORMAL, TIES, KINDS } kind;

static double any_of(ol_rng *rng, int least, int most)
{
    const double sign = ol_rng_uniform(rng) < 0.5 ? -1 : 1;

    return sign * ldexp(0.5 + ol_rng_uniform(rng) / 2,
                        least + (int)(ol_rng_uniform(rng) * (most - least)));
}

/* Value k of a sum, which already has x[0 .. k-1]; that of another sum than its neighbours' kind. */
static double value_of(ol_rng *rng, kind how, ol_sum_type type, const double *x, int k)
{
    const int range = type == OL_SUM_F32 ? 120 : 1010;

    switch (how) {
    case WILD:
        return any_of(rng, -range, range);
    case CANCELLING: /* all that is left of the largest is the smallest */
        return k % 2             ? -x[k - 1]
               : k == VALUES - 2 ? any_of(rng, -range, -range + 9)
                                 : any_of(rng, -range, range);
    case DENORMAL:
        return ldexp(any_of(rng, 0, 24), type == OL_SUM_F32 ? -149 : -1074);
    case TIES: /* half a step of float64 above 1, and something far below, or nothing */
        return k == 0   ? 1
               : k == 1 ? ldexp(1, -53)
               : k == 2 ? ldexp(ol_rng_uniform(rng) < 0.5 ? 1 : -1, -53)
               : k == 3 ? -x[2]
               : k == 4 ? ldexp((double)((int)(ol_rng_uniform(rng) * 3) - 1), -range)
               : k == 5 ? ldexp((double)((int)(ol_rng_uniform(rng) * 3) - 1), -range - 9)
                        : 0;
    default:
        return any_of(rng, -3, 3);
    }
}

typedef struct problem {
    ol_sum_type type;
    double values[SUMS][VALUES];
    double expected[SUMS];
} problem;

static void make(problem *p, ol_sum_type type, bool mixed, uint32_t seed)
{
    ol_rng rng = ol_rng_stream(3, OL_RNG_FAULT, seed, (uint32_t)type);

    p->type = type;
    for (int i = 0; i < SUMS; i++) {
        const kind how = mixed ? (int)(ol_rng_uniform(&rng) * KINDS) : ALIKE;
        long_sum sum = {{0}};

        for (int k = 0; k < VALUES; k++) {
            double x = value_of(&rng, how, type, p->values[i], k);

            x = type == OL_SUM_F32 ? (double)(float)x : x;
            p->values[i][k] = x;
            long_add(&sum, x);
        }
        p->expected[i] = long_round(&sum);
    }
}

/* Value order[k] of every sum. */
static void add(ol_expansion *e, const problem *p, int k)
{
    float singles[SUMS];
    double doubles[SUMS];

    for (int i = 0; i < SUMS; i++) {
        doubles[i] = p->values[i][k];
        singles[i] = (float)p->values[i][k];
    }
    /* in two pieces, whose border is in a block */
    assert_int_equal(
        ol_expansion_add(e, 0, 300, p->type, p->type == OL_SUM_F32 ? (void *)singles : doubles),
        OL_OK);
    assert_int_equal(
        ol_expansion_add(e, 300, SUMS - 300, p->type,
                         p->type == OL_SUM_F32 ? (void *)(singles + 300) : doubles + 300),
        OL_OK);
}

static void check(const ol_expansion *e, const problem *p, double scale)
{
    double doubles[SUMS];
    float singles[SUMS];

    ol_expansion_round(e, 0, 333, p->type, scale,
                       p->type == OL_SUM_F32 ? (void *)singles : doubles);
    ol_expansion_round(e, 333, SUMS - 333, p->type, scale,
                       p->type == OL_SUM_F32 ? (void *)(singles + 333) : doubles + 333);
    for (int i = 0; i < SUMS; i++) {
        const double expected = scale * p->expected[i];

        if (p->type == OL_SUM_F32)
            assert_true(singles[i] == (float)expected);
        else
            assert_true(doubles[i] == expected);
        assert_true(expected != 0 ||
                    !signbit(p->type == OL_SUM_F32 ? (double)singles[i] : doubles[i]));
    }
}

static void shuffle(ol_rng *rng, int *order)
{
    for (int k = 0; k < VALUES; k++) {
        const int j = (int)(ol_rng_uniform(rng) * (k + 1));

        order[k] = order[j];
        order[j] = k;
    }
}

/* Add up in some order, in groups, and the groups' layers in turn as nodes do. */
static void sum_in_groups(const problem *p, ol_rng *rng, int groups)
{
    ol_expansion sums[4];
    int order[VALUES];

    shuffle(rng, order);
    for (int g = 0; g < groups; g++)
        assert_int_equal(ol_expansion_init(&sums[g], SUMS), OL_OK);
    for (int turn = 0; turn < 2; turn++) { /* the second must not remember the first */
        for (int g = 0; g < groups; g++)
            ol_expansion_clear(&sums[g]);
        for (int k = 0; k < VALUES; k++)
            add(&sums[turn ? (int)(ol_rng_uniform(rng) * groups) : k * groups / VALUES], p,
                order[k]);
    }
    for (int g = 1; g < groups; g++) {
        const int depth = ol_expansion_level(&sums[g], 100, SUMS - 100);

        assert_true(depth <= OL_EXPANSION_LAYERS);
        assert_int_equal(ol_expansion_level(&sums[g], 0, SUMS), depth);
        for (int l = 0; l < depth; l++)
            assert_int_equal(ol_expansion_add(&sums[0], 0, SUMS, OL_SUM_F64, sums[g].layers[l]),
                             OL_OK);
    }
    check(&sums[0], p, 1);
    check(&sums[0], p, 1.0 / 3);
    for (int g = 0; g < groups; g++)
        ol_expansion_finish(&sums[g]);
}

static void test_any_order_and_grouping(void **state)
{
    static const ol_sum_type types[] = {OL_SUM_F32, OL_SUM_F64};
    problem *p = malloc(sizeof *p);

    (void)state;
    assert_non_null(p);
    for (uint32_t i = 0; i < 8; i++) {
        ol_rng rng = ol_rng_stream(4, OL_RNG_FAULT, i, 0);

        make(p, types[i % 2], i >= 2, i);
        for (int groups = 1; groups <= 4; groups++)
            sum_in_groups(p, &rng, groups);
    }
    free(p);
}

static void test_alike_values_need_one_layer(void **state)
{
    ol_expansion e;
    float x[SUMS];

    (void)state;
    assert_int_equal(ol_expansion_init(&e, SUMS), OL_OK);
    assert_int_equal(ol_expansion_level(&e, 0, SUMS), 0);
    for (int k = 1; k < 100; k++) {
        for (int i = 0; i < SUMS; i++)
            x[i] = 1.0f / (float)(k + i);
        assert_int_equal(ol_expansion_add(&e, 0, SUMS, OL_SUM_F32, x), OL_OK);
    }
    assert_int_equal(ol_expansion_level(&e, 0, SUMS), 1);
    x[0] = 0x1p-60f; /* of the second block */
    assert_int_equal(ol_expansion_add(&e, OL_EXPANSION_BLOCK, 1, OL_SUM_F32, x), OL_OK);
    assert_int_equal(ol_expansion_level(&e, 0, OL_EXPANSION_BLOCK), 1);
    assert_int_equal(ol_expansion_level(&e, 0, OL_EXPANSION_BLOCK + 1), 2);
    ol_expansion_finish(&e);
    ol_expansion_finish(&e);
    ol_expansion_finish(NULL);
}

/* What is not finite spoils its own sum, in any order, and no other. */
static void test_not_finite(void **state)
{
    static const float x[][4] = {{INFINITY, -INFINITY, NAN, 1}, {1, INFINITY, 2, 1e-30f}};
    float out[2][4];

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        ol_expansion e;

        assert_int_equal(ol_expansion_init(&e, 4), OL_OK);
        for (int k = 0; k < 2; k++)
            assert_int_equal(ol_expansion_add(&e, 0, 4, OL_SUM_F32, x[(k + turn) % 2]), OL_OK);
        ol_expansion_round(&e, 0, 4, OL_SUM_F32, 1, out[turn]);
        assert_true(isinf(out[turn][0]) && isnan(out[turn][1]) && isnan(out[turn][2]));
        assert_true(out[turn][3] == 1);
        ol_expansion_finish(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order_and_grouping),
        cmocka_unit_test(test_alike_values_need_one_layer),
        cmocka_unit_test(test_not_finite),
    };

    return cmocka_run_group_tests_name("expansion", tests, NULL, NULL);
}
