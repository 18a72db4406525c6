/* SPDX-License-Identifier: BSD-3-Clause */
/* Drawings of a report: SVG whose colors are classes of the page, so that it is light or dark with
   it. All are 340 wide, which is a phone; on wider screens several stand side by side. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report_parts.h"

enum {
    WIDE = 340,
    LEFT = 46, /* of a curve's plot           */
    RIGHT = 330,
    TOP = 10,
    BOTTOM = 150,
    HIGH = 176,
    NAMES = 118, /* where the dots' axis begins */
    ROW = 24,
    POINTS = 140, /* of a curve */
};

/* From values to places. */
typedef struct axis {
    double low, high;
    double at_low, at_high;
    bool logarithmic;
} axis;

static double place(const axis *a, double value)
{
    const double share = a->logarithmic ? (log(value) - log(a->low)) / (log(a->high) - log(a->low))
                                        : (value - a->low) / (a->high - a->low);

    return a->at_low + share * (a->at_high - a->at_low);
}

/* A step of 1, 2 or 5 times a power of ten that makes about `n` of a range. */
static double nice_step(double range, int n)
{
    const double rough = range / n, power = pow(10.0, floor(log10(rough))), lead = rough / power;

    return power * (lead <= 1.0 ? 1.0 : lead <= 2.0 ? 2.0 : lead <= 5.0 ? 5.0 : 10.0);
}

/* A line across the plot with its value at the left. */
static ol_status add_tick(const axis *y, double value, ol_text *out)
{
    const double at = place(y, value);

    return ol_text_format(out,
                          "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"tick\" x=\"%d\" "
                          "y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
                          LEFT, at, RIGHT, LEFT - 6, at + 4.0, value);
}

static ol_status add_ticks(const axis *y, ol_text *out)
{
    if (y->logarithmic) {
        const double decades = log10(y->high / y->low);
        const double factors[] = {1.0, 2.0, 5.0};

        for (double p = pow(10.0, floor(log10(y->low))); p <= y->high * 1.001; p *= 10.0)
            for (int f = 0; f < (decades > 2.0 ? 1 : 3); f++)
                if (p * factors[f] >= y->low * 0.999 && p * factors[f] <= y->high * 1.001)
                    OL_TRY(add_tick(y, p * factors[f], out));
        return OL_OK;
    }
    const double step = nice_step(y->high - y->low, 4);

    for (double v = ceil(y->low / step) * step; v <= y->high + 1e-9 * step; v += step)
        OL_TRY(add_tick(y, fabs(v) < 1e-9 * step ? 0.0 : v, out));
    return OL_OK;
}

/* Points of a curve, where there is a number. */
static ol_status add_curve(const axis *x, const axis *y, const ol_stored_table *s,
                           const double *values, const char *class, ol_text *out)
{
    double points[POINTS], steps[POINTS];
    const int n = report_thin(s->n, values, POINTS, points);
    bool pen = false;

    report_thin(s->n, s->number[OL_STEP_NUMBER], POINTS, steps);
    OL_TRY(ol_text_format(out, "<path class=\"%s\" d=\"", class));
    for (int i = 0; i < n; i++) {
        if (isnan(points[i]) || (y->logarithmic && points[i] <= 0.0))
            continue;
        OL_TRY(ol_text_format(out, "%c%.1f %.1f", pen ? 'L' : 'M', place(x, steps[i]),
                              place(y, points[i])));
        pen = true;
    }
    return ol_text_format(out, "\"/>\n");
}

/* @param columns  [n] of train/step, the first of two is dashed */
static ol_status draw_curves(const report_learner *l, const char *what, const axis *y,
                             const int *columns, int n, ol_text *out)
{
    const ol_stored_table *s = &l->series;
    const double first = s->number[OL_STEP_NUMBER][0], last = s->number[OL_STEP_NUMBER][s->n - 1];
    const axis x = {
        .low = first, .high = last > first ? last : first + 1.0, .at_low = LEFT, .at_high = RIGHT};

    OL_TRY(ol_text_format(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s", WIDE,
                          HIGH, what));
    OL_TRY(report_put(out, " of ", l->label, "\">\n"));
    OL_TRY(add_ticks(y, out));
    OL_TRY(ol_text_format(out,
                          "<text class=\"tick\" x=\"%d\" y=\"%d\">%.0f</text>"
                          "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%.0f</text>"
                          "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">"
                          "meta-step</text>\n",
                          LEFT, BOTTOM + 18, x.low, RIGHT, BOTTOM + 18, x.high, (LEFT + RIGHT) / 2,
                          BOTTOM + 18));
    for (int i = 0; i < n; i++)
        OL_TRY(add_curve(&x, y, s, s->number[columns[i]], i + 1 < n ? "line before" : "line after",
                         out));
    return ol_text_format(out, "</svg>\n");
}

ol_status report_draw_loss(const report_learner *l, double most, ol_text *out)
{
    const axis y = {.low = 0.0, .high = most, .at_low = BOTTOM, .at_high = TOP};
    const int columns[] = {OL_STEP_LOSS_BEFORE, OL_STEP_LOSS_AFTER};

    return draw_curves(l, "loss", &y, l->inner ? columns : columns + 1, l->inner ? 2 : 1, out);
}

