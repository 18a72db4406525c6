/* SPDX-License-Identifier: BSD-3-Clause */
#include "near.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void near(const char *what, size_t n, const double *expected, const ol_real *got)
{
    double worst = 0, largest = 1;

    for (size_t i = 0; i < n; i++) {
        const double error = fabs(expected[i] - (double)got[i]);

        if (!isfinite(error))
            fail_msg("%s: element %zu is %g, not %g", what, i, (double)got[i], expected[i]);
        worst = fmax(worst, error);
        largest = fmax(largest, fabs(expected[i]));
    }
    if (worst > 200 * EPSILON * largest)
        fail_msg("%s: off by %.3g of %.3g", what, worst, largest);
}
