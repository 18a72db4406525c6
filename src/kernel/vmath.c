/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/vmath.h"

#include <math.h>
#include <string.h>

/* A vector function is applied to whole vectors in place and to the rest filled up with zeros, so that
 * an element's result does not depend on where in the array it stands. */
#if defined(OL_SLEEF) && !defined(OL_F64) && defined(__AVX512F__)
#include <immintrin.h>
#include <sleef.h>
enum { LANES = 16 };
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define EXP Sleef_expf16_u10
#define APPLY_TO_REST(function, n, x, y)                                                           \
    do {                                                                                           \
        const __mmask16 there = (__mmask16)((1u << (n)) - 1u);                                     \
        _mm512_mask_storeu_ps(y, there, function(_mm512_maskz_loadu_ps(there, x)));                \
    } while (0)
#elif defined(OL_SLEEF) && !defined(OL_F64) && defined(__AVX2__)
#include <immintrin.h>
#include <sleef.h>
enum { LANES = 8 };
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define EXP Sleef_expf8_u10
#elif defined(OL_SLEEF) && !defined(OL_F64) && defined(__SSE2__)
#include <immintrin.h>
#include <sleef.h>
enum { LANES = 4 };
#define LOAD _mm_loadu_ps
#define STORE _mm_storeu_ps
#define EXP Sleef_expf4_u10
#endif

#ifdef EXP
#ifndef APPLY_TO_REST
#define APPLY_TO_REST(function, n, x, y)                                                           \
    do {                                                                                           \
        ol_real rest[LANES] = {0};                                                                 \
        memcpy(rest, x, (n) * sizeof *rest);                                                       \
        STORE(rest, function(LOAD(rest)));                                                         \
        memcpy(y, rest, (n) * sizeof *rest);                                                       \
    } while (0)
#endif
#define APPLY(function, n, x, y)                                                                   \
    do {                                                                                           \
        size_t i = 0;                                                                              \
        for (; i + LANES <= n; i += LANES)                                                         \
            STORE(y + i, function(LOAD(x + i)));                                                   \
        if (i < n)                                                                                 \
            APPLY_TO_REST(function, n - i, x + i, y + i);                                          \
    } while (0)
#elif defined(OL_F64)
#define EXP exp
#else
#define EXP expf
#endif

#ifndef APPLY
#define APPLY(function, n, x, y)                                                                   \
    do {                                                                                           \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = function(x[i]);                                                                 \
    } while (0)
#endif

void ol_vmath_exp(size_t n, const ol_real *x, ol_real *y)
{
    APPLY(EXP, n, x, y);
}
