/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/embedding.h"

#include <string.h>

static void embed(int n, int C, const int32_t *token, const int *position, const ol_real *wte,
                  const ol_real *wpe, ol_real *x)
{
    for (int i = 0; i < n; i++) {
        const ol_real *word = wte + (size_t)token[i] * (size_t)C;
        const ol_real *place = wpe + (size_t)position[i] * (size_t)C;
        ol_real *row = x + (size_t)i * (size_t)C;

        for (int j = 0; j < C; j++)
            row[j] = word[j] + place[j];
    }
}

static void add_row(int C, const ol_real *from, ol_real *to)
{
    for (int j = 0; j < C; j++)
        to[j] += from[j];
}

static void embed_adjoint(int n, int C, const int32_t *token, const int *position,
                          const ol_real *x_bar, ol_real *wte_bar, ol_real *wpe_bar)
{
    for (int i = 0; i < n; i++) {
        add_row(C, x_bar + (size_t)i * (size_t)C, wte_bar + (size_t)token[i] * (size_t)C);
        add_row(C, x_bar + (size_t)i * (size_t)C, wpe_bar + (size_t)position[i] * (size_t)C);
    }
}

void ol_embedding_forward(ol_pass pass, int n, int C, const int32_t *token, const int *position,
                          ol_dual wte, ol_dual wpe, ol_dual x)
{
    if (pass & OL_PRIMAL)
        embed(n, C, token, position, wte.v, wpe.v, x.v);
    if (pass & OL_TANGENT)
        embed(n, C, token, position, wte.dot, wpe.dot, x.dot);
}

void ol_embedding_backward(ol_pass pass, int n, int C, const int32_t *token, const int *position,
                           ol_dual x_bar, ol_dual wte_bar, ol_dual wpe_bar)
{
    if ((pass & OL_PRIMAL) && wte_bar.v)
        embed_adjoint(n, C, token, position, x_bar.v, wte_bar.v, wpe_bar.v);
    if (pass & OL_TANGENT)
        embed_adjoint(n, C, token, position, x_bar.dot, wte_bar.dot, wpe_bar.dot);
}

static void gather(int n, int C, const int *row, const ol_real *x, ol_real *y)
{
    for (int i = 0; i < n; i++)
        memcpy(y + (size_t)i * (size_t)C, x + (size_t)row[i] * (size_t)C, (size_t)C * sizeof *y);
}

static void scatter(int n, int C, const int *row, const ol_real *y_bar, ol_real *x_bar)
{
    for (int i = 0; i < n; i++)
        add_row(C, y_bar + (size_t)i * (size_t)C, x_bar + (size_t)row[i] * (size_t)C);
}

void ol_rows_gather(ol_pass pass, int n, int C, const int *row, ol_dual x, ol_dual y)
{
    if (pass & OL_PRIMAL)
        gather(n, C, row, x.v, y.v);
    if (pass & OL_TANGENT)
        gather(n, C, row, x.dot, y.dot);
}

void ol_rows_scatter(ol_pass pass, int n, int C, const int *row, ol_dual y_bar, ol_dual x_bar)
{
    if (pass & OL_PRIMAL)
        scatter(n, C, row, y_bar.v, x_bar.v);
    if (pass & OL_TANGENT)
        scatter(n, C, row, y_bar.dot, x_bar.dot);
}
