/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/eval/score.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/text.h" /* ol_text_space */

void ol_steps_name(int steps, char text[OL_STEPS_TEXT])
{
    if (steps <= 0)
        snprintf(text, OL_STEPS_TEXT, steps == OL_STEPS_PMI ? "PMI" : "in context");
    else
        snprintf(text, OL_STEPS_TEXT, "%d step%s", steps, steps == 1 ? "" : "s");
}

bool ol_steps_before(int a, int b)
{
    if (a <= 0 && b <= 0)
        return a > b;
    return a < b;
}

int ol_score_pick(int n, const double *losses)
{
    int best = -1;

    for (int i = 0; i < n; i++)
        if (!isnan(losses[i]) && (best < 0 || losses[i] < losses[best]))
            best = i;
    return best;
}

/* Bytes of the white space that text[0..n-1] begins with (or ends with), 0 when it does not: of
 * Unicode's, and what Python's str.strip takes away besides. */
static size_t space_at(const char *text, size_t n, bool end)
{
    const char c = n > 0 ? text[end ? n - 1 : 0] : '\0';

    return c >= 0x1c && c <= 0x1f ? 1 : ol_text_space(text, n, end);
}

const char *ol_score_strip(const char *text, size_t *size)
{
    size_t n = strlen(text);
    size_t w;

    while ((w = space_at(text, n, false)) > 0) {
        text += w;
        n -= w;
    }
    while ((w = space_at(text, n, true)) > 0)
        n -= w;
    *size = n;
    return text;
}

bool ol_score_same(const char *a, const char *b)
{
    size_t size_a, size_b;

    a = ol_score_strip(a, &size_a);
    b = ol_score_strip(b, &size_b);
    return size_a == size_b && memcmp(a, b, size_a) == 0;
}

/* A class and the rows that it has. */
typedef struct counts {
    const char *name;
    int predicted, gold, correct;
} counts;

static counts *find_class(counts *classes, int *n, const char *name)
{
    for (int c = 0; c < *n; c++)
        if (ol_score_same(classes[c].name, name))
            return &classes[c];
    classes[*n] = (counts){.name = name};
    return &classes[(*n)++];
}

static double f1(const counts *c)
{
    const double precision = c->predicted > 0 ? (double)c->correct / c->predicted : 1.0; /* (1) */
    const double recall = (double)c->correct / c->gold;                                  /* (2) */

    return precision + recall > 0.0 ? 2.0 * precision * recall / (precision + recall) : 0.0;
}

static ol_status macro_f1(int rows, const char *const *predicted, const char *const *gold,
                          double *score)
{
    OL_AUTO_FREE counts *classes = malloc(2 * (size_t)rows * sizeof *classes);
    double sum = 0.0;
    int n = 0, averaged = 0;

    OL_CHECK(classes, OL_ENOMEM, "no memory to score %d rows", rows);
    for (int r = 0; r < rows; r++) {
        counts *c = find_class(classes, &n, gold[r]);
        c->gold++;
        c->correct += predicted[r] && ol_score_same(predicted[r], gold[r]);
        if (predicted[r])
            find_class(classes, &n, predicted[r])->predicted++;
    }
    for (int c = 0; c < n; c++)
        if (classes[c].gold > 0) {
            sum += f1(&classes[c]);
            averaged++;
        }
    *score = sum / averaged; /* (4) */
    return OL_OK;
}

ol_status ol_score_rows(ol_metric metric, int rows, const char *const *predicted,
                        const char *const *gold, double *score)
{
    int correct = 0;

    assert(rows > 0);
    if (metric == OL_MACRO_F1)
        return macro_f1(rows, predicted, gold, score);
    for (int r = 0; r < rows; r++)
        correct += predicted[r] && ol_score_same(predicted[r], gold[r]);
    *score = (double)correct / rows;
    return OL_OK;
}

/* Probability of the pick among the options of a row; its loss is the lowest. (7) */
static double confidence(int n, const double *losses)
{
    const int pick = ol_score_pick(n, losses);
    double sum = 0.0;

    for (int i = 0; i < n; i++)
        if (i == pick || !isnan(losses[i]))
            sum += i == pick ? 1.0 : exp(losses[pick] - losses[i]);
    return 1.0 / sum;
}

double ol_score_calibration(int rows, const int *offsets, const double *losses,
                            const char *const *predicted, const char *const *gold)
{
    enum { BINS = 10 };
    double apart[BINS] = {0}, error = 0.0; /* sums over the rows of a bin of correct - confidence */
    int n = 0;

    for (int r = 0; r < rows; r++) {
        const double p = predicted[r] ? confidence(offsets[r + 1] - offsets[r], losses + offsets[r])
                                      : (double)NAN;
        const int bin = p < 1.0 ? (int)(BINS * p) : BINS - 1;
        if (isnan(p))
            continue;
        apart[bin] += ol_score_same(predicted[r], gold[r]) - p;
        n++;
    }
    for (int b = 0; b < BINS; b++)
        error += fabs(apart[b]);
    return n > 0 ? error / n : (double)NAN; /* (8) */
}

static bool is_option(const char *const *options, int n, const char *text)
{
    for (int i = 0; i < n; i++)
        if (ol_score_same(options[i], text))
            return true;
    return false;
}

/* (6), with the classes of the gold labels known. */
static ol_status majority_score(ol_metric metric, int rows, const int *offsets,
                                const char *const *options, const char *const *gold,
                                const counts *classes, int n, double *score)
{
    OL_AUTO_FREE const char **answers = malloc((size_t)rows * sizeof *answers);
    const counts *most = classes;
    bool answerable = true;

    OL_CHECK(answers, OL_ENOMEM, "no memory to score %d rows", rows);
    for (int c = 1; c < n; c++)
        if (classes[c].gold > most->gold)
            most = &classes[c];
    for (int r = 0; r < rows; r++) {
        answers[r] = most->name;
        answerable =
            answerable && is_option(options + offsets[r], offsets[r + 1] - offsets[r], most->name);
    }
    *score = (double)NAN;
    return answerable ? ol_score_rows(metric, rows, answers, gold, score) : OL_OK;
}

ol_status ol_score_floors(ol_metric metric, int rows, const int *offsets,
                          const char *const *options, const char *const *gold, double *chance,
                          double *majority)
{
    OL_AUTO_FREE counts *classes = malloc((size_t)rows * sizeof *classes);
    double q = 0.0, f1s = 0.0;
    int n = 0;

    OL_CHECK(classes, OL_ENOMEM, "no memory to score %d rows", rows);
    for (int r = 0; r < rows; r++) {
        find_class(classes, &n, gold[r])->gold++;
        q += 1.0 / (offsets[r + 1] - offsets[r]) / rows;
    }
    for (int c = 0; c < n; c++) {
        const double share = (double)classes[c].gold / rows;
        f1s += 2.0 * share * q / (share + q) / n;
    }
    *chance = metric == OL_MACRO_F1 ? f1s : q; /* (5) */
    return majority_score(metric, rows, offsets, options, gold, classes, n, majority);
}