ol_status report_draw_norm(const report_learner *l, ol_text *out)
{
    double points[POINTS], least = (double)INFINITY, most = 0.0;
    const int n = report_thin(l->series.n, l->series.number[OL_STEP_GRAD_NORM], POINTS, points);

    for (int i = 0; i < n; i++)
        if (points[i] > 0.0) { /* never of NaN */
            least = fmin(least, points[i]);
            most = fmax(most, points[i]);
        }
    least = isfinite(least) ? fmax(least, 1e-300) : 1.0; /* that a power of ten is below it */
    const axis y = {.low = least / 1.25,
                    .high = fmax(most, least) * 1.25,
                    .at_low = BOTTOM,
                    .at_high = TOP,
                    .logarithmic = true};

    return draw_curves(l, "norm of the meta-gradient", &y, &(int){OL_STEP_GRAD_NORM}, 1, out);
}

/* --- dots ------------------------------------------------------------------------------------- */

/* The axis that holds means, intervals and worst seeds of all learners at all counts, so that
   drawings of a group compare. */
static axis dots_axis(const ol_report *r, int subject, double *chance)
{
    double low = 1.0, high = 0.0;

    *chance = (double)NAN;
    for (int k = 0; k < r->n_scored * r->n_counts; k++) {
        const ol_eval_summary *s = report_stat_of(r, k / r->n_counts, k % r->n_counts, subject);

        if (isnan(s->score.mean))
            continue;
        low = fmin(low, fmin(s->worst, isnan(s->score.low) ? s->score.mean : s->score.low));
        high = fmax(high, isnan(s->score.high) ? s->score.mean : s->score.high);
        *chance = isnan(s->chance) ? *chance : s->chance;
    }
    low = fmin(low, *chance); /* which leaves it where there is none */
    low = fmax(0.0, floor(10.0 * low - 0.2) / 10.0);
    high = fmin(1.0, ceil(10.0 * high + 0.2) / 10.0);
    return (axis){
        .low = low, .high = high > low ? high : low + 0.1, .at_low = NAMES, .at_high = RIGHT - 4};
}

static ol_status add_dot(const ol_report *r, int row, const axis *a, const ol_eval_summary *s,
                         ol_text *out)
{
    const int color = (int)(r->scored[row] - r->learners) % REPORT_COLORS;
    const char *label = r->scored[row]->label;
    const double y = TOP + ROW * row + ROW / 2.0;
    char name[80];

    snprintf(name, sizeof name, "%.*s%s", ol_text_fit(label, 15), label,
             label[ol_text_fit(label, 16)] ? "…" : label + ol_text_fit(label, 15));
    OL_TRY(ol_text_format(out, "<text class=\"label\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\"",
                          NAMES - 10, y + 4.0));
    OL_TRY(report_put(out, ">", name, "</text>\n"));
    if (!isnan(s->score.low))
        OL_TRY(ol_text_format(out, "<path class=\"bar c%d\" d=\"M%.1f %.1fH%.1f\"/>\n", color,
                              place(a, s->score.low), y, place(a, s->score.high)));
    OL_TRY(ol_text_format(out, "<path class=\"worst c%d\" d=\"M%.1f %.1fv8\"/>\n", color,
                          place(a, s->worst), y - 4.0));
    return ol_text_format(out, "<circle class=\"dot c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"/>\n",
                          color, place(a, s->score.mean), y);
}

static ol_status add_scale(const axis *a, int rows, ol_text *out)
{
    const double step = nice_step(a->high - a->low, 5);
    const int bottom = TOP + ROW * rows;

    for (double v = ceil(a->low / step - 1e-9) * step; v <= a->high + 1e-9; v += step)
        OL_TRY(ol_text_format(out,
                              "<path class=\"grid\" d=\"M%.1f %dV%d\"/><text class=\"tick\" "
                              "x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.4g</text>\n",
                              place(a, v), TOP, bottom, place(a, v), bottom + 16,
                              fabs(v) < 1e-9 ? 0.0 : 100.0 * v));
    return OL_OK;
}

ol_status report_draw_scores(const ol_report *r, int c, int subject, ol_text *out)
{
    double chance;
    const axis a = dots_axis(r, subject, &chance);

    OL_TRY(ol_text_format(out,
                          "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"scores %s\">\n",
                          WIDE, TOP + ROW * r->n_scored + 24, r->counts[c].name));
    OL_TRY(add_scale(&a, r->n_scored, out));
    if (!isnan(chance))
        OL_TRY(ol_text_format(out, "<path class=\"chance\" d=\"M%.1f %dV%d\"/>\n",
                              place(&a, chance), TOP, TOP + ROW * r->n_scored));
    for (int l = 0; l < r->n_scored; l++) {
        const ol_eval_summary *s = report_stat_of(r, l, c, subject);

        if (!isnan(s->score.mean))
            OL_TRY(add_dot(r, l, &a, s, out));
    }
    return ol_text_format(out, "</svg>\n");
}
