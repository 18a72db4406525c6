/* SPDX-License-Identifier: BSD-3-Clause */
#include "difference.h"

#include <float.h>
#include <math.h>

enum { POINTS = 9, ORDER = 4, HALVINGS = 30, COLUMNS = 6 };

double ol_difference_noise(ol_line_function *f, void *payload, double width)
{
    /* of ORDER-th differences of independent errors: σ² (2k)!/(k!)² */
    const double gain = 70.0;
    double d[POINTS], most = 0.0, sum = 0.0;

    for (int i = 0; i < POINTS; i++) {
        d[i] = f(payload, width * (i - POINTS / 2));
        most = fmax(most, fabs(d[i]));
    }
    for (int k = 1; k <= ORDER; k++)
        for (int i = 0; i < POINTS - k; i++)
            d[i] = d[i + 1] - d[i];
    for (int i = 0; i < POINTS - ORDER; i++)
        sum += d[i] * d[i];
    return fmax(sqrt(sum / (gain * (POINTS - ORDER))), DBL_EPSILON * most);
}

/* One more row of the table from the row before it, in place; the best entry so far is kept. */
static void extend(double row[COLUMNS], int *columns, double first, double h, double noise,
                   ol_slope *best)
{
    double before = row[0], factor = 1.0;
    const int n = *columns;

    row[0] = first;
    for (int j = 1; j <= n && j < COLUMNS; j++) {
        const double above = before;

        factor *= 4.0;
        before = row[j];
        row[j] = row[j - 1] + (row[j - 1] - above) / (factor - 1.0); /* (2) */
        const double truncation = fmax(fabs(row[j] - row[j - 1]), fabs(row[j] - above));
        const double error = truncation + 3.0 * noise / h;

        if (error < best->error)
            *best = (ol_slope){.value = row[j], .error = error, .h = h};
    }
    *columns = n < COLUMNS - 1 ? n + 1 : COLUMNS - 1;
}

ol_slope ol_difference_slope(ol_line_function *f, void *payload, double h, double noise,
                             double enough)
{
    ol_slope best = {.value = (double)NAN, .error = (double)INFINITY, .h = h};
    double row[COLUMNS] = {0};
    int columns = 0;

    for (int i = 0; i < HALVINGS; i++, h /= 2.0) {
        const double slope = (f(payload, h) - f(payload, -h)) / (2.0 * h); /* (1) */

        if (!isfinite(slope)) {
            columns = 0; /* so far out there is no f */
            continue;
        }
        extend(row, &columns, slope, h, noise, &best);
        if (best.error <= enough || 3.0 * noise / h > best.error)
            break;
    }
    return best;
}
